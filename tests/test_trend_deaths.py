"""The short form of tests/soak_trends.py, and a death at each step of a counting and a closing."""

import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.pool import Pool

from bot.store import trend_tables as t
from bot.store.trend_database import TrendDatabase
from bot.trends import counters, keys, release
from bot.trends.counters import TrendStore
from bot.trends.periods import period_named
from bot.trends.release import close_due
from tests.soak_trends import Plan, soak
from tests.trending import (
    LATER,
    MONDAY,
    MONTH,
    OFFER,
    QUARTER,
    WEEK,
    cells_released,
    closing_hour,
    count_people,
    disagreements,
    exact,
    key_files,
    open_names,
    open_store,
    rows,
)

PATIENCE = 60
Step = tuple[object, str]
COMMIT: Step = (Engine, "commit")
STEPS_OF_A_COUNTING: list[Step] = [
    (counters, "insert_unless_there"), (keys.PeriodKey, "tag"), (TrendStore, "_add_one"), (keys.PeriodKey, "seal"), COMMIT,
]  # fmt: skip
STEPS_OF_AN_OPENING: list[Step] = [
    (os, "link"),
    (Path, "unlink"),
    (keys, "_sync"),
    (TrendStore, "_promise_of"),
    (keys.PeriodKey, "seal"),
    COMMIT,
]
STEPS_OF_A_CLOSING: list[Step] = [
    (release, "noisy"), (release, "_release"), (release, "_write_down"), (release, "_destroy_rows"), COMMIT,
    (keys.PeriodKeys, "destroy"), (Path, "unlink"), (keys, "_sync"), (TrendDatabase, "leave_nothing"),
]  # fmt: skip

# Python 3.12 warns of a fork beside threads; the child opens a store of its own and starts none.
pytestmark = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")


def _name(step: object) -> str:
    return step[1] if isinstance(step, tuple) else str(step)


def test_t_08_whenever_a_process_dies_ledger_tables_and_releases_agree(tmp_path: Path) -> None:
    """Real processes, kill -9 at random points of counting and closing; more with BANDUONG_SOAK_KILLS."""
    kills = int(os.environ.get("BANDUONG_SOAK_KILLS", "25"))
    result = soak(Plan(kills=kills, between=(0.02, 0.4)), tmp_path)
    assert result["wrong"] == []
    assert result["closed"]  # there was something to die in


@pytest.mark.postgres
def test_t_08_the_same_on_a_server(postgres_database: str, tmp_path: Path) -> None:
    """Where a dead process leaves its transaction to the server."""
    result = soak(Plan(kills=8, between=(0.1, 0.4)), tmp_path, postgres_database)
    assert result["wrong"] == []
    assert result["closed"]


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("step", STEPS_OF_AN_OPENING, ids=_name)
def test_t_08_an_opening_that_is_killed_is_done_by_the_next_look(step: Step, moment: str, tmp_path: Path) -> None:
    """A key without its period does no harm: the next look uses it. Whatever else lies beside it goes with it."""
    _killed_at(step, moment, tmp_path, lambda store: store.open_periods(MONDAY))
    store = open_store(tmp_path)
    store.open_periods(MONDAY)
    assert open_names(store) == key_files(store) == {WEEK, MONTH, QUARTER}
    assert store.count("web|lan", OFFER, MONDAY)
    assert disagreements(store) == []
    secrets = [key.secret for name in key_files(store) if (key := store.keys.find(period_named(name)))]
    close_due(store, MONDAY + LATER)
    assert not [
        path for path in tmp_path.rglob("*") for secret in secrets if path.is_file() and secret in path.read_bytes()
    ]
    store.database.close()


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("step", STEPS_OF_A_COUNTING, ids=_name)
def test_t_08_a_counting_that_is_killed_counts_whole_or_not_at_all(step: Step, moment: str, tmp_path: Path) -> None:
    """And once more is once: the person is in each table exactly once afterwards."""
    store = open_store(tmp_path)
    count_people(store, MONDAY, people=3)
    store.database.close()
    _killed_at(step, moment, tmp_path, lambda store: store.count("web|lan", OFFER, MONDAY))
    store = open_store(tmp_path)
    assert disagreements(store) == []
    done = sum(exact(store, WEEK)["risk"].values()) == 4
    assert done == ((step, moment) == (COMMIT, "after"))
    assert store.count("web|lan", OFFER, MONDAY) is not done
    assert sum(exact(store, WEEK)["risk"].values()) == 4
    assert disagreements(store) == []
    store.database.close()


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("step", STEPS_OF_A_CLOSING, ids=_name)
def test_t_08_a_closing_that_is_killed_releases_once(step: Step, moment: str, tmp_path: Path) -> None:
    """Before its commit nothing is released and nothing lost; behind it the next look destroys the key and releases nothing again."""
    store = open_store(tmp_path)
    count_people(store, MONDAY, people=3)
    hour = closing_hour(store, WEEK)
    store.database.close()
    _killed_at(step, moment, tmp_path, lambda store: close_due(store, hour))
    store = open_store(tmp_path)
    at_once = rows(store, t.releases)
    assert bool(at_once) == (WEEK not in open_names(store))
    assert bool(at_once) == (step in STEPS_OF_A_CLOSING[5:] or (step, moment) == (COMMIT, "after"))
    close_due(store, hour)
    assert cells_released(store) == {(WEEK, "risk"): 4, (WEEK, "topic"): 12}
    assert not at_once or rows(store, t.releases) == at_once
    assert key_files(store) == open_names(store) == {MONTH, QUARTER}
    assert store.keys.find(period_named(WEEK)) is None
    assert disagreements(store) == []
    store.database.close()


# -- the child ---------------------------------------------------------------------------------------------------------


def _killed_at(step: Step, moment: str, home: Path, work: Callable[[TrendStore], object]) -> None:
    child = multiprocessing.get_context("fork").Process(target=_child, args=(step, moment, home, work))
    child.start()
    child.join(PATIENCE)
    assert child.exitcode == -signal.SIGKILL, f"the child did not reach {step[1]} ({child.exitcode})"


def _child(step: Step, moment: str, home: Path, work: Callable[[TrendStore], object]) -> None:
    store = open_store(home)
    open_names(store)  # which opens it
    _arm(step, moment)
    work(store)


def _arm(step: Step, moment: str) -> None:
    """Lets this process die before or after the step is done."""
    place, name = step
    if name == "commit":
        _arm_commit(moment)
        return
    assert isinstance(place, type | ModuleType)
    real: Callable[..., Any] = getattr(place, name)

    def last(*arguments: Any, **named: Any) -> Any:
        if moment == "after":
            real(*arguments, **named)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(place, name, staticmethod(last) if isinstance(vars(place)[name], staticmethod) else last)


def _arm_commit(moment: str) -> None:
    """At the first commit that follows a write: before it, or right behind it, when the connection goes back to the pool."""
    wrote = []

    def see(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        wrote.extend([True] if statement.startswith(("INSERT", "UPDATE", "DELETE")) else [])

    def die(*_: object) -> None:
        if wrote:
            os.kill(os.getpid(), signal.SIGKILL)

    def commit(connection: object) -> None:
        if moment == "before":
            die()
        elif wrote:
            event.listen(Pool, "reset", die)

    event.listen(Engine, "before_cursor_execute", see)
    event.listen(Engine, "commit", commit)
