"""A Rasa server over HTTP. What it answers is believed only where it has the form that Rasa gives it.

No error of ours ever holds the token, which is part of the address, or what somebody wrote; nothing is logged here.
"""

import asyncio
import json
import math
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, NoReturn

import aiohttp

from bot.errors import RasaError

LARGEST = 256 * 1024  # bytes of a reply; one to the longest text has a tenth of it
LEAST = 0.3  # that what we know of a ranking must have: the best ten of 28, which is where Rasa cuts it, hold more than a third
MOST = 1.02
NAME_LENGTH, ID_LENGTH = 40, 12  # signs of the model that are kept
_UNUSUAL = re.compile(r"[^A-Za-z0-9._-]")
_REFUSALS: dict[int, tuple[str, bool]] = {
    401: ("it does not take our token", True),
    403: ("it does not take our token", True),
    404: ("it is no Rasa server, or its interface is off", True),
    409: ("it has no model", True),
}


@dataclass(frozen=True)
class Status:
    """`model` is what is kept with a decision: the file's name and the beginning of the model's own id."""

    model: str
    training: int


class RasaServer:
    """Belongs to the event loop in which it is first used. Every call ends within its own `seconds`, whatever the server does."""

    def __init__(self, url: str, token: str | None) -> None:
        self._url = url.rstrip("/")
        self._token = token
        self._session: aiohttp.ClientSession | None = None

    async def parse(self, text: str, known: Collection[str], seconds: float) -> dict[str, float]:
        """How likely each of the `known` intents is, as far as the server says."""
        return read_ranking(await self._call("POST", "/model/parse", seconds, {"text": text}), text, known)

    async def status(self, seconds: float) -> Status:
        return read_status(await self._call("GET", "/status", seconds))

    async def version(self, seconds: float) -> str:
        reply = await self._call("GET", "/version", seconds)
        return _plain(_text_of(reply, "version"), NAME_LENGTH)

    async def load(self, model_file: str, seconds: float) -> None:
        """From now on the server uses this model, a path on its own machine."""
        await self._call("PUT", "/model", seconds, {"model_file": model_file})

    async def close(self) -> None:
        if self._session:
            await self._session.close()
            self._session = None

    async def _call(self, method: str, path: str, seconds: float, body: dict[str, str] | None = None) -> Any:
        try:
            async with asyncio.timeout(seconds):
                status, content = await self._answer(method, path, body)
        except TimeoutError:
            raise RasaError(f"it does not answer within {round(seconds, 1):g} seconds") from None
        except RasaError:
            raise
        except aiohttp.ClientConnectorError:
            raise RasaError("nothing answers there", lasting=True) from None
        except Exception as error:  # whatever a broken server can do to the library: its words might repeat ours
            raise RasaError(f"the connection broke ({type(error).__name__})") from None
        if status >= 300:
            why, lasting = _REFUSALS.get(status, (f"it answers with {status}", False))
            raise RasaError(why, lasting=lasting)
        return _json_of(content) if content else None

    async def _answer(self, method: str, path: str, body: dict[str, str] | None) -> tuple[int, bytes]:
        if self._session is None:
            self._session = aiohttp.ClientSession(auto_decompress=False, headers={"Accept-Encoding": "identity"})
        async with self._session.request(
            method, self._url + path, params={"token": self._token} if self._token else None, allow_redirects=False,
            data=json.dumps(body).encode() if body else None, headers={"Content-Type": "application/json"},
        ) as answer:  # fmt: skip
            content = bytearray()
            async for piece in answer.content.iter_any():
                content += piece
                if len(content) > LARGEST:
                    _unreadable("it is too long")
            return answer.status, bytes(content)


def read_ranking(reply: object, text: str, known: Collection[str]) -> dict[str, float]:
    """Intent -> probability, of a reply to exactly this text. Intents that we do not know are left out."""
    if _text_of(reply, "text") != text:
        _unreadable("it is about another text")
    ranking = reply.get("intent_ranking") if isinstance(reply, dict) else None
    if not isinstance(ranking, list):
        _unreadable("it has no intent_ranking")
    found: dict[str, float] = {}
    for entry in ranking:
        name, confidence = _text_of(entry, "name"), _confidence_of(entry)
        if name in found:
            _unreadable("it names an intent twice")
        if name in known:
            found[name] = confidence
    if not LEAST <= sum(found.values()) <= MOST:
        _unreadable("its intents are not those of nlu/data")
    return found


def read_status(reply: object) -> Status:
    file = _plain(PurePath(_text_of(reply, "model_file")).name.removesuffix(".tar.gz"), NAME_LENGTH)
    own = reply.get("model_id") if isinstance(reply, dict) else None
    jobs = reply.get("num_active_training_jobs", 0) if isinstance(reply, dict) else 0
    name = f"{file}@{_plain(own, ID_LENGTH)}" if isinstance(own, str) and own else file
    return Status(name, jobs if isinstance(jobs, int) else 0)


def _confidence_of(entry: object) -> float:
    value = entry.get("confidence") if isinstance(entry, dict) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1 or not math.isfinite(value):
        _unreadable("a confidence is no number from 0 to 1")
    return float(value)


def _text_of(reply: object, key: str) -> str:
    value = reply.get(key) if isinstance(reply, dict) else None
    if not isinstance(value, str):
        _unreadable(f"{key} is missing")
    return value


def _json_of(content: bytes) -> object:
    try:
        return json.loads(content, parse_constant=lambda name: _unreadable(f"{name} is no number"))
    except (ValueError, RecursionError):
        _unreadable("it is no JSON")


def _plain(name: str, length: int) -> str:
    return _UNUSUAL.sub("_", name)[:length]


def _unreadable(why: str) -> NoReturn:
    raise RasaError(f"its reply cannot be used: {why}")
