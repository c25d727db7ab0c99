"""The tables. Ids are random; every column that could tell who somebody is, or what they said, is ciphertext ("sealed")."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
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
    false,
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
    Column(
        "helped_at", Moment
    ),  # S-09: when a case was last opened, or a subscriber told of danger; no news after it without a new yes
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
    Column(
        "author", String(10), nullable=False, server_default="bot"
    ),  # bot | operator | page: who speaks, in bot.delivery.outbox
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
    Column("broadcast_id", Id, ForeignKey("broadcasts.id", ondelete="SET NULL")),
    Column("vnd", Integer, nullable=False, server_default="0"),  # what an alert costs where it leaves
    Index("ix_outbox_done_at", "done_at"),
    Index("ix_outbox_broadcast", "broadcast_id", "status", **_where("broadcast_id IS NOT NULL")),
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

subscriptions = (
    Table(  # what somebody who said yes to news wants to hear of; whether the yes still holds stands in consents
        "subscriptions",
        metadata,
        Column("address_id", Id, ForeignKey("addresses.id", ondelete="CASCADE"), primary_key=True),
        Column("channel", String(20), nullable=False),  # of the address: an audience is gone through channel by channel
        Column("province", String(32)),  # keyed digest of a code of content/provinces.yml; none: not said
        Column("interest", String(32)),  # keyed digest of an id of content/interests.yml; none: everything
        Column("language", String(2), nullable=False),
        Column(
            "utc_offset", SmallInteger, nullable=False, server_default="420"
        ),  # minutes, of the clock where the person is
        Column("source", String(12), nullable=False),  # conversation | paper
        Column("joined_at", Moment, nullable=False),
        Index("ix_subscriptions_channel", "channel", "address_id"),
        CheckConstraint("source IN ('conversation', 'paper')", name="source"),
    )
)

do_not_call = Table(
    "do_not_call",
    metadata,
    Column("lookup", String(64), primary_key=True),  # keyed HMAC, as in addresses of the channel sms
    Column("added_at", Moment, nullable=False),
)

schedules = Table(  # alerts that come again
    "schedules",
    metadata,
    Column("id", Id, primary_key=True),
    Column("status", String(10), nullable=False),
    Column("cron", String(80), nullable=False),  # five fields, by the clock of Viet Nam
    Column("sealed_content", LargeBinary, nullable=False),
    Column("digest", String(64), nullable=False),  # keyed, of everything that was approved
    Column("author_id", Id, ForeignKey("staff.id"), nullable=False),
    Column("approved_by", Id, ForeignKey("staff.id")),
    Column("created_at", Moment, nullable=False),
    Column("ends_at", Moment, nullable=False),
    CheckConstraint("status IN ('waiting', 'active', 'paused', 'ended')", name="status"),
    CheckConstraint("approved_by IS NULL OR approved_by <> author_id", name="two_people"),
)

broadcasts = Table(
    "broadcasts",
    metadata,
    Column("id", Id, primary_key=True),
    Column("reference", String(12), nullable=False, unique=True),
    Column("status", String(10), nullable=False),
    Column("why", String(20)),  # of a pause or an end that nobody pressed a button for
    Column("urgent", Boolean, nullable=False),  # may break the quiet hours
    Column("sealed_content", LargeBinary, nullable=False),  # words, source, audience
    Column("digest", String(64), nullable=False),  # keyed, of everything that is approved
    Column("author_id", Id, ForeignKey("staff.id"), index=True),  # none: the schedule
    Column("created_at", Moment, nullable=False),
    Column("submitted_at", Moment),
    Column("approved_by", Id, ForeignKey("staff.id")),
    Column("approved_at", Moment),
    Column("starts_at", Moment),  # nothing leaves before: until then it can be taken back
    Column("valid_until", Moment, nullable=False),  # nothing leaves from then on
    Column("budget_vnd", Integer, nullable=False),
    Column("reserved_vnd", Integer, nullable=False, server_default="0"),  # of what was handed to the outbox
    Column("cursor", String(80)),  # how far the audience has been gone through
    Column("moved_at", Moment),  # when the cursor last moved
    Column("expanded_at", Moment),
    Column("size", Integer, nullable=False, server_default="0"),  # recipients
    Column("schedule_id", Id, ForeignKey("schedules.id", ondelete="SET NULL")),
    Column("due_at", Moment),  # which turn of the schedule
    Column("done_at", Moment),
    UniqueConstraint("schedule_id", "due_at", name="uq_broadcasts_schedule_id"),
    Index("ix_broadcasts_open", "starts_at", **_where("status IN ('scheduled', 'running', 'paused')")),
    CheckConstraint(
        "status IN ('draft', 'waiting', 'scheduled', 'running', 'paused', 'cancelled', 'done')", name="status"
    ),
    CheckConstraint("approved_by IS NULL OR approved_by <> author_id", name="two_people"),
    CheckConstraint("reserved_vnd <= budget_vnd", name="budget"),
)

recipients = Table(
    "recipients",
    metadata,
    Column("broadcast_id", Id, ForeignKey("broadcasts.id", ondelete="CASCADE"), primary_key=True),
    Column("person", Id, primary_key=True),  # the address's own id where it is linked with no other
    Column("address_id", Id, ForeignKey("addresses.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("channel", String(20), nullable=False),
    Column("status", String(8), nullable=False),
    Column("reason", String(12)),  # why somebody gets nothing
    Column("not_before", Moment, nullable=False),
    Index("ix_recipients_waiting", "broadcast_id", "channel", "not_before", "person", **_where("status = 'waiting'")),
    Index("ix_recipients_skipped", "broadcast_id", "reason", **_where("status = 'skipped'")),
    CheckConstraint("status IN ('waiting', 'given', 'skipped')", name="status"),
)

broadcast_tallies = Table(  # what is counted once its rows are gone, or never had any
    "broadcast_tallies",
    metadata,
    Column("broadcast_id", Id, ForeignKey("broadcasts.id", ondelete="CASCADE"), primary_key=True),
    Column("name", String(40), primary_key=True),
    Column("shard", SmallInteger, primary_key=True),  # so that turns do not wait for each other
    Column("count", Integer, nullable=False),
)

staff = Table(
    "staff",
    metadata,
    Column("id", Id, primary_key=True),
    Column("lookup", String(64), nullable=False, unique=True),  # keyed HMAC of the login name
    Column("sealed_profile", LargeBinary, nullable=False),  # login, name, languages, where pages go
    Column("roles", String(80), nullable=False),  # comma between; content/policy/permissions.yml says what each may do
    Column("password_hash", String(200)),  # Argon2id; none before the first log-in
    Column("key_salt", LargeBinary),  # of the second Argon2id, whose secret locks the private key
    Column("public_key", LargeBinary),
    Column("key_proof", String(64)),  # keyed digest of id, roles and public key: nobody else can put theirs there
    Column("locked_private_key", LargeBinary),
    Column("sealed_totp", LargeBinary),
    Column("totp_step", BigInteger, nullable=False, server_default="0"),  # the last that was used: none serves twice
    Column("invite_lookup", String(64), unique=True),  # keyed HMAC of the one-time link
    Column("invite_until", Moment),
    Column("lacks_keys", Boolean, nullable=False, server_default=false()),  # of cases that colleagues must share yet
    Column("on_duty", Boolean, nullable=False, server_default=false()),
    Column("page_order", SmallInteger),  # who is paged first; none: never
    Column("most_cases", SmallInteger, nullable=False, server_default="8"),  # S-35: open ones at the same time
    Column("created_at", Moment, nullable=False),
    Column("removed_at", Moment),
)

recovery_codes = Table(
    "recovery_codes",
    metadata,
    Column("lookup", String(64), primary_key=True),  # keyed HMAC of the code
    Column("staff_id", Id, ForeignKey("staff.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("used_at", Moment),
)

staff_sessions = Table(
    "staff_sessions",
    metadata,
    Column("lookup", String(64), primary_key=True),  # SHA-256 of the cookie's 256 bits
    Column("staff_id", Id, ForeignKey("staff.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("locked_private_key", LargeBinary, nullable=False),  # under a secret made from the cookie
    Column("created_at", Moment, nullable=False),
    Column("seen_at", Moment, nullable=False, index=True),
)

login_failures = Table(
    "login_failures",
    metadata,
    Column("lookup", String(64), primary_key=True),  # keyed HMAC of account and device
    Column("failures", Integer, nullable=False),
    Column("wait_until", Moment, nullable=False),
    Column("last_at", Moment, nullable=False, index=True),
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
    Column("minor", Boolean, nullable=False),
    Column("status", String(12), nullable=False),
    Column("outcome", String(24)),  # why it ended: content/console/outcomes
    Column("sealed_facts", LargeBinary),  # country, signs, about self or other: what the queue shows, in closed words
    Column("generation", SmallInteger, nullable=False, server_default="1"),  # of the case's key pair
    Column("public_key", LargeBinary, nullable=False),  # to which what is new is sealed
    Column("key_proof", String(64)),  # keyed digest of id, generation and public key
    Column("owner_id", Id, ForeignKey("staff.id"), index=True),
    Column("claimed_at", Moment),
    Column("relay_since", Moment),  # since then an operator speaks, and the bot does not
    Column("heard_at", Moment),  # when the person last wrote
    Column("paused_at", Moment),  # S-11: when they wrote again after a pause; who it is, is not known since
    Column("code_lookup", String(64)),  # keyed HMAC of the code word
    Column("asking", String(20)),  # the purpose for which the person has been asked for a yes
    Column("sealed_reach", LargeBinary),  # S-10: the hours that the person called safe
    Column("opened_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("ended_at", Moment),
    # S-21: no case without the consent record of its own purpose
    ForeignKeyConstraint(["consent_id", "purpose"], ["consents.id", "consents.purpose"], name="fk_cases_consent"),
    CheckConstraint("purpose = 'help'", name="purpose"),
    CheckConstraint("priority IN ('P0', 'P1', 'P2', 'P3')", name="priority"),
    CheckConstraint("status IN ('open', 'closed', 'erased')", name="status"),
    CheckConstraint("relay_since IS NULL OR (owner_id IS NOT NULL AND status = 'open')", name="relay"),
    Index("ix_cases_queue", "priority", "opened_at", **_where("status = 'open'")),
)

case_keys = Table(
    "case_keys",
    metadata,
    Column("case_id", Id, ForeignKey("cases.id", ondelete="CASCADE"), primary_key=True),
    Column("generation", SmallInteger, primary_key=True),
    Column(
        "holder", String(32), primary_key=True
    ),  # a staff id, "recovery", or "keyring" while nobody else can hold it
    Column("sealed_key", LargeBinary, nullable=False),  # the private key of the case
    Index("ix_case_keys_holder", "holder"),
)

case_events = Table(
    "case_events",
    metadata,
    Column("id", Id, primary_key=True),
    Column("case_id", Id, ForeignKey("cases.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("position", Integer, nullable=False),
    Column("kind", String(20), nullable=False),
    Column("actor", String(32), nullable=False),  # a staff id, "bot", "person", "clock" or "command line"
    Column("generation", SmallInteger, nullable=False),
    Column("sealed_body", LargeBinary, nullable=False),  # to the case's key
    Column("at", Moment, nullable=False),
    UniqueConstraint("case_id", "position", name="uq_case_events_case_id_position"),
)

case_messages = Table(  # S-14: the words of both sides, kept apart from the timeline and for less long
    "case_messages",
    metadata,
    Column("id", Id, primary_key=True),
    Column("case_id", Id, ForeignKey("cases.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("position", Integer, nullable=False),
    Column("author", String(32), nullable=False),  # "person" or a staff id
    Column("outbox_id", Id, ForeignKey("outbox.id", ondelete="SET NULL")),
    Column("generation", SmallInteger, nullable=False),
    Column("sealed_body", LargeBinary, nullable=False),  # to the case's key
    Column("at", Moment, nullable=False),
    UniqueConstraint("case_id", "position", name="uq_case_messages_case_id_position"),
)

case_clues = Table(
    "case_clues",
    metadata,
    Column("case_id", Id, ForeignKey("cases.id", ondelete="CASCADE"), primary_key=True),
    Column(
        "lookup", String(64), primary_key=True, index=True
    ),  # keyed HMAC of a recruiter's number, account, link or company
    Column("kind", String(10), nullable=False),
)

case_steps = Table(  # S-28: what the clock has done about a case, each once
    "case_steps",
    metadata,
    Column("case_id", Id, ForeignKey("cases.id", ondelete="CASCADE"), primary_key=True),
    Column("step", String(20), primary_key=True),
    Column("staff_id", Id),  # who was paged
    Column("at", Moment, nullable=False),
)

requests = Table(  # what needs a second person: break-glass, passing on without consent
    "requests",
    metadata,
    Column("id", Id, primary_key=True),
    Column("case_id", Id, ForeignKey("cases.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("kind", String(20), nullable=False),
    Column("asked_by", Id, nullable=False),
    Column("asked_at", Moment, nullable=False),
    Column("generation", SmallInteger, nullable=False),
    Column("sealed_reason", LargeBinary, nullable=False),  # to the case's key
    Column("decided_by", Id),
    Column("decided_at", Moment),
    Column("granted", Boolean),
    Column("until", Moment),  # what was granted ends then
    CheckConstraint("decided_by IS NULL OR decided_by <> asked_by", name="two_people"),
)

handoffs = Table(  # what left us, to whom and on what ground
    "handoffs",
    metadata,
    Column("id", Id, primary_key=True),
    Column("case_id", Id, ForeignKey("cases.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("receiver", String(40), nullable=False),
    Column("form", String(12), nullable=False),  # sheet | webhook | export
    Column("purpose", String(20), nullable=False),
    Column("consent_id", Id, nullable=False),
    Column("made_by", Id, nullable=False),
    Column("digest", String(64), nullable=False),  # SHA-256 of what was handed over
    Column("at", Moment, nullable=False),
    Column("status", String(12), nullable=False),  # made | queued | sent | failed
    Column("attempts", SmallInteger, nullable=False, server_default="0"),
    Column("not_before", Moment),
    Column("sealed_body", LargeBinary),  # what still has to leave by webhook; empty afterwards
    Column("generation", SmallInteger, nullable=False),
    Column("sealed_content", LargeBinary, nullable=False),  # what was handed over, to the case's key
    # S-21: nothing leaves without the consent, or the proven emergency, of its own purpose
    ForeignKeyConstraint(["consent_id", "purpose"], ["consents.id", "consents.purpose"], name="fk_handoffs_consent"),
    CheckConstraint("form IN ('sheet', 'webhook', 'export')", name="form"),
    Index("ix_handoffs_waiting", "not_before", **_where("status = 'queued'")),
)

audit = Table(
    "audit",
    metadata,
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("at", Moment, nullable=False, index=True),
    Column("actor", String(32), nullable=False),
    Column("action", String(30), nullable=False),
    Column("case_id", Id, index=True),  # no foreign key: that something happened outlives the case
    Column("subject", Id),  # another person of the staff
    Column("digest", String(64), nullable=False),  # SHA-256 of the sealed body that belongs to it
    Column("mac", String(64), nullable=False),  # HMAC over this row and the one before
)

audit_head = Table(  # its lock makes the chain one line
    "audit_head",
    metadata,
    Column("name", String(10), primary_key=True),
    Column("position", Integer, nullable=False),
    Column("mac", String(64), nullable=False),
)

# -- figures of the service: about no person, so no table of these has row numbers, which would tell an order ----------------------

turn_tallies = Table(  # what became of messages
    "turn_tallies",
    metadata,
    Column("day", Date, primary_key=True),
    Column("outcome", String(20), primary_key=True),  # a closed word: bot.conversation.outcome
    Column("read_by", String(80), primary_key=True),  # which model decided: backend and model
    Column("shard", SmallInteger, primary_key=True),  # so that turns do not wait for each other
    Column("count", Integer, nullable=False),
    sqlite_with_rowid=False,
)

unanswered = Table(  # what was asked and not understood, in a few everyday words
    "unanswered",
    metadata,
    Column("id", Id, primary_key=True),
    Column("day", Date, nullable=False, index=True),
    Column("sealed_words", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

unanswered_givers = Table(  # so that nobody is counted twice; which words were whose stands nowhere
    "unanswered_givers",
    metadata,
    Column("lookup", String(64), primary_key=True),  # keyed HMAC of a random id
    Column("until", Date, nullable=False, index=True),  # a Monday: not the day on which they wrote
    sqlite_with_rowid=False,
)
