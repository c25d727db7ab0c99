"""Evidence becomes a kind by fitted weights: chances that sum to one, a file that is checked, and a fit that finds what tells kinds apart."""

import shutil
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bot.app import App
from bot.errors import NluDataError
from bot.understanding.decision import Decision
from bot.understanding.fitting import BLOCK, FOLDS, fit, folds, weigh
from bot.understanding.nlu_data import KINDS, Example, read_examples
from tests.conftest import ROOT

SHIPPED = Decision.load(ROOT / "nlu")
NAMES = st.sampled_from([*SHIPPED.weights, "a flag of tomorrow"])


@given(st.dictionaries(NAMES, st.floats(-12, 12)))
def test_chances_are_probabilities(evidence: dict[str, float]) -> None:
    chances = SHIPPED.chances(evidence)
    assert tuple(chances) == KINDS
    assert all(0 <= p <= 1 for p in chances.values())
    assert sum(chances.values()) == pytest.approx(1)


def test_evidence_without_a_weight_says_nothing() -> None:
    """A new flag changes nothing until the weights are fitted again."""
    assert SHIPPED.chances({"asks": 1.0, "flag: of_tomorrow": 1.0}) == SHIPPED.chances({"asks": 1.0})


def test_the_best_label_is_of_the_kind() -> None:
    labels = {"contract": 0.3, "fees_deposit": 0.1, "offer": 0.6}
    name, share = Decision((0.0,) * 6, {}, 1.0).best_within("question", labels)
    assert name == "contract"
    assert share == pytest.approx(0.75)
    assert Decision((0.0,) * 6, {}, 2.0).best_within("question", labels)[1] == pytest.approx(0.9)


def test_what_is_kept_is_read_again(tmp_path: Path) -> None:
    SHIPPED.save(tmp_path)
    assert Decision.load(tmp_path) == SHIPPED
    assert (tmp_path / "decision.yml").read_bytes() == (ROOT / "nlu" / "decision.yml").read_bytes()


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        (None, "is missing"),
        ("kinds: [question]\n", "cannot be read"),
        ("start: [", "cannot be read"),
        ("[]\n", "cannot be read"),
        ("kinds: [question, offer, report, emergency, chat, out_of_scope]\nsharpness: 1\nstart: [0, 0]\nweights: {}\n", "cannot be read"),
        ("kinds: [question, offer, report, emergency, chat, out_of_scope]\nsharpness: 1\nstart: [0, 0, 0, 0, 0, .nan]\nweights: {}\n", "cannot be read"),
    ],
)  # fmt: skip
def test_a_bad_file_is_refused_with_what_to_do(written: str | None, reason: str, tmp_path: Path) -> None:
    if written is not None:
        (tmp_path / "decision.yml").write_text(written, encoding="utf-8")
    with pytest.raises(NluDataError, match=rf"decision\.yml {reason}.+banduong nlu fit"):
        Decision.load(tmp_path)


def test_the_weights_find_what_tells_kinds_apart() -> None:
    """Each kind shows evidence of its own, and all of them some that says nothing."""
    labels = ("contract", "offer", "report", "emergency", "chat/greet", "out_of_scope")
    rows = [({label: 1.0, "noise": float(n % 2)}, dict.fromkeys(labels, 0.1)) for n in range(40) for label in labels]
    decision = weigh(rows, [label for _ in range(40) for label in labels])
    for label, kind in zip(labels, KINDS, strict=True):
        assert decision.chances({label: 1.0})[kind] > 0.7


def test_neighbours_are_held_out_together() -> None:
    """Sentences that stand together are often of one writer."""
    parts = folds([Example("report", f"sentence {n}") for n in range(90)])
    assert set(parts) == set(range(FOLDS))
    assert all(parts[n] == parts[n + 1] for n in range(14))


PART = ("emergency", "report", "offer/high", "chat/greet", "out_of_scope", "fees_deposit/home_job_fee")


@pytest.fixture(scope="module")
def fitted(reader: App, tmp_path_factory: pytest.TempPathFactory) -> Decision:
    """Fitted on a small part of nlu/data."""
    folder = tmp_path_factory.mktemp("nlu")
    (folder / "data").mkdir()
    shutil.copy(ROOT / "nlu" / "teencode.yml", folder)
    kept: dict[str, list[str]] = {}
    for example in read_examples(ROOT / "nlu" / "data"):
        if example.intent in PART and len(kept.setdefault(example.intent, [])) < 4 * BLOCK:
            kept[example.intent].append(example.text)
    rows = [{"intent": name, "examples": "".join(f"- {text}\n" for text in texts)} for name, texts in kept.items()]
    (folder / "data" / "part.yml").write_text(
        yaml.safe_dump({"version": "3.1", "nlu": rows}, allow_unicode=True), "utf-8"
    )
    told: list[str] = []
    decision = fit(folder, reader.library, told.append)
    assert len(told) == FOLDS
    return decision


def test_what_is_fitted_reads_the_evidence_as_people_would(fitted: Decision) -> None:
    """The model's own opinion speaks for its kind."""
    for place, kind in enumerate(KINDS):
        own = fitted.weights[f"model: {kind}"]
        assert own[place] > max(own) - 0.05, kind


def test_without_its_weights_the_bot_does_not_start(reader: App, tmp_path: Path) -> None:
    """Better told at the start than read by chance."""
    shutil.copytree(ROOT / "nlu", tmp_path / "nlu", ignore=shutil.ignore_patterns("data", "eval"))
    (tmp_path / "nlu" / "decision.yml").unlink()
    with pytest.raises(NluDataError, match=r"decision\.yml is missing"):
        Decision.load(tmp_path / "nlu")
    assert reader.interpreter
