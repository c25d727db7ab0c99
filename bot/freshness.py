"""What of content/ has fallen silent, and what soon will: for editors, the worst first."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from bot.content import Answer, Library, Text, placeholders

SOON = dt.timedelta(days=30)

Kind = Literal["answer", "number", "alert"]
State = Literal["silent", "overdue", "soon"]
_ORDER: tuple[State, ...] = ("silent", "overdue", "soon")


@dataclass(frozen=True)
class Ageing:
    """`state`: no longer sent; sent all the same, though its check is overdue; or soon one of the two, after `day`. `file`: below content/.
    `because`: the number that keeps an answer silent whose own check is not overdue."""

    kind: Kind
    id: str
    title: Text
    day: dt.date
    state: State
    file: str
    because: str | None = None


def ageing(library: Library, today: dt.date) -> list[Ageing]:
    """Sorted by what has happened, then by day."""
    found = [*_numbers(library, today), *_answers(library, today), *_alerts(library, today)]
    return sorted(found, key=lambda one: (_ORDER.index(one.state), one.day, one.kind, one.id))


def _numbers(library: Library, today: dt.date) -> Iterator[Ageing]:
    for one in library.hotlines.values():
        if state := _state(one.expires, today, never_silent=one.never_silent):
            yield Ageing("number", one.id, one.name, one.expires, state, "hotlines.yml")


def _answers(library: Library, today: dt.date) -> Iterator[Ageing]:
    """An answer is as old as the oldest number in it."""
    for one in library.answers.values():
        file = f"answers/{one.topic}.yml"
        stale = _stale_number(library, one, today)
        if state := _state(one.expires, today):
            yield Ageing("answer", one.id, one.title, one.expires, state, file)
        elif stale:
            day = library.hotlines[stale].expires
            yield Ageing("answer", one.id, one.title, day, "silent", file, because=stale)


def _stale_number(library: Library, answer: Answer, today: dt.date) -> str | None:
    numbers = [library.hotlines[name] for name in placeholders(answer) if name in library.hotlines]
    stale = sorted((one.expires, one.id) for one in numbers if not one.is_fresh(today))
    return stale[0][1] if stale else None


def _alerts(library: Library, today: dt.date) -> Iterator[Ageing]:
    for one in library.alerts.values():
        if state := _state(one.expires, today):
            yield Ageing("alert", one.id, one.title, one.expires, state, "alerts/")


def _state(expires: dt.date, today: dt.date, *, never_silent: bool = False) -> State | None:
    if today > expires:
        return "overdue" if never_silent else "silent"
    return "soon" if expires - today <= SOON else None
