"""The store: what stands on disk, who can read it, and which database is refused."""

import datetime as dt
import gc
import json
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Boolean, Connection, LargeBinary, Row, Table, create_engine, delete, insert, select, text, update
from sqlalchemy import column as old_column
from sqlalchemy import table as old_table
from sqlalchemy.exc import IntegrityError

from bot.app import App
from bot.channels.sms import Fragment
from bot.delivery import dead_letters, fragments
from bot.errors import BanDuongError, KeyringError, SchemaError, StoreError
from bot.hotline import cases, keys
from bot.messages import Address, InboundMessage
from bot.store import database as store
from bot.store import tables
from bot.store.boxes import open_with
from bot.store.crypto import Keyring, create_keyring, load_keyring
from bot.store.database import Database, new_id, open_database, utc
from bot.testing import START
from tests.broadcasting import Office
from tests.case_files import SEALED_TO_THE_CASE, story
from tests.conftest import message
from tests.questions import keep_questions

PHONE = "+84912345678"
WORDS = "zebrafish"
REPORT = f"có ông {WORDS} dụ chị tôi vô xưởng ở Bình Dương, giữ giấy tờ, không trả lương 3 tháng nay"
CONSENT = "đồng ý"
SEALED_BY_OPERATORS = {  # no report fills these; tests/test_data_protection.py looks at every sealed column after a whole story
    ("staff", "sealed_profile"), ("staff", "sealed_totp"), ("cases", "sealed_reach"), ("handoffs", "sealed_body"),
}  # fmt: skip


# -- S-21: no case without its consent ---------------------------------------------------------------------------------


def test_s_21_a_case_without_any_consent_row_is_refused(house: App) -> None:
    """A case that points to no consent cannot be written, whoever writes it."""
    with pytest.raises(IntegrityError):
        _insert_case(house.database, new_id())


def test_s_21_a_case_with_a_null_consent_is_refused(house: App) -> None:
    """A case whose consent is left out cannot be written either."""
    with pytest.raises(IntegrityError):
        _insert_case(house.database, None)


def test_s_21_a_consent_to_something_else_is_no_ground_for_a_case(house: App) -> None:
    """A person who agreed to alerts has not agreed to a case."""
    consent = _insert_consent(house.database, purpose="alerts")
    with pytest.raises(IntegrityError):
        _insert_case(house.database, consent)


def test_s_21_a_case_serves_the_one_purpose_of_its_consent(house: App) -> None:
    """No case can be written for a purpose that nobody is ever asked about."""
    consent = _insert_consent(house.database, purpose="alerts")
    with pytest.raises(IntegrityError):
        _insert_case(house.database, consent, purpose="alerts")


def test_s_21_a_case_with_the_consent_of_its_purpose_is_accepted(house: App) -> None:
    """The very same row goes in once the person has agreed to help: the tests above refuse for the right reason."""
    _insert_case(house.database, _insert_consent(house.database, purpose="help"))
    assert len(_rows(house.database, tables.cases)) == 1


def test_s_21_the_consent_of_a_case_cannot_be_removed(house: App) -> None:
    """As long as the case is there, its consent stays."""
    _insert_case(house.database, _insert_consent(house.database, purpose="help"))
    with pytest.raises(IntegrityError), house.database.engine.begin() as connection:
        connection.execute(delete(tables.consents))


def test_s_21_a_consent_is_kept_with_the_words_that_gave_it(house: App) -> None:
    """A consent without the words used is refused; only an emergency stands without them."""
    with pytest.raises(IntegrityError):
        _insert_consent(house.database, purpose="help", words=None)
    _insert_consent(house.database, purpose="help", words=None, basis="emergency")


def test_s_21_no_third_ground_is_known(house: App) -> None:
    """A ground other than consent and emergency is refused."""
    with pytest.raises(IntegrityError):
        _insert_consent(house.database, purpose="help", basis="curiosity")


# -- sealed columns ----------------------------------------------------------------------------------------------------


def test_a_stolen_database_tells_neither_who_wrote_nor_what(sqlite_house: App) -> None:
    """After a report with consent, the files of the database hold neither the number nor a word, nor what the bot said."""
    _report_with_consent(sqlite_house)
    files = _files(sqlite_house)
    told = (PHONE, PHONE[1:], WORDS, WORDS.upper(), "giữ giấy tờ", "Bình Dương", CONSENT, "Bạn Đường")
    assert [words for words in told if words.encode() in files] == []


def test_the_byte_search_finds_what_is_not_sealed(sqlite_house: App) -> None:
    """The search above looks into the right files: what is stored in the clear is found."""
    _report_with_consent(sqlite_house)
    assert b"sms" in _files(sqlite_house)


def test_the_words_do_stand_in_the_store_sealed(sqlite_house: App) -> None:
    """With the keys the same words are read: nothing was simply thrown away."""
    _report_with_consent(sqlite_house)
    database = sqlite_house.database
    assert any(WORDS in str(line.body) for line in story(database))


@pytest.mark.parametrize(
    ("table", "column"),
    [
        (table, column.name)
        for table in tables.metadata.sorted_tables
        for column in table.c
        if column.name[:6] == "sealed"
        and table is not tables.case_keys
        and (table.name, column.name) not in {*SEALED_TO_THE_CASE, *SEALED_BY_OPERATORS}
    ],
    ids=lambda part: part if isinstance(part, str) else part.name,
)
def test_ciphertext_of_another_row_does_not_open(table: Table, column: str, sqlite_house: App) -> None:
    """Every column that the keyring seals is bound to its row: moved to another one it is refused, in one sentence."""
    _report_with_consent(sqlite_house)
    Office(sqlite_house).writes(START)
    keep_questions(sqlite_house.database)
    keyring = sqlite_house.database.keyring
    with sqlite_house.database.begin() as connection:
        dead_letters.keep(
            connection, keyring, channel="telegram", external_id="1", reason="KeyError", body=WORDS, now=START
        )
        fragments.join(connection, keyring, Fragment(Address("sms", PHONE), 1, 1, 2, WORDS), START, again=False)
    sqlite_house.processor.handle(message("stop", to="another"))
    row = next(row for row in _rows(sqlite_house.database, table) if getattr(row, column) is not None)
    key = "|".join(str(getattr(row, part.name)) for part in table.primary_key)
    keyring.open(getattr(row, column), f"{table.name}|{key}|{column}")
    with pytest.raises(KeyringError) as caught:
        keyring.open(getattr(row, column), f"{table.name}|{key[:-1]}x|{column}")
    assert _is_one_sentence(caught.value)


@pytest.mark.parametrize("table", [tables.case_events, tables.case_messages], ids=lambda table: table.name)
def test_what_is_sealed_to_a_case_opens_nowhere_else(table: Table, sqlite_house: App) -> None:
    """A word or an event that somebody moves to another row is refused, though the key is right."""
    _report_with_consent(sqlite_house)
    database = sqlite_house.database
    row = _rows(database, table)[0]
    with database.begin() as connection:
        held = keys.keys_of_keyring(connection, database.keyring, row.case_id)
    assert open_with(held[1], row.sealed_body, f"{table.name}|{row.id}|sealed_body")
    with pytest.raises(KeyringError) as caught:
        open_with(held[1], row.sealed_body, f"{table.name}|{'0' * 32}|sealed_body")
    assert _is_one_sentence(caught.value)


def test_a_reply_moved_to_another_row_is_not_handed_out(house: App) -> None:
    """Whoever swaps two sealed replies by hand gets a refusal, not one person's reply in another's hands."""
    house.processor.handle(message("menu", to="one"))
    body = _rows(house.database, tables.outbox)[0].sealed_body
    house.processor.handle(message("menu", to="two"))
    with house.database.engine.begin() as connection:
        connection.execute(update(tables.outbox).where(tables.outbox.c.sealed_body != body).values(sealed_body=body))
    with pytest.raises(KeyringError):
        house.processor.handle(message("menu", to="two"))


def test_the_same_text_is_never_sealed_alike(tmp_path: Path) -> None:
    """Two seals of one text differ, so that nobody counts equal words."""
    keyring = create_keyring(tmp_path / "keyring.json")
    assert keyring.seal(WORDS, "t|r|c") != keyring.seal(WORDS, "t|r|c")


def test_a_look_up_is_worth_nothing_without_the_pepper(tmp_path: Path) -> None:
    """One number gives one look-up under one keyring, another under another, and another on another channel."""
    ours, theirs = create_keyring(tmp_path / "ours.json"), create_keyring(tmp_path / "theirs.json")
    assert ours.lookup("sms", PHONE) == ours.lookup("sms", PHONE)
    assert len({ours.lookup("sms", PHONE), theirs.lookup("sms", PHONE), ours.lookup("telegram", PHONE)}) == 3


def test_a_new_key_opens_what_the_old_one_sealed(tmp_path: Path) -> None:
    """After a rotation old rows still open, and new ones are sealed with the new key."""
    old = create_keyring(tmp_path / "keyring.json")
    rotated = Keyring({**old.keys, "00000001": b"n" * 32}, "00000001", old.pepper)
    assert rotated.open(old.seal(WORDS, "t|r|c"), "t|r|c") == WORDS
    assert rotated.seal(WORDS, "t|r|c").startswith(bytes.fromhex("00000001"))


# -- the keyring -------------------------------------------------------------------------------------------------------


def test_only_this_user_may_read_the_keyring(sqlite_house: App) -> None:
    """The keyring is 0600, in a home of 0700."""
    _ = sqlite_house.database
    path = sqlite_house.config.home / "keyring.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_keyring_never_shows_its_keys(tmp_path: Path) -> None:
    """What is logged of a keyring holds no key."""
    keyring = create_keyring(tmp_path / "keyring.json")
    assert repr(keyring) == "Keyring(…)"


def test_a_keyring_is_never_overwritten(tmp_path: Path) -> None:
    """Making one where one stands fails, for without the old one nothing can be read any more."""
    path = tmp_path / "keyring.json"
    made = create_keyring(path)
    with pytest.raises(FileExistsError):
        create_keyring(path)
    kept = load_keyring(path)
    assert kept
    assert (kept.keys, kept.current, kept.pepper) == (made.keys, made.current, made.pepper)


def test_a_missing_keyring_is_refused_and_not_replaced(sqlite_house: App) -> None:
    """A database whose keyring is gone is not opened with a new one."""
    path = _keyring_file(sqlite_house)
    path.unlink()
    assert _is_one_sentence(_refusal(sqlite_house, KeyringError), str(path))
    assert not path.exists()


def test_a_foreign_keyring_is_refused(sqlite_house: App) -> None:
    """The keyring of another house is refused when the database is opened, not at the first message."""
    path = _keyring_file(sqlite_house)
    path.unlink()
    create_keyring(path)
    assert _is_one_sentence(_refusal(sqlite_house, KeyringError), "keyring.json")


def test_a_keyring_with_another_key_of_the_same_name_is_refused(sqlite_house: App) -> None:
    """A keyring that only looks right is refused too."""
    path = _keyring_file(sqlite_house)
    good = load_keyring(path)
    assert good
    path.write_text(path.read_text().replace(good.keys[good.current].hex(), "00" * 32))
    assert _is_one_sentence(_refusal(sqlite_house, KeyringError))


@pytest.mark.parametrize(
    "damage", ["", "{", "[]", "null", '{"keys": {}}', '{"keys": {"a": "zz"}, "current": "a", "pepper": ""}']
)
def test_a_damaged_keyring_is_refused(damage: str, sqlite_house: App) -> None:
    """A keyring that is no keyring is refused with its path."""
    path = _keyring_file(sqlite_house)
    path.write_text(damage)
    assert _is_one_sentence(_refusal(sqlite_house, KeyringError), str(path))


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda keys: keys.replace('"current": "', '"current": "f'), id="current names no key"),
        pytest.param(lambda keys: re.sub(r'("keys": \{"\w+": ")\w\w', r"\1", keys), id="a key is too short"),
    ],
)
def test_a_keyring_that_cannot_seal_is_refused_at_the_start(damage: Callable[[str], str], sqlite_house: App) -> None:
    """A keyring that would fail at the first message is refused before it."""
    path = _keyring_file(sqlite_house)
    path.write_text(damage(path.read_text()))
    assert _is_one_sentence(_refusal(sqlite_house, KeyringError))


# -- versions and damage -----------------------------------------------------------------------------------------------


def test_a_database_of_this_version_is_opened_again(house: App) -> None:
    """Opening a second time changes nothing and keeps what is there."""
    house.processor.handle(message("menu"))
    before = _rows(house.database, tables.outbox)
    again = open_database(house.config.database_url, house.config.home)
    assert _rows(again, tables.outbox) == before
    again.close()


def test_a_database_of_a_newer_version_is_refused(house: App) -> None:
    """A revision that this version does not know is refused, and the database is left as it was."""
    with house.database.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    refusal = _refusal(house, SchemaError)
    assert _is_one_sentence(refusal, "another version")
    assert refusal.exit_status == 2
    with house.database.engine.begin() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar() == "9999"


def test_a_database_of_another_program_is_refused(tmp_path: Path) -> None:
    """A database that holds somebody else's tables is not written into."""
    url = f"sqlite:///{tmp_path / 'other.db'}"
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE recipes (name TEXT)"))
    engine.dispose()
    with pytest.raises(SchemaError) as caught:
        open_database(url, tmp_path)
    assert _is_one_sentence(caught.value)
    assert not (tmp_path / "keyring.json").exists()


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_a_database_with_a_case_is_brought_up_to_date(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """From the version before, with rows that refer to one another: nothing is lost, and what is new is filled in."""
    url = request.getfixturevalue("postgres_database") if kind == "postgres" else f"sqlite:///{tmp_path / 'old.db'}"
    engine, keyring = store.engine_of(url), create_keyring(tmp_path / "keyring.json")
    config = Config()
    config.set_main_option("script_location", str(store._MIGRATIONS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0002")
        for table, rows in _old_rows(keyring).items():
            for row in rows if isinstance(rows, list) else [rows]:
                columns = [old_column(name, OLD_TYPES.get(type(value))) for name, value in row.items()]
                connection.execute(insert(old_table(table, *columns)).values(row))
    store.upgrade(engine, keyring)
    with engine.begin() as connection:
        (address,) = connection.execute(select(tables.addresses)).all()
        (row,) = connection.execute(select(tables.cases)).all()
        (consent,) = connection.execute(select(tables.consents)).all()
    assert (row.consent_id, consent.address_id) == (consent.id, address.id)
    assert utc(address.helped_at) == START
    assert cases.read_row(keyring, row).facts == cases.Facts("KH", "self", ("minor",), watched=True)
    assert [(line.kind, line.body) for line in story(Database(engine, keyring))] == [
        ("opened", {"basis": "consent"}),
        ("message", {"text": WORDS}),
    ]
    engine.dispose()


OLD_TYPES: dict[type, Any] = {dt.datetime: tables.Moment, bool: Boolean(), bytes: LargeBinary()}


def _old_rows(keyring: Keyring) -> dict[str, Any]:
    seal = b"sealed"
    opened: dict[str, Any] = {"id": "e", "case_id": "k", "at": START}
    told = opened | {"id": "f"}
    opened |= {"position": 1, "kind": "opened", "sealed_body": _old_body(keyring, "e", {"basis": "consent"})}
    told |= {"position": 2, "kind": "message", "sealed_body": _old_body(keyring, "f", {"text": WORDS})}
    return {
        "addresses": {"id": "a", "channel": "sms", "lookup": "l", "sealed_identifier": seal, "created_at": START},
        "consents": {
            "id": "c", "address_id": "a", "purpose": "help", "basis": "consent", "reason": "r", "sealed_words": seal,
            "given_at": START,
        },
        "cases": {
            "id": "k", "reference": "R", "address_id": "a", "consent_id": "c", "purpose": "help", "kind": "report",
            "priority": "P1", "status": "open", "about": "self", "minor": False, "watched": True, "flags": '["minor"]',
            "country": "KH", "opened_at": START, "updated_at": START,
        },
        "case_events": [opened, told],
    }  # fmt: skip


def _old_body(keyring: Keyring, row_id: str, body: dict[str, str]) -> bytes:
    return keyring.seal(json.dumps(body), f"case_events|{row_id}|sealed_body")


def test_the_schema_is_what_the_migrations_make(house: App) -> None:
    """Alembic finds nothing to generate: tables.py and the migrations agree."""
    with house.database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, tables.metadata) == []


@pytest.mark.parametrize(
    "content", [b"this is no database at all, only text\n" * 40, b"\x00" * 4096], ids=["text", "zeros"]
)
def test_a_file_that_is_no_database_is_refused(content: bytes, tmp_path: Path) -> None:
    """A foreign or damaged file is named as damaged, and its bytes stay."""
    path = tmp_path / "banduong.db"
    path.write_bytes(content)
    with pytest.raises(StoreError) as caught:
        open_database(f"sqlite:///{path}", tmp_path)
    assert _is_one_sentence(caught.value, "damaged")
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    "url", ["nonsense", "oracle://host/name", "mysql://host/name", "sqlite:////proc/no/such/place.db", ""]
)
def test_an_address_that_cannot_be_used_is_refused(url: str, tmp_path: Path) -> None:
    """What is no address of a database that we know, or a place that cannot be written, gets one sentence."""
    with pytest.raises(StoreError) as caught:
        open_database(url, tmp_path)
    assert _is_one_sentence(caught.value)


def test_a_server_that_does_not_answer_is_named(tmp_path: Path) -> None:
    """A PostgreSQL that is not there gets one sentence with the variable to look at, and no password in it."""
    with pytest.raises(StoreError) as caught:
        open_database(f"postgresql://me:secretword@/name?host={tmp_path}", tmp_path)
    assert _is_one_sentence(caught.value, "BANDUONG_DATABASE_URL")
    assert "secretword" not in str(caught.value)


# -- SQLite ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pragma", "value"),
    [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1), ("secure_delete", 1), ("trusted_schema", 0)],
)
def test_sqlite_is_set_to_lose_nothing(pragma: str, value: object, sqlite_house: App) -> None:
    """WAL, synchronous=FULL, foreign keys and secure deletion hold on every connection."""
    with sqlite_house.database.engine.connect() as first, sqlite_house.database.engine.connect() as second:
        first.commit()
        assert first.execute(text(f"PRAGMA {pragma}")).scalar() == value
        first.commit()
        assert second.execute(text(f"PRAGMA {pragma}")).scalar() == value


def test_a_transaction_is_whole_or_not_there(house: App) -> None:
    """What goes wrong in the middle takes everything before it along."""

    def fail_half_way(connection: Connection) -> None:
        connection.execute(insert(tables.about).values(name="half", sealed_value=b""))
        raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError), house.database.begin() as connection:
        fail_half_way(connection)
    assert [row.name for row in _rows(house.database, tables.about)] == ["proof"]


def test_a_full_disk_is_said_in_one_sentence(sqlite_house: App) -> None:
    """When nothing more fits, the person at the keyboard reads that the disk is full, and nothing of the turn is stored."""
    sqlite_house.processor.handle(message("menu"))
    _fill_up(sqlite_house.database)
    before = len(_rows(sqlite_house.database, tables.inbox))
    with pytest.raises(StoreError) as caught:
        _ask_many_times(sqlite_house)
    assert _is_one_sentence(caught.value, "full")
    handled = {row.inbox_id for row in _rows(sqlite_house.database, tables.outbox)}
    assert len(_rows(sqlite_house.database, tables.inbox)) == len(handled) >= before


def test_a_moment_comes_back_with_its_zone(house: App) -> None:
    """SQLite forgets the zone and PostgreSQL does not: both give back the very moment."""
    house.processor.handle(message("menu"))
    assert utc(_rows(house.database, tables.inbox)[0].received_at) == START
    assert utc(START.astimezone(dt.timezone(dt.timedelta(hours=7)))) == START


# -- helpers -----------------------------------------------------------------------------------------------------------


def _report_with_consent(house: App) -> None:
    for number, words in enumerate((REPORT, "1", CONSENT, "Bình Dương", "gặp người"), 1):
        house.processor.handle(InboundMessage(Address("sms", PHONE), f"SM{number}", words, START))
    assert [row.basis for row in _rows(house.database, tables.consents)] == ["consent"]
    assert len(_rows(house.database, tables.cases)) == 1


def _ask_many_times(house: App) -> None:
    for number in range(2, 200):
        house.processor.handle(message("menu", to=f"person-{number}"))


def _insert_consent(
    database: Database, *, purpose: str, words: bytes | None = b"sealed", basis: str = "consent"
) -> str:
    row_id = new_id()
    values = {"purpose": purpose, "basis": basis, "reason": "by hand", "sealed_words": words, "given_at": START}
    with database.engine.begin() as connection:
        connection.execute(insert(tables.consents).values(id=row_id, **values))
    return row_id


def _insert_case(database: Database, consent_id: str | None, purpose: str = "help") -> None:
    values = {"kind": "report", "priority": "P2", "status": "open", "minor": False, "public_key": b"k" * 32}
    with database.engine.begin() as connection:
        connection.execute(
            insert(tables.cases).values(
                id=new_id(), reference="ABCDEF", consent_id=consent_id, purpose=purpose,
                opened_at=START, updated_at=START, **values,
            )
        )  # fmt: skip


def _rows(database: Database, table: Table) -> list[Row[Any]]:
    order = [table.c[name] for name in ("created_at", "position", "name") if name in table.c]
    with database.engine.begin() as connection:
        return list(connection.execute(select(table).order_by(*order, *table.primary_key)).all())


def _files(house: App) -> bytes:
    """Everything that SQLite has on disk, the write-ahead log included."""
    return b"".join(path.read_bytes() for path in sorted(house.config.home.glob("banduong.db*")))


def _keyring_file(house: App) -> Path:
    house.database.close()
    return house.config.home / "keyring.json"


def _refusal(house: App, expected: type[BanDuongError]) -> BanDuongError:
    with pytest.raises(expected) as caught:
        open_database(house.config.database_url, house.config.home)
    error = caught.value.with_traceback(None)
    del caught
    gc.collect()  # a connection that was left open complains here, and not in some later test
    return error


def _is_one_sentence(error: Exception, *contained: str) -> bool:
    sentence = str(error)
    return "\n" not in sentence and sentence.endswith(".") and all(words in sentence for words in contained)


def _fill_up(database: Database) -> None:
    """Lets SQLite take no further page; every connection of the pool is told."""
    database.engine.dispose()
    with database.engine.connect() as connection:
        pages = connection.execute(text("PRAGMA page_count")).scalar_one()
        connection.execute(text(f"PRAGMA max_page_count = {pages + 2}"))
