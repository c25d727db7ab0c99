"""A whole house with one SMS provider, and the people who write to it."""

import asyncio
import contextlib
import datetime as dt
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import select

from bot.app import App
from bot.channels.base import CAPABILITIES
from bot.config import Config, Secrets, SmsConfig
from bot.delivery.render import parts
from bot.service import Service
from bot.store import tables
from bot.testing import Dialog, FakeClock, read_dialogs
from bot.understanding.classifier import EmbeddedClassifier
from bot.web.pages import create_site
from tests.conftest import ROOT, _house
from tests.fakes.server import serving

PATIENCE = 20.0
UNDER_WAY = ("queued", "claimed", "sending")

# Talks that every way to us must carry.
DIALOGS = [
    dialog
    for path in sorted((ROOT / "tests" / "dialogs").glob("*.yml"))
    for dialog in read_dialogs(path)
    if dialog.channel == "sms" or "S-26" in dialog.ids
] + read_dialogs(ROOT / "tests" / "dialogs" / "offers.yml")[:12]


class Phones(Protocol):
    """People with phones, behind a provider's fake."""

    def say(self, number: str, text: str) -> Any: ...

    def heard_by(self, number: str) -> list[str]: ...


@dataclass
class SmsTown:
    fake: Phones
    house: App
    clock: FakeClock
    site: str
    _heard: dict[str, int] = field(default_factory=dict)

    def say(self, number: str, text: str) -> list[str]:
        """A person writes; the texts that came back."""
        arrived = len(self.rows(tables.inbox))
        self.fake.say(number, text)
        self.until(lambda: len(self.rows(tables.inbox)) > arrived)
        return self.news(number)

    def news(self, number: str) -> list[str]:
        """What reached this person since the last look, once nothing is under way."""
        self.until(lambda: not any(row.status in UNDER_WAY for row in self.rows(tables.outbox)))
        heard = self.fake.heard_by(number)
        before = self._heard.get(number, 0)
        self._heard[number] = len(heard)
        return heard[before:]

    def plays(self, dialog: Dialog, number: str) -> None:
        """The talk is heard as the engine says it: every line, in order, once."""
        rehearsal = self.house.rehearsal("sms")
        for line in dialog.talk:
            self.clock.advance(dt.timedelta(seconds=20))
            if line.media or line.after:
                continue
            _, turn = rehearsal.say(line.say, self.clock())
            texts = [part.text for reply in turn.replies for part in parts(reply, CAPABILITIES["sms"])]
            assert self.say(number, line.say) == texts

    def rows(self, table: Any) -> list[Any]:
        with self.house.database.begin() as connection:
            return list(connection.execute(select(table)).all())

    def statuses(self) -> list[str]:
        return [row.status for row in sorted(self.rows(tables.outbox), key=lambda row: row.created_at)]

    def until(self, is_so: Callable[[], bool]) -> None:
        until = time.monotonic() + PATIENCE
        while not is_so():
            if time.monotonic() > until:
                raise TimeoutError
            time.sleep(0.01)


@contextlib.contextmanager
def sms_town(
    fake: Phones, home: Path, classifier: EmbeddedClassifier, settings: dict[str, Any], secrets: dict[str, str],
    found: Callable[[str], None] = lambda _site: None,
) -> Iterator[SmsTown]:  # fmt: skip
    """`settings` are config.yml's `bot.sms`; `found` hears where the site really is."""
    house = _house(home, classifier)
    house.config = _with_sms(house.config, {"per_second": 500, "chat_interval": 0, **settings}, secrets)
    clock = FakeClock(dt.datetime.now(dt.UTC))
    service = Service(house, send=True, receive=True, clock=clock)
    with serving(create_site(house, service)) as site:
        found(site)
        with service_running(service):
            yield SmsTown(fake, house, clock, site)
    house.database.close()


def _with_sms(config: Config, settings: dict[str, Any], secrets: dict[str, str]) -> Config:
    bot = config.bot.model_copy(update={"sms": SmsConfig.model_validate(settings)})
    return config.model_copy(update={"bot": bot, "secrets": Secrets.model_validate(secrets)})


@contextlib.contextmanager
def service_running(service: Service) -> Iterator[None]:
    """In a loop of its own; what ends it early is raised here."""
    loop, stopping = asyncio.new_event_loop(), asyncio.Event()
    failures: list[BaseException] = []

    def run() -> None:
        try:
            loop.run_until_complete(service.run(stopping))
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(stopping.set)
        thread.join(PATIENCE)
        loop.close()
    if failures:
        raise failures[0]
