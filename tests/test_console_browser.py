"""What the console's script does, in a real browser: news, the bell, the draft, keys, and how it all works without it."""

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Dialog, Page, expect, sync_playwright

from tests.console_pages import PAGES, words
from tests.console_stage import CASE, Stage, served
from tests.test_browser import ARGUMENTS, CHROMIUM, NOWHERE, PATIENCE, need_chromium, until

pytestmark = pytest.mark.browser

TOLD = words("vi")
WHOLE = [name for name, page in PAGES.items() if not page[0].startswith("_")]
FINGER = 44  # px
SMALL = """() => [...document.querySelectorAll("a, button, select, summary, input:not([type=hidden])")].filter(one => {
  const box = one.getBoundingClientRect();
  const alone = !one.closest("p, td, dd") && !["radio", "checkbox"].includes(one.type) && !one.classList.contains("skip");
  return alone && one.checkVisibility() && box.width && box.height < %d - 0.5;
}).map(one => one.outerHTML)"""
LOUD = """() => {
  window.struck = 0;
  const real = window.OscillatorNode;
  window.OscillatorNode = class extends real { start(at) { window.struck += 1; super.start(at); } };
}"""
AT_ITS_END = """() => {
  const log = document.querySelector(".log");
  return log.scrollHeight - log.scrollTop - log.clientHeight < 2;
}"""

Open = Callable[..., Page]


@pytest.fixture(scope="module")
def theatre() -> Iterator[Stage]:
    with served() as stage:
        yield stage


@pytest.fixture
def stage(theatre: Stage) -> Iterator[Stage]:
    theatre.begin()
    yield theatre
    theatre.alive = False


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    need_chromium()
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=[*ARGUMENTS, NOWHERE])
        yield launched
        launched.close()


@pytest.fixture
def desk(browser: Browser, stage: Stage) -> Iterator[Open]:
    """Opens a page in a browser of its own; whatever the page complains of fails the test."""
    opened = []
    complaints: list[str] = []

    def listen(message: ConsoleMessage) -> None:
        expected = ("Failed to load resource", "Response Status Error Code", "htmx:")
        if message.type in ("error", "warning") and not message.text.startswith(expected):
            complaints.append(message.text)

    def open_page(path: str, width: int = 1280, height: int = 800, **options: object) -> Page:
        context = browser.new_context(base_url=stage.url, viewport={"width": width, "height": height}, **options)  # type: ignore[arg-type]
        context.set_default_timeout(PATIENCE)
        opened.append(context)
        page = context.new_page()
        page.on("console", listen)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(path)
        return page

    yield open_page
    for context in opened:
        context.close()
    assert complaints == []


# -- how it looks ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WHOLE)
def test_a_page_fits_a_phone_and_a_desk(desk: Open, name: str) -> None:
    """Nothing runs out of the screen, whatever is touched is as high as a finger, and the content policy holds."""
    for width in (390, 1280):
        page = desk(f"/console/show/{name}", width=width)
        assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
        assert page.evaluate(SMALL % FINGER) == []


def test_on_a_phone_the_text_box_is_one_tap_away(desk: Open) -> None:
    """However far somebody scrolls down a case, the way to the text box stays on the screen."""
    page = desk(CASE, width=390)
    page.evaluate("window.scrollTo(0, 10000)")
    link = page.locator(".inside a[href='#text']")
    expect(link).to_be_in_viewport()
    link.click()
    expect(page.locator("#text")).to_be_in_viewport()
    expect(page.locator("#text")).to_be_focused()


# -- news --------------------------------------------------------------------------------------------------------------


def test_a_new_p0_is_told_in_the_title_and_alouduntil_it_is_claimed(desk: Open, stage: Stage) -> None:
    """The count stands before the title, a screen reader is interrupted, the queue is fetched again; at nought all is as before."""
    page = desk("/console/queue")
    title = page.title()
    _on_line(page, stage)
    stage.p0 = 1
    stage.tell("queue", '{"p0": 1, "new": "P0"}')
    expect(page).to_have_title(f"(1 P0) {title}")
    expect(page.locator("#assertive")).to_have_text(TOLD["common"]["live_p0"])
    expect(page.locator("#queue")).to_have_attribute("data-p0", "1")
    stage.p0 = 0
    stage.tell("queue", '{"p0": 0}')
    expect(page).to_have_title(title)
    expect(page.locator("#polite")).to_have_text(TOLD["common"]["live_changed"])
    expect(page.locator("#silence")).to_be_hidden()


def test_the_bell_rings_for_a_p0until_it_is_silenced(desk: Open, stage: Stage) -> None:
    """Switched on with a tap, it rings, and again every 20 seconds; silencing holds for this P0, and the next one rings again."""
    page = desk("about:blank")
    page.clock.install()
    page.goto(f"{stage.url}/console/queue")
    page.evaluate(LOUD)
    _on_line(page, stage)
    page.click("#bell")
    expect(page.locator("#bell")).to_have_attribute("aria-pressed", "true")
    stage.p0 = 1
    stage.tell("queue", '{"p0": 1, "new": "P0"}')
    page.wait_for_function("() => window.struck === 2")  # two tones
    page.clock.fast_forward(20_000)
    page.wait_for_function("() => window.struck === 4")
    page.click("#silence")
    expect(page.locator("#silence")).to_be_hidden()
    page.clock.fast_forward(40_000)
    stage.p0 = 2
    stage.tell("queue", '{"p0": 2, "new": "P0"}')
    page.wait_for_function("() => window.struck === 6")


def test_the_bell_can_be_tried(desk: Open) -> None:
    """One press, one ring, with the bell still off."""
    page = desk("/console/queue")
    page.evaluate(LOUD)
    page.click("#bell-test")
    page.wait_for_function("() => window.struck === 2")
    expect(page.locator("#bell")).to_have_attribute("aria-pressed", "false")


def test_a_lost_line_is_said_and_the_queue_is_still_looked_at(desk: Open, stage: Stage) -> None:
    """After a second failure the page says so and asks by itself, marked as the script's; when the line is back it says that too."""
    page = desk("/console/queue")
    _on_line(page, stage)
    stage.alive = False
    expect(page.locator("#live")).to_have_class("lost")
    expect(page.locator("#line")).to_have_text(TOLD["common"]["live_lost"])
    until(page, lambda: stage.looks >= 1)
    stage.alive = True
    expect(page.locator("#line")).to_have_text(TOLD["common"]["live_on"])


def test_a_session_that_ended_leads_to_the_log_in(desk: Open, stage: Stage) -> None:
    """The first refusal of anything fetched in the background leaves the page, and with it what was on the screen."""
    page = desk(CASE)
    _on_line(page, stage)
    stage.signed_in = stage.alive = False
    page.wait_for_url("**/console/login")


def test_the_row_in_focus_stays_in_focus(desk: Open, stage: Stage) -> None:
    """News do not throw back somebody who moves through the queue."""
    page = desk("/console/queue")
    page.keyboard.press("j")
    page.keyboard.press("j")
    _on_line(page, stage)
    _renewed(page, stage, "queue", '{"p0": 0}')
    expect(page.locator("#row-B4T9RW")).to_be_focused()
    page.keyboard.press("Tab")
    _renewed(page, stage, "queue", '{"p0": 0}')
    expect(page.locator("#claim-B4T9RW")).to_be_focused()


# -- writing -----------------------------------------------------------------------------------------------------------


def test_what_is_being_typed_outlives_every_refresh(desk: Open, stage: Stage) -> None:
    """A draft, a note and an open part stay while the talk beside them is renewed."""
    page = desk(CASE)
    page.fill("#text", "Mình đang viết dở")
    page.fill("#note", "ghi dở")
    page.click("#do-close > summary")
    page.select_option("#outcome", "advised")
    page.focus("#outcome")
    _on_line(page, stage)
    stage.talk.append({**stage.talk[0], "text": "tin moi toi", "at": stage.talk[-1]["at"]})
    stage.presence = "silent"
    stage.tell("case", '{"reference": "K7M2QX"}')
    expect(page.locator("#newest")).to_contain_text("tin moi toi")
    expect(page.locator("#case-head")).to_contain_text(TOLD["case"]["presence_silent"])
    expect(page.locator("#text")).to_have_value("Mình đang viết dở")
    expect(page.locator("#note")).to_have_value("ghi dở")
    expect(page.locator("#outcome")).to_have_value("advised")
    expect(page.locator("#outcome")).to_be_focused()


def test_the_newest_words_are_in_sight(desk: Open, stage: Stage) -> None:
    """The talk stands at its end when the page opens and follows what comes, unless somebody reads further up."""
    page = desk(CASE, height=500)
    page.focus("#log")
    page.wait_for_function(AT_ITS_END)
    _on_line(page, stage)
    stage.talk.append({**stage.talk[0], "text": "tin moi toi"})
    stage.tell("case", '{"reference": "K7M2QX"}')
    expect(page.locator("#newest")).to_contain_text("tin moi toi")
    page.wait_for_function(AT_ITS_END)
    expect(page.locator("#log")).to_be_focused()


def test_a_prepared_reply_is_put_where_the_cursor_is_and_looked_over(desk: Open) -> None:
    """It stands between the words, can be changed, and the text as it will be sent appears."""
    page = desk(CASE)
    page.fill("#text", "Chào bạn. ")
    page.click("#replies > summary")
    page.click("#replies button >> nth=0")
    expect(page.locator("#text")).to_have_value(re.compile(r"^Chào bạn\. Mình đang đọc đây\."))
    expect(page.locator("#text")).to_be_focused()
    expect(page.locator(".as-sent")).to_contain_text("Mình đang đọc đây.")


def test_a_warned_message_needs_a_second_press(desk: Open, stage: Stage) -> None:
    """The first press brings the warning, the second sends; changed words are looked at anew; then the box is empty and in focus."""
    page = desk(CASE)
    page.fill("#text", "Mình sẽ cứu bạn")
    page.click("#send")
    expect(page.locator("#composer [role=alert]")).to_contain_text(TOLD["warnings"]["promise"])
    expect(page.locator("#send")).to_have_text(TOLD["case"]["send_anyway"])
    assert stage.posted == [("send", {"text": "Mình sẽ cứu bạn", "confirm": ""})]
    page.locator("#text").press("Control+End")
    page.locator("#text").press_sequentially(" nhé")
    expect(page.locator("#send")).to_have_text(TOLD["case"]["send"])
    page.click("#send")
    expect(page.locator("#send")).to_have_text(TOLD["case"]["send_anyway"])
    page.click("#send")
    expect(page.locator("#newest")).to_contain_text("Mình sẽ cứu bạn nhé")
    assert stage.posted[-1][1]["confirm"] == "1"
    expect(page.locator("#text")).to_have_value("")
    expect(page.locator("#text")).to_be_focused()


def test_control_enter_sends(desk: Open, stage: Stage) -> None:
    """Enter alone begins a line."""
    page = desk(CASE)
    page.fill("#text", "một")
    page.press("#text", "Enter")
    page.locator("#text").press_sequentially("hai")
    assert stage.posted == []
    page.press("#text", "Control+Enter")
    expect(page.locator("#newest")).to_contain_text("hai")
    assert stage.posted[0][1]["text"].splitlines() == ["một", "hai"]


def test_words_are_not_lost_when_the_server_is_in_trouble(desk: Open, stage: Stage) -> None:
    """The page says so, and the text is still in the box."""
    page = desk(CASE)
    page.route("**/send", lambda route: route.fulfill(status=503, body=""))
    page.fill("#text", "xin chào")
    page.click("#send")
    expect(page.locator("#notice")).to_have_text(TOLD["common"]["failed"])
    expect(page.locator("#text")).to_have_value("xin chào")
    page.route("**/send", lambda route: route.abort())
    page.click("#send")
    expect(page.locator("#notice")).to_have_text(TOLD["common"]["offline"])
    expect(page.locator("#text")).to_have_value("xin chào")


def test_leaving_with_unsent_words_asks_first(desk: Open) -> None:
    """The browser's own question comes, and no question where the box is empty."""
    asked: list[str] = []

    def leave(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.accept()

    page = desk(CASE)
    page.on("dialog", leave)
    page.locator("#text").press_sequentially("dở")
    page.click(".rooms a >> nth=0")
    page.wait_for_url("**/console/queue")
    page.goto(CASE)
    page.click(".rooms a >> nth=0")
    page.wait_for_url("**/console/queue")
    assert asked == ["beforeunload"]


# -- keys --------------------------------------------------------------------------------------------------------------


def test_the_queue_is_worked_by_keys_alone(desk: Open, stage: Stage) -> None:
    """j and k move, c claims the row in focus with its token, Enter opens."""
    page = desk("/console/queue")
    for key, row in (("j", "K7M2QX"), ("j", "B4T9RW"), ("k", "K7M2QX"), ("k", "K7M2QX"), ("j", "B4T9RW")):
        page.keyboard.press(key)
        expect(page.locator(f"#row-{row}")).to_be_focused()
    page.keyboard.press("c")
    page.wait_for_url(f"**{CASE}")
    assert stage.posted == [("claim B4T9RW", {"csrf": "token-of-this-session"})]
    page.goto("/console/queue")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{CASE}")


def test_keys_mean_letters_while_somebody_types(desk: Open, stage: Stage) -> None:
    """In a text box j is a j and c is a c; with Control they are the browser's."""
    page = desk("/console/queue")
    page.keyboard.press("/")
    expect(page.locator("#q")).to_be_focused()
    page.keyboard.type("jc?")
    expect(page.locator("#q")).to_have_value("jc?")
    expect(page.locator("#shortcuts")).to_be_hidden()
    assert stage.posted == []


def test_keys_can_be_switched_off(desk: Open) -> None:
    """? shows them; switched off, they stay so on the next page."""
    page = desk("/console/queue")
    page.keyboard.press("?")
    expect(page.locator("#shortcuts")).to_be_visible()
    page.uncheck("#use-shortcuts")
    page.keyboard.press("Escape")
    expect(page.locator("#shortcuts")).to_be_hidden()
    page.keyboard.press("j")
    assert not _focus(page).startswith("row-")
    page.reload()
    page.keyboard.press("j")
    assert not _focus(page).startswith("row-")
    page.click("#menu > summary")
    page.click("#show-shortcuts")
    expect(page.locator("#use-shortcuts")).not_to_be_checked()


# -- idle, and without a script ----------------------------------------------------------------------------------------


def test_after_25_idle_minutes_the_page_says_that_the_session_ends(desk: Open, stage: Stage) -> None:
    """News that come by themselves do not count; one press starts the time anew."""
    page = desk("about:blank")
    page.clock.install()
    page.goto(f"{stage.url}/console/queue")
    page.clock.fast_forward(24 * 60_000)
    expect(page.locator("#idle")).to_be_hidden()
    page.clock.fast_forward(61_000)
    expect(page.locator("#idle")).to_be_visible()
    page.route("**/console/account", lambda route: route.fulfill(status=200, body="ok"))
    page.click("#stay")
    expect(page.locator("#idle")).to_be_hidden()


def test_without_a_script_cases_are_claimed_and_answered(desk: Open, stage: Stage) -> None:
    """Every step is a form: claim, look over, put in a prepared reply, send in spite of a warning."""
    page = desk("/console/queue", java_script_enabled=False)
    expect(page.locator("#queue")).to_be_visible()
    expect(page.locator("#live")).to_be_hidden()
    _posts(page, ".row form button >> nth=0")
    assert stage.posted[0][0] == "claim K7M2QX"
    page.click("#replies > summary")
    _posts(page, "#replies button >> nth=0")
    expect(page.locator("#text")).to_have_value(re.compile(r"^Mình đang đọc đây\."))
    page.fill("#text", "Mình sẽ cứu bạn")
    _posts(page, ".look")
    expect(page.locator("#composer")).to_contain_text(TOLD["warnings"]["promise"])
    _posts(page, "#send")
    _posts(page, "#send")
    expect(page.locator("#newest")).to_contain_text("Mình sẽ cứu bạn")
    assert stage.posted[-1][1]["confirm"] == "1"


# -- helpers -----------------------------------------------------------------------------------------------------------


def _focus(page: Page) -> str:
    return str(page.evaluate("document.activeElement.id"))


def _on_line(page: Page, stage: Stage) -> None:
    """Waits until the page listens."""
    until(page, lambda: stage.lines > 0)


def _posts(page: Page, button: str) -> None:
    """Where no script is at work: the form is answered by a whole page, and that has come."""
    with page.expect_navigation():
        page.click(button)


def _renewed(page: Page, stage: Stage, kind: str, data: str) -> None:
    """Tells an event and waits until the part was fetched again."""
    page.evaluate("document.getElementById('queue').dataset.old = ''")
    stage.tell(kind, data)
    expect(page.locator("#queue:not([data-old])")).to_be_attached()
