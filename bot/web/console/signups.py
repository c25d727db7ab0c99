"""Paper sign-up lists: looked at line by line, and taken in whole or not at all."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from bot import subscriptions
from bot.messages import VIETNAM
from bot.outreach import progress, signups
from bot.outreach.signups import Problem
from bot.staff.sessions import Session
from bot.web.console.alert_desk import ALERTS
from bot.web.console.desk import Desk, read_form
from bot.web.console.security import Door

SHEETS = f"{ALERTS}/people"
MOST_LINES = 5000  # a longer list keeps everybody waiting while it is written: by the command line, at a quiet hour
MOST_SHOWN = 100  # problems


def signup_routes(door: Door) -> APIRouter:
    routes = APIRouter()
    desk = Desk(door)
    importing = Annotated[Session, Depends(door.signed_in("alert.import"))]

    @routes.get(SHEETS)
    def see_people(request: Request, session: importing) -> Response:
        return _page(desk, request, session)

    @routes.post(SHEETS)
    async def take_list(request: Request, session: importing) -> Response:
        form = await read_form(request)
        sheet = (await request.form()).get("sheet")
        name, content = (sheet.filename or "", await sheet.read()) if isinstance(sheet, UploadFile) else ("", b"")
        await request.close()
        if not name:
            return _page(desk, request, session, wrong="none")
        try:
            written = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            return _page(desk, request, session, wrong="encoding")
        if written.count("\n") > MOST_LINES:
            return _page(desk, request, session, wrong="long")
        return await run_in_threadpool(_taken, desk, request, session, written, name, form)

    return routes


def _taken(
    desk: Desk, request: Request, session: Session, written: str, name: str, form: Mapping[str, str]
) -> Response:
    house, now = desk.house, desk.house.clock()
    today = now.astimezone(VIETNAM).date()
    found = signups.read(written, house.library, house.config.bot.sms.country, today, name)
    looking = form.get("do") != "take"
    outcome = signups.import_signups(
        desk.database, found, session.account.id, now, skip_bad="skip_bad" in form or looking, dry_run=looking
    )
    values: dict[str, Any] = {
        "outcome": outcome,
        "looking": looking,
        "problems": [_shown(one) for one in found.problems[:MOST_SHOWN]],
        "more": max(0, len(found.problems) - MOST_SHOWN),
    }
    return _page(desk, request, session, status=409 if outcome.refused else 200, **values)


def _shown(problem: Problem) -> dict[str, Any]:
    return {"line": problem.line, "code": problem.code, "about": problem.about}


def _page(
    desk: Desk, request: Request, session: Session, *, status: int = 0, wrong: str = "", **values: Any
) -> Response:
    keyring, library = desk.database.keyring, desk.house.library
    names = {subscriptions.tag(keyring, "province", one.code): one.name for one in library.provinces}
    with desk.begin() as (connection, _keyring, _now):
        counted = subscriptions.counts(connection)
    rows = [
        {"channel": row.channel, "province": names.get(row.province), "people": progress.few(row.people)}
        for row in counted
    ]
    shown = {
        "outcome": None, "looking": True, "problems": [], "more": 0, "wrong": wrong, "most_lines": MOST_LINES,
        "columns": {name: heads[0] for name, heads in library.signup_sheet.columns.items()},
        "rows": sorted(rows, key=lambda row: (row["province"] or "", row["channel"])),
    }  # fmt: skip
    return desk.door.page(
        request, "signups", session, status=status or (400 if wrong else 200), nav="alerts", **{**shown, **values}
    )
