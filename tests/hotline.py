"""Cases and colleagues straight in the store, for tests of what happens to them."""

import datetime as dt
import json
from collections.abc import Sequence

from sqlalchemy import Connection, insert

from bot import contacts
from bot.messages import Address
from bot.store.boxes import new_pair
from bot.store.crypto import Keyring
from bot.store.database import new_id
from bot.store.tables import cases, staff
from bot.testing import START


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
        "public_key": new_pair().public,
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
    row = {
        "id": staff_id,
        "lookup": keyring.lookup("staff", name),
        "sealed_profile": keyring.seal(json.dumps(profile), f"staff|{staff_id}|sealed_profile"),
        "roles": roles,
        "public_key": new_pair().public,
        "on_duty": on_duty,
        "page_order": page_order,
        "most_cases": most_cases,
        "created_at": at,
    }
    connection.execute(insert(staff).values(row))
    return staff_id
