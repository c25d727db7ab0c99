"""SMS through SMPP end to end: the real adapter and the whole house against an SMSC, and what its PDUs say."""

import asyncio
import contextlib
import datetime as dt
import importlib
import itertools
import logging
import multiprocessing
import os
import re
import signal
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import smpplib.client
import smpplib.gsm
import smsutil
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from bot import service
from bot.app import App
from bot.channels import smpp_link, sms_smpp
from bot.channels.base import CAPABILITIES, SendError, SendResult
from bot.channels.smpp_text import Delivery, decoded, parts_of, read_delivery
from bot.channels.sms import Fragment, SmsArrival
from bot.channels.sms_smpp import SmppSms
from bot.config import Secrets, SmppConfig, SmsConfig
from bot.delivery import fragments, inbox
from bot.delivery.render import parts
from bot.errors import ChannelError
from bot.messages import Address, DeliveryStatus, InboundMessage, OutboundMessage
from bot.processor import Processor
from bot.service import Service
from bot.store import tables
from bot.testing import START, Dialog, FakeClock, read_dialogs
from bot.understanding.classifier import EmbeddedClassifier
from bot.understanding.training import load_or_train
from tests.conftest import ROOT, _house
from tests.fakes.smpp import OURS, PASSWORD, PATIENCE, USER, SmscFake

WORDS = "di thai ban ve so luong 20tr/thang ho bao ve may bay co nen di k"
LONG = "Chị ơi em đang ở 🇰🇭, người ta giữ hộ chiếu rồi 😢 giờ em phải làm sao ạ? " * 3
SECOND = dt.timedelta(seconds=1)
PHONE = "+84901234567"
_numbers = itertools.count(10)


def somebody() -> str:
    return f"+8490{next(_numbers):07}"


@dataclass
class Town:
    """An SMSC with our bot on its line."""

    fake: SmscFake
    house: App
    clock: FakeClock
    at_work: Service

    def say(self, number: str, text: str, **more: Any) -> list[str]:
        """A person writes; the texts that their phone shows."""
        before = len(self.fake.heard_by(number))
        self.fake.say(number, text, **more)
        self.settle()
        return self.fake.heard_by(number)[before:]

    def expected(self, *texts: str) -> list[str]:
        """What somebody hears who says this, one after the other."""
        rehearsal = self.house.rehearsal("sms")
        turns = [rehearsal.say(text, self.clock())[1] for text in texts]
        return [part.text for turn in turns for reply in turn.replies for part in parts(reply, CAPABILITIES["sms"])]

    def settle(self) -> None:
        """Until the SMSC has given everything away and nothing waits to be sent."""
        until_true(lambda: self.fake.is_idle and not {"queued", "claimed", "sending"} & set(self.states()))

    def states(self) -> list[str]:
        return [row.status for row in self.rows(tables.outbox)]

    def rows(self, table: Any) -> list[Any]:
        with self.house.database.begin() as connection:
            return list(connection.execute(select(table)).all())


def until_true(condition: Callable[[], Any]) -> None:
    until = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < until, "it does not come true"
        time.sleep(0.01)


def sms_house(home: Path, classifier: EmbeddedClassifier, port: int, password: str = PASSWORD) -> App:
    house = _house(home, classifier)
    smpp = SmppConfig(host="127.0.0.1", port=port, user=USER, sender="BanDuong")
    sms = SmsConfig(provider="smpp", smpp=smpp, per_second=500.0, chat_interval=0.0)
    secrets = Secrets.model_validate({"smpp_password": password})
    bot = house.config.bot.model_copy(update={"sms": sms})
    house.config = house.config.model_copy(update={"bot": bot, "secrets": secrets})
    return house


@contextlib.contextmanager
def town(home: Path, classifier: EmbeddedClassifier, fake: SmscFake, *, receive: bool = True) -> Iterator[Town]:
    house = sms_house(home, classifier, fake.port)
    clock = FakeClock(dt.datetime.now(dt.UTC))
    at_work = Service(house, send=True, receive=receive, clock=clock)
    before = len(fake.binds)
    with _running(at_work):
        if receive:
            until_true(lambda: len(fake.binds) > before)
        yield Town(fake, house, clock, at_work)
    house.database.close()


@contextlib.contextmanager
def _running(at_work: Service) -> Iterator[None]:
    loop, stopping = asyncio.new_event_loop(), asyncio.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(at_work.run(stopping)), daemon=True)
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(stopping.set)
        thread.join(PATIENCE)
        assert not thread.is_alive()
        loop.close()


@pytest.fixture
def smsc() -> Iterator[SmscFake]:
    with SmscFake().running() as fake:
        yield fake


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory, classifier: EmbeddedClassifier) -> Iterator[Town]:
    """One town for the tests that need no SMSC of their own; each takes other numbers."""
    with SmscFake().running() as fake, town(tmp_path_factory.mktemp("town"), classifier, fake) as built:
        yield built


@pytest.fixture
def own(tmp_path: Path, classifier: EmbeddedClassifier, smsc: SmscFake) -> Iterator[Town]:
    with town(tmp_path / "home", classifier, smsc) as built:
        yield built


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes seconds in earnest."""
    monkeypatch.setattr(sms_smpp, "FIRST_WAIT", 0.05)
    monkeypatch.setattr(sms_smpp, "LONGEST_WAIT", 0.2)
    monkeypatch.setattr(sms_smpp, "RETRY", 0.1)
    monkeypatch.setattr(sms_smpp, "PART_PAUSES", (0.05, 0.1))
    monkeypatch.setattr(smpp_link, "PARTING", 0.5)
    monkeypatch.setattr(service, "JOIN_EVERY", 0.1)


# -- talks -------------------------------------------------------------------------------------------------------------

DIALOGS = [
    dialog
    for path in sorted((ROOT / "tests" / "dialogs").glob("*.yml"))
    for dialog in read_dialogs(path)
    if dialog.channel == "sms" or "S-26" in dialog.ids
] + read_dialogs(ROOT / "tests" / "dialogs" / "offers.yml")[:12]


@pytest.mark.parametrize("number", range(len(DIALOGS)))
def test_a_talk_is_the_same_through_smpp(number: int, here: Town) -> None:
    """What a phone shows is what the engine says: every line of the talk, in order, once."""
    dialog: Dialog = DIALOGS[number]
    rehearsal, phone = here.house.rehearsal("sms"), somebody()
    for line in dialog.talk:
        here.clock.advance(dt.timedelta(seconds=20))
        if line.media or line.after:
            continue
        _, turn = rehearsal.say(line.say, here.clock())
        expected = [part.text for reply in turn.replies for part in parts(reply, CAPABILITIES["sms"])]
        assert here.say(phone, line.say) == expected


def test_the_same_words_twice_are_two_messages(here: Town) -> None:
    """Who says "menu" twice is answered twice: a repetition is one only where the SMSC had no answer."""
    phone = somebody()
    assert here.say(phone, "menu") + here.say(phone, "menu") == here.expected("menu", "menu")


@pytest.mark.parametrize("order", list(itertools.permutations((1, 2, 3))))
def test_a_long_message_is_one_whatever_the_order_of_its_parts(order: tuple[int, ...], here: Town) -> None:
    """Three parts, emoji cut in two or not, are answered like the whole text; nothing of them stays behind."""
    assert here.say(somebody(), LONG, parts=3, order=order) == here.expected(LONG)
    assert here.rows(tables.fragments) == []


def test_what_nobody_could_answer_is_dropped(here: Town) -> None:
    """A name, a short number and a broken PDU are taken from the SMSC, and nothing comes of them."""
    before = len(here.rows(tables.addresses))
    here.fake.push("Viettel", b"Khuyen mai", source_addr_ton=5, source_addr_npi=0)
    here.fake.push("8079", b"Ma OTP", source_addr_ton=3)
    here.settle()
    assert len(here.rows(tables.addresses)) == before


# -- out ---------------------------------------------------------------------------------------------------------------

TEXTS = st.text(st.sampled_from("ab €[]~|^{}\\\n@Ω😢🇰🇭ạđ"), max_size=400)


@given(TEXTS)
def test_the_phone_shows_what_was_sent(text: str) -> None:
    """In parts no longer than an SMS, no letter and no emoji cut in two, as many as the trade counts."""
    sent = parts_of(text, 200)
    assert len(sent) == len(smsutil.split(text).parts)
    assert len({part.coding for part in sent}) == 1
    pieces = []
    for number, part in enumerate(sent, 1):
        header, octets = (part.octets[:6], part.octets[6:]) if len(sent) > 1 else (b"", part.octets)
        assert header in (b"", bytes([5, 0, 3, 200, len(sent), number]))
        assert bool(header) == (part.esm_class == 0x40)
        assert len(part.octets) <= (160 if part.coding == 0 else 140)
        pieces.append(smsutil.decode(octets) if part.coding == 0 else octets.decode("utf-16-be"))
    assert "".join(pieces) == text


@given(st.text(st.sampled_from("".join(sorted(set(smpplib.gsm.GSM_CHARACTER_TABLE) - {"\x1b", "`"})))))
def test_our_alphabet_is_that_of_others(text: str) -> None:
    """Every letter of GSM 03.38 leaves as smpplib would write it, and is read back."""
    octets = b"".join(part.octets for part in parts_of(text[:60], 1)) if text else b""
    if text:
        assert octets == smpplib.gsm.gsm_encode(text[:60])
    assert decoded(octets, 0) == text[:60]


def test_a_long_text_arrives_whole(smsc: SmscFake) -> None:
    """Parts with escaped letters and with emoji are put together by the phone; each has an id of its own."""
    texts = ["€[giữ]" * 60, "a€" * 200, LONG]
    results = [sent(smsc, text) for text in texts]
    assert smsc.heard_by(PHONE) == texts
    assert [len(result.ids) for result in results] == [len(smsutil.split(text).parts) for text in texts]
    assert all(result.receipts == len(result.ids) for result in results)


@pytest.mark.parametrize(
    ("sender", "ton", "npi", "written"),
    [("BanDuong", 5, 0, "BanDuong"), ("8079", 3, 0, "8079"), ("+84281234567", 1, 1, "84281234567")],
)
def test_the_sender_is_written_as_its_kind_asks(sender: str, ton: int, npi: int, written: str, smsc: SmscFake) -> None:
    """A registered name, a short number and an international one; the receiver is international, and receipts are asked for."""
    sent(smsc, "hello", sender=sender)
    (event,) = smsc.submits
    assert (event.source_addr_ton, event.source_addr_npi, event.source_addr) == (ton, npi, written)
    assert (event.dest_addr_ton, event.dest_addr_npi, event.destination_addr) == (1, 1, "84901234567")
    assert event.registered_delivery == 1


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (0x58, "retryable", "smpp 0x58"),
        (0x14, "retryable", "smpp 0x14"),
        (0x0B, "stopped", "smpp 0x0b"),
        (0x45, "permanent", "smpp 0x45"),
        (0x08, "permanent", "smpp 0x08"),
    ],
)
def test_each_refusal_means_what_it_says(status: int, kind: str, code: str, smsc: SmscFake) -> None:
    """Busy: later; no such number: never again to it; anything else: this message never."""
    smsc.faults.append(status)
    error = refused(smsc, "hello")
    assert (error.kind, error.code) == (kind, code)
    assert bool(error.retry_after) == (kind == "retryable")


def test_a_busy_smsc_gets_only_the_refused_part_again(smsc: SmscFake) -> None:
    """The first part is not said twice; the message arrives whole."""
    smsc.faults.extend([None, 0x58, 0x14])
    assert sent(smsc, LONG).receipts > 2
    assert smsc.heard_by(PHONE) == [LONG]
    headers = [event.short_message[:6] for event in smsc.submits]
    assert headers.count(headers[0]) == 1
    assert headers.count(headers[1]) == 3


def test_a_message_of_which_a_part_is_gone_is_not_sent_again(smsc: SmscFake) -> None:
    """However long the SMSC stays busy: it is uncertain, and the channel is held."""
    smsc.faults.extend([None, *[0x58] * 10])
    error = refused(smsc, LONG)
    assert error.kind == "uncertain"
    assert error.retry_after


@pytest.mark.parametrize("fault", ["hang", "drop", "lost answer"])
def test_without_an_answer_nobody_can_tell(fault: Any, smsc: SmscFake, monkeypatch: pytest.MonkeyPatch) -> None:
    """No answer, a connection that ends, an answer that is lost: uncertain, each of them."""

    async def work(channel: SmppSms) -> None:
        await channel.send(to(PHONE, "bound"))
        monkeypatch.setattr(smpp_link, "ANSWER", 0.3)
        smsc.faults.append(fault)
        await channel.send(to(PHONE, "hello"))

    with pytest.raises(SendError) as caught:
        asyncio.run(with_channel(smsc, work))
    assert caught.value.kind == "uncertain"


def test_without_a_connection_nothing_has_left(smsc: SmscFake) -> None:
    """The SMSC is down: certain, so it is tried again, soon."""
    smsc.shut()
    error = refused(smsc, "hello")
    assert (error.kind, error.code) == ("retryable", "smpp not connected")
    assert error.retry_after


def test_no_more_than_the_window_is_under_way(smsc: SmscFake, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a window of 3 and an SMSC that does not answer, the fourth message waits, and has certainly not left."""

    async def work(channel: SmppSms) -> list[Any]:
        await channel.send(to(PHONE, "bound"))
        monkeypatch.setattr(sms_smpp, "READY", 0.3)
        monkeypatch.setattr(smpp_link, "ANSWER", 1.0)
        smsc.faults.extend(["hang"] * 3)
        return await asyncio.gather(*(channel.send(to(PHONE, "hello")) for _ in range(4)), return_exceptions=True)

    errors = asyncio.run(with_channel(smsc, work, window=3))
    assert [error.kind for error in errors] == ["uncertain"] * 3 + ["retryable"]
    assert len(smsc.submits) == 4


def test_a_silent_line_is_found_out(smsc: SmscFake, monkeypatch: pytest.MonkeyPatch) -> None:
    """We ask whether the other is there; while it answers, the connection stays."""
    monkeypatch.setattr(smpp_link, "IDLE", 0.05)

    async def work(channel: SmppSms) -> None:
        await channel.send(to(PHONE, "one"))
        await asyncio.sleep(0.3)
        await channel.send(to(PHONE, "two"))

    asyncio.run(with_channel(smsc, work))
    assert smsc.heard_by(PHONE) == ["one", "two"]
    assert len(smsc.binds) == 1


def test_a_dead_line_is_bound_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody who says nothing but yes to the bind is given up, and asked again."""
    monkeypatch.setattr(smpp_link, "IDLE", 0.05)
    monkeypatch.setattr(smpp_link, "ANSWER", 0.1)
    binds: list[bytes] = []

    async def dead(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        bind = await reader.read(100)
        binds.append(bind)
        writer.write(b"\0\0\0\x11" + bytes([0x80]) + bind[5:8] + b"\0\0\0\0" + bind[12:16] + b"\0")
        await reader.read(-1)
        writer.close()

    async def work() -> None:
        server = await asyncio.start_server(dead, "127.0.0.1", 0)
        channel = adapter(server.sockets[0].getsockname()[1])
        listening = asyncio.create_task(channel.listen(never))
        async with asyncio.timeout(PATIENCE):
            while len(binds) < 3:
                await asyncio.sleep(0.01)
        listening.cancel()
        await channel.close()
        server.close()

    asyncio.run(work())


def test_tls_proves_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A certificate for the host is trusted; the same one under another name is not, and nothing leaves."""
    certificate = self_signed("localhost", tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with SmscFake(tls=context).running() as fake:
        assert send_over_tls("localhost", fake) == SendResult(("m1",))
        with pytest.raises(SendError) as caught:
            send_over_tls("127.0.0.1", fake)
        assert caught.value.kind == "retryable"
        assert fake.heard_by(PHONE) == ["hello"]


def send_over_tls(host: str, fake: SmscFake) -> Any:
    async def send() -> SendResult:
        channel = SmppSms(host, fake.port, USER, PASSWORD, sender="BanDuong", tls=True)
        try:
            return await channel.send(to(PHONE, "hello"))
        finally:
            await channel.close()

    return asyncio.run(send())


def self_signed(name: str, folder: Path) -> Path:
    """Certificate and key in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    names = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(names)
        .issuer_name(names)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "certificate.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(certificate.public_bytes(Encoding.PEM) + private)
    return path


# -- the house and its SMSC ------------------------------------------------------------------------------------------------


def test_a_throttled_channel_waits_and_loses_nothing(own: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """0x58 holds the whole channel for a while; then every reply arrives once."""
    monkeypatch.setattr(sms_smpp, "BUSY_PAUSE", 0.5)
    own.fake.faults.append(0x58)
    phones = [somebody() for _ in range(5)]
    for phone in phones:
        own.fake.say(phone, "menu")
    until_true(lambda: own.rows(tables.channels)[0].held_until)
    own.settle()
    assert [own.fake.heard_by(phone) for phone in phones] == [own.expected("menu")] * 5
    assert own.rows(tables.channels)[0].held_why == "smpp 0x58"


@pytest.mark.parametrize("when", ["before", "after"])
def test_receipts_settle_a_message(when: Any, own: Town) -> None:
    """Before the SMSC's answer or after it: a message has arrived when each of its parts has."""
    own.fake.receipts = when
    own.say(somebody(), WORDS)
    until_true(lambda: set(own.states()) == {"delivered"})
    assert any(row.receipts > 1 for row in own.rows(tables.outbox))


def test_one_part_that_does_not_arrive_spoils_the_message(own: Town) -> None:
    """UNDELIV for the second of its parts: undelivered, with the network's code."""
    own.fake.states.extend(["DELIVRD", "DELIVRD", "UNDELIV"])
    own.say(somebody(), WORDS)
    until_true(lambda: set(own.states()) == {"delivered", "undelivered"})
    (spoilt,) = (row for row in own.rows(tables.outbox) if row.status == "undelivered")
    assert (spoilt.receipts > 1, spoilt.error) == (True, "smpp 069")


def test_a_restart_of_the_smsc_costs_nothing(own: Town) -> None:
    """What is decided while it is away leaves when it is back: all of it, once; and so does what people write then."""
    phones = [somebody() for _ in range(8)]
    for phone in phones[:4]:
        own.say(phone, "menu")
    own.fake.shut()
    for phone in phones[4:]:
        own.house.processor.handle(InboundMessage(Address("sms", phone), f"other {phone}", "menu", own.clock()))
    own.fake.say(phones[0], "luong 20tr di thai")
    own.fake.open()
    own.settle()
    assert own.fake.heard_by(phones[0]) == own.expected("menu", "luong 20tr di thai")
    assert [own.fake.heard_by(phone) for phone in phones[1:]] == [own.expected("menu")] * 7
    assert set(own.states()) <= {"sent", "delivered"}


def test_connections_that_end_all_the_time_double_nothing(own: Town) -> None:
    """Twenty people, a connection that is cut again and again: each is answered once, or the answer is known to be uncertain."""
    phones = [somebody() for _ in range(20)]
    for number, phone in enumerate(phones):
        own.fake.say(phone, "menu")
        if number % 4 == 3:
            own.fake.cut()
    own.settle()
    expected = own.expected("menu")
    heard = [own.fake.heard_by(phone) for phone in phones]
    assert all(len(texts) == len(set(texts)) and set(texts) <= set(expected) for texts in heard)
    assert len(own.states()) == 20 * len(expected)
    missing = 20 * len(expected) - sum(map(len, heard))
    assert missing <= own.states().count("uncertain")


@pytest.mark.parametrize("words", ["menu", LONG])
def test_what_was_not_acknowledged_is_recognised(words: str, own: Town) -> None:
    """Our answer is lost after the commit: the SMSC says it again over the next connection, and the person is answered once."""
    own.fake.lost_answers = 1
    phone = somebody()
    assert own.say(phone, words) == own.expected(words)
    assert None in own.fake.answers
    assert len(own.states()) == len(own.expected(words))
    assert own.rows(tables.fragments) == []


def test_what_was_not_acknowledged_by_a_dead_process_is_recognised(
    tmp_path: Path, classifier: EmbeddedClassifier, smsc: SmscFake
) -> None:
    """The same where another process answers the second time."""
    phone = somebody()
    with town(tmp_path / "home", classifier, smsc) as first:
        first.say(phone, "menu")
    with town(tmp_path / "home", classifier, smsc) as second:
        assert second.say(phone, "menu") == []
        assert len(second.say(phone, "menu")) == 1  # the second time it is new


def test_after_a_lost_connection_only_the_last_words_are_suspect(own: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was answered in good time before is new when it is said again: nobody is left without an answer."""
    monkeypatch.setattr(sms_smpp, "UNSURE", 0.0)
    own.fake.receipts = "never"
    phone = somebody()
    own.say(phone, "menu")
    own.fake.cut()
    until_true(lambda: len(own.fake.binds) > 1)
    line: Any = own.house.sms_line
    line._repeats._fresh_until = 0.0  # the first minute is over
    assert own.say(phone, "menu") == own.expected("menu", "menu")[len(own.expected("menu")) :]


def test_a_message_that_cannot_be_kept_stays_with_the_smsc(own: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store fails: a temporary error, nothing is acknowledged; when it works again the message is answered, once."""
    handle, failures = own.house.processor.handle, iter(range(3))

    def fails_at_first(*given: Any, **more: Any) -> Any:
        if next(failures, None) is not None:
            raise OSError
        return handle(*given, **more)

    monkeypatch.setattr(own.house.processor, "handle", fails_at_first)
    assert own.say(somebody(), "menu") == own.expected("menu")
    assert own.fake.answers[:4] == [0x64, 0x64, 0x64, 0]


def test_a_message_that_fails_after_the_commit_is_answered_once(own: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """The SMSC hears a temporary error and says it again over the same connection: it is known."""
    handle, failures = own.at_work.handle, iter(range(1))

    async def fails_late(message: InboundMessage) -> None:
        await handle(message)
        if next(failures, None) is not None:
            raise OSError

    phone = somebody()
    monkeypatch.setattr(own.at_work, "handle", fails_late)
    assert own.say(phone, "menu") == own.expected("menu")
    assert own.fake.answers[:2] == [0x64, 0]


def test_a_message_that_fails_before_the_commit_is_no_older_one(own: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same words were answered minutes ago; said again, they fail at first: when the SMSC repeats them they are new."""
    phone = somebody()
    own.say(phone, "menu")
    handle, failures = own.at_work.handle, iter(range(1))

    async def fails_early(message: InboundMessage) -> None:
        if next(failures, None) is not None:
            raise OSError
        await handle(message)

    monkeypatch.setattr(own.at_work, "handle", fails_early)
    assert own.say(phone, "menu") == own.expected("menu")[-1:]


def test_parts_that_stay_alone_are_answered_after_a_while(own: Town) -> None:
    """Of three parts one never comes: three minutes later the others are read together."""
    phone = somebody()
    said = f"{WORDS} {WORDS} {WORDS}"
    size = -(-len(said) // 3)
    own.fake.say(phone, said, parts=3, order=(1, 3))
    own.settle()
    assert own.fake.heard_by(phone) == []
    own.clock.advance(fragments.PATIENCE + SECOND)
    until_true(lambda: own.rows(tables.outbox) and not own.rows(tables.fragments))
    own.settle()
    assert own.fake.heard_by(phone) == own.expected(f"{said[:size]} {said[2 * size :]}")


STEPS_OF_AN_ARRIVAL = [
    (fragments, "join", 3),
    (Processor, "handle", 1),
    (fragments, "remove", 1),
    (smpp_link.Link, "answer", 3),
]


@pytest.mark.parametrize(
    ("place", "name", "time_of"), STEPS_OF_AN_ARRIVAL, ids=lambda one: str(getattr(one, "__name__", one))
)
def test_an_arrival_that_is_killed_is_answered_once(
    place: Any, name: str, time_of: int, tmp_path: Path, classifier: EmbeddedClassifier, smsc: SmscFake
) -> None:
    """kill -9 before a part is kept, before the message is handled, before its parts go, before the SMSC hears of it: the next
    process gets again what was not acknowledged, and the person one answer."""
    phone, home = somebody(), tmp_path / "home"
    step = (getattr(place, "__module__", place.__name__), getattr(place, "__qualname__", ""), name, time_of)
    child = multiprocessing.get_context("spawn").Process(target=_receive_until_killed, args=(home, smsc.port, *step))
    child.start()
    smsc.say(phone, LONG, parts=3)
    child.join(3 * PATIENCE)
    assert child.exitcode == -signal.SIGKILL
    with town(home, classifier, smsc) as built:
        built.settle()
        until_true(lambda: not built.rows(tables.fragments))
        built.settle()
        assert smsc.heard_by(phone) == built.expected(LONG)


def _receive_until_killed(home: Path, port: int, module: str, owner: str, name: str, time_of: int) -> None:
    place: Any = importlib.import_module(module)
    place = getattr(place, owner) if owner else place
    calls, real = itertools.count(1), getattr(place, name)

    def killing(*given: Any, **more: Any) -> Any:
        if next(calls) == time_of:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*given, **more)

    setattr(place, name, killing)
    house = sms_house(home, load_or_train(ROOT / "nlu", ROOT / "var" / "model", print), port)
    asyncio.run(Service(house, send=False, receive=True).run(asyncio.Event()))


def test_a_worker_that_only_sends_binds_as_transmitter(
    tmp_path: Path, classifier: EmbeddedClassifier, smsc: SmscFake
) -> None:
    """`banduong worker` takes nobody's messages away, and binds when there is something to send."""
    phone = somebody()
    with town(tmp_path / "home", classifier, smsc, receive=False) as built:
        assert smsc.binds == []
        built.house.processor.handle(InboundMessage(Address("sms", phone), "1", "menu", built.clock()))
        until_true(lambda: smsc.heard_by(phone))
    assert smsc.binds == ["transmitter"]


def test_one_that_listens_binds_as_transceiver(own: Town) -> None:
    """One connection for both directions."""
    own.say(somebody(), "menu")
    assert own.fake.binds == ["transceiver"]


# -- what the deployer hears -------------------------------------------------------------------------------------------------


def test_a_wrong_password_is_one_sentence(tmp_path: Path, classifier: EmbeddedClassifier, smsc: SmscFake) -> None:
    """The service ends with what to check; a message that only finds this out waits, and has not left."""
    house = sms_house(tmp_path / "home", classifier, smsc.port, password="wrong")
    with pytest.raises(ChannelError, match="check BANDUONG_SMPP_PASSWORD") as caught:
        asyncio.run(Service(house, send=False, receive=True).run(asyncio.Event()))
    assert caught.value.lasting
    house.database.close()
    assert refused(smsc, "hello", password="wrong").kind == "retryable"


def test_a_password_that_smpp_cannot_carry_is_refused() -> None:
    """smpplib would cut it in silence, and the SMSC would call it wrong."""
    with pytest.raises(ChannelError, match="at most 8 letters"):
        adapter(1, password="much too long")


def test_without_the_library_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what to install."""
    monkeypatch.setitem(sys.modules, "smpplib", None)
    monkeypatch.delitem(sys.modules, "bot.channels.smpp_link")
    with pytest.raises(ChannelError, match=re.escape("pip install 'banduong[smpp]'")):
        adapter(1)


def test_no_log_line_names_anybody(own: Town, caplog: pytest.LogCaptureFixture) -> None:
    """With everything logged, through refusals and lost connections: no number, no word, no secret."""
    caplog.set_level(logging.DEBUG)
    phone = "+84987654321"
    own.fake.faults.extend([0x45, None, "drop"])
    own.say(phone, "menu")
    own.say(phone, LONG)
    own.say(phone, "zebrafish")
    text = caplog.text
    assert "a message did not leave (smpp 0x45)" in text
    secret = (phone, phone[1:], "zebrafish", "hộ chiếu", PASSWORD, phone[1:].encode().hex(), b"zebrafish".hex())
    assert [words for words in secret if words in text] == []


# -- PDUs ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("octets", "coding", "text"),
    [
        (b"a\x00\x1be\x1b<x\x1b>", 0, "a@€[x]"),
        (b"\x1ba\x1b\x1bb\x1b", 0, "a b"),
        (b"a\xff", 0, "a\ufffd"),
        (b"abc", 1, "abc"),
        (b"\xe0", 3, "à"),
        ("hộ chiếu 😢".encode("utf-16-be"), 8, "hộ chiếu 😢"),
        ("ab".encode("utf-16-be") + b"\x00", 8, "ab"),
        (b"ok\xe0", 4, "ok\ufffd"),
    ],
)
def test_each_alphabet_is_read(octets: bytes, coding: int, text: str) -> None:
    """GSM with its escapes, ASCII, Latin-1, UCS-2; what nobody can know is shown as unknown, never guessed."""
    assert decoded(octets, coding) == text


@pytest.mark.parametrize(
    ("esm_class", "octets", "options"),
    [
        (0x40, b"\x05\x00\x03\x2a\x02\x01hello", {}),
        (0x40, b"\x06\x08\x04\x00\x2a\x02\x01hello", {}),
        (0x40, b"\x0b\x05\x04\x0b\x84\x23\xf0\x00\x03\x2a\x02\x01hello", {}),
        (0x00, b"hello", {0x020C: b"\x00\x2a", 0x020E: b"\x02", 0x020F: b"\x01"}),
        (0x00, b"", {0x020C: b"\x00\x2a", 0x020E: b"\x02", 0x020F: b"\x01", 0x0424: b"hello"}),
    ],
    ids=["8 bit", "16 bit", "after ports", "sar", "payload"],
)
def test_every_way_to_number_parts_is_known(esm_class: int, octets: bytes, options: dict[int, bytes]) -> None:
    """User data headers with 8 and 16 bit references, behind other elements, and the optional parameters."""
    (fragment,) = read(Delivery("84901234567", 1, esm_class, 0, octets, options)).fragments
    assert (fragment.reference, fragment.number, fragment.total, fragment.text) == (42, 1, 2, "hello")


@given(st.binary(max_size=20), st.sampled_from([0, 1, 3, 4, 8]), st.sampled_from([0, 4, 0x40, 0x44, 0x20]))
def test_whatever_comes_is_read(octets: bytes, coding: int, esm_class: int) -> None:
    """Broken headers and broken texts raise nothing, and what a person wrote is a message."""
    arrival = read(Delivery("84901234567", 1, esm_class, coding, octets))
    assert bool(arrival.messages or arrival.fragments) == (esm_class in (0, 0x40))


@pytest.mark.parametrize(
    ("source", "kind", "number"),
    [
        ("84901234567", 1, "+84901234567"),
        ("+84901234567", 1, "+84901234567"),
        ("84901234567", 0, "+84901234567"),
        ("0901234567", 2, "+84901234567"),
        ("819012345678", 1, "+819012345678"),
        ("Viettel", 5, None),
        ("8079", 3, None),
    ],
)
def test_a_number_is_one_however_it_is_written(source: str, kind: int, number: str | None) -> None:
    """With and without plus, national or not; names and short numbers are nobody's."""
    messages = read(Delivery(source, kind, 0, 0, b"hello")).messages
    assert [message.address.identifier for message in messages] == ([number] if number else [])


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        (b"id:abc sub:001 stat:DELIVRD err:000 text:x", {}, ("abc", DeliveryStatus.DELIVERED, None)),
        (b"ID:abc STAT:ENROUTE", {}, ("abc", DeliveryStatus.SENT, None)),
        (b"id:abc stat:ACCEPTD", {}, ("abc", DeliveryStatus.SENT, None)),
        (b"id:abc stat:REJECTD err:12", {}, ("abc", DeliveryStatus.UNDELIVERED, "smpp 12")),
        (b"id:abc stat:EXPIRED", {}, ("abc", DeliveryStatus.UNDELIVERED, "smpp 3")),
        (b"id:other stat:UNDELIV", {0x1E: b"abc\0", 0x427: b"\x02"}, ("abc", DeliveryStatus.DELIVERED, None)),
        (b"", {0x1E: b"abc", 0x427: b"\x05", 0x423: b"\x03\x00\x45"}, ("abc", DeliveryStatus.UNDELIVERED, "smpp 69")),
        (b"nonsense", {}, None),
    ],
)  # fmt: skip
def test_a_receipt_is_read(text: bytes, options: dict[int, bytes], expected: tuple[Any, ...] | None) -> None:
    """The optional parameters first, with and without their zero at the end; else the words."""
    receipts = read(Delivery("84901234567", 1, 4, 0, text, options)).receipts
    assert [(one.provider_id, one.status, one.error) for one in receipts] == ([expected] if expected else [])


# -- parts and ids in the store --------------------------------------------------------------------------------------------


def fragment(number: int, text: str, *, total: int = 2, reference: int = 7) -> Fragment:
    return Fragment(Address("sms", PHONE), reference, number, total, text)


def join(house: App, one: Fragment, *, again: bool = False, now: dt.datetime = START) -> fragments.Joined | None:
    with house.database.begin() as connection:
        return fragments.join(connection, house.database.keyring, one, now, again=again)


def test_a_message_joined_twice_is_one(house: App) -> None:
    """Killed after the last part was kept, or before the parts were removed: the same id again, so nobody is answered twice."""
    assert join(house, fragment(2, "world")) is None
    first = join(house, fragment(1, "hello "))
    again = join(house, fragment(1, "hello "), again=True)
    with house.database.begin() as connection:
        (late,) = fragments.overdue(connection, house.database.keyring, START)
    assert first
    assert again
    assert first.message.external_id == again.message.external_id == late.message.external_id
    assert first.message.text == "hello world"


def test_a_part_of_a_message_that_was_handled_is_known(house: App) -> None:
    """Its answer was lost: it begins no new message; but the same text sent once more is one."""
    join(house, fragment(1, "hello "))
    first = join(house, fragment(2, "world"))
    assert first
    with house.database.begin() as connection:
        fragments.remove(connection, first)
    assert join(house, fragment(2, "world"), again=True) is None
    assert overdue(house, START + fragments.PATIENCE * 2) == []
    assert join(house, fragment(1, "hello ")) is None
    second = join(house, fragment(2, "world"))
    assert second
    assert second.message.external_id != first.message.external_id


def test_an_unfinished_message_gives_way_and_is_not_lost(house: App) -> None:
    """The phone uses the number again: what was there is handled by itself, and the new message begins clean."""
    join(house, fragment(1, "old "))
    new = fragment(1, "new ")
    with house.database.begin() as connection:
        keyring = house.database.keyring
        assert fragments.displaced(connection, keyring, fragment(2, "x"), START) is None
        assert fragments.displaced(connection, keyring, fragment(1, "old "), START) is None
        old = fragments.displaced(connection, keyring, new, START)
        assert old
        fragments.remove(connection, old)
    assert old.message.text == "old "
    join(house, new)
    joined = join(house, fragment(2, "words"))
    assert joined
    assert joined.message.text == "new words"


def test_missing_parts_are_waited_for_three_minutes(house: App) -> None:
    """Then the message is what came, with a space where something is missing."""
    join(house, fragment(1, "sell", total=3))
    join(house, fragment(3, "fish", total=3), now=START + SECOND)
    assert overdue(house, START + fragments.PATIENCE) == []
    assert overdue(house, START + fragments.PATIENCE + 2 * SECOND) == ["sell fish"]


def test_an_emoji_cut_in_two_is_mended(house: App) -> None:
    """Some phones cut between the halves of a letter."""
    octets = "😢".encode("utf-16-be")
    join(house, fragment(1, decoded(octets[:2], 8)))
    joined = join(house, fragment(2, decoded(octets[2:], 8)))
    assert joined
    assert joined.message.text == "😢"


def test_content_has_a_number_each_time_it_comes(house: App) -> None:
    """Also when the earlier rows are forgotten; `again` finds the last one, for ten minutes."""

    def id_of(now: dt.datetime, *, again: bool = False) -> str:
        with house.database.begin() as connection:
            found, known = inbox.id_of(connection, house.database.keyring, "sms", "x|menu", again=again, now=now)
            if not known:
                inbox.note(connection, "sms", found, now)
        return found.split(":")[1]

    assert [id_of(START) for _ in range(12)] == [str(number) for number in range(12)]
    assert id_of(START + SECOND, again=True) == "11"
    assert id_of(START + inbox.REPEATED_WITHIN + SECOND, again=True) == "12"
    with house.database.begin() as connection:
        connection.execute(tables.inbox.delete().where(tables.inbox.c.external_id.like("%:1")))
    assert id_of(START) == "13"


def overdue(house: App, now: dt.datetime) -> list[str]:
    with house.database.begin() as connection:
        return [one.message.text for one in fragments.overdue(connection, house.database.keyring, now)]


# -- the fake itself -------------------------------------------------------------------------------------------------------


def test_somebody_else_s_client_works_with_the_fake(smsc: SmscFake) -> None:
    """smpplib alone, none of our adapter: sends in its own parts, is throttled, gets receipts and what people write."""
    heard: list[Any] = []
    taken: list[Any] = []
    client = smpplib.client.Client("127.0.0.1", smsc.port, timeout=5, allow_unknown_opt_params=True)
    client.set_message_received_handler(lambda pdu: heard.append(pdu.short_message))
    client.set_message_sent_handler(lambda pdu: taken.append(pdu.status or pdu.message_id))
    client.set_error_pdu_handler(lambda _pdu: None)
    client.connect()
    client.bind_transceiver(system_id=USER, password=PASSWORD)
    text = "Ban dung dua ho chieu cho ai giu nhe. " * 6
    smsc.faults.append(0x58)
    for octets in [b"busy", *smpplib.gsm.make_parts(text)[0]]:
        client.send_message(
            source_addr_ton=1, source_addr=OURS, dest_addr_ton=1, destination_addr="84901234567",
            short_message=octets, data_coding=0, esm_class=0x40 if octets[:1] == b"\x05" else 0, registered_delivery=True,
        )  # fmt: skip
    smsc.say("+84907654321", "xin chao")
    while len(heard) < 3 or len(taken) < 3:
        client.read_once()
    with contextlib.suppress(smpplib.exceptions.ConnectionError):  # smpp34 hangs up without a word
        client.unbind()
    client.disconnect()
    assert taken == [0x58, b"m1", b"m2"]
    assert smsc.heard_by(PHONE) == [text]
    assert b"xin chao" in heard
    assert sum(b"stat:DELIVRD" in one for one in heard) == 2


def test_the_fake_asks_for_the_password(smsc: SmscFake) -> None:
    """smpplib hears the refusal in its own words."""
    client = smpplib.client.Client("127.0.0.1", smsc.port, timeout=5, allow_unknown_opt_params=True)
    client.connect()
    with pytest.raises(smpplib.exceptions.PDUError, match="Invalid Password"):
        client.bind_transmitter(system_id=USER, password="wrong")
    client.disconnect()


# -- helpers -----------------------------------------------------------------------------------------------------------------


async def never(_arrival: SmsArrival) -> None:
    raise AssertionError


def adapter(port: int, *, password: str = PASSWORD, sender: str = "BanDuong", window: int = 10) -> SmppSms:
    return SmppSms("127.0.0.1", port, USER, password, sender=sender, window=window)


def to(number: str, text: str) -> OutboundMessage:
    return OutboundMessage(Address("sms", number), text, "r:1:0")


def read(delivery: Delivery) -> SmsArrival:
    return read_delivery(delivery, "VN", START)


async def with_channel(smsc: SmscFake, work: Callable[[SmppSms], Any], **more: Any) -> Any:
    channel = adapter(smsc.port, **more)
    try:
        return await work(channel)
    finally:
        await channel.close()


def sent(smsc: SmscFake, text: str, **more: Any) -> SendResult:
    result = asyncio.run(with_channel(smsc, lambda channel: channel.send(to(PHONE, text)), **more))
    assert isinstance(result, SendResult)
    return result


def refused(smsc: SmscFake, text: str, **more: Any) -> SendError:
    with pytest.raises(SendError) as caught:
        sent(smsc, text, **more)
    return caught.value
