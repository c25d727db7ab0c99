"""What leaves us for others: on what ground, with what on it, and how it is proved afterwards."""

import asyncio
import base64
import contextlib
import datetime as dt
import html
import io
import json
import re
import subprocess
import warnings
import zipfile
from hashlib import sha256
from typing import Any

import httpx
import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError
from starlette.applications import Starlette
from starlette.exceptions import StarletteDeprecationWarning
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bot import audit
from bot.app import App
from bot.config import Secrets, WebhookConfig
from bot.content import Receiver
from bot.conversation.events import AccessAsked, ErasureRequested
from bot.errors import CaseError, ConfigError
from bot.hotline import claims, exports, handing_on, second, webhook, work
from bot.hotline.handing_on import Handoff
from bot.hotline.keys import Operator
from bot.hotline.papers import Paper, pdf
from bot.hours import working_days_later
from bot.letters import fold
from bot.messages import Address, InboundMessage
from bot.service import Service
from bot.store import tables
from bot.store.database import new_id, utc
from bot.web.pages import create_site
from tests.fakes.server import serving
from tests.hotline import REASON, Story, an_operator, logged_in
from tests.pdf_text import text_of

with warnings.catch_warnings():  # Starlette would rather have the next httpx
    warnings.simplefilter("ignore", StarletteDeprecationWarning)
    from fastapi.testclient import TestClient

NOTE = "Nha o Wolframite, me chua biet"
SUMMARY = {"reporter": "Chị gái", "subject": "Em trai", "place": "Tòa nhà Xylophone", "plan": "Gọi lại lúc 21 giờ"}


@pytest.fixture
def story(house: App) -> Story:
    told = Story(house)
    told.does(work.summarise, SUMMARY)
    told.does(work.note, NOTE)
    return told


def refer(story: Story, receiver: str = "vn_111", **more: Any) -> Handoff:
    return story.does(handing_on.refer, story.house.library.receivers[receiver], **more)


def why_not(story: Story, receiver: str = "vn_111") -> str:
    with pytest.raises(CaseError) as refused:
        refer(story, receiver)
    return refused.value.why


# -- the ground --------------------------------------------------------------------------------------------------------


def test_s_22_nothing_is_handed_on_without_its_own_yes(story: Story) -> None:
    """The cry itself opens a case and no more: each receiver needs the yes of its own purpose."""
    assert why_not(story) == "no_yes"
    story.agrees("share_111")
    assert why_not(story, "vn_police") == "no_yes"
    assert refer(story).purpose == "share_111"


def test_s_22_a_no_is_a_no(story: Story) -> None:
    """Whoever refuses is handed on to nobody."""
    story.agrees("share_111", "khong")
    assert why_not(story) == "no_yes"


def test_s_22_a_yes_that_is_taken_back_opens_nothing(story: Story) -> None:
    """After "rut" the same yes no longer counts."""
    story.agrees("share_111")
    story.says("rut")
    assert why_not(story) == "no_yes"


def test_s_21_the_database_itself_refuses_a_handoff_without_its_consent(story: Story) -> None:
    """A row whose consent is of another purpose, or of none, cannot be written, whoever writes it."""
    story.agrees("share_111")
    refer(story)
    with story.house.database.engine.connect() as connection:
        row = dict(connection.execute(select(tables.handoffs)).one()._mapping)
    for changes in ({"purpose": "share_police"}, {"consent_id": new_id()}):
        with pytest.raises(IntegrityError), story.house.database.engine.begin() as connection:
            connection.execute(insert(tables.handoffs).values({**row, "id": new_id(), **changes}))


def test_d_07_without_a_yes_only_danger_to_life_granted_by_a_second_person(story: Story) -> None:
    """The grant becomes the ground, with its reason, and it stands on the sheet."""
    story.granted("share_police")
    made = refer(story, "vn_police")
    sheet = story.does(handing_on.sheet, made.id)
    assert sheet.content["basis"] == "emergency"
    assert sheet.content["consent_words"] is None
    assert sheet.content["reason"] == REASON


def test_d_07_a_grant_holds_for_an_hour(story: Story) -> None:
    """Danger to life is a matter of now: what was granted and not used is asked for again."""
    story.granted("share_police")
    story.now += HOUR
    assert why_not(story, "vn_police") == "no_yes"
    story.granted("share_police")
    assert refer(story, "vn_police").form == "sheet"


@pytest.mark.parametrize(
    ("receiver", "expected"), [("vn_111", ""), ("vn_police", ""), ("mofa_consular", ""), ("ngo_partner", "minor")]
)
def test_d_08_about_a_minor_a_yes_leads_to_the_authorities_only(house: App, receiver: str, expected: str) -> None:
    """To an organisation such a case goes only with a second person's grant; the page says so beforehand."""
    story = Story(house)
    with house.database.engine.begin() as connection:
        connection.execute(update(tables.cases).values(minor=True))
    story.agrees(house.library.receivers[receiver].purpose)
    with house.database.begin() as connection:
        case = claims.held(connection, story.keyring, story.lan, story.reference)[0]
        (option,) = handing_on.options(connection, case, [house.library.receivers[receiver]], story.now)
    assert option.why_not == expected
    if expected:
        assert why_not(story, receiver) == expected
        story.granted("share_ngo")
    assert refer(story, receiver).receiver == receiver


def test_only_the_owner_hands_a_case_on(story: Story) -> None:
    """A colleague who does not hold the case cannot, and neither can one from outside."""
    story.agrees("share_111")
    with story.house.database.begin() as connection:
        other = an_operator(connection, story.keyring, "Other")
    with pytest.raises(CaseError) as refused:
        refer(story, by=other)
    assert refused.value.why == "not_yours"


# -- what stands on it -------------------------------------------------------------------------------------------------


def test_s_14_a_sheet_holds_the_summary_and_no_word_that_was_said(story: Story) -> None:
    """Facts and the operator's summary go along; neither what both sides said nor the notes do."""
    story.speaks("Minh nghe day, Obsidian")
    story.agrees("share_111", "co")
    content = handing_on.canonical(story.does(handing_on.sheet, refer(story).id).content)
    assert [text for text in SUMMARY.values() if text not in content] == []
    assert [word for word in ("Zephyrine", "Quartzite", "Obsidian", "Wolframite") if word in content] == []


def test_the_number_stays_unless_the_person_lets_it_go(story: Story) -> None:
    """The question says that the number is not shown: it needs a yes of its own."""
    story.agrees("share_111")
    assert story.does(handing_on.sheet, refer(story).id).content["number"] is None
    story.agrees("reveal")
    assert story.does(handing_on.sheet, refer(story).id).content["number"] == story.person.identifier


def test_a_grant_to_see_the_number_does_not_break_the_promise_to_the_person(story: Story) -> None:
    """A second person lets an operator see the number; on a sheet that stands on the person's yes it does not go along. In danger to
    life, where both were granted, it does."""
    story.agrees("share_111")
    story.granted(second.REVEAL)
    assert story.does(handing_on.case_file).number == story.person.identifier
    assert story.does(handing_on.sheet, refer(story).id).content["number"] is None
    story.granted("share_police")
    assert story.does(handing_on.sheet, refer(story, "vn_police").id).content["number"] == story.person.identifier


def test_a_sheet_says_later_what_it_said_when_it_was_made(story: Story) -> None:
    """What is written into the case afterwards changes no sheet, and its digest is that of its content."""
    story.agrees("share_111")
    made = refer(story)
    story.does(work.summarise, {**SUMMARY, "place": "Somewhere else"})
    sheet = story.does(handing_on.sheet, made.id)
    assert sheet.content["place"] == SUMMARY["place"]
    assert sha256(handing_on.canonical(sheet.content).encode()).hexdigest() == made.digest


def test_the_next_receiver_sees_who_has_it_already(story: Story) -> None:
    """Two offices that work on one person should know of each other."""
    story.agrees("share_111")
    story.agrees("share_police")
    refer(story)
    content = story.does(handing_on.sheet, refer(story, "vn_police").id).content
    assert [one["receiver"] for one in content["earlier"]] == ["vn_111"]


def test_who_opens_a_sheet_again_is_written_down(story: Story) -> None:
    """Handing on and every reading of the sheet stand in the audit chain, by whom, and the chain is whole."""
    story.agrees("share_111")
    made = refer(story)
    story.does(handing_on.sheet, made.id, by=story.minh)
    with story.house.database.begin() as connection:
        rows = audit.entries(connection, audit.Wish(action="sheet_read"))
        assert [row.actor for row in rows] == [story.minh.id]
        assert [row.actor for row in audit.entries(connection, audit.Wish(action="referred"))] == [story.lan.id]
        assert audit.verify(connection, story.keyring).broken_at is None


def test_a_sheet_of_another_case_is_not_found(story: Story) -> None:
    """Whoever guesses the number of a sheet gets nothing through a case of their own."""
    with pytest.raises(CaseError) as refused:
        story.does(handing_on.sheet, new_id())
    assert refused.value.why == "unknown"


def test_d_04_what_was_handed_on_is_told_at_the_deletion_even_after_the_yes_was_taken_back(story: Story) -> None:
    """A deletion cannot take back what has left, and says so; also where "rut" came in between."""
    story.agrees("share_111")
    refer(story)
    story.says("rut")
    (said,) = story.says("xoa")
    assert "khong lay lai duoc" in fold(said.text)


# -- paper -------------------------------------------------------------------------------------------------------------


def test_a_paper_is_the_same_bytes_each_time() -> None:
    """So that a digest of it means something."""
    paper = Paper("Phiếu", "Bạn Đường", (("Nơi", "Quảng Ngãi ỗ ẵ"),), ("nhỏ",))
    assert pdf(paper) == pdf(paper)
    assert pdf(paper).startswith(b"%PDF-")


# -- the archive -------------------------------------------------------------------------------------------------------


def files_of(archive: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(archive)) as bundle:
        return {name: bundle.read(name) for name in bundle.namelist()}


def test_an_archive_needs_the_ground_of_its_receiver(story: Story) -> None:
    """No supervisor takes a case out alone: the person's yes for the police, or a second person's grant."""
    with pytest.raises(CaseError) as refused:
        story.does(exports.export, story.house.library, by=story.minh)
    assert refused.value.why == "no_yes"
    story.agrees("share_police")
    assert story.does(exports.export, story.house.library, by=story.minh)


def test_an_archive_holds_everything_and_proves_it(story: Story) -> None:
    """Each file has the SHA-256 that the manifest names; the consent stands there with its words; the chain's rows with their macs."""
    story.speaks("Minh nghe day")
    story.agrees("share_police", "dong y")
    files = files_of(story.does(exports.export, story.house.library, by=story.minh))
    manifest = json.loads(files.pop("manifest.json"))
    assert manifest["sha256"] == {name: sha256(content).hexdigest() for name, content in files.items()}
    assert set(files) == {"README.txt", "audit.json", "case.json", "consents.json", "timeline.json", "words.json"}
    assert [one["words"] for one in json.loads(files["consents.json"])] == [None, "dong y"]
    assert any(story.cry in one["text"] for one in json.loads(files["words.json"]))
    chain = json.loads(files["audit.json"])
    assert all(len(row["mac"]) == 64 for row in chain["rows"])
    with story.house.database.begin() as connection:
        anchor = audit.Head(chain["head"]["position"], chain["head"]["mac"])
        assert audit.verify(connection, story.keyring, anchor).broken_at is None
        forged = audit.Head(anchor.position, "0" * 64)
        assert audit.verify(connection, story.keyring, forged).broken_at == anchor.position
    assert f"{anchor}" in files["README.txt"].decode()


def test_the_same_case_gives_the_same_archive(story: Story) -> None:
    """Byte for byte, as long as nothing is written in between."""
    with story.house.database.begin() as connection:
        made = [
            exports.archive(connection, story.keyring, story.minh, story.reference, story.house.library, None)
            for _ in range(2)
        ]
    assert made[0] == made[1]


def test_the_number_is_not_in_an_archive_without_its_own_yes(story: Story) -> None:
    """A court gets what the person agreed to; the number needs its own."""
    story.agrees("share_police")
    archive = story.does(exports.export, story.house.library, by=story.minh)
    assert story.person.identifier.encode() not in b"".join(files_of(archive).values())
    story.agrees("reveal")
    assert (
        story.person.identifier.encode()
        in files_of(story.does(exports.export, story.house.library, by=story.minh))["case.json"]
    )


def test_what_the_person_has_deleted_is_exported_to_nobody(story: Story) -> None:
    """After "xoa" there is nothing to take out."""
    story.agrees("share_police")
    story.says("xoa")
    with pytest.raises(CaseError) as refused:
        story.does(exports.export, story.house.library, by=story.minh)
    assert refused.value.why == "erased"


# -- receivers ---------------------------------------------------------------------------------------------------------


def test_a_receiver_has_no_number_of_its_own(house: App) -> None:
    """Numbers are named by their ids, so that an old one falls silent everywhere at once; the check finds one that is typed in."""
    from bot.content_rules import check_content

    receiver = Receiver.model_validate(
        {
            "id": "bad",
            "name": {"vi": "Gọi 0912 345 678", "en": "x"},
            "purpose": "share_ngo",
            "hotlines": ["nobody"],
            "country": "XX",
        }
    )
    house.library.receivers["bad"] = receiver
    found = [
        problem.what
        for problem in check_content(house.library, dt.date(2026, 11, 22))
        if "receivers.yml: bad" in problem.where
    ]
    assert len(found) == 3


# -- pages -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def desk(sqlite_house: App) -> "Desk":
    return Desk(sqlite_house)


class Desk:
    """The console in a browser, with a story on its database."""

    def __init__(self, house: App) -> None:
        self.story = Story(house)
        self.story.does(work.summarise, SUMMARY)
        house.clock = lambda: self.story.now
        self.client = TestClient(create_site(house), base_url="http://127.0.0.1", follow_redirects=False)
        self.path = f"/console/cases/{self.story.reference}"
        self.token = ""

    def log_in(self, operator: Operator) -> "Desk":
        self.token = logged_in(self.client, self.story.house, operator, self.story.now)
        return self

    def post(self, what: str, **fields: str) -> httpx.Response:
        answer: httpx.Response = self.client.post(f"{self.path}/{what}", data={"csrf": self.token, **fields})
        return answer

    def sheet(self) -> str:
        """The path of the newest sheet."""
        with self.story.house.database.begin() as connection:
            newest = select(tables.handoffs.c.id).order_by(tables.handoffs.c.at.desc()).limit(1)
            return f"{self.path}/sheets/{connection.execute(newest).scalar_one()}"


def words_in(page: str) -> str:
    """What a reader sees, with one space between words."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


def test_page_and_paper_say_the_same(desk: Desk) -> None:
    """Every row of the printed page stands in the PDF, letter by letter, Vietnamese and all."""
    desk.story.agrees("share_111", "đồng ý")
    desk.log_in(desk.story.lan)
    assert desk.post("refer", receiver="vn_111").status_code == 303
    article = re.search(r"<article.*</article>", desk.client.get(desk.sheet()).text, re.DOTALL)
    assert article
    shown = words_in(article[0]).replace(" ", "")
    paper = "".join(text_of(desk.client.get(f"{desk.sheet()}.pdf").content).split())
    assert paper == shown
    assert "TòanhàXylophone" in paper
    assert "đồngý" in paper


def test_d_08_the_sheet_says_that_somebody_is_a_minor(desk: Desk) -> None:
    """On the page and on paper, in words that nobody overlooks."""
    desk.story.says("em 16 tuoi")
    with desk.story.house.database.engine.begin() as connection:
        connection.execute(update(tables.cases).values(minor=True))
    desk.story.agrees("share_111")
    desk.log_in(desk.story.lan)
    desk.post("refer", receiver="vn_111")
    minor = desk.story.house.library.console("vi")["common"]["minor"]
    assert minor in desk.client.get(desk.sheet()).text
    assert "".join(minor.split()) in "".join(text_of(desk.client.get(f"{desk.sheet()}.pdf").content).split())


def test_a_sheet_is_not_for_others(desk: Desk) -> None:
    """Without a session: to the log-in. A colleague who does not hold the case: forbidden, and nothing of it is shown."""
    desk.story.agrees("share_111")
    desk.log_in(desk.story.lan).post("refer", receiver="vn_111")
    path = desk.sheet()
    desk.client.cookies.clear()
    assert desk.client.get(path).headers["location"] == "/console/login"
    with desk.story.house.database.begin() as connection:
        other = an_operator(connection, desk.story.keyring, "Other")
    desk.log_in(other)
    for refused in (desk.client.get(path), desk.client.get(f"{path}.pdf")):
        assert refused.status_code == 403
        assert SUMMARY["place"] not in refused.text


def test_a_referral_without_a_yes_is_refused_with_a_sentence(desk: Desk) -> None:
    """The page says why, in words, and nothing has changed."""
    desk.log_in(desk.story.lan)
    refused = desk.post("refer", receiver="vn_police")
    assert refused.status_code == 403
    assert desk.story.house.library.console("vi")["conflicts"]["no_yes"] in refused.text
    assert desk.post("refer", receiver="nobody").status_code == 404


def test_only_a_supervisor_exports(desk: Desk) -> None:
    """The operator who holds the case is refused; the supervisor gets a file that no cache keeps."""
    desk.story.agrees("share_police")
    assert desk.log_in(desk.story.lan).post("export").status_code == 403
    made = desk.log_in(desk.story.minh).post("export")
    assert made.headers["content-type"] == "application/zip"
    assert made.headers["cache-control"] == "no-store"
    assert made.headers["content-disposition"] == f'attachment; filename="{desk.story.reference}.zip"'
    assert "case.json" in files_of(made.content)


def test_taking_something_out_needs_the_token_of_the_session(desk: Desk) -> None:
    """A form of another site takes nothing out."""
    desk.story.agrees("share_police")
    desk.log_in(desk.story.minh)
    desk.token = "guessed"
    assert [desk.post(what, receiver="vn_police").status_code for what in ("refer", "export", "copy")] == [403] * 3


# -- into another system -----------------------------------------------------------------------------------------------

WEBHOOK_KEY = bytes(range(32))
MINUTE, HOUR = dt.timedelta(minutes=1), dt.timedelta(hours=1)


class Receiving:
    """A receiver's system on this machine, which answers with `statuses` in turn (the last stays) and checks signatures on its own."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.got: list[tuple[dict[str, str], bytes]] = []

    async def take(self, request: Request) -> Response:
        self.got.append((dict(request.headers), await request.body()))
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        return Response(status_code=status, headers={"location": "/elsewhere"})

    def serving(self) -> Any:
        routes = [Route(path, self.take, methods=["GET", "POST"]) for path in ("/cases", "/elsewhere")]
        return serving(Starlette(routes=routes))


def verified(headers: dict[str, str], body: bytes) -> Any:
    """The payload, if the signature is right: the check as the specification describes it, apart from our own code."""
    signed = b".".join([headers["webhook-id"].encode(), headers["webhook-timestamp"].encode(), body])
    mac = subprocess.run(
        ["openssl", "dgst", "-sha256", "-mac", "HMAC", "-macopt", f"hexkey:{WEBHOOK_KEY.hex()}", "-binary"],
        input=signed, capture_output=True, check=True, timeout=10,
    ).stdout  # fmt: skip
    versions = [part.split(",", 1) for part in headers["webhook-signature"].split()]
    assert ["v1", base64.b64encode(mac).decode()] in versions
    return json.loads(body)


def sent_to(story: Story, address: str) -> str:
    """One look at what is due, as the service does it; what came of it."""

    async def look() -> str:
        hook = webhook.CaseWebhook(f"{address}/cases", WEBHOOK_KEY)
        with story.house.database.begin() as connection:
            parcel = webhook.take(connection, story.keyring, story.now)
        if parcel is None:
            return "nothing"
        try:
            outcome = await hook.deliver(parcel, story.now)
        finally:
            await hook.close()
        with story.house.database.begin() as connection:
            webhook.settle(connection, story.keyring, parcel, outcome, story.now)
        return outcome

    return asyncio.run(look())


def queued(story: Story) -> Any:
    with story.house.database.begin() as connection:
        return connection.execute(select(tables.handoffs)).one()


def test_a_case_arrives_signed_and_is_wiped_here(story: Story) -> None:
    """The receiver can prove whom it is from; the same content as on a sheet; afterwards no body waits any more."""
    story.agrees("share_111")
    made = refer(story, by_webhook=True)
    assert queued(story).status == "queued"
    hotline = Receiving(204)
    with hotline.serving() as address:
        assert sent_to(story, address) == "sent"
        assert sent_to(story, address) == "nothing"
    ((headers, body),) = hotline.got
    payload = verified(headers, body)
    assert payload["type"] == "case.referred"
    assert payload["data"] == story.does(handing_on.sheet, made.id).content
    assert headers["webhook-id"] == made.id
    assert int(headers["webhook-timestamp"]) == int(story.now.timestamp()) - 20
    assert (queued(story).status, queued(story).sealed_body) == ("sent", None)


def test_a_receiver_that_is_down_is_tried_again_with_the_same_id(story: Story) -> None:
    """After 1, 2, 4 ... minutes, at most an hour apart, every time with the same id and a new time."""
    story.agrees("share_111")
    refer(story, by_webhook=True)
    hotline = Receiving(503)
    waits = []
    with hotline.serving() as address:
        for _ in range(9):
            assert sent_to(story, address) == "later"
            waits.append((utc(queued(story).not_before) - story.now) / MINUTE)
            assert sent_to(story, address) == "nothing"
            story.now = utc(queued(story).not_before)
        assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]
        hotline.statuses = [200]
        assert sent_to(story, address) == "sent"
    assert len({headers["webhook-id"] for headers, _ in hotline.got}) == 1
    assert len({headers["webhook-timestamp"] for headers, _ in hotline.got}) == 10
    assert [verified(*one)["type"] for one in hotline.got] == ["case.referred"] * 10


@pytest.mark.parametrize(("statuses", "expected"), [((302,), "later"), ((410,), "gone"), ((400,), "later")])
def test_only_a_2xx_counts_and_no_redirect_is_followed(story: Story, statuses: tuple[int, ...], expected: str) -> None:
    """A redirect would carry the case to a place that nobody has named."""
    story.agrees("share_111")
    refer(story, by_webhook=True)
    hotline = Receiving(*statuses)
    with hotline.serving() as address:
        assert sent_to(story, address) == expected
    assert len(hotline.got) == 1
    assert queued(story).status == ("failed" if expected == "gone" else "queued")


def test_nobody_listens_and_nothing_is_lost(story: Story) -> None:
    """A closed port is an answer that comes later."""
    story.agrees("share_111")
    refer(story, by_webhook=True)
    assert sent_to(story, "http://127.0.0.1:9") == "later"
    assert queued(story).sealed_body


def test_after_a_day_people_have_to_call(story: Story) -> None:
    """The body is wiped, and the case says that it did not arrive."""
    story.agrees("share_111")
    refer(story, by_webhook=True)
    story.now += 24 * HOUR
    assert sent_to(story, "http://127.0.0.1:9") == "nothing"
    assert (queued(story).status, queued(story).sealed_body) == ("failed", None)
    assert "not_delivered" in [event.kind for event in story.does(handing_on.case_file).timeline]


def test_s_22_what_the_person_takes_back_before_it_has_left_does_not_leave(story: Story) -> None:
    """ "rut" while the receiver is down: the case is not handed on any more."""
    story.agrees("share_111")
    refer(story, by_webhook=True)
    story.says("rut")
    hotline = Receiving(200)
    with hotline.serving() as address:
        assert sent_to(story, address) == "nothing"
    assert hotline.got == []
    assert (queued(story).status, queued(story).sealed_body) == ("failed", None)


def test_killed_while_it_is_sent_it_is_sent_again(story: Story) -> None:
    """A process that dies after the receiver took the case, or before: another sends it again a minute later, with the same id."""
    story.agrees("share_111")
    made = refer(story, by_webhook=True)
    with story.house.database.begin() as connection:
        taken = webhook.take(connection, story.keyring, story.now)
    assert taken
    assert taken.id == made.id
    hotline = Receiving(200)
    with hotline.serving() as address:
        assert sent_to(story, address) == "nothing"
        story.now += MINUTE
        assert sent_to(story, address) == "sent"
    assert [headers["webhook-id"] for headers, _ in hotline.got] == [made.id]


@pytest.mark.parametrize("written", ["", "whsec_", "whsec_c2hvcnQ=", "whsec_%%%", "whsec_" + "A" * 200])
def test_a_weak_key_is_refused(written: str) -> None:
    """What is no secret of the specification's length does not sign."""
    with pytest.raises(ConfigError):
        webhook.read_key(written)
    assert webhook.read_key("whsec_" + base64.b64encode(WEBHOOK_KEY).decode()) == WEBHOOK_KEY


@pytest.mark.parametrize(
    ("url", "good"), [("https://a.example/x", True), ("http://127.0.0.1:9/x", True), ("http://a.example/x", False)]
)
def test_a_case_does_not_travel_in_the_clear(url: str, good: bool) -> None:
    """http is for a system on this machine."""
    with contextlib.nullcontext() if good else pytest.raises(ValueError, match="https"):
        WebhookConfig.model_validate({"url": url, "receiver": "vn_111"})


# -- what the person asks for ------------------------------------------------------------------------------------------


def test_d_03_every_way_to_ask_for_ones_data_shows_it_and_deletes_nothing(reader: App) -> None:
    """Each phrase, as written and without marks, is answered with the reviewed text; none of them is another command or an erasure."""
    phrases = reader.library.commands["my_data"]
    others = {
        fold(text).lower()
        for name, texts in reader.library.commands.items()
        if name != "my_data"
        for text in map(str, texts)
    }
    for phrase in {*phrases, *map(fold, phrases)}:
        assert fold(phrase).lower() not in others
        _, turn = reader.rehearsal("web").say(phrase)
        assert [reply.name for reply in turn.replies] == ["intro", "my_data"], phrase
        assert turn.events == (AccessAsked(),)


def test_d_03_the_words_for_deleting_still_delete(reader: App) -> None:
    """No phrase of "delete" is taken for a wish to see."""
    for phrase in (*reader.library.commands["delete"], "xóa giúp em hết dữ liệu đi", "xoa du lieu cua toi"):
        assert reader.rehearsal("web").say(str(phrase))[1].events == (ErasureRequested(),), phrase


def test_s_33_who_asks_for_data_learns_nothing_about_a_case(house: App) -> None:
    """Whoever takes the phone up later hears, word for word, what somebody without a case hears."""
    story = Story(house)
    (with_case,) = story.says("du lieu cua toi", minutes=31)
    house.processor.handle(InboundMessage(Address("sms", "+84987654321"), "1", "menu", story.now))
    (without,) = house.processor.handle(
        InboundMessage(Address("sms", "+84987654321"), "2", "du lieu cua toi", story.now)
    )
    assert with_case.text == without.text


def test_d_01_the_operator_sees_by_when_to_answer(house: App) -> None:
    """Two working days (weekends and holidays left out) to tell the procedure, which the bot does at once; ten days for the copy."""
    friday = dt.datetime(2026, 12, 31, 3, 0, tzinfo=dt.UTC) - dt.timedelta(days=6)
    story = Story(house, at=friday)
    story.says("du lieu cua toi")
    (event,) = [one for one in story.does(handing_on.case_file).timeline if one.kind == "access_asked"]
    assert event.body == {"acknowledge_by": "2026-12-29", "answer_by": "2027-01-04"}
    new_year = working_days_later(dt.datetime(2026, 12, 31, 3, 0, tzinfo=dt.UTC), 2, {dt.date(2027, 1, 1)})
    assert new_year == dt.date(2027, 1, 5)


def test_d_01_during_a_talk_the_operator_hears_it_and_the_bot_is_silent(story: Story) -> None:
    """The words reach the operator, with the event beside them."""
    story.speaks("Minh nghe day")
    assert story.says("du lieu cua toi") == ()
    assert "access_asked" in [one.kind for one in story.does(handing_on.case_file).timeline]


def test_d_03_the_person_gets_their_own_case_in_plain_words(story: Story) -> None:
    """Summary, notes, words, consents and to whom it went, in their language; no id of anybody on duty."""
    story.says("du lieu cua toi")
    story.agrees("share_111", "dong y")
    refer(story)
    paper = story.does(exports.for_the_person, story.house.library, "vi", by=story.minh)
    text = "\n".join(text for _, text in paper.rows)
    for told in (
        *SUMMARY.values(),
        NOTE,
        story.cry,
        "dong y",
        story.person.identifier,
        "Tổng đài quốc gia 111",
        "Myanmar",
    ):
        assert told in text, told
    assert story.lan.id not in text
    assert "".join(story.cry.split()) in "".join(text_of(pdf(paper)).split())
    assert "access_answered" in [one.kind for one in story.does(handing_on.case_file).timeline]


def test_d_03_nobody_takes_a_copy_that_was_not_asked_for(story: Story) -> None:
    """A supervisor alone cannot make one; and where it is uncertain who writes, the code word comes first."""
    with pytest.raises(CaseError) as refused:
        story.does(exports.for_the_person, story.house.library, "vi", by=story.minh)
    assert refused.value.why == "not_asked"
    story.does(work.set_code, "hoa mai")
    story.says("du lieu cua toi", minutes=25)
    with pytest.raises(CaseError) as refused:
        story.does(exports.for_the_person, story.house.library, "vi", by=story.minh)
    assert refused.value.why == "not_verified"
    story.says("hoa mai")
    assert story.does(exports.for_the_person, story.house.library, "vi", by=story.minh)


def test_the_service_hands_a_case_on_by_itself(sqlite_house: App) -> None:
    """Whoever runs the senders also delivers what waits for the receiver, with the address and the secret of the configuration."""
    story = Story(sqlite_house)
    story.agrees("share_111")
    made = refer(story, by_webhook=True)
    hotline = Receiving(500, 200)
    with hotline.serving() as address:
        settings = WebhookConfig.model_validate({"url": f"{address}/cases", "receiver": "vn_111"})
        bot = sqlite_house.config.bot
        bot = bot.model_copy(update={"hotline": bot.hotline.model_copy(update={"webhook": settings})})
        key = Secrets.model_validate({"case_webhook_key": "whsec_" + base64.b64encode(WEBHOOK_KEY).decode()})
        sqlite_house.config = sqlite_house.config.model_copy(update={"bot": bot, "secrets": key})
        asyncio.run(served_until_sent(story))
    assert {headers["webhook-id"] for headers, _ in hotline.got} == {made.id}
    assert [verified(*one)["data"]["reference"] for one in hotline.got] == [story.reference] * 2


async def served_until_sent(story: Story) -> None:
    """A clock that leaps a minute at each look at it brings the second try about at once."""

    def clock() -> dt.datetime:
        story.now += MINUTE
        return story.now

    stopping = asyncio.Event()
    service = Service(story.house, send=True, receive=False, clock=clock)
    running = asyncio.create_task(service.run(stopping))
    async with asyncio.timeout(30):
        while queued(story).status == "queued":
            await asyncio.sleep(0.05)
    stopping.set()
    await running
