"""What is forgotten when: a clock that is moved, and then a search through every byte."""

import datetime as dt
import shutil
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, update

from bot import audit
from bot.app import App
from bot.cli import main
from bot.errors import KeyringError
from bot.hotline import handing_on, keys, webhook, work
from bot.retention import CASE_LIFE, CONSENT_LIFE, WORDS_LIFE, keep_head, kept_head, purge
from bot.store import tables
from bot.store.boxes import open_with
from bot.store.database import Database
from bot.testing import START
from tests.hotline import Story

IDLE = dt.timedelta(minutes=30)
HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)
SECRETS = ("Zephyrine", "Quartzite", "Obsidian", "Wolframite", "Xylophone", "84912345678")


@pytest.fixture
def story(house: App) -> Story:
    """A case with everything in it: words of both sides, a note, a summary, a grant, a sheet, a case that waits for a webhook."""
    told = Story(house)
    told.speaks("Minh nghe day Obsidian")
    told.does(work.note, "Wolframite")
    told.does(work.summarise, {"place": "Xylophone"})
    told.agrees("share_111")
    told.granted("share_police")
    told.does(handing_on.refer, house.library.receivers["vn_police"])
    told.does(handing_on.refer, house.library.receivers["vn_111"], by_webhook=True)
    return told


def close(story: Story) -> None:
    story.does(work.close, "advised", "done")


def rows(story: Story, table: Any) -> int:
    with story.house.database.begin() as connection:
        return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def files(house: App) -> bytes:
    """Everything that SQLite has on disk, the write-ahead log included."""
    return b"".join(path.read_bytes() for path in sorted(house.config.home.glob("banduong.db*")))


# -- D-13 --------------------------------------------------------------------------------------------------------------


def test_d_13_the_words_go_a_day_after_the_case_ended_and_the_summary_stays(story: Story) -> None:
    """S-14: what both sides said is kept for less long than the timeline."""
    close(story)
    purge(story.house.database, story.now + WORDS_LIFE - HOUR, IDLE)
    assert rows(story, tables.case_messages)
    assert purge(story.house.database, story.now + WORDS_LIFE + HOUR, IDLE)["words"] == 1
    assert rows(story, tables.case_messages) == 0
    assert story.does(handing_on.case_file).summary["place"] == "Xylophone"
    assert purge(story.house.database, story.now + WORDS_LIFE + 2 * HOUR, IDLE)["words"] == 0


def test_d_13_an_open_case_keeps_its_words(story: Story) -> None:
    """However long it takes."""
    purge(story.house.database, story.now + 400 * DAY, IDLE)
    assert rows(story, tables.case_messages)


def test_d_13_a_reopened_case_keeps_its_words_again(story: Story) -> None:
    """What counts is the end of the case, not an earlier one."""
    close(story)
    story.does(work.reopen, "they write again")
    purge(story.house.database, story.now + 400 * DAY, IDLE)
    assert rows(story, tables.case_messages)


@pytest.mark.parametrize(("after", "left"), [(CASE_LIFE - DAY, 1), (CASE_LIFE + DAY, 0)])
def test_d_13_a_case_goes_with_its_keys_and_all_that_hangs_on_it(story: Story, after: dt.timedelta, left: int) -> None:
    """90 days after its end, whatever was changed in it meanwhile."""
    close(story)
    with story.house.database.begin() as connection:
        connection.execute(update(tables.cases).values(updated_at=story.now + after))
    purge(story.house.database, story.now + after, IDLE)
    assert rows(story, tables.cases) == left
    for table in (tables.case_keys, tables.case_events, tables.requests, tables.handoffs, tables.case_steps):
        assert bool(rows(story, table)) is bool(left) or table is tables.case_steps


def test_d_13_the_periods_are_those_of_the_configuration(story: Story) -> None:
    """A deployer may keep less."""
    close(story)
    house = story.house
    less = house.config.bot.hotline.model_copy(update={"keep_cases_days": 2, "keep_words_hours": 0})
    house.config = house.config.model_copy(update={"bot": house.config.bot.model_copy(update={"hotline": less})})
    house.clock = lambda: story.now + HOUR
    assert (house.forget()["words"], rows(story, tables.cases)) == (1, 1)
    house.clock = lambda: story.now + 3 * DAY
    assert house.forget()["cases"] == 1


def test_d_13_after_all_periods_no_byte_of_it_is_left(sqlite_house: App) -> None:
    """Two years on, the files of the database hold neither a word nor a number, nor one of the ciphertexts that held them; what has
    been forgotten stands in no write-ahead log either."""
    story = Story(sqlite_house)
    story.does(work.note, "Wolframite")
    ciphers = _ciphertexts(sqlite_house.database)
    assert len(ciphers) > 7
    assert [one for one in ciphers if one not in files(sqlite_house)] == []
    close(story)
    for after in (HOUR, 2 * DAY, CASE_LIFE + DAY):
        purge(sqlite_house.database, story.now + after, IDLE)
    left = files(sqlite_house)
    assert [one for one in ciphers if one in left] == []
    assert [word for word in SECRETS if word.encode() in left] == []


def _ciphertexts(database: Database) -> list[bytes]:
    """What a case and its keys hold."""
    found: list[bytes] = []
    with database.begin() as connection:
        for table, column in (
            (tables.case_keys, "sealed_key"),
            (tables.case_events, "sealed_body"),
            (tables.case_messages, "sealed_body"),
        ):
            found += connection.execute(select(table.c[column])).scalars()
    return found


def test_d_13_what_waits_for_a_receiver_is_wiped_after_a_day(story: Story) -> None:
    """A system that never answers does not keep a body waiting here."""
    with story.house.database.begin() as connection:
        assert webhook.take(connection, story.keyring, story.now + DAY) is None
        assert connection.execute(select(tables.handoffs.c.sealed_body)).scalars().all() == [None, None]


def test_d_13_the_audit_chain_goes_after_two_years_and_the_rest_is_still_proved(story: Story) -> None:
    """Where the chain now begins is kept, and stands in the chain itself, so that what remains verifies."""
    database, later = story.house.database, story.now + audit.LIFE - DAY
    with database.begin() as connection:
        audit.record(connection, story.keyring, actor="clock", action="read", now=later)
        before = audit.verify(connection, story.keyring)
    assert purge(database, story.now + audit.LIFE + DAY, IDLE)["audit"] == before.rows - 1
    with database.begin() as connection:
        after = audit.verify(connection, story.keyring)
    assert (after.rows, after.broken_at, after.head.position) == (2, None, before.head.position + 1)


def test_d_13_a_consent_without_its_person_goes_after_two_years(story: Story) -> None:
    """As long as the audit chain tells of what it allowed, the consent proves that it was allowed; it holds no words and no person."""
    close(story)
    story.says("xoa")
    database = story.house.database
    kept = rows(story, tables.consents)
    assert kept
    purge(database, story.now + CONSENT_LIFE - DAY, IDLE)
    assert rows(story, tables.consents) == kept
    assert purge(database, story.now + CONSENT_LIFE + DAY, IDLE)["consents"] == kept


def test_d_13_a_consent_of_somebody_who_is_still_here_stays(story: Story) -> None:
    """It is the ground of what we do."""
    purge(story.house.database, story.now + 2 * CONSENT_LIFE, IDLE)
    assert rows(story, tables.consents)


# -- D-03 --------------------------------------------------------------------------------------------------------------


def test_d_03_after_the_persons_word_no_byte_of_them_is_left(
    sqlite_house: App, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A whole story, then "xoa": neither database nor write-ahead log, neither log nor terminal, nor any file of the house holds a
    word, the number, a name or a place; and not one ciphertext or key of the case either."""
    story = Story(sqlite_house)
    story.speaks("Minh nghe day Obsidian")
    story.does(work.note, "Wolframite")
    story.does(work.summarise, {"place": "Xylophone"})
    story.agrees("share_111")
    story.agrees("reveal")
    story.does(handing_on.refer, sqlite_house.library.receivers["vn_111"])
    story.does(handing_on.refer, sqlite_house.library.receivers["vn_111"], by_webhook=True)
    ciphers = [*_ciphertexts(sqlite_house.database), *_sealed_consents(sqlite_house.database)]
    story.says("xoa")
    sqlite_house.forget()
    everything = b"".join(path.read_bytes() for path in sorted(tmp_path.rglob("*")) if path.is_file())
    assert b"SQLite format 3" in everything
    told = (everything, caplog.text.encode(), "".join(capfd.readouterr()).encode())
    assert [word for word in SECRETS for place in told if word.encode() in place] == []
    assert [one for one in ciphers if one in everything] == []


def _sealed_consents(database: Database) -> list[bytes]:
    with database.begin() as connection:
        return [one for one in connection.execute(select(tables.consents.c.sealed_words)).scalars() if one]


def test_d_03_the_erasure_needs_nobody_and_no_time(story: Story) -> None:
    """It is done in the turn of the word itself, on both databases, whoever holds the case."""
    story.says("xoa")
    for table in (
        tables.case_keys,
        tables.case_events,
        tables.case_messages,
        tables.case_clues,
        tables.requests,
        tables.handoffs,
    ):
        assert rows(story, table) == 0, table.name
    with story.house.database.begin() as connection:
        case = connection.execute(select(tables.cases)).one()
        assert (case.status, case.address_id, case.sealed_facts, case.sealed_reach) == ("erased", None, None, None)
        assert not connection.execute(select(tables.consents.c.sealed_words)).scalars().first()
        assert audit.verify(connection, story.keyring).broken_at is None


def test_d_03_no_export_is_ever_a_file(story: Story, tmp_path: Path) -> None:
    """What is taken out goes to the browser: on the disk of the house nothing is new but the database itself."""
    from bot.hotline import exports

    before = {path.name for path in tmp_path.rglob("*")}
    story.does(exports.export, story.house.library, by=story.minh)
    assert {path.name for path in tmp_path.rglob("*")} - before <= {"banduong.db-wal", "banduong.db-shm"}


def test_d_03_a_copy_from_before_opens_and_one_from_after_opens_nothing(sqlite_house: App, tmp_path: Path) -> None:
    """Whoever keeps a backup from before the deletion, and a colleague's own key, can still read it: docs/privacy.md says so. With the
    same keys a copy from afterwards gives nothing."""
    story = Story(sqlite_house)
    before = _copy(sqlite_house, tmp_path / "before")
    story.says("xoa")
    after = _copy(sqlite_house, tmp_path / "after")
    assert _read_with(before, story) > 0
    assert _read_with(after, story) == 0


def _copy(house: App, folder: Path) -> App:
    house.database.checkpoint()
    shutil.copytree(house.config.home, folder, ignore=shutil.ignore_patterns("model"))
    url = f"sqlite:///{folder / 'banduong.db'}"
    return App(house.config.model_copy(update={"home": folder, "database_url": url}))


def _read_with(house: App, story: Story) -> int:
    """How many words and events open with the keys of the two colleagues."""
    opened = 0
    with house.database.begin() as connection:
        for table in (tables.case_events, tables.case_messages):
            for row in connection.execute(select(table)).all():
                for operator in (story.lan, story.minh):
                    private = keys.keys_of(connection, row.case_id, operator).get(row.generation)
                    try:
                        opened += bool(
                            private and open_with(private, row.sealed_body, f"{table.name}|{row.id}|sealed_body")
                        )
                    except KeyringError:
                        continue
    house.database.close()
    return opened


# -- the head of the audit chain ---------------------------------------------------------------------------------------


def test_the_head_of_the_chain_is_kept_once_a_day(story: Story, tmp_path: Path) -> None:
    """One line a day of Viet Nam, each the head of that moment."""
    path, database = tmp_path / "heads", story.house.database
    assert [keep_head(database, path, START + after) for after in (HOUR * 0, HOUR, DAY, DAY + HOUR)] == [
        True,
        False,
        True,
        False,
    ]
    with database.begin() as connection:
        head = audit.head(connection)
    assert path.read_text().splitlines() == [f"2026-11-21 {head}", f"2026-11-22 {head}"]
    assert kept_head(path) == str(head)


def test_a_cut_off_end_is_seen_with_the_head_that_was_kept(
    sqlite_house: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command finds nothing wrong with the whole chain; after the last row is cut off, it does, and the exit status says so."""
    story = Story(sqlite_house)
    monkeypatch.setenv("BANDUONG_HOME", str(sqlite_house.config.home))
    assert main(["audit", "head"]) == 0
    anchor = capsys.readouterr().out.strip()
    assert main(["audit", "verify", "--anchor", anchor]) == 0
    with sqlite_house.database.begin() as connection:
        last = audit.Head.read(anchor)
        connection.execute(tables.audit.delete().where(tables.audit.c.position == last.position))
        previous = connection.execute(select(tables.audit).order_by(tables.audit.c.position.desc()).limit(1)).one()
        connection.execute(update(tables.audit_head).values(position=previous.position, mac=previous.mac))
    assert main(["audit", "verify"]) == 0  # without an anchor nobody can see it
    assert main(["audit", "verify", "--anchor", anchor]) == 1
    assert main(["audit", "verify", "--anchor", "nonsense"]) == 2
    assert story.reference not in capsys.readouterr().out
