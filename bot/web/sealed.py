"""What a page carries for us: compressed, sealed, and small enough to come back in a form."""

import base64
import binascii
import json
import zlib
from typing import Any

from bot.errors import KeyringError
from bot.store.crypto import Keyring

MOST_CARRIED = 40_000  # characters of the form field; a whole form may have 64 KiB


def seal_rows(keyring: Keyring, rows: list[dict[str, Any]], place: str) -> str:
    """The rows, the oldest left out until they fit."""
    while True:
        packed = zlib.compress(json.dumps(rows, ensure_ascii=False).encode(), 6)
        carried = base64.urlsafe_b64encode(keyring.seal(base64.b64encode(packed).decode(), place)).decode()
        if len(carried) <= MOST_CARRIED or not rows:
            return carried
        rows = rows[1:]


def open_rows(keyring: Keyring, carried: str, place: str) -> list[dict[str, Any]]:
    """What was sealed for this place; nothing where it is damaged or was sealed for another."""
    if not carried or len(carried) > MOST_CARRIED:
        return []
    try:
        packed = base64.b64decode(keyring.open(base64.urlsafe_b64decode(carried), place))
        rows: list[dict[str, Any]] = json.loads(zlib.decompress(packed))
        return rows
    except (KeyringError, binascii.Error, ValueError, zlib.error):
        return []
