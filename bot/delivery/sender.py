"""Takes messages from the outbox to one channel's provider. Any number of workers may do so at the same time.

Pace, order and state live in the database (bot/delivery/outbox.py); a worker that is killed loses nothing and sends nothing twice.
"""

import asyncio
import contextlib
import datetime as dt
import functools
import itertools
import logging
import time
from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import Connection

from bot import contacts
from bot.channels.base import Channel, Findable, SendError, SendResult
from bot.delivery import outbox
from bot.delivery.outbox import Due, Outcome
from bot.delivery.pace import LOOK_AHEAD, Pace
from bot.delivery.writer import Writer
from bot.errors import ChannelError
from bot.store.crypto import Keyring
from bot.store.database import clock, new_id

IDLE = 0.1  # seconds between two looks into an empty outbox
REAP_EVERY = 1.0
EXPIRE_EVERY = 10  # rounds of reaping
SETTLE_EVERY = 20.0  # seconds
LATEST = dt.timedelta(seconds=0.15)  # behind its slot: later, a message waits for another one
MOST_IN_FLIGHT = 64
CALL_SHARE = 0.8  # of the lease: so long a call may last

log = logging.getLogger("banduong")


class Sender:
    """One channel of one worker."""

    def __init__(
        self, channel: Channel, speed: Pace, keyring: Keyring, writer: Writer, lease: dt.timedelta = outbox.LEASE
    ) -> None:
        self._channel = channel
        self._speed = speed
        self._lease = lease
        self._keyring = keyring
        self._write = writer
        self._owner = new_id()
        self._calls: set[asyncio.Task[None]] = set()
        self._woken = asyncio.Event()
        self._ending = False

    def wake(self) -> None:
        """Something may be waiting."""
        self._woken.set()

    def end(self) -> None:
        """No new message is taken; what is under way is finished."""
        self._ending = True
        self.wake()

    async def run(self) -> None:
        """Until `end`. Raises when the store fails: a worker that cannot write must not go on."""
        side = [asyncio.create_task(self._reap())]
        if isinstance(self._channel, Findable):
            side.append(asyncio.create_task(self._settle(self._channel)))
        try:
            while not self._ending:
                due = await self._claim()
                for one in due:
                    self._start(one)
                await self._pause(found=bool(due))
                _raise_failures(*self._calls, *side)
            while self._calls:
                await asyncio.wait(self._calls)
                _raise_failures(*self._calls, *side)
        finally:
            for task in side:
                task.cancel()

    async def _claim(self) -> list[Due]:
        room = MOST_IN_FLIGHT - len(self._calls)
        if not room:
            return []

        def work(connection: Connection) -> tuple[list[Due], dt.datetime]:
            now = clock(connection)
            found = outbox.claim(
                connection, self._keyring, self._channel.name,
                owner=self._owner, limit=room, speed=self._speed, now=now, lease=self._lease,
            )  # fmt: skip
            return found, now

        found, there = await self._write(work)
        ahead = time.monotonic()
        return [replace(one, leaves_at=ahead + (one.slot_at - there).total_seconds()) for one in found]

    def _start(self, one: Due) -> None:
        task = asyncio.create_task(self._deliver(one))
        self._calls.add(task)
        task.add_done_callback(lambda done: self._calls.discard(done) if not done.exception() else None)

    async def _pause(self, *, found: bool) -> None:
        """Until there may be something to do."""
        self._woken.clear()
        if found and len(self._calls) < MOST_IN_FLIGHT:
            await asyncio.sleep(min(self._speed.interval, LOOK_AHEAD / 4).total_seconds())
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._woken.wait(), IDLE)

    async def _deliver(self, one: Due) -> None:
        """One message at its slot: marked, sent, and the outcome written down."""
        await asyncio.sleep(one.leaves_at - time.monotonic())
        if not await self._mark(one):
            return
        outcome = await self._call(one)
        if outcome.error:
            log.warning("%s: a message did not leave (%s)", self._channel.name, outcome.error.code)
        await self._write(lambda c: outbox.finish(c, self._keyring, [outcome], clock(c)))
        self.wake()

    async def _mark(self, one: Due) -> bool:
        """Whether the message may leave now, which then stands on disk."""

        def work(connection: Connection) -> bool:
            return bool(
                outbox.mark_sending(
                    connection,
                    self._channel.name,
                    [one.id],
                    owner=self._owner,
                    now=clock(connection),
                    lease=self._lease,
                )
            )

        if not await self._write(work):
            return False
        if time.monotonic() - one.leaves_at > LATEST.total_seconds() and self._speed.is_slow:
            await self._write(lambda c: outbox.unmark(c, [one.id], owner=self._owner))
            return False
        return True

    async def _call(self, one: Due) -> Outcome:
        message = one.message
        if one.repeated and message.repeat_note:
            message = replace(message, text=f"{message.repeat_note}\n{message.text}")
        try:
            async with asyncio.timeout(self._lease.total_seconds() * CALL_SHARE):
                return Outcome(one, result=await self._channel.send(message))
        except SendError as error:
            return Outcome(one, error=error)
        except TimeoutError:
            return Outcome(one, error=SendError("uncertain", "timeout"))
        except Exception as error:
            return Outcome(one, error=SendError("uncertain", type(error).__name__))

    async def _reap(self) -> None:
        for round_number in itertools.count():
            if round_number % EXPIRE_EVERY == 0:
                await self._write(self._clear_up)
            reaped, departed = await self._write(
                lambda connection: (outbox.reap(connection, clock(connection)), contacts.drop_departed(connection))
            )
            if reaped:
                log.warning("%d messages of a lost worker were taken over", reaped)
            if departed:
                await self._write.checkpoint()
            await asyncio.sleep(REAP_EVERY)

    def _clear_up(self, connection: Connection) -> None:
        outbox.expire(connection, clock(connection))
        outbox.cancel_silenced(connection, clock(connection))
        outbox.cancel_unwelcome(connection, clock(connection))
        outbox.apply_stray_receipts(connection, self._keyring, clock(connection))

    async def _settle(self, channel: Findable) -> None:
        """Asks the provider what became of the messages that may have left."""
        while True:
            doubts = await self._write(lambda c: outbox.in_doubt(c, self._keyring, channel.name, clock(c)))
            for due, made_at in doubts:
                try:
                    found = await channel.find(due.message, made_at)
                except ChannelError as error:
                    log.error("%s: %s", channel.name, error)
                    break
                if found:
                    await self._write(functools.partial(self._settled, due, found))
            await asyncio.sleep(SETTLE_EVERY)

    def _settled(self, due: Due, found: Sequence[SendResult], connection: Connection) -> None:
        if outbox.settle(connection, self._keyring, due, found, clock(connection)):
            log.info("%s: a doubtful message had left", due.message.address.channel)


def _raise_failures(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        if task.done() and not task.cancelled():
            task.result()


async def run_senders(senders: list[Sender], stopping: asyncio.Event) -> None:
    """All of them, until `stopping`; the failure of one ends all."""
    running = [asyncio.create_task(sender.run()) for sender in senders]
    waiting = asyncio.create_task(stopping.wait())
    await asyncio.wait([*running, waiting], return_when=asyncio.FIRST_COMPLETED)
    for sender in senders:
        sender.end()
    waiting.cancel()
    await asyncio.gather(*running)
