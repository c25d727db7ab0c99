"""Two whole stories in real browsers, from the first cry to the last byte: by web chat and by SMS; and the console by keyboard."""

import datetime as dt
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from bot.app import App
from bot.web.pages import create_site
from tests.colleagues import join
from tests.console_site import served
from tests.pdf_text import text_of
from tests.walkers import PHONE, TOLD, Console, Villager, street

pytestmark = pytest.mark.browser

CRY = "cuu em voi, em bi nhot o myanmar, ho danh em, em ten Zephyrine"
SECRETS = ("Zephyrine", "Quartzite", "Obsidian", "Wolframite")
CASE, SAID = TOLD["case"], TOLD["queue"]


def now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


# -- by web chat -------------------------------------------------------------------------------------------------------


def test_a_cry_on_the_page_is_answered_by_a_person_and_then_forgotten(sqlite_house: App, tmp_path: Path) -> None:
    """A villager cries for help; Lan claims, answers, asks for a yes, passes on and closes; one word then erases it all."""
    people = {name: join(sqlite_house, name, *roles, now=now(), name=name.title()) for name, roles in _ROLES.items()}
    with served(create_site(sqlite_house)) as site, street(site) as walked:
        lan, hoa = (Console(walked, people[name], now, width) for name, width in (("lan", 1280), ("hoa", PHONE)))
        minh = Console(walked, people["minh"], now)
        villager = Villager(walked)
        for one in (lan, hoa, minh):
            one.logs_in()
        reference = _the_bell_rings(villager, lan, hoa)
        _one_claims_and_all_see_it(lan, hoa, reference)
        _they_talk(villager, lan)
        _a_promise_needs_a_second_press(villager, lan)
        _a_supervisor_lets_the_number_be_seen(lan, minh)
        _the_villager_agrees(villager, lan)
        _the_case_is_passed_on(lan)
        lan.does("do-close", CASE["close_do"], {"#outcome": "referred_111", "#close-note": "Wolframite"})
        lan.sees(".clocks", TOLD["outcomes"]["referred_111"])
        _the_villager_erases_it(villager, lan, minh, reference)
    sqlite_house.forget()
    everything = b"".join(path.read_bytes() for path in sorted(tmp_path.rglob("*")) if path.is_file())
    assert b"SQLite format 3" in everything
    assert [word for word in SECRETS if word.encode() in everything] == []


_ROLES = {"lan": ["operator"], "hoa": ["operator"], "minh": ["operator", "supervisor"]}


def _the_bell_rings(villager: Villager, lan: Console, hoa: Console) -> str:
    """In both consoles, on the desk and on the phone, within two seconds of the cry, without a reload."""
    titles = {one: one.page.title() for one in (lan, hoa)}
    villager.says(CRY)
    for one in (lan, hoa):
        expect(one.page).to_have_title(f"(1 P0) {titles[one]}", timeout=2000)
        expect(one.page.locator("#assertive")).to_have_text(TOLD["common"]["live_p0"], timeout=2000)
    lan.page.locator(".row.P0 .ref").wait_for()
    return lan.page.inner_text(".row.P0 .ref")


def _one_claims_and_all_see_it(lan: Console, hoa: Console, reference: str) -> None:
    hoa.row(reference).wait_for()
    lan.claims(reference)
    expect(hoa.row(reference).locator(".act")).to_have_text(lan.colleague.account.name)
    expect(hoa.page).not_to_have_title(re.compile("P0"))
    lan.sees(".said.person", "Zephyrine")


def _they_talk(villager: Villager, lan: Console) -> None:
    lan.writes("Mình là người trực, mình đang đọc đây. Obsidian")
    villager.hears("Obsidian")
    villager.says("em o gan cho, nha son xanh Quartzite")
    lan.sees(".said.person", "Quartzite")


def _a_promise_needs_a_second_press(villager: Villager, lan: Console) -> None:
    """The words stay, the machine says what sounds like a promise, and only the second press sends."""
    lan.page.fill("#text", "Bạn yên tâm, mình hứa sẽ cứu bạn ra.")
    lan.page.click("#send")
    lan.sees("#preview .alarm", TOLD["warnings"]["promise"])
    assert lan.page.locator(".said.operator").filter(has_text="mình hứa").count() == 0
    lan.page.get_by_role("button", name=CASE["send_anyway"]).click()
    lan.sees(".said.operator", "mình hứa")
    villager.hears("mình hứa")


def _a_supervisor_lets_the_number_be_seen(lan: Console, minh: Console) -> None:
    lan.does(
        "do-second", CASE["second_send"], {"#second-kind": "reveal", "#second-reason": "Cần gọi ngay, họ sắp bị bán."}
    )
    assert lan.page.get_by_role("button", name=CASE["reveal"]).count() == 0
    minh.goes("second")
    minh.sees("blockquote", "họ sắp bị bán")
    minh.presses(minh.page.get_by_role("button", name=TOLD["second"]["grant"]))
    lan.page.get_by_role("button", name=CASE["reveal"]).wait_for()
    lan.presses(lan.page.get_by_role("button", name=CASE["reveal"]))
    expect(lan.page.locator("#actions .alarm bdi")).to_have_text(re.compile(r"^\w{32}$"))  # the line of this chat page


def _the_villager_agrees(villager: Villager, lan: Console) -> None:
    """Lan presses a button; the question is the reviewed one, and only the villager's own word counts."""
    lan.page.locator("#do-pass-on summary").click()
    row = lan.page.locator("#do-pass-on tr").filter(has_text=TOLD["purposes"]["share_111"])
    lan.presses(row.get_by_role("button"))
    villager.hears("Nhắn CO nếu được")
    villager.says("co")
    lan.page.locator("#do-pass-on summary").click()
    expect(row.locator("td").first).to_have_text(TOLD["consents"]["yes"])


def _the_case_is_passed_on(lan: Console) -> None:
    """A sheet to print, the same as PDF, with the villager's own word as its ground and without a number."""
    lan.does("do-pass-on", CASE["refer"], {"#receiver": "vn_111"})
    lan.page.locator("#actions").get_by_role("link", name=re.compile("111")).click()
    lan.sees(".sheet", TOLD["sheet"]["number_kept"])
    with lan.page.expect_download() as download:
        lan.page.get_by_role("link", name=TOLD["sheet"]["as_pdf"]).click()
    paper = text_of(Path(download.value.path()).read_bytes())
    for words in (TOLD["sheet"]["title"], "Myanmar", "co"):
        assert words in paper.replace("\n", " ")
    lan.page.get_by_role("link", name=TOLD["sheet"]["back"]).click()
    lan.sees("#actions", TOLD["handoffs"]["made"])


def _the_villager_erases_it(villager: Villager, lan: Console, minh: Console, reference: str) -> None:
    villager.says("xoa")
    for one in (lan, minh):
        one.goes(f"cases/{reference}")
        one.sees("main", TOLD["conflicts"]["erased"])
        one.goes("queue?show=closed")
        expect(one.row(reference).locator(".tag")).to_have_text(TOLD["statuses"]["erased"])
