"""Cue patterns of content/ -> signs found in a message, each with the sender's own words."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from bot.understanding.normalise import PlainText

_LATIN = re.compile(r"(?<!\\)[a-z\d\[.]|\\[dws]")


@dataclass(frozen=True)
class Cue:
    """A named sign. A match of `cues` counts unless it overlaps a match of `unless`."""

    name: str
    cues: tuple[re.Pattern[str], ...]
    unless: tuple[re.Pattern[str], ...] = ()

    @cached_property
    def _latin(self) -> tuple[re.Pattern[str], ...]:
        """What can match plain Vietnamese or English: half the patterns are of other scripts."""
        return tuple(pattern for pattern in self.cues if _LATIN.search(pattern.pattern))

    @classmethod
    def compile(cls, name: str, cues: Iterable[str], unless: Iterable[str] = ()) -> "Cue":
        return cls(name, tuple(map(re.compile, cues)), tuple(map(re.compile, unless)))

    def is_excused(self, plain: PlainText) -> bool:
        """Whether any `unless` matches."""
        return any(pattern.search(plain.text) for pattern in self.unless)

    def find(self, plain: PlainText) -> tuple[str, ...]:
        """The words that show the sign, in the order of the patterns, without repeats."""
        excused: list[tuple[int, int]] | None = None
        found: list[str] = []
        for pattern in self._latin if plain.text.isascii() else self.cues:
            for match in pattern.finditer(plain.text):
                if excused is None:
                    excused = [m.span() for p in self.unless for m in p.finditer(plain.text)]
                if not any(start < match.end() and match.start() < end for start, end in excused):
                    words = plain.written(*match.span())
                    if words and words not in found:
                        found.append(words)
        return tuple(found)


def compile_cues(entries: Mapping[str, Mapping[str, list[str]]]) -> tuple[Cue, ...]:
    """{name: {cues: [...], unless: [...]}} -> Cues."""
    return tuple(Cue.compile(name, entry["cues"], entry.get("unless", ())) for name, entry in entries.items())
