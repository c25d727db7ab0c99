"""The composer: how a text would leave, and sending it."""

import uuid
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import RedirectResponse
from sqlalchemy import Connection

from bot.channels.sms_text import SegmentSizes
from bot.contacts import Contact
from bot.errors import CaseError
from bot.hotline import claims, composing, keys, reading, relay
from bot.hotline.cases import Case
from bot.hotline.composing import Preview, Price
from bot.staff.sessions import Session
from bot.store.crypto import Keyring
from bot.web.console import texts
from bot.web.console.case import CASE, Typed, case_page
from bot.web.console.desk import Desk, Form, case_path, operator_of, read_form
from bot.web.console.security import Door


def talking_routes(door: Door) -> APIRouter:
    routes = APIRouter()
    desk = Desk(door)
    working = Annotated[Session, Depends(door.signed_in("case.work"))]
    typed = Annotated[Form, Depends(read_form)]

    @routes.post(f"{CASE}/preview")
    def preview(request: Request, session: working, reference: str, form: typed) -> Response:
        """Nothing is sent."""
        try:
            seen = _looked_at(desk, session, reference, form)
        except CaseError as error:
            return desk.refuse(request, session, error.why, case_path(reference))
        return case_page(desk, request, session, reference, seen)

    @routes.post(f"{CASE}/send")
    def send(request: Request, session: working, reference: str, form: typed) -> Response:
        """Where something is to be thought over, only the second press sends, and only the very same text."""
        try:
            warned = _sent_or_warned(desk, session, reference, form)
        except CaseError as error:
            return desk.refuse(request, session, error.why, case_path(reference))
        if warned:
            return case_page(desk, request, session, reference, warned)
        desk.house.wake()
        return RedirectResponse(case_path(reference), status_code=303)

    return routes


def _looked_at(desk: Desk, session: Session, reference: str, form: Form) -> Typed:
    text = _text(form)
    with desk.begin() as (connection, keyring, _now):
        case, contact, held = claims.owned(connection, keyring, operator_of(session), reference)
        if form.get("reply") in desk.house.library.replies:
            text = f"{text} {texts.reply(desk.house.library, form['reply'], contact)}".strip()
        seen = _preview(desk, connection, keyring, case, contact, held, text) if text else None
    return Typed(text, seen, message_id=_message_id(form))


def _sent_or_warned(desk: Desk, session: Session, reference: str, form: Form) -> Typed | None:
    """None when it is on its way."""
    text = _text(form)
    if not 0 < len(text) <= composing.LONGEST:
        raise CaseError("too_long" if text else "empty")
    with desk.begin() as (connection, keyring, now):
        me = operator_of(session)
        case, contact, held = claims.owned(connection, keyring, me, reference)
        seen = _preview(desk, connection, keyring, case, contact, held, text)
        needed = composing.confirmation(text, seen.cautions, keyring)
        if seen.grave and form.get("confirm") != needed:
            return Typed(text, seen, needed, message_id=_message_id(form))
        leaving = composing.rendered(text, texts.channel_of(contact))
        relay.speak(connection, keyring, me, reference, text, leaving, now, message_id=_message_id(form))
    return None


def _preview(
    desk: Desk,
    connection: Connection,
    keyring: Keyring,
    case: Case,
    contact: Contact | None,
    held: keys.CaseKeys,
    text: str,
) -> Preview:
    settings = desk.house.config.bot.sms
    price = Price(settings.vnd_per_segment, SegmentSizes(settings.gsm_7_segments, settings.ucs_2_segments))
    known = reading.summary(reading.timeline(connection, case, held))
    channel = texts.channel_of(contact)
    return composing.preview(connection, keyring, desk.house.library, case, channel, text, known, price)


def _text(form: Form) -> str:
    return form.get("text", "").replace("\r\n", "\n").strip()


def _message_id(form: Form) -> str:
    """By which two presses send one message."""
    return form.get("id", "")[:36] or str(uuid.uuid4())
