"""What leaves us for others: referral sheets, exports, a hotline's own case system. Only with the yes of its own purpose, or a proven emergency."""

from sqlalchemy import Connection, select

from bot.contacts import Contact
from bot.store.tables import cases, handoffs


def has_left(connection: Connection, contact: Contact) -> bool:
    """Whether something about this person was handed on: then a deletion cannot take it back, and says so (D-04)."""
    left = select(handoffs.c.id).join(cases, cases.c.id == handoffs.c.case_id).where(cases.c.address_id == contact.id)
    return connection.execute(left.limit(1)).first() is not None
