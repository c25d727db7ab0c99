"""The queue as the console shows it: the gravest first, minors before others, then who has waited longest (S-23, S-27).

Nothing here names anybody, and nothing is read from inside a case.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, and_, case, func, or_, select

from bot.hotline.cases import PERSON, Case, read_row
from bot.store.crypto import Keyring
from bot.store.database import utc
from bot.store.tables import addresses, case_clues, case_messages, case_steps, cases

Shown = Literal["waiting", "mine", "open", "ended"]
AT_ONCE = 50  # rows of a page


@dataclass(frozen=True)
class QueueRow:
    """One line. `waits_for_answer`: the person's word was the last. `held`: they left, and nothing reaches them until they write."""

    case: Case
    waiting_since: dt.datetime
    due_at: dt.datetime
    pages: int
    linked: int
    waits_for_answer: bool
    held: bool


@dataclass(frozen=True)
class Waiting:
    """Unclaimed cases of one priority."""

    priority: str
    count: int
    longest_since: dt.datetime | None


def rows(
    connection: Connection,
    keyring: Keyring,
    shown: Shown,
    *,
    me: str | None = None,
    claim_within: Mapping[str, dt.timedelta],
    page: int = 1,
) -> list[QueueRow]:
    """One page of lines. `claim_within`: priority -> how soon somebody should have claimed it (S-28)."""
    order = (
        [cases.c.ended_at.desc()] if shown == "ended" else [cases.c.priority, cases.c.minor.desc(), cases.c.opened_at]
    )
    query = _ROWS.where(_shown(shown, me)).order_by(*order).limit(AT_ONCE).offset((page - 1) * AT_ONCE)
    return _lines(connection, keyring, query, claim_within)


def find(
    connection: Connection, keyring: Keyring, reference: str, *, claim_within: Mapping[str, dt.timedelta]
) -> list[QueueRow]:
    """The case of this reference, open or ended."""
    return _lines(connection, keyring, _ROWS.where(cases.c.reference == reference.strip().upper()), claim_within)


_ROWS = select(cases, addresses.c.silent_since).outerjoin(addresses, addresses.c.id == cases.c.address_id)


def _lines(
    connection: Connection, keyring: Keyring, query: Any, claim_within: Mapping[str, dt.timedelta]
) -> list[QueueRow]:
    found = connection.execute(query).all()
    ids = [row.id for row in found]
    pages, linked, last = _pages(connection, ids), _linked(connection, ids), _last_author(connection, ids)
    return [
        QueueRow(
            one := read_row(keyring, row),
            waiting_since=one.opened_at,
            due_at=one.opened_at + claim_within[one.priority],
            pages=pages.get(one.id, 0),
            linked=linked.get(one.id, 0),
            waits_for_answer=last.get(one.id) == PERSON,
            held=row.silent_since is not None,
        )
        for row in found
    ]


def count(connection: Connection, shown: Shown, me: str | None = None) -> int:
    query = select(func.count()).select_from(cases).where(_shown(shown, me))
    return int(connection.execute(query).scalar_one())


def waiting(connection: Connection) -> list[Waiting]:
    """How many wait unclaimed, and since when, by priority."""
    found = connection.execute(
        select(cases.c.priority, func.count(), func.min(cases.c.opened_at))
        .where(_shown("waiting", None))
        .group_by(cases.c.priority)
    )
    known = {priority: Waiting(priority, number, utc(since)) for priority, number, since in found}
    return [known.get(priority, Waiting(priority, 0, None)) for priority in ("P0", "P1", "P2", "P3")]


def unanswered(connection: Connection, owner: str) -> int:
    """How many of somebody's open cases have the person's word as the last."""
    mine = list(connection.execute(select(cases.c.id).where(_shown("mine", owner))).scalars())
    return sum(who == PERSON for who in _last_author(connection, mine).values())


def loads(connection: Connection) -> dict[str, int]:
    """Staff id -> how many open cases are in these hands (S-35)."""
    found = connection.execute(
        select(cases.c.owner_id, func.count())
        .where(cases.c.status == "open", cases.c.owner_id.is_not(None))
        .group_by(cases.c.owner_id)
    )
    return {row[0]: row[1] for row in found}


def _shown(shown: Shown, me: str | None) -> ColumnElement[bool]:
    is_open = cases.c.status == "open"
    conditions: dict[Shown, ColumnElement[bool]] = {
        "waiting": and_(is_open, cases.c.owner_id.is_(None)),
        "mine": and_(is_open, cases.c.owner_id == me),
        "open": is_open,
        "ended": or_(cases.c.status == "closed", cases.c.status == "erased"),
    }
    return conditions[shown]


def _pages(connection: Connection, ids: Sequence[str]) -> dict[str, int]:
    return _counted(
        connection, case_steps.c.case_id, and_(case_steps.c.case_id.in_(ids), case_steps.c.step.like("%.page%"))
    )


def _counted(connection: Connection, column: Any, where: ColumnElement[bool]) -> dict[str, int]:
    found = connection.execute(select(column, func.count()).where(where).group_by(column))
    return {row[0]: row[1] for row in found}


def _linked(connection: Connection, ids: Sequence[str]) -> dict[str, int]:
    """Case -> how many other cases share a clue with it."""
    other = case_clues.alias("other")
    found = connection.execute(
        select(case_clues.c.case_id, func.count(other.c.case_id.distinct()))
        .join(other, and_(other.c.lookup == case_clues.c.lookup, other.c.case_id != case_clues.c.case_id))
        .where(case_clues.c.case_id.in_(ids))
        .group_by(case_clues.c.case_id)
    )
    return {row[0]: row[1] for row in found}


def _last_author(connection: Connection, ids: Sequence[str]) -> dict[str, str]:
    latest = (
        select(case_messages.c.case_id, func.max(case_messages.c.position).label("position"))
        .where(case_messages.c.case_id.in_(ids))
        .group_by(case_messages.c.case_id)
        .subquery()
    )
    same = and_(case_messages.c.case_id == latest.c.case_id, case_messages.c.position == latest.c.position)
    author = case((case_messages.c.author == PERSON, PERSON), else_="operator")
    found = connection.execute(select(case_messages.c.case_id, author).join(latest, same))
    return {row[0]: row[1] for row in found}
