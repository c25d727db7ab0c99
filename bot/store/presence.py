"""Who uses a home at the moment. Locks of the system, which end with their process, however it ends."""

import contextlib
import fcntl
import os
import weakref
from collections.abc import Iterator
from pathlib import Path

from bot.errors import StoreError

_PRESENT, _CHANGING = "keyring.lock", "rotation.lock"
_PRIVATE = 0o600


class Presence:
    """While it is open, no old key is taken out of the keyring: this process may still seal with it."""

    def __init__(self, home: Path) -> None:
        self._descriptor = os.open(home / _PRESENT, os.O_RDWR | os.O_CREAT, _PRIVATE)
        self._closed = weakref.finalize(self, os.close, self._descriptor)
        fcntl.flock(self._descriptor, fcntl.LOCK_SH)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """No other process of this machine has the home open, nor can open it before the end. StoreError where one has."""
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            fcntl.flock(self._descriptor, fcntl.LOCK_SH)  # changing a lock lets go of the one before
            raise StoreError(
                "Another process still uses these keys: stop `banduong serve` and every worker, and try again."
            ) from None
        try:
            yield
        finally:
            fcntl.flock(self._descriptor, fcntl.LOCK_SH)

    def close(self) -> None:
        self._closed()


@contextlib.contextmanager
def changing_keys(home: Path) -> Iterator[None]:
    """One rotation at a time. StoreError where another is under way."""
    descriptor = os.open(home / _CHANGING, os.O_RDWR | os.O_CREAT, _PRIVATE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise StoreError("The keys are being changed already: let that command finish.") from None
    finally:
        os.close(descriptor)
