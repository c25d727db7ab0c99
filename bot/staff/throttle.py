"""Who guesses waits, and nobody can keep a colleague out.

Failures are counted for an account and a device together. A browser that has logged in before shows a signed mark and has a counter
of its own; all others share one. An attempt counts as failed until it has succeeded, so many at the same instant are as slow as one
after the other. A login that does not exist is counted like one that does.
"""

import datetime as dt
import hmac
import re
import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass
from hashlib import sha256

from sqlalchemy import Connection, delete, select, update

from bot.store.crypto import Keyring
from bot.store.database import insert_unless_there, utc
from bot.store.tables import login_failures

FREE = 5  # failures without a wait
FIRST, LONGEST = dt.timedelta(seconds=1), dt.timedelta(minutes=15)
FORGOTTEN_AFTER = dt.timedelta(days=1)
NO_WAIT = dt.timedelta()
SOURCE_FREE = 20  # of one network address, whatever the logins
MOST_SOURCES = 10_000
_MOST_MARKS = 8  # accounts that share a device
_MARK = 32  # characters
_NAME = re.compile(f"[0-9a-f]{{{_MARK}}}")


def delay_after(failures: int, free: int = FREE) -> dt.timedelta:
    """None for the first few, then 1 second, doubling up to 15 minutes."""
    if failures < free:
        return NO_WAIT
    return min(FIRST * (1 << min(failures - free, 20)), LONGEST)


# -- counters in the store ---------------------------------------------------------------------------------------------


def attempt(connection: Connection, key: str, now: dt.datetime) -> dt.timedelta:
    """How long to wait still. Without a wait the attempt may be made, and counts as failed until `succeeded`."""
    mine = login_failures.c.lookup == key
    insert_unless_there(connection, login_failures, {"lookup": key, "failures": 0, "wait_until": now, "last_at": now})
    row = connection.execute(select(login_failures).where(mine).with_for_update()).first()
    if row is None:  # somebody with this counter was let in meanwhile
        return attempt(connection, key, now)
    if utc(row.wait_until) > now:
        return utc(row.wait_until) - now
    values = {"failures": row.failures + 1, "wait_until": now + delay_after(row.failures + 1), "last_at": now}
    connection.execute(update(login_failures).where(mine).values(values))
    return NO_WAIT


def succeeded(connection: Connection, key: str, *, shared: bool) -> None:
    """A known device starts afresh. In the counter of all strangers only this attempt is taken back: others may be guessing."""
    mine = login_failures.c.lookup == key
    if shared:
        connection.execute(update(login_failures).where(mine).values(failures=login_failures.c.failures - 1))
    else:
        connection.execute(delete(login_failures).where(mine))


def purge(connection: Connection, now: dt.datetime) -> int:
    return connection.execute(delete(login_failures).where(login_failures.c.last_at < now - FORGOTTEN_AFTER)).rowcount


# -- devices -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Device:
    """What a browser shows of earlier log-ins: a random name, and a mark for each login that was let in with it."""

    name: str
    marks: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return "Device(…)"

    @classmethod
    def read(cls, cookie: str) -> "Device":
        """A new device where the cookie is missing or not ours in form."""
        name, *marks = cookie.split(".")[: _MOST_MARKS + 1]
        return cls(name, tuple(marks)) if _NAME.fullmatch(name) else cls(secrets.token_hex(_MARK // 2))

    @property
    def cookie(self) -> str:
        return ".".join((self.name, *self.marks))

    def knows(self, keyring: Keyring, login: str) -> bool:
        """Whether this login was let in here before."""
        own = self._mark(keyring, login).encode()
        return any(hmac.compare_digest(own, mark.encode()) for mark in self.marks)

    def with_mark(self, keyring: Keyring, login: str) -> "Device":
        own = self._mark(keyring, login)
        return Device(self.name, (own, *(mark for mark in self.marks if mark != own))[:_MOST_MARKS])

    def counter(self, keyring: Keyring, login: str) -> str:
        """The key under which attempts are counted: this device's, or that of all unknown ones."""
        return keyring.lookup("log-in", f"{login}|{self.name if self.knows(keyring, login) else ''}")

    def _mark(self, keyring: Keyring, login: str) -> str:
        return keyring.lookup("device", f"{self.name}|{login}")[:_MARK]


# -- counters of network addresses -------------------------------------------------------------------------------------


class Sources:
    """Attempts by network address: in memory, under a seed of this process, so that nothing is left of who came from where."""

    def __init__(self) -> None:
        self._seed = secrets.token_bytes(32)
        self._counted: OrderedDict[bytes, tuple[int, dt.datetime]] = OrderedDict()  # failures, wait until
        self._lock = threading.Lock()

    def attempt(self, source: str, now: dt.datetime) -> dt.timedelta:
        """Like `attempt` above."""
        key = self._key(source)
        with self._lock:
            failures, wait_until = self._counted.get(key, (0, now))
            if wait_until > now:
                return wait_until - now
            self._counted[key] = (failures + 1, now + delay_after(failures + 1, SOURCE_FREE))
            self._counted.move_to_end(key)
            while len(self._counted) > MOST_SOURCES:
                self._counted.popitem(last=False)
        return NO_WAIT

    def succeeded(self, source: str) -> None:
        with self._lock:
            self._counted.pop(self._key(source), None)

    def _key(self, source: str) -> bytes:
        return hmac.new(self._seed, source.encode(), sha256).digest()
