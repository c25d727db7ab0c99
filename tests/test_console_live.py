"""The live line of the console: who hears it, for how long, what it says, and from whom."""

import asyncio
import contextlib
import datetime as dt
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from bot import audit
from bot.app import App
from bot.config import load_config
from bot.staff import sessions
from bot.store.database import Database, open_database
from bot.testing import FakeClock
from bot.web.console.desk import Desk as ConsoleDesk
from bot.web.console.live import Bulletin
from bot.web.console.security import Door
from bot.web.pages import create_site
from tests.colleagues import BY, join
from tests.conftest import CHEAP, ROOT
from tests.console_site import MINUTE, PLAIN, SECRETS, Site, Town, served

PATIENCE = 15.0  # seconds
QUICK = 0.3  # seconds between two looks at a session


@pytest.fixture
def town(house: App) -> Town:
    house.clock = clock = FakeClock()
    house.live_line_looks = QUICK
    return Town(Site(house, create_site(house), clock))


@pytest.fixture
def address(town: Town) -> Iterator[str]:
    with served(town.site.app) as where:
        yield where


class Line:
    """An open line, read in a thread."""

    def __init__(self, address: str, cookies: dict[str, str]) -> None:
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.text, self.ended = "", False
        self._thread = threading.Thread(target=self._read, args=(address, cookies), daemon=True)
        self._thread.start()
        self.until(lambda: self.told)

    def _read(self, address: str, cookies: dict[str, str]) -> None:
        event = ""
        cut_off = contextlib.suppress(httpx.RemoteProtocolError)  # at the end of the test
        with cut_off, httpx.stream("GET", f"{address}/console/live", cookies=cookies, timeout=PATIENCE) as answer:
            for line in answer.iter_lines():
                self.text += line + "\n"
                if line.startswith("event: "):
                    event = line[7:]
                elif line.startswith("data: "):
                    self.told.append((event, json.loads(line[6:])))
        self.ended = True

    def until(self, is_so: Callable[[], object]) -> None:
        end = time.monotonic() + PATIENCE
        while not is_so():
            assert time.monotonic() < end, self.told
            time.sleep(0.01)


def test_only_who_sees_the_queue_hears_of_it(town: Town, address: str) -> None:
    """401 for a script without a session, 403 for a role that does not see the queue."""
    analyst = town.desk(join(town.house, "ph.tich", "analyst", name="Phân", now=town.clock.now + MINUTE))
    events = {"Accept": "text/event-stream"}
    assert httpx.get(f"{address}/console/live", headers=events).status_code == 401
    assert httpx.get(f"{address}/console/live", headers=events, cookies=analyst.live_cookie()).status_code == 403


def test_the_line_says_that_something_changed_and_never_what(town: Town, address: str) -> None:
    """Counts, priorities and references are all of it, while cries come in and a case is worked on."""
    line = Line(address, town.minh.live_cookie())
    new = town.opened("+84904445566")
    line.until(lambda: ("queue", {"p0": 3, "new": "P0"}) in line.told)
    path = f"/console/cases/{town.held}"
    for job, form in {
        "note": {"text": SECRETS[4]},
        "send": {"text": "chào bạn", "id": "1"},
        "priority": {"priority": "P0"},
    }.items():
        town.lan.post(f"{path}/{job}", **form)
    line.until(lambda: ("case", {"reference": town.held}) in line.told)
    assert ("case", {"reference": new}) in line.told
    assert {event for event, _ in line.told} == {"queue", "case"}
    assert {frozenset(data) for _, data in line.told} == {frozenset({"p0", "new"}), frozenset({"reference"})}
    assert [secret for secret in [*SECRETS, town.lan.who.account.id] if secret in line.text] == []


@pytest.mark.parametrize("is_loud", [False, True], ids=["silent", "loud"])
def test_the_line_ends_with_the_session(town: Town, address: str, is_loud: bool) -> None:
    """Soon after the log-out, also while there is always something to tell."""
    line = Line(address, town.minh.live_cookie())
    town.minh.post("/console/logout")
    if is_loud:
        line.until(lambda: _noise(town) and line.ended)
    line.until(lambda: line.ended)


def test_the_line_ends_for_who_may_no_longer_see_the_queue(town: Town, address: str) -> None:
    """Another role, given by an administrator, counts on open lines too."""
    line, boss = Line(address, town.minh.live_cookie()), town.desk(town.all)
    boss.post(f"/console/people/{town.minh.who.account.id}/roles", roles="analyst")
    line.until(lambda: line.ended)


def test_in_earnest_a_session_is_looked_at_within_twenty_seconds(town: Town) -> None:
    """What the tests above shorten."""
    assert App(town.house.config).live_line_looks <= 20


def test_what_another_process_writes_is_heard(town: Town, address: str) -> None:
    """A cry that comes in by another door to the same database."""
    line = Line(address, town.minh.live_cookie())
    with _second(town.house) as database:
        other = App(town.house.config)
        other.__dict__["database"] = database
        elsewhere = object.__new__(Town)
        elsewhere.house, elsewhere.clock = other, town.clock
        reference = elsewhere.opened("+84905556677")
    line.until(lambda: ("queue", {"p0": 3, "new": "P0"}) in line.told)
    assert ("case", {"reference": reference}) in line.told


def test_nothing_is_passed_over_between_two_glances(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """What another process commits in the very moment of a look is told by the next one."""
    if town.house.database.engine.dialect.name == "sqlite":
        pytest.skip("one writer: nothing is committed while somebody looks")
    bulletin = Bulletin(ConsoleDesk(Door(town.house)))
    bulletin._position = bulletin._end()
    real = audit.since
    monkeypatch.setattr(audit, "since", lambda *given: (real(*given), _noise(town))[0])
    assert bulletin._since_last() == []
    monkeypatch.undo()
    assert [news.event for news in bulletin._since_last()] == ["case"]


def test_consoles_that_come_at_once_share_one_look(town: Town) -> None:
    """However many open in the same moment; and when the last has gone, nobody looks."""

    async def crowd() -> tuple[int, int]:
        bulletin = Bulletin(ConsoleDesk(Door(town.house)))

        async def listen() -> None:
            async with bulletin.listen() as heard:
                await heard.get()
                await gone.wait()

        gone = asyncio.Event()
        consoles = [asyncio.create_task(listen()) for _ in range(10)]
        await asyncio.sleep(0.5)
        busy = _looking()
        gone.set()
        await asyncio.gather(*consoles)
        async with asyncio.timeout(PATIENCE):
            while _looking():
                await asyncio.sleep(0.01)
        return busy, _looking()

    assert asyncio.run(crowd()) == (1, 0)


def test_a_server_with_open_consoles_stops_when_it_is_told_to(tmp_path: Path, classifier: object) -> None:
    """Within seconds, as whoever restarts it expects; the lines are cut, and the consoles come back by themselves."""
    (tmp_path / "model").symlink_to(ROOT / "var" / "model")
    environment = {"BANDUONG_HOME": str(tmp_path)}
    house = App(load_config(ROOT / "config.yml", environment))
    house.password_costs = (CHEAP, CHEAP)
    now = dt.datetime.now(dt.UTC)
    lan = join(house, now=now)
    with house.database.begin() as connection:
        token = sessions.open_session(connection, lan.account.id, lan.private_key, now)
    house.database.close()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "bot.cli", "serve", "--only", "web", "--port", str(port)]
    server = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environment}, stderr=subprocess.DEVNULL)
    try:
        Line(_until_it_serves(port), {PLAIN: token})
        server.send_signal(signal.SIGTERM)
        server.wait(PATIENCE)
    finally:
        server.kill()
        server.wait()


def _until_it_serves(port: int) -> str:
    address, end = f"http://127.0.0.1:{port}", time.monotonic() + 60
    while time.monotonic() < end:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{address}/readyz").status_code == 200:
                return address
        time.sleep(0.1)
    raise TimeoutError("the server did not come up in a minute")


# -- helpers -----------------------------------------------------------------------------------------------------------


def _looking() -> int:
    return sum("Bulletin._look" in repr(task.get_coro()) for task in asyncio.all_tasks())


def _noise(town: Town) -> int:
    """Something to tell; its place in the chain."""
    case_id = town.case(town.held).id
    with town.house.database.begin() as connection:
        return audit.record(
            connection, town.house.database.keyring, actor=BY, action="note", case_id=case_id, now=town.clock.now
        )


@contextlib.contextmanager
def _second(house: App) -> Iterator[Database]:
    database = open_database(house.config.database_url, house.config.home)
    try:
        yield database
    finally:
        database.close()
