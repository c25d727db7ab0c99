"""A whole case to take out: for a court, or for the person whom it is about. Nothing of it is ever written to a disk of ours."""

import datetime as dt
import io
import json
import zipfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection

from bot import audit
from bot.content import Library
from bot.errors import CaseError
from bot.hotline import reading
from bot.hotline.cases import PERSON, Case, add_event, changed
from bot.hotline.claims import held
from bot.hotline.handing_on import CaseFile, carries_number, file_of, ground_for, handoffs_of, record
from bot.hotline.keys import CaseKeys, Operator
from bot.hotline.papers import Paper
from bot.hotline.reading import CaseEvent, Words
from bot.hours import working_days_later
from bot.messages import VIETNAM
from bot.store.crypto import Keyring

COURT = "court"
PURPOSE = "share_police"
ACCESS_ASKED, ACCESS_ANSWERED = "access_asked", "access_answered"
ACKNOWLEDGE = 2  # working days (D-01)
ANSWER = dt.timedelta(days=10)  # D-03
_LONG_AGO = (1980, 1, 1, 0, 0, 0)  # of every file in the archive: the same case gives the same bytes


def export(
    connection: Connection, keyring: Keyring, operator: Operator, reference: str, library: Library, now: dt.datetime
) -> bytes:
    """A ZIP for a court, and that it was made. Courts get a case from the police, so the ground is that of handing it to them: the
    person's own yes (`share_police`), or what a second person granted in danger to life. A supervisor alone cannot take a case out.
    CaseError: no_yes, erased, no_key.
    """
    case, contact, _ = held(connection, keyring, operator, reference)
    ground = ground_for(connection, keyring, case, PURPOSE, now)
    carried = contact is not None and carries_number(connection, case, operator, ground, now)
    made = archive(
        connection, keyring, operator, reference, library, contact.address.identifier if contact and carried else None
    )
    content = {"reference": case.reference, "archive": sha256(made).hexdigest()}
    record(connection, keyring, case, operator, (COURT, "export", ground), content, now)
    add_event(connection, keyring, case, "exported", operator.id, {"receiver": COURT, "basis": ground.basis}, now)
    return made


def archive(
    connection: Connection, keyring: Keyring, operator: Operator, reference: str, library: Library, number: str | None
) -> bytes:
    """The same bytes for the same state of the case and the audit chain. Ids stand in place of the names of staff."""
    case, _, case_keys = held(connection, keyring, operator, reference)
    file = file_of(connection, keyring, case, case_keys, number)
    head = audit.head(connection)
    told = [asdict(one) for one in reading.words(connection, case, case_keys)]
    files: dict[str, object] = {
        "case.json": {**_case(file), "handed_on": [asdict(one) for one in handoffs_of(connection, case)]},
        **({"words.json": told} if told else {}),
        "timeline.json": [asdict(one) for one in file.timeline],
        "consents.json": [asdict(one) for one in file.consents],
        "audit.json": {"rows": audit.links_of(connection, case.id), "head": asdict(head)},
    }
    written = {name: _json(content) for name, content in files.items()}
    readme = "\n".join(
        library.console(language)["export"]["readme"].format(reference=case.reference, anchor=head)
        for language in ("vi", "en")
    )
    written["README.txt"] = readme.encode()
    sums = {name: sha256(content).hexdigest() for name, content in sorted(written.items())}
    return _zip({**written, "manifest.json": _json({"reference": case.reference, "sha256": sums})})


def _case(file: CaseFile) -> dict[str, Any]:
    return {name: value for name, value in asdict(file).items() if name not in ("timeline", "consents")}


def _json(content: object) -> bytes:
    return json.dumps(content, ensure_ascii=False, indent=1, sort_keys=True, default=_moment).encode()


def _moment(value: object) -> str:
    if isinstance(value, dt.datetime):
        return value.isoformat()
    raise TypeError(type(value).__name__)


def _zip(files: Mapping[str, bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as bundle:
        for name in sorted(files):
            about = zipfile.ZipInfo(name, _LONG_AGO)
            about.external_attr = 0o600 << 16
            bundle.writestr(about, files[name], zipfile.ZIP_DEFLATED)
    return made.getvalue()


# -- for the person ----------------------------------------------------------------------------------------------------


def asked(
    connection: Connection, keyring: Keyring, case: Case, holidays: Collection[dt.date], now: dt.datetime
) -> None:
    """The person wants to see what is kept (D-01, D-03). The bot has told them at once how it goes; by these days people must."""
    days = {
        "acknowledge_by": working_days_later(now, ACKNOWLEDGE, holidays).isoformat(),
        "answer_by": (now.astimezone(VIETNAM).date() + ANSWER).isoformat(),
    }
    add_event(connection, keyring, case, ACCESS_ASKED, PERSON, days, now)
    changed(connection, case, updated_at=now)


def awaited(events: Sequence[CaseEvent]) -> bool:
    """Whether the person has asked for their copy and not got it yet. `events` in order."""
    return (
        next((one.kind for one in reversed(events) if one.kind in (ACCESS_ASKED, ACCESS_ANSWERED)), "") == ACCESS_ASKED
    )


def for_the_person(
    connection: Connection,
    keyring: Keyring,
    operator: Operator,
    reference: str,
    library: Library,
    language: str,
    now: dt.datetime,
) -> Paper:
    """The person's own case in plain words (D-03). Only where they asked for it, and not while it is uncertain who writes: a copy in
    the wrong hands is the worst that can happen to them. CaseError: not_asked, not_verified, gone, erased, no_key.
    """
    case, contact, case_keys = held(connection, keyring, operator, reference)
    if contact is None:
        raise CaseError("gone")
    file = file_of(connection, keyring, case, case_keys, contact.address.identifier)
    if not any(one.kind == ACCESS_ASKED for one in file.timeline):
        raise CaseError("not_asked")
    if case.paused_at is not None and case.code_lookup is not None:
        raise CaseError("not_verified")
    paper = _Copy(library, language).paper(file, *_told(connection, case, case_keys))
    add_event(connection, keyring, case, ACCESS_ANSWERED, operator.id, {}, now)
    return paper


def _told(connection: Connection, case: Case, case_keys: CaseKeys) -> tuple[list[Words], list[tuple[str, dt.datetime]]]:
    """What both sides said, and to whom it went."""
    left = [(one.receiver, one.at) for one in handoffs_of(connection, case)]
    return reading.words(connection, case, case_keys), left


class _Copy:
    """Codes and times in the words of one language."""

    def __init__(self, library: Library, language: str) -> None:
        self._library = library
        self._language = language
        self._all = library.console(language)
        self._words = self._all["copy"]

    def paper(self, file: CaseFile, told: list[Words], left: list[tuple[str, dt.datetime]]) -> Paper:
        known = [
            ("reference", file.reference),
            ("opened", _at(file.opened_at)),
            ("ended", _at(file.ended_at) if file.ended_at else ""),
            ("number", file.number or ""),
            ("kind", self._all["kinds"].get(file.kind, file.kind)),
            ("country", self._country(file.facts.country)),
            ("signs", "\n".join(self._sign(flag) for flag in file.facts.flags)),
            *file.summary.items(),
            ("notes", "\n".join(f"{_at(one.at)} {one.text}" for one in file.notes)),
            ("consents", "\n".join(self._consents(file))),
            ("handed_on", "\n".join(f"{_at(at)} {self._receiver(receiver)}" for receiver, at in left)),
            ("talk", "\n".join(f"{_at(one.at)} {self._author(one.author)}: {one.text}" for one in told if one.text)),
            ("timeline", "\n".join(f"{_at(one.at)} {self._all['events'].get(one.kind, one.kind)}" for one in file.timeline)),
        ]  # fmt: skip
        rows = tuple((self._words[name], text or self._words["none"]) for name, text in known)
        return Paper(self._words["title"], self._words["intro"], rows, (self._words["rights"],))

    def _consents(self, file: CaseFile) -> list[str]:
        return [
            " · ".join(
                filter(None, [
                    _at(one.at), self._purpose(one.purpose),
                    self._words["said"].format(words=one.words) if one.words else "",
                    self._words["emergency"] if one.basis == "emergency" else "",
                    self._words["withdrawn"] if one.withdrawn_at else "",
                ])
            )
            for one in file.consents
        ]  # fmt: skip

    def _purpose(self, purpose: str) -> str:
        return self._all["purposes"].get(purpose) or self._all["grounds"][purpose]

    def _author(self, author: str) -> str:
        return self._words["you" if author == PERSON else "operator"]

    def _receiver(self, receiver: str) -> str:
        known = self._library.receivers.get(receiver)
        return known.name.in_language(self._language) if known else self._all["receivers"].get(receiver, receiver)

    def _country(self, code: str | None) -> str:
        known = self._library.countries.get(code or "")
        return known.name.in_language(self._language) if known else ""

    def _sign(self, flag: str) -> str:
        known = self._library.red_flags.get(flag)
        return known.title.in_language(self._language) if known else flag


def _at(moment: dt.datetime) -> str:
    return f"{moment.astimezone(VIETNAM):%H:%M %d/%m/%Y}"
