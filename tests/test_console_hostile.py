"""What is typed into the console to break it: fields that nobody asked for, too long, not text, markup, templates; and everything at random."""

import contextlib
import html
import itertools
import re
import warnings
from typing import Any

import httpx
import pytest
from fastapi.openapi.utils import get_openapi
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable

from bot import contacts
from bot.app import App
from bot.conversation.events import CaseExtended
from bot.hotline import cases
from bot.messages import Address
from bot.store import tables
from bot.testing import FakeClock
from bot.web.console.case import WORKS
from bot.web.pages import create_site
from tests.colleagues import join
from tests.console_site import LOCAL, MINUTE, NUMBER, Desk, Site, Town, console_routes, routes_of

with warnings.catch_warnings():  # of what it imports
    warnings.simplefilter("ignore")
    import schemathesis
    from schemathesis.generation import GenerationMode

MARKUP = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'><b>{{7*7}}${7*7}{%x%}"
ALERT_FIELDS = (
    "title text-vi sms-vi text-en choice-1 template source_name source_url source_date places province-N40 interest channel-sms "
    "language-vi joined_from joined_until when start_day start_hour until_day until_hour budget urgent sure digest alert of every "
    "weekday monthday hour hours last"
).split()
UNSEEN = "\u202eabc\u2066\u200b\x07\ufeff"
LONG = "dài quá " * 8000  # 64 KiB and more in a form
ENDLESS = {
    "/console/live",
    "/console/logout",
    "/console/login",
}  # it never ends; it ends all others; it is slow by design
RANDOMLY = settings(
    max_examples=3, deadline=None, derandomize=True, database=None, phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)  # fmt: skip


@pytest.fixture
def town(house: App) -> Town:
    return _town(house)


@pytest.fixture
def small_town(sqlite_house: App) -> Town:
    return _town(sqlite_house)


def _town(house: App) -> Town:
    house.clock = clock = FakeClock()
    return Town(Site(house, create_site(house), clock))


# -- fields ------------------------------------------------------------------------------------------------------------


def test_fields_that_no_form_has_change_nothing(small_town: Town) -> None:
    """Columns of the store, sent along with every work on a case and with one's own account, stay as they were."""
    town = small_town
    path, before = f"/console/cases/{town.held}", town.case(town.held)._asdict()
    extra = {
        "owner_id": town.minh.who.account.id, "status": "erased", "public_key": "x", "generation": "9", "minor": "1",
        "case_id": "x", "actor": "bot", "now": "2020-01-01", "operator": "x", "relay_since": "x", "supervisor": "1",
        "on_duty": "1", "most_cases": "50", "lacks_keys": "1", "reference": town.waiting, "basis": "consent",
    }  # fmt: skip
    for job in ("note", "summary", "clue", "knock"):
        town.lan.post(f"{path}/{job}", **extra, text="x")
    after = town.case(town.held)._asdict()
    assert {name for name, value in before.items() if after[name] != value} <= {"updated_at"}
    was = town.row(tables.staff, id=town.lan.who.account.id)
    for own in ("account/language", "account/pages", "account/sessions", "language"):
        town.lan.post(f"/console/{own}", **extra, roles="admin", staff_id="x", id="x", login="admin", language="vi")
    now = town.row(tables.staff, id=town.lan.who.account.id)
    columns = [name for name in was._fields if name != "sealed_profile"]
    assert [getattr(now, name) for name in columns] == [getattr(was, name) for name in columns]
    assert town.lan.get("/console/people").status_code == 403


def test_a_form_that_is_too_long_is_not_even_read(small_town: Town) -> None:
    """More than 64 KiB: 413, for every work, and nothing is written."""
    before = small_town.rows()
    for job in WORKS:
        fields = dict.fromkeys(WORKS[job].fields or ("text",), LONG)
        assert small_town.lan.post(f"/console/cases/{small_town.held}/{job}", **fields).status_code == 413
    assert small_town.rows() == before


def test_a_text_that_is_too_long_is_not_sent(small_town: Town) -> None:
    """Whatever the page's own limit says: no flood of SMS leaves by one press."""
    path = f"/console/cases/{small_town.held}/send"
    answer = small_town.lan.post(path, text="ban oi " * 300, id="1")
    assert answer.status_code == 409
    assert small_town.house.library.console("vi")["conflicts"]["too_long"] in answer.text
    assert _sent(small_town) == 0
    assert small_town.lan.post(path, text="ban oi " * 190, id="1").status_code == 303
    assert _sent(small_town) == 1


@pytest.mark.parametrize("typed", ["\0", "a\0b", "%ed%a0%80", "\ud83d"], ids=["nul", "within", "half", "lone"])
def test_what_is_not_text_is_answered(town: Town, typed: str) -> None:
    """NUL and halves of letters, in addresses and in every field: no answer says that the server is in trouble."""
    desk = town.desk(town.all)
    desk.post(f"/console/cases/{town.new}/claim")
    safe = typed.encode("utf-8", "surrogatepass").replace(b"%", b"%25").replace(b"\0", b"%00").decode("latin-1")
    raw = safe.encode("latin-1")
    fields = [
        "text",
        "to",
        "reason",
        "priority",
        "kind",
        "outcome",
        "note",
        "word",
        "purpose",
        "id",
        "reference",
        "login",
        "name",
    ]
    body = b"&".join([b"csrf=" + desk.token.encode(), *(name.encode() + b"=" + raw for name in fields)])
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    for route in console_routes(town.site.app):
        path = town.path_of(route, town.new)
        if "POST" in (route.methods or ()) and path != "/console/logout":
            assert desk.browser.post(path, content=body, headers=headers).status_code < 500, path
    quoted = raw.decode("latin-1") if typed.isascii() else "%ed%a0%bd"
    quoted = quoted.replace("\0", "%00")
    for path in (f"cases/{quoted}", f"queue?q={quoted}", f"audit?actor={quoted}", f"audit?reference={quoted}"):
        assert desk.get(f"/console/{path}").status_code < 500, path


def test_the_audit_is_asked_for_what_cannot_be(small_town: Town) -> None:
    """Days at the end of time, pages that are not there: the page, as if less had been asked for."""
    desk = small_town.desk(small_town.all)
    for query in (
        "since=0001-01-01",
        "until=9999-12-31",
        "since=x",
        "page=-5",
        f"page={'9' * 40}",
        "actor=a%26b%3Dc&page=2",
    ):
        assert desk.get(f"/console/audit?{query}").status_code == 200, query


def test_a_load_that_is_no_number_changes_nothing(small_town: Town) -> None:
    """Figures without end, negative, raised, broken, none, too many."""
    lan = small_town.lan.who.account.id
    for number in ("9" * 5000, "-1", "²", "1e3", "", "51"):
        answer = small_town.thu.post("/console/team/order", **{f"most-{lan}": number, f"order-{lan}": ""})
        assert answer.status_code == 303, number
        assert small_town.row(tables.staff, id=lan).most_cases == 8, number


def test_a_way_back_leads_nowhere_else(small_town: Town) -> None:
    """Whatever a form names as the page to return to, the browser stays in the console."""
    for back in (
        "https://evil.example",
        "//evil.example",
        "/console//evil.example",
        "/console/\\evil.example",
        "javascript:alert(1)",
    ):
        assert small_town.lan.post("/console/duty", on="1", back=back).headers["location"] == "/console"
    split = small_town.lan.post("/console/duty", on="1", back="/console/queue\r\nSet-Cookie: a=b")
    assert "set-cookie" not in split.headers


# -- what is shown back ------------------------------------------------------------------------------------------------


def test_markup_and_templates_are_shown_as_they_were_typed(small_town: Town) -> None:
    """In the person's words, notes, summaries, reasons, clues, names and searches: no tag, no attribute, no computation; and
    characters that cannot be seen stand there as their numbers."""
    town = small_town
    path = f"/console/cases/{town.held}"
    _person_says(town, MARKUP + UNSEEN)
    everywhere = MARKUP + UNSEEN
    forms: dict[str, dict[str, str]] = {
        "note": {"text": everywhere},
        "summary": dict.fromkeys(("reporter", "subject", "place", "plan"), everywhere),
        "priority": {"priority": "P1", "reason": everywhere},
        "second": {"kind": "share_111", "reason": everywhere},
        "send": {"text": everywhere, "id": "1"},
    }
    for job, form in forms.items():
        assert town.lan.post(f"{path}/{job}", **form).status_code in (200, 303), job
    pages = [town.lan.get(path), town.lan.post(f"{path}/preview", text=everywhere), town.thu.get("/console/second")]
    pages += [town.thu.get(f"/console/queue?q={MARKUP}"), town.thu.get("/console/audit")]
    pages.append(town.thu.browser.get("/console/audit", params={"actor": MARKUP, "reference": MARKUP, "since": MARKUP}))
    pages.append(_invited(town))
    assert sum("alert(1)" in page.text for page in pages) > 4
    for page in pages:
        assert page.status_code in (200, 400), page.request.url
        assert _acts(page) == [], page.request.url
    assert "[U+202E]" in pages[0].text


def _person_says(town: Town, text: str) -> None:
    database, now = town.house.database, town.clock.now
    with database.begin() as connection:
        contact = contacts.find_or_create(connection, database.keyring, Address("sms", NUMBER), now)
        case = cases.open_case_of(connection, database.keyring, contact)
        assert case
        cases.extend_case(connection, database.keyring, case, contact, CaseExtended((text,), {"asked": text}), now)


def _sent(town: Town) -> int:
    """How many messages of operators are on their way."""
    return sum("'operator'" in row for row in town.rows()["outbox"])


def _invited(town: Town) -> httpx.Response:
    """A colleague with such a name, as the administrator sees them."""
    boss = town.desk(town.all)
    for name in (MARKUP[:80], "An\u202e"):
        boss.post("/console/people", login=f"x{len(name)}", name=name, roles="analyst")
    page = boss.get("/console/people")
    assert html.escape(MARKUP[:25], quote=False) in page.text
    assert "\u202e" not in page.text
    return page


def _acts(page: httpx.Response) -> list[str]:
    """Whatever in it came alive. In a text box stands what was typed, or it could not be mended."""
    seen = re.sub(r"<textarea[^<]*</textarea>", "", page.text)
    return re.findall(r"<script>|<img|<b>\{\{|49\$|[\u202e\u2066\u200b\x07\ufeff]", seen)


# -- everything at random ----------------------------------------------------------------------------------------------


def test_no_request_brings_the_server_into_trouble(small_town: Town) -> None:
    """Good and bad requests without number to every route of the site, the same ones every time, by a supervisor who has a case in hand."""
    desk = small_town.desk(
        join(small_town.house, "lam.le", "supervisor", name="Lâm", now=small_town.clock.now + MINUTE)
    )
    desk.post(f"/console/cases/{small_town.new}/claim")
    app, document = small_town.site.app, _document(small_town, desk)
    app.openapi = lambda: document  # type: ignore[method-assign]
    schema = schemathesis.openapi.from_asgi("/api/openapi.json", app)
    cookies = {**desk.live_cookie()}
    answers: list[tuple[str, int]] = []
    for mode, found in itertools.product(GenerationMode, schema.get_all_operations()):
        operation = found.ok()

        @RANDOMLY
        @given(operation.as_strategy(generation_mode=mode))
        def run(case: Any) -> None:
            answer = case.call(base_url=LOCAL, cookies=cookies, allow_redirects=False)
            answers.append((case.operation.label, answer.status_code))
            assert answer.status_code < 500, case.operation.label

        with contextlib.suppress(Unsatisfiable):  # an operation that nothing bad can be sent to
            run()
    assert {status for _, status in answers} >= {200, 303, 403, 404, 409}
    assert len({label for label, _ in answers}) == len(list(schema.get_all_operations()))


def _document(town: Town, desk: Desk) -> dict[str, Any]:
    """The site's interface with the console in it: addresses with ids that are there, and forms with this session's token."""
    routes = [route for route in routes_of(town.site.app.router) if route.path not in ENDLESS]
    for route in routes:
        route.include_in_schema = True
    document = get_openapi(title="console", version="1", routes=routes)
    ids = {
        "reference": town.new, "staff_id": town.minh.who.account.id, "request_id": "1", "alert": town.alert,
        "schedule_id": town.schedule,
    }  # fmt: skip
    for path, methods in document["paths"].items():
        for about in methods.values():
            for one in about.get("parameters", ()):
                if one["name"] in ids:
                    one["schema"] = {"type": "string", "enum": [ids[one["name"]], "22222222"]}
        if "post" in methods and path.startswith("/console"):
            form = {"type": "object", "properties": _fields(desk), "required": ["csrf"]}
            methods["post"]["requestBody"] = {"content": {"application/x-www-form-urlencoded": {"schema": form}}}
    return document


def _fields(desk: Desk) -> dict[str, Any]:
    """Any text in any field, and now and then one that counts."""
    names = {name for job in WORKS.values() for name in job.fields} | {
        "id",
        "confirm",
        "reply",
        "back",
        "answer",
        "on",
        "reference",
        *ALERT_FIELDS,
    }
    counts = [
        "P0",
        "P2",
        "reveal",
        "share_111",
        "advised",
        "grant",
        "refuse",
        "20:00",
        "1",
        desk.who.account.id,
        "2026-11-25",
        "yes",
    ]
    text = {"anyOf": [{"type": "string", "maxLength": 60}, {"type": "string", "enum": counts}]}
    return {**dict.fromkeys(sorted(names), text), "csrf": {"type": "string", "enum": [desk.token]}}
