"""Each external id once."""

import datetime as dt
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, case, func, insert, select

from bot.contacts import Contact
from bot.messages import InboundMessage
from bot.store.database import new_id
from bot.store.tables import inbox

_EARLIER = select(inbox.c.id, inbox.c.address_id).where(
    inbox.c.channel == bindparam("channel"), inbox.c.external_id == bindparam("external_id")
)
MINUTE, HOUR = dt.timedelta(minutes=1), dt.timedelta(hours=1)
_RECENT = select(
    func.sum(case((inbox.c.received_at > bindparam("minute"), 1), else_=0)).label("minute"), func.count().label("hour")
).where(inbox.c.address_id == bindparam("own"), inbox.c.received_at > bindparam("hour"))


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
