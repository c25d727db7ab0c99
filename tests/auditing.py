"""An empirical audit of differential privacy, and the best thief that there can be.

An audit looks for an event that is more likely with a person than without by more than e^epsilon allows. It is chosen on one half of the runs
and judged on the other half by the bounds of Clopper and Pearson, so that a right mechanism is accused in less than one of ten thousand.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from bot.trends.noise import noisy

RUNS = 10_000
ALPHA = 0.001  # of each of the two bounds

Counts = Sequence[int]
Mechanism = Callable[[Counts, float], list[int]]
Numbers = NDArray[np.int64]


def loss_found(mechanism: Mechanism, without: Counts, with_one: Counts, epsilon: float, runs: int = RUNS) -> float:
    """The privacy loss that two neighbouring tables are proven to have, at the least. `epsilon`: what is claimed."""
    scores = [_score(drawn(mechanism, counts, epsilon, runs), without, with_one) for counts in (without, with_one)]
    chosen, judged = [score[: runs // 2] for score in scores], [score[runs // 2 :] for score in scores]
    event = max(_events(np.concatenate(chosen)), key=lambda one: _bound(one, *chosen))
    return _bound(event, *judged)


def drawn(mechanism: Mechanism, counts: Counts, epsilon: float, runs: int) -> Numbers:
    """So many releases of one table, a row each. The noise of each cell is its own, so that one draw may stand for many releases."""
    return np.array(mechanism(list(counts) * runs, epsilon)).reshape(runs, len(counts))


def _score(releases: Numbers, without: Counts, with_one: Counts) -> Numbers:
    """How much nearer a release is to the table with the person."""
    return np.asarray((np.abs(releases - np.array(without)) - np.abs(releases - np.array(with_one))).sum(axis=1))


Event = tuple[int, int]  # which of the two tables it speaks for, and from which score on


def _events(scores: Numbers) -> list[Event]:
    return [(towards, int(score)) for score in np.unique(scores) for towards in (0, 1)]


def _bound(event: Event, without: Numbers, with_one: Numbers) -> float:
    """Of the logarithm of the event's odds: how likely it is at the least here, and at the most there."""
    towards, score = event
    here, there = (with_one >= score, without >= score) if towards else (without <= score, with_one <= score)
    least = beta.ppf(ALPHA, here.sum(), here.size - here.sum() + 1) if here.any() else 0.0
    most = beta.ppf(1 - ALPHA, there.sum() + 1, there.size - there.sum()) if not there.all() else 1.0
    return float(np.log(least / most)) if least else -math.inf


def best_guess(epsilons: Iterable[float]) -> float:
    """How often the best thief of all is right about one person, who was there or not with equal chance.

    Whatever a mechanism of pure epsilon does, it tells no more than who answers with the truth by a chance of e^epsilon / (1 + e^epsilon);
    of several mechanisms, no more than so many such answers (Kairouz, Oh, Viswanath 2015). Here all of them are gone through.
    """
    chances = {0.0: 1.0}  # of what has been heard for the truth, less what has been heard against it
    for epsilon in epsilons:
        truth, heard = math.exp(epsilon) / (1 + math.exp(epsilon)), defaultdict[float, float](float)
        for told, chance in chances.items():
            heard[round(told + epsilon, 6)] += chance * truth
            heard[round(told - epsilon, 6)] += chance * (1 - truth)
        chances = heard
    return sum(max(chance, chance * math.exp(-told)) / 2 for told, chance in chances.items())


def guessed(epsilons: Sequence[float], trials: int, mechanism: Mechanism = noisy) -> float:
    """How often a thief is right who holds every release, knows everybody else, and weighs all of it by how likely it is.

    In half of the trials the person was there. Only the cells in which they would be counted tell anything; each is one release.
    """
    weight = np.zeros(trials)
    there = np.arange(trials) % 2
    for epsilon in sorted(set(epsilons)):
        releases = list(epsilons).count(epsilon)
        noise = drawn(mechanism, [0] * releases, epsilon, trials) + there[:, None]
        weight += epsilon * (np.abs(noise) - np.abs(noise - 1)).sum(axis=1)
    return float(((weight > 0) == there).mean())


def beyond(chance: float, trials: int, sigmas: float) -> float:
    """`chance`, and so many standard deviations of its share among the trials."""
    return chance + sigmas * math.sqrt(chance * (1 - chance) / trials)
