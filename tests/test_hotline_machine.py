"""The hotline as a machine: people, colleagues, the sender and time do anything in any order, and the promises hold after each step.

The test keeps a simple model of its own, and never asks the code what ought to be. To look for longer:
BANDUONG_STEPS=60 BANDUONG_EXAMPLES=1000 pytest tests/test_hotline_machine.py
"""

import datetime as dt
import os
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from sqlalchemy import delete, select

from bot import audit, contacts
from bot.app import App
from bot.channels.base import SendError
from bot.delivery import outbox
from bot.delivery.outbox import Due
from bot.errors import CaseError
from bot.hotline import claims, colleagues, composing, keys, reach, reading, relay, second, work
from bot.hotline.cases import read_row
from bot.hotline.keys import Operator
from bot.messages import VIETNAM, Address
from bot.retention import purge
from bot.staff import accounts
from bot.store import tables
from bot.store.database import utc
from tests.hotline_line import HELD, REPORT, Hotline

PEOPLE = (("+84901000001", "sms"), ("77001", "telegram"), ("visitor", "web"))
EXITS = ("thoát", "THOAT", "x", "❌", "dung", "tắt đi", "/thoat")
DELETES = ("xóa", "XOA", "xoa du lieu")
CODE = "Hoa-sen"
IDLE, PAUSE, TALK, HOUR = (dt.timedelta(minutes=minutes) for minutes in (30, 10, 30, 60))
WAITS = [dt.timedelta(**unit) for unit in ({"seconds": 40}, {"minutes": 9}, {"minutes": 31}, {"hours": 5}, {"days": 3})]
PURPOSES = ("share_111", "reveal")
EXAMPLES, STEPS = int(os.environ.get("BANDUONG_EXAMPLES", "15")), int(os.environ.get("BANDUONG_STEPS", "30"))


@dataclass
class Person:
    """`left`: nothing may reach them but `closing`, the words decided with their leaving. `gone`: rows that never may again."""

    who: str
    channel: str
    left: bool = False
    closing: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)


@dataclass
class Expected:
    """What the model knows of one case."""

    reference: str
    person: Person
    status: str = "open"
    owner: str | None = None
    relay: bool = False
    heard_at: dt.datetime | None = None
    spoken_at: dt.datetime | None = None
    paused: bool = False
    code: bool = False
    asking: str | None = None
    emergency: bool = False
    yes: set[str] = field(default_factory=set)
    noes: dict[str, int] = field(default_factory=dict)
    grants: list[tuple[str, str, dt.datetime]] = field(default_factory=list)  # kind, who asked, until
    empty: bool = False
    ended_at: dt.datetime | None = None

    def give_line_back(self) -> None:
        self.relay, self.asking = False, None


class Machine(RuleBasedStateMachine):
    house: ClassVar[App]

    def __init__(self) -> None:
        super().__init__()
        _empty(self.house)
        self.line = Hotline(self.house)
        self.chief = self.line.colleague("hoa", supervisor=True)
        self.staff = [self.line.colleague("lan", most_cases=1000), self.line.colleague("mai", most_cases=1000)]
        self.former: list[Operator] = []
        self.people = [Person(*one) for one in PEOPLE]
        self.cases: dict[str, Expected] = {}
        self.said: dict[str, tuple[Person, str | None, str | None, bool]] = {}  # row -> person, case, speaker, a knock
        self.claimed: dict[str, list[Due]] = {"sms": [], "telegram": []}
        self.marked: list[Due] = []
        self.recorded = 0
        self.cries(0)  # so that there is something to work on from the first step
        self.reports(2)

    # -- people --------------------------------------------------------------------------------------------------------

    def _write(self, person: Person, text: str) -> None:
        case = self._open_case(person)
        now = self.line.now + dt.timedelta(seconds=1)
        if case:
            self._heard(case, text, now)
        before = self._row_ids()
        leaves = text in EXITS or (text == "stop" and case is not None and case.relay)
        replies = self.line.write(text, who=person.who, channel=person.channel)
        new = self._row_ids() - before
        self._know_new_cases(person, text)
        person.left = leaves or text in DELETES or (text in ("không", "2") and self._is_silent(person))
        if person.left:
            person.closing, person.gone = new, person.gone | before
            assert len(replies) == 1
        if case:
            self._conclude(case, text, leaves=leaves or person.left)
        if case and case.relay:
            assert replies == (), "the bot speaks over an operator"

    def _heard(self, case: Expected, text: str, now: dt.datetime) -> None:
        spoken = max(filter(None, (case.heard_at, case.spoken_at)))
        if case.relay and now - spoken >= IDLE:
            case.give_line_back()
        case.paused = case.paused or now - case.heard_at > PAUSE if case.heard_at else case.paused
        if case.code and "hoa sen" in text:
            case.paused = False
        case.heard_at = now

    def _conclude(self, case: Expected, text: str, *, leaves: bool) -> None:
        if text in DELETES:
            return self._end(case, "erased")
        if text == "rút":
            case.yes.clear()
            case.grants = [grant for grant in case.grants if grant[0] == "reveal"]
            if not case.emergency:
                return self._end(case, "closed")
            case.give_line_back()
        if case.relay and case.asking and text in ("có", "không"):
            if text == "có":
                case.yes.add(case.asking)
            else:
                case.noes[case.asking] = case.noes.get(case.asking, 0) + 1
            case.asking = None
        if leaves:
            case.give_line_back()
        return None

    def _end(self, case: Expected, status: str) -> None:
        case.status, case.empty, case.ended_at = status, True, self.line.now
        case.give_line_back()

    @rule(
        person=st.integers(0, 2), text=st.sampled_from(["alo", "chị ơi", "bên đó có an toàn không", "có", "không", "1"])
    )
    def writes(self, person: int, text: str) -> None:
        self._write(self.people[person], text)

    @rule(person=st.integers(0, 2))
    def says_code(self, person: int) -> None:
        self._write(self.people[person], "dạ hoa sen ạ")

    @rule(person=st.integers(0, 2))
    def cries(self, person: int) -> None:
        one = self.people[person]
        self._write(one, HELD)
        case = self._open_case(one)
        assert case, "a cry opens a case"
        case.emergency = True

    @rule(person=st.integers(0, 2))
    def reports(self, person: int) -> None:
        for text in (REPORT, "1", "đồng ý"):
            self._write(self.people[person], text)

    @rule(person=st.integers(0, 2), text=st.sampled_from([*EXITS, "stop"]))
    def leaves(self, person: int, text: str) -> None:
        self._write(self.people[person], text)

    @rule(person=st.integers(0, 2))
    def takes_back(self, person: int) -> None:
        one = self.people[person]
        closed = [case for case in self.cases.values() if case.person is one and case.status == "closed"]
        self._write(one, "rút")
        for case in closed:
            case.yes.clear()
            case.grants = [grant for grant in case.grants if grant[0] == "reveal"]
            case.empty = case.empty or not case.emergency

    @rule(person=st.integers(0, 2), text=st.sampled_from(DELETES))
    def deletes(self, person: int, text: str) -> None:
        one = self.people[person]
        self._write(one, text)
        for case in self.cases.values():
            if case.person is one and case.status != "erased":
                self._end(case, "erased")

    # -- colleagues ----------------------------------------------------------------------------------------------------

    def _try(self, job: Any, who: Operator, case: Expected, *given: object) -> tuple[bool, str]:
        """Whether it was done, or else why not. Their position in the chain tells that it was written down."""
        try:
            self.line.do(job, who, case.reference, *given)
        except CaseError as error:
            return False, error.why
        return True, ""

    def _pick(self, number: int) -> Expected:
        found = list(self.cases.values())
        return found[number % len(found)]

    def _who(self, number: int) -> Operator:
        everybody = [self.chief, *self.staff]
        return everybody[number % len(everybody)]

    def _may_work(self, who: Operator, case: Expected) -> bool:
        return case.status == "open" and case.owner == who.id

    @precondition(lambda self: self.cases)
    @rule(who=st.integers(0, 5), number=st.integers(0, 9))
    def claims(self, who: int, number: int) -> None:
        one, case = self._who(who), self._pick(number)
        done, why = self._try(claims.claim, one, case)
        assert done == (case.status == "open" and case.owner is None), why
        if done:
            case.owner = one.id

    @precondition(lambda self: self.cases)
    @rule(who=st.integers(0, 5), number=st.integers(0, 9))
    def releases(self, who: int, number: int) -> None:
        one, case = self._who(who), self._pick(number)
        done, why = self._try(claims.release, one, case)
        allowed = case.owner is not None and (case.owner == one.id or one.supervisor)
        assert done == (allowed and case.status == "open"), why
        if done:
            case.owner = None
            case.give_line_back()

    @precondition(lambda self: self.cases)
    @rule(who=st.integers(0, 5), number=st.integers(0, 9))
    def skips(self, who: int, number: int) -> None:
        case = self._pick(number)
        done, _ = self._try(claims.skip, self._who(who), case)
        assert done == (case.status == "open" and case.owner is None)

    @precondition(lambda self: self.cases)
    @rule(who=st.integers(0, 5), to=st.integers(0, 5), number=st.integers(0, 9))
    def hands_over(self, who: int, to: int, number: int) -> None:
        one, other, case = self._who(who), self._who(to), self._pick(number)
        done, why = self._try(claims.hand_over, one, case, other.id)
        mine = case.owner == one.id or one.supervisor
        assert done == (mine and case.status == "open" and other.id != case.owner), why
        if done:
            case.owner, case.asking = other.id, None

    def _reachable(self, case: Expected) -> bool:
        return not case.person.left and case.heard_at is not None

    def _speaks(self, who: Operator, case: Expected, job: Any, *given: object) -> bool:
        before = self._row_ids()
        done, why = self._try(job, who, case, *given)
        recent = case.heard_at is not None and self.line.now - case.heard_at <= TALK
        allowed = self._may_work(who, case) and self._reachable(case) and recent
        if job is relay.ask and case.noes.get(str(given[0]), 0) > 1:
            allowed = False
        assert done == allowed, why
        if done:
            case.relay, case.asking, case.spoken_at = True, None, self.line.now
            self._know_words(case, who, before, knock=False)
        return done

    def _know_words(self, case: Expected, who: Operator, before: set[str], *, knock: bool) -> None:
        for row_id in self._row_ids() - before:
            self.said[row_id] = (case.person, case.reference, who.id, knock)

    @precondition(lambda self: self.cases)
    @rule(who=st.integers(0, 5), number=st.integers(0, 9), owner=st.booleans())
    def speaks(self, who: int, number: int, owner: bool) -> None:
        case = self._pick(number)
        self._speaks(
            self._owner_or(case, who, owner), case, relay.speak, "Chao ban", composing.rendered("Chao ban", "sms")
        )

    @precondition(lambda self: self.cases)
    @rule(who=st.integers(0, 5), number=st.integers(0, 9), owner=st.booleans(), purpose=st.sampled_from(PURPOSES))
    def asks(self, who: int, number: int, owner: bool, purpose: str) -> None:
        case = self._pick(number)
        question = ("Duoc khong?", composing.rendered("Duoc khong?", "sms"))
        if self._speaks(self._owner_or(case, who, owner), case, relay.ask, purpose, question):
            case.asking = purpose

    @precondition(lambda self: self.cases)
    @rule(number=st.integers(0, 9), who=st.integers(0, 5), sets=st.booleans())
    def knocks(self, number: int, who: int, sets: bool) -> None:
        case = self._pick(number)
        one, before = self._owner_or(case, who, True), self._row_ids()
        if sets:
            self._try(reach.set_reach, one, case, reach.read_hours("20:00", "21:00"))
        done, why = self._try(relay.knock, one, case, "Ranh khong?", composing.rendered("Ranh khong?", "sms"))
        if done:
            assert self._may_work(one, case)
            assert self._reachable(case)
            case.spoken_at = self.line.now
            self._know_words(case, one, before, knock=True)
        else:
            assert why == "no_reach" or not (self._may_work(one, case) and self._reachable(case)), why

    @precondition(lambda self: self.cases)
    @rule(number=st.integers(0, 9), who=st.integers(0, 5), job=st.sampled_from(["give back", "code", "note"]))
    def works(self, number: int, who: int, job: str) -> None:
        case = self._pick(number)
        one = self._owner_or(case, who, who > 1)
        mine = self._may_work(one, case)
        if job == "give back":
            done, _ = self._try(relay.give_back, one, case)
            assert done == mine
            if done:
                case.give_line_back()
        elif job == "code":
            done, _ = self._try(work.set_code, one, case, CODE)
            assert done == mine
            case.code = case.code or done
        else:
            done, why = self._try(work.note, one, case, "ghi lai")
            assert done == (case.status != "erased" and (case.owner == one.id or one.supervisor)), why

    @precondition(lambda self: self.cases)
    @rule(number=st.integers(0, 9), who=st.integers(0, 5))
    def closes(self, number: int, who: int) -> None:
        case = self._pick(number)
        one = self._owner_or(case, who, who > 1)
        done, why = self._try(work.close, one, case, "advised", "xong")
        assert done == (case.status == "open" and (case.owner == one.id or one.supervisor)), why
        if done:
            case.status, case.ended_at = "closed", self.line.now
            case.give_line_back()

    @precondition(lambda self: self.cases)
    @rule(number=st.integers(0, 9))
    def reopens(self, number: int) -> None:
        case = self._pick(number)
        done, why = self._try(work.reopen, self.chief, case, "goi lai")
        assert done == (case.status == "closed" and not case.empty and self._open_case(case.person) is None), why
        if done:
            case.status, case.owner, case.ended_at = "open", self.chief.id, None

    @precondition(lambda self: self.cases)
    @rule(number=st.integers(0, 9), kind=st.sampled_from(PURPOSES), granted=st.booleans())
    def two_people_decide(self, number: int, kind: str, granted: bool) -> None:
        case = self._pick(number)
        one = self._owner_or(case, 0, True)
        done, _ = self._try(second.ask, one, case, kind, "tinh mang dang nguy")
        assert not done or self._may_work(one, case)
        for row in self.line.rows(tables.requests):
            if row.decided_by is None:
                self._decide(self.cases[self._reference(row.case_id)], row, granted)

    def _decide(self, case: Expected, row: Any, granted: bool) -> None:
        self.line.wait(dt.timedelta(seconds=1))
        try:
            with self.line.database.begin() as connection:
                second.decide(connection, self.line.keyring, self.chief, row.id, granted=granted, now=self.line.now)
            decided = True
        except CaseError:
            decided = False
        assert decided == (row.asked_by != self.chief.id)
        if decided and granted:
            case.grants.append((row.kind, row.asked_by, self.line.now + HOUR))

    @precondition(lambda self: self.cases)
    @rule(number=st.integers(0, 9), who=st.integers(0, 5))
    def reveals(self, number: int, who: int) -> None:
        case, one = self._pick(number), self._who(who)
        done, why = self._try(second.reveal, one, case)
        granted = any(
            kind == "reveal" and asked == one.id and until > self.line.now for kind, asked, until in case.grants
        )
        mine = case.status != "erased" and (case.owner == one.id or one.supervisor)
        assert done == (mine and (granted or "reveal" in case.yes)), why

    @precondition(lambda self: len(self.staff) > 1)
    @rule(number=st.integers(0, 3))
    def goes(self, number: int) -> None:
        one = self.staff.pop(number % len(self.staff))
        self.former.append(one)
        with self.line.database.begin() as connection:
            account = accounts.find(connection, self.line.keyring, one.id)
            assert account
            colleagues.remove(connection, self.line.keyring, account, self.line.now, by="command line")
            keys.share_missing(connection, self.line.keyring, self.chief)
        for case in self.cases.values():
            if case.owner == one.id and case.status == "open":
                case.owner = None
                case.give_line_back()

    @precondition(lambda self: len(self.staff) < 4)
    @rule(supervisor=st.booleans())
    def comes(self, supervisor: bool) -> None:
        number = len(self.staff) + len(self.former)
        one = self.line.colleague(f"ban{number}", supervisor=supervisor, most_cases=1000)
        self.staff.append(one)
        with self.line.database.begin() as connection:
            keys.will_lack(connection, one.id)
            keys.share_missing(connection, self.line.keyring, self.chief)

    def _owner_or(self, case: Expected, number: int, owner: bool) -> Operator:
        return next((one for one in [self.chief, *self.staff] if owner and one.id == case.owner), self._who(number))

    # -- the sender, people's own programs, time -----------------------------------------------------------------------

    @rule(channel=st.sampled_from(["sms", "telegram"]))
    def takes(self, channel: str) -> None:
        self.claimed[channel] += self.line.claim(channel)

    @rule(channel=st.sampled_from(["sms", "telegram"]))
    def marks(self, channel: str) -> None:
        due, self.claimed[channel] = self.claimed[channel], []
        marked = self.line.mark(due, channel)
        for one in marked:
            self._may_leave(one.id)
        self.marked += marked

    @rule(channel=st.sampled_from(["sms", "telegram"]))
    def sends(self, channel: str) -> None:
        self.takes(channel)
        self.marks(channel)
        self.finishes(None)

    @rule(error=st.sampled_from([None, None, SendError("uncertain", "timeout"), SendError("retryable", "busy")]))
    def finishes(self, error: SendError | None) -> None:
        marked, self.marked = self.marked, []
        self.line.finish(marked, error)

    @rule()
    def fetches(self) -> None:
        person = self.people[2]
        with self.line.database.begin() as connection:
            contact = contacts.find(connection, self.line.keyring, Address(person.channel, person.who))
            if contact is None:
                return
            queued = select(tables.outbox.c.id).where(tables.outbox.c.status == "queued")
            waiting = set(connection.execute(queued).scalars())
            outbox.collect(connection, self.line.keyring, contact, self.line.now)
            left = waiting - set(connection.execute(queued).scalars())
        for row_id in left:
            self._may_leave(row_id)

    def _may_leave(self, row_id: str) -> None:
        """The promises about one message that is just leaving."""
        row = next(row for row in self.line.rows(tables.outbox) if row.id == row_id)
        person, reference, speaker, knock = self.said.get(row_id, (self._person_of(row.address_id), None, None, False))
        assert row_id not in person.gone, "what was said before the person left"
        assert not person.left or row_id in person.closing, "the person has left"
        open_case = self._open_case(person)
        if row.author == "bot":
            assert open_case is None or not open_case.relay, "the bot speaks over an operator"
            return
        assert reference is not None
        assert speaker is not None
        case = self.cases[reference]
        assert not case.empty, "words of a case that was taken back"
        if knock:
            assert case.status == "open"
            assert case.owner is not None
            assert self.line.now.astimezone(VIETNAM).hour == 20, "a knock at another hour"

    @rule(by=st.sampled_from(WAITS))
    def time_passes(self, by: dt.timedelta) -> None:
        self.line.wait(by)

    @rule()
    def evening_comes(self) -> None:
        there = self.line.now.astimezone(VIETNAM).replace(hour=20, minute=15)
        self.line.now = (there if there > self.line.now else there + dt.timedelta(days=1)).astimezone(dt.UTC)

    @rule()
    def clears_up(self) -> None:
        with self.line.database.begin() as connection:
            outbox.reap(connection, self.line.now)
            outbox.expire(connection, self.line.now)
            outbox.cancel_silenced(connection, self.line.now)
            contacts.drop_departed(connection)

    @rule()
    def purges(self) -> None:
        purge(self.line.database, self.line.now, IDLE)
        kept = {row.reference for row in self.line.rows(tables.cases)}
        for reference in set(self.cases) - kept:
            ended = self.cases.pop(reference).ended_at
            assert ended
            assert self.line.now - ended > dt.timedelta(days=90)

    # -- what always holds ---------------------------------------------------------------------------------------------

    @invariant()
    def cases_stand_as_expected(self) -> None:
        for row in self.line.rows(tables.cases):
            case = self.cases[row.reference]
            assert row.status == case.status
            assert row.owner_id == case.owner
            assert (row.relay_since is not None) == case.relay
            assert row.relay_since is None or row.status == "open"
            assert row.asking == case.asking
            if row.status == "open":
                assert (row.paused_at is not None) == case.paused
                assert utc(row.heard_at) == case.heard_at

    @invariant()
    def every_case_has_its_ground(self) -> None:
        grounds = {row.id: row.purpose for row in self.line.rows(tables.consents)}
        assert all(grounds[row.consent_id] == "help" for row in self.line.rows(tables.cases))

    @invariant()
    def only_the_entitled_read(self) -> None:
        for row in self.line.rows(tables.cases):
            case = self.cases[row.reference]
            if case.empty:
                self._assert_unreadable(row.id)
                continue
            for one in [self.chief, *self.staff, *self.former]:
                self._assert_reads(row, case, one)

    def _assert_unreadable(self, case_id: str) -> None:
        for table in (tables.case_keys, tables.case_events, tables.case_messages, tables.case_clues, tables.requests):
            assert not [row for row in self.line.rows(table) if row.case_id == case_id], table.name

    def _assert_reads(self, row: Any, case: Expected, one: Operator) -> None:
        with self.line.database.begin() as connection:
            held = keys.keys_of(connection, row.id, one)
            real = read_row(self.line.keyring, row)
            events = [
                event for event in reading.timeline(connection, real, held) if event.kind not in ("read", "revealed")
            ]
            bodies = [event.body for event in events] + [said.text for said in reading.words(connection, real, held)]
        theirs = case.owner is None or case.owner == one.id or one.supervisor
        if one in self.former or not theirs:
            assert not held
            assert all(body is None for body in bodies)
        elif case.status == "open" or one is self.chief:
            assert bodies
            assert all(body is not None for body in bodies)

    @invariant()
    def nothing_is_passed_on_without_a_ground(self) -> None:
        for row in self.line.rows(tables.cases):
            case = self.cases[row.reference]
            with self.line.database.begin() as connection:
                real = read_row(self.line.keyring, row)
                ground = second.ground_of(connection, real, "share_111", self.line.now)
            granted = any(kind == "share_111" and until > self.line.now for kind, _, until in case.grants)
            allowed = "share_111" in case.yes or granted
            assert ground is None or allowed
            assert ground is not None or not allowed or case.status != "open"

    @invariant()
    def the_audit_holds_and_grows(self) -> None:
        with self.line.database.begin() as connection:
            verdict = audit.verify(connection, self.line.keyring)
        assert verdict.broken_at is None
        assert verdict.head.position >= self.recorded
        self.recorded = verdict.head.position

    # -- helpers -------------------------------------------------------------------------------------------------------

    def _open_case(self, person: Person) -> Expected | None:
        found = [case for case in self.cases.values() if case.person is person and case.status == "open"]
        assert len(found) < 2
        return found[0] if found else None

    def _know_new_cases(self, person: Person, text: str) -> None:
        for row in self.line.rows(tables.cases):
            if row.reference not in self.cases:
                assert text in (HELD, "đồng ý", "có", "1"), text
                case = Expected(row.reference, person, heard_at=self.line.now, emergency=text == HELD)
                self.cases[row.reference] = case

    def _row_ids(self) -> set[str]:
        return {row.id for row in self.line.rows(tables.outbox)}

    def _reference(self, case_id: str) -> str:
        return next(str(row.reference) for row in self.line.rows(tables.cases) if row.id == case_id)

    def _person_of(self, address_id: str) -> Person:
        row = next(row for row in self.line.rows(tables.addresses) if row.id == address_id)
        return next(person for person in self.people if person.channel == row.channel)

    def _is_silent(self, person: Person) -> bool:
        return any(row.silent_since for row in self.line.rows(tables.addresses) if row.channel == person.channel)


def _empty(house: App) -> None:
    with house.database.begin() as connection:
        for table in reversed(tables.metadata.sorted_tables):
            if table.name != "about":
                connection.execute(delete(table))
    house.__dict__.pop("processor", None)


def _run(house: App, examples: int, steps: int) -> None:
    machine = type("HotlineMachine", (Machine,), {"house": house})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize="BANDUONG_EXAMPLES" not in os.environ,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_d_05_s_03_s_05_s_11_s_22_the_hotline_keeps_its_promises_whatever_happens(sqlite_house: App) -> None:
    """After any steps in any order: who left is left alone, one person speaks, only the entitled read, nothing leaves without a yes."""
    _run(sqlite_house, EXAMPLES, STEPS)


@pytest.mark.postgres
@pytest.mark.parametrize("house", ["postgres"], indirect=True)
def test_the_hotline_keeps_its_promises_on_postgresql(house: App) -> None:
    """The same, for a shorter while, on a database with many writers."""
    _run(house, max(1, EXAMPLES // 5), STEPS)
