"""What became of a broadcast, as rows of label and text: for a table, for paper, and for the pages. All words are of content/console.

Figures that could point at one person are told as "fewer than 11".
"""

import csv
import datetime as dt
import io
from collections.abc import Iterator, Mapping

from bot.content import Library
from bot.messages import VIETNAM
from bot.outreach.audience import Audience
from bot.outreach.broadcasts import Broadcast
from bot.outreach.progress import CAME_BACK, SHOWN_FROM, Progress, few
from bot.outreach.words import LANGUAGES

Row = tuple[str, str]
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # by which a table program would begin to compute


def rows(broadcast: Broadcast, found: Progress, names: Mapping[str, str], library: Library, language: str) -> list[Row]:
    """Everything. `names`: staff id -> name."""
    return [
        *_head(broadcast, names, library, language),
        *_words(broadcast, library, language),
        *audience_rows(broadcast.plan.audience, library, language),
        *_figures(found, library, language),
        *_money(broadcast, found, library, language),
    ]


def grouped(number: int, language: str) -> str:
    """1234567 as "1.234.567", and in English with commas."""
    written = f"{number:,}"
    return written if language == "en" else written.replace(",", ".")


def people(number: int, language: str) -> str:
    """How many, where it is enough not to point at one."""
    return grouped(number, language) if number >= SHOWN_FROM else few(number)


def _head(broadcast: Broadcast, names: Mapping[str, str], library: Library, language: str) -> Iterator[Row]:
    known = library.console(language)
    told, plan = known["alert_report"], broadcast.plan
    why = known["alert_whys"].get(broadcast.why or "")
    status = known["alert_statuses"][broadcast.status]
    yield told["reference"], broadcast.reference
    yield told["name"], plan.words.title
    yield told["status"], f"{status}: {why}" if why else status
    yield told["author"], names.get(broadcast.author_id or "", told["schedule"])
    yield told["approved"], names.get(broadcast.approved_by or "", told["nobody"])
    moments = {
        "created": broadcast.created_at,
        "submitted": broadcast.submitted_at,
        "approved_at": broadcast.approved_at,
        "starts": broadcast.starts_at,
        "valid_until": plan.valid_until,
        "done": broadcast.done_at,
    }
    yield from ((told[name], _time(moment)) for name, moment in moments.items() if moment)
    if plan.urgent:
        yield told["urgent"], told["yes"]


def _words(broadcast: Broadcast, library: Library, language: str) -> Iterator[Row]:
    told, words = library.console(language)["alert_report"], broadcast.plan.words
    for one in LANGUAGES:
        if one in words.languages:
            yield told[f"text_{one}"], words.texts[one].wording("text")
            yield told[f"sms_{one}"], words.texts[one].wording("sms")
    if words.source:
        yield told["source"], f"{words.source.name}, {words.source.url}, {_date(words.source.date)}"


def audience_rows(audience: Audience, library: Library, language: str) -> Iterator[Row]:
    """Who it is for."""
    known = library.console(language)
    told = known["alert_report"]
    provinces = [one.name for one in library.provinces if one.code in audience.provinces]
    interest = library.interests.get(audience.interest or "")
    yield told["provinces"], ", ".join(provinces) or told["everywhere"]
    yield told["interest"], interest.label.in_language(language) if interest else told["everything"]
    yield told["channels"], ", ".join(known["channels"][one] for one in audience.channels)
    yield told["languages"], ", ".join(told[f"language_{one}"] for one in audience.languages or LANGUAGES)
    if audience.joined_from:
        yield told["joined_from"], _date(audience.joined_from)
    if audience.joined_until:
        yield told["joined_until"], _date(audience.joined_until)


def _figures(found: Progress, library: Library, language: str) -> Iterator[Row]:
    known = library.console(language)
    told = known["alert_report"]
    yield told["size"], people(found.size, language)
    for state, number in found.states.items():
        yield known["alert_states"][state], grouped(number, language)
    if found.waiting:
        yield told["not_reached"], grouped(found.waiting, language)
    for reason, text in left_out_rows(found.left_out, library, language):
        yield f"{told['left_out']}: {text}", reason
    for code, number in found.failures.items():
        yield f"{told['failed']}: {failure(code, library, language)}", grouped(number, language)
    for kind in CAME_BACK:
        yield f"{told['came_back']}: {known['alert_answers'][kind]}", people(found.came_back.get(kind, 0), language)
    if found.forgotten:
        yield told["forgotten"], people(found.forgotten, language)


def left_out_rows(left_out: Mapping[str, int], library: Library, language: str) -> list[Row]:
    """(how many, why); those who are left out for their safety always, so that the line itself tells nothing."""
    known = library.console(language)["alert_reasons"]
    others = [(grouped(number, language), known[name]) for name, number in sorted(left_out.items()) if name != "safety"]
    return [(people(left_out.get("safety", 0), language), known["safety"]), *others]


def failure(code: str, library: Library, language: str) -> str:
    """What a provider's code says, and the code itself."""
    told = library.console(language)["alert_failures"].get(code)
    return f"{told} ({code})" if told else code


def _money(broadcast: Broadcast, found: Progress, library: Library, language: str) -> Iterator[Row]:
    told = library.console(language)["alert_report"]
    for name, amount in (("spent", found.spent_vnd), ("budget", broadcast.plan.budget_vnd)):
        yield told[name], told["money"].format(vnd=grouped(amount, language))


def table(lines: list[Row]) -> bytes:
    """As CSV that table programs read with its marks, and in which nothing computes."""
    file = io.StringIO()
    csv.writer(file).writerows([tuple(_tame(text) for text in line) for line in lines])
    return file.getvalue().encode("utf-8-sig")


def _tame(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


def _time(moment: dt.datetime) -> str:
    return moment.astimezone(VIETNAM).strftime("%H:%M %d/%m/%Y")


def _date(day: dt.date) -> str:
    return day.strftime("%d/%m/%Y")
