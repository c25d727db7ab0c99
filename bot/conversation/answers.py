"""Questions: the reviewed answer, near misses as numbered choices, or an honest "I did not understand"."""

import datetime as dt
from dataclasses import dataclass

from bot.content import FALLBACK_ANSWER, Library
from bot.conversation.replies import Speaker
from bot.messages import Reply

UNLISTED = "other/unlisted"
NEAR = 0.12  # a candidate this likely is worth offering as a choice
CLEAR_LEAD = 2.0  # times as likely as the next: no doubt which answer is meant


@dataclass(frozen=True)
class Answered:
    """Replies, the choices they offer, and the answer that was given (for "source")."""

    replies: tuple[Reply, ...]
    choices: tuple[str, ...]
    answer_id: str | None


def give_answer(answer_id: str, library: Library, speaker: Speaker, today: dt.date) -> Answered:
    """One answer; when it has run out, the hotline pointer in its place."""
    answer = library.answer(answer_id, today)
    if answer is None:
        reply = speaker.say(FALLBACK_ANSWER)
        return Answered((reply,), library.responses[FALLBACK_ANSWER].choices, None)
    return Answered((speaker.answer(answer, answer.next),), answer.next, answer_id)


def answer_question(
    candidates: tuple[tuple[str, float], ...],
    topic: str | None,
    library: Library,
    speaker: Speaker,
    today: dt.date,
    sure: float,
) -> Answered:
    """The likeliest answer of the topic. In doubt it is named and the next likeliest stand below it as choices."""
    ranked = [(name, p) for name, p in candidates if name in library.answers]
    of_topic = [pair for pair in ranked if pair[0].startswith(f"{topic}/")] or ranked
    if not of_topic:
        return give_answer(UNLISTED, library, speaker, today)
    best, likelihood = of_topic[0]
    others = [name for name, p in ranked if name != best and p >= min(NEAR, likelihood / 3)]
    rival = max((p for name, p in ranked if name != best), default=0.0)
    if likelihood >= CLEAR_LEAD * rival or (likelihood >= sure and rival < NEAR) or not others:
        return give_answer(best, library, speaker, today)
    answer = library.answer(best, today)
    if answer is None:
        return give_answer(best, library, speaker, today)
    choices = (*others[:2], "human")
    title = answer.title.in_language(speaker.language)
    hint = speaker.say("perhaps", {"title": title}, choices=())
    return Answered((speaker.answer(answer, choices, preface=hint),), choices, best)
