"""The audit chain: what shows when somebody with the database changes the past."""

import concurrent.futures
import datetime as dt
import multiprocessing
from collections.abc import Callable

import pytest
from sqlalchemy import Connection, delete, insert, select, update

from bot import audit
from bot.app import App
from bot.audit import Head
from bot.store import tables
from bot.store.crypto import load_keyring
from bot.store.database import Database, open_database
from bot.testing import START

ROWS, PROCESSES = 6, 2


@pytest.fixture
def database(house: App) -> Database:
    return house.database


def write(database: Database, count: int = ROWS, *, at: dt.datetime = START) -> Head:
    for number in range(count):
        with database.begin() as connection:
            audit.record(connection, database.keyring, actor="bot", action=f"a{number}", now=at, digest="d")
    with database.begin() as connection:
        return audit.head(connection)


def broken_at(database: Database, anchor: Head | None = None) -> int | None:
    with database.begin() as connection:
        return audit.verify(connection, database.keyring, anchor).broken_at


def _edited(connection: Connection) -> None:
    connection.execute(update(tables.audit).where(tables.audit.c.position == 3).values(actor="clock"))


def _deleted(connection: Connection) -> None:
    connection.execute(delete(tables.audit).where(tables.audit.c.position == 3))


def _closed_up(connection: Connection) -> None:
    _deleted(connection)
    later = tables.audit.c.position > 3
    for row in connection.execute(select(tables.audit).where(later).order_by(tables.audit.c.position)).all():
        one = tables.audit.c.position == row.position
        connection.execute(update(tables.audit).where(one).values(position=row.position - 1))
    connection.execute(update(tables.audit_head).values(position=ROWS - 1))


def _reordered(connection: Connection) -> None:
    for old, new in ((3, 99), (4, 3), (99, 4)):
        connection.execute(update(tables.audit).where(tables.audit.c.position == old).values(position=new))


def _inserted(connection: Connection) -> None:
    last = connection.execute(select(tables.audit).where(tables.audit.c.position == ROWS)).one()
    connection.execute(insert(tables.audit).values({**last._mapping, "position": ROWS + 1}))
    connection.execute(update(tables.audit_head).values(position=ROWS + 1))


def _headless(connection: Connection) -> None:
    connection.execute(delete(tables.audit_head))


def _begun_later(connection: Connection) -> None:
    row = connection.execute(select(tables.audit).where(tables.audit.c.position == 3)).one()
    connection.execute(delete(tables.audit).where(tables.audit.c.position <= 3))
    connection.execute(insert(tables.audit_head).values(name="start", position=3, mac=row.mac))


@pytest.mark.parametrize(
    ("forge", "position"),
    [
        (_edited, 3), (_deleted, 3), (_closed_up, 3), (_reordered, 3), (_inserted, ROWS + 1), (_headless, ROWS + 1),
        (_begun_later, ROWS + 1),
    ],
)  # fmt: skip
def test_a_changed_past_shows(database: Database, forge: Callable[[Connection], None], position: int) -> None:
    """An edited, deleted, moved or inserted row, a missing head and a beginning that was cut off break the chain."""
    write(database)
    assert broken_at(database) is None
    with database.begin() as connection:
        forge(connection)
    assert broken_at(database) == position


def test_a_cut_end_shows_only_against_an_anchor(database: Database) -> None:
    """Whoever cuts off the end and moves the head back is found by a head that was kept outside; also when the end grew again."""
    anchor = write(database)
    with database.begin() as connection:
        kept = connection.execute(select(tables.audit).where(tables.audit.c.position == 4)).one()
        connection.execute(delete(tables.audit).where(tables.audit.c.position > 4))
        connection.execute(update(tables.audit_head).values(position=4, mac=kept.mac))
    assert broken_at(database) is None
    assert broken_at(database, anchor) == 5
    write(database, 3)
    assert broken_at(database) is None
    assert broken_at(database, anchor) == ROWS


def test_another_key_proves_nothing(database: Database, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The chain is keyed: with other keys it does not follow, so nobody can write it anew from the database alone."""
    write(database)
    home = tmp_path_factory.mktemp("other")
    other = open_database(f"sqlite:///{home / 'x.db'}", home)
    with database.begin() as connection:
        assert audit.verify(connection, other.keyring).broken_at == 1
    other.close()
    assert load_keyring(home / "keyring.json")


def test_what_is_two_years_old_goes_and_the_rest_can_still_be_proved(database: Database) -> None:
    """A purge keeps where the chain then begins, twice over, and an anchor of before counts as seen."""
    anchor = write(database)
    for days in (1, 2):
        later = START + dt.timedelta(days=days)
        write(database, at=later)
        with database.begin() as connection:
            assert audit.purge(connection, database.keyring, later, later) > 0
        assert broken_at(database) is None
        assert broken_at(database, anchor) is None
    with database.begin() as connection:
        assert audit.purge(connection, database.keyring, START, START) == 0


@pytest.mark.postgres
@pytest.mark.parametrize("house", ["postgres"], indirect=True)
def test_rows_added_while_the_chain_is_read_are_no_forgery(house: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody works while a supervisor proves the chain: it is whole. (On SQLite a transaction has the whole database.)"""
    write(house.database)
    page = audit._page

    def slow(connection: Connection, after: int) -> object:
        found = page(connection, after)
        if not found:
            write(house.database, 1)
        return found

    monkeypatch.setattr(audit, "_page", slow)
    assert broken_at(house.database) is None


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_two_processes_and_four_threads_write_one_chain(house: App) -> None:
    """Everybody's rows stand in one line without a gap."""
    write(house.database, 1)
    house.database.engine.dispose()
    fork = multiprocessing.get_context("fork")
    children = [fork.Process(target=_write_from_a_process, args=(house,)) for _ in range(PROCESSES)]
    for child in children:
        child.start()
    for child in children:
        child.join(60)
    assert [child.exitcode for child in children] == [0] * PROCESSES
    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: write(house.database, 3), range(4)))
    with house.database.begin() as connection:
        verdict = audit.verify(connection, house.database.keyring)
    assert (verdict.rows, verdict.broken_at) == (1 + PROCESSES * 10 + 4 * 3, None)


def _write_from_a_process(house: App) -> None:
    write(house.database, 10)
