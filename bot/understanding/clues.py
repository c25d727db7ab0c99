"""What tells a recruiter: a phone number, a bank account, a link, a company. Read from words that may enter a case."""

import re
from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

import phonenumbers

from bot.letters import fold

COUNTRY = "VN"  # of numbers without a country code
_LINK = re.compile(
    r"(?:https?://)?(?:[a-z0-9-]+\.)+(?:com|vn|net|org|me|info|top|xyz|vip|club|online|shop|cc|link|app|io)\b(?:/[^\s,;]*)?",
    re.IGNORECASE,
)
_ACCOUNT = re.compile(r"\b(?:stk|so tk|tk|tai khoan|so tai khoan|account)\b\D{0,24}?(\d[\d .]{6,20}\d)")
_COMPANY = re.compile(r"\b(?:cong ty|cty|company)\s+((?:(?:tnhh|cp|co phan|mtv|xkld)\s+)*)((?:[a-z0-9]+ ?){1,4})")
_ENDS_NAME = frozenset(
    "o tai co la no ho va dua bao noi thi lam tuyen can cho voi hua tra luong ben nay kia do giu lua goi nhan em toi chau con gi nao".split()
)
_ANYBODYS = frozenset({"facebook.com", "fb.com", "zalo.me", "t.me", "tiktok.com", "youtube.com", "google.com"})
SHORTEST_ACCOUNT = 8  # figures
SHORTEST_NAME = 5  # letters of a name of one word: "cong ty may" is any sewing company


def clues_in(texts: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """(kind, value), each once: phone (E.164), account (figures), link (host and path), company (folded)."""
    found = [clue for text in texts for clue in _clues(text)]
    return tuple(dict.fromkeys(found))


def _clues(text: str) -> Iterator[tuple[str, str]]:
    folded = fold(text).lower()
    accounts = [_figures(match[1]) for match in _ACCOUNT.finditer(folded)]
    yield from (("account", account) for account in accounts if len(account) >= SHORTEST_ACCOUNT)
    for match in phonenumbers.PhoneNumberMatcher(text, COUNTRY):
        if _figures(match.raw_string) not in accounts:
            yield "phone", phonenumbers.format_number(match.number, phonenumbers.PhoneNumberFormat.E164)
    yield from (("link", link) for link in map(_link, _LINK.findall(folded)) if link)
    yield from (("company", name) for name in map(_name, _COMPANY.finditer(folded)) if name)


def _link(written: str) -> str | None:
    """Host and path; a host that serves everybody says nothing without its path."""
    parts = urlsplit(written if "://" in written else f"https://{written}")
    host, path = (parts.hostname or "").removeprefix("www.").removeprefix("m."), parts.path.rstrip("/.")
    return None if host in _ANYBODYS and not path else f"{host}{path}"


def _name(match: re.Match[str]) -> str | None:
    words = []
    for word in match[2].split():
        if word in _ENDS_NAME:
            break
        words.append(word)
    name = " ".join(words)
    return name if len(words) > 1 or len(name) >= SHORTEST_NAME else None


def _figures(text: str) -> str:
    return "".join(letter for letter in text if letter.isdigit())
