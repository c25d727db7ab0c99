"""Cases into a receiver's own system, by the Standard Webhooks specification (docs/operator-webhook.md).

What leaves is written down before: a try is taken with the moment of the next one already set, so that whoever is killed in between
loses nothing. Every try carries the same id, by which the receiver knows a repetition. The body is wiped with the last one.
"""

import asyncio
import base64
import binascii
import datetime as dt
import hmac
import logging
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Literal

import aiohttp
from sqlalchemy import Connection, select, update

from bot.channels.http import HttpClient
from bot.errors import ConfigError
from bot.hotline.cases import CLOCK, add_event
from bot.hotline.claims import locked
from bot.hotline.handing_on import body_place
from bot.store.crypto import Keyring
from bot.store.database import utc
from bot.store.tables import cases, consents, handoffs

FIRST_WAIT, LONGEST_WAIT = dt.timedelta(minutes=1), dt.timedelta(hours=1)
LIFE = dt.timedelta(hours=24)  # afterwards somebody has to call
PATIENCE = 30.0  # seconds for one try
SHORTEST_KEY, LONGEST_KEY = 24, 64  # bytes
GONE = 410  # the receiver wants no more of these
_PREFIX = "whsec_"

Outcome = Literal["sent", "gone", "later"]
log = logging.getLogger("banduong")


@dataclass(frozen=True)
class Parcel:
    """One try. `body`: JSON."""

    id: str
    body: str = field(repr=False)


def read_key(written: str) -> bytes:
    """The secret as the specification writes it: "whsec_" and 24 to 64 bytes in base64."""
    try:
        key = base64.b64decode(written.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not SHORTEST_KEY <= len(key) <= LONGEST_KEY:
        raise ConfigError("BANDUONG_CASE_WEBHOOK_KEY must be whsec_ and 24 to 64 random bytes in base64.")
    return key


def signature(key: bytes, parcel: Parcel, timestamp: int) -> str:
    """`timestamp`: seconds since 1970, of this try."""
    signed = f"{parcel.id}.{timestamp}.{parcel.body}".encode()
    return f"v1,{base64.b64encode(hmac.new(key, signed, sha256).digest()).decode()}"


class CaseWebhook:
    """The system of one receiver."""

    def __init__(self, url: str, key: bytes) -> None:
        self._url = url
        self._key = key
        self._http = HttpClient(connections=1)

    async def deliver(self, parcel: Parcel, now: dt.datetime) -> Outcome:
        """One try; follows no redirect, and believes only a 2xx."""
        timestamp = int(now.timestamp())
        headers = {
            "content-type": "application/json",
            "webhook-id": parcel.id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature(self._key, parcel, timestamp),
        }
        try:
            async with asyncio.timeout(PATIENCE):
                status, _, _ = await self._http.request("POST", self._url, data=parcel.body.encode(), headers=headers)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            log.error("the receiver of cases does not answer (%s)", type(error).__name__)
            return "later"
        if status == GONE:
            return "gone"
        if not 200 <= status < 300:
            log.error("the receiver of cases answered %d", status)
            return "later"
        return "sent"

    async def close(self) -> None:
        await self._http.close()


# -- what waits --------------------------------------------------------------------------------------------------------


def take(connection: Connection, keyring: Keyring, now: dt.datetime) -> Parcel | None:
    """The next try that is due; the one after it is set. What the person has taken back, or what is too old, is given up."""
    row = connection.execute(_DUE.where(handoffs.c.not_before <= now)).first()
    if row is None:
        return None
    if row.withdrawn_at is not None or now - utc(row.at) >= LIFE:
        _end(connection, keyring, row.id, "failed", now)
        return None
    again = min(FIRST_WAIT * 2 ** min(row.attempts, 10), LONGEST_WAIT)
    as_seen = (handoffs.c.id == row.id) & (handoffs.c.status == "queued") & (handoffs.c.attempts == row.attempts)
    tried = update(handoffs).where(as_seen).values(attempts=row.attempts + 1, not_before=now + again)
    if not connection.execute(tried).rowcount:  # another process was faster
        return None
    return Parcel(row.id, keyring.open(row.sealed_body, body_place(row.id)))


def settle(connection: Connection, keyring: Keyring, parcel: Parcel, outcome: Outcome, now: dt.datetime) -> None:
    """What became of a try. A case that was erased meanwhile stays erased."""
    if outcome != "later":
        _end(connection, keyring, parcel.id, "sent" if outcome == "sent" else "failed", now)


_DUE: Any = (
    select(handoffs, consents.c.withdrawn_at)
    .join(consents, consents.c.id == handoffs.c.consent_id)
    .where(handoffs.c.status == "queued")
    .order_by(handoffs.c.not_before)
    .limit(1)
)


def _end(connection: Connection, keyring: Keyring, handoff_id: str, status: str, now: dt.datetime) -> None:
    """The body goes; the people of the case see what became of it. Person and case are locked first, as everywhere."""
    found = select(cases.c.reference, handoffs.c.receiver).join(handoffs).where(handoffs.c.id == handoff_id)
    row = connection.execute(found).first()
    if row is None:
        return
    case, _ = locked(connection, keyring, row.reference)
    waiting = (handoffs.c.id == handoff_id) & (handoffs.c.status == "queued")
    ended = update(handoffs).where(waiting).values(status=status, sealed_body=None, not_before=None)
    if connection.execute(ended).rowcount:
        kind = "delivered" if status == "sent" else "not_delivered"
        add_event(connection, keyring, case, kind, CLOCK, {"receiver": row.receiver}, now)
