"""Codes of an authenticator app (RFC 6238): six figures, a new one every 30 seconds, each good for one use."""

import datetime as dt
import hmac

import pyotp
from sqlalchemy import Connection, update

from bot.store.tables import staff

STEP = 30  # seconds
FIGURES = 6
ISSUER = "Ban Duong"


def new_secret() -> str:
    """160 bits in base32, as apps take them."""
    return pyotp.random_base32()


def address(secret: str, login: str) -> str:
    """What the QR code says to the app."""
    return pyotp.TOTP(secret).provisioning_uri(name=login, issuer_name=ISSUER)


def steps_of(secret: str, code: str, now: dt.datetime) -> list[int]:
    """The steps, of this one and its two neighbours, to which the code belongs."""
    totp, current = pyotp.TOTP(secret), int(now.timestamp()) // STEP
    given = code.encode()
    return [n for n in (current - 1, current, current + 1) if hmac.compare_digest(totp.generate_otp(n).encode(), given)]


def use(connection: Connection, staff_id: str, steps: list[int]) -> bool:
    """Takes the code for good. False where it, or a later one, has served already: also a moment ago, in another process."""
    for step in steps:
        unused = (staff.c.id == staff_id) & (staff.c.totp_step < step)
        if connection.execute(update(staff).where(unused).values(totp_step=step)).rowcount == 1:
            return True
    return False


def verify(connection: Connection, staff_id: str, secret: str, code: str, now: dt.datetime) -> bool:
    return use(connection, staff_id, steps_of(secret, code, now))
