"""Reply -> the text that a channel carries."""

from dataclasses import dataclass, replace

from bot.channels.base import Capabilities
from bot.channels.sms_text import sms_text
from bot.letters import split_at_sentences, units
from bot.messages import Choice, Clearing, Reply


@dataclass(frozen=True)
class Rendered:
    """`buttons` are labels in order; the text names them too where the channel has no buttons."""

    text: str
    buttons: tuple[str, ...] = ()
    clearing: Clearing | None = None


def parts(reply: Reply, capabilities: Capabilities) -> list[Rendered]:
    """The reply in as many messages as the channel needs; buttons stand under the last."""
    whole = render(reply, capabilities)
    if capabilities.longest is None or units(whole.text) <= capabilities.longest:
        return [whole]
    *before, last = split_at_sentences(whole.text, capabilities.longest)
    return [*map(Rendered, before), replace(whole, text=last)]


def render(reply: Reply, capabilities: Capabilities) -> Rendered:
    if capabilities.sms:
        return Rendered(sms_text(_with_choices(reply.sms, reply.choices, " ")).text)
    if capabilities.buttons:
        clearing = reply.clearing if capabilities.clears else None
        return Rendered(reply.text, tuple(choice.label for choice in reply.choices), clearing)
    return Rendered(_with_choices(reply.text, reply.choices, "\n"))


def _with_choices(text: str, choices: tuple[Choice, ...], between: str) -> str:
    """The choices as "1 Một · 2 Hai", which SMS folds to plain marks."""
    listed = " · ".join(f"{number} {choice.label}" for number, choice in enumerate(choices, 1))
    return f"{text}{between}{listed}" if listed else text
