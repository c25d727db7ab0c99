"""Each external id once; and ids for what came without one."""

import datetime as dt
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, case, func, insert, select

from bot.contacts import Contact
from bot.messages import InboundMessage
from bot.store.crypto import Keyring
from bot.store.database import new_id, utc
from bot.store.tables import inbox

REPEATED_WITHIN = dt.timedelta(minutes=10)  # a provider says again what it saw no answer to, but not for longer

_EARLIER = select(inbox.c.id, inbox.c.address_id).where(
    inbox.c.channel == bindparam("channel"), inbox.c.external_id == bindparam("external_id")
)
MINUTE, HOUR = dt.timedelta(minutes=1), dt.timedelta(hours=1)
_RECENT = select(
    func.sum(case((inbox.c.received_at > bindparam("minute"), 1), else_=0)).label("minute"), func.count().label("hour")
).where(inbox.c.address_id == bindparam("own"), inbox.c.received_at > bindparam("hour"))
# The range is for the index, whatever the collation; the prefix is what counts.
_OF_CONTENT = select(inbox.c.external_id, inbox.c.received_at).where(
    inbox.c.channel == bindparam("channel"),
    inbox.c.external_id >= bindparam("base"),
    inbox.c.external_id < bindparam("above"),
    inbox.c.external_id.startswith(bindparam("prefix")),
)


@dataclass(frozen=True)
class Earlier:
    """The row of a message that came before; `address_id` is gone when its sender was forgotten."""

    id: str
    address_id: str | None


def earlier(connection: Connection, message: InboundMessage) -> Earlier | None:
    """The row of the same external id, if it came before."""
    key = {"channel": message.address.channel, "external_id": message.external_id}
    row = connection.execute(_EARLIER, key).first()
    return Earlier(row.id, row.address_id) if row else None


def recent(connection: Connection, contact: Contact, now: dt.datetime) -> tuple[int, int]:
    """How many messages this address has sent in the last minute and in the last hour."""
    moments = {"own": contact.id, "minute": now - MINUTE, "hour": now - HOUR}
    row = connection.execute(_RECENT, moments).one()
    return int(row.minute or 0), int(row.hour or 0)


def receive(connection: Connection, message: InboundMessage, contact: Contact) -> str:
    """The id of the new row."""
    row_id = new_id()
    row = {
        "id": row_id,
        "channel": message.address.channel,
        "external_id": message.external_id,
        "address_id": contact.id,
        "message_id": message.message_id,
        "received_at": message.received_at,
    }
    connection.execute(insert(inbox), row)
    return row_id


def id_of(
    connection: Connection, keyring: Keyring, channel: str, content: str, *, again: bool, now: dt.datetime
) -> tuple[str, bool]:
    """An external id for what came without one, and whether it is that of a row.

    The same content gets another number each time it comes. `again`: it may be what came before, and is if that is not long ago.
    """
    base = keyring.lookup("sms message", content)[:40]
    key = {"channel": channel, "base": base, "above": f"{base}g", "prefix": f"{base}:"}
    numbered = {int(row.external_id[len(base) + 1 :]): row for row in connection.execute(_OF_CONTENT, key)}
    last = max(numbered, default=-1)
    if again and numbered and utc(numbered[last].received_at) > now - REPEATED_WITHIN:
        return f"{base}:{last}", True
    return f"{base}:{last + 1}", False


def note(connection: Connection, channel: str, external_id: str, now: dt.datetime) -> None:
    """That a part of a message came, so that it is recognised when it comes again."""
    row = {"id": new_id(), "channel": channel, "external_id": external_id, "received_at": now}
    connection.execute(insert(inbox), row)
