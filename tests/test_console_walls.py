"""What keeps people out: roles at every route, other people's cases, forms of other sites, headers, and what addresses hold."""

import html
import logging
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute

from bot.app import App
from bot.content import ROLES
from bot.store import tables
from bot.testing import FakeClock
from bot.web.pages import create_site
from tests.colleagues import join
from tests.console_site import MINUTE, NUMBER, SAFE, SECRETS, Desk, Site, Town, console_routes, guards, served

OPEN = {"/console/login", "/console/welcome"}  # the only pages that ask for nobody
LIVE = "/console/live"
CONSOLE = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
        "frame-ancestors 'none'; form-action 'self' https://www.google.com"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    "cache-control": "no-store",
    "strict-transport-security": "max-age=31536000",
}


@pytest.fixture
def town(sqlite_house: App) -> Town:
    clock = FakeClock()
    sqlite_house.clock = clock
    return Town(Site(sqlite_house, create_site(sqlite_house), clock))


# -- roles -------------------------------------------------------------------------------------------------------------


def test_every_route_of_the_console_asks_who_is_there(town: Town) -> None:
    """All but the log-in and the welcome carry one permission that content/policy/permissions.yml knows; what changes is a POST."""
    routes = console_routes(town.site.app)
    assert {route.path for route in routes if not guards(route)} == OPEN
    assert {len(guards(route)) for route in routes} == {0, 1}
    known = set(town.house.library.permissions.permissions)
    assert {one.permission for route in routes for one in guards(route)} <= known
    assert {method for route in routes for method in route.methods or ()} == {"GET", "POST"}


@pytest.mark.parametrize("role", ROLES)
def test_every_route_is_open_to_exactly_the_roles_of_its_permission(town: Town, role: str) -> None:
    """With the right form in hand, each role at each door: inside, or the page that says no, and then nothing has changed."""
    allows = town.house.library.permissions.allows
    desk = town.desk(join(town.house, f"one-{role}", role, name=role, now=town.clock.now + MINUTE))
    turned = 0
    for route, method, path in _doors(town, town.waiting):
        permission = guards(route)[0].permission
        if allows([role], permission):
            if path not in (LIVE, "/console/logout"):
                answer = _ask(desk, method, path)
                assert not _is_turned_away(town, answer), (role, path)
                assert answer.headers.get("location") != "/console/login", (role, path)
            continue
        before = town.rows()
        assert _is_turned_away(town, _ask(desk, method, path)), (role, path)
        assert town.rows() == before
        turned += 1
    assert turned or role == "supervisor"


def test_nobody_comes_in_without_a_session(town: Town) -> None:
    """Every route leads to the log-in, with no cookie, a wrong one, and one that has ended."""
    ended = town.lan.browser.cookies[SAFE]
    town.lan.post("/console/logout")
    before = town.rows()
    for cookie in ("", "A" * 43, ended):
        stranger = town.site.browser()
        stranger.cookies.set(SAFE, cookie)
        for _, method, path in _doors(town, town.held):
            answer = stranger.request(method, path, data={"csrf": town.lan.token} if method == "POST" else None)
            assert (answer.status_code, answer.headers["location"]) == (303, "/console/login"), path
    assert town.rows() == before


def test_no_other_method_is_taken(town: Town) -> None:
    """HEAD, PUT, PATCH, DELETE, OPTIONS and TRACE find nothing, and change nothing."""
    desk = town.desk(town.all)
    before = town.rows()
    for method in ("HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"):
        for _, _, path in _doors(town, town.held):
            assert desk.browser.request(method, path).status_code == 405, (method, path)
    assert town.rows() == before


# -- other people's cases ----------------------------------------------------------------------------------------------


def test_a_colleagues_case_opens_by_no_route(town: Town) -> None:
    """Every address of the case, by every method, says no, shows nothing of it, and changes nothing, not even the audit."""
    before = town.rows()
    doors = [(method, path) for route, method, path in _doors(town, town.held) if "{reference}" in route.path]
    assert len(doors) > 15
    for method, path in doors:
        answer = _ask(town.minh, method, path, **_form(town))
        assert answer.status_code in (403, 409), path
        assert _shown(answer) == [], path
        assert "location" not in answer.headers
    assert town.rows() == before


def test_a_case_that_waits_shows_what_the_queue_shows(town: Town) -> None:
    """Not its words, notes, summary, number, clues or reasons, though it was in somebody's hands before; and no work is done on it."""
    page = town.minh.get(f"/console/cases/{town.waiting}")
    assert page.status_code == 200
    assert _shown(page) == []
    assert "20:00" not in page.text
    assert f"{town.waiting}/claim" in page.text
    before = town.rows()
    for route, method, path in _doors(town, town.waiting):
        taking = route.path.endswith(("/claim", "/skip"))
        if "{reference}" in route.path and method == "POST" and not taking:
            answer = _ask(town.minh, method, path, **_form(town))
            assert answer.status_code in (403, 409), path
            assert _shown(answer) == [], path
    assert town.rows() == before


def test_a_guessed_reference_is_like_any_other(town: Town) -> None:
    """404, and the same page for all of them but for what was asked."""
    pages = set()
    for guess in ("22222222", "ZZZZZZZZ", "%27%20OR%201=1--", town.case(town.held).id, "1", "<b>"):
        answer = town.minh.get(f"/console/cases/{guess}")
        assert answer.status_code == 404
        path = html.escape(answer.request.url.path)
        pages.add(answer.text.replace(path, "").replace(path.replace("&#x27;", "&#39;"), ""))
    assert len(pages) == 1


def test_who_handed_a_case_over_is_out(town: Town) -> None:
    """From that moment on; and the one who has it now reads all of it."""
    path = f"/console/cases/{town.held}"
    assert _shown(town.lan.get(path))
    town.lan.post(f"{path}/hand-over", to=town.minh.who.account.id)
    for answer in (town.lan.get(path), town.lan.post(f"{path}/note", text="x"), town.lan.post(f"{path}/reveal")):
        assert answer.status_code == 403
        assert _shown(answer) == []
    assert _shown(town.minh.get(path))


def test_who_is_removed_is_out_in_the_middle_of_the_work(town: Town) -> None:
    """An open session of somebody who has just been removed opens and changes nothing."""
    boss = town.desk(town.all)
    boss.post(f"/console/people/{town.lan.who.account.id}/remove", sure="yes")
    before = town.rows()
    for method, path in (("GET", ""), ("POST", "/note"), ("POST", "/reveal"), ("POST", "/send")):
        answer = _ask(town.lan, method, f"/console/cases/{town.held}{path}", text="x")
        assert answer.headers["location"] == "/console/login"
    assert town.rows() == before


def test_a_second_persons_request_is_decided_by_supervisors_alone(town: Town) -> None:
    """An operator who knows its id neither reads nor grants it."""
    request = town.row(tables.requests, case_id=town.case(town.held).id)
    for desk in (town.lan, town.minh):
        assert desk.post(f"/console/second/{request.id}", answer="grant").status_code == 403
    assert town.row(tables.requests, id=request.id).decided_by is None
    assert _shown(town.minh.get("/console/second")) == []


def test_a_case_that_the_person_took_back_takes_nothing_more(town: Town) -> None:
    """Neither its last owner nor a supervisor writes into it again, or learns anything."""
    town.lan.post(f"/console/cases/{town.held}/close", outcome="withdrawn", note="")
    before = town.rows()
    for desk in (town.lan, town.thu):
        for job, form in (
            ("note", {"text": "x"}),
            ("clue", {"text": "0938887766"}),
            ("summary", {"plan": "x"}),
            ("reopen", {}),
        ):
            assert desk.post(f"/console/cases/{town.held}/{job}", **form).status_code == 409, job
    assert town.rows() == before


def test_who_reopens_a_case_holds_it_alone(town: Town) -> None:
    """The keys of its former owner open nothing new; and nobody has two open cases."""
    path = f"/console/cases/{town.held}"
    town.lan.post(f"{path}/close", outcome="advised", note="x")
    again = town.opened(NUMBER)
    assert town.thu.post(f"{path}/reopen", reason="x").status_code == 409
    town.thu.post(f"/console/cases/{again}/claim")
    town.thu.post(f"/console/cases/{again}/close", outcome="advised", note="x")
    assert town.thu.post(f"{path}/reopen", reason="x").status_code == 303
    held = town.rows()["case_keys"]
    ours = [row for row in held if town.case(town.held).id in row]
    assert any(town.thu.who.account.id in row for row in ours)
    assert not any(town.lan.who.account.id in row for row in ours)


# -- forms of other sites ----------------------------------------------------------------------------------------------


def test_no_form_of_another_site_changes_anything(town: Town) -> None:
    """At every POST: without the token, with a wrong one or another session's, from another origin, or across sites."""
    desk = town.desk(town.all)
    right, other = {"csrf": desk.token}, {"csrf": town.lan.token}
    before = town.rows()
    for route, method, path in _doors(town, town.held, every=True):
        if method != "POST":
            continue
        foreign: list[tuple[dict[str, str], dict[str, str]]] = [
            (right, {"Origin": "https://evil.example"}),
            (right, {"Origin": "http://console.example.evil.example"}),
            (right, {"Sec-Fetch-Site": "cross-site"}),
            (right, {"Sec-Fetch-Site": "same-site"}),
        ]
        tokens = [{}, {"csrf": ""}, {"csrf": "0" * 64}, other] if guards(route) else []
        for form, headers in [*foreign, *((token, {}) for token in tokens)]:
            answer = desk.browser.post(path, data={**_form(town), **form}, headers=headers)
            assert answer.status_code == 403, (path, form, headers)
    assert town.rows() == before


@pytest.mark.parametrize("kind", ["text/plain", "application/json", "application/xml"])
def test_only_forms_are_taken(town: Town, kind: str) -> None:
    """A body that a page elsewhere could send without asking is no form, even with the right token in it."""
    desk = town.desk(town.all)
    before = town.rows()
    body = f'{{"csrf": "{desk.token}", "text": "x"}}' if "json" in kind else f"csrf={desk.token}&text=x"
    for _, method, path in _doors(town, town.held):
        if method == "POST":
            answer = desk.browser.post(path, content=body.encode(), headers={"Content-Type": kind})
            assert answer.status_code in (403, 422), path
    assert town.rows() == before


def test_looking_changes_nothing(town: Town) -> None:
    """Every GET of the console leaves every row as it was: but for the audit of who read what, and who was seen when."""
    desk = town.desk(town.all)
    before = town.rows("audit", "audit_head")
    for path in _pages(town):
        missing = "/sheets/" in path or "/charts/" in path  # none was made
        assert desk.get(path).status_code in ((404,) if missing else (200, 303)), path
    assert town.rows("audit", "audit_head") == before


# -- headers and addresses ---------------------------------------------------------------------------------------------


def test_every_page_has_exactly_these_headers(town: Town) -> None:
    """Pages, refusals, redirects and files: nothing is kept but the files, nothing is framed, nothing comes from elsewhere."""
    desk = town.desk(town.all)
    answers = [desk.get(path) for path in [*_pages(town), "/console/login", "/console/welcome", "/console/none"]]
    answers += [town.minh.get(f"/console/cases/{town.held}"), desk.post(f"/console/cases/{town.held}/note")]
    answers += [desk.browser.post("/console/duty"), desk.browser.put("/console/queue")]
    for answer in answers:
        assert {name: answer.headers.get(name) for name in CONSOLE} == CONSOLE, answer.request.url.path
    for name in ("console.css", "console.js", "htmx.min.js", "icon.svg"):
        headers = desk.get(f"/static/{name}").headers
        expected = CONSOLE | {"cache-control": "public, max-age=3600"}
        assert {one: headers.get(one) for one in expected} == expected, name


def test_the_live_line_has_the_same_headers(town: Town) -> None:
    """Also where it is refused; and no proxy holds it back."""
    with served(town.site.app) as address:
        for cookies, status in (({}, 303), (town.lan.live_cookie(), 200)):
            with httpx.stream("GET", f"{address}{LIVE}", cookies=cookies) as answer:
                assert answer.status_code == status
                expected = {name: value for name, value in CONSOLE.items() if name != "strict-transport-security"}
                assert {name: answer.headers.get(name) for name in expected} == expected
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["x-accel-buffering"] == "no"


def test_every_link_leads_somewhere_and_tells_nothing(town: Town) -> None:
    """From the first page through all links that a supervisor and administrator meets: each opens, stays here, and holds no word,
    number, login or token."""
    desk = town.desk(town.all)
    desk.post(f"/console/cases/{town.new}/claim")
    secrets = [*SECRETS, desk.token, desk.browser.cookies[SAFE], town.all.login, "lan.tran"]
    waiting, seen = ["/console/queue"], set[str]()
    while waiting:
        path = waiting.pop()
        seen.add(path)
        page = desk.get(path)
        assert page.status_code == 200, path
        for address in _addresses(page):
            assert address.startswith(("/console", "/trends", "/static/", "#", "?")), (path, address)
            assert [secret for secret in secrets if secret in address] == [], (path, address)
        links = (httpx.URL(path).join(link) for link in re.findall(r'<a [^>]*href="([^"#]+)"', page.text))
        new = {html.unescape(str(link)) for link in links} - seen
        waiting += [link for link in new if link not in waiting]
    assert {"/console/people", "/console/audit", f"/console/cases/{town.new}"} <= {path.split("?")[0] for path in seen}


def test_logs_hold_no_word_number_login_or_token(town: Town, caplog: pytest.LogCaptureFixture) -> None:
    """At the most talkative level, over every route, with good forms and bad ones."""
    caplog.set_level(logging.DEBUG)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # the test's own browser
    desk = town.desk(town.all)
    desk.post(f"/console/cases/{town.new}/claim")
    form = _form(town)
    for _, method, path in _doors(town, town.new, every=True):
        if path not in (LIVE, "/console/logout"):
            _ask(desk, method, path, **form)
            _ask(town.minh, method, path, **form)
    secrets = [*SECRETS, *form.values(), desk.token, desk.browser.cookies[SAFE], "tat.ca", "lan.tran", NUMBER]
    assert len(caplog.records) > 50
    assert [one for one in secrets if len(one) > 4 and one in caplog.text] == []


# -- helpers -----------------------------------------------------------------------------------------------------------


def _doors(town: Town, reference: str, *, every: bool = False) -> Iterator[tuple[APIRoute, str, str]]:
    """Each route with its method and address; with `every` those too that ask for nobody. The ways out come last."""
    routes = [route for route in console_routes(town.site.app) if every or guards(route)]
    for route in sorted(routes, key=lambda one: one.path.endswith(("/sessions", "/remove", "/logout"))):
        for method in route.methods or ():
            yield route, method, town.path_of(route, reference)


def _pages(town: Town) -> list[str]:
    return [path for _, method, path in _doors(town, town.held) if method == "GET" and path != LIVE]


def _ask(desk: Desk, method: str, path: str, **form: str) -> httpx.Response:
    return desk.post(path, **form) if method == "POST" else desk.get(path)


def _form(town: Town) -> dict[str, str]:
    """Every field that any form of the console knows, with something good in it."""
    return {
        "text": "chuyen khac han", "word": "hoa sen xanh", "start": "07:00", "end": "09:00", "kind": "share_111",
        "reason": "nguy hiem tinh mang", "outcome": "advised", "note": "da dan do ky", "priority": "P1",
        "to": town.minh.who.account.id, "purpose": "share_111", "reporter": "nguoi nha do", "answer": "refuse", "id": "1-2-3",
        "login": "nguoi.moi.1", "name": "Ngan Ha", "roles": "analyst", "current": "mat khau sai", "password": "thuyen xuoi nam",
        "again": "thuyen xuoi nam", "telegram": "55667788", "email": "lan@thu.example", "sms": "+84977665544",
        "receiver": "vn_111",
        "title": "Tin ve viec xa", "text-vi": "Chao ban, minh co tin ve di lam xa.", "sms-vi": "Minh co tin ve di lam xa.",
        "text-en": "News about work away.", "sms-en": "News by SMS.", "choice-1": "Gặp người thật", "choice-2": "", "choice-3": "",
        "template": "chat_jobs", "blank-place-vi": "huyen vung cao", "source_name": "Bao chi noi", "source_date": "2026-11-20",
        "source_url": "https://thanhnien.vn/tin", "province-N40": "yes", "places": "Yên Bái, hcm", "interest": "abroad",
        "channel-sms": "yes", "channel-telegram": "yes", "language-vi": "yes", "joined_from": "2026-01-01",
        "joined_until": "2026-11-01", "when": "at", "start_day": "2026-11-25", "start_hour": "08:00", "until_day": "2026-11-26",
        "until_hour": "18:00", "budget": "3.000.000", "urgent": "yes", "sure": "no", "of": town.alert, "alert": town.alert,
        "every": "month", "weekday": "1", "monthday": "5", "hour": "08:30", "hours": "6", "last": "2026-12-31",
    }  # fmt: skip


def _is_turned_away(town: Town, answer: httpx.Response) -> bool:
    words = {town.house.library.console(language)["common"]["forbidden"] for language in ("vi", "en")}
    return answer.status_code == 403 and any(one in html.unescape(answer.text) for one in words)


def _shown(answer: httpx.Response) -> list[str]:
    """Which secrets of the cases stand in an answer."""
    whole = html.unescape(answer.text) + str(dict(answer.headers))
    return [secret for secret in SECRETS if secret in whole]


def _addresses(page: Any) -> list[str]:
    """Whatever a page could send a browser to."""
    found = re.findall(r'(?:href|src|action|formaction|hx-get|hx-post)="([^"]*)"', page.text)
    return [html.unescape(address) for address in found]
