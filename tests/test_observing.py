"""What a talk is counted as: from whole talks to four closed words, and when a talk is counted at all."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace

import pytest

from bot.app import App
from bot.conversation.state import Conversation
from bot.observations import Observation, observe
from bot.store import trend_tables as t
from bot.testing import START
from tests.conftest import message
from tests.trending import MONDAY, WEEK, counting, exact, library, rows, somewhere

LURE = "di thai ban ve so luong 20tr/thang ho bao ve may bay co nen di k"
HELD = "cứu em với, em đang bị nhốt ở Myawaddy"
REPORT = "chị tôi làm ở quán karaoke, chủ giữ giấy tờ và không trả lương 3 tháng nay"
ASKED = "phi di nhat bao nhieu tien"
SEEN = Observation("high", "neighbours", "unknown", "pay")


@pytest.fixture
def counted(sqlite_house: App) -> Iterator[App]:
    house = counting(sqlite_house)
    house.trends.open_periods(MONDAY)
    yield house
    house.trends.database.close()


def talk(reader: App, *lines: str | int) -> Observation | None:
    """What a talk is counted as after these messages; a number: so many minutes of silence."""
    conversation, now = Conversation(), START
    for number, line in enumerate(lines):
        if isinstance(line, int):
            now += dt.timedelta(minutes=line)
            continue
        now += dt.timedelta(seconds=20)
        read = reader.interpreter.read(line)
        conversation = reader.policy.respond(conversation, message(line, number=number, at=now), read).conversation
    return conversation.seen


# -- what a talk is counted as -----------------------------------------------------------------------------------------


def test_an_offer_that_was_talked_through_is_counted_as_it_stood_at_the_end(reader: App) -> None:
    """What the questions brought to light counts: here that the papers are kept."""
    assert talk(reader, LURE) == SEEN
    assert talk(reader, LURE, "1", "2", "1") == replace(SEEN, flag="papers")


def test_an_offer_that_is_left_in_the_middle_is_counted_too(reader: App) -> None:
    """Who stops answering is counted as far as they told; so is who asks something else meanwhile."""
    assert talk(reader, LURE, "1") == replace(SEEN, flag="papers")
    assert talk(reader, LURE, 12, "alo") == SEEN
    assert talk(reader, LURE, ASKED) == SEEN


def test_a_pure_question_is_not_counted(reader: App) -> None:
    """Neither is a greeting, a menu or thanks."""
    for lines in ([ASKED, "1"], ["alo", "menu", "cam on"], ["dang ky"], ["nguon"]):
        assert talk(reader, *lines) is None


def test_a_report_has_no_risk_of_its_own(reader: App) -> None:
    """It is no offer, so that nothing was weighed; after an offer it keeps that one's."""
    assert talk(reader, REPORT) == Observation("none", "unknown", "unknown", "papers")
    after_an_offer = talk(reader, LURE, HELD)
    assert after_an_offer
    assert (after_an_offer.risk, after_an_offer.flag) == ("high", "force")


def test_who_is_held_abroad_is_counted_as_abroad(reader: App) -> None:
    """Until they name the province that they come from; the first one that is named stays."""
    assert talk(reader, HELD) == Observation("none", "neighbours", "abroad", "force")
    assert talk(reader, HELD, "em que lao cai") == Observation("none", "neighbours", "N15", "force")
    later = talk(reader, HELD, "em que lao cai", "me em o ca mau")
    assert later
    assert later.province == "N15"


def test_who_tells_of_somebody_else_abroad_is_not_abroad(reader: App) -> None:
    """Where the writer is was not told."""
    seen = talk(reader, "con gai toi bi nhot o campuchia, xin cuu chau")
    assert seen
    assert (seen.topic, seen.province) == ("neighbours", "unknown")


def test_a_province_is_where_an_offer_was_told_of(reader: App) -> None:
    """Named with it, or at any time before."""
    seen = talk(reader, "em o ha giang, co nguoi ru di thai ban ve so luong 20tr/thang")
    assert seen == Observation("medium", "neighbours", "N08", "pay")


def test_the_exit_word_keeps_what_was_counted_and_deletion_forgets_it(reader: App) -> None:
    """ "thoat" ends a talk that took place; "xoa" makes it one that did not."""
    assert talk(reader, LURE, "thoat") == SEEN
    assert talk(reader, REPORT, "thoat") == Observation("none", "unknown", "unknown", "papers")
    assert talk(reader, LURE, "xoa") is None
    assert talk(reader, LURE, "xoa", "alo") is None


def test_after_half_an_hour_a_new_talk_begins_with_nothing(reader: App) -> None:
    """What was seen before belongs to the talk before."""
    assert talk(reader, LURE, 31, "alo") is None
    assert talk(reader, LURE, 31, REPORT) == Observation("none", "unknown", "unknown", "papers")


@pytest.mark.parametrize(
    ("flags", "signs", "country", "topic", "group"),
    [
        (["surrogacy_organ"], [], "TH", "surrogacy_organ", "body"),
        (["marriage_broker", "unrealistic_pay"], [], "CN", "marriage", "body"),
        (["scam_compound_destination"], [], "KH", "online_neighbours", "compound"),
        (["upfront_fee"], ["online_task"], None, "online_home", "money"),
        (["unrealistic_pay"], [], "LA", "neighbours", "pay"),
        ([], [], "JP", "east_asia", "none"),
        ([], [], "VN", "home", "none"),
        (["urgency"], [], None, "unknown", "stranger"),
        (["urgency", "violence_threat", "minor"], [], None, "unknown", "force"),
    ],
)
def test_a_topic_and_a_group_are_found(
    flags: list[str], signs: list[str], country: str | None, topic: str, group: str
) -> None:
    """The first topic whose conditions all hold, and the group of the gravest flag, in whatever order they come."""
    for given in (flags, flags[::-1]):
        seen = observe(library(), risk="high", flags=given, signs=signs, country=country, province="N01")
        assert (seen.topic, seen.flag) == (topic, group)


def test_t_11_whatever_is_seen_is_a_closed_word() -> None:
    """Every flag, every sign and every country, also one that we do not know, comes out as a word of content/trends.yml."""
    words = library().trends
    for flag in [*library().red_flags, None]:
        for country in [*library().countries, "XX", None]:
            seen = observe(
                library(), risk="low", flags=[flag] if flag else [], signs=[], country=country, province="abroad"
            )
            assert seen.topic in {topic.id for topic in words.topics}
            assert seen.flag in {group.id for group in words.flags}
            assert (seen.flag == "none") == (flag is None)


# -- when it is counted ------------------------------------------------------------------------------------------------


def test_a_talk_is_counted_once_it_is_over(counted: App) -> None:
    """Not while it goes on; half an hour after its last message the next look counts it."""
    counted.processor.handle(message(LURE, at=MONDAY))
    counted.clock = lambda: MONDAY + dt.timedelta(minutes=29)
    counted.forget()
    assert rows(counted.trends, t.ledger) == []
    counted.clock = lambda: MONDAY + dt.timedelta(minutes=31)
    counted.forget()
    assert somewhere(exact(counted.trends, WEEK)) == {"risk": {"high": 1}, "topic": {"neighbours": 1}}


def test_who_comes_back_after_half_an_hour_is_counted_once(counted: App) -> None:
    """The new message finds the old talk over, and nobody waits for the count: the next look does it, and none does it again."""
    counted.processor.handle(message(LURE, at=MONDAY))
    counted.processor.handle(message("alo", number=2, at=MONDAY + dt.timedelta(minutes=31)))
    assert rows(counted.trends, t.ledger) == []
    counted.clock = lambda: MONDAY + dt.timedelta(minutes=32)
    counted.forget()
    assert somewhere(exact(counted.trends, WEEK))["risk"] == {"high": 1}
    counted.clock = lambda: MONDAY + dt.timedelta(minutes=90)
    counted.forget()
    assert somewhere(exact(counted.trends, WEEK))["risk"] == {"high": 1}
    assert len(rows(counted.trends, t.ledger)) == 3


def test_a_talk_counts_for_the_week_of_its_last_message(counted: App) -> None:
    """Whoever counts it, and however late."""
    late = MONDAY + dt.timedelta(days=6, hours=13, minutes=50)  # Sunday, ten minutes before midnight in Viet Nam
    counted.trends.open_periods(late + dt.timedelta(hours=1))
    counted.processor.handle(message(LURE, at=late))
    counted.clock = lambda: late + dt.timedelta(minutes=45)
    counted.forget()
    assert somewhere(exact(counted.trends, WEEK))["risk"] == {"high": 1}
    assert somewhere(exact(counted.trends, "2026-W49")) == {"risk": {}, "topic": {}}


def test_who_deletes_everything_before_the_talk_was_counted_is_not_counted(counted: App) -> None:
    """Also where the wish comes as the first message of a new talk, and on every kind of channel."""
    for channel in ("web", "sms"):
        for silence in (1, 31):
            who, later = f"+849123456{silence:02}", MONDAY + dt.timedelta(minutes=silence)
            counted.processor.handle(message(LURE, to=who, channel=channel, at=MONDAY))
            counted.processor.handle(message("xoa", to=who, channel=channel, number=2, at=later))
        counted.processor.handle(message(LURE, to=f"+8491{channel}", channel=channel, at=MONDAY))
        for number, words in enumerate(("alo", "xoa"), 2):  # the talk that was over waits for its count
            back = MONDAY + dt.timedelta(minutes=31)
            counted.processor.handle(message(words, to=f"+8491{channel}", channel=channel, number=number, at=back))
    counted.clock = lambda: MONDAY + dt.timedelta(hours=2)
    counted.forget()
    assert rows(counted.trends, t.ledger) == []


def test_nothing_is_counted_where_trends_are_off(sqlite_house: App) -> None:
    """As config.yml is shipped: no store of trends is even made."""
    sqlite_house.processor.handle(message(LURE, at=MONDAY))
    sqlite_house.clock = lambda: MONDAY + dt.timedelta(hours=1)
    sqlite_house.forget()
    assert not list(sqlite_house.config.home.glob("trend*"))


def test_the_same_person_is_known_by_the_processor_and_by_the_look(counted: App) -> None:
    """Counted by the one and then by the other in one week: one tag, one person; another line is another one."""
    counted.processor.handle(message(LURE, at=MONDAY))
    counted.processor.handle(message(LURE, number=2, at=MONDAY + dt.timedelta(minutes=40)))
    counted.clock = lambda: MONDAY + dt.timedelta(hours=2)
    counted.forget()
    assert len(rows(counted.trends, t.ledger)) == 3
    counted.processor.handle(message(LURE, channel="sms", to="+84912345678", at=MONDAY))
    counted.forget()
    assert len(rows(counted.trends, t.ledger)) == 6
