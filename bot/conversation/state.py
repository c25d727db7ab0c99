"""The state of one conversation, small enough to be forgotten: signs and choices, never the person's words.

Words that may become part of a case wait in `draft`, which is never written to disk.
"""

import datetime as dt
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any, Literal

from bot.conversation.events import Event
from bot.messages import Reply
from bot.observations import Observation

Safety = Literal["unasked", "asked", "safe", "watched"]


class Mode(StrEnum):
    """Who answers: the bot, or an operator through the relay."""

    BOT = "bot"
    HOTLINE = "hotline"


@dataclass(frozen=True)
class Slots:
    """What is known of an offer or a report. `answers` holds question -> yes, no or unsure."""

    flags: tuple[str, ...] = ()
    signs: tuple[str, ...] = ()
    pay_per_month: int | None = None
    country: str | None = None
    about: str = "self"
    told: bool = False  # whether an offer is on the table
    answers: tuple[tuple[str, str], ...] = ()

    def answer(self, question: str) -> str | None:
        return dict(self.answers).get(question)

    def with_answer(self, question: str, value: str) -> "Slots":
        kept = tuple(pair for pair in self.answers if pair[0] != question)
        return replace(self, answers=(*kept, (question, value)))


@dataclass(frozen=True)
class Facts:
    """What the store knows of this line as a message arrives; never saved with the talk.

    `linked`: the person has other lines. `fresh_code`: may be given out for a new one. `typed_code`: what the code that the
    message consists of is worth. `last_minute`, `last_hour`: how many messages have come, with this one. `echo`: the same for
    the same words. `asking`: the purpose for which an operator waits for a yes. `handed_on`: something has left us with a yes.
    `gave_code`: the word that was agreed with an operator stands in the message.
    """

    linked: bool = False
    fresh_code: str = ""
    typed_code: Literal["none", "good", "own", "wrong"] = "none"
    last_minute: int = 0
    last_hour: int = 0
    echo: str = ""
    asking: str = ""
    handed_on: bool = False
    gave_code: bool = False


@dataclass(frozen=True)
class Conversation:
    """`form` is the talk that is under way and `step` the question that waits for an answer."""

    language: str = "vi"
    mode: Mode = Mode.BOT
    form: str | None = None
    step: str | None = None
    slots: Slots = field(default_factory=Slots)
    choices: tuple[str, ...] = ()
    safety: Safety = "unasked"
    greeted: bool = False
    case_open: bool = False
    refusals: int = 0
    last_answer: str | None = None
    page: int = 0  # how much of it has been read by SMS
    missed: int = 0
    news_place: str | None = None  # the province or country that was named with an unclear wish for news
    echo: str = ""  # the last message, as a keyed digest ...
    echoes: int = 0  # ... and how often it has come again
    hushed: bool = False  # whether a flood has been told to slow down
    turns: int = 0
    updated_at: dt.datetime | None = None
    draft: tuple[str, ...] = ()
    facts: Facts = Facts()
    seen: Observation | None = None  # what the talk will be counted as, once it is over
    read_by: str = ""  # the model that began `form`

    def idle_for(self, now: dt.datetime) -> dt.timedelta:
        return now - self.updated_at if self.updated_at else dt.timedelta(0)

    def without_form(self) -> "Conversation":
        return replace(self, form=None, step=None, slots=Slots(), draft=())

    def to_json(self) -> dict[str, Any]:
        """Everything but the draft and the facts."""
        data = asdict(replace(self, draft=(), facts=Facts()))
        del data["draft"], data["facts"]
        data["updated_at"] = self.updated_at.isoformat() if self.updated_at else None
        return data

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Conversation":
        slots = dict(data.get("slots") or {})
        return cls(
            language=data["language"],
            mode=Mode(data["mode"]),
            form=data["form"],
            step=data["step"],
            slots=Slots(
                flags=tuple(slots.get("flags", ())),
                signs=tuple(slots.get("signs", ())),
                pay_per_month=slots.get("pay_per_month"),
                country=slots.get("country"),
                about=slots.get("about", "self"),
                told=slots.get("told", False),
                answers=tuple((q, a) for q, a in slots.get("answers", ())),
            ),
            choices=tuple(data["choices"]),
            safety=data["safety"],
            greeted=data["greeted"],
            case_open=data["case_open"],
            refusals=data["refusals"],
            last_answer=data["last_answer"],
            page=data.get("page", 0),
            missed=data["missed"],
            news_place=data.get("news_place"),
            echo=data.get("echo", ""),
            echoes=data.get("echoes", 0),
            hushed=data.get("hushed", False),
            turns=data["turns"],
            updated_at=dt.datetime.fromisoformat(data["updated_at"]) if data["updated_at"] else None,
            seen=Observation(**data["seen"]) if data.get("seen") else None,
            read_by=data.get("read_by", ""),
        )


@dataclass(frozen=True)
class Turn:
    """The whole effect of one message."""

    conversation: Conversation
    replies: tuple[Reply, ...] = ()
    events: tuple[Event, ...] = ()
