"""The hotline's promises, one by one: who is heard, who reads, who speaks, and when nobody may."""

import contextlib
import datetime as dt
import random
import re
from typing import Any

import pytest
from sqlalchemy import Row, insert, update

from bot import audit
from bot.app import App
from bot.channels.base import SendError
from bot.channels.sms_text import sms_text
from bot.errors import CaseError, KeyringError, StoreError
from bot.hotline import claims, colleagues, keys, reach, reading, second, work
from bot.hotline.cases import Case
from bot.hotline.keys import Operator
from bot.messages import VIETNAM, Address
from bot.staff import accounts
from bot.store import tables
from tests.case_files import queue_of
from tests.hotline import a_case
from tests.hotline_line import HELD, HOUR, MINUTE, REPORT, Hotline

UNCERTAIN = SendError("uncertain", "timeout")
EVENING = reach.read_hours("20:00", "21:00")


@pytest.fixture
def line(house: App) -> Hotline:
    return Hotline(house)


@pytest.fixture
def quick(sqlite_house: App) -> Hotline:
    """For rules that are the same on every database."""
    return Hotline(sqlite_house)


def refused(why: str) -> pytest.RaisesExc[CaseError]:
    return pytest.RaisesExc(CaseError, match=rf"\({why}\)")


def at_clock(line: Hotline, hour: int, minute: int = 0) -> None:
    """Goes on to the next moment at which Viet Nam's clock shows this."""
    there = line.now.astimezone(VIETNAM).replace(hour=hour, minute=minute, second=0, microsecond=0)
    line.now = (there if there > line.now else there + dt.timedelta(days=1)).astimezone(dt.UTC)


# -- who has left is left alone ----------------------------------------------------------------------------------------


def test_s_03_who_has_left_hears_nothing_and_the_operator_sees_it(line: Hotline) -> None:
    """After an exit word what waited is cancelled and shown as held, and nobody can say more until they write again."""
    lan = line.colleague("lan")
    case = line.claimed(line.crying(), lan)
    line.send()
    line.speak(lan, case, "Em o dau vay?")
    line.write("thoát")
    assert len(line.send()) == 1  # the closing word
    assert [(one.delivery, one.error) for one in line.words(case, lan) if one.author == lan.id] == [
        ("cancelled", "silent")
    ]
    with refused("silent"):
        line.speak(lan, case)
    line.write("em quay lại rồi")
    line.speak(lan, case, "Minh day")
    assert line.send()[-1] == "Minh day"


@pytest.mark.parametrize("error", [UNCERTAIN, SendError("retryable", "busy")])
def test_s_03_what_was_being_sent_at_the_exit_does_not_come_later(line: Hotline, error: SendError) -> None:
    """Words that were on their way when the person left, and may not have arrived, are not sent again when they come back."""
    lan = line.colleague("lan")
    case = line.claimed(line.crying(), lan)
    line.send()
    line.speak(lan, case, "Em o dau vay?")
    sending = line.mark(line.claim())
    line.write("thoát")
    line.finish(sending, error)
    line.wait(2 * MINUTE)
    line.write("alo")
    line.wait(2 * MINUTE)
    assert "Em o dau vay?" not in line.send()


def test_s_05_every_exit_word_ends_the_relay_in_one_message(quick: Hotline) -> None:
    """Any exit or stop word in any spelling: one closing message, the line is the bot's, and nothing more leaves."""
    lan = quick.colleague("lan", most_cases=1000)
    words = [word for name in ("exit", "stop") for word in quick.house.library.commands[name]]
    assert len(words) > 30
    for number, word in enumerate(words):
        who = f"+8490{number:07}"
        case = quick.claimed(quick.crying(who), lan)
        quick.speak(lan, case)
        quick.send()
        quick.write(word, who=who)
        assert len(quick.send()) == 1, word
        assert quick.case(case.reference).relay_since is None, word
        with refused("silent"):
            quick.speak(lan, case)


def test_s_05_a_deletion_ends_the_relay_in_one_message(quick: Hotline) -> None:
    """Any word of deletion amid the relay: one message leaves, the case is empty, and nobody is there to speak to."""
    lan = quick.colleague("lan", most_cases=1000)
    for number, word in enumerate(quick.house.library.commands["delete"]):
        who = f"+8491{number:07}"
        case = quick.claimed(quick.crying(who), lan)
        quick.speak(lan, case)
        quick.write(word, who=who)
        assert len(quick.send()) == 1, word
        with refused("erased"):
            quick.speak(lan, case)


# -- the first word after a while --------------------------------------------------------------------------------------


def test_s_10_nobody_is_written_to_first_without_hours_that_they_called_safe(line: Hotline) -> None:
    """Half an hour after the person's last word an operator can only ask whether it is safe, and only at recorded hours."""
    lan = line.colleague("lan")
    case = line.claimed(line.crying(), lan)
    line.wait(31 * MINUTE)
    with refused("away"):
        line.speak(lan, case)
    with refused("no_reach"):
        line.knock(lan, case)
    line.do(reach.set_reach, lan, case, EVENING)
    line.send()
    assert line.knock(lan, case).astimezone(VIETNAM).hour == 20
    assert line.send() == []
    at_clock(line, 20)
    assert line.send() == ["Ban ranh khong?"]


def test_s_10_a_knock_that_could_not_leave_in_its_hours_does_not_leave_after_them(line: Hotline) -> None:
    """When the sender stood still through the safe hours, the question is given up."""
    lan = line.colleague("lan")
    case = line.claimed(line.crying(), lan)
    line.send()
    line.do(reach.set_reach, lan, case, EVENING)
    line.knock(lan, case)
    at_clock(line, 21)
    assert line.send() == []


def test_s_10_a_knock_waits_for_its_hour_also_when_the_person_writes(line: Hotline) -> None:
    """What somebody writes at another hour, perhaps with another hand, brings out no question that waited."""
    lan = line.colleague("lan")
    case = line.claimed(line.crying(), lan)
    line.do(reach.set_reach, lan, case, EVENING)
    line.knock(lan, case)
    line.write("alo")
    assert "Ban ranh khong?" not in line.send()


@pytest.mark.parametrize("end", ["withdrawn", "closed", "released", "other hours", "left"])
def test_s_10_a_knock_that_waits_is_called_off(line: Hotline, end: str) -> None:
    """When the case ends or goes back, or other hours are said, the question that waited for its hour is not asked."""
    lan = line.colleague("lan")
    case = line.claimed(line.consenting(), lan)
    line.do(reach.set_reach, lan, case, EVENING)
    line.knock(lan, case)
    match end:
        case "withdrawn":
            line.write("rút")
        case "closed":
            line.do(work.close, lan, case, "advised", "đã xong")
        case "released":
            line.do(claims.release, lan, case)
        case "other hours":
            line.do(reach.set_reach, lan, case, reach.read_hours("06:00", "06:30"))
        case "left":
            line.write("thoát")
    left = line.send()
    at_clock(line, 20, 30)
    assert "Ban ranh khong?" not in [*left, *line.send()]


@pytest.mark.parametrize(
    ("start", "end", "hour", "opens", "closes"),
    [
        ("20:00", "21:30", 12, "20:00", "21:30"),
        ("22:00", "02:00", 23, "23:00", "02:00"),
        ("22:00", "02:00", 1, "01:00", "02:00"),
        ("22:00", "02:00", 3, "22:00", "02:00"),
        ("00:00", "00:00", 5, "05:00", "05:00"),
    ],
)
def test_s_10_safe_hours_over_midnight(start: str, end: str, hour: int, opens: str, closes: str) -> None:
    """The next safe moment and its end, on Viet Nam's clock."""
    now = dt.datetime(2026, 11, 21, hour, tzinfo=VIETNAM)
    hours = reach.read_hours(start, end)
    at = hours.next(now)
    assert f"{at.astimezone(VIETNAM):%H:%M}" == opens
    assert f"{hours.closes(at).astimezone(VIETNAM):%H:%M}" == closes
    assert now <= at < hours.closes(at) <= at + dt.timedelta(days=1)


# -- who writes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("said", ["hoa sen", "HOA SEN!", "dạ hoa sen ạ", "hoa-sen", "Hoá sẹn"])
def test_s_11_the_code_word_in_any_spelling_proves_who_it_is(quick: Hotline, said: str) -> None:
    """After a pause nobody knows who writes, until the word comes, with or without diacritics and marks."""
    lan = quick.colleague("lan")
    case = quick.claimed(quick.crying(), lan)
    quick.do(work.set_code, lan, case, "Hoa-sen")
    quick.wait(11 * MINUTE)
    quick.write("alo")
    assert quick.case(case.reference).paused_at == quick.now
    for wrong in ("hoa hong", "sen hoa", "hoa", "hoasen"):
        quick.write(wrong)
        assert quick.case(case.reference).paused_at is not None, wrong
    quick.write(said)
    assert quick.case(case.reference).paused_at is None
    assert "code_given" in [event.kind for event in quick.timeline(case, lan)]


def test_s_11_a_code_word_is_words(quick: Hotline) -> None:
    """Neither too short, nor too long, nor marks alone, nor more words than are looked for."""
    lan = quick.colleague("lan")
    case = quick.claimed(quick.crying(), lan)
    for words in ("", "ab", "!!!", "a-b", "một hai ba bốn", "a-b-c-d", "x" * 41):
        with refused("code"):
            quick.do(work.set_code, lan, case, words)
    assert quick.case(case.reference).code_lookup is None


def test_s_12_after_a_silence_the_bot_repeats_nothing_of_the_case(quick: Hotline) -> None:
    """Half an hour after the last word of both sides the bot answers again, with no word of what was told or who spoke."""
    lan = quick.colleague("lan")
    case = quick.claimed(quick.crying(), lan)
    quick.do(work.note, lan, case, "ở khu nhà màu xanh")
    quick.speak(lan, case, "Chị Lan đây")
    quick.wait(31 * MINUTE)
    replies = quick.write("alo")
    assert replies
    said = " ".join(reply.text for reply in replies).lower()
    assert not [word for word in ("myawaddy", "myanmar", "nhốt", "nhot", "lan", case.reference.lower()) if word in said]
    assert quick.case(case.reference).relay_since is None


def test_s_14_words_go_and_the_timeline_stays(line: Hotline) -> None:
    """The words of both sides stand apart from the timeline, and are forgotten without it."""
    lan = line.colleague("lan")
    case = line.claimed(line.crying(), lan)
    line.do(work.summarise, lan, case, {"plan": "gọi lại lúc 20 giờ"})
    before = [event.kind for event in line.timeline(case, lan)]
    assert [one.text for one in line.words(case, lan)] == [HELD]
    with line.database.begin() as connection:
        work.forget_words(connection, case.id, line.now, line.keyring, "clock")
    assert line.words(case, lan) == []
    assert [event.kind for event in line.timeline(case, lan)] == [*before, "words_forgotten"]


# -- a yes is the person's own -----------------------------------------------------------------------------------------


def ground(line: Hotline, case: Case, purpose: str = "share_111") -> str | None:
    case = line.case(case.reference)
    with line.database.begin() as connection:
        return second.ground_of(connection, case, purpose, line.now)


def consents_to(line: Hotline, purpose: str) -> list[tuple[str, str | None]]:
    return [(row.basis, row.version) for row in line.rows(tables.consents) if row.purpose == purpose]


@pytest.mark.parametrize("said", ["ok?", "ok", "được?", "có ?", "ừ", "chắc là có", "có gì không ạ", "sao cũng được"])
def test_s_21_d_05_only_the_enumerated_words_are_a_yes(quick: Hotline, said: str) -> None:
    """What is no clear yes to the operator's question is none; it is relayed as a word."""
    lan = quick.colleague("lan")
    case = quick.claimed(quick.crying(), lan)
    quick.ask(lan, case)
    quick.write(said)
    assert consents_to(quick, "share_111") == []
    assert quick.case(case.reference).asking == "share_111"
    assert quick.words(case, lan)[-1].text == said


@pytest.mark.parametrize("said", ["có", "CO", "Đồng ý!", "dong y", "được"])
def test_s_21_d_05_a_clear_yes_is_kept_with_the_version_of_the_question(line: Hotline, said: str) -> None:
    """The yes stands there with its purpose, its words and the version of what was asked, and counts for nothing else."""
    lan = line.colleague("lan")
    case = line.claimed(line.crying(), lan)
    case = line.ask(lan, case)
    line.write(said)
    assert consents_to(line, "share_111") == [("consent", line.house.library.version_of("ask_share_111"))]
    assert line.case(case.reference).asking is None
    with line.database.begin() as connection:
        assert second.ground_of(connection, case, "share_111", line.now)
        assert second.ground_of(connection, case, "share_police", line.now) is None


@pytest.mark.parametrize("said", ["đồng ý?", "được ?"])
def test_d_05_asking_back_is_no_yes_to_the_bot_either(quick: Hotline, said: str) -> None:
    """The bot's own question whether somebody may help is not answered by a question."""
    quick.write(REPORT, "1", said)
    assert quick.cases() == []


def test_d_05_a_yes_to_other_words_is_none_to_the_question_before_them(line: Hotline) -> None:
    """Once the operator has said something else, "co" is no answer to whether something may be passed on."""
    lan = line.colleague("lan")
    case = line.claimed(line.crying(), lan)
    line.ask(lan, case)
    line.speak(lan, case, "Em con o do khong?")
    line.write("có")
    assert consents_to(line, "share_111") == []


def test_s_20_after_a_no_it_is_asked_once_more_at_most(line: Hotline) -> None:
    """The second no ends it for this purpose, whoever holds the case; another purpose may still be asked for."""
    lan, mai = line.colleague("lan"), line.colleague("mai")
    case = line.claimed(line.crying(), lan)
    line.ask(lan, case)
    line.write("không")
    line.do(claims.hand_over, lan, case, mai.id)
    line.ask(mai, case)
    line.write("không")
    with refused("refused"):
        line.ask(mai, case)
    assert line.ask(mai, case, "share_ngo").asking == "share_ngo"


def test_s_21_no_case_stands_without_the_consent_of_its_purpose(line: Hotline) -> None:
    """Neither a case without a consent nor one with that of another purpose can be written."""
    line.consenting()
    [case] = line.cases()
    [help_] = [row for row in line.rows(tables.consents) if row.purpose == "help"]
    assert case.consent_id == help_.id
    for values in ({"consent_id": "0" * 32}, {"purpose": "share_111"}):
        with pytest.raises(StoreError), line.database.begin() as connection:
            connection.execute(update(tables.cases).values(**values))


# -- and can be taken back ---------------------------------------------------------------------------------------------


def test_what_only_a_yes_allowed_is_emptied_when_it_is_taken_back(line: Hotline) -> None:
    """After "rút" nobody can read the case, and nothing that an operator had said still leaves."""
    lan = line.colleague("lan")
    case = line.claimed(line.consenting(), lan)
    line.send()
    line.speak(lan, case, "Minh day")
    line.write("rút")
    assert "Minh day" not in line.send()
    assert line.rows(tables.case_keys) == line.rows(tables.case_events) == line.rows(tables.case_messages) == []
    with refused("erased"):
        line.do(work.reopen, lan, case, "")


def test_a_yes_is_taken_back_after_the_case_has_ended_too(line: Hotline) -> None:
    """Nobody reads a closed case or passes it on once the person has said "rút"."""
    lan = line.colleague("lan")
    case = line.claimed(line.consenting(), lan)
    line.ask(lan, case)
    line.write("có")
    line.do(work.close, lan, case, "advised", "đã xong")
    line.write("rút")
    assert [row.purpose for row in line.rows(tables.consents) if row.withdrawn_at is None] == []
    assert line.rows(tables.case_keys) == []
    assert ground(line, case) is None


@pytest.mark.parametrize("relayed", [False, True])
def test_s_22_a_cry_for_help_is_not_taken_back_by_a_word(line: Hotline, relayed: bool) -> None:
    """A case that began with a yes and became an emergency stays for people to decide, whoever types "rút"."""
    lan = line.colleague("lan")
    case = line.claimed(line.consenting(), lan)
    if relayed:
        line.speak(lan, case)
    line.write(HELD, "rút")
    assert line.case(case.reference).status == "open"
    assert line.case(case.reference).priority == "P0"
    assert HELD in [one.text for one in line.words(case, lan)]


def test_d_04_what_has_left_is_known_after_the_yes_was_taken_back(line: Hotline) -> None:
    """A hand-off that was made stays known without its content, one that waited does not leave, and a deletion tells the truth."""
    lan = line.colleague("lan")
    case = line.claimed(line.consenting(), lan)
    with line.database.begin() as connection:
        for status in ("sent", "queued"):
            row: dict[str, object] = {
                "case_id": case.id,
                "receiver": "x",
                "form": "webhook",
                "purpose": "help",
                "made_by": lan.id,
                "generation": case.generation,
                "sealed_content": b"words",
            }
            row |= {"id": status, "consent_id": case.consent_id, "digest": "", "at": line.now, "status": status}
            connection.execute(insert(tables.handoffs).values(**row, sealed_body=b"words"))
        audit.record(connection, line.keyring, actor=lan.id, action="referred", case_id=case.id, now=line.now)
    line.write("rút")
    assert [(row.status, row.sealed_body) for row in line.rows(tables.handoffs)] == [("sent", None)]
    told = line.house.library.say("erased_but_handed_on", "vi", "sms")
    assert line.write("xóa")[0].text == sms_text(told).text


# -- a second person ---------------------------------------------------------------------------------------------------


def ask_second(line: Hotline, who: Operator, case: Case, kind: str) -> str:
    line.do(second.ask, who, case, kind, "tính mạng đang nguy")
    with line.database.begin() as connection:
        return second.of_case(connection, case, {})[-1].id


def decide(line: Hotline, who: Operator, request: str, *, granted: bool) -> None:
    with line.database.begin() as connection:
        second.decide(connection, line.keyring, who, request, granted=granted, now=line.now)


def test_s_22_a_number_is_shown_only_with_a_yes_or_another_persons_grant(line: Hotline) -> None:
    """Not at once, not after a refusal, not by one's own grant; for an hour after somebody else's, and to no other person."""
    lan, chief, other = line.colleague("lan"), line.colleague("hoa", supervisor=True), line.colleague("tam")
    case = line.claimed(line.crying(), lan)
    with refused("no_yes"):
        line.do(second.reveal, lan, case)
    decide(line, chief, ask_second(line, lan, case, "reveal"), granted=False)
    with refused("no_yes"):
        line.do(second.reveal, lan, case)
    request = ask_second(line, lan, case, "reveal")
    with refused("unknown"):
        decide(line, other, request, granted=True)
    decide(line, chief, request, granted=True)
    with refused("decided"):
        decide(line, chief, request, granted=False)
    assert line.do(second.reveal, lan, case) == "+84901111111"
    with refused("no_yes"):
        line.do(second.reveal, chief, case)
    line.wait(HOUR)
    with refused("no_yes"):
        line.do(second.reveal, lan, case)


def test_s_22_nobody_decides_their_own_request(line: Hotline) -> None:
    """A supervisor with a case of their own asks another one."""
    chief, other = line.colleague("hoa", supervisor=True), line.colleague("an", supervisor=True)
    case = line.claimed(line.crying(), chief)
    request = ask_second(line, chief, case, "share_police")
    with refused("own_request"):
        decide(line, chief, request, granted=True)
    decide(line, other, request, granted=True)


def test_s_22_d_07_passing_on_without_a_yes_holds_for_an_hour(line: Hotline) -> None:
    """A grant for danger to life is the ground of its own purpose, for an hour; its two people stand in it."""
    lan, chief = line.colleague("lan"), line.colleague("hoa", supervisor=True)
    case = line.claimed(line.crying(), lan)
    decide(line, chief, ask_second(line, lan, case, "share_police"), granted=True)
    with line.database.begin() as connection:
        ground = second.ground_of(connection, case, "share_police", line.now)
        assert second.ground_of(connection, case, "share_111", line.now) is None
        assert second.ground_of(connection, case, "share_police", line.now + HOUR) is None
    [row] = [row for row in line.rows(tables.consents) if row.id == ground]
    assert row.basis == "emergency"
    assert lan.id in row.reason
    assert chief.id in row.reason


def test_s_21_a_yes_for_a_later_case_is_none_for_the_one_before(line: Hotline) -> None:
    """What somebody agrees to in a new case does not let a closed one be passed on."""
    lan = line.colleague("lan")
    first = line.claimed(line.consenting(), lan)
    line.do(work.close, lan, first, "advised", "đã xong")
    line.wait(HOUR)
    later = line.claimed(line.consenting(), lan)
    line.ask(lan, later)
    line.write("có")
    assert ground(line, later)
    assert ground(line, first) is None


# -- the queue ---------------------------------------------------------------------------------------------------------


def test_s_23_s_27_the_gravest_first_then_minors_then_who_waited_longest(line: Hotline) -> None:
    """Whatever the order in which they came: by priority; in it minors; in it the longest wait."""
    order = [(p, minor, wait) for p in ("P0", "P1", "P2", "P3") for minor in (True, False) for wait in (9, 5, 1)]
    expected = {}
    with line.database.begin() as connection:
        for number, (priority, minor, wait) in enumerate(random.Random(7).sample(order, len(order))):
            case_id = a_case(
                connection, line.keyring, address=Address("web", str(number)), priority=priority, minor=minor,
                at=line.now - wait * HOUR,
            )  # fmt: skip
            expected[priority, minor, wait] = case_id
    assert [case.id for case in queue_of(line.house)] == [expected[key] for key in order]


def test_s_35_a_case_is_passed_by_and_given_back_without_a_reason(line: Hotline) -> None:
    """Skipping leaves it in the queue; releasing brings it back, readable to all, with the bot on the line."""
    lan, mai = line.colleague("lan"), line.colleague("mai")
    case = line.crying()
    line.do(claims.skip, lan, case)
    line.claimed(case, mai)
    line.speak(mai, case)
    with refused("taken"):
        line.do(claims.skip, lan, case)
    line.do(claims.release, mai, case)
    again = line.case(case.reference)
    assert (again.owner_id, again.claimed_at, again.relay_since) == (None, None, None)
    line.claimed(case, lan)
    assert HELD in [one.text for one in line.words(case, lan)]
    assert all(event.body is not None for event in line.timeline(case, lan))


def test_s_35_nobody_takes_more_than_their_load_but_danger_is_never_refused(line: Hotline) -> None:
    """Beyond the number of cases that somebody should hold only a P0 can be claimed."""
    lan = line.colleague("lan", most_cases=1)
    line.claimed(line.consenting("+84902000001"), lan)
    with refused("full"):
        line.claimed(line.consenting("+84902000002"), lan)
    assert line.claimed(line.crying("+84902000003"), lan).owner_id == lan.id


def test_a_closed_case_is_not_reopened_beside_another(line: Hotline) -> None:
    """One person has one open case."""
    lan = line.colleague("lan")
    first = line.claimed(line.consenting(), lan)
    line.do(work.close, lan, first, "advised", "đã xong")
    line.wait(HOUR)
    line.consenting()
    with refused("other_open"):
        line.do(work.reopen, lan, first, "")


# -- who reads ---------------------------------------------------------------------------------------------------------


def test_whoever_reopens_a_case_is_the_only_one_to_read_what_follows(line: Hotline) -> None:
    """The one who held it before it was closed does not read on over their shoulder."""
    lan, chief = line.colleague("lan"), line.colleague("hoa", supervisor=True)
    case = line.claimed(line.crying(), lan)
    line.do(work.close, lan, case, "advised", "đã xong")
    line.do(work.reopen, chief, case, "gọi lại")
    assert not line.holds(case, lan)
    assert line.timeline(case, chief)[-1].body == {"text": "gọi lại"}
    with refused("not_yours"):
        line.do(work.note, lan, case, "x")


@pytest.mark.parametrize("way", ["removed", "another role"])
def test_the_cases_of_somebody_who_leaves_are_in_the_queue_again(line: Hotline, way: str) -> None:
    """Nobody is left talking to silence: the line is the bot's, everybody can claim, and they can read nothing more."""
    lan, mai, chief = line.colleague("lan"), line.colleague("mai"), line.colleague("hoa", supervisor=True)
    case = line.claimed(line.crying(), lan)
    line.speak(lan, case)
    with line.database.begin() as connection:
        account = accounts.find(connection, line.keyring, lan.id)
        assert account
        if way == "removed":
            colleagues.remove(connection, line.keyring, account, line.now, by="command line")
        else:
            colleagues.set_roles(connection, line.keyring, account, {"editor"}, line.now, by="command line")
    again = line.case(case.reference)
    assert (again.owner_id, again.claimed_at, again.relay_since) == (None, None, None)
    assert not line.holds(case, lan)
    assert line.write("alo chị ơi")  # the bot answers
    with line.database.begin() as connection:
        keys.share_missing(connection, line.keyring, chief)
    line.claimed(case, mai)
    assert all(event.body is not None for event in line.timeline(case, mai))
    assert HELD in [one.text for one in line.words(case, mai)]


def test_a_colleague_who_joins_later_gets_what_waits_and_nothing_that_is_claimed(line: Hotline) -> None:
    """Open unclaimed cases are shared as soon as a colleague looks at the queue, every generation of their keys."""
    lan, leaving = line.colleague("lan"), line.colleague("tam")
    waiting, taken = line.crying("+84902000001"), line.crying("+84902000002")
    line.claimed(taken, lan)
    mai = line.colleague("mai")
    with line.database.begin() as connection:
        keys.will_lack(connection, mai.id)
        keys.take_away(connection, line.keyring, leaving.id)  # a second generation, which mai holds at once
    assert line.holds(waiting, mai)
    with line.database.begin() as connection:
        assert keys.share_missing(connection, line.keyring, lan) == 1
        assert keys.share_missing(connection, line.keyring, lan) == 0
    assert not line.holds(taken, mai)
    line.claimed(waiting, mai)
    assert [one.text for one in line.words(waiting, mai)] == [HELD]


def test_the_first_colleague_gets_what_came_before_anybody(line: Hotline) -> None:
    """Cases that only the keyring holds are handed to the first who works the queue, and the keyring forgets them."""
    case = line.crying()
    assert [row.holder for row in line.rows(tables.case_keys)] == ["keyring"]
    lan = line.colleague("lan")
    with line.database.begin() as connection:
        assert keys.adopt(connection, line.keyring) == 1
    assert [row.holder for row in line.rows(tables.case_keys)] == [lan.id]
    assert [one.text for one in line.words(case, lan)] == [HELD]


def test_adopting_gives_a_claimed_case_to_its_owner_alone(line: Hotline) -> None:
    """When somebody makes a new key pair, what only the keyring held meanwhile does not go to the others."""
    lan, mai = line.colleague("lan"), line.colleague("mai")
    case = line.claimed(line.crying(), lan)
    with line.database.begin() as connection:
        keys.take_away(connection, line.keyring, lan.id)  # as when an invitation is accepted again
    line.write("alo")
    with line.database.begin() as connection:
        keys.adopt(connection, line.keyring)
    assert not line.holds(case, mai)
    assert line.holds(case, lan)


def test_the_recovery_key_opens_everything_and_one_share_nothing(line: Hotline) -> None:
    """With both shares a case can be read again after everybody is gone; with a wrong one, or twice the same, it cannot."""
    with line.database.begin() as connection:
        shares = keys.ensure_recovery(connection, line.keyring)
        assert shares
        assert keys.ensure_recovery(connection, line.keyring) is None
    lan = line.colleague("lan")
    case = line.claimed(line.crying(), lan)
    line.do(work.note, lan, case, "màu xanh")
    with line.database.begin() as connection:
        keys.take_away(connection, line.keyring, lan.id)
    mai = line.colleague("mai")
    first, last = shares
    for wrong in ((first, first), (first, last[:-1] + ("0" if last[-1] != "0" else "1")), (first, ""), ("x", last)):
        with pytest.raises(KeyringError), line.database.begin() as connection:
            keys.recover(connection, line.keyring, wrong, mai.id, line.now, by="command line")
    with line.database.begin() as connection:
        assert keys.recover(connection, line.keyring, (last.lower(), first), mai.id, line.now, by="command line") == 1
    assert all(event.body is not None for event in line.timeline(case, mai))
    assert [one.text for one in line.words(case, mai)] == [HELD]


@pytest.mark.parametrize("job", ["release", "hand_over"])
def test_who_cannot_read_a_case_cannot_put_it_where_nobody_can(line: Hotline, job: str) -> None:
    """A supervisor who holds no key of a case yet does not send it on without them."""
    lan, mai = line.colleague("lan"), line.colleague("mai")
    case = line.claimed(line.crying(), lan)
    chief = line.colleague("hoa", supervisor=True)
    given = (mai.id,) if job == "hand_over" else ()
    with refused("no_key"):
        line.do(getattr(claims, job), chief, case, *given)


def test_a_copy_of_the_database_with_the_servers_keys_opens_no_words(quick: Hotline) -> None:
    """Once people hold a case, the server's keyring opens its facts, the person's address and what still stands in the outbox,
    and neither words, events, reasons nor the private key of the case."""
    lan = quick.colleague("lan")
    quick.colleague("hoa", supervisor=True)
    case = quick.claimed(quick.crying(), lan)
    quick.do(work.note, lan, case, "khu nhà màu xanh")
    quick.speak(lan, case, "Minh day")
    quick.do(second.ask, lan, case, "reveal", "tính mạng đang nguy")
    opened: dict[tuple[str, str], list[str | None]] = {}
    for table in tables.metadata.sorted_tables:
        for row in quick.rows(table):
            for name, value in row._mapping.items():
                if isinstance(value, bytes):
                    opened.setdefault((table.name, name), []).append(opens(quick, table.name, row, name, value))
    readable = {place for place, texts in opened.items() if any(texts)}
    assert readable == {
        ("about", "sealed_value"),
        ("addresses", "sealed_identifier"),
        ("cases", "sealed_facts"),
        ("conversations", "sealed_state"),
        ("outbox", "sealed_body"),
        ("staff", "sealed_profile"),
    }
    files = b"".join(path.read_bytes() for path in quick.house.config.home.glob("banduong.db*"))
    for text in (HELD, "khu nhà màu xanh", "tính mạng đang nguy", "Minh day", "+84901111111"):
        assert text.encode() not in files


def opens(line: Hotline, table: str, row: Row[Any], column: str, value: bytes) -> str | None:
    place = f"{table}|{row[0]}|{column}"
    if table == "case_keys":
        place = f"case_keys|{row.case_id}|{row.generation}|{row.holder}"
    with contextlib.suppress(KeyringError):
        return line.keyring.open(value, place)
    return None


# -- clues -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "kind"),
    [
        ("nó gọi số 0987 654 321", "so no la +84 987.654.321", "phone"),
        ("chuyển vào stk 0123456789012 vcb", "số tài khoản: 0123 4567 89012", "account"),
        ("vào https://www.viecnhe.top/kiem-tien/", "link viecnhe.top/kiem-tien", "link"),
        ("công ty TNHH Hoàng Long Phát đưa đi", "cty hoang long phat", "company"),
    ],
)
def test_the_same_recruiter_links_two_peoples_cases(line: Hotline, one: str, other: str, kind: str) -> None:
    """However it is written, and only as a digest; when one of them deletes everything, the link is gone."""
    lan = line.colleague("lan")
    first = line.claimed(line.crying("+84902000001"), lan)
    second_case = line.claimed(line.crying("+84902000002"), lan)
    for case, who, text in ((first, "+84902000001", one), (second_case, "+84902000002", other)):
        line.speak(lan, case)
        line.write(text, who=who)
    with line.database.begin() as connection:
        [found] = reading.linked(connection, first)
    assert (found.reference, found.kinds) == (second_case.reference, (kind,))
    clues = line.rows(tables.case_clues)
    assert all(re.fullmatch(r"[0-9a-f]{64}", row.lookup) for row in clues)
    line.write("xóa", who="+84902000002")
    with line.database.begin() as connection:
        assert reading.linked(connection, first) == []


def test_a_clue_in_the_answer_to_a_question_links_too(line: Hotline) -> None:
    """A number that is told in answer to the bot's question is a clue like any other."""
    line.write(HELD, "1", "ở Myawaddy, số của nó 0987654321")
    assert "phone" in [row.kind for row in line.rows(tables.case_clues)]


# -- back again --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", ["alo", "chào bạn", "hoa sen"], ids=["alo", "a greeting", "the code word"])
def test_s_02_s_11_who_comes_back_to_a_case_is_asked_whether_it_is_safe(line: Hotline, words: str) -> None:
    """A word of greeting, or the code word, hours later: the neutral question, and nothing of the menu or the case (S-12)."""
    lan = line.colleague("lan")
    case = line.claimed(line.crying(), lan)
    line.do(work.set_code, lan, case, "hoa sen")
    line.wait(dt.timedelta(hours=3))
    (reply,) = line.write(words)
    asked = line.house.library.say("still_here", "vi", "sms")
    assert reply.text.startswith(sms_text(asked).text[:30])
