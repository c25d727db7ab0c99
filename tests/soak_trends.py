"""kill -9 of processes that count and close trends, at random points; afterwards ledger, tables, releases and keys agree.

Each process counts people every day and a half and closes what is due, until it is killed; the next one goes on where that one
died. The last line is a JSON object. Run whole: python -m tests.soak_trends [--database postgresql] [--kills N];
tests/test_trend_deaths.py runs a short one.
"""

import argparse
import contextlib
import datetime as dt
import json
import multiprocessing
import random
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from bot.store import trend_tables as t
from bot.trends.counters import TrendStore
from bot.trends.periods import GRAINS
from bot.trends.release import close_due
from tests import postgres
from tests.trending import (
    MONDAY,
    cells_released,
    disagreements,
    key_files,
    library,
    open_names,
    open_store,
    rows,
    somebody,
)

FORK = multiprocessing.get_context("fork")
STEP = dt.timedelta(hours=36)
PEOPLE = 6  # who write in each step
CROWD = 40  # of so many, so that most have been counted already
BETWEEN_KILLS = (0.02, 0.5)  # seconds of work
PATIENT = 60.0  # seconds for a process to begin


@dataclass
class Plan:
    kills: int = 100
    seed: int = 1
    between: tuple[float, float] = BETWEEN_KILLS


def soak(plan: Plan, home: Path, url: str | None = None) -> dict[str, object]:
    """One run on one database; `wrong` tells what did not agree."""
    draw, wrong, kept = random.Random(plan.seed), list[str](), dict[str, object]()
    library()  # read once, for all processes
    for kill in range(plan.kills):
        _live_and_die(home, url, kill, draw.uniform(*plan.between))
        wrong += [f"after kill {kill}: {problem}" for problem in _problems(home, url, kept)]
    store = open_store(home, url)
    closed = len(_closed(store))
    store.database.close()
    steps, kind = (_now(home) - MONDAY) // STEP, "postgresql" if url else "sqlite"
    return {"kills": plan.kills, "closed": closed, "steps": steps, "wrong": wrong, "database": kind}


def _live_and_die(home: Path, url: str | None, seed: int, seconds: float) -> None:
    """A process that says when it begins, and is killed so many seconds later."""
    heard, says = FORK.Pipe(duplex=False)
    process = FORK.Process(target=_live, args=(home, url, seed, says))
    process.start()
    assert heard.poll(PATIENT), "it did not begin"
    time.sleep(seconds)
    process.kill()
    process.join(PATIENT)
    assert process.exitcode == -signal.SIGKILL, "it died of itself"


def _live(home: Path, url: str | None, seed: int, says: Connection) -> None:
    """Counts and closes until it is killed."""
    store, draw, now = open_store(home, url), random.Random(seed), _now(home)
    store.open_periods(now)
    close_due(store, now)
    says.send("begun")
    while True:
        now += STEP
        (home / "clock.new").write_text(now.isoformat())
        (home / "clock.new").replace(home / "clock")
        store.open_periods(now)
        for _ in range(PEOPLE):
            store.count(f"web|{draw.randrange(CROWD)}", somebody(draw), now)
        close_due(store, now)


def _look(home: Path, url: str | None) -> None:
    """The next look, which finishes what a dead process left over."""
    process = FORK.Process(target=_close_due, args=(home, url))
    process.start()
    process.join(PATIENT)
    assert process.exitcode == 0, "the next look failed"


def _close_due(home: Path, url: str | None) -> None:
    store = open_store(home, url)
    close_due(store, _now(home))
    store.database.close()


def _now(home: Path) -> dt.datetime:
    clock = home / "clock"
    return dt.datetime.fromisoformat(clock.read_text()) if clock.exists() else MONDAY


# -- what must hold after a death --------------------------------------------------------------------------------------


def _problems(home: Path, url: str | None, kept: dict[str, object]) -> list[str]:
    """`kept`: period -> its released rows, as they stood after an earlier death."""
    store = open_store(home, url)
    found = disagreements(store)
    store.database.close()
    _look(home, url)
    store = open_store(home, url)
    found += disagreements(store) + _releases_that_are_not_whole(store)
    values: dict[str, list[tuple[object, ...]]] = {}
    for row in rows(store, t.releases):
        values.setdefault(row[0], []).append(row)
    found += [f"{name} was released twice" for name in values if kept.setdefault(name, values[name]) != values[name]]
    if open_names(store) & _closed(store):
        found.append("a period is open and closed")
    if missing := open_names(store) - key_files(store):
        found.append(f"no key of {sorted(missing)}")
    if left := _closed(store) & key_files(
        store
    ):  # one of a period that was about to open may be there: it will be used
        found.append(f"a key of {sorted(left)}, which are closed")
    found += _periods_that_count_nobody(store, _now(home))
    store.database.close()
    return found


def _releases_that_are_not_whole(store: TrendStore) -> list[str]:
    released, closings = cells_released(store), rows(store, t.closings)
    expected = {(row[0], table): len(store.cells.of[table]) for row in closings for table in json.loads(row[2])}
    lost = [f"{row[0]} was lost" for row in closings if row[-1]]
    return lost + [
        f"{key}: {released.get(key)} cells" for key in expected | released if released.get(key) != expected.get(key)
    ]


def _periods_that_count_nobody(store: TrendStore, now: dt.datetime) -> list[str]:
    """Every open period of this moment still takes somebody new."""
    store.open_periods(now)
    before = len(rows(store, t.ledger))
    store.count(f"sms|{before}|{now.isoformat()}", somebody(random.Random(before)), now)
    taken = len(rows(store, t.ledger)) - before
    return [] if taken == len(GRAINS) else [f"{taken} periods took somebody new"]


def _closed(store: TrendStore) -> set[str]:
    return {row[0] for row in rows(store, t.closings)}


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    asked.add_argument("--kills", type=int, default=Plan.kills)
    asked.add_argument("--seed", type=int, default=Plan.seed)
    given = asked.parse_args()
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(postgres.server()) if given.database == "postgresql" else None
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        result = soak(Plan(given.kills, given.seed), Path(folder), url)
    sys.stdout.write(json.dumps(result) + "\n")
    sys.exit(bool(result["wrong"]))


if __name__ == "__main__":
    main()
