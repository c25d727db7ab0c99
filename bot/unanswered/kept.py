"""The store of what had no answer: the day and a few sealed words, thirty days long. It says of nobody which words were theirs.

- What arrives waits in memory, and is written in lots of eleven and more, of as many people, in an order that says nothing: neither
  the moment of a row, nor its transaction, nor two copies of the store made a minute apart lead to whoever wrote then. A process that
  dies takes at most one lot with it, which is no loss: fewer than eleven are shown to nobody.
- A person gives one question in thirty days, so that eleven rows are eleven people. That they gave one stands in a table of its own,
  as a keyed digest of the random id of their address, until a Monday. After a deletion that id is nowhere any more.
"""

import datetime as dt
import secrets
import threading
from collections.abc import Mapping

from sqlalchemy import Connection, delete, func, insert, select

from bot.messages import VIETNAM
from bot.store.crypto import Keyring
from bot.store.database import Database, insert_unless_there, new_id
from bot.store.tables import unanswered, unanswered_givers
from bot.unanswered import AT_LEAST

LIFE = dt.timedelta(days=30)
MOST = 10_000  # rows; the oldest go first
MOST_WAITING = 1_000

Given = tuple[dt.date, tuple[str, ...]]


class Questions:
    """What waits to be written. Safe to use from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, Given] = {}

    def add(self, giver: str, words: tuple[str, ...], now: dt.datetime) -> None:
        """`giver`: of `giver_of`. The first question counts, where there is more than one."""
        with self._lock:
            if words and len(self._waiting) < MOST_WAITING:
                self._waiting.setdefault(giver, (_day(now), words))

    def forget(self, giver: str) -> None:
        """This person wants to be forgotten, or has told of danger since."""
        with self._lock:
            self._waiting.pop(giver, None)

    def keep(self, database: Database, now: dt.datetime) -> int:
        """Writes what waits, if it is enough that no row can be told from others; how many rows."""
        with self._lock:
            oldest = _day(now) - LIFE
            self._waiting = {giver: given for giver, given in self._waiting.items() if given[0] > oldest}
            if len(self._waiting) < AT_LEAST:
                return 0
            with database.begin() as connection:
                new = _without_known(connection, self._waiting)
                if len(new) >= AT_LEAST:
                    _write(connection, database.keyring, new, now)
            self._waiting = {} if len(new) >= AT_LEAST else new
            return len(new) if not self._waiting else 0


def giver_of(keyring: Keyring, person: str) -> str:
    """By which a person is known again, and not found: `person` is a random id."""
    return keyring.lookup("unanswered", person)


def purge(connection: Connection, now: dt.datetime) -> int:
    """D-13: what is thirty days old, and what is too much; how many questions."""
    connection.execute(delete(unanswered_givers).where(unanswered_givers.c.until <= _day(now)))
    removed = connection.execute(delete(unanswered).where(unanswered.c.day <= _day(now) - LIFE)).rowcount
    too_many = connection.execute(select(func.count()).select_from(unanswered)).scalar_one() - MOST
    if too_many > 0:
        oldest = select(unanswered.c.id).order_by(unanswered.c.day, unanswered.c.id).limit(too_many)
        removed += connection.execute(delete(unanswered).where(unanswered.c.id.in_(oldest))).rowcount
    return removed


def all_words(connection: Connection, keyring: Keyring, now: dt.datetime) -> list[tuple[str, ...]]:
    """Every question of the last thirty days."""
    wanted = select(unanswered.c.id, unanswered.c.sealed_words).where(unanswered.c.day > _day(now) - LIFE)
    rows = connection.execute(wanted)
    return [tuple(keyring.open(row.sealed_words, _place(row.id)).split()) for row in rows]


def _without_known(connection: Connection, waiting: Mapping[str, Given]) -> dict[str, Given]:
    known = set(connection.execute(select(unanswered_givers.c.lookup)).scalars())
    return {giver: given for giver, given in waiting.items() if giver not in known}


def _write(connection: Connection, keyring: Keyring, new: Mapping[str, Given], now: dt.datetime) -> None:
    for giver in new:
        insert_unless_there(connection, unanswered_givers, {"lookup": giver, "until": _monday_after(_day(now) + LIFE)})
    rows = list(new.values())
    secrets.SystemRandom().shuffle(rows)
    for day, words in rows:
        row_id = new_id()
        sealed = keyring.seal(" ".join(words), _place(row_id))
        connection.execute(insert(unanswered).values(id=row_id, day=day, sealed_words=sealed))


def _monday_after(day: dt.date) -> dt.date:
    return day + dt.timedelta(days=7 - day.weekday())


def _place(row_id: str) -> str:
    return f"unanswered|{row_id}|sealed_words"


def _day(now: dt.datetime) -> dt.date:
    return now.astimezone(VIETNAM).date()
