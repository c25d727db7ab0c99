"""One spelling for one word: diacritics, dialect, SMS and chat spelling, typing slips.

`Normaliser.plain` gives folded plain words ("bao vé, lg 20tr k?" -> "bao ve , luong 20 trieu khong ?") and remembers which
characters of the message each word came from, so that a sign can be shown in the sender's own words.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from bot.errors import NluDataError
from bot.letters import compose, fold, plain_marks
from bot.understanding.language import detect_language
from bot.yaml_files import load_yaml

# A word may hold the vowel signs of Thai, Lao and Khmer, which are no letters to `\w`.
_TOKEN = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_](?:[^\W\d_]|[\u0e00-\u0eff\u1780-\u17ff])*|[^\w\s]|_")
_LONG_RUN = re.compile(r"([^\W\d])\1{2,}")
_LONGEST_PHRASE = 4
_FULL_STOPS = frozenset(".!,;…")
_PAY_WORDS = frozenset({"luong", "lg", "tra", "phi", "coc"})


@dataclass(frozen=True)
class Token:
    """`word` is the plain form; `start` and `end` are offsets in the original text."""

    word: str
    start: int
    end: int


@dataclass(frozen=True)
class PlainText:
    """The plain words of a message and the way back to what was written."""

    original: str
    tokens: tuple[Token, ...]

    @cached_property
    def text(self) -> str:
        return " ".join(token.word for token in self.tokens)

    @cached_property
    def _offsets(self) -> list[int]:
        offsets, position = [], 0
        for token in self.tokens:
            offsets.append(position)
            position += len(token.word) + 1
        return offsets

    def written(self, start: int, end: int) -> str:
        """The sender's own words for `text[start:end]`."""
        if not self.tokens or end <= start:
            return ""
        first = bisect_right(self._offsets, start) - 1
        last = bisect_right(self._offsets, end - 1) - 1
        return self.original[self.tokens[first].start : self.tokens[last].end]


class Normaliser:
    """Built once from nlu/teencode.yml. `vocabulary` (word -> how often) allows slips of one letter to be mended.

    Without one, nothing is imported but the standard library and PyYAML: Rasa's own Python reads messages with it, too.
    """

    def __init__(self, teencode: Mapping[str, Mapping[str, str]], vocabulary: Mapping[str, int] | None = None) -> None:
        self._words = dict(teencode["words"])
        self._after_number = dict(teencode["after_number"])
        self._phrases = {tuple(key.split()): value for key, value in teencode["phrases"].items()}
        self._mend = _mender(vocabulary, self._words) if vocabulary else _as_it_is

    @classmethod
    def from_file(cls, path: Path, vocabulary: Mapping[str, int] | None = None) -> "Normaliser":
        try:
            data = load_yaml(path)
            return cls(data, vocabulary)
        except FileNotFoundError:
            raise NluDataError(f"{path} is missing: restore it from the repository") from None
        except Exception as error:
            raise NluDataError(f"{path} cannot be read ({error.__class__.__name__}): mend its YAML") from None

    def with_vocabulary(self, vocabulary: Mapping[str, int]) -> "Normaliser":
        teencode = {
            "words": self._words,
            "after_number": self._after_number,
            "phrases": {" ".join(key): value for key, value in self._phrases.items()},
        }
        return Normaliser(teencode, vocabulary)

    def plain(self, text: str) -> PlainText:
        """Folded plain words with their places in `text` (NFC)."""
        original = compose(text)
        raw = [
            Token(fold(plain_marks(match[0])).lower(), match.start(), match.end())
            for match in _TOKEN.finditer(original)
        ]
        vietnamese = detect_language(original) == "vi"
        words = [token for i, token in enumerate(raw) if token.word.strip() and not _is_joint(raw, i)]
        while len(words) > 1 and words[-1].word in _FULL_STOPS:  # most people write none: it says nothing
            words.pop()
        return PlainText(original, tuple(self._expand(words, vietnamese=vietnamese)))

    def _expand(self, raw: list[Token], *, vietnamese: bool) -> Iterable[Token]:
        i = 0
        while i < len(raw):
            length, words = self._phrase_at(raw, i) if vietnamese else (0, "")
            if not length:
                length, words = 1, self._word_at(raw, i, vietnamese=vietnamese)
            start, end = raw[i].start, raw[i + length - 1].end
            yield from (Token(word, start, end) for word in words.split())
            i += length

    def _phrase_at(self, raw: list[Token], i: int) -> tuple[int, str]:
        for length in range(min(_LONGEST_PHRASE, len(raw) - i), 0, -1):
            words = tuple(token.word for token in raw[i : i + length])
            if words in self._phrases:
                return length, self._phrases[words]
        return 0, ""

    def _word_at(self, raw: list[Token], i: int, *, vietnamese: bool) -> str:
        word = raw[i].word
        if i and raw[i - 1].word[-1].isdigit() and word in self._after_number:
            attached = raw[i - 1].end == raw[i].start
            if word == "t" and i > 1 and raw[i - 2].word in _PAY_WORDS:  # "lương 15t" is no age
                return "trieu"
            if attached or len(word) > 1:
                return self._after_number[word]
        if not vietnamese:
            return word
        if word in self._words:
            return self._words[word]
        word = _LONG_RUN.sub(r"\1\1", word)
        return self._words[word] if word in self._words else self._mend(word)


def _mender(vocabulary: Mapping[str, int], words: Mapping[str, str]) -> Callable[[str], str]:
    from bot.understanding.slips import Mender

    return Mender(vocabulary, words).mend


def _as_it_is(word: str) -> str:
    return word


def _is_joint(raw: list[Token], i: int) -> bool:
    """A hyphen or an apostrophe inside a word ("Hung-ga-ry", "won't"): the word is read without it."""
    return (
        raw[i].word in ("-", "'")
        and 0 < i < len(raw) - 1
        and raw[i - 1].end == raw[i].start
        and raw[i + 1].start == raw[i].end
        and raw[i - 1].word.isalpha()
        and raw[i + 1].word.isalpha()
    )
