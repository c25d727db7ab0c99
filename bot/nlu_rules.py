"""The rules that nlu/ keeps, as `banduong check` tells them."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from bot.content import Library
from bot.content_rules import Problem
from bot.understanding.nlu_data import KINDS, RISKS, Example, kind_of, read_examples

FEWEST_PER_INTENT = 60  # a topic's answers count together
FEWEST_PER_ANSWER = 20
FEWEST_OUT_OF_SCOPE = 300


def check_nlu(folder: Path, library: Library) -> list[Problem]:
    examples = read_examples(folder / "data")
    return [*_intents(examples, library), *_flags(examples, library), *_counts(examples, library), *_repeats(examples)]


def _intents(examples: list[Example], library: Library) -> Iterator[Problem]:
    for intent in sorted({example.intent for example in examples}):
        base, _, key = intent.partition("/")
        known = intent in library.answers or (base in KINDS and (base == "chat" or not key or key in RISKS))
        if not known:
            yield Problem(
                "error",
                f"nlu/data: {intent}",
                "is no answer in content/answers and no kind: rename it or write the answer",
            )


def _flags(examples: list[Example], library: Library) -> Iterator[Problem]:
    for flag in sorted({flag for example in examples for flag in example.flags} - set(library.red_flags)):
        yield Problem("error", "nlu/data", f"the annotation ({flag}) is no flag of content/red_flags.yml")


def _counts(examples: list[Example], library: Library) -> Iterator[Problem]:
    by_label = Counter(example.label for example in examples)
    for label, count in sorted(by_label.items()):
        wanted = FEWEST_OUT_OF_SCOPE if label == "out_of_scope" else FEWEST_PER_INTENT
        if count < wanted:
            yield Problem("error", f"nlu/data: {label}", f"has {count} sentences and needs {wanted}")
    by_intent = Counter(example.intent for example in examples)
    for answer in library.answers:
        if by_intent[answer] < FEWEST_PER_ANSWER:
            yield Problem(
                "error", f"nlu/data: {answer}", f"has {by_intent[answer]} sentences and needs {FEWEST_PER_ANSWER}"
            )


def _repeats(examples: list[Example]) -> Iterator[Problem]:
    seen: dict[str, str] = {}
    for example in examples:
        key = example.text.casefold()
        if key in seen:
            yield Problem(
                "error", f"nlu/data: {example.intent}", f"'{example.text[:50]}' stands under {seen[key]} too: keep one"
            )
        seen[key] = example.intent


__all__ = ["check_nlu", "kind_of"]
