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
from starlette.exceptions import StarletteDeprecationWarning

from bot.app import App
from bot.staff import invitations
from bot.testing import FakeClock
from bot.web.console.security import SignedIn
from tests.colleagues import BY, PASSWORD, Colleague

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
    return [route for route in _routes(app.router) if route.path.startswith("/console")]


def _routes(router: Any) -> Iterator[APIRoute]:
    """All routes, also those of the routers inside."""
    for route in router.routes:
        if isinstance(route, APIRoute):
            yield route
        elif inner := getattr(route, "original_router", None):
            yield from _routes(inner)


def guards(route: APIRoute) -> list[SignedIn]:
    """What the route asks of whoever comes."""
    return [one.call for one in route.dependant.dependencies if isinstance(one.call, SignedIn)]
