"""Who can read a case. Every case has a key pair; its private key is sealed to each of its holders.

The bot seals what it writes to the public key and cannot read it back. While nobody has claimed a case, everybody who works the
queue holds it; afterwards the owner and the supervisors do. Whenever somebody loses a key, what is written from then on is sealed
to a new pair. Two people hold the shares of a recovery key that is nowhere else. Where nobody at all could read a case yet, the
keyring holds it until somebody can.

Public keys lie in the database, and whoever can write there could put their own in their place. So each has a proof beside it that
needs the keyring. A colleague whose key is not proven gets nothing; a case whose key is not proven gets another pair.
"""

import datetime as dt
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, exists, func, insert, or_, select, true, update

from bot import audit
from bot.errors import KeyringError
from bot.staff.accounts import key_is_proven
from bot.store import boxes
from bot.store.boxes import KEY, new_pair, open_with, seal_to
from bot.store.crypto import Keyring
from bot.store.database import clock, insert_unless_there
from bot.store.tables import about, case_keys, cases, staff
from bot.store.tables import audit as audit_rows

log = logging.getLogger("banduong")

KEYRING, RECOVERY = "keyring", "recovery"
SUPERVISOR = "supervisor"
WORKERS = frozenset({"operator", SUPERVISOR})  # roles that read cases; content/policy/permissions.yml agrees (a test)
_RECOVERY_PLACE = "about|recovery|sealed_value"
_MOST_AT_ONCE = 200  # keys that one look at the queue gives to the recovery key
_SAID_ONCE = dt.timedelta(days=1)  # what is wrong with one key is written into the audit once in this time


@dataclass(frozen=True)
class Operator:
    """Somebody who works cases, with the key that opens theirs."""

    id: str
    private_key: bytes
    supervisor: bool = False

    def __repr__(self) -> str:
        return f"Operator({self.id!r})"


CaseKeys = Mapping[int, bytes]  # generation -> private key


# -- making ------------------------------------------------------------------------------------------------------------


def new_case_key(connection: Connection, keyring: Keyring, case_id: str) -> bytes:
    """The public key of a new case that everybody who works the queue can read."""
    return _add_pair(connection, keyring, case_id, 1, _workers(connection, keyring))


def _add_pair(
    connection: Connection, keyring: Keyring, case_id: str, generation: int, people: Mapping[str, bytes]
) -> bytes:
    pair = new_pair()
    holders = dict(people)
    if recovery := recovery_key(connection, keyring):
        holders[RECOVERY] = recovery
    for holder, public in holders.items():
        _give(connection, case_id, generation, holder, public, pair.private)
    if not people:
        sealed = keyring.seal(pair.private.hex(), _place(case_id, generation, KEYRING))
        connection.execute(insert(case_keys).values(_row(case_id, generation, KEYRING, sealed)))
    proof = case_proof(keyring, case_id, generation, pair.public)
    changes = {"generation": generation, "public_key": pair.public, "key_proof": proof}
    connection.execute(update(cases).where(cases.c.id == case_id).values(changes))
    return pair.public


def _give(connection: Connection, case_id: str, generation: int, holder: str, public: bytes, private: bytes) -> None:
    sealed = seal_to(public, private.hex(), _place(case_id, generation, holder))
    insert_unless_there(connection, case_keys, _row(case_id, generation, holder, sealed))


# -- reading -----------------------------------------------------------------------------------------------------------


def keys_of(connection: Connection, case_id: str, operator: Operator) -> CaseKeys:
    """The private keys of this case that the operator holds; none: the case is not theirs to read."""
    held = select(case_keys).where(case_keys.c.case_id == case_id, case_keys.c.holder == operator.id)
    return {
        row.generation: bytes.fromhex(
            open_with(operator.private_key, row.sealed_key, _place(case_id, row.generation, operator.id))
        )
        for row in connection.execute(held)
    }


def keys_of_keyring(connection: Connection, keyring: Keyring, case_id: str) -> CaseKeys:
    """The keys of a case that nobody but the keyring holds yet."""
    held = select(case_keys).where(case_keys.c.case_id == case_id, case_keys.c.holder == KEYRING)
    return {row.generation: _from_keyring(keyring, row) for row in connection.execute(held)}


# -- who holds it ------------------------------------------------------------------------------------------------------


def narrow(connection: Connection, keyring: Keyring, case_id: str, owner: str) -> tuple[int, bytes]:
    """From now on only the owner and the supervisors hold this case. The generation and public key of what is new."""
    people = _entitled(connection, keyring, owner)
    keep = {*people, RECOVERY, KEYRING}
    connection.execute(delete(case_keys).where(case_keys.c.case_id == case_id, case_keys.c.holder.not_in(keep)))
    return _renew(connection, keyring, case_id, people)


def _renew(connection: Connection, keyring: Keyring, case_id: str, people: Mapping[str, bytes]) -> tuple[int, bytes]:
    known = select(func.max(case_keys.c.generation)).where(case_keys.c.case_id == case_id).scalar_subquery()
    query = select(cases.c.generation, known).where(cases.c.id == case_id)
    written, held = connection.execute(query).one()
    generation = max(written, held or 0) + 1
    return generation, _add_pair(connection, keyring, case_id, generation, people)


def share(connection: Connection, keyring: Keyring, case_id: str, keys: CaseKeys, people: Collection[str]) -> None:
    """Gives what is known of the case's keys to these people too."""
    publics = _workers(connection, keyring)
    held = {
        (row.generation, row.holder)
        for row in connection.execute(select(case_keys).where(case_keys.c.case_id == case_id))
    }
    for person in people:
        for generation, private in keys.items():
            if person in publics and (generation, person) not in held:
                _give(connection, case_id, generation, person, publics[person], private)


def share_with_all(connection: Connection, keyring: Keyring, case_id: str, keys: CaseKeys) -> None:
    """Back to the queue: everybody who works it can read the case again."""
    share(connection, keyring, case_id, keys, _workers(connection, keyring))


def share_missing(connection: Connection, keyring: Keyring, operator: Operator) -> int:
    """Gives the open cases that this operator reads to colleagues who should read them and cannot yet, such as a new one, and
    to a new recovery key. How many keys."""
    given = _share_with_recovery(connection, keyring, operator)
    for colleague in connection.execute(_ACTIVE.where(staff.c.lacks_keys)).all():
        if not key_is_proven(keyring, colleague):
            continue
        lacking = _lacking(colleague).order_by(cases.c.id).with_for_update()  # nobody claims them meanwhile
        found = connection.execute(lacking).scalars().all()
        shared = [case_id for case_id in found if share_one(connection, keyring, case_id, operator, colleague.id)]
        if connection.execute(_lacking(colleague).limit(1)).first() is None:
            connection.execute(update(staff).where(staff.c.id == colleague.id).values(lacks_keys=False))
        given += len(shared)
    return given


def share_one(connection: Connection, keyring: Keyring, case_id: str, operator: Operator, colleague: str) -> bool:
    held = keys_of(connection, case_id, operator)
    share(connection, keyring, case_id, held, [colleague])
    return bool(held)


def _share_with_recovery(connection: Connection, keyring: Keyring, operator: Operator) -> int:
    """Some at a time: whoever opens the queue should not wait for it."""
    recovery = recovery_key(connection, keyring)
    if recovery is None:
        return 0
    theirs = case_keys.alias()
    has_one = exists().where(
        theirs.c.case_id == case_keys.c.case_id,
        theirs.c.generation == case_keys.c.generation,
        theirs.c.holder == RECOVERY,
    )
    lacking = connection.execute(
        select(case_keys).where(case_keys.c.holder == operator.id, ~has_one).limit(_MOST_AT_ONCE)
    ).all()
    for row in lacking:
        private = open_with(operator.private_key, row.sealed_key, _place(row.case_id, row.generation, operator.id))
        _give(connection, row.case_id, row.generation, RECOVERY, recovery, bytes.fromhex(private))
    return len(lacking)


def _lacking(colleague: Any) -> Any:
    """Open cases that this colleague should read, and of which somebody else holds a key that they have not."""
    theirs = or_(cases.c.owner_id == colleague.id, cases.c.owner_id.is_(None))
    own, other = case_keys.alias("own"), case_keys.alias("other")
    has_it = exists().where(
        own.c.case_id == other.c.case_id, own.c.generation == other.c.generation, own.c.holder == colleague.id
    )
    lacks_one = exists().where(other.c.case_id == cases.c.id, other.c.holder.not_in([RECOVERY, KEYRING]), ~has_it)
    entitled = true() if SUPERVISOR in colleague.roles.split(",") else theirs
    return select(cases.c.id).where(cases.c.status == "open", entitled, lacks_one)


def will_lack(connection: Connection, staff_id: str) -> None:
    """Somebody new, or with a new role: colleagues share what is open when they next look at the queue."""
    connection.execute(update(staff).where(staff.c.id == staff_id).values(lacks_keys=True))


def everybody_may_lack(connection: Connection) -> None:
    connection.execute(update(staff).where(staff.c.removed_at.is_(None)).values(lacks_keys=True))


def adopt(connection: Connection, keyring: Keyring) -> int:
    """Hands the cases that only the keyring holds to those who work the queue, as soon as there is somebody. How many."""
    waiting = select(case_keys, cases.c.owner_id).join(cases, cases.c.id == case_keys.c.case_id)
    adopted = set()
    for row in connection.execute(waiting.where(case_keys.c.holder == KEYRING)).all():
        people = _entitled(connection, keyring, row.owner_id)
        if not people:
            continue
        if recovery := recovery_key(connection, keyring):
            people[RECOVERY] = recovery
        for person, public in people.items():
            _give(connection, row.case_id, row.generation, person, public, _from_keyring(keyring, row))
        connection.execute(_exactly(row.case_id, row.generation, KEYRING))
        adopted.add(row.case_id)
    return len(adopted)


def take_away(connection: Connection, keyring: Keyring, staff_id: str) -> int:
    """Somebody leaves: no case opens with their key any more, and what is new is sealed to other pairs. How many cases."""
    held = lock_cases_of(connection, staff_id)
    connection.execute(delete(case_keys).where(case_keys.c.holder == staff_id))
    for row in held:
        people = _entitled(connection, keyring, row.owner_id)
        people.pop(staff_id, None)
        _renew(connection, keyring, row.id, people)
    return len(held)


def lock_cases_of(connection: Connection, staff_id: str) -> Sequence[Any]:
    """The open cases that this person holds, for the rest of the transaction. Whoever changes many cases takes them before the
    audit chain, as whoever changes one does."""
    holds = exists().where(case_keys.c.case_id == cases.c.id, case_keys.c.holder == staff_id)
    theirs = select(cases).where(cases.c.status == "open", or_(holds, cases.c.owner_id == staff_id))
    return connection.execute(theirs.order_by(cases.c.id).with_for_update()).all()


def mend(connection: Connection, keyring: Keyring, case: Any) -> tuple[int, bytes]:
    """The public key of this row of `cases` is not ours: another pair for those who should read it. Generation and public key."""
    _tell(connection, keyring, "case_key_replaced", case_id=case.id)
    return _renew(connection, keyring, case.id, _entitled(connection, keyring, case.owner_id))


def shred(connection: Connection, case_id: str) -> None:
    """Whatever was sealed to this case can never be read again, in no backup without its keys either."""
    connection.execute(delete(case_keys).where(case_keys.c.case_id == case_id))


# -- recovery ----------------------------------------------------------------------------------------------------------


def ensure_recovery(connection: Connection, keyring: Keyring) -> tuple[str, str] | None:
    """Makes the recovery key and returns its two shares, to be printed and kept by two people; None where there is one."""
    if recovery_key(connection, keyring):
        return None
    pair = new_pair()
    connection.execute(
        insert(about).values(name=RECOVERY, sealed_value=keyring.seal(pair.public.hex(), _RECOVERY_PLACE))
    )
    return _shares(pair)


def renew_recovery(connection: Connection, keyring: Keyring, now: dt.datetime, *, by: str) -> tuple[str, str]:
    """Another recovery key; its two shares. The ones of before open nothing from now on.

    New cases are sealed to it at once. Others get it when somebody who holds them looks at the queue, because the server cannot read
    them. What only the key of before could open is lost: `custody` tells how many cases that are.
    """
    if recovery_key(connection, keyring) is None:
        raise KeyringError("There is no recovery key yet: `banduong staff add` makes it with the first account.")
    pair = new_pair()
    sealed = keyring.seal(pair.public.hex(), _RECOVERY_PLACE)
    connection.execute(update(about).where(about.c.name == RECOVERY).values(sealed_value=sealed))
    connection.execute(delete(case_keys).where(case_keys.c.holder == RECOVERY))
    audit.record(connection, keyring, actor=by, action="recovery_renewed", now=now)
    return _shares(pair)


def recovery_key(connection: Connection, keyring: Keyring) -> bytes | None:
    """The public half. It is sealed so that nobody can put another one in its place. It is not renewed before the transaction ends."""
    here = select(about.c.sealed_value).where(about.c.name == RECOVERY).with_for_update(read=True)
    sealed = connection.execute(here).scalar()
    return bytes.fromhex(keyring.open(sealed, _RECOVERY_PLACE)) if sealed else None


def recover(
    connection: Connection, keyring: Keyring, shares: tuple[str, str], staff_id: str, now: dt.datetime, *, by: str
) -> int:
    """With both shares: gives every case to this person. How many cases. KeyringError where the shares are not right."""
    first, second = shares
    pair = _of_shares(first, second)
    if pair is None or pair.public != recovery_key(connection, keyring):
        raise KeyringError("These two shares are not those of the recovery key: check both for slips.")
    public = _workers(connection, keyring).get(staff_id)
    if public is None:
        raise KeyringError(
            "This person has no key yet, or no role that reads cases: let them accept an invitation first."
        )
    held = connection.execute(select(case_keys).where(case_keys.c.holder == RECOVERY)).all()
    for row in held:
        place = _place(row.case_id, row.generation, RECOVERY)
        private = bytes.fromhex(open_with(pair.private, row.sealed_key, place))
        _give(connection, row.case_id, row.generation, staff_id, public, private)
    recovered = {row.case_id for row in held}
    for case_id in sorted(recovered):
        audit.record(connection, keyring, actor=by, action="recovered", now=now, case_id=case_id, subject=staff_id)
    return len(recovered)


def _shares(pair: boxes.KeyPair) -> tuple[str, str]:
    first, second = boxes.split(pair.private)
    return _printed(first), _printed(second)


def _printed(share_of_key: bytes) -> str:
    """Figures and letters in groups of four, as people read them aloud."""
    written = share_of_key.hex().upper()
    return " ".join(written[at : at + 4] for at in range(0, len(written), 4))


def _of_shares(first: str, second: str) -> boxes.KeyPair | None:
    try:
        private = boxes.joined(*(bytes.fromhex("".join(part.split())) for part in (first, second)))
    except ValueError:
        return None
    return boxes.KeyPair(private) if len(private) == KEY else None


# -- people ------------------------------------------------------------------------------------------------------------


def _workers(connection: Connection, keyring: Keyring) -> dict[str, bytes]:
    """Everybody who works the queue and has a key that they were given here."""
    return {row.id: row.public_key for row in _proven_workers(connection, keyring)}


def _entitled(connection: Connection, keyring: Keyring, owner: str | None) -> dict[str, bytes]:
    """Those of them who read a case in these hands: everybody, or its owner and the supervisors."""
    return {
        row.id: row.public_key
        for row in _proven_workers(connection, keyring)
        if owner is None or row.id == owner or SUPERVISOR in row.roles.split(",")
    }


def _proven_workers(connection: Connection, keyring: Keyring) -> list[Any]:
    proven = []
    for row in connection.execute(_ACTIVE).all():
        if not WORKERS & set(row.roles.split(",")):
            continue
        if key_is_proven(keyring, row):
            proven.append(row)
        else:
            _tell(connection, keyring, "key_refused", subject=row.id)
    return proven


_ACTIVE = select(staff.c.id, staff.c.roles, staff.c.public_key, staff.c.key_proof).where(
    staff.c.removed_at.is_(None), staff.c.public_key.is_not(None)
)


# -- proofs ------------------------------------------------------------------------------------------------------------


def case_proof(keyring: Keyring, case_id: str, generation: int, public: bytes) -> str:
    """Kept beside the public key of a case."""
    return keyring.proof(_proven(case_id, generation, public))


def is_proven(keyring: Keyring, case: Any) -> bool:
    """Whether a row of `cases` has the public key that was made for it."""
    return keyring.proves(case.key_proof, _proven(case.id, case.generation, case.public_key))


def _proven(case_id: str, generation: int, public: bytes) -> str:
    return f"cases|{case_id}|{generation}|{public.hex()}"


def _tell(
    connection: Connection, keyring: Keyring, action: str, *, case_id: str | None = None, subject: str | None = None
) -> None:
    """Somebody has written keys into the database. Into the log and the audit, once a day for each."""
    now, row = clock(connection), audit_rows.c
    alike = (row.action == action, row.case_id == case_id, row.subject == subject, row.at > now - _SAID_ONCE)
    if connection.execute(select(row.position).where(*alike).limit(1)).first() is None:
        log.error("a public key is not the one that was made here (%s): see `banduong keys status`", action)
        audit.record(connection, keyring, actor="bot", action=action, now=now, case_id=case_id, subject=subject)


# -- rows --------------------------------------------------------------------------------------------------------------


def _from_keyring(keyring: Keyring, row: Any) -> bytes:
    return bytes.fromhex(keyring.open(row.sealed_key, _place(row.case_id, row.generation, KEYRING)))


def _exactly(case_id: str, generation: int, holder: str) -> Any:
    return delete(case_keys).where(
        case_keys.c.case_id == case_id, case_keys.c.generation == generation, case_keys.c.holder == holder
    )


def _row(case_id: str, generation: int, holder: str, sealed: bytes) -> dict[str, object]:
    return {"case_id": case_id, "generation": generation, "holder": holder, "sealed_key": sealed}


def _place(case_id: str, generation: int, holder: str) -> str:
    return f"case_keys|{case_id}|{generation}|{holder}"
