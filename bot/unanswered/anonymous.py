"""A question without whoever asked it: only everyday words stay, and none where a name, a place or a number would stand.

Strict by construction: a word stays because it is on a closed list (the commoner words of nlu/data), never because nothing speaks
against it. What a list cannot know (a village with an everyday name in small letters) is met a second time where questions are shown:
there a word needs eleven people (bot/unanswered/groups.py).
"""

import re
from collections.abc import Iterator, Mapping, Sequence

from bot.content import Library, plain_name
from bot.understanding.normalise import Normaliser, PlainText, Token

GONE = "…"
COMMON = 20  # times in nlu/data: from there on a word is everybody's
LONGEST = 500  # characters that are looked at
MOST = 12  # words kept, gaps among them
FEWEST = 2  # words without which nothing is kept
AFTER_NAME_CUE, AFTER_PLACE_CUE = 3, 2  # words that go
SPELT = 3  # number words in a row
_ADDRESS = re.compile(
    r"[\d@/\\_#<>]|\w[.:]\w"
)  # in a piece between two spaces: a figure, a link, a mail address, a nickname
_SENTENCE_ENDS = frozenset(".!?…:;")


class Anonymiser:
    """Built once; `words_of` may be called from many threads. `counts`: how often each word stands in nlu/data."""

    def __init__(self, library: Library, normaliser: Normaliser, counts: Mapping[str, int]) -> None:
        self._normaliser = normaliser
        self._lists = library.name_words
        self._known = {word for word, count in counts.items() if count >= COMMON and word.isascii() and word.isalpha()}
        self._places = {tuple(name.split()) for name in _places(library)} - {(word,) for word in self._lists.doubtful}
        self._longest = max(map(len, self._places), default=0)

    def words_of(self, text: str) -> tuple[str, ...]:
        """The words that stay, in order, and `GONE` for what went between them; nothing where too little stays."""
        plain = self._normaliser.plain(text[:LONGEST])
        words = [token.word for token in plain.tokens]
        gone = [word not in self._known or word in self._lists.never for word in words]
        for wrong in (
            self._addresses(plain),
            _capitals(plain),
            self._places_in(words),
            self._spelt(words),
            _after(words, self._lists.names, AFTER_NAME_CUE),
            _after(words, self._lists.places, AFTER_PLACE_CUE),
        ):
            for i in wrong:
                gone[i] = True
        self._take_doubtful(words, gone)
        kept = tuple(_shown(plain.tokens, gone))[:MOST]
        return kept if sum(word != GONE for word in kept) >= FEWEST else ()

    def _addresses(self, plain: PlainText) -> Iterator[int]:
        """Every word of a piece that holds a figure, or looks like a link or a nickname."""
        pieces = [match for match in re.finditer(r"\S+", plain.original) if _ADDRESS.search(match[0])]
        for i, token in enumerate(plain.tokens):
            if any(token.start < piece.end() and piece.start() < token.end for piece in pieces):
                yield i

    def _places_in(self, words: Sequence[str]) -> Iterator[int]:
        for i in range(len(words)):
            for length in range(1, min(self._longest, len(words) - i) + 1):
                if tuple(words[i : i + length]) in self._places:
                    yield from range(i, i + length)

    def _spelt(self, words: Sequence[str]) -> Iterator[int]:
        for i in range(len(words) - SPELT + 1):
            if self._lists.figures.issuperset(words[i : i + SPELT]):
                yield from range(i, i + SPELT)

    def _take_doubtful(self, words: Sequence[str], gone: list[bool]) -> None:
        """The words that may be names, where one is introduced; and whatever of them stands beside what may have been a name."""
        named = [i for i, word in enumerate(words) if self._is_named(words, i, gone=gone[i])]
        while named:
            i = named.pop()
            gone[i] = True
            beside = (j for j in (i - 1, i + 1) if 0 <= j < len(words))
            named += [j for j in beside if not gone[j] and words[j] in self._lists.doubtful]

    def _is_named(self, words: Sequence[str], i: int, *, gone: bool) -> bool:
        before, word, after = words[i - 1] if i else "", words[i], (*words[i + 1 : i + 3], "", "")
        if word in self._lists.never or (word in self._lists.middles and i and self._may_be_name(after[0])):
            return True
        if after[0] in self._lists.middles and self._may_be_name(after[1]):
            return True
        return word in self._lists.doubtful and (gone or before in self._lists.introduces)

    def _may_be_name(self, word: str) -> bool:
        """A word that nobody knows may always be one; the end of the message is none."""
        return word != "" and (word not in self._known or word in self._lists.never or word in self._lists.doubtful)


def _places(library: Library) -> Iterator[str]:
    """Every name of a place that content/ knows, towns of compounds among them."""
    yield from library.place_names
    yield from (plain_name(town) for country in library.countries.values() for town in country.towns)


def _capitals(plain: PlainText) -> Iterator[int]:
    """Words that begin large within a sentence. Of a text in capitals nothing is learned."""
    if plain.original == plain.original.upper():
        return
    before = "."
    for i, token in enumerate(plain.tokens):
        if plain.original[token.start].isupper() and before not in _SENTENCE_ENDS:
            yield i
        before = token.word


def _after(words: Sequence[str], cues: frozenset[str], how_many: int) -> Iterator[int]:
    for i, word in enumerate(words):
        if word in cues:
            yield from range(i + 1, min(i + 1 + how_many, len(words)))


def _shown(tokens: Sequence[Token], gone: Sequence[bool]) -> Iterator[str]:
    """One gap for all that went between two words; marks leave none."""
    gap = False
    for token, is_gone in zip(tokens, gone, strict=True):
        if not is_gone:
            if gap:
                yield GONE
            yield token.word
            gap = False
        elif any(letter.isalnum() for letter in token.word):
            gap = True
    if gap:
        yield GONE
