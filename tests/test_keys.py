"""Who holds the keys of cases: keys that somebody else has put into the database, and the recovery key of two people."""

import datetime as dt
import logging
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from bot import audit, contacts
from bot.app import App
from bot.conversation.events import CaseExtended
from bot.errors import KeyringError
from bot.hotline import cases, claims, colleagues, keys, reading
from bot.hotline.custody import Custody, custody
from bot.hotline.keys import Operator
from bot.messages import Address
from bot.staff import invitations
from bot.staff.accounts import key_is_proven
from bot.store import tables
from bot.store.boxes import new_pair, open_with
from bot.store.crypto import Keyring, create_keyring, load_keyring
from bot.testing import START
from tests.colleagues import BY, Colleague, join
from tests.conftest import ROOT, message
from tests.hotline import Story, a_case, an_operator

HELD = "cứu em với, em đang bị nhốt ở Myawaddy"
MORE = "em van con o day, toa nha Xylophone"
NOTHING = Custody(True, 0, 0, 0, 0, 0, 0)


# -- keys that somebody has put into the database -----------------------------------------------------------------------


def test_a_public_key_that_was_put_there_by_hand_gets_no_case(house: App, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever swaps a colleague's public key in the database reads nothing; the case opens for the others."""
    lan, minh = _colleagues(house, "Lan", "Minh")
    _put(house, tables.staff, lan.id, public_key=new_pair().public)
    with caplog.at_level(logging.ERROR):
        house.processor.handle(message(HELD))
    assert _holders(house) == {minh.id}
    assert _recorded(house, "key_refused") == [("bot", None, lan.id)]
    (line,) = [one for one in caplog.records if one.levelno == logging.ERROR]
    assert lan.id not in line.getMessage()
    assert "Lan" not in line.getMessage()


def test_another_s_proven_key_in_one_s_own_row_is_refused(house: App) -> None:
    """Key and proof are bound to the person: copied together into another row they are worth nothing there."""
    lan, minh = _colleagues(house, "Lan", "Minh")
    with house.database.begin() as connection:
        own = connection.execute(select(tables.staff).where(tables.staff.c.id == minh.id)).one()
    _put(house, tables.staff, lan.id, public_key=own.public_key, key_proof=own.key_proof)
    house.processor.handle(message(HELD))
    assert _holders(house) == {minh.id}


def test_a_role_that_was_put_there_by_hand_gets_no_case(house: App) -> None:
    """An analyst who writes "supervisor" into their own row is given nothing, now or when colleagues share."""
    (minh,) = _colleagues(house, "Minh")
    analyst = join(house, "eve", "analyst", name="Eve")
    _put(house, tables.staff, analyst.account.id, roles="analyst,supervisor", lacks_keys=True)
    house.processor.handle(message(HELD))
    with house.database.begin() as connection:
        keys.share_missing(connection, house.database.keyring, minh)
    assert _holders(house) == {minh.id}
    with house.database.begin() as connection:
        assert custody(connection, house.database.keyring).strange_colleagues == 1


def test_a_new_role_does_not_make_a_foreign_key_ours(house: App) -> None:
    """Where an administrator changes roles, a proven key stays proven and one that was put there does not become so."""
    lan, eve = join(house), join(house, "eve", name="Eve")
    _put(house, tables.staff, eve.account.id, public_key=new_pair().public)
    with house.database.begin() as connection:
        for one in (lan, eve):
            roles = ["operator", "supervisor"]
            colleagues.set_roles(connection, house.database.keyring, one.account, roles, START, by=BY)
    assert _proven(house, lan)
    assert not _proven(house, eve)


def test_who_is_invited_again_has_a_proven_key(house: App) -> None:
    """It is the way to mend a colleague whose key was swapped."""
    lan = join(house)
    _put(house, tables.staff, lan.account.id, public_key=new_pair().public)
    assert not _proven(house, lan)
    again = _invited_again(house, lan)
    assert _proven(house, again)


def test_a_refused_key_fills_the_audit_with_one_row_a_day(house: App) -> None:
    """However many cases are opened."""
    lan, _ = _colleagues(house, "Lan", "Minh")
    _put(house, tables.staff, lan.id, key_proof=None)
    for number in range(3):
        house.processor.handle(message(HELD, to=f"person {number}"))
    assert len(_recorded(house, "key_refused")) == 1
    with house.database.begin() as connection:
        assert audit.verify(connection, house.database.keyring).broken_at is None


def test_what_a_person_writes_does_not_go_to_a_key_that_was_put_into_their_case(house: App) -> None:
    """The case gets another pair at the next message: the thief opens nothing, the operator reads every word, and it is told."""
    story, thief = Story(house), new_pair()
    case_id = _case_id(house)
    _put(house, tables.cases, case_id, public_key=thief.public)
    story.says(MORE)
    assert MORE in _words(story)
    assert _recorded(house, "case_key_replaced") == [("bot", case_id, None)]
    with house.database.begin() as connection:
        for row in connection.execute(select(tables.case_messages)):
            with pytest.raises(KeyringError):
                open_with(thief.private, row.sealed_body, f"case_messages|{row.id}|sealed_body")
    story.says("con nua")
    assert len(_recorded(house, "case_key_replaced")) == 1


@pytest.mark.parametrize("generation", [1, 9, 2000])
def test_an_earlier_pair_of_the_same_case_is_not_taken_again(generation: int, house: App) -> None:
    """The proof counts for one generation; whatever number somebody wrote, the new pair gets one that was never used."""
    story = Story(house)
    _put(house, tables.cases, _case_id(house), generation=generation)
    story.says(MORE)
    assert MORE in _words(story)


def test_what_colleagues_write_into_such_a_case_is_sealed_to_its_new_key(house: App) -> None:
    """Also where an operator is the first to touch it; the queue shows it as before."""
    story, thief = Story(house), new_pair()
    _put(house, tables.cases, _case_id(house), public_key=thief.public, key_proof="0" * 64)
    story.speaks("Minh nghe day")
    assert "Minh nghe day" in _words(story)
    with house.database.begin() as connection:
        assert custody(connection, house.database.keyring).strange_cases == 0


def test_nothing_can_be_sealed_to_a_case_whose_key_is_not_proven(house: App) -> None:
    """Should some path forget to mend it first, it fails and writes nothing."""
    with house.database.begin() as connection:
        case_id = a_case(connection, house.database.keyring, public_key=new_pair().public)
    with pytest.raises(Exception, match="32"), house.database.begin() as connection:  # noqa: PT012
        case = cases.read_row(house.database.keyring, connection.execute(select(tables.cases)).one())
        assert (case.id, case.public_key) == (case_id, b"")
        person = contacts.find_or_create(connection, house.database.keyring, Address("web", "someone"), START)
        cases.extend_case(connection, house.database.keyring, case, person, CaseExtended(words=(MORE,)), START)
    with house.database.begin() as connection:
        assert connection.execute(select(tables.case_messages)).all() == []


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_proof_counts_for_exactly_what_it_was_made_of(data: st.DataObject, tmp_path_factory: Any) -> None:
    """One keyring, one text: any other text, and any other keyring, makes it worthless."""
    folder = tmp_path_factory.getbasetemp()
    ours, theirs = (_keyring_at(folder / f"{name}.json") for name in ("proof-ours", "proof-theirs"))
    one, other = data.draw(st.text()), data.draw(st.text())
    proof = ours.proof(one)
    assert ours.proves(proof, one)
    assert ours.proves(proof, other) == (one == other)
    assert not theirs.proves(proof, one)
    assert not ours.proves(None, one)
    assert not ours.proves(data.draw(st.text()), one)


# -- the recovery key --------------------------------------------------------------------------------------------------


def test_d_14_when_the_only_operator_loses_the_password_two_people_open_the_cases_again(house: App) -> None:
    """Invited again they have another key, which opens nothing of before; with both shares they read every word."""
    shares = _recovery(house)
    lan = join(house)
    house.processor.handle(message(HELD))
    case_id = _case_id(house)
    assert HELD in _read(house, lan, case_id)
    again = _invited_again(house, lan)
    with house.database.begin() as connection:
        assert keys.keys_of(connection, case_id, _operator(again)).keys() == {2}
        assert custody(connection, house.database.keyring).recovery_only == 1
    assert HELD not in _read(house, again, case_id)
    with house.database.begin() as connection:
        found = keys.recover(connection, house.database.keyring, shares, again.account.id, START, by=BY)
        assert found == 1
    assert HELD in _read(house, again, case_id)
    assert _recorded(house, "recovered") == [(BY, case_id, again.account.id)]
    with house.database.begin() as connection:
        assert custody(connection, house.database.keyring) == NOTHING


@pytest.mark.parametrize("slip", ["swapped letters", "one share twice", "empty", "no figures", "another house"])
def test_wrong_shares_open_nothing(slip: str, house: App) -> None:
    """One sentence; nobody gets a key, and no audit row says that they did."""
    first, second = _recovery(house)
    lan = join(house)
    house.processor.handle(message(HELD))
    wrong = {
        "swapped letters": (first, ("1" if second[0] != "1" else "2") + second[1:]),
        "one share twice": (first, first),
        "empty": ("", ""),
        "no figures": (first, "zz zz"),
        "another house": ("AB" * 32, "CD" * 32),
    }[slip]
    with pytest.raises(KeyringError, match="two shares"), house.database.begin() as connection:
        keys.recover(connection, house.database.keyring, wrong, lan.account.id, START, by=BY)
    assert _recorded(house, "recovered") == []


def test_shares_may_be_typed_in_any_order_and_in_small_letters(house: App) -> None:
    """As people read them from paper."""
    first, second = _recovery(house)
    house.processor.handle(message(HELD))
    lan = join(house)
    typed = (second.lower().replace(" ", ""), f"  {first} ")
    with house.database.begin() as connection:
        assert keys.recover(connection, house.database.keyring, typed, lan.account.id, START, by=BY) == 1


def test_recovered_cases_go_to_somebody_who_works_cases_only(house: App) -> None:
    """An analyst, and whoever has not accepted yet, is refused in a sentence."""
    shares = _recovery(house)
    analyst = join(house, "eve", "analyst", name="Eve")
    with pytest.raises(KeyringError, match="no role"), house.database.begin() as connection:
        keys.recover(connection, house.database.keyring, shares, analyst.account.id, START, by=BY)


def test_a_new_recovery_key_reaches_new_cases_at_once_and_old_ones_through_who_reads_them(house: App) -> None:
    """The shares of before open nothing any more; the new ones open all as soon as a colleague has looked at the queue."""
    before = _recovery(house)
    (lan,) = _colleagues(house, "Lan")
    house.processor.handle(message(HELD, to="one"))
    after = _renewed(house)
    house.processor.handle(message(HELD, to="two"))
    assert _lacking(house) == 1
    assert _recovered_with(house, after, lan) == 1
    with pytest.raises(KeyringError):
        _recovered_with(house, before, lan)
    with house.database.begin() as connection:
        assert keys.share_missing(connection, house.database.keyring, lan) == 1
        assert keys.share_missing(connection, house.database.keyring, lan) == 0
    assert _lacking(house) == 0
    assert _recovered_with(house, after, lan) == 2


def test_who_holds_nothing_of_a_case_cannot_give_it_to_the_recovery_key(house: App) -> None:
    """A look at the queue by somebody without its key changes nothing, and is no error."""
    _recovery(house)
    _colleagues(house, "Lan")
    house.processor.handle(message(HELD))
    _renewed(house)
    with house.database.begin() as connection:
        stranger = an_operator(connection, house.database.keyring, "Late")
        assert keys.share_missing(connection, house.database.keyring, stranger) == 0
    assert _lacking(house) == 1


def test_the_recovery_key_of_a_case_that_waits_in_the_keyring_is_made_when_somebody_comes(house: App) -> None:
    """While nobody has an account, the keyring holds a case; who joins takes it over, and the new recovery key too."""
    _recovery(house)
    house.processor.handle(message(HELD))
    after = _renewed(house)
    with house.database.begin() as connection:
        assert custody(connection, house.database.keyring) == Custody(True, 1, 0, 0, 1, 0, 0)
    lan = join(house)
    with house.database.begin() as connection:
        colleagues.joined(connection, house.database.keyring, lan.account)
        assert custody(connection, house.database.keyring) == NOTHING
    assert _recovered_with(house, after, _operator(lan)) == 1


def test_without_a_recovery_key_there_is_none_to_renew(house: App) -> None:
    """One sentence says how it is made."""
    with pytest.raises(KeyringError, match="banduong staff add"), house.database.begin() as connection:
        keys.renew_recovery(connection, house.database.keyring, START, by=BY)


def test_a_case_that_nobody_opens_any_more_is_counted(house: App) -> None:
    """Without a recovery key, a lost password is a lost case, and the status says so."""
    lan = join(house)
    house.processor.handle(message(HELD))
    _invited_again(house, lan)
    with house.database.begin() as connection:
        assert custody(connection, house.database.keyring) == Custody(False, 0, 0, 1, 1, 0, 0)


# -- the commands ------------------------------------------------------------------------------------------------------


@pytest.fixture
def home(house: App, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The command line in this house."""
    monkeypatch.setenv("BANDUONG_HOME", str(house.config.home))
    monkeypatch.setenv("BANDUONG_DATABASE_URL", house.config.database_url)
    return house.config.home


def test_the_command_asks_both_people_for_their_shares(house: App, home: Path) -> None:
    """`banduong keys recover` reads two lines, gives the cases to that person, and says to make other shares."""
    shares = _recovery(house)
    lan = join(house)
    house.processor.handle(message(HELD))
    again = _invited_again(house, lan)
    wrong = _typed(home, again.login, "ABCD", "ABCD")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "These two shares are not those of the recovery key" in wrong.stderr
    right = _typed(home, again.login, *shares)
    assert (right.returncode, right.stdout) == (0, "1 cases can be read by lan.tran now\n")
    assert "keys recovery new" in right.stderr
    assert not [share for share in shares if share in right.stdout + right.stderr]
    assert HELD in _read(house, again, _case_id(house))


def test_nobody_is_asked_for_shares_for_somebody_unknown(home: Path) -> None:
    """A slip in the login is told before two people have typed 64 letters."""
    refused = _command(home, "recover", "nobody.here")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == "Nobody here has the login 'nobody.here': see `banduong staff list`.\n"


def test_a_new_recovery_key_that_would_lose_cases_wants_to_be_told(house: App, home: Path) -> None:
    """It is refused while something hangs on the key of before alone; with --lose it is done, and the status says what is lost."""
    _recovery(house)
    lan = join(house)
    house.processor.handle(message(HELD))
    _invited_again(house, lan)
    refused = _command(home, "recovery", "new")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "keys recover LOGIN" in refused.stderr
    made = _command(home, "recovery", "new", "--lose")
    assert [line.split(":")[0] for line in made.stdout.splitlines()] == ["share 1", "share 2"]
    assert "open cases with parts that nobody can open: 1" in _command(home, "status").stdout
    assert len(_recorded(house, "recovery_renewed")) == 1


# -- helpers -----------------------------------------------------------------------------------------------------------


def _colleagues(house: App, *names: str) -> list[Operator]:
    with house.database.begin() as connection:
        return [an_operator(connection, house.database.keyring, name) for name in names]


def _operator(colleague: Colleague) -> Operator:
    return Operator(colleague.account.id, colleague.private_key)


def _put(house: App, table: Any, row_id: str, **values: object) -> None:
    """What somebody does who can write to the database and has no keys."""
    with house.database.engine.begin() as connection:
        connection.execute(update(table).where(table.c.id == row_id).values(values))


def _proven(house: App, colleague: Colleague) -> bool:
    with house.database.begin() as connection:
        row = connection.execute(select(tables.staff).where(tables.staff.c.id == colleague.account.id)).one()
        return key_is_proven(house.database.keyring, row)


def _holders(house: App) -> set[str]:
    with house.database.begin() as connection:
        return set(connection.execute(select(tables.case_keys.c.holder)).scalars())


def _case_id(house: App) -> str:
    with house.database.begin() as connection:
        return str(connection.execute(select(tables.cases.c.id)).scalar_one())


def _recorded(house: App, action: str) -> list[tuple[str, str | None, str | None]]:
    with house.database.begin() as connection:
        return [(row.actor, row.case_id, row.subject) for row in audit.entries(connection, audit.Wish(action=action))]


def _words(story: Story) -> list[str | None]:
    """What Lan reads in her case."""
    with story.house.database.begin() as connection:
        case, _, held = claims.held(connection, story.keyring, story.lan, story.reference)
        return [word.text for word in reading.words(connection, case, held)]


def _read(house: App, colleague: Colleague, case_id: str) -> list[str | None]:
    with house.database.begin() as connection:
        row = connection.execute(select(tables.cases).where(tables.cases.c.id == case_id)).one()
        held = keys.keys_of(connection, case_id, _operator(colleague))
        return [word.text for word in reading.words(connection, cases.read_row(house.database.keyring, row), held)]


def _invited_again(house: App, colleague: Colleague) -> Colleague:
    """The password is lost; the keys of cases follow as at the page that accepts."""
    secret, lock = colleague.secret, house.passwords.lock("một mật khẩu khác hẳn")
    keyring, later = house.database.keyring, START + dt.timedelta(hours=1)
    with house.database.begin() as connection:
        code = invitations.invite_again(connection, keyring, colleague.account, later, by=BY)
        step = int(later.timestamp()) // 30
        account, pair = invitations.accept(connection, keyring, code, lock, (secret, [step]), later)
        colleagues.joined(connection, keyring, account)
    return Colleague(account, secret, colleague.codes, pair.private)


def _recovery(house: App) -> tuple[str, str]:
    with house.database.begin() as connection:
        shares = keys.ensure_recovery(connection, house.database.keyring)
    assert shares
    return shares


def _renewed(house: App) -> tuple[str, str]:
    with house.database.begin() as connection:
        return keys.renew_recovery(connection, house.database.keyring, START, by=BY)


def _recovered_with(house: App, shares: tuple[str, str], operator: Operator) -> int:
    with house.database.begin() as connection:
        return keys.recover(connection, house.database.keyring, shares, operator.id, START, by=BY)


def _lacking(house: App) -> int:
    with house.database.begin() as connection:
        return custody(connection, house.database.keyring).lack_recovery


def _keyring_at(path: Path) -> Keyring:
    return load_keyring(path) or create_keyring(path)


def _typed(home: Path, login: str, *lines: str) -> subprocess.CompletedProcess[str]:
    return _command(home, "recover", login, lines=lines)


def _command(home: Path, *words: str, lines: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    """`banduong keys` in a process of its own, without a terminal."""
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "bot.cli", "keys", *words],
        input="".join(f"{line}\n" for line in lines), env={**os.environ, "BANDUONG_HOME": str(home)},
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
