"""Prints one table: a turn with its commit, memory, and how long a warm start takes. Medians of several runs; nothing is asserted.

The last line times the machine itself: shared machines change their speed within minutes, and figures are comparable only beside it.
"""

import datetime as dt
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import broadcasts, console, delivery, processes, trends, webhook
from bot.app import App
from bot.config import load_config
from bot.messages import Address, InboundMessage

ROOT = Path(__file__).parent.parent
RUNS = 5
STARTS = 5
TALKS = 5_000  # of a year; python -m bench.trends takes fifty thousand
PORT = 8765
ADDRESS = f"http://127.0.0.1:{PORT}"
MACHINE_STEPS = 1_000_000
BARS = {
    "turn, p95": 15.0,
    "memory of the server": 400.0,
    "warm start to the first page": 3.0,
    "warm start to the first answer": 3.0,
    "webhook to commit at 100/s, p95": 50.0,
    "busiest second, 3 workers, 25/s": 30.0,
    "reply behind 10,000 messages": 400.0,
    "sent by one worker, 20 ms peer": 300.0,
    "the same on PostgreSQL": 300.0,
    "memory of a worker": 80.0,
    "counting one person, SQLite": 3.0,
    "counting one person, PostgreSQL": 3.0,
    "expand 1,000,000 recipients, SQLite": 20.0,
    "expand 1,000,000 recipients, PostgreSQL": 60.0,
    **{
        f"{what}, {where}": bar
        for where in ("SQLite", "PostgreSQL")
        for what, bar in (
            ("cry to an open console, p95", 1000.0),
            ("queue page of 10,000 cases, p95", 200.0),
            ("memory meanwhile", 200.0),
        )
    },
}


def main() -> None:
    table = Table("what", "median", "lowest", "highest", "bar", box=None)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "model").symlink_to(_trained())
        for name, values, unit in (
            *_turns(home),
            *_starts(home),
            *webhook.measure(_trained()),
            *delivery.measure(),
            *console.measure(_trained()),
            *broadcasts.measure(),
            *trends.measure(TALKS),
            *_machine(),
        ):
            bar = f"{BARS[name]:g} {unit}" if name in BARS else ""
            table.add_row(
                name, *(f"{value:.1f} {unit}" for value in (statistics.median(values), min(values), max(values))), bar
            )
    Console().print(table)


def _trained() -> Path:
    """The model that `make run` uses, trained if need be."""
    house = App(load_config(ROOT / "config.yml"), progress=print)
    _ = house.classifier
    return (house.config.home / "model").resolve()


def _turns(home: Path) -> list[tuple[str, list[float], str]]:
    """Each message to a conversation of its own, in this process, the commit included."""
    house = App(load_config(ROOT / "config.yml", {"BANDUONG_HOME": str(home)}))
    rows = (ROOT / "nlu" / "eval" / "unseen.jsonl").read_text(encoding="utf-8").splitlines()
    texts = [json.loads(row)["text"] for row in rows]
    medians, tails = [], []
    for run in range(RUNS + 1):
        times = []
        for number, text in enumerate(texts):
            message = InboundMessage(
                Address("web", f"{run}-{number}"), f"{run}-{number}", text, dt.datetime.now(dt.UTC)
            )
            started = time.perf_counter()
            house.processor.handle(message)
            times.append(1000 * (time.perf_counter() - started))
        if run:  # the first run warms up
            medians.append(statistics.median(times))
            tails.append(statistics.quantiles(times, n=20)[-1])
    house.database.close()
    return [("turn, median", medians, "ms"), ("turn, p95", tails, "ms")]


def _starts(home: Path) -> list[tuple[str, list[float], str]]:
    pages, answers, memory = [], [], []
    for _ in range(STARTS):
        page, used = _serve_once(home)
        pages.append(page)
        memory.append(used)
        started = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "bot.cli", "ask", "111 la so gi"],
            cwd=ROOT, env={**os.environ, "BANDUONG_HOME": str(home)}, check=True, capture_output=True,
        )  # fmt: skip
        answers.append(time.perf_counter() - started)
    return [
        ("warm start to the first page", pages, "s"),
        ("warm start to the first answer", answers, "s"),
        ("memory of the server", memory, "MB"),
    ]


def _machine() -> list[tuple[str, list[float], str]]:
    """A fixed piece of plain Python."""
    times = []
    for _ in range(RUNS):
        started = time.perf_counter()
        sum(number * number for number in range(MACHINE_STEPS))
        times.append(1000 * (time.perf_counter() - started))
    return [("the machine: a million squares", times, "ms")]


def _serve_once(home: Path) -> tuple[float, float]:
    """(seconds to the first page, resident MB after fifty messages)."""
    started = time.perf_counter()
    server = subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-m", "bot.cli", "serve", "--port", str(PORT)],
        cwd=ROOT, env={**os.environ, "BANDUONG_HOME": str(home)}, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        page = processes.first_page(ADDRESS, started)
        for number in range(50):
            body = f"text=di+han+luong+{number}0tr+co+nen+di+khong".encode()
            with urllib.request.urlopen(f"{ADDRESS}/", data=body) as answer:
                answer.read()
        return page, processes.resident(server.pid)
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    main()
