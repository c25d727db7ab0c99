"""Questions: the reviewed answer, near misses as numbered choices, or an honest "I did not understand"."""

import datetime as dt
from dataclasses import dataclass

from bot.content import FALLBACK_ANSWER, Library
from bot.conversation.replies import Speaker
from bot.messages import Reply

UNLISTED = "other/unlisted"
NEAR = 0.12  # a candidate this likely is worth offering as a choice
GUESS = 0.12  # below this the person chooses, rather than that we guess
NAMED, NOT_NAMED, OTHER_NAMED = 2.0, 0.35, 0.15  # a country's own answer: named, none named, another named
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
    country: str | None = None,
) -> Answered:
    """The likeliest answer of the topic. In doubt it is named and the next likeliest stand below it as choices."""
    ranked = by_country([(name, p) for name, p in candidates if name in library.answers], country, library)
    of_topic = [pair for pair in ranked if pair[0].startswith(f"{topic}/")] or ranked
    if not of_topic:
        return give_answer(UNLISTED, library, speaker, today)
    best, likelihood = of_topic[0]
    best = library.own_answers.get(country or "", {}).get(best, best)
    if likelihood < GUESS and len(ranked) > 1:
        choices = (*(name for name, _ in ranked[:3]), "human")
        return Answered((speaker.say("which_one", choices=choices),), choices, None)
    others = [name for name, p in ranked if name != best and p >= min(NEAR, likelihood / 3)]
    rival = max((p for name, p in ranked if name != best), default=0.0)
    if likelihood >= CLEAR_LEAD * rival or not others:
        return give_answer(best, library, speaker, today)
    answer = library.answer(best, today)
    if answer is None:
        return give_answer(best, library, speaker, today)
    choices = (*others[:2], "human")
    title = answer.title.in_language(speaker.language)
    hint = speaker.say("perhaps", {"title": title}, choices=())
    return Answered((speaker.answer(answer, choices, preface=hint),), choices, best)


def by_country(ranked: list[tuple[str, float]], country: str | None, library: Library) -> list[tuple[str, float]]:
    """An answer about one country counts more where that country is named, and less where it is not."""

    def weight(answer_id: str) -> float:
        parts = f"_{answer_id.replace('/', '_')}_"  # whole words: the steps of "legal_steps" are no "eps"
        about = {code for word, codes in library.answer_countries.items() if f"_{word}_" in parts for code in codes}
        if not about:
            return 1.0
        if country in (None, "VN"):
            return NOT_NAMED
        return NAMED if country in about else OTHER_NAMED

    return sorted(((name, p * weight(name)) for name, p in ranked), key=lambda pair: -pair[1])
