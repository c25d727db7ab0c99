"""nlu/data -> a trained classifier, cached under the fingerprint of everything it was made from."""

import contextlib
import fcntl
import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bot.errors import ModelError, NluDataError
from bot.letters import fold
from bot.understanding import classifier as classifier_module
from bot.understanding.classifier import EmbeddedClassifier, LinearModel, TextFeatures, grams_of, view_of
from bot.understanding.nlu_data import FLAGGED, Example, read_examples, read_phrases
from bot.understanding.normalise import Normaliser, PlainText, Token
from bot.understanding.tagger import BITS, NOTHING, FlagTagger, hashed

if TYPE_CHECKING:  # the learners are imported when something is learned: reading a model needs none of them
    from scipy.sparse import csr_matrix
    from sklearn.svm import LinearSVC

LABEL_C = 0.15  # inverse regularisation of the two models, chosen on held-out personas
ANSWER_C = 0.2
TAGGER_C = 0.05
TOLERANCE = 0.1  # of the solver: a tenth of the weights' third decimal, and a quarter of the time saved
FEWEST_PAIRS = 6  # times that two words must stand side by side to be kept; most sentences count twice
FEWEST = 5  # sentences that an intent needs at least

Progress = Callable[[str], None]


def fingerprint(nlu_folder: Path) -> str:
    """Changes whenever data, short forms, settings or the code that learns change."""
    digest = hashlib.sha256(
        f"{classifier_module.FORMAT} {version('scikit-learn')} {LABEL_C} {ANSWER_C} {TAGGER_C} {TOLERANCE} {BITS}".encode()
    )
    for path in [*sorted((nlu_folder / "data").glob("*.yml")), nlu_folder / "teencode.yml"]:
        digest.update(path.name.encode())
        digest.update(path.read_bytes() if path.exists() else b"")
    for view in TextFeatures.VIEWS:
        digest.update(repr(sorted(view.items())).encode())
    return digest.hexdigest()


def load_or_train(nlu_folder: Path, model_folder: Path, progress: Progress) -> EmbeddedClassifier:
    """The cached model of these very data, or a newly trained one."""
    mark = fingerprint(nlu_folder)
    cached = EmbeddedClassifier.load(model_folder, mark)
    if cached:
        return cached
    with _alone(model_folder):
        return EmbeddedClassifier.load(model_folder, mark) or _train_and_keep(nlu_folder, model_folder, mark, progress)


@contextlib.contextmanager
def _alone(model_folder: Path) -> Iterator[None]:
    """Of several processes that start at once, one learns and the others wait for its model."""
    try:
        model_folder.mkdir(parents=True, exist_ok=True)
        lock = (model_folder / "lock").open("w")
    except OSError as error:
        raise ModelError(
            f"{model_folder} cannot be written to ({error.strerror}): set BANDUONG_HOME to another folder."
        ) from None
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _train_and_keep(nlu_folder: Path, model_folder: Path, mark: str, progress: Progress) -> EmbeddedClassifier:
    progress("Learning from nlu/data (some minutes, once)")
    data = nlu_folder / "data"
    model = train(read_examples(data), read_phrases(data), Normaliser.from_file(nlu_folder / "teencode.yml"))
    model.save(model_folder, mark)
    return model


def train(
    examples: Sequence[Example],
    phrases: Sequence[Example],
    normaliser: Normaliser,
    *,
    fewest: int = FEWEST,
    folded_copies: bool = True,
) -> EmbeddedClassifier:
    """Each sentence is learned as written and without diacritics: that is how half of the messages come.

    An intent with fewer than `fewest` sentences is refused. The two switches are for measuring, also on foreign data.
    """
    _refuse_thin_intents(examples, fewest)
    copies = [(example.text, example) for example in examples]
    if folded_copies:
        copies += [(fold(example.text), example) for example in examples if fold(example.text) != example.text]
    plain = [normaliser.plain(text) for text, _ in copies]
    features, matrix = _fit_features(plain)
    labels = [example.label for _, example in copies]
    answers = [answer_of(example) for _, example in copies]
    flagged = [example for example in examples if example.label in FLAGGED]
    with ThreadPoolExecutor(2) as pool:  # liblinear lets go of the interpreter lock
        by_answer = pool.submit(_fit, matrix, answers, ANSWER_C)
        by_label = pool.submit(_fit, matrix, labels, LABEL_C)
        tagger = pool.submit(_fit_tagger, [*flagged, *phrases], normaliser)
        return EmbeddedClassifier(
            features, by_label.result(), by_answer.result(), tagger.result(), _word_counts(plain), _pair_counts(plain)
        )


def _fit_features(texts: Sequence[PlainText]) -> "tuple[TextFeatures, csr_matrix]":
    """The views learned from these texts, and the texts in them."""
    from scipy import sparse
    from sklearn.feature_extraction.text import TfidfVectorizer

    vocabularies, idfs, blocks = [], [], []
    for view in TextFeatures.VIEWS:
        vectorizer = TfidfVectorizer(
            analyzer=grams_of(view), min_df=view["min_df"], sublinear_tf=True, dtype=np.float32
        )
        blocks.append(vectorizer.fit_transform(view_of(text, view["view"]) for text in texts))
        vocabularies.append(sorted(vectorizer.vocabulary_, key=vectorizer.vocabulary_.__getitem__))
        idfs.append(vectorizer.idf_.astype(np.float32))
    return TextFeatures(vocabularies, idfs), sparse.hstack(blocks).tocsr()


def _token_rows(texts: Sequence[PlainText]) -> "csr_matrix":
    """The features of every word of every text, one row a word."""
    from scipy import sparse

    pairs = [hashed([token.word for token in text.tokens]) for text in texts if text.tokens]
    columns, signs = (np.concatenate(part) for part in zip(*pairs, strict=True))
    ends = np.arange(0, columns.size + 1, columns.shape[1])
    rows = sparse.csr_matrix((signs.ravel(), columns.ravel(), ends), shape=(len(columns), 2**BITS))
    rows.sum_duplicates()
    return rows


def answer_of(example: Example) -> str:
    """What the second model learns: the answer's id for questions, the risk of offers, the label otherwise."""
    return example.intent


def _fit_tagger(examples: Sequence[Example], normaliser: Normaliser) -> FlagTagger:
    """Where nothing is annotated, a tagger that knows no flag."""
    if not any(example.spans for example in examples):
        return FlagTagger((), np.zeros((2**BITS, 0), np.float16), np.zeros(0, np.float32))
    plain = [normaliser.plain(example.text) for example in examples]
    marks = [_flag_at(example, token) for example, text in zip(examples, plain, strict=True) for token in text.tokens]
    from sklearn.svm import LinearSVC

    machine = LinearSVC(C=TAGGER_C, tol=TOLERANCE, random_state=0).fit(_token_rows(plain), marks)
    classes, weights, intercepts = _of_each_class(machine)
    return FlagTagger(classes, weights, intercepts)


def _flag_at(example: Example, token: Token) -> str:
    return next((span.entity for span in example.spans if span.start < token.end and token.start < span.end), NOTHING)


def _fit(matrix: "csr_matrix", targets: list[str], strength: float) -> LinearModel:
    from sklearn.svm import LinearSVC

    return LinearModel(*_of_each_class(LinearSVC(C=strength, tol=TOLERANCE, random_state=0).fit(matrix, targets)))


def _of_each_class(machine: "LinearSVC") -> tuple[tuple[str, ...], NDArray[np.float16], NDArray[np.float32]]:
    """Classes, weights (features x classes) and intercepts. Of two classes scikit-learn keeps the second's alone."""
    weights, intercepts = machine.coef_, machine.intercept_
    if len(machine.classes_) == 2:
        weights, intercepts = np.vstack([-weights, weights]), np.concatenate([-intercepts, intercepts])
    classes = tuple(str(name) for name in machine.classes_)
    return classes, np.ascontiguousarray(weights.T.astype(np.float16)), intercepts.astype(np.float32)


def _refuse_thin_intents(examples: Sequence[Example], fewest: int) -> None:
    thin = [intent for intent, count in Counter(example.intent for example in examples).items() if count < fewest]
    if thin:
        raise NluDataError(f"nlu/data: {', '.join(sorted(thin))}: needs at least {fewest} sentences each to be learned")


def _word_counts(plain: Sequence[PlainText]) -> dict[str, int]:
    """How often each plain word of letters occurs: what a slip of the finger may be mended to."""
    counts = Counter(
        token.word for text in plain for token in text.tokens if token.word.isascii() and token.word.isalpha()
    )
    return {word: count for word, count in counts.items() if count > 1}


def _pair_counts(plain: Sequence[PlainText]) -> dict[str, int]:
    """How often two plain words stand side by side: which word a slip of the finger was meant to be."""
    counts = Counter(f"{first.word} {second.word}" for text in plain for first, second in pairwise(text.tokens))
    return {pair: count for pair, count in counts.items() if count >= FEWEST_PAIRS}
