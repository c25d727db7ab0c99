"""People who walk through the pages in real browsers: a villager on the chat page, colleagues at their consoles."""

import datetime as dt
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, expect, sync_playwright

from tests.colleagues import PASSWORD, Colleague
from tests.console_pages import words
from tests.test_browser import ARGUMENTS, CHROMIUM, NOWHERE, PATIENCE, need_chromium

TOLD = words("vi")
PHONE, DESK = 390, 1280  # px
Now = Callable[[], dt.datetime]
# What a page that renews itself may be told by the server and by htmx: the case is erased, or somebody else's by now.
_REFUSED = re.compile(r"(status of|Error Code) 40[39]")


@dataclass
class Street:
    """Browsers of their own for everybody, in front of one site. What any page complains of is kept."""

    browser: Browser
    site: str
    complaints: list[str] = field(default_factory=list)
    _open: list[BrowserContext] = field(default_factory=list)

    def page(self, path: str, width: int = DESK, **options: Any) -> Page:
        context = self.browser.new_context(
            base_url=self.site, viewport={"width": width, "height": 800}, locale="vi-VN", **options
        )
        context.set_default_timeout(PATIENCE)
        self._open.append(context)
        page = context.new_page()
        page.on("console", self._listen)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.goto(path)
        return page

    def close(self) -> None:
        for context in self._open:
            context.close()

    def _listen(self, said: ConsoleMessage) -> None:
        if said.type in ("error", "warning") and not _REFUSED.search(said.text):
            self.complaints.append(said.text)


@contextmanager
def street(site: str) -> Iterator[Street]:
    """Nobody's page may have complained at the end: no refused script or style, no error."""
    need_chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*ARGUMENTS, NOWHERE])
        built = Street(browser, site)
        yield built
        built.close()
        browser.close()
    assert not built.complaints, built.complaints


class Villager:
    """Somebody with the chat page open."""

    def __init__(self, street: Street, width: int = PHONE) -> None:
        self.page = street.page("/", width)

    def says(self, text: str) -> None:
        self.page.fill("#text", text)
        self.page.press("#text", "Enter")
        self.page.locator("main:not([aria-busy])").wait_for()

    def hears(self, text: str, by: str = "person") -> None:
        """Without a reload, above the text box; marked as a person's words or as the machine's."""
        bubble = self.page.locator(f".bubble.{by}").filter(has_text=text).last
        expect(bubble).to_be_visible()
        said, box = bubble.bounding_box(), self.page.locator(".write").bounding_box()
        assert said
        assert box
        assert said["y"] + said["height"] <= box["y"] + 1


class Console:
    """A colleague at work."""

    def __init__(self, street: Street, colleague: Colleague, now: Now, width: int = DESK, **options: Any) -> None:
        self.colleague, self._now = colleague, now
        self.page = street.page("/console/login", width, **options)

    def logs_in(self, first: str = "queue") -> None:
        """`first`: the page that comes first for somebody with these roles."""
        self.page.fill("#login", self.colleague.login)
        self.page.fill("#password", PASSWORD)
        self.page.fill("#code", self.colleague.code(self._now()))
        self.page.click("form.card button")
        self.page.wait_for_url(f"**/console/{first}")

    def goes(self, path: str) -> Page:
        self.page.goto(f"/console/{path}")
        return self.page

    def row(self, reference: str) -> Locator:
        return self.page.locator(".row").filter(has_text=reference)

    def claims(self, reference: str) -> None:
        self.page.click(f"#claim-{reference}")
        self.page.wait_for_url(f"**/console/cases/{reference}")

    def sees(self, place: str, text: str) -> None:
        """Without a reload."""
        expect(self.page.locator(place).filter(has_text=text).first).to_be_visible()

    def writes(self, text: str) -> None:
        """Sends what needs no second press."""
        self.page.fill("#text", text)
        self.page.click("#send")
        self.sees(".said.operator", text)

    def does(self, part: str, button: str, fields: dict[str, str] | None = None) -> None:
        """Opens a part of the case, fills in what it asks for and presses the button."""
        place = self.page.locator(f"#{part}")
        if place.get_attribute("open") is None:
            place.locator("summary").click()
        for selector, value in (fields or {}).items():
            one = place.locator(selector)
            if one.evaluate("one => one.tagName") == "SELECT":
                one.select_option(value)
            else:
                one.fill(value)
        self.presses(place.get_by_role("button", name=button))

    def presses(self, button: Locator) -> None:
        """A button whose form is answered by a whole page."""
        with self.page.expect_navigation():
            button.first.click()
