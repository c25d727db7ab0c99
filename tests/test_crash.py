"""kill -9 between any two steps of a turn: afterwards nothing is doubled and nothing is lost.

A child process has a house of its own on the same files, handles a talk, and kills itself at one step of one message. The
parent then handles the same messages again with the same external ids, as a channel does that got no answer.
"""

import datetime as dt
import json
import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from sqlalchemy import Row, Table, event, select
from sqlalchemy.engine import Engine
from sqlalchemy.pool import Pool

from bot import contacts, conversations
from bot.app import App
from bot.config import load_config
from bot.delivery import inbox, outbox
from bot.hotline import cases
from bot.messages import OutboundMessage
from bot.processor import Processor
from bot.retention import purge
from bot.store import tables
from bot.store.database import Database, open_database
from bot.testing import START
from tests.case_files import story
from tests.conftest import ROOT, message
from tests.houses import House, empty_file

REPORT = "chị tôi làm ở quán karaoke, chủ giữ giấy tờ và không trả lương 3 tháng nay"
HELD = "cứu em với, em đang bị nhốt ở Myawaddy"
CONSENTING = ("menu", REPORT, "1", "đồng ý")
CRYING = ("thoat", HELD)  # after "thoat" the address is silent until the next message
ERASING = ("menu", HELD, "xoa")
PATIENCE = 60
IDLE = dt.timedelta(minutes=30)

Step = tuple[Any, str]  # a module or class, and the name of a function in it
STEPS_OF_A_TURN: list[Step] = [
    (contacts, "find_or_create"),
    (inbox, "receive"),
    (conversations, "load"),
    (contacts, "heard_from"),
    (conversations, "save"),
    (cases, "open_case"),
    (cases, "add_event"),
    (outbox, "enqueue"),
    (Database, "commit"),
    (conversations.Drafts, "put"),
]
STEPS_OF_AN_ERASURE: list[Step] = [
    (inbox, "receive"),
    (cases, "erase_cases"),
    (contacts, "forget"),
    (Database, "commit"),
    (Database, "checkpoint"),
]
STEPS_OF_THE_FIRST_START: list[Step] = [
    (json, "dump"),
    (os, "fsync"),
    (Database, "commit"),
]


# Python 3.12 warns of a fork beside threads; the child opens a database of its own and starts none.
pytestmark = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")


def _name(step: Step) -> str:
    return f"{step[0].__name__.split('.')[-1]}.{step[1]}"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize(
    ("talk", "step"),
    [(CONSENTING, step) for step in STEPS_OF_A_TURN if step[1] != "heard_from"]
    + [(CRYING, step) for step in STEPS_OF_A_TURN],
    ids=lambda value: _name(value) if isinstance(value[0], ModuleType | type) else value[0],
)
def test_a_turn_that_is_killed_is_handled_once(
    talk: tuple[str, ...], step: Step, moment: str, home: Path, reader: App
) -> None:
    """Whatever step the process dies at: one row, one set of replies and one case a message after it came again."""
    _killed_at(step, moment, talk, home, reader)
    house = _house(home, reader)
    heard = _handle_all(house, talk)
    assert [len(_replies(house, number)) for number in range(len(talk))] == [len(replies) for replies in heard]
    assert all(heard)
    assert len(_rows(house, tables.inbox)) == len(talk)
    assert len(_rows(house, tables.addresses)) == len(_rows(house, tables.conversations)) == 1
    assert len(_rows(house, tables.cases)) == len(_rows(house, tables.consents)) == 1
    assert [row.kind for row in _rows(house, tables.case_events)].count("opened") == 1
    assert _words_in_the_case(house).count(HELD) == talk.count(HELD)
    assert _handle_all(house, talk) == heard
    house.database.close()


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("step", STEPS_OF_AN_ERASURE, ids=_name)
def test_an_erasure_that_is_killed_is_finished_when_it_comes_again(
    step: Step, moment: str, home: Path, reader: App
) -> None:
    """Whatever step the erasure dies at: after "xoa" came again nothing of the person is left, not even ciphertext."""
    house = _house(home, reader)
    _handle_all(house, ERASING[:-1])
    traces = [row.sealed_identifier for row in _rows(house, tables.addresses)]
    sealed = (tables.outbox, tables.case_events, tables.case_messages)
    traces += [row.sealed_body for table in sealed for row in _rows(house, table)]
    house.database.close()
    _killed_at(step, moment, ERASING, home, reader)
    house = _house(home, reader)
    _handle_all(house, ERASING, only=len(ERASING) - 1)
    files = b"".join(path.read_bytes() for path in home.glob("banduong.db*"))
    assert traces
    assert [trace for trace in traces if trace in files] == []
    assert [row.status for row in _rows(house, tables.cases)] == ["erased"]
    assert _rows(house, tables.addresses) == []
    house.database.close()


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("step", STEPS_OF_THE_FIRST_START, ids=_name)
def test_a_first_start_that_is_killed_can_be_started_again(step: Step, moment: str, home: Path, reader: App) -> None:
    """A house whose very first start died half-way, even while its keys were written, opens at the second try."""
    _killed_at(step, moment, (), home, reader)
    database = open_database(f"sqlite:///{home / 'banduong.db'}", home)
    assert [row.name for row in _select(database, tables.about)] == ["proof"]
    database.close()


def test_a_purge_that_is_killed_is_finished_by_the_next(home: Path, reader: App) -> None:
    """A purge that dies before its commit has removed nothing; the next one removes all."""
    house = _house(home, reader)
    _handle_all(house, CRYING)
    house.database.close()
    _killed_at((Database, "commit"), "before", "purge", home, reader)
    house = _house(home, reader)
    assert len(_rows(house, tables.conversations)) == 1
    assert purge(house.database, START.replace(hour=23), IDLE)["conversations"] == 1
    house.database.close()


# -- the child ---------------------------------------------------------------------------------------------------------


def _killed_at(step: Step, moment: str, talk: tuple[str, ...] | str, home: Path, reader: App) -> None:
    """Runs a child that handles `talk` and is gone at `step` of its last message."""
    empty_file()  # built here, once: each child would build its own
    child = multiprocessing.get_context("fork").Process(target=_child, args=(step, moment, talk, home, reader))
    child.start()
    child.join(PATIENCE)
    assert child.exitcode == -signal.SIGKILL, f"the child did not reach {step[1]} ({child.exitcode})"


def _child(step: Step, moment: str, talk: tuple[str, ...] | str, home: Path, reader: App) -> None:
    if not talk:
        _arm(step, moment)
        open_database(f"sqlite:///{home / 'banduong.db'}", home)
    house = _house(home, reader)
    if talk == "purge":
        _ = house.database
        _arm(step, moment)
        purge(house.database, START.replace(hour=23), IDLE)
        return
    _ = house.database
    _handle_all(house, tuple(talk[:-1]))
    _arm(step, moment)
    _handle_all(house, tuple(talk), only=len(talk) - 1)


def _arm(step: Step, moment: str) -> None:
    """Lets this process die before or after the step is done."""
    place, name = step
    if name == "commit":
        _arm_commit(moment)
        return
    real: Callable[..., Any] = getattr(place, name)

    def last(*arguments: Any, **named: Any) -> Any:
        if moment == "after":
            real(*arguments, **named)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(place, name, last)


def _arm_commit(moment: str) -> None:
    """At the first commit: before it, or right behind it, when the connection goes back to the pool."""

    def die(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def commit(_connection: object) -> None:
        if moment == "before":
            die()
        event.listen(Pool, "reset", die)

    event.listen(Engine, "commit", commit)


# -- helpers -----------------------------------------------------------------------------------------------------------


def _house(home: Path, reader: App) -> App:
    """A house on these files."""
    house = House(load_config(ROOT / "config.yml", {"BANDUONG_HOME": str(home)}))
    house.__dict__["classifier"] = reader.classifier
    return house


def _handle_all(house: App, talk: tuple[str, ...], only: int | None = None) -> list[tuple[OutboundMessage, ...]]:
    processor: Processor = house.processor
    return [
        processor.handle(message(text, number=number))
        for number, text in enumerate(talk)
        if only is None or number == only
    ]


def _replies(house: App, number: int) -> list[Row[Any]]:
    """The replies in the outbox to one message of the talk."""
    inbox_id = next(
        row.id for row in _rows(house, tables.inbox) if row.external_id == message("", number=number).external_id
    )
    return [row for row in _rows(house, tables.outbox) if row.inbox_id == inbox_id]


def _words_in_the_case(house: App) -> list[str]:
    return [line.body["text"] for line in story(house.database) if line.kind == "message"]


def _rows(house: App, table: Table) -> list[Row[Any]]:
    return _select(house.database, table)


def _select(database: Database, table: Table) -> list[Row[Any]]:
    with database.begin() as connection:
        return list(connection.execute(select(table)).all())
