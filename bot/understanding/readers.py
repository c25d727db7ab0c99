"""Messages read in processes of their own: understanding is work for a processor, and Python gives a process only one."""

import ctypes
import logging
import multiprocessing
import signal
import sys
import warnings
from concurrent.futures import CancelledError, Executor, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING, Protocol

from bot.understanding.reading import Understanding

if TYPE_CHECKING:
    from bot.understanding.interpreter import Begun

PATIENCE = 10.0  # seconds that a reading may take; then it is read here
DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG

log = logging.getLogger("banduong")


class Reads(Protocol):
    def read(self, text: str) -> Understanding: ...

    def wake(self) -> None: ...


class ReadsInSteps(Reads, Protocol):
    def begin(self, text: str) -> "Begun": ...

    def complete(self, begun: "Begun") -> Understanding: ...


class Readers:
    """Reads as `interpreter` does. To be made before the process has threads or connections: the others are copies of it.

    They only compute; another backend is waited for here, where nobody's cry for help queues behind it. Where one is killed, messages are read in this process from then on.
    """

    def __init__(self, interpreter: ReadsInSteps, processes: int) -> None:
        self._here = interpreter
        self._there: Executor | None = None
        if processes and sys.platform == "linux":
            self._there = ProcessPoolExecutor(
                processes, multiprocessing.get_context("fork"), _become_reader, (interpreter,)
            )
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # about threads; NumPy's stand the copying
                self._there.submit(_begin, "").result()  # they are made now, not at the first message
        interpreter.wake()  # after they are copied: it may begin a thread

    def read(self, text: str) -> Understanding:
        return self._here.complete(self._begun(text))

    def _begun(self, text: str) -> "Begun":
        there = self._there
        if there:
            try:
                return there.submit(_begin, text).result(PATIENCE)
            except (BrokenProcessPool, CancelledError, RuntimeError, TimeoutError) as error:
                log.error("a reading process is lost (%s): messages are read in this one", type(error).__name__)
                self.close()
        return self._here.begin(text)

    def close(self) -> None:
        """Ends the other processes, hung ones too: Python would wait for them for ever."""
        there, self._there = self._there, None
        if there:
            for child in multiprocessing.active_children():
                child.kill()
            there.shutdown(wait=False, cancel_futures=True)


_interpreter: ReadsInSteps


def _become_reader(interpreter: ReadsInSteps) -> None:
    global _interpreter
    _interpreter = interpreter
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it, and ends us
    ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGKILL)


def _begin(text: str) -> "Begun":
    return _interpreter.begin(text)
