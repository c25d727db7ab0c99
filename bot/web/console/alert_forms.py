"""An alert as it stands in the form: read from its fields, and put back into them. Whatever is typed can be shown again."""

import datetime as dt
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from bot.content import PLACEHOLDER, Alert, Blank, Library
from bot.letters import fold
from bot.messages import VIETNAM
from bot.outreach.audience import Audience
from bot.outreach.broadcasts import Plan
from bot.outreach.words import LANGUAGES, AlertText, Source, Words, from_template
from bot.web.console.desk import Form

MOST_CHOICES = 3
LONGEST_TITLE = 80
MOST_VND = 2_000_000_000
_GROUPING = re.compile(r"[.,_\s]")
_FIGURES = re.compile(r"[0-9]{1,10}")


@dataclass(frozen=True)
class Typed:
    """`wrong`: field -> NAME of a sentence wrong_NAME in the group `alert_form` of content/console."""

    words: Words
    audience: Audience
    starts_at: dt.datetime | None
    valid_until: dt.datetime | None
    budget_vnd: int
    urgent: bool
    wrong: Mapping[str, str]

    @property
    def plan(self) -> Plan | None:
        """None where something that it needs is wrong or missing."""
        if self.wrong or self.valid_until is None:
            return None
        return Plan(self.words, self.audience, self.valid_until, self.budget_vnd, self.urgent, self.starts_at)


# -- from the fields ---------------------------------------------------------------------------------------------------


def read(form: Form, library: Library, channels: Collection[str]) -> Typed:
    """`channels`: those that may be chosen."""
    wrong: dict[str, str] = {}
    words, audience = _words(form, library, wrong), _audience(form, library, channels, wrong)
    starts_at = _moment(form, "start", wrong) if form.get("when") == "at" else None
    valid_until = _moment(form, "until", wrong)
    if starts_at and valid_until and starts_at >= valid_until:
        wrong["until_day"] = "late"
    return Typed(words, audience, starts_at, valid_until, _money(form, wrong), form.get("urgent") == "yes", wrong)


def _words(form: Form, library: Library, wrong: dict[str, str]) -> Words:
    title = form.get("title", "").strip()
    if not 0 < len(title) <= LONGEST_TITLE:
        wrong["title"] = "title"
    texts = {
        language: AlertText(*(_filled(form, f"{kind}-{language}", language) for kind in ("text", "sms")))
        for language in LANGUAGES
    }
    typed = [form.get(f"choice-{number}", "").strip() for number in range(1, MOST_CHOICES + 1)]
    choices = tuple(library.targets.get(one.lower(), one) for one in typed if one)
    template = form.get("template", "")
    known = template if template in library.alerts else None
    return Words(title[:LONGEST_TITLE], texts, _source(form, wrong), choices, known)


def _filled(form: Form, field: str, language: str) -> str:
    """The text with what was typed into the blanks of its template; a blank without words stays in its braces."""

    def value(match: re.Match[str]) -> str:
        return form.get(f"blank-{match[1]}-{language}", "").strip() or match[0]

    return PLACEHOLDER.sub(value, form.get(field, "").replace("\r\n", "\n").strip())


def _source(form: Form, wrong: dict[str, str]) -> Source | None:
    name, url = (form.get(field, "").strip() for field in ("source_name", "source_url"))
    if not name and not url:
        return None
    day = _day(form, "source_date", wrong)
    if day is None:
        wrong.setdefault("source_date", "day")
        return None
    return Source(name, url, day)


def _audience(form: Form, library: Library, channels: Collection[str], wrong: dict[str, str]) -> Audience:
    chosen = tuple(one for one in channels if f"channel-{one}" in form)
    if not chosen:
        wrong["channels"] = "channel"
    provinces, unknown = _provinces(form, library)
    if unknown:
        wrong["places"] = "place"
    interest = form.get("interest", "")
    languages = tuple(one for one in LANGUAGES if f"language-{one}" in form)
    return Audience(
        provinces=provinces,
        interest=interest if interest in library.interests else None,
        channels=chosen,
        languages=() if len(languages) == len(LANGUAGES) else languages,
        joined_from=_day(form, "joined_from", wrong),
        joined_until=_day(form, "joined_until", wrong),
    )


def _provinces(form: Form, library: Library) -> tuple[tuple[str, ...], list[str]]:
    """Codes of those that are ticked or named, by their new or an old name; and what is no name of any."""
    by_name = {name: one.code for one in library.provinces for name in (fold(one.name).lower(), *one.aliases)}
    typed = [one.strip() for one in re.split(r"[,;\n]", form.get("places", "")) if one.strip()]
    named = {one: by_name.get(fold(one).lower()) for one in typed}
    codes = {one.code for one in library.provinces if f"province-{one.code}" in form} | set(named.values())
    chosen = tuple(one.code for one in library.provinces if one.code in codes)
    return chosen, [one for one, code in named.items() if code is None]


def _day(form: Form, field: str, wrong: dict[str, str]) -> dt.date | None:
    written = form.get(field, "").strip()
    try:
        day = dt.date.fromisoformat(written) if written else None
    except ValueError:
        day = None
    if written and (day is None or not 2000 <= day.year <= 2100):
        wrong[field] = "day"
        return None
    return day


def _moment(form: Form, name: str, wrong: dict[str, str]) -> dt.datetime | None:
    """A day and an hour by the clock of Viet Nam."""
    day = _day(form, f"{name}_day", wrong)
    try:
        hour = dt.time.fromisoformat(form.get(f"{name}_hour", "").strip()).replace(tzinfo=None)
    except ValueError:
        wrong[f"{name}_hour"] = "hour"
        return None
    if day is None:
        wrong.setdefault(f"{name}_day", "day")
        return None
    return dt.datetime.combine(day, hour, VIETNAM).astimezone(dt.UTC)


def _money(form: Form, wrong: dict[str, str]) -> int:
    amount = money(form.get("budget", ""))
    if amount is None:
        wrong["budget"] = "budget"
    return amount or 0


def money(written: str) -> int | None:
    """Dong, with or without dots between the thousands; nothing is 0, and what is no amount None."""
    plain = _GROUPING.sub("", written)
    if not plain:
        return 0
    return int(plain) if _FIGURES.fullmatch(plain) and int(plain) <= MOST_VND else None


# -- into the fields ---------------------------------------------------------------------------------------------------


def empty(library: Library, channels: Collection[str], template: Alert | None) -> dict[str, str]:
    """A new form, with the words of a template where one was chosen."""
    fields = {"when": "now", "until_hour": "18:00"} | {f"channel-{one}": "yes" for one in channels}
    return fields | (_of_words(from_template(template, {}), library) if template else {})


def of_plan(plan: Plan, library: Library) -> dict[str, str]:
    wanted = plan.audience
    return {
        **_of_words(plan.words, library),
        **{f"province-{one}": "yes" for one in wanted.provinces},
        **{f"channel-{one}": "yes" for one in wanted.channels},
        **{f"language-{one}": "yes" for one in wanted.languages},
        "interest": wanted.interest or "",
        "joined_from": wanted.joined_from.isoformat() if wanted.joined_from else "",
        "joined_until": wanted.joined_until.isoformat() if wanted.joined_until else "",
        "when": "at" if plan.starts_at else "now",
        **(_of_moment("start", plan.starts_at) if plan.starts_at else {}),
        **_of_moment("until", plan.valid_until),
        "budget": str(plan.budget_vnd) if plan.budget_vnd else "",
        **({"urgent": "yes"} if plan.urgent else {}),
    }


def _of_words(words: Words, library: Library) -> dict[str, str]:
    fields = {"title": words.title, "template": words.template or ""}
    for language, one in words.texts.items():
        fields |= {f"text-{language}": one.text, f"sms-{language}": one.sms}
    for number, target in enumerate(words.choices[:MOST_CHOICES], 1):
        known = target in library.actions or target in library.answers
        fields[f"choice-{number}"] = library.title(target, "vi") if known else target
    if words.source:
        date = words.source.date.isoformat()
        fields |= {"source_name": words.source.name, "source_url": words.source.url, "source_date": date}
    return fields


def _of_moment(name: str, moment: dt.datetime) -> dict[str, str]:
    there = moment.astimezone(VIETNAM)
    return {f"{name}_day": there.date().isoformat(), f"{name}_hour": there.strftime("%H:%M")}


def open_blanks(form: Form, library: Library) -> list[tuple[str, Blank, str]]:
    """(name, blank, language) of the blanks of the chosen template that stand in the texts."""
    template = library.alerts.get(form.get("template", ""))
    if template is None:
        return []
    return [
        (name, blank, language)
        for name, blank in template.blanks.items()
        for language in LANGUAGES
        if any(f"{{{name}}}" in form.get(f"{kind}-{language}", "") for kind in ("text", "sms"))
    ]
