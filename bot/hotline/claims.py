"""In whose hands a case is: claim, release, hand over, assign. At any moment nobody, or exactly one person."""

import datetime as dt
from dataclasses import replace

from sqlalchemy import Connection, func, select

from bot import contacts
from bot.contacts import Contact
from bot.errors import CaseError
from bot.hotline import clocks, keys
from bot.hotline.cases import Case, add_event, call_off, changed, to_write
from bot.hotline.keys import CaseKeys, Operator
from bot.store.crypto import Keyring
from bot.store.tables import cases, staff


def locked(connection: Connection, keyring: Keyring, reference: str) -> tuple[Case, Contact | None]:
    """The case and the person's address, both held for the rest of the transaction: the address first, as in a turn of the bot."""
    by_reference = select(cases).where(cases.c.reference == reference.upper())
    row = connection.execute(by_reference).first()
    if row is None:
        raise CaseError("unknown")
    contact = contacts.lock(connection, keyring, row.address_id) if row.address_id else None
    case = to_write(connection, keyring, connection.execute(by_reference.with_for_update()).one())
    return case, contact if case.address_id else None


def held(
    connection: Connection, keyring: Keyring, operator: Operator, reference: str
) -> tuple[Case, Contact | None, CaseKeys]:
    """The same with its keys, for somebody in whose hands it is; a supervisor may look at every case."""
    case, contact = locked(connection, keyring, reference)
    if case.owner_id != operator.id and not operator.supervisor:
        raise CaseError("not_yours")
    if case.status == "erased" or case.outcome == "withdrawn":
        raise CaseError("erased")
    return case, contact, keys.keys_of(connection, case.id, operator)


def owned(
    connection: Connection, keyring: Keyring, operator: Operator, reference: str
) -> tuple[Case, Contact | None, CaseKeys]:
    """The same for its owner alone, while it is open: only one person speaks and decides."""
    case, contact, case_keys = held(connection, keyring, operator, reference)
    if case.owner_id != operator.id:
        raise CaseError("not_yours")
    if case.status != "open":
        raise CaseError("ended")
    return case, contact, case_keys


def claim(connection: Connection, keyring: Keyring, operator: Operator, reference: str, now: dt.datetime) -> Case:
    """Takes a case from the queue. Of two people at once exactly one gets it; the other hears "taken"."""
    case, _ = locked(connection, keyring, reference)
    if case.status != "open":
        raise CaseError("ended")
    if case.owner_id is not None:
        raise CaseError("taken")
    if not keys.keys_of(connection, case.id, operator):
        raise CaseError("no_key")
    most = _most_cases(connection, operator.id)
    if case.priority != "P0" and load(connection, operator.id) >= most:
        raise CaseError("full")  # S-35; danger to life is never refused
    case = changed(connection, case, owner_id=operator.id, claimed_at=now, updated_at=now)
    return _told(connection, keyring, case, "claimed", operator, operator.id, now)


def release(connection: Connection, keyring: Keyring, operator: Operator, reference: str, now: dt.datetime) -> Case:
    """Back to the queue, with no reason asked (S-35). The bot speaks with the person again."""
    case, _, case_keys = held(connection, keyring, operator, reference)
    if case.owner_id is None or case.status != "open":
        raise CaseError("ended")
    if not case_keys:
        raise CaseError("no_key")  # nobody could claim it then
    add_event(connection, keyring, case, "released", operator.id, {}, now)
    keys.share_with_all(connection, keyring, case.id, case_keys)
    call_off(connection, case, now)
    clocks.restart(connection, case.id, now)
    return changed(connection, case, owner_id=None, claimed_at=None, relay_since=None, asking=None, updated_at=now)


def skip(connection: Connection, keyring: Keyring, operator: Operator, reference: str, now: dt.datetime) -> Case:
    """Somebody passes a waiting case by (S-35): it stays in the queue, and they are not called for it again."""
    case, _ = locked(connection, keyring, reference)
    if case.status != "open" or case.owner_id is not None:
        raise CaseError("taken")
    if clocks.passed_by(connection, case.id, operator.id, now):
        add_event(connection, keyring, case, "skipped", operator.id, {}, now)
    return case


def hand_over(
    connection: Connection, keyring: Keyring, operator: Operator, reference: str, to: str, now: dt.datetime
) -> Case:
    """Into a colleague's hands; a supervisor may do so with anybody's case, and with one that nobody has claimed."""
    case, _, case_keys = held(connection, keyring, operator, reference)
    if case.status != "open":
        raise CaseError("ended")
    if to == case.owner_id or not works_cases(connection, to):
        raise CaseError("no_such_colleague")
    if not case_keys:
        raise CaseError("no_key")
    kind = "handed_over" if case.owner_id == operator.id else "assigned"
    keys.share(connection, keyring, case.id, case_keys, [to])
    case = changed(connection, case, owner_id=to, claimed_at=now, asking=None, updated_at=now)
    return _told(connection, keyring, case, kind, operator, to, now)


def let_go(connection: Connection, keyring: Keyring, staff_id: str, now: dt.datetime, *, by: str) -> None:
    """Somebody leaves: what was in their hands is in the queue again, and the bot speaks. Their keys are the caller's to take."""
    held_now = keys.lock_cases_of(connection, staff_id)
    theirs = [to_write(connection, keyring, row) for row in held_now if row.owner_id == staff_id]
    for case in theirs:
        add_event(connection, keyring, case, "released", by, {}, now)
        call_off(connection, case, now)
        clocks.restart(connection, case.id, now)
        changed(connection, case, owner_id=None, claimed_at=None, relay_since=None, asking=None, updated_at=now)
    if theirs:
        keys.everybody_may_lack(connection)


def load(connection: Connection, staff_id: str) -> int:
    """How many open cases are in these hands."""
    mine = select(func.count()).select_from(cases).where(cases.c.owner_id == staff_id, cases.c.status == "open")
    return int(connection.execute(mine).scalar_one())


def works_cases(connection: Connection, staff_id: str) -> bool:
    row = connection.execute(select(staff).where(staff.c.id == staff_id, staff.c.removed_at.is_(None))).first()
    return row is not None and row.public_key is not None and bool(keys.WORKERS & set(row.roles.split(",")))


def _most_cases(connection: Connection, staff_id: str) -> int:
    most = (
        select(staff.c.most_cases).where(staff.c.id == staff_id).with_for_update(key_share=True)
    )  # one claim at a time
    return int(connection.execute(most).scalar_one())


def _told(
    connection: Connection, keyring: Keyring, case: Case, kind: str, operator: Operator, to: str, now: dt.datetime
) -> Case:
    """Narrows the keys to the new hands and writes the event with the new key."""
    case = narrowed(connection, keyring, case, to)
    body = {} if to == operator.id else {"to": to}
    add_event(connection, keyring, case, kind, operator.id, body, now, subject=None if to == operator.id else to)
    return case


def narrowed(connection: Connection, keyring: Keyring, case: Case, to: str) -> Case:
    """The case as only these hands and the supervisors can read it from now on."""
    generation, public = keys.narrow(connection, keyring, case.id, to)
    return replace(case, generation=generation, public_key=public)
