"""Alerts that come again: made from one that was written, approved once by a second person."""

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import RedirectResponse
from sqlalchemy import Connection

from bot.errors import OutreachError
from bot.jobs import next_times
from bot.messages import VIETNAM
from bot.outreach import schedule
from bot.outreach.broadcasts import Plan
from bot.outreach.schedule import Repetition, Schedule
from bot.staff.sessions import Session
from bot.store.crypto import Keyring
from bot.web.console.alert_desk import ALERTS, AlertDesk
from bot.web.console.alerts_shown import ShownAlerts, found_problems
from bot.web.console.desk import Form, read_form
from bot.web.console.security import Door

SCHEDULES = f"{ALERTS}/schedules"
NEW = f"{SCHEDULES}/new"
FIRST_HOUR, LAST_HOUR = dt.time(7), dt.time(21)
NEXT = 3  # times that are shown
MOST_HOURS = 72  # that one of them stays valid
_CRON = re.compile(r"(\d{1,2}) (\d{1,2}) (\*|\d{1,2}) \* (\*|[0-6])")


@dataclass(frozen=True)
class When:
    """`every`: "day", "week" or "month"; `day`: of the week (0 is Sunday), or of the month."""

    every: str
    day: int
    hour: str


def when_of(cron: str) -> When | None:
    """None for what no form of the console makes."""
    found = _CRON.fullmatch(cron)
    if found is None:
        return None
    minute, hour, of_month, of_week = found.groups()
    clock = f"{int(hour):02}:{int(minute):02}"
    if of_week != "*":
        return When("week", int(of_week), clock)
    return When("day", 0, clock) if of_month == "*" else When("month", int(of_month), clock)


def schedule_routes(door: Door) -> APIRouter:
    routes = APIRouter()
    desk = AlertDesk(door)
    _add_pages(routes, desk)
    _add_changes(routes, desk)
    return routes


def _add_pages(routes: APIRouter, desk: AlertDesk) -> None:
    seeing = Annotated[Session, Depends(desk.door.signed_in("alert.see"))]
    writing = Annotated[Session, Depends(desk.door.signed_in("alert.write"))]
    typed = Annotated[Form, Depends(read_form)]

    @routes.get(SCHEDULES)
    def see_schedules(request: Request, session: seeing) -> Response:
        with desk.look() as (connection, keyring, now):
            shown = desk.words_of(connection, session)
            found = schedule.listed(connection, keyring)
        may = desk.house.library.permissions.of(session.account.roles)
        rows = [_shown(desk, shown, one, now, may) for one in found if one]
        broken = sum(one is None for one in found)
        return desk.door.page(request, "alert_schedules", session, nav="alerts", rows=rows, broken=broken)

    @routes.get(NEW)
    def new(request: Request, session: writing, of: str = "") -> Response:
        """`of`: the reference of the alert that is to come again. Without one, to the list, which says how."""
        if not of:
            return RedirectResponse(SCHEDULES, status_code=303)
        return _form(desk, request, session, of, {"every": "week", "hour": "08:00", "hours": "6"})

    @routes.post(NEW)
    def keep(request: Request, session: writing, form: typed) -> Response:
        wrong: dict[str, str] = {}
        times = _times(form, wrong)
        if times is None:
            return _form(desk, request, session, form.get("of", ""), form, wrong)

        def work(connection: Connection, keyring: Keyring, me: str, now: dt.datetime) -> None:
            found = desk.find(connection, form.get("of", ""))
            if found.digest != form.get("digest"):
                raise OutreachError("changed")
            wanted = times.of(found.plan)
            _check(desk, wanted, now)
            schedule.write(connection, keyring, wanted, me, now)

        return desk.change(request, session, SCHEDULES, work)


@dataclass(frozen=True)
class _Times:
    cron: str
    valid_for: dt.timedelta
    ends_at: dt.datetime

    def of(self, plan: Plan) -> Repetition:
        return Repetition(plan.words, plan.audience, self.cron, self.valid_for, self.ends_at, plan.budget_vnd)


def _check(desk: AlertDesk, wanted: Repetition, now: dt.datetime) -> None:
    if found_problems(desk.house, wanted.words, now + wanted.valid_for, now):
        raise OutreachError("problems")


def _times(form: Form, wrong: dict[str, str]) -> _Times | None:
    """None where something is `wrong`."""
    hour, day, ends_at = _hour(form, wrong), _day(form, wrong), _end(form, wrong)
    hours = _number(form, "hours", 1, MOST_HOURS, wrong)
    if wrong or ends_at is None:
        return None
    return _Times(f"{hour.minute} {hour.hour} {day}", dt.timedelta(hours=hours), ends_at)


def _hour(form: Form, wrong: dict[str, str]) -> dt.time:
    """A fair one."""
    try:
        hour = dt.time.fromisoformat(form.get("hour", "").strip()).replace(tzinfo=None)
    except ValueError:
        hour = dt.time()
    if not FIRST_HOUR <= hour <= LAST_HOUR:
        wrong["hour"] = "hour"
    return hour


def _day(form: Form, wrong: dict[str, str]) -> str:
    """The last three fields of the five."""
    match form.get("every"):
        case "day":
            return "* * *"
        case "week":
            return f"* * {_number(form, 'weekday', 0, 6, wrong)}"
        case "month":
            return f"{_number(form, 'monthday', 1, 28, wrong)} * *"
    wrong["every"] = "every"
    return ""


def _end(form: Form, wrong: dict[str, str]) -> dt.datetime | None:
    """The end of the last day."""
    try:
        last = dt.date.fromisoformat(form.get("last", "").strip())
        return dt.datetime.combine(last + dt.timedelta(days=1), dt.time(), VIETNAM).astimezone(dt.UTC)
    except (ValueError, OverflowError):
        wrong["last"] = "last"
        return None


def _number(form: Form, field: str, least: int, most: int, wrong: dict[str, str]) -> int:
    written = form.get(field, "").strip()
    if not re.fullmatch(r"[0-9]{1,3}", written) or not least <= int(written) <= most:
        wrong[field] = field
        return least
    return int(written)


def _form(
    desk: AlertDesk,
    request: Request,
    session: Session,
    reference: str,
    form: Mapping[str, str],
    wrong: Mapping[str, str] | None = None,
) -> Response:
    try:
        with desk.look() as (connection, _keyring, now):
            found = desk.find(connection, reference)
            shown = desk.words_of(connection, session)
    except OutreachError as error:
        return desk.refuse_alert(request, session, error.why, SCHEDULES)
    plan = found.plan
    counted = desk.lately_counted(plan.audience)
    preview = shown.preview(plan.words, plan.audience, counted, plan.budget_vnd, now + dt.timedelta(hours=1), now)
    return desk.door.page(
        request, "alert_schedule_form", session, status=400 if wrong else 200, nav="alerts", alert=shown.alert(found),
        form=form, wrong=wrong or {}, preview=preview, here=f"{NEW}?of={found.reference}",
    )  # fmt: skip


def _shown(desk: AlertDesk, shown: ShownAlerts, one: Schedule, now: dt.datetime, may: frozenset[str]) -> dict[str, Any]:
    wanted, when = one.repetition, when_of(one.repetition.cron)
    goes_on = one.status in ("waiting", "active", "paused") and wanted.ends_at > now
    times = next_times(wanted.cron, now, NEXT) if goes_on else []
    mine = one.author_id == shown.me
    can = {
        "approve": one.status == "waiting" and not mine and "alert.approve" in may,
        "pause": one.status == "active" and "alert.stop" in may,
        "resume": one.status == "paused" and "alert.stop" in may,
        "end": goes_on and "alert.stop" in may,
    }
    preview = shown.preview(
        wanted.words, wanted.audience, None, wanted.budget_vnd, now + dt.timedelta(hours=1), now
    )  # fmt: skip
    return {
        "id": one.id,
        "title": wanted.words.title,
        "status": one.status,
        "digest": one.digest,
        "author": shown.name(one.author_id),
        "mine": mine,
        "approved_by": shown.name(one.approved_by),
        "when": when,
        "cron": wanted.cron,
        "hours": int(wanted.valid_for.total_seconds() // 3600),
        "ends_at": wanted.ends_at - dt.timedelta(minutes=1),
        "next": [moment for moment in times if moment < wanted.ends_at],
        "budget": shown.money(wanted.budget_vnd),
        "audience": shown.audience(wanted.audience),
        "preview": preview,
        "can": {name for name, yes in can.items() if yes},
    }


# -- what can be done --------------------------------------------------------------------------------------------------

_STATUSES = {"pause": "paused", "resume": "active", "end": "ended"}


def _add_changes(routes: APIRouter, desk: AlertDesk) -> None:
    approving = Annotated[Session, Depends(desk.door.signed_in("alert.approve"))]
    stopping = Annotated[Session, Depends(desk.door.signed_in("alert.stop"))]
    typed = Annotated[Form, Depends(read_form)]

    @routes.post(f"{SCHEDULES}/{{schedule_id}}/approve")
    def approve(request: Request, session: approving, schedule_id: str, form: typed) -> Response:
        def work(connection: Connection, keyring: Keyring, me: str, now: dt.datetime) -> None:
            wanted = schedule.lock(connection, keyring, schedule_id)
            if wanted.status == "waiting" and wanted.author_id != me:
                _check(desk, wanted.repetition, now)
            schedule.approve(connection, keyring, wanted.id, form.get("digest", ""), me, now)

        return desk.change(request, session, SCHEDULES, work)

    @routes.post(f"{SCHEDULES}/{{schedule_id}}/{{change}}")
    def change(request: Request, session: stopping, schedule_id: str, change: str, form: typed) -> Response:
        """`change`: pause, resume or end."""

        def work(connection: Connection, keyring: Keyring, me: str, now: dt.datetime) -> None:
            if change not in _STATUSES:
                raise OutreachError("unknown")
            if change == "end" and form.get("sure") != "yes":
                raise OutreachError("not_sure")
            schedule.set_status(connection, keyring, schedule_id, _STATUSES[change], me, now)

        return desk.change(request, session, SCHEDULES, work)
