"""The values that pass between rooms. All frozen; all times are aware datetimes in UTC."""

import datetime as dt
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Literal

from bot.letters import whole

VIETNAM = dt.timezone(dt.timedelta(hours=7))
ALL = "all"  # said of a province or of an interest: every one


@dataclass(frozen=True)
class Address:
    """Where a person can be reached: a channel's name and the identifier there (chat id, phone number, session)."""

    channel: str
    identifier: str

    def __repr__(self) -> str:
        return f"Address({self.channel!r}, '…')"  # identifiers never reach a log


@dataclass(frozen=True)
class InboundMessage:
    """What arrived. `external_id` is the channel's own id; the same one twice is the same message.

    `message_id`: by which the channel could delete it.
    """

    address: Address
    external_id: str
    text: str
    received_at: dt.datetime
    has_media: bool = False
    message_id: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", whole(self.text))

    def __repr__(self) -> str:
        return f"InboundMessage({self.address!r}, text of {len(self.text)} characters)"


@dataclass(frozen=True)
class Choice:
    """A numbered choice under a reply: what the person sees, and the answer or action it stands for."""

    target: str
    label: str


@dataclass(frozen=True)
class Clearing:
    """The last words of a talk whose messages are to be deleted on both sides (S-06): where all are gone, and where some remain."""

    cleared: str
    remaining: str


@dataclass(frozen=True)
class Reply:
    """What the conversation says, before any channel. `sms` is the shorter wording for SMS.

    `clearing`: said in place of `text` by a channel that can delete what stands in the chat.
    """

    text: str
    sms: str
    choices: tuple[Choice, ...] = ()
    name: str = ""
    clearing: Clearing | None = None

    def __repr__(self) -> str:
        return f"Reply({self.name!r})"


class Lane(IntEnum):
    """Which queue a message leaves by; the lower goes first."""

    EMERGENCY = 0
    REPLY = 1
    BROADCAST = 5


class DeliveryStatus(StrEnum):
    """Twilio's words where it has one. `sending` is committed before the provider is called, so a message that may have left
    is never taken for one that has not; `uncertain`: it may have gone out, and nobody can tell."""

    QUEUED = "queued"
    CLAIMED = "claimed"
    SENDING = "sending"
    UNCERTAIN = "uncertain"
    SENT = "sent"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


Refusal = Literal[
    "retryable", "permanent", "stopped", "opted_out", "moved", "uncertain"
]  # SendError says what each means


@dataclass(frozen=True)
class DeliveryReceipt:
    """What a provider says later: sent, delivered, undelivered or failed.

    `part`: tells the receipts of several parts apart, where all parts share one id. `refusal`: what a failure means.
    """

    channel: str
    provider_id: str
    status: DeliveryStatus
    error: str | None = None
    part: str = ""
    refusal: Refusal | None = None


@dataclass(frozen=True)
class OutboundMessage:
    """One message for one channel. `buttons` are labels in order; button n means the number n.

    `clear`: the provider's ids of messages that are to be deleted first; then `clearing` says what came of it.
    `repeat_note`: said in front where an earlier attempt may have arrived. `author`: bot, operator, or page (to a colleague).
    """

    address: Address
    text: str
    dedup: str
    lane: Lane = Lane.REPLY
    buttons: tuple[str, ...] = field(default=())
    clear: tuple[str, ...] = field(default=())
    clearing: Clearing | None = None
    repeat_note: str = ""
    author: str = "bot"

    def __repr__(self) -> str:
        return f"OutboundMessage({self.address!r}, {self.dedup!r})"
