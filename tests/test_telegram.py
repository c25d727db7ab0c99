"""Telegram end to end: the real adapter and the whole house against a Bot API server, by polling and by webhook."""

import asyncio
import contextlib
import datetime as dt
import json
import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiogram import Bot as OtherClient
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from bot.app import App
from bot.channels.base import CAPABILITIES
from bot.channels.telegram import read_update
from bot.config import Secrets
from bot.delivery.render import parts
from bot.errors import ChannelError
from bot.letters import split_at_sentences
from bot.messages import Reply
from bot.service import Service
from bot.store import tables
from bot.testing import START, Dialog, FakeClock, read_dialogs
from bot.understanding.classifier import EmbeddedClassifier
from bot.web.pages import MOST_BODY, create_site
from tests.conftest import ROOT, SHARED, _house
from tests.fakes.server import serving
from tests.fakes.telegram import TOKEN, Sent, TelegramFake

SCHEMA = SHARED / "peers" / "telegram-bot-api-10.1.json"
PATIENCE = 20.0
LONGEST = 4096
WORDS = "di thai ban ve so luong 20tr/thang ho bao ve may bay co nen di k"


@dataclass
class Town:
    """A Telegram with our bot in it. `way`: how updates come in."""

    fake: TelegramFake
    house: App
    clock: FakeClock
    way: str

    def say(self, chat: int, text: str, **more: Any) -> list[str]:
        """A person writes; the texts that came back."""
        return self._hear(chat, lambda: self.fake.say(chat, text, **more))

    def press(self, chat: int, number: int, of: Sent | None = None) -> list[str]:
        return self._hear(chat, lambda: self.fake.press(chat, number, of))

    def _hear(self, chat: int, act: Callable[[], Any]) -> list[str]:
        before = len(self.fake.heard_by(chat))
        update = act()
        self.settle(str(update["update_id"]))
        return self.fake.heard_by(chat)[before:]

    def settle(self, external_id: str) -> None:
        """Until this update is handled or set aside, and nothing waits to be sent."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            if self._is_known(external_id) and not self._waiting():
                return
            time.sleep(0.01)
        raise TimeoutError(external_id)

    def rows(self, table: Any) -> list[Any]:
        with self.house.database.begin() as connection:
            return list(connection.execute(select(table)).all())

    def _is_known(self, external_id: str) -> bool:
        known = {row.external_id for table in (tables.inbox, tables.dead_letters) for row in self.rows(table)}
        return external_id in known

    def _waiting(self) -> bool:
        return any(row.status in ("queued", "claimed", "sending") for row in self.rows(tables.outbox))


@contextlib.contextmanager
def town(way: str, home: Path, classifier: EmbeddedClassifier, fake: TelegramFake | None = None) -> Iterator[Town]:
    fake = fake or TelegramFake()
    clock = FakeClock(dt.datetime.now(dt.UTC))
    with serving(fake.application()) as api:
        house = _house(home, classifier)
        settings = house.config.bot.telegram.model_copy(
            update={
                "api": api,
                "per_second": 500.0,
                "chat_interval": 0.0,
                "webhook": "http://unused" if way == "webhook" else None,
            }
        )
        bot = house.config.bot.model_copy(update={"telegram": settings})
        secrets = Secrets.model_validate({"telegram_token": TOKEN})
        house.config = house.config.model_copy(update={"bot": bot, "secrets": secrets})
        service = Service(house, send=True, receive=True, clock=clock)
        with serving(create_site(house, service)) as site, _running(service, fake, site if way == "webhook" else None):
            yield Town(fake, house, clock, way)
        house.database.close()


@contextlib.contextmanager
def _running(service: Service, fake: TelegramFake, site: str | None) -> Iterator[None]:
    """The service in a loop of its own; with a webhook, Telegram is sent to where the site really is."""
    loop, stopping = asyncio.new_event_loop(), asyncio.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(service.run(stopping)), daemon=True)
    thread.start()
    while not any(name == "setMyCommands" and given.get("language_code") for name, given in fake.calls):
        time.sleep(0.005)
    if site:
        fake.webhook["url"] = fake.webhook["url"].replace("http://unused", site)
    try:
        yield
    finally:
        loop.call_soon_threadsafe(stopping.set)
        thread.join(PATIENCE)
        loop.close()


@pytest.fixture(scope="module", params=["polling", "webhook"])
def here(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, classifier: EmbeddedClassifier
) -> Iterator[Town]:
    """One town for the tests that need no bot of their own; each takes other chats."""
    with town(request.param, tmp_path_factory.mktemp("town"), classifier) as built:
        yield built


@pytest.fixture
def own(tmp_path: Path, classifier: EmbeddedClassifier) -> Iterator[Town]:
    with town("polling", tmp_path / "home", classifier) as built:
        yield built


# -- talks -------------------------------------------------------------------------------------------------------------

DIALOGS = [
    dialog
    for path in sorted((ROOT / "tests" / "dialogs").glob("*.yml"))
    for dialog in read_dialogs(path)
    if dialog.channel == "telegram" or "S-26" in dialog.ids
] + read_dialogs(ROOT / "tests" / "dialogs" / "offers.yml")[:12]


@pytest.mark.parametrize("number", range(len(DIALOGS)))
def test_a_talk_is_the_same_through_telegram(number: int, here: Town) -> None:
    """What a person hears through Telegram is what the engine says: every line of the talk, in order, once."""
    dialog: Dialog = DIALOGS[number]
    rehearsal = here.house.rehearsal("telegram")
    for line in dialog.talk:
        here.clock.advance(dt.timedelta(seconds=20))
        if line.media or line.after:
            continue
        _, turn = rehearsal.say(line.say, here.clock())
        expected = [part for reply in turn.replies for part in parts(reply, CAPABILITIES["telegram"])]
        texts = [part.clearing.cleared if part.clearing else part.text for part in expected]
        assert here.say(1000 + number, line.say) == texts


def test_buttons_are_the_numbered_choices(here: Town) -> None:
    """A pressed button is answered at once and means what stands on it; the number typed means the same."""
    here.say(50, "/start")
    labels = here.fake.sent[-1].buttons
    assert [label.split(" ")[0] for label in labels] == ["1", "2", "3"]
    pressed = here.press(50, 1)
    here.say(51, "/start")
    assert here.say(51, "1") == pressed
    assert "answerCallbackQuery" in [name for name, _ in here.fake.calls]


def test_a_button_under_an_old_message_still_means_its_words(here: Town) -> None:
    """Pressed after the talk went on, it is not taken for a number under the newest message."""
    here.say(52, "/start")
    menu = next(sent for sent in reversed(here.fake.sent) if sent.chat == 52 and sent.buttons)
    here.say(52, WORDS)
    assert here.press(52, 1, of=menu) == [here.house.library.say("tell_offer", "vi", "text")]


def test_a_forwarded_post_counts_as_the_offer_that_it_carries(here: Town) -> None:
    """The words of somebody else's post, also those under a picture, are read like words that were typed."""
    origin = {"type": "hidden_user", "sender_user_name": "X", "date": 1}
    told = here.say(53, WORDS)
    assert here.say(54, WORDS, forward_origin=origin) == told
    photo = [{"file_id": "a", "file_unique_id": "a", "width": 1, "height": 1}]
    update = here.fake.push({"message": here.fake.message(55, caption=WORDS, photo=photo, forward_origin=origin)})
    here.settle(str(update["update_id"]))
    assert here.fake.heard_by(55) == told


@pytest.mark.parametrize(
    "content",
    [
        {"photo": [{"file_id": "a", "file_unique_id": "a", "width": 1, "height": 1}]},
        {"voice": {"file_id": "a", "file_unique_id": "a", "duration": 1}},
        {"document": {"file_id": "a", "file_unique_id": "a"}},
        {"sticker": {"file_id": "a", "file_unique_id": "a", "type": "regular", "width": 1, "height": 1, "is_animated": False, "is_video": False}},
        {"location": {"latitude": 1.0, "longitude": 1.0}},
    ],
    ids=lambda content: next(iter(content)),
)  # fmt: skip
def test_what_is_no_text_is_answered_kindly(content: dict[str, Any], here: Town) -> None:
    """S-15: we cannot read it yet, say so and ask for the words; no file is ever fetched."""
    chat = 60 + len(next(iter(content)))
    update = here.fake.push({"message": here.fake.message(chat, **content)})
    here.settle(str(update["update_id"]))
    assert here.house.library.say("media", "vi", "text") in here.fake.heard_by(chat)[-1]
    assert not {"getFile"} & {name for name, _ in here.fake.calls}


def test_an_edited_message_is_read_anew(here: Town) -> None:
    """Who corrects what they wrote is answered to what stands there now."""
    here.say(56, "alo")
    update = here.fake.push({"edited_message": here.fake.message(56, text=WORDS, edit_date=int(time.time()))})
    here.settle(str(update["update_id"]))
    assert "đáng lo" in here.fake.heard_by(56)[-1]


def test_a_group_is_declined(here: Town) -> None:
    """One polite line, then we leave; nothing of the group is stored."""
    before = len(here.rows(tables.addresses))
    here.fake.push({"message": here.fake.message(-77, text="alo bot")})
    until = time.monotonic() + PATIENCE
    leaves = (
        here.way == "polling"
    )  # by the webhook the call comes from another loop than the client's, as it never does in one process
    while not (here.fake.heard_by(-77) and (-77 in here.fake.left or not leaves)) and time.monotonic() < until:
        time.sleep(0.01)
    assert (-77 in here.fake.left) >= leaves
    assert here.fake.heard_by(-77) == [here.house.library.say("group", "vi", "text")]
    assert len(here.rows(tables.addresses)) == before


def test_a_person_who_blocks_us_is_left_alone(own: Town) -> None:
    """The address is out of reach until they write again."""
    own.say(57, "/start")
    chat, me = {"id": 57, "type": "private"}, {"id": 123456, "is_bot": True, "first_name": "B"}
    change = {"chat": chat, "from": {"id": 57, "is_bot": False, "first_name": "A"}, "date": 1}
    change |= {"old_chat_member": {"status": "member", "user": me}, "new_chat_member": {"status": "kicked", "user": me, "until_date": 0}}  # fmt: skip
    own.fake.push({"my_chat_member": change})
    until = time.monotonic() + PATIENCE
    while not own.rows(tables.addresses)[0].unreachable_since and time.monotonic() < until:
        time.sleep(0.01)
    assert own.rows(tables.addresses)[0].unreachable_since
    assert own.say(57, "/start") != []
    assert own.rows(tables.addresses)[0].unreachable_since is None


# -- exit and erasure ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["/thoat", "thoát", "x", "xoa", "/xoa"])
def test_s_06_exit_and_delete_clear_both_sides(word: str, here: Town) -> None:
    """S-05, S-06: every message of both sides is deleted, the last of the person's too; one closing word remains."""
    chat = 200 + sum(map(ord, word)) + (5000 if here.way == "webhook" else 0)
    here.say(chat, "/start")
    here.say(chat, WORDS)
    theirs = _message_ids(here, chat)
    ours = {sent.message_id for sent in here.fake.sent if sent.chat == chat}
    (last,) = here.say(chat, word)
    deleted = {message for where, message in here.fake.deleted if where == chat}
    assert ours | theirs <= deleted
    assert len(deleted) == len(ours | theirs) + 1
    assert last == here.house.library.say("erased_cleared" if "xoa" in word else "closed_cleared", "vi", "text")


def test_s_06_what_remains_is_said(own: Town) -> None:
    """Messages older than two days cannot be deleted: the person is told how to."""
    own.say(58, "/start")
    own.clock.advance(dt.timedelta(hours=49))
    (last,) = own.say(58, "xoa")
    assert last == own.house.library.say("erased_remaining", "vi", "text")


def test_s_06_a_deletion_that_telegram_refuses_is_said(own: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refused deletion is counted and told, never passed over."""
    from tests.fakes import telegram as fake

    async def refuse(_given: Any) -> Any:
        return fake._error(400, "Bad Request: message can't be deleted")

    monkeypatch.setattr(own.fake, "_on_deletemessages", refuse)
    own.say(59, "/start")
    assert own.say(59, "/thoat") == [own.house.library.say("closed_remaining", "vi", "text")]


def test_an_erased_person_leaves_nothing_once_the_confirmation_is_out(own: Town) -> None:
    """D-03: within seconds no address, no message and no link to one is left in the store."""
    own.say(61, WORDS)
    own.say(61, "xoa")
    until = time.monotonic() + PATIENCE
    while own.rows(tables.addresses) and time.monotonic() < until:
        time.sleep(0.05)
    assert own.rows(tables.addresses) == own.rows(tables.outbox) == own.rows(tables.conversations) == []
    assert {row.address_id for row in own.rows(tables.inbox)} == {None}


def test_s_34_stop_works_and_is_confirmed_once(here: Town) -> None:
    """/stop is one confirmation, whatever was going on; the talk may go on."""
    here.say(62, WORDS)
    assert here.say(62, "/stop") == [here.house.library.say("stopped", "vi", "text")]


# -- what should not come ------------------------------------------------------------------------------------------------


def test_an_update_that_cannot_be_read_is_set_aside(here: Town) -> None:
    """It is kept as a dead letter, and the message behind it is answered: polling does not hang on it."""
    broken = {"message": {"message_id": "x", "date": "never", "chat": 7}}
    update = here.fake.push(broken)
    here.settle(str(update["update_id"]))
    assert here.say(63, "/start") != []
    (letter,) = [row for row in here.rows(tables.dead_letters) if row.external_id == str(update["update_id"])]
    assert letter.sealed_body
    assert b"never" not in letter.sealed_body


def test_an_unknown_kind_of_update_is_set_aside(here: Town) -> None:
    """A kind that Telegram may invent is answered with 200, kept, and costs no message behind it."""
    update = here.fake.push({"quantum_message": {"id": 1}})
    here.settle(str(update["update_id"]))
    assert here.say(64, "/start") != []


@pytest.mark.parametrize(
    ("body", "secret", "status"),
    [
        (b'{"update_id": 1}', "wrong", 403),
        (b'{"update_id": 1}', "", 403),
        (b"{broken", None, 400),
        (b"[]", None, 400),
        (b'{"update_id": "x"}', None, 400),
        (b"x" * (MOST_BODY + 1), None, 413),
        (b"x" * 10_000_000, None, 413),
    ],
    ids=["wrong secret", "no secret", "broken", "a list", "no number", "too large", "10 MB"],
)
def test_a_bad_webhook_call_is_refused(body: bytes, secret: str | None, status: int, here: Town) -> None:
    """Forged, broken and oversized posts change nothing, and the next good message is still answered."""
    if here.way == "polling":
        pytest.skip("polling has no webhook")
    inbox = len(here.rows(tables.inbox))
    assert here.fake.post(body, secret) == status
    assert len(here.rows(tables.inbox)) == inbox
    assert here.say(65, "/start") != []


def test_replayed_webhooks_have_one_effect(tmp_path: Path, classifier: EmbeddedClassifier) -> None:
    """A thousand captured updates, posted again twice in any order: each was handled once, and nobody hears anything twice."""
    with town("webhook", tmp_path / "home", classifier) as here:
        updates = [here.fake.say(100 + number % 200, f"{number} {WORDS}") for number in range(1000)]
        again = [*updates, *updates]
        random.Random(7).shuffle(again)
        assert {here.fake.post(update) for update in again} == {200}
        here.settle(str(updates[-1]["update_id"]))
        assert len(here.rows(tables.inbox)) == len(updates)
        assert len(here.fake.sent) == len({row.dedup for row in here.rows(tables.outbox)})


def test_a_wrong_token_ends_in_one_sentence(tmp_path: Path, classifier: EmbeddedClassifier) -> None:
    """A bot that Telegram does not know: the service says what to check, and does not run on."""
    with serving(TelegramFake().application()) as api:
        house = _house(tmp_path / "home", classifier)
        settings = house.config.bot.telegram.model_copy(update={"api": api})
        bot = house.config.bot.model_copy(update={"telegram": settings})
        wrong = Secrets.model_validate({"telegram_token": "1:wrong"})
        house.config = house.config.model_copy(update={"bot": bot, "secrets": wrong})
        with pytest.raises(ChannelError, match="BANDUONG_TELEGRAM_TOKEN"):
            asyncio.run(Service(house, send=True, receive=True).run(asyncio.Event()))
        house.database.close()


@pytest.mark.parametrize("fault", ["429 1", "502", "500", "lost", "refused", "403", "gone"])
def test_a_fault_of_telegram_doubles_nothing(fault: str, tmp_path: Path, classifier: EmbeddedClassifier) -> None:
    """Whatever Telegram answers to one message: nothing comes twice, and the next message is answered."""
    fake = TelegramFake()
    with town("polling", tmp_path / "home", classifier, fake) as here:
        fake.faults.append(fault)
        here.say(70, "/start")
        here.say(70, WORDS)
        assert fake.doubled() == 0
        assert "đáng lo" in fake.heard_by(70)[-1]
        first = here.rows(tables.outbox)[0].status
        assert first == {"429 1": "sent", "403": "failed", "gone": "failed"}.get(fault, "uncertain")


# -- long texts ------------------------------------------------------------------------------------------------------------


@given(st.text(alphabet=st.sampled_from("ab đ😀.!? \n"), max_size=300), st.integers(8, 60))
def test_long_texts_are_split_and_nothing_is_lost(text: str, longest: int) -> None:
    """Every piece fits, counted as Telegram counts, and together they are the text."""
    pieces = split_at_sentences(text, longest)
    assert all(0 < len(piece.encode("utf-16-le")) // 2 <= longest for piece in pieces)
    assert re.sub(r"\s", "", "".join(pieces)) == re.sub(r"\s", "", text)


def test_a_long_reply_is_cut_at_sentences() -> None:
    """Each piece but the last ends with its sentence."""
    text = " ".join(f"Câu số {number} kể một chuyện." for number in range(400))
    cut = parts(Reply(text, text), CAPABILITIES["telegram"])
    assert len(cut) > 1
    assert all(part.text.endswith(".") and len(part.text) <= LONGEST for part in cut)


# -- the protocol ----------------------------------------------------------------------------------------------------------


def test_every_call_satisfies_the_bot_api(here: Town) -> None:
    """Known methods, known parameters of the right kind, nothing required left out, within the limits told in words."""
    if not SCHEMA.exists():
        pytest.skip("the schema of the Bot API is not on this machine")
    methods = json.loads(SCHEMA.read_text(encoding="utf-8"))["methods"]
    here.say(66, "/start")
    here.press(66, 3)
    here.say(66, "/thoat")
    assert len(here.fake.calls) > 5
    assert [problem for name, given in here.fake.calls for problem in _breaches(methods.get(name), name, given)] == []


def test_another_client_can_talk_to_the_fake() -> None:
    """aiogram, which nobody here wrote, reads the fake's answers: it is no image of our own adapter."""
    fake = TelegramFake()

    async def talk(api: str) -> None:
        session = AiohttpSession(api=TelegramAPIServer.from_base(api))
        async with OtherClient(TOKEN, session=session) as client:
            assert (await client.get_me()).username == "banduong_bot"
            sent = await client.send_message(7, "hello")
            assert sent.chat.id == 7
            fake.say(7, "hi")
            (update,) = await client.get_updates(timeout=1)
            assert update.message
            assert update.message.text == "hi"
            assert await client.get_updates(offset=update.update_id + 1, timeout=0) == []
            assert await client.delete_messages(7, [sent.message_id])

    with serving(fake.application()) as api:
        asyncio.run(talk(api))
    assert fake.heard_by(7) == ["hello"]


def test_an_update_is_read_without_a_network() -> None:
    """The reader is a function of the update alone."""
    fake = TelegramFake()
    update = {"update_id": 5, "message": fake.message(7, text="xin chào")}
    arrival = read_update(update, START)
    assert arrival.message
    assert (arrival.message.text, arrival.message.external_id) == ("xin chào", "5")


def _breaches(method: dict[str, Any] | None, name: str, given: dict[str, Any]) -> Iterator[str]:
    if method is None:
        yield f"{name} is no method"
        return
    fields = {field["name"]: field for field in method.get("fields", [])}
    yield from (f"{name}: unknown {key}" for key in given if key not in fields)
    yield from (f"{name}: {key} is missing" for key, field in fields.items() if field["required"] and key not in given)
    text = given.get("text")
    if isinstance(text, str) and not 1 <= len(text.encode("utf-16-le")) // 2 <= LONGEST:
        yield f"{name}: text of {len(text)} characters"
    for row in (given.get("reply_markup") or {}).get("inline_keyboard", []):
        yield from (f"{name}: callback_data" for button in row if not 1 <= len(button["callback_data"].encode()) <= 64)


def _message_ids(here: Town, chat: int) -> set[int]:
    with here.house.database.begin() as connection:
        from bot import contacts
        from bot.messages import Address

        contact = contacts.find(connection, here.house.database.keyring, Address("telegram", str(chat)))
        assert contact
        rows = connection.execute(select(tables.inbox.c.message_id).where(tables.inbox.c.address_id == contact.id))
        return {int(one) for one in rows.scalars() if one}
