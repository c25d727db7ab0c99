"""Counting: one person once a period and table, in one transaction, and nothing that could be traced.

`TrendStore.count` writes a keyed tag into the ledger of each period and adds one to one cell of each of its tables. Both are worthless without
the period's key, which lies outside the database (`bot.trends.keys`) and goes when the period is closed (`bot.trends.release`).
"""

import datetime as dt
import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select, update

from bot.content import Library
from bot.errors import TrendsError
from bot.messages import VIETNAM
from bot.observations import Observation
from bot.store import trend_tables as t
from bot.store.database import insert_unless_there
from bot.store.trend_database import TrendDatabase
from bot.trends.cells import Cells
from bot.trends.keys import PeriodKey, PeriodKeys
from bot.trends.periods import GRAINS, Period, period_named, period_of

log = logging.getLogger("banduong")


@dataclass(frozen=True)
class OpenPeriod:
    """A period that is being counted, with what was promised of it: table -> epsilon."""

    period: Period
    profile: str
    tables: Mapping[str, float]
    key_check: bytes
    begun_on: dt.date


class TrendStore:
    """What is counted and what was released. `quarterly`: whether there are tables of a whole quarter."""

    def __init__(
        self, database: TrendDatabase, keys: PeriodKeys, library: Library, profile: str, *, quarterly: bool = True
    ) -> None:
        self.database = database
        self.keys = keys
        self.cells = Cells(library)
        self.rules = library.trend_rules
        self.closes_after = dt.timedelta(hours=self.rules.closes_after_hours)
        self._profile = profile
        self._quarterly = quarterly

    def open_periods(self, now: dt.datetime) -> None:
        """Those of today, whether anybody is counted in them or not: that a period is there tells nothing."""
        with self.database.begin() as connection:
            for grain in reversed(GRAINS):  # the quarter decides on the profile
                period = period_of(grain, now)
                if open_period(connection, period) is None and not is_closed(connection, period):
                    self._open(connection, period, now)

    def count(self, who: str, seen: Observation, at: dt.datetime) -> bool:
        """Counts what a person was seen with `at` a moment; whether it changed anything. `who` is not kept.

        A period that is closed takes nobody any more: who comes late is not counted in it.
        """
        counted = False
        with self.database.begin() as connection:
            for grain in GRAINS:
                period = period_of(grain, at)
                opened = open_period(connection, period, hold=True)
                if opened and opened.tables:
                    counted |= self._count_in(connection, opened, who, seen)
        return counted

    def key_of(self, opened: OpenPeriod) -> PeriodKey | None:
        """None where it is lost. TrendsError where this machine holds another than the one that counts."""
        key = self.keys.find(opened.period)
        if key and key.check != opened.key_check:
            raise TrendsError(
                "Another machine counts trends with other keys: let bot.trends.keys name the same folder on all of them (docs/deployer.md)."
            )
        return key

    def counts(self, connection: Connection, opened: OpenPeriod, key: PeriodKey, table: str) -> list[int]:
        """The exact counts of an open period, which nobody is ever shown."""
        own = (t.counters.c.period == opened.period.name, t.counters.c.table_name == table)
        sealed = connection.execute(select(t.counters.c.sealed_counts).where(*own)).scalar_one()
        return key.open(sealed, _place(opened.period, table))

    def _count_in(self, connection: Connection, opened: OpenPeriod, who: str, seen: Observation) -> bool:
        key = self.key_of(opened)
        if key is None:
            raise TrendsError(f"The key of {opened.period.name} is gone: what was counted in it is lost.")
        places = {table: self.cells.place(table, seen) for table in opened.tables}
        if not insert_unless_there(connection, t.ledger, {"period": opened.period.name, "tag": key.tag(who)}):
            return False
        for table, place in places.items():
            if place is not None:
                counts = self.counts(connection, opened, key, table)
                counts[place] += 1
                self._write(connection, opened.period, key, table, counts)
        return True

    def _open(self, connection: Connection, period: Period, now: dt.datetime) -> None:
        profile = self._profile_of(connection, period)
        key = self.keys.find_or_make(period)
        row = {
            "name": period.name,
            "profile": profile,
            "tables": json.dumps(self._tables(profile, period), sort_keys=True),
            "key_check": key.check,
            "begun_on": max(period.start, now.astimezone(VIETNAM).date()),
        }
        if insert_unless_there(connection, t.periods, row):
            for table in self._tables(profile, period):
                counts = [0] * len(self.cells.of[table])
                sealed = key.seal(counts, _place(period, table))
                row = {"period": period.name, "table_name": table, "sealed_counts": sealed}
                connection.execute(insert(t.counters).values(row))

    def _profile_of(self, connection: Connection, period: Period) -> str:
        """The one with which its quarter was opened: a promise holds for a whole quarter."""
        of_quarter = select(t.periods.c.profile).where(t.periods.c.name == period.quarter.name)
        return connection.execute(of_quarter).scalar() or self._profile

    def _tables(self, profile: str, period: Period) -> dict[str, float]:
        return {
            name: table.epsilon
            for name, table in self.rules.profiles[profile].items()
            if table.every == period.grain and (self._quarterly or period.grain != "quarter")
        }

    @staticmethod
    def _write(connection: Connection, period: Period, key: PeriodKey, table: str, counts: list[int]) -> None:
        own = (t.counters.c.period == period.name, t.counters.c.table_name == table)
        sealed = key.seal(counts, _place(period, table))
        connection.execute(update(t.counters).where(*own).values(sealed_counts=sealed))


def all_open(connection: Connection) -> Iterator[OpenPeriod]:
    for row in connection.execute(select(t.periods).order_by(t.periods.c.name)):
        tables = json.loads(row.tables)
        yield OpenPeriod(period_named(row.name), row.profile, tables, row.key_check, row.begun_on)


def is_closed(connection: Connection, period: Period) -> bool:
    closed = select(t.closings.c.period).where(t.closings.c.period == period.name)
    return connection.execute(closed).scalar() is not None


def open_period(connection: Connection, period: Period, *, hold: bool = False) -> OpenPeriod | None:
    """`hold`: nobody else counts in it or closes it meanwhile."""
    own = select(t.periods).where(t.periods.c.name == period.name)
    row = connection.execute(own.with_for_update() if hold else own).one_or_none()
    if row is None:
        return None
    return OpenPeriod(period, row.profile, json.loads(row.tables), row.key_check, row.begun_on)


def _place(period: Period, table: str) -> str:
    return f"counters|{period.name}|{table}"
