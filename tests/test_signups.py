"""Paper sign-up lists and the Do-Not-Call list: every bad line is told, and a list is taken in as a whole or not at all."""

import datetime as dt
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event, func, select

from bot import audit, contacts, subscriptions
from bot.app import App
from bot.cli import main
from bot.cli.outreach import PROBLEMS
from bot.config import load_config
from bot.errors import UsageError
from bot.messages import Address
from bot.outreach import signups
from bot.outreach.do_not_call import import_do_not_call
from bot.outreach.signups import Outcome, Signups, import_signups, mobile_number
from bot.store import tables
from bot.store.database import utc
from bot.testing import START
from tests.conftest import ROOT, TODAY

DAY = dt.timedelta(days=1)
HEAD = "phone,province,interest,language,signed on,event,collected by"
PHONE = "+84912345678"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> App:
    """For what needs content and a place to write, and no model."""
    return App(load_config(ROOT / "config.yml", {"BANDUONG_HOME": str(tmp_path_factory.mktemp("store"))}))


def line(
    phone: str = PHONE, province: str = "Nghệ An", interest: str = "", language: str = "", signed: str = "2026-11-01",
    event: str = "chợ phiên Zephyrine", collector: str = "chị Quartzite",
) -> str:  # fmt: skip
    return ",".join((phone, province, interest, language, signed, event, collector))


def read(house: App, *lines: str, head: str = HEAD) -> Signups:
    return signups.read("\n".join((head, *lines)), house.library, "VN", TODAY, "ky-son.csv")


def take(house: App, *lines: str, at: dt.datetime = START, **how: bool) -> Outcome:
    return import_signups(house.database, read(house, *lines), "command line", at, **how)


def told(found: Signups) -> list[tuple[int, str, str]]:
    return [(one.line, one.code, one.about) for one in found.problems]


def rows(house: App, table: Any) -> list[Any]:
    with house.database.begin() as connection:
        return list(connection.execute(select(table)).all())


# -- reading -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffSố điện thoại;Tỉnh;Ngày ký;Buổi;Người thu\r\n0912345678;TP. Hồ Chí Minh;01/11/2026;Chợ;Lan\r\n",
        "SDT\tTINH\tNGAY KY\tSU KIEN\tCAN BO\n+84 912 345 678\tSài Gòn\t1/11/2026\tChợ\tLan",
        'collected by,event,signed on,province,phone,note\nLan,"Chợ",2026-11-01,Bình Dương,912345678,x\n\n',
    ],
)
def test_a_list_as_offices_write_it(store: App, text: str) -> None:
    """With a byte order mark or without, comma, semicolon or tab, in Vietnamese or English, an old name or a new one."""
    found = signups.read(text, store.library, "VN", TODAY)
    assert told(found) == []
    (row,) = found.rows
    assert (row.line, row.number, row.province, row.interest) == (2, PHONE, "N79", None)
    assert (row.language, row.signed, row.evidence) == ("vi", dt.date(2026, 11, 1), "Chợ; Lan")


@pytest.mark.parametrize(
    ("bad", "codes"),
    [
        (line(phone="hello"), ["bad_number"]),
        (line(phone=""), ["bad_number"]),
        (line(phone="111"), ["bad_number"]),
        (line(phone="02383842123"), ["not_mobile"]),
        (line(phone="+81 3 1234 5678"), ["not_mobile"]),
        (line(province="Atlantis"), ["unknown_province"]),
        (line(province=""), ["unknown_province"]),
        (line(province="Lào"), ["unknown_province"]),
        (line(interest="fishing"), ["unknown_interest"]),
        (line(language="lao"), ["unknown_language"]),
        (line(signed="32/1/2026"), ["bad_date"]),
        (line(signed="11/21/2026"), ["bad_date"]),
        (line(signed=""), ["bad_date"]),
        (line(signed="01/11/0026"), ["bad_date"]),
        (line(signed="2026-11-22"), ["future_date"]),
        (line(event=""), ["no_evidence"]),
        (line(collector=""), ["no_evidence"]),
        (line() + ",x", ["too_many_cells"]),
        (line(event='"chợ'), ["unreadable"]),
        (line(phone="1", province="2", signed="3", event=""), ["bad_number", "unknown_province", "bad_date", "no_evidence"]),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_line(store: App, bad: str, codes: list[str]) -> None:
    """All of it, by its number, and the lines around it are good."""
    found = read(store, line(phone="0987654321"), bad, line(phone="0387654321"))
    assert told(found) == [(3, code, "") for code in codes]
    assert [row.line for row in found.rows] == [2, 4]
    assert set(codes) <= set(PROBLEMS)


@pytest.mark.parametrize(("interest", "known"), [("Đi nước ngoài", "abroad"), ("home", "home"), ("Tất cả", None)])
def test_an_interest_by_its_name_or_id(store: App, interest: str, known: str | None) -> None:
    """In either language; "everything" is none in particular."""
    assert [row.interest for row in read(store, line(interest=interest)).rows] == [known]


def test_numbers_from_abroad_are_welcome(store: App) -> None:
    """A mobile number with its +."""
    assert [row.number for row in read(store, line(phone="+886 912 345 678")).rows] == ["+886912345678"]


def test_the_same_number_twice_names_the_first_line(store: App) -> None:
    """However it is written; a bad line before does not count as the first."""
    found = read(store, line(signed=""), line(), line(phone="0912 345 678"))
    assert told(found) == [(2, "bad_date", ""), (4, "duplicate_in_file", "3")]


def test_a_missing_column_is_named(store: App) -> None:
    """And no line is read."""
    found = read(store, line(), head="phone,province,event")
    assert told(found) == [(1, "no_column", "signed"), (1, "no_column", "collector")]
    assert told(signups.read("", store.library, "VN", TODAY))[0][1] == "no_column"


@given(digits=st.from_regex(r"(0|\+84)[1-9]\d{7,9}", fullmatch=True))
def test_the_quick_look_at_a_number_agrees_with_the_close_one(digits: str) -> None:
    """A number without spaces is taken as the library takes it."""
    number = phonenumbers.parse(digits, "VN")
    mobile = phonenumbers.number_type(number) == phonenumbers.PhoneNumberType.MOBILE
    written = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    assert mobile_number(digits, "VN")[0] == (written if mobile else None)
    assert mobile_number(digits[:4] + " " + digits[4:], "VN") == mobile_number(digits, "VN")


GOOD = st.integers(0, 5).map(lambda number: line(phone=f"098765432{number}"))
BAD = st.sampled_from(
    [line(phone="x"), line(signed="x"), line(event=""), line(province="x"), "x", '"', ",,,,,,x", line() + ",x"]
)


UNQUOTED = st.text(st.characters(exclude_characters='"', exclude_categories=["Cs"]), max_size=12)


@given(lines=st.lists(st.one_of(GOOD, BAD, st.just(""), st.just(" ,,"), st.just("\x0c"), UNQUOTED), max_size=12))
def test_exactly_the_bad_lines_are_told(store: App, lines: list[str]) -> None:
    """Of any mix of good, bad, double and empty lines each is a row, a problem or empty; and who is told twice is told once."""
    text = [one.replace("\n", "x").replace("\r", "x") for one in lines]
    found = read(store, *text)
    good = {number for number, one in enumerate(text, 2) if one.startswith("098765432")}
    empty = {number for number, one in enumerate(text, 2) if not any(cell.strip() for cell in one.split(","))}
    taken, wrong = {row.line for row in found.rows}, {one.line for one in found.problems}
    double = {one.line for one in found.problems if one.code == "duplicate_in_file"}
    assert taken & wrong == set()
    assert taken | double == good
    assert wrong - double == set(range(2, len(text) + 2)) - good - empty
    assert len({row.number for row in found.rows}) == len(taken)


# -- writing -----------------------------------------------------------------------------------------------------------


def test_a_list_makes_people_who_can_be_reached(house: App) -> None:
    """Each with an address, a yes with its evidence under seal and the day of the signature, and what they want to hear of."""
    lines = [line(interest="abroad"), line(phone="+886912345678", language="English", province="Hà Tĩnh")]
    assert take(house, *lines) == Outcome(added=2)
    keyring = house.database.keyring
    with house.database.begin() as connection:
        contact = contacts.find(connection, keyring, Address("sms", PHONE))
        assert contact
        assert contacts.has_consented(connection, contact, "alerts")
        consent = connection.execute(select(tables.consents).where(tables.consents.c.address_id == contact.id)).one()
        (action,) = [one.action for one in audit.entries(connection, audit.Wish())]
    assert (consent.purpose, consent.basis, consent.reason) == ("alerts", "consent", "paper list")
    assert consent.version == read(house, *lines).digest[:12]
    words = keyring.open(consent.sealed_words, f"consents|{consent.id}|sealed_words")
    assert words == "chợ phiên Zephyrine; chị Quartzite; ky-son.csv"
    assert utc(consent.given_at) == dt.datetime(2026, 10, 31, 17, tzinfo=dt.UTC)
    assert action == "signups_imported"
    wanted = {
        (row.province, row.interest, row.language, row.utc_offset, row.source)
        for row in rows(house, tables.subscriptions)
    }
    assert wanted == {
        (subscriptions.tag(keyring, "province", "N40"), subscriptions.tag(keyring, "interest", "abroad"), "vi", 420, "paper"),
        (subscriptions.tag(keyring, "province", "N42"), None, "en", 480, "paper"),
    }  # fmt: skip
    assert rows(house, tables.outbox) == []


def test_the_same_list_again_changes_nothing(house: App) -> None:
    """Everybody is counted, nobody is doubled."""
    take(house, line(), line(phone="0987654321"))
    before = snapshot(house)
    assert take(house, line(), line(phone="0987654321"), at=START + DAY) == Outcome(already=2)
    assert snapshot(house) == before


def snapshot(house: App) -> list[list[Any]]:
    return [sorted(map(tuple, rows(house, one))) for one in (tables.addresses, tables.consents, tables.subscriptions)]


def test_with_a_bad_line_nothing_is_written_unless_it_is_left_out(house: App) -> None:
    """Nothing at all: no address, no yes, no row in the audit."""
    bad = (line(), line(phone="x"))
    assert take(house, *bad) == Outcome(refused=True)
    assert snapshot(house) == [[], [], []]
    assert rows(house, tables.audit) == []
    assert take(house, *bad, skip_bad=True) == Outcome(added=1)


def test_a_dry_run_tells_the_same_and_writes_nothing(house: App) -> None:
    """Also of people who are known."""
    take(house, line())
    before = snapshot(house)
    assert take(house, line(), line(phone="0987654321"), dry_run=True) == Outcome(added=1, already=1)
    assert snapshot(house) == before


def test_what_fails_in_the_middle_leaves_nothing(house: App) -> None:
    """The last statement of the transaction breaks: no line of the list is there."""
    engine = house.database.engine

    @event.listens_for(engine, "before_cursor_execute")
    def refuse(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "INSERT INTO audit" in statement:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        take(house, line())
    event.remove(engine, "before_cursor_execute", refuse)
    assert snapshot(house) == [[], [], []]
    assert take(house, line()) == Outcome(added=1)


def known(house: App, connection: Any) -> contacts.Contact:
    return contacts.find_or_create(connection, house.database.keyring, Address("sms", PHONE), START)


@pytest.mark.parametrize(("signed", "added"), [("2026-11-04", 0), ("2026-11-05", 0), ("2026-11-06", 1)])
def test_s_34_a_no_counts_more_than_an_older_signature(house: App, signed: str, added: int) -> None:
    """Only who signed on a later day than the no is with us again."""
    with house.database.begin() as connection:
        at = dt.datetime(2026, 11, 5, 5, tzinfo=dt.UTC)
        contacts.withdraw_consent(connection, house.database.keyring, known(house, connection).id, "alerts", "stop", at)
    assert take(house, line(signed=signed)) == Outcome(added=added, opted_out=1 - added)
    with house.database.begin() as connection:
        assert contacts.has_consented(connection, known(house, connection), "alerts") is bool(added)


@pytest.mark.parametrize(("signed", "holds"), [("2026-11-04", False), ("2026-11-05", False), ("2026-11-06", True)])
@pytest.mark.parametrize("yes_before", [False, True])
def test_s_09_a_signature_from_before_a_case_brings_no_news(
    house: App, signed: str, holds: bool, yes_before: bool
) -> None:
    """And nothing that is counted tells that there was a case: the outcome is the same as for anybody."""
    case = dt.datetime(2026, 11, 5, 5, tzinfo=dt.UTC)
    with house.database.begin() as connection:
        contact = known(house, connection)
        contacts.set_helped(connection, [contact.id], case)
        if yes_before:
            contacts.record_consent(
                connection, house.database.keyring, contact,
                purpose="alerts", basis="consent", reason="asked for by the person", words="dang ky", now=case - 9 * DAY,
            )  # fmt: skip
    expected = Outcome(already=1) if yes_before else Outcome(added=1)
    assert take(house, line(signed=signed)) == expected
    with house.database.begin() as connection:
        assert contacts.has_consented(connection, known(house, connection), "alerts") is holds
    before = snapshot(house)
    assert take(house, line(signed=signed)) == Outcome(already=1)
    assert snapshot(house) == before


def test_what_the_person_told_us_stays(house: App) -> None:
    """The paper of somebody who said yes in the talk changes nothing."""
    with house.database.begin() as connection:
        contact, keyring = known(house, connection), house.database.keyring
        contacts.record_consent(
            connection,
            keyring,
            contact,
            purpose="alerts",
            basis="consent",
            reason="x",
            words="dang ky",
            now=START - DAY,
        )
        subscriptions.subscribe(
            connection, keyring, contact,
            province="N42", interest=None, language="en", source="conversation", now=START, utc_offset=540,
        )  # fmt: skip
    before = snapshot(house)
    assert take(house, line()) == Outcome(already=1)
    assert snapshot(house) == before


def test_a_list_tells_neither_its_numbers_nor_its_evidence(sqlite_house: App) -> None:
    """The files of the database hold them under seal only; and no row prints its number."""
    take(sqlite_house, line())
    files = b"".join(path.read_bytes() for path in sqlite_house.config.home.glob("banduong.db*"))
    assert [one for one in ("912345678", "Zephyrine", "Quartzite", "ky-son", "N40") if one.encode() in files] == []
    assert PHONE not in repr(read(sqlite_house, line()))


# -- the Do-Not-Call list ----------------------------------------------------------------------------------------------


def list_numbers(house: App, *lines: str, replace: bool = False) -> tuple[int, int, int, list[int]]:
    found = import_do_not_call(house.database, lines, house.library, "VN", START, by="command line", replace=replace)
    return found.read, found.added, found.listed, found.bad_lines


def test_the_do_not_call_list_grows_or_is_replaced(house: App) -> None:
    """Numbers as they stand in addresses of the SMS channel; bad lines are told and keep nobody else from being listed."""
    assert list_numbers(house, "\ufeff0912345678", "x", "", "+84 987 654 321\n") == (2, 2, 2, [2])
    assert list_numbers(house, "84912345678", "02383842123") == (2, 1, 3, [])
    lookup = house.database.keyring.lookup("sms", PHONE)
    assert lookup in {row.lookup for row in rows(house, tables.do_not_call)}
    assert list_numbers(house, "STT;Số điện thoại", "1;0912345678", "2;", replace=True) == (1, 1, 1, [3])
    assert [row.lookup for row in rows(house, tables.do_not_call)] == [lookup]


def test_a_file_without_numbers_changes_nothing(house: App) -> None:
    """A wrong file in place of the list does not empty it."""
    list_numbers(house, "0912345678")
    for lines in ([], ["x"], ["phone"]):
        with pytest.raises(UsageError):
            list_numbers(house, *lines, replace=True)
    assert len(rows(house, tables.do_not_call)) == 1


def test_who_is_on_the_do_not_call_list_is_not_taken_in(house: App) -> None:
    """Nothing of them is written."""
    list_numbers(house, "0912345678")
    assert take(house, line(), line(phone="0987654321")) == Outcome(added=1, do_not_call=1)
    assert len(rows(house, tables.addresses)) == 1


def test_a_long_list_needs_no_more_memory_than_a_short_one(sqlite_house: App) -> None:
    """Twenty thousand numbers: they are never all there at the same time."""

    def peak(count: int) -> int:
        def numbers() -> Iterator[str]:
            return (f"09{number:08d}" for number in range(count))

        tracemalloc.start()
        import_do_not_call(sqlite_house.database, numbers(), sqlite_house.library, "VN", START, by="command line")
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used

    peak(100)
    assert peak(20_000) < 2 * peak(4_000) + 1_000_000


# -- the command line --------------------------------------------------------------------------------------------------


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BANDUONG_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("BANDUONG_DATABASE_URL", raising=False)
    return tmp_path


def test_the_command_tells_every_bad_line_and_no_number(commands: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 1 with the lines; nothing was taken in before they are mended or left out."""
    file = commands / "list.csv"
    file.write_text("\n".join((HEAD, line(), line(phone="0912 345 678"), line(phone="02383842123"))), "utf-8")
    assert main(["subscribers", "import", str(file)]) == 1
    told = capsys.readouterr().err
    assert "line 3: the same number as in line 2" in told
    assert "line 4: not a mobile number" in told
    assert "Nothing was taken in" in told
    assert main(["subscribers", "import", str(file), "--skip-bad", "--dry-run"]) == 1
    assert "would be added 1" in capsys.readouterr().out
    assert main(["subscribers", "count"]) == 0
    assert "Nobody gets news yet" in capsys.readouterr().out
    assert main(["subscribers", "import", str(file), "--skip-bad"]) == 1
    shown = capsys.readouterr()
    assert "added 1, said yes before 0" in shown.out
    assert "345" not in told + shown.out + shown.err
    assert main(["subscribers", "count"]) == 0
    counted = capsys.readouterr().out
    assert "Nghệ An" in counted
    assert "<11" in counted


def test_a_good_list_ends_well(commands: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 0; eleven people are counted, and the Do-Not-Call list is taken in."""
    file = commands / "list.csv"
    file.write_text("\n".join((HEAD, *(line(phone=f"09876543{number}") for number in range(10, 21)))), "utf-8-sig")
    assert main(["subscribers", "import", str(file)]) == 0
    capsys.readouterr()
    assert main(["subscribers", "count"]) == 0
    assert "11" in capsys.readouterr().out.split()
    assert main(["subscribers", "do-not-call", str(file)]) == 0
    assert "read 11, added 11, on the list now 11" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["import", "do-not-call"])
def test_a_file_that_cannot_be_read_is_told(commands: Path, capsys: pytest.CaptureFixture[str], command: str) -> None:
    """One that is not there, and one that is no UTF-8, each in a sentence."""
    assert main(["subscribers", command, str(commands / "nothing.csv")]) == 1
    (commands / "list.csv").write_bytes("số".encode("utf-16"))
    assert main(["subscribers", command, str(commands / "list.csv")]) == 2
    assert "UTF-8" in capsys.readouterr().err


def test_every_problem_has_its_sentence() -> None:
    """None is told as a bare code."""
    from typing import get_args

    assert set(PROBLEMS) == set(get_args(signups.Code))


def test_how_many_people_there_are(house: App) -> None:
    """Only those whose yes holds."""
    take(house, line(), line(phone="0987654321"))
    with house.database.begin() as connection:
        contacts.withdraw_consent(
            connection, house.database.keyring, known(house, connection).id, "alerts", "stop", START
        )
        assert [row.people for row in subscriptions.counts(connection)] == [1]
        assert connection.execute(select(func.count()).select_from(tables.subscriptions)).scalar_one() == 2
