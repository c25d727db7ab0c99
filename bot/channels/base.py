"""What every channel must do, and what it can carry."""

import datetime as dt
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from bot.messages import OutboundMessage, Refusal


@dataclass(frozen=True)
class Capabilities:
    """`sms`: short wordings, folded, numbers in the text. `buttons`: numbered choices can be shown as buttons.

    `pulled`: the person's own program fetches the reply in the same breath, so nothing waits to be sent.
    `receipts`: the provider tells later what became of a message. `clears`: what stands in the chat can be deleted on both sides.
    `longest`: UTF-16 units of one message.
    """

    sms: bool = False
    buttons: bool = False
    pulled: bool = False
    receipts: bool = False
    clears: bool = False
    longest: int | None = None


CAPABILITIES = {
    "terminal": Capabilities(pulled=True),
    "web": Capabilities(buttons=True, pulled=True),
    "telegram": Capabilities(buttons=True, clears=True, longest=4096),
    "sms": Capabilities(sms=True, receipts=True),
    "email": Capabilities(),
}


@dataclass(frozen=True)
class SendResult:
    """What a provider took. `ids`: its ids of the message, one a part where each part has its own. `receipts`: how many
    receipts of arrival make the message arrived."""

    ids: tuple[str, ...] = ()
    receipts: int = 1


class Channel(Protocol):
    """A way out. One call is one message; it raises SendError where the provider did not take it."""

    name: str

    async def send(self, message: OutboundMessage) -> SendResult: ...

    async def close(self) -> None: ...


@runtime_checkable
class Findable(Protocol):
    """A channel whose provider can be asked whether it took a message."""

    name: str

    async def find(self, message: OutboundMessage, since: dt.datetime) -> tuple[SendResult, ...]:
        """What it took for the same person with the same words at `since` or later. ChannelError where it could not be asked."""
        ...


class SendError(Exception):
    """Why a message is not known to have left.

    retryable: it certainly has not; later it may (`retry_after` seconds: nothing of this channel before). permanent: this one
    never will. stopped: nothing will reach this address. opted_out: the person told the provider that they want nothing more.
    moved: the address is now `moved_to`. uncertain: nobody can tell.
    `code` is the provider's, or ours; never a text.
    """

    def __init__(
        self, kind: Refusal, code: str, *, retry_after: float | None = None, moved_to: str | None = None
    ) -> None:
        super().__init__(code)
        self.kind = kind
        self.code = code
        self.retry_after = retry_after
        self.moved_to = moved_to
