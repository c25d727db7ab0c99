"""Trends can never point at a person: the attacks of the threat list, each tried in earnest."""

import ast
import datetime as dt
import itertools
import json
import math
import re
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text
from sqlalchemy.engine import make_url

from bot.app import App
from bot.config import load_config
from bot.errors import StoreError
from bot.observations import Observation
from bot.store import tables, trend_tables
from bot.store import trend_tables as t
from bot.store.database import insert_unless_there
from bot.trends import counters
from bot.trends.budget import half_width, statement
from bot.trends.cells import Cells
from bot.trends.counters import TrendStore
from bot.trends.noise import laplace, noisy
from bot.trends.periods import period_named, period_on, weeks_of
from bot.trends.release import close_due
from tests.auditing import Counts, Mechanism, best_guess, beyond, drawn, guessed, loss_found
from tests.conftest import ROOT, message
from tests.trending import (
    LATER,
    MONDAY,
    MONTH,
    OFFER,
    QUARTER,
    ROLE_SQL,
    WEEK,
    close_all,
    closing_hour,
    count_people,
    counting,
    exact,
    key_files,
    library,
    moments_of,
    open_store,
    released,
    rows,
)

TRENDS = ROOT / "bot" / "trends"
PROFILES = ("pilot", "standard")
TRIALS = 4000
IDLE = dt.timedelta(minutes=31)
LURE = "di thai ban ve so luong 20tr/thang ho bao ve may bay co nen di k"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[TrendStore]:
    built = open_store(tmp_path)
    yield built
    built.database.close()


# -- T-01: differencing ------------------------------------------------------------------------------------------------


def test_t_01_exact_totals_with_small_numbers_left_out_give_a_person_away_every_time() -> None:
    """What most reports do, as the contrast: totals and cells of 11 or more are exact. Who knows the others subtracts them."""
    draw, right = np.random.default_rng(1), 0
    for there in (0, 1) * 750:
        others = draw.poisson(6, 36)
        counts = others.copy()
        counts[0] += there
        shown = counts >= 11
        known = counts[shown].sum() + others[~shown].sum()
        guess = counts[0] - others[0] if shown[0] else counts.sum() - known
        right += guess == there
    assert right == 1500


@pytest.mark.parametrize("way", ["total less the others", "their own cell"])
def test_t_01_whoever_subtracts_the_others_from_our_numbers_learns_hardly_more_than_by_tossing_a_coin(way: str) -> None:
    """The thief knows everybody else and sees the month's topics and provinces, before anything is left out as too small.

    The bound is that of differential privacy itself: whatever is done with releases of eps in all, with even odds a guess is right with at
    most e^eps / (1 + e^eps). Both numbers together are 0.25 + 0.5, which makes .68; three standard deviations are for the trials.
    """
    trials = 1500
    rules = library().trend_rules.profiles["pilot"]
    assert rules["topic"].every == rules["province"].every == "month"
    there = np.arange(trials) % 2
    others = np.random.default_rng(1).poisson(6, 12)
    if way == "their own cell":
        seen = drawn(noisy, [int(others[0])], rules["province"].epsilon, trials)[:, 0] + there - others[0]
    else:
        seen = (
            drawn(noisy, [int(count) for count in others], rules["topic"].epsilon, trials).sum(axis=1)
            + there
            - others.sum()
        )
    accuracy = float(((seen > 0.5) == there).mean())
    epsilon = rules["topic"].epsilon + rules["province"].epsilon
    assert accuracy < beyond(math.exp(epsilon) / (1 + math.exp(epsilon)), trials, 3)


def test_t_01_every_view_is_made_of_the_same_rows(store: TrendStore) -> None:
    """Nothing to subtract between pages, exports and tables: no number is published that is not a released row as it stands."""
    from bot.trends.report import Report

    count_people(store, MONDAY, people=200)
    close_all(store)
    with store.database.read() as connection:
        report = Report(connection, 0)
        values = {(row["period"], row["table"], row["cell"]): row["value"] for row in report.rows()}
        shown = {row["value"] for row in Report(connection, 11).rows()}
    assert values == {row[:3]: row[3] if row[3] >= 0 else None for row in rows(store, t.releases)}
    assert not shown & set(range(-50, 11))


# -- membership --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("always", [False, True], ids=["once", "every week"])
@pytest.mark.parametrize("profile", PROFILES)
def test_t_01_a_thief_with_all_releases_of_a_quarter_gains_no_more_than_is_promised(
    profile: str, always: bool, tmp_path: Path
) -> None:
    """Who knows everything but whether this person wrote is right no more often than the published statement allows.

    A whole quarter goes through the real counting and closing, which tells the releases that the person is in, and their epsilon. The thief
    then weighs all of them by likelihood, in 4,000 trials of the same mechanism. Two bounds: e^eps / (1 + e^eps) of the published sum, and
    the sharper one of composition, which this thief attains: so five standard deviations, where three would fail once in 740 runs, and the
    thief must also be right as often as that, or would be a poor one.
    """
    quarter = period_named(QUARTER)
    epsilons = _releases_of_a_person(tmp_path, profile, always=always)
    promised = statement(library().trend_rules, profile, quarter)
    assert sum(epsilons) == pytest.approx(promised.always if always else promised.once)
    accuracy, bound = guessed(epsilons, TRIALS), best_guess(epsilons)
    assert bound < math.exp(sum(epsilons)) / (1 + math.exp(sum(epsilons)))
    assert abs(accuracy - bound) < beyond(bound, TRIALS, 5) - bound
    assert guessed(epsilons, TRIALS, _half_noise) > beyond(
        bound, TRIALS, 5
    )  # with half the noise the thief would do better


def _releases_of_a_person(home: Path, profile: str, *, always: bool) -> list[float]:
    """The epsilons of all released tables of a quarter in whose exact counts one person was, who wrote once or each week."""
    store, epsilons = open_store(home, profile=profile), []
    moments = list(moments_of(period_named(QUARTER)))
    visits = {day.isocalendar()[:2]: day for day in moments if period_on("week", day.date()).quarter.name == QUARTER}
    visit = set(visits.values()) if always else {moments[40]}
    for moment in moments:
        store.open_periods(moment)
        if moment in visit:
            store.count("web|target", OFFER, moment)
        epsilons += _of_whom_it_counts(store, moment)
        close_due(store, moment)
    epsilons += _of_whom_it_counts(store, moments[-1] + LATER)
    close_due(store, moments[-1] + LATER)
    assert {row[0] for row in rows(store, t.closings)} >= {QUARTER, "2026-10", "2026-W53"}
    store.database.close()
    return epsilons


def _of_whom_it_counts(store: TrendStore, now: dt.datetime) -> list[float]:
    """The epsilons of those tables that will now be closed, count for the quarter, and have anybody in them."""
    found = []
    for name, _, tables_, *_ in rows(store, t.periods):
        if now >= closing_hour(store, name) and period_named(name).quarter.name == QUARTER:
            counts = exact(store, name)
            found += [epsilon for table, epsilon in json.loads(tables_).items() if any(counts[table].values())]
    return found


# -- T-03, T-05: the audit ---------------------------------------------------------------------------------------------


def _half_noise(counts: Counts, epsilon: float) -> list[int]:
    return noisy(counts, 2 * epsilon)


def _zeros_as_they_are(counts: Counts, epsilon: float) -> list[int]:
    """Suppression by the true count: where nobody is, nothing is drawn."""
    return [value if count else 0 for count, value in zip(counts, noisy(counts, epsilon), strict=True)]


@pytest.mark.parametrize("epsilon", [0.25, 0.5, 0.75])
def test_t_03_a_lone_person_in_an_empty_province_cannot_be_told_from_nobody(epsilon: float, tmp_path: Path) -> None:
    """The tables of the real counting with and without one person, and 2 x 10,000 releases: no event tells more than epsilon allows."""
    assert epsilon in {rule.epsilon for rules in library().trend_rules.profiles.values() for rule in rules.values()}
    empty, lone = _neighbours(tmp_path, ["web|lan"], [OFFER])
    assert (sum(empty), sum(lone)) == (0, 1)
    found = loss_found(noisy, empty, lone, epsilon)
    assert 0.4 * epsilon < found < epsilon


def test_t_03_no_field_is_finer_than_a_province() -> None:
    """34 provinces, abroad and not told; a word for a place below does not exist."""
    places = {province.code for province in library().provinces} | {"abroad", "unknown"}
    assert {cell.split("/")[0] for cell in Cells(library()).of["province_topic"]} == places
    assert len(places) == 36


TALKS = [OFFER, Observation("high", "china", "N08", "force"), Observation("none", "gulf", "N91", "body")]


@pytest.mark.parametrize(
    "bug", ["half the noise", "a forgotten cap", "a person in many cells", "suppression by the true count"]
)
def test_t_05_the_audit_finds_a_planted_bug(bug: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four mistakes that look right and are not: each is proven to tell more of a person than half a unit of epsilon."""
    mechanism: Mechanism = noisy
    who, talks = ["web|lan"], [OFFER]
    if bug == "half the noise":
        mechanism = _half_noise
    elif bug == "suppression by the true count":
        mechanism = _zeros_as_they_are
    elif bug == "a forgotten cap":  # everybody is let in again and again
        _without_ledger(monkeypatch)
        who, talks = who * 3, talks * 3
    else:  # everybody is known again within a cell only
        who, talks = [f"web|lan|{seen.province}" for seen in TALKS], TALKS
    empty, lone = _neighbours(tmp_path, who, talks)
    assert sum(lone) == len(talks)
    assert loss_found(mechanism, empty, lone, 0.5) > 0.5


def test_t_05_the_same_talks_pass_the_audit_as_they_are_counted(tmp_path: Path) -> None:
    """One person, thrice in a month and each time with something else: counted once, and nothing is found."""
    empty, lone = _neighbours(tmp_path, ["web|lan"] * 3, TALKS)
    assert sum(lone) == 1
    assert loss_found(noisy, empty, lone, 0.5) < 0.5


def test_t_05_the_audit_draws_the_mechanism_that_releases(store: TrendStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is published is what `noisy` returned for the exact counts and the promised epsilon, number by number."""
    drawn_for: list[tuple[list[int], float, list[int]]] = []

    def watched(counts: Sequence[int], epsilon: float) -> list[int]:
        drawn_for.append((list(counts), epsilon, noisy(counts, epsilon)))
        return drawn_for[-1][2]

    monkeypatch.setattr("bot.trends.release.noisy", watched)
    count_people(store, MONDAY)
    counts = [
        (list(cells.values()), table) for name in (MONTH, QUARTER, WEEK) for table, cells in exact(store, name).items()
    ]
    close_all(store)
    rules = library().trend_rules.profiles["standard"]
    assert [(drawn_from, epsilon) for drawn_from, epsilon, _ in drawn_for] == [
        (cells, rules[table].epsilon) for cells, table in counts
    ]
    assert sorted(row[3] for row in rows(store, t.releases)) == sorted(
        value for *_, values in drawn_for for value in values
    )


def test_t_06_averaging_is_prevented_by_releasing_once(store: TrendStore) -> None:
    """Who may draw again and again averages the noise away; who asks our store a hundred times gets one answer a hundred times.

    No audit finds this: it judges one release, and each of them is right. What guards against averaging is T-02 alone: a release is made
    once, stored, and never computed again.
    """
    fresh = drawn(noisy, [7], 0.25, 4000).mean()
    assert abs(fresh - 7) < 0.5  # five standard deviations: the truth
    count_people(store, MONDAY, people=7)
    close_all(store)
    answers = set()
    for _ in range(100):
        close_all(store)
        answers.add(released(store))
    assert len(answers) == 1


def _neighbours(home: Path, who: Sequence[str], talks: Sequence[Observation]) -> tuple[list[int], list[int]]:
    """A month's provinces without and with these talks, cut to the provinces that could differ."""
    cells = [seen.province for seen in TALKS]
    worlds = []
    for name, counted in (("without", 0), ("with", len(talks))):
        store = open_store(home / name)
        store.open_periods(MONDAY)
        for one, seen in list(zip(who, talks, strict=True))[:counted]:
            store.count(one, seen, MONDAY)
        worlds.append([exact(store, MONTH)["province"][cell] for cell in cells])
        store.database.close()
    return worlds[0], worlds[1]


def _without_ledger(monkeypatch: pytest.MonkeyPatch) -> None:
    def forgetful(connection: Any, table: Any, row: Any) -> bool:
        return insert_unless_there(connection, table, row) or table is t.ledger

    monkeypatch.setattr(counters, "insert_unless_there", forgetful)


def test_the_published_half_width_holds() -> None:
    """19 of 20 numbers are off by no more than what stands beside them, and with one person less it would be fewer."""
    for epsilon, expected in ((0.25, 12), (0.5, 6), (0.75, 4)):
        off = np.abs(drawn(noisy, [0], epsilon, 40_000)[:, 0])
        assert half_width(epsilon) == expected
        assert (off <= expected).mean() > 0.945
        assert (off <= expected - 1).mean() < 0.95


# -- T-07: where noise comes from --------------------------------------------------------------------------------------

MODULES = sorted(TRENDS.rglob("*.py"))
HOME_MADE = {"random", "numpy", "scipy", "time", "uuid", "ctypes"}
ARITHMETIC = {"math", "cmath", "statistics", "decimal", "fractions"}
NEAR_THE_COUNTS = {"bot.trends.counters", "bot.trends.noise", "bot.trends.keys", "bot.trends.release"}
KNOWN_TO_ONE = {
    "opendp": "noise.py",
    "vl_convert": "charts.py",
    "secrets": "keys.py",
}  # keys and nonces are drawn, no noise


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_t_07_noise_comes_from_opendp_alone(path: Path) -> None:
    """No other source of chance, and nothing that could be seeded; OpenDP is known to noise.py alone, what draws charts to charts.py alone.

    Logarithms and roots are for showing what was released (how far it may be off, what rose). A module that has them has no way to a counter,
    a key or the noise; so whoever calculates never sees an exact number, and none makes noise of its own.
    """
    assert _forbidden(path) == set()


def _forbidden(path: Path) -> set[str]:
    """What a module of trends uses and may not."""
    imported, calls = _imported(path), _called(path)
    packages = {name.split(".")[0] for name in imported}
    found = packages & HOME_MADE
    found |= {name for name in imported | calls if "seed" in name.lower()}
    found |= calls & {"urandom", "getrandbits", "getrandom", "SystemRandom", "default_rng"}
    found |= {name for name, own in KNOWN_TO_ONE.items() if name in packages and path.name != own}
    if packages & ARITHMETIC:
        near = {name for name in imported if name in NEAR_THE_COUNTS or name.rpartition(".")[0] in NEAR_THE_COUNTS}
        found |= packages & ARITHMETIC if near or f"bot.trends.{path.stem}" in NEAR_THE_COUNTS else set()
    return found


def test_t_07_opendp_is_imported_nowhere_else() -> None:
    """Nor does any other room of the house make noise."""
    others = [path for path in (ROOT / "bot").rglob("*.py") if path not in MODULES]
    assert [path for path in others if any(name.startswith("opendp") for name in _imported(path))] == []


@pytest.mark.parametrize(
    "line", ["import random", "from numpy import random", "import numpy as np", "from math import log\nfrom bot.trends.noise import noisy",
             "import opendp.prelude as dp", "import secrets", "from os import urandom\nurandom(4)"],
)  # fmt: skip
def test_t_07_the_search_finds_noise_of_ones_own(line: str, tmp_path: Path) -> None:
    """Each of these lines in a module of trends would be seen."""
    path = tmp_path / "module.py"
    path.write_text(line, encoding="utf-8")
    assert _forbidden(path)


def _imported(path: Path) -> set[str]:
    """Modules, and what is taken from them by name."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def _called(path: Path) -> set[str]:
    calls = [node.func for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    return {call.attr if isinstance(call, ast.Attribute) else getattr(call, "id", "") for call in calls}


# -- T-09: a thief with the files --------------------------------------------------------------------------------------


def _secrets_of(store: TrendStore) -> list[bytes]:
    """Everything that stands for a person, and every key with what is made of it."""
    found = [row[1] for row in rows(store, t.ledger)] + [row[-1] for row in rows(store, t.counters)]
    for name in key_files(store):
        key = store.keys.find(period_named(name))
        assert key
        found += [key.secret, key.check, *(key._derived(purpose) for purpose in ("tag", "seal", "check"))]
    assert len(found) > 20
    return found


def _in(files: Sequence[Path], secrets_: Sequence[bytes]) -> set[bytes]:
    everything = b"\0".join(path.read_bytes() for path in files)
    return {secret for secret in secrets_ if secret in everything}


@pytest.mark.parametrize("profile", PROFILES)
def test_t_09_a_thief_finds_nothing_after_the_close(profile: str, tmp_path: Path) -> None:
    """In no byte of the file, its log and the keys' folder is left a tag, a key or a sealed counter of any moment."""
    store = open_store(tmp_path, profile=profile)
    store.open_periods(MONDAY)
    secrets_: set[bytes] = set()
    for number in range(40):
        store.count(f"web|{number}", OFFER, MONDAY)
        secrets_ |= set(_secrets_of(store)) if number > 10 else set()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"trends.db", "trends.db-wal", f"{WEEK}.key"} <= {path.name for path in files}
    assert len(_in(files, sorted(secrets_))) > 40  # the search finds what is there
    close_all(store)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert _in(files, sorted(secrets_)) == set()
    assert list((tmp_path / "trend-keys").iterdir()) == []
    assert len(rows(store, t.closings)) == 3
    store.database.close()


def test_t_09_before_the_close_a_thief_reads_no_count_and_no_name(store: TrendStore, tmp_path: Path) -> None:
    """With the database alone: no plain counter in it, no address and nothing made of it without the key, no two tags alike."""
    store.open_periods(MONDAY)
    for number in range(30):
        store.count("web|0912345678" if number == 0 else f"web|{number}", OFFER, MONDAY)
    everything = b"".join(path.read_bytes() for path in tmp_path.glob("trends.db*"))
    for who in (b"0912345678", b"web|", json.dumps(exact(store, WEEK)["risk"]).encode()):
        assert who not in everything
    for table, cells in exact(store, MONTH).items():
        assert np.array(list(cells.values()), dtype=">i4").tobytes() not in everything, table
    tags = [row[1] for row in rows(store, t.ledger)]
    assert len(tags) == len(set(tags)) == 90  # of one person in three periods three different ones


def test_t_09_the_main_database_holds_nothing_of_trends(house: App, tmp_path: Path) -> None:
    """Neither a table nor a byte: who has the one store learns nothing of the other."""
    counting(house)
    store = house.trends
    store.open_periods(MONDAY)
    house.processor.handle(message(LURE, at=MONDAY))
    house.clock = lambda: MONDAY + IDLE
    house.forget()
    assert len(rows(store, t.ledger)) == 3
    with house.database.read() as connection:
        main = connection.dialect.get_table_names(connection)
        assert not any(table.name in main for table in t.metadata.sorted_tables if table.name != "about")
        held = [
            value for table in tables.metadata.sorted_tables for row in connection.execute(select(table)) for value in row
            if isinstance(value, bytes)
        ]  # fmt: skip
        lookup = connection.execute(select(tables.addresses.c.lookup)).scalar_one()
    secrets_ = _secrets_of(store)
    assert [value for value in held for secret in secrets_ if secret in value] == []
    in_trends = [value for table in t.metadata.sorted_tables for row in rows(store, table) for value in row]
    assert [value for value in in_trends if str(lookup) in str(value) or "someone" in str(value)] == []
    store.database.close()


@pytest.mark.postgres
def test_t_09_a_thief_of_the_servers_disk_finds_nothing_after_the_close(
    postgres_server: str, postgres_database: str, tmp_path: Path
) -> None:
    """In the table files of the server, written out by a checkpoint, there is nothing of it any more.

    The server's own log (pg_wal) is left out: it holds what was written until the server uses its pieces again. What stands there is
    sealed or keyed with a key that is destroyed, as it is in every backup.
    """
    data = _data_folder(postgres_server)
    store = open_store(tmp_path, postgres_database)
    count_people(store, MONDAY)
    found = sorted(set(_secrets_of(store)))
    _run(postgres_database, "CHECKPOINT")
    assert len(_in(_table_files(data), found)) > 100
    close_all(store)
    _run(postgres_database, "CHECKPOINT")
    assert _in(_table_files(data), found) == set()
    assert _in([path for path in tmp_path.rglob("*") if path.is_file()], found) == set()
    store.database.close()


def _data_folder(server: str) -> Path:
    url = make_url(server).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url) as connection:
        row = connection.execute("SHOW data_directory").fetchone()
    folder = Path(str(row[0])) if row else Path()
    try:
        next(folder.iterdir())
    except (OSError, StopIteration):
        pytest.skip("the files of this server cannot be read from here")
    return folder


def _table_files(data: Path) -> list[Path]:
    return [path for path in (data / "base").rglob("*") if path.is_file()]


def _run(url: str, *statements: str) -> None:
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


@pytest.mark.postgres
def test_t_09_a_role_of_its_own_keeps_both_stores_apart(postgres_database: str, tmp_path: Path) -> None:
    """With the two statements of the deployer's guide: each role works in its own store and is refused the other's."""
    password, mark = secrets.token_hex(8), secrets.token_hex(4)
    main, own = f"main_{mark}", f"trends_{mark}"
    name = make_url(postgres_database).database
    _run(
        postgres_database, f"CREATE ROLE {main} LOGIN PASSWORD '{password}'", f'ALTER DATABASE "{name}" OWNER TO {main}'
    )
    _run(postgres_database, *(statement.format(role=own, password=password) for statement in ROLE_SQL))
    try:
        house = _house_of_two_roles(
            tmp_path, _as(postgres_database, main, password), _as(postgres_database, own, password)
        )
        trends = house.trends
        count_people(trends, MONDAY, people=3)
        close_all(trends)
        for table in t.metadata.sorted_tables:
            with pytest.raises(StoreError, match="InsufficientPrivilege"), house.database.begin() as connection:
                connection.execute(text(f"SELECT * FROM trends.{table.name}"))
        for table in tables.metadata.sorted_tables:
            with pytest.raises(StoreError, match="InsufficientPrivilege"), trends.database.begin() as connection:
                connection.execute(text(f"SELECT * FROM public.{table.name}"))
        house.database.close()
        trends.database.close()
    finally:
        postgres = make_url(postgres_database).username
        for role in (main, own):
            _run(
                postgres_database,
                f"REASSIGN OWNED BY {role} TO {postgres}",
                f"DROP OWNED BY {role}",
                f"DROP ROLE {role}",
            )


def _house_of_two_roles(home: Path, url: str, trends_url: str) -> App:
    named = {"BANDUONG_HOME": str(home), "BANDUONG_DATABASE_URL": url, "BANDUONG_TRENDS_DATABASE_URL": trends_url}
    return counting(App(load_config(ROOT / "config.yml", named)))


def _as(url: str, role: str, password: str) -> str:
    return make_url(url).set(username=role, password=password).render_as_string(hide_password=False)


# -- T-11: closed words, closed columns --------------------------------------------------------------------------------


def test_t_11_the_tables_have_exactly_these_columns(store: TrendStore) -> None:
    """No field comes in by the way: a column more needs this list, and whoever reads it, to agree. No row number tells an order."""
    assert {table.name: [column.name for column in table.c] for table in trend_tables.metadata.sorted_tables} == {
        "about": ["name", "value"],
        "promises": ["quarter", "profile", "tables"],
        "periods": ["name", "profile", "tables", "key_check", "begun_on"],
        "ledger": ["period", "tag"],
        "counters": ["period", "table_name", "cells", "sealed_counts"],
        "closings": ["period", "profile", "tables", "begun_on", "lost"],
        "releases": ["period", "table_name", "cell", "value", "epsilon"],
    }
    with store.database.read() as connection:
        made = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE type = 'table'")).all()
    assert {row.name for row in made} == set(trend_tables.metadata.tables)
    assert all("WITHOUT ROWID" in row.sql for row in made)


def test_t_11_an_observation_has_four_closed_words() -> None:
    """Of a talk nothing but these goes anywhere near trends."""
    assert list(Observation.__dataclass_fields__) == ["risk", "topic", "province", "flag"]


PRINTED = st.characters(min_codepoint=33, exclude_categories=("Cs", "Cc"))


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(told="toi la Nguyen Thi Lan o ban Na Ca xa Bao Lac, so 0912345678, di thai ban ve so 20tr/thang")
@example(told="cứu em với, em tên Hoa đang bị nhốt ở Myawaddy, hộ chiếu B1234567")
@given(told=st.text(PRINTED, min_size=8, max_size=120))
def test_t_11_no_word_of_a_person_reaches_trends(told: str, sqlite_house: App, tmp_path: Path) -> None:
    """Whatever is written: every value in every row is one of the closed words, and no piece of the text is there that is not part of one.

    Four letters in a row, and eight bytes in a row in the files, where four stand by chance among what is sealed.
    """
    house = counting(sqlite_house)
    store, now = house.trends, _next_moment(house)
    store.open_periods(now)
    for number, written in enumerate((told, f"{LURE} {told}")):
        house.processor.handle(message(written, to=f"line{now.timestamp():.0f}", number=number, at=now))
    house.clock = lambda: now + IDLE
    house.forget()
    strings = _strings_in_closed_words(store)
    vocabulary, files = _bytes_of_nobody(tmp_path), _files(house.config.home)
    for start in range(len(told) - 7):
        piece = told[start : start + 8]
        assert piece[:4] in vocabulary.decode("latin-1") or not any(piece[:4] in string for string in strings), piece
        assert piece.encode() in vocabulary or piece.encode() not in files, piece
    assert len(rows(store, t.ledger)) >= 3  # the offer at least was counted


def _next_moment(house: App) -> dt.datetime:
    """Each example an hour after the one before; all of them in one week."""
    examples: Iterator[int] = house.__dict__.setdefault("examples", itertools.count(1))
    return MONDAY + next(examples) * dt.timedelta(hours=1)


def _files(home: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(home.glob("trends.db*")))


def _bytes_of_nobody(folder: Path) -> bytes:
    """The same periods in a store in which nobody was ever counted: what stands there, nobody told."""
    if not (folder / "nobody").exists():
        twin = open_store(folder / "nobody")
        twin.open_periods(MONDAY)
        twin.database.close()
    return _files(folder / "nobody")


def _strings_in_closed_words(store: TrendStore) -> set[str]:
    """Every string of every row; each is a name of a period, a table, a cell or a profile, or the JSON of such."""
    known = {*store.cells.of, *(cell for cells in store.cells.of.values() for cell in cells), *PROFILES, "version", "1"}
    found = {
        value
        for table in t.metadata.sorted_tables
        for row in rows(store, table)
        for value in row
        if isinstance(value, str)
    }
    for value in found:
        words = json.loads(value) if value[0] in "[{" else [value]
        assert all(word in known or PERIOD.fullmatch(word) for word in words), value
    return found


PERIOD = re.compile(r"\d{4}-(W\d\d|\d\d|Q[1-4])")


# -- T-12: the budget --------------------------------------------------------------------------------------------------


def _odometer(epsilons: Sequence[float]) -> float:
    """What OpenDP's own odometer reads after all these releases, for a person who is in one cell of each."""
    from opendp.combinators import make_fully_adaptive_composition
    from opendp.domains import atom_domain, vector_domain
    from opendp.measures import max_divergence
    from opendp.metrics import l1_distance

    laplace(1.0)  # which tells OpenDP that we know what we do
    meter = make_fully_adaptive_composition(vector_domain(atom_domain(T="i32")), l1_distance(T="i32"), max_divergence())
    running: Any = meter([0, 0])
    for epsilon in epsilons:
        running(laplace(epsilon))
    return float(running.privacy_loss(1))


def _all_releases(profile: str, quarter: str, *, quarterly: bool = True) -> tuple[list[float], list[float]]:
    """The epsilons of whom one week, and of whom every week of a quarter concerns."""
    rules = library().trend_rules.profiles[profile].values()
    times = {"week": len(weeks_of(period_named(quarter))), "month": 3, "quarter": 1 if quarterly else 0}
    once = [rule.epsilon for rule in rules if times[rule.every]]
    return once, [rule.epsilon for rule in rules for _ in range(times[rule.every])]


@pytest.mark.parametrize(("quarter", "weeks"), [("2020-Q4", 14), ("2026-Q4", 14), ("2026-Q3", 13), ("2027-Q1", 12)])
@pytest.mark.parametrize("profile", PROFILES)
def test_t_12_opendps_own_odometer_reads_what_the_statement_says(profile: str, quarter: str, weeks: int) -> None:
    """For who writes once and for who writes every week, in quarters of every length, with and without tables of a quarter."""
    assert len(weeks_of(period_named(quarter))) == weeks
    for quarterly in (True, False):
        once, always = _all_releases(profile, quarter, quarterly=quarterly)
        promised = statement(library().trend_rules, profile, period_named(quarter), quarterly=quarterly)
        assert _odometer(once) == pytest.approx(promised.once, rel=1e-9)
        assert _odometer(always) == pytest.approx(promised.always, rel=1e-9)


@pytest.mark.parametrize(("profile", "always"), [("pilot", 6.5), ("standard", 9.0)])
def test_t_12_the_published_figures(profile: str, always: float) -> None:
    """2.0 for who writes once; 6.5 and 9.0 for who writes in each of thirteen weeks."""
    promised = statement(library().trend_rules, profile, period_named("2026-Q3"))
    assert (promised.once, promised.always) == (2.0, always)


@pytest.mark.parametrize("profile", PROFILES)
def test_t_12_a_whole_quarter_of_releases_spends_what_was_promised(profile: str, tmp_path: Path) -> None:
    """Of everything that a quarter released the odometer reads the published figure: nothing is released beside the statement."""
    store = open_store(tmp_path, profile=profile)
    for moment in moments_of(period_named(QUARTER)):
        store.open_periods(moment)
    close_due(store, MONDAY + LATER)
    spent = {row[:2]: row[4] for row in rows(store, t.releases) if period_named(row[0]).quarter.name == QUARTER}
    promised = statement(library().trend_rules, profile, period_named(QUARTER))
    assert _odometer(list(spent.values())) == pytest.approx(promised.always, rel=1e-9)
    store.database.close()


def test_t_12_changing_the_policy_changes_the_statement() -> None:
    """The statement is computed from content/policy/trends.yml, from which a quarter's promise is made: there is no second list."""
    rules = library().trend_rules
    tables_ = dict(rules.profiles["pilot"])
    tables_["risk"] = tables_["risk"].model_copy(update={"epsilon": 0.5})
    changed = rules.model_copy(update={"profiles": {**rules.profiles, "pilot": tables_}})
    quarter = period_named("2026-Q3")
    assert statement(changed, "pilot", quarter).once == 2.25
    assert statement(changed, "pilot", quarter).always == 6.5 + 13 * 0.25
    assert statement(changed, "standard", quarter) == statement(rules, "standard", quarter)
