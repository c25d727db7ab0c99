"""What a text becomes as SMS: folded, counted in segments, priced; and where folding makes a word doubtful."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import smsutil

from bot.letters import compose, fold, plain_marks

Encoding = Literal["GSM-7", "UCS-2"]
_WORD = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True)
class SmsText:
    """`units` are septets (GSM-7) or UTF-16 code units (UCS-2); a segment is one billed SMS."""

    text: str
    encoding: Encoding
    units: int
    segments: int


@dataclass(frozen=True)
class SegmentSizes:
    """How many units one, two, three ... segments hold at a provider; of more, each holds what the last one added."""

    gsm_7: tuple[int, ...] = (160, 306, 459)
    ucs_2: tuple[int, ...] = (70, 134, 201)

    def segments(self, encoding: Encoding, units: int) -> int:
        sizes = self.gsm_7 if encoding == "GSM-7" else self.ucs_2
        within = next((number for number, size in enumerate(sizes, 1) if units <= size), None)
        if within is not None:
            return within
        last = sizes[-1] - sizes[-2] if len(sizes) > 1 else sizes[-1]
        return len(sizes) + -(-(units - sizes[-1]) // last)


STANDARD = SegmentSizes()


def sms_text(text: str, *, folded: bool = True, sizes: SegmentSizes = STANDARD) -> SmsText:
    """`text` as it would leave by SMS; with `folded`, without diacritics and typographic marks."""
    body = fold(plain_marks(compose(text))) if folded else compose(text)
    split = smsutil.split(body)
    gsm = smsutil.is_valid_gsm(body)
    encoding: Encoding = "GSM-7" if gsm else "UCS-2"
    units = (
        sum(len(smsutil.encode(part.content)) for part in split.parts) if gsm else len(body.encode("utf-16-be")) // 2
    )
    segments = len(split.parts) if sizes == STANDARD else sizes.segments(encoding, units)
    return SmsText(body, encoding, units, segments)


@dataclass(frozen=True)
class DoubtfulWord:
    """A folded word or pair that may be read as another; `note` says as what."""

    folded: str
    written: tuple[str, ...]
    note: str


def doubtful_words(text: str, known: Iterable[DoubtfulWord]) -> list[tuple[str, DoubtfulWord]]:
    """(as written, what it may be read as), each once. A word that is written so already, without a mark, is meant so."""
    by_folded = {word.folded: word for word in known}
    found: dict[str, tuple[str, DoubtfulWord]] = {}
    for written in _words_and_pairs(_WORD.findall(compose(text))):
        word = by_folded.get(fold(written).lower())
        if word and written.lower() in word.written and written.lower() != word.folded:
            found.setdefault(written.lower(), (written, word))
    return list(found.values())


def _words_and_pairs(words: Sequence[str]) -> Iterator[str]:
    yield from words
    yield from (f"{first} {second}" for first, second in pairwise(words))
