"""Who is at the other end of a request. The cookie is a random 256-bit token; the store has its SHA-256, and the person's private key
under a secret made from the token: a copy of the database opens neither.
"""

import base64
import binascii
import datetime as dt
import hmac
import secrets
from dataclasses import dataclass, field
from hashlib import sha256

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import Connection, delete, insert, or_, select, update

from bot.staff import accounts
from bot.staff.accounts import Account, account_of
from bot.store import boxes
from bot.store.boxes import KEY
from bot.store.crypto import Keyring
from bot.store.database import utc
from bot.store.tables import recovery_codes, staff, staff_sessions

IDLE = dt.timedelta(minutes=30)
ABSOLUTE = dt.timedelta(hours=12)
_TOKEN = 32  # bytes


@dataclass(frozen=True)
class Session:
    """One log-in. `prepared`: the person has put recovery codes away; before that there is nothing else to do."""

    account: Account
    private_key: bytes = field(repr=False)
    lookup: str = field(repr=False)
    prepared: bool

    def form_token(self, keyring: Keyring) -> str:
        """What every form of this session carries, and no other site can know."""
        return keyring.lookup("form", self.lookup)

    def wrote(self, keyring: Keyring, form_token: str) -> bool:
        return hmac.compare_digest(self.form_token(keyring).encode(), form_token.encode())


def open_session(connection: Connection, staff_id: str, private_key: bytes, now: dt.datetime) -> str:
    """A new log-in; the token is for the cookie and stands nowhere else."""
    token = secrets.token_bytes(_TOKEN)
    connection.execute(
        insert(staff_sessions).values(
            lookup=_lookup(token),
            staff_id=staff_id,
            locked_private_key=boxes.lock(_secret(token), private_key),
            created_at=now,
            seen_at=now,
        )
    )
    return base64.urlsafe_b64encode(token).decode().rstrip("=")


def session_of(
    connection: Connection, keyring: Keyring, cookie: str, now: dt.datetime, *, by_person: bool = True
) -> Session | None:
    """The log-in of this cookie, with the account as it is at this moment; None where it has ended.

    What the page asks by itself (`by_person=False`) does not keep an idle session alive.
    """
    token = _token(cookie)
    row = connection.execute(_WITH_ACCOUNT.where(staff_sessions.c.lookup == _lookup(token))).first()
    if row is None or _is_over(row.created_at, row.seen_at, now):
        return None
    private_key = boxes.unlock(_secret(token), row.session_key)
    if private_key is None:
        return None
    if by_person:
        connection.execute(update(staff_sessions).where(staff_sessions.c.lookup == row.session).values(seen_at=now))
    return Session(account_of(keyring, row), private_key, row.session, row.prepared)


def revoke(connection: Connection, session: Session) -> None:
    connection.execute(delete(staff_sessions).where(staff_sessions.c.lookup == session.lookup))


def revoke_others(connection: Connection, session: Session) -> int:
    """Ends the person's other log-ins; how many."""
    return accounts.end_sessions(connection, session.account.id, but=session.lookup)


def purge(connection: Connection, now: dt.datetime) -> int:
    over = or_(staff_sessions.c.seen_at <= now - IDLE, staff_sessions.c.created_at <= now - ABSOLUTE)
    return connection.execute(delete(staff_sessions).where(over)).rowcount


_WITH_ACCOUNT = (
    select(
        *(column for column in staff.c if column.name not in ("created_at", "locked_private_key")),
        staff_sessions.c.lookup.label("session"),
        staff_sessions.c.locked_private_key.label("session_key"),
        staff_sessions.c.created_at,
        staff_sessions.c.seen_at,
        select(recovery_codes.c.lookup).where(recovery_codes.c.staff_id == staff.c.id).exists().label("prepared"),
    )
    .join_from(staff_sessions, staff, staff.c.id == staff_sessions.c.staff_id)
    .where(staff.c.removed_at.is_(None))
)


def _is_over(created_at: dt.datetime, seen_at: dt.datetime, now: dt.datetime) -> bool:
    return now - utc(seen_at) >= IDLE or now - utc(created_at) >= ABSOLUTE


def _token(cookie: str) -> bytes:
    """Nothing where the cookie is not of our form: it then belongs to no session."""
    try:
        return base64.b64decode(cookie + "=", altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return b""


def _lookup(token: bytes) -> str:
    return sha256(token).hexdigest()


def _secret(token: bytes) -> bytes:
    """Another secret than the lookup, from the same token."""
    return HKDF(algorithm=SHA256(), length=KEY, salt=None, info=b"banduong session key").derive(token)
