"""What the console asks again, and what it does only with a yes or a second person (S-11, S-12, S-16, S-22)."""

import datetime as dt
import html
import re

import httpx
import pytest
from sqlalchemy import select, update

from bot import contacts
from bot.app import App
from bot.messages import Address
from bot.store import tables
from bot.testing import FakeClock
from bot.web.pages import create_site
from tests.colleagues import join
from tests.console_site import MINUTE, NUMBER, RECRUITER, Desk, Site, Town

PROMISE, FACT, PLAIN_WORDS = (
    "Chúng tôi chắc chắn cứu bạn ra",
    "Vẫn ở Campuchia phải không?",
    "Vâng, mình nghe",
)
RECRUITERS = f"Bạn gọi lại số {RECRUITER} đi"
REASON = "nguy hiểm tính mạng, cần gọi ngay"


@pytest.fixture
def town(sqlite_house: App) -> Town:
    sqlite_house.clock = clock = FakeClock()
    return Town(Site(sqlite_house, create_site(sqlite_house), clock))


# -- the composer ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("warning", "text"), [("promise", PROMISE), ("recruiter", RECRUITERS), ("unverified", FACT)])
def test_s_11_s_16_what_could_harm_is_sent_at_the_second_press_only(town: Town, warning: str, text: str) -> None:
    """A promise, the recruiter's number, or the place of a case to somebody who may be another person: the page says why, keeps
    the words, and sends at the second press."""
    _came_back(town)
    first = _send(town, text)
    assert first.status_code == 200
    assert town.house.library.console("vi")["warnings"][warning] in html.unescape(first.text)
    assert text in html.unescape(first.text)
    assert _left(town) == 0
    assert _send(town, text, confirm=_confirm(first)).status_code == 303
    assert _left(town) == 1


def test_s_11_to_the_same_person_the_place_may_be_said(town: Town) -> None:
    """Without a pause nothing is asked again; and ordinary words never are."""
    for number, text in enumerate((FACT, PLAIN_WORDS)):
        assert _send(town, text, id=str(number)).status_code == 303
    assert _left(town) == 2


def test_s_16_the_second_press_is_for_these_very_words(town: Town) -> None:
    """What confirmed one text lets no other go, not even with one letter more; nor does anything made up."""
    confirm = _confirm(_send(town, PROMISE))
    for other in (PROMISE + "!", PROMISE.lower(), RECRUITERS, f"{PROMISE} {RECRUITER}"):
        assert _send(town, other, confirm=confirm).status_code == 200
    for made_up in ("", "1", "on", confirm[:-1], confirm.upper() + " "):
        assert _send(town, PROMISE, confirm=made_up).status_code == 200
    assert _left(town) == 0


def test_two_presses_send_once(town: Town) -> None:
    """The same words with the same id; other words under it are no second press, and are not lost."""
    for _ in range(2):
        assert _send(town, PLAIN_WORDS, id="one-press").status_code == 303
    assert _left(town) == 1
    assert town.lan.get(f"/console/cases/{town.held}").text.count(PLAIN_WORDS) == 1
    assert _send(town, "Mình vẫn ở đây nhé", id="one-press").status_code == 303
    assert _left(town) == 2


def test_a_preview_sends_nothing(town: Town) -> None:
    """It shows what would be asked, and leaves every row as it was."""
    before = town.rows("audit", "audit_head")
    page = town.lan.post(f"/console/cases/{town.held}/preview", text=PROMISE)
    assert town.house.library.console("vi")["warnings"]["promise"] in html.unescape(page.text)
    assert town.rows("audit", "audit_head") == before


# -- the number, and what is passed on -----------------------------------------------------------------------------------


def test_s_22_a_number_without_a_yes_is_not_shown(town: Town) -> None:
    """Refused to the owner and to a supervisor, with nothing of it in the answer, and nobody is said to have seen it."""
    for desk in (town.lan, town.thu):
        answer = _reveal(town, desk)
        assert answer.status_code == 403
        assert NUMBER[3:] not in answer.text
    assert "revealed" not in town.actions(town.held)


def test_s_22_a_number_with_a_yes_is_shown_once_and_written_down(town: Town) -> None:
    """On the page that answers the button, and on no other; every look is a row of the audit."""
    _says_yes(town)
    assert NUMBER in html.unescape(_reveal(town, town.lan).text)
    assert NUMBER[3:] not in town.lan.get(f"/console/cases/{town.held}").text
    _reveal(town, town.lan)
    assert town.actions(town.held).count("revealed") == 2


def test_s_22_a_yes_that_is_taken_back_shows_nothing_more(town: Town) -> None:
    """From that moment on."""
    _says_yes(town)
    with town.house.database.begin() as connection:
        connection.execute(update(tables.consents).values(withdrawn_at=town.clock.now))
    assert _reveal(town, town.lan).status_code == 403


def test_s_22_a_supervisor_does_not_grant_what_they_asked_themselves(town: Town) -> None:
    """The button is not there, and a form made by hand is refused; a colleague may, and it holds for an hour, for who asked."""
    town.lan.post(f"/console/cases/{town.held}/hand-over", to=town.thu.who.account.id)
    town.thu.post(f"/console/cases/{town.held}/second", kind="share_police", reason=REASON)
    with town.house.database.begin() as connection:
        asked = connection.execute(select(tables.requests).where(tables.requests.c.kind == "share_police")).one()
    assert f'action="/console/second/{asked.id}"' not in town.thu.get("/console/second").text
    assert town.thu.post(f"/console/second/{asked.id}", answer="grant").status_code == 403
    assert town.row(tables.requests, id=asked.id).granted is None
    other = town.desk(join(town.house, "hai.vo", "supervisor", name="Hải", now=town.clock.now + MINUTE))
    assert other.post(f"/console/second/{asked.id}", answer="grant").status_code == 303
    assert other.post(f"/console/second/{asked.id}", answer="refuse").status_code == 409
    assert town.row(tables.consents, purpose="share_police").basis == "emergency"


def test_s_22_what_was_granted_to_one_serves_no_other_and_ends(town: Town) -> None:
    """Lan's request shows the number to Lan, for an hour; not to the supervisor who granted it, nor to who has the case next."""
    request = town.row(tables.requests, case_id=town.case(town.held).id)
    assert town.thu.post(f"/console/second/{request.id}", answer="grant").status_code == 303
    assert _reveal(town, town.thu).status_code == 403
    assert NUMBER in html.unescape(_reveal(town, town.lan).text)
    for _ in range(3):  # nobody is logged out for being idle
        town.clock.advance(dt.timedelta(minutes=20))
        town.lan.get("/console/queue")
        town.thu.get("/console/queue")
    assert _reveal(town, town.lan).status_code == 403
    town.lan.post(f"/console/cases/{town.held}/hand-over", to=town.minh.who.account.id)
    assert _reveal(town, town.lan).status_code == 403


# -- helpers -----------------------------------------------------------------------------------------------------------


def _send(town: Town, text: str, **form: str) -> httpx.Response:
    return town.lan.post(f"/console/cases/{town.held}/send", **{"text": text, "id": "1", **form})


def _reveal(town: Town, desk: Desk) -> httpx.Response:
    return desk.post(f"/console/cases/{town.held}/reveal")


def _confirm(page: httpx.Response) -> str:
    found = re.search(r'name="confirm" value="([^"]+)"', page.text)
    assert found
    return found[1]


def _left(town: Town) -> int:
    """Messages of operators on their way."""
    with town.house.database.begin() as connection:
        return len(connection.execute(select(tables.outbox.c.id).where(tables.outbox.c.author == "operator")).all())


def _came_back(town: Town) -> None:
    """The person has just written, after a pause in which the phone may have changed hands."""
    with town.house.database.begin() as connection:
        now = town.clock.now
        connection.execute(update(tables.cases).values(paused_at=now, heard_at=now))


def _says_yes(town: Town) -> None:
    database, now = town.house.database, town.clock.now
    with database.begin() as connection:
        contact = contacts.find_or_create(connection, database.keyring, Address("sms", NUMBER), now)
        contacts.record_consent(
            connection,
            database.keyring,
            contact,
            purpose="reveal",
            basis="consent",
            reason="asked",
            words="co",
            now=now,
        )
