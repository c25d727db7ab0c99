"""The same offer gives the same flags however it is written (S-31). The offers: tests/four_ways.yml."""

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from bot.app import App
from bot.letters import fold
from bot.understanding.interpreter import Interpreter
from tests.conftest import ROOT

MOST_POINTS_LOST = 0.03
SPELLINGS = ("full", "bare", "teen", "slips")


class Offer(BaseModel):
    """One offer in its four spellings; `shows`: flags that all of them must show."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    shows: tuple[str, ...]
    full: str
    bare: str
    teen: str
    slips: str

    def flags(self, interpreter: Interpreter) -> dict[str, set[str]]:
        return {spelling: set(interpreter.read(getattr(self, spelling)).flags) for spelling in SPELLINGS}


def _offers(path: Path) -> list[Offer]:
    return [Offer.model_validate(row) for row in yaml.safe_load(path.read_text(encoding="utf-8"))]


OFFERS = _offers(ROOT / "tests" / "four_ways.yml")


def _name(offer: Offer) -> str:
    return offer.bare[:40]


@pytest.mark.parametrize("offer", OFFERS, ids=_name)
def test_s_31_the_same_offer_written_four_ways_gives_the_same_flags(offer: Offer, reader: App) -> None:
    """Diacritics, none, teencode or slips of the finger: the warning signs are the same."""
    flags = offer.flags(reader.interpreter)
    assert all(found == flags["full"] for found in flags.values()), flags


@pytest.mark.parametrize("offer", [offer for offer in OFFERS if offer.shows], ids=_name)
def test_s_31_every_spelling_shows_what_the_offer_says(offer: Offer, reader: App) -> None:
    """The plain signs of the offer are seen in all four spellings."""
    missing = {spelling: set(offer.shows) - found for spelling, found in offer.flags(reader.interpreter).items()}
    assert not any(missing.values()), missing


@pytest.mark.parametrize("offer", [offer for offer in OFFERS if not offer.shows], ids=_name)
def test_s_31_an_honest_offer_is_warned_of_in_no_spelling(offer: Offer, reader: App) -> None:
    """An honest offer has no flag, however hastily it is typed."""
    assert not any(offer.flags(reader.interpreter).values()), offer.flags(reader.interpreter)


def test_there_are_forty_four_offers_of_many_kinds() -> None:
    """Each spelling of an offer is its own; the offers show at least sixteen different flags."""
    assert len({offer.full for offer in OFFERS}) == 44
    assert all(len({offer.full, offer.bare, offer.teen, offer.slips}) == 4 for offer in OFFERS)
    assert all(offer.bare == fold(offer.bare) for offer in OFFERS)
    assert len({flag for offer in OFFERS for flag in offer.shows}) >= 16


@settings(
    max_examples=120, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(offer=st.sampled_from(OFFERS), spelling=st.sampled_from(SPELLINGS), bare=st.booleans(), data=st.data())
def test_s_31_marks_case_and_spaces_change_no_flag(
    offer: Offer, spelling: str, bare: bool, data: st.DataObject, reader: App
) -> None:
    """Without diacritics, in any mix of capitals, with doubled spaces: the flags stay."""
    text: str = getattr(offer, spelling)
    changed = _with_capitals(
        fold(text) if bare else text, data.draw(st.sampled_from(("lower", "upper", "title", "mixed")))
    )
    changed = _with_spaces(changed, data.draw(st.sets(st.integers(0, 20), max_size=6)))
    assert set(reader.interpreter.read(changed).flags) == set(reader.interpreter.read(text).flags), changed


def test_s_31_kind_is_understood_as_well_without_diacritics(reader: App) -> None:
    """On the personas, folding the very same texts costs at most three points of accuracy."""
    rows = [json.loads(line) for line in _lines(ROOT / "nlu" / "eval" / "seen.jsonl")]
    marked = [row for row in rows if fold(row["text"]) != row["text"] and row["language"] == "vi"]
    assert len(marked) >= 100
    with_marks = sum(reader.interpreter.read(row["text"]).kind == row["kind"] for row in marked)
    without = sum(reader.interpreter.read(fold(row["text"])).kind == row["kind"] for row in marked)
    assert (with_marks - without) / len(marked) <= MOST_POINTS_LOST


def test_s_31_danger_is_understood_as_well_without_diacritics(reader: App) -> None:
    """On the personas, at most two points of the cries are lost when the same texts are folded."""
    rows = [json.loads(line) for line in _lines(ROOT / "nlu" / "eval" / "seen.jsonl")]
    cries = [row["text"] for row in rows if row["kind"] == "emergency"]
    assert len(cries) >= 30
    heard = [
        sum(reader.interpreter.read(text).kind == "emergency" for text in texts) for texts in (cries, map(fold, cries))
    ]
    assert (heard[0] - heard[1]) / len(cries) <= 0.02


def _lines(path: Path) -> list[str]:
    return [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def _with_capitals(text: str, how: str) -> str:
    if how == "mixed":
        return "".join(letter.upper() if i % 3 == 0 else letter.lower() for i, letter in enumerate(text))
    return {"lower": text.lower, "upper": text.upper, "title": text.title}[how]()


def _with_spaces(text: str, doubled: set[int]) -> str:
    words = text.split(" ")
    return "".join(
        word + (" " if i == len(words) - 1 else "  " if i in doubled else " ") for i, word in enumerate(words)
    ).strip()
