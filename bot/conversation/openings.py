"""When somebody will be there again, in words of the village: "8 giờ sáng thứ Hai"."""

import datetime as dt

from bot.content import Library, Text
from bot.messages import VIETNAM

SOON = 7  # days: a weekday alone says which


def in_words(library: Library, language: str, opening: dt.datetime, now: dt.datetime) -> str:
    """The hour and the day of `opening`, as one says them at `now`. Both are aware."""
    there = opening.astimezone(VIETNAM)
    said = _day(library, (there.date() - now.astimezone(VIETNAM).date()).days)
    return said.in_language(language).format(
        time=_time(library, language, there),
        day=library.hours.days[there.weekday()].in_language(language),
        date=there.day,
        month=there.month,
    )


def _day(library: Library, days_away: int) -> Text:
    when = library.hours.when
    if days_away < 2:
        return when.tomorrow if days_away else when.today
    return when.this_week if days_away < SOON else when.later


def _time(library: Library, language: str, there: dt.datetime) -> str:
    times = library.hours.time
    said = {0: times.sharp, 30: times.half}.get(there.minute, times.other)
    part = next(part for part in reversed(library.hours.parts) if part.start <= there.hour)
    hour = (there.hour - 1) % 12 + 1
    return said.in_language(language).format(hour=hour, minute=f"{there.minute:02}", part=part.in_language(language))
