"""Too much at once: another machine that answers ours, or a person who writes without a pause. One kind word, then silence.

A cry for help is answered however many messages came before it; only where the very same cry comes again and again, or a
talk has no end, is it written down without another answer.
"""

from dataclasses import replace

from bot.conversation.desk import Desk, Settings
from bot.conversation.state import Conversation, Turn

MOST_ECHOES = 3  # times that the same words may come again and be answered again
MOST_CRIES = 9  # the same, for a cry
GRAVE_STEPS = ("safety", "consent", "tell", "stop")
ENDLESS = 3  # times an hour's measure: no person writes so much


def counted(conversation: Conversation) -> Conversation:
    """Knows how often the same words have come in a row."""
    echo = conversation.facts.echo
    again = bool(echo) and echo == conversation.echo
    return replace(conversation, echo=echo, echoes=conversation.echoes + 1 if again else 0)


def too_much(desk: Desk) -> Turn | None:
    conversation = desk.conversation
    if not (_is_flood(conversation, desk.settings) or (conversation.echoes > MOST_ECHOES and not desk.is_control())):
        desk.update(hushed=False)
        return None
    if desk.reading.kind == "emergency" or desk.says("human") or conversation.case_open:
        return None
    grave = conversation.form in ("report", "emergency") or conversation.step in GRAVE_STEPS
    if grave and desk.is_control():
        return None  # the answer to whether it is safe, or whether to pass it on
    hushed = conversation.hushed
    desk.update(hushed=True, draft=desk.draft())
    return desk.turn() if hushed else desk.turn(desk.speaker.say("slower"))


def without_end(turn: Turn, desk: Desk) -> Turn:
    """The turn, without its words where they would go on for ever."""
    conversation = desk.conversation
    loops = conversation.echoes > MOST_CRIES and not desk.is_control()
    if loops or conversation.facts.last_hour > ENDLESS * desk.settings.per_hour:
        return replace(turn, replies=())
    return turn


def _is_flood(conversation: Conversation, settings: Settings) -> bool:
    facts = conversation.facts
    return facts.last_minute > settings.per_minute or facts.last_hour > settings.per_hour
