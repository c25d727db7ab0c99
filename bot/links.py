"""One person, several addresses: linked only by the person, with a code given out on one and typed on another."""

import datetime as dt
import secrets
from typing import Literal

from sqlalchemy import Connection, delete, func, insert, select, update

from bot.contacts import Contact
from bot.store.crypto import Keyring
from bot.store.database import new_id, utc
from bot.store.tables import addresses, link_codes

CODE_LIFE = dt.timedelta(minutes=15)
FIGURES = 8

Typed = Literal["none", "good", "own", "wrong"]


def fresh_code(connection: Connection, keyring: Keyring) -> str:
    """Eight figures that nobody holds."""
    while True:
        code = f"{secrets.randbelow(10**FIGURES):0{FIGURES}d}"
        taken = select(link_codes.c.lookup).where(link_codes.c.lookup == _lookup(keyring, code))
        if connection.execute(taken).first() is None:
            return code


def give(connection: Connection, keyring: Keyring, contact: Contact, code: str, now: dt.datetime) -> None:
    """The code holds for a quarter of an hour; an earlier one of this address holds no longer."""
    connection.execute(delete(link_codes).where(link_codes.c.address_id == contact.id))
    row = {"lookup": _lookup(keyring, code), "address_id": contact.id, "expires_at": now + CODE_LIFE}
    connection.execute(insert(link_codes).values(row))


def typed(connection: Connection, keyring: Keyring, contact: Contact, code: str, now: dt.datetime) -> Typed:
    """What a typed code is worth on this address."""
    owner = _owner(connection, keyring, code, now)
    if owner is None:
        return "wrong"
    return "own" if owner == contact.id else "good"


def link(connection: Connection, keyring: Keyring, contact: Contact, code: str, now: dt.datetime) -> None:
    """From now on this address and the one that was given the code belong to one person. The code is spent."""
    owner = _owner(connection, keyring, code, now)
    if owner is None:  # spent by another line in the same moment
        return
    rows = connection.execute(select(addresses).where(addresses.c.id.in_([owner, contact.id]))).all()
    known = [row.person for row in rows if row.person]
    together = addresses.c.id.in_([owner, contact.id]) | addresses.c.person.in_(known)
    helped_at = connection.execute(select(func.max(addresses.c.helped_at)).where(together)).scalar()
    person = known[0] if known else new_id()
    connection.execute(update(addresses).where(together).values(person=person, helped_at=helped_at))
    connection.execute(delete(link_codes).where(link_codes.c.address_id == owner))


def addresses_of(connection: Connection, contact: Contact) -> list[str]:
    """The ids of all addresses of this person, this one first."""
    if contact.person is None:
        return [contact.id]
    others = select(addresses.c.id).where(addresses.c.person == contact.person, addresses.c.id != contact.id)
    return [contact.id, *connection.execute(others).scalars()]


def purge_codes(connection: Connection, now: dt.datetime) -> int:
    return connection.execute(delete(link_codes).where(link_codes.c.expires_at < now)).rowcount


def _owner(connection: Connection, keyring: Keyring, code: str, now: dt.datetime) -> str | None:
    row = connection.execute(select(link_codes).where(link_codes.c.lookup == _lookup(keyring, code))).first()
    return row.address_id if row and utc(row.expires_at) > now else None


def _lookup(keyring: Keyring, code: str) -> str:
    return keyring.lookup("link code", code)
