"""The one-way doors of the house, read from its imports; and where texts and files may not be."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.letters import fold
from tests.conftest import ROOT

BOT = ROOT / "bot"
FILES = sorted(path for path in BOT.rglob("*.py") if "versions" not in path.parts)

# Room -> the rooms it may import. A room is a package under bot/ or a module beside them; its own files are always allowed.
DOORS: dict[str, set[str]] = {
    "errors": set(),
    "letters": set(),
    "messages": {"letters"},
    "hours": {"messages"},
    "yaml_files": set(),
    "content": {"errors", "letters", "yaml_files"},
    "channels": {"errors", "letters", "messages"},
    "understanding": {"errors", "letters", "yaml_files", "content"},
    "observations": {"content"},
    "conversation": {"errors", "letters", "messages", "hours", "content", "understanding", "observations"},
    "store": {"errors"},
    "config": {"errors", "hours", "yaml_files"},
    "audit": {"store"},
    "staff": {"errors", "letters", "store", "audit"},
    "contacts": {"messages", "store"},
    "links": {"store", "contacts"},
    "subscriptions": {"messages", "store", "contacts"},
    "conversations": {"messages", "conversation", "observations", "store", "contacts"},
    "trends": {"errors", "messages", "content", "observations", "store"},  # never contacts: nothing of it is about a person
    "counting": {"errors", "conversations", "store", "trends"},
    "delivery": {"errors", "letters", "messages", "channels", "store", "contacts"},
    "hotline": {
        "errors", "letters", "messages", "hours", "content", "channels", "understanding", "conversation",
        "store", "audit", "staff", "contacts", "conversations", "delivery", "wording",
    },
    "outreach": {
        "errors", "letters", "messages", "hours", "content", "channels", "store", "audit", "staff", "contacts", "delivery",
        "links", "subscriptions", "wording",
    },
    "wording": {"letters", "channels", "content"},
    "content_rules": {"letters", "channels", "content", "wording"},
    "nlu_rules": {"letters", "content", "content_rules", "understanding"},
    "jobs": {"errors", "messages"},
    "freshness": {"content"},
    "outcomes": {"messages", "store"},
    "unanswered": {"messages", "content", "understanding", "store"},  # never contacts: nothing of it is about a person
    "retention": {
        "errors", "messages", "store", "audit", "staff", "contacts", "links", "conversations", "delivery", "hotline",
        "outreach", "outcomes", "unanswered",
    },
    "incident": {"messages", "yaml_files", "store", "audit"},
    "processor": {
        "errors", "messages", "channels", "understanding", "conversation",
        "store", "contacts", "links", "subscriptions", "conversations", "delivery", "hotline", "outreach", "counting",
        "outcomes", "unanswered",
    },
}  # fmt: skip
ON_TOP = {"announcing", "app", "rehearsal", "service", "sms_providers", "testing", "web", "cli"}
NOBODY_IMPORTS = {"cli", "testing"}

PROVIDERS = {"telegram", "twilio", "smpplib", "android_sms_gateway"}
ENGINES = {"dbos", "croniter"}
DATABASES = {"sqlite3", "sqlalchemy", "psycopg", "alembic"}
PURE = ("conversation", "understanding", "channels")
LETTER_TABLES = {"letters.py", "understanding/language.py"}  # single letters and syllables, not texts
READS_FILES = {
    "open",
    "read_text",
    "read_bytes",
    "load_yaml",
    "glob",
    "rglob",
    "iterdir",
    "safe_load",
    "Library",
    "load_config",
}
NAME = "Bạn Đường"  # the product's name may stand in a sentence of the program


# -- doors -------------------------------------------------------------------------------------------------------------


def test_every_room_has_its_doors() -> None:
    """A new room is not forgotten here."""
    rooms = {_room(path) for path in FILES} - {"__init__"}
    assert rooms == set(DOORS) | ON_TOP


def test_the_doors_lead_one_way() -> None:
    """Nobody is allowed into a room that is allowed into theirs, not even by a way round."""
    for room in DOORS:
        assert room not in _reachable(room), room


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(BOT)))
def test_a_room_imports_only_what_its_doors_allow(path: Path) -> None:
    """`errors <- messages <- {channels, content, understanding} <- conversation`; `store <- contacts <- {delivery, hotline}`; and so on up."""
    room = _room(path)
    if room in ON_TOP or room == "__init__":
        return
    assert {other for other in _rooms_imported(path) if other != room} <= DOORS[room]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(BOT)))
def test_nobody_imports_the_way_in(path: Path) -> None:
    """cli and testing are imported by no other room, and web by the command line only."""
    room = _room(path)
    closed = NOBODY_IMPORTS | ({"web"} if room not in {"cli", "web"} else set())
    assert not (_rooms_imported(path) - {room}) & closed


def test_app_is_imported_from_the_top_only() -> None:
    """Only the command line, the web, the service and the tests' tools know the whole house."""
    importers = {_room(path) for path in FILES if "app" in _rooms_imported(path)}
    assert importers <= {"announcing", "cli", "web", "service", "testing"}
    assert "cli" in importers


def test_the_version_costs_nothing() -> None:
    """bot/__init__.py imports nothing."""
    assert not list(_imports(BOT / "__init__.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(BOT)))
def test_only_channels_know_a_provider(path: Path) -> None:
    """telegram, twilio and their like are imported under bot/channels and nowhere else."""
    assert _room(path) == "channels" or not {name.split(".")[0] for name in _imports(path)} & PROVIDERS


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(BOT)))
def test_only_jobs_knows_the_durable_engine(path: Path) -> None:
    """dbos is imported in bot/jobs.py and nowhere else."""
    assert _room(path) == "jobs" or not {name.split(".")[0] for name in _imports(path)} & ENGINES


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(BOT)))
def test_only_charts_knows_the_drawing_library(path: Path) -> None:
    """vl_convert is imported in bot/trends/charts.py and nowhere else."""
    names = {name.split(".")[0] for name in _imports(path)}
    assert ("vl_convert" in names) == (path == BOT / "trends" / "charts.py")


@pytest.mark.parametrize(
    "path", [p for p in FILES if p.parent.name in PURE], ids=lambda path: str(path.relative_to(BOT))
)
def test_what_is_pure_knows_no_database(path: Path) -> None:
    """Understanding and conversation import no database, no store and no web framework."""
    names = set(_imports(path))
    assert not {name.split(".")[0] for name in names} & (DATABASES | {"fastapi", "uvicorn"})
    assert not [name for name in names if name.startswith("bot.store")]


@pytest.mark.parametrize("path", [p for p in FILES if p.parent.name == "conversation"], ids=lambda path: path.name)
def test_the_conversation_has_no_clock(path: Path) -> None:
    """The time comes with the message: nothing under bot/conversation asks what time or day it is, or draws lots."""
    calls = [node.func for node in ast.walk(_tree(path)) if isinstance(node, ast.Call)]
    called = {call.attr for call in calls if isinstance(call, ast.Attribute)}
    assert not called & {"now", "utcnow", "today", "monotonic"}
    assert not set(_imports(path)) & {"time", "random", "secrets", "os", "pathlib"}


# -- texts and files ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(BOT)))
def test_no_vietnamese_text_stands_in_the_code(path: Path) -> None:
    """What people read lives in content/: no string under bot/ holds Vietnamese letters, docstrings and the name apart."""
    if str(path.relative_to(BOT)) in LETTER_TABLES:
        return
    assert [text for text in _strings(path) if _is_vietnamese(text)] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(BOT)))
def test_importing_reads_no_file(path: Path) -> None:
    """No module builds anything from a file while it is imported: what is read belongs to an object with a beginning."""
    assert [name for name in _calls_at_import(_tree(path).body) if name in READS_FILES] == []


def test_the_search_for_texts_finds_one(tmp_path: Path) -> None:
    """The rules above do see a Vietnamese string and a file that is read, and let a docstring and a comment be."""
    path = tmp_path / "room.py"
    path.write_text(
        '"""Chào bạn."""\n# chào\nx = f"Chào {1}"\n\n\ndef f():\n    """Chào."""\n    return open("y")\n', "utf-8"
    )
    assert [text for text in _strings(path) if _is_vietnamese(text)] == ["Chào "]
    assert list(_calls_at_import(_tree(path).body)) == []
    path.write_text("import yaml\nclass A:\n    x = yaml.safe_load(open('y'))\n", "utf-8")
    assert set(_calls_at_import(_tree(path).body)) == {"safe_load", "open"}


# -- lock files --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock", "requirements-rasa.lock"])
def test_a_lock_file_names_no_index(name: str) -> None:
    """Packages come from wherever the machine is set to get them: no address, no option, no path stands in the lock file."""
    text = (ROOT / name).read_text(encoding="utf-8")
    assert not re.search(r"://|^-|--(?:extra-)?index-url|--find-links|--trusted-host|^\s*\.?/| @ ", text, re.MULTILINE)


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock", "requirements-rasa.lock"])
def test_a_lock_file_pins_every_package_with_hashes(name: str) -> None:
    """Each package stands there with one exact version and at least one SHA-256."""
    text = (ROOT / name).read_text(encoding="utf-8")
    entries = [entry for entry in re.split(r"\n(?=[A-Za-z0-9])", text) if re.match(r"[A-Za-z0-9]", entry)]
    pinned = re.compile(
        r"[A-Za-z0-9._-]+(?:\[[a-z,]+\])?==[^\s;]+(?: ; [^\n\\]+)?(?: \\\n    --hash=sha256:[0-9a-f]{64})+(?:\n|$)"
    )
    assert len(entries) > 10
    assert [entry.split("\n")[0] for entry in entries if not pinned.match(entry)] == []


def test_the_dev_lock_agrees_with_the_lock() -> None:
    """What runs and what is tested are the same versions."""
    run, dev = (_versions(ROOT / name) for name in ("requirements.lock", "requirements-dev.lock"))
    assert {name: version for name, version in run.items() if dev.get(name) != version} == {}


# -- helpers -----------------------------------------------------------------------------------------------------------


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _room(path: Path) -> str:
    return path.relative_to(BOT).parts[0].removesuffix(".py")


def _imports(path: Path) -> Iterator[str]:
    """Every imported name in full, also those inside functions."""
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide the door"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _rooms_imported(path: Path) -> set[str]:
    rooms = {name.split(".")[1] for name in _imports(path) if name.startswith("bot.")}
    return rooms - {"__version__"}


def _reachable(room: str) -> set[str]:
    found: set[str] = set()
    waiting = set(DOORS[room])
    while waiting:
        other = waiting.pop()
        found.add(other)
        waiting |= DOORS[other] - found
    return found


def _strings(path: Path) -> Iterator[str]:
    """The string constants of a file, without docstrings."""
    tree = _tree(path)
    docstrings = {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value


def _is_vietnamese(text: str) -> bool:
    """Whether a letter of it would lose a mark by folding."""
    return any(letter.isalpha() and fold(letter) != letter for letter in text.replace(NAME, ""))


def _calls_at_import(body: list[ast.stmt]) -> Iterator[str]:
    """The names of what is called while the module is imported: in its own lines and in the bodies of its classes."""
    for statement in body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(statement, ast.ClassDef):
            yield from _calls_at_import(statement.body)
            continue
        for node in ast.walk(statement):
            if isinstance(node, ast.Call):
                yield node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def _versions(path: Path) -> dict[str, str]:
    found = re.findall(r"^([A-Za-z0-9._-]+)(?:\[[a-z,]+\])?==(\S+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {str(name): str(version) for name, version in found}
