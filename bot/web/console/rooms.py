"""The rooms beside the queue: team, directory, second person, audit, settings; and the switch that says who is on duty."""

import datetime as dt
from typing import Annotated, Any
from urllib.parse import urlencode, urlsplit

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import PlainTextResponse, RedirectResponse
from sqlalchemy import Connection, select

from bot import audit
from bot.content import Hotline
from bot.hotline import claims, keys, queue, second
from bot.messages import VIETNAM
from bot.staff import accounts
from bot.staff.sessions import Session
from bot.store.tables import cases
from bot.web.console.desk import Desk, Form, operator_of, read_form
from bot.web.console.security import HOME, Door

AT_ONCE = 50  # rows of a page of the audit
MOST_CASES, LAST_ORDER = 50, 99


def room_routes(door: Door) -> APIRouter:
    routes = APIRouter()
    desk = Desk(door)
    for add in (_add_duty, _add_team, _add_directory, _add_second, _add_audit, _add_settings):
        add(routes, desk)
    return routes


def _back(form: Form) -> str:
    """Where the person was; never out of the console."""
    back = form.get("back", "")
    return back if back.startswith("/console/") and "//" not in back and "\\" not in back else HOME


# -- on duty, language -------------------------------------------------------------------------------------------------


def _add_duty(routes: APIRouter, desk: Desk) -> None:
    own = Annotated[Session, Depends(desk.door.signed_in("account.own"))]
    typed = Annotated[Form, Depends(read_form)]

    @routes.post("/console/duty")
    def duty(session: own, form: typed) -> Response:
        with desk.begin() as (connection, keyring, now):
            on = form.get("on") == "1"
            accounts.set_duty(connection, keyring, session.account, now, on_duty=on, by=session.account.id)
        return RedirectResponse(_back(form), status_code=303)

    @routes.post("/console/language")
    def language(session: own, form: typed) -> Response:
        with desk.begin() as (connection, keyring, _now):
            accounts.set_language(connection, keyring, session.account, form.get("language", ""))
        return RedirectResponse(_back(form), status_code=303)


# -- team --------------------------------------------------------------------------------------------------------------


def _add_team(routes: APIRouter, desk: Desk) -> None:
    seeing = Annotated[Session, Depends(desk.door.signed_in("team.see"))]
    assigning = Annotated[Session, Depends(desk.door.signed_in("case.assign"))]
    typed = Annotated[Form, Depends(read_form)]
    team = "/console/team"

    @routes.get(team)
    def see_team(request: Request, session: seeing) -> Response:
        with desk.begin() as (connection, keyring, now):
            shown = desk.shown(connection, session, now)
            within = desk.house.config.bot.hotline.claim_within
            unclaimed = queue.rows(connection, keyring, "waiting", claim_within=within)
            values: dict[str, Any] = {
                "people": _people(desk, connection),
                "waiting": shown.waiting(queue.waiting(connection)),
                "unclaimed": [shown.queue_row(row) for row in unclaimed],
            }
        return desk.door.page(request, "team", session, **values)

    @routes.post(f"{team}/order")
    def order(request: Request, session: assigning, form: typed) -> Response:
        with desk.begin() as (connection, keyring, now):
            for one in accounts.all_accounts(connection, keyring):
                if f"most-{one.id}" in form:
                    most = _number(form[f"most-{one.id}"], 0, MOST_CASES, one.most_cases)
                    place = _number(form.get(f"order-{one.id}", ""), 1, LAST_ORDER, None)
                    accounts.set_load(
                        connection, keyring, one, now, most_cases=most, page_order=place, by=session.account.id
                    )
        return RedirectResponse(team, status_code=303)

    @routes.post(f"{team}/assign")
    def assign(request: Request, session: assigning, form: typed) -> Response:
        return desk.act(
            request, session, team,
            lambda db, keyring, me, now: claims.hand_over(
                db, keyring, me, form.get("reference", ""), form.get("to", ""), now
            ),
        )  # fmt: skip


def _number(written: str, least: int, most: int, otherwise: Any) -> Any:
    few = written.isdecimal() and len(written) <= len(str(most))
    return int(written) if few and least <= int(written) <= most else otherwise


def _people(desk: Desk, connection: Connection) -> list[dict[str, Any]]:
    loads = queue.loads(connection)
    channels = {channel.name for channel in desk.house.channels}
    return [
        {
            "id": one.id,
            "name": one.name,
            "roles": sorted(one.roles),
            "on_duty": one.on_duty,
            "open_cases": loads.get(one.id, 0),
            "most_cases": one.most_cases,
            "page_order": one.page_order,
            "reachable": any(getattr(one.pages, name, None) for name in channels),
        }
        for one in accounts.all_accounts(connection, desk.database.keyring)
        if keys.WORKERS & one.roles and one.public_key
    ]


# -- directory ---------------------------------------------------------------------------------------------------------


def _add_directory(routes: APIRouter, desk: Desk) -> None:
    seeing = Annotated[Session, Depends(desk.door.signed_in("directory.see"))]
    library = desk.house.library

    @routes.get("/console/directory")
    def directory(request: Request, session: seeing, country: str = "") -> Response:
        language = session.account.language
        today = desk.house.clock().astimezone(VIETNAM).date()
        codes = dict.fromkeys(one.country for one in library.hotlines.values())
        entries = [
            _entry(desk, one, language, today) for one in library.hotlines.values() if country in ("", one.country)
        ]
        countries = [{"code": code, "name": _country(desk, code, language)} for code in codes]
        return desk.door.page(request, "directory", session, country=country, countries=countries, entries=entries)


def _entry(desk: Desk, line: Hotline, language: str, today: dt.date) -> dict[str, Any]:
    return {
        "id": line.id,
        "name": line.name.in_language(language),
        "number": line.number,
        "country": _country(desk, line.country, language),
        "notes": None,
        "sources": line.sources,
        "checked": line.checked,
        "expires": line.expires,
        "overdue": today > line.expires,
    }


def _country(desk: Desk, code: str, language: str) -> str:
    known = desk.house.library.countries.get(code)
    return (
        known.name.in_language(language) if known else desk.house.library.console(language)["directory"][code.lower()]
    )


# -- second person -----------------------------------------------------------------------------------------------------


def _add_second(routes: APIRouter, desk: Desk) -> None:
    deciding = Annotated[Session, Depends(desk.door.signed_in("case.decide_second"))]
    typed = Annotated[Form, Depends(read_form)]
    room = "/console/second"

    @routes.get(room)
    def see_second(request: Request, session: deciding) -> Response:
        with desk.begin() as (connection, _keyring, now):
            shown = desk.shown(connection, session, now)
            waiting = second.waiting(connection, operator_of(session))
            decided = second.decided(connection)
        values: dict[str, Any] = {
            "waiting": [_request(shown, one) | {"own": one.asked_by == session.account.id} for one in waiting],
            "decided": [_request(shown, one) for one in decided],
        }
        return desk.door.page(request, "second", session, **values)

    @routes.post(f"{room}/{{request_id}}")
    def decide(request: Request, session: deciding, request_id: str, form: typed) -> Response:
        answer = form.get("answer")
        if answer not in ("grant", "refuse"):
            return desk.refuse(request, session, "unknown", room)
        return desk.act(
            request, session, room,
            lambda db, keyring, me, now: second.decide(db, keyring, me, request_id, granted=answer == "grant", now=now),
        )  # fmt: skip


def _request(shown: Any, one: second.Request) -> dict[str, Any]:
    return {
        "id": one.id,
        "kind": one.kind,
        "asked_by": shown.name(one.asked_by),
        "asked_at": one.asked_at,
        "reference": one.reference,
        "priority": one.priority,
        "reason": one.reason or "",
        "decided_by": shown.name(one.decided_by),
        "decided_at": one.decided_at,
        "granted": one.granted,
    }


# -- audit -------------------------------------------------------------------------------------------------------------


def _add_audit(routes: APIRouter, desk: Desk) -> None:
    seeing = Annotated[Session, Depends(desk.door.signed_in("audit.see"))]

    @routes.get("/console/audit")
    def see_audit(
        request: Request,
        session: seeing,
        actor: str = "",
        action: str = "",
        reference: str = "",
        since: str = "",
        until: str = "",
        page: int = 1,
        check: str = "",
    ) -> Response:
        """`check`: the whole chain is proved too, which takes seconds where it is long."""
        chosen = {"actor": actor, "action": action, "reference": reference, "since": since, "until": until}
        keyring = desk.database.keyring
        with desk.database.read() as connection:
            shown = desk.shown(connection, session, desk.house.clock())
            verdict = audit.verify(connection, keyring) if check else None
            end = audit.head(connection)
            found, pages = _audit_rows(connection, chosen, page)
            about = select(cases.c.id, cases.c.reference).where(cases.c.id.in_([one.case_id for one in found]))
            names = {row.id: row.reference for row in connection.execute(about)}
            people = accounts.all_accounts(connection, keyring, removed=True)
        rows = [
            {
                "position": one.position,
                "at": one.at,
                "actor": shown.actor(one.actor),
                "action": one.action,
                "reference": names.get(one.case_id or ""),
                "subject": shown.name(one.subject),
            }
            for one in found
        ]
        actors = [{"id": one.id, "name": one.name} for one in people]
        actors += [{"id": name, "name": name} for name in ("person", "bot", "clock", "command line")]
        chain = verdict and {
            "whole": verdict.broken_at is None,
            "broken_at": verdict.broken_at,
            "checked": verdict.rows,
        }
        query = "".join(f"{urlencode({name: value})}&" for name, value in chosen.items() if value)
        return desk.door.page(
            request, "audit", session, rows=rows, chain=chain, head=end, actors=actors, chosen=chosen,
            query=query, page=page, pages=pages,
        )  # fmt: skip

    @routes.get("/console/audit/head")
    def head(session: seeing) -> Response:
        """The end of the chain, to be kept outside."""
        with desk.begin() as (connection, keyring, now):
            end = audit.head(connection)
            audit.record(connection, keyring, actor=session.account.id, action="audit_downloaded", now=now)
        name = f"audit-{end.position}.txt"
        return PlainTextResponse(
            f"{now.isoformat()} {end}\n", headers={"Content-Disposition": f'attachment; filename="{name}"'}
        )


def _audit_rows(connection: Connection, chosen: dict[str, str], page: int) -> tuple[list[audit.Entry], int]:
    case_id = None
    if chosen["reference"]:
        wanted = select(cases.c.id).where(cases.c.reference == chosen["reference"].strip().upper())
        case_id = connection.execute(wanted).scalar() or "none"
    wish = audit.Wish(
        actor=chosen["actor"] or None,
        action=chosen["action"] or None,
        case_id=case_id,
        since=_moment(chosen["since"]),
        until=_moment(chosen["until"], days=1),
    )
    pages = max(1, -(-audit.count(connection, wish) // AT_ONCE))
    return audit.entries(connection, wish, limit=AT_ONCE, offset=(min(max(1, page), pages) - 1) * AT_ONCE), pages


def _moment(day: str, days: int = 0) -> dt.datetime | None:
    """The beginning of a day in Viet Nam, or `days` later."""
    try:
        start = dt.datetime.combine(dt.date.fromisoformat(day), dt.time(), VIETNAM)
        return (start + dt.timedelta(days=days)).astimezone(dt.UTC)
    except (ValueError, OverflowError):
        return None


# -- settings ----------------------------------------------------------------------------------------------------------


def _add_settings(routes: APIRouter, desk: Desk) -> None:
    seeing = Annotated[Session, Depends(desk.door.signed_in("settings.see"))]

    @routes.get("/console/settings")
    def settings(request: Request, session: seeing) -> Response:
        with desk.begin() as (connection, keyring, now):
            recovery = keys.recovery_key(connection, keyring) is not None
        return desk.door.page(request, "settings", session, settings=_settings(desk, now) | {"recovery_set": recovery})


def _settings(desk: Desk, now: dt.datetime) -> dict[str, Any]:
    house, hotline = desk.house, desk.house.config.bot.hotline
    on = {channel.name for channel in house.channels} | {"web"}
    hours = hotline.hours.items() if isinstance(hotline.hours, dict) else ()
    return {
        "deployment": house.config.bot.deployment,
        "staffed": hotline.staffed,
        "hours": [{"days": days, "hours": spans} for days, spans in hours],
        "open_now": hotline.open_hours.is_open(now),
        "holidays": sorted(hotline.holidays),
        "claim_minutes": hotline.claim_minutes.model_dump(),
        "page_again_minutes": hotline.page_again_minutes,
        "honest_after_minutes": hotline.honest_after_minutes,
        "keep_cases_days": hotline.keep_cases_days,
        "keep_words_hours": hotline.keep_words_hours,
        "channels": [{"name": name, "on": name in on} for name in ("telegram", "sms", "web", "email")],
        "webhook": urlsplit(hotline.webhook.url).hostname if hotline.webhook else None,
        "reporting_set": not house.missing_reporting_policy(),
    }
