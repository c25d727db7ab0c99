"""Alerts in a running service: engine, feed and senders together, against a provider that answers as Telegram does."""

import contextlib
import datetime as dt
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from bot import announcing
from bot.app import App
from bot.config import Config, Secrets
from bot.outreach import schedule
from bot.outreach.audience import Audience
from bot.outreach.schedule import Repetition
from bot.service import Service
from bot.store import tables as t
from bot.understanding.classifier import EmbeddedClassifier
from tests.broadcasting import WORDS, Office, a_plan, a_subscriber
from tests.conftest import ROOT, _house
from tests.fakes.server import serving
from tests.fakes.telegram import TOKEN, TelegramFake
from tests.towns import PATIENCE, service_running

DAY = dt.timedelta(days=1)


@pytest.fixture
def running(
    tmp_path: Path, classifier: EmbeddedClassifier, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], contextlib.AbstractContextManager[tuple[Office, TelegramFake]]]:
    """A house whose service sends."""
    monkeypatch.setattr(announcing, "LOOK_EVERY", 0.05)
    monkeypatch.setattr(announcing, "FEED_EVERY", 0.05)
    monkeypatch.setattr(announcing, "SCHEDULES_EVERY", 0.2)

    @contextlib.contextmanager
    def begin() -> Iterator[tuple[Office, TelegramFake]]:
        fake = TelegramFake()
        with serving(fake.application()) as api:
            house = _house(tmp_path / "home", classifier)
            house.config = _configured(house, api)
            office = Office(house)
            with service_running(Service(house, send=True, receive=False)):
                yield office, fake
            house.database.close()

    return begin


def _configured(house: App, api: str) -> Config:
    bot = house.config.bot
    telegram = bot.telegram.model_copy(update={"api": api, "per_second": 200.0, "chat_interval": 0.0})
    secrets = Secrets.model_validate({"telegram_token": TOKEN})
    return house.config.model_copy(update={"bot": bot.model_copy(update={"telegram": telegram}), "secrets": secrets})


def eventually(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + 2 * PATIENCE
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_an_alert_goes_its_whole_way(
    running: Callable[[], contextlib.AbstractContextManager[tuple[Office, TelegramFake]]],
) -> None:
    """Submitted and approved; the engine goes through the audience, everybody hears it once, with label and opt-out; it is done."""
    with running() as (office, fake):
        now = dt.datetime.now(dt.UTC)
        with office.house.database.begin() as connection:
            for number in range(300):
                a_subscriber(connection, office.house, str(number + 1), at=now - DAY)
        plan = a_plan(valid_until=now + DAY, urgent=True)  # so that the test may run at night
        sent = office.approved(plan, now, 300)
        eventually(lambda: office.now(sent.id).status == "done")
        heard = [fake.heard_by(number + 1) for number in range(300)]
        assert {len(each) for each in heard} == {1}
        assert heard[0][0].startswith("[QC] ")
        assert "STOP" in heard[0][0]
        assert (office.house.config.home / "engine.db").exists()


def test_a_schedule_that_is_active_comes_round_and_one_that_is_paused_does_not(
    running: Callable[[], contextlib.AbstractContextManager[tuple[Office, TelegramFake]]],
) -> None:
    """Every two seconds, for the sake of the test: the engine itself makes each alert, once."""
    with running() as (office, _fake):
        now = dt.datetime.now(dt.UTC)
        with office.house.database.begin() as connection:
            a_subscriber(connection, office.house, "1", at=now - DAY)
            wanted = Repetition(WORDS, Audience(), "*/2 * * * * *", dt.timedelta(hours=1), now + DAY)
            written = schedule.write(connection, office.keyring, wanted, office.an, now)
            schedule.approve(connection, office.keyring, written.id, written.digest, office.binh, now)
        eventually(lambda: len(_moments(office)) >= 2)
        with office.house.database.begin() as connection:
            schedule.set_status(connection, office.keyring, written.id, "paused", office.an, now)
        made = _moments(office)
        time.sleep(2.5)
        assert len(made) == len(set(made))
        assert _moments(office) == made


def test_what_the_engine_brings_changes_nothing_under_the_senders() -> None:
    """SQLAlchemy's statements are built otherwise once its mapper is there, and fail while it is being loaded: it comes first. The
    rest of the engine comes when there is something for it to do."""
    loaded = "import sys, bot.announcing; print('sqlalchemy.orm' in sys.modules, 'dbos' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", loaded], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["True", "False"]


def _moments(office: Office) -> list[dt.datetime]:
    with office.house.database.begin() as connection:
        return list(connection.execute(select(t.broadcasts.c.due_at).order_by(t.broadcasts.c.due_at)).scalars())
