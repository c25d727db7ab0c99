"""The delivery engine: order, pace, leases and doubt, on both databases; and a sender on a channel that fails on demand."""

import asyncio
import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count, pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert, select, update

from bot import contacts
from bot.app import App
from bot.channels.base import SendError, SendResult
from bot.contacts import Contact
from bot.delivery import outbox
from bot.delivery.outbox import Due, Outcome
from bot.delivery.pace import LOOK_AHEAD, Pace
from bot.delivery.render import Rendered
from bot.delivery.sender import Sender, run_senders
from bot.delivery.writer import Writer
from bot.errors import StoreError
from bot.messages import Address, DeliveryReceipt, DeliveryStatus, Lane, OutboundMessage, Refusal
from bot.retention import purge
from bot.store import tables
from bot.store.database import Database, new_id
from bot.testing import START
from tests.houses import open_copy
from tests.people import agree_to_news

QUICK = Pace(10_000)
SECOND = dt.timedelta(seconds=1)
ME, YOU = "a" * 32, "b" * 32
_numbers = count()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    url = f"sqlite:///{tmp_path / 'banduong.db'}"
    if request.param == "postgres":
        url = request.getfixturevalue("postgres_store")
    opened = open_copy(url, tmp_path)
    yield opened
    opened.close()


# -- order -------------------------------------------------------------------------------------------------------------


def test_the_most_urgent_leaves_first(database: Database) -> None:
    """Emergency, then replies, then broadcasts; within a lane, who waits longest."""
    for chat, lane in (("1", Lane.BROADCAST), ("2", Lane.REPLY), ("3", Lane.EMERGENCY), ("4", Lane.REPLY)):
        queue(database, chat, lane.name, lane=lane, at=START + int(chat) * SECOND)
    assert [one.message.address.identifier for one in claim(database)] == ["3", "2", "4", "1"]


def test_one_person_gets_messages_one_after_the_other(database: Database) -> None:
    """The second message of an address waits until the first has left, whoever else is served meanwhile."""
    queue(database, "1", "first", "second")
    queue(database, "2", "other", at=START + SECOND)
    first, other = claim(database)
    assert [first.message.text, other.message.text] == ["first", "other"]
    assert claim(database, owner=YOU) == []
    finish(database, first)
    assert [one.message.text for one in claim(database)] == ["second"]


def test_a_row_is_claimed_by_one_worker(database: Database) -> None:
    """What one worker holds, another does not get, and cannot mark."""
    queue(database, "1", "hello")
    (due,) = claim(database)
    assert claim(database, owner=YOU) == []
    assert mark(database, due, owner=YOU) == set()
    assert mark(database, due) == {due.id}


def test_a_message_that_waited_too_long_is_dropped(database: Database) -> None:
    """A day later an answer only confuses: it is expired, and never sent."""
    queue(database, "1", "hello")
    (due,) = claim(database, now=START + outbox.LIFE - SECOND)
    assert mark(database, due, now=START + outbox.LIFE + SECOND) == set()
    assert claim(database, now=START + outbox.LIFE + SECOND) == []
    with database.begin() as connection:
        assert outbox.expire(connection, START + outbox.LIFE + SECOND) == 1
    assert states(database) == ["expired"]


def test_what_is_said_unasked_is_said_once(database: Database) -> None:
    """The same occasion again leaves nothing more, from whichever process; another one does."""
    parts = [Rendered("one"), Rendered("two")]
    assert [len(say(database, *parts, dedup=name)) for name in ("a", "a", "b")] == [2, 0, 2]
    assert states(database) == ["queued"] * 4


def test_what_is_said_unasked_waits_on_every_channel_and_not_for_ever(database: Database) -> None:
    """On a page that fetches its replies it waits to be fetched; past its life it is over, also where nothing sends."""
    (row_id,) = say(database, Rendered("hello"), channel="web", life=dt.timedelta(minutes=30))
    assert states(database) == ["queued"]
    purge(database, START + dt.timedelta(minutes=29), dt.timedelta(minutes=30))
    assert states(database) == ["queued"]
    purge(database, START + dt.timedelta(minutes=31), dt.timedelta(minutes=30))
    assert states(database) == ["expired"]
    assert len(row_id) == 32


def test_an_address_that_is_out_of_reach_gets_no_call_either(database: Database) -> None:
    """What the provider said of an address counts for calls to staff too: they go by another way."""
    say(database, Rendered("call"), author="page")
    with database.begin() as connection:
        contact = contacts.find_or_create(connection, database.keyring, Address("telegram", "1"), START)
        contacts.set_unreachable(connection, contact.id, START)
    assert claim(database) == []
    with database.begin() as connection:
        assert outbox.cancel_waiting(connection, contact.id, "403", START) == 1


# -- silence -----------------------------------------------------------------------------------------------------------


def test_s_03_nothing_leaves_to_a_silent_address(database: Database) -> None:
    """After "not safe" what was decided later waits, until the person writes."""
    contact = queue(database, "1", "closing")
    with database.begin() as connection:
        contacts.set_silent(connection, [contact.id], START)
    queue(database, "1", "an operator writes", at=START + SECOND)
    (closing,) = claim(database)
    assert closing.message.text == "closing"
    finish(database, closing)
    assert claim(database) == []
    with database.begin() as connection:
        contacts.heard_from(connection, contact)
    assert [one.message.text for one in claim(database)] == ["an operator writes"]


def test_s_03_silence_is_looked_at_when_the_message_leaves(database: Database) -> None:
    """A message that a worker holds already does not leave when the silence falls in between."""
    contact = queue(database, "1", "hello", at=START + SECOND)
    (due,) = claim(database)
    with database.begin() as connection:
        contacts.set_silent(connection, [contact.id], START)
    assert mark(database, due) == set()
    assert states(database) == ["queued"]


def test_s_03_silence_cancels_what_still_waits(house: App) -> None:
    """ "not safe" and "thoat" leave one closing word: replies of earlier turns that have not left never do."""
    from tests.conftest import message

    house.processor.handle(message("menu", channel="telegram"))
    house.processor.handle(message("thoat", channel="telegram", number=2, at=START + SECOND))
    waiting = [one.message.text for one in claim(house.database)]
    assert len(waiting) == 1
    assert states(house.database).count("cancelled") >= 1


@pytest.mark.parametrize("again", [False, True])
def test_s_09_no_news_after_a_case_without_a_new_yes(again: bool, database: Database) -> None:
    """Who has or had a case gets no broadcast, unless they asked for it again; replies go on."""
    contact = queue(database, "1", "news", lane=Lane.BROADCAST)
    with database.begin() as connection:
        contacts.set_helped(connection, [contact.id], START + SECOND)
        if again:
            agree_to_news(connection, database, contact, START + 2 * SECOND)
    queue(database, "1", "a reply", at=START + SECOND)
    texts = []
    while due := claim(database, now=START + 3 * SECOND):
        finish(database, due[0], now=START + 3 * SECOND)
        texts.append(due[0].message.text)
    assert texts == (["a reply", "news"] if again else ["a reply"])


def test_s_09_the_yes_is_looked_at_when_the_news_leaves(database: Database) -> None:
    """Who says no while a worker holds the news already does not get it."""
    contact = queue(database, "1", "news", lane=Lane.BROADCAST)
    (due,) = claim(database)
    with database.begin() as connection:
        contacts.withdraw_consent(connection, database.keyring, contact.id, "alerts", "stop", START)
    assert mark(database, due) == set()
    assert claim(database) == []


def test_s_10_an_unreachable_address_is_left_alone(database: Database) -> None:
    """Blocked: this message failed, the others are cancelled, and nothing more is tried until the person writes."""
    contact = queue(database, "1", "first", "second")
    (first,) = claim(database)
    finish(database, first, error=SendError("stopped", "403"))
    assert states(database) == ["failed", "cancelled"]
    queue(database, "1", "third", at=START + SECOND)
    assert claim(database) == []
    with database.begin() as connection:
        contacts.heard_from(connection, contact)
    assert len(claim(database)) == 1


# -- doubt -------------------------------------------------------------------------------------------------------------


def test_what_a_dead_worker_only_held_goes_back(database: Database) -> None:
    """Claimed is not sent: after the lease the message is anybody's again."""
    queue(database, "1", "hello")
    claim(database)
    assert reap(database, START + outbox.LEASE - SECOND) == 0
    assert reap(database, START + outbox.LEASE + SECOND) == 1
    assert [one.message.text for one in claim(database, owner=YOU)] == ["hello"]


@pytest.mark.parametrize("lane", [Lane.REPLY, Lane.BROADCAST])
def test_what_a_dead_worker_was_sending_is_uncertain(lane: Lane, database: Database) -> None:
    """Nobody knows whether it left: it is told as uncertain, and not sent again."""
    queue(database, "1", "hello", lane=lane)
    mark(database, *claim(database))
    reap(database, START + outbox.LEASE + SECOND)
    assert states(database) == ["uncertain"]
    assert claim(database, now=START + 2 * outbox.LEASE) == []


def test_only_an_emergency_is_repeated(database: Database) -> None:
    """Three times at most, and each repetition knows that it is one."""
    queue(database, "1", "call 113", lane=Lane.EMERGENCY)
    repeated = []
    for attempt in range(outbox.MOST_REPEATS):
        now = START + 2 * attempt * outbox.LEASE
        (due,) = claim(database, now=now)
        repeated.append(due.repeated)
        mark(database, due, now=now)
        reap(database, now + outbox.LEASE + SECOND)
    assert repeated == [False, True, True]
    assert states(database) == ["uncertain"]


@pytest.mark.parametrize("lane", [Lane.REPLY, Lane.EMERGENCY])
def test_a_late_answer_clears_the_doubt(lane: Lane, database: Database) -> None:
    """The provider's yes counts, also after the lease: uncertain becomes sent, and an emergency is not repeated."""
    queue(database, "1", "hello", lane=lane)
    (due,) = claim(database)
    mark(database, due)
    reap(database, START + outbox.LEASE + SECOND)
    record(database, Outcome(due, result=SendResult(("77",))))
    assert states(database) == ["sent"]
    assert claim(database) == []


def test_an_answer_of_an_earlier_attempt_is_no_answer_to_this_one(database: Database) -> None:
    """A refusal that comes late does not take the place of a repetition that is under way."""
    queue(database, "1", "hello", lane=Lane.EMERGENCY)
    (first,) = claim(database)
    mark(database, first)
    reap(database, START + outbox.LEASE + SECOND)
    (second,) = claim(database)
    mark(database, second)
    record(database, Outcome(first, error=SendError("permanent", "400")))
    assert states(database) == ["sending"]


# -- refusals ----------------------------------------------------------------------------------------------------------


def test_a_429_holds_the_whole_channel(database: Database) -> None:
    """Nothing leaves before Retry-After is over, not even what is claimed; then everything does."""
    queue(database, "1", "hello")
    queue(database, "2", "other", at=START + SECOND)
    hello, other = claim(database)
    mark(database, hello)
    record(database, Outcome(hello, error=SendError("retryable", "429", retry_after=30)))
    assert mark(database, other) == set()
    assert claim(database, now=START + 29 * SECOND) == []
    assert len(claim(database, now=START + 31 * SECOND)) == 2


def test_a_refused_connection_waits_longer_each_time(database: Database) -> None:
    """It certainly did not leave, so it may be tried again: after one, two, four seconds."""
    queue(database, "1", "hello")
    now = START
    waits: list[int] = []
    for _ in range(4):
        (due,) = claim(database, now=now)
        mark(database, due, now=now)
        record(database, Outcome(due, error=SendError("retryable", "ConnectError")), now=now)
        wait = next(s for s in range(1, 100) if claim_and_give_back(database, now + s * SECOND))
        waits.append(wait)
        now += wait * SECOND
    assert waits == [1, 2, 4, 8]


def test_a_chat_that_moved_is_found_again(database: Database) -> None:
    """The same person under another identifier: the message goes there, and so does all that follows."""
    queue(database, "1", "hello")
    (due,) = claim(database)
    mark(database, due)
    record(database, Outcome(due, error=SendError("moved", "moved", moved_to="-100")))
    assert [one.message.address.identifier for one in claim(database)] == ["-100"]
    with database.begin() as connection:
        assert contacts.find(connection, database.keyring, Address("telegram", "1")) is None
        assert contacts.find(connection, database.keyring, Address("telegram", "-100"))


# -- receipts ----------------------------------------------------------------------------------------------------------

REPORTED = [DeliveryStatus.SENT, DeliveryStatus.DELIVERED]
RECEIPTS = st.lists(st.sampled_from(REPORTED), max_size=6)


def test_receipts_never_go_back(database: Database) -> None:
    """In any order, late, doubled, or before the provider's own answer: the highest rank stays."""

    @given(before=RECEIPTS, after=RECEIPTS)
    def holds(before: list[DeliveryStatus], after: list[DeliveryStatus]) -> None:
        provider_id = new_id()
        queue(database, new_id(), "hello")
        (due,) = claim(database)
        mark(database, due)
        tell(database, provider_id, before)
        record(database, Outcome(due, result=SendResult((provider_id,))))
        tell(database, provider_id, after)
        told = {*before, *after}
        assert state_of(database, due) == ("delivered" if DeliveryStatus.DELIVERED in told else "sent")

    holds()


def test_a_receipt_clears_an_uncertain_message(database: Database) -> None:
    """Where the provider's id is known, what it says later settles what became of the message."""
    queue(database, "1", "hello")
    (due,) = claim(database)
    mark(database, due)
    with database.begin() as connection:
        connection.execute(update(tables.outbox).values(status="uncertain", provider_id="SM1"))
    assert tell(database, "SM1", [DeliveryStatus.DELIVERED]) == [True]
    assert tell(database, "SM1", [DeliveryStatus.DELIVERED, DeliveryStatus.SENT]) == [False, True]
    assert states(database) == ["delivered"]


# -- pace --------------------------------------------------------------------------------------------------------------


@given(
    per_second=st.floats(0.5, 500),
    looks=st.lists(st.tuples(st.floats(0, 0.5), st.integers(1, 50)), min_size=1, max_size=40),
)
def test_slots_never_exceed_the_pace(per_second: float, looks: list[tuple[float, int]]) -> None:
    """However often and for how many anybody asks: slots lie at least one interval apart, and never far ahead."""
    speed, free, now = Pace(per_second), START, START
    taken: list[dt.datetime] = []
    for pause, most in looks:
        now += dt.timedelta(seconds=pause)
        slots = speed.slots(free, now, most)
        assert len(slots) <= most
        assert all(now <= slot <= now + LOOK_AHEAD for slot in slots)
        taken += slots
        free = slots[-1] + speed.interval if slots else free
    gaps = [later - earlier for earlier, later in pairwise(taken)]
    assert all(gap >= speed.interval - dt.timedelta(microseconds=1) for gap in gaps)


def test_one_chat_gets_a_burst_and_then_a_pace(database: Database) -> None:
    """Three at once, then one every 1.25 seconds."""
    speed = Pace(1000, chat_interval=1.25, burst=3)
    queue(database, "1", *"abcdef")
    left: list[float] = []
    now = START
    while len(left) < 6:
        for due in claim(database, speed=speed, now=now):
            finish(database, due, now=now)
            left.append((now - START).total_seconds())
        now += dt.timedelta(seconds=0.05)
    assert left[2] < 0.5
    assert [later - earlier for earlier, later in pairwise(left[2:])] == pytest.approx([1.25] * 3, abs=0.2)


# -- a sender on a channel -----------------------------------------------------------------------------------------------


@dataclass
class Wire:
    """A channel of this process: takes messages, or does as `faults` say."""

    name: str = "telegram"
    faults: list[Exception | float] = field(default_factory=list)
    took: list[OutboundMessage] = field(default_factory=list)

    async def send(self, message: OutboundMessage) -> SendResult:
        fault = self.faults.pop(0) if self.faults else None
        if isinstance(fault, Exception):
            raise fault
        await asyncio.sleep(fault or 0.001)
        self.took.append(message)
        return SendResult((str(len(self.took)),))

    async def close(self) -> None:
        pass


def test_a_sender_empties_the_outbox(database: Database) -> None:
    """Each message leaves once, the messages of one person in their order."""
    for chat in range(20):
        queue(database, str(chat), *(f"{chat} {number}" for number in range(3)), at=now_plus(0))
    wire = Wire()
    send_all(database, wire, lambda: len(wire.took) == 60)
    assert states(database) == ["sent"] * 60
    for chat in range(20):
        texts = [one.text for one in wire.took if one.address.identifier == str(chat)]
        assert texts == [f"{chat} {number}" for number in range(3)]


def test_faults_cost_no_message_and_double_none(database: Database) -> None:
    """A refusal is tried again, a doubt is told, a mistake fails; all others arrive."""
    for chat in range(6):
        queue(database, str(chat), f"to {chat}", at=now_plus(0))
    wire = Wire(
        faults=[
            SendError("retryable", "429", retry_after=0.2), SendError("uncertain", "500"), SendError("permanent", "400"),
            SendError("stopped", "403"), RuntimeError("a bug of ours"),
        ]
    )  # fmt: skip
    send_all(database, wire, lambda: not {"queued", "claimed", "sending"} & set(states(database)))
    assert sorted(states(database)) == ["failed", "failed", "sent", "sent", "uncertain", "uncertain"]
    assert len({one.text for one in wire.took}) == len(wire.took) == 2


def test_a_repeated_emergency_says_so(database: Database) -> None:
    """The words in front tell the person that the message may have come before."""
    queue(database, "1", "call 113", lane=Lane.EMERGENCY, at=now_plus(0))
    wire = Wire(faults=[SendError("uncertain", "502")])
    send_all(database, wire, lambda: bool(wire.took))
    assert [one.text for one in wire.took] == ["(again)\ncall 113"]


def test_a_worker_ends_when_its_writer_fails(tmp_path: Path) -> None:
    """A store that cannot be written ends the worker with the error: it does not hang, and nothing leaves unmarked."""
    database = open_copy(f"sqlite:///{tmp_path / 'banduong.db'}", tmp_path)
    queue(database, "1", "hello", at=now_plus(0))
    with database.begin() as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER full BEFORE UPDATE ON outbox BEGIN SELECT RAISE(ABORT, 'disk is full'); END"
        )
    wire = Wire()
    with pytest.raises(StoreError):
        send_all(database, wire, lambda: False)
    assert wire.took == []
    database.close()


def test_a_reply_does_not_wait_behind_a_broadcast(database: Database) -> None:
    """A reply that comes while a long lane is under way is among the next to leave."""
    for chat in range(200):
        queue(database, str(chat), f"news {chat}", lane=Lane.BROADCAST, at=now_plus(0))
    wire = Wire()
    ahead: list[int] = []

    def enough() -> bool:
        if len(wire.took) >= 10 and not ahead:
            ahead.append(len(wire.took))
            queue(database, "reply", "reply", at=now_plus(0))
        return len(wire.took) >= 60

    send_all(database, wire, enough, speed=Pace(100))
    place = [one.text for one in wire.took].index("reply")
    assert place < ahead[0] + 100 * LOOK_AHEAD.total_seconds() + 20


# -- late news about old messages -----------------------------------------------------------------------------------------

MINUTE = dt.timedelta(minutes=1)


def test_s_03_what_comes_back_to_a_silent_address_stays(database: Database) -> None:
    """Sent before the person wrote "thoat", not arrived, and to be tried again: it leaves no more, and is cancelled."""
    contact = queue(database, "1", "an answer")
    due = sent(database, "SM1")
    with database.begin() as connection:
        contacts.set_silent(connection, [contact.id], START + MINUTE)
    fail(database, "SM1", "30003", "retryable", START + 2 * MINUTE)
    assert state_of(database, due) == "queued"
    assert claim(database, now=START + 13 * MINUTE) == []
    with database.begin() as connection:
        assert outbox.cancel_silenced(connection, START + 13 * MINUTE) == 1
    assert state_of(database, due) == "cancelled"


def test_a_message_that_waits_for_a_handset_keeps_nobody_waiting(database: Database) -> None:
    """While it waits, a later answer to the same person leaves; and when the person writes, it waits no longer."""
    contact = queue(database, "1", "first")
    sent(database, "SM1")
    fail(database, "SM1", "30008", "retryable", START + SECOND)
    queue(database, "1", "second", at=START + MINUTE)
    (due,) = claim(database, now=START + MINUTE)
    assert due.message.text == "second"
    finish(database, due, now=START + MINUTE)
    with database.begin() as connection:
        outbox.try_again_now(connection, contact)
    assert [one.message.text for one in claim(database, now=START + 2 * MINUTE)] == ["first"]


def test_a_late_failure_cancels_no_newer_answer(database: Database) -> None:
    """The network says that the number is dead, of a message from before the person wrote: they are there."""
    contact = queue(database, "1", "old")
    sent(database, "SM1")
    queue(database, "1", "the answer to a cry", lane=Lane.EMERGENCY, at=START + MINUTE)
    fail(database, "SM1", "30005", "stopped", START + MINUTE)
    (due,) = claim(database, now=START + MINUTE)
    assert (due.address_id, due.message.text) == (contact.id, "the answer to a cry")


def test_what_was_forgotten_while_it_was_sent_is_no_failure(database: Database) -> None:
    """ "xoa" falls between the call and its answer: the answer is passed over, with one id or with several."""
    for ids in (("SM1",), ("SM1", "SM2")):
        contact = queue(database, "1", "hello")
        (due,) = claim(database)
        mark(database, due)
        with database.begin() as connection:
            contacts.forget_but_for_a_word(connection, database.keyring, contact, START)
        record(database, Outcome(due, SendResult(ids)))
    assert states(database) == []


def test_a_receipt_that_crossed_its_answer_is_found(database: Database) -> None:
    """On PostgreSQL neither transaction may have seen the other: the receipt is applied a moment later."""
    queue(database, "1", "hello")
    due = sent(database, "SM1")
    row = {"channel": "telegram", "provider_id": "SM1", "status": "delivered", "part": "", "received_at": START}
    with database.begin() as connection:
        connection.execute(insert(tables.receipts).values(row))
        assert outbox.apply_stray_receipts(connection, database.keyring, START + SECOND) == 1
        assert outbox.apply_stray_receipts(connection, database.keyring, START + SECOND) == 0
    assert state_of(database, due) == "delivered"


def test_s_34_a_no_ends_every_yes(database: Database) -> None:
    """Two yeses, one before a case and one after: one no ends both."""
    contact = queue(database, "1", "news", lane=Lane.BROADCAST)
    with database.begin() as connection:
        contacts.set_helped(connection, [contact.id], START + SECOND)
        agree_to_news(connection, database, contact, START + MINUTE)
        contacts.withdraw_consent(connection, database.keyring, contact.id, "alerts", "stop", START + MINUTE)
    assert claim(database, now=START + 2 * MINUTE) == []


def sent(database: Database, provider_id: str) -> Due:
    """The next message, taken by the provider."""
    (due,) = claim(database)
    mark(database, due)
    record(database, Outcome(due, SendResult((provider_id,))))
    return due


def fail(database: Database, provider_id: str, code: str, refusal: Refusal, now: dt.datetime) -> None:
    receipt = DeliveryReceipt("telegram", provider_id, DeliveryStatus.UNDELIVERED, code, refusal=refusal)
    with database.begin() as connection:
        outbox.record_receipt(connection, database.keyring, receipt, now)


# -- helpers -----------------------------------------------------------------------------------------------------------


def now_plus(seconds: float) -> dt.datetime:
    return dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds)


def queue(database: Database, chat: str, *texts: str, lane: Lane = Lane.REPLY, at: dt.datetime = START) -> Contact:
    """Messages for one chat, as a turn leaves them."""
    with database.begin() as connection:
        contact = contacts.find_or_create(connection, database.keyring, Address("telegram", chat), at)
        inbox_id = new_id()
        row = {"id": inbox_id, "channel": "telegram", "external_id": str(next(_numbers)), "address_id": contact.id}
        connection.execute(insert(tables.inbox).values(**row, received_at=at))
        if lane == Lane.BROADCAST:
            agree_to_news(connection, database, contact, at)
        parts = [Rendered(text) for text in texts]
        outbox.enqueue(
            connection,
            database.keyring,
            contact,
            inbox_id,
            parts,
            lane=lane,
            pulled=False,
            now=at,
            repeat_note="(again)",
        )
    return contact


def say(
    database: Database,
    *parts: Rendered,
    dedup: str = "a",
    channel: str = "telegram",
    author: outbox.Author = "bot",
    life: dt.timedelta = outbox.LIFE,
) -> tuple[str, ...]:
    with database.begin() as connection:
        contact = contacts.find_or_create(connection, database.keyring, Address(channel, "1"), START)
        return outbox.say(
            connection, database.keyring, contact, parts,
            dedup=dedup, author=author, lane=Lane.EMERGENCY, now=START, life=life,
        )  # fmt: skip


def claim(database: Database, *, owner: str = ME, speed: Pace = QUICK, now: dt.datetime = START) -> list[Due]:
    with database.begin() as connection:
        return outbox.claim(connection, database.keyring, "telegram", owner=owner, limit=50, speed=speed, now=now)


def claim_and_give_back(database: Database, now: dt.datetime) -> bool:
    due = claim(database, now=now)
    with database.begin() as connection:
        outbox.give_back(connection, [one.id for one in due], owner=ME)
    return bool(due)


def mark(database: Database, *due: Due, owner: str = ME, now: dt.datetime = START) -> set[str]:
    with database.begin() as connection:
        return outbox.mark_sending(connection, "telegram", [one.id for one in due], owner=owner, now=now)


def record(database: Database, outcome: Outcome, now: dt.datetime = START) -> None:
    with database.begin() as connection:
        outbox.finish(connection, database.keyring, [outcome], now)


def finish(database: Database, due: Due, *, error: SendError | None = None, now: dt.datetime = START) -> None:
    mark(database, due, now=now)
    record(database, Outcome(due, SendResult(() if error else (new_id(),)), error), now)


def reap(database: Database, now: dt.datetime) -> int:
    with database.begin() as connection:
        return outbox.reap(connection, now)


def tell(database: Database, provider_id: str, statuses: list[DeliveryStatus]) -> list[bool]:
    with database.begin() as connection:
        return [
            outbox.record_receipt(connection, database.keyring, DeliveryReceipt("telegram", provider_id, status), START)
            for status in statuses
        ]


def states(database: Database) -> list[str]:
    with database.begin() as connection:
        order = (tables.outbox.c.created_at, tables.outbox.c.position)
        return list(connection.execute(select(tables.outbox.c.status).order_by(*order)).scalars())


def state_of(database: Database, due: Due) -> str:
    with database.begin() as connection:
        return str(connection.execute(select(tables.outbox.c.status).where(tables.outbox.c.id == due.id)).scalar())


def send_all(database: Database, wire: Wire, is_done: Callable[[], bool], speed: Pace = QUICK) -> None:
    """A whole worker, until `is_done`."""

    async def run() -> None:
        writer, stopping = Writer(database), asyncio.Event()
        sender = Sender(wire, speed, database.keyring, writer)

        async def watch() -> None:
            while not is_done():
                await asyncio.sleep(0.005)
            stopping.set()

        watching = asyncio.create_task(watch())
        async with asyncio.timeout(60):
            await run_senders([sender], stopping)
        watching.cancel()
        await writer.close()

    asyncio.run(run())
