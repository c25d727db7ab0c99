"""The whole service at work: calls that reach people by Telegram and by mail, and the honest message that reaches the person."""

import contextlib
import datetime as dt
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from bot import service
from bot.app import App
from bot.config import EmailConfig, Secrets
from bot.hotline import clocks
from bot.messages import Address
from bot.service import Service
from bot.store.tables import outbox
from bot.testing import FakeClock
from bot.understanding.classifier import EmbeddedClassifier
from tests.conftest import _house
from tests.fakes.server import serving
from tests.fakes.smtp import FakeSmtp
from tests.fakes.smtp import serving as serving_mail
from tests.fakes.telegram import TOKEN, TelegramFake
from tests.hotline import a_case, a_colleague
from tests.towns import PATIENCE, UNDER_WAY, service_running

AN, PERSON = 11, 12  # chats
CONSOLE = "https://truc.example.org"


class Watch:
    """A queue with one person in danger, An on Telegram, and Binh who reads mail."""

    def __init__(self, house: App, telegram: TelegramFake, mail: FakeSmtp, clock: FakeClock) -> None:
        self.house, self.telegram, self.mail, self.clock = house, telegram, mail, clock
        with house.database.begin() as connection:
            keyring = house.database.keyring
            a_colleague(connection, keyring, "An", telegram=str(AN), page_order=1, at=clock())
            a_colleague(connection, keyring, "Binh", email="binh@example.org", language="en", page_order=2, at=clock())
            a_case(connection, keyring, address=Address("telegram", str(PERSON)), country="KH", at=clock())

    def until(self, is_so: Callable[[], Any]) -> None:
        end = time.monotonic() + PATIENCE
        while not is_so():
            assert time.monotonic() < end
            time.sleep(0.01)

    def later(self, **time: int) -> None:
        """Moves the clock when every call has been settled: one under way for minutes would count as lost."""
        self.until(lambda: not self._under_way())
        self.clock.advance(dt.timedelta(**time))

    def _under_way(self) -> int:
        calls = select(func.count()).select_from(outbox).where(outbox.c.status.in_(UNDER_WAY))
        with self.house.database.begin() as connection:
            return connection.execute(calls).scalar_one()


@pytest.fixture
def watch(
    tmp_path: Path, classifier: EmbeddedClassifier, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], contextlib.AbstractContextManager[Watch]]:
    """Begins the service."""
    monkeypatch.setattr(service, "LOOK_EVERY", 0.02)

    @contextlib.contextmanager
    def begin() -> Iterator[Watch]:
        telegram, mail, clock = TelegramFake(), FakeSmtp(), FakeClock(dt.datetime.now(dt.UTC))
        with serving(telegram.application()) as api, serving_mail(mail) as port:
            house = _house(tmp_path / "home", classifier)
            house.config = _configured(house, api, port)
            built = Watch(house, telegram, mail, clock)
            with service_running(Service(house, send=True, receive=True, clock=clock)):
                yield built
            house.database.close()

    return begin


def _configured(house: App, api: str, port: int) -> Any:
    bot = house.config.bot
    email = EmailConfig(host="localhost", port=port, tls="none", sender="truc@example.org")
    sections = {
        "hotline": bot.hotline.model_copy(update={"staffed": True, "email": email}),
        "telegram": bot.telegram.model_copy(update={"api": api, "per_second": 500.0, "chat_interval": 0.0}),
        "web": bot.web.model_copy(update={"public": CONSOLE}),
    }
    secrets = Secrets.model_validate({"telegram_token": TOKEN})
    return house.config.model_copy(update={"bot": bot.model_copy(update=sections), "secrets": secrets})


def test_s_28_a_cry_reaches_the_people_on_duty_and_the_truth_reaches_the_person(
    watch: Callable[[], contextlib.AbstractContextManager[Watch]],
) -> None:
    """An hears on Telegram, Binh by mail five minutes later, both after ten; after fifteen the person reads the truth, once."""
    with watch() as here:
        heard, words = here.telegram.heard_by, {name: here.house.library.console(name) for name in ("vi", "en")}
        here.until(lambda: heard(AN))
        assert heard(AN) == [f"{words['vi']['page']['text']} {CONSOLE}/console"]
        here.later(minutes=5)
        here.until(lambda: here.mail.taken)
        body = here.mail.taken[0].get_payload(decode=True)
        assert isinstance(body, bytes)
        assert body.decode().strip() == f"{words['en']['page']['text']} {CONSOLE}/console"
        here.later(minutes=5)
        here.until(lambda: len(heard(AN)) == len(here.mail.taken) == 2)
        assert heard(PERSON) == []
        here.later(minutes=5)
        here.until(lambda: heard(PERSON))
        here.later(minutes=5)
        time.sleep(0.3)
        (told,) = heard(PERSON)
        assert "+855 97 749 2430" in told
        assert (len(heard(AN)), len(here.mail.taken)) == (2, 2)


def test_a_look_that_fails_is_made_up_for(
    watch: Callable[[], contextlib.AbstractContextManager[Watch]],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An error in the clocks ends neither the service nor the clocks; the log holds its kind and no words of it."""
    real, failures = clocks.look, iter(range(3))

    def look(*given: Any) -> Any:
        if next(failures, None) is not None:
            raise RuntimeError("An +84900000007")
        return real(*given)

    monkeypatch.setattr(clocks, "look", look)
    with caplog.at_level(logging.ERROR, "banduong"), watch() as here:
        here.until(lambda: here.telegram.heard_by(AN))
    assert caplog.text.count("RuntimeError") == 3
    assert "+84900000007" not in caplog.text


def test_an_unstaffed_queue_has_no_clocks(reader: App) -> None:
    """Where nobody reads the queue, nobody is called and nobody is told that somebody was."""
    assert reader.queue_clock is None
