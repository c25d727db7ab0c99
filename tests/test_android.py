"""SMS through a phone, end to end: the real adapter and the whole house against a gateway with a phone behind it."""

import asyncio
import contextlib
import datetime as dt
import functools
import hashlib
import hmac
import json
import logging
import random
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from android_sms_gateway import client as official
from android_sms_gateway import domain, errors, webhooks
from android_sms_gateway.enums import MessagePriority, WebhookEvent
from sqlalchemy import select

from bot import service as service_module
from bot.app import App
from bot.channels import sms_android
from bot.channels.base import CAPABILITIES, SendError
from bot.channels.sms import ForgedError, WebhookCall
from bot.channels.sms_android import AndroidSms
from bot.channels.sms_text import sms_text
from bot.config import AndroidConfig, Secrets
from bot.delivery.render import parts
from bot.errors import ChannelError
from bot.messages import Address, DeliveryStatus, Lane, OutboundMessage
from bot.service import Service
from bot.store import tables
from bot.testing import START, Dialog, FakeClock, read_dialogs
from bot.understanding.classifier import EmbeddedClassifier
from bot.web.pages import create_site
from tests.conftest import ROOT, _house
from tests.fakes.android import KEY, PASSWORD, USER, AndroidFake, announced, received
from tests.fakes.server import serving

PUBLIC = "http://unused"
URL = f"{PUBLIC}/webhooks/android"
PATIENCE = 20.0
OFFER = "di thai ban ve so luong 20tr/thang ho bao ve may bay co nen di k"
BATCHES = ("sms:batch:received", "mms:batch:received")
HELD = "em bi nhot o casino ho giu ho chieu khong cho ve cuu em"


@dataclass
class Town:
    """A phone network with our gateway in it."""

    fake: AndroidFake
    house: App
    clock: FakeClock

    def say(self, number: str, text: str) -> list[str]:
        """A person writes; the texts that came back."""
        before = len(self.fake.heard_by(number))
        event = self.fake.say(number, text)
        self.settle(event["id"])
        return self.fake.heard_by(number)[before:]

    def settle(self, external_id: str) -> None:
        """Until this event is handled or set aside, and nothing waits to be sent."""
        self.until(lambda: self._is_known(external_id) and not self._waiting())

    def until(self, holds: Callable[[], Any]) -> None:
        _until(holds)

    def post(self, event: dict[str, Any] | bytes, **signed: Any) -> int:
        return self.fake.post(event, URL, **signed)

    def rows(self, table: Any) -> list[Any]:
        with self.house.database.begin() as connection:
            return list(connection.execute(select(table)).all())

    def counts(self) -> list[int]:
        """What messages leave behind."""
        traces = (tables.inbox, tables.outbox, tables.addresses, tables.dead_letters)
        return [len(self.rows(table)) for table in traces]

    def first_answer(self, text: str) -> list[str]:
        """What somebody hears who was never here."""
        _, turn = self.house.rehearsal("sms").say(text, self.clock())
        return [part.text for reply in turn.replies for part in parts(reply, CAPABILITIES["sms"])]

    def status(self, provider_id: str) -> str:
        return str(next(row.status for row in self.rows(tables.outbox) if row.provider_id == provider_id))

    def _is_known(self, external_id: str) -> bool:
        return any(
            row.external_id == external_id for table in (tables.inbox, tables.dead_letters) for row in self.rows(table)
        )

    def _waiting(self) -> bool:
        return any(row.status in ("queued", "claimed", "sending") for row in self.rows(tables.outbox))


def _until(holds: Callable[[], Any]) -> None:
    until = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > until:
            raise TimeoutError
        time.sleep(0.01)


@contextlib.contextmanager
def town(home: Path, classifier: EmbeddedClassifier, fake: AndroidFake | None = None) -> Iterator[Town]:
    fake = fake or AndroidFake()
    clock = FakeClock(dt.datetime.now(dt.UTC))
    with serving(fake.application()) as api:
        house = _house(home, classifier)
        android = AndroidConfig(user=USER, api=api)
        sms = house.config.bot.sms.model_copy(
            update={
                "provider": "android", "android": android, "webhook": PUBLIC, "per_second": 500.0, "chat_interval": 0.0,
            }
        )  # fmt: skip
        bot = house.config.bot.model_copy(update={"sms": sms})
        secrets = Secrets.model_validate({"android_password": PASSWORD, "android_signing_key": KEY})
        house.config = house.config.model_copy(update={"bot": bot, "secrets": secrets})
        service = Service(house, send=True, receive=True, clock=clock)
        with serving(create_site(house, service)) as site, _running(service, fake, site):
            yield Town(fake, house, clock)
        house.database.close()


@contextlib.contextmanager
def _running(service: Service, fake: AndroidFake, site: str) -> Iterator[None]:
    """The service in a loop of its own; the phone is sent to where the site really is."""
    fake.sites = {PUBLIC: site}
    loop, stopping = asyncio.new_event_loop(), asyncio.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(service.run(stopping)), daemon=True)
    thread.start()
    try:
        _until(lambda: fake.down or fake.is_known())
        yield
    finally:
        loop.call_soon_threadsafe(stopping.set)
        thread.join(PATIENCE)
        loop.close()


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory, classifier: EmbeddedClassifier) -> Iterator[Town]:
    """One town for the tests that need no phone of their own; each takes other numbers."""
    with town(tmp_path_factory.mktemp("town"), classifier) as built:
        yield built


@pytest.fixture
def own(tmp_path: Path, classifier: EmbeddedClassifier) -> Iterator[Town]:
    with town(tmp_path / "home", classifier) as built:
        yield built


@pytest.fixture
def quiet(tmp_path: Path, classifier: EmbeddedClassifier) -> Iterator[Town]:
    """Its phone reports nothing by itself."""
    with town(tmp_path / "home", classifier, AndroidFake(reports=False)) as built:
        yield built


@pytest.fixture
def gateway() -> Iterator[tuple[AndroidFake, str]]:
    fake = AndroidFake(reports=False)
    with serving(fake.application()) as api:
        yield fake, api


# -- talks -------------------------------------------------------------------------------------------------------------

DIALOGS = [
    dialog
    for path in sorted((ROOT / "tests" / "dialogs").glob("*.yml"))
    for dialog in read_dialogs(path)
    if dialog.channel == "sms" or "S-26" in dialog.ids
] + read_dialogs(ROOT / "tests" / "dialogs" / "offers.yml")[:12]


@pytest.mark.parametrize("number", range(len(DIALOGS)))
def test_a_talk_is_the_same_through_a_phone(number: int, here: Town) -> None:
    """What a person hears by SMS is what the engine says: every line of the talk, in order, once."""
    dialog: Dialog = DIALOGS[number]
    rehearsal = here.house.rehearsal("sms")
    for line in dialog.talk:
        here.clock.advance(dt.timedelta(seconds=20))
        if line.media or line.after:
            continue
        _, turn = rehearsal.say(line.say, here.clock())
        expected = [part for reply in turn.replies for part in parts(reply, CAPABILITIES["sms"])]
        assert here.say(f"+8490100{number:04}", line.say) == [part.text for part in expected]


def test_a_picture_is_answered_kindly(here: Town) -> None:
    """S-15: an MMS cannot be read yet; we say so and ask for the words."""
    here.settle(here.fake.emit("mms:received", announced("+84901110001"))["id"])
    assert "chua xem duoc hinh" in here.fake.heard_by("+84901110001")[-1]


@pytest.mark.parametrize("sender", ["VIETTEL", "191", "1414", "", "+84901234567/TYPE=PLMN"])
def test_nobody_is_answered_who_could_not_read_it(sender: str, here: Town) -> None:
    """Names of senders and short numbers leave no trace; a number in any way of writing is one person."""
    before = here.counts()
    event = here.fake.event("sms:received", {**received("x", OFFER), "sender": sender, "phoneNumber": sender})
    assert here.post(event) == 200
    assert here.counts() == before


def test_a_number_is_one_person_however_it_is_written(here: Town) -> None:
    """Phones give the same number with and without the country's code."""
    here.say("+84901110002", OFFER)
    here.settle(here.fake.say("0901110002", "menu")["id"])
    assert len(here.fake.heard_by("+84901110002")) >= 2


def test_what_is_no_message_changes_nothing(here: Town) -> None:
    """Pings, starts of the app, data SMS and pictures that were announced before are taken and forgotten."""
    before = here.counts()
    for event in sorted(sms_android.NOT_FOR_US):
        assert here.post(here.fake.event(event, {"health": {}})) == 200
    assert here.counts() == before


def test_a_batch_is_its_messages(here: Town) -> None:
    """Several messages in one event are each answered, once, also when the event comes again."""
    numbers = ["+84901110003", "+84901110004"]
    event = here.fake.event("sms:batch:received", {"messages": [received(one, OFFER) for one in numbers]})
    for _ in range(2):
        assert here.post(event) == 200
        here.settle(f"{event['id']}:1")
    assert [here.fake.heard_by(one) for one in numbers] == [here.first_answer(OFFER)] * 2


# -- once --------------------------------------------------------------------------------------------------------------


def test_two_people_with_the_same_words_are_two_messages(here: Town) -> None:
    """The phone's id of a message says little more than its words: it is not what tells messages apart."""
    first, second = here.say("+84901110005", OFFER), here.say("+84901110006", OFFER)
    assert first == second == here.first_answer(OFFER)


def test_two_identical_messages_of_one_person_are_two_messages(here: Town) -> None:
    """Who asks twice is answered twice."""
    assert here.say("+84901110007", "menu") != []
    assert here.say("+84901110007", "menu") != []


def test_events_that_come_again_in_any_order_have_one_effect(own: Town) -> None:
    """The phone posts an event until it is taken: whatever comes twice, before or after another, changes nothing."""
    for number, text in [("+84901110008", OFFER), ("+84901110009", HELD), ("+84901110008", "1")]:
        own.say(number, text)
    own.until(lambda: all(row.status == "delivered" for row in own.rows(tables.outbox)))
    own.until(lambda: len(own.rows(tables.receipts)) == sum(one["event"] != "sms:received" for one in own.fake.events))
    before, heard, told = own.counts(), len(own.fake.sent), len(own.rows(tables.receipts))
    for seed in (1, 2):
        for event in random.Random(seed).sample(own.fake.events, len(own.fake.events)):
            assert own.post(event) == 200
    assert own.counts() == before
    assert (len(own.fake.sent), len(own.rows(tables.receipts))) == (heard, told)
    assert {row.status for row in own.rows(tables.outbox)} == {"delivered"}
    assert own.fake.doubled() == 0


def test_an_event_is_posted_until_the_site_takes_it(own: Town) -> None:
    """A site that is away loses nothing: the phone tries again, signed anew, and the person is answered once."""
    site = own.fake.sites[PUBLIC]
    own.fake.sites[PUBLIC] = "http://127.0.0.1:1"
    threading.Timer(0.3, lambda: own.fake.sites.update({PUBLIC: site})).start()
    assert own.say("+84901110010", OFFER) == own.first_answer(OFFER)
    assert own.fake.answers[0] == 0


# -- who may post ------------------------------------------------------------------------------------------------------

VECTOR_BODY = (
    '{"event":"sms:received","payload":{"message":"Tôi bị giữ hộ chiếu","phoneNumber":"+84901234567"}}'.encode()
)
VECTOR_SIGNATURE = "b4270838f71c3308bb60b975481b14c48cfe7a043c097bf5894e8e7f7909b1b4"


@pytest.mark.parametrize(
    ("changed", "seconds", "genuine"),
    [
        ({}, 0, True),
        ({"x-signature": VECTOR_SIGNATURE.upper()}, 0, True),
        ({}, 290, True),
        ({}, -290, True),
        ({}, 8 * 3600, True),
        ({}, 25 * 3600, False),
        ({}, -25 * 3600, False),
        ({"x-signature": "0" * 64}, 0, False),
        ({"x-signature": ""}, 0, False),
        ({"x-signature": "Tôi"}, 0, False),
        ({"x-timestamp": "1763700001"}, 0, False),
        ({"x-timestamp": ""}, 0, False),
    ],
)
def test_the_signature_is_the_apps_own(changed: dict[str, str], seconds: int, genuine: bool) -> None:
    """HMAC-SHA256 over the body and the time; a phone's clock may be wrong by a time zone, but not by a day."""
    channel = _channel("http://unused", key="k3y")
    headers = {"x-signature": VECTOR_SIGNATURE, "x-timestamp": "1763700000", **changed}
    call = WebhookCall("android", URL, headers, VECTOR_BODY)
    now = dt.datetime.fromtimestamp(1763700000 + seconds, dt.UTC)
    with contextlib.nullcontext() if genuine else pytest.raises(ForgedError):
        channel.check(call, now)


def test_a_time_that_is_none_is_refused() -> None:
    """Even under the right key."""
    for written in ("soon", "1" * 400, "-5", "１７６３７"):
        signature = hmac.new(b"k3y", b"{}" + written.encode(), hashlib.sha256).hexdigest()
        call = WebhookCall("android", URL, {"x-signature": signature, "x-timestamp": written}, b"{}")
        with pytest.raises(ForgedError):
            _channel("http://unused", key="k3y").check(call, START)


def test_what_is_not_signed_by_our_phone_is_refused(here: Town) -> None:
    """Forged, unsigned, changed and long past calls get 403 and leave nothing; the next good message is answered."""
    before = here.counts()
    event = here.fake.event("sms:received", received("+84901110011", OFFER))
    assert here.post(event, key="guessed") == 403
    assert here.post(event, **{"x-signature": ""}) == 403
    assert here.post(event, at=time.time() - 3 * 24 * 3600) == 403
    assert here.post(event, **{"x-timestamp": str(int(time.time()) + 1)}) == 403
    assert here.counts() == before
    assert here.say("+84901110011", OFFER) != []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[" * 5000,
        b"[]",
        b'{"event":"sms:received"}',
        b'{"event":"sms:thought","id":"a","payload":{}}',
        b'{"event":"sms:received","id":"","payload":{"message":"a","sender":"+84901110012"}}',
        b'{"event":"sms:received","id":"b","payload":{"message":null,"sender":"+84901110012"}}',
        b'{"event":"sms:delivered","id":"c","payload":{"messageId":7}}',
    ],
)
def test_an_event_that_cannot_be_read_is_set_aside(body: bytes, here: Town) -> None:
    """It is taken, so that the phone does not hang on it, kept once as a dead letter, and the next message is answered."""
    before = len(here.rows(tables.dead_letters))
    assert [here.post(body), here.post(body)] == [200, 200]
    letters = here.rows(tables.dead_letters)
    assert len(letters) == before + 1
    assert len(body) < 8 or body not in letters[-1].sealed_body
    assert here.say("+84901110012", "menu") != []


def test_a_flood_in_one_call_is_refused(here: Town) -> None:
    """10 MB are not read; the next message is answered."""
    assert here.post(b"x" * 10_000_000) in (413, 0)
    assert here.say("+84901110013", OFFER) != []


# -- receipts ----------------------------------------------------------------------------------------------------------


def test_a_message_has_arrived_when_each_of_its_segments_has(quiet: Town) -> None:
    """Receipts are counted per segment, by the id of their event: the same one twice is one."""
    quiet.say("+84901110014", OFFER)
    sent = max(quiet.rows(tables.outbox), key=lambda row: row.receipts)
    assert sent.receipts >= 2
    states = []
    for number in range(sent.receipts):
        event = quiet.fake.report(sent.provider_id, "sms:delivered")
        quiet.post(event)
        states.append(quiet.status(sent.provider_id))
        assert number or states == ["sent"]
    assert states == ["sent"] * (sent.receipts - 1) + ["delivered"]


@pytest.mark.parametrize("seed", range(4))
def test_receipts_never_go_back(seed: int, quiet: Town) -> None:
    """In whatever order they come, a message that arrived stays so, and one that failed does not come back to life."""
    quiet.say("+84901110015", OFFER)
    quiet.say("+84901110016", OFFER)
    rows = quiet.rows(tables.outbox)
    arrived, failed = rows[0], rows[-1]
    told = [(arrived.provider_id, "sms:sent")] + [(arrived.provider_id, "sms:delivered")] * arrived.receipts
    random.Random(seed).shuffle(told)
    for message_id, event in told:
        quiet.fake.report(message_id, event, partsCount=1)
    assert quiet.status(arrived.provider_id) == "delivered"
    for event, more in [("sms:failed", {"reason": "Send result: RESULT_ERROR_NO_SERVICE (no)"}), ("sms:sent", {})]:
        quiet.fake.report(failed.provider_id, event, **more)
    assert quiet.status(failed.provider_id) == "failed"


@pytest.mark.parametrize(
    ("reason", "status", "error"),
    [
        ("Send result: RESULT_ERROR_LIMIT_EXCEEDED (Failed because of the limit)", "failed", "RESULT_ERROR_LIMIT_EXCEEDED"),
        ("TTL expired", "failed", "TTL expired"),
        ("sendSMS: Invalid phone number +84901110017", "failed", "failed"),
        ("Delivery result from SC +84980200030: 70", "undelivered", "report 70"),
        ("Delivery result: 1", "undelivered", "report 1"),
        ("Unknown", "failed", "failed"),
    ],
)  # fmt: skip
def test_why_a_message_failed_is_kept_without_words(reason: str, status: str, error: str) -> None:
    """Reasons may hold numbers of people: only the code remains."""
    event = AndroidFake().report("id", "sms:failed", reason=reason)
    (receipt,) = _channel("http://unused").read("android", json.dumps(event).encode(), START).receipts
    assert (receipt.status, receipt.error, receipt.part) == (DeliveryStatus(status), error, "")


def test_a_message_that_was_taken_back_has_failed() -> None:
    """Somebody cancelled it in the gateway: it never left."""
    event = AndroidFake().report("id", "sms:cancelled")
    (receipt,) = _channel("http://unused").read("android", json.dumps(event).encode(), START).receipts
    assert (receipt.status, receipt.error) == (DeliveryStatus.FAILED, "cancelled")


# -- sending -----------------------------------------------------------------------------------------------------------


def _channel(api: str, *, password: str = PASSWORD, key: str = KEY, webhook: str | None = None) -> AndroidSms:
    return AndroidSms(USER, password, signing_key=key, api=api, webhook=webhook, sim=None, country="VN")


def _message(dedup: str = "r:1:0", text: str = "Chao ban", lane: Lane = Lane.REPLY) -> OutboundMessage:
    return OutboundMessage(Address("sms", "+84901234567"), text, dedup, lane)


def _with(channel: AndroidSms, act: Callable[[AndroidSms], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        try:
            return await act(channel)
        finally:
            await channel.close()

    return asyncio.run(run())


def _do_not_wait(channel: AndroidSms, fault: str) -> None:
    """Long enough for a busy machine, where an answer comes at all."""
    if fault == "hang":
        channel._http.request = functools.partial(channel._http.request, read=2.0)  # type: ignore[method-assign]


@pytest.mark.parametrize(
    ("fault", "kind", "code", "retry_after"),
    [
        ("401", "retryable", "401", 60.0),
        ("429", "retryable", "429", 60.0),
        ("429 7", "retryable", "429", 7.0),
        ("429 99999999", "retryable", "429", 3600.0),
        ("503 QueueLimitExceeded", "retryable", "503 queue", 60.0),
        ("no phone", "retryable", "400 no phone", 60.0),
        ("400", "permanent", "400", None),
        ("422", "permanent", "422", None),
        ("500", "uncertain", "500", None),
        ("502", "uncertain", "502", None),
        ("503", "uncertain", "503", None),
        ("page", "uncertain", "200", None),
        ("hang", "uncertain", "SocketTimeoutError", None),
        ("lost", "uncertain", "ClientPayloadError", None),
        ("refused", "uncertain", "ClientPayloadError", None),
    ],
)
def test_a_refusal_says_whether_to_try_again(
    fault: str, kind: str, code: str, retry_after: float | None, gateway: tuple[AndroidFake, str]
) -> None:
    """What certainly did not leave may leave later; what may have left is uncertain; the next message leaves."""
    fake, api = gateway
    fake.faults.append(fault)
    channel = _channel(api)
    _do_not_wait(channel, fault)

    async def send(channel: AndroidSms) -> SendError:
        with pytest.raises(SendError) as caught:
            await channel.send(_message())
        assert (await channel.send(_message("r:2:0"))).receipts == 1
        return caught.value

    error = _with(channel, send)
    assert (error.kind, error.code, error.retry_after) == (kind, code, retry_after)
    _until(lambda: len(fake.sent) == 1 + (fault in ("hang", "lost")))


def test_a_gateway_that_is_not_there_was_not_asked() -> None:
    """Nothing left this machine: the message may leave later."""
    with pytest.raises(SendError) as caught:
        _with(_channel("http://127.0.0.1:1"), lambda channel: channel.send(_message()))
    assert caught.value.kind == "retryable"


@pytest.mark.parametrize("fault", ["", "hang", "lost"])
def test_a_message_that_is_sent_again_arrives_once(fault: str, gateway: tuple[AndroidFake, str]) -> None:
    """The gateway knows it by our id, says so (409), and the phone sends it once; another message is another one."""
    fake, api = gateway
    fake.faults.append(fault)
    channel = _channel(api)
    _do_not_wait(channel, fault)

    async def send(channel: AndroidSms) -> list[Any]:
        with contextlib.suppress(SendError):
            await channel.send(_message())
        return [await channel.send(_message()), await channel.send(_message("r:1:1"))]

    first, second = _with(channel, send)
    assert first.ids != second.ids
    _until(lambda: len(fake.sent) == 2)
    assert [one.message_id for one in fake.sent] == [*first.ids, *second.ids]


def test_an_uncertain_message_can_be_looked_up(gateway: tuple[AndroidFake, str]) -> None:
    """Found under its id where the gateway took it, not where it did not, and no guess where nobody can tell."""
    fake, api = gateway
    fake.faults.extend(["lost", "refused"])

    async def look(channel: AndroidSms) -> list[Any]:
        for dedup in ("r:1:0", "r:2:0"):
            with pytest.raises(SendError):
                await channel.send(_message(dedup, "x" * 200))
        found = [await channel.find(_message(dedup, "x" * 200), START) for dedup in ("r:1:0", "r:2:0")]
        fake.down = True
        with pytest.raises(ChannelError):
            await channel.find(_message(), START)
        return found

    (there,), absent = _with(_channel(api), look)
    assert absent == ()
    assert there.ids == (next(iter(fake.messages)),)
    assert there.receipts == 2


def test_an_emergency_overtakes_and_the_sim_is_the_chosen_one(gateway: tuple[AndroidFake, str]) -> None:
    """From 100 on, the phone's own limits do not hold; a message that waited for a day in the phone is not sent."""
    fake, api = gateway
    channel = AndroidSms(USER, PASSWORD, signing_key=KEY, api=api, webhook=None, sim=2, country="VN")

    async def send(channel: AndroidSms) -> None:
        for lane in Lane:
            await channel.send(_message(f"r:{lane}:0", lane=lane))

    _with(channel, send)
    orders = [given for method, _, given in fake.calls if method == "POST"]
    assert [order["priority"] for order in orders] == [100, 0, -1]
    assert {(order["simNumber"], order["ttl"], order["withDeliveryReport"]) for order in orders} == {(2, 86400, True)}


def test_a_number_that_the_gateway_does_not_know_is_answered(gateway: tuple[AndroidFake, str]) -> None:
    """Its list of numbers is older than some of them: who wrote to us can be answered."""
    fake, api = gateway
    unknown = OutboundMessage(Address("sms", "+842439393939"), "Chao ban", "r:1:0")
    _with(_channel(api), lambda channel: channel.send(unknown))
    _until(lambda: fake.heard_by("+842439393939"))


@pytest.mark.parametrize("fault", ["401", "429", "503 QueueLimitExceeded", "no phone"])
def test_a_person_is_answered_once_the_gateway_recovers(fault: str, own: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gateway that cannot now costs no message."""
    monkeypatch.setattr(sms_android, "PAUSE", 0.3)
    own.fake.faults.extend([fault, fault])
    for number in ("+84901110018", "+84901110019"):
        assert own.say(number, OFFER) == own.first_answer(OFFER)


@pytest.mark.parametrize("fault", ["500", "lost", "refused", "400"])
def test_a_reply_that_went_wrong_does_not_stop_the_next(fault: str, own: Town) -> None:
    """What may have left is not sent again, what cannot leave is given up, and the next person is answered."""
    own.fake.faults.append(fault)
    whole = own.first_answer(OFFER)
    assert own.say("+84901110020", OFFER) == (whole if fault == "lost" else whole[1:])
    assert own.say("+84901110021", OFFER) == whole
    statuses = [row.status for row in own.rows(tables.outbox)]
    assert statuses.count("failed" if fault == "400" else "uncertain") == 1
    assert own.fake.doubled() == 0


@pytest.mark.parametrize("fault", ["500", "lost", "refused"])
def test_an_emergency_that_may_have_left_arrives_once(fault: str, own: Town) -> None:
    """It goes out again, and the gateway itself sees that it is the same one."""
    own.fake.faults.append(fault)
    heard, whole = own.say("+84901110022", HELD), own.first_answer(HELD)
    assert [text.endswith(one) for text, one in zip(heard, whole, strict=True)] == [True] * len(whole)
    assert all(sms_text(text, folded=False).encoding == "GSM-7" for text in heard)
    own.until(lambda: {row.status for row in own.rows(tables.outbox)} <= {"sent", "delivered"})
    assert len(own.fake.sent) == len(own.rows(tables.outbox)) == len({one.message_id for one in own.fake.sent})


# -- the registration --------------------------------------------------------------------------------------------------


def test_our_webhooks_are_registered_once(gateway: tuple[AndroidFake, str]) -> None:
    """However often we start: one an event, and none of anybody else's touched."""
    fake, api = gateway
    theirs = {"id": "theirs", "url": "https://elsewhere.example/hook", "event": "sms:received"}
    by_hand = {"id": "by-hand", "url": URL, "event": "sms:received"}
    fake.webhooks = {"theirs": theirs, "by-hand": by_hand}
    for _ in range(3):
        _with(_channel(api, webhook=PUBLIC), lambda channel: channel.open())
    ours = {(hook["event"], hook["url"]) for hook in fake.webhooks.values() if hook != theirs}
    assert ours == {(event, URL) for event in sms_android.WANTED}
    assert len(fake.webhooks) == 1 + len(sms_android.WANTED)
    assert fake.webhooks["theirs"] == theirs
    assert sum(method == "POST" for method, _, _ in fake.calls) == len(sms_android.WANTED)


def test_another_address_replaces_the_one_before(gateway: tuple[AndroidFake, str]) -> None:
    """After a move no event comes twice."""
    fake, api = gateway
    for public in ("https://old.example", "https://new.example"):
        _with(_channel(api, webhook=public), lambda channel: channel.open())
    assert {hook["url"] for hook in fake.webhooks.values()} == {"https://new.example/webhooks/android"}
    assert len(fake.webhooks) == len(sms_android.WANTED)


def test_without_an_address_nothing_is_registered(gateway: tuple[AndroidFake, str]) -> None:
    """The deployer does it by hand; the password is proved all the same."""
    fake, api = gateway
    _with(_channel(api), lambda channel: channel.open())
    assert fake.webhooks == {}


def test_a_wrong_password_is_said(gateway: tuple[AndroidFake, str]) -> None:
    """Waiting is no use: the sentence names what to mend, and not what was given."""
    with pytest.raises(ChannelError, match="BANDUONG_ANDROID_PASSWORD") as caught:
        _with(_channel(gateway[1], password="wrong-one"), lambda channel: channel.open())
    assert caught.value.lasting
    assert "wrong-one" not in str(caught.value)


def test_a_gateway_that_is_away_is_waited_for(gateway: tuple[AndroidFake, str]) -> None:
    """Neither a network that is down nor a gateway in trouble is a reason to stop."""
    fake, api = gateway
    fake.down = True
    for where in (api, "http://127.0.0.1:1"):
        with pytest.raises(ChannelError) as caught:
            _with(_channel(where, webhook=PUBLIC), lambda channel: channel.open())
        assert not caught.value.lasting


def test_the_service_starts_without_the_gateway(
    tmp_path: Path, classifier: EmbeddedClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It registers as soon as the gateway is back, and answers from then on."""
    monkeypatch.setattr(service_module, "AGAIN", 0.05)
    fake = AndroidFake(down=True)
    with town(tmp_path / "home", classifier, fake) as built:
        _until(lambda: len(fake.calls) > 2)
        assert fake.webhooks == {}
        fake.down = False
        _until(fake.is_known)
        assert built.say("+84901110023", OFFER) != []


def test_several_phones_on_one_account_are_told(
    gateway: tuple[AndroidFake, str], caplog: pytest.LogCaptureFixture
) -> None:
    """The gateway knows a message by phone: with two of them, one that is sent again could arrive twice."""
    fake, api = gateway
    fake.devices.append("another")
    _with(_channel(api), lambda channel: channel.open())
    assert "several phones" in caplog.text


# -- secrets -----------------------------------------------------------------------------------------------------------


def test_nothing_of_people_reaches_the_log(own: Town, caplog: pytest.LogCaptureFixture) -> None:
    """No text, no number and no secret, whatever goes wrong."""
    caplog.set_level(logging.DEBUG)
    own.fake.faults.extend(["500", "lost", "400"])
    heard = [text for turn in (OFFER, HELD, "1", "menu") for text in own.say("+84901110024", turn)]
    own.post(b"{broken 0901110024")
    own.post(own.fake.event("sms:received", received("+84901110024", OFFER)), key="guessed")
    own.post(own.fake.event("sms:received", received("+84901110024", OFFER)), at=0)
    logged = "\n".join(
        f"{record.getMessage()}\n{record.exc_text or ''}" for record in caplog.records if record.name == "banduong"
    )
    assert "a call could not be read" in logged
    assert "clock" in logged
    assert not [secret for secret in ("901110024", OFFER, HELD, PASSWORD, KEY, USER, *heard) if secret in logged]


# -- the fake itself ---------------------------------------------------------------------------------------------------


def test_the_official_client_can_talk_to_the_fake(gateway: tuple[AndroidFake, str]) -> None:
    """It reads the fake's answers and errors: the fake is no image of our own adapter."""
    fake, api = gateway
    with official.APIClient(USER, PASSWORD, base_url=api) as client:
        text = domain.TextMessage(text="xin chao")
        state = client.send(domain.Message(id="mine", phone_numbers=["+84901234567"], text_message=text))
        assert (state.id, state.state.value) == ("mine", "Pending")
        assert client.get_state("mine").recipients[0].phone_number == "+84901234567"
        hook = client.create_webhook(domain.Webhook(id=None, url=URL, event=WebhookEvent.SMS_RECEIVED))
        assert [one.id for one in client.get_webhooks()] == [hook.id]
        client.delete_webhook(str(hook.id))
        assert client.get_webhooks() == []
        assert len(client.list_devices()) == 1
        with pytest.raises(errors.NotFoundError):
            client.get_state("unknown")
        with pytest.raises(errors.BadRequestError):
            client.send(domain.Message(phone_numbers=["+842439393939"], text_message=text))
        with pytest.raises(errors.APIError) as caught:
            client.send(domain.Message(id="mine", phone_numbers=["+84901234567"], text_message=text))
        assert caught.value.status_code == 409
        fake.faults.append("503 QueueLimitExceeded")
        with pytest.raises(errors.ServiceUnavailableError):
            client.send(domain.Message(phone_numbers=["+84901234567"], text_message=text))
    with official.APIClient(USER, "wrong", base_url=api) as client, pytest.raises(errors.UnauthorizedError):
        client.get_webhooks()
    assert fake.heard_by("+84901234567") == ["xin chao"]


def test_our_orders_are_the_official_clients(gateway: tuple[AndroidFake, str]) -> None:
    """Field by field, what the adapter posts is what the official client posts for the same message and webhook."""
    fake, api = gateway
    message = _message(text="Xin chào", lane=Lane.EMERGENCY)
    sent = _with(_channel(api, webhook=PUBLIC), lambda channel: channel.send(message))
    _with(_channel(api, webhook=PUBLIC), lambda channel: channel.open())
    theirs = domain.Message(
        id=sent.ids[0], phone_numbers=["+84901234567"], text_message=domain.TextMessage(text="Xin chào"),
        ttl=86400, priority=MessagePriority.BYPASS_THRESHOLD,
    ).asdict()  # fmt: skip
    ours = fake.calls[0][2]
    assert {**ours, "isEncrypted": False} == theirs
    for hook in fake.webhooks.values():
        assert domain.Webhook.from_dict(hook).asdict() == hook


def test_the_official_client_reads_the_phones_events() -> None:
    """What the fake's phone posts has every field that the official client knows."""
    heard = webhooks.SmsReceivedPayload.from_dict(received("+84901234567", "xin chào"))
    assert (heard.phone_number, heard.message) == ("+84901234567", "xin chào")
    assert webhooks.MmsReceivedPayload.from_dict(announced("+84901234567")).transaction_id == "T1234567890ABC"
    batch = webhooks.SmsBatchReceivedPayload.from_dict({"messages": [received("+84901234567", "a")]})
    assert len(batch.messages) == 1
    assert all(WebhookEvent(event) for event in sms_android.WANTED)
    known = {event.value for event in WebhookEvent}
    assert known <= {*sms_android.WANTED, *sms_android.NOT_FOR_US, *sms_android.REPORTED, *BATCHES}
