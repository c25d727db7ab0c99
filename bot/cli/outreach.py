"""banduong alerts | subscribers | broadcast: what outreach staff do at the command line."""

import datetime as dt
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.live import Live
from rich.table import Table

from bot.app import App
from bot.cli.common import BY, account_of, button_line, err, house_of, out
from bot.content import plain_name
from bot.errors import UsageError
from bot.messages import VIETNAM
from bot.outreach import broadcasts, progress
from bot.outreach import words as alert_words
from bot.outreach.audience import CHANNELS, Audience, count
from bot.outreach.broadcasts import Broadcast, Plan
from bot.outreach.words import AlertText, Source

if TYPE_CHECKING:
    from bot.content import Alert

alerts_app = typer.Typer(
    no_args_is_help=True, help="Templates of alerts, and how they would leave.", rich_markup_mode=None
)


@alerts_app.command("list")
def alerts_list(context: typer.Context) -> None:
    """The templates of content/alerts, and what each takes by SMS."""
    house = house_of(context)
    today = dt.datetime.now(VIETNAM).date()
    table = Table("template", "interest", "SMS", "to fill in", "expires", "title", box=None)
    table.columns[0].no_wrap = table.columns[1].no_wrap = table.columns[4].no_wrap = True
    for alert in house.library.alerts.values():
        counts = [one.segments for one in _previews(house, alert_words.from_template(alert, {})) if one.segments]
        expires = f"{alert.expires}" if today <= alert.expires else f"{alert.expires} (expired)"
        table.add_row(
            alert.id,
            alert.interest,
            ", ".join(map(str, counts)),
            ", ".join(alert.blanks) or "-",
            expires,
            alert.title.vi,
        )
    out.print(table if house.library.alerts else "There is no template: add one in content/alerts/.")


@alerts_app.command("preview")
def alerts_preview(
    context: typer.Context,
    template: Annotated[str, typer.Argument(help="its name, as in the list")],
    given: Annotated[
        list[str] | None,
        typer.Option("--set", help="NAME=WORDS for a blank; NAME.en=WORDS for its English; may be given again"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="as one JSON object")] = False,
) -> None:
    """What an alert becomes on each channel, what it costs, and what stands against it."""
    house = house_of(context)
    alert = house.library.alerts.get(template)
    if alert is None:
        raise UsageError(f"There is no template '{template}': see `banduong alerts list`.")
    composed = alert_words.from_template(alert, _filled(alert, given or []))
    previews = _previews(house, composed)
    now = house.clock()
    against = alert_words.problems(
        composed, valid_until=now + alert_words.LONGEST_VALID, now=now, library=house.library, sizes=house.sms_sizes,
        advertising=house.config.bot.outreach.advertising,
    )  # fmt: skip
    told = house.library.console("en")["alert_problems"]
    rows = [
        {"code": one.code, "language": one.language, "channel": one.channel, "words": list(one.words),
         "text": told[one.code].format(words=", ".join(one.words))}
        for one in against
    ]  # fmt: skip
    if as_json:
        shown = [_preview_row(one) for one in previews]
        row = {"template": alert.id, "title": composed.title, "previews": shown, "problems": rows}
        out.print(json.dumps(row, ensure_ascii=False, indent=2))
        return
    for one in previews:
        _print_preview(one)
    for problem in rows:
        where = " ".join(str(problem[name]) for name in ("channel", "language") if problem[name])
        err.print(f"{where or 'whole'}: {problem['text']}")


def _filled(alert: "Alert", given: list[str]) -> dict[str, str]:
    pairs = [one.partition("=") for one in given]
    names = {name for blank in alert.blanks for name in (blank, f"{blank}.vi", f"{blank}.en")}
    for name, equals, _ in pairs:
        if not equals or name not in names:
            known = ", ".join(f"{blank} ({one.what.en})" for blank, one in alert.blanks.items()) or "nothing"
            raise UsageError(f"--set takes NAME=WORDS; in {alert.id} there is to fill in: {known}.")
    return {name: value for name, _, value in pairs}


def _previews(house: App, composed: alert_words.Words) -> list[alert_words.Preview]:
    settings = house.config.bot
    return alert_words.preview(
        composed, house.library, sizes=house.sms_sizes, vnd_per_segment=settings.sms.vnd_per_segment,
        advertising=settings.outreach.advertising,
    )  # fmt: skip


def _preview_row(one: alert_words.Preview) -> dict[str, Any]:
    doubtful = [{"written": seen, "folded": word.id, "note": word.note.vi} for seen, word in one.doubtful]
    return {
        "channel": one.channel, "language": one.language, "text": one.text, "buttons": list(one.buttons), "opening": one.opening,
        "encoding": one.encoding, "units": one.units, "segments": one.segments, "cost_vnd": one.vnd, "cut": one.cut,
        "ambiguous": doubtful,
    }  # fmt: skip


def _print_preview(one: alert_words.Preview) -> None:
    cost = f": {one.encoding}, {one.units} units, {one.segments} SMS, {one.vnd:,} VND" if one.segments else ""
    out.print(f"-- {one.channel}, {one.language}{cost}")
    out.print(one.text)
    if one.buttons:
        out.print(button_line(one.buttons))
    if one.cut:
        out.print(f"cut {one.cut} and it is {(one.segments or 0) - 1} SMS")
    for written, word in one.doubtful:
        out.print(f"{written} -> {word.id}: {word.note.vi}")
    out.print()


subscribers_app = typer.Typer(
    no_args_is_help=True, help="Who gets news: paper sign-up lists, and who must get none.", rich_markup_mode=None
)
ListFile = Annotated[Path, typer.Argument(metavar="FILE", help="UTF-8 text")]
MOST_LINES = 50  # of a list's problems that are printed
FEW = 11  # fewer are not told apart
PROBLEMS = {
    "no_column": "there is no column '{about}'",
    "unreadable": "a quotation mark does not end on this line",
    "too_many_cells": "more cells than the first line has: put the text with the separator in quotation marks",
    "bad_number": "no telephone number",
    "not_mobile": "not a mobile number",
    "unknown_province": "no such province, neither an old nor a new name",
    "unknown_interest": "no such interest: see content/interests.yml",
    "unknown_language": "the language is neither Vietnamese nor English",
    "bad_date": "the day of the signature is missing or no date: write 2026-11-21 or 21/11/2026",
    "future_date": "the day of the signature has not come yet",
    "no_evidence": "where it was signed and who collected it must both be there",
    "duplicate_in_file": "the same number as in line {about}",
}


@subscribers_app.command("import")
def subscribers_import(
    context: typer.Context,
    file: ListFile,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="take the good lines and leave the others out")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only say what would happen")] = False,
) -> None:
    """Take in a paper sign-up list (CSV): all of it, or nothing where a line is wrong. Nobody is sent anything.

    Columns, named in the first line in Vietnamese or English (content/signups.yml), in any order: phone, province, signed on, event,
    collected by; where there are any, interest and language. The same list twice changes nothing. A no counts more than an older
    signature.
    """
    from bot.outreach import signups

    house = house_of(context)
    now = house.clock()
    today, country = now.astimezone(VIETNAM).date(), house.config.bot.sms.country
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError(f"{file} is no UTF-8 text: save it as 'CSV UTF-8'.") from None
    found = signups.read(text, house.library, country, today, file.name)
    outcome = signups.import_signups(house.database, found, BY, now, skip_bad=skip_bad, dry_run=dry_run)
    _print_problems([f"line {one.line}: {PROBLEMS[one.code].format(about=one.about)}" for one in found.problems])
    if outcome.refused:
        err.print("Nothing was taken in: mend these lines, or leave them out with --skip-bad.")
        raise typer.Exit(1)
    left_out = len({one.line for one in found.problems})
    out.print(
        f"{'would be ' if dry_run else ''}added {outcome.added}, said yes before {outcome.already}, said no since they signed "
        f"{outcome.opted_out}, on the Do-Not-Call list {outcome.do_not_call}, left out {left_out}"
    )
    if found.problems:
        raise typer.Exit(1)


@subscribers_app.command("do-not-call")
def subscribers_do_not_call(
    context: typer.Context,
    file: ListFile,
    replace: Annotated[bool, typer.Option("--replace", help="these numbers are the whole list from now on")] = False,
) -> None:
    """Take in the national Do-Not-Call list: one number a line, or a CSV file with a phone column. They get no news."""
    from bot.outreach.do_not_call import import_do_not_call

    house = house_of(context)
    try:
        with file.open(encoding="utf-8-sig") as lines:
            outcome = import_do_not_call(
                house.database,
                lines,
                house.library,
                house.config.bot.sms.country,
                house.clock(),
                by=BY,
                replace=replace,
            )
    except UnicodeDecodeError:
        raise UsageError(f"{file} is no UTF-8 text: save it as UTF-8. Nothing was changed.") from None
    _print_problems([f"line {line}: no telephone number" for line in outcome.bad_lines])
    out.print(f"read {outcome.read}, added {outcome.added}, on the list now {outcome.listed}")
    if outcome.bad_lines:
        raise typer.Exit(1)


@subscribers_app.command("count")
def subscribers_count(context: typer.Context) -> None:
    """How many people get news, by channel and province. Fewer than eleven are not told apart."""
    from bot import subscriptions

    house = house_of(context)
    keyring = house.database.keyring
    with house.database.begin() as connection:
        rows = subscriptions.counts(connection)
    names: dict[str | None, str] = {
        subscriptions.tag(keyring, "province", one.code): one.name for one in house.library.provinces
    }
    table = Table("channel", "province", "people", box=None)
    for row in sorted(rows, key=lambda row: (row.channel, names.get(row.province, ""))):
        table.add_row(row.channel, names.get(row.province, "-"), str(row.people) if row.people >= FEW else f"<{FEW}")
    out.print(table if rows else "Nobody gets news yet.")


def _print_problems(lines: list[str]) -> None:
    for line in lines[:MOST_LINES]:
        err.print(line)
    if len(lines) > MOST_LINES:
        err.print(f"... and {len(lines) - MOST_LINES} more")


# -- broadcasts --------------------------------------------------------------------------------------------------------

broadcast_app = typer.Typer(
    no_args_is_help=True, help="Alerts on their way: write, look, stop. A second person approves in the console.",
    rich_markup_mode=None,
)  # fmt: skip
Reference = Annotated[str, typer.Argument(help="the alert, as in the list")]
As = Annotated[str, typer.Option("--as", metavar="LOGIN", help="the member of staff who answers for it")]
Moment = Annotated[str, typer.Option(metavar="'YYYY-MM-DD HH:MM'", help="by the clock of Viet Nam")]
WATCH_EVERY = 1.0  # seconds
BAR = 40  # characters


@broadcast_app.command("new")
def broadcast_new(
    context: typer.Context,
    by: As,
    until: Moment,
    template: Annotated[str, typer.Option(help="its name, as in `banduong alerts list`")] = "",
    given: Annotated[list[str] | None, typer.Option("--set", help="NAME=WORDS for a blank of the template")] = None,
    text: Annotated[str, typer.Option(help="in place of a template: the words in Vietnamese")] = "",
    sms: Annotated[str, typer.Option(help="shorter words for SMS")] = "",
    title: Annotated[str, typer.Option(help="for the staff; it is not sent")] = "",
    source: Annotated[str, typer.Option(help="who told of it, for the staff")] = "",
    source_url: Annotated[str, typer.Option(help="where that can be read")] = "",
    source_date: Annotated[dt.datetime | None, typer.Option(formats=["%Y-%m-%d"], help="of the source")] = None,
    province: Annotated[list[str] | None, typer.Option(help="old or new name; may be given again; none: all")] = None,
    interest: Annotated[str | None, typer.Option(help="an id of content/interests.yml")] = None,
    channel: Annotated[list[str] | None, typer.Option(help="telegram or sms; none: all that are set up")] = None,
    language: Annotated[list[str] | None, typer.Option(help="vi or en; none: both")] = None,
    joined_from: Annotated[dt.datetime | None, typer.Option(formats=["%Y-%m-%d"])] = None,
    joined_until: Annotated[dt.datetime | None, typer.Option(formats=["%Y-%m-%d"])] = None,
    start: Annotated[str, typer.Option(metavar="'YYYY-MM-DD HH:MM'", help="not before; none: at once")] = "",
    budget: Annotated[int, typer.Option(min=0, help="in VND, for all SMS together")] = 0,
    urgent: Annotated[bool, typer.Option("--urgent", help="also at night; needs a second person")] = False,
) -> None:
    """Write a draft, and show what it would be."""
    house = house_of(context)
    with house.database.begin() as connection:
        author = account_of(house, connection, by)
    wanted = Audience(
        tuple(_province(house, name) for name in province or ()), _interest(house, interest),
        _channels(house, channel), tuple(language or ()), _day(joined_from), _day(joined_until),
    )  # fmt: skip
    origin = Source(source, source_url, source_date.date()) if source and source_date else None
    composed = _composed(house, template, given or [], AlertText(text, sms), title, origin)
    plan = Plan(composed, wanted, _moment(until), budget, urgent, _moment(start) if start else None)
    with house.database.begin() as connection:
        draft = broadcasts.write(connection, house.database.keyring, plan, author.id, house.clock())
    out.print(f"Draft {draft.reference}.")
    _show(house, draft)


def _composed(
    house: App, template: str, given: list[str], typed: AlertText, title: str, source: Source | None
) -> alert_words.Words:
    if bool(template) == bool(typed.text):
        raise UsageError("Give either --template NAME or --text WORDS.")
    if typed.text:
        return alert_words.Words(title or typed.text[:40], {"vi": typed}, source)
    alert = house.library.alerts.get(template)
    if alert is None:
        raise UsageError(f"There is no template '{template}': see `banduong alerts list`.")
    filled = alert_words.from_template(alert, _filled(alert, given))
    return replace(filled, source=source or filled.source, title=title or filled.title)


def _province(house: App, name: str) -> str:
    code = house.library.place_names.get(plain_name(name))
    if code not in {one.code for one in house.library.provinces}:
        raise UsageError(f"'{name}' is no province, neither by an old nor by a new name.")
    return str(code)


def _interest(house: App, name: str | None) -> str | None:
    if name is not None and name not in house.library.interests:
        raise UsageError(f"'{name}' is no interest: use one of {', '.join(house.library.interests)}.")
    return name


def _channels(house: App, given: list[str] | None) -> tuple[str, ...]:
    there = house.alert_terms.channels
    if unknown := [name for name in given or () if name not in there]:
        raise UsageError(f"No alert can leave by {unknown[0]} here: there is {', '.join(there) or 'nothing set up'}.")
    return tuple(name for name in CHANNELS if name in (given or there))


def _day(moment: dt.datetime | None) -> dt.date | None:
    return moment.date() if moment else None


def _moment(written: str) -> dt.datetime:
    try:
        return dt.datetime.strptime(written, "%Y-%m-%d %H:%M").replace(tzinfo=VIETNAM).astimezone(dt.UTC)
    except ValueError:
        raise UsageError(
            f"'{written}' is no moment: write it as '2026-11-30 08:00', by the clock of Viet Nam."
        ) from None


@broadcast_app.command("show")
def broadcast_show(context: typer.Context, reference: Reference) -> None:
    """What would leave, to how many, and for how much."""
    house = house_of(context)
    _show(house, _found(house, reference))


def _show(house: App, found: Broadcast) -> None:
    plan, terms = found.plan, house.alert_terms
    for one in _previews(house, plan.words):
        if one.channel in plan.audience.channels:
            _print_preview(one)
    with house.database.read() as connection:
        counted = count(connection, house.database.keyring, plan.audience, house.clock())
    price = 0
    for (channel, language), people in sorted(counted.people.items()):
        each = terms.message(plan.words, language, channel).vnd
        price += each * people
        out.print(f"{channel}, {language}: {people:,} people, {each:,} VND each")
    for reason, number in progress.shown_reasons(counted.left_out).items():
        out.print(f"left out, {reason}: {number}")
    out.print(f"together {counted.size:,} people, {price:,} VND of {plan.budget_vnd:,}")
    told = house.library.console("en")["alert_problems"]
    against = alert_words.problems(
        plan.words, valid_until=plan.valid_until, now=house.clock(), library=house.library, sizes=terms.sizes,
        advertising=terms.advertising,
    )  # fmt: skip
    for problem in against:
        err.print(told[problem.code].format(words=", ".join(problem.words)))


@broadcast_app.command("submit")
def broadcast_submit(context: typer.Context, reference: Reference, by: As) -> None:
    """Send it off: to a second person, who approves in the console, or to its start where it is small and not urgent."""
    house = house_of(context)
    found = _found(house, reference)
    terms, plan = house.alert_terms, found.plan
    against = alert_words.problems(
        plan.words, valid_until=plan.valid_until, now=house.clock(), library=house.library, sizes=terms.sizes,
        advertising=terms.advertising,
    )  # fmt: skip
    if against:
        raise UsageError(f"Something stands against it: see `banduong broadcast show {found.reference}`.")
    with house.database.read() as connection:
        people = count(connection, house.database.keyring, plan.audience, house.clock()).size
    with house.database.begin() as connection:
        author = account_of(house, connection, by)
        sent = broadcasts.submit(
            connection, house.database.keyring, found.id, people, terms.limits, author.id, house.clock()
        )
    _print_state(sent)


@broadcast_app.command("pause")
def broadcast_pause(context: typer.Context, reference: Reference) -> None:
    """Nothing more leaves, from now on."""
    _change(context, reference, broadcasts.pause)


@broadcast_app.command("resume")
def broadcast_resume(context: typer.Context, reference: Reference) -> None:
    """Go on where it was paused."""
    _change(context, reference, broadcasts.resume)


@broadcast_app.command("cancel")
def broadcast_cancel(context: typer.Context, reference: Reference) -> None:
    """End it for good, and at once."""
    _change(context, reference, broadcasts.cancel)


def _change(context: typer.Context, reference: str, change: Callable[..., Broadcast]) -> None:
    house = house_of(context)
    found = _found(house, reference)
    with house.database.begin() as connection:
        _print_state(change(connection, house.database.keyring, found.id, BY, house.clock()))


@broadcast_app.command("list")
def broadcast_list(context: typer.Context) -> None:
    """The newest first."""
    house = house_of(context)
    with house.database.begin() as connection:
        found = broadcasts.newest(connection, house.database.keyring)
    table = Table("alert", "state", "why", "people", "reserved VND", "start", "true until", "title", box=None)
    for one in found:
        table.add_row(
            one.reference, one.status, one.why or "-", f"{one.size:,}", f"{one.reserved_vnd:,}", _local(one.starts_at),
            _local(one.plan.valid_until), one.plan.words.title,
        )  # fmt: skip
    out.print(table if found else "No alert has been written yet.")


@broadcast_app.command("status")
def broadcast_status(
    context: typer.Context,
    reference: Reference,
    watch: Annotated[bool, typer.Option("--watch", help="again every second, until it is over")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="as one JSON object")] = False,
) -> None:
    """How far it is: who got it, who did not and why, and what it has cost."""
    house = house_of(context)
    found = _found(house, reference)
    if as_json:
        out.print(json.dumps(_figures(house, found), ensure_ascii=False))
        return
    if not watch:
        out.print(_status(house, found))
        return
    with Live(_status(house, found), console=out, auto_refresh=False) as live:
        while found.status not in ("done", "cancelled"):
            time.sleep(WATCH_EVERY)
            found = _found(house, reference)
            live.update(_status(house, found), refresh=True)


def _figures(house: App, found: Broadcast) -> dict[str, Any]:
    with house.database.begin() as connection:
        now = progress.of(connection, found, house.clock())
    return {
        "alert": found.reference, "state": found.status, "why": found.why, "people": now.size, "waiting": now.waiting,
        "messages": dict(now.states), "left_out": dict(progress.shown_reasons(now.left_out)),
        "failures": dict(now.failures),
        "came_back": {kind: progress.few(number) for kind, number in now.came_back.items()},
        "forgotten": now.forgotten, "spent_vnd": now.spent_vnd, "budget_vnd": found.plan.budget_vnd,
        "per_second": round(now.per_second, 1), "seconds_left": now.seconds_left,
    }  # fmt: skip


def _status(house: App, found: Broadcast) -> str:
    figures = _figures(house, found)
    part = (figures["people"] - figures["waiting"]) / figures["people"] if figures["people"] else 0.0
    left = figures["seconds_left"]
    bar = "█" * round(part * BAR) + "·" * (BAR - round(part * BAR))
    estimate = f", {left / 60:.0f} min left" if left else ""
    lines = [
        f"{found.reference}  {found.status}{f' ({found.why})' if found.why else ''}  {found.plan.words.title}",
        f"{bar} {part:.0%} of {figures['people']:,} people  {figures['per_second']:g}/s{estimate}",
        f"{figures['spent_vnd']:,} of {figures['budget_vnd']:,} VND",
    ]
    for name in ("messages", "failures", "left_out", "came_back"):
        if figures[name]:
            counted = ", ".join(
                f"{one} {number:,}" if isinstance(number, int) else f"{one} {number}"
                for one, number in figures[name].items()
            )
            lines.append(f"{name.replace('_', ' ')}: {counted}")
    return "\n".join(lines)


def _found(house: App, reference: str) -> Broadcast:
    with house.database.begin() as connection:
        found = broadcasts.find(connection, house.database.keyring, reference)
    if found is None:
        raise UsageError(f"There is no alert {reference}: see `banduong broadcast list`.")
    return found


def _print_state(found: Broadcast) -> None:
    since = f", from {_local(found.starts_at)} on" if found.status == "scheduled" else ""
    out.print(f"{found.reference}: {found.status}{since}")


def _local(moment: dt.datetime | None) -> str:
    return moment.astimezone(VIETNAM).strftime("%Y-%m-%d %H:%M") if moment else "-"
