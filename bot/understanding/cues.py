"""Cue patterns of content/ -> signs found in a message, each with the sender's own words."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from bot.understanding.normalise import PlainText

_PIECE = re.compile(r"\\.|.", re.DOTALL)
_LATIN = re.compile(r"(?<!\\)[a-z\d\[.]|\\[dws]")


@dataclass(frozen=True)
class Pattern:
    """A pattern whose every branch begins a word (`begins`) is sought behind spaces: twice as fast as behind \\b."""

    expression: re.Pattern[str]
    begins: bool
    latin: bool

    @classmethod
    def compile(cls, source: str) -> "Pattern":
        branches = _branches(source)
        begins = "^" not in source and all(branch.startswith(r"\b") for branch in branches)
        if begins:
            source = "|".join(f" {branch.removeprefix(chr(92) + 'b')}" for branch in branches)
        return cls(re.compile(source), begins, _LATIN.search(source) is not None)


@dataclass(frozen=True)
class Cue:
    """A named sign. A match of `cues` counts unless it overlaps a match of `unless`."""

    name: str
    cues: tuple[Pattern, ...]
    unless: tuple[re.Pattern[str], ...] = ()

    @cached_property
    def _latin(self) -> tuple[Pattern, ...]:
        """What can match plain Vietnamese or English: half the patterns are of other scripts."""
        return tuple(pattern for pattern in self.cues if pattern.latin)

    @classmethod
    def compile(cls, name: str, cues: Iterable[str], unless: Iterable[str] = ()) -> "Cue":
        return cls(name, tuple(map(Pattern.compile, cues)), tuple(map(re.compile, unless)))

    def is_excused(self, plain: PlainText) -> bool:
        """Whether any `unless` matches."""
        return any(pattern.search(plain.text) for pattern in self.unless)

    def find(self, plain: PlainText) -> tuple[str, ...]:
        """The words that show the sign, in the order of the patterns, without repeats."""
        text, spaced = plain.text, f" {plain.text}"
        excused: list[tuple[int, int]] | None = None
        found: list[str] = []
        for pattern in self._latin if text.isascii() else self.cues:
            for match in pattern.expression.finditer(spaced if pattern.begins else text):
                start, end = match.start(), match.end() - pattern.begins
                if excused is None:
                    excused = [m.span() for p in self.unless for m in p.finditer(text)]
                if not any(first < end and start < last for first, last in excused):
                    words = plain.written(start, end)
                    if words and words not in found:
                        found.append(words)
        return tuple(found)


def compile_cues(entries: Mapping[str, Mapping[str, list[str]]]) -> tuple[Cue, ...]:
    """{name: {cues: [...], unless: [...]}} -> Cues."""
    return tuple(Cue.compile(name, entry["cues"], entry.get("unless", ())) for name, entry in entries.items())


def _branches(source: str) -> list[str]:
    """The alternatives of a pattern that stand in no brackets."""
    branches, depth, in_class = [""], 0, False
    for piece in _PIECE.findall(source):
        if piece == "|" and not depth and not in_class:
            branches.append("")
            continue
        in_class = piece == "[" or (in_class and piece != "]")
        if not in_class:
            depth += {"(": 1, ")": -1}.get(piece, 0)
        branches[-1] += piece
    return branches
