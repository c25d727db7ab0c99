"""What leaves us for others: referral sheets, exports, a hotline's own case system.

Each thing that is handed on stands on the yes of its own purpose, or on a proven emergency; the database refuses it otherwise. What was
handed on is kept as it was at that moment, sealed to the case, so that a sheet that is opened again says the same.
"""

import datetime as dt
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal

from sqlalchemy import Connection, insert, select

from bot import audit
from bot.contacts import Contact
from bot.content import Receiver
from bot.errors import CaseError
from bot.hotline import reading, second
from bot.hotline.cases import Case, Facts, add_event, changed
from bot.hotline.claims import held, owned
from bot.hotline.keys import CaseKeys, Operator
from bot.hotline.reading import CaseEvent
from bot.hotline.work import SUMMARY
from bot.store.boxes import open_with, seal_to
from bot.store.crypto import Keyring
from bot.store.database import new_id, utc
from bot.store.tables import audit as audit_rows
from bot.store.tables import cases, consents, handoffs

Form = Literal["sheet", "webhook", "export"]
Content = Mapping[str, Any]
NGO = "share_ngo"
LEAVING = ("referred", "exported")  # what the audit chain calls it


@dataclass(frozen=True)
class Ground:
    """A consent with its words, or the reason of an emergency that stands in its place."""

    id: str
    purpose: str
    basis: str
    words: str | None
    version: str | None
    reason: str
    at: dt.datetime
    withdrawn_at: dt.datetime | None


@dataclass(frozen=True)
class Note:
    at: dt.datetime
    author: str
    text: str


@dataclass(frozen=True)
class CaseFile:
    """What a reader of a case may take out. `number` is None unless this reader may see it; `timeline` leaves out who read what."""

    reference: str
    kind: str
    priority: str
    status: str
    minor: bool
    opened_at: dt.datetime
    ended_at: dt.datetime | None
    facts: Facts
    summary: Mapping[str, str]
    notes: tuple[Note, ...]
    timeline: tuple[CaseEvent, ...]
    consents: tuple[Ground, ...]
    number: str | None

    def __repr__(self) -> str:
        return f"CaseFile({self.reference!r})"


@dataclass(frozen=True)
class Option:
    """Somebody to whom a case could go. `why_not`: empty, "no_yes", or "minor" (D-08: it needs a second person)."""

    receiver: Receiver
    why_not: str


@dataclass(frozen=True)
class Handoff:
    """One thing that has left us, or is about to. `digest`: SHA-256 of the canonical JSON of what was handed over."""

    id: str
    receiver: str
    form: Form
    purpose: str
    made_by: str
    at: dt.datetime
    status: str
    digest: str


@dataclass(frozen=True)
class Sheet:
    """What stood on a referral sheet when it was made."""

    handoff: Handoff
    content: Content

    def __repr__(self) -> str:
        return f"Sheet({self.handoff.id!r})"


# -- a case to be taken out --------------------------------------------------------------------------------------------


def case_file(
    connection: Connection, keyring: Keyring, operator: Operator, reference: str, now: dt.datetime
) -> CaseFile:
    case, contact, case_keys = held(connection, keyring, operator, reference)
    may_see = contact is not None and second.may_reveal(connection, case, operator, now)
    return file_of(connection, keyring, case, case_keys, contact.address.identifier if contact and may_see else None)


def file_of(connection: Connection, keyring: Keyring, case: Case, case_keys: CaseKeys, number: str | None) -> CaseFile:
    """CaseError "no_key" where the reader does not hold the case's newest key."""
    if case.generation not in case_keys:
        raise CaseError("no_key")
    events = [one for one in reading.timeline(connection, case, case_keys) if one.kind not in reading.READS]
    summary = reading.summary(events)
    return CaseFile(
        reference=case.reference,
        kind=case.kind,
        priority=case.priority,
        status=case.status,
        minor=case.minor,
        opened_at=case.opened_at,
        ended_at=case.ended_at,
        facts=case.facts,
        summary={name: str(summary.get(name, "")) for name in SUMMARY},
        notes=tuple(_notes(events)),
        timeline=tuple(events),
        consents=tuple(grounds(connection, keyring, case)),
        number=number,
    )


def _notes(events: Iterable[CaseEvent]) -> Iterable[Note]:
    return (Note(one.at, one.actor, str(one.body["text"])) for one in events if one.kind == "note" and one.body)


def grounds(connection: Connection, keyring: Keyring, case: Case) -> list[Ground]:
    """The ground of the case itself, and every yes and no that the person has said since it was opened."""
    since = (consents.c.address_id == case.address_id) & (consents.c.given_at >= case.opened_at)
    rows = connection.execute(
        select(consents)
        .where((consents.c.id == case.consent_id) | (since if case.address_id else False))
        .order_by(consents.c.given_at, consents.c.id)
    )
    return [_ground(keyring, row) for row in rows]


def _ground(keyring: Keyring, row: Any) -> Ground:
    words = keyring.open(row.sealed_words, f"consents|{row.id}|sealed_words") if row.sealed_words else None
    withdrawn = utc(row.withdrawn_at) if row.withdrawn_at else None
    return Ground(
        row.id, row.purpose, row.basis, words, row.version, row.reason, utc(row.given_at), withdrawn
    )  # fmt: skip


# -- handing on --------------------------------------------------------------------------------------------------------


def options(connection: Connection, case: Case, receivers: Iterable[Receiver], now: dt.datetime) -> list[Option]:
    """To whom this case could go now, and what is missing for the others."""
    return [Option(one, _why_not(connection, case, one.purpose, now)) for one in receivers]


def _why_not(connection: Connection, case: Case, purpose: str, now: dt.datetime) -> str:
    if second.ground_of(connection, case, purpose, now) is None:
        return "no_yes"
    return "" if _ground_id(connection, case, purpose, now) else "minor"


def _ground_id(connection: Connection, case: Case, purpose: str, now: dt.datetime) -> str | None:
    """D-08: about a minor, a yes alone opens no way to an organisation; a second person's grant does."""
    only = ("emergency",) if case.minor and purpose == NGO else ("consent", "emergency")
    return second.ground_of(connection, case, purpose, now, only)


def ground_for(connection: Connection, keyring: Keyring, case: Case, purpose: str, now: dt.datetime) -> Ground:
    """CaseError: no_yes, or minor."""
    ground_id = _ground_id(connection, case, purpose, now)
    if ground_id is None:
        raise CaseError(_why_not(connection, case, purpose, now))
    return _ground(keyring, connection.execute(select(consents).where(consents.c.id == ground_id)).one())


def refer(
    connection: Connection,
    keyring: Keyring,
    operator: Operator,
    reference: str,
    receiver: Receiver,
    now: dt.datetime,
    *,
    by_webhook: bool = False,
) -> Handoff:
    """Hands a case on, as a sheet or into the receiver's own system. CaseError: no_yes, minor, not_yours, ended."""
    case, contact, case_keys = owned(connection, keyring, operator, reference)
    ground = ground_for(connection, keyring, case, receiver.purpose, now)
    carried = (
        contact.address.identifier if contact and carries_number(connection, case, operator, ground, now) else None
    )
    file = file_of(connection, keyring, case, case_keys, carried)
    earlier = [one for one in handoffs_of(connection, case) if one.form != "export"]
    content = {
        **_sheet_content(file, ground, receiver.id, earlier, operator.id, now),
        "reason": _reason(connection, case, case_keys, ground),
    }
    form: Form = "webhook" if by_webhook else "sheet"
    made = record(connection, keyring, case, operator, (receiver.id, form, ground), content, now)
    body = {"receiver": receiver.id, "form": form, "basis": ground.basis}
    add_event(connection, keyring, case, "referred", operator.id, body, now)
    changed(connection, case, updated_at=now)
    return made


def carries_number(connection: Connection, case: Case, operator: Operator, ground: Ground, now: dt.datetime) -> bool:
    """Who said yes to handing on was told that the number stays here: it goes along with a yes of its own, or where both were granted
    in danger to life."""
    if second.ground_of(connection, case, second.REVEAL, now) is not None:
        return True
    return ground.basis == "emergency" and second.may_reveal(connection, case, operator, now)


def _sheet_content(
    file: CaseFile, ground: Ground, receiver: str, earlier: Sequence[Handoff], made_by: str, now: dt.datetime
) -> Content:
    """What is handed over: the facts, the operator's own summary, and nothing that either side said (S-14)."""
    return {
        "reference": file.reference,
        "receiver": receiver,
        "purpose": ground.purpose,
        "basis": ground.basis,
        "consent_words": ground.words,
        "consent_at": ground.at.isoformat(),
        "number": file.number,
        "kind": file.kind,
        "priority": file.priority,
        "minor": file.minor,
        "about": file.facts.about,
        "country": file.facts.country,
        "flags": list(file.facts.flags),
        **file.summary,
        "earlier": [{"receiver": one.receiver, "at": one.at.isoformat()} for one in earlier],
        "prepared_by": made_by,
        "prepared_at": now.isoformat(),
    }


def _reason(connection: Connection, case: Case, case_keys: CaseKeys, ground: Ground) -> str | None:
    """Why a second person granted it, in the words of the one who asked; None where the person said yes."""
    asked = [one for one in second.of_case(connection, case, case_keys) if one.kind == ground.purpose and one.granted]
    return asked[-1].reason if asked and ground.basis == "emergency" else None


def canonical(content: Content) -> str:
    """One text for one content: the names in order, no spaces between."""
    return json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def record(
    connection: Connection,
    keyring: Keyring,
    case: Case,
    operator: Operator,
    what: tuple[str, Form, Ground],
    content: Content,
    now: dt.datetime,
) -> Handoff:
    """Writes down what is handed on. `what`: to whom, how and on what ground. By webhook it waits until it has arrived."""
    receiver, form, ground = what
    text = canonical(content)
    waits = form == "webhook"
    made = Handoff(
        new_id(), receiver, form, ground.purpose, operator.id, now, "queued" if waits else "made",
        sha256(text.encode()).hexdigest(),
    )  # fmt: skip
    connection.execute(
        insert(handoffs).values(
            id=made.id, case_id=case.id, receiver=receiver, form=form, purpose=ground.purpose, consent_id=ground.id,
            made_by=operator.id, digest=made.digest, at=now, status=made.status, not_before=now if waits else None,
            sealed_body=_to_be_sent(keyring, made.id, content, now) if waits else None, generation=case.generation,
            sealed_content=seal_to(case.public_key, text, _content_place(made.id)),
        )
    )  # fmt: skip
    return made


def _to_be_sent(keyring: Keyring, handoff_id: str, content: Content, now: dt.datetime) -> bytes:
    """What another system gets: sealed with the keyring, because it leaves without any operator at hand."""
    body = {"type": "case.referred", "timestamp": now.isoformat(), "data": content}
    return keyring.seal(canonical(body), body_place(handoff_id))


# -- what was handed on ------------------------------------------------------------------------------------------------


def handoffs_of(connection: Connection, case: Case) -> list[Handoff]:
    """In order."""
    rows = connection.execute(select(handoffs).where(handoffs.c.case_id == case.id).order_by(handoffs.c.at))
    return [_handoff(row) for row in rows]


def sheet(
    connection: Connection, keyring: Keyring, operator: Operator, reference: str, handoff_id: str, now: dt.datetime
) -> Sheet:
    """A sheet as it was made; that it was opened is written down. CaseError: unknown, not_yours, no_key."""
    case, _, case_keys = held(connection, keyring, operator, reference)
    row = connection.execute(select(handoffs).where(handoffs.c.id == handoff_id, handoffs.c.case_id == case.id)).first()
    if row is None or row.form == "export":
        raise CaseError("unknown")
    private = case_keys.get(row.generation)
    if private is None:
        raise CaseError("no_key")
    text = open_with(private, row.sealed_content, _content_place(row.id))
    audit.record(
        connection, keyring, actor=operator.id, action="sheet_read", case_id=case.id, digest=row.digest, now=now
    )
    return Sheet(_handoff(row), json.loads(text))


def has_left(connection: Connection, contact: Contact) -> bool:
    """Whether something about this person was handed on: then a deletion cannot take it back, and says so (D-04).

    Read from the audit chain, which also knows of what was handed on before the person took their yes back.
    """
    left = (
        select(audit_rows.c.position)
        .join(cases, cases.c.id == audit_rows.c.case_id)
        .where(cases.c.address_id == contact.id, audit_rows.c.action.in_(LEAVING))
    )
    return connection.execute(left.limit(1)).first() is not None


def body_place(handoff_id: str) -> str:
    return f"handoffs|{handoff_id}|sealed_body"


def _content_place(handoff_id: str) -> str:
    return f"handoffs|{handoff_id}|sealed_content"


def _handoff(row: Any) -> Handoff:
    return Handoff(row.id, row.receiver, row.form, row.purpose, row.made_by, utc(row.at), row.status, row.digest)
