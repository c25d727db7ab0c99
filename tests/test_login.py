"""The way into the console as a browser without JavaScript meets it: forms, cookies, headers, and who is turned away."""

import datetime as dt
import html
import logging
import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pyotp
import pytest
from playwright.sync_api import Page, expect, sync_playwright
from sqlalchemy import insert, select

from bot import contacts
from bot.app import App
from bot.messages import Address
from bot.staff import accounts, recovery
from bot.store.database import new_id
from bot.store.tables import cases, staff
from bot.testing import FakeClock
from bot.web.console.links import invitation_link
from bot.web.pages import create_site
from tests.colleagues import PASSWORD, Colleague, join
from tests.console_site import LOCAL, MINUTE, PLAIN, SAFE, Site, hidden, served
from tests.test_browser import ARGUMENTS, CHROMIUM, PATIENCE, need_chromium

OTHER_PASSWORD = "những con thuyền ngược dòng"
Open = Callable[..., Page]


@pytest.fixture
def site(sqlite_house: App) -> Site:
    clock = FakeClock()
    sqlite_house.clock = clock
    return Site(sqlite_house, create_site(sqlite_house), clock)


@pytest.fixture
def lan(site: Site) -> Colleague:
    return join(site.house)


@pytest.fixture
def admin(site: Site) -> Colleague:
    return join(site.house, "admin.an", "admin", name="An")


# -- log-in ------------------------------------------------------------------------------------------------------------


def test_whoever_has_all_three_comes_in_and_out_again(site: Site, lan: Colleague) -> None:
    """Login, password and code lead to the first page; after the log-out the old cookie opens nothing."""
    browser = site.log_in(lan)
    assert browser.get("/console").headers["location"] == "/console/queue"
    page = browser.get("/console/account")
    assert page.status_code == 200
    assert "Trần Thị Lan" in page.text
    cookie = browser.cookies[SAFE]
    out = browser.post("/console/logout", data=hidden(page))
    assert (out.status_code, out.headers["location"]) == (303, "/console/login")
    assert SAFE not in browser.cookies
    thief = site.browser()
    thief.cookies.set(SAFE, cookie)
    assert thief.get("/console/account").headers["location"] == "/console/login"


def test_the_form_says_what_each_field_is(site: Site) -> None:
    """Every field has a label, and a purpose that password managers and phones understand."""
    text = site.browser().get("/console/login").text
    for name, purpose in (("login", "username"), ("password", "current-password"), ("code", "one-time-code")):
        assert f'<label for="{name}">' in text
        assert re.search(rf'<input id="{name}"[^>]*autocomplete="{purpose}"', text)
    assert 'inputmode="numeric"' in text


def test_a_login_with_a_capital_and_a_space_is_the_same(site: Site, lan: Colleague) -> None:
    """As phones write it."""
    form = {"login": " Lan.Tran ", "password": PASSWORD, "code": lan.code(site.clock.now)}
    assert site.browser().post("/console/login", data=form).status_code == 303


def test_a_recovery_code_comes_in_by_the_same_field(site: Site, lan: Colleague) -> None:
    """As it is printed, and once."""
    form = {"login": lan.login, "password": PASSWORD, "code": recovery.printed(lan.codes[0])}
    assert site.browser().post("/console/login", data=form).status_code == 303
    assert site.browser().post("/console/login", data=form).status_code == 401


def test_nobody_learns_what_was_wrong(site: Site, lan: Colleague) -> None:
    """The same status, headers and body whether the login, the password or the code was wrong; nothing typed comes back."""
    good = {"login": lan.login, "password": PASSWORD, "code": lan.code(site.clock.now)}
    wrong = [
        {"login": "nobody"},
        {"password": "another password"},
        {"code": "000000"},
        {"login": "", "password": "", "code": ""},
    ]
    answers = [site.browser().post("/console/login", data={**good, **part}) for part in wrong]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.text for answer in answers}) == 1
    assert len({str(sorted(answer.headers.items())) for answer in answers}) == 1
    assert lan.login not in answers[1].text


def test_who_guesses_is_told_how_long_to_wait(site: Site, lan: Colleague) -> None:
    """429 with the seconds, for a known and an unknown login alike; after the wait it goes on."""
    seen = []
    for login in (lan.login, "nobody"):
        browser = site.browser()
        answers = [
            browser.post("/console/login", data={"login": login, "password": "x", "code": "0"}) for _ in range(6)
        ]
        seen.append([(answer.status_code, answer.headers.get("retry-after"), answer.text) for answer in answers])
    assert seen[0] == seen[1]
    assert [status for status, _, _ in seen[0]] == [401] * 5 + [429]
    assert seen[0][-1][1] == "1"
    site.log_in(lan)


def test_a_new_log_in_has_a_new_cookie_and_ends_the_old_one(site: Site, lan: Colleague) -> None:
    """A cookie that somebody else put there, or that was known before, is never the session afterwards."""
    browser = site.browser()
    planted = "A" * 43
    browser.cookies.set(SAFE, planted, domain="console.example", path="/")
    site.log_in(lan, browser)
    first = browser.cookies[SAFE]
    assert first != planted
    site.log_in(lan, browser)
    second = browser.cookies[SAFE]
    assert second != first
    assert not _opens(site, planted)
    assert not _opens(site, first)
    assert _opens(site, second)


def test_the_cookies_have_exactly_these_attributes(site: Site, lan: Colleague) -> None:
    """Bound to this host and to https, out of reach of scripts and of other sites' links."""
    form = {"login": lan.login, "password": PASSWORD, "code": lan.code(site.clock.now)}
    answer = site.browser().post("/console/login", data=form)
    session, device = (_cookie(line) for line in answer.headers.get_list("set-cookie"))
    strict = {"httponly", "secure", "samesite=strict", "path=/"}
    assert session == (SAFE, strict)
    assert device == ("__Host-console-device", strict | {f"max-age={180 * 24 * 3600}"})


def test_on_this_machine_the_cookie_has_another_name_and_no_secure(site: Site, lan: Colleague) -> None:
    """A trial on http://127.0.0.1 works; a cookie from there is none on https, and the other way round."""
    form = {"login": lan.login, "password": PASSWORD, "code": lan.code(site.clock.now)}
    browser = site.browser(LOCAL)
    answer = browser.post("/console/login", data=form)
    names = [_cookie(line) for line in answer.headers.get_list("set-cookie")]
    assert names[0] == (PLAIN, {"httponly", "samesite=strict", "path=/"})
    assert browser.get("/console/account").status_code == 200
    moved = site.browser()
    moved.cookies.set(PLAIN, browser.cookies[PLAIN])
    assert moved.get("/console/account").status_code == 303


@pytest.mark.parametrize("path", ["/console", "/console/login", "/console/welcome", "/console/account"])
def test_without_https_the_console_opens_on_this_machine_only(site: Site, path: str) -> None:
    """Elsewhere no form is shown into which somebody might type a password."""
    for base in ("http://192.168.1.20:8000", "http://console.example", "http://127.0.0.1.evil.example"):
        answer = site.browser(base).get(path)
        assert answer.status_code == 403
        assert "https" in answer.text
        assert "<input" not in answer.text
    assert site.browser(LOCAL).get(path).status_code in (200, 303)


def test_behind_a_proxy_the_public_address_counts_as_https(site: Site, lan: Colleague) -> None:
    """What config.yml names, and no header that a stranger can send."""
    web = site.house.config.bot.web.model_copy(update={"public": "https://tram.example"})
    site.house.config = site.house.config.model_copy(
        update={"bot": site.house.config.bot.model_copy(update={"web": web})}
    )
    behind = site.browser("http://tram.example")
    form = {"login": lan.login, "password": PASSWORD, "code": lan.code(site.clock.now)}
    answer = behind.post("/console/login", data=form)
    assert answer.headers.get_list("set-cookie")[0].startswith("__Host-console=")
    assert "strict-transport-security" in answer.headers
    liar = site.browser("http://192.168.1.20:8000")
    assert liar.get("/console/login", headers={"X-Forwarded-Proto": "https"}).status_code == 403


def test_pages_of_the_console_have_exactly_these_headers(site: Site, lan: Colleague) -> None:
    """Nothing is kept by the browser, nothing is loaded from elsewhere, and https stays https."""
    expected = {
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
    browser = site.log_in(lan)
    for path in ("/console/login", "/console/account", "/console/people"):
        headers = browser.get(path).headers
        assert {name: headers.get(name) for name in expected} == expected, path
    assert "strict-transport-security" not in site.browser(LOCAL).get("/console/login").headers


# -- sessions ----------------------------------------------------------------------------------------------------------


def test_an_idle_session_leads_to_the_log_in(site: Site, lan: Colleague) -> None:
    """After 30 minutes without a request; a script is told where to go, so that no form lands inside a page."""
    browser = site.log_in(lan)
    site.clock.advance(29 * MINUTE)
    assert browser.get("/console/account").status_code == 200
    site.clock.advance(30 * MINUTE)
    answer = browser.get("/console/account")
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/login")
    for headers in ({"HX-Request": "true"}, {"Accept": "text/event-stream"}):
        answer = browser.get("/console/account", headers=headers)
        assert (answer.status_code, answer.headers["hx-redirect"]) == (401, "/console/login")


def test_a_stolen_session_is_worth_nothing_after_a_new_password(site: Site, lan: Colleague) -> None:
    """The thief is out at the next request; the person stays in, and comes in with the new password."""
    thief, browser = site.log_in(lan), site.log_in(lan)
    form = {
        **hidden(browser.get("/console/account")),
        "current": PASSWORD,
        "password": OTHER_PASSWORD,
        "again": OTHER_PASSWORD,
    }
    answer = browser.post("/console/account/password", data=form)
    assert answer.headers["location"] == "/console/account?done=password"
    assert thief.get("/console/account").status_code == 303
    assert browser.get("/console/account").status_code == 200
    now = site.clock.advance(MINUTE)
    for password, status in ((PASSWORD, 401), (OTHER_PASSWORD, 303)):
        login = {"login": lan.login, "password": password, "code": lan.code(now)}
        assert site.browser().post("/console/login", data=login).status_code == status


def test_who_is_removed_or_given_another_role_feels_it_at_the_next_request(site: Site, admin: Colleague) -> None:
    """No page opens by what somebody was allowed a moment ago."""
    minh = join(site.house, "minh", "admin", name="Minh")
    browser = site.log_in(minh)
    assert browser.get("/console/people").status_code == 200
    boss = site.log_in(admin)
    token = hidden(boss.get("/console/people"))
    boss.post(f"/console/people/{minh.account.id}/roles", data={**token, "roles": ["analyst"]})
    assert browser.get("/console/people").status_code == 403
    assert browser.get("/console/account").status_code == 200
    boss.post(f"/console/people/{minh.account.id}/remove", data={**token, "sure": "yes"})
    assert browser.get("/console/account").status_code == 303


def test_other_log_ins_end_by_one_button(site: Site, lan: Colleague) -> None:
    """The one at hand stays."""
    elsewhere, here = site.log_in(lan), site.log_in(lan)
    here.post("/console/account/sessions", data=hidden(here.get("/console/account")))
    assert elsewhere.get("/console/account").status_code == 303
    assert here.get("/console/account").status_code == 200


def test_a_link_in_another_sites_page_finds_the_session(site: Site, lan: Colleague) -> None:
    """The strict cookie does not come with it: a page of our own asks once more, and without a session that leads to the log-in."""
    came = site.browser().get("/console/account", headers={"Sec-Fetch-Site": "cross-site"})
    assert came.status_code == 200
    assert '<meta http-equiv="refresh" content="0; url=/console/account">' in came.text
    assert site.browser().get("/console/account", headers={"Sec-Fetch-Site": "same-origin"}).status_code == 303
    posted = site.browser().post("/console/logout", headers={"Sec-Fetch-Site": "cross-site"})
    assert posted.status_code == 403
    browser = site.log_in(lan)
    assert "refresh" not in browser.get("/console/account", headers={"Sec-Fetch-Site": "cross-site"}).text


# -- forms of other sites ----------------------------------------------------------------------------------------------


def test_a_post_without_the_sessions_own_token_changes_nothing(site: Site, lan: Colleague) -> None:
    """Missing, wrong, empty, or of another session of the same person."""
    browser, other = site.log_in(lan), site.log_in(lan)
    token = hidden(browser.get("/console/account"))["csrf"]
    others = hidden(other.get("/console/account"))["csrf"]
    assert token != others
    for given in ({}, {"csrf": ""}, {"csrf": "0" * 64}, {"csrf": others}, {"csrf": "é"}):
        answer = browser.post("/console/account/language", data={"language": "en", **given})
        assert answer.status_code == 403, given
    assert 'lang="vi"' in browser.get("/console/account").text
    assert browser.post("/console/account/language", data={"language": "en", "csrf": token}).status_code == 303
    assert '<html lang="en">' in browser.get("/console/account").text


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "https://console.example.evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_a_post_from_another_site_is_refused(site: Site, lan: Colleague, headers: dict[str, str]) -> None:
    """Even with the right token, and also at the log-in."""
    browser = site.log_in(lan)
    form = {**hidden(browser.get("/console/account")), "language": "en"}
    assert browser.post("/console/account/language", data=form, headers=headers).status_code == 403
    now = site.clock.advance(MINUTE)
    login = {"login": lan.login, "password": PASSWORD, "code": lan.code(now)}
    assert site.browser().post("/console/login", data=login, headers=headers).status_code == 403


# -- who may what ------------------------------------------------------------------------------------------------------


def test_a_page_that_is_not_for_somebody_says_so_kindly(site: Site, lan: Colleague) -> None:
    """403 with a way back, in the person's language."""
    answer = site.log_in(lan).get("/console/people")
    assert answer.status_code == 403
    assert site.house.library.console("vi")["common"]["forbidden"] in html.unescape(answer.text)
    assert 'href="/console"' in answer.text


# -- somebody new ------------------------------------------------------------------------------------------------------


def test_somebody_new_comes_in_by_the_link(site: Site) -> None:
    """Code, password and app, then the recovery codes; only when they are put away does the console open."""
    browser = site.browser()
    code = site.invite()
    assert 'id="code"' in browser.get("/console/welcome").text
    second = browser.post("/console/welcome", data={"code": code})
    assert second.status_code == 200
    assert "<svg" in second.text
    form, secret = hidden(second), _secret(second)
    now = site.clock.now
    form |= {"password": PASSWORD, "again": PASSWORD, "totp_code": pyotp.TOTP(secret).at(now)}
    answer = browser.post("/console/welcome", data=form)
    assert (answer.status_code, answer.headers["location"]) == (303, "/console")
    assert browser.get("/console").headers["location"] == "/console/account/codes"
    assert browser.get("/console/account").headers["location"] == "/console/account/codes"
    page = browser.get("/console/account/codes")
    codes = re.findall(r"<li><code>([\d ]{19})</code>", page.text)
    assert len(codes) == recovery.HOW_MANY
    assert browser.post("/console/account/codes/kept", data=hidden(page)).status_code == 400
    kept = browser.post("/console/account/codes/kept", data={**hidden(page), "is_kept": "yes"})
    assert kept.headers["location"] == "/console"
    assert browser.get("/console/account").status_code == 200
    again = browser.get("/console/account/codes")
    assert (again.status_code, again.headers["location"]) == (303, "/console/account")
    login = {"login": "minh", "password": PASSWORD, "code": codes[3]}
    assert site.browser().post("/console/login", data=login).status_code == 303


def test_slips_in_the_welcome_are_told_at_their_fields_and_nothing_is_lost(site: Site) -> None:
    """The same secret stays on the page, so that the app need not scan again."""
    browser = site.browser()
    second = browser.post("/console/welcome", data={"code": site.invite()})
    secret = _secret(second)
    good = {"password": PASSWORD, "again": PASSWORD, "totp_code": pyotp.TOTP(secret).at(site.clock.now)}
    for slip, field, reason in (
        ({"password": "short"}, "password", "too_short"),
        ({"password": "con của minh đây", "again": "con của minh đây"}, "password", "has_login"),
        ({"again": "another"}, "again", "not_again"),
        ({"totp_code": "000000"}, "totp_code", "bad_code"),
    ):
        answer = browser.post("/console/welcome", data={**hidden(second), **good, **slip})
        assert answer.status_code == 400
        words = site.house.library.console("vi")["common"][f"error_{reason}"]
        assert words in html.unescape(answer.text)
        assert re.search(
            rf'<input id="{field}"[^>]*aria-invalid="true"[^>]*aria-describedby="{field}-error', answer.text
        )
        assert 'role="alert"' in answer.text
        assert PASSWORD not in answer.text
        assert _secret(answer) == secret
    assert browser.post("/console/welcome", data={**hidden(second), **good}).status_code == 303


def test_a_link_serves_once_and_runs_out(site: Site) -> None:
    """Used, replaced, run out, or never given: one answer."""
    code = site.invite()
    _welcome(site, code)
    old = site.invite("an.le")
    site.clock.advance(dt.timedelta(hours=72))
    answers = [site.browser().post("/console/welcome", data={"code": given}) for given in (code, old, "AAAA-BBBB", "")]
    assert {answer.status_code for answer in answers} == {400}
    assert len({answer.text for answer in answers}) == 1


def test_a_secret_that_was_shown_to_somebody_else_is_not_taken(site: Site) -> None:
    """What the form carries is sealed for one person; another's begins anew."""
    minh = site.browser().post("/console/welcome", data={"code": site.invite()})
    mine, theirs = hidden(minh), site.invite("an.le")
    secret = _secret(minh)
    form = {"code": theirs, "carried": mine["carried"], "password": PASSWORD, "again": PASSWORD}
    answer = site.browser().post("/console/welcome", data={**form, "totp_code": pyotp.TOTP(secret).at(site.clock.now)})
    assert answer.status_code == 200
    assert _secret(answer) != secret


def test_a_secret_is_carried_for_half_an_hour(site: Site) -> None:
    """Afterwards the page begins anew with another."""
    browser = site.browser()
    second = browser.post("/console/welcome", data={"code": site.invite()})
    now = site.clock.advance(30 * MINUTE)
    form = {
        **hidden(second),
        "password": PASSWORD,
        "again": PASSWORD,
        "totp_code": pyotp.TOTP(_secret(second)).at(now),
    }
    answer = browser.post("/console/welcome", data=form)
    assert answer.status_code == 200
    assert _secret(answer) != _secret(second)


def test_the_code_of_a_link_is_in_the_fragment_alone(site: Site) -> None:
    """No server and no log ever sees it in an address."""
    link = invitation_link(site.house.config, "AAAA-BBBB")
    assert link == "http://127.0.0.1:8000/console/welcome#AAAA-BBBB"
    web = site.house.config.bot.web.model_copy(update={"public": "https://tram.example"})
    bot = site.house.config.bot.model_copy(update={"web": web})
    public = site.house.config.model_copy(update={"bot": bot})
    assert invitation_link(public, "AAAA-BBBB") == "https://tram.example/console/welcome#AAAA-BBBB"
    assert not re.search(r'(?:href|action)="[^"]*code=', site.browser().get("/console/welcome").text)


# -- one's own account -------------------------------------------------------------------------------------------------


def test_changes_of_ones_own_need_the_password(site: Site, lan: Colleague) -> None:
    """A session alone, left open at a desk, changes neither password nor app nor recovery codes; guessing there is slow too."""
    browser = site.log_in(lan)
    token = hidden(browser.get("/console/account"))
    form = {**token, "current": "wrong", "password": OTHER_PASSWORD, "again": OTHER_PASSWORD}
    for path in ("password", "totp", "codes"):
        answer = browser.post(f"/console/account/{path}", data=form)
        assert answer.status_code == 400
        assert site.house.library.console("vi")["common"]["error_wrong_password"] in answer.text
    waits = [browser.post("/console/account/totp", data=form).text for _ in range(4)]
    assert site.house.library.console("vi")["common"]["error_wait"] in waits[-1]
    answer = browser.post("/console/account/totp", data={**token, "current": PASSWORD})
    assert "<svg" not in answer.text
    site.clock.advance(MINUTE)
    assert "<svg" in browser.post("/console/account/totp", data={**token, "current": PASSWORD}).text


def test_a_new_app_is_connected_when_it_has_shown_a_code(site: Site, lan: Colleague) -> None:
    """Until then the old one serves; a wrong code keeps the same secret on the page."""
    browser = site.log_in(lan)
    token = hidden(browser.get("/console/account"))
    page = browser.post("/console/account/totp", data={**token, "current": PASSWORD})
    secret = _secret(page)
    slip = browser.post("/console/account/totp/confirm", data={**hidden(page), "totp_code": "000000"})
    assert slip.status_code == 400
    assert _secret(slip) == secret
    code = pyotp.TOTP(secret).at(site.clock.now)
    done = browser.post("/console/account/totp/confirm", data={**hidden(page), "totp_code": code})
    assert done.headers["location"] == "/console/account?done=totp"
    now = site.clock.advance(MINUTE)
    for shown, status in ((lan.code(now), 401), (pyotp.TOTP(secret).at(now), 303)):
        form = {"login": lan.login, "password": PASSWORD, "code": shown}
        assert site.browser().post("/console/login", data=form).status_code == status


def test_what_one_session_was_shown_another_cannot_confirm(site: Site, lan: Colleague) -> None:
    """The sealed secret proves that the password was given, and only in the session where it was."""
    browser, other = site.log_in(lan), site.log_in(lan)
    page = browser.post("/console/account/totp", data={**hidden(browser.get("/console/account")), "current": PASSWORD})
    stolen = {**hidden(page), **hidden(other.get("/console/account"))}
    form = {**stolen, "carried": hidden(page)["carried"], "totp_code": pyotp.TOTP(_secret(page)).at(site.clock.now)}
    assert other.post("/console/account/totp/confirm", data=form).headers["location"] == "/console/account"
    with site.house.database.begin() as connection:
        row = connection.execute(select(staff)).one()
        assert accounts.totp_secret(site.house.database.keyring, row) == lan.secret


def test_new_recovery_codes_count_when_they_are_put_away(site: Site, lan: Colleague) -> None:
    """Somebody who closes the page keeps the old ones."""
    browser = site.log_in(lan)
    token = hidden(browser.get("/console/account"))
    page = browser.post("/console/account/codes", data={**token, "current": PASSWORD})
    fresh = re.findall(r"<li><code>([\d ]{19})</code>", page.text)
    form = {"login": lan.login, "password": PASSWORD, "code": lan.codes[0]}
    assert site.browser().post("/console/login", data=form).status_code == 303
    done = browser.post("/console/account/codes/kept", data={**hidden(page), "is_kept": "yes"})
    assert done.headers["location"] == "/console/account?done=codes"
    for code, status in ((lan.codes[1], 401), (fresh[0], 303)):
        assert site.browser().post("/console/login", data={**form, "code": code}).status_code == status


def test_where_pages_go_is_checked_and_kept(site: Site, lan: Colleague) -> None:
    """A number as people write it is taken; a slip is told at its field, and what was typed stays."""
    browser = site.log_in(lan)
    token = hidden(browser.get("/console/account"))
    slip = browser.post("/console/account/pages", data={**token, "telegram": "@lan", "sms": "0912 345 678"})
    assert slip.status_code == 400
    assert re.search(r'<input id="telegram"[^>]*value="@lan"[^>]*aria-invalid', slip.text)
    assert browser.post("/console/account/pages", data={**token, "sms": "0912 345 678"}).status_code == 303
    assert 'value="+84912345678"' in html.unescape(browser.get("/console/account").text)


# -- people ------------------------------------------------------------------------------------------------------------


def test_an_administrator_invites_gives_roles_and_removes(site: Site, admin: Colleague) -> None:
    """The link is shown once; roles and removal count; the list is true afterwards."""
    browser = site.log_in(admin)
    token = hidden(browser.get("/console/people"))
    form = {**token, "login": "Minh ", "name": "Phạm Minh", "roles": ["operator", "supervisor"]}
    page = browser.post("/console/people", data=form)
    link = re.search(r'value="(https://console\.example/console/welcome#[A-Z2-7-]{29})"', page.text)
    assert link
    code = link[1].split("#")[1]
    assert code not in browser.get("/console/people").text
    _welcome(site, code)
    minh = _account(site, "minh")
    assert minh.roles == {"operator", "supervisor"}
    done = browser.post(f"/console/people/{minh.id}/roles", data={**token, "roles": ["analyst", "boss"]})
    assert done.headers["location"] == "/console/people?done=roles"
    assert _account(site, "minh").roles == {"analyst"}
    again = browser.post(f"/console/people/{minh.id}/invite", data=token)
    assert "/console/welcome#" in again.text
    unsure = browser.post(f"/console/people/{minh.id}/remove", data=token)
    assert unsure.status_code == 400
    assert _account(site, "minh").active
    browser.post(f"/console/people/{minh.id}/remove", data={**token, "sure": "yes"})
    assert not _account(site, "minh").active
    assert "Phạm Minh" not in browser.get("/console/people").text


def test_slips_of_an_administrator_are_told(site: Site, admin: Colleague) -> None:
    """No role, a taken login, one's own account; what was typed stays in the form."""
    browser = site.log_in(admin)
    token = hidden(browser.get("/console/people"))
    own = f"/console/people/{admin.account.id}"
    for path, form, reason in (
        ("/console/people", {"login": "minh", "name": "Minh"}, "no_role"),
        ("/console/people", {"login": "admin.an", "name": "An", "roles": ["admin"]}, "taken"),
        ("/console/people", {"login": "m", "name": "Minh", "roles": ["admin"]}, "bad_login"),
        (f"{own}/roles", {"roles": ["analyst"]}, "own_admin"),
        (f"{own}/remove", {"sure": "yes"}, "own_account"),
    ):
        answer = browser.post(path, data={**token, **form})
        assert answer.status_code == 400, reason
        assert site.house.library.console("vi")["common"][f"error_{reason}"] in html.unescape(answer.text)
    typed = browser.post("/console/people", data={**token, "login": "minh", "name": "Minh <b>"})
    assert 'value="Minh &lt;b&gt;"' in typed.text
    assert _account(site, "admin.an").active


def test_who_removes_somebody_is_warned_of_their_cases(site: Site, admin: Colleague) -> None:
    """The number of open cases that would be without an owner stands beside the button; closed ones do not count."""
    minh = join(site.house, "minh", name="Minh")
    for number, status in enumerate(("open", "open", "closed")):
        _own_case(site, minh, f"C{number}", status)
    page = html.unescape(site.log_in(admin).get("/console/people").text)
    words = site.house.library.console("vi")["people"]
    assert page.count(words["remove_cases"].format(count=2)) == 1
    assert f"· {words['open_cases'].format(count=2)}</p>" in page


@pytest.mark.parametrize("action", ["invite", "roles", "remove"])
def test_somebody_who_is_not_there_is_nobody(site: Site, admin: Colleague, action: str) -> None:
    """A made-up id changes nothing and leads back to the list."""
    browser = site.log_in(admin)
    form = {**hidden(browser.get("/console/people")), "roles": ["admin"], "sure": "yes"}
    answer = browser.post(f"/console/people/{'0' * 32}/{action}", data=form)
    assert answer.status_code == 303


# -- words and logs ----------------------------------------------------------------------------------------------------


def test_every_page_speaks_both_languages(site: Site, admin: Colleague) -> None:
    """Every word on the pages is there in both, and no name of a word shows through."""
    browser = site.log_in(admin)
    token = hidden(browser.get("/console/account"))
    for language, other in (("en", "vi"), ("vi", "en")):
        browser.post("/console/account/language", data={**token, "language": language})
        for path in ("/console/account", "/console/people"):
            page = browser.get(path)
            assert f'<html lang="{language}">' in page.text
            title = site.house.library.console(language)[path.rsplit("/", 1)[1]]["title"]
            assert f"<h1>{title}</h1>" in page.text
            assert site.house.library.console(other)["common"]["log_out"] not in page.text


def test_logs_hold_no_login_password_code_or_cookie(
    site: Site, lan: Colleague, caplog: pytest.LogCaptureFixture
) -> None:
    """At the most talkative level, through a failed and a good log-in, a welcome and a refused page."""
    caplog.set_level(logging.DEBUG)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # the test's own browser
    code = site.invite()
    _welcome(site, code)
    site.browser().post("/console/login", data={"login": lan.login, "password": "wrong-password", "code": "123456"})
    browser = site.log_in(lan)
    browser.get("/console/people")
    cookies = [value for value in browser.cookies.values() if value]
    secrets = [lan.login, "minh", PASSWORD, "wrong-password", "123456", code, lan.account.name, *cookies]
    assert caplog.text
    assert [secret for secret in secrets if secret in caplog.text] == []


def test_the_pages_need_no_style_or_script_of_their_own(site: Site, admin: Colleague) -> None:
    """The strict policy holds: no inline style, no inline script, no handler, nothing from another host."""
    browser = site.log_in(admin)
    token = hidden(browser.get("/console/account"))
    pages = [
        browser.get(path) for path in ("/console/login", "/console/welcome", "/console/account", "/console/people")
    ]
    pages.append(browser.post("/console/account/totp", data={**token, "current": PASSWORD}))
    pages.append(browser.post("/console/account/codes", data={**token, "current": PASSWORD}))
    pages.append(site.browser().post("/console/welcome", data={"code": site.invite()}))
    for page in pages:
        assert not re.search(
            r"<style|\sstyle=|<script(?![^>]*src=\"/static/)|\son[a-z]+=|(?:src|href)=\"https?:", page.text
        )


# -- in a real browser ------------------------------------------------------------------------------------------------


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 1280])
def test_somebody_new_comes_in_with_a_real_browser(site: Site, console: Open, width: int) -> None:
    """The link fills the form and leaves the address; by keyboard alone to the console, out, and in again; nothing is cut off."""
    page = console(f"/console/welcome#{site.invite()}", width)
    expect(page).to_have_url(re.compile("/console/welcome$"))
    expect(page.locator("#code")).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_selector("#password")
    secret = page.inner_text("code.secret").replace(" ", "")
    page.focus("#password")
    _type(page, PASSWORD, PASSWORD, pyotp.TOTP(secret).at(site.clock.now))
    page.wait_for_url("**/console/account/codes")
    expect(page.locator("#print")).to_be_visible()
    page.focus("input[name=is_kept]")
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    page.wait_for_url("**/console/queue")
    page.click("#menu summary")
    page.click("form[action='/console/logout'] button")
    page.wait_for_selector("#login:focus")
    now = site.clock.advance(MINUTE)
    _type(page, "minh", PASSWORD, pyotp.TOTP(secret).at(now))
    page.wait_for_url("**/console/queue")
    page.click("#menu summary")
    page.click("#menu a")
    page.wait_for_url("**/console/account")
    page.focus("#telegram")
    _type(page, "@minh")
    told = site.house.library.console("vi")["common"]["error_bad_telegram"]
    expect(page.locator(".problem a")).to_have_text(told)


@pytest.mark.browser
def test_a_link_in_a_web_mail_opens_the_page(site: Site, lan: Colleague, console: Open) -> None:
    """Whoever is logged in and clicks it elsewhere need not log in again."""
    page = console("/console/login", 390)
    page.wait_for_selector("#login:focus")
    _type(page, lan.login, PASSWORD, lan.code(site.clock.now))
    page.wait_for_url("**/console/queue")
    address = page.url
    page.goto("about:blank")
    page.set_content(f'<a href="{address}">case</a>')
    page.click("a")
    page.wait_for_url("**/console/queue")


@pytest.mark.browser
def test_the_way_in_needs_no_script(site: Site, lan: Colleague, console: Open) -> None:
    """Without JavaScript the code is typed, and the log-in works as ever."""
    page = console("/console/welcome", 390, java_script_enabled=False)
    page.fill("#code", site.invite().lower())
    page.keyboard.press("Enter")
    page.wait_for_selector("#password")
    page.goto("/console/login")
    page.wait_for_selector("#login:focus")
    _type(page, lan.login, PASSWORD, lan.code(site.clock.now))
    page.wait_for_url("**/console/queue")


@pytest.fixture
def console(site: Site) -> Iterator[Open]:
    """Opens a page of the served site in Chromium; every page is looked at for what sticks out, and for refused styles and scripts."""
    need_chromium()
    with served(site.app) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        wrong: list[str] = []

        def open_page(path: str, width: int, **options: Any) -> Page:
            viewport = {"width": width, "height": 800}
            page = browser.new_context(base_url=address, viewport=viewport, **options).new_page()  # type: ignore[arg-type]
            page.set_default_timeout(PATIENCE)
            page.on("console", lambda said: wrong.append(said.text) if _WRONG.search(said.text) else None)
            page.add_init_script(_SAY_WHAT_STICKS_OUT)
            page.goto(path)
            return page

        yield open_page
        browser.close()
    assert wrong == []


_WRONG = re.compile("Content Security Policy|sticks out")
_SAY_WHAT_STICKS_OUT = """addEventListener("load", () => {
  if (document.documentElement.scrollWidth > innerWidth) console.warn(`${location} sticks out`);
});"""  # said by the page itself: it may be gone before it could be asked


def _type(page: Page, *texts: str) -> None:
    """Into the field that has the focus and the ones after it, by keyboard alone; then Enter."""
    for number, text in enumerate(texts):
        if number:
            page.keyboard.press("Tab")
        page.keyboard.insert_text(text)
    page.keyboard.press("Enter")


# -- helpers -----------------------------------------------------------------------------------------------------------


def _secret(page: httpx.Response) -> str:
    found = re.search(r'<code class="secret">([A-Z2-7 ]+)</code>', page.text)
    assert found
    return found[1].replace(" ", "")


def _cookie(line: str) -> tuple[str, set[str]]:
    """Its name and its attributes."""
    first, *attributes = line.split("; ")
    return first.split("=")[0], {attribute.lower() for attribute in attributes}


def _opens(site: Site, cookie: str) -> bool:
    browser = site.browser()
    browser.cookies.set(SAFE, cookie)
    return int(browser.get("/console/account").status_code) == 200


def _welcome(site: Site, code: str) -> None:
    """Accepts an invitation through the pages."""
    browser = site.browser()
    page = browser.post("/console/welcome", data={"code": code})
    proof = pyotp.TOTP(_secret(page)).at(site.clock.now)
    form = {**hidden(page), "password": PASSWORD, "again": PASSWORD, "totp_code": proof}
    assert browser.post("/console/welcome", data=form).status_code == 303


def _own_case(site: Site, owner: Colleague, reference: str, status: str) -> None:
    now, database = site.clock.now, site.house.database
    with database.begin() as connection:
        contact = contacts.find_or_create(connection, database.keyring, Address("web", reference), now)
        consent = contacts.record_consent(
            connection, database.keyring, contact, purpose="help", basis="consent", reason="test", words="yes", now=now
        )
        connection.execute(
            insert(cases).values(
                id=new_id(), reference=reference, consent_id=consent, purpose="help", kind="emergency", priority="P0",
                minor=False, status=status, public_key=b"", owner_id=owner.account.id, opened_at=now, updated_at=now,
            )
        )  # fmt: skip


def _account(site: Site, login: str) -> accounts.Account:
    with site.house.database.begin() as connection:
        found = accounts.find_login(connection, site.house.database.keyring, login)
    assert found
    return found
