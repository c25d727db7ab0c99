"""Alerts: what there is, and one of them from draft to report."""

import datetime as dt
from collections.abc import Collection, Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request, Response
from sqlalchemy import Connection

from bot.errors import OutreachError
from bot.hotline.papers import Paper, pdf
from bot.outreach import broadcasts, progress, report, schedule
from bot.outreach.broadcasts import OPEN, Broadcast
from bot.outreach.progress import Progress
from bot.staff.sessions import Session
from bot.store.crypto import Keyring
from bot.web.console.alert_desk import ALERTS, AlertDesk, alert_path
from bot.web.console.alert_proposals import ToldProposals, from_trends, undecided
from bot.web.console.alerts_shown import UNDER_WAY, ShownAlerts
from bot.web.console.security import Door

ALERT = f"{ALERTS}/{{alert}}"
AT_ONCE = 50  # rows of a page
ENDED = ("done", "cancelled")
FAILED = ("failed", "undelivered")  # whose codes a provider gave; a code of our own could tell of one person's case
DONE = ("test", "saved")  # what a page may say that was done
_SHOWN: Mapping[str, tuple[str, ...]] = {
    "all": (),
    "arrived": ("sent", "delivered"),
    "failed": ("failed", "undelivered", "expired", "cancelled"),
    "uncertain": ("uncertain",),
    "under_way": UNDER_WAY,
}


def alert_routes(door: Door) -> APIRouter:
    routes = APIRouter()
    desk = AlertDesk(door)
    for add in (_add_list, _add_one, _add_report):
        add(routes, desk)
    return routes


# -- what there is -----------------------------------------------------------------------------------------------------


def _add_list(routes: APIRouter, desk: AlertDesk) -> None:
    seeing = Annotated[Session, Depends(desk.door.signed_in("alert.see"))]

    @routes.get(ALERTS)
    def see_alerts(request: Request, session: seeing, page: int = 1) -> Response:
        proposals = from_trends(desk.house)
        told = ToldProposals(desk.house.library, session.account.language)
        with desk.look() as (connection, keyring, now):
            shown = desk.words_of(connection, session)
            pages = max(1, -(-broadcasts.count(connection, ENDED) // AT_ONCE))
            page = min(max(1, page), pages)
            values: dict[str, Any] = {
                "proposals": [told.shown(one) for one in undecided(connection, proposals)],
                "waiting": _listed(connection, keyring, shown, ("waiting",)),
                "open": _listed(connection, keyring, shown, OPEN, now),
                "drafts": _listed(connection, keyring, shown, ("draft",)),
                "ended": _listed(connection, keyring, shown, ENDED, offset=(page - 1) * AT_ONCE),
                "schedules_waiting": schedule.waiting_for(connection, session.account.id),
            }
        return desk.door.page(request, "alerts", session, page=page, pages=pages, **values)


def _listed(
    connection: Connection,
    keyring: Keyring,
    shown: ShownAlerts,
    statuses: Collection[str],
    now: dt.datetime | None = None,
    offset: int = 0,
) -> list[dict[str, Any]]:
    """With `now` also how far they are."""
    found = broadcasts.listed(connection, keyring, statuses, limit=AT_ONCE, offset=offset)
    return [
        {
            "reference": reference,
            "alert": one and shown.alert(one),
            "progress": shown.progress(one, progress.of(connection, one, now)) if one and now else None,
        }
        for reference, one in found
    ]


# -- one of them -------------------------------------------------------------------------------------------------------


def _add_one(routes: APIRouter, desk: AlertDesk) -> None:
    seeing = Annotated[Session, Depends(desk.door.signed_in("alert.see"))]
    looking = Annotated[Session, Depends(desk.door.signed_in("alert.see", by_person=False))]

    @routes.get(ALERT)
    def see_alert(request: Request, session: seeing, alert: str, done: str = "") -> Response:
        return _page(desk, request, session, alert, "alert", done=done if done in DONE else "", seen="")

    @routes.get(f"{ALERT}/progress")
    def see_progress(request: Request, session: looking, alert: str, status: str = "") -> Response:
        """What an open page asks for every other second; with `status`, what it shows already, only what may have changed."""
        return _page(desk, request, session, alert, "_alert_live", seen=status, here=alert_path(alert))

    @routes.get(f"{ALERT}/receipts")
    def see_receipts(request: Request, session: seeing, alert: str, show: str = "all", page: int = 1) -> Response:
        show, page = show if show in _SHOWN else "all", min(max(1, page), 10**6)
        try:
            with desk.look() as (connection, keyring, _now):
                found = desk.find(connection, alert)
                rows = progress.receipts(
                    connection, keyring, found.id, states=_SHOWN[show], limit=AT_ONCE + 1, offset=(page - 1) * AT_ONCE
                )
                shown = desk.words_of(connection, session)
        except OutreachError as error:
            return desk.refuse_alert(request, session, error.why, ALERTS)
        told = [
            {"masked": one.masked, "channel": one.channel, "status": _state(one.status), "at": one.at,
             "why": report.failure(one.error, desk.house.library, shown.language)
                    if one.error and one.status in FAILED else None}
            for one in rows[:AT_ONCE]
        ]  # fmt: skip
        return desk.door.page(
            request, "alert_receipts", session, nav="alerts", alert=shown.alert(found), rows=told, show=show,
            shows=list(_SHOWN), page=page, more=len(rows) > AT_ONCE,
        )  # fmt: skip


def _state(status: str) -> str:
    return "under_way" if status in UNDER_WAY else status


def _page(
    desk: AlertDesk, request: Request, session: Session, reference: str, template: str, **values: Any
) -> Response:
    try:
        with desk.look() as (connection, _keyring, now):
            found = desk.find(connection, reference)
            shown = desk.words_of(connection, session)
            far = progress.of(connection, found, now) if found.submitted_at else None
    except OutreachError as error:
        return desk.refuse_alert(request, session, error.why, ALERTS)
    told: dict[str, Any] = {
        "alert": shown.alert(found),
        "can": _can(desk, session, found),
        "progress": shown.progress(found, far) if far and found.status not in ("draft", "waiting") else None,
        "preview": _preview(desk, shown, found, now) if template == "alert" else None,
    }
    return desk.door.page(request, template, session, nav="alerts", **told, **values)


def _preview(desk: AlertDesk, shown: ShownAlerts, found: Broadcast, now: dt.datetime) -> dict[str, Any]:
    """Who it is for is counted as long as that is not written down."""
    plan = found.plan
    counted = desk.lately_counted(plan.audience) if found.status in ("draft", "waiting") else None
    told = shown.preview(plan.words, plan.audience, counted, plan.budget_vnd, plan.valid_until, now)
    return told if found.status in ("draft", "waiting") else told | {"problems": []}


_CAN: Mapping[str, tuple[str, ...]] = {
    "draft": ("edit", "submit", "test", "cancel", "again"),
    "waiting": ("approve", "send_back", "test", "cancel", "again"),
    "scheduled": ("send_back", "pause", "cancel", "copy", "again"),
    "running": ("pause", "cancel", "copy", "again"),
    "paused": ("resume", "budget", "cancel", "copy", "again"),
    "done": ("copy", "again"),
    "cancelled": ("copy", "again"),
}
_NEEDS = {
    "edit": "alert.write", "submit": "alert.write", "test": "alert.write", "copy": "alert.write", "again": "alert.write",
    "approve": "alert.approve", "send_back": "alert.approve", "pause": "alert.stop", "resume": "alert.stop",
    "cancel": "alert.stop", "budget": "alert.budget",
}  # fmt: skip
_NEVER_ONES_OWN = {"approve", "budget"}


def _can(desk: AlertDesk, session: Session, found: Broadcast) -> set[str]:
    may = desk.house.library.permissions.of(session.account.roles)
    can = {one for one in _CAN[found.status] if _NEEDS[one] in may}
    if found.author_id == session.account.id:
        can -= _NEVER_ONES_OWN
    return can - {"send_back"} if found.cursor else can


# -- the report --------------------------------------------------------------------------------------------------------


def _add_report(routes: APIRouter, desk: AlertDesk) -> None:
    seeing = Annotated[Session, Depends(desk.door.signed_in("alert.see"))]

    @routes.get(f"{ALERT}/report.csv")
    def as_table(request: Request, session: seeing, alert: str) -> Response:
        return _reported(desk, request, session, alert, "csv")

    @routes.get(f"{ALERT}/report.pdf")
    def as_paper(request: Request, session: seeing, alert: str) -> Response:
        return _reported(desk, request, session, alert, "pdf")


def _reported(
    desk: AlertDesk, request: Request, session: Session, reference: str, form: Literal["csv", "pdf"]
) -> Response:
    language = session.account.language
    try:
        with desk.look() as (connection, _keyring, now):
            found = desk.find(connection, reference)
            far = progress.of(connection, found, now)
            names = desk.words_of(connection, session).names
    except OutreachError as error:
        return desk.refuse_alert(request, session, error.why, ALERTS)
    content = _content(desk, found, far, names, language, form)
    kind = {"csv": "text/csv; charset=utf-8", "pdf": "application/pdf"}[form]
    name = f'attachment; filename="alert-{found.reference}.{form}"'
    return Response(content, media_type=kind, headers={"Content-Disposition": name})


def _content(
    desk: AlertDesk,
    found: Broadcast,
    far: Progress,
    names: Mapping[str, str],
    language: str,
    form: Literal["csv", "pdf"],
) -> bytes:
    lines = report.rows(found, far, names, desk.house.library, language)
    if form == "csv":
        return report.table(lines)
    told = desk.house.library.console(language)["alert_report"]
    return pdf(Paper(told["title"], found.reference, tuple(lines), (told["small"],)))
