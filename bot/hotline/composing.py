"""What an operator has typed, as it would leave: its form and price by SMS, and what to think over before it goes (S-11, S-12, S-16)."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, select

from bot.channels.base import CAPABILITIES
from bot.channels.sms_text import SegmentSizes, sms_text
from bot.content import Library
from bot.delivery.render import Rendered, parts
from bot.hotline.cases import Case
from bot.letters import fold
from bot.messages import Reply
from bot.store.crypto import Keyring
from bot.store.tables import case_clues
from bot.understanding.clues import clues_in
from bot.wording import broken, misread

LONGEST = 1400  # characters that leave at once: nine SMS
SHORTEST_NAME = 4  # letters of a word by which a case could be known


@dataclass(frozen=True)
class Caution:
    """`id` is a name of the group `warnings` of the console's words; `words` caused it."""

    id: str
    words: tuple[str, ...] = ()


@dataclass(frozen=True)
class Preview:
    """`segments` and `vnd` are None where the text does not leave by SMS."""

    text: str
    segments: int | None
    vnd: int | None
    cautions: tuple[Caution, ...]

    @property
    def grave(self) -> bool:
        """Whether it needs a second press. A word that may be misread is only shown: a warning at every message is read by nobody."""
        return any(one.id != "ambiguous" for one in self.cautions)


@dataclass(frozen=True)
class Price:
    """Of one segment in VND, and how much a segment holds at the provider."""

    vnd: int
    sizes: SegmentSizes


def rendered(text: str, channel: str) -> list[Rendered]:
    """The messages in which a text leaves."""
    return parts(Reply(text, text, name="operator"), CAPABILITIES[channel])


def preview(
    connection: Connection,
    keyring: Keyring,
    library: Library,
    case: Case,
    channel: str,
    text: str,
    known: Mapping[str, object],
    price: Price,
) -> Preview:
    """`known`: the operator's summary, whose words would give the case away to somebody else."""
    by_sms = CAPABILITIES[channel].sms
    folded = sms_text(text, sizes=price.sizes)
    cautions = [
        *(Caution(name, words) for name, words in broken(library, text)),
        *_recruiter(connection, keyring, case, text),
        *(_facts(library, case, known, text) if case.paused_at else ()),
    ]
    if by_sms and (doubtful := misread(library, text)):
        cautions.append(Caution("ambiguous", tuple(f"{written} → {word.id}" for written, word in doubtful)))
    if not by_sms:
        return Preview(text, None, None, tuple(cautions))
    return Preview(folded.text, folded.segments, folded.segments * price.vnd, tuple(cautions))


def _recruiter(connection: Connection, keyring: Keyring, case: Case, text: str) -> Iterator[Caution]:
    """A number, account, link or company that this case knows."""
    theirs = set(connection.execute(select(case_clues.c.lookup).where(case_clues.c.case_id == case.id)).scalars())
    found = [value for kind, value in clues_in([text]) if keyring.lookup(f"clue {kind}", value) in theirs]
    if found:
        yield Caution("recruiter", tuple(found))


def _facts(library: Library, case: Case, known: Mapping[str, object], text: str) -> Iterator[Caution]:
    """To somebody who may be another person: the place, and whatever the summary says."""
    words = set(_words(text))
    country = library.countries.get(case.facts.country or "")
    places = (country.name.vi, country.name.en, *country.aliases, *country.towns) if country else ()
    named = [place for place in places if f" {fold(place).lower()} " in f" {' '.join(_words(text))} "]
    told = [
        word for value in known.values() for word in _words(str(value)) if len(word) >= SHORTEST_NAME and word in words
    ]
    if found := tuple(dict.fromkeys([*named, *told])):
        yield Caution("unverified", found)


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", fold(text).lower())


def confirmation(text: str, cautions: Iterable[Caution], keyring: Keyring) -> str:
    """What the form must send back to let this very text go in spite of these cautions."""
    return keyring.lookup("confirm", f"{text}|{[one.id for one in cautions]}")[:16]
