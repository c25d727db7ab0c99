"""What time does about a case that nobody has claimed: calls, and the truth for who waits (S-28). Each step once.

`look` is one pass. What is due follows from the case's row, and what was done stands in `case_steps`, written in the same
transaction as the message; so passes may run in any number of processes and die at any point. A pass never waits for a row of a
person or a case: what somebody else has in hand comes with the next pass.

Names of steps: "round.priority" says when that clock began, "round.priority.step" that a step was done, and "...+1" that a call
which reached nobody went on to the next person. `restart` begins a new round.
"""

import datetime as dt
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from sqlalchemy import Connection, insert, select
from sqlalchemy.engine import Row

from bot import contacts, conversations
from bot.channels.base import CAPABILITIES
from bot.contacts import Contact
from bot.conversation import openings
from bot.conversation.replies import Speaker
from bot.delivery import outbox
from bot.delivery.render import parts, render
from bot.hotline import paging
from bot.hotline.cases import CLOCK, add_event, to_write
from bot.hotline.paging import Colleague, Exchange
from bot.hours import Hours
from bot.messages import VIETNAM, Lane, Reply
from bot.store.crypto import Keyring
from bot.store.database import insert_unless_there, utc
from bot.store.tables import case_steps, cases

TRUE_FOR = dt.timedelta(
    minutes=30
)  # later, that nobody came is no news, and who holds the phone then is not known (S-10)
FOLLOWED_UP = dt.timedelta(hours=1)  # so long a call that reached nobody goes on
SAID_ALREADY = {"vn_113", "vn_111", "mofa_consular"}  # in nobody_came itself; 111 would need its notice (S-25)

_UNCLAIMED = select(cases).where(cases.c.status == "open", cases.c.claimed_at.is_(None))

log = logging.getLogger("banduong")


@dataclass(frozen=True)
class Clock:
    """What config.yml decides. `claim`: priority -> by when a case should be claimed."""

    exchange: Exchange
    hours: Hours
    claim: Mapping[str, dt.timedelta]
    page_again: Sequence[dt.timedelta]
    honest_after: dt.timedelta


@dataclass(frozen=True)
class Step:
    name: str
    due: dt.datetime
    whom: Literal["next", "everybody", "person"]


@dataclass
class Done:
    """What one pass did; `unheard`: cases for which nobody could be called."""

    calls: int = 0
    told: int = 0
    unheard: int = 0

    def __add__(self, other: "Done") -> "Done":
        return Done(self.calls + other.calls, self.told + other.told, self.unheard + other.unheard)

    def __bool__(self) -> bool:
        """Whether there is something to send."""
        return self.calls + self.told > 0


def plan(clock: Clock, priority: str, since: dt.datetime, *, minor: bool) -> tuple[Step, ...]:
    """All that time will do while nobody claims, in order.

    P0 and what concerns a minor do not wait for opening hours. Other cases of P1 call when it opens, for nobody is in danger now;
    P2 and P3 call once, when their time is over and it is open."""
    opening = clock.hours.next_opening(since)
    if priority == "P0":
        return _plan_of_danger(clock, since, opening)
    if priority == "P1":
        first = since if minor else opening
        return Step("page1", first, "next"), Step("page2", first + clock.claim["P1"], "next")
    return (Step("page1", clock.hours.next_opening(since + clock.claim[priority]), "next"),)


def _plan_of_danger(clock: Clock, since: dt.datetime, opening: dt.datetime) -> tuple[Step, ...]:
    """One after the other, then everybody; the truth for the person; and everybody again when it opens."""
    times = [since, *(since + later for later in clock.page_again)]
    calls = [Step(f"page{number}", due, "next") for number, due in enumerate(times, 1)]
    last = [Step(calls.pop().name, times[-1], "everybody")] if clock.page_again else []
    again = [Step("opening", opening, "everybody")] if opening > times[-1] else []
    return *calls, *last, Step("honest", since + clock.honest_after, "person"), *again


def look(connection: Connection, keyring: Keyring, clock: Clock, now: dt.datetime) -> Done:
    """One pass over all open cases that nobody has claimed."""
    the_pass = _Pass(connection, keyring, clock, now)
    waiting = connection.execute(_UNCLAIMED.order_by(cases.c.priority, cases.c.opened_at)).all()
    histories = _histories(connection, [case.id for case in waiting])
    for case in waiting:
        the_pass.look_at(case, histories.get(case.id, History()))
    return the_pass.done


def restart(connection: Connection, case_id: str, now: dt.datetime) -> None:
    """The case is back in the queue: its clock begins anew at `now`."""
    history = _history(connection, case_id)
    priority = connection.execute(select(cases.c.priority).where(cases.c.id == case_id)).scalar_one()
    _record(connection, case_id, f"{history.round + 1}.{priority}", now)


def passed_by(connection: Connection, case_id: str, staff_id: str, now: dt.datetime) -> bool:
    """Somebody lets a waiting case pass: they are not called for it again in this round. Whether that is new (S-35)."""
    step = f"{_history(connection, case_id).round}.by.{staff_id[:12]}"
    row = {"case_id": case_id, "step": step, "staff_id": staff_id, "at": now}
    return insert_unless_there(connection, case_steps, row)


# -- what has been done ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class History:
    """The steps of one case: name -> (who was called, when)."""

    steps: Mapping[str, tuple[str | None, dt.datetime]] = field(default_factory=dict)

    @cached_property
    def round(self) -> int:
        return max((int(name.split(".")[0]) for name in self.steps), default=0)

    def called(self) -> list[str]:
        """The ids of those who were called in this round."""
        return [who for name, (who, _) in self.steps.items() if who and name.startswith(f"{self.round}.")]

    def since(self, case: Row[Any], now: dt.datetime) -> dt.datetime:
        """When the clock of this round and priority began: for a case that has been raised, now."""
        begun = self.steps.get(f"{self.round}.{case.priority}")
        if begun:
            return begun[1]
        return now if self.steps else utc(case.opened_at)


def _history(connection: Connection, case_id: str) -> History:
    return _histories(connection, [case_id]).get(case_id, History())


def _histories(connection: Connection, ids: Sequence[str]) -> dict[str, History]:
    steps: dict[str, dict[str, tuple[str | None, dt.datetime]]] = {}
    for row in connection.execute(select(case_steps).where(case_steps.c.case_id.in_(ids)).order_by(case_steps.c.at)):
        steps.setdefault(row.case_id, {})[row.step] = (row.staff_id, utc(row.at))
    return {case_id: History(found) for case_id, found in steps.items()}


def _record(connection: Connection, case_id: str, step: str, now: dt.datetime, staff_id: str | None = None) -> None:
    connection.execute(insert(case_steps).values(case_id=case_id, step=step, staff_id=staff_id, at=now))


# -- one pass ----------------------------------------------------------------------------------------------------------


class _Pass:
    def __init__(self, connection: Connection, keyring: Keyring, clock: Clock, now: dt.datetime) -> None:
        self.db, self.keyring, self.clock, self.now = connection, keyring, clock, now
        self.done = Done()

    @cached_property
    def people(self) -> list[Colleague]:
        found = paging.roster(self.db, self.keyring, self.clock.exchange)
        if found and not found[0].on_duty:
            log.error("the queue waits and nobody is on duty: everybody is called")
        return found

    def look_at(self, case: Row[Any], known: History) -> None:
        """Locks the case only where there may be something to do; the person first, as every turn does."""
        if not _Case(self, case, known, None).may_want_something():
            return
        contact = contacts.take_if_free(self.db, self.keyring, case.address_id) if case.address_id else None
        if case.address_id and contact is None:
            return
        if taken := self.db.execute(_UNCLAIMED.where(cases.c.id == case.id).with_for_update(skip_locked=True)).first():
            _Case(self, taken, _history(self.db, case.id), contact).catch_up()


class _Case:
    """One case in one pass."""

    def __init__(self, the_pass: _Pass, case: Row[Any], history: History, contact: Contact | None) -> None:
        self.at = the_pass
        self.case = case
        self.history = history
        self.contact = contact
        self.mark = f"{history.round}.{case.priority}"
        self.since = history.since(case, the_pass.now)
        self.plan = plan(the_pass.clock, case.priority, self.since, minor=case.minor)
        self.called = history.called()

    def may_want_something(self) -> bool:
        return self.mark not in self.history.steps or any(self.due()) or any(self.recent_calls())

    def due(self) -> Iterator[Step]:
        for step in self.plan:
            if step.due <= self.at.now and f"{self.mark}.{step.name}" not in self.history.steps:
                yield step

    def recent_calls(self) -> Iterator[tuple[str, str | None]]:
        """Calls of this clock that may have reached nobody: (name of the step, who was called)."""
        for name, (who, at) in self.history.steps.items():
            if name.startswith(f"{self.mark}.") and not name.endswith(".honest") and self.at.now - at < FOLLOWED_UP:
                yield name, who

    def catch_up(self) -> None:
        if self.mark not in self.history.steps:
            _record(self.at.db, self.case.id, self.mark, self.since)
        for name, who in list(self.recent_calls()):
            self._follow_up(name, who)
        due = list(self.due())
        calls = [step for step in due if step.whom != "person"]
        for step in due:
            if step.whom == "person":
                self._tell(step)
            elif step is calls[-1]:
                self._call(step)
            else:  # several are due after a standstill: the last call says all
                self._did(step.name)

    def _did(self, step: str, who: str | None = None) -> None:
        _record(self.at.db, self.case.id, f"{self.mark}.{step}", self.at.now, who)

    # -- calls ---------------------------------------------------------------------------------------------------------

    def _call(self, step: Step) -> None:
        """A step that nobody hears stays due."""
        if step.whom == "everybody":
            heard = [self._ring(one, f"{self.mark}.{step.name}") for one in self.at.people]
            if any(heard):
                self._did(step.name)
        else:
            heard = [self._call_one(f"{self.mark}.{step.name}", self.at.people)]
        self.at.done.unheard += not any(heard)

    def _call_one(self, name: str, people: Sequence[Colleague]) -> bool:
        """Calls the first who can be reached, and writes it down as `name`."""
        for colleague in paging.next_of(people, self.called, urgent=self.case.priority == "P0"):
            if self._ring(colleague, name):
                _record(self.at.db, self.case.id, name, self.at.now, colleague.id)
                self.called.append(colleague.id)
                return True
        return False

    def _ring(self, colleague: Colleague, name: str, tried: set[str] | None = None) -> bool:
        at = self.at
        about = f"{self.case.id}:{name}"
        heard = paging.call(at.db, at.keyring, at.clock.exchange, colleague, about, at.now, tried or set())
        if heard:
            self._write_down("paged", {"to": colleague.id})
        at.done.calls += heard
        return heard

    def _write_down(self, kind: str, body: Mapping[str, object]) -> None:
        case = to_write(self.at.db, self.at.keyring, self.case)
        add_event(self.at.db, self.at.keyring, case, kind, CLOCK, body, self.at.now)

    def _follow_up(self, name: str, who: str | None) -> None:
        """The next way of those whom the call did not reach. Where one person was called: after their last way, or when they
        have gone off duty, another in their place."""
        if who is None:
            for colleague in self.at.people:
                if failed := self._failed_ways(colleague, name):
                    self._ring(colleague, name, failed)
            return
        for colleague in self.at.people:
            if colleague.id == who:
                tried = self._failed_ways(colleague, name)
                if tried is None or self._ring(colleague, name, tried):
                    return
        self._replace(name)

    def _failed_ways(self, colleague: Colleague, name: str) -> set[str] | None:
        return paging.failed_ways(self.at.db, colleague, f"{self.case.id}:{name}", self.at.now)

    def _replace(self, name: str) -> None:
        first, _, number = name.partition("+")
        successor = f"{first}+{int(number or 0) + 1}"
        if successor not in self.history.steps:
            fresh = [one for one in self.at.people if one.id not in self.called]
            self.at.done.unheard += not self._call_one(successor, fresh)

    # -- the person ----------------------------------------------------------------------------------------------------

    def _tell(self, step: Step) -> None:
        """Says that nobody has come, unless it is too late for that, or the person named hours that are safe, or somebody may
        read along (S-10). To a silent address nothing leaves (S-03)."""
        self._did(step.name)
        facts = self._facts()
        left = step.due + TRUE_FOR - self.at.now
        if self.contact is None or left <= dt.timedelta(0) or self.case.sealed_reach or facts.get("watched"):
            return
        state = conversations.load(self.at.db, self.at.keyring, self.contact)
        speaker = Speaker(self.at.clock.exchange.library, state.language if state else "vi")
        capabilities = CAPABILITIES[self.contact.address.channel]
        written = outbox.say(
            self.at.db, self.at.keyring, self.contact,
            parts(nobody_came(speaker, self.at.clock.hours, facts.get("country"), self.at.now), capabilities),
            dedup=f"nobody:{self.case.id}:{self.mark}", author="bot", lane=Lane.EMERGENCY, now=self.at.now, life=left,
            repeat_note=render(speaker.say("may_repeat"), capabilities).text,
        )  # fmt: skip
        if written:
            self._write_down("nobody_came", {})
        self.at.done.told += bool(written)

    def _facts(self) -> dict[str, Any]:
        if not self.case.sealed_facts:
            return {}
        facts: dict[str, Any] = json.loads(
            self.at.keyring.open(self.case.sealed_facts, f"cases|{self.case.id}|sealed_facts")
        )
        return facts


def nobody_came(speaker: Speaker, hours: Hours, country: str | None, now: dt.datetime) -> Reply:
    """The truth, with numbers that serve anywhere and those of the country, without a word on which it is (S-12)."""
    library = speaker.library
    if hours.is_open(now):
        told = speaker.say("nobody_came")
    else:
        opening = openings.in_words(library, speaker.language, hours.next_opening(now), now)
        told = speaker.say("nobody_came_closed", {"opening": opening})
    here = library.countries[country].hotlines if country in library.countries else ()
    more = [library.hotlines[name] for name in here if name not in SAID_ALREADY]
    fresh = [hotline.number for hotline in more if hotline.is_fresh(now.astimezone(VIETNAM).date())]
    if not fresh:
        return told
    also = speaker.say("also_call", {"numbers": ", ".join(fresh)})
    return Reply(f"{told.text} {also.text}", f"{told.sms} {also.sms}", name=told.name)
