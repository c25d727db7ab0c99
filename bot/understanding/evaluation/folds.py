"""Cross-validation over nlu/data. A sentence and its near copies stay on one side, or each model would have seen what it is asked."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from statistics import mean, pstdev
from typing import TYPE_CHECKING, Any

import numpy as np

from bot.errors import NluDataError
from bot.understanding.classifier import EmbeddedClassifier
from bot.understanding.evaluation.measures import Share, figures
from bot.understanding.evaluation.report import error_told
from bot.understanding.evaluation.rows import Outcome, read_all, row_of
from bot.understanding.nlu_data import Example
from bot.understanding.normalise import Normaliser
from bot.understanding.readers import Reads
from bot.understanding.training import FEWEST, train

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

NEAR = 0.5  # share of the word pairs of both that near copies have in common
STRIP = 1000  # sentences compared with all others at once
MEASURED = ("kind_acc", "topic_acc_questions", "answer_acc_questions", "topic_acc_chat", "emergency_recall")
CERTAIN = 0.9  # from here on a sentence that lies elsewhere is worth a look

Advance = Callable[[str, int, int], None]
Places = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Fold:
    """What the model of the other folds made of this one."""

    learned: int
    outcomes: tuple[Outcome, ...]

    @property
    def figures(self) -> dict[str, Share]:
        found = figures(self.outcomes)
        return {key: found[key] for key in MEASURED}


@dataclass(frozen=True)
class Spread:
    """A measure over all folds."""

    key: str
    mean: float
    deviation: float
    least: float
    most: float


def cross_validate(
    examples: Sequence[Example],
    phrases: Sequence[Example],
    normaliser: Normaliser,
    reader_of: Callable[[EmbeddedClassifier], Reads],
    folds: int,
    advance: Advance,
) -> Iterator[Fold]:
    """One fold after the other. `advance` hears what is done, how many sentences of it, and of how many."""
    advance("comparing", 0, len(examples))
    groups = near_copies([normaliser.plain(example.text).text for example in examples])
    for number, (others, own) in enumerate(_split(examples, groups, folds), 1):
        advance(f"fold {number} of {folds}: learning", 0, len(own))
        classifier = train([examples[i] for i in others], phrases, normaliser)
        reader = reader_of(classifier)
        outcomes = []
        rows = (row_of(examples[i]) for i in own)
        for outcome in read_all(rows, reader, lambda _: None, lambda _: ""):
            outcomes.append(outcome)
            advance(f"fold {number} of {folds}: reading", len(outcomes), len(own))
        yield Fold(len(others), tuple(outcomes))


def near_copies(texts: Sequence[str]) -> Places:
    """For each text the number of its group: near copies of near copies are one group."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components
    from sklearn.feature_extraction.text import CountVectorizer

    pairs = CountVectorizer(analyzer=_word_pairs, binary=True, dtype=np.int32).fit_transform(texts)
    sizes = np.asarray(pairs.sum(axis=1)).ravel()
    found = [_alike(pairs, sizes, start) for start in range(0, len(texts), STRIP)]
    one, other = (np.concatenate([strip[side] for strip in found]) for side in (0, 1))
    graph = coo_matrix((np.ones(len(one), np.int8), (one, other)), shape=(len(texts), len(texts)))
    groups: Places = connected_components(graph, directed=False)[1]
    return groups


def _word_pairs(text: str) -> list[str]:
    return [" ".join(pair) for pair in pairwise(["", *text.split(), ""])]


def _alike(pairs: "csr_matrix", sizes: Places, start: int) -> tuple[Places, Places]:
    common = (pairs[start : start + STRIP] @ pairs.T).tocoo()
    either = sizes[common.row + start] + sizes[common.col] - common.data
    near = common.data >= NEAR * either
    return common.row[near] + start, common.col[near]


def _split(examples: Sequence[Example], groups: Places, folds: int) -> Iterator[tuple[Places, Places]]:
    """(the others, the fold), so that every intent stands in every fold as far as its groups allow."""
    from sklearn.model_selection import StratifiedGroupKFold

    intents = np.array([example.intent for example in examples])
    for others, own in StratifiedGroupKFold(folds, shuffle=True, random_state=0).split(intents, intents, groups):
        names, counts = np.unique(intents[others], return_counts=True)
        if thin := (set(intents) - set(names)) | set(names[counts < FEWEST]):
            raise NluDataError(
                f"nlu/data: {', '.join(sorted(thin))}: too few different sentences for {folds} folds; write more or take fewer folds."
            )
        yield others, own


def spreads(folds: Sequence[Fold]) -> list[Spread]:
    """Mean, standard deviation and range of each measure that every fold has."""
    found = []
    for key in MEASURED:
        values = [value for fold in folds if (value := fold.figures[key].value) is not None]
        if len(values) == len(folds):
            found.append(Spread(key, mean(values), pstdev(values), min(values), max(values)))
    return found


def elsewhere(folds: Sequence[Fold], certain: float = CERTAIN) -> list[Outcome]:
    """Sentences that the model of the other folds puts under another label, and is sure of it: the surest first."""
    found = [
        outcome
        for fold in folds
        for outcome in fold.outcomes
        if not outcome.right and outcome.reading.confidence > certain
    ]
    return sorted(found, key=lambda outcome: (-outcome.reading.confidence, outcome.row.id, outcome.row.text))


def folds_told(folds: Sequence[Fold]) -> dict[str, Any]:
    """As a plain object; `id` of a sentence is the intent under which it stands."""
    return {
        "n": sum(len(fold.outcomes) for fold in folds),
        "folds": [{key: one.value for key, one in fold.figures.items()} for fold in folds],
        "spreads": [asdict(one) for one in spreads(folds)],
        "elsewhere": [error_told(outcome) for outcome in elsewhere(folds)],
    }
