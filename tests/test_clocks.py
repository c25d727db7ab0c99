"""The clocks of the queue: who is called when nobody claims, and what the person is told (S-28, S-29, S-10, S-03)."""

import datetime as dt
import itertools
import json
import logging
import multiprocessing
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Row, Table, event, select, update
from sqlalchemy.engine import Engine
from sqlalchemy.pool import Pool

from bot import contacts
from bot.content import Library
from bot.conversation.replies import Speaker
from bot.delivery import outbox
from bot.delivery.pace import Pace
from bot.hotline import clocks, paging
from bot.hotline.clocks import Clock, Done
from bot.hotline.paging import Exchange
from bot.hours import ALWAYS, Hours, read_week
from bot.letters import fold
from bot.messages import VIETNAM, Address
from bot.store import tables
from bot.store.database import Database, utc
from bot.testing import START
from tests.conftest import ROOT
from tests.hotline import a_case, a_colleague
from tests.houses import open_copy

MINUTE = dt.timedelta(minutes=1)
HOUR = dt.timedelta(hours=1)
OFFICE = Hours(read_week({"mon-fri": "08:00-17:30"}))
IN_HOURS = dt.datetime(2026, 11, 23, 9, 0, tzinfo=VIETNAM).astimezone(dt.UTC)  # a Monday
AT_NIGHT = dt.datetime(2026, 11, 20, 23, 0, tzinfo=VIETNAM).astimezone(dt.UTC)  # a Friday
MONDAY = dt.datetime(2026, 11, 23, 8, 0, tzinfo=VIETNAM).astimezone(dt.UTC)
LIBRARY = Library(ROOT / "content")
SAID = {language: LIBRARY.console(language)["page"]["text"] for language in ("vi", "en")}
QUICK = Pace(10_000)


def a_clock(hours: Hours = ALWAYS, *, channels: tuple[str, ...] = paging.WAYS, console: str | None = None) -> Clock:
    claim = {
        name: dt.timedelta(minutes=most)
        for name, most in zip(("P0", "P1", "P2", "P3"), (5, 60, 1440, 4320), strict=True)
    }
    exchange = Exchange(LIBRARY, frozenset(channels), console)
    return Clock(exchange, hours, claim, (5 * MINUTE, 10 * MINUTE), 15 * MINUTE)


class Line:
    """A queue with its clocks, on a database of its own. With `sends` every call leaves as soon as it is made."""

    sends = True

    def __init__(self, database: Database, clock: Clock | None = None) -> None:
        self.database = database
        self.keyring = database.keyring
        self.clock = clock or a_clock()
        self.names: dict[str, str] = {}

    def case(self, **about: Any) -> str:
        with self.database.begin() as connection:
            return a_case(connection, self.keyring, **about)

    def colleagues(self, *names: str, **about: Any) -> None:
        """Each is called after the one before, by Telegram under a chat of the same number."""
        for name in names:
            place = len(self.names) + 1
            ways = {"telegram": str(place)} if not set(about) & set(paging.WAYS) else {}
            with self.database.begin() as connection:
                staff_id = a_colleague(connection, self.keyring, name, **{"page_order": place, **ways, **about})
            self.names[staff_id] = name

    def look(self, now: dt.datetime) -> Done:
        with self.database.begin() as connection:
            done = clocks.look(connection, self.keyring, self.clock, now)
            if self.sends:
                calls = (tables.outbox.c.author == "page") & (tables.outbox.c.status == "queued")
                connection.execute(update(tables.outbox).where(calls).values(status="sent", done_at=now))
            return done

    def claim(self, case_id: str, now: dt.datetime) -> None:
        self.change(tables.cases, case_id, owner_id=next(iter(self.names)), claimed_at=now)

    def release(self, case_id: str, now: dt.datetime) -> None:
        self.change(tables.cases, case_id, owner_id=None, claimed_at=None)
        with self.database.begin() as connection:
            clocks.restart(connection, case_id, now)

    def change(self, table: Table, row_id: str, **values: Any) -> None:
        with self.database.begin() as connection:
            connection.execute(update(table).where(table.c.id == row_id).values(**values))

    def rows(self, table: Table) -> list[Row[Any]]:
        with self.database.begin() as connection:
            return list(connection.execute(select(table)).all())

    def sent(self, author: str) -> list[Row[Any]]:
        return sorted((row for row in self.rows(tables.outbox) if row.author == author), key=lambda row: row.created_at)

    def calls(self, since: dt.datetime = START) -> list[tuple[str, str, int]]:
        """(who, by which way, minutes after `since`), in order."""
        found = []
        for row in self.sent("page"):
            who = self.names[row.dedup.split(":")[3]]
            found.append((who, row.channel, int((utc(row.created_at) - since) / MINUTE)))
        return sorted(found, key=lambda call: (call[2], call[0]))

    def told(self) -> list[str]:
        return [self.text(row) for row in self.sent("bot")]

    def text(self, row: Row[Any]) -> str:
        body: dict[str, str] = json.loads(self.keyring.open(row.sealed_body, f"outbox|{row.id}|sealed_body"))
        return body["text"]

    def fail(self, channel: str, status: str = "failed") -> None:
        """What has been said by this channel and still waits did not get through."""
        with self.database.begin() as connection:
            waiting = (tables.outbox.c.channel == channel) & (tables.outbox.c.status == "queued")
            connection.execute(update(tables.outbox).where(waiting).values(status=status))


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def line(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Line]:
    url = f"sqlite:///{tmp_path / 'banduong.db'}"
    if request.param == "postgres":
        url = request.getfixturevalue("postgres_store")
    opened = open_copy(url, tmp_path)
    yield Line(opened)
    opened.close()


def every_minute(line: Line, minutes: int, start: dt.datetime = START) -> None:
    for minute in range(minutes + 1):
        line.look(start + minute * MINUTE)


# -- S-28: danger ------------------------------------------------------------------------------------------------------


def test_s_28_a_cry_calls_one_after_the_other_and_then_everybody(line: Line) -> None:
    """Called are: the first at once, the next after five minutes, everybody after ten; then nobody any more."""
    line.colleagues("An", "Binh", "Chi")
    line.case()
    every_minute(line, 40)
    assert line.calls() == [
        ("An", "telegram", 0),
        ("Binh", "telegram", 5),
        *((name, "telegram", 10) for name in ("An", "Binh", "Chi")),
    ]


def test_s_28_who_is_alone_on_duty_is_called_each_time(line: Line) -> None:
    """The order begins anew where it ends."""
    line.colleagues("An")
    line.case()
    every_minute(line, 60)
    assert line.calls() == [("An", "telegram", minute) for minute in (0, 5, 10)]


def test_s_28_after_a_quarter_of_an_hour_the_person_is_told_once(line: Line) -> None:
    """At fifteen minutes, not before, one honest message with numbers that can be called anywhere."""
    line.colleagues("An")
    line.case()
    every_minute(line, 14)
    assert line.told() == []
    every_minute(line, 40)
    (told,) = line.told()
    assert told == LIBRARY.say("nobody_came", "vi", "text")
    for number in ("113", "+84 981 84 84 84"):
        assert number in told


@pytest.mark.parametrize(("claimed", "calls"), [(1, 1), (6, 2), (14, 5)])
def test_s_28_a_claim_ends_the_clock(line: Line, claimed: int, calls: int) -> None:
    """After a claim nobody is called, and the person is not told that nobody came."""
    line.colleagues("An", "Binh", "Chi")
    case_id = line.case()
    every_minute(line, claimed)
    line.claim(case_id, START + claimed * MINUTE)
    every_minute(line, 40)
    assert len(line.calls()) == calls
    assert line.told() == []


@pytest.mark.parametrize("status", ["closed", "erased"])
def test_s_28_an_ended_case_has_no_clock(line: Line, status: str) -> None:
    """Who has closed or deleted is left alone."""
    line.colleagues("An")
    line.case(status=status)
    every_minute(line, 30)
    assert (line.calls(), line.told()) == ([], [])


def test_s_28_after_a_standstill_one_call_says_all(line: Line) -> None:
    """A service that was away for twelve minutes calls everybody once, not once for each step that it missed."""
    line.colleagues("An", "Binh")
    line.case()
    line.look(START + 12 * MINUTE)
    assert line.calls() == [("An", "telegram", 12), ("Binh", "telegram", 12)]
    every_minute(line, 60)
    assert len(line.calls()) == 2
    assert len(line.told()) == 1


def test_s_28_a_released_case_begins_anew(line: Line) -> None:
    """From the release on: the first, the next, everybody, and the truth once more."""
    line.colleagues("An", "Binh")
    case_id = line.case()
    every_minute(line, 16)
    line.claim(case_id, START + 16 * MINUTE)
    released = START + HOUR
    line.release(case_id, released)
    every_minute(line, 30, released)
    assert [call for call in line.calls(released) if call[2] >= 0] == [
        ("An", "telegram", 0),
        ("Binh", "telegram", 5),
        ("An", "telegram", 10),
        ("Binh", "telegram", 10),
    ]
    assert len(line.told()) == 2


def test_s_28_a_case_that_becomes_a_cry_is_new_from_then_on(line: Line) -> None:
    """Three hours after it came as P3, danger is named: the calls begin then, and nobody is told at once that nobody came."""
    line.colleagues("An", "Binh")
    case_id = line.case(priority="P3")
    line.look(START)
    raised = START + 3 * HOUR
    line.change(tables.cases, case_id, priority="P0")
    every_minute(line, 14, raised)
    assert line.calls(raised)[:2] == [("An", "telegram", 0), ("Binh", "telegram", 5)]
    assert line.told() == []
    line.look(raised + 15 * MINUTE)
    assert len(line.told()) == 1


def test_s_28_a_cry_in_the_night_calls_at_once_and_again_when_it_opens(line: Line) -> None:
    """Danger does not wait for opening hours; whoever comes to work on Monday is called too."""
    line.clock = a_clock(OFFICE)
    line.colleagues("An", "Binh")
    line.case(at=AT_NIGHT)
    every_minute(line, 60, AT_NIGHT)
    opening = int((MONDAY - AT_NIGHT) / MINUTE)
    for minute in (-1, 0, 1, 60):
        line.look(MONDAY + minute * MINUTE)
    assert [minute for _, _, minute in line.calls(AT_NIGHT)] == [0, 5, 10, 10, opening, opening]


# -- S-28: what is less pressing ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("priority", "minor", "opened", "expected"),
    [
        ("P1", False, IN_HOURS, [IN_HOURS, IN_HOURS + HOUR]),
        ("P1", False, AT_NIGHT, [MONDAY, MONDAY + HOUR]),
        ("P1", True, AT_NIGHT, [AT_NIGHT, AT_NIGHT + HOUR]),
        ("P2", False, IN_HOURS, [IN_HOURS + 24 * HOUR]),
        ("P2", False, AT_NIGHT, [MONDAY]),
        ("P3", False, IN_HOURS, [IN_HOURS + 72 * HOUR]),
        ("P3", False, AT_NIGHT, [AT_NIGHT + 81 * HOUR]),
    ],
    ids=["P1 by day", "P1 by night", "a minor by night", "P2", "P2 before a weekend", "P3", "P3 before a weekend"],
)
def test_s_28_each_priority_has_its_time(
    line: Line, priority: str, minor: bool, opened: dt.datetime, expected: list[dt.datetime]
) -> None:
    """P1 at once and after an hour, a minor even at night; P2 after a day and P3 after three, once it is open. Nobody is told that
    nobody came: that is for danger."""
    line.clock = a_clock(OFFICE)
    line.colleagues("An", "Binh")
    line.case(priority=priority, minor=minor, at=opened)
    for hour in range(5 * 24):
        line.look(opened + hour * HOUR)
    assert [utc(row.created_at) for row in line.sent("page")] == expected
    assert line.told() == []


def test_a_minor_who_is_known_later_does_not_wait_for_morning(line: Line) -> None:
    """The age comes up in the night: the call goes out with the next look."""
    line.clock = a_clock(OFFICE)
    line.colleagues("An")
    case_id = line.case(priority="P1", at=AT_NIGHT)
    line.look(AT_NIGHT)
    assert line.calls() == []
    line.change(tables.cases, case_id, minor=True)
    line.look(AT_NIGHT + 7 * MINUTE)
    assert [minute for _, _, minute in line.calls(AT_NIGHT)] == [7]


# -- who is called -----------------------------------------------------------------------------------------------------


def test_only_who_is_on_duty_and_works_the_queue_is_called(line: Line) -> None:
    """Not who is off duty, removed, without a place in the order, or of another trade; a supervisor is."""
    line.colleagues("off", on_duty=False)
    line.colleagues("no order", page_order=None, telegram="77")
    line.colleagues("analyst", roles="analyst,admin")
    line.colleagues("gone")
    line.colleagues("An", roles="outreach,supervisor")
    line.change(tables.staff, next(row for row, name in line.names.items() if name == "gone"), removed_at=START)
    line.case()
    every_minute(line, 20)
    assert {who for who, _, _ in line.calls()} == {"An"}


def test_a_free_hand_is_called_first_unless_it_is_danger(line: Line) -> None:
    """S-35: who has as many cases as they may have comes after the others, but in danger the order holds."""
    line.colleagues("full", most_cases=1)
    line.colleagues("free")
    full = next(iter(line.names))
    line.case(address=Address("web", "other"), owner_id=full, claimed_at=START)
    line.case(address=Address("web", "report"), priority="P1")
    line.look(START)
    assert [who for who, _, _ in line.calls()] == ["free"]
    line.case()
    line.look(START + MINUTE)
    assert [who for who, _, _ in line.calls()] == ["free", "full"]


def test_nobody_on_duty_calls_everybody_in_order_and_says_so(line: Line, caplog: pytest.LogCaptureFixture) -> None:
    """The log tells of it without a name; the order holds."""
    line.colleagues("An", "Binh", on_duty=False)
    line.case()
    with caplog.at_level(logging.ERROR, "banduong"):
        line.look(START)
        line.look(START + 5 * MINUTE)
    assert [who for who, _, _ in line.calls()] == ["An", "Binh"]
    assert "nobody is on duty" in caplog.text
    assert not [name for name in line.names.values() if name in caplog.text]


def test_a_call_that_nobody_can_get_stays_due(line: Line) -> None:
    """With nobody to call the pass says so, and whoever comes later is called then."""
    line.case()
    assert line.look(START).unheard == 1
    assert not line.look(START + MINUTE)
    line.colleagues("An")
    assert line.look(START + 2 * MINUTE).calls == 1
    assert line.calls() == [("An", "telegram", 2)]


# -- ways --------------------------------------------------------------------------------------------------------------

ALL_WAYS = {"telegram": "7", "sms": "+84900000007", "email": "an@example.org"}


@pytest.mark.parametrize("status", ["failed", "undelivered", "uncertain", "expired", "cancelled"])
def test_a_way_that_fails_is_followed_by_the_next(line: Line, status: str) -> None:
    """Telegram, then SMS, then mail, then the next person: each with the look after the failure, and each once."""
    line.sends = False
    line.colleagues("An", **ALL_WAYS)
    line.colleagues("Binh", telegram="8")
    line.case()
    line.look(START)
    for second, channel in enumerate(("telegram", "sms", "email"), 1):
        line.fail(channel, status)
        line.look(START + second * dt.timedelta(seconds=5))
        line.look(START + second * dt.timedelta(seconds=6))
    assert [(who, way) for who, way, _ in line.calls()] == [
        ("An", "telegram"), ("An", "sms"), ("An", "email"), ("Binh", "telegram"),
    ]  # fmt: skip


def test_two_calls_of_one_look_go_to_two_people(line: Line) -> None:
    """The first call has failed for good when the second is due: one person takes its place, and another gets the second."""
    line.sends = False
    line.colleagues("An", "Binh", "Chi")
    line.case()
    line.look(START)
    line.fail("telegram")
    line.look(START + 5 * MINUTE)
    assert line.calls() == [("An", "telegram", 0), ("Binh", "telegram", 5), ("Chi", "telegram", 5)]


def test_a_way_that_is_stuck_is_not_waited_for(line: Line) -> None:
    """A call that has not left after two minutes is tried by the next way; one that has left is not."""
    line.sends = False
    line.colleagues("An", **ALL_WAYS)
    line.case()
    line.look(START)
    line.look(START + 2 * MINUTE - dt.timedelta(seconds=1))
    assert len(line.calls()) == 1
    line.look(START + 2 * MINUTE)
    line.fail("sms", "sent")
    every_minute(line, 4)
    assert [way for _, way, _ in line.calls()] == ["telegram", "sms"]


def test_the_call_to_everybody_goes_on_for_each_apart(line: Line) -> None:
    """Whom the last call did not reach is called by another way; whom it reached is not."""
    line.sends = False
    line.colleagues("An", **ALL_WAYS)
    line.colleagues("Binh", telegram="8")
    line.case()
    line.look(START + 10 * MINUTE)
    with line.database.begin() as connection:
        for row in connection.execute(select(tables.outbox)).all():
            status = "failed" if line.names[row.dedup.split(":")[3]] == "An" else "sent"
            connection.execute(update(tables.outbox).where(tables.outbox.c.id == row.id).values(status=status))
    line.look(START + 11 * MINUTE)
    line.fail("sms", "delivered")
    every_minute(line, 60)
    assert line.calls() == [("An", "telegram", 10), ("Binh", "telegram", 10), ("An", "sms", 11)]


def test_a_way_that_is_out_of_reach_or_not_set_up_is_passed_over(line: Line) -> None:
    """Whoever has blocked the bot is called by SMS; where there is no SMS here, by mail; without any way, the next person is."""
    line.colleagues("blocked", **ALL_WAYS)
    line.colleagues("only SMS", sms="+84900000008")
    line.colleagues("Chi", telegram="9")
    line.clock = a_clock(channels=("telegram", "email"))
    with line.database.begin() as connection:
        contact = contacts.find_or_create(connection, line.keyring, Address("telegram", "7"), START)
        contacts.set_unreachable(connection, contact.id, START)
    line.case()
    line.look(START)
    line.look(START + 5 * MINUTE)
    assert [(who, way) for who, way, _ in line.calls()] == [("blocked", "email"), ("Chi", "telegram")]


def test_who_goes_off_duty_is_replaced(line: Line) -> None:
    """A call to somebody whose shift ends is one to the next person."""
    line.colleagues("An", "Binh")
    line.case()
    line.look(START)
    line.change(tables.staff, next(iter(line.names)), on_duty=False)
    line.look(START + MINUTE)
    assert line.calls() == [("An", "telegram", 0), ("Binh", "telegram", 1)]


def test_a_call_leaves_although_the_line_is_silent(line: Line) -> None:
    """Somebody of the staff who tried "not safe" on their own phone is called all the same; what is no call waits."""
    line.sends = False
    line.colleagues("An")
    with line.database.begin() as connection:
        contact = contacts.find_or_create(connection, line.keyring, Address("telegram", "1"), START)
        contacts.set_silent(connection, [contact.id], START)
    line.case()
    now = START + MINUTE
    line.look(now)
    with line.database.begin() as connection:
        assert outbox.cancel_waiting(connection, contact.id, "silent", now, of=outbox.TO_PEOPLE) == 0
        contacts.set_silent(connection, [contact.id], now + MINUTE)
        outbox.cancel_silenced(connection, now + MINUTE)
        (due,) = outbox.claim(connection, line.keyring, "telegram", owner="me", limit=9, speed=QUICK, now=now)
        assert outbox.mark_sending(connection, "telegram", [due.id], owner="me", now=now) == {due.id}
    assert due.message.text == SAID["vi"]


# -- what a call says --------------------------------------------------------------------------------------------------


def test_a_call_says_nothing_of_the_case(line: Line) -> None:
    """For any case and on every way the same few words, with the console's address; nothing on a lock screen gives it away."""
    line.clock = a_clock(console="https://truc.example.org/console")
    line.colleagues("An", sms="+84900000007")
    line.colleagues("Binh", email="b@example.org", language="en")
    line.case(country="KH", flags=["ransom_demand"], about="other", minor=True)
    line.look(START + 10 * MINUTE)
    said = [line.text(row) for row in line.sent("page")]
    address = " https://truc.example.org/console"
    assert sorted(said) == sorted([fold(SAID["vi"]) + address, SAID["en"] + address])
    revealing = [word for words in LIBRARY.policy_words["revealing"].values() for word in words]
    for text in said:
        assert len(text) <= 160
        assert not [word for word in revealing if word in fold(text[:40]).lower()]


def test_both_languages_of_the_console_have_the_same_words() -> None:
    """No text is missing in one of them."""
    vi, en = (LIBRARY.console(language) for language in ("vi", "en"))
    assert {page: set(texts) for page, texts in vi.items()} == {page: set(texts) for page, texts in en.items()}


# -- the honest message ------------------------------------------------------------------------------------------------


def test_s_03_to_a_silent_address_no_honest_message_leaves(line: Line) -> None:
    """After "not safe" it does not go out, and half an hour later it never will, even if the person writes then."""
    line.sends = False
    line.colleagues("An")
    line.case(address=Address("telegram", "person"))
    with line.database.begin() as connection:
        contact = contacts.find_or_create(connection, line.keyring, Address("telegram", "person"), START)
        contacts.set_silent(connection, [contact.id], START + MINUTE)
    line.look(START + 15 * MINUTE)
    assert _leaving(line, START + 16 * MINUTE) == [SAID["vi"]]
    with line.database.begin() as connection:
        contacts.heard_from(connection, contact)
    assert _leaving(line, START + 46 * MINUTE) == []


def test_s_10_no_honest_message_outside_the_hours_that_the_person_called_safe(line: Line) -> None:
    """Who named hours, or writes although somebody may read along, is not written to first."""
    line.colleagues("An")
    line.case(address=Address("web", "hours"), sealed_reach=b"sealed")
    line.case(address=Address("web", "watched"), watched=True)
    every_minute(line, 60)
    assert line.told() == []
    assert len(line.calls()) == 2 * 3


def test_s_10_what_is_late_is_not_said(line: Line) -> None:
    """After a standstill of an hour nobody knows who holds the phone: staff are called, the person is not written to."""
    line.colleagues("An")
    line.case()
    line.look(START + 46 * MINUTE)
    assert (len(line.calls()), line.told()) == (1, [])


@pytest.mark.parametrize("code", [None, *LIBRARY.countries])
@pytest.mark.parametrize("language", ["vi", "en"])
def test_s_12_the_honest_message_names_no_place(code: str | None, language: str) -> None:
    """It carries the country's own numbers and neither its name nor a word of what was told; by SMS it is two messages at most."""
    speaker = Speaker(LIBRARY, language)
    for hours in (ALWAYS, OFFICE):
        told = clocks.nobody_came(speaker, hours, code, AT_NIGHT)
        names = [country.name.in_language(language) for country in LIBRARY.countries.values() if country.code != "VN"]
        assert not [name for name in names if f" {name.lower()} " in f" {told.text.lower()} "]
        assert len(fold(told.sms)) <= 306
        own = [LIBRARY.hotlines[name] for name in (LIBRARY.countries[code].hotlines if code else ())]
        assert all(one.number in told.text and one.number in told.sms for one in own if one.id != "vn_111")


def test_the_honest_message_names_no_number_whose_check_is_overdue() -> None:
    """The embassy's number falls silent with its last day; the national ones stay."""
    late = dt.datetime(2031, 1, 1, tzinfo=dt.UTC)
    told = clocks.nobody_came(Speaker(LIBRARY, "vi"), ALWAYS, "KH", late)
    assert told.text == LIBRARY.say("nobody_came", "vi", "text")


def test_s_29_in_closed_hours_the_honest_message_says_when_it_opens(line: Line) -> None:
    """Nobody came, and it is night: the person reads when somebody is there again, and whom to call now."""
    line.clock = a_clock(OFFICE)
    line.colleagues("An")
    line.case(at=AT_NIGHT)
    every_minute(line, 20, AT_NIGHT)
    (told,) = line.told()
    assert "8 giờ sáng thứ Hai" in told
    assert "113" in told


def _leaving(line: Line, now: dt.datetime) -> list[str]:
    with line.database.begin() as connection:
        due = outbox.claim(connection, line.keyring, "telegram", owner="me", limit=9, speed=QUICK, now=now)
        return [one.message.text for one in due]


# -- whatever happens --------------------------------------------------------------------------------------------------

LADDERS = {  # what is due how many minutes after a clock began, where it is always open
    "P0": {"page1": 0, "page2": 5, "page3": 10, "honest": 15},
    "P1": {"page1": 0, "page2": 60},
    "P2": {"page1": 24 * 60},
}
ACTIONS = st.one_of(
    st.integers(0, 40).map(lambda minutes: ("wait", minutes)),
    st.sampled_from([("look", 0), ("claim", 0), ("release", 0), ("raise", 0), ("wait", 24 * 60)]),
)


class Reference:
    """What must have happened to one case, reckoned apart from the code."""

    def __init__(self, priority: str, opened: dt.datetime) -> None:
        self.priority = priority
        self.opened = opened
        self.round = 0
        self.begun: dict[tuple[int, str], dt.datetime] = {}
        self.steps: set[str] = set()
        self.claimed = False

    def look(self, now: dt.datetime) -> set[str]:
        """The steps that this look must do."""
        if self.claimed:
            return set()
        since = self.begun.setdefault((self.round, self.priority), now if self.begun else self.opened)
        ladder = LADDERS[self.priority].items()
        due = {f"{self.round}.{self.priority}.{name}" for name, minutes in ladder if now >= since + minutes * MINUTE}
        new = due - self.steps
        self.steps |= new
        return new

    def is_told(self, new: set[str], now: dt.datetime) -> bool:
        since = self.begun.get((self.round, self.priority))
        fresh = since is not None and now < since + 15 * MINUTE + clocks.TRUE_FOR
        return fresh and any(name.endswith("honest") for name in new)


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(priority=st.sampled_from(sorted(LADDERS)), actions=st.lists(ACTIONS, max_size=14))
def test_s_28_no_step_is_missed_or_done_twice(line: Line, priority: str, actions: list[tuple[str, int]]) -> None:
    """Whatever the order of looks, waits, claims, releases and raises: each step is done by the first look after it is due, once;
    nothing is done while somebody has the case; and every call is the same few words."""
    if not line.names:
        line.colleagues("An", "Binh", "Chi")
    now = START
    case_id = line.case(priority=priority, address=Address("web", str(next(_numbers))), country="LA")
    reference = Reference(priority, START)
    for action, minutes in [*actions, ("look", 0), ("look", 0)]:
        now += minutes * MINUTE
        if action == "claim":
            line.claim(case_id, now)
            reference.claimed = True
        elif action == "release" and reference.claimed:
            line.release(case_id, now)
            reference.claimed = False
            reference.round += 1
            reference.begun[reference.round, reference.priority] = now
        elif action == "raise":
            line.change(tables.cases, case_id, priority="P0")
            reference.priority = "P0"
        elif action == "look":
            new = reference.look(now)
            done = line.look(now)
            assert bool(done.calls) == any("page" in name for name in new)
            assert done.told == reference.is_told(new, now)
    steps = {row.step for row in line.rows(tables.case_steps) if row.case_id == case_id}
    assert {step for step in steps if step.count(".") == 2} == reference.steps
    assert {line.text(row) for row in line.sent("page")} <= {SAID["vi"]}
    line.change(tables.cases, case_id, status="closed")


_numbers = itertools.count()


def test_s_28_many_processes_do_each_step_once(line: Line) -> None:
    """Four passes at the same moment, again and again, over ten cases: as many calls as one process would make."""
    line.colleagues("An", "Binh")
    for number in range(10):
        line.case(address=Address("web", str(number)))
    for minute in (0, 5, 10, 15):
        with ThreadPoolExecutor(4) as together:
            list(together.map(line.look, [START + minute * MINUTE] * 4))
        line.look(START + minute * MINUTE)
    calls = Counter(minute for _, _, minute in line.calls())
    assert calls == {0: 10, 5: 10, 10: 20}
    assert len(line.told()) == 10


@pytest.mark.postgres
def test_a_pass_waits_for_nobody_who_is_writing(postgres_store: str, tmp_path: Path) -> None:
    """While a turn or a claim has the person or the case in hand, the pass goes on without them and comes back to them."""
    database = open_copy(postgres_store, tmp_path)
    line = Line(database)
    line.colleagues("An")
    case_id = line.case()
    person = Address("web", "someone")
    for held in (
        lambda turn: contacts.find(turn, line.keyring, person),
        lambda turn: turn.execute(select(tables.cases).where(tables.cases.c.id == case_id).with_for_update()),
    ):
        with database.begin() as turn:
            held(turn)
            assert line.look(START) == Done()
    assert line.look(START).calls == 1
    database.close()


# -- kill -9 -----------------------------------------------------------------------------------------------------------

KILLS = 6
UNTIL = 20  # minutes that the passes run over


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # the child opens a database of its own
@pytest.mark.parametrize("seed", [1, 2])
def test_s_28_passes_that_are_killed_leave_each_step_done_once(tmp_path: Path, seed: int) -> None:
    """A process that runs passes is killed at random six times and begins anew; in the end everything stands there as if nothing
    had been."""
    random = Random(seed)
    whole, killed = (_three_cases(tmp_path / name) for name in ("whole", "killed"))
    _run_passes(tmp_path / "whole")
    for _ in range(KILLS):
        child = multiprocessing.get_context("fork").Process(target=_run_passes, args=(tmp_path / "killed",))
        child.start()
        time.sleep(random.uniform(0.02, 0.35))
        child.kill()
        child.join(30)
    _run_passes(tmp_path / "killed")
    assert _what_was_done(killed) == _what_was_done(whole)
    for line in (whole, killed):
        line.database.close()


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize(("place", "name"), [(outbox, "say"), (clocks, "_record"), (Engine, "commit")])
def test_s_28_a_pass_that_is_killed_at_a_step_is_done_by_the_next(
    tmp_path: Path, place: Any, name: str, moment: str
) -> None:
    """Killed between the step and its message: both are there or neither, and the next pass brings what is missing."""
    killed = _three_cases(tmp_path / "killed")
    child = multiprocessing.get_context("fork").Process(
        target=_run_and_die, args=(tmp_path / "killed", place, name, moment)
    )
    child.start()
    child.join(30)
    assert child.exitcode == -signal.SIGKILL
    _run_passes(tmp_path / "killed")
    whole = _three_cases(tmp_path / "whole")
    _run_passes(tmp_path / "whole")
    assert _what_was_done(killed) == _what_was_done(whole)
    for line in (whole, killed):
        line.database.close()


def _opened(home: Path) -> Line:
    return Line(open_copy(f"sqlite:///{home / 'banduong.db'}", home))


def _three_cases(home: Path) -> Line:
    line = _opened(home)
    line.colleagues("An", "Binh")
    for number, priority in enumerate(("P0", "P0", "P1")):
        line.case(address=Address("web", str(number)), priority=priority, reference=f"CASE{number}")
    return line


def _run_passes(home: Path) -> None:
    line = _opened(home)
    every_minute(line, UNTIL)
    line.database.close()


def _run_and_die(home: Path, place: Any, name: str, moment: str) -> None:
    """Dies at the third time that the step is done."""
    line = _opened(home)
    times = itertools.count(1)

    def die(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def commit(_connection: object) -> None:
        if next(times) == 3:
            if moment == "before":
                die()
            event.listen(Pool, "reset", die)  # when the connection goes back, right behind the commit

    if name == "commit":
        event.listen(Engine, "commit", commit)
        every_minute(line, UNTIL)
    real: Callable[..., Any] = getattr(place, name)

    def last(*arguments: Any, **named: Any) -> Any:
        dying = next(times) == 3
        if dying and moment == "before":
            die()
        result = real(*arguments, **named)
        if dying:
            die()
        return result

    setattr(place, name, last)
    every_minute(line, UNTIL)


def _what_was_done(line: Line) -> Counter[tuple[str, ...]]:
    """Steps and messages by the case's reference, without the ids that differ from one database to the other."""
    references = {row.id: row.reference for row in line.rows(tables.cases)}
    done = [(references[row.case_id], row.step) for row in line.rows(tables.case_steps)]
    said = [(row.author, references[row.dedup.split(":")[1]], line.text(row)) for row in line.rows(tables.outbox)]
    return Counter([*done, *said])
