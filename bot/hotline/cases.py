"""Cases as the bot writes them: opened by the conversation, joined by what the person writes next, erased on their word.

What the queue must show (country, signs, whom it is about) is sealed with the keyring, in closed words. Everything else is sealed
to the case's own key, which the bot does not hold (bot/hotline/keys.py). Every change is an event of the case and a row of the
audit chain. The words of both sides are kept apart from the timeline, and for less long (S-14).
"""

import datetime as dt
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from bot import audit
from bot.contacts import Contact, record_consent
from bot.conversation.events import CaseExtended, CaseRequested
from bot.delivery import outbox
from bot.hotline import keys
from bot.letters import fold
from bot.store.boxes import seal_to
from bot.store.crypto import Keyring
from bot.store.database import insert_unless_there, new_id, utc
from bot.store.tables import (
    case_clues,
    case_events,
    case_messages,
    case_steps,
    cases,
    consents,
    handoffs,
    requests,
)

PURPOSE = "help"
PERSON, BOT, CLOCK = "person", "bot", "clock"
LONGEST_CODE = 3  # words
TOLD_OF_DANGER = "the person told of danger to life or freedom"
_OPEN = select(cases).where(cases.c.address_id == bindparam("person"), cases.c.status == "open").with_for_update()
_REFERENCE_LETTERS = "23456789ABCDEFGHJKMNPQRSTVWXYZ"


@dataclass(frozen=True)
class Facts:
    """What the queue shows, in closed words: a country's code, names of signs, self or other."""

    country: str | None = None
    about: str = "self"
    flags: tuple[str, ...] = ()
    watched: bool = False


@dataclass(frozen=True)
class Case:
    """One row, with its facts opened. `paused_at`: since then it is not known who writes (S-11)."""

    id: str
    reference: str
    kind: str
    priority: str
    minor: bool
    status: str
    outcome: str | None
    facts: Facts
    generation: int
    public_key: bytes
    address_id: str | None
    consent_id: str
    owner_id: str | None
    claimed_at: dt.datetime | None
    relay_since: dt.datetime | None
    heard_at: dt.datetime | None
    paused_at: dt.datetime | None
    code_lookup: str | None
    asking: str | None
    opened_at: dt.datetime
    updated_at: dt.datetime
    ended_at: dt.datetime | None

    def __repr__(self) -> str:
        return f"Case({self.reference!r})"


# -- finding -----------------------------------------------------------------------------------------------------------


def open_case_of(connection: Connection, keyring: Keyring, contact: Contact) -> Case | None:
    """The person's open case. Whoever calls holds the lock of their address."""
    row = connection.execute(_OPEN, {"person": contact.id}).first()
    return to_write(connection, keyring, row) if row else None


def to_write(connection: Connection, keyring: Keyring, row: Any) -> Case:
    """A case into which something may be written. Where somebody has put another public key there, it first gets a new one:
    what the person writes goes to nobody else, and is not lost."""
    case = read_row(keyring, row)
    if case.public_key or case.status == "erased":
        return case
    generation, public = keys.mend(connection, keyring, row)
    return replace(case, generation=generation, public_key=public)


def read_row(keyring: Keyring, row: Any) -> Case:
    """`public_key` is empty, so that nothing can be sealed to it, where it is not the one that we wrote."""
    fields = dict(row._mapping)
    fields["public_key"] = row.public_key if keys.is_proven(keyring, row) else b""
    values = {name: fields[name] for name in Case.__dataclass_fields__ if name != "facts"}
    moments = {name: utc(value) for name, value in values.items() if isinstance(value, dt.datetime)}
    return Case(**{**values, **moments, "facts": _facts(keyring, row)})


def _facts(keyring: Keyring, row: Any) -> Facts:
    if row.sealed_facts is None:
        return Facts()
    data = json.loads(keyring.open(row.sealed_facts, _facts_place(row.id)))
    return Facts(data["country"], data["about"], tuple(data["flags"]), data["watched"])


# -- opening -----------------------------------------------------------------------------------------------------------


def open_case(
    connection: Connection,
    keyring: Keyring,
    contact: Contact,
    requested: CaseRequested,
    consent_id: str | None,
    now: dt.datetime,
) -> Case:
    """Opens a case, or joins the person's open one. An emergency writes its own ground in place of a consent."""
    if known := open_case_of(connection, keyring, contact):
        known = _raised(connection, keyring, known, requested.priority, now)
        known = _enriched(connection, keyring, known, requested, now)
        if requested.basis == "emergency":
            known = _on_emergency(connection, keyring, known, contact, requested.reason, now)
        add_event(connection, keyring, known, "joined", BOT, {"kind": requested.kind, **_ground(requested)}, now)
        add_words(connection, keyring, known, PERSON, requested.words, now)
        return known
    consent_id = consent_id or record_consent(
        connection, keyring, contact, purpose=PURPOSE, basis=requested.basis, reason=requested.reason, now=now
    )
    case = _insert(connection, keyring, contact, requested, consent_id, now)
    add_event(connection, keyring, case, "opened", BOT, _ground(requested), now)
    add_words(connection, keyring, case, PERSON, requested.words, now)
    return case


def _ground(requested: CaseRequested) -> dict[str, str]:
    """Why there is a case, and which model has decided that there is."""
    return {"basis": requested.basis, "reason": requested.reason, "read_by": requested.read_by}


def _insert(
    connection: Connection,
    keyring: Keyring,
    contact: Contact,
    requested: CaseRequested,
    consent_id: str,
    now: dt.datetime,
) -> Case:
    case_id = new_id()
    facts = Facts(requested.country, requested.about, requested.flags, requested.watched)
    row = {
        "id": case_id,
        "reference": _new_reference(),
        "address_id": contact.id,
        "consent_id": consent_id,
        "purpose": PURPOSE,
        "kind": requested.kind,
        "priority": requested.priority,
        "minor": requested.minor,
        "status": "open",
        "sealed_facts": keyring.seal(json.dumps(asdict(facts)), _facts_place(case_id)),
        "generation": 1,
        "public_key": b"",
        "heard_at": now,
        "opened_at": now,
        "updated_at": now,
    }
    connection.execute(insert(cases).values(row))  # first: its keys refer to it
    keys.new_case_key(connection, keyring, case_id)
    return read_row(keyring, connection.execute(select(cases).where(cases.c.id == case_id)).one())


def _new_reference() -> str:
    """Eight letters and figures that nobody mistakes for others when they are read aloud."""
    return "".join(secrets.choice(_REFERENCE_LETTERS) for _ in range(8))


# -- extending ---------------------------------------------------------------------------------------------------------


def extend_case(
    connection: Connection, keyring: Keyring, case: Case, contact: Contact, extended: CaseExtended, now: dt.datetime
) -> Case:
    """Adds what the person told."""
    add_words(connection, keyring, case, PERSON, extended.words, now)
    facts = dict(extended.facts)
    if priority := facts.pop("priority", None):
        case = _raised(connection, keyring, case, priority, now)
        if priority == "P0":
            case = _on_emergency(connection, keyring, case, contact, TOLD_OF_DANGER, now)
    if facts:
        add_event(connection, keyring, case, "answer", PERSON, facts, now)
    return _enriched(connection, keyring, case, extended, now)


def heard(
    connection: Connection, keyring: Keyring, case: Case, text: str, pause: dt.timedelta, now: dt.datetime
) -> Case:
    """The person writes. After a pause nobody knows who it is, until the code word comes (S-11)."""
    paused = case.heard_at is not None and now - case.heard_at > pause
    changes: dict[str, Any] = {"heard_at": now}
    if paused:
        changes["paused_at"] = now
    if says_code(keyring, case, text):
        changes["paused_at"] = None
        add_event(connection, keyring, case, "code_given", PERSON, {}, now)
    elif paused:
        add_event(connection, keyring, case, "back", PERSON, {}, now)
    return changed(connection, case, **changes)


def answered(
    connection: Connection, keyring: Keyring, case: Case, purpose: str, *, given: bool, now: dt.datetime
) -> Case:
    """The person's word on what an operator asked for."""
    add_event(connection, keyring, case, "consent" if given else "refused", PERSON, {"purpose": purpose}, now)
    return changed(connection, case, asking=None, updated_at=now)


def code_words(text: str) -> list[str]:
    """Words as a code word is compared: without diacritics and marks."""
    return "".join(letter if letter.isalnum() else " " for letter in fold(text).lower()).split()


def code_lookup(keyring: Keyring, case_id: str, words: Sequence[str]) -> str:
    """By which a code word is known again; `words` of `code_words`."""
    return keyring.lookup("code word", f"{case_id}|{' '.join(words)}")


def says_code(keyring: Keyring, case: Case, text: str) -> bool:
    """Whether the word that was agreed stands in the text (S-11)."""
    if case.code_lookup is None:
        return False
    words = code_words(text)
    runs = (words[at : at + length] for length in range(1, LONGEST_CODE + 1) for at in range(len(words) - length + 1))
    return any(code_lookup(keyring, case.id, run) == case.code_lookup for run in runs)


def _raised(connection: Connection, keyring: Keyring, case: Case, priority: str, now: dt.datetime) -> Case:
    """Never lowered by a machine."""
    if priority >= case.priority:
        return case
    add_event(connection, keyring, case, "priority", BOT, {"from": case.priority, "to": priority}, now)
    return changed(connection, case, priority=priority, updated_at=now)


def _on_emergency(
    connection: Connection, keyring: Keyring, case: Case, contact: Contact, reason: str, now: dt.datetime
) -> Case:
    """Whoever cries for help no longer stands on their yes alone: a word typed by another hand cannot take it back (S-22)."""
    if basis_of(connection, case) == "emergency":
        return case
    ground = record_consent(connection, keyring, contact, purpose=PURPOSE, basis="emergency", reason=reason, now=now)
    return changed(connection, case, consent_id=ground)


def _enriched(
    connection: Connection, keyring: Keyring, case: Case, more: CaseRequested | CaseExtended, now: dt.datetime
) -> Case:
    """What is newly known; what was known stays."""
    facts = replace(
        case.facts,
        country=more.country or case.facts.country,
        flags=tuple(dict.fromkeys([*case.facts.flags, *more.flags])),
        watched=case.facts.watched or more.watched,
    )
    sealed = keyring.seal(json.dumps(asdict(facts)), _facts_place(case.id))
    case = changed(connection, case, sealed_facts=sealed, minor=case.minor or more.minor, updated_at=now)
    return replace(case, facts=facts)


# -- clues: the same recruiter in other cases ------------------------------------------------------------------------------


def add_clues(connection: Connection, keyring: Keyring, case: Case, clues: Sequence[tuple[str, str]]) -> None:
    """`clues`: (kind, value) such as ("phone", "+84901234567"). Only a keyed digest is kept, by which equal ones meet."""
    for kind, value in clues:
        row = {"case_id": case.id, "lookup": keyring.lookup(f"clue {kind}", value), "kind": kind}
        insert_unless_there(connection, case_clues, row)


# -- erasing -----------------------------------------------------------------------------------------------------------


def erase_cases(connection: Connection, keyring: Keyring, contact: Contact, now: dt.datetime) -> None:
    """The person's word: nothing told can be read again; that a case was there, and how grave, stays without it."""
    theirs = select(cases).where(cases.c.address_id == contact.id).order_by(cases.c.id).with_for_update()
    for row in connection.execute(theirs).all():
        _empty(connection, row.id)
        connection.execute(delete(handoffs).where(handoffs.c.case_id == row.id))
        connection.execute(
            update(cases)
            .where(cases.c.id == row.id)
            .values(status="erased", address_id=None, ended_at=now, updated_at=now, relay_since=None, **_EMPTY)
        )
        audit.record(connection, keyring, actor=PERSON, action="erased", case_id=row.id, now=now)


def withdraw_all(connection: Connection, keyring: Keyring, contact: Contact, now: dt.datetime) -> None:
    """The person wants no help any more, and what was told long ago is not passed on either."""
    told = select(cases).where(cases.c.address_id == contact.id).order_by(cases.c.id).with_for_update()
    for row in connection.execute(told).all():
        withdraw(connection, keyring, read_row(keyring, row), now)


def withdraw(connection: Connection, keyring: Keyring, case: Case, now: dt.datetime) -> Case:
    """The person wants no help any more. What only their yes allowed is emptied; an emergency stays for people to decide (S-22)."""
    if basis_of(connection, case) == "emergency":
        add_event(connection, keyring, case, "withdrawn", PERSON, {}, now)
        call_off(connection, case, now)
        return changed(connection, case, relay_since=None, asking=None, updated_at=now)
    audit.record(connection, keyring, actor=PERSON, action="withdrawn", case_id=case.id, now=now)
    if case.address_id:
        outbox.cancel_waiting(connection, case.address_id, "withdrawn", now, of=["operator"])
    _empty(connection, case.id)
    _keep_back(connection, case.id)
    gone = {"status": "closed", "outcome": "withdrawn", "relay_since": None, "ended_at": now, "updated_at": now}
    return changed(connection, case, **gone, **_EMPTY)


def knock_key(case_id: str) -> str:
    """With what the outbox's key of a question begins that waits for a safe hour."""
    return f"k:{case_id}:"


def call_off(connection: Connection, case: Case, now: dt.datetime) -> None:
    """A question that still waits for its hour is not asked."""
    if case.address_id:
        outbox.cancel_waiting(connection, case.address_id, "called_off", now, of=["operator"], dedup=knock_key(case.id))


def basis_of(connection: Connection, case: Case) -> str:
    """The ground of a case: the person's consent, or an emergency."""
    return str(connection.execute(select(consents.c.basis).where(consents.c.id == case.consent_id)).scalar_one())


_EMPTY: Mapping[str, None] = {"sealed_facts": None, "sealed_reach": None, "code_lookup": None, "asking": None}


def _empty(connection: Connection, case_id: str) -> None:
    keys.shred(connection, case_id)
    for table in (case_events, case_messages, case_clues, case_steps, requests):
        connection.execute(delete(table).where(table.c.case_id == case_id))


def _keep_back(connection: Connection, case_id: str) -> None:
    """What has not left does not leave. That something has left stays known: a later deletion must say so (D-04)."""
    waiting = handoffs.c.status == "queued"
    connection.execute(delete(handoffs).where(handoffs.c.case_id == case_id, waiting))
    connection.execute(update(handoffs).where(handoffs.c.case_id == case_id).values(sealed_body=None))


# -- writing -----------------------------------------------------------------------------------------------------------


def changed(connection: Connection, case: Case, **values: Any) -> Case:
    """The case with these columns written."""
    connection.execute(update(cases).where(cases.c.id == case.id).values(**values))
    return replace(case, **{name: value for name, value in values.items() if name in Case.__dataclass_fields__})


def add_event(
    connection: Connection,
    keyring: Keyring,
    case: Case,
    kind: str,
    actor: str,
    body: Mapping[str, object],
    now: dt.datetime,
    *,
    subject: str | None = None,
) -> None:
    """One row of the timeline, sealed to the case, and one of the audit chain."""
    row_id, sealed = _sealed(case, "case_events", body)
    row = {"id": row_id, "case_id": case.id, "position": _next(connection, case_events, case.id), "kind": kind}
    row |= {"actor": actor, "generation": case.generation, "sealed_body": sealed, "at": now}
    connection.execute(insert(case_events).values(row))
    audit.record(
        connection, keyring, actor=actor, action=kind, case_id=case.id, subject=subject, digest=_digest(sealed), now=now
    )


def add_words(
    connection: Connection,
    keyring: Keyring,
    case: Case,
    author: str,
    words: Sequence[str],
    now: dt.datetime,
    outbox_id: str | None = None,
) -> None:
    """What one side said. `author`: "person" or a staff id."""
    for text in words:
        row_id, sealed = _sealed(case, "case_messages", {"text": text})
        row = {"id": row_id, "case_id": case.id, "position": _next(connection, case_messages, case.id)}
        row |= {
            "author": author,
            "generation": case.generation,
            "sealed_body": sealed,
            "at": now,
            "outbox_id": outbox_id,
        }
        connection.execute(insert(case_messages).values(row))
        audit.record(
            connection, keyring, actor=author, action="message", case_id=case.id, digest=_digest(sealed), now=now
        )


def _sealed(case: Case, table: str, body: Mapping[str, object]) -> tuple[str, bytes]:
    row_id = new_id()
    return row_id, seal_to(case.public_key, json.dumps(body, ensure_ascii=False), f"{table}|{row_id}|sealed_body")


def _next(connection: Connection, table: Any, case_id: str) -> int:
    highest = select(func.coalesce(func.max(table.c.position), 0)).where(table.c.case_id == case_id)
    return int(connection.execute(highest).scalar_one()) + 1


def _digest(sealed: bytes) -> str:
    return sha256(sealed).hexdigest()


def _facts_place(case_id: str) -> str:
    return f"cases|{case_id}|sealed_facts"
