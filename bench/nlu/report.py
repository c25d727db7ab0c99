"""docs/benchmarks.json keeps the figures of every part that was ever run; docs/benchmarks.md is made from it."""

import json
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from bench.nlu.noise import FORMS

DATA = ("ours", "PhoATIS")
BACKENDS = {"embedded": "embedded", "rasa-lr": "Rasa LogisticRegression", "rasa-diet": "Rasa DIET"}
COPIES = {"without": "no", "with": "yes"}
HEADINGS = (
    "data", "backend", "folded copies", "learned from", *FORMS, "out of scope, AUROC", "refused", "train s", "load s",
    "p50 ms", "p95 ms", "memory MB", "model MB", "install MB", "measured",
)  # fmt: skip

Results = dict[str, dict[str, Any]]

INTRODUCTION = """# Understanding, measured
Our classifier beside Rasa's two, each trained with and without a copy of every sentence without diacritics.
This page is written by `make bench-nlu`; the figures lie beside it in `docs/benchmarks.json`. How to run it: `docs/linguist.md`.
"""

EXPLANATION = """
## What the columns say
- **ours**: learned from `nlu/data/`, asked with `nlu/eval/unseen.jsonl`, for the kind and, of questions, the topic: the bare classifier,
  before any rule of safety has spoken. What `banduong evaluate` prints is the whole bot and therefore differs.
- **PhoATIS**: the official split at syllable level, from the user's own clone (research licence, no part of this repository).
  Asked for the intent as it is written there; three intents of the test are never seen in training.
- **as written**, **no diacritics**, **teencode and slips**: accuracy in per cent on the same messages in three forms. The third has
  22 short forms, every "đ" as "d", and one letter in twenty left out, doubled, swapped or replaced (`bench/nlu/noise.py`).
- **out of scope, AUROC**: how often a message in scope scores higher than one outside. **refused**: per cent of messages outside that are
  refused where 95 % of those inside are kept. Ours: the probability of `out_of_scope`; outside are that label's rows of
  `nlu/eval/unseen.jsonl` and `nlu/eval/everyday.jsonl`. PhoATIS has no such label: the best probability; outside are our own rows.
- **train s**: from reading sentences to a saved model. **load s**: from starting a process to its first possible answer, imports included.
- **p50**, **p95**: one message after the other, as written. Embedded in its process, normaliser included; Rasa over HTTP on the same machine.
- **memory**: resident, of the process that answers, after all questions. **model**: its files (Rasa's is compressed).
  **install**: the packages that the embedded classifier needs; Rasa's whole environment.
- Rasa is fed the sentences as base intents without annotations, with the pipeline of `config.yml`; in DIET's pipeline its own classifier stands in.
  "5,000 of 41,666, 8 epochs" means that it learned from a stratified part, that often: its accuracy would be higher with all. Epochs are
  few because DIET learns slowly here: one over all our sentences with their copies would take twenty minutes.
- **folded copies**: with them, the embedded classifier reads a message folded and as written, as the bot does; without, as written alone.
- **measured**: the day, and the machine's load when the part began: processes that wanted a core. Above the number of cores the machine was
  busy with other things, and seconds and milliseconds are upper bounds, not comparable between rows; accuracies do not depend on it.
  A part that began right behind another still shows the load of that one: near 2 here. The machine of one day is not as quick as that of another.
"""


def key(data: str, backend: str, copies: str) -> str:
    return f"{data} / {backend} / {copies}"


def write(folder: Path, results: Results) -> None:
    """Both files anew, with what they held before."""
    known = keep(folder / "benchmarks.json", results)
    (folder / "benchmarks.md").write_text(page(known), encoding="utf-8")


def keep(path: Path, results: Results) -> Results:
    """Joins new results to those of `path`. A part that was not run leaves the figures of an earlier run alone."""
    known: Results = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    for name, result in results.items():
        if "accuracy" in result or "accuracy" not in known.get(name, {}):
            known[name] = result
    path.write_text(json.dumps(known, ensure_ascii=False, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return known


def page(results: Results) -> str:
    """The whole document."""
    extra = sorted({name.split(" / ")[0] for name in results} - set(DATA))
    parts = list(product((*DATA, *extra), BACKENDS, COPIES))
    rows = [_row(*part, results.get(key(*part), {"not_run": "nobody has run it yet"})) for part in parts]
    machines = sorted({_machine(result) for result in results.values() if "machine" in result})
    return "\n".join(
        [INTRODUCTION, _line(HEADINGS), _line(["---"] * len(HEADINGS)), *rows, "", *machines, EXPLANATION]
    ).replace("\n\n\n", "\n\n")


def _row(data: str, backend: str, copies: str, result: Mapping[str, Any]) -> str:
    name = [data, BACKENDS[backend], COPIES[copies]]
    if "not_run" in result:
        return _line([*name, f"not run: {result['not_run']}", *[""] * (len(HEADINGS) - 4)])
    return _line(
        [
            *name,
            _learned(result),
            *(f"{result['accuracy'][form]:.1f}" for form in FORMS),
            f"{result['auroc']:.3f}",
            f"{result['refused']:.0f} %",
            *(f"{result[column]:.1f}" for column in ("train_s", "load_s", "p50_ms", "p95_ms")),
            f"{result['memory_mb']:.0f}",
            f"{result['model_mb']:.1f}",
            f"{result['install_mb']:,.0f}",
            f"{result['date']}, load {result['machine']['load']}",
        ]
    )


def _learned(result: Mapping[str, Any]) -> str:
    whole, part = result["of"], result["learned_from"]
    told = f"{part:,}" if part == whole else f"{part:,} of {whole:,}"
    return f"{told}, {result['epochs']} epochs" if "epochs" in result else told


def _machine(result: Mapping[str, Any]) -> str:
    about = result["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in sorted(result["versions"].items()))
    return f"- {about['cpu']}, {about['cores']} cores, {about['ram_gb']} GB, {about['system']}; {versions}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
