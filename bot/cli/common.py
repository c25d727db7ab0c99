"""What all commands share: where they print, and the house that they work in."""

from typing import TYPE_CHECKING

import typer
from rich.console import Console

from bot.app import App
from bot.config import Config, load_config
from bot.errors import UsageError
from bot.staff import accounts

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from bot.staff.accounts import Account

BY = "command line"  # the actor in the audit
out = Console(highlight=False, soft_wrap=True, markup=False)
err = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)


def say(text: str) -> None:
    err.print(text)


def house_of(context: typer.Context) -> App:
    return App(config_of(context), progress=say)


def config_of(context: typer.Context) -> Config:
    return load_config(context.obj["config"])


def button_line(buttons: tuple[str, ...]) -> str:
    return " · ".join(f"{number} {label}" for number, label in enumerate(buttons, 1))


def account_of(house: App, connection: "Connection", login: str) -> "Account":
    """Somebody of the staff, by login."""
    found = accounts.find_login(connection, house.database.keyring, login)
    if found is None or not found.active:
        raise UsageError(f"Nobody here has the login '{login}': see `banduong staff list`.")
    return found
