"""Writing an alert: the form, how it would leave while it is written, and keeping it as a draft."""

import re
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import RedirectResponse

from bot.errors import OutreachError
from bot.outreach import broadcasts
from bot.outreach.broadcasts import Broadcast, Plan
from bot.outreach.words import CHANNELS, LANGUAGES
from bot.staff.sessions import Session
from bot.web.console import alert_forms, alert_proposals
from bot.web.console.alert_desk import ALERTS, AlertDesk, alert_path
from bot.web.console.alert_forms import MOST_CHOICES, Typed
from bot.web.console.alerts_shown import set_up
from bot.web.console.desk import Form, read_form
from bot.web.console.security import Door

NEW, PREVIEW = f"{ALERTS}/new", f"{ALERTS}/preview"
EDIT = f"{ALERTS}/{{alert}}/edit"
ACTIONS = ("check_offer", "procedures", "human", "menu")  # of the bot's, those that an alert may lead to
_KEY = re.compile(r"[0-9a-f]{64}")  # of a proposal


def writing_routes(door: Door) -> APIRouter:
    routes = APIRouter()
    desk = AlertDesk(door)
    writing = Annotated[Session, Depends(door.signed_in("alert.write"))]
    typed = Annotated[Form, Depends(read_form)]
    library = desk.house.library

    @routes.get(NEW)
    def new(request: Request, session: writing, template: str | None = None, proposal: str = "") -> Response:
        """`template`: one that is chosen, "" for none; where nothing is chosen yet, the one that fits what trends propose."""
        channels, chosen = set_up(desk.house) or CHANNELS, library.alerts.get(template or "")
        if not proposal:
            return _page(desk, request, session, alert_forms.empty(library, channels, chosen), None)
        try:
            found = alert_proposals.proposed(desk, proposal)
        except OutreachError as error:
            return desk.refuse_alert(request, session, error.why, ALERTS)
        fitting = alert_proposals.template_of(library, found) if template is None else chosen
        return _page(desk, request, session, alert_proposals.form_of(desk.house, found, channels, fitting), None)

    @routes.post(NEW)
    def keep(request: Request, session: writing, form: typed) -> Response:
        return _kept(desk, request, session, form, None)

    @routes.get(EDIT)
    def edit(request: Request, session: writing, alert: str) -> Response:
        try:
            draft = _draft(desk, alert)
        except OutreachError as error:
            return desk.refuse_alert(request, session, error.why, alert_path(alert))
        return _page(desk, request, session, alert_forms.of_plan(draft.plan, library), draft)

    @routes.post(EDIT)
    def keep_again(request: Request, session: writing, alert: str, form: typed) -> Response:
        try:
            draft = _draft(desk, alert)
        except OutreachError as error:
            return desk.refuse_alert(request, session, error.why, alert_path(alert))
        return _kept(desk, request, session, form, draft)

    @routes.post(PREVIEW)
    def look(request: Request, session: writing, form: typed) -> Response:
        """Nothing is kept. `alert`: the reference of the draft that is edited."""
        try:
            draft = _draft(desk, form["alert"]) if form.get("alert") else None
        except OutreachError as error:
            return desk.refuse_alert(request, session, error.why, ALERTS)
        return _page(desk, request, session, form, draft)

    return routes


def _draft(desk: AlertDesk, reference: str) -> Broadcast:
    with desk.look() as (connection, _keyring, _now):
        found = desk.find(connection, reference)
    if found.status != "draft":
        raise OutreachError(found.status)
    return found


def _kept(desk: AlertDesk, request: Request, session: Session, form: Form, draft: Broadcast | None) -> Response:
    """On to its page; or the form again with everything that was typed."""
    plan = alert_forms.read(form, desk.house.library, CHANNELS).plan
    if plan is None:
        return _page(desk, request, session, form, draft, status=400, wrong=True)
    try:
        written = _write(desk, session, plan, form, draft)
    except OutreachError as error:
        return _page(desk, request, session, form, draft, status=409, problem=error.why)
    return RedirectResponse(alert_path(written.reference), status_code=303)


def _write(desk: AlertDesk, session: Session, plan: Plan, form: Form, draft: Broadcast | None) -> Broadcast:
    with desk.begin() as (connection, keyring, now):
        if draft is None:
            if _KEY.fullmatch(form.get("proposal", "")):
                taken = alert_proposals.TAKEN
                alert_proposals.decide(connection, keyring, form["proposal"], taken, session.account.id, now)
            return broadcasts.write(connection, keyring, plan, session.account.id, now)
        if broadcasts.lock(connection, keyring, draft.id).digest != form.get("digest", ""):
            raise OutreachError("changed")
        return broadcasts.rewrite(connection, keyring, draft.id, plan)


# -- the page ----------------------------------------------------------------------------------------------------------


def _page(
    desk: AlertDesk,
    request: Request,
    session: Session,
    form: Mapping[str, str],
    draft: Broadcast | None,
    *,
    status: int = 200,
    wrong: bool = False,
    problem: str = "",
) -> Response:
    """`wrong`: what hinders keeping it is told at its fields. Whoever was overtaken still sends the digest that they saw."""
    typed = alert_forms.read(form, desk.house.library, CHANNELS)
    digest = form.get("digest", "") or (draft.digest if draft else "")
    return desk.door.page(
        request, "alert_form", session, status=status, nav="alerts", form=form, problem=problem, digest=digest,
        alert=draft.reference if draft else None, wrong=typed.wrong if wrong else {},
        preview=_preview(desk, session, typed), here=NEW if draft is None else f"{alert_path(draft.reference)}/edit",
        **_choices(desk, session.account.language, form),
    )  # fmt: skip


def _preview(desk: AlertDesk, session: Session, typed: Typed) -> dict[str, Any] | None:
    """None where nothing has been written yet."""
    if not typed.words.languages:
        return None
    counted = desk.lately_counted(typed.audience) if typed.audience.channels else None
    with desk.look() as (connection, _keyring, now):
        shown = desk.words_of(connection, session)
        return shown.preview(typed.words, typed.audience, counted, typed.budget_vnd, typed.valid_until, now)


def _choices(desk: AlertDesk, language: str, form: Mapping[str, str]) -> dict[str, Any]:
    """What there is to choose from."""
    library, ready = desk.house.library, set_up(desk.house)
    targets = [name for name in (*ACTIONS, *library.answers) if name in library.actions or name in library.answers]
    return {
        "templates": [{"id": one.id, "title": one.title.in_language(language)} for one in library.alerts.values()],
        "blanks": [
            {"field": f"blank-{name}-{of}", "language": of, "what": blank.what.in_language(language),
             "example": blank.example.in_language(of)}
            for name, blank, of in alert_forms.open_blanks(form, library)
        ],
        "targets": list(dict.fromkeys(library.title(one, "vi") for one in targets)),
        "choice_fields": [f"choice-{number}" for number in range(1, MOST_CHOICES + 1)],
        "provinces": [{"code": one.code, "name": one.name, "names": one.aliases} for one in library.provinces],
        "interests": [{"id": one.id, "label": one.label.in_language(language)} for one in library.interests.values()],
        "channels": ready or CHANNELS,
        "none_set_up": not ready,
        "languages": LANGUAGES,
    }  # fmt: skip
