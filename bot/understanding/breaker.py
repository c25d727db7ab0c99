"""Whether a server that has failed is asked again, so that no message waits for one that is down."""

import threading
import time
from collections.abc import Callable
from typing import Literal

IN_A_ROW = 3  # failures after which it is left alone
SHORTEST, LONGEST = 1.0, 30.0  # seconds for which it is; each time twice as long

Advice = Literal["ask", "look", "leave"]
Clock = Callable[[], float]


class Breaker:
    """Closed, the server is asked. Open, it is not; after a while somebody looks whether it is there, and then one message is the trial."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._state: Literal["closed", "open", "looking", "seen", "trying"] = "closed"
        self._failures = 0
        self._pause = SHORTEST
        self._until = 0.0

    @property
    def closed(self) -> bool:
        return self._state == "closed"

    def advice(self) -> Advice:
        """For one message: ask the server, leave it, or leave it but look in the background, and say so to `looked`."""
        with self._lock:
            if self._state == "closed":
                return "ask"
            if self._state == "seen":
                self._state = "trying"
                return "ask"
            if self._state == "open" and self._clock() >= self._until:
                self._state = "looking"
                return "look"
            return "leave"

    def looked(self, *, well: bool) -> None:
        """What a look in the background has found."""
        with self._lock:
            if self._state == "looking":
                if well:
                    self._state = "seen"
                else:
                    self._open()

    def succeeded(self) -> bool:
        """Whether it has been given up until now."""
        with self._lock:
            self._failures = 0
            if self._state != "trying":
                return False
            self._state, self._pause = "closed", SHORTEST
            return True

    def failed(self, *, certainly: bool) -> bool:
        """Whether it is given up from now on. `certainly`: to ask again at once would be no use."""
        with self._lock:
            if self._state == "trying":
                self._open()
            if self._state != "closed":
                return False
            self._failures += 1
            if self._failures < IN_A_ROW and not certainly:
                return False
            self._open()
            return True

    def _open(self) -> None:
        self._state, self._failures = "open", 0
        self._until = self._clock() + self._pause
        self._pause = min(2 * self._pause, LONGEST)
