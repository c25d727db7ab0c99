"""What a page shows once and the form brings back sealed, so that nothing is stored before the person has it in hand."""

import datetime as dt
import io
from collections.abc import Sequence
from typing import Any

import segno
from markupsafe import Markup

from bot.staff import totp
from bot.web.console.security import Door
from bot.web.sealed import open_rows, seal_rows

LIFE = dt.timedelta(minutes=30)


def shown_secret(door: Door, secret: str, login: str, owner: str) -> dict[str, Any]:
    """For the page: the QR code, the secret in groups of four, and the secret as the form carries it. `owner`: whom it is for."""
    groups = " ".join(secret[at : at + 4] for at in range(0, len(secret), 4))
    return {"qr": _qr(totp.address(secret, login)), "secret": groups, "carried": carry(door, [secret], owner)}


def carried_secret(door: Door, carried: str, owner: str) -> str | None:
    secrets = carried_back(door, carried, owner)
    return secrets[0] if len(secrets) == 1 else None


def carry(door: Door, texts: Sequence[str], owner: str) -> str:
    rows = [{"text": text, "until": (door.house.clock() + LIFE).isoformat()} for text in texts]
    return seal_rows(door.house.database.keyring, rows, _place(owner))


def carried_back(door: Door, carried: str, owner: str) -> list[str]:
    """Nothing where it was sealed for somebody else, or too long ago."""
    rows = open_rows(door.house.database.keyring, carried, _place(owner))
    return [row["text"] for row in rows if dt.datetime.fromisoformat(row["until"]) > door.house.clock()]


def _place(owner: str) -> str:
    return f"console|carried|{owner}"


def _qr(address: str) -> Markup:
    """Dark on white, also where the page is dark: apps read no other."""
    drawn = io.BytesIO()
    segno.make(address, error="m").save(
        drawn, kind="svg", scale=4, border=4, dark="#000", light="#fff", xmldecl=False, svgns=False, nl=False
    )
    return Markup(drawn.getvalue().decode())  # noqa: S704 - drawn by segno: figures and a path, no text
