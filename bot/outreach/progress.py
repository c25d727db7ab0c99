"""Where a broadcast stands: from its rows while they are there, and from the tallies afterwards."""

import datetime as dt
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, func, literal_column, select

from bot.outreach import tallies
from bot.outreach.broadcasts import Broadcast
from bot.store.crypto import Keyring
from bot.store.database import utc
from bot.store.tables import addresses, broadcasts, outbox, recipients

LEFT = ("sent", "delivered", "undelivered", "uncertain", "sending")  # paid for, and perhaps received
SHOWN_FROM = 11  # people: fewer could point at one
LATELY = dt.timedelta(seconds=60)
ANSWERS = dt.timedelta(hours=48)  # so long what comes in is counted as an answer
RECIPIENTS_LIFE = dt.timedelta(days=7)  # after the end
CAME_BACK = ("question", "offer", "report", "emergency", "opted_out")
_SAFETY = ("case", "watched")
_WAITING = recipients.c.status == literal_column("'waiting'")
_SKIPPED = recipients.c.status == literal_column("'skipped'")


@dataclass(frozen=True)
class Progress:
    """`left_out`: by reason, before or at the moment of sending; "safety" is a case or a silent line. `states`: of messages.
    `failures`: by the provider's code. `came_back`: by kind, within 48 hours. `forgotten`: they asked for it since."""

    size: int
    waiting: int
    left_out: Mapping[str, int]
    states: Mapping[str, int]
    failures: Mapping[str, int]
    came_back: Mapping[str, int]
    forgotten: int
    spent_vnd: int
    per_second: float

    @property
    def over(self) -> int:
        """Messages of which no more will be heard, but for receipts."""
        return sum(number for state, number in self.states.items() if state not in ("queued", "claimed", "sending"))

    @property
    def seconds_left(self) -> float | None:
        """At the pace of the last minute."""
        left = self.waiting + sum(self.states.get(state, 0) for state in ("queued", "claimed", "sending"))
        return left / self.per_second if left and self.per_second else None


def few(number: int) -> str:
    """A number that outreach staff may see of what concerns single people."""
    return str(number) if number >= SHOWN_FROM else f"<{SHOWN_FROM}"


def of(connection: Connection, broadcast: Broadcast, now: dt.datetime) -> Progress:
    kept = tallies.of(connection, broadcast.id)
    states, failures, left_out = _named(kept, "state:"), _named(kept, "failure:"), _named(kept, "left_out:")
    spent = kept.get("vnd", 0)
    for row in connection.execute(_messages(outbox.c.broadcast_id == broadcast.id)):
        states[row.status] += row.number
        spent += row.vnd if row.status in LEFT else 0
        if row.error and row.status in ("failed", "undelivered"):
            failures[row.error] += row.number
    own = recipients.c.broadcast_id == broadcast.id
    waiting = connection.execute(select(func.count()).where(own, _WAITING)).scalar_one()
    for row in connection.execute(_skipped(own)):
        left_out[row.reason] += row.number
    skipped = sum(left_out.values()) - sum(_named(kept, "left_out:").values()) + sum(_named(kept, "skipped:").values())
    left_out.update(_named(kept, "skipped:"))
    known = waiting + skipped + sum(states.values()) + kept.get("not_reached", 0)
    return Progress(
        broadcast.size, waiting, merged(left_out), +states, +failures, _named(kept, "came_back:"),
        max(0, broadcast.size - known) if broadcast.expanded_at else 0, spent, _pace(connection, broadcast.id, now),
    )  # fmt: skip


def _named(kept: Mapping[str, int], start: str) -> Counter[str]:
    return Counter({name.removeprefix(start): number for name, number in kept.items() if name.startswith(start)})


def merged(left_out: Mapping[str, int]) -> Mapping[str, int]:
    """By reason; which danger it was is nobody's business here."""
    shown = Counter({name: number for name, number in left_out.items() if name not in _SAFETY})
    shown["safety"] = sum(left_out.get(name, 0) for name in _SAFETY)
    return +shown


def shown_reasons(left_out: Mapping[str, int]) -> dict[str, str]:
    """Reason -> how many, as outreach staff may see it."""
    return {name: few(number) if name == "safety" else str(number) for name, number in merged(left_out).items()}


def _messages(which: ColumnElement[bool]) -> Any:
    return (
        select(
            outbox.c.broadcast_id, outbox.c.status, outbox.c.error,
            func.count().label("number"), func.sum(outbox.c.vnd).label("vnd"),
        )
        .where(which)
        .group_by(outbox.c.broadcast_id, outbox.c.status, outbox.c.error)
    )  # fmt: skip


def _skipped(which: ColumnElement[bool]) -> Any:
    counted = select(recipients.c.broadcast_id, recipients.c.reason, func.count().label("number"))
    return counted.where(which, _SKIPPED).group_by(recipients.c.broadcast_id, recipients.c.reason)


def _pace(connection: Connection, broadcast_id: str, now: dt.datetime) -> float:
    lately = (outbox.c.done_at > now - LATELY, outbox.c.broadcast_id == broadcast_id, outbox.c.status.in_(LEFT))
    number = connection.execute(select(func.count()).where(*lately)).scalar_one()
    return float(number / LATELY.total_seconds())


# -- one by one --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Receipt:
    """What became of one message. `masked`: nobody is known by it."""

    masked: str
    channel: str
    status: str
    error: str | None
    at: dt.datetime


def receipts(
    connection: Connection, keyring: Keyring, broadcast_id: str, *, states: tuple[str, ...], limit: int, offset: int
) -> list[Receipt]:
    """The newest first; empty `states`: all. They are there for 48 hours."""
    wanted = select(outbox, addresses.c.sealed_identifier).join(addresses, addresses.c.id == outbox.c.address_id)
    wanted = wanted.where(outbox.c.broadcast_id == broadcast_id)
    if states:
        wanted = wanted.where(outbox.c.status.in_(states))
    newest = func.coalesce(outbox.c.done_at, outbox.c.created_at)
    rows = connection.execute(wanted.order_by(newest.desc(), outbox.c.id).limit(limit).offset(offset))
    return [
        Receipt(
            mask(keyring.open(row.sealed_identifier, f"addresses|{row.address_id}|sealed_identifier")),
            row.channel, row.status, row.error, utc(row.done_at or row.created_at),
        )
        for row in rows
    ]  # fmt: skip


def mask(identifier: str) -> str:
    """The last two figures, enough to tell a complaint from another."""
    return f"•••{identifier[-2:]}"


# -- what comes back ---------------------------------------------------------------------------------------------------


def note_answer(connection: Connection, address_id: str, kind: str, now: dt.datetime) -> None:
    """Counts what somebody wrote for the last alert that they got."""
    if kind not in CAME_BACK:
        return
    last = (
        select(outbox.c.broadcast_id)
        .where(
            outbox.c.address_id == address_id,
            outbox.c.broadcast_id.is_not(None),
            outbox.c.status.in_(LEFT),
            outbox.c.done_at > now - ANSWERS,
        )
        .order_by(outbox.c.done_at.desc())
        .limit(1)
    )
    if broadcast_id := connection.execute(last).scalar():
        tallies.add(connection, broadcast_id, {f"came_back:{kind}": 1})


# -- before rows go ----------------------------------------------------------------------------------------------------


def keep_figures(connection: Connection, before: dt.datetime) -> None:
    """Counts the messages that are about to be deleted: those that ended before."""
    ending = and_(outbox.c.broadcast_id.is_not(None), outbox.c.done_at < before)
    counted: list[tuple[str, str, int]] = []
    for row in connection.execute(_messages(ending)):
        counted.append((row.broadcast_id, f"state:{row.status}", row.number))
        if row.status in LEFT:
            counted.append((row.broadcast_id, "vnd", row.vnd))
        if row.error and row.status in ("failed", "undelivered"):
            counted.append((row.broadcast_id, f"failure:{row.error}"[:40], row.number))
    tallies.add_all(connection, _summed(counted))


def forget_recipients(connection: Connection, before: dt.datetime) -> int:
    """Who got an alert that ended before is counted and forgotten; how many."""
    over = select(broadcasts.c.id).where(
        broadcasts.c.status.in_([literal_column("'done'"), literal_column("'cancelled'")]),
        broadcasts.c.done_at < before,
    )
    ending = recipients.c.broadcast_id.in_(over)
    skipped = connection.execute(_skipped(ending)).all()
    tallies.add_all(connection, ((row.broadcast_id, f"skipped:{row.reason}", row.number) for row in skipped))
    missed = select(recipients.c.broadcast_id, func.count()).where(ending, _WAITING).group_by(recipients.c.broadcast_id)
    rows = connection.execute(missed).all()
    tallies.add_all(connection, ((broadcast_id, "not_reached", number) for broadcast_id, number in rows))
    return connection.execute(delete(recipients).where(ending)).rowcount


def _summed(counted: list[tuple[str, str, int]]) -> list[tuple[str, str, int]]:
    sums: Counter[tuple[str, str]] = Counter()
    for broadcast_id, name, number in counted:
        sums[broadcast_id, name] += number
    return [(broadcast_id, name, number) for (broadcast_id, name), number in sums.items()]
