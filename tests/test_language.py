"""One of six languages for any message; doubt goes to Vietnamese."""

import pytest

from bot.letters import fold
from bot.understanding.language import LANGUAGES, detect_language, is_vietnamese_syllable

VIETNAMESE = (
    "đi Thái bán vé số lương 20 triệu có thật không",
    "di thai ban ve so luong 20 trieu co that khong",
    "e mun hoi cty nay co phep ko",
    "cty nay co uy tin k ad",
    "ib zalo e nha",
    "ok",
    "job ben cam luong 1000 usd",
    "part time online 300k/ngay, ib me",
    "visa du lịch đi Hàn làm được không",
    "toi can giup",
    "20tr/thg",
    "",
    "???",
    "😀",
    "0912345678",
    "em di an com",
    "the nao la mua ban nguoi",
    "to khai xin visa",
)
ENGLISH = (
    "Hello, can you help me?",
    "is this company licensed",
    "They took my passport and I want to go home",
    "my employer has not paid me for three months",
    "How much does a job in Japan cost?",
    "stop sending me messages",
    "What documents do I need for Taiwan",
    "HELP ME PLEASE THEY LOCKED THE DOOR",
)
OTHERS = {
    "ຊ່ວຍຂ້ອຍແດ່": "lo",
    "ຂ້ອຍຢາກໄປເຮັດວຽກຢູ່ໄທ": "lo",
    "ช่วยด้วย": "th",
    "อยากถามเรื่องงานที่เวียดนาม": "th",
    "ជួយខ្ញុំផង": "km",
    "ខ្ញុំចង់សួរអំពីការងារ": "km",
    "救命": "zh",
    "我想问一下越南的工作": "zh",
    "請問這家公司合法嗎": "zh",
    "ຊ່ວຍ help": "lo",
}


@pytest.mark.parametrize("text", VIETNAMESE)
def test_vietnamese_is_known_in_any_spelling(text: str) -> None:
    """Full, without diacritics, teencode, with English loan words; and whatever names no language at all."""
    assert detect_language(text) == "vi"


@pytest.mark.parametrize("text", VIETNAMESE)
def test_vietnamese_stays_vietnamese_folded_or_shouted(text: str) -> None:
    """Marks and case decide nothing."""
    assert {detect_language(fold(text)), detect_language(text.upper()), detect_language(fold(text).upper())} == {"vi"}


@pytest.mark.parametrize("text", ENGLISH)
def test_english_is_known(text: str) -> None:
    """A sentence of English words is English, in capitals as well."""
    assert detect_language(text) == "en"
    assert detect_language(text.upper()) == "en"


@pytest.mark.parametrize(("text", "language"), OTHERS.items())
def test_scripts_name_their_language(text: str, language: str) -> None:
    """Lao, Thai, Khmer and Chinese are told by their letters."""
    assert detect_language(text) == language


@pytest.mark.parametrize("text", ["em học tiếng 你 rồi", "chữ này 好 nghĩa là gì vậy anh chị", "ร em hỏi chút"])
def test_one_foreign_letter_makes_no_foreign_message(text: str) -> None:
    """A word of another script inside a Vietnamese sentence leaves it Vietnamese."""
    assert detect_language(text) == "vi"


@pytest.mark.parametrize("text", ["đi", "d\u0323i", "Vie\u0323\u0302t Nam"])
def test_decomposed_letters_are_read_like_composed_ones(text: str) -> None:
    """Some phones send letter and mark apart."""
    assert detect_language(text) == "vi"


@pytest.mark.parametrize("word", "nghieng thuyen quyt giup duong xoong khuya ruou yeu oi".split())
def test_syllables_of_vietnamese_are_known(word: str) -> None:
    """Long rimes and rare onsets are syllables."""
    assert is_vietnamese_syllable(word)


@pytest.mark.parametrize("word", "job street passport help facebook zalo brr strong".split())
def test_other_words_are_no_syllables(word: str) -> None:
    """Clusters and endings that Vietnamese lacks give a word away."""
    assert not is_vietnamese_syllable(word)


def test_there_are_six_languages() -> None:
    """The six that the rest of the house has words for."""
    assert set(LANGUAGES) == {"vi", "en", "lo", "th", "km", "zh"}
