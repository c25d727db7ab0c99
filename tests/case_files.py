"""What stands in cases, read as whoever holds their keys."""

import datetime as dt
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from bot.app import App
from bot.hotline import keys, queue
from bot.hotline.cases import Case, read_row
from bot.hotline.keys import CaseKeys
from bot.store import tables
from bot.store.boxes import open_with
from bot.store.database import Database, utc


@dataclass(frozen=True)
class Line:
    """An event of the timeline, or what one side said (kind "message")."""

    at: dt.datetime
    kind: str
    actor: str
    body: dict[str, Any]


def all_cases(house: App) -> list[Case]:
    with house.database.begin() as connection:
        return [
            read_row(house.database.keyring, row)
            for row in connection.execute(select(tables.cases).order_by(tables.cases.c.opened_at))
        ]


def queue_of(house: App) -> list[Case]:
    """The open cases as the console orders them."""
    within = house.config.bot.hotline.claim_within
    with house.database.begin() as connection:
        return [row.case for row in queue.rows(connection, house.database.keyring, "open", claim_within=within)]


def story(database: Database, opened_by: Callable[[Any, str], CaseKeys] | None = None) -> list[Line]:
    """All events and words of all cases in order, read with the keyring's keys, or with those that `opened_by` gives."""
    with database.begin() as connection:
        found = []
        for table, who in ((tables.case_events, "actor"), (tables.case_messages, "author")):
            for row in connection.execute(select(table)):
                held = (
                    opened_by(connection, row.case_id)
                    if opened_by
                    else keys.keys_of_keyring(connection, database.keyring, row.case_id)
                )
                text = open_with(held[row.generation], row.sealed_body, f"{table.name}|{row.id}|sealed_body")
                kind = row._mapping.get("kind", "message")
                found.append((utc(row.at), kind == "message", row.position, kind, row._mapping[who], json.loads(text)))
    return [Line(at, kind, actor, body) for at, _, _, kind, actor, body in sorted(found, key=lambda one: one[:3])]


SEALED_TO_THE_CASE = {
    ("case_events", "sealed_body"),
    ("case_messages", "sealed_body"),
    ("requests", "sealed_reason"),
    ("handoffs", "sealed_content"),
}


def opened(database: Database, table: Any, row: Any, column: str) -> str:
    """The text of any sealed column, by whatever keys open it while nobody has an account."""
    keyring, sealed = database.keyring, getattr(row, column)
    if table is tables.case_keys:
        return keyring.open(sealed, f"case_keys|{row.case_id}|{row.generation}|{row.holder}")
    if (table.name, column) in SEALED_TO_THE_CASE:
        with database.begin() as connection:
            held = keys.keys_of_keyring(connection, keyring, row.case_id)
        return open_with(held[row.generation], sealed, f"{table.name}|{row.id}|{column}")
    return keyring.open(sealed, f"{table.name}|{row[0]}|{column}")
