"""An SMSC: smpp34's server, which somebody else wrote, behind a gate of ours, with phones at its far end.

The gate reads no more than headers and the bind: it asks for the password, which smpp34 does not, and it can be shut.
"""

import asyncio
import contextlib
import ssl
import struct
import threading
from collections import Counter, deque
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

import smpp34
import smsutil

USER, PASSWORD = "banduong", "secret12"
OURS = "19001234"
PATIENCE = 20.0
RETRY = 0.02  # seconds until the SMSC says again what was not taken

BINDS = {0x02: "transmitter", 0x01: "receiver", 0x09: "transceiver"}
DELIVER_ANSWER = 0x80000005
WRONG_PASSWORD = 0x0E
MULTI_PART, RECEIPT = 0x40, 0x04

Fault = int | Literal["hang", "drop", "lost answer"]
Result = TypeVar("Result")


@dataclass(frozen=True)
class Shown:
    """What a phone shows."""

    number: str
    text: str


@dataclass(frozen=True)
class Waiting:
    """A deliver_sm until it is taken."""

    source: str
    octets: bytes
    fields: dict[str, Any]


@dataclass
class SmscFake:
    """`faults` happen to the next submits, one each: a status refuses it; "hang": no answer; "drop": the connection ends
    before it is taken; "lost answer": after. `receipts`: when they come; `states`: of the next ones (DELIVRD at the end)."""

    faults: deque[Fault | None] = field(default_factory=deque)
    receipts: Literal["after", "before", "never"] = "after"
    states: deque[str] = field(default_factory=deque)
    lost_answers: int = 0  # so many answers to deliver_sm do not arrive, and end the connection
    shown: list[Shown] = field(default_factory=list)
    submits: list[Any] = field(default_factory=list)
    answers: list[int | None] = field(default_factory=list)  # to deliver_sm
    binds: list[str] = field(default_factory=list)
    port: int = 0
    tls: ssl.SSLContext | None = None

    def __post_init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._parts: dict[tuple[str, int], dict[int, bytes]] = {}
        self._held: list[Any] = []  # submits without an answer: smpp34 would refuse what is dropped
        self._esme: Any = None
        self._waiting: deque[Waiting] = deque()
        self._cables: set[asyncio.Task[None]] = set()
        self._gate: asyncio.Server | None = None
        self._inner = 0
        self._ids = Counter[str]()

    # -- for tests -----------------------------------------------------------------------------------------------------

    def say(self, number: str, text: str, *, parts: int = 0, order: tuple[int, ...] = (), reference: int = 7) -> None:
        """A person writes, in so many parts or as many as it takes; `order`: in which these come."""
        parts = parts or -(-len(text) // (140 if smsutil.is_valid_gsm(text) else 60))
        self._call(self._say(number, text, parts, order or tuple(range(1, parts + 1)), reference))

    def push(self, source: str, octets: bytes, **fields: Any) -> None:
        """A deliver_sm as it stands."""
        self._call(self._push(Waiting(source, octets, fields)))

    def shut(self) -> None:
        """Nobody gets in, and those who are in are out."""
        self._call(self._shut())

    def open(self) -> None:
        self._call(self._open())

    def cut(self) -> None:
        """Every connection ends; who comes again gets in."""
        self._call(self._cut())

    @property
    def is_idle(self) -> bool:
        """Nothing waits to be taken."""
        return not self._waiting

    def heard_by(self, number: str) -> list[str]:
        return [one.text for one in self.shown if one.number == number]

    # -- the SMSC ------------------------------------------------------------------------------------------------------

    async def serve(self, started: threading.Event) -> None:
        server = await self._start_inner()
        await self._open()
        delivering = asyncio.create_task(self._deliver())
        started.set()
        try:
            while True:
                event = await server.next()
                if isinstance(event, smpp34.Esme):
                    self._esme = event if event.can_receive else self._esme
                elif isinstance(event, smpp34.SubmitSmEvent):
                    await self._take(event)
                elif self._esme and event.session_id == self._esme.session_id:
                    self._esme = None
        finally:
            delivering.cancel()
            await self._shut()
            await server.stop()

    async def _start_inner(self) -> Any:
        for port in range(30000 + id(self) % 20000, 60000):
            server = smpp34.Server("127.0.0.1", port)
            with contextlib.suppress(smpp34.SmppError):
                await server.start()
                self._inner = port
                return server
        raise OSError

    async def _take(self, event: Any) -> None:
        self.submits.append(event)
        fault = self.faults.popleft() if self.faults else None
        if isinstance(fault, int):
            event.reject(fault)
            return
        if fault in ("hang", "drop"):
            self._held.append(event)
            if fault == "drop":
                await self._cut()
            return
        self._show(event)
        self._ids["taken"] += 1
        message_id = f"m{self._ids['taken']}"
        state = self.states.popleft() if self.states else "DELIVRD"
        if fault == "lost answer":
            self._held.append(event)
            await self._cut()
            return
        if self.receipts == "before":
            await self._tell(event, message_id, state)
        event.accept(message_id)
        if self.receipts == "after":
            await self._tell(event, message_id, state)

    def _show(self, event: Any) -> None:
        number, octets = f"+{event.destination_addr}", event.short_message
        if not event.esm_class & MULTI_PART:
            self.shown.append(Shown(number, self._read(octets, event.data_coding)))
            return
        assert octets[:3] == b"\x05\x00\x03", "an 8 bit reference"
        reference, total, place = octets[3:6]
        parts = self._parts.setdefault((number, reference), {})
        parts[place] = octets[6:]
        if len(parts) == total:
            whole = "".join(self._read(parts[place], event.data_coding) for place in sorted(parts))
            self.shown.append(Shown(number, whole))
            del self._parts[number, reference]

    @staticmethod
    def _read(octets: bytes, coding: int) -> str:
        assert len(octets) <= (160 if coding == 0 else 140)
        return str(smsutil.decode(octets)) if coding == 0 else octets.decode({8: "utf-16-be"}[coding])

    async def _tell(self, event: Any, message_id: str, state: str) -> None:
        error = "000" if state == "DELIVRD" else "069"
        text = f"id:{message_id} sub:001 dlvrd:001 submit date:2611210900 done date:2611210901 stat:{state} err:{error} text:"
        await self._push(Waiting(event.destination_addr, text.encode(), {"esm_class": RECEIPT}))

    # -- from people ---------------------------------------------------------------------------------------------------

    async def _say(self, number: str, text: str, parts: int, order: tuple[int, ...], reference: int) -> None:
        gsm = smsutil.is_valid_gsm(text)
        size = -(-len(text) // parts)
        for place in order:
            piece = text[(place - 1) * size : place * size]
            octets = piece.encode("gsm0338" if gsm else "utf-16-be")
            header = bytes([5, 0, 3, reference, parts, place]) if parts > 1 else b""
            fields = {"esm_class": MULTI_PART if header else 0, "data_coding": 0 if gsm else 8}
            await self._push(Waiting(number.removeprefix("+"), header + octets, fields))

    async def _push(self, one: Waiting) -> None:
        self._waiting.append(one)

    async def _deliver(self) -> None:
        """What waits, in order, until it is taken."""
        while True:
            if not self._waiting or not self._esme:
                await asyncio.sleep(RETRY / 4)
                continue
            status = await self._deliver_one(self._waiting[0])
            self.answers.append(status)
            if status == 0:
                self._waiting.popleft()
            else:
                await asyncio.sleep(RETRY)

    async def _deliver_one(self, one: Waiting) -> int | None:
        esme = self._esme
        fields = {"source_addr_ton": 1, "source_addr_npi": 1, **one.fields}
        answering = asyncio.ensure_future(esme.deliver_sm(OURS, one.octets, source_addr=one.source, **fields))
        while not answering.done():
            await asyncio.wait([answering], timeout=RETRY)
            if not answering.done() and self._esme is not esme:
                answering.cancel()
                return None
        try:
            return int(answering.result().command_status)
        except smpp34.SmppError:
            return None

    # -- the gate ------------------------------------------------------------------------------------------------------

    async def _open(self) -> None:
        self._gate = await asyncio.start_server(self._enter, "127.0.0.1", self.port, ssl=self.tls)
        self.port = self._gate.sockets[0].getsockname()[1]

    async def _shut(self) -> None:
        if self._gate:
            self._gate.close()
            self._gate = None
        await self._cut()

    async def _cut(self) -> None:
        for cable in [*self._cables]:
            cable.cancel()
        self._esme = None

    async def _enter(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, EOFError):
            bind = await _pdu(reader)
            user, password = bind[16:].split(b"\0")[:2]
            if (user.decode(), password.decode()) != (USER, PASSWORD):
                writer.write(struct.pack(">LLLL", 16, 0x80000000 | _command(bind), WRONG_PASSWORD, _sequence(bind)))
                writer.close()
                return
            self.binds.append(BINDS[_command(bind)])
            inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self._inner)
            inner_writer.write(bind)
            cables = [
                asyncio.create_task(self._carry(reader, inner_writer)),
                asyncio.create_task(self._carry(inner_reader, writer)),
            ]
            self._cables |= set(cables)
            await asyncio.wait(cables, return_when=asyncio.FIRST_COMPLETED)
            self._cables -= set(cables)
            for cable in cables:
                cable.cancel()
            for one in (writer, inner_writer):
                one.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, EOFError):
            while True:
                pdu = await _pdu(reader)
                if _command(pdu) == DELIVER_ANSWER and self.lost_answers:
                    self.lost_answers -= 1
                    return
                writer.write(pdu)

    # -- the thread ----------------------------------------------------------------------------------------------------

    def _call(self, work: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)

    @contextlib.contextmanager
    def running(self) -> Iterator["SmscFake"]:
        started = threading.Event()
        serving = self._loop.create_task(self.serve(started))
        thread = threading.Thread(target=self._run, args=(serving,), daemon=True)
        thread.start()
        assert started.wait(PATIENCE)
        try:
            yield self
        finally:
            self._loop.call_soon_threadsafe(serving.cancel)
            thread.join(PATIENCE)
            self._loop.close()

    def _run(self, serving: "asyncio.Task[None]") -> None:
        with contextlib.suppress(asyncio.CancelledError):
            self._loop.run_until_complete(serving)
        self._loop.run_until_complete(asyncio.sleep(0.05))  # the cables come to their ends


async def _pdu(reader: asyncio.StreamReader) -> bytes:
    length = await reader.readexactly(4)
    return length + await reader.readexactly(int.from_bytes(length, "big") - 4)


def _command(pdu: bytes) -> int:
    return int.from_bytes(pdu[4:8], "big")


def _sequence(pdu: bytes) -> int:
    return int.from_bytes(pdu[12:16], "big")
