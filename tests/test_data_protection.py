"""What Vietnamese law and IOM's principles ask (D-01 to D-15), where it is not shown elsewhere; docs/data-protection.md leads to each."""

import ast
import asyncio
import datetime as dt
import json
import re
import socket
import warnings
from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import LargeBinary, Row, select
from starlette.exceptions import StarletteDeprecationWarning

from bot.app import App
from bot.cli import main
from bot.config import BotConfig, Secrets
from bot.errors import ConfigError, KeyringError
from bot.hotline import handing_on, keys, reach, webhook, work
from bot.store import boxes, tables, trend_tables
from bot.store.boxes import open_with
from bot.understanding.classifier import EmbeddedClassifier
from bot.web.pages import create_site
from bot.yaml_files import load_yaml
from tests.conftest import ROOT
from tests.hotline import Story, logged_in
from tests.test_telegram import town

with warnings.catch_warnings():  # Starlette would rather have the next httpx
    warnings.simplefilter("ignore", StarletteDeprecationWarning)
    from fastapi.testclient import TestClient

INVENTORY = ROOT / "docs" / "data-inventory.yml"
PAGE = ROOT / "docs" / "data-protection.md"
CATEGORIES = {"none", "identifier", "content", "sensitive"}
PRINCIPLES = 13
TELEGRAM_TOKEN = "123456:token"


@cache
def inventory() -> dict[str, Any]:
    return dict(load_yaml(INVENTORY)["tables"])


def columns() -> Iterator[tuple[Any, dict[str, str]]]:
    """Every column with what the inventory says of it."""
    for name, table in tables.metadata.tables.items():
        for column in table.c:
            yield column, inventory()[name]["columns"][column.name]


# -- consent -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", ["ok?", "chac vay", "uhm", "k biet", ""])
def test_d_05_only_a_clear_yes_counts_and_its_words_are_kept(house: App, words: str) -> None:
    """A half yes opens nothing; an enumerated one does, with its words, the version of the question and its time, and a row in the
    audit chain."""
    story = Story(house)
    story.agrees("share_111", words)
    assert [one.purpose for one in story.does(handing_on.case_file).consents] == ["help"]
    story.says("đồng ý")
    consent = story.does(handing_on.case_file).consents[-1]
    assert (consent.purpose, consent.basis, consent.words) == ("share_111", "consent", "đồng ý")
    assert consent.version == house.library.version_of("ask_share_111")
    assert consent.at == story.now - dt.timedelta(seconds=20)
    with house.database.begin() as connection:
        actions = select(tables.audit.c.action).where(tables.audit.c.actor == "person")
        assert "consent" in connection.execute(actions).scalars().all()


def test_d_06_a_consent_knows_which_wording_was_asked(house: App) -> None:
    """When an editor changes one letter of the question, later consents carry another version; the earlier one keeps its own."""
    story = Story(house)
    story.agrees("share_111")
    question = house.library.responses["ask_share_111"]
    text = question.text.model_copy(update={"vi": question.text.vi + " "})
    house.library.responses["ask_share_111"] = question.model_copy(update={"text": text})
    story.agrees("share_111")
    first, second = [one for one in story.does(handing_on.case_file).consents if one.purpose == "share_111"]
    assert first.version != second.version == house.library.version_of("ask_share_111")


def test_d_02_a_yes_is_taken_back_in_the_same_moment(house: App) -> None:
    """The word "rut" ends every consent but that to news in its own turn, with the words of the no; nothing waits for anybody."""
    story = Story(house)
    story.agrees("share_111")
    story.agrees("reveal")
    story.says("rut")
    with house.database.begin() as connection:
        for row in connection.execute(select(tables.consents)):
            assert row.withdrawn_at is not None
            assert story.keyring.open(row.sealed_withdrawal, f"consents|{row.id}|sealed_withdrawal") == "rut"


# -- D-09, D-11: what is kept ------------------------------------------------------------------------------------------


def test_d_09_every_column_stands_in_the_inventory() -> None:
    """Each with a category that is known; each table with its purpose and its period; and nothing stands there that is not kept."""
    assert {name: list(about["columns"]) for name, about in inventory().items()} == {
        name: [column.name for column in table.c] for name, table in tables.metadata.tables.items()
    }
    assert {about["category"] for _, about in columns()} == CATEGORIES
    assert [name for name, about in inventory().items() if not (about["purpose"] and about["retention"])] == []


def test_d_09_every_column_of_trends_stands_in_the_inventory() -> None:
    """And none of them is about a person, but for the ledger's tag."""
    about = load_yaml(INVENTORY)["trends"]
    assert {name: list(one["columns"]) for name, one in about.items()} == {
        name: [column.name for column in table.c] for name, table in trend_tables.metadata.tables.items()
    }
    marked = {
        (name, column)
        for name, one in about.items()
        for column, what in one["columns"].items()
        if what["category"] != "none"
    }
    assert marked == {("ledger", "tag")}


def test_d_09_no_sensitive_column_and_no_open_identifier_is_plain() -> None:
    """What is sensitive is ciphertext by its very type; an identifier is ciphertext or a keyed digest, or it says why not; and whatever
    is called sealed in the tables is called so here."""
    for column, about in columns():
        name = f"{column.table.name}.{column.name}"
        if about["category"] == "sensitive":
            assert isinstance(column.type, LargeBinary), name
            assert about.get("sealed") not in (None, "digest"), name
        if about["category"] == "identifier":
            assert about.get("sealed") or about.get("open"), name
        assert column.name.startswith("sealed_") <= ("sealed" in about), name
        assert isinstance(column.type, LargeBinary) <= ("sealed" in about or "open" in about), name


def test_d_09_every_sensitive_column_is_ciphertext_and_opens_only_as_the_inventory_says(house: App) -> None:
    """After a whole story each sealed value opens with the key that the inventory names, at its own place, and not elsewhere: the server's
    keyring opens nothing that is sealed to people."""
    story = a_full_story(house)
    seen = set()
    for column, about in columns():
        for row in rows(house, column.table):
            sealed = getattr(row, column.name)
            if about.get("sealed") in ("keyring", "case", "person") and sealed:
                seen.add(f"{column.table.name}.{column.name}")
                check_seal(story, about["sealed"], row, column)
    assert {
        "case_events.sealed_body",
        "case_messages.sealed_body",
        "case_keys.sealed_key",
        "handoffs.sealed_content",
    } <= seen
    assert {"cases.sealed_facts", "cases.sealed_reach", "handoffs.sealed_body", "requests.sealed_reason"} <= seen


def check_seal(story: Story, sealed_how: str, row: Row[Any], column: Any) -> None:
    keyring, sealed = story.keyring, getattr(row, column.name)
    key = "|".join(str(getattr(row, part.name)) for part in column.table.primary_key)
    place = f"{column.table.name}|{key}|{column.name}"
    if sealed_how == "keyring":
        assert keyring.open(sealed, place) is not None
        with pytest.raises(KeyringError):
            keyring.open(sealed, f"{place}x")
        return
    with pytest.raises(KeyringError):
        keyring.open(sealed, place)
    with story.house.database.begin() as connection:
        held = keys.keys_of(connection, row.case_id, story.minh)
    if sealed_how == "case":
        assert open_with(held[row.generation], sealed, place)
        with pytest.raises(KeyringError):
            open_with(boxes.new_pair().private, sealed, place)
    elif row.holder == story.minh.id:
        assert open_with(story.minh.private_key, sealed, f"case_keys|{key}") == held[row.generation].hex()


def a_full_story(house: App) -> Story:
    """Something in every place that holds what was told."""
    story = Story(house)
    story.speaks("Minh nghe day")
    story.does(work.note, "a note")
    story.does(work.summarise, {"place": "somewhere"})
    story.does(reach.set_reach, reach.read_hours("20:00", "21:00"))
    story.granted("share_police")
    story.agrees("share_111")
    story.does(handing_on.refer, house.library.receivers["vn_111"], by_webhook=True)
    return story


def rows(house: App, table: Any) -> list[Row[Any]]:
    with house.database.begin() as connection:
        return list(connection.execute(select(table)).all())


def test_d_11_the_assessment_belongs_to_this_inventory() -> None:
    """Who changes what is kept has to look at the assessment again: docs/dpia.md names the version of the inventory."""
    version = sha256(INVENTORY.read_bytes()).hexdigest()[:12]
    assert f"(`docs/data-inventory.yml`): `{version}`" in (ROOT / "docs" / "dpia.md").read_text(encoding="utf-8")


# -- D-10 --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["vi", "en"])
def test_d_10_the_form_names_the_hour_and_nobody(
    sqlite_house: App, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], language: str
) -> None:
    """72 hours from now, what was done and how often, what is kept, and fields to fill in; no name, number, word or reference."""
    story = a_full_story(sqlite_house)
    monkeypatch.setenv("BANDUONG_HOME", str(sqlite_house.config.home))
    now = dt.datetime.now(dt.UTC)
    assert main(["incident", "--since", "2026-11-20", "--language", language]) == 0
    form = capsys.readouterr().out
    vietnam = dt.timezone(dt.timedelta(hours=7))
    due = {f"{(now + dt.timedelta(hours=72, minutes=late)).astimezone(vietnam):%H:%M %d/%m/%Y}" for late in (0, 1)}
    assert any(f"{one}**" in form for one in due)
    words = sqlite_house.library.console(language)["incident"]
    for name in ("law", "touched", "categories", "what", "harm", "sent"):
        assert words[name] in form
    assert f"- {words['cases']}: 1" in form
    assert f"- {words['leavings']}: 1" in form
    assert words["whole"].split("{")[0] in form
    told = (story.reference, story.person.identifier, "Lan", "Minh", story.lan.id, "Zephyrine", "a note", "somewhere")
    assert [one for one in told if one in form] == []


def test_d_10_a_broken_chain_stands_in_the_form(
    sqlite_house: App, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Somebody changed a row: the form says which."""
    a_full_story(sqlite_house)
    with sqlite_house.database.begin() as connection:
        connection.execute(tables.audit.update().where(tables.audit.c.position == 3).values(actor="nobody"))
    monkeypatch.setenv("BANDUONG_HOME", str(sqlite_house.config.home))
    assert main(["incident", "--since", "2026-11-20", "--language", "en"]) == 0
    assert "broken at row 3" in capsys.readouterr().out
    assert main(["incident", "--since", "yesterday"]) == 2


# -- D-12 --------------------------------------------------------------------------------------------------------------


def configured(house: App, transfers: dict[str, Any], *, token: str | None = TELEGRAM_TOKEN) -> App:
    given = {
        "sms": {"provider": "twilio", "twilio": {"account": "AC" + "0" * 32, "sender": "banduong"}},
        "transfers": transfers,
    }
    secrets = Secrets.model_validate({"telegram_token": token})
    return App(house.config.model_copy(update={"bot": BotConfig.model_validate(given), "secrets": secrets}))


def test_d_12_a_channel_that_leads_abroad_without_a_dossier_is_named(sqlite_house: App) -> None:
    """Telegram and Twilio each need an entry of their own; what is not in use needs none."""
    dossier = {"reference": "A05-2026-11", "date": "2026-11-01"}
    assert configured(sqlite_house, {}).transfers_without_dossier == ("telegram", "twilio")
    assert configured(sqlite_house, {"twilio": dossier}).transfers_without_dossier == ("telegram",)
    assert configured(sqlite_house, {"twilio": dossier, "telegram": dossier}).transfers_without_dossier == ()
    assert configured(sqlite_house, {"twilio": dossier}, token=None).transfers_without_dossier == ()
    assert sqlite_house.transfers_without_dossier == ()


def test_d_12_the_server_says_so_at_its_start(sqlite_house: App) -> None:
    """In one line, with the channels; and not where every dossier is there."""
    from bot.web.server import _announce

    for transfers, expected in (
        ({}, True),
        ({name: {"reference": "x", "date": "2026-11-01"} for name in ("telegram", "twilio")}, False),
    ):
        said: list[str] = []
        _announce(configured(sqlite_house, transfers), "127.0.0.1", 8000, said.append)
        assert any("telegram, twilio" in line for line in said) is expected


# -- D-14 --------------------------------------------------------------------------------------------------------------


def test_d_14_every_principle_names_a_test_that_exists() -> None:
    """Thirteen principles and fifteen rows, each with at least one test, and each test is defined in the file that is named."""
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if re.match(r"\| (\d+ |D-\d\d )", line)]
    first = [line.split("|")[1].split()[0] for line in lines]
    assert first == [*map(str, range(1, PRINCIPLES + 1)), *(f"D-{number:02}" for number in range(1, 16))]
    for line in lines:
        named = re.findall(r"`(tests/\w+\.py)::(\w+)`", line)
        assert named, line
        assert [f"{file}::{name}" for file, name in named if name not in functions(file)] == []


@cache
def functions(file: str) -> frozenset[str]:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


# -- D-15 --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def resolved(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every host that this process looks up, in order; addresses of this machine's own servers among them."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def recorded(host: Any, *arguments: Any, **more: Any) -> Any:
        asked.append(host.decode() if isinstance(host, bytes) else str(host))
        return real(host, *arguments, **more)

    monkeypatch.setattr(socket, "getaddrinfo", recorded)
    return asked


def test_d_15_only_hosts_that_the_configuration_names_are_resolved(
    resolved: list[str], tmp_path: Path, classifier: EmbeddedClassifier
) -> None:
    """A talk by Telegram with a cry for help and a deletion, every page of the chat and the console, and a case that is handed on: no other
    host is looked up than those of config.yml, which all are this machine here."""
    with town("polling", tmp_path / "home", classifier) as place:
        for text in ("menu", "di thai ban ve so luong 20tr/thang", "cuu em voi em bi nhot o myanmar", "xoa"):
            assert place.say(7, text)
        story = Story(place.house, at=place.clock())
        visit(place.house, story)
        deliver_to_localhost(story)
    assert set(resolved) <= {"127.0.0.1", "localhost"}
    assert "localhost" in resolved


def visit(house: App, story: Story) -> None:
    house.clock = lambda: story.now
    with TestClient(create_site(house), base_url="http://127.0.0.1") as client:
        assert client.post("/", data={"text": "cuu voi toi bi nhot o myanmar"}).status_code == 200
        logged_in(client, house, story.minh, story.now)
        for page in ("/", "/console/account", "/healthz", "/readyz", "/api/docs"):
            assert client.get(page).status_code == 200


def deliver_to_localhost(story: Story) -> None:
    """The one thing that looks a name up: the receiver's address."""

    async def once() -> None:
        hook = webhook.CaseWebhook("http://localhost:9/cases", bytes(32))
        assert await hook.deliver(webhook.Parcel("id", json.dumps({})), story.now) == "later"
        await hook.close()

    asyncio.run(once())


def test_d_15_the_recorder_sees_a_stranger(resolved: list[str]) -> None:
    """The test above can fail: a look-up of another host is written down."""
    with pytest.raises(OSError, match=r"."):
        socket.getaddrinfo("telemetry.invalid", 443)
    assert resolved == ["telemetry.invalid"]


# -- the configuration -------------------------------------------------------------------------------------------------


def test_a_webhook_without_its_receiver_or_secret_does_not_start(sqlite_house: App) -> None:
    """The receiver must be one that takes cases, and the secret must be there: said at the start, in a sentence."""
    for receiver, key in (("vn_police", "whsec_" + "A" * 44), ("nobody", "whsec_" + "A" * 44), ("vn_111", None)):
        hotline = {"webhook": {"url": "https://cases.example/x", "receiver": receiver}}
        bot = BotConfig.model_validate({"hotline": hotline})
        secrets = Secrets.model_validate({"case_webhook_key": key})
        with pytest.raises(ConfigError):
            _ = App(sqlite_house.config.model_copy(update={"bot": bot, "secrets": secrets})).case_webhook
