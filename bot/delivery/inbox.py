"""Each external id once."""

from sqlalchemy import Connection, insert, select

from bot.contacts import Contact
from bot.messages import InboundMessage
from bot.store.database import new_id
from bot.store.tables import inbox


def receive(connection: Connection, message: InboundMessage, contact: Contact) -> str | None:
    """The id of the new row; None when this message was handled before."""
    if earlier(connection, message):
        return None
    row_id = new_id()
    connection.execute(
        insert(inbox).values(
            id=row_id,
            channel=message.address.channel,
            external_id=message.external_id,
            address_id=contact.id,
            received_at=message.received_at,
        )
    )
    return row_id


def earlier(connection: Connection, message: InboundMessage) -> str | None:
    """The row of the same external id, if it came before."""
    return connection.execute(
        select(inbox.c.id).where(inbox.c.channel == message.address.channel, inbox.c.external_id == message.external_id)
    ).scalar()
