"""Alerts on the very edge: the last moment, the last dong, the hundredth person. Each guard alone, for behind another it is not seen."""

import datetime as dt
from dataclasses import replace

import pytest
from sqlalchemy import select, update

from bot import contacts, links
from bot.app import App
from bot.channels.base import SendError, SendResult
from bot.contacts import Contact
from bot.delivery import news, outbox, pace
from bot.delivery.outbox import Due, Outcome
from bot.errors import OutreachError
from bot.messages import Address, DeliveryReceipt, DeliveryStatus
from bot.outreach import audience, broadcasts
from bot.outreach.audience import Audience
from bot.outreach.terms import Limits
from bot.outreach.words import AlertText
from bot.store import tables as t
from tests.broadcasting import FAST, NO_LIMITS, NOON, WORDS, Office, a_plan, a_subscriber
from tests.hotline import a_case
from tests.people import agree_to_news

MOMENT = dt.timedelta(microseconds=1)
SECOND, MINUTE, HOUR, DAY = (dt.timedelta(**{unit: 1}) for unit in ("seconds", "minutes", "hours", "days"))
END = NOON + HOUR
LONG = AlertText("News for those who work far from home.", "News for those who work far from home. " * 6)


@pytest.fixture
def office(house: App, reader: App) -> Office:
    return _office(house, reader)


@pytest.fixture
def sqlite_office(sqlite_house: App, reader: App) -> Office:
    """For what is decided in Python."""
    return _office(sqlite_house, reader)


def _office(house: App, reader: App) -> Office:
    house.__dict__.update(library=reader.library)
    return Office(house)


# -- the end -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("guard", ["broadcast", "message"])
def test_an_alert_leaves_until_its_last_moment_and_not_in_that_of_its_end(office: Office, guard: str) -> None:
    """Its own end and that of the message hold it, each without the other; whether it is claimed then, or was held already."""
    _subscribe(office, 3)
    office.send(a_plan(valid_until=END))
    assert office.feed(NOON).given == 3
    if guard == "broadcast":
        _set(office, t.outbox, expires_at=None)
    else:
        _set(office, t.broadcasts, valid_until=END + DAY)
    last, late = _claim(office, NOON, most=2)
    assert _mark(office, END - MOMENT, last) == {last.id}
    assert _mark(office, END, late) == set()
    assert _claim(office, END) == []
    assert len(_claim(office, END - MOMENT)) == 2
    with office.house.database.begin() as connection:
        outbox.reap(connection, END + 2 * outbox.LEASE)
        assert outbox.expire(connection, END) == (2 if guard == "message" else 0)


def test_at_the_moment_of_its_end_nobody_is_handed_over(office: Office) -> None:
    """It ends as expired, as does one whose audience nobody has gone through yet."""
    _subscribe(office, 1)
    ready, late = office.send(a_plan(valid_until=END)), office.approved(a_plan(valid_until=END))
    assert office.feed(END).given == 0
    assert (office.now(ready.id).status, office.now(ready.id).why) == ("done", "expired")
    _set(office, t.broadcasts, status="scheduled")
    office.expand(late.id, END)
    assert (office.now(late.id).status, office.now(late.id).why) == ("done", "expired")
    assert office.states(late.id) == {}


def test_at_the_moment_of_its_end_staff_can_start_nothing(sqlite_office: Office) -> None:
    """Submit, approve, resume: a moment before they may."""
    office = sqlite_office
    keyring = office.keyring
    with office.house.database.begin() as connection:
        for now in (END - MOMENT, END):
            plan = a_plan(urgent=True, valid_until=END)
            drafts = [broadcasts.write(connection, keyring, plan, office.an, NOON) for _ in range(3)]
            asked = [
                broadcasts.submit(connection, keyring, one.id, 1, NO_LIMITS, office.an, NOON) for one in drafts[1:]
            ]
            broadcasts.approve(connection, keyring, asked[1].id, asked[1].digest, NO_LIMITS, office.binh, NOON)
            broadcasts.pause(connection, keyring, asked[1].id, office.an, NOON)
            deeds = (
                lambda d=drafts[0], n=now: broadcasts.submit(connection, keyring, d.id, 1, NO_LIMITS, office.an, n),
                lambda a=asked[0], n=now: broadcasts.approve(
                    connection, keyring, a.id, a.digest, NO_LIMITS, office.binh, n
                ),
                lambda a=asked[1], n=now: broadcasts.resume(connection, keyring, a.id, office.an, n),
            )
            for deed in deeds:
                if now < END:
                    assert deed().status in ("waiting", "scheduled")  # type: ignore[no-untyped-call]
                else:
                    with pytest.raises(OutreachError, match="expired"):
                        deed()  # type: ignore[no-untyped-call]


# -- money -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("budget", "people"), [(1499, 2), (1500, 3), (1501, 3)])
def test_the_budget_holds_to_the_dong(sqlite_office: Office, budget: int, people: int) -> None:
    """500 dong each. It runs until what was paid for has left, and stops then; it can be lowered to what is spent, not below."""
    office = sqlite_office
    _subscribe(office, 5, channel="sms")
    sent = office.send(a_plan(budget_vnd=budget))
    assert office.feed(NOON, "sms").given == people
    assert office.feed(NOON, "sms").given == 0
    assert office.now(sent.id).status == "running"
    assert len(office.deliver(NOON, "sms")) == people
    stopped = office.now(sent.id)
    assert (stopped.status, stopped.why, stopped.reserved_vnd) == ("paused", "budget", people * 500)
    with office.house.database.begin() as connection:
        with pytest.raises(OutreachError, match="spent"):
            broadcasts.raise_budget(connection, office.keyring, sent.id, people * 500 - 1, office.binh, NOON)
        broadcasts.raise_budget(connection, office.keyring, sent.id, people * 500, office.binh, NOON)


def test_everybody_costs_what_their_own_message_costs(sqlite_office: Office) -> None:
    """By channel and by language: Telegram is free, the English text is two SMS long, the Vietnamese one."""
    office = sqlite_office
    kinds = {"sms vi": 500, "sms en": 1000, "telegram vi": 0, "telegram en": 0}
    with office.house.database.begin() as connection:
        people = {
            a_subscriber(connection, office.house, f"+8490000000{number}", channel=channel, language=language).id: kind
            for number, kind in enumerate(kinds)
            for channel, language in [kind.split()]
        }
    sent = office.send(a_plan(words=replace(WORDS, texts={**WORDS.texts, "en": LONG}), budget_vnd=1500))
    for channel in ("sms", "telegram"):
        office.feed(NOON, channel)
    with office.house.database.begin() as connection:
        rows = connection.execute(select(t.outbox.c.address_id, t.outbox.c.vnd))
        assert {people[address]: vnd for address, vnd in rows} == kinds
    assert office.now(sent.id).reserved_vnd == 1500


# -- in a worker's hand ------------------------------------------------------------------------------------------------


def test_what_a_worker_holds_already_waits_with_a_pause_and_with_a_hold(office: Office) -> None:
    """Looked at in the transaction that marks: a pause by staff, "later" from the provider; and a cancel ends it for good."""
    _subscribe(office, 3)
    sent = office.send(a_plan())
    office.feed(NOON)
    first, second, third = _claim(office, NOON)
    assert _mark(office, NOON, third) == {third.id}
    with office.house.database.begin() as connection:
        broadcasts.pause(connection, office.keyring, sent.id, office.an, NOON)
    assert _mark(office, NOON, first) == set()
    assert _claim(office, NOON) == []
    with office.house.database.begin() as connection:
        broadcasts.resume(connection, office.keyring, sent.id, office.an, NOON)
        pace.hold(connection, "telegram", NOON + MINUTE, "429")
    office.feed(NOON)
    assert _mark(office, NOON + MINUTE - MOMENT, second) == set()
    held = _claim(office, NOON + MINUTE)
    assert {one.id for one in held} == {first.id, second.id}
    with office.house.database.begin() as connection:
        broadcasts.cancel(connection, office.keyring, sent.id, office.an, NOON + MINUTE)
    assert _statuses(office) == {first.id: "cancelled", second.id: "cancelled", third.id: "sending"}
    assert _mark(office, NOON + MINUTE, *held) == set()
    _take(office, third)
    assert _statuses(office)[third.id] == "sent"
    with office.house.database.begin() as connection, pytest.raises(OutreachError, match="cancelled"):
        broadcasts.resume(connection, office.keyring, sent.id, office.an, NOON + MINUTE)


def test_an_alert_that_may_have_left_is_not_tried_again(office: Office) -> None:
    """A worker died over it, or its answer never came: doubtful, no failure, and paid for. Only claimed: anybody's again, in the
    moment after the lease."""
    _subscribe(office, 3, channel="sms")
    sent = office.send(a_plan(budget_vnd=1500))
    office.feed(NOON, "sms")
    marked, doubtful, claimed = _claim(office, NOON, "sms")
    _mark(office, NOON, marked, doubtful, channel="sms")
    _take(office, doubtful, error=SendError("uncertain", "timeout"))
    with office.house.database.begin() as connection:
        assert outbox.reap(connection, NOON + outbox.LEASE) == 0
        assert outbox.reap(connection, NOON + outbox.LEASE + MOMENT) == 2
    assert _statuses(office) == {marked.id: "uncertain", doubtful.id: "uncertain", claimed.id: "queued"}
    assert len(office.deliver(NOON + MINUTE, "sms")) == 1
    figures = office.progress(sent.id, NOON + MINUTE)
    assert (figures.states, figures.failures, figures.spent_vnd) == ({"uncertain": 2, "sent": 1}, {}, 1500)


def test_an_alert_that_did_not_reach_the_handset_is_not_sent_again(sqlite_office: Office) -> None:
    """A reply would be, ten minutes later; an alert goes, and is paid for, once."""
    office = sqlite_office
    _subscribe(office, 1, channel="sms")
    office.send(a_plan(budget_vnd=1000))
    assert len(office.deliver(NOON, "sms")) == 1
    ((row_id, _),) = _statuses(office).items()
    receipt = DeliveryReceipt("sms", row_id, DeliveryStatus.UNDELIVERED, "30003", refusal="retryable")
    with office.house.database.begin() as connection:
        assert outbox.record_receipt(connection, office.keyring, receipt, NOON + SECOND)
    assert _statuses(office) == {row_id: "undelivered"}
    assert office.deliver(NOON + HOUR, "sms") == []


# -- whose other line --------------------------------------------------------------------------------------------------


def test_s_09_a_case_on_one_line_stops_news_to_the_other(office: Office) -> None:
    """Also where the other said yes again meanwhile, and where the message was ready: until the case is over."""
    database, keyring = office.house.database, office.keyring
    with database.begin() as connection:
        lines = [a_subscriber(connection, office.house, name) for name in ("in danger", "other")]
        _link(connection, office, *lines)
        contacts.withdraw_consent(connection, keyring, lines[0].id, "alerts", "stop", NOON)
    office.send(a_plan())
    office.feed(NOON)
    (held,) = _claim(office, NOON)
    with database.begin() as connection:
        a_case(connection, keyring, address=Address("telegram", "in danger"), at=NOON)
        contacts.set_helped(connection, [one.id for one in lines], NOON)
        agree_to_news(connection, database, lines[1], NOON + SECOND)
        counted = audience.count(connection, keyring, Audience(), NOON + MINUTE)
    assert (counted.size, dict(counted.left_out)) == (0, {"case": 1})
    assert _mark(office, NOON + MINUTE, held) == set()
    assert _claim(office, NOON + MINUTE) == []
    _set(office, t.cases, status="closed")
    assert office.deliver(NOON + MINUTE) == ["other"]


def test_whoever_was_linked_after_one_line_got_it_gets_no_second(office: Office) -> None:
    """In a later pass, on the same channel; what the first line was passed over for does not count."""
    with office.house.database.begin() as connection:
        people = [a_subscriber(connection, office.house, str(number)) for number in range(4)]
    sent = office.send(a_plan())
    _set(office, t.recipients, not_before=NOON + MINUTE)
    with office.house.database.begin() as connection:
        early = t.recipients.c.person.in_([people[0].id, people[2].id])
        connection.execute(update(t.recipients).where(early).values(not_before=NOON))
        contacts.set_unreachable(connection, people[2].id, NOON)
    assert office.deliver(NOON) == ["0"]
    with office.house.database.begin() as connection:
        _link(connection, office, people[0], people[1])
        _link(connection, office, people[2], people[3])
    assert office.deliver(NOON + MINUTE) == ["3"]
    assert office.states(sent.id)[people[1].id] == "linked"


@pytest.mark.parametrize("channels", [("telegram", "sms"), ("sms", "sms")])
def test_whoever_is_linked_when_both_lines_have_it_ready_gets_one(office: Office, channels: tuple[str, str]) -> None:
    """Though both are in hand one leaves, and when it fails the other; what then lies ready is taken away."""
    with office.house.database.begin() as connection:
        kinds = [(f"+8490000000{number}", channels[number % 2]) for number in range(4)]
        people = [a_subscriber(connection, office.house, name, channel=channel) for name, channel in kinds]
    sent = office.send(a_plan(budget_vnd=2000))
    assert sum(office.feed(NOON, channel).given for channel in set(channels)) == 4
    held = {channel: _claim(office, NOON, channel) for channel in set(channels)}
    with office.house.database.begin() as connection:
        _link(connection, office, people[0], people[1])
        _link(connection, office, people[2], people[3])
    marked = {row_id for channel, due in held.items() for row_id in _mark(office, NOON, *due, channel=channel)}
    left = [one for due in held.values() for one in due if one.id in marked]
    assert (sum(map(len, held.values())), len(left)) == (4, 2)
    assert [_claim(office, NOON, channel) for channel in set(channels)] == [[]] * len(set(channels))
    _take(office, left[0])
    _take(office, left[1], error=SendError("permanent", "text"))
    assert sum(len(office.deliver(NOON, channel)) for channel in set(channels)) == 1
    with office.house.database.begin() as connection:
        assert outbox.cancel_unwelcome(connection, NOON) == 1
    office.feed(NOON)
    assert (office.now(sent.id).status, office.now(sent.id).why) == ("done", None)


# -- how many ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("people", "status"), [(7, "scheduled"), (8, "waiting")])
def test_an_audience_that_has_grown_by_one_too_many_waits(sqlite_house: App, people: int, status: str) -> None:
    """Seven need nobody's yes. Counted over all steps, however few each adds."""
    office = Office(sqlite_house, Limits(approve_above=7, cancel_window=dt.timedelta(0)))
    _subscribe(office, people)
    sent = office.approved(a_plan(), people=7)
    office.expand(sent.id, NOON, step=3)
    assert (office.now(sent.id).status, office.now(sent.id).size) == (status, people)
    assert len(office.deliver(NOON)) == (people if status == "scheduled" else 0)


def test_a_member_of_staff_reaches_as_many_as_allowed_and_not_one_more(sqlite_office: Office) -> None:
    """All alerts of a day together. A second person is needed from one more than the limit on."""
    office, limits = sqlite_office, Limits(approve_above=20, people_a_day=50)
    late = a_plan(valid_until=NOON + 2 * DAY)
    with office.house.database.begin() as connection:
        for people, status in ((20, "scheduled"), (21, "waiting"), (9, "scheduled")):
            draft = broadcasts.write(connection, office.keyring, late, office.an, NOON)
            sent = broadcasts.submit(connection, office.keyring, draft.id, people, limits, office.an, NOON)
            assert sent.status == status
        draft = broadcasts.write(connection, office.keyring, late, office.an, NOON)
        for now in (NOON, NOON + DAY - MOMENT):
            with pytest.raises(OutreachError, match="too_many_people"):
                broadcasts.submit(connection, office.keyring, draft.id, 1, limits, office.an, now)
        broadcasts.submit(connection, office.keyring, draft.id, 50, limits, office.an, NOON + DAY)


def test_whatever_may_have_arrived_counts_for_a_day(office: Office) -> None:
    """Three at noon: until the same moment of the next day there is no fourth, and in that moment there is."""
    _subscribe(office, 1)
    for _ in range(news.MOST_A_DAY):
        office.send(a_plan(valid_until=NOON + 2 * DAY))
        assert office.deliver(NOON) == ["0"]
    had_enough = {
        **dict.fromkeys(("sending", "sent", "delivered", "undelivered", "uncertain"), True),
        **dict.fromkeys(("failed", "expired", "cancelled"), False),
    }
    for status, enough in had_enough.items():
        _set(office, t.outbox, status=status, done_at=None if status == "sending" else NOON)
        assert _has_had_enough(office, NOON + HOUR) == enough, status
    _set(office, t.outbox, status="uncertain", done_at=NOON)
    office.send(a_plan(valid_until=NOON + 2 * DAY), NOON + DAY - MOMENT)
    assert _has_had_enough(office, NOON + DAY - MOMENT)
    assert not _has_had_enough(office, NOON + DAY)
    office.feed(NOON + DAY)
    (due,) = _claim(office, NOON + DAY)
    assert _mark(office, NOON + DAY - MOMENT, due) == set()
    assert office.deliver(NOON + DAY) == ["0"]


def _has_had_enough(office: Office, now: dt.datetime) -> bool:
    with office.house.database.begin() as connection:
        return dict(audience.count(connection, office.keyring, Audience(), now).left_out) == {"enough": 1}


# -- hours -------------------------------------------------------------------------------------------------------------


def test_the_fair_hours_begin_and_end_on_the_minute(office: Office) -> None:
    """Seven and ten on both clocks, to the moment, for whoever lies ready; before and after midnight of UTC."""
    offsets = (420, 540, 60, -300, 765)
    with office.house.database.begin() as connection:
        people = {a_subscriber(connection, office.house, str(offset), offset=offset).id: offset for offset in offsets}
    office.send(a_plan(valid_until=NOON + 9 * DAY))
    for offset in offsets:
        opening = news.next_opening(NOON, offset)
        assert opening
        office.feed(opening)
    assert list(_statuses(office).values()) == ["queued"] * len(offsets)
    midnight = (NOON + 2 * DAY).replace(hour=0)
    for edge in {midnight + hour * HOUR - offset * MINUTE for offset in offsets for hour in (7, 22)}:
        for now in (edge - MOMENT, edge, edge + MINUTE):
            fair = {offset for offset in offsets if _is_fair(now, offset)}
            assert {people[one.address_id] for one in _claimable(office, now)} == fair, now


def _is_fair(now: dt.datetime, offset: int) -> bool:
    return all(7 <= (now + minutes * MINUTE).hour < 22 for minutes in (420, offset))


def _claimable(office: Office, now: dt.datetime) -> list[Due]:
    due = _claim(office, now)
    with office.house.database.begin() as connection:
        outbox.give_back(connection, [one.id for one in due], owner="me")
    return due


# -- how long still ----------------------------------------------------------------------------------------------------


def test_the_rate_is_that_of_the_last_minute(sqlite_office: Office) -> None:
    """Thirty in a minute: the thirty that are left, ready and waiting, take one more; after a minute without any nobody knows."""
    office = sqlite_office
    _subscribe(office, 60)
    sent = office.send(a_plan())
    office.feed(NOON, per_second=10)
    due = _claim(office, NOON)
    office.feed(NOON, per_second=10)
    due += _claim(office, NOON, most=30 - len(due))
    assert office.feed(NOON, per_second=7.5).given
    _mark(office, NOON, *due)
    _take(office, *due)
    for later, per_second, left in ((MINUTE - MOMENT, 0.5, 60.0), (MINUTE, 0.0, None)):
        figures = office.progress(sent.id, NOON + later)
        assert (figures.per_second, figures.seconds_left, figures.over) == (per_second, left, 30)
        assert 0 < figures.waiting < 30


# -- helpers -----------------------------------------------------------------------------------------------------------


def _subscribe(office: Office, people: int, channel: str = "telegram") -> None:
    with office.house.database.begin() as connection:
        for number in range(people):
            a_subscriber(
                connection, office.house, f"+8490000000{number}" if channel == "sms" else str(number), channel=channel
            )


def _link(connection, office: Office, first: Contact, second: Contact) -> None:  # type: ignore[no-untyped-def]
    links.give(connection, office.keyring, first, "12345678", NOON)
    links.link(connection, office.keyring, second, "12345678", NOON)


def _set(office: Office, table, **values: object) -> None:  # type: ignore[no-untyped-def]
    with office.house.database.begin() as connection:
        connection.execute(update(table).values(**values))


def _claim(office: Office, now: dt.datetime, channel: str = "telegram", most: int = 50) -> list[Due]:
    with office.house.database.begin() as connection:
        connection.execute(t.channels.update().values(next_slot_at=now))
        return outbox.claim(connection, office.keyring, channel, owner="me", limit=most, speed=FAST, now=now)


def _mark(office: Office, now: dt.datetime, *due: Due, channel: str = "telegram") -> set[str]:
    with office.house.database.begin() as connection:
        return outbox.mark_sending(connection, channel, [one.id for one in due], owner="me", now=now)


def _take(office: Office, *due: Due, error: SendError | None = None) -> None:
    with office.house.database.begin() as connection:
        outcomes = [Outcome(one, SendResult((one.id,)), error) for one in due]
        outbox.finish(connection, office.keyring, outcomes, NOON)


def _statuses(office: Office) -> dict[str, str]:
    with office.house.database.begin() as connection:
        rows = connection.execute(select(t.outbox.c.id, t.outbox.c.status))
        return {row.id: row.status for row in rows}
