"""A talk with the real engine that leaves no trace."""

import datetime as dt
from dataclasses import dataclass, field

from bot.channels.base import CAPABILITIES
from bot.conversation.policy import Policy
from bot.conversation.state import Conversation, Turn
from bot.delivery.render import render
from bot.messages import Address, InboundMessage
from bot.understanding.interpreter import Interpreter
from bot.understanding.reading import Understanding


@dataclass
class Rehearsal:
    """One person's talk, in memory only: for `ask`, the simulator and the dialog tests."""

    interpreter: Interpreter
    policy: Policy
    channel: str = "terminal"
    conversation: Conversation = field(default_factory=Conversation)
    sent: int = 0

    def say(self, text: str, at: dt.datetime | None = None, *, has_media: bool = False) -> tuple[Understanding, Turn]:
        """What was understood, and the whole turn."""
        self.sent += 1
        message = InboundMessage(
            Address(self.channel, "rehearsal"), str(self.sent), text, at or dt.datetime.now(dt.UTC), has_media
        )
        reading = self.interpreter.read(text)
        turn = self.policy.respond(self.conversation, message, reading)
        self.conversation = turn.conversation
        return reading, turn

    def rendered(self, turn: Turn) -> list[str]:
        """The replies as the channel's text."""
        return [render(reply, CAPABILITIES[self.channel]).text for reply in turn.replies]
