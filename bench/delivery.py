"""Sending, measured with real workers against a Bot API server of this machine: pace, urgency, throughput, memory."""

import contextlib
import datetime as dt
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from sqlalchemy import insert

from bench import processes
from bot import contacts
from bot.delivery import outbox
from bot.delivery.render import Rendered
from bot.messages import Address, Lane
from bot.store import tables
from bot.store.database import Database, new_id, open_database
from tests import postgres
from tests.fakes.server import serving
from tests.fakes.telegram import TOKEN, TelegramFake
from tests.people import agree_to_news

ROOT = Path(__file__).parent.parent
WORKERS = 3
PACED = 250  # messages at the default 25 a second
LANE = 10_000  # messages that a reply finds before it
REPLIES = 15
SENT = 3000
LATENCY = 0.02  # seconds that the provider takes

Rows = list[tuple[str, list[float], str]]


def measure() -> Rows:
    return [*_pacing(), *_urgency(), *_throughput(), *_throughput_on_postgres()]


def _pacing() -> Rows:
    """The busiest sliding second of three workers that share 25 a second."""
    with _workers(WORKERS, PACED, per_second=25) as (fake, _, _):
        _until(lambda: len(fake.sent) >= PACED, 60)
        times = sorted(sent.at for sent in fake.sent)
    busiest = max(sum(first <= later < first + 1 for later in times) for first in times)
    return [("busiest second, 3 workers, 25/s", [float(busiest)], "messages")]


def _urgency() -> Rows:
    """From the commit of a reply to its arrival, behind a long broadcast."""
    waits = []
    with _workers(1, LANE, per_second=25) as (fake, database, _):
        _until(lambda: len(fake.sent) > 25, 60)
        for number in range(REPLIES):
            chat = 10**6 + number
            _queue(database, [chat], Lane.REPLY)
            asked = time.monotonic()
            waits.append(_arrival(fake, chat) - asked)
            time.sleep(0.3)
    return [("reply behind 10,000 messages", [1000 * wait for wait in waits], "ms")]


def _arrival(fake: TelegramFake, chat: int) -> float:
    _until(lambda: fake.heard_by(chat), 30)
    return next(sent.at for sent in fake.sent if sent.chat == chat)


def _throughput() -> Rows:
    with _workers(1, SENT, per_second=1000) as (fake, _, pids):
        speed = _speed(fake)
        memory = processes.resident_alone(pids[0])
    return [("sent by one worker, 20 ms peer", [speed], "/s"), ("memory of a worker", [memory], "MB")]


def _throughput_on_postgres() -> Rows:
    with contextlib.ExitStack() as stack:
        try:
            url = stack.enter_context(postgres.server())
        except (FileNotFoundError, subprocess.SubprocessError):
            return []
        fake, _, _ = stack.enter_context(_workers(1, SENT, per_second=1000, url=url))
        return [("the same on PostgreSQL", [_speed(fake)], "/s")]


def _speed(fake: TelegramFake) -> float:
    _until(lambda: fake.sent, 60)
    started = time.monotonic()
    _until(lambda: len(fake.sent) >= SENT, 120)
    return SENT / (time.monotonic() - started)


@contextlib.contextmanager
def _workers(
    count: int, messages: int, per_second: float, url: str | None = None
) -> Iterator[tuple[TelegramFake, Database, list[int]]]:
    fake = TelegramFake(latency=LATENCY)
    with tempfile.TemporaryDirectory() as folder, serving(fake.application()) as api:
        home = Path(folder)
        url = url or f"sqlite:///{home / 'banduong.db'}"
        database = open_database(url, home)
        _queue(database, range(1, messages + 1), Lane.BROADCAST)
        settings = {"api": api, "per_second": per_second}
        bot = {"content": str(ROOT / "content"), "nlu": {"folder": str(ROOT / "nlu")}, "telegram": settings}
        (home / "config.yml").write_text(json.dumps({"bot": bot}), encoding="utf-8")
        command = [sys.executable, "-m", "bot.cli", "--config", str(home / "config.yml"), "worker"]
        environment = {**os.environ, "BANDUONG_HOME": folder, "BANDUONG_TELEGRAM_TOKEN": TOKEN}
        environment["BANDUONG_DATABASE_URL"] = url
        running = [subprocess.Popen(command, cwd=ROOT, env=environment) for _ in range(count)]  # noqa: S603 - our own
        try:
            yield fake, database, [worker.pid for worker in running]
        finally:
            for worker in running:
                worker.send_signal(signal.SIGTERM)
                worker.wait()
            database.close()


def _queue(database: Database, chats: "range | list[int]", lane: Lane) -> None:
    now = dt.datetime.now(dt.UTC)
    with database.begin() as connection:
        for chat in chats:
            contact = contacts.find_or_create(connection, database.keyring, Address("telegram", str(chat)), now)
            inbox_id = new_id()
            row = {"id": inbox_id, "channel": "telegram", "external_id": inbox_id, "address_id": contact.id}
            connection.execute(insert(tables.inbox).values(**row, received_at=now))
            if lane == Lane.BROADCAST:
                agree_to_news(connection, database, contact, now)
            part = [Rendered(f"news for {chat}")]
            outbox.enqueue(connection, database.keyring, contact, inbox_id, part, lane=lane, pulled=False, now=now)


def _until(is_done: Callable[[], object], patience: float) -> None:
    until = time.monotonic() + patience
    while not is_done():
        if time.monotonic() > until:
            raise TimeoutError("the workers did not get on")
        time.sleep(0.002)
