"""What people do, straight in the store."""

import datetime as dt

from sqlalchemy import Connection

from bot import contacts
from bot.contacts import Contact
from bot.store.database import Database


def agree_to_news(connection: Connection, database: Database, contact: Contact, now: dt.datetime) -> None:
    contacts.record_consent(
        connection, database.keyring, contact,
        purpose="alerts", basis="consent", reason="asked for by the person", words="dang ky", now=now,
    )  # fmt: skip
