"""Labelled rows, and what a reader made of each of them."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from bot.errors import NluDataError
from bot.understanding.nlu_data import FLAGGED, KINDS, Example, kind_of
from bot.understanding.readers import Reads
from bot.understanding.reading import Understanding

FORMS = ("diacritics", "nodiacritics", "teencode", "mixed", "english", "other_script")

Risks = Callable[[Understanding], str | None]
Escalations = Callable[[Understanding], str]


@dataclass(frozen=True)
class Row:
    """One message with its labels, in the words of the labelling guide (docs/linguist.md); None where a label is not given."""

    text: str
    kind: str
    id: str = ""
    topic: str | None = None
    slug: str | None = None
    risk: str | None = None
    flags: frozenset[str] | None = None
    form: str | None = None
    language: str | None = None
    escalate: str | None = None

    @property
    def label(self) -> str:
        return _label(self.kind, self.topic)


@dataclass(frozen=True)
class Outcome:
    """A row, how it was read, and how long that took."""

    row: Row
    reading: Understanding
    risk: str | None
    escalate: str
    seconds: float

    @property
    def label(self) -> str:
        """What it was read as: a kind, the topic of a question, or `chat/` with its topic."""
        return _label(self.reading.kind, self.reading.topic)

    @property
    def right(self) -> bool:
        """Whether kind and topic are as labelled: this is what confidence promises."""
        return self.row.label == self.label

    @property
    def answer(self) -> str | None:
        """The likeliest answer within the topic."""
        within = f"{self.reading.topic}/"
        return next((name for name, _ in self.reading.candidates if name.startswith(within)), None)


def _label(kind: str, topic: str | None) -> str:
    if kind == "chat":
        return f"chat/{topic}"
    return topic or kind if kind == "question" else kind


def read_rows(path: Path) -> list[Row]:
    """Every row of a JSONL file; NluDataError names the line that cannot be used."""
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError):
        raise NluDataError(f"{path} cannot be read: give a UTF-8 file with one JSON object a line.") from None
    rows = [_row(line, f"{path}, line {number}") for number, line in enumerate(lines, 1) if line.strip()]
    if not rows:
        raise NluDataError(f"{path} holds no row: give a file with one JSON object a line.")
    return rows


def _row(line: str, where: str) -> Row:
    try:
        given: Mapping[str, Any] = json.loads(line)
        text, kind = given["text"], given["kind"]
    except (ValueError, KeyError, TypeError):
        raise NluDataError(f"{where}: no JSON object with text and kind; mend it or leave it out.") from None
    if not isinstance(text, str) or kind not in KINDS:
        raise NluDataError(f"{where}: text must be words and kind one of {', '.join(KINDS)}.")
    flags = given.get("flags")
    return Row(
        text, kind, str(given.get("id", "")), given.get("topic"), given.get("slug"), given.get("risk"),
        None if flags is None else frozenset(flags), given.get("form"), given.get("language"), given.get("escalate"),
    )  # fmt: skip


def row_of(example: Example) -> Row:
    """A training sentence as a labelled row. Its risk and flags are those of annotations, which is not how rows are labelled."""
    kind = kind_of(example.label)
    topic = {"question": example.label, "chat": example.intent.partition("/")[2]}.get(kind)
    return Row(example.text, kind, example.intent, topic, example.intent if kind == "question" else None)


def read_all(rows: Iterable[Row], reader: Reads, risk_of: Risks, escalation_of: Escalations) -> Iterator[Outcome]:
    """Each row read alone, as a message that comes by itself."""
    for row in rows:
        begin = perf_counter()
        reading = reader.read(row.text)
        seconds = perf_counter() - begin
        yield Outcome(row, reading, risk_of(reading), escalation_of(reading), seconds)


def is_flagged(outcome: Outcome) -> bool:
    return outcome.row.kind in FLAGGED and outcome.row.flags is not None
