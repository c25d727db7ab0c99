"""The tables. Ids are random; every column that could tell who somebody is, or what they said, is ciphertext ("sealed")."""

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
    String,
    Table,
    UniqueConstraint,
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
    Column("created_at", Moment, nullable=False),
    UniqueConstraint("channel", "lookup", name="uq_addresses_channel_lookup"),
)

inbox = Table(
    "inbox",
    metadata,
    Column("id", Id, primary_key=True),
    Column("channel", String(20), nullable=False),
    Column("external_id", String(100), nullable=False),
    Column("address_id", Id, ForeignKey("addresses.id", ondelete="SET NULL")),
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
    Column("address_id", Id, ForeignKey("addresses.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("inbox_id", Id, ForeignKey("inbox.id", ondelete="SET NULL"), index=True),
    Column("position", Integer, nullable=False),  # order among the replies to one message
    Column("dedup", String(120), nullable=False, unique=True),
    Column("lane", String(12), nullable=False),
    Column("status", String(12), nullable=False),
    Column("sealed_body", LargeBinary, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("done_at", Moment),
    Index("ix_outbox_done_at", "done_at"),
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
    UniqueConstraint("id", "purpose", name="uq_consents_id_purpose"),
    CheckConstraint("basis IN ('consent', 'emergency')", name="basis"),
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
