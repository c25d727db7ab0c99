"""What the routes about cases share: who acts, the values of a page, and what happens when something cannot be done."""

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from fastapi import Request, Response
from fastapi.responses import RedirectResponse
from sqlalchemy import Connection

from bot.errors import CaseError
from bot.hotline.keys import Operator
from bot.staff import accounts
from bot.staff.sessions import Session
from bot.store.crypto import Keyring
from bot.web.console.security import Door
from bot.web.console.shown import Shown

QUEUE = "/console/queue"
_STATUS = {"unknown": 404, "not_yours": 403, "no_yes": 403, "own_request": 403}

Form = Mapping[str, str]


async def read_form(request: Request) -> Form:
    """The text fields of what was posted, without the one character that no database takes."""
    form = (await request.form()).items()
    return {name: value.replace("\0", "") for name, value in form if isinstance(value, str)}


def operator_of(session: Session) -> Operator:
    return Operator(session.account.id, session.private_key, supervisor="supervisor" in session.account.roles)


def case_path(reference: str) -> str:
    return f"/console/cases/{reference}"


class Desk:
    """One console's way to the store."""

    def __init__(self, door: Door) -> None:
        self.door = door
        self.house = door.house
        self.database = door.house.database

    @contextmanager
    def begin(self) -> Iterator[tuple[Connection, Keyring, dt.datetime]]:
        with self.database.begin() as connection:
            yield connection, self.database.keyring, self.house.clock()

    def shown(self, connection: Connection, session: Session, now: dt.datetime) -> Shown:
        people = accounts.all_accounts(connection, self.database.keyring, removed=True)
        names = {one.id: one.name for one in people}
        return Shown(self.house.library, session.account.language, now, names, session.account.id)

    def act(
        self,
        request: Request,
        session: Session,
        back: str,
        work: Callable[[Connection, Keyring, Operator, dt.datetime], object],
    ) -> Response:
        """Does `work` in one transaction, wakes the senders, and goes `back`; or says why not."""
        try:
            with self.begin() as (connection, keyring, now):
                work(connection, keyring, operator_of(session), now)
        except CaseError as error:
            return self.refuse(request, session, error.why, back)
        self.house.wake()
        return RedirectResponse(back, status_code=303)

    def refuse(self, request: Request, session: Session, why: str, back: str) -> Response:
        """What could not be done, and the way back. Nothing has changed."""
        status = _STATUS.get(why, 409)
        kind = {403: "forbidden", 404: "missing"}.get(status, "conflict")
        return self.door.page(
            request, "error", session, status=status, error=kind, detail=why, about="case", back=back, nav=""
        )
