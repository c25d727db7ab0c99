"""What is taken out of a case: referral sheets on paper, the archive for a court, the person's own copy."""

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Form, Request, Response
from sqlalchemy import Connection

from bot.content import Library
from bot.errors import CaseError
from bot.hotline import exports, handing_on
from bot.hotline.handing_on import Sheet
from bot.hotline.keys import Operator
from bot.hotline.papers import Paper, pdf
from bot.staff.sessions import Session
from bot.store.crypto import Keyring
from bot.web.console.desk import Desk, case_path, operator_of
from bot.web.console.security import Door
from bot.web.console.shown import Shown
from bot.web.filters import defanged, local, visible

CASE = "/console/cases/{reference}"
Field = Annotated[str, Form()]
Made = TypeVar("Made")
Work = Callable[[Connection, Keyring, Operator, dt.datetime], Made]
Values = dict[str, Any]


def handing_routes(door: Door) -> APIRouter:
    routes = APIRouter()
    desk = Desk(door)
    _add_sheets(routes, desk)
    _add_exports(routes, desk)
    return routes


def _add_sheets(routes: APIRouter, desk: Desk) -> None:
    handing = Annotated[Session, Depends(desk.door.signed_in("case.hand_on"))]

    @routes.post(f"{CASE}/refer")
    def refer(request: Request, session: handing, reference: str, receiver: Field = "") -> Response:
        house, back = desk.house, case_path(reference)
        to = house.library.receivers.get(receiver)
        if to is None:
            return desk.refuse(request, session, "unknown", back)
        webhook = house.config.bot.hotline.webhook
        by_webhook = to.webhook and webhook is not None and webhook.receiver == to.id
        return desk.act(
            request, session, back,
            lambda db, keyring, me, now: handing_on.refer(db, keyring, me, reference, to, now, by_webhook=by_webhook),
        )  # fmt: skip

    @routes.get(f"{CASE}/sheets/{{handoff}}.pdf")
    def sheet_as_pdf(request: Request, session: handing, reference: str, handoff: str) -> Response:
        words = desk.house.library.console(session.account.language)
        shown = _opened(desk, session, reference, handoff)
        if isinstance(shown, str):
            return desk.refuse(request, session, shown, case_path(reference))
        return _file(pdf(sheet_paper(shown, words)), "application/pdf", f"{shown['reference']}.pdf")

    @routes.get(f"{CASE}/sheets/{{handoff}}")
    def sheet(request: Request, session: handing, reference: str, handoff: str) -> Response:
        shown = _opened(desk, session, reference, handoff)
        if isinstance(shown, str):
            return desk.refuse(request, session, shown, case_path(reference))
        return desk.door.page(request, "sheet", session, sheet=shown, nav="")


def _add_exports(routes: APIRouter, desk: Desk) -> None:
    exporting = Annotated[Session, Depends(desk.door.signed_in("case.export"))]
    library = desk.house.library

    @routes.post(f"{CASE}/export")
    def export(request: Request, session: exporting, reference: str) -> Response:
        def work(db: Connection, keyring: Keyring, me: Operator, now: dt.datetime) -> bytes:
            return exports.export(db, keyring, me, reference, library, now)

        made = _done(desk, session, work)
        if isinstance(made, str):
            return desk.refuse(request, session, made, case_path(reference))
        return _file(made, "application/zip", f"{reference.upper()}.zip")

    @routes.post(f"{CASE}/copy")
    def copy(request: Request, session: exporting, reference: str, language: Field = "vi") -> Response:
        """The person's own copy, in their language."""

        def work(db: Connection, keyring: Keyring, me: Operator, now: dt.datetime) -> Paper:
            return exports.for_the_person(db, keyring, me, reference, library, language, now)

        made = _done(desk, session, work)
        if isinstance(made, str):
            return desk.refuse(request, session, made, case_path(reference))
        return _file(pdf(made), "application/pdf", f"{reference.upper()}.pdf")


def _done(desk: Desk, session: Session, work: Work[Made]) -> Made | str:
    """What `work` makes in one transaction, or the word that says why not."""
    try:
        with desk.begin() as (connection, keyring, now):
            return work(connection, keyring, operator_of(session), now)
    except CaseError as error:
        return error.why


def _opened(desk: Desk, session: Session, reference: str, handoff: str) -> Values | str:
    def work(db: Connection, keyring: Keyring, me: Operator, now: dt.datetime) -> Values:
        opened = handing_on.sheet(db, keyring, me, reference, handoff, now)
        return shown_sheet(opened, desk.shown(db, session, now), desk.house.library, session.account.language)

    return _done(desk, session, work)


def _file(content: bytes, kind: str, name: str) -> Response:
    """Handed to the browser and kept nowhere."""
    return Response(content, media_type=kind, headers={"Content-Disposition": f'attachment; filename="{name}"'})


# -- a sheet as it is read ---------------------------------------------------------------------------------------------


def shown_sheet(sheet: Sheet, shown: Shown, library: Library, language: str) -> Values:
    """What console/sheet.html documents: names in place of codes, texts as they were written."""
    content = sheet.content
    words = library.console(language)
    known = [
        words["kinds"].get(content["kind"]),
        words["abouts"].get(content["about"]),
        shown.country(content["country"]),
    ]
    earlier = [
        f"{local(_moment(one['at']), year=True)} {_receiver(library, one['receiver'], language)}"
        for one in content["earlier"]
    ]
    return {
        "id": sheet.handoff.id,
        "reference": content["reference"],
        "receiver": _receiver(library, content["receiver"], language),
        "purpose": content["purpose"],
        "basis": content["basis"],
        "consent_words": content["consent_words"],
        "consent_at": _moment(content["consent_at"]),
        "reason": content["reason"],
        "alias": words["abouts"].get(content["about"], content["about"]),
        "number": content["number"],
        "reporter": content["reporter"],
        "subject": content["subject"],
        "place": content["place"],
        "summary": " · ".join(filter(None, known)),
        "done": "\n".join(filter(None, [content["plan"], *earlier])),
        "minor": content["minor"],
        "flags": shown.flags(content["flags"]),
        "prepared_by": shown.name(content["prepared_by"]),
        "prepared_at": _moment(content["prepared_at"]),
        "digest": sheet.handoff.digest,
    }  # fmt: skip


def sheet_paper(sheet: Mapping[str, Any], words: Mapping[str, Mapping[str, str]]) -> Paper:
    """The same as console/sheet.html, on paper."""
    w = words["sheet"]
    by = w["by_consent"] if sheet["basis"] == "consent" else w["by_emergency"]
    said = f"{w['their_words']} {_said(sheet['consent_words'])}" if sheet["consent_words"] else ""
    basis = [
        f"{words['purposes'][sheet['purpose']]}: {by} {local(sheet['consent_at'], year=True)}",
        said,
        _said(sheet["reason"]),
    ]
    person = f"{sheet['alias']} · {words['common']['minor']}" if sheet["minor"] else sheet["alias"]
    number = w["number"].format(number=sheet["number"]) if sheet["number"] else w["number_kept"]
    texts = ((w[name], _said(sheet[name]) or w["unknown"]) for name in ("reporter", "subject", "place"))
    rows = (
        (w["receiver"], sheet["receiver"]),
        (w["basis"], "\n".join(filter(None, basis))),
        (w["person"], f"{person}\n{number}"),
        *texts,
        (w["signs"], "\n".join(sheet["flags"]) or w["unknown"]),
        (w["summary"], _said(sheet["summary"]) or w["unknown"]),
        (w["done"], _said(sheet["done"]) or w["unknown"]),
        (w["prepared"], f"{sheet['prepared_by']}, {local(sheet['prepared_at'], year=True)}"),
    )
    return Paper(
        w["title"],
        f"{w['from']} · {w['reference']} {sheet['reference']}",
        rows,
        (w["care"], f"{w['digest']} {sheet['digest']}"),
    )


def _said(text: str | None) -> str:
    """What people wrote, tamed as on the page."""
    return defanged(visible(text)) if text else ""


def _receiver(library: Library, receiver: str, language: str) -> str:
    """With the numbers at which it is reached."""
    known = library.receivers.get(receiver)
    if known is None:
        return receiver
    numbers = ", ".join(library.hotlines[name].number for name in known.hotlines)
    name = known.name.in_language(language)
    return f"{name} ({numbers})" if numbers else name


def _moment(written: str) -> dt.datetime:
    return dt.datetime.fromisoformat(written)
