"""How long people waited for somebody, by priority: of the cases that were opened lately, as they stand now.

A wait ends where somebody first has the case in hand; it is counted by the clock, closed hours and all. A case counts as what it is now:
one that was raised counts among the graver ones from its beginning. Cases whose person took everything back before anybody could
look count as opened, and neither as in time nor as late.
"""

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from bot.store.database import utc
from bot.store.tables import case_events, cases

TAKEN = ("claimed", "handed_over", "assigned")  # events with which a case comes into somebody's hands
NOBODY_CAME = "nobody_came"
PRIORITIES = ("P0", "P1", "P2", "P3")


@dataclass(frozen=True)
class Waits:
    """Of one priority. `in_time`, `late`: claimed within the target or not, also where nobody has claimed it yet; `median`, `most_waited`: of those
    that were claimed; `most_waited` is what nine of ten did not wait longer than. `nobody_came`: people who were told so."""

    priority: str
    target: dt.timedelta
    opened: int
    in_time: int
    late: int
    median: dt.timedelta | None
    most_waited: dt.timedelta | None
    nobody_came: int
    ended: int


@dataclass(frozen=True)
class _Case:
    opened: dt.datetime
    taken: dt.datetime | None
    waits: bool
    alone: bool

    def late(self, target: dt.timedelta, now: dt.datetime) -> bool:
        if self.taken:
            return self.taken - self.opened > target
        return self.waits and now - self.opened > target

    def in_time(self, target: dt.timedelta) -> bool:
        return self.taken is not None and self.taken - self.opened <= target


def waits(connection: Connection, claim_within: Mapping[str, dt.timedelta], now: dt.datetime, days: int) -> list[Waits]:
    """Of cases opened within so many days, from the gravest on; `ended` counts those that were closed within them, whenever opened."""
    since = now - dt.timedelta(days=days)
    opened, ended = _opened(connection, since), _ended(connection, since)
    return [
        _waits(one, claim_within[one], opened.get(one, []), ended.get(one, 0), now)
        for one in PRIORITIES
    ]  # fmt: skip


def _waits(priority: str, target: dt.timedelta, found: Sequence[_Case], ended: int, now: dt.datetime) -> Waits:
    lasted = sorted(one.taken - one.opened for one in found if one.taken)
    return Waits(
        priority,
        target,
        opened=len(found),
        in_time=sum(one.in_time(target) for one in found),
        late=sum(one.late(target, now) for one in found),
        median=_at(lasted, 0.5),
        most_waited=_at(lasted, 0.9),
        nobody_came=sum(one.alone for one in found),
        ended=ended,
    )


def _at(lasted: Sequence[dt.timedelta], share: float) -> dt.timedelta | None:
    """What this share of them did not wait longer than: one that was waited, never a value between two."""
    return lasted[math.ceil(share * len(lasted)) - 1] if lasted else None


def _opened(connection: Connection, since: dt.datetime) -> dict[str, list[_Case]]:
    """Where the events are gone with what was told, the case's own row still knows when it was claimed."""
    rows = connection.execute(
        select(cases.c.id, cases.c.priority, cases.c.status, cases.c.owner_id, cases.c.opened_at, cases.c.claimed_at)
        .where(cases.c.opened_at >= since)
    ).all()  # fmt: skip
    taken = _first(connection, TAKEN, since)
    alone = _first(connection, (NOBODY_CAME,), since)
    found: dict[str, list[_Case]] = {}
    for row in rows:
        first = taken.get(row.id, row.claimed_at)
        case = _Case(
            opened=utc(row.opened_at),
            taken=utc(first) if first else None,
            waits=row.status == "open" and row.owner_id is None,
            alone=row.id in alone,
        )
        found.setdefault(row.priority, []).append(case)
    return found


def _first(connection: Connection, kinds: Sequence[str], since: dt.datetime) -> dict[str, dt.datetime]:
    """Case -> when the first event of these kinds was."""
    query = (
        select(case_events.c.case_id, func.min(case_events.c.at))
        .join(cases, cases.c.id == case_events.c.case_id)
        .where(cases.c.opened_at >= since, case_events.c.kind.in_(kinds))
        .group_by(case_events.c.case_id)
    )
    return {row[0]: row[1] for row in connection.execute(query)}


def _ended(connection: Connection, since: dt.datetime) -> dict[str, int]:
    query = (
        select(cases.c.priority, func.count())
        .where(cases.c.status == "closed", cases.c.ended_at >= since)
        .group_by(cases.c.priority)
    )
    return {row[0]: row[1] for row in connection.execute(query)}
