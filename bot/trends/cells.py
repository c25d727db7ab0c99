"""The tables of trends and their cells, in a fixed order: every cell is there, whether anybody falls into it or not."""

from collections.abc import Mapping
from functools import cached_property

from bot.content import Library, Text
from bot.errors import TrendsError
from bot.observations import Observation

BETWEEN = "/"  # the two parts of a cell


class Cells:
    """Which cells there are, by table, and into which one an observation falls."""

    def __init__(self, library: Library) -> None:
        self._words = library.trends
        self._names = {province.code: province.name for province in library.provinces}

    @cached_property
    def of(self) -> Mapping[str, tuple[str, ...]]:
        """Table -> its cells. What stands nowhere here can be counted nowhere."""
        topics = tuple(topic.id for topic in self._words.topics)
        places = (*self._names, *(place.id for place in self._words.elsewhere))
        regions = tuple(region.id for region in self._words.regions)
        return {
            "risk": tuple(risk.id for risk in self._words.risks),
            "topic": topics,
            "province": places,
            "region_topic": _crossed(regions, topics),
            "province_topic": _crossed(places, topics),
            "flag": tuple(flag.id for flag in self._words.flags),
        }

    @cached_property
    def region_of(self) -> Mapping[str, str]:
        """Province -> its region; none for who is abroad or told no province."""
        return {code: region.id for region in self._words.regions for code in region.tiles}

    def cell(self, table: str, seen: Observation) -> str | None:
        """Into which one it falls; None where the table has none for it. TrendsError for a word that is in no vocabulary."""
        words = {"risk": seen.risk, "topic": seen.topic, "province": seen.province, "flag": seen.flag}
        for name, word in words.items():
            if word not in self.of[name]:
                raise TrendsError(f"An observation has a {name} that content/trends.yml does not know.")
        if table == "region_topic":
            region = self.region_of.get(seen.province)
            return f"{region}{BETWEEN}{seen.topic}" if region else None
        if table == "province_topic":
            return f"{seen.province}{BETWEEN}{seen.topic}"
        return words[table]

    def title(self, table: str, cell: str, language: str) -> str:
        """How people read a cell."""
        first, _, second = cell.partition(BETWEEN)
        if second:
            left = "region" if table == "region_topic" else "province"
            return f"{self.title(left, first, language)}: {self.title('topic', second, language)}"
        return self._titles[table, cell].in_language(language)

    @cached_property
    def _titles(self) -> Mapping[tuple[str, str], Text]:
        words = self._words
        named = (
            ("risk", words.risks), ("topic", words.topics), ("province", words.elsewhere), ("flag", words.flags),
            ("region", words.regions),
        )  # fmt: skip
        titles = {(table, entry.id): entry.title for table, entries in named for entry in entries}
        return titles | {("province", code): Text(vi=name, en=name) for code, name in self._names.items()}


def _crossed(left: tuple[str, ...], right: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{one}{BETWEEN}{other}" for one in left for other in right)
