"""Words between a person and an operator, through the outbox. While an operator has the line, the bot is silent.

The first word takes the line: whatever the bot still had to say is cancelled, and the outbox looks again in the transaction that
sends. The line goes back to the bot when the operator gives it back or the case ends, when the person leaves, and when neither
side has spoken for half an hour: somebody who writes at night must not meet silence.
"""

import datetime as dt
from collections.abc import Sequence
from hashlib import sha256

from sqlalchemy import Connection, func, select

from bot.contacts import Contact
from bot.delivery import outbox
from bot.delivery.render import Rendered
from bot.errors import CaseError
from bot.hotline.cases import BOT, PERSON, Case, add_event, add_words, call_off, changed, knock_key
from bot.hotline.claims import owned
from bot.hotline.keys import CaseKeys, Operator
from bot.hotline.reach import reach_of
from bot.hotline.reading import timeline
from bot.messages import Lane
from bot.store.crypto import Keyring
from bot.store.database import new_id, utc
from bot.store.tables import case_messages

MOST_REPEATS = 1  # of a question that was refused
TALK = dt.timedelta(
    minutes=30
)  # after the person's last word: later, nobody is written to first but to ask whether it is safe


def speak(
    connection: Connection,
    keyring: Keyring,
    operator: Operator,
    reference: str,
    text: str,
    rendered: Sequence[Rendered],
    now: dt.datetime,
    message_id: str = "",
) -> Case:
    """The owner's words to the person; the same words with the same `message_id` once. CaseError: silent (they have left), away (too long ago),
    unreachable, gone, not_yours, ended."""
    case, contact, _ = owned(connection, keyring, operator, reference)
    contact = _reachable(case, contact)
    if case.heard_at is None or now - case.heard_at > TALK:
        raise CaseError("away")
    case = _take_line(connection, keyring, case, contact, operator, now)
    case = changed(connection, case, asking=None)  # a yes to these words is none to an earlier question (D-05)
    press = f"{message_id[:36]}:{sha256(text.encode()).hexdigest()[:16]}" if message_id else new_id()
    _say(connection, keyring, case, contact, operator, text, rendered, now, f"h:{case.id}:{press}")
    return case


def ask(
    connection: Connection,
    keyring: Keyring,
    operator: Operator,
    reference: str,
    purpose: str,
    question: tuple[str, Sequence[Rendered]],
    now: dt.datetime,
) -> Case:
    """The reviewed question whether something may be passed on. The person's own word decides; nobody can say it for them. After
    a no it is asked once more at most (S-20). CaseError: refused, and those of `speak`."""
    case, _, held = owned(connection, keyring, operator, reference)
    if _refusals(connection, case, held, purpose) > MOST_REPEATS:
        raise CaseError("refused")
    case = speak(connection, keyring, operator, reference, *question, now)
    add_event(connection, keyring, case, "asked", operator.id, {"purpose": purpose}, now)
    return changed(connection, case, asking=purpose, updated_at=now)


def _refusals(connection: Connection, case: Case, held: CaseKeys, purpose: str) -> int:
    events = timeline(connection, case, held)
    return sum(one.kind == "refused" and (one.body or {}).get("purpose") == purpose for one in events)


def knock(
    connection: Connection,
    keyring: Keyring,
    operator: Operator,
    reference: str,
    text: str,
    rendered: Sequence[Rendered],
    now: dt.datetime,
) -> dt.datetime:
    """S-10: the first word after a while: only the neutral question, by the person's own line, at the next hour that they called
    safe. When that is. CaseError: no_reach where they never said an hour; silent where they left and have not written since."""
    case, contact, _ = owned(connection, keyring, operator, reference)
    contact = _reachable(case, contact)
    reach = reach_of(keyring, connection, case.id)
    if reach is None:
        raise CaseError("no_reach")
    call_off(connection, case, now)
    at = reach.next(now)
    key = knock_key(case.id) + new_id()
    _say(connection, keyring, case, contact, operator, text, rendered, now, key, at, reach.closes(at) - at)
    add_event(connection, keyring, case, "knocked", operator.id, {"at": at.isoformat()}, now)
    return at


def give_back(connection: Connection, keyring: Keyring, operator: Operator, reference: str, now: dt.datetime) -> Case:
    """The bot answers again; the case stays where it is."""
    case, _, _ = owned(connection, keyring, operator, reference)
    return end(connection, keyring, case, operator.id, now) if case.relay_since else case


def end(connection: Connection, keyring: Keyring, case: Case, actor: str, now: dt.datetime) -> Case:
    """The line goes back to the bot."""
    add_event(connection, keyring, case, "relay_off", actor, {}, now)
    return changed(connection, case, relay_since=None, asking=None, updated_at=now)


def left(connection: Connection, keyring: Keyring, case: Case, now: dt.datetime) -> Case:
    """The person has ended the talk; until they write again, nothing reaches them."""
    add_event(connection, keyring, case, "left", PERSON, {}, now)
    return changed(connection, case, relay_since=None, asking=None, updated_at=now)


def end_if_idle(connection: Connection, keyring: Keyring, case: Case, idle: dt.timedelta, now: dt.datetime) -> Case:
    """The person writes after a long silence of both sides: the bot answers, and the operator is told."""
    if case.relay_since is None or case.heard_at is None or now - case.heard_at < idle:
        return case
    spoken = last_spoken(connection, case)
    if spoken is not None and now - spoken < idle:
        return case
    return end(connection, keyring, case, BOT, now)


def last_spoken(connection: Connection, case: Case) -> dt.datetime | None:
    """When an operator last said something to this person."""
    latest = select(func.max(case_messages.c.at)).where(
        case_messages.c.case_id == case.id, case_messages.c.author != PERSON
    )
    at = connection.execute(latest).scalar()
    return utc(at) if at else None


def _reachable(case: Case, contact: Contact | None) -> Contact:
    if contact is None or case.address_id is None or contact.leaving:
        raise CaseError("gone")
    if contact.silent:
        raise CaseError("silent")  # S-03
    if contact.unreachable:
        raise CaseError("unreachable")
    return contact


def _take_line(
    connection: Connection, keyring: Keyring, case: Case, contact: Contact, operator: Operator, now: dt.datetime
) -> Case:
    if case.relay_since is not None:
        return case
    outbox.cancel_waiting(connection, contact.id, "operator", now, of=["bot"])
    add_event(connection, keyring, case, "relay_on", operator.id, {}, now)
    return changed(connection, case, relay_since=now, updated_at=now)


def _say(
    connection: Connection,
    keyring: Keyring,
    case: Case,
    contact: Contact,
    operator: Operator,
    text: str,
    rendered: Sequence[Rendered],
    now: dt.datetime,
    dedup: str,
    not_before: dt.datetime | None = None,
    life: dt.timedelta = outbox.LIFE,
) -> None:
    if not text.strip():
        raise CaseError("empty")
    ids = outbox.say(
        connection, keyring, contact, rendered,
        dedup=dedup, author="operator", lane=Lane.EMERGENCY, now=now, life=life, not_before=not_before,
    )  # fmt: skip
    if ids:
        add_words(connection, keyring, case, operator.id, [text], now, outbox_id=ids[0])
