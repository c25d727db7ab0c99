"""Questions that resemble each other. What fewer than eleven people ask is nowhere, and neither is a word that fewer of them use.

The same rows always give the same groups. Two questions are alike where most of what they say is the same: words that stand everywhere
in nlu/data ("khong", "lam sao") count little.
"""

import heapq
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from bot.unanswered import AT_LEAST
from bot.unanswered.anonymous import GONE

ALIKE = 0.6  # of the weight of both, what they must have in common
ROUNDING = 1e-9
BANDS = (AT_LEAST, 21, 51, 101, 501)  # a group is told by where it lies between these, never by its number


class Band(NamedTuple):
    """From how many people on, and up to how many; None: no end."""

    least: int
    most: int | None


@dataclass(frozen=True)
class Group:
    """The wording to which the others are nearest, with gaps."""

    wording: tuple[str, ...]
    people: Band


def groups(questions: Iterable[Sequence[str]], counts: Mapping[str, int]) -> list[Group]:
    """The largest first. `counts`: how often each word stands in nlu/data."""
    return _Likeness(questions, counts).groups()


class _Likeness:
    """The different sets of words, each with the people who used it and its commonest wording."""

    def __init__(self, questions: Iterable[Sequence[str]], counts: Mapping[str, int]) -> None:
        by_set: dict[frozenset[str], list[tuple[int, tuple[str, ...]]]] = defaultdict(list)
        for words, count in sorted(Counter(tuple(words) for words in questions).items()):
            by_set[frozenset(words) - {GONE}].append((-count, words))
        self._sets = list(by_set)
        self._people = np.array([-sum(count for count, _ in by_set[one]) for one in self._sets], dtype=np.int64)
        self._wording = [min(by_set[one])[1] for one in self._sets]
        holding: dict[str, list[int]] = defaultdict(list)
        for i, words_of in enumerate(self._sets):
            for word in sorted(words_of):
                holding[word].append(i)
        self._holding = {word: np.array(places) for word, places in holding.items()}
        most = max(counts.values(), default=1)
        self._weight = {word: math.log(1 + most / counts.get(word, 1)) for word in holding}
        self._whole = np.array([math.fsum(self._weight[word] for word in one) for one in self._sets])

    def groups(self) -> list[Group]:
        """Greedy: whoever has most people around them that are in no group yet."""
        near = [self._near(i) for i in range(len(self._sets))]
        free = np.ones(len(self._sets), dtype=bool)
        queue = [(-int(self._people[near[i]].sum()), self._wording[i], i) for i in range(len(self._sets))]
        heapq.heapify(queue)
        found = []
        while queue:
            people, wording, i = heapq.heappop(queue)
            left = near[i][free[near[i]]] if free[i] else near[i][:0]
            now = int(self._people[left].sum())
            if now < AT_LEAST:
                continue
            if now < -people:
                heapq.heappush(queue, (-now, wording, i))
                continue
            free[left] = False
            if shown := self._shown(wording, left.tolist()):
                found.append(Group(shown, _band(now)))
        return found

    def _near(self, i: int) -> "np.ndarray[Any, np.dtype[np.int64]]":
        """Every set that is like this one, itself among them."""
        words = sorted(self._sets[i])
        places = [self._holding[word] for word in words]
        shares = np.repeat([self._weight[word] for word in words], [len(at) for at in places])
        common = np.bincount(np.concatenate(places), shares, len(self._sets))
        return np.flatnonzero(2 * common >= ALIKE * (self._whole[i] + self._whole) - ROUNDING)

    def _shown(self, wording: Sequence[str], members: Sequence[int]) -> tuple[str, ...]:
        """The wording with a gap for each word that fewer than eleven of the group have used; nothing where none is left."""
        users: Counter[str] = Counter()
        for j in members:
            users.update(dict.fromkeys(self._sets[j], int(self._people[j])))
        shown: list[str] = []
        for word in wording:
            if users[word] >= AT_LEAST:
                shown.append(word)
            elif not shown or shown[-1] != GONE:
                shown.append(GONE)
        return tuple(shown) if set(shown) != {GONE} else ()


def _band(people: int) -> Band:
    at = max(i for i, least in enumerate(BANDS) if least <= people)
    return Band(BANDS[at], BANDS[at + 1] - 1 if at + 1 < len(BANDS) else None)
