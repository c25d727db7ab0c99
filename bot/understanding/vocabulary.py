"""The words that the bot has learned, how often they stand beside each other, and the names of places."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from bot.content import Library
from bot.letters import fold
from bot.understanding.classifier import EmbeddedClassifier


@dataclass(frozen=True)
class Vocabulary:
    """`words`: how often each occurs in nlu/data; `pairs`: the same for two neighbours, "a b"; `names`: words that are never mended."""

    words: Mapping[str, int]
    pairs: Mapping[str, int]
    names: frozenset[str] = frozenset()

    @classmethod
    def of(cls, model: EmbeddedClassifier, library: Library) -> Self:
        countries = [
            name
            for country in library.countries.values()
            for name in (*country.aliases, *country.towns, *country.short)
        ]
        provinces = [name for province in library.provinces for name in province.aliases]
        names = frozenset(word for name in (*countries, *provinces) for word in fold(name).lower().split())
        return cls(model.word_counts, model.pair_counts, names)
