"""Where providers post what people write. Answered after the commit; anything forged, broken or unknown is refused or set aside."""

import datetime as dt
import hmac
import json
import logging
from typing import Annotated

from fastapi import APIRouter, Header, Request, Response
from fastapi.responses import PlainTextResponse

from bot.app import App
from bot.channels.sms import ForgedError, SmsWebhook, WebhookCall
from bot.service import Service

log = logging.getLogger("banduong")


def webhook_routes(house: App, service: Service) -> APIRouter:
    routes = APIRouter(prefix="/webhooks")
    if house.telegram:
        _add_telegram(routes, house, service)
    if house.sms_webhook:
        for path in house.sms_webhook.paths:
            _add_sms(routes, house.sms_webhook, path, house.config.bot.sms.webhook or "", service)
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


def _add_sms(routes: APIRouter, provider: SmsWebhook, path: str, public: str, service: Service) -> None:
    text, media_type = provider.thanks

    @routes.post(f"/{path}", name=path)
    async def sms(request: Request) -> Response:
        """One call of the SMS provider."""
        query = f"?{request.url.query}" if request.url.query else ""
        url = f"{public}{request.url.path}{query}"  # what the provider signed: never what a proxy says
        call = WebhookCall(path, url, dict(request.headers), await request.body())
        try:
            provider.check(call, dt.datetime.now(dt.UTC))
        except ForgedError:
            return PlainTextResponse("", status_code=403)
        await service.take_call(path, call.body)
        return Response(text, media_type=media_type)
