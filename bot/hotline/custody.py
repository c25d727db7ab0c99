"""Whether every case can be read by somebody: what `banduong keys status` tells of the keys of cases."""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, select

from bot.hotline import keys
from bot.hotline.keys import KEYRING, RECOVERY
from bot.staff.accounts import key_is_proven
from bot.store.crypto import Keyring
from bot.store.tables import case_keys, cases, staff


@dataclass(frozen=True)
class Custody:
    """How many cases. `keyring_only`: open ones that nobody but the keyring holds, in whole or in part; `recovery_only`: any that only
    the recovery key holds; `nobodys`: open ones with words that nothing opens any more; `lack_recovery`: any that the recovery
    key does not open yet. And how many colleagues and open cases have a public key that was not made here."""

    recovery_key: bool
    keyring_only: int
    recovery_only: int
    nobodys: int
    lack_recovery: int
    strange_colleagues: int
    strange_cases: int


def custody(connection: Connection, keyring: Keyring) -> Custody:
    holders = _holders(connection)
    opened = connection.execute(select(cases).where(cases.c.status == "open")).all()
    waiting = {row.id for row in opened}
    return Custody(
        recovery_key=keys.recovery_key(connection, keyring) is not None,
        keyring_only=_count(holders, lambda held: KEYRING in held and held <= _NOT_PEOPLE, waiting),
        recovery_only=_count(holders, lambda held: held == {RECOVERY}),
        nobodys=sum(len(holders.get(row.id, {})) < row.generation for row in opened),
        lack_recovery=_count(holders, lambda held: RECOVERY not in held),
        strange_colleagues=sum(not key_is_proven(keyring, row) for row in connection.execute(_WITH_KEY)),
        strange_cases=sum(not keys.is_proven(keyring, row) for row in opened),
    )


_NOT_PEOPLE = {KEYRING, RECOVERY}
_WITH_KEY = select(staff).where(staff.c.removed_at.is_(None), staff.c.public_key.is_not(None))


def _holders(connection: Connection) -> dict[str, dict[int, set[str]]]:
    """Case -> generation of its keys -> who holds them."""
    found: dict[str, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
    for case_id, generation, holder in connection.execute(
        select(case_keys.c.case_id, case_keys.c.generation, case_keys.c.holder)
    ):
        found[case_id][generation].add(holder)
    return found


def _count(
    holders: Mapping[str, Mapping[int, set[str]]],
    is_so: Callable[[set[str]], bool],
    among: Collection[str] | None = None,
) -> int:
    """Cases of which this is so for any generation."""
    return sum(any(map(is_so, held.values())) for case_id, held in holders.items() if among is None or case_id in among)
