"""Counting and closing of trends: once a person and period, released once, and nothing but noise left of it."""

import datetime as dt
import functools
import json
import random
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, text, update

from bot.app import App
from bot.content import Library
from bot.errors import StoreError, TrendsError
from bot.messages import VIETNAM
from bot.observations import Observation
from bot.store import trend_tables as t
from bot.trends import report
from bot.trends.counters import TrendStore
from bot.trends.keys import KEY
from bot.trends.periods import GRAINS, Period, period_named, period_of, period_on, weeks_of
from bot.trends.release import PATIENCE, abandon, close_due, close_period
from tests.conftest import ROOT, message
from tests.trending import (
    DAY,
    FOR_EVERYBODY,
    MONDAY,
    MONTH,
    OFFER,
    QUARTER,
    WEEK,
    cells_released,
    close_all,
    closing_hour,
    count_people,
    counting,
    disagreements,
    exact,
    key_files,
    library,
    open_names,
    open_store,
    released,
    rows,
    somebody,
    somewhere,
)

IDLE = dt.timedelta(minutes=31)
MINUTE = dt.timedelta(minutes=1)
LURE = "di thai ban ve so luong 20tr/thang ho bao ve may bay co nen di k"

both = pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
Opener = Callable[..., TrendStore]


@pytest.fixture
def opener(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opener]:
    """Opens the same store again and again, each time as another process would."""
    url = request.getfixturevalue("postgres_database") if kind == "postgres" else None
    opened: list[TrendStore] = []

    def again(home: Path = tmp_path, **how: object) -> TrendStore:
        opened.append(open_store(home, url, **how))  # type: ignore[arg-type]
        return opened[-1]

    yield again
    for store in opened:
        store.database.close()


@pytest.fixture
def store(opener: Opener) -> TrendStore:
    return opener()


@pytest.fixture
def file_store(tmp_path: Path) -> Iterator[TrendStore]:
    """On SQLite only, where the database makes no difference."""
    built = open_store(tmp_path)
    yield built
    built.database.close()


# -- counting ----------------------------------------------------------------------------------------------------------


@both
def test_one_person_is_counted_once_in_each_period(store: TrendStore) -> None:
    """The first talk counts; a second one in the same week does not, whatever it was about; next week counts anew, the month does not."""
    store.open_periods(MONDAY)
    assert store.count("web|lan", OFFER, MONDAY)
    other = Observation("none", "china", "abroad", "force")
    assert not store.count("web|lan", other, MONDAY + DAY)
    assert somewhere(exact(store, WEEK)) == {"risk": {"high": 1}, "topic": {"neighbours": 1}}
    assert somewhere(exact(store, MONTH)) == {"province": {"N04": 1}, "region_topic": {"north_mountains/neighbours": 1}}
    assert somewhere(exact(store, QUARTER)) == {"province_topic": {"N04/neighbours": 1}, "flag": {"pay": 1}}
    next_week = MONDAY + 7 * DAY  # the last day of November
    store.open_periods(next_week)
    assert store.count("web|lan", other, next_week)
    assert somewhere(exact(store, "2026-W49")) == {"risk": {"none": 1}, "topic": {"china": 1}}
    assert somewhere(exact(store, MONTH))["province"] == {"N04": 1}
    assert disagreements(store) == []


@both
def test_who_told_no_province_is_in_no_region(store: TrendStore) -> None:
    """Everybody stands in the table of provinces; in that of regions only whose place is known."""
    store.open_periods(MONDAY)
    for number, province in enumerate(("abroad", "unknown", "N91")):
        store.count(f"web|{number}", replace(OFFER, province=province), MONDAY)
    counts = somewhere(exact(store, MONTH))
    assert counts["province"] == {"N91": 1, "abroad": 1, "unknown": 1}
    assert counts["region_topic"] == {"mekong/neighbours": 1}
    assert disagreements(store) == []


def test_t_04_a_flood_from_one_line_changes_each_counter_by_one(sqlite_house: App) -> None:
    """A thousand messages of one line in two hundred talks of one week, counted by the processor and by the sweep: everywhere one at most."""
    house = counting(sqlite_house)
    store, at = house.trends, MONDAY
    store.open_periods(at)
    words = (LURE, "o cao bang", "phi di nhat bao nhieu tien", "di han lam nong nghiep luong 40tr", "alo")
    for number in range(1000):
        at += IDLE if number % 5 == 0 else dt.timedelta(seconds=1)
        house.processor.handle(message(words[number % 5], number=number, at=at))
        if number % 100 == 0:
            house.clock = lambda now=at + IDLE: now  # type: ignore[misc]
            house.forget()
    assert period_of("week", at).name == WEEK
    counts = somewhere(exact(store, WEEK)) | somewhere(exact(store, MONTH)) | somewhere(exact(store, QUARTER))
    assert set(counts) == {*FOR_EVERYBODY, "region_topic"}
    assert all(sum(cells.values()) == 1 for table, cells in counts.items() if table in FOR_EVERYBODY)
    assert len(rows(store, t.ledger)) == 3
    store.database.close()


@both
def test_t_11_a_word_of_no_vocabulary_is_refused(store: TrendStore) -> None:
    """Whatever the field, and nothing of it is written down, not even that somebody was there."""
    store.open_periods(MONDAY)
    for field in ("risk", "topic", "province", "flag"):
        with pytest.raises(TrendsError, match="does not know"):
            store.count("web|lan", replace(OFFER, **{field: "Nguyen Thi Lan"}), MONDAY)
    assert rows(store, t.ledger) == []
    assert all(somewhere(exact(store, name)) == {table: {} for table in exact(store, name)} for name in (WEEK, QUARTER))


def test_words_that_change_within_a_period_count_from_the_next_on(tmp_path: Path) -> None:
    """An open period keeps the cells with which it was opened, in their order; what has no cell there is counted in no cell."""
    before = open_store(tmp_path)
    before.open_periods(MONDAY)
    before.count("web|lan", OFFER, MONDAY)
    after = open_store(tmp_path, words=_with_topics_turned_round(tmp_path))
    after.count("web|hoa", OFFER, MONDAY)
    after.count("web|mai", replace(OFFER, topic="moon"), MONDAY)
    assert somewhere(exact(after, WEEK))["topic"] == {"neighbours": 2}
    assert [len(rows(after, t.ledger))] == [9]
    close_all(after)
    assert {row[2] for row in rows(after, t.releases) if row[:2] == (WEEK, "topic")} == set(before.cells.of["topic"])
    after.open_periods(MONDAY + 200 * DAY)
    assert "moon" in exact(after, period_of("week", MONDAY + 200 * DAY).name)["topic"]
    for store in (before, after):
        store.database.close()


def _with_topics_turned_round(folder: Path) -> Library:
    content = Path(shutil.copytree(ROOT / "content", folder / "content"))
    file = content / "trends.yml"
    words = file.read_text("utf-8").replace("- id: china\n", "- id: moon\n")
    head, topics = words.split("topics:\n", 1)
    listed, rest = topics.split("# The gravest sign", 1)
    first, *others = listed.split("- id: ")[1:]
    turned = "".join(f"- id: {one}" for one in (*others[:-1], first, others[-1]))
    file.write_text(f"{head}topics:\n{turned}# The gravest sign{rest}", "utf-8")
    return Library(content)


@both
def test_many_who_count_at_once_lose_nobody(opener: Opener) -> None:
    """Four processes count sixty people, each of them twice: ledger and tables agree, and everybody is there once."""
    stores = [opener() for _ in range(4)]
    stores[0].open_periods(MONDAY)
    people = [(f"web|{number % 60}", somebody(random.Random(number % 60))) for number in range(120)]

    def count(part: int) -> None:
        for who, seen in people[part::4]:
            stores[part].count(who, seen, MONDAY)

    _at_once([functools.partial(count, part) for part in range(4)])
    assert sum(exact(stores[0], WEEK)["risk"].values()) == 60
    assert disagreements(stores[0]) == []


# -- closing -----------------------------------------------------------------------------------------------------------


@both
def test_a_period_is_closed_at_its_hour_and_not_before(store: TrendStore) -> None:
    """Three hours after the midnight of Viet Nam with which it ends."""
    count_people(store, MONDAY)
    hour = closing_hour(store, WEEK)
    assert hour == dt.datetime(2026, 11, 29, 20, 0, tzinfo=dt.UTC)
    assert close_due(store, hour - MINUTE) == []
    assert [period.name for period in close_due(store, hour)] == [WEEK]
    assert open_names(store) == {MONTH, QUARTER} == key_files(store)


@both
def test_t_02_what_was_released_is_the_same_for_ever(opener: Opener) -> None:
    """Closed again, looked at by another process, dumped twice: byte by byte the same."""
    store = opener()
    count_people(store, MONDAY)
    assert len(close_all(store)) == 3
    first, exported = released(store), _export(store)
    for name in (WEEK, MONTH, QUARTER):
        assert not close_period(store, period_named(name))
    assert close_all(store) == []
    another = opener()
    assert close_all(another) == []
    another.open_periods(MONDAY)  # a clock that went wrong opens nothing again
    assert released(store) == released(another) == first
    assert _export(store) == _export(another) == exported
    assert open_names(another) == set()


@both
def test_t_02_nobody_changes_what_was_released(store: TrendStore, kind: str) -> None:
    """Neither UPDATE nor DELETE nor whatever else empties or overwrites a row: the database itself refuses."""
    count_people(store, MONDAY, people=3)
    close_all(store)
    before = released(store)
    for table in t.KEPT:
        column = list(table.c)[-1].name
        statements = [f"UPDATE {table.name} SET {column} = {column}", f"DELETE FROM {table.name}"]
        if kind == "postgres":
            statements.append(f"TRUNCATE {table.name}")
        else:
            statements.append(f"INSERT OR REPLACE INTO {table.name} SELECT * FROM {table.name} LIMIT 1")
        for statement in statements:
            with pytest.raises(StoreError), store.database.begin() as connection:
                connection.execute(text(statement))
    assert released(store) == before


@both
def test_t_02_who_comes_late_changes_nothing(store: TrendStore) -> None:
    """A talk of a closed week is not counted there, and the months that are open still take it."""
    count_people(store, MONDAY)
    close_due(store, closing_hour(store, WEEK))
    before = released(store)
    assert store.count("web|late", OFFER, MONDAY)
    assert released(store) == before
    assert sum(exact(store, MONTH)["province"].values()) == 41
    close_all(store)
    before = released(store)
    assert not store.count("web|later", OFFER, MONDAY)
    assert (released(store), rows(store, t.ledger)) == (before, [])


def test_t_02_a_person_who_deletes_everything_changes_no_release(house: App) -> None:
    """The numbers are about nobody any more, so nothing is computed again."""
    counting(house)
    store = house.trends
    store.open_periods(MONDAY)
    house.processor.handle(message(LURE, at=MONDAY))
    house.clock = lambda: MONDAY + IDLE
    house.forget()
    assert sum(exact(store, WEEK)["risk"].values()) == 1
    close_all(store)
    before = rows(store, t.releases), rows(store, t.closings)
    house.processor.handle(message("xoa", number=2, at=MONDAY + 130 * DAY))
    house.clock = lambda: MONDAY + 130 * DAY + IDLE
    house.forget()
    assert (rows(store, t.releases), rows(store, t.closings)) == before
    store.database.close()


@both
def test_t_02_two_who_close_at_the_same_moment_release_once(opener: Opener) -> None:
    """Of four processes one closes each period; the others find it closed."""
    stores = [opener() for _ in range(4)]
    count_people(stores[0], MONDAY)
    closed: list[str] = []

    def close(one: TrendStore) -> None:
        closed.extend(period.name for period in close_all(one))

    _at_once([functools.partial(close, one) for one in stores])
    assert sorted(closed) == sorted((WEEK, MONTH, QUARTER))
    assert cells_released(stores[0]) == _all_cells(stores[0], "standard")
    assert key_files(stores[0]) == set()


@both
def test_t_10_an_empty_period_looks_like_a_full_one(opener: Opener, tmp_path: Path) -> None:
    """The same rows with and without people; a quarter of a year in which nobody wrote is released like any other."""
    store = opener()
    store.open_periods(MONDAY)
    close_all(store)
    empty = cells_released(store)
    assert empty == _all_cells(store, "standard")
    assert rows(store, t.closings)[0][-1] is False
    later = MONDAY + 200 * DAY
    count_people(store, later, people=30)
    close_due(store, later + 200 * DAY)
    full = {(table, count) for (period, table), count in cells_released(store).items() if (period, table) not in empty}
    assert full == {(table, count) for (_, table), count in empty.items()}


@both
def test_t_10_periods_are_opened_whether_anybody_writes_or_not(store: TrendStore) -> None:
    """One look opens the week, the month and the quarter of its day, with a row for every table; nobody has to write."""
    store.open_periods(MONDAY)
    before = [(row[0], row[1]) for row in rows(store, t.counters)]
    store.count("web|lan", OFFER, MONDAY)
    assert [(row[0], row[1]) for row in rows(store, t.counters)] == before
    assert [row[0] for row in rows(store, t.periods)] == [MONTH, QUARTER, WEEK]
    assert {len(row[-1]) for row in rows(store, t.counters) if row[1] == "risk"} == {12 + 4 * 4 + 16}


@both
def test_a_time_in_which_nothing_ran_is_simply_absent(store: TrendStore) -> None:
    """Nobody opened those weeks, so they have no release and no zeros."""
    store.open_periods(MONDAY)
    store.open_periods(MONDAY + 28 * DAY)
    close_all(store)
    weeks = {period for period, table in cells_released(store) if table == "risk"}
    assert weeks == {"2026-W48", "2026-W52"}


def test_a_period_that_began_late_says_so(file_store: TrendStore) -> None:
    """Counting was switched on within the quarter: its first day is told with its release."""
    file_store.open_periods(MONDAY)
    close_all(file_store)
    assert {row[0]: row[3] for row in rows(file_store, t.closings)} == {
        WEEK: dt.date(2026, 11, 23), MONTH: dt.date(2026, 11, 23), QUARTER: dt.date(2026, 11, 23)
    }  # fmt: skip


def test_trends_that_are_given_up_leave_nothing(file_store: TrendStore, tmp_path: Path) -> None:
    """No release, no counter, no key; what was released before stays."""
    count_people(file_store, MONDAY)
    close_due(file_store, closing_hour(file_store, WEEK))
    before = released(file_store)
    assert {period.name for period in abandon(file_store)} == {MONTH, QUARTER}
    assert (released(file_store), key_files(file_store)) == (before, set())
    assert [rows(file_store, table) for table in t.OPEN] == [[], [], []]


# -- promises ----------------------------------------------------------------------------------------------------------


@both
def test_t_12_a_promise_holds_for_its_whole_quarter(opener: Opener, tmp_path: Path) -> None:
    """Whoever changes the profile, the tables of a quarter or an epsilon in its midst changes it for the next one."""
    first = dt.datetime(2026, 9, 28, 3, 0, tzinfo=dt.UTC)  # the Monday of the week that belongs to the fourth quarter
    opener(profile="pilot").open_periods(first)
    changed = opener(profile="standard", quarterly=False, words=_with_more_epsilon(tmp_path))
    for day in range(94):
        changed.open_periods(first + day * DAY)
    pilot = library().trend_rules.profiles["pilot"]
    for name, profile, tables in (row[:3] for row in rows(changed, t.periods)):
        period = period_named(name)
        if period.quarter.name == QUARTER:
            expected = {table: rule.epsilon for table, rule in pilot.items() if rule.every == period.grain}
            assert (profile, json.loads(tables)) == ("pilot", expected), name
    changed.open_periods(first + 100 * DAY)
    promised = {row[0]: (row[1], json.loads(row[2])) for row in rows(changed, t.promises)}
    assert promised[QUARTER][1]["risk"] == ["week", 0.25]
    assert promised["2027-Q1"][0] == "standard"
    assert promised["2027-Q1"][1]["risk"] == ["week", 0.5]
    assert {every for every, _ in promised["2027-Q1"][1].values()} == {"week", "month"}


def test_t_12_a_week_that_is_opened_after_its_quarter_was_closed_keeps_its_promise(tmp_path: Path) -> None:
    """In January the last week of the old year is opened: it counts for the quarter that was promised in October."""
    open_store(tmp_path, profile="pilot").open_periods(MONDAY)
    later = open_store(tmp_path, profile="standard")
    new_year = dt.datetime(2027, 1, 2, 3, 0, tzinfo=dt.UTC)
    assert QUARTER in {period.name for period in close_due(later, new_year)}
    later.open_periods(new_year)
    assert {row[0]: row[1] for row in rows(later, t.periods)} == {
        "2026-W53": "pilot", "2027-01": "standard", "2027-Q1": "standard"
    }  # fmt: skip


def _with_more_epsilon(folder: Path) -> Library:
    content = Path(shutil.copytree(ROOT / "content", folder / "content"))
    file = content / "policy" / "trends.yml"
    file.write_text(
        file.read_text("utf-8").replace("{every: week, epsilon: 0.25}", "{every: week, epsilon: 0.5}"), "utf-8"
    )
    return Library(content)


# -- keys --------------------------------------------------------------------------------------------------------------


@both
def test_two_machines_with_different_keys_count_nobody_twice(
    opener: Opener, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The second one says which setting is wrong, counts nobody, and closes nothing that the first still holds the key of."""
    ours, theirs = opener(keys=tmp_path / "ours"), opener(keys=tmp_path / "theirs")
    ours.open_periods(MONDAY)
    theirs.open_periods(MONDAY)
    assert ours.count("web|lan", OFFER, MONDAY)
    assert not theirs.count("web|lan", OFFER, MONDAY)
    assert not theirs.count("web|hoa", OFFER, MONDAY)
    assert "let bot.trends.keys name the same folder" in caplog.text
    theirs.keys.find_or_make(period_named(WEEK))
    with pytest.raises(TrendsError, match=r"let bot\.trends\.keys name the same folder"):
        theirs.count("web|lan", OFFER, MONDAY)
    hour = closing_hour(ours, WEEK)
    with pytest.raises(TrendsError, match="Another machine"):
        close_due(theirs, hour)
    assert sum(exact(ours, WEEK)["risk"].values()) == 1
    assert [period.name for period in close_due(ours, hour)] == [WEEK]
    assert [row[-1] for row in rows(ours, t.closings)] == [False]


@both
def test_a_lost_key_costs_its_period_and_nothing_else(
    store: TrendStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The other periods go on; a day after its hour the period is closed as lost, without a single number."""
    count_people(store, MONDAY, people=5)
    (tmp_path / "trend-keys" / f"{WEEK}.key").unlink()
    assert store.count("web|new", OFFER, MONDAY)
    assert sum(exact(store, MONTH)["province"].values()) == 6
    hour = closing_hour(store, WEEK)
    assert close_due(store, hour + PATIENCE - MINUTE) == []
    assert f"the key of {WEEK} is not here" in caplog.text
    assert WEEK in {period.name for period in close_due(store, hour + PATIENCE)}
    assert {period for period, _ in cells_released(store)} == {MONTH}
    assert [(row[0], row[-1]) for row in rows(store, t.closings)] == [(MONTH, False), (WEEK, True)]
    with store.database.read() as connection:
        shown = report.Report(connection, 11)
    assert {closing.period.name for closing in shown.closings if closing.lost} == {WEEK}
    assert {row["period"] for row in shown.rows()} == {MONTH}
    assert len(close_all(store)) == 1


def test_a_key_that_was_cut_off_is_none(file_store: TrendStore, tmp_path: Path) -> None:
    """Half of a key counts as lost, and is destroyed with its period."""
    count_people(file_store, MONDAY, people=1)
    (tmp_path / "trend-keys" / f"{WEEK}.key").write_bytes(b"x" * (KEY // 2))
    close_due(file_store, closing_hour(file_store, WEEK) + PATIENCE)
    assert (WEEK, True) in [(row[0], row[-1]) for row in rows(file_store, t.closings)]
    assert key_files(file_store) == {QUARTER}


@pytest.mark.parametrize("damage", [b"", b"short", bytes(60)], ids=["empty", "short", "zeros"])
@both
def test_a_damaged_counter_is_told_in_a_sentence(store: TrendStore, damage: bytes) -> None:
    """Nobody is counted half, nothing of that period is released or lost, and the others are closed all the same."""
    count_people(store, MONDAY, people=4)
    own = (t.counters.c.period == WEEK, t.counters.c.table_name == "topic")
    with store.database.begin() as connection:
        connection.execute(update(t.counters).where(*own).values(sealed_counts=damage))
    ledger = rows(store, t.ledger)
    with pytest.raises(TrendsError, match=r"^A counter was changed outside Bạn Đường: restore the trends' database\.$"):
        store.count("web|new", OFFER, MONDAY)
    assert rows(store, t.ledger) == ledger
    with pytest.raises(TrendsError, match="A counter was changed"):
        close_all(store)
    assert open_names(store) == {WEEK} == key_files(store)
    assert {period for period, _ in cells_released(store)} == {MONTH, QUARTER}


def test_counters_that_change_places_are_noticed(file_store: TrendStore) -> None:
    """What is sealed belongs to one table of one period, and to its cells in their order; none may be missing."""
    count_people(file_store, MONDAY, people=4)
    own = (t.counters.c.period == WEEK, t.counters.c.table_name == "topic")
    for cells in (json.dumps(list(reversed(file_store.cells.of["topic"]))), "?"):
        with file_store.database.begin() as connection:
            connection.execute(update(t.counters).where(*own).values(cells=cells))
        with pytest.raises(TrendsError, match="changed outside"):
            exact(file_store, WEEK)
    with file_store.database.begin() as connection:
        connection.execute(delete(t.counters).where(*own))
    with pytest.raises(TrendsError, match="removed outside"):
        close_all(file_store)
    assert WEEK in open_names(file_store)


@pytest.mark.parametrize("where", ["a file that is none", "a server that is down"])
def test_a_store_of_trends_that_cannot_be_used_keeps_nobody_from_their_answer(
    where: str, sqlite_house: App, caplog: pytest.LogCaptureFixture
) -> None:
    """The house starts, answers and forgets; what is wrong is told in a sentence. Once the store is there again, people are counted."""
    house, home = counting(sqlite_house), sqlite_house.config.home
    home.mkdir()
    if where == "a file that is none":
        (home / "trends.db").write_bytes(b"nothing of ours " * 512)
    else:
        url = f"postgresql://nobody@/nothing?host={home}"
        house.config = house.config.model_copy(update={"trends_database_url": url})
    assert house.processor.handle(message(LURE, at=MONDAY))
    assert house.processor.handle(message(LURE, number=2, at=MONDAY + IDLE))
    house.clock = lambda: MONDAY + 2 * IDLE
    assert house.forget()["conversations"] == 1
    assert "a talk could not be counted: The trends' database cannot be used: The database" in caplog.text
    assert "periods of trends could not be opened" in caplog.text
    if where == "a file that is none":
        (home / "trends.db").unlink()
        house.forget()
        assert house.trends.count("web|lan", OFFER, MONDAY + IDLE)
    house.trends.database.close()


@pytest.mark.postgres
def test_nobody_waits_for_trends_longer_than_seconds(postgres_database: str, tmp_path: Path) -> None:
    """A server that does not answer, and a row that somebody holds: five seconds, and the talk is not counted."""
    store = open_store(tmp_path, postgres_database)
    with store.database.begin() as connection:
        assert connection.execute(text("SHOW lock_timeout")).scalar_one() == "5s"
        assert connection.connection.driver_connection.info.get_parameters()["connect_timeout"] == "5"  # type: ignore[union-attr]
    store.database.close()


def test_what_goes_wrong_with_trends_keeps_nobody_from_their_answer(
    sqlite_house: App, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A damaged counter is logged; the person is answered, the talk is forgotten, and periods are still closed."""
    house = counting(sqlite_house)
    store = house.trends
    store.open_periods(MONDAY)
    with store.database.begin() as connection:
        connection.execute(update(t.counters).where(t.counters.c.period == WEEK).values(sealed_counts=b"?"))
    assert house.processor.handle(message(LURE, at=MONDAY))
    assert house.processor.handle(message("alo", number=2, at=MONDAY + IDLE))
    house.processor.handle(message(LURE, number=3, at=MONDAY + 2 * IDLE))
    house.clock = lambda: closing_hour(store, MONTH)
    assert house.forget()["conversations"] == 1
    assert caplog.text.count("a talk could not be counted: A counter was changed outside") == 2
    assert {period for period, _ in cells_released(store)} == {MONTH}
    store.database.close()


# -- periods -----------------------------------------------------------------------------------------------------------

days = st.dates(dt.date(2020, 1, 1), dt.date(2060, 12, 31))
grains = st.sampled_from(GRAINS)
moments = st.builds(dt.datetime.combine, days, st.times(), st.just(dt.UTC))


@given(grain=grains, day=days)
def test_a_period_is_known_by_its_name(grain: str, day: dt.date) -> None:
    """Name and period go there and back, and the day lies within."""
    period = period_on(grain, day)  # type: ignore[arg-type]
    assert period_named(period.name) == period
    assert period.start <= day < period.end


@given(grain=grains, day=days)
def test_periods_follow_one_another_without_a_gap(grain: str, day: dt.date) -> None:
    """Where one ends the next begins, and back again."""
    period = period_on(grain, day)  # type: ignore[arg-type]
    assert period.following.start == period.end
    assert period.following.before == period
    assert period.before.following == period
    assert period.following.name != period.name


@given(day=days)
def test_every_week_counts_for_one_quarter(day: dt.date) -> None:
    """The weeks of the quarters are all weeks, each once; a quarter has twelve to fourteen of them."""
    quarter = period_on("quarter", day)
    ours, following = weeks_of(quarter), weeks_of(quarter.following)
    assert 12 <= len(ours) <= 14
    assert all(
        week.following == after for week, after in zip([*ours, *following], [*ours, *following][1:], strict=False)
    )
    assert all(week.quarter == quarter for week in ours)
    assert period_on("month", day).quarter == quarter


@given(moment=moments, grain=grains)
def test_a_day_begins_at_midnight_of_viet_nam(moment: dt.datetime, grain: str) -> None:
    """Seven hours before that of UTC; a period is over at the first moment that is not its own."""
    period: Period = period_of(grain, moment)  # type: ignore[arg-type]
    assert period.start <= moment.astimezone(VIETNAM).date() < period.end
    assert period.over_at.hour == 17
    assert period_of(period.grain, period.over_at - dt.timedelta(microseconds=1)) == period
    assert period_of(period.grain, period.over_at) == period.following


@pytest.mark.parametrize("name", ["", "2026", "2026-W54", "2025-W53", "2026-13", "2026-Q5", "2026-11.key", "x2026-11"])
def test_what_is_no_name_of_a_period_is_none(name: str) -> None:
    """No file that lies among the keys by chance is taken for one."""
    with pytest.raises(ValueError):
        period_named(name)


# -- helpers -----------------------------------------------------------------------------------------------------------


def _at_once(works: list[Callable[[], None]]) -> None:
    """All of them in threads that begin together; what one of them raises is raised here."""
    barrier, failed = threading.Barrier(len(works)), list[BaseException]()

    def work(one: Callable[[], None]) -> None:
        barrier.wait()
        try:
            one()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(one,)) for one in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]


def _all_cells(store: TrendStore, profile: str) -> dict[tuple[str, str], int]:
    """What must stand there once the periods of MONDAY are closed."""
    names = {"week": WEEK, "month": MONTH, "quarter": QUARTER}
    tables = library().trend_rules.profiles[profile].items()
    return {(names[rule.every], table): len(store.cells.of[table]) for table, rule in tables}


def _export(store: TrendStore) -> str:
    with store.database.read() as connection:
        return json.dumps(list(report.Report(connection, 11).rows()))
