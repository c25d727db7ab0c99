"""What is learned and what is asked: our own data, and PhoATIS from the user's own clone, which never enters this repository."""

import json
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bot.understanding.nlu_data import Example, kind_of, read_examples, read_phrases

ROOT = Path(__file__).parent.parent.parent
UNSEEN = ROOT / "nlu" / "eval" / "unseen.jsonl"
EVERYDAY = ROOT / "nlu" / "eval" / "everyday.jsonl"
OUT_OF_SCOPE = "out_of_scope"
OFFICIAL = Path("PhoATIS") / "syllable-level"
SEED = 7


@dataclass(frozen=True)
class Question:
    """A message and the label that is right for it."""

    text: str
    label: str


@dataclass(frozen=True)
class Corpus:
    """`questions` are asked for their label; `outside` is what should be refused.

    `outside_label` is the label that says "out of scope"; where there is none, a low confidence says it.
    """

    name: str
    examples: Sequence[Example]
    phrases: Sequence[Example]
    questions: Sequence[Question]
    outside: Sequence[str]
    outside_label: str | None
    fewest: int  # sentences that an intent has at least

    def part(self, rows: int) -> list[Example]:
        """About so many examples, as many of each label as it has its share of all, at least one."""
        by_label = defaultdict(list)
        for example in self.examples:
            by_label[base_of(example)].append(example)
        chance = random.Random(SEED)  # noqa: S311 - nothing secret
        share = min(1.0, rows / len(self.examples))
        return [
            example
            for group in by_label.values()
            for example in chance.sample(group, max(1, round(share * len(group))))
        ]


def base_of(example: Example) -> str:
    """What every backend is asked for: the kind, and of questions the topic."""
    return example.intent.split("/", 1)[0]


def ours(rows: Path = UNSEEN) -> Corpus:
    """Our training sentences, asked with labelled rows; what is out of scope is joined by harmless messages of every day."""
    data = ROOT / "nlu" / "data"
    read = _json_rows(rows)
    questions = [Question(row["text"], row["topic"] if row["kind"] == "question" else row["kind"]) for row in read]
    outside = [row["text"] for row in [*read, *_json_rows(EVERYDAY)] if kind_of(row["kind"]) == OUT_OF_SCOPE]
    name = "ours" if rows == UNSEEN else f"ours, {rows.name}"
    return Corpus(name, read_examples(data), read_phrases(data), questions, outside, OUT_OF_SCOPE, fewest=5)


def phoatis(clone: Path) -> Corpus:
    """The official split, syllable level. What it knows nothing of are our own held-out rows."""
    folder = clone / OFFICIAL
    examples = [Example(label, text) for text, label in _pairs(folder / "train")]
    questions = [Question(text, label) for text, label in _pairs(folder / "test")]
    outside = [row["text"] for row in [*_json_rows(UNSEEN), *_json_rows(EVERYDAY)]]
    return Corpus("PhoATIS", examples, (), questions, outside, None, fewest=1)


def _pairs(folder: Path) -> list[tuple[str, str]]:
    texts, labels = ((folder / name).read_text(encoding="utf-8").splitlines() for name in ("seq.in", "label"))
    return [(text.strip(), label.strip()) for text, label in zip(texts, labels, strict=True)]


def _json_rows(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
