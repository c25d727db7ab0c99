"""What lies on the table while one turn is worked out."""

import datetime as dt
from dataclasses import dataclass, field, replace
from functools import cached_property

from bot.content import Library, Question
from bot.conversation.commands import Commands, number_in, tidy
from bot.conversation.events import Event
from bot.conversation.replies import Speaker
from bot.conversation.state import Conversation, Turn
from bot.hours import ALWAYS, Hours
from bot.messages import Clearing, InboundMessage, Reply
from bot.understanding.reading import Understanding

DRAFT_MESSAGES = 10


@dataclass(frozen=True)
class Settings:
    """What the deployer decides about the conversation (config.yml)."""

    sure: float = 0.65
    maybe: float = 0.3
    pause: dt.timedelta = dt.timedelta(minutes=10)
    idle: dt.timedelta = dt.timedelta(minutes=30)
    staffed: bool = False
    hours: Hours = ALWAYS
    per_minute: int = 30
    per_hour: int = 120
    keep_cases_days: int = 90
    keep_words_hours: int = 24


@dataclass
class Desk:
    """One turn in the making: what came in, what is known, and what has been decided so far."""

    conversation: Conversation
    message: InboundMessage
    reading: Understanding
    speaker: Speaker
    today: dt.date
    library: Library
    settings: Settings
    commands: Commands
    events: list[Event] = field(default_factory=list)

    @property
    def text(self) -> str:
        return self.message.text

    @property
    def in_short(self) -> bool:
        """Whether every character costs money, and answers come in their short wording."""
        return self.message.address.channel == "sms"

    def update(self, **changes: object) -> None:
        self.conversation = replace(self.conversation, **changes)  # type: ignore[arg-type]

    def turn(self, *replies: Reply) -> Turn:
        """The turn that ends here; its last choices stay valid until others are offered."""
        if replies and replies[-1].choices:
            self.update(choices=tuple(choice.target for choice in replies[-1].choices))
        return Turn(self.conversation, replies, tuple(self.events))

    def says(self, *names: str) -> bool:
        """Whether the message is a word of one of these lists, in any spelling ("ko" is "không")."""
        return any(self.commands.is_tidy(name, written) for name in names for written in self._wordings)

    @property
    def agrees(self) -> bool:
        """A clear yes in its enumerated words; asked back ("duoc?"), it is none (D-05)."""
        return self.says("consent") and "?" not in self.text

    @cached_property
    def _wordings(self) -> tuple[str, str]:
        return tidy(self.text), tidy(self.reading.plain)

    @cached_property
    def number(self) -> int | None:
        """Which numbered choice the message names: by its figure, or by the very words that stand beside it."""
        labels = [tidy(choice.label) for choice in self.speaker.choices(self.conversation.choices)]
        written = self._wordings[0]
        return labels.index(written) + 1 if written in labels else number_in(self.text)

    @property
    def evidence(self) -> str:
        """The person's words for a yes or a no; of a number, what stands beside it."""
        choices = self.speaker.choices(self.conversation.choices)
        if self.number and self.number <= len(choices):
            return f"{self.text[:80]} ({choices[self.number - 1].label})"
        return self.text[:80]

    def is_control(self) -> bool:
        """Numbers and words that answer the question at hand are never read as a cry."""
        return self.number is not None or self.says(*self.library.commands)

    def clearing(self, name: str) -> Reply:
        """The last word `name`, and what is said instead where the chat itself can be cleared."""
        cleared, remaining = (self.speaker.say(f"{name}_{end}").text for end in ("cleared", "remaining"))
        return replace(self.speaker.say(name), clearing=Clearing(cleared, remaining))

    def draft(self) -> tuple[str, ...]:
        """Words that may become part of a case if the person agrees; kept in memory only."""
        return (*self.conversation.draft, self.text)[-DRAFT_MESSAGES:]

    def asking(self, question: Question) -> Reply:
        """A question of a form, with the numbers that answer it."""
        slots = self.conversation.slots
        other = slots.about == "other" and question.other_subject
        known = slots.country is not None and question.country_known
        wording = (known or other or question.ask).in_language(self.speaker.language)
        choices = ("skip",) if question.free_text else ("yes", "no", "unsure")
        return Reply(wording, wording, self.speaker.choices(choices), f"ask_{question.id}")
