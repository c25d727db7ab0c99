"""The words of an alert: from a template or typed, as they leave by each channel, what they cost, and what must be mended first."""

import datetime as dt
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

from bot.channels.base import CAPABILITIES
from bot.channels.sms_text import STANDARD, Encoding, SegmentSizes, sms_text
from bot.content import PLACEHOLDER, Alert, AmbiguousWord, Library, SmsOrText
from bot.delivery.render import Rendered, render
from bot.letters import fold, units
from bot.messages import VIETNAM, Choice, Reply
from bot.wording import NOTICES_111, NUMBER, OPENING, SHORT_LINE, broken, matches, misread

CHANNELS = ("telegram", "sms")
LANGUAGES = ("vi", "en")
LONGEST_VALID = dt.timedelta(days=14)
OLDEST_SOURCE = dt.timedelta(days=180)
MOST_SEGMENTS = 2
MOST_TO_CUT = 30  # units that are worth cutting to save a segment
LONGEST = 1400  # UTF-16 units of a chat message with all that stands around it

Code = Literal[
    "no_vietnamese", "no_source", "source_old", "source_later", "template_expired", "choice", "no_end", "end_past", "end_far",
    "opening", "promise", "order", "verdict", "prying", "earlier", "notice_111", "number", "link", "blank", "too_long", "segments",
]  # fmt: skip
CODES: tuple[Code, ...] = get_args(Code)  # each has its words in content/console: alert_problems
_TOP = "[a-z]{2}|com|net|org|info|biz|xyz|top|vip|club|site|online|shop|store|app|link|live|asia|page|pro|fun|win|icu|click|work|jobs"
_LINK = re.compile(
    rf"\b\w+://\S+|www\.\S+|@\w+|(?<![\w.@-])(?!(?-i:TP\.[A-Z]))(?:[^\W_][\w-]*\.)+(?:{_TOP})\b(?:[/:?]\S*)?",
    re.IGNORECASE,
)
_AFTER_A_LINK = ".,;:!?)]}\"'”’"


@dataclass(frozen=True)
class Source:
    """Where the news comes from. `date`: when that was published, or last compared with its sources."""

    name: str
    url: str
    date: dt.date


@dataclass(frozen=True)
class AlertText:
    """One language of an alert; without `sms`, the text serves there too."""

    text: str
    sms: str = ""

    def wording(self, form: SmsOrText) -> str:
        return (self.sms.strip() if form == "sms" else "") or self.text.strip()


@dataclass(frozen=True)
class Words:
    """What is approved and sent. `texts` by language, `choices` are buttons where the channel has them."""

    title: str
    texts: Mapping[str, AlertText]
    source: Source | None = None
    choices: tuple[str, ...] = ()
    template: str | None = None

    @property
    def languages(self) -> tuple[str, ...]:
        """Those that have a text, Vietnamese first."""
        return tuple(one for one in LANGUAGES if one in self.texts and self.texts[one].wording("text"))

    def to_json(self) -> dict[str, Any]:
        source = self.source and {
            "name": self.source.name,
            "url": self.source.url,
            "date": self.source.date.isoformat(),
        }
        return {
            "title": self.title,
            "texts": {language: {"text": one.text, "sms": one.sms} for language, one in self.texts.items()},
            "source": source,
            "choices": list(self.choices),
            "template": self.template,
        }

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> "Words":
        given = row["source"]
        return cls(
            title=row["title"],
            texts={language: AlertText(**one) for language, one in row["texts"].items()},
            source=given and Source(given["name"], given["url"], dt.date.fromisoformat(given["date"])),
            choices=tuple(row["choices"]),
            template=row["template"],
        )


@dataclass(frozen=True)
class Preview:
    """What leaves by one channel in one language. `opening` is what a lock screen shows.

    `encoding`, `units` and `segments` are None where it does not leave by SMS. `vnd`: for one person. `cut`: so many units less save a
    segment. `doubtful`: (as written, what it may be read as).
    """

    channel: str
    language: str
    text: str
    buttons: tuple[str, ...]
    opening: str
    encoding: Encoding | None = None
    units: int | None = None
    segments: int | None = None
    vnd: int = 0
    cut: int | None = None
    doubtful: tuple[tuple[str, AmbiguousWord], ...] = ()


@dataclass(frozen=True)
class Problem:
    """`words` caused it. `language` and `channel` are None where it concerns all."""

    code: Code
    language: str | None = None
    channel: str | None = None
    words: tuple[str, ...] = ()


# -- from a template to what leaves ------------------------------------------------------------------------------------


def from_template(alert: Alert, filled: Mapping[str, str]) -> Words:
    """`filled`: what stands in a blank, by its name, or by name and language ("job.en"). What is not filled stays in braces.

    A template with blanks is news of its own, which needs a source of its own.
    """
    texts = {
        language: AlertText(*(_filled(alert, language, form, filled) for form in ("text", "sms")))
        for language in LANGUAGES
    }
    first = alert.sources[0]
    source = None if alert.blanks else Source(urlsplit(first.url).hostname or first.url, first.url, alert.checked)
    return Words(alert.title.vi, texts, source, alert.choices, alert.id)


def _filled(alert: Alert, language: str, form: SmsOrText, filled: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        name = match[1]
        given = filled.get(f"{name}.{language}", filled.get(name, "")) if name in alert.blanks else ""
        return given.strip() or match[0]

    return PLACEHOLDER.sub(value, alert.wording(form).in_language(language))


def carried(words: Words, language: str, channel: str, library: Library, *, advertising: bool) -> Rendered:
    """What leaves by the channel to somebody of this language, or in the first language that there is."""
    spoken = language if language in words.languages else next(iter(words.languages), LANGUAGES[0])
    capabilities = CAPABILITIES[channel]
    text = _leaving(words, spoken, "sms" if capabilities.sms else "text", library, advertising=advertising)
    targets = words.choices if capabilities.buttons else ()
    choices = tuple(Choice(one, library.title(one, spoken)) for one in targets if library.may_be_offered(one))
    return render(Reply(text, text, choices, name="alert"), capabilities)


def _leaving(words: Words, language: str, form: SmsOrText, library: Library, *, advertising: bool) -> str:
    body = _body(words, language, form, library)
    return library.outreach.around(body, language, form) if advertising else body


def _body(words: Words, language: str, form: SmsOrText, library: Library) -> str:
    """The text with numbers and notices in place; a name that means nothing stays as it stands."""
    raw = _raw(words, language, form)
    unknown = {name: f"{{{name}}}" for name in _unknown(raw, library)}
    return library.fill(raw, language, form, unknown)


def _raw(words: Words, language: str, form: SmsOrText) -> str:
    return words.texts[language].wording(form) if language in words.texts else ""


def _unknown(raw: str, library: Library) -> list[str]:
    notices = {name for name in library.responses if name.startswith("call_")}
    return [name for name in PLACEHOLDER.findall(raw) if name not in library.hotlines and name not in notices]


# -- preview -----------------------------------------------------------------------------------------------------------


def preview(
    words: Words, library: Library, *, sizes: SegmentSizes, vnd_per_segment: int, advertising: bool
) -> list[Preview]:
    """One for each channel and each language that has a text."""
    return [
        _preview(words, library, channel, language, sizes, vnd_per_segment, advertising=advertising)
        for channel in CHANNELS
        for language in words.languages
    ]


def _preview(
    words: Words, library: Library, channel: str, language: str, sizes: SegmentSizes, vnd: int, *, advertising: bool
) -> Preview:
    shown = carried(words, language, channel, library, advertising=advertising)
    opening = shown.text[:OPENING]
    if not CAPABILITIES[channel].sms:
        return Preview(channel, language, shown.text, shown.buttons, opening)
    counted = sms_text(shown.text, sizes=sizes)
    return Preview(
        channel, language, counted.text, (), opening, counted.encoding, counted.units, counted.segments,
        counted.segments * vnd, _cut(counted.text, sizes), tuple(misread(library, _body(words, language, "sms", library))),
    )  # fmt: skip


def _cut(text: str, sizes: SegmentSizes) -> int | None:
    """How many units less make one segment less, where it is few enough to be worth it."""
    whole = sms_text(text, sizes=sizes)
    if whole.segments == 1 or sizes.segments(whole.encoding, whole.units - MOST_TO_CUT) >= whole.segments:
        return None
    for length in range(len(text) - 1, 0, -1):
        shorter = sms_text(text[:length], sizes=sizes)
        if whole.units - shorter.units > MOST_TO_CUT:
            return None
        if shorter.segments < whole.segments:
            return whole.units - shorter.units
    return None


# -- problems ----------------------------------------------------------------------------------------------------------


def problems(
    words: Words,
    *,
    valid_until: dt.datetime | None,
    now: dt.datetime,
    library: Library,
    most_segments: int = MOST_SEGMENTS,
    sizes: SegmentSizes = STANDARD,
    advertising: bool = True,
) -> list[Problem]:
    """Everything that stands against sending these words until then, in the order in which staff would mend it."""
    found = [
        *_whole(words, library, now.astimezone(VIETNAM).date()),
        *_end(valid_until, now),
    ]
    for channel in CHANNELS:
        for language in words.languages:
            causes = [
                *_causes(words, language, "sms" if CAPABILITIES[channel].sms else "text", library),
                *_length(words, language, channel, library, most_segments, sizes, advertising=advertising),
            ]
            found += [Problem(code, language, channel, caused_by) for code, caused_by in causes]
    return found


def _whole(words: Words, library: Library, today: dt.date) -> Iterator[Problem]:
    if "vi" not in words.languages:
        yield Problem("no_vietnamese")
    source = words.source
    if source is None or not source.name.strip():
        yield Problem("no_source")
    elif source.date > today:
        yield Problem("source_later", words=(source.date.isoformat(),))
    elif today - source.date > OLDEST_SOURCE:
        yield Problem("source_old", words=(source.date.isoformat(),))
    template = library.alerts.get(words.template or "")
    if template and template.expires < today:
        yield Problem("template_expired", words=(template.expires.isoformat(),))
    if unknown := tuple(one for one in words.choices if not library.may_be_offered(one)):
        yield Problem("choice", words=unknown)


def _end(valid_until: dt.datetime | None, now: dt.datetime) -> Iterator[Problem]:
    if valid_until is None:
        yield Problem("no_end")
    elif valid_until <= now:
        yield Problem("end_past")
    elif valid_until - now > LONGEST_VALID:
        yield Problem("end_far")


def _causes(words: Words, language: str, form: SmsOrText, library: Library) -> Iterator[tuple[Code, tuple[str, ...]]]:
    """What the wording itself has against it."""
    raw, body = _raw(words, language, form), _body(words, language, form, library)
    yield from broken(library, body)
    if found := matches(library.policy_words["earlier"], fold(body).lower()):
        yield "earlier", found
    if _lacks_notice(raw, body, form, library):
        yield "notice_111", ("111",)
    if typed := tuple(dict.fromkeys(NUMBER.findall(raw))):
        yield "number", typed
    if foreign := tuple(link for link in _links(body) if not _is_ours(link, library.outreach.sites)):
        yield "link", foreign
    if blanks := tuple(dict.fromkeys(_unknown(raw, library))):
        yield "blank", blanks


def _lacks_notice(raw: str, body: str, form: SmsOrText, library: Library) -> bool:
    """S-25: whoever is sent to 111 is told that it is free, day and night, recorded and passed on."""
    if "111" not in SHORT_LINE.findall(body):
        return False
    plain = fold(body)
    whole = (library.say(name, language, form) for name in NOTICES_111 for language in LANGUAGES)
    return not NOTICES_111 & set(PLACEHOLDER.findall(raw)) and not any(fold(notice) in plain for notice in whole)


def _links(body: str) -> list[str]:
    return [found.rstrip(_AFTER_A_LINK) for found in _LINK.findall(body)]


def _is_ours(link: str, sites: Collection[str]) -> bool:
    """By https, or without a scheme, on one of our sites."""
    if link.startswith("@"):
        return False
    try:
        parts = urlsplit(link if "://" in link else f"https://{link}")
        host, port, named = parts.hostname, parts.port, parts.username
    except ValueError:
        return False
    return parts.scheme == "https" and port is None and named is None and (host or "").removeprefix("www.") in sites


def _length(
    words: Words,
    language: str,
    channel: str,
    library: Library,
    most_segments: int,
    sizes: SegmentSizes,
    *,
    advertising: bool,
) -> Iterator[tuple[Code, tuple[str, ...]]]:
    text = carried(words, language, channel, library, advertising=advertising).text
    if not CAPABILITIES[channel].sms:
        if units(text) > LONGEST:
            yield "too_long", (str(units(text)),)
    elif (segments := sms_text(text, sizes=sizes).segments) > most_segments:
        yield "segments", (str(segments),)
