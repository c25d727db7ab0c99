"""Who works here. A row of an account is never deleted, because cases refer to it: who leaves is marked, and loses every secret."""

import datetime as dt
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from sqlalchemy import Connection, delete, select, update

from bot import audit
from bot.errors import StaffError
from bot.staff import recovery
from bot.staff.passwords import Lock
from bot.store import boxes
from bot.store.crypto import Keyring
from bot.store.tables import staff, staff_sessions

LOGIN = re.compile(r"[a-z0-9][a-z0-9.-]{2,29}")
LONGEST_NAME = 80
_PAGE_FORMS = {"telegram": r"-?\d{4,20}", "sms": r"\+\d{8,15}", "email": r"[^\s@]{1,64}@[^\s@]+\.[^\s@]{2,}"}


@dataclass(frozen=True)
class Pages:
    """Where somebody is called for an urgent case: a Telegram chat id, a number (+84...), an e-mail address."""

    telegram: str | None = None
    sms: str | None = None
    email: str | None = None

    def __repr__(self) -> str:
        return "Pages(…)"

    @property
    def problem(self) -> str | None:
        """The first that has not the form of such an address."""
        return next((n for n, value in asdict(self).items() if value and not re.fullmatch(_PAGE_FORMS[n], value)), None)


@dataclass(frozen=True)
class Account:
    """One person of the staff. `public_key` (32 bytes) is there from the first log-in on; `active`: not removed."""

    id: str
    login: str
    name: str
    roles: frozenset[str]
    language: str
    pages: Pages
    on_duty: bool
    page_order: int | None
    most_cases: int
    public_key: bytes | None
    active: bool
    invited_until: dt.datetime | None

    def __repr__(self) -> str:
        return f"Account({self.id!r})"


# -- reading -----------------------------------------------------------------------------------------------------------


def find(connection: Connection, keyring: Keyring, staff_id: str) -> Account | None:
    row = connection.execute(select(staff).where(staff.c.id == staff_id)).first()
    return account_of(keyring, row) if row else None


def find_login(connection: Connection, keyring: Keyring, login: str) -> Account | None:
    row = row_of_login(connection, keyring, login)
    return account_of(keyring, row) if row else None


def all_accounts(connection: Connection, keyring: Keyring, *, removed: bool = False) -> list[Account]:
    """Everybody by name; with `removed` those too who have left."""
    query = select(staff) if removed else select(staff).where(staff.c.removed_at.is_(None))
    return sorted(
        (account_of(keyring, row) for row in connection.execute(query)), key=lambda one: (one.name, one.login)
    )


def row_of_login(connection: Connection, keyring: Keyring, login: str) -> Any:
    return connection.execute(select(staff).where(staff.c.lookup == lookup(keyring, login))).first()


def lookup(keyring: Keyring, login: str) -> str:
    return keyring.lookup("staff", login)


def account_of(keyring: Keyring, row: Any) -> Account:
    """The account of a row of `staff`."""
    profile = json.loads(keyring.open(row.sealed_profile, _place(row.id)))
    return Account(
        id=row.id,
        login=profile["login"],
        name=profile["name"],
        roles=frozenset(filter(None, row.roles.split(","))),
        language=profile["language"],
        pages=Pages(**profile["pages"]),
        on_duty=row.on_duty,
        page_order=row.page_order,
        most_cases=row.most_cases,
        public_key=row.public_key,
        active=row.removed_at is None,
        invited_until=row.invite_until,
    )


def sealed_profile(keyring: Keyring, account: Account) -> bytes:
    profile = {
        "login": account.login,
        "name": account.name,
        "language": account.language,
        "pages": asdict(account.pages),
    }
    return keyring.seal(json.dumps(profile, ensure_ascii=False), _place(account.id))


def joined_roles(roles: Collection[str]) -> str:
    """As the column holds them. Nobody is without a role."""
    if not roles:
        raise StaffError("no_role", "Give at least one role.")
    return ",".join(sorted(roles))


def key_proof(keyring: Keyring, staff_id: str, roles: str, public_key: bytes) -> str:
    """Kept beside a public key: whoever can write to the database alone cannot put another key, or another role, in its place."""
    return keyring.proof(_proven(staff_id, roles, public_key))


def key_is_proven(keyring: Keyring, row: Any) -> bool:
    """Whether a row of `staff` has the public key and the roles that it was given here."""
    return row.public_key is not None and keyring.proves(row.key_proof, _proven(row.id, row.roles, row.public_key))


def _proven(staff_id: str, roles: str, public_key: bytes) -> str:
    return f"staff|{staff_id}|{roles}|{public_key.hex()}"


def _place(staff_id: str) -> str:
    return f"staff|{staff_id}|sealed_profile"


# -- changes by others -------------------------------------------------------------------------------------------------


def set_roles(
    connection: Connection, keyring: Keyring, account: Account, roles: Collection[str], now: dt.datetime, *, by: str
) -> None:
    """Counts at the person's next request. Whoever may no longer read cases loses their keys by the caller's hand."""
    row = connection.execute(select(staff).where(staff.c.id == account.id).with_for_update()).one()
    changes: dict[str, object] = {"roles": joined_roles(roles)}
    if key_is_proven(keyring, row):  # a key that somebody put there does not become ours by this
        changes["key_proof"] = key_proof(keyring, row.id, joined_roles(roles), row.public_key)
    _change(connection, account.id, changes)
    audit.record(connection, keyring, actor=by, action="staff_roles", now=now, subject=account.id)


def remove(connection: Connection, keyring: Keyring, account: Account, now: dt.datetime, *, by: str) -> None:
    """Nobody comes in with this account any more, from this moment on. The caller takes away the keys of cases."""
    secrets = (
        "password_hash",
        "key_salt",
        "public_key",
        "key_proof",
        "locked_private_key",
        "sealed_totp",
        "invite_lookup",
        "invite_until",
    )
    nothing: dict[str, object] = dict.fromkeys(secrets)
    _change(connection, account.id, {**nothing, "removed_at": now, "on_duty": False, "page_order": None})
    end_sessions(connection, account.id)
    recovery.forget(connection, account.id)
    audit.record(connection, keyring, actor=by, action="staff_removed", now=now, subject=account.id)


def set_duty(
    connection: Connection, keyring: Keyring, account: Account, now: dt.datetime, *, on_duty: bool, by: str
) -> None:
    _change(connection, account.id, {"on_duty": on_duty})
    audit.record(
        connection,
        keyring,
        actor=by,
        action="staff_on_duty" if on_duty else "staff_off_duty",
        now=now,
        subject=account.id,
    )


def set_load(
    connection: Connection,
    keyring: Keyring,
    account: Account,
    now: dt.datetime,
    *,
    page_order: int | None,
    most_cases: int,
    by: str,
) -> None:
    """When this person's turn to be called is (None: never), and how many open cases they hold at most (S-35)."""
    _change(connection, account.id, {"page_order": page_order, "most_cases": most_cases})
    audit.record(connection, keyring, actor=by, action="staff_load", now=now, subject=account.id)


# -- changes of one's own ----------------------------------------------------------------------------------------------


def set_pages(
    connection: Connection, keyring: Keyring, account: Account, pages: Pages, now: dt.datetime, *, by: str
) -> Account:
    if pages.problem:
        raise StaffError(f"bad_{pages.problem}", f"This is no {pages.problem} address.")
    changed = _save_profile(connection, keyring, replace(account, pages=pages))
    audit.record(connection, keyring, actor=by, action="staff_pages", now=now, subject=account.id)
    return changed


def set_language(connection: Connection, keyring: Keyring, account: Account, language: str) -> Account:
    return _save_profile(connection, keyring, replace(account, language="en" if language == "en" else "vi"))


def change_password(
    connection: Connection,
    keyring: Keyring,
    account: Account,
    private_key: bytes,
    lock: Lock,
    now: dt.datetime,
    *,
    session: str,
) -> None:
    """The private key under the new password's secret; every session but the one with this lookup ends."""
    values = {
        "password_hash": lock.password_hash,
        "key_salt": lock.key_salt,
        "locked_private_key": boxes.lock(lock.secret, private_key),
    }
    _change(connection, account.id, values)  # before the sessions: a log-in under way then finds another password
    end_sessions(connection, account.id, but=session)
    audit.record(connection, keyring, actor=account.id, action="staff_password", now=now, subject=account.id)


def renew_totp(
    connection: Connection, keyring: Keyring, account: Account, secret: str, steps: list[int], now: dt.datetime
) -> None:
    """From now on the codes come from this secret; `steps`: of the code that proved that the app has it."""
    if not steps:
        raise StaffError("bad_code", "The code is not of this secret.")
    _change(connection, account.id, {"sealed_totp": sealed_totp(keyring, account.id, secret), "totp_step": steps[-1]})
    audit.record(connection, keyring, actor=account.id, action="staff_totp", now=now, subject=account.id)


def keep_recovery_codes(
    connection: Connection, keyring: Keyring, account: Account, codes: Collection[str], now: dt.datetime
) -> None:
    """`codes` of `recovery.new_codes`, once the person has said that they are kept."""
    recovery.keep(connection, keyring, account.id, tuple(codes))
    audit.record(connection, keyring, actor=account.id, action="staff_recovery", now=now, subject=account.id)


def sealed_totp(keyring: Keyring, staff_id: str, secret: str) -> bytes:
    return keyring.seal(secret, _totp_place(staff_id))


def totp_secret(keyring: Keyring, row: Any) -> str:
    return keyring.open(row.sealed_totp, _totp_place(row.id))


def end_sessions(connection: Connection, staff_id: str, *, but: str = "") -> int:
    """Logs the person out everywhere, or everywhere but in the session with the lookup `but`."""
    mine = (staff_sessions.c.staff_id == staff_id) & (staff_sessions.c.lookup != but)
    return connection.execute(delete(staff_sessions).where(mine)).rowcount


def _totp_place(staff_id: str) -> str:
    return f"staff|{staff_id}|sealed_totp"


def _save_profile(connection: Connection, keyring: Keyring, account: Account) -> Account:
    _change(connection, account.id, {"sealed_profile": sealed_profile(keyring, account)})
    return account


def _change(connection: Connection, staff_id: str, values: Mapping[str, object]) -> None:
    """Only of somebody who has not left."""
    here = (staff.c.id == staff_id) & staff.c.removed_at.is_(None)
    if connection.execute(update(staff).where(here).values(values)).rowcount != 1:
        raise StaffError("gone", "This account was removed.")
