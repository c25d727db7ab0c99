"""Two whole stories in real browsers, from the first cry to the last byte: by web chat and by SMS; and the console by keyboard."""

import datetime as dt
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from bot.app import App
from bot.understanding.classifier import EmbeddedClassifier
from bot.web.pages import create_site
from tests.colleagues import PASSWORD, Colleague, join
from tests.conftest import message
from tests.console_site import served
from tests.fakes.server import serving
from tests.fakes.twilio import TwilioFake
from tests.pdf_text import text_of
from tests.test_twilio import town as twilio_town
from tests.towns import SmsTown
from tests.walkers import PHONE, TOLD, Console, Villager, street

pytestmark = pytest.mark.browser

CRY = "cuu em voi, em bi nhot o myanmar, ho danh em, em ten Zephyrine"
REPORT = "chi toi lam o quan karaoke, chu giu giay to va khong tra luong 3 thang nay"
SECRETS = ("Zephyrine", "Quartzite", "Obsidian", "Wolframite")
CASE, SAID = TOLD["case"], TOLD["queue"]
MOST_STEPS = 200  # twice round the longest page: a part that is renewed while it has the focus sends whoever tabs back to the beginning


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
    """In both consoles, on the desk and on the phone, without a reload. How soon after the cry, the bench measures."""
    titles = {one: one.page.title() for one in (lan, hoa)}
    villager.says(CRY)
    for one in (lan, hoa):
        expect(one.page).to_have_title(f"(1 P0) {titles[one]}")
        expect(one.page.locator("#assertive")).to_have_text(TOLD["common"]["live_p0"])
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
    expect(lan.page.locator(".said.operator").filter(has_text="mình hứa")).to_have_count(0)
    lan.page.get_by_role("button", name=CASE["send_anyway"]).click()
    lan.sees(".said.operator", "mình hứa")
    villager.hears("mình hứa")


def _a_supervisor_lets_the_number_be_seen(lan: Console, minh: Console) -> None:
    lan.does(
        "do-second", CASE["second_send"], {"#second-kind": "reveal", "#second-reason": "Cần gọi ngay, họ sắp bị bán."}
    )
    expect(lan.page.locator("#composer")).to_be_visible()
    expect(lan.page.get_by_role("button", name=CASE["reveal"])).to_have_count(0)
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


# -- by SMS ------------------------------------------------------------------------------------------------------------

NUMBER = "+84912345678"
TURN = dt.timedelta(seconds=20)


@pytest.fixture
def town(tmp_path: Path, classifier: EmbeddedClassifier) -> Iterator[SmsTown]:
    """A house with Twilio behind it, on a clock that moves when it is told to."""
    fake = TwilioFake(receipts=("sent", "delivered"))
    with serving(fake.application()) as api, twilio_town(tmp_path / "home", classifier, fake, api) as built:
        built.house.clock = built.clock
        yield built


def test_s_11_somebody_who_left_and_comes_back_is_asked_who_they_are(town: SmsTown) -> None:
    """A report by SMS; an operator answers; THOAT ends it at once; hours later the machine asks whether it is safe, and the console
    says "not verified" until the code word comes."""
    with street(town.site) as walked:
        lan = Console(walked, join(town.house, "lan", name="Lan", now=town.clock.now), town.clock)
        lan.logs_in()
        reference = _a_report_by_sms(town, lan)
        _they_talk_by_sms(town, lan, reference)
        _the_person_leaves(town, lan)
        _the_person_comes_back(town, lan, reference)


def _texts(town: SmsTown, text: str, after: dt.timedelta = TURN) -> list[str]:
    town.clock.advance(after)
    return town.say(NUMBER, text)


def _a_report_by_sms(town: SmsTown, lan: Console) -> str:
    """Is it safe, may it be passed on, two short questions: then it stands in the queue."""
    assert "Luc nay co phai chi mot minh ban" in _texts(town, REPORT)[-1]
    assert "Nhan CO hoac KHONG" in _texts(town, "1")[-1]
    for answer in ("CO", "1", "1"):
        _texts(town, answer)
    lan.page.locator(".row .ref").wait_for()
    return lan.page.inner_text(".row .ref")


def _they_talk_by_sms(town: SmsTown, lan: Console, reference: str) -> None:
    """What the person gets is folded to plain letters; what it costs is said before it is sent."""
    lan.claims(reference)
    lan.page.fill("#text", "Mình là người trực, mình đọc tin của bạn rồi.")
    lan.sees("#preview .cost", CASE["cost"].format(segments=1, vnd=500))
    lan.sees("#preview .as-sent", "Minh la nguoi truc, minh doc tin cua ban roi.")
    lan.page.click("#send")
    lan.sees(".said.operator", "Mình là người trực")
    assert town.news(NUMBER) == ["Minh la nguoi truc, minh doc tin cua ban roi."]
    lan.does("edit-code", CASE["save"], {"#code-word": "hoa sen"})
    _texts(town, "vang, em nghe")
    lan.sees(".said.person", "vang, em nghe")


def _the_person_leaves(town: SmsTown, lan: Console) -> None:
    """One closing word; what had not left yet never does, and the console says so. A draft is kept and cannot be sent."""
    assert isinstance(town.fake, TwilioFake)
    town.fake.faults.append("20429")
    lan.writes("Bạn cứ nhắn từng chút một nhé.")
    faults = town.fake.faults
    town.until(lambda: not faults)
    town.clock.advance(TURN)
    lan.page.fill("#text", "Lúc nào tiện")
    town.fake.say(NUMBER, "THOAT")
    lan.sees("#case-head .alarm", CASE["presence_silent"])
    expect(lan.page.locator("#send")).to_be_disabled()
    expect(lan.page.locator("#text")).to_have_value("Lúc nào tiện")
    lan.page.fill("#text", "")
    lan.page.locator("#text").blur()
    lan.sees("#composer", CASE["write_silent"])
    lan.sees(".said.operator", TOLD["deliveries"]["held"])
    expect(lan.page.locator("#text")).to_have_count(0)
    town.clock.advance(dt.timedelta(minutes=5))
    assert town.news(NUMBER) == ["Minh dung o day. Khi nao tien, ban nhan lai."]


def _the_person_comes_back(town: SmsTown, lan: Console, reference: str) -> None:
    """Nobody can know who holds the phone now: the machine begins with the question, and Lan is told to."""
    (asked,) = _texts(town, "chi em van bi giu o quan do", dt.timedelta(hours=3))
    assert "2 Khong tien" in asked
    lan.goes("login")
    lan.logs_in()
    lan.goes(f"cases/{reference}")
    lan.sees("#case-head .alarm", CASE["not_verified"])
    lan.sees("#composer .note", CASE["write_unverified"])
    _texts(town, "1")
    lan.sees(".said.person", "chi em van bi giu")
    expect(lan.page.locator("#case-head")).to_contain_text(CASE["not_verified"])
    _texts(town, "hoa sen")
    lan.sees("#case-head .good", CASE["verified"])
    expect(lan.page.locator("#case-head")).not_to_contain_text(CASE["not_verified"])


# -- by hand -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def waiting(sqlite_house: App) -> Iterator[tuple[str, Colleague, Colleague]]:
    """The address of a house in which a cry waits; Lan, and Hoa, who is on duty too."""
    lan, hoa = (join(sqlite_house, login, name=login.title(), now=now()) for login in ("lan", "hoa"))
    sqlite_house.processor.handle(message(CRY, at=now()))
    with served(create_site(sqlite_house)) as site:
        yield site, lan, hoa


def test_a_case_is_worked_by_keyboard_alone(waiting: tuple[str, Colleague, Colleague]) -> None:
    """Log in, claim with c, write and send with Ctrl+Enter, hand over, log out: no mouse, and the focus is never lost."""
    site, colleague, hoa = waiting
    with street(site) as walked:
        lan = Console(walked, colleague, now)
        keys = lan.page.keyboard
        expect(lan.page.locator("#login")).to_be_focused()
        _types(lan, colleague.login, PASSWORD, colleague.code(now()))
        lan.page.wait_for_url("**/console/queue")
        keys.press("j")
        keys.press("c")
        lan.page.wait_for_url("**/console/cases/*")
        _tabs_to(lan, "#text")
        keys.insert_text("Mình đang đọc đây.")
        keys.press("Control+Enter")
        lan.sees(".said.operator", "Mình đang đọc đây.")
        expect(lan.page.locator("#text")).to_be_focused()
        _tabs_to(lan, "#do-hand-over summary")
        keys.press("Enter")
        _tabs_to(lan, "#hand-over-to")
        keys.type(hoa.account.name)
        _tabs_to(lan, "#do-hand-over button")
        keys.press("Enter")
        lan.page.wait_for_url("**/console/queue")
        lan.sees(".row .act", hoa.account.name)
        _tabs_to(lan, "#menu summary")
        keys.press("Enter")
        _tabs_to(lan, "#menu form[action$=logout] button")
        keys.press("Enter")
        lan.page.wait_for_url("**/console/login")


def test_a_case_is_worked_without_javascript(waiting: tuple[str, Colleague, Colleague]) -> None:
    """On a phone with scripts off: claim, write, think a promise over, pass the case by."""
    site, colleague, _ = waiting
    with street(site) as walked:
        lan = Console(walked, colleague, now, PHONE, java_script_enabled=False)
        lan.logs_in()
        lan.page.click(".row form[data-claim] button")
        lan.page.wait_for_url("**/console/cases/*")
        lan.writes("Mình đang đọc đây.")
        lan.page.fill("#text", "Mình hứa sẽ cứu bạn.")
        lan.presses(lan.page.locator("#send"))
        lan.sees("#preview .alarm", TOLD["warnings"]["promise"])
        lan.presses(lan.page.get_by_role("button", name=CASE["send_anyway"]))
        lan.sees(".said.operator", "Mình hứa")
        lan.presses(lan.page.get_by_role("button", name=CASE["release"]))
        lan.sees(".row .act", SAID["claim"])


def _types(console: Console, *texts: str) -> None:
    """Into the field that has the focus and the ones after it; then Enter."""
    for number, text in enumerate(texts):
        if number:
            console.page.keyboard.press("Tab")
        console.page.keyboard.insert_text(text)
    console.page.keyboard.press("Enter")


def _tabs_to(console: Console, selector: str) -> None:
    """By the Tab key, however often; it fails where the focus goes round without coming there."""
    for _ in range(MOST_STEPS):
        if console.page.locator(f"{selector}:focus").count():
            return
        console.page.keyboard.press("Tab")
    raise AssertionError(f"the keyboard does not lead to {selector}")
