"""Red flags by their context: a linear model that reads each word with its neighbours.

It learns from the annotated words of offers, reports and emergencies and from the phrase lists (Rasa lookup tables). Beside the
cue patterns of content/red_flags.yml it finds what no pattern foresaw.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import mmh3
import numpy as np
from numpy.typing import NDArray

from bot.understanding.normalise import PlainText

BITS = 18  # of the feature hash
REACH = 6  # words to either side
NOTHING = "-"
EDGE = "<>"  # beyond the first and the last word
MOST_TOKENS = 400  # of a message: the rest is read by the cues alone

FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class Tag:
    """A flag with its best margin and the words that carry it."""

    margin: float
    words: tuple[str, ...]


@dataclass(frozen=True)
class FlagTagger:
    """`weights`: hashed features x classes; one class is "no flag"."""

    classes: tuple[str, ...]
    weights: NDArray[np.float16]
    intercepts: FloatArray

    def read(self, plain: PlainText) -> dict[str, Tag]:
        """Every flag with its best margin; above 0 it is likelier than not."""
        if not plain.tokens:
            return {}
        margins = self._margins(plain)
        found = {}
        for column, flag in enumerate(self.classes):
            if flag != NOTHING:
                best = int(margins[:, column].argmax())
                found[flag] = Tag(float(margins[best, column]), (self._words(plain, margins[:, column], best),))
        return found

    def _margins(self, plain: PlainText) -> FloatArray:
        words = [token.word for token in plain.tokens[:MOST_TOKENS]]
        columns, signs = hashed(words)
        sums: FloatArray = np.einsum("tf,tfc->tc", signs, self.weights[columns].astype(np.float32))
        return sums + self.intercepts

    @staticmethod
    def _words(plain: PlainText, margins: FloatArray, best: int) -> str:
        """The run of words around the best one that lean the same way."""
        limit = margins[best] - 0.6
        first = last = best
        while first > 0 and margins[first - 1] > limit and best - first < REACH:
            first -= 1
        while last + 1 < len(margins) and margins[last + 1] > limit and last - best < REACH:
            last += 1
        return plain.original[plain.tokens[first].start : plain.tokens[last].end]


def token_features(words: Sequence[str]) -> Iterator[list[str]]:
    """For each word: the words, pairs and triples near it, with and without their distance."""
    padded = [*[EDGE] * REACH, *words, *[EDGE] * (REACH + 1)]
    pairs = [f"{a}_{b}" for a, b in pairwise(padded)]
    triples = [f"{pair}_{c}" for pair, c in zip(pairs, padded[2:], strict=False)]
    near_words = [f"w:{word}" for word in padded]
    near_pairs = [f"p:{pair}" for pair in pairs]
    for here in range(REACH, REACH + len(words)):
        features = [f"{d}:{padded[here + d]}" for d in range(-4, 5)]
        features += [f"b{d}:{pairs[here + d]}" for d in range(-3, 3)]
        features += [f"t{d}:{triples[here + d]}" for d in range(-2, 1)]
        features += near_words[here - REACH : here + REACH + 1]
        features += near_pairs[here - REACH : here + REACH]
        yield features


def hashed(words: Sequence[str]) -> tuple[NDArray[np.int64], FloatArray]:
    """(columns, signs) of the features of each word, words x features: every word has as many.

    The sign is the hash's own, so that features that fall together cancel rather than add up.
    """
    rows = list(token_features(words))
    hashes = np.array([[mmh3.hash(feature) for feature in row] for row in rows], np.int64)
    return np.abs(hashes) % 2**BITS, np.where(hashes < 0, -1, 1).astype(np.float32)
