"""Cue patterns of content/ -> signs found in a message, each with the sender's own words."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from bot.understanding.normalise import PlainText

_MARK = re.compile(r"\\.|[\[\]()|]", re.DOTALL)
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
    unless: tuple[str, ...] = ()

    @cached_property
    def _latin(self) -> tuple[Pattern, ...]:
        """What can match plain Vietnamese or English: half the patterns are of other scripts."""
        return tuple(pattern for pattern in self.cues if pattern.latin)

    @cached_property
    def _excuses(self) -> tuple[re.Pattern[str], ...]:
        return tuple(map(re.compile, self.unless))

    @classmethod
    def compile(cls, name: str, cues: Iterable[str], unless: Iterable[str] = ()) -> "Cue":
        return cls(name, tuple(map(Pattern.compile, cues)), tuple(unless))

    def is_excused(self, plain: PlainText) -> bool:
        """Whether any `unless` matches."""
        return any(pattern.search(plain.text) for pattern in self._excuses)

    def find(self, plain: PlainText) -> tuple[str, ...]:
        """The words that show the sign, in the order of the patterns, without repeats."""
        text, spaced = plain.text, f" {plain.text}"
        excused: list[tuple[int, int]] | None = None
        found: list[str] = []
        for pattern in self._latin if text.isascii() else self.cues:
            for match in pattern.expression.finditer(spaced if pattern.begins else text):
                start, end = match.start(), match.end() - pattern.begins
                if excused is None:
                    excused = [m.span() for p in self._excuses for m in p.finditer(text)]
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
    cuts, depth, in_class = [-1], 0, False
    for mark in _MARK.finditer(source):
        sign = mark[0]
        if in_class:
            in_class = sign != "]"
        elif sign == "[":
            in_class = True
        elif sign == "|" and not depth:
            cuts.append(mark.start())
        else:
            depth += {"(": 1, ")": -1}.get(sign, 0)
    return [source[first + 1 : last] for first, last in pairwise([*cuts, len(source)])]
