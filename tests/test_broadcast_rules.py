"""Broadcasts as a machine: people, staff, two workers, providers and time do anything in any order, and the promises hold.

The test keeps a world of its own in plain Python, and never asks the store who may get what. To look for longer:
BANDUONG_STEPS=60 BANDUONG_EXAMPLES=1000 pytest tests/test_broadcast_rules.py
"""

import datetime as dt
import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import delete, select, update

from bot import contacts, links
from bot.app import App
from bot.channels.base import SendError, SendResult
from bot.contacts import Contact
from bot.delivery import outbox
from bot.delivery.outbox import Due, Outcome
from bot.delivery.render import Rendered
from bot.errors import OutreachError
from bot.messages import Lane
from bot.outreach import broadcasts, expansion
from bot.outreach.audience import Audience
from bot.outreach.broadcasts import Broadcast
from bot.outreach.terms import Limits, Terms
from bot.outreach.words import AlertText
from bot.store import tables as t
from tests.broadcasting import FAST, NOON, WORDS, Office, a_plan, a_subscriber
from tests.hotline import a_case
from tests.people import agree_to_news

SECOND, MINUTE, HOUR, DAY = (dt.timedelta(**{unit: 1}) for unit in ("seconds", "minutes", "hours", "days"))
VIET_NAM = 420
OFFSETS = (420, 420, 420, 390, 540, 60, -480, 765)
CHANNELS = ("telegram", "sms")
WORKERS = ("mot", "hai")
LONG = AlertText("News for those who work far from home.", "News for those who work far from home. " * 6)
BOTH = replace(WORDS, texts={**WORDS.texts, "en": LONG})
LIMITS = Limits(approve_above=7, cancel_window=MINUTE, a_day=10**6, people_a_day=10**9)
BUDGETS = (0, 499, 500, 1000, 1600, 10**5)
LIVES = (30 * MINUTE, 14 * HOUR, 2 * DAY, 4 * DAY)
WAITS = (SECOND, SECOND, 40 * SECOND, 20 * MINUTE, 5 * HOUR)
DEEDS = ("stops", "cries", "falls_silent", "lists", "breaks", "goes", *("agrees", "case_ends", "writes") * 2)
LAST_MOMENT = ("stops", "cries", "falls_silent", "lists", "breaks", "goes", "pause", "cancel")
ANSWERS = {
    "taken": None,
    "uncertain": SendError("uncertain", "timeout"),
    "busy": SendError("retryable", "busy"),
    "held": SendError("retryable", "flood", retry_after=90.0),
    "refused": SendError("permanent", "text"),
    "stopped": SendError("stopped", "blocked"),
    "opted_out": SendError("opted_out", "stop"),
}
NOT_TAKEN = ("busy", "held")
MAY_HAVE_ARRIVED = ("taken", "uncertain", "called")
EXAMPLES, STEPS = int(os.environ.get("BANDUONG_EXAMPLES", "40")), int(os.environ.get("BANDUONG_STEPS", "30"))


@dataclass(eq=False)
class Line:
    """One address, and what its person did. `said_yes`: when, if it holds. `family`: all lines that were ever linked with it."""

    contact: Contact
    offset: int
    language: str
    said_yes: dt.datetime | None
    helped_at: dt.datetime | None = None
    case: bool = False
    silent: bool = False
    listed: bool = False
    unreachable: bool = False
    gone: bool = False
    family: "Family" = field(default_factory=lambda: Family())
    left: list["Call"] = field(default_factory=list)

    @property
    def channel(self) -> str:
        return self.contact.address.channel

    def linked(self) -> Iterator["Line"]:
        return (one for one in self.family.lines if not one.gone and one is not self)

    def left_out(self) -> str | None:
        """Why this line gets no news now."""
        wants = self.said_yes is not None and (self.helped_at is None or self.said_yes > self.helped_at)
        if self.silent:
            return "watched"
        if self.case or any(one.case for one in self.linked()) or (self.helped_at and not wants):
            return "case"
        if not wants:
            return "opted_out"
        if self.listed and self.channel == "sms":
            return "do_not_call"
        return "bad_address" if self.unreachable else None

    def has_had_enough(self, now: dt.datetime) -> bool:
        """Three that may have arrived in the 24 hours before, reckoned from when their fate was known."""
        lately = [one for one in self.left if one.answer in MAY_HAVE_ARRIVED and (one.over_at or now) > now - DAY]
        return len(lately) >= 3

    def is_fair_hour(self, now: dt.datetime) -> bool:
        clocks = (dt.timezone(dt.timedelta(minutes=minutes)) for minutes in (VIET_NAM, self.offset))
        return all(7 <= now.astimezone(clock).hour < 22 for clock in clocks)


@dataclass(eq=False)
class Family:
    lines: list[Line] = field(default_factory=list)


@dataclass(eq=False)
class Call:
    """A message that a provider was asked to take. `answer` "called": nobody has heard yet, or ever will."""

    alert: "Alert | None"
    line: Line
    at: dt.datetime
    answer: str = "called"
    over_at: dt.datetime | None = None


@dataclass(eq=False)
class Alert:
    """What the model knows of one broadcast. `steady`: who belonged to its audience all the while it was gone through."""

    id: str
    urgent: bool
    valid_until: dt.datetime
    channels: tuple[str, ...]
    languages: tuple[str, ...]
    budget: int
    starts_at: dt.datetime | None = None
    approved: bool = False
    state: str = "on"  # waiting | on | paused | cancelled
    begun: bool = False
    expanded: bool = False
    steady: set[Line] = field(default_factory=set)
    given: dict[Line, int] = field(default_factory=dict)  # and what it cost
    calls: list[Call] = field(default_factory=list)

    def fits(self, line: Line) -> bool:
        right_kind = line.channel in self.channels and (not self.languages or line.language in self.languages)
        return not line.gone and right_kind and line.left_out() is None

    def calls_of(self, line: Line) -> list[Call]:
        return [call for call in self.calls if call.line is line]

    def went_elsewhere(self, line: Line) -> bool:
        """Whether another line of this person may have it."""
        return any(call.answer in MAY_HAVE_ARRIVED for one in line.linked() for call in self.calls_of(one))


class Machine(RuleBasedStateMachine):
    house: ClassVar[App]

    def __init__(self) -> None:
        super().__init__()
        _empty(self.house)
        self.office = Office(self.house, Terms(None, limits=LIMITS))  # type: ignore[arg-type]
        self.keyring, self.now = self.house.database.keyring, NOON
        self.lines: list[Line] = []
        self.alerts: dict[str, Alert] = {}
        self.claimed: dict[str, list[tuple[str, Due]]] = {worker: [] for worker in WORKERS}
        self.called: dict[str, list[tuple[Due, Call]]] = {worker: [] for worker in WORKERS}
        self.sound = True
        self.held: dict[str, dt.datetime] = dict.fromkeys(CHANNELS, NOON)
        self.prices = {
            (language, channel): self.office.terms.message(BOTH, language, channel).vnd
            for language in ("vi", "en")
            for channel in CHANNELS
        }

    def _do(self, job: Any, *given: Any, **named: Any) -> Any:
        with self.house.database.begin() as connection:
            return job(connection, *given, **named)

    def _rows(self, table: Any) -> list[Any]:
        with self.house.database.begin() as connection:
            return list(connection.execute(select(table)))

    # -- people --------------------------------------------------------------------------------------------------------

    @initialize(
        kinds=st.lists(
            st.tuples(st.sampled_from(CHANNELS), st.sampled_from(OFFSETS), st.sampled_from(["vi", "vi", "en"])),
            min_size=4,
            max_size=7,
        )
    )
    def begins(self, kinds: list[tuple[str, int, str]]) -> None:
        for channel, offset, language in kinds:
            self.joins(channel, offset, language)
        self.warns()

    @precondition(lambda self: len(self.lines) < 12)
    @rule(channel=st.sampled_from(CHANNELS), offset=st.sampled_from(OFFSETS), language=st.sampled_from(["vi", "en"]))
    def joins(self, channel: str, offset: int, language: str) -> None:
        number = f"+849000000{len(self.lines):02}"
        contact = self._do(
            a_subscriber, self.house, number, channel=channel, at=self.now, offset=offset, language=language
        )
        line = Line(contact, offset, language, said_yes=self.now)
        line.family.lines.append(line)
        self.lines.append(line)

    def _line(self, number: int) -> Line | None:
        there = [line for line in self.lines if not line.gone]
        return there[number % len(there)] if there else None

    @rule(
        number=st.integers(0, 11),
        what=st.sampled_from(DEEDS),
    )
    def somebody(self, number: int, what: str) -> None:
        if line := self._line(number):
            getattr(self, f"_{what}")(line)

    def _stops(self, line: Line) -> None:
        self._do(contacts.withdraw_consent, self.keyring, line.contact.id, "alerts", "stop", self.now)
        line.said_yes = None

    def _agrees(self, line: Line) -> None:
        self._do(agree_to_news, self.house.database, line.contact, self.now)
        line.said_yes = self.now

    def _cries(self, line: Line) -> None:
        if not line.case:
            self._do(a_case, self.keyring, address=line.contact.address, at=self.now)
            together = [line, *line.linked()]
            self._do(contacts.set_helped, [one.contact.id for one in together], self.now)
            line.case = True
            for one in together:
                one.helped_at = self.now

    def _case_ends(self, line: Line) -> None:
        own = update(t.cases).where(t.cases.c.address_id == line.contact.id).values(status="closed")
        self._do(lambda connection: connection.execute(own))
        line.case = False

    def _falls_silent(self, line: Line) -> None:
        self._do(contacts.set_silent, [line.contact.id], self.now)
        line.silent = True

    def _writes(self, line: Line) -> None:
        self._do(contacts.heard_from, line.contact)
        self._do(outbox.try_again_now, line.contact)
        line.silent = line.unreachable = False

    def _lists(self, line: Line) -> None:
        lookup = self.keyring.lookup("sms", line.contact.address.identifier)
        table = t.do_not_call
        off, on = delete(table).where(table.c.lookup == lookup), table.insert().values(lookup=lookup, added_at=self.now)
        self._do(lambda connection: connection.execute(off if line.listed else on))
        line.listed = not line.listed

    def _breaks(self, line: Line) -> None:
        self._do(contacts.set_unreachable, line.contact.id, self.now)
        line.unreachable = True

    def _goes(self, line: Line) -> None:
        if len(self.lines) % 2:
            self._do(contacts.forget, self.keyring, line.contact, self.now)
        else:
            self._do(contacts.forget_but_for_a_word, self.keyring, line.contact, self.now)
        line.gone, line.case = True, False

    @rule(first=st.integers(0, 11), second=st.integers(0, 11))
    def links(self, first: int, second: int) -> None:
        one, other = self._line(first), self._line(second)
        if one and other and one.family is not other.family:
            code = f"{first:04}{second:04}"
            self._do(links.give, self.keyring, one.contact, code, self.now)
            self._do(links.link, self.keyring, other.contact, code, self.now)
            one.family.lines += other.family.lines
            for line in other.family.lines:
                line.family = one.family
            together = [one, *one.linked()]
            latest = max((line.helped_at for line in together if line.helped_at), default=None)
            for line in together:
                line.helped_at = latest

    @rule(number=st.integers(0, 11))
    def is_answered(self, number: int) -> None:
        """A reply of the bot, which no alert may keep waiting."""
        if line := self._line(number):
            words, key = [Rendered("Chào bạn.")], f"a:{len(self._rows(t.outbox))}:{line.contact.id}:{self.now}"
            self._do(
                outbox.say, self.keyring, line.contact, words, dedup=key, author="bot", lane=Lane.REPLY, now=self.now
            )

    # -- staff ---------------------------------------------------------------------------------------------------------

    @precondition(lambda self: len(self.alerts) < 8)
    @rule(
        urgent=st.booleans(),
        life=st.sampled_from(LIVES),
        budget=st.sampled_from(BUDGETS),
        channels=st.sampled_from([CHANNELS, CHANNELS, ("sms",), ("sms", "telegram")]),
        languages=st.sampled_from([(), (), ("vi",)]),
        later=st.sampled_from([None, None, 2 * HOUR]),
        at_once=st.sampled_from([True, True, False]),
    )
    def composes(
        self,
        urgent: bool,
        life: dt.timedelta,
        budget: int,
        channels: tuple[str, ...],
        languages: tuple[str, ...],
        later: dt.timedelta | None,
        at_once: bool,
    ) -> None:
        """`at_once`: a minute later its audience has been gone through, so that something happens in a short example too."""
        starts = self.now + later if later else None
        plan = a_plan(
            words=BOTH, audience=Audience(channels=channels, languages=languages), valid_until=self.now + life,
            budget_vnd=budget, urgent=urgent, starts_at=starts,
        )  # fmt: skip
        draft: Broadcast = self._do(broadcasts.write, self.keyring, plan, self.office.an, self.now)
        sent = self._do(broadcasts.submit, self.keyring, draft.id, 1, LIMITS, self.office.an, self.now)
        assert (sent.status == "waiting") == urgent
        alert = Alert(sent.id, urgent, plan.valid_until, channels, languages, budget)
        alert.state, alert.starts_at = ("waiting", None) if urgent else ("on", max(starts or NOON, self.now + MINUTE))
        self.alerts[alert.id] = alert
        if at_once:
            self._approve(alert)
            self.now += MINUTE
            self._expand(alert, 2)

    @precondition(lambda self: len(self.alerts) < 8)
    @rule(urgent=st.booleans())
    def warns(self, urgent: bool = False) -> None:
        """Everybody, and money enough."""
        self.composes(urgent, 2 * DAY, 10**5, CHANNELS, (), None, True)

    @precondition(lambda self: len(self.alerts) < 4)
    @rule(answer=st.sampled_from(["taken", "taken", "uncertain"]))
    def floods(self, answer: str) -> None:
        """One alert after the other at a fair hour: the fourth is too many."""
        self._comes_a_fair_hour()
        for _ in range(4):
            self.warns()
            for channel in CHANNELS:
                self.sends(channel, WORKERS[0], answer)

    def _alert(self, number: int) -> Alert | None:
        found = list(self.alerts.values())
        return found[number % len(found)] if found else None

    def _tried(self, job: Any, alert: Alert, *given: Any) -> bool:
        try:
            self._do(job, self.keyring, alert.id, *given, self.now)
        except OutreachError:
            return False
        return True

    @rule(number=st.integers(0, 7))
    def approves(self, number: int) -> None:
        if alert := self._alert(number):
            self._approve(alert)

    def _approve(self, alert: Alert) -> None:
        digest = self.office.now(alert.id).digest
        assert not self._tried(broadcasts.approve, alert, digest, LIMITS, self.office.an), "a yes of one's own"
        done = self._tried(broadcasts.approve, alert, digest, LIMITS, self.office.binh)
        assert done == (alert.state == "waiting" and self.now < alert.valid_until)
        if done:
            wished = self.office.now(alert.id).plan.starts_at
            alert.approved, alert.state = True, "on"
            alert.starts_at = max(wished or NOON, self.now + LIMITS.cancel_window)

    @rule(number=st.integers(0, 7), what=st.sampled_from(["pause", "pause", "resume", "resume", "cancel"]))
    def staff(self, number: int, what: str) -> None:
        alert = self._alert(number)
        if alert and self._tried(getattr(broadcasts, what), alert, self.office.an):
            alert.state = {"pause": "paused", "resume": "on", "cancel": "cancelled"}[what]

    @rule(number=st.integers(0, 7), more=st.sampled_from([0, 499, 500, 5000]))
    def raises(self, number: int, more: int) -> None:
        alert = self._alert(number)
        if alert and self._tried(broadcasts.raise_budget, alert, alert.budget + more, self.office.binh):
            alert.budget += more
            alert.approved = True

    # -- machines ------------------------------------------------------------------------------------------------------

    @rule(number=st.integers(0, 7), step=st.integers(1, 4))
    def steps(self, number: int, step: int) -> None:
        if alert := self._alert(number):
            self._step(alert, step)

    @rule(number=st.integers(0, 7))
    def expands(self, number: int) -> None:
        if alert := self._alert(number):
            self._expand(alert, 3)

    def _expand(self, alert: Alert, step: int) -> None:
        while self._step(alert, step):
            pass

    def _step(self, alert: Alert, step: int) -> bool:
        open_for_it = alert.state == "on" and not alert.expanded and alert.starts_at and alert.starts_at <= self.now
        if open_for_it and not alert.begun:
            alert.begun, alert.steady = True, {line for line in self.lines if alert.fits(line)}
        more = expansion.take_step(self.house.database, LIMITS, lambda: self.now, alert.id, step)
        assert open_for_it or not more
        found = self.office.now(alert.id)
        if found.expanded_at and not alert.expanded:
            alert.expanded = True
            self._look_at_audience(alert, found)
        return more

    def _look_at_audience(self, alert: Alert, found: Broadcast) -> None:
        """Everybody who belonged to it all the while is there, on one line; too many wait for a second person."""
        rows = self._recipients(alert)
        assert found.size >= len(rows)
        for line in alert.steady:
            assert any(one in rows or one.gone for one in line.family.lines), "somebody was missed"
        if found.size > LIMITS.approve_above and not alert.approved:
            alert.state = "waiting"
        assert (found.status == "waiting") == (alert.state == "waiting")

    def _recipients(self, alert: Alert) -> dict[Line, Any]:
        by_id = {line.contact.id: line for line in self.lines}
        return {by_id[row.address_id]: row for row in self._rows(t.recipients) if row.broadcast_id == alert.id}

    @rule(channel=st.sampled_from(CHANNELS), speed=st.sampled_from([1.0, 100.0]))
    def feeds(self, channel: str, speed: float = 100.0) -> None:
        before = {alert: self._recipients(alert) for alert in self.alerts.values()}
        self.sound = False
        self.office.feed(self.now, channel, speed)
        for alert, old in before.items():
            new = {line: row for line, row in self._recipients(alert).items() if old[line].status == "waiting"}
            for line in [line for line, row in new.items() if row.status == "given"]:
                self._may_be_given(alert, line)
            for line, row in new.items():
                if row.status == "skipped":
                    self._may_be_skipped(alert, line, row.reason)
            found = self.office.now(alert.id)
            if found.why == "budget" and found.status == "paused" and alert.state == "on":
                assert self._costs_too_much(alert, channel), "stopped, and there was money left"
                alert.state = "paused"
        self.sound = True

    def _costs_too_much(self, alert: Alert, channel: str) -> bool:
        """Whether for somebody who waits on this channel there is not money enough: all behind them wait too."""
        left = alert.budget - sum(alert.given.values())
        waiting = [line for line, row in self._recipients(alert).items() if row.status == "waiting"]
        return any(self.prices[one.language, one.channel] > left for one in waiting if one.channel == channel)

    def _may_be_given(self, alert: Alert, line: Line) -> None:
        self._is_on(alert)
        self._is_welcome(alert, line)
        assert not any(one in alert.given for one in line.linked()), "one person, two lines"
        alert.given[line] = self.prices[line.language, line.channel]
        assert sum(alert.given.values()) <= alert.budget, "handed on over budget"

    def _may_be_skipped(self, alert: Alert, line: Line, reason: str) -> None:
        why = "opted_out" if line.gone else line.left_out()
        if why is None and any(one in alert.given for one in line.linked()):
            why = "linked"
        if why is None and line.has_had_enough(self.now):
            why = "enough"
        assert reason == why, f"skipped as {reason}, and it was {why}"

    def _is_on(self, alert: Alert) -> None:
        assert alert.state != "cancelled", "after the cancel"
        assert alert.state != "paused", "while paused"
        assert alert.state == "on", "before a second person's yes"
        assert alert.starts_at is not None
        assert alert.starts_at <= self.now, "before its start"
        assert self.now < alert.valid_until, "no longer true"

    def _is_welcome(self, alert: Alert, line: Line) -> None:
        assert not line.gone, "forgotten"
        assert line.left_out() is None, f"left out: {line.left_out()}"
        assert not line.has_had_enough(self.now), "more than three in a day"
        assert line.is_fair_hour(self.now) or (alert.urgent and alert.approved), "at night"

    @rule(worker=st.sampled_from(WORKERS), channel=st.sampled_from(CHANNELS), most=st.sampled_from([1, 3, 50]))
    def claims(self, worker: str, channel: str, most: int) -> None:
        due = self._do(outbox.claim, self.keyring, channel, owner=worker, limit=most, speed=FAST, now=self.now)
        addresses = [one.address_id for one in due]
        assert len(set(addresses)) == len(addresses), "two at once to one line"
        self.claimed[worker] += [(channel, one) for one in due]

    @rule(worker=st.sampled_from(WORKERS), together=st.booleans())
    def marks(self, worker: str, together: bool) -> None:
        """The moment that counts: what is marked goes to the provider."""
        claimed, self.claimed[worker] = self.claimed[worker], []
        self.sound = False
        for channel in CHANNELS:
            due = {one.id: one for there, one in claimed if there == channel}
            for ids in [list(due)] if together else [[row_id] for row_id in due]:
                for row_id in sorted(self._mark(channel, ids, worker)):
                    self.called[worker].append((due[row_id], self._call(due[row_id], channel)))
        self.sound = True

    def _mark(self, channel: str, ids: list[str], worker: str) -> set[str]:
        if not ids:
            return set()
        marked: set[str] = self._do(outbox.mark_sending, channel, ids, owner=worker, now=self.now)
        return marked

    def _call(self, due: Due, channel: str) -> Call:
        line = next(line for line in self.lines if line.contact.id == due.address_id)
        alert = self.alerts.get(due.message.dedup.split(":")[1])
        assert self.held[channel] <= self.now, "the provider said: later"
        call = Call(alert, line, self.now)
        if alert is None:
            return call
        self._is_on(alert)
        self._is_welcome(alert, line)
        assert line in alert.given
        assert all(before.answer in NOT_TAKEN for before in alert.calls_of(line)), "twice"
        assert not alert.went_elsewhere(line), "one person, on two lines"
        alert.calls.append(call)
        line.left.append(call)
        spent = sum(alert.given[one.line] for one in alert.calls if one.answer in MAY_HAVE_ARRIVED)
        assert spent <= alert.budget, "spent over budget"
        return call

    @rule(worker=st.sampled_from(WORKERS), answer=st.sampled_from(["taken"] * 4 + [*ANSWERS]))
    def finishes(self, worker: str, answer: str) -> None:
        called, self.called[worker] = self.called[worker], []
        for due, call in called:
            self._finish(due, call, answer)

    def _finish(self, due: Due, call: Call, answer: str) -> None:
        error = ANSWERS[answer]
        outcome = Outcome(due, SendResult() if error else SendResult((due.id,)), error)
        self._do(outbox.finish, self.keyring, [outcome], self.now)
        if call.line.gone:
            return
        call.answer, call.over_at = answer, self.now
        if answer == "held":
            self.held[call.line.channel] = max(self.held[call.line.channel], self.now + dt.timedelta(seconds=90))
        if answer in ("stopped", "opted_out"):
            call.line.unreachable = True
        if answer == "opted_out":
            call.line.said_yes = None

    @rule(
        channel=st.sampled_from(CHANNELS),
        worker=st.sampled_from(WORKERS),
        answer=st.sampled_from(["taken"] * 4 + [*ANSWERS]),
    )
    def sends(self, channel: str, worker: str, answer: str) -> None:
        self.feeds(channel)
        self.claims(worker, channel, 50)
        self.marks(worker, True)
        self.finishes(worker, answer)

    @rule(worker=st.sampled_from(WORKERS))
    def sends_all(self, worker: str) -> None:
        for channel in CHANNELS:
            self.sends(channel, worker, "taken")

    @precondition(lambda self: len(self.alerts) < 8)
    @rule(number=st.integers(0, 11), what=st.sampled_from(LAST_MOMENT), held=st.booleans())
    def something_happens_at_the_last_moment(self, number: int, what: str, held: bool) -> None:
        """The message lies ready, or a worker `held` it already."""
        self._comes_a_fair_hour()
        self.warns()
        self._everything_lies_ready()
        if held:
            self._claims_all(WORKERS[0])
        if what in ("pause", "cancel"):
            self.staff(len(self.alerts) - 1, what)
        else:
            self.somebody(number, what)
        self.marks(WORKERS[0], False)
        self.finishes(WORKERS[0], "taken")
        self.sends_all(WORKERS[1])

    def _comes_a_fair_hour(self) -> None:
        self.now = self.now.replace(hour=3, minute=30) + (DAY if self.now.hour >= 3 else 0 * DAY)

    @rule(worker=st.sampled_from(WORKERS))
    def worker_dies(self, worker: str) -> None:
        self.claimed[worker], self.called[worker] = [], []

    @rule()
    def clears_up(self) -> None:
        reaped = {one.id for one in self._rows(t.outbox) if one.status == "sending"}
        self._do(outbox.reap, self.now)
        reaped -= {one.id for one in self._rows(t.outbox) if one.status == "sending"}
        self._do(outbox.expire, self.now)
        self._do(outbox.cancel_silenced, self.now)
        self._do(contacts.drop_departed)
        self._know_lost(reaped)

    def _know_lost(self, reaped: set[str]) -> None:
        """From now on the 24 hours of what a dead worker may have sent run."""
        of = {row.id: row for row in self._rows(t.outbox) if row.id in reaped}
        for row in of.values():
            for call in next(line for line in self.lines if line.contact.id == row.address_id).left:
                if call.answer == "called" and call.alert and call.alert.id == row.broadcast_id:
                    call.over_at = call.over_at or self.now

    # -- time ----------------------------------------------------------------------------------------------------------

    @rule(by=st.sampled_from(WAITS))
    def time_passes(self, by: dt.timedelta) -> None:
        self.now += by

    def _everything_lies_ready(self) -> None:
        for channel in CHANNELS:
            self.feeds(channel)

    @rule(number=st.integers(0, 11), hour=st.sampled_from([7, 22, 22]), before=st.sampled_from([0, 0, 1, 60_000_000]))
    def comes_a_boundary(self, number: int, hour: int, before: int) -> None:
        """Seven or ten o'clock on somebody's clock, or a moment before."""
        self._everything_lies_ready()
        line = self._line(number)
        clock = dt.timezone(dt.timedelta(minutes=line.offset if line and number % 2 else VIET_NAM))
        there = self.now.astimezone(clock).replace(hour=hour, minute=0, second=0, microsecond=0)
        there -= dt.timedelta(microseconds=before)
        self.now = (there if there >= self.now else there + DAY).astimezone(dt.UTC)
        self.sends_all(WORKERS[1])

    @rule(
        number=st.integers(0, 7),
        before=st.sampled_from([0, 0, 1]),
        how=st.sampled_from(["fed", "fed", "claimed", "held"]),
    )
    def comes_an_end(self, number: int, before: int, how: str) -> None:
        """Nobody has fed since, so that the store still says that it runs: a worker claims what lies ready, or `held` it already."""
        alert = self._alert(number)
        if alert and alert.valid_until - MINUTE > self.now:
            self._everything_lies_ready()
            if how == "held":
                self._claims_all(WORKERS[1])
            self.now = alert.valid_until - dt.timedelta(microseconds=before)
            if how == "claimed":
                self._claims_all(WORKERS[1])
            if how != "fed":
                self.marks(WORKERS[1], False)
                self.finishes(WORKERS[1], "taken")
            self.sends_all(WORKERS[1])

    def _claims_all(self, worker: str) -> None:
        for channel in CHANNELS:
            self.claims(worker, channel, 50)

    @rule(number=st.integers(0, 11))
    def a_day_after(self, number: int) -> None:
        """Exactly 24 hours after somebody's oldest alert that still counts, less a moment."""
        ends = [call.over_at + DAY for line in self.lines for call in line.left if call.over_at]
        later = sorted(end for end in ends if end > self.now)
        if later:
            self._everything_lies_ready()
            self.now = later[0] - dt.timedelta(microseconds=number % 2)
            self.sends_all(WORKERS[1])

    # -- what always holds ---------------------------------------------------------------------------------------------

    @invariant()
    def audiences_are_those_who_stayed(self) -> None:
        for alert in self.alerts.values():
            if alert.begun and not alert.expanded:
                alert.steady = {line for line in alert.steady if alert.fits(line)}

    @rule(tomorrow=st.booleans())
    def a_fair_hour_passes(self, tomorrow: bool) -> None:
        """All providers take everything: afterwards nobody waits without a reason."""
        self.now += 2 * MINUTE
        if tomorrow:
            self._comes_a_fair_hour()
        for worker in WORKERS:
            self.worker_dies(worker)
        self.clears_up()
        for alert in self.alerts.values():
            self._expand(alert, 5)
        for _ in range(8):
            self.sends_all(WORKERS[0])
        for alert in self.alerts.values():
            self._nobody_waits_in_vain(alert)
        waiting = [row for row in self._rows(t.outbox) if row.status == "queued" and row.broadcast_id is None]
        by_id = {line.contact.id: line for line in self.lines}
        for row in waiting:
            line = by_id[row.address_id]
            assert line.silent or line.unreachable or _later(row, self.now), "a reply waits"

    def _nobody_waits_in_vain(self, alert: Alert) -> None:
        found = self.office.now(alert.id)
        if found.status != "running":
            assert found.status != "done" or found.why or not self._open_rows(alert)
            return
        queued = {row.address_id for row in self._open_rows(alert) if not _later(row, self.now)}
        for line, row in self._recipients(alert).items():
            if line.gone:
                continue
            held_up = self._held_up(alert, line)
            if row.status == "waiting":
                assert held_up or self._costs_too_much(alert, line.channel), "somebody waits for nothing"
            elif row.status == "given" and line.contact.id in queued:
                assert held_up or alert.went_elsewhere(line), "a message lies ready for nothing"
        assert self._recipients_waiting(alert) or self._open_rows(alert), "over, and still running"

    def _held_up(self, alert: Alert, line: Line) -> bool:
        fair = line.is_fair_hour(self.now) or alert.urgent
        return not fair or line.left_out() is not None or line.has_had_enough(self.now)

    def _recipients_waiting(self, alert: Alert) -> bool:
        return any(row.status == "waiting" for row in self._recipients(alert).values())

    def _open_rows(self, alert: Alert) -> list[Any]:
        ours = [row for row in self._rows(t.outbox) if row.broadcast_id == alert.id]
        return [row for row in ours if row.status in ("queued", "claimed", "sending")]

    def teardown(self) -> None:
        """A month later everybody is accounted for. A promise that was broken before is told as it is."""
        if not self.sound:
            return
        self.now += 30 * DAY
        self.clears_up()
        for channel in CHANNELS:
            self.feeds(channel)
        self.clears_up()
        for alert in self.alerts.values():
            if alert.expanded:
                self._account_for(alert)

    def _account_for(self, alert: Alert) -> None:
        rows, found = self._recipients(alert), self.office.now(alert.id)
        assert found.status in ("done", "cancelled", "waiting")
        messages = {row.address_id: row for row in self._rows(t.outbox) if row.broadcast_id == alert.id}
        for line in alert.steady:
            assert any(one in rows or one.gone for one in line.family.lines), "somebody is missing"
        for line, row in rows.items():
            if line.gone:
                continue
            if row.status == "skipped":
                assert row.reason
            elif row.status == "waiting":
                assert found.why == "expired" or found.status != "done"
            else:
                assert messages[line.contact.id].status == self._fate(alert, line, messages[line.contact.id])

    def _fate(self, alert: Alert, line: Line, row: Any) -> str:
        """What the world knows of this person's message."""
        last = alert.calls_of(line)[-1].answer if alert.calls_of(line) else None
        if last in ("taken", "uncertain", "called"):
            return "sent" if last == "taken" else "uncertain"
        if last in ("refused", "stopped", "opted_out"):
            return "failed"
        assert row.status in ("expired", "cancelled"), f"still {row.status}"
        assert row.error
        return str(row.status)


def _later(row: Any, now: dt.datetime) -> bool:
    not_before = row.not_before
    if not_before is not None and not_before.tzinfo is None:
        not_before = not_before.replace(tzinfo=dt.UTC)
    return not_before is not None and not_before > now


def _empty(house: App) -> None:
    with house.database.begin() as connection:
        for table in reversed(t.metadata.sorted_tables):
            if table.name != "about":
                connection.execute(delete(table))


def _run(house: App, examples: int, steps: int) -> None:
    if house.database.engine.dialect.name == "sqlite":  # what is tested is our code, not its disk
        with house.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("PRAGMA synchronous=OFF")
    machine = type("BroadcastMachine", (Machine,), {"house": house})
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


def test_s_03_s_09_s_34_an_alert_keeps_its_promises_whatever_happens(sqlite_house: App) -> None:
    """Hours, end, pause, exclusions, three a day, once a person, budget; and in the end everybody is accounted for."""
    _run(sqlite_house, EXAMPLES, STEPS)


@pytest.mark.postgres
@pytest.mark.parametrize("house", ["postgres"], indirect=True)
def test_an_alert_keeps_its_promises_on_postgresql(house: App) -> None:
    """The same, for a shorter while."""
    _run(house, max(1, EXAMPLES // 4), STEPS)
