"""The chat page. Works without JavaScript: every message is a form, and the talk so far travels, sealed, in the page itself."""

import contextlib
import datetime as dt
import hashlib
import re
import secrets
import time
import uuid
from collections import OrderedDict, deque
from dataclasses import asdict, dataclass
from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, RedirectResponse

from bot.app import App
from bot.errors import BanDuongError
from bot.messages import Address, InboundMessage, OutboundMessage
from bot.web.sealed import open_rows, seal_rows
from bot.web.words import language_of, page_words, templates

CHANNEL = "web"
COOKIE = "banduong"
MOST_BUBBLES = 30
MOST_SESSIONS = 10_000
LOOKS_PER_MINUTE = 30  # for news; the page asks every few seconds


@dataclass(frozen=True)
class Bubble:
    """One message on the page. `buttons` are shown under the last one only."""

    who: str
    text: str
    buttons: tuple[str, ...] = ()


def chat_routes(house: App) -> APIRouter:
    routes = APIRouter(include_in_schema=False)
    pace, asking = Pace(house.config.bot.web.messages_per_minute), Pace(LOOKS_PER_MINUTE)
    words = {language: page_words(house.library, "chat", language) for language in ("vi", "en")}

    def page(
        request: Request, session: str, talk: list[Bubble], *, waits: bool = False, first_new: int | None = None
    ) -> HTMLResponse:
        """`waits`: somebody on duty may write, so the page asks for news. `first_new`: the first bubble that was not there before."""
        language = language_of(request)
        fragment = request.headers.get("x-part") == "talk"
        response = templates.TemplateResponse(
            request,
            "talk.html" if fragment else "chat.html",
            {
                "w": words[language],
                "lang": language,
                "talk": talk,
                "waits": waits,
                "first_new": first_new,
                "sealed": _seal(house, session, talk),
                "id": uuid.uuid4(),
                "leave_to": house.config.bot.web.leave_to,
            },
        )
        secure = request.url.scheme == "https"
        response.set_cookie(COOKIE, session, httponly=True, samesite="strict", secure=secure)
        return response

    @routes.get("/", response_class=HTMLResponse)
    def open_page(request: Request) -> HTMLResponse:
        heard, waits = _news(house, _session(request)) if COOKIE in request.cookies else ([], False)
        return page(request, _session(request), heard, waits=waits)

    @routes.post("/news", response_class=HTMLResponse)
    def news(request: Request, talk: Annotated[str, Form()] = "") -> HTMLResponse:
        """What somebody on duty has written meanwhile. Nothing here counts as a word of the person's."""
        session = _session(request)
        bubbles = _open(house, session, talk)
        if asking.too_fast(session):
            return page(request, session, bubbles, waits=True, first_new=len(bubbles))
        heard, waits = _news(house, session)
        return page(request, session, [*bubbles, *heard][-MOST_BUBBLES:], waits=waits, first_new=len(bubbles))

    @routes.post("/", response_class=HTMLResponse)
    async def write(
        request: Request,
        text: Annotated[str, Form()] = "",
        number: Annotated[str, Form()] = "",
        talk: Annotated[str, Form()] = "",
        message_id: Annotated[str, Form(alias="id")] = "",
    ) -> HTMLResponse:
        session = _session(request)
        bubbles = _open(house, session, talk)
        said = number or text
        label = _label(bubbles, number) if number else text
        if pace.too_fast(session):
            bubbles = _slowed(bubbles, house.library.say("too_fast", language_of(request), "text"))
            return page(request, session, bubbles)
        message = InboundMessage(
            Address(CHANNEL, session), _external_id(session, message_id), said, dt.datetime.now(dt.UTC)
        )
        replies = await _handle(house, message)
        heard = [Bubble("bot", reply.text, reply.buttons) for reply in replies]
        written, waits = await run_in_threadpool(_news, house, session)
        bubbles = [*bubbles, *([Bubble("you", label)] if label.strip() else []), *written, *heard][-MOST_BUBBLES:]
        return page(request, session, bubbles, waits=waits)

    @routes.post("/leave")
    async def leave(request: Request) -> Response:
        """Closes the talk here; what the browser remembers is beyond us, and the page says so."""
        session = _session(request)
        message = InboundMessage(Address(CHANNEL, session), str(uuid.uuid4()), "x", dt.datetime.now(dt.UTC))
        with contextlib.suppress(BanDuongError):  # whatever is broken here, the person gets away
            await _handle(house, message)
        response = RedirectResponse(house.config.bot.web.leave_to, status_code=303)
        response.delete_cookie(COOKIE)
        response.headers["Clear-Site-Data"] = '"cookies", "storage"'
        return response

    return routes


async def _handle(house: App, message: InboundMessage) -> tuple[OutboundMessage, ...]:
    """The place in the queue is taken here, in the order of arrival; the work is done in a thread."""
    arrivals = house.processor.arrivals
    place = arrivals.queue(message.address)
    try:
        return await run_in_threadpool(house.processor.handle, message, place)
    finally:
        arrivals.leave(place)


def _news(house: App, session: str) -> tuple[list[Bubble], bool]:
    written, waits = house.processor.news(Address(CHANNEL, session), dt.datetime.now(dt.UTC))
    return [Bubble("person" if one.author == "operator" else "bot", one.text, one.buttons) for one in written], waits


def _slowed(bubbles: list[Bubble], words: str) -> list[Bubble]:
    """The kind word once, and the choices that are still open below it."""
    if bubbles and bubbles[-1].text == words:
        return bubbles
    return [*bubbles, Bubble("bot", words, bubbles[-1].buttons if bubbles else ())]


def _session(request: Request) -> str:
    known = request.cookies.get(COOKIE, "")
    return known if len(known) == 32 and known.isalnum() else secrets.token_hex(16)


def _external_id(session: str, message_id: str) -> str:
    """The id that the form carried, so that a repeated submit is the same message; bound to its session."""
    try:
        given = str(uuid.UUID(message_id))
    except ValueError:
        given = str(uuid.uuid4())
    return hashlib.sha256(f"{session}:{given}".encode()).hexdigest()


def _label(bubbles: list[Bubble], number: str) -> str:
    buttons = next((bubble.buttons for bubble in reversed(bubbles) if bubble.buttons), ())
    chosen = int(number) if re.fullmatch("[1-9]", number) else 0
    return f"{number}. {buttons[chosen - 1]}" if 0 < chosen <= len(buttons) else number


def _seal(house: App, session: str, talk: list[Bubble]) -> str:
    """The talk as the page carries it: nobody but this server reads it, and only for this session."""
    return seal_rows(house.database.keyring, [asdict(bubble) for bubble in talk], _place(session))


def _open(house: App, session: str, sealed: str) -> list[Bubble]:
    rows = open_rows(house.database.keyring, sealed, _place(session))
    return [Bubble(row["who"], row["text"], tuple(row["buttons"])) for row in rows]


def _place(session: str) -> str:
    return f"web|talk|{session}"


class Pace:
    """So many messages a minute from one session, in memory only."""

    def __init__(self, per_minute: int) -> None:
        self._most = per_minute
        self._times: OrderedDict[str, deque[float]] = OrderedDict()

    def too_fast(self, session: str) -> bool:
        now = time.monotonic()
        times = self._times.setdefault(session, deque())
        self._times.move_to_end(session)
        while len(self._times) > MOST_SESSIONS:
            self._times.popitem(last=False)
        while times and now - times[0] > 60:
            times.popleft()
        if len(times) >= self._most:
            return True
        times.append(now)
        return False
