"""When somebody will be there again, in words of the village: "8 giờ sáng thứ Hai"."""

import datetime as dt

from bot.content import Library
from bot.messages import VIETNAM

SOON = 7  # days: a weekday alone says which


def in_words(library: Library, language: str, opening: dt.datetime, now: dt.datetime) -> str:
    """The hour and the day of `opening`, as one says them at `now`. Both are aware."""
    there = opening.astimezone(VIETNAM)
    away = (there.date() - now.astimezone(VIETNAM).date()).days
    name = ("today", "tomorrow")[away] if away < 2 else "this_week" if away < SOON else "later"
    return (
        library.hours.when[name]
        .in_language(language)
        .format(
            time=_time(library, language, there),
            day=library.hours.days[there.weekday()].in_language(language),
            date=there.day,
            month=there.month,
        )
    )


def _time(library: Library, language: str, there: dt.datetime) -> str:
    said = library.hours.time[{0: "sharp", 30: "half"}.get(there.minute, "other")]
    part = next(part for part in reversed(library.hours.parts) if part.start <= there.hour)
    hour = (there.hour - 1) % 12 + 1
    return said.in_language(language).format(hour=hour, minute=f"{there.minute:02}", part=part.in_language(language))
