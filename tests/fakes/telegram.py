"""A Bot API server: one bot, private chats and groups, polling or webhook, and the answers and faults of the real one."""

import asyncio
import json
import threading
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.fakes.server import Broken

TOKEN = "123456:fake-token-of-a-bot"
BOT = {"id": 123456, "is_bot": True, "first_name": "Bạn Đường", "username": "banduong_bot"}
HANG = 60.0
ALL_PARAMETERS_AS_JSON = ("reply_markup", "allowed_updates", "commands", "link_preview_options", "message_ids")

Json = dict[str, Any]


@dataclass
class Sent:
    """A message that reached a person."""

    chat: int
    text: str
    message_id: int
    buttons: tuple[str, ...]
    at: float


@dataclass
class TelegramFake:
    """`faults`: what happens to the next calls of sendMessage, in order: "429 SECONDS", "500", "502", "403", "gone", "hang"
    (accepted, never answered), "lost" (accepted, connection closed), "refused" (nothing happens), "" (nothing goes wrong)."""

    latency: float = 0.0
    sent: list[Sent] = field(default_factory=list)
    deleted: set[tuple[int, int]] = field(default_factory=set)
    calls: list[tuple[str, Json]] = field(default_factory=list)
    faults: deque[str] = field(default_factory=deque)
    met: Counter[str] = field(default_factory=Counter)  # the faults that have happened
    webhook: Json = field(default_factory=dict)
    webhook_answers: list[int] = field(default_factory=list)
    updates: list[Json] = field(default_factory=list)
    left: list[int] = field(default_factory=list)
    moved: dict[int, int] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _ids: int = 0
    _client: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=30))

    def __del__(self) -> None:
        self._client.close()

    def application(self) -> Starlette:
        return Starlette(routes=[Route("/bot{token}/{method}", self._answer, methods=["GET", "POST"])])

    # -- what people do ------------------------------------------------------------------------------------------------

    def say(self, chat: int, text: str, **more: Any) -> Json:
        """A person writes; the update, which goes to the webhook if there is one."""
        return self.push({"message": self.message(chat, text=text, **more)})

    def press(self, chat: int, number: int, of: Sent | None = None) -> Json:
        """A person presses a button under the last message with buttons, or under `of`."""
        under = of or next(sent for sent in reversed(self.sent) if sent.chat == chat and sent.buttons)
        keyboard = [[{"text": label, "callback_data": str(n)}] for n, label in enumerate(under.buttons, 1)]
        message = {**self.message(chat, text=under.text), "from": BOT, "reply_markup": {"inline_keyboard": keyboard}}
        message["message_id"] = under.message_id
        press = {"id": self._next("cb"), "from": _person(chat), "chat_instance": "1", "data": str(number)}
        return self.push({"callback_query": {**press, "message": message}})

    def message(self, chat: int, **content: Any) -> Json:
        kind = {"type": "private", "first_name": "A"} if chat > 0 else {"type": "group", "title": "Xóm"}
        about = {"message_id": int(self._next("")), "date": int(time.time()), "chat": {"id": chat, **kind}}
        return {**about, "from": _person(abs(chat)), **content}

    def push(self, content: Json) -> Json:
        with self._lock:
            update = {"update_id": int(self._next("")), **content}
            self.updates.append(update)
        if self.webhook.get("url"):
            self.post(update)
        return update

    def post(self, update: Json | bytes, secret: str | None = None) -> int:
        """Delivers by webhook; the status that came back. A lost connection is tried again, as the real one does."""
        body = update if isinstance(update, bytes) else json.dumps(update).encode()
        token = self.webhook.get("secret_token", "") if secret is None else secret
        headers = {"content-type": "application/json", "x-telegram-bot-api-secret-token": token}
        for _ in range(600):
            try:
                answer = self._client.post(self.webhook["url"], content=body, headers=headers)
                self.webhook_answers.append(answer.status_code)
                return answer.status_code
            except httpx.TransportError:
                time.sleep(0.1)
        raise TimeoutError("the webhook is not there")

    def heard_by(self, chat: int) -> list[str]:
        return [sent.text for sent in self.sent if sent.chat == chat]

    def doubled(self) -> int:
        """How many messages came more often than once."""
        return sum(count - 1 for count in Counter((sent.chat, sent.text) for sent in self.sent).values())

    # -- the Bot API ---------------------------------------------------------------------------------------------------

    async def _answer(self, request: Request) -> Response:
        if request.path_params["token"] != TOKEN:
            return _error(401, "Unauthorized")
        method = request.path_params["method"].lower()
        parameters = await _parameters(request)
        if method != "getupdates":
            self.calls.append((request.path_params["method"], parameters))
        handler = getattr(self, f"_on_{method}", None)
        if handler is None:
            return _error(404, "Not Found: method not found")
        answer: Response = await handler(parameters)
        return answer

    async def _on_getme(self, _: Json) -> Response:
        return _ok(
            {**BOT, "can_join_groups": True, "can_read_all_group_messages": False, "supports_inline_queries": False}
        )

    async def _on_sendmessage(self, given: Json) -> Response:
        if self.latency:
            await asyncio.sleep(self.latency)
        chat = int(given["chat_id"])
        fault = self._next_fault(given)
        if refused := self._refusal(chat, given, fault):
            return refused
        sent = self._accept(chat, given)
        if fault == "hang":
            await asyncio.sleep(HANG)
        if fault == "lost":
            return Broken()
        result = {**self.message(chat, text=sent.text), "from": BOT, "message_id": sent.message_id}
        return _ok(result)

    def _next_fault(self, _given: Json) -> str | None:
        with self._lock:
            fault = self.faults.popleft() if self.faults else None
            self.met[fault or ""] += 1
            return fault

    def _refusal(self, chat: int, given: Json, fault: str | None) -> Response | None:
        text = given.get("text", "")
        if not text:
            return _error(400, "Bad Request: message text is empty")
        if len(text.encode("utf-16-le")) // 2 > 4096:
            return _error(400, "Bad Request: message is too long")
        if chat in self.moved:
            moved = {"migrate_to_chat_id": self.moved[chat]}
            return _error(400, "Bad Request: group chat was upgraded to a supergroup chat", moved)
        if not fault or fault in ("hang", "lost"):
            return None
        code, _, seconds = fault.partition(" ")
        texts = {
            "403": (403, "Forbidden: bot was blocked by the user"),
            "gone": (400, "Bad Request: chat not found"),
            "500": (500, "Internal Server Error"),
            "502": (502, "Bad Gateway"),
        }
        if code == "429":
            return _error(429, f"Too Many Requests: retry after {seconds}", {"retry_after": int(seconds)})
        return Broken() if code == "refused" else _error(*texts[code])

    def _accept(self, chat: int, given: Json) -> Sent:
        rows = (given.get("reply_markup") or {}).get("inline_keyboard", [])
        buttons = tuple(button["text"] for row in rows for button in row)
        sent = Sent(chat, given["text"], int(self._next("")), buttons, time.monotonic())
        with self._lock:
            self.sent.append(sent)
        return sent

    async def _on_getupdates(self, given: Json) -> Response:
        if self.webhook.get("url"):
            return _error(409, "Conflict: can't use getUpdates method while webhook is active")
        offset, until = int(given.get("offset") or 0), time.monotonic() + float(given.get("timeout") or 0)
        while True:
            with self._lock:
                self.updates[:] = [update for update in self.updates if update["update_id"] >= offset]
                found = self.updates[: int(given.get("limit") or 100)]
            if found or time.monotonic() >= until:
                return _ok(found)
            await asyncio.sleep(0.01)

    async def _on_setwebhook(self, given: Json) -> Response:
        self.webhook = given
        return _ok(True)

    async def _on_deletewebhook(self, _: Json) -> Response:
        self.webhook = {}
        return _ok(True)

    async def _on_setmycommands(self, _: Json) -> Response:
        return _ok(True)

    async def _on_answercallbackquery(self, given: Json) -> Response:
        if not str(given["callback_query_id"]).startswith("cb"):
            return _error(400, "Bad Request: query is too old and response timeout expired or query ID is invalid")
        return _ok(True)

    async def _on_deletemessages(self, given: Json) -> Response:
        self.deleted |= {(int(given["chat_id"]), int(one)) for one in given["message_ids"]}
        return _ok(True)

    async def _on_leavechat(self, given: Json) -> Response:
        self.left.append(int(given["chat_id"]))
        return _ok(True)

    def _next(self, prefix: str) -> str:
        with self._lock:
            self._ids += 1
            return f"{prefix}{self._ids}"


def _ok(result: Any) -> Response:
    return JSONResponse({"ok": True, "result": result})


def _error(code: int, description: str, parameters: Json | None = None) -> Response:
    more = {"parameters": parameters} if parameters else {}
    return JSONResponse({"ok": False, "error_code": code, "description": description, **more}, status_code=code)


def _person(chat: int) -> Json:
    return {"id": chat, "is_bot": False, "first_name": "A"}


async def _parameters(request: Request) -> Json:
    """From the query, a form or JSON: clients send all three."""
    given: Json = dict(request.query_params)
    kind = request.headers.get("content-type", "")
    if "json" in kind:
        given |= await request.json()
    elif kind:
        given |= dict(await request.form())
    for name in ALL_PARAMETERS_AS_JSON:
        if isinstance(given.get(name), str):
            given[name] = json.loads(given[name])
    return given
