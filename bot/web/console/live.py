"""News for open consoles, as server-sent events. They say that something changed, and never what a case holds.

One look at the audit chain every fraction of a second serves all consoles of this process, whichever process wrote the change:
the chain is written in one line, so nothing is passed over.
"""

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse
from sqlalchemy import select

from bot import audit
from bot.errors import BanDuongError
from bot.hotline import queue
from bot.staff.sessions import Session
from bot.store.tables import cases
from bot.web.console.desk import Desk
from bot.web.console.security import Door, SignedIn

LOOK_EVERY = 0.25  # seconds
MOST_WAITING = 100  # news that one console may not have taken yet
QUIET = frozenset({"read", "revealed", "message", "answer", "note", "summary", "words_forgotten", "code_set", "clue"})
URGENT = frozenset({"opened", "joined", "priority", "released", "reopened"})  # after which a P0 may wait anew

log = logging.getLogger("banduong")


@dataclass(frozen=True)
class News:
    event: str
    data: str

    def __str__(self) -> str:
        return f"event: {self.event}\ndata: {self.data}\n\n"


class Bulletin:
    """Looks while somebody listens."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._listeners: set[asyncio.Queue[News]] = set()
        self._looking: asyncio.Task[None] | None = None
        self._beginning = asyncio.Lock()
        self._position = 0

    @contextlib.asynccontextmanager
    async def listen(self) -> AsyncIterator["asyncio.Queue[News]"]:
        heard: asyncio.Queue[News] = asyncio.Queue(MOST_WAITING)
        self._listeners.add(heard)
        try:
            await self._begin()
            heard.put_nowait(await run_in_threadpool(self._queue_news))
            yield heard
        finally:
            self._listeners.discard(heard)
            if not self._listeners and self._looking:
                self._looking.cancel()
                self._looking = None

    async def _begin(self) -> None:
        """Of consoles that come at once, one begins to look."""
        async with self._beginning:
            if self._looking is None:
                self._position = await run_in_threadpool(self._end)
                self._looking = asyncio.create_task(self._look())

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY)
            try:
                for news in await run_in_threadpool(self._since_last):
                    self._tell(news)
            except BanDuongError as error:
                log.error("the consoles hear nothing for now: %s", error)

    def _tell(self, news: News) -> None:
        for heard in self._listeners:
            with contextlib.suppress(asyncio.QueueFull):  # it will look at everything when it comes back
                heard.put_nowait(news)

    def _end(self) -> int:
        with self._desk.database.read() as connection:
            return audit.head(connection).position

    def _queue_news(self, new: str | None = None) -> News:
        with self._desk.database.read() as connection:
            waiting = queue.waiting(connection)[0].count
        return News("queue", json.dumps({"p0": waiting, "new": new}))

    def _since_last(self) -> list[News]:
        with self._desk.database.read() as connection:
            rows_since = audit.since(connection, self._position)
            self._position = rows_since[-1].position if rows_since else self._position
            entries = [one for one in rows_since if one.case_id]
            touched = {one.case_id for one in entries if one.action != "read"}
            rows = connection.execute(select(cases).where(cases.c.id.in_(touched))).all() if touched else []
        news = [News("case", json.dumps({"reference": row.reference})) for row in rows]
        if any(one.action not in QUIET for one in entries):
            urgent = {one.case_id for one in entries if one.action in URGENT}
            waits = [row for row in rows if row.id in urgent and row.status == "open" and row.owner_id is None]
            news.append(self._queue_news(min((row.priority for row in waits), default=None)))
        return news


def live_routes(door: Door) -> APIRouter:
    routes = APIRouter()
    desk = Desk(door)
    bulletin = Bulletin(desk)
    may_hear = door.signed_in("queue.see", by_person=False)

    @routes.get("/console/live")
    async def live(request: Request, session: Annotated[Session, Depends(may_hear)]) -> Response:
        return StreamingResponse(
            _line(bulletin, may_hear, request), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"}
        )

    return routes


async def _line(bulletin: Bulletin, may_hear: SignedIn, request: Request) -> AsyncIterator[str]:
    """News while the session lasts and allows it, however much there is to tell; in silence a sign that the line lives."""
    every, now = may_hear.door.house.live_line_looks, asyncio.get_running_loop().time
    async with bulletin.listen() as heard:
        yield "retry: 2000\n\n"
        look_again = now() + every
        while not await request.is_disconnected():
            news = await _within(heard, look_again - now())
            if now() >= look_again:
                if not await run_in_threadpool(may_hear.still, request):
                    return
                look_again = now() + every
            yield str(news or ": here\n\n")


async def _within(heard: "asyncio.Queue[News]", seconds: float) -> News | None:
    try:
        return await asyncio.wait_for(heard.get(), max(0.0, seconds))
    except TimeoutError:
        return None
