"""Measures of understanding: by hand, against other people's code, and as they are told; and what `banduong nlu suggest` may show."""

import base64
import datetime as dt
import hashlib
import json
import random
import re
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, confusion_matrix, f1_score, precision_recall_fscore_support, roc_auc_score
from sklearn.preprocessing import MultiLabelBinarizer

from bot.app import App
from bot.cli import main
from bot.cli.evaluation import PAGE, _filled
from bot.errors import NluDataError, UsageError
from bot.store.database import open_database
from bot.unanswered import AT_LEAST
from bot.unanswered.kept import Questions
from bot.understanding.classifier import EmbeddedClassifier
from bot.understanding.evaluation import calibration, comparison, folds, measures
from bot.understanding.evaluation.report import page, told, worst
from bot.understanding.evaluation.rows import Outcome, Row, read_all, read_rows, row_of
from bot.understanding.nlu_data import KINDS, Example, read_examples, read_phrases
from bot.understanding.normalise import Normaliser
from bot.understanding.reading import Understanding
from bot.understanding.training import train
from tests.conftest import ROOT

CLOSE = 1e-9
MESSAGES = (  # of nobody; they are in none of the files
    ("emergency", None, "high", "cứu em với em bị nhốt ở Myawaddy, nó đánh em suốt", "diacritics"),
    ("emergency", None, None, "cuu em voi em bi nhot o Myawaddy, no danh em suot", "nodiacritics"),
    ("offer", None, "high", "có người quen trên facebook rủ qua Campuchia làm online lương 30 triệu, lo hết vé", "diacritics"),
    ("offer", None, "high", "co nguoi quen tren fb ru qua campuchia lam online lg 30tr lo het ve", "teencode"),
    ("question", "verify_agency", None, "làm sao tra giấy phép công ty xuất khẩu lao động?", "diacritics"),
    ("question", "verify_agency", None, "lam sao tra giay phep cong ty xuat khau lao dong", "nodiacritics"),
    ("question", "wages_withheld", None, "chủ nợ lương em ba tháng rồi không trả thì làm sao", "diacritics"),
    ("chat", "greet", None, "chào bạn nhé", "diacritics"),
    ("chat", "thanks", None, "cam on ban nhieu", "nodiacritics"),
    ("out_of_scope", None, None, "tối nay đội nào đá bóng vậy", "diacritics"),
    ("out_of_scope", None, None, "gia vang hom nay bao nhieu", "nodiacritics"),
    ("out_of_scope", None, None, "em bị nhốt ở nhà cứu em với", "diacritics"),  # labelled wrong: an error for sure
)  # fmt: skip

Pair = tuple[frozenset[str], frozenset[str]]


def outcome(labelled: str, read: str, sure: float = 0.9, **about: Any) -> Outcome:
    """One row with its label and what it was read as, as "question/topic", "offer" and so on."""
    kind, _, topic = labelled.partition("/")
    read_kind, _, read_topic = read.partition("/")
    found = {name: about.pop(name) for name in ("flags", "language", "candidates") if name in about}
    flags = dict.fromkeys(found.get("flags", ()), ("x",))
    reading = Understanding(
        found.get("language", "vi"), read_kind, read_topic or None, sure, found.get("candidates", ()), flags
    )
    risk, escalate, seconds = (
        about.pop("read_risk", None),
        about.pop("read_escalate", "none"),
        about.pop("seconds", 0.001),
    )
    given_flags = about.pop("given", None)
    row = Row("x", kind, topic=topic or None, flags=None if given_flags is None else frozenset(given_flags), **about)
    return Outcome(row, reading, risk, escalate, seconds)


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MESSAGES as a file of labelled rows."""
    path = tmp_path_factory.mktemp("rows") / "mine.jsonl"
    given: list[dict[str, Any]] = [
        {"id": f"m-{number}", "kind": kind, "topic": topic, "risk": risk, "text": text, "form": form, "language": "vi", "flags": []}
        for number, (kind, topic, risk, text, form) in enumerate(MESSAGES)
    ]  # fmt: skip
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in given), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def outcomes(rows: Path, reader: App) -> list[Outcome]:
    return list(read_all(read_rows(rows), reader.interpreter, reader.risk_of, reader.escalation_of))


@pytest.fixture
def home(tmp_path: Path, classifier: EmbeddedClassifier, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home in which the trained model already lies."""
    assert classifier.word_counts
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "model").symlink_to(ROOT / "var" / "model")
    monkeypatch.setenv("BANDUONG_HOME", str(folder))
    monkeypatch.delenv("BANDUONG_DATABASE_URL", raising=False)
    return folder


def run(*arguments: str, config: Path = ROOT / "config.yml") -> int:
    return main(["--config", str(config), *arguments])


# -- measures ----------------------------------------------------------------------------------------------------------


def test_each_measure_by_hand() -> None:
    """One row or two for each, so that the share can be told by looking."""
    found = measures.figures(
        [
            outcome("emergency", "emergency", escalate="urgent", read_escalate="urgent"),
            outcome("emergency", "emergency"),
            outcome("emergency", "question/other"),
            outcome("emergency", "report", escalate="urgent", read_escalate="offer"),
            outcome("report", "emergency", escalate="offer", read_escalate="urgent"),
            outcome("report", "question/other", escalate="offer"),
            outcome("offer", "offer", risk="low", read_risk="high", escalate="none", read_escalate="offer"),
            outcome("offer", "offer", risk="high", read_risk="low", escalate="offer"),
            outcome("offer", "question/other", risk="high", escalate="offer"),
            outcome("offer", "offer", risk="high", read_risk="high", escalate="offer", read_escalate="offer"),
            outcome("question/contract", "question/contract", slug="contract/a", candidates=(("minors/a", 0.5), ("contract/a", 0.4))),
            outcome("question/contract", "question/minors", slug="contract/a", candidates=(("minors/a", 0.5),)),
            outcome("chat/greet", "chat/thanks"),
        ]
    )  # fmt: skip
    assert {key: share.value for key, share in found.items()} == {
        "kind_acc": pytest.approx(8 / 13), "label_acc": pytest.approx(6 / 13),
        "topic_acc_questions": 0.5, "answer_acc_questions": 0.5, "topic_acc_chat": 0.0,
        "emergency_recall": 0.5, "emergency_precision": pytest.approx(2 / 3),
        "offer_risk_acc": 0.25, "low_false_alarm": 1.0, "high_miss": pytest.approx(1 / 3), "high_unwarned": pytest.approx(2 / 3),
        "escalate_acc": pytest.approx(2 / 8), "help_reached": pytest.approx(4 / 7),
        "language_acc": None, "flags_micro_f1": None, "flags_micro_f1_all_rows": None,
    }  # fmt: skip
    assert (found["high_unwarned"].of, found["language_acc"].of) == (3, 0)


LABELS = st.sampled_from(["offer", "report", "question/contract", "question/minors", "chat/greet"])
PAIRS = st.lists(st.tuples(LABELS, LABELS), min_size=1, max_size=40)


@given(PAIRS)
def test_intents_and_confusion_are_as_scikit_learn_has_them(pairs: list[tuple[str, str]]) -> None:
    """Precision, recall, F1 and support of each label, and the counts of each pair of kinds."""
    read = [outcome(*pair) for pair in pairs]
    labelled, found = [one.row.label for one in read], [one.label for one in read]
    ours = measures.intent_scores(read)
    names = [score.name for score in ours]
    assert set(names) == set(labelled) | set(found)
    theirs = precision_recall_fscore_support(labelled, found, labels=names, zero_division=0)
    values = [[score.precision or 0, score.recall or 0, score.f1 or 0, score.support] for score in ours]
    assert np.allclose(np.array(values).T, np.array(theirs))
    kinds = confusion_matrix([one.row.kind for one in read], [one.reading.kind for one in read], labels=KINDS)
    assert measures.confusion(read) == kinds.tolist()
    told_wrong = measures.confused(read)
    assert sum(count for _, _, count in told_wrong) == sum(not one.right for one in read)
    assert [count for _, _, count in told_wrong] == sorted((count for _, _, count in told_wrong), reverse=True)


FLAGS = st.frozensets(st.sampled_from(["minor", "urgency", "secrecy"]))


@given(st.lists(st.tuples(FLAGS, FLAGS), min_size=1, max_size=20))
def test_flags_are_as_scikit_learn_has_them(pairs: list[Pair]) -> None:
    """Micro F1, and the scores of each flag; rows of other kinds count only where all rows are meant."""
    read = [outcome("offer", "offer", given=given, flags=found) for given, found in pairs]
    stray = outcome("chat/greet", "chat/greet", given=(), flags=("minor",))
    found = measures.figures([*read, stray])
    assert found["flags_micro_f1"].of == len(pairs)
    for rows_of, share in (
        (pairs, found["flags_micro_f1"]),
        ([*pairs, (frozenset(), {"minor"})], found["flags_micro_f1_all_rows"]),
    ):
        binary = MultiLabelBinarizer(classes=["minor", "secrecy", "urgency"])
        given, ours = (binary.fit_transform([pair[side] for pair in rows_of]) for side in (0, 1))
        if share.value is not None:
            assert share.value == pytest.approx(f1_score(given, ours, average="micro", zero_division=0))
        else:
            assert not given.any()
            assert not ours.any()
    assert {score.name: score.support for score in measures.flag_scores(read)} == {
        flag: sum(flag in given for given, _ in pairs) for pair in pairs for side in pair for flag in side
    }  # fmt: skip


def test_forms_are_compared_with_full_diacritics() -> None:
    """Each form that occurs, in a fixed order, and how far it lies off; without rows in diacritics nothing is compared."""
    read = [outcome("offer", "offer", form="teencode"), outcome("offer", "report", form="teencode")]
    assert measures.differences(measures.by_form(read)) == {}
    forms = measures.by_form([*read, outcome("offer", "offer", form="diacritics")])
    assert list(forms) == ["diacritics", "teencode"]
    assert measures.differences(forms)["teencode"]["kind_acc"] == -0.5


def test_a_bad_row_is_named(tmp_path: Path) -> None:
    """The line that cannot be used, and what a row must be; a file without rows is no measure."""
    path = tmp_path / "rows.jsonl"
    for bad in ('{"text": "x"}', '{"text": "x", "kind": "cry"}', "[1]", "{"):
        path.write_text(f'{{"text": "x", "kind": "chat"}}\n\n{bad}\n', encoding="utf-8")
        with pytest.raises(NluDataError, match="line 3"):
            read_rows(path)
    path.write_text("\n", encoding="utf-8")
    with pytest.raises(NluDataError, match="no row"):
        read_rows(path)


# -- calibration -------------------------------------------------------------------------------------------------------


def test_the_error_of_calibration_by_hand() -> None:
    """Four readings in three bins: (0, 0.1] 2 of them with mean 0.05 and half right, and two of their own."""
    found = calibration.calibration([0.0, 0.1, 0.65, 1.0], [True, False, False, True])
    assert [(one.low, one.high, one.rows) for one in found.bins] == [(0.0, 0.1, 2), (0.6, 0.7, 1), (0.9, 1.0, 1)]
    assert found.ece == pytest.approx((2 * 0.45 + 0.65 + 0) / 4)
    assert [one.gap for one in found.bins] == pytest.approx([-0.45, 0.65, 0.0])
    assert found.adaptive == pytest.approx((1.0 + 0.1 + 0.65 + 0.0) / 4)  # ten bins of four readings: each alone


SURE = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60)


@given(SURE)
def test_reliability_is_as_scikit_learn_has_it(readings: list[tuple[float, bool]]) -> None:
    """Brier score and reliability; bins that hold all readings, of nearly the same size where they are to be."""
    sure, right = [one[0] for one in readings], [one[1] for one in readings]
    found = calibration.calibration(sure, right)
    assert found.brier == pytest.approx(brier_score_loss(right, sure, labels=[False, True]), abs=CLOSE)
    inner = [
        min(max(one, 1e-6), 1 - 1e-6) for one in sure if round(10 * one) != 10 * one
    ]  # at an edge they bin otherwise
    if len(inner) == len(sure):
        share, mean = calibration_curve(right, inner, n_bins=10)
        assert np.allclose([one.right for one in found.bins], share)
        assert np.allclose([one.confidence for one in found.bins], mean, atol=1e-5)
    for bins in (found.bins, found.adaptive_bins):
        assert sum(one.rows for one in bins) == len(sure)
    sizes = [one.rows for one in found.adaptive_bins]
    assert max(sizes) - min(sizes) <= 1
    assert abs(found.confidence - found.right) - CLOSE <= found.ece <= 1


@given(
    st.lists(st.sampled_from([-0.5, 0.0, 0.2, 0.9]), min_size=1),
    st.lists(st.sampled_from([-0.9, 0.0, 0.2]), min_size=1),
)
def test_auroc_is_as_scikit_learn_has_it(inside: list[float], outside: list[float]) -> None:
    """Ties among them; and at the threshold that is told, at least 95 of 100 are kept, and no higher one keeps as many."""
    theirs = roc_auc_score([1] * len(inside) + [0] * len(outside), [*inside, *outside])
    found = calibration.scope(inside, outside)
    assert found.auroc == pytest.approx(theirs)
    at = found.at_kept
    assert at.kept == pytest.approx(sum(score >= at.threshold for score in inside) / len(inside))
    assert at.kept >= 0.95
    assert sum(score > at.threshold for score in inside) / len(inside) < 0.95
    assert at.refused == pytest.approx(sum(score < at.threshold for score in outside) / len(outside))
    assert (found.points[0].kept, found.points[0].refused) == (1.0, 0.0)


def test_what_reads_as_out_of_scope_is_refused_first() -> None:
    """Its confidence counts downwards; without one of both sides there is nothing to tell."""
    read = [
        outcome("offer", "offer", 0.3),
        outcome("offer", "out_of_scope", 0.4),
        outcome("out_of_scope", "out_of_scope", 0.8),
        outcome("out_of_scope", "chat/greet", 0.35),
    ]
    found = calibration.scope_of(read)
    assert found
    at = {point.threshold: (point.kept, point.refused) for point in found.points}
    assert (at[-1.0], at[0.0], at[0.3], at[0.35], at[0.4]) == ((1, 0), (0.5, 0.5), (0.5, 0.5), (0, 0.5), (0, 1))
    assert found.auroc == 0.5
    assert calibration.scope_of(read[:2]) is None
    assert calibration.scope_of(read[2:]) is None


def test_the_kind_that_is_calibrated_worst_comes_first() -> None:
    """By what was read, since that is all that a threshold ever sees."""
    read = [outcome("offer", "report", 0.9), outcome("report", "report", 0.9), outcome("offer", "offer", 0.9)]
    found = calibration.by_kind_read(read)
    assert {kind: one.ece for kind, one in found.items()} == {"report": pytest.approx(0.4), "offer": pytest.approx(0.1)}
    assert list(found) == ["report", "offer"]


# -- comparison --------------------------------------------------------------------------------------------------------


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_as_scipy_has_it(one: int, other: int) -> None:
    """The exact test of rows that only one of two gets right."""
    theirs = binomtest(one, one + other).pvalue if one + other else 1.0
    assert comparison.mcnemar(one, other) == pytest.approx(theirs)


def test_a_duel_by_hand() -> None:
    """Each of the four cases once or more, and what a reader needs for a message."""
    right, wrong = outcome("offer", "offer", seconds=0.002), outcome("offer", "report", seconds=0.004)
    found = comparison.compare({"a": [right, right, right, wrong], "b": [right, wrong, wrong, wrong], "c": [wrong] * 4})
    duels = {(duel.first, duel.second): duel for duel in found.duels}
    assert set(duels) == {("a", "b"), ("a", "c"), ("b", "c")}
    assert duels["a", "b"] == comparison.Duel("a", "b", both=1, only_first=2, only_second=0, neither=1)
    assert duels["a", "b"].p == 0.5
    assert found.readers[0].answered_by == {"embedded": 4}
    assert list(asdict(found.readers[2].latency).values()) == pytest.approx([4.0, 4.0])


@pytest.fixture(scope="module")
def tenth(reader: App) -> Any:
    """Reads as the house does, with a model of a few sentences of each intent: something that is worse for sure."""
    by_intent: dict[str, list[Example]] = {}
    for example in read_examples(ROOT / "nlu" / "data"):
        by_intent.setdefault(example.intent, []).append(example)
    few = [example for of_intent in by_intent.values() for example in of_intent[:5]]
    phrases = read_phrases(ROOT / "nlu" / "data")[:50]
    return reader.interpreter_with(train(few, phrases, Normaliser.from_file(ROOT / "nlu" / "teencode.yml")))


def test_two_readers_are_told_apart(
    tenth: Any, home: Path, rows: Path, reader: App, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same rows through the model of all sentences and one of few: side by side in JSON and on the page, and the first is better."""
    readers = {"embedded": reader.interpreter, "tenth": tenth}
    monkeypatch.setattr(App, "interpreter_for", lambda _, name: readers[name])
    assert run("evaluate", "--compare", "embedded", "tenth", str(rows), "--json", "--report") == 0
    found = json.loads(capsys.readouterr().out)
    (duel,) = found["comparison"]["duels"]
    counts = [duel[name] for name in ("both", "only_first", "only_second", "neither")]
    assert sum(counts) == len(MESSAGES)
    assert duel["only_first"] > duel["only_second"]
    both = found["comparison"]["readers"]
    assert both["embedded"]["figures"] == found["figures"]
    assert both["tenth"]["figures"]["label_acc"]["value"] == pytest.approx(
        (counts[0] + counts[2]) / len(MESSAGES), abs=1e-4
    )
    assert both["tenth"]["by_form"]["diacritics"] != both["embedded"]["by_form"]["diacritics"]
    html = (home / PAGE).read_text(encoding="utf-8")
    assert _row(html, "answered by") == [f"embedded {len(MESSAGES)}"] * 2
    cells = _row(html, "embedded", tag="td")
    assert cells == ["embedded", "tenth", *map(str, counts), f"{duel['p']:.4f}"]


def test_an_unknown_backend_is_named(home: Path, rows: Path, capsys: pytest.CaptureFixture[str], reader: App) -> None:
    """And two times the same is no comparison."""
    assert run("evaluate", str(rows), "--compare", "embedded", "magic") == 2
    assert "'magic' is no backend" in capsys.readouterr().err
    assert run("evaluate", str(rows), "--compare", "embedded", "embedded") == 2
    assert "two different" in capsys.readouterr().err
    assert home.exists()
    assert reader.interpreter_for("embedded") is reader.interpreter
    with pytest.raises(UsageError):
        reader.interpreter_for("")


# -- the report --------------------------------------------------------------------------------------------------------


class Page(HTMLParser):
    """A page whose elements are all closed in their order; its ids, links to them, tables and what it would load."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.named: list[str] = []
        self.loads: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in ("meta", "line", "rect", "circle", "path", "polyline"):
            self.open.append(tag)
        for name, value in attrs:
            assert name != "style"
            assert not name.startswith("on")
            if name == "id":
                self.ids.append(value or "")
            if name in ("aria-labelledby", "href"):
                self.named += (value or "").replace("#", "").split()
            if name in ("src", "href") and not (value or "").startswith("#"):
                self.loads.append(value or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_stands_alone(outcomes: list[Outcome]) -> None:
    """Well-formed, every name leads somewhere, nothing is run or loaded, the style is allowed by its digest, pictures are XML with a
    title, and words of rows are words."""
    sly = Outcome(Row("<script>alert(1)</script>", "chat", topic="greet"), outcomes[0].reading, None, "none", 0.001)
    html = page(told("<rows>", [*outcomes, sly], [sly]), None)
    read = Page(html)
    assert len(set(read.ids)) == len(read.ids)
    assert set(read.named) <= set(read.ids)
    assert read.loads == []
    assert "script" not in read.tags
    assert "&lt;script&gt;alert(1)" in html
    style = re.search("<style>(.*)</style>", html, re.DOTALL)
    assert style
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"content=\"default-src 'none'; style-src 'sha256-{digest}'\"" in html
    pictures = [ElementTree.fromstring(svg) for svg in re.findall("<svg.*?</svg>", html, re.DOTALL)]
    assert len(pictures) == 3
    assert all(picture[0].tag.endswith("title") and picture.get("role") == "img" for picture in pictures)
    assert all("caption" in table for table in re.findall("<table.*?</table>", html, re.DOTALL))


def test_the_page_has_the_numbers_of_the_json(
    home: Path, rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Figures, confusion, intents, bins and thresholds in tables; and what is drawn is as long as its number."""
    file = tmp_path / "deep" / "page.html"
    assert run("evaluate", str(rows), "--report", str(file), "--json", "--errors", "1") == 0
    said = capsys.readouterr()
    found = json.loads(said.out)
    assert said.out.count("\n") == 1
    assert str(file) in said.err
    assert not (home / PAGE).exists()
    html = file.read_text(encoding="utf-8")
    for key, one in found["figures"].items():
        assert _row(html, measures.TITLES[key])[:2] == [_number(one["value"]), str(one["of"])]
    for kind, counts in zip(found["kinds"], found["confusion"], strict=True):
        assert [str(count) for count in counts] in _rows(html, kind)
    for one in found["intents"]:
        values = [_number(one[name]) for name in ("precision", "recall", "f1")]
        assert [*values, str(one["support"])] in _rows(html, one["name"])
    for point in found["out_of_scope"]["points"]:
        assert _row(html, f"{point['threshold']:.2f}", tag="td")[1:] == [
            _number(point["kept"]),
            _number(point["refused"]),
        ]
    whole = found["calibration"]
    assert f"{whole['ece']:.3f} over bins of equal width, {whole['adaptive']:.3f} over" in html
    heat, reliability, scope = (ElementTree.fromstring(svg) for svg in re.findall("<svg.*?</svg>", html, re.DOTALL))
    bars = [float(one.get("height", 0)) / 300 for one in reliability.iter() if one.get("class") == "bar"]
    assert bars == pytest.approx([one["right"] for one in whole["bins"]], abs=1e-3)
    assert [int(text.text or 0) for text in heat.iter() if (text.text or "").isdecimal()] == [
        count for row in found["confusion"] for count in row
    ]
    (refused,) = (one for one in scope.iter() if one.get("class") == "other" and one.get("points"))
    heights = [(310 - float(point.split(",")[1])) / 300 for point in refused.get("points", "").split()]
    assert heights == pytest.approx([one["refused"] for one in found["out_of_scope"]["points"][1:]], abs=1e-3)
    (error,) = found["errors"]
    assert error["confidence"] == max(one["confidence"] for one in found["errors"])
    assert error["text"] in html


def test_the_surest_error_comes_first() -> None:
    """Only wrong rows, at most as many as are wanted."""
    read = [outcome("offer", "report", sure) for sure in (0.3, 0.8, 0.5)]
    found = worst([outcome("offer", "offer", 1.0), *read], 100)
    assert [one.reading.confidence for one in found] == [0.8, 0.5, 0.3]
    assert worst(read, 1) == found[:1]
    assert worst(read, 0) == []


def test_errors_of_unseen_rows_are_only_counted(
    home: Path, rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither in tables nor in JSON nor on the page is any of their texts, and why is told; asked for by name they are shown."""
    config = _project(tmp_path, home)
    shutil.copy(rows, config.parent / "nlu" / "eval" / "unseen.jsonl")
    texts = [message[3] for message in MESSAGES]
    assert run("evaluate", "--report", config=config) == 0
    said = capsys.readouterr().out
    shown = said + (home / PAGE).read_text(encoding="utf-8")
    assert not any(text in shown for text in texts)
    assert shown.count("--show-errors") == 2
    assert run("evaluate", "--json", "--show-errors", config=config) == 0
    errors = json.loads(capsys.readouterr().out)["errors"]
    assert errors
    assert all(error["text"] in texts for error in errors)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("--report", "--report="),
        ("--report x.html rows.jsonl", "--report=x.html rows.jsonl"),
        ("--report rows.jsonl", "--report= rows.jsonl"),
        ("--report --json", "--report= --json"),
        ("--cross-validate", "--cross-validate=5"),
        ("--cross-validate 3 --json", "--cross-validate=3 --json"),
        ("rows.jsonl --cross-validate --json", "rows.jsonl --cross-validate=5 --json"),
    ],
)
def test_a_value_may_be_left_out(typed: str, meant: str) -> None:
    """What follows is the value only if it is one: a page, or a number of folds."""
    assert (
        " ".join(_filled(typed.split())).replace("--report ", "--report=").replace("date ", "date=").rstrip() == meant
    )


# -- cross-validation --------------------------------------------------------------------------------------------------


def test_near_copies_stay_together() -> None:
    """The same words, and sentences that differ in a word; what only shares a phrase stays apart. A copy of a copy belongs to both."""
    texts = ["em muon di han quoc lam viec", "em muon di han quoc lam viec", "em muon di nhat ban lam thue", "alo", "alo",
             "em muon di han quoc lam thue", "em muon di han quoc lam thue nha"]  # fmt: skip
    groups = folds.near_copies(texts).tolist()
    assert groups[0] == groups[1] == groups[5] == groups[6]
    assert groups[3] == groups[4]
    assert len({groups[0], groups[2], groups[3]}) == 3


TINY = {
    "offer/high": "rủ đi {} làm công ty lương 40 triệu không cần bằng cấp",
    "report": "có đường dây gom người đưa qua {} trái phép xin báo",
    "emergency": "cứu em với em bị nhốt ở {} không cho ra ngoài",
    "chat/greet": "chào bạn mình là người {} đây nha",
    "out_of_scope": "thời tiết hôm nay ở {} thế nào mưa hay nắng",
    "wages_withheld/unpaid": "chủ xưởng {} nợ lương em mấy tháng chưa trả đồng nào",
}  # fmt: skip
PLACES = "Lào Thái Đài_Loan Hàn_Quốc Nhật_Bản Malaysia Vinh Huế Sapa Campuchia Nga Séc".split()
PLANTED = "thời tiết hôm nay với ngày mai thế nào mưa hay nắng vậy"


def test_folds_of_a_tiny_folder(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every sentence is read once, by a model that learned neither it nor a near copy; the one under a wrong intent is found."""
    config = _project(tmp_path, home)
    _write(config, {**_tiny(), "chat/greet": [*_tiny()["chat/greet"], PLANTED]})
    assert run("evaluate", "--cross-validate", "2", "--json", config=config) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["n"] == len(TINY) * len(PLACES) + 1
    assert len(found["folds"]) == 2
    assert {one["key"] for one in found["spreads"]} == set(folds.MEASURED)
    assert (PLANTED, "chat/greet", "out_of_scope") in {
        (one["text"], one["id"], one["read"]) for one in found["elsewhere"]
    }
    for one in found["spreads"]:
        values = [fold[one["key"]] for fold in found["folds"]]
        assert (one["mean"], one["deviation"]) == (pytest.approx(np.mean(values)), pytest.approx(np.std(values)))


def test_no_model_has_learned_a_near_copy(reader: App) -> None:
    """A word that only near copies have is unknown to the model that reads them, in whichever fold they lie."""
    ends = ("tháng nay", "tháng rồi", "tháng", "thang ne", "tháng nha", "thang a", "tháng ạ", "thang nhe")
    copies = [f"ở xưởng gỗ zuzu chủ nợ lương em bốn {end}" for end in ends]
    examples = [Example(intent, text) for intent, texts in _tiny().items() for text in texts]
    examples += [Example("wages_withheld/unpaid", text) for text in copies]
    phrases = read_phrases(ROOT / "nlu" / "data")[::100]
    known: list[set[str]] = []

    def reader_of(classifier: EmbeddedClassifier) -> Any:
        known.append(set(classifier.word_counts))
        return reader.interpreter_with(classifier)

    normaliser = Normaliser.from_file(ROOT / "nlu" / "teencode.yml")
    found = list(folds.cross_validate(examples, phrases, normaliser, reader_of, 2, lambda *_: None))
    where = ["zuzu" in {word for one in fold.outcomes for word in one.row.text.split()} for fold in found]
    assert sorted(where) == [False, True]
    assert [("zuzu" in words) for words in known] == [not here for here in where]
    assert sum(len(fold.outcomes) for fold in found) == len(examples)


def test_too_few_sentences_for_folds_are_told(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the name of the intent; and rows or a page make no sense beside it."""
    config = _project(tmp_path, home)
    _write(config, {**_tiny(), "report": _tiny()["report"][:6]})
    assert run("evaluate", "--cross-validate", "2", config=config) == 2
    assert "report: too few different sentences for 2 folds" in capsys.readouterr().err
    assert run("evaluate", "--cross-validate", "--report", config=config) == 2
    assert "leave out" in capsys.readouterr().err


def test_training_sentences_are_rows(reader: App) -> None:
    """With the label that the classifier learns, so that each is right where the model says what it was taught."""
    for intent, label in (
        ("offer/high", "offer"),
        ("contract/a", "contract"),
        ("chat/greet", "chat/greet"),
        ("report", "report"),
    ):
        assert row_of(Example(intent, "x")).label == label
    assert row_of(Example("contract/a", "x")).slug == "contract/a"
    assert reader.library


# -- suggest -----------------------------------------------------------------------------------------------------------

ASKED = ("lam", "sao", "tra", "giay", "phep", "cong", "ty")
OTHERS = ("mang", "thuoc", "tay", "khi", "di", "xa")


def _ask(home: Path, **people: Sequence[str]) -> None:
    """As many people as there are names, each with the words of a question."""
    database = open_database(f"sqlite:///{home / 'banduong.db'}", home)
    questions, now = Questions(), dt.datetime.now(dt.UTC)
    for person, words in people.items():
        questions.add(person, tuple(words), now)
    assert questions.keep(database, now) == len(people)
    database.close()


def test_what_eleven_people_ask_is_suggested(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the nearest intents; what only ten ask is nowhere, neither in words nor as a block."""
    people = {f"a{i}": ASKED for i in range(AT_LEAST)} | {f"b{i}": OTHERS for i in range(AT_LEAST - 1)}
    _ask(home, **people)
    assert run("nlu", "suggest") == 0
    said = capsys.readouterr().out
    assert "11-20 people" in said
    assert " ".join(ASKED) in said
    assert "thuoc" not in said
    hints = [(name, float(p)) for name, p in re.findall(r"(\S+) (0\.\d\d|1\.00)", said.split("nearest:")[1])]
    assert len(hints) == 3
    assert hints[0][0] == "verify_agency/check_licence"
    assert hints[0][1] > 0.5
    assert [p for _, p in hints] == sorted((p for _, p in hints), reverse=True)
    assert {name for name, _ in hints} <= {example.intent for example in read_examples(ROOT / "nlu" / "data")} | {
        "offer"
    }
    assert run("nlu", "suggest", "--yaml") == 0
    block = yaml.safe_load(capsys.readouterr().out)
    assert block == {"version": "3.1", "nlu": [{"intent": None, "examples": f"- {' '.join(ASKED)}\n"}]}


def test_nothing_to_suggest_is_told(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither of an empty store nor of eleven people who ask two things."""
    for _ in range(2):
        assert run("nlu", "suggest", "--yaml") == 0
        said = capsys.readouterr()
        assert said.out == ""
        assert "no question without an answer" in said.err
        if _ == 0:
            _ask(home, **{f"a{i}": ASKED for i in range(AT_LEAST - 1)}, b=OTHERS)


# -- helpers -----------------------------------------------------------------------------------------------------------


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _rows(html: str, name: str) -> list[list[str]]:
    """The cells of each table row with this heading, without what stands small under a number."""
    found = re.findall(rf'<tr><th scope="row">{re.escape(name)}</th>(.*?)</tr>', html, re.DOTALL)
    return [[_cell(cell) for cell in re.findall("<td[^>]*>(.*?)</td>", row, re.DOTALL)] for row in found]


def _row(html: str, name: str, tag: str = "th") -> list[str]:
    """The first row with this heading, or with `td` this first cell."""
    if tag == "th":
        return _rows(html, name)[0]
    rows = [
        [_cell(cell) for cell in re.findall("<td[^>]*>(.*?)</td>", row, re.DOTALL)]
        for row in re.findall("<tr>(.*?)</tr>", html, re.DOTALL)
    ]
    return next(row for row in rows if row and row[0] == name)


def _cell(html: str) -> str:
    return re.sub("<small.*", "", html, flags=re.DOTALL).strip()


def _project(tmp_path: Path, home: Path) -> Path:
    """A copy of config.yml, content/ and nlu/ without labelled rows; its config.yml."""
    folder = tmp_path / "project"
    folder.mkdir()
    shutil.copy(ROOT / "config.yml", folder)
    (folder / "content").symlink_to(ROOT / "content")
    shutil.copytree(ROOT / "nlu", folder / "nlu", ignore=shutil.ignore_patterns("*.jsonl"))
    assert home.parent == tmp_path
    return folder / "config.yml"


def _tiny() -> dict[str, list[str]]:
    return {intent: [_varied(text, place, i) for i, place in enumerate(PLACES)] for intent, text in TINY.items()}


def _varied(text: str, place: str, number: int) -> str:
    """In an order of its own, so that it is no near copy of its neighbours."""
    words = text.format(place.replace("_", " ")).split()
    random.Random(number).shuffle(words)
    return " ".join(words)


def _write(config: Path, intents: dict[str, list[str]]) -> None:
    data = config.parent / "nlu" / "data"
    shutil.rmtree(data)
    data.mkdir()
    entries = [
        {"intent": intent, "examples": "".join(f"- {text}\n" for text in texts)} for intent, texts in intents.items()
    ]
    phrases = {"no_skills_needed": "không cần bằng cấp", "restricted_movement": "bị nhốt không cho ra"}
    lookups = [{"lookup": flag, "examples": f"- {phrase}\n"} for flag, phrase in phrases.items()]
    (data / "tiny.yml").write_text(yaml.safe_dump({"nlu": [*entries, *lookups]}, allow_unicode=True), encoding="utf-8")
