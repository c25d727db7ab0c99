"""The tables. Ids are random; every column that could tell who somebody is, or what they said, is ciphertext ("sealed")."""

from typing import Any

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    UniqueConstraint,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Moment = DateTime(timezone=True)


def _where(condition: str) -> dict[str, Any]:
    """An index of these rows only."""
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


Id = String(32)

about = Table(
    "about",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("sealed_value", LargeBinary, nullable=False),
)

addresses = Table(
    "addresses",
    metadata,
    Column("id", Id, primary_key=True),
    Column("channel", String(20), nullable=False),
    Column("lookup", String(64), nullable=False),  # keyed HMAC of the identifier
    Column("sealed_identifier", LargeBinary, nullable=False),
    Column("silent_since", Moment),  # S-03: nothing goes out until the person writes
    Column("unreachable_since", Moment),  # the provider says that nothing can reach it
    Column("leaving_since", Moment),  # forgotten, but for the word that says so
    Column("person", Id, index=True),  # the same for the addresses that one person has linked; most have none
    Column("helped_at", Moment),  # S-09: when a case was last opened; no news after it without a new yes
    Column("created_at", Moment, nullable=False),
    UniqueConstraint("channel", "lookup", name="uq_addresses_channel_lookup"),
    Index("ix_addresses_leaving", "leaving_since", **_where("leaving_since IS NOT NULL")),
)

inbox = Table(
    "inbox",
    metadata,
    Column("id", Id, primary_key=True),
    Column("channel", String(20), nullable=False),
    Column("external_id", String(100), nullable=False),
    Column("address_id", Id, ForeignKey("addresses.id", ondelete="SET NULL"), index=True),
    Column("message_id", String(40)),  # by which the channel can delete it
    Column("received_at", Moment, nullable=False),
    UniqueConstraint("channel", "external_id", name="uq_inbox_channel_external_id"),
)

conversations = Table(
    "conversations",
    metadata,
    Column("address_id", Id, ForeignKey("addresses.id", ondelete="CASCADE"), primary_key=True),
    Column("sealed_state", LargeBinary, nullable=False),
    Column("updated_at", Moment, nullable=False, index=True),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", Id, primary_key=True),
    Column("channel", String(20), nullable=False),
    Column("address_id", Id, ForeignKey("addresses.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("inbox_id", Id, ForeignKey("inbox.id", ondelete="SET NULL"), index=True),
    Column("position", Integer, nullable=False),  # order among the replies to one message
    Column("dedup", String(120), nullable=False, unique=True),
    Column("lane", SmallInteger, nullable=False),  # Lane: the lower leaves first
    Column("status", String(12), nullable=False),
    Column("sealed_body", LargeBinary, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("not_before", Moment),
    Column("expires_at", Moment),
    Column("attempts", SmallInteger, nullable=False, server_default="0"),
    Column("owner", String(32)),  # the worker that holds it ...
    Column("lease_until", Moment),  # ... and until when
    Column("provider_id", String(120)),
    Column("receipts", SmallInteger, nullable=False, server_default="1"),  # of arrival, until the message has arrived
    Column("error", String(60)),  # a code, never a text
    Column("done_at", Moment),
    Index("ix_outbox_done_at", "done_at"),
    Index("ix_outbox_provider_id", "channel", "provider_id"),
    Index("ix_outbox_waiting", "channel", "lane", "created_at", "position", **_where("status = 'queued'")),
    Index("ix_outbox_leased", "lease_until", **_where("status IN ('claimed', 'sending')")),
)

channels = Table(
    "channels",
    metadata,
    Column("name", String(20), primary_key=True),
    Column("next_slot_at", Moment, nullable=False),  # when the next message may leave, for all workers together
    Column("held_until", Moment),  # the provider said: not before then
    Column("held_why", String(60)),
)

pace = Table(
    "pace",
    metadata,
    Column("address_id", Id, ForeignKey("addresses.id", ondelete="CASCADE"), primary_key=True),
    Column("next_slot_at", Moment, nullable=False, index=True),
)

receipts = Table(
    "receipts",
    metadata,
    Column("channel", String(20), primary_key=True),
    Column("provider_id", String(120), primary_key=True),
    Column("status", String(12), primary_key=True),
    Column("part", String(60), primary_key=True),
    Column("error", String(60)),
    Column("refusal", String(12)),
    Column("received_at", Moment, nullable=False, index=True),
)

parts = Table(
    "parts",
    metadata,
    Column("channel", String(20), primary_key=True),
    Column("provider_id", String(120), primary_key=True),  # of a part after the first
    Column("outbox_id", Id, ForeignKey("outbox.id", ondelete="CASCADE"), nullable=False, index=True),
)

fragments = Table(
    "fragments",
    metadata,
    Column("channel", String(20), primary_key=True),
    Column("lookup", String(64), primary_key=True),  # keyed HMAC of the sender
    Column("reference", Integer, primary_key=True),  # the phone's number of the whole message
    Column("number", SmallInteger, primary_key=True),
    Column("total", SmallInteger, nullable=False),
    Column("sealed_body", LargeBinary, nullable=False),
    Column("received_at", Moment, nullable=False, index=True),
)

dead_letters = Table(
    "dead_letters",
    metadata,
    Column("id", Id, primary_key=True),
    Column("channel", String(20), nullable=False),
    Column("external_id", String(100), nullable=False),
    Column("reason", String(60), nullable=False),
    Column("sealed_body", LargeBinary, nullable=False),
    Column("received_at", Moment, nullable=False, index=True),
    Column("replayed_at", Moment),
    UniqueConstraint("channel", "external_id", name="uq_dead_letters_channel_external_id"),
)

link_codes = Table(
    "link_codes",
    metadata,
    Column("lookup", String(64), primary_key=True),  # keyed HMAC of the code
    Column("address_id", Id, ForeignKey("addresses.id", ondelete="CASCADE"), nullable=False, unique=True),
    Column("expires_at", Moment, nullable=False, index=True),
)

consents = Table(
    "consents",
    metadata,
    Column("id", Id, primary_key=True),
    Column("address_id", Id, ForeignKey("addresses.id", ondelete="SET NULL"), index=True),
    Column("purpose", String(20), nullable=False),
    Column("basis", String(12), nullable=False),
    Column("version", String(20)),
    Column("reason", String(120), nullable=False),
    Column("sealed_words", LargeBinary),
    Column("given_at", Moment, nullable=False),
    Column("withdrawn_at", Moment),
    Column("sealed_withdrawal", LargeBinary),  # the words of the no
    UniqueConstraint("id", "purpose", name="uq_consents_id_purpose"),
    CheckConstraint("basis IN ('consent', 'emergency', 'refusal')", name="basis"),
    CheckConstraint("basis = 'emergency' OR sealed_words IS NOT NULL OR withdrawn_at IS NOT NULL", name="words"),
)

cases = Table(
    "cases",
    metadata,
    Column("id", Id, primary_key=True),
    Column("reference", String(12), nullable=False, unique=True),
    Column("address_id", Id, ForeignKey("addresses.id", ondelete="SET NULL"), index=True),
    Column("consent_id", Id, nullable=False),
    Column("purpose", String(20), nullable=False),
    Column("kind", String(12), nullable=False),
    Column("priority", String(2), nullable=False),
    Column("status", String(12), nullable=False),
    Column("country", String(8)),
    Column("about", String(8), nullable=False),
    Column("minor", Boolean, nullable=False),
    Column("watched", Boolean, nullable=False),
    Column("flags", String(1000), nullable=False),
    Column("opened_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    # S-21: no case without the consent record of its own purpose
    ForeignKeyConstraint(["consent_id", "purpose"], ["consents.id", "consents.purpose"], name="fk_cases_consent"),
    CheckConstraint("purpose = 'help'", name="purpose"),
    CheckConstraint("priority IN ('P0', 'P1', 'P2', 'P3')", name="priority"),
    CheckConstraint("status IN ('open', 'closed', 'erased')", name="status"),
)

case_events = Table(
    "case_events",
    metadata,
    Column("id", Id, primary_key=True),
    Column("case_id", Id, ForeignKey("cases.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("position", Integer, nullable=False),
    Column("kind", String(20), nullable=False),
    Column("sealed_body", LargeBinary),
    Column("at", Moment, nullable=False),
    UniqueConstraint("case_id", "position", name="uq_case_events_case_id_position"),
)
