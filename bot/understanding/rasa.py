"""Rasa as the second backend: its word on the intent beside ours, ours on everything else, and ours alone wherever it does not answer.

This file and the two that it uses are the only ones of the understanding that know a clock or a network.
"""

import asyncio
import atexit
import logging
import os
import re
import threading
import time
from collections.abc import Coroutine, Mapping
from concurrent.futures import CancelledError, Future
from dataclasses import replace
from typing import Any, TypeVar

from bot.errors import RasaError
from bot.understanding.breaker import Allowance, Breaker, Clock
from bot.understanding.classifier import Classification
from bot.understanding.rasa_server import RasaServer

FRESH = 10.0  # seconds for which the model's name is believed
GRACE = 0.2  # seconds beyond the server's time, where our own machine is slow to tell that it is over
FAREWELL = 2.0
RASAS_SHARE = 0.4  # of the vote on intents: docs/decisions/0016-rasa.md
_SHORTCUT = re.compile(r"\A[\s/]+")  # Rasa takes "/offer" for the intent, and writes other such texts into its log

Result = TypeVar("Result")

log = logging.getLogger("banduong")


class Rasa:
    """Safe to use from many threads, and by processes that are copies of this one: each has its own connections."""

    name = "rasa"

    def __init__(self, url: str, token: str | None, seconds: float, clock: Clock = time.monotonic) -> None:
        self._url, self._token, self._seconds, self._clock = url, token, seconds, clock
        self._lines: dict[int, _Line] = {}

    def __repr__(self) -> str:
        return f"Rasa({self._url!r})"

    def ask(self, text: str, ours: Classification) -> Classification | None:
        """What Rasa makes of a text, in our terms; None where it does not answer, and nobody waits for that longer than agreed."""
        sent = _SHORTCUT.sub("", text).rstrip()
        if not sent or not _is_sound(sent):
            return None
        line = self._line
        if not line.allowance.take():
            return None
        begun, found = self._clock(), None
        try:
            found = self._told(line, sent, ours)
        finally:
            ran_out = line.allowance.give_back(self._clock() - begun)
        if found and ran_out:
            log.warning(
                "Rasa at %s is slow. While that keeps people waiting, the embedded model reads alone.", self._url
            )
        return found

    def _told(self, line: "_Line", text: str, ours: Classification) -> Classification | None:
        advice = line.breaker.advice()
        if advice == "look":
            self._begin_look(line)
        if advice != "ask":
            return None
        known = {base_of(label) for label in ours.labels}
        try:
            named, model = line.wait(self._asked(line, text, known), self._seconds + GRACE)
        except RasaError as error:
            self._failed(line, error)
            return None
        if line.breaker.succeeded():
            log.warning("Rasa at %s answers again, with the model %s.", self._url, model)
        return opinion(named, ours, model)

    def look(self) -> None:
        """Looks in the background whether it is there, so that its absence is told before somebody writes."""
        line = self._line
        try:
            line.begin(self._first_look(line))
        except RasaError as error:
            self._failed(line, error)

    def close(self) -> None:
        if line := self._lines.pop(os.getpid(), None):
            line.close()

    @property
    def closed_breaker(self) -> bool:
        """Whether the next message will be put to Rasa."""
        return self._line.breaker.closed

    @property
    def _line(self) -> "_Line":
        process = os.getpid()
        return self._lines.get(process) or self._lines.setdefault(
            process, _Line(RasaServer(self._url, self._token), self._clock)
        )

    async def _asked(self, line: "_Line", text: str, known: set[str]) -> tuple[dict[str, float], str]:
        """The intents, and the model whose they are: a name that may be old is asked for first. Both in the time of one."""
        begun = time.monotonic()
        model = await self._model(line)
        left = max(self._seconds - (time.monotonic() - begun), 0.0)
        return await line.server.parse(text, known, left), model

    async def _model(self, line: "_Line") -> str:
        """Kept by whoever asks: meanwhile another message, which fails, may make the line forget it."""
        model = line.model
        if not model or self._clock() - line.model_at > FRESH:
            model = (await line.server.status(self._seconds)).model
            line.model, line.model_at = model, self._clock()
        return model

    def _begin_look(self, line: "_Line") -> None:
        try:
            line.begin(self._look(line))
        except RasaError:
            line.breaker.looked(well=False)

    async def _look(self, line: "_Line") -> None:
        line.model = ""
        try:
            await self._model(line)
        except RasaError:
            line.breaker.looked(well=False)
        else:
            line.breaker.looked(well=True)

    async def _first_look(self, line: "_Line") -> None:
        try:
            await self._model(line)
        except RasaError as error:
            self._failed(line, error)

    def _failed(self, line: "_Line", error: RasaError) -> None:
        line.model = ""
        if line.breaker.failed(certainly=error.lasting):
            log.warning(
                "Rasa at %s cannot be used: %s. Messages are read by the embedded model until it can.", self._url, error
            )


class _Line:
    """What one process has of its own: connections in an event loop in a thread, begun when they are first needed."""

    def __init__(self, server: RasaServer, clock: Clock) -> None:
        self.server, self.breaker, self.allowance = server, Breaker(clock), Allowance(clock)
        self.model, self.model_at = "", 0.0
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def wait(self, call: Coroutine[Any, Any, Result], seconds: float) -> Result:
        answer = self.begin(call)
        try:
            return answer.result(seconds)
        except TimeoutError:
            answer.cancel()
            raise RasaError("it does not answer in time") from None
        except (CancelledError, RuntimeError):
            raise RasaError("this process is about to end") from None

    def begin(self, call: Coroutine[Any, Any, Result]) -> Future[Result]:
        try:
            return asyncio.run_coroutine_threadsafe(call, self._running())
        except (OSError, RuntimeError):  # no open file or thread is to be had, or the loop has just been closed
            call.close()
            raise RasaError("this process has no means left to ask it") from None

    def close(self) -> None:
        atexit.unregister(self.close)
        with self._lock:
            loop, self._loop = self._loop, None
        if loop is None or self._thread is None:
            return
        asyncio.run_coroutine_threadsafe(self.server.close(), loop).result(FAREWELL)
        loop.call_soon_threadsafe(loop.stop)
        self._thread.join(FAREWELL)
        loop.close()

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                loop = asyncio.new_event_loop()
                thread = threading.Thread(target=loop.run_forever, name="rasa", daemon=True)
                try:
                    thread.start()
                except RuntimeError:
                    loop.close()
                    raise
                self._loop, self._thread = loop, thread
                atexit.register(self.close)
            return self._loop


def opinion(named: Mapping[str, float], ours: Classification, model: str) -> Classification:
    """Rasa's word and ours on the intents, mixed; ours within them: which small talk, which answer of a topic, which risk.

    What a ranking that was cut leaves over goes to the intents that it does not name, in our own proportions.
    """
    of_base: dict[str, dict[str, float]] = {}
    for label, p in ours.labels.items():
        of_base.setdefault(base_of(label), {})[label] = p
    unnamed = {base: sum(labels.values()) for base, labels in of_base.items() if base not in named}
    rest = max(1.0 - sum(named.values()), 0.0)
    likely = {**named, **{base: rest * share for base, share in _shares(unnamed).items()}}
    whole = sum(likely.values())
    labels = {
        label: RASAS_SHARE * likely[base] / whole * share + (1 - RASAS_SHARE) * ours.labels[label]
        for base, within in of_base.items()
        for label, share in _shares(within).items()
    }
    return replace(ours, labels=labels, answers=_answers(labels, ours), backend=Rasa.name, model=model)


def _answers(labels: Mapping[str, float], ours: Classification) -> tuple[tuple[str, float], ...]:
    of_topic: dict[str, dict[str, float]] = {}
    for answer, p in ours.answers:
        of_topic.setdefault(base_of(answer), {})[answer] = p
    found = [
        (answer, labels.get(topic, 0.0) * share)
        for topic, within in of_topic.items()
        for answer, share in _shares(within).items()
    ]
    return tuple(sorted(found, key=lambda pair: -pair[1]))


def _shares(parts: Mapping[str, float]) -> dict[str, float]:
    """Each part of the whole; of nothing, all the same."""
    whole = sum(parts.values())
    return {name: part / whole if whole else 1 / len(parts) for name, part in parts.items()}


def base_of(label: str) -> str:
    """The intent that Rasa knows: it is told small talk, answers and risks by their first part."""
    return label.split("/", 1)[0]


def _is_sound(text: str) -> bool:
    """Whether it is text at all: half a surrogate pair cannot be sent."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
