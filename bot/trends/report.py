"""What was released, as people may see it: every number with how far it may be off, small ones as "fewer than 11", and what rose beyond chance.

Everything here is made from the released rows alone, so that no view tells more than another.
"""

import datetime as dt
import json
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from math import erfc, exp, sqrt

from sqlalchemy import Connection, select

from bot.content import Grain, TrendRules
from bot.store import trend_tables as t
from bot.trends.budget import Statement, half_width, statement
from bot.trends.periods import Period, period_named, period_of

FALSE_ALARMS = 0.05  # in at most so many periods of a table some cell is said to rise that does not
AIMED_AT = 0.6 * FALSE_ALARMS  # as reckoned: counts are a little more lopsided than the bell that stands for them
BEFORE = 4  # periods with which the newest one is compared
_FLAT = 20  # a bell so many times as wide as the noise swallows it


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
    """A cell that rose beyond what noise and chance explain.

    `usual`: what the periods before let expect of one as long as this; None where that, or the number of one of them, is below the threshold.
    `at_least`: it rose by so many or more, seen from `usual`, or from the most that it may be.
    """

    number: Number
    usual: int | None
    at_least: int

    @property
    def more(self) -> int | None:
        return None if self.usual is None else (self.number.value or 0) - self.usual


class Report:
    """All releases of a store, read at once."""

    def __init__(self, connection: Connection, threshold: int) -> None:
        self.threshold = threshold
        self.closings = tuple(_closings(connection))
        self._values: dict[tuple[str, str], dict[str, int]] = {}
        self._epsilons: dict[tuple[str, str], float] = {}
        for row in connection.execute(select(t.releases).order_by(*t.releases.primary_key)):
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
        """Every cell of a table, by name."""
        values = self._values.get((table, period.name), {})
        return tuple(self.number(table, period, cell) for cell in values)

    def number(self, table: str, period: Period, cell: str) -> Number:
        value = self._values[table, period.name][cell]
        off_by = half_width(self._epsilons[table, period.name])
        return Number(period, table, cell, value if value >= self.threshold else None, off_by)

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
        found = (self._rise(table, cell, newest, before) for cell in cells or self._values[table, newest.name])
        return tuple(sorted(filter(None, found), key=lambda rise: -rise.at_least))

    def _rise(self, table: str, cell: str, newest: Period, before: Sequence[Period]) -> Rise | None:
        number = self.number(table, newest, cell)
        earlier = [self._values[table, period.name].get(cell) for period in before]
        known = [value for value in earlier if value is not None]
        if number.value is None or len(known) < len(earlier):
            return None
        part = newest.days / sum(period.days for period in before)
        epsilons = [self._epsilons[table, period.name] for period in (newest, *before)]
        told = [max(value, self.threshold - 1) for value in known]  # a rise, too, is made of what is shown alone
        beyond = beyond_chance(number.value, told, part, epsilons, cells=len(self._values[table, newest.name]))
        if beyond is None:
            return None
        usual, margin = beyond
        hidden = min(known) < self.threshold or round(usual) < self.threshold
        return Rise(number, None if hidden else round(usual), max(1, round(number.value - usual - margin)))

    def promised(self, rules: TrendRules, profile: str, now: dt.datetime, *, quarterly: bool) -> Statement | None:
        """By the profile of what was released last; before that, by the one that counts; None where nothing does."""
        last = self.closings[-1] if self.closings else None
        profile = last.profile if last else profile
        if profile not in rules.profiles:
            return None
        quarter = last.period.quarter if last else period_of("quarter", now)
        return statement(rules, profile, quarter, quarterly=quarterly)

    def rows(self) -> Iterator[dict[str, object]]:
        """Every number for an export, oldest first; where it is too small to be told, only that it is `below` the threshold."""
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
                        "below": self.threshold if number.value is None else None,
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


def beyond_chance(
    newest: int, before: Sequence[int], part: float, epsilons: Sequence[float], *, cells: int
) -> tuple[float, float] | None:
    """(what was to be expected, by how much chance alone may exceed it) where the newest number exceeds it by more; else None.

    `part`, `epsilons`: as in `ByChance`; `cells`: of the table, each of which could raise a false alarm.
    """
    usual = max(0.0, part * sum(before))
    by_chance = ByChance((newest + sum(before)) * part / (1 + part), part, epsilons)
    if newest <= usual or by_chance.above(newest - usual) >= AIMED_AT / cells:
        return None
    return usual, by_chance.margin(AIMED_AT / cells)


class ByChance:
    """How far the newest number may lie above what the ones before let expect, where nothing has changed.

    People come and go without any trend: by as many as the root of their number, which is best known from all the periods together. Every
    number carries the noise of its release. That of the newest one has a longer tail than a bell and is reckoned with exactly; that of the
    others is averaged, and a bell together with the people. `usual`: people in a period like the newest one; `part`: its days for one day of
    the others; `epsilons`: of the newest release first, then of those before.
    """

    def __init__(self, usual: float, part: float, epsilons: Sequence[float]) -> None:
        newest, *others = epsilons
        people = max(usual, 1.0) * (1 + part)
        self._spread = sqrt(people + part**2 * sum(map(_variance, others)))
        self._scale = 1 / newest

    def above(self, more: float) -> float:
        """The chance of so many more people than expected, or of still more."""
        least = more - 0.5  # people are counted in whole ones
        if self._spread > _FLAT * self._scale:
            return _bell(-least / sqrt(self._spread**2 + 2 * self._scale**2))
        return _bell(-least / self._spread) + (self._tail(least) - self._tail(-least)) / 2

    def margin(self, chance: float) -> float:
        """By so many more only with this chance."""
        low, high = 0.0, 12 * (self._spread + self._scale)
        while high - low > 0.1:
            middle = (low + high) / 2
            low, high = (middle, high) if self.above(middle) > chance else (low, middle)
        return high

    def _tail(self, least: float) -> float:
        """What one side of Laplace noise adds to the bell beyond here."""
        steep = self._spread / self._scale
        bell = _bell(least / self._spread - steep)
        return bell and bell * exp(steep**2 / 2 - least / self._scale)


def _bell(height: float) -> float:
    """The share of a bell that lies below."""
    return erfc(-height / sqrt(2)) / 2


def _variance(epsilon: float) -> float:
    """Of discrete Laplace noise."""
    ratio = exp(-epsilon)
    return 2 * ratio / (1 - ratio) ** 2
