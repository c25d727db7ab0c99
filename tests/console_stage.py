"""The console's pages with made-up data behind the smallest routes that they need: what the script does is seen here, not what the house does."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import uvicorn
from fastapi import FastAPI, Form, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles

from tests import console_pages as pages
from tests.conftest import ROOT

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
)
CASE = "/console/cases/K7M2QX"


class Stage:
    """What the pages show now, what has been posted, and the live lines that are open."""

    def __init__(self) -> None:
        self.begin()
        self.url = ""
        self.site = self._site()

    def begin(self) -> None:
        """As before the first test."""
        self.p0 = 0
        self.talk = list(pages.TALK)
        self.presence = "here"
        self.posted: list[tuple[str, dict[str, str]]] = []
        self.waiting: list[str] = []
        self.alive = True
        self.signed_in = True
        self.looks = 0
        self.lines = 0
        self.act = object()  # lines that are left over from the test before belong to another one

    def tell(self, kind: str, data: str) -> None:
        """One event to whoever listens."""
        self.waiting.append(f"event: {kind}\ndata: {data}\n\n")

    def _common(self, **more: Any) -> dict[str, Any]:
        return {"counts": {"p0": self.p0, "mine": 0, "second": 0, "alerts": 0}, **more}

    def _render(self, template: str, page: str, here: str, context: dict[str, Any]) -> HTMLResponse:
        whole = pages.common("vi", page, **self._common(here=here, **context))
        return HTMLResponse(pages.strict_environment().get_template(f"console/{template}").render(whole))

    def _case(self, **composer: Any) -> HTMLResponse:
        state = {"identity": "known", "presence": self.presence, "knock": None, "access": False}
        context = pages.a_case(talk=self.talk, composer=pages.a_composer(**composer), state=state)
        return self._render("case.html", "case", CASE, context)

    def _site(self) -> FastAPI:
        site = FastAPI()
        site.mount("/static", StaticFiles(directory=ROOT / "bot" / "web" / "static"))

        @site.middleware("http")
        async def guard(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
            if not self.signed_in and request.url.path != "/console/login":
                return Response(status_code=401)
            response = await call_next(request)
            response.headers["Content-Security-Policy"] = POLICY
            return response

        self._add_pages(site)
        self._add_talk(site)
        self._add_live(site)
        return site

    def _add_pages(self, site: FastAPI) -> None:
        @site.get("/console/queue")
        def queue(request: Request, show: str = "open", q: str = "") -> HTMLResponse:
            self.looks += request.headers.get("x-live") == "1"
            part = "_queue.html" if request.headers.get("hx-request") else "queue.html"
            return self._render(part, "queue", f"/console/queue?show={show}", {**pages.QUEUE, "show": show, "q": q})

        @site.get("/console/show/{name}")
        def show_page(name: str) -> HTMLResponse:
            return HTMLResponse(pages.render(name, "vi"))

        @site.get("/console/login")
        def login() -> HTMLResponse:
            return HTMLResponse("<!doctype html><title>login</title><p>login</p>")

        @site.get(CASE)
        def case() -> HTMLResponse:
            return self._case()

        @site.post("/console/cases/{reference}/claim")
        async def claim(reference: str, request: Request) -> RedirectResponse:
            self.posted.append((f"claim {reference}", {k: str(v) for k, v in (await request.form()).items()}))
            return RedirectResponse(CASE, status_code=303)

    def _add_talk(self, site: FastAPI) -> None:
        @site.post(f"{CASE}/preview")
        def preview(text: Annotated[str, Form()] = "", reply: Annotated[str, Form()] = "") -> HTMLResponse:
            chosen = next((one["text"] for one in pages.a_composer()["replies"] if one["id"] == reply), "")
            text = f"{text} {chosen}".strip()
            return self._case(text=text, preview=_preview(text))

        @site.post(f"{CASE}/send")
        def send(request: Request, text: Annotated[str, Form()] = "", confirm: Annotated[str, Form()] = "") -> Response:
            assert "x-live" not in request.headers, "the person sends this, not the script"
            self.posted.append(("send", {"text": text, "confirm": confirm}))
            shown = _preview(text)
            if shown["grave"] and not confirm:
                return self._case(text=text, preview=shown, confirm="1")
            said = {"author": "operator", "name": "Lan Anh", "text": text, "at": pages.NOW, "delivery": "queued"}
            self.talk.append(said)
            return RedirectResponse(CASE, status_code=303)

    def _add_live(self, site: FastAPI) -> None:
        @site.get("/console/live")
        def live() -> Response:
            if not self.alive:
                return Response(status_code=503)
            return StreamingResponse(self._events(), media_type="text/event-stream")

    async def _events(self) -> AsyncIterator[str]:
        act = self.act
        self.lines += 1
        try:
            yield ": here\n\n"
            while self.alive and act is self.act:
                while self.waiting and act is self.act:
                    yield self.waiting.pop(0)
                await asyncio.sleep(0.02)
        finally:
            self.lines -= act is self.act


def _preview(text: str) -> dict[str, Any]:
    warnings = [{"id": "promise", "words": ["se cuu"]}] if "sẽ cứu" in text else []
    return {"text": text, "segments": 1, "vnd": 500, "cautions": warnings, "grave": bool(warnings)}


@contextmanager
def served() -> Iterator[Stage]:
    """The stage on a free port."""
    stage = Stage()
    server = uvicorn.Server(uvicorn.Config(stage.site, port=0, log_level="error", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    stage.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    try:
        yield stage
    finally:
        stage.alive = False
        server.should_exit = True
        thread.join(timeout=10)
