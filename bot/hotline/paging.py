"""Calls to the people on duty: who is next, and by which way. A call says that something waits, and nothing else.

A person has up to three ways, tried in the order of `WAYS`. A way that has failed, or has been stuck for `PATIENCE`, is followed
by the next one, and after the last by the next person.
"""

import datetime as dt
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select
from sqlalchemy.engine import Row

from bot import contacts
from bot.channels.base import CAPABILITIES
from bot.content import Library
from bot.delivery import outbox
from bot.delivery.render import render
from bot.messages import Address, DeliveryStatus, Lane, Reply
from bot.staff.accounts import account_of
from bot.store.crypto import Keyring
from bot.store.database import utc
from bot.store.tables import cases, staff
from bot.store.tables import outbox as messages

WAYS = ("telegram", "sms", "email")  # channels, and the keys of a profile
ROLES = {"operator", "supervisor"}
LIFE = dt.timedelta(minutes=30)  # of a call that could not leave: by then others have been called
PATIENCE = dt.timedelta(minutes=2)  # with a way that has not taken the call

_ARRIVED = {DeliveryStatus.SENT, DeliveryStatus.DELIVERED}
_UNDER_WAY = {DeliveryStatus.QUEUED, DeliveryStatus.CLAIMED, DeliveryStatus.SENDING}


@dataclass(frozen=True)
class Colleague:
    """Somebody who can be called. `ways`: the best first. `full`: with as many open cases as they may have (S-35)."""

    id: str
    language: str
    ways: tuple[Address, ...]
    on_duty: bool
    full: bool


@dataclass(frozen=True)
class Exchange:
    """What a call needs: its words, the ways that are set up here, and the console's address where it has a public one."""

    library: Library
    channels: frozenset[str]
    console: str | None = None


def roster(connection: Connection, keyring: Keyring, exchange: Exchange) -> list[Colleague]:
    """Everybody who may be called, in the order of calling; those on duty, or all where nobody is."""
    rows = connection.execute(
        select(staff, _open_cases())
        .where(staff.c.removed_at.is_(None), staff.c.page_order.is_not(None))
        .order_by(staff.c.page_order, staff.c.id)
    )
    everybody = [_colleague(keyring, exchange, row) for row in rows if ROLES & set(row.roles.split(","))]
    return [one for one in everybody if one.on_duty] or everybody


def one(connection: Connection, keyring: Keyring, exchange: Exchange, staff_id: str) -> Colleague | None:
    """Somebody by name, on duty or not: whose case it is."""
    row = connection.execute(select(staff, _open_cases()).where(staff.c.id == staff_id)).first()
    return _colleague(keyring, exchange, row) if row and row.removed_at is None else None


def _open_cases() -> Any:
    own = select(func.count()).where(cases.c.owner_id == staff.c.id, cases.c.status == "open")
    return own.scalar_subquery().label("open_cases")


def _colleague(keyring: Keyring, exchange: Exchange, row: Row[Any]) -> Colleague:
    account = account_of(keyring, row)
    known = {way: getattr(account.pages, way) for way in WAYS if way in exchange.channels}
    ways = tuple(Address(way, identifier) for way, identifier in known.items() if identifier)
    return Colleague(row.id, account.language, ways, row.on_duty, full=row.open_cases >= row.most_cases)


def next_of(people: Sequence[Colleague], called: Sequence[str], *, urgent: bool) -> Iterator[Colleague]:
    """Who to try first, second and so on, given the ids of those who were called already. Who was called least often comes
    first; then, unless it is `urgent`, who has a free place; then the order of calling."""
    return iter(sorted(people, key=lambda one: (called.count(one.id), one.full and not urgent)))


def call(
    connection: Connection,
    keyring: Keyring,
    exchange: Exchange,
    colleague: Colleague,
    about: str,
    now: dt.datetime,
    tried: Collection[str] = (),
) -> bool:
    """Calls by the first way that is open and not among `tried` (channels); whether there was one. `about` names the
    occasion: one call by each way."""
    for way in colleague.ways:
        contact = contacts.find_unlocked(connection, keyring, way, now)
        if way.channel in tried or contact.unreachable:
            continue
        words = [render(_words(exchange, colleague.language), CAPABILITIES[way.channel])]
        outbox.say(
            connection, keyring, contact, words,
            dedup=_key(about, colleague, way.channel), author="page", lane=Lane.EMERGENCY, now=now, life=LIFE,
        )  # fmt: skip
        return True
    return False


def failed_ways(connection: Connection, colleague: Colleague, about: str, now: dt.datetime) -> set[str] | None:
    """The channels by which a call did not get through; None where one has, or still may."""
    keys = {f"{_key(about, colleague, way.channel)}:0": way.channel for way in colleague.ways}
    rows = connection.execute(select(messages).where(messages.c.dedup.in_(keys))).all()
    return None if any(_may_arrive(row, now) for row in rows) else {keys[row.dedup] for row in rows}


def _may_arrive(row: Row[Any], now: dt.datetime) -> bool:
    return row.status in _ARRIVED or (row.status in _UNDER_WAY and now - utc(row.created_at) < PATIENCE)


def _key(about: str, colleague: Colleague, channel: str) -> str:
    return f"page:{about}:{colleague.id}:{channel}"


def _words(exchange: Exchange, language: str) -> Reply:
    words = exchange.library.console(language)["page"]
    ending = f" {exchange.console}" if exchange.console else ""
    return Reply(words["text"] + ending, words["sms"] + ending, name="page")
