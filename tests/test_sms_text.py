"""What a text becomes as SMS: segments as the trade counts them, its price, and words that folding makes doubtful."""

import json
from pathlib import Path

import pytest
import smsutil
from hypothesis import given
from hypothesis import strategies as st

from bot.app import App
from bot.channels.sms_text import STANDARD, DoubtfulWord, SegmentSizes, doubtful_words, sms_text
from bot.cli import main
from bot.letters import fold
from tests.conftest import ROOT

ADVERTISING = SegmentSizes(gsm_7=(122, 268, 421))
SELL_BODY = DoubtfulWord("ban than", ("bản thân", "bán thân"), "oneself, or sell one's body")


@pytest.mark.parametrize(
    ("text", "folded", "written"),
    [
        ("a" * 160, ("GSM-7", 1), ("GSM-7", 1)),
        ("a" * 161, ("GSM-7", 2), ("GSM-7", 2)),
        ("ạ" * 70, ("GSM-7", 1), ("UCS-2", 1)),
        ("ạ" * 158, ("GSM-7", 1), ("UCS-2", 3)),
        ("€" * 80, ("GSM-7", 1), ("GSM-7", 1)),
        ("€" * 81, ("GSM-7", 2), ("GSM-7", 2)),
        ("a – b…", ("GSM-7", 1), ("UCS-2", 1)),
        ("To\u0302i bi\u0323 giu\u031b\u0303", ("GSM-7", 1), ("UCS-2", 1)),
    ],
)
def test_a_text_is_counted_in_both_spellings(text: str, folded: tuple[str, int], written: tuple[str, int]) -> None:
    """160, 153 and 70, 67 at the edges; marks and typographic dashes cost up to three times."""
    plain, full = sms_text(text), sms_text(text, folded=False)
    assert (plain.encoding, plain.segments) == folded
    assert (full.encoding, full.segments) == written


@given(st.text(alphabet=st.sampled_from("abạ€[^đ –\n"), min_size=1, max_size=500))
def test_the_standard_count_is_the_trade_s(text: str) -> None:
    """smsutil, which agrees with a carrier's own calculator, says the same; and folding never adds a segment."""
    full = sms_text(text, folded=False)
    assert full.segments == len(smsutil.split(full.text).parts)
    assert sms_text(text).segments <= full.segments
    assert smsutil.is_valid_gsm(sms_text(text).text)


@pytest.mark.parametrize(
    ("length", "segments"), [(122, 1), (123, 2), (268, 2), (269, 3), (421, 3), (422, 4), (574, 4), (575, 5)]
)
def test_a_provider_may_count_otherwise(length: int, segments: int) -> None:
    """Advertising at one reseller holds 122, 268, 421; what follows is counted by the last step."""
    assert sms_text("a" * length, sizes=ADVERTISING).segments == segments


@given(st.integers(0, 2000))
def test_our_own_steps_agree_with_the_standard(length: int) -> None:
    """The same sizes, given as a provider's, count plain letters alike."""
    if length:
        assert STANDARD.segments("GSM-7", length) == sms_text("a" * length).segments


def test_a_doubtful_word_is_named_once_as_it_was_written() -> None:
    """ "Bản thân" turns into "ban than", which may read as selling one's body; "ban" typed without marks is meant so."""
    assert doubtful_words("Bản thân em và bản thân chị", [SELL_BODY]) == [("Bản thân", SELL_BODY)]
    assert doubtful_words("ban than", [SELL_BODY]) == []


def test_every_doubtful_word_of_content_folds_to_its_id(reader: App) -> None:
    """content/sms.yml: each spelling loses its marks to the word under which it stands."""
    assert reader.library.ambiguous
    for word in reader.library.ambiguous:
        assert {fold(written) for written in word.written} == {word.id}


def test_the_command_shows_both_spellings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`banduong sms TEXT --json`: folded, encoding, segments and cost, the same as written, and what turns doubtful."""
    monkeypatch.setenv("BANDUONG_HOME", str(tmp_path))
    text = "Bạn đừng đưa hộ chiếu cho ai giữ nhé, nếu họ đòi thì nhắn mình " * 2
    assert main(["--config", str(ROOT / "config.yml"), "sms", text, "--json"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert row["folded"].startswith("Ban dung dua ho chieu")
    assert (row["encoding"], row["segments"], row["cost_vnd"]) == ("GSM-7", 1, 500)
    assert (row["as_written"]["encoding"], row["as_written"]["segments"], row["as_written"]["cost_vnd"]) == (
        "UCS-2",
        2,
        1000,
    )
    assert {"written": "Bạn", "folded": "ban", "note": "bán, bạn hay bắn"} in row["ambiguous"]
    assert main(["--config", str(ROOT / "config.yml"), "sms", text]) == 0
    assert "without marks: GSM-7, " in capsys.readouterr().out
