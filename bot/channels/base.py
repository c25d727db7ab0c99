"""What a channel can carry."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Capabilities:
    """`sms`: short wordings, folded, numbers in the text. `buttons`: numbered choices can be shown as buttons.

    `pulled`: the person's own program fetches the reply in the same breath, so nothing waits to be sent.
    """

    sms: bool = False
    buttons: bool = False
    pulled: bool = False


CAPABILITIES = {
    "terminal": Capabilities(pulled=True),
    "web": Capabilities(buttons=True, pulled=True),
    "telegram": Capabilities(buttons=True),
    "sms": Capabilities(sms=True),
}
