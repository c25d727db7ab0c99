"""The command line: what other programs rely on, and that whatever is wrong is said in one plain sentence."""

import gc
import io
import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from bot import contacts
from bot.app import App
from bot.cli import main
from bot.config import load_config
from bot.delivery import dead_letters, inbox, outbox
from bot.delivery.render import Rendered
from bot.errors import ConfigError
from bot.messages import Address, InboundMessage, Lane
from bot.store import tables
from bot.store.database import open_database
from bot.testing import START, play, read_dialogs
from bot.understanding.classifier import EmbeddedClassifier
from tests.conftest import ROOT, TODAY

OFFER = "di thai ban ve so luong 20tr/thang ho bao ve may bay"
HELD = "cứu em với, em đang bị nhốt ở Myawaddy"
KEYS = [
    "id",
    "language",
    "kind",
    "topic",
    "risk",
    "flags",
    "evidence",
    "escalate",
    "confidence",
    "backend",
    "model",
    "reply",
]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty BANDUONG_HOME."""
    monkeypatch.setenv("BANDUONG_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("BANDUONG_DATABASE_URL", raising=False)
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    return tmp_path / "home"


@pytest.fixture
def trained_home(home: Path, classifier: EmbeddedClassifier) -> Path:
    """A home in which the trained model already lies, as after the first start."""
    assert classifier.word_counts
    home.mkdir()
    (home / "model").symlink_to(ROOT / "var" / "model")
    return home


@pytest.fixture
def project(tmp_path: Path, home: Path) -> Path:
    """A copy of what a deployer may change: config.yml, content/ and nlu/."""
    folder = tmp_path / "project"
    folder.mkdir()
    shutil.copy(ROOT / "config.yml", folder)
    shutil.copytree(ROOT / "content", folder / "content")
    shutil.copytree(ROOT / "nlu", folder / "nlu", ignore=shutil.ignore_patterns("eval"))
    assert home.parent == tmp_path
    return folder


# -- ask ---------------------------------------------------------------------------------------------------------------


def test_ask_prints_the_replies(trained_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One message in, the replies out, with the person's own words behind the signs; nothing on stderr."""
    assert _run("ask", OFFER) == 0
    said = capsys.readouterr()
    assert "20tr" in said.out
    assert said.err == ""
    assert trained_home.exists()


def test_ask_json_has_the_keys_that_programs_rely_on(trained_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One JSON object with the keys of the design, in their order, and evidence for each flag."""
    assert _run("ask", OFFER, "--json") == 0
    row = json.loads(capsys.readouterr().out)
    assert list(row) == KEYS
    assert (row["kind"], row["risk"], row["backend"], row["language"]) == ("offer", "high", "embedded", "vi")
    assert row["flags"] == sorted(row["evidence"])
    assert all(word in OFFER for words in row["evidence"].values() for word in words)
    assert isinstance(row["reply"], list)
    assert 0 < row["confidence"] <= 1


@pytest.mark.parametrize("channel", ["telegram", "sms", "web", "terminal"])
def test_ask_words_the_reply_for_the_channel(
    channel: str, trained_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By SMS the reply is plain ASCII, by everything else it has its diacritics."""
    assert _run("ask", "menu", "--channel", channel) == 0
    assert capsys.readouterr().out.isascii() is (channel == "sms")
    assert trained_home.exists()


def test_a_batch_gives_a_row_for_each_line(
    trained_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rows come in order, each from a fresh conversation, with the keys of the design; empty lines are no rows."""
    rows = [{"id": "a", "text": OFFER}, {"id": 2, "text": "menu"}, {"id": "c", "text": "menu"}]
    assert _run("ask", "--batch", str(_lines(tmp_path, *map(json.dumps, rows), "", " "))) == 0
    out = _json_lines(capsys.readouterr().out)
    assert [row["id"] for row in out] == ["a", 2, "c"]
    assert all(list(row) == KEYS for row in out)
    assert out[1]["reply"] == out[2]["reply"]
    assert trained_home.exists()


@pytest.mark.parametrize(
    "bad",
    ["{", "[]", "null", "7", '"text"', '{"id": "x"}', '{"text": "x"}', '{"id": "x", "text": 7}', '{"id": "x", "text": null}',
     "[" * 50_000],
    ids=lambda line: line[:28],
)  # fmt: skip
def test_a_bad_line_spoils_no_other(
    bad: str, trained_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The bad line gives a row with `error` and exit status 1; the lines around it are answered."""
    good = json.dumps({"id": "good", "text": "menu"})
    assert _run("ask", "--batch", str(_lines(tmp_path, good, bad, good))) == 1
    said = capsys.readouterr()
    out = _json_lines(said.out)
    assert ["error" in row for row in out] == [False, True, False]
    assert out[0]["reply"] == out[2]["reply"]
    assert "Traceback" not in said.err
    assert trained_home.exists()


@pytest.mark.parametrize("mark", ["\u2028", "\u0085", "\x0b", "\ufeff"], ids=["U+2028", "U+0085", "tab", "BOM"])
def test_a_line_ends_where_json_lines_end(
    mark: str, trained_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Marks that only Python takes for the end of a line stand in a text unharmed."""
    line = json.dumps({"id": "a", "text": f"xin chao{mark}ban"}, ensure_ascii=False)
    assert _run("ask", "--batch", str(_lines(tmp_path, line))) == 0
    assert [row["id"] for row in _json_lines(capsys.readouterr().out)] == ["a"]
    assert trained_home.exists()


def test_a_batch_file_may_begin_with_a_byte_order_mark(
    trained_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file saved by a Windows editor is read like any other."""
    path = tmp_path / "in.jsonl"
    path.write_text(json.dumps({"id": "a", "text": "menu"}) + "\r\n", encoding="utf-8-sig")
    assert _run("ask", "--batch", str(path)) == 0
    assert [row["id"] for row in _json_lines(capsys.readouterr().out)] == ["a"]
    assert trained_home.exists()


def test_ask_writes_nothing_into_the_store(
    trained_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither one message nor a batch makes or touches a database, not even a cry for help."""
    _run("ask", HELD)
    _run("ask", "--batch", str(_lines(tmp_path, json.dumps({"id": "a", "text": HELD}))))
    assert HELD not in capsys.readouterr().err
    assert [path.name for path in trained_home.iterdir()] == ["model"]


# -- chat and cases ----------------------------------------------------------------------------------------------------


def test_a_recorded_talk_plays_back(
    trained_home: Path,
    tmp_path: Path,
    reader: App,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`chat --record` writes a dialog test of every line, and playing it finds no difference."""
    record = tmp_path / "talk.yml"
    _type(monkeypatch, "menu", OFFER, "gap nguoi", "dong y", "x")
    assert _run("chat", "--record", str(record)) == 0
    (dialog,) = read_dialogs(record)
    assert [line.say for line in dialog.talk] == ["menu", OFFER, "gap nguoi", "dong y", "x"]
    assert all(line.hear for line in dialog.talk)
    assert "CaseRequested" in (dialog.talk[3].events or ())
    assert play(dialog, reader) == []
    assert "Traceback" not in capsys.readouterr().err
    assert trained_home.exists()


def test_a_recorded_talk_that_went_otherwise_is_noticed(
    trained_home: Path, tmp_path: Path, reader: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The recording is a real test: with one reply's name changed, playing it tells the difference."""
    record = tmp_path / "talk.yml"
    _type(monkeypatch, "menu", "x")
    _run("chat", "--record", str(record))
    record.write_text(record.read_text(encoding="utf-8").replace("closed", "stopped"), encoding="utf-8")
    assert len(play(read_dialogs(record)[0], reader)) == 1
    assert trained_home.exists()


def test_chat_without_a_line_ends_well(trained_home: Path, tmp_path: Path) -> None:
    """Ctrl-D at once is no error, and records nothing."""
    assert _run("chat", "--record", str(tmp_path / "talk.yml")) == 0
    assert not (tmp_path / "talk.yml").exists()
    assert trained_home.exists()


def test_chat_survives_bytes_that_are_no_text(
    trained_home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Piped input in another encoding ends in a sentence or an answer, not in a traceback."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"ch\xe0o b\xa1n\nmenu\n"), encoding="utf-8"))
    assert _run("chat") == 0
    heard = capsys.readouterr()
    assert "Traceback" not in heard.err
    assert "1 " in heard.out
    assert trained_home.exists()


def test_a_cry_in_the_chat_stands_in_the_queue(
    trained_home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`cases list` shows the case without a word of it; `cases show` opens it; an unknown one is wrong usage."""
    _type(monkeypatch, HELD)
    assert _run("chat") == 0
    capsys.readouterr()
    assert _run("cases", "list") == 0
    listed = capsys.readouterr().out
    reference = listed.splitlines()[1].split()[0]
    assert "P0" in listed
    assert HELD not in listed
    assert _run("cases", "show", reference) == 0
    assert HELD in capsys.readouterr().out
    assert _run("cases", "show", "NOSUCH") == 2
    assert _sentence(capsys, "NOSUCH")
    assert trained_home.exists()


def test_reading_a_case_is_written_down(
    trained_home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever shows a case leaves a line in its timeline, once a visit."""
    _type(monkeypatch, HELD)
    _run("chat")
    capsys.readouterr()
    _run("cases", "list")
    reference = capsys.readouterr().out.splitlines()[1].split()[0]
    for _ in range(2):
        assert _run("cases", "show", reference) == 0
        shown = [line.split()[2] for line in capsys.readouterr().out.splitlines()[1:]]
        assert shown.count("read") == 1
    assert trained_home.exists()


def test_an_empty_queue_says_so(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a case there is a sentence and no table."""
    assert _run("cases", "list") == 0
    assert capsys.readouterr().out.strip() == "No case is open."
    assert (home / "banduong.db").exists()


def test_purge_tells_how_much_went(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On a fresh home there is nothing to forget."""
    assert _run("purge") == 0
    told = "conversations, outbox, dead letters, inbox, cases, words, consents, audit, unanswered questions, recipients"
    assert capsys.readouterr().out.strip() == ", ".join(f"0 {kind}" for kind in told.split(", "))
    assert home.exists()


# -- check -------------------------------------------------------------------------------------------------------------


def test_check_finds_no_error_in_this_project(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Content, nlu data, configuration and database of the project are in order."""
    assert _run("check", "--today", TODAY.isoformat()) == 0
    said = capsys.readouterr()
    assert "0 errors" in said.out
    assert said.err == ""
    assert home.exists()


def test_check_needs_a_day_that_exists(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A day that is no day is wrong usage."""
    assert _run("check", "--today", "tomorrow") == 2
    assert _sentence(capsys, "tomorrow")
    assert not home.exists()


# -- wrong usage -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ("ask", "menu", "--channel", "pigeon"),
        ("chat", "--channel", "pigeon"),
        ("ask",),
        ("ask", "menu", "--batch", "file"),
        ("ask", "--batch", "no-such-file.jsonl"),
        ("fly",),
        ("cases", "fly"),
        ("ask", "menu", "--fly"),
        ("serve", "--port", "many"),
        ("serve", "--port", "99999"),
        ("serve", "--port", "-1"),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_told_in_one_sentence(
    arguments: tuple[str, ...], home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit status 2 and one sentence, before anything is made in the home."""
    assert _run(*arguments) == 2
    assert _sentence(capsys)
    assert not home.exists()


def test_a_file_of_rows_that_is_missing_is_named(trained_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`evaluate` without its rows ends in one sentence with the file's name."""
    assert _run("evaluate", "no-such-file.jsonl") in (1, 2)
    assert _sentence(capsys, "no-such-file.jsonl")
    assert trained_home.exists()


@pytest.mark.parametrize("command", ["--help", "ask --help", "version"])
def test_help_is_no_error(command: str, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Who asks for help gets it on stdout with exit status 0."""
    assert _run(*command.split()) == 0
    said = capsys.readouterr()
    assert said.out
    assert said.err == ""
    assert not home.exists()


def test_debug_shows_where_an_error_comes_from(tmp_path: Path) -> None:
    """With --debug the exception itself comes through."""
    with pytest.raises(ConfigError):
        main(["--debug", "--config", str(tmp_path / "none.yml"), "purge"])


# -- wrong configuration -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("bot: {colour: red}", ["bot.colour", "deployment", "content", "web"]),
        ("bot: {web: {prot: 80}}", ["bot.web.prot", "port", "host"]),
        ("bot: {web: {port: 70000}}", ["bot.web.port", "65535"]),
        ("bot: {deployment: moon}", ["bot.deployment", "trial", "production"]),
        ("bot: {conversation: {idle_minutes: 31}}", ["bot.conversation.idle_minutes", "30"]),
        ("bot: {hotline: {staffed: maybe}}", ["bot.hotline.staffed"]),
        ("bot: 5", ["bot"]),
        ("bot: [1]", ["bot"]),
        ("bot:\n  web: {port: 80\n", ["line 3", "YAML"]),
        ("- a list", ["bot:"]),
        ("", ["bot:"]),
    ],
)
def test_a_wrong_key_is_named_with_what_is_allowed(
    written: str, told: list[str], home: Path, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """File, key and what is allowed stand in one sentence; the exit status is 2."""
    config = project / "config.yml"
    config.write_text(written)
    assert _run("cases", "list", config=config) == 2
    assert _sentence(capsys, str(config), *told)
    assert not home.exists()


@pytest.mark.parametrize("kind", ["missing", "folder", "latin-1"])
def test_a_configuration_that_cannot_be_read_is_named(
    kind: str, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A missing file, a folder and a file in another encoding each get one sentence."""
    config = tmp_path / "my.yml"
    if kind == "folder":
        config.mkdir()
    if kind == "latin-1":
        config.write_bytes("bot: {content: chào}".encode("latin-1"))
    assert _run("cases", "list", config=config) == 2
    assert _sentence(capsys, str(config))
    assert not home.exists()


@pytest.mark.parametrize("name", ["responses.yml", "answers/contract.yml", "commands.yml", "red_flags.yml", "web.yml"])
def test_broken_yaml_in_content_is_named_with_its_line(
    name: str, home: Path, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An editor who forgets a quote reads which file and which line to mend."""
    path = project / "content" / name
    lines = path.read_text(encoding="utf-8").count("\n") + 1
    with path.open("a", encoding="utf-8") as file:
        file.write('\nbroken: "no end\n')
    assert _run("check", config=project / "config.yml") == 2
    said = capsys.readouterr().err
    assert name in said
    assert "line" in said
    assert "Traceback" not in said
    assert lines > 1
    assert not (home / "banduong.db").exists()


@pytest.mark.parametrize(
    "name", ["responses.yml", "answers/contract.yml", "commands.yml", "forms.yml", "countries.yml", "emergencies.yml"]
)
def test_content_of_a_wrong_shape_is_named(
    name: str, home: Path, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that is YAML but a list of words is named, as every broken entry is."""
    (project / "content" / name).write_text("- a\n- b\n")
    assert _run("check", config=project / "config.yml") == 2
    said = capsys.readouterr().err
    assert name in said
    assert "Traceback" not in said
    assert not (home / "banduong.db").exists()


def test_missing_content_is_named(home: Path, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without its content folder nothing starts, and the folder's name stands in the sentence."""
    shutil.rmtree(project / "content")
    assert _run("check", config=project / "config.yml") == 2
    said = capsys.readouterr().err
    assert str(project / "content") in said
    assert "Traceback" not in said
    assert not (home / "banduong.db").exists()


def test_broken_yaml_in_nlu_is_named_with_its_line(
    home: Path, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A linguist who breaks the indentation reads which file and which line to mend."""
    path = project / "nlu" / "data" / "aaa.yml"
    path.write_text('version: "3.1"\nnlu:\n- intent: [a\n')
    assert _run("ask", "menu", config=project / "config.yml") == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert str(path) in said[-1]
    assert "line 4" in said[-1]
    assert "Traceback" not in "".join(said)
    assert not (home / "banduong.db").exists()


@pytest.mark.parametrize("text", ["nlu: 5", "", "nlu:\n- examples: x", "nlu:\n- intent: a\n  examples: |\n    no dash"])
def test_nlu_data_of_a_wrong_shape_is_named(
    text: str, home: Path, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is YAML but no training data gets a sentence with the file's name."""
    path = project / "nlu" / "data" / "aaa.yml"
    path.write_text(text)
    assert _run("ask", "menu", config=project / "config.yml") == 2
    said = capsys.readouterr().err
    assert str(path) in said
    assert "Traceback" not in said
    assert not (home / "banduong.db").exists()


# -- the home ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [("cases", "list"), ("purge",), ("ask", "menu")], ids=" ".join)
def test_a_home_that_is_a_file_is_named(
    command: tuple[str, ...], home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file where the home should be gets one sentence with its path."""
    home.write_text("a file")
    assert _run(*command) == 1
    assert _sentence(capsys, str(home))
    assert home.read_text() == "a file"


def test_a_home_that_cannot_be_written_is_named(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A home on a place that takes no files gets one sentence with its path."""
    monkeypatch.setenv("BANDUONG_HOME", "/proc/banduong")
    assert _run("cases", "list") == 1
    assert _sentence(capsys, "/proc/banduong")
    assert not home.exists()


def test_a_full_disk_is_told(
    home: Path, tiny_disk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where nothing more fits, one sentence says so."""
    monkeypatch.setenv("BANDUONG_HOME", str(tiny_disk))
    assert _run("cases", "list") == 1
    assert _sentence(capsys, "space")
    assert not home.exists()


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 40 kB; needs the right to mount."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=40k", "tmpfs", folder], capture_output=True, check=False
    )
    if not mounted or mounted.returncode:
        pytest.skip("mounting a tiny disk needs more rights; test_store.py fills a database instead")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.parametrize(
    ("file", "content"),
    [("model.npz", "half"), ("model.npz", ""), ("model.json", "half"), ("model.json", ""), ("model.json", "[]")],
)
def test_a_damaged_model_is_named(
    file: str, content: str, trained_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A model whose files are cut off or empty gets one sentence that says what to delete."""
    model = tmp_path / "model"
    model.mkdir()
    for name in ("model.json", "model.npz"):
        (model / name).symlink_to(ROOT / "var" / "model" / name)
    good = (model / file).read_bytes()
    (model / file).unlink()
    (model / file).write_bytes(good[: len(good) // 2] if content == "half" else content.encode())
    (trained_home / "model").unlink()
    (trained_home / "model").symlink_to(model)
    assert _run("ask", "menu") == 1
    assert _sentence(capsys, "model", "banduong train")


# -- serve -------------------------------------------------------------------------------------------------------------


def test_a_second_server_says_that_the_port_is_taken(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Before it learns, opens or reads anything, and with exit status 1."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert _run("serve", "--port", str(port)) == 1
    assert _sentence(capsys, str(port), "--port")
    assert not home.exists()


@pytest.mark.parametrize("host", ["203.0.113.7", "no.such.host.invalid", "a" * 300])
def test_a_host_that_is_not_here_is_named(host: str, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An address of another machine, or of none, is wrong configuration."""
    assert _run("serve", "--host", host, "--port", "47111") == 2
    assert _sentence(capsys, host)
    assert not home.exists()


@pytest.mark.parametrize(
    "policy",
    [None, "", "decided_by:\n", "decided_by: ''\n", "- a list\n", 'a: "no end\n', b"decided_by: ch\xe0o\n"],
    ids=repr,
)
def test_s_24_production_refuses_to_start_without_a_reporting_policy(
    policy: str | bytes | None, home: Path, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """While the lawyer's file is missing, empty or broken, production does not serve, and says which file it is."""
    _production(project, policy)
    assert _run("serve", "--port", "47111", config=project / "config.yml") == 2
    assert _sentence(capsys, "reporting.yml")
    assert not home.exists()


def test_s_24_production_starts_with_a_filled_reporting_policy(home: Path, project: Path) -> None:
    """Once it is filled there is nothing in the way."""
    _production(project, "decided_by: A. Lawyer\nduty: none\n")
    house = App(load_config(project / "config.yml", {"BANDUONG_HOME": str(home)}))
    house.refuse_unready_production()
    assert not house.missing_reporting_policy()


def test_s_24_a_trial_starts_without_a_reporting_policy(home: Path, project: Path) -> None:
    """A local trial is not kept from starting; it knows that the policy is missing."""
    house = App(load_config(project / "config.yml", {"BANDUONG_HOME": str(home)}))
    house.refuse_unready_production()
    assert house.missing_reporting_policy()


# -- helpers -----------------------------------------------------------------------------------------------------------


def test_deliveries_and_letters_begin_empty(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On a fresh home nothing was sent, and nothing was set aside."""
    assert _run("deliveries") == _run("letters", "list") == 0
    assert capsys.readouterr().out.splitlines() == [
        "Nothing was sent in the last two days.",
        "There are no dead letters.",
    ]


def test_deliveries_tell_of_doubt_without_a_name(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A message that nobody can be sure of is listed with its lane and its code, and with nothing that names anybody."""
    database = open_database(f"sqlite:///{home / 'banduong.db'}", home)
    with database.begin() as connection:
        contact = contacts.find_or_create(connection, database.keyring, Address("telegram", "4471"), START)
        turn = InboundMessage(contact.address, "1", "", START)
        inbox_id = inbox.receive(connection, turn, contact)
        part = [Rendered("a secret text")]
        outbox.enqueue(connection, database.keyring, contact, inbox_id, part, lane=Lane.REPLY, pulled=False, now=START)
        connection.execute(update(tables.outbox).values(status="uncertain", error="502"))
    database.close()
    assert _run("deliveries") == 0
    told = capsys.readouterr().out
    assert "telegram  reply  uncertain  502" in told
    assert "secret" not in told
    assert "4471" not in told


def test_a_dead_letter_is_shown_and_played_again(trained_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What can be read now is answered once and leaves the list; what still cannot is said in one sentence."""
    home = trained_home
    database = open_database(f"sqlite:///{home / 'banduong.db'}", home)
    chat = {"id": 5, "type": "private"}
    good = {"update_id": 9, "message": {"message_id": 1, "date": 1, "chat": chat, "text": "/start"}}
    with database.begin() as connection:
        for name, body in (("9", json.dumps(good)), ("10", '{"update_id": 10, "message": {}}')):
            dead_letters.keep(
                connection,
                database.keyring,
                channel="telegram",
                external_id=name,
                reason="KeyError",
                body=body,
                now=START,
            )
    with database.begin() as connection:
        (readable, broken) = [letter.id for letter in dead_letters.waiting(connection)]
    assert _run("letters", "show", readable[:8]) == 0
    assert "/start" in capsys.readouterr().out
    assert [_run("letters", "replay", one) for one in (readable, broken, "zzz")] == [0, 2, 2]
    with database.begin() as connection:
        assert [letter.id for letter in dead_letters.waiting(connection)] == [broken]
        assert outbox.counts(connection) == {("telegram", "queued"): 1}
    database.close()


def _run(*arguments: str, config: Path = ROOT / "config.yml") -> int:
    """The exit status; a traceback is a failure wherever it comes from."""
    try:
        return main(["--config", str(config), *arguments])
    except Exception as error:
        escaped = repr(error)
    gc.collect()  # what the error left open complains here, and not in some later test
    pytest.fail(f"a traceback instead of a sentence: {escaped[:300]}", pytrace=False)


def _sentence(capsys: pytest.CaptureFixture[str], *contained: str) -> bool:
    """Whether stderr holds one plain sentence with these words, and stdout nothing."""
    said = capsys.readouterr()
    sentence = said.err.strip()
    assert said.out == ""
    assert sentence
    assert "\n" not in sentence
    assert "Traceback" not in sentence
    return all(words in sentence for words in contained)


def _type(monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(lines) + "\n"))


def _lines(folder: Path, *lines: str) -> Path:
    path = folder / "in.jsonl"
    path.write_bytes("\n".join(lines).encode())
    return path


def _json_lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.split("\n") if line]


def _production(project: Path, policy: str | bytes | None) -> None:
    config = project / "config.yml"
    config.write_text(config.read_text().replace("deployment: trial", "deployment: production"))
    path = project / "content" / "policy" / "reporting.yml"
    path.unlink(missing_ok=True)
    if policy is not None:
        path.write_bytes(policy if isinstance(policy, bytes) else policy.encode())
