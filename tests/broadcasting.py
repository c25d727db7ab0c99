"""Subscribers, and broadcasts on their way to them."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, select

from bot import contacts
from bot.app import App
from bot.channels.base import SendError, SendResult
from bot.contacts import Contact
from bot.delivery import outbox
from bot.delivery.outbox import Outcome
from bot.delivery.pace import Pace
from bot.messages import Address
from bot.outreach import broadcasts, expansion, feed, progress, schedule
from bot.outreach.audience import Audience
from bot.outreach.broadcasts import Broadcast, Plan
from bot.outreach.progress import Progress
from bot.outreach.schedule import Repetition
from bot.outreach.terms import Limits, Terms
from bot.outreach.words import AlertText, Words
from bot.store import tables as t
from bot.store.crypto import Keyring
from bot.subscriptions import subscribe
from tests.hotline import a_colleague
from tests.people import agree_to_news

NOON = dt.datetime(2026, 11, 24, 5, tzinfo=dt.UTC)  # in Viet Nam
WORDS = Words("Lào", {"vi": AlertText("Tin báo cho bạn đi làm xa.", "Tin bao cho ban di lam xa.")})
FAST = Pace(1000.0)
NO_LIMITS = Limits(approve_above=10**6, cancel_window=dt.timedelta(0), a_day=10**6, people_a_day=10**9)


def a_plan(**changes: Any) -> Plan:
    return Plan(**{"words": WORDS, "audience": Audience(), "valid_until": NOON + dt.timedelta(days=1), **changes})


def a_subscriber(
    connection: Connection,
    house: App,
    identifier: str,
    *,
    channel: str = "telegram",
    at: dt.datetime = NOON - dt.timedelta(days=9),
    province: str | None = None,
    interest: str | None = None,
    language: str = "vi",
    offset: int = 420,
) -> Contact:
    """Somebody who said yes to news."""
    keyring = house.database.keyring
    contact = contacts.find_or_create(connection, keyring, Address(channel, identifier), at)
    agree_to_news(connection, house.database, contact, at)
    subscribe(
        connection, keyring, contact,
        province=province, interest=interest, language=language, source="conversation", now=at, utc_offset=offset,
    )  # fmt: skip
    return contact


@dataclass
class Office:
    """Two people of outreach, and a provider that notes what it took. `fails`: chat -> why it refuses."""

    house: App
    limits: Limits = NO_LIMITS
    fails: dict[str, SendError] = field(default_factory=dict)
    took: list[tuple[dt.datetime, str, str, str]] = field(default_factory=list)  # moment, channel, identifier, dedup

    def __post_init__(self) -> None:
        with self.house.database.begin() as connection:
            self.an, self.binh = (
                a_colleague(connection, self.keyring, name, roles="outreach") for name in ("an", "binh")
            )

    @property
    def keyring(self) -> Keyring:
        return self.house.database.keyring

    def send(self, plan: Plan, now: dt.datetime = NOON, people: int | None = None) -> Broadcast:
        """Written, submitted, approved where that is needed, and gone through."""
        sent = self.approved(plan, now, people)
        self.expand(sent.id, now)
        return self.now(sent.id)

    def approved(self, plan: Plan, now: dt.datetime = NOON, people: int | None = None) -> Broadcast:
        """Written, submitted, and approved where that is needed."""
        with self.house.database.begin() as connection:
            draft = broadcasts.write(connection, self.keyring, plan, self.an, now)
            sent = broadcasts.submit(connection, self.keyring, draft.id, people or 1, self.limits, self.an, now)
            if sent.status == "waiting":
                sent = broadcasts.approve(connection, self.keyring, sent.id, sent.digest, self.limits, self.binh, now)
        return sent

    @property
    def terms(self) -> Terms:
        return Terms(self.house.library, limits=self.limits)

    def expand(self, broadcast_id: str, now: dt.datetime, step: int = 1000) -> None:
        while expansion.take_step(self.house.database, self.limits, lambda: now, broadcast_id, step):
            pass

    def now(self, broadcast_id: str) -> Broadcast:
        with self.house.database.begin() as connection:
            return broadcasts.lock(connection, self.keyring, broadcast_id)

    def writes(self, now: dt.datetime = NOON) -> None:
        """A draft and a schedule, and nothing is sent."""
        with self.house.database.begin() as connection:
            broadcasts.write(connection, self.keyring, a_plan(valid_until=now + dt.timedelta(days=1)), self.an, now)
            weekly = Repetition(WORDS, Audience(), "0 8 * * 1", dt.timedelta(hours=6), now + dt.timedelta(days=30))
            schedule.write(connection, self.keyring, weekly, self.an, now)

    def feed(self, now: dt.datetime, channel: str = "telegram", per_second: float = 100.0) -> feed.Fed:
        with self.house.database.begin() as connection:
            return feed.feed(connection, self.keyring, self.terms, channel, per_second, now)

    def deliver(
        self, now: dt.datetime, channel: str = "telegram", *, rounds: int = 3, per_second: float = 100.0
    ) -> list[str]:
        """Everything that may leave by this channel now; the identifiers that got something."""
        before = len(self.took)
        for _ in range(rounds):
            self.feed(now, channel, per_second)
            self._empty(now, channel)
        return [identifier for _, _, identifier, _ in self.took[before:]]

    def _empty(self, now: dt.datetime, channel: str) -> None:
        while self._send_some(now, channel):
            pass

    def _send_some(self, now: dt.datetime, channel: str) -> int:
        with self.house.database.begin() as connection:
            due = outbox.claim(connection, self.keyring, channel, owner="me", limit=200, speed=FAST, now=now)
            ids = [one.id for one in due]
            leaving = outbox.mark_sending(connection, channel, ids, owner="me", now=now) if ids else set()
            connection.execute(t.channels.update().values(next_slot_at=now))
        outcomes = []
        for one in due:
            if one.id in leaving:
                error = self.fails.get(one.message.address.identifier)
                if error is None and one.message.dedup.startswith("b:"):
                    self.took.append((now, channel, one.message.address.identifier, one.message.dedup))
                outcomes.append(Outcome(one, SendResult((one.id,)), error))
        with self.house.database.begin() as connection:
            outbox.finish(connection, self.keyring, outcomes, now)
        return len(leaving)

    def progress(self, broadcast_id: str, now: dt.datetime) -> Progress:
        with self.house.database.begin() as connection:
            found = broadcasts.lock(connection, self.keyring, broadcast_id)
            return progress.of(connection, found, now)

    def states(self, broadcast_id: str) -> Mapping[str, str]:
        """person -> status or reason."""
        with self.house.database.begin() as connection:
            rows = connection.execute(select(t.recipients).where(t.recipients.c.broadcast_id == broadcast_id))
            return {row.person: row.reason or row.status for row in rows}
