"""From trend to alert: what the page of alerts proposes when a released series rises, and what a person makes of it."""

import datetime as dt
import html
import logging
import re
import sys
from typing import Any

import pytest
from sqlalchemy import select, text

from bot.app import App
from bot.outreach.audience import Audience
from bot.outreach.broadcasts import find
from bot.store import tables as t
from bot.store.trend_database import FILE
from bot.testing import FakeClock
from bot.trends.periods import period_named
from bot.web.console.alert_proposals import ASIDE, TAKEN, Proposal, form_of, from_trends, provinces_of, template_of
from tests.broadcasting import NOON
from tests.colleagues import join
from tests.console_pages import words
from tests.console_site import Desk
from tests.test_alert_pages import ALERTS, Room
from tests.trend_releases import release, weekly
from tests.trending import counting

DAY = dt.timedelta(days=1)
TOLD, ENGLISH = words("vi"), words("en")
UNTIL = {"until_day": "2026-12-01", "until_hour": "18:00"}
STEADY = [40, 41, 39, 40]


@pytest.fixture
def room(house: App) -> Any:
    room = Room(counting(house))
    yield room
    house.trends.database.close()


@pytest.fixture
def small_room(sqlite_house: App) -> Any:
    room = Room(counting(sqlite_house))
    yield room
    sqlite_house.trends.database.close()


@pytest.fixture
def counted(sqlite_house: App) -> Any:
    """Without anybody at the console."""
    sqlite_house.clock = FakeClock(NOON)
    yield counting(sqlite_house)
    sqlite_house.trends.database.close()


def _rise(house: App, cell: str = "online_neighbours", table: str = "topic", to: int = 160) -> None:
    """Four steady weeks, and the last one before NOON with many more people; another cell stays as it is."""
    other = cell.rpartition("/")[0] + "/home" if "/" in cell else "other"
    weekly(house.trends.database, table, {cell: [*STEADY, to], other: [*STEADY, 40]}, "2026-W43")


def _page(desk: Desk) -> str:
    return html.unescape(desk.get(ALERTS).text)


def _keys(desk: Desk) -> list[str]:
    return re.findall(r"new\?proposal=(\w+)", desk.get(ALERTS).text)


def _fields(page: str) -> dict[str, str]:
    """What a browser would send of the form that keeps."""
    form = page.split('class="desk alert-form"')[1]
    fields = {}
    for tag in re.findall(r"<input[^>]*>", form):
        given = {name: html.unescape(value) for name, value in re.findall(r'([\w-]+)="([^"]*)"', tag)}
        chosen = given.get("type") not in ("checkbox", "radio") or tag.endswith("checked>")
        if "name" in given and chosen and given["name"] != "csrf":
            fields[given["name"]] = given.get("value", "")
    for name, value in re.findall(r'<textarea[^>]* name="([\w-]+)"[^>]*>([^<]*)</textarea>', form):
        fields[name] = html.unescape(value)
    for name, options in re.findall(r'<select[^>]* name="([\w-]+)">(.*?)</select>', form):
        fields[name] = next(iter(re.findall(r'value="(\w*)" selected', options)), "")
    return fields


def _decisions(room: Room) -> list[tuple[str, str, dt.datetime]]:
    with room.house.database.begin() as connection:
        rows = connection.execute(select(t.audit).where(t.audit.c.action.in_([ASIDE, TAKEN])))
        return [(row.action, row.actor, row.at.replace(tzinfo=dt.UTC)) for row in rows]


# -- from the proposal to the draft ------------------------------------------------------------------------------------


def test_what_rises_is_proposed_written_and_sent_as_usual(room: Room) -> None:
    """What, where, when, by how much and how sure; one click opens the form; previewed, kept and submitted like any other."""
    _rise(room.house)
    page = _page(room.an)
    topic = next(one for one in room.house.library.trends.topics if one.id == "online_neighbours")
    rose = TOLD["alert_proposals"]["rose"].partition("Tăng")[0]
    told = (
        topic.title.vi, TOLD["alert_proposals"]["week"].format(first="16/11", last="22/11/2026"),
        rose.format(place=TOLD["alert_proposals"]["everywhere"], number="160", off_by=12, usual="40"),
        room.house.library.alerts["chat_jobs"].title.vi,
    )  # fmt: skip
    assert [one for one in told if one not in page] == []
    (key,) = _keys(room.an)
    fields = _fields(room.an.get(f"{ALERTS}/new?proposal={key}").text)
    assert (fields["template"], fields["interest"], fields["proposal"]) == ("chat_jobs", "abroad", key)
    seen = room.an.post(f"{ALERTS}/preview", **{**fields, **UNTIL})
    assert seen.status_code == 200
    assert _fields(seen.text)["proposal"] == key
    assert _drafts(room) == []
    kept = room.an.post(f"{ALERTS}/new", **{**fields, **UNTIL})
    reference = kept.headers["location"].rsplit("/", 1)[1]
    assert (room.row(reference).status, room.row(reference).author_id) == ("draft", room.an.who.account.id)
    assert _keys(room.binh) == []
    assert [(action, actor) for action, actor, _ in _decisions(room)] == [(TAKEN, room.an.who.account.id)]
    assert room.do(room.an, reference, "submit").status_code == 303
    assert room.row(reference).status == "scheduled"


def _drafts(room: Room) -> list[Any]:
    with room.house.database.begin() as connection:
        return list(connection.execute(select(t.broadcasts)))


def test_looking_at_a_proposal_writes_nothing(small_room: Room) -> None:
    """Neither the page nor the form decides anything: a second person sees it too."""
    _rise(small_room.house)
    (key,) = _keys(small_room.an)
    small_room.an.get(f"{ALERTS}/new?proposal={key}")
    assert _keys(small_room.binh) == [key]
    assert (_drafts(small_room), _decisions(small_room)) == ([], [])


def test_what_could_not_be_kept_leaves_the_proposal_there(small_room: Room) -> None:
    """Without a day until when it is true: the form comes again, with its proposal, and nobody has decided."""
    _rise(small_room.house)
    (key,) = _keys(small_room.an)
    fields = _fields(small_room.an.get(f"{ALERTS}/new?proposal={key}").text)
    again = small_room.an.post(f"{ALERTS}/new", **fields)
    assert (again.status_code, _fields(again.text)["proposal"]) == (400, key)
    assert _keys(small_room.an) == [key]


def test_another_template_may_be_taken(small_room: Room) -> None:
    """Or none: the audience, the source and the proposal stay."""
    weekly(small_room.house.trends.database, "province_topic", {"N40/neighbours": [*STEADY, 200]}, "2026-W43")
    (key,) = _keys(small_room.an)
    fitting, other, free = (
        _fields(small_room.an.get(f"{ALERTS}/new?{more}proposal={key}").text)
        for more in ("", "template=chat_jobs&", "template=&")
    )
    assert [one["template"] for one in (fitting, other, free)] == ["offer_near_you", "chat_jobs", ""]
    assert all((one["province-N40"], one["proposal"]) == ("yes", key) for one in (fitting, other, free))
    assert fitting["blank-place-vi"] == "Nghệ An"
    assert free["text-vi"] == ""
    assert free["source_date"] == fitting["source_date"] == "2026-11-22"
    assert free["title"].endswith(": Nghệ An")


def test_a_draft_from_a_proposal_is_for_the_places_that_rose(small_room: Room) -> None:
    """Kept, it says who it is for and where the news is from."""
    weekly(small_room.house.trends.database, "region_topic", {"mekong/marriage": [*STEADY, 200]}, "2026-W43")
    (key,) = _keys(small_room.an)
    fields = _fields(small_room.an.get(f"{ALERTS}/new?proposal={key}").text)
    kept = small_room.an.post(f"{ALERTS}/new", **{**fields, **UNTIL})
    with small_room.house.database.begin() as connection:
        draft = find(connection, small_room.house.database.keyring, kept.headers["location"].rsplit("/", 1)[1])
    assert draft
    assert isinstance(draft.plan.audience, Audience)
    assert set(draft.plan.audience.provinces) == {"N91", "N82", "N92", "N86", "N96"}
    assert draft.plan.audience.interest == "marriage_study"
    assert draft.plan.words.template == "matchmaker"


# -- what is proposed --------------------------------------------------------------------------------------------------


def test_places_where_the_same_lure_rose_are_one_proposal(small_room: Room) -> None:
    """The greatest rise first, each with its own number; the audience is all of them together."""
    cells = {"N40/neighbours": [*STEADY, 200], "N42/neighbours": [*STEADY, 300], "N42/china": [*STEADY, 150]}
    weekly(small_room.house.trends.database, "province_topic", cells, "2026-W43")
    first, second = from_trends(small_room.house)
    library = small_room.house.library
    assert (first.about, provinces_of(library, first)) == ("neighbours", ["N42", "N40"])
    assert (second.about, provinces_of(library, second)) == ("china", ["N42"])
    page = _page(small_room.an)
    assert page.index("Hà Tĩnh: 300") < page.index("Nghệ An: 200") < page.index("Hà Tĩnh: 150")


def test_what_has_no_template_is_written_freely(small_room: Room) -> None:
    """A topic without one, a group of signs, a province: the form comes with everything but words."""
    database = small_room.house.trends.database
    _rise(small_room.house, "surrogacy_organ")
    for month, number in (("2026-08", 60), ("2026-09", 60), ("2026-10", 400)):
        release(database, month, {"province": {"N15": number}, "flag": {"papers": number, "none": number}})
    proposals = from_trends(small_room.house)
    assert {(one.table, one.about) for one in proposals} == {
        ("topic", "surrogacy_organ"),
        ("province", ""),
        ("flag", "papers"),
    }
    for one in proposals:
        assert template_of(small_room.house.library, one) is None
        fields = form_of(small_room.house, one, ("telegram",), None)
        assert not fields.get("text-vi")
        assert fields["title"]
        assert fields["source_name"]
    page = _page(small_room.an)
    assert page.count(TOLD["alerts"]["proposal_free"]) == 3
    assert TOLD["alert_proposals"]["month"].format(month=10, year=2026) in page


def test_nobody_is_warned_of_a_place_that_was_not_told(counted: App) -> None:
    """People abroad, people who told no province, talks without any sign, and levels of risk make no proposal."""
    rising = [*STEADY, 300]
    for number, period in enumerate(["2026-W43", "2026-W44", "2026-W45", "2026-W46", "2026-W47"]):
        many = rising[number]
        tables = {
            "province": {"abroad": many, "unknown": many}, "province_topic": {"abroad/home": many, "unknown/home": many},
            "flag": {"none": many}, "risk": {"high": many, "none": many},
        }  # fmt: skip
        release(counted.trends.database, period, tables)
    assert from_trends(counted) == []


def test_every_lure_and_every_sign_can_be_told(reader: App) -> None:
    """Whatever may rise has a title in both languages, and a topic's template is there."""
    library = reader.library
    for topic in library.trends.topics:
        proposal = Proposal("topic", period_named("2026-W47"), topic.id, ())
        assert (template_of(library, proposal) is not None) == (topic.alert is not None), topic.id
    for language in ("vi", "en"):
        assert set(library.console(language)["alert_proposals"]) >= {"week", "month", "quarter"}


def test_t_03_a_number_below_the_threshold_is_shown_nowhere(small_room: Room) -> None:
    """From 7 to 130: the page says fewer than 11 before, and counts the rise from there."""
    weekly(small_room.house.trends.database, "topic", {"china": [7, 7, 7, 7, 130]}, "2026-W43")
    (proposal,) = from_trends(small_room.house)
    page = _page(small_room.an)
    assert TOLD["alert_proposals"]["few"].format(threshold=11) in page
    assert proposal.rises[0].usual is None
    assert "123" not in page.split(TOLD["alerts"]["proposals"])[1].split("</section>")[0].replace(proposal.key, "")


def test_what_does_not_rise_is_not_proposed(counted: App) -> None:
    """Steady weeks, and nothing released at all."""
    assert from_trends(counted) == []
    _rise(counted, to=44)
    assert from_trends(counted) == []


# -- a person decides --------------------------------------------------------------------------------------------------


def test_a_proposal_is_put_aside_for_everybody(room: Room) -> None:
    """Who and when stands in the audit; others stay; a second time there is nothing left to decide."""
    weekly(room.house.trends.database, "topic", {"china": [*STEADY, 160], "gulf": [*STEADY, 190]}, "2026-W43")
    gulf, china = _keys(room.an)
    assert room.an.post(f"{ALERTS}/proposals/aside", proposal=china).headers["location"] == ALERTS
    assert _keys(room.an) == _keys(room.binh) == [gulf]
    assert _decisions(room) == [(ASIDE, room.an.who.account.id, room.clock.now)]
    again = room.binh.post(f"{ALERTS}/proposals/aside", proposal=china)
    assert again.status_code == 409
    assert TOLD["alert_conflicts"]["no_proposal"] in html.unescape(again.text)
    assert room.binh.get(f"{ALERTS}/new?proposal={china}").status_code == 409
    assert len(_decisions(room)) == 1
    assert {ASIDE, TAKEN} <= TOLD["audit_actions"].keys() & ENGLISH["audit_actions"].keys()


def test_what_was_put_aside_comes_back_when_it_rises_again(small_room: Room) -> None:
    """A decision is about one release: the next week is another one."""
    _rise(small_room.house)
    (key,) = _keys(small_room.an)
    small_room.an.post(f"{ALERTS}/proposals/aside", proposal=key)
    small_room.clock.advance(7 * DAY)
    release(small_room.house.trends.database, "2026-W48", {"topic": {"online_neighbours": 900, "other": 40}})
    (another,) = (one.key for one in from_trends(small_room.house))
    assert another != key


def test_only_what_is_proposed_can_be_decided(small_room: Room) -> None:
    """A key that somebody made up is refused, and is no reason to write anything down."""
    _rise(small_room.house)
    for key in ("", "0" * 64, "'; --"):
        assert small_room.an.post(f"{ALERTS}/proposals/aside", proposal=key).status_code == 409
    assert small_room.an.get(f"{ALERTS}/new?proposal={'0' * 64}").status_code == 409
    kept = small_room.an.post(
        f"{ALERTS}/new", title="Tin", **{"text-vi": "Chào", "channel-sms": "yes", "proposal": "x"}, **UNTIL
    )
    assert kept.status_code == 303
    assert _decisions(small_room) == []


def test_who_may_only_see_alerts_decides_nothing(small_room: Room) -> None:
    """A supervisor reads what is proposed and has no button; who does not see alerts sees nothing of it."""
    _rise(small_room.house)
    (key,) = _keys(small_room.an)
    page = small_room.chi.get(ALERTS).text
    assert TOLD["alerts"]["proposals"] in html.unescape(page)
    assert "proposals/aside" not in page
    assert "?proposal=" not in page
    others = [small_room.chi]
    for role in ("operator", "analyst", "editor", "admin"):
        who = join(small_room.house, f"one.{role}", role, now=small_room.clock.now, name=role)
        others.append(Desk(small_room.site, who))
        assert others[-1].get(ALERTS).status_code == 403
    for desk in others:
        assert desk.get(f"{ALERTS}/new?proposal={key}").status_code == 403
        assert desk.post(f"{ALERTS}/proposals/aside", proposal=key).status_code == 403
    assert _decisions(small_room) == []


# -- its end -----------------------------------------------------------------------------------------------------------


def test_a_proposal_is_gone_with_the_next_release(counted: App) -> None:
    """As soon as there are newer numbers of its table."""
    _rise(counted)
    assert len(from_trends(counted)) == 1
    release(counted.trends.database, "2026-W48", {"topic": {"online_neighbours": 70, "other": 40}})
    assert from_trends(counted) == []


def test_a_proposal_is_gone_when_the_next_release_was_due(counted: App) -> None:
    """Whatever became of that: nobody is warned by numbers of the week before last."""
    _rise(counted)
    due = period_named("2026-W48").over_at + counted.trends.closes_after
    counted.clock = FakeClock(due - dt.timedelta(seconds=1))
    assert len(from_trends(counted)) == 1
    counted.clock = FakeClock(due)
    assert from_trends(counted) == []


# -- where there are no trends -----------------------------------------------------------------------------------------


def test_without_trends_the_page_is_as_it_was(sqlite_house: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counting is off: nothing is proposed, the trends' store is not even made, and neither OpenDP nor a chart is needed."""
    for library in ("opendp", "vl_convert", "altair"):
        monkeypatch.setitem(sys.modules, library, None)
    room = Room(sqlite_house)
    assert TOLD["alerts"]["proposals"] not in _page(room.an)
    assert "trends" not in sqlite_house.__dict__
    assert not (sqlite_house.config.home / FILE).exists()


def test_what_was_released_is_proposed_without_opendp(small_room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """Noise is for releasing; reading needs none."""
    for library in ("opendp", "vl_convert", "altair"):
        monkeypatch.setitem(sys.modules, library, None)
    _rise(small_room.house)
    assert len(_keys(small_room.an)) == 1


def test_alerts_go_on_where_the_trends_cannot_be_read(small_room: Room, caplog: pytest.LogCaptureFixture) -> None:
    """A damaged store: the page shows all else, one line says why, and a draft is written as ever."""
    small_room.write()
    with small_room.house.trends.database.begin() as connection:
        connection.execute(text("DROP TABLE releases"))
    with caplog.at_level(logging.ERROR, "banduong"):
        page = _page(small_room.an)
    assert "Việc ở vùng cao" in page
    assert TOLD["alerts"]["proposals"] not in page
    (line,) = (one.getMessage() for one in caplog.records)
    assert line.startswith("no alert can be proposed")
    assert small_room.an.get(f"{ALERTS}/new?proposal={'0' * 64}").status_code == 409
    assert small_room.write()


def test_alerts_go_on_where_the_trends_cannot_be_opened(sqlite_house: App, caplog: pytest.LogCaptureFixture) -> None:
    """No file of ours stands there."""
    room = Room(counting(sqlite_house))
    (sqlite_house.config.home / FILE).write_bytes(b"no database" * 1000)
    with caplog.at_level(logging.ERROR, "banduong"):
        assert room.an.get(ALERTS).status_code == 200
    assert len(caplog.records) == 1
