"""A message as Rasa is to see it: each word as written and in its plain form, with its place in the very text that Rasa was given."""

import unicodedata
from dataclasses import dataclass
from itertools import groupby

from bot.letters import compose
from bot.understanding.normalise import Normaliser


@dataclass(frozen=True)
class RasaWord:
    """`plain` may be several words ("20tr" is two of one each, "xkld" is one of four); `text[start:end]` is what was written."""

    written: str
    plain: str
    start: int
    end: int


def rasa_words(text: str, normaliser: Normaliser) -> list[RasaWord]:
    """Never empty: Rasa's featurizers take a message without a word, but not one without a token."""
    plain = normaliser.plain(text)
    places = _places(text, plain.original)
    return [
        RasaWord(
            written=plain.original[start:end].lower(),
            plain=" ".join(token.word for token in tokens),
            start=places[start],
            end=places[end],
        )
        for (start, end), tokens in groupby(plain.tokens, key=lambda token: (token.start, token.end))
    ] or [RasaWord(text.strip().lower(), "", 0, len(text))]


def _places(text: str, composed: str) -> list[int]:
    """For each place in the composed text, its end among them, the same place in `text`, where marks may stand by themselves."""
    if text == composed:
        return list(range(len(text) + 1))
    begins = [i for i, letter in enumerate(text) if not i or not _joins_the_letter_before(letter)]
    places: list[int] = []
    for begin, end in zip(begins, [*begins[1:], len(text)], strict=True):
        places += [min(begin + i, end) for i in range(len(compose(text[begin:end])))]
    return (places + [len(text)] * (len(composed) + 1))[: len(composed) + 1]


def _joins_the_letter_before(letter: str) -> bool:
    return unicodedata.combining(letter) != 0 or "\u1160" <= letter <= "\u11ff"  # the latter: parts of Korean letters
