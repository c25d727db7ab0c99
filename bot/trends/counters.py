"""Counting: one person once a period and table, in one transaction, and nothing that could be traced.

`TrendStore.count` writes a keyed tag into the ledger of each period and adds one to one cell of each of its tables. Both are worthless without
the period's key, which lies outside the database (`bot.trends.keys`) and goes when the period is closed (`bot.trends.release`).
"""

import datetime as dt
import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, insert, select, update

from bot.content import Grain, Library
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


@dataclass(frozen=True)
class Promise:
    """What may ever be told of a quarter: table -> how often it is released, and the privacy loss of one release."""

    profile: str
    tables: Mapping[str, tuple[Grain, float]]


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
            for grain in GRAINS:
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

    @staticmethod
    def miss_key(period: Period) -> None:
        log.error(
            "the key of %s is not here: let bot.trends.keys name the same folder on all machines (docs/deployer.md); "
            "if it is gone, so is what was counted in that time",
            period.name,
        )

    def counts(self, connection: Connection, opened: OpenPeriod, key: PeriodKey, table: str) -> dict[str, int]:
        """The exact counts of an open period by cell, which nobody is ever shown. Its cells are those with which it was opened."""
        words, counts = self._read(connection, opened, key, table)
        return dict(zip(json.loads(words), counts, strict=True))

    def _count_in(self, connection: Connection, opened: OpenPeriod, who: str, seen: Observation) -> bool:
        """Where there is no key, nobody is counted."""
        cells = {table: self.cells.cell(table, seen) for table in opened.tables}
        key = self.key_of(opened)
        if key is None:
            self.miss_key(opened.period)
            return False
        if not insert_unless_there(connection, t.ledger, {"period": opened.period.name, "tag": key.tag(who)}):
            return False
        for table, cell in cells.items():
            self._add_one(connection, opened, key, table, cell)
        return True

    def _open(self, connection: Connection, period: Period, now: dt.datetime) -> None:
        promise = self._promise_of(connection, period.quarter)
        tables = {name: epsilon for name, (every, epsilon) in promise.tables.items() if every == period.grain}
        key = self.keys.find_or_make(period)
        row = {
            "name": period.name,
            "profile": promise.profile,
            "tables": json.dumps(tables, sort_keys=True),
            "key_check": key.check,
            "begun_on": max(period.start, now.astimezone(VIETNAM).date()),
        }
        if insert_unless_there(connection, t.periods, row):
            for table in tables:
                cells = self.cells.of[table]
                words = json.dumps(cells)
                sealed = key.seal([0] * len(cells), _place(period, table, words))
                connection.execute(
                    insert(t.counters).values(period=period.name, table_name=table, cells=words, sealed_counts=sealed)
                )

    def _promise_of(self, connection: Connection, quarter: Period) -> Promise:
        """What was promised when the first period of the quarter was opened; else what holds now is promised herewith."""
        tables = self.rules.profiles[self._profile].items()
        row = {
            "quarter": quarter.name,
            "profile": self._profile,
            "tables": json.dumps(
                {name: (table.every, table.epsilon) for name, table in tables if self._quarterly or table.every != "quarter"},
                sort_keys=True,
            ),
        }  # fmt: skip
        promised = select(t.promises).where(t.promises.c.quarter == quarter.name)
        found = connection.execute(promised).one_or_none()
        if found is None:
            insert_unless_there(connection, t.promises, row)
            found = connection.execute(promised).one()
        return Promise(found.profile, json.loads(found.tables))

    def _add_one(
        self, connection: Connection, opened: OpenPeriod, key: PeriodKey, table: str, cell: str | None
    ) -> None:
        """To nothing where the table has, or had when the period was opened, no such cell."""
        words, counts = self._read(connection, opened, key, table)
        names = json.loads(words)
        if cell in names:
            counts[names.index(cell)] += 1
            sealed = key.seal(counts, _place(opened.period, table, words))
            connection.execute(update(t.counters).where(*_own(opened.period, table)).values(sealed_counts=sealed))

    @staticmethod
    def _read(connection: Connection, opened: OpenPeriod, key: PeriodKey, table: str) -> tuple[str, list[int]]:
        """The cells of a table, as JSON, and their counts."""
        row = connection.execute(select(t.counters).where(*_own(opened.period, table))).one_or_none()
        if row is None:
            raise TrendsError("A counter was removed outside Bạn Đường: restore the trends' database.")
        return row.cells, key.open(row.sealed_counts, _place(opened.period, table, row.cells))


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


def _own(period: Period, table: str) -> tuple[ColumnElement[bool], ...]:
    return (t.counters.c.period == period.name, t.counters.c.table_name == table)


def _place(period: Period, table: str, cells: str) -> str:
    """What is sealed belongs here and to these cells, in this order."""
    return f"counters|{period.name}|{table}|{cells}"
