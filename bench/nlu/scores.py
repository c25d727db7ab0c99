"""What one backend gets right, what it refuses, and how long an answer takes."""

import statistics
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from bench.nlu.corpora import Corpus
from bench.nlu.noise import FORMS

KEPT = 0.95  # of what is in scope, when the rest is refused
WARM_UP = 20  # messages whose time does not count


class Guess(NamedTuple):
    """`inside`: how sure the backend is that the message is in scope."""

    label: str
    inside: float
    milliseconds: float


def examine(corpus: Corpus, ask: Callable[[str], Guess]) -> dict[str, Any]:
    """Every question in every form, and what is out of scope as it is written."""
    for question in corpus.questions[:WARM_UP]:
        ask(question.text)
    guesses = {form: [ask(change(question.text)) for question in corpus.questions] for form, change in FORMS.items()}
    as_written = next(iter(guesses.values()))
    inside = [
        guess.inside
        for guess, question in zip(as_written, corpus.questions, strict=True)
        if question.label != corpus.outside_label
    ]
    outside = [ask(text).inside for text in corpus.outside]
    times = [guess.milliseconds for guess in as_written]
    return {
        "asked": len(corpus.questions),
        "asked_outside": len(corpus.outside),
        "accuracy": {form: accuracy(corpus, found) for form, found in guesses.items()},
        "auroc": round(auroc(inside, outside), 3),
        "refused": refused(inside, outside),
        "p50_ms": round(statistics.median(times), 1),
        "p95_ms": round(statistics.quantiles(times, n=20)[-1], 1),
    }


def accuracy(corpus: Corpus, guesses: Sequence[Guess]) -> float:
    right = sum(guess.label == question.label for guess, question in zip(guesses, corpus.questions, strict=True))
    return round(100 * right / len(guesses), 1)


def auroc(inside: Sequence[float], outside: Sequence[float]) -> float:
    """How often something in scope scores higher than something outside; a tie is half."""
    wins = sum((a > b) + (a == b) / 2 for a in inside for b in outside)
    return wins / (len(inside) * len(outside))


def refused(inside: Sequence[float], outside: Sequence[float]) -> float:
    """Per cent of what is outside that lies under the threshold which keeps KEPT of what is inside."""
    threshold = sorted(inside)[int((1 - KEPT) * len(inside))]
    return round(100 * sum(score < threshold for score in outside) / len(outside), 1)


def guess_of(probabilities: dict[str, float], outside_label: str | None, milliseconds: float) -> Guess:
    """`probabilities` by the labels of the corpus."""
    best = max(probabilities, key=lambda label: probabilities[label])
    inside = 1 - probabilities.get(outside_label, 0.0) if outside_label else probabilities[best]
    return Guess(best, inside, milliseconds)
