"""Who a broadcast is for: counted before, and gone through in steps that may run twice."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Connection,
    Select,
    and_,
    case,
    func,
    literal,
    literal_column,
    select,
)

from bot.delivery import news
from bot.messages import VIETNAM
from bot.store.crypto import Keyring
from bot.store.database import insert_of
from bot.store.tables import addresses, recipients, subscriptions
from bot.subscriptions import tag

CHANNELS = ("telegram", "sms")  # that reach somebody who is not there; the first one wins where a person has both
STEP = 10_000  # addresses
_BOTH = addresses.join(subscriptions, subscriptions.c.address_id == addresses.c.id)


@dataclass(frozen=True)
class Audience:
    """Everybody who said yes to news and fits. Empty provinces or languages: all of them; `interest` None: whatever they wished.

    `provinces`: codes of content/provinces.yml. Days are those of Viet Nam: joined on `joined_from` or later, on `joined_until` or earlier.
    """

    provinces: tuple[str, ...] = ()
    interest: str | None = None
    channels: tuple[str, ...] = CHANNELS
    languages: tuple[str, ...] = ()
    joined_from: dt.date | None = None
    joined_until: dt.date | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "provinces": list(self.provinces),
            "interest": self.interest,
            "channels": list(self.channels),
            "languages": list(self.languages),
            "joined_from": self.joined_from.isoformat() if self.joined_from else None,
            "joined_until": self.joined_until.isoformat() if self.joined_until else None,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Audience":
        first, last = (data[name] and dt.date.fromisoformat(data[name]) for name in ("joined_from", "joined_until"))
        return cls(
            tuple(data["provinces"]), data["interest"], tuple(data["channels"]), tuple(data["languages"]), first, last
        )


@dataclass(frozen=True)
class Count:
    """`people`: by (channel, language), one for each person. `left_out`: by reason; "enough" says that they have had three today."""

    people: Mapping[tuple[str, str], int]
    left_out: Mapping[str, int]

    @property
    def size(self) -> int:
        return sum(self.people.values())


def count(connection: Connection, keyring: Keyring, audience: Audience, now: dt.datetime) -> Count:
    """Who would get it now. Takes seconds where there are a million: give it a connection that nobody waits for."""
    rows = connection.execute(_counting(keyring, audience), news.moment(now)).all()
    people: dict[tuple[str, str], int] = {}
    left_out: dict[str, int] = {}
    for reason, channel, language, number in rows:
        if reason is None:
            people[channel, language] = people.get((channel, language), 0) + number
        else:
            left_out[reason] = left_out.get(reason, 0) + number
    return Count(people, left_out)


def _counting(keyring: Keyring, audience: Audience) -> CompoundSelect[Any]:
    """Reason by reason; of the addresses that one person has linked, only the one that would be chosen."""
    reason = func.coalesce(
        news.left_out(addresses), _literal_if(news.has_had_enough(addresses, addresses.c.id), "enough")
    ).label("reason")
    each = (
        select(reason, addresses.c.channel, subscriptions.c.language, addresses.c.person)
        .select_from(_BOTH)
        .where(fits(keyring, audience))
    )
    linked = each.where(addresses.c.person.is_not(None)).subquery()
    best = func.row_number().over(
        partition_by=[linked.c.person, linked.c.reason.is_(None)], order_by=_rank(linked.c.channel, audience)
    )
    first = select(linked, best.label("nth")).subquery()
    alone = each.where(addresses.c.person.is_(None)).subquery()
    return _numbers(alone).union_all(_numbers(first, first.c.nth == 1))


def _numbers(rows: Any, *conditions: ColumnElement[bool]) -> Select[Any]:
    by = (rows.c.reason, rows.c.channel, rows.c.language)
    return select(*by, func.count()).where(*conditions).group_by(*by)


def _literal_if(condition: ColumnElement[bool], word: str) -> ColumnElement[Any]:
    return case((condition, word), else_=None)


def _rank(channel: Any, audience: Audience) -> ColumnElement[int]:
    return case({name: number for number, name in enumerate(audience.channels)}, value=channel, else_=len(CHANNELS))


def fits(keyring: Keyring, audience: Audience) -> ColumnElement[bool]:
    """Of rows of subscriptions joined with addresses."""
    conditions: list[ColumnElement[bool]] = [subscriptions.c.channel.in_(audience.channels)]
    if audience.provinces:
        wanted = [tag(keyring, "province", code) for code in audience.provinces]
        conditions.append(subscriptions.c.province.in_(wanted))
    if audience.interest:
        named = tag(keyring, "interest", audience.interest)
        conditions.append(subscriptions.c.interest.is_(None) | (subscriptions.c.interest == named))
    if audience.languages:
        conditions.append(subscriptions.c.language.in_(audience.languages))
    if audience.joined_from:
        conditions.append(subscriptions.c.joined_at >= _midnight(audience.joined_from))
    if audience.joined_until:
        conditions.append(subscriptions.c.joined_at < _midnight(audience.joined_until + dt.timedelta(days=1)))
    return and_(*conditions)


def _midnight(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(), VIETNAM).astimezone(dt.UTC)


# -- step by step ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stretch:
    """What one step did. `cursor`: where the next one begins; None at the end. `left_out`: by reason, "linked" among them."""

    cursor: str | None
    added: int
    left_out: Mapping[str, int]


def write_stretch(
    connection: Connection,
    keyring: Keyring,
    audience: Audience,
    broadcast_id: str,
    cursor: str | None,
    starts_at: dt.datetime,
    now: dt.datetime,
    step: int = STEP,
) -> Stretch:
    """The recipients among the next `step` addresses, one channel after the other. The caller keeps the cursor in the same transaction."""
    number, _, after = (cursor or "0:").partition(":")
    if int(number) >= len(audience.channels):
        return Stretch(None, 0, {})
    channel = audience.channels[int(number)]
    here = and_(fits(keyring, audience), subscriptions.c.channel == channel)
    last = _end_of_stretch(connection, and_(here, subscriptions.c.address_id > after), step)
    if last is None:
        return Stretch(f"{int(number) + 1}:", 0, {})
    both = (subscriptions.c.address_id, addresses.c.id)  # said of both, neither is read whole
    there = and_(here, *(one > after for one in both), *(one <= last for one in both))
    left_out, added = _write(connection, there, broadcast_id, starts_at, now)
    fit = left_out.pop("", 0)
    if fit > added:
        left_out["linked"] = fit - added
    return Stretch(f"{number}:{last}", added, left_out)


def _end_of_stretch(connection: Connection, here: ColumnElement[bool], step: int) -> str | None:
    ids = select(subscriptions.c.address_id).select_from(_BOTH).where(here).order_by(subscriptions.c.address_id)
    stretch = ids.limit(step).subquery()
    return connection.execute(select(func.max(stretch.c.address_id))).scalar()


def _write(
    connection: Connection, there: ColumnElement[bool], broadcast_id: str, starts_at: dt.datetime, now: dt.datetime
) -> tuple[dict[str, int], int]:
    """How many are left out by reason ("" for those who are not), and how many rows were added."""
    reason = news.left_out(addresses).label("reason")
    person = func.coalesce(addresses.c.person, addresses.c.id).label("person")
    each = select(addresses.c.id, person, addresses.c.channel, reason).select_from(_BOTH).where(there)
    if connection.dialect.name == "postgresql":  # which looks at each once, and inserts in the same statement
        looked_at = each.cte("looked_at").prefix_with("MATERIALIZED")
        added = _adding(connection, looked_at, broadcast_id, starts_at).returning(recipients.c.person).cte("added")
        found = select(looked_at.c.reason, func.count().label("number")).group_by(looked_at.c.reason)
        number = select(literal_column("'+'"), func.count()).select_from(added)  # type: ignore[var-annotated]
        rows = connection.execute(found.union_all(number), news.moment(now)).all()
        counted = {reason or "": many for reason, many in rows}
        return counted, counted.pop("+")
    these = each.subquery()
    found = select(these.c.reason, func.count().label("number")).group_by(these.c.reason)
    left_out = {reason or "": number for reason, number in connection.execute(found, news.moment(now))}
    if not left_out.get(""):
        return left_out, 0
    adding = _adding(connection, these, broadcast_id, starts_at).execution_options(preserve_rowcount=True)
    return left_out, connection.execute(adding, news.moment(now)).rowcount


def _adding(connection: Connection, looked_at: Any, broadcast_id: str, starts_at: dt.datetime) -> Any:
    """Of a person's addresses the first."""
    chosen = select(
        literal(broadcast_id), looked_at.c.person, looked_at.c.id, looked_at.c.channel, literal_column("'waiting'"),
        literal(starts_at, recipients.c.not_before.type),
    ).where(looked_at.c.reason.is_(None)).order_by(looked_at.c.id)  # fmt: skip
    columns = ["broadcast_id", "person", "address_id", "channel", "status", "not_before"]
    return insert_of(connection.dialect.name, recipients).from_select(columns, chosen).on_conflict_do_nothing()
