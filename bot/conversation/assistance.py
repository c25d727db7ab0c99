"""Danger, reports and people: one number first, then whether it is safe to write, then consent, then few questions."""

import re
from dataclasses import replace

from bot.content import Question
from bot.conversation import forms, openings
from bot.conversation.desk import Desk
from bot.conversation.events import (
    CaseExtended,
    CaseRequested,
    ConsentGiven,
    ConsentRefused,
    Priority,
    Silenced,
)
from bot.conversation.replies import Speaker, joined
from bot.conversation.state import Conversation, Slots, Turn
from bot.messages import Reply
from bot.understanding.language import OTHER_SCRIPTS

MOST_REFUSALS = 2
AGREEING = re.compile(r"\b(?:dong y|duoc|cung duoc|agree)\b")
NOW = re.compile(
    r"\b(?:dang(?! (?:bai|tin|tuyen|quang cao|len|video|anh|hinh|tren|ky|ngo|nghi|so|lo|le|gia)\b)|bay gio|luc nay|hien gio|hien tai|sap|chuan bi|toi nay|dem nay|hom nay|vua thay|"
    r"right now|now|tonight|today|about to|being)\b"
)
CHILDREN = re.compile(
    r"\b(?:tre (?:em|con|nho)|dua tre|(?:chau|em|be) be|be (?:gai|trai)|con nit|hoc sinh|so sinh|children|child|kids?)\b"
)
NO_WAIT = re.compile(r"\b24 ?(?:h|gio|tieng|hours?)\b")
PAYING = re.compile(
    r"\b(?:gui|chuyen|dua|tra|nop|dong|chuoc)\b(?: \w+){0,4}? (?:tien|trieu|chuoc|do|usd)\b|\btien chuoc\b|\b(?:send|pay|transfer)\b(?: \w+){0,4}? (?:money|ransom|them|him)\b"
)


def emergency(desk: Desk) -> Turn | None:
    """S-26: one message with the number to call, and a case at once."""
    escape = "asks_escape" in desk.reading.signs
    if desk.is_control():
        return None
    if desk.reading.kind != "emergency":
        return stay_or_go(desk) if escape and desk.reading.kind not in ("report", "offer") else None
    slots = forms.with_reading(desk.conversation.slots, desk.reading, desk.library)
    known = desk.conversation.form == "emergency" and desk.conversation.case_open
    if desk.conversation.case_open and desk.reading.language in OTHER_SCRIPTS:
        return tell_step(desk)
    if known and not escape:
        return more_danger(desk, slots)
    if not known:
        desk.events.append(case_of_danger(desk, slots))
    if desk.reading.language in OTHER_SCRIPTS:
        desk.speaker = Speaker(desk.library, desk.reading.language)
        desk.update(language=desk.reading.language, form="human", step="tell", slots=slots, choices=())
        desk.update(safety="safe", case_open=True, draft=())
        return desk.turn(desk.speaker.say("emergency", choices=()))
    desk.update(form="emergency", step="safety", slots=slots, safety="asked", case_open=True, draft=())
    if escape:
        return desk.turn(joined(desk.speaker.say("stay_or_go"), desk.speaker.say("safe_to_talk")))
    return desk.turn(danger_reply(desk, slots))


def stay_or_go(desk: Desk) -> Turn | None:
    """S-17: nobody is told to run or to stay."""
    return desk.turn(desk.speaker.say("stay_or_go"))


def asks_about_money(desk: Desk) -> Turn | None:
    """ "Should I pay them?", from somebody in danger or with a relative who is: answered first, then the talk goes on where it was."""
    reading = desk.reading
    in_danger = desk.conversation.form in ("emergency", "report") or "ransom_demand" in reading.hints
    concerned = in_danger or "asks_escape" in reading.signs
    new_cry = reading.kind == "emergency" and not desk.conversation.case_open
    if new_cry or not (concerned and reading.asks and PAYING.search(reading.plain)) or desk.is_control():
        return None
    if desk.conversation.case_open:
        desk.events.append(CaseExtended(words=(desk.text,)))
    return desk.turn(desk.speaker.say("money_advice"))


def is_a_question(desk: Desk) -> bool:
    """A question of their own amid an emergency, rather than the place or the hour that was asked for."""
    reading = desk.reading
    if desk.conversation.form != "emergency" or not reading.asks or reading.country is not None:
        return False
    return "asks_escape" in reading.signs or (reading.kind == "question" and reading.confidence >= desk.settings.sure)


def more_danger(desk: Desk, slots: Slots) -> Turn:
    """More words for the open case; a minor is named as soon as one is known (S-23)."""
    desk.events.append(
        CaseExtended(words=(desk.text,), flags=slots.flags, country=slots.country, minor="minor" in slots.flags)
    )
    added = desk.speaker.say("case_added")
    if "minor" in slots.flags and "minor" not in desk.conversation.slots.flags:
        added = joined(added, desk.speaker.say("minor_notice"))
    desk.update(slots=slots)
    if desk.conversation.safety == "asked":
        return desk.turn(joined(added, desk.speaker.say("safe_to_talk")))
    return next_question(desk, added)


def watched(desk: Desk) -> Turn | None:
    """At the question whether it is safe to write: somebody sits beside, somebody reads along."""
    if desk.conversation.step == "safety" and "watched" in desk.reading.signs:
        return safety_step(desk, "not_safe")
    return None


def case_of_danger(desk: Desk, slots: Slots) -> CaseRequested:
    return CaseRequested(
        kind="emergency",
        priority="P0",
        basis="emergency",
        reason="the message tells of danger to life or freedom",
        flags=slots.flags,
        country=slots.country,
        about=slots.about,
        minor="minor" in slots.flags,
        words=(*desk.conversation.draft, desk.text),
    )


def danger_reply(desk: Desk, slots: Slots) -> Reply:
    case = queue_told(desk, "emergency_case")
    wording = danger_wording(desk, slots)
    numbers = numbers_for(desk, slots.country)
    if wording == "emergency_relative":
        numbers = numbers_for_relative(desk, slots.country)
    if "ransom_demand" in slots.flags:
        numbers = above(desk.speaker.say("money_asked"), numbers)
    values = {"case": case.text, "numbers": numbers.text}
    sms_values = {"case": case.sms, "numbers": numbers.sms.removesuffix(".")}
    told = desk.speaker.say(wording, values, sms_values)
    if case.name == "emergency_case_closed":  # the short wordings have no room for {case}: this goes into the next SMS
        return replace(told, sms=f"{told.sms} {case.sms}")
    return told


def queue_told(desk: Desk, name: str) -> Reply:
    """S-29: the truth on when somebody reads the queue: `name` with _staffed, _closed or _unstaffed."""
    now = desk.message.received_at
    if not desk.settings.staffed:
        return desk.speaker.say(f"{name}_unstaffed")
    if desk.settings.hours.is_open(now):
        return desk.speaker.say(f"{name}_staffed")
    opening = desk.settings.hours.next_opening(now)
    words = openings.in_words(desk.library, desk.speaker.language, opening, now)
    return desk.speaker.say(f"{name}_closed", {"opening": words})


def above(first: Reply, second: Reply) -> Reply:
    """Two pieces of one text, each on its line."""
    return Reply(f"{first.text}\n{second.text}", f"{first.sms.removesuffix('.')}. {second.sms}", name=second.name)


def danger_wording(desk: Desk, slots: Slots) -> str:
    if "suicide" in desk.reading.signs:
        return "emergency_life"
    if "minor" in slots.flags:
        return "emergency_child"
    if slots.about == "other":
        return "emergency_relative"
    if slots.country == "VN":
        return "emergency_home"
    return "emergency_abroad" if slots.country else "emergency"


def numbers_for(desk: Desk, country: str | None) -> Reply:
    """The numbers to call from a country, or both where it is not known."""
    if country == "VN":
        return desk.speaker.say("emergency_home_number")
    if country is None:
        return desk.speaker.say("emergency_any_number")
    there = numbers_there(desk, country)
    told_by_another = desk.conversation.slots.about == "other" or desk.conversation.form == "report"
    if told_by_another:
        return above(there, desk.speaker.say("relative_calls_113"))
    home = desk.speaker.say("from_viet_nam_number")  # no short number of Viet Nam is reached from abroad
    return replace(there, text=f"{there.text}\n{home.text}")


def numbers_for_relative(desk: Desk, country: str | None) -> Reply:
    """Who writes is at home and reaches 113 and 111; then what serves where the person in danger is."""
    if country == "VN":
        return above(desk.speaker.say("emergency_home_number"), desk.speaker.say("or_111"))
    there = numbers_there(desk, country) if country else desk.speaker.say("relative_calls_abroad")
    return above(desk.speaker.say("relative_calls"), there)


def numbers_there(desk: Desk, country: str) -> Reply:
    hotlines = [desk.library.hotlines[name] for name in desk.library.countries[country].hotlines]
    fresh = [hotline for hotline in hotlines if hotline.is_fresh(desk.today)]
    lines = [f"{hotline.name.in_language(desk.speaker.language)}: {hotline.number}" for hotline in fresh]
    numbers = ", ".join(hotline.number for hotline in fresh)
    return Reply(text="\n".join(lines), sms=desk.speaker.say("call_numbers", {"numbers": numbers}).sms, name="numbers")


def after_a_pause(desk: Desk) -> Turn | None:
    """Somebody else may hold the phone by now: ask again, and repeat nothing that was told."""
    sensitive = desk.conversation.form in ("report", "emergency", "human")
    if not sensitive or desk.conversation.idle_for(desk.message.received_at) < desk.settings.pause:
        return None
    if desk.conversation.step == "safety":
        return None
    desk.update(step="safety", safety="asked", draft=())
    return desk.turn(desk.speaker.say("still_here"))


def safety_step(desk: Desk, target: str | None) -> Turn | None:
    yes = target == "go_safe" or desk.says("yes")
    anyway = target == "go_anyway" or desk.says("go_on")
    if target == "not_safe" or (desk.says("no") and "alone" not in desk.reading.signs):
        desk.events.append(Silenced())
        desk.conversation = desk.conversation.without_form()
        desk.update(safety="unasked", choices=())
        return desk.turn(desk.speaker.say("safe_later"))
    if "alone" in desk.reading.signs:
        yes = True
    if not (yes or anyway):
        return unclear_safety(desk)
    desk.update(safety="watched" if anyway else "safe")
    if desk.conversation.form == "emergency":
        if anyway:
            desk.events.append(CaseExtended(watched=True))
        return next_question(desk)
    if desk.conversation.case_open:
        return go_on_with_case(desk)
    return ask_consent(desk)


def unclear_safety(desk: Desk) -> Turn | None:
    """Words that are no answer: into the case that is open; anything else goes its own way."""
    told = desk.reading.kind in ("report", "emergency", "offer") or desk.reading.confidence < desk.settings.sure
    if not desk.conversation.case_open or not told:
        return None
    desk.events.append(CaseExtended(words=(desk.text,)))
    return desk.turn(desk.speaker.say("safe_to_talk"))


def go_on_with_case(desk: Desk) -> Turn:
    """Back after a pause, safe to write: the questions that are left, or an open ear."""
    if desk.conversation.form in desk.library.forms:
        return next_question(desk)
    desk.update(form="human", step="tell")
    return desk.turn(desk.speaker.say("case_tell"))


def to_open_case(desk: Desk, reply: str) -> Turn:
    """A word for the case that is open. In a new session nothing of it is said before the person is known to be alone (S-02, S-12)."""
    desk.events.append(CaseExtended(words=(desk.text,)))
    if desk.conversation.safety in ("safe", "watched"):
        return desk.turn(desk.speaker.say(reply))
    desk.update(form=desk.conversation.form or "human", step="safety", safety="asked")
    return desk.turn(desk.speaker.say("still_here"))


def report(desk: Desk) -> Turn:
    slots = forms.with_reading(desk.conversation.slots, desk.reading, desk.library)
    if desk.conversation.case_open:
        return to_open_case(desk, "case_added")
    if desk.conversation.refusals >= MOST_REFUSALS:  # S-20: asked twice and refused twice
        return desk.turn(desk.speaker.say("consent_no"))
    heard = desk.speaker.say(report_wording(desk, slots))
    if "ransom_demand" in slots.flags:
        heard = joined(heard, desk.speaker.say("money_asked"))
    desk.update(form="report", slots=slots, draft=desk.draft())
    if desk.conversation.safety in ("safe", "watched"):
        asked = ask_consent(desk)
        return replace(asked, replies=(heard, *asked.replies))
    desk.update(step="safety", safety="asked")
    return desk.turn(joined(heard, desk.speaker.say("safe_to_talk")))


def report_wording(desk: Desk, slots: Slots) -> str:
    """One of their own who is away; a danger to others that happens now, or to children; or what was heard of."""
    child = "minor" in slots.flags or CHILDREN.search(desk.reading.plain) is not None
    if slots.about == "other" or "isolation_no_contact" in slots.flags:
        at_home = slots.country in (None, "VN")
        return "report_child_gone" if at_home and (child or NO_WAIT.search(desk.reading.plain)) else "report_relative"
    return "report_urgent" if child or NOW.search(desk.reading.plain) else "report_heard"


def asks_for_a_person(desk: Desk) -> Turn | None:
    """S-30: from any state."""
    asked = desk.says("human")
    understood = desk.reading.kind == "chat" and desk.reading.topic == "human"
    return human(desk) if asked or understood else None


def human(desk: Desk) -> Turn:
    if desk.conversation.case_open:
        desk.update(form="human", step="tell")
        return to_open_case(desk, "case_tell")
    if desk.conversation.form != "report":
        desk.update(form="human", draft=desk.conversation.draft)
    return ask_consent(desk)


def ask_consent(desk: Desk) -> Turn:
    name = "consent_human" if desk.conversation.form == "human" else "consent"
    desk.update(step="consent")
    asking = desk.speaker.say(name)
    if "minor" in desk.conversation.slots.flags:  # S-23: before any detail
        asking = joined(desk.speaker.say("minor_notice"), asking)
    return desk.turn(asking)


def consent_step(desk: Desk, target: str | None) -> Turn | None:
    if target == "agree" or desk.agrees:
        return agreed(desk)
    agreeing = AGREEING.search(desk.reading.plain) is not None
    if target == "refuse" or desk.says("refuse") or (desk.reading.topic == "deny" and not agreeing):
        desk.events.append(ConsentRefused("help"))
        desk.conversation = desk.conversation.without_form()
        desk.update(refusals=desk.conversation.refusals + 1)
        return desk.turn(desk.speaker.say("consent_no"))
    if agreeing or desk.reading.topic == "affirm":
        return desk.turn(desk.speaker.say("consent_unclear"))
    return None


def agreed(desk: Desk) -> Turn:
    """D-05: a clear word for this purpose; what was told so far goes to the queue with it."""
    state = desk.conversation
    asked = "consent_human" if state.form == "human" else "consent"
    desk.events.append(ConsentGiven("help", desk.text[:80], desk.library.version_of(asked)))
    desk.events.append(
        CaseRequested(
            kind=state.form or "human",
            priority=priority_of(state),
            basis="consent",
            reason="the person agreed",
            flags=state.slots.flags,
            country=state.slots.country,
            about=state.slots.about,
            minor="minor" in state.slots.flags,
            watched=state.safety == "watched",
            words=state.draft,
        )
    )
    desk.update(case_open=True, draft=(), safety="safe" if state.safety == "unasked" else state.safety)
    told = queue_told(desk, "case")
    if state.form == "report":
        return next_question(desk, told)
    desk.update(form="human", step="tell")
    return desk.turn(joined(told, desk.speaker.say("case_tell")))


def tell_step(desk: Desk) -> Turn | None:
    """What is said to the person on duty goes into the case; a clear question about going is answered."""
    if not desk.conversation.case_open or desk.says("menu", "source", "english", "vietnamese"):
        return None
    if desk.reading.kind == "chat" and desk.reading.topic in ("thanks", "goodbye"):
        return None
    return to_open_case(desk, "case_added")


def next_question(desk: Desk, before: Reply | None = None) -> Turn:
    """The next question of the form under way, or its end."""
    form = desk.library.forms[desk.conversation.form or ""]
    question = forms.next_question(form, desk.conversation.slots)
    if question is None:
        desk.update(step=None, form=None)
        done = desk.speaker.say("case_done")
        return desk.turn(joined(before, done) if before else done)
    desk.update(step=question.id)
    asking = desk.asking(question)
    return desk.turn(joined(before, asking) if before else asking)


def case_answer(desk: Desk, question: Question, value: str | None) -> Turn:
    slots = forms.with_answer(desk.conversation.slots, question, value or "told")
    if value is None or (question.free_text and value != "unsure"):
        slots = forms.with_reading(slots, desk.reading, desk.library)
        if "minor" in desk.reading.hints and "minor" not in slots.flags:
            slots = replace(slots, flags=(*slots.flags, "minor"))
    if value != "unsure":
        told = desk.text[:500] if value is None or question.free_text else value
        danger = value == "yes" and question.yes.danger
        facts = {question.id: told, **({"priority": "P0"} if danger else {})}
        desk.events.append(
            CaseExtended(facts=facts, flags=slots.flags, country=slots.country, minor="minor" in slots.flags)
        )
    before = desk.conversation.slots.flags
    newly_known = slots.country if slots.country != desk.conversation.slots.country else None
    desk.update(slots=slots)
    if "minor" in slots.flags and "minor" not in before:
        return next_question(desk, desk.speaker.say("minor_notice"))
    if value == "yes" and question.yes.danger:
        numbers = numbers_for(desk, slots.country)
        return next_question(desk, numbers)
    if newly_known and desk.conversation.form == "emergency":
        numbers = numbers_for(desk, newly_known)
        noted = desk.speaker.say("emergency_numbers_place", {"numbers": numbers.text}, {"numbers": numbers.sms})
        return next_question(desk, noted)
    return next_question(desk)


def priority_of(state: Conversation) -> Priority:
    """Minors first (S-23); then reports, then who asks for a person."""
    if "minor" in state.slots.flags:
        return "P1"
    return "P2" if state.form == "report" else "P3"
