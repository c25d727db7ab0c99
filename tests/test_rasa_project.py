"""The project is a Rasa project: what can be known of it without Rasa. With Rasa: the tests marked `rasa`."""

import ast
import importlib.util
import re
import stat
import subprocess
import sys
import tomllib
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from bot import config as configuration
from bot.errors import UsageError
from bot.letters import compose, fold
from bot.understanding.nlu_data import Example, Span, read_examples, read_phrases
from bot.understanding.normalise import Normaliser
from bot.understanding.rasa_export import BOT, COMPONENT, Exported, export, folded_copies
from bot.understanding.rasa_words import rasa_words
from bot.yaml_files import load_yaml
from tests.conftest import ROOT

DEPLOY = ROOT / "deploy"
NORMALISER = Normaliser.from_file(ROOT / "nlu" / "teencode.yml")
RASA_BRINGS = {"rasa", "yaml"}
NOTHING_ELSE = """
import sys
class Wall:
    def find_spec(self, name, path=None, target=None):
        top = name.split(".")[0]
        if top not in sys.stdlib_module_names and top not in ("bot", "yaml", "_yaml"):
            raise ImportError(f"{name} is behind the wall")
sys.meta_path.insert(0, Wall())
sys.path.insert(0, ".")
from pathlib import Path
from bot.understanding.normalise import Normaliser
from bot.understanding.rasa_words import rasa_words
words = rasa_words("lg 20tr k?", Normaliser.from_file(Path("nlu/teencode.yml")))
print(" ".join(word.plain for word in words), Path(sys.modules["bot"].__file__).resolve().parent)
"""
DATA = """version: "3.1"
nlu:
- intent: offer/high
  examples: |
    - [chị quen qua mạng](stranger_recruiter) rủ em đi, [lương 22 triệu](unrealistic_pay)
    - di thai
    - đi thái
- intent: chat/deny
  examples: |
    - không
    - no
- lookup: vague_job
  examples: |
    - qua bển rồi sếp mới giao việc
"""


# -- what Rasa sees ----------------------------------------------------------------------------------------------------


def test_rasa_sees_each_word_as_written_and_plain() -> None:
    """Short forms are spelled out in the plain form; the places are those of the message."""
    text = "Lg 20tr, k cần bằng, qua Cam Pu Chia"
    words = rasa_words(text, NORMALISER)
    assert [(word.written, word.plain) for word in words] == [
        ("lg", "luong"), ("20", "20"), ("tr", "trieu"), (",", ","), ("k", "khong"), ("cần", "can"), ("bằng", "bang"), (",", ","),
        ("qua", "qua"), ("cam pu chia", "campuchia"),
    ]  # fmt: skip
    assert all(text[word.start : word.end].lower() == word.written for word in words)


def test_places_are_right_where_marks_stand_by_themselves() -> None:
    """Some phones send a letter and its marks apart; Rasa's text keeps them, so its tokens count them."""
    text = unicodedata.normalize("NFD", "Người ta giữ hộ chiếu của em")
    words = rasa_words(text, NORMALISER)
    assert [word.plain for word in words] == "nguoi ta giu ho chieu cua em".split()
    assert [compose(text[word.start : word.end]).lower() for word in words] == [word.written for word in words]


@given(st.text())
@example("")
@example("   ")
@example("😀🆘")
@example("\ud83d x \udc00")
@example("\u0301abc")
@example("ช่วยด้วย")
@example("한국 e\u0301")
@example("lương " * 1500)
def test_any_message_has_tokens_within_it(text: str) -> None:
    """Whatever is sent, there is at least one token, in order, none beyond the end."""
    words = rasa_words(text, NORMALISER)
    assert words
    places = [place for word in words for place in (word.start, word.end)]
    assert places == sorted(places)
    assert places[0] >= 0
    assert places[-1] <= len(text)


def test_the_component_needs_the_standard_library_and_yaml_alone(tmp_path: Path) -> None:
    """With everything else behind a wall, the exported component still reads a message, and none of the repository's files."""
    export(ROOT / "config.yml", ROOT / "nlu", tmp_path / "rasa")
    done = subprocess.run(
        [sys.executable, "-c", NOTHING_ELSE], cwd=tmp_path / "rasa", capture_output=True, text=True, check=False,
        env={"PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    assert done.stderr == ""
    assert done.stdout.split() == ["luong", "20", "trieu", "khong", "?", str(tmp_path / "rasa" / "bot")]


@pytest.mark.parametrize("name", COMPONENT)
def test_a_file_of_the_component_is_python_3_10(name: str) -> None:
    """Its grammar is that of Rasa's Python, and it imports what Rasa brings or what is exported with it."""
    tree = ast.parse((BOT / name).read_text(encoding="utf-8"), feature_version=(3, 10))
    exported = {"bot." + file.removesuffix(".py").replace("/", ".") for file in COMPONENT}
    for module in _imports_at_the_top(tree):
        top = module.split(".")[0]
        assert top in sys.stdlib_module_names or top in RASA_BRINGS or module in exported, module


def test_the_pipeline_names_components_that_exist() -> None:
    """Each component of ours that config.yml names is a class of an exported file; the others carry one of Rasa's names."""
    names = [component["name"] for component in load_yaml(ROOT / "config.yml")["pipeline"]]
    ours = [name for name in names if "." in name]
    assert ours
    for name in ours:
        module, _, component = name.rpartition(".")
        file = module.removeprefix("bot.").replace(".", "/") + ".py"
        assert file in COMPONENT
        tree = ast.parse((BOT / file).read_text(encoding="utf-8"))
        assert component in {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
    assert set(names) - set(ours) == {"CountVectorsFeaturizer", "LogisticRegressionClassifier"}


# -- banduong rasa export ----------------------------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """config.yml and a small nlu folder."""
    (tmp_path / "nlu" / "data").mkdir(parents=True)
    (tmp_path / "nlu" / "data" / "all.yml").write_text(DATA, encoding="utf-8")
    for name in ("domain.yml", "endpoints.yml", "teencode.yml"):
        (tmp_path / "nlu" / name).write_bytes((ROOT / "nlu" / name).read_bytes())
    (tmp_path / "config.yml").write_bytes((ROOT / "config.yml").read_bytes())
    return tmp_path


def test_every_sentence_has_its_folded_copy(tmp_path: Path) -> None:
    """Of all training data: every sentence, every annotation, every intent, and each once more without diacritics."""
    done = export(ROOT / "config.yml", ROOT / "nlu", tmp_path / "rasa")
    examples, exported = read_examples(ROOT / "nlu" / "data"), read_examples(tmp_path / "rasa" / "data")
    assert len(exported) == done.sentences + done.copies
    assert done.sentences == len(examples)
    found = defaultdict(set)
    for one in exported:
        found[one.text].add((one.intent, one.spans))
    assert [one.text for one in examples if (one.intent, one.spans) not in found[one.text]] == []
    assert [one.text for one in examples if fold(one.text) not in found] == []
    assert {one.intent for one in exported} == {one.intent for one in examples}
    assert len(read_phrases(tmp_path / "rasa" / "data")) == len(read_phrases(ROOT / "nlu" / "data"))


def test_a_copy_is_annotated_on_the_same_words(project: Path) -> None:
    """The flags stand on the folded words; what is folded already, or a sentence already, gets no copy."""
    done = _export(project)
    rows = read_examples(project / "rasa" / "data")
    assert done == Exported(5, 2, changed=True)
    assert [_flags(row) for row in rows if row.text.startswith("chi quen")] == [
        {"stranger_recruiter": "chi quen qua mang", "unrealistic_pay": "luong 22 trieu"}
    ]
    assert sorted(row.text for row in rows) == sorted(
        [
            "chị quen qua mạng rủ em đi, lương 22 triệu",
            "chi quen qua mang ru em di, luong 22 trieu",
            "đi thái",
            "di thai",
            "không",
            "khong",
            "no",
        ]
    )


def test_an_annotation_moves_with_letters_that_get_shorter() -> None:
    """Where a mark stands by itself, its letter is shorter when folded, and the flag behind it still stands on its words."""
    (copy,) = folded_copies([Example("offer/high", "x\u0301 lương cao", (Span(3, 12, "unrealistic_pay"),))])
    assert _flags(copy) == {"unrealistic_pay": "luong cao"}


def test_the_export_is_left_alone_when_nothing_would_change(project: Path) -> None:
    """Twice the same is once: not even our own section of config.yml makes Rasa learn anew, but its pipeline does."""
    _export(project)
    config = project / "config.yml"
    config.write_text(config.read_text(encoding="utf-8").replace("staffed: false", "staffed: true"), encoding="utf-8")
    assert not _export(project).changed
    config.write_text(config.read_text(encoding="utf-8").replace("max_ngram: 2", "max_ngram: 1"), encoding="utf-8")
    assert _export(project).changed
    (project / "nlu" / "data" / "all.yml").write_text(DATA.replace("    - no\n", ""), encoding="utf-8")
    assert _export(project) == Exported(4, 2, changed=True)
    assert "no" not in {row.text for row in read_examples(project / "rasa" / "data")}


@pytest.mark.parametrize("name", ["data/folded.yml", "config.yml", "bot/letters.py"])
def test_an_export_of_which_something_is_gone_is_made_anew(project: Path, name: str) -> None:
    """Deleted or edited there: Rasa would learn from less, or not at all."""
    _export(project)
    whole = (project / "rasa" / name).read_bytes()
    (project / "rasa" / name).write_text("edited")
    assert _export(project).changed
    (project / "rasa" / name).unlink()
    assert _export(project).changed
    assert (project / "rasa" / name).read_bytes() == whole
    assert not _export(project).changed


def test_the_export_writes_over_nothing_of_others(project: Path) -> None:
    """A folder that was not made by the command is refused; models that were trained in one that was are kept."""
    (project / "rasa").mkdir()
    (project / "rasa" / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match="holds something else"):
        _export(project)
    (project / "rasa" / "thesis.txt").unlink()
    _export(project)
    (project / "rasa" / "models").mkdir()
    (project / "nlu" / "data" / "all.yml").write_text(DATA.replace("    - no\n", ""), encoding="utf-8")
    assert _export(project).changed
    assert (project / "rasa" / "models").is_dir()


# -- an environment of its own, and a server ---------------------------------------------------------------------------


def test_rasa_is_a_dependency_group_with_a_lock() -> None:
    """Everything that the group asks for stands in the lock file, and nothing of it in what the bot itself installs."""
    group = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]["rasa"]
    (rasa,) = [wanted for wanted in group if wanted.startswith("rasa")]
    locked = (ROOT / "requirements-rasa.lock").read_text(encoding="utf-8")
    assert re.search(rf"^{re.escape(rasa)} ", locked, re.MULTILINE)
    assert all(re.search(rf"^{re.split('[<=>]', wanted)[0]}==", locked, re.MULTILINE) for wanted in group)
    assert "\nrasa==" not in (ROOT / "requirements-dev.lock").read_text(encoding="utf-8")


def test_a_python_that_does_not_work_is_passed_over(tmp_path: Path) -> None:
    """A shim that is there and fails is no interpreter; the next one is taken."""
    shims, versions = tmp_path / "pyenv" / "shims", tmp_path / "pyenv" / "versions" / "3.10.99" / "bin"
    _program(shims / "python3.10", "exit 127")
    _program(versions / "python3.10", "exit 0")
    found = _find_python(tmp_path, path=f"{shims}:/usr/bin:/bin")
    assert found.stdout.strip() == str(versions / "python3.10")
    _program(tmp_path / "a b" / "python", "exit 0")
    found = _find_python(tmp_path, path=f"{shims}:/usr/bin:/bin", RASA_PYTHON=str(tmp_path / "a b" / "python"))
    assert found.stdout.strip() == str(tmp_path / "a b" / "python")


def test_the_token_is_made_once_and_for_its_owner_alone(
    tmp_path: Path, server: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without one in the environment it comes from a file of mode 600; a short one is refused."""
    path = tmp_path / "rasa" / "token"
    monkeypatch.delenv(server.VARIABLE, raising=False)
    token = server.token_of(path)
    assert len(token) > 40
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert server.token_of(path) == token
    monkeypatch.setenv(server.VARIABLE, "another that is long enough")
    assert server.token_of(path) == "another that is long enough"
    path.write_text("short")
    with pytest.raises(SystemExit, match="shorter than"):
        server.token_of(path)


def test_without_an_export_the_server_says_what_to_do(tmp_path: Path) -> None:
    """The sentence names the command."""
    command = [sys.executable, str(DEPLOY / "rasa_server.py"), "serve", "--project", "rasa"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stderr == "rasa holds no project: run `banduong rasa export rasa` first.\n"
    assert list(tmp_path.iterdir()) == []


# -- deploy/ -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def compose_file() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yml").read_text(encoding="utf-8"))
    return found


def test_both_containers_are_locked_up(compose_file: dict[str, Any]) -> None:
    """Nothing of Rasa is to be reached from outside, and neither may write where it has no business."""
    services = compose_file["services"]
    assert set(services) == {"banduong", "rasa"}
    assert services["rasa"]["network_mode"] == "service:banduong"
    assert all(port.startswith("127.0.0.1:") for service in services.values() for port in service.get("ports", ()))
    for service in services.values():
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        assert service["healthcheck"]["test"][0] == "CMD"
        assert {volume.split(":")[0] for volume in service["volumes"]} <= set(compose_file["volumes"])


def test_rasas_container_knows_its_token_and_no_other_secret(compose_file: dict[str, Any]) -> None:
    """The bot's tokens and passwords are in a file of their own."""
    files = {name: service["env_file"] for name, service in compose_file["services"].items()}
    assert files == {"banduong": ["rasa.env", "banduong.env"], "rasa": ["rasa.env"]}


def test_the_images_are_made_of_what_is_there(compose_file: dict[str, Any]) -> None:
    """Targets, copied files and the folder of the models agree."""
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    targets = re.findall(r"^FROM \S+ AS (\w+)$", text, re.MULTILINE)
    assert {service["build"]["target"] for service in compose_file["services"].values()} <= set(targets)
    copied = [name for name in re.findall(r"^COPY (?!--from)(\S+) ", text, re.MULTILINE) if name != "."]
    assert copied
    assert [name for name in copied if not (ROOT / name).exists()] == []
    for service in compose_file["services"].values():
        assert "models:/var/lib/banduong/rasa/models" in service["volumes"]
    assert "--models /var/lib/banduong/rasa/models" in text


@pytest.mark.parametrize("name", ["banduong.service", "banduong-rasa.service"])
def test_a_unit_is_locked_up_and_starts_what_is_there(name: str, server: ModuleType) -> None:
    """Hardened, restarted, limited; what it runs is a file of the repository or of its two environments."""
    text = (DEPLOY / name).read_text(encoding="utf-8")
    for line in (
        "NoNewPrivileges=yes", "ProtectSystem=strict", "ProtectHome=yes", "PrivateTmp=yes", "Restart=on-failure",
        "CapabilityBoundingSet=",
    ):  # fmt: skip
        assert f"\n{line}\n" in text
    assert re.search(r"^MemoryMax=\dG$", text, re.MULTILINE)
    commands = [line.split() for line in re.findall(r"^ExecStart(?:Pre)?=(.+)$", text, re.MULTILINE)]
    for command in commands:
        assert command[0] in ("/srv/banduong/.venv/bin/banduong", "/srv/banduong/.venv-rasa/bin/python")
        if "rasa" in name:
            assert (ROOT / command[1]).exists()
            server.parser().parse_args(command[2:])


def test_deploy_knows_only_variables_that_we_read(server: ModuleType) -> None:
    """Every BANDUONG_ name in deploy/ is one that the bot or the server of Rasa reads."""
    known = {f"BANDUONG_{name.upper()}" for name in configuration.Secrets.model_fields}
    known |= {configuration.HOME_VARIABLE, configuration.DATABASE_VARIABLE, server.VARIABLE}
    named = {
        name for path in DEPLOY.iterdir() if path.is_file() for name in re.findall(r"BANDUONG_[A-Z_]+", path.read_text("utf-8"))
    }  # fmt: skip
    assert named
    assert named <= known


# -- helpers -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server() -> ModuleType:
    """deploy/rasa_server.py, which is no module of ours."""
    spec = importlib.util.spec_from_file_location("rasa_server", DEPLOY / "rasa_server.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _export(project: Path) -> Exported:
    return export(project / "config.yml", project / "nlu", project / "rasa")


def _flags(row: Example) -> dict[str, str]:
    return {span.entity: row.text[span.start : span.end] for span in row.spans}


def _imports_at_the_top(tree: ast.Module) -> Iterator[str]:
    """What is imported together with the module; what a function imports comes later, if at all."""
    for node in tree.body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module)


def _program(path: Path, line: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{line}\n", encoding="utf-8")
    path.chmod(0o755)


def _find_python(home: Path, path: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {"HOME": str(home), "PATH": path, **variables}
    command = ["sh", str(DEPLOY / "find-python310.sh")]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
