"""Forms: which question comes next, and what an answer to it shows."""

import re
from collections.abc import Iterable
from dataclasses import replace

from bot.content import Form, Library, Question
from bot.conversation.state import Slots
from bot.letters import fold
from bot.understanding.figures import HOME, flag_of_pay
from bot.understanding.nlu_data import FLAGGED
from bot.understanding.reading import Understanding

ANSWERS = ("yes", "no", "unsure")
LOOKED_UP = "licence_looked_up"  # the person found the licence, rather than was told of it
LOOKING_UP = re.compile(
    r"\b(?:tra\b(?! (?:luong|tien|cong))|kiem tra|check|tim|looked|found|checked)\b|\b(?:hoi|xem) (?:\w+ ){0,3}(?:so noi vu|dolab|danh sach)\b"
)


def with_reading(slots: Slots, reading: Understanding, library: Library) -> Slots:
    """What is known, with what this message adds. Figures of several messages are judged together."""
    pay = reading.entities.pay
    vouching = {sign.id for sign in library.signs.values() if sign.vouches} | {"vouched"}
    signs = [sign for sign in reading.signs if reading.kind == "offer" or sign not in vouching]
    if "licence_checked" in signs and LOOKING_UP.search(fold(" ".join(reading.signs["licence_checked"])).lower()):
        signs.append(LOOKED_UP)
    merged = replace(
        slots,
        flags=_joined(slots.flags, reading.flags or (reading.hints if slots.told else ())),
        signs=_joined(slots.signs, signs),
        told=slots.told or reading.kind == "offer",
        pay_per_month=pay.per_month if pay else slots.pay_per_month,
        country=_place_of_work(slots, reading),
        about="other" if "about_relative" in reading.signs else slots.about,
    )
    if flag := flag_of_pay(merged.pay_per_month, merged.country, library.countries):
        return replace(merged, flags=_joined(merged.flags, [flag]))
    if merged.pay_per_month and merged.country and "double_pay" not in merged.signs:
        return replace(merged, flags=tuple(flag for flag in merged.flags if flag != "unrealistic_pay"))
    return merged


def _place_of_work(slots: Slots, reading: Understanding) -> str | None:
    """A province in Viet Nam, named by the way, brings nobody home who is abroad: their family lives there."""
    named_by_the_way = not reading.entities.countries and reading.kind not in FLAGGED
    if slots.country not in (None, HOME) and named_by_the_way:
        return slots.country
    return reading.country or slots.country


def with_answer(slots: Slots, question: Question, value: str) -> Slots:
    """Slots after "yes", "no" or "unsure" to one question."""
    outcome = {"yes": question.yes, "no": question.no}.get(value)
    slots = slots.with_answer(question.id, value)
    if outcome is None:
        return slots
    if outcome.flag:
        slots = replace(slots, flags=_joined(slots.flags, [outcome.flag]))
    if outcome.sign:
        slots = replace(slots, signs=_joined(slots.signs, [outcome.sign, *(["vouched"] if outcome.vouches else [])]))
    return slots


def signs_that_count(slots: Slots, library: Library) -> tuple[str, ...]:
    """Where compounds are, only a licence that was looked up or a state programme speaks for an offer."""
    country = library.countries.get(slots.country or "")
    if country and country.compounds and not {"licence_checked", "state_programme"} & set(slots.signs):
        return tuple(sign for sign in slots.signs if sign != "vouched")
    return slots.signs


def next_question(form: Form, slots: Slots) -> Question | None:
    """The first question that is open, fits the place and could still change something; None after the form's limit."""
    if len(slots.answers) >= form.most:
        return None
    known = {*slots.flags, *slots.signs}
    for question in form.questions:
        asked = slots.answer(question.id) is not None
        if not asked and not (question.settled_by & known) and _fits_place(question, slots):
            return question
    return None


def looked_up(slots: Slots) -> bool:
    """Whether the person themselves found the licence on the list."""
    return LOOKED_UP in slots.signs or slots.answer("licence") == "yes"


def question_of(form: Form, question_id: str | None) -> Question | None:
    return next((question for question in form.questions if question.id == question_id), None)


def _fits_place(question: Question, slots: Slots) -> bool:
    abroad = slots.country not in (None, "VN")
    return question.where == "anywhere" or (question.where == "abroad") == abroad


def _joined(known: tuple[str, ...], new: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*known, *new)))
