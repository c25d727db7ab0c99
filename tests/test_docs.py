"""What the documents say is there."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, get_args

import pytest
import typer
import yaml
from pydantic import BaseModel

from bot.app import App
from bot.cli import app as command_line
from bot.config import DATABASE_VARIABLE, HOME_VARIABLE, BotConfig, load_config
from bot.content import Answer, Library
from bot.content_rules import check_content
from bot.retention import CASE_LIFE, INBOX_LIFE, OUTBOX_LIFE
from bot.store.tables import metadata
from bot.testing import read_dialogs
from bot.understanding.nlu_data import read_examples
from tests.conftest import ROOT, TODAY

DOCS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("*.md"))
ROWS = [f"S-{number:02}" for number in range(1, 37)]
MADE_BY_THE_DEPLOYER = {
    "content/policy/reporting.yml", "banduong.db", "engine.db", "keyring.json", "keyring.lock", "rotation.lock", "var/", "model/",
}  # fmt: skip
FOLDERS = ("bench", "bot", "content", "docs", "nlu", "tests", ".ci")
ENDINGS = (".py", ".md", ".yml", ".jsonl", ".toml", ".lock", ".js", ".css")
OF_MANY_ROWS = ("test_content_keeps_every_rule", "test_a_rule_of_wording_can_fail")
MOST_README_LINES = 149
MOST_DECISION_LINES = 39
EVERY_DOCUMENT = pytest.mark.parametrize("document", DOCS, ids=lambda path: str(path.relative_to(ROOT)))


# -- the first page ----------------------------------------------------------------------------------------------------


def test_the_readme_is_short_and_starts_with_a_command() -> None:
    """It has under 150 lines, and `make run` stands within the first twenty."""
    lines = _text(ROOT / "README.md").splitlines()
    assert len(lines) <= MOST_README_LINES
    first_fence = lines.index("```")
    assert first_fence + 1 < 20
    assert lines[first_fence + 1] == "make run"


def test_the_readme_names_every_command() -> None:
    """Whoever reads the first page knows all that `banduong` can do."""
    text = _text(ROOT / "README.md")
    assert [name for name in _commands() if f"`banduong {name}" not in text] == []


def test_every_document_is_in_the_index() -> None:
    """docs/README.md leads to every other document."""
    index = _text(ROOT / "docs" / "README.md")
    others = [path for path in DOCS if path not in (ROOT / "docs" / "README.md", ROOT / "CHANGELOG.md")]
    assert [str(path.relative_to(ROOT)) for path in others if f"`{path.relative_to(ROOT)}`" not in index] == []


# -- names that must be true -------------------------------------------------------------------------------------------


@EVERY_DOCUMENT
def test_every_file_that_is_named_exists(document: Path) -> None:
    """A path in backticks leads somewhere, from the root of the repository."""
    assert [name for name in _paths(document) if not _exists(name)] == []


@EVERY_DOCUMENT
def test_every_command_that_is_named_exists(document: Path) -> None:
    """`banduong X`, its options and `make X` can be typed as they stand."""
    commands = _commands()
    options = {
        option for command in commands.values() for p in command.params for option in (*p.opts, *p.secondary_opts)
    }
    options |= {option for p in _group().params for option in p.opts}
    unknown = []
    for code in _code(document):
        unknown += [
            f"{first} {second}"
            for first, second in re.findall(
                r"\bbanduong (?:--[a-z]+ [A-Z]+ )?([a-z]+)(?: ([a-z]+(?:-[a-z]+)*)\b)?", code
            )
            if not _known(first, second, commands)
        ]
        unknown += [
            option
            for option in re.findall(r"(?<![\w-])--[a-z][a-z-]*\b", code)
            if code.startswith("banduong") and option not in options
        ]
        unknown += [
            target for target in re.findall(r"^make ([a-z-]+)", code, re.MULTILINE) if target not in _make_targets()
        ]
    assert unknown == []


@EVERY_DOCUMENT
def test_the_project_stands_alone(document: Path) -> None:
    """No document names a package index, a path of one machine or a folder outside."""
    outside = r"pypi|index-url|pythonhosted|/simple/|/tmp\b|/root\b|/home/|/work/|\.\./"
    assert re.findall(outside, _text(document)) == []


@EVERY_DOCUMENT
def test_links_lead_somewhere(document: Path) -> None:
    """[text](target) is a file beside the document or a web address."""
    targets = [target for target in re.findall(r"\]\(([^)]+)\)", _plain(document)) if not target.startswith("http")]
    assert [target for target in targets if not (document.parent / target.split("#")[0]).exists()] == []


def test_every_picture_is_shown_and_small() -> None:
    """What lies in docs/pictures stands in a handbook, is no larger than 60 KB and tells whoever cannot see it what it is about."""
    handbooks = "".join(_text(ROOT / "docs" / name) for name in ("operator.md", "outreach.md"))
    shown = re.findall(r"!\[([^\]]*)\]\(pictures/([^)]+)\)", handbooks)
    pictures = {path.name: path.stat().st_size for path in (ROOT / "docs" / "pictures").iterdir()}
    assert {name for _, name in shown} == set(pictures)
    assert all(told for told, _ in shown)
    assert max(pictures.values()) <= 60_000


# -- for deployers -----------------------------------------------------------------------------------------------------


def test_every_key_is_explained_with_its_default() -> None:
    """docs/deployer.md has a row for each key of config.yml, and the default in it is the code's."""
    rows = _table_rows(ROOT / "docs" / "deployer.md")
    for key, default in _keys(BotConfig, "bot"):
        assert key in rows, key
        if not str(default).startswith("https"):
            assert _as_written(default) in rows[key][1], key


def test_every_explained_key_is_a_key() -> None:
    """No document tells of a key that config.yml would refuse."""
    known = {key for key, _ in _keys(BotConfig, "bot")}
    named = {name for path in DOCS for name in re.findall(r"`(bot(?:\.[a-z_]+)+)(?:: \w+)?`", _prose(path))}
    assert named - known == set()


def test_the_environment_is_explained() -> None:
    """Both environment variables stand in docs/deployer.md."""
    text = _text(ROOT / "docs" / "deployer.md")
    assert f"`{HOME_VARIABLE}`" in text
    assert f"`{DATABASE_VARIABLE}`" in text


def test_s_24_the_example_of_a_reporting_policy_opens_production(tmp_path: Path) -> None:
    """The example of docs/deployer.md has all four fields, and with it production starts."""
    (example,) = [fence for fence in _fences(ROOT / "docs" / "deployer.md", "yaml") if "decided_by" in fence]
    assert set(yaml.safe_load(example)) == {"decided_by", "date", "duty", "text"}
    config = load_config(ROOT / "config.yml")
    config = config.model_copy(
        update={"root": tmp_path, "bot": config.bot.model_copy(update={"deployment": "production"})}
    )
    policy = tmp_path / "content" / "policy" / "reporting.yml"
    policy.parent.mkdir(parents=True)
    policy.write_text(example, encoding="utf-8")
    App(config).refuse_unready_production()


# -- for editors and linguists -----------------------------------------------------------------------------------------


@cache
def _library() -> Library:
    return Library(ROOT / "content")


def test_every_flag_stands_under_its_strength() -> None:
    """docs/editor.md lists all flags, strong and weak apart."""
    text = _text(ROOT / "docs" / "editor.md")
    found = re.search(r"The flags now, strong:(?P<strong>.*?)\nWeak:(?P<weak>.*?)\.\n", text, re.DOTALL)
    assert found
    for strength in ("strong", "weak"):
        named = set(re.findall(r"`([a-z_]+)`", found[strength]))
        assert named == {flag.id for flag in _library().red_flags.values() if flag.strength == strength}


def test_every_action_is_listed() -> None:
    """docs/editor.md names every action that a choice may lead to."""
    text = _text(ROOT / "docs" / "editor.md").split("The actions now:")[1].split("In `next`")[0]
    assert set(re.findall(r"`([a-z_]+)`", text)) == set(_library().actions)


def test_every_field_of_content_is_explained() -> None:
    """The fields of an answer and of a red flag stand in the tables of docs/editor.md."""
    text = _text(ROOT / "docs" / "editor.md")
    flag_fields = {
        "id",
        "strength",
        "rank",
        "title",
        "why",
        "ask",
        "cues",
        "unless",
        "needs_context",
        "contradicted_by",
        "sources",
    }
    assert [name for name in {*Answer.model_fields, *flag_fields} if f"`{name}`" not in text] == []


def test_the_worked_example_is_a_good_answer() -> None:
    """What docs/editor.md shows as an example passes `banduong check`."""
    (example,) = [fence for fence in _fences(ROOT / "docs" / "editor.md", "yaml") if "sources:" in fence]
    (answer,) = [Answer.model_validate(row) for row in yaml.safe_load(example)]
    library = Library(ROOT / "content")
    assert answer.id not in library.answers
    library.answers[answer.id] = answer
    assert [str(problem) for problem in check_content(library, TODAY) if answer.id in problem.where] == []


def test_small_talk_is_listed() -> None:
    """docs/linguist.md names every intent of small talk that is learned."""
    text = _text(ROOT / "docs" / "linguist.md")
    intents = {example.intent for example in read_examples(ROOT / "nlu" / "data") if example.intent.startswith("chat/")}
    assert intents
    assert [intent for intent in sorted(intents) if f"`{intent}`" not in text] == []


# -- safety and privacy ------------------------------------------------------------------------------------------------


def test_every_safety_row_has_its_place() -> None:
    """docs/safety.md has the rows S-01 to S-36, each once and in order, and each says where it lives and how it is tested."""
    sections = _safety()
    assert list(sections) == ROWS
    for row, text in sections.items():
        assert "- Lives in: " in text, row
        assert "- Tests: " in text or "- Talks: " in text, row


def test_every_linked_test_exists() -> None:
    """A test that docs/safety.md names is defined in that file and carries the id of its row, unless it keeps many rows at once."""
    for row, text in _safety().items():
        for file, name in re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text):
            assert name in _functions(ROOT / file), f"{row}: {file}::{name}"
            assert row.lower().replace("-", "_") in name or name in OF_MANY_ROWS, f"{row}: {name}"


def test_every_linked_talk_shows_its_row() -> None:
    """A file of dialogs that docs/safety.md names holds a talk with the id of that row."""
    for row, text in _safety().items():
        for file in re.findall(r"`(tests/dialogs/\w+\.yml)`", text):
            assert any(row in dialog.ids for dialog in read_dialogs(ROOT / file)), f"{row}: {file}"


def test_every_table_and_its_life_stand_in_the_privacy_page() -> None:
    """docs/privacy.md tells of each table, and the periods in it are those of the code."""
    rows = _table_rows(ROOT / "docs" / "privacy.md")
    assert [name for name in metadata.tables if name not in rows] == []
    assert f"{INBOX_LIFE.days} days" in rows["inbox"][2]
    assert f"{OUTBOX_LIFE.total_seconds() / 3600:.0f} hours" in rows["outbox"][2]
    assert f"{CASE_LIFE.days} days" in rows["cases"][2]


# -- decisions ---------------------------------------------------------------------------------------------------------


def test_decisions_are_numbered_without_gaps() -> None:
    """0001, 0002 and so on; the number stands in the title too."""
    numbers = [path.name[:4] for path in DECISIONS]
    assert numbers == [f"{number:04}" for number in range(1, len(DECISIONS) + 1)]
    assert [path.name for path in DECISIONS if not _text(path).startswith(f"# {path.name[:4]}: ")] == []


@pytest.mark.parametrize("decision", DECISIONS, ids=lambda path: path.stem)
def test_a_decision_has_its_parts(decision: Path) -> None:
    """Context, decision, consequences, in under forty lines."""
    text = _text(decision)
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences"]
    assert len(text.splitlines()) <= MOST_DECISION_LINES


# -- helpers -----------------------------------------------------------------------------------------------------------


@cache
def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _prose(path: Path) -> str:
    """The document without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", _text(path), flags=re.DOTALL | re.MULTILINE)


def _plain(path: Path) -> str:
    """The document without anything in backticks."""
    return re.sub(r"`[^`\n]+`", "", _prose(path))


def _fences(path: Path, language: str = "") -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", _text(path), re.DOTALL | re.MULTILINE)


def _code(path: Path) -> list[str]:
    """Everything in backticks, and the fenced commands."""
    return [*re.findall(r"`([^`\n]+)`", _prose(path)), *_fences(path)]


def _paths(path: Path) -> Iterator[str]:
    """Names in backticks that look like a file or folder of the repository."""
    for code in re.findall(r"`([^`\s]+)`", _prose(path)):
        name = code.split("::")[0]
        if name.startswith(tuple(f"{folder}/" for folder in FOLDERS)) or (
            name.endswith(ENDINGS) and not name.isupper()
        ):
            yield name


def _exists(name: str) -> bool:
    return name in MADE_BY_THE_DEPLOYER or (ROOT / name).exists()


def _group() -> Any:
    return typer.main.get_command(command_line)


def _commands() -> dict[str, Any]:
    """Every command by its words: "ask", "cases list"."""
    found: dict[str, Any] = {}
    for name, command in _group().commands.items():
        found |= _words_of(name, command)
    return found


def _words_of(name: str, command: Any) -> dict[str, Any]:
    inner: dict[str, Any] = getattr(command, "commands", {})
    found: dict[str, Any] = {} if inner else {name: command}
    for word, subcommand in inner.items():
        found |= _words_of(f"{name} {word}", subcommand)
    return found


def _known(first: str, second: str, commands: dict[str, Any]) -> bool:
    groups = {name.split()[0] for name in commands if " " in name}
    if first in groups:
        return not second or any(f"{name} ".startswith(f"{first} {second} ") for name in commands)
    return first in commands


def _make_targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", _text(ROOT / "Makefile"), re.MULTILINE))


def _keys(section: type[BaseModel], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, field in section.model_fields.items():
        key = f"{prefix}.{name}"
        sections = [one for one in (field.annotation, *get_args(field.annotation)) if _is_section(one)]
        if sections:
            yield from _keys(sections[0], key)
        else:
            yield key, "-" if field.is_required() else field.default


def _is_section(annotation: object) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _as_written(default: object) -> str:
    return str(default).lower() if default is None or isinstance(default, bool) else str(default)


def _table_rows(path: Path) -> dict[str, list[str]]:
    """First cell (without backticks) -> the other cells."""
    rows = [line.strip("|").split("|") for line in _text(path).splitlines() if line.startswith("| `")]
    return {cells[0].strip().strip("`"): [cell.strip() for cell in cells[1:]] for cells in rows}


def _safety() -> dict[str, str]:
    parts = re.split(r"^## (S-\d\d)$", _text(ROOT / "docs" / "safety.md"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@cache
def _functions(path: Path) -> frozenset[str]:
    tree = ast.parse(_text(path))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
