"""The pages in a real browser, on a phone's small screen: with the script, without it, and without a network."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, Route, expect, sync_playwright

from bot.understanding.classifier import EmbeddedClassifier
from tests.conftest import ROOT, on_ci

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()
NOWHERE = "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"  # whatever is asked for outside is not found
OFFER = "di thai ban ve so luong 20tr/thang ho bao ve may bay co nen di k"
CRY = "cuu voi toi bi nhot o myanmar"
OUTSIDE = "https://www.google.com/**"
START_WITHIN = 120.0  # seconds, on a busy machine
PATIENCE = 15_000  # ms that anything on a page may take, on a busy machine
expect.set_options(timeout=PATIENCE)

Open = Callable[..., Page]


# -- the talk ----------------------------------------------------------------------------------------------------------


@pytest.mark.browser
def test_a_message_is_answered_and_a_choice_pressed(phone: Open) -> None:
    """Write, read the answer, press a numbered button, read the next question, all on one page."""
    page = phone("/")
    _say(page, OFFER)
    expect(page.locator(".you .words")).to_have_text([OFFER])
    heard = page.locator(".bubble.bot").count()
    label = page.locator("#choices button").first.inner_text()
    _press(page, 1)
    expect(page.locator(".you .words").last).to_have_text(" ".join(["1.", *label.split()[1:]]))
    expect(page.locator(".bubble.bot").nth(heard)).to_be_visible()
    expect(page.locator("#choices button").nth(1)).to_be_visible()


@pytest.mark.browser
def test_enter_sends_and_shift_enter_begins_a_line(phone: Open) -> None:
    """Enter is the button; with Shift it is a new line of the same message."""
    page = phone("/")
    page.fill("#text", "di thai lan")
    page.press("#text", "Shift+Enter")
    page.type("#text", "luong 20tr")
    assert page.locator(".bubble.you").count() == 0
    page.press("#text", "Enter")
    _answered(page)
    assert page.locator(".you .words").inner_text().splitlines() == ["di thai lan", "luong 20tr"]
    expect(page.locator("#text")).to_have_value("")


@pytest.mark.browser
def test_two_quick_taps_send_once(phone: Open) -> None:
    """A trembling finger does not say it twice."""
    page = phone("/")
    page.fill("#text", OFFER)
    page.dblclick(".send")
    _answered(page)
    expect(page.locator("#newest")).to_be_visible()
    expect(page.locator(".bubble.you")).to_have_count(1)


@pytest.mark.browser
def test_after_an_answer_the_next_words_can_be_typed_at_once(phone: Open) -> None:
    """The focus is in the text box after a written message."""
    page = phone("/")
    _say(page, OFFER)
    expect(page.locator("#text")).to_be_focused()


@pytest.mark.browser
def test_after_a_choice_the_focus_is_on_the_answer(phone: Open) -> None:
    """Tapping a choice opens no keyboard, and a screen reader goes on reading at the new answer."""
    page = phone("/")
    _say(page, OFFER)
    _press(page, 1)
    expect(page.locator("#newest")).to_be_focused()


@pytest.mark.browser
def test_a_draft_in_the_box_outlives_a_pressed_choice(phone: Open) -> None:
    """Somebody who began to write and then taps a choice keeps what was begun."""
    page = phone("/")
    _say(page, OFFER)
    page.fill("#text", "con nua")
    _press(page, 2)
    expect(page.locator("#text")).to_have_value("con nua")


@pytest.mark.browser
@pytest.mark.parametrize("height", [740, 400])
def test_the_first_line_of_the_newest_reply_is_in_sight(phone: Open, height: int) -> None:
    """Between the top bar and the text box stands the beginning of the answer, not its end; with the keyboard up as well."""
    page = phone("/", height=height)
    for text in (OFFER, "muon hoi tien coc", "hop dong can co gi"):
        _say(page, text)
        top = _box(page, "#newest")[0]
        assert _box(page, "header")[1] <= top + 1
        assert top + 30 <= _box(page, ".write")[0]


@pytest.mark.browser
def test_old_bubbles_stay_where_they_are(phone: Open) -> None:
    """An answer is added below; what was on the page is not drawn anew, so a screen reader reads the new words only."""
    page = phone("/")
    _say(page, OFFER)
    page.evaluate("document.querySelector('.bubble').dataset.mark = 'kept'")
    _press(page, 1)
    expect(page.locator(".bubble.you")).to_have_count(2)
    expect(page.locator("[data-mark=kept]")).to_have_count(1)
    expect(page.locator("#newest")).to_have_count(1)


@pytest.mark.browser
def test_the_text_box_and_the_way_out_are_always_on_the_screen(phone: Open) -> None:
    """However far somebody scrolls, the next message and the exit are one tap away."""
    page = phone("/")
    for text in (OFFER, "hop dong can co gi", "muon hoi tien coc"):
        _say(page, text)
    for place in (0, 10_000):
        page.evaluate(f"window.scrollTo(0, {place})")
        for control in ("#leave", "#text"):
            top, bottom = _box(page, control)
            assert 0 <= top < bottom <= 740


@pytest.mark.browser
def test_numbers_to_call_can_be_tapped(phone: Open) -> None:
    """In danger nobody copies a number by hand; numbers that the sender wrote are never made into links."""
    page = phone("/")
    _say(page, CRY)
    page.locator(".bubble.bot a").first.wait_for()
    links = page.eval_on_selector_all(".bubble.bot a", "all => all.map(a => a.getAttribute('href'))")
    assert links
    assert all(re.fullmatch(r"tel:\+?\d+", link) for link in links)
    assert page.locator(".bubble.you a").count() == 0


# -- without a script --------------------------------------------------------------------------------------------------


@pytest.mark.browser
def test_without_a_script_the_same_talk_works(phone: Open) -> None:
    """Old phones and careful people: the form alone carries the talk, the choices and the language."""
    page = phone("/?lang=en", java_script_enabled=False)
    _posts(page, OFFER)
    expect(page.locator(".you .words")).to_have_text([OFFER])
    with page.expect_navigation():
        page.click("#choices button >> nth=0")
    expect(page.locator(".bubble.you")).to_have_count(2)
    expect(page.locator("#choices button").nth(1)).to_be_visible()
    expect(page.locator("html")).to_have_attribute("lang", "en")


@pytest.mark.browser
def test_without_a_script_the_newest_reply_is_in_sight(phone: Open) -> None:
    """The page opens at the beginning of the answer."""
    page = phone("/", java_script_enabled=False)
    for text in (OFFER, "hop dong can co gi"):
        _posts(page, text)
    expect(page.locator(".bubble.you")).to_have_count(2)
    until(page, lambda: 60 <= _box(page, "#newest")[0] <= 600)


@pytest.mark.browser
def test_without_a_script_the_way_out_works(phone: Open) -> None:
    """The button is a form of its own: the browser is sent outside and forgets the cookie."""
    page = phone("/", java_script_enabled=False)
    _posts(page, OFFER)
    with page.expect_request(OUTSIDE):
        page.click("#leave", no_wait_after=True)
    _wait_until_forgotten(page)


# -- leaving -----------------------------------------------------------------------------------------------------------


@pytest.mark.browser
def test_s_05_the_way_out_empties_the_page_and_goes(phone: Open) -> None:
    """One tap: the weather is on the screen, the talk is not in the history, and the cookie is gone."""
    page = phone("/")
    page.route(OUTSIDE, _weather)
    _say(page, OFFER)
    page.click("#leave")
    page.wait_for_url(OUTSIDE)
    expect(page.locator("body")).to_have_text("thoi tiet")
    _wait_until_forgotten(page)
    page.go_back()
    assert "20tr" not in page.content()


@pytest.mark.browser
def test_s_05_the_way_out_waits_for_nothing(phone: Open) -> None:
    """With a network that answers nothing the talk is off the screen all the same."""
    page = phone("/")
    page.route(OUTSIDE, _weather)
    _say(page, OFFER)
    page.route("**/leave", lambda route: None)
    page.click("#leave")
    page.wait_for_url(OUTSIDE)
    expect(page.locator("body")).to_have_text("thoi tiet")


# -- without a network -------------------------------------------------------------------------------------------------


@pytest.mark.browser
def test_without_a_network_no_word_is_lost(phone: Open) -> None:
    """The page says that nothing was sent, keeps the words in the box, and sends them once when the network is back."""
    page = phone("/")
    _say(page, "xin chao")
    page.context.set_offline(True)
    _say(page, OFFER)
    expect(page.locator(".note")).to_have_count(1)
    expect(page.locator("#text")).to_have_value(OFFER)
    page.context.set_offline(False)
    page.click(".send")
    _answered(page)
    expect(page.locator(".you .words")).to_have_text(["xin chao", OFFER])
    expect(page.locator(".note")).to_have_count(0)


@pytest.mark.browser
def test_a_lost_answer_is_fetched_again_and_counts_once(phone: Open) -> None:
    """Where the message arrived and the answer did not, sending again shows the same answer to the same message."""
    page = phone("/")

    def lose(route: Route) -> None:
        route.fetch()
        route.abort()

    page.route("**/?lang=vi", lose, times=1)
    _say(page, OFFER)
    expect(page.locator(".note")).to_have_count(1)
    page.click(".send")
    _answered(page)
    expect(page.locator("#choices button")).to_have_count(3)
    expect(page.locator(".you .words")).to_have_text([OFFER])


# -- for everybody's eyes and hands ------------------------------------------------------------------------------------


@pytest.mark.browser
@pytest.mark.parametrize("path", ["/", "/?lang=en", "/simulator", "/simulator?lang=en"])
def test_every_control_has_a_name(phone: Open, path: str) -> None:
    """A screen reader finds no button, link or box without a name."""
    page = phone(path)
    _sends(page, OFFER)
    page.locator("#choices button, .choices button").first.wait_for()
    tree = page.locator("body").aria_snapshot()
    controls = re.findall(r"- (button|link|textbox)\b(.*)", tree)
    assert len(controls) >= 5
    assert all(re.match(r' "[^"]+"', rest) for _, rest in controls), tree


@pytest.mark.browser
def test_every_button_is_large_enough_for_a_thumb(phone: Open) -> None:
    """At least 44 pixels high and wide."""
    page = phone("/")
    _say(page, CRY)
    for button in page.locator("button").all():
        box = button.bounding_box()
        assert box
        assert min(box["width"], box["height"]) >= 44


@pytest.mark.browser
@pytest.mark.parametrize("path", ["/", "/?lang=en", "/simulator", "/simulator?lang=en"])
def test_nothing_is_wider_than_a_320_pixel_screen(phone: Open, path: str) -> None:
    """Nobody scrolls sideways, not even after a word without end."""
    page = phone(path, width=320, height=568)
    assert _sideways(page) <= 0
    for text in (OFFER, "https://example.com/" + "a" * 300, "hoi thu tuc"):
        _sends(page, text)
        assert _sideways(page) <= 0


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/", "/simulator"])
def test_the_console_stays_empty_and_no_other_host_is_asked(phone: Open, path: str, scheme: str) -> None:
    """No error, no refused file, no request to anybody but our own server."""
    page = phone("about:blank", color_scheme=scheme)
    errors: list[str] = []
    hosts: set[str] = set()

    def noted(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            errors.append(message.text)

    def asked(request: Request) -> None:
        if not request.url.startswith("data:"):
            hosts.add(request.url.split("/")[2])

    page.on("console", noted)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", asked)
    page.goto(_base(page) + path)
    _sends(page, OFFER)
    choice = page.locator(".choices button").first
    _carried(page, choice.click)
    page.wait_for_load_state("networkidle")
    assert hosts == {_base(page).split("/")[2]}
    assert errors == []


TEXT_ON = [
    *[("ink", ground) for ground in ("paper", "card", "mine", "box", "note", "phone", "key")],
    *[("soft", ground) for ground in ("paper", "card", "box", "phone")],
    *[("link", ground) for ground in ("paper", "card", "badge", "note")],
    *[("on-road", ground) for ground in ("road", "road-dark")],
    ("stop", "leave"),
]
MARK_ON = [("edge", "box"), ("edge", "paper"), ("focus", "paper"), ("focus-bar", "road-dark"), ("road-dark", "leave")]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_its_ground(scheme: str) -> None:
    """Contrast of at least 4.5 for words and 3 for the edges of boxes and the mark of the focus, by day and by night."""
    colours = _colours()[scheme]
    weak = [
        f"{text} on {ground}: {ratio:.2f}"
        for pairs, least in ((TEXT_ON, 4.5), (MARK_ON, 3.0))
        for text, ground in pairs
        if (ratio := _contrast(colours[text], colours[ground])) < least
    ]
    assert weak == []


def test_the_style_sheet_takes_every_colour_from_its_list() -> None:
    """A colour written anywhere but among the variables would escape the check of contrasts."""
    rules = re.sub(r":root \{.*?\}", "", _style(), flags=re.DOTALL)
    assert not re.findall(r"#[0-9a-fA-F]{3,8}\b|rgba?\(|hsl", rules)
    used = set(re.findall(r"(?<![-\w])(?:color|background): var\(--([\w-]+)\)", rules))
    assert used <= {name for pair in TEXT_ON for name in pair}


# -- the phone ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(classifier: EmbeddedClassifier, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The real server in a process of its own, on a free port, with an empty store; its address."""
    need_chromium()
    home = tmp_path_factory.mktemp("server")
    shutil.copytree(ROOT / "var" / "model", home / "model")
    port = _free_port()
    command = [sys.executable, "-m", "bot.cli", "serve", "--port", str(port)]
    with (home / "said.txt").open("w") as said:
        environment = {**os.environ, "BANDUONG_HOME": str(home)}
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=said, stderr=said)
        try:
            _wait_until_ready(f"http://127.0.0.1:{port}", process)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(timeout=20)


@pytest.fixture(scope="module")
def browser(server: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=[*ARGUMENTS, NOWHERE])
        yield launched
        launched.close()


@pytest.fixture
def phone(browser: Browser, server: str) -> Iterator[Open]:
    """Opens a page on a small phone of its own, with no cookie from before."""
    opened: list[BrowserContext] = []

    def open_page(path: str, width: int = 360, height: int = 740, **options: object) -> Page:
        context = browser.new_context(
            base_url=server,
            viewport={"width": width, "height": height},
            **options,  # type: ignore[arg-type]
        )
        context.set_default_timeout(PATIENCE)
        opened.append(context)
        page = context.new_page()
        if path != "about:blank":
            page.goto(path)
        _BASES[page] = server
        return page

    yield open_page
    for context in opened:
        context.close()


_BASES: dict[Page, str] = {}


def _base(page: Page) -> str:
    return _BASES[page]


def need_chromium() -> None:
    if not CHROMIUM.exists():
        reason = f"{CHROMIUM} is missing: apt-get install chromium"
        if on_ci():
            pytest.fail(reason)
        pytest.skip(reason)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_ready(address: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + START_WITHIN
    while True:
        try:
            with urllib.request.urlopen(f"{address}/readyz", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            assert process.poll() is None, "the server ended before it was ready"
            assert time.monotonic() < until, "the server is not ready"
            time.sleep(0.1)


def _say(page: Page, text: str) -> None:
    page.fill("#text", text)
    page.press("#text", "Enter")
    _answered(page)


def _press(page: Page, number: int) -> None:
    page.click(f"#choices button >> nth={number - 1}")
    _answered(page)


def _answered(page: Page) -> None:
    page.locator("main:not([aria-busy])").wait_for()


def _posts(page: Page, text: str) -> None:
    """Where no script is at work: the form is answered by a whole page, and that has come."""
    page.fill("#text", text)
    with page.expect_navigation():
        page.click(".send")


def _sends(page: Page, text: str) -> None:
    """On the chat page or on the training phone."""
    page.fill("#text", text)
    _carried(page, lambda: page.click(".send"))


def _carried(page: Page, press: Callable[[], None]) -> None:
    """The chat page stays and is answered by its script; the training phone is a new page each time."""
    if "/simulator" in page.url:
        with page.expect_navigation():
            press()
    else:
        press()
        _answered(page)


def until(page: Page, is_so: Callable[[], bool]) -> None:
    """For what no locator can be asked."""
    end = time.monotonic() + PATIENCE / 1000
    while not is_so():
        assert time.monotonic() < end, "it does not come true"
        page.wait_for_timeout(20)


def _box(page: Page, selector: str) -> tuple[float, float]:
    """Top and bottom on the screen."""
    box = page.locator(selector).bounding_box()
    assert box
    return box["y"], box["y"] + box["height"]


def _sideways(page: Page) -> int:
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


def _wait_until_forgotten(page: Page) -> None:
    """The cookie goes with the answer of the server, which may come a moment after the page has left."""
    until(page, lambda: "banduong" not in {cookie["name"] for cookie in page.context.cookies()})


def _weather(route: Route) -> None:
    route.fulfill(content_type="text/html", body="<body>thoi tiet</body>")


def _style() -> str:
    return (ROOT / "bot" / "web" / "static" / "site.css").read_text(encoding="utf-8")


def _colours() -> dict[str, dict[str, str]]:
    """The colour variables by day, and by night on top of those."""
    day, night = (
        dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block))
        for block in re.findall(r":root \{(.*?)\}", _style(), flags=re.DOTALL)
    )
    return {"light": day, "dark": {**day, **night}}


def _contrast(one: str, other: str) -> float:
    """As WCAG 2 counts it."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
