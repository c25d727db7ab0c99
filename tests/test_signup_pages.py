"""Paper sign-up lists in the console: looked at, taken in whole, or told line by line."""

import html

import httpx
import pytest
from sqlalchemy import func, select

from bot.app import App
from bot.store import tables as t
from bot.testing import START, FakeClock
from bot.web.console.signups import MOST_LINES, SHEETS
from bot.web.pages import create_site
from tests.colleagues import join
from tests.console_pages import words
from tests.console_site import Desk, Site

HEAD = "Số điện thoại;Tỉnh;Ngày ký;Nơi ký;Người thu"
GOOD = [f"091234567{number};Nghệ An;01/09/2026;Họp thôn;Cô Hoa" for number in range(3)]
BAD = "12;Nghệ An;01/09/2026;Họp thôn;Cô Hoa"
TOLD = words("vi")


@pytest.fixture
def desk(sqlite_house: App) -> Desk:
    sqlite_house.clock = FakeClock(START)
    site = Site(sqlite_house, create_site(sqlite_house), sqlite_house.clock)
    return Desk(site, join(sqlite_house, "an.le", "outreach", now=START, name="An"))


def _sends(desk: Desk, *lines: str, do: str = "take", name: str = "thon.csv", **more: str) -> httpx.Response:
    content = "\n".join([HEAD, *lines]).encode()
    form = {"csrf": desk.token, "do": do, **more}
    answer: httpx.Response = desk.browser.post(SHEETS, data=form, files={"sheet": (name, content, "text/csv")})
    return answer


def _subscribers(house: App) -> int:
    with house.database.begin() as connection:
        return int(connection.execute(select(func.count()).select_from(t.subscriptions)).scalar_one())


def test_a_list_is_looked_at_and_then_taken(desk: Desk, sqlite_house: App) -> None:
    """Looking writes nothing; taken once it is there; taken twice nothing changes. Few people are not told apart."""
    told = TOLD["signups"]
    assert told["added"].format(people=3) in _sends(desk, *GOOD, do="look").text
    assert _subscribers(sqlite_house) == 0
    assert told["taken"] in _sends(desk, *GOOD).text
    again = _sends(desk, *GOOD)
    assert told["already"].format(people=3) in again.text
    assert _subscribers(sqlite_house) == 3
    assert "&lt;11" in again.text
    assert "0912345671" not in again.text


def test_a_wrong_line_is_told_and_nothing_is_half_taken(desk: Desk, sqlite_house: App) -> None:
    told = TOLD["signups"]
    answer = _sends(desk, *GOOD, BAD)
    assert (answer.status_code, _subscribers(sqlite_house)) == (409, 0)
    text = html.unescape(answer.text)
    assert told["refused"] in text
    assert f"{told['line'].format(line=5)}: {TOLD['signup_problems']['bad_number']}" in text
    assert told["taken"] in _sends(desk, *GOOD, BAD, skip_bad="1").text
    assert _subscribers(sqlite_house) == 3


def test_what_is_no_list_is_told(desk: Desk, sqlite_house: App) -> None:
    """No file, no UTF-8, too many lines, no columns, too many bytes."""
    told = TOLD["signups"]
    assert told["wrong_none"] in desk.post(SHEETS, do="take").text
    latin = desk.browser.post(
        SHEETS, data={"csrf": desk.token}, files={"sheet": ("a.csv", "Số máy".encode("utf-16"), "text/csv")}
    )
    assert told["wrong_encoding"] in html.unescape(latin.text)
    assert told["wrong_long"].format(lines=MOST_LINES) in _sends(desk, *["x"] * (MOST_LINES + 1)).text
    missing = desk.browser.post(
        SHEETS, data={"csrf": desk.token, "do": "take"}, files={"sheet": ("a.csv", b"a;b\n1;2", "")}
    )
    assert missing.status_code == 409
    assert desk.browser.post(SHEETS, content=b"x" * (1024 * 1024 + 1)).status_code == 413
    assert _subscribers(sqlite_house) == 0
