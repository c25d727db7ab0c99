"""Fifty thousand people over four quarters, through the real processor: what counting costs, what closing costs, and how true the numbers are.

Each person tells of one offer or cries for help once, in words put together from the ones below, on a day of the year; some lures rise. The store that
is left behind can be looked at: python -m bench.trends [PEOPLE] [--keep FOLDER], then BANDUONG_HOME=FOLDER banduong serve.
"""

import argparse
import datetime as dt
import html
import json
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from fastapi.testclient import TestClient
from sqlalchemy.engine import make_url

from bot.app import App
from bot.config import Config, TrendsConfig, load_config
from bot.conversations import FinishedTalk
from bot.messages import Address, InboundMessage
from bot.observations import Observation
from bot.trends.counters import TrendStore
from bot.trends.report import Report
from bot.web.pages import create_site
from tests import postgres

ROOT = Path(__file__).parent.parent
PEOPLE = 50_000
FIRST = dt.datetime(2025, 10, 1, 1, tzinfo=dt.UTC)  # eight in the morning in Viet Nam
DAYS = 365
DAY = dt.timedelta(days=1)
SEED = 6
TELL_PROVINCE = 0.6
OPENINGS = (
    "em ở {place}, {offer}", "{offer}, em ở {place}", "chị ơi {offer}, nhà em ở {place}", "tôi người {place}. {offer}",
    "con em ở {place} {offer}", "{offer} ({place})",
)  # fmt: skip
ALONE = ("{offer}", "cho em hỏi {offer}", "alo {offer}", "{offer} có nên đi không")
OFFERS: dict[str, tuple[str, ...]] = {
    "online_neighbours": (
        "có người rủ sang campuchia làm online lương 25 triệu, bao ăn ở",
        "bạn trên mạng mời qua bavet gõ máy tính, việc nhẹ lương 20tr, lo vé xe cho đi",
        "ho keu qua mien lam cham soc khach hang luong 1000 do, khong can kinh nghiem",
    ),
    "china": ("có chị quen trên zalo rủ sang trung quốc làm xưởng lương 18 triệu, đi đường rừng", "ho ru qua trung quoc hai che di chui khoi can ho chieu"),
    "east_asia": (
        "công ty mời đi nhật làm nông nghiệp, nộp cọc trước 30 triệu", "ben moi gioi noi di han quoc luong 50 trieu, dong truoc 100 trieu",
        "có công ty đưa đi đài loan làm nhà máy, có hợp đồng và giấy phép em tra rồi",
    ),
    "marriage": ("bà mối giới thiệu lấy chồng trung quốc, nhà trai đưa 100 triệu", "có người làm mối lấy chồng đài loan, họ lo hết giấy tờ"),
    "online_home": ("làm nhiệm vụ online tại nhà ngày 500k, phải nạp tiền trước", "ho moi lam nhiem vu tren mang like video kiem 400k/ngay, nap tien truoc"),
    "home": ("quán karaoke ở bình dương tuyển phục vụ lương 20 triệu, giữ căn cước", "xuong may tuyen tho luong 8 trieu co hop dong"),
    "report": ("chị tôi sang campuchia bị giữ hộ chiếu không cho về, đòi 70 triệu", "em gai toi mat lien lac 5 ngay sau khi di lao lam viec"),
}  # fmt: skip
USUAL = {
    "online_neighbours": 22,
    "china": 12,
    "east_asia": 24,
    "marriage": 6,
    "online_home": 14,
    "home": 14,
    "report": 8,
}
RISING = ("online_neighbours", "N40", 3.0)  # this lure, in this province, in the last quarter

Rows = list[tuple[str, list[float], str]]


def measure(people: int = PEOPLE) -> Rows:
    """The year on SQLite, and what a count costs on both."""
    with tempfile.TemporaryDirectory() as folder:
        rows = year(Path(folder), people)
        rows += _counting("SQLite", _store(Path(folder) / "one", None))
    try:
        with postgres.server() as url, tempfile.TemporaryDirectory() as folder:
            rows += _counting("PostgreSQL", _store(Path(folder), make_url(url).render_as_string(hide_password=False)))
    except (FileNotFoundError, subprocess.SubprocessError):
        sys.stderr.write("no PostgreSQL here: its figures are left out\n")
    return rows


def year(home: Path, people: int) -> Rows:
    """Four quarters of talks, each day's forgetting and closing with them."""
    house = App(_config(home, None))
    house.classifier  # noqa: B018 - learn first
    turns: list[float] = []
    looks: list[float] = []
    closings: list[float] = []
    said: Counter[str] = Counter()
    chance = random.Random(SEED)  # noqa: S311 - people, not noise
    now = FIRST
    house.clock = lambda: now
    for day, texts in enumerate(_days(chance, people, house)):
        now = FIRST + day * DAY
        house.forget()
        for number, text in enumerate(texts):
            message = InboundMessage(
                Address("web", name := f"{day}-{number}"), name, text, now + dt.timedelta(seconds=number)
            )
            started = time.perf_counter()
            house.processor.handle(message)
            turns.append(1000 * (time.perf_counter() - started))
        said["people"] += len(texts)
        now += dt.timedelta(hours=2)
        started = time.perf_counter()
        house.forget()
        if texts:
            looks.append(1000 * (time.perf_counter() - started) / len(texts))
    for grain in range(2):  # a week, and then what the year's end closes
        now = FIRST + DAYS * DAY + (grain + 1) * 7 * DAY
        started = time.perf_counter()
        house.forget()
        closings.append(1000 * (time.perf_counter() - started))
    started = time.perf_counter()
    with house.trends.database.read() as connection:
        report = Report(connection, house.trends.rules.threshold)
    read = 1000 * (time.perf_counter() - started)
    total = sum(number.value or 0 for period in report.periods("risk") for number in report.numbers("risk", period))
    sys.stderr.write(f"{said['people']} people told of something, {total} stand in the weekly figures\n")
    return [
        ("a turn while trends are counted", turns, "ms"),
        ("counting and forgetting, a talk", looks, "ms"),
        ("closing a quarter with its month and week", closings, "ms"),
        ("reading all releases of a year", [read], "ms"),
        *_pages(house),
    ]


def _pages(house: App) -> Rows:
    """The page as it is made once a release, and then for everybody; each chart the same."""
    site = TestClient(create_site(house))
    _took(site, "/trends/charts/topic.png")  # the renderer takes a second to start, in a thread of the server
    page = [_took(site, "/trends") for _ in range(20)]
    drawn = re.findall(r'src="(/trends/charts/[^"]+)"', site.get("/trends").text)
    charts = [[_took(site, html.unescape(path)) for _ in range(2)] for path in drawn]
    return [
        ("the page of trends, first", page[:1], "ms"),
        ("the page of trends, then", page[1:], "ms"),
        ("a chart, first", [first for first, _ in charts], "ms"),
        ("a chart, then", [then for _, then in charts], "ms"),
    ]


def _took(site: TestClient, path: str) -> float:
    started = time.perf_counter()
    site.get(path).raise_for_status()
    return 1000 * (time.perf_counter() - started)


def _days(chance: random.Random, people: int, house: App) -> Iterator[list[str]]:
    """What people say, day by day."""
    provinces = [(province.code, province.name) for province in house.library.provinces]
    weights = [
        3.0 if code in ("N40", "N42", "N38") else 0.5 + 40 / (rank + 20) for rank, (code, _) in enumerate(provinces)
    ]
    left = people
    for day in range(DAYS):
        last_quarter = day >= DAYS - 92
        today = round(left / (DAYS - day) * chance.uniform(0.85, 1.15))
        left -= today
        yield [_said(chance, provinces, weights, rising=last_quarter) for _ in range(today)]


def _said(chance: random.Random, provinces: list[tuple[str, str]], weights: list[float], *, rising: bool) -> str:
    code, name = chance.choices(provinces, weights)[0]
    lures = dict(USUAL)
    if rising and code == RISING[1]:
        lures[RISING[0]] = round(lures[RISING[0]] * RISING[2])
    offer = chance.choice(OFFERS[chance.choices(list(lures), list(lures.values()))[0]])
    if chance.random() < TELL_PROVINCE:
        return chance.choice(OPENINGS).format(place=name, offer=offer)
    return chance.choice(ALONE).format(offer=offer)


def _counting(where: str, store: TrendStore) -> Rows:
    """What it costs to count one person in a week, a month and a quarter at once."""
    store.open_periods(FIRST)
    seen = Observation("high", "china", "N40", "papers")
    took = []
    for number in range(500):
        talk = FinishedTalk(f"web|{number}", seen, FIRST)
        started = time.perf_counter()
        store.count(talk.who, talk.seen, talk.at)
        took.append(1000 * (time.perf_counter() - started))
    store.database.close()
    return [(f"counting one person, {where}", took, "ms")]


def _store(home: Path, url: str | None) -> TrendStore:
    return App(_config(home, url)).trends


def _config(home: Path, url: str | None) -> Config:
    environment = {"BANDUONG_HOME": str(home), **({"BANDUONG_DATABASE_URL": url} if url else {})}
    config = load_config(ROOT / "config.yml", environment)
    counted = config.bot.model_copy(update={"trends": TrendsConfig(profile="standard", public=True)})
    (home / "model").parent.mkdir(parents=True, exist_ok=True)
    if not (home / "model").exists():
        (home / "model").symlink_to(ROOT / "var" / "model")
    return config.model_copy(update={"bot": counted})


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("people", nargs="?", type=int, default=PEOPLE)
    asked.add_argument("--keep", type=Path, help="a folder in which the year's stores stay")
    given = asked.parse_args()
    rows = year(given.keep, given.people) if given.keep else measure(given.people)
    for name, values, unit in rows:
        ordered = sorted(values)
        sys.stdout.write(
            json.dumps(
                {
                    "what": name, "median": round(statistics.median(values), 2), "unit": unit,
                    "p95": round(ordered[int(0.95 * (len(ordered) - 1))], 2), "highest": round(ordered[-1], 2),
                }
            )
            + "\n"
        )  # fmt: skip


if __name__ == "__main__":
    main()
