"""Another key for all that the keyring seals, while the house is open.

The new key is on disk before anything is sealed with it, and the old ones stay. Each value says by its key id whether it is still to
be done, so that a rotation that died goes on where it was. A value is replaced only if it is still the one that was read; rows that
somebody holds are left for the next round, so nobody waits for a rotation for longer than one batch.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, LargeBinary, bindparam, func, select, text, tuple_, update

from bot.errors import KeyringError, StoreError
from bot.store.crypto import Keyring, add_key, drop_old_keys
from bot.store.database import Database
from bot.store.presence import changing_keys
from bot.store.seals import BY_KEYRING, Seal

KEYRING_FILE = "keyring.json"
AT_ONCE = 200  # rows of one transaction
_ROUNDS = 5
_BREATH = 0.2  # seconds between two rounds
_OTHERS = text(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
    "AND backend_type = 'client backend'"
)

Progress = Callable[[int, int], None]  # how many values are done, and of how many


@dataclass(frozen=True)
class Outcome:
    """`resumed`: no key was added, because an earlier rotation was not finished. `left`: values that others have sealed with an
    old key meanwhile, or hold. `unreadable`: those that no key opens. `dropped`: keys that are gone."""

    key: str
    resumed: bool
    resealed: int
    left: int
    unreadable: int
    dropped: int


# -- counting ----------------------------------------------------------------------------------------------------------


def counts(connection: Connection) -> dict[str, Counter[str]]:
    """Table -> key id -> how many values it seals there."""
    found: dict[str, Counter[str]] = {}
    for seal in BY_KEYRING:
        used = _key_id(seal)
        rows = connection.execute(select(used, func.count()).where(seal.filled).group_by(used))
        found.setdefault(seal.table.name, Counter()).update({bytes(name).hex(): number for name, number in rows})
    return found


def count_left(connection: Connection, current: str) -> int:
    """How many values other keys than this one seal."""
    return sum(number for by_key in counts(connection).values() for name, number in by_key.items() if name != current)


# -- rotating ----------------------------------------------------------------------------------------------------------


def rotate(database: Database, home: Path, progress: Progress, *, drop_old: bool = False) -> Outcome:
    """Adds a key and seals everything with it, or finishes a rotation that was not finished.

    With `drop_old` the other keys are removed once every value has been opened with the new one, and nobody else has the house open.
    """
    path = home / KEYRING_FILE
    with changing_keys(home):
        database.keyring.refresh()
        resumed = _unfinished(database, drop_old=drop_old)
        if not resumed:
            add_key(path)
            database.keyring.refresh()
        resealed, unreadable = _reseal_all(database, progress)
        dropped = _drop(database, path) if drop_old else 0
        with database.begin() as connection:
            left = count_left(connection, database.keyring.current) - unreadable
    database.checkpoint()  # nothing under the old key lingers in SQLite's log
    return Outcome(database.keyring.current, resumed, resealed, max(left, 0), unreadable, dropped)


def _unfinished(database: Database, *, drop_old: bool) -> bool:
    with database.begin() as connection:
        left = count_left(connection, database.keyring.current)
    return left > 0 or (drop_old and len(database.keyring.keys) > 1)


def _reseal_all(database: Database, progress: Progress) -> tuple[int, int]:
    """Round after round, until nothing is left but what does not open. How many values, and how many of those."""
    done = unreadable = 0
    for number in range(_ROUNDS):
        with database.begin() as connection:
            left = count_left(connection, database.keyring.current)
        progress(done, done + left)
        if left <= unreadable:
            break
        if number:
            time.sleep(_BREATH)
        unreadable = 0
        for seal in BY_KEYRING:
            for changed, refused in _reseal(database, seal):
                done, unreadable = done + changed, unreadable + refused
                progress(done, max(done, done + left))
                left -= changed
    return done, unreadable


def _reseal(database: Database, seal: Seal) -> Iterator[tuple[int, int]]:
    """One column, in batches of one transaction each: how many values were sealed anew, and how many do not open."""
    after: Sequence[Any] = ()
    while True:
        began = time.monotonic()
        with database.begin() as connection:
            rows = _batch(connection, seal, database.keyring.current, after)
            changes = [change for row in rows if (change := _change(database.keyring, seal, row))]
            changed = _swap(connection, seal, changes)
        if not rows:
            return
        after = [rows[-1]._mapping[one.name] for one in seal.key]
        yield changed, len(rows) - len(changes)
        time.sleep(time.monotonic() - began)  # half of the time belongs to those who wait


def _batch(connection: Connection, seal: Seal, current: str, after: Sequence[Any]) -> Sequence[Any]:
    """The next rows under other keys; without those that somebody holds."""
    query = select(*seal.key, seal.column).where(seal.filled, _key_id(seal) != bytes.fromhex(current))
    if after:
        query = query.where(tuple_(*seal.key) > tuple_(*after))
    query = query.order_by(*seal.key).limit(AT_ONCE)
    return connection.execute(query.with_for_update(key_share=True, skip_locked=True)).all()


def _change(keyring: Keyring, seal: Seal, row: Any) -> dict[str, Any] | None:
    """None where the value does not open: nobody can seal it anew."""
    old, place = row._mapping[seal.name], seal.place_of(row)
    try:
        new = keyring.seal(keyring.open(old, place), place)
    except KeyringError:
        return None
    return {"old": old, "new": new, **{f"at_{one.name}": row._mapping[one.name] for one in seal.key}}


def _swap(connection: Connection, seal: Seal, changes: Sequence[dict[str, Any]]) -> int:
    """Only where the value is still the old one."""
    here = [one == bindparam(f"at_{one.name}") for one in seal.key]
    swap = update(seal.table).where(*here, seal.column == bindparam("old")).values({seal.name: bindparam("new")})
    return sum(connection.execute(swap, change).rowcount for change in changes)


def _key_id(seal: Seal) -> Any:
    return func.substr(seal.column, 1, 4, type_=LargeBinary)


# -- removing old keys -------------------------------------------------------------------------------------------------


def _drop(database: Database, path: Path) -> int:
    """How many keys. StoreError where somebody else may still seal with them, KeyringError where a value still needs them."""
    keyring = database.keyring
    with database.alone():
        _refuse_others(database)
        only = Keyring({keyring.current: keyring.keys[keyring.current]}, keyring.current, keyring.pepper)
        with database.begin() as connection:
            _prove(connection, only)
        drop_old_keys(path)
    return len(keyring.keys) - 1


def _refuse_others(database: Database) -> None:
    """Processes of other machines share no lock with us, but the database server knows them. Who has just left may still show."""
    if database.engine.dialect.name != "postgresql":
        return
    database.engine.dispose()
    for _ in range(_ROUNDS):
        with database.begin() as connection:
            if not connection.execute(_OTHERS).scalar_one():
                return
        time.sleep(_BREATH)
    raise StoreError("Others are connected to the database: stop everything that uses it, and try again.")


def _prove(connection: Connection, keyring: Keyring) -> None:
    """Opens every value."""
    for seal in BY_KEYRING:
        query = select(*seal.key, seal.column).where(seal.filled).execution_options(yield_per=AT_ONCE)
        for row in connection.execute(query):
            try:
                keyring.open(row._mapping[seal.name], seal.place_of(row))
            except KeyringError:
                raise KeyringError(
                    f"A value of {seal.table.name} does not open with the new key alone, so the old keys stay: "
                    "see `banduong keys status`."
                ) from None
