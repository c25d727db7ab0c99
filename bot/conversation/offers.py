"""The offer check: signs with the words that showed them, the few facts that could change the verdict, and where to ask."""

from dataclasses import replace

from bot.content import Question
from bot.conversation import forms
from bot.conversation.commands import number_in
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
        return desk.speaker.say("offer_low", {"signs": sign_titles(desk, slots)})
    if not risk.flags:
        return desk.speaker.say("offer_unclear")
    verdict = desk.speaker.say(f"offer_{risk.level}", *flag_values(desk, risk.flags))
    if "minor" in risk.flags:
        verdict = joined(verdict, desk.speaker.say("offer_minor"))
    return verdict


def flag_values(desk: Desk, flags: tuple[str, ...]) -> tuple[dict[str, str], dict[str, str]]:
    language = desk.speaker.language
    shown = [desk.library.red_flags[name] for name in flags[:SHOWN_FLAGS]]
    lines = [
        f"{n}. {flag.title.in_language(language)}{quoted(desk.reading.flags.get(flag.id, ()))}"
        for n, flag in enumerate(shown, 1)
    ]
    gravest = shown[0]
    at_home = desk.conversation.slots.country in (None, "VN") and desk.reading.country in (None, "VN")
    values = {
        "count": str(len(flags)),
        "flags": "\n".join(lines),
        "why": gravest.why.in_language(language),
        "do": gravest.do.in_language(language),
        "where": desk.speaker.say("offer_where_home" if at_home else "offer_where_abroad").text,
    }
    titles = "; ".join(flag.title.in_language(language) for flag in shown[:SMS_FLAGS])
    return values, {**values, "flags": titles}


def sign_titles(desk: Desk, slots: Slots) -> str:
    titles = [
        sign.title.in_language(desk.speaker.language)
        for sign in desk.library.signs.values()
        if sign.vouches and sign.title and sign.id in slots.signs
    ]
    return f": {', '.join(titles[:3])}" if titles else ""


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
    answered = number_in(desk.text) is not None or desk.says(*forms.ANSWERS, "skip")
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
    values = {
        "flags": "\n".join(f"{n}. {title}" for n, title in enumerate(shown[:SHOWN_FLAGS], 1)),
        "signs": sign_titles(desk, slots),
    }
    sms_values = {**values, "flags": "; ".join(shown[:SMS_FLAGS])}
    desk.update(form=None, step=None)
    return desk.turn(desk.speaker.say(f"offer_final_{risk.level}", values, sms_values))


def quoted(words: tuple[str, ...]) -> str:
    shown = [word if len(word) <= MOST_WORDS else word[: MOST_WORDS - 1] + "…" for word in words[:2]]
    quoted = [f'"{word}"' for word in shown]
    return f" ({', '.join(quoted)})" if quoted else ""
