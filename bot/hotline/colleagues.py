"""Who comes, goes or gets another role changes who can read cases: the account and the keys of cases change together."""

import datetime as dt
from collections.abc import Collection

from sqlalchemy import Connection

from bot.hotline import keys
from bot.staff import accounts
from bot.staff.accounts import Account
from bot.store.crypto import Keyring


def joined(connection: Connection, keyring: Keyring, account: Account) -> None:
    """After an invitation was accepted. What was sealed to a key pair of before opens no more; colleagues share it again."""
    keys.take_away(connection, keyring, account.id)
    keys.adopt(connection, keyring)
    keys.will_lack(connection, account.id)


def set_roles(
    connection: Connection, keyring: Keyring, account: Account, roles: Collection[str], now: dt.datetime, *, by: str
) -> None:
    """Whoever loses a role that reads cases loses their keys; what is theirs still, a colleague shares with them again."""
    accounts.set_roles(connection, keyring, account, roles, now, by=by)
    if keys.WORKERS & account.roles - set(roles):
        keys.take_away(connection, keyring, account.id)
    keys.will_lack(connection, account.id)


def remove(connection: Connection, keyring: Keyring, account: Account, now: dt.datetime, *, by: str) -> None:
    accounts.remove(connection, keyring, account, now, by=by)
    keys.take_away(connection, keyring, account.id)
