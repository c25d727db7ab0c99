"""The values that pass between rooms. All frozen; all times are aware datetimes in UTC."""

import datetime as dt
from dataclasses import dataclass, field
from enum import StrEnum

from bot.letters import whole


@dataclass(frozen=True)
class Address:
    """Where a person can be reached: a channel's name and the identifier there (chat id, phone number, session)."""

    channel: str
    identifier: str

    def __repr__(self) -> str:
        return f"Address({self.channel!r}, '…')"  # identifiers never reach a log


@dataclass(frozen=True)
class InboundMessage:
    """What arrived. `external_id` is the channel's own id; the same one twice is the same message."""

    address: Address
    external_id: str
    text: str
    received_at: dt.datetime
    has_media: bool = False

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
class Reply:
    """What the conversation says, before any channel. `sms` is the shorter wording for SMS."""

    text: str
    sms: str
    choices: tuple[Choice, ...] = ()
    name: str = ""

    def __repr__(self) -> str:
        return f"Reply({self.name!r})"


class Lane(StrEnum):
    """Which queue a message leaves by; the first goes first."""

    EMERGENCY = "emergency"
    REPLY = "reply"
    BROADCAST = "broadcast"


class DeliveryStatus(StrEnum):
    """Twilio's words, and `uncertain`: it may have gone out, and nobody can tell."""

    QUEUED = "queued"
    SENT = "sent"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNCERTAIN = "uncertain"


@dataclass(frozen=True)
class OutboundMessage:
    """One message for one channel. `buttons` are labels in order; button n means the number n."""

    address: Address
    text: str
    dedup: str
    lane: Lane = Lane.REPLY
    buttons: tuple[str, ...] = field(default=())

    def __repr__(self) -> str:
        return f"OutboundMessage({self.address!r}, {self.dedup!r})"
