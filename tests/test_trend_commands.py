"""banduong trends: what is open, what was released, what was promised; and that no command begins to count."""

import csv
import datetime as dt
import io
import json
import sys
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from sqlalchemy import select

from bot.app import App
from bot.cli import common, main
from bot.config import load_config
from bot.content import Library
from bot.observations import Observation
from bot.store import trend_tables as t
from bot.store.trend_database import TrendDatabase
from bot.trends.budget import statement
from bot.trends.counters import TrendStore
from bot.trends.export import Export
from bot.trends.periods import period_named, period_of
from tests.conftest import ROOT
from tests.trend_releases import release, report_of

NOW = dt.datetime(2026, 11, 18, 6, tzinfo=dt.UTC)  # a Wednesday, on which all commands are run
WEEK = dt.timedelta(days=7)
SEEN = Observation("high", "china", "N40", "money")
Run = Callable[..., tuple[int, str, str]]


class Place:
    """A configuration of its own, and the commands that are run with it."""

    def __init__(self, folder: Path, library: Library, capsys: pytest.CaptureFixture[str]) -> None:
        self.file, self._library, self._capsys = folder / "config.yml", library, capsys
        self.home = folder / "home"
        self.choose("standard")

    def choose(self, profile: str) -> None:
        bot = {"content": str(ROOT / "content"), "trends": {"profile": profile}}
        self.file.write_text(yaml.safe_dump({"bot": bot}), encoding="utf-8")

    def run(self, *words: str) -> tuple[int, str, str]:
        status = main(["--config", str(self.file), "trends", *words])
        printed = self._capsys.readouterr()
        return status, printed.out, printed.err

    def store(self) -> TrendStore:
        """As the configuration says now."""
        house = App(load_config(self.file))
        house.__dict__["library"] = self._library
        return house.trends

    @cached_property
    def database(self) -> TrendDatabase:
        return self.store().database

    def count(self, at: dt.datetime, people: int = 1) -> list[str]:
        """Opens the periods of this moment and counts in them, as `serve` does; their names."""
        store = self.store()
        store.open_periods(at)
        for one in range(people):
            store.count(f"person-{one}", SEEN, at)
        store.database.close()
        return sorted(self.rows(t.periods, "name"))

    def rows(self, table: Any, column: str) -> list[Any]:
        with self.database.read() as connection:
            return list(connection.execute(select(table.c[column])).scalars())

    @property
    def keys(self) -> list[str]:
        return sorted(path.stem for path in (self.home / "trend-keys").glob("*.key"))


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def place(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    library: Library,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Place]:
    monkeypatch.setenv("BANDUONG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")
    if request.param == "postgres":
        monkeypatch.setenv("BANDUONG_DATABASE_URL", request.getfixturevalue("postgres_database"))
    made = Place(tmp_path, library, capsys)
    yield made
    made.database.close()


@pytest.fixture
def here(
    tmp_path: Path, library: Library, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Place]:
    """The same, on SQLite alone."""
    monkeypatch.setenv("BANDUONG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")
    made = Place(tmp_path, library, capsys)
    yield made
    made.database.close()


@pytest.fixture(scope="module")
def library() -> Library:
    return Library(ROOT / "content")


@pytest.fixture(autouse=True)
def _read_once(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command would read content/ anew, which takes longer than all else."""

    def house_of(context: typer.Context) -> App:
        house = common.house_of(context)
        house.__dict__["library"] = library
        house.clock = lambda: NOW
        return house

    monkeypatch.setattr("bot.cli.trends.house_of", house_of)


# -- status ------------------------------------------------------------------------------------------------------------


def test_the_status_of_a_new_house(place: Place) -> None:
    """Nothing is open, and asking begins nothing, whatever is asked."""
    status, printed, said = place.run("status")
    assert (status, said) == (0, "")
    assert "profile: standard" in printed
    assert "No period is open." in printed
    assert "0 closed" in printed
    for words in (("show", "--json"), ("export",), ("statement",), ("close",), ("destroy", "--yes"), ("status",)):
        assert place.run(*words)[0] == 0, words
    assert (place.rows(t.periods, "name"), place.keys) == ([], [])


def test_the_status_tells_what_is_open_and_when_it_closes(place: Place) -> None:
    """By the clock of Viet Nam, three hours after the end; whether the key is there; and the promise of this quarter."""
    assert place.count(NOW) == sorted(period_of(grain, NOW).name for grain in ("week", "month", "quarter"))
    _, printed, _ = place.run("status")
    assert _line(printed, "2026-W47") == ["2026-W47", "standard", "2026-11-18", "2026-11-23", "03:00", "there"]
    assert _line(printed, "2026-Q4")[3:] == ["2027-01-01", "03:00", "there"]
    assert "2 for who writes once" in printed
    (place.home / "trend-keys" / "2026-W47.key").unlink()
    (place.home / "trend-keys" / "2026-11.key").write_bytes(bytes(32))
    printed = place.run("status")[1]
    assert _line(printed, "2026-W47")[-1] == "lost"
    assert _line(printed, "2026-11")[-3:] == ["of", "another", "machine"]


def test_the_status_tells_what_was_lost(here: Place) -> None:
    release(here.database, "2026-W40", {"risk": {"high": 20}})
    release(here.database, "2026-W41", {"risk": {}}, lost=True)
    assert "2 closed, the newest 2026-W41; lost: 2026-W41" in here.run("status")[1]


def test_what_was_left_open_is_not_forgotten(place: Place) -> None:
    """Counting was switched off within a period: the status works and warns."""
    place.count(NOW)
    place.choose("off")
    status, printed, said = place.run("status")
    assert status == 0
    assert "profile: off" in printed
    assert "3 open periods were left behind" in said
    assert "banduong trends destroy" in said


def _line(printed: str, name: str) -> list[str]:
    """The words of the line that begins with this name."""
    return next(words for line in printed.splitlines() if (words := line.split())[:1] == [name])


# -- close -------------------------------------------------------------------------------------------------------------


def test_what_is_due_is_closed_once(place: Place) -> None:
    """A week of long ago is released and its key destroyed; what is still going on stays; the second time nothing is due."""
    old = period_of("week", NOW - 30 * WEEK)
    place.count(NOW - 30 * WEEK, people=40)
    place.count(NOW)
    status, printed, _ = place.run("close")
    assert status == 0
    assert f"{old.name} is closed." in printed
    assert old.name in place.rows(t.closings, "period")
    assert sorted(place.rows(t.periods, "name")) == place.keys
    assert period_of("week", NOW).name in place.keys
    assert place.run("close")[1].strip() == "Nothing is due."


def test_a_period_whose_key_is_gone_is_closed_and_told(here: Place) -> None:
    """Nothing of it is released, and the status says that the work failed."""
    here.count(NOW - 30 * WEEK)
    week = period_of("week", NOW - 30 * WEEK).name
    (here.home / "trend-keys" / f"{week}.key").unlink()
    status, printed, _ = here.run("close")
    assert (status, f"{week} is closed: its key was gone" in printed) == (1, True)
    assert week not in here.rows(t.releases, "period")


def test_nothing_is_released_without_opendp(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence that says what to install, and everything stays as it was."""
    before = place.count(NOW - 30 * WEEK)
    monkeypatch.setitem(sys.modules, "opendp", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    status, printed, said = place.run("close")
    assert (status, printed) == (1, "")
    assert "pip install 'banduong[trends]'" in said
    assert sorted(place.rows(t.periods, "name")) == before


def test_what_was_left_open_is_closed_when_it_is_due(here: Place) -> None:
    """Also after counting was switched off: the promise is kept, and nothing new begins."""
    here.count(NOW - 30 * WEEK)
    here.choose("off")
    assert "is closed." in here.run("close")[1]
    assert (here.rows(t.periods, "name"), here.keys) == ([], [])


# -- show and export ---------------------------------------------------------------------------------------------------


@pytest.fixture
def released(here: Place) -> Place:
    database = here.database
    release(database, "2026-W46", {"risk": {"high": 50, "low": 90}})
    release(database, "2026-W47", {"risk": {"high": 4, "low": 1234}})
    release(database, "2026-10", {"province": {"N40": 70, "abroad": -2, "gone": 33}}, profile="pilot")
    return here


def test_numbers_are_shown_as_everybody_may_see_them(released: Place) -> None:
    """The newest of each table; small ones as "<11"; with how far they may be off."""
    _, printed, _ = released.run("show")
    lines = [line.split() for line in printed.splitlines()]
    assert ["2026-W47", "risk", "High", "risk", "<11", "12"] in lines
    assert ["2026-W47", "risk", "Low", "risk", "1,234", "12"] in lines
    assert ["2026-10", "province", "Nghệ", "An", "70", "12"] in lines
    assert ["2026-10", "province", "gone", "33", "12"] in lines
    assert "2026-W46" not in printed
    assert " 4 " not in printed


def test_one_period_and_one_table_are_shown(released: Place) -> None:
    """As JSON without any number that is not told."""
    rows = json.loads(released.run("show", "--period", "2026-W46", "--table", "risk", "--json")[1])
    assert [(row["cell"], row["value"]) for row in rows] == [("high", 50), ("low", 90)]
    small = json.loads(released.run("show", "--table", "risk", "--json")[1])[0]
    assert small == {"period": "2026-W47", "table": "risk", "cell": "high", "value": None, "below": 11, "off_by": 12}


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (("show", "--table", "villages"), 2, "no table"),
        (("show", "--period", "november"), 2, "no period"),
        (("show", "--period", "2026-W60"), 2, "no period"),
        (("show", "--period", "2026-W01"), 1, "Nothing was released of 2026-W01"),
        (("export", "--format", "xlsx"), 2, "xlsx"),
        (("export", "/nowhere/trends.csv"), 1, "/nowhere/trends.csv"),
    ],
)
def test_a_wrong_word_is_told_in_a_sentence(released: Place, words: tuple[str, ...], status: int, told: str) -> None:
    found, _, said = released.run(*words)
    assert (found, told in said) == (status, True), said


def test_the_export_is_that_of_the_page(released: Place, library: Library, tmp_path: Path) -> None:
    """The very bytes, on standard output and in a file; a number that is not told stands nowhere."""
    table, tree, words = (tmp_path / name for name in ("trends.csv", "trends.json", "dictionary.csv"))
    report = report_of(released.database)
    assert released.run("export", str(table))[0] == released.run("export", "--format", "json", str(tree))[0] == 0
    assert released.run("export", "--format", "dictionary", str(words))[0] == 0
    export = Export(library)
    assert table.read_bytes() == export.as_csv(report, "en")
    assert words.read_bytes() == export.dictionary_as_csv()
    promised = statement(library.trend_rules, "pilot", period_named("2026-Q4"))
    whole = json.loads(tree.read_bytes())
    assert (whole["privacy"]["epsilon_once"], len(whole["rows"])) == (promised.once, 7)
    rows = list(csv.DictReader(table.read_text(encoding="utf-8-sig").splitlines()))
    assert [(row["cell"], row["value"], row["below"]) for row in rows] == [
        ("N40", "70", ""), ("abroad", "", "11"), ("gone", "33", ""), ("high", "50", ""), ("low", "90", ""),
        ("high", "", "11"), ("low", "1234", ""),
    ]  # fmt: skip


@pytest.mark.parametrize("language", ["vi", "en"])
def test_the_export_speaks_both_languages(released: Place, library: Library, language: str) -> None:
    """In the titles at the end of each line."""
    _, printed, _ = released.run("export", "--language", language)
    assert library.trends.risks[0].title.in_language(language) in printed


# -- statement and destroy ---------------------------------------------------------------------------------------------


def test_t_12_the_statement_is_that_of_this_quarter(place: Place, library: Library) -> None:
    """Of the profile with which it was opened, whatever config.yml says since; of every profile where counting is off."""
    rules, quarter = library.trend_rules, period_of("quarter", NOW)
    told = {
        name: f"{quarter.name}, {name}: epsilon {one.once:g} for who writes once, {one.always:g}"
        for name in ("pilot", "standard")
        for one in [statement(rules, name, quarter)]
    }
    assert told["standard"] in place.run("statement")[1]
    assert told["pilot"] not in place.run("statement")[1]
    place.choose("off")
    assert all(line in place.run("statement")[1] for line in told.values())
    place.choose("pilot")
    place.count(NOW)
    place.choose("standard")
    status, printed, said = place.run("statement")
    assert (status, told["pilot"] in printed, told["standard"] in printed) == (0, True, False)
    assert "standard begins with the next quarter" in said


def test_what_is_open_is_destroyed_and_what_was_released_stays(place: Place) -> None:
    """Only after a yes; counters, ledger and keys are gone, and nothing was released of them."""
    release(place.database, "2026-W40", {"risk": {"high": 20}})
    before = place.count(NOW, people=3)
    status, _, _ = place.run("destroy")
    assert (status, sorted(place.rows(t.periods, "name")), len(place.rows(t.ledger, "tag"))) == (1, before, 9)
    status, printed, said = place.run("destroy", "--yes")
    assert (status, printed.strip()) == (0, f"Destroyed: {', '.join(before)}.")
    assert "counts on" in said
    assert [place.rows(table, "period") for table in (t.ledger, t.counters)] == [[], []]
    assert (place.rows(t.periods, "name"), place.keys) == ([], [])
    assert place.rows(t.closings, "period") == ["2026-W40"]


def test_a_yes_may_be_typed(here: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    here.count(NOW)
    here.choose("off")
    monkeypatch.setattr(sys, "stdin", io.StringIO("n\n"))
    assert here.run("destroy")[0] == 1
    assert len(here.keys) == 3
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    status, _, said = here.run("destroy")
    assert (status, said, here.keys) == (0, "", [])
