"""Paper sign-up lists: read line by line, and written in one transaction or not at all.

A list is a CSV file in UTF-8 with commas, semicolons or tabs, one person a line. Its first line names the columns, in any order, as
content/signups.yml has it: phone, province, signed on (2026-11-21 or 21/11/2026), event and collected by must be there; interest and
language may be. Nobody is sent a confirmation: the paper is the registration, and every alert says how to stop.
"""

import csv
import datetime as dt
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from hashlib import sha256
from itertools import islice
from typing import Any, Literal, TypeVar

import phonenumbers
from sqlalchemy import Connection, insert, select

from bot import audit, subscriptions
from bot.channels.sms import NAME as SMS
from bot.channels.sms import phone_number
from bot.content import Library, plain_name
from bot.messages import ALL, VIETNAM, Address
from bot.store.crypto import Keyring
from bot.store.database import Database, count_anew, insert_of, new_id, utc
from bot.store.tables import addresses, consents, do_not_call
from bot.store.tables import subscriptions as subscriptions_table

REQUIRED = ("phone", "province", "signed", "event", "collector")
SEPARATORS = (";", "\t", ",")
EARLIEST = dt.date(2000, 1, 1)
AT_ONCE = 2000  # rows of one statement
Code = Literal[
    "no_column", "unreadable", "too_many_cells", "bad_number", "not_mobile", "unknown_province", "unknown_interest",
    "unknown_language", "bad_date", "future_date", "no_evidence", "duplicate_in_file",
]  # fmt: skip
Item = TypeVar("Item")

_LINE_END = re.compile(r"\r\n|\r|\n")
_LOCAL_DAY = re.compile(r"(\d{1,2})[/.-](\d{1,2})[/.-](\d{4})")
_PREFIX = re.compile(r"^(?:tinh|thanh pho|tp) ")
_MOBILE = {phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE}


@dataclass(frozen=True)
class Problem:
    """What is wrong with a line. `about`: the first line with the same number, or the column that is missing; never what stands there."""

    line: int
    code: Code
    about: str = ""


@dataclass(frozen=True, slots=True)
class Signup:
    """One line. `province` and `interest` are codes; `interest` None: everything."""

    line: int
    number: str
    province: str
    interest: str | None
    language: str
    signed: dt.date
    evidence: str

    def __repr__(self) -> str:
        return f"Signup(line {self.line})"

    @property
    def given_at(self) -> dt.datetime:
        """When the yes was given: the first moment of the day, so that a no or a case of the same day comes after it."""
        return dt.datetime.combine(self.signed, dt.time(), VIETNAM).astimezone(dt.UTC)


@dataclass(frozen=True)
class Signups:
    """A list that was read. `digest`: SHA-256 of the file."""

    rows: tuple[Signup, ...]
    problems: tuple[Problem, ...]
    digest: str


@dataclass(frozen=True)
class Outcome:
    """How many people were added, had said yes already, had said no since they signed, or are on the Do-Not-Call list.

    `refused`: because of its problems nothing of the list was written.
    """

    added: int = 0
    already: int = 0
    opted_out: int = 0
    do_not_call: int = 0
    refused: bool = False


# -- reading -----------------------------------------------------------------------------------------------------------


def read(written: str, library: Library, country: str, today: dt.date, name: str = "") -> Signups:
    """Every line with what is wrong with it. `country`: whose numbers are written without +. `name`: of the list, kept as evidence."""
    digest = sha256(written.encode()).hexdigest()
    lines = enumerate(_LINE_END.split(written.removeprefix("\ufeff")), 1)
    head = next(((number, line) for number, line in lines if line.strip(" \t,;")), (1, ""))
    separator = separator_of(head[1])
    titles = _cells(head[1], separator) or []
    columns = columns_of(titles, library)
    if missing := [Problem(head[0], "no_column", name) for name in REQUIRED if name not in columns]:
        return Signups((), tuple(missing), digest)
    reader = _Reader(library, columns, country, today, name)
    for number, line in lines:
        cells = _cells(line, separator)
        if cells is None:
            reader.problems.append(Problem(number, "unreadable"))
        elif any(cells[len(titles) :]):
            reader.problems.append(Problem(number, "too_many_cells"))
        elif any(cells):
            reader.take(number, cells)
    return Signups(tuple(reader.rows.values()), tuple(reader.problems), digest)


def separator_of(head: str) -> str:
    return max(SEPARATORS, key=head.count)


def columns_of(head: Sequence[str], library: Library) -> dict[str, int]:
    """Name of a column -> its place."""
    known = {plain_name(name): column for column, names in library.signup_sheet.columns.items() for name in names}
    found: dict[str, int] = {}
    for place, name in enumerate(head):
        if column := known.get(plain_name(name)):
            found.setdefault(column, place)
    return found


def _cells(line: str, separator: str) -> list[str] | None:
    """None where a quotation mark does not end: the line may have taken others with it."""
    try:
        return [cell.strip() for row in csv.reader([line], delimiter=separator, strict=True) for cell in row]
    except csv.Error:
        return None


class _Reader:
    """Lines -> rows by their numbers, and problems."""

    def __init__(self, library: Library, columns: Mapping[str, int], country: str, today: dt.date, name: str) -> None:
        self._library, self._columns, self._country, self._today, self._name = library, columns, country, today, name
        self.rows: dict[str, Signup] = {}
        self.problems: list[Problem] = []

    def take(self, line: int, cells: Sequence[str]) -> None:
        told = {name: cells[place] if place < len(cells) else "" for name, place in self._columns.items()}
        number, kind = mobile_number(told["phone"], self._country)
        province = self._province(told["province"])
        interest, language = self._interest(told.get("interest", "")), self._language(told.get("language", ""))
        signed = day_in(told["signed"])
        wrong: list[Code] = [kind] if kind else []
        wrong += ["unknown_province"] if province is None else []
        wrong += ["unknown_interest"] if interest is None else []
        wrong += ["unknown_language"] if language is None else []
        wrong += ["bad_date"] if signed is None else ["future_date"] if signed > self._today else []
        wrong += [] if told["event"] and told["collector"] else ["no_evidence"]
        self.problems += [Problem(line, code) for code in wrong]
        if wrong or number is None or province is None or language is None or signed is None:
            return
        if number in self.rows:
            self.problems.append(Problem(line, "duplicate_in_file", str(self.rows[number].line)))
            return
        evidence = "; ".join(part for part in (told["event"], told["collector"], self._name) if part)
        chosen = None if interest == ALL else interest
        self.rows[number] = Signup(line, number, province, chosen, language, signed, evidence)

    def _province(self, text: str) -> str | None:
        """By its name of now or of before; with "tinh" or "thanh pho" in front or without."""
        name = plain_name(text)
        return self._provinces.get(name) or self._provinces.get(_PREFIX.sub("", name))

    @cached_property
    def _provinces(self) -> dict[str, str]:
        codes = {province.code for province in self._library.provinces}
        named = {name: code for name, code in self._library.place_names.items() if code in codes}
        return named | {plain_name(code): code for code in codes}

    def _interest(self, text: str) -> str | None:
        return self._interests.get(plain_name(text)) if text else ALL

    @cached_property
    def _interests(self) -> dict[str, str]:
        found = {plain_name(word): ALL for word in self._library.commands["everywhere"]}
        for name, interest in self._library.interests.items():
            found |= dict.fromkeys((plain_name(name), *map(plain_name, (interest.label.vi, interest.label.en))), name)
        return found

    def _language(self, text: str) -> str | None:
        return self._languages.get(plain_name(text)) if text else "vi"

    @cached_property
    def _languages(self) -> dict[str, str]:
        names = self._library.signup_sheet.languages
        return {plain_name(word): language for language, words in names.items() for word in words}


def mobile_number(written: str, country: str) -> tuple[str | None, Code | None]:
    """The number as the SMS channel writes it, and what is wrong where it cannot get an SMS."""
    if plain := _plain_mobile(country).fullmatch(
        written
    ):  # nearly every line; looking closely takes twenty times as long
        return f"+{phonenumbers.country_code_for_region(country)}{plain[1]}", None
    number = phone_number(written, country)
    if number is None:
        return None, "bad_number"
    kind = phonenumbers.number_type(phonenumbers.parse(number))
    return (number, None) if kind in _MOBILE else (None, "not_mobile")


@cache
def _plain_mobile(country: str) -> re.Pattern[str]:
    """A mobile number of this country without spaces: 09..., +849..."""
    data = phonenumbers.PhoneMetadata.metadata_for_region(country)
    if data is None or data.mobile is None or data.national_prefix is None:
        return re.compile(r"(?!)")
    return re.compile(
        rf"(?:\+{data.country_code}|{data.national_prefix})({data.mobile.national_number_pattern})", re.ASCII
    )


def day_in(text: str) -> dt.date | None:
    """2026-11-21, or day before month: 21/11/2026."""
    try:
        local = _LOCAL_DAY.fullmatch(text)
        day = dt.date(int(local[3]), int(local[2]), int(local[1])) if local else dt.date.fromisoformat(text)
    except ValueError:
        return None
    return day if day >= EARLIEST else None


# -- writing -----------------------------------------------------------------------------------------------------------


def import_signups(
    database: Database, signups: Signups, by: str, now: dt.datetime, *, skip_bad: bool = False, dry_run: bool = False
) -> Outcome:
    """All of the list in one transaction. With problems nothing is written, unless `skip_bad` leaves those lines out. `dry_run`: nothing
    is written at all, and the outcome tells what would be.

    A no counts more than an older signature. A yes counts from the day of its signature, so one from before a case brings no news
    after it (S-09); the outcome does not tell who that is.
    """
    if signups.problems and not skip_bad:
        return Outcome(refused=True)
    keyring = database.keyring
    people = {keyring.lookup(SMS, row.number): row for row in signups.rows}
    with database.begin() as connection:
        listed = _on_do_not_call_list(connection, people)
        people = {lookup: row for lookup, row in people.items() if lookup not in listed}
        if not dry_run:
            _create_missing(connection, keyring, people, now)
        known = _locked(connection, people)
        said = _said(connection, [person.id for person in known.values()])
        verdicts = {
            lookup: _verdict(row, known.get(lookup), said.get(known[lookup].id, []) if lookup in known else [])
            for lookup, row in people.items()
        }
        if not dry_run:
            new = [(known[lookup].id, row) for lookup, row in people.items() if verdicts[lookup] in ("added", "again")]
            _write(connection, keyring, new, signups.digest, now)
            audit.record(connection, keyring, actor=by, action="signups_imported", digest=signups.digest, now=now)
    found = list(verdicts.values())
    already = found.count("already") + found.count("again")
    return Outcome(found.count("added"), already, found.count("opted_out"), len(listed))


Verdict = Literal["added", "again", "already", "opted_out"]


def _verdict(row: Signup, person: Any | None, said: Sequence[Any]) -> Verdict:
    """ "again": they had said yes, had a case, and have signed since. Told as "already", or it would tell of the case."""
    if person is None:
        return "added"
    if person.leaving_since is not None:
        return "opted_out"
    yes = [utc(one.given_at) for one in said if one.withdrawn_at is None]
    if yes:
        helped_at = utc(person.helped_at) if person.helped_at else None
        return "again" if helped_at and max(yes) <= helped_at < row.given_at else "already"
    no = [utc(one.withdrawn_at) for one in said]
    return "opted_out" if no and row.given_at <= max(no) else "added"


def _on_do_not_call_list(connection: Connection, lookups: Iterable[str]) -> set[str]:
    found: set[str] = set()
    for some in batches(lookups, AT_ONCE):
        found.update(connection.execute(select(do_not_call.c.lookup).where(do_not_call.c.lookup.in_(some))).scalars())
    return found


def _create_missing(connection: Connection, keyring: Keyring, people: Mapping[str, Signup], now: dt.datetime) -> None:
    statement = insert_of(connection.dialect.name, addresses).on_conflict_do_nothing()
    there = {person.lookup for person in _known(connection, people)}
    missing = sorted(set(people) - there)
    for some in batches(zip(_ids(len(missing)), missing, strict=True), AT_ONCE):
        rows = [
            {"id": row_id, "channel": SMS, "lookup": lookup, "created_at": now,
             "sealed_identifier": keyring.seal(people[lookup].number, f"addresses|{row_id}|sealed_identifier")}
            for row_id, lookup in some
        ]  # fmt: skip
        connection.execute(statement, rows)
    if len(missing) >= AT_ONCE:
        count_anew(connection, addresses)


def _ids(count: int) -> list[str]:
    """New ids in the order of the rows: an index that grows at its end is written in a third of the time."""
    return sorted(new_id() for _ in range(count))


def _known(connection: Connection, lookups: Iterable[str]) -> Iterator[Any]:
    for some in batches(lookups, AT_ONCE):
        yield from connection.execute(
            select(addresses.c.id, addresses.c.lookup).where(addresses.c.channel == SMS, addresses.c.lookup.in_(some))
        )


def _locked(connection: Connection, lookups: Iterable[str]) -> dict[str, Any]:
    """The addresses, held so that nobody says no meanwhile; in the order in which a turn takes the lines of a person."""
    ids = sorted(person.id for person in _known(connection, lookups))
    found: dict[str, Any] = {}
    for some in batches(ids, AT_ONCE):
        query = select(addresses.c.id, addresses.c.lookup, addresses.c.helped_at, addresses.c.leaving_since)
        query = query.where(addresses.c.id.in_(some)).order_by(addresses.c.id).with_for_update(key_share=True)
        found |= {person.lookup: person for person in connection.execute(query)}
    return found


def _said(connection: Connection, ids: Iterable[str]) -> dict[str, list[Any]]:
    """Every yes and no to news, by address."""
    found: dict[str, list[Any]] = {}
    for some in batches(ids, AT_ONCE):
        query = select(consents.c.address_id, consents.c.given_at, consents.c.withdrawn_at).where(
            consents.c.purpose == "alerts", consents.c.address_id.in_(some)
        )
        for one in connection.execute(query):
            found.setdefault(one.address_id, []).append(one)
    return found


def _write(
    connection: Connection, keyring: Keyring, people: Sequence[tuple[str, Signup]], digest: str, now: dt.datetime
) -> None:
    people = sorted(people, key=lambda pair: pair[0])
    tags = {row.province: subscriptions.tag(keyring, "province", row.province) for _, row in people}
    topics = {row.interest: subscriptions.tag(keyring, "interest", row.interest) for _, row in people if row.interest}
    for some in batches(zip(_ids(len(people)), people, strict=True), AT_ONCE):
        connection.execute(
            insert(consents),
            [
                {"id": row_id, "address_id": address_id, "purpose": "alerts", "basis": "consent", "version": digest[:12],
                 "reason": "paper list", "given_at": row.given_at,
                 "sealed_words": keyring.seal(row.evidence, f"consents|{row_id}|sealed_words")}
                for row_id, (address_id, row) in some
            ],
        )  # fmt: skip
        subscriptions.write_all(
            connection,
            [
                {"address_id": address_id, "channel": SMS, "province": tags[row.province], "interest": topics.get(row.interest or ""),
                 "language": row.language, "utc_offset": subscriptions.offset_of(Address(SMS, row.number), now),
                 "source": "paper", "joined_at": row.given_at}
                for _, (address_id, row) in some
            ],
        )  # fmt: skip
    if len(people) >= AT_ONCE:
        count_anew(connection, consents, subscriptions_table)


def batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    walk = iter(items)
    while some := list(islice(walk, size)):
        yield some
