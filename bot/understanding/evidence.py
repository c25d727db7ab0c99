"""What a message shows, by name: the model's opinion, red flags, signs, safety rules, and the form of its words.

Each piece of evidence is a number; nlu/decision.yml says how much it speaks for each kind of message (bot/understanding/decision.py).
"""

import math
import re
from collections.abc import Collection, Iterator, Mapping

from bot.understanding.classifier import Classification
from bot.understanding.entities import Entities
from bot.understanding.figures import ADULT, HOME
from bot.understanding.language import OTHER_SCRIPTS
from bot.understanding.nlu_data import KINDS, RISKS, kind_of
from bot.understanding.normalise import PlainText
from bot.understanding.reading import ASKS

DISPUTES = frozenset({"wage_withheld", "document_retention"})  # a worker's quarrel with an employer is a question
TOLD_BY_FLAGS = 2  # so many flags speak of an offer or of what came of one
LEAST = 1e-4  # a probability below this tells no more than this
MOST_FLAGS = 3  # more of them tell no more
FAMILIAR = 3  # times that a word occurs in nlu/data

_FORMS = {
    "asks": ASKS,
    "asks whether to": re.compile(
        r"\bco nen\b|\b(?:nhan|di|theo|lam|ky|dua|nop|tin) (?:duoc )?(?:khong|ko)\b|\bshould (?:i|we|she|he)\b"
    ),
    "asks the rule": re.compile(
        r"\b(?:luat|quy dinh|duoc (?:di lam|lam|khong)|co duoc|vi pham|bao nhieu tuoi|may tuoi|hop phap|allowed|legal)\b"
    ),
    "tells what somebody said": re.compile(
        r"\b(?:ho|no|chu|ong|ba|anh|chi|di|cau|co|ban|nguoi|moi gioi)(?: \w+){0,3} (?:bao|noi|ru|keu|moi|dua|nhan|khai|dan)\b"
    ),
}


def opinions(guess: Classification) -> Iterator[tuple[str, float]]:
    """The model's: log-odds of each kind, and the logarithm of each risk of an offer."""
    by_kind = dict.fromkeys(KINDS, 0.0)
    for label, p in guess.labels.items():
        by_kind[kind_of(label)] += p
    for kind, p in by_kind.items():
        bounded = min(max(p, LEAST), 1 - LEAST)
        yield f"model: {kind}", math.log(bounded / (1 - bounded))
    for risk in RISKS:
        yield f"model: {risk} risk", math.log(max(guess.risks[risk], LEAST))


def signs_and_flags(
    flags: Collection[str], strong: Collection[str], signs: Collection[str]
) -> Iterator[tuple[str, float]]:
    """`strong`: the flags of which one is enough."""
    for name in flags:
        yield f"flag: {name}", 1.0
    grave = len([name for name in flags if name in strong])
    yield "strong flags", float(min(grave, MOST_FLAGS))
    yield "weak flags", float(min(len(flags) - grave, MOST_FLAGS))
    yield "two flags", float(len({*flags} - DISPUTES) >= TOLD_BY_FLAGS)
    for name in signs:
        yield f"sign: {name}", 1.0


def wording(
    plain: PlainText, language: str, entities: Entities, counts: Mapping[str, int]
) -> Iterator[tuple[str, float]]:
    """`counts`: how often each word occurs in nlu/data. Words that nobody taught us say that we do not know the matter."""
    for name, pattern in _FORMS.items():
        yield name, float(pattern.search(plain.text) is not None)
    yield "pay", float(entities.pay is not None)
    yield "under 18", float(any(age < ADULT for age, _ in entities.ages))
    yield "abroad", float(any(place.code != HOME for place in entities.countries))
    yield "length", math.log1p(len(plain.tokens))
    yield "english", float(language == "en")
    yield "other script", float(language in OTHER_SCRIPTS)
    seen = [counts.get(token.word, 0) for token in plain.tokens if token.word.isalpha()]
    yield "known words", sum(count >= FAMILIAR for count in seen) / len(seen) if seen else 0.0
    yield "common words", sum(map(math.log1p, seen)) / len(seen) if seen else 0.0
