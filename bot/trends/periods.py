"""Weeks, months and quarters by Viet Nam's calendar."""

import datetime as dt
import re
from dataclasses import dataclass
from typing import get_args

from bot.content import Grain
from bot.messages import VIETNAM

GRAINS: tuple[Grain, ...] = get_args(Grain)
_NAME = re.compile(r"(\d{4})-(?:W(\d{2})|Q([1-4])|(\d{2}))")


@dataclass(frozen=True)
class Period:
    """`start` is its first day, `end` the first day after it. A week is one of ISO 8601."""

    grain: Grain
    start: dt.date
    end: dt.date

    @property
    def name(self) -> str:
        """As "2026-W47", "2026-11" or "2026-Q4"."""
        if self.grain == "week":
            year, week, _ = self.start.isocalendar()
            return f"{year}-W{week:02}"
        if self.grain == "month":
            return f"{self.start:%Y-%m}"
        return f"{self.start.year}-Q{(self.start.month + 2) // 3}"

    @property
    def days(self) -> int:
        return (self.end - self.start).days

    @property
    def over_at(self) -> dt.datetime:
        """The midnight with which it ends, in UTC."""
        return dt.datetime.combine(self.end, dt.time(), VIETNAM).astimezone(dt.UTC)

    @property
    def following(self) -> "Period":
        return period_on(self.grain, self.end)

    @property
    def before(self) -> "Period":
        return period_on(self.grain, self.start - dt.timedelta(days=1))

    @property
    def quarter(self) -> "Period":
        """The quarter that it counts for: a week belongs to that of its Thursday."""
        middle = self.start + dt.timedelta(days=3) if self.grain == "week" else self.start
        return period_on("quarter", middle)


def period_of(grain: Grain, moment: dt.datetime) -> Period:
    return period_on(grain, moment.astimezone(VIETNAM).date())


def period_on(grain: Grain, day: dt.date) -> Period:
    if grain == "week":
        start = day - dt.timedelta(days=day.weekday())
        return Period(grain, start, start + dt.timedelta(days=7))
    months = 1 if grain == "month" else 3
    start = day.replace(month=(day.month - 1) // months * months + 1, day=1)
    return Period(grain, start, (start + dt.timedelta(days=31 * months)).replace(day=1))


def period_named(name: str) -> Period:
    """ValueError where it is no name of a period."""
    match = _NAME.fullmatch(name)
    if match is None:
        raise ValueError(name)
    year, week, quarter, month = match.groups()
    if week:
        return period_on("week", dt.date.fromisocalendar(int(year), int(week), 1))
    if quarter:
        return period_on("quarter", dt.date(int(year), int(quarter) * 3 - 2, 1))
    return period_on("month", dt.date(int(year), int(month), 1))


def weeks_of(quarter: Period) -> list[Period]:
    """The weeks that count for a quarter: thirteen, or fourteen once in five or six years."""
    week = period_on("week", quarter.start - dt.timedelta(days=7))
    weeks = []
    while week.quarter.start <= quarter.start:
        if week.quarter == quarter:
            weeks.append(week)
        week = week.following
    return weeks
