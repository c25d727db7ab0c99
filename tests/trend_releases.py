"""Releases of trends as they would have been drawn, for tests of what is made from them."""

import datetime as dt
import json
from collections.abc import Mapping, Sequence

from sqlalchemy import insert

from bot.store import trend_tables as t
from bot.store.trend_database import TrendDatabase
from bot.trends.periods import period_named
from bot.trends.report import Report

EPSILON = 0.25
THRESHOLD = 11


def release(
    database: TrendDatabase,
    period: str,
    tables: Mapping[str, Mapping[str, int]],
    *,
    epsilon: float = EPSILON,
    profile: str = "standard",
    begun_on: dt.date | None = None,
    lost: bool = False,
) -> None:
    """Closes a period with these numbers. `lost`: with none."""
    row = {
        "period": period, "profile": profile, "tables": json.dumps(dict.fromkeys(tables, epsilon)),
        "begun_on": begun_on or period_named(period).start, "lost": lost,
    }  # fmt: skip
    numbers = [
        {"period": period, "table_name": table, "cell": cell, "value": value, "epsilon": epsilon}
        for table, values in tables.items()
        for cell, value in values.items()
    ]
    with database.begin() as connection:
        connection.execute(insert(t.closings).values(row))
        if numbers and not lost:
            connection.execute(insert(t.releases), numbers)


def weekly(database: TrendDatabase, table: str, cells: Mapping[str, Sequence[int]], first: str = "2026-W40") -> None:
    """Week after week, one number of each cell."""
    period = period_named(first)
    for number in range(len(next(iter(cells.values())))):
        release(database, period.name, {table: {cell: values[number] for cell, values in cells.items()}})
        period = period.following


def report_of(database: TrendDatabase) -> Report:
    with database.read() as connection:
        return Report(connection, THRESHOLD)
