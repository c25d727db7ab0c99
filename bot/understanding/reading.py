"""Understanding: all that the rest of the house knows about a message."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from bot.understanding.entities import Entities

ASKS = re.compile(
    r"\?|\b(?:gi|sao|the nao|bao nhieu|bao lau|may tuoi|o dau|dau vay|nao|ai|khong(?: (?:a|ah|ban|vay|ta|nhi|ha|em|chi|anh|co|chu|bac))*$|chua$|ha$|hay khong|duoc khong|co nen|cach|"
    r"(?:cho|xin|muon|dam)(?: \w+){0,2} hoi|what|how|where|who|which|why|when|should|can (?:i|we|you|he|she|they|my|it)|is it|do i|does)\b"
)


@dataclass(frozen=True)
class Understanding:
    """What one message says, in the words of the labelling guide.

    `kind` is question, offer, report, emergency, chat or out_of_scope; `topic` belongs to questions and chat.
    `candidates` are answer ids with their probability, best first. `flags` and `signs` map a name to the sender's words; `hints` are
    the flags that the words show whatever the kind, for a talk in which an offer is already on the table. `backend` and `model`: which
    model decided on the kind.
    """

    language: str
    kind: str
    topic: str | None = None
    confidence: float = 0.0
    candidates: tuple[tuple[str, float], ...] = ()
    flags: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    hints: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    signs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    entities: Entities = field(default_factory=Entities)
    backend: str = "embedded"
    model: str = ""
    plain: str = ""

    @property
    def read_by(self) -> str:
        """By which decisions are kept: backend and model."""
        return f"{self.backend} {self.model}".strip()

    @property
    def country(self) -> str | None:
        """The country of work that is named: a compound town first, a foreign country before Viet Nam."""
        places = sorted(self.entities.countries, key=lambda place: (not place.compound_town, place.code == "VN"))
        if places:
            return places[0].code
        return "VN" if self.entities.provinces else None

    @property
    def asks(self) -> bool:
        """Whether the message has the form of a question."""
        return ASKS.search(self.plain) is not None

    @property
    def age_minor(self) -> bool:
        return "minor" in self.flags
