"""Words that mean one thing in every state, when they are the whole message (content/commands.yml)."""

import re
from collections.abc import Mapping

from bot.letters import compose, fold

_EDGE = re.compile(r"^[\s.!?,;:…\"'()*_-]+|[\s.!?,;:…\"'()*_-]+$")
_SPACES = re.compile(r"\s+")
_KEYCAP = re.compile("[\ufe0f\u20e3]")
_NUMBER = re.compile(r"(?:so|chon)?\s*([0-9])")


class Commands:
    """A phrase is understood as written, and without any diacritics; "đúng" is no "dừng", but "dung" is."""

    def __init__(self, phrases: Mapping[str, list[str]]) -> None:
        self._exact: dict[str, set[str]] = {}
        self._folded: dict[str, set[str]] = {}
        for name, wordings in phrases.items():
            written = {compose(str(wording)).lower() for wording in wordings}
            self._exact[name] = written
            self._folded[name] = {fold(wording) for wording in written}

    def is_(self, name: str, text: str) -> bool:
        """Whether the whole of `text` is one of the phrases of `name`."""
        return self.is_tidy(name, tidy(text))

    def is_tidy(self, name: str, written: str) -> bool:
        """The same, for a text that has been through `tidy`."""
        return written in self._exact[name] or written in self._folded[name]


def tidy(text: str) -> str:
    """Lower case, one space between words, no marks at the ends ("/stop" keeps its stroke; "?" stays "?")."""
    lowered = _SPACES.sub(" ", compose(text)).strip().lower()
    return _EDGE.sub("", lowered) or lowered


def number_in(text: str) -> int | None:
    """The figure of a choice: "1", "1.", "so 1", a keycap emoji."""
    match = _NUMBER.fullmatch(fold(tidy(_KEYCAP.sub("", text))))
    return int(match[1]) if match else None
