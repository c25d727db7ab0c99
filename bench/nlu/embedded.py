"""Our own classifier. It learns here, and answers in a process of its own, so that its start and its memory are its own.

python -m bench.nlu.embedded FOLDER [--folded] is that process: a JSON string a line in, labels with their probabilities and the time out.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import Distribution, version
from pathlib import Path
from typing import Any

from bench import processes
from bench.nlu.corpora import ROOT, Corpus
from bench.nlu.scores import Guess, examine, guess_of
from bot.letters import fold
from bot.understanding.classifier import Classification, EmbeddedClassifier
from bot.understanding.interpreter import SURE
from bot.understanding.normalise import Normaliser, PlainText
from bot.understanding.training import train
from bot.understanding.vocabulary import Vocabulary

MARK = "bench"  # instead of the fingerprint of data
TEENCODE = ROOT / "nlu" / "teencode.yml"
PACKAGES = ("scikit-learn", "scipy", "numpy", "joblib", "threadpoolctl", "mmh3", "rapidfuzz", "pyyaml")


def measure(corpus: Corpus, *, copies: bool) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        started = time.perf_counter()
        normaliser = Normaliser.from_file(TEENCODE)
        model = train(corpus.examples, corpus.phrases, normaliser, fewest=corpus.fewest, folded_copies=copies)
        model.save(folder, MARK)
        learned = time.perf_counter() - started
        with _answering(folder, corpus, copies=copies) as (server, load_seconds):
            return {
                "learned_from": len(corpus.examples),
                "train_s": round(learned, 1),
                "load_s": round(load_seconds, 1),
                **examine(corpus, server.ask),
                "memory_mb": round(server.memory()),
                "model_mb": round(sum(file.stat().st_size for file in folder.iterdir()) / 1e6, 1),
                "install_mb": round(sum(map(_size_of, PACKAGES)) / 1e6),
                "versions": {"python": sys.version.split()[0], "scikit-learn": version("scikit-learn")},
            }


class _Child:
    def __init__(self, process: "subprocess.Popen[str]", corpus: Corpus) -> None:
        self._process = process
        self._outside = corpus.outside_label

    def ask(self, text: str) -> Guess:
        assert self._process.stdin
        self._process.stdin.write(json.dumps(text) + "\n")
        self._process.stdin.flush()
        labels, milliseconds = json.loads(self.line())
        return guess_of(labels, self._outside, milliseconds)

    def line(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline()

    def memory(self) -> float:
        return processes.resident_alone(self._process.pid)


@contextmanager
def _answering(folder: Path, corpus: Corpus, *, copies: bool) -> Iterator[tuple[_Child, float]]:
    """A server that is ready, and the seconds that this took."""
    started = time.perf_counter()
    process = subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-m", "bench.nlu.embedded", str(folder), *(["--folded"] if copies else [])],
        cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    with process:
        child = _Child(process, corpus)
        child.line()
        yield child, time.perf_counter() - started


def _size_of(package: str) -> int:
    """Bytes of a package as it is installed."""
    distribution = Distribution.from_name(package)
    paths = [Path(str(distribution.locate_file(file))) for file in distribution.files or ()]
    return sum(path.stat().st_size for path in paths if path.is_file())


def labels_of(
    text: str, classifier: EmbeddedClassifier, normaliser: Normaliser, *, folded_copies: bool
) -> dict[str, float]:
    """The base labels of a message, which is read as `Interpreter.read` reads it: folded first, then with its diacritics.

    A model that has learned no folded copies is asked with the message as it is written alone.
    """
    plain = normaliser.plain(text)
    guess = _guess(plain, classifier) if folded_copies else next(classifier.classify(plain))
    best: dict[str, float] = {}
    for label, probability in guess.labels.items():
        base = label.split("/", 1)[0]
        best[base] = max(probability, best.get(base, 0.0))
    return best


def _guess(plain: PlainText, classifier: EmbeddedClassifier) -> Classification:
    text = plain.original
    spellings = [PlainText(fold(text), plain.tokens)] + [plain] * (fold(text) != text)
    guesses = classifier.classify(*spellings)
    folded = next(guesses)
    sure = max(folded.labels.values()) > SURE
    return folded if sure else next((other.mixed_with(folded) for other in guesses), folded)


def _serve(folder: Path, *, folded_copies: bool) -> None:
    classifier = EmbeddedClassifier.load(folder, MARK)
    assert classifier
    normaliser = Normaliser.from_file(TEENCODE, Vocabulary(classifier.word_counts, classifier.pair_counts))
    labels_of("xin chao", classifier, normaliser, folded_copies=folded_copies)
    _say("ready")
    for line in sys.stdin:
        text = json.loads(line)
        started = time.perf_counter()
        labels = labels_of(text, classifier, normaliser, folded_copies=folded_copies)
        _say([labels, 1000 * (time.perf_counter() - started)])


def _say(value: Any) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    _serve(Path(sys.argv[1]), folded_copies="--folded" in sys.argv)
