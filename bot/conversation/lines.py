"""What a person wants of the line itself: news or none, and one person behind two lines.

A clear wish is done at once; an unclear one gets one question.
"""

import re

from bot.conversation.desk import Desk
from bot.conversation.events import LinkCodeGiven, Linked, OptedIn, OptedOut
from bot.conversation.state import Turn

CLEAR = 0.9  # how likely a wish to stop must be, to be done without a question
CODE = re.compile(r"\s*(\d{4})[ .-]?(\d{4})\s*[.!]?\s*")


def code_in(text: str) -> str | None:
    """Eight figures, if that is all that the message says."""
    match = CODE.fullmatch(text)
    return match[1] + match[2] if match else None


def stop(desk: Desk) -> Turn | None:
    """S-34: no more news. What helps the person in a case goes on; nothing here tells whether there is one (S-12)."""
    if desk.commands.is_("stop", desk.text):
        return stopped(desk)
    reading = desk.reading
    if desk.conversation.step is not None or (reading.kind, reading.topic) != ("chat", "stop"):
        return None
    if reading.confidence >= CLEAR:
        return stopped(desk)
    if reading.confidence >= desk.settings.sure:
        desk.update(step="stop")
        return desk.turn(desk.speaker.say("stop_ask"))
    return None


def stopped(desk: Desk, *, everywhere: bool = False) -> Turn:
    desk.events.append(OptedOut("alerts", desk.evidence, everywhere))
    desk.conversation = desk.conversation.without_form()
    if desk.conversation.facts.linked and not everywhere:
        return desk.turn(desk.speaker.say("stopped_here"))
    return desk.turn(desk.speaker.say("stopped"))


def stop_step(desk: Desk, target: str | None) -> Turn | None:
    desk.update(step=None)
    chat = desk.reading.topic if desk.reading.kind == "chat" else None
    if target == "yes" or desk.says("yes") or chat in ("affirm", "stop"):
        return stopped(desk)
    if target == "no" or desk.says("no") or chat == "deny":
        return desk.turn(desk.speaker.say("stop_not"))
    return None


def subscribe(desk: Desk) -> Turn | None:
    if desk.says("subscribe"):
        return subscribed(desk)
    if desk.reading.kind == "chat" and desk.reading.topic == "subscribe":
        desk.update(step="subscribe")
        return desk.turn(desk.speaker.say("subscribe_ask"))
    return None


def subscribed(desk: Desk) -> Turn:
    desk.events.append(OptedIn("alerts", desk.evidence))
    return desk.turn(desk.speaker.say("subscribed"))


def subscribe_step(desk: Desk, target: str | None) -> Turn | None:
    desk.update(step=None)
    if target == "yes" or desk.says("yes") or desk.agrees:
        return subscribed(desk)
    if target == "no" or desk.says("no"):
        return desk.turn(desk.speaker.say("subscribe_no"))
    return None


def link(desk: Desk) -> Turn | None:
    """A code for the other line; or that code, typed here."""
    facts = desk.conversation.facts
    if desk.says("link") and facts.fresh_code:
        desk.events.append(LinkCodeGiven(facts.fresh_code))
        shown = f"{facts.fresh_code[:4]} {facts.fresh_code[4:]}"
        return desk.turn(desk.speaker.say("link_code", {"code": shown}))
    typed = code_in(desk.text)
    if typed and facts.typed_code == "good":
        desk.events.append(Linked(typed))
        return desk.turn(desk.speaker.say("linked"))
    if typed and facts.typed_code == "own":
        return desk.turn(desk.speaker.say("link_own"))
    if typed and desk.conversation.step is None:
        return desk.turn(desk.speaker.say("link_wrong"))
    return None
