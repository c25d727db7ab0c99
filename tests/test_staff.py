"""The people who work here: invitations, passwords, second factors, sessions, and how slow guessing is."""

import datetime as dt
import logging
import re
import threading
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import argon2
import pyotp
import pytest
from argon2.low_level import hash_secret_raw
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, select

from bot import audit
from bot.app import App
from bot.cli import main
from bot.content import ROLES, Library
from bot.errors import ContentError, StaffError, StoreError
from bot.hotline import colleagues, keys
from bot.retention import purge
from bot.staff import accounts, invitations, passwords, recovery, sessions, throttle, totp
from bot.staff.accounts import Account, Pages
from bot.staff.entrance import Entry, Refusal
from bot.staff.passwords import KEY_COST, LOGIN_COST, Cost, Passwords
from bot.staff.throttle import FREE, LONGEST, NO_WAIT, Device, Sources, delay_after
from bot.store import boxes
from bot.store.tables import login_failures, metadata, recovery_codes, staff, staff_sessions
from bot.testing import START
from tests.colleagues import BY, PASSWORD, Colleague, enter, join, let_in, session_of
from tests.conftest import CHEAP, ROOT

SECOND, MINUTE, HOUR = dt.timedelta(seconds=1), dt.timedelta(minutes=1), dt.timedelta(hours=1)
STEP = dt.timedelta(seconds=totp.STEP)
OTHER_PASSWORD = "những con thuyền ngược dòng"
T = TypeVar("T")


@pytest.fixture(scope="module")
def refusing() -> Passwords:
    return Passwords(Library(ROOT / "content").common_passwords, CHEAP, CHEAP)


# -- passwords ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("password", "problem"),
    [
        ("mười một ký", "too_short"),
        ("a" * 201, "too_long"),
        ("qwertyuiop123", "too_common"),
        ("Password2026!!", "too_common"),
        ("123456123456", "too_common"),
        ("matkhaumatkhau", "too_common"),
        ("Mật khẩu của tôi", "too_common"),
        ("!!!BanDuong2026", "too_common"),
        ("aaaaaaaaabbbb", "too_common"),
        ("con của lan.tran", "has_login"),
        ("con của LAN.TRAN", "has_login"),
        ("đò dọc sông Hồng", None),
        ("kiểm 12 ký tự", None),
        ("x" * 100 + "những con thuyền", None),
        ("🛶 qua 4 con suối", None),
        ("password of the red boat", None),
    ],
)
def test_a_password_is_refused_only_for_its_length_or_for_being_guessed_easily(
    refusing: Passwords, password: str, problem: str | None
) -> None:
    """Twelve characters of any kind are enough, unless many people use them or they hold the login."""
    assert refusing.problem(password, "lan.tran") == problem


def test_the_list_of_common_passwords_holds_thousands_and_each_is_refused(refusing: Passwords) -> None:
    """More than 3,000 entries, and every one that is long enough is refused by itself."""
    common = Library(ROOT / "content").common_passwords
    assert len(common) > 3000
    long_enough = [word for word in common if len(word) >= passwords.SHORTEST]
    assert len(long_enough) > 300
    assert [word for word in long_enough if refusing.problem(word, "lan.tran") is None] == []


def test_the_same_password_from_another_keyboard_is_the_same(refusing: Passwords) -> None:
    """Composed and decomposed accents open the same lock; any other letter does not."""
    lock = refusing.lock(unicodedata.normalize("NFC", PASSWORD))
    decomposed = unicodedata.normalize("NFD", PASSWORD)
    assert refusing.matches(decomposed, lock.password_hash)
    assert refusing.key_secret(decomposed, lock.key_salt) == lock.secret
    assert not refusing.matches(PASSWORD + " ", lock.password_hash)
    assert refusing.key_secret(PASSWORD + " ", lock.key_salt) != lock.secret


def test_a_lock_of_older_strength_still_opens(refusing: Passwords) -> None:
    """The cost stands with the salt: a private key that was locked before the cost was raised is not lost."""
    lock = refusing.lock(PASSWORD)
    stronger = Passwords(frozenset(), CHEAP, Cost(rounds=2, memory=128))
    assert stronger.key_secret(PASSWORD, lock.key_salt) == lock.secret
    assert stronger.matches(PASSWORD, lock.password_hash)


def test_in_earnest_the_key_costs_more_than_the_log_in() -> None:
    """At least what OWASP asks of Argon2id (19 MiB in two rounds) for the log-in, and twice the memory for the key."""
    assert LOGIN_COST.memory >= 19 * 1024
    assert LOGIN_COST.rounds >= 2
    assert KEY_COST.memory >= 2 * LOGIN_COST.memory


def test_computations_wait_for_each_other(refusing: Passwords, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many log in at once, one Argon2id runs at a time."""
    running: list[int] = []
    at_once = 0
    real = hash_secret_raw

    def watched(*given: Any, **named: Any) -> bytes:
        nonlocal at_once
        running.append(1)
        at_once = max(at_once, len(running))
        result: bytes = real(*given, **named)
        running.pop()
        return result

    monkeypatch.setattr(passwords, "hash_secret_raw", watched)
    salt = refusing.lock(PASSWORD).key_salt
    _together([lambda: refusing.key_secret(PASSWORD, salt)] * 8)
    assert at_once == 1


# -- invitations -------------------------------------------------------------------------------------------------------


def test_whoever_accepts_has_a_key_pair_that_only_the_password_opens(house: App) -> None:
    """The private key in the store opens with the secret of the password, and belongs to the public one."""
    colleague = join(house)
    row = _row(house, colleague)
    secret = house.passwords.key_secret(PASSWORD, row.key_salt)
    private = boxes.unlock(secret, row.locked_private_key)
    assert private == colleague.private_key
    assert boxes.KeyPair(private).public == colleague.account.public_key == row.public_key
    assert boxes.unlock(house.passwords.key_secret(OTHER_PASSWORD, row.key_salt), row.locked_private_key) is None


def test_an_invitation_serves_once(house: App) -> None:
    """The second time the code is worth nothing."""
    code = _invite(house)
    _accept(house, code)
    with pytest.raises(StaffError, match="served"):
        _accept(house, code)
    assert _invited(house, code) is None


@pytest.mark.parametrize(("after", "good"), [(72 * HOUR - SECOND, True), (72 * HOUR, False)])
def test_an_invitation_runs_out_after_72_hours(house: App, after: dt.timedelta, *, good: bool) -> None:
    """It serves to the last second, and not after it."""
    code = _invite(house)
    assert (_invited(house, code, START + after) is not None) == good
    if good:
        _accept(house, code, START + after)
    else:
        with pytest.raises(StaffError):
            _accept(house, code, START + after)


def test_a_new_invitation_replaces_the_one_before(house: App) -> None:
    """Only the newest code serves."""
    first = _invite(house)
    second = _invite_again(house)
    assert _invited(house, first) is None
    assert _invited(house, second) is not None


def test_a_code_may_be_typed_in_small_letters_and_with_spaces(house: App) -> None:
    """What is read out on the telephone is taken."""
    code = _invite(house)
    assert re.fullmatch(r"([A-Z2-7]{4}-){5}[A-Z2-7]{4}", code)
    assert _invited(house, code.lower().replace("-", " ")) is not None


def test_of_two_who_accept_at_once_exactly_one_succeeds(house: App) -> None:
    """The other hears that the code has served; the store holds the winner's key."""
    code = _invite(house)
    outcomes = _together([lambda: _accept(house, code)] * 4)
    won = [outcome for outcome in outcomes if not isinstance(outcome, Exception)]
    assert len(won) == 1
    assert all(isinstance(outcome, StaffError) for outcome in outcomes if outcome not in won)
    with house.database.begin() as connection:
        assert connection.execute(select(staff.c.public_key)).scalar_one() == won[0].public_key


def test_a_second_invitation_replaces_password_and_keys_and_ends_the_sessions_when_it_is_accepted(house: App) -> None:
    """Until then the old ones serve; afterwards neither password, app, recovery codes nor session do."""
    colleague = join(house)
    entry = let_in(house, colleague)
    code = _invite_again(house)
    assert session_of(house, entry.token) is not None
    renewed = _accept(house, code, password=OTHER_PASSWORD)
    assert session_of(house, entry.token) is None
    assert renewed.public_key != colleague.account.public_key
    later = START + 10 * MINUTE
    assert isinstance(enter(house, colleague.login, PASSWORD, colleague.code(later), later), Refusal)
    assert isinstance(enter(house, colleague.login, OTHER_PASSWORD, colleague.codes[0], later), Refusal)


def test_a_login_that_left_comes_back_without_anything_of_before(house: App) -> None:
    """The row is the same, so that cases still know who it was; roles and secrets are new."""
    colleague = join(house, "lan.tran", "admin", "supervisor")
    _remove(house, colleague.account)
    with house.database.begin() as connection:
        account, _ = invitations.invite(
            connection, house.database.keyring, "lan.tran", "Lan", ["analyst"], START, by=BY
        )
    assert account.id == colleague.account.id
    assert account.roles == {"analyst"}
    assert account.public_key is None
    assert isinstance(enter(house, colleague.login, PASSWORD, colleague.code(START)), Refusal)


@pytest.mark.parametrize(
    ("login", "name", "roles", "reason"),
    [
        ("la", "Lan", ["operator"], "bad_login"),
        ("Lan", "Lan", ["operator"], "bad_login"),
        ("lan tran", "Lan", ["operator"], "bad_login"),
        ("lân", "Lan", ["operator"], "bad_login"),
        ("l" * 31, "Lan", ["operator"], "bad_login"),
        ("lan", " ", ["operator"], "bad_name"),
        ("lan", "L" * 81, ["operator"], "bad_name"),
        ("lan", "Lan", [], "no_role"),
        ("taken", "Lan", ["operator"], "taken"),
    ],
)
def test_an_invitation_needs_a_login_a_name_and_a_role(
    sqlite_house: App, login: str, name: str, roles: list[str], reason: str
) -> None:
    """What cannot be is refused with a reason for which a page has words, and nobody is named."""
    _invite(sqlite_house, "taken")
    keyring = sqlite_house.database.keyring
    with pytest.raises(StaffError) as refused, sqlite_house.database.begin() as connection:
        invitations.invite(connection, keyring, login, name, roles, START, by=BY)
    assert refused.value.reason == reason
    assert f"error_{reason}" in sqlite_house.library.console("vi")["common"]
    assert login not in str(refused.value)


# -- the app's codes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("step", "taken"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_a_code_of_the_neighbouring_step_is_taken(house: App, step: int, *, taken: bool) -> None:
    """A clock that is half a minute off does no harm; one that is a minute off does."""
    colleague = join(house)
    code = colleague.code(START, step)
    outcome = enter(house, colleague.login, PASSWORD, code)
    assert isinstance(outcome, Entry) == taken


def test_a_code_serves_once(house: App) -> None:
    """Whoever looked over the shoulder cannot use it again, nor the one before it."""
    colleague = join(house)
    before, code = colleague.code(START, -1), colleague.code(START)
    assert isinstance(enter(house, colleague.login, PASSWORD, code), Entry)
    assert isinstance(enter(house, colleague.login, PASSWORD, code, START + SECOND), Refusal)
    assert isinstance(enter(house, colleague.login, PASSWORD, before, START + SECOND), Refusal)
    assert isinstance(enter(house, colleague.login, PASSWORD, colleague.code(START, 1), START + SECOND), Entry)


def test_a_code_serves_once_also_at_the_same_instant(house: App) -> None:
    """Of several who come with the same code at once exactly one is let in."""
    colleague = join(house)
    code = colleague.code(START)
    outcomes = _together([lambda: enter(house, colleague.login, PASSWORD, code)] * 4)
    assert sum(isinstance(outcome, Entry) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, Refusal) for outcome in outcomes) == 3


def test_a_code_serves_once_for_two_processes(house: App) -> None:
    """Two that share nothing but the database: the step is taken by one statement, not read and then written."""
    colleague = join(house)
    steps = totp.steps_of(colleague.secret, colleague.code(START), START)

    def take() -> bool:
        with house.database.engine.begin() as connection:  # past the process's own lock
            return totp.use(connection, colleague.account.id, steps)

    assert sorted(_together([take] * 4)) == [False, False, False, True]


def test_the_code_that_proved_the_app_does_not_log_in_as_well(house: App) -> None:
    """What was typed into the welcome page has served."""
    code = _invite(house)
    secret = totp.new_secret()
    _accept(house, code, secret=secret)
    shown = pyotp.TOTP(secret).at(START)
    assert isinstance(enter(house, "lan.tran", PASSWORD, shown), Refusal)


def test_a_renewed_app_replaces_the_old_one(house: App) -> None:
    """Codes of the old secret serve no more; a wrong proof changes nothing."""
    colleague = join(house)
    secret = totp.new_secret()
    keyring = house.database.keyring
    with pytest.raises(StaffError), house.database.begin() as connection:
        accounts.renew_totp(connection, keyring, colleague.account, secret, [], START)
    steps = totp.steps_of(secret, pyotp.TOTP(secret).at(START), START)
    with house.database.begin() as connection:
        accounts.renew_totp(connection, keyring, colleague.account, secret, steps, START)
    later = START + MINUTE
    assert isinstance(enter(house, colleague.login, PASSWORD, colleague.code(later), later), Refusal)
    assert isinstance(enter(house, colleague.login, PASSWORD, pyotp.TOTP(secret).at(later), later), Entry)


# -- recovery codes ----------------------------------------------------------------------------------------------------


def test_a_recovery_code_takes_the_place_of_the_app_once(house: App) -> None:
    """Ten codes, each good for one log-in with the password; typed in groups they are the same."""
    colleague = join(house)
    assert len(set(colleague.codes)) == recovery.HOW_MANY
    first = recovery.printed(colleague.codes[0])
    assert isinstance(enter(house, colleague.login, OTHER_PASSWORD, first), Refusal)
    assert isinstance(enter(house, colleague.login, PASSWORD, first), Entry)
    assert isinstance(enter(house, colleague.login, PASSWORD, first), Refusal)
    assert isinstance(enter(house, colleague.login, PASSWORD, colleague.codes[1]), Entry)
    with house.database.begin() as connection:
        assert recovery.left(connection, colleague.account.id) == recovery.HOW_MANY - 2


def test_a_recovery_code_serves_once_also_at_the_same_instant(house: App) -> None:
    """Of several at once exactly one is let in."""
    colleague = join(house)
    outcomes = _together([lambda: enter(house, colleague.login, PASSWORD, colleague.codes[0])] * 4)
    assert sum(isinstance(outcome, Entry) for outcome in outcomes) == 1


def test_new_recovery_codes_end_the_old_ones(house: App) -> None:
    """Only the ones that were put away last serve."""
    colleague = join(house)
    fresh = recovery.new_codes()
    with house.database.begin() as connection:
        accounts.keep_recovery_codes(connection, house.database.keyring, colleague.account, fresh, START)
    assert isinstance(enter(house, colleague.login, PASSWORD, colleague.codes[0]), Refusal)
    assert isinstance(enter(house, colleague.login, PASSWORD, fresh[0]), Entry)


def test_a_recovery_code_is_of_one_person(house: App) -> None:
    """Somebody else's code opens nothing."""
    lan, minh = join(house), join(house, "minh", name="Minh")
    assert isinstance(enter(house, minh.login, PASSWORD, lan.codes[0]), Refusal)


# -- who cannot tell what ----------------------------------------------------------------------------------------------


def test_whatever_is_wrong_costs_one_computation_and_gets_one_answer(
    sqlite_house: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unknown, removed, not yet accepted, wrong password, wrong code: nobody learns which, by word or by time."""
    house = sqlite_house
    colleague, gone = join(house), join(house, "gone", name="Gone")
    _remove(house, gone.account)
    _invite(house, "waiting")
    counted = _count_computations(monkeypatch)
    tries = [
        ("nobody", PASSWORD, colleague.code(START)),
        ("not a login at all", PASSWORD, ""),
        (gone.login, PASSWORD, gone.code(START)),
        ("waiting", PASSWORD, "123456"),
        (colleague.login, OTHER_PASSWORD, colleague.code(START)),
        (colleague.login, PASSWORD, _other(colleague.code(START))),
        (colleague.login, PASSWORD, "1" * 16),
    ]
    outcomes = []
    for login, password, code in tries:
        counted.clear()
        outcomes.append((enter(house, login, password, code), len(counted)))
    assert set(outcomes) == {(Refusal(NO_WAIT), 1)}


@pytest.mark.parametrize("login", ["lan.tran", "nobody"])
def test_an_unknown_login_is_slowed_down_like_a_known_one(sqlite_house: App, login: str) -> None:
    """The same waits after the same failures, and no computation while there is a wait."""
    join(sqlite_house)
    waits = [_waited(sqlite_house, login) for _ in range(FREE + 2)]
    assert waits == [NO_WAIT] * FREE + [SECOND, SECOND]


def test_who_guesses_waits_without_any_computation(sqlite_house: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """During a wait the right password is not even looked at."""
    colleague = join(sqlite_house)
    for _ in range(FREE):
        enter(sqlite_house, colleague.login, "wrong", "")
    counted = _count_computations(monkeypatch)
    outcome = enter(sqlite_house, colleague.login, PASSWORD, colleague.code(START))
    assert isinstance(outcome, Refusal)
    assert NO_WAIT < outcome.wait <= SECOND
    assert counted == []


# -- slow for who guesses, open for who belongs here -------------------------------------------------------------------


def test_a_stranger_cannot_keep_a_colleague_out(house: App) -> None:
    """Hundreds of failures from elsewhere, and the browser that has logged in before is let in at once."""
    colleague = join(house)
    device = let_in(house, colleague).device
    now = START + MINUTE
    for number in range(60):
        enter(house, colleague.login, "wrong", "", now, source=f"203.0.113.{number}")
        now += SECOND
    assert isinstance(enter(house, colleague.login, "wrong", "", now, source="203.0.113.99"), Refusal)
    assert isinstance(enter(house, colleague.login, PASSWORD, colleague.code(now), now, device), Entry)


def test_a_known_device_is_slowed_down_by_itself_only(house: App) -> None:
    """Who guesses at a colleague's desk waits there; at another known device nobody waits."""
    colleague = join(house)
    desk = let_in(house, colleague).device
    laptop = let_in(house, colleague, START + MINUTE).device
    now = START + 2 * MINUTE
    outcomes = [enter(house, colleague.login, "wrong", "", now, desk) for _ in range(FREE + 1)]
    assert isinstance(outcomes[-1], Refusal)
    assert outcomes[-1].wait > NO_WAIT
    assert isinstance(enter(house, colleague.login, PASSWORD, colleague.code(now), now, laptop), Entry)


def test_a_mark_is_of_one_login_and_cannot_be_made_up(sqlite_house: App) -> None:
    """A colleague's device is a stranger for another login, and a forged or moved mark is no mark."""
    keyring = sqlite_house.database.keyring
    device = Device.read("").with_mark(keyring, "lan.tran")
    assert Device.read(device.cookie) == device
    assert device.knows(keyring, "lan.tran")
    assert not device.knows(keyring, "minh")
    assert not Device("0" * 32, device.marks).knows(keyring, "lan.tran")
    assert not Device.read(f"{device.name}.{'f' * 32}").knows(keyring, "lan.tran")


def test_several_colleagues_share_a_device(sqlite_house: App) -> None:
    """At a desk that is used in shifts each is known; the cookie does not grow for ever."""
    keyring = sqlite_house.database.keyring
    device = Device.read("")
    for number in range(20):
        device = device.with_mark(keyring, f"colleague-{number}")
    known = [number for number in range(20) if device.knows(keyring, f"colleague-{number}")]
    assert known == list(range(12, 20))
    assert len(device.with_mark(keyring, "colleague-19").marks) == len(device.marks)
    assert len(device.cookie) < 400


@pytest.mark.parametrize("cookie", ["", ".", "x", "\x00" * 32, "é" * 32, "." * 500, "a" * 10_000])
def test_a_cookie_that_is_not_ours_is_a_new_device(cookie: str, sqlite_house: App) -> None:
    """Whatever a browser sends, the outcome is a device that nobody knows."""
    device = Device.read(cookie)
    assert re.fullmatch("[0-9a-f]{32}", device.name)
    assert not device.knows(sqlite_house.database.keyring, "lan.tran")


def test_many_guesses_at_the_same_instant_are_as_slow_as_one_after_the_other(house: App) -> None:
    """An attempt counts before it is looked at: of many at once no more than the free ones are made."""
    counter = house.database.keyring.lookup("log-in", "lan.tran|")

    def guess() -> dt.timedelta:
        with house.database.begin() as connection:
            return throttle.attempt(connection, counter, START)

    assert sorted(_together([guess] * 12)) == [NO_WAIT] * FREE + [SECOND] * (12 - FREE)


def test_strangers_take_turns_so_that_colleagues_need_not(sqlite_house: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """At most four unknown devices wait for the processor; the fifth is sent away, a known one is not."""
    house = sqlite_house
    colleague = join(house)
    device = let_in(house, colleague).device
    gate, arrived = threading.Event(), threading.Semaphore(0)
    real = Passwords.matches

    def slow(self: Passwords, password: str, password_hash: str | None) -> bool:
        if password == "wrong":
            arrived.release()
            assert gate.wait(20)
        return real(self, password, password_hash)

    monkeypatch.setattr(Passwords, "matches", slow)
    waiting = [
        threading.Thread(target=enter, args=(house, f"nobody-{n}", "wrong", ""), kwargs={"source": str(n)})
        for n in range(4)
    ]
    for thread in waiting:
        thread.start()
        assert arrived.acquire(timeout=20)
    now = START + MINUTE
    try:
        assert enter(house, "nobody-5", PASSWORD, "", now, source="5") == Refusal(SECOND)
        assert isinstance(enter(house, colleague.login, PASSWORD, colleague.code(now), now, device), Entry)
    finally:
        gate.set()
        for thread in waiting:
            thread.join()


def test_a_colleague_who_comes_in_elsewhere_gives_a_guesser_no_new_tries(house: App) -> None:
    """Only a known device starts afresh; the counter of strangers loses this one attempt and no more."""
    colleague = join(house)
    for _ in range(FREE - 1):
        enter(house, colleague.login, "wrong", "")
    assert isinstance(enter(house, colleague.login, PASSWORD, colleague.code(START), START), Entry)
    now = START + 2 * SECOND
    assert enter(house, colleague.login, "wrong", "", now) == Refusal(NO_WAIT)
    assert enter(house, colleague.login, "wrong", "", now) != Refusal(NO_WAIT)


def test_one_network_cannot_try_many_logins(sqlite_house: App) -> None:
    """Twenty attempts from one address, whatever the logins; another address is free, and so is a known device there."""
    colleague = join(sqlite_house)
    device = let_in(sqlite_house, colleague).device
    now = START + MINUTE
    outcomes = [enter(sqlite_house, f"nobody-{n}", "wrong", "", now) for n in range(throttle.SOURCE_FREE + 1)]
    assert outcomes == [Refusal(NO_WAIT)] * throttle.SOURCE_FREE + [Refusal(SECOND)]
    assert enter(sqlite_house, "nobody", "wrong", "", now, source="203.0.113.1") == Refusal(NO_WAIT)
    assert isinstance(enter(sqlite_house, colleague.login, PASSWORD, colleague.code(now), now, device), Entry)


def test_nothing_is_left_of_who_came_from_where() -> None:
    """Addresses are counted under a seed of the process: two processes count under different names, and only so many."""
    one, other = Sources(), Sources()
    for sources in (one, other):
        for number in range(throttle.MOST_SOURCES + 10):
            sources.attempt(f"address {number}", START)
    assert len(one._counted) == throttle.MOST_SOURCES
    assert not set(one._counted) & set(other._counted)
    assert not [key for key in one._counted if b"address" in key]


@given(st.integers(0, 10_000), st.integers(1, 100))
def test_delays_grow_and_stay_within_bounds(failures: int, free: int) -> None:
    """None for the free ones; from then on never shorter than the one before, at most double, and never over 15 minutes."""
    delay, after = delay_after(failures, free), delay_after(failures + 1, free)
    assert (delay == NO_WAIT) == (failures < free)
    assert delay <= after <= LONGEST
    if delay:
        assert after <= 2 * delay


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["stranger", "desk"]), st.integers(0, 1200)), max_size=60))
def test_no_order_of_attempts_gets_more_tries_than_the_waits_allow(steps: list[tuple[str, int]]) -> None:
    """Whatever the pauses: every try after the free ones comes no sooner than its wait, and one counter never touches the other."""
    engine = create_engine("sqlite://")
    metadata.create_all(engine, tables=[login_failures])
    made: dict[str, list[dt.datetime]] = {"stranger": [], "desk": []}
    now = START
    with engine.begin() as connection:
        for counter, pause in steps:
            now += dt.timedelta(seconds=pause)
            due = made[counter][-1] + delay_after(len(made[counter])) if made[counter] else now
            wait = throttle.attempt(connection, counter, now)
            assert wait == max(due - now, NO_WAIT)
            if not wait:
                made[counter].append(now)
    engine.dispose()


# -- sessions ----------------------------------------------------------------------------------------------------------


def test_a_session_holds_the_persons_key(house: App) -> None:
    """Who is logged in can read what was sealed to them."""
    colleague = join(house)
    session = session_of(house, let_in(house, colleague).token)
    assert session
    assert session.account == colleague.account
    assert session.private_key == colleague.private_key
    assert session.prepared


@pytest.mark.parametrize(("pause", "there"), [(30 * MINUTE - SECOND, True), (30 * MINUTE, False)])
def test_an_idle_session_ends_after_half_an_hour(house: App, pause: dt.timedelta, *, there: bool) -> None:
    """Every request by the person begins it anew."""
    token = let_in(house, join(house)).token
    assert session_of(house, token, START + 20 * MINUTE)
    assert (session_of(house, token, START + 20 * MINUTE + pause) is not None) == there


def test_what_a_page_asks_by_itself_keeps_no_session_alive(house: App) -> None:
    """An open live stream is no person."""
    token = let_in(house, join(house)).token
    for minutes in range(0, 30, 5):
        assert session_of(house, token, START + minutes * MINUTE, by_person=False)
    assert session_of(house, token, START + 30 * MINUTE, by_person=False) is None


def test_a_session_ends_after_twelve_hours_whatever_happens_in_it(house: App) -> None:
    """To the last second, and not after it."""
    token = let_in(house, join(house)).token
    now = START
    while now < START + 12 * HOUR:
        assert session_of(house, token, now)
        now += 20 * MINUTE
    assert session_of(house, token, START + 12 * HOUR - SECOND)
    assert session_of(house, token, START + 12 * HOUR) is None


def test_a_session_ends_with_the_account(house: App) -> None:
    """At the very next request."""
    colleague = join(house)
    token = let_in(house, colleague).token
    _remove(house, colleague.account)
    assert session_of(house, token) is None


def test_new_roles_count_at_the_next_request(house: App) -> None:
    """The session stays, and holds what the person may do now."""
    colleague = join(house, "lan.tran", "admin")
    token = let_in(house, colleague).token
    with house.database.begin() as connection:
        accounts.set_roles(connection, house.database.keyring, colleague.account, ["analyst"], START, by=BY)
    session = session_of(house, token)
    assert session
    assert session.account.roles == {"analyst"}


def test_a_new_password_ends_every_other_session(house: App) -> None:
    """A stolen session is worth nothing afterwards; the person's own goes on, and the key is the same."""
    colleague = join(house)
    stolen, own = let_in(house, colleague).token, let_in(house, colleague, START + MINUTE).token
    _change_password(house, own)
    assert session_of(house, stolen, START + 2 * MINUTE) is None
    session = session_of(house, own, START + 2 * MINUTE)
    assert session
    assert session.private_key == colleague.private_key
    now = START + 3 * MINUTE
    assert isinstance(enter(house, colleague.login, PASSWORD, colleague.code(now), now), Refusal)
    entry = enter(house, colleague.login, OTHER_PASSWORD, colleague.code(now), now)
    assert isinstance(entry, Entry)
    renewed = session_of(house, entry.token, now)
    assert renewed
    assert renewed.private_key == colleague.private_key


def test_a_password_that_is_changed_during_a_log_in_stops_it(house: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who was half way in with the old password is not let in."""
    colleague = join(house)
    own = let_in(house, colleague).token
    real = Passwords.key_secret

    def meanwhile(self: Passwords, password: str, key_salt: bytes) -> bytes:
        monkeypatch.undo()
        _change_password(house, own)
        return real(self, password, key_salt)

    monkeypatch.setattr(Passwords, "key_secret", meanwhile)
    now = START + MINUTE
    assert isinstance(enter(house, colleague.login, PASSWORD, colleague.code(now), now), Refusal)


def test_other_sessions_can_be_ended_and_ones_own_too(house: App) -> None:
    """Whoever forgot to log out elsewhere ends it from here."""
    colleague = join(house)
    tokens = [let_in(house, colleague, START + number * MINUTE).token for number in range(3)]
    now = START + 3 * MINUTE
    session = session_of(house, tokens[0], now)
    assert session
    with house.database.begin() as connection:
        assert sessions.revoke_others(connection, session) == 2
    assert [session_of(house, token, now) is not None for token in tokens] == [True, False, False]
    with house.database.begin() as connection:
        sessions.revoke(connection, session)
    assert session_of(house, tokens[0], now) is None


@pytest.mark.parametrize("cookie", ["x", "=", "é", "A" * 42, "A" * 43, "A" * 44, "A" * 10_000, "\x00"])
def test_a_cookie_that_was_never_given_is_no_session(sqlite_house: App, cookie: str) -> None:
    """Whatever is sent, the answer is nobody."""
    let_in(sqlite_house, join(sqlite_house))
    assert session_of(sqlite_house, cookie) is None


def test_d_13_sessions_and_counters_are_forgotten(house: App) -> None:
    """The purge takes sessions that are over and failures of yesterday, and leaves the others."""
    colleague = join(house)
    let_in(house, colleague)
    enter(house, colleague.login, "wrong", "")
    purge(house.database, START + 29 * MINUTE, HOUR)
    assert _count(house, staff_sessions) == 1
    purge(house.database, START + 30 * MINUTE, HOUR)
    assert _count(house, staff_sessions) == 0
    assert _count(house, login_failures) == 1
    purge(house.database, START + 25 * HOUR, HOUR)
    assert _count(house, login_failures) == 0


# -- accounts ----------------------------------------------------------------------------------------------------------


def test_accounts_are_listed_by_name_and_those_who_left_only_on_request(house: App) -> None:
    """Nobody is ever deleted."""
    minh, an = join(house, "minh", name="Minh"), join(house, "an.le", name="An")
    _remove(house, minh.account)
    with house.database.begin() as connection:
        keyring = house.database.keyring
        assert [one.login for one in accounts.all_accounts(connection, keyring)] == ["an.le"]
        assert [one.login for one in accounts.all_accounts(connection, keyring, removed=True)] == ["an.le", "minh"]
        left = accounts.find(connection, keyring, minh.account.id)
    assert left
    assert not left.active
    assert left.public_key is None
    assert an.account.active


def test_of_who_left_no_secret_remains(house: App) -> None:
    """Password, second factor, keys, recovery codes and sessions are gone; the name stays for the cases."""
    colleague = join(house)
    let_in(house, colleague)
    _remove(house, colleague.account)
    row = _row(house, colleague)
    assert {row.password_hash, row.key_salt, row.locked_private_key, row.sealed_totp, row.invite_lookup} == {None}
    assert _count(house, recovery_codes) == _count(house, staff_sessions) == 0


def test_duty_load_pages_and_language_are_kept(house: App) -> None:
    """What is set is what is found."""
    account, keyring = join(house).account, house.database.keyring
    pages = Pages(telegram="123456789", sms="+84912345678", email="lan@example.org")
    with house.database.begin() as connection:
        accounts.set_duty(connection, keyring, account, START, on_duty=True, by=BY)
        accounts.set_load(connection, keyring, account, START, page_order=2, most_cases=5, by=BY)
        accounts.set_language(
            connection, keyring, accounts.set_pages(connection, keyring, account, pages, START, by=BY), "en"
        )
        found = accounts.find(connection, keyring, account.id)
    assert found
    assert (found.on_duty, found.page_order, found.most_cases) == (True, 2, 5)
    assert (found.pages, found.language) == (pages, "en")
    assert "0912" not in repr(found) + repr(pages)


@pytest.mark.parametrize(
    ("pages", "problem"),
    [
        (Pages(), None),
        (Pages("-1001234", "+84912345678", "lan@example.org"), None),
        (Pages(telegram="@lan"), "telegram"),
        (Pages(sms="0912345678"), "sms"),
        (Pages(email="lan"), "email"),
    ],
)
def test_where_pages_go_has_the_form_of_an_address(pages: Pages, problem: str | None) -> None:
    """A slip is found when it is typed, not in the night when somebody must be called."""
    assert pages.problem == problem


def test_a_removed_account_cannot_be_changed(house: App) -> None:
    """Who was just removed gets no role back by somebody else's open page."""
    account = join(house).account
    _remove(house, account)
    with pytest.raises(StaffError), house.database.begin() as connection:
        accounts.set_roles(connection, house.database.keyring, account, ["admin"], START, by=BY)
    with pytest.raises(StaffError), house.database.begin() as connection:
        invitations.invite_again(connection, house.database.keyring, account, START, by=BY)


def test_every_change_and_every_log_in_stands_in_the_audit(house: App) -> None:
    """In order, by whom and about whom; attempts that fail are there too, and the chain is whole."""
    keyring = house.database.keyring
    colleague = join(house)
    enter(house, colleague.login, "wrong", "")
    token = let_in(house, colleague).token
    enter(house, colleague.login, PASSWORD, colleague.codes[0])
    _change_password(house, token)
    _invite_again(house)
    _remove(house, colleague.account)
    with house.database.begin() as connection:
        rows = audit.since(connection, 0)
        assert audit.verify(connection, keyring).broken_at is None
    own = colleague.account.id
    assert {row.subject for row in rows} == {own}
    assert [(row.action, row.actor) for row in rows] == [
        ("staff_invited", BY), ("staff_accepted", own), ("staff_recovery", own),
        ("login_tried", "stranger"),
        ("login_tried", "stranger"), ("login", own),
        ("login_tried", "stranger"), ("login_recovery", own),
        ("staff_password", own), ("staff_invited", BY), ("staff_removed", BY),
    ]  # fmt: skip


def test_keys_of_cases_follow_the_people(house: App) -> None:
    """A case that waited for the first operator becomes readable to them, and to nobody who has left."""
    keyring = house.database.keyring
    lan = join(house)
    minh = join(house, "minh", "operator", name="Minh")
    with house.database.begin() as connection:
        assert set(keys._workers(connection, keyring)) == {lan.account.id, minh.account.id}
        colleagues.remove(connection, keyring, minh.account, START, by=BY)
        colleagues.set_roles(connection, keyring, lan.account, ["analyst"], START, by=BY)
        assert keys._workers(connection, keyring) == {}


# -- what a thief finds ------------------------------------------------------------------------------------------------


def test_d_09_a_copy_of_the_database_shows_nobody_and_opens_nothing(sqlite_house: App) -> None:
    """No login, name, number, password, secret, code, session or key stands in it, in no form that we know."""
    house = sqlite_house
    colleague = join(house)
    token = let_in(house, colleague).token
    invitation = _invite(house, "minh.pham", "Phạm Minh")
    pages = Pages("987654321", "+84987654321", "secret@example.org")
    with house.database.begin() as connection:
        accounts.set_pages(connection, house.database.keyring, colleague.account, pages, START, by=BY)
    session = session_of(house, token)
    assert session
    house.database.checkpoint()
    stored = b"".join(path.read_bytes() for path in house.config.home.glob("banduong.db*"))
    assert session.lookup.encode() in stored  # the search does find what is there
    words = [
        "lan.tran", "Trần Thị Lan", "minh.pham", "Phạm Minh", PASSWORD, colleague.secret, token, invitation,
        invitation.replace("-", ""), *colleague.codes, *map(recovery.printed, colleague.codes),
        "987654321", "secret@example.org",
    ]  # fmt: skip
    assert [word for word in words if word.encode() in stored] == []
    private = colleague.private_key
    assert private not in stored
    assert private.hex().encode() not in stored
    assert sessions._token(token) not in stored


def test_the_lookup_of_a_session_opens_no_key(sqlite_house: App) -> None:
    """What the store has of a session is another secret than the one that locks the key."""
    entry = let_in(sqlite_house, join(sqlite_house))
    with sqlite_house.database.begin() as connection:
        row = connection.execute(select(staff_sessions)).one()
    assert boxes.unlock(bytes.fromhex(row.lookup), row.locked_private_key) is None
    assert boxes.unlock(sessions._secret(sessions._token(entry.token)), row.locked_private_key) is not None
    assert len(sessions._token(entry.token)) * 8 == 256


def test_logs_and_reprs_hold_no_secret(sqlite_house: App, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever happens at the door, no login, name, password, code or token is logged or shown by a repr."""
    caplog.set_level(logging.DEBUG)
    colleague = join(sqlite_house)
    entry = let_in(sqlite_house, colleague)
    refused = enter(sqlite_house, "lan.tran", "a wrong password", "123456")
    session = session_of(sqlite_house, entry.token)
    assert session
    row = _row(sqlite_house, colleague)
    lock = sqlite_house.passwords.lock(PASSWORD)
    shown = caplog.text + repr((entry, refused, session, lock, colleague.account, sqlite_house.entrance))
    secrets = [
        "lan.tran", "Lan", PASSWORD, "a wrong password", "123456", colleague.secret, entry.token, colleague.codes[0],
        session.lookup, repr(session.private_key), repr(lock.secret), repr(row.locked_private_key),
    ]  # fmt: skip
    assert [secret for secret in secrets if secret in shown] == []


# -- permissions and words ---------------------------------------------------------------------------------------------


def test_a_permission_is_of_roles_that_there_are(tmp_path: Path) -> None:
    """A role that nobody can have is refused with the file and the entry."""
    assert _problems(tmp_path, "policy/permissions.yml", "permissions:\n  queue.see: [operater]\n") != []
    assert _problems(tmp_path, "policy/permissions.yml", "permissions: {}\n") != []
    assert _problems(tmp_path, "policy/permissions.yml", "permission:\n  queue.see: [operator]\n") != []


def test_what_stands_nowhere_nobody_may_do() -> None:
    """An unknown permission is nobody's, and no role at all may do nothing."""
    permissions = Library(ROOT / "content").permissions
    assert not any(permissions.allows(ROLES, name) for name in ("", "queue", "people.manage "))
    assert not any(permissions.allows([], name) for name in permissions.permissions)
    assert permissions.allows(["analyst", "admin"], "people.manage")
    assert not permissions.allows(["analyst"], "people.manage")


def test_the_words_of_the_console_have_the_same_names_in_both_languages(tmp_path: Path) -> None:
    """A name that one language lacks is told with its file."""
    words = (ROOT / "content" / "console" / "en.yml").read_text(encoding="utf-8")
    problems = _problems(tmp_path, "console/en.yml", words.replace("  log_out:", "  log_off:"))
    assert problems == [
        "console/vi.yml: common.log_off is missing: the other language has it",
        "console/en.yml: common.log_out is missing: the other language has it",
    ]


# -- the command line --------------------------------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BANDUONG_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("BANDUONG_DATABASE_URL", raising=False)
    return tmp_path / "home"


def test_the_first_colleague_is_invited_on_the_command_line(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """There is no account before; the command prints a link that serves once, and the shares of the recovery key the first time only."""
    assert main(["staff", "list"]) == 0
    assert "Nobody" in capsys.readouterr().out
    assert main(["staff", "add", "lan.tran", "--name", "Lan", "--role", "admin", "--role", "supervisor"]) == 0
    link, *shares = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"http://127\.0\.0\.1:8000/console/welcome#([A-Z2-7]{4}-){5}[A-Z2-7]{4}", link)
    assert [share.split(":")[0] for share in shares] == ["share 1", "share 2"]
    assert main(["staff", "add", "minh", "--name", "Minh", "--role", "operator"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1
    assert main(["staff", "list"]) == 0
    listed = capsys.readouterr().out
    assert re.search(r"lan\.tran +Lan +admin, supervisor +- +invited", listed)
    assert home.exists()


def test_colleagues_are_managed_on_the_command_line(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Invite again, other roles, remove; and what cannot be is said in one sentence with exit status 2."""
    assert main(["staff", "add", "lan", "--name", "Lan", "--role", "operator"]) == 0
    first = capsys.readouterr().out
    assert main(["staff", "invite", "lan"]) == 0
    assert capsys.readouterr().out.strip() not in first
    assert main(["staff", "roles", "lan", "analyst", "editor"]) == 0
    assert main(["staff", "list"]) == 0
    assert "analyst, editor" in capsys.readouterr().out
    assert main(["staff", "remove", "lan"]) == 0
    assert main(["staff", "list"]) == 0
    assert "Nobody" in capsys.readouterr().out
    assert main(["staff", "list", "--all"]) == 0
    assert "removed" in capsys.readouterr().out
    for wrong in (
        ["staff", "add", "LAN", "--name", "Lan", "--role", "operator"],
        ["staff", "add", "minh", "--name", "Minh", "--role", "boss"],
        ["staff", "add", "minh", "--name", "Minh"],
        ["staff", "roles", "lan", "operator"],
        ["staff", "remove", "nobody"],
        ["staff", "invite", "nobody"],
    ):
        assert main(wrong) == 2, wrong
        assert len(capsys.readouterr().err.strip().splitlines()) == 1
    assert home.exists()


# -- helpers -----------------------------------------------------------------------------------------------------------


def _invite(house: App, login: str = "lan.tran", name: str = "Lan", now: dt.datetime = START) -> str:
    with house.database.begin() as connection:
        return invitations.invite(connection, house.database.keyring, login, name, ["operator"], now, by=BY)[1]


def _invite_again(house: App, login: str = "lan.tran") -> str:
    with house.database.begin() as connection:
        account = accounts.find_login(connection, house.database.keyring, login)
        assert account
        return invitations.invite_again(connection, house.database.keyring, account, START, by=BY)


def _invited(house: App, code: str, now: dt.datetime = START) -> Account | None:
    with house.database.begin() as connection:
        return invitations.invited(connection, house.database.keyring, code, now)


def _accept(house: App, code: str, now: dt.datetime = START, password: str = PASSWORD, secret: str = "") -> Account:
    secret = secret or totp.new_secret()
    proof = secret, totp.steps_of(secret, pyotp.TOTP(secret).at(now), now)
    lock = house.passwords.lock(password)
    with house.database.begin() as connection:
        return invitations.accept(connection, house.database.keyring, code, lock, proof, now)[0]


def _remove(house: App, account: Account) -> None:
    with house.database.begin() as connection:
        accounts.remove(connection, house.database.keyring, account, START, by=BY)


def _change_password(house: App, token: str, now: dt.datetime = START + 90 * SECOND) -> None:
    session = session_of(house, token, now)
    assert session
    lock = house.passwords.lock(OTHER_PASSWORD)
    with house.database.begin() as connection:
        accounts.change_password(
            connection, house.database.keyring, session.account, session.private_key, lock, now, session=session.lookup
        )


def _row(house: App, colleague: Colleague) -> Any:
    with house.database.begin() as connection:
        return connection.execute(select(staff).where(staff.c.id == colleague.account.id)).one()


def _count(house: App, table: Any) -> int:
    with house.database.begin() as connection:
        return len(connection.execute(select(table)).all())


def _waited(house: App, login: str) -> dt.timedelta:
    outcome = enter(house, login, "wrong", "")
    assert isinstance(outcome, Refusal)
    return outcome.wait


def _other(code: str) -> str:
    return f"{(int(code) + 1) % 1_000_000:06}"


def _count_computations(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows by one with each Argon2id computation from now on."""
    counted: list[str] = []
    real_verify = argon2.PasswordHasher.verify

    def verify(self: argon2.PasswordHasher, *given: Any) -> bool:
        counted.append("log-in")
        return bool(real_verify(self, *given))

    def raw(*given: Any, **named: Any) -> bytes:
        counted.append("key")
        return bytes(hash_secret_raw(*given, **named))

    monkeypatch.setattr(argon2.PasswordHasher, "verify", verify)
    monkeypatch.setattr(passwords, "hash_secret_raw", raw)
    return counted


def _together(calls: list[Callable[[], T]]) -> list[Any]:
    """The outcomes of all calls, begun at the same instant, each in a thread of its own."""
    start = threading.Barrier(len(calls))
    outcomes: list[Any] = []

    def run(call: Callable[[], T]) -> None:
        start.wait()
        try:
            outcomes.append(call())
        except (StaffError, StoreError) as error:
            outcomes.append(error)

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def _problems(folder: Path, name: str, text: str) -> list[str]:
    """What the library says about the content with this one file changed."""
    import shutil

    target = folder / str(len(list(folder.iterdir())))
    shutil.copytree(ROOT / "content", target)
    (target / name).write_text(text, encoding="utf-8")
    with pytest.raises(ContentError) as refused:
        Library(target)
    return list(refused.value.problems)
