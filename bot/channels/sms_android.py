"""Android SMS Gateway: an app on a phone with a local SIM sends our messages, and posts to us what it gets and what became of them.

We choose the id of a message, and the gateway refuses one that it has: as long as one phone serves the account, nothing that
is sent again arrives twice. Written against the sources of the app (July 2026) and of its server (August 2026).
"""

import datetime as dt
import hmac
import json
import logging
import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

import aiohttp

from bot.channels.base import SendError, SendResult
from bot.channels.http import NEVER_SENT, HttpClient
from bot.channels.sms import NAME, ForgedError, SmsArrival, SmsLimits, WebhookCall, phone_number
from bot.channels.sms_text import sms_text
from bot.errors import ChannelError
from bot.messages import Address, DeliveryReceipt, DeliveryStatus, InboundMessage, Lane, OutboundMessage

PATH = "android"
TOGETHER = 4  # connections: behind them is one phone

# Android lets an app send 30 segments a minute, then asks the owner; where nobody is at the phone, the message is lost.
# This is 15 messages a minute, of which nearly all have one or two segments.
PER_SECOND = 0.25

# A phone that was off so long keeps the message to itself: the same as in our own outbox, a later reply would only confuse.
LIFE = 24 * 60 * 60  # seconds

PAUSE = 60.0  # seconds until a gateway that refused us is asked again
LONGEST_PAUSE = 3600.0
PRIORITY = {Lane.EMERGENCY: 100, Lane.BROADCAST: -1}  # from 100 on, the phone's own limits and office hours do not hold

# Each attempt to post an event is signed anew, so what comes is seconds old, also after the two days for which the phone goes on
# trying. The rest is its clock. A clock that somebody set by hand, in a wrong time zone too, must not cost a message; and an old
# call that somebody plays to us again does nothing, for the ids of events are remembered for longer.
MOST_SKEW = dt.timedelta(days=1)
LONGEST_TIMESTAMP = 12  # digits

LONGEST_ID = 60  # characters
HOOK = "banduong-"  # how the ids of our registrations begin: another address replaces the one before
WANTED = ("sms:received", "sms:sent", "sms:delivered", "sms:failed", "mms:received")
NOT_FOR_US = {
    "app:started", "system:ping", "sms:data-received", "sms:batch:data-received",
    "mms:downloaded", "mms:batch:downloaded",  # a message that was answered when it was announced
}  # fmt: skip
REPORTED = {
    "sms:sent": DeliveryStatus.SENT,
    "sms:delivered": DeliveryStatus.DELIVERED,
    "sms:failed": DeliveryStatus.FAILED,
    "sms:cancelled": DeliveryStatus.FAILED,
}

TAKEN = {200, 201, 202}
DONE = {*TAKEN, 204}
HAS_IT = 409
UNKNOWN = 404
NOT_NOW = {401, 403, 404, 405, 429}  # what the deployer or time can mend
NEVER = {400, 413, 422}

log = logging.getLogger("banduong")


class AndroidSms:
    """One account at a gateway: the public cloud, a server of one's own, or the phone itself. Nothing is called before `open`
    or `send`. `sim` counts from 1."""

    name = NAME
    limits = SmsLimits(can_receive=True, needs_template=False, receipt_kind="handset", max_per_second=PER_SECOND)
    paths = (PATH,)
    thanks = ("", "text/plain")

    def __init__(
        self,
        user: str,
        password: str,
        *,
        signing_key: str,
        api: str,
        webhook: str | None,
        sim: int | None,
        country: str,
    ) -> None:
        self._account = (user, password)
        self._signing_key = signing_key.encode()
        self._api = api
        self._webhook = f"{webhook}/webhooks/{PATH}" if webhook else None
        self._sim = sim
        self._country = country
        self._http = HttpClient(connections=TOGETHER)

    async def open(self) -> None:
        """Proves the password, and registers our webhooks where we have a public address. ChannelError says what to do."""
        registered = _listed(await self._told("GET", "/webhooks"))
        if self._webhook:
            await self._register(self._webhook, registered)
        await self._count_phones()

    async def close(self) -> None:
        await self._http.close()

    # -- out -----------------------------------------------------------------------------------------------------------

    async def send(self, message: OutboundMessage) -> SendResult:
        # The gateway's own list of numbers is older than some numbers: who wrote to us can be answered.
        status, body, headers = await self._asked("POST", "/messages?skipPhoneValidation=true", self._order(message))
        if status == HAS_IT or _took(message, status, body):
            return _result(message)
        raise _refusal(status, body, headers)

    async def find(self, message: OutboundMessage, since: dt.datetime) -> tuple[SendResult, ...]:
        status, body, _ = await self._reached("GET", f"/messages/{_id_of(message)}")
        if _took(message, status, body):
            return (_result(message),)
        if status == UNKNOWN:
            return ()
        raise ChannelError(f"The SMS gateway could not be asked ({status}).")

    def _order(self, message: OutboundMessage) -> dict[str, Any]:
        return {
            "id": _id_of(message),
            "phoneNumbers": [message.address.identifier],
            "textMessage": {"text": message.text},
            "withDeliveryReport": True,
            "priority": PRIORITY.get(message.lane, 0),
            "ttl": LIFE,
            **({"simNumber": self._sim} if self._sim else {}),
        }

    # -- the gateway ---------------------------------------------------------------------------------------------------

    async def _register(self, url: str, registered: Sequence[Mapping[str, Any]]) -> None:
        """Exactly one webhook an event: of two, each message would come twice, under different ids."""
        for event in WANTED:
            hook = HOOK + event.replace(":", "-")
            there = {one.get("id") for one in registered if (one.get("url"), one.get("event")) == (url, event)}
            if hook not in there:
                await self._told("POST", "/webhooks", {"id": hook, "url": url, "event": event})
            for other in there - {hook}:
                await self._told("DELETE", f"/webhooks/{other}")

    async def _count_phones(self) -> None:
        """A phone that serves its own API has no such list."""
        status, body, _ = await self._reached("GET", "/devices")
        if status in TAKEN and len(_listed(body)) > 1:
            log.error(
                "sms: several phones share the gateway's account: messages may get lost or double; leave only one"
            )

    async def _told(self, method: str, path: str, payload: Any = None) -> bytes:
        """The answer to what the gateway should not refuse. Raises ChannelError."""
        status, body, _ = await self._reached(method, path, payload)
        if status in (401, 403):
            raise ChannelError(
                "The SMS gateway does not know us: check BANDUONG_ANDROID_PASSWORD and bot.sms.android.user.",
                lasting=True,
            )
        if status not in DONE:
            lasting = 400 <= status < 500 and status != 429
            raise ChannelError(
                f"The SMS gateway refused a call ({status}): check bot.sms.android.api and bot.sms.webhook (https://...).",
                lasting=lasting,
            )
        return body

    async def _reached(self, method: str, path: str, payload: Any = None) -> tuple[int, bytes, Mapping[str, str]]:
        """Status, body and headers. Raises ChannelError."""
        try:
            return await self._called(method, path, payload)
        except (aiohttp.ClientError, TimeoutError):
            raise ChannelError("The SMS gateway cannot be reached.") from None

    async def _asked(self, method: str, path: str, payload: Any = None) -> tuple[int, bytes, Mapping[str, str]]:
        """Status, body and headers. Raises SendError."""
        try:
            return await self._called(method, path, payload)
        except NEVER_SENT as error:
            raise SendError("retryable", type(error).__name__) from None
        except (aiohttp.ClientError, TimeoutError) as error:
            raise SendError("uncertain", type(error).__name__) from None

    async def _called(self, method: str, path: str, payload: Any) -> tuple[int, bytes, Mapping[str, str]]:
        return await self._http.request(method, self._api + path, json=payload, auth=self._account)

    # -- in ------------------------------------------------------------------------------------------------------------

    def check(self, call: WebhookCall, now: dt.datetime) -> None:
        """Raises ForgedError."""
        signed_at = call.headers.get("x-timestamp", "")
        signature = call.headers.get("x-signature", "").lower()
        expected = hmac.new(self._signing_key, call.body + signed_at.encode(), sha256).hexdigest()
        if not hmac.compare_digest(signature.encode(), expected.encode()):
            raise ForgedError
        if not re.fullmatch(rf"[0-9]{{1,{LONGEST_TIMESTAMP}}}", signed_at):
            raise ForgedError
        if abs(now.timestamp() - int(signed_at)) > MOST_SKEW.total_seconds():
            log.error("sms: a call was signed at another time: set the clock of the gateway's phone by the network")
            raise ForgedError

    def read(self, path: str, body: bytes, now: dt.datetime) -> SmsArrival:
        """Any exception means that the event is of a shape that nobody foresaw."""
        told = json.loads(body)
        event, event_id, payload = told["event"], _identifier(told["id"]), told["payload"]
        if event in NOT_FOR_US:
            return SmsArrival()
        if event in REPORTED:
            return SmsArrival(receipts=(_receipt(event, event_id, payload),))
        if event in ("sms:received", "mms:received"):
            return self._heard(event, {event_id: payload}, now)
        if event in ("sms:batch:received", "mms:batch:received"):
            return self._heard(event, {f"{event_id}:{n}": one for n, one in enumerate(payload["messages"])}, now)
        raise ValueError("unknown event")

    def _heard(self, event: str, payloads: Mapping[str, Mapping[str, Any]], now: dt.datetime) -> SmsArrival:
        """Messages by our id. What nobody could answer, such as the carrier's own advertising, is left out."""
        has_media = event.startswith("mms:")  # whose words are not announced with it
        heard = []
        for external_id, payload in payloads.items():
            text = "" if has_media else payload["message"]
            if not isinstance(text, str):
                raise TypeError("no text")
            if number := phone_number(payload.get("sender") or payload["phoneNumber"], self._country):
                heard.append(InboundMessage(Address(NAME, number), external_id, text, now, has_media=has_media))
        return SmsArrival(tuple(heard))


def _id_of(message: OutboundMessage) -> str:
    """The same whenever this message is sent. The gateway takes up to 36 characters."""
    return sha256(message.dedup.encode()).hexdigest()[:32]


def _result(message: OutboundMessage) -> SendResult:
    """The phone reports each segment, all under one id."""
    return SendResult((_id_of(message),), sms_text(message.text, folded=False).segments)


def _took(message: OutboundMessage, status: int, body: bytes) -> bool:
    """Whether it was the gateway that said yes, to this message: in between may stand anybody who answers 200."""
    try:
        return status in TAKEN and json.loads(body)["id"] == _id_of(message)
    except (ValueError, TypeError, KeyError, RecursionError):
        return False


def _refusal(status: int, body: bytes, headers: Mapping[str, str]) -> SendError:
    code = str(status)
    if status == 503 and b"queue" in body.lower():
        return SendError("retryable", "503 queue", retry_after=_pause(headers))
    if status == 400 and b"select device" in body:
        return SendError("retryable", "400 no phone", retry_after=PAUSE)
    if status in NOT_NOW:
        return SendError("retryable", code, retry_after=_pause(headers))
    if status in NEVER:
        return SendError("permanent", code)
    return SendError("uncertain", code)


def _listed(body: bytes) -> list[dict[str, Any]]:
    """Raises ChannelError where it was not the gateway that answered."""
    try:
        listed = json.loads(body)
    except (ValueError, RecursionError):
        listed = None
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        raise ChannelError("Something that is no SMS gateway answered: check bot.sms.android.api.")
    return listed


def _pause(headers: Mapping[str, str]) -> float:
    """Seconds."""
    asked = headers.get("Retry-After", "")
    return min(max(float(asked), 1.0), LONGEST_PAUSE) if re.fullmatch(r"[0-9]{1,9}", asked) else PAUSE


def _receipt(event: str, event_id: str, payload: Mapping[str, Any]) -> DeliveryReceipt:
    """`delivered` comes once a segment, everything else once a message."""
    status, error = REPORTED[event], None
    if event == "sms:failed":
        status, error = _failure(payload["reason"])
    if event == "sms:cancelled":
        error = "cancelled"
    part = event_id if status == DeliveryStatus.DELIVERED else ""
    return DeliveryReceipt(NAME, _identifier(payload["messageId"]), status, error, part)


def _failure(reason: str) -> tuple[DeliveryStatus, str]:
    """What the phone says, without its words: they may hold a number."""
    if reason.startswith("Delivery result"):
        report = re.search(r"\d{1,3}$", reason)
        return DeliveryStatus.UNDELIVERED, f"report {report[0]}" if report else "report"
    known = re.search(r"RESULT_[A-Z_]{1,50}|TTL expired", reason)
    return DeliveryStatus.FAILED, known[0] if known else "failed"


def _identifier(value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_ID:
        raise ValueError("no id")
    return value
