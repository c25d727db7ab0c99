"""Whole talks, as data."""

from pathlib import Path

import pytest

from bot.app import App
from bot.testing import Dialog, play, read_dialogs
from tests.conftest import ROOT

FILES = sorted((ROOT / "tests" / "dialogs").glob("*.yml"))
DIALOGS = [(path, dialog) for path in FILES for dialog in read_dialogs(path)]
FEWEST = 80


def _name(case: tuple[Path, Dialog]) -> str:
    path, dialog = case
    return " ".join([path.stem, *dialog.ids, dialog.about])[:90]


@pytest.mark.parametrize("case", DIALOGS, ids=_name)
def test_dialog(case: tuple[Path, Dialog], reader: App) -> None:
    """The talk goes as its file says."""
    assert play(case[1], reader) == []


def test_there_are_enough_dialogs() -> None:
    """At least eighty talks are kept, and none is without lines or without a word on what it is about."""
    assert len(DIALOGS) >= FEWEST
    assert all(dialog.about and dialog.talk for _, dialog in DIALOGS)
