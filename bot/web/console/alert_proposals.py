"""From trend to alert: where a released series rose beyond chance, a draft is proposed. A person writes it, or puts it aside.

Nothing is kept of a proposal but what somebody decided about it, which stands in the audit. It is made anew from the released numbers, and gone
with the next release of its table.
"""

import datetime as dt
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from sqlalchemy import Connection

from bot import audit
from bot.app import App
from bot.content import Alert, Library, TrendTopic
from bot.errors import BanDuongError, OutreachError
from bot.outreach import report as figures
from bot.outreach.words import LANGUAGES
from bot.staff.sessions import Session
from bot.store.crypto import Keyring
from bot.trends.cells import BETWEEN, Cells
from bot.trends.periods import Period
from bot.trends.report import Report, Rise
from bot.web.console import alert_forms
from bot.web.console.alert_desk import ALERTS, AlertDesk
from bot.web.console.desk import Form, read_form
from bot.web.console.security import Door

ASIDE, TAKEN = "proposal_aside", "proposal_taken"  # in the audit
# A level of risk names no lure and no place of which one could warn.
TABLES = ("topic", "region_topic", "province_topic", "province", "flag")

log = logging.getLogger("banduong")


@dataclass(frozen=True)
class Proposal:
    """What rose in one table. `about`: a topic or a group of signs; "" where only a place is known. `rises`: one for each place."""

    table: str
    period: Period
    about: str
    rises: tuple[Rise, ...]

    @property
    def key(self) -> str:
        return sha256(f"proposal|{self.period.name}|{self.table}|{self.about}".encode()).hexdigest()


def proposal_routes(door: Door) -> APIRouter:
    routes = APIRouter()
    desk = AlertDesk(door)
    writing = Annotated[Session, Depends(door.signed_in("alert.write"))]
    typed = Annotated[Form, Depends(read_form)]

    @routes.post(f"{ALERTS}/proposals/aside")
    def put_aside(request: Request, session: writing, form: typed) -> Response:
        proposals = from_trends(desk.house)

        def work(connection: Connection, keyring: Keyring, me: str, now: dt.datetime) -> None:
            if form.get("proposal") not in {one.key for one in undecided(connection, proposals)}:
                raise OutreachError("no_proposal")
            decide(connection, keyring, form["proposal"], ASIDE, me, now)

        return desk.change(request, session, ALERTS, work)

    return routes


# -- what there is -----------------------------------------------------------------------------------------------------


def from_trends(house: App) -> list[Proposal]:
    """What rose, the greatest rise first; nothing where nothing is counted. Alerts go on where trends cannot be read."""
    if house.config.bot.trends.profile == "off":
        return []
    try:
        with house.trends.database.read() as connection:
            report = Report(connection, house.trends.rules.threshold)
        over = house.clock() - house.trends.closes_after
    except BanDuongError as error:
        log.error("no alert can be proposed, because trends cannot be read: %s", error)
        return []
    found = [one for table in TABLES for one in _of_table(report, house.library, table)]
    fresh = [one for one in found if over < one.period.following.over_at]
    return sorted(fresh, key=lambda one: -one.rises[0].at_least)


def undecided(connection: Connection, proposals: Sequence[Proposal]) -> list[Proposal]:
    """Those that nobody has put aside or written an alert from."""
    if not proposals:
        return []
    since = min(one.period.over_at for one in proposals)
    decided = audit.digests_of(connection, (ASIDE, TAKEN), since)
    return [one for one in proposals if one.key not in decided]


def decide(connection: Connection, keyring: Keyring, key: str, action: str, by: str, now: dt.datetime) -> None:
    audit.record(connection, keyring, actor=by, action=action, now=now, digest=key)


def proposed(desk: AlertDesk, key: str) -> Proposal:
    """OutreachError where it is gone: another release came, or somebody has decided."""
    proposals = from_trends(desk.house)
    with desk.look() as (connection, _keyring, _now):
        found = [one for one in undecided(connection, proposals) if one.key == key]
    if not found:
        raise OutreachError("no_proposal")
    return found[0]


def _of_table(report: Report, library: Library, table: str) -> Iterator[Proposal]:
    together: dict[str, list[Rise]] = {}
    for rise in report.rises(table):
        place, about = place_and_lure(table, rise.number.cell)
        if about != library.trends.flags[-1].id and (place is None or _provinces(library, place)):
            together.setdefault(about, []).append(rise)
    for about, rises in together.items():
        yield Proposal(table, rises[0].number.period, about, tuple(rises))


def place_and_lure(table: str, cell: str) -> tuple[str | None, str]:
    """The parts of a cell: region or province, None for the whole country; topic or group of signs, "" where there is none."""
    if table == "province":
        return cell, ""
    place, between, lure = cell.partition(BETWEEN)
    return (place, lure) if between else (None, cell)


# -- what it becomes ---------------------------------------------------------------------------------------------------


def form_of(house: App, proposal: Proposal, channels: Sequence[str], template: Alert | None) -> dict[str, str]:
    """A new form with what is known: words of the template, for whom, from which source, and from which proposal."""
    library = house.library
    told = ToldProposals(library, LANGUAGES[0])
    fields = alert_forms.empty(library, channels, template)
    fields["title"] = f"{fields.get('title') or told.lure(proposal)}: {told.places(proposal)}"[
        : alert_forms.LONGEST_TITLE
    ]
    fields |= {f"province-{code}": "yes" for code in provinces_of(library, proposal)}
    fields |= {"interest": template.interest if template else "", "proposal": proposal.key}
    if template and "place" in template.blanks and provinces_of(library, proposal):
        fields |= {f"blank-place-{one}": ToldProposals(library, one).places(proposal) for one in LANGUAGES}
    if not fields.get("source_name"):
        last = proposal.period.end - dt.timedelta(days=1)
        fields |= {"source_name": told.source(proposal), "source_date": last.isoformat()}
    return fields


def template_of(library: Library, proposal: Proposal) -> Alert | None:
    """None where it is to be written freely."""
    topic = _topic(library, proposal)
    return library.alerts.get(topic.alert or "") if topic else None


def provinces_of(library: Library, proposal: Proposal) -> list[str]:
    """None for the whole country."""
    places = [place_and_lure(proposal.table, rise.number.cell)[0] for rise in proposal.rises]
    return [code for place in places if place for code in _provinces(library, place)]


def _provinces(library: Library, place: str) -> list[str]:
    """Of a region, or of a province itself; none for who is abroad or told no province: there is nobody to send to."""
    region = next((one for one in library.trends.regions if one.id == place), None)
    return list(region.tiles) if region else [one.code for one in library.provinces if one.code == place]


def _topic(library: Library, proposal: Proposal) -> TrendTopic | None:
    topics = library.trends.topics if proposal.table != "flag" else ()
    return next((one for one in topics if one.id == proposal.about), None)


class ToldProposals:
    """Proposals in the words of one language."""

    def __init__(self, library: Library, language: str) -> None:
        self._library, self._language = library, language
        self._cells = Cells(library)
        self._words = library.console(language)["alert_proposals"]

    def shown(self, proposal: Proposal) -> Mapping[str, Any]:
        template = template_of(self._library, proposal)
        interest = self._library.interests.get(template.interest) if template else None
        return {
            "key": proposal.key,
            "lure": self.lure(proposal),
            "period": self.period(proposal.period),
            "rises": [self._rise(proposal.table, one) for one in proposal.rises],
            "template": template.title.in_language(self._language) if template else None,
            "places": self.places(proposal),
            "interest": interest.label.in_language(self._language) if interest else None,
        }

    def lure(self, proposal: Proposal) -> str:
        if not proposal.about:
            return self._words["more_people"]
        table = "flag" if proposal.table == "flag" else "topic"
        return self._cells.title(table, proposal.about, self._language)

    def places(self, proposal: Proposal) -> str:
        return ", ".join(self._place(proposal.table, rise.number.cell) for rise in proposal.rises)

    def source(self, proposal: Proposal) -> str:
        return self._words["source"].format(period=self.period(proposal.period))

    def period(self, period: Period) -> str:
        last = period.end - dt.timedelta(days=1)
        return self._words[period.grain].format(
            first=f"{period.start:%d/%m}", last=f"{last:%d/%m/%Y}", month=last.month, quarter=(last.month + 2) // 3, year=last.year
        )  # fmt: skip

    def _rise(self, table: str, rise: Rise) -> str:
        number = rise.number
        few = self._words["few"].format(threshold=self._library.trend_rules.threshold)
        usual = few if rise.usual is None else figures.grouped(rise.usual, self._language)
        return self._words["rose"].format(
            place=self._place(table, number.cell), number=figures.grouped(number.value or 0, self._language),
            off_by=number.off_by, usual=usual, at_least=figures.grouped(rise.at_least, self._language),
        )  # fmt: skip

    def _place(self, table: str, cell: str) -> str:
        place, _ = place_and_lure(table, cell)
        if place is None:
            return self._words["everywhere"]
        return self._cells.title("region" if table == "region_topic" else "province", place, self._language)
