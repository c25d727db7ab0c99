"""Broadcasts: written by one person, approved by another, sent, paused, ended. Every change of state is here, and in the audit.

draft -> waiting (for a second person) -> scheduled -> running <-> paused -> done; cancelled from everywhere but done.
"""

import datetime as dt
import json
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, func, insert, select, update
from sqlalchemy.engine import Row

from bot import audit
from bot.errors import OutreachError
from bot.outreach.audience import Audience
from bot.outreach.terms import Limits
from bot.outreach.words import Words
from bot.store.crypto import Keyring
from bot.store.database import new_id, utc
from bot.store.tables import broadcasts, outbox

_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # that nobody mistakes for each other
CLOCK = "clock"
OPEN = ("scheduled", "running", "paused")
_DAY = dt.timedelta(hours=24)


@dataclass(frozen=True)
class Plan:
    """Everything that a second person approves. `starts_at` None: as soon as it may."""

    words: Words
    audience: Audience
    valid_until: dt.datetime
    budget_vnd: int = 0
    urgent: bool = False
    starts_at: dt.datetime | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "words": self.words.to_json(),
            "audience": self.audience.to_json(),
            "starts_at": self.starts_at.isoformat() if self.starts_at else None,
        }


@dataclass(frozen=True)
class Broadcast:
    id: str
    reference: str
    status: str
    why: str | None
    plan: Plan
    digest: str
    author_id: str | None
    created_at: dt.datetime
    submitted_at: dt.datetime | None
    approved_by: str | None
    approved_at: dt.datetime | None
    starts_at: dt.datetime | None
    reserved_vnd: int
    cursor: str | None
    expanded_at: dt.datetime | None
    size: int
    schedule_id: str | None
    done_at: dt.datetime | None

    def __repr__(self) -> str:
        return f"Broadcast({self.reference!r}, {self.status!r})"


# -- reading -----------------------------------------------------------------------------------------------------------


def find(connection: Connection, keyring: Keyring, reference: str) -> Broadcast | None:
    row = connection.execute(select(broadcasts).where(broadcasts.c.reference == reference.strip().upper())).first()
    return read_row(keyring, row) if row else None


def lock(connection: Connection, keyring: Keyring, broadcast_id: str) -> Broadcast:
    """For this transaction alone. OutreachError where it is gone, or its row is not the one that was written."""
    wanted = select(broadcasts).where(broadcasts.c.id == broadcast_id).with_for_update()
    row = connection.execute(wanted).first()
    if row is None:
        raise OutreachError("unknown")
    return read_row(keyring, row)


def newest(connection: Connection, keyring: Keyring, *, limit: int = 50, offset: int = 0) -> list[Broadcast]:
    wanted = select(broadcasts).order_by(broadcasts.c.created_at.desc()).limit(limit).offset(offset)
    return [read_row(keyring, row) for row in connection.execute(wanted)]


def listed(
    connection: Connection, keyring: Keyring, statuses: Collection[str], *, limit: int, offset: int = 0
) -> list[tuple[str, Broadcast | None]]:
    """References in these states, the newest first; None for what somebody changed without approval."""
    wanted = select(broadcasts).where(broadcasts.c.status.in_(statuses)).order_by(broadcasts.c.created_at.desc())
    rows = connection.execute(wanted.limit(limit).offset(offset))
    return [(row.reference, _read_or_none(keyring, row)) for row in rows]


def _read_or_none(keyring: Keyring, row: Row[Any]) -> Broadcast | None:
    try:
        return read_row(keyring, row)
    except OutreachError:
        return None


def count(connection: Connection, statuses: Collection[str], *, not_by: str | None = None) -> int:
    """How many are in these states; `not_by`: leaving out somebody's own."""
    wanted = select(func.count()).select_from(broadcasts).where(broadcasts.c.status.in_(statuses))
    if not_by:
        wanted = wanted.where(broadcasts.c.author_id.is_distinct_from(not_by))
    return connection.execute(wanted).scalar_one()


def read_row(keyring: Keyring, row: Row[Any]) -> Broadcast:
    """OutreachError("tampered") where somebody changed what was approved."""
    content = json.loads(keyring.open(row.sealed_content, _place(row.id)))
    plan = _plan_of(content, utc(row.valid_until), row.budget_vnd, urgent=row.urgent)
    if not keyring.proves(row.digest, _signed(row.id, plan)):
        raise OutreachError("tampered")
    return Broadcast(
        row.id, row.reference, row.status, row.why, plan, row.digest, row.author_id, utc(row.created_at),
        _moment(row.submitted_at), row.approved_by, _moment(row.approved_at), _moment(row.starts_at), row.reserved_vnd,
        row.cursor, _moment(row.expanded_at), row.size, row.schedule_id, _moment(row.done_at),
    )  # fmt: skip


def _plan_of(content: Mapping[str, Any], valid_until: dt.datetime, budget_vnd: int, *, urgent: bool) -> Plan:
    starts_at = content["starts_at"] and dt.datetime.fromisoformat(content["starts_at"])
    words, audience = Words.from_json(content["words"]), Audience.from_json(content["audience"])
    return Plan(words, audience, valid_until, budget_vnd, urgent, starts_at)


def _signed(broadcast_id: str, plan: Plan) -> str:
    """What the digest is of."""
    terms = [broadcast_id, plan.valid_until.isoformat(), plan.budget_vnd, plan.urgent, plan.to_json()]
    return f"broadcasts|{json.dumps(terms, ensure_ascii=False, sort_keys=True)}"


def _place(broadcast_id: str) -> str:
    return f"broadcasts|{broadcast_id}|sealed_content"


def _moment(moment: dt.datetime | None) -> dt.datetime | None:
    return utc(moment) if moment else None


# -- writing -----------------------------------------------------------------------------------------------------------


def write(connection: Connection, keyring: Keyring, plan: Plan, by: str | None, now: dt.datetime) -> Broadcast:
    """A new draft. `by`: a staff id; None for a schedule."""
    broadcast_id = new_id()
    row = {
        "id": broadcast_id,
        "reference": "".join(secrets.choice(_LETTERS) for _ in range(8)),
        "status": "draft",
        "author_id": by,
        "created_at": now,
    }
    connection.execute(insert(broadcasts).values(row | _columns(keyring, broadcast_id, plan)))
    return lock(connection, keyring, broadcast_id)


def rewrite(connection: Connection, keyring: Keyring, broadcast_id: str, plan: Plan) -> Broadcast:
    """Another text for a draft. Whoever changes it answers for it as its author does."""
    _in_state(connection, keyring, broadcast_id, "draft")
    change(connection, broadcast_id, **_columns(keyring, broadcast_id, plan))
    return lock(connection, keyring, broadcast_id)


def copy(
    connection: Connection, keyring: Keyring, broadcast_id: str, valid_until: dt.datetime, by: str, now: dt.datetime
) -> Broadcast:
    """A draft of the same words for the same people."""
    old = lock(connection, keyring, broadcast_id)
    return write(connection, keyring, replace(old.plan, valid_until=valid_until, starts_at=None), by, now)


def _columns(keyring: Keyring, broadcast_id: str, plan: Plan) -> dict[str, Any]:
    return {
        "sealed_content": keyring.seal(json.dumps(plan.to_json(), ensure_ascii=False), _place(broadcast_id)),
        "digest": keyring.proof(_signed(broadcast_id, plan)),
        "urgent": plan.urgent,
        "valid_until": plan.valid_until,
        "budget_vnd": plan.budget_vnd,
    }


def change(connection: Connection, broadcast_id: str, **values: Any) -> None:
    connection.execute(update(broadcasts).where(broadcasts.c.id == broadcast_id).values(**values))


# -- from draft to its start -------------------------------------------------------------------------------------------


def submit(
    connection: Connection, keyring: Keyring, broadcast_id: str, people: int, limits: Limits, by: str, now: dt.datetime
) -> Broadcast:
    """Off to the second person, or to its start where none is needed. `people`: how many it is for, as counted just now."""
    draft = _in_state(connection, keyring, broadcast_id, "draft")
    if draft.plan.valid_until <= now:
        raise OutreachError("expired")
    _within_limits(connection, people, limits, by, now)
    values: dict[str, Any] = {"submitted_at": now, "author_id": by, "size": people}
    if needs_approval(draft.plan, people, limits):
        values |= {"status": "waiting"}
    else:
        values |= {"status": "scheduled", "starts_at": _start(draft.plan, limits, now)}
    change(connection, broadcast_id, **values)
    _record(connection, keyring, draft, "alert_submitted", by, now)
    return lock(connection, keyring, broadcast_id)


def needs_approval(plan: Plan, people: int, limits: Limits) -> bool:
    return plan.urgent or people > limits.approve_above


def _within_limits(connection: Connection, people: int, limits: Limits, by: str, now: dt.datetime) -> None:
    today = (broadcasts.c.author_id == by, broadcasts.c.submitted_at > now - _DAY)
    number, reached = connection.execute(
        select(func.count(), func.coalesce(func.sum(broadcasts.c.size), 0)).where(*today)
    ).one()
    if number >= limits.a_day:
        raise OutreachError("too_many_today")
    if reached + people > limits.people_a_day:
        raise OutreachError("too_many_people")


def _start(plan: Plan, limits: Limits, now: dt.datetime) -> dt.datetime:
    earliest = now + limits.cancel_window
    return max(earliest, plan.starts_at) if plan.starts_at else earliest


def approve(
    connection: Connection, keyring: Keyring, broadcast_id: str, digest: str, limits: Limits, by: str, now: dt.datetime
) -> Broadcast:
    """The second person's yes to what they saw: `digest` is that of the page."""
    waiting = _in_state(connection, keyring, broadcast_id, "waiting")
    if by == waiting.author_id:
        raise OutreachError("own")
    if digest != waiting.digest:
        raise OutreachError("changed")
    if waiting.plan.valid_until <= now:
        raise OutreachError("expired")
    change(
        connection, broadcast_id, status="scheduled", why=None, approved_by=by, approved_at=now,
        starts_at=_start(waiting.plan, limits, now),
    )  # fmt: skip
    _record(connection, keyring, waiting, "alert_approved", by, now)
    return lock(connection, keyring, broadcast_id)


def send_back(connection: Connection, keyring: Keyring, broadcast_id: str, by: str, now: dt.datetime) -> Broadcast:
    """A draft again: the second person says no, or the author thinks better of it. Not once its audience is being gone through."""
    waiting = _in_state(connection, keyring, broadcast_id, "waiting", "scheduled")
    if waiting.cursor:
        raise OutreachError("begun")
    change(
        connection, broadcast_id, status="draft", submitted_at=None, approved_by=None, approved_at=None, starts_at=None
    )
    _record(connection, keyring, waiting, "alert_sent_back", by, now)
    return lock(connection, keyring, broadcast_id)


# -- while it runs -----------------------------------------------------------------------------------------------------


def pause(
    connection: Connection, keyring: Keyring, broadcast_id: str, by: str, now: dt.datetime, why: str | None = None
) -> Broadcast:
    """Nothing more leaves from this commit on but what a provider has been asked to take."""
    running = _in_state(connection, keyring, broadcast_id, "scheduled", "running")
    change(connection, broadcast_id, status="paused", why=why)
    _record(connection, keyring, running, "alert_paused", by, now)
    return lock(connection, keyring, broadcast_id)


def resume(connection: Connection, keyring: Keyring, broadcast_id: str, by: str, now: dt.datetime) -> Broadcast:
    paused = _in_state(connection, keyring, broadcast_id, "paused")
    if paused.plan.valid_until <= now:
        raise OutreachError("expired")
    change(connection, broadcast_id, status="scheduled", why=None)
    _record(connection, keyring, paused, "alert_resumed", by, now)
    return lock(connection, keyring, broadcast_id)


def raise_budget(
    connection: Connection, keyring: Keyring, broadcast_id: str, budget_vnd: int, by: str, now: dt.datetime
) -> Broadcast:
    """A second person's: it is what the first one had approved that changes."""
    paused = _in_state(connection, keyring, broadcast_id, "paused")
    if by == paused.author_id:
        raise OutreachError("own")
    if budget_vnd < paused.reserved_vnd:
        raise OutreachError("spent")
    plan = replace(paused.plan, budget_vnd=budget_vnd)
    change(connection, broadcast_id, approved_by=by, approved_at=now, **_columns(keyring, broadcast_id, plan))
    _record(connection, keyring, lock(connection, keyring, broadcast_id), "alert_budget", by, now)
    return lock(connection, keyring, broadcast_id)


def cancel(
    connection: Connection, keyring: Keyring, broadcast_id: str, by: str, now: dt.datetime, why: str | None = None
) -> Broadcast:
    """For good, and at once."""
    old = _in_state(connection, keyring, broadcast_id, "draft", "waiting", *OPEN)
    change(connection, broadcast_id, status="cancelled", why=why, done_at=now)
    waiting = (outbox.c.broadcast_id == broadcast_id, outbox.c.status.in_(["queued", "claimed"]))
    connection.execute(
        update(outbox)
        .where(*waiting)
        .values(status="cancelled", error="broadcast", done_at=now, owner=None, lease_until=None)
    )
    _record(connection, keyring, old, "alert_cancelled", by, now)
    return lock(connection, keyring, broadcast_id)


def _in_state(connection: Connection, keyring: Keyring, broadcast_id: str, *states: str) -> Broadcast:
    found = lock(connection, keyring, broadcast_id)
    if found.status not in states:
        raise OutreachError(found.status)
    return found


def _record(
    connection: Connection, keyring: Keyring, broadcast: Broadcast, action: str, by: str, now: dt.datetime
) -> None:
    audit.record(connection, keyring, actor=by, action=action, now=now, digest=broadcast.digest)
