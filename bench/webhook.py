"""From a webhook to its commit: a server of its own process, a hundred messages a second, SQLite."""

import asyncio
import itertools
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import aiohttp

from bot.app import App
from bot.config import load_config
from tests.fakes.server import serving
from tests.fakes.telegram import TOKEN, TelegramFake

ROOT = Path(__file__).parent.parent
PORT = 8766
PER_SECOND = 100
SECONDS = 10
RUNS = 3
PEOPLE = 200

Rows = list[tuple[str, list[float], str]]


def measure(model: Path) -> Rows:
    """The answer to the webhook is given after the commit, so its time is the time to the commit."""
    fake = TelegramFake()
    with tempfile.TemporaryDirectory() as folder, serving(fake.application()) as api:
        home = Path(folder)
        (home / "model").symlink_to(model)
        settings = {"api": api, "webhook": f"http://127.0.0.1:{PORT}"}
        bot = {"content": str(ROOT / "content"), "nlu": {"folder": str(ROOT / "nlu")}, "telegram": settings}
        (home / "config.yml").write_text(json.dumps({"bot": bot}), encoding="utf-8")
        secret = App(load_config(home / "config.yml", {"BANDUONG_HOME": folder})).telegram_secret
        server = subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-m", "bot.cli", "--config", str(home / "config.yml"), "serve", "--only", "web", "--port", str(PORT)],
            cwd=ROOT, env={**os.environ, "BANDUONG_HOME": folder, "BANDUONG_TELEGRAM_TOKEN": TOKEN}, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            _until_it_serves(fake)
            runs = [asyncio.run(_one_run(fake, secret)) for _ in range(RUNS + 1)][1:]
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait()
    return [
        ("webhook to commit at 100/s, median", [statistics.median(times) for times in runs], "ms"),
        ("webhook to commit at 100/s, p95", [statistics.quantiles(times, n=20)[-1] for times in runs], "ms"),
    ]


async def _one_run(fake: TelegramFake, secret: str) -> list[float]:
    """Milliseconds of every call; they are sent on time, however long earlier ones take."""
    times: list[float] = []
    headers = {"x-telegram-bot-api-secret-token": secret}
    rows = (ROOT / "nlu" / "eval" / "unseen.jsonl").read_text(encoding="utf-8").splitlines()
    texts = itertools.cycle(json.loads(row)["text"] for row in rows)
    connections = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connections) as session:

        async def post(update: object) -> None:
            started = time.perf_counter()
            async with session.post(fake.webhook["url"], json=update, headers=headers) as answer:
                assert answer.status == 200
                await answer.read()
            times.append(1000 * (time.perf_counter() - started))

        begun = time.perf_counter()
        calls = []
        for number in range(PER_SECOND * SECONDS):
            message = fake.message(1 + number % PEOPLE, text=next(texts))
            update = {"update_id": int(fake._next("")), "message": message}
            await asyncio.sleep(max(0.0, begun + number / PER_SECOND - time.perf_counter()))
            calls.append(asyncio.create_task(post(update)))
        await asyncio.gather(*calls)
    return times


def _until_it_serves(fake: TelegramFake) -> None:
    until = time.monotonic() + 60
    while "setMyCommands" not in [name for name, _ in fake.calls]:
        if time.monotonic() > until:
            raise TimeoutError("the server did not come up in a minute")
        time.sleep(0.05)
