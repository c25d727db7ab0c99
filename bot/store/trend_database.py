"""The store of trends: a file of its own beside the database, or the schema `trends` of a PostgreSQL server, best with a role of its own."""

import contextlib
import logging
import threading
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Connection, Table, insert, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from bot.errors import SchemaError, StoreError
from bot.store import trend_tables as t
from bot.store.crypto import Keyring
from bot.store.database import Database, engine_of, explain, prepare_home

VERSION = "1"
SCHEMA = "trends"
FILE = "trends.db"
PATIENCE = 5  # seconds: nobody waits longer for their answer because of trends

log = logging.getLogger("banduong")


class TrendDatabase:
    """It knows nothing of people, and the other database nothing of it.

    Opened when it is first used: where its server is down, people are still answered.
    """

    def __init__(self, url: str) -> None:
        self.engine = engine_of(url, search_path=SCHEMA, patience=PATIENCE)
        self._database = Database(self.engine, Keyring({}, "", b""))
        self._opening = threading.Lock()
        self._opened = False

    @contextlib.contextmanager
    def begin(self) -> Iterator[Connection]:
        self._open()
        with self._database.begin() as connection:
            yield connection

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        self._open()
        with self._database.read() as connection:
            yield connection

    def _open(self) -> None:
        """Made or found to be of the right version, once."""
        with self._opening:
            if self._opened:
                return
            if self.engine.dialect.name == "sqlite":
                prepare_home(Path(self.engine.url.database or "").parent)
            try:
                with self.engine.begin() as connection:
                    _prepare(connection)
            except SQLAlchemyError as error:
                reason = explain(error) if isinstance(error, DBAPIError) else f"({type(error).__name__})"
                raise StoreError(f"The trends' database cannot be used: {reason}") from None
            self._opened = True

    def leave_nothing(self) -> None:
        """After a closing: no deleted row lingers in the file, in its log or in the server's tables."""
        if self.engine.dialect.name == "sqlite":
            self._database.checkpoint()
            return
        try:
            with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                for table in t.OPEN:
                    connection.execute(text(f"VACUUM FULL {table.name}"))
        except (
            DBAPIError
        ) as error:  # what lingers there is worth nothing without its key, and goes with the next closing
            log.warning("the trends' tables could not be emptied: %s", explain(error))

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


def _prepare(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(724631)"))  # two processes that start at once
        if connection.dialect.has_schema(connection, SCHEMA) is False:
            connection.execute(text(f"CREATE SCHEMA {SCHEMA}"))
            connection.execute(text(f"REVOKE ALL ON SCHEMA {SCHEMA} FROM PUBLIC"))
    if not connection.dialect.has_table(connection, t.about.name):
        t.metadata.create_all(connection)
        for table in t.KEPT:
            _set_in_stone(connection, table)
        connection.execute(insert(t.about).values(name="version", value=VERSION))
    found = connection.execute(select(t.about.c.value).where(t.about.c.name == "version")).scalar()
    if found != VERSION:
        raise SchemaError("The trends' database was made by another version of Bạn Đường: use that version.")


def _set_in_stone(connection: Connection, table: Table) -> None:
    if connection.dialect.name == "sqlite":
        same = " AND ".join(f"{column.name} = NEW.{column.name}" for column in table.primary_key)
        there = f"EXISTS (SELECT 1 FROM {table.name} WHERE {same})"  # noqa: S608 - names of our own
        for name, change in (
            ("update", f"UPDATE ON {table.name}"),
            ("delete", f"DELETE ON {table.name}"),
            ("again", f"INSERT ON {table.name} WHEN {there}"),  # INSERT OR REPLACE deletes where no trigger sees it
        ):
            connection.execute(
                text(
                    f"CREATE TRIGGER {table.name}_no_{name} BEFORE {change} "
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
            f"CREATE TRIGGER {table.name}_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON {table.name} "
            f"FOR EACH STATEMENT EXECUTE FUNCTION {SCHEMA}.stays()"
        )
    )
