"""Recovery codes: sixteen figures on paper, in the place of the app's code. Each serves once; the store holds a keyed digest only."""

import datetime as dt
import secrets
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from bot.store.crypto import Keyring
from bot.store.tables import recovery_codes

HOW_MANY = 10
FIGURES, GROUP = 16, 4


def new_codes() -> tuple[str, ...]:
    """Ten codes of sixteen figures."""
    return tuple("".join(secrets.choice("0123456789") for _ in range(FIGURES)) for _ in range(HOW_MANY))


def printed(code: str) -> str:
    """In groups of four, as people copy them."""
    return " ".join(code[at : at + GROUP] for at in range(0, FIGURES, GROUP))


def keep(connection: Connection, keyring: Keyring, staff_id: str, codes: Sequence[str]) -> None:
    """These are the person's codes from now on, and the ones before serve no more."""
    forget(connection, staff_id)
    rows = [{"lookup": _lookup(keyring, staff_id, code), "staff_id": staff_id} for code in codes]
    connection.execute(insert(recovery_codes), rows)


def forget(connection: Connection, staff_id: str) -> None:
    connection.execute(delete(recovery_codes).where(recovery_codes.c.staff_id == staff_id))


def is_good(connection: Connection, keyring: Keyring, staff_id: str, code: str) -> bool:
    """Whether the code would serve."""
    return (
        connection.execute(select(recovery_codes.c.lookup).where(*_unused(keyring, staff_id, code))).first() is not None
    )


def use(connection: Connection, keyring: Keyring, staff_id: str, code: str, now: dt.datetime) -> bool:
    """Takes the code for good; False where it is none of theirs or has served."""
    taken = update(recovery_codes).where(*_unused(keyring, staff_id, code)).values(used_at=now)
    return connection.execute(taken).rowcount == 1


def left(connection: Connection, staff_id: str) -> int:
    """How many still serve."""
    mine = (recovery_codes.c.staff_id == staff_id) & recovery_codes.c.used_at.is_(None)
    return connection.execute(select(func.count()).select_from(recovery_codes).where(mine)).scalar_one()


def _unused(keyring: Keyring, staff_id: str, code: str) -> tuple[Any, ...]:
    columns = recovery_codes.c
    return (columns.lookup == _lookup(keyring, staff_id, code), columns.staff_id == staff_id, columns.used_at.is_(None))


def _lookup(keyring: Keyring, staff_id: str, code: str) -> str:
    return keyring.lookup("recovery code", f"{staff_id}|{code}")
