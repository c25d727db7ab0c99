"""Who did what, as one chain of rows: each carries a keyed digest (HMAC-SHA-256) of itself and of the row before.

A row that is changed, inserted or taken out breaks the chain, also at its beginning. Cutting off its end does not, so the head (position and digest)
belongs outside, once a day: `banduong audit head`. The key is derived from the keyring, which is not in the database. No row holds
content: of what was sealed there is only a digest, so the chain outlives an erasure.
"""

import datetime as dt
import hmac
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from bot.store.crypto import Keyring
from bot.store.database import insert_unless_there, utc
from bot.store.tables import audit, audit_head

LIFE = dt.timedelta(days=730)  # D-13
_HEAD, _START, _PURGED = "head", "start", "audit_purged"
_AT_ONCE = 1000  # rows that are read together


@dataclass(frozen=True)
class Head:
    """The end of the chain. Equal positions with unequal digests: one of the two was forged."""

    position: int
    mac: str

    def __str__(self) -> str:
        return f"{self.position}:{self.mac}"

    @classmethod
    def read(cls, written: str) -> "Head":
        """What `str` wrote; ValueError for anything else."""
        position, _, mac = written.strip().partition(":")
        if not re.fullmatch(r"[0-9a-f]{64}", mac) and (position, mac) != ("0", ""):
            raise ValueError("an anchor is POSITION:MAC, as `banduong audit head` prints it")
        return cls(int(position), mac)


@dataclass(frozen=True)
class Entry:
    position: int
    at: dt.datetime
    actor: str
    action: str
    case_id: str | None
    subject: str | None


@dataclass(frozen=True)
class Verdict:
    """`broken_at`: the first position that does not follow from the one before; None where the chain is whole."""

    rows: int
    broken_at: int | None
    head: Head


def record(
    connection: Connection,
    keyring: Keyring,
    *,
    actor: str,
    action: str,
    now: dt.datetime,
    case_id: str | None = None,
    subject: str | None = None,
    digest: str = "",
) -> int:
    """Adds one row and returns its position. `actor`: a staff id, "bot", "person", "clock" or "command line"."""
    last = _locked_head(connection)
    row = {
        "position": last.position + 1, "at": now, "actor": actor, "action": action, "case_id": case_id,
        "subject": subject, "digest": digest,
    }  # fmt: skip
    mac = _mac(_key(keyring), row, last.mac)
    connection.execute(insert(audit), {**row, "mac": mac})
    connection.execute(_MOVE_HEAD, {"position": last.position + 1, "mac": mac})
    return last.position + 1


def head(connection: Connection) -> Head:
    return _named(connection, _HEAD) or Head(0, "")


def _named(connection: Connection, name: str) -> Head | None:
    row = connection.execute(select(audit_head).where(audit_head.c.name == name)).first()
    return Head(row.position, row.mac) if row else None


def verify(connection: Connection, keyring: Keyring, anchor: Head | None = None) -> Verdict:
    """Reads the whole chain again, in `Database.read`: so long nobody may be kept from writing, and nothing may come in between.
    `anchor`: a head that was kept outside; the chain must still run through it."""
    end, key = head(connection), _key(keyring)  # the end first: rows may be added while we read
    start = _named(connection, _START)
    before, rows, begun = start or Head(0, ""), 0, start is None
    marks = {mark.position: mark.mac for mark in (anchor, end) if mark and mark.position > before.position}
    for row in _rows(connection, before.position):
        expected = _mac(key, row._mapping, before.mac)
        follows = row.position == before.position + 1 and hmac.compare_digest(row.mac, expected)
        if not follows or marks.pop(row.position, row.mac) != row.mac:
            return Verdict(rows, before.position + 1, end)
        before, rows = Head(row.position, row.mac), rows + 1
        begun = begun or (row.action == _PURGED and row.digest == _of_start(start))
    whole = begun and not marks and before.position <= head(connection).position
    return Verdict(rows, None if whole else before.position + 1, end)


@dataclass(frozen=True)
class Wish:
    """Which rows are looked for; None: any."""

    actor: str | None = None
    action: str | None = None
    case_id: str | None = None
    since: dt.datetime | None = None
    until: dt.datetime | None = None

    def where(self) -> list[Any]:
        equal = {"actor": self.actor, "action": self.action, "case_id": self.case_id}
        found: list[Any] = [audit.c[name] == value for name, value in equal.items() if value is not None]
        if self.since:
            found.append(audit.c.at >= self.since)
        if self.until:
            found.append(audit.c.at < self.until)
        return found


def entries(connection: Connection, wish: Wish, *, limit: int = 50, offset: int = 0) -> list[Entry]:
    """The newest first."""
    query = select(audit).where(*wish.where()).order_by(audit.c.position.desc()).limit(limit).offset(offset)
    return [_entry(row) for row in connection.execute(query)]


def count(connection: Connection, wish: Wish) -> int:
    query = select(func.count()).select_from(audit).where(*wish.where())
    return int(connection.execute(query).scalar_one())


def links_of(connection: Connection, case_id: str) -> list[dict[str, object]]:
    """The rows of one case as they are chained, with their digests and macs, in order."""
    rows = connection.execute(select(audit).where(audit.c.case_id == case_id).order_by(audit.c.position))
    return [{**row._mapping, "at": utc(row.at).isoformat()} for row in rows]


def since(connection: Connection, position: int, limit: int = 500) -> list[Entry]:
    """What was written after this position, in order."""
    query = select(audit).where(audit.c.position > position).order_by(audit.c.position).limit(limit)
    return [_entry(row) for row in connection.execute(query)]


def digests_of(connection: Connection, actions: Sequence[str], since: dt.datetime) -> set[str]:
    """Of what was done since then in one of these ways."""
    query = select(audit.c.digest).where(audit.c.at >= since, audit.c.action.in_(actions))
    return set(connection.execute(query).scalars())


def period(connection: Connection, since: dt.datetime, until: dt.datetime) -> Iterator[Entry]:
    """What was written from one moment to another, in order."""
    query = select(audit).where(audit.c.at >= since, audit.c.at <= until).order_by(audit.c.position)
    yield from (_entry(row) for row in connection.execute(query))


def purge(connection: Connection, keyring: Keyring, before: dt.datetime, now: dt.datetime) -> int:
    """Takes away what is older; where the chain then begins is kept, and stands in the chain itself: nobody else can cut off its
    beginning. How many rows."""
    last = connection.execute(
        select(audit).where(audit.c.at < before).order_by(audit.c.position.desc()).limit(1)
    ).first()
    if last is None:
        return 0
    mark = {"name": _START, "position": last.position, "mac": last.mac}
    if not insert_unless_there(connection, audit_head, mark):
        connection.execute(update(audit_head).where(audit_head.c.name == _START).values(mark))
    digest = _of_start(Head(last.position, last.mac))
    record(connection, keyring, actor="clock", action=_PURGED, digest=digest, now=now)
    return connection.execute(delete(audit).where(audit.c.position <= last.position)).rowcount


def _of_start(start: Head | None) -> str:
    return sha256(str(start).encode()).hexdigest()


_MOVE_HEAD = update(audit_head).where(audit_head.c.name == _HEAD)
_LOCK_HEAD = select(audit_head).where(audit_head.c.name == _HEAD).with_for_update()


def _locked_head(connection: Connection) -> Head:
    """The end of the chain, held for the rest of the transaction."""
    row = connection.execute(_LOCK_HEAD).first()
    if row is None:
        insert_unless_there(connection, audit_head, {"name": _HEAD, "position": 0, "mac": ""})
        row = connection.execute(_LOCK_HEAD).one()
    return Head(row.position, row.mac)


def _key(keyring: Keyring) -> bytes:
    return keyring.derived("audit").encode()


def _mac(key: bytes, row: Any, before: str) -> str:
    at = utc(row["at"]).astimezone(dt.UTC).isoformat()
    fields = [row[name] for name in ("position", "actor", "action", "case_id", "subject", "digest")]
    written = json.dumps([before, at, *fields], ensure_ascii=False, separators=(",", ":"))
    return hmac.digest(key, written.encode(), "sha256").hex()


def _rows(connection: Connection, after: int) -> Iterator[Any]:
    while rows := _page(connection, after):
        yield from rows
        after = rows[-1].position


def _page(connection: Connection, after: int) -> Sequence[Any]:
    query = select(audit).where(audit.c.position > after).order_by(audit.c.position).limit(_AT_ONCE)
    return connection.execute(query).all()


def _entry(row: Any) -> Entry:
    return Entry(row.position, utc(row.at), row.actor, row.action, row.case_id, row.subject)
