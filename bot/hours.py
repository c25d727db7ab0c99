"""When people read the queue: the week's hours, in the time of Viet Nam, and the days on which nobody is there."""

import datetime as dt
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from bot.messages import VIETNAM

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MINUTES = 24 * 60  # of a day
ALL_DAY = ((0, MINUTES),)
ROUND_THE_CLOCK = "24/7"

_SPAN = re.compile(r"\s*([01]?\d|2[0-4]):([0-5]\d)\s*-\s*([01]?\d|2[0-4]):([0-5]\d)\s*")

Spans = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Hours:
    """`week`: from Monday on, the spans of each day as minutes from its midnight, in order and apart; at least one.

    Moments are aware datetimes; what comes back is in UTC. Viet Nam has no summer time.
    """

    week: tuple[Spans, ...] = (ALL_DAY,) * 7
    holidays: frozenset[dt.date] = frozenset()

    def __post_init__(self) -> None:
        if not any(self.week):
            raise ValueError("name at least one day with its hours")

    def is_open(self, moment: dt.datetime) -> bool:
        return self.next_opening(moment) == moment

    def next_opening(self, moment: dt.datetime) -> dt.datetime:
        """The first open moment that is not before `moment`: `moment` itself where it is open."""
        return next(max(opens, moment) for opens, closes in self._spans(moment) if closes > moment).astimezone(dt.UTC)

    def _spans(self, moment: dt.datetime) -> Iterator[tuple[dt.datetime, dt.datetime]]:
        """Every open span from the day of `moment` on."""
        midnight = dt.datetime.combine(moment.astimezone(VIETNAM), dt.time(), VIETNAM)
        while True:
            if midnight.date() not in self.holidays:
                for opens, closes in self.week[midnight.weekday()]:
                    yield midnight + dt.timedelta(minutes=opens), midnight + dt.timedelta(minutes=closes)
            midnight += dt.timedelta(days=1)


ALWAYS = Hours()
SATURDAY = 5


def working_days_later(moment: dt.datetime, count: int, holidays: Collection[dt.date]) -> dt.date:
    """The day in Viet Nam by which `count` working days after the day of `moment` are over."""
    day = moment.astimezone(VIETNAM).date()
    while count:
        day += dt.timedelta(days=1)
        count -= day.weekday() < SATURDAY and day not in holidays
    return day


def read_week(written: str | Mapping[str, str]) -> tuple[Spans, ...]:
    """The week as config.yml writes it: "24/7", or {"mon-fri": "08:00-11:30, 13:00-17:30", "sat": "08:00-12:00"}. ValueError says what is wrong."""
    if isinstance(written, str):
        if written != ROUND_THE_CLOCK:
            raise ValueError('write "24/7", or days with their hours such as mon-fri: "08:00-17:30"')
        return ALWAYS.week
    week: list[Spans] = [()] * 7
    for days, spans in written.items():
        for day in _days(days):
            if week[day]:
                raise ValueError(f"{DAYS[day]} is named twice")
            week[day] = _day(spans)
    return Hours(tuple(week)).week


def _days(written: str) -> range:
    first, _, last = written.partition("-")
    if first not in DAYS or (last or first) not in DAYS or DAYS.index(last or first) < DAYS.index(first):
        raise ValueError(
            f"'{written}' is no day: write mon, tue, wed, thu, fri, sat, sun, or two of them such as mon-fri"
        )
    return range(DAYS.index(first), DAYS.index(last or first) + 1)


def _day(written: str) -> Spans:
    """The spans in order; those that touch are one."""
    spans: list[tuple[int, int]] = []
    for opens, closes in sorted(map(_span, written.split(","))):
        if spans and opens <= spans[-1][1]:
            opens, closes = spans[-1][0], max(closes, spans.pop()[1])
        spans.append((opens, closes))
    return tuple(spans)


def _span(written: str) -> tuple[int, int]:
    found = _SPAN.fullmatch(written)
    opens, closes = (int(found[1]) * 60 + int(found[2]), int(found[3]) * 60 + int(found[4])) if found else (0, 0)
    if not opens < closes <= MINUTES:
        raise ValueError(
            f"'{written.strip()}' is no span of a day: write 08:00-17:30; what goes past midnight is 22:00-24:00 and 00:00-06:00"
        )
    return opens, closes
