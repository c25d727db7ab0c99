"""When people read the queue: hours, days off, the next opening, and how config.yml writes them."""

import datetime as dt
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from bot.app import App
from bot.channels.base import CAPABILITIES
from bot.config import EmailConfig, HotlineConfig
from bot.conversation.desk import Settings
from bot.conversation.openings import in_words
from bot.conversation.policy import Policy
from bot.delivery.render import render
from bot.hours import ALL_DAY, ALWAYS, DAYS, MINUTES, Hours, read_week
from bot.letters import fold
from bot.messages import VIETNAM, Reply
from bot.rehearsal import Rehearsal

OFFICE = read_week({"mon-fri": "08:00-11:30, 13:00-17:30", "sat": "08:00-12:00"})
TET = frozenset(dt.date(2027, 2, day) for day in range(5, 12))  # Friday to Thursday
MINUTE = dt.timedelta(minutes=1)

moments = st.integers(0, 2 * 365 * 86_400).map(
    lambda seconds: dt.datetime(2026, 1, 1, tzinfo=dt.UTC) + dt.timedelta(seconds=seconds)
)
days_off = st.frozensets(st.dates(dt.date(2026, 1, 1), dt.date(2028, 1, 1)), max_size=12)


@st.composite
def spans(draw: st.DrawFn) -> tuple[tuple[int, int], ...]:
    """Spans of one day, apart and in order."""
    edges = sorted(draw(st.sets(st.integers(0, MINUTES), max_size=6)))
    return tuple(pair for number, pair in enumerate(pairwise(edges)) if number % 2 == 0)


weeks = st.tuples(*[spans()] * 7).filter(any)


def at(day: int, time: str, month: int = 2) -> dt.datetime:
    """A moment of 2027 by a clock in Viet Nam."""
    return dt.datetime.combine(dt.date(2027, month, day), dt.time.fromisoformat(time), VIETNAM)


# -- open and closed ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (at(1, "07:59"), at(1, "08:00")),
        (at(1, "08:00"), at(1, "08:00")),
        (at(1, "11:29"), at(1, "11:29")),
        (at(1, "11:30"), at(1, "13:00")),
        (at(1, "17:30"), at(2, "08:00")),
        (at(4, "17:30"), at(12, "08:00")),
        (at(8, "09:00"), at(12, "08:00")),
        (at(13, "12:00"), at(15, "08:00")),
        (at(15, "07:00").astimezone(dt.UTC), at(15, "08:00")),
    ],
    ids=["before", "on the stroke", "last minute", "noon", "evening", "before the holiday", "in it", "weekend", "in UTC"],
)  # fmt: skip
def test_the_next_opening_is_found(moment: dt.datetime, expected: dt.datetime) -> None:
    """Lunch, evenings, weekends and the week of the lunar new year are passed over, by the clock of Viet Nam."""
    hours = Hours(OFFICE, TET)
    assert hours.next_opening(moment) == expected
    assert hours.is_open(moment) == (moment == expected)


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(week=weeks, holidays=days_off, moment=moments, part=st.floats(0, 1, exclude_max=True))
@example(week=((), (), (), (), (), (), ((MINUTES - 1, MINUTES),)), holidays=TET, moment=at(14, "23:59"), part=0.5)
def test_nothing_is_open_before_the_next_opening(
    week: tuple[tuple[tuple[int, int], ...], ...], holidays: frozenset[dt.date], moment: dt.datetime, part: float
) -> None:
    """The next opening is open, is not in the past, and no moment between now and then is open."""
    hours = Hours(week, holidays)
    opening = hours.next_opening(moment)
    assert opening >= moment
    assert opening.tzinfo is dt.UTC
    assert hours.is_open(opening)
    between = moment + (opening - moment) * part
    assert hours.is_open(between) == (between == opening)


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(week=weeks, moment=moments)
def test_a_week_later_it_is_the_same(week: tuple[tuple[tuple[int, int], ...], ...], moment: dt.datetime) -> None:
    """No day of the year is longer or shorter than another: without holidays each week is like the next."""
    hours, later = Hours(week), dt.timedelta(weeks=1)
    assert hours.next_opening(moment + later) == hours.next_opening(moment) + later


@given(moment=moments)
def test_round_the_clock_is_always_open(moment: dt.datetime) -> None:
    """24/7 knows no closed moment but the days off."""
    assert ALWAYS.is_open(moment)
    day_off = moment.astimezone(VIETNAM).date()
    closed = Hours(ALWAYS.week, frozenset({day_off}))
    assert not closed.is_open(moment)
    assert closed.next_opening(moment).astimezone(VIETNAM).date() == day_off + dt.timedelta(days=1)


# -- config.yml --------------------------------------------------------------------------------------------------------


def test_a_week_is_read_as_it_is_written() -> None:
    """Days in a row, single days, several spans in any order, and midnight as 24:00."""
    week = read_week({"mon-tue": "13:00-17:30,8:00-11:30", "sun": "20:00-24:00"})
    assert dict(zip(DAYS, week, strict=True)) == {
        **dict.fromkeys(DAYS, ()),
        "mon": ((480, 690), (780, 1050)),
        "tue": ((480, 690), (780, 1050)),
        "sun": ((1200, 1440),),
    }
    assert read_week("24/7") == (ALL_DAY,) * 7
    assert read_week({"mon": "08:00-12:00, 11:00-13:00, 13:00-14:00"})[0] == ((480, 840),)


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ({"mon-fri": "08:00"}, "'08:00' is no span"),
        ({"mon-fri": "22:00-06:00"}, "past midnight"),
        ({"mon": "08:00-24:30"}, "is no span"),
        ({"monday": "08:00-12:00"}, "'monday' is no day"),
        ({"fri-mon": "08:00-12:00"}, "'fri-mon' is no day"),
        ({"mon-fri": "08:00-12:00", "wed": "08:00-09:00"}, "wed is named twice"),
        ({}, "at least one day"),
        ("always", "24/7"),
    ],
)
def test_wrong_hours_are_named_with_what_is_allowed(written: str | dict[str, str], told: str) -> None:
    """A deployer reads which entry is wrong and how it is written."""
    with pytest.raises(ValueError, match=told):
        read_week(written)
    with pytest.raises(ValidationError):
        HotlineConfig.model_validate({"hours": written})


def test_hours_and_holidays_come_from_the_configuration() -> None:
    """Holidays are ISO days, quoted or not; without hours it is open day and night."""
    given = {"hours": {"mon-fri": "08:00-17:30"}, "holidays": ["2027-02-05", dt.date(2027, 2, 8)]}
    hours = HotlineConfig.model_validate(given).open_hours
    assert hours.next_opening(at(4, "18:00")) == at(9, "08:00")
    assert HotlineConfig().open_hours == ALWAYS


@pytest.mark.parametrize(
    "wrong",
    [
        {"page_again_minutes": [10, 5]},
        {"page_again_minutes": [0, 5]},
        {"claim_minutes": {"P4": 1}},
        {"holidays": ["Tet"]},
        {"email": {"host": "mail.example.org", "sender": "a@example.org", "tls": "none"}},
        {"email": {"host": "mail.example.org", "sender": "a@example.org\nBcc: b@example.org"}},
    ],
)
def test_what_cannot_work_is_refused(wrong: dict[str, object]) -> None:
    """A ladder that does not rise, an unknown priority, no date, mail in the clear and a sender with a line break."""
    with pytest.raises(ValidationError):
        HotlineConfig.model_validate(wrong)


def test_mail_in_the_clear_stays_on_this_machine() -> None:
    """A mail server on this machine may be spoken to without TLS."""
    assert EmailConfig(host="localhost", sender="a@example.org", tls="none").port == 587


# -- what the person hears ---------------------------------------------------------------------------------------------

CRIES = (
    "cuu em bi nhot o campuchia",
    "cuu em dang bi nhot trong quan karaoke o binh duong",
    "cuu con toi bi giu o myanmar, ho doi 100 trieu chuoc",
    "cuu em voi em 15 tuoi bi nhot o campuchia",
    "em muon chet qua",
    "help me i am locked in a house in laos",
)
NIGHT = at(5, "23:30")  # a Friday


@pytest.mark.parametrize(
    ("opening", "vi", "en"),
    [
        (at(5, "23:45"), "11 giờ 45 đêm hôm nay", "11:45 pm today"),
        (at(6, "08:00"), "8 giờ sáng mai", "8 am tomorrow"),
        (at(8, "07:30"), "7 giờ rưỡi sáng thứ Hai", "7:30 am on Monday"),
        (at(9, "13:05"), "1 giờ 05 chiều thứ Ba", "1:05 pm on Tuesday"),
        (at(11, "11:00"), "11 giờ trưa thứ Năm", "11 am on Thursday"),
        (at(12, "12:00"), "12 giờ trưa thứ Sáu, ngày 12 tháng 2", "12 pm on Friday, 12/2"),
        (at(14, "19:30"), "7 giờ rưỡi tối Chủ nhật, ngày 14 tháng 2", "7:30 pm on Sunday, 14/2"),
        (at(15, "00:00"), "12 giờ đêm thứ Hai, ngày 15 tháng 2", "12 am on Monday, 15/2"),
    ],
)
def test_s_29_an_opening_is_said_in_words_of_the_village(opening: dt.datetime, vi: str, en: str, reader: App) -> None:
    """The hour from one to twelve with its part of the day; the day as one says it on a Friday night."""
    said = [in_words(reader.library, language, opening.astimezone(dt.UTC), NIGHT) for language in ("vi", "en")]
    assert said == [vi, en]


@pytest.mark.parametrize("time", ["07:59", "08:00", "11:29", "11:30", "17:30", "23:30"])
def test_s_29_a_cry_is_told_the_truth_on_who_is_there(time: str, reader: App) -> None:
    """In open hours that the person on duty is being told; else when they may read it; never both."""
    now, hours = at(2, time), Hours(OFFICE, TET)
    heard = _heard(reader, CRIES[0], now, hours)
    opening = in_words(reader.library, "vi", hours.next_opening(now), now)
    assert ("Mình đang báo người trực." in heard.text) == hours.is_open(now)
    assert (f"{opening} mới đọc" in heard.text) == (not hours.is_open(now))
    assert (fold(f"{opening} mới đọc") in _by_sms(heard)) == (not hours.is_open(now))
    assert "+84 981 84 84 84" in heard.text


def test_s_29_nobody_is_promised_hours_that_nobody_keeps(reader: App) -> None:
    """Where the queue is not staffed at all, no opening is named, whatever the hours say."""
    policy = Policy(reader.library, Settings(staffed=False, hours=Hours(OFFICE)))
    _, turn = Rehearsal(reader.interpreter, policy).say(CRIES[0], NIGHT)
    assert "chưa biết khi nào họ đọc" in turn.replies[-1].text


@pytest.mark.parametrize("cry", CRIES)
def test_s_29_a_cry_at_night_is_at_most_three_sms(cry: str, reader: App) -> None:
    """With the longest opening there is (a date far away), and with the choices under it."""
    far = Hours(OFFICE, frozenset(NIGHT.date() + dt.timedelta(days=day) for day in range(60)))
    heard = _heard(reader, cry, NIGHT, far)
    assert "thang 4" in _by_sms(heard) or "/4" in _by_sms(heard)
    assert len(_by_sms(heard)) <= 459


def _heard(reader: App, text: str, now: dt.datetime, hours: Hours) -> Reply:
    policy = Policy(reader.library, Settings(staffed=True, hours=hours))
    _, turn = Rehearsal(reader.interpreter, policy).say(text, now)
    return turn.replies[-1]


def _by_sms(reply: Reply) -> str:
    return render(reply, CAPABILITIES["sms"]).text
