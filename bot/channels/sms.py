"""What the SMS providers have in common: their limits, how a number is written, and what one call of theirs tells us."""

import datetime as dt
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

import phonenumbers

from bot.channels.base import Channel
from bot.messages import Address, DeliveryReceipt, InboundMessage

NAME = "sms"
FEWEST_DIGITS = 8  # of a number that a person can have: shorter ones belong to services
_SERVICES = {
    phonenumbers.PhoneNumberType.PREMIUM_RATE,
    phonenumbers.PhoneNumberType.TOLL_FREE,
    phonenumbers.PhoneNumberType.SHARED_COST,
    phonenumbers.PhoneNumberType.UAN,
    phonenumbers.PhoneNumberType.VOICEMAIL,
}


@dataclass(frozen=True)
class SmsLimits:
    """What a provider can do here. `can_receive`: people can write to our number. `needs_template`: only texts that were
    registered before pass. `receipt_kind`: who confirms that a message arrived, the network or the handset."""

    can_receive: bool
    needs_template: bool
    receipt_kind: Literal["none", "network", "handset"]
    max_per_second: float


@dataclass(frozen=True)
class Fragment:
    """One part of a message that arrives in several. `number` counts from 1; `reference` is the same for all its parts."""

    address: Address
    reference: int
    number: int
    total: int
    text: str

    def __repr__(self) -> str:
        return f"Fragment({self.address!r}, {self.number} of {self.total})"


@dataclass(frozen=True)
class SmsArrival:
    """What a provider told us in one call: what people wrote, and what became of our messages.

    `again`: it may be what came before, and carries no id that would tell.
    """

    messages: tuple[InboundMessage, ...] = ()
    receipts: tuple[DeliveryReceipt, ...] = ()
    fragments: tuple[Fragment, ...] = ()
    again: bool = False


@dataclass(frozen=True)
class WebhookCall:
    """A post to us. `url` is the public address that the provider called; names of headers are lower case."""

    path: str
    url: str
    headers: Mapping[str, str]
    body: bytes


class ForgedError(Exception):
    """The call does not carry the provider's signature, or an old one."""


class SmsProvider(Channel, Protocol):
    """A way to send SMS."""

    limits: SmsLimits


class SmsWebhook(Protocol):
    """A provider that posts to us, at `paths` below /webhooks/, and expects `thanks` (text, media type)."""

    paths: tuple[str, ...]
    thanks: tuple[str, str]

    def check(self, call: WebhookCall, now: dt.datetime) -> None:
        """Raises ForgedError."""
        ...

    def read(self, path: str, body: bytes, now: dt.datetime) -> SmsArrival:
        """Any exception means that the call is of a shape that nobody foresaw: it is set aside."""
        ...


class SmsLine(Protocol):
    """A provider that keeps a connection open, over which everything comes."""

    async def listen(self, arrived: Callable[[SmsArrival], Awaitable[None]]) -> None:
        """Until cancelled. What came is acknowledged to the provider once `arrived` has returned."""
        ...


def phone_number(written: str, country: str) -> str | None:
    """The number as +84..., None where nobody could answer: names of senders, numbers of services."""
    try:
        number = phonenumbers.parse(written, country)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number) or len(str(number.national_number)) < FEWEST_DIGITS:
        return None
    if phonenumbers.number_type(number) in _SERVICES:
        return None
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))
