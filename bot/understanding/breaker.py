"""Whether a server is asked: not while it is down, and not by more people, or for longer, than others can wait behind them."""

import threading
import time
from collections.abc import Callable
from typing import Literal

IN_A_ROW = 3  # failures after which it is left alone
SHORTEST, LONGEST = 1.0, 30.0  # seconds for which it is; each time twice as long
AT_ONCE = 3  # messages that wait for it: of the turns at the same time (bot/service.py) one stays free
QUICK = 0.05  # seconds of an answer that keeps nobody waiting
ALLOWED = 0.7  # seconds beyond that, all together: with one more answer at its latest they stay under 2.5
GROWS = 0.1  # of each second that goes by, until all is there again

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


class Allowance:
    """For how long people may wait for the server, all together: one that answers slowly but well never opens the breaker, and
    whoever queues behind them, in a channel that hands on one message after another, would wait for the sum of it."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting = 0
        self._left, self._at = ALLOWED, clock()
        self._told = False

    def take(self) -> bool:
        """Whether one more may wait now; who may says `give_back` afterwards."""
        with self._lock:
            now = self._clock()
            self._left, self._at = min(self._left + GROWS * (now - self._at), ALLOWED), now
            if self._waiting >= AT_ONCE or self._left <= 0:
                return False
            self._waiting += 1
            return True

    def give_back(self, waited: float) -> bool:
        """Whether this is the first time that nothing is left."""
        with self._lock:
            self._waiting -= 1
            self._left = max(self._left - max(waited - QUICK, 0.0), -ALLOWED)
            if self._left > 0 or self._told:
                return False
            self._told = True
            return True
