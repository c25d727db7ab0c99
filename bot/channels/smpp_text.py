"""What SMPP carries: a text as the octets of its parts, and a deliver_sm as what it tells us. Nothing here knows a connection."""

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import smsutil
from smsutil.codecs import GSM_BASIC_CHARSET, GSM_EXT_CHARSET

from bot.channels.base import SendError
from bot.channels.sms import NAME, Fragment, SmsArrival, phone_number
from bot.letters import whole
from bot.messages import Address, DeliveryReceipt, DeliveryStatus, InboundMessage

GSM_7, ASCII, LATIN_1, UCS_2 = 0, 1, 3, 8  # data_coding
HAS_HEADER = 0x40  # esm_class: the octets begin with a user data header
KIND, IS_RECEIPT, IS_NOTICE = (
    0x3C,
    0x04,
    0x20,
)  # esm_class: what a deliver_sm is; a notice is a receipt that settles nothing
INTERNATIONAL, ALPHANUMERIC = 1, 5  # type of number
MOST_PARTS = 255

RECEIPTED_ID, STATE, NETWORK_ERROR = 0x001E, 0x0427, 0x0423  # optional parameters
PAYLOAD, SAR_REFERENCE, SAR_TOTAL, SAR_NUMBER = 0x0424, 0x020C, 0x020E, 0x020F

_CODINGS = {"gsm0338": GSM_7, "utf_16_be": UCS_2}
_ESCAPE = "\x1b"
_ESCAPE_OCTET = 0x1B
_EXTENDED = dict(zip(b"\x0a\x14\x28\x29\x2f\x3c\x3d\x3e\x40\x65", GSM_EXT_CHARSET, strict=True))

_STATES = {
    1: DeliveryStatus.SENT, 2: DeliveryStatus.DELIVERED, 3: DeliveryStatus.UNDELIVERED, 4: DeliveryStatus.UNDELIVERED,
    5: DeliveryStatus.UNDELIVERED, 6: DeliveryStatus.SENT, 7: DeliveryStatus.UNDELIVERED, 8: DeliveryStatus.UNDELIVERED,
}  # fmt: skip
_WORDS = {
    "ENROUTE": 1, "DELIVRD": 2, "EXPIRED": 3, "DELETED": 4, "UNDELIV": 5, "ACCEPTD": 6, "UNKNOWN": 7, "REJECTD": 8,
}  # fmt: skip
_IN_RECEIPT = {name: re.compile(rf"\b{name}:(\S+)", re.IGNORECASE) for name in ("id", "stat", "err")}


# -- out ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Part:
    """One submit_sm of a message."""

    octets: bytes
    coding: int
    esm_class: int


def parts_of(text: str, reference: int) -> list[Part]:
    """The text in as many parts as it needs. `reference` (0 to 255) tells the phone which parts belong together.

    Raises SendError for a text that no SMS can carry.
    """
    split = smsutil.split(whole(text).replace(_ESCAPE, " "))
    coding = _CODINGS[split.encoding]
    pieces = [part.content.encode(split.encoding) for part in split.parts]
    if len(pieces) == 1:
        return [Part(pieces[0], coding, 0)]
    if len(pieces) > MOST_PARTS:
        raise SendError("permanent", "smpp too long")
    return [
        Part(bytes([5, 0, 3, reference, len(pieces), number]) + piece, coding, HAS_HEADER)
        for number, piece in enumerate(pieces, 1)
    ]


# -- in ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Delivery:
    """One deliver_sm. `options`: tag -> value."""

    source: str
    source_type: int
    esm_class: int
    coding: int
    octets: bytes
    options: Mapping[int, bytes] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Delivery(esm_class={self.esm_class:#x}, {len(self.octets)} octets)"


def read_delivery(delivery: Delivery, country: str, now: dt.datetime) -> SmsArrival:
    """What it tells; nothing where there is nobody to answer."""
    kind = delivery.esm_class & KIND
    if kind == IS_RECEIPT:
        receipt = _receipt(delivery)
        return SmsArrival(receipts=(receipt,) if receipt else ())
    number = _number(delivery, country)
    if number is None or kind == IS_NOTICE:
        return SmsArrival()
    address = Address(NAME, number)
    header, octets = _split_header(delivery)
    text = decoded(octets, delivery.coding)
    reference, total, place = _place_among_parts(header, delivery.options)
    if 1 <= place <= total and total > 1:
        return SmsArrival(fragments=(Fragment(address, reference, place, total, text),))
    return SmsArrival(messages=(InboundMessage(address, "", text, now),))


def decoded(octets: bytes, coding: int) -> str:
    """The text. A half of a letter stays one, for its other half may be in the next part. Nothing is guessed."""
    if coding == GSM_7:
        return _gsm_text(octets)
    if coding == UCS_2:
        return octets[: len(octets) // 2 * 2].decode("utf-16-be", "surrogatepass")
    return octets.decode("latin-1" if coding == LATIN_1 else "ascii", "replace")


def _gsm_text(octets: bytes) -> str:
    """One septet in each octet. An escape before a letter that has no second meaning leaves that letter (3GPP 23.038)."""
    letters = []
    escaped = False
    for octet in octets:
        known = GSM_BASIC_CHARSET[octet] if octet < len(GSM_BASIC_CHARSET) else "\ufffd"
        if octet == _ESCAPE_OCTET:
            letters += [" "] if escaped else []
            escaped = not escaped
            continue
        letters.append(_EXTENDED.get(octet, known) if escaped else known)
        escaped = False
    return "".join(letters)


def _number(delivery: Delivery, country: str) -> str | None:
    if delivery.source_type == ALPHANUMERIC:
        return None
    international = delivery.source_type == INTERNATIONAL and not delivery.source.startswith("+")
    found = phone_number(f"+{delivery.source}", country) if international else None
    return found or phone_number(delivery.source, country)


def _split_header(delivery: Delivery) -> tuple[bytes, bytes]:
    """User data header (without its length) and text; a header that does not fit is none."""
    octets = delivery.octets or delivery.options.get(PAYLOAD, b"")
    length = octets[0] if octets else 0
    if not delivery.esm_class & HAS_HEADER or length >= len(octets):
        return b"", octets
    return octets[1 : 1 + length], octets[1 + length :]


def _place_among_parts(header: bytes, options: Mapping[int, bytes]) -> tuple[int, int, int]:
    """Reference, how many parts there are, and which this is; (0, 1, 1) for a message that is whole."""
    while len(header) > 2:
        element, length = header[0], header[1]
        value, header = header[2 : 2 + length], header[2 + length :]
        if (element, len(value)) in ((0x00, 3), (0x08, 4)):
            return int.from_bytes(value[:-2], "big"), value[-2], value[-1]
    if SAR_REFERENCE in options:
        reference, total, number = (
            int.from_bytes(options.get(tag, b""), "big") for tag in (SAR_REFERENCE, SAR_TOTAL, SAR_NUMBER)
        )
        return reference, total, number
    return 0, 1, 1


def _receipt(delivery: Delivery) -> DeliveryReceipt | None:
    """None where it does not say of which message, or what became of it."""
    octets = delivery.octets or delivery.options.get(PAYLOAD, b"")
    told = {name: found[1] for name, one in _IN_RECEIPT.items() if (found := one.search(octets.decode("latin-1")))}
    provider_id = delivery.options.get(RECEIPTED_ID, b"").rstrip(b"\0").decode("latin-1") or told.get("id", "")
    state = int.from_bytes(delivery.options.get(STATE, b""), "big") or _WORDS.get(told.get("stat", "").upper(), 0)
    status = _STATES.get(state)
    if not provider_id or status is None:
        return None
    network = delivery.options.get(NETWORK_ERROR, b"")[1:]
    code = told.get("err") or (str(int.from_bytes(network, "big")) if network else str(state))
    error = f"smpp {code[:20]}" if status == DeliveryStatus.UNDELIVERED else None
    return DeliveryReceipt(NAME, provider_id, status, error)
