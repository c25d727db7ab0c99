"""Fits the weights of the decision (bot/understanding/decision.py): what each piece of evidence says is learned from readings by models that
had not learned the sentence read. Takes several trainings; `banduong nlu fit` runs it when nlu/data have changed much."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bot.content import Library
from bot.understanding.decision import Decision
from bot.understanding.interpreter import Interpreter
from bot.understanding.nlu_data import KINDS, Example, kind_of, read_examples, read_phrases
from bot.understanding.normalise import Normaliser
from bot.understanding.training import Progress, train
from bot.understanding.vocabulary import Vocabulary

FOLDS = 3
BLOCK = 15  # neighbours in a file are often of one writer: they are held out together
STRENGTH = 0.3  # inverse regularisation
RARE = 0.8  # the power of a kind's rarity by which its sentences weigh more
MEASURED = (
    "model: ",
    "known words",
    "common words",
)  # brought to one scale; what is there or not keeps its own, so that rare evidence weighs little
SHARPNESS = np.arange(0.5, 3.01, 0.1)

BLANK = Decision((0.0,) * len(KINDS), {}, 1.0)  # evidence is gathered before anything is decided

Reading = tuple[dict[str, float], dict[str, float]]


def fit(nlu_folder: Path, library: Library, progress: Progress) -> Decision:
    """The decision for these data; NluDataError where they cannot be learned from."""
    data = nlu_folder / "data"
    examples, phrases = read_examples(data), read_phrases(data)
    normaliser = Normaliser.from_file(nlu_folder / "teencode.yml")
    fold_of = folds(examples)
    readings: dict[int, Reading] = {}
    for number in range(FOLDS):
        progress(f"Learning without the sentences of part {number + 1} of {FOLDS}, and reading them")
        taught = [example for example, fold in zip(examples, fold_of, strict=True) if fold != number]
        model = train(taught, phrases, normaliser)
        reader = Interpreter(library, normaliser.with_vocabulary(Vocabulary.of(model, library)), model, BLANK)
        for place, (example, fold) in enumerate(zip(examples, fold_of, strict=True)):
            if fold == number:
                found, labels = reader.evidence(example.text)
                readings[place] = found, dict(labels)
    ordered = [readings[place] for place in range(len(examples))]
    return weigh(ordered, [example.label for example in examples])


def folds(examples: Sequence[Example]) -> list[int]:
    """The part to which each sentence belongs: blocks of neighbours of the same intent."""
    seen: Counter[str] = Counter()
    found = []
    for example in examples:
        found.append(seen[example.intent] // BLOCK % FOLDS)
        seen[example.intent] += 1
    return found


def weigh(readings: Sequence[Reading], labels: Sequence[str]) -> Decision:
    """Logistic regression over the evidence; a rare kind's sentences weigh more than a common one's."""
    from sklearn.linear_model import LogisticRegression

    kinds = [kind_of(label) for label in labels]
    names = sorted({name for found, _ in readings for name in found})
    amounts = np.array([[found.get(name, 0.0) for name in names] for found, _ in readings], np.float32)
    measured = np.array([name.startswith(MEASURED) for name in names])
    middle = np.where(measured, amounts.mean(axis=0), 0.0)
    spread = np.where(measured, np.maximum(amounts.std(axis=0), 1e-6), 1.0)
    counts = Counter(kinds)
    rarity = {kind: (len(kinds) / len(counts) / count) ** RARE for kind, count in counts.items()}
    machine = LogisticRegression(C=STRENGTH, max_iter=1000, class_weight=rarity)
    machine.fit((amounts - middle) / spread, kinds)
    order = [list(machine.classes_).index(kind) for kind in KINDS]
    weights = (machine.coef_ / spread)[order].T
    start = (machine.intercept_ - (machine.coef_ / spread) @ middle)[order]
    return Decision(
        start=_plain(start),
        weights={name: _plain(row) for name, row in zip(names, weights, strict=True)},
        sharpness=_sharpness(readings, labels),
    )


def _sharpness(readings: Sequence[Reading], labels: Sequence[str]) -> float:
    """By which power the shares of topics within questions are likeliest."""
    shares = [
        (np.array([p for name, p in found.items() if kind_of(name) == "question"]), found[label])
        for (_, found), label in zip(readings, labels, strict=True)
        if kind_of(label) == "question"
    ]
    if not shares:
        return 1.0
    rows = np.log(np.maximum(np.array([row for row, _ in shares]), 1e-9))
    own = np.log(np.maximum(np.array([p for _, p in shares]), 1e-9))

    def likelihood(power: float) -> float:
        return float((power * own - np.logaddexp.reduce(power * rows, axis=1)).sum())

    return round(float(max(SHARPNESS, key=likelihood)), 2)


def _plain(row: NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(round(float(value), 3) for value in row)
