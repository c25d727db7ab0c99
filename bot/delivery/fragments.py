"""Parts of messages that arrive in several, sealed, until all are there or no more are likely to come.

A part is removed once the message that it belongs to is in the inbox: to join it twice does no harm, for its id is made of
the ids of its parts.
"""

import datetime as dt
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, delete, select, tuple_

from bot.delivery import inbox
from bot.messages import Address, InboundMessage
from bot.store.crypto import Keyring
from bot.store.database import insert_unless_there, utc
from bot.store.tables import fragments

if TYPE_CHECKING:  # it would bring a library that a process without SMS does not need
    from bot.channels.sms import Fragment

PATIENCE = dt.timedelta(minutes=3)  # with parts that do not come

_SET = (fragments.c.channel, fragments.c.lookup, fragments.c.reference)


@dataclass(frozen=True)
class Joined:
    """A message made of parts, whose rows wait to be removed."""

    message: InboundMessage
    key: tuple[str, str, int]
    numbers: tuple[int, ...]


@dataclass(frozen=True)
class _Part:
    number: int
    total: int
    id: str
    identifier: str
    text: str


def displaced(connection: Connection, keyring: Keyring, fragment: "Fragment", now: dt.datetime) -> Joined | None:
    """The unfinished message that another one with the same reference takes the place of."""
    key = _key(keyring, fragment)
    parts = _parts(keyring, _rows(connection, key))
    same = all(
        part.total == fragment.total and (part.number != fragment.number or part.text == fragment.text)
        for part in parts
    )
    return None if same else _joined(keyring, key, parts, now)


def join(
    connection: Connection, keyring: Keyring, fragment: "Fragment", now: dt.datetime, *, again: bool
) -> Joined | None:
    """Keeps the part; the whole message once all are there. `again`: the part may have come before, and be handled already."""
    key = _key(keyring, fragment)
    rows = _rows(connection, key)
    if fragment.number not in {row.number for row in rows}:
        channel, content = fragment.address.channel, _content(fragment)
        part_id, known = inbox.id_of(connection, keyring, channel, content, again=again, now=now)
        if known:
            return None
        inbox.note(connection, channel, part_id, now)
        _keep(connection, keyring, fragment, part_id, now)
        rows = _rows(connection, key)
    parts = _parts(keyring, rows)
    return _joined(keyring, key, parts, now) if len(parts) == fragment.total else None


def overdue(connection: Connection, keyring: Keyring, now: dt.datetime) -> list[Joined]:
    """The messages that were complete when we were interrupted, and those whose other parts do not come."""
    found = []
    rows = connection.execute(select(fragments).order_by(*_SET, fragments.c.number))
    for key, same in groupby(rows, key=lambda row: (row.channel, row.lookup, row.reference)):
        some = list(same)
        late = max(utc(row.received_at) for row in some) < now - PATIENCE
        if late or len(some) == some[0].total:
            found.append(_joined(keyring, key, _parts(keyring, some), now))
    return found


def remove(connection: Connection, joined: Joined) -> None:
    """The message is in the inbox."""
    connection.execute(
        delete(fragments).where(tuple_(*_SET) == tuple_(*joined.key), fragments.c.number.in_(joined.numbers))
    )


def _key(keyring: Keyring, fragment: "Fragment") -> tuple[str, str, int]:
    address = fragment.address
    return address.channel, keyring.lookup(address.channel, address.identifier), fragment.reference


def _content(fragment: "Fragment") -> str:
    """What makes a part the same part."""
    return f"{fragment.address.identifier}|{fragment.reference}|{fragment.number}/{fragment.total}|{json.dumps(fragment.text)}"


def _keep(connection: Connection, keyring: Keyring, fragment: "Fragment", part_id: str, now: dt.datetime) -> None:
    channel, lookup, reference = _key(keyring, fragment)
    body = json.dumps({"id": part_id, "from": fragment.address.identifier, "text": fragment.text})
    row = {
        "channel": channel, "lookup": lookup, "reference": reference, "number": fragment.number, "total": fragment.total,
        "sealed_body": keyring.seal(body, _place(channel, lookup, reference, fragment.number)), "received_at": now,
    }  # fmt: skip
    insert_unless_there(connection, fragments, row)


def _rows(connection: Connection, key: tuple[str, str, int]) -> Sequence[Any]:
    return connection.execute(select(fragments).where(tuple_(*_SET) == tuple_(*key)).order_by(fragments.c.number)).all()


def _parts(keyring: Keyring, rows: Sequence[Any]) -> list[_Part]:
    return [_opened(keyring, row) for row in rows]


def _opened(keyring: Keyring, row: Any) -> _Part:
    place = _place(row.channel, row.lookup, row.reference, row.number)
    body = json.loads(keyring.open(row.sealed_body, place))
    return _Part(row.number, row.total, body["id"], body["from"], body["text"])


def _joined(keyring: Keyring, key: tuple[str, str, int], parts: Sequence[_Part], now: dt.datetime) -> Joined:
    external_id = keyring.lookup("sms message", "|".join(part.id for part in parts))[:40]
    address = Address(key[0], parts[0].identifier)
    message = InboundMessage(address, external_id, _mended("".join(_pieces(parts))), now)
    return Joined(message, key, tuple(part.number for part in parts))


def _pieces(parts: Sequence[_Part]) -> Iterator[str]:
    """The texts in order, with a space where some are missing: halves of two words are not one word."""
    yield parts[0].text
    for before, part in pairwise(parts):
        yield part.text if part.number == before.number + 1 else f" {part.text}"


def _mended(text: str) -> str:
    """With the halves of a letter that was cut in two put together."""
    return text.encode("utf-16-be", "surrogatepass").decode("utf-16-be", "replace")


def _place(channel: str, lookup: str, reference: int, number: int) -> str:
    return f"fragments|{channel}|{lookup}|{reference}|{number}|sealed_body"
