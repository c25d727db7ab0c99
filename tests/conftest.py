"""One trained model for the whole run; every test has a home of its own."""

import datetime as dt
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from bot.app import App
from bot.config import Config, load_config
from bot.messages import Address, InboundMessage
from bot.staff.passwords import Cost
from bot.testing import START
from bot.understanding.classifier import EmbeddedClassifier
from bot.understanding.training import load_or_train
from tests.houses import House

ROOT = Path(__file__).parent.parent
SHARED = ROOT.parent / "shared"
TODAY = START.date()
CHEAP = Cost(rounds=1, memory=64)  # the same computation as in earnest, a thousand times lighter

pytest_plugins = ["tests.postgres"]

hypothesis.settings.register_profile("ours", deadline=None)  # how long an example takes is measured by the bench
hypothesis.settings.load_profile("ours")


@pytest.fixture(scope="session")
def classifier() -> EmbeddedClassifier:
    """The model that `make run` uses too; the first worker that comes trains it."""
    home = ROOT / "var"
    home.mkdir(exist_ok=True)
    with (home / "training.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return load_or_train(ROOT / "nlu", home / "model", print)


@pytest.fixture(scope="session")
def reader(classifier: EmbeddedClassifier, tmp_path_factory: pytest.TempPathFactory) -> App:
    """A house for everything that needs no store."""
    return _house(tmp_path_factory.mktemp("reader"), classifier)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return load_config(ROOT / "config.yml", {"BANDUONG_HOME": str(tmp_path / "home")})


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def house(request: pytest.FixtureRequest, tmp_path: Path, classifier: EmbeddedClassifier) -> Iterator[App]:
    """A whole house with an empty database: on SQLite, and on PostgreSQL."""
    url = request.getfixturevalue("postgres_store") if request.param == "postgres" else None
    built = _house(tmp_path / "home", classifier, url)
    yield built
    close(built)


@pytest.fixture
def sqlite_house(tmp_path: Path, classifier: EmbeddedClassifier) -> Iterator[App]:
    built = _house(tmp_path / "home", classifier)
    yield built
    close(built)


def _house(home: Path, classifier: EmbeddedClassifier, url: str | None = None) -> App:
    environment = {"BANDUONG_HOME": str(home), **({"BANDUONG_DATABASE_URL": url} if url else {})}
    built = House(load_config(ROOT / "config.yml", environment))
    built.__dict__["classifier"] = classifier  # nobody waits for a second training
    built.password_costs = (CHEAP, CHEAP)
    return built


def close(house: App) -> None:
    """What of its stores was opened."""
    for store in ("database", "trends"):
        if store in house.__dict__:
            (house.trends.database if store == "trends" else house.database).close()


def message(
    text: str, *, to: str = "someone", number: int = 1, channel: str = "web", at: dt.datetime = START
) -> InboundMessage:
    return InboundMessage(Address(channel, to), f"{to}-{number}", text, at)


def on_ci() -> bool:
    return os.environ.get("CI") == "true"
