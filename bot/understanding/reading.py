"""Understanding: all that the rest of the house knows about a message."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bot.understanding.entities import Entities


@dataclass(frozen=True)
class Understanding:
    """What one message says, in the words of the labelling guide.

    `kind` is question, offer, report, emergency, chat or out_of_scope; `topic` belongs to questions and chat.
    `candidates` are answer ids with their probability, best first. `flags` and `signs` map a name to the sender's words.
    """

    language: str
    kind: str
    topic: str | None = None
    confidence: float = 0.0
    candidates: tuple[tuple[str, float], ...] = ()
    flags: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    signs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    entities: Entities = field(default_factory=Entities)
    backend: str = "embedded"
    plain: str = ""

    @property
    def country(self) -> str | None:
        """The country of work that is named: a compound town first, a foreign country before Viet Nam."""
        places = sorted(self.entities.countries, key=lambda place: (not place.compound_town, place.code == "VN"))
        return places[0].code if places else None

    @property
    def age_minor(self) -> bool:
        return "minor" in self.flags
