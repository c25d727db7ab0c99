"""An SMS gateway and the phone behind it: takes messages, sends them, reports on each segment, and posts signed events."""

import asyncio
import base64
import hashlib
import hmac
import json
import threading
import time
import zlib
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

import httpx
import phonenumbers
import smsutil
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

USER, PASSWORD, KEY = "office", "fake-password-of-a-gateway", "fake-signing-key"
DEVICE = "ffffffffceb0b1db0000018e937c815b"
EVENTS = {
    "sms:received", "sms:sent", "sms:delivered", "sms:failed", "sms:cancelled", "sms:data-received", "mms:received",
    "mms:downloaded", "system:ping", "app:started", "sms:batch:received", "mms:batch:received",
}  # fmt: skip
HANG = 60.0
RETRIES = 14
MOMENT = "2026-02-18T02:05:00.000+07:00"

Json = dict[str, Any]


@dataclass
class Sent:
    """A message that reached a person."""

    number: str
    text: str
    message_id: str
    at: float


@dataclass
class AndroidFake:
    """`faults`: what happens to the next calls of POST /messages, in order: "401", "429 SECONDS", "503 QueueLimitExceeded", "400",
    "422", "500", "502", "503", "no phone", "page" (somebody else answers 200), "hang" (accepted, never answered), "lost" (accepted,
    connection closed), "refused" (nothing happens), "" (nothing goes wrong). `down`: every call gets 500.

    `reports`: whether the phone says by itself what became of a message. `sites`: where addresses really are.
    """

    reports: bool = True
    down: bool = False
    latency: float = 0.0
    sent: list[Sent] = field(default_factory=list)
    messages: dict[str, Json] = field(default_factory=dict)
    calls: list[tuple[str, str, Json]] = field(default_factory=list)
    faults: deque[str] = field(default_factory=deque)
    webhooks: dict[str, Json] = field(default_factory=dict)
    devices: list[str] = field(default_factory=lambda: [DEVICE])
    sites: dict[str, str] = field(default_factory=dict)
    events: list[Json] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    pause: float = 0.1
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _ids: int = 0

    def application(self) -> Starlette:
        routes = [
            Route("/messages", self._guarded(self._post_message), methods=["POST"]),
            Route("/messages/{id}", self._guarded(self._get_message), methods=["GET"]),
            Route("/webhooks", self._guarded(self._get_webhooks), methods=["GET"]),
            Route("/webhooks", self._guarded(self._post_webhook), methods=["POST"]),
            Route("/webhooks/{id}", self._guarded(self._delete_webhook), methods=["DELETE"]),
            Route("/devices", self._guarded(self._get_devices), methods=["GET"]),
        ]
        return Starlette(routes=routes)

    # -- what people and the phone do ----------------------------------------------------------------------------------

    def say(self, number: str, text: str) -> Json:
        """A person writes; the event, which was taken by every webhook that asks for it."""
        return self.emit("sms:received", received(number, text))

    def report(self, message_id: str, event: str, **more: Any) -> Json:
        """The phone says what became of a message, or of one of its segments."""
        number = self.messages.get(message_id, {}).get("phoneNumbers", ["+84900000000"])[0]
        about = {"messageId": message_id, "phoneNumber": number, "sender": None, "recipient": number, "simNumber": 1}
        at = {"sms:sent": "sentAt", "sms:delivered": "deliveredAt", "sms:failed": "failedAt"}.get(event, "cancelledAt")
        return self.emit(event, {**about, at: MOMENT, **more})

    def emit(self, event: str, payload: Json) -> Json:
        """Posts an event to every webhook that asks for it, each under an id of its own; the last one."""
        made = self.event(event, payload)
        for hook in [hook for hook in self.webhooks.values() if hook["event"] == event]:
            made = {**self.event(event, payload), "webhookId": hook["id"]}
            self.deliver(made, hook["url"])
        return made

    def event(self, event: str, payload: Json) -> Json:
        return {
            "deviceId": DEVICE, "event": event, "id": self._next("Ey6ECgOkVVFjz3CL"), "payload": payload, "webhookId": "?",
        }  # fmt: skip

    def deliver(self, event: Json, url: str) -> None:
        """As the phone does: again and again with pauses, signed anew each time, until somebody says 2xx."""
        self.events.append(event)
        for _ in range(RETRIES):
            if self.post(event, url) // 100 == 2:
                return
            time.sleep(self.pause)

    def post(self, event: Json | bytes, url: str, *, key: str = KEY, at: float | None = None, **headers: str) -> int:
        """Once; the status that came back, 0 where nobody answered."""
        body = (
            event if isinstance(event, bytes) else json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()
        )
        signed_at = str(int(time.time() if at is None else at))
        signature = hmac.new(key.encode(), body + signed_at.encode(), hashlib.sha256).hexdigest()
        given = {"content-type": "application/json", "x-timestamp": signed_at, "x-signature": signature, **headers}
        for host, site in self.sites.items():
            url = url.replace(host, site)
        try:
            status = httpx.post(url, content=body, headers=given, timeout=30).status_code
        except httpx.TransportError:
            status = 0
        self.answers.append(status)
        return status

    def heard_by(self, number: str) -> list[str]:
        return [sent.text for sent in self.sent if sent.number == number]

    def is_known(self) -> bool:
        """Whether somebody has gone through the whole introduction."""
        return any(path == "/devices" for _, path, _ in self.calls) and not self.down

    def doubled(self) -> int:
        """How many messages came more often than once."""
        return sum(count - 1 for count in Counter((sent.number, sent.text) for sent in self.sent).values())

    # -- the gateway ---------------------------------------------------------------------------------------------------

    def _guarded(self, handler: Any) -> Any:
        async def answer(request: Request) -> Response:
            body = await request.body()
            given = json.loads(body) if body else {}
            self.calls.append((request.method, request.url.path, given))
            expected = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
            if self.down:
                return _error(500, "failed to handle request")
            if request.headers.get("authorization") != expected:
                return _error(401, "Unauthorized")
            found: Response = await handler(request, given)
            return found

        return answer

    async def _post_message(self, request: Request, given: Json) -> Response:
        if self.latency:
            await asyncio.sleep(self.latency)
        with self._lock:
            fault = self.faults.popleft() if self.faults else ""
        if refused := _refusal(fault):
            return refused
        checked = request.query_params.get("skipPhoneValidation") != "true"
        if problem := _problem(given, checked=checked):
            return _error(400, problem)
        message = {**given, "id": given.get("id") or self._next("zXDYfTmTVf3iMd16")}
        with self._lock:
            if message["id"] in self.messages:
                return _error(409, "message with the same ID already exists")
            self.messages[message["id"]] = message
        threading.Thread(target=self._send, args=(message,), daemon=True).start()
        if fault == "hang":
            await asyncio.sleep(HANG)
        return _Broken() if fault == "lost" else JSONResponse(_state(message), status_code=202)

    def _send(self, message: Json) -> None:
        text = message["textMessage"]["text"]
        parts = len(smsutil.split(text).parts)
        for number in message["phoneNumbers"]:
            self.sent.append(Sent(number, text, message["id"], time.monotonic()))
        if self.reports:
            self.report(message["id"], "sms:sent", partsCount=parts)
            for _ in range(parts if message.get("withDeliveryReport", True) else 0):
                self.report(message["id"], "sms:delivered")

    async def _get_message(self, request: Request, _: Json) -> Response:
        message = self.messages.get(request.path_params["id"])
        return JSONResponse(_state(message)) if message else _error(404, "message not found")

    async def _get_webhooks(self, _request: Request, _: Json) -> Response:
        return JSONResponse(list(self.webhooks.values()))

    async def _post_webhook(self, _request: Request, given: Json) -> Response:
        if given.get("event") not in EVENTS or not str(given.get("url", "")).startswith("http"):
            return _error(400, "invalid event or url")
        hook = {**given, "id": given.get("id") or self._next("LreFUt-Z3sSq0JufY")}
        if len(hook["id"]) > 36:
            return _error(400, "id too long")
        with self._lock:
            self.webhooks[hook["id"]] = hook
        return JSONResponse(hook, status_code=201)

    async def _delete_webhook(self, request: Request, _: Json) -> Response:
        with self._lock:
            self.webhooks.pop(request.path_params["id"], None)
        return Response(status_code=204)

    async def _get_devices(self, _request: Request, _: Json) -> Response:
        return JSONResponse([{"id": one, "name": "phone"} for one in self.devices])

    def _next(self, prefix: str) -> str:
        with self._lock:
            self._ids += 1
            return f"{prefix}{self._ids}"


class _Broken(Response):
    """Closes the connection without an answer."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 202, "headers": [(b"content-length", b"100")]})
        raise ConnectionResetError


def received(number: str, text: str) -> Json:
    """The payload of a message that came in; like the real one, its id says little more than its words."""
    about = {"messageId": f"{zlib.crc32(text.encode()):x}", "message": text, "phoneNumber": number, "sender": number}
    return {**about, "recipient": None, "simNumber": 1, "receivedAt": MOMENT}


def announced(number: str) -> Json:
    """The payload of an MMS that waits at the carrier."""
    about = {"messageId": "mms_12345abcde", "phoneNumber": number, "sender": number, "recipient": None, "simNumber": 1}
    more = {"transactionId": "T1234567890ABC", "subject": "Anh", "size": 125684, "contentClass": "IMAGE_BASIC"}
    return {**about, **more, "receivedAt": MOMENT}


def _refusal(fault: str) -> Response | None:
    code, _, more = fault.partition(" ")
    texts = {"400": "invalid request", "401": "Unauthorized", "422": "unprocessable", "500": "failed to handle request"}
    if code == "429":
        return _error(429, "Too Many Requests", {"Retry-After": more} if more else None)
    if code == "503" and more:
        return _error(503, "queue limits exceeded: too many pending messages: 10 / 10")
    if code in (*texts, "502", "503"):
        return _error(int(code), texts.get(code, "Bad Gateway"))
    if fault == "no phone":
        return _error(400, "failed to select device: record not found")
    if fault == "page":
        return HTMLResponse("<h1>Welcome to this hotel</h1>")
    return _Broken() if fault == "refused" else None


def _problem(given: Json, *, checked: bool) -> str:
    """What the real gateway would say against an order."""
    numbers, text = given.get("phoneNumbers") or [], (given.get("textMessage") or {}).get("text") or ""
    rules = {
        "id": len(given.get("id") or "") <= 36,
        "phone numbers": len(numbers) == len(set(numbers)) > 0 and (not checked or all(map(_is_mobile, numbers))),
        "text": 1 <= len(text) <= 65535,
        "ttl": given.get("ttl") is None or (given["ttl"] >= 5 and given.get("validUntil") is None),
        "sim": given.get("simNumber") is None or 1 <= given["simNumber"] <= 3,
        "priority": -128 <= given.get("priority", 0) <= 127,
    }
    return ", ".join(f"invalid {name}" for name, holds in rules.items() if not holds)


def _is_mobile(number: str) -> bool:
    parsed = phonenumbers.parse(number, "RU")
    mobile = (phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE)
    return phonenumbers.is_valid_number(parsed) and phonenumbers.number_type(parsed) in mobile


def _state(message: Json) -> Json:
    recipients = [{"phoneNumber": number, "state": "Pending"} for number in message["phoneNumbers"]]
    about = {"id": message["id"], "deviceId": DEVICE, "state": "Pending", "isHashed": False, "isEncrypted": False}
    return {**about, "recipients": recipients, "states": {"Pending": MOMENT}}


def _error(code: int, message: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"message": message}, status_code=code, headers=headers)
