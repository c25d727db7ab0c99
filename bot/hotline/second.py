"""What needs a second person: seeing a number, or passing something on, without the person's own yes (S-22).

The one who asks gives a reason; somebody else decides. What is granted holds for an hour and is written down either way. Passing on
without a yes stands on danger to life, and the grant becomes the emergency ground of its purpose (D-07).
"""

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, insert, or_, select, update

from bot.contacts import record_consent
from bot.errors import CaseError
from bot.hotline import keys
from bot.hotline.cases import Case, add_event
from bot.hotline.claims import held, locked, owned
from bot.hotline.keys import CaseKeys, Operator
from bot.store.boxes import open_with, seal_to
from bot.store.crypto import Keyring
from bot.store.database import new_id, utc
from bot.store.tables import cases, consents, requests

REVEAL = "reveal"
SHARES = ("share_111", "share_police", "share_embassy", "share_ngo")
KINDS = (REVEAL, *SHARES)
HOLDS = dt.timedelta(hours=1)
SHORTEST_REASON, LONGEST_REASON = 10, 1000  # characters


@dataclass(frozen=True)
class Request:
    """`reason` is None where this person cannot read the case. `granted` is None while it waits."""

    id: str
    case_id: str
    reference: str
    priority: str
    kind: str
    asked_by: str
    asked_at: dt.datetime
    reason: str | None
    decided_by: str | None
    decided_at: dt.datetime | None
    granted: bool | None
    until: dt.datetime | None


def ask(
    connection: Connection,
    keyring: Keyring,
    operator: Operator,
    reference: str,
    kind: str,
    reason: str,
    now: dt.datetime,
) -> None:
    case, _, _ = owned(connection, keyring, operator, reference)
    reason = reason.strip()
    if kind not in KINDS or not SHORTEST_REASON <= len(reason) <= LONGEST_REASON:
        raise CaseError("reason")
    if any(one.granted is None and one.kind == kind for one in of_case(connection, case, {})):
        raise CaseError("asked_already")
    row_id = new_id()
    sealed = seal_to(case.public_key, reason, _place(row_id))
    row = {"id": row_id, "case_id": case.id, "kind": kind, "asked_by": operator.id, "asked_at": now}
    connection.execute(insert(requests).values(row | {"generation": case.generation, "sealed_reason": sealed}))
    add_event(connection, keyring, case, "second_asked", operator.id, {"kind": kind, "reason": reason}, now)


def decide(
    connection: Connection, keyring: Keyring, supervisor: Operator, request_id: str, *, granted: bool, now: dt.datetime
) -> Case:
    """By anybody but the one who asked; once."""
    reference = connection.execute(
        select(cases.c.reference).join(requests, requests.c.case_id == cases.c.id).where(requests.c.id == request_id)
    ).scalar()
    if reference is None or not supervisor.supervisor:
        raise CaseError("unknown")
    case, contact = locked(connection, keyring, reference)
    row = connection.execute(select(requests).where(requests.c.id == request_id)).one()
    if row.asked_by == supervisor.id:
        raise CaseError("own_request")
    until = now + HOLDS if granted else None
    values = {"decided_by": supervisor.id, "decided_at": now, "granted": granted, "until": until}
    waiting = update(requests).where(requests.c.id == request_id, requests.c.decided_by.is_(None))
    if not connection.execute(waiting.values(values)).rowcount:
        raise CaseError("decided")
    if granted and row.kind in SHARES:
        if contact is None:
            raise CaseError("gone")
        reason = f"danger to life; asked by {row.asked_by}, granted by {supervisor.id}"
        record_consent(
            connection, keyring, contact, purpose=row.kind, basis="emergency", reason=reason[:120], now=now
        )  # fmt: skip
    kind = "second_granted" if granted else "second_refused"
    add_event(connection, keyring, case, kind, supervisor.id, {"kind": row.kind}, now)
    return case


def of_case(connection: Connection, case: Case, case_keys: CaseKeys) -> list[Request]:
    rows = connection.execute(_ALL.where(requests.c.case_id == case.id).order_by(requests.c.asked_at))
    return [_request(row, case_keys) for row in rows]


def waiting(connection: Connection, supervisor: Operator) -> list[Request]:
    """What somebody has to decide, the oldest first."""
    rows = connection.execute(_ALL.where(requests.c.decided_by.is_(None)).order_by(requests.c.asked_at)).all()
    return [_request(row, keys.keys_of(connection, row.case_id, supervisor)) for row in rows]


def count_waiting(connection: Connection, staff_id: str) -> int:
    """How many of them this person may decide."""
    query = select(func.count()).select_from(requests)
    return int(
        connection.execute(query.where(requests.c.decided_by.is_(None), requests.c.asked_by != staff_id)).scalar_one()
    )


def decided(connection: Connection, limit: int = 20) -> list[Request]:
    """What has been decided lately, without the reasons."""
    rows = connection.execute(
        _ALL.where(requests.c.decided_by.is_not(None)).order_by(requests.c.decided_at.desc()).limit(limit)
    )
    return [_request(row, {}) for row in rows]


def ground_of(
    connection: Connection,
    case: Case,
    purpose: str,
    now: dt.datetime,
    bases: Collection[str] = ("consent", "emergency"),
) -> str | None:
    """The id of the consent, or of the emergency granted within the hour, by which this may be passed on; None: it may not.
    A yes that was given for a later case is none for this one."""
    if case.address_id is None:
        return None
    given = select(consents.c.id).where(
        consents.c.address_id == case.address_id,
        consents.c.purpose == purpose,
        consents.c.basis.in_(bases),
        or_(consents.c.basis == "consent", consents.c.given_at > now - HOLDS),
        consents.c.withdrawn_at.is_(None),
        consents.c.given_at >= case.opened_at,
    )
    if case.ended_at is not None:
        given = given.where(consents.c.given_at <= case.ended_at)
    return connection.execute(given.order_by(consents.c.given_at.desc()).limit(1)).scalar()


def reveal(connection: Connection, keyring: Keyring, operator: Operator, reference: str, now: dt.datetime) -> str:
    """The person's number or chat id, with their yes or with a grant that still holds. CaseError: no_yes."""
    case, contact, _ = held(connection, keyring, operator, reference)
    if contact is None:
        raise CaseError("gone")
    if not may_reveal(connection, case, operator, now):
        raise CaseError("no_yes")
    add_event(connection, keyring, case, "revealed", operator.id, {}, now)
    return contact.address.identifier


def may_reveal(connection: Connection, case: Case, operator: Operator, now: dt.datetime) -> bool:
    granted = any(
        one.kind == REVEAL and one.granted and one.asked_by == operator.id and one.until and one.until > now
        for one in of_case(connection, case, {})
    )
    return granted or ground_of(connection, case, REVEAL, now) is not None


_ALL = select(requests, cases.c.reference, cases.c.priority).join(cases, cases.c.id == requests.c.case_id)


def _request(row: Any, case_keys: CaseKeys) -> Request:
    private = case_keys.get(row.generation)
    return Request(
        id=row.id,
        case_id=row.case_id,
        reference=row.reference,
        priority=row.priority,
        kind=row.kind,
        asked_by=row.asked_by,
        asked_at=utc(row.asked_at),
        reason=open_with(private, row.sealed_reason, _place(row.id)) if private else None,
        decided_by=row.decided_by,
        decided_at=utc(row.decided_at) if row.decided_at else None,
        granted=row.granted,
        until=utc(row.until) if row.until else None,
    )


def _place(request_id: str) -> str:
    return f"requests|{request_id}|sealed_reason"
