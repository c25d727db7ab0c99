"""Slips of the finger: a word that is neither known nor a Vietnamese syllable is taken apart where a space was forgotten, or becomes the commonest
known word one letter away."""

import math
import re
from collections.abc import Iterable, Mapping

from rapidfuzz.distance import OSA

from bot.understanding.language import is_vietnamese_syllable

SHORTEST_GLUED = 5  # letters of two words without a space between them
MOST_GLUED = 30
SHORTEST_PIECE = 2
LONGEST_SYLLABLE = 7  # nghieng
FAMILIAR = 20  # times that a piece must occur


class Mender:
    """`vocabulary`: known word -> how often it occurs. `words`: short form -> plain word, as in nlu/teencode.yml."""

    def __init__(self, vocabulary: Mapping[str, int], words: Mapping[str, str]) -> None:
        self._vocabulary = dict(vocabulary)
        self._words = words
        self._by_length = _by_length(word for word, count in self._vocabulary.items() if count > 1 and len(word) > 2)
        self._total = sum(self._vocabulary.values())
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
        swapped, _, nearest = max(near, default=(False, 0, word))
        return nearest if swapped else self._apart(word) or nearest

    def _apart(self, word: str) -> str | None:
        """The likeliest words that were written without a space ("hochieu"): familiar syllables, as few as can be."""
        if not SHORTEST_GLUED <= len(word) <= MOST_GLUED:
            return None
        best: list[tuple[float, str] | None] = [(0.0, ""), *[None] * len(word)]
        for end in range(SHORTEST_PIECE, len(word) + 1):
            ways = [
                (before[0] + math.log(self._vocabulary[piece] / self._total), f"{before[1]} {piece}".strip())
                for start in range(max(0, end - LONGEST_SYLLABLE), end - SHORTEST_PIECE + 1)
                if (before := best[start])
                and self._vocabulary.get(piece := word[start:end], 0) >= FAMILIAR
                and is_vietnamese_syllable(piece)
            ]
            best[end] = max(ways, default=None)
        found = best[-1]
        return found[1] if found else None


def _by_length(words: Iterable[str]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for word in words:
        found.setdefault(len(word), []).append(word)
    return found
