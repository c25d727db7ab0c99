"""SMS through SMPP 3.4: a carrier, an aggregator, or a gateway such as Kannel. One connection for both directions."""

import asyncio
import datetime as dt
import itertools
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from bot.channels.base import SendError, SendResult
from bot.channels.smpp_text import ALPHANUMERIC, INTERNATIONAL, Part, parts_of, read_delivery
from bot.channels.sms import FEWEST_DIGITS, NAME, SmsArrival, SmsLimits
from bot.errors import ChannelError
from bot.messages import OutboundMessage

if TYPE_CHECKING:
    from bot.channels.smpp_link import Delivered, Link

FIRST_WAIT, LONGEST_WAIT = 1.0, 30.0  # seconds between two attempts to bind
STEADY = 60.0  # seconds that a connection must have lasted for the waits to begin anew
READY = 10.0  # seconds that a message waits for the connection and for its turn; longer than a bind takes
RETRY = 2.0  # seconds until a message that found no connection is tried again
BUSY_PAUSE = 3.0  # seconds that a busy SMSC is left alone
PART_PAUSES = (
    1.0,
    2.0,
    4.0,
)  # the same between two attempts at a later part: without it the earlier ones are of no use
REPEATS = 60.0  # seconds after a bind in which an SMSC says again what was not answered
UNSURE = (
    120.0  # seconds before a connection ended in which an answer may have been lost; longer than it takes to notice
)
SLOW = 5.0  # seconds after which an SMSC may have given up waiting for our answer
REMEMBERED = 600.0  # seconds that we know what we could not answer

LONGEST_PASSWORD = 8  # SMPP has no room for more

TAKEN, TRY_AGAIN, UNREADABLE = 0x00, 0x64, 0x66  # our answers
QUEUE_FULL, THROTTLED, BAD_DESTINATION, BIND_FAILED = 0x14, 0x58, 0x0B, 0x0D  # the SMSC's
BUSY = (QUEUE_FULL, THROTTLED)

_SHORT_NUMBER = 3  # type of number
_LOGIN_ADVICE = "check bot.sms.smpp.user and system_type in config.yml, and BANDUONG_SMPP_PASSWORD."
_LASTING = {
    BIND_FAILED: f"The SMSC does not let us in: {_LOGIN_ADVICE}",
    0x0E: "The SMSC refuses the password: check BANDUONG_SMPP_PASSWORD.",
    0x0F: "The SMSC does not know the user: check bot.sms.smpp.user in config.yml.",
    0x53: "The SMSC refuses the system type: check bot.sms.smpp.system_type in config.yml.",
}

log = logging.getLogger("banduong")


class SmppSms:
    """A process that listens binds as transceiver; one that only sends, as transmitter at its first message."""

    name = NAME
    limits = SmsLimits(can_receive=True, needs_template=False, receipt_kind="handset", max_per_second=10)

    def __init__(
        self,
        host: str,
        port: int,
        user: str,
        password: str,
        *,
        sender: str,
        system_type: str = "",
        tls: bool = False,
        window: int = 10,
        country: str = "VN",
    ) -> None:
        try:
            from bot.channels.smpp_link import Login
        except ModuleNotFoundError:
            raise ChannelError("SMPP needs a library: pip install 'banduong[smpp]'", lasting=True) from None
        if len(password) > LONGEST_PASSWORD or not (user + password + system_type).isascii():
            raise ChannelError(
                "SMPP carries a password of at most 8 letters, all of them without marks: check BANDUONG_SMPP_PASSWORD.",
                lasting=True,
            )
        self._login = Login(host, port, user, password, system_type, tls)
        self._sender = _source(sender)
        self._country = country
        self._window = asyncio.Semaphore(window)  # messages; one has at most one part under way
        self._references = itertools.count(secrets.randbelow(256))
        self._repeats = _Repeats()
        self._listening = False
        self._binding = asyncio.Lock()
        self._link: Link | None = None
        self._bound_at: float | None = None
        self._bound_before = False
        self._wait = FIRST_WAIT
        self._not_before = 0.0

    async def close(self) -> None:
        async with self._binding:
            if self._link:
                await self._link.unbind()
                self._link = None

    # -- out -----------------------------------------------------------------------------------------------------------

    async def send(self, message: OutboundMessage) -> SendResult:
        parts = parts_of(message.text, next(self._references) % 256)
        try:
            async with asyncio.timeout(READY):
                link = await self._bound()
                await self._window.acquire()
        except TimeoutError:
            raise SendError("retryable", "smpp busy", retry_after=RETRY) from None
        except ChannelError as error:
            if error.lasting:
                log.error("%s", error)
            raise SendError("retryable", "smpp not connected", retry_after=max(RETRY, error.retry_after)) from None
        try:
            ids: list[str] = []
            for number, part in enumerate(parts):
                fields = self._fields(message.address.identifier, part)
                ids.append(await _submit(link, fields, begun=number > 0))
            return SendResult(tuple(filter(None, ids)), receipts=len(parts))
        finally:
            self._window.release()

    def _fields(self, number: str, part: Part) -> Mapping[str, Any]:
        return {
            **self._sender,
            "dest_addr_ton": INTERNATIONAL,
            "dest_addr_npi": 1,
            "destination_addr": number.removeprefix("+"),
            "esm_class": part.esm_class,
            "data_coding": part.coding,
            "short_message": part.octets,
            "registered_delivery": 1,
        }

    # -- in ------------------------------------------------------------------------------------------------------------

    async def listen(self, arrived: Callable[[SmsArrival], Awaitable[None]]) -> None:
        self._listening = True
        while True:
            try:
                link = await self._bound()
            except ChannelError as error:
                if error.lasting:
                    raise
                log.error("%s", error)
                await asyncio.sleep(error.retry_after)
                continue
            async for delivered in link.delivered():
                await self._take(link, delivered, arrived)
            self._repeats.lost()
            log.warning("sms: the connection to the SMSC is lost")

    async def _take(
        self, link: "Link", delivered: "Delivered", arrived: Callable[[SmsArrival], Awaitable[None]]
    ) -> None:
        again = self._repeats.may_be(delivered.octets)
        status = TRY_AGAIN
        try:
            status = await self._taken(delivered, arrived, again=again)
        finally:
            quick = time.monotonic() - delivered.came_at < SLOW
            said = link.answer(delivered, status)
            if status == TAKEN:  # what was not taken left nothing behind: it is new when it comes again
                self._repeats.answered(delivered.octets, surely=said and quick)

    async def _taken(
        self, delivered: "Delivered", arrived: Callable[[SmsArrival], Awaitable[None]], *, again: bool
    ) -> int:
        """Our answer. Whatever is in the way of a commit, the SMSC keeps the message and says it again."""
        try:
            arrival = read_delivery(delivered.read(), self._country, dt.datetime.now(dt.UTC))
        except Exception as error:
            log.error("sms: a deliver_sm could not be read (%s)", type(error).__name__)
            return UNREADABLE
        try:
            await arrived(SmsArrival(arrival.messages, arrival.receipts, arrival.fragments, again=again))
        except Exception as error:
            log.error("sms: a message could not be taken (%s) and stays with the SMSC", type(error).__name__)
            return TRY_AGAIN
        return TAKEN

    # -- the connection ------------------------------------------------------------------------------------------------

    async def _bound(self) -> "Link":
        """The connection, bound for what this process does. ChannelError says what is in the way."""
        async with self._binding:
            link = self._link
            if link and link.alive and (link.receiving or not self._listening):
                return link
            if link:
                self._not_before = 0.0 if link.alive else self._not_before  # it only changes its kind
                await link.unbind()
                self._link = None
            self._link = await self._bind()
            return self._link

    async def _bind(self) -> "Link":
        from bot.channels.smpp_link import Link, LinkLostError, RefusedError

        now = time.monotonic()
        if now < self._not_before:
            raise ChannelError("The SMSC cannot be reached.", retry_after=self._not_before - now)
        if self._bound_at and now - self._bound_at > STEADY:
            self._wait = FIRST_WAIT
        wait, self._wait = self._wait, min(2 * self._wait, LONGEST_WAIT)
        self._bound_at, self._not_before = None, now + wait
        try:
            link = await Link.bind(self._login, receiving=self._listening)
        except RefusedError as refused:
            raise self._not_let_in(refused.status, wait) from None
        except (OSError, TimeoutError, LinkLostError) as error:
            raise ChannelError(f"The SMSC cannot be reached ({type(error).__name__}).", retry_after=wait) from None
        self._bound_at, self._bound_before = time.monotonic(), True
        self._repeats.begin()
        return link

    def _not_let_in(self, status: int, wait: float) -> ChannelError:
        """Once we were in, a refusal may pass: nothing else of the service ends because of it."""
        if status in _LASTING and not self._bound_before:
            return ChannelError(_LASTING[status], lasting=True, retry_after=LONGEST_WAIT)
        return ChannelError(f"The SMSC does not let us in for now (smpp {status:#04x}).", retry_after=wait)


class _Repeats:
    """Which deliveries may be ones that came before. SMPP gives them no id: an SMSC says again what it saw no answer to.

    After the first bind that may be anything, for another process may have taken it; later, what this process could not
    surely answer.
    """

    def __init__(self) -> None:
        self._fresh_until: float | None = None
        self._seen: set[bytes] = set()  # while fresh: what comes a second time after an answer is new
        self._answered: dict[bytes, float] = {}  # -> when
        self._expected: dict[bytes, float] = {}  # -> until when

    def begin(self) -> None:
        """A connection has been bound."""
        now = time.monotonic()
        if self._fresh_until is None:
            self._fresh_until = now + REPEATS
        self._expected |= dict.fromkeys(self._answered, now + REPEATS)
        self._answered.clear()

    def lost(self) -> None:
        """The connection is gone: the last answers may not have arrived."""
        self._answered = _later_than(time.monotonic() - UNSURE, self._answered)

    def answered(self, octets: bytes, *, surely: bool) -> None:
        digest, now = _digest(octets), time.monotonic()
        if surely:
            self._answered = _later_than(now - UNSURE, self._answered) | {digest: now}
        else:
            self._expected = _later_than(now, self._expected) | {digest: now + REMEMBERED}

    def may_be(self, octets: bytes) -> bool:
        digest, now = _digest(octets), time.monotonic()
        expected = self._expected.pop(digest, now) > now
        if self._fresh_until is None or now > self._fresh_until:
            self._seen.clear()
            return expected
        first = digest not in self._seen
        self._seen.add(digest)
        return first or expected


def _later_than(moment: float, moments: Mapping[bytes, float]) -> dict[bytes, float]:
    return {digest: at for digest, at in moments.items() if at > moment}


def _digest(octets: bytes) -> bytes:
    return sha256(octets).digest()


def _source(sender: str) -> dict[str, Any]:
    digits = sender.removeprefix("+")
    kind, plan, written = INTERNATIONAL, 1, digits
    if not digits.isdecimal():
        kind, plan, written = ALPHANUMERIC, 0, sender
    elif len(digits) < FEWEST_DIGITS:
        kind, plan = _SHORT_NUMBER, 0
    return {"source_addr_ton": kind, "source_addr_npi": plan, "source_addr": written}


async def _submit(link: "Link", fields: Mapping[str, Any], *, begun: bool) -> str:
    """The id of one part. `begun`: earlier parts are gone, so nothing may lead to the whole message being sent again."""
    from bot.channels.smpp_link import LinkLostError, RefusedError

    for pause in (*PART_PAUSES, None) if begun else (None,):
        try:
            return await link.submit(fields)
        except LinkLostError as lost:
            if begun or lost.asked:
                raise SendError("uncertain", "smpp no answer") from None
            raise SendError("retryable", "smpp not connected", retry_after=RETRY) from None
        except RefusedError as refused:
            if pause is None or refused.status not in BUSY:
                raise _refusal(refused, begun=begun) from None
            await asyncio.sleep(pause)
    raise AssertionError


def _refusal(refused: Any, *, begun: bool) -> SendError:
    code = str(refused)
    if refused.status in BUSY:
        return SendError("uncertain" if begun else "retryable", code, retry_after=BUSY_PAUSE)
    return SendError("stopped" if refused.status == BAD_DESTINATION else "permanent", code)
