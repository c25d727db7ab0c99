"""A process with an engine of its own, for test_jobs: python -m tests.engine_process URL HOME LEDGER STEPS LOST_AFTER [BROADCAST...]

It begins the broadcasts, and works until it is killed or its input ends. What is done stands in the ledger, a file, once.
"""

import datetime as dt
import fcntl
import sys
import time
from pathlib import Path

from bot.jobs import Engine

STEP_SECONDS = 0.01


class Ledger:
    """Stands for the tables: what a step does is written in one go, by one process at a time."""

    def __init__(self, path: Path, steps: int) -> None:
        self.path, self.steps = path, steps

    def expand(self, broadcast_id: str) -> bool:
        with self.path.open("a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            done = len(self.lines(broadcast_id))
            time.sleep(STEP_SECONDS)
            if done < self.steps:
                file.write(f"{broadcast_id} {done + 1}\n")
        return done + 1 < self.steps

    def due(self, schedule_id: str, moment: dt.datetime) -> None:
        with self.path.open("a") as file:
            file.write(f"{schedule_id} {moment.isoformat()}\n")

    def lines(self, name: str) -> list[str]:
        """What was done for this broadcast or schedule, in order."""
        text = self.path.read_text() if self.path.exists() else ""
        return [line.removeprefix(f"{name} ") for line in text.splitlines() if line.startswith(f"{name} ")]


def complain_of_calls(event: str, _args: object) -> None:
    """The engine calls nobody: its test finds what stands on the error stream."""
    if event in ("socket.connect", "socket.getaddrinfo"):
        sys.stderr.write(f"{event}\n")


def main(url: str, home: str, path: str, steps: str, lost_after: str, *broadcasts: str) -> None:
    sys.addaudithook(complain_of_calls)
    ledger = Ledger(Path(path), int(steps))
    engine = Engine(url, Path(home), expand=ledger.expand, due=ledger.due, lost_after=float(lost_after))
    engine.launch()
    for broadcast_id in broadcasts:
        engine.expand(broadcast_id)
    sys.stderr.write("ready\n")
    sys.stdin.read()
    engine.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
