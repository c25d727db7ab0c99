"""One engine, one way to begin a transaction, on SQLite and PostgreSQL alike."""

import contextlib
import datetime as dt
import functools
import logging
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, DateTime, Table, create_engine, event, func, insert, select, text
from sqlalchemy.engine import Engine, make_url
from sqlalchemy.exc import DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from bot.errors import KeyringError, SchemaError, StoreError
from bot.store import tables
from bot.store.crypto import Keyring, create_keyring, load_keyring
from bot.store.presence import Presence

_MIGRATIONS = Path(__file__).parent / "migrations"
log = logging.getLogger("banduong")

_SERVER_CLOCK = select(func.clock_timestamp(type_=DateTime(timezone=True)))
CLOCK_HOLDS = 5.0  # seconds for which the server's clock is reckoned on from a reading
_CLOCKS: WeakKeyDictionary[Engine, tuple[float, dt.datetime]] = WeakKeyDictionary()
_VERSION = text("SELECT version_num FROM alembic_version")
_LOOKING: Mapping[str, Mapping[str, Any]] = {
    "sqlite": {"looking": True},  # write-ahead log: what is read stays as it was when reading began
    "postgresql": {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True},
}
_PROOF = "these keys belong to this database"


class _Turn:
    """A lock that says so where a thread would wait for itself."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holder: int | None = None

    def __enter__(self) -> None:
        if self._holder == threading.get_ident():
            raise RuntimeError("A transaction was begun inside another one.")
        self._lock.acquire()
        self._holder = threading.get_ident()

    def __exit__(self, *_: object) -> None:
        self._holder = None
        self._lock.release()


class Database:
    """An open database of the right version, with the keys that belong to it."""

    def __init__(self, engine: Engine, keyring: Keyring, presence: Presence | None = None) -> None:
        self.engine = engine
        self.keyring = keyring
        self._presence = presence
        # SQLite has one writer. Threads that wait here go on at once; SQLite's own waiting sleeps ever longer.
        self._turn = _Turn() if engine.dialect.name == "sqlite" else contextlib.nullcontext()

    @contextlib.contextmanager
    def begin(self) -> Iterator[Connection]:
        """One transaction: all of it is on disk afterwards, or none. StoreError says in a sentence what was in the way."""
        with _explained(), self._turn, self.engine.begin() as connection:
            yield connection

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """The store as it is at this moment, however long reading takes; nobody who writes waits for it. Nothing is written here."""
        with _explained(), self.engine.connect() as connection:
            looking = connection.execution_options(**_LOOKING[connection.dialect.name])
            with looking.begin():
                yield looking

    def checkpoint(self) -> None:
        """Empties SQLite's write-ahead log, so that deleted text does not linger there."""
        if self.engine.dialect.name == "sqlite":
            try:
                with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                    connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
            except DBAPIError as error:  # the work itself is committed; the next checkpoint empties the log
                log.warning("the write-ahead log could not be emptied: %s", explain(error))

    def alone(self) -> contextlib.AbstractContextManager[None]:
        """Meanwhile nobody else on this machine has this house open. StoreError where somebody has."""
        return self._presence.alone() if self._presence else contextlib.nullcontext()

    def close(self) -> None:
        self.engine.dispose()
        if self._presence:
            self._presence.close()


def open_database(url: str, home: Path) -> Database:
    """Opens (and on first use creates) the database, brings it to this version, and proves the keys."""
    prepare_home(home)
    engine = engine_of(url)
    presence = Presence(home)  # before the keys are read: afterwards none of them is taken away
    try:
        path = home / "keyring.json"
        upgrade(engine, load_keyring(path))
        return Database(engine, _keyring_of(engine, path), presence)
    except Exception as error:
        engine.dispose()
        presence.close()
        if isinstance(error, DBAPIError):
            raise StoreError(explain(error)) from None
        if isinstance(error, SQLAlchemyError):
            raise StoreError(f"The database cannot be used ({error.__class__.__name__}).") from None
        raise


def clock(connection: Connection) -> dt.datetime:
    """Now, by the one clock that all processes of this database share: the server's, or this machine's."""
    if connection.dialect.name != "postgresql":
        return dt.datetime.now(dt.UTC)
    read_at, there = _CLOCKS.get(connection.engine, (-CLOCK_HOLDS, None))
    if there is None or time.monotonic() - read_at > CLOCK_HOLDS:
        there = connection.execute(_SERVER_CLOCK).scalar_one()
        read_at = time.monotonic()
        _CLOCKS[connection.engine] = (read_at, there)
    return there + dt.timedelta(seconds=time.monotonic() - read_at)


def new_id() -> str:
    return secrets.token_hex(16)


def insert_unless_there(connection: Connection, table: Table, row: Mapping[str, object]) -> bool:
    """Whether the row was written: not where one with its unique key is there already."""
    return connection.execute(_insert_or_nothing(connection.dialect.name, table), row).rowcount == 1


@functools.cache
def _insert_or_nothing(dialect: str, table: Table) -> Any:
    return insert_of(dialect, table).on_conflict_do_nothing().execution_options(preserve_rowcount=True)


def insert_of(dialect: str, table: Table) -> Any:
    """The INSERT that knows what to do on a conflict. Only the dialect in use is loaded."""
    if dialect == "postgresql":
        from sqlalchemy.dialects import postgresql

        return postgresql.insert(table)
    from sqlalchemy.dialects import sqlite

    return sqlite.insert(table)


def count_anew(connection: Connection, *grown: Table) -> None:
    """After many rows in one transaction: else PostgreSQL takes these tables for as small as before, and reads all of them for every row
    that it looks for."""
    if connection.dialect.name == "postgresql":
        for table in grown:
            connection.execute(text(f"ANALYZE {table.name}"))


def utc(moment: dt.datetime) -> dt.datetime:
    """A moment read back from the store; SQLite forgets the zone."""
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


# -- schema ------------------------------------------------------------------------------------------------------------


def upgrade(engine: Engine, keyring: Keyring | None = None) -> None:
    """Brings the schema to this version; refuses one that is newer or foreign. What is sealed otherwise now needs the keys."""
    known = sorted(path.name[:4] for path in (_MIGRATIONS / "versions").glob("[0-9]*.py"))
    with engine.connect() as connection:
        names = engine.dialect.get_table_names(connection)
        current = connection.execute(_VERSION).scalar() if "alembic_version" in names else None
    if current == known[-1]:
        return
    if (current is None and names) or (current is not None and current not in known):
        raise SchemaError(
            "The database was made by another version of Bạn Đường: use that version, or name another database "
            "(BANDUONG_HOME or BANDUONG_DATABASE_URL)."
        )
    from alembic import command  # large, and not needed where the schema is up to date
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["keyring"] = keyring
    with _rebuilding(engine) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


@contextlib.contextmanager
def _rebuilding(engine: Engine) -> Iterator[Connection]:
    """A transaction in which SQLite's tables may be made anew: what refers to them is looked at before the commit."""
    sqlite = engine.dialect.name == "sqlite"
    with engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        if sqlite:
            driver.execute("PRAGMA foreign_keys=OFF")  # does nothing inside a transaction
        try:
            with connection.begin():
                yield connection
                if sqlite and connection.exec_driver_sql("PRAGMA foreign_key_check").first():
                    raise SchemaError("The database holds rows that belong to nothing: restore it from a backup.")
        finally:
            if sqlite:
                driver.execute("PRAGMA foreign_keys=ON")


# -- engine ------------------------------------------------------------------------------------------------------------


def engine_of(url: str, search_path: str | None = None, patience: int | None = None) -> Engine:
    """`search_path`: the schema of a PostgreSQL server in which our tables are; a file has none. `patience`: seconds to wait for a server."""
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() == "postgresql" and parsed.drivername == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
        if parsed.get_backend_name() == "sqlite":
            return _sqlite_engine(create_engine(parsed, connect_args={"timeout": 30}))
        options = "-c jit=off"  # compiling a statement takes longer than any of ours
        if search_path:
            options += f" -c search_path={search_path}"
        if patience:
            options += f" -c lock_timeout={patience}s"
        waits = {"connect_timeout": patience} if patience else {}
        return create_engine(parsed, pool_pre_ping=True, connect_args={"options": options, **waits})
    except (SQLAlchemyError, NoSuchModuleError, ModuleNotFoundError, ValueError):
        raise StoreError(
            "The database address cannot be used: give sqlite:///FILE or postgresql://USER@HOST/NAME."
        ) from None


def _sqlite_engine(engine: Engine) -> Engine:
    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # SQLAlchemy begins transactions itself, below
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "busy_timeout=30000",
            "secure_delete=ON",
            "trusted_schema=OFF",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        if options.get("isolation_level") != "AUTOCOMMIT":
            connection.exec_driver_sql("BEGIN" if options.get("looking") else "BEGIN IMMEDIATE")

    return engine


# -- home and keys -----------------------------------------------------------------------------------------------------


def prepare_home(home: Path) -> None:
    """The folder for database, keys and model, made where it is not there."""
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        probe = home / ".writable"
        probe.touch()
        probe.unlink(missing_ok=True)  # another process may start here in the same moment
    except OSError as error:
        raise StoreError(
            f"{home} cannot be written to ({error.strerror}): free it or set BANDUONG_HOME to another folder."
        ) from None


def _keyring_of(engine: Engine, path: Path) -> Keyring:
    keyring = load_keyring(path)
    with engine.begin() as connection:
        proof = connection.execute(select(tables.about.c.sealed_value).where(tables.about.c.name == "proof")).scalar()
        if keyring is None and proof is not None:
            raise KeyringError(
                f"{path} is missing, and without it the database cannot be read: restore it from where you keep it safe."
            )
        if keyring is None:
            keyring = create_keyring(path)
        if proof is None:
            sealed = keyring.seal(_PROOF, "about|proof|sealed_value")
            connection.execute(insert(tables.about).values(name="proof", sealed_value=sealed))
        else:
            keyring.open(proof, "about|proof|sealed_value")
    return keyring


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        raise StoreError(explain(error)) from None
    except PoolTimeoutError:
        raise StoreError("The database has more to do than it can: try again in a moment.") from None


def explain(error: DBAPIError) -> str:
    """A driver's error in a sentence, without any value of a statement."""
    reason = str(error.orig).lower()
    if "full" in reason or "no space" in reason:
        return "The disk is full: free some space; nothing that was accepted is lost."
    if "readonly" in reason or "read-only" in reason or "unable to open" in reason:
        return "The database cannot be written: check the folder's permissions, or set BANDUONG_HOME to another folder."
    if "not a database" in reason or "malformed" in reason:
        return "The database file is damaged: restore it from a backup, or name another with BANDUONG_HOME."
    if "locked" in reason:
        return "The database is busy with another program: stop that program and try again."
    if "connect" in reason or "server" in reason:
        return "The database server does not answer: check BANDUONG_DATABASE_URL and that the server runs."
    return f"The database refused the work ({error.orig.__class__.__name__})."
