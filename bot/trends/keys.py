"""The keys of open periods: a file each, in a folder of their own outside the database, and in no backup.

Whoever has the database alone can read no counter and test no person; when a period is closed its key is destroyed, and what is left of it
anywhere (in a log of the database, in a backup) can never be read again.
"""

import contextlib
import hmac
import os
import secrets
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bot.errors import TrendsError
from bot.trends.periods import Period, period_named

KEY = 32  # bytes of a key file
TAG = 16  # bytes of a person's tag
_NONCE = 12


@dataclass(frozen=True)
class PeriodKey:
    """One secret, and what is made from it."""

    secret: bytes

    def __repr__(self) -> str:
        return "PeriodKey(…)"

    @property
    def check(self) -> bytes:
        """By which two machines see that they hold the same one."""
        return self._derived("check")[:8]

    def tag(self, who: str) -> bytes:
        """What stands in the ledger for a person; without the key it tells nothing."""
        return hmac.digest(self._derived("tag"), who.encode(), sha256)[:TAG]

    def seal(self, counts: Sequence[int], place: str) -> bytes:
        nonce = secrets.token_bytes(_NONCE)
        plain = struct.pack(f">{len(counts)}i", *counts)
        return nonce + AESGCM(self._derived("seal")).encrypt(nonce, plain, place.encode())

    def open(self, sealed: bytes, place: str) -> list[int]:
        try:
            plain = AESGCM(self._derived("seal")).decrypt(sealed[:_NONCE], sealed[_NONCE:], place.encode())
        except (InvalidTag, ValueError):
            raise TrendsError("A counter was changed outside Bạn Đường: restore the trends' database.") from None
        return list(struct.unpack(f">{len(plain) // 4}i", plain))

    def _derived(self, purpose: str) -> bytes:
        return hmac.digest(self.secret, purpose.encode(), sha256)


class PeriodKeys:
    """The folder. Every machine that takes messages must see the same one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, period: Period) -> PeriodKey | None:
        try:
            secret = self._path(period).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise TrendsError(
                f"{self._path(period)} cannot be read ({error.strerror}): give back the right to."
            ) from None
        return PeriodKey(secret) if len(secret) == KEY else None

    def find_or_make(self, period: Period) -> PeriodKey:
        """Of several processes at once, one makes it: the file appears whole, and never over another."""
        if key := self.find(period):
            return key
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            draft = self._folder / f".{secrets.token_hex(8)}"
            try:
                with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                    file.write(secrets.token_bytes(KEY))
                    file.flush()
                    os.fsync(file.fileno())
                with contextlib.suppress(FileExistsError):
                    os.link(draft, self._path(period))
            finally:
                draft.unlink(missing_ok=True)
            _sync(self._folder)
        except OSError as error:
            raise TrendsError(f"{self._folder} cannot be written ({error.strerror}): free it.") from None
        key = self.find(period)
        if key is None:
            raise TrendsError(f"{self._path(period)} is damaged: remove it; its period is lost.")
        return key

    def destroy(self, period: Period) -> None:
        """Overwritten, then removed. On a disk that never writes in place only the encryption of the disk itself helps further."""
        path = self._path(period)
        try:
            with path.open("r+b") as file:
                file.write(bytes(KEY))
                file.flush()
                os.fsync(file.fileno())
            path.unlink()
            _sync(self._folder)
        except FileNotFoundError:
            return
        except OSError as error:
            raise TrendsError(f"{path} cannot be destroyed ({error.strerror}): remove it.") from None

    def all(self) -> Iterator[Period]:
        """The periods that have a key."""
        for path in sorted(self._folder.glob("*.key")):
            with contextlib.suppress(ValueError):
                yield period_named(path.stem)

    def _path(self, period: Period) -> Path:
        return self._folder / f"{period.name}.key"


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
