"""Measures of the understanding on labelled rows, in the terms of the labelling guide (docs/linguist.md)."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bot.errors import NluDataError
from bot.understanding.interpreter import Interpreter
from bot.understanding.reading import Understanding

FLAGGED = ("offer", "report", "emergency")
Row = dict[str, Any]
Pair = tuple[Row, Understanding]


def evaluate(
    path: Path, interpreter: Interpreter, risk_of: Callable[[Understanding], str | None]
) -> Iterator[tuple[str, float | None, int]]:
    """(measure, value or None, rows it rests on). `risk_of`: low, medium or high, None where a message is no offer."""
    pairs = [(row, interpreter.read(row["text"])) for row in _rows(path)]
    questions = [pair for pair in pairs if pair[0]["kind"] == "question"]
    yield _share("kind", pairs, lambda row, u: row["kind"] == u.kind)
    for form in dict.fromkeys(row.get("form", "") for row, _ in pairs):
        yield _share(
            f"kind, {form}", [p for p in pairs if p[0].get("form") == form], lambda row, u: row["kind"] == u.kind
        )
    yield _share("topic of questions", questions, lambda row, u: u.kind == "question" and row["topic"] == u.topic)
    yield _share("answer of questions", [p for p in questions if p[0].get("slug")], _first_answer)
    urgent = [pair for pair in pairs if pair[0]["kind"] == "emergency"]
    called = [pair for pair in pairs if pair[1].kind == "emergency"]
    yield _share("emergencies found", urgent, lambda row, u: u.kind == "emergency")
    yield _share("emergencies that are", called, lambda row, u: row["kind"] == "emergency")
    offers = [pair for pair in pairs if pair[0]["kind"] == "offer"]
    yield _share("risk of offers", offers, lambda row, u: row["risk"] == risk_of(u))
    honest = [pair for pair in offers if pair[0]["risk"] == "low"]
    yield _share("honest offers called high", honest, lambda _, u: risk_of(u) == "high")
    dangerous = [pair for pair in offers if pair[0]["risk"] == "high"]
    yield _share("dangerous offers called low", dangerous, lambda _, u: risk_of(u) == "low")
    yield _flags([pair for pair in pairs if pair[0]["kind"] in FLAGGED])
    yield _share("language", [p for p in pairs if p[0].get("language")], lambda row, u: row["language"] == u.language)


def _first_answer(row: Row, reading: Understanding) -> bool:
    of_topic = [name for name, _ in reading.candidates if name.startswith(f"{reading.topic}/")]
    return bool(of_topic) and of_topic[0] == row["slug"]


def _share(name: str, pairs: list[Pair], right: Callable[[Row, Understanding], bool]) -> tuple[str, float | None, int]:
    return name, (sum(right(row, u) for row, u in pairs) / len(pairs) if pairs else None), len(pairs)


def _flags(pairs: list[Pair]) -> tuple[str, float | None, int]:
    found = [(set(row["flags"]), set(u.flags)) for row, u in pairs]
    both = sum(len(gold & ours) for gold, ours in found)
    either = sum(len(gold) + len(ours) for gold, ours in found)
    return "flags (micro F1)", (2 * both / either if either else None), len(pairs)


def _rows(path: Path) -> list[Row]:
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, ValueError):
        raise NluDataError(f"{path} cannot be read: give a UTF-8 file with one JSON object a line.") from None
