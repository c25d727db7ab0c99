"""banduong rasa: what a Rasa server learns from (docs/deployer.md)."""

from pathlib import Path
from typing import Annotated

import typer

from bot.cli.common import config_of, out
from bot.understanding.rasa_export import export

rasa_app = typer.Typer(
    no_args_is_help=True, help="The Rasa server as a backend: what it learns from.", rich_markup_mode=None
)


@rasa_app.command("export")
def rasa_export(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="empty, or made by this command before")] = Path(
        "build/rasa"
    ),
) -> None:
    """Write a Rasa project that holds each sentence as written and without diacritics: `rasa train nlu` works in it."""
    config = config_of(context)
    done = export(context.obj["config"], config.nlu_folder, folder)
    out.print(
        f"{folder}: {done.sentences} sentences and {done.copies} folded copies{'' if done.changed else ', as before'}"
    )
