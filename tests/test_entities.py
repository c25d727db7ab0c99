"""Figures and names: pay, hours, ages, countries, provinces old and new, phones and links; and what only looks like one."""

import pytest

from bot.app import App
from bot.understanding.entities import Entities, number_of

MILLION = 1_000_000

PAY_A_MONTH = {
    "đi Thái bán vé số lương 20tr/thg": 20 * MILLION,
    "lương 15-20 củ": 20 * MILLION,
    "lương từ 15 đến 20 triệu một tháng": 20 * MILLION,
    "luong 17tr-20tr/thang": 20 * MILLION,
    "lương 1000 đô": 25 * MILLION,
    "luong 1.000 do 1 thang": 25 * MILLION,
    "lương 1,000 USD": 25 * MILLION,
    "they pay $900 a month": 22.5 * MILLION,
    "salary 900 usd per month": 22.5 * MILLION,
    "lương hai mươi triệu": 20 * MILLION,
    "lương mười lăm triệu một tháng": 15 * MILLION,
    "lương hai lăm triệu": 25 * MILLION,
    "lương ba chục triệu": 30 * MILLION,
    "mỗi tháng trả ngàn hai đô": 30 * MILLION,
    "lương ngàn rưỡi đô": 37.5 * MILLION,
    "lương 8 triệu rưỡi": 8.5 * MILLION,
    "lương 7tr5": 7.5 * MILLION,
    "lương 7,5 triệu": 7.5 * MILLION,
    "luong 7.5tr": 7.5 * MILLION,
    "lương tám triệu rưỡi": 8.5 * MILLION,
    "lương 9.000.000đ/tháng": 9 * MILLION,
    "lương 12,000,000 vnđ": 12 * MILLION,
    "lương 17 man": 28.9 * MILLION,
    "bên Nhật trả 180000 yên": 30.6 * MILLION,
    "lương 2 triệu won": 36 * MILLION,
    "lương 28000 đài tệ": 23.24 * MILLION,
    "luong 5000 te": 18 * MILLION,
    "lương 2000 euro": 58 * MILLION,
    "300k/ngày": 7.8 * MILLION,
    "làm 350 nghìn một ngày": 9.1 * MILLION,
    "trả 40k/giờ": 8.32 * MILLION,
    "50 ngàn một tiếng": 10.4 * MILLION,
    "lương 2 triệu một tuần": 8.6 * MILLION,
    "20 chai mot thang": 20 * MILLION,
    "lương 20m": 20 * MILLION,
    "tháng kiếm 30 triệu": 30 * MILLION,
    "thu nhap 15 - 18 trieu": 18 * MILLION,
}

NO_PAY = (
    "phải đóng cọc 20 triệu trước khi đi",
    "phí môi giới 120 triệu",
    "chuộc 150 triệu mới cho về",
    "ho cho vay 30 trieu lam giay to",
    "nhà tôi có 3 con bò",
    "làm 20 ngày nghỉ 4 ngày",
    "số 0912345678 là của ai",
    "hôm nay 25 độ",
    "năm 2025 luật mới ra sao",
)

HOURS_A_DAY = {
    "làm từ 5 giờ sáng tới 10 giờ đêm": 17,
    "lam tu 6h sang den 9h toi": 15,
    "làm từ bảy giờ sáng đến mười giờ đêm": 15,
    "làm từ 8h sáng tới 5h chiều": 9,
    "làm từ 5h sáng tới 12h đêm": 19,
    "làm 13 tiếng một ngày": 13,
    "lam 16h/ngay": 16,
    "ngày làm 14 tiếng": 14,
    "moi ngay lam 12-15 tieng": 15,
    "làm mười bốn tiếng mỗi ngày": 14,
    "bắt làm mười sáu giờ một ngày": 16,
    "we work 16 hours a day": 16,
    "bắt làm 18 tiếng đồng hồ một ngày": 18,
}

NO_LONG_HOURS = (
    "đi xe mất 14 tiếng mới tới",
    "học 1 khoá 400 giờ",
    "14 giờ chiều nay có xe",
    "tổng đài trực 24 giờ",
    "làm 8 tiếng một ngày",
    "bay 16 tiếng là tới",
)

AGES = {
    "em 15 tuổi": 15,
    "em 15t": 15,
    "cháu mười bảy tuổi": 17,
    "chau muoi sau tuoi": 16,
    "tôi hai mươi ba tuổi": 23,
    "tôi hai ba tuổi": 23,
    "chị ba mươi lăm tuổi": 35,
    "con gái tôi tuổi 16": 16,
    "tụi em 16, 17 tuổi": 16,
    "em mười ba tuổi": 13,
    "em trai 14 tuổi rưỡi": 14,
    "I am 16 years old": 16,
    "my 17-year-old sister": 17,
    "con tôi học lớp 9": 14,
    "chau hoc lop muoi": 15,
    "em lớp 12": 17,
    "con tôi mới 14": 14,
}

NO_AGE = (
    "em làm được 15 ngày",
    "tuyển nam nữ từ 18 - 35 tuổi",
    "họ cần 16 người",
    "mới 15 triệu thôi",
    "lớp tiếng Hàn mở chưa",
    "mới 12 tháng đã về",
    "lương 15t",
)

COUNTRIES = {
    "đi Lào làm": "LA",
    "qua cam lam": "KH",
    "làm bên Campuchia": "KH",
    "cty ở cpc": "KH",
    "qua Bavet làm": "KH",
    "đi Si-ha-núc làm": "KH",
    "di mien lam online": "MM",
    "sang Miến Điện": "MM",
    "lam o myawaddy": "MM",
    "đi Thái bán vé số": "TH",
    "sang thailand": "TH",
    "đi Phi làm sòng": "PH",
    "sang Phi-líp-pin": "PH",
    "lấy chồng Trung Quốc": "CN",
    "làm bên Tàu": "CN",
    "qua tq lam": "CN",
    "di dl lam giup viec": "TW",
    "xuất khẩu lao động Đài": "TW",
    "đi Nhật": "JP",
    "đi Hàn hái rau": "KR",
    "sang Hàn Quốc": "KR",
    "di ma lai": "MY",
    "qua Sing làm": "SG",
    "giúp việc Ả Rập": "SA",
    "qua Dubai": "AE",
    "đi Nga làm may": "RU",
    "qua Ba Lan": "PL",
    "đi Ru-ma-ni": "RO",
    "sang Hung-ga-ry": "HU",
    "đi Đức học nghề": "DE",
    "qua London làm nail": "GB",
    "sang nước Anh làm nail": "GB",
    "đi Úc hái nho": "AU",
    "đi Niu Di Lân": "NZ",
    "qua Mỹ": "US",
    "đi Hồng Kông": "HK",
    "đi Canada": "CA",
    "qua tam giác vàng": "LA",
    "lương 180000 yên": "JP",
}

NO_COUNTRY_ABROAD = (
    "đi tàu ra đảo",
    "anh ơi cho em hỏi",
    "áo thái rộng quá",
    "mỹ phẩm này bao nhiêu",
    "trung thu vui vẻ",
    "nhất định em sẽ đi",
    "ăn cam có tốt không",
    "miễn phí ăn ở",
    "đức tính tốt",
    "lào xào",
    "phí dịch vụ là gì",
    "hàn xì lương bao nhiêu",
    "nga là bạn em",
    "làm ở Trung tâm thương mại",
    "đi thi trung học",
    "ở đại lý vé số",
)

# The 63 provinces of before 1 July 2025 and the province each belongs to now.
PROVINCES = {
    "Hà Nội": "N01", "Cao Bằng": "N04", "Hà Giang": "N08", "Tuyên Quang": "N08", "Điện Biên": "N11", "Lai Châu": "N12",
    "Sơn La": "N14", "Lào Cai": "N15", "Yên Bái": "N15", "Bắc Kạn": "N19", "Thái Nguyên": "N19", "Lạng Sơn": "N20",
    "Quảng Ninh": "N22", "Bắc Giang": "N24", "Bắc Ninh": "N24", "Hòa Bình": "N25", "Phú Thọ": "N25", "Vĩnh Phúc": "N25",
    "Hải Dương": "N31", "Hải Phòng": "N31", "Hưng Yên": "N33", "Thái Bình": "N33", "Hà Nam": "N37", "Nam Định": "N37",
    "Ninh Bình": "N37", "Thanh Hóa": "N38", "Nghệ An": "N40", "Hà Tĩnh": "N42", "Quảng Bình": "N44", "Quảng Trị": "N44",
    "Huế": "N46", "Đà Nẵng": "N48", "Quảng Nam": "N48", "Quảng Ngãi": "N51", "Kon Tum": "N51", "Bình Định": "N52",
    "Gia Lai": "N52", "Khánh Hòa": "N56", "Ninh Thuận": "N56", "Phú Yên": "N66", "Đắk Lắk": "N66", "Bình Thuận": "N68",
    "Đắk Nông": "N68", "Lâm Đồng": "N68", "Bình Phước": "N75", "Đồng Nai": "N75", "Bình Dương": "N79",
    "Bà Rịa - Vũng Tàu": "N79", "Hồ Chí Minh": "N79", "Tây Ninh": "N80", "Long An": "N80", "Tiền Giang": "N82",
    "Đồng Tháp": "N82", "Bến Tre": "N86", "Trà Vinh": "N86", "Vĩnh Long": "N86", "An Giang": "N91", "Kiên Giang": "N91",
    "Cần Thơ": "N92", "Hậu Giang": "N92", "Sóc Trăng": "N92", "Bạc Liêu": "N96", "Cà Mau": "N96",
}  # fmt: skip

PLACES_AND_NICKNAMES = {
    "Sài Gòn": "N79",
    "TP.HCM": "N79",
    "sg": "N79",
    "Buôn Ma Thuột": "N66",
    "Đà Lạt": "N68",
    "Mộc Bài": "N80",
    "Móng Cái": "N22",
    "Lao Bảo": "N44",
    "Vinh": "N40",
    "Phú Quốc": "N91",
    "Thừa Thiên Huế": "N46",
    "Vũng Tàu": "N79",
    "Sa Pa": "N15",
    "Nha Trang": "N56",
}

NO_PROVINCE = (
    "qua làm bên Lào bao ăn ở",
    "hoàn cảnh nhà em khó",
    "vinh dự quá",
    "em an tâm rồi",
    "hứa hẹn đủ điều",
    "làm vậy là huề vốn",
)

PHONES = {
    "gọi 0912345678 nha": "+84912345678",
    "gọi 0912 345 678": "+84912345678",
    "sdt 0912.345.678": "+84912345678",
    "zalo 0912-345-678": "+84912345678",
    "call +84 912 345 678": "+84912345678",
    "so ben cam +855 12 345 678": "+85512345678",
    "gọi 84912345678": "+84912345678",
    "bàn 0243 825 1234": "+842438251234",
}

NO_PHONE = ("lương 20000000", "mã số 123456", "gọi 113", "sinh năm 2001", "lương 9.000.000", "căn cước 001099012345")

LINKS = {
    "vào www.viecnhe.xyz xem": "www.viecnhe.xyz",
    "https://t.me/abc123 nhắn em": "https://t.me/abc123",
    "đăng ký tại viecnhe.com/tuyen": "viecnhe.com/tuyen",
    "trang dolab.moha.gov.vn": "dolab.moha.gov.vn",
    "HTTPS://ZALO.ME/0912": "HTTPS://ZALO.ME/0912",
}

NO_LINK = ("em đi rồi.em về", "lương 7.5tr", "ok...me đi", "v.v.")


@pytest.mark.parametrize(("text", "expected"), PAY_A_MONTH.items())
def test_pay_is_read_as_dong_a_month(text: str, expected: float, reader: App) -> None:
    """Any spelling of a promised sum comes to one figure; of a range the higher end counts."""
    pay = _entities(reader, text).pay
    assert pay is not None
    assert pay.per_month == int(expected)


@pytest.mark.parametrize("text", NO_PAY)
def test_what_is_no_pay_is_not_read_as_pay(text: str, reader: App) -> None:
    """Fees, ransoms, loans and other figures promise nobody a wage."""
    assert _entities(reader, text).pay is None


@pytest.mark.parametrize("text", ["lương 20 triệu ở Lào", "luong 20tr o lao", "Lương 20 củ ở Lào"])
def test_money_is_shown_in_the_senders_words(text: str, reader: App) -> None:
    """The words of a sum stand in the message as they were written."""
    pay = _entities(reader, text).pay
    assert pay is not None
    assert pay.words in text
    assert pay.words.startswith("20")


@pytest.mark.parametrize(("text", "expected"), HOURS_A_DAY.items())
def test_hours_a_day_are_read(text: str, expected: float, reader: App) -> None:
    """The longest working day that is told: a number of hours, or from when to when."""
    hours = [hours for hours, _ in _entities(reader, text).hours_a_day]
    assert max(hours, default=None) == expected


@pytest.mark.parametrize("text", NO_LONG_HOURS)
def test_other_hours_are_no_long_working_day(text: str, reader: App) -> None:
    """Journeys, courses, clock times and an ordinary day are nobody's long day."""
    assert all(hours <= 12 for hours, _ in _entities(reader, text).hours_a_day)


@pytest.mark.parametrize(("text", "expected"), AGES.items())
def test_ages_are_read(text: str, expected: int, reader: App) -> None:
    """An age in figures, in words, or as a school year; of two the younger."""
    assert min((age for age, _ in _entities(reader, text).ages), default=None) == expected


@pytest.mark.parametrize("text", NO_AGE)
def test_other_figures_are_no_child_s_age(text: str, reader: App) -> None:
    """Days, people, months, money and the age range of an advertisement are no child's age."""
    assert all(age >= 18 for age, _ in _entities(reader, text).ages)


@pytest.mark.parametrize(("text", "code"), COUNTRIES.items())
def test_countries_are_known_by_name_nickname_and_town(text: str, code: str, reader: App) -> None:
    """The country of work is found however people call it; with none named, its money names it."""
    assert reader.interpreter.read(text).country == code


@pytest.mark.parametrize("text", NO_COUNTRY_ABROAD)
def test_words_that_only_sound_like_a_country_are_none(text: str, reader: App) -> None:
    """Without diacritics many countries are everyday words: those stay everyday words."""
    assert {place.code for place in _entities(reader, text).countries} <= {"VN"}


@pytest.mark.parametrize(("name", "code"), PROVINCES.items())
@pytest.mark.parametrize("sentence", ["em ở {}", "nha em {} can viec lam", "Tỉnh {} bây giờ"])
def test_every_old_province_leads_to_the_new_one(name: str, code: str, sentence: str, reader: App) -> None:
    """All 63 names of before July 2025 are still understood as the province they belong to."""
    assert code in {place.code for place in _entities(reader, sentence.format(name)).provinces}


def test_the_sixty_three_lead_to_all_thirty_four(reader: App) -> None:
    """The table has every old province once, and every new one is reached."""
    assert len(PROVINCES) == 63
    assert set(PROVINCES.values()) == {province.code for province in reader.library.provinces}
    assert len(set(PROVINCES.values())) == 34


@pytest.mark.parametrize(("name", "code"), PLACES_AND_NICKNAMES.items())
def test_well_known_places_lead_to_their_province(name: str, code: str, reader: App) -> None:
    """Towns, border gates and nicknames are enough to know the province."""
    assert code in {place.code for place in _entities(reader, f"em ở {name}").provinces}


@pytest.mark.parametrize("text", NO_PROVINCE)
def test_words_that_only_sound_like_a_province_are_none(text: str, reader: App) -> None:
    """Everyday words that share a syllable with a province name no place."""
    assert _entities(reader, text).provinces == ()


def test_provinces_are_found_without_diacritics_as_well(reader: App) -> None:
    """ "Dak Lak" is Đắk Lắk, and the sender's own spelling is kept."""
    assert [(place.code, place.words) for place in _entities(reader, "em o Dak Lak").provinces] == [("N66", "Dak Lak")]


@pytest.mark.parametrize(("text", "number"), PHONES.items())
def test_phone_numbers_are_read_in_one_form(text: str, number: str, reader: App) -> None:
    """Any way of grouping the figures gives the same international number."""
    assert _entities(reader, text).phones == (number,)


@pytest.mark.parametrize("text", NO_PHONE)
def test_other_long_figures_are_no_phone(text: str, reader: App) -> None:
    """Money, short numbers, years and identity cards are not called."""
    assert _entities(reader, text).phones == ()


@pytest.mark.parametrize(("text", "link"), LINKS.items())
def test_links_are_found(text: str, link: str, reader: App) -> None:
    """Addresses with and without https are seen whole."""
    assert _entities(reader, text).links == (link,)


@pytest.mark.parametrize("text", NO_LINK)
def test_a_full_stop_makes_no_link(text: str, reader: App) -> None:
    """A missing space after a full stop is no address."""
    assert _entities(reader, text).links == ()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("1.200", 1200.0),
        ("hai muoi lam", 25.0),
        ("mot tram hai muoi", 120.0),
        ("muoi", 10.0),
        ("ba muoi", 30.0),
        ("tam ruoi", 8.5),
    ],
)
def test_number_words_have_their_value(words: str, expected: float) -> None:
    """Figures with dots and numbers in words are the same numbers."""
    assert number_of(words) == expected


def test_a_comma_is_a_decimal_point_only_before_millions() -> None:
    """ "1,5" triệu is one and a half; "1,500" is fifteen hundred."""
    assert number_of("1,5", decimal=True) == 1.5
    assert number_of("1,500") == 1500.0
    assert number_of("xyz") is None


def _entities(reader: App, text: str) -> Entities:
    return reader.interpreter.read(text).entities
