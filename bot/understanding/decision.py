"""From evidence to the kind of a message: one weight for each piece of evidence and kind, fitted where the model was not taught.

The weights lie in nlu/decision.yml, made by `banduong nlu fit` (bot/understanding/fitting.py). As they are fitted on readings of sentences
that the model had not learned from, a confidence means what it says: of a hundred messages read with 0.8, about eighty are right.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from bot.errors import NluDataError
from bot.understanding.nlu_data import KINDS, kind_of
from bot.yaml_files import load_yaml

FILE = "decision.yml"
EASIER = 0.7  # log-odds: people write plainer than nlu/data, which is full of near misses; by held-out people who were looked at
HEADER = (
    "# How much each piece of evidence (bot/understanding/evidence.py) speaks for each kind of message: log-odds, in the order of `kinds`.\n"
    "# Made by `banduong nlu fit` from readings of nlu/data by models that had not learned those sentences. Not edited by hand.\n"
)


@dataclass(frozen=True)
class Decision:
    """`start` and each of `weights`: one number for each of KINDS. `sharpness`: the power by which the shares of topics are raised."""

    start: tuple[float, ...]
    weights: Mapping[str, tuple[float, ...]]
    sharpness: float

    def chances(self, evidence: Mapping[str, float]) -> dict[str, float]:
        """Kind -> probability. Evidence without a weight says nothing."""
        sums = list(self.start)
        for name, amount in evidence.items():
            if amount and (row := self.weights.get(name)):
                sums = [total + amount * weight for total, weight in zip(sums, row, strict=True)]
        highest = max(sums)
        exponentials = [math.exp(total - highest) for total in sums]
        return {kind: part / sum(exponentials) for kind, part in zip(KINDS, exponentials, strict=True)}

    def best_within(self, kind: str, labels: Mapping[str, float]) -> tuple[str, float]:
        """The likeliest label of this kind, and its share of the kind."""
        raised = {label: max(p, 1e-9) ** self.sharpness for label, p in labels.items() if kind_of(label) == kind}
        best = max(raised, key=lambda label: raised[label])
        return best, raised[best] / sum(raised.values())

    @staticmethod
    def confidence(chance: float) -> float:
        """How often a reading of this chance is right with people, rather than with the sentences of nlu/data."""
        bounded = min(max(chance, 1e-6), 1 - 1e-6)
        return 1 / (1 + math.exp(-math.log(bounded / (1 - bounded)) - EASIER))

    @classmethod
    def load(cls, nlu_folder: Path) -> "Decision":
        """NluDataError where the file is missing or was not made by `banduong nlu fit`."""
        path = nlu_folder / FILE
        try:
            data = load_yaml(path)
            if tuple(data["kinds"]) != KINDS:
                raise ValueError
            weights = {str(name): _row(row) for name, row in data["weights"].items()}
            return cls(_row(data["start"]), weights, float(data["sharpness"]))
        except FileNotFoundError:
            raise NluDataError(
                f"{path} is missing: restore it from the repository or run `banduong nlu fit`."
            ) from None
        except (OSError, ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError):
            raise NluDataError(f"{path} cannot be read: run `banduong nlu fit`.") from None

    def save(self, nlu_folder: Path) -> None:
        rows = "".join(f'  "{name}": {_written(row)}\n' for name, row in self.weights.items())
        (nlu_folder / FILE).write_text(
            f"{HEADER}kinds: [{', '.join(KINDS)}]\nsharpness: {self.sharpness}\nstart: {_written(self.start)}\nweights:\n{rows}",
            encoding="utf-8",
        )


def _row(values: object) -> tuple[float, ...]:
    row = tuple(map(float, values))  # type: ignore[call-overload]
    if len(row) != len(KINDS) or not all(map(math.isfinite, row)):
        raise ValueError
    return row


def _written(row: tuple[float, ...]) -> str:
    return f"[{', '.join(f'{value:.3f}' for value in row)}]"
