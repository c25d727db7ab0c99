"""Two at the same instant, and kill -9 in the middle: one of them wins, and what stands on disk is whole."""

import concurrent.futures
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from bot import audit
from bot.app import App
from bot.delivery import outbox
from bot.errors import CaseError
from bot.hotline import cases, claims, colleagues, keys
from bot.hotline.cases import Case
from bot.hotline.keys import Operator
from bot.staff import accounts
from bot.store import tables
from tests.hotline_line import HELD, Hotline

PATIENCE = 60
ROUNDS = 5
pytestmark = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")


@pytest.fixture
def line(house: App) -> Hotline:
    return Hotline(house)


def tried(job: Callable[..., Any], *given: object) -> str:
    """ "done", or why not."""
    try:
        job(*given)
    except CaseError as error:
        return error.why
    return "done"


def at_once(*jobs: Callable[[], Any]) -> list[Any]:
    """All of them in threads that start together."""
    start = threading.Barrier(len(jobs))

    def run(job: Callable[[], Any]) -> Any:
        start.wait()
        return job()

    with concurrent.futures.ThreadPoolExecutor(len(jobs)) as threads:
        return list(threads.map(run, jobs))


def proved(line: Hotline) -> None:
    with line.database.begin() as connection:
        assert audit.verify(connection, line.keyring).broken_at is None


# -- at the same instant -----------------------------------------------------------------------------------------------


def test_of_two_who_claim_at_once_one_gets_the_case(line: Hotline) -> None:
    """Each case has one owner, the other hears "taken", and only the owner reads what follows."""
    people = [line.colleague(name) for name in ("lan", "mai")]
    for number in range(ROUNDS):
        case = line.crying(f"+8490200000{number}")
        outcomes = at_once(*(partial(tried, line.claimed, case, who) for who in people))
        assert sorted(outcomes) == ["done", "taken"]
        winner, loser = people if outcomes[0] == "done" else people[::-1]
        assert line.case(case.reference).owner_id == winner.id
        assert line.holds(case, winner)
        assert not line.holds(case, loser)
    proved(line)


@pytest.mark.postgres
@pytest.mark.parametrize("house", ["postgres"], indirect=True)
def test_of_two_processes_that_claim_at_once_one_gets_the_case(line: Hotline) -> None:
    """The same across processes."""
    people = [line.colleague(name) for name in ("lan", "mai")]
    case = line.crying()
    line.database.engine.dispose()
    fork = multiprocessing.get_context("fork")
    children = [fork.Process(target=_claim_and_exit, args=(line, case, who)) for who in people]
    for child in children:
        child.start()
    for child in children:
        child.join(PATIENCE)
    assert sorted(str(child.exitcode) for child in children) == sorted(str(code) for code in EXITS.values())
    proved(line)


EXITS = {"done": 10, "taken": 11}


def _claim_and_exit(line: Hotline, case: Case, who: Operator) -> None:
    os._exit(EXITS[tried(line.claimed, case, who)])


def test_a_claim_and_the_persons_deletion_at_once(line: Hotline) -> None:
    """Whoever comes first: in the end nothing of the case can be read."""
    lan = line.colleague("lan")
    for number in range(ROUNDS):
        who = f"+8490200000{number}"
        case = line.crying(who)
        claimed, _ = at_once(partial(tried, line.claimed, case, lan), partial(line.write, "xóa", who=who))
        assert claimed in ("done", "ended")
        assert line.case(case.reference).status == "erased"
    for table in (tables.case_keys, tables.case_events, tables.case_messages):
        assert line.rows(table) == []
    proved(line)


def test_a_turn_of_the_bot_and_the_operators_first_word_at_once(line: Hotline) -> None:
    """Whichever is first, the bot says nothing once the operator has the line."""
    lan = line.colleague("lan")
    for number in range(ROUNDS):
        who = f"+8490200000{number}"
        case = line.claimed(line.crying(who), lan)
        at_once(partial(line.speak, lan, case, "Minh day"), partial(line.write, "alo", who=who))
        assert line.case(case.reference).relay_since is not None
        assert line.send() == ["Minh day"]
    proved(line)


def test_somebody_is_removed_while_people_write(line: Hotline) -> None:
    """Taking away one person's keys of many cases and the turns of those cases wait for each other, and nobody is turned away."""
    lan, mai = line.colleague("lan", most_cases=99), line.colleague("mai")
    people = [f"+8490200000{number}" for number in range(ROUNDS)]
    taken = [line.claimed(line.crying(who), lan) for who in people]
    for case in taken:
        line.speak(lan, case)

    def remove() -> None:
        with line.database.begin() as connection:
            account = accounts.find(connection, line.keyring, lan.id)
            assert account
            colleagues.remove(connection, line.keyring, account, line.now, by="command line")

    at_once(remove, *(partial(line.write, "em đây", "alo", who=who) for who in people))
    assert [case.owner_id for case in line.cases()] == [None] * ROUNDS
    assert all(line.holds(case, mai) for case in line.cases())
    proved(line)


# -- kill -9 -----------------------------------------------------------------------------------------------------------

STEPS: list[tuple[str, Any, str]] = [
    ("claim", keys, "narrow"),
    ("claim", cases, "changed"),
    ("claim", audit, "record"),
    ("hand_over", keys, "share"),
    ("hand_over", keys, "narrow"),
    ("release", keys, "share_with_all"),
    ("speak", outbox, "say"),
    ("take_away", keys, "_renew"),
    ("claim", Engine, "commit"),
    ("hand_over", Engine, "commit"),
    ("take_away", Engine, "commit"),
]


@pytest.mark.parametrize(("job", "place", "step"), STEPS, ids=[f"{job}-{step}" for job, _, step in STEPS])
def test_a_work_that_is_killed_leaves_the_case_as_it_was(sqlite_house: App, job: str, place: Any, step: str) -> None:
    """After kill -9 at any step the case has its old owner, who reads all of it, and the work can be done again."""
    line = Hotline(sqlite_house)
    lan, mai = line.colleague("lan"), line.colleague("mai")
    case = line.crying()
    if job != "claim":
        line.claimed(case, lan)
    before = (line.rows(tables.cases), line.rows(tables.case_keys), line.rows(tables.audit))
    line.database.engine.dispose()
    child = multiprocessing.get_context("fork").Process(target=_die, args=(line, job, case, lan, mai, place, step))
    child.start()
    child.join(PATIENCE)
    assert child.exitcode == -signal.SIGKILL
    assert (line.rows(tables.cases), line.rows(tables.case_keys), line.rows(tables.audit)) == before
    _do(line, job, case, lan, mai)
    reader = mai if job in ("hand_over", "take_away") else lan
    assert HELD in [one.text for one in line.words(case, reader)] or job == "take_away"
    proved(line)


def _do(line: Hotline, job: str, case: Case, lan: Operator, mai: Operator) -> None:
    match job:
        case "claim":
            line.claimed(case, lan)
        case "hand_over":
            line.do(claims.hand_over, lan, case, mai.id)
        case "release":
            line.do(claims.release, lan, case)
        case "speak":
            line.speak(lan, case)
        case "take_away":
            with line.database.begin() as connection:
                keys.take_away(connection, line.keyring, lan.id)


def _die(line: Hotline, job: str, case: Case, lan: Operator, mai: Operator, place: Any, step: str) -> None:
    def last(*_given: Any, **_named: Any) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    if place is Engine:
        event.listen(Engine, "commit", last)
    else:
        setattr(place, step, last)
        if (place, step) == (cases, "changed"):
            setattr(claims, step, last)
    _do(line, job, case, lan, mai)
