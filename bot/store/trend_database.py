"""The store of trends: a file of its own beside the database, or the schema `trends` of a PostgreSQL server, best with a role of its own."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Connection, insert, select, text
from sqlalchemy.engine import Engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from bot.errors import SchemaError, StoreError
from bot.store import trend_tables as t
from bot.store.crypto import Keyring
from bot.store.database import Database, engine_of, explain

VERSION = "1"
SCHEMA = "trends"
FILE = "trends.db"


class TrendDatabase:
    """Opened and of the right version. It knows nothing of people, and the other database nothing of it."""

    def __init__(self, url: str) -> None:
        self.engine = _engine(url)
        self._database = Database(self.engine, Keyring({}, "", b""))
        try:
            with self.engine.begin() as connection:
                _prepare(connection)
        except (DBAPIError, SQLAlchemyError) as error:
            self.engine.dispose()
            reason = explain(error) if isinstance(error, DBAPIError) else f"({type(error).__name__})"
            raise StoreError(f"The trends' database cannot be used: {reason}") from None

    @contextlib.contextmanager
    def begin(self) -> Iterator[Connection]:
        with self._database.begin() as connection:
            yield connection

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        with self._database.read() as connection:
            yield connection

    def leave_nothing(self) -> None:
        """After a closing: no deleted row lingers in the file, in its log or in the server's tables."""
        if self.engine.dialect.name == "sqlite":
            self._database.checkpoint()
            return
        with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            for table in t.OPEN:
                connection.execute(text(f"VACUUM FULL {table.name}"))

    def close(self) -> None:
        self._database.close()


def trend_url(database_url: str, home: Path, own: str | None = None) -> str:
    """`own`: an address with the trends' own role, where the deployer has given one."""
    if own:
        return own
    try:
        if make_url(database_url).get_backend_name() == "postgresql":
            return database_url
    except ArgumentError:
        pass
    return f"sqlite:///{home / FILE}"


def _engine(url: str) -> Engine:
    return engine_of(url, search_path=SCHEMA)


def _prepare(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(724631)"))  # two processes that start at once
        if connection.dialect.has_schema(connection, SCHEMA) is False:
            connection.execute(text(f"CREATE SCHEMA {SCHEMA}"))
            connection.execute(text(f"REVOKE ALL ON SCHEMA {SCHEMA} FROM PUBLIC"))
    if not connection.dialect.has_table(connection, t.about.name):
        t.metadata.create_all(connection)
        for table in t.KEPT:
            _set_in_stone(connection, table.name)
        connection.execute(insert(t.about).values(name="version", value=VERSION))
    found = connection.execute(select(t.about.c.value).where(t.about.c.name == "version")).scalar()
    if found != VERSION:
        raise SchemaError("The trends' database was made by another version of Bạn Đường: use that version.")


def _set_in_stone(connection: Connection, table: str) -> None:
    if connection.dialect.name == "sqlite":
        for change in ("UPDATE", "DELETE"):
            connection.execute(
                text(
                    f"CREATE TRIGGER {table}_no_{change.lower()} BEFORE {change} ON {table} "
                    "BEGIN SELECT RAISE(ABORT, 'what was released stays as it is'); END"
                )
            )
        return
    connection.execute(
        text(
            f"CREATE OR REPLACE FUNCTION {SCHEMA}.stays() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'what was released stays as it is'; END $$"
        )
    )
    connection.execute(
        text(
            f"CREATE TRIGGER {table}_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            f"FOR EACH STATEMENT EXECUTE FUNCTION {SCHEMA}.stays()"
        )
    )
