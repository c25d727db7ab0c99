"""What was released, as it is read again: numbers, series and exports, and what is said to have risen."""

import datetime as dt
from collections.abc import Iterator
from math import exp
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from bot.app import App
from bot.content import Library
from bot.store.trend_database import TrendDatabase
from bot.trends.cells import Cells
from bot.trends.periods import period_named
from bot.trends.report import FALSE_ALARMS, ByChance, beyond_chance, newest_grain
from tests.trend_releases import THRESHOLD, release, report_of, weekly

DAYS = {"week": 7, "month": 30, "quarter": 91}
Numbers = NDArray[np.int64]


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TrendDatabase]:
    on_server = request.param == "postgres"
    url = request.getfixturevalue("postgres_database") if on_server else f"sqlite:///{tmp_path / 'trends.db'}"
    opened = TrendDatabase(url)
    yield opened
    opened.close()


@pytest.fixture
def file(tmp_path: Path) -> Iterator[TrendDatabase]:
    opened = TrendDatabase(f"sqlite:///{tmp_path / 'trends.db'}")
    yield opened
    opened.close()


# -- numbers and series ------------------------------------------------------------------------------------------------


def test_a_number_below_the_threshold_is_not_told(database: TrendDatabase) -> None:
    """11 is told, 10 and less are not; each comes with how far it may be off."""
    release(database, "2026-W47", {"risk": {"high": 11, "low": 10, "medium": -3, "none": 200}})
    numbers = report_of(database).numbers("risk", period_named("2026-W47"))
    assert {one.cell: one.value for one in numbers} == {"high": 11, "low": None, "medium": None, "none": 200}
    assert {one.off_by for one in numbers} == {12}


def test_what_may_be_off_follows_from_what_was_promised(file: TrendDatabase) -> None:
    """12, 6 and 4 people at an epsilon of a quarter, a half and three quarters: also where it changed between two releases."""
    for period, epsilon in (("2026-07", 0.25), ("2026-08", 0.5), ("2026-09", 0.75)):
        release(file, period, {"province": {"N40": 50}}, epsilon=epsilon)
    assert [one.off_by for one in report_of(file).series("province", "N40")] == [12, 6, 4]


def test_a_series_runs_through_time_with_its_gaps(database: TrendDatabase) -> None:
    """By the calendar, whatever was written first; a lost week and a cell that was none yet leave a gap and no zero."""
    release(database, "2027-W01", {"risk": {"high": 40}})
    release(database, "2026-W51", {"risk": {"high": 20}})
    release(database, "2026-W52", {"risk": {"high": 30}}, lost=True)
    release(database, "2026-W53", {"risk": {"low": 30}})
    report = report_of(database)
    assert [(one.period.name, one.value) for one in report.series("risk", "high")] == [
        ("2026-W51", 20),
        ("2027-W01", 40),
    ]
    assert [one.name for one in report.periods("risk")] == ["2026-W51", "2026-W53", "2027-W01"]
    assert [closing.period.name for closing in report.closings if closing.lost] == ["2026-W52"]


def test_another_profile_begins_another_series(file: TrendDatabase) -> None:
    """Months and weeks are never mixed: what is shown is of the kind that is released now."""
    release(file, "2026-09", {"topic": {"home": 99}}, profile="pilot")
    weekly(file, "topic", {"home": [20, 21]})
    report = report_of(file)
    assert newest_grain(report, "topic") == "week"
    assert [one.value for one in report.series("topic", "home")] == [20, 21]
    assert newest_grain(report, "flag") is None
    assert report.series("flag", "force") == ()


def test_what_was_released_is_exported_as_it_may_be_read(database: TrendDatabase) -> None:
    """A row for every number, oldest first; a small one only as "below 11"; a week that began late says from when."""
    release(database, "2026-W47", {"risk": {"high": 4, "none": 25}}, begun_on=dt.date(2026, 11, 18))
    release(database, "2026-W46", {"risk": {"high": 30, "none": 25}})
    release(database, "2026-W45", {"risk": {}}, lost=True)
    rows = list(report_of(database).rows())
    assert [(row["period"], row["cell"], row["value"], row["below"]) for row in rows] == [
        ("2026-W46", "high", 30, None), ("2026-W46", "none", 25, None),
        ("2026-W47", "high", None, 11), ("2026-W47", "none", 25, None),
    ]  # fmt: skip
    assert (rows[2]["from"], rows[2]["to"]) == ("2026-11-18", "2026-11-22")
    assert {(row["off_by"], row["epsilon"]) for row in rows} == {(12, 0.25)}


# -- what rises --------------------------------------------------------------------------------------------------------


def test_a_rise_says_how_much_and_how_surely(database: TrendDatabase) -> None:
    """Of four weeks around 100 and one of 300, and of a cell that stays as it is."""
    weekly(database, "topic", {"home": [90, 110, 95, 105, 300], "china": [60, 61, 59, 60, 60]})
    (rise,) = report_of(database).rises("topic")
    assert (rise.number.cell, rise.number.period.name, rise.number.value) == ("home", "2026-W44", 300)
    assert (rise.usual, rise.more) == (100, 200)
    assert 120 < rise.at_least < 170


def test_the_greatest_rise_comes_first(file: TrendDatabase) -> None:
    """And only those that are asked for."""
    weekly(file, "topic", {"home": [50, 50, 200], "china": [50, 50, 400], "gulf": [50, 50, 50]})
    report = report_of(file)
    assert [rise.number.cell for rise in report.rises("topic")] == ["china", "home"]
    assert [rise.number.cell for rise in report.rises("topic", ["home", "gulf"])] == ["home"]


def test_noise_alone_is_no_rise(file: TrendDatabase) -> None:
    """A weekly number of 20 after four of 11 may well be noise; one of 80 is not."""
    weekly(file, "topic", {"home": [11, 11, 11, 11, 20], "china": [11, 11, 11, 11, 80]})
    assert [rise.number.cell for rise in report_of(file).rises("topic")] == ["china"]


def test_what_was_usual_is_not_told_below_the_threshold(file: TrendDatabase) -> None:
    """From almost nobody, or from less than nobody by noise: the rise is told, and not from how few; it counts from ten."""
    weekly(file, "topic", {"home": [3, 2, 4, 3, 90], "china": [-9, -12, -7, -8, 90]})
    rises = report_of(file).rises("topic")
    assert [(rise.usual, rise.more) for rise in rises] == [(None, None)] * 2
    assert all(0 < rise.at_least <= 80 for rise in rises)
    assert rises[0].at_least == rises[1].at_least or abs(rises[0].at_least - rises[1].at_least) <= 3


def test_a_fall_and_a_small_number_are_no_rise(file: TrendDatabase) -> None:
    """However surely it fell; and what is not told cannot have risen."""
    weekly(file, "topic", {"home": [400, 400, 400, 20], "china": [-60, -60, -60, 10]})
    assert report_of(file).rises("topic") == ()


def test_a_period_that_was_not_counted_whole_is_compared_with_nothing(file: TrendDatabase) -> None:
    """Neither as the newest one nor as one before: counting began in the middle of it."""
    release(file, "2026-W43", {"topic": {"home": 20}}, begun_on=dt.date(2026, 10, 24))
    release(file, "2026-W44", {"topic": {"home": 200}})
    assert report_of(file).rises("topic") == ()
    release(file, "2026-W45", {"topic": {"home": 210}})
    assert report_of(file).rises("topic") == ()
    release(file, "2026-W46", {"topic": {"home": 900}}, begun_on=dt.date(2026, 11, 10))
    assert report_of(file).rises("topic") == ()


def test_a_lost_period_is_left_out_and_the_others_are_compared_across_it(file: TrendDatabase) -> None:
    release(file, "2026-W44", {"topic": {"home": 50}})
    release(file, "2026-W45", {"topic": {"home": 50}}, lost=True)
    release(file, "2026-W46", {"topic": {"home": 300}})
    (rise,) = report_of(file).rises("topic")
    assert (rise.number.period.name, rise.usual) == ("2026-W46", 50)


def test_weeks_are_not_compared_with_months(file: TrendDatabase) -> None:
    """The first week after a change of profile rises against nothing, and neither does the first month."""
    for month in ("2026-07", "2026-08", "2026-09"):
        release(file, month, {"topic": {"home": 20}}, profile="pilot")
    release(file, "2026-W40", {"topic": {"home": 300}})
    assert report_of(file).rises("topic") == ()
    release(file, "2026-W41", {"topic": {"home": 900}})
    (rise,) = report_of(file).rises("topic")
    assert rise.usual == 300


def test_a_new_cell_rises_against_nothing(file: TrendDatabase) -> None:
    """A topic that an editor added has no usual."""
    release(file, "2026-W44", {"topic": {"home": 50}})
    release(file, "2026-W45", {"topic": {"home": 50, "gulf": 300}})
    assert report_of(file).rises("topic") == ()
    assert report_of(file).rises("province") == ()


def test_a_longer_month_is_no_rise(file: TrendDatabase) -> None:
    """February has three days fewer than March: 112,000 after 101,000 people are as many a day, and far more than chance."""
    release(file, "2027-02", {"province": {"N40": 28 * 3600}})
    release(file, "2027-03", {"province": {"N40": 31 * 3600}})
    assert report_of(file).rises("province") == ()
    release(file, "2027-04", {"province": {"N40": 31 * 3600}})
    (rise,) = report_of(file).rises("province")
    assert rise.usual == 30 * 3600


def test_only_the_four_periods_before_are_compared(file: TrendDatabase) -> None:
    """What was a year ago is forgotten."""
    weekly(file, "topic", {"home": [900, 20, 20, 20, 20, 90]})
    (rise,) = report_of(file).rises("topic")
    assert rise.usual == 20


# -- the statistics ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("volume", [54, 300, 2000])
@pytest.mark.parametrize("profile", ["pilot", "standard"])
def test_chance_is_seldom_taken_for_a_rise(reader: App, profile: str, volume: int) -> None:
    """Nothing changes, by so many people a week in cells as unequal as in life: in at most 5% of the periods any cell is said to rise."""
    periods, draw = 150, np.random.default_rng(volume)
    for table, (cells, days, epsilon) in _tables(reader.library, profile).items():
        alarms = 0
        for before in (1, 2, 4):
            usual = _unequal(cells) * volume * days / 7
            seen = _noisy(draw, draw.poisson(usual, (periods, before + 1, cells)), epsilon)
            alarms += sum(bool(_risen(period, epsilon)) for period in seen)
        assert alarms / (3 * periods) <= FALSE_ALARMS, table


def test_chance_is_taken_for_a_rise_as_often_as_was_reckoned(reader: App) -> None:
    """Not never either, which would hide what truly rises: over all tables together in one to five percent."""
    periods, draw = 200, np.random.default_rng(6)
    alarms = looked = 0
    for cells, days, epsilon in _tables(reader.library, "pilot").values():
        usual = _unequal(cells) * 2000 * days / 7
        seen = _noisy(draw, draw.poisson(usual, (periods, 5, cells)), epsilon)
        alarms += sum(bool(_risen(period, epsilon)) for period in seen)
        looked += periods
    assert 0.01 <= alarms / looked <= FALSE_ALARMS


@pytest.mark.parametrize(
    ("profile", "table", "volume", "times", "found"),
    [
        ("pilot", "topic", 54, 3.0, 0.8), ("pilot", "risk", 300, 1.5, 0.6), ("pilot", "province", 300, 2.0, 0.7),
        ("pilot", "region_topic", 300, 2.0, 0.85), ("standard", "topic", 1000, 1.5, 0.55), ("standard", "topic", 1000, 2.0, 0.99),
        ("standard", "province", 1000, 1.5, 0.65), ("standard", "region_topic", 1000, 3.0, 0.99),
        ("standard", "province_topic", 2000, 2.0, 0.65),
    ],
)  # fmt: skip
def test_what_truly_rises_is_found(
    reader: App, profile: str, table: str, volume: int, times: float, found: float
) -> None:
    """A cell of the upper quarter grows so many times over within one period: in at least this share of cases that is said."""
    cells, days, epsilon = _tables(reader.library, profile)[table]
    draw, periods, rising = np.random.default_rng(11), 200, cells // 4
    usual = np.tile(_unequal(cells) * volume * days / 7, (5, 1))
    usual[-1, rising] *= times
    seen = _noisy(draw, draw.poisson(usual, (periods, 5, cells)), epsilon)
    assert sum(rising in _risen(period, epsilon) for period in seen) / periods >= found


@pytest.mark.parametrize("epsilon", [0.25, 0.75])
@pytest.mark.parametrize("usual", [2.0, 30.0, 9000.0])
def test_the_margin_is_exceeded_as_seldom_as_it_says(usual: float, epsilon: float) -> None:
    """Against 400,000 draws of people and noise: one in a hundred exceeds the margin of one in a hundred, give or take a third."""
    draw = np.random.default_rng(3)
    newest = _noisy(draw, draw.poisson(usual, 400_000), epsilon)
    before = _noisy(draw, draw.poisson(usual, (4, 400_000)), epsilon).mean(axis=0)
    margin = ByChance(usual, 0.25, [epsilon] * 5).margin(0.01)
    assert 0.0066 <= float((newest - before > margin).mean()) <= 0.0133


@pytest.mark.parametrize("more", [-(10**6), -1.0, 0.0, 1.0, 10.0, 10**3, 10**6])
@pytest.mark.parametrize("usual", [0.0, 1.0, 500.0, 10**7])
def test_no_number_is_too_large_to_be_judged(usual: float, more: float) -> None:
    """It stays a chance, and falls the further the number lies above."""
    by_chance = ByChance(usual, 0.25, [0.25] * 5)
    assert 0.0 <= by_chance.above(more + 1) <= by_chance.above(more) <= 1.0


def _tables(library: Library, profile: str) -> dict[str, tuple[int, int, float]]:
    """Table -> how many cells, of how many days, with which epsilon."""
    cells = Cells(library).of
    return {
        name: (len(cells[name]), DAYS[table.every], table.epsilon)
        for name, table in library.trend_rules.profiles[profile].items()
    }


def _unequal(cells: int) -> NDArray[np.float64]:
    """Shares by Zipf's law."""
    weights = 1 / np.arange(1, cells + 1)
    shares: NDArray[np.float64] = weights / weights.sum()
    return shares


def _noisy(draw: np.random.Generator, counts: Numbers, epsilon: float) -> Numbers:
    """With discrete Laplace noise: the difference of two geometric numbers."""
    more, fewer = (draw.geometric(1 - exp(-epsilon), counts.shape) for _ in range(2))
    return counts + more - fewer


def _risen(period: Numbers, epsilon: float) -> set[int]:
    """The cells that are said to rise in the last of the rows of numbers."""
    *before, newest = period.tolist()
    part, epsilons, cells = 1 / len(before), [epsilon] * len(period), len(newest)
    return {
        cell
        for cell, number in enumerate(newest)
        if number >= THRESHOLD and beyond_chance(number, [row[cell] for row in before], part, epsilons, cells=cells)
    }
