"""What its owner does with a case besides talking: notes, a summary, priority, the code word, the end of it."""

import datetime as dt
from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, delete

from bot import audit
from bot.errors import CaseError
from bot.hotline.cases import LONGEST_CODE as MOST_WORDS
from bot.hotline.cases import Case, add_clues, add_event, call_off, changed, code_lookup, code_words, open_case_of
from bot.hotline.claims import held, narrowed, owned
from bot.hotline.keys import Operator
from bot.store.crypto import Keyring
from bot.store.tables import case_messages

OUTCOMES = (
    "advised", "referred_111", "referred_police", "referred_embassy", "referred_ngo", "safe_home", "withdrawn",
    "no_contact", "not_trafficking", "test_or_hoax", "other",
)  # fmt: skip
PRIORITIES = ("P0", "P1", "P2", "P3")
SUMMARY = ("reporter", "subject", "place", "plan")  # S-14: what a colleague must know, in the operator's own words
LONGEST = 2000  # characters of a note
SHORTEST_CODE, LONGEST_CODE = 3, 40  # characters


def note(
    connection: Connection, keyring: Keyring, operator: Operator, reference: str, text: str, now: dt.datetime
) -> Case:
    case, _, _ = held(connection, keyring, operator, reference)
    if not text.strip():
        raise CaseError("empty")
    add_event(connection, keyring, case, "note", operator.id, {"text": text.strip()[:LONGEST]}, now)
    return changed(connection, case, updated_at=now)


def summarise(
    connection: Connection,
    keyring: Keyring,
    operator: Operator,
    reference: str,
    fields: Mapping[str, str],
    now: dt.datetime,
) -> Case:
    """Who reports and whom it is about stand apart."""
    case, _, _ = held(connection, keyring, operator, reference)
    body = {name: fields.get(name, "").strip()[:LONGEST] for name in SUMMARY}
    add_event(connection, keyring, case, "summary", operator.id, body, now)
    return changed(connection, case, updated_at=now)


def set_priority(
    connection: Connection,
    keyring: Keyring,
    operator: Operator,
    reference: str,
    priority: str,
    reason: str,
    now: dt.datetime,
) -> Case:
    """A person may lower it too, with a reason."""
    case, _, _ = held(connection, keyring, operator, reference)
    if priority not in PRIORITIES or case.status != "open":
        raise CaseError("ended" if case.status != "open" else "unknown")
    if priority > case.priority and not reason.strip():
        raise CaseError("reason")
    body = {"from": case.priority, "to": priority, "reason": reason.strip()[:LONGEST]}
    add_event(connection, keyring, case, "priority", operator.id, body, now)
    return changed(connection, case, priority=priority, updated_at=now)


def set_code(
    connection: Connection, keyring: Keyring, operator: Operator, reference: str, words: str, now: dt.datetime
) -> Case:
    """S-11: the word by which both know each other again. Only a digest and the sealed event keep it."""
    case, _, _ = owned(connection, keyring, operator, reference)
    words = " ".join(words.split())
    compared = code_words(words)
    if not SHORTEST_CODE <= len("".join(compared)) <= len(words) <= LONGEST_CODE or len(compared) > MOST_WORDS:
        raise CaseError("code")
    add_event(connection, keyring, case, "code_set", operator.id, {"words": words}, now)
    return changed(connection, case, code_lookup=code_lookup(keyring, case.id, compared), updated_at=now)


def add_clue(
    connection: Connection,
    keyring: Keyring,
    operator: Operator,
    reference: str,
    clues: Sequence[tuple[str, str]],
    now: dt.datetime,
) -> Case:
    """A recruiter's number, account, link or company that was told aloud."""
    case, _, _ = held(connection, keyring, operator, reference)
    add_event(connection, keyring, case, "clue", operator.id, dict(clues), now)
    add_clues(connection, keyring, case, clues)
    return changed(connection, case, updated_at=now)


def close(
    connection: Connection,
    keyring: Keyring,
    operator: Operator,
    reference: str,
    outcome: str,
    text: str,
    now: dt.datetime,
) -> Case:
    """With an outcome and a sentence on what was done. The line goes back to the bot."""
    case, _, _ = held(connection, keyring, operator, reference)
    if case.status != "open":
        raise CaseError("ended")
    if outcome not in OUTCOMES:
        raise CaseError("outcome")
    add_event(
        connection, keyring, case, "closed", operator.id, {"outcome": outcome, "text": text.strip()[:LONGEST]}, now
    )
    call_off(connection, case, now)
    ended = {"status": "closed", "outcome": outcome, "relay_since": None, "asking": None, "ended_at": now}
    return changed(connection, case, **ended, updated_at=now)


def reopen(
    connection: Connection, keyring: Keyring, operator: Operator, reference: str, reason: str, now: dt.datetime
) -> Case:
    """Into the hands of whoever reopens it. Not where the person took it back, or has another open case."""
    case, contact, case_keys = held(connection, keyring, operator, reference)
    if case.status != "closed":
        raise CaseError("open")
    if not case_keys:
        raise CaseError("erased" if case.outcome == "withdrawn" else "no_key")
    if contact is None:
        raise CaseError("gone")
    if open_case_of(connection, keyring, contact):
        raise CaseError("other_open")
    case = narrowed(connection, keyring, case, operator.id)
    add_event(connection, keyring, case, "reopened", operator.id, {"text": reason.strip()[:LONGEST]}, now)
    again = {"status": "open", "outcome": None, "ended_at": None, "owner_id": operator.id, "claimed_at": now}
    return changed(connection, case, **again, updated_at=now)


def forget_words(connection: Connection, case_id: str, now: dt.datetime, keyring: Keyring, actor: str) -> None:
    """S-14: the words of both sides go; the timeline and the operator's own summary stay."""
    connection.execute(delete(case_messages).where(case_messages.c.case_id == case_id))
    audit.record(connection, keyring, actor=actor, action="words_forgotten", case_id=case_id, now=now)
