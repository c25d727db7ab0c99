"""What lies on the table while one turn is worked out."""

import datetime as dt
from dataclasses import dataclass, field, replace
from functools import cached_property

from bot.content import Library, Question
from bot.conversation.commands import Commands, number_in, tidy
from bot.conversation.events import Event
from bot.conversation.replies import Speaker
from bot.conversation.state import Conversation, Turn
from bot.messages import InboundMessage, Reply
from bot.understanding.reading import Understanding

DRAFT_MESSAGES = 10


@dataclass(frozen=True)
class Settings:
    """What the deployer decides about the conversation (config.yml)."""

    sure: float = 0.45
    maybe: float = 0.15
    pause: dt.timedelta = dt.timedelta(minutes=10)
    idle: dt.timedelta = dt.timedelta(minutes=30)
    staffed: bool = False


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

    @cached_property
    def _wordings(self) -> tuple[str, str]:
        return tidy(self.text), tidy(self.reading.plain)

    def is_control(self) -> bool:
        """Numbers and words that answer the question at hand are never read as a cry."""
        return number_in(self.text) is not None or self.says(*self.library.commands)

    def draft(self) -> tuple[str, ...]:
        """Words that may become part of a case if the person agrees; kept in memory only."""
        return (*self.conversation.draft, self.text)[-DRAFT_MESSAGES:]

    def asking(self, question: Question) -> Reply:
        """A question of a form, with the numbers that answer it."""
        other = self.conversation.slots.about == "other" and question.other_subject
        wording = (other or question.ask).in_language(self.speaker.language)
        choices = ("skip",) if question.free_text else ("yes", "no", "unsure")
        return Reply(wording, wording, self.speaker.choices(choices), f"ask_{question.id}")
