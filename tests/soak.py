"""`make soak`: kill -9 of web and workers at random points, while a provider refuses, fails and hangs.

Everything is real but the provider: `banduong serve --only web`, three `banduong worker`, one database. The last line is a JSON
object. Run whole: python -m tests.soak [--database postgresql] [--deliveries N] [--kills N]; tests/test_soak.py runs a short one.
"""

import argparse
import contextlib
import datetime as dt
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import func, insert, select

from bot import contacts
from bot.delivery import outbox
from bot.delivery.render import Rendered
from bot.messages import Address, Lane
from bot.store import tables
from bot.store.database import Database, new_id, open_database
from bot.understanding.training import load_or_train
from tests import postgres
from tests.conftest import ROOT
from tests.fakes.server import serving
from tests.fakes.telegram import TOKEN, TelegramFake
from tests.people import agree_to_news

WORKERS = tuple(f"worker {number}" for number in range(3))
PROCESSES = ("web", *WORKERS)
FAULTS = {"429 1": 10, "500": 10, "hang": 8, "lost": 7, "refused": 5}  # in a thousand calls
DOUBTFUL = ("500", "hang", "lost", "refused")  # of them leave nobody sure
ANSWERED_WITHIN = 0.1  # seconds, where nothing goes wrong
FIRST_ASKER = 1_000_000  # chats from here on write to us; those below only get news
LEASE = 4.0  # seconds
BETWEEN_KILLS = (0.1, 1.2)  # seconds, at random
UP_FOR = 6.0  # seconds that the web is left alone after a start: it needs half of them to read its model
UNFINISHED = ("queued", "claimed", "sending")


@dataclass
class Plan:
    deliveries: int = 3000
    asking: int = 300  # of them are answers to people who write
    kills: int = 100
    patience: float = 900.0
    seed: int = 1

    @property
    def per_second(self) -> float:
        """So that there is something to deliver as long as there is somebody to kill."""
        return max(20.0, self.deliveries / (self.kills * sum(BETWEEN_KILLS) / 2))


@dataclass
class Processes:
    """`banduong serve --only web` and workers of one house, by name."""

    home: Path
    url: str | None = None
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    started: dict[str, float] = field(default_factory=dict)
    died: int = 0  # of themselves

    def __post_init__(self) -> None:
        self.port = _free_port()

    def configure(self, **bot: object) -> None:
        ours = {"content": str(ROOT / "content"), "nlu": {"folder": str(ROOT / "nlu")}}
        (self.home / "config.yml").write_text(json.dumps({"bot": {**ours, **bot}}), encoding="utf-8")
        load_or_train(ROOT / "nlu", ROOT / "var" / "model", _tell)  # once for all processes
        (self.home / "model").symlink_to(ROOT / "var" / "model")

    @property
    def environment(self) -> dict[str, str]:
        named = {"BANDUONG_DATABASE_URL": self.url} if self.url else {}
        return {"BANDUONG_HOME": str(self.home), "BANDUONG_TELEGRAM_TOKEN": TOKEN, **named}

    def start(self, *names: str) -> None:
        for name in names:
            command = ["serve", "--only", "web", "--port", str(self.port)] if name == "web" else ["worker"]
            self.started[name] = time.monotonic()
            with (self.home / "log").open("ab") as log:
                self.running[name] = subprocess.Popen(
                    [sys.executable, "-W", "ignore", "-m", "bot.cli", "--config", str(self.home / "config.yml"), *command],
                    cwd=ROOT, env={**os.environ, **self.environment}, stdout=log, stderr=log,
                )  # fmt: skip

    def kill(self, *names: str) -> None:
        for name in names:
            self.died += self.running[name].poll() is not None
            self.running[name].kill()
        for name in names:
            self.running[name].wait()

    @property
    def mortal(self) -> list[str]:
        """Those that may be killed now."""
        return [name for name, at in self.started.items() if name != "web" or time.monotonic() - at > UP_FOR]


@dataclass
class Soak:
    """One run on one database."""

    plan: Plan
    home: Path
    url: str | None = None
    fake: TelegramFake = field(default_factory=lambda: TelegramFake(latency=0.02))
    in_flight: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.random = random.Random(self.plan.seed)
        self.processes = Processes(self.home, self.url)

    def run(self) -> dict[str, object]:
        database = open_database(self.url or f"sqlite:///{self.home / 'banduong.db'}", self.home)
        self._queue_news(database)
        self._plan_faults()
        with serving(self.fake.application()) as api:
            self.processes.configure(**self._settings(api))
            try:
                self.processes.start(*PROCESSES)
                kills = self._work(database)
            finally:
                self.processes.kill(*self.processes.running)
        result = self._judge(database, kills)
        database.close()
        return result

    # -- before --------------------------------------------------------------------------------------------------------

    def _queue_news(self, database: Database) -> None:
        now = dt.datetime.now(dt.UTC)
        with database.begin() as connection:
            for chat in range(1, self.plan.deliveries - self.plan.asking + 1):
                contact = contacts.find_or_create(connection, database.keyring, Address("telegram", str(chat)), now)
                inbox_id = new_id()
                row = {"id": inbox_id, "channel": "telegram", "external_id": f"n{chat}", "address_id": contact.id}
                connection.execute(insert(tables.inbox).values(**row, received_at=now))
                agree_to_news(connection, database, contact, now)
                part = [Rendered(f"news for {chat}")]
                outbox.enqueue(
                    connection, database.keyring, contact, inbox_id, part, lane=Lane.BROADCAST, pulled=False, now=now
                )

    def _plan_faults(self) -> None:
        kinds = [*FAULTS, ""]
        weights = [*FAULTS.values(), 1000 - sum(FAULTS.values())]
        self.fake.faults.extend(self.random.choices(kinds, weights, k=2 * self.plan.deliveries))

    def _settings(self, api: str) -> dict[str, object]:
        webhook = f"http://127.0.0.1:{self.processes.port}"
        return {
            "delivery": {"lease_seconds": LEASE},
            "telegram": {"api": api, "webhook": webhook, "per_second": self.plan.per_second},
        }

    # -- while ---------------------------------------------------------------------------------------------------------

    def _work(self, database: Database) -> int:
        """People write, and processes die, until everything is done; how many died."""
        writing = threading.Thread(target=self._write, daemon=True)
        writing.start()
        kills, until = 0, time.monotonic() + self.plan.patience
        while time.monotonic() < until:
            time.sleep(self.random.uniform(*BETWEEN_KILLS))
            if kills < self.plan.kills:
                name = self.random.choice(self.processes.mortal)
                self.processes.kill(name)
                self.in_flight |= in_flight(database)
                self.processes.start(name)
                kills += 1
            elif not writing.is_alive() and not _unfinished(database):
                return kills
        raise TimeoutError(f"not done after {self.plan.patience:.0f} s: {_states(database)}")

    def _write(self) -> None:
        """Each person writes once; Telegram posts until it is answered with 200."""
        while not self.fake.webhook.get("url"):
            time.sleep(0.05)
        for number in range(self.plan.asking):
            update = self.fake.message(FIRST_ASKER + number, text="menu")
            posted = {"update_id": FIRST_ASKER + number, "message": update}
            while self.fake.post(posted) != 200:
                time.sleep(0.05)

    # -- after ---------------------------------------------------------------------------------------------------------

    def _judge(self, database: Database, kills: int) -> dict[str, object]:
        seen = Counter((sent.chat, sent.text) for sent in self.fake.sent)
        with database.begin() as connection:
            rows = connection.execute(
                select(tables.outbox, tables.addresses.c.sealed_identifier).join(tables.addresses)
            ).all()
            heard = connection.execute(
                select(func.count()).select_from(tables.inbox).where(~tables.inbox.c.external_id.startswith("n"))
            ).scalar_one()
        opened = [(row.status, *_opened(database, row)) for row in rows]
        return {
            "accepted": len(rows),
            "sent": sum(status == "sent" for status, _, _ in opened),
            "lost": sum(status == "sent" and not seen[chat, text] for status, chat, text in opened),
            "double": sum(count - 1 for count in seen.values()),
            "uncertain": sum(status == "uncertain" for status, _, _ in opened),
            "in_flight": len(self.in_flight),
            "doubtful_faults": sum(self.fake.met[fault] for fault in DOUBTFUL),
            "other": sum(status not in ("sent", "uncertain") for status, _, _ in opened),
            "written": self.plan.asking,
            "heard": heard,
            "answered": len({chat for _, chat, _ in opened if chat >= FIRST_ASKER}),
            "kills": kills,
            "database": "postgresql" if self.url else "sqlite",
        }


def in_flight(database: Database) -> set[str]:
    """What stood on disk as being sent when a process just died, and nobody finishes now."""
    killed_at = dt.datetime.now(dt.UTC)
    time.sleep(ANSWERED_WITHIN)
    marked_before = killed_at + dt.timedelta(seconds=LEASE)
    rows = select(tables.outbox.c.id).where(
        tables.outbox.c.status == "sending", tables.outbox.c.lease_until < marked_before
    )
    with database.begin() as connection:
        return set(connection.execute(rows).scalars())


def _opened(database: Database, row: object) -> tuple[int, str]:
    message = outbox.opened(database.keyring, row)
    return int(message.address.identifier), message.text


def _unfinished(database: Database) -> int:
    with database.begin() as connection:
        waiting = select(func.count()).select_from(tables.outbox).where(tables.outbox.c.status.in_(UNFINISHED))
        return int(connection.execute(waiting).scalar_one())


def _states(database: Database) -> dict[tuple[str, str], int]:
    with database.begin() as connection:
        return outbox.counts(connection)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _tell(progress: str) -> None:
    sys.stderr.write(f"{progress}\n")


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    asked.add_argument("--deliveries", type=int, default=Plan.deliveries)
    asked.add_argument("--kills", type=int, default=Plan.kills)
    asked.add_argument("--seed", type=int, default=Plan.seed)
    given = asked.parse_args()
    plan = Plan(deliveries=given.deliveries, asking=given.deliveries // 10, kills=given.kills, seed=given.seed)
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(postgres.server()) if given.database == "postgresql" else None
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        result = Soak(plan, Path(folder), url).run()
    sys.stdout.write(json.dumps(result) + "\n")
    sys.exit(
        bool(result["lost"] or result["double"] or result["answered"] != result["written"] or too_doubtful(result))
    )


def too_doubtful(result: dict[str, object]) -> bool:
    """Whether more is uncertain than what was in flight when something went wrong."""
    uncertain, in_flight, faults = (int(str(result[name])) for name in ("uncertain", "in_flight", "doubtful_faults"))
    return uncertain > in_flight + faults


if __name__ == "__main__":
    main()
