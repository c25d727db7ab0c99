"""From an audience to recipients, a row a person, in steps that may die and run twice. bot/jobs.py drives them."""

import datetime as dt
import logging
from collections.abc import Callable

from sqlalchemy import ColumnElement, Connection, select, update

from bot.errors import OutreachError
from bot.outreach import tallies
from bot.outreach.audience import STEP, write_stretch
from bot.outreach.broadcasts import Broadcast, change, read_row
from bot.outreach.terms import Limits
from bot.store.crypto import Keyring
from bot.store.database import Database
from bot.store.tables import broadcasts

LOST_AFTER = dt.timedelta(seconds=15)  # without a step: then whoever drove it is gone

log = logging.getLogger("banduong")


def due(connection: Connection, now: dt.datetime) -> list[str]:
    """The ids of broadcasts whose audience is to be gone through, and with which nobody is busy."""
    lost = broadcasts.c.moved_at.is_(None) | (broadcasts.c.moved_at < now - LOST_AFTER)
    wanted = select(broadcasts.c.id).where(*_wanted(now), lost).order_by(broadcasts.c.starts_at)
    return list(connection.execute(wanted).scalars())


def _wanted(now: dt.datetime) -> tuple[ColumnElement[bool], ...]:
    return broadcasts.c.status == "scheduled", broadcasts.c.expanded_at.is_(None), broadcasts.c.starts_at <= now


def take_step(
    database: Database, limits: Limits, clock: Callable[[], dt.datetime], broadcast_id: str, step: int = STEP
) -> bool:
    """Whether there is more to do."""
    with database.begin() as connection:
        now = clock()
        wanted = select(broadcasts).where(broadcasts.c.id == broadcast_id, *_wanted(now))
        row = connection.execute(wanted.with_for_update()).first()
        if row is None:
            return False
        try:
            found = read_row(database.keyring, row)
        except OutreachError as error:
            stop_tampered(connection, broadcast_id, now, error)
            return False
        return _go_on(connection, database.keyring, found, limits, now, step)


def _go_on(
    connection: Connection, keyring: Keyring, found: Broadcast, limits: Limits, now: dt.datetime, step: int
) -> bool:
    assert found.starts_at
    if found.plan.valid_until <= now:
        change(connection, found.id, status="done", why="expired", done_at=now)
        return False
    stretch = write_stretch(
        connection, keyring, found.plan.audience, found.id, found.cursor, found.starts_at, now, step
    )
    tallies.add(connection, found.id, {f"left_out:{reason}": number for reason, number in stretch.left_out.items()})
    so_far = stretch.added + (found.size if found.cursor else 0)
    values: dict[str, object] = {"cursor": stretch.cursor or found.cursor, "moved_at": now, "size": so_far}
    if stretch.cursor is None:
        values |= {"expanded_at": now} | _state_after(found, so_far, limits, now)
    change(connection, found.id, **values)
    return stretch.cursor is not None


def _state_after(found: Broadcast, size: int, limits: Limits, now: dt.datetime) -> dict[str, object]:
    """Whoever approved none has seen a small number: it may have grown since."""
    if size == 0:
        return {"status": "done", "why": "nobody", "done_at": now}
    if size > limits.approve_above and not found.approved_by and not found.schedule_id:
        return {"status": "waiting", "why": "grown"}
    return {}


def stop_tampered(connection: Connection, broadcast_id: str, now: dt.datetime, error: OutreachError) -> None:
    log.error("a broadcast was stopped: its row is not the one that was approved (%s)", error.why)
    connection.execute(
        update(broadcasts).where(broadcasts.c.id == broadcast_id).values(status="cancelled", why=error.why, done_at=now)
    )
