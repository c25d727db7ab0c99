"""The rules of wording (content/policy/wording.yml) for what staff write themselves: what to think over, before it leaves."""

import re
from collections.abc import Iterator, Mapping
from typing import Literal

from bot.channels.sms_text import DoubtfulWord, doubtful_words
from bot.content import AmbiguousWord, Library
from bot.letters import fold

OPENING = 40  # characters that a lock screen shows (S-08)
NUMBER = re.compile(r"\+\d[\d .-]{6,}\d|\b(?:84|0)(?:[ .-]?\d){8,10}\b|\b1[89]00[ .]?\d{3,6}\b")
SHORT_LINE = re.compile(r"\b(?:111|113)\b(?![.,]\d)")
NOTICES_111 = frozenset({"call_111", "call_111_after"})
Rule = Literal["promise", "order", "verdict", "prying", "opening"]
_RULES: tuple[tuple[Rule, str], ...] = (
    ("promise", "promises"),
    ("order", "orders"),
    ("verdict", "verdicts"),
    ("prying", "prying"),
)


def broken(library: Library, text: str) -> Iterator[tuple[Rule, tuple[str, ...]]]:
    """(name, the words that caused it) of each rule that the text breaks (S-15, S-16, S-17, S-19), and an opening that gives away (S-08)."""
    plain = fold(text).lower()
    for name, rule in _RULES:
        if found := matches(library.policy_words[rule], plain):
            yield name, found
    if found := matches(library.policy_words["revealing"], plain[:OPENING]):
        yield "opening", found


def matches(patterns: Mapping[str, list[str]], plain: str) -> tuple[str, ...]:
    """What the patterns of both languages find in a folded text, each once."""
    found = (match[0] for one in (*patterns["vi"], *patterns["en"]) for match in re.finditer(one, plain))
    return tuple(dict.fromkeys(words.strip() for words in found if words.strip()))


def misread(library: Library, text: str) -> list[tuple[str, AmbiguousWord]]:
    """(as written, what it may be read as) of the words that turn doubtful without their marks, everyday spellings apart."""
    entries = {word.id: word for word in library.ambiguous}
    known = [
        DoubtfulWord(word.id, tuple(one for one in word.written if one not in word.everyday), word.note.vi)
        for word in library.ambiguous
    ]
    return [(written, entries[word.folded]) for written, word in doubtful_words(text, known)]
