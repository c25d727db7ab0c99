"""One's own account: password, second factor, recovery codes, other log-ins, language, and where urgent calls arrive."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.responses import RedirectResponse

from bot.errors import StaffError
from bot.staff import accounts, recovery, sessions, totp
from bot.staff.accounts import Pages
from bot.staff.sessions import Session
from bot.web.console.second_factor import carried_back, carried_secret, carry, shown_secret
from bot.web.console.security import CODES, HOME, Door

ACCOUNT = "/console/account"
Field = Annotated[str, Form()]
_DONE = ("password", "totp", "codes", "sessions", "language", "pages")


def account_routes(door: Door) -> APIRouter:
    routes = APIRouter()
    for add in (_add_overview, _add_password, _add_second_factor, _add_codes):
        add(routes, door)
    return routes


def _add_overview(routes: APIRouter, door: Door) -> None:
    own = Annotated[Session, Depends(door.signed_in("account.own"))]
    database = door.house.database

    @routes.get(ACCOUNT)
    def account(request: Request, session: own, done: str = "") -> Response:
        return _overview(door, request, session, done=done if done in _DONE else "")

    @routes.post(f"{ACCOUNT}/sessions")
    def end_others(session: own) -> Response:
        with database.begin() as connection:
            sessions.revoke_others(connection, session)
        return _done("sessions")

    @routes.post(f"{ACCOUNT}/language")
    def choose_language(session: own, language: Field = "vi") -> Response:
        with database.begin() as connection:
            accounts.set_language(connection, database.keyring, session.account, language)
        return _done("language")

    @routes.post(f"{ACCOUNT}/pages")
    def choose_pages(
        request: Request, session: own, telegram: Field = "", sms: Field = "", email: Field = ""
    ) -> Response:
        pages = Pages(telegram.strip() or None, _number(sms) or None, email.strip() or None)
        try:
            with database.begin() as connection:
                accounts.set_pages(
                    connection, database.keyring, session.account, pages, door.house.clock(), by=session.account.id
                )
        except StaffError as error:
            return _overview(door, request, session, error={pages.problem or "pages": error.reason}, pages=pages)
        return _done("pages")


def _number(typed: str) -> str:
    """A Vietnamese number as people write it, with its country code."""
    digits = "".join(letter for letter in typed if letter.isdigit() or letter == "+")
    return f"+84{digits[1:]}" if digits.startswith("0") else digits


def _add_password(routes: APIRouter, door: Door) -> None:
    own = Annotated[Session, Depends(door.signed_in("account.own"))]
    house = door.house

    @routes.post(f"{ACCOUNT}/password")
    def change_password(
        request: Request, session: own, current: Field = "", password: Field = "", again: Field = ""
    ) -> Response:
        problem = house.passwords.problem(password, session.account.login)
        if problem or password != again:
            wrong = {"password": problem} if problem else {"again": "not_again"}
            return _overview(door, request, session, error=wrong)
        if refusal := _unproven(door, request, session, current, "current_password"):
            return refusal
        lock = house.passwords.lock(password)
        with house.database.begin() as connection:
            accounts.change_password(
                connection, house.database.keyring, session.account, session.private_key, lock, house.clock(),
                session=session.lookup,
            )  # fmt: skip
        return _done("password")


def _add_second_factor(routes: APIRouter, door: Door) -> None:
    own = Annotated[Session, Depends(door.signed_in("account.own"))]
    house = door.house

    @routes.post(f"{ACCOUNT}/totp")
    def begin(request: Request, session: own, current: Field = "") -> Response:
        refusal = _unproven(door, request, session, current, "current_totp")
        return refusal or _new_secret(door, request, session, totp.new_secret())

    @routes.post(f"{ACCOUNT}/totp/confirm")
    def confirm(request: Request, session: own, carried: Field = "", totp_code: Field = "") -> Response:
        """The sealed secret is there only for who has just shown the password."""
        secret = carried_secret(door, carried, session.lookup)
        if secret is None:
            return RedirectResponse(ACCOUNT, status_code=303)
        now = house.clock()
        steps = totp.steps_of(secret, totp_code.replace(" ", ""), now)
        if not steps:
            return _new_secret(door, request, session, secret, status=400)
        with house.database.begin() as connection:
            accounts.renew_totp(connection, house.database.keyring, session.account, secret, steps, now)
        return _done("totp")


def _new_secret(door: Door, request: Request, session: Session, secret: str, status: int = 200) -> Response:
    shown = shown_secret(door, secret, session.account.login, session.lookup)
    return door.page(request, "totp", session, status=status, wrong=status != 200, **shown)


def _add_codes(routes: APIRouter, door: Door) -> None:
    newcomer = Annotated[Session, Depends(door.signed_in("account.own", unprepared=True))]
    own = Annotated[Session, Depends(door.signed_in("account.own"))]
    house = door.house

    @routes.get(CODES)
    def first_codes(request: Request, session: newcomer) -> Response:
        """Before anything else; later ones are given for the password only."""
        return RedirectResponse(ACCOUNT, status_code=303) if session.prepared else _codes(door, request, session)

    @routes.post(CODES)
    def new_codes(request: Request, session: own, current: Field = "") -> Response:
        return _unproven(door, request, session, current, "current_codes") or _codes(door, request, session)

    @routes.post(f"{CODES}/kept")
    def kept(request: Request, session: newcomer, carried: Field = "", is_kept: Field = "") -> Response:
        """Only now do they serve, and the ones before no more: nobody loses the old ones to a page that was closed too soon."""
        codes = carried_back(door, carried, session.lookup)
        if len(codes) != recovery.HOW_MANY:
            return RedirectResponse(ACCOUNT if session.prepared else CODES, status_code=303)
        if is_kept != "yes":
            return _codes(door, request, session, tuple(codes), status=400)
        with house.database.begin() as connection:
            accounts.keep_recovery_codes(connection, house.database.keyring, session.account, codes, house.clock())
        return _done("codes") if session.prepared else RedirectResponse(HOME, status_code=303)


def _codes(door: Door, request: Request, session: Session, codes: tuple[str, ...] = (), status: int = 200) -> Response:
    codes = codes or recovery.new_codes()
    return door.page(
        request, "codes", session, status=status, wrong=status != 200, first=not session.prepared,
        codes=[recovery.printed(code) for code in codes], carried=carry(door, codes, session.lookup),
    )  # fmt: skip


# -- helpers -----------------------------------------------------------------------------------------------------------


def _unproven(door: Door, request: Request, session: Session, current: str, field: str) -> Response | None:
    """The page again, where this is not the person's password; `field` is where that is said."""
    refusal = door.house.entrance.confirm(session, current, door.house.clock())
    if refusal is None:
        return None
    return _overview(door, request, session, error={field: "wait" if refusal.wait else "wrong_password"})


def _overview(
    door: Door,
    request: Request,
    session: Session,
    *,
    done: str = "",
    error: dict[str, str] | None = None,
    pages: Pages | None = None,
) -> Response:
    with door.house.database.begin() as connection:
        codes_left = recovery.left(connection, session.account.id)
    return door.page(
        request, "account", session, status=400 if error else 200, done=done, errors=error or {},
        pages=pages or session.account.pages, codes_left=codes_left,
    )  # fmt: skip


def _done(what: str) -> Response:
    return RedirectResponse(f"{ACCOUNT}?done={what}", status_code=303)
