"""Replies as rows, written in the commit of the turn that decided them."""

import datetime as dt
import json
from collections.abc import Sequence

from sqlalchemy import Connection, insert, select

from bot.contacts import Contact
from bot.delivery.render import Rendered
from bot.messages import DeliveryStatus, Lane, OutboundMessage
from bot.store.crypto import Keyring
from bot.store.database import new_id
from bot.store.tables import outbox


def enqueue(
    connection: Connection,
    keyring: Keyring,
    contact: Contact,
    inbox_id: str,
    rendered: Sequence[Rendered],
    *,
    lane: Lane,
    pulled: bool,
    now: dt.datetime,
) -> tuple[OutboundMessage, ...]:
    """One row a message. Where the person's own program pulls the reply, it counts as sent with the commit."""
    messages, rows = [], []
    for position, part in enumerate(rendered):
        row_id = new_id()
        message = OutboundMessage(contact.address, part.text, f"r:{inbox_id}:{position}", lane, part.buttons)
        body = json.dumps({"text": part.text, "buttons": part.buttons}, ensure_ascii=False)
        rows.append(
            {
                "id": row_id,
                "address_id": contact.id,
                "inbox_id": inbox_id,
                "position": position,
                "dedup": message.dedup,
                "lane": lane,
                "status": DeliveryStatus.SENT if pulled else DeliveryStatus.QUEUED,
                "sealed_body": keyring.seal(body, f"outbox|{row_id}|sealed_body"),
                "created_at": now,
                "done_at": now if pulled else None,
            }
        )
        messages.append(message)
    if rows:
        connection.execute(insert(outbox), rows)
    return tuple(messages)


def replies_to(
    connection: Connection, keyring: Keyring, contact: Contact, inbox_id: str
) -> tuple[OutboundMessage, ...]:
    """What was decided in answer to one message, for a program that asks again."""
    rows = connection.execute(select(outbox).where(outbox.c.inbox_id == inbox_id).order_by(outbox.c.position)).all()
    messages = []
    for row in rows:
        body = json.loads(keyring.open(row.sealed_body, f"outbox|{row.id}|sealed_body"))
        messages.append(
            OutboundMessage(contact.address, body["text"], row.dedup, Lane(row.lane), tuple(body["buttons"]))
        )
    return tuple(messages)
