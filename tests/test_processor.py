"""One message, one turn, one transaction: repeats, order, erasure, and what never reaches the disk."""

import datetime as dt
import threading
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Row, Table, select, update

from bot import contacts, conversations
from bot.app import App
from bot.contacts import Contact
from bot.conversation.state import Conversation
from bot.messages import Address, InboundMessage, Lane, OutboundMessage
from bot.processor import Processor
from bot.retention import purge
from bot.store import tables
from bot.store.database import utc
from bot.testing import START
from tests.case_files import opened, queue_of, story
from tests.conftest import message

HELD = "cứu em với, em đang bị nhốt ở Myawaddy"
REPORT = "chị tôi làm ở quán karaoke, chủ giữ giấy tờ và không trả lương 3 tháng nay"
OFFER = "có người rủ đi Thái bán vé số lương 20 triệu một tháng, bao vé máy bay, có nên đi không"
QUESTION = "làm hộ chiếu hết bao nhiêu tiền"
UNIQUE = "zebrafishqq"
PATIENCE = 30.0  # seconds that a thread may take before the test gives up
IDLE = dt.timedelta(minutes=30)


# -- the same message again --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["menu", OFFER, REPORT, HELD, "x", "stop"])
def test_the_same_message_again_gets_the_same_replies(text: str, house: App) -> None:
    """A repeated external id gets word for word what was said before, and leaves not one row more."""
    first = house.processor.handle(message(text))
    before = _counts(house)
    assert first
    assert house.processor.handle(message(text)) == first
    assert _counts(house) == before


def test_the_same_cry_again_opens_no_second_case(house: App) -> None:
    """A cry that the channel delivers three times is one case with one message in it."""
    for _ in range(3):
        house.processor.handle(message(HELD))
    assert len(_rows(house, tables.cases)) == 1
    assert [event.kind for event in story(house.database)] == ["opened", "message"]


def test_the_same_text_with_another_id_is_another_message(sqlite_house: App) -> None:
    """Who writes the same words twice has written twice."""
    sqlite_house.processor.handle(message(HELD, number=1))
    sqlite_house.processor.handle(message(HELD, number=2))
    assert [event.kind for event in story(sqlite_house.database)] == ["opened", "message", "message"]


def test_a_repeat_is_recognised_by_another_process(house: App) -> None:
    """A server that has just started knows what the one before it has answered."""
    first = house.processor.handle(message(OFFER))
    assert _another_processor(house).handle(message(OFFER)) == first


def test_one_persons_external_id_is_no_key_to_anothers_replies(house: App) -> None:
    """S-12: who sends an id that somebody else's message had does not get that person's replies."""
    secret = house.processor.handle(message(f"{OFFER} {UNIQUE}", to="one"))
    guessed = InboundMessage(Address("web", "two"), message("", to="one").external_id, "menu", START)
    assert not {reply.text for reply in house.processor.handle(guessed)} & {reply.text for reply in secret[1:]}


def test_a_repeated_erasure_leaves_nobody_behind(house: App) -> None:
    """When the channel delivers "xoa" a second time, the person stays forgotten and the confirmation is said again."""
    house.processor.handle(message(OFFER, number=1))
    confirmed = house.processor.handle(message("xoa", number=2))
    again = house.processor.handle(message("xoa", number=2))
    assert _rows(house, tables.addresses) == []
    assert [reply.text for reply in again] == [reply.text for reply in confirmed]


def test_a_redelivered_message_of_an_erased_person_brings_nothing_back(house: App) -> None:
    """A message from before the erasure that the channel delivers once more after it makes no new row about the person."""
    house.processor.handle(message(OFFER, number=1))
    house.processor.handle(message("xoa", number=2))
    house.processor.handle(message(OFFER, number=1))
    assert _rows(house, tables.addresses) == []


# -- order -------------------------------------------------------------------------------------------------------------


def test_five_messages_at_once_are_answered_in_the_order_of_arrival(house: App) -> None:
    """The place in the queue is what counts, even when the threads start the other way round."""
    answered: list[int] = []
    messages = [message(text, number=number) for number, text in enumerate(["menu", OFFER, "1", "2", "x"])]
    places = [house.processor.arrivals.queue(one.address) for one in messages]

    def handle(number: int) -> None:
        house.processor.handle(messages[number], places[number])
        answered.append(number)

    _in_threads([partial(handle, number) for number in reversed(range(5))])
    assert answered == [0, 1, 2, 3, 4]
    assert _latest(house).turns == 0, "the exit word came last and closed the talk"


def test_five_messages_at_once_say_what_five_in_a_row_say(house: App) -> None:
    """Threads change nothing in what is heard."""
    texts = ["menu", OFFER, "1", "2", "3"]
    in_a_row = [house.processor.handle(message(text, to="slow", number=n)) for n, text in enumerate(texts)]
    messages = [message(text, to="quick", number=number) for number, text in enumerate(texts)]
    places = [house.processor.arrivals.queue(one.address) for one in messages]
    at_once: dict[int, tuple[OutboundMessage, ...]] = {}

    def handle(number: int) -> None:
        at_once[number] = house.processor.handle(messages[number], places[number])

    _in_threads([partial(handle, number) for number in (3, 1, 4, 2, 0)])
    assert [_texts(at_once[number]) for number in range(5)] == [_texts(replies) for replies in in_a_row]


def test_one_message_delivered_five_times_at_once_is_handled_once(house: App) -> None:
    """Five threads with the same external id give the same replies and one case."""
    heard: list[tuple[OutboundMessage, ...]] = []

    def handle() -> None:
        heard.append(house.processor.handle(message(HELD)))

    _in_threads([handle] * 5)
    assert len(set(heard)) == 1
    assert len(_rows(house, tables.cases)) == len(_rows(house, tables.inbox)) == 1


def test_nobody_waits_for_another_person(house: App) -> None:
    """While one person's first message is still on its way, another person is answered."""
    slow = message("menu", to="slow", number=1)
    place = house.processor.arrivals.queue(slow.address)
    second = _Helper(lambda: house.processor.handle(message(OFFER, to="slow", number=2)))
    second.start()
    assert house.processor.handle(message("menu", to="quick"))
    assert second.is_alive(), "the second message of the slow one waits for the first"
    assert house.processor.handle(slow, place)
    second.finish()


def test_many_persons_at_once_are_all_answered(house: App) -> None:
    """Eight people who write in the same moment each have their own talk and their own case."""
    _in_threads([partial(house.processor.handle, message(HELD, to=f"person-{number}")) for number in range(8)])
    assert len(_rows(house, tables.cases)) == len(_rows(house, tables.addresses)) == 8


def test_a_message_that_fails_lets_the_next_one_through(sqlite_house: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error in one turn leaves no trace of it and blocks nobody behind it."""
    with monkeypatch.context() as patch:
        patch.setattr("bot.processor.parts", _fail)
        with pytest.raises(RuntimeError):
            sqlite_house.processor.handle(message(HELD, number=1))
    assert set(_counts(sqlite_house).values()) == {0}
    assert sqlite_house.processor.handle(message("menu", number=2))


def test_a_place_that_is_given_up_holds_nobody(sqlite_house: App) -> None:
    """Who leaves the queue before the turn came, even twice, lets the next one in."""
    arrivals = sqlite_house.processor.arrivals
    left = arrivals.queue(message("").address)
    arrivals.leave(left)
    arrivals.leave(left)
    assert sqlite_house.processor.handle(message("menu"))


def test_a_new_person_may_reach_two_servers_at_once(house: App) -> None:
    """Two processes on one database that both meet somebody for the first time give one address and two answers."""
    heard: list[tuple[OutboundMessage, ...]] = []
    other = _another_processor(house)
    thread = _Helper(lambda: heard.append(other.handle(message("menu", number=2))))
    with house.database.begin() as connection:
        contacts.find_or_create(connection, house.database.keyring, message("").address, START)
        thread.start()
        thread.join(0.5)  # it waits for this transaction, on either database
    thread.finish()
    assert len(heard) == 1
    assert len(_rows(house, tables.addresses)) == 1


# -- odd texts ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "tail",
    ["\ud83d", "\x00", "\u202e", "🆘" * 500, "a" * 20_000, "\r\n\t"],
    ids=["half an emoji", "nul", "rtl", "sos", "long", "lines"],
)
def test_a_cry_with_broken_signs_is_still_a_case(tail: str, sqlite_house: App) -> None:
    """Half an emoji, a zero byte or a flood of letters behind a cry for help does not cost the person the answer."""
    assert sqlite_house.processor.handle(message(f"{HELD} {tail}"))
    assert [row.priority for row in _rows(sqlite_house, tables.cases)] == ["P0"]


# -- consent and cases -------------------------------------------------------------------------------------------------


def test_s_21_a_case_comes_with_its_consent(house: App) -> None:
    """After a clear yes there is one consent with purpose, version, time and words, and the case hangs on it."""
    _say(house, REPORT, "1", "đồng ý")
    (consent,), (case,) = _rows(house, tables.consents), _rows(house, tables.cases)
    assert (consent.purpose, consent.basis) == ("help", "consent")
    assert consent.version == house.library.version_of("consent")
    assert house.database.keyring.open(consent.sealed_words, f"consents|{consent.id}|sealed_words") == "đồng ý"
    assert case.consent_id == consent.id
    assert utc(consent.given_at) >= START


def test_s_21_before_the_consent_there_is_no_case(sqlite_house: App) -> None:
    """A report, and the word that it is safe to talk, open nothing yet."""
    _say(sqlite_house, REPORT, "1")
    assert _rows(sqlite_house, tables.cases) == []
    assert _rows(sqlite_house, tables.consents) == []


def test_s_21_a_no_opens_nothing(sqlite_house: App) -> None:
    """Who refuses has no case and no consent, whatever was told before."""
    _say(sqlite_house, REPORT, "1", "không")
    assert _rows(sqlite_house, tables.cases) == []
    assert _rows(sqlite_house, tables.consents) == []


def test_words_before_a_consent_come_into_the_case_with_it(sqlite_house: App) -> None:
    """The report that led to the consent is the first message of the case, in the person's own words."""
    _say(sqlite_house, f"{REPORT} {UNIQUE}", "1", "đồng ý")
    assert [event.body["text"] for event in story(sqlite_house.database) if event.kind == "message"] == [
        f"{REPORT} {UNIQUE}"
    ]


def test_words_of_a_refusal_do_not_come_into_a_later_case(sqlite_house: App) -> None:
    """What was told before a "no" stays out of the case that a later "yes" opens."""
    _say(sqlite_house, f"{REPORT} {UNIQUE}", "1", "không", "gặp người", "đồng ý")
    assert len(_rows(sqlite_house, tables.cases)) == 1
    assert not [event for event in story(sqlite_house.database) if UNIQUE in str(event.body)]


def test_words_older_than_half_an_hour_do_not_come_into_a_case(sqlite_house: App) -> None:
    """D-13: what was told more than thirty minutes ago is gone, and a consent now does not bring it back."""
    sqlite_house.processor.handle(message(f"{OFFER} {UNIQUE}", number=1))
    later = START + IDLE + dt.timedelta(seconds=1)
    sqlite_house.processor.handle(message("gặp người", number=2, at=later))
    sqlite_house.processor.handle(message("đồng ý", number=3, at=later))
    assert len(_rows(sqlite_house, tables.cases)) == 1
    assert not [event for event in story(sqlite_house.database) if UNIQUE in str(event.body)]


@pytest.mark.parametrize(("minutes", "kept"), [(29, ("words",)), (30, ())])
def test_waiting_words_live_half_an_hour(minutes: int, kept: tuple[str, ...]) -> None:
    """D-13: words that wait for a consent are there for thirty minutes and not a minute longer."""
    drafts = conversations.Drafts(IDLE)
    drafts.put(message("").address, ("words",), START)
    assert drafts.get(message("").address, START + dt.timedelta(minutes=minutes)) == kept
    assert drafts.get(message("", to="another").address, START) == ()


def test_s_26_an_emergency_is_a_case_at_once(house: App) -> None:
    """Danger to life asks for no consent first: one P0 case with the basis emergency, and the words in it."""
    house.processor.handle(message(f"{HELD} {UNIQUE}"))
    (consent,), (case,) = _rows(house, tables.consents), _rows(house, tables.cases)
    assert (consent.basis, consent.purpose, consent.sealed_words) == ("emergency", "help", None)
    assert (case.priority, case.kind, case.status) == ("P0", "emergency", "open")
    assert [event.body.get("text") for event in story(house.database)][1:] == [f"{HELD} {UNIQUE}"]


def test_s_26_an_emergency_leaves_by_the_first_lane(house: App) -> None:
    """The reply to a cry overtakes all others; the reply to a question does not."""
    house.processor.handle(message(HELD, to="one", channel="sms"))
    house.processor.handle(message("menu", to="two", channel="sms"))
    assert [(row.lane, row.status) for row in _rows(house, tables.outbox)][:1] == [(Lane.EMERGENCY, "queued")]
    assert {row.lane for row in _rows(house, tables.outbox)[1:]} == {Lane.REPLY}


def test_a_second_cry_joins_the_open_case(house: App) -> None:
    """The same person crying again, even after leaving the talk, adds to the one case."""
    _say(house, HELD, "x", f"{HELD} {UNIQUE}")
    assert len(_rows(house, tables.cases)) == 1
    assert [UNIQUE in str(event.body) for event in story(house.database)].count(True) == 1


def test_a_cry_raises_the_case_that_a_report_opened(house: App) -> None:
    """A report that waits as P2 becomes P0 with the first cry."""
    _say(house, REPORT, "1", "đồng ý")
    assert [row.priority for row in _rows(house, tables.cases)] == ["P2"]
    house.processor.handle(message(HELD, number=9))
    assert [row.priority for row in _rows(house, tables.cases)] == ["P0"]


def test_joining_never_lowers_a_priority(house: App) -> None:
    """After a cry, a later request for a person with its own consent leaves the case at P0."""
    house.processor.handle(message(HELD, number=1))

    _forget_the_talk(house)
    _say(house, "gặp người", "đồng ý", start=2)
    assert [row.priority for row in _rows(house, tables.cases)] == ["P0"]


def test_s_23_a_joined_case_learns_that_it_is_about_a_child(house: App) -> None:
    """A cry that names a child makes the person's open case a child's case."""
    _say(house, REPORT, "1", "đồng ý")
    house.processor.handle(message("cứu cháu với, cháu 15 tuổi đang bị nhốt, chúng nó đánh cháu", number=9))
    assert [(row.priority, row.minor) for row in _rows(house, tables.cases)] == [("P0", True)]


def test_a_joined_case_learns_the_country_and_the_signs(house: App) -> None:
    """What a second cry tells of place and signs is on the case, where the queue shows it."""
    _say(house, REPORT, "1", "đồng ý")
    before = queue_of(house)[0]
    house.processor.handle(message("cứu em, em đang bị nhốt ở Campuchia, họ đòi chuộc 100 triệu", number=9))
    after = queue_of(house)[0]
    assert after.facts.country == "KH"
    assert set(after.facts.flags) > set(before.facts.flags)


def test_s_23_what_a_second_message_of_a_cry_tells_is_on_the_case(house: App) -> None:
    """Who first cries and then says how old and where puts a child in Cambodia into the queue, not a nameless cry."""
    _say(house, "cứu em với", "cứu cháu với, cháu 15 tuổi đang bị nhốt ở Campuchia, chúng nó đánh cháu")
    assert [(case.minor, case.facts.country) for case in queue_of(house)] == [(True, "KH")]


def test_a_cry_after_the_case_was_closed_opens_a_new_one(house: App) -> None:
    """When an operator has closed the case, the next cry of the same talk is not dropped."""
    house.processor.handle(message(HELD, number=1))
    with house.database.begin() as connection:
        connection.execute(update(tables.cases).values(status="closed"))
    house.processor.handle(message(f"{HELD} {UNIQUE}", number=2))
    assert [row.status for row in _rows(house, tables.cases)].count("open") == 1


def test_s_27_the_queue_puts_the_gravest_first(house: App) -> None:
    """A cry stands above a report that has waited longer; among equals the longest wait comes first."""
    _say(house, REPORT, "1", "đồng ý", to="first")
    house.processor.handle(message(HELD, to="second", at=START + dt.timedelta(hours=1)))
    house.processor.handle(message(HELD, to="third", at=START + dt.timedelta(minutes=30)))
    assert [case.priority for case in queue_of(house)] == ["P0", "P0", "P2"]
    assert [case.opened_at for case in queue_of(house)[:2]] == sorted(case.opened_at for case in queue_of(house)[:2])


# -- silence -----------------------------------------------------------------------------------------------------------


def test_s_03_after_not_safe_the_address_is_silent_until_the_person_writes(house: App) -> None:
    """ "Not safe" marks the address, a repeat of it does not undo the mark, and the next message does."""
    _say(house, REPORT)
    assert _silent_since(house) is None
    closing = message("2", number=2, at=START + dt.timedelta(minutes=1))
    house.processor.handle(closing)
    assert _silent_since(house) == closing.received_at
    house.processor.handle(closing)
    assert _silent_since(house) == closing.received_at
    house.processor.handle(message("menu", number=3, at=START + dt.timedelta(minutes=2)))
    assert _silent_since(house) is None


def test_s_03_after_not_safe_one_neutral_message_goes_out(sqlite_house: App) -> None:
    """The closing text is one message, and nothing stands behind it in the outbox."""
    _say(sqlite_house, REPORT)
    before = len(_rows(sqlite_house, tables.outbox))
    assert len(sqlite_house.processor.handle(message("2", number=2))) == 1
    assert len(_rows(sqlite_house, tables.outbox)) == before + 1


def test_s_05_the_exit_word_silences_too(sqlite_house: App) -> None:
    """ "thoat" in the middle of a report closes in one message and marks the address as silent."""
    _say(sqlite_house, REPORT)
    assert len(sqlite_house.processor.handle(message("thoat", number=2))) == 1
    assert _silent_since(sqlite_house) == START


def test_s_34_stop_is_confirmed_once(house: App) -> None:
    """ "stop" gets one message, and ends the consent to alerts and no other."""
    _say(house, REPORT, "1", "đồng ý", "x", "đăng ký", "có", channel="telegram")
    assert _open_purposes(house) == {"help", "alerts"}
    assert len(house.processor.handle(message("stop", number=8, channel="telegram"))) == 1
    assert _open_purposes(house) == {"help"}


def test_s_34_who_asks_twice_for_alerts_is_written_down_once(sqlite_house: App) -> None:
    """A second subscription adds no second consent."""
    _say(sqlite_house, "đăng ký", "có", "đăng ký", "có", channel="telegram")
    assert [row.purpose for row in _rows(sqlite_house, tables.consents)] == ["alerts"]


# -- what nobody agreed to keep ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", [QUESTION, OFFER, REPORT, "tôi không hiểu gì hết"], ids=["question", "offer", "report", "missed"]
)
def test_words_without_consent_never_reach_the_disk(text: str, sqlite_house: App) -> None:
    """What a person says without a consent stands in no file, neither in the clear nor in a row that the keys open."""
    _say(sqlite_house, f"{text} {UNIQUE}", "1")
    assert UNIQUE.encode() not in _files(sqlite_house)
    assert UNIQUE not in _everything_opened(sqlite_house)


def test_words_with_consent_are_found_when_the_rows_are_opened(sqlite_house: App) -> None:
    """The search above does find words where they may be."""
    _say(sqlite_house, f"{REPORT} {UNIQUE}", "1", "đồng ý")
    assert UNIQUE in _everything_opened(sqlite_house)
    assert UNIQUE.encode() not in _files(sqlite_house)


def test_the_stored_state_has_no_draft(sqlite_house: App) -> None:
    """The conversation remembers in memory what was said, and its row does not."""
    rehearsal = sqlite_house.rehearsal()
    rehearsal.say(f"{OFFER} {UNIQUE}", START)
    assert UNIQUE in str(rehearsal.conversation.draft)
    stored = rehearsal.conversation.to_json()
    assert "draft" not in stored
    assert UNIQUE not in str(stored)


def test_the_draft_is_gone_when_the_process_ends(sqlite_house: App) -> None:
    """A server that starts anew has the state of the talk but not the words."""
    _say(sqlite_house, f"{REPORT} {UNIQUE}", "1")
    _another_processor(sqlite_house).handle(message("đồng ý", number=3))
    assert len(_rows(sqlite_house, tables.cases)) == 1
    assert not [event for event in story(sqlite_house.database) if UNIQUE in str(event.body)]


# -- erasure -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["xoa", "xóa", "Xoá", "XOA.", "/xoa"])
def test_the_erasure_word_forgets_the_person(word: str, sqlite_house: App) -> None:
    """Address, conversation and replies are gone, and the confirmation is one message that is not kept."""
    _say(sqlite_house, OFFER, "1")
    assert len(sqlite_house.processor.handle(message(word, number=9))) == 1
    for table in (tables.addresses, tables.conversations, tables.outbox):
        assert _rows(sqlite_house, table) == [], table.name
    assert {row.address_id for row in _rows(sqlite_house, tables.inbox)} == {None}


def test_after_an_erasure_no_byte_of_the_person_is_on_disk(sqlite_house: App) -> None:
    """Not even the ciphertext of what was there is left in the database or its write-ahead log."""
    _say(sqlite_house, f"{REPORT} {UNIQUE}", "1", "đồng ý", "Bình Dương")
    sealed = list(_sealed(sqlite_house))
    lookups = [row.lookup.encode() for row in _rows(sqlite_house, tables.addresses)]
    before = _files(sqlite_house)
    assert all(trace in before for trace in (*sealed, *lookups))
    sqlite_house.processor.handle(message("xoa", number=9))
    after = _files(sqlite_house)
    assert [trace for trace in (*sealed, *lookups) if trace in after] == []


def test_an_erased_case_stays_as_a_shell_without_words(house: App) -> None:
    """That there was a case, and how grave, is still counted; who it was and what was said is not there any more."""
    _say(house, f"{HELD} {UNIQUE}", "1", "Campuchia", "xoa")
    (case,) = _rows(house, tables.cases)
    assert (case.status, case.priority, case.address_id, case.sealed_facts) == ("erased", "P0", None, None)
    assert _rows(house, tables.case_keys) == []
    assert story(house.database) == []
    assert [row.action for row in _rows(house, tables.audit)][-1] == "erased"
    assert queue_of(house) == []


def test_an_erased_consent_keeps_only_date_and_purpose(house: App) -> None:
    """Of the consent there remains that it was given and withdrawn, without the person and without the words."""
    _say(house, REPORT, "1", "đồng ý", "xoa")
    (consent,) = _rows(house, tables.consents)
    assert (consent.purpose, consent.address_id, consent.sealed_words) == ("help", None, None)
    assert consent.withdrawn_at is not None


def test_an_erasure_touches_nobody_else(house: App) -> None:
    """Another person's talk and case are as they were."""
    house.processor.handle(message(HELD, to="stays"))
    before = (_rows(house, tables.conversations), _rows(house, tables.outbox), _rows(house, tables.cases))
    _say(house, OFFER, "xoa", to="goes")
    assert (_rows(house, tables.conversations), _rows(house, tables.outbox), _rows(house, tables.cases)) == before


def test_who_writes_after_an_erasure_is_new(sqlite_house: App) -> None:
    """The next message starts a talk that knows nothing."""
    _say(sqlite_house, HELD, "xoa")
    sqlite_house.processor.handle(message(OFFER, number=9))
    assert not _latest(sqlite_house).case_open
    assert len(_rows(sqlite_house, tables.addresses)) == 1


def test_an_erased_draft_does_not_come_back(sqlite_house: App) -> None:
    """Words that waited in memory are forgotten with the rest."""
    _say(sqlite_house, f"{OFFER} {UNIQUE}", "xoa", "gặp người", "đồng ý")
    assert not [event for event in story(sqlite_house.database) if UNIQUE in str(event.body)]


# -- purge -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("minutes", "left"), [(29, 1), (31, 0)])
def test_a_conversation_is_purged_after_thirty_idle_minutes(minutes: int, left: int, sqlite_house: App) -> None:
    """D-13: a talk that is idle for half an hour is removed, and not before."""
    sqlite_house.processor.handle(message(OFFER))
    removed = purge(sqlite_house.database, START + dt.timedelta(minutes=minutes), IDLE)
    assert len(_rows(sqlite_house, tables.conversations)) == left
    assert removed["conversations"] == 1 - left


def test_a_purged_conversation_leaves_no_byte(sqlite_house: App) -> None:
    """After the purge the sealed state is neither in the database nor in its write-ahead log."""
    sqlite_house.processor.handle(message(OFFER))
    (state,) = [row.sealed_state for row in _rows(sqlite_house, tables.conversations)]
    assert state in _files(sqlite_house)
    purge(sqlite_house.database, START + IDLE + dt.timedelta(minutes=1), IDLE)
    assert state not in _files(sqlite_house)


@pytest.mark.parametrize(("hours", "words", "row"), [(23, True, True), (25, False, True), (49, False, False)])
def test_a_sent_reply_is_kept_for_a_day(hours: int, words: bool, row: bool, sqlite_house: App) -> None:
    """D-13: the words of a reply that is done go after a day, its row after two: so long the provider can delete it."""
    sqlite_house.processor.handle(message("menu"))
    purge(sqlite_house.database, START + dt.timedelta(hours=hours), IDLE)
    left = _rows(sqlite_house, tables.outbox)
    assert bool(left) is row
    assert any(one.sealed_body for one in left) is words
    assert bool(sqlite_house.processor.handle(message("menu"))) is words


def test_a_reply_that_still_waits_is_never_purged(sqlite_house: App) -> None:
    """What has not gone out yet stays in the outbox, however old it is."""
    sqlite_house.processor.handle(message("menu", channel="sms"))
    purge(sqlite_house.database, START + dt.timedelta(days=30), IDLE)
    assert _rows(sqlite_house, tables.outbox)


@pytest.mark.parametrize(("days", "left"), [(6, 1), (8, 0)])
def test_a_repeat_is_recognised_for_a_week(days: int, left: int, sqlite_house: App) -> None:
    """External ids are kept for seven days."""
    sqlite_house.processor.handle(message("menu"))
    purge(sqlite_house.database, START + dt.timedelta(days=days), IDLE)
    assert len(_rows(sqlite_house, tables.inbox)) == left


@pytest.mark.parametrize(
    ("status", "days", "left"), [("open", 400, 1), ("closed", 89, 1), ("closed", 91, 0), ("erased", 91, 0)]
)
def test_a_case_is_purged_ninety_days_after_it_ended(status: str, days: int, left: int, sqlite_house: App) -> None:
    """An open case is never purged; an ended one goes with its whole timeline."""
    sqlite_house.processor.handle(message(HELD))
    with sqlite_house.database.begin() as connection:
        connection.execute(update(tables.cases).values(status=status))
    purge(sqlite_house.database, START + dt.timedelta(days=days), IDLE)
    assert len(_rows(sqlite_house, tables.cases)) == left
    assert bool(_rows(sqlite_house, tables.case_events)) is bool(left)


def test_a_purge_with_nothing_to_do_removes_nothing(sqlite_house: App) -> None:
    """On a fresh sqlite_house all counts are zero."""
    sqlite_house.processor.handle(message(HELD))
    assert set(purge(sqlite_house.database, START, IDLE).values()) == {0}


# -- helpers -----------------------------------------------------------------------------------------------------------


def _say(house: App, *texts: str, to: str = "someone", start: int = 1, channel: str = "web") -> None:
    for number, text in enumerate(texts, start):
        house.processor.handle(message(text, to=to, number=number, channel=channel))


def _another_processor(house: App) -> Processor:
    """As a second process would have it: the same database, and nothing in memory."""
    return Processor(house.interpreter, house.policy, house.database, IDLE)


def _fail(*_: object) -> None:
    raise RuntimeError("in the middle of the turn")


class _Helper(threading.Thread):
    """A thread that keeps what went wrong, and cannot hold up the end of the tests."""

    def __init__(self, job: Callable[[], object]) -> None:
        super().__init__(daemon=True)
        self._job = job
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            self._job()
        except Exception as error:
            self.error = error

    def finish(self) -> None:
        self.join(PATIENCE)
        assert not self.is_alive()
        assert self.error is None


def _in_threads(jobs: Iterable[Callable[[], object]]) -> None:
    helpers = [_Helper(job) for job in jobs]
    for helper in helpers:
        helper.start()
    for helper in helpers:
        helper.finish()


def _texts(replies: Iterable[OutboundMessage]) -> list[str]:
    return [reply.text for reply in replies]


def _rows(house: App, table: Table) -> list[Row[Any]]:
    order = [table.c[name] for name in ("created_at", "opened_at", "given_at") if name in table.c]
    with house.database.begin() as connection:
        return list(connection.execute(select(table).order_by(*order)).all())


def _counts(house: App) -> dict[str, int]:
    return {
        table.name: len(_rows(house, table)) for table in tables.metadata.sorted_tables if table is not tables.about
    }


def _latest(house: App, to: str = "someone") -> Conversation:
    contact = _contact(house, to)
    with house.database.begin() as connection:
        return conversations.load(connection, house.database.keyring, contact) or Conversation()


def _contact(house: App, to: str = "someone") -> Contact:
    address = message("", to=to).address
    with house.database.begin() as connection:
        return contacts.find_or_create(connection, house.database.keyring, address, START)


def _forget_the_talk(house: App) -> None:
    purge(house.database, START + IDLE + dt.timedelta(minutes=1), IDLE)


def _silent_since(house: App) -> dt.datetime | None:
    (row,) = _rows(house, tables.addresses)
    return utc(row.silent_since) if row.silent_since else None


def _open_purposes(house: App) -> set[str]:
    return {row.purpose for row in _rows(house, tables.consents) if row.withdrawn_at is None}


def _sealed(house: App) -> Iterable[bytes]:
    """Every sealed value that is about a person."""
    for table, row, column in _sealed_columns(house):
        if table is not tables.about:
            yield getattr(row, column)


def _everything_opened(house: App) -> str:
    """All that the keys open, as one text."""
    return "\n".join(opened(house.database, table, row, column) for table, row, column in _sealed_columns(house))


def _sealed_columns(house: App) -> Iterable[tuple[Table, Row[Any], str]]:
    for table in tables.metadata.sorted_tables:
        for column in table.c:
            if column.name.startswith("sealed"):
                yield from ((table, row, column.name) for row in _rows(house, table) if getattr(row, column.name))


def _files(house: App) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(house.config.home.glob("banduong.db*")))
