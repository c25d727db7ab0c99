"""The channels at work: senders that empty the outbox, and Telegram's updates on their way in."""

import asyncio
import contextlib
import datetime as dt
import json
import logging
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import Connection

from bot import contacts
from bot.announcing import Announcer
from bot.app import App
from bot.delivery import dead_letters, fragments, inbox, outbox
from bot.delivery.sender import Sender, run_senders
from bot.delivery.writer import Writer
from bot.errors import ChannelError, ConfigError, UsageError
from bot.hotline import answering, clocks, webhook
from bot.hotline.clocks import Clock
from bot.hotline.webhook import CaseWebhook, Parcel
from bot.messages import Address, DeliveryReceipt, InboundMessage
from bot.store.crypto import Keyring

if TYPE_CHECKING:  # imported when it is used: most people who try the bot have no token
    from bot.channels.sms import Fragment, SmsArrival
    from bot.channels.telegram import Arrival, TelegramChannel

THREADS = 4  # turns at the same time: most of a turn is waiting, for the reader and for the disk
AGAIN = 5.0  # seconds until a provider that did not answer is asked again
LOOK_EVERY = 5.0  # seconds between two looks at who waits in the queue
JOIN_EVERY = 20.0  # seconds between two looks for parts whose other parts do not come

Result = TypeVar("Result")

log = logging.getLogger("banduong")


class Service:
    """Runs in one event loop. `send`: this process empties the outbox; `receive`: it fetches what people write."""

    def __init__(
        self,
        house: App,
        *,
        send: bool,
        receive: bool,
        clock: Callable[[], dt.datetime] | None = None,
    ) -> None:
        self._house = house
        self._clock = clock or house.clock
        self._send = send
        self._receive = receive
        self._senders: list[Sender] = []
        self._side: set[asyncio.Task[None]] = set()
        self._joining = asyncio.Lock()
        self._failed: dict[tuple[Address, str], str] = {}  # content -> id, of messages that came without one
        self._turns = ThreadPoolExecutor(THREADS, "turn")

    async def run(self, stopping: asyncio.Event) -> None:
        """Until `stopping`. Raises when a provider refuses us for good, or when the store fails."""
        telegram = self._house.telegram
        loop = asyncio.get_running_loop()
        self._announcer = Announcer(self._house, self._clock, self._stored, self.wake)
        self._house.wake = lambda: _unless_closed(loop, self.wake)
        try:
            if telegram and self._receive:
                await self._introduce(telegram)
            async with asyncio.TaskGroup() as group:
                if self._send:
                    group.create_task(self._run_senders(stopping))
                if telegram and self._receive and not self._house.config.bot.telegram.webhook:
                    group.create_task(self._poll(telegram, stopping))
                if self._receive and (introduce := getattr(self._house.sms, "open", None)):
                    group.create_task(self._introduce_sms(introduce, stopping))
                if self._receive and self._house.sms_line:
                    group.create_task(_or_stop(self._house.sms_line.listen(self.take_sms), stopping))
                    group.create_task(_or_stop(self._join_late_parts(), stopping))
                if self._receive and self._house.queue_clock:
                    group.create_task(_or_stop(self._keep_time(self._house.queue_clock), stopping))
                if self._send:
                    group.create_task(_or_stop(self._announcer.run(), stopping))
                if self._send and self._house.case_webhook:
                    group.create_task(_or_stop(self._hand_on(self._house.case_webhook), stopping))
                group.create_task(_until(stopping))
        except* Exception as failures:
            raise failures.exceptions[0] from None
        finally:
            stopping.set()
            self._turns.shutdown(wait=False)
            await self._announcer.close()
            for channel in self._house.channels:
                await channel.close()
            if self._send and self._house.case_webhook:
                await self._house.case_webhook.close()

    # -- out -----------------------------------------------------------------------------------------------------------

    async def _run_senders(self, stopping: asyncio.Event) -> None:
        house = self._house
        writer = Writer(house.database)
        lease = dt.timedelta(seconds=house.config.bot.delivery.lease_seconds)
        self._senders = [
            Sender(channel, house.pace_of(channel), house.database.keyring, writer, lease) for channel in house.channels
        ]
        if self._senders:
            await run_senders(self._senders, stopping)
        await writer.close()

    def wake(self) -> None:
        """A turn has left something to send."""
        for sender in self._senders:
            sender.wake()

    async def _hand_on(self, hook: CaseWebhook) -> None:
        """Cases on their way into another system: one at a time, the longest due first."""
        while True:
            try:
                parcel = await self._stored(webhook.take)
                if parcel:
                    await self._hand_on_one(hook, parcel)
                    continue
            except Exception as error:
                log.error("a case could not be handed on (%s) and is tried again", type(error).__name__)
            await asyncio.sleep(LOOK_EVERY)

    async def _hand_on_one(self, hook: CaseWebhook, parcel: Parcel) -> None:
        outcome = await hook.deliver(parcel, self._clock())
        await self._stored(lambda db, keys, now: webhook.settle(db, keys, parcel, outcome, now))

    # -- the queue -----------------------------------------------------------------------------------------------------

    async def _keep_time(self, clock: Clock) -> None:
        """Passes of the clocks over the queue. One that fails is logged, and the next one does its work."""
        unheard = 0
        while True:
            try:
                done = await self._stored(lambda db, keys, now: clocks.look(db, keys, clock, now))
                done += await self._stored(lambda db, keys, now: answering.look(db, keys, clock, now))
            except Exception as error:
                log.error("the queue could not be looked at (%s): the next look does it", type(error).__name__)
            else:
                if done:
                    self.wake()
                if done.unheard > unheard:
                    log.error("%d cases wait and nobody can be called: see who is on duty, and how", done.unheard)
                unheard = done.unheard
            await asyncio.sleep(LOOK_EVERY)

    # -- in ------------------------------------------------------------------------------------------------------------

    async def _introduce(self, telegram: "TelegramChannel") -> None:
        """Tells Telegram where updates go and which commands there are. A network that is down is no reason not to start."""
        config = self._house.config.bot.telegram
        try:
            await telegram.open()
            if config.webhook:
                await telegram.use_webhook(f"{config.webhook}/webhooks/telegram", self._house.telegram_secret)
            else:
                await telegram.use_polling()
            for language, commands in self._house.telegram_menu.items():
                await telegram.set_menu(commands, language)
        except ChannelError as error:
            if error.lasting:
                raise
            log.error("%s", error)

    async def _introduce_sms(self, introduce: Callable[[], Awaitable[None]], stopping: asyncio.Event) -> None:
        """Until the SMS provider knows where to reach us."""
        while not stopping.is_set():
            try:
                await _or_stop(introduce(), stopping)
            except ChannelError as error:
                if error.lasting:
                    raise
                log.error("%s", error)
                await _or_stop(asyncio.sleep(error.retry_after or AGAIN), stopping)
            else:
                return

    async def _poll(self, telegram: "TelegramChannel", stopping: asyncio.Event) -> None:
        offset: int | None = None
        while not stopping.is_set():
            try:
                updates = await _or_stop(telegram.poll(offset), stopping)
            except ChannelError as error:
                if error.lasting:
                    raise
                log.error("%s", error)
                await _or_stop(asyncio.sleep(error.retry_after or AGAIN), stopping)
                continue
            for update in updates or []:
                await self.take_update(update)
                offset = int(update["update_id"]) + 1

    async def take_update(self, update: Mapping[str, Any]) -> None:
        """Returns when everything that the update causes is on disk. One that cannot be read is set aside."""
        from bot.channels.telegram import read_update

        now = self._clock()
        try:
            arrival = read_update(update, now)
        except Exception as error:
            log.error("telegram: an update could not be read (%s) and is kept as a dead letter", type(error).__name__)
            external_id, body = str(update.get("update_id", now.isoformat())), json.dumps(update, ensure_ascii=False)
            await asyncio.to_thread(self._set_aside, "telegram", external_id, type(error).__name__, body, now)
            return
        self._acknowledge(arrival)
        if arrival.blocked:
            await asyncio.to_thread(self._lost, arrival.blocked, now)
        if arrival.message:
            await self.handle(arrival.message)

    async def take_call(self, path: str, body: bytes) -> None:
        """One call of the SMS provider, proved to be its own: the same promise as for an update."""
        provider = self._house.sms_webhook
        assert provider is not None
        now = self._clock()
        try:
            arrival = provider.read(path, body, now)
        except Exception as error:
            log.error("sms: a call could not be read (%s) and is kept as a dead letter", type(error).__name__)
            external_id = sha256(body).hexdigest()
            letter = f"{path}\n{body.decode('utf-8', 'replace')}"
            await asyncio.to_thread(self._set_aside, "sms", external_id, type(error).__name__, letter, now)
            return
        await self.take_sms(arrival)

    async def take_sms(self, arrival: "SmsArrival") -> None:
        """Returns when everything that the arrival causes is on disk."""
        if arrival.receipts:
            await asyncio.to_thread(self._record_receipts, arrival.receipts, self._clock())
        for message in arrival.messages:
            if message.external_id:
                await self.handle(message)
            else:
                await self._handle_unnumbered(message, again=arrival.again)
        for fragment in arrival.fragments:
            await self._take_part(fragment, again=arrival.again)

    async def _handle_unnumbered(self, message: InboundMessage, *, again: bool) -> None:
        """One that fails here comes again from the provider, and must then have the same id: it may be on disk."""
        content = (message.address, message.text)
        known = self._failed.pop(content, None)
        numbered = replace(message, external_id=known) if known else await self._identified(message, again=again)
        try:
            await self.handle(numbered)
        except Exception:
            self._failed[content] = numbered.external_id
            raise

    async def _identified(self, message: InboundMessage, *, again: bool) -> InboundMessage:
        """With an id, where the provider gives none."""
        channel, content = message.address.channel, f"{message.address.identifier}|{message.text}"
        external_id, _ = await self._stored(
            lambda db, keys, now: inbox.id_of(db, keys, channel, content, again=again, now=now)
        )
        return replace(message, external_id=external_id, received_at=self._clock())

    async def _take_part(self, fragment: "Fragment", *, again: bool) -> None:
        async with self._joining:
            await self._handle_joined(
                await self._stored(lambda db, keys, now: fragments.displaced(db, keys, fragment, now))
            )
            await self._handle_joined(
                await self._stored(lambda db, keys, now: fragments.join(db, keys, fragment, now, again=again))
            )

    async def _join_late_parts(self) -> None:
        while True:
            async with self._joining:
                for joined in await self._stored(lambda db, keys, now: fragments.overdue(db, keys, now)):
                    try:
                        await self._handle_joined(joined)
                    except Exception as error:
                        log.error("sms: parts could not be handled (%s) and stay", type(error).__name__)
            await asyncio.sleep(JOIN_EVERY)

    async def _handle_joined(self, joined: fragments.Joined | None) -> None:
        """The parts go when the message is in the inbox."""
        if joined:
            await self.handle(joined.message)
            await self._stored(lambda db, _keys, _now: fragments.remove(db, joined))

    async def _stored(self, work: Callable[[Connection, Keyring, dt.datetime], Result]) -> Result:
        """What `work` (connection, keyring, now) gives, once its transaction is on disk."""

        def transaction() -> Result:
            with self._house.database.begin() as connection:
                return work(connection, self._house.database.keyring, self._clock())

        return await asyncio.to_thread(transaction)

    def _record_receipts(self, receipts: Sequence[DeliveryReceipt], now: dt.datetime) -> None:
        with self._house.database.begin() as connection:
            for receipt in receipts:
                outbox.record_receipt(connection, self._house.database.keyring, receipt, now)

    async def handle(self, message: InboundMessage) -> None:
        """One turn; the place in the queue is taken here, in the order of arrival."""
        place = self._house.processor.arrivals.queue(message.address)
        try:
            await asyncio.get_running_loop().run_in_executor(self._turns, self._house.processor.handle, message, place)
        finally:
            self._house.processor.arrivals.leave(place)
        self.wake()

    def _acknowledge(self, arrival: "Arrival") -> None:
        telegram = self._house.telegram
        assert telegram is not None
        if arrival.callback_id:
            self._aside(telegram.answer_press(arrival.callback_id))
        if arrival.group is not None:
            self._aside(telegram.decline(arrival.group, self._house.library.say("group", "vi", "text")))

    def _aside(self, call: Any) -> None:
        task = asyncio.create_task(call)
        self._side.add(task)
        task.add_done_callback(self._side.discard)

    def _set_aside(self, channel: str, external_id: str, reason: str, body: str, now: dt.datetime) -> None:
        database = self._house.database
        with database.begin() as connection:
            dead_letters.keep(
                connection,
                database.keyring,
                channel=channel,
                external_id=external_id,
                reason=reason,
                body=body,
                now=now,
            )

    def _lost(self, address: Address, now: dt.datetime) -> None:
        database = self._house.database
        with database.begin() as connection:
            if contact := contacts.find(connection, database.keyring, address):
                contacts.set_unreachable(connection, contact.id, now)


def replay(house: App, letter: dead_letters.DeadLetter) -> bool:
    """Reads a dead letter again; whether it was a message, which is then handled once."""
    now = dt.datetime.now(dt.UTC)
    try:
        messages = _messages_of(house, letter, now)
    except UsageError:
        raise
    except Exception as error:
        raise UsageError(f"The letter still cannot be read ({type(error).__name__}).") from None
    for message in messages:
        house.processor.handle(message)
    with house.database.begin() as connection:
        dead_letters.close(connection, letter, now)
    return bool(messages)


def _messages_of(house: App, letter: dead_letters.DeadLetter, now: dt.datetime) -> Sequence[InboundMessage]:
    if letter.channel == "sms":
        if house.sms_webhook is None:
            raise UsageError("The letter came from an SMS provider that config.yml no longer names.")
        path, _, body = letter.body.partition("\n")
        return house.sms_webhook.read(path, body.encode(), now).messages
    from bot.channels.telegram import read_update

    message = read_update(json.loads(letter.body), now).message
    return [message] if message else []


def work(house: App) -> None:
    """A process that only sends, until it is interrupted."""
    house.refuse_unready_production()
    if not house.channels:
        raise ConfigError(
            "There is nothing to send by: set BANDUONG_TELEGRAM_TOKEN, or bot.sms.provider in config.yml (docs/deployer.md)."
        )
    asyncio.run(_work(Service(house, send=True, receive=False)))


async def _work(service: Service) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signal_number, stopping.set)
    await service.run(stopping)


def _unless_closed(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    """From another thread; a loop that is closing has nothing to send any more."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(call)


async def _until(stopping: asyncio.Event) -> None:
    await stopping.wait()


async def _or_stop(call: Any, stopping: asyncio.Event) -> Any:
    """What `call` gives, or None when it is time to stop."""
    calling, waiting = asyncio.ensure_future(call), asyncio.ensure_future(stopping.wait())
    await asyncio.wait([calling, waiting], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if not calling.done():
        calling.cancel()
        return None
    return calling.result()
