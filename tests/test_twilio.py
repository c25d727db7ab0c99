"""SMS through Twilio, end to end: the real adapter and the whole house against an API server that Twilio's own client drives too."""

import asyncio
import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from bot.app import App
from bot.channels.base import SendError
from bot.channels.sms import ForgedError, WebhookCall, phone_number
from bot.channels.sms_text import sms_text
from bot.channels.sms_twilio import TwilioSms
from bot.config import load_config
from bot.delivery import sender
from bot.errors import ChannelError, ConfigError
from bot.messages import Address, OutboundMessage
from bot.store import tables
from bot.testing import START
from bot.understanding.classifier import EmbeddedClassifier
from bot.web.pages import MOST_BODY
from tests.conftest import SHARED
from tests.fakes.server import serving
from tests.fakes.twilio import ACCOUNT, OURS, TOKEN, TwilioFake
from tests.towns import DIALOGS, SmsTown, sms_town

OPENAPI = SHARED / "peers" / "twilio_api_v2010.json"
PUBLIC = "https://bot.example.org"
WORDS = "di thai ban ve so luong 20tr/thang ho bao ve may bay co nen di k"


def town(home: Path, classifier: EmbeddedClassifier, fake: TwilioFake, api: str) -> Any:
    settings = {
        "provider": "twilio",
        "webhook": PUBLIC,
        "twilio": {"account": ACCOUNT, "sender": OURS, "api": api},
    }

    def found(site: str) -> None:
        fake.webhook, fake.address = PUBLIC, site

    return sms_town(fake, home, classifier, settings, {"twilio_token": TOKEN}, found)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "SETTLE_EVERY", 0.2)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory, classifier: EmbeddedClassifier) -> Iterator[SmsTown]:
    """One town for the tests that need no account of their own; each takes other numbers."""
    fake = TwilioFake(receipts=("sent", "delivered"))
    with serving(fake.application()) as api, town(tmp_path_factory.mktemp("town"), classifier, fake, api) as built:
        yield built


@pytest.fixture
def own(tmp_path: Path, classifier: EmbeddedClassifier) -> Iterator[SmsTown]:
    fake = TwilioFake()
    with serving(fake.application()) as api, town(tmp_path / "home", classifier, fake, api) as built:
        yield built


@pytest.fixture
def channel() -> Iterator[tuple[TwilioFake, TwilioSms]]:
    """The adapter alone."""
    fake = TwilioFake()
    with serving(fake.application()) as api:
        yield fake, TwilioSms(ACCOUNT, TOKEN, OURS, api=api, webhook=PUBLIC)


def fake_of(town: SmsTown) -> TwilioFake:
    assert isinstance(town.fake, TwilioFake)
    return town.fake


# -- talks -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", range(len(DIALOGS)))
def test_a_talk_is_the_same_through_twilio(number: int, here: SmsTown) -> None:
    """What a person hears by SMS is what the engine says: every line of the talk, in order, once."""
    here.plays(DIALOGS[number], f"+849010{number:05d}")


def test_a_message_becomes_delivered(here: SmsTown) -> None:
    """The states that Twilio tells raise the message to delivered."""
    here.say("+84902000001", "/start")
    here.until(lambda: set(here.statuses()) == {"delivered"})


def test_a_picture_is_answered_kindly(here: SmsTown) -> None:
    """An MMS without words: we cannot read it, and ask for them."""
    fake_of(here).say("+84902000002", "", NumMedia="1")
    assert sms_text(here.house.library.say("media", "vi", "sms")).text in here.news("+84902000002")[-1]


def test_the_sender_may_be_a_messaging_service() -> None:
    """Its SID goes where Twilio wants it, and the number field stays away."""
    fake = TwilioFake()
    service = "MG" + "0" * 32
    with serving(fake.application()) as api:
        asyncio.run(_send(TwilioSms(ACCOUNT, TOKEN, service, api=api)))
    (sent,) = fake.sent
    assert sent.form["MessagingServiceSid"] == service
    assert "From" not in sent.form


# -- refusals ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "kind", "pause"),
    [
        ("21610", "opted_out", False),
        ("21614", "stopped", False),
        ("21211", "stopped", False),
        ("21408", "permanent", False),
        ("63038", "retryable", True),
        ("20429", "retryable", True),
        ("500", "uncertain", False),
        ("lost", "uncertain", False),
    ],
)
def test_what_a_refusal_means(fault: str, kind: str, pause: bool, channel: tuple[TwilioFake, TwilioSms]) -> None:
    """Each of Twilio's codes has one meaning for the message, the address and the channel."""
    fake, sms = channel
    fake.faults.append(fault)
    with pytest.raises(SendError) as raised:
        asyncio.run(_send(sms))
    assert (raised.value.kind, bool(raised.value.retry_after)) == (kind, pause)


def test_a_server_that_is_not_there_took_nothing() -> None:
    """The connection was refused: the message certainly waits."""
    with pytest.raises(SendError) as raised:
        asyncio.run(_send(TwilioSms(ACCOUNT, TOKEN, OURS, api="http://127.0.0.1:9")))
    assert raised.value.kind == "retryable"


def test_s_34_who_told_twilio_to_stop_is_left_alone(own: SmsTown) -> None:
    """21610: consents end now, nothing waits, and what the person writes next opens the line again."""
    number = "+84902000003"
    own.say(number, "dang ky")
    own.say(number, "1")
    fake_of(own).faults.append("21610")
    own.say(number, "alo")
    (address,) = own.rows(tables.addresses)
    assert address.unreachable_since
    assert all(row.withdrawn_at for row in own.rows(tables.consents) if row.purpose == "alerts")
    assert own.say(number, "/start") != []


@pytest.mark.parametrize(("code", "again"), [(30003, True), (30008, True), (30007, False), (30006, False)])
def test_what_a_late_failure_means(code: int, again: bool, own: SmsTown) -> None:
    """A handset that was off is tried again later, a few times; a landline is left alone; a filtered text is not repeated."""
    number = "+84902000004"
    own.say(number, "/start")
    (sent,) = fake_of(own).sent
    fake_of(own).tell(sent.sid, "undelivered", code)
    (row,) = own.rows(tables.outbox)
    assert row.status == ("queued" if again else "undelivered")
    assert row.error == str(code)
    assert bool(own.rows(tables.addresses)[0].unreachable_since) == (code == 30006)


def test_states_never_go_back(here: SmsTown) -> None:
    """Late, doubled and disordered states leave the message delivered."""
    here.say("+84902000005", "/start")
    sent = fake_of(here).sent[-1]
    here.until(lambda: "delivered" in here.statuses())
    told = ["sent", "queued", "delivered", "undelivered", "failed", "sent"]
    assert [fake_of(here).tell(sent.sid, status) for status in told] == [200] * len(told)
    (row,) = [row for row in here.rows(tables.outbox) if row.provider_id == sent.sid]
    assert row.status == "delivered"


@pytest.mark.parametrize("fault", ["lost", "500"])
def test_a_doubtful_message_is_looked_up(fault: str, own: SmsTown) -> None:
    """Twilio is asked what became of it: what it took is sent; what it never took stays doubtful. Nothing is sent again."""
    number = "+84902000006"
    fake_of(own).faults.append(fault)
    own.say(number, "/start")
    _looked_up(own)
    assert own.statuses() == (["sent"] if fault == "lost" else ["uncertain"])
    assert len(own.fake.heard_by(number)) == (fault == "lost")


def test_the_same_words_twice_are_two_messages(own: SmsTown) -> None:
    """A look-up takes each of Twilio's messages for one of ours."""
    number = "+84902000007"
    fake_of(own).faults.extend(["", "lost", "refused"])
    own.say(number, "/start")
    own.say(number, "menu")
    own.say(number, "menu")
    _looked_up(own)
    assert own.statuses() == ["sent", "sent", "uncertain"]


# -- in ----------------------------------------------------------------------------------------------------------------

VECTORS = [
    ("https://mycompany.com/myapp.php?foo=1&bar=2", "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
    ("https://mycompany.com:443/myapp.php?foo=1&bar=2", "kvajT1Ptam85bY51eRf/AJRuM3w="),
]
SIGNED = b"CallSid=CA1234567890ABCDE&Digits=1234&From=%2B14158675309&To=%2B18005551212&Caller=%2B14158675309"


@pytest.mark.parametrize(("url", "signature"), VECTORS)
def test_signatures_agree_with_twilios_own(url: str, signature: str) -> None:
    """The vectors of twilio-python's tests, with and without the port."""
    sms = TwilioSms(ACCOUNT, "12345", OURS)
    sms.check(WebhookCall("twilio", url, {"x-twilio-signature": signature}, SIGNED), START)
    with pytest.raises(ForgedError):
        sms.check(WebhookCall("twilio", url, {"x-twilio-signature": signature}, SIGNED + b"5"), START)


def test_a_name_that_stands_twice_is_signed_twice() -> None:
    """Repeated fields count, as in Twilio's own."""
    body = b"Sid=CA123&SidAccount=AC123&Digits=5678&Digits=1234&Digits=1234"
    headers = {"x-twilio-signature": "IK+Dwps556ElfBT0I3Rgjkr1wJU="}
    url = VECTORS[0][0]
    TwilioSms(ACCOUNT, "12345", OURS).check(WebhookCall("twilio", url, headers, body), START)


@pytest.mark.parametrize(
    ("body", "signature", "status"),
    [
        ({"MessageSid": "SM1", "From": "+84903", "Body": "alo"}, "forged", 403),
        ({"MessageSid": "SM1", "From": "+84903", "Body": "alo"}, "", 403),
        (b"\xff\xfe broken", "", 403),
        (b"x" * (MOST_BODY + 1), "", 413),
        (b"x" * 10_000_000, "", 413),
    ],
    ids=["forged", "unsigned", "broken", "too large", "10 MB"],
)
def test_a_bad_call_is_refused(body: Any, signature: str, status: int, here: SmsTown) -> None:
    """Forged, broken and oversized calls change nothing, and the next good message is still answered."""
    arrived = len(here.rows(tables.inbox))
    assert fake_of(here).post("twilio", body, signature) == status
    assert len(here.rows(tables.inbox)) == arrived
    assert here.say("+84902000008", "/start") != []


def test_a_call_that_nobody_foresaw_is_set_aside(here: SmsTown) -> None:
    """Signed, but of another shape: kept sealed, answered well, and the next message passes."""
    letters = len(here.rows(tables.dead_letters))
    assert fake_of(here).post("twilio", {"Quantum": "1"}) == 200
    assert fake_of(here).post("twilio/status", {"MessageSid": "SM1", "MessageStatus": "entangled"}) == 200
    assert len(here.rows(tables.dead_letters)) == letters + 2
    assert here.say("+84902000009", "/start") != []


def test_senders_that_nobody_can_answer_are_passed_over(here: SmsTown) -> None:
    """Names and short numbers belong to machines: no row, no reply."""
    before = len(here.rows(tables.inbox))
    for name in ("VIETTEL", "191", "9029", "BIDV", ""):
        fake_of(here).say(name, "Quy khach da dang ky thanh cong")
    assert len(here.rows(tables.inbox)) == before


def test_replayed_calls_have_one_effect(own: SmsTown) -> None:
    """Captured calls, posted again twice in another order: each was handled once, and nobody hears anything twice."""
    fake = fake_of(own)
    forms = [fake.say(f"+8490300{number % 40:04d}", f"{number} {WORDS}") for number in range(100)]
    again = [*forms, *forms]
    random.Random(7).shuffle(again)
    assert {fake.post("twilio", form) for form in again} == {200}
    own.until(lambda: set(own.statuses()) == {"sent"})
    assert len(own.rows(tables.inbox)) == len(forms)
    assert len(fake.sent) == len({row.dedup for row in own.rows(tables.outbox)})


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("0901234567", "+84901234567"),
        ("+84 90 123 45 67", "+84901234567"),
        ("+886912345678", "+886912345678"),
        ("1900545559", None),
        ("111", None),
        ("MBBANK", None),
        ("", None),
    ],
)
def test_numbers_are_written_one_way(written: str, number: str | None) -> None:
    """One person is one address, however the network writes the number."""
    assert phone_number(written, "VN") == number


# -- start -------------------------------------------------------------------------------------------------------------


def test_a_wrong_token_ends_in_one_sentence() -> None:
    """An account that Twilio does not know: the service says what to check."""
    with (
        serving(TwilioFake().application()) as api,
        pytest.raises(ChannelError, match="BANDUONG_TWILIO_TOKEN") as raised,
    ):
        asyncio.run(_open(TwilioSms(ACCOUNT, "wrong", OURS, api=api)))
    assert raised.value.lasting


def test_a_missing_secret_ends_in_one_sentence(sqlite_house: App) -> None:
    """config.yml names the provider, and nobody gave its token."""
    from tests.towns import _with_sms

    settings = {"provider": "twilio", "twilio": {"account": ACCOUNT, "sender": OURS}}
    sqlite_house.config = _with_sms(sqlite_house.config, settings, {})
    with pytest.raises(ConfigError, match="BANDUONG_TWILIO_TOKEN"):
        _ = sqlite_house.sms


def test_a_provider_without_its_keys_is_refused(tmp_path: Path) -> None:
    """The error names the file, the key and what is missing."""
    path = tmp_path / "config.yml"
    path.write_text("bot: {sms: {provider: smpp}}", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"config\.yml: bot\.sms: smpp needs its own keys under bot\.sms\.smpp\.$"):
        load_config(path, {})


# -- the protocol ------------------------------------------------------------------------------------------------------


def test_every_call_satisfies_the_openapi_file(here: SmsTown) -> None:
    """Known paths, known parameters, the required ones there, patterns and lengths kept."""
    if not OPENAPI.exists():
        pytest.skip("Twilio's OpenAPI file is not on this machine")
    paths = json.loads(OPENAPI.read_text(encoding="utf-8"))["paths"]
    here.say("+84902000010", "/start")
    assert fake_of(here).calls
    assert [problem for call in fake_of(here).calls for problem in _breaches(paths, *call)] == []


def test_twilios_own_client_can_talk_to_the_fake() -> None:
    """The plain client, without our adapter: sends, lists, is refused."""
    fake = TwilioFake()

    class Elsewhere(TwilioHttpClient):  # type: ignore[misc]
        def request(self, method: str, url: str, *args: Any, **more: Any) -> Any:
            return super().request(method, url.replace("https://api.twilio.com", api), *args, **more)

    with serving(fake.application()) as api:
        client = Client(ACCOUNT, TOKEN, http_client=Elsewhere(timeout=5))
        sent = client.messages.create(to="+84901", from_=OURS, body="hello")
        assert sent.status == "queued"
        assert [one.body for one in client.messages.list(to="+84901")] == ["hello"]
        fake.faults.append("21610")
        with pytest.raises(TwilioRestException) as raised:
            client.messages.create(to="+84901", from_=OURS, body="hello")
        assert raised.value.code == 21610
        client.http_client.session.close()
    assert fake.heard_by("+84901") == ["hello"]


def _looked_up(own: SmsTown) -> None:
    """Until Twilio has been asked twice, or no doubt is left."""
    asked = len(fake_of(own).calls)
    own.until(
        lambda: (
            [method for method, *_ in fake_of(own).calls[asked:]].count("get") > 1 or "uncertain" not in own.statuses()
        )
    )


def _breaches(paths: dict[str, Any], method: str, path: str, given: dict[str, Any]) -> Iterator[str]:
    known = "/2010-04-01/Accounts/{AccountSid}/Messages.json"
    if re.fullmatch(r"/2010-04-01/Accounts/AC[0-9a-f]{32}/Messages\.json", path) is None:
        yield f"{path} is no path"
        return
    operation = paths[known][method]
    if method == "get":
        names = {parameter["name"] for parameter in operation["parameters"]}
        yield from (f"unknown {name}" for name in given if name not in names)
        return
    schema = operation["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"]
    yield from (f"{name} is missing" for name in schema.get("required", []) if name not in given)
    for name, value in given.items():
        about = schema["properties"].get(name)
        if about is None:
            yield f"unknown {name}"
        elif "pattern" in about and not re.fullmatch(about["pattern"], value):
            yield f"{name} does not fit"


async def _send(sms: TwilioSms) -> None:
    try:
        await sms.send(OutboundMessage(Address("sms", "+84901234567"), "xin chao", "d"))
    finally:
        await sms.close()


async def _open(sms: TwilioSms) -> None:
    try:
        await sms.open()
    finally:
        await sms.close()
