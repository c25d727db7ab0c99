"""/trends: who may see it, that it tells exactly what was released and never a number below eleven, and that people can read it."""

import csv
import datetime as dt
import html
import io
import json
import re
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import event, insert, select

from bot.app import App
from bot.content import ROLES
from bot.errors import TrendsError
from bot.messages import VIETNAM
from bot.observations import Observation
from bot.store import trend_tables as t
from bot.testing import FakeClock
from bot.trends.budget import statement
from bot.trends.cells import Cells
from bot.trends.charts import Charts, TooMany, refuse_without_charts
from bot.trends.periods import period_named
from bot.trends.reading import Reading
from bot.trends.release import close_due
from bot.trends.specs import SHADES, Spec
from bot.web.pages import create_site
from tests.colleagues import join
from tests.conftest import CHEAP, close
from tests.console_site import LOCAL, MINUTE, Desk, Site, served
from tests.trend_data import GAP, LOST, counting_house, few, release_year
from tests.walkers import DESK, TOLD, Console, street

CHARTS = ("topic", "topic_series", "province", "region_topic", "flag", "risk")
FILES = ("export.csv", "export.json", "dictionary.csv")
NUMBER = re.compile(r"^(.+), ([^:]+): ([\d.,]+) (?:người|people), (?:có thể lệch|could be off by) (\d+)$")
FEW = re.compile(r"^(.+), ([^:]+): (?:ít hơn|fewer than) 11 (?:người|people)$")
SEEN = ("trends.see", {"analyst", "outreach", "supervisor", "admin"})
PHONE = 360  # px
ASKEW = """[...document.images].filter(one =>
  Math.abs(one.getAttribute("width") / one.getAttribute("height") - one.naturalWidth / one.naturalHeight) > 0.01
).map(one => one.outerHTML)"""

Told = dict[
    tuple[str, str], int | None
]  # cell and period, as people read them -> number, None where it is below eleven


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """A year of a thousand people a week, for everybody to see."""
    house = counting_house(tmp_path_factory.mktemp("town"), public=True)
    release_year(house)
    yield house
    close(house)


@pytest.fixture(scope="module")
def reader(town: App) -> httpx.Client:
    return _reader(town)


@pytest.fixture
def houses(tmp_path: Path) -> Iterator["Houses"]:
    built = Houses(tmp_path)
    yield built
    for house in built.built:
        close(house)


class Houses:
    """Builds houses that count, and closes them all in the end."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self.built: list[App] = []

    def __call__(self, profile: str = "standard", *, public: bool = True) -> App:
        house = counting_house(self._home / str(len(self.built)), profile, public=public)
        house.password_costs = (CHEAP, CHEAP)
        self.built.append(house)
        return house


# -- who may see it ----------------------------------------------------------------------------------------------------


def test_only_roles_with_the_permission_see_trends(houses: Houses) -> None:
    """Everything under /trends: nobody is sent to the log-in, others are told no, and neither learns a number."""
    house = houses(public=False)
    release_year(house)
    house.clock = clock = FakeClock()
    site = Site(house, create_site(house), clock)
    stranger = site.browser()
    for path in _everything():
        answer = stranger.get(path)
        assert (answer.status_code, answer.headers.get("location")) == (303, "/console/login"), path
    for role in ROLES:
        desk = Desk(site, join(house, f"one-{role}", role, name=role, now=clock.now + MINUTE))
        for path in ("/trends", "/trends/charts/risk.svg", *(f"/trends/{name}" for name in FILES)):
            assert desk.get(path).status_code == (200 if role in SEEN[1] else 403), (role, path)
        assert ('href="/trends?lang=vi"' in desk.get("/console/account").text) == (role in SEEN[1]), role


def test_t_01_the_public_gets_the_very_bytes_of_the_analyst(houses: Houses) -> None:
    """Where it is open to everybody, no role, log-in or cookie makes a difference: there is nothing to compare."""
    house = houses("pilot")
    release_year(house, "pilot")
    house.clock = clock = FakeClock()
    site = Site(house, create_site(house), clock)
    analyst = site.log_in(join(house, "phan.tich", "analyst", now=clock.now + MINUTE))
    stranger = site.browser()
    for path in _everything(forms=("svg",)):
        seen, known = stranger.get(path), analyst.get(path)
        assert seen.status_code == 200, path
        assert seen.content == known.content, path
        assert seen.headers["cache-control"] == "no-store"


def test_a_phone_gets_it_packed(reader: httpx.Client) -> None:
    """What a browser can unpack comes small, and is the same."""
    for path in ("/trends", "/trends/charts/topic_series.svg", "/trends/export.json"):
        packed = reader.get(path, headers={"Accept-Encoding": "gzip"})
        plain = reader.get(path, headers={"Accept-Encoding": "identity"})
        assert packed.headers["content-encoding"] == "gzip"
        assert packed.content == plain.content
        assert int(packed.headers["content-length"]) * 3 < len(plain.content)


# -- exactly what was released -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["vi", "en"])
@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_shows_the_released_numbers(town: App, reader: httpx.Client, name: str, language: str) -> None:
    """Read back from the SVG: every cell once, with its number and how far it may be off; below eleven only that."""
    drawn = reader.get(f"/trends/charts/{name}.svg?lang={language}").text
    assert _labels(drawn) == _expected(town, name, language)


@pytest.mark.parametrize("name", ["topic", "flag"])
def test_bars_are_as_long_as_their_numbers(town: App, reader: httpx.Client, name: str) -> None:
    """Each bar's length is its number times one scale; what is below eleven is as long as eleven and hollow."""
    drawn = reader.get(f"/trends/charts/{name}.svg").text
    bars = re.findall(r'<path aria-label="([^"]+)"[^>]* d="M0,[\d.]+h([\d.]+)[^"]*" fill="([^"]+)"', drawn)
    lengths = {label: (float(length), fill) for label, length, fill in bars}
    numbers = {label: _number(label) for label in lengths}
    most = max(numbers, key=lambda label: numbers[label] or 0)
    scale = lengths[most][0] / (numbers[most] or 1)
    assert len(lengths) == len(town.library.trends.topics if name == "topic" else town.library.trends.flags)
    for label, (length, fill) in lengths.items():
        assert length == pytest.approx((numbers[label] or 11) * scale, abs=0.05)
        assert (fill == "#ffffff") == (numbers[label] is None)


def test_points_are_as_high_as_their_numbers(reader: httpx.Client) -> None:
    """In each panel the height above its own ground is the number times the panel's scale."""
    drawn = reader.get("/trends/charts/risk.svg").text
    points = re.findall(r'<path aria-label="([^"]+)"[^>]*transform="translate\(([\d.]+),([\d.]+)\)"', drawn)
    panels: dict[str, list[tuple[int, float]]] = {}
    for label, _, height in points:
        if (number := _number(label)) is not None:
            panels.setdefault(label.split(",")[0], []).append((number, float(height)))
    assert len(panels) == 4
    for numbers in panels.values():
        (low, bottom), (high, top) = min(numbers), max(numbers)
        for number, height in numbers:
            assert height == pytest.approx(bottom - (number - low) * (bottom - top) / (high - low), abs=0.05)


def test_a_square_of_the_map_is_where_its_province_is(town: App, reader: httpx.Client) -> None:
    """In its column and row, with its own name and number written in it, and the shade that the legend gives to the number."""
    drawn = reader.get("/trends/charts/province.svg").text
    names = {one.code: one.name for one in town.library.provinces}
    squares = {_title(label): (left, top, fill, label) for label, left, top, fill in _squares(drawn)}
    written = _written(drawn)
    legend = [(text, fill) for text, fill in _legend(drawn, written) if "–" in text or "≥" in text]
    for region in town.library.trends.regions:
        for code, (column, row) in region.tiles.items():
            left, top, fill, label = squares[names[code]]
            assert (left, top) == (column * 64 + 2, row * 64 + 2), code
            inside = {text for text, x, y in written if left < x < left + 60 and top < y < top + 60}
            number = _number(label)
            assert inside == {names[code], "<11" if number is None else str(number)}
            assert fill == ("#ffffff" if number is None else _shade_of(number, legend))


def test_a_square_of_the_table_is_in_its_row_and_column(town: App, reader: httpx.Client) -> None:
    """Beside the name of its topic and below that of its region."""
    drawn = reader.get("/trends/charts/region_topic.svg").text
    written = _written(drawn)
    squares = list(_squares(drawn))
    assert len(squares) == len(town.library.trends.regions) * len(town.library.trends.topics)
    for label, left, top, _ in squares:
        region, _, topic = _title(label).partition(": ")
        inside = [text for text, x, y in written if left < x < left + 38 and top < y < top + 38]
        assert inside == ["<11" if (number := _number(label)) is None else str(number)]
        assert topic in [text for text, x, y in written if x == 0 and top - 4 < y < top + 38]
        assert region in [text for text, x, y in written if y == 98 and left < x < left + 38]


def test_a_break_is_no_nought(town: App, reader: httpx.Client) -> None:
    """A week that was lost, and one in which nobody counted, have no mark; the line does not lead across them."""
    drawn = reader.get("/trends/charts/risk.svg").text
    reading = Reading(town.library, "vi")
    for name in (LOST, GAP):
        assert reading.period(period_named(name)) not in drawn
    lines = re.findall(r'role="graphics-symbol"[^>]*d="(M[^"]+)" stroke="#1f6f5c"', drawn) or re.findall(
        r'd="(M[^"]+)" stroke="#1f6f5c"', drawn
    )
    assert len(lines) == 4
    assert all(line.count("M") == 3 for line in lines)


def test_the_tables_have_the_numbers_of_the_charts(town: App, reader: httpx.Client) -> None:
    """Colour and form are never the only carriers: each part has a table with every number of its chart."""
    page = reader.get("/trends").text
    for name in CHARTS:
        table = page.split(f'<section id="{name}"')[1].split("</table>")[0]
        cells = [html.unescape(one) for one in re.findall(r"<td>([^<]*)</td>", table)]
        shown = sorted(one for one in cells if one not in ("12", "6", "4", "–"))
        told = _expected(town, name, "vi").values()
        assert shown == sorted("ít hơn 11" if one is None else f"{one:,}".replace(",", ".") for one in told), name


def test_exports_are_the_released_rows(town: App, reader: httpx.Client) -> None:
    """Every row of every release once, no other, and the number only where it is eleven or more."""
    released = {(row.period, row.table_name, row.cell): row for row in _released(town)}
    as_csv = list(csv.DictReader(io.StringIO(reader.get("/trends/export.csv?lang=en").content.decode("utf-8-sig"))))
    as_json = reader.get("/trends/export.json").json()
    assert len(as_csv) == len(as_json["rows"]) == len(released)
    for text, row in zip(as_csv, as_json["rows"], strict=True):
        source = released.pop((row["period"], row["table"], row["cell"]))
        known = source.value >= 11
        assert (row["value"], row["below"]) == ((source.value, None) if known else (None, 11))
        assert row["epsilon"] == source.epsilon
        assert {name: "" if value is None else str(value) for name, value in row.items()}.items() <= text.items()
    assert released == {}
    assert text["title"]
    periods = {one["period"]: one for one in as_json["periods"]}
    assert periods[LOST]["lost"]
    assert [name for name, one in periods.items() if not one["whole"]] == ["2025-W41", "2025-10", "2025-Q4"]
    assert periods["2025-10"]["from"] == "2025-10-09"


def test_the_dictionary_explains_every_column_table_and_cell(town: App, reader: httpx.Client) -> None:
    """In both languages, in the JSON and as a file of its own."""
    as_csv = reader.get("/trends/dictionary.csv").content.decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(as_csv)))
    exported = reader.get("/trends/export.csv").content.decode("utf-8-sig").splitlines()[0].split(",")
    assert [row["name"] for row in rows if row["kind"] == "column"] == exported
    assert {row["name"] for row in rows if row["kind"] == "table"} == set(Cells(town.library).of)
    known = {(row["table"], row["name"]) for row in rows if row["kind"] == "cell"}
    for table, cells in Cells(town.library).of.items():
        sides = table.split("_")
        for cell in cells:
            assert set(zip(sides, cell.split("/"), strict=True)) <= known
    assert all(row["vi"] and row["en"] for row in rows)
    assert [dict(row) for row in reader.get("/trends/export.json").json()["dictionary"]] == rows


def test_no_text_of_an_export_is_a_formula(houses: Houses) -> None:
    """A cell of long ago that would begin to compute in a table program is text; and it breaks no page."""
    house = houses("pilot")
    release_year(house, "pilot")
    bad = {"period": "2025-10", "table_name": "topic", "cell": "=2+3", "value": 40, "epsilon": 0.25}
    with house.trends.database.begin() as connection:
        connection.execute(insert(t.releases).values(**bad))
    page = _reader(house)
    rows = list(csv.DictReader(io.StringIO(page.get("/trends/export.csv").content.decode("utf-8-sig"))))
    found = next(row for row in rows if "2+3" in row["cell"])
    assert (found["cell"], found["title"], found["value"]) == ("'=2+3", "'=2+3", "40")
    assert all(page.get(path).status_code == 200 for path in _everything(forms=("svg",)))
    assert "=2+3" in page.get("/trends?period=2025-10").text


# -- nothing below eleven ----------------------------------------------------------------------------------------------


def test_nothing_that_is_shown_depends_on_a_number_below_eleven(houses: Houses) -> None:
    """Two places that differ only in numbers below eleven show the very same bytes: pages, charts and exports."""
    one, other = houses("pilot"), houses("pilot")
    release_year(one, "pilot", few)
    release_year(other, "pilot", lambda period, table, cell: 10 - few(cell, table, period))
    different = sum(a.value != b.value for a, b in zip(_released(one), _released(other), strict=True))
    assert different > 400
    left, right = _reader(one), _reader(other)
    for path in _everything(forms=("svg",)):
        assert left.get(path).content == right.get(path).content, path


def test_what_is_usual_is_not_told_where_a_part_of_it_is_hidden(houses: Houses) -> None:
    """The mean of the earlier numbers would tell a hidden one to whoever knows the others."""
    house = houses("pilot")
    release_year(house, "pilot", lambda _period, _table, _cell: 0, dt.date(2026, 7, 31))
    _release_month(house, "2026-08", {"marriage": 90, "china": 80})
    said = html.unescape(_reader(house).get("/trends").text)
    assert "Tháng 8/2026, lời mời lấy chồng qua mối lái tăng nhiều nhất: khoảng 90 người, mọi khi 2" in said
    with house.trends.database.begin() as connection:
        first = connection.execute(select(t.releases.c.value).where(t.releases.c.cell == "gulf")).scalars().first()
    assert first == 0
    _release_month(house, "2026-09", {"gulf": 70})
    said = html.unescape(_reader(house).get("/trends").text)
    assert "lời mời đi làm ở Trung Đông tăng nhiều nhất: khoảng 70 người, mọi khi ít hơn nhiều." in said


# -- in plain words ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("language", "sentences"),
    [
        (
            "vi",
            (
                "Số mới nhất: tuần 21/9 đến 27/9/2026, tháng 9/2026, quý 3/2026.",
                (
                    "Tuần 21/9 đến 27/9/2026, lời mời làm việc trên mạng ở Campuchia, Lào, Myanmar tăng nhiều nhất: "
                    "khoảng 255 người, mọi khi 148. Có thể lệch 12."
                ),
                (
                    "Tháng 9/2026, lời mời làm việc trên mạng ở Campuchia, Lào, Myanmar tăng nhiều nhất ở Bắc Trung Bộ: "
                    "khoảng 282 người, mọi khi 119. Có thể lệch 12."
                ),
                "Tháng 9/2026, ở Nghệ An có nhiều người nhắn hơn mọi khi: khoảng 555 người, mọi khi 322. Có thể lệch 12.",
                "Tuần 16/3 đến 22/3/2026: số đã mất, không công bố được.",
                "Tuần 15/6 đến 21/6/2026: không đếm, nên không có số.",
                "chỉ đếm từ ngày 9/10/2025",
                "Ai chỉ nhắn một lần: ε = 2. Ai tuần nào cũng nhắn: ε = 9.",
            ),
        ),
        (
            "en",
            (
                "Newest figures: the week of 21 September to 27 September 2026, September 2026, the third quarter of 2026.",
                (
                    "In September 2026, offers of online work in Cambodia, Laos, Myanmar rose most in the North "
                    "central coast: about 282 people, usually 119; could be off by 12."
                ),
                (
                    "In the third quarter of 2026, offers of online work in Cambodia, Laos, Myanmar rose most in "
                    "Nghệ An: about 193 people, usually 99; could be off by 4."
                ),
                "The week of 16 March to 22 March 2026: the figures are lost and cannot be published.",
                "Who writes once: ε = 2. Who writes in every week: ε = 9.",
            ),
        ),
    ],
)
def test_the_page_says_it_in_plain_words(reader: httpx.Client, language: str, sentences: tuple[str, ...]) -> None:
    """What rose, where, from when to when, by how much it could be off; what is missing; what is promised."""
    page = _text(reader.get(f"/trends?lang={language}"))
    assert [one for one in sentences if one not in page] == []


@pytest.mark.parametrize("language", ["vi", "en"])
def test_a_page_has_its_language_and_no_placeholder(reader: httpx.Client, language: str) -> None:
    """Every {name} is filled in, every picture is told in words, the other language is one tap away."""
    page = reader.get(f"/trends?lang={language}").text
    other = "vi" if language == "en" else "en"
    assert f'<html lang="{language}">' in page
    assert f'href="/trends?lang={other}"' in page
    assert re.findall(r"\{[a-z_]+\}", page) == []
    assert len(re.findall(r'<img [^>]*alt="[^"]{40,}"', page)) == page.count("<img ") == len(CHARTS)
    assert not re.search(r"<script|<style| style=| on\w+=", page)


def test_an_earlier_time_is_shown_as_it_was_then(town: App, reader: httpx.Client) -> None:
    """With the numbers up to then and none after; a period that is not closed is not found."""
    page = _text(reader.get("/trends?period=2026-03"))
    assert "như lúc hết tháng 3/2026" in page
    assert "Số mới nhất: tuần 23/3 đến 29/3/2026, tháng 3/2026, quý 1/2026." in page
    assert "tháng 4/2026" not in page.lower().split("lấy số về")[0]
    drawn = reader.get("/trends/charts/province.svg?period=2026-03").text
    assert _labels(drawn) == _expected(town, "province", "vi", "2026-03")
    for name in ("2025-W41", "2025-10", "2025-Q4", LOST):
        assert reader.get(f"/trends?period={name}").status_code == 200
        assert _labels(reader.get(f"/trends/charts/risk.svg?period={name}").text)
    for path in ("/trends?period=2026-10", "/trends?period=x", "/trends/charts/topic.svg?period=x"):
        assert reader.get(path).status_code == 404
    assert reader.get("/trends/charts/other.svg").status_code == 404
    assert reader.get("/trends/charts/topic.gif").status_code == 404


def test_the_promise_is_that_of_the_rules(houses: Houses) -> None:
    """The published epsilons are those of the profile by which was released (T-12), in the words and in the JSON."""
    house = houses("pilot")
    release_year(house, "pilot")
    promised = statement(house.library.trend_rules, "pilot", period_named("2026-Q3"))
    page = _reader(house)
    assert (promised.once, promised.always) == (2.0, 6.5)
    assert "ε = 2. Ai tuần nào cũng nhắn: ε = 6,5." in _text(page.get("/trends"))
    privacy = page.get("/trends/export.json").json()["privacy"]
    assert (privacy["epsilon_once"], privacy["epsilon_always"], privacy["delta"]) == (2.0, 6.5, 0)


def test_nothing_rose(houses: Houses) -> None:
    """The same numbers again are no news; one period alone is nothing to compare with."""
    house = houses("pilot")
    _release_month(house, "2026-08", {"china": 80})
    assert "Mới có số của một kỳ, chưa so được với trước." in _text(_reader(house).get("/trends"))
    _release_month(house, "2026-09", {"china": 84})
    page = _text(_reader(house).get("/trends"))
    assert "Chưa thấy gì nhiều lên rõ." in page
    assert "nhiều nhất là lời mời đi làm ở Trung Quốc: khoảng 84 người, có thể lệch 12." in page


def test_before_the_first_release_the_page_says_when_it_comes(houses: Houses) -> None:
    """And where nothing is counted it says so."""
    house = houses("pilot")
    assert "Số ra sau khi hết tuần" in _text(_reader(house).get("/trends"))
    house.trends.open_periods(dt.datetime(2026, 11, 25, 9, tzinfo=VIETNAM))
    page = _text(_reader(house).get("/trends"))
    assert "Chưa có số nào. Số đầu tiên ra lúc 03:00 ngày 30/11/2026." in page
    assert "ε = 2" in page
    off = houses("off")
    assert "Ở đây không đếm." in _text(_reader(off).get("/trends"))
    assert _reader(off).get("/trends/export.csv").content.decode("utf-8-sig").count("\n") == 1


# -- as it is lived ----------------------------------------------------------------------------------------------------


def test_what_is_counted_and_closed_in_earnest_is_what_the_page_shows(houses: Houses) -> None:
    """Sixty people who write of China, through the real counting and closing; the page has the number that was drawn, once for all."""
    house = houses("pilot")
    house.clock = clock = FakeClock(dt.datetime(2026, 10, 1, 8, tzinfo=VIETNAM))
    page = _reader(house)
    store = house.trends
    store.open_periods(clock.now)
    for number in range(60):
        seen = Observation(risk="high", topic="china", province="N40", flag="money")
        assert store.count(f"person {number}", seen, clock.now)
    assert "Số đầu tiên ra lúc 03:00 ngày 5/10/2026" in _text(page.get("/trends"))
    assert len(close_due(store, clock.advance(dt.timedelta(days=40)))) == 2
    shown = _labels(page.get("/trends/charts/topic.svg").text)
    assert shown == _expected(house, "topic", "vi", "2026-10")
    assert shown["Việc ở Trung Quốc", "tháng 10/2026"] is not None
    before = page.get("/trends").content
    store.open_periods(clock.now)
    close_due(store, clock.now)
    assert page.get("/trends").content == before


def test_releases_are_read_again_only_when_one_has_come(houses: Houses) -> None:
    """A public page costs next to nothing: it counts the closings, and what is closed stays as it is."""
    house = houses("pilot")
    release_year(house, "pilot")
    read: list[str] = []
    event.listen(house.trends.database.engine, "before_cursor_execute", lambda *given: read.append(given[2]))
    page = _reader(house)
    for _ in range(3):
        assert page.get("/trends").status_code == 200
    assert page.get("/trends/export.csv").status_code == 200
    assert sum("FROM releases" in one for one in read) == 1
    _release_month(house, "2026-10", {"gulf": 70})
    assert "tháng 10/2026" in page.get("/trends").text
    assert sum("FROM releases" in one for one in read) == 2


def test_without_the_drawing_library_every_number_is_there(houses: Houses, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page says that it cannot draw; the error names what to install."""
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    house = houses("pilot")
    release_year(house, "pilot")
    page = _reader(house)
    shown = page.get("/trends")
    assert "<img" not in shown.text
    assert "Máy này chưa vẽ được hình." in _text(shown)
    assert shown.text.count("<table>") >= 5
    assert page.get("/trends/charts/topic.svg").status_code == 404
    with pytest.raises(TrendsError, match=r"pip install 'banduong\[trends\]'"):
        refuse_without_charts()


def test_too_many_charts_at_once_are_told_to_come_again() -> None:
    """Nobody can keep the whole house busy with drawing; what is drawn already is always there."""
    charts = Charts()
    spec: Spec = {"data": {"values": [{}]}, "mark": "point"}
    drawn = charts.draw("first", lambda: spec, "svg")
    with charts._turn:
        waiting = [threading.Thread(target=charts.draw, args=(str(n), lambda: spec, "svg")) for n in range(12)]
        for one in waiting:
            one.start()
        while charts._places._value:
            pass
        with pytest.raises(TooMany):
            charts.draw("one more", lambda: spec, "svg")
        assert charts.draw("first", lambda: spec, "svg") == drawn
    for one in waiting:
        one.join()


# -- to be read --------------------------------------------------------------------------------------------------------


def test_numbers_are_readable_on_every_shade() -> None:
    """4.5 to 1 at least, and each shade is darker than the one before."""
    lights = [_luminance(shade) for shade, _ in SHADES]
    assert lights == sorted(lights, reverse=True)
    for shade, ink in SHADES:
        one, other = sorted((_luminance(shade), _luminance(ink)))
        assert (other + 0.05) / (one + 0.05) >= 4.5, shade


def test_every_province_has_a_square_of_its_own(town: App) -> None:
    """Thirty-four, none upon another, and none upon what stands beside the map."""
    places = [place for region in town.library.trends.regions for place in region.tiles.values()]
    assert len(places) == len(set(places)) == 34
    assert not {(column, row) for column in (0, 1) for row in (9, 10, 11)} & set(places)
    assert {code for region in town.library.trends.regions for code in region.tiles} == {
        one.code for one in town.library.provinces
    }


@pytest.mark.parametrize("path", ["/trends/charts/topic.png", "/trends/charts/province.png?lang=en"])
def test_a_picture_is_a_picture(reader: httpx.Client, path: str) -> None:
    answer = reader.get(path)
    assert answer.headers["content-type"] == "image/png"
    assert answer.content.startswith(b"\x89PNG")


@pytest.mark.browser
def test_trends_fit_a_phone_a_desk_and_paper(town: App) -> None:
    """Nothing runs out of the screen with every table open, every chart is drawn under the strict policy, no browser complains."""
    with served(create_site(town)) as site, street(site) as walked:
        for language, width in (("vi", PHONE), ("en", PHONE), ("vi", DESK)):
            page = walked.page(f"/trends?lang={language}", width)
            page.evaluate("for (const one of document.images) one.loading = 'eager'")
            page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
            page.evaluate("Promise.all([...document.images].map(one => one.decode()))")
            assert page.locator("img").count() == len(CHARTS)
            assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
            assert page.locator("img").first.bounding_box()["width"] <= width  # type: ignore[index]
            assert page.evaluate(ASKEW) == []
        page.emulate_media(media="print")
        assert not page.locator("nav").is_visible()
        assert page.locator("#promise").is_visible()


@pytest.mark.browser
def test_an_analyst_finds_trends_from_the_console(houses: Houses) -> None:
    """Logged in, one tap; and back."""
    house = houses(public=False)
    release_year(house)
    house.clock = clock = FakeClock()
    with served(create_site(house)) as site, street(site) as walked:
        analyst = Console(walked, join(house, "phan.tich", "analyst", now=clock.now), clock)
        analyst.logs_in("account")
        analyst.presses(analyst.page.get_by_role("link", name=TOLD["common"]["trends"]))
        analyst.sees("h1", house.library.web["trends"]["title"]["vi"])
        analyst.presses(analyst.page.get_by_role("link", name=TOLD["common"]["console"]))
        assert analyst.page.url.endswith("/console/account")


# -- helpers -----------------------------------------------------------------------------------------------------------


def _reader(house: App) -> httpx.Client:
    """Somebody without an account."""
    return Site(house, create_site(house), FakeClock()).browser(LOCAL)


def _everything(forms: tuple[str, ...] = ("svg", "png")) -> list[str]:
    """Every address below /trends, in both languages, now and as of an earlier month."""
    asked = [f"?lang={language}{period}" for language in ("vi", "en") for period in ("", "&period=2026-06")]
    charts = [f"charts/{name}.{form}" for name in CHARTS for form in forms]
    return [*(f"/trends{one}" for one in asked), *(f"/trends/{name}{asked[0]}" for name in (*charts, *FILES))]


def _released(house: App) -> list[Any]:
    columns = t.releases.c
    with house.trends.database.read() as connection:
        return list(
            connection.execute(select(t.releases).order_by(columns.period, columns.table_name, columns.cell)).all()
        )


def _expected(house: App, chart: str, language: str, newest: str | None = None) -> Told:
    """What a chart must show, from the rows alone; the newest period, or all of them where it goes through time."""
    table, reading, cells = chart.removesuffix("_series"), Reading(house.library, language), Cells(house.library)
    rows = [row for row in _released(house) if row.table_name == table]
    latest = newest or max((period_named(row.period) for row in rows), key=lambda one: one.start).name
    through_time = chart in ("topic_series", "risk")
    return {
        (cells.title(table, row.cell, language), reading.period(period_named(row.period))): row.value
        if row.value >= 11
        else None
        for row in rows
        if through_time or row.period == latest
    }


def _labels(drawn: str) -> Told:
    found: Told = {}
    for label in re.findall(r'aria-label="([^"]+)" role="graphics-symbol"', drawn):
        match = NUMBER.match(html.unescape(label)) or FEW.match(html.unescape(label))
        if match:
            assert match.groups()[:2] not in found, label
            found[match[1], match[2]] = _number(label)
    return found


def _number(label: str) -> int | None:
    match = NUMBER.match(html.unescape(label))
    return int(re.sub(r"[.,]", "", match[3])) if match else None


def _title(label: str) -> str:
    match = NUMBER.match(html.unescape(label)) or FEW.match(html.unescape(label))
    assert match, label
    return match[1]


def _squares(drawn: str) -> Iterator[tuple[str, float, float, str]]:
    """Label, left, top and fill of what stands for a number."""
    pattern = r'<path aria-label="([^"]+)"[^>]* d="M([\d.]+),([\d.]+)h[^"]*" fill="([^"]+)"'
    for label, left, top, fill in re.findall(pattern, drawn):
        yield label, float(left), float(top), fill


def _written(drawn: str) -> list[tuple[str, float, float]]:
    """Every text with its place; lines below each other are one text."""
    pattern = r'<text [^>]*transform="translate\(([\d.]+),([\d.]+)\)[^>]*>(.*?)</text>'
    return [
        (html.unescape(re.sub(r"<[^>]+>", "", words.replace("</tspan><", "</tspan> <"))), float(x), float(y))
        for x, y, words in re.findall(pattern, drawn)
    ]


def _legend(drawn: str, written: list[tuple[str, float, float]]) -> Iterator[tuple[str, str]]:
    """What stands to the right of each swatch, and the swatch's fill."""
    for left, top, side, fill in re.findall(r'd="M([\d.]+),([\d.]+)h([\d.]+)v[^"]*" fill="([^"]+)"', drawn):
        if float(side) < 30:
            near = [text for text, x, y in written if 0 < x - float(left) < 40 and 0 < y - float(top) < float(side)]
            yield from ((text, fill) for text in near)


def _shade_of(number: int, legend: list[tuple[str, str]]) -> str:
    """Of the last class whose least number is not above it."""
    return [fill for text, fill in legend if int(re.findall(r"\d+", text)[0]) <= number][-1]


def _text(page: httpx.Response) -> str:
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", page.text)))


def _release_month(house: App, name: str, topics: dict[str, int]) -> None:
    period = period_named(name)
    row = {"period": name, "profile": "pilot", "tables": json.dumps({"topic": 0.25})}
    values = {cell: topics.get(cell, 0) for cell in Cells(house.library).of["topic"]}
    with house.trends.database.begin() as connection:
        connection.execute(insert(t.closings).values(**row, begun_on=period.start, lost=False))
        connection.execute(
            insert(t.releases),
            [
                {"period": name, "table_name": "topic", "cell": cell, "value": value, "epsilon": 0.25}
                for cell, value in values.items()
            ],
        )


def _luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
