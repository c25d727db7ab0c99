"""For tests, ours and a deployer's: dialogs as data, played against the real engine on a clock of their own.

A dialog file (tests/dialogs/*.yml, or what `banduong chat --record` writes) is a list of talks:

    - about: a young man asks about lottery work in Thailand
      channel: terminal
      hours: {mon-fri: "08:00-17:30"}  # when the queue is read, as in config.yml; left out: as config.yml has it
      talk:
      - say: di thai ban ve so luong 20tr/thang
        hear: [intro, offer_high]      # names of the replies, in order
        contains: ["Lương hứa cao"]    # words that stand in them
        lacks: ["an toàn"]             # words that do not
        events: [CaseRequested]        # what the turn caused; an empty list: nothing
        kind: offer                    # how it was understood
        flags: [unrealistic_pay]       # these at least
      - say: "2"
        after: 12m                     # time since the message before (s, m or h)
"""

import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from bot.app import App
from bot.conversation.policy import Policy
from bot.conversation.state import Turn
from bot.hours import Hours, read_week
from bot.understanding.reading import Understanding
from bot.yaml_files import load_yaml

START = dt.datetime(2026, 11, 21, 3, 0, tzinfo=dt.UTC)
BETWEEN_MESSAGES = dt.timedelta(seconds=20)

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours"}


class Line(BaseModel):
    """One message and what must come of it; a field that is left out is not looked at."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    say: str
    after: str | None = None
    media: bool = False
    hear: tuple[str, ...] | None = None
    contains: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    events: tuple[str, ...] | None = None
    kind: str | None = None
    topic: str | None = None
    flags: tuple[str, ...] = ()


class Dialog(BaseModel):
    """`ids`: the safety rows that the talk shows."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    about: str
    ids: tuple[str, ...] = ()
    channel: Literal["terminal", "web", "sms", "telegram"] = "terminal"
    hours: str | dict[str, str] | None = None
    talk: tuple[Line, ...]


class FakeClock:
    """A clock that moves when it is told to."""

    def __init__(self, now: dt.datetime = START) -> None:
        self.now = now

    def __call__(self) -> dt.datetime:
        return self.now

    def advance(self, by: dt.timedelta) -> dt.datetime:
        self.now += by
        return self.now


def read_dialogs(path: Path) -> list[Dialog]:
    return [Dialog.model_validate(row) for row in load_yaml(path)]


def play(dialog: Dialog, house: App) -> list[str]:
    """Every difference between what should be heard and what is, in words."""
    rehearsal = house.rehearsal(dialog.channel)
    if dialog.hours:
        hours = Hours(read_week(dialog.hours))
        rehearsal.policy = Policy(house.library, replace(house.policy.settings, staffed=True, hours=hours))
    clock = FakeClock()
    problems = []
    for number, line in enumerate(dialog.talk, 1):
        clock.advance(_pause(line.after))
        reading, turn = rehearsal.say(line.say, clock(), has_media=line.media)
        text = "\n".join(rehearsal.rendered(turn))
        problems += [
            f"line {number} ('{line.say[:40]}'): {problem}" for problem in _differences(line, reading, turn, text)
        ]
    return problems


def _pause(after: str | None) -> dt.timedelta:
    if after is None:
        return BETWEEN_MESSAGES
    match = re.fullmatch(r"(\d+)([smh])", after)
    if match is None:
        raise ValueError(f"'{after}' is no pause: write 30s, 12m or 2h")
    return dt.timedelta(**{_UNITS[match[2]]: int(match[1])})


def _differences(line: Line, reading: Understanding, turn: Turn, text: str) -> Iterator[str]:
    heard = tuple(reply.name for reply in turn.replies)
    if line.hear is not None and heard != line.hear:
        yield f"heard {list(heard)}, not {list(line.hear)}"
    events = tuple(type(event).__name__ for event in turn.events)
    if line.events is not None and events != line.events:
        yield f"caused {list(events)}, not {list(line.events)}"
    yield from (f"lacks '{words}' in: {text[:300]}" for words in line.contains if words not in text)
    yield from (f"says '{words}' in: {text[:300]}" for words in line.lacks if words in text)
    if line.kind and reading.kind != line.kind:
        yield f"understood as {reading.kind}, not {line.kind}"
    if line.topic and reading.topic != line.topic:
        yield f"understood as topic {reading.topic}, not {line.topic}"
    if missing := set(line.flags) - set(reading.flags):
        yield f"did not see {sorted(missing)}"
