"""Alerts in the console, from the form to the report: what outreach staff can do, what is refused, and what they never learn."""

import datetime as dt
import html
import logging
import re
from typing import Any

import pytest
from sqlalchemy import select

from bot import contacts
from bot.app import App
from bot.jobs import next_times
from bot.messages import VIETNAM
from bot.outreach import schedule
from bot.outreach.terms import Terms
from bot.staff import accounts
from bot.staff.accounts import Pages
from bot.store import tables as t
from bot.testing import FakeClock
from bot.web.console.alert_forms import money, of_plan, read
from bot.web.console.alert_schedules import when_of
from bot.web.pages import create_site
from tests.broadcasting import NO_LIMITS, NOON, Office, a_subscriber
from tests.colleagues import join
from tests.console_pages import words
from tests.console_site import Desk, Site

HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)
ALERTS = "/console/alerts"
TOLD = words("vi")
SECRET = "Chào bạn, mình là Bạn Đường, có tin về chỗ làm vungcaoxyz."
GOOD = {
    "title": "Việc ở vùng cao", "text-vi": SECRET, "sms-vi": "Bạn Đường: tin về chỗ làm vungcaoxyz. Cần hỏi thì nhắn mình.",
    "source_name": "Báo Thanh Niên", "source_url": "https://thanhnien.vn/tin", "source_date": "2026-11-20",
    "channel-telegram": "yes", "channel-sms": "yes", "choice-1": "Gặp người thật", "when": "now", "until_day": "2026-11-26",
    "until_hour": "18:00", "budget": "50.000",
}  # fmt: skip


class Room:
    """Two people of outreach and a supervisor, logged in; the channels are set up, and nothing waits before it leaves."""

    def __init__(self, house: App) -> None:
        self.house, self.clock = house, FakeClock(NOON)
        house.clock = self.clock
        house.__dict__["alert_terms"] = Terms(house.library, limits=NO_LIMITS)
        self.office = Office(house)
        self.site = Site(house, create_site(house), self.clock)
        self.an, self.binh = (self._desk(login, "outreach") for login in ("an.le", "binh.ho"))
        self.chi = self._desk("chi.vo", "supervisor")

    def _desk(self, login: str, role: str) -> Desk:
        return Desk(self.site, join(self.house, login, role, now=self.clock.now, name=login))

    def people(self, number: int, **more: Any) -> None:
        with self.house.database.begin() as connection:
            for one in range(number):
                a_subscriber(connection, self.house, f"{9000 + one}", **more)

    def write(self, **more: str) -> str:
        """A draft by An; its reference."""
        answer = self.an.post(f"{ALERTS}/new", **{**GOOD, **more})
        assert answer.status_code == 303, _text(answer)
        return str(answer.headers["location"].rsplit("/", 1)[1])

    def do(self, desk: Desk, reference: str, job: str, **form: str) -> Any:
        """Presses a button of the alert's own page, with the digest that stands there."""
        found = re.search(r'name="digest" value="(\w+)"', desk.get(f"{ALERTS}/{reference}").text)
        return desk.post(f"{ALERTS}/{reference}/{job}", **{**({"digest": found[1]} if found else {}), **form})

    def row(self, reference: str) -> Any:
        with self.house.database.begin() as connection:
            return connection.execute(select(t.broadcasts).where(t.broadcasts.c.reference == reference)).one()

    def send(self, **more: str) -> str:
        """Written, urgent so that it needs a second person, approved and gone through."""
        reference = self.write(urgent="yes", **more)
        assert self.do(self.an, reference, "submit").status_code == 303
        assert self.do(self.binh, reference, "approve").status_code == 303
        self.office.expand(self.row(reference).id, self.clock.now)
        return reference


@pytest.fixture
def room(house: App) -> Room:
    return Room(house)


@pytest.fixture
def small_room(sqlite_house: App) -> Room:
    return Room(sqlite_house)


# -- from the form to the report ---------------------------------------------------------------------------------------


def test_an_alert_goes_all_the_way(room: Room) -> None:
    """Previewed, kept, sent off, refused to its author, approved, sent, paused, resumed, cancelled, reported."""
    room.people(15)
    seen = room.an.post(f"{ALERTS}/preview", **GOOD)
    assert seen.status_code == 200
    assert "[QC] Ban Duong: tin ve cho lam vungcaoxyz" in _text(seen)
    assert TOLD["alert_preview"]["total"].format(people="15 + <11") in _text(seen)
    reference = room.write(urgent="yes")
    assert room.do(room.an, reference, "submit").status_code == 303
    assert room.row(reference).status == "waiting"
    own = room.do(room.an, reference, "approve", digest=room.row(reference).digest)
    assert (own.status_code, room.row(reference).status) == (409, "waiting")
    assert TOLD["alert_conflicts"]["own"] in _text(own)
    assert "/approve" not in room.an.get(f"{ALERTS}/{reference}").text
    assert TOLD["common"]["count_alerts"] in room.chi.get(ALERTS).text
    assert room.do(room.chi, reference, "approve").headers["location"] == f"{ALERTS}/{reference}"
    room.office.expand(room.row(reference).id, room.clock.now)
    room.office.feed(room.clock.now)
    assert room.row(reference).status == "running"
    for job, status in (("pause", "paused"), ("resume", "scheduled")):
        assert room.do(room.binh, reference, job).status_code == 303
        assert room.row(reference).status == status
    assert len(room.office.deliver(room.clock.now)) == 15
    page = _text(room.an.get(f"{ALERTS}/{reference}"))
    assert TOLD["alert_states"]["sent"] in page
    assert TOLD["alert_statuses"]["done"] in page
    table = room.an.get(f"{ALERTS}/{reference}/report.csv")
    assert {"an.le", "chi.vo"} <= set(re.findall(r"\b[a-z]+\.[a-z]+\b", table.text))
    assert f"{TOLD['alert_states']['sent']},15" in table.text
    paper = room.chi.get(f"{ALERTS}/{reference}/report.pdf")
    assert (paper.headers["content-type"], paper.content[:5]) == ("application/pdf", b"%PDF-")
    done = {f"alert_{one}" for one in ("submitted", "approved", "paused", "resumed")}
    assert set(_audited(room)) == done <= room.house.library.console("vi")["audit_actions"].keys()


def test_cancelling_asks_once_more_and_is_for_good(small_room: Room) -> None:
    """Without the tick nothing happens; with it nobody gets anything more."""
    small_room.people(3)
    reference = small_room.send()
    assert small_room.do(small_room.binh, reference, "cancel").status_code == 409
    assert small_room.row(reference).status == "scheduled"
    assert small_room.do(small_room.binh, reference, "cancel", sure="yes").status_code == 303
    assert small_room.office.deliver(small_room.clock.now) == []
    assert small_room.do(small_room.an, reference, "resume").status_code == 409


def test_what_changed_after_it_was_shown_is_not_approved(room: Room) -> None:
    """An old page approves, sends off and overwrites nothing; what was typed meanwhile is still in the form."""
    reference = room.write(urgent="yes")
    old = room.row(reference).digest
    edited = {**GOOD, "title": "Tên khác", "urgent": "yes", "digest": old}
    assert room.binh.post(f"{ALERTS}/{reference}/edit", **edited).status_code == 303
    assert room.do(room.an, reference, "submit", digest=old).status_code == 409
    late = room.an.post(f"{ALERTS}/{reference}/edit", **{**edited, "title": "Tên của An"})
    assert late.status_code == 409
    assert "Tên của An" in _text(late)
    assert TOLD["alert_conflicts"]["changed"] in _text(late)
    room.do(room.an, reference, "submit")
    refused = room.do(room.binh, reference, "approve", digest=old)
    assert TOLD["alert_conflicts"]["changed"] in _text(refused)
    assert room.row(reference).status == "waiting"
    room.do(room.binh, reference, "send-back")
    assert room.row(reference).status == "draft"


def test_nothing_leaves_that_is_to_be_mended(small_room: Room) -> None:
    """A number typed by hand, no source: shown in plain words, kept as a draft, and not sent off."""
    reference = small_room.write(**{"text-vi": "Chào bạn. Gọi 0912345678 nhé.", "source_name": "", "source_url": ""})
    page = _text(small_room.an.get(f"{ALERTS}/{reference}"))
    assert TOLD["alert_problems"]["no_source"] in page
    assert TOLD["alert_problems"]["number"].format(words="0912345678") in page
    assert TOLD["alert_conflicts"]["problems"] in _text(small_room.do(small_room.an, reference, "submit"))
    assert small_room.row(reference).status == "draft"


def test_what_is_wrong_is_told_at_its_field_and_nothing_is_lost(small_room: Room) -> None:
    """Every field that cannot be read: 400, its sentence, and all that was typed; nothing is kept."""
    wrong = {
        "title": ("", "title"), "until_day": ("mai", "day"), "until_hour": ("25:00", "hour"), "budget": ("nhiều", "budget"),
        "places": ("Nghệ An, Atlantis", "place"), "joined_from": ("9999999", "day"),
    }  # fmt: skip
    for field, (typed, sentence) in wrong.items():
        answer = small_room.an.post(f"{ALERTS}/new", **{**GOOD, field: typed})
        assert answer.status_code == 400, field
        assert TOLD["alert_form"][f"wrong_{sentence}"] in _text(answer), field
        assert SECRET in _text(answer)
    nowhere = {name: value for name, value in GOOD.items() if not name.startswith("channel-")}
    assert TOLD["alert_form"]["wrong_channel"] in _text(small_room.an.post(f"{ALERTS}/new", **nowhere))
    late = {**GOOD, "when": "at", "start_day": "2026-11-27", "start_hour": "08:00"}
    assert TOLD["alert_form"]["wrong_late"] in _text(small_room.an.post(f"{ALERTS}/new", **late))
    with small_room.house.database.begin() as connection:
        assert connection.execute(select(t.broadcasts)).all() == []


def test_a_template_comes_with_its_blanks(small_room: Room) -> None:
    """What is not filled in yet hinders; what is filled in stands in the preview, by each channel."""
    page = small_room.an.get(f"{ALERTS}/new?template=offer_near_you")
    blank = small_room.house.library.alerts["offer_near_you"].blanks["place"]
    assert blank.what.vi in _text(page)
    assert 'name="blank-place-en"' in page.text
    fields = _fields(page)
    against = TOLD["alert_problems"]["blank"].split("{")[0] + blank.what.vi
    assert against in _text(small_room.an.post(f"{ALERTS}/preview", **fields))
    filled = {f"blank-{name}-{of}": "Mường Xyz" for name in ("place", "job") for of in ("vi", "en")}
    seen = _text(small_room.an.post(f"{ALERTS}/preview", **{**fields, **filled}))
    assert "o Muong Xyz co nguoi moi" in seen
    assert TOLD["alert_problems"]["blank"].split("{")[0] not in seen


def test_a_draft_comes_back_into_the_form_as_it_was(small_room: Room) -> None:
    """Read, shown and read again: the same plan; old and new names of provinces mean the province of now."""
    library = small_room.house.library
    form = {**GOOD, "places": "yên bái, Sài Gòn", "province-N40": "yes", "language-vi": "yes", "interest": "abroad", "joined_from": "2026-01-02"}  # fmt: skip
    plan = read(form, library, ("telegram", "sms")).plan
    assert plan
    assert plan.audience.provinces == ("N15", "N40", "N79")
    assert plan.words.choices == ("human",)
    assert plan.valid_until == dt.datetime(2026, 11, 26, 18, tzinfo=VIETNAM)
    assert read(of_plan(plan, library), library, ("telegram", "sms")).plan == plan


@pytest.mark.parametrize(
    ("written", "amount"),
    [("", 0), ("3.000.000", 3_000_000), ("3,000,000", 3_000_000), ("5 000", 5000), ("-5", None), ("²", None), ("9" * 10, None)],
)  # fmt: skip
def test_amounts(written: str, amount: int | None) -> None:
    """Dots, commas and spaces group; what is negative, no figure, or more than the store holds is refused."""
    assert money(written) == amount


# -- what nobody learns ------------------------------------------------------------------------------------------------


def test_s_09_a_small_audience_tells_nothing_about_one_person(room: Room) -> None:
    """The very same page, whether the one person who fits would get it, or is left out for their safety."""
    with room.house.database.begin() as connection:
        person = a_subscriber(connection, room.house, "777", province="N40")
    pages = []
    for endangered in (False, True):
        if endangered:
            with room.house.database.begin() as connection:
                contacts.set_silent(connection, [person.id], room.clock.now)
        room.clock.advance(HOUR / 60)
        pages.append(room.an.post(f"{ALERTS}/preview", **{**GOOD, "province-N40": "yes"}).text)
    assert pages[0] == pages[1]
    assert "&lt;11" in pages[0]


def test_s_09_who_was_left_out_for_their_safety_is_never_counted_below_eleven(room: Room) -> None:
    """On the page, in the table: always a line, always "<11", also where there is none."""
    room.people(12)
    reference = room.send()
    room.office.deliver(room.clock.now)
    page, table = room.an.get(f"{ALERTS}/{reference}").text, room.an.get(f"{ALERTS}/{reference}/report.csv").text
    safety = TOLD["alert_reasons"]["safety"]
    assert f"&lt;11: {safety}" in page
    assert f"{TOLD['alert_report']['left_out']}: {safety},<11" in table
    for kind in TOLD["alert_answers"].values():
        assert f"&lt;11: {kind}" in page
        assert f"{kind},<11" in table


def test_receipts_are_masked_and_can_be_sifted(room: Room) -> None:
    """Two figures of an address, never more; by state, and what a code means."""
    room.people(12)
    reference = room.send()
    room.office.deliver(room.clock.now)
    every = room.an.get(f"{ALERTS}/{reference}/receipts").text
    assert every.count("•••") == 12
    assert not re.search(r"90\d\d", re.sub(r"<time[^>]*>[^<]*|<input[^>]*>", "", every))
    assert "•••" not in room.an.get(f"{ALERTS}/{reference}/receipts?show=failed").text
    assert room.an.get(f"{ALERTS}/{reference}/receipts?show=arrived&page=2").status_code == 200


def test_s_09_a_receipt_tells_no_reason_of_ours(room: Room) -> None:
    """Why a message of one person was held back is nobody's business; what a provider said of it is shown."""
    room.people(12)
    reference = room.send()
    room.office.deliver(room.clock.now)
    with room.house.database.begin() as connection:
        first, second = (
            connection.execute(select(t.outbox.c.id).where(t.outbox.c.broadcast_id.is_not(None))).scalars().all()[:2]
        )
        for one, status, error in ((first, "cancelled", "silent"), (second, "failed", "403")):
            connection.execute(t.outbox.update().where(t.outbox.c.id == one).values(status=status, error=error))
    page = _text(room.an.get(f"{ALERTS}/{reference}/receipts?show=failed"))
    assert page.count("•••") == 2
    assert ("silent" in page, TOLD["alert_failures"]["403"] in page) == (False, True)


def test_a_table_computes_nothing(small_room: Room) -> None:
    """A name that begins like a formula is text in the report."""
    reference = small_room.write(title='=HYPERLINK("http://x.example")')
    assert "'=HYPERLINK" in small_room.an.get(f"{ALERTS}/{reference}/report.csv").text


def test_a_row_that_was_changed_without_approval_is_told_and_hides_nothing_else(small_room: Room) -> None:
    """The list opens; the one says what happened; the other is there."""
    changed, other = small_room.write(), small_room.write(title="Tin khác")
    with small_room.house.database.begin() as connection:
        connection.execute(t.broadcasts.update().where(t.broadcasts.c.reference == changed).values(budget_vnd=9))
    page = small_room.an.get(ALERTS)
    assert (page.status_code, "Tin khác" in _text(page)) == (200, True)
    assert TOLD["alert_conflicts"]["tampered"] in _text(page)
    assert small_room.an.get(f"{ALERTS}/{changed}").status_code == 409
    assert small_room.an.get(f"{ALERTS}/{other}").status_code == 200


def test_markup_is_shown_as_it_was_typed(small_room: Room) -> None:
    """In names, texts, sources, buttons and blanks, on every page and in what is refused: nothing comes alive, and nothing hides."""
    evil = "<script>alert(1)</script>\"'><b>{{7*7}}\u202eabc"
    forms = [
        {"title": evil[:70], "text-vi": evil, "sms-vi": evil, "source_name": evil, "source_url": evil, "choice-1": evil}
    ]
    forms.append({**forms[0], "places": evil, "template": evil, "until_day": evil, "budget": evil})
    reference = small_room.write(**forms[0])
    pages = [small_room.an.post(f"{ALERTS}/preview", **{**GOOD, **form}) for form in forms]
    pages += [small_room.an.get(path) for path in (
        ALERTS, f"{ALERTS}/{reference}", f"{ALERTS}/{reference}/edit", f"{ALERTS}/{reference}/receipts",
        f"{ALERTS}/schedules/new?of={reference}", f"{ALERTS}/new?template=<script>",
    )]  # fmt: skip
    for page in pages:
        assert page.status_code == 200
        shown = re.sub(r"<textarea[^<]*</textarea>|<input [^>]*>", "", page.text)
        assert re.findall(r"<script>|<b>\{\{|\u202e", shown.replace("/static/", "")) == []
    assert sum("[U+202E]" in page.text and "{{7*7}}" in page.text for page in pages) >= 5


def test_nothing_of_an_alert_stands_in_logs_or_addresses(small_room: Room, caplog: pytest.LogCaptureFixture) -> None:
    """At the most talkative level, from the form to the receipts: no word of it and no number of anybody."""
    caplog.set_level(logging.DEBUG)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # the test's own browser
    small_room.people(3)
    small_room.an.post(f"{ALERTS}/preview", **GOOD)
    reference = small_room.send(**{"province-N40": "yes"})
    for page in ("", "/receipts", "/report.csv", "/report.pdf", "/progress"):
        answer = small_room.an.get(f"{ALERTS}/{reference}{page}")
        for address in re.findall(r'(?:href|action|hx-get)="([^"]*)"', answer.text if page != "/report.pdf" else ""):
            assert not re.search(r"vungcao|N40|900\d", address), address
    assert not re.search(r"vungcaoxyz|thanhnien|N40|\b900\d\b", caplog.text)


# -- to oneself, money, copies -----------------------------------------------------------------------------------------


def test_a_test_goes_to_oneself_with_a_word_in_front(room: Room) -> None:
    """To the addresses of one's own account, once for two presses; refused in plain words where there is none."""
    reference = room.write()
    refused = room.do(room.an, reference, "test")
    assert TOLD["alert_conflicts"]["no_address"] in _text(refused)
    with room.house.database.begin() as connection:
        accounts.set_pages(
            connection,
            room.house.database.keyring,
            room.an.who.account,
            Pages(sms="+84900000009"),
            room.clock.now,
            by="x",
        )
    for _ in range(2):
        assert room.do(room.an, reference, "test").status_code == 303
    with room.house.database.begin() as connection:
        (row,) = connection.execute(select(t.outbox)).all()
        keyring = room.house.database.keyring
        body = keyring.open(row.sealed_body, f"outbox|{row.id}|sealed_body")
    assert (row.author, row.channel, row.broadcast_id) == ("page", "sms", None)
    assert body.count("Gui thu: [QC] Ban Duong: tin ve cho lam") == 1


def test_money_is_raised_by_somebody_else(room: Room) -> None:
    """What is paused for money goes on with more; its author cannot give it."""
    room.people(12, channel="sms")
    reference = room.send(budget="500")
    room.office.deliver(room.clock.now, "sms")
    room.office.feed(room.clock.now, "sms")
    assert (room.row(reference).status, room.row(reference).why) == ("paused", "budget")
    assert TOLD["alert_whys"]["budget"] in _text(room.an.get(f"{ALERTS}/{reference}"))
    assert room.do(room.an, reference, "budget", budget="50000").status_code == 409
    for wrong in ("", "100", "x"):
        assert room.do(room.chi, reference, "budget", budget=wrong).status_code == 409
    assert room.do(room.chi, reference, "budget", budget="50.000").status_code == 303
    assert room.row(reference).budget_vnd == 50_000


def test_a_copy_is_a_new_draft(small_room: Room) -> None:
    reference = small_room.send()
    answer = small_room.do(small_room.binh, reference, "copy")
    copied = answer.headers["location"].removesuffix("/edit").rsplit("/", 1)[1]
    assert copied != reference
    assert (small_room.row(copied).status, small_room.row(copied).author_id) == (
        "draft",
        small_room.binh.who.account.id,
    )
    assert SECRET in _text(small_room.binh.get(answer.headers["location"]))


def test_an_open_page_asks_for_what_changed_alone(small_room: Room) -> None:
    """Buttons come anew where the state is another one; being asked by a script keeps no session alive."""
    small_room.people(1)
    reference = small_room.send()
    same = small_room.an.get(f"{ALERTS}/{reference}/progress?status=scheduled").text
    moved = small_room.an.get(f"{ALERTS}/{reference}/progress?status=waiting").text
    assert ("alert-progress" in same, 'id="alert-actions"' in same, 'id="alert-actions"' in moved) == (
        True,
        False,
        True,
    )
    for _ in range(4):
        small_room.clock.advance(10 * HOUR / 60)
        last = small_room.an.browser.get(f"{ALERTS}/{reference}/progress", headers={"HX-Request": "true"})
    assert last.status_code == 401


def test_the_first_page_of_outreach_is_alerts(small_room: Room) -> None:
    assert small_room.an.get("/console").headers["location"] == ALERTS
    assert small_room.chi.get("/console").headers["location"] == "/console/queue"


# -- again and again ---------------------------------------------------------------------------------------------------


def test_a_schedule_is_made_from_an_alert_and_approved_by_another(room: Room) -> None:
    """Plain fields make the five of cron; it waits, is approved, paused, goes on and ends; its next times are shown."""
    reference = room.write()
    page = room.an.get(f"{ALERTS}/schedules/new?of={reference}")
    form = {**_fields(page), "every": "week", "weekday": "1", "hour": "08:30", "hours": "6", "last": "2027-01-31"}
    assert room.an.post(f"{ALERTS}/schedules/new", **form).headers["location"] == f"{ALERTS}/schedules"
    with room.house.database.begin() as connection:
        (made,) = schedule.all_schedules(connection, room.house.database.keyring)
    assert (made.repetition.cron, made.status) == ("30 8 * * 1", "waiting")
    path = f"{ALERTS}/schedules/{made.id}"
    assert room.an.post(f"{path}/approve", digest=made.digest).status_code == 409
    assert room.binh.post(f"{path}/approve", digest="x").status_code == 409
    shown = _text(room.binh.get(f"{ALERTS}/schedules"))
    assert "08:30 30/11/2026" in shown
    assert TOLD["alert_schedules"]["every_week"].format(day="Thứ hai", hour="08:30") in shown
    for desk, job, form, status in (
        (room.binh, "approve", {"digest": made.digest}, "active"), (room.chi, "pause", {}, "paused"),
        (room.an, "resume", {}, "active"), (room.an, "end", {}, "active"), (room.an, "end", {"sure": "yes"}, "ended"),
    ):  # fmt: skip
        desk.post(f"{path}/{job}", **form)
        with room.house.database.begin() as connection:
            assert schedule.lock(connection, room.house.database.keyring, made.id).status == status, job
    assert room.an.post(f"{path}/explode").status_code == 404


@pytest.mark.parametrize("field", ["every", "weekday", "hour", "hours", "last"])
def test_a_time_that_cannot_be_is_told(small_room: Room, field: str) -> None:
    """Each field says what it takes; nothing is written, and no hour of the night is taken."""
    reference = small_room.write()
    form = {"of": reference, "every": "week", "weekday": "1", "hour": "08:30", "hours": "6", "last": "2027-01-31"}
    bad = {"every": "x", "weekday": "9", "hour": "23:00", "hours": "0", "last": "hôm sau"}
    answer = small_room.an.post(f"{ALERTS}/schedules/new", **{**form, field: bad[field]})
    assert answer.status_code == 400
    assert TOLD["alert_schedule_form"][f"wrong_{field}"] in _text(answer)


def test_the_next_three_times() -> None:
    """Each day, each week, each month; by the clock of Viet Nam."""
    after = dt.datetime(2026, 11, 24, 9, tzinfo=VIETNAM)

    def days(cron: str) -> list[str]:
        return [f"{one.astimezone(VIETNAM):%d/%m %H:%M}" for one in next_times(cron, after, 3)]

    assert days("30 8 * * *") == ["25/11 08:30", "26/11 08:30", "27/11 08:30"]
    assert days("0 10 * * 2") == ["24/11 10:00", "01/12 10:00", "08/12 10:00"]
    assert days("5 20 28 * *") == ["28/11 20:05", "28/12 20:05", "28/01 20:05"]
    assert [when_of(cron) is None for cron in ("30 8 * * *", "0 8 1,15 * *", "*/5 * * * *")] == [False, True, True]


# -- helpers -----------------------------------------------------------------------------------------------------------


def _text(page: Any) -> str:
    return html.unescape(page.text)


def _fields(page: Any) -> dict[str, str]:
    """What the page's form would send: hidden and ticked fields, and what stands in the text boxes."""
    inputs = re.findall(r'<input type="hidden" name="([\w-]+)" value="([^"]*)">', page.text)
    typed = re.findall(r'<input [^>]*name="([\w-]+)"[^>]*value="([^"]*)"[^>]*>', page.text)
    areas = re.findall(r'<textarea [^>]*name="([\w-]+)"[^>]*>([^<]*)</textarea>', page.text)
    skipped = {"csrf", "urgent", "when", "every"} | {name for name, _ in typed if re.match("province|language", name)}
    return {name: html.unescape(value) for name, value in (*inputs, *typed, *areas) if name not in skipped}


def _audited(room: Room) -> list[str]:
    with room.house.database.begin() as connection:
        actions = connection.execute(select(t.audit.c.action)).scalars()
        return [one for one in actions if one.startswith(("alert_", "schedule_"))]
