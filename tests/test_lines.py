"""One person, two lines; news that starts and ends on a word. On both databases."""

import datetime as dt
import re
import threading
from typing import Any

import pytest
from sqlalchemy import select

from bot.app import App
from bot.channels.base import CAPABILITIES
from bot.channels.sms import Fragment
from bot.conversation.replies import Speaker
from bot.delivery import fragments
from bot.delivery.render import parts
from bot.messages import Address
from bot.store import tables
from bot.testing import START
from tests.conftest import message


@pytest.fixture
def house(house: App, reader: App) -> App:
    """Each test has a database of its own; what only reads is built once for all of them."""
    house.__dict__.update(library=reader.library, interpreter=reader.interpreter, policy=reader.policy)
    return house


def test_a_code_links_two_lines(house: App) -> None:
    """Given out on one line and typed on the other, the code makes both one person's, once."""
    code = _code(house, "/link", to="web-one")
    assert _say(house, code, to="+84901", channel="sms", number=2)[-1:] == _said_as(house, "linked", "sms")
    lines = _rows(house, tables.addresses)
    assert len({row.person for row in lines}) == 1
    assert lines[0].person
    assert _say(house, code, to="+84902", channel="sms")[-1:] == _said_as(house, "link_wrong", "sms")


def test_a_code_means_nothing_where_it_was_given_out(house: App) -> None:
    """Typed on the same line, the person is told to type it on the other one; the code stays good."""
    code = _code(house, "nối kênh", to="one")
    assert _say(house, f"{code[:4]} {code[4:]}", to="one", number=2) == _said_as(house, "link_own", "telegram")
    assert _say(house, code, to="two", number=3)[-1:] == _said_as(house, "linked", "telegram")


def test_a_code_runs_out(house: App) -> None:
    """After a quarter of an hour it links nobody."""
    code = _code(house, "/link", to="one")
    late = house.processor.handle(message(code, to="two", channel="telegram", at=START + dt.timedelta(minutes=16)))
    assert [one.text for one in late][-1:] == _said_as(house, "link_wrong", "telegram")
    assert {row.person for row in _rows(house, tables.addresses)} == {None}


def test_s_03_silence_counts_for_every_line_of_a_person(house: App) -> None:
    """Two lines may end in one phone: after "exit" on one, nothing that waits for the other leaves."""
    _link(house)
    _say(house, "xin chao", to="+84901", channel="sms", number=7)
    _say(house, "thoat", to="one", number=8)
    assert all(row.silent_since for row in _rows(house, tables.addresses))
    assert {row.status for row in _rows(house, tables.outbox) if row.channel == "sms"} == {"cancelled"}


def test_s_34_stop_across_lines_on_request(house: App) -> None:
    """STOP ends the news here at once, and offers to end it on the other line too; the words of the no are kept sealed."""
    _link(house)
    _say(house, "dang ky", to="one", number=8)
    _say(house, "dang ky", to="+84901", channel="sms", number=9)
    assert _say(house, "stop", to="one", number=10) == _said_as(house, "stopped_here", "telegram")
    assert _open_consents(house) == 1
    assert _say(house, "1", to="one", number=11) == _said_as(house, "stopped", "telegram")
    assert _open_consents(house) == 0
    keyring = house.database.keyring
    words = [
        keyring.open(row.sealed_withdrawal, f"consents|{row.id}|sealed_withdrawal")
        for row in _rows(house, tables.consents)
    ]
    assert sorted(words) == ["1 (Ngừng ở mọi kênh)", "1 (Ngừng ở mọi kênh)", "stop"]


def test_s_34_stop_leaves_the_open_case_alone(house: App) -> None:
    """No more news, but who helps can still write; and the no stands on record although no yes was given."""
    _say(house, "cuu em voi bi nhot o bavet", to="one")
    assert _say(house, "stop", to="one", number=2)
    (case,) = _rows(house, tables.cases)
    assert case.status == "open"
    assert [row.basis for row in _rows(house, tables.consents) if row.purpose == "alerts"] == ["refusal"]


def test_s_09_a_yes_after_a_case_is_a_new_yes(house: App) -> None:
    """Who asks for news again after a case is written down anew, and once."""
    _say(house, "dang ky", to="one")
    house.processor.handle(
        message(
            "cuu em voi bi nhot o bavet", to="one", channel="telegram", number=2, at=START + dt.timedelta(minutes=1)
        )
    )
    for number in (3, 4):
        house.processor.handle(
            message("dang ky", to="one", channel="telegram", number=number, at=START + dt.timedelta(minutes=number))
        )
    helped = _rows(house, tables.addresses)[0].helped_at
    given = [row.given_at for row in _rows(house, tables.consents) if row.purpose == "alerts"]
    assert len(given) == 2
    assert max(given) > helped


def _code(house: App, words: str, *, to: str) -> str:
    (reply, *_) = reversed(_say(house, words, to=to))
    found = re.search(r"\d{4} \d{4}", reply)
    assert found
    return found[0].replace(" ", "")


def _link(house: App) -> None:
    code = _code(house, "/link", to="one")
    _say(house, code, to="+84901", channel="sms", number=6)


def _say(house: App, text: str, *, to: str, channel: str = "telegram", number: int = 1) -> list[str]:
    return [one.text for one in house.processor.handle(message(text, to=to, channel=channel, number=number))]


def _said_as(house: App, name: str, channel: str) -> list[str]:
    reply = Speaker(house.library, "vi").say(name)
    return [part.text for part in parts(reply, CAPABILITIES[channel])]


def _rows(house: App, table: Any) -> list[Any]:
    with house.database.begin() as connection:
        return list(connection.execute(select(table)).all())


def _open_consents(house: App) -> int:
    return sum(row.withdrawn_at is None for row in _rows(house, tables.consents) if row.purpose == "alerts")


def test_an_erasure_takes_the_parts_of_an_unfinished_message_along(house: App) -> None:
    """D-03: what has arrived in part, and waits for the rest, goes with everything else."""
    number = "+84901234567"
    _say(house, "alo", to=number, channel="sms")
    database = house.database
    with database.begin() as connection:
        for sender in (number, "+84907654321"):
            part = Fragment(Address("sms", sender), 1, 1, 2, "nua cau dau")
            fragments.join(connection, database.keyring, part, START, again=False)
    _say(house, "xoa", to=number, channel="sms", number=2)
    assert [row.lookup for row in _rows(house, tables.fragments)] == [database.keyring.lookup("sms", "+84907654321")]


def test_two_lines_of_one_person_may_write_at_once(house: App) -> None:
    """Both say "thoat" in the same moment, again and again: each is heard, and neither stands in the other's way."""
    _link(house)
    failures: list[BaseException] = []

    def say(to: str, channel: str) -> None:
        for number in range(100, 115):
            try:
                _say(house, "thoat", to=to, channel=channel, number=number)
            except BaseException as error:
                failures.append(error)

    threads = [threading.Thread(target=say, args=line) for line in (("one", "telegram"), ("+84901", "sms"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert all(row.silent_since for row in _rows(house, tables.addresses))


def test_the_code_of_an_erased_line_is_worth_nothing(house: App) -> None:
    """After "xoa" nobody can link to what is gone."""
    number = "+84901234567"
    (reply, *_) = reversed(_say(house, "/link", to=number, channel="sms"))
    found = re.search(r"\d{4} \d{4}", reply)
    assert found
    _say(house, "xoa", to=number, channel="sms", number=2)
    assert _say(house, found[0], to="another", number=3)[-1:] == _said_as(house, "link_wrong", "telegram")
