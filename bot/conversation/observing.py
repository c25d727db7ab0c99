"""What a talk has shown so far, in the closed words of trends. It goes with the state of the talk and is counted once the talk is over."""

from bot.conversation import forms
from bot.conversation.desk import Desk
from bot.conversation.events import ErasureRequested
from bot.conversation.risk import assess
from bot.conversation.state import Conversation, Turn
from bot.observations import ABROAD, NONE, UNKNOWN, Observation, observe

COUNTED = ("offer", "report", "emergency")


def seen_in(turn: Turn, before: Conversation, desk: Desk) -> Observation | None:
    """What the talk will be counted as, with this turn; None where there was neither a check nor a report, or all is to be forgotten."""
    after = turn.conversation
    if any(isinstance(event, ErasureRequested) for event in turn.events):
        return None
    checked = before.form == "offer" and after.form is None and after.slots.told  # the last word on an offer
    if after.form not in COUNTED and not checked:
        return before.seen
    return observe(
        desk.library,
        risk=_risk(after, before, desk),
        flags=after.slots.flags,
        signs=after.slots.signs,
        country=after.slots.country,
        province=_province(after, before, desk),
    )


def _risk(after: Conversation, before: Conversation, desk: Desk) -> str:
    """Of the offer; a report has none of its own."""
    if after.form in ("report", "emergency"):
        return before.seen.risk if before.seen else NONE
    return assess(after.slots.flags, forms.signs_that_count(after.slots, desk.library), desk.library.red_flags).level


def _province(after: Conversation, before: Conversation, desk: Desk) -> str:
    """The first that was named."""
    if before.seen and before.seen.province not in (ABROAD, UNKNOWN):
        return before.seen.province
    if named := desk.reading.entities.provinces:
        return named[0].code
    away = after.slots.about == "self" and after.slots.country not in (None, "VN")
    if away and after.form in ("report", "emergency"):
        return ABROAD
    return before.seen.province if before.seen else UNKNOWN
