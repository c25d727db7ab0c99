"""Figures and names in a message: pay, hours, age, countries, provinces, phone numbers, links."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import phonenumbers

from bot.content import Country, Province
from bot.understanding.normalise import PlainText

MoneyRole = Literal["pay", "fee", "advance", "ransom", "price", "unknown"]

WORK_DAYS = 26  # in a month
WORK_HOURS = 8  # in a day
PLAUSIBLE_PAY = (3_000_000, 150_000_000)  # VND a month: what a bare sum in an offer may mean


@dataclass(frozen=True)
class Money:
    """A sum in VND. `per_month` is what it comes to in a month where it is pay; `words` are the sender's own."""

    vnd: int
    role: MoneyRole
    per_month: int | None
    period: Literal["hour", "day", "week", "month", "year", None]
    words: str
    currency: str = ""


@dataclass(frozen=True)
class Place:
    code: str
    words: str
    compound_town: bool = False


@dataclass(frozen=True)
class Entities:
    money: tuple[Money, ...] = ()
    hours_a_day: tuple[tuple[float, str], ...] = ()
    ages: tuple[tuple[int, str], ...] = ()
    countries: tuple[Place, ...] = ()
    provinces: tuple[Place, ...] = ()
    phones: tuple[str, ...] = ()
    links: tuple[str, ...] = ()

    @property
    def pay(self) -> Money | None:
        """The highest sum promised a month; without one, a sum of no stated use that could be a month's pay."""
        promised = [money for money in self.money if money.role == "pay"]
        bare = [
            money
            for money in self.money
            if money.role == "unknown" and PLAUSIBLE_PAY[0] <= money.vnd <= PLAUSIBLE_PAY[1]
        ]
        return max(promised or bare, key=lambda money: money.per_month or 0, default=None)


_DIGITS = {
    "khong": 0, "mot": 1, "hai": 2, "ba": 3, "bon": 4, "tu": 4, "nam": 5, "sau": 6, "bay": 7, "tam": 8, "chin": 9,
}  # fmt: skip
_TENS_WORD = ("muoi", "chuc")
_NUMBER_WORD = (
    "(?:" + "|".join([*_DIGITS, "muoi lam", "hai lam", "ba lam", "muoi", "chuc", "tram", "ruoi", "linh", "le"]) + ")"
)
_FIGURE = r"\d+(?:[.,]\d+)*"
_AMOUNT = rf"(?:{_FIGURE}|(?:{_NUMBER_WORD})(?: (?:{_NUMBER_WORD}))*)"
_SCALE = "(?:tram nghin|nghin|ngan|tram|trieu|ti|ty)"
_UNIT = "(?:do la|do|dola|usd|dollars?|yen|man|won|dai te|te|nhan dan te|euro|o ro|eur|bath|baht|ringgit|rin|rub|dong|vnd|nt)"
_MONEY = re.compile(
    rf"\b(?P<low>{_FIGURE}) ?(?:-|toi|den|~) ?(?P<high>{_FIGURE}) (?P<scale1>{_SCALE})?(?: ?(?P<unit1>{_UNIT})\b)?"
    rf"|\$ ?(?P<dollars>{_FIGURE})"
    rf"|\b(?P<lead>nghin|ngan|trieu) (?P<part>ruoi|{'|'.join(_DIGITS)})\b(?: tram)?(?: (?P<unit4>{_UNIT})\b)?"
    rf"|\b(?P<amount>{_AMOUNT}) (?P<scale>{_SCALE})(?: (?P<tail>ruoi|\d(?!\d)))?(?: (?P<unit>{_UNIT})\b)?"
    rf"|\b(?P<plain>{_AMOUNT}) (?P<unit2>do la|do|dola|usd|dollars?|yen|man|won|dai te|nhan dan te|te|euro|o ro|eur|baht|bath|ringgit|rin|rub|nt)\b"
    rf"|(?P<unit3>usd|nt|yen|vnd) (?P<plain3>{_FIGURE})"
    rf"|\b(?P<bare>\d{{1,3}}(?:[.,]000){{1,3}})\b"
)
_CURRENCY_ALIASES = {
    "do": "do la",
    "dola": "do la",
    "dollar": "do la",
    "dollars": "do la",
    "o ro": "euro",
    "eur": "euro",
    "baht": "bath",
    "vnd": "dong",
}
_PERIOD = re.compile(
    r"^ ?(?:/|moi|mot|1|tren|a|per|mo|moi mot)? ?(?P<unit>thang|month|mth|ngay|day|gio|hour|tieng|tuan|week|nam|year|ca)\b"
)
_LAST_PERIOD = re.compile(
    r"(?<!\d )\b(?:(?:moi|mot|1|hang|per|luong) )?(?P<unit>thang|ngay|gio|tieng|tuan|month|day)(?: (?:la|duoc|tra|luong|kiem|gui ve|khoang|tam|tu|toi|len|co|cung|lanh|lam))*\s*$"
)

_ROLE_WORDS: tuple[tuple[MoneyRole, str], ...] = (
    ("ransom", r"chuoc|moi (?:cho|duoc) (?:ve|nghi|ra|thoi)|cho ve|moi tha|moi thoat|tha ve|den hop dong|phat hop dong|pay to (?:leave|go)|ransom"),
    ("advance", r"ung|dua truoc|cho muon|cho vay|cho me|tra no thay|tra truoc cho|advance|muon truoc|cam truoc|dua cho (?:me|bo|gia dinh|nha)|cho nha"),
    ("fee", r"phi|coc|nop|dong (?:truoc|tien|phi|ho so|hoc)|chong truoc|tien (?:ho so|hoc|dong phuc|moi gioi|the|giu cho|lo|chay)|mat(?: them| khoang| het)?|doi|lay(?! chong| vo)|ton|chi phi|nap|tra truoc|chuyen khoan|chuyen truoc|phai tra|fee|deposit|pay first|gia|het|mua|lo het|thu"),
    ("price", r"ban (?:than|trung|gan)|than|trung|mang thai|de (?:thue|ho)|sinh ho|vay|no|chia|thuong|hoa hong|boi duong|hui|ban|cuoi|sinh le"),
    ("pay", r"luong|lg|thu nhap|kiem|tra|thang|ngay|cong|linh|gui ve|moi thang|luon|cung|salary|wage|pay|earn|income|bao|khoan|khoi diem|hua"),
)  # fmt: skip
_ROLE_PATTERNS = tuple((role, re.compile(rf"\b(?:{words})\b")) for role, words in _ROLE_WORDS)

_HOURS = re.compile(
    rf"\b(?P<n>{_AMOUNT})(?: ?(?:-|toi|den) ?(?P<m>{_FIGURE}))? (?:gio|tieng|h|hours?)(?: ?dong ho)?(?: ?(?:/|mot|moi|1|trong|a|per)? ?(?:ngay|day))?"
)
_HOURS_ANYHOW = re.compile(r"\b(?:ngay|moi ngay|lam|lam viec|cay|bat lam|day|work(?:ing|s)?|ca|suot|dung)\b")
_FROM_TO = re.compile(
    rf"\btu (?P<a>{_AMOUNT})(?: gio| h)?(?: ruoi)?(?: sang| khuya)? ?(?:toi|den|-|qua|cho toi|cho den) (?P<b>{_AMOUNT})(?: gio| h)?(?: ruoi)? (?P<part>dem|toi|khuya|chieu|sang)\b"
    rf"|\b(?P<a2>{_AMOUNT}) gio sang(?: \w+){{0,2}} (?:toi|den|-) (?P<b2>{_AMOUNT}) gio (?P<part2>dem|toi|khuya|chieu|sang)\b"
)
_CLOCK = re.compile(  # "từ 6h đến 14h", "6h-14h": two times of day, not two lengths
    r"\b(?P<a>\d{1,2}) gio(?: \d{1,2}| ruoi)?(?: sang)? ?(?:toi|den|-) ?(?P<b>\d{1,2}) gio(?: \d{1,2}| ruoi)?\b"
    r"(?! ?(?:sang|trua|chieu|toi|dem|khuya|/|mot ngay|moi ngay|ngay))"
)
_ONES = "|".join(word for word in _DIGITS if word not in ("khong", "tu"))
_AGE_WORD = rf"(?:(?:hai|ba|bon|nam) (?:{_ONES}|lam)|(?:{_ONES}) muoi(?: (?:{_ONES}|lam|mot|tu))?|muoi(?: (?:{_ONES}|lam))?|(?:{_ONES}))"
_AGE = re.compile(
    rf"\b(?:(?P<a>\d{{1,2}})(?: ?(?:-|,|/|hay|hoac|toi|den|va) ?| )(?P<b>\d{{1,2}})|(?P<one>\d{{1,2}})"
    rf"|(?P<wa>muoi(?: (?:{_ONES}|lam))?) (?:hay |hoac |toi |den |va )?(?P<wb>muoi(?: (?:{_ONES}|lam))?)|(?P<word>{_AGE_WORD}))"
    r"(?: ruoi)?(?: -)? (?:tuoi|years? old|year ?-? ?old|yo)\b"
    r"|\b(?:age|aged|tuoi|moi) (?P<c>1[0-7])\b(?! (?:ngay|thang|gio|nguoi|trieu|nam|tuan|phut|dua|nghin|do|tieng|%))"
)
ADULT_AGE = 18
_UNDER_AGE = re.compile(
    r"\b(?:chua|khong)(?: \w+){0,2} (?:du|toi|tron|den) (?:18|muoi tam|tuoi)\b(?: tuoi)?|\bunder (?:18|age)\b|\bduoi (?:18|16|15) tuoi\b"
)
_GRADE = re.compile(r"\b(?:hoc )?lop (?P<grade>\d{1,2}|muoi hai|muoi mot|muoi|chin|tam|bay|sau|nam|bon|ba|hai|mot)\b")
_AGE_RANGE_OF_AN_AD = re.compile(r"\b(?:nam|nu|nam nu|nam / nu|tuyen|do tuoi|tu)\b[^.;]{0,25}$")
_LINK = re.compile(
    r"(?:https?://|www\.)\S+|\b(?:[\w-]+\.)+(?:com|net|vn|org|info|xyz|top|me|cc)(?:/\S*)?", re.IGNORECASE
)
_PHONE = re.compile(r"(?<![\d.])(?:\+?84|0)(?:[ .-]?\d){8,10}(?!\d)|\+\d(?:[ .-]?\d){7,13}(?!\d)")
_GOING = "ho ly|dieu duong|thuc tap sinh|ky su|phai cu|xuong|nha may|cong ty|don hang|di|qua|sang|o|ben|ve|tu|nuoc|vo|toi|den|phia|dat|roi|thi truong|don|don hang|xuat khau lao dong|xuat canh|chui|visa|lay chong|chu|nguoi|gioi|lam viec"


class EntityReader:
    """Finds entities in plain text; built once from content/."""

    def __init__(
        self,
        countries: Iterable[Country],
        provinces: Iterable[Province],
        currencies: Mapping[str, int],
        currency_of: Mapping[str, str],
    ) -> None:
        self._currencies = dict(currencies)
        self._currency_of = dict(currency_of)
        self._places: list[tuple[re.Pattern[str], str, bool]] = []
        countries = tuple(countries)
        for country in countries:
            self._add(country.aliases, country.code)
            self._add(country.towns, country.code, compound=country.compounds)
            for name in country.short:
                pattern = rf"\b(?:{_GOING}) (?P<name>{name})\b(?! dong\b| luong| cong| hang| ket| ki\b| ba\b| nhieu| tam\b| ly\b| bao\b| gia\b| thu\b)"
                self._places.append((re.compile(pattern), country.code, False))
        self._bare = {name: country.code for country in countries for name in country.short}
        self._provinces = [
            (re.compile(rf"\b(?P<name>{'|'.join(map(re.escape, province.aliases))})\b"), province.code)
            for province in provinces
        ]

    def _add(self, names: tuple[str, ...], code: str, *, compound: bool = False) -> None:
        if names:
            ordered = sorted(map(re.escape, names), key=len, reverse=True)
            self._places.append((re.compile(rf"\b(?P<name>{'|'.join(ordered)})\b"), code, compound))

    def read(self, plain: PlainText) -> Entities:
        text = plain.text
        money = tuple(self._money(plain))
        return Entities(
            money=money,
            hours_a_day=(*_hours_from_to(plain), *_hours(plain)),
            ages=tuple(_ages(plain)),
            countries=tuple(self._countries(plain)) or tuple(self._countries_of_currencies(money)),
            provinces=tuple(
                Place(code, plain.written(*match.span("name")))
                for pattern, code in self._provinces
                for match in [pattern.search(text)]
                if match
            ),
            phones=tuple(_phones(plain.original)),
            links=tuple(match[0] for match in _LINK.finditer(plain.original)),
        )

    def _countries(self, plain: PlainText) -> Iterator[Place]:
        found = [
            (match.start("name"), Place(code, plain.written(*match.span("name")), compound))
            for pattern, code, compound in self._places
            for match in pattern.finditer(plain.text)
        ]
        if bare := self._bare.get(plain.text.strip(" .,!?")):
            found.append((0, Place(bare, plain.original)))
        seen: set[tuple[str, bool]] = set()
        for _, place in sorted(found, key=lambda pair: pair[0]):
            if (place.code, place.compound_town) not in seen:
                seen.add((place.code, place.compound_town))
                yield place

    def _countries_of_currencies(self, sums: Iterable[Money]) -> Iterator[Place]:
        """Where no country is named, the money names it."""
        for money in sums:
            if money.currency in self._currency_of:
                yield Place(self._currency_of[money.currency], money.words)

    def _money(self, plain: PlainText) -> Iterator[Money]:
        text = _without_times(plain.text)
        for match in _MONEY.finditer(text):
            amount, period_from = self._amount(match), match.end()
            if amount is None or amount < 1000:
                continue
            before = text[max(0, match.start() - 45) : match.start()]
            after = text[period_from : period_from + 30]
            period = _period(before, after)
            role = _role(before, after, period)
            monthly = _monthly(amount, period) if role in ("pay", "unknown") else None
            yield Money(int(amount), role, monthly, period, plain.written(*match.span()), _currency(match))

    def _amount(self, match: re.Match[str]) -> float | None:
        group = match.groupdict()
        if group["high"]:
            scale, unit = group["scale1"], group["unit1"]
            if not scale and not unit:
                return None
            return self._value(group["high"], scale, unit)
        if group["dollars"]:
            return self._value(group["dollars"], None, "do la")
        if group["amount"]:
            value = self._value(group["amount"], group["scale"], group["unit"])
            if value is not None and group["tail"] and group["scale"] in ("trieu", "nghin", "ngan", "ti", "ty"):
                part = 0.5 if group["tail"] == "ruoi" else int(group["tail"]) / 10
                one = self._value("1", group["scale"], group["unit"])
                value += part * (one or 0)
            return value
        if group["lead"]:
            part = 0.5 if group["part"] == "ruoi" else _DIGITS[group["part"]] / 10
            return (1 + part) * (self._value("1", group["lead"], group["unit4"]) or 0)
        if group["plain"]:
            return self._value(group["plain"], None, group["unit2"])
        if group["plain3"]:
            return self._value(group["plain3"], None, group["unit3"])
        return float(re.sub("[.,]", "", group["bare"])) if group["bare"] else None

    def _value(self, words: str, scale: str | None, unit: str | None) -> float | None:
        number = number_of(words, decimal=scale in ("trieu", "ti", "ty") or unit == "man")
        if number is None:
            return None
        factor = {
            None: 1,
            "tram": 100,
            "tram nghin": 100_000,
            "nghin": 1000,
            "ngan": 1000,
            "trieu": 1_000_000,
            "ti": 10**9,
            "ty": 10**9,
        }[scale]
        unit = _CURRENCY_ALIASES.get(unit or "", unit or "")
        rate = self._currencies.get(unit, 1)
        if unit == "dong" or not unit:
            rate = 1
        return number * factor * rate


def _currency(match: re.Match[str]) -> str:
    unit = next((match[name] for name in ("unit", "unit1", "unit2", "unit3", "unit4") if match[name]), "")
    return _CURRENCY_ALIASES.get(unit, unit)


def number_of(words: str, *, decimal: bool = False) -> float | None:
    """ "1.200" -> 1200, "1,5" -> 1.5, "hai muoi lam" -> 25; None where it is no number."""
    if words[0].isdigit():
        if decimal and re.fullmatch(r"\d+[.,]\d{1,2}", words):
            return float(words.replace(",", "."))
        return (
            float(re.sub("[.,]", "", words))
            if re.fullmatch(r"\d+|\d{1,3}(?:[.,]\d{3})+", words)
            else float(words.replace(",", ".").split(".")[0])
        )
    total = current = 0.0
    seen = False
    if spoken := re.fullmatch(r"(hai|ba|bon|nam|sau|bay|tam|chin) (mot|hai|ba|bon|lam|sau|bay|tam|chin)", words):
        return float(10 * _DIGITS[spoken[1]] + _DIGITS.get(spoken[2], 5))  # "hai lăm" for twenty-five
    for word in words.split():
        if word in _TENS_WORD:
            current, seen = (current or 1) * 10, True
            total, current = total + current, 0
        elif word == "tram":
            total, current, seen = total + (current or 1) * 100, 0, True
        elif word in ("lam", "nham"):  # "lăm": only behind a ten
            current = 5.0
        elif word == "ruoi":
            current += 0.5
        elif word in _DIGITS:
            current, seen = float(_DIGITS[word]), True
        else:
            continue
    return total + current if seen else None


def _period(before: str, after: str) -> Literal["hour", "day", "week", "month", "year", None]:
    names: dict[str, Literal["hour", "day", "week", "month", "year"]] = {
        "thang": "month", "month": "month", "mth": "month", "ngay": "day", "day": "day", "ca": "day", "gio": "hour",
        "hour": "hour", "tieng": "hour", "tuan": "week", "week": "week", "nam": "year", "year": "year",
    }  # fmt: skip
    if found := _PERIOD.match(after):
        return names[found["unit"]]
    if found := _LAST_PERIOD.search(before):
        return names[found["unit"]]
    return None


def _role(before: str, after: str, period: str | None) -> MoneyRole:
    ransom = _ROLE_PATTERNS[0][1]
    if ransom.search(before[-20:]) or ransom.search(after):
        return "ransom"
    if period in ("month", "day", "hour", "week"):
        return "pay"
    nearest: tuple[int, MoneyRole] = (-1, "unknown")
    clause = re.split(r"[;.!?]", before)[-1]
    for role, pattern in _ROLE_PATTERNS:
        for match in pattern.finditer(clause):
            if match.end() > nearest[0]:
                nearest = (match.end(), role)
    if nearest[0] >= 0 and len(clause) - nearest[0] <= 28:
        return nearest[1]
    return "unknown"


def _monthly(amount: float, period: str | None) -> int:
    factor = {"hour": WORK_HOURS * WORK_DAYS, "day": WORK_DAYS, "week": 4.3, "year": 1 / 12}.get(period or "", 1.0)
    return int(amount * factor)


def _hours(plain: PlainText) -> Iterator[tuple[float, str]]:
    text = _without_times(plain.text)
    for match in _HOURS.finditer(text):
        value = number_of(match["m"] or match["n"])
        a_day = "ngay" in match[0] or "day" in match[0]
        around = text[max(0, match.start() - 30) : match.start()]
        if value and 1 <= value < 24 and (a_day or _HOURS_ANYHOW.search(around)):
            yield value, plain.written(*match.span())


def _hours_from_to(plain: PlainText) -> Iterator[tuple[float, str]]:
    """ "từ 5 giờ sáng tới 10 giờ đêm" -> 17."""
    for match in _FROM_TO.finditer(plain.text):
        begin, end = number_of(match["a"] or match["a2"]), number_of(match["b"] or match["b2"])
        part = match["part"] or match["part2"]
        if begin is None or end is None or not 0 < begin <= 12 or not 0 < end <= 12:
            continue
        finish = end + 12 if end < 12 else end
        if (part in ("khuya", "dem", "sang") and end <= 4) or (part == "dem" and end == 12):
            finish = 24 + (end % 12)
        yield min(finish - begin, 24.0), plain.written(*match.span())
    for match in _CLOCK.finditer(plain.text):
        begin, end = int(match["a"]), int(match["b"])
        if begin <= 24 and end <= 24 and begin != end and _HOURS_ANYHOW.search(plain.text[: match.start()]):
            yield float((end - begin) % 24), plain.written(*match.span())


def _without_times(text: str) -> str:
    """`text` with its times of day blanked out, every other character in its place."""
    return _CLOCK.sub(lambda match: "_" * len(match[0]), text)


def _ages(plain: PlainText) -> Iterator[tuple[int, str]]:
    for match in _AGE.finditer(plain.text):
        before = plain.text[max(0, match.start() - 40) : match.start()]
        values = [number_of(match[group]) for group in ("a", "b", "one", "wa", "wb", "word", "c") if match[group]]
        if _UNDER_AGE.search(plain.text[max(0, match.start() - 20) : match.end()]):
            continue
        ages = [int(value) for value in values if value and 3 <= value <= 90]
        if ages and not (len(ages) == 2 and _AGE_RANGE_OF_AN_AD.search(before)):
            yield min(ages), plain.written(*match.span())
    if _UNDER_AGE.search(plain.text):
        yield ADULT_AGE - 1, plain.written(*_UNDER_AGE.search(plain.text).span())  # type: ignore[union-attr]
    for match in _GRADE.finditer(plain.text):
        grade = number_of(match["grade"])
        if grade and 1 <= grade <= 12:
            yield int(grade) + 5, plain.written(*match.span())


def _phones(text: str) -> Iterator[str]:
    for match in _PHONE.finditer(text):
        try:
            number = phonenumbers.parse(match[0], "VN")
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_possible_number(number):
            yield phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
