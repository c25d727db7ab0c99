"""Houses for tests: what never changes while a house runs is read and built once for all of them; stores, keys and talks are their own."""

import tempfile
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy.engine import Engine, make_url

from bot.app import App
from bot.content import Library
from bot.store.database import Database, engine_of, open_database, prepare_home, upgrade

if TYPE_CHECKING:
    from bot.understanding.interpreter import Interpreter
    from bot.understanding.normalise import Normaliser

CONTENT = Path(__file__).parent.parent / "content"
_BUILT: dict[object, Any] = {}


class House(App):
    """The real house. Its library and its interpreter are those of every other test with the same content, model and settings."""

    @cached_property
    def library(self) -> Library:
        folder = self.config.content_folder
        return _of_all() if folder == CONTENT else Library(folder)  # content of its own may be changed by its test

    @cached_property
    def normaliser(self) -> "Normaliser":
        built: Normaliser = self._once("normaliser")
        return built

    @cached_property
    def interpreter(self) -> "Interpreter":
        built: Interpreter = self._once("interpreter")
        return built

    def _once(self, part: str) -> Any:
        """By all that it is built from."""
        bot = self.config.bot
        key = (part, self.library, self.classifier, bot.nlu.model_dump_json(), bot.conversation.model_dump_json())
        if key not in _BUILT:
            _BUILT[key] = vars(App)[part].func(self)
        return _BUILT[key]

    @cached_property
    def database(self) -> Database:
        return open_copy(self.config.database_url, self.config.home)


def open_copy(url: str, home: Path) -> Database:
    """Opens the database; a SQLite file that is not there yet is a copy of what the migrations make."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite" and not Path(parsed.database or "").exists():
        prepare_home(home)
        Path(parsed.database or "").write_bytes(empty_file())
    return open_database(url, home)


@cache
def _of_all() -> Library:
    return Library(CONTENT)


@cache
def empty_file() -> bytes:
    """A SQLite file as the migrations make it, with neither rows nor keys."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "empty.db"
        make_schema(engine_of(f"sqlite:///{file}"))
        return file.read_bytes()


def make_schema(engine: Engine) -> None:
    """As whoever opens a database first makes it."""
    try:
        upgrade(engine)
    finally:
        engine.dispose()
