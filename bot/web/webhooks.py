"""Where providers post what people write. Answered after the commit; anything forged, broken or unknown is refused or set aside."""

import hmac
import json
import logging
from typing import Annotated

from fastapi import APIRouter, Header, Request, Response
from fastapi.responses import PlainTextResponse

from bot.app import App
from bot.service import Service

log = logging.getLogger("banduong")


def webhook_routes(house: App, service: Service) -> APIRouter:
    routes = APIRouter(prefix="/webhooks")
    if house.telegram:
        _add_telegram(routes, house, service)
    return routes


def _add_telegram(routes: APIRouter, house: App, service: Service) -> None:
    secret = house.telegram_secret

    @routes.post("/telegram")
    async def telegram(
        request: Request, token: Annotated[str, Header(alias="x-telegram-bot-api-secret-token")] = ""
    ) -> Response:
        """One update of the Bot API."""
        if not hmac.compare_digest(token.encode(), secret.encode()):
            return PlainTextResponse("", status_code=403)
        try:
            update = json.loads(await request.body())
            known = isinstance(update, dict) and isinstance(update["update_id"], int)
        except (ValueError, KeyError, RecursionError):
            known = False
        if not known:
            return PlainTextResponse("", status_code=400)
        await service.take_update(update)
        return PlainTextResponse("")
