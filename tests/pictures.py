"""The pictures of the operators' handbook, taken anew from the real pages: `python -m tests.pictures`. Every case in them is made up."""

import datetime as dt
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from PIL import Image

from bot.app import App
from bot.messages import Address, InboundMessage
from bot.understanding.training import load_or_train
from bot.web.pages import create_site
from tests.colleagues import join
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
    with tempfile.TemporaryDirectory() as home:
        house = _house(Path(home), load_or_train(ROOT / "nlu", ROOT / "var" / "model", print))
        for picture, name in _taken(house):
            (FOLDER / f"{name}.png").write_bytes(picture)
        house.database.close()


def small(picture: bytes) -> bytes:
    """With a palette: a page has few colours."""
    made = BytesIO()
    Image.open(BytesIO(picture)).convert("RGB").quantize(COLOURS).save(made, "PNG", optimize=True)
    return made.getvalue()


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def _taken(house: App) -> Iterator[tuple[bytes, str]]:
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
        walked.complaints.clear()


if __name__ == "__main__":
    main()
