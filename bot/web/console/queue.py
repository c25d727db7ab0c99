"""The queue and one's own cases."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from bot.hotline import claims, keys, queue
from bot.hotline.queue import AT_ONCE, Shown
from bot.staff.sessions import Session
from bot.web.console.desk import QUEUE, Desk, case_path, operator_of
from bot.web.console.security import Door

_SHOWN: dict[str, Shown] = {"unclaimed": "waiting", "mine": "mine", "open": "open", "closed": "ended"}


def queue_routes(door: Door) -> APIRouter:
    routes = APIRouter()
    desk = Desk(door)
    seeing = Annotated[Session, Depends(door.signed_in("queue.see"))]
    working = Annotated[Session, Depends(door.signed_in("case.work"))]
    claiming = Annotated[Session, Depends(door.signed_in("case.claim"))]

    @routes.get(QUEUE)
    def see_queue(request: Request, session: seeing, show: str = "open", q: str = "", page: int = 1) -> Response:
        show = show if show in _SHOWN else "open"
        return desk.door.page(request, "queue", session, show=show, q=q[:12], **_lines(desk, session, show, q, page))

    @routes.get("/console/mine")
    def see_mine(request: Request, session: working, page: int = 1) -> Response:
        return desk.door.page(request, "mine", session, show="mine", q="", **_lines(desk, session, "mine", "", page))

    @routes.post("/console/cases/{reference}/claim")
    def claim(request: Request, session: claiming, reference: str) -> Response:
        back = case_path(reference)
        return desk.act(
            request, session, back, lambda db, keyring, me, now: claims.claim(db, keyring, me, reference, now)
        )

    @routes.post("/console/cases/{reference}/skip")
    def skip(request: Request, session: claiming, reference: str) -> Response:
        return desk.act(
            request, session, QUEUE, lambda db, keyring, me, now: claims.skip(db, keyring, me, reference, now)
        )

    return routes


def _lines(desk: Desk, session: Session, show: str, q: str, page: int) -> dict[str, Any]:
    """The rows of one page, and how many wait. Who sees the queue passes the keys of waiting cases on to new colleagues."""
    me = operator_of(session)
    within = desk.house.config.bot.hotline.claim_within
    with desk.begin() as (connection, keyring, now):
        keys.share_missing(connection, keyring, me)
        shown = desk.shown(connection, session, now)
        if q:
            found, pages = queue.find(connection, keyring, q, claim_within=within), 1
        else:
            count = queue.count(connection, _SHOWN[show], me.id)
            pages = max(1, -(-count // AT_ONCE))
            page = min(max(1, page), pages)
            found = queue.rows(connection, keyring, _SHOWN[show], me=me.id, claim_within=within, page=page)
        return {
            "rows": [shown.queue_row(row) for row in found],
            "waiting": shown.waiting(queue.waiting(connection)),
            "page": page,
            "pages": pages,
        }
