"""A person who writes to an operator must not meet silence: calls, then the truth (S-28)."""

import datetime as dt

import pytest

from bot.hotline import answering, relay
from bot.hotline.cases import PERSON, Case, add_words, read_row
from bot.hotline.clocks import Done
from bot.messages import Address
from bot.store import tables
from bot.testing import START
from tests.test_clocks import MINUTE, Line, a_clock
from tests.test_clocks import line as line


class Talk(Line):
    """A case in An's hands, with Binh on duty beside her."""

    def begin(self, **about: object) -> "Talk":
        self.colleagues("An", "Binh")
        self.id = self.case(address=Address("telegram", "77"), **about)
        self.claim(self.id, START)
        return self

    @property
    def file(self) -> Case:
        (row,) = (row for row in self.rows(tables.cases) if row.id == self.id)
        return read_row(self.keyring, row)

    def says(self, who: str, at: dt.datetime) -> None:
        case = self.file
        with self.database.begin() as connection:
            add_words(connection, self.keyring, case, who, ["chị ơi"], at)

    def answers(self, at: dt.datetime) -> None:
        self.says(next(iter(self.names)), at)
        self.change(tables.cases, self.id, relay_since=at)

    def wait(self, until: dt.datetime) -> Done:
        """Passes every half minute; what they did together."""
        done, now = Done(), START
        while now <= until:
            with self.database.begin() as connection:
                done += answering.look(connection, self.keyring, self.clock, now)
            now += MINUTE / 2
        return done


@pytest.fixture
def talk(line: Line) -> Talk:
    return Talk(line.database, a_clock()).begin()


def test_s_28_whose_words_are_not_answered_the_owner_and_then_everybody_hears(talk: Talk) -> None:
    """The owner after five minutes, everybody on duty after ten, each once; after fifteen the person reads the truth."""
    talk.answers(START)
    talk.says(PERSON, START + MINUTE)
    talk.wait(START + 14 * MINUTE)
    assert talk.calls() == [("An", "telegram", 6), ("An", "telegram", 11), ("Binh", "telegram", 11)]
    assert talk.sent("bot") == []
    talk.wait(START + 40 * MINUTE)
    (told,) = talk.sent("bot")
    assert told.created_at is not None
    assert len(talk.calls()) == 3


def test_s_28_the_line_goes_back_to_the_bot_when_nobody_answers(talk: Talk) -> None:
    """The bot may speak again, and does; the case stays with its owner."""
    talk.answers(START)
    talk.says(PERSON, START + MINUTE)
    talk.wait(START + 17 * MINUTE)
    assert talk.file.relay_since is None
    assert talk.file.owner_id is not None
    kinds = [row.kind for row in sorted(talk.rows(tables.case_events), key=lambda row: row.position)]
    assert kinds == ["paged", "paged", "paged", "relay_off", "nobody_came"]


def test_s_28_who_is_answered_in_time_hears_nothing_of_it(talk: Talk) -> None:
    """A word of the operator's ends the waiting, however many words of the person's came before it."""
    talk.answers(START)
    for minute in range(1, 4):
        talk.says(PERSON, START + minute * MINUTE)
    talk.answers(START + 5 * MINUTE)
    assert not talk.wait(START + 60 * MINUTE)


def test_s_28_it_counts_from_the_first_word_that_nobody_answered(talk: Talk) -> None:
    """Who goes on writing is not put off by every word."""
    talk.answers(START)
    for minute in range(1, 15):
        talk.says(PERSON, START + minute * MINUTE)
    talk.wait(START + 17 * MINUTE)
    assert len(talk.sent("bot")) == 1


def test_s_28_a_cry_that_is_claimed_and_not_answered_is_not_forgotten(talk: Talk) -> None:
    """Also before the first word of the operator: from the claim on."""
    talk.says(PERSON, START - MINUTE)
    talk.wait(START + 17 * MINUTE)
    assert talk.calls()[0] == ("An", "telegram", 5)
    assert len(talk.sent("bot")) == 1


def test_a_report_that_nobody_talks_about_live_waits_in_peace(line: Line) -> None:
    """Only a live talk and danger to life are hurried."""
    talk = Talk(line.database, a_clock()).begin(priority="P2")
    talk.says(PERSON, START + MINUTE)
    assert not talk.wait(START + 60 * MINUTE)


def test_s_10_nothing_is_said_hours_later_or_to_who_is_watched(line: Line) -> None:
    """After a standstill the truth of long ago is no news; and somebody may read along."""
    talk = Talk(line.database, a_clock()).begin(watched=True)
    talk.answers(START)
    talk.says(PERSON, START + MINUTE)
    talk.wait(START + 30 * MINUTE)
    assert talk.sent("bot") == []
    assert talk.file.relay_since is None
    late = Talk(line.database, a_clock())
    late.names = talk.names
    late.id = late.case(address=Address("telegram", "78"))
    late.claim(late.id, START)
    late.says(PERSON, START)
    with late.database.begin() as connection:
        answering.look(connection, late.keyring, late.clock, START + dt.timedelta(hours=2))
    assert late.sent("bot") == []


def test_passes_at_the_same_time_do_each_step_once(talk: Talk) -> None:
    """Two passes in one moment call once."""
    talk.answers(START)
    talk.says(PERSON, START + MINUTE)
    for _ in range(3):
        with talk.database.begin() as connection:
            answering.look(connection, talk.keyring, talk.clock, START + 7 * MINUTE)
    assert len(talk.calls()) == 1
    assert relay.TALK > answering.HONEST_AFTER
