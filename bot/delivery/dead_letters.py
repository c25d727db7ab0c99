"""What arrived and could not be read: set aside, sealed, for a person to look at and to play again."""

import datetime as dt
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, select, update

from bot.store.crypto import Keyring
from bot.store.database import insert_unless_there, new_id, utc
from bot.store.tables import dead_letters


@dataclass(frozen=True)
class DeadLetter:
    """`body` as it came; only `opened` letters have it."""

    id: str
    channel: str
    reason: str
    received_at: dt.datetime
    replayed_at: dt.datetime | None
    body: str = ""


def keep(
    connection: Connection,
    keyring: Keyring,
    *,
    channel: str,
    external_id: str,
    reason: str,
    body: str,
    now: dt.datetime,
) -> bool:
    """Whether it is new: the same one twice is one letter."""
    row_id = new_id()
    row = {
        "id": row_id,
        "channel": channel,
        "external_id": external_id,
        "reason": reason,
        "sealed_body": keyring.seal(body, _place(row_id)),
        "received_at": now,
    }
    return insert_unless_there(connection, dead_letters, row)


def waiting(connection: Connection) -> list[DeadLetter]:
    """Those that nobody has played again, the oldest first, without their bodies."""
    rows = connection.execute(
        select(dead_letters).where(dead_letters.c.replayed_at.is_(None)).order_by(dead_letters.c.received_at)
    )
    return [_letter(row) for row in rows]


def opened(connection: Connection, keyring: Keyring, start_of_id: str) -> DeadLetter | None:
    """The one letter whose id begins so."""
    rows = connection.execute(select(dead_letters).where(dead_letters.c.id.startswith(start_of_id))).all()
    return _letter(rows[0], keyring.open(rows[0].sealed_body, _place(rows[0].id))) if len(rows) == 1 else None


def close(connection: Connection, letter: DeadLetter, now: dt.datetime) -> None:
    connection.execute(update(dead_letters).where(dead_letters.c.id == letter.id).values(replayed_at=now))


def purge(connection: Connection, before: dt.datetime) -> int:
    return connection.execute(delete(dead_letters).where(dead_letters.c.received_at < before)).rowcount


def _letter(row: Any, body: str = "") -> DeadLetter:
    replayed = utc(row.replayed_at) if row.replayed_at else None
    return DeadLetter(row.id, row.channel, row.reason, utc(row.received_at), replayed, body)


def _place(row_id: str) -> str:
    return f"dead_letters|{row_id}|sealed_body"
