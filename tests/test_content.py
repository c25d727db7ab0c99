"""What we say: whole, sourced, neutral, in village words; and the rules that keep it so can fail."""

import datetime as dt
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from bot.app import App
from bot.channels.base import CAPABILITIES
from bot.content import Library, TrendWords
from bot.content_rules import TREND_TABLES, check_content
from bot.conversation.answers import give_answer
from bot.conversation.replies import Speaker
from bot.conversation.state import Turn
from bot.delivery.render import render
from bot.letters import fold
from bot.nlu_rules import check_nlu
from bot.trends.cells import Cells
from bot.understanding.nlu_data import KINDS
from bot.yaml_files import load_yaml
from tests.conftest import ROOT, SHARED, TODAY

QUESTIONS = SHARED / "facts" / "questions.yml"
FLAG_COUNT = 27
ANSWER_COUNT = 172

needs_facts = pytest.mark.skipif(
    not QUESTIONS.exists(), reason="the fact base lies beside the project only where it is built"
)


@pytest.fixture(scope="module")
def library() -> Library:
    return Library(ROOT / "content")


@pytest.fixture
def content(tmp_path: Path) -> Path:
    """A copy of content/ to break."""
    return Path(shutil.copytree(ROOT / "content", tmp_path / "content"))


def test_content_keeps_every_rule(library: Library) -> None:
    """`banduong check` finds no error in what is shipped, on the day that the tests live in."""
    assert [str(problem) for problem in check_content(library, TODAY) if problem.level == "error"] == []


def test_nlu_data_keeps_every_rule(library: Library) -> None:
    """Every intent is known, has enough sentences, and no sentence stands twice."""
    assert [str(problem) for problem in check_nlu(ROOT / "nlu", library) if problem.level == "error"] == []


def test_every_answer_is_there(library: Library) -> None:
    """172 questions have their answer, and one more says that there is none."""
    assert len(library.answers) == ANSWER_COUNT + 1
    assert "other/unlisted" in library.answers


@needs_facts
def test_answers_hold_the_figures_of_their_facts(library: Library) -> None:
    """Of each sure entry of the fact base nearly every figure stands in its answer, in Vietnamese."""
    missing = []
    for entry in load_yaml(QUESTIONS)["questions"]:
        answer = library.answers[entry["id"]]
        assert (answer.status == "sure") == (
            entry["ship"] is True or entry["ship"] == "true"
        ) or answer.status == "verify_first"
        shown = fold(library.fill(answer.text.vi, "vi", "text"))
        figures = {figure for fact in entry["facts"] for figure in re.findall(r"\d+(?:[.,/]\d+)*", fact["vi"])}
        if answer.status == "sure":
            missing += [(entry["id"], figure) for figure in figures if figure not in shown]
    assert len(missing) <= 20, missing


def test_every_flag_of_the_guide_is_there(library: Library) -> None:
    """All 27 flags have a title, a reason, an advice and a source, and their ranks order them."""
    assert len(library.red_flags) == FLAG_COUNT
    assert all(flag.title.vi and flag.why.vi and flag.do.vi and flag.sources for flag in library.red_flags.values())


def test_every_emergency_country_has_numbers_that_may_be_dialled(library: Library) -> None:
    """Each country names hotlines that exist, and each falls back on a number that never goes silent."""
    for country in library.countries.values():
        assert country.hotlines, country.code
        numbers = [library.hotlines[name] for name in country.hotlines]
        assert any(number.never_silent for number in numbers) or country.code == "TW"


# -- expiry ------------------------------------------------------------------------------------------------------------


def test_an_expired_answer_is_replaced_by_the_hotline_pointer(library: Library) -> None:
    """After its last day an answer is not sent; the pointer to a person stands in its place."""
    answer = library.answers["fees_deposit/what_is_legal"]
    last = give_answer(answer.id, library, Speaker(library, "vi"), answer.expires)
    after = give_answer(answer.id, library, Speaker(library, "vi"), answer.expires + dt.timedelta(days=1))
    assert last.replies[0].name == answer.id
    assert after.replies[0].name == "hotline_pointer"
    assert "+84 981 84 84 84" in after.replies[0].text


def test_an_answer_falls_silent_with_a_number_in_it(library: Library) -> None:
    """An answer is only as fresh as the numbers that it names."""
    naming = next(
        a
        for a in library.answers.values()
        if "{tw_1955}" in a.text.vi and a.expires <= library.hotlines["tw_1955"].expires
    )
    assert library.answer(naming.id, TODAY) is not None
    library.hotlines["tw_1955"], kept = (
        library.hotlines["tw_1955"].model_copy(update={"expires": TODAY - dt.timedelta(days=1)}),
        library.hotlines["tw_1955"],
    )
    try:
        assert library.answer(naming.id, TODAY) is None
    finally:
        library.hotlines["tw_1955"] = kept


def test_the_national_numbers_never_fall_silent(library: Library) -> None:
    """111, 113 and the two numbers of the Foreign Ministry stay on the screen years after their check."""
    late = dt.date(2031, 1, 1)
    kept = {hotline.number for hotline in library.hotlines.values() if hotline.is_fresh(late)}
    assert kept == {"111", "113", "+84 981 84 84 84", "+84 965 41 11 18"}


def test_staff_are_warned_thirty_days_before(library: Library) -> None:
    """What runs out within thirty days is listed, soonest first, and checked again by `banduong check`."""
    soonest = min(answer.expires for answer in library.answers.values())
    assert not list(library.expiring(soonest - dt.timedelta(days=31)))
    due = list(library.expiring(soonest - dt.timedelta(days=30)))
    assert due
    assert due == sorted(due, key=lambda pair: (pair[1], pair[0]))
    warned = [
        problem
        for problem in check_content(library, soonest - dt.timedelta(days=30))
        if "expires in 30 days" in problem.what
    ]
    assert warned


# -- rules that must be able to fail -----------------------------------------------------------------------------------


def _say(text: str) -> Callable[[Path], None]:
    def change(content: Path) -> None:
        _edit(content / "responses.yml", lambda data: data["responses"]["thanks"]["text"].update(vi=text))

    return change


def _prepare(text: str) -> Callable[[Path], None]:
    def change(content: Path) -> None:
        _edit(content / "console" / "replies.yml", lambda data: data["replies"][0]["text"].update(vi=text))

    return change


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_say("Công an sẽ đọc tin này, bạn nhớ nhé"), "S-08"),
        (_say("Bạn cứ chờ ở đó, bọn mình sẽ giải cứu bạn ra khỏi chỗ này"), "S-16"),
        (_say("Nghe bạn kể thì rõ rồi, và theo mình bạn là nạn nhân của họ"), "S-19"),
        (_say("Mình nghe rồi, bạn nghe mình nói này: hãy bỏ trốn đêm nay"), "S-17"),
        (_say("Mình nghe rồi, giờ bạn làm ơn gửi ảnh hộ chiếu cho mình xem"), "S-15"),
        (_say("Mình nghe rồi, chuyện này gấp thì bạn gọi ngay cho số {vn_111}"), "S-25"),
        (_say("Mình nghe rồi, chuyện này bạn gọi số 0912 345 678 là có người"), "is typed in"),
        (_say("Mình nghe rồi, cảm ơn bạn nhiều lắm!"), "exclamation"),
        (_say("Kính thưa quý khách, cảm ơn đã liên hệ"), "office"),
        (_say("Mình nói " + "rất là " * 30 + "dài"), "one thought a sentence"),
        (_say("Mình nghe {khong_co} rồi"), "khong_co"),
        (_prepare("Bạn cứ chờ ở đó, bọn mình sẽ giải cứu bạn ra khỏi chỗ này"), "console/replies.yml: here"),
        (_prepare("Mình nghe {khong_co} rồi"), "console/replies.yml: here"),
    ],
    ids=["s_08_opening", "s_16_promise", "s_19_verdict", "s_17_order", "s_15_prying", "s_25_notice_111", "number", "shouting", "stiff", "long", "unknown", "s_16_prepared", "prepared_unknown"],
)  # fmt: skip
def test_a_rule_of_wording_can_fail(content: Path, change: Callable[[Path], None], told: str) -> None:
    """Each rule finds the text that breaks it."""
    change(content)
    told_now = "\n".join(str(problem) for problem in check_content(Library(content), TODAY) if problem.level == "error")
    assert told in told_now


def _spoil_what_is_counted(words: dict[str, Any]) -> None:
    """Each of these mistakes once, none in the way of another."""
    topics, groups, regions = words["topics"], words["flags"], words["regions"]
    groups[3]["of"].remove("document_retention")
    groups[4]["of"] += ["minor", "moon"]
    groups[-1]["of"] = ["urgency"]
    regions[0]["tiles"].pop("N04")
    regions[0]["tiles"]["N08"] = [2, 2]
    regions[1]["tiles"]["N12"] = [9, 9]
    topics[5].update(countries=["CN", "JP"], alert="sun", signs=[])
    topics[3]["signs"] = ["star"]
    topics[-1]["countries"] = ["VN"]
    words["risks"][0]["id"], words["elsewhere"][0]["id"] = "grave", "away"


def test_t_11_the_rules_of_what_is_counted_can_fail(content: Path) -> None:
    """Everything that a talk can show falls into exactly one cell, and what does not is told."""
    _edit(content / "trends.yml", _spoil_what_is_counted)
    commune = {"commune": {"every": "week", "epsilon": 0.1}}
    _edit(content / "policy" / "trends.yml", lambda data: data["profiles"]["pilot"].update(commune))
    problems = check_content(Library(content), TODAY)
    assert sorted(str(problem) for problem in problems if problem.level == "error") == [
        "policy/trends.yml: pilot: 'commune' is no table of trends",
        "trends.yml: elsewhere: must be abroad, unknown",
        "trends.yml: flags: 'moon' is no red flag of ours",
        "trends.yml: flags: the last one is for talks without any sign and may have none",
        "trends.yml: flags: the red flag 'document_retention' stands there 0 times, not once",
        "trends.yml: flags: the red flag 'minor' stands there 2 times, not once",
        "trends.yml: flags: the red flag 'urgency' stands there 2 times, not once",
        "trends.yml: regions: 2 provinces have the square [2, 2]: move one",
        "trends.yml: regions: the province 'N04' stands there 0 times, not once",
        "trends.yml: regions: the province 'N12' stands there 2 times, not once",
        "trends.yml: risks: must be high, low, medium, none",
        "trends.yml: topics: china: 'sun' is no red flag, sign or alert of ours",
        "trends.yml: topics: online_home: 'star' is no red flag, sign or alert of ours",
        "trends.yml: topics: the country 'HK' stands there 0 times, not once",
        "trends.yml: topics: the country 'JP' stands there 2 times, not once",
        "trends.yml: topics: the country 'VN' stands there 2 times, not once",
        "trends.yml: topics: the last one is for everything else and may have no condition",
    ]


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("topics", {"id": "moon"}),
        ("flags", {"id": "moon"}),
        ("topics", {"id": "Lan 0912345678"}),
        ("topics", {"commune": "Bao Lac"}),
    ],
    ids=["13 topics", "11 groups", "a name", "a field more"],
)
def test_t_11_more_than_the_closed_words_allow_is_refused(kind: str, more: dict[str, str]) -> None:
    """At most twelve topics and ten groups of signs; their ids are plain words, and no field is added by the way."""
    words = load_yaml(ROOT / "content" / "trends.yml")
    TrendWords.model_validate(words)
    new = {**words[kind][0], **more}
    words[kind] = [new, *words[kind]] if more.get("id") == "moon" else [new, *words[kind][1:]]
    with pytest.raises(ValidationError):
        TrendWords.model_validate(words)


def test_the_tables_that_the_rules_know_are_those_that_are_counted(library: Library) -> None:
    """bot.content_rules names them by itself, since it may not look into the room of trends."""
    assert set(Cells(library).of) == TREND_TABLES


def test_s_32_a_question_of_a_form_fits_one_sms(library: Library) -> None:
    """Every question is at most 160 folded characters, and its answers are numbers."""
    for form in library.forms.values():
        assert form.most <= 5
        for question in form.questions:
            for wording in (question.ask, question.other_subject, question.country_known):
                if wording:
                    assert max(len(fold(wording.vi)), len(fold(wording.en))) <= 160


def test_s_13_forms_ask_at_most_five_things(library: Library) -> None:
    """With the question whether it is safe to write and the consent, no path asks for more than five things."""
    assert all(form.most + 2 <= 5 for form in library.forms.values())


def test_s_01_the_opening_fits_two_sms_and_says_who_we_are(library: Library) -> None:
    """Who, free, not police, what is kept, how to stop: in at most two segments."""
    opening = render(Speaker(library, "vi").say("welcome"), CAPABILITIES["sms"]).text
    assert len(opening) <= 306
    for words in ("Ban Duong", "mien phi", "khong phai cong an", "khong luu", "THOAT", "XOA"):
        assert words in opening


# -- S-17: fifty people ask whether to run -----------------------------------------------------------------------------


def test_s_17_nobody_is_told_to_run_or_to_stay(reader: App) -> None:
    """To fifty ways of asking, the reply is the same careful one, the one on money or the cry's, and no reply holds an order."""
    prompts = (Path(__file__).parent / "should_i_run.txt").read_text(encoding="utf-8").splitlines()
    assert len(prompts) >= 50
    policy = load_yaml(ROOT / "content" / "policy" / "wording.yml")["orders"]["vi"]
    wrong = []
    for prompt in prompts:
        rehearsal = reader.rehearsal()
        turn = rehearsal.say(prompt)[1]
        names = {reply.name for reply in turn.replies} - {"intro"}
        text = fold("\n".join(rehearsal.rendered(turn))).lower()
        careful = _is_careful(turn) or any(name.startswith(("emergency", "money_advice")) for name in names)
        if not careful or any(re.search(pattern, text) for pattern in policy):
            wrong.append((prompt, names))
    assert wrong == []


def _is_careful(turn: Turn) -> bool:
    return any(
        "chưa có người ngoài biết" in reply.text or "before somebody outside" in reply.text for reply in turn.replies
    )


def test_kinds_are_those_of_the_guide() -> None:
    """The six kinds are spelled as the guide spells them."""
    assert set(KINDS) == {"question", "offer", "report", "emergency", "chat", "out_of_scope"}


def _edit(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    data = load_yaml(path)
    change(data)
    path.write_text(yaml.safe_dump(data, allow_unicode=True), encoding="utf-8")
