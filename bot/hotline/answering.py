"""Somebody who writes to a person must not meet silence: what time does while a claimed case waits for its owner's word.

The owner is called, then everybody on duty; then the line goes back to the bot, which tells the truth with numbers to call. It counts
from the person's first word that nobody has answered. Each step once, in passes like those of bot/hotline/clocks.py.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, and_, func, or_, select

from bot import contacts, conversations
from bot.channels.base import CAPABILITIES
from bot.contacts import Contact
from bot.conversation.replies import Speaker
from bot.delivery import outbox
from bot.delivery.render import parts
from bot.hotline import paging, relay
from bot.hotline.cases import CLOCK, PERSON, Case, add_event, to_write
from bot.hotline.clocks import Clock, Done, nobody_came
from bot.hotline.paging import Colleague
from bot.messages import Lane
from bot.store.crypto import Keyring
from bot.store.database import insert_unless_there, utc
from bot.store.tables import case_messages, case_steps, cases

OWNER_AFTER = dt.timedelta(minutes=5)
EVERYBODY_AFTER = dt.timedelta(minutes=10)
HONEST_AFTER = dt.timedelta(minutes=15)
TRUE_FOR = dt.timedelta(minutes=30)  # later, that nobody answers is no news (S-10)

# Somebody has the line, or has taken a cry for help.
_IN_HANDS = and_(
    cases.c.status == "open",
    cases.c.owner_id.is_not(None),
    or_(cases.c.relay_since.is_not(None), cases.c.priority == "P0"),
)


@dataclass(frozen=True)
class Wait:
    """A person who has written at `since` and not been answered."""

    case: Case
    contact: Contact
    since: dt.datetime

    def step(self, after: dt.timedelta) -> str:
        return f"0.w{int(after.total_seconds() // 60)}.{int(self.since.timestamp())}"


def look(connection: Connection, keyring: Keyring, clock: Clock, now: dt.datetime) -> Done:
    """One pass. What somebody else has in hand comes with the next."""
    done = Done()
    for row in connection.execute(
        select(cases.c.id, cases.c.address_id).where(_IN_HANDS, cases.c.address_id.is_not(None))
    ).all():
        since = unanswered_since(connection, row.id)
        if since is not None and now - since >= OWNER_AFTER and not _all_done(connection, row.id, since):
            _look_at(connection, keyring, clock, row.id, row.address_id, since, now, done)
    return done


def unanswered_since(connection: Connection, case_id: str) -> dt.datetime | None:
    """When the person first wrote after the last word of ours, and after somebody took the case."""
    spoken = (
        select(func.max(case_messages.c.at))
        .where(case_messages.c.case_id == case_id, case_messages.c.author != PERSON)
        .scalar_subquery()
    )
    taken = select(cases.c.claimed_at).where(cases.c.id == case_id).scalar_subquery()
    theirs = case_messages.c.case_id == case_id, case_messages.c.author == PERSON
    unheard = select(func.min(case_messages.c.at)).where(*theirs, or_(spoken.is_(None), case_messages.c.at > spoken))
    first = connection.execute(unheard).scalar()
    claimed = connection.execute(select(taken)).scalar()
    if first is None or claimed is None:
        return None
    return max(utc(first), utc(claimed))


def _all_done(connection: Connection, case_id: str, since: dt.datetime) -> bool:
    last = f"0.w{int(HONEST_AFTER.total_seconds() // 60)}.{int(since.timestamp())}"
    known = select(case_steps.c.step).where(case_steps.c.case_id == case_id, case_steps.c.step == last)
    return connection.execute(known).first() is not None


def _look_at(
    connection: Connection,
    keyring: Keyring,
    clock: Clock,
    case_id: str,
    address_id: str,
    since: dt.datetime,
    now: dt.datetime,
    done: Done,
) -> None:
    """Locks the person first, as every turn does."""
    contact = contacts.take_if_free(connection, keyring, address_id)
    locked = select(cases).where(cases.c.id == case_id, _IN_HANDS).with_for_update(skip_locked=True)
    row = connection.execute(locked).first() if contact else None
    if contact is None or row is None or unanswered_since(connection, case_id) != since:
        return
    wait = Wait(to_write(connection, keyring, row), contact, since)
    if now - since >= HONEST_AFTER:
        _tell(connection, keyring, clock, wait, now, done)
    elif now - since >= EVERYBODY_AFTER:
        everybody = paging.roster(connection, keyring, clock.exchange)
        _call(connection, keyring, clock, wait, EVERYBODY_AFTER, everybody, now, done)
    else:
        owner = paging.one(connection, keyring, clock.exchange, wait.case.owner_id or "")
        _call(connection, keyring, clock, wait, OWNER_AFTER, [owner] if owner else [], now, done)


def _once(connection: Connection, wait: Wait, after: dt.timedelta, now: dt.datetime) -> bool:
    row = {"case_id": wait.case.id, "step": wait.step(after), "staff_id": None, "at": now}
    return insert_unless_there(connection, case_steps, row)


def _call(
    connection: Connection,
    keyring: Keyring,
    clock: Clock,
    wait: Wait,
    after: dt.timedelta,
    people: Sequence[Colleague],
    now: dt.datetime,
    done: Done,
) -> None:
    if not _once(connection, wait, after, now):
        return
    for colleague in people:
        about = f"{wait.case.id}:{wait.step(after)}"
        if paging.call(connection, keyring, clock.exchange, colleague, about, now):
            add_event(connection, keyring, wait.case, "paged", CLOCK, {"to": colleague.id}, now)
            done.calls += 1


def _tell(connection: Connection, keyring: Keyring, clock: Clock, wait: Wait, now: dt.datetime, done: Done) -> None:
    """The bot answers again, and says how it is. Not where that is no news any more, or somebody may read along."""
    if not _once(connection, wait, HONEST_AFTER, now):
        return
    case = relay.end(connection, keyring, wait.case, CLOCK, now) if wait.case.relay_since else wait.case
    if now - wait.since > HONEST_AFTER + TRUE_FOR or case.facts.watched:
        return
    state = conversations.load(connection, keyring, wait.contact)
    speaker = Speaker(clock.exchange.library, state.language if state else "vi")
    told = nobody_came(speaker, clock.hours, case.facts.country, now)
    written = outbox.say(
        connection, keyring, wait.contact, parts(told, CAPABILITIES[wait.contact.address.channel]),
        dedup=f"unanswered:{case.id}:{int(wait.since.timestamp())}", author="bot", lane=Lane.EMERGENCY, now=now, life=TRUE_FOR,
    )  # fmt: skip
    if written:
        add_event(connection, keyring, case, "nobody_came", CLOCK, {}, now)
        done.told += 1
