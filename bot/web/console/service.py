"""Figures of the service: how long people waited and what became of messages; what we have no answer for, and what has grown old.

Small numbers about cases are about people: the first page is for those who answer for the queue. No page names anybody, or a case.
"""

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from bot import freshness, outcomes
from bot.conversation.outcome import OUTCOMES, QUESTIONS
from bot.hotline import figures, queue
from bot.messages import VIETNAM
from bot.staff.sessions import Session
from bot.unanswered import kept
from bot.web.console.desk import Desk
from bot.web.console.security import Door

SPANS = (7, 30)  # days


def service_routes(door: Door) -> APIRouter:
    routes = APIRouter()
    desk = Desk(door)
    _add_service(routes, desk)
    _add_content(routes, desk)
    return routes


def _add_service(routes: APIRouter, desk: Desk) -> None:
    seeing = Annotated[Session, Depends(desk.door.signed_in("service.see"))]

    @routes.get("/console/service")
    def service(request: Request, session: seeing, days: int = SPANS[0]) -> Response:
        days, now = _span(days), desk.house.clock()
        with desk.database.read() as connection:
            shown = desk.shown(connection, session, now)
            waits = figures.waits(connection, desk.house.config.bot.hotline.claim_within, now, days)
            values: dict[str, Any] = {
                "waiting": shown.waiting(queue.waiting(connection)),
                "rows": [_waits(one) for one in waits],
                "messages": _messages(outcomes.lately(connection, now, days), OUTCOMES),
                "read_by": sorted(outcomes.read_by(connection, now, days).items(), key=lambda one: -one[1]),
            }
        return desk.door.page(request, "service", session, days=days, spans=SPANS, **values)


def _add_content(routes: APIRouter, desk: Desk) -> None:
    seeing = Annotated[Session, Depends(desk.door.signed_in("content.see"))]

    @routes.get("/console/content")
    def content(request: Request, session: seeing, days: int = SPANS[0]) -> Response:
        from bot.unanswered.groups import groups

        days, now = _span(days), desk.house.clock()
        with desk.database.read() as connection:
            messages = _messages(outcomes.lately(connection, now, days), QUESTIONS)
            questions = kept.all_words(connection, desk.database.keyring, now)
        found = [
            {"wording": " ".join(one.wording), "people": one.people}
            for one in groups(questions, desk.house.classifier.word_counts)
        ]
        old = _old(desk, session.account.language, now)
        return desk.door.page(
            request, "content", session, days=days, spans=SPANS, messages=messages, groups=found, old=old
        )


def _span(days: int) -> int:
    return days if days in SPANS else SPANS[0]


def _waits(one: figures.Waits) -> dict[str, Any]:
    return {
        "priority": one.priority,
        "target": _minutes(one.target),
        "opened": one.opened,
        "in_time": one.in_time,
        "due": one.in_time + one.late,
        "median": _minutes(one.median),
        "most_waited": _minutes(one.most_waited),
        "nobody_came": one.nobody_came,
        "ended": one.ended,
    }


def _minutes(lasted: dt.timedelta | None) -> int | None:
    """Begun ones count: nobody waited for nothing."""
    return None if lasted is None else -(-lasted // dt.timedelta(minutes=1))


def _messages(counted: Mapping[str, int], names: Iterable[str]) -> dict[str, Any]:
    """How many came to each of `names`, and how many of a hundred were understood."""
    rows = {name: counted.get(name, 0) for name in names}
    heard = sum(count for name, count in rows.items() if name != "silent")
    understood = 100 * (heard - rows["not_understood"]) // heard if heard else None
    return {"rows": [{"name": name, "count": count} for name, count in rows.items()], "understood": understood}


def _old(desk: Desk, language: str, now: dt.datetime) -> list[dict[str, Any]]:
    library = desk.house.library
    return [
        {
            "kind": one.kind,
            "id": one.id,
            "title": one.title.in_language(language),
            "day": one.day,
            "state": one.state,
            "file": f"content/{one.file}",
            "because": library.hotlines[one.because].name.in_language(language) if one.because else None,
        }
        for one in freshness.ageing(library, now.astimezone(VIETNAM).date())
    ]
