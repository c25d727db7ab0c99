"""nlu/data/*.yml (Rasa 3.1 training data) -> Examples. Rasa reads the same files as they are."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bot.errors import NluDataError
from bot.yaml_files import load_yaml

KINDS = ("question", "offer", "report", "emergency", "chat", "out_of_scope")
RISKS = ("low", "medium", "high")
FLAGGED = ("offer", "report", "emergency")
LOOKUP = "lookup"

_ANNOTATION = re.compile(r"\[(?P<words>[^\]]+)\]\((?P<entity>[a-z_]+)\)")
_BULLET = re.compile(r"^\s*-\s+")


@dataclass(frozen=True)
class Span:
    """`text[start:end]` of an example shows the flag `entity`."""

    start: int
    end: int
    entity: str


@dataclass(frozen=True)
class Example:
    """One training sentence. `intent` is as written: "emergency", "offer/high", "chat/greet" or "topic/slug"."""

    intent: str
    text: str
    spans: tuple[Span, ...] = ()

    @property
    def label(self) -> str:
        """What the first classifier learns: the intent without its retrieval key, chat intents whole."""
        base = self.intent.split("/", 1)[0]
        return self.intent if base == "chat" else base

    @property
    def flags(self) -> frozenset[str]:
        return frozenset(span.entity for span in self.spans)


def kind_of(label: str) -> str:
    """The kind of a label: everything that is no kind of its own is a topic of questions."""
    base = label.split("/", 1)[0]
    return base if base in KINDS else "question"


def read_examples(folder: Path) -> list[Example]:
    """Every sentence under `folder`; NluDataError names file and line."""
    files = sorted(folder.glob("*.yml"))
    if not files:
        raise NluDataError(f"{folder} holds no training data: restore nlu/data from the repository")
    return [example for file in files for example in _read_file(file)]


def read_phrases(folder: Path) -> list[Example]:
    """The phrase lists (Rasa lookup tables): each whole phrase shows its flag."""
    return [
        Example(LOOKUP, text, (Span(0, len(text), str(row["lookup"])),))
        for file in sorted(folder.glob("*.yml"))
        for row in _rows(file)
        if isinstance(row, dict) and "lookup" in row
        for text in _lines(file, row, str(row["lookup"]))
    ]


def _read_file(path: Path) -> Iterator[Example]:
    for row in _rows(path):
        if isinstance(row, dict) and "lookup" in row:
            continue
        if not isinstance(row, dict) or "intent" not in row:
            raise NluDataError(f"{path}: an entry under 'nlu:' has no 'intent:'; give it one")
        intent = str(row["intent"])
        for marked in _lines(path, row, intent):
            yield _example(path, intent, marked)


def _lines(path: Path, row: dict[str, Any], name: str) -> Iterator[str]:
    examples = row.get("examples")
    if not isinstance(examples, str):
        raise NluDataError(f"{path}: {name}: 'examples:' needs a block that starts with |")
    for line in examples.splitlines():
        if not line.strip():
            continue
        if not _BULLET.match(line):
            raise NluDataError(f"{path}: {name}: the line '{line.strip()[:40]}' must begin with '- '")
        yield _BULLET.sub("", line, count=1).strip()


def _rows(path: Path) -> list[Any]:
    try:
        data = load_yaml(path)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise NluDataError(f"{path}{where}: not valid YAML; mend the indentation") from None
    except (OSError, UnicodeDecodeError):
        raise NluDataError(f"{path} cannot be read; save it as UTF-8 text") from None
    rows = data.get("nlu") if isinstance(data, dict) else None
    if not isinstance(rows, list):
        raise NluDataError(f"{path}: needs a list under 'nlu:'")
    return rows


def _example(path: Path, intent: str, marked: str) -> Example:
    spans: list[Span] = []
    parts: list[str] = []
    length = position = 0
    for match in _ANNOTATION.finditer(marked):
        before = marked[position : match.start()]
        parts += [before, match["words"]]
        start = length + len(before)
        length = start + len(match["words"])
        spans.append(Span(start, length, match["entity"]))
        position = match.end()
    text = "".join(parts) + marked[position:]
    if not text or "](" in text:
        raise NluDataError(f"{path}: {intent}: the annotation in '{marked[:40]}' is not closed; write [words](flag)")
    return Example(intent, text, tuple(spans))
