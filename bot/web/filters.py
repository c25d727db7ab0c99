"""How the console shows what others wrote, and times: nothing in it acts, hides or turns the direction of the line."""

import datetime as dt
import re
import unicodedata
from collections.abc import Callable, Mapping
from typing import Any

VIET_NAM = dt.timezone(dt.timedelta(hours=7))
_UNSEEN = {
    "Cc",
    "Cf",
    "Cs",
    "Co",
    "Cn",
    "Zl",
    "Zp",
}  # controls, formats (bidi, zero width), halves of letters, unassigned
_BLANK_LETTERS = "\u115f\u1160\u2800\u3164\uffa0"  # letters by their class, and empty to the eye
_DOTS = ".\u3002\uff0e\uff61"  # what browsers take for the dot of an address
_HTTP = re.compile(r"(?<=h)tt(?=ps?:)", re.IGNORECASE)
_SCHEME = re.compile(r"(?<!hxxp)(?<!hxxps):(?=//)", re.IGNORECASE)
_DOT = re.compile(rf"(?<=[^\s{_DOTS}])[{_DOTS}](?=\w)")
_FIGURE = re.compile(r"\d\.\d", re.ASCII)


def visible(text: str) -> str:
    """Every character that cannot be seen as its number, U+202E as [U+202E]; line breaks and tabs stay."""
    return "".join(map(_visible, text.replace("\r\n", "\n")))


def _visible(letter: str) -> str:
    if letter in "\n\t":
        return letter
    unseen = letter in _BLANK_LETTERS or unicodedata.category(letter) in _UNSEEN
    return f"[U+{ord(letter):04X}]" if unseen else letter


def defanged(text: str) -> str:
    """Addresses that neither a program nor a tired hand will open: hxxp, [.] for their dots, [:] after other schemes. Figures stay."""
    tame = _SCHEME.sub("[:]", _HTTP.sub("xx", text))
    return _DOT.sub(lambda dot: _dot(tame[dot.start() - 1 : dot.end() + 1]), tame)


def _dot(between: str) -> str:
    """The dot between two digits is a figure's ("20.000.000")."""
    return between[1] if _FIGURE.fullmatch(between) else "[.]"


def local(moment: dt.datetime, *, year: bool = False) -> str:
    """An aware time as clocks in Viet Nam show it: "14:05 22/11", with `year` "14:05 22/11/2026"."""
    return moment.astimezone(VIET_NAM).strftime("%H:%M %d/%m/%Y" if year else "%H:%M %d/%m")


def day(date: dt.date) -> str:
    """A date as "22/11/2026"."""
    return date.strftime("%d/%m/%Y")


FILTERS: Mapping[str, Callable[..., Any]] = {"visible": visible, "defanged": defanged, "local": local, "day": day}
