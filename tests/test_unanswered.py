"""What people ask and we cannot answer: what is kept of it, of whom not, and from how many people on it is shown."""

import datetime as dt
import itertools
import random
import re
from collections.abc import Iterable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy import func, select, update

from bot.app import App
from bot.content import plain_name
from bot.conversation.outcome import is_for_editors, outcome_of
from bot.conversation.state import Conversation, Mode
from bot.store import tables
from bot.testing import START
from bot.unanswered import AT_LEAST, kept
from bot.unanswered.anonymous import COMMON, FEWEST, GONE, MOST, Anonymiser
from bot.unanswered.groups import Band, groups
from bot.unanswered.kept import LIFE, Questions
from bot.understanding.normalise import Normaliser
from tests.conftest import message

ASK = "xin hoi ve lam bang"  # of no topic of ours
OTHER = "Bằng lái xe máy Việt Nam đem qua chạy bên Lào có dùng được không, hay phải đổi?"
CRY = "cuu em voi, em bi nhot o campuchia"
OFFER = "di thai ban ve so luong 20tr/thang ho bao ve may bay co nen di k"
MINUTE, DAY = dt.timedelta(minutes=1), dt.timedelta(days=1)
NAMES = (
    "Nguyễn Văn Hùng",
    "Trần Thị Mai",
    "Giàng A Sử",
    "Lò Thị Pành",
    "Y Moan Êban",
    "Lan",
    "hùng",
    "NGỌC",
    "thi mai",
    "Hồ Văn Nam",
)
PLACES = (
    "Hà Nội",
    "tả phìn",
    "Sa Pa",
    "dak lak",
    "Vinh",
    "o hue",
    "Nghệ An",
    "Phnom Penh",
    "đài loan",
    "nhat ban",
    "bavet",
)
REACHED = (
    "0912345678",
    "+84 90 123 45 67",
    "zalo.me/abc",
    "https://t.me/x",
    "lan.tran@gmail.com",
    "@viecnhe",
    "khong chin mot hai ba",
    "20tr/thang",
)
COMMON_WORDS = (
    "cho em hoi",
    "lam sao",
    "co duoc khong",
    "xin nghi",
    "anh",
    "chi",
    "ten la",
    "em",
    "o",
    "xa",
    "huyen",
    "?",
    ",",
)


@pytest.fixture(scope="session")
def anonymiser(reader: App) -> Anonymiser:
    spelling = Normaliser.from_file(reader.config.nlu_folder / "teencode.yml")
    return Anonymiser(reader.library, spelling, reader.classifier.word_counts)


# -- what stays of a question ------------------------------------------------------------------------------------------

PIECES = st.one_of(*map(st.sampled_from, (COMMON_WORDS, NAMES, PLACES, REACHED)), st.text(max_size=12))


@given(st.lists(PIECES, max_size=14).map(" ".join))
@example("Xin chao, em ten Lan Anh, so 0912345678, nha o xa Ta Phin")
@example("１２３ ４５６ ٣٤٥")
def test_nothing_but_everyday_words_ever_stays(anonymiser: Anonymiser, reader: App, text: str) -> None:
    """Whatever was written: no figure, mark, address, rare word, name or place; only the commoner words of the training data, at most
    twelve of them, or none at all."""
    words = anonymiser.words_of(text)
    lists, counts = reader.library.name_words, reader.classifier.word_counts
    assert len(words) <= MOST
    for word in words:
        assert word == GONE or (re.fullmatch("[a-z]+", word) and counts[word] >= COMMON and word not in lists.never)
    said = [word for word in words if word != GONE]
    assert not said or len(said) >= FEWEST
    written = f" {' '.join(words)} "
    assert [name for name in reader.library.place_names if f" {name} " in written and name not in lists.doubtful] == []


def test_a_name_a_place_and_a_way_to_reach_somebody_leave_a_gap(anonymiser: Anonymiser) -> None:
    """In the middle of a question, with capitals or without, introduced or not: of a full name, a place, a number or an address
    nothing stays; only of a single syllable, or of a village that no list knows, in small letters and not introduced, an everyday word may."""
    everything = itertools.product(
        ("cho em hoi", "xin nghi"), (*NAMES, *PLACES, *REACHED), ("", "em ten ", "nha o "), (True, False)
    )
    for start, given_away, before, small in everything:
        text = f"{start} {before}{given_away} thi can giay gi"
        words = anonymiser.words_of(text.lower() if small else text)
        gone = set(re.findall(r"\w+", plain_name(given_away))) - {"o", "a", "y", "thi", "thang"}
        stayed = gone & set(words)
        unknowable = not before and (given_away == "tả phìn" or (len(gone) == 1 and (small or given_away.islower())))
        assert not stayed or (unknowable and len(stayed) == 1), (text, words)
        assert GONE in words or stayed, text


@pytest.mark.parametrize(
    ("asked", "stays"),
    [
        ("Cho em hỏi làm hộ chiếu cho con mất bao lâu vậy ạ?", "cho em hoi lam ho chieu cho con mat bao lau a"),
        ("em tên Nguyễn Văn Hùng ở xã Tả Phìn huyện Sa Pa muốn hỏi chuyện", "em ten … o xa … muon hoi chuyen"),
        ("chị Lan bảo là nuôi ong ở Đắk Lắk cần giấy gì", "chi … bao la nuoi ong o … can giay gi"),
        ("gọi em 0912 345 678 nhé hoặc lan.tran@gmail.com", "goi em … nhe hoac …"),
        ("so em la khong chin mot hai ba bon nam, goi em voi", "so em la … goi em voi"),
        ("trieu thi mai muon hoi vay tien", "… muon hoi vay tien"),
        ("Nguyễn Thị Lan", ""),
        ("0912345678", ""),
        ("ok", ""),
        ("ຂ້ອຍຢາກກັບບ້ານ", ""),
    ],
)  # fmt: skip
def test_what_was_asked_and_what_stays(anonymiser: Anonymiser, asked: str, stays: str) -> None:
    """Enough for an editor to see what it is about; nothing where too little is left."""
    assert " ".join(anonymiser.words_of(asked)) == stays


def test_the_lists_of_names_say_each_word_once(reader: App) -> None:
    """A word is either never kept or doubtful; folded, in small letters; and what introduces a name stands in the training data."""
    lists = reader.library.name_words
    assert lists.never & lists.doubtful == set()
    assert all(re.fullmatch("[a-z]+", word) for words in lists.model_dump().values() for word in words)


COUNTS = {
    "lam": 900,
    "sao": 200,
    "the": 200,
    "nao": 400,
    "cho": 900,
    "em": 1000,
    "hoi": 300,
    "a": 300,
    "oi": 50,
    "muon": 300,
}


# -- what is shown -----------------------------------------------------------------------------------------------------


def alike(number: int) -> list[tuple[str, ...]]:
    """Questions that say the same with other words around it, each of another person."""
    ways = [("lam", "sao"), ("lam", "the", "nao"), ("cho", "em", "hoi"), ("a", "oi"), ("muon",)]
    core = ("mang", "thuoc", "tay", "qua", "san", "bay")
    return [(*ways[i % len(ways)], *core) for i in range(number)]


def different(number: int) -> list[tuple[str, ...]]:
    """Questions of which no two have a word in common."""
    letters = ("".join(pair) for pair in itertools.product("abcdefghijklmnop", repeat=3))
    return [tuple(itertools.islice(letters, 4)) for _ in range(number)]


@pytest.mark.parametrize("others", [0, 5, 400])
def test_ten_alike_are_nowhere_and_eleven_are_shown(others: int) -> None:
    """Whatever else was asked; told as a range."""
    assert groups([*alike(AT_LEAST - 1), *different(others)], COUNTS) == []
    (found,) = groups([*alike(AT_LEAST), *different(others)], COUNTS)
    assert found.people == Band(11, 20)
    assert set(found.wording) - {GONE} == {"mang", "thuoc", "tay", "qua", "san", "bay"}


def test_a_word_that_fewer_than_eleven_used_is_a_gap() -> None:
    """Even where the most typical wording holds it: what one person adds is nobody's to read."""
    asked = [("hoi", "vay", "tien", "ngan", "hang", rare) for rare in ["leo"] * 10 + ["gam", "xep"]]
    (found,) = groups(asked, COUNTS)
    assert found.wording == ("hoi", "vay", "tien", "ngan", "hang", GONE)


@pytest.mark.parametrize(
    ("people", "band"), [(11, Band(11, 20)), (20, Band(11, 20)), (21, Band(21, 50)), (700, Band(501, None))]
)
def test_a_number_of_people_is_told_as_a_range(people: int, band: Band) -> None:
    """Never by itself, from which another could be taken away."""
    (found,) = groups(alike(people), COUNTS)
    assert found.people == band


def test_the_same_questions_give_the_same_groups_in_any_order() -> None:
    """Ten thousand rows, three times: nothing hangs on their order."""
    words = [f"{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(300)]
    dice = random.Random(6)
    rows = [tuple(dice.sample(words[20 * (i % 15) : 20 * (i % 15) + 20], 7)) for i in range(3000)]
    first = groups(rows, COUNTS)
    for _ in range(2):
        dice.shuffle(rows)
        assert groups(rows, COUNTS) == first
    assert all(one.people.least >= AT_LEAST for one in first)


# -- what is kept ------------------------------------------------------------------------------------------------------


def ask(house: App, text: str, who: str, *, number: int = 1, at: dt.datetime = START, channel: str = "web") -> None:
    house.processor.handle(message(text, to=who, number=number, at=at, channel=channel))


def kept_by(house: App, now: dt.datetime) -> int:
    """How many rows there are after the minute's sweep."""
    house.clock = lambda: now
    house.forget()
    with house.database.begin() as connection:
        return int(connection.execute(select(func.count()).select_from(tables.unanswered)).scalar_one())


def waiting(house: App) -> int:
    return len(house.processor.questions._waiting)


def people(number: int) -> Iterable[str]:
    return (f"person-{i}" for i in range(number))


def test_eleven_people_who_ask_alike_are_one_group(house: App) -> None:
    """Ten leave not even a row; with the eleventh all are written and shown, and no row says who, when or by which way."""
    for who in people(AT_LEAST - 1):
        ask(house, ASK, who)
    assert kept_by(house, START) == 0
    ask(house, ASK, "the eleventh", channel="telegram")
    assert kept_by(house, START) == AT_LEAST
    with house.database.read() as connection:
        (found,) = groups(kept.all_words(connection, house.database.keyring, START), house.classifier.word_counts)
        rows = connection.execute(select(tables.unanswered)).all()
    assert found.people == Band(11, 20)
    assert set(tables.unanswered.c.keys()) == {"id", "day", "sealed_words"}
    assert {row.day for row in rows} == {START.date()}
    assert waiting(house) == 0


def test_one_person_fifty_times_counts_once(house: App) -> None:
    """In a day, and on each of the thirty days after it, before and after a restart; so that eleven rows are eleven people."""
    for number in range(50):
        ask(house, ASK if number % 2 else OTHER, "one", number=number, at=START + number * MINUTE)
    assert waiting(house) == 1
    for who in people(AT_LEAST - 1):
        ask(house, ASK, who)
    assert kept_by(house, START) == AT_LEAST
    del house.__dict__["processor"]  # another process
    for number in (1, 15, 29):
        at = START + number * DAY
        for who in ["one", *people(AT_LEAST - 1)]:
            ask(house, ASK, who, number=1000 + number, at=at)
        assert kept_by(house, at) == AT_LEAST


def test_d_13_what_is_thirty_days_old_is_gone(house: App) -> None:
    """With the day; who gave one is known a week longer at the most, until a Monday."""
    for who in people(AT_LEAST):
        ask(house, ASK, who)
    assert kept_by(house, START) == AT_LEAST
    assert kept_by(house, START + LIFE - DAY) == AT_LEAST
    assert kept_by(house, START + LIFE) == 0
    with house.database.begin() as connection:
        mondays = set(connection.execute(select(tables.unanswered_givers.c.until)).scalars())
    assert {day.weekday() for day in mondays} == {0}
    assert all(LIFE <= day - START.date() <= LIFE + 7 * DAY for day in mondays)
    assert kept_by(house, START + LIFE + 7 * DAY) == 0
    with house.database.begin() as connection:
        assert connection.execute(select(tables.unanswered_givers)).all() == []


def test_d_13_what_waits_in_memory_is_dropped_after_thirty_days_too(sqlite_house: App) -> None:
    """Where so few people ask that a lot is never full."""
    ask(sqlite_house, ASK, "one")
    for number, who in enumerate(people(AT_LEAST)):
        ask(sqlite_house, ASK, who, number=number, at=START + LIFE)
    assert kept_by(sqlite_house, START + LIFE) == AT_LEAST
    with sqlite_house.database.begin() as connection:
        assert set(connection.execute(select(tables.unanswered.c.day)).scalars()) == {(START + LIFE).date()}


@pytest.mark.parametrize(
    "before", [[CRY], [OFFER], ["co nguoi du em gai toi sang lao giu giay to khong cho ve"], ["gap nguoi"]]
)
def test_nothing_is_kept_in_a_talk_that_has_told_of_something(sqlite_house: App, before: list[str]) -> None:
    """A cry for help, an offer, a report, a wish for a person: from then on no question of this talk is kept, however harmless."""
    for number, text in enumerate([*before, ASK, OTHER]):
        ask(sqlite_house, text, "one", number=number, at=START + number * MINUTE)
    assert waiting(sqlite_house) == 0


def test_what_waits_goes_when_the_talk_turns_to_danger(sqlite_house: App) -> None:
    """Asked first, told of danger then: nothing of them is written."""
    ask(sqlite_house, ASK, "one")
    assert waiting(sqlite_house) == 1
    ask(sqlite_house, CRY, "one", number=2)
    assert waiting(sqlite_house) == 0


def test_nothing_is_kept_of_somebody_who_has_a_case(sqlite_house: App) -> None:
    """Days after, in a new talk, and on a line that they have linked; also when the case is over."""
    ask(sqlite_house, CRY, "one", channel="sms")
    code = sqlite_house.processor.handle(message("noi kenh", to="one", number=2, channel="sms", at=START + DAY))[
        -1
    ].text
    (figures,) = re.findall(r"\b\d{4} ?\d{4}\b", code)
    ask(sqlite_house, figures, "two", number=1, at=START + DAY + MINUTE)
    for number, status in enumerate(("open", "closed")):
        with sqlite_house.database.begin() as connection:
            connection.execute(update(tables.cases).values(status=status))
        for who, channel in (("one", "sms"), ("two", "web")):
            ask(sqlite_house, ASK, who, number=9 + number, channel=channel, at=START + (3 + number) * DAY)
        assert waiting(sqlite_house) == 0, status


def test_nothing_is_kept_while_a_person_answers(sqlite_house: App) -> None:
    """A talk that goes to the hotline is the hotline's."""
    policy, reading = sqlite_house.policy, sqlite_house.interpreter.read(ASK)
    for mode, called, expected in ((Mode.BOT, "no_answer", True), (Mode.HOTLINE, "person", False)):
        before = Conversation(greeted=True, mode=mode)
        turn = policy.respond(before, message(ASK), reading)
        outcome = outcome_of(turn, before, sqlite_house.library)
        assert outcome == called
        assert is_for_editors(outcome, turn, before, reading) is expected


def test_d_03_what_waits_of_somebody_goes_with_their_word(sqlite_house: App) -> None:
    """ "xoa" drops what is in memory at once; what is written is nobody's, and nothing leads back to an address."""
    ask(sqlite_house, ASK, "one")
    ask(sqlite_house, "xoa", "one", number=2)
    assert waiting(sqlite_house) == 0
    for who in people(AT_LEAST):
        ask(sqlite_house, ASK, who)
    assert kept_by(sqlite_house, START) == AT_LEAST
    for number, who in enumerate(people(AT_LEAST)):
        ask(sqlite_house, "xoa", who, number=100 + number)
    with sqlite_house.database.begin() as connection:
        assert connection.execute(select(tables.addresses)).all() == []
        assert connection.execute(select(func.count()).select_from(tables.unanswered)).scalar_one() == AT_LEAST


def test_a_rehearsal_leaves_nothing(sqlite_house: App) -> None:
    """Neither the training phone nor `banduong ask` gives anything to editors."""
    sqlite_house.rehearsal("web").say(ASK)
    assert waiting(sqlite_house) == 0


def test_neither_the_files_nor_the_memory_hold_what_was_written(sqlite_house: App) -> None:
    """The words lie sealed, and the rest of the message is nowhere at all."""
    for who in people(AT_LEAST):
        ask(sqlite_house, f"{OTHER} zephyrine", who)
    assert "zephyrine" not in str(sqlite_house.processor.questions._waiting).lower()
    assert kept_by(sqlite_house, START) == AT_LEAST
    files = b"".join(path.read_bytes() for path in sqlite_house.config.home.glob("banduong.db*"))
    assert [word for word in ("dung duoc", "bang lai", "zephyrine") if word.encode() in files] == []


def test_a_lot_of_known_people_waits_for_new_ones(sqlite_house: App) -> None:
    """A lot is never smaller than eleven: where ten have given one before, the eleventh's is not written alone."""
    for who in people(AT_LEAST):
        ask(sqlite_house, ASK, who)
    assert kept_by(sqlite_house, START) == AT_LEAST
    for number, who in enumerate(["new", *people(AT_LEAST - 1)]):
        ask(sqlite_house, ASK, who, number=100 + number, at=START + DAY)
    assert kept_by(sqlite_house, START + DAY) == AT_LEAST
    assert waiting(sqlite_house) == 1


def test_only_so_many_rows_are_kept(house: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest."""
    monkeypatch.setattr(kept, "MOST", 15)
    for day in (0, 1):
        questions = Questions()
        for who in people(AT_LEAST):
            questions.add(f"{who} {day}", ("mot", "hai"), START + day * DAY)
        assert questions.keep(house.database, START + day * DAY) == AT_LEAST
    with house.database.begin() as connection:
        assert kept.purge(connection, START + DAY) == 2 * AT_LEAST - 15
        days = connection.execute(select(tables.unanswered.c.day).order_by(tables.unanswered.c.day)).scalars().all()
    assert days == [START.date()] * 4 + [(START + DAY).date()] * AT_LEAST
