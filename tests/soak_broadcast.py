"""`make soak-broadcast`: an alert to a hundred thousand while everything is killed, the provider fails, people write, and it is paused once.

Everything is real but the provider, as in tests/soak.py: `banduong serve --only web`, three `banduong worker`, one database, and two people of
outreach. Of the kills one falls into the expansion, the others where chance has it; every fifth is one of all processes. The last line is a JSON
object; `quiet` replies are those before the alert, `calm` ones those while nobody was just killed. Run: python -m tests.soak_broadcast [--database postgresql] [--people N] [--kills N]; tests/test_soak_broadcast.py runs a short one.
"""

import argparse
import contextlib
import datetime as dt
import json
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import insert, select

from bot.app import App
from bot.config import load_config
from bot.outreach import broadcasts
from bot.outreach.broadcasts import Broadcast
from bot.store import tables as t
from bot.store.crypto import Keyring
from bot.store.database import Database, count_anew, new_id
from tests import postgres
from tests.broadcasting import WORDS, Office, a_plan
from tests.fakes.server import serving
from tests.fakes.telegram import TelegramFake
from tests.soak import DOUBTFUL, FIRST_ASKER, LEASE, PROCESSES, WORKERS, Processes, in_flight, too_doubtful

FAULTS = {
    "429 1": 1,
    "403": 2,
    "500": 3,
    "hang": 2,
    "lost": 3,
    "refused": 3,
}  # in a thousand calls; 429 keeps everybody waiting
ALERT = WORDS.texts["vi"].text
TOLD = ("uncertain", "failed", "opted_out")  # of those who got nothing
LIVELY = 10.0  # seconds after a kill in which nobody's answer is measured: those who died have just come back
HELD = 2.0  # seconds after a 429 in which nobody's is
AT_ONCE = 5  # every so many kills, all processes
STOPPING = 3  # people
HARDLY = 1.0  # second: longer, nothing leaves after the commit of a pause
BATCH = 10_000
DAY = dt.timedelta(days=1)


@dataclass
class Plan:
    people: int = 100_000
    kills: int = 30
    between: tuple[float, float] = (5.0, 30.0)  # seconds between two kills, at random
    in_expansion: bool = True  # one more kill: the run is taken over 15 seconds later
    asking_every: float = 1.0  # seconds; somebody writes
    quiet: float = 20.0  # seconds before the alert
    paused_for: float = 5.0
    patience: float = 7200.0
    seed: int = 1

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.waits = [self.random.uniform(*self.between) for _ in range(self.kills)]

    @property
    def per_second(self) -> float:
        """So that there is something to send as long as there is somebody to kill."""
        return max(20.0, self.people / (1.2 * sum(self.waits)))


@dataclass
class Provider(TelegramFake):
    """Its faults meet alerts only, so that what an answer takes is what we make it take."""

    latency: float = 0.02
    held_at: list[float] = field(default_factory=list)
    asked: Counter[int] = field(default_factory=Counter)  # chat -> how often we tried to send the alert, but for 429

    def _next_fault(self, given: dict[str, Any]) -> str | None:
        if ALERT not in given["text"]:
            return None
        fault = super()._next_fault(given)
        if fault and fault.startswith("429"):
            self.held_at.append(time.monotonic())
        else:
            self.asked[int(given["chat_id"])] += 1
        return fault

    def alerts(self) -> Iterator[tuple[int, float]]:
        """(chat, moment) of each that arrived."""
        return ((sent.chat, sent.at) for sent in list(self.sent) if ALERT in sent.text)


@dataclass
class BroadcastSoak:
    """One run on one database."""

    plan: Plan
    home: Path
    url: str | None = None

    def __post_init__(self) -> None:
        self.fake = Provider()
        self.processes = Processes(self.home, self.url)
        self.over = threading.Event()
        self.killed_at: list[float] = []
        self.in_flight: set[str] = set()
        self.posted: dict[int, float] = {}  # chat -> when they wrote
        self.stopped: dict[int, float] = {}  # chat -> when their STOP was on disk
        self.memory = 0.0

    def run(self) -> dict[str, object]:
        with serving(self.fake.application()) as api:
            self.processes.configure(**self._settings(api))
            house = App(load_config(self.home / "config.yml", self.processes.environment))
            self.database = house.database
            self.office = Office(house)
            fill(self.database, range(1, self.plan.people + 1))
            self._plan_faults()
            try:
                self.processes.start(*PROCESSES)
                self._until(lambda: self.fake.webhook.get("url"))
                pause = self._work()
            finally:
                self.over.set()
                self.processes.kill(*self.processes.running)
        result = self._judge() | pause
        house.database.close()
        return result

    # -- before --------------------------------------------------------------------------------------------------------

    def _settings(self, api: str) -> dict[str, object]:
        webhook = f"http://127.0.0.1:{self.processes.port}"
        return {
            "delivery": {"lease_seconds": LEASE},
            "telegram": {"api": api, "webhook": webhook, "per_second": self.plan.per_second},
            "outreach": {"cancel_minutes": 0},
        }

    def _plan_faults(self) -> None:
        weights = [*FAULTS.values(), 1000 - sum(FAULTS.values())]
        self.fake.faults.extend(self.plan.random.choices([*FAULTS, ""], weights, k=2 * self.plan.people))

    def _approve(self) -> Broadcast:
        """Urgent, so that it may run at any hour."""
        now = dt.datetime.now(dt.UTC)
        return self.office.approved(a_plan(valid_until=now + DAY, urgent=True), now, self.plan.people)

    # -- while ---------------------------------------------------------------------------------------------------------

    def _work(self) -> dict[str, object]:
        """Until the broadcast has ended by itself."""
        with ThreadPoolExecutor() as threads:
            others = [threads.submit(self._ask)]
            try:
                time.sleep(self.plan.quiet)
                self.began_at = time.monotonic()
                self.sent = self._approve()
                others.append(threads.submit(self._kill))
                self._until(lambda: self._share_sent() > 0.2)
                self._some_stop()
                self._until(lambda: self._share_sent() > 0.4)
                pause = self._pause()
                self._until(lambda: self.office.now(self.sent.id).status == "done")
                self.ended_at = time.monotonic()
            finally:
                self.over.set()
        for one in others:
            one.result()
        self._until(lambda: not self._unanswered())
        return pause

    def _unanswered(self) -> set[int]:
        """Who wrote, and neither heard from us nor is told as uncertain: their answer was on its way when its worker died."""
        silent = self.posted.keys() - {sent.chat for sent in self.fake.sent}
        doubtful = (
            select(t.addresses)
            .join(t.outbox, t.outbox.c.address_id == t.addresses.c.id)
            .where(t.outbox.c.broadcast_id.is_(None), t.outbox.c.status == "uncertain")
        )
        with self.database.begin() as connection:
            return silent - {_chat(self.database.keyring, row) for row in connection.execute(doubtful)}

    def _share_sent(self) -> float:
        return len(self.fake.sent) / self.plan.people

    def _kill(self) -> None:
        """In the expansion, and then at random while it is sent."""
        if self.plan.in_expansion:
            self._soon(lambda: self.office.now(self.sent.id).cursor)
            self._kill_some(WORKERS)
        self._soon(lambda: next(self.fake.alerts(), None))
        for number, wait in enumerate(self.plan.waits, 1):
            if self.over.wait(wait):
                return
            mortal = self.processes.mortal
            self._kill_some(mortal if number % AT_ONCE == 0 else [self.plan.random.choice(mortal)])

    def _soon(self, is_so: Callable[[], object]) -> None:
        while not is_so() and not self.over.is_set():
            time.sleep(0.005)

    def _kill_some(self, names: Sequence[str]) -> None:
        self.memory = max(self.memory, *map(self._memory, names))
        self.processes.kill(*names)
        self.killed_at.append(time.monotonic())
        self.in_flight |= in_flight(self.database)
        self.processes.start(*names)

    def _memory(self, name: str) -> float:
        """MB that a worker has needed at most."""
        try:
            status = Path(f"/proc/{self.processes.running[name].pid}/status").read_text(encoding="utf-8")
        except OSError:
            return 0.0
        peak = next((line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")), "0")
        return int(peak) / 1024 if name != "web" else 0.0

    def _ask(self) -> None:
        """One after the other writes, and each once."""
        chat = FIRST_ASKER
        while not self.over.wait(self.plan.asking_every):
            asked = time.monotonic()
            self._write(chat, "menu")
            self.posted[chat] = asked
            chat += 1

    def _write(self, chat: int, text: str) -> None:
        """Telegram posts until it is answered with 200."""
        posted = {"update_id": chat, "message": self.fake.message(chat, text=text)}
        while self.fake.post(posted) != 200:
            time.sleep(0.05)

    def _some_stop(self) -> None:
        """The last in the row."""
        last = (
            select(t.addresses)
            .join(t.recipients, t.recipients.c.address_id == t.addresses.c.id)
            .where(t.recipients.c.broadcast_id == self.sent.id, t.recipients.c.status == "waiting")
            .order_by(t.recipients.c.person.desc())
            .limit(STOPPING)
        )
        with self.database.begin() as connection:
            chats = [_chat(self.database.keyring, row) for row in connection.execute(last)]
        for chat in chats:
            self._write(chat, "STOP")
            self.stopped[chat] = time.monotonic()

    def _pause(self) -> dict[str, object]:
        """For a while; how long after its commit the last alert arrived."""
        self._until(lambda: self.office.now(self.sent.id).status == "running")
        now, keyring = dt.datetime.now(dt.UTC), self.database.keyring
        with self.database.begin() as connection:
            broadcasts.pause(connection, keyring, self.sent.id, self.office.an, now)
        paused_at = time.monotonic()
        time.sleep(self.plan.paused_for)
        arrived = [at for _, at in self.fake.alerts()]
        with self.database.begin() as connection:
            broadcasts.resume(connection, keyring, self.sent.id, self.office.an, now)
        return {"pause_ms": round(1000 * max(0.0, max(arrived) - paused_at))}

    def _until(self, is_so: Callable[[], object]) -> None:
        end = time.monotonic() + self.plan.patience
        while not is_so():
            if time.monotonic() > end:
                raise TimeoutError(f"not done after {self.plan.patience:.0f} s: {self._standing()}")
            time.sleep(0.1)

    def _standing(self) -> str:
        progress = self.office.progress(self.sent.id, dt.datetime.now(dt.UTC))
        return f"{self.office.now(self.sent.id).status}, {progress}"

    # -- after ---------------------------------------------------------------------------------------------------------

    def _judge(self) -> dict[str, object]:
        moments = list(self.fake.alerts())
        heard = Counter(chat for chat, _ in moments)
        book = self._book()
        states = Counter(book.values())
        progress = self.office.progress(self.sent.id, dt.datetime.now(dt.UTC))
        ended = self.office.now(self.sent.id)
        everybody = range(1, self.plan.people + 1)
        arrived_uncertain = sum(1 for chat, state in book.items() if state == "uncertain" and heard[chat])
        agree = (
            progress.size == self.plan.people == sum(progress.states.values()) + sum(progress.left_out.values())
            and progress.waiting == progress.forgotten == 0
            and {name: states[name] for name in progress.states} == progress.states
            and progress.states["sent"] + arrived_uncertain == sum(heard.values())
        )
        return {
            "people": self.plan.people,
            "sent": states["sent"],
            "delivered_once": sum(number == 1 for number in heard.values()),
            "duplicates": sum(number - 1 for number in heard.values()),
            "tried_again": sum(number - 1 for number in self.fake.asked.values()),
            "missing": sum(not heard[chat] and book.get(chat) not in TOLD for chat in everybody),
            "not_in_the_book": sum(book.get(chat) not in ("sent", "uncertain") for chat in heard),
            "uncertain": states["uncertain"],
            "uncertain_arrived": arrived_uncertain,
            "in_flight": len(self.in_flight),
            "doubtful_faults": sum(self.fake.met[fault] for fault in DOUBTFUL),
            "failed": states["failed"],
            "stopped": len(self.stopped),
            "after_stop": sum(at > self.stopped.get(chat, at) for chat, at in moments),
            "status": ended.status,
            "figures_agree": agree,
            "within_budget": progress.spent_vnd <= ended.reserved_vnd <= ended.plan.budget_vnd,
            "kills": len(self.killed_at),
            "died": self.processes.died,
            "seconds": round(self.ended_at - self.began_at),
            "rate": round(len(moments) / (max(at for _, at in moments) - min(at for _, at in moments))),
            "worker_mb": round(self.memory),
            "database": "postgresql" if self.url else "sqlite",
            **self._answers(),
        }

    def _book(self) -> dict[int, str]:
        """chat -> what stands of the message, or why there is none."""
        messages = select(t.outbox.c.address_id, t.outbox.c.status).where(t.outbox.c.broadcast_id == self.sent.id)
        people = (
            select(t.addresses, t.recipients.c.reason)
            .join(t.recipients, t.recipients.c.address_id == t.addresses.c.id)
            .where(t.recipients.c.broadcast_id == self.sent.id)
        )
        with self.database.begin() as connection:
            status = {row.address_id: row.status for row in connection.execute(messages)}
            return {
                _chat(self.database.keyring, row): status.get(row.id) or row.reason or "waiting"
                for row in connection.execute(people)
            }

    def _answers(self) -> dict[str, object]:
        """How long they took: before the alert, while it ran and nobody was in the way, and at worst."""
        first: dict[int, float] = {}
        for sent in self.fake.sent:
            first.setdefault(sent.chat, sent.at)
        times = [(asked, first[chat]) for chat, asked in self.posted.items() if chat in first]
        quiet = [times_of for times_of in times if times_of[1] < self.began_at]
        calm = [times_of for times_of in times if times_of[0] > self.began_at and self._is_calm(*times_of)]
        return {
            "unanswered": len(self._unanswered()),
            "doubtful_replies": len(self.posted) - len(times),
            "slowest_reply_ms": _milliseconds(times)[-1],
            **_figures("quiet", _milliseconds(quiet)),
            **_figures("calm", _milliseconds(calm)),
        }

    def _is_calm(self, asked: float, answered: float) -> bool:
        """Nobody has just died, and the provider does not refuse everybody."""
        killed = any(asked - LIVELY < at < answered for at in self.killed_at)
        return not killed and not any(asked - HELD < at < answered for at in self.fake.held_at)


def _milliseconds(times: Sequence[tuple[float, float]]) -> list[int]:
    return sorted(round(1000 * (answered - asked)) for asked, answered in times)


def _figures(name: str, times: Sequence[int]) -> dict[str, object]:
    found = {"p50": times[len(times) // 2], "p95": times[len(times) * 95 // 100], "max": times[-1]} if times else {}
    return {f"{name}_replies": len(times), **{f"{name}_reply_{one}_ms": value for one, value in found.items()}}


def fill(database: Database, chats: range) -> None:
    """Everybody here said yes to news by Telegram: rows as the conversation writes them, many at once."""
    for start in range(0, len(chats), BATCH):
        people = [_a_person(database.keyring, chat) for chat in chats[start : start + BATCH]]
        with database.begin() as connection:
            for table, rows in zip((t.addresses, t.consents, t.subscriptions), zip(*people, strict=True), strict=True):
                connection.execute(insert(table), list(rows))
    with database.begin() as connection:
        count_anew(connection, t.addresses, t.consents, t.subscriptions)


def _a_person(keyring: Keyring, chat: int) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    own, consent, joined = new_id(), new_id(), dt.datetime.now(dt.UTC) - DAY
    address = {
        "id": own,
        "channel": "telegram",
        "lookup": keyring.lookup("telegram", str(chat)),
        "sealed_identifier": keyring.seal(str(chat), f"addresses|{own}|sealed_identifier"),
        "created_at": joined,
    }
    yes = {
        "id": consent,
        "address_id": own,
        "purpose": "alerts",
        "basis": "consent",
        "reason": "asked for by the person",
        "sealed_words": keyring.seal("dang ky", f"consents|{consent}|sealed_words"),
        "given_at": joined,
    }
    wish = {"address_id": own, "channel": "telegram", "language": "vi", "source": "conversation", "joined_at": joined}
    return address, yes, wish


def _chat(keyring: Keyring, row: Any) -> int:
    return int(keyring.open(row.sealed_identifier, f"addresses|{row.id}|sealed_identifier"))


def broken(result: dict[str, Any]) -> list[str]:
    """The promises that were not kept."""
    none = ("duplicates", "tried_again", "missing", "not_in_the_book", "after_stop", "unanswered", "died")
    kept = {
        **{name: not result[name] for name in none},
        "done": result["status"] == "done",
        "figures": result["figures_agree"],
        "budget": result["within_budget"],
        "pause": result["pause_ms"] <= 1000 * HARDLY,
        "uncertain": not too_doubtful(result),
    }
    return [name for name, is_kept in kept.items() if not is_kept]


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    asked.add_argument("--people", type=int, default=Plan.people)
    asked.add_argument("--kills", type=int, default=Plan.kills)
    asked.add_argument("--seed", type=int, default=Plan.seed)
    given = asked.parse_args()
    plan = Plan(people=given.people, kills=given.kills, seed=given.seed)
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(postgres.server()) if given.database == "postgresql" else None
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        result = BroadcastSoak(plan, Path(folder), url).run()
    sys.stdout.write(json.dumps(result) + "\n")
    sys.exit(bool(broken(result)))


if __name__ == "__main__":
    main()
