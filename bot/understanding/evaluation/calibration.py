"""Whether confidence can be believed: reliability, its error, the Brier score; and what a threshold of confidence keeps and refuses.

All of it is about plain numbers: `sure` is what was claimed for each reading, `right` whether it was right.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bot.understanding.evaluation.rows import Outcome

BINS = 10
KEPT = 0.95  # share of in-scope messages at which refusing is compared
THRESHOLDS = (-1.0, *(round(0.05 * step, 2) for step in range(21)))  # -1: even what reads as out of scope is answered

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Bin:
    """The readings whose confidence lies above `low` (the first bin: from `low` on) and up to `high`."""

    low: float
    high: float
    rows: int
    confidence: float
    right: float

    @property
    def gap(self) -> float:
        """How far it promises too much (+) or too little (-)."""
        return self.confidence - self.right


@dataclass(frozen=True)
class Calibration:
    """`ece`: mean gap over bins of equal width, weighted by their rows; `adaptive`: over bins of equally many rows."""

    rows: int
    ece: float
    adaptive: float
    brier: float
    confidence: float
    right: float
    bins: tuple[Bin, ...]
    adaptive_bins: tuple[Bin, ...]


@dataclass(frozen=True)
class Point:
    """At this threshold: the share of in-scope messages that are kept, and of out-of-scope ones that are refused."""

    threshold: float
    kept: float
    refused: float


@dataclass(frozen=True)
class Scope:
    """`auroc`: how likely an in-scope message scores above an out-of-scope one. `at_kept`: where KEPT of the in-scope ones are kept."""

    in_scope: int
    out_of_scope: int
    auroc: float
    at_kept: Point
    points: tuple[Point, ...]


# -- reliability -------------------------------------------------------------------------------------------------------


def calibration(sure: Sequence[float], right: Sequence[bool]) -> Calibration:
    """Of at least one reading."""
    claimed, held = np.asarray(sure, np.float64), np.asarray(right, np.float64)
    equal, adaptive = bins_of_equal_width(claimed, held), bins_of_equal_size(claimed, held)
    return Calibration(
        len(claimed), error(equal), error(adaptive), float(np.mean((claimed - held) ** 2)),
        float(claimed.mean()), float(held.mean()), tuple(equal), tuple(adaptive),
    )  # fmt: skip


def bins_of_equal_width(sure: Numbers, right: Numbers) -> list[Bin]:
    """BINS of them from 0 to 1; empty ones are left out."""
    number = np.clip(np.ceil(sure * BINS).astype(int) - 1, 0, BINS - 1)
    return [
        _bin(i / BINS, (i + 1) / BINS, sure[number == i], right[number == i])
        for i in range(BINS)
        if (number == i).any()
    ]


def bins_of_equal_size(sure: Numbers, right: Numbers) -> list[Bin]:
    """At most BINS of them, in the order of confidence; their sizes differ by one at most."""
    order = np.argsort(sure, kind="stable")
    return [_bin(float(sure[part[0]]), float(sure[part[-1]]), sure[part], right[part])
            for part in np.array_split(order, BINS) if part.size]  # fmt: skip


def _bin(low: float, high: float, sure: Numbers, right: Numbers) -> Bin:
    return Bin(low, high, sure.size, float(sure.mean()), float(right.mean()))


def error(bins: Iterable[Bin]) -> float:
    """The mean gap, whatever its direction, weighted by rows."""
    told = list(bins)
    return sum(one.rows * abs(one.gap) for one in told) / sum(one.rows for one in told)


def calibration_of(outcomes: Sequence[Outcome]) -> Calibration:
    return calibration([outcome.reading.confidence for outcome in outcomes], [outcome.right for outcome in outcomes])


def by_kind_read(outcomes: Iterable[Outcome]) -> dict[str, Calibration]:
    """The calibration of each kind that messages were read as, the worst first."""
    kinds: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        kinds.setdefault(outcome.reading.kind, []).append(outcome)
    found = {kind: calibration_of(read_so) for kind, read_so in kinds.items()}
    return dict(sorted(found.items(), key=lambda item: -item[1].ece))


# -- out of scope ------------------------------------------------------------------------------------------------------


def scope_of(outcomes: Sequence[Outcome]) -> Scope | None:
    """None where one side is missing. What reads as out of scope scores below everything else, the surer the lower."""
    inside = [_score(outcome) for outcome in outcomes if outcome.row.kind != "out_of_scope"]
    outside = [_score(outcome) for outcome in outcomes if outcome.row.kind == "out_of_scope"]
    return scope(inside, outside) if inside and outside else None


def _score(outcome: Outcome) -> float:
    return -outcome.reading.confidence if outcome.reading.kind == "out_of_scope" else outcome.reading.confidence


def scope(inside: Sequence[float], outside: Sequence[float]) -> Scope:
    """Of scores from -1 to 1."""
    kept, refused = np.sort(np.asarray(inside, np.float64)), np.sort(np.asarray(outside, np.float64))
    highest = float(kept[int(np.floor((1 - KEPT) * len(kept) + 1e-9))])
    points = tuple(_point(threshold, kept, refused) for threshold in THRESHOLDS)
    return Scope(len(kept), len(refused), auroc(kept, refused), _point(highest, kept, refused), points)


def _point(threshold: float, inside: Numbers, outside: Numbers) -> Point:
    """Both sorted; what scores as much as the threshold is kept."""
    below_in, below_out = (int(np.searchsorted(side, threshold, "left")) for side in (inside, outside))
    return Point(threshold, 1 - below_in / len(inside), below_out / len(outside))


def auroc(higher: "Sequence[float] | Numbers", lower: "Sequence[float] | Numbers") -> float:
    """The share of pairs in which the one that should score higher does; ties count half."""
    below = np.sort(np.asarray(lower, np.float64))
    beaten, not_lost = (np.searchsorted(below, higher, side).sum() for side in ("left", "right"))
    return float((beaten + not_lost) / 2 / (len(higher) * len(below)))
