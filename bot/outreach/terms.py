"""On what terms alerts are sent here: what a message looks like and costs, and what needs a second person."""

import datetime as dt
from dataclasses import dataclass

from bot.channels.sms_text import STANDARD, SegmentSizes, sms_text
from bot.content import Library
from bot.delivery.render import Rendered
from bot.outreach.words import Words, carried


@dataclass(frozen=True)
class Limits:
    """`approve_above`: people; more need a second person, as does anything urgent. `cancel_window`: between the last yes and the
    first message. `a_day` and `people_a_day`: of one member of staff in 24 hours."""

    approve_above: int = 100
    cancel_window: dt.timedelta = dt.timedelta(minutes=5)
    a_day: int = 5
    people_a_day: int = 200_000


@dataclass(frozen=True)
class Message:
    """What leaves, and what it costs."""

    rendered: Rendered
    vnd: int


@dataclass(frozen=True)
class Terms:
    """`channels`: those that are set up here."""

    library: Library
    channels: tuple[str, ...] = ("telegram", "sms")
    advertising: bool = True
    sizes: SegmentSizes = STANDARD
    vnd_per_segment: int = 500
    limits: Limits = Limits()

    def message(self, words: Words, language: str, channel: str) -> Message:
        rendered = carried(words, language, channel, self.library, advertising=self.advertising)
        if channel != "sms":
            return Message(rendered, 0)
        segments = sms_text(rendered.text, folded=False, sizes=self.sizes).segments
        return Message(rendered, segments * self.vnd_per_segment)
