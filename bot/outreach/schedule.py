"""Alerts that come again: approved once, made anew at each of their times. bot/jobs.py tells when."""

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, insert, select, update
from sqlalchemy.engine import Row

from bot import audit
from bot.errors import OutreachError
from bot.outreach import broadcasts
from bot.outreach.audience import Audience
from bot.outreach.broadcasts import Plan
from bot.outreach.words import Words
from bot.store.crypto import Keyring
from bot.store.database import new_id, utc
from bot.store.tables import broadcasts as broadcast_rows
from bot.store.tables import schedules

LONGEST = dt.timedelta(days=366)  # then somebody looks at it again


@dataclass(frozen=True)
class Repetition:
    """Everything that a second person approves. `cron`: five fields, by the clock of Viet Nam. `valid_for`: of each alert."""

    words: Words
    audience: Audience
    cron: str
    valid_for: dt.timedelta
    ends_at: dt.datetime
    budget_vnd: int = 0  # of each

    def to_json(self) -> dict[str, Any]:
        return {
            "words": self.words.to_json(),
            "audience": self.audience.to_json(),
            "minutes": int(self.valid_for.total_seconds() // 60),
            "budget_vnd": self.budget_vnd,
        }


@dataclass(frozen=True)
class Schedule:
    id: str
    status: str
    repetition: Repetition
    digest: str
    author_id: str
    approved_by: str | None
    created_at: dt.datetime

    def __repr__(self) -> str:
        return f"Schedule({self.id!r}, {self.status!r})"


def write(connection: Connection, keyring: Keyring, wanted: Repetition, by: str, now: dt.datetime) -> Schedule:
    """It waits for a second person, however small its audience is: nobody counts it each time."""
    if not now < wanted.ends_at <= now + LONGEST:
        raise OutreachError("too_long")
    schedule_id = new_id()
    content = json.dumps(wanted.to_json(), ensure_ascii=False)
    connection.execute(
        insert(schedules).values(
            id=schedule_id, status="waiting", cron=wanted.cron, ends_at=wanted.ends_at, author_id=by, created_at=now,
            sealed_content=keyring.seal(content, _place(schedule_id)), digest=keyring.proof(_signed(schedule_id, wanted)),
        )
    )  # fmt: skip
    written = lock(connection, keyring, schedule_id)
    _record(connection, keyring, written, "schedule_written", by, now)
    return written


def approve(
    connection: Connection, keyring: Keyring, schedule_id: str, digest: str, by: str, now: dt.datetime
) -> Schedule:
    waiting = lock(connection, keyring, schedule_id)
    if waiting.status != "waiting":
        raise OutreachError(waiting.status)
    if by == waiting.author_id:
        raise OutreachError("own")
    if digest != waiting.digest:
        raise OutreachError("changed")
    _change(connection, schedule_id, status="active", approved_by=by)
    _record(connection, keyring, waiting, "schedule_approved", by, now)
    return lock(connection, keyring, schedule_id)


def set_status(
    connection: Connection, keyring: Keyring, schedule_id: str, status: str, by: str, now: dt.datetime
) -> Schedule:
    """Paused, active again, or ended for good."""
    found = lock(connection, keyring, schedule_id)
    allowed = {"paused": ("active",), "active": ("paused",), "ended": ("waiting", "active", "paused")}
    if found.status not in allowed[status]:
        raise OutreachError(found.status)
    _change(connection, schedule_id, status=status)
    _record(connection, keyring, found, f"schedule_{status}", by, now)
    return lock(connection, keyring, schedule_id)


def come(connection: Connection, keyring: Keyring, schedule_id: str, moment: dt.datetime, now: dt.datetime) -> bool:
    """Makes the broadcast of this moment, once; whether there is one to make."""
    found = lock(connection, keyring, schedule_id)
    wanted = found.repetition
    if found.status != "active" or wanted.ends_at <= moment or now >= moment + wanted.valid_for:
        return False
    made = (broadcast_rows.c.schedule_id == schedule_id, broadcast_rows.c.due_at == moment)
    if connection.execute(select(broadcast_rows.c.id).where(*made)).first():
        return False
    plan = Plan(wanted.words, wanted.audience, moment + wanted.valid_for, wanted.budget_vnd)
    fresh = broadcasts.write(connection, keyring, plan, None, now)
    broadcasts.change(
        connection, fresh.id, status="scheduled", schedule_id=schedule_id, due_at=moment, starts_at=max(moment, now),
        submitted_at=now, approved_by=found.approved_by, approved_at=now,
    )  # fmt: skip
    return True


def active(connection: Connection, now: dt.datetime) -> dict[str, str]:
    """The ids of schedules that are to come round -> their times."""
    rows = connection.execute(select(schedules).where(schedules.c.status == "active", schedules.c.ends_at > now))
    return {row.id: row.cron for row in rows}


def all_schedules(connection: Connection, keyring: Keyring) -> list[Schedule]:
    rows = connection.execute(select(schedules).order_by(schedules.c.created_at.desc()))
    return [_read(keyring, row) for row in rows]


def listed(connection: Connection, keyring: Keyring) -> list[Schedule | None]:
    """The newest first; None for what somebody changed without approval."""
    rows = connection.execute(select(schedules).order_by(schedules.c.created_at.desc()))
    return [_read_or_none(keyring, row) for row in rows]


def _read_or_none(keyring: Keyring, row: Row[Any]) -> Schedule | None:
    try:
        return _read(keyring, row)
    except OutreachError:
        return None


def waiting_for(connection: Connection, staff_id: str) -> int:
    """How many wait for this person's yes."""
    wanted = select(func.count()).select_from(schedules)
    return connection.execute(
        wanted.where(schedules.c.status == "waiting", schedules.c.author_id != staff_id)
    ).scalar_one()


def lock(connection: Connection, keyring: Keyring, schedule_id: str) -> Schedule:
    row = connection.execute(select(schedules).where(schedules.c.id == schedule_id).with_for_update()).first()
    if row is None:
        raise OutreachError("unknown")
    return _read(keyring, row)


def _read(keyring: Keyring, row: Row[Any]) -> Schedule:
    content = json.loads(keyring.open(row.sealed_content, _place(row.id)))
    wanted = _repetition_of(content, row.cron, utc(row.ends_at))
    if not keyring.proves(row.digest, _signed(row.id, wanted)):
        raise OutreachError("tampered")
    return Schedule(row.id, row.status, wanted, row.digest, row.author_id, row.approved_by, utc(row.created_at))


def _repetition_of(content: Mapping[str, Any], cron: str, ends_at: dt.datetime) -> Repetition:
    words, audience = Words.from_json(content["words"]), Audience.from_json(content["audience"])
    return Repetition(words, audience, cron, dt.timedelta(minutes=content["minutes"]), ends_at, content["budget_vnd"])


def _signed(schedule_id: str, wanted: Repetition) -> str:
    terms = [schedule_id, wanted.cron, wanted.ends_at.isoformat(), wanted.to_json()]
    return f"schedules|{json.dumps(terms, ensure_ascii=False, sort_keys=True)}"


def _place(schedule_id: str) -> str:
    return f"schedules|{schedule_id}|sealed_content"


def _change(connection: Connection, schedule_id: str, **values: Any) -> None:
    connection.execute(update(schedules).where(schedules.c.id == schedule_id).values(**values))


def _record(
    connection: Connection, keyring: Keyring, schedule: Schedule, action: str, by: str, now: dt.datetime
) -> None:
    audit.record(connection, keyring, actor=by, action=action, now=now, digest=schedule.digest)
