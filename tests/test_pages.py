"""Long answers by SMS: short first, then the whole text in pages that a villager can afford."""

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest

from bot.app import App
from bot.channels.base import CAPABILITIES
from bot.channels.sms_text import sms_text
from bot.conversation.state import Conversation, Turn
from bot.delivery.render import parts
from bot.letters import fold, plain_marks
from bot.messages import Address, InboundMessage, Reply
from bot.testing import BETWEEN_MESSAGES, START, FakeClock, read_dialogs
from tests.conftest import ROOT

MOST_SEGMENTS = 3
MOST_PAGES = 8


@pytest.mark.parametrize("language", ["vi", "en"])
def test_every_answer_can_be_read_to_its_end(language: str, reader: App) -> None:
    """No page has more than three segments, "1" leads on to the end, and nothing of the text is left out."""
    for answer_id, answer in reader.library.answers.items():
        if reader.library.answer(answer_id, START.date()) is None:
            continue
        heard = list(_pages(reader, answer_id, language))
        shown = [part.text for reply in heard for part in parts(reply, CAPABILITIES["sms"])]
        assert max(sms_text(text).segments for text in shown) <= MOST_SEGMENTS, answer_id
        whole = reader.library.fill(answer.text.in_language(language), language, "text")
        assert _letters("".join(reply.text for reply in heard)) == _letters(whole), answer_id


def test_an_answer_with_its_choices_costs_at_most_three(reader: App) -> None:
    """The short wording too, with "more" among its choices."""
    for language in ("vi", "en"):
        for answer_id in reader.library.answers:
            conversation = Conversation(language=language, greeted=True, choices=(answer_id,))
            turn = _said(reader, conversation)
            texts = [part.text for reply in turn.replies for part in parts(reply, CAPABILITIES["sms"])]
            assert max(sms_text(text).segments for text in texts) <= MOST_SEGMENTS, answer_id
            assert turn.replies[-1].name != answer_id or turn.replies[-1].choices[0].target == "more"


def test_no_talk_by_sms_has_a_long_message(reader: App) -> None:
    """Every talk that we keep, held by SMS: three segments at most. Only scripts that SMS has no short form for need more."""
    long = set()
    for path in sorted((ROOT / "tests" / "dialogs").glob("*.yml")):
        for dialog in read_dialogs(path):
            rehearsal, clock = reader.rehearsal("sms"), FakeClock()
            for line in dialog.talk:
                _, turn = rehearsal.say(line.say, clock.advance(BETWEEN_MESSAGES))
                for part in (part for reply in turn.replies for part in parts(reply, CAPABILITIES["sms"])):
                    if part.text.isascii() and sms_text(part.text).segments > MOST_SEGMENTS:
                        long.add(part.text)
    assert long == set()


def test_the_chat_has_no_pages(reader: App) -> None:
    """Where length costs nothing the whole answer stands there at once."""
    rehearsal = reader.rehearsal("telegram")
    _, turn = rehearsal.say("phi moi gioi di nhat la bao nhieu")
    assert "more" not in [choice.target for choice in turn.replies[-1].choices]


def _pages(house: App, answer_id: str, language: str) -> Iterator[Reply]:
    conversation = Conversation(language=language, greeted=True, last_answer=answer_id, choices=("more",))
    for _ in range(MOST_PAGES):
        turn = _said(house, conversation)
        (reply,) = turn.replies
        yield reply
        conversation = turn.conversation
        if conversation.choices[0] != "more":
            return
    raise AssertionError(f"{answer_id} does not end")


def _said(house: App, conversation: Conversation) -> Turn:
    """What "1" leads to."""
    message = InboundMessage(Address("sms", "+84901234567"), "1", "1", START)
    return house.policy.respond(replace(conversation, updated_at=START), message, house.interpreter.read("1"))


def _letters(text: str) -> str:
    return re.sub(r"\W", "", fold(plain_marks(text))).lower()
