"""The pictures of the handbooks, taken anew from the real pages: `python -m tests.pictures`, or with the name of one handbook after it.
Every person and case in them is made up."""

import datetime as dt
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from PIL import Image

from bot.app import App
from bot.channels.base import SendError
from bot.messages import Address, InboundMessage
from bot.outreach import broadcasts, schedule, tallies
from bot.outreach.audience import Audience
from bot.outreach.broadcasts import Plan
from bot.outreach.schedule import Repetition
from bot.outreach.terms import Terms
from bot.outreach.words import Words, from_template
from bot.store import tables as t
from bot.testing import FakeClock
from bot.understanding.training import load_or_train
from bot.web.pages import create_site
from tests.broadcasting import NOON, Office, a_subscriber
from tests.colleagues import Colleague, join
from tests.conftest import ROOT, _house
from tests.console_pages import words
from tests.console_site import served
from tests.walkers import DESK, PHONE, Console, Street, Villager, street

FOLDER = ROOT / "docs" / "pictures"
COLOURS = 64
CASE = words("vi")["case"]

# by which channel, how many minutes ago, and what
TALKS = (
    ("sms", 17, ("cuu voi, em toi bi nhot o myanmar, ho danh no, doi 100 trieu moi cho ve",)),
    ("telegram", 2, ("em 16 tuoi, bi giu trong quan karaoke o campuchia, ho khong cho ra ngoai, cuu em",)),
    ("web", 48, ("con gai toi 15 tuoi bi ru qua lao lam, no di tu hom qua", "1", "co")),
    ("sms", 205, ("ong Tu o ap 3 chuyen dua nguoi di lam chui", "1", "co")),
    ("telegram", 300, ("chi toi lam o quan karaoke, chu giu giay to va khong tra luong 3 thang nay", "1", "co")),
    ("web", 600, ("gap nguoi", "1", "co")),
    ("sms", 620, ("gap nguoi that", "1", "co")),
)
CRY = "cuu em voi, em bi nhot o myanmar, ho giu giay to, khong cho ra ngoai"


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    classifier = load_or_train(ROOT / "nlu", ROOT / "var" / "model", print)
    for story in sys.argv[1:] or STORIES:
        with tempfile.TemporaryDirectory() as home:
            house = _house(Path(home), classifier)
            for picture, name in STORIES[story](house):
                (FOLDER / f"{name}.png").write_bytes(picture)
            house.database.close()


def small(picture: bytes) -> bytes:
    """With a palette: a page has few colours."""
    made = BytesIO()
    Image.open(BytesIO(picture)).convert("RGB").quantize(COLOURS).save(made, "PNG", optimize=True)
    return made.getvalue()


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


# -- the operators' handbook -------------------------------------------------------------------------------------------


def _of_operators(house: App) -> Iterator[tuple[bytes, str]]:
    """Each picture as PNG, with its name; the story goes on from one to the next."""
    lan = join(house, "lan", name="Lan", now=_now())
    minh = join(house, "minh", "operator", "supervisor", "admin", name="Minh Tuấn", now=_now())
    join(house, "hoa", name="Hồng Hoa", now=_now())
    _earlier_talks(house)
    with served(create_site(house)) as site, _walked(site) as walked:
        yield from _at_the_desk(walked, Console(walked, lan, _now), Console(walked, minh, _now), Villager(walked))


def _at_the_desk(walked: Street, lan: Console, minh: Console, villager: Villager) -> Iterator[tuple[bytes, str]]:
    yield _picture(lan, "login", width=PHONE, height=520)
    for one in (lan, minh):
        one.logs_in()
        one.page.click(".duty button")
    yield _picture(lan, "queue", height=720)
    villager.says(CRY)
    lan.page.wait_for_timeout(2500)
    yield _picture(lan, "bell", width=PHONE, height=620)
    reference = lan.page.locator(".row.P0:has(form) .ref").last.inner_text()
    lan.claims(reference)
    lan.writes("Mình là người trực, mình đang đọc đây. Bạn cứ nhắn từng chút một.")
    villager.hears("người trực")
    yield _picture(villager, "chat", width=PHONE, height=640)
    villager.says("1")
    villager.says("em o gan song, toa nha 5 tang. ho noi vao http://viec-nhe.example.com/a lay tien")
    lan.page.wait_for_timeout(2500)
    yield _picture(lan, "case", height=760)
    lan.page.fill("#text", "Bạn yên tâm, mình hứa sẽ cứu bạn. Bạn trốn ra cổng sau đi.")
    lan.page.click("#send")
    lan.sees("#preview .alarm", "")
    yield _part(lan, "#composer", "warning")
    lan.page.fill("#text", "")
    lan.goes(f"cases/{reference}")
    lan.page.locator("#do-pass-on summary").click()
    yield _part(lan, "#do-pass-on", "pass-on")
    lan.does(
        "do-second",
        CASE["second_send"],
        {"#second-kind": "share_police", "#second-reason": "Đang bị đánh, không trả lời được nữa."},
    )
    minh.goes("second")
    yield _picture(minh, "second", height=420)
    minh.presses(minh.page.locator("button[value=grant]"))
    lan.goes(f"cases/{reference}")
    lan.does("do-pass-on", CASE["refer"], {"#receiver": "vn_police"})
    lan.page.locator("#actions li a").first.click()
    yield _picture(lan, "sheet", height=900, width=820)
    villager.says("thoat")
    lan.goes(f"cases/{reference}")
    yield _picture(lan, "silent", width=PHONE, height=720)
    minh.goes("team")
    yield _picture(minh, "team", height=640)


def _earlier_talks(house: App) -> None:
    for who, (channel, ago, texts) in enumerate(TALKS):
        address = Address(channel, f"+8490000000{who}" if channel == "sms" else f"made-up-{who}")
        for number, text in enumerate(texts):
            at = _now() - dt.timedelta(minutes=ago, seconds=-20 * number)
            house.processor.handle(InboundMessage(address, f"{who}-{number}", text, at))


# -- the handbook of outreach ------------------------------------------------------------------------------------------

HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)
FILLED = {
    "blank-place-vi": "Nghệ An",
    "blank-job-vi": "bán vé số ở Thái Lan",
    "blank-place-en": "Nghệ An",
    "blank-job-en": "sell tickets in Thailand",
}
SOURCE = {"source_name": "Báo Dân trí", "source_url": "https://dantri.com.vn/made-up.htm", "source_date": "2026-11-20"}
TIMES = {"until_day": "2026-11-26", "until_hour": "18:00", "budget": "100.000"}


def _of_outreach(house: App) -> Iterator[tuple[bytes, str]]:
    clock = FakeClock(NOON)
    house.clock = clock
    house.__dict__["alert_terms"] = Terms(house.library)
    an, binh = (
        join(house, login, "outreach", now=NOON, name=name)
        for login, name in (("an.le", "Thu An"), ("binh.ho", "Thanh Bình"))
    )
    office = _an_office(house, an, binh)
    with served(create_site(house)) as site, _walked(site) as walked:
        yield from _in_the_office(office, clock, Console(walked, an, clock), Console(walked, binh, clock))


def _in_the_office(office: Office, clock: FakeClock, an: Console, binh: Console) -> Iterator[tuple[bytes, str]]:
    for one in (an, binh):
        one.logs_in("alerts")
    an.goes("alerts/new?template=offer_near_you")
    _fill(an, {"places": "nghe an", **FILLED, **SOURCE, **TIMES})
    an.sees("#alert-preview", "bán vé số ở Thái Lan")
    an.page.evaluate("scrollTo(0, 0)")
    yield _picture(an, "alert-write", height=780)
    an.page.set_viewport_size({"width": PHONE, "height": 800})
    an.page.locator(".as-it-leaves:has(.cost)").first.evaluate("one => one.scrollIntoView()")
    yield _picture(an, "alert-phone", width=PHONE, height=640)
    an.presses(an.page.locator("button.main[type=submit]").first)
    reference = an.page.url.rsplit("/", 1)[1].split("?")[0]
    an.presses(an.page.locator("form[action$=submit] button"))
    binh.goes(f"alerts/{reference}")
    yield _picture(binh, "alert-waiting", height=700)
    binh.presses(binh.page.locator("form[action$=approve] button"))
    clock.advance(dt.timedelta(minutes=6))
    _run_half(office, clock, reference)
    an.goes(f"alerts/{reference}")
    yield _part(an, ".alert-desk .middle", "alert-running")
    an.goes(f"alerts/{reference}/receipts")
    yield _picture(an, "alert-receipts", height=520)
    an.goes("alerts")
    yield _picture(an, "alert-list", height=640)
    binh.goes("alerts/schedules")
    yield _picture(binh, "alert-schedules", height=640)


def _an_office(house: App, an: Colleague, binh: Colleague) -> Office:
    """With its subscribers, and with what was written before."""
    office = Office(house)
    office.an, office.binh = an.account.id, binh.account.id
    with house.database.begin() as connection:
        for number in range(310):
            channel = "sms" if number % 3 == 0 else "telegram"
            who = f"+8490{number:07}" if channel == "sms" else f"{number:06}"
            a_subscriber(
                connection, house, who, channel=channel, province="N40", language="en" if number % 12 == 1 else "vi"
            )
        gone = connection.execute(t.addresses.select().order_by(t.addresses.c.id).limit(40)).all()
        for column, rows in (
            ("leaving_since", gone[:16]),
            ("unreachable_since", gone[16:30]),
            ("silent_since", gone[30:]),
        ):
            ids = [row.id for row in rows]
            connection.execute(t.addresses.update().where(t.addresses.c.id.in_(ids)).values({column: NOON - DAY}))
        friends, licence = (_words_of(house, name) for name in ("friend_invites", "licence_first"))
        everywhere, south = Audience(), Audience(provinces=("N40", "N42"))
        broadcasts.write(connection, office.keyring, Plan(licence, south, NOON + 2 * DAY), office.an, NOON - 3 * HOUR)
        urgent = Plan(_words_of(house, "false_departure_notice"), everywhere, NOON + DAY, 100_000, urgent=True)
        drafted = broadcasts.write(connection, office.keyring, urgent, office.binh, NOON - HOUR)
        broadcasts.submit(
            connection, office.keyring, drafted.id, 270, house.alert_terms.limits, office.binh, NOON - HOUR / 2
        )
        lesson = Repetition(friends, everywhere, "30 8 * * 1", 10 * HOUR, NOON + 90 * DAY + 12 * HOUR, 300_000)
        schedule.write(connection, office.keyring, lesson, office.an, NOON - 2 * HOUR)
        older = Repetition(licence, south, "0 9 1 * *", 8 * HOUR, NOON + 200 * DAY + 12 * HOUR, 200_000)
        known = schedule.write(connection, office.keyring, older, office.binh, NOON - 9 * DAY)
        schedule.approve(connection, office.keyring, known.id, known.digest, office.an, NOON - 8 * DAY)
    office.send(Plan(_words_of(house, "paid_tasks"), south, NOON - DAY, 200_000), NOON - 2 * DAY, people=270)
    for channel in ("telegram", "sms"):
        office.deliver(NOON - 2 * DAY + HOUR, channel, rounds=20)
    return office


def _words_of(house: App, template: str) -> Words:
    return from_template(house.library.alerts[template], {})


def _run_half(office: Office, clock: FakeClock, reference: str) -> None:
    """Some got it, some cannot, of some nobody is certain, a few have answered; the others wait."""
    with office.house.database.begin() as connection:
        found = broadcasts.find(connection, office.keyring, reference)
    assert found
    office.expand(found.id, clock.now)
    office.fails = {f"{number:06}": SendError("stopped", "403") for number in range(1, 310, 15)}
    office.fails |= {f"{number:06}": SendError("uncertain", "timeout") for number in range(2, 310, 15)}
    for channel in ("telegram", "sms"):
        office.deliver(clock.now, channel, rounds=1, per_second=30)
    with office.house.database.begin() as connection:
        tallies.add(connection, found.id, {"came_back:question": 14, "came_back:offer": 12, "came_back:opted_out": 1})


def _fill(one: Console, fields: dict[str, str]) -> None:
    for name, text in fields.items():
        one.page.fill(f"[name={name}]", text)


# -- the camera --------------------------------------------------------------------------------------------------------


def _picture(one: Console | Villager, name: str, width: int = DESK, height: int = 800) -> tuple[bytes, str]:
    one.page.set_viewport_size({"width": width, "height": height})
    one.page.wait_for_timeout(400)  # ms; for what scrolls and folds
    taken = one.page.screenshot()
    one.page.set_viewport_size({"width": DESK, "height": 800})
    return small(taken), name


def _part(one: Console, place: str, name: str) -> tuple[bytes, str]:
    return small(one.page.locator(place).screenshot()), name


@contextmanager
def _walked(site: str) -> Iterator[Street]:
    """What a page complains of while it is photographed is the camera's own style."""
    with street(site) as walked:
        yield walked
        walked.close()  # what was said last is heard
        walked.complaints.clear()


STORIES: dict[str, Callable[[App], Iterator[tuple[bytes, str]]]] = {"operator": _of_operators, "outreach": _of_outreach}

if __name__ == "__main__":
    main()
