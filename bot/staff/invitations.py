"""How somebody becomes a colleague: a one-time code, then a password, a second factor and a key pair of their own."""

import base64
import datetime as dt
import re
import secrets
from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, select, update

from bot import audit
from bot.errors import StaffError
from bot.staff import recovery
from bot.staff.accounts import (
    LOGIN,
    LONGEST_NAME,
    Account,
    Pages,
    account_of,
    end_sessions,
    joined_roles,
    key_proof,
    lookup,
    row_of_login,
    sealed_profile,
    sealed_totp,
)
from bot.staff.passwords import Lock
from bot.store import boxes
from bot.store.boxes import KeyPair, new_pair
from bot.store.crypto import Keyring
from bot.store.database import insert_unless_there, new_id, utc
from bot.store.tables import staff

LIFE = dt.timedelta(hours=72)
_CODE, _GROUP = 15, 4  # bytes; characters
_MOST_CASES = 8


def invite(
    connection: Connection,
    keyring: Keyring,
    login: str,
    name: str,
    roles: Collection[str],
    now: dt.datetime,
    *,
    by: str,
) -> tuple[Account, str]:
    """A new account and its one-time code. A login that has left is taken up again, without anything of before."""
    _check(login, name)
    row = row_of_login(connection, keyring, login)
    if row and row.removed_at is None:
        raise StaffError("taken", "There is such an account already: invite it again instead.")
    account = Account(
        id=row.id if row else new_id(), login=login, name=name.strip(), roles=frozenset(roles), language="vi",
        pages=Pages(), on_duty=False, page_order=None, most_cases=_MOST_CASES, public_key=None, active=True,
        invited_until=now + LIFE,
    )  # fmt: skip
    code = _new_code()
    _write(connection, keyring, account, code, now, is_new=row is None)
    audit.record(connection, keyring, actor=by, action="staff_invited", now=now, subject=account.id)
    return account, code


def _check(login: str, name: str) -> None:
    if not LOGIN.fullmatch(login):
        raise StaffError("bad_login", "A login has 3 to 30 lower-case letters, digits, dots or dashes.")
    if not 0 < len(name.strip()) <= LONGEST_NAME or not name.isprintable():
        raise StaffError("bad_name", f"Give a name of at most {LONGEST_NAME} characters that can be seen.")


def _write(
    connection: Connection, keyring: Keyring, account: Account, code: str, now: dt.datetime, *, is_new: bool
) -> None:
    values: dict[str, Any] = {
        "sealed_profile": sealed_profile(keyring, account),
        "roles": joined_roles(account.roles),
        "most_cases": account.most_cases,
        "removed_at": None,
        **_invitation(keyring, code, now),
    }
    if not is_new:
        connection.execute(update(staff).where(staff.c.id == account.id).values(values))
        return
    own = {"id": account.id, "lookup": lookup(keyring, account.login), "created_at": now}
    if not insert_unless_there(connection, staff, {**own, **values}):
        raise StaffError("taken", "There is such an account already: invite it again instead.")


def invite_again(connection: Connection, keyring: Keyring, account: Account, now: dt.datetime, *, by: str) -> str:
    """A new code; the one before is worth nothing. Password and keys are as they were until it is accepted."""
    code = _new_code()
    here = (staff.c.id == account.id) & staff.c.removed_at.is_(None)
    if connection.execute(update(staff).where(here).values(_invitation(keyring, code, now))).rowcount != 1:
        raise StaffError("gone", "This account was removed.")
    audit.record(connection, keyring, actor=by, action="staff_invited", now=now, subject=account.id)
    return code


def invited(connection: Connection, keyring: Keyring, code: str, now: dt.datetime) -> Account | None:
    """Whose code this is; None where it has served, run out or been replaced."""
    row = connection.execute(select(staff).where(*_open(keyring, code))).first()
    return account_of(keyring, row) if row and utc(row.invite_until) > now else None


def accept(
    connection: Connection,
    keyring: Keyring,
    code: str,
    lock: Lock,
    totp: tuple[str, list[int]],
    now: dt.datetime,
) -> tuple[Account, KeyPair]:
    """The account with its new password, key pair and second factor. `totp`: the secret, and the steps of the code that proved it.

    Of two at the same instant exactly one succeeds. All sessions and recovery codes of before end; the caller hands over the keys of cases.
    """
    found = invited(connection, keyring, code, now)
    secret, steps = totp
    if found is None:
        raise StaffError("bad_invitation", "This invitation has served, run out or been replaced: ask for another.")
    if not steps:
        raise StaffError("bad_code", "The code is not of this secret.")
    pair = new_pair()
    values = {
        "password_hash": lock.password_hash, "key_salt": lock.key_salt, "public_key": pair.public,
        "key_proof": key_proof(keyring, found.id, joined_roles(found.roles), pair.public),
        "locked_private_key": boxes.lock(lock.secret, pair.private),
        "sealed_totp": sealed_totp(keyring, found.id, secret), "totp_step": steps[-1],
        "invite_lookup": None, "invite_until": None,
    }  # fmt: skip
    if connection.execute(update(staff).where(*_open(keyring, code)).values(values)).rowcount != 1:
        raise StaffError("bad_invitation", "This invitation has served, run out or been replaced: ask for another.")
    end_sessions(connection, found.id)
    recovery.forget(connection, found.id)
    audit.record(connection, keyring, actor=found.id, action="staff_accepted", now=now, subject=found.id)
    return account_of(keyring, connection.execute(select(staff).where(staff.c.id == found.id)).one()), pair


def _open(keyring: Keyring, code: str) -> tuple[Any, ...]:
    return (staff.c.invite_lookup == _code_lookup(keyring, code), staff.c.removed_at.is_(None))


def _invitation(keyring: Keyring, code: str, now: dt.datetime) -> dict[str, object]:
    return {"invite_lookup": _code_lookup(keyring, code), "invite_until": now + LIFE}


def _new_code() -> str:
    """120 bits in six groups of four letters and digits."""
    written = base64.b32encode(secrets.token_bytes(_CODE)).decode()
    return "-".join(written[at : at + _GROUP] for at in range(0, len(written), _GROUP))


def _code_lookup(keyring: Keyring, code: str) -> str:
    """Typed in small letters or without dashes it is the same code."""
    return keyring.lookup("invitation", re.sub(r"[^A-Z2-7]", "", code.upper()))
