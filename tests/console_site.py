"""The console as a browser without JavaScript meets it: a site with its clock, logged-in people, its routes, its forms."""

import contextlib
import datetime as dt
import html
import re
import socket
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI
from fastapi.routing import APIRoute
from sqlalchemy import Table, select
from starlette.exceptions import StarletteDeprecationWarning

from bot import contacts
from bot.app import App
from bot.content import ROLES
from bot.conversation.events import CaseRequested
from bot.hotline import cases
from bot.messages import Address
from bot.outreach import broadcasts, schedule
from bot.outreach.audience import Audience
from bot.outreach.broadcasts import Plan
from bot.outreach.schedule import Repetition
from bot.staff import invitations
from bot.store import tables
from bot.testing import FakeClock
from bot.web.console.security import SignedIn
from tests.broadcasting import WORDS
from tests.colleagues import BY, PASSWORD, Colleague, join

with warnings.catch_warnings():  # Starlette would rather have the next httpx
    warnings.simplefilter("ignore", StarletteDeprecationWarning)
    from fastapi.testclient import TestClient

HTTPS, LOCAL = "https://console.example", "http://127.0.0.1:8000"
SAFE, PLAIN = "__Host-console", "console"
MINUTE = dt.timedelta(minutes=1)
Form = dict[str, Any]


@dataclass
class Site:
    """A site, its house, and a clock that moves when it is told to."""

    house: App
    app: FastAPI
    clock: FakeClock

    def browser(self, base: str = HTTPS) -> TestClient:
        return TestClient(self.app, base_url=base, follow_redirects=False, client=("198.51.100.7", 50000))

    def log_in(self, colleague: Colleague, browser: TestClient | None = None) -> TestClient:
        """In a browser of their own, a minute after whatever was before."""
        browser = browser or self.browser()
        now = self.clock.advance(MINUTE)
        form = {"login": colleague.login, "password": PASSWORD, "code": colleague.code(now)}
        answer = browser.post("/console/login", data=form)
        assert (answer.status_code, answer.headers["location"]) == (303, "/console")
        return browser

    def invite(self, login: str = "minh", role: str = "operator") -> str:
        with self.house.database.begin() as connection:
            keyring = self.house.database.keyring
            return invitations.invite(connection, keyring, login, "Minh", [role], self.clock.now, by=BY)[1]


@contextlib.contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """The site on a free port of this machine; its address. Open lines are cut off at the end."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(
            uvicorn.Config(
                app, log_level="critical", access_log=False, lifespan="off", ws="none", timeout_graceful_shutdown=1
            )
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


def hidden(page: httpx.Response) -> Form:
    """The hidden fields of the page's last form, as a browser would send them."""
    fields = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page.text)
    return {name: html.unescape(value) for name, value in fields}


def console_routes(app: FastAPI) -> list[APIRoute]:
    """With those of the trends, which ask for a role too while they are not for everybody."""
    return [route for route in routes_of(app.router) if route.path.startswith(("/console", "/trends"))]


def routes_of(router: Any) -> Iterator[APIRoute]:
    """All routes, also those of the routers inside."""
    for route in router.routes:
        if isinstance(route, APIRoute):
            yield route
        elif inner := getattr(route, "original_router", None):
            yield from routes_of(inner)


def guards(route: APIRoute) -> list[SignedIn]:
    """What the route asks of whoever comes."""
    return [one.call for one in route.dependant.dependencies if isinstance(one.call, SignedIn)]


# -- people and cases --------------------------------------------------------------------------------------------------

NUMBER, RECRUITER = "+84901112233", "0938887766"
SAID, NOTED, SUMMED, WHY, CODE_WORD = "bichoquanha", "ghichurieng", "tomtatkin", "lydokin vi nguy", "chimsaudo"
SECRETS = (NUMBER, NUMBER[3:], RECRUITER, RECRUITER[1:], SAID, NOTED, SUMMED, WHY, CODE_WORD)


class Desk:
    """Somebody logged in, who sends forms as their own pages make them."""

    def __init__(self, site: Site, who: Colleague) -> None:
        self.who, self.browser = who, site.log_in(who)
        self.token = hidden(self.browser.get("/console/account"))["csrf"]

    def get(self, path: str) -> httpx.Response:
        answer: httpx.Response = self.browser.get(path)
        return answer

    def post(self, path: str, **form: Any) -> httpx.Response:
        answer: httpx.Response = self.browser.post(path, data={"csrf": self.token, **form})
        return answer

    def live_cookie(self) -> dict[str, str]:
        """The same session, for a site that is served without https on this machine."""
        return {PLAIN: self.browser.cookies[SAFE]}


class Town:
    """Lan has a case full of words that stand nowhere else; another that she had before waits in the queue; one is new."""

    def __init__(self, site: Site) -> None:
        self.site, self.house, self.clock = site, site.house, site.clock
        self.all = join(site.house, "tat.ca", *ROLES, name="Cả")
        self.lan = self.desk(join(site.house, "lan.tran"))
        self.minh = self.desk(join(site.house, "minh.pham", name="Minh"))
        self.thu = self.desk(join(site.house, "thu.le", "supervisor", name="Thu"))
        self.held, self.waiting, self.new = (
            self.opened(NUMBER),
            self.opened("+84902223344"),
            self.opened("+84903334455"),
        )
        for reference in (self.held, self.waiting):
            self._fill(reference)
        self.alert, self.schedule = self._written()
        assert self.lan.post(f"/console/cases/{self.waiting}/release").headers["location"] == "/console/queue"

    def desk(self, who: Colleague) -> Desk:
        return Desk(self.site, who)

    def opened(self, number: str, channel: str = "sms", priority: Any = "P0") -> str:
        """A cry for help by SMS from Cambodia; its reference."""
        cry = CaseRequested("emergency", priority, "emergency", "danger to life", country="KH", words=(SAID,))
        database, now = self.house.database, self.clock.now
        with database.begin() as connection:
            contact = contacts.find_or_create(connection, database.keyring, Address(channel, number), now)
            return cases.open_case(connection, database.keyring, contact, cry, None, now).reference

    def _fill(self, reference: str) -> None:
        path = f"/console/cases/{reference}"
        for job, form in {
            "claim": {},
            "note": {"text": NOTED},
            "summary": {"reporter": SUMMED, "subject": SUMMED, "place": SUMMED, "plan": SUMMED},
            "clue": {"text": RECRUITER},
            "code": {"word": CODE_WORD},
            "reach": {"start": "20:00", "end": "21:30"},
            "second": {"kind": "reveal", "reason": WHY},
        }.items():
            assert self.lan.post(f"{path}/{job}", **form).status_code == 303, job

    def _written(self) -> tuple[str, str]:
        """A draft of an alert, and a schedule that waits for a second person; reference and id."""
        keyring, author = self.house.database.keyring, self.all.account.id
        weekly = Repetition(WORDS, Audience(), "0 8 * * 1", 6 * 60 * MINUTE, self.clock.now + 30 * 24 * 60 * MINUTE)
        with self.house.database.begin() as connection:
            plan = Plan(WORDS, Audience(), self.clock.now + 24 * 60 * MINUTE)
            draft = broadcasts.write(connection, keyring, plan, author, self.clock.now)
            return draft.reference, schedule.write(connection, keyring, weekly, author, self.clock.now).id

    def row(self, table: Table, **where: object) -> Any:
        with self.house.database.begin() as connection:
            return connection.execute(select(table).filter_by(**where)).one()

    def case(self, reference: str) -> Any:
        return self.row(tables.cases, reference=reference)

    def rows(self, *but: str) -> dict[str, list[Any]]:
        """Everything in the store, but for these tables and for when somebody was last seen."""
        with self.house.database.begin() as connection:
            kept = [table for table in tables.metadata.sorted_tables if table.name not in (*but, "staff_sessions")]
            return {table.name: sorted(map(repr, connection.execute(select(table)))) for table in kept}

    def path_of(self, route: APIRoute, reference: str) -> str:
        """The route's address, with ids that are there."""
        with self.house.database.begin() as connection:
            request_id = connection.execute(select(tables.requests.c.id)).scalars().first()
        given = {
            "reference": reference, "staff_id": self.minh.who.account.id, "request_id": request_id, "alert": self.alert,
            "schedule_id": self.schedule, "change": "pause",
        }  # fmt: skip
        return re.sub(r"{(\w+)}", lambda name: str(given.get(name[1], "1")), route.path)

    def actions(self, reference: str = "") -> list[str]:
        """The audit chain, or what it says of one case."""
        chosen = select(tables.audit.c.action).order_by(tables.audit.c.position)
        if reference:
            chosen = chosen.where(tables.audit.c.case_id == self.case(reference).id)
        with self.house.database.begin() as connection:
            return list(connection.execute(chosen).scalars())
