"""Sealing of columns (AES-256-GCM, bound to table, row and column) and keyed look-ups (HMAC-SHA-256).

The keyring is a file of its own beside the database and belongs in no backup of it: whoever holds the database alone reads
nothing. Rotation adds a key (bot/store/rotation.py); old ones still open what they sealed. The pepper stays: look-ups and the audit
chain are made with it, and nothing could make those anew.
"""

import contextlib
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
class _Ring:
    """Key id (4 bytes, hex) -> AES key; `current` seals."""

    keys: Mapping[str, bytes]
    current: str

    def __repr__(self) -> str:
        return "_Ring(…)"


class Keyring:
    """Seals and opens. `pepper` keys the look-ups. `path`: its file, looked at again where a key is missing."""

    def __init__(self, keys: Mapping[str, bytes], current: str, pepper: bytes, path: Path | None = None) -> None:
        self._ring = _Ring(dict(keys), current)
        self.pepper = pepper
        self._proving = self.derived("proof").encode()
        self._path = path
        self._stamp = _stamp(path)

    def __repr__(self) -> str:
        return "Keyring(…)"

    @property
    def keys(self) -> Mapping[str, bytes]:
        return self._ring.keys

    @property
    def current(self) -> str:
        return self._ring.current

    def seal(self, text: str, place: str) -> bytes:
        """`place` is "table|row|column": ciphertext moved elsewhere does not open."""
        ring, nonce = self._ring, secrets.token_bytes(_NONCE)
        sealed = AESGCM(ring.keys[ring.current]).encrypt(nonce, text.encode(), place.encode())
        return bytes.fromhex(ring.current) + nonce + sealed

    def open(self, sealed: bytes, place: str) -> str:
        name = key_id(sealed)
        if name not in self.keys:
            self.refresh()
        key = self.keys.get(name)
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

    def refresh(self) -> None:
        """Takes over what another process has added to the file. What is known stays, also where the file is no good."""
        stamp = _stamp(self._path)
        if self._path is None or stamp is None or stamp == self._stamp:
            return
        with contextlib.suppress(KeyringError):
            found = load_keyring(self._path)
            if found and hmac.compare_digest(found.pepper, self.pepper):
                self._ring, self._stamp = _Ring({**self.keys, **found.keys}, found.current), stamp

    def derived(self, purpose: str) -> str:
        """A secret for one purpose, the same in every process with these keys."""
        return hmac.new(self.pepper, f"derived|{purpose}".encode(), sha256).hexdigest()

    def lookup(self, channel: str, identifier: str) -> str:
        """The same for the same address, and of no use without the pepper."""
        return hmac.new(self.pepper, f"{channel}|{identifier}".encode(), sha256).hexdigest()

    def proof(self, text: str) -> str:
        """A digest that nobody can make without these keys: it shows later that `text` was written by us."""
        return hmac.new(self._proving, text.encode(), sha256).hexdigest()

    def proves(self, proof: str | None, text: str) -> bool:
        """Whether `proof` was made of this text."""
        return proof is not None and hmac.compare_digest(proof.encode(), self.proof(text).encode())


def key_id(sealed: bytes) -> str:
    """By which key of the keyring this was sealed."""
    return sealed[:_KEY_ID].hex()


# -- the file ----------------------------------------------------------------------------------------------------------


def load_keyring(path: Path) -> Keyring | None:
    """The keyring of this file, None when there is no file."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        keyring = Keyring(
            keys={name: bytes.fromhex(key) for name, key in data["keys"].items()},
            current=data["current"],
            pepper=bytes.fromhex(data["pepper"]),
            path=path,
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
    keyring = Keyring({name: secrets.token_bytes(_KEY)}, name, secrets.token_bytes(_KEY), path)
    unfinished = _written_beside(path, keyring)
    try:
        os.link(unfinished, path)  # whole or not at all, and never over another
    finally:
        unfinished.unlink()
    _sync_folder(path)
    return keyring


def add_key(path: Path) -> str:
    """Puts a new key into the file, which seals from now on; its id. Only where nobody else changes the file at the same time."""
    known = _known(path)
    name = secrets.token_hex(_KEY_ID)
    while name in known.keys:
        name = secrets.token_hex(_KEY_ID)
    _replace(path, Keyring({**known.keys, name: secrets.token_bytes(_KEY)}, name, known.pepper))
    return name


def drop_old_keys(path: Path) -> None:
    """Leaves only the key that seals. What others sealed cannot be opened any more, by nobody."""
    known = _known(path)
    _replace(path, Keyring({known.current: known.keys[known.current]}, known.current, known.pepper))


def _known(path: Path) -> Keyring:
    known = load_keyring(path)
    if known is None:
        raise KeyringError(f"{path} is missing: restore it from where you keep it safe.")
    return known


def _replace(path: Path, keyring: Keyring) -> None:
    """Whoever reads meanwhile, and whoever comes after a power cut, finds the file of before or the new one, whole."""
    os.replace(_written_beside(path, keyring, owner=path.stat()), path)
    _sync_folder(path)


def _written_beside(path: Path, keyring: Keyring, owner: os.stat_result | None = None) -> Path:
    """The new file, on disk, not yet under its name. It belongs to `owner` of the old one, also where root writes it."""
    data = {
        "current": keyring.current,
        "pepper": keyring.pepper.hex(),
        "keys": {name: key.hex() for name, key in keyring.keys.items()},
    }
    unfinished = path.with_suffix(".new")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), 0o600)
        if owner:
            os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
        json.dump(data, file)
        file.flush()
        os.fsync(file.fileno())
    return unfinished


def _sync_folder(path: Path) -> None:
    """A name is on disk only when its folder is."""
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _stamp(path: Path | None) -> tuple[int, int] | None:
    """Changes whenever the file is replaced."""
    try:
        found = path.stat() if path else None
    except OSError:
        return None
    return (found.st_ino, found.st_mtime_ns) if found else None
