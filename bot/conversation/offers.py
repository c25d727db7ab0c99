"""The offer check: signs with the words that showed them, the few facts that could change the verdict, and where to ask."""

from dataclasses import replace

from bot.content import Question, Sign
from bot.conversation import forms
from bot.conversation.desk import Desk
from bot.conversation.replies import joined
from bot.conversation.risk import assess
from bot.conversation.state import Slots, Turn
from bot.messages import Reply

SHOWN_FLAGS = 6
SMS_FLAGS = 3
MOST_WORDS = 40  # characters of the sender's own words shown behind a flag


def offer(desk: Desk) -> Turn:
    """Names the signs with the words that showed them, and asks for what would change the verdict."""
    slots = forms.with_reading(known_of_this_offer(desk), desk.reading, desk.library)
    desk.update(form="offer", slots=slots, draft=desk.draft())
    question = forms.next_question(desk.library.forms["offer"], slots)
    verdict = verdict_on(desk, slots)
    if question is None:
        return offer_end(desk)
    desk.update(step=question.id)
    asking = desk.asking(question)
    asked = desk.speaker.say("offer_ask", {"question": asking.text}, choices=())
    return desk.turn(replace(joined(verdict, asked), choices=asking.choices))


def known_of_this_offer(desk: Desk) -> Slots:
    """What was told before; nothing of it where another country shows that this is another offer."""
    before, now = desk.conversation.slots, desk.reading.country
    another = desk.reading.kind == "offer" and before.country is not None and now not in (None, "VN", before.country)
    return before if desk.conversation.form == "offer" and not another else Slots()


def verdict_on(desk: Desk, slots: Slots) -> Reply:
    risk = assess(slots.flags, forms.signs_that_count(slots, desk.library), desk.library.red_flags)
    if risk.level == "low":
        return desk.speaker.say("offer_low", *sign_values(desk, slots))
    if not risk.flags:
        return desk.speaker.say("offer_unclear")
    name = f"offer_{risk.level}"
    wording = wording_for(desk, name, risk.flags)
    verdict = desk.speaker.say(wording, *flag_values(desk, risk.flags))
    if "minor" in risk.flags[1:]:
        verdict = joined(verdict, desk.speaker.say("offer_minor" if wording == name else "offer_minor_too"))
    return replace(verdict, name=name)


def wording_for(desk: Desk, name: str, flags: tuple[str, ...]) -> str:
    """Some signs, where they are the gravest, have a wording of their own, with a number in it."""
    own = f"{name}_{flags[0]}" if flags else name
    return own if own in desk.library.responses else name


def flag_values(desk: Desk, flags: tuple[str, ...]) -> tuple[dict[str, str], dict[str, str]]:
    language = desk.speaker.language
    shown = [desk.library.red_flags[name] for name in flags[:SHOWN_FLAGS]]
    lines = [
        f"{n}. {flag.title.in_language(language)}{quoted(desk.reading.flags.get(flag.id, ()))}"
        for n, flag in enumerate(shown, 1)
    ]
    gravest = shown[0]
    values = {
        "count": str(len(flags)),
        "flags": "\n".join(lines),
        "why": gravest.why.in_language(language),
        "do": gravest.do.in_language(language),
        "where": where_to_ask(desk).text,
    }
    titles = "; ".join(flag.title.in_language(language) for flag in shown[:SMS_FLAGS])
    return values, {**values, "flags": titles}


def where_to_ask(desk: Desk) -> Reply:
    at_home = desk.conversation.slots.country in (None, "VN") and desk.reading.country in (None, "VN")
    return desk.speaker.say("offer_where_home" if at_home else "offer_where_abroad")


def sign_values(desk: Desk, slots: Slots) -> tuple[dict[str, str], dict[str, str]]:
    """What speaks for the offer, and where to make sure of it."""
    titles, where = sign_titles(desk, slots), where_to_ask(desk)
    return {"signs": titles, "where": where.text}, {"signs": titles, "where": where.sms}


def sign_titles(desk: Desk, slots: Slots) -> str:
    titles = [
        sign_title(desk, slots, sign)
        for sign in desk.library.signs.values()
        if sign.vouches and sign.title and sign.id in slots.signs
    ]
    return f": {', '.join(titles[:3])}" if titles else ""


def sign_title(desk: Desk, slots: Slots, sign: Sign) -> str:
    """Its title; or, of what only they say of themselves, that it is they who say so."""
    claim = f"claim_{sign.id}"
    if claim in desk.library.responses and not (sign.id == "licence_checked" and forms.looked_up(slots)):
        return desk.speaker.say(claim).text
    return sign.title.in_language(desk.speaker.language) if sign.title else ""


def offer_answer(desk: Desk, question: Question, value: str | None) -> Turn | None:
    """An answer; or more about the offer, which counts as one; or something else altogether (None)."""
    slots = desk.conversation.slots
    if value is None:
        if desk.reading.kind in ("chat", "report", "emergency") or is_a_question(desk):
            return None
        merged = forms.with_reading(slots, desk.reading, desk.library)
        told_more = merged != slots or desk.reading.kind == "offer"
        if not told_more and desk.reading.confidence < desk.settings.sure:
            value = "unsure"
        elif set(merged.flags) != set(slots.flags):
            return offer(desk)
        slots = merged
    desk.update(slots=forms.with_answer(slots, question, value or "told"))
    following = forms.next_question(desk.library.forms["offer"], desk.conversation.slots)
    if following is None:
        return offer_end(desk)
    desk.update(step=following.id)
    return desk.turn(desk.asking(following))


def after_a_pause(desk: Desk) -> Turn | None:
    """S-12: somebody else may hold the phone by now; an answer to a question long past names nothing of what was told."""
    desk.update(step=None)
    answered = desk.number is not None or desk.says(*forms.ANSWERS, "skip")
    agreed = desk.reading.kind == "chat" and desk.reading.topic in ("affirm", "deny")
    unclear = desk.reading.kind in ("question", "chat") and desk.reading.confidence < desk.settings.maybe
    return desk.turn(desk.speaker.say("offer_paused")) if answered or agreed or unclear else None


def is_a_question(desk: Desk) -> bool:
    """A question of its own, rather than one more fact about the offer."""
    sure = desk.reading.kind == "question" and desk.reading.confidence >= desk.settings.sure
    return sure and (desk.reading.asks or not (desk.reading.hints or desk.reading.entities.pay or desk.reading.country))


def offer_end(desk: Desk) -> Turn:
    """The verdict after the questions, with what to check and where."""
    slots = desk.conversation.slots
    risk = assess(slots.flags, forms.signs_that_count(slots, desk.library), desk.library.red_flags)
    titles = [desk.library.red_flags[name].title for name in risk.flags] or [
        desk.library.responses["unclear_title"].text
    ]
    shown = [title.in_language(desk.speaker.language) for title in titles]
    values, sms_values = sign_values(desk, slots)
    values["flags"] = "\n".join(f"{n}. {title}" for n, title in enumerate(shown[:SHOWN_FLAGS], 1))
    sms_values["flags"] = "; ".join(shown[:SMS_FLAGS])
    desk.update(form=None, step=None)
    name = f"offer_final_{risk.level}"
    return desk.turn(replace(desk.speaker.say(wording_for(desk, name, risk.flags), values, sms_values), name=name))


def quoted(words: tuple[str, ...]) -> str:
    shown = [word if len(word) <= MOST_WORDS else word[: MOST_WORDS - 1] + "…" for word in words[:2]]
    quoted = [f'"{word}"' for word in shown]
    return f" ({', '.join(quoted)})" if quoted else ""
