"""Slips of the finger: a word that is neither known nor a Vietnamese syllable becomes the commonest known word one letter away."""

import re
from collections.abc import Iterable, Mapping

from rapidfuzz.distance import OSA

from bot.understanding.language import is_vietnamese_syllable


class Mender:
    """`vocabulary`: known word -> how often it occurs. `words`: short form -> plain word, as in nlu/teencode.yml."""

    def __init__(self, vocabulary: Mapping[str, int], words: Mapping[str, str]) -> None:
        self._vocabulary = dict(vocabulary)
        self._words = words
        self._by_length = _by_length(word for word, count in self._vocabulary.items() if count > 1 and len(word) > 2)
        self._mended: dict[str, str] = {}

    def mend(self, word: str) -> str:
        """The word with one slip undone, or as it is."""
        if word in self._vocabulary or not word.isalpha() or not word.isascii():
            return word
        if word not in self._mended:
            if len(self._mended) > 10_000:
                self._mended.clear()
            self._mended[word] = self._nearest(word)
        return self._mended[word]

    def _nearest(self, word: str) -> str:
        single = re.sub(r"(.)\1+", r"\1", word)
        if len(single) > 1 and (single in self._vocabulary or single in self._words):
            return self._words.get(single, single)
        if len(word) < 4 or is_vietnamese_syllable(word):
            return word
        near = [
            (sorted(other) == sorted(word), self._vocabulary[other], other)  # two letters swapped: the likeliest slip
            for length in (len(word) - 1, len(word), len(word) + 1)
            for other in self._by_length.get(length, ())
            if OSA.distance(word, other, score_cutoff=1) <= 1
        ]
        return max(near)[2] if near else word


def _by_length(words: Iterable[str]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for word in words:
        found.setdefault(len(word), []).append(word)
    return found
