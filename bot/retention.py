"""Work that time asks for: forgetting, and keeping the head of the audit chain outside."""

import datetime as dt
from pathlib import Path

from sqlalchemy import ColumnElement, Connection, and_, delete, exists, func, select, update

from bot import audit, conversations, links, outcomes
from bot.delivery import dead_letters
from bot.delivery.outbox import expire
from bot.errors import StoreError
from bot.hotline import keys, work
from bot.hotline.cases import CLOCK
from bot.messages import VIETNAM
from bot.outreach import progress
from bot.staff import sessions, throttle
from bot.store.crypto import Keyring
from bot.store.database import Database
from bot.store.tables import case_messages, cases, consents, handoffs, inbox, outbox, pace, receipts
from bot.unanswered import kept

OUTBOX_LIFE = dt.timedelta(hours=24)  # of a text, after the final status
INBOX_LIFE = dt.timedelta(days=7)  # how long a repeated external id is recognised
ID_LIFE = dt.timedelta(hours=48)  # a provider's id: so long its messages can be deleted
PACE_LIFE = dt.timedelta(minutes=10)
DEAD_LETTER_LIFE = dt.timedelta(days=3)
CASE_LIFE = dt.timedelta(days=90)  # after it ended, unless config.yml says otherwise
WORDS_LIFE = dt.timedelta(hours=24)  # of both sides, after the case ended, unless config.yml says otherwise
CONSENT_LIFE = (
    audit.LIFE
)  # without the person: it proves that what the audit chain tells of was allowed, and goes with it


def purge(
    database: Database,
    now: dt.datetime,
    idle: dt.timedelta,
    keep_cases: dt.timedelta = CASE_LIFE,
    keep_words: dt.timedelta = WORDS_LIFE,
) -> dict[str, int]:
    """D-13: removes what has outlived its purpose; how much of each."""
    with database.begin() as connection:
        expire(connection, now)  # also where no sender does
        removed = {
            "conversations": conversations.purge_idle(connection, now - idle),
            "outbox": _forget_texts(connection, now - OUTBOX_LIFE),
            "dead letters": dead_letters.purge(connection, now - DEAD_LETTER_LIFE),
            "inbox": connection.execute(delete(inbox).where(inbox.c.received_at < now - INBOX_LIFE)).rowcount,
            "cases": _forget_cases(connection, now - keep_cases),
            "words": _forget_words(connection, database.keyring, now - keep_words, now),
            "consents": _forget_consents(connection, now - CONSENT_LIFE),
            "audit": audit.purge(connection, database.keyring, now - audit.LIFE, now),
            "unanswered questions": kept.purge(connection, now),
            "recipients": progress.forget_recipients(connection, now - progress.RECIPIENTS_LIFE),
        }
        progress.keep_figures(connection, now - ID_LIFE)
        connection.execute(delete(outbox).where(outbox.c.done_at < now - ID_LIFE))
        connection.execute(delete(receipts).where(receipts.c.received_at < now - ID_LIFE))
        outcomes.purge(connection, now)
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


def _forget_cases(connection: Connection, before: dt.datetime) -> int:
    """Their keys first: then nothing that is left of them anywhere can be read."""
    old = list(connection.execute(select(cases.c.id).where(_ended(before))).scalars())
    for case_id in old:
        keys.shred(connection, case_id)
    return connection.execute(delete(cases).where(cases.c.id.in_(old))).rowcount


def _forget_words(connection: Connection, keyring: Keyring, before: dt.datetime, now: dt.datetime) -> int:
    """S-14: how many cases lose the words of both sides, and keep the operator's summary."""
    told = exists().where(case_messages.c.case_id == cases.c.id)
    old = list(connection.execute(select(cases.c.id).where(_ended(before), told)).scalars())
    for case_id in old:
        work.forget_words(connection, case_id, now, keyring, CLOCK)
    return len(old)


def _ended(before: dt.datetime) -> ColumnElement[bool]:
    """A case that an older version ended has no other moment than that of its last change."""
    return and_(cases.c.status != "open", func.coalesce(cases.c.ended_at, cases.c.updated_at) < before)


def _forget_consents(connection: Connection, before: dt.datetime) -> int:
    """Those whose person is forgotten, and on which nothing stands any more."""
    old = (
        consents.c.address_id.is_(None),
        func.coalesce(consents.c.withdrawn_at, consents.c.given_at) < before,
        ~exists().where(cases.c.consent_id == consents.c.id),
        ~exists().where(handoffs.c.consent_id == consents.c.id),
    )
    return connection.execute(delete(consents).where(*old)).rowcount


# -- the head of the audit chain ---------------------------------------------------------------------------------------


def keep_head(database: Database, path: Path, now: dt.datetime) -> bool:
    """Once a day (of Viet Nam) writes the head of the chain to a file that belongs on another disk; whether it did so now."""
    today = now.astimezone(VIETNAM).date().isoformat()
    try:
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        if lines and lines[-1].startswith(today):
            return False
        with database.begin() as connection:
            head = audit.head(connection)
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{today} {head}\n")
    except OSError as error:
        raise StoreError(
            f"{path} cannot be written ({error.strerror}): free it or change bot.hotline.anchor."
        ) from None
    return True


def kept_head(path: Path) -> str | None:
    """The newest head in the file, as "POSITION:MAC"; None where there is none yet."""
    try:
        lines = path.read_text(encoding="utf-8").split()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"{path} cannot be read ({error.strerror}): see bot.hotline.anchor.") from None
    return lines[-1] if lines else None
