"""The pages and what stands around them: headers, limits, health."""

import logging
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit

from fastapi import FastAPI, Request, Response
from fastapi.responses import PlainTextResponse
from fastapi.staticfiles import StaticFiles
from sqlalchemy import text

from bot import __version__
from bot.app import App
from bot.errors import BanDuongError
from bot.service import Service
from bot.web.chat import chat_routes
from bot.web.console.auth import add_console
from bot.web.console.security import is_https
from bot.web.console.signups import SHEETS
from bot.web.simulator import simulator_routes
from bot.web.trends import trend_routes
from bot.web.webhooks import webhook_routes
from bot.web.words import page_words

MOST_BODY = 64 * 1024  # bytes
MOST_SHEET = 1024 * 1024  # of a sign-up list
HSTS = "max-age=31536000"  # a year of https only, where it came by https once
_FOLDER = Path(__file__).parent

log = logging.getLogger("banduong")
CallNext = Callable[[Request], Awaitable[Response]]


def create_site(house: App, service: Service | None = None) -> FastAPI:
    """The whole site; OpenAPI at /api/docs is for the interfaces that other programs use."""
    site = FastAPI(
        title="Bạn Đường", version=__version__, docs_url=None, redoc_url=None, openapi_url="/api/openapi.json"
    )
    site.mount("/static", StaticFiles(directory=_FOLDER / "static"), name="static")
    site.include_router(chat_routes(house))
    if house.config.bot.serves_training_phone:
        site.include_router(simulator_routes(house))
    add_console(site, house)
    site.include_router(trend_routes(house))
    if service:
        site.include_router(webhook_routes(house, service))
    _add_health(site, house)
    _add_docs(site)
    _add_guards(site, house)
    return site


def _add_docs(site: FastAPI) -> None:
    @site.get("/api/docs", response_class=PlainTextResponse, include_in_schema=False)
    def docs() -> str:
        """What other programs may call, without a viewer that would load scripts from elsewhere."""
        lines = [
            f"{method.upper():6} {path}  {about.get('description', '')}"
            for path, methods in site.openapi()["paths"].items()
            for method, about in methods.items()
        ]
        return "\n".join([*lines, "", "As OpenAPI: /api/openapi.json"])


def _add_health(site: FastAPI, house: App) -> None:
    @site.get("/healthz", response_class=PlainTextResponse, include_in_schema=True)
    def healthz() -> str:
        """The process answers."""
        return "ok"

    @site.get("/readyz", response_class=PlainTextResponse)
    def readyz() -> Response:
        """The database takes a transaction."""
        try:
            with house.database.begin() as connection:
                connection.execute(text("SELECT 1"))
        except BanDuongError as error:
            return PlainTextResponse(str(error), status_code=503)
        return PlainTextResponse("ready")


def _add_guards(site: FastAPI, house: App) -> None:
    too_long = page_words(house.library, "chat", "vi")["too_long"]
    leave = urlsplit(house.config.bot.web.leave_to)
    headers = {
        "Content-Security-Policy": (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
            f"frame-ancestors 'none'; form-action 'self' {leave.scheme}://{leave.netloc}"
        ),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    }

    @site.middleware("http")
    async def guard(request: Request, call_next: CallNext) -> Response:
        started = time.monotonic()
        refusal = _refusal(request, too_long)
        response = refusal or await call_next(request)
        for name, value in headers.items():
            response.headers.setdefault(name, value)
        if is_https(house, request):
            response.headers["Strict-Transport-Security"] = HSTS
        if request.url.path.startswith("/static/"):
            response.headers["Cache-Control"] = "public, max-age=3600"
        else:
            response.headers["Cache-Control"] = "no-store"
        log.debug("%s %s in %.1f ms", request.method, response.status_code, 1000 * (time.monotonic() - started))
        return response

    @site.exception_handler(BanDuongError)
    async def trouble(_request: Request, error: BanDuongError) -> Response:
        log.error("%s", error)
        return PlainTextResponse(house.library.say("trouble", "vi", "text"), status_code=503)


def _refusal(request: Request, too_long: str) -> Response | None:
    """Posts from other sites, bodies that are too large, and addresses with a character that no database takes stop here."""
    if "\0" in unquote(f"{request.url.path}?{request.url.query}"):
        return PlainTextResponse("", status_code=400)
    if request.method != "POST":
        return None
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    foreign = origin is not None and urlsplit(origin).netloc != request.headers.get("host")
    if origin == "null" and site == "same-origin":  # what browsers send for our own form where no referrer may be told
        foreign = False
    if site in ("cross-site", "same-site") or foreign:
        return PlainTextResponse("This form belongs to another site.", status_code=403)
    length = request.headers.get("content-length", "")
    most = MOST_SHEET if request.url.path == SHEETS else MOST_BODY
    if not length.isdigit() or int(length) > most:
        return PlainTextResponse(too_long, status_code=413)
    return None
