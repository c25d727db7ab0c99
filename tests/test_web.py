"""The web pages as a browser without JavaScript meets them: forms in, pages out."""

import base64
import logging
import re
import uuid
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select
from starlette.exceptions import StarletteDeprecationWarning

from bot.app import App
from bot.config import Config, load_config
from bot.store.tables import metadata
from bot.understanding.classifier import EmbeddedClassifier
from bot.web.pages import MOST_BODY, create_site
from tests.case_files import queue_of
from tests.conftest import ROOT
from tests.houses import House

with warnings.catch_warnings():  # Starlette would rather have the next httpx
    warnings.simplefilter("ignore", StarletteDeprecationWarning)
    from fastapi.testclient import TestClient

OFFER = "di thai ban ve so luong 20tr/thang ho bao ve may bay co nen di k"
CRY = "cuu voi toi bi nhot o myanmar"
FORM = "application/x-www-form-urlencoded"
BIDI = "\u202e\u2066\u2067\u202a"


# -- a talk without JavaScript -----------------------------------------------------------------------------------------


def test_the_first_page_invites_to_write_and_offers_no_choices_yet(site: TestClient) -> None:
    """A newcomer sees one text box with a label, one button to send, a way to leave, and an invitation."""
    page = Visitor(site).page
    assert page.fields == {"talk", "id"}
    assert 'for="text"' in page.html
    assert page.buttons == []
    assert len(page.bubbles) == 1
    assert page.bubbles[0].who == "bot"
    assert 'action="/leave"' in page.html


def test_s_01_the_first_answer_says_who_we_are_before_it_answers(site: TestClient, shared: App) -> None:
    """The first reply of all is the introduction; the answer follows it."""
    heard = Visitor(site).write(OFFER).heard
    assert heard[0] == shared.library.say("intro", "vi", "text")
    assert len(heard) == 2


def test_a_message_and_its_answer_stand_on_the_page_in_order(site: TestClient) -> None:
    """The person's own words come first, then what the bot said."""
    page = Visitor(site).write(OFFER)
    assert [bubble.who for bubble in page.bubbles] == ["you", "bot", "bot"]
    assert page.bubbles[0].text == OFFER


def test_a_numbered_button_answers_the_question_and_shows_its_label(site: TestClient) -> None:
    """Pressing button 1 says its number and its words, and brings the next question."""
    visitor = Visitor(site)
    question = visitor.write(OFFER)
    number, label = question.buttons[0]
    answered = visitor.press(number)
    assert answered.said[-1] == f"{number}. {label}"
    assert answered.heard[-1] not in question.heard
    assert answered.buttons


def test_a_typed_number_is_as_good_as_the_button(site: TestClient) -> None:
    """Somebody who types "1" hears the same as somebody who presses the button."""
    presser, typist = Visitor(site), Visitor(site)
    presser.write(OFFER)
    typist.write(OFFER)
    assert typist.write("1").heard == presser.press("1").heard


def test_a_button_wins_over_words_left_in_the_box(site: TestClient) -> None:
    """Whoever presses a choice while a draft stands in the box has chosen; the draft is not sent."""
    visitor = Visitor(site)
    visitor.write(OFFER)
    page = visitor.send(text="chu viet do dang", number="1")
    assert "chu viet do dang" not in page.said
    assert page.said[-1].startswith("1. ")


def test_the_script_gets_the_talk_alone_and_the_browser_the_whole_page(site: TestClient) -> None:
    """The same submit answers a fragment to chat.js and a document to a plain form."""
    visitor = Visitor(site)
    whole = visitor.write(OFFER)
    part = visitor.write("2", headers={"X-Part": "talk"})
    assert whole.html.startswith("<!doctype html>")
    assert "<html" not in part.html
    assert part.bubbles[-1].who == "bot"
    assert part.fields == {"talk", "id"}


def test_an_empty_message_is_answered_kindly_and_leaves_no_empty_bubble(site: TestClient, shared: App) -> None:
    """Nothing written is no error: the bot says that it sees no words."""
    page = Visitor(site).write("   ")
    assert page.said == []
    assert shared.library.say("empty", "vi", "text") in page.heard


def test_the_newest_answer_has_an_anchor_to_which_the_form_leads(site: TestClient) -> None:
    """Without JavaScript the browser opens the answer at the first line of the newest reply."""
    page = Visitor(site).write(OFFER)
    action = re.search(r'<form method="post" action="([^"]+)" id="form"', page.html)
    assert action
    assert action[1].endswith("#newest")
    assert page.bubbles[1].anchor == "newest"
    assert page.html.count('id="newest"') == 1


def test_a_restart_of_the_server_loses_no_talk(sqlite_house: App, classifier: EmbeddedClassifier) -> None:
    """The page carries the talk and the store the conversation: a new process goes on where the old one was."""
    visitor = Visitor(TestClient(create_site(sqlite_house)))
    question = visitor.write(OFFER)
    sqlite_house.database.close()
    reborn = _house(sqlite_house.config, classifier)
    visitor.client = TestClient(create_site(reborn), cookies=visitor.client.cookies)
    answered = visitor.press("1")
    assert answered.bubbles[: len(question.bubbles)] == question.bubbles
    assert answered.heard[-1] not in question.heard
    reborn.database.close()


# -- what was written comes back as text -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script> di thai lan",
        '"><img src=x onerror=alert(1)> di thai lan',
        "' onmouseover='alert(1) di thai lan",
        "</textarea></form><form action=https://evil.example>",
        "&lt;b&gt; &amp; {{ 7 * 7 }} {% raw %}",
        f"di {BIDI}thai lan lam viec nhe",
    ],
)
def test_whatever_is_written_is_shown_as_text(site: TestClient, text: str) -> None:
    """Tags, quotes, template marks and writing directions come back letter by letter, and as no markup."""
    page = Visitor(site).write(text)
    assert page.said == [text]
    assert page.tags <= PLAIN_TAGS
    assert not page.handlers


def test_a_writing_direction_ends_with_its_bubble(site: TestClient) -> None:
    """Every bubble isolates its words, so that a right-to-left mark in one cannot turn the next around."""
    page = Visitor(site).write(f"di {BIDI}thai lan")
    assert page.bubbles
    assert all(bubble.isolated for bubble in page.bubbles)


def test_a_quoted_word_of_an_offer_is_escaped_in_the_answer_too(site: TestClient) -> None:
    """The answer quotes what worried it; those words are text there as well."""
    page = Visitor(site).write('di thai lan "<b>ban ve so</b>" luong <i>20tr</i>/thang ho bao <u>ve may bay</u>')
    assert page.tags <= PLAIN_TAGS


# -- the same submit twice ---------------------------------------------------------------------------------------------


def test_the_same_submit_twice_is_answered_once_and_the_same(site: TestClient, shared: App) -> None:
    """A double tap or a reload sends the same id: the page shows the same answer, and nothing more is stored."""
    visitor = Visitor(site)
    form = visitor.form(text=OFFER)
    first = visitor.submit(form)
    rows = _rows(shared)
    second = visitor.submit(form)
    assert second.bubbles == first.bubbles
    assert second.buttons == first.buttons
    assert _rows(shared) == rows


def test_the_same_cry_twice_opens_one_case(site: TestClient, shared: App) -> None:
    """A page that is sent again after an emergency does not open a second case."""
    visitor = Visitor(site)
    before = len(queue_of(shared))
    form = visitor.form(text=CRY)
    visitor.submit(form)
    visitor.submit(form)
    assert len(queue_of(shared)) == before + 1


def test_the_same_id_from_another_session_is_another_message(site: TestClient) -> None:
    """An id belongs to its session: somebody else who sends it hears the answer to their own words."""
    one, other = Visitor(site), Visitor(site)
    form = one.form(text=OFFER)
    heard = one.submit(form).heard
    page = other.submit({**form, "talk": "", "text": "cam on"})
    assert page.said == ["cam on"]
    assert not set(page.heard[1:]) & set(heard[1:])


@pytest.mark.parametrize("given", ["", "not-a-uuid", "1", "x" * 500])
def test_a_submit_with_an_impossible_id_is_a_new_message(site: TestClient, given: str) -> None:
    """A missing or mangled id costs nobody the answer."""
    visitor = Visitor(site)
    form = {**visitor.form(text=OFFER), "id": given}
    assert visitor.submit(form).heard


# -- sessions ----------------------------------------------------------------------------------------------------------


def test_another_session_cannot_open_a_sealed_talk(site: TestClient) -> None:
    """A talk that was copied out of somebody's page shows nothing in another browser."""
    victim, thief = Visitor(site), Visitor(site)
    victim.write(OFFER)
    page = thief.submit({"talk": victim.page.hidden["talk"], "id": str(uuid.uuid4()), "text": "xin chao"})
    assert page.said == ["xin chao"]
    assert OFFER not in page.html


def test_the_sealed_talk_shows_nothing_to_whoever_reads_the_source(site: TestClient) -> None:
    """The hidden field is ciphertext, not the words in another spelling."""
    visitor = Visitor(site)
    sealed = base64.urlsafe_b64decode(visitor.write("kimcuongxanh di thai lan").hidden["talk"])
    assert b"kimcuongxanh" not in sealed
    assert b"Chao" not in sealed


@pytest.mark.parametrize("spoil", ["cut", "turned", "not base64", "letters", "long"])
def test_a_spoilt_talk_is_an_empty_talk_and_no_error(site: TestClient, spoil: str) -> None:
    """A damaged hidden field costs the old bubbles, not the answer."""
    visitor = Visitor(site)
    sealed = visitor.write(OFFER).hidden["talk"]
    spoilt = {
        "cut": sealed[:-8],
        "turned": sealed[:40] + ("A" if sealed[40] != "A" else "B") + sealed[41:],
        "not base64": "%%%",
        "letters": "được không",
        "long": "A" * 50_000,
    }[spoil]
    page = visitor.submit({"talk": spoilt, "id": str(uuid.uuid4()), "text": "2"})
    assert page.said == ["2"]
    assert page.heard


def test_the_cookie_is_for_this_site_and_this_visit_only(site: TestClient) -> None:
    """HttpOnly, SameSite=Strict, no lifetime of its own, nothing but a random name."""
    cookie = _fresh(site).get("/").headers["set-cookie"]
    parts = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert parts == {"httponly", "path=/", "samesite=strict"}
    assert re.fullmatch(r"banduong=[0-9a-f]{32}", cookie.split(";")[0])


def test_over_https_the_cookie_stays_on_https(shared: App) -> None:
    """Behind TLS the cookie carries Secure as well."""
    client = TestClient(create_site(shared), base_url="https://testserver")
    assert "; secure" in client.get("/").headers["set-cookie"].lower()


@pytest.mark.parametrize("given", ["short", "x" * 31, "x" * 33, "../../../../../../../../../../../"])
def test_a_made_up_cookie_is_replaced(site: TestClient, given: str) -> None:
    """Only a name of the right form is taken back."""
    response = _fresh(site).get("/", headers={"Cookie": f"banduong={given}"})
    assert given not in response.headers["set-cookie"]


def test_two_visitors_get_two_sessions(site: TestClient) -> None:
    """No session is given twice."""
    assert Visitor(site).session != Visitor(site).session


# -- guards ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/leave", "/simulator"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "http://testserver:81"},
        {"Origin": "http://testserver.evil.example"},
        {"Origin": "null"},
        {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_posts_from_other_sites_are_refused(site: TestClient, shared: App, path: str, headers: dict[str, str]) -> None:
    """A form on somebody else's page reaches neither the bot nor the store."""
    before = _rows(shared)
    response = _fresh(site).post(path, data={"text": CRY}, headers=headers)
    assert response.status_code == 403
    assert _rows(shared) == before


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "http://testserver", "Sec-Fetch-Site": "same-origin"},
        {"Origin": "http://testserver"},
        {"Sec-Fetch-Site": "same-origin"},
        {"Origin": "null", "Sec-Fetch-Site": "same-origin"},  # a browser under Referrer-Policy: no-referrer
    ],
)
def test_posts_from_our_own_page_are_taken(site: TestClient, headers: dict[str, str]) -> None:
    """Browsers, old and new, say in different ways that a form is our own."""
    assert Visitor(site).write(OFFER, headers=headers).heard


def test_a_body_over_64_kib_is_refused_before_anything_reads_it(site: TestClient, shared: App) -> None:
    """One byte too many is refused; the last one that fits is answered."""
    before = _rows(shared)
    client = _fresh(site)
    too_large = client.post("/", content=b"text=" + b"x" * (MOST_BODY - 4), headers={"Content-Type": FORM})
    assert too_large.status_code == 413
    assert _rows(shared) == before
    largest = client.post("/", content=b"text=" + b"x" * (MOST_BODY - 5), headers={"Content-Type": FORM})
    assert largest.status_code == 200


def test_a_body_without_a_length_is_refused(site: TestClient) -> None:
    """Whoever does not say how much comes could send without end."""
    response = _fresh(site).post("/", content=iter([b"text=xin+chao"]), headers={"Content-Type": FORM})
    assert response.status_code == 413


@pytest.mark.parametrize("number", ["²", "٣", "-1", "0", "99", "1e3", "9" * 5000, "<b>1</b>"])
def test_a_strange_number_is_no_error(site: TestClient, number: str) -> None:
    """Whatever a client sends as the number of a choice is answered with a page."""
    visitor = Visitor(site)
    visitor.write(OFFER)
    assert visitor.send(number=number).heard


HEADERS = {
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
}


@pytest.mark.parametrize("path", ["/", "/?lang=en", "/simulator", "/healthz", "/api/openapi.json", "/nowhere"])
def test_every_page_carries_exactly_these_headers(site: TestClient, path: str) -> None:
    """No script or style but our own files, in no frame, kept by no cache."""
    headers = dict(_fresh(site).get(path).headers)
    for name in ("content-length", "content-type", "set-cookie"):
        headers.pop(name, None)
    assert headers == HEADERS


def test_a_refusal_carries_the_headers_too(site: TestClient) -> None:
    """The page of a refusal is guarded like any other."""
    headers = _fresh(site).post("/", data={"text": "a"}, headers={"Origin": "https://evil.example"}).headers
    assert {name: headers.get(name) for name in HEADERS} == HEADERS


def test_our_own_files_may_be_kept_for_an_hour(site: TestClient) -> None:
    """Style and script are the same for everybody and say nothing about anybody."""
    for name in ("site.css", "chat.js"):
        assert _fresh(site).get(f"/static/{name}").headers["cache-control"] == "public, max-age=3600"


@pytest.mark.parametrize("path", ["/", "/simulator"])
def test_no_page_holds_a_script_or_a_style_of_its_own(site: TestClient, path: str) -> None:
    """What the policy forbids is not on the pages either: no inline script, style or handler, no other host."""
    page = Page(_fresh(site).get(path).text)
    assert "style" not in page.tags
    assert "<script>" not in page.html
    assert " style=" not in page.html
    assert not page.handlers
    assert all(address.startswith(("/", "data:,")) for address in page.loads)


# -- leaving -----------------------------------------------------------------------------------------------------------


def test_leave_goes_to_the_weather_and_forgets_the_cookie(site: TestClient, shared: App) -> None:
    """One press: a redirect outside, the cookie gone, the browser asked to clear what it keeps of us."""
    visitor = Visitor(site)
    visitor.write(OFFER)
    response = visitor.leave()
    assert response.status_code == 303
    assert response.headers["location"] == shared.config.bot.web.leave_to
    assert response.headers["clear-site-data"] == '"cookies", "storage"'
    assert "banduong" not in visitor.client.cookies


def test_s_05_leave_forgets_the_conversation(site: TestClient) -> None:
    """Whoever comes back with the old cookie is not asked the old question."""
    visitor = Visitor(site)
    question = visitor.write(OFFER)
    session = visitor.session
    visitor.leave()
    visitor.client.cookies.set("banduong", session)
    page = visitor.submit({"text": "1", "id": str(uuid.uuid4())})
    control = Visitor(site)
    control.write(OFFER)
    assert page.heard != control.press("1").heard[-1:]
    assert not set(page.heard) & set(question.heard)


def test_leave_works_even_when_the_store_does_not(sqlite_house: App) -> None:
    """A damaged database is no reason to keep somebody on the page."""
    visitor = Visitor(TestClient(create_site(sqlite_house)))
    _damage(sqlite_house)
    response = visitor.leave()
    assert response.status_code == 303
    assert response.headers["location"] == sqlite_house.config.bot.web.leave_to


# -- too many messages -------------------------------------------------------------------------------------------------


def test_s_36_a_flood_hears_one_kind_word_and_loses_nothing(flooded: "Flood") -> None:
    """Past the limit the page says it once, with the number for danger, and keeps the talk and its choices."""
    visitor = flooded.visitor
    before = visitor.write(OFFER)
    visitor.write("a")
    word = flooded.house.library.say("too_fast", "vi", "text")
    assert visitor.write("b").heard.count(word) == 1
    page = visitor.write("c")
    assert page.heard.count(word) == 1
    assert page.bubbles[: len(before.bubbles)] == before.bubbles


def test_s_36_the_choices_stay_on_the_page_during_a_flood(flooded: "Flood") -> None:
    """The question that was open is still open, so its buttons are still there."""
    flooded.visitor.write("xin chao")
    question = flooded.visitor.write(OFFER)
    assert question.buttons
    assert flooded.visitor.write("a").buttons == question.buttons


def test_s_36_after_a_minute_the_talk_goes_on_where_it_was(flooded: "Flood") -> None:
    """Nothing of the flood counted as an answer, and nobody is locked out."""
    flooded.visitor.write("xin chao")
    question = flooded.visitor.write(OFFER)
    flooded.visitor.write("3 3 3")
    flooded.clock["now"] += 61
    page = flooded.visitor.write("1")
    control = Visitor(TestClient(create_site(flooded.house)))
    control.write(OFFER)
    assert page.heard[-1] == control.press("1").heard[-1]
    assert page.heard[-1] not in question.heard


def test_s_36_one_flood_does_not_silence_another_person(flooded: "Flood") -> None:
    """The limit counts one session, not the site."""
    for text in ("a", "b", "c"):
        flooded.visitor.write(text)
    neighbour = Visitor(flooded.visitor.client)
    assert flooded.house.library.say("too_fast", "vi", "text") not in neighbour.write(OFFER).heard


# -- danger ------------------------------------------------------------------------------------------------------------


def test_s_26_a_cry_for_help_on_the_web_opens_a_case_at_once(site: TestClient, shared: App) -> None:
    """One message with numbers, a case of the highest priority, and choices to go on or stop."""
    before = {case.reference for case in queue_of(shared)}
    page = Visitor(site).write(CRY)
    opened = [case for case in queue_of(shared) if case.reference not in before]
    assert [(case.priority, case.kind) for case in opened] == [("P0", "emergency")]
    assert len(page.heard) == 1
    assert re.search(r"\+\d[\d ]{8,}", page.heard[0])
    assert len(page.buttons) == 3


def test_s_03_not_safe_on_the_web_closes_with_a_neutral_word(site: TestClient, shared: App) -> None:
    """Pressing "not now" ends in one neutral sentence without any choice."""
    visitor = Visitor(site)
    visitor.write(CRY)
    page = visitor.press("2")
    assert page.heard[-1] == shared.library.say("safe_later", "vi", "text")
    assert page.buttons == []


# -- health ------------------------------------------------------------------------------------------------------------


def test_healthz_and_readyz_say_that_all_is_well(site: TestClient) -> None:
    """The process answers, and its database takes a transaction."""
    client = _fresh(site)
    assert (client.get("/healthz").status_code, client.get("/healthz").text) == (200, "ok")
    assert (client.get("/readyz").status_code, client.get("/readyz").text) == (200, "ready")


def test_readyz_says_in_a_sentence_what_is_in_the_way(sqlite_house: App) -> None:
    """With a damaged database the process lives and is not ready."""
    client = TestClient(create_site(sqlite_house))
    assert client.get("/readyz").status_code == 200
    _damage(sqlite_house)
    response = client.get("/readyz")
    assert client.get("/healthz").status_code == 200
    assert response.status_code == 503
    assert response.text.endswith(".")
    assert "sqlite3" not in response.text


def test_a_message_during_trouble_is_answered_with_the_number_for_danger(sqlite_house: App) -> None:
    """Whoever writes while the database is down learns that the message did not arrive, and whom to call."""
    visitor = Visitor(TestClient(create_site(sqlite_house)))
    _damage(sqlite_house)
    response = visitor.client.post("/", data=visitor.form(text=CRY))
    assert response.status_code == 503
    assert response.text == sqlite_house.library.say("trouble", "vi", "text")


# -- long messages -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("letter", ["a", "ạ", "ພ", "中", "&"])
def test_messages_of_4000_characters_are_answered_again_and_again(site: TestClient, letter: str) -> None:
    """The text box takes 4,000 characters of any script, and the page stays small enough to be sent back."""
    visitor = Visitor(site)
    for _ in range(5):
        page = visitor.write(letter * 4000)
        assert page.said[-1] == letter * 4000
        assert page.bubbles[-1].who == "bot"


def test_a_message_over_4000_characters_is_answered_too(site: TestClient) -> None:
    """A pasted advertisement may be longer than the box allows; it is read as far as it goes."""
    assert Visitor(site).write(OFFER + " thong bao tuyen dung" * 400).heard


# -- English -----------------------------------------------------------------------------------------------------------


def test_the_english_page_is_english_from_title_to_foot(site: TestClient) -> None:
    """Every word around the talk changes with the language, and the form stays in it."""
    vietnamese = Visitor(site).page
    english = Visitor(site, "/?lang=en").page
    assert '<html lang="vi">' in vietnamese.html
    assert '<html lang="en">' in english.html
    assert 'action="/?lang=en' in english.html
    assert "Leave now" in english.html
    assert "Thoát nhanh" in vietnamese.html
    assert "Thoát nhanh" not in english.html


def test_an_english_message_is_answered_in_english(site: TestClient, shared: App) -> None:
    """Who writes English hears English, from the introduction on."""
    heard = Visitor(site, "/?lang=en").write("they offer me a job in Thailand with 20 million a month").heard
    assert heard[0] == shared.library.say("intro", "en", "text")


def test_an_unknown_language_is_vietnamese(site: TestClient) -> None:
    """A mistyped address shows the page that most people read."""
    assert '<html lang="vi">' in Visitor(site, "/?lang=xx").page.html


# -- the training phone ------------------------------------------------------------------------------------------------


def test_the_simulator_shows_sms_and_telegram_side_by_side(site: TestClient) -> None:
    """The SMS is folded and counted; Telegram keeps its letters and gets buttons."""
    page = Visitor(site, "/simulator").write(OFFER)
    sms, telegram = page.phones["sms"], page.phones["telegram"]
    assert sms[0].who == telegram[0].who == "you"
    assert all(bubble.text.isascii() for bubble in sms if bubble.who == "bot")
    assert any(not bubble.text.isascii() for bubble in telegram if bubble.who == "bot")
    assert len(page.costs) == len([bubble for bubble in sms if bubble.who == "bot"])
    assert all(re.match(r"\d+ tin SMS, \d+ ký tự, GSM-7", cost) for cost in page.costs)
    assert page.keys == [label for _, label in page.buttons]


def test_the_simulator_follows_the_choices(site: TestClient) -> None:
    """A pressed number goes on with the same talk on both phones."""
    visitor = Visitor(site, "/simulator")
    question = visitor.write(OFFER)
    answered = visitor.press("1")
    for phone in ("sms", "telegram"):
        assert answered.phones[phone][: len(question.phones[phone])] == question.phones[phone]
        assert answered.phones[phone][-1] not in question.phones[phone]


def test_the_simulator_opens_no_case_and_writes_no_row(site: TestClient, shared: App) -> None:
    """A whole rehearsed emergency, with consent and details, leaves the store as it was."""
    before = _rows(shared)
    visitor = Visitor(site, "/simulator")
    page = visitor.write(CRY)
    assert "CaseRequested" in page.html
    for text in ("1", "o shwe kokko, co 7 nguoi", "gap nguoi", "co"):
        visitor.write(text)
    assert _rows(shared) == before


def test_the_simulator_shows_what_was_written_as_text(site: TestClient) -> None:
    """Markup is as harmless on the training phone as in the chat."""
    page = Visitor(site, "/simulator").write("<script>alert(1)</script> {{ 7 * 7 }}")
    assert page.phones["sms"][0].text == "<script>alert(1)</script> {{ 7 * 7 }}"
    assert "script" not in page.tags


@pytest.mark.parametrize("spoilt", ["", "%%%", "QUJD", "được"])
def test_a_spoilt_rehearsal_starts_again(site: TestClient, spoilt: str) -> None:
    """A damaged hidden field is no error on the training phone either."""
    page = Page(_fresh(site).post("/simulator", data={"talk": spoilt, "text": OFFER}).text)
    assert page.phones["sms"][0].text == OFFER


def test_the_simulator_takes_long_messages_again_and_again(site: TestClient) -> None:
    """Twelve pasted advertisements in a row do not outgrow what the server accepts."""
    visitor = Visitor(site, "/simulator")
    for _ in range(12):
        page = visitor.write("tuyển lao động đi Thái Lan lương hai mươi triệu một tháng " * 60)
        assert page.phones["telegram"][-1].who == "bot"


@pytest.mark.parametrize(
    ("deployment", "wish", "status"),
    [("trial", "trial", 200), ("trial", "never", 404), ("production", "trial", 404), ("production", "always", 200)],
)
def test_the_training_phone_is_served_in_a_trial_or_on_demand(
    deployment: str, wish: str, status: int, config: Config, classifier: EmbeddedClassifier
) -> None:
    """What a text sets off is nobody's business once villagers write."""
    web = config.bot.web.model_copy(update={"training_phone": wish})
    bot = config.bot.model_copy(update={"deployment": deployment, "web": web})
    house = _house(config.model_copy(update={"bot": bot}), classifier)
    client = TestClient(create_site(house))
    assert client.get("/simulator").status_code == status
    assert client.get("/").status_code == 200
    house.database.close()


# -- OpenAPI -----------------------------------------------------------------------------------------------------------


def test_openapi_names_what_other_programs_may_use(site: TestClient) -> None:
    """The description is there, and holds the health pages but none of the pages for people."""
    paths = _fresh(site).get("/api/openapi.json").json()["paths"]
    assert {"/healthz", "/readyz"} <= set(paths)
    assert not {"/", "/leave", "/simulator"} & set(paths)


def test_the_page_of_the_interfaces_asks_no_other_host(site: TestClient) -> None:
    """/api/docs is reachable and works under our own policy: nothing inline, nothing from elsewhere."""
    response = _fresh(site).get("/api/docs")
    page = Page(response.text)
    assert response.status_code == 200
    assert "<script>" not in page.html
    assert all(address.startswith(("/", "data:,")) for address in page.loads)


# -- no words in any log -----------------------------------------------------------------------------------------------


def test_no_log_record_holds_words_or_sessions(site: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    """At the most talkative level, of all libraries, nothing that was said and nobody's session is written down."""
    caplog.set_level(logging.DEBUG)
    visitor = Visitor(site)
    visitor.write(f"kimcuongxanh 0912345678 {OFFER}")
    visitor.press("1")
    visitor.write(f"kimcuongxanh {CRY}")
    session = visitor.session
    visitor.leave()
    Visitor(site, "/simulator").write(f"kimcuongxanh {OFFER}")
    _assert_silent(caplog, session)


def test_no_log_record_of_trouble_holds_words_or_sessions(sqlite_house: App, caplog: pytest.LogCaptureFixture) -> None:
    """An error is written down as a sentence, without what the person was saying."""
    caplog.set_level(logging.DEBUG)
    visitor = Visitor(TestClient(create_site(sqlite_house)))
    _damage(sqlite_house)
    visitor.client.post("/", data=visitor.form(text=f"kimcuongxanh 0912345678 {CRY}"))
    assert any(record.levelno == logging.ERROR for record in caplog.records)
    _assert_silent(caplog, visitor.session)


def _assert_silent(caplog: pytest.LogCaptureFixture, session: str) -> None:
    assert any(record.name == "banduong" for record in caplog.records)
    for record in caplog.records:
        written = f"{record.getMessage()} {record.__dict__}"
        assert not [word for word in ("kimcuongxanh", "0912345678", "myanmar", session) if word in written], record.name


# -- the browser -------------------------------------------------------------------------------------------------------

PLAIN_TAGS = set(
    "html head meta title link body header div h1 p form button main section span bdi b input label textarea footer a "
    "script nav ul ol li".split()
)
VOID = set("meta link input br img".split())


@dataclass
class Bubble:
    """One message as it stands on a page."""

    who: str
    anchor: str | None = field(default=None, compare=False)
    text: str = ""
    isolated: bool = False


class Page(HTMLParser):
    """A page as a person and a browser see it: bubbles, buttons, hidden fields, and which tags it is made of."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.html = html
        self.tags: set[str] = set()
        self.handlers: list[str] = []
        self.loads: list[str] = []
        self.hidden: dict[str, str] = {}
        self.bubbles: list[Bubble] = []
        self.phones: dict[str, list[Bubble]] = {"sms": [], "telegram": []}
        self.costs: list[str] = []
        self.keys: list[str] = []
        self.buttons: list[tuple[str, str]] = []
        self._open: list[tuple[str, set[str], dict[str, str]]] = []
        self.feed(html)

    @property
    def said(self) -> list[str]:
        return [bubble.text for bubble in self.bubbles if bubble.who == "you"]

    @property
    def heard(self) -> list[str]:
        return [bubble.text for bubble in self.bubbles if bubble.who == "bot"]

    @property
    def fields(self) -> set[str]:
        return set(self.hidden)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        classes = set(given.get("class", "").split())
        self.tags.add(tag)
        self.handlers += [name for name in given if name.startswith("on")]
        if tag in ("script", "link", "img", "iframe"):
            self.loads += [given[name] for name in ("src", "href") if name in given]
        if tag == "input" and given.get("type") == "hidden":
            self.hidden[given["name"]] = given["value"]
        if tag not in VOID:
            self._open.append((tag, classes, given))
        self._begin(tag, classes, given)

    def _begin(self, tag: str, classes: set[str], given: dict[str, str]) -> None:
        if "bubble" in classes:
            self._talk().append(Bubble("you" if "you" in classes else "bot", given.get("id")))
        if tag == "button" and given.get("name") == "number":
            self.buttons.append((given["value"], ""))
        if "cost" in classes:
            self.costs.append("")
        if tag == "span" and self._within("keys"):
            self.keys.append("")

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self._within("who"):
            return
        if self._within("bubble"):
            bubble = self._talk()[-1]
            bubble.text += data
            bubble.isolated = bubble.isolated or any(tag == "bdi" for tag, _, _ in self._open)
        elif self._within("cost"):
            self.costs[-1] += data
        elif self._within("keys") and data.strip():
            self.keys[-1] += data
        elif self._in_choice() and not any(tag == "b" for tag, _, _ in self._open):
            value, label = self.buttons[-1]
            self.buttons[-1] = (value, f"{label}{data}".strip())

    def _in_choice(self) -> bool:
        return any(tag == "button" and given.get("name") == "number" for tag, _, given in self._open)

    def _within(self, name: str) -> bool:
        return any(name in classes for _, classes, _ in self._open)

    def _talk(self) -> list[Bubble]:
        return next((self.phones[name] for name in self.phones if self._within(name)), self.bubbles)


class Visitor:
    """One person with a browser of their own, without JavaScript."""

    def __init__(self, site: TestClient, path: str = "/") -> None:
        self.client = _fresh(site)
        self.path = path
        self.page = Page(self.client.get(path).text)

    @property
    def session(self) -> str:
        return str(self.client.cookies["banduong"])

    def form(self, text: str = "", number: str = "") -> dict[str, str]:
        """What the browser would send: the hidden fields, the text box, and the button that was pressed."""
        return {**self.page.hidden, "text": text, **({"number": number} if number else {})}

    def write(self, text: str, headers: dict[str, str] | None = None) -> Page:
        return self.submit(self.form(text), headers)

    def press(self, number: str) -> Page:
        assert number in [value for value, _ in self.page.buttons]
        return self.send(number=number)

    def send(self, text: str = "", number: str = "") -> Page:
        return self.submit(self.form(text, number))

    def submit(self, form: dict[str, str], headers: dict[str, str] | None = None) -> Page:
        response: httpx.Response = self.client.post(self.path, data=form, headers=headers)
        assert response.status_code == 200, response.text[:200]
        self.page = Page(response.text)
        return self.page

    def leave(self) -> httpx.Response:
        response: httpx.Response = self.client.post("/leave", follow_redirects=False)
        return response


@dataclass
class Flood:
    """A site that takes two messages a minute, and a clock that moves when it is told to."""

    house: App
    visitor: Visitor
    clock: dict[str, float] = field(default_factory=dict)


@pytest.fixture(scope="module")
def shared(classifier: EmbeddedClassifier, tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """One house for all tests that only look at their own session; building one costs more than most tests."""
    home = tmp_path_factory.mktemp("web")
    house = _house(load_config(ROOT / "config.yml", {"BANDUONG_HOME": str(home)}), classifier)
    yield house
    house.database.close()


@pytest.fixture(scope="module")
def site(shared: App) -> TestClient:
    return TestClient(create_site(shared))


@pytest.fixture
def flooded(config: Config, classifier: EmbeddedClassifier, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flood]:
    clock = {"now": 1000.0}
    monkeypatch.setattr("bot.web.chat.time", SimpleNamespace(monotonic=lambda: clock["now"]))
    web = config.bot.web.model_copy(update={"messages_per_minute": 2})
    house = _house(config.model_copy(update={"bot": config.bot.model_copy(update={"web": web})}), classifier)
    yield Flood(house, Visitor(TestClient(create_site(house))), clock)
    house.database.close()


def _house(config: Config, classifier: EmbeddedClassifier) -> App:
    house = House(config)
    house.__dict__["classifier"] = classifier
    return house


def _fresh(client: TestClient) -> TestClient:
    """Another browser on the same site, without any cookie yet."""
    return TestClient(client.app, base_url=str(client.base_url))


def _rows(house: App) -> dict[str, Any]:
    """How many rows each table holds."""
    with house.database.begin() as connection:
        return {
            table.name: connection.execute(select(func.count()).select_from(table)).scalar()
            for table in metadata.sorted_tables
        }


def _damage(house: App) -> None:
    """Overwrites the database file, as a broken disk would."""
    house.database.close()
    for path in Path(house.config.home).glob("banduong.db*"):
        path.write_bytes(b"no database any more " * 500)
