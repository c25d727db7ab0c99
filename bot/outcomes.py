"""How many messages came to what, by day: closed words and numbers, nothing of anybody."""

import datetime as dt
import functools
import secrets
from collections import Counter
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Column, Connection, delete, func, select

from bot.messages import VIETNAM
from bot.store.database import insert_of
from bot.store.tables import turn_tallies as tallies

SHARDS = 8  # rows of one day and outcome, so that turns on PostgreSQL seldom wait for each other
LIFE = dt.timedelta(days=30)


def note(connection: Connection, outcome: str, read_by: str, now: dt.datetime) -> None:
    """One more of those that this model has read. It comes last in its transaction: until the commit others wait for this row."""
    row = {"day": _day(now), "outcome": outcome, "read_by": read_by, "shard": secrets.randbelow(SHARDS), "count": 1}
    connection.execute(_one_more(connection.dialect.name), row)


def lately(connection: Connection, now: dt.datetime, days: int) -> Mapping[str, int]:
    """Outcome -> how many, of the last days with today."""
    return _counted(connection, tallies.c.outcome, now, days)


def read_by(connection: Connection, now: dt.datetime, days: int) -> Mapping[str, int]:
    """Model -> how many messages it has read, of the last days with today."""
    return _counted(connection, tallies.c.read_by, now, days)


def _counted(connection: Connection, column: Column[str], now: dt.datetime, days: int) -> Mapping[str, int]:
    wanted = select(column, func.sum(tallies.c.count)).where(tallies.c.day > _day(now) - dt.timedelta(days=days))
    return Counter({row[0]: int(row[1]) for row in connection.execute(wanted.group_by(column))})


def purge(connection: Connection, now: dt.datetime) -> None:
    connection.execute(delete(tallies).where(tallies.c.day <= _day(now) - LIFE))


@functools.cache
def _one_more(dialect: str) -> Any:
    statement = insert_of(dialect, tallies)
    return statement.on_conflict_do_update(
        index_elements=["day", "outcome", "read_by", "shard"], set_={"count": tallies.c.count + 1}
    )


def _day(now: dt.datetime) -> dt.date:
    return now.astimezone(VIETNAM).date()
