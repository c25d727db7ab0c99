"""Passwords by Argon2id: one computation proves who somebody is, a stronger one makes the secret that locks their private key.

All computations of a process wait for each other, so that many log-ins at once cannot take all its memory.
"""

import secrets
import struct
import threading
import unicodedata
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import Type, hash_secret_raw

from bot.letters import fold
from bot.store.boxes import KEY

SHORTEST, ADVISED, LONGEST = 12, 15, 200  # characters
_SALT = 16  # bytes
_FEWEST_LETTERS = 5  # different ones
_COST = struct.Struct(">BIB")  # stands before the salt, so that a lock of older strength still opens


@dataclass(frozen=True)
class Cost:
    """Of one Argon2id computation: rounds, memory in KiB, lanes."""

    rounds: int
    memory: int
    lanes: int = 1


LOGIN_COST = Cost(3, 64 * 1024)
KEY_COST = Cost(4, 128 * 1024)


@dataclass(frozen=True)
class Lock:
    """What a new password leaves behind. `secret` (32 bytes) locks the private key and is never stored."""

    password_hash: str
    key_salt: bytes
    secret: bytes = field(repr=False)


class Passwords:
    """`common`: passwords and words, in lower case, that are refused. The costs are weaker in tests only."""

    def __init__(self, common: AbstractSet[str], login: Cost = LOGIN_COST, key: Cost = KEY_COST) -> None:
        self._common = common
        self._key_cost = key
        self._hasher = PasswordHasher(login.rounds, login.memory, login.lanes)
        self._one_at_a_time = threading.Lock()
        self._nobodys = self._hasher.hash(secrets.token_hex())

    def problem(self, password: str, login: str) -> str | None:
        """Why this password is refused: too_short, too_long, has_login, too_common; None where it is good."""
        plain = _normal(password)
        if len(plain) < SHORTEST:
            return "too_short"
        if len(plain) > LONGEST:
            return "too_long"
        if login in plain.lower():
            return "has_login"
        return "too_common" if self._is_common(plain.lower()) else None

    def _is_common(self, plain: str) -> bool:
        """Also a common word with digits and signs around it or marks and spaces in it, and one that is said twice."""
        plain = "".join(fold(plain).split())
        core = plain.strip("".join(letter for letter in set(plain) if not letter.isalpha()))
        halves = {text[: len(text) // 2] for text in (plain, core) if text == text[: len(text) // 2] * 2}
        return len(set(plain)) < _FEWEST_LETTERS or bool(self._common & {plain, core, *halves})

    def lock(self, password: str) -> Lock:
        """Two computations, about half a second: never inside a transaction."""
        salt = _COST.pack(self._key_cost.rounds, self._key_cost.memory, self._key_cost.lanes) + secrets.token_bytes(
            _SALT
        )
        with self._one_at_a_time:
            password_hash = self._hasher.hash(_normal(password))
        return Lock(password_hash, salt, self.key_secret(password, salt))

    def matches(self, password: str, password_hash: str | None) -> bool:
        """One computation, also where there is no such account (None)."""
        with self._one_at_a_time:
            try:
                self._hasher.verify(password_hash or self._nobodys, _normal(password))
            except (VerificationError, InvalidHashError):
                return False
        return password_hash is not None

    def key_secret(self, password: str, key_salt: bytes) -> bytes:
        """The 32 bytes that lock this person's private key; one strong computation."""
        rounds, memory, lanes = _COST.unpack(key_salt[: _COST.size])
        with self._one_at_a_time:
            return hash_secret_raw(
                _normal(password).encode(), key_salt[_COST.size :], time_cost=rounds, memory_cost=memory,
                parallelism=lanes, hash_len=KEY, type=Type.ID,
            )  # fmt: skip


def _normal(password: str) -> str:
    """The same password from every keyboard: composed and decomposed letters are one."""
    return unicodedata.normalize("NFC", password)
