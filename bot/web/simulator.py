"""The training phone: one talk shown as SMS and as Telegram. It leaves no trace and opens no case."""

import datetime as dt
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse

from bot.app import App
from bot.channels.base import CAPABILITIES
from bot.channels.sms_text import sms_text
from bot.conversation.state import Conversation, Turn
from bot.delivery.render import render
from bot.understanding.reading import Understanding
from bot.web.sealed import open_rows, seal_rows
from bot.web.words import language_of, page_words, templates

PLACE = "web|simulator|talk"
MOST_TURNS = 12


def simulator_routes(house: App) -> APIRouter:
    routes = APIRouter(include_in_schema=False)
    words = {language: page_words(house.library, "simulator", language) for language in ("vi", "en")}
    chat_words = {language: page_words(house.library, "chat", language) for language in ("vi", "en")}

    def page(request: Request, state: dict[str, Any]) -> HTMLResponse:
        language = language_of(request)
        talk = {"conversation": state["conversation"], "draft": state["draft"]}
        sealed = seal_rows(house.database.keyring, [*state["turns"], talk], PLACE)
        context = {
            "w": words[language],
            "c": chat_words[language],
            "lang": language,
            "turns": state["turns"],
            "sealed": sealed,
        }
        return templates.TemplateResponse(request, "simulator.html", context)

    @routes.get("/simulator", response_class=HTMLResponse)
    def open_page(request: Request) -> HTMLResponse:
        return page(request, {"conversation": None, "draft": [], "turns": []})

    @routes.post("/simulator", response_class=HTMLResponse)
    def write(
        request: Request,
        text: Annotated[str, Form()] = "",
        number: Annotated[str, Form()] = "",
        talk: Annotated[str, Form()] = "",
    ) -> HTMLResponse:
        state = _open(house, talk)
        rehearsal = house.rehearsal("telegram")
        if state["conversation"]:
            known = Conversation.from_json(state["conversation"])
            rehearsal.conversation = replace(known, draft=tuple(state["draft"]))
        said = number or text
        reading, turn = rehearsal.say(said, dt.datetime.now(dt.UTC))
        shown = _shown(said, reading, turn)
        return page(
            request,
            {
                "conversation": turn.conversation.to_json(),
                "draft": list(turn.conversation.draft),
                "turns": [*state["turns"], shown][-MOST_TURNS:],
            },
        )

    return routes


def _shown(said: str, reading: Understanding, turn: Turn) -> dict[str, Any]:
    """One turn as both phones show it."""
    sms = [sms_text(render(reply, CAPABILITIES["sms"]).text) for reply in turn.replies]
    telegram = [render(reply, CAPABILITIES["telegram"]) for reply in turn.replies]
    return {
        "said": said,
        "sms": [
            {"text": part.text, "count": part.segments, "units": part.units, "encoding": part.encoding} for part in sms
        ],
        "telegram": [{"text": part.text, "buttons": list(part.buttons)} for part in telegram],
        "kind": reading.kind if not reading.topic else f"{reading.kind} / {reading.topic}",
        "flags": sorted(reading.flags),
        "events": [type(event).__name__ for event in turn.events],
    }


def _open(house: App, sealed: str) -> dict[str, Any]:
    rows = open_rows(house.database.keyring, sealed, PLACE)
    state = rows[-1] if rows and "conversation" in rows[-1] else {"conversation": None, "draft": []}
    return {**state, "turns": [row for row in rows if "said" in row]}
