"""Sealing of columns (AES-256-GCM, bound to table, row and column) and keyed look-ups (HMAC-SHA-256).

The keyring is a file of its own beside the database and belongs in no backup of it: whoever holds the database alone reads
nothing. Rotation adds a key; old ones still open what they sealed.
"""

import hmac
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bot.errors import KeyringError

_NONCE = 12
_KEY_ID = 4
_KEY = 32  # bytes of every key


@dataclass(frozen=True)
class Keyring:
    """`keys`: key id (4 bytes, hex) -> AES key; `current` seals. `pepper` keys the look-ups."""

    keys: Mapping[str, bytes]
    current: str
    pepper: bytes

    def __repr__(self) -> str:
        return "Keyring(…)"

    def seal(self, text: str, place: str) -> bytes:
        """`place` is "table|row|column": ciphertext moved elsewhere does not open."""
        nonce = secrets.token_bytes(_NONCE)
        sealed = AESGCM(self.keys[self.current]).encrypt(nonce, text.encode(), place.encode())
        return bytes.fromhex(self.current) + nonce + sealed

    def open(self, sealed: bytes, place: str) -> str:
        key = self.keys.get(sealed[:_KEY_ID].hex())
        if key is None:
            raise KeyringError(
                "The keyring lacks the key of some rows: restore keyring.json that belongs to this database."
            )
        try:
            nonce = sealed[_KEY_ID : _KEY_ID + _NONCE]
            return AESGCM(key).decrypt(nonce, sealed[_KEY_ID + _NONCE :], place.encode()).decode()
        except InvalidTag:
            raise KeyringError(
                "A sealed row does not open: the database was changed by hand or belongs to other keys."
            ) from None

    def derived(self, purpose: str) -> str:
        """A secret for one purpose, the same in every process with these keys."""
        return hmac.new(self.pepper, f"derived|{purpose}".encode(), sha256).hexdigest()

    def lookup(self, channel: str, identifier: str) -> str:
        """The same for the same address, and of no use without the pepper."""
        return hmac.new(self.pepper, f"{channel}|{identifier}".encode(), sha256).hexdigest()


def load_keyring(path: Path) -> Keyring | None:
    """The keyring of this file, None when there is no file."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        keyring = Keyring(
            keys={name: bytes.fromhex(key) for name, key in data["keys"].items()},
            current=data["current"],
            pepper=bytes.fromhex(data["pepper"]),
        )
        if keyring.current not in keyring.keys or {len(key) for key in (*keyring.keys.values(), keyring.pepper)} != {
            _KEY
        }:
            raise ValueError
        return keyring
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise KeyringError(f"{path} cannot be read: restore it from where you keep it safe.") from None


def create_keyring(path: Path) -> Keyring:
    """A new keyring, written so that only this user may read it."""
    name = secrets.token_hex(_KEY_ID)
    keyring = Keyring({name: secrets.token_bytes(_KEY)}, name, secrets.token_bytes(_KEY))
    data = {"current": name, "pepper": keyring.pepper.hex(), "keys": {k: v.hex() for k, v in keyring.keys.items()}}
    unfinished = path.with_suffix(".new")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(data, file)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(unfinished, path)  # whole or not at all, and never over another
    finally:
        unfinished.unlink()
    return keyring
