"""banduong broadcast: an alert from the command line, from draft to its end."""

import datetime as dt
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from bot.cli import main
from tests.conftest import ROOT

Run = Callable[..., tuple[int, str, str]]
UNTIL = ("--until", "2126-01-01 18:00")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """(exit status, what was printed, what was said on the side) of one command, in a house with Telegram and with An."""
    monkeypatch.setenv("BANDUONG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("BANDUONG_TELEGRAM_TOKEN", "1234:secret")
    monkeypatch.setenv("COLUMNS", "200")

    def command(*words: str) -> tuple[int, str, str]:
        status = main(["--config", str(ROOT / "config.yml"), *words])
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    assert command("staff", "add", "anna", "--name", "An", "--role", "outreach")[0] == 0
    return command


def _new(run: Run, *words: str) -> str:
    status, printed, said = run("broadcast", "new", "--as", "anna", *UNTIL, *words)
    assert status == 0, said
    found = re.search(r"Draft (\w+)\.", printed)
    assert found
    return found[1]


def test_a_draft_is_shown_as_it_would_leave(run: Run) -> None:
    reference = _new(run, "--template", "chat_jobs", "--province", "Hà Giang", "--province", "nghe an")
    _, printed, said = run("broadcast", "show", reference.lower())
    assert "[QC] Chào bạn" in printed
    assert "together 0 people" in printed
    assert "14" in said  # an alert is true for two weeks at most
    assert reference in run("broadcast", "list")[1]


def test_an_alert_is_submitted_paused_and_cancelled(run: Run) -> None:
    soon = run("broadcast", "new", "--as", "anna", "--until", _in_days(2), "--template", "chat_jobs")
    reference = re.search(r"Draft (\w+)\.", soon[1])
    assert reference
    assert "scheduled" in run("broadcast", "submit", reference[1], "--as", "anna")[1]
    assert run("broadcast", "pause", reference[1])[1].strip() == f"{reference[1]}: paused"
    figures = json.loads(run("broadcast", "status", reference[1], "--json")[1])
    assert (figures["alert"], figures["state"], figures["people"]) == (reference[1], "paused", 0)
    assert run("broadcast", "cancel", reference[1])[0] == 0
    assert "cancelled" in run("broadcast", "status", reference[1], "--watch")[1]
    assert run("broadcast", "resume", reference[1])[0] == 1


def _in_days(days: int) -> str:
    return (dt.datetime.now(dt.UTC) + dt.timedelta(days=days)).strftime("%Y-%m-%d %H:%M")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--template", "nothing"), "no template"),
        (("--template", "chat_jobs", "--text", "x"), "either"),
        (("--text", "x", "--province", "Atlantis"), "no province"),
        (("--text", "x", "--interest", "gold"), "no interest"),
        (("--text", "x", "--channel", "sms"), "No alert can leave by sms"),
        (("--text", "x", "--start", "tomorrow"), "no moment"),
    ],
)
def test_a_wrong_word_is_told_in_a_sentence(run: Run, words: tuple[str, ...], told: str) -> None:
    status, _, said = run("broadcast", "new", "--as", "anna", *UNTIL, *words)
    assert (status, told in said) == (2, True), said


def test_what_stands_against_it_is_told_and_it_is_not_sent(run: Run) -> None:
    """A number typed by hand, a foreign link, no source: the draft stays a draft."""
    reference = _new(run, "--text", "Gọi 0912345678 hoặc vào http://example.com nhé bạn")
    status, _, said = run("broadcast", "submit", reference, "--as", "anna")
    assert status == 2
    assert reference in said
    _, _, said = run("broadcast", "show", reference)
    for word in ("source", "0912345678", "http://example.com"):
        assert word in said
    assert json.loads(run("broadcast", "status", reference, "--json")[1])["state"] == "draft"
