"""Work that time asks for: forgetting."""

import datetime as dt

from sqlalchemy import delete, select

from bot import conversations
from bot.store.database import Database
from bot.store.tables import cases, inbox, outbox

OUTBOX_LIFE = dt.timedelta(hours=24)  # after the final status
INBOX_LIFE = dt.timedelta(days=7)  # how long a repeated external id is recognised
CASE_LIFE = dt.timedelta(days=90)  # after closing


def purge(database: Database, now: dt.datetime, idle: dt.timedelta) -> dict[str, int]:
    """D-13: removes what has outlived its purpose; how much of each."""
    with database.begin() as connection:
        old_cases = select(cases.c.id).where(cases.c.status != "open", cases.c.updated_at < now - CASE_LIFE)
        removed = {
            "conversations": conversations.purge_idle(connection, now - idle),
            "outbox": connection.execute(delete(outbox).where(outbox.c.done_at < now - OUTBOX_LIFE)).rowcount,
            "inbox": connection.execute(delete(inbox).where(inbox.c.received_at < now - INBOX_LIFE)).rowcount,
            "cases": connection.execute(delete(cases).where(cases.c.id.in_(old_cases))).rowcount,
        }
    if any(removed.values()):
        database.checkpoint()
    return removed
