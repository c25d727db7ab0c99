"""Figures of the service: waiting times against a small story, what became of messages, what has grown old, and who sees which page."""

import datetime as dt
import html
import re
import threading

import pytest
from sqlalchemy import func, select, update

from bot import freshness, outcomes
from bot.app import App
from bot.content import Library, placeholders
from bot.conversation.outcome import OUTCOMES
from bot.hotline import claims, figures
from bot.hotline.cases import CLOCK, add_event, to_write
from bot.hotline.keys import Operator, new_case_key
from bot.messages import Address
from bot.store import tables
from bot.store.tables import cases
from bot.testing import START, FakeClock
from bot.web.pages import create_site
from tests.colleagues import join
from tests.conftest import ROOT, TODAY, message
from tests.console_site import Desk, Site
from tests.hotline import a_case, an_operator
from tests.questions import keep_questions

MINUTE, HOUR, DAY = dt.timedelta(minutes=1), dt.timedelta(hours=1), dt.timedelta(days=1)
WITHIN = {"P0": 5 * MINUTE, "P1": HOUR, "P2": DAY, "P3": 2 * DAY}


# -- waiting times -----------------------------------------------------------------------------------------------------


class Queue:
    """Cases that come and are claimed at certain minutes before now."""

    def __init__(self, house: App) -> None:
        self.house, self.database, self.number = house, house.database, 0
        with self.database.begin() as connection:
            self.lan, self.minh = (
                an_operator(connection, self.database.keyring, name, supervisor=True, most_cases=99)
                for name in ("lan", "minh")
            )

    def comes(self, priority: str, before: dt.timedelta) -> str:
        """Opened so long before START; its reference."""
        self.number += 1
        with self.database.begin() as connection:
            address = Address("web", f"person {self.number}")
            case_id = a_case(connection, self.database.keyring, address=address, priority=priority, at=START - before)
            new_case_key(connection, self.database.keyring, case_id)
            return str(connection.execute(select(cases.c.reference).where(cases.c.id == case_id)).scalar_one())

    def does(self, work: object, operator: Operator, reference: str, before: dt.timedelta) -> None:
        with self.database.begin() as connection:
            work(connection, self.database.keyring, operator, reference, START - before)  # type: ignore[operator]

    def claimed(self, priority: str, before: dt.timedelta, after: dt.timedelta) -> str:
        reference = self.comes(priority, before)
        self.does(claims.claim, self.lan, reference, before - after)
        return reference

    def change(self, reference: str, **values: object) -> None:
        with self.database.begin() as connection:
            connection.execute(update(cases).where(cases.c.reference == reference).values(values))

    def nobody_comes(self, reference: str) -> None:
        with self.database.begin() as connection:
            row = connection.execute(select(cases).where(cases.c.reference == reference)).one()
            case = to_write(connection, self.database.keyring, row)
            add_event(connection, self.database.keyring, case, "nobody_came", CLOCK, {}, START)

    def waits(self, days: int = 7) -> dict[str, figures.Waits]:
        with self.database.read() as connection:
            return {one.priority: one for one in figures.waits(connection, WITHIN, START, days)}


def test_waiting_times_are_those_of_the_story(house: App) -> None:
    """Ten cries: eight claimed after 1 to 8 minutes, one that waits past its time and was told so, one that has just come."""
    queue = Queue(house)
    for minutes in range(1, 9):
        queue.claimed("P0", DAY, minutes * MINUTE)
    queue.nobody_comes(queue.comes("P0", HOUR))
    queue.comes("P0", MINUTE)
    ended = queue.claimed("P1", 2 * DAY, HOUR)
    queue.change(ended, status="closed", ended_at=START - DAY)
    found = queue.waits()
    assert found["P0"] == figures.Waits("P0", 5 * MINUTE, 10, 5, 4, 4 * MINUTE, 8 * MINUTE, 1, 0)
    assert found["P1"] == figures.Waits("P1", HOUR, 1, 1, 0, HOUR, HOUR, 0, 1)
    assert found["P2"] == figures.Waits("P2", DAY, 0, 0, 0, None, None, 0, 0)
    assert list(found) == ["P0", "P1", "P2", "P3"]


def test_a_wait_ends_with_the_first_who_has_the_case(house: App) -> None:
    """Not when it is handed over, given back and claimed again; and one that a supervisor assigns is in hand too."""
    queue = Queue(house)
    given_back = queue.claimed("P1", 5 * HOUR, 10 * MINUTE)
    queue.does(claims.release, queue.lan, given_back, 3 * HOUR)
    queue.does(claims.claim, queue.minh, given_back, HOUR)
    assigned = queue.comes("P1", 5 * HOUR)
    with house.database.begin() as connection:
        claims.hand_over(connection, house.database.keyring, queue.lan, assigned, queue.minh.id, START - 3 * HOUR)
    found = queue.waits()["P1"]
    assert (found.median, found.most_waited, found.in_time, found.late) == (10 * MINUTE, 2 * HOUR, 1, 1)


def test_what_was_erased_is_neither_in_time_nor_late_but_where_it_was_claimed(house: App) -> None:
    """After "xoa" the events are gone: the row still knows when it was claimed; unclaimed, nobody was late."""
    queue = Queue(house)
    claimed, waiting = queue.claimed("P0", DAY, 3 * MINUTE), queue.comes("P0", DAY)
    for number in (1, 2):
        house.processor.handle(message("xoa", to=f"person {number}", at=START))
    found = queue.waits()["P0"]
    assert (claimed, waiting) != ("", "")
    assert (found.opened, found.in_time, found.late, found.median) == (2, 1, 0, 3 * MINUTE)


def test_a_week_and_a_month_are_counted_from_now(house: App) -> None:
    """What was opened before is not in it; what was closed within it is, whenever it was opened."""
    queue = Queue(house)
    old = queue.claimed("P2", 40 * DAY, HOUR)
    queue.change(old, status="closed", ended_at=START - DAY)
    queue.claimed("P2", 20 * DAY, HOUR)
    assert (queue.waits(7)["P2"].opened, queue.waits(30)["P2"].opened) == (0, 1)
    assert (queue.waits(7)["P2"].ended, queue.waits(30)["P2"].ended) == (1, 1)


# -- what became of messages -------------------------------------------------------------------------------------------


def counted(house: App, now: dt.datetime = START, days: int = 7) -> dict[str, int]:
    with house.database.read() as connection:
        return dict(outcomes.lately(connection, now, days))


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("xin chao", "other"),
        ("lam sao tra giay phep cong ty?", "answered"),
        ("xin hoi ve lam bang", "no_answer"),
        ("hom nay troi co mua khong", "out_of_scope"),
        ("qwrtz pfghl", "not_understood"),
        ("di thai ban ve so luong 20tr/thang ho bao ve may bay co nen di k", "offer"),
        ("cuu em voi, em bi nhot o campuchia", "emergency"),
    ],
)
def test_every_message_is_counted_by_what_became_of_it(sqlite_house: App, text: str, outcome: str) -> None:
    """Once, also where it arrives twice; with a closed word, the day, and nothing else."""
    for _ in range(2):
        sqlite_house.processor.handle(message(text))
    assert counted(sqlite_house) == {outcome: 1}
    assert outcome in OUTCOMES


def test_an_answer_that_has_run_out_is_counted_as_such(sqlite_house: App) -> None:
    """So that an editor sees what old content costs."""
    later = START + 900 * DAY
    sqlite_house.processor.handle(message("lam sao tra giay phep cong ty?", at=later))
    assert counted(sqlite_house, later) == {"ran_out": 1}


def test_a_deletion_is_not_counted(sqlite_house: App) -> None:
    """Nothing of it."""
    sqlite_house.processor.handle(message("xoa"))
    assert counted(sqlite_house) == {}


def test_turns_at_the_same_time_are_all_counted(house: App) -> None:
    """Ten people in ten threads: none is lost, and nobody waits for ever."""

    def writes(who: str) -> None:
        for number in range(3):
            house.processor.handle(message("menu", to=who, number=number))

    threads = [threading.Thread(target=writes, args=(f"person {number}",)) for number in range(10)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert counted(house) == {"other": 30}


def test_d_13_tallies_go_after_thirty_days(house: App) -> None:
    """With the day, by the calendar of Viet Nam; and what is asked for is of the last days with today."""
    with house.database.begin() as connection:
        outcomes.note(connection, "other", "embedded", START)
        outcomes.note(connection, "answered", "embedded", START + 6 * DAY)
    assert counted(house, START + 6 * DAY) == {"other": 1, "answered": 1}
    assert counted(house, START + 7 * DAY) == {"answered": 1}
    house.clock = lambda: START + outcomes.LIFE
    house.forget()
    with house.database.begin() as connection:
        assert connection.execute(select(func.count()).select_from(tables.turn_tallies)).scalar_one() == 1


# -- what has grown old ------------------------------------------------------------------------------------------------


def test_nothing_is_old_on_the_day_of_the_tests(reader: App) -> None:
    """Content of today is fresh; what is due soon is due within thirty days."""
    assert {one.state for one in freshness.ageing(reader.library, TODAY)} <= {"soon"}


def test_what_is_old_is_told_as_it_is(reader: App) -> None:
    """A day after everything has run out: each answer, number and template is there once, the silent ones first, and exactly those are
    silent that are no longer sent."""
    library = reader.library
    late = (
        max(one.expires for one in (*library.answers.values(), *library.hotlines.values(), *library.alerts.values()))
        + DAY
    )
    found = freshness.ageing(library, late)
    assert len(found) == len(library.answers) + len(library.hotlines) + len(library.alerts)
    states = [one.state for one in found]
    assert states == sorted(states, key=("silent", "overdue", "soon").index)
    assert {one.id for one in found if one.state == "overdue"} == {
        one.id for one in library.hotlines.values() if one.never_silent
    }
    assert all((reader.config.content_folder / one.file).exists() for one in found)


def test_an_answer_falls_silent_with_a_number_in_it() -> None:
    """An answer is called silent exactly where the library does not give it, and it says which number keeps it."""
    library = Library(ROOT / "content")
    in_answers = {name for answer in library.answers.values() for name in placeholders(answer)} & set(library.hotlines)
    old = min(name for name in in_answers if not library.hotlines[name].never_silent)
    library.hotlines[old] = library.hotlines[old].model_copy(update={"expires": TODAY - DAY})
    silent = {one.id: one for one in freshness.ageing(library, TODAY) if one.state == "silent" and one.kind == "answer"}
    assert set(silent) == {name for name in library.answers if library.answer(name, TODAY) is None} != set()
    assert {(one.because, one.day) for one in silent.values()} == {(old, TODAY - DAY)}


# -- pages -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def site(sqlite_house: App) -> Site:
    clock = FakeClock()
    sqlite_house.clock = clock
    return Site(sqlite_house, create_site(sqlite_house), clock)


def desk_of(site: Site, *roles: str) -> Desk:
    return Desk(site, join(site.house, "an.le", *roles, now=site.clock.now))


def text_of(page: str) -> str:
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", page)))


def test_editors_see_questions_and_no_case(site: Site) -> None:
    """They come to their page at once; the figures of the queue are closed to them, and no outcome that concerns a case is on theirs."""
    site.house.processor.handle(message("cuu em voi, em bi nhot o campuchia", at=site.clock.now))
    site.house.processor.handle(message("qwrtz pfghl", to="another", at=site.clock.now))
    desk = desk_of(site, "editor")
    assert desk.get("/console").headers["location"] == "/console/content"
    assert desk.get("/console/service").status_code == 403
    page = text_of(desk.get("/console/content").text)
    words = site.house.library.console("vi")["outcomes_of_messages"]
    assert [name for name in ("offer", "report", "emergency", "person") if words[name] in page] == []
    assert words["not_understood"] in page


def test_ten_are_not_on_the_page_and_eleven_are(site: Site) -> None:
    """With the range, and nothing of how many rows there are."""
    desk = desk_of(site, "editor")
    assert "mang thuoc tay" not in desk.get("/console/content").text
    keep_questions(site.house.database)
    assert "mang thuoc tay" in desk.get("/console/content").text
    assert "11-20" in text_of(desk.get("/console/content").text)
    with site.house.database.begin() as connection:
        one = connection.execute(select(tables.unanswered.c.id)).scalars().first()
        connection.execute(tables.unanswered.delete().where(tables.unanswered.c.id == one))
    assert "mang thuoc tay" not in desk.get("/console/content").text


@pytest.mark.parametrize("days", ["7", "30", "8", "-1"])
def test_a_supervisor_sees_the_waits_of_the_days_that_were_chosen(site: Site, days: str) -> None:
    """Another number of days than these two is seven."""
    queue = Queue(site.house)
    queue.claimed("P0", 10 * DAY, 3 * MINUTE)
    site.clock.now = START
    desk = desk_of(site, "supervisor")
    page = desk.get(f"/console/service?days={days}")
    assert page.status_code == 200
    row = re.search(r"<tr>.*?</tr>", page.text.split("<tbody>")[1], re.DOTALL)
    assert row
    shown = [text_of(cell).strip() for cell in re.findall(r"<td[^>]*>(.*?)</td>", row[0], re.DOTALL)]
    none = site.house.library.console("vi")["service"]["none"]
    assert shown == (
        ["1", "1 trên 1", "3 phút", "3 phút", "0", "0"] if days == "30" else ["0", none, none, none, "0", "0"]
    )
