"""What somebody who said yes to news wants to hear of: in the talk, in the store, and gone on their word. On both databases."""

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from bot import contacts, subscriptions
from bot.app import App
from bot.channels.base import CAPABILITIES
from bot.channels.sms_text import sms_text
from bot.conversation import places
from bot.conversation.replies import Speaker, joined
from bot.delivery.render import render
from bot.messages import ALL, Address
from bot.store import tables
from bot.store.database import utc
from bot.testing import START
from tests.conftest import ROOT, message
from tests.people import agree_to_news

HOUR = dt.timedelta(hours=1)
HELD = "cuu em voi em bi nhot o bavet"


@pytest.fixture
def house(house: App, reader: App) -> App:
    """Each test has a database of its own; what only reads is built once for all of them."""
    house.__dict__.update(library=reader.library, interpreter=reader.interpreter, policy=reader.policy)
    return house


def say(house: App, *texts: str, to: str = "42", channel: str = "telegram", at: dt.datetime = START) -> None:
    for text in texts:
        number = int(at.timestamp()) + texts.index(text)
        at += dt.timedelta(seconds=20)
        house.processor.handle(message(text, to=to, channel=channel, number=number, at=at))


def rows(house: App, table: Any) -> list[Any]:
    with house.database.begin() as connection:
        return list(connection.execute(select(table)).all())


def the_one(house: App) -> Any:
    (row,) = rows(house, tables.subscriptions)
    return row


def tags(house: App, province: str | None, interest: str | None) -> tuple[str | None, str | None]:
    keyring = house.database.keyring
    return (
        subscriptions.tag(keyring, "province", province) if province else None,
        subscriptions.tag(keyring, "interest", interest) if interest else None,
    )


# -- in the talk -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("texts", "province", "interest", "offset"),
    [
        (["DANG KY"], None, None, 420),
        (["DANG KY NGHE AN"], "N40", None, 420),
        (["dk nhan tin o ha tinh", "1"], "N42", "abroad", 420),
        (["dang ky", "em o quang binh", "du hoc"], "N44", "marriage_study", 420),
        (["dang ky", "em dang o dai loan", "2"], None, "home", 480),
        (["dang ky", "que nghe an, dang o nhat", "tat ca"], "N40", None, 540),
        (["dang ky", "di thai lam quan bar luong 20tr ho bao ve"], None, None, 420),
        (["dang ky nghe an", "1", "dang ky", "bo qua", "bo qua"], "N40", "abroad", 420),
        (["dang ky nghe an", "1", "DANG KY HA TINH", "tat ca"], "N42", None, 420),
        (["dang ky nghe an", "1", "dang ky", "ca nuoc", "2"], None, "home", 420),
    ],
)
def test_what_was_said_stands_in_the_store(
    house: App, texts: list[str], province: str | None, interest: str | None, offset: int
) -> None:
    """From the first message on; a later word changes what it names and leaves the rest."""
    say(house, texts[0])
    assert the_one(house).source == "conversation"
    for number, text in enumerate(texts[1:], 1):
        say(house, text, at=START + number * dt.timedelta(minutes=2))
    row = the_one(house)
    assert (row.province, row.interest) == tags(house, province, interest)
    assert (row.utc_offset, row.language) == (offset, "vi")
    assert [one.purpose for one in rows(house, tables.consents)] == ["alerts"]


def test_the_language_is_that_of_the_talk(house: App) -> None:
    """Who signs up in English gets news in English."""
    say(house, "subscribe Nghe An")
    assert the_one(house).language == "en"


def test_s_34_after_a_no_an_answer_that_was_still_open_is_no_new_yes(house: App) -> None:
    """The no came from the person's other line; the number typed here changes nothing."""
    say(house, "dang ky nghe an")
    with house.database.begin() as connection:
        (address,) = connection.execute(select(tables.addresses.c.id)).scalars()
        contacts.withdraw_consent(connection, house.database.keyring, address, "alerts", "stop", START + HOUR / 4)
    say(house, "1", at=START + HOUR / 3)
    assert the_one(house).interest is None
    assert [one.withdrawn_at is None for one in rows(house, tables.consents)] == [False]


def test_a_no_keeps_what_was_said_and_a_new_yes_begins_anew(house: App) -> None:
    """The row stays; since when somebody is with us counts from the new yes."""
    say(house, "dang ky nghe an", "stop")
    before = the_one(house)
    say(house, "dang ky", at=START + HOUR)
    after = the_one(house)
    assert after.province == before.province
    assert utc(before.joined_at) < START + HOUR < utc(after.joined_at)
    say(house, "dang ky", at=START + 2 * HOUR)
    assert the_one(house).joined_at == after.joined_at


def test_s_09_after_a_case_the_yes_counts_from_the_new_one(house: App) -> None:
    """What was wanted is remembered, but nothing is sent before they say yes again."""
    say(house, "dang ky nghe an", HELD)
    assert counted(house) == []
    say(house, "dang ky", at=START + HOUR)
    assert counted(house) == [("telegram", tags(house, "N40", None)[0], 1)]
    assert utc(the_one(house).joined_at) > START + HOUR


def counted(house: App) -> list[tuple[str, str | None, int]]:
    with house.database.begin() as connection:
        return [(row.channel, row.province, row.people) for row in subscriptions.counts(connection)]


@pytest.mark.parametrize("words", ["dang ky nghe an", "đăng ký", "cho em dang ky nhan tin"])
def test_the_web_page_signs_nobody_up(house: App, words: str) -> None:
    """It cannot be reached later, so no yes is taken there."""
    say(house, words, "co", channel="web")
    assert rows(house, tables.consents) == rows(house, tables.subscriptions) == []


@pytest.mark.parametrize("channel", ["telegram", "web", "sms"])
def test_d_03_xoa_takes_along_what_was_wanted(house: App, channel: str) -> None:
    """At once, also where the address waits for the word that confirms it."""
    to = "+84912345678"
    say(house, "alo", to=to, channel=channel)
    with house.database.begin() as connection:
        contact = contacts.find(connection, house.database.keyring, Address(channel, to))
        assert contact
        agree_to_news(connection, house.database, contact, START)
        wanted(house, connection, contact, "N40", START)
    assert the_one(house)
    say(house, "xoa", to=to, channel=channel, at=START + HOUR)
    assert rows(house, tables.subscriptions) == []


def wanted(house: App, connection: Any, contact: contacts.Contact, province: str, now: dt.datetime) -> None:
    subscriptions.subscribe(
        connection, house.database.keyring, contact,
        province=province, interest=None, language="vi", source="conversation", now=now,
    )  # fmt: skip


def test_the_database_alone_tells_no_province(sqlite_house: App) -> None:
    """Neither its code nor its name stands in the files; the digest does."""
    say(sqlite_house, "dang ky nghe an", "1")
    files = b"".join(path.read_bytes() for path in sqlite_house.config.home.glob("banduong.db*"))
    assert [one for one in ("N40", "Nghệ An", "nghe an", "NGHE AN", "abroad") if one.encode() in files] == []
    province, interest = tags(sqlite_house, "N40", "abroad")
    assert province
    assert interest
    assert province.encode() in files
    assert interest.encode() in files


# -- one SMS each ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["vi", "en"])
def test_every_text_about_signing_up_is_one_sms(reader: App, language: str) -> None:
    """The longest province and all interests: 160 units, folded, with their numbers."""
    library, speaker = reader.library, Speaker(reader.library, language)
    interests = (*library.interests, "everything")
    told = speaker.say("subscribed")
    texts = [joined(told, speaker.say("news_place")), speaker.say("news_interest", choices=interests)]
    texts += [
        joined(told, speaker.say("news_interest_in", {"place": province.name}, choices=interests))
        for province in library.provinces
    ]
    texts += [speaker.say(name) for name in ("news_place_again", "news_done")]
    sent = [sms_text(render(text, CAPABILITIES["sms"]).text) for text in texts]
    assert [one.text for one in sent if one.units > 160] == []


# -- places ------------------------------------------------------------------------------------------------------------


def test_every_name_of_a_province_alone_is_its_place(reader: App) -> None:
    """Old and new names, with marks and without, with "em o" in front."""
    library = reader.library
    for province in library.provinces:
        for name in (province.name, province.name.upper(), *province.aliases):
            for text in (name, f"em ở {name} ạ", f"Tỉnh {name}."):
                found = places.named_in(text, library)
                assert found, text
                assert found.province == province.code, text


@pytest.mark.parametrize(
    "text", ["cuu em o nghe an", "bi nhot o lao cai", "em o bavet", "nghe an la gi", "o dau", "em", ""]
)
def test_a_message_that_says_more_is_no_place(reader: App, text: str) -> None:
    """Then everything else has its turn, a cry for help first."""
    assert places.named_in(text, reader.library) is None


# -- clocks ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "offset"),
    [
        ("+84912345678", 420), ("+886912345678", 480), ("+819012345678", 540), ("+85512345678", 420),
        ("+959212345678", 390), ("+4915123456789", 60), ("+447400123456", 0), ("+61412345678", 660),
        ("+971501234567", 240), ("+888", 420), ("nobody", 420),
    ],
)  # fmt: skip
def test_the_clock_of_a_number(number: str, offset: int) -> None:
    """By its country; with summer time the one furthest from Viet Nam's clock; Viet Nam's own where nothing is known."""
    assert subscriptions.offset_of(Address("sms", number), START) == offset
    assert subscriptions.offset_of(Address("telegram", number), START) == 420


def test_the_offsets_of_content_agree_with_the_numbers(reader: App) -> None:
    """Where a country has one clock, the file and the time zone data say the same."""
    for code, number in {"TW": "+886912345678", "JP": "+819012345678", "MM": "+959212345678", "DE": "+4915123456789",
                         "KR": "+821012345678", "AE": "+971501234567", "GB": "+447400123456", "AU": "+61412345678"}.items():  # fmt: skip
        assert reader.library.countries[code].utc_offset == subscriptions.offset_of(Address("sms", number), START)


def test_a_clock_that_was_named_stays(house: App) -> None:
    """A later yes without a country keeps it."""
    say(house, "dang ky", "em dang o dai loan")
    say(house, "DANG KY NGHE AN", at=START + HOUR)
    assert the_one(house).utc_offset == 480


# -- any order ---------------------------------------------------------------------------------------------------------

SAID = st.sampled_from([None, ALL, "N40", "N42"])


@given(said=st.lists(st.tuples(SAID, SAID), min_size=1, max_size=6))
def test_the_last_that_was_said_counts(store: App, said: list[tuple[str | None, str | None]]) -> None:
    """Whatever comes in whatever order: nothing said changes nothing, ALL takes it away."""
    with store.database.begin() as connection:
        keyring = store.database.keyring
        contact = contacts.find_or_create(connection, keyring, Address("telegram", "1"), START)
        expected: list[str | None] = [None, None]
        for turn in [(ALL, ALL), *said]:
            subscriptions.subscribe(
                connection, keyring, contact,
                province=turn[0], interest=turn[1], language="vi", source="conversation", now=START,
            )  # fmt: skip
            expected = [new if new is not None else old for old, new in zip(expected, turn, strict=True)]
        row = connection.execute(select(tables.subscriptions)).one()
        province, interest = (None if code == ALL else code for code in expected)
        assert (row.province, row.interest) == tags(store, province, interest)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> App:
    from bot.config import load_config

    return App(load_config(ROOT / "config.yml", {"BANDUONG_HOME": str(tmp_path_factory.mktemp("store"))}))
