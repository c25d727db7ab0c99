"""How fast messages may leave: slots in time, handed out in the database to all workers together."""

import datetime as dt
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, select, update

from bot.store.database import insert_unless_there, utc
from bot.store.tables import channels

FAST = 100.0  # messages a second
LOOK_AHEAD = dt.timedelta(seconds=0.2)  # how far slots are handed out: a more urgent message waits no longer than this

_LOCK = select(channels).where(channels.c.name == bindparam("channel")).with_for_update()
_HELD = select(channels.c.held_until).where(channels.c.name == bindparam("channel"))


@dataclass(frozen=True)
class Pace:
    """`per_second` for the whole channel. To one person `burst` messages at once, then one every `chat_interval` seconds."""

    per_second: float
    chat_interval: float = 0.0
    burst: int = 1

    @property
    def interval(self) -> dt.timedelta:
        return dt.timedelta(seconds=1 / self.per_second)

    @property
    def is_slow(self) -> bool:
        """Whether a late message would stand out: above this, the machine is the limit, not the slots."""
        return self.per_second <= FAST

    @property
    def chat_step(self) -> dt.timedelta:
        return dt.timedelta(seconds=self.chat_interval)

    @property
    def tolerance(self) -> dt.timedelta:
        """How far ahead of its pace one person's conversation may run."""
        return self.chat_step * (self.burst - 1)

    def slots(self, first_free: dt.datetime, now: dt.datetime, most: int) -> list[dt.datetime]:
        """The next free slots, up to a short while ahead."""
        first = max(first_free, now)
        open_slots = int((now + LOOK_AHEAD - first) / self.interval) + 1 if first <= now + LOOK_AHEAD else 0
        return [first + number * self.interval for number in range(min(most, open_slots))]


@dataclass(frozen=True)
class ChannelState:
    next_slot_at: dt.datetime
    held_until: dt.datetime | None


def lock_channel(connection: Connection, channel: str, now: dt.datetime) -> ChannelState:
    """The channel's row, for this transaction alone."""
    row = connection.execute(_LOCK, {"channel": channel}).first()
    if row is None:
        insert_unless_there(connection, channels, {"name": channel, "next_slot_at": now})
        row = connection.execute(_LOCK, {"channel": channel}).one()
    return ChannelState(utc(row.next_slot_at), utc(row.held_until) if row.held_until else None)


def take_slots(connection: Connection, channel: str, next_free: dt.datetime) -> None:
    """Everything before `next_free` is taken."""
    connection.execute(update(channels).where(channels.c.name == channel).values(next_slot_at=next_free))


def hold(connection: Connection, channel: str, until: dt.datetime, why: str) -> None:
    """Nothing leaves before `until`; a longer hold stays."""
    connection.execute(
        update(channels)
        .where(channels.c.name == channel, (channels.c.held_until.is_(None)) | (channels.c.held_until < until))
        .values(held_until=until, held_why=why)
    )


def is_held(connection: Connection, channel: str, now: dt.datetime) -> bool:
    held_until = connection.execute(_HELD, {"channel": channel}).scalar()
    return held_until is not None and utc(held_until) > now
