"""Alerts from draft to report: who gets them, when, once, and for how much."""

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import select

from bot import contacts, links
from bot.app import App
from bot.channels.base import SendError
from bot.delivery import news, outbox
from bot.errors import OutreachError
from bot.messages import Address
from bot.outreach import audience, broadcasts, progress, tallies
from bot.outreach.audience import Audience
from bot.outreach.terms import Limits
from bot.store import tables as t
from tests.broadcasting import NO_LIMITS, NOON, Office, a_plan, a_subscriber
from tests.conftest import message
from tests.hotline import a_case
from tests.people import agree_to_news

MINUTE, HOUR, DAY = dt.timedelta(minutes=1), dt.timedelta(hours=1), dt.timedelta(days=1)


@pytest.fixture
def office(house: App) -> Office:
    return Office(house)


# -- who ---------------------------------------------------------------------------------------------------------------


def test_everybody_who_said_yes_gets_it_once(office: Office) -> None:
    """Twenty-five people in steps of a few; nobody twice, nobody missed, and the broadcast is done."""
    with office.house.database.begin() as connection:
        for number in range(25):
            a_subscriber(connection, office.house, str(number))
    sent = office.send(a_plan())
    heard = office.deliver(NOON)
    assert sorted(heard, key=int) == [str(number) for number in range(25)]
    assert office.deliver(NOON + MINUTE) == []
    assert (office.now(sent.id).status, office.now(sent.id).size) == ("done", 25)


def test_an_audience_is_chosen_by_what_people_said(office: Office) -> None:
    with office.house.database.begin() as connection:
        a_subscriber(connection, office.house, "1", province="N40")
        a_subscriber(connection, office.house, "2", province="N42", interest="abroad")
        a_subscriber(connection, office.house, "3", province="N40", language="en")
        a_subscriber(connection, office.house, "4", province="N40", at=NOON - 30 * DAY)
        a_subscriber(connection, office.house, "5", province="N40", interest="marriage_study")

    def heard(**wish: object) -> list[str]:
        office.send(a_plan(audience=Audience(**wish)), NOON)  # type: ignore[arg-type]
        return sorted(office.deliver(NOON))

    assert heard(provinces=("N40",), interest="abroad", languages=("vi",)) == ["1", "4"]
    assert heard(provinces=("N40", "N42"), joined_from=(NOON - 10 * DAY).date()) == ["1", "2", "3", "5"]
    assert heard(joined_until=(NOON - 29 * DAY).date()) == ["4"]


def test_s_09_s_03_whoever_is_or_was_in_danger_gets_nothing(office: Office) -> None:
    """An open case, a case that ended, a silent line, a yes from before; a new yes after the case counts."""
    database, keyring = office.house.database, office.keyring
    with database.begin() as connection:
        people = {name: a_subscriber(connection, office.house, name) for name in ("1", "2", "3", "4", "5")}
        a_case(connection, keyring, address=Address("telegram", "1"), at=NOON - DAY)
        for name in ("2", "4"):
            contacts.set_helped(connection, [people[name].id], NOON - DAY)
        contacts.set_silent(connection, [people["3"].id], NOON - HOUR)
        agree_to_news(connection, database, people["4"], NOON - HOUR)
        agree_to_news(connection, database, people["1"], NOON - HOUR)  # while the case is open
        counted = audience.count(connection, keyring, Audience(), NOON)
    assert (counted.size, dict(counted.left_out)) == (2, {"case": 2, "watched": 1})
    sent = office.send(a_plan())
    assert sorted(office.deliver(NOON)) == ["4", "5"]
    with database.begin() as connection:
        assert tallies.of(connection, sent.id) == {"left_out:case": 2, "left_out:watched": 1}


@pytest.mark.parametrize("change", ["stop", "case", "silent", "listed", "forgotten"])
def test_s_09_what_changes_at_the_last_moment_counts(office: Office, change: str) -> None:
    """The message lies ready when the person says stop, cries for help, falls silent, is put on the list or goes: nothing leaves."""
    database, keyring = office.house.database, office.keyring
    with database.begin() as connection:
        person = a_subscriber(connection, office.house, "+84900000001", channel="sms")
    sent = office.send(a_plan(budget_vnd=1000))
    assert office.feed(NOON, "sms").given == 1
    with database.begin() as connection:
        match change:
            case "stop":
                contacts.withdraw_consent(connection, keyring, person.id, "alerts", "stop", NOON)
            case "case":
                a_case(connection, keyring, address=person.address, at=NOON)
            case "silent":
                contacts.set_silent(connection, [person.id], NOON)
            case "listed":
                lookup = keyring.lookup("sms", person.address.identifier)
                connection.execute(t.do_not_call.insert().values(lookup=lookup, added_at=NOON))
            case "forgotten":
                contacts.forget(connection, keyring, person, NOON)
    assert office.deliver(NOON + MINUTE, "sms") == []
    with database.begin() as connection:
        assert outbox.cancel_unwelcome(connection, NOON + MINUTE) == (change != "forgotten")
    office.feed(NOON + MINUTE, "sms")
    assert office.now(sent.id).status == "done"


def test_a_person_with_two_lines_gets_one(office: Office) -> None:
    """Telegram before SMS; also where they are linked after the audience was gone through."""
    database, keyring = office.house.database, office.keyring
    with database.begin() as connection:
        for number in ("1", "2"):
            lines = [a_subscriber(connection, office.house, number, channel=name) for name in ("telegram", "sms")]
            if number == "1":
                _link(connection, keyring, *lines)
        later = lines
    sent = office.send(a_plan(budget_vnd=5000))
    with database.begin() as connection:
        assert tallies.of(connection, sent.id) == {"left_out:linked": 1}
        _link(connection, keyring, *later)
    assert sorted(office.deliver(NOON)) == ["1", "2"]
    assert office.deliver(NOON, "sms") == []
    assert office.now(sent.id).status == "done"


def _link(connection, keyring, first, second) -> None:  # type: ignore[no-untyped-def]
    links.give(connection, keyring, first, "12345678", NOON)
    links.link(connection, keyring, second, "12345678", NOON)


def test_at_most_three_in_a_day(office: Office) -> None:
    with office.house.database.begin() as connection:
        a_subscriber(connection, office.house, "1")
    heard = [
        office.send(a_plan(), NOON + number * HOUR) and office.deliver(NOON + number * HOUR) for number in range(5)
    ]
    assert heard == [["1"], ["1"], ["1"], [], []]
    later = NOON + DAY + MINUTE
    office.send(a_plan(valid_until=later + DAY), later)
    assert office.deliver(later) == ["1"]


# -- when --------------------------------------------------------------------------------------------------------------


def test_nothing_leaves_at_night_and_nothing_stale_in_the_morning(office: Office) -> None:
    """Fed at 21:59, due again at 07:00; an alert that was true until midnight is dropped."""
    night = NOON.replace(hour=14, minute=59)
    with office.house.database.begin() as connection:
        a_subscriber(connection, office.house, "1")
    late = office.send(a_plan(valid_until=night + 2 * HOUR), night)
    kept = office.send(a_plan(valid_until=night + DAY), night)
    assert office.feed(night).given == 2
    for minutes in (1, 60, 480, 540):
        assert office.deliver(night + minutes * MINUTE) == []
    assert office.deliver(night + 541 * MINUTE) == ["1"]
    assert (office.now(late.id).why, office.now(kept.id).status) == ("expired", "done")


def test_the_clock_of_people_abroad_counts_too(office: Office) -> None:
    """At 20:30 in Viet Nam it is 22:30 in Korea, and at 07:30 in Viet Nam it is 02:30 in Europe."""
    with office.house.database.begin() as connection:
        a_subscriber(connection, office.house, "korea", offset=540)
        a_subscriber(connection, office.house, "poland", offset=60)
        a_subscriber(connection, office.house, "home")
    evening = NOON.replace(hour=13, minute=30)
    office.send(a_plan(valid_until=evening + 2 * DAY), evening)
    assert sorted(office.deliver(evening)) == ["home", "poland"]
    morning = evening.replace(hour=0, minute=30) + DAY
    assert office.deliver(morning) == ["korea"]


def test_only_what_is_urgent_breaks_the_quiet_hours_and_only_with_a_second_yes(office: Office) -> None:
    night = NOON.replace(hour=18)
    with office.house.database.begin() as connection:
        a_subscriber(connection, office.house, "1")
        plan = a_plan(urgent=True)
        draft = broadcasts.write(connection, office.keyring, plan, office.an, night)
        asked = broadcasts.submit(connection, office.keyring, draft.id, 1, NO_LIMITS, office.an, night)
        assert asked.status == "waiting"
        with pytest.raises(OutreachError, match="own"):
            broadcasts.approve(connection, office.keyring, asked.id, asked.digest, NO_LIMITS, office.an, night)
        broadcasts.approve(connection, office.keyring, asked.id, asked.digest, NO_LIMITS, office.binh, night)
    office.expand(asked.id, night)
    assert office.deliver(night) == ["1"]


def test_an_urgent_alert_passes_one_that_waits_for_the_morning(office: Office) -> None:
    evening = NOON.replace(hour=14, minute=59)
    with office.house.database.begin() as connection:
        a_subscriber(connection, office.house, "1")
    office.send(a_plan(), evening)
    office.feed(evening)
    office.send(a_plan(urgent=True), evening + 5 * MINUTE)
    assert office.deliver(evening + 5 * MINUTE) == ["1"]


@pytest.mark.parametrize("offset", [-480, 0, 60, 390, 420, 480, 540, 765])
def test_the_next_opening_is_the_first_fair_minute(offset: int) -> None:
    """Minute by minute through a day: never before seven, never after ten, in Viet Nam and there."""
    for minutes in range(0, 1440, 7):
        now = NOON + minutes * MINUTE
        opening = news.next_opening(now, offset)
        if opening is None:
            assert not any(news.is_open(now + number * MINUTE, offset) for number in range(1440))
            continue
        for minutes_ahead in (420, offset):
            assert 7 <= (opening + minutes_ahead * MINUTE).hour < 22
        assert opening == now or not news.is_open(opening - MINUTE, offset)


# -- pause, cancel, budget ---------------------------------------------------------------------------------------------


def test_a_pause_and_a_cancel_hold_what_lies_ready(office: Office) -> None:
    database, keyring = office.house.database, office.keyring
    with database.begin() as connection:
        for number in range(40):
            a_subscriber(connection, office.house, str(number))
    sent = office.send(a_plan())
    assert office.feed(NOON, per_second=10.0).given == 20
    with database.begin() as connection:
        broadcasts.pause(connection, keyring, sent.id, office.an, NOON)
    assert office.deliver(NOON) == []
    with database.begin() as connection:
        broadcasts.resume(connection, keyring, sent.id, office.an, NOON)
    office.feed(NOON, per_second=10.0)
    office._send_some(NOON, "telegram")
    with database.begin() as connection:
        broadcasts.cancel(connection, keyring, sent.id, office.an, NOON)
    got = len(office.took)
    assert 0 < got < 40
    assert office.deliver(NOON + MINUTE) == []
    assert office.now(sent.id).status == "cancelled"


def test_the_budget_stops_it_and_a_second_person_raises_it(office: Office) -> None:
    """Ten people at 500 dong and 2,200 dong: four get it, then it waits; whoever wrote it cannot raise it."""
    database, keyring = office.house.database, office.keyring
    with database.begin() as connection:
        for number in range(10):
            a_subscriber(connection, office.house, f"+8490000000{number}", channel="sms")
    sent = office.send(a_plan(budget_vnd=2200))
    assert len(office.deliver(NOON, "sms")) == 4
    stopped = office.now(sent.id)
    assert (stopped.status, stopped.why, stopped.reserved_vnd) == ("paused", "budget", 2000)
    with database.begin() as connection:
        with pytest.raises(OutreachError, match="own"):
            broadcasts.raise_budget(connection, keyring, sent.id, 9000, office.an, NOON)
        broadcasts.raise_budget(connection, keyring, sent.id, 9000, office.binh, NOON)
        broadcasts.resume(connection, keyring, sent.id, office.binh, NOON)
    assert len(office.deliver(NOON, "sms")) == 6
    assert office.now(sent.id).reserved_vnd == 5000


# -- approval ----------------------------------------------------------------------------------------------------------


def test_what_was_approved_is_what_is_sent(office: Office) -> None:
    """The yes is to one text; and a row that somebody changed in the store is stopped."""
    database, keyring = office.house.database, office.keyring
    with database.begin() as connection:
        a_subscriber(connection, office.house, "1")
        draft = broadcasts.write(connection, keyring, a_plan(urgent=True), office.an, NOON)
        asked = broadcasts.submit(connection, keyring, draft.id, 1, NO_LIMITS, office.an, NOON)
        broadcasts.send_back(connection, keyring, asked.id, office.an, NOON)
        broadcasts.rewrite(connection, keyring, asked.id, a_plan(urgent=True, budget_vnd=10**6))
        again = broadcasts.submit(connection, keyring, asked.id, 1, NO_LIMITS, office.an, NOON)
        with pytest.raises(OutreachError, match="changed"):
            broadcasts.approve(connection, keyring, again.id, asked.digest, NO_LIMITS, office.binh, NOON)
        broadcasts.approve(connection, keyring, again.id, again.digest, NO_LIMITS, office.binh, NOON)
        connection.execute(t.broadcasts.update().values(budget_vnd=10**9))
    office.expand(draft.id, NOON)
    assert office.deliver(NOON) == []
    with database.begin() as connection:
        assert connection.execute(select(t.broadcasts.c.status, t.broadcasts.c.why)).one() == ("cancelled", "tampered")


def test_an_audience_that_has_grown_needs_a_second_person(house: App) -> None:
    """Ten were counted and need none; at its start there are twelve, and eleven are too many."""
    office = Office(house, Limits(approve_above=11, cancel_window=MINUTE))
    with house.database.begin() as connection:
        for number in range(12):
            a_subscriber(connection, house, str(number))
    sent = office.send(a_plan(), people=10)
    assert sent.status == "scheduled"
    office.expand(sent.id, NOON + MINUTE)
    grown = office.now(sent.id)
    assert (grown.status, grown.why, grown.size) == ("waiting", "grown", 12)
    assert office.deliver(NOON + MINUTE) == []
    with house.database.begin() as connection:
        broadcasts.approve(connection, office.keyring, grown.id, grown.digest, office.limits, office.binh, NOON)
    assert office.deliver(NOON) == []
    assert len(office.deliver(NOON + MINUTE)) == 12


def test_nothing_leaves_before_the_window_in_which_it_can_be_taken_back(house: App) -> None:
    office = Office(house, Limits(cancel_window=5 * MINUTE))
    with house.database.begin() as connection:
        a_subscriber(connection, house, "1")
    sent = office.send(a_plan())
    for minutes in (0, 4):
        office.expand(sent.id, NOON + minutes * MINUTE)
        assert office.deliver(NOON + minutes * MINUTE) == []
    office.expand(sent.id, NOON + 5 * MINUTE)
    assert office.deliver(NOON + 5 * MINUTE) == ["1"]


def test_one_member_of_staff_cannot_flood(house: App) -> None:
    limits = Limits(cancel_window=MINUTE, a_day=2, people_a_day=50)
    office = Office(house, limits)
    late = a_plan(valid_until=NOON + 2 * DAY)
    with house.database.begin() as connection:
        drafts = [broadcasts.write(connection, office.keyring, late, office.an, NOON) for _ in range(4)]
        with pytest.raises(OutreachError, match="too_many_people"):
            broadcasts.submit(connection, office.keyring, drafts[0].id, 51, limits, office.an, NOON)
        for draft in drafts[:2]:
            broadcasts.submit(connection, office.keyring, draft.id, 10, limits, office.an, NOON)
        with pytest.raises(OutreachError, match="too_many_today"):
            broadcasts.submit(connection, office.keyring, drafts[2].id, 1, limits, office.an, NOON + HOUR)
        broadcasts.submit(connection, office.keyring, drafts[2].id, 1, limits, office.binh, NOON + HOUR)
        broadcasts.submit(connection, office.keyring, drafts[3].id, 1, limits, office.an, NOON + HOUR * 23 + HOUR)


# -- failures ----------------------------------------------------------------------------------------------------------


def test_a_doubtful_send_is_told_and_never_made_up_for(office: Office) -> None:
    with office.house.database.begin() as connection:
        for number in range(3):
            a_subscriber(connection, office.house, str(number))
    office.fails = {"1": SendError("uncertain", "timeout"), "2": SendError("stopped", "blocked")}
    sent = office.send(a_plan())
    assert office.deliver(NOON) == ["0"]
    office.fails = {}
    for hours in range(1, 6):
        assert office.deliver(NOON + hours * HOUR) == []
    with office.house.database.begin() as connection:
        statuses = connection.execute(select(t.outbox.c.status).order_by(t.outbox.c.status)).scalars().all()
        assert statuses == ["failed", "sent", "uncertain"]
        left = audience.count(connection, office.keyring, Audience(), NOON + 5 * HOUR)
    assert (left.size, dict(left.left_out)) == (2, {"bad_address": 1})
    assert office.now(sent.id).status == "done"


# -- figures -----------------------------------------------------------------------------------------------------------


def test_the_figures_are_the_same_after_the_rows_are_gone(office: Office) -> None:
    """Taken, refused, doubtful, passed over, stale, forgotten: counted while the rows are there, and after each purge."""
    database = office.house.database
    with database.begin() as connection:
        people = [
            a_subscriber(connection, office.house, f"+849000000{number:02}", channel="sms") for number in range(20)
        ]
        contacts.set_silent(connection, [people[0].id], NOON)
    office.fails = {
        "+84900000001": SendError("permanent", "21614"), "+84900000002": SendError("uncertain", "timeout"),
    }  # fmt: skip
    sent = office.send(a_plan(budget_vnd=9500))
    with database.begin() as connection:
        contacts.withdraw_consent(connection, office.keyring, people[3].id, "alerts", "stop", NOON)
        contacts.forget(connection, office.keyring, people[4], NOON)
    office.deliver(NOON, "sms")
    figures = office.progress(sent.id, NOON)
    assert figures.size == 19
    assert figures.left_out == {"safety": 1, "opted_out": 1}
    assert figures.states == {"sent": 15, "failed": 1, "uncertain": 1}
    assert figures.failures == {"21614": 1}
    assert (figures.forgotten, figures.waiting, figures.spent_vnd) == (1, 0, 16 * 500)
    for days in (1, 3, 9):
        office.house.clock = lambda days=days: NOON + days * DAY  # type: ignore[misc]
        office.house.forget()
        assert replace(office.progress(sent.id, NOON), per_second=0.0) == replace(figures, per_second=0.0)
    with database.begin() as connection:
        assert connection.execute(select(t.recipients)).first() is None
        assert connection.execute(select(t.outbox)).first() is None


def test_what_comes_back_is_counted_for_two_days(office: Office) -> None:
    """A question, an offer and a stop after an alert; a word of thanks, and what comes later or from others, is not counted."""
    with office.house.database.begin() as connection:
        for name in ("1", "2", "3", "4"):
            a_subscriber(connection, office.house, name)
    sent = office.send(a_plan())
    office.deliver(NOON)
    said = {
        "1": "sang han lam can giay to gi", "2": "di thai ban ve so luong 20tr/thang ho bao ve may bay", "3": "stop",
        "4": "cam on", "5": "sang han lam can giay to gi",
    }  # fmt: skip
    for name, text in said.items():
        office.house.processor.handle(message(text, to=name, channel="telegram", at=NOON + HOUR))
    office.house.processor.handle(message(said["1"], to="4", number=2, channel="telegram", at=NOON + 49 * HOUR))
    assert office.progress(sent.id, NOON).came_back == {"question": 1, "offer": 1, "opted_out": 1}


def test_s_09_who_told_of_danger_gets_no_news_though_there_is_no_case(office: Office) -> None:
    """A report that was not passed on: nothing goes there before the person asks for news again."""
    with office.house.database.begin() as connection:
        a_subscriber(connection, office.house, "1")
    processor = office.house.processor
    report = "chi toi lam o quan karaoke, chu giu giay to va khong tra luong 3 thang nay"
    processor.handle(message(report, to="1", channel="telegram", at=NOON))
    office.send(a_plan(), NOON + HOUR)
    assert office.deliver(NOON + HOUR) == []
    processor.handle(message("dang ky", to="1", number=2, channel="telegram", at=NOON + 2 * HOUR))
    office.send(a_plan(), NOON + 3 * HOUR)
    assert office.deliver(NOON + 3 * HOUR) == ["1"]


def test_receipts_show_nobody(office: Office) -> None:
    with office.house.database.begin() as connection:
        for number in range(3):
            a_subscriber(connection, office.house, f"+8490123456{number}", channel="sms")
    sent = office.send(a_plan(budget_vnd=5000))
    office.deliver(NOON, "sms")
    with office.house.database.begin() as connection:
        rows = progress.receipts(connection, office.keyring, sent.id, states=("sent",), limit=2, offset=0)
        rest = progress.receipts(connection, office.keyring, sent.id, states=(), limit=2, offset=2)
    assert sorted(row.masked for row in [*rows, *rest]) == ["•••60", "•••61", "•••62"]


# -- at the same moment ------------------------------------------------------------------------------------------------


def test_two_alerts_handed_over_in_the_same_moment_leave_one_after_the_other(office: Office) -> None:
    """Two have arrived today; of two more that lie ready side by side only one may leave."""
    with office.house.database.begin() as connection:
        a_subscriber(connection, office.house, "1")
    for number in range(2):
        office.send(a_plan(), NOON + number * HOUR)
        assert office.deliver(NOON + number * HOUR) == ["1"]
    later = NOON + 2 * HOUR
    for _ in range(2):
        office.send(a_plan(), later)
    assert office.feed(later).given == 2
    assert office.deliver(later) == ["1"]


def test_two_lines_of_one_channel_that_were_linked_late_get_one(office: Office) -> None:
    """They stand side by side in what is handed over at once."""
    with office.house.database.begin() as connection:
        lines = [a_subscriber(connection, office.house, number, channel="sms") for number in ("1", "2")]
    sent = office.send(a_plan(budget_vnd=5000))
    with office.house.database.begin() as connection:
        _link(connection, office.keyring, *lines)
    assert len(office.deliver(NOON, "sms")) == 1
    assert sorted(office.states(sent.id).values()) == ["given", "linked"]


def test_a_broadcast_is_over_although_night_fell(office: Office) -> None:
    """Its last message leaves in the last minute; it does not stand there as running until it expires."""
    evening = NOON.replace(hour=14, minute=59)
    with office.house.database.begin() as connection:
        a_subscriber(connection, office.house, "1")
    sent = office.send(a_plan(), evening)
    office.feed(evening)
    office._empty(evening, "telegram")
    office.feed(evening + MINUTE)
    assert (office.now(sent.id).status, office.now(sent.id).why) == ("done", None)


@pytest.mark.postgres
@pytest.mark.parametrize("house", ["postgres"], indirect=True)
def test_s_34_somebody_is_forgotten_while_the_others_are_handed_over(office: Office) -> None:
    """Neither waits for the other nor fails: the worker goes on with whoever is there."""
    database, keyring = office.house.database, office.keyring
    with database.begin() as connection:
        people = [a_subscriber(connection, office.house, str(number)) for number in range(3)]
    sent = office.send(a_plan())
    with ThreadPoolExecutor(1) as other, database.begin() as connection:
        contacts.forget(connection, keyring, people[0], NOON)
        feeding = other.submit(office.feed, NOON)
        assert feeding.result(timeout=20).given == 2
    assert sorted(office.deliver(NOON)) == ["1", "2"]
    assert office.now(sent.id).status == "done"


@pytest.mark.postgres
@pytest.mark.parametrize("house", ["postgres"], indirect=True)
def test_a_worker_never_waits_for_staff_who_have_a_broadcast_in_hand(office: Office) -> None:
    """Somebody cancels an alert that has just ended; the cancel may be waiting for a row that the same worker holds."""
    with office.house.database.begin() as connection:
        a_subscriber(connection, office.house, "1")
    sent = office.send(a_plan(valid_until=NOON + HOUR))
    assert office.feed(NOON).given == 1
    with ThreadPoolExecutor(1) as other, office.house.database.begin() as connection:
        broadcasts.cancel(connection, office.keyring, sent.id, office.an, NOON)
        feeding = other.submit(office.feed, NOON + 2 * HOUR)
        assert feeding.result(timeout=20).given == 0
    assert office.now(sent.id).status == "cancelled"
