"""What can be done with an alert: each is a form, and leads back to its page."""

import datetime as dt
from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from sqlalchemy import Connection

from bot.errors import OutreachError
from bot.outreach import broadcasts
from bot.outreach.words import LONGEST_VALID
from bot.staff.sessions import Session
from bot.store.crypto import Keyring
from bot.web.console import alert_tests
from bot.web.console.alert_desk import ALERTS, AlertDesk, alert_path
from bot.web.console.alert_forms import money
from bot.web.console.desk import Form, read_form
from bot.web.console.security import Door

ALERT = f"{ALERTS}/{{alert}}"
Typed = Annotated[Form, Depends(read_form)]


def changing_routes(door: Door) -> APIRouter:
    routes = APIRouter()
    desk = AlertDesk(door)
    for add in (_add_beginning, _add_stops, _add_money, _add_copies):
        add(routes, desk)
    return routes


def _add_beginning(routes: APIRouter, desk: AlertDesk) -> None:
    writing = Annotated[Session, Depends(desk.door.signed_in("alert.write"))]
    approving = Annotated[Session, Depends(desk.door.signed_in("alert.approve"))]
    limits = desk.house.alert_terms.limits

    @routes.post(f"{ALERT}/submit")
    def submit(request: Request, session: writing, alert: str, form: Typed) -> Response:
        """Counted before, so that nobody who writes waits for it; the digest tells that it is still the same audience."""
        try:
            with desk.look() as (connection, _keyring, _now):
                wanted = desk.find(connection, alert)
            people = desk.count(wanted.plan.audience).size
        except OutreachError as error:
            return desk.refuse_alert(request, session, error.why, ALERTS)

        def work(connection: Connection, keyring: Keyring, me: str, now: dt.datetime) -> None:
            found = desk.mended(broadcasts.lock(connection, keyring, wanted.id), form.get("digest", ""), now)
            if found.digest != wanted.digest:
                raise OutreachError("changed")
            broadcasts.submit(connection, keyring, found.id, people, limits, me, now)

        return desk.change(request, session, alert_path(alert), work)

    @routes.post(f"{ALERT}/approve")
    def approve(request: Request, session: approving, alert: str, form: Typed) -> Response:
        def work(connection: Connection, keyring: Keyring, me: str, now: dt.datetime) -> None:
            found, digest = desk.find(connection, alert), form.get("digest", "")
            if found.status == "waiting" and found.author_id != me:
                desk.mended(found, digest, now)
            broadcasts.approve(connection, keyring, found.id, digest, limits, me, now)

        return desk.change(request, session, alert_path(alert), work)

    @routes.post(f"{ALERT}/send-back")
    def send_back(request: Request, session: approving, alert: str) -> Response:
        return _plainly(desk, request, session, alert, broadcasts.send_back)


def _add_stops(routes: APIRouter, desk: AlertDesk) -> None:
    stopping = Annotated[Session, Depends(desk.door.signed_in("alert.stop"))]

    @routes.post(f"{ALERT}/pause")
    def pause(request: Request, session: stopping, alert: str) -> Response:
        return _plainly(desk, request, session, alert, broadcasts.pause)

    @routes.post(f"{ALERT}/resume")
    def resume(request: Request, session: stopping, alert: str) -> Response:
        return _plainly(desk, request, session, alert, broadcasts.resume)

    @routes.post(f"{ALERT}/cancel")
    def cancel(request: Request, session: stopping, alert: str, form: Typed) -> Response:
        if form.get("sure") != "yes":
            return desk.refuse_alert(request, session, "not_sure", alert_path(alert))
        return _plainly(desk, request, session, alert, broadcasts.cancel)


def _add_money(routes: APIRouter, desk: AlertDesk) -> None:
    paying = Annotated[Session, Depends(desk.door.signed_in("alert.budget"))]

    @routes.post(f"{ALERT}/budget")
    def raise_budget(request: Request, session: paying, alert: str, form: Typed) -> Response:
        amount = money(form.get("budget", ""))

        def work(connection: Connection, keyring: Keyring, me: str, now: dt.datetime) -> None:
            if not amount:
                raise OutreachError("bad_budget")
            broadcasts.raise_budget(connection, keyring, desk.find(connection, alert).id, amount, me, now)

        return desk.change(request, session, alert_path(alert), work)


def _add_copies(routes: APIRouter, desk: AlertDesk) -> None:
    writing = Annotated[Session, Depends(desk.door.signed_in("alert.write"))]

    @routes.post(f"{ALERT}/copy")
    def copy(request: Request, session: writing, alert: str) -> Response:
        """Valid as long as the one that is copied was, which whoever edits it may change."""

        def work(connection: Connection, keyring: Keyring, me: str, now: dt.datetime) -> str:
            old = desk.find(connection, alert)
            valid_until = now + min(old.plan.valid_until - old.created_at, LONGEST_VALID)
            fresh = broadcasts.copy(connection, keyring, old.id, valid_until, me, now)
            return f"{alert_path(fresh.reference)}/edit"

        return desk.change(request, session, alert_path(alert), work)

    @routes.post(f"{ALERT}/test")
    def test(request: Request, session: writing, alert: str) -> Response:
        """To the addresses by which whoever presses is called."""

        def work(connection: Connection, keyring: Keyring, _me: str, now: dt.datetime) -> str:
            found = desk.find(connection, alert)
            alert_tests.send(connection, keyring, desk.house.alert_terms, found, session.account, now)
            return f"{alert_path(alert)}?done=test"

        return desk.change(request, session, alert_path(alert), work)


def _plainly(desk: AlertDesk, request: Request, session: Session, alert: str, do: Callable[..., object]) -> Response:
    def work(connection: Connection, keyring: Keyring, me: str, now: dt.datetime) -> None:
        do(connection, keyring, desk.find(connection, alert).id, me, now)

    return desk.change(request, session, alert_path(alert), work)
