"""The national Do-Not-Call list: its numbers as keyed digests, and nothing else of it."""

import datetime as dt
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from sqlalchemy import Connection, delete, func, select

from bot import audit
from bot.channels.sms import NAME as SMS
from bot.channels.sms import phone_number
from bot.content import Library
from bot.errors import UsageError
from bot.outreach.signups import AT_ONCE, batches, columns_of, separator_of
from bot.store.crypto import Keyring
from bot.store.database import Database, count_anew, insert_of
from bot.store.tables import do_not_call


@dataclass
class Outcome:
    """How many numbers the file holds, how many of them are new here, how many are on the list now; and the lines without a number."""

    read: int = 0
    added: int = 0
    listed: int = 0
    bad_lines: list[int] = field(default_factory=list)


def import_do_not_call(
    database: Database,
    lines: Iterable[str],
    library: Library,
    country: str,
    now: dt.datetime,
    *,
    by: str,
    replace: bool = False,
) -> Outcome:
    """Adds the numbers, one a line or in the phone column of a CSV file; `replace`: they are the whole list from now on. One transaction.
    A line without a number is told and keeps nobody else from being listed; a file without any changes nothing."""
    outcome, keyring = Outcome(), database.keyring
    with database.begin() as connection:
        before = 0
        if replace:
            connection.execute(delete(do_not_call))
        else:
            before = _size(connection)
        statement = insert_of(connection.dialect.name, do_not_call).on_conflict_do_nothing()
        for numbers in batches(_numbers(lines, library, country, outcome), AT_ONCE):
            outcome.read += len(numbers)
            connection.execute(statement, [{"lookup": one, "added_at": now} for one in _lookups(keyring, numbers)])
        if not outcome.read:
            raise UsageError(
                "No number was found: give one a line, or a CSV file whose first line names the phone column."
            )
        outcome.listed = _size(connection)
        outcome.added = outcome.listed - before
        if outcome.added >= AT_ONCE:
            count_anew(connection, do_not_call)
        audit.record(connection, keyring, actor=by, action="do_not_call_imported", now=now)
    return outcome


def _lookups(keyring: Keyring, numbers: Iterable[str]) -> list[str]:
    """As in addresses of the channel sms; each once."""
    return sorted({keyring.lookup(SMS, number) for number in numbers})


def _numbers(lines: Iterable[str], library: Library, country: str, outcome: Outcome) -> Iterator[str]:
    separator, place = "", 0
    for line, text in enumerate(lines, 1):
        text = text.strip().removeprefix("\ufeff")
        if line == 1:
            head = text.split(separator_of(text))
            columns = columns_of(head, library)
            if "phone" in columns:
                separator, place = separator_of(text), columns["phone"]
                continue
        cells = text.split(separator) if separator else [text]
        written = cells[place].strip(' "') if place < len(cells) else ""
        if number := phone_number(written, country):
            yield number
        elif text:
            outcome.bad_lines.append(line)


def _size(connection: Connection) -> int:
    return int(connection.execute(select(func.count()).select_from(do_not_call)).scalar_one())
