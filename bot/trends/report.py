"""What was released, as people may see it: every number with how far it may be off, small ones as "fewer than 11", and what rose beyond chance.

Everything here is made from the released rows alone, so that no view tells more than another.
"""

import datetime as dt
import json
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from math import exp, sqrt
from statistics import NormalDist, fmean

from sqlalchemy import Connection, select

from bot.content import Grain
from bot.store import trend_tables as t
from bot.trends.budget import half_width
from bot.trends.periods import Period, period_named

FALSE_ALARMS = 0.05  # in at most so many periods of a table some cell is said to rise that does not
BEFORE = 4  # periods with which the newest one is compared


@dataclass(frozen=True)
class Number:
    """A released number. `value` is None where it is below the threshold; `off_by`: people, at 95%."""

    period: Period
    table: str
    cell: str
    value: int | None
    off_by: int


@dataclass(frozen=True)
class Closing:
    """A closed period. `begun_on` is later than its first day where counting began within it; `lost`: it could not be released."""

    period: Period
    profile: str
    tables: Mapping[str, float]
    begun_on: dt.date
    lost: bool

    @property
    def whole(self) -> bool:
        return self.begun_on == self.period.start


@dataclass(frozen=True)
class Rise:
    """A cell that rose beyond what noise and chance explain. `usual`: the mean of the periods before, small ones taken for the most they may be."""

    number: Number
    usual: int
    at_least: int  # by so many more than usual
    hidden: bool  # one of the periods before is below the threshold, so that `usual` must not be shown

    @property
    def more(self) -> int:
        return (self.number.value or 0) - self.usual


class Report:
    """All releases of a store, read at once."""

    def __init__(self, connection: Connection, threshold: int) -> None:
        self._threshold = threshold
        self.closings = tuple(_closings(connection))
        self._values: dict[tuple[str, str], dict[str, int]] = {}
        self._epsilons: dict[tuple[str, str], float] = {}
        own = t.releases.c
        for row in connection.execute(select(t.releases).order_by(own.period, own.table_name, own.cell)):
            self._values.setdefault((row.table_name, row.period), {})[row.cell] = row.value
            self._epsilons[row.table_name, row.period] = row.epsilon

    def until(self, period: Period) -> "Report":
        """As it stood when `period` had been closed."""
        earlier = copy(self)
        earlier.closings = tuple(closing for closing in self.closings if closing.period.end <= period.end)
        return earlier

    def periods(self, table: str) -> tuple[Period, ...]:
        """Those for which a table was released, in order of time, of the kind that is released now."""
        own = [closing.period for closing in self.closings if (table, closing.period.name) in self._values]
        return tuple(period for period in own if period.grain == own[-1].grain)

    def numbers(self, table: str, period: Period) -> tuple[Number, ...]:
        """Every cell of a table, always in the same order."""
        values = self._values.get((table, period.name), {})
        return tuple(self.number(table, period, cell) for cell in values)

    def number(self, table: str, period: Period, cell: str) -> Number:
        value = self._values[table, period.name][cell]
        off_by = half_width(self._epsilons[table, period.name])
        return Number(period, table, cell, value if value >= self._threshold else None, off_by)

    def series(self, table: str, cell: str) -> tuple[Number, ...]:
        """One cell through time; periods in which it was no cell are left out."""
        return tuple(
            self.number(table, period, cell)
            for period in self.periods(table)
            if cell in self._values[table, period.name]
        )

    def rises(self, table: str, cells: Sequence[str] | None = None) -> tuple[Rise, ...]:
        """What rose in the newest period, the greatest rise first. Nothing where there is nothing whole to compare with."""
        whole = {closing.period for closing in self.closings if closing.whole}
        periods = [period for period in self.periods(table) if period in whole]
        if len(periods) < 2 or periods[-1] != self.periods(table)[-1]:
            return ()
        newest, before = periods[-1], periods[-1 - BEFORE : -1]
        found = [
            rise
            for cell in cells or self._values[table, newest.name]
            if (rise := self._rise(table, cell, newest, before))
        ]
        return tuple(sorted(found, key=lambda rise: -rise.more))

    def _rise(self, table: str, cell: str, newest: Period, before: Sequence[Period]) -> Rise | None:
        number = self.number(table, newest, cell)
        earlier = [self._values[table, period.name].get(cell) for period in before]
        known = [value for value in earlier if value is not None]
        if number.value is None or len(known) < len(earlier):
            return None
        usual = fmean(max(value, self._threshold - 1) for value in known)  # by what is shown alone
        chance = FALSE_ALARMS / len(self._values[table, newest.name])
        margin = _margin(usual, [self._epsilons[table, period.name] for period in (newest, *before)], chance)
        more = number.value - usual
        hidden = min(known) < self._threshold
        return Rise(number, round(usual), max(1, round(more - margin)), hidden) if more > margin else None

    def rows(self) -> Iterator[dict[str, object]]:
        """Every number for an export, oldest first, with the words `below_11` where it is too small to be told."""
        for closing in self.closings:
            for table in closing.tables:
                for number in self.numbers(table, closing.period):
                    yield {
                        "period": closing.period.name,
                        "from": closing.begun_on.isoformat(),
                        "to": (closing.period.end - dt.timedelta(days=1)).isoformat(),
                        "table": table,
                        "cell": number.cell,
                        "value": number.value,
                        "below": self._threshold if number.value is None else None,
                        "off_by": number.off_by,
                        "epsilon": closing.tables[table],
                    }


def newest_grain(report: Report, table: str) -> Grain | None:
    periods = report.periods(table)
    return periods[-1].grain if periods else None


def _closings(connection: Connection) -> Iterator[Closing]:
    rows = [
        Closing(period_named(row.period), row.profile, json.loads(row.tables), row.begun_on, row.lost)
        for row in connection.execute(select(t.closings))
    ]
    yield from sorted(rows, key=lambda closing: (closing.period.end, closing.period.start))


def _margin(usual: float, epsilons: Sequence[float], chance: float) -> float:
    """So far the newest number may lie above the mean of the others by noise and by chance: people come and go without any trend.

    `epsilons`: of the newest release first, then of those before. Half of the chance of a false alarm is given to the noise of the newest
    number, whose tail is longer than a bell's, half to everything else.
    """
    newest, *others = epsilons
    of_noise = half_width(newest, 1 - chance)
    quiet = sum(_variance(epsilon) for epsilon in others) / len(others) ** 2
    people = max(usual, 1.0) * (1 + 1 / len(others))
    return of_noise + NormalDist().inv_cdf(1 - chance / 2) * sqrt(quiet + people)


def _variance(epsilon: float) -> float:
    """Of discrete Laplace noise."""
    ratio = exp(-epsilon)
    return 2 * ratio / (1 - ratio) ** 2
