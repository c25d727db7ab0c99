"""/trends: what was released, for whoever may see it. Everybody who may gets the very same bytes, so that no view tells more than another."""

import gzip
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import HTMLResponse, PlainTextResponse
from sqlalchemy import func, select

from bot.app import App
from bot.store import trend_tables as t
from bot.trends.budget import Statement
from bot.trends.charts import Charts, TooMany, can_draw
from bot.trends.counters import all_open
from bot.trends.export import LANGUAGES, Export
from bot.trends.periods import Period, period_named
from bot.trends.reading import Reading, first_due
from bot.trends.report import Report
from bot.web.console.security import Door
from bot.web.trends_shown import Shown
from bot.web.words import language_of, templates

TRENDS = "/trends"
PERMISSION = "trends.see"
AGAIN = 5  # seconds after which a chart may be asked for again
_TYPES: Mapping[str, str] = {"svg": "image/svg+xml", "png": "image/png"}
_CSV = "text/csv; charset=utf-8"


def trend_routes(house: App) -> APIRouter:
    """For everybody where config.yml says so; otherwise for staff with the permission."""
    door = Door(house)
    guards = [Depends(door.only_safely), Depends(door.signed_in(PERMISSION))]
    routes = APIRouter(include_in_schema=False, dependencies=[] if house.config.bot.trends.public else guards)
    desk = _Desk(house)

    @routes.get(TRENDS)
    def overview(request: Request, period: str = "") -> Response:
        """The newest numbers of every table, or those of the time when `period` had been closed."""
        return desk.page(request, period)

    @routes.get(f"{TRENDS}/charts/{{name}}.{{form}}")
    def chart(request: Request, name: str, form: str, period: str = "") -> Response:
        return desk.chart(request, name, form, period)

    @routes.get(f"{TRENDS}/export.csv")
    def export_csv(request: Request) -> Response:
        """Every number that was ever released; dictionary.csv tells what the columns mean."""
        return desk.file(request, "banduong-trends.csv", _CSV, desk.export.as_csv)

    @routes.get(f"{TRENDS}/export.json")
    def export_json(request: Request) -> Response:
        """The same with the dictionary, the privacy statement and the periods themselves."""
        return desk.file(request, "banduong-trends.json", "application/json", lambda report, _: desk.as_json(report))

    @routes.get(f"{TRENDS}/dictionary.csv")
    def dictionary_csv(request: Request) -> Response:
        return desk.file(request, "banduong-trends-dictionary.csv", _CSV, lambda *_: desk.export.dictionary_as_csv())

    if house.config.bot.trends.profile != "off":
        desk.charts.warm()
    return routes


@dataclass(frozen=True)
class _Glance:
    """All releases as they are just now, and what was made of them; while there are none, the periods that are open."""

    closed: int
    report: Report
    made: dict[tuple[str, ...], bytes] = field(default_factory=dict)
    opened: tuple[Period, ...] = ()


class _Desk:
    """Reads the releases anew only when one has come."""

    def __init__(self, house: App) -> None:
        self._house, self._library = house, house.library
        self.charts = Charts()
        self.export = Export(house.library)
        self._readings = {language: Reading(house.library, language) for language in LANGUAGES}
        self._reading_it = threading.Lock()
        self._kept: _Glance | None = None

    # -- the page ------------------------------------------------------------------------------------------------------

    def page(self, request: Request, name: str) -> Response:
        self.charts.warm()
        language, glance = language_of(request), self._glance()
        report = _as_of(glance.report, name)
        if report is None:
            return _missing()
        key = ("page", language, name)
        shown = glance.made.get(key) or self._page(glance, report, name, language)
        if glance.closed:
            glance.made[key] = shown
        return _packed(request, shown, "text/html; charset=utf-8")

    def _page(self, glance: _Glance, report: Report, name: str, language: str) -> bytes:
        reading = self._readings[language]
        page = templates.get_template("trends.html")
        return page.render(
            w=reading.words,
            lang=language,
            as_of=reading.period(period_named(name)) if name else None,
            period=name or (report.closings[-1].period.name if report.closings else ""),
            news=self._news(reading, report, glance.opened),
            parts=list(Shown(self._library, report, reading).parts()),
            draws=can_draw(),
            how=reading.how(),
            missing=reading.notes(report),
            promise=reading.promise(self._promised(report)),
            earlier=list(_earlier(glance.report, reading)),
            public=self._house.config.bot.trends.public,
        ).encode()

    def _news(self, reading: Reading, report: Report, opened: tuple[Period, ...]) -> Mapping[str, Any]:
        newest = reading.newest(report)
        if newest is None:
            counts = opened or self._house.config.bot.trends.profile != "off"
            due = first_due(opened, self._house.trends.closes_after)
            said = reading.first_release(due) if counts else reading.words["off_here"]
            return {"newest": said, "rises": [], "most": None, "notes": reading.notes(report, newest=True)}
        return {
            "newest": newest,
            "rises": reading.rises(report),
            "most": reading.most(report),
            "notes": reading.notes(report, newest=True),
        }

    def chart(self, request: Request, name: str, form: str, period: str) -> Response:
        language, glance = language_of(request), self._glance()
        report = _as_of(glance.report, period)
        if report is None or form not in _TYPES or not can_draw():
            return _missing()
        shown = Shown(self._library, report, self._readings[language])
        if not shown.has_chart(name):
            return _missing()
        full = f"{glance.closed}|{period}|{name}.{language}"  # what is closed stays, so that this says all
        try:
            drawn = self.charts.draw(full, lambda: shown.spec(name), "png" if form == "png" else "svg")
        except TooMany:
            return PlainTextResponse("", status_code=503, headers={"Retry-After": str(AGAIN)})
        return _packed(request, drawn, _TYPES[form])

    # -- exports -------------------------------------------------------------------------------------------------------

    def file(self, request: Request, name: str, kind: str, make: Callable[[Report, str], bytes]) -> Response:
        """Made once for each report and language."""
        glance, key = self._glance(), (name, language_of(request))
        content = glance.made.get(key) or make(glance.report, key[1])
        glance.made[key] = content
        response = _packed(request, content, kind)
        response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
        return response

    def as_json(self, report: Report) -> bytes:
        return self.export.as_json(report, self._promised(report))

    # -- reading -------------------------------------------------------------------------------------------------------

    def _glance(self) -> _Glance:
        """What is closed never changes, so that their number tells whether there is anything new."""
        store = self._house.trends
        with self._reading_it, store.database.read() as connection:
            closed = connection.execute(select(func.count()).select_from(t.closings)).scalar_one()
            if self._kept is None or self._kept.closed != closed:
                self._kept = _Glance(closed, Report(connection, store.rules.threshold))
            if closed:
                return self._kept
            return replace(self._kept, opened=tuple(one.period for one in all_open(connection)))

    def _promised(self, report: Report) -> Statement | None:
        trends = self._house.config.bot.trends
        return report.promised(
            self._library.trend_rules, trends.profile, self._house.clock(), quarterly=trends.quarter_tables
        )


def _as_of(report: Report, name: str) -> Report | None:
    """None where no such period is closed."""
    if not name:
        return report
    found = next((closing.period for closing in report.closings if closing.period.name == name), None)
    return report.until(found) if found else None


def _earlier(report: Report, reading: Reading) -> Iterator[tuple[str, str]]:
    """Months and quarters, the newest first: name and what people call them. Weeks are within them."""
    for closing in reversed(report.closings):
        if closing.period.grain != "week":
            yield closing.period.name, reading.period(closing.period)


def _packed(request: Request, content: bytes, kind: str) -> Response:
    """Small where the browser can unpack it: nothing here is a secret, and phones are slow."""
    headers = {"Vary": "Accept-Encoding"}
    if kind.startswith("image/png") or "gzip" not in request.headers.get("accept-encoding", ""):
        return Response(content, media_type=kind, headers=headers)
    packed = gzip.compress(content, compresslevel=5, mtime=0)
    return Response(packed, media_type=kind, headers={**headers, "Content-Encoding": "gzip"})


def _missing() -> Response:
    return HTMLResponse("", status_code=404)
