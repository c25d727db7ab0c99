"""Another key for everything that the keyring seals: while others write, and whenever the process dies."""

import contextlib
import json
import multiprocessing
import os
import random
import shutil
import signal
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, insert, select, update
from sqlalchemy.engine import Engine
from sqlalchemy.pool import Pool

from bot import audit, contacts
from bot.app import App
from bot.channels.sms import Fragment
from bot.cli import main
from bot.delivery import dead_letters, fragments
from bot.errors import KeyringError, StoreError
from bot.hotline import handing_on, reach
from bot.messages import Address
from bot.store import rotation, tables
from bot.store.crypto import Keyring, add_key, create_keyring, drop_old_keys, load_keyring
from bot.store.database import Database, open_database
from bot.store.presence import changing_keys
from bot.store.rotation import Outcome, counts, rotate
from bot.store.seals import BY_KEYRING, TO_PEOPLE, Seal
from bot.testing import START
from tests.broadcasting import Office
from tests.colleagues import join
from tests.conftest import message
from tests.hotline import Story
from tests.questions import keep_questions

HELD = "cứu em với, em đang bị nhốt ở Myawaddy"
PEOPLE = 60
PATIENCE = 60

# Python 3.12 warns of a fork beside threads; the child opens a database of its own and starts none.
pytestmark = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")


# -- the list of what is sealed ----------------------------------------------------------------------------------------


def test_every_sealed_column_stands_in_the_list() -> None:
    """A column named sealed_... is sealed by the keyring or to people, and the list says which."""
    named = {
        (table.name, column.name)
        for table in tables.metadata.sorted_tables
        for column in table.c
        if column.name.startswith("sealed_")
    }
    by_keyring = {(seal.table.name, seal.name) for seal in BY_KEYRING}
    to_people = {(table.name, name) for table, name in TO_PEOPLE}
    assert by_keyring | to_people == named
    assert by_keyring & to_people == {("case_keys", "sealed_key")}


def test_every_place_of_the_list_is_the_one_that_the_house_seals_to(house: App) -> None:
    """In a house where every column is filled by its own module, each value opens where the list says; none is forgotten."""
    _furnish(house)
    opened = _opened(house.database)
    assert {(seal.table.name, seal.name) for seal in BY_KEYRING} == {(table, name) for table, name, _ in opened}


# -- rotating ----------------------------------------------------------------------------------------------------------


def test_d_13_after_a_rotation_the_new_key_seals_everything(house: App) -> None:
    """All tables, the same texts as before, one key more in the file, and the old one seals nothing any more."""
    _furnish(house)
    before, old = _opened(house.database), house.database.keyring.current
    outcome = _rotate(house)
    assert outcome == Outcome(outcome.key, False, len(before), 0, 0, 0)
    assert _opened(house.database) == before
    assert _keys_in_use(house.database) == {outcome.key} != {old}
    kept = load_keyring(house.config.home / "keyring.json")
    assert kept
    assert set(kept.keys) == {old, outcome.key}
    assert kept.current == outcome.key


def test_people_are_known_again_after_a_rotation(house: App) -> None:
    """Look-ups and the audit chain rest on the pepper, which stays: nobody becomes a stranger, and the chain is whole."""
    story = Story(house)
    _rotate(house)
    story.says("em van con o day")
    with house.database.begin() as connection:
        assert len(connection.execute(select(tables.addresses)).all()) == 1
        assert audit.verify(connection, house.database.keyring).broken_at is None


def test_a_running_process_takes_over_a_key_that_it_does_not_know(house: App) -> None:
    """It reads what was sealed with the new key, and from then on seals with it; what it knew it still opens."""
    house.processor.handle(message("menu"))
    running = _again(house)
    old_row = running.keyring.seal("before", "t|r|c")
    outcome = _rotate(house)
    assert running.keyring.current != outcome.key
    assert _opened(running) == _opened(house.database)
    assert running.keyring.current == outcome.key
    assert running.keyring.open(old_row, "t|r|c") == "before"
    running.close()


def test_a_key_that_nobody_has_is_refused_and_the_keys_in_memory_stay(tmp_path: Path) -> None:
    """Neither a row of other keys nor a damaged or foreign file takes away what a running process knows."""
    path = tmp_path / "keyring.json"
    ours, theirs = create_keyring(path), create_keyring(tmp_path / "other.json")
    sealed = ours.seal("text", "t|r|c")
    for damage in (b"{", (tmp_path / "other.json").read_bytes()):
        path.write_bytes(damage)
        with pytest.raises(KeyringError):
            ours.open(theirs.seal("text", "t|r|c"), "t|r|c")
        assert ours.open(sealed, "t|r|c") == "text"
    path.unlink()
    with pytest.raises(KeyringError):
        ours.open(theirs.seal("text", "t|r|c"), "t|r|c")


def test_a_value_that_no_key_opens_is_left_and_told(sqlite_house: App) -> None:
    """It neither stops the rest nor is it overwritten; the old key stays, because somebody may mend the row."""
    _people(sqlite_house.database, 3)
    with sqlite_house.database.begin() as connection:
        spoilt = connection.execute(select(tables.addresses.c.id)).scalars().first()
        column = tables.addresses.c.sealed_identifier
        sealed = connection.execute(select(column).where(tables.addresses.c.id == spoilt)).scalar_one()
        broken = sealed[:-1] + bytes([sealed[-1] ^ 1])
        connection.execute(
            update(tables.addresses).where(tables.addresses.c.id == spoilt).values(sealed_identifier=broken)
        )
    outcome = _rotate(sqlite_house)
    assert (outcome.unreadable, outcome.left, outcome.resealed) == (1, 0, 6)
    with pytest.raises(KeyringError, match="addresses does not open"):
        _rotate(sqlite_house, drop_old=True)
    with sqlite_house.database.begin() as connection:
        assert connection.execute(select(column).where(tables.addresses.c.id == spoilt)).scalar_one() == broken
    assert len(_keyring(sqlite_house).keys) == 2
    again = _rotate(sqlite_house)
    assert (again.resumed, again.unreadable) == (False, 1)
    assert again.key != outcome.key


# -- beside others -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reads", [True, False], ids=["who also reads", "who only writes"])
def test_what_others_write_meanwhile_is_neither_lost_nor_overwritten(house: App, reads: bool) -> None:
    """A process with the keys of before writes the same rows all the time: its last words stand there afterwards, readable."""
    _people(house.database, PEOPLE)
    with _writing(_again(house), reads=reads) as written:
        _rotate(house)
    again = _rotate(house)  # what was written after its last look
    assert again.left == again.unreadable == 0
    assert _states(house.database) == {**dict.fromkeys(_ids(house.database), -1), **written}
    assert written
    assert _keys_in_use(house.database) == {again.key}


def test_a_value_that_changed_since_it_was_read_is_not_overwritten(house: App) -> None:
    """Compare and set: where another has written in between, the swap leaves the row alone."""
    _people(house.database, 1)
    seal = next(one for one in BY_KEYRING if one.table is tables.conversations)
    add_key(house.config.home / "keyring.json")
    with house.database.begin() as connection:
        house.database.keyring.refresh()
        (row,) = rotation._batch(connection, seal, house.database.keyring.current, ())
        change = rotation._change(house.database.keyring, seal, row)
        assert change
        _write_state(connection, house.database.keyring, row.address_id, 7)
        assert rotation._swap(connection, seal, [change]) == 0
    assert list(_states(house.database).values()) == [7]


def test_two_rotations_at_once_do_not_lose_a_key(sqlite_house: App) -> None:
    """The second is refused in one sentence and adds nothing."""
    home = sqlite_house.config.home
    _ = sqlite_house.database
    with changing_keys(home), pytest.raises(StoreError, match="being changed already"):
        _rotate(sqlite_house)
    assert len(_keyring(sqlite_house).keys) == 1
    assert _rotate(sqlite_house).left == 0


# -- the file ----------------------------------------------------------------------------------------------------------


def test_a_new_key_leaves_the_file_private_and_whole(tmp_path: Path) -> None:
    """0600 like before, with both keys and the same pepper, also where a file of an earlier attempt lies about."""
    path = tmp_path / "keyring.json"
    made = create_keyring(path)
    path.with_suffix(".new").write_text("half of a ke")
    path.with_suffix(".new").chmod(0o644)
    name = add_key(path)
    kept = load_keyring(path)
    assert kept
    assert kept.keys[made.current] == made.keys[made.current]
    assert (kept.current, kept.pepper) == (name, made.pepper)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["keyring.json"]


def test_a_link_to_the_keyring_stays_a_link(tmp_path: Path) -> None:
    """Where the file lies on another disk, the new key is written there."""
    (tmp_path / "safe").mkdir()
    create_keyring(tmp_path / "safe" / "keyring.json")
    link = tmp_path / "keyring.json"
    link.symlink_to(tmp_path / "safe" / "keyring.json")
    name = add_key(link)
    assert link.is_symlink()
    kept = load_keyring(tmp_path / "safe" / "keyring.json")
    assert kept
    assert kept.current == name


def test_a_missing_keyring_gets_no_key(tmp_path: Path) -> None:
    """A keyring that holds only a new key would look right and open nothing."""
    for change in (add_key, drop_old_keys):
        with pytest.raises(KeyringError, match="missing"):
            change(tmp_path / "keyring.json")
    assert list(tmp_path.iterdir()) == []


# -- old keys ----------------------------------------------------------------------------------------------------------


def test_an_old_key_is_removed_when_nothing_needs_it(house: App) -> None:
    """Everything opens with the new key alone; a second call only removes, and adds none."""
    _furnish(house)
    before = _opened(house.database)
    rotated = _rotate(house)
    outcome = _rotate(house, drop_old=True)
    assert (outcome.key, outcome.resumed, outcome.dropped) == (rotated.key, True, 1)
    assert set(_keyring(house).keys) == {rotated.key}
    house.database.close()
    fresh = _again(house)
    assert _opened(fresh) == before
    fresh.close()


def test_no_key_is_removed_while_another_process_has_the_house_open(house: App) -> None:
    """It may still seal with it; the sentence says what to stop."""
    _ = house.database
    other = _again(house)
    with pytest.raises(StoreError, match="Another process"):
        _rotate(house, drop_old=True)
    assert len(_keyring(house).keys) == 2
    other.close()
    assert _rotate(house, drop_old=True).dropped == 1


@pytest.mark.postgres
def test_no_key_is_removed_while_another_machine_is_connected(
    postgres_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process with a home of its own shares no lock with us, but the database server knows it."""
    monkeypatch.setattr(rotation, "_BREATH", 0.01)
    here, there = tmp_path / "here", tmp_path / "there"
    database = open_database(postgres_database, here)
    there.mkdir()
    shutil.copy(here / "keyring.json", there)
    other = open_database(postgres_database, there)
    with other.begin(), pytest.raises(StoreError, match="connected to the database"):
        rotate(database, here, _quietly, drop_old=True)
    other.close()
    database.close()


def test_an_old_backup_does_not_open_once_its_key_is_gone(sqlite_house: App, tmp_path: Path) -> None:
    """The database of before and the keyring of now: one sentence, and with the keyring of before it opens as it did."""
    house, backup = sqlite_house, tmp_path / "backup"
    _people(house.database, 2)
    before = _opened(house.database)
    house.database.close()
    shutil.copytree(house.config.home, backup, ignore=shutil.ignore_patterns("model"))
    with _opened_again(house) as database:
        rotate(database, house.config.home, _quietly, drop_old=True)
    old_keyring = (backup / "keyring.json").read_bytes()
    shutil.copy(house.config.home / "keyring.json", backup)
    with pytest.raises(KeyringError, match=r"restore keyring\.json") as caught:
        open_database(f"sqlite:///{backup / 'banduong.db'}", backup)
    assert str(caught.value).count(".") == 2
    (backup / "keyring.json").write_bytes(old_keyring)
    restored = open_database(f"sqlite:///{backup / 'banduong.db'}", backup)
    assert _opened(restored) == before
    restored.close()


def test_nothing_of_the_old_ciphertext_stays_in_the_files(sqlite_house: App) -> None:
    """After a rotation neither SQLite's file nor its log holds a byte of what the old key sealed."""
    _people(sqlite_house.database, 3)
    with sqlite_house.database.begin() as connection:
        old = list(connection.execute(select(tables.addresses.c.sealed_identifier)).scalars())
    _rotate(sqlite_house)
    files = b"".join(path.read_bytes() for path in sqlite_house.config.home.glob("banduong.db*"))
    assert [sealed for sealed in old if sealed in files] == []
    assert old


# -- kill -9 -----------------------------------------------------------------------------------------------------------

Step = tuple[Any, str, int]  # where, a function, and at which of its calls
STEPS: list[Step] = [
    (rotation, "add_key", 1),
    (json, "dump", 1),
    (os, "fsync", 1),
    (os, "fsync", 2),
    (os, "replace", 1),
    *((rotation, "_swap", number) for number in (1, 2, 5, 17)),
    *((Database, "commit", number) for number in (1, 2, 3, 5, 17)),
    (Database, "checkpoint", 1),
]
STEPS_OF_DROPPING: list[Step] = [
    (rotation, "_prove", 1),
    (rotation, "drop_old_keys", 1),
    (os, "fsync", 3),
    (os, "replace", 2),
]


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize(
    ("step", "drop_old"),
    [(step, False) for step in STEPS] + [(step, True) for step in STEPS_OF_DROPPING],
    ids=lambda value: f"{value[0].__name__.split('.')[-1]}.{value[1]}.{value[2]}" if isinstance(value, tuple) else "",
)
def test_a_rotation_that_is_killed_loses_nothing_and_is_finished_by_the_next(
    step: Step, drop_old: bool, moment: str, sqlite_house: App
) -> None:
    """Whatever step it dies at: every row opens at once, and calling it again leaves one key in use."""
    house = sqlite_house
    _people(house.database, 12)
    before = _opened(house.database)
    house.database.close()
    assert _child(house, lambda: _arm(step, moment), drop_old=drop_old) == -signal.SIGKILL
    with _opened_again(house) as database:
        assert _opened(database) == before
        outcome = rotate(database, house.config.home, _quietly, drop_old=drop_old)
        assert (outcome.left, outcome.unreadable) == (0, 0)
        assert _opened(database) == before
        assert _keys_in_use(database) == {outcome.key}
    assert (len(_keyring(house).keys) == 1) is drop_old


def test_a_rotation_killed_again_and_again_at_any_moment_ends_well(sqlite_house: App) -> None:
    """Killed from outside at random moments until one gets through: at each of them every row opens."""
    house, chance = sqlite_house, random.Random(11)
    _people(house.database, 40)
    before = _opened(house.database)
    house.database.close()
    ends = []
    for _ in range(12):
        ends.append(_child(house, lambda: _die_after(chance.uniform(0.01, 0.25)), drop_old=False))
        with _opened_again(house) as database:
            assert _opened(database) == before
    assert -signal.SIGKILL in ends
    with _opened_again(house) as database:
        assert rotate(database, house.config.home, _quietly, drop_old=True).left == 0
        assert _opened(database) == before
    assert len(_keyring(house).keys) == 1


def _child(house: App, arm: Callable[[], None], *, drop_old: bool) -> int | None:
    """Rotates in a process of its own, in many small batches; its exit status."""

    def work() -> None:
        rotation.AT_ONCE = 3
        database = open_database(house.config.database_url, house.config.home)
        arm()
        rotate(database, house.config.home, _quietly, drop_old=drop_old)

    child = multiprocessing.get_context("fork").Process(target=work)
    child.start()
    child.join(PATIENCE)
    return child.exitcode


def _die_after(seconds: float) -> None:
    signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
    signal.setitimer(signal.ITIMER_REAL, seconds)


def _arm(step: Step, moment: str) -> None:
    """Lets this process die before or after the call of that number."""
    place, name, number = step
    calls = iter(range(1, 1_000_000))
    if name == "commit":
        _arm_commit(calls, number, moment)
        return
    real: Callable[..., Any] = getattr(place, name)

    def counted(*arguments: Any, **named: Any) -> Any:
        last = next(calls) == number
        if last and moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        done = real(*arguments, **named)
        if last:
            os.kill(os.getpid(), signal.SIGKILL)
        return done

    setattr(place, name, counted)


def _arm_commit(calls: Iterator[int], number: int, moment: str) -> None:
    def die(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def commit(_connection: object) -> None:
        if next(calls) == number:
            if moment == "before":
                die()
            event.listen(Pool, "reset", die)

    event.listen(Engine, "commit", commit)


# -- the command -------------------------------------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BANDUONG_HOME", str(tmp_path / "house"))
    monkeypatch.delenv("BANDUONG_DATABASE_URL", raising=False)
    return tmp_path / "house"


def test_the_status_tells_what_each_key_seals_and_shows_no_key(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Key ids with how many values they seal by table; never the keys themselves, also not after a rotation."""
    assert main(["staff", "add", "lan.tran", "--name", "Lan", "--role", "operator"]) == 0
    assert main(["keys", "rotate"]) == 0
    capsys.readouterr()
    assert main(["keys", "status"]) == 0
    said = capsys.readouterr()
    kept = load_keyring(home / "keyring.json")
    assert kept
    (old,) = set(kept.keys) - {kept.current}
    head, *lines = said.out.splitlines()
    assert head.split() == ["sealed", "values", kept.current, "(current)", old]
    assert ["staff", "1", "0"] in [line.split() for line in lines]
    assert "recovery key: made" in lines
    assert not [key for key in (*kept.keys.values(), kept.pepper) if key.hex() in said.out + said.err]


def test_a_rotation_is_written_into_the_audit(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Who reads the audit sees when keys were changed and when old ones were removed."""
    assert main(["keys", "rotate"]) == main(["keys", "rotate", "--drop-old"]) == 0
    said = capsys.readouterr()
    assert "Backups of the database from before" in said.err
    database = open_database(f"sqlite:///{home / 'banduong.db'}", home)
    with database.begin() as connection:
        assert [row.action for row in audit.entries(connection, audit.Wish())] == ["keys_dropped", "keys_rotated"]
    database.close()


@pytest.mark.parametrize("command", [["keys", "status"], ["keys", "rotate"], ["keys", "rotate", "--drop-old"]])
@pytest.mark.parametrize("wrong", ["missing", "damaged", "of another house"])
def test_with_wrong_keys_nothing_is_done(
    command: list[str], wrong: str, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One sentence, exit status 2, and no file is written in the place of the one that is missing."""
    assert main(["keys", "status"]) == 0
    path = home / "keyring.json"
    path.unlink()
    if wrong == "damaged":
        path.write_text("{")
    elif wrong == "of another house":
        create_keyring(path)
    found = path.read_bytes() if path.exists() else None
    capsys.readouterr()
    assert main(command) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "restore" in said.err
    assert said.err.count("\n") == 1
    assert (path.read_bytes() if path.exists() else None) == found


# -- helpers -----------------------------------------------------------------------------------------------------------


def _furnish(house: App) -> None:
    """Something in every column that the keyring seals, written by the module that it belongs to."""
    house.processor.handle(message(HELD, to="early"))  # while nobody has an account: the keyring holds the case
    story = Story(house)
    story.agrees("share_111")
    story.does(handing_on.refer, house.library.receivers["vn_111"], by_webhook=True)
    story.does(reach.set_reach, reach.read_hours("08:00", "11:00"))
    join(house)
    Office(house).writes(START)
    keep_questions(house.database)
    with house.database.begin() as connection:
        keyring = house.database.keyring
        address = contacts.find_or_create(connection, keyring, Address("web", "early"), START)
        contacts.withdraw_consent(connection, keyring, address.id, "alerts", "stop", START)
        dead_letters.keep(
            connection, keyring, channel="telegram", external_id="1", reason="KeyError", body="{}", now=START
        )
        part = Fragment(Address("sms", "+84987654321"), 1, 1, 2, "half of it")
        fragments.join(connection, keyring, part, START, again=False)


def _people(database: Database, number: int) -> None:
    """So many addresses, each with the state of a talk."""
    with database.begin() as connection:
        for one in range(number):
            contact = contacts.find_or_create(connection, database.keyring, Address("web", f"person {one}"), START)
            state = database.keyring.seal("-1", f"conversations|{contact.id}|sealed_state")
            connection.execute(
                insert(tables.conversations).values(address_id=contact.id, sealed_state=state, updated_at=START)
            )


def _write_state(connection: Any, keyring: Keyring, address_id: str, number: int) -> None:
    sealed = keyring.seal(str(number), f"conversations|{address_id}|sealed_state")
    here = tables.conversations.c.address_id == address_id
    connection.execute(update(tables.conversations).where(here).values(sealed_state=sealed))


@contextlib.contextmanager
def _writing(database: Database, *, reads: bool) -> Iterator[dict[str, int]]:
    """A process of before at work: which number it has written last to whom."""
    written: dict[str, int] = {}
    ids, ended, begun = _ids(database), threading.Event(), threading.Event()

    def work() -> None:
        chance, number = random.Random(5), 0
        while not ended.is_set():
            address_id, number = chance.choice(ids), number + 1
            with database.begin() as connection:
                _write_state(connection, database.keyring, address_id, number)
            written[address_id] = number
            begun.set()
            if reads:
                _states(database)
            time.sleep(0.001)

    thread = threading.Thread(target=work)
    thread.start()
    assert begun.wait(PATIENCE)
    try:
        yield written
    finally:
        ended.set()
        thread.join(PATIENCE)
        database.close()


def _ids(database: Database) -> list[str]:
    with database.begin() as connection:
        return list(connection.execute(select(tables.conversations.c.address_id)).scalars())


def _states(database: Database) -> dict[str, int]:
    with database.begin() as connection:
        return {
            row.address_id: int(database.keyring.open(row.sealed_state, f"conversations|{row.address_id}|sealed_state"))
            for row in connection.execute(select(tables.conversations))
        }


def _opened(database: Database) -> dict[tuple[str, str, str], str]:
    """Every value that the keyring seals, opened: (table, column, place) -> text."""
    with database.begin() as connection:
        return {
            (seal.table.name, seal.name, seal.place_of(row)): database.keyring.open(
                row._mapping[seal.name], seal.place_of(row)
            )
            for seal in BY_KEYRING
            for row in connection.execute(_filled(seal))
        }


def _filled(seal: Seal) -> Any:
    return select(*seal.key, seal.column).where(seal.filled)


def _keys_in_use(database: Database) -> set[str]:
    with database.begin() as connection:
        return {name for by_key in counts(connection).values() for name in by_key}


def _rotate(house: App, *, drop_old: bool = False) -> Outcome:
    return rotate(house.database, house.config.home, _quietly, drop_old=drop_old)


def _again(house: App) -> Database:
    """The same house, opened as another process would."""
    _ = house.database
    return open_database(house.config.database_url, house.config.home)


@contextlib.contextmanager
def _opened_again(house: App) -> Iterator[Database]:
    database = open_database(house.config.database_url, house.config.home)
    try:
        yield database
    finally:
        database.close()


def _keyring(house: App) -> Keyring:
    found = load_keyring(house.config.home / "keyring.json")
    assert found
    return found


def _quietly(_done: int, _of: int) -> None:
    pass
