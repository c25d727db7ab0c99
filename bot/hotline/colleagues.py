"""Who comes, goes or gets another role changes who can read cases: the account and the keys of cases change together."""

import datetime as dt
from collections.abc import Collection

from sqlalchemy import Connection

from bot.hotline import claims, keys
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
    keys.lock_cases_of(connection, account.id)
    accounts.set_roles(connection, keyring, account, roles, now, by=by)
    if not keys.WORKERS & set(roles):
        claims.let_go(connection, keyring, account.id, now, by=by)
    if keys.WORKERS & account.roles - set(roles):
        keys.take_away(connection, keyring, account.id)
    keys.will_lack(connection, account.id)


def remove(connection: Connection, keyring: Keyring, account: Account, now: dt.datetime, *, by: str) -> None:
    """Nobody is left waiting for them: their cases are in the queue again."""
    keys.lock_cases_of(connection, account.id)
    accounts.remove(connection, keyring, account, now, by=by)
    claims.let_go(connection, keyring, account.id, now, by=by)
    keys.take_away(connection, keyring, account.id)
