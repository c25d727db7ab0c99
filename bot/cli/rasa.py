"""banduong rasa: what a Rasa server learns from, whether it is there, and another model for it (docs/deployer.md)."""

import asyncio
import tarfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from bot.app import App
from bot.cli.common import config_of, err, house_of, out
from bot.errors import RasaError, UsageError

if TYPE_CHECKING:  # imported when it is used: most installations know no Rasa
    from bot.understanding.rasa_server import RasaServer, Status

SECONDS = 5.0
LOADING = 300.0  # a large model on a slow machine takes minutes

Result = TypeVar("Result")

rasa_app = typer.Typer(
    no_args_is_help=True,
    help="The Rasa server as a backend: what it learns from, whether it is there, and another model for it.",
    rich_markup_mode=None,
)


@rasa_app.command("export")
def rasa_export(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="empty, or made by this command before")] = Path(
        "build/rasa"
    ),
) -> None:
    """Write a Rasa project that holds each sentence as written and without diacritics: `rasa train nlu` works in it."""
    from bot.understanding.rasa_export import export

    config = config_of(context)
    done = export(context.obj["config"], config.nlu_folder, folder)
    out.print(
        f"{folder}: {done.sentences} sentences and {done.copies} folded copies{'' if done.changed else ', as before'}"
    )


@rasa_app.command("status")
def rasa_status(context: typer.Context) -> None:
    """Whether the server of bot.nlu.rasa.url answers, its version and its model; exit status 1 where it does not."""
    house = house_of(context)

    async def look(server: "RasaServer") -> "tuple[str, Status]":
        return await server.version(SECONDS), await server.status(SECONDS)

    version, status = _with_server(house, look)
    out.print(f"Rasa {version} at {house.config.bot.nlu.rasa.url}")
    out.print(f"model: {status.model}")
    if status.training:
        out.print(f"{status.training} trainings under way")
    if house.config.bot.nlu.backend != "rasa":
        err.print("Messages are not put to it: bot.nlu.backend is embedded.")


@rasa_app.command("swap")
def rasa_swap(
    context: typer.Context,
    model: Annotated[
        Path, typer.Argument(metavar="MODEL.tar.gz", help="a trained model, where the server can read it")
    ],
) -> None:
    """Give the server another model while it runs. Until it is loaded, messages are read by the old one or by the embedded model."""
    _refuse_what_is_no_model(model)

    async def swap(server: "RasaServer") -> "tuple[Status, Status]":
        before = await server.status(SECONDS)
        await server.load(str(model.resolve()), LOADING)
        return before, await server.status(SECONDS)

    before, after = _with_server(house_of(context), swap)
    out.print(f"{before.model} -> {after.model}")
    if before.model == after.model:
        err.print("The server had this very model already.")


def _with_server(house: App, work: "Callable[[RasaServer], Awaitable[Result]]") -> Result:
    from bot.understanding.rasa_server import RasaServer

    url = house.config.bot.nlu.rasa.url

    async def run() -> Result:
        server = RasaServer(url, house.rasa_token)
        try:
            return await work(server)
        finally:
            await server.close()

    try:
        return asyncio.run(run())
    except RasaError as error:
        raise RasaError(f"Rasa at {url} cannot be used: {error}. See `make rasa` and docs/deployer.md.") from None


def _refuse_what_is_no_model(path: Path) -> None:
    """Rasa itself would load a model that is none, and then have no model at all."""
    try:
        with tarfile.open(path, "r:gz") as archive:
            names = {name.removeprefix("./") for name in archive.getnames()}
    except (OSError, EOFError, tarfile.TarError):
        raise UsageError(f"{path} cannot be read as a model: name a .tar.gz that `rasa train nlu` has made.") from None
    if "metadata.json" not in names:
        raise UsageError(f"{path} is no model of Rasa: name a .tar.gz that `rasa train nlu` has made.")
