"""People of the staff for tests: invited and accepted as in earnest, with passwords that cost little to compute."""

import datetime as dt
from dataclasses import dataclass

import pyotp

from bot.app import App
from bot.staff import accounts, invitations, recovery, sessions, totp
from bot.staff.accounts import Account
from bot.staff.entrance import Attempt, Entry, Refusal
from bot.staff.throttle import Device
from bot.testing import START

PASSWORD = "một buổi sáng có sương mù"
BY = "command line"


@dataclass(frozen=True)
class Colleague:
    """Somebody with an account, and what only they know."""

    account: Account
    secret: str
    codes: tuple[str, ...]
    private_key: bytes

    @property
    def login(self) -> str:
        return self.account.login

    def code(self, now: dt.datetime, step: int = 0) -> str:
        """What the app shows at this moment, or so many steps of 30 seconds later."""
        return pyotp.TOTP(self.secret).at(now, counter_offset=step)


def join(
    house: App, login: str = "lan.tran", *roles: str, now: dt.datetime = START, name: str = "Trần Thị Lan"
) -> Colleague:
    """Invited and accepted five minutes before `now`, so that no code of now has served."""
    keyring, before = house.database.keyring, now - dt.timedelta(minutes=5)
    secret, lock = totp.new_secret(), house.passwords.lock(PASSWORD)
    codes = recovery.new_codes()
    with house.database.begin() as connection:
        _, invitation = invitations.invite(connection, keyring, login, name, roles or ("operator",), before, by=BY)
        proof = secret, totp.steps_of(secret, pyotp.TOTP(secret).at(before), before)
        account, pair = invitations.accept(connection, keyring, invitation, lock, proof, before)
        accounts.keep_recovery_codes(connection, keyring, account, codes, before)
    return Colleague(account, secret, codes, pair.private)


def enter(
    house: App,
    login: str,
    password: str,
    code: str,
    now: dt.datetime = START,
    device: Device | None = None,
    source: str = "198.51.100.7",
) -> Entry | Refusal:
    return house.entrance.enter(Attempt(login, password, code, device or Device.read(""), source), now)


def let_in(house: App, colleague: Colleague, now: dt.datetime = START, device: Device | None = None) -> Entry:
    outcome = enter(house, colleague.login, PASSWORD, colleague.code(now), now, device)
    assert isinstance(outcome, Entry)
    return outcome


def session_of(house: App, token: str, now: dt.datetime = START, *, by_person: bool = True) -> sessions.Session | None:
    with house.database.begin() as connection:
        return sessions.session_of(connection, house.database.keyring, token, now, by_person=by_person)
