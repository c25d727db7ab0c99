"""What people who said yes to news want to hear of: province, interest, language, and the clock they live by.

Whether a yes still holds stands in the consents. Province and interest are keyed digests: the database alone tells neither.
"""

import datetime as dt
from collections.abc import Sequence
from functools import cache
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import phonenumbers
from sqlalchemy import Connection, Row, exists, func, select

from bot.contacts import Contact, standing_yes
from bot.messages import ALL, Address
from bot.store.crypto import Keyring
from bot.store.database import insert_of, utc
from bot.store.tables import addresses, consents, subscriptions

Source = Literal["conversation", "paper"]
VIETNAM_OFFSET = 420  # minutes
_TAG = 32  # figures of the digest
_NEAR = 180  # minutes between clocks for which one offset serves


def tag(keyring: Keyring, kind: Literal["province", "interest"], code: str) -> str:
    """By which a code of content/ is known in the table."""
    return keyring.lookup(kind, code)[:_TAG]


def subscribe(
    connection: Connection,
    keyring: Keyring,
    contact: Contact,
    *,
    province: str | None,
    interest: str | None,
    language: str,
    source: Source,
    now: dt.datetime,
    utc_offset: int | None = None,
) -> None:
    """Writes down what was said, after the consent itself. `province`, `interest`: a code, ALL, or None where nothing was said: then
    what was said before stays. `joined_at` is the first yes that still holds."""
    said: dict[str, Any] = {"language": language, "source": source, "joined_at": _joined_at(connection, contact) or now}
    if province is not None:
        said["province"] = None if province == ALL else tag(keyring, "province", province)
    if interest is not None:
        said["interest"] = None if interest == ALL else tag(keyring, "interest", interest)
    if utc_offset is not None:
        said["utc_offset"] = utc_offset
    row = {
        "address_id": contact.id,
        "channel": contact.address.channel,
        "utc_offset": offset_of(contact.address, now),
        **said,
    }
    statement = insert_of(connection.dialect.name, subscriptions).values(**row)
    connection.execute(statement.on_conflict_do_update(index_elements=["address_id"], set_=said))


def write_all(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Many whole rows at once; of somebody who is known, what a row leaves empty stays, and so does the clock."""
    if not rows:
        return
    statement = insert_of(connection.dialect.name, subscriptions)
    kept = {name: func.coalesce(statement.excluded[name], subscriptions.c[name]) for name in ("province", "interest")}
    new = {name: statement.excluded[name] for name in ("language", "source", "joined_at")}
    connection.execute(statement.on_conflict_do_update(index_elements=["address_id"], set_={**kept, **new}), rows)


def counts(connection: Connection) -> Sequence[Row[Any]]:
    """(channel, province tag, how many) of those whose yes holds."""
    holds = exists().where(*standing_yes()).correlate(addresses)
    return connection.execute(
        select(addresses.c.channel, subscriptions.c.province, func.count().label("people"))
        .join_from(subscriptions, addresses)
        .where(holds)
        .group_by(addresses.c.channel, subscriptions.c.province)
    ).all()


def _joined_at(connection: Connection, contact: Contact) -> dt.datetime | None:
    query = (
        select(func.min(consents.c.given_at))
        .join_from(consents, addresses)
        .where(addresses.c.id == contact.id, *standing_yes())
    )
    first = connection.execute(query).scalar()
    return utc(first) if first else None


# -- clocks ------------------------------------------------------------------------------------------------------------


def offset_of(address: Address, now: dt.datetime) -> int:
    """Minutes between UTC and the clock where this address seems to be: of a telephone number, by its country and area. Of several
    clocks, or of winter and summer, the one furthest from Viet Nam's, so that an hour that is fair by both is fair on all; Viet Nam's
    own where they differ by more than three hours, or nothing is known."""
    if address.channel != "sms" or address.identifier.startswith("+84"):
        return VIETNAM_OFFSET
    from phonenumbers import timezone  # large, and needed for numbers from abroad only

    try:
        zones = timezone.time_zones_for_geographical_number(phonenumbers.parse(address.identifier))
    except phonenumbers.NumberParseException:
        return VIETNAM_OFFSET
    found = {offset for zone in zones for offset in _offsets(zone, now.year)}
    if not found or max(found) - min(found) > _NEAR:
        return VIETNAM_OFFSET
    return max(found, key=lambda offset: abs(offset - VIETNAM_OFFSET))


@cache
def _offsets(zone: str, year: int) -> frozenset[int]:
    """Of this clock in January and in July."""
    try:
        clock = ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError):
        return frozenset()
    found = (dt.datetime(year, month, 1, tzinfo=clock).utcoffset() for month in (1, 7))
    return frozenset(int(offset.total_seconds()) // 60 for offset in found if offset is not None)
