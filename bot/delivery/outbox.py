"""Outgoing messages as rows, and every change of their state. What a worker does with them: bot/delivery/sender.py.

queued -> claimed -> sending -> sent | failed | uncertain. `sending` is committed before the provider is called. A lease that ran
out gives a claimed row back, for nothing was sent; a row that was being sent becomes uncertain, and only an emergency leaves again.
"""

import datetime as dt
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from sqlalchemy import (
    Connection,
    and_,
    bindparam,
    exists,
    func,
    insert,
    literal_column,
    or_,
    select,
    tuple_,
    union,
    update,
)

from bot.channels.base import SendError, SendResult
from bot.contacts import Contact, move, set_unreachable, withdraw_consent
from bot.delivery import news, pace
from bot.delivery.pace import Pace
from bot.delivery.render import Rendered
from bot.messages import Address, Clearing, DeliveryReceipt, DeliveryStatus, Lane, OutboundMessage, Refusal
from bot.store.crypto import Keyring
from bot.store.database import insert_of, insert_unless_there, new_id, utc
from bot.store.tables import addresses, cases, inbox, outbox, parts, receipts
from bot.store.tables import pace as paces

LIFE = dt.timedelta(hours=24)  # of a reply that could not leave: later it would only confuse
CLEARABLE = dt.timedelta(hours=47)  # Telegram deletes what is younger than 48 hours
LEASE = dt.timedelta(seconds=30)  # longer than any call to a provider
MOST_REPEATS = 3  # of an emergency message whose fate is unknown
LONGEST_WAIT = 60.0  # seconds between two attempts
LONGEST_PAUSE = dt.timedelta(seconds=LONGEST_WAIT)  # that a message may keep the person's later ones waiting
MOST_RETRIES = 3  # of a message that did not reach the handset
RETRY_AFTER = dt.timedelta(minutes=10)
STRAY_FOR = dt.timedelta(minutes=2)
DOUBT_LASTS = dt.timedelta(hours=1)  # so long the provider is asked what became of a message
MOST_DOUBTS = 50  # of one round

# An index of some rows is used only where the condition stands in the statement itself.
_QUEUED = outbox.c.status == literal_column("'queued'")
_UNDER_WAY = outbox.c.status.in_([literal_column("'claimed'"), literal_column("'sending'")])
_OPEN = (DeliveryStatus.QUEUED, DeliveryStatus.CLAIMED, DeliveryStatus.SENDING, DeliveryStatus.UNCERTAIN)
_IS_PAGE = outbox.c.author == literal_column("'page'")
_FREE = {"owner": None, "lease_until": None}
NOTHING = SendResult()

Author = Literal["bot", "operator", "page"]  # page: a call to one of the staff, who asked for it
AUTHORS: tuple[Author, ...] = ("bot", "operator", "page")
TO_PEOPLE: tuple[Author, ...] = ("bot", "operator")


@dataclass(frozen=True)
class Due:
    """A message that one worker holds. It may leave at `slot_at` (the store's clock) or `leaves_at` (this process's, seconds).

    `repeated`: an earlier attempt may have arrived.
    """

    id: str
    address_id: str
    message: OutboundMessage
    slot_at: dt.datetime
    attempts: int
    repeated: bool = False
    leaves_at: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """What became of one attempt: what the provider took, or the error."""

    due: Due
    result: SendResult = NOTHING
    error: SendError | None = None


# -- in ----------------------------------------------------------------------------------------------------------------


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
    clear: Sequence[str] = (),
    repeat_note: str = "",
) -> tuple[OutboundMessage, ...]:
    """The replies to one message, a row each. Where the person's own program pulls the reply, it counts as sent with the commit.

    `clear`: the messages that a reply with `clearing` deletes. `repeat_note`: for an emergency that may have to go out again.
    """
    messages = tuple(
        OutboundMessage(
            contact.address, part.text, f"r:{inbox_id}:{position}", lane, part.buttons,
            clear=tuple(clear) if part.clearing else (), clearing=part.clearing,
            repeat_note=repeat_note if lane == Lane.EMERGENCY else "",
        )
        for position, part in enumerate(rendered)
    )  # fmt: skip
    left = (
        {"status": DeliveryStatus.SENT, "done_at": now}
        if pulled
        else {"status": DeliveryStatus.QUEUED, "done_at": None}
    )
    rows = [
        {**_row(keyring, contact, message, position, now), "inbox_id": inbox_id, **left}
        for position, message in enumerate(messages)
    ]
    if rows:
        connection.execute(insert(outbox), rows)
    return messages


def say(
    connection: Connection,
    keyring: Keyring,
    contact: Contact,
    rendered: Sequence[Rendered],
    *,
    dedup: str,
    author: Author,
    lane: Lane,
    now: dt.datetime,
    life: dt.timedelta = LIFE,
    not_before: dt.datetime | None = None,
    repeat_note: str = "",
) -> tuple[str, ...]:
    """Something that answers no message; the ids of its rows. What was said before with the same `dedup` (at most 110
    characters) is not said again. On every channel it waits: to be sent, or to be fetched by the person's own program."""
    written = []
    for position, part in enumerate(rendered):
        message = OutboundMessage(
            contact.address, part.text, f"{dedup}:{position}", lane, part.buttons, repeat_note=repeat_note
        )
        row = _row(keyring, contact, message, position, now)
        row |= {"author": author, "not_before": not_before, "expires_at": (not_before or now) + life}
        if insert_unless_there(connection, outbox, row):
            written.append(str(row["id"]))
    return tuple(written)


@dataclass(frozen=True)
class Announcement:
    """An alert for one person. `person`: nobody gets the same broadcast twice. `vnd`: what it costs."""

    address_id: str
    person: str
    rendered: Rendered
    vnd: int = 0


def announce(
    connection: Connection,
    keyring: Keyring,
    channel: str,
    broadcast_id: str,
    announcements: Sequence[Announcement],
    *,
    now: dt.datetime,
    until: dt.datetime,
) -> None:
    """Hands these to the senders of the channel; until then, or not at all."""
    rows = []
    for one in announcements:
        contact = Contact(one.address_id, Address(channel, ""))
        message = OutboundMessage(
            contact.address, one.rendered.text, f"b:{broadcast_id}:{one.person}", Lane.BROADCAST, one.rendered.buttons
        )
        rows.append(
            {
                **_row(keyring, contact, message, 0, now),
                "expires_at": until,
                "broadcast_id": broadcast_id,
                "vnd": one.vnd,
            }
        )
    if rows:
        connection.execute(insert(outbox), rows)


def _row(
    keyring: Keyring, contact: Contact, message: OutboundMessage, position: int, now: dt.datetime
) -> dict[str, Any]:
    row_id = new_id()
    return {
        "id": row_id,
        "channel": contact.address.channel,
        "address_id": contact.id,
        "position": position,
        "dedup": message.dedup,
        "lane": message.lane,
        "status": DeliveryStatus.QUEUED,
        "sealed_body": keyring.seal(_body_of(message), _place(row_id)),
        "created_at": now,
        "expires_at": now + LIFE,
    }


def collect(
    connection: Connection, keyring: Keyring, contact: Contact, now: dt.datetime
) -> tuple[OutboundMessage, ...]:
    """What waits for a person whose own program fetches it: handed over, and sent with the commit. Whoever calls holds the address."""
    rows = connection.execute(_COLLECTABLE, {"own": contact.id, **news.moment(now)}).all()
    ids = [row.id for row in rows]
    connection.execute(update(outbox).where(outbox.c.id.in_(ids)).values(status=DeliveryStatus.SENT, done_at=now))
    return tuple(_opened(keyring, row, contact.address) for row in rows)


def replies_to(
    connection: Connection, keyring: Keyring, contact: Contact, inbox_id: str
) -> tuple[OutboundMessage, ...]:
    """What was decided in answer to one message, for a program that asks again."""
    rows = connection.execute(
        select(outbox).where(outbox.c.inbox_id == inbox_id, outbox.c.sealed_body != b"").order_by(outbox.c.position)
    ).all()
    return tuple(_opened(keyring, row, contact.address) for row in rows)


def clearable(connection: Connection, contact: Contact, now: dt.datetime) -> tuple[str, ...]:
    """The provider's ids of what both sides wrote lately: older messages cannot be deleted."""
    since = now - CLEARABLE
    ours = select(outbox.c.provider_id).where(
        outbox.c.address_id == contact.id, outbox.c.provider_id.is_not(None), outbox.c.created_at > since
    )
    theirs = select(inbox.c.message_id).where(
        inbox.c.address_id == contact.id, inbox.c.message_id.is_not(None), inbox.c.received_at > since
    )
    return tuple(connection.execute(union(ours, theirs)).scalars())


def cancel_waiting(
    connection: Connection,
    address_id: str,
    why: str,
    now: dt.datetime,
    *,
    of: Collection[Author] = AUTHORS,
    dedup: str = "",
) -> int:
    """Nothing of these authors that still waits for this address leaves; how many messages that were. What is just being sent, or
    may not have arrived, does not leave a second time. `dedup`: only what was said with a key that begins so."""
    theirs = and_(
        outbox.c.address_id == address_id, outbox.c.author.in_(of), outbox.c.dedup.startswith(dedup, autoescape=True)
    )
    waiting = and_(theirs, outbox.c.status.in_(["queued", "claimed"]))
    on_its_way = and_(theirs, outbox.c.status.in_(["sending", "sent", "uncertain"]), outbox.c.expires_at > now)
    connection.execute(update(outbox).where(on_its_way).values(expires_at=now))
    return connection.execute(
        update(outbox).where(waiting).values(status=DeliveryStatus.CANCELLED, error=why, done_at=now, **_FREE)
    ).rowcount


# -- claim -------------------------------------------------------------------------------------------------------------


def claim(
    connection: Connection,
    keyring: Keyring,
    channel: str,
    *,
    owner: str,
    limit: int,
    speed: Pace,
    now: dt.datetime,
    lease: dt.timedelta = LEASE,
) -> list[Due]:
    """Takes the most urgent messages that may leave within the next moment, each with its slot.

    One message of an address at a time, in order. What waits for a silent address stays where it is.
    """
    state = pace.lock_channel(connection, channel, now)
    if state.held_until and state.held_until > now:
        return []
    slots = speed.slots(state.next_slot_at, now, limit)
    if not slots:
        return []
    rows = connection.execute(
        _CANDIDATES.limit(len(slots)),
        {"channel": channel, "soon": now + LONGEST_PAUSE, "latest": now + speed.tolerance, **news.moment(now)},
    ).all()
    if not rows:
        return []
    connection.execute(
        update(outbox)
        .where(outbox.c.id.in_([row.id for row in rows]))
        .values(status=DeliveryStatus.CLAIMED, owner=owner, lease_until=now + lease)
    )
    pace.take_slots(connection, channel, slots[len(rows) - 1] + speed.interval)
    due = [
        Due(
            row.id,
            row.address_id,
            opened(keyring, row),
            slot,
            row.attempts,
            repeated=row.attempts > 0 and row.error == DeliveryStatus.UNCERTAIN,
        )
        for row, slot in zip(rows, slots, strict=False)
    ]
    if speed.chat_interval:
        free_again = {row.address_id: utc(row.next_slot_at) for row in rows if row.next_slot_at}
        _keep_pace(
            connection,
            {one.address_id: max(free_again.get(one.address_id, now), one.slot_at) + speed.chat_step for one in due},
        )
    return due


def _candidates() -> Any:
    earlier = outbox.alias("earlier")
    busy = outbox.alias("busy")
    order = (outbox.c.lane, outbox.c.created_at, outbox.c.position)
    return (
        select(outbox, addresses.c.sealed_identifier, paces.c.next_slot_at)
        .join(addresses, addresses.c.id == outbox.c.address_id)
        .outerjoin(paces, paces.c.address_id == outbox.c.address_id)
        .where(
            outbox.c.channel == bindparam("channel"),
            _QUEUED,
            or_(outbox.c.not_before.is_(None), outbox.c.not_before <= bindparam("now")),
            or_(outbox.c.expires_at.is_(None), outbox.c.expires_at > bindparam("now")),
            or_(paces.c.next_slot_at.is_(None), paces.c.next_slot_at <= bindparam("latest")),
            _may_be_reached(),
            ~exists().where(
                busy.c.address_id == outbox.c.address_id,
                busy.c.status.in_([literal_column("'claimed'"), literal_column("'sending'")]),
            ),
            ~exists().where(
                earlier.c.address_id == outbox.c.address_id,
                earlier.c.status == literal_column("'queued'"),
                or_(earlier.c.not_before.is_(None), earlier.c.not_before <= bindparam("soon")),
                or_(earlier.c.broadcast_id.is_(None), news.may_leave(earlier)),
                tuple_(earlier.c.lane, earlier.c.created_at, earlier.c.position, earlier.c.id)
                < tuple_(*order, outbox.c.id),  # two alerts may have been handed over in the same moment
            ),
        )
        .order_by(*order)
        .with_for_update(of=outbox, skip_locked=True)
    )


def _may_be_reached() -> Any:
    """S-03: to a silent address nothing leaves but the words that were decided with the silence. While an operator speaks, the
    bot does not. A call to one of the staff, who may try the bot themselves, is no word to a person. S-09: news goes only to those
    who said yes, and after a case only to those who said yes again; an alert, when its broadcast runs and the hour is fair."""
    silent = and_(addresses.c.silent_since.is_not(None), addresses.c.silent_since != outbox.c.created_at)
    to_person = and_(~silent, ~_spoken_over(addresses.c.id))
    is_news = outbox.c.lane == literal_column(str(int(Lane.BROADCAST)))
    return and_(
        addresses.c.unreachable_since.is_(None),
        or_(_IS_PAGE, to_person),
        or_(~is_news, news.wants(addresses)),
        or_(outbox.c.broadcast_id.is_(None), news.may_leave(outbox)),
    )


def _spoken_over(address_id: Any) -> Any:
    """The bot's own words, while an operator has the line."""
    relayed = exists().where(cases.c.address_id == address_id, cases.c.relay_since.is_not(None))
    return and_(outbox.c.author == literal_column("'bot'"), relayed)


_COLLECTABLE = (
    select(outbox)
    .join(addresses, addresses.c.id == outbox.c.address_id)
    .where(
        outbox.c.address_id == bindparam("own"),
        _QUEUED,
        or_(outbox.c.not_before.is_(None), outbox.c.not_before <= bindparam("now")),
        or_(outbox.c.expires_at.is_(None), outbox.c.expires_at > bindparam("now")),
        _may_be_reached(),
    )
    .order_by(outbox.c.created_at, outbox.c.position)
)

_CANDIDATES = _candidates()


def _keep_pace(connection: Connection, free_again: Mapping[str, dt.datetime]) -> None:
    statement = insert_of(connection.dialect.name, paces)
    changed = statement.on_conflict_do_update(
        index_elements=["address_id"], set_={"next_slot_at": statement.excluded.next_slot_at}
    )
    connection.execute(changed, [{"address_id": one, "next_slot_at": at} for one, at in free_again.items()])


# -- send --------------------------------------------------------------------------------------------------------------


def mark_sending(
    connection: Connection,
    channel: str,
    ids: Collection[str],
    *,
    owner: str,
    now: dt.datetime,
    lease: dt.timedelta = LEASE,
) -> set[str]:
    """Which of them may go to the provider, now that it stands on disk that they do. The others go back or are over."""
    if not pace.is_held(connection, channel, now):
        given = {"ids": list(ids), "me": owner, "until": now + lease, **news.moment(now)}
        marked = set(connection.execute(_MARK, given).scalars())
    else:
        marked = set()
    if left := set(ids) - marked:
        give_back(connection, left, owner=owner)
    return marked


_MARK = (
    update(outbox)
    .where(
        outbox.c.id.in_(bindparam("ids", expanding=True)),
        outbox.c.owner == bindparam("me"),
        outbox.c.status == literal_column("'claimed'"),
        or_(outbox.c.expires_at.is_(None), outbox.c.expires_at > bindparam("now")),
        exists().where(addresses.c.id == outbox.c.address_id, _may_be_reached()),
    )
    .values(
        status=literal_column(f"'{DeliveryStatus.SENDING}'"),
        attempts=outbox.c.attempts + 1,
        lease_until=bindparam("until"),
    )
    .returning(outbox.c.id)
)


def give_back(connection: Connection, ids: Collection[str], *, owner: str) -> None:
    """Claimed rows that this worker will not send after all."""
    connection.execute(
        update(outbox)
        .where(outbox.c.id.in_(ids), outbox.c.owner == owner, outbox.c.status == DeliveryStatus.CLAIMED)
        .values(status=DeliveryStatus.QUEUED, **_FREE)
    )


def unmark(connection: Connection, ids: Collection[str], *, owner: str) -> None:
    """Rows marked too late for their slot: the provider was not called, so they wait for another."""
    connection.execute(
        update(outbox)
        .where(outbox.c.id.in_(ids), outbox.c.owner == owner, outbox.c.status == DeliveryStatus.SENDING)
        .values(status=DeliveryStatus.QUEUED, attempts=outbox.c.attempts - 1, **_FREE)
    )


def finish(connection: Connection, keyring: Keyring, outcomes: Sequence[Outcome], now: dt.datetime) -> None:
    """Writes down what became of attempts. An answer that comes late still counts: it clears the uncertainty."""
    for outcome in outcomes:
        values = _after(outcome, now)
        attempt = {"row": outcome.due.id, "attempt": outcome.due.attempts + 1}
        if not connection.execute(_FINISH.values(**values), attempt).rowcount:
            continue  # forgotten meanwhile, or known to have arrived
        if outcome.error:
            _draw_conclusions(connection, keyring, outcome.due, outcome.error, now)
        if outcome.result.ids:
            _know_parts(connection, outcome)
            if _is_told_of(connection, outcome):
                _apply_receipts(connection, keyring, outcome.due.id, now)


# The same attempt, whatever the reaper thought of it meanwhile.
_FINISH = update(outbox).where(
    outbox.c.id == bindparam("row"), outbox.c.attempts == bindparam("attempt"), outbox.c.status.in_(_OPEN)
)


def _after(outcome: Outcome, now: dt.datetime) -> dict[str, Any]:
    error = outcome.error
    if error is None:
        return {
            "status": DeliveryStatus.SENT,
            "provider_id": next(iter(outcome.result.ids), None),
            "receipts": outcome.result.receipts,
            "error": None,
            "done_at": now,
            **_FREE,
        }
    if error.kind == "uncertain":
        return _doubted(outcome.due.message.lane, outcome.due.attempts + 1, now)
    if error.kind in ("retryable", "moved"):
        wait = dt.timedelta(seconds=error.retry_after or min(2.0**outcome.due.attempts, LONGEST_WAIT))
        not_before = None if error.kind == "moved" else now + wait
        why = DeliveryStatus.UNCERTAIN if outcome.due.repeated else error.code  # the doubt of an earlier attempt stays
        return {"status": DeliveryStatus.QUEUED, "not_before": not_before, "error": why, **_FREE}
    return {"status": DeliveryStatus.FAILED, "error": error.code, "done_at": now, **_FREE}


def _doubted(lane: int, attempts: int, now: dt.datetime) -> dict[str, Any]:
    """Nobody knows whether it arrived: only an emergency goes out again, and says so."""
    if lane == Lane.EMERGENCY and attempts < MOST_REPEATS:
        return {"status": DeliveryStatus.QUEUED, "error": DeliveryStatus.UNCERTAIN, "not_before": None, **_FREE}
    return {"status": DeliveryStatus.UNCERTAIN, "error": DeliveryStatus.UNCERTAIN, "done_at": now, "lease_until": None}


def _draw_conclusions(connection: Connection, keyring: Keyring, due: Due, error: SendError, now: dt.datetime) -> None:
    """What one refusal says about the channel or the address."""
    if error.retry_after:
        pace.hold(connection, due.message.address.channel, now + dt.timedelta(seconds=error.retry_after), error.code)
    _leave_alone(connection, keyring, due.address_id, error.kind, error.code, now)
    if error.moved_to:
        move(connection, keyring, Contact(due.address_id, due.message.address), error.moved_to)


def _leave_alone(
    connection: Connection, keyring: Keyring, address_id: str, refusal: Refusal | None, code: str, now: dt.datetime
) -> None:
    """Nothing more goes to an address that nothing reaches, or whose person told the provider to stop."""
    if refusal not in ("stopped", "opted_out"):
        return
    set_unreachable(connection, address_id, now)
    cancel_waiting(connection, address_id, code, now)
    if refusal == "opted_out":
        withdraw_consent(connection, keyring, address_id, "alerts", code, now)


def reap(connection: Connection, now: dt.datetime) -> int:
    """What dead workers held: claimed rows go back; rows that were being sent are doubtful. How many."""
    late = and_(_UNDER_WAY, outbox.c.lease_until < now)
    sending = and_(late, outbox.c.status == literal_column("'sending'"))
    again = and_(outbox.c.lane == Lane.EMERGENCY, outbox.c.attempts < MOST_REPEATS)
    changes = [
        (and_(sending, again), _doubted(Lane.EMERGENCY, 0, now)),
        (sending, _doubted(Lane.REPLY, 0, now)),
        (late, {"status": DeliveryStatus.QUEUED, **_FREE}),
    ]
    return sum(connection.execute(update(outbox).where(where).values(**values)).rowcount for where, values in changes)


def cancel_silenced(connection: Connection, now: dt.datetime) -> int:
    """S-03: what came back to the queue of an address that has fallen silent since, and what the bot would say over an operator;
    how many."""
    silent = exists().where(
        addresses.c.id == outbox.c.address_id,
        addresses.c.silent_since.is_not(None),
        outbox.c.created_at < addresses.c.silent_since,
        ~_IS_PAGE,
    )
    over = _spoken_over(outbox.c.address_id)
    return sum(
        connection.execute(
            update(outbox).where(_QUEUED, where).values(status=DeliveryStatus.CANCELLED, error=why, done_at=now)
        ).rowcount
        for where, why in ((silent, "silent"), (over, "operator"))
    )


def cancel_unwelcome(connection: Connection, now: dt.datetime) -> int:
    """Alerts that lie ready for somebody who may no longer get them, or got them on another line; how many. One that only waits for
    its hour stays."""
    person = addresses.alias("person")
    is_barred = or_(news.left_out(person).is_not(None), news.went_elsewhere(outbox, person))
    barred = exists().where(person.c.id == outbox.c.address_id, is_barred).correlate(outbox)
    ready = and_(_QUEUED, outbox.c.broadcast_id.is_not(None), barred)
    values = {"status": DeliveryStatus.CANCELLED, "error": "left_out", "done_at": now}
    return connection.execute(update(outbox).where(ready).values(values)).rowcount


def try_again_now(connection: Connection, contact: Contact) -> None:
    """The person has just written: what waited for a handset that was off need not wait any longer."""
    connection.execute(_TRY_AGAIN, {"own": contact.id})


_TRY_AGAIN = (  # what has not been tried yet waits for its hour (S-10)
    update(outbox)
    .where(outbox.c.address_id == bindparam("own"), _QUEUED, outbox.c.not_before.is_not(None), outbox.c.attempts > 0)
    .values(not_before=None)
)


def expire(connection: Connection, now: dt.datetime) -> int:
    """Gives up what has waited too long; how many."""
    return connection.execute(
        update(outbox)
        .where(_QUEUED, outbox.c.expires_at <= now)
        .values(status=DeliveryStatus.EXPIRED, error="expired", done_at=now)
    ).rowcount


# -- doubts ------------------------------------------------------------------------------------------------------------


def in_doubt(connection: Connection, keyring: Keyring, channel: str, now: dt.datetime) -> list[tuple[Due, dt.datetime]]:
    """Messages of the last hour that may have left, each with the moment when it was made."""
    rows = connection.execute(
        select(outbox, addresses.c.sealed_identifier)
        .join(addresses, addresses.c.id == outbox.c.address_id)
        .where(
            outbox.c.channel == channel,
            outbox.c.status == DeliveryStatus.UNCERTAIN,
            outbox.c.sealed_body != b"",
            outbox.c.done_at > now - DOUBT_LASTS,
        )
        .order_by(outbox.c.created_at)
        .limit(MOST_DOUBTS)
    )
    return [(Due(row.id, row.address_id, opened(keyring, row), now, row.attempts), utc(row.created_at)) for row in rows]


def settle(connection: Connection, keyring: Keyring, due: Due, found: Sequence[SendResult], now: dt.datetime) -> bool:
    """Whether one of the messages that the provider knows must be this one: then it has left. Each counts for one of ours."""
    channel = due.message.address.channel
    pace.lock_channel(connection, channel, now)
    known = [result.ids[0] for result in found]
    taken = set(
        connection.execute(
            select(outbox.c.provider_id).where(outbox.c.channel == channel, outbox.c.provider_id.in_(known))
        ).scalars()
    )
    free = [result for result in found if result.ids[0] not in taken]
    if free:
        finish(connection, keyring, [Outcome(replace(due, attempts=due.attempts - 1), free[0])], now)
    return bool(free)


# -- receipts ----------------------------------------------------------------------------------------------------------


def record_receipt(connection: Connection, keyring: Keyring, receipt: DeliveryReceipt, now: dt.datetime) -> bool:
    """What the provider says became of a message or of one part; whether it is news."""
    row = {
        "channel": receipt.channel,
        "provider_id": receipt.provider_id,
        "status": receipt.status,
        "part": receipt.part,
        "error": receipt.error,
        "refusal": receipt.refusal,
        "received_at": now,
    }
    if not insert_unless_there(connection, receipts, row):
        return False
    key = {"channel": receipt.channel, "provider_id": receipt.provider_id}
    if row_id := connection.execute(_OF_PROVIDER, key).scalar():
        _apply_receipts(connection, keyring, row_id, now)
    return True


_OF_PROVIDER = union(
    *(
        select(id_column).where(
            table.c.channel == bindparam("channel"), table.c.provider_id == bindparam("provider_id")
        )
        for table, id_column in ((outbox, outbox.c.id), (parts, parts.c.outbox_id))
    )
)


def _know_parts(connection: Connection, outcome: Outcome) -> None:
    """The provider's ids of the parts after the first, whose id the message itself bears."""
    channel = outcome.due.message.address.channel
    for provider_id in outcome.result.ids[1:]:
        row = {"channel": channel, "provider_id": provider_id, "outbox_id": outcome.due.id}
        insert_unless_there(connection, parts, row)


_TOLD = (
    select(receipts.c.status)
    .where(receipts.c.channel == bindparam("channel"), receipts.c.provider_id.in_(bindparam("ids", expanding=True)))
    .limit(1)
)


def _is_told_of(connection: Connection, outcome: Outcome) -> bool:
    """Whether a receipt was faster than the provider's own answer."""
    key = {"channel": outcome.due.message.address.channel, "ids": list(outcome.result.ids)}
    return connection.execute(_TOLD, key).first() is not None


def _apply_receipts(connection: Connection, keyring: Keyring, row_id: str, now: dt.datetime) -> None:
    """Raises the state of a message to what its receipts say, those that came before the provider's own answer too.
    A lower rank never follows a higher one."""
    row = connection.execute(select(outbox).where(outbox.c.id == row_id)).first()
    if row is None:
        return
    own_parts = select(parts.c.provider_id).where(parts.c.outbox_id == row_id)
    told = connection.execute(
        select(receipts).where(
            receipts.c.channel == row.channel,
            or_(receipts.c.provider_id == row.provider_id, receipts.c.provider_id.in_(own_parts)),
        )
    ).all()
    if not told:
        return
    status, failure = _verdict(told, row.receipts)
    lower = [DeliveryStatus.SENDING, DeliveryStatus.UNCERTAIN]
    if status != DeliveryStatus.SENT:
        lower.append(DeliveryStatus.SENT)
    values = {"status": status, "error": failure.error if failure else None, "done_at": now, **_FREE}
    may_go_again = row.attempts < MOST_RETRIES and row.broadcast_id is None  # an alert goes, and is paid for, once
    if failure and failure.refusal == "retryable" and may_go_again:
        again = {"status": DeliveryStatus.QUEUED, "provider_id": None, "not_before": now + RETRY_AFTER, "done_at": None}
        values |= again
    changed = connection.execute(update(outbox).where(outbox.c.id == row_id, outbox.c.status.in_(lower)).values(values))
    if failure and changed.rowcount and not _heard_since(connection, row):
        _leave_alone(connection, keyring, row.address_id, failure.refusal, failure.error or status, now)


def _heard_since(connection: Connection, row: Any) -> bool:
    """Whether the person has written after this message was made: then they can be reached, whatever became of it."""
    later = select(inbox.c.id).where(inbox.c.address_id == row.address_id, inbox.c.received_at > row.created_at)
    return connection.execute(later.limit(1)).first() is not None


def apply_stray_receipts(connection: Connection, keyring: Keyring, now: dt.datetime) -> int:
    """Receipts that came while their message was being written down, so that neither saw the other; how many messages."""
    fresh = and_(receipts.c.received_at > now - STRAY_FOR, receipts.c.status != DeliveryStatus.SENT)
    open_ones = outbox.c.status.in_([DeliveryStatus.SENDING, DeliveryStatus.UNCERTAIN, DeliveryStatus.SENT])
    own = (receipts.c.channel == outbox.c.channel) & (receipts.c.provider_id == outbox.c.provider_id)
    of_part = (receipts.c.channel == parts.c.channel) & (receipts.c.provider_id == parts.c.provider_id)
    found = union(
        select(outbox.c.id).join(receipts, own).where(fresh, open_ones),
        select(outbox.c.id)
        .join(parts, parts.c.outbox_id == outbox.c.id)
        .join(receipts, of_part)
        .where(fresh, open_ones),
    )
    stray = list(connection.execute(found).scalars())
    for row_id in stray:
        _apply_receipts(connection, keyring, row_id, now)
    return len(stray)


def _verdict(told: Sequence[Any], needed: int) -> tuple[DeliveryStatus, Any | None]:
    """One part that failed spoils the message, and is given back too; it has arrived when every part has."""
    for status in (DeliveryStatus.FAILED, DeliveryStatus.UNDELIVERED):
        failed = next((one for one in told if one.status == status), None)
        if failed:
            return status, failed
    arrived = sum(one.status == DeliveryStatus.DELIVERED for one in told)
    return (DeliveryStatus.DELIVERED if arrived >= needed else DeliveryStatus.SENT), None


# -- what staff see ----------------------------------------------------------------------------------------------------


def counts(connection: Connection) -> dict[tuple[str, str], int]:
    """(channel, status) -> how many messages."""
    rows = connection.execute(
        select(outbox.c.channel, outbox.c.status, func.count()).group_by(outbox.c.channel, outbox.c.status)
    )
    return {(channel, status): count for channel, status, count in rows}


@dataclass(frozen=True)
class Doubtful:
    """A message that did not surely arrive; nothing here names anybody."""

    id: str
    channel: str
    lane: str
    status: str
    error: str | None
    created_at: dt.datetime


def doubtful(connection: Connection) -> list[Doubtful]:
    """Uncertain and failed messages, the gravest lane first."""
    rows = connection.execute(
        select(outbox)
        .where(outbox.c.status.in_([DeliveryStatus.UNCERTAIN, DeliveryStatus.FAILED, DeliveryStatus.UNDELIVERED]))
        .order_by(outbox.c.lane, outbox.c.created_at)
    )
    return [
        Doubtful(row.id, row.channel, Lane(row.lane).name.lower(), row.status, row.error, utc(row.created_at))
        for row in rows
    ]


def opened(keyring: Keyring, row: Any) -> OutboundMessage:
    """The message of a row that carries its address's `sealed_identifier`."""
    identifier = keyring.open(row.sealed_identifier, f"addresses|{row.address_id}|sealed_identifier")
    return _opened(keyring, row, Address(row.channel, identifier))


def _opened(keyring: Keyring, row: Any, address: Address) -> OutboundMessage:
    body = json.loads(keyring.open(row.sealed_body, _place(row.id)))
    clearing = Clearing(**body["clearing"]) if body.get("clearing") else None
    buttons, clear = tuple(body["buttons"]), tuple(body.get("clear", ()))
    note = body.get("repeat_note", "")
    return OutboundMessage(address, body["text"], row.dedup, Lane(row.lane), buttons, clear, clearing, note, row.author)


def _body_of(message: OutboundMessage) -> str:
    body: dict[str, Any] = {"text": message.text, "buttons": message.buttons}
    if message.clearing:
        body |= {"clear": message.clear, "clearing": asdict(message.clearing)}
    if message.repeat_note:
        body["repeat_note"] = message.repeat_note
    return json.dumps(body, ensure_ascii=False)


def _place(row_id: str) -> str:
    return f"outbox|{row_id}|sealed_body"
