"""Twilio's messaging API: takes messages, tells what became of them, and posts what people write, signed as the real one does."""

import asyncio
import base64
import contextlib
import datetime as dt
import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from email.utils import format_datetime
from typing import Any
from urllib.parse import urlencode

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from twilio.request_validator import RequestValidator

from tests.fakes.server import Broken

ACCOUNT = "AC" + "0" * 31 + "1"
TOKEN = "fake-auth-token"
OURS = "+15005550006"
HANG = 60.0
FAULTS = {
    "21610": (400, "Attempt to send to unsubscribed recipient"),
    "21614": (400, "'To' number is not a valid mobile number"),
    "21211": (400, "Invalid 'To' Phone Number"),
    "21408": (403, "Permission to send an SMS has not been enabled for the region"),
    "63038": (429, "Account exceeded the daily messages limit"),
    "20429": (429, "Too Many Requests"),
    "500": (500, "Internal error"),
}

Json = dict[str, Any]


@dataclass
class Texted:
    """A message that Twilio took."""

    sid: str
    to: str
    text: str
    form: Json
    made_at: dt.datetime
    status: str = "queued"


@dataclass
class TwilioFake:
    """`faults`: what happens to the next messages, in order: an error code, "500", "hang" and "lost" (taken, never answered),
    "refused" (not taken, connection closed), "" (nothing goes wrong). `receipts`: the states told of each message."""

    faults: deque[str] = field(default_factory=deque)
    receipts: Iterable[str] = ()
    latency: float = 0.0
    sent: list[Texted] = field(default_factory=list)
    calls: list[tuple[str, str, Json]] = field(default_factory=list)
    webhook: str = ""  # the address that is signed
    address: str = ""  # where it really is
    answers: list[int] = field(default_factory=list)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _ids: int = 0
    _client: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=30))

    def __del__(self) -> None:
        self._client.close()

    def application(self) -> Starlette:
        base = "/2010-04-01/Accounts/{account}"
        return Starlette(
            routes=[
                Route(f"{base}.json", self._account),
                Route(f"{base}/Messages.json", self._list, methods=["GET"]),
                Route(f"{base}/Messages.json", self._create, methods=["POST"]),
            ]
        )

    # -- what people do ------------------------------------------------------------------------------------------------

    def say(self, number: str, text: str, **more: str) -> Json:
        """A person writes to our number; the form that was posted."""
        form = {
            "MessageSid": self._sid(), "AccountSid": ACCOUNT, "From": number, "To": OURS, "Body": text, "NumMedia": "0",
            "NumSegments": "1", **more,
        }  # fmt: skip
        self.post("twilio", form)
        return form

    def tell(self, sid: str, status: str, code: int | None = None) -> int:
        """What became of a message."""
        form = {"MessageSid": sid, "AccountSid": ACCOUNT, "MessageStatus": status, "To": "+84", "From": OURS}
        return self.post("twilio/status", form | ({"ErrorCode": str(code)} if code else {}))

    def post(self, path: str, form: Json | bytes, signature: str | None = None) -> int:
        """The status that came back."""
        url = f"{self.webhook}/webhooks/{path}"
        address = url.replace(self.webhook, self.address)
        body = form if isinstance(form, bytes) else urlencode(form).encode()
        sign = RequestValidator(TOKEN).compute_signature
        headers = {
            "content-type": "application/x-www-form-urlencoded",
            "x-twilio-signature": signature
            if signature is not None
            else sign(url, {} if isinstance(form, bytes) else form),
        }
        answer = self._client.post(address, content=body, headers=headers)
        self.answers.append(answer.status_code)
        return answer.status_code

    def heard_by(self, number: str) -> list[str]:
        return [one.text for one in self.sent if one.to == number]

    # -- the API -------------------------------------------------------------------------------------------------------

    async def _account(self, request: Request) -> Response:
        if not _is_ours(request):
            return _error(401, 20003, "Authenticate")
        return JSONResponse({"sid": ACCOUNT, "status": "active"})

    async def _create(self, request: Request) -> Response:
        if not _is_ours(request):
            return _error(401, 20003, "Authenticate")
        form = dict(await request.form())
        self.calls.append(("post", request.url.path, form))
        if self.latency:
            await asyncio.sleep(self.latency)
        fault = self.faults.popleft() if self.faults else ""
        if fault in FAULTS:
            status, text = FAULTS[fault]
            return _error(status, int(fault), text)
        if fault == "refused":
            return Broken()
        if not form.get("Body") or not (form.get("From") or form.get("MessagingServiceSid")):
            return _error(400, 21603, "A 'From' number is required")
        sent = self._take(form)
        if fault == "hang":
            await asyncio.sleep(HANG)
        if fault == "lost":
            return Broken()
        self._tell_later(sent)
        return JSONResponse(_message(sent), status_code=201)

    def _take(self, form: Json) -> Texted:
        status = "accepted" if form.get("MessagingServiceSid") else "queued"
        sent = Texted(self._sid(), form["To"], form["Body"], form, dt.datetime.now(dt.UTC), status)
        with self._lock:
            self.sent.append(sent)
        return sent

    def _tell_later(self, sent: Texted) -> None:
        def tell() -> None:
            with contextlib.suppress(httpx.TransportError):  # the house may be closed by now
                for status in self.receipts:
                    self.tell(sent.sid, status)

        if self.receipts and self.webhook:
            threading.Thread(target=tell, daemon=True).start()

    async def _list(self, request: Request) -> Response:
        if not _is_ours(request):
            return _error(401, 20003, "Authenticate")
        given = dict(request.query_params)
        self.calls.append(("get", request.url.path, given))
        found = [one for one in reversed(self.sent) if one.to == given.get("To", one.to)]
        return JSONResponse(
            {"messages": [_message(one) for one in found], "page": 0, "page_size": 20, "next_page_uri": None}
        )

    def _sid(self) -> str:
        with self._lock:
            self._ids += 1
            return f"SM{time.time_ns():020d}{self._ids:012d}"


def _message(sent: Texted) -> Json:
    when = format_datetime(sent.made_at)
    return {
        "sid": sent.sid, "account_sid": ACCOUNT, "to": sent.to, "from": sent.form.get("From"), "body": sent.text,
        "status": sent.status, "direction": "outbound-api", "date_created": when, "date_updated": when, "date_sent": None,
        "num_segments": "1", "num_media": "0", "error_code": None, "error_message": None, "api_version": "2010-04-01",
    }  # fmt: skip


def _error(status: int, code: int, text: str) -> Response:
    about = {"code": code, "message": text, "more_info": f"https://www.twilio.com/docs/errors/{code}", "status": status}
    return JSONResponse(about, status_code=status)


def _is_ours(request: Request) -> bool:
    expected = base64.b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()
    return request.path_params["account"] == ACCOUNT and request.headers.get("authorization") == f"Basic {expected}"
