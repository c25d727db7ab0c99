"""What docs/trends.md promises is what the software does."""

import re

import pytest

from bot.app import App
from bot.content import TrendRules
from bot.trends.budget import half_width, statement
from bot.trends.cells import Cells
from bot.trends.periods import period_named
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "trends.md").read_text(encoding="utf-8")
THIRTEEN, FOURTEEN = period_named("2026-Q3"), period_named("2026-Q4")
SENTENCES = 5


@pytest.fixture
def rules(reader: App) -> TrendRules:
    return reader.library.trend_rules


def test_t_12_the_page_names_every_table_as_it_is_released(reader: App, rules: TrendRules) -> None:
    """Table, number of cells, and for each profile the period and its epsilon."""
    rows = re.findall(r"^\| (\w+) \| (\d+) \| (.+?) \| (.+?) \|$", PAGE, re.MULTILINE)
    told = {table: (int(cells), pilot, standard) for table, cells, pilot, standard in rows}
    cells = Cells(reader.library).of
    assert set(told) == set(cells)
    for table, (number, *promised) in told.items():
        assert number == len(cells[table]), table
        for profile, words in zip(("pilot", "standard"), promised, strict=True):
            rule = rules.profiles[profile].get(table)
            assert words == (f"{rule.every}, {rule.epsilon:g}" if rule else "never"), (table, profile)


def test_t_12_the_page_states_the_loss_that_is_computed(rules: TrendRules) -> None:
    """For who writes in one week, for who writes always, and where there are no tables of a quarter."""
    text = " ".join(PAGE.split())
    pilot, standard = (statement(rules, name, THIRTEEN) for name in ("pilot", "standard"))
    assert pilot.once == standard.once
    assert f"at most epsilon = {pilot.once:.1f}" in text
    assert f"at most {pilot.always} in a quarter (`pilot`) or {standard.always} (`standard`)" in text
    longer = [statement(rules, name, FOURTEEN).always for name in ("pilot", "standard")]
    assert f"a quarter has 14 weeks: {longer[0]} or {longer[1]}" in text
    short = [statement(rules, name, THIRTEEN, quarterly=False) for name in ("pilot", "standard")]
    assert f"{short[0].once} and {short[0].always}, or {short[1].once} and {short[1].always}." in text


def test_the_page_says_how_far_a_number_may_be_off(rules: TrendRules) -> None:
    """For each epsilon that is in use."""
    used = sorted({table.epsilon for profile in rules.profiles.values() for table in profile.values()})
    heads = re.search(r"^\| epsilon \| (.+) \|$", PAGE, re.MULTILINE)
    values = re.search(r"^\| off by \| (.+) \|$", PAGE, re.MULTILINE)
    assert heads
    assert values
    assert [float(head) for head in heads[1].split(" | ")] == used
    assert [int(value) for value in values[1].split(" | ")] == [half_width(epsilon) for epsilon in used]


def test_the_promise_to_a_villager_is_five_sentences_in_both_languages() -> None:
    """Short enough to be read aloud."""
    promise = PAGE.split("## The promise")[1].split("\n## ")[0]
    sentences = re.findall(r"^\d\. (.+)$", promise, re.MULTILINE)
    assert len(sentences) == 2 * SENTENCES
    assert all(len(sentence.split()) <= 36 for sentence in sentences)


def test_every_attack_stands_on_the_page_and_in_a_test() -> None:
    """T-01 to T-12."""
    tests = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").glob("test_trend*.py"))
    for number in range(1, 13):
        assert f"| T-{number:02} |" in PAGE
        assert f"def test_t_{number:02}_" in tests, number
