"""The rules that every text in content/ keeps, as `banduong check` tells them.

Each rule yields `Problem`s that name file, entry and mend. Errors stop a release; warnings are for the editor's eye.
"""

import datetime as dt
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal
from urllib.parse import urlsplit

from bot.channels.sms_text import sms_text
from bot.content import FORMS, Alert, Answer, Library, PreparedReply, Response, Text, placeholders
from bot.letters import fold
from bot.wording import NOTICES_111, NUMBER, OPENING, SHORT_LINE, matches

SMS_STEP = 160
SMS_MOST = 306  # two segments
TEXT_MOST = 1400
SENTENCE_MOST = 38  # syllables in Vietnamese, words in English
LONGEST_LIFE = 366  # days between `checked` and `expires`
LABEL_WORDS = 3  # of a numbered choice

# What the conversation fills in by itself (bot.conversation.policy).
NEEDED_COMMANDS = frozenset(
    "exit stop delete my_data subscribe everywhere human menu source skip go_on yes no unsure consent refuse english vietnamese".split()
)
FILLED_IN = frozenset(
    "count flags why do where signs question case numbers title checked sources code opening days hours place".split()
)

TREND_TABLES = frozenset("risk topic province region_topic province_topic flag".split())

_EMOJI = re.compile("[\U0001f300-\U0001faff\u2600-\u27bf]")
_SENTENCE = re.compile(r"[.!?:;\n]+")
_LIST_NUMBER = re.compile(r"^\d+[.)] ", re.MULTILINE)


@dataclass(frozen=True)
class Problem:
    level: Literal["error", "warning"]
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


@dataclass(frozen=True)
class Wording:
    """One text of one entry, with numbers filled in, as the rules see it. `leaves`: an alert with all that stands around it."""

    where: str
    language: str
    form: Literal["text", "sms"]
    raw: str
    shown: str
    fragment: bool = False
    leaves: str | None = None


def check_content(library: Library, today: dt.date) -> list[Problem]:
    problems = [problem for rule in _ENTRY_RULES for problem in rule(library, today)]
    for wording in _wordings(library):
        problems += [problem for rule in _WORDING_RULES for problem in rule(wording, library)]
    return problems


def _wordings(library: Library) -> Iterator[Wording]:
    for answer in library.answers.values():
        where = f"answers/{answer.topic}.yml: {answer.id}"
        yield from _both(library, where, "sms", answer.sms)
        yield from _both(library, where, "text", answer.text)
    for name, response in library.responses.items():
        where = f"responses.yml: {name}"
        fragment = response.fragment
        yield from _both(library, where, "text", response.text, fragment=fragment)
        if response.sms:
            yield from _both(library, where, "sms", response.sms, fragment=fragment)
    for reply in library.replies.values():
        where = f"console/replies.yml: {reply.id}"
        yield from _both(library, where, "text", reply.text)
        yield from _both(library, where, "sms", reply.wording("sms"))
    for alert in library.alerts.values():
        yield from _of_alert(library, alert)
    yield from _both(library, "outreach.yml: opt_out", "text", library.outreach.opt_out.text, fragment=True)
    yield from _both(library, "outreach.yml: opt_out", "sms", library.outreach.opt_out.sms, fragment=True)
    for flag in library.red_flags.values():
        for field in ("title", "why", "do", "ask"):
            if text := getattr(flag, field):
                yield from _both(library, f"red_flags.yml: {flag.id}: {field}", "text", text, fragment=True)


def _both(
    library: Library, where: str, form: Literal["text", "sms"], text: Text, *, fragment: bool = False
) -> Iterator[Wording]:
    for language, raw in (("vi", text.vi), ("en", text.en)):
        values = dict.fromkeys(_names(raw), "…")
        shown = library.fill(raw, language, form, {k: v for k, v in values.items() if k not in _known(library)})
        yield Wording(f"{where} ({form}, {language})", language, form, raw, shown, fragment)


def _of_alert(library: Library, alert: Alert) -> Iterator[Wording]:
    """With the examples in its blanks; what leaves has the label in front and the opt-out line behind."""
    for form in FORMS:
        for language, raw in (("vi", alert.wording(form).vi), ("en", alert.wording(form).en)):
            examples = {name: blank.example.in_language(language) for name, blank in alert.blanks.items()}
            others = dict.fromkeys(_names(raw) - _known(library) - set(examples), "…")
            shown = library.fill(raw, language, form, {**others, **examples})
            leaves = library.outreach.around(shown, language, form)
            yield Wording(f"alerts: {alert.id} ({form}, {language})", language, form, raw, shown, leaves=leaves)


@cache
def _names(raw: str) -> frozenset[str]:
    return frozenset(re.findall(r"\{([a-z][a-z0-9_]*)\}", raw))


def _known(library: Library) -> set[str]:
    return {*library.hotlines, *(name for name in library.responses if name.startswith("call_"))}


# -- rules over one wording ------------------------------------------------------------------------------------------


def _neutral_opening(wording: Wording, library: Library) -> Iterator[Problem]:
    """S-08: the first 40 characters could be read by anyone on the lock screen."""
    if wording.fragment:
        return
    opening = fold(wording.shown[:OPENING]).lower()
    for word in library.policy_words["revealing"][wording.language]:
        if re.search(rf"\b{word}\b", opening):
            yield Problem(
                "error", wording.where, f"'{word}' stands in the first {OPENING} characters: open neutrally (S-08)"
            )


def _banned(kind: str, row: str, why: str) -> Callable[[Wording, Library], Iterator[Problem]]:
    def rule(wording: Wording, library: Library) -> Iterator[Problem]:
        text = fold(wording.shown).lower()
        for pattern in library.policy_words[kind][wording.language]:
            if found := re.search(pattern, text):
                yield Problem("error", wording.where, f"'{found[0]}' {why}{row}")

    return rule


def _numbers(wording: Wording, library: Library) -> Iterator[Problem]:
    for number in NUMBER.findall(wording.raw):
        yield Problem(
            "error", wording.where, f"the number '{number}' is typed in: name it by its id in hotlines.yml, in braces"
        )
    if SHORT_LINE.search(wording.raw):
        yield Problem("error", wording.where, "111 and 113 are written {call_111}, {vn_111} and {vn_113}")


def _notice_111(wording: Wording, library: Library) -> Iterator[Problem]:
    """S-25: whoever is sent to 111 is told that it is free, day and night, recorded and passed on."""
    names = _names(wording.raw)
    if "vn_111" in names and not names & NOTICES_111 and "call_111" not in wording.where:
        yield Problem(
            "error",
            wording.where,
            "{vn_111} without {call_111}: the notice (free, recorded, passed on) is missing (S-25)",
        )


def _length(wording: Wording, library: Library) -> Iterator[Problem]:
    shown = wording.leaves or wording.shown
    if wording.form == "sms":
        length = sms_text(shown)
        if length.encoding != "GSM-7":
            yield Problem(
                "error", wording.where, "folds to letters outside GSM-7, which triples the price: change the mark"
            )
        if length.units > SMS_MOST:
            yield Problem("error", wording.where, f"is {length.units} long folded; {SMS_MOST} at most (two SMS)")
        elif length.units > SMS_STEP:
            yield Problem("warning", wording.where, f"is {length.units} long folded; {SMS_STEP} fits one SMS")
    elif len(shown) > TEXT_MOST:
        yield Problem("error", wording.where, f"is {len(shown)} characters; {TEXT_MOST} at most")


def _readable(wording: Wording, library: Library) -> Iterator[Problem]:
    for sentence in _SENTENCE.split(_LIST_NUMBER.sub("", wording.shown)):
        words = len(sentence.split())
        if words > SENTENCE_MOST:
            yield Problem(
                "error",
                wording.where,
                f"a sentence of {words} words ('{sentence.strip()[:40]}…'): one thought a sentence",
            )


def _calm(wording: Wording, library: Library) -> Iterator[Problem]:
    if "!" in wording.shown:
        yield Problem("error", wording.where, "has an exclamation mark: say it calmly")
    if len(_EMOJI.findall(wording.shown)) > 1:
        yield Problem("error", wording.where, "has more than one emoji")


def _earlier_contact(wording: Wording, library: Library) -> Iterator[Problem]:
    """S-09: an alert never says that its reader has written before."""
    if wording.leaves is None:
        return
    for words in matches(library.policy_words["earlier"], fold(wording.shown).lower()):
        yield Problem(
            "error", wording.where, f"'{words}' tells whoever reads along that this person wrote before (S-09)"
        )


_WORDING_RULES: tuple[Callable[[Wording, Library], Iterator[Problem]], ...] = (
    _neutral_opening,
    _banned("promises", " (S-16)", "promises what people would have to keep"),
    _banned("verdicts", " (S-19)", "is a verdict on a person"),
    _banned("orders", " (S-17)", "tells somebody to do what may get them hurt"),
    _banned("prying", " (S-15)", "asks for what a first contact must not ask"),
    _banned("stiff", "", "is a word of an office, not of a village"),
    _numbers,
    _notice_111,
    _earlier_contact,
    _length,
    _readable,
    _calm,
)


# -- rules over entries ----------------------------------------------------------------------------------------------


def _targets(library: Library, today: dt.date) -> Iterator[Problem]:
    """Every choice leads somewhere, and every answer belongs to a topic."""
    known = {*library.actions, *library.answers}
    choices: list[tuple[str, str]] = [
        (f"answers/{a.topic}.yml: {a.id}", n) for a in library.answers.values() for n in a.next
    ]
    choices += [(f"responses.yml: {name}", n) for name, r in library.responses.items() for n in r.choices]
    for where, name in choices:
        if name not in known:
            yield Problem("error", where, f"the choice '{name}' is neither an action nor an answer")
    for code, own in library.own_answers.items():
        for unknown in {*own, *own.values()} - set(library.answers):
            yield Problem("error", f"countries.yml: own_answers: {code}", f"'{unknown}' is no answer")
    for answer in library.answers.values():
        if answer.topic not in library.topics:
            yield Problem("error", answer.id, "its topic has no file of its own")


def _placeholders(library: Library, today: dt.date) -> Iterator[Problem]:
    """Every {name} is known."""
    fixed: list[tuple[str, Answer | PreparedReply]] = [
        *((f"answers/{one.topic}.yml: {one.id}", one) for one in library.answers.values()),
        *((f"console/replies.yml: {one.id}", one) for one in library.replies.values()),
    ]
    for where, entry in fixed:
        for name in placeholders(entry) - _known(library):
            yield Problem("error", where, f"{{{name}}} is no hotline and no notice")
    for alert in library.alerts.values():
        for name in placeholders(alert) - _known(library) - set(alert.blanks):
            yield Problem(
                "error", f"alerts: {alert.id}", f"{{{name}}} is no hotline, no notice and stands under no `blanks`"
            )
        for name in set(alert.blanks) - placeholders(alert):
            yield Problem("error", f"alerts: {alert.id}", f"the blank '{name}' stands in no text: remove it")
        for name in set(alert.blanks) & _known(library):
            yield Problem(
                "error", f"alerts: {alert.id}", f"the blank '{name}' has the name of a hotline or notice: rename it"
            )
    for name, response in library.responses.items():
        for unknown in placeholders(response) - _known(library) - FILLED_IN:
            yield Problem(
                "error",
                f"responses.yml: {name}",
                f"{{{unknown}}} is no hotline, no notice and nothing that a turn fills in",
            )


def _dates(library: Library, today: dt.date) -> Iterator[Problem]:
    entries: list[tuple[str, Any]] = [(f"answers/{a.topic}.yml: {a.id}", a) for a in library.answers.values()]
    entries += [(f"hotlines.yml: {h.id}", h) for h in library.hotlines.values()]
    entries += [(f"alerts: {a.id}", a) for a in library.alerts.values()]
    for where, entry in entries:
        if entry.expires <= entry.checked:
            yield Problem("error", where, "expires before it was checked")
        elif (entry.expires - entry.checked).days > LONGEST_LIFE:
            yield Problem("error", where, f"lives longer than {LONGEST_LIFE} days: set an earlier `expires`")
        if entry.checked > today:
            yield Problem("error", where, f"was checked on {entry.checked}, which has not come yet")
        left = (entry.expires - today).days
        if left < 0:
            silent = "kept on the screen" if getattr(entry, "never_silent", False) else "not sent"
            yield Problem("warning", where, f"expired on {entry.expires} and is {silent}: check it against its sources")
        elif left <= 30:
            yield Problem("warning", where, f"expires in {left} days, on {entry.expires}: check it against its sources")


def _sources(library: Library, today: dt.date) -> Iterator[Problem]:
    rows: list[tuple[str, Any]] = [(f"answers/{a.topic}.yml: {a.id}", a) for a in library.answers.values()]
    rows += [(f"hotlines.yml: {h.id}", h) for h in library.hotlines.values()]
    rows += [(f"red_flags.yml: {f.id}", f) for f in library.red_flags.values()]
    rows += [(f"alerts: {a.id}", a) for a in library.alerts.values()]
    for where, entry in rows:
        for source in entry.sources:
            if not re.match(r"https?://\S+\.\S+", source.url):
                yield Problem("error", where, f"the source '{source.url[:60]}' is no web address")


def _patterns(library: Library, today: dt.date) -> Iterator[Problem]:
    """Every pattern compiles and is written folded."""
    for where, pattern in _all_patterns(library):
        try:
            re.compile(pattern)
        except re.error as error:
            yield Problem("error", where, f"the pattern '{pattern}' cannot be read: {error}")
        if fold(pattern) != pattern:
            yield Problem("error", where, f"the pattern '{pattern}' has diacritics: cues are written folded")


def _all_patterns(library: Library) -> Iterator[tuple[str, str]]:
    for file, entries in (
        ("red_flags.yml", library.red_flags.values()),
        ("signs.yml", library.signs.values()),
        ("emergencies.yml", library.emergencies.rules),
    ):
        for entry in entries:
            yield from ((f"{file}: {entry.id}", pattern) for pattern in (*entry.cues, *entry.unless))
    yield from (("emergencies.yml: calm", pattern) for pattern in library.emergencies.calm)


def _places(library: Library, today: dt.date) -> Iterator[Problem]:
    """Every country names numbers that exist, one of them never silent."""
    for country in library.countries.values():
        for name in country.hotlines:
            if name not in library.hotlines:
                yield Problem("error", f"countries.yml: {country.code}", f"'{name}' is no hotline of hotlines.yml")
        if not any(name in library.hotlines and library.hotlines[name].never_silent for name in country.hotlines):
            yield Problem("error", f"countries.yml: {country.code}", "needs a number that never falls silent")


def _receivers(library: Library, today: dt.date) -> Iterator[Problem]:
    """Numbers and countries of receivers are those that stand elsewhere; none is typed in."""
    for receiver in library.receivers.values():
        where = f"receivers.yml: {receiver.id}"
        for name in receiver.hotlines:
            if name not in library.hotlines:
                yield Problem("error", where, f"'{name}' is no hotline of hotlines.yml")
        if receiver.country and receiver.country not in {*library.countries, "VN"}:
            yield Problem("error", where, f"'{receiver.country}' is no country of countries.yml")
        for text in (receiver.name.vi, receiver.name.en):
            for number in NUMBER.findall(text):
                yield Problem("error", where, f"the number '{number}' is typed in: name it by its id under hotlines")


def _alerts(library: Library, today: dt.date) -> Iterator[Problem]:
    """Every alert has a known topic and interest."""
    for alert in library.alerts.values():
        if alert.topic not in library.topics:
            yield Problem("error", f"alerts: {alert.id}", f"'{alert.topic}' is no topic of answers/")
        if alert.interest not in library.interests:
            yield Problem("error", f"alerts: {alert.id}", f"'{alert.interest}' is no interest of interests.yml")
        for name in alert.choices:
            if not library.may_be_offered(name):
                yield Problem(
                    "error", f"alerts: {alert.id}", f"'{name}' is no answer and no action that an alert may offer"
                )


def _interests(library: Library, today: dt.date) -> Iterator[Problem]:
    """Their labels are short enough for a numbered choice."""
    for interest in library.interests.values():
        for label in (interest.label.vi, interest.label.en):
            if len(label.split()) > LABEL_WORDS:
                yield Problem("error", f"interests.yml: {interest.id}", f"'{label}' has more than {LABEL_WORDS} words")


def _around_alerts(library: Library, today: dt.date) -> Iterator[Problem]:
    """The opt-out of an alert names a word that is understood, and its sites are ours."""
    outreach = library.outreach
    if outreach.stop.lower() not in {word.lower() for word in library.commands.get("stop", [])}:
        yield Problem("error", "outreach.yml: stop", f"'{outreach.stop}' stands not under `stop` in commands.yml")
    for line in (outreach.opt_out.text, outreach.opt_out.sms):
        for wording in (line.vi, line.en):
            if "{stop}" not in wording:
                yield Problem(
                    "error", "outreach.yml: opt_out", f"'{wording}' lacks {{stop}}, the word that ends the alerts"
                )
    for site in outreach.sites:
        if not _is_ours(library, site):
            yield Problem("error", "outreach.yml: sites", f"'{site}' is no source of ours and stands in no answer")


def _is_ours(library: Library, site: str) -> bool:
    sourced = (
        *library.answers.values(),
        *library.hotlines.values(),
        *library.red_flags.values(),
        *library.alerts.values(),
    )
    hosts = {urlsplit(source.url).hostname for entry in sourced for source in entry.sources}
    return site in hosts or any(site in answer.text.vi for answer in library.answers.values())


def _needed(library: Library, today: dt.date) -> Iterator[Problem]:
    """What the code asks for by name is there."""
    for name in sorted(NEEDED_COMMANDS - set(library.commands)):
        yield Problem("error", "commands.yml", f"the list '{name}' is missing")
    for flag in library.red_flags.values():
        if flag.contradicted_by and flag.contradicted_by not in library.signs:
            yield Problem("error", f"red_flags.yml: {flag.id}", f"'{flag.contradicted_by}' is no sign of signs.yml")


def _trends(library: Library, today: dt.date) -> Iterator[Problem]:
    """T-11: what is counted is closed and whole: everything falls into exactly one cell."""
    words = library.trends
    groups = [flag for group in words.flags for flag in group.of]
    tiles = [(code, tuple(tile)) for region in words.regions for code, tile in region.tiles.items()]
    places = [country for topic in words.topics if not topic.flags and not topic.signs for country in topic.countries]
    yield from _each_once("flags", "red flag", groups, library.red_flags)
    yield from _each_once("regions", "province", [code for code, _ in tiles], [one.code for one in library.provinces])
    yield from _each_once("topics", "country", places, [*library.countries])
    for tile, count in Counter(tile for _, tile in tiles).items():
        if count > 1:
            yield Problem("error", "trends.yml: regions", f"{count} provinces have the square {list(tile)}: move one")
    for topic in words.topics:
        unknown = [*(set(topic.flags) - set(library.red_flags)), *(set(topic.signs) - set(library.signs))]
        unknown += [topic.alert] if topic.alert and topic.alert not in library.alerts else []
        for name in sorted(unknown):
            yield Problem("error", f"trends.yml: topics: {topic.id}", f"'{name}' is no red flag, sign or alert of ours")
    if words.topics[-1].flags or words.topics[-1].signs or words.topics[-1].countries:
        yield Problem("error", "trends.yml: topics", "the last one is for everything else and may have no condition")
    if words.flags[-1].of:
        yield Problem("error", "trends.yml: flags", "the last one is for talks without any sign and may have none")
    for kind, entries, needed in (
        ("risks", words.risks, {"high", "medium", "low", "none"}), ("elsewhere", words.elsewhere, {"abroad", "unknown"}),
    ):  # fmt: skip
        if {entry.id for entry in entries} != needed:
            yield Problem("error", f"trends.yml: {kind}", f"must be {', '.join(sorted(needed))}")
    for profile, tables in library.trend_rules.profiles.items():
        for name in sorted(set(tables) - TREND_TABLES):
            yield Problem("error", f"policy/trends.yml: {profile}", f"'{name}' is no table of trends")


def _each_once(where: str, what: str, found: Sequence[str], known: Collection[str]) -> Iterator[Problem]:
    """Every one of `known` stands there once, and nothing else."""
    times = Counter(found)
    for name in sorted({*times, *known}):
        if name not in known:
            yield Problem("error", f"trends.yml: {where}", f"'{name}' is no {what} of ours")
        elif times[name] != 1:
            yield Problem(
                "error", f"trends.yml: {where}", f"the {what} '{name}' stands there {times[name]} times, not once"
            )


_ENTRY_RULES: tuple[Callable[[Library, dt.date], Iterator[Problem]], ...] = (
    _targets,
    _placeholders,
    _dates,
    _sources,
    _patterns,
    _places,
    _receivers,
    _alerts,
    _interests,
    _around_alerts,
    _needed,
    _trends,
)


__all__ = ["Answer", "Problem", "Response", "check_content"]
