"""One spelling for one word, and the way back to what was written."""

from pathlib import Path

import pytest

from bot.app import App
from bot.errors import NluDataError
from bot.letters import compose, fold, plain_marks
from bot.understanding.normalise import Normaliser
from bot.understanding.vocabulary import Vocabulary
from tests.conftest import ROOT

PLAIN = {
    "Lương cao": "luong cao",
    "LƯƠNG CAO": "luong cao",
    "lg 20tr k?": "luong 20 trieu khong ?",
    "bao vé, lg 20tr/thg": "bao ve , luong 20 trieu / thang",
    "e ko bit j hết": "em khong biet gi het",
    "cty nay co uy tin hok ad": "cong ty nay co uy tin khong ad",
    "500k": "500 nghin",
    "500 k": "500 khong",
    "16t": "16 tuoi",
    "12h": "12 gio",
    "12 tieng": "12 gio",
    "20 củ": "20 trieu",
    "5 xị": "5 trieu",
    "3 lít": "3 tram nghin",
    "xkld đài": "xuat khau lao dong dai",
    "k có hđ": "khong co hop dong",
    "bị giữ cccd": "bi giu can cuoc",
    "ib fb e nha": "nhan tin facebook em nha",
    "di mien dien": "di myanmar",
    "qua cam pu chia": "qua campuchia",
    "Hung-ga-ry": "hung ga ry",
    "d\u0323i xa": "di xa",
    "“đi” – ‘làm’": "\" di \" - ' lam '",
    "lương\u00a0cao": "luong cao",
    "hai   cách": "hai cach",
}
SAME_WORD = (
    ("hòa bình", "hoà bình", "hoa binh"),
    ("thủy", "thuỷ", "thuy"),
    ("Đắk Lắk", "đắk lắk", "Dak Lak"),
    ("không", "ko", "hok", "hông", "khg", "hem"),
    ("được", "đc", "dc", "dk", "duoc"),
    ("facebook", "fb", "phây", "FACE"),
    ("hộ chiếu", "hc", "passport", "sổ thông hành"),
)
SLIPS = {
    "lâuuuuuu quá": "lau qua",
    "luongg cao": "luong cao",
    "hop dongg": "hop dong",
    "camppuchia": "campuchia",
    "facebok": "facebook",
    "telegramm": "telegram",
}
NO_SLIPS = ("trang", "quang", "thuong", "bo", "hang", "nhanh")
SENTENCES = (
    "Đi Thái bán vé số, lg 20tr/thg, bao ăn ở k ạ?",
    "e ko bit j hết, cty nay co uy tin hok",
    "qua cam pu chia làm cskh 😀 lương 1.000$ — đi liền!",
    "SĐT 0912 345 678, zalo/fb đều đc",
)


@pytest.mark.parametrize(("written", "plain"), PLAIN.items())
def test_a_message_becomes_plain_words(written: str, plain: str, spelling: Normaliser) -> None:
    """Marks, case, teencode, money words and spaces come to one plain spelling."""
    assert spelling.plain(written).text == plain


@pytest.mark.parametrize("spellings", SAME_WORD, ids=lambda row: row[0])
def test_spellings_of_one_word_are_one(spellings: tuple[str, ...], spelling: Normaliser) -> None:
    """However the word is written, the rest of the house sees the same."""
    assert len({spelling.plain(f"em {word} nha").text for word in spellings}) == 1


@pytest.mark.parametrize(("written", "plain"), SLIPS.items())
def test_a_slip_of_the_finger_is_mended(written: str, plain: str, reader: App) -> None:
    """A letter too many or too few in a known word is undone."""
    assert _normaliser(reader).plain(written).text == plain


@pytest.mark.parametrize("word", NO_SLIPS)
def test_a_real_word_is_left_alone(word: str, reader: App) -> None:
    """A Vietnamese syllable is never "mended" into another."""
    assert _normaliser(reader).plain(word).text == word


def test_without_a_vocabulary_nothing_is_mended(spelling: Normaliser) -> None:
    """Mending needs known words to go by."""
    assert spelling.plain("camppuchia").text == "camppuchia"


def test_english_is_not_read_as_teencode(spelling: Normaliser) -> None:
    """In an English sentence "k" and "e" stay what they are."""
    assert spelling.plain("They took my passport, is it legal?").text == "they took my passport , is it legal ?"


@pytest.mark.parametrize("sentence", SENTENCES)
def test_every_word_knows_where_it_was_written(sentence: str, spelling: Normaliser) -> None:
    """Each plain word points at its own characters, in order, within the message."""
    plain = spelling.plain(sentence)
    assert plain.original == compose(sentence)
    assert all(0 <= token.start < token.end <= len(plain.original) for token in plain.tokens)
    assert [token.start for token in plain.tokens] == sorted(token.start for token in plain.tokens)


def test_the_senders_own_words_are_given_back(spelling: Normaliser) -> None:
    """A place in the plain text leads to what was typed there, teencode and all."""
    plain = spelling.plain("Họ ns lg 20tr/thg, k cần kn")
    start = plain.text.index("luong")
    end = plain.text.index("thang") + len("thang")
    assert plain.written(start, end) == "lg 20tr/thg"
    assert plain.written(0, 2) == "Họ"
    start = plain.text.index("khong can kinh nghiem")
    assert plain.written(start, len(plain.text)) == "k cần kn"


def test_nothing_written_is_nothing(spelling: Normaliser) -> None:
    """An empty message and an empty place have no words."""
    assert spelling.plain("").tokens == ()
    assert spelling.plain("").written(0, 3) == ""
    assert spelling.plain("em").written(1, 1) == ""


@pytest.mark.parametrize("sentence", SENTENCES)
def test_plain_text_is_plain_already(sentence: str, spelling: Normaliser) -> None:
    """The text without diacritics, or shouted, has the same plain words."""
    words = spelling.plain(sentence).text
    assert spelling.plain(fold(sentence)).text == words
    assert spelling.plain(sentence.upper()).text == words


@pytest.mark.parametrize(
    ("written", "folded"),
    [("Đắk Lắk", "Dak Lak"), ("ướt", "uot"), ("ช่วย", "ช่วย"), ("ຊ່ວຍ", "ຊ່ວຍ"), ("ជួយ", "ជួយ"), ("ðong", "dong")],
)
def test_folding_takes_only_latin_marks(written: str, folded: str) -> None:
    """Vowel signs of Thai, Lao and Khmer are letters of their own and stay."""
    assert fold(written) == folded


def test_typographic_marks_become_plain_ones() -> None:
    """Curly quotes, long dashes and hard spaces would triple the price of an SMS."""
    assert plain_marks("“a” – ‘b’…\u00a0c→d\u200b") == "\"a\" - 'b'... c->d"


def test_a_missing_list_of_short_forms_is_named(tmp_path: Path) -> None:
    """The error says which file and what to do."""
    with pytest.raises(NluDataError, match=r"teencode\.yml is missing: restore it"):
        Normaliser.from_file(tmp_path / "teencode.yml")


@pytest.mark.parametrize("content", ["words: [", "phrases: {}", "- a\n- b\n", ""])
def test_a_broken_list_of_short_forms_is_refused(content: str, tmp_path: Path) -> None:
    """Whatever is wrong inside, the error names the file."""
    path = tmp_path / "teencode.yml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(NluDataError, match=r"teencode\.yml cannot be read"):
        Normaliser.from_file(path)


@pytest.fixture(scope="module")
def spelling() -> Normaliser:
    """The rules alone, without a vocabulary."""
    return Normaliser.from_file(ROOT / "nlu" / "teencode.yml")


def _normaliser(reader: App) -> Normaliser:
    return Normaliser.from_file(
        reader.config.nlu_folder / "teencode.yml", Vocabulary.of(reader.classifier, reader.library)
    )
