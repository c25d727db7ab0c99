"""By SMS an answer comes short. Who asks for more reads the whole of it, a page at a time."""

from dataclasses import replace

from bot.conversation.answers import Answered
from bot.conversation.desk import Desk
from bot.conversation.state import Turn
from bot.letters import split_at_sentences
from bot.messages import Reply

LONGEST_PAGE = 330  # characters: with its choices at most three segments


def offered(desk: Desk, answered: Answered) -> Answered:
    """The answer with "more" as its first choice, where it stands in short and has more."""
    if not desk.in_short or not answered.answer_id or desk.conversation.form == "emergency":
        return answered
    *before, last = answered.replies
    targets = ("more", *(choice.target for choice in last.choices))
    return replace(answered, replies=(*before, replace(last, choices=desk.speaker.choices(targets))))


def asked_for(desk: Desk) -> Turn | None:
    """The word for "more", typed."""
    return next_page(desk) if desk.in_short and desk.says("more") else None


def next_page(desk: Desk) -> Turn | None:
    answer = desk.library.answer(desk.conversation.last_answer or "", desk.today)
    if answer is None:
        return None
    whole = desk.library.fill(answer.text.in_language(desk.speaker.language), desk.speaker.language, "text")
    pages = split_at_sentences(whole, LONGEST_PAGE)
    number = min(desk.conversation.page, len(pages) - 1)
    desk.update(page=number + 1, missed=0)
    targets = ("more", "human") if number + 1 < len(pages) else (*answer.next[:2], "human")
    page = pages[number]
    return desk.turn(Reply(page, page, desk.speaker.choices(targets), answer.id))
