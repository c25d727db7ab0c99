"""What one talk is counted as: four words of closed vocabularies (content/trends.yml), and nothing else of it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from bot.content import Library, TrendTopic

ABROAD, UNKNOWN, NONE = "abroad", "unknown", "none"


@dataclass(frozen=True)
class Observation:
    """`risk` is none where no offer was checked; `province` a code, abroad or unknown; `flag` the group of the gravest sign."""

    risk: str
    topic: str
    province: str
    flag: str


def observe(
    library: Library,
    *,
    risk: str,
    flags: Sequence[str],
    signs: Collection[str],
    country: str | None,
    province: str,
) -> Observation:
    """The observation that a talk is worth. `flags`: of the labelling guide, in any order."""
    words = library.trends
    topic = next(topic.id for topic in words.topics if _fits(topic, flags, signs, country))
    gravest = min(flags, key=lambda flag: library.red_flags[flag].rank, default=None)
    group = next((group.id for group in words.flags if gravest in group.of), words.flags[-1].id)
    return Observation(risk, topic, province, group)


def _fits(topic: TrendTopic, flags: Collection[str], signs: Collection[str], country: str | None) -> bool:
    return (
        (not topic.flags or not set(topic.flags).isdisjoint(flags))
        and (not topic.signs or not set(topic.signs).isdisjoint(signs))
        and (not topic.countries or country in topic.countries)
    )
