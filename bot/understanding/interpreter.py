"""text -> Understanding: normalise, read figures and names, find signs, classify, and let the safety rules have the last word."""

import re
from collections.abc import Collection, Mapping

from bot.content import Library
from bot.letters import compose, fold
from bot.understanding.classifier import Classification, Classifier, SecondOpinion
from bot.understanding.cues import Cue
from bot.understanding.emergencies import CONTROL, EmergencyRules
from bot.understanding.entities import Entities, EntityReader
from bot.understanding.figures import Words, flags_of_figures
from bot.understanding.language import OTHER_SCRIPTS, detect_language
from bot.understanding.nlu_data import FLAGGED, kind_of
from bot.understanding.normalise import Normaliser, PlainText
from bot.understanding.reading import ASKS, Understanding
from bot.understanding.tagger import FlagTagger, Tag

# Margins of the tagger, chosen on held-out personas.
TAGGED = -0.05  # from here on it adds a flag that no cue found
DOUBTED = -1.1  # below this it drops a flag that only a cue found ...
CONFIRMED = -0.4  # ... and below this, one whose cues need context, or a weak one in an offer that reads as honest
EXCUSED = 0.9  # what it takes where an `unless` speaks against the flag
CERTAIN = 0.3  # below this a flag yields to the sign that says the opposite
HONEST = 0.8  # probability of "low" from which an offer reads as honest
TOLD_BY_FLAGS = 2  # so many flags, and a fair chance that it is no question ...
FAIR = 0.05  # ... make an offer or a report of it
SLIGHT = 0.01  # the chance it takes where nothing is asked
LITTLE = 0.03
NEVER = 1.0
MOST_ANSWERS = 6  # that a reading names
SURE = 0.9  # from here on the diacritics are not asked
VAGUE = 0.3  # below this the model's best label is hardly more than a guess

FAIR_FOR_A_CHILD = 0.03  # the same where somebody under 18 is concerned and no rule is asked for

DISPUTES = frozenset({"wage_withheld", "document_retention"})  # a worker's quarrel with an employer is a question
WINNING = frozenset(
    "unrealistic_pay vague_job no_contract urgency no_skills_needed travel_paid_by_recruiter social_media_recruiter "
    "stranger_recruiter scam_compound_destination tourist_visa debt_advance".split()
)


RULE = re.compile(
    r"\b(?:luat|quy dinh|duoc (?:di lam|lam|khong)|co duoc|vi pham|bao nhieu tuoi|may tuoi|hop phap|allowed|legal)\b"
)
TOLD = re.compile(
    r"\b(?:ho|no|chu|ong|ba|anh|chi|di|cau|co|ban|nguoi|moi gioi)(?: \w+){0,3} (?:bao|noi|ru|keu|moi|dua|nhan|khai|dan)\b"
)
WHETHER = re.compile(
    r"\bco nen\b|\b(?:nhan|di|theo|lam|ky|dua|nop|tin) (?:duoc )?(?:khong|ko)\b|\bshould (?:i|we|she|he)\b"
)
SCREEN_WORK = re.compile(
    r"\b(?:casino|online|chat|lua|scam|game|may tinh|go may|cong ty|company|app|khach|web|tai khoan)\b"
)


class Interpreter:
    """Built once; `read` may be called from many threads."""

    def __init__(
        self,
        library: Library,
        normaliser: Normaliser,
        classifier: Classifier,
        tagger: FlagTagger,
        known_words: Collection[str],
        longest_text: int = 4000,
        second: SecondOpinion | None = None,
    ) -> None:
        self._tagger = tagger
        self._known = frozenset(known_words)
        self._library = library
        self._normaliser = normaliser
        self._classifier = classifier
        self._longest = longest_text
        self._second = second
        self._entities = EntityReader(
            library.countries.values(), library.provinces, library.currencies, library.currency_of
        )
        self._flags = [Cue.compile(flag.id, flag.cues, flag.unless) for flag in library.red_flags.values()]
        self._signs = [Cue.compile(sign.id, sign.cues, sign.unless) for sign in library.signs.values()]
        self._vouching = {sign.id for sign in library.signs.values() if sign.vouches}
        self._emergencies = EmergencyRules(library.emergencies)

    def read(self, text: str) -> Understanding:
        """Everything that one message says. `text` is cut to the longest that is read.

        Diacritics may help to tell the kind, but never the flags: the same offer shows the same signs in any spelling (S-31).
        """
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
        label, confidence = self._decide(plain, guess, flags, signs)
        if second := self._second_opinion(text, plain, guess, label):
            guess = second
            label, confidence = self._decide(plain, guess, flags, signs)
        kind = kind_of(label)
        hints, flags = flags, _fitting(kind, flags, entities, plain)
        if kind != "emergency" and not self._knows_a_word_of(plain):
            confidence = 0.0
        return Understanding(
            language=language,
            kind=kind,
            topic=_topic(label, kind),
            confidence=confidence,
            candidates=guess.answers[:MOST_ANSWERS],
            flags=flags,
            hints=hints,
            signs=signs,
            entities=entities,
            backend=guess.backend,
            model=guess.model,
            plain=plain.text,
        )

    def wake(self) -> None:
        """Before the first message: the second opinion, where there is one, says whether it is there."""
        if self._second:
            self._second.look()

    def _second_opinion(self, text: str, plain: PlainText, guess: Classification, label: str) -> Classification | None:
        """The other backend's word. A cry for help does not wait for it, and where there are no words it has nothing to go by."""
        if self._second is None or label == "emergency":
            return None
        return self._second.ask(text, guess) if _has_letters(plain) and self._knows_a_word_of(plain) else None

    def _knows_a_word_of(self, plain: PlainText) -> bool:
        """Whether there is anything to go by: a word of the training sentences, another script, or an emoji."""
        if any(token.word in self._known or not token.word.isascii() for token in plain.tokens):
            return True
        return not any(character.isalnum() for character in plain.text)

    def _flags_of_words(
        self, plain: PlainText, signs: Mapping[str, Words], guess: Classification, *, trusted: bool
    ) -> dict[str, Words]:
        """What a cue found and the tagger does not doubt, and what the tagger found alone.

        `trusted` cues are not doubted: the tagger reads words, and a Thai or Chinese sentence has no spaces between them.
        """
        tags = {name: tag for name, tag in self._tagger.read(plain).items() if name in self._library.red_flags}
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

    def _chance_needed(self, plain: PlainText, flags: Collection[str], certainty: float) -> float:
        """How likely an offer or a report must be for one sign to make it one. A strong sign needs little, above all where
        the person asks whether to go; a weak one counts where nothing is asked and the model has no good idea of its own."""
        if any(self._library.red_flags[name].strength == "strong" for name in flags):
            if not _asks(plain):
                return LITTLE
            return SLIGHT if WHETHER.search(plain.text) else NEVER
        return FAIR if flags and certainty < VAGUE and not _asks(plain) else NEVER

    def _is_contradicted(self, flag: str, tags: Mapping[str, Tag], signs: Mapping[str, Words]) -> bool:
        opposite = self._library.red_flags[flag].contradicted_by
        return opposite in signs and (flag not in tags or tags[flag].margin < CERTAIN)

    def _is_vouched_for(self, signs: Mapping[str, Words], guess: Classification) -> bool:
        """Whether an offer without flags is low rather than medium: by its wording, and by what speaks for it."""
        if self._vouching & set(signs) - {"named_employer"}:  # a name alone certifies nothing
            return 2.0 * guess.risks["low"] > guess.risks["medium"]
        return 0.5 * guess.risks["low"] > max(guess.risks["medium"], guess.risks["high"])

    def _decide(
        self,
        plain: PlainText,
        guess: Classification,
        flags: Mapping[str, Words],
        signs: Mapping[str, Words],
    ) -> tuple[str, float]:
        """The label, by the model unless a safety rule speaks. Figures and marks alone are small talk."""
        if not _has_letters(plain) and not self._emergencies.certain_rule(plain):
            smalltalk = {name: p for name, p in guess.labels.items() if name.startswith("chat/")}
            label = max(smalltalk, key=lambda name: smalltalk[name])
            return label, smalltalk[label] / (sum(smalltalk.values()) or 1.0)
        if self._emergencies.speaks(plain, guess.labels, flags, signs):
            return "emergency", max(guess.labels.get("emergency", 0.0), 0.9)
        label = max((name for name in guess.labels if name != "emergency"), key=lambda name: guess.labels[name])
        told = max(("offer", "report"), key=lambda name: guess.labels[name])
        likely = guess.labels["offer"] + guess.labels["report"]
        telling = set(flags) if set(flags) - DISPUTES else set()
        told_by_signs = len(telling) >= TOLD_BY_FLAGS and likely > (FAIR if _asks(plain) else SLIGHT)
        told_by_a_sign = likely > self._chance_needed(plain, telling, guess.labels[label])
        told_by_age = "minor" in flags and not _asks_the_rule(plain) and (likely > FAIR_FOR_A_CHILD or _is_told(plain))
        if (told_by_signs or told_by_a_sign or told_by_age) and kind_of(label) not in FLAGGED:
            label = told
        if "gone" in signs and not _asks(plain) and (kind_of(label) not in FLAGGED or (label == "offer" and not flags)):
            label = "report"
        if label == "report" and guess.labels["offer"] > FAIR and _is_an_invitation(flags):
            label = "offer"
        return label, guess.labels[label]


def _fitting(kind: str, flags: Mapping[str, Words], entities: Entities, plain: PlainText) -> dict[str, Words]:
    """The flags that mean something in a message of this kind: a bare sum is pay only in an offer, and the name of a
    known place is a sign only beside the work that is done there."""
    if kind not in FLAGGED:
        return {}
    dropped = set()
    if kind != "offer" and entities.pay and entities.pay.role == "unknown":
        dropped.add("unrealistic_pay")
    if kind == "emergency" and not SCREEN_WORK.search(plain.text):
        dropped.add("scam_compound_destination")
    return {name: words for name, words in flags.items() if name not in dropped}


def _has_letters(plain: PlainText) -> bool:
    return any(character.isalpha() for character in plain.original)


def _asks_the_rule(plain: PlainText) -> bool:
    return RULE.search(plain.text) is not None


def _asks(plain: PlainText) -> bool:
    return ASKS.search(plain.text) is not None


def _is_told(plain: PlainText) -> bool:
    return TOLD.search(plain.text) is not None


def _is_an_invitation(flags: Collection[str]) -> bool:
    """Signs of how somebody is won over, and none of how somebody is held."""
    return len(WINNING & set(flags)) >= TOLD_BY_FLAGS and not set(CONTROL) & set(flags)


def _topic(label: str, kind: str) -> str | None:
    if kind == "chat":
        return label.split("/", 1)[1]
    return label if kind == "question" else None
