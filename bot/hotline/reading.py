"""A case as its people read it: timeline, words, linked cases. Opening it leaves a row in the audit chain."""

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, select

from bot import audit
from bot.errors import KeyringError
from bot.hotline.cases import Case
from bot.hotline.keys import CaseKeys
from bot.store.boxes import open_with
from bot.store.crypto import Keyring
from bot.store.database import utc
from bot.store.tables import audit as audit_rows
from bot.store.tables import case_clues, case_events, case_messages, cases, outbox

READS = ("read", "words_forgotten")  # what stands in the audit chain and is no event of the case
MOST_LINKED = 50  # the newest
VISIT = dt.timedelta(minutes=10)  # within which looking again belongs to the same visit


@dataclass(frozen=True)
class CaseEvent:
    """`body` is None where it was sealed before this person held the case, to a key that they never got."""

    at: dt.datetime
    kind: str
    actor: str
    body: Mapping[str, object] | None


@dataclass(frozen=True)
class Words:
    """What one side said. `delivery`: what became of an operator's words; None for the person's and for what left long ago."""

    id: str
    at: dt.datetime
    author: str
    text: str | None
    delivery: str | None = None
    error: str | None = None


@dataclass(frozen=True)
class Linked:
    """Another case with the same recruiter's number, account, link or company, or of the same line."""

    reference: str
    priority: str
    status: str
    kinds: tuple[str, ...]


def visit(connection: Connection, keyring: Keyring, case: Case, actor: str, now: dt.datetime) -> None:
    """Writes down that somebody reads this case, once a visit."""
    lately = select(audit_rows.c.position).where(
        audit_rows.c.case_id == case.id,
        audit_rows.c.actor == actor,
        audit_rows.c.action == "read",
        audit_rows.c.at > now - VISIT,
    )
    if connection.execute(lately.limit(1)).first() is None:
        audit.record(connection, keyring, actor=actor, action="read", case_id=case.id, now=now)


def timeline(connection: Connection, case: Case, case_keys: CaseKeys) -> list[CaseEvent]:
    """Every change and every reading, in order."""
    rows = connection.execute(
        select(case_events).where(case_events.c.case_id == case.id).order_by(case_events.c.position)
    )
    events = [
        CaseEvent(
            utc(row.at), row.kind, row.actor, _opened(case_keys, row.generation, row.sealed_body, "case_events", row.id)
        )
        for row in rows
    ]
    read = audit_rows.c.case_id == case.id, audit_rows.c.action.in_(READS)
    reads = [
        CaseEvent(utc(row.at), row.action, row.actor, {}) for row in connection.execute(select(audit_rows).where(*read))
    ]
    return sorted([*events, *reads], key=lambda event: event.at)


def words(connection: Connection, case: Case, case_keys: CaseKeys) -> list[Words]:
    rows = connection.execute(
        select(case_messages, outbox.c.status, outbox.c.error)
        .outerjoin(outbox, outbox.c.id == case_messages.c.outbox_id)
        .where(case_messages.c.case_id == case.id)
        .order_by(case_messages.c.position)
    )
    return [
        Words(
            row.id, utc(row.at), row.author,
            _text(_opened(case_keys, row.generation, row.sealed_body, "case_messages", row.id)),
            row.status, row.error,
        )
        for row in rows
    ]  # fmt: skip


def summary(events: list[CaseEvent]) -> Mapping[str, object]:
    """The newest summary that an operator wrote."""
    return next((event.body for event in reversed(events) if event.kind == "summary" and event.body), {})


def linked(connection: Connection, case: Case) -> list[Linked]:
    """Cases that share a clue with this one, and earlier cases of the same line."""
    own = select(case_clues.c.lookup).where(case_clues.c.case_id == case.id)
    shared = (
        select(cases.c.reference, cases.c.priority, cases.c.status, case_clues.c.kind)
        .join(cases, cases.c.id == case_clues.c.case_id)
        .where(case_clues.c.lookup.in_(own), case_clues.c.case_id != case.id)
        .order_by(cases.c.opened_at.desc())
        .limit(MOST_LINKED)
    )
    found: dict[str, Linked] = {}
    for row in connection.execute(shared):
        kinds = found[row.reference].kinds if row.reference in found else ()
        found[row.reference] = Linked(row.reference, row.priority, row.status, tuple(dict.fromkeys([*kinds, row.kind])))
    if case.address_id:
        same = select(cases).where(cases.c.address_id == case.address_id, cases.c.id != case.id)
        same = same.order_by(cases.c.opened_at.desc()).limit(MOST_LINKED)
        for row in connection.execute(same):
            found.setdefault(row.reference, Linked(row.reference, row.priority, row.status, ("line",)))
    return sorted(found.values(), key=lambda one: (one.status != "open", one.priority, one.reference))


def _opened(
    case_keys: CaseKeys, generation: int, sealed: bytes, table: str, row_id: str
) -> Mapping[str, object] | None:
    private = case_keys.get(generation)
    if private is None:
        return None
    body = json.loads(open_with(private, sealed, f"{table}|{row_id}|sealed_body"))
    if not isinstance(body, dict):
        raise KeyringError("A sealed row holds what no version of ours wrote: the database was changed by hand.")
    return body


def _text(body: Mapping[str, object] | None) -> str | None:
    return str(body["text"]) if body else None
