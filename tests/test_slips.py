"""A slip of the finger becomes the word that was meant; what is right, or a name, stays as it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.app import App
from bot.understanding.slips import Mender
from bot.understanding.vocabulary import Vocabulary

WORDS = {
    "bi": 300,
    "nhot": 80,
    "nhat": 200,
    "roi": 400,
    "ho": 900,
    "chieu": 200,
    "cho": 800,
    "ve": 700,
    "choe": 3,
    "khoang": 90,
    "kha": 30,
    "ong": 200,
}
PAIRS = {"bi nhot": 60, "nhot roi": 9, "cho ve": 50}
VOCABULARY = Vocabulary(WORDS, PAIRS, frozenset({"muse", "shan"}))
MENDER = Mender(VOCABULARY, {"ko": "khong"})


@pytest.mark.parametrize(
    ("word", "before", "after", "meant"),
    [
        ("nhoot", "bi", "roi", "nhot"),  # a letter doubled
        ("nhto", "bi", "roi", "nhot"),  # two swapped
        ("nhpt", "bi", "roi", "nhot"),  # one wrong: the neighbours tell it from "nhat", which is commoner
        ("nhit", "bi", "roi", "nhot"),  # one wrong, and a syllable: both neighbours must speak for it
        ("nhit", "", "", "nhit"),
        ("hochieu", "giu", "em", "ho chieu"),  # a space forgotten
        ("chove", "khong", "", "cho ve"),  # rather than the rare word "choe"
        ("khaong", "", "", "khoang"),  # two swapped, rather than "kha ong"
        ("kkoo", "", "", "khong"),  # a short form with keys held down
        ("muse", "o", "voi", "muse"),  # a name
        ("roi", "bi", "nhot", "roi"),  # known
        ("nh0t", "bi", "roi", "nh0t"),  # no word
        ("ถูก", "", "", "ถูก"),
    ],
)
def test_a_slip_becomes_what_was_meant(word: str, before: str, after: str, meant: str) -> None:
    assert MENDER.mend(word, before, after) == meant


@given(word=st.text(max_size=40), before=st.text(max_size=8), after=st.text(max_size=8))
def test_mending_loses_nothing(word: str, before: str, after: str) -> None:
    """Whatever is written, known words come out or what was written."""
    mended = MENDER.mend(word, before, after)
    assert mended == word or all(piece in WORDS or piece == "khong" for piece in mended.split())


def test_every_place_is_known_by_its_name(reader: App) -> None:
    """No town becomes another word ("muse" is no slip for "must"); an English name may become the Vietnamese one."""
    reading = reader.interpreter.read
    lost = [
        (country.code, name)
        for country in reader.library.countries.values()
        for name in (*country.aliases, *country.towns)
        if name != "uk"  # a short form for yes
        and country.code not in {place.code for place in reading(f"di lam o {name} co on khong").entities.countries}
    ]
    assert not lost
