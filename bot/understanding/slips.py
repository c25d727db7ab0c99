"""Slips of the finger: a word that nobody taught us becomes the known word one letter away that suits its neighbours best, or is taken apart
where a space was forgotten."""

import math
import re
from collections.abc import Iterable, Mapping
from itertools import pairwise

from rapidfuzz.distance import OSA

from bot.understanding.language import is_vietnamese_syllable
from bot.understanding.vocabulary import Vocabulary

SHORTEST = 3  # letters of a word that may be mended
SHORTEST_ALONE = 4  # the same, where the neighbours say nothing
SHORTEST_GLUED = 5  # letters of two words without a space between them
LONGEST_GLUED = 30
SHORTEST_PIECE = 2
LONGEST_SYLLABLE = 7  # nghieng
FAMILIAR = 20  # times that a piece must occur
SUITS = math.log(3)  # the logarithm of how often a pair of words must occur
SUITS_WELL = 2 * SUITS  # the same for both neighbours, where the word could be right as it is
MOST_KEPT = 10_000


class Mender:
    """`short_forms`: short form -> plain word, as in nlu/teencode.yml."""

    def __init__(self, vocabulary: Vocabulary, short_forms: Mapping[str, str]) -> None:
        self._vocabulary = vocabulary
        self._short_forms = short_forms
        self._total = sum(vocabulary.words.values())
        self._by_length = _by_length(word for word, count in vocabulary.words.items() if count > 1 and len(word) > 2)
        self._near: dict[str, tuple[str, ...]] = {}

    def mend(self, word: str, before: str, after: str) -> str:
        """The word with one slip undone (several words where spaces were forgotten), or as it is. `before`, `after`: its neighbours."""
        if word in self._vocabulary.words or word in self._vocabulary.names:
            return word
        if len(word) < SHORTEST or not word.isalpha() or not word.isascii():
            return word
        single = re.sub(r"(.)\1+", r"\1", word)
        if single in self._vocabulary.words or single in self._short_forms:
            return self._short_forms.get(single, single)
        could_be_right = is_vietnamese_syllable(word)
        near = self._one_letter_away(word)
        suiting = max(near, key=lambda other: self._suits(before, other, after), default=word)
        if self._suits(before, suiting, after) >= (SUITS_WELL if could_be_right else SUITS):
            return suiting
        if could_be_right or len(word) < SHORTEST_ALONE:
            return word
        swapped = [other for other in near if sorted(other) == sorted(word)]  # the likeliest slip
        if not swapped and (apart := self._apart(word)):
            return apart
        return max(swapped or near, key=lambda other: self._vocabulary.words[other], default=word)

    def _suits(self, before: str, word: str, after: str) -> float:
        pairs = self._vocabulary.pairs
        return sum(math.log(pairs.get(f"{first} {second}", 1)) for first, second in pairwise((before, word, after)))

    def _one_letter_away(self, word: str) -> tuple[str, ...]:
        if word not in self._near:
            if len(self._near) > MOST_KEPT:
                self._near.clear()
            lengths = (len(word) - 1, len(word), len(word) + 1)
            others = (other for length in lengths for other in self._by_length.get(length, ()))
            self._near[word] = tuple(other for other in others if OSA.distance(word, other, score_cutoff=1) <= 1)
        return self._near[word]

    def _apart(self, word: str) -> str | None:
        """The likeliest words that were written without a space ("hochieu"): familiar syllables, as few as can be."""
        if not SHORTEST_GLUED <= len(word) <= LONGEST_GLUED:
            return None
        counts = self._vocabulary.words
        best: list[tuple[float, str] | None] = [(0.0, ""), *[None] * len(word)]
        for end in range(SHORTEST_PIECE, len(word) + 1):
            ways = [
                (before[0] + math.log(counts[piece] / self._total), f"{before[1]} {piece}".strip())
                for start in range(max(0, end - LONGEST_SYLLABLE), end - SHORTEST_PIECE + 1)
                if (before := best[start])
                and counts.get(piece := word[start:end], 0) >= FAMILIAR
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
