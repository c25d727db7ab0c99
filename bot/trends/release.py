"""Closing a period: its noisy numbers are written down once, and everything else of it is destroyed in the same transaction."""

import datetime as dt
import json
import logging
from collections.abc import Sequence

from sqlalchemy import Connection, delete, insert, select

from bot.errors import TrendsError
from bot.store import trend_tables as t
from bot.trends.counters import OpenPeriod, TrendStore, all_open, open_period
from bot.trends.noise import noisy
from bot.trends.periods import Period

PATIENCE = dt.timedelta(days=1)  # so long a key is waited for: another machine may hold it, or it may be brought back

log = logging.getLogger("banduong")


def close_due(store: TrendStore, now: dt.datetime) -> list[Period]:
    """Closes every period whose hour has come, also when nobody was counted; which. May be called as often as one likes.

    One that cannot be closed keeps none of the others: only then comes its TrendsError.
    """
    with store.database.read() as connection:
        due = [opened.period for opened in all_open(connection) if is_due(store, opened.period, now)]
    closed, in_the_way = [], None
    for period in due:
        try:
            if close_period(store, period, also_lost=is_due(store, period, now - PATIENCE)):
                closed.append(period)
        except TrendsError as error:
            in_the_way = error
    if _destroy_keys(store, now) or closed:
        store.database.leave_nothing()
    if in_the_way:
        raise in_the_way
    return closed


def is_due(store: TrendStore, period: Period, now: dt.datetime) -> bool:
    return now >= period.over_at + store.closes_after


def close_period(store: TrendStore, period: Period, *, also_lost: bool = False) -> bool:
    """Whether it was this call that closed it. `also_lost`: where its key is gone, it is closed without a release."""
    with store.database.begin() as connection:
        opened = open_period(connection, period, hold=True)
        if opened is None:
            return False
        key = store.key_of(opened)
        if key is None:
            store.miss_key(period)
            if not also_lost:
                return False
        for table, epsilon in opened.tables.items() if key else ():
            counts = store.counts(connection, opened, key, table) if key else {}
            _release(connection, period, table, list(counts), noisy(list(counts.values()), epsilon), epsilon)
        _write_down(connection, opened, lost=key is None)
        _destroy_rows(connection, period)
    log.info("trends of %s are %s", period.name, "released" if key else "lost")
    return True


def abandon(store: TrendStore) -> list[Period]:
    """Destroys what is open without releasing it; which."""
    with store.database.begin() as connection:
        left = [opened.period for opened in all_open(connection)]
        for period in left:
            _destroy_rows(connection, period)
    for period in store.keys.all():
        store.keys.destroy(period)
    store.database.leave_nothing()
    return left


def _release(
    connection: Connection, period: Period, table: str, cells: Sequence[str], values: Sequence[int], epsilon: float
) -> None:
    rows = [
        {"period": period.name, "table_name": table, "cell": cell, "value": value, "epsilon": epsilon}
        for cell, value in zip(cells, values, strict=True)
    ]
    connection.execute(insert(t.releases), rows)


def _write_down(connection: Connection, opened: OpenPeriod, *, lost: bool) -> None:
    connection.execute(
        insert(t.closings).values(
            period=opened.period.name,
            profile=opened.profile,
            tables=json.dumps(dict(opened.tables), sort_keys=True),
            begun_on=opened.begun_on,
            lost=lost,
        )
    )


def _destroy_rows(connection: Connection, period: Period) -> None:
    connection.execute(delete(t.ledger).where(t.ledger.c.period == period.name))
    connection.execute(delete(t.counters).where(t.counters.c.period == period.name))
    connection.execute(delete(t.periods).where(t.periods.c.name == period.name))


def _destroy_keys(store: TrendStore, now: dt.datetime) -> bool:
    """Those of periods that are closed, also where a process died between the closing and this; whether there were any."""
    with store.database.read() as connection:
        still_open = set(connection.execute(select(t.periods.c.name)).scalars())
    done = [key for key in store.keys.all() if key.name not in still_open and is_due(store, key, now)]
    for period in done:
        store.keys.destroy(period)
    return bool(done)
