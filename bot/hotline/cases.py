"""Cases and their timeline. Opened by the conversation; every change leaves an event; contents are sealed."""

import datetime as dt
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, case, delete, func, insert, select, update
from sqlalchemy.engine import Row

from bot.contacts import Contact, record_consent
from bot.conversation.events import CaseExtended, CaseRequested
from bot.store.crypto import Keyring
from bot.store.database import new_id, utc
from bot.store.tables import case_events, cases

PURPOSE = "help"
_OPEN = select(cases.c.id).where(cases.c.address_id == bindparam("person"), cases.c.status == "open")
_REFERENCE_LETTERS = "23456789ABCDEFGHJKMNPQRSTVWXYZ"


@dataclass(frozen=True)
class CaseSummary:
    """A line of the queue: nothing here names anybody."""

    reference: str
    kind: str
    priority: str
    status: str
    country: str | None
    about: str
    minor: bool
    watched: bool
    flags: tuple[str, ...]
    opened_at: dt.datetime
    updated_at: dt.datetime


@dataclass(frozen=True)
class CaseEvent:
    at: dt.datetime
    kind: str
    body: Mapping[str, object]


def open_case(
    connection: Connection,
    keyring: Keyring,
    contact: Contact,
    requested: CaseRequested,
    consent_id: str | None,
    now: dt.datetime,
) -> str:
    """Opens a case, or joins the person's open one; its id. An emergency writes its own ground in place of a consent."""
    open_id = open_case_of(connection, contact)
    if open_id:
        _raise_priority(connection, open_id, requested.priority, now)
        _enrich(connection, open_id, requested, now)
        _add_words(connection, keyring, open_id, requested.words, now)
        return open_id
    consent_id = consent_id or record_consent(
        connection, keyring, contact, purpose=PURPOSE, basis=requested.basis, reason=requested.reason, now=now
    )
    case_id = new_id()
    connection.execute(
        insert(cases).values(
            id=case_id,
            reference="".join(secrets.choice(_REFERENCE_LETTERS) for _ in range(6)),
            address_id=contact.id,
            consent_id=consent_id,
            purpose=PURPOSE,
            kind=requested.kind,
            priority=requested.priority,
            status="open",
            country=requested.country,
            about=requested.about,
            minor=requested.minor,
            watched=requested.watched,
            flags=json.dumps(requested.flags),
            opened_at=now,
            updated_at=now,
        )
    )
    _add_event(connection, keyring, case_id, "opened", {"basis": requested.basis, "reason": requested.reason}, now)
    _add_words(connection, keyring, case_id, requested.words, now)
    return case_id


def extend_case(
    connection: Connection, keyring: Keyring, contact: Contact, extended: CaseExtended, now: dt.datetime
) -> None:
    """Adds to the person's open case; without one there is nothing to add to."""
    case_id = open_case_of(connection, contact)
    if case_id is None:
        return
    _add_words(connection, keyring, case_id, extended.words, now)
    facts = dict(extended.facts)
    if priority := facts.pop("priority", None):
        _raise_priority(connection, case_id, priority, now)
    if facts:
        _add_event(connection, keyring, case_id, "answer", facts, now)
    _enrich(connection, case_id, extended, now)


def _enrich(connection: Connection, case_id: str, more: CaseRequested | CaseExtended, now: dt.datetime) -> None:
    """What is newly known; what was known stays."""
    known = json.loads(connection.execute(select(cases.c.flags).where(cases.c.id == case_id)).scalar_one())
    changes: dict[str, object] = {"updated_at": now, "flags": json.dumps(list(dict.fromkeys([*known, *more.flags])))}
    if more.minor:
        changes["minor"] = True
    if more.watched:
        changes["watched"] = True
    if more.country:
        changes["country"] = more.country
    connection.execute(update(cases).where(cases.c.id == case_id).values(**changes))


def open_case_of(connection: Connection, contact: Contact) -> str | None:
    return connection.execute(_OPEN, {"person": contact.id}).scalar()


def erase_cases(connection: Connection, keyring: Keyring, contact: Contact, now: dt.datetime) -> None:
    """The person's words and answers go; that a case was there, and how grave, stays without them."""
    for (case_id,) in connection.execute(select(cases.c.id).where(cases.c.address_id == contact.id)).all():
        connection.execute(delete(case_events).where(case_events.c.case_id == case_id))
        connection.execute(
            update(cases)
            .where(cases.c.id == case_id)
            .values(status="erased", address_id=None, flags="[]", country=None, about="", updated_at=now)
        )
        _add_event(connection, keyring, case_id, "erased", {"by": "the person"}, now)


def queue(connection: Connection, *, include_ended: bool = False) -> list[CaseSummary]:
    """The gravest first, then who has waited longest (S-27)."""
    query = select(cases).order_by(case((cases.c.status == "open", 0), else_=1), cases.c.priority, cases.c.opened_at)
    if not include_ended:
        query = query.where(cases.c.status == "open")
    return [_summary(row) for row in connection.execute(query)]


def show(connection: Connection, keyring: Keyring, reference: str) -> tuple[CaseSummary, list[CaseEvent]] | None:
    """One case with its timeline; reading it leaves an event too."""
    row = connection.execute(select(cases).where(cases.c.reference == reference.upper())).first()
    if row is None:
        return None
    _add_event(connection, keyring, row.id, "read", {"by": "command line"}, dt.datetime.now(dt.UTC))
    events = connection.execute(
        select(case_events).where(case_events.c.case_id == row.id).order_by(case_events.c.position)
    ).all()
    return _summary(row), [
        CaseEvent(
            utc(event.at),
            event.kind,
            json.loads(keyring.open(event.sealed_body, f"case_events|{event.id}|sealed_body")),
        )
        for event in events
    ]


def _summary(row: Row[tuple[object, ...]]) -> CaseSummary:
    fields = row._mapping
    return CaseSummary(
        **{
            name: fields[name]
            for name in ("reference", "kind", "priority", "status", "country", "about", "minor", "watched")
        },
        flags=tuple(json.loads(fields["flags"])),
        opened_at=utc(fields["opened_at"]),
        updated_at=utc(fields["updated_at"]),
    )


def _raise_priority(connection: Connection, case_id: str, priority: str, now: dt.datetime) -> None:
    """Never lowered by a machine."""
    connection.execute(
        update(cases)
        .where(cases.c.id == case_id, cases.c.priority > priority)
        .values(priority=priority, updated_at=now)
    )


def _add_words(connection: Connection, keyring: Keyring, case_id: str, words: Sequence[str], now: dt.datetime) -> None:
    for text in words:
        _add_event(connection, keyring, case_id, "message", {"text": text}, now)


def _add_event(
    connection: Connection, keyring: Keyring, case_id: str, kind: str, body: Mapping[str, object], now: dt.datetime
) -> None:
    position = connection.execute(
        select(func.coalesce(func.max(case_events.c.position), 0) + 1).where(case_events.c.case_id == case_id)
    ).scalar_one()
    row_id = new_id()
    sealed = keyring.seal(json.dumps(body, ensure_ascii=False), f"case_events|{row_id}|sealed_body")
    connection.execute(
        insert(case_events).values(id=row_id, case_id=case_id, position=position, kind=kind, sealed_body=sealed, at=now)
    )
