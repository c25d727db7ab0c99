"""What became of one message, in closed words: for the figures of the service, and to know what editors have no answer for yet."""

from typing import Literal, get_args

from bot.content import FALLBACK_ANSWER, Library
from bot.conversation.answers import UNLISTED
from bot.conversation.events import ErasureRequested
from bot.conversation.state import Conversation, Mode, Turn
from bot.understanding.nlu_data import FLAGGED
from bot.understanding.reading import Understanding

Outcome = Literal[
    "answered", "asked_back", "no_answer", "ran_out", "not_understood", "out_of_scope",  # what editors can do something about
    "offer", "report", "emergency", "person", "other", "silent",
]  # fmt: skip
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
QUESTIONS: tuple[Outcome, ...] = OUTCOMES[:6]
UNANSWERED: tuple[Outcome, ...] = ("no_answer", "not_understood")

_BY_NAME: dict[str, Outcome] = {
    "not_understood": "not_understood",
    "not_understood_again": "not_understood",
    UNLISTED: "no_answer",
    FALLBACK_ANSWER: "ran_out",
    "which_one": "asked_back",
    "out_of_scope": "out_of_scope",
}


def outcome_of(turn: Turn, before: Conversation, library: Library) -> Outcome | None:
    """None for a deletion, of which nothing is counted."""
    if any(isinstance(event, ErasureRequested) for event in turn.events):
        return None
    if before.mode is Mode.HOTLINE:
        return "person"
    if not turn.replies:
        return "silent"
    for reply in turn.replies:
        if reply.name in _BY_NAME:
            return _BY_NAME[reply.name]
        if reply.name in library.answers:
            return "answered"
    return _of_form(turn.conversation.form or before.form)


def _of_form(form: str | None) -> Outcome:
    match form:
        case "offer" | "report" | "emergency":
            return form
        case _:
            return "other"


def is_for_editors(outcome: Outcome | None, turn: Turn, before: Conversation, reading: Understanding) -> bool:
    """Whether this was a question without an answer, in a talk in which nobody has told of an offer, a report or danger, and nobody
    has been asked whether it is safe."""
    after = turn.conversation
    return (
        outcome in UNANSWERED
        and reading.kind not in FLAGGED
        and not reading.hints
        and not reading.signs
        and all(
            talk.form is None and talk.seen is None and talk.safety == "unasked" and not talk.case_open
            for talk in (before, after)
        )
    )
