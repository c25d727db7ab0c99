"""The figures that every change must keep, by their titles (docs/linguist.md). All others: bot/understanding/evaluation/."""

from collections.abc import Iterator
from pathlib import Path

from bot.understanding.evaluation.measures import FLAGS, TITLES, by_form, figures
from bot.understanding.evaluation.rows import Risks, read_all, read_rows
from bot.understanding.readers import Reads

SHOWN = (
    "kind_acc", "topic_acc_questions", "answer_acc_questions", "emergency_recall", "emergency_precision", "offer_risk_acc",
    "low_false_alarm", "high_miss", FLAGS, "language_acc",
)  # fmt: skip


def evaluate(path: Path, interpreter: Reads, risk_of: Risks) -> Iterator[tuple[str, float | None, int]]:
    """(title, value or None, rows it rests on). `risk_of`: low, medium or high, None where a message is no offer."""
    outcomes = tuple(read_all(read_rows(path), interpreter, risk_of, lambda _: "none"))
    found = figures(outcomes)
    yield from ((TITLES[key], found[key].value, found[key].of) for key in SHOWN)
    for form, shares in by_form(outcomes).items():
        yield f"kind, {form}", shares["kind_acc"].value, shares["kind_acc"].of
