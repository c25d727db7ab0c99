"""Trends for tests: a store of them, people who are counted, and what stands there afterwards."""

import datetime as dt
import functools
import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Table, func, select

from bot.app import App
from bot.config import TrendsConfig
from bot.content import Library
from bot.observations import ABROAD, UNKNOWN, Observation
from bot.store import trend_tables as t
from bot.store.trend_database import TrendDatabase, trend_url
from bot.trends.counters import TrendStore, all_open, open_period
from bot.trends.keys import PeriodKeys
from bot.trends.periods import Period, period_named, period_of
from bot.trends.release import close_due
from tests.conftest import ROOT

MONDAY = dt.datetime(2026, 11, 23, 3, 0, tzinfo=dt.UTC)  # ten in the morning in Viet Nam, in 2026-W48
WEEK, MONTH, QUARTER = "2026-W48", "2026-11", "2026-Q4"  # of that morning
DAY = dt.timedelta(days=1)
LATER = dt.timedelta(days=120)  # all of them are closed by then
OFFER = Observation("high", "neighbours", "N04", "pay")
FOR_EVERYBODY = ("risk", "topic", "province", "province_topic", "flag")  # region_topic leaves out who told no province

# What a server's administrator does once so that trends have a role of their own; docs/deployer.md says the same.
ROLE_SQL = (
    "CREATE ROLE {role} LOGIN PASSWORD '{password}'",
    "CREATE SCHEMA trends AUTHORIZATION {role}",
)


@functools.cache
def library() -> Library:
    return Library(ROOT / "content")


def open_store(
    home: Path,
    url: str | None = None,
    *,
    profile: str = "standard",
    quarterly: bool = True,
    words: Library | None = None,
    keys: Path | None = None,
) -> TrendStore:
    """A store of trends below `home`, or on a server; who gives the same home again opens the same one."""
    home.mkdir(parents=True, exist_ok=True)
    database = TrendDatabase(trend_url(url or "sqlite:///", home))
    return TrendStore(
        database, PeriodKeys(keys or home / "trend-keys"), words or library(), profile, quarterly=quarterly
    )


def counting(house: App, profile: str = "standard") -> App:
    """A house that counts from now on."""
    bot = house.config.bot.model_copy(update={"trends": TrendsConfig.model_validate({"profile": profile})})
    house.config = house.config.model_copy(update={"bot": bot})
    return house


def somebody(draw: random.Random, words: Library | None = None) -> Observation:
    """What anybody may be counted as."""
    all_words = (words or library()).trends
    places = [*(code for region in all_words.regions for code in region.tiles), ABROAD, UNKNOWN]
    return Observation(
        draw.choice(all_words.risks).id, draw.choice(all_words.topics).id, draw.choice(places),
        draw.choice(all_words.flags).id,
    )  # fmt: skip


def count_people(store: TrendStore, at: dt.datetime, people: int = 40, seed: int = 1) -> None:
    draw = random.Random(seed)
    store.open_periods(at)
    for number in range(people):
        assert store.count(f"web|{number}", somebody(draw), at)


def close_all(store: TrendStore) -> list[Period]:
    return close_due(store, MONDAY + LATER)


def closing_hour(store: TrendStore, name: str) -> dt.datetime:
    return period_named(name).over_at + store.closes_after


def moments_of(quarter: Period) -> Iterator[dt.datetime]:
    """A moment of each day of the quarter and of the weeks that count for it."""
    first = dt.datetime.combine(quarter.start, dt.time(4), dt.UTC) - 3 * DAY
    for day in range((quarter.end - quarter.start).days + 6):
        yield first + day * DAY


# -- what stands there -------------------------------------------------------------------------------------------------


def exact(store: TrendStore, name: str) -> dict[str, dict[str, int]]:
    """The counters of an open period: table -> cell -> people."""
    with store.database.read() as connection:
        opened = open_period(connection, period_named(name))
        assert opened
        key = store.key_of(opened)
        assert key
        return {table: store.counts(connection, opened, key, table) for table in opened.tables}


def somewhere(counts: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, int]]:
    """Of these counters those cells in which there is anybody."""
    return {table: {cell: count for cell, count in cells.items() if count} for table, cells in counts.items()}


def rows(store: TrendStore, table: Table) -> list[tuple[Any, ...]]:
    with store.database.read() as connection:
        return sorted((tuple(row) for row in connection.execute(select(table))), key=repr)


def released(store: TrendStore) -> bytes:
    """Everything that stays, byte by byte."""
    return repr([rows(store, table) for table in t.KEPT]).encode()


def cells_released(store: TrendStore) -> dict[tuple[str, str], int]:
    """(period, table) -> how many cells were released."""
    grouped = select(t.releases.c.period, t.releases.c.table_name, func.count()).group_by(
        t.releases.c.period, t.releases.c.table_name
    )
    with store.database.read() as connection:
        return {(period, table): count for period, table, count in connection.execute(grouped)}


def open_names(store: TrendStore) -> set[str]:
    with store.database.read() as connection:
        return {opened.period.name for opened in all_open(connection)}


def key_files(store: TrendStore) -> set[str]:
    return {period.name for period in store.keys.all()}


def disagreements(store: TrendStore) -> list[str]:
    """Where the ledger and a table of counts do not tell the same number of people. Everything of a period is read at one moment."""
    found = []
    with store.database.read() as connection:
        for opened in all_open(connection):
            key = store.key_of(opened)
            assert key, f"no key of {opened.period.name}"
            own = t.ledger.c.period == opened.period.name
            people = connection.execute(select(func.count()).select_from(t.ledger).where(own)).scalar_one()
            for table in opened.tables:
                counted = sum(store.counts(connection, opened, key, table).values())
                if counted != people if table in FOR_EVERYBODY else counted > people:
                    found.append(f"{opened.period.name} {table}: {counted} of {people}")
    return found


def names_of(moment: dt.datetime) -> Sequence[str]:
    return [period_of(grain, moment).name for grain in ("week", "month", "quarter")]
