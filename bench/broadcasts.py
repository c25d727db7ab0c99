"""A broadcast to a million: counted, gone through in steps, fed, paused, looked at; and how much memory that takes.

The people are made by the database itself, so that a million of them stand there within a minute. The work is done in a process of its own,
whose memory is the figure. python -m bench.broadcasts [PEOPLE] measures this part alone.
"""

import datetime as dt
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from sqlalchemy import Connection, insert, select, text, update

from bench import processes
from bot.app import App
from bot.config import load_config
from bot.delivery import outbox
from bot.delivery.pace import Pace
from bot.outreach import audience, broadcasts, expansion, feed, progress
from bot.outreach.audience import Audience
from bot.outreach.broadcasts import Plan
from bot.outreach.terms import Limits, Terms
from bot.outreach.words import AlertText, Words
from bot.store import tables as t
from bot.store.crypto import Keyring
from bot.store.database import Database, new_id
from bot.subscriptions import tag
from tests import postgres

ROOT = Path(__file__).parent.parent
PEOPLE = 1_000_000
FEEDS = 20
SPEED = 300.0
NOW = dt.datetime(2026, 11, 24, 5, tzinfo=dt.UTC)  # noon in Viet Nam
WORDS = Words("bench", {"vi": AlertText("Tin báo cho bạn đi làm xa: hỏi kỹ tên công ty trước khi đi.")})
NO_LIMITS = Limits(approve_above=10**9, cancel_window=dt.timedelta(0), people_a_day=10**9)
ID = {
    "sqlite": "lower(hex(randomblob(16)))",
    "postgresql": "replace(gen_random_uuid()::text, '-', '')",
}
SERIES = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :people) SELECT i FROM n",
    "postgresql": "SELECT i FROM generate_series(1, :people) AS n(i)",
}

Rows = list[tuple[str, list[float], str]]


def measure(people: int = PEOPLE) -> Rows:
    """On SQLite, and on PostgreSQL where there is one."""
    rows = _on("SQLite", None, people)
    try:
        with postgres.server() as url:
            rows += _on("PostgreSQL", url, people)
    except (FileNotFoundError, subprocess.SubprocessError):
        sys.stderr.write("no PostgreSQL here: its figures are left out\n")
    return rows


def _on(where: str, url: str | None, people: int) -> Rows:
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "BANDUONG_HOME": home, **({"BANDUONG_DATABASE_URL": url} if url else {})}
        done = subprocess.run(  # noqa: S603 - our own command
            [sys.executable, "-m", "bench.broadcasts", str(people), "--here"],
            cwd=ROOT, env=environment, check=True, capture_output=True, text=True,
        )  # fmt: skip
    figures = json.loads(done.stdout.splitlines()[-1])
    return [(f"{name}, {where}", values, unit) for name, values, unit in figures]


def here(people: int) -> Rows:
    """In this process, whose environment names the database."""
    house = App(load_config(ROOT / "config.yml"))
    database, keyring = house.database, house.database.keyring
    terms = Terms(house.library, limits=NO_LIMITS)
    with database.begin() as connection:
        staff_id = _staff(connection)
        _fill(connection, tag(keyring, "province", "N40"), people)
    if database.engine.dialect.name == "postgresql":
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))
    plan = Plan(WORDS, Audience(), NOW + dt.timedelta(days=1), budget_vnd=2 * 10**9)
    with database.begin() as connection:
        draft = broadcasts.write(connection, keyring, plan, staff_id, NOW)
        broadcasts.submit(connection, keyring, draft.id, people, NO_LIMITS, staff_id, NOW)
    rows: Rows = []
    started = time.perf_counter()
    with database.read() as connection:
        audience.count(connection, keyring, plan.audience, NOW)
    rows.append((f"count {people:,} people", [time.perf_counter() - started], "s"))
    steps, started = [], time.perf_counter()
    more = True
    while more:
        step = time.perf_counter()
        more = expansion.take_step(database, NO_LIMITS, lambda: NOW, draft.id)
        steps.append(1000 * (time.perf_counter() - step))
    rows.append((f"expand {people:,} recipients", [time.perf_counter() - started], "s"))
    rows.append(("one step of it: so long others wait", steps, "ms"))
    feeds, claims = [], []
    for number in range(FEEDS):
        now = NOW + number * dt.timedelta(seconds=1)
        feeds.append(_timed(database, partial(_feed, keyring, terms, now)))
        with database.begin() as connection:
            _give_numbers(connection, keyring)
        claims.append(_timed(database, partial(_send, keyring, now)))
    rows += [("feed a channel at 300/s", feeds, "ms"), ("claim, mark and finish 60", claims, "ms")]
    rows.append(
        ("figures", [_timed(database, lambda c: progress.of(c, broadcasts.lock(c, keyring, draft.id), NOW))], "ms")
    )
    rows.append(("pause", [_timed(database, lambda c: broadcasts.pause(c, keyring, draft.id, staff_id, NOW))], "ms"))
    rows.append(("memory meanwhile", [processes.most_resident()], "MB"))
    return rows


def _timed(database: Database, work: Callable[[Connection], object]) -> float:
    started = time.perf_counter()
    with database.begin() as connection:
        work(connection)
    return 1000 * (time.perf_counter() - started)


def _feed(keyring: Keyring, terms: Terms, now: dt.datetime, connection: Connection) -> None:
    feed.feed(connection, keyring, terms, "telegram", SPEED, now)


def _send(keyring: Keyring, now: dt.datetime, connection: Connection) -> None:
    due = outbox.claim(connection, keyring, "telegram", owner="bench", limit=60, speed=Pace(SPEED, 1.25, 3), now=now)
    ids = [one.id for one in due]
    outbox.mark_sending(connection, "telegram", ids, owner="bench", now=now)
    outbox.finish(connection, keyring, [outbox.Outcome(one) for one in due], now)


def _give_numbers(connection: Connection, keyring: Keyring) -> None:
    """To those who are about to hear; the others have none in the bench."""
    ready = select(t.outbox.c.address_id).where(t.outbox.c.status == "queued")
    for address_id in connection.execute(ready).scalars().all():
        sealed = keyring.seal("12345", f"addresses|{address_id}|sealed_identifier")
        connection.execute(update(t.addresses).where(t.addresses.c.id == address_id).values(sealed_identifier=sealed))


def _staff(connection: Connection) -> str:
    staff_id = new_id()
    row = {"id": staff_id, "lookup": "bench", "sealed_profile": b"-", "roles": "outreach", "created_at": NOW}
    connection.execute(insert(t.staff).values(**row))
    return staff_id


def _fill(connection: Connection, province: str, people: int) -> None:
    """Every second one on SMS, every hundredth silent."""
    dialect = connection.dialect.name
    moment, blob = (
        ("'2026-11-01 00:00:00'", "zeroblob(60)")
        if dialect == "sqlite"
        else ("TIMESTAMPTZ '2026-11-01'", "decode(repeat('00', 60), 'hex')")
    )
    connection.execute(
        text(
            "INSERT INTO addresses (id, channel, lookup, sealed_identifier, silent_since, created_at) "  # noqa: S608
            f"SELECT {ID[dialect]}, CASE WHEN i % 2 = 0 THEN 'sms' ELSE 'telegram' END, 'bench' || i, {blob}, "
            f"CASE WHEN i % 100 = 0 THEN {moment} END, {moment} FROM ({SERIES[dialect]}) AS numbers"
        ),
        {"people": people},
    )
    connection.execute(
        text(
            "INSERT INTO consents (id, address_id, purpose, basis, reason, sealed_words, given_at) "  # noqa: S608
            f"SELECT {ID[dialect]}, id, 'alerts', 'consent', 'bench', {blob}, {moment} FROM addresses"
        )
    )
    connection.execute(
        text(
            "INSERT INTO subscriptions (address_id, channel, province, language, source, joined_at) "  # noqa: S608
            f"SELECT id, channel, :province, 'vi', 'paper', {moment} FROM addresses"
        ),
        {"province": province},
    )


def main() -> None:
    people = int(next((one for one in sys.argv[1:] if one.isdecimal()), PEOPLE))
    rows = here(people) if "--here" in sys.argv else measure(people)
    if "--here" in sys.argv:
        sys.stdout.write(json.dumps(rows))
        return
    for name, values, unit in rows:
        middle, lowest, highest = sorted(values)[len(values) // 2], min(values), max(values)
        sys.stdout.write(f"{name}: {middle:.1f} {unit}, {lowest:.1f} to {highest:.1f}\n")


if __name__ == "__main__":
    main()
