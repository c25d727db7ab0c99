"""The engine on real databases: runs end, whatever dies; schedules come round once, and never late."""

import contextlib
import datetime as dt
import logging
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st
from sqlalchemy import MetaData, select

from bot import jobs
from bot.errors import CronError, StoreError
from bot.jobs import A_DAY, Engine, check_cron, next_times
from bot.messages import VIETNAM
from tests.conftest import ROOT
from tests.engine_process import Ledger

SECRET = "0901234567"
LOST_AFTER = 0.6
PATIENCE = 60.0  # seconds, on a busy machine
A_WHILE = 60.0  # longer than any test: nothing is taken over
QUICKLY = (0.01, 0.02)
EVERY_SECOND = "* * * * * *"  # six fields, which only a test has
NOON = dt.datetime(2026, 11, 22, 5, tzinfo=dt.UTC)  # a Sunday, in Viet Nam


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest) -> str:
    if request.param == "postgres":
        return str(request.getfixturevalue("postgres_database"))
    return str(request.getfixturevalue("sqlite_url"))


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """Where the database makes no difference."""
    return f"sqlite:///{tmp_path / 'banduong.db'}"


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger", 10)


@contextlib.contextmanager
def an_engine(url: str, home: Path, **wanted: Any) -> Iterator[Engine]:
    calls = {"expand": lambda _id: False, "due": lambda _id, _moment: None, "lost_after": A_WHILE, **wanted}
    engine = Engine(url, home, **calls)
    engine.launch()
    try:
        yield engine
    finally:
        engine.close()


@contextlib.contextmanager
def another_process(
    url: str, home: Path, ledger: Ledger, *broadcasts: str, lost_after: float = A_WHILE
) -> Iterator[subprocess.Popen[str]]:
    words = [
        sys.executable,
        "-m",
        "tests.engine_process",
        url,
        home,
        ledger.path,
        ledger.steps,
        lost_after,
        *broadcasts,
    ]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [str(word) for word in words], cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def ready(process: subprocess.Popen[str]) -> None:
    assert process.stderr is not None
    assert process.stderr.readline() == "ready\n"


def ended_well(process: subprocess.Popen[str]) -> bool:
    """It stops when its input ends; it has printed nothing, called nobody, nor complained."""
    said, complaints = process.communicate(timeout=PATIENCE)
    return (process.returncode, said, complaints) == (0, "", "")


def eventually(holds: Callable[[], object]) -> None:
    ends = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < ends, "it did not come to that"
        time.sleep(0.02)


def told_no_more(ledger: Ledger, schedule: str) -> list[str]:
    """The moments of a schedule that has stopped: none for two seconds, once what was under way is through."""
    for _ in range(10):
        moments = ledger.lines(schedule)
        time.sleep(2.2)
        if ledger.lines(schedule) == moments:
            return moments
    raise AssertionError("it goes on")


def runs(engine: Engine, *columns: str) -> Sequence[Any]:
    """What DBOS has written down of its runs."""
    return _rows(engine, "workflow_status", columns or ("workflow_uuid", "status"))


def everything(engine: Engine) -> str:
    return str([_rows(engine, name, ()) for name in _tables(engine)])


def _rows(engine: Engine, name: str, columns: Sequence[str]) -> Sequence[Any]:
    table = _tables(engine)[name]
    with engine._connections.connect() as connection:
        return connection.execute(select(*(table.c[column] for column in columns or table.c.keys()))).all()


def _tables(engine: Engine) -> dict[str, Any]:
    metadata = MetaData()
    metadata.reflect(engine._connections, schema=None if engine._connections.dialect.name == "sqlite" else "dbos")
    return {table.name: table for table in metadata.tables.values()}


# -- broadcasts --------------------------------------------------------------------------------------------------------


def test_a_run_goes_on_until_there_is_no_more(
    url: str, tmp_path: Path, ledger: Ledger, capfd: pytest.CaptureFixture[str]
) -> None:
    """However often it is asked for, each step is done once; and nothing is printed."""
    calls: list[bool] = []

    def expand(name: str) -> bool:
        calls.append(ledger.expand(name))
        return calls[-1]

    with an_engine(url, tmp_path, expand=expand) as engine:
        for _ in range(3):
            engine.expand("b1")
        eventually(lambda: False in calls)
        eventually(lambda: list(runs(engine)) == [("broadcast-b1-1", "SUCCESS")])
    assert calls == [True] * 9 + [False]
    assert ledger.lines("b1") == [str(number) for number in range(1, 11)]
    assert capfd.readouterr() == ("", "")


def test_after_kill_9_a_new_process_goes_on(url: str, tmp_path: Path, ledger: Ledger) -> None:
    """Another executor id; and nobody has to ask again."""
    ledger.steps = 1_000_000  # it is killed long before that
    with another_process(url, tmp_path, ledger, "b1") as process:
        eventually(lambda: len(ledger.lines("b1")) > 5)
        process.kill()
        process.wait()
    ledger.steps = len(ledger.lines("b1")) + 30
    with an_engine(url, tmp_path, expand=ledger.expand, lost_after=LOST_AFTER) as engine:
        engine.expand("b1")  # changes nothing: the run is there
        eventually(lambda: list(runs(engine)) == [("broadcast-b1-1", "SUCCESS")])
    assert ledger.lines("b1") == [str(number) for number in range(1, ledger.steps + 1)]


def test_two_processes_at_once_do_each_step_once(url: str, tmp_path: Path, ledger: Ledger) -> None:
    """Both make the tables, and both begin the same broadcasts."""
    ledger.steps = 8
    names = [f"b{number}" for number in range(3)]
    with (
        another_process(url, tmp_path, ledger, *names) as one,
        another_process(url, tmp_path, ledger, *names) as two,
    ):
        ready(one)
        ready(two)
        eventually(lambda: all(len(ledger.lines(name)) == 8 for name in names))
        assert ended_well(one)
        assert ended_well(two)
    assert all(ledger.lines(name) == [str(number) for number in range(1, 9)] for name in names)


@pytest.mark.postgres
def test_a_run_that_is_only_slow_may_be_doubled(postgres_database: str, tmp_path: Path, ledger: Ledger) -> None:
    """Another process takes it for lost. Each step is still done once, and both processes can end."""
    ledger.steps = 5
    calls: list[str] = []

    def expand(name: str) -> bool:
        calls.append(name)
        time.sleep(2.5 * LOST_AFTER if len(calls) == 1 else 0)
        return ledger.expand(name)

    with an_engine(postgres_database, tmp_path, expand=expand) as engine:
        engine.expand("b1")
        with another_process(postgres_database, tmp_path, ledger, lost_after=LOST_AFTER) as other:
            eventually(lambda: len(ledger.lines("b1")) == 5)
            eventually(lambda: not engine._runs)
            eventually(lambda: list(runs(engine)) == [("broadcast-b1-1", "SUCCESS")])
            other.communicate(timeout=PATIENCE)
            assert other.returncode == 0
    assert ledger.lines("b1") == [str(number) for number in range(1, 6)]


def test_a_step_that_fails_is_tried_again_and_later_begun_anew(
    sqlite_url: str, tmp_path: Path, ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    """What it failed with, which may hold a number, gets neither into the log nor into the engine's tables."""
    trouble = [True] * 2

    def expand(name: str) -> bool:
        if trouble:
            trouble.pop()
            raise RuntimeError(f"nobody has {SECRET}")
        return ledger.expand(name)

    with caplog.at_level(logging.DEBUG), an_engine(sqlite_url, tmp_path, expand=expand, retry_after=QUICKLY) as engine:
        engine.expand("b1")
        eventually(lambda: list(runs(engine)) == [("broadcast-b1-1", "SUCCESS")])
        trouble += [True] * 3
        engine.expand("b2")
        eventually(lambda: ("broadcast-b2-1", "ERROR") in runs(engine))
        assert ledger.lines("b2") == []
        engine.expand("b2")
        eventually(lambda: ("broadcast-b2-2", "SUCCESS") in runs(engine))
        assert SECRET not in everything(engine)
    assert len(ledger.lines("b1")) == len(ledger.lines("b2")) == 10
    assert "a step of the engine failed (RuntimeError)" in caplog.text
    assert SECRET not in caplog.text


def test_what_is_unfinished_when_an_engine_closes_is_taken_up_by_the_next(
    sqlite_url: str, tmp_path: Path, ledger: Ledger
) -> None:
    """Also while a step waits to be tried again; closing does not wait for that."""

    def fails(_name: str) -> bool:
        raise RuntimeError

    with an_engine(sqlite_url, tmp_path, expand=fails, retry_after=[3600.0]) as engine:
        engine.expand("b1")
        eventually(lambda: engine._runs)
        began = time.monotonic()
    assert time.monotonic() - began < PATIENCE
    with an_engine(sqlite_url, tmp_path, expand=ledger.expand, lost_after=LOST_AFTER) as engine:
        eventually(lambda: list(runs(engine)) == [("broadcast-b1-1", "SUCCESS")])
    assert len(ledger.lines("b1")) == 10


def test_what_has_ended_is_forgotten(url: str, tmp_path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """D-13: after two days; a run that is under way stays."""
    with an_engine(url, tmp_path, expand=lambda name: ledger.expand(name) or name == "endless") as engine:
        engine.expand("done")
        engine.expand("endless")
        eventually(lambda: ("broadcast-done-1", "SUCCESS") in runs(engine))
        engine._forget()
        assert len(runs(engine)) == 2
        monkeypatch.setattr(jobs, "RECORD_LIFE", dt.timedelta(seconds=-5))
        engine._forget()
        assert [name for name, _ in runs(engine)] == ["broadcast-endless-1"]
        assert "done" not in everything(engine)


# -- schedules ---------------------------------------------------------------------------------------------------------


def test_each_moment_comes_once_whatever_the_number_of_processes(url: str, tmp_path: Path, ledger: Ledger) -> None:
    """One process sets the schedule and drops it; the other learns of it."""
    with another_process(url, tmp_path, ledger) as other, an_engine(url, tmp_path, due=ledger.due) as engine:
        ready(other)
        engine.set_schedule("s1", EVERY_SECOND)
        assert engine.schedules() == {"s1": EVERY_SECOND}
        eventually(lambda: len(ledger.lines("s1")) >= 2)
        engine.drop_schedule("s1")
        assert engine.schedules() == {}
        moments = told_no_more(ledger, "s1")
        assert ended_well(other)
    assert len(set(moments)) == len(moments)


def test_a_moment_that_went_by_is_not_made_up(sqlite_url: str, tmp_path: Path) -> None:
    """Nor one of a schedule that was dropped, or has other times now."""
    told: list[tuple[str, dt.datetime]] = []
    now = dt.datetime.now(VIETNAM).replace(microsecond=0)
    with an_engine(sqlite_url, tmp_path, due=lambda name, moment: told.append((name, moment))) as engine:
        engine.set_schedule("s1", f"{now.second} {now.minute} {now.hour} * * *")
        come(engine, "s1", now - A_DAY)
        come(engine, "s1", now + dt.timedelta(seconds=1))
        come(engine, "dropped", now)
        come(engine, "s1", now)
        eventually(lambda: [status for _, status in runs(engine)] == ["SUCCESS"] * 4)
    assert told == [("s1", now)]
    assert told[0][1].tzinfo is dt.UTC


def test_a_moment_that_cannot_be_told_is_tried_until_it_can(sqlite_url: str, tmp_path: Path) -> None:
    """The run is left and taken over, as if its process had died."""
    tries: list[str] = []

    def due(name: str, _moment: dt.datetime) -> None:
        tries.append(name)
        if len(tries) <= len(QUICKLY) + 2:
            raise RuntimeError

    now = dt.datetime.now(VIETNAM).replace(second=0, microsecond=0)
    with an_engine(sqlite_url, tmp_path, due=due, retry_after=QUICKLY, lost_after=LOST_AFTER) as engine:
        engine.set_schedule("s1", f"{now.minute} {now.hour} * * *")
        come(engine, "s1", now)
        eventually(lambda: [status for _, status in runs(engine)] == ["SUCCESS"])
    assert len(tries) == len(QUICKLY) + 3


def come(engine: Engine, schedule_id: str, moment: dt.datetime) -> None:
    """As DBOS does when a moment has come."""
    from dbos import DBOS

    assert engine._come is not None
    DBOS.start_workflow(engine._come, moment.isoformat(), schedule_id)


# -- the times of a schedule -------------------------------------------------------------------------------------------


@hypothesis.given(
    minute=st.integers(0, 59),
    hour=st.integers(0, 23),
    day=st.sampled_from(["*", "1-5", "0,3,6", "6"]),
    minutes=st.integers(0, 7_000_000),
)
def test_a_schedule_keeps_viet_nams_clock(minute: int, hour: int, day: str, minutes: int) -> None:
    after = NOON + dt.timedelta(minutes=minutes)
    cron = f"{minute} {hour} * * {day}"
    check_cron(cron)
    moments = next_times(cron, after, 5)
    assert len(moments) == 5
    assert all(moment.tzinfo is dt.UTC for moment in moments)
    assert {(moment.astimezone(VIETNAM).hour, moment.astimezone(VIETNAM).minute) for moment in moments} == {
        (hour, minute)
    }
    assert after < moments[0] <= after + dt.timedelta(days=7)
    assert all(later - earlier >= A_DAY for earlier, later in pairwise(moments))


def test_the_next_times_are_those_of_the_calendar() -> None:
    assert next_times("0 8 * * 1", NOON, 2) == [
        dt.datetime(2026, 11, 23, 1, tzinfo=dt.UTC),
        dt.datetime(2026, 11, 30, 1, tzinfo=dt.UTC),
    ]


@pytest.mark.parametrize(
    "cron",
    [
        "", "0 8 * *", "0 8 * * 1 2", "60 8 * * *", "0 24 * * *", "@daily", "R R * * *", "H 8 * * *", "0 8 * * mon", "0  8 * * 1",
        "0 8 * * 1\n", "x", "0 8 0 * *", "*/0 8 * * *",
    ],
)  # fmt: skip
def test_what_is_no_schedule_is_refused_with_an_example(cron: str) -> None:
    with pytest.raises(CronError, match="five fields") as refusal:
        check_cron(cron)
    assert refusal.value.reason == "form"


@pytest.mark.parametrize(
    ("cron", "least"),
    [
        ("* * * * *", A_DAY),
        ("0 8,20 * * *", A_DAY),
        ("0 8,20 1 1 *", A_DAY),
        ("*/30 8 * * 0", A_DAY),
        ("0 8 * * 1-5", 2 * A_DAY),
        ("0 8 * * *", A_DAY + dt.timedelta(seconds=1)),
        ("* * * * *", dt.timedelta(seconds=61)),
    ],
)
def test_what_comes_too_often_is_refused(cron: str, least: dt.timedelta) -> None:
    with pytest.raises(CronError, match="too often") as refusal:
        check_cron(cron, least)
    assert refusal.value.reason == "often"


def test_what_never_comes_is_refused() -> None:
    with pytest.raises(CronError, match="no day") as refusal:
        check_cron("0 8 31 2 *")
    assert refusal.value.reason == "never"
    assert next_times("0 8 31 2 *", NOON, 3) == []


def test_what_comes_seldom_is_a_schedule() -> None:
    for cron in ("0 8 1 1 *", "0 8 29 2 *", "0 8 * * 0", "30 7 1,15 * *"):
        check_cron(cron)
    check_cron("0 8,20 * * *", dt.timedelta(hours=12))


# -- the engine and its surroundings -----------------------------------------------------------------------------------


def test_one_engine_a_process(sqlite_url: str, tmp_path: Path) -> None:
    """A second one is refused while the first works, and works afterwards."""
    with an_engine(sqlite_url, tmp_path) as first:
        with pytest.raises(RuntimeError, match="already"):
            Engine(sqlite_url, tmp_path, expand=first._expand, due=first._due).launch()
        assert first.schedules() == {}
    with an_engine(sqlite_url, tmp_path) as second:
        assert second.schedules() == {}


def test_an_engine_that_cannot_begin_says_what_to_do_and_is_out_of_the_way(sqlite_url: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="must be writable"), an_engine(sqlite_url, tmp_path / "missing"):
        pass
    with an_engine(sqlite_url, tmp_path) as engine:
        assert engine.schedules() == {}


@pytest.mark.postgres
def test_without_the_right_to_make_the_schema_the_engine_says_so(postgres_database: str, tmp_path: Path) -> None:
    from sqlalchemy import create_engine, make_url, text

    owner = create_engine(make_url(postgres_database).set(drivername="postgresql+psycopg"))
    with owner.begin() as connection:
        connection.execute(text("DROP ROLE IF EXISTS guest"))
        connection.execute(text("CREATE ROLE guest LOGIN"))
    guest = make_url(postgres_database).set(username="guest", password=None).render_as_string()
    with pytest.raises(StoreError, match="right CREATE"), an_engine(guest, tmp_path):
        pass
    with owner.begin() as connection:
        connection.execute(text("DROP ROLE guest"))
    owner.dispose()


def test_on_sqlite_the_engine_survives_a_power_cut(sqlite_url: str, tmp_path: Path) -> None:
    """Write-ahead log, and every commit on the disk."""
    with an_engine(sqlite_url, tmp_path) as engine, engine._connections.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
    assert (tmp_path / "engine.db").exists()


def test_a_pickle_in_the_engines_tables_is_not_opened(sqlite_url: str, tmp_path: Path) -> None:
    """Who can write into the database cannot run code in the bot."""
    import base64

    trap = tmp_path / "trap"
    code = base64.b64encode(f"cos\nsystem\n(S'touch {trap}'\ntR.".encode()).decode()
    with an_engine(sqlite_url, tmp_path) as engine:
        come(engine, "s1", NOON)
        eventually(lambda: [status for _, status in runs(engine)] == ["SUCCESS"])
        tables = _tables(engine)
        name = runs(engine)[0][0]
        with engine._connections.begin() as connection:
            table = tables["workflow_input"]
            assert connection.execute(table.update().values(inputs=code)).rowcount == 1
            status = {"status": "ENQUEUED", "serialization": "py_pickle", "queue_name": "_dbos_internal_queue"}
            connection.execute(tables["workflow_status"].update().values(**status))
        eventually(lambda: list(runs(engine)) == [(name, "ERROR")])
    assert not trap.exists()


def test_what_a_worker_does_without_is_loaded_only_where_it_is_used() -> None:
    """DBOS by an engine that begins, numpy by a model: a process that only sends does without."""
    look = (
        "import sys, bot.app, bot.service, bot.cli, bot.jobs; print({'dbos', 'croniter', 'numpy'} & set(sys.modules))"
    )
    said = subprocess.run([sys.executable, "-c", look], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert said == "set()\n"
