"""text -> Understanding: normalise, read figures and names, find signs, classify, and let the safety rules have the last word."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from bot.content import Library
from bot.letters import compose, fold
from bot.understanding.classifier import Classification, EmbeddedClassifier, SecondOpinion
from bot.understanding.cues import Cue
from bot.understanding.decision import Decision
from bot.understanding.emergencies import EmergencyRules
from bot.understanding.entities import Entities, EntityReader
from bot.understanding.evidence import DISPUTES, TOLD_BY_FLAGS, opinions, signs_and_flags, wording
from bot.understanding.figures import Words, flags_of_figures
from bot.understanding.language import OTHER_SCRIPTS, detect_language
from bot.understanding.nlu_data import FLAGGED, KINDS, kind_of
from bot.understanding.normalise import Normaliser, PlainText
from bot.understanding.reading import Understanding
from bot.understanding.tagger import Tag

# Margins of the tagger, chosen on held-out personas.
TAGGED = -0.05  # from here on it adds a flag that no cue found
DOUBTED = -1.1  # below this it drops a flag that only a cue found ...
CONFIRMED = -0.4  # ... and below this, one whose cues need context, or a weak one in an offer that reads as honest
EXCUSED = 0.9  # what it takes where an `unless` speaks against the flag
YIELDS = 0.3  # below this a flag yields to the sign that says the opposite
HONEST = 0.8  # probability of "low" from which an offer reads as honest
# What it costs to miss a kind, beside a question: an offer or a report read as a question gets a general answer and no warning.
COSTS = {"offer": 2.0, "report": 1.15}
COST_OF_DANGER = 6.0  # an offer that shows a strong flag or two
COSTS_OF_A_QUARREL = {"report": 0.35}  # unpaid wages, a passport kept: a worker's question, where nothing else is told
DOUBTED_AT_MOST = 0.5  # confidence in what is decided against the model's best label
SMALL_TALK = 0.1  # the least probability of it in the model's opinion: nothing else tells small talk
PROBING = 0.5  # from here on the model hears a cry even in what sounds like asking after others
CERTAIN = 0.9  # the least confidence of what a certain rule says
MOST_ANSWERS = 6  # that a reading names
SURE = 0.9  # from here on the diacritics are not asked

SCREEN_WORK = re.compile(
    r"\b(?:casino|online|chat|lua|scam|game|may tinh|go may|cong ty|company|app|khach|web|tai khoan)\b"
)
SAYS_WHERE = frozenset(
    "da vang thua thi gio hien nay dang luc em toi tui tau minh chau con no me bo ba cha vo chong anh chi ong nha que gia dinh o tai ben song "
    "lam viec di thoi tinh huyen xa nuoc cua ca a ah nhe , .".split()
)


@dataclass(frozen=True)
class Sight:
    """What of a message is seen before its kind is decided."""

    text: str
    plain: PlainText
    language: str
    entities: Entities
    guess: Classification
    flags: Mapping[str, Words]
    signs: Mapping[str, Words]


class Begun(NamedTuple):
    """A message as our own model reads it; `open`, where another backend is to be asked about it as well."""

    reading: Understanding
    open: Sight | None


class Interpreter:
    """Built once; `read` may be called from many threads."""

    def __init__(
        self,
        library: Library,
        normaliser: Normaliser,
        classifier: EmbeddedClassifier,
        decision: Decision,
        longest_text: int = 4000,
        second: SecondOpinion | None = None,
    ) -> None:
        self._library = library
        self._normaliser = normaliser
        self._classifier = classifier
        self._decision = decision
        self._longest = longest_text
        self._second = second
        self._counts = classifier.word_counts
        self._strong = {flag.id for flag in library.red_flags.values() if flag.strength == "strong"}
        self._entities = EntityReader(
            library.countries.values(), library.provinces, library.currencies, library.currency_of
        )
        self._flags = [Cue.compile(flag.id, flag.cues, flag.unless) for flag in library.red_flags.values()]
        self._signs = [Cue.compile(sign.id, sign.cues, sign.unless) for sign in library.signs.values()]
        self._vouching = {sign.id for sign in library.signs.values() if sign.vouches}
        self._emergencies = EmergencyRules(library.emergencies)

    def read(self, text: str) -> Understanding:
        """Everything that one message says. `text` is cut to the longest that is read."""
        return self.complete(self.begin(text))

    def begin(self, text: str) -> Begun:
        """What computes and never waits: it may be done elsewhere, one message after another."""
        sight = self._look(text)
        reading = self._reading(sight)
        return Begun(reading, sight if self._second and self._is_open(sight, reading.kind) else None)

    def complete(self, begun: Begun) -> Understanding:
        """What may wait for the other backend: to be done where no other message queues behind it."""
        if begun.open is None or self._second is None:
            return begun.reading
        second = self._second.ask(begun.open.text, begun.open.guess)
        return self._reading(replace(begun.open, guess=second)) if second else begun.reading

    def _reading(self, sight: Sight) -> Understanding:
        label, confidence = self._decide(sight)
        kind = kind_of(label)
        if kind != "emergency" and not self._knows_a_word_of(sight.plain):
            confidence = 0.0
        return Understanding(
            language=sight.language,
            kind=kind,
            topic=_topic(label, kind),
            confidence=confidence,
            candidates=sight.guess.answers[:MOST_ANSWERS],
            flags=_fitting(kind, sight),
            hints=sight.flags,
            signs=sight.signs,
            entities=sight.entities,
            backend=sight.guess.backend,
            model=sight.guess.model,
            plain=sight.plain.text,
        )

    def evidence(self, text: str) -> tuple[dict[str, float], Mapping[str, float]]:
        """What a message shows, and the model's probability of each label: from these its kind is decided."""
        sight = self._look(text)
        return self._evidence(sight), sight.guess.labels

    def _look(self, text: str) -> Sight:
        """Diacritics may help to tell the kind, but never the flags: the same offer shows the same signs in any spelling (S-31)."""
        text = compose(text)[: self._longest]
        plain = self._normaliser.plain(text)
        language = detect_language(text)
        entities = self._entities.read(plain)
        signs = {cue.name: words for cue in self._signs if (words := cue.find(plain))}
        spellings = [PlainText(fold(plain.original), plain.tokens)] + [plain] * (fold(text) != text)
        guesses = self._classifier.classify(*spellings)
        folded = next(guesses)
        guess = folded if max(folded.labels.values()) > SURE else next((g.mixed_with(folded) for g in guesses), folded)
        flags = self._flags_of_words(plain, signs, folded, trusted=language in OTHER_SCRIPTS)
        flags = flags_of_figures(entities, flags, signs, self._library.countries)
        if self._is_vouched_for(signs, folded):
            signs["vouched"] = tuple(word for name in signs if name in self._vouching for word in signs[name])
        return Sight(text, plain, language, entities, guess, flags, signs)

    def wake(self) -> None:
        """Before the first message: the second opinion, where there is one, says whether it is there."""
        if self._second:
            self._second.look()

    def _is_open(self, sight: Sight, kind: str) -> bool:
        """Whether the other backend has a say. A cry for help does not wait for it, and where there are no words it has nothing to go by."""
        return kind != "emergency" and _has_letters(sight.plain) and self._knows_a_word_of(sight.plain)

    def _knows_a_word_of(self, plain: PlainText) -> bool:
        """Whether there is anything to go by: a word of the training sentences, another script, or an emoji."""
        if any(token.word in self._counts or not token.word.isascii() for token in plain.tokens):
            return True
        return not any(character.isalnum() for character in plain.text)

    def _flags_of_words(
        self, plain: PlainText, signs: Mapping[str, Words], guess: Classification, *, trusted: bool
    ) -> dict[str, Words]:
        """What a cue found and the tagger does not doubt, and what the tagger found alone.

        `trusted` cues are not doubted: the tagger reads words, and a Thai or Chinese sentence has no spaces between them.
        """
        tags = {
            name: tag for name, tag in self._classifier.tagger.read(plain).items() if name in self._library.red_flags
        }
        found: dict[str, Words] = {}
        honest = guess.risks["low"] > HONEST
        for cue in self._flags:
            margin = tags[cue.name].margin if cue.name in tags else 0.0
            credible = trusted or margin > self._doubt(cue.name, honest=honest)
            if credible and (words := cue.find(plain)):
                found[cue.name] = words
            elif cue.name in tags and margin > TAGGED and (margin > EXCUSED or not cue.is_excused(plain)):
                found[cue.name] = tags[cue.name].words
        return {name: words for name, words in found.items() if not self._is_contradicted(name, tags, signs)}

    def _doubt(self, flag: str, *, honest: bool) -> float:
        entry = self._library.red_flags[flag]
        return CONFIRMED if entry.needs_context or (honest and entry.strength == "weak") else DOUBTED

    def _is_contradicted(self, flag: str, tags: Mapping[str, Tag], signs: Mapping[str, Words]) -> bool:
        opposite = self._library.red_flags[flag].contradicted_by
        return opposite in signs and (flag not in tags or tags[flag].margin < YIELDS)

    def _is_vouched_for(self, signs: Mapping[str, Words], guess: Classification) -> bool:
        """Whether an offer without flags is low rather than medium: by its wording, and by what speaks for it."""
        if self._vouching & set(signs) - {"named_employer"}:  # a name alone certifies nothing
            return 2.0 * guess.risks["low"] > guess.risks["medium"]
        return 0.5 * guess.risks["low"] > max(guess.risks["medium"], guess.risks["high"])

    def _decide(self, sight: Sight) -> tuple[str, float]:
        """The label and how sure it is, by all the evidence unless a certain rule speaks. Figures and marks alone are small talk."""
        if self._emergencies.certain_rule(sight.plain):
            chance = self._decision.chances(self._evidence(sight))["emergency"]
            return "emergency", max(self._decision.confidence(chance), CERTAIN)
        if not _has_letters(sight.plain):
            label, share = self._decision.best_within("chat", sight.guess.labels)
            return label, self._decision.confidence(share)
        found = self._evidence(sight)
        chances = self._decision.chances(found)
        enough = self._emergencies.threshold(sight.plain, {*sight.flags, *sight.signs})
        if chances["emergency"] > enough and not self._is_no_cry(sight):
            return "emergency", self._decision.confidence(chances["emergency"])
        others: tuple[str, ...] = (
            FLAGGED if _is_a_childs_matter(found) or _tells_that_somebody_is_gone(found) else KINDS
        )
        if sum(p for name, p in sight.guess.labels.items() if kind_of(name) == "chat") < SMALL_TALK:
            others = tuple(kind for kind in others if kind != "chat")
        kind = self._costliest_to_miss({kind: chances[kind] for kind in others if kind != "emergency"}, sight.flags)
        labels = sight.guess.labels
        label, share = self._decision.best_within(kind, labels)
        confidence = self._decision.confidence(chances[kind] * share)
        if kind not in FLAGGED and kind_of(max(labels, key=lambda name: labels[name])) != kind:
            confidence = min(confidence, DOUBTED_AT_MOST)
        return label, confidence

    def _costliest_to_miss(self, chances: Mapping[str, float], flags: Collection[str]) -> str:
        telling = {*flags} - DISPUTES
        if flags and not telling:
            return max(chances, key=lambda kind: chances[kind] * COSTS_OF_A_QUARREL.get(kind, 1.0))
        dangerous = bool(telling & self._strong) or len(telling) >= TOLD_BY_FLAGS
        costs = {**COSTS, "offer": COST_OF_DANGER} if dangerous else COSTS
        return max(chances, key=lambda kind: chances[kind] * costs.get(kind, 1.0))

    def _is_no_cry(self, sight: Sight) -> bool:
        """ "Em ở Nghệ An": where somebody is, and nothing else (a town of closed compounds says more). Or who asks what others told us."""
        if "probing" in sight.signs and sight.guess.labels["emergency"] < PROBING:
            return True
        places = [*sight.entities.countries, *sight.entities.provinces]
        if not places or any(place.compound_town for place in places):
            return False
        rest = sight.plain.text
        for place in places:
            rest = rest.replace(self._normaliser.plain(place.words).text, " ")
        return SAYS_WHERE.issuperset(rest.split())

    def _evidence(self, sight: Sight) -> dict[str, float]:
        return {
            **dict(opinions(sight.guess)),
            **dict(signs_and_flags(sight.flags, self._strong, sight.signs)),
            **self._emergencies.evidence(sight.plain),
            **dict(wording(sight.plain, sight.language, sight.entities, self._counts)),
        }


def _is_a_childs_matter(found: Mapping[str, float]) -> bool:
    """Somebody under 18 to whom something was said (S-23): no mere question, unless it is the rule that is asked for."""
    return "flag: minor" in found and bool(found["tells what somebody said"]) and not found["asks the rule"]


def _tells_that_somebody_is_gone(found: Mapping[str, float]) -> bool:
    return "sign: gone" in found and not found["asks"]


def _fitting(kind: str, sight: Sight) -> dict[str, Words]:
    """The flags that mean something in a message of this kind: a bare sum is pay only in an offer, and the name of a
    known place is a sign only beside the work that is done there."""
    if kind not in FLAGGED:
        return {}
    dropped = set()
    if kind != "offer" and sight.entities.pay and sight.entities.pay.role == "unknown":
        dropped.add("unrealistic_pay")
    if kind == "emergency" and not SCREEN_WORK.search(sight.plain.text):
        dropped.add("scam_compound_destination")
    return {name: words for name, words in sight.flags.items() if name not in dropped}


def _has_letters(plain: PlainText) -> bool:
    return any(character.isalpha() for character in plain.original)


def _topic(label: str, kind: str) -> str | None:
    if kind == "chat":
        return label.split("/", 1)[1]
    return label if kind == "question" else None
