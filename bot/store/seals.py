"""Which columns are sealed, with what, and at which place: the one list that a rotation of keys goes by."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, ColumnElement, Table, and_, func, true

from bot.store import tables as t


@dataclass(frozen=True)
class Seal:
    """One column that the keyring seals, at "table|primary key|column" unless `place` says otherwise; `only`: in these rows."""

    table: Table
    name: str
    place: str = ""
    only: ColumnElement[bool] = true()  # noqa: RUF009 - an expression, which nothing changes

    @property
    def column(self) -> Column[Any]:
        return self.table.c[self.name]

    @property
    def key(self) -> tuple[Column[Any], ...]:
        return tuple(self.table.primary_key)

    @property
    def filled(self) -> ColumnElement[bool]:
        """Rows in which something is sealed: what was wiped is empty."""
        return and_(self.only, self.column.is_not(None), func.length(self.column) > 0)

    def place_of(self, row: Any) -> str:
        """Where the value of this row was sealed to."""
        values = row._mapping
        if self.place:
            return self.place.format(**values)
        return "|".join([self.table.name, *(str(values[one.name]) for one in self.key), self.name])


BY_KEYRING = (
    Seal(t.about, "sealed_value"),
    Seal(t.addresses, "sealed_identifier"),
    Seal(t.conversations, "sealed_state"),
    Seal(t.outbox, "sealed_body"),
    Seal(t.fragments, "sealed_body"),
    Seal(t.dead_letters, "sealed_body"),
    Seal(t.consents, "sealed_words"),
    Seal(t.consents, "sealed_withdrawal"),
    Seal(t.staff, "sealed_profile"),
    Seal(t.staff, "sealed_totp"),
    Seal(t.cases, "sealed_facts"),
    Seal(t.cases, "sealed_reach"),
    Seal(t.case_keys, "sealed_key", "case_keys|{case_id}|{generation}|{holder}", t.case_keys.c.holder == "keyring"),
    Seal(t.handoffs, "sealed_body"),
    Seal(t.schedules, "sealed_content"),
    Seal(t.broadcasts, "sealed_content"),
    Seal(t.unanswered, "sealed_words"),
)

# Table and column of what only people can open (bot/store/boxes.py): the server could not seal it anew.
TO_PEOPLE = (
    (t.case_keys, "sealed_key"),  # but for the rows that the keyring holds
    (t.case_events, "sealed_body"),
    (t.case_messages, "sealed_body"),
    (t.requests, "sealed_reason"),
    (t.handoffs, "sealed_content"),
)
