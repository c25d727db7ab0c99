"""Who may get news, and when, as conditions of the store: the same ones wherever an audience is counted, handed on or sent to.

Statements that use them bind `now` and `minute`, which `moment` gives. Hours and number are those of Decree 91/2020.
"""

import datetime as dt
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, case, exists, func, literal_column, or_, select

from bot import contacts
from bot.messages import Lane
from bot.store import tables as t

OPEN_FROM, OPEN_UNTIL = 7 * 60, 22 * 60  # minutes of the day
MOST_A_DAY = 3
DAY = dt.timedelta(hours=24)
VIETNAM_OFFSET = 420  # minutes

_NEWS: ColumnElement[int] = literal_column(str(int(Lane.BROADCAST)))
_LEFT = ("sending", "sent", "delivered", "undelivered", "uncertain")  # may have been received


def moment(now: dt.datetime) -> dict[str, Any]:
    """What the conditions compare with."""
    return {"now": now, "minute": _utc_minute(now), "yesterday": now - DAY}


def _utc_minute(now: dt.datetime) -> int:
    there = now.astimezone(dt.UTC)
    return there.hour * 60 + there.minute


def is_open(now: dt.datetime, offset: int = VIETNAM_OFFSET) -> bool:
    """Whether it is a fair hour in Viet Nam and by the clock that is `offset` minutes ahead of UTC."""
    return all(OPEN_FROM <= (_utc_minute(now) + one) % 1440 < OPEN_UNTIL for one in (VIETNAM_OFFSET, offset))


def next_opening(now: dt.datetime, offset: int = VIETNAM_OFFSET) -> dt.datetime | None:
    """The first full minute, now or later, that is open; None where the two clocks have no fair hour in common."""
    if is_open(now, offset):
        return now
    start = now.replace(second=0, microsecond=0)
    later = (start + dt.timedelta(minutes=number) for number in range(1, 1441))
    return next((one for one in later if is_open(one, offset)), None)


def wants(addresses: Any) -> ColumnElement[bool]:
    """S-09: a yes to news that still holds, and after a case a new one."""
    return exists().where(*contacts.standing_yes(addresses)).correlate(addresses)


def left_out(addresses: Any) -> ColumnElement[str | None]:
    """Why somebody gets no news, the gravest reason first; NULL where nothing is in the way."""
    other = t.addresses.alias("other")
    is_open_case = t.cases.c.status == literal_column("'open'")
    own_case = exists().where(t.cases.c.address_id == addresses.c.id, is_open_case).correlate(addresses)
    theirs = (t.cases.c.address_id == other.c.id, other.c.person == addresses.c.person)
    linked_case = exists().where(*theirs, is_open_case).correlate(addresses)
    has_case = or_(own_case, and_(addresses.c.person.is_not(None), linked_case))
    return case(
        (addresses.c.silent_since.is_not(None), "watched"),
        (has_case, "case"),
        (and_(addresses.c.helped_at.is_not(None), ~wants(addresses)), "case"),
        (or_(addresses.c.leaving_since.is_not(None), ~wants(addresses)), "opted_out"),
        (is_listed(addresses), "do_not_call"),
        (addresses.c.unreachable_since.is_not(None), "bad_address"),
        else_=None,
    )


def is_listed(addresses: Any) -> ColumnElement[bool]:
    listed = exists().where(t.do_not_call.c.lookup == addresses.c.lookup).correlate(addresses)
    return and_(addresses.c.channel == "sms", listed)


def has_had_enough(of: Any, address_id: Any) -> ColumnElement[bool]:
    """Three that may have arrived within 24 hours, whatever they were about. `address_id`: a column of `of`."""
    earlier = t.outbox.alias("had")
    had = select(func.count()).where(
        earlier.c.address_id == address_id,
        earlier.c.lane == _NEWS,
        earlier.c.status.in_([literal_column(f"'{status}'") for status in _LEFT]),
        or_(earlier.c.done_at.is_(None), earlier.c.done_at > bindparam("yesterday")),
    )
    return had.correlate(of).scalar_subquery() >= MOST_A_DAY


def went_elsewhere(outbox: Any, addresses: Any, *, or_is_held: bool = False) -> ColumnElement[bool]:
    """Of a row of a broadcast and its address: it may have arrived on another line of this person. Both may have lain ready when
    they were linked. `or_is_held`: or it is about to leave there; of two in hand at the same moment one gives way."""
    other, theirs = t.outbox.alias("on_other_line"), t.addresses.alias("other_line")
    went: ColumnElement[bool] = other.c.status.in_([literal_column(f"'{status}'") for status in _LEFT])
    if or_is_held:
        went = or_(went, and_(other.c.status == literal_column("'claimed'"), other.c.id < outbox.c.id))
    there = exists().where(
        theirs.c.person == addresses.c.person,
        theirs.c.id != addresses.c.id,
        other.c.address_id == theirs.c.id,
        other.c.broadcast_id.concat("") == outbox.c.broadcast_id,  # by the address: its key would go through everybody
        went,
    )
    return and_(addresses.c.person.is_not(None), there.correlate(outbox, addresses))


def may_leave(outbox: Any) -> ColumnElement[bool]:
    """Of a row of a broadcast: it runs, is true still, the hour is fair, and the person has not had enough, nor it elsewhere."""
    own = (t.broadcasts.c.id == outbox.c.broadcast_id, t.broadcasts.c.status == literal_column("'running'"))
    running = exists().where(*own, t.broadcasts.c.valid_until > bindparam("now")).correlate(outbox)
    urgent = exists().where(*own, t.broadcasts.c.urgent).correlate(outbox)
    person = t.addresses.alias("person_of_news")
    is_barred = or_(left_out(person).is_not(None), went_elsewhere(outbox, person, or_is_held=True))
    barred = exists().where(person.c.id == outbox.c.address_id, is_barred).correlate(outbox)
    return and_(running, or_(urgent, _fair_hour(outbox)), ~barred, ~has_had_enough(outbox, outbox.c.address_id))


def _fair_hour(outbox: Any) -> ColumnElement[bool]:
    theirs = select(t.subscriptions.c.utc_offset).where(t.subscriptions.c.address_id == outbox.c.address_id)
    offset = func.coalesce(theirs.correlate(outbox).scalar_subquery(), VIETNAM_OFFSET)
    return and_(_is_open_at(literal_column(str(VIETNAM_OFFSET))), _is_open_at(offset))


def _is_open_at(offset: Any) -> ColumnElement[bool]:
    there = (bindparam("minute") + offset + 1440) % 1440
    return and_(there >= OPEN_FROM, there < OPEN_UNTIL)
