"""The words of alerts: templates that keep every rule, what leaves by each channel and its price, and what is refused."""

import datetime as dt
import json
import random
import re
import shutil
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bot.channels.sms_text import STANDARD, SegmentSizes, sms_text
from bot.cli import main
from bot.config import load_config
from bot.content import Alert, Library
from bot.content_rules import check_content
from bot.errors import ConfigError, ContentError
from bot.letters import fold
from bot.outreach.words import (
    CODES,
    LONGEST_VALID,
    MOST_TO_CUT,
    OLDEST_SOURCE,
    AlertText,
    Preview,
    Source,
    Words,
    carried,
    from_template,
    preview,
    problems,
)
from bot.testing import START
from bot.wording import OPENING
from bot.yaml_files import load_yaml
from tests.conftest import ROOT, TODAY

LIBRARY = Library(ROOT / "content")
TEMPLATES = sorted(LIBRARY.alerts.values(), key=lambda alert: alert.id)
EVERY_TEMPLATE = pytest.mark.parametrize("alert", TEMPLATES, ids=lambda alert: alert.id)
PRICE = 500
FRESH = Source("thanhnien.vn", "https://thanhnien.vn/x", TODAY)
DAY = dt.timedelta(days=1)
FORMERLY_SAID = (
    "Chào bạn, mình là Bạn Đường. Như bạn đã kể, họ hay đổi tên công ty.",
    "Chào bạn, mình là Bạn Đường. Lần trước bạn hỏi về việc này rồi.",
    "Chào bạn, mình là Bạn Đường. Bạn đã nhắn cho mình về chỗ làm này.",
    "Chào bạn, mình là Bạn Đường. Hồ sơ của bạn vẫn còn đây.",
    "Hello, this is Bạn Đường. When you wrote to us you named this company.",
    "Hello, this is Bạn Đường. You told us about this offer.",
    "Hello, this is Bạn Đường. About your earlier question on Laos.",
)


def said(vi: str, *, sms: str = "", en: str = "", **others: Any) -> Words:
    texts = {"vi": AlertText(vi, sms), **({"en": AlertText(en)} if en else {})}
    return Words(title="Tin", texts=texts, source=FRESH, **others)


def codes(words: Words, *, until: dt.datetime | None = START + DAY, **others: Any) -> set[str]:
    return {one.code for one in problems(words, valid_until=until, now=START, library=LIBRARY, **others)}


def previews(words: Words, sizes: SegmentSizes = STANDARD, *, advertising: bool = True) -> dict[str, Preview]:
    """By channel and language: "sms vi"."""
    made = preview(words, LIBRARY, sizes=sizes, vnd_per_segment=PRICE, advertising=advertising)
    return {f"{one.channel} {one.language}": one for one in made}


def with_examples(alert: Alert) -> Words:
    filled = {
        f"{name}.{language}": blank.example.in_language(language)
        for name, blank in alert.blanks.items()
        for language in ("vi", "en")
    }
    return from_template(alert, filled)


# -- templates ---------------------------------------------------------------------------------------------------------


def test_there_are_templates_for_every_interest() -> None:
    """Nobody subscribes to an interest of which nothing can be said."""
    assert {alert.interest for alert in TEMPLATES} == set(LIBRARY.interests)


@EVERY_TEMPLATE
def test_a_template_can_be_sent_as_it_stands(alert: Alert) -> None:
    """With its blanks filled by the examples, and a source where it tells news of one place, nothing stands against it."""
    words = with_examples(alert)
    assert (words.source is None) == bool(alert.blanks)
    assert problems(
        replace(words, source=words.source or FRESH), valid_until=START + DAY, now=START, library=LIBRARY
    ) == []  # fmt: skip


@EVERY_TEMPLATE
def test_a_template_fits_one_sms_and_opens_neutrally(alert: Alert) -> None:
    """With label and opt-out line: one segment without marks, and the lock screen says nothing but who writes."""
    shown = previews(with_examples(alert))
    assert set(shown) == {"telegram vi", "telegram en", "sms vi", "sms en"}
    for one in shown.values():
        assert one.opening == one.text[:OPENING]
        assert one.opening.startswith("[QC] ")
        assert one.text.count("STOP") == 1
    for language in ("vi", "en"):
        sms, telegram = shown[f"sms {language}"], shown[f"telegram {language}"]
        assert (sms.encoding, sms.segments, sms.vnd, sms.buttons) == ("GSM-7", 1, PRICE, ())
        assert (telegram.encoding, telegram.segments, telegram.vnd) == (None, None, 0)
        assert telegram.buttons == tuple(LIBRARY.title(one, language) for one in alert.choices)


@EVERY_TEMPLATE
def test_s_25_a_template_with_111_brings_the_notice(alert: Alert) -> None:
    """S-25: wherever 111 can be read, free, day and night, recorded and passed on can be read too."""
    for one in previews(with_examples(alert)).values():
        if re.search(r"\b111\b", one.text):
            assert re.search(r"ghi âm|ghi am|recorded", one.text)


def test_every_template_and_interest_is_told_to_expire() -> None:
    """What runs out is listed with answers and numbers, and an expired template is refused."""
    soonest = min(TEMPLATES, key=lambda alert: alert.expires)
    assert (soonest.id, soonest.expires) in set(LIBRARY.expiring(soonest.expires))
    late = dt.datetime.combine(soonest.expires + DAY, dt.time(12), tzinfo=dt.UTC)
    words = replace(with_examples(soonest), source=replace(FRESH, date=soonest.expires))
    found = problems(words, valid_until=late + DAY, now=late, library=LIBRARY)
    assert [one.code for one in found] == ["template_expired"]


def test_a_blank_is_filled_in_both_languages() -> None:
    """By its name, or by name and language; what is not filled stays, and is told."""
    alert = LIBRARY.alerts["offer_near_you"]
    words = from_template(alert, {"place": " Lào Cai ", "job": "bán vé số", "job.en": "sell lottery tickets"})
    assert "Ở Lào Cai đang có người mời đi bán vé số." in words.texts["vi"].text
    assert "In Lào Cai people are being invited to sell lottery tickets." in words.texts["en"].text
    empty = from_template(alert, {"place": "  ", "choices": "x"})
    assert "{place}" in empty.texts["vi"].text
    assert ("blank", ("place", "job")) in {
        (one.code, one.words)
        for one in problems(empty, valid_until=START + DAY, now=START, library=LIBRARY)
        if one.channel == "sms" and one.language == "vi"
    }


@given(st.text(max_size=40), st.text(max_size=40))
def test_nothing_that_staff_fill_in_breaks_a_preview(place: str, job: str) -> None:
    """Braces, marks and controls in a blank are carried as they are."""
    words = from_template(LIBRARY.alerts["offer_near_you"], {"place": place, "job": job})
    assert set(previews(words)) == {"telegram vi", "telegram en", "sms vi", "sms en"}
    assert codes(replace(words, source=FRESH)) <= set(CODES)


# -- what content/ must keep -------------------------------------------------------------------------------------------


@pytest.fixture
def content(tmp_path: Path) -> Path:
    """A copy of content/ to break."""
    return Path(shutil.copytree(ROOT / "content", tmp_path / "content"))


def _edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    data = load_yaml(path)
    change(data)
    path.write_text(yaml.safe_dump(data, allow_unicode=True), encoding="utf-8")


def _alert(**fields: Any) -> Callable[[Path], None]:
    """The first alert of home.yml, changed."""
    return lambda content: _edit(content / "alerts" / "home.yml", lambda data: data["alerts"][0].update(fields))


def _text(vi: str) -> Callable[[Path], None]:
    return _alert(text={"vi": vi, "en": "Hello, this is Bạn Đường."})


def _outreach(**fields: Any) -> Callable[[Path], None]:
    return lambda content: _edit(content / "outreach.yml", lambda data: data.update(fields))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_text("Công an báo tin này cho bạn biết"), "S-08"),
        (_text("Chào bạn, mình là Bạn Đường. Bọn mình sẽ giải cứu bạn."), "S-16"),
        (_text("Chào bạn, mình là Bạn Đường. Theo mình họ là bọn buôn người."), "S-19"),
        (_text("Chào bạn, mình là Bạn Đường. Bạn hãy bỏ trốn đêm nay."), "S-17"),
        (_text("Chào bạn, mình là Bạn Đường. Có gì gọi {vn_111} nhé."), "S-25"),
        (_text("Chào bạn, mình là Bạn Đường. Như bạn đã kể, họ đòi tiền."), "S-09"),
        (_text("Chào bạn, gọi 0912 345 678 nhé"), "is typed in"),
        (_text("Chào bạn, ở {place} có tin"), "{place}"),
        (_alert(blanks={"place": {"what": {"vi": "nơi", "en": "place"}, "example": {"vi": "x", "en": "x"}}}), "no text"),
        (_alert(sms={"vi": "Bạn Đường: " + "rất là dài. " * 24, "en": "x"}), "306 at most"),
        (_alert(topic="weather"), "no topic"),
        (_alert(interest="football"), "no interest"),
        (_alert(choices=["agree"]), "no action that an alert may offer"),
        (_alert(sources=[{"url": "a friend", "date": None}]), "no web address"),
        (_alert(expires="2026-11-20"), "expires before"),
        (_outreach(stop="BYE"), "commands.yml"),
        (_outreach(sites=["example.org"]), "no source of ours"),
        (_outreach(opt_out={form: {"vi": "Nhắn để ngừng", "en": "{stop}"} for form in ("text", "sms")}), "lacks {stop}"),
        (lambda content: _edit(content / "interests.yml", lambda data: data["interests"][0]["label"].update(vi="Đi làm ở nước ngoài")), "more than 3 words"),
    ],
    ids=["s_08", "s_16", "s_19", "s_17", "s_25", "s_09", "number", "unknown_blank", "idle_blank", "too_long", "topic", "interest", "choice", "source", "dates", "stop", "site", "opt_out", "label"],
)  # fmt: skip
def test_a_rule_for_alerts_can_fail(content: Path, change: Callable[[Path], None], told: str) -> None:
    """`banduong check` finds the alert that breaks a rule, and nothing in what is shipped."""
    assert not [one for one in check_content(LIBRARY, TODAY) if one.level == "error"]
    change(content)
    assert told in "\n".join(str(one) for one in check_content(Library(content), TODAY) if one.level == "error")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_alert(sources=[]), "alerts/home.yml: paid_tasks: sources"),
        (_alert(colour="red"), "alerts/home.yml: paid_tasks: colour"),
        (_alert(id="matchmaker"), "matchmaker stands in another file too"),
    ],
    ids=["no_source", "unknown_key", "twice"],
)
def test_a_broken_template_is_named(content: Path, change: Callable[[Path], None], told: str) -> None:
    """By file and entry, before anything runs."""
    change(content)
    with pytest.raises(ContentError, match=re.escape(told)):
        Library(content)


def test_an_expired_template_is_told(content: Path) -> None:
    """As with answers: a warning to the editor from thirty days before."""
    alert = min(TEMPLATES, key=lambda one: one.expires)
    for day, told in ((alert.expires - 30 * DAY, "expires in 30 days"), (alert.expires + DAY, "expired on")):
        assert [one for one in check_content(LIBRARY, day) if one.where == f"alerts: {alert.id}" and told in one.what]


# -- what leaves -------------------------------------------------------------------------------------------------------


def test_the_label_comes_first_and_the_way_out_last() -> None:
    """Decree 91/2020; where alerts are no advertising, the body leaves alone."""
    words = said("Chào bạn.", sms="Bạn Đường: chào bạn.", choices=("check_offer",))
    telegram = carried(words, "vi", "telegram", LIBRARY, advertising=True)
    assert telegram.text == "[QC] Chào bạn.\n\nNhắn STOP nếu bạn không muốn nhận tin báo nữa."
    assert telegram.buttons == ("Kiểm tra lời mời",)
    sms = carried(words, "vi", "sms", LIBRARY, advertising=True)
    assert (sms.text, sms.buttons) == ("[QC] Ban Duong: chao ban. Nhan STOP de ngung.", ())
    assert carried(words, "vi", "telegram", LIBRARY, advertising=False).text == "Chào bạn."
    assert carried(words, "vi", "sms", LIBRARY, advertising=False).text == "Ban Duong: chao ban."


def test_the_word_that_ends_alerts_is_understood() -> None:
    """What the opt-out line names is a `stop` of commands.yml."""
    assert LIBRARY.outreach.stop.lower() in LIBRARY.commands["stop"]


@pytest.mark.parametrize(
    ("languages", "asked", "expected"),
    [
        (("vi", "en"), "en", "en"),
        (("vi", "en"), "vi", "vi"),
        (("vi", "en"), "lo", "vi"),
        (("vi",), "en", "vi"),
        (("en",), "vi", "en"),
    ],
)
def test_a_language_without_a_text_gets_the_other(languages: tuple[str, ...], asked: str, expected: str) -> None:
    """Vietnamese first."""
    words = Words("Tin", {language: AlertText(f"text in {language}") for language in languages})
    assert f"text in {expected}" in carried(words, asked, "sms", LIBRARY, advertising=True).text
    assert f"text in {expected}" in carried(words, asked, "telegram", LIBRARY, advertising=True).text


def test_numbers_and_notices_are_filled_in_when_it_leaves() -> None:
    """By the form of the channel; a button that leads nowhere any more is left out."""
    words = said(
        "Chào bạn. Hỏi thêm thì {call_111_after} Ở nước ngoài: {mofa_consular}.", choices=("check_offer", "gone/away")
    )
    telegram = carried(words, "vi", "telegram", LIBRARY, advertising=True)
    assert "Cuộc gọi được ghi âm" in telegram.text
    assert "+84 981 84 84 84" in telegram.text
    assert telegram.buttons == ("Kiểm tra lời mời",)
    assert "co ghi am, ho bao cong an" in carried(words, "vi", "sms", LIBRARY, advertising=True).text


@given(st.text(max_size=300), st.text(max_size=300), st.sampled_from(["vi", "en", "km"]), st.booleans())
def test_whatever_is_typed_is_carried(text: str, sms: str, language: str, advertising: bool) -> None:
    """No typed text, with whatever braces, breaks what leaves; the label stands in front of it all the same."""
    for channel in ("telegram", "sms"):
        leaving = carried(said(text, sms=sms), language, channel, LIBRARY, advertising=advertising).text
        assert not advertising or (leaving.startswith("[QC] ") and "STOP" in leaving.splitlines()[-1])


@given(
    st.dictionaries(st.sampled_from(["vi", "en"]), st.builds(AlertText, st.text(), st.text())),
    st.none() | st.builds(Source, st.text(), st.text(), st.dates()),
    st.lists(st.text(), max_size=3),
    st.none() | st.text(),
)
def test_words_survive_being_stored(
    texts: dict[str, AlertText], source: Source | None, choices: list[str], template: str | None
) -> None:
    """Plain JSON and back."""
    words = Words("Tin", texts, source, tuple(choices), template)
    assert Words.from_json(json.loads(json.dumps(words.to_json()))) == words


# -- segments and prices -----------------------------------------------------------------------------------------------

# GSM 03.38: the alphabet and its extension, row by row as the standard prints them.
GSM_BASIC = set(
    "@£$¥èéùìòÇ\nØø\rÅå"
    "Δ_ΦΓΛΩΠΨΣΘΞÆæßÉ"
    " !\"#¤%&'()*+,-./"
    "0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNO"
    "PQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmno"
    "pqrstuvwxyzäöñüà"
)
GSM_EXTENSION = set("\f^{}\\[~]|€")
MARKED = "Bạn ở đâu rồi đừng đưa hộ chiếu cho ai giữ nhé họ đòi tiền cọc trước khi ký hợp đồng thì khoan nộp ngày mười lăm".split()
PLAIN = "Ban o dau roi dung dua ho chieu cho ai giu nhe ho doi tien coc truoc khi ky hop dong thi khoan nop".split()
ODD = [*list("€[]{}|~^\\"), "😀", "🇻🇳", "👩\u200d👧", "…", "–", "“ok”", "è", "Ç", "@", "_", "\n"]
SUMS = ("15-20 triệu/tháng", "100%", "(E-8)", "20tr", "dolab.moha.gov.vn")


def independent_count(text: str) -> tuple[str, int, int]:
    """(encoding, units, segments) by the tables of GSM 03.38 and UTF-16, character by character."""
    gsm = all(letter in GSM_BASIC or letter in GSM_EXTENSION for letter in text)
    if gsm:
        sizes, alone, joined = [1 if letter in GSM_BASIC else 2 for letter in text], 160, 153
    else:
        sizes, alone, joined = [2 if ord(letter) > 0xFFFF else 1 for letter in text], 70, 67
    units = sum(sizes)
    if units <= alone:
        return ("GSM-7" if gsm else "UCS-2"), units, 1
    segments, used = 1, 0
    for size in sizes:  # an escape and its letter, or two surrogates, are never parted
        if used + size > joined:
            segments, used = segments + 1, 0
        used += size
    return ("GSM-7" if gsm else "UCS-2"), units, segments


@pytest.mark.parametrize(
    ("text", "counted"),
    [
        ("a" * 160, ("GSM-7", 160, 1)),
        ("a" * 161, ("GSM-7", 161, 2)),
        ("€" * 80, ("GSM-7", 160, 1)),
        ("a" * 152 + "€" + "a" * 152, ("GSM-7", 306, 3)),
        ("ạ" * 70, ("UCS-2", 70, 1)),
        ("ạ" * 71, ("UCS-2", 71, 2)),
        ("ạ" * 66 + "😀" + "ạ" * 66, ("UCS-2", 134, 3)),
    ],
)
def test_the_calculator_knows_the_edges(text: str, counted: tuple[str, int, int]) -> None:
    """160 and 153, 70 and 67; two units that belong together move on together."""
    assert independent_count(text) == counted
    seen = sms_text(text, folded=False)
    assert (seen.encoding, seen.units, seen.segments) == counted


def random_texts(number: int) -> list[str]:
    """Vietnamese, with and without marks, with sums, brackets and emoji, many of them close to where a segment ends."""
    draw = random.Random(20261122)
    found = []
    for _ in range(number):
        words, oddness = draw.choice((MARKED, PLAIN)), draw.choice((0, 0, 0.02, 0.1, 0.3))
        length = draw.choice((draw.randint(1, 60), draw.randint(62, 75), draw.randint(120, 170), draw.randint(290, 315), draw.randint(316, 900)))  # fmt: skip
        text = ""
        while len(text) < length:
            text += (
                draw.choice(ODD)
                if draw.random() < oddness
                else f"{draw.choice(words if draw.random() < 0.95 else SUMS)} "
            )
        found.append(text[:length].strip() or "a")
    return found


def test_segments_and_prices_agree_with_an_independent_calculator() -> None:
    """1,000 random Vietnamese texts: folded and as written, alone and with all that stands around an alert, whatever a segment costs."""
    texts = random_texts(1000)
    draw = random.Random(7)
    seen = set()
    for text in texts:
        for folded in (True, False):
            counted = sms_text(text, folded=folded)
            assert (counted.encoding, counted.units, counted.segments) == independent_count(counted.text), text
            if not folded:
                assert counted.text == unicodedata.normalize("NFC", text)
            seen.add((folded, counted.encoding, min(counted.segments, 4)))
        price, advertising = draw.randint(0, 1200), draw.random() < 0.5
        shown = preview(said(text, sms=text), LIBRARY, sizes=STANDARD, vnd_per_segment=price, advertising=advertising)
        sms = next(one for one in shown if one.channel == "sms")
        encoding, units, segments = independent_count(sms.text)
        assert (sms.encoding, sms.units, sms.segments, sms.vnd) == (encoding, units, segments, segments * price), text
        assert sms.text == carried(said(text, sms=text), "vi", "sms", LIBRARY, advertising=advertising).text
    assert len(seen) == 16  # both spellings in both encodings, in one, two, three and more segments


@given(
    st.text(alphabet=st.sampled_from("aạ€[đ 😀"), min_size=1, max_size=420),
    st.sampled_from([STANDARD, SegmentSizes((122, 268, 421))]),
)
def test_what_can_be_cut_saves_a_segment(text: str, sizes: SegmentSizes) -> None:
    """`cut` units off the end are one segment less, one unit fewer are not; and it is at most thirty."""
    sms = previews(said(text), sizes)["sms vi"] if text.strip() else None
    if sms is None or sms.cut is None or sms.segments is None or sms.units is None:
        return
    assert 1 <= sms.cut <= MOST_TO_CUT
    shorter = [sms_text(sms.text[:length], sizes=sizes) for length in range(1, len(sms.text))]
    by_cut = {sms.units - one.units: one.segments for one in shorter if one.encoding == sms.encoding}
    if sms.cut in by_cut:
        assert by_cut[sms.cut] < sms.segments
        assert all(segments >= sms.segments for cut, segments in by_cut.items() if cut < sms.cut)


def test_a_preview_says_what_to_cut() -> None:
    """Three characters over one segment are three to cut; forty over are not worth telling."""
    around = len(previews(said("a"))["sms vi"].text) - 1 + 2  # [ and ] are two units each
    assert previews(said("a" * (160 - around + 3)))["sms vi"].cut == 3
    assert previews(said("a" * (160 - around)))["sms vi"].cut is None
    assert previews(said("a" * (160 - around + 40)))["sms vi"].cut is None


def test_a_preview_names_the_words_that_folding_makes_doubtful() -> None:
    """From content/sms.yml, everyday spellings apart, with what a reader may see."""
    shown = previews(said("Bạn khoan bán xe, họ đúng là hỏi vậy."))
    assert [(seen, word.id) for seen, word in shown["sms vi"].doubtful] == [("bán", "ban"), ("đúng", "dung")]
    assert shown["telegram vi"].doubtful == ()


# -- what stands against it --------------------------------------------------------------------------------------------

GOOD = "Chào bạn, mình là Bạn Đường, có tin về đi làm xa. Khoan đưa giấy tờ."


def test_good_words_have_nothing_against_them() -> None:
    """So that each of the following can fail for its own reason."""
    assert codes(said(GOOD)) == set()


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (Words("Tin", {"en": AlertText("Hello, this is Bạn Đường.")}, FRESH), "no_vietnamese"),
        (Words("Tin", {"vi": AlertText("  ", "x")}, FRESH), "no_vietnamese"),
        (replace(said(GOOD), source=None), "no_source"),
        (replace(said(GOOD), source=Source(" ", "", TODAY)), "no_source"),
        (replace(said(GOOD), source=replace(FRESH, date=TODAY - OLDEST_SOURCE - DAY)), "source_old"),
        (replace(said(GOOD), source=replace(FRESH, date=TODAY + DAY)), "source_later"),
        (said(GOOD, choices=("nowhere",)), "choice"),
        (said(GOOD, choices=("agree",)), "choice"),
        (said(GOOD, choices=("yes",)), "choice"),
        (said(GOOD + " Hỏi số 09 12 34 56 78."), "number"),
        (said(GOOD + " Hỏi số 84912345678."), "number"),
        (said("Chào bạn. Bọn mình sẽ giải cứu mọi người ở đó."), "promise"),
        (said("Chào bạn, mình là Bạn Đường, có tin. Bạn hãy bỏ trốn đêm nay."), "order"),
        (said("Chào bạn, mình là Bạn Đường, có tin. Đó là kẻ buôn người."), "verdict"),
        (said("Chào bạn, mình là Bạn Đường, có tin. Gửi ảnh hộ chiếu cho mình."), "prying"),
        (said(GOOD + " Có gì gọi 0912 345 678."), "number"),
        (said(GOOD + " Ở {noi_nao} đó."), "blank"),
        (said("Chào bạn, mình là Bạn Đường. " + "rất là dài " * 130), "too_long"),
        (said(GOOD, sms="Bạn Đường: " + "rất là dài. " * 30), "segments"),
        (said(GOOD, en="Hello, this is Bạn Đường with news. We promise help."), "promise"),
    ],
)  # fmt: skip
def test_each_problem_is_found(words: Words, code: str) -> None:
    """S-15, S-16, S-17, S-19, source, blanks and length: each told by its own code."""
    assert code in codes(words)


@pytest.mark.parametrize("text", FORMERLY_SAID)
def test_s_09_an_alert_never_tells_of_an_earlier_contact(text: str) -> None:
    """S-09: whoever reads along must not learn that this person has written to us."""
    assert codes(said(text)) == {"earlier"}


@given(
    st.sampled_from([word for word in LIBRARY.policy_words["revealing"]["vi"] if word.isascii() and "\\" not in word]),
    st.integers(0, OPENING),
)
def test_s_08_a_word_that_gives_away_is_found_anywhere_in_the_opening(word: str, before: int) -> None:
    """S-08: in the first forty characters behind the label, with or without marks, and not behind them."""
    text = "x" * before + f" {word} va tin khac nua cho moi nguoi o lang minh"
    whole_inside = before + 1 + len(word) <= OPENING
    assert ("opening" in codes(said(text))) == whole_inside


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ("Có gì gọi 111 nhé.", True),
        ("Có gì gọi {vn_111} nhé.", True),
        ("Có gì {call_111_after}", False),
        ("{call_111}", False),
        ("Gọi 111, miễn phí, ngày đêm. Cuộc gọi được ghi âm, và họ báo cho công an, biên phòng hoặc xã.", False),
        ("Lương 111.000 một giờ.", False),
    ],
)
def test_s_25_111_needs_its_notice(text: str, refused: bool) -> None:
    """S-25: typed or by its name, 111 stands only with the notice; one that is typed in full will do on that channel."""
    words = said(f"{GOOD} {text}")
    told = {one.channel for one in problems(words, valid_until=START + DAY, now=START, library=LIBRARY, most_segments=9) if one.code == "notice_111"}  # fmt: skip
    assert ("telegram" in told) == refused


@pytest.mark.parametrize(
    ("link", "refused"),
    [
        ("https://dolab.moha.gov.vn", False),
        ("https://dolab.moha.gov.vn/danh-sach?trang=2", False),
        ("(https://www.colab.moha.gov.vn).", False),
        ("dolab.moha.gov.vn.", False),
        ("http://dolab.moha.gov.vn", True),
        ("https://dolab.moha.gov.vn.vieclam.top", True),
        ("https://dolab.moha.gov.vn@vieclam.top", True),
        ("https://dolab.moha.gov.vn:8443/x", True),
        ("https://dolab-moha-gov.vn", True),
        ("https://t.me/vieclam", True),
        ("t.me/vieclam", True),
        ("fb.com/viec.lam.nhe", True),
        ("VIECLAM.TOP", True),
        ("www.vieclam", True),
        ("@vieclamthai", True),
        ("tg://resolve?domain=vieclam", True),
        ("viec@lam.com", True),
        ("TP.HCM", False),
        ("1.500.000 đồng", False),
        ("20.11.2026", False),
    ],
)
def test_only_our_own_sites_may_be_linked(link: str, refused: bool) -> None:
    """By https or by their bare name; never a recruiter's, however it is dressed up."""
    assert ("link" in codes(said(f"{GOOD} Xem {link} nhé"))) == refused


@given(st.from_regex(r"\Ahttps?://[a-z]{1,12}(\.[a-z]{1,8}){1,3}(/[a-z0-9?=&]{0,12})?\Z"))
def test_a_foreign_link_is_never_let_through(link: str) -> None:
    """Whatever site it is: what is not https on one of ours is refused."""
    host = link.split("://")[1].split("/")[0].removeprefix("www.")
    ours = link.startswith("https://") and host in LIBRARY.outreach.sites
    assert ("link" in codes(said(f"{GOOD} {link}"))) != ours


@given(st.none() | st.timedeltas(min_value=-20 * DAY, max_value=40 * DAY))
def test_it_is_valid_until_a_near_day(ahead: dt.timedelta | None) -> None:
    """A day must be chosen; not a past one, and none more than fourteen days away."""
    expected = (
        "no_end"
        if ahead is None
        else "end_past"
        if ahead <= dt.timedelta(0)
        else "end_far"
        if ahead > LONGEST_VALID
        else ""
    )
    found = codes(said(GOOD), until=None if ahead is None else START + ahead)
    assert found == ({expected} if expected else set())


@given(st.integers(0, 400))
def test_a_source_is_young_enough(age: int) -> None:
    """180 days at most."""
    words = replace(said(GOOD), source=replace(FRESH, date=TODAY - dt.timedelta(days=age)))
    assert ("source_old" in codes(words)) == (age > OLDEST_SOURCE.days)


def test_segments_are_counted_with_all_that_stands_around() -> None:
    """The label and the opt-out line cost too; without them the same words may fit."""
    words = said(GOOD, sms="a" * 150)
    assert "segments" in codes(words, most_segments=1)
    assert "segments" not in codes(words, most_segments=1, advertising=False)
    assert "segments" in codes(words, most_segments=1, advertising=False, sizes=SegmentSizes((122, 268, 421)))


@pytest.mark.parametrize("language", ["vi", "en"])
def test_staff_read_every_problem_in_their_language(language: str) -> None:
    """Each code has its sentence in the console, and no sentence is without a code."""
    told = LIBRARY.console(language)["alert_problems"]
    assert set(told) == set(CODES)
    for sentence in told.values():
        assert sentence.format(words="x")


# -- settings and the command line -------------------------------------------------------------------------------------


def test_leaving_the_label_out_needs_a_reason(tmp_path: Path) -> None:
    """`advertising: false` stands in config.yml only with why."""
    path = tmp_path / "config.yml"
    path.write_text("bot: {outreach: {advertising: false, advertising_reason: ' '}}", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"bot\.outreach: advertising: false needs advertising_reason"):
        load_config(path, {})
    path.write_text("bot: {outreach: {advertising: false, advertising_reason: 'Letter 12 of the lawyer'}}", "utf-8")
    assert load_config(path, {}).bot.outreach.advertising is False
    assert load_config(ROOT / "config.yml", {}).bot.outreach.advertising is True


def _run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setenv("BANDUONG_HOME", str(tmp_path))
    return main(["--config", str(ROOT / "config.yml"), "alerts", *arguments])


def test_the_command_lists_the_templates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All of them, by name."""
    assert _run(tmp_path, monkeypatch, "list") == 0
    shown = capsys.readouterr().out
    assert [alert.id for alert in TEMPLATES if alert.id not in shown] == []


def test_the_command_shows_what_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`banduong alerts preview NAME --set ... --json`: both channels in both languages, price, and what stands against it."""
    arguments = (
        "preview",
        "offer_near_you",
        "--set",
        "place=Lào Cai",
        "--set",
        "job=hái cà phê",
        "--set",
        "job.en=pick coffee",
    )
    assert _run(tmp_path, monkeypatch, *arguments, "--json") == 0
    row = json.loads(capsys.readouterr().out)
    by_name = {f"{one['channel']} {one['language']}": one for one in row["previews"]}
    assert "moi di hai ca phe" in by_name["sms vi"]["text"]
    assert (by_name["sms vi"]["segments"], by_name["sms vi"]["cost_vnd"]) == (1, 500)
    assert "invited to pick coffee" in by_name["telegram en"]["text"]
    assert by_name["telegram vi"]["buttons"]
    assert [one["code"] for one in row["problems"]] == ["no_source"]
    assert _run(tmp_path, monkeypatch, *arguments) == 0
    written = capsys.readouterr()
    assert "-- sms, vi: GSM-7, " in written.out
    assert "There is no source" in written.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("preview", "nothing"), "There is no template 'nothing'"),
        (("preview", "offer_near_you", "--set", "town=x"), "place (the province"),
        (("preview", "offer_near_you", "--set", "place"), "--set takes NAME=WORDS"),
        (("preview", "paid_tasks", "--set", "place=x"), "nothing"),
    ],
)
def test_a_wrong_call_says_what_to_do(
    arguments: tuple[str, ...],
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Exit status 2 and one sentence."""
    assert _run(tmp_path, monkeypatch, *arguments) == 2
    assert told in capsys.readouterr().err


def test_the_words_read_right_without_marks() -> None:
    """No template's SMS has a word of content/sms.yml that turns doubtful, but for those looked at and let be."""
    let_be = {"rented_account": {"phạt"}}
    for alert in TEMPLATES:
        doubtful = {seen for seen, _ in previews(with_examples(alert))["sms vi"].doubtful}
        assert doubtful <= let_be.get(alert.id, set()), alert.id
        assert fold(alert.sms.vi) != alert.sms.vi
