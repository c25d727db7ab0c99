"""banduong trends: what is counted, what was released and what was promised; nothing here begins to count."""

import datetime as dt
import json
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.table import Table

from bot.app import App
from bot.cli.common import err, house_of, out
from bot.errors import TrendsError, UsageError
from bot.messages import VIETNAM
from bot.trends.budget import Statement, statement
from bot.trends.cells import Cells
from bot.trends.counters import OpenPeriod, all_open, open_period
from bot.trends.export import Export
from bot.trends.noise import refuse_without_noise
from bot.trends.periods import Period, period_named, period_of
from bot.trends.reading import Reading
from bot.trends.release import abandon, close_due
from bot.trends.report import Number, Report

trends_app = typer.Typer(
    no_args_is_help=True, help="Trends that can point at nobody: what is open, what was released, what was promised.",
    rich_markup_mode=None,
)  # fmt: skip


@trends_app.command("status")
def trends_status(context: typer.Context) -> None:
    """What is being counted and until when, what was closed, and what is promised for this quarter."""
    with _house(context) as house:
        left, report = _open(house), _report(house)
        out.print(f"profile: {house.config.bot.trends.profile}")
        table = Table("open period", "profile", "counted since", "closes at", "key", box=None)
        for one in left:
            closes = one.period.over_at + house.trends.closes_after
            table.add_row(one.period.name, one.profile, f"{one.begun_on}", _local(closes), _key(house, one))
        out.print(table if left else "No period is open.")
        lost = [closing.period.name for closing in report.closings if closing.lost]
        newest = f", the newest {report.closings[-1].period.name}" if report.closings else ""
        out.print(f"{len(report.closings)} closed{newest}{'; lost: ' if lost else ''}{', '.join(lost)}")
        _print_statements(house)
        if left and house.config.bot.trends.profile == "off":
            err.print(
                f"Counting is off, and {len(left)} open periods were left behind: `banduong trends close` releases each when it is due, "
                "`banduong trends destroy` does away with them."
            )


@trends_app.command("close")
def trends_close(context: typer.Context) -> None:
    """Release what is due now, and destroy its counters, ledger and keys. `banduong serve` does so once a minute."""
    refuse_without_noise()
    with _house(context) as house:
        closed = close_due(house.trends, house.clock())
        lost = {closing.period for closing in _report(house).closings if closing.lost}
    for period in closed:
        out.print(f"{period.name} is closed{': its key was gone, and nothing is released' if period in lost else ''}.")
    if not closed:
        out.print("Nothing is due.")
    if lost.intersection(closed):
        raise typer.Exit(1)


@trends_app.command("show")
def trends_show(
    context: typer.Context,
    period: Annotated[str, typer.Option(help="as 2026-W47, 2026-11 or 2026-Q4; none: the newest of each table")] = "",
    table: Annotated[str, typer.Option(help="risk, topic, province ...; none: all")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="as one JSON array")] = False,
) -> None:
    """The numbers as everybody may see them: small ones as "<11", each with how far it may be off."""
    with _house(context) as house:
        cells, report = Cells(house.library), _report(house)
        if table and table not in cells.of:
            raise UsageError(f"There is no table '{table}': there are {', '.join(cells.of)}.")
        numbers = _numbers(report, [table] if table else list(cells.of), _period(period) if period else None)
        if as_json:
            out.print(json.dumps([_row(one, report.threshold) for one in numbers], ensure_ascii=False, indent=1))
            return
        if not numbers:
            raise TrendsError(
                f"Nothing was released{f' of {period}' if period else ''} yet: see `banduong trends status`."
            )
        shown = Table("period", "table", "cell", "people", "+-", box=None)
        shown.columns[3].justify = shown.columns[4].justify = "right"
        reading = Reading(house.library, "en")
        for one in numbers:
            people = f"<{report.threshold}" if one.value is None else f"{one.value:,}"
            shown.add_row(one.period.name, one.table, reading.title(one), people, f"{one.off_by}")
        out.print(shown)


@trends_app.command("export")
def trends_export(
    context: typer.Context,
    file: Annotated[Path | None, typer.Argument(metavar="FILE", help="none: standard output")] = None,
    form: Annotated[
        Literal["csv", "json", "dictionary"], typer.Option("--format", help="csv, json, or the dictionary of both")
    ] = "csv",
    language: Annotated[Literal["vi", "en"], typer.Option(help="of the titles in the CSV file")] = "en",
) -> None:
    """Everything that was released, as at /trends; JSON holds what its columns mean and what was promised as well."""
    with _house(context) as house:
        content = _exported(house, form, language)
    if file is None:
        sys.stdout.buffer.write(content)
        return
    file.write_bytes(content)
    err.print(f"{file}")


@trends_app.command("statement")
def trends_statement(context: typer.Context) -> None:
    """How much all that is published of this quarter may tell of one person."""
    with _house(context) as house:
        _print_statements(house)


@trends_app.command("destroy")
def trends_destroy(
    context: typer.Context, yes: Annotated[bool, typer.Option("--yes", help="do not ask")] = False
) -> None:
    """Do away with what is being counted, and with its keys, without releasing it. What was released stays."""
    with _house(context) as house:
        left = _open(house)
        names = ", ".join(one.period.name for one in left) or "no open period"
        if not yes:
            typer.confirm(f"Destroy for ever what was counted in {names}?", abort=True)
        abandon(house.trends)
        out.print(f"Destroyed: {names}.")
        if house.config.bot.trends.profile != "off":
            err.print("`banduong serve` counts on, from today: set bot.trends.profile: off in config.yml to end it.")


@contextmanager
def _house(context: typer.Context) -> Iterator[App]:
    """With the store of trends open for this command."""
    house = house_of(context)
    with closing(house.trends.database):
        yield house


def _open(house: App) -> list[OpenPeriod]:
    with house.trends.database.read() as connection:
        return list(all_open(connection))


def _report(house: App) -> Report:
    with house.trends.database.read() as connection:
        return Report(connection, house.trends.rules.threshold)


def _exported(house: App, form: str, language: str) -> bytes:
    export, report, trends = Export(house.library), _report(house), house.config.bot.trends
    if form == "dictionary":
        return export.dictionary_as_csv()
    if form == "csv":
        return export.as_csv(report, language)
    rules, now = house.library.trend_rules, house.clock()
    return export.as_json(report, report.promised(rules, trends.profile, now, quarterly=trends.quarter_tables))


def _key(house: App, opened: OpenPeriod) -> str:
    try:
        return "there" if house.trends.key_of(opened) else "lost"
    except TrendsError:
        return "of another machine"


def _period(name: str) -> Period:
    try:
        return period_named(name)
    except ValueError:
        raise UsageError(f"'{name}' is no period: write it as 2026-W47, 2026-11 or 2026-Q4.") from None


def _numbers(report: Report, tables: list[str], period: Period | None) -> list[Number]:
    """Of one period, or of the newest one of each table."""
    return [
        number
        for table in tables
        for chosen in ([period] if period else report.periods(table)[-1:])
        for number in report.numbers(table, chosen)
    ]


def _row(number: Number, threshold: int) -> dict[str, object]:
    return {
        "period": number.period.name, "table": number.table, "cell": number.cell, "value": number.value,
        "below": threshold if number.value is None else None, "off_by": number.off_by,
    }  # fmt: skip


def _print_statements(house: App) -> None:
    """Of the profile with which this quarter was opened, or will be; of all of them where counting is off."""
    rules, trends = house.library.trend_rules, house.config.bot.trends
    quarter = period_of("quarter", house.clock())
    with house.trends.database.read() as connection:
        opened = open_period(connection, quarter)
    chosen = opened.profile if opened else trends.profile
    for profile in rules.profiles if chosen == "off" else (chosen,):
        promised = statement(rules, profile, quarter, quarterly=trends.quarter_tables)
        out.print(f"{quarter.name}, {profile}: {_told(promised)}")
    if opened and trends.profile not in (opened.profile, "off"):
        err.print(f"{quarter.name} was opened with {opened.profile}: {trends.profile} begins with the next quarter.")


def _told(promised: Statement) -> str:
    return f"epsilon {promised.once:g} for who writes once, {promised.always:g} for who writes in each week; delta 0"


def _local(moment: dt.datetime) -> str:
    return moment.astimezone(VIETNAM).strftime("%Y-%m-%d %H:%M")
