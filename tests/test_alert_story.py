"""The story of one alert in two browsers: written on a phone, approved at a desk, sent, paused, sent on, cancelled and reported."""

import datetime as dt
import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect
from sqlalchemy import select

from bot.app import App
from bot.outreach.terms import Limits, Terms
from bot.store import tables as t
from bot.testing import FakeClock
from bot.web.pages import create_site
from tests.broadcasting import NOON, Office, a_subscriber
from tests.colleagues import join
from tests.console_site import served
from tests.pdf_text import text_of
from tests.walkers import DESK, PHONE, TOLD, Console, street

pytestmark = pytest.mark.browser

MINUTE = dt.timedelta(minutes=1)
LIMITS = Limits(approve_above=10, cancel_window=dt.timedelta(0))
TEXT = "Chào bạn, mình là Bạn Đường, có tin về đi làm xa.\n\nNhiều người được mời đi Lào làm việc chat. Có ai mời thì khoan đi."
SMS = "Bạn Đường: ai mời đi Lào làm việc chat thì khoan đi. Chép lời mời gửi mình xem."
ALERT, FORM, SEEN = TOLD["alert"], TOLD["alert_form"], TOLD["alert_preview"]


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_an_alert_from_the_first_letter_to_the_report(sqlite_house: App, width: int) -> None:
    """Everything by the pages alone: what is shown renews itself, nobody approves their own, and what is stopped stays stopped."""
    house = sqlite_house
    house.clock = clock = FakeClock(NOON)
    house.__dict__["alert_terms"] = Terms(house.library, limits=LIMITS)
    office = Office(house, limits=LIMITS)
    with house.database.begin() as connection:
        for number in range(60):
            a_subscriber(connection, house, f"{7000 + number}")
        for number in range(20):
            a_subscriber(connection, house, f"+8490000{number:04}", channel="sms")
    with served(create_site(house)) as site, street(site) as walked:
        an = Console(walked, join(house, "an.le", "outreach", name="An", now=clock.now), clock, width)
        binh = Console(walked, join(house, "binh.ho", "outreach", name="Bình", now=clock.now + MINUTE), clock, width)
        an.logs_in("alerts")
        clock.advance(MINUTE)
        binh.logs_in("alerts")
        reference = _an_writes(an)
        _an_sends_it_off(an, reference)
        _binh_approves(binh, reference)
        _it_runs(an, office, clock, reference)
        _it_is_paused_and_goes_on(an, binh, office, clock)
        _it_is_cancelled(binh, an)
        assert office.deliver(clock.now, "sms") == []
        _it_is_reported(an, reference)


def _an_writes(an: Console) -> str:
    """The preview follows what is typed, without a button: segments, price, what is to be mended."""
    page = an.page
    an.presses(page.get_by_role("link", name=TOLD["alerts"]["new"]))
    page.fill("#title", "Việc chat ở Lào")
    page.fill("#text-vi", TEXT + " Gọi 0912345678.")
    an.sees("#alert-preview .alarm", "0912345678")
    page.fill("#text-vi", TEXT)
    expect(page.locator("#alert-preview .alarm")).not_to_contain_text("0912345678")
    page.fill("#sms-vi", SMS)
    an.sees("#alert-preview .as-sent", "[QC] Ban Duong: ai moi di Lao lam viec chat thi khoan di.")
    an.sees("#alert-preview", SEEN["sum"].format(people=20, segments=1, vnd="10.000"))
    an.sees("#alert-preview .note", SEEN["over"].format(vnd="15.000", budget=0))
    page.fill("#source_name", "Báo Thanh Niên")
    page.fill("#source_url", "https://thanhnien.vn/tin")
    page.fill("#source_date", "2026-11-20")
    page.fill("[name=choice-1]", "Kiểm tra lời mời")
    page.fill("#until_day", "2026-11-26")
    page.fill("#budget", "100.000")
    expect(page.locator("#alert-preview .alarm")).to_have_count(0)
    an.presses(page.get_by_role("button", name=FORM["keep"]))
    return page.url.rsplit("/", 1)[1]


def _an_sends_it_off(an: Console, reference: str) -> None:
    """To so many it waits for somebody else, and its author has no button for that."""
    an.sees("#alert-head", TOLD["alert_statuses"]["draft"])
    an.presses(_button(an.page, ALERT["submit"]))
    an.sees("#alert-head", TOLD["alert_statuses"]["waiting"])
    an.sees("#alert-actions .note", ALERT["own"])
    expect(_button(an.page, ALERT["approve"])).to_have_count(0)


def _binh_approves(binh: Console, reference: str) -> None:
    """From the menu, where the number tells that something waits."""
    binh.goes("alerts")
    expect(binh.page.locator(".rooms [aria-current] .count")).to_contain_text("1")
    binh.presses(binh.page.get_by_role("link", name=reference))
    binh.sees("#alert-preview .as-sent", "Nhiều người được mời đi Lào")
    binh.presses(_button(binh.page, ALERT["approve"]))
    binh.sees("#alert-head", TOLD["alert_statuses"]["scheduled"])


def _it_runs(an: Console, office: Office, clock: FakeClock, reference: str) -> None:
    """Telegram's part leaves; An's open page tells so by itself."""
    an.goes(f"alerts/{reference}")
    an.sees("#alert-head", TOLD["alert_statuses"]["scheduled"])
    with office.house.database.begin() as connection:
        (broadcast_id,) = connection.execute(select(t.broadcasts.c.id)).scalars()
    office.expand(broadcast_id, clock.now)
    assert len(office.deliver(clock.now)) == 60
    an.sees("#alert-head", TOLD["alert_statuses"]["running"])
    expect(
        an.page.locator("#alert-progress .figures div").filter(has_text=TOLD["alert_states"]["sent"])
    ).to_contain_text("60")
    an.sees("#alert-progress", "75%")
    an.sees("#alert-progress", f"<11: {TOLD['alert_reasons']['safety']}")
    an.sees("#alert-actions", ALERT["pause"])


def _it_is_paused_and_goes_on(an: Console, binh: Console, office: Office, clock: FakeClock) -> None:
    """What Bình does is seen by An without a reload; while it is paused nothing leaves."""
    binh.page.reload()
    binh.presses(_button(binh.page, ALERT["pause"]))
    an.sees("#alert-head", TOLD["alert_statuses"]["paused"])
    assert office.deliver(clock.now, "sms") == []
    an.presses(_button(an.page, ALERT["resume"]))
    office.feed(clock.now, "email")  # moves it on, and feeds nobody
    binh.sees("#alert-head", TOLD["alert_statuses"]["running"])


def _it_is_cancelled(binh: Console, an: Console) -> None:
    """Asked once more; the open part is not taken away by what renews itself."""
    binh.page.locator("#cancel summary").click()
    binh.page.check("#cancel [name=sure]")
    binh.page.evaluate("document.getElementById('alert-head').dataset.old = ''")
    expect(binh.page.locator("#alert-head:not([data-old])")).to_be_attached()  # renewed
    expect(binh.page.locator("#cancel [name=sure]")).to_be_checked()
    binh.presses(binh.page.get_by_role("button", name=ALERT["cancel_do"], exact=True))
    an.sees("#alert-head", TOLD["alert_statuses"]["cancelled"])


def _it_is_reported(an: Console, reference: str) -> None:
    """Message by message without a number, and on paper with what it came to."""
    an.presses(an.page.get_by_role("link", name=ALERT["receipts"]))
    expect(an.page.locator("tbody tr")).to_have_count(50)
    expect(an.page.locator("tbody th").first).to_have_text(re.compile(r"^•••\d\d$"))
    an.presses(an.page.get_by_role("link", name=reference))
    with an.page.expect_download() as download:
        an.page.get_by_role("link", name=ALERT["report_pdf"]).click()
    paper = text_of(Path(download.value.path()).read_bytes()).replace("\n", " ")
    for words in (TOLD["alert_report"]["title"], reference, "Bình", TOLD["alert_states"]["sent"]):
        assert words in paper


def _button(page: Page, name: str) -> Locator:
    return page.locator("#alert-actions").get_by_role("button", name=name, exact=True)
