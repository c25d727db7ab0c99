"""One case: what its owner reads, and everything that can be done with it."""

import datetime as dt
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from sqlalchemy import Connection

from bot.contacts import Contact
from bot.errors import CaseError
from bot.hotline import claims, exports, handing_on, keys, queue, reach, reading, relay, second, work
from bot.hotline.cases import Case
from bot.hotline.composing import Preview
from bot.hotline.keys import Operator
from bot.hotline.reading import CaseEvent
from bot.staff import accounts
from bot.staff.sessions import Session
from bot.store.crypto import Keyring
from bot.understanding.clues import clues_in
from bot.web.console import texts
from bot.web.console.desk import QUEUE, Desk, Form, case_path, operator_of, read_form
from bot.web.console.security import Door, SignedIn
from bot.web.console.shown import Shown

CASE = "/console/cases/{reference}"
MINE = {
    "clue",
    "hand_over",
    "release",
    "priority",
    "ask",
    "refer",
    "second",
    "code",
    "reach",
    "close",
    "note",
    "summary",
    "talk",
}


@dataclass(frozen=True)
class Typed:
    """What stands in the composer. `number` is the person's, only right after it was shown by right."""

    text: str = ""
    preview: Preview | None = None
    confirm: str | None = None
    number: str | None = None
    message_id: str = field(default_factory=lambda: str(uuid.uuid4()))


def case_routes(door: Door) -> APIRouter:
    routes = APIRouter()
    desk = Desk(door)
    _add_reading(routes, desk)
    _add_work(routes, desk)
    return routes


def _add_reading(routes: APIRouter, desk: Desk) -> None:
    working = Annotated[Session, Depends(desk.door.signed_in("case.work"))]

    @routes.get(CASE)
    def see_case(request: Request, session: working, reference: str) -> Response:
        return case_page(desk, request, session, reference, Typed())

    @routes.post(f"{CASE}/reveal")
    def reveal(request: Request, session: working, reference: str) -> Response:
        """Shown once, on this very page; every look is written down."""
        try:
            with desk.begin() as (connection, keyring, now):
                number = second.reveal(connection, keyring, operator_of(session), reference, now)
        except CaseError as error:
            return desk.refuse(request, session, error.why, case_path(reference))
        return case_page(desk, request, session, reference, Typed(number=number))


def _add_work(routes: APIRouter, desk: Desk) -> None:
    """Each work is a form, and leads back to the case or to the queue."""
    for path, job in WORKS.items():
        may = desk.door.signed_in("case.ask_second" if path == "second" else "case.work")
        routes.add_api_route(f"{CASE}/{path}", _worker(desk, job, may), methods=["POST"], name=path)


def _worker(desk: Desk, job: "Job", may: SignedIn) -> Callable[..., Response]:
    def do(
        request: Request,
        session: Annotated[Session, Depends(may)],
        reference: str,
        form: Annotated[Form, Depends(read_form)],
    ) -> Response:
        def work_on(connection: Connection, keyring: Keyring, me: Operator, now: dt.datetime) -> None:
            job.do(Work(desk, connection, keyring, me, reference, now), *(form.get(name, "") for name in job.fields))

        return desk.act(request, session, QUEUE if job.leaves else case_path(reference), work_on)

    return do


@dataclass(frozen=True)
class Work:
    """One change of one case, in its transaction."""

    desk: Desk
    connection: Connection
    keyring: Keyring
    me: Operator
    reference: str
    now: dt.datetime

    def do(self, change: Callable[..., object], *given: object) -> None:
        change(self.connection, self.keyring, self.me, self.reference, *given, self.now)

    def contact(self) -> Contact | None:
        return claims.owned(self.connection, self.keyring, self.me, self.reference)[1]


@dataclass(frozen=True)
class Job:
    """What a button does: with the values of these fields. `leaves`: the case is then no longer in these hands."""

    do: Callable[..., None]
    fields: tuple[str, ...] = ()
    leaves: bool = False


def _plain(change: Callable[..., object], *fields: str, leaves: bool = False) -> Job:
    return Job(lambda at, *given: at.do(change, *given), fields, leaves)


def _add_clue(at: Work, text: str) -> None:
    at.do(work.add_clue, clues_in([text]))


def _set_reach(at: Work, start: str, end: str) -> None:
    at.do(reach.set_reach, reach.read_hours(start, end))


def _summarise(at: Work, *written: str) -> None:
    at.do(work.summarise, dict(zip(work.SUMMARY, written, strict=True)))


def _knock(at: Work) -> None:
    at.do(relay.knock, *texts.reviewed(at.desk.house.library, "knock", at.contact()))


def _ask(at: Work, purpose: str) -> None:
    if purpose not in second.KINDS:
        raise CaseError("unknown")
    at.do(relay.ask, purpose, texts.reviewed(at.desk.house.library, f"ask_{purpose}", at.contact()))


WORKS: Mapping[str, Job] = {
    "note": _plain(work.note, "text"),
    "summary": Job(_summarise, work.SUMMARY),
    "priority": _plain(work.set_priority, "priority", "reason"),
    "code": _plain(work.set_code, "word"),
    "clue": Job(_add_clue, ("text",)),
    "reach": Job(_set_reach, ("start", "end")),
    "second": _plain(second.ask, "kind", "reason"),
    "close": _plain(work.close, "outcome", "note"),
    "reopen": _plain(work.reopen, "reason"),
    "hand-over": _plain(claims.hand_over, "to", leaves=True),
    "release": _plain(claims.release, leaves=True),
    "knock": Job(_knock),
    "ask": Job(_ask, ("purpose",)),
    "give-back": _plain(relay.give_back),
}


# -- the page ----------------------------------------------------------------------------------------------------------


def case_page(desk: Desk, request: Request, session: Session, reference: str, typed: Typed) -> Response:
    """The whole case for its owner and for supervisors; of one that waits, what the queue shows and the way to claim it."""
    me = operator_of(session)
    try:
        with desk.begin() as (connection, keyring, now):
            case, contact = claims.locked(connection, keyring, reference)
            shown = desk.shown(connection, session, now)
            reads = case.status != "erased" and (case.owner_id == me.id or me.supervisor)
            if not reads and case.owner_id is not None:
                raise CaseError("erased" if case.status == "erased" else "not_yours")
            held = keys.keys_of(connection, case.id, me) if reads else {}
            if held:
                reading.visit(connection, keyring, case, me.id, now)
            values = _values(desk, connection, session, case, contact, held, shown, now, typed)
    except CaseError as error:
        return desk.refuse(request, session, error.why, QUEUE)
    return desk.door.page(request, "case", session, nav="queue", **values)


def _values(
    desk: Desk,
    connection: Connection,
    session: Session,
    case: Case,
    contact: Contact | None,
    held: keys.CaseKeys,
    shown: Shown,
    now: dt.datetime,
    typed: Typed,
) -> dict[str, Any]:
    keyring, me = desk.database.keyring, operator_of(session)
    events = reading.timeline(connection, case, held) if held else []
    within = desk.house.config.bot.hotline.claim_within
    state = _state(desk, connection, keyring, session, case, contact, now) | {"access": exports.awaited(events)}
    return {
        "case": shown.case(case, texts.channel_of(contact), case.opened_at + within[case.priority]),
        "can": _can(connection, case, me, state, now, desk.house.library.permissions.of(session.account.roles), events),
        "state": state,
        "duty": desk.house.reporting_policy().get("duty"),
        "facts": shown.facts(case, events, reading.summary(events)),
        "reach": reach.reach_of(keyring, connection, case.id) if held else None,
        "code_set": case.code_lookup is not None,
        "talk": shown.talk(reading.words(connection, case, held)) if held else [],
        "timeline": shown.timeline(events),
        "linked": [
            {
                "reference": one.reference,
                "priority": one.priority,
                "status": one.status,
                "matches": one.kinds,
                "readable": me.supervisor,
            }
            for one in (reading.linked(connection, case) if held else [])
        ],
        "composer": {
            "id": typed.message_id,
            "text": typed.text,
            "confirm": typed.confirm,
            "preview": typed.preview,
            "replies": texts.replies(desk.house.library, session.account.language, contact),
        },
        "number": typed.number,
        **_actions(desk, connection, case, me, shown, held, now),
    }


def _state(
    desk: Desk,
    connection: Connection,
    keyring: Keyring,
    session: Session,
    case: Case,
    contact: Contact | None,
    now: dt.datetime,
) -> dict[str, Any]:
    """Who is at the other end, as far as we know."""
    if contact is None:
        presence = "gone"
    elif contact.silent:
        presence = "silent"
    elif contact.unreachable:
        presence = "unreachable"
    else:
        away = case.heard_at is None or now - case.heard_at > relay.TALK
        presence = "away" if away else "here"
    identity = "not_verified" if case.paused_at else "verified" if case.code_lookup else "known"
    leaves_at = reach.next_safe_hour(keyring, connection, case.id, now) if presence == "away" else None
    knock = (
        {"text": texts.reviewed(desk.house.library, "knock", contact)[0], "leaves_at": leaves_at} if leaves_at else None
    )
    return {"presence": presence, "identity": identity, "knock": knock, "relay": case.relay_since is not None}


def _can(
    connection: Connection,
    case: Case,
    me: Operator,
    state: Mapping[str, Any],
    now: dt.datetime,
    may: frozenset[str],
    events: Sequence[CaseEvent],
) -> set[str]:
    if case.status == "open" and case.owner_id is None:
        return {"claim", "skip"} | ({"hand_over", "note", "summary", "priority"} if me.supervisor else set())
    can: set[str] = set()
    if case.status == "open" and case.owner_id == me.id:
        can = MINE - ({"talk", "ask"} if state["presence"] in ("gone", "silent", "unreachable") else set())
        if state["presence"] == "away" and not state["knock"]:
            can -= {"talk", "ask"}
        if second.may_reveal(connection, case, me, now):
            can.add("reveal")
        if state["relay"]:
            can.add("give_back")
    elif case.status == "open" and me.supervisor:
        can = {"hand_over", "release", "priority", "note", "summary"}
    elif case.status == "closed" and case.outcome != "withdrawn":
        can = {"reopen"}
    if case.status != "erased" and "case.export" in may and case.owner_id is not None:
        can |= {"export", "copy"} if exports.awaited(events) else {"export"}
    return can


def _actions(
    desk: Desk,
    connection: Connection,
    case: Case,
    me: Operator,
    shown: Shown,
    held: keys.CaseKeys,
    now: dt.datetime,
) -> dict[str, Any]:
    loads = queue.loads(connection)
    colleagues = [
        {
            "id": one.id,
            "name": one.name,
            "on_duty": one.on_duty,
            "open_cases": loads.get(one.id, 0),
            "most_cases": one.most_cases,
        }
        for one in accounts.all_accounts(connection, desk.database.keyring)
        if one.public_key and keys.WORKERS & one.roles and one.id != case.owner_id
    ]
    return {
        "colleagues": colleagues,
        "consents": [
            {"purpose": purpose, "state": _consent_state(connection, case, purpose, now), "at": None}
            for purpose in second.KINDS
        ],
        "receivers": [
            {
                "id": one.receiver.id,
                "name": one.receiver.name.in_language(shown.language),
                "purpose": one.receiver.purpose,
                "ready": not one.why_not,
            }
            for one in handing_on.options(connection, case, desk.house.library.receivers.values(), now)
        ],
        "handoffs": [
            {
                "id": one.id,
                "receiver": shown.receiver(one.receiver),
                "form": one.form,
                "at": one.at,
                "status": one.status,
            }
            for one in handing_on.handoffs_of(connection, case)
        ],
        "requests": [
            {
                "kind": one.kind,
                "asked_by": shown.name(one.asked_by),
                "asked_at": one.asked_at,
                "state": "waiting" if one.granted is None else "granted" if one.granted else "refused",
                "until": one.until,
            }
            for one in second.of_case(connection, case, held)
        ],
    }


def _consent_state(connection: Connection, case: Case, purpose: str, now: dt.datetime) -> str:
    if second.ground_of(connection, case, purpose, now):
        return "yes"
    return "asked" if case.asking == purpose else "none"
