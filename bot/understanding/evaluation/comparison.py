"""The same rows through several readers, side by side."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np

from bot.understanding.evaluation.measures import Share, by_form, figures
from bot.understanding.evaluation.rows import Outcome


@dataclass(frozen=True)
class Latency:
    """Milliseconds of reading one message."""

    p50: float
    p95: float


@dataclass(frozen=True)
class Reader:
    """What one of them reached. `answered_by`: rows by the backend that really read them, where another one had to step in."""

    name: str
    answered_by: dict[str, int]
    figures: dict[str, Share]
    forms: dict[str, dict[str, Share]]
    latency: Latency


@dataclass(frozen=True)
class Duel:
    """Of two readers: how many rows both, one alone and neither got right, kind and topic.

    `p`: how likely rows that only one gets right would fall so unevenly, if both were equally good (exact McNemar test, two-sided).
    """

    first: str
    second: str
    both: int
    only_first: int
    only_second: int
    neither: int

    @property
    def p(self) -> float:
        return mcnemar(self.only_first, self.only_second)


@dataclass(frozen=True)
class Comparison:
    readers: tuple[Reader, ...]
    duels: tuple[Duel, ...]


def compare(outcomes: Mapping[str, Sequence[Outcome]]) -> Comparison:
    """`outcomes`: of each reader by name, all of the same rows in the same order."""
    readers = tuple(_reader(name, of_reader) for name, of_reader in outcomes.items())
    duels = tuple(_duel(one, other, outcomes[one], outcomes[other]) for one, other in combinations(outcomes, 2))
    return Comparison(readers, duels)


def _reader(name: str, outcomes: Sequence[Outcome]) -> Reader:
    answered_by = dict(Counter(outcome.reading.backend for outcome in outcomes))
    return Reader(name, answered_by, figures(outcomes), by_form(outcomes), latency(outcomes))


def _duel(first: str, second: str, ones: Sequence[Outcome], others: Sequence[Outcome]) -> Duel:
    pairs = [(one.right, other.right) for one, other in zip(ones, others, strict=True)]
    return Duel(
        first, second, *(pairs.count(pair) for pair in ((True, True), (True, False), (False, True), (False, False)))
    )


def mcnemar(only_first: int, only_second: int) -> float:
    rows = only_first + only_second
    tail = sum(comb(rows, count) for count in range(min(only_first, only_second) + 1))
    return min(1.0, tail / 2 ** (rows - 1)) if rows else 1.0


def latency(outcomes: Sequence[Outcome]) -> Latency:
    p50, p95 = np.percentile([1000 * outcome.seconds for outcome in outcomes], (50, 95))
    return Latency(float(p50), float(p95))
