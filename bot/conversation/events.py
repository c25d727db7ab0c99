"""What a turn caused, named in the past tense. The processor writes them down in the turn's own commit."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

CasePurpose = Literal["help"]
CaseBasis = Literal["consent", "emergency"]
Priority = Literal["P0", "P1", "P2", "P3"]


@dataclass(frozen=True)
class ConsentGiven:
    """A clear yes to one purpose, with the words used and the version of the text that was asked."""

    purpose: str
    words: str
    version: str


@dataclass(frozen=True)
class ConsentRefused:
    purpose: str


@dataclass(frozen=True)
class ConsentWithdrawn:
    """The person wants no help any more, and nothing passed on."""

    words: str


@dataclass(frozen=True)
class CaseRequested:
    """A case for the hotline queue. `basis` is the person's consent, or danger to life (then `reason` says which rule).
    `read_by`: the model that made it what it is.
    """

    kind: str
    priority: Priority
    basis: CaseBasis
    reason: str
    flags: tuple[str, ...] = ()
    country: str | None = None
    about: str = "self"
    minor: bool = False
    watched: bool = False
    words: tuple[str, ...] = ()
    read_by: str = ""


@dataclass(frozen=True)
class CaseExtended:
    """More for the case that this conversation has opened: the person's words, or the answer to one question."""

    words: tuple[str, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    country: str | None = None
    minor: bool = False
    watched: bool = False


@dataclass(frozen=True)
class Silenced:
    """Somebody else may read the phone: nothing more goes out until the person writes (S-03)."""


@dataclass(frozen=True)
class OptedIn:
    """`province`, `interest`: their codes, or ALL; None: not said. `utc_offset`: minutes, where a country was named."""

    purpose: str
    words: str
    language: str = "vi"
    province: str | None = None
    interest: str | None = None
    utc_offset: int | None = None


@dataclass(frozen=True)
class NewsChosen:
    """What somebody who has said yes to news wants to hear of. It is no yes: after a no it changes nothing."""

    language: str
    province: str | None = None
    interest: str | None = None
    utc_offset: int | None = None


@dataclass(frozen=True)
class OptedOut:
    """`everywhere`: on all lines that the person has linked."""

    purpose: str
    words: str
    everywhere: bool = False


@dataclass(frozen=True)
class LinkCodeGiven:
    """A code that the person may type on another line, to show that both are theirs."""

    code: str


@dataclass(frozen=True)
class Linked:
    """The code of another line was typed here."""

    code: str


@dataclass(frozen=True)
class AccessAsked:
    """The person asks what is kept about them."""


@dataclass(frozen=True)
class ErasureRequested:
    """The person wants everything about them gone."""


Event = (
    ConsentGiven | ConsentRefused | ConsentWithdrawn | CaseRequested | CaseExtended | Silenced | OptedIn | NewsChosen
    | OptedOut | LinkCodeGiven | Linked | AccessAsked | ErasureRequested
)  # fmt: skip
