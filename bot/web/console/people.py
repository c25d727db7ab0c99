"""Who works here: invite, give roles, invite again, remove."""

from collections.abc import Collection, Mapping
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.responses import RedirectResponse
from sqlalchemy import Connection, func, select

from bot.content import ROLES
from bot.errors import StaffError
from bot.hotline import colleagues
from bot.staff import accounts, invitations
from bot.staff.accounts import Account
from bot.staff.sessions import Session
from bot.store.tables import cases
from bot.web.console.links import invitation_link
from bot.web.console.security import Door

PEOPLE = "/console/people"
Field = Annotated[str, Form()]
Roles = Annotated[tuple[str, ...], Form()]


def people_routes(door: Door) -> APIRouter:
    routes = APIRouter()
    _add_list(routes, door)
    _add_changes(routes, door)
    return routes


def _add_list(routes: APIRouter, door: Door) -> None:
    admin = Annotated[Session, Depends(door.signed_in("people.manage"))]
    house = door.house

    @routes.get(PEOPLE)
    def people(request: Request, session: admin, done: str = "") -> Response:
        return _people(door, request, session, done=done if done in ("roles", "removed") else "")

    @routes.post(PEOPLE)
    def invite(
        request: Request,
        session: admin,
        roles: Roles = (),
        login: Field = "",
        name: Field = "",
    ) -> Response:
        login, name, known = login.strip().lower(), name.strip(), _known(roles)
        try:
            with house.database.begin() as connection:
                account, code = invitations.invite(
                    connection, house.database.keyring, login, name, known, house.clock(), by=session.account.id
                )
        except StaffError as error:
            return _people(
                door, request, session, problem=error.reason, typed={"login": login, "name": name, "roles": known}
            )
        return _invited(door, request, session, account, code)


def _add_changes(routes: APIRouter, door: Door) -> None:
    admin = Annotated[Session, Depends(door.signed_in("people.manage"))]
    house = door.house

    @routes.post(f"{PEOPLE}/{{staff_id}}/invite")
    def invite_again(request: Request, session: admin, staff_id: str) -> Response:
        with house.database.begin() as connection:
            account = _found(connection, door, staff_id)
            code = account and invitations.invite_again(
                connection, house.database.keyring, account, house.clock(), by=session.account.id
            )
        return _invited(door, request, session, account, code) if account and code else _back()

    @routes.post(f"{PEOPLE}/{{staff_id}}/roles")
    def set_roles(request: Request, session: admin, staff_id: str, roles: Roles = ()) -> Response:
        known = _known(roles)
        if staff_id == session.account.id and "admin" not in known:
            return _people(door, request, session, problem="own_admin")
        try:
            with house.database.begin() as connection:
                if account := _found(connection, door, staff_id):
                    colleagues.set_roles(
                        connection, house.database.keyring, account, known, house.clock(), by=session.account.id
                    )
        except StaffError as error:
            return _people(door, request, session, problem=error.reason)
        return _back("roles")

    @routes.post(f"{PEOPLE}/{{staff_id}}/remove")
    def remove(request: Request, session: admin, staff_id: str, sure: Field = "") -> Response:
        if staff_id == session.account.id or sure != "yes":
            return _people(door, request, session, problem="own_account" if sure == "yes" else "not_sure")
        with house.database.begin() as connection:
            if account := _found(connection, door, staff_id):
                colleagues.remove(connection, house.database.keyring, account, house.clock(), by=session.account.id)
        return _back("removed")


def _found(connection: Connection, door: Door, staff_id: str) -> Account | None:
    found = accounts.find(connection, door.house.database.keyring, staff_id)
    return found if found and found.active else None


def _known(roles: Collection[str]) -> list[str]:
    return [role for role in ROLES if role in roles]


def _people(
    door: Door,
    request: Request,
    session: Session,
    *,
    done: str = "",
    problem: str = "",
    typed: Mapping[str, object] | None = None,
) -> Response:
    with door.house.database.begin() as connection:
        everybody = accounts.all_accounts(connection, door.house.database.keyring)
        theirs = _open_cases(connection)
    return door.page(
        request, "people", session, status=400 if problem else 200, people=everybody, open_cases=theirs, roles=ROLES,
        done=done, problem=problem, typed=typed or {"roles": ()}, now=door.house.clock(),
    )  # fmt: skip


def _open_cases(connection: Connection) -> dict[str, int]:
    """Staff id -> how many cases would be without an owner."""
    query = select(cases.c.owner_id, func.count()).where(cases.c.status == "open").group_by(cases.c.owner_id)
    return {owner: count for owner, count in connection.execute(query) if owner}


def _invited(door: Door, request: Request, session: Session, account: Account, code: str) -> Response:
    """The one page on which the link stands, once."""
    link = invitation_link(door.house.config, code, str(request.base_url))
    return door.page(request, "invited", session, person=account, link=link, code=code)


def _back(done: str = "") -> Response:
    return RedirectResponse(f"{PEOPLE}?done={done}" if done else PEOPLE, status_code=303)
