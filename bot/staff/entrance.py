"""The way in: login, password, and a code from the app or from paper, all in one step.

Whatever is wrong, the answer is the same and costs one Argon2id computation, also where there is no such login. The computations are
done between transactions, never inside one: on SQLite everybody else would wait for them.
"""

import datetime as dt
import re
import threading
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from bot import audit
from bot.staff import accounts, recovery, sessions, throttle, totp
from bot.staff.accounts import Account
from bot.staff.passwords import Passwords
from bot.staff.throttle import NO_WAIT, Device, Sources
from bot.store import boxes
from bot.store.database import Database
from bot.store.tables import staff

MOST_STRANGERS = 4  # attempts of unknown devices that may wait for the same processor; known ones go past them
STRANGER = "stranger"  # the actor in the audit while nobody knows who it is


@dataclass(frozen=True)
class Attempt:
    """What somebody gave at the door. `source` is their network address."""

    login: str
    password: str
    code: str
    device: Device
    source: str

    def __repr__(self) -> str:
        return "Attempt(…)"


@dataclass(frozen=True)
class Entry:
    """Let in: the session's token and the device's new cookie."""

    account: Account
    token: str
    device: Device

    def __repr__(self) -> str:
        return f"Entry({self.account!r})"


@dataclass(frozen=True)
class Refusal:
    """`wait`: how long no attempt will be looked at; none: something was wrong, and nobody says what."""

    wait: dt.timedelta = NO_WAIT


@dataclass(frozen=True)
class _Claim:
    """An attempt as the store sees it: the row of the login, if there is one, and what the code could be."""

    row: Any
    steps: list[int]
    is_recovery: bool

    @property
    def password_hash(self) -> str | None:
        return self.row.password_hash if self.row else None


class Entrance:
    """One for each process."""

    def __init__(self, database: Database, passwords: Passwords) -> None:
        self._database = database
        self._keyring = database.keyring
        self._passwords = passwords
        self._sources = Sources()
        self._strangers = threading.BoundedSemaphore(MOST_STRANGERS)

    def enter(self, attempt: Attempt, now: dt.datetime) -> Entry | Refusal:
        """Lets in who has all three, once for each code."""
        if attempt.device.knows(self._keyring, attempt.login):
            return self._try(attempt, now, shared=False)
        wait = self._sources.attempt(attempt.source, now)
        if wait or not self._strangers.acquire(blocking=False):
            return Refusal(wait or throttle.FIRST)
        try:
            return self._try(attempt, now, shared=True)
        finally:
            self._strangers.release()

    def _try(self, attempt: Attempt, now: dt.datetime, *, shared: bool) -> Entry | Refusal:
        counter = attempt.device.counter(self._keyring, attempt.login)
        with self._database.begin() as connection:
            wait = throttle.attempt(connection, counter, now)
            claim = None if wait else self._claim(connection, attempt, now)
        if claim is None:
            return Refusal(wait)
        is_theirs = self._passwords.matches(attempt.password, claim.password_hash)
        if not (is_theirs and (claim.steps or claim.is_recovery)):
            return Refusal()
        private_key = self._private_key(claim.row, attempt.password)
        with self._database.begin() as connection:
            action = self._take_code(connection, claim, attempt.code, now)
            if action is None:
                return Refusal()
            throttle.succeeded(connection, counter, shared=shared)
            token = sessions.open_session(connection, claim.row.id, private_key, now)
            audit.record(connection, self._keyring, actor=claim.row.id, action=action, now=now, subject=claim.row.id)
        self._sources.succeeded(attempt.source)
        account = accounts.account_of(self._keyring, claim.row)
        return Entry(account, token, attempt.device.with_mark(self._keyring, attempt.login))

    def _claim(self, connection: Connection, attempt: Attempt, now: dt.datetime) -> _Claim:
        row = accounts.row_of_login(connection, self._keyring, attempt.login)
        if row is None or row.password_hash is None:
            return _Claim(None, [], is_recovery=False)
        audit.record(connection, self._keyring, actor=STRANGER, action="login_tried", now=now, subject=row.id)
        code = _figures(attempt.code)
        steps = totp.steps_of(accounts.totp_secret(self._keyring, row), code, now)
        return _Claim(row, steps, is_recovery=recovery.is_good(connection, self._keyring, row.id, code))

    def _private_key(self, row: Any, password: str) -> bytes:
        key = boxes.unlock(self._passwords.key_secret(password, row.key_salt), row.locked_private_key)
        assert key is not None, "the password is right, and its lock was made with it"
        return key

    def _take_code(self, connection: Connection, claim: _Claim, code: str, now: dt.datetime) -> str | None:
        """What happened, for the audit; None where the code has just served, or the account was changed while we computed."""
        row = claim.row
        same = (staff.c.id == row.id) & (staff.c.password_hash == row.password_hash) & staff.c.removed_at.is_(None)
        if connection.execute(select(staff.c.id).where(same).with_for_update()).first() is None:
            return None
        if totp.use(connection, row.id, claim.steps):
            return "login"
        return "login_recovery" if recovery.use(connection, self._keyring, row.id, _figures(code), now) else None

    # -- somebody who is inside proves again who they are --------------------------------------------------------------

    def confirm(self, session: sessions.Session, password: str, now: dt.datetime) -> Refusal | None:
        """None where this is the person's password. Guessing is as slow as at the door."""
        counter = self._keyring.lookup("confirm", session.lookup)
        with self._database.begin() as connection:
            wait = throttle.attempt(connection, counter, now)
            row = connection.execute(select(staff.c.password_hash).where(staff.c.id == session.account.id)).one()
        if wait:
            return Refusal(wait)
        if not self._passwords.matches(password, row.password_hash):
            return Refusal()
        with self._database.begin() as connection:
            throttle.succeeded(connection, counter, shared=False)
        return None


def _figures(code: str) -> str:
    """As typed: with spaces between the groups, or with dashes."""
    return re.sub(r"[\s.-]", "", code)
