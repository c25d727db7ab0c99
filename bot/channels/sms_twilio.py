"""SMS through Twilio: sends by REST, and reads its signed calls (what people write, and what became of our messages).

Error codes and states: https://www.twilio.com/docs/api/errors, https://www.twilio.com/docs/messaging/api/message-resource.
"""

import datetime as dt
import logging
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import aiohttp
from twilio.base.exceptions import TwilioRestException
from twilio.http import AsyncHttpClient
from twilio.http.response import Response
from twilio.request_validator import RequestValidator, get_signature_algorithm
from twilio.rest import Client

from bot.channels.base import SendError, SendResult
from bot.channels.http import NEVER_SENT, HttpClient
from bot.channels.sms import NAME, ForgedError, SmsArrival, SmsLimits, WebhookCall, phone_number
from bot.errors import ChannelError
from bot.letters import compose
from bot.messages import Address, DeliveryReceipt, DeliveryStatus, InboundMessage, OutboundMessage, Refusal

INBOUND, STATUS = "twilio", "twilio/status"
VALID_FOR = 4 * 3600  # seconds that Twilio may wait for a handset: an older answer only confuses
PAUSE = 5.0  # seconds, where Twilio asks for one and does not say how long
LONG_PAUSE = 3600.0  # the account's limit of a day is reached
NEWEST = 20  # messages to one number that a look-up reads

# What a code says about the message, whether it comes as an answer or later with a status.
REFUSALS: Mapping[int, Refusal] = {
    20003: "retryable",  # our token is wrong
    20429: "retryable",
    63038: "retryable",  # the account's limit of a day
    21610: "opted_out",  # the person wrote STOP to Twilio
    21211: "stopped",  # no such number
    21612: "stopped",
    21614: "stopped",  # a landline
    21635: "stopped",
    30005: "stopped",  # nobody has this number
    30006: "stopped",
    30003: "retryable",  # the handset is off
    30008: "retryable",  # nobody knows why
}
PAUSES = {20003: 60.0, 20429: PAUSE, 63038: LONG_PAUSE}
STATES = {
    "sent": DeliveryStatus.SENT,
    "delivered": DeliveryStatus.DELIVERED,
    "read": DeliveryStatus.DELIVERED,
    "partially_delivered": DeliveryStatus.UNDELIVERED,
    "undelivered": DeliveryStatus.UNDELIVERED,
    "failed": DeliveryStatus.FAILED,
    "canceled": DeliveryStatus.FAILED,
}
UNDER_WAY = {"accepted", "queued", "scheduled", "sending", "receiving", "received"}
TOO_MANY, REFUSED, BROKEN = 429, 400, 500


class TwilioSms:
    """One account, one sender: a number, a registered name, or a messaging service (MG...)."""

    name = NAME
    paths = (INBOUND, STATUS)
    thanks = ("<Response/>", "text/xml")

    def __init__(
        self,
        account: str,
        token: str,
        sender: str,
        *,
        api: str = "https://api.twilio.com",
        webhook: str | None = None,
        two_way: bool = True,
        needs_template: bool = False,
        country: str = "VN",
    ) -> None:
        logging.getLogger("twilio").setLevel(logging.CRITICAL)  # its own logs hold numbers and texts
        self.limits = SmsLimits(two_way, needs_template, "network", 1.0)
        self._transport = _Transport(api)
        self._client = Client(account, token, http_client=self._transport)
        self._account = account
        self._signatures = RequestValidator(token)
        self._country = country
        self._from = {"messaging_service_sid" if sender.startswith("MG") else "from_": sender}
        self._callback = {"status_callback": f"{webhook}/webhooks/{STATUS}"} if webhook else {}

    async def open(self) -> None:
        """Proves account and token. ChannelError says what to do."""
        try:
            await self._client.api.accounts(self._account).fetch_async()
        except TwilioRestException as error:
            lasting = error.status in (401, 404)
            raise ChannelError(
                f"Twilio refused us ({error.status}): check bot.sms.twilio.account and BANDUONG_TWILIO_TOKEN."
                if lasting
                else f"Twilio did not answer well ({error.status}).",
                lasting=lasting,
            ) from None
        except (aiohttp.ClientError, TimeoutError):
            raise ChannelError("Twilio cannot be reached.") from None

    async def close(self) -> None:
        await self._transport.close()

    async def send(self, message: OutboundMessage) -> SendResult:
        try:
            sent = await self._client.messages.create_async(
                to=message.address.identifier,
                body=message.text,
                validity_period=VALID_FOR,
                **self._from,
                **self._callback,
            )
        except TwilioRestException as error:
            raise _refusal(error) from None
        except NEVER_SENT as error:
            raise SendError("retryable", type(error).__name__) from None
        except (aiohttp.ClientError, TimeoutError) as error:
            raise SendError("uncertain", type(error).__name__) from None
        return SendResult((str(sent.sid),))

    async def find(self, message: OutboundMessage, since: dt.datetime) -> tuple[SendResult, ...]:
        try:
            newest = await self._client.messages.list_async(
                to=message.address.identifier, limit=NEWEST, page_size=NEWEST
            )
        except (TwilioRestException, aiohttp.ClientError, TimeoutError) as error:
            raise ChannelError(f"Twilio could not be asked ({type(error).__name__}).") from None
        return tuple(
            SendResult((str(one.sid),))
            for one in newest
            if one.direction != "inbound"
            and compose(one.body) == compose(message.text)
            and one.date_created
            and one.date_created >= since.replace(microsecond=0)
        )

    # -- in ------------------------------------------------------------------------------------------------------------

    def check(self, call: WebhookCall, now: dt.datetime) -> None:
        algorithm = get_signature_algorithm(call.headers.get("x-twilio-webhooks-signature-settings"))
        signature = call.headers.get("x-twilio-signature", "")
        if not self._signatures.validate(call.url, _form(call.body), signature, algorithm):
            raise ForgedError

    def read(self, path: str, body: bytes, now: dt.datetime) -> SmsArrival:
        form = {name: values[0] for name, values in _form(body).items()}
        return _status(form) if path == STATUS else self._message(form, now)

    def _message(self, form: Mapping[str, str], now: dt.datetime) -> SmsArrival:
        number = phone_number(form["From"], self._country)
        if number is None:
            return SmsArrival()
        text = form["Body"]
        media = not text and int(form.get("NumMedia") or 0) > 0
        return SmsArrival((InboundMessage(Address(NAME, number), form["MessageSid"], text, now, has_media=media),))


class _Transport(AsyncHttpClient):  # type: ignore[misc]
    """twilio's requests through our connections, to another host where the configuration names one."""

    def __init__(self, api: str) -> None:
        super().__init__(logging.getLogger("twilio"), is_async=True)
        self._api = api
        self._http = HttpClient()

    async def request(
        self, method: str, uri: str, params: Any = None, data: Any = None, headers: Any = None, auth: Any = None,
        timeout: Any = None, allow_redirects: Any = None,
    ) -> Response:  # fmt: skip
        parts = urlsplit(uri)
        url = f"{self._api}{parts.path}?{parts.query}" if parts.query else f"{self._api}{parts.path}"
        status, body, kept = await self._http.request(method, url, params=params, data=data, headers=headers, auth=auth)
        return Response(status, body.decode(), kept)

    async def close(self) -> None:
        await self._http.close()


class _Form(dict[str, list[str]]):
    """A form where a name may stand more than once, as twilio's validator reads it."""

    def getlist(self, name: str) -> list[str]:
        return self[name]


def _form(body: bytes) -> _Form:
    form = _Form()
    for name, value in parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True):
        form.setdefault(name, []).append(value)
    return form


def _status(form: Mapping[str, str]) -> SmsArrival:
    told = form["MessageStatus"]
    if told in UNDER_WAY:
        return SmsArrival()
    code = int(form.get("ErrorCode") or 0)
    receipt = DeliveryReceipt(
        NAME, form["MessageSid"], STATES[told], str(code) if code else None, refusal=REFUSALS.get(code)
    )
    return SmsArrival(receipts=(receipt,))


def _refusal(error: TwilioRestException) -> SendError:
    code = error.code or 0
    if error.status >= BROKEN:
        return SendError("uncertain", str(error.status))
    if error.status == TOO_MANY:
        return SendError("retryable", str(code or TOO_MANY), retry_after=PAUSES.get(code, PAUSE))
    kind = REFUSALS.get(code, "permanent")
    return SendError(kind, str(code or error.status), retry_after=PAUSES.get(code))
