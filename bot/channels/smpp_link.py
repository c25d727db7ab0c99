"""One SMPP 3.4 connection. PDUs are smpplib's; the socket is asyncio's: no thread, no lock, and TLS proves the other's name.

smpplib's own client takes one thread for all, speaks IPv4 only, cannot check a certificate's name, and gives up on optional
parameters that it does not know.
"""

import asyncio
import contextlib
import logging
import ssl
import struct
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from smpplib import smpp
from smpplib.client import SimpleSequenceGenerator
from smpplib.command_codes import get_command_code

from bot.channels.smpp_text import Delivery

CONNECTING = 8.0  # seconds until the connection stands and is bound
ANSWER = 15.0  # seconds until an answer counts as lost
IDLE = 30.0  # seconds without a word after which we ask whether the other is there
PARTING = 2.0
LONGEST_PDU = 100_000  # octets

_HEADER = struct.Struct(">LLLL")  # length, command, status, sequence number
_IS_ANSWER = 0x80000000
_DELIVER, _ENQUIRE, _UNBIND = map(get_command_code, ("deliver_sm", "enquire_link", "unbind"))
_UNKNOWN_COMMAND = 0x03


class LinkLostError(Exception):
    """The connection is gone, or no answer came. `asked`: what we said may have arrived."""

    def __init__(self, *, asked: bool) -> None:
        super().__init__()
        self.asked = asked


class RefusedError(Exception):
    """The SMSC's answer is this status."""

    def __init__(self, status: int) -> None:
        super().__init__(f"smpp {status:#04x}")
        self.status = status


@dataclass(frozen=True)
class Login:
    """How to bind. `tls`: the certificate must be valid for `host`."""

    host: str
    port: int
    user: str
    password: str
    system_type: str
    tls: bool

    def __repr__(self) -> str:
        return "Login(…)"


@dataclass(frozen=True)
class Delivered:
    """A deliver_sm that waits for an answer. `octets` are the same whenever the SMSC says the same."""

    sequence: int
    octets: bytes
    came_at: float

    def read(self) -> Delivery:
        """Any exception means that it is broken."""
        pdu, options = _parsed("deliver_sm", self.octets)
        return Delivery(
            pdu.source_addr.decode("latin-1"), pdu.source_addr_ton, pdu.esm_class, pdu.data_coding,
            pdu.short_message or b"", options,
        )  # fmt: skip


class Link:
    """Bound, until it ends. Everything happens in one event loop."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, receiving: bool) -> None:
        _keep_library_quiet()
        self.receiving = receiving
        self.alive = True
        self._reader = reader
        self._writer = writer
        self._sequence = SimpleSequenceGenerator()
        self._waiting: dict[int, asyncio.Future[tuple[int, bytes]]] = {}
        self._delivered: asyncio.Queue[Delivered | None] = asyncio.Queue()
        self._heard_at = time.monotonic()
        self._tasks = (asyncio.create_task(self._read()), asyncio.create_task(self._stay_in_touch()))

    @classmethod
    async def bind(cls, login: Login, *, receiving: bool) -> "Link":
        """Raises OSError, TimeoutError or LinkLostError where the SMSC is not there, and RefusedError."""
        async with asyncio.timeout(CONNECTING):
            context = ssl.create_default_context() if login.tls else None
            link = cls(*await asyncio.open_connection(login.host, login.port, ssl=context), receiving=receiving)
            try:
                await link._ask(
                    "bind_transceiver" if receiving else "bind_transmitter",
                    system_id=login.user, password=login.password, system_type=login.system_type,
                )  # fmt: skip
            except BaseException:
                link.end()
                raise
        return link

    async def submit(self, fields: Mapping[str, Any]) -> str:
        """The SMSC's id of the message. Raises RefusedError or LinkLostError."""
        pdu, _ = _parsed("submit_sm_resp", await self._ask("submit_sm", **fields))
        return (pdu.message_id or b"").decode("latin-1")

    async def delivered(self) -> AsyncIterator[Delivered]:
        """What comes, in order; also what came before the connection ended."""
        while (one := await self._delivered.get()) is not None:
            yield one

    def answer(self, delivered: Delivered, status: int) -> bool:
        """Whether it could still be said."""
        self._write("deliver_sm_resp", delivered.sequence, status)
        return self.alive

    async def unbind(self) -> None:
        """Takes leave once everything is answered, if the other still listens, and ends."""
        if self.alive and self._waiting:
            await asyncio.wait(self._waiting.values(), timeout=PARTING)
        with contextlib.suppress(RefusedError, LinkLostError, TimeoutError):
            async with asyncio.timeout(PARTING):
                await self._ask("unbind")
        self.end()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(PARTING):
                await self._writer.wait_closed()

    def end(self) -> None:
        """Nothing more goes or comes."""
        if not self.alive:
            return
        self.alive = False
        self._writer.close()
        for task in self._tasks:
            task.cancel()
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(LinkLostError(asked=True))
        self._delivered.put_nowait(None)

    async def _ask(self, command: str, **fields: Any) -> bytes:
        """The body of the answer."""
        if not self.alive:
            raise LinkLostError(asked=False)
        pdu = smpp.make_pdu(command, client=self._sequence, **fields)
        octets = pdu.generate()
        answer: asyncio.Future[tuple[int, bytes]] = asyncio.get_running_loop().create_future()
        self._waiting[pdu.sequence] = answer
        try:
            self._writer.write(octets)
            async with asyncio.timeout(ANSWER):
                status, body = await answer
        except TimeoutError:
            raise LinkLostError(asked=True) from None
        finally:
            del self._waiting[pdu.sequence]
        if status:
            raise RefusedError(status)
        return body

    def _write(self, command: str, sequence: int, status: int = 0) -> None:
        if self.alive:
            pdu = smpp.make_pdu(command, client=self._sequence, status=status)
            pdu.sequence = sequence
            self._writer.write(pdu.generate())

    async def _read(self) -> None:
        try:
            while self.alive:
                length, command, status, sequence = _HEADER.unpack(await self._reader.readexactly(_HEADER.size))
                if not _HEADER.size <= length <= LONGEST_PDU:
                    break
                body = await self._reader.readexactly(length - _HEADER.size)
                self._heard_at = time.monotonic()
                self._take(command, status, sequence, body)
        except (OSError, EOFError):
            pass
        finally:
            self.end()

    def _take(self, command: int, status: int, sequence: int, body: bytes) -> None:
        if command & _IS_ANSWER:
            answer = self._waiting.get(sequence)
            if answer and not answer.done():
                answer.set_result((status, body))
        elif command == _DELIVER:
            self._delivered.put_nowait(Delivered(sequence, body, self._heard_at))
        elif command == _ENQUIRE:
            self._write("enquire_link_resp", sequence)
        elif command == _UNBIND:
            self._write("unbind_resp", sequence)
            self.end()
        else:
            self._write("generic_nack", sequence, _UNKNOWN_COMMAND)

    async def _stay_in_touch(self) -> None:
        while self.alive:
            await asyncio.sleep(self._heard_at + IDLE - time.monotonic())
            if time.monotonic() < self._heard_at + IDLE:
                continue
            try:
                await self._ask("enquire_link")
            except LinkLostError:
                self.end()
            except RefusedError:  # it is there
                pass


def _parsed(command: str, body: bytes) -> tuple[Any, dict[int, bytes]]:
    """smpplib reads the fixed part, we the optional parameters: it knows no length of theirs but its own."""
    pdu = smpp.make_pdu(command, client=SimpleSequenceGenerator())
    optional = bytearray()
    pdu.parse_optional_params = optional.extend
    pdu.parse_params(body)
    options = {}
    while len(optional) >= 4:
        tag, length = struct.unpack(">HH", optional[:4])
        options[tag] = bytes(optional[4 : 4 + length])
        del optional[: 4 + length]
    return pdu, options


def _keep_library_quiet() -> None:
    """Its logs hold texts and numbers."""
    logging.getLogger("smpplib").setLevel(logging.CRITICAL)
