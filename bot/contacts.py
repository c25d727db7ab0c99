"""People by their addresses: found by a keyed look-up, stored sealed, forgotten on their word."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, bindparam, delete, exists, insert, or_, select, update

from bot.messages import Address
from bot.store.crypto import Keyring
from bot.store.database import insert_unless_there, new_id, utc
from bot.store.tables import (
    addresses,
    cases,
    consents,
    conversations,
    fragments,
    inbox,
    link_codes,
    outbox,
    pace,
    recipients,
    subscriptions,
)

# What every turn asks is built once.
_FIND = select(addresses).where(addresses.c.channel == bindparam("channel"), addresses.c.lookup == bindparam("lookup"))
_LOCK = (
    select(addresses.c.id)
    .where(or_(addresses.c.id == bindparam("own"), addresses.c.person == bindparam("person")))
    .order_by(addresses.c.id)
    .with_for_update(key_share=True)  # whoever only refers to the row need not wait
)
_TAKE = select(addresses).where(addresses.c.id == bindparam("own")).with_for_update(skip_locked=True)


@dataclass(frozen=True)
class Contact:
    """One address of a person, as a row."""

    id: str
    address: Address
    silent: bool = False
    unreachable: bool = False
    leaving: bool = False
    person: str | None = None
    helped_at: dt.datetime | None = None
    created_at: dt.datetime | None = None
    new: bool = False


def find(connection: Connection, keyring: Keyring, address: Address) -> Contact | None:
    """The row of this address. All rows of the person are locked for the rest of the transaction, always in the same order, so
    that two messages of one person wait for each other."""
    key = {"channel": address.channel, "lookup": keyring.lookup(address.channel, address.identifier)}
    found = connection.execute(_FIND, key).first()
    if found and connection.dialect.name != "sqlite":  # where a transaction has the whole database
        connection.execute(_LOCK, {"own": found.id, "person": found.person})
        found = connection.execute(_FIND, key).first()
    return _contact(found, address) if found else None


def _contact(found: Row[Any], address: Address) -> Contact:
    return Contact(
        found.id,
        address,
        silent=found.silent_since is not None,
        unreachable=found.unreachable_since is not None,
        leaving=found.leaving_since is not None,
        person=found.person,
        helped_at=utc(found.helped_at) if found.helped_at else None,
        created_at=utc(found.created_at),
    )


def lock(connection: Connection, keyring: Keyring, address_id: str) -> Contact | None:
    """The row of this address with all rows of its person locked, as `find` does; None where it was forgotten meanwhile."""
    row = connection.execute(select(addresses).where(addresses.c.id == address_id)).first()
    if row is None:
        return None
    identifier = keyring.open(row.sealed_identifier, f"addresses|{row.id}|sealed_identifier")
    return find(connection, keyring, Address(row.channel, identifier))


def find_or_create(connection: Connection, keyring: Keyring, address: Address, now: dt.datetime) -> Contact:
    return find(connection, keyring, address) or _create(connection, keyring, address, now)


def find_unlocked(connection: Connection, keyring: Keyring, address: Address, now: dt.datetime) -> Contact:
    """The row of an address to which something is sent, made where there is none; its person may write meanwhile."""
    key = {"channel": address.channel, "lookup": keyring.lookup(address.channel, address.identifier)}
    found = connection.execute(_FIND, key).first()
    return _contact(found, address) if found else _create(connection, keyring, address, now)


def take_if_free(connection: Connection, keyring: Keyring, address_id: str) -> Contact | None:
    """The contact of this row, locked for the rest of the transaction; None while another transaction has it (the person
    is writing) or where it is gone. Never waits, so it may be called whatever else is locked."""
    found = connection.execute(_TAKE, {"own": address_id}).first()
    if found is None:
        return None
    identifier = keyring.open(found.sealed_identifier, f"addresses|{found.id}|sealed_identifier")
    return _contact(found, Address(found.channel, identifier))


def _create(connection: Connection, keyring: Keyring, address: Address, now: dt.datetime) -> Contact:
    """A new row; where another process was faster, that one's."""
    row_id = new_id()
    row = {
        "id": row_id,
        "channel": address.channel,
        "lookup": keyring.lookup(address.channel, address.identifier),
        "sealed_identifier": keyring.seal(address.identifier, f"addresses|{row_id}|sealed_identifier"),
        "created_at": now,
    }
    if insert_unless_there(connection, addresses, row):
        return Contact(row_id, address, new=True)
    return find_or_create(connection, keyring, address, now)


def set_silent(connection: Connection, ids: Sequence[str], since: dt.datetime) -> None:
    """S-03: from now on nothing may go out to these addresses before the person writes there."""
    connection.execute(update(addresses).where(addresses.c.id.in_(ids)).values(silent_since=since))


def set_helped(connection: Connection, ids: Sequence[str], at: dt.datetime) -> None:
    """S-09: there is a case, or danger was told; news is sent again only after a new yes."""
    connection.execute(update(addresses).where(addresses.c.id.in_(ids)).values(helped_at=at))


def set_unreachable(connection: Connection, address_id: str, since: dt.datetime) -> None:
    """The provider says that nothing can reach this address; what the person writes next proves it wrong."""
    connection.execute(update(addresses).where(addresses.c.id == address_id).values(unreachable_since=since))


def heard_from(connection: Connection, contact: Contact) -> None:
    """The person has written: the address is neither silent nor out of reach nor about to be forgotten."""
    connection.execute(
        update(addresses)
        .where(addresses.c.id == contact.id)
        .values(silent_since=None, unreachable_since=None, leaving_since=None)
    )


def move(connection: Connection, keyring: Keyring, contact: Contact, identifier: str) -> None:
    """The same person under another identifier; nothing changes where that one is known already."""
    lookup = keyring.lookup(contact.address.channel, identifier)
    taken = select(addresses.c.id).where(addresses.c.channel == contact.address.channel, addresses.c.lookup == lookup)
    if connection.execute(taken).first() is None:
        sealed = keyring.seal(identifier, f"addresses|{contact.id}|sealed_identifier")
        connection.execute(
            update(addresses).where(addresses.c.id == contact.id).values(lookup=lookup, sealed_identifier=sealed)
        )


def record_consent(
    connection: Connection,
    keyring: Keyring,
    contact: Contact,
    *,
    purpose: str,
    basis: str,
    reason: str,
    now: dt.datetime,
    words: str | None = None,
    version: str | None = None,
) -> str:
    """Writes one consent, or the emergency that stands in its place, and returns its id."""
    row_id = new_id()
    connection.execute(
        insert(consents).values(
            id=row_id,
            address_id=contact.id,
            purpose=purpose,
            basis=basis,
            version=version,
            reason=reason,
            sealed_words=keyring.seal(words, f"consents|{row_id}|sealed_words") if words is not None else None,
            given_at=now,
        )
    )
    return row_id


def withdraw_consent(
    connection: Connection, keyring: Keyring, address_id: str, purpose: str, words: str, now: dt.datetime
) -> None:
    """A no, with its words as evidence; it stands there even where no yes was given before."""
    given = (consents.c.address_id == address_id, consents.c.purpose == purpose, consents.c.withdrawn_at.is_(None))
    rows = list(connection.execute(select(consents.c.id).where(*given)).scalars())
    if not rows:
        rows = [new_id()]
        refusal = {"id": rows[0], "address_id": address_id, "purpose": purpose, "basis": "refusal"}
        reason = "said by the person"
        connection.execute(insert(consents).values(**refusal, reason=reason, given_at=now, withdrawn_at=now))
    for row_id in rows:
        sealed = keyring.seal(words, f"consents|{row_id}|sealed_withdrawal")
        connection.execute(
            update(consents).where(consents.c.id == row_id).values(withdrawn_at=now, sealed_withdrawal=sealed)
        )


def withdraw_help(connection: Connection, keyring: Keyring, address_id: str, words: str, now: dt.datetime) -> None:
    """The person takes back every yes but the one to news."""
    given = select(consents.c.purpose).where(
        consents.c.address_id == address_id, consents.c.purpose != "alerts", consents.c.withdrawn_at.is_(None)
    )
    for purpose in set(connection.execute(given).scalars()):
        withdraw_consent(connection, keyring, address_id, purpose, words, now)


def standing_yes(of: Any = addresses) -> tuple[ColumnElement[bool], ...]:
    """Of rows of consents: a yes to news that was not taken back, and after a case, or a word of danger, was given anew (S-09)."""
    return (
        consents.c.address_id == of.c.id,
        consents.c.purpose == "alerts",
        consents.c.basis == "consent",
        consents.c.withdrawn_at.is_(None),
        or_(of.c.helped_at.is_(None), consents.c.given_at > of.c.helped_at),
    )


def get_news(connection: Connection, ids: Sequence[str]) -> bool:
    """Whether news goes to any of these addresses."""
    wanted = select(addresses.c.id).where(addresses.c.id.in_(ids), exists().where(*standing_yes()))
    return connection.execute(wanted.limit(1)).first() is not None


def has_consented(connection: Connection, contact: Contact, purpose: str) -> bool:
    """S-09: a yes from before the last case no longer counts."""
    given = select(consents.c.id).where(
        consents.c.address_id == contact.id, consents.c.purpose == purpose, consents.c.withdrawn_at.is_(None)
    )
    if contact.helped_at:
        given = given.where(consents.c.given_at > contact.helped_at)
    return connection.execute(given).first() is not None


def forget(connection: Connection, keyring: Keyring, contact: Contact, now: dt.datetime) -> None:
    """Removes the address and everything that hangs on it. Of consents only date and purpose remain, without the person."""
    _unsay(connection, keyring, contact, now)
    connection.execute(delete(addresses).where(addresses.c.id == contact.id))


def forget_but_for_a_word(connection: Connection, keyring: Keyring, contact: Contact, now: dt.datetime) -> None:
    """The same where the confirmation still has to be sent: a bare address stays until then (`drop_departed`)."""
    _unsay(connection, keyring, contact, now)
    for table in (consents, inbox, cases):
        connection.execute(update(table).where(table.c.address_id == contact.id).values(address_id=None))
    for table in (conversations, outbox, pace, recipients, subscriptions):
        connection.execute(delete(table).where(table.c.address_id == contact.id))
    row = {"silent_since": None, "unreachable_since": None, "leaving_since": now, "created_at": now}
    row |= {"person": None, "helped_at": None}
    connection.execute(update(addresses).where(addresses.c.id == contact.id).values(**row))


def drop_departed(connection: Connection) -> int:
    """Removes the addresses whose last word has left, or never will; how many."""
    waiting = exists().where(
        outbox.c.address_id == addresses.c.id, outbox.c.status.in_(["queued", "claimed", "sending"])
    )
    return connection.execute(delete(addresses).where(addresses.c.leaving_since.is_not(None), ~waiting)).rowcount


def _unsay(connection: Connection, keyring: Keyring, contact: Contact, now: dt.datetime) -> None:
    """The words of consents, and the parts of a message that is not yet whole."""
    connection.execute(delete(link_codes).where(link_codes.c.address_id == contact.id))
    lookup = keyring.lookup(contact.address.channel, contact.address.identifier)
    connection.execute(
        delete(fragments).where(fragments.c.channel == contact.address.channel, fragments.c.lookup == lookup)
    )
    connection.execute(
        update(consents)
        .where(consents.c.address_id == contact.id)
        .values(sealed_words=None, sealed_withdrawal=None, withdrawn_at=now)
    )
