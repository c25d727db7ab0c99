"""The console under load, with a server process of its own: from a cry to the consoles that are open, and pages over many cases.

Fifty consoles each keep a live line while fifty messages a second arrive by webhook; now and then one of them is a cry for help from
somebody new. The time is from posting it to the event that a console hears. Pages are then asked for one after the other.
"""

import asyncio
import contextlib
import datetime as dt
import itertools
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from sqlalchemy import Connection, insert, select, update

from bench import processes
from bot import audit, contacts
from bot.app import App
from bot.config import load_config
from bot.conversation.events import CaseRequested
from bot.hotline import cases, claims
from bot.hotline.keys import Operator
from bot.messages import Address
from bot.staff import sessions
from bot.staff.passwords import Cost
from bot.store import tables
from bot.store.crypto import Keyring
from bot.store.database import new_id
from tests import postgres
from tests.colleagues import Colleague, join
from tests.fakes.server import serving
from tests.fakes.telegram import TOKEN, TelegramFake

ROOT = Path(__file__).parent.parent
PORT = 8768
ADDRESS = f"http://127.0.0.1:{PORT}"
CONSOLES = 50
PER_SECOND = 50
SECONDS = 20
CRY_EVERY = 25  # messages: two cries a second
CRY = "cuu toi voi, ho nhot toi o campuchia, ho danh toi"
OPEN_CASES, WORDS, AUDIT_ROWS = 10_000, 100, 100_000
VIEWS = 15

Rows = list[tuple[str, list[float], str]]


def measure(model: Path) -> Rows:
    """On SQLite, and on PostgreSQL where there is one."""
    rows = _on(model, "SQLite", None)
    with contextlib.ExitStack() as stack:
        try:
            server = stack.enter_context(postgres.server())
        except (FileNotFoundError, subprocess.SubprocessError):
            return rows
        rows += _on(model, "PostgreSQL", server)
    return rows


def _on(model: Path, where: str, url: str | None) -> Rows:
    fake = TelegramFake()
    with tempfile.TemporaryDirectory() as folder, serving(fake.application()) as api:
        environment = _environment(Path(folder), model, api, url)
        house = App(load_config(Path(folder) / "config.yml", environment))
        house.password_costs = (Cost(rounds=1, memory=64),) * 2  # logging in is not what is measured
        crew = Crew(house)
        with _server(environment, Path(folder)) as pid:
            heard = asyncio.run(_under_load(fake, house, crew))
            memory = processes.resident(pid)
            crew.fill()
            pages = asyncio.run(_pages(crew))
        house.database.close()
    named = [("cry to an open console", heard), *pages.items()]
    rows = [(f"{name}, {part}, {where}", values, "ms") for name, times in named for part, values in _parts(times)]
    return [*rows, (f"memory of the server, {CONSOLES} consoles, {where}", [memory], "MB")]


def _parts(times: list[float]) -> list[tuple[str, list[float]]]:
    return [("median", times), ("p95", [statistics.quantiles(times, n=20)[-1]])]


# -- the house ---------------------------------------------------------------------------------------------------------


def _environment(home: Path, model: Path, api: str, url: str | None) -> dict[str, str]:
    (home / "model").symlink_to(model)
    settings = {"api": api, "webhook": ADDRESS}
    bot = {"content": str(ROOT / "content"), "nlu": {"folder": str(ROOT / "nlu")}, "telegram": settings}
    (home / "config.yml").write_text(json.dumps({"bot": bot}), encoding="utf-8")
    own = {"BANDUONG_HOME": str(home), "BANDUONG_TELEGRAM_TOKEN": TOKEN}
    return own | ({"BANDUONG_DATABASE_URL": url} if url else {})


@contextlib.contextmanager
def _server(environment: dict[str, str], home: Path) -> Iterator[int]:
    command = [
        sys.executable,
        "-m",
        "bot.cli",
        "--config",
        str(home / "config.yml"),
        "serve",
        "--only",
        "web",
        "--port",
        str(PORT),
    ]
    server = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environment}, stderr=subprocess.DEVNULL)  # noqa: S603 - our own
    try:
        processes.first_page(ADDRESS)
        yield server.pid
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()


@dataclass
class Crew:
    """Fifty operators and a supervisor who may see the audit, each with a session."""

    house: App
    people: list[Colleague] = field(init=False)
    reference: str = ""

    def __post_init__(self) -> None:
        now = dt.datetime.now(dt.UTC)
        roles = [["supervisor"], *[["operator"]] * (CONSOLES - 1)]
        self.people = [join(self.house, f"one.{number}", *one, now=now) for number, one in enumerate(roles)]
        self.tokens = [self._session(one, now) for one in self.people]

    def _session(self, colleague: Colleague, now: dt.datetime) -> str:
        with self.house.database.begin() as connection:
            return sessions.open_session(connection, colleague.account.id, colleague.private_key, now)

    def fill(self) -> None:
        """Ten thousand open cases, one of them with a hundred words and an owner, and a long audit."""
        database, now = self.house.database, dt.datetime.now(dt.UTC)
        cry = CaseRequested("emergency", "P0", "emergency", "bench", words=("chao ban " * 5,) * WORDS)
        with database.begin() as connection:
            full = cases.open_case(connection, database.keyring, self._contact(connection, "full"), cry, None, now)
            me = Operator(self.people[1].account.id, self.people[1].private_key)
            claims.claim(connection, database.keyring, me, full.reference, now)
            self.reference = full.reference
            self._many_cases(connection, full, now)
            _long_audit(connection, database.keyring, now)

    def _contact(self, connection: Connection, name: str) -> contacts.Contact:
        return contacts.find_or_create(
            connection, self.house.database.keyring, Address("web", name), dt.datetime.now(dt.UTC)
        )

    def _many_cases(self, connection: Connection, like: cases.Case, now: dt.datetime) -> None:
        """Written as rows: opening each would take an hour. What the queue reads of them is as in earnest."""
        row = connection.execute(select(tables.cases).where(tables.cases.c.id == like.id)).one()._asdict()
        word = connection.execute(select(tables.case_messages).limit(1)).one()._asdict()
        facts = self.house.database.keyring.open(row["sealed_facts"], f"cases|{like.id}|sealed_facts")
        new, said = [], []
        for number in range(OPEN_CASES - 1):
            one = new_id()
            sealed = self.house.database.keyring.seal(facts, f"cases|{one}|sealed_facts")
            opened = now - dt.timedelta(minutes=number)
            own = {
                "id": one,
                "reference": one[:8].upper(),
                "address_id": None,
                "owner_id": None,
                "claimed_at": None,
                "sealed_facts": sealed,
            }
            new.append(row | own | {"priority": f"P{number % 4}", "opened_at": opened, "minor": number % 7 == 0})
            said.append(word | {"id": new_id(), "case_id": one, "position": 1})
        connection.execute(insert(tables.cases), new)
        connection.execute(insert(tables.case_messages), said)


def _long_audit(connection: Connection, keyring: Keyring, now: dt.datetime) -> None:
    """The chain as `audit.record` would write it, a thousand rows at a time."""
    end = audit.head(connection)
    rows, key = [], audit._key(keyring)
    for position in range(end.position + 1, AUDIT_ROWS + 1):
        row = {
            "position": position,
            "at": now,
            "actor": "clock",
            "action": "read",
            "case_id": None,
            "subject": None,
            "digest": "",
        }
        end = audit.Head(position, audit._mac(key, row, end.mac))
        rows.append(row | {"mac": end.mac})
    connection.execute(insert(tables.audit), rows)
    connection.execute(update(tables.audit_head).values(position=end.position, mac=end.mac))


# -- measuring ---------------------------------------------------------------------------------------------------------


async def _under_load(fake: TelegramFake, house: App, crew: Crew) -> list[float]:
    """Milliseconds from each cry to each console that heard of a P0 after it."""
    heard: list[list[float]] = [[] for _ in crew.tokens]
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        lines = [asyncio.create_task(_listen(session, *one)) for one in zip(crew.tokens, heard, strict=True)]
        await asyncio.sleep(3)
        cries = await _write(session, fake, house.telegram_secret)
        await asyncio.sleep(3)
        for line in lines:
            line.cancel()
        await asyncio.gather(*lines, return_exceptions=True)
    return [1000 * (next(at for at in times if at >= cried) - cried) for cried in cries for times in heard]


async def _listen(session: aiohttp.ClientSession, token: str, heard: list[float]) -> None:
    """When this console was told of a new P0."""
    endless = aiohttp.ClientTimeout(total=None)
    async with session.get(f"{ADDRESS}/console/live", cookies={"console": token}, timeout=endless) as answer:
        assert answer.status == 200, answer.status
        async for line in answer.content:
            news = json.loads(line[6:]) if line.startswith(b"data: ") else {}
            heard += [time.perf_counter()] if news.get("new") == "P0" else []


async def _write(session: aiohttp.ClientSession, fake: TelegramFake, secret: str) -> list[float]:
    """Posts on time, however long earlier ones take; when each cry was posted."""
    headers = {"x-telegram-bot-api-secret-token": secret}
    rows = (ROOT / "nlu" / "eval" / "unseen.jsonl").read_text(encoding="utf-8").splitlines()
    calm = itertools.cycle(text for text in (json.loads(row)["text"] for row in rows) if len(text) < 80)

    async def post(update: object) -> None:
        async with session.post(f"{ADDRESS}/webhooks/telegram", json=update, headers=headers) as answer:
            assert answer.status == 200, answer.status

    begun, cries, calls = time.perf_counter(), [], []
    for number in range(PER_SECOND * SECONDS):
        is_cry = number % CRY_EVERY == CRY_EVERY - 1
        message = fake.message(10_000 + number if is_cry else 1 + number % 100, text=CRY if is_cry else next(calm))
        update = {"update_id": int(fake._next("")), "message": message}
        await asyncio.sleep(max(0.0, begun + number / PER_SECOND - time.perf_counter()))
        if is_cry:
            cries.append(time.perf_counter())
        calls.append(asyncio.create_task(post(update)))
    await asyncio.gather(*calls)
    return cries


async def _pages(crew: Crew) -> dict[str, list[float]]:
    """Milliseconds of each page, one after the other."""
    supervisor, operator = crew.tokens[:2]
    views = {
        "queue page of 10,000 cases": ("/console/queue", operator),
        "case page of 100 words": (f"/console/cases/{crew.reference}", operator),
        "audit page of 100,000 rows": ("/console/audit", supervisor),
    }
    async with aiohttp.ClientSession() as session:
        return {
            name: [await _view(session, path, token) for _ in range(VIEWS)] for name, (path, token) in views.items()
        }


async def _view(session: aiohttp.ClientSession, path: str, token: str) -> float:
    started = time.perf_counter()
    async with session.get(f"{ADDRESS}{path}", cookies={"console": token}, allow_redirects=False) as answer:
        await answer.read()
        assert answer.status == 200, (path, answer.status)
    return 1000 * (time.perf_counter() - started)
