"""The model is two plain files made from nlu/data and nothing else; and nlu/data keeps its own rules."""

import gc
import json
import pickle
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

from bot.errors import ModelError, NluDataError
from bot.letters import fold
from bot.understanding.classifier import Classification, EmbeddedClassifier
from bot.understanding.nlu_data import read_examples, read_phrases
from bot.understanding.normalise import Normaliser
from bot.understanding.training import fingerprint, load_or_train
from tests.conftest import ROOT, SHARED

INTENTS = {
    "offer/high": ("[lương 20 triệu](unrealistic_pay) bên Lào", "qua cam làm online [lương 1000 đô](unrealistic_pay)",
                   "[không cần bằng cấp](no_skills_needed) đi Thái", "việc nhẹ [khỏi bằng cấp](no_skills_needed) bên Lào",
                   "rủ đi Thái [lương 30 triệu](unrealistic_pay)", "đi Myanmar [không cần kinh nghiệm](no_skills_needed)"),
    "report": ("em gái tôi mất liên lạc", "người ta gom người đưa đi chui", "nó giữ giấy tờ của bạn em",
               "quán kia nhốt nhân viên", "chủ quỵt lương cả nhóm"),
    "emergency": ("cứu em với", "em bị nhốt rồi", "họ đánh em", "không ra ngoài được", "cửa khóa có người canh"),
    "chat/greet": ("chào bạn", "xin chào", "alo", "chào em", "hello bạn"),
    "out_of_scope": ("thời tiết hôm nay", "giá vàng", "kết quả xổ số", "nấu canh chua", "bóng đá tối nay"),
}  # fmt: skip
QUESTIONS = ("em bị nhốt rồi cứu với", "qua Lào lương 20 triệu không cần bằng cấp", "chào bạn nha", "giá vàng hôm nay")
FEWEST_WORDS = 4  # shorter sentences may well occur to two people

Damage = Callable[[Path], None]


@pytest.fixture
def nlu(tmp_path: Path) -> Path:
    """A tiny nlu folder of our own."""
    folder = tmp_path / "nlu"
    (folder / "data").mkdir(parents=True)
    shutil.copy(ROOT / "nlu" / "teencode.yml", folder / "teencode.yml")
    _write(folder / "data" / "tiny.yml", INTENTS)
    return folder


@pytest.fixture
def model(tmp_path: Path, nlu: Path) -> Path:
    """The folder of the model that was learned from it."""
    folder = tmp_path / "model"
    load_or_train(nlu, folder, _silent)
    return folder


def test_the_model_is_two_plain_files(model: Path) -> None:
    """JSON and arrays; no array holds objects, so nothing needs unpickling. (A lock beside them is empty.)"""
    assert {path.name for path in model.iterdir() if path.stat().st_size} == {"model.json", "model.npz"}
    assert isinstance(json.loads((model / "model.json").read_text(encoding="utf-8")), dict)
    with np.load(model / "model.npz", allow_pickle=False) as arrays:
        assert {arrays[name].dtype.kind for name in arrays.files} == {"f"}


def test_a_loaded_model_gives_the_same_results(tmp_path: Path, nlu: Path) -> None:
    """What was learned and what is loaded again answer alike, without learning twice."""
    told: list[str] = []
    learned = load_or_train(nlu, tmp_path / "model", told.append)
    loaded = load_or_train(nlu, tmp_path / "model", told.append)
    assert len(told) == 1
    spelling = Normaliser.from_file(nlu / "teencode.yml")
    for question in QUESTIONS:
        plain = spelling.plain(question)
        assert _rounded(next(loaded.classify(plain))) == _rounded(next(learned.classify(plain)))
        assert loaded.tagger.read(plain).keys() == learned.tagger.read(plain).keys()
    assert loaded.word_counts == learned.word_counts


def test_learning_twice_gives_the_same_model(tmp_path: Path, nlu: Path) -> None:
    """Chance has no part in it."""
    spelling = Normaliser.from_file(nlu / "teencode.yml")
    first, second = (load_or_train(nlu, tmp_path / name, _silent) for name in ("one", "two"))
    for question in QUESTIONS:
        one, other = (_rounded(next(model.classify(spelling.plain(question)))) for model in (first, second))
        assert one == pytest.approx(other, abs=1e-3)  # threads add up in another order


def test_the_tiny_model_has_learned_something(model: Path, nlu: Path) -> None:
    """A sentence of the data is put where it belongs, and its flag is seen."""
    loaded = EmbeddedClassifier.load(model, fingerprint(nlu))
    assert loaded is not None
    plain = Normaliser.from_file(nlu / "teencode.yml").plain("qua cam làm online lương 1000 đô")
    labels = next(loaded.classify(plain)).labels
    assert max(labels, key=lambda name: labels[name]) == "offer"
    assert loaded.tagger.read(plain)["unrealistic_pay"].margin > loaded.tagger.read(plain)["no_skills_needed"].margin


def test_two_intents_and_one_flag_are_enough(nlu: Path, tmp_path: Path) -> None:
    """scikit-learn keeps one row for two classes; ours has one for each."""
    others = [text for text in INTENTS["offer/high"] if "no_skills" not in text]
    offers = (*others, *(f"rủ đi {place} [lương 25 triệu](unrealistic_pay)" for place in ("Lào", "Miến", "Cam")))
    _write(nlu / "data" / "tiny.yml", {"offer/high": offers, "report": INTENTS["report"]})
    model = load_or_train(nlu, tmp_path / "two", _silent)
    spelling = Normaliser.from_file(nlu / "teencode.yml")
    offer, report = (spelling.plain(text) for text in ("đi Lào lương 20 triệu", "em gái tôi mất liên lạc"))
    for plain, label in ((offer, "offer"), (report, "report")):
        labels = next(model.classify(plain)).labels
        assert max(labels, key=lambda name: labels[name]) == label
    margins = [model.tagger.read(plain)["unrealistic_pay"].margin for plain in (offer, report)]
    assert margins[0] > 0 > margins[1]


@pytest.mark.parametrize("changed", ["data/tiny.yml", "data/more.yml", "teencode.yml"])
def test_changed_data_are_learned_anew(changed: str, nlu: Path, model: Path) -> None:
    """A sentence more, a file more or another short form makes another model."""
    before = fingerprint(nlu)
    told: list[str] = []
    _change(nlu / changed)
    assert fingerprint(nlu) != before
    assert EmbeddedClassifier.load(model, fingerprint(nlu)) is None
    load_or_train(nlu, model, told.append)
    assert len(told) == 1
    assert EmbeddedClassifier.load(model, fingerprint(nlu)) is not None


def test_a_removed_file_is_noticed(nlu: Path) -> None:
    """The fingerprint is that of everything there is."""
    _change(nlu / "data" / "more.yml")
    with_it = fingerprint(nlu)
    (nlu / "data" / "more.yml").unlink()
    assert fingerprint(nlu) != with_it


def test_no_model_is_no_error(tmp_path: Path) -> None:
    """An empty folder, or arrays without their JSON (a save that broke off), hold no model."""
    assert EmbeddedClassifier.load(tmp_path, "any") is None
    (tmp_path / "model.npz").write_bytes(b"half")
    assert EmbeddedClassifier.load(tmp_path, "any") is None


def _cut_json(folder: Path) -> None:
    text = (folder / "model.json").read_text(encoding="utf-8")
    (folder / "model.json").write_text(text[: len(text) // 2], encoding="utf-8")


def _list_for_json(folder: Path) -> None:
    (folder / "model.json").write_text("[1, 2]", encoding="utf-8")


def _binary_json(folder: Path) -> None:
    (folder / "model.json").write_bytes(b"\xff\xfe\x00")


def _json_without(key: str) -> Damage:
    def damage(folder: Path) -> None:
        about = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        del about[key]
        (folder / "model.json").write_text(json.dumps(about), encoding="utf-8")

    damage.__name__ = f"json_without_{key}"
    return damage


def _no_arrays(folder: Path) -> None:
    (folder / "model.npz").unlink()


def _empty_arrays(folder: Path) -> None:
    (folder / "model.npz").write_bytes(b"")


def _cut_arrays(folder: Path) -> None:
    content = (folder / "model.npz").read_bytes()
    (folder / "model.npz").write_bytes(content[: len(content) // 2])


def _garbled_arrays(folder: Path) -> None:
    content = bytearray((folder / "model.npz").read_bytes())
    for place in range(2000, len(content) // 2, 997):
        content[place] ^= 0xFF
    (folder / "model.npz").write_bytes(bytes(content))


def _text_for_arrays(folder: Path) -> None:
    (folder / "model.npz").write_text("not arrays at all", encoding="utf-8")


def _arrays_missing_one(folder: Path) -> None:
    with np.load(folder / "model.npz") as arrays:
        kept = {name: arrays[name] for name in arrays.files if name != "flag_weights"}
    with (folder / "model.npz").open("wb") as file:
        np.savez(file, **kept)


DAMAGES: tuple[Damage, ...] = (
    _cut_json, _list_for_json, _binary_json, _json_without("labels"), _json_without("vocabularies"), _json_without("word_counts"),
    _no_arrays, _empty_arrays, _cut_arrays, _garbled_arrays, _text_for_arrays, _arrays_missing_one,
)  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__.strip("_"))
def test_a_damaged_model_is_refused_with_what_to_do(damage: Damage, model: Path, nlu: Path) -> None:
    """The error names the file and the mend, in one sentence; nothing half-read is used, no file left open."""
    damage(model)
    with pytest.raises(ModelError, match=r"model\.(?:json|npz) is damaged: delete .+ and run `banduong train`"):
        EmbeddedClassifier.load(model, fingerprint(nlu))
    gc.collect()  # a file left open would be told here


class _Trap:
    """When unpickled, it leaves a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., None], tuple[str]]:
        return _spring, (str(self.path),)


def _spring(path: str) -> None:
    Path(path).write_text("sprung", encoding="utf-8")


def test_a_pickle_is_never_opened(model: Path, nlu: Path, tmp_path: Path) -> None:
    """Arrays that hold a pickled object are refused, and nothing in them runs."""
    sprung = tmp_path / "sprung"
    with np.load(model / "model.npz") as arrays:
        kept = {name: arrays[name] for name in arrays.files}
    kept["flag_weights"] = np.array([_Trap(sprung)], dtype=object)
    with (model / "model.npz").open("wb") as file:
        np.savez(file, **kept)
    with pytest.raises(ModelError, match="is damaged"):
        EmbeddedClassifier.load(model, fingerprint(nlu))
    assert not sprung.exists()


def test_a_bare_pickle_is_never_opened(model: Path, nlu: Path, tmp_path: Path) -> None:
    """A file that is nothing but a pickle is refused too."""
    sprung = tmp_path / "sprung"
    (model / "model.npz").write_bytes(pickle.dumps(_Trap(sprung)))
    with pytest.raises(ModelError, match="is damaged"):
        EmbeddedClassifier.load(model, fingerprint(nlu))
    assert not sprung.exists()


def test_the_trap_works(tmp_path: Path) -> None:
    """The two tests above would notice an unpickling."""
    pickle.loads(pickle.dumps(_Trap(tmp_path / "sprung")))
    assert (tmp_path / "sprung").exists()


def test_thin_intents_are_refused_by_name(nlu: Path, tmp_path: Path) -> None:
    """Four sentences are too few to learn from; the error names the intent and the number."""
    _write(nlu / "data" / "thin.yml", {"fees_deposit/receipt": ("một câu", "hai câu", "ba câu", "bốn câu")})
    with pytest.raises(NluDataError, match=r"fees_deposit/receipt: needs at least 5 sentences"):
        load_or_train(nlu, tmp_path / "model", _silent)
    assert not (tmp_path / "model" / "model.json").exists()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("nlu:\n- intent: a\n  examples: |\n    no bullet\n", "must begin with '- '"),
        ("nlu:\n- intent: a\n  examples: [x]\n", "needs a block that starts with"),
        ("nlu:\n- examples: |\n    - x\n", "has no 'intent:'"),
        ("nlu:\n- intent: a\n  examples: |\n    - đi [Lào](country\n", "is not closed"),
        ("nlu:\n - intent: [\n", "not valid YAML"),
        ("version: '3.1'\n", "needs a list under 'nlu:'"),
    ],
)
def test_broken_data_are_named(content: str, told: str, nlu: Path) -> None:
    """Each error says which file and what to mend."""
    (nlu / "data" / "broken.yml").write_text(content, encoding="utf-8")
    with pytest.raises(NluDataError, match=r"broken\.yml") as raised:
        read_examples(nlu / "data")
    assert told in str(raised.value)


def test_an_empty_data_folder_is_named(tmp_path: Path) -> None:
    """Without data there is nothing to learn, and the error says so."""
    with pytest.raises(NluDataError, match="holds no training data"):
        read_examples(tmp_path)


def test_annotations_are_cut_out_of_the_text(nlu: Path) -> None:
    """The sentence is what a person would write; the flag stands beside it with its place."""
    first = next(example for example in read_examples(nlu / "data") if example.spans)
    span = first.spans[0]
    assert first.text == "lương 20 triệu bên Lào"
    assert (first.text[span.start : span.end], span.entity) == ("lương 20 triệu", "unrealistic_pay")
    assert first.label == "offer"


# -- the real nlu/data ----------------------------------------------------------------------------------------------------


def test_nlu_data_need_nothing_but_yaml() -> None:
    """Each file is plain YAML in Rasa's layout, and our reader finds every line that PyYAML finds."""
    lines = [line for _, line in _raw_lines() if line.strip()]
    assert len(lines) == len(read_examples(ROOT / "nlu" / "data")) + len(read_phrases(ROOT / "nlu" / "data"))
    assert len(lines) > 5000


def test_every_annotation_is_closed() -> None:
    """Brackets stand only in whole annotations: [words](flag)."""
    broken = [
        f"{name}: {line}"
        for name, line in _raw_lines()
        if re.search(r"[\[\]]", re.sub(r"\[[^\[\]]+\]\([a-z_]+\)", "", line))
    ]
    assert broken == []


def test_no_sentence_of_the_evaluation_is_learned() -> None:
    """nlu/eval stays unseen, in any spelling."""
    learned = {_folded(example.text) for example in read_examples(ROOT / "nlu" / "data")}
    seen = [
        text
        for path in sorted((ROOT / "nlu" / "eval").glob("*.jsonl"))
        for text in _texts(path)
        if len(text.split()) > 1 and _folded(text) in learned  # one word ("menu") is everybody's
    ]
    assert seen == []


@pytest.mark.skipif(
    not (SHARED / "eval" / "dev.jsonl").exists(), reason="the shared evaluation rows are not on this machine"
)
def test_no_sentence_of_the_shared_evaluation_is_learned() -> None:
    """None of its texts of four words or more stands in nlu/data, not even within a longer sentence."""
    learned = "".join(f"\n {_folded(example.text)} \n" for example in read_examples(ROOT / "nlu" / "data"))
    texts = [text for text in _texts(SHARED / "eval" / "dev.jsonl") if len(text.split()) >= FEWEST_WORDS]
    assert texts
    assert [text for text in texts if f" {_folded(text)} " in learned] == []


def _write(path: Path, intents: dict[str, tuple[str, ...]]) -> None:
    rows = [
        f"- intent: {intent}\n  examples: |\n" + "".join(f"    - {text}\n" for text in texts)
        for intent, texts in intents.items()
    ]
    path.write_text('version: "3.1"\nnlu:\n' + "".join(rows), encoding="utf-8")


def _change(path: Path) -> None:
    if path.name == "teencode.yml":
        path.write_text(
            path.read_text(encoding="utf-8").replace("words:\n", 'words:\n  "qq": qua que\n', 1), encoding="utf-8"
        )
    else:
        _write(path, {**INTENTS, "chat/thanks": ("cảm ơn", "cảm ơn nha", "cám ơn bạn", "thanks bạn", "đội ơn")})


def _rounded(result: Classification) -> dict[str, float]:
    every = {**result.labels, **{f"risk {risk}": p for risk, p in result.risks.items()}, **dict(result.answers)}
    return {name: round(p, 5) for name, p in every.items()}


def _raw_lines() -> list[tuple[str, str]]:
    return [
        (path.name, line)
        for path in sorted((ROOT / "nlu" / "data").glob("*.yml"))
        for row in yaml.safe_load(path.read_text(encoding="utf-8"))["nlu"]
        for line in row["examples"].splitlines()
    ]


def _texts(path: Path) -> list[str]:
    return [json.loads(line)["text"] for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def _folded(text: str) -> str:
    return " ".join(re.findall(r"\w+", fold(text).lower()))


def _silent(_text: str) -> None:
    pass
