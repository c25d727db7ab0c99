"""Who asks for a page of the console, and whether they may: the only way to a page leads through `Door.signed_in`."""

import ipaddress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from fastapi import Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse
from sqlalchemy import Connection

from bot.app import App
from bot.hotline import claims, queue, second
from bot.outreach import broadcasts, schedule
from bot.staff import sessions
from bot.staff.entrance import Entry
from bot.staff.sessions import Session
from bot.staff.throttle import Device
from bot.web.words import language_of, templates

HOME, LOGIN, CODES = "/console", "/console/login", "/console/account/codes"
_SESSION, _DEVICE = "console", "console-device"
_DEVICE_LIFE = 180 * 24 * 3600  # seconds
_THIS_MACHINE = {"127.0.0.1", "localhost", "::1"}
_UNSAFE = {"POST", "PUT", "PATCH", "DELETE"}


class Turned(Exception):  # noqa: N818 - no error: somebody is sent elsewhere
    """The request ends here, with this response."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response


def turn(_request: Request, turned: Exception) -> Response:
    """The exception handler of `Turned`."""
    assert isinstance(turned, Turned)
    return turned.response


def is_https(house: App, request: Request) -> bool:
    """Whether the browser came by https. The public address is in config.yml, so that no header of a stranger decides it."""
    public = house.config.bot.web.public
    return request.url.scheme == "https" or (public is not None and request.url.netloc == urlsplit(public).netloc)


def source_of(request: Request) -> str:
    """The network that asks: an IPv4 address, or the /64 of an IPv6 one."""
    host = request.client.host if request.client else ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    return host if address.version == 4 else str(ipaddress.ip_network(f"{host}/64", strict=False))


@dataclass(frozen=True)
class SignedIn:
    """A dependency that gives the session of whoever may do this; a test reads `permission` from every route.

    `by_person`: false where the page asks by itself, which keeps no idle session alive. `unprepared`: also for somebody who has put
    no recovery codes away yet. What is posted must carry the session's token in the field `csrf`.
    """

    door: "Door"
    permission: str
    by_person: bool = True
    unprepared: bool = False

    async def __call__(self, request: Request) -> Session:
        session = await run_in_threadpool(self.door.session, request, by_person=self.by_person)
        if session is None:
            raise Turned(self.door.once_more(request) or _to_login(request))
        if not self._allows(session):
            raise Turned(self.door.refusal(request, "forbidden", session))
        if request.method in _UNSAFE:
            await self._check_form(request, session)
        if not (session.prepared or self.unprepared):
            raise Turned(RedirectResponse(CODES, status_code=303))
        return session

    def still(self, request: Request) -> bool:
        """Whether what has been open for a while may stay so."""
        session = self.door.session(request, by_person=False)
        return session is not None and self._allows(session)

    def _allows(self, session: Session) -> bool:
        return self.door.house.library.permissions.allows(session.account.roles, self.permission)

    async def _check_form(self, request: Request, session: Session) -> None:
        token = (await request.form()).get("csrf")
        if not isinstance(token, str) or not session.wrote(self.door.house.database.keyring, token):
            await request.close()  # a file that came along
            raise Turned(self.door.refusal(request, "foreign_form", session))


class Door:
    """The console's doorkeeper: sessions, cookies, and pages with the words of whoever looks at them."""

    def __init__(self, house: App) -> None:
        self.house = house

    def signed_in(self, permission: str, *, by_person: bool = True, unprepared: bool = False) -> SignedIn:
        return SignedIn(self, permission, by_person, unprepared)

    def only_safely(self, request: Request) -> None:
        """A dependency of the whole console: no password travels in the clear. This machine itself needs no https."""
        if not is_https(self.house, request) and request.url.hostname not in _THIS_MACHINE:
            raise Turned(self.refusal(request, "insecure"))

    def session(self, request: Request, *, by_person: bool = True) -> Session | None:
        cookie = request.cookies.get(self._name(request, _SESSION))
        if not cookie:
            return None
        database = self.house.database
        with database.begin() as connection:
            return sessions.session_of(connection, database.keyring, cookie, self.house.clock(), by_person=by_person)

    def device(self, request: Request) -> Device:
        return Device.read(request.cookies.get(self._name(request, _DEVICE), ""))

    def let_in(self, request: Request, entry: Entry) -> Response:
        """To the first page, with the cookies of a new session and of a device that is known from now on."""
        response = RedirectResponse(HOME, status_code=303)
        self._set(request, response, _SESSION, entry.token)
        self._set(request, response, _DEVICE, entry.device.cookie, _DEVICE_LIFE)
        return response

    def let_out(self, request: Request) -> Response:
        response = RedirectResponse(LOGIN, status_code=303)
        response.headers["Clear-Site-Data"] = '"cache"'
        name, secure = self._name(request, _SESSION), is_https(self.house, request)
        response.delete_cookie(name, secure=secure, httponly=True, samesite="strict")
        return response

    def page(
        self, request: Request, name: str, session: Session | None = None, *, status: int = 200, **values: Any
    ) -> Response:
        """The template console/NAME.html. It sees what console/base.html documents, its own words as `w`, and `values`."""
        language = session.account.language if session else language_of(request)
        words = self.house.library.console(language)
        query = f"?{request.url.query}" if request.url.query else ""
        seen = {
            "w": words.get(name, {}),
            "c": words["common"],
            "words": words,
            "lang": language,
            "nav": name,
            "here": f"{request.url.path}{query}" if request.method == "GET" else HOME,
            **self._around(session),
            **values,
        }
        return templates.TemplateResponse(request, f"console/{name}.html", seen, status_code=status)

    def _around(self, session: Session | None) -> dict[str, Any]:
        """What stands on every page of somebody who is logged in."""
        if session is None:
            return {"me": None, "account": None, "may": frozenset(), "csrf": "", "counts": {}}
        account = session.account
        may = self.house.library.permissions.of(account.roles) if session.prepared else frozenset()
        with self.house.database.begin() as connection:
            counts = {
                "p0": queue.waiting(connection)[0].count if "queue.see" in may else 0,
                "mine": queue.unanswered(connection, account.id) if "case.work" in may else 0,
                "second": second.count_waiting(connection, account.id) if "case.decide_second" in may else 0,
                "alerts": _alerts_waiting(connection, account.id) if "alert.approve" in may else 0,
            }
            open_cases = claims.load(connection, account.id)
        me = {
            "name": account.name,
            "roles": sorted(account.roles),
            "on_duty": account.on_duty,
            "open_cases": open_cases,
            "most_cases": account.most_cases,
        }
        csrf = session.form_token(self.house.database.keyring)
        return {"me": me, "account": account, "may": may, "csrf": csrf, "counts": counts}

    def once_more(self, request: Request) -> Response | None:
        """A link in another site's page, such as a web mail, comes without our strict cookie. A page of our own that asks again has it."""
        if request.method != "GET" or request.headers.get("sec-fetch-site") != "cross-site":
            return None
        return self.page(request, "once_more", path=request.url.path)

    def refusal(self, request: Request, why: str, session: Session | None = None) -> Response:
        """403, with the reason in the words of `common`."""
        return self.page(request, "refusal", session, status=403, why=why)

    def _name(self, request: Request, name: str) -> str:
        """The prefix binds a cookie to this host and to https. Browsers take it only with Secure, which a trial on http://127.0.0.1
        cannot have everywhere; there the cookie has another name, so that neither can stand in for the other."""
        return f"__Host-{name}" if is_https(self.house, request) else name

    def _set(self, request: Request, response: Response, name: str, value: str, life: int | None = None) -> None:
        secure = is_https(self.house, request)
        full = self._name(request, name)
        response.set_cookie(full, value, max_age=life, httponly=True, secure=secure, samesite="strict", path="/")


def _alerts_waiting(connection: Connection, staff_id: str) -> int:
    """For this person's yes: never their own."""
    return broadcasts.count(connection, ["waiting"], not_by=staff_id) + schedule.waiting_for(connection, staff_id)


def _to_login(request: Request) -> Response:
    """Pages are sent to the log-in; what a script asked for must not be swapped into a page, so the script is told where to go."""
    is_script = "hx-request" in request.headers or "text/event-stream" in request.headers.get("accept", "")
    return Response(status_code=401, headers={"HX-Redirect": LOGIN}) if is_script else RedirectResponse(LOGIN, 303)
