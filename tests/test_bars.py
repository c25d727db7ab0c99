"""How well strangers are understood, on people who wrote no training sentence (docs/linguist.md)."""

import json

import pytest

from bot.app import App
from bot.understanding.evaluate import evaluate
from bot.understanding.evaluation.calibration import calibration_of
from bot.understanding.evaluation.measures import by_form, differences
from bot.understanding.evaluation.rows import read_all, read_rows
from tests.conftest import ROOT

AT_LEAST = {
    "kind": 0.93,
    "topic of questions": 0.85,
    "answer of questions": 0.85,
    "emergencies found": 0.98,
    "emergencies that are": 0.80,
    "risk of offers": 0.85,
    "flags (micro F1)": 0.83,
    "language": 0.98,
}
WITHOUT = {"answer of questions": ("dev.jsonl",)}  # rows that do not say which answer is right
MOST_ALARMS, FEWEST_HEARD = 0.15, 0.90
AT_MOST = {"honest offers called high": 0.05, "dangerous offers called low": 0.02}


FORMS = ("nodiacritics", "teencode", "mixed")
MOST_BEHIND, MOST_MISJUDGED = 0.03, 0.05


@pytest.mark.parametrize("rows", ["dev.jsonl", "seen.jsonl", "unseen.jsonl"])
def test_strangers_are_understood(rows: str, reader: App) -> None:
    """A change of data, cues or code that makes the bot deaf fails here; chance moves a figure by a row or two."""
    measured = {
        name: value for name, value, _ in evaluate(ROOT / "nlu" / "eval" / rows, reader.interpreter, reader.risk_of)
    }
    at_least = {name: least for name, least in AT_LEAST.items() if rows not in WITHOUT.get(name, ())}
    low = {name: value for name, least in at_least.items() if (value := measured[name]) is None or value < least}
    high = {name: value for name, most in AT_MOST.items() if (value := measured[name]) is None or value > most}
    assert not low
    assert not high


def test_every_way_of_writing_is_understood_and_confidence_means_what_it_says(reader: App) -> None:
    """On rows of people, and of people who labelled, whom none of us knows: no way of writing lies three points behind full diacritics, and of
    readings with confidence 0.8 about eight of ten are right."""
    rows = read_rows(ROOT / "nlu" / "eval" / "dev.jsonl")
    outcomes = list(read_all(rows, reader.interpreter, reader.risk_of, reader.escalation_of))
    behind = differences(by_form(outcomes))
    assert all((behind[form]["kind_acc"] or 0.0) >= -MOST_BEHIND for form in FORMS), behind
    assert calibration_of(outcomes).ece <= MOST_MISJUDGED


def test_everyday_messages_are_no_cries_and_quiet_cries_are(reader: App) -> None:
    """Busy notes, bank and network notices and family talk at a wrong number; beside them people in danger who write in everyday
    words. A cry that is taken for a report still reaches a person."""
    rows = [json.loads(row) for row in (ROOT / "nlu" / "eval" / "everyday.jsonl").read_text("utf-8").splitlines()]
    kinds = [(row["kind"], reader.interpreter.read(row["text"]).kind) for row in rows]
    alarms = [read == "emergency" for meant, read in kinds if meant != "emergency"]
    heard = [read in ("emergency", "report") for meant, read in kinds if meant == "emergency"]
    assert sum(alarms) / len(alarms) <= MOST_ALARMS
    assert sum(heard) / len(heard) >= FEWEST_HEARD
