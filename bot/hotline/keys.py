"""Who can read a case. Every case has a key pair; its private key is sealed to each of its holders.

The bot seals what it writes to the public key and cannot read it back. While nobody has claimed a case, everybody who works the
queue holds it; afterwards the owner and the supervisors do. Whenever somebody loses a key, what is written from then on is sealed
to a new pair. Two people hold the shares of a recovery key that is nowhere else. Where nobody at all could read a case yet, the
keyring holds it until somebody can.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, exists, insert, or_, select, true, update

from bot.errors import KeyringError
from bot.store import boxes
from bot.store.boxes import KEY, new_pair, open_with, seal_to
from bot.store.crypto import Keyring
from bot.store.database import insert_unless_there
from bot.store.tables import about, case_keys, cases, staff

KEYRING, RECOVERY = "keyring", "recovery"
SUPERVISOR = "supervisor"
WORKERS = frozenset({"operator", SUPERVISOR})  # roles that read cases; content/policy/permissions.yml agrees (a test)
_RECOVERY_PLACE = "about|recovery|sealed_value"


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
    return _add_pair(connection, keyring, case_id, 1, _workers(connection))


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
    people = _entitled(owner, _workers(connection), _supervisors(connection))
    keep = {*people, RECOVERY, KEYRING}
    connection.execute(delete(case_keys).where(case_keys.c.case_id == case_id, case_keys.c.holder.not_in(keep)))
    return _renew(connection, keyring, case_id, people)


def _renew(connection: Connection, keyring: Keyring, case_id: str, people: Mapping[str, bytes]) -> tuple[int, bytes]:
    generation = connection.execute(select(cases.c.generation).where(cases.c.id == case_id)).scalar_one() + 1
    public = _add_pair(connection, keyring, case_id, generation, people)
    connection.execute(update(cases).where(cases.c.id == case_id).values(generation=generation, public_key=public))
    return generation, public


def share(connection: Connection, case_id: str, keys: CaseKeys, people: Collection[str]) -> None:
    """Gives what is known of the case's keys to these people too."""
    publics = _workers(connection)
    held = {
        (row.generation, row.holder)
        for row in connection.execute(select(case_keys).where(case_keys.c.case_id == case_id))
    }
    for person in people:
        for generation, private in keys.items():
            if person in publics and (generation, person) not in held:
                _give(connection, case_id, generation, person, publics[person], private)


def share_with_all(connection: Connection, case_id: str, keys: CaseKeys) -> None:
    """Back to the queue: everybody who works it can read the case again."""
    share(connection, case_id, keys, _workers(connection))


def share_missing(connection: Connection, operator: Operator) -> int:
    """Gives the open cases that this operator reads to colleagues who should read them and cannot yet, such as a new one.
    How many keys."""
    given = 0
    for colleague in connection.execute(_ACTIVE.where(staff.c.lacks_keys)).all():
        lacking = _lacking(colleague).order_by(cases.c.id).with_for_update()  # nobody claims them meanwhile
        found = connection.execute(lacking).scalars().all()
        shared = [case_id for case_id in found if share_one(connection, case_id, operator, colleague.id)]
        if connection.execute(_lacking(colleague).limit(1)).first() is None:
            connection.execute(update(staff).where(staff.c.id == colleague.id).values(lacks_keys=False))
        given += len(shared)
    return given


def share_one(connection: Connection, case_id: str, operator: Operator, colleague: str) -> bool:
    held = keys_of(connection, case_id, operator)
    share(connection, case_id, held, [colleague])
    return bool(held)


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
    workers, supervisors = _workers(connection), _supervisors(connection)
    waiting = select(case_keys, cases.c.owner_id).join(cases, cases.c.id == case_keys.c.case_id)
    adopted = set()
    for row in connection.execute(waiting.where(case_keys.c.holder == KEYRING)).all():
        people = _entitled(row.owner_id, workers, supervisors)
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
    people = {one: key for one, key in _workers(connection).items() if one != staff_id}
    supervisors = _supervisors(connection) - {staff_id}
    for row in held:
        _renew(connection, keyring, row.id, _entitled(row.owner_id, people, supervisors))
    return len(held)


def lock_cases_of(connection: Connection, staff_id: str) -> Sequence[Any]:
    """The open cases that this person holds, for the rest of the transaction. Whoever changes many cases takes them before the
    audit chain, as whoever changes one does."""
    holds = exists().where(case_keys.c.case_id == cases.c.id, case_keys.c.holder == staff_id)
    theirs = select(cases).where(cases.c.status == "open", or_(holds, cases.c.owner_id == staff_id))
    return connection.execute(theirs.order_by(cases.c.id).with_for_update()).all()


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
    first, second = boxes.split(pair.private)
    return _printed(first), _printed(second)


def recovery_key(connection: Connection, keyring: Keyring) -> bytes | None:
    """The public half. It is sealed so that nobody can put another one in its place."""
    sealed = connection.execute(select(about.c.sealed_value).where(about.c.name == RECOVERY)).scalar()
    return bytes.fromhex(keyring.open(sealed, _RECOVERY_PLACE)) if sealed else None


def recover(connection: Connection, keyring: Keyring, first: str, second: str, staff_id: str) -> int:
    """With both shares: gives every case to this person. How many cases. KeyringError where the shares are not right."""
    pair = _of_shares(first, second)
    if pair is None or pair.public != recovery_key(connection, keyring):
        raise KeyringError("These two shares are not those of the recovery key: check both for slips.")
    public = _workers(connection).get(staff_id)
    if public is None:
        raise KeyringError("This person has no key yet, or no role that reads cases: let them log in once first.")
    held = connection.execute(select(case_keys).where(case_keys.c.holder == RECOVERY)).all()
    for row in held:
        place = _place(row.case_id, row.generation, RECOVERY)
        private = bytes.fromhex(open_with(pair.private, row.sealed_key, place))
        _give(connection, row.case_id, row.generation, staff_id, public, private)
    return len({row.case_id for row in held})


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


# -- rows --------------------------------------------------------------------------------------------------------------


def _workers(connection: Connection) -> dict[str, bytes]:
    """Everybody who works the queue and has a key."""
    rows = connection.execute(_ACTIVE)
    return {row.id: row.public_key for row in rows if WORKERS & set(row.roles.split(","))}


def _supervisors(connection: Connection) -> set[str]:
    return {row.id for row in connection.execute(_ACTIVE) if SUPERVISOR in row.roles.split(",")}


_ACTIVE = select(staff.c.id, staff.c.roles, staff.c.public_key).where(
    staff.c.removed_at.is_(None), staff.c.public_key.is_not(None)
)


def _entitled(owner: str | None, workers: Mapping[str, bytes], supervisors: Collection[str]) -> dict[str, bytes]:
    """Who may read a case: everybody while nobody has claimed it, then its owner and the supervisors."""
    return {one: key for one, key in workers.items() if owner is None or one == owner or one in supervisors}


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
