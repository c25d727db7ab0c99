"""Letters of Vietnamese: one spelling for what Unicode can write in several ways, and the same text without diacritics."""

import re
import unicodedata
from collections.abc import Iterator

_COMBINING_LATIN = re.compile("[\u0300-\u036f]")
_SENTENCE = re.compile(r"[^\n.!?…]*(?:[.!?…]+|\n+|$)\s*")
_D_STROKE = str.maketrans({"đ": "d", "Đ": "D", "ð": "d", "Ð": "D"})
_TYPOGRAPHIC = str.maketrans(
    {
        "‘": "'", "’": "'", "‚": "'", "′": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"',
        "–": "-", "—": "-", "‐": "-", "‑": "-", "−": "-", "·": "-", "•": "-", "…": "...",
        "\u00a0": " ", "\u202f": " ", "\u2009": " ", "\u200b": "", "\ufeff": "", "×": "x", "→": "->", "₫": "d",
    }
)  # fmt: skip


def compose(text: str) -> str:
    """NFC: a letter and its marks as one code point, as most phones send them."""
    return unicodedata.normalize("NFC", whole(text))


def whole(text: str) -> str:
    """Without halves of letters: a lone surrogate, which no file and no program takes, becomes a question mark."""
    return text.encode("utf-8", "replace").decode("utf-8")


def fold(text: str) -> str:
    """Latin letters without diacritics ("Đắk Lắk" -> "Dak Lak"). Thai, Lao and Khmer vowel signs stay."""
    decomposed = unicodedata.normalize("NFD", text)
    return compose(_COMBINING_LATIN.sub("", decomposed).translate(_D_STROKE))


def plain_marks(text: str) -> str:
    """Typographic quotes, dashes and spaces as the plain ones. Any of them alone makes an SMS cost up to three times."""
    return text.translate(_TYPOGRAPHIC)


def split_at_sentences(text: str, longest: int) -> list[str]:
    """Pieces of at most `longest` UTF-16 units; a sentence that is longer by itself is cut at a space, or anywhere."""
    pieces = [""]
    for sentence in _SENTENCE.findall(text):
        for fragment in _fragments(sentence, longest):
            if units(pieces[-1] + fragment.rstrip()) > longest:
                pieces.append("")
            pieces[-1] += fragment
    return [piece.strip() for piece in pieces if piece.strip()]


def _fragments(sentence: str, longest: int) -> Iterator[str]:
    while units(sentence.rstrip()) > longest:
        cut = longest // 2  # no letter has more than two units
        space = sentence.rfind(" ", 0, cut)
        cut = space + 1 if space > 0 else cut
        yield sentence[:cut]
        sentence = sentence[cut:]
    yield sentence


def units(text: str) -> int:
    """UTF-16 units, as Telegram and SMS count."""
    return len(text.encode("utf-16-le")) // 2
