"""Reply -> the text that a channel carries."""

from dataclasses import dataclass

from bot.channels.base import Capabilities
from bot.channels.sms_text import sms_text
from bot.messages import Choice, Reply


@dataclass(frozen=True)
class Rendered:
    """`buttons` are labels in order; the text names them too where the channel has no buttons."""

    text: str
    buttons: tuple[str, ...] = ()


def render(reply: Reply, capabilities: Capabilities) -> Rendered:
    if capabilities.sms:
        return Rendered(sms_text(_with_choices(reply.sms, reply.choices, " ")).text)
    if capabilities.buttons:
        return Rendered(reply.text, tuple(choice.label for choice in reply.choices))
    return Rendered(_with_choices(reply.text, reply.choices, "\n"))


def _with_choices(text: str, choices: tuple[Choice, ...], between: str) -> str:
    """The choices as "1 Một · 2 Hai", which SMS folds to plain marks."""
    listed = " · ".join(f"{number} {choice.label}" for number, choice in enumerate(choices, 1))
    return f"{text}{between}{listed}" if listed else text
