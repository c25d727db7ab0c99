"""What a text becomes as SMS: folded, counted in segments."""

from dataclasses import dataclass
from typing import Literal

import smsutil

from bot.letters import compose, fold, plain_marks


@dataclass(frozen=True)
class SmsText:
    """`units` are septets (GSM-7) or UTF-16 code units (UCS-2); a segment is one billed SMS."""

    text: str
    encoding: Literal["GSM-7", "UCS-2"]
    units: int
    segments: int


def sms_text(text: str, *, folded: bool = True) -> SmsText:
    """`text` as it would leave by SMS; with `folded`, without diacritics and typographic marks."""
    body = fold(plain_marks(compose(text))) if folded else compose(text)
    split = smsutil.split(body)
    gsm = smsutil.is_valid_gsm(body)
    return SmsText(
        text=body,
        encoding="GSM-7" if gsm else "UCS-2",
        units=sum(len(smsutil.encode(part.content)) for part in split.parts)
        if gsm
        else len(body.encode("utf-16-be")) // 2,
        segments=len(split.parts),
    )
