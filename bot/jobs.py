"""Work that time asks for: forgetting."""

import datetime as dt

from sqlalchemy import Connection, delete, select, update

from bot import conversations, links
from bot.delivery import dead_letters
from bot.delivery.outbox import expire
from bot.staff import sessions, throttle
from bot.store.database import Database
from bot.store.tables import cases, inbox, outbox, pace, receipts

OUTBOX_LIFE = dt.timedelta(hours=24)  # of a text, after the final status
INBOX_LIFE = dt.timedelta(days=7)  # how long a repeated external id is recognised
ID_LIFE = dt.timedelta(hours=48)  # a provider's id: so long its messages can be deleted
PACE_LIFE = dt.timedelta(minutes=10)
DEAD_LETTER_LIFE = dt.timedelta(days=3)
CASE_LIFE = dt.timedelta(days=90)  # after closing


def purge(database: Database, now: dt.datetime, idle: dt.timedelta) -> dict[str, int]:
    """D-13: removes what has outlived its purpose; how much of each."""
    with database.begin() as connection:
        expire(connection, now)  # also where no sender does
        old_cases = select(cases.c.id).where(cases.c.status != "open", cases.c.updated_at < now - CASE_LIFE)
        removed = {
            "conversations": conversations.purge_idle(connection, now - idle),
            "outbox": _forget_texts(connection, now - OUTBOX_LIFE),
            "dead letters": dead_letters.purge(connection, now - DEAD_LETTER_LIFE),
            "inbox": connection.execute(delete(inbox).where(inbox.c.received_at < now - INBOX_LIFE)).rowcount,
            "cases": connection.execute(delete(cases).where(cases.c.id.in_(old_cases))).rowcount,
        }
        connection.execute(delete(outbox).where(outbox.c.done_at < now - ID_LIFE))
        connection.execute(delete(receipts).where(receipts.c.received_at < now - ID_LIFE))
        links.purge_codes(connection, now)
        sessions.purge(connection, now)
        throttle.purge(connection, now)
        connection.execute(delete(pace).where(pace.c.next_slot_at < now - PACE_LIFE))
    if any(removed.values()):
        database.checkpoint()
    return removed


def _forget_texts(connection: Connection, before: dt.datetime) -> int:
    """The words go; that a message was there stays a while, for the sake of its provider's id."""
    old = (outbox.c.done_at < before) & (outbox.c.sealed_body != b"")
    return connection.execute(update(outbox).where(old).values(sealed_body=b"")).rowcount
