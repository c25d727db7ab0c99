"""What holds for any text whatsoever, and from any state a talk can get into."""

import datetime as dt
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bot.app import App
from bot.conversation.state import Conversation, Mode
from bot.letters import compose
from bot.rehearsal import Rehearsal
from bot.testing import START
from bot.understanding.language import LANGUAGES
from bot.understanding.nlu_data import FLAGGED, KINDS
from bot.understanding.normalise import Normaliser
from tests.conftest import ROOT

PIECES = (
    "đi Thái bán vé số lương 20tr/thg", "cuu em voi", "😀🆘👩‍👩‍👧", "\x00\x07\x1b[31m", "\u202e\u200b\ufeff", "救命", "ຊ່ວຍ",
    "ช่วยด้วย", "ជួយ", "e\u0323\u0302\u0301", "a" * 80, "9" * 60, "1.000.000.000", "$$$", "[x](minor)", "{money}", "%s%d", "\\N", "\r\n\t",
    "<script>", "' OR 1=1 --", "https://a.vn/" + "x" * 40, "+84 912 345 678", "từ 5 giờ sáng tới 10 giờ đêm", "hai mươi lăm triệu",
    "lớp 9", "15t", "🇻🇳", "ẢẤẦẨ", "İıſß", "ﷺ", "½ ² ٣", "-" * 30, "/", "ngàn rưỡi đô", "ĐĐĐĐ", "ð", "x",
)  # fmt: skip
MESSAGES = (
    "xin chào", "1", "2", "3", "9", "0", "có", "không", "chưa rõ", "ko bit", "bỏ qua", "tiếp tục", "đồng ý", "đừng", "menu", "nguồn",
    "english", "tiếng việt", "đăng ký", "stop", "xóa", "thoát", "gặp người", "😀", "", "???", "asdfgh",
    "đi Thái bán vé số lương 20 triệu có nên đi không", "em 15 tuổi, người lạ rủ qua Bavet làm online lương 1000 đô",
    "cuu em voi em bi nhot o campuchia", "con gái tôi bị giữ ở Myanmar, họ đòi 100 triệu chuộc", "em muốn chết quá",
    "chị tôi đi Ả Rập ba tháng nay không gọi về", "thằng kia gom người trong xã đưa đi chui", "có nên bỏ trốn không",
    "visa du lịch Hàn cần gì", "thời tiết hôm nay", "ai đã tố cáo tôi", "công ty nợ lương ba tháng", "help me", "ช่วยด้วย", "我想问工作",
    "what is human trafficking", "ở Bavet, Campuchia", "tối nay lúc 8 giờ", "cảm ơn", "bot là ai", "đm mày",
)  # fmt: skip
NEARLY_JUDGED = [
    (message, dt.timedelta(minutes=1)) for message in ("đi Thái bán vé số lương 20 triệu có nên đi không", "có", "2")
]
PAUSES = tuple(dt.timedelta(minutes=minutes) for minutes in (0, 1, 11, 31, 60 * 24))

anything = st.one_of(
    st.text(max_size=200),
    st.text(alphabet=st.characters(categories=("Cc", "Cf", "Co", "Mn", "So", "Lo")), max_size=60),
    st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=8)), max_size=14).map(" ".join),
    st.lists(st.sampled_from(PIECES), max_size=14).map("".join),
    st.sampled_from(PIECES).map(lambda piece: (piece * 5000)[:5000]),
)
talks = st.lists(st.tuples(st.sampled_from(MESSAGES), st.sampled_from(PAUSES)), min_size=1, max_size=6)
lenient = settings(
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@settings(lenient, max_examples=250)
@example(text="a" * 5000)
@example(text="lương " * 900)
@example(text="tu 5 gio sang " * 300)
@given(text=anything)
def test_any_text_is_understood_without_an_error(text: str, reader: App) -> None:
    """Whatever comes is read: a language of the six, a kind of the six, a confidence, and evidence in the sender's words."""
    reading = reader.interpreter.read(text)
    assert reading.language in LANGUAGES
    assert reading.kind in KINDS
    assert 0.0 <= reading.confidence <= 1.0
    assert reading.kind in FLAGGED or not reading.flags
    written = compose(text)
    evidence = [word for found in (*reading.flags.values(), *reading.signs.values()) for word in found]
    assert all(word in written for word in evidence), evidence
    assert all(money.words in written for money in reading.entities.money)
    assert all(flag in reader.library.red_flags for flag in reading.flags)


@pytest.mark.parametrize("text", ["\ud83d", "đi Lào lương 20 triệu \ud83d", "\udc00\ud800 cuu em voi em bi nhot"])
def test_half_an_emoji_is_understood_as_well(text: str, reader: App) -> None:
    """A message cut in the middle of an emoji (JSON allows it) is read like any other."""
    assert reader.interpreter.read(text).kind in KINDS


@settings(lenient, max_examples=60)
@given(text=anything)
def test_the_same_text_is_always_read_the_same(text: str, reader: App) -> None:
    """Nothing is remembered from one message to the next."""
    assert reader.interpreter.read(text) == reader.interpreter.read(text)


@settings(lenient, max_examples=300)
@given(text=anything, start=st.integers(0, 400), length=st.integers(0, 60))
def test_written_words_are_parts_of_the_message(text: str, start: int, length: int, spelling: Normaliser) -> None:
    """Any place in the plain text leads to a stretch of the message as it was sent."""
    plain = spelling.plain(text)
    end = min(start + length, len(plain.text))
    words = plain.written(min(start, end), end)
    assert words in compose(text)
    assert bool(words) == (start < end)
    assert all(token.word and plain.original[token.start : token.end] for token in plain.tokens)


@settings(lenient, max_examples=80)
@given(
    talk=talks,
    word=st.sampled_from(("thoat", "thoát", "THOAT", "dung", "Dừng.", "x", " thoat ")),
    mode=st.sampled_from(Mode),
)
def test_s_05_an_exit_word_closes_from_any_state(
    talk: list[tuple[str, dt.timedelta]], word: str, mode: Mode, reader: App
) -> None:
    """One word, one neutral reply, and nothing is left under way: whatever was going on before, the relay as well."""
    rehearsal, now = _after(talk, mode, reader)
    _, turn = rehearsal.say(word, now)
    assert [reply.name for reply in turn.replies] == ["closed"]
    after = turn.conversation
    assert (after.form, after.step, after.draft, after.choices) == (None, None, (), ())
    assert after.slots == Conversation().slots


@settings(lenient, max_examples=80)
@given(talk=talks)
def test_s_05_after_the_exit_word_nothing_told_is_repeated(talk: list[tuple[str, dt.timedelta]], reader: App) -> None:
    """Whoever picks up the phone next learns nothing of what was said."""
    rehearsal, now = _after(talk, Mode.BOT, reader)
    rehearsal.say("thoat", now)
    _, turn = rehearsal.say("xin chào", now + dt.timedelta(seconds=20))
    heard = "\n".join(rehearsal.rendered(turn))
    assert not any(told in heard for told in ("Bavet", "Campuchia", "15 tuổi", "20 triệu", "100 triệu"))


@settings(lenient, max_examples=80)
@example(talk=NEARLY_JUDGED, minutes=12, word="có")
@given(
    talk=talks,
    minutes=st.integers(10, 90),
    word=st.sampled_from(("1", "2", "3", "có", "chua", "ko", "không biết", "bỏ qua", "alo", "ok", "sao rồi", "ai vậy")),
)
def test_s_12_after_a_pause_nothing_told_is_repeated(
    talk: list[tuple[str, dt.timedelta]], minutes: int, word: str, reader: App
) -> None:
    """Whoever holds the phone ten minutes later learns nothing of what was said, whichever question was open."""
    rehearsal, now = _after(talk, Mode.BOT, reader)
    _, turn = rehearsal.say(word, now + dt.timedelta(minutes=minutes))
    heard = "\n".join(rehearsal.rendered(turn))
    signs = [flag.title.vi for flag in reader.library.red_flags.values()]
    assert not any(told in heard for told in ("Bavet", "Campuchia", "15 tuổi", "20 triệu", "100 triệu", *signs))


@settings(lenient, max_examples=80)
@given(talk=talks, words=st.sampled_from(("gap nguoi", "gặp người", "GAP NGUOI", "người thật")))
def test_s_30_a_person_is_reached_from_any_state(talk: list[tuple[str, dt.timedelta]], words: str, reader: App) -> None:
    """Asked for a person, the bot asks for consent or has a case open, within two messages."""
    rehearsal, now = _after(talk, Mode.BOT, reader)
    states = []
    for seconds in (20, 40):
        _, turn = rehearsal.say(words, now + dt.timedelta(seconds=seconds))
        states.append(turn.conversation.step == "consent" or turn.conversation.case_open)
    assert any(states), turn.replies


@settings(lenient, max_examples=80)
@given(talk=talks)
def test_every_message_is_answered_while_the_bot_speaks(talk: list[tuple[str, dt.timedelta]], reader: App) -> None:
    """No state is a dead end: each message gets words, and none with a place left unfilled."""
    rehearsal = reader.rehearsal("web")
    now = START
    for text, pause in talk:
        now += pause
        _, turn = rehearsal.say(text, now)
        heard = rehearsal.rendered(turn)
        assert heard
        assert all(words.strip() and "{" not in words for words in heard)


@settings(lenient, max_examples=80)
@given(talk=talks)
def test_a_state_is_the_same_after_it_was_put_away(talk: list[tuple[str, dt.timedelta]], reader: App) -> None:
    """A conversation that was written down and read again lacks nothing but the draft."""
    rehearsal, _ = _after(talk, Mode.BOT, reader)
    state = rehearsal.conversation
    assert Conversation.from_json(state.to_json()) == replace(state, draft=())


@pytest.fixture(scope="module")
def spelling() -> Normaliser:
    """The rules alone, without a vocabulary."""
    return Normaliser.from_file(ROOT / "nlu" / "teencode.yml")


def _after(talk: list[tuple[str, dt.timedelta]], mode: Mode, reader: App) -> tuple[Rehearsal, dt.datetime]:
    """The talk as it stands after these messages, and the time of the next one."""
    rehearsal = reader.rehearsal("web")
    rehearsal.conversation = Conversation(mode=mode, case_open=mode is Mode.HOTLINE)
    now = START
    for text, pause in talk:
        now += pause
        rehearsal.say(text, now)
    return rehearsal, now + dt.timedelta(seconds=20)
