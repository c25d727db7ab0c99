"""Cases and colleagues straight in the store, for tests of what happens to them."""

import datetime as dt
import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from sqlalchemy import Connection, insert, select, update

from bot import contacts
from bot.app import App
from bot.delivery.render import Rendered
from bot.hotline import claims, keys, relay, second
from bot.hotline.keys import Operator
from bot.messages import Address, InboundMessage, OutboundMessage
from bot.staff import recovery, sessions
from bot.staff.accounts import key_proof
from bot.store.boxes import new_pair
from bot.store.crypto import Keyring
from bot.store.database import new_id
from bot.store.tables import cases, staff
from bot.testing import START

Made = TypeVar("Made")
REASON = "the person is about to be sold on tonight"


def a_case(
    connection: Connection,
    keyring: Keyring,
    *,
    address: Address = Address("web", "someone"),  # noqa: B008 - frozen
    priority: str = "P0",
    minor: bool = False,
    country: str | None = None,
    about: str = "self",
    flags: Sequence[str] = (),
    watched: bool = False,
    at: dt.datetime = START,
    **columns: object,
) -> str:
    """An open case that nobody has claimed, with its person and its ground; its id. `columns`: of the row, as they are."""
    contact = contacts.find_or_create(connection, keyring, address, at)
    reason = "the message tells of danger to life or freedom"
    consent = contacts.record_consent(
        connection, keyring, contact, purpose="help", basis="emergency", reason=reason, now=at
    )
    case_id = new_id()
    facts = {"country": country, "about": about, "flags": list(flags), "watched": watched}
    public = new_pair().public
    row = {
        "id": case_id,
        "reference": case_id[:6].upper(),
        "address_id": contact.id,
        "consent_id": consent,
        "purpose": "help",
        "kind": "emergency" if priority == "P0" else "human",
        "priority": priority,
        "minor": minor,
        "status": "open",
        "sealed_facts": keyring.seal(json.dumps(facts), f"cases|{case_id}|sealed_facts"),
        "public_key": public,
        "key_proof": keys.case_proof(keyring, case_id, 1, public),
        "opened_at": at,
        "updated_at": at,
    }
    connection.execute(insert(cases).values({**row, **columns}))
    return case_id


def a_colleague(
    connection: Connection,
    keyring: Keyring,
    name: str,
    *,
    roles: str = "operator",
    page_order: int | None = 1,
    on_duty: bool = True,
    most_cases: int = 8,
    language: str = "vi",
    at: dt.datetime = START,
    **ways: str,
) -> str:
    """Somebody of the staff with `ways` to be called (telegram, sms, email); their id."""
    staff_id = new_id()
    pages = {"telegram": None, "sms": None, "email": None, **ways}
    profile = {"login": name, "name": name, "language": language, "pages": pages}
    public = new_pair().public
    row = {
        "id": staff_id,
        "lookup": keyring.lookup("staff", name),
        "sealed_profile": keyring.seal(json.dumps(profile), f"staff|{staff_id}|sealed_profile"),
        "roles": roles,
        "public_key": public,
        "key_proof": key_proof(keyring, staff_id, roles, public),
        "on_duty": on_duty,
        "page_order": page_order,
        "most_cases": most_cases,
        "created_at": at,
    }
    connection.execute(insert(staff).values(row))
    return staff_id


def an_operator(
    connection: Connection, keyring: Keyring, name: str, *, supervisor: bool = False, at: dt.datetime = START
) -> Operator:
    """A colleague on duty with the key that opens their cases, which is here in a test's hands."""
    pair = new_pair()
    roles = "operator,supervisor" if supervisor else "operator"
    staff_id = a_colleague(connection, keyring, name, roles=roles, at=at)
    own = {"public_key": pair.public, "key_proof": key_proof(keyring, staff_id, roles, pair.public)}
    connection.execute(update(staff).where(staff.c.id == staff_id).values(own))
    return Operator(staff_id, pair.private, supervisor)


class Story:
    """Somebody who cried for help by SMS, and the two people who work on it: Lan, who holds the case, and Minh, a supervisor."""

    person = Address("sms", "+84912345678")
    cry = "cuu em voi, em bi nhot o Myanmar, ho danh em, em ten Zephyrine, gan cau Quartzite"

    def __init__(self, house: App, *, at: dt.datetime = START) -> None:
        self.house, self.now = house, at
        self.keyring = house.database.keyring
        with house.database.begin() as connection:
            self.lan = an_operator(connection, self.keyring, "Lan", at=at)
            self.minh = an_operator(connection, self.keyring, "Minh", supervisor=True, at=at)
        self.said = 0
        self.says(self.cry)
        with house.database.begin() as connection:
            self.reference: str = connection.execute(
                select(cases.c.reference).order_by(cases.c.opened_at.desc()).limit(1)
            ).scalar_one()
        self.does(claims.claim)

    def says(self, text: str, **after: float) -> tuple[OutboundMessage, ...]:
        """One message of the person, `after` (as of timedelta) some time."""
        self.now += dt.timedelta(**(after or {"seconds": 20}))
        self.said += 1
        return self.house.processor.handle(InboundMessage(self.person, f"S-{self.said}", text, self.now))

    def does(self, work: Callable[..., Made], *what: Any, by: Operator | None = None, **more: Any) -> Made:
        """`work` on the case in a transaction of its own, by Lan unless somebody else is named."""
        self.now += dt.timedelta(seconds=20)
        with self.house.database.begin() as connection:
            return work(connection, self.keyring, by or self.lan, self.reference, *what, now=self.now, **more)

    def speaks(self, text: str) -> None:
        """Lan, to the person."""
        self.does(relay.speak, text, [Rendered(text)])

    def agrees(self, purpose: str, words: str = "co") -> None:
        """Lan asks the reviewed question, and the person answers."""
        question = self.house.library.say(f"ask_{purpose}", "vi", "text")
        self.does(relay.ask, purpose, (question, [Rendered(question)]))
        self.says(words)

    def granted(self, kind: str) -> None:
        """Lan asks for what needs a second person, and Minh grants it."""
        self.does(second.ask, kind, REASON)
        with self.house.database.begin() as connection:
            waiting = second.waiting(connection, self.minh)[0]
            second.decide(connection, self.keyring, self.minh, waiting.id, granted=True, now=self.now)


def logged_in(client: Any, house: App, operator: Operator, now: dt.datetime) -> str:
    """Gives the client the session of this person, who has put recovery codes away; the token that its forms carry."""
    with house.database.begin() as connection:
        recovery.keep(connection, house.database.keyring, operator.id, recovery.new_codes())
        cookie = sessions.open_session(connection, operator.id, operator.private_key, now)
        session = sessions.session_of(connection, house.database.keyring, cookie, now)
    assert session
    client.cookies.set("console", cookie)
    return session.form_token(house.database.keyring)
