"""Too much at once: loops of machines end, floods are told once, and a cry for help is always answered."""

import datetime as dt
from typing import Any

import pytest
from sqlalchemy import select

from bot.app import App
from bot.conversation.limits import ENDLESS
from bot.messages import InboundMessage
from bot.store import tables
from bot.testing import START
from tests.conftest import message

PER_MINUTE = 30
CRY = "cuu em voi, em dang bi nhot o bavet"
SLOWER = "nghỉ một chút"


@pytest.fixture
def house(house: App, reader: App) -> App:
    """Each test has a database of its own; what only reads is built once for all of them."""
    house.__dict__.update(library=reader.library, interpreter=reader.interpreter, policy=reader.policy)
    return house


def test_s_36_a_flood_is_told_once_and_then_met_with_silence(house: App) -> None:
    """Thirty messages in a minute are answered; then one kind word; then nothing; after the minute all is as before."""
    heard = [_say(house, f"phi di nhat bao nhieu {number}", second=number) for number in range(50)]
    assert all(heard[:PER_MINUTE])
    assert SLOWER in heard[PER_MINUTE][0]
    assert not any(heard[PER_MINUTE + 1 :])
    assert SLOWER not in _say(house, "phi di nhat bao nhieu", second=200)[0]


def test_s_26_a_cry_in_a_flood_is_answered(house: App) -> None:
    """S-26: however many messages came before it, the numbers are there, and the case stands in the queue."""
    for number in range(50):
        _say(house, f"phi di nhat bao nhieu {number}", second=number)
    (reply,) = _say(house, CRY, second=51)
    assert "113" in reply
    assert _say(house, "em o toa nha 7 tang", second=52)


def test_s_03_not_safe_is_heard_in_a_flood(house: App) -> None:
    """The answer to "is it safe?" counts however many messages came before it: the line falls silent."""
    for number in range(50):
        _say(house, f"chi toi bi chu quan karaoke giu giay to {number}", second=number)
    _say(house, "2", second=51)
    assert [row.silent_since is not None for row in _addresses(house)] == [True]


def test_another_persons_flood_costs_nobody_an_answer(house: App) -> None:
    """Each address is counted apart."""
    for number in range(50):
        _say(house, f"phi di nhat bao nhieu {number}", second=number)
    assert house.processor.handle(message("phi di nhat bao nhieu", to="other", at=START + dt.timedelta(seconds=51)))


@pytest.mark.parametrize("gap", [1, 10, 100])
@pytest.mark.parametrize(("words", "most"), [("Cam on ban da nhan tin", 5), (CRY, 10)])
def test_a_machine_that_answers_ours_is_left_alone(words: str, most: int, gap: int, house: App) -> None:
    """The same words in answer to each of our messages: ours end after a few, at any speed; a cry gets more of them, and is
    written down every time."""
    replies = 0
    for number in range(30):
        if not _say(house, words, second=number * gap):
            break
        replies += 1
    assert replies <= most


def test_two_of_us_do_not_talk_for_ever(house: App) -> None:
    """Our own bot at the other end, whose words differ every time: the talk ends within three times the hour's measure, which
    only one has in which something was read as a cry for help."""
    words, turns, most = ["xin chao"], 0, ENDLESS * house.config.bot.conversation.messages_per_hour
    while words and turns <= most:
        words = _say(house, f"{turns} {words[-1][:60]}", second=turns * 5)
        turns += 1
    assert not words


def test_impatience_is_no_loop(house: App) -> None:
    """The same number or the same yes again and again is a person at work: every one is answered."""
    for number in range(8):
        assert _say(house, "1", second=number * 5)
    for number in range(8):
        assert _say(house, "menu", second=100 + number * 5)


def _addresses(house: App) -> list[Any]:
    with house.database.begin() as connection:
        return list(connection.execute(select(tables.addresses)).all())


def _say(house: App, text: str, *, second: float) -> list[str]:
    sent = InboundMessage(message(text).address, f"m{second}", text, START + dt.timedelta(seconds=second))
    return [one.text for one in house.processor.handle(sent)]
