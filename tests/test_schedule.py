"""Alerts that come again."""

import datetime as dt
from dataclasses import replace

import pytest
from sqlalchemy import select

from bot.app import App
from bot.errors import OutreachError
from bot.outreach import schedule
from bot.outreach.audience import Audience
from bot.outreach.schedule import Repetition
from bot.store import tables as t
from tests.broadcasting import NOON, WORDS, Office, a_subscriber

HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)
MONDAYS = Repetition(WORDS, Audience(), "0 12 * * 1", 6 * HOUR, NOON + 60 * DAY)


@pytest.fixture
def office(house: App) -> Office:
    with house.database.begin() as connection:
        a_subscriber(connection, house, "1")
    return Office(house)


def _approved(office: Office, wanted: Repetition = MONDAYS) -> str:
    with office.house.database.begin() as connection:
        written = schedule.write(connection, office.keyring, wanted, office.an, NOON)
        with pytest.raises(OutreachError, match="own"):
            schedule.approve(connection, office.keyring, written.id, written.digest, office.an, NOON)
        return schedule.approve(connection, office.keyring, written.id, written.digest, office.binh, NOON).id


def _comes(office: Office, schedule_id: str, moment: dt.datetime, late: dt.timedelta = HOUR * 0) -> bool:
    with office.house.database.begin() as connection:
        return schedule.come(connection, office.keyring, schedule_id, moment, moment + late)


def test_each_moment_makes_one_broadcast(office: Office) -> None:
    """Told twice of the same moment, one alert leaves; the next moment brings the next."""
    schedule_id = _approved(office)
    for week in (1, 2):
        moment = NOON + 7 * week * DAY
        assert [_comes(office, schedule_id, moment) for _ in range(2)] == [True, False]
        with office.house.database.begin() as connection:
            made = select(t.broadcasts.c.id).where(t.broadcasts.c.due_at == moment)
            (broadcast_id,) = connection.execute(made).scalars()
        office.expand(broadcast_id, moment)
        assert office.deliver(moment) == ["1"]


def test_what_is_stale_paused_ended_or_not_approved_does_not_come(office: Office) -> None:
    schedule_id = _approved(office)
    assert not _comes(office, schedule_id, NOON + DAY, late=6 * HOUR)
    assert not _comes(office, schedule_id, NOON + 61 * DAY)
    with office.house.database.begin() as connection:
        schedule.set_status(connection, office.keyring, schedule_id, "paused", office.an, NOON)
        waiting = schedule.write(connection, office.keyring, MONDAYS, office.an, NOON).id
        assert schedule.active(connection, NOON) == {}
    assert not _comes(office, schedule_id, NOON + DAY)
    assert not _comes(office, waiting, NOON + DAY)
    with office.house.database.begin() as connection:
        schedule.set_status(connection, office.keyring, schedule_id, "active", office.an, NOON)
        assert schedule.active(connection, NOON) == {schedule_id: MONDAYS.cron}
        schedule.set_status(connection, office.keyring, schedule_id, "ended", office.an, NOON)
        with pytest.raises(OutreachError, match="ended"):
            schedule.set_status(connection, office.keyring, schedule_id, "active", office.an, NOON)


def test_nothing_comes_round_for_ever(office: Office) -> None:
    with office.house.database.begin() as connection, pytest.raises(OutreachError, match="too_long"):
        schedule.write(connection, office.keyring, replace(MONDAYS, ends_at=NOON + 400 * DAY), office.an, NOON)


def test_a_schedule_that_somebody_changed_in_the_store_does_not_come(office: Office) -> None:
    schedule_id = _approved(office)
    with office.house.database.begin() as connection:
        connection.execute(t.schedules.update().values(ends_at=NOON + 900 * DAY))
    with pytest.raises(OutreachError, match="tampered"):
        _comes(office, schedule_id, NOON + 70 * DAY)
