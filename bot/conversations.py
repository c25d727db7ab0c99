"""Conversation state as sealed rows, and the words that wait for a consent, in memory only."""

import datetime as dt
import json
import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from bot.contacts import Contact
from bot.conversation.state import Conversation
from bot.messages import Address
from bot.observations import Observation
from bot.store.crypto import Keyring
from bot.store.database import utc
from bot.store.tables import addresses, conversations

MOST_DRAFTS = 10_000

_OWN = conversations.c.address_id == bindparam("own")
_LOAD = select(conversations.c.sealed_state).where(_OWN)
_CHANGE = update(conversations).where(_OWN)


def load(connection: Connection, keyring: Keyring, contact: Contact) -> Conversation | None:
    """The state of the talk under way, None where there is none."""
    sealed = connection.execute(_LOAD, {"own": contact.id}).scalar()
    if sealed is None:
        return None
    return Conversation.from_json(json.loads(keyring.open(sealed, _place(contact))))


def save(
    connection: Connection,
    keyring: Keyring,
    contact: Contact,
    conversation: Conversation,
    now: dt.datetime,
    *,
    begun: bool,
) -> None:
    """`begun`: the talk had no state before this turn."""
    values = {"sealed_state": keyring.seal(json.dumps(conversation.to_json()), _place(contact)), "updated_at": now}
    if begun or not connection.execute(_CHANGE, {"own": contact.id, **values}).rowcount:
        connection.execute(insert(conversations), {"address_id": contact.id, **values})


@dataclass(frozen=True)
class FinishedTalk:
    """What a talk is counted as. `who`: by which the same person is known again within a period, a keyed digest; `at`: its last message."""

    who: str
    seen: Observation
    at: dt.datetime


def finished(connection: Connection, keyring: Keyring, before: dt.datetime) -> Iterator[FinishedTalk]:
    """The talks that have been idle since `before` and had a check or a report in them."""
    whose = select(conversations, addresses.c.channel, addresses.c.lookup).join_from(conversations, addresses)
    for row in connection.execute(whose.where(conversations.c.updated_at < before)):
        state = json.loads(keyring.open(row.sealed_state, _place_of(row.address_id)))
        if seen := Conversation.from_json(state).seen:
            yield FinishedTalk(f"{row.channel}|{row.lookup}", seen, utc(row.updated_at))


def finished_of(keyring: Keyring, address: Address, talk: Conversation) -> FinishedTalk | None:
    """The same of one person's talk that is over."""
    if talk.seen is None or talk.updated_at is None:
        return None
    return FinishedTalk(who_is(keyring, address), talk.seen, talk.updated_at)


def who_is(keyring: Keyring, address: Address) -> str:
    return f"{address.channel}|{keyring.lookup(address.channel, address.identifier)}"


def purge_idle(connection: Connection, before: dt.datetime) -> int:
    """Forgets conversations that have been idle since `before`; how many."""
    return connection.execute(delete(conversations).where(conversations.c.updated_at < before)).rowcount


def _place(contact: Contact) -> str:
    return _place_of(contact.id)


def _place_of(address_id: str) -> str:
    return f"conversations|{address_id}|sealed_state"


class Drafts:
    """Words that nobody has agreed to keep: at most `life` long, never on disk (D-13)."""

    def __init__(self, life: dt.timedelta) -> None:
        self._life = life
        self._lock = threading.Lock()
        self._kept: OrderedDict[Address, tuple[dt.datetime, tuple[str, ...]]] = OrderedDict()

    def get(self, address: Address, now: dt.datetime) -> tuple[str, ...]:
        with self._lock:
            kept_at, words = self._kept.get(address, (now, ()))
            return words if now - kept_at < self._life else ()

    def purge(self, now: dt.datetime) -> None:
        with self._lock:
            for address in [address for address, (kept_at, _) in self._kept.items() if now - kept_at >= self._life]:
                del self._kept[address]

    def put(self, address: Address, words: tuple[str, ...], now: dt.datetime) -> None:
        with self._lock:
            self._kept.pop(address, None)
            if words:
                self._kept[address] = (now, words)
            while self._kept and (
                len(self._kept) > MOST_DRAFTS or now - next(iter(self._kept.values()))[0] >= self._life
            ):
                self._kept.popitem(last=False)
