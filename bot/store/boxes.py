"""Sealing to people: what is sealed to a public key is read only with the private key that belongs to it.

Curve25519 sealed boxes (PyNaCl). A sealed box proves nothing about its place, so the place is sealed in with the text; and it would
show how long a text is, so texts are filled up to a multiple of `BLOCK` bytes.
"""

import hmac
import json

from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, PublicKey, SealedBox
from nacl.secret import SecretBox
from nacl.utils import random

from bot.errors import KeyringError

KEY = 32  # bytes of every key here
BLOCK = 256  # bytes


class KeyPair:
    """`public` seals, `private` opens. Both are 32 bytes."""

    def __init__(self, private: bytes) -> None:
        self.private = private
        self.public = bytes(PrivateKey(private).public_key)

    def __repr__(self) -> str:
        return "KeyPair(…)"


def new_pair() -> KeyPair:
    return KeyPair(bytes(PrivateKey.generate()))


def seal_to(public: bytes, text: str, place: str) -> bytes:
    """Ciphertext that opens with the private key, and only at its place ("table|row|column")."""
    packed = json.dumps([place, text], ensure_ascii=False).encode()
    return SealedBox(PublicKey(public)).encrypt(packed + b" " * (-len(packed) % BLOCK))


def open_with(private: bytes, sealed: bytes, place: str) -> str:
    """KeyringError where the key, the place or the ciphertext is another."""
    try:
        sealed_place, text = json.loads(SealedBox(PrivateKey(private)).decrypt(sealed))
    except (CryptoError, ValueError):
        raise KeyringError("A sealed row does not open with this person's key.") from None
    if not hmac.compare_digest(sealed_place.encode(), place.encode()):
        raise KeyringError("A sealed row was moved to another place: the database was changed by hand.")
    return str(text)


def lock(secret: bytes, content: bytes) -> bytes:
    """`content` (a private key) under a 32-byte secret that only its owner can make again."""
    return SecretBox(secret).encrypt(content)


def unlock(secret: bytes, locked: bytes) -> bytes | None:
    """None where the secret is another."""
    try:
        return SecretBox(secret).decrypt(locked)
    except CryptoError:
        return None


def split(secret: bytes) -> tuple[bytes, bytes]:
    """Two shares for two people: each alone says nothing."""
    first = random(len(secret))
    return first, bytes(one ^ other for one, other in zip(secret, first, strict=True))


def joined(first: bytes, second: bytes) -> bytes:
    """The secret of two shares; ValueError where they are not of one length."""
    return bytes(one ^ other for one, other in zip(first, second, strict=True))
