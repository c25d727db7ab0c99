"""Hands recipients to the outbox, a little ahead of what the channel carries. Any number of processes may do so at the same time.

Whoever may no longer get it is passed over and counted; a fair hour that comes later is waited for; the budget ends it.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    bindparam,
    case,
    exists,
    func,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.engine import Row

from bot.delivery import news, outbox
from bot.delivery.outbox import Announcement
from bot.errors import OutreachError
from bot.messages import Lane
from bot.outreach.broadcasts import CLOCK, OPEN, Broadcast, change, pause, read_row
from bot.outreach.expansion import stop_tampered
from bot.outreach.terms import Message, Terms
from bot.store.crypto import Keyring
from bot.store.tables import addresses, broadcasts, recipients, subscriptions
from bot.store.tables import outbox as messages

AHEAD = dt.timedelta(seconds=2)  # what lies ready for a channel
LEAST, MOST = 20, 1000  # messages that lie ready
STUCK_AFTER = dt.timedelta(minutes=1)


@dataclass(frozen=True)
class Fed:
    """`given`: to the outbox. `open`: whether any broadcast runs, so that it is worth looking again soon."""

    given: int = 0
    open: bool = False

    def __add__(self, other: "Fed") -> "Fed":
        return Fed(self.given + other.given, self.open or other.open)


def ready(per_second: float) -> int:
    """How many messages lie ready for a channel of this speed."""
    return max(LEAST, min(MOST, int(per_second * AHEAD.total_seconds())))


def feed(
    connection: Connection, keyring: Keyring, terms: Terms, channel: str, per_second: float, now: dt.datetime
) -> Fed:
    """One pass for one channel."""
    move_on(connection, now)
    rows = connection.execute(_RUNNING).all()
    room = ready(per_second) - _lying_ready(connection, channel, now) if rows else 0
    given = 0
    for row in rows:
        try:
            found = read_row(keyring, row)
        except OutreachError as error:
            stop_tampered(connection, row.id, now, error)
            continue
        handed = 0
        if room > given and (row.urgent or news.is_open(now)):
            handed = _Feeding(connection, keyring, terms, found, channel, now).hand_on(room - given)
        if not handed:
            end_if_over(connection, found.id, now)
        given += handed
    return Fed(given, bool(rows))


# A broadcast that another process feeds is left to it.
_RUNNING = (
    select(broadcasts)
    .where(broadcasts.c.status == literal_column("'running'"))
    .order_by(broadcasts.c.urgent.desc(), broadcasts.c.starts_at, broadcasts.c.id)
    .with_for_update(skip_locked=True)
)


def move_on(connection: Connection, now: dt.datetime) -> None:
    """What has been gone through, and whose time has come, runs; what is no longer true ends."""
    if connection.execute(_TO_MOVE.limit(1), {"now": now}).first():
        late = (broadcasts.c.status.in_(_MAY_END), broadcasts.c.valid_until <= now)
        _move(connection, late, status="done", why="expired", done_at=now)
        due = (broadcasts.c.status == "scheduled", broadcasts.c.expanded_at.is_not(None), broadcasts.c.starts_at <= now)
        _move(connection, due, status="running")


def _move(connection: Connection, which: Sequence[ColumnElement[bool]], **values: Any) -> None:
    """Without waiting for somebody who has one of them in hand: the worker may hold what they wait for."""
    free = select(broadcasts.c.id).where(*which).with_for_update(skip_locked=True)
    connection.execute(update(broadcasts).where(broadcasts.c.id.in_(free)).values(**values))


_MAY_END = (*OPEN, "waiting")
_TO_MOVE = select(broadcasts.c.id).where(
    broadcasts.c.status.in_([literal_column(f"'{status}'") for status in _MAY_END]),
    or_(
        broadcasts.c.valid_until <= bindparam("now"),
        and_(
            broadcasts.c.status == literal_column("'scheduled'"),
            broadcasts.c.expanded_at.is_not(None),
            broadcasts.c.starts_at <= bindparam("now"),
        ),
    ),
)


def _lying_ready(connection: Connection, channel: str, now: dt.datetime) -> int:
    """What has lain there for longer waits for something else than its slot, and must not keep others waiting."""
    return connection.execute(_READY, {"channel": channel, "since": now - STUCK_AFTER}).scalar_one()


_READY = select(func.count()).where(
    messages.c.channel == bindparam("channel"),
    messages.c.lane == literal_column(str(int(Lane.BROADCAST))),
    messages.c.status == literal_column("'queued'"),
    messages.c.created_at > bindparam("since"),
)


class _Feeding:
    """One broadcast on one channel, in one pass."""

    def __init__(
        self,
        connection: Connection,
        keyring: Keyring,
        terms: Terms,
        broadcast: Broadcast,
        channel: str,
        now: dt.datetime,
    ) -> None:
        self.db, self.keyring, self.terms = connection, keyring, terms
        self.broadcast, self.channel, self.now = broadcast, channel, now
        self.left_vnd = broadcast.plan.budget_vnd - broadcast.reserved_vnd
        self.messages: dict[str, Message] = {}

    def hand_on(self, most: int) -> int:
        """How many were given to the outbox."""
        given: list[Announcement] = []
        reached: set[str] = set()  # who were linked since the audience was gone through may stand side by side here
        skipped: defaultdict[str, list[str]] = defaultdict(list)
        put_off: defaultdict[int, list[str]] = defaultdict(list)
        for row in self._next(most):
            if row.reason or row.linked in reached:
                skipped[row.reason or "linked"].append(row.person)
            elif not self.broadcast.plan.urgent and not news.is_open(self.now, row.utc_offset):
                put_off[row.utc_offset].append(row.person)
            elif (message := self._message(row.language)).vnd > self.left_vnd:
                self._stop_for_money(given)
                break
            else:
                self.left_vnd -= message.vnd
                given.append(Announcement(row.address_id, row.person, message.rendered, message.vnd))
                reached.add(row.linked)
        for reason, people in skipped.items():
            self._mark(people, status="skipped", reason=reason)
        for offset, people in put_off.items():
            self._mark(people, not_before=self._opening(offset))
        self._give(given)
        return len(given)

    def _stop_for_money(self, given: Sequence[Announcement]) -> None:
        """When what is paid for has left."""
        if not given and not _is_under_way(self.db, self.broadcast.id):
            pause(self.db, self.keyring, self.broadcast.id, CLOCK, self.now, why="budget")

    def _next(self, most: int) -> Sequence[Row[Any]]:
        key = {"broadcast": self.broadcast.id, "channel": self.channel, "most": most}
        return self.db.execute(_NEXT, key | news.moment(self.now)).all()

    def _message(self, language: str) -> Message:
        if language not in self.messages:
            self.messages[language] = self.terms.message(self.broadcast.plan.words, language, self.channel)
        return self.messages[language]

    def _give(self, given: Sequence[Announcement]) -> None:
        outbox.announce(
            self.db, self.keyring, self.channel, self.broadcast.id, given,
            now=self.now, until=self.broadcast.plan.valid_until,
        )  # fmt: skip
        self._mark([one.person for one in given], status="given")
        reserved = self.broadcast.plan.budget_vnd - self.left_vnd
        if reserved > self.broadcast.reserved_vnd:
            change(self.db, self.broadcast.id, reserved_vnd=reserved)

    def _mark(self, people: Sequence[str], **values: Any) -> None:
        if people:
            theirs = (recipients.c.broadcast_id == self.broadcast.id, recipients.c.person.in_(people))
            self.db.execute(update(recipients).where(*theirs).values(**values))

    def _opening(self, offset: int) -> dt.datetime:
        """When it is a fair hour there; where none comes in time, the row waits for the end."""
        return news.next_opening(self.now, offset) or self.broadcast.plan.valid_until


def _next_rows() -> Any:
    other, theirs = recipients.alias("other_row"), addresses.alias("theirs")
    linked = exists().where(
        addresses.c.person.is_not(None),
        theirs.c.person == addresses.c.person,
        theirs.c.id != addresses.c.id,
        other.c.address_id == theirs.c.id,
        other.c.broadcast_id.concat("")
        == recipients.c.broadcast_id,  # by the address: its key would go through everybody
        other.c.status == literal_column("'given'"),
    )
    reason = case(
        (news.left_out(addresses).is_not(None), news.left_out(addresses)),
        (linked, "linked"),
        (news.has_had_enough(addresses, addresses.c.id), "enough"),
        else_=None,
    )
    offset = func.coalesce(subscriptions.c.utc_offset, news.VIETNAM_OFFSET).label("utc_offset")
    language = func.coalesce(subscriptions.c.language, literal_column("'vi'")).label("language")
    return (
        select(
            recipients.c.person,
            recipients.c.address_id,
            func.coalesce(addresses.c.person, addresses.c.id).label("linked"),
            offset,
            language,
            reason.label("reason"),
        )
        .join(addresses, addresses.c.id == recipients.c.address_id)
        .outerjoin(subscriptions, subscriptions.c.address_id == recipients.c.address_id)
        .where(
            recipients.c.broadcast_id == bindparam("broadcast"),
            recipients.c.channel == bindparam("channel"),
            recipients.c.status == literal_column("'waiting'"),
            recipients.c.not_before <= bindparam("now"),
        )
        .order_by(recipients.c.not_before, recipients.c.person)
        .limit(bindparam("most"))
        .with_for_update(read=True, key_share=True, of=addresses, skip_locked=True)  # nobody is forgotten meanwhile
    )


_NEXT = _next_rows()


# -- the end -----------------------------------------------------------------------------------------------------------


def end_if_over(connection: Connection, broadcast_id: str, now: dt.datetime) -> None:
    """Nobody waits, and nothing is on its way."""
    waits = select(recipients.c.person).where(
        recipients.c.broadcast_id == broadcast_id, recipients.c.status == literal_column("'waiting'")
    )
    if not connection.execute(waits.limit(1)).first() and not _is_under_way(connection, broadcast_id):
        running = (broadcasts.c.id == broadcast_id, broadcasts.c.status == "running")
        connection.execute(update(broadcasts).where(*running).values(status="done", done_at=now))


def _is_under_way(connection: Connection, broadcast_id: str) -> bool:
    rows = select(messages.c.id).where(
        messages.c.broadcast_id == broadcast_id, messages.c.status.in_(["queued", "claimed", "sending"])
    )
    return connection.execute(rows.limit(1)).first() is not None
