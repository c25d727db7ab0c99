"""In and out of the console: log-in, log-out, and the welcome of somebody new."""

import datetime as dt
import math
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Form, Request, Response
from fastapi.responses import RedirectResponse

from bot import audit
from bot.app import App
from bot.errors import StaffError
from bot.hotline import colleagues
from bot.staff import invitations, sessions, totp
from bot.staff.accounts import Account
from bot.staff.entrance import Attempt, Entry, Refusal
from bot.staff.sessions import Session
from bot.web.console.account import account_routes
from bot.web.console.alert_changes import changing_routes
from bot.web.console.alert_proposals import proposal_routes
from bot.web.console.alert_schedules import schedule_routes
from bot.web.console.alert_writing import writing_routes
from bot.web.console.alerts import alert_routes
from bot.web.console.case import case_routes
from bot.web.console.handing import handing_routes
from bot.web.console.live import live_routes
from bot.web.console.people import people_routes
from bot.web.console.queue import queue_routes
from bot.web.console.rooms import room_routes
from bot.web.console.second_factor import carried_secret, shown_secret
from bot.web.console.security import HOME, Door, Turned, source_of, turn
from bot.web.console.service import service_routes
from bot.web.console.signups import signup_routes
from bot.web.console.talking import talking_routes

Field = Annotated[str, Form()]
FIRST_PAGES = (
    ("queue.see", "/console/queue"),
    ("people.manage", "/console/people"),
    ("alert.see", "/console/alerts"),
    ("content.see", "/console/content"),
    ("account.own", "/console/account"),
)
ROOMS = (
    account_routes,
    people_routes,
    queue_routes,
    case_routes,
    talking_routes,
    handing_routes,
    room_routes,
    service_routes,
    writing_routes,
    schedule_routes,
    signup_routes,
    changing_routes,
    proposal_routes,
    alert_routes,  # after those whose paths look like an alert's
    live_routes,
)


def add_console(site: FastAPI, house: App) -> None:
    """All routes of the console. None is reached but safely, and none but the log-in and the welcome without a session."""
    door = Door(house)
    site.add_exception_handler(Turned, turn)
    for make in (_first_page, _login_routes, _welcome_routes, *ROOMS):
        site.include_router(make(door), dependencies=[Depends(door.only_safely)], include_in_schema=False)


def _first_page(door: Door) -> APIRouter:
    routes = APIRouter()

    @routes.get(HOME)
    def first_page(session: Annotated[Session, Depends(door.signed_in("account.own"))]) -> Response:
        """To the first page that this person may see."""
        allows = door.house.library.permissions.allows
        first = next(path for permission, path in FIRST_PAGES if allows(session.account.roles, permission))
        return RedirectResponse(first, status_code=303)

    return routes


# -- in and out --------------------------------------------------------------------------------------------------------


def _login_routes(door: Door) -> APIRouter:
    routes = APIRouter()
    house = door.house

    @routes.get("/console/login")
    def login_form(request: Request) -> Response:
        if door.session(request, by_person=False):
            return RedirectResponse(HOME, status_code=303)
        return door.page(request, "login")

    @routes.post("/console/login")
    def log_in(request: Request, login: Field = "", password: Field = "", code: Field = "") -> Response:
        """All three in one form, so that nobody learns which of them was wrong."""
        attempt = Attempt(_login(login), password, code, door.device(request), source_of(request))
        outcome = house.entrance.enter(attempt, house.clock())
        if isinstance(outcome, Refusal):
            return _refused(door, request, outcome.wait)
        _end_former(door, request)
        return door.let_in(request, outcome)

    @routes.post("/console/logout")
    def log_out(
        request: Request, session: Annotated[Session, Depends(door.signed_in("account.own", unprepared=True))]
    ) -> Response:
        with house.database.begin() as connection:
            sessions.revoke(connection, session)
            audit.record(
                connection, house.database.keyring, actor=session.account.id, action="logout", now=house.clock(),
                subject=session.account.id,
            )  # fmt: skip
        return door.let_out(request)

    return routes


def _login(typed: str) -> str:
    """As phones write it: with a capital letter, or a space behind it."""
    return typed.strip().lower()


def _refused(door: Door, request: Request, wait: dt.timedelta) -> Response:
    seconds = math.ceil(wait.total_seconds())
    response = door.page(request, "login", status=429 if wait else 401, wait=seconds, wrong=not wait)
    if wait:
        response.headers["Retry-After"] = str(seconds)
    return response


def _end_former(door: Door, request: Request) -> None:
    """A new log-in leaves no older one behind in the same browser."""
    if former := door.session(request, by_person=False):
        with door.house.database.begin() as connection:
            sessions.revoke(connection, former)


# -- somebody new ------------------------------------------------------------------------------------------------------


def _welcome_routes(door: Door) -> APIRouter:
    routes = APIRouter()

    @routes.get("/console/welcome")
    def welcome(request: Request) -> Response:
        """The one-time code is typed, or comes from the fragment of the address by script: it is in no path, query or log."""
        return door.page(request, "welcome", step="code", errors={})

    @routes.post("/console/welcome")
    def accept(
        request: Request,
        code: Field = "",
        password: Field = "",
        again: Field = "",
        totp_code: Field = "",
        carried: Field = "",
    ) -> Response:
        now = door.house.clock()
        keyring = door.house.database.keyring
        with door.house.database.begin() as connection:
            account = invitations.invited(connection, keyring, code, now)
        if account is None:
            return door.page(request, "welcome", status=400, step="code", errors={"code": "bad_invitation"})
        secret = carried_secret(door, carried, account.id)
        if secret is None:
            return _second_step(door, request, account, code, totp.new_secret(), {})
        steps = totp.steps_of(secret, totp_code.replace(" ", ""), now)
        if errors := _errors(door, account, password, again, steps):
            return _second_step(door, request, account, code, secret, errors)
        return _accepted(door, request, code, password, (secret, steps))

    return routes


def _second_step(
    door: Door, request: Request, account: Account, code: str, secret: str, errors: dict[str, str]
) -> Response:
    return door.page(
        request, "welcome", status=400 if errors else 200, step="secrets", errors=errors, login=account.login,
        person=account.name, code=code, **shown_secret(door, secret, account.login, account.id),
    )  # fmt: skip


def _errors(door: Door, account: Account, password: str, again: str, steps: list[int]) -> dict[str, str]:
    """Field -> the name of the words that say what is wrong with it."""
    errors = {}
    if problem := door.house.passwords.problem(password, account.login):
        errors["password"] = problem
    elif password != again:
        errors["again"] = "not_again"
    if not steps:
        errors["totp_code"] = "bad_code"
    return errors


def _accepted(door: Door, request: Request, code: str, password: str, second_factor: tuple[str, list[int]]) -> Response:
    now, database = door.house.clock(), door.house.database
    lock = door.house.passwords.lock(password)
    try:
        with database.begin() as connection:
            account, pair = invitations.accept(connection, database.keyring, code, lock, second_factor, now)
            token = sessions.open_session(connection, account.id, pair.private, now)
            colleagues.joined(connection, database.keyring, account)
    except StaffError as error:
        return door.page(request, "welcome", status=400, step="code", errors={"code": error.reason})
    device = door.device(request).with_mark(database.keyring, account.login)
    return door.let_in(request, Entry(account, token, device))
