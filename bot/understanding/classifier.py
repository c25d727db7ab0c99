"""The embedded classifier: TF-IDF over words and letters, spelled and folded, under two linear models.

One model tells the label (kind, topic or chat intent), the other the answer (`topic/slug`); their votes are mixed. A trained
model is two plain files, arrays and JSON: nothing is ever unpickled.
"""

import json
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from bot.errors import ModelError
from bot.understanding.nlu_data import RISKS
from bot.understanding.normalise import PlainText
from bot.understanding.tagger import FlagTagger

FORMAT = 10  # of the two files; another number means: train again
ANSWER_SHARE = 0.6  # of the vote on topics that the answer model has; best of 0, .3, .5, .6, .7, 1 on held-out personas
TEMPERATURE = 6.0  # turns margins into probabilities
MARK = 12  # signs of its fingerprint by which a model is named

FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class Classification:
    """`labels`: probability of each kind, topic or chat intent. `answers`: (answer id, probability), best first.

    `risks`: how likely the sentence is an offer of each risk, by its wording alone. `backend` and `model`: whose word it is.
    """

    labels: dict[str, float]
    answers: tuple[tuple[str, float], ...]
    risks: dict[str, float]
    backend: str
    model: str = ""

    def mixed_with(self, other: "Classification") -> "Classification":
        """The mean of both on labels; the rest is our own."""
        labels = {name: (p + other.labels.get(name, 0.0)) / 2 for name, p in self.labels.items()}
        return replace(self, labels=labels)


class Classifier(Protocol):
    """What a backend must do."""

    name: str

    def classify(self, plain: PlainText, *spellings: PlainText) -> Iterator[Classification]:
        """One for each spelling of a message, made when it is asked for."""
        ...


class SecondOpinion(Protocol):
    """Another backend, which may be down."""

    def ask(self, text: str, ours: Classification) -> Classification | None:
        """Its own classification of the text that we have read as `ours`; None where it has none."""
        ...

    def look(self) -> None:
        """Finds out, without waiting for it, whether it is there."""
        ...


class _View(NamedTuple):
    """One vectorizer laid open; its columns begin at `offset`."""

    name: str
    analyse: Callable[[str], list[str]]
    vocabulary: "_Vocabulary"
    idf: FloatArray
    offset: int


class Row(NamedTuple):
    """The non-zero features of one text."""

    indices: NDArray[np.int64]
    values: FloatArray


def letter_grams(text: str, least: int, most: int) -> list[str]:
    """Runs of `least` to `most` letters within each word, its edges among them."""
    found: list[str] = []
    for word in text.split():
        padded = f" {word} "
        for size in range(least, most + 1):
            if size >= len(padded):
                found.append(padded)
                break
            found += [padded[i : i + size] for i in range(len(padded) - size + 1)]
    return found


def word_grams(text: str, least: int, most: int) -> list[str]:
    """Runs of `least` to `most` words."""
    words = text.split()
    return [" ".join(words[i : i + size]) for size in range(least, most + 1) for i in range(len(words) - size + 1)]


class TextFeatures:
    """Four TF-IDF views of a text: letters and words, of the plain form and of the spelling as written."""

    VIEWS: tuple[dict[str, Any], ...] = (
        {"view": "plain", "grams": "letters", "sizes": (1, 5), "min_df": 4},
        {"view": "plain", "grams": "words", "sizes": (1, 2), "min_df": 3},
        {"view": "written", "grams": "letters", "sizes": (1, 4), "min_df": 4},
        {"view": "written", "grams": "words", "sizes": (1, 2), "min_df": 3},
    )

    def __init__(self, vocabularies: Sequence[Sequence[str]], idfs: Sequence[FloatArray]) -> None:
        """The words of each view in the order of its columns, and their inverse document frequencies."""
        self.vocabularies, self.idfs = vocabularies, idfs
        self._views: list[_View] = []
        offset = 0
        for view, words, idf in zip(self.VIEWS, vocabularies, idfs, strict=True):
            columns = _Vocabulary(zip(words, range(len(words)), strict=True))
            self._views.append(_View(view["view"], grams_of(view), columns, idf, offset))
            offset += len(idf)

    def rows(self, texts: Iterable[PlainText]) -> Iterable["Row"]:
        """The features of each text. Spellings of one message share their plain view, which is read once."""
        known: dict[tuple[int, str], Row] = {}
        for text in texts:
            parts = []
            for view in self._views:
                key = view.offset, view_of(text, view.name)
                if key not in known:
                    known[key] = _part(view, key[1])
                parts.append(known[key])
            yield Row(np.concatenate([part.indices for part in parts]), np.concatenate([part.values for part in parts]))


def _part(view: _View, text: str) -> Row:
    known = np.fromiter(map(view.vocabulary.__getitem__, view.analyse(text)), np.int64)
    columns, counts = np.unique(known[known >= 0], return_counts=True)
    weights = (1 + np.log(counts.astype(np.float32))) * view.idf[columns]
    norm = float(np.sqrt(weights @ weights)) or 1.0
    return Row(columns + view.offset, weights / norm)


class _Vocabulary(dict[str, int]):
    """Term -> column; -1 for terms that were never seen."""

    def __missing__(self, term: str) -> int:
        return -1


def grams_of(view: dict[str, Any]) -> Callable[[str], list[str]]:
    """What one of TextFeatures.VIEWS makes of a text."""
    return partial(
        letter_grams if view["grams"] == "letters" else word_grams, least=view["sizes"][0], most=view["sizes"][1]
    )


def view_of(text: PlainText, view: str) -> str:
    return text.text if view == "plain" else text.original.lower()


@dataclass(frozen=True)
class LinearModel:
    """`weights`: features x classes, kept in half precision and widened row by row."""

    classes: tuple[str, ...]
    weights: NDArray[np.float16]
    intercepts: FloatArray

    def probabilities(self, row: Row) -> FloatArray:
        """Softmax over the margins of one text."""
        gathered = self.weights[row.indices].astype(np.float32)
        margins = TEMPERATURE * (row.values @ gathered + self.intercepts)
        exponentials = np.exp(margins - margins.max())
        result: FloatArray = exponentials / exponentials.sum()
        return result


class EmbeddedClassifier:
    """The default backend."""

    name = "embedded"

    def __init__(
        self,
        features: TextFeatures,
        labels: LinearModel,
        answers: LinearModel,
        tagger: FlagTagger,
        word_counts: dict[str, int],
        pair_counts: dict[str, int],
    ) -> None:
        self.tagger = tagger
        self._features = features
        self._labels = labels
        self._answers = answers
        self.word_counts = word_counts
        self.pair_counts = pair_counts
        self.model = ""  # until it is kept, and has a name
        self._topic_of = np.array([_label_of(answer, labels.classes) for answer in answers.classes])
        self._is_answer = np.array([_is_answer(answer) for answer in answers.classes])

    def classify(self, plain: PlainText, *spellings: PlainText) -> Iterator[Classification]:
        return map(self._classify, self._features.rows((plain, *spellings)))

    def _classify(self, row: Row) -> Classification:
        by_label = self._labels.probabilities(row)
        by_answer = self._answers.probabilities(row)
        votes = np.zeros_like(by_label)
        np.add.at(votes, self._topic_of, by_answer)
        mixed = (1 - ANSWER_SHARE) * by_label + ANSWER_SHARE * votes
        labels = {label: float(p) for label, p in zip(self._labels.classes, mixed, strict=True)}
        risks = {risk: self._probability(by_answer, f"offer/{risk}") for risk in RISKS}
        answers = tuple(self._ranked_answers(mixed, by_answer, votes))
        return Classification(labels, answers, risks, self.name, self.model)

    def _probability(self, by_answer: FloatArray, name: str) -> float:
        return float(by_answer[self._answers.classes.index(name)]) if name in self._answers.classes else 0.0

    def _ranked_answers(self, mixed: FloatArray, by_answer: FloatArray, votes: FloatArray) -> list[tuple[str, float]]:
        """All answers, the likeliest first: each has its share of its topic's votes."""
        shares = mixed[self._topic_of] * by_answer / np.maximum(votes[self._topic_of], 1e-9)
        best = np.argsort(-np.where(self._is_answer, shares, -1.0), kind="stable")
        return [(self._answers.classes[i], float(shares[i])) for i in best if self._is_answer[i]]

    # -- two plain files ---------------------------------------------------------------------------------------------

    def save(self, folder: Path, fingerprint: str) -> None:
        """Writes model.npz first and model.json last: a model without its JSON is no model."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "model.json").unlink(missing_ok=True)
        arrays: dict[str, Any] = {
            "label_weights": self._labels.weights,
            "label_intercepts": self._labels.intercepts,
            "answer_weights": self._answers.weights,
            "answer_intercepts": self._answers.intercepts,
            "flag_weights": self.tagger.weights,
            "flag_intercepts": self.tagger.intercepts,
        }
        arrays |= {f"idf_{i}": idf for i, idf in enumerate(self._features.idfs)}
        with (folder / "model.npz").open("wb") as file:
            np.savez(file, **arrays)
        about = {
            "format": FORMAT,
            "fingerprint": fingerprint,
            "labels": self._labels.classes,
            "answers": self._answers.classes,
            "flags": self.tagger.classes,
            "vocabularies": self._features.vocabularies,
            "word_counts": self.word_counts,
            "pair_counts": self.pair_counts,
        }
        (folder / "model.json").write_text(json.dumps(about, ensure_ascii=False), encoding="utf-8")
        self.model = fingerprint[:MARK]

    @classmethod
    def load(cls, folder: Path, fingerprint: str) -> "EmbeddedClassifier | None":
        """The model of this fingerprint, None when there is none; ModelError when its files are damaged."""
        try:
            about = json.loads((folder / "model.json").read_text(encoding="utf-8"))
            if about.get("format") != FORMAT or about.get("fingerprint") != fingerprint:
                return None
        except FileNotFoundError:
            return None
        except (OSError, ValueError, AttributeError):
            raise _damaged(folder / "model.json") from None
        try:
            with (folder / "model.npz").open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                model = cls._from_parts(about, dict(arrays))
                model.model = fingerprint[:MARK]
                return model
        except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile):
            raise _damaged(folder / "model.npz") from None

    @classmethod
    def _from_parts(cls, about: dict[str, Any], arrays: dict[str, Any]) -> "EmbeddedClassifier":
        features = TextFeatures(about["vocabularies"], [arrays[f"idf_{i}"] for i in range(len(TextFeatures.VIEWS))])
        return cls(
            features,
            LinearModel(tuple(about["labels"]), arrays["label_weights"], arrays["label_intercepts"]),
            LinearModel(tuple(about["answers"]), arrays["answer_weights"], arrays["answer_intercepts"]),
            FlagTagger(tuple(about["flags"]), arrays["flag_weights"], arrays["flag_intercepts"]),
            about["word_counts"],
            about["pair_counts"],
        )


def _damaged(path: Path) -> ModelError:
    return ModelError(f"{path} is damaged: delete {path.parent} and run `banduong train`.")


def _is_answer(name: str) -> bool:
    """Whether it is a `topic/slug`, rather than a kind, a chat intent or an offer's risk."""
    return "/" in name and name.split("/", 1)[0] not in ("chat", "offer")


def _label_of(answer: str, labels: Sequence[str]) -> int:
    return labels.index(answer) if answer in labels else labels.index(answer.split("/", 1)[0])
