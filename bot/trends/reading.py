"""What was released, in plain words of one language: sentences, names of periods, numbers. All wordings are in content/web.yml, `trends`.

Nothing here tells more than the numbers that are shown: percentages and differences are made of no others, and small ones stay "fewer than 11".
"""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby, pairwise

from bot.content import Library
from bot.messages import VIETNAM
from bot.trends.budget import Statement
from bot.trends.cells import BETWEEN, Cells
from bot.trends.periods import GRAINS, Period
from bot.trends.report import Closing, Number, Report, Rise

TABLES = ("topic", "region_topic", "province_topic", "province", "flag", "risk")  # in the order of reading
MOST_RISES = 3  # sentences about one table
NO_NEWS: Mapping[str, frozenset[str]] = {"flag": frozenset({"none"})}  # a rise of talks without a sign warns of nothing
SHOWN = {"week": 53, "month": 13, "quarter": 9}  # periods of a series: a year and one more, two years and one more


class Reading:
    def __init__(self, library: Library, language: str) -> None:
        self.language = language
        self.cells = Cells(library)
        self.words = {name: text[language] for name, text in library.web["trends"].items()}
        self._phrases = {topic.id: topic.phrase.in_language(language) for topic in library.trends.topics}
        self._elsewhere = {place.id for place in library.trends.elsewhere}
        self._threshold = library.trend_rules.threshold

    # -- numbers and times ---------------------------------------------------------------------------------------------

    def grouped(self, number: int) -> str:
        """1234 as "1.234", and in English with a comma."""
        written = f"{number:,}"
        return written if self.language == "en" else written.replace(",", ".")

    def decimal(self, number: float) -> str:
        written = f"{number:.10g}"
        return written if self.language == "en" else written.replace(".", ",")

    @property
    def few(self) -> str:
        return self.words["few"].format(threshold=self._threshold)

    def value(self, number: Number) -> str:
        return self.few if number.value is None else self.grouped(number.value)

    def short(self, number: Number) -> str:
        """For a small square."""
        return f"<{self._threshold}" if number.value is None else self.grouped(number.value)

    def title(self, number: Number) -> str:
        return self.title_of(number.table, number.cell)

    def title_of(self, table: str, cell: str) -> str:
        """The bare word where a cell of long ago is in no vocabulary any more."""
        try:
            return self.cells.title(table, cell, self.language)
        except KeyError:
            return cell

    def mark(self, number: Number) -> str:
        """All of a number, for who cannot see the chart."""
        words = self.words["mark_few" if number.value is None else "mark"]
        return words.format(
            title=self.title(number), period=self.period(number.period), value=self.value(number),
            off_by=number.off_by, threshold=self._threshold,
        )  # fmt: skip

    def period(self, period: Period) -> str:
        """As it stands within a sentence: "tháng 9/2026"."""
        words, start = self.words, period.start
        if period.grain == "month":
            return words["month"].format(month=self._month(start), year=start.year)
        if period.grain == "quarter":
            quarter = words["quarters"].split()[(start.month - 1) // 3]
            return words["quarter"].format(quarter=quarter, year=start.year)
        last = period.end - dt.timedelta(days=1)
        first = self.day(start, short=start.year == last.year)
        return words["week"].format(first=first, last=self.day(last))

    def when(self, period: Period) -> str:
        """As a sentence begins: "Tháng 9/2026", "In September 2026"."""
        return _capital(self.words["when"].format(period=self.period(period)))

    def day(self, day: dt.date, *, short: bool = False) -> str:
        words = self.words["day_short" if short else "day"]
        return words.format(day=day.day, month=self._month(day), year=day.year)

    def _month(self, day: dt.date) -> str:
        return self.words["months"].split()[day.month - 1]

    # -- what rose -----------------------------------------------------------------------------------------------------

    def rises(self, report: Report) -> list[str]:
        """A sentence for each; one that says so where nothing rose, or where there is nothing to compare with."""
        found = [sentence for table in TABLES for sentence in self.rises_of(report, table)]
        if found:
            return found
        compared = any(len(report.periods(table)) > 1 for table in TABLES)
        return [self.words["nothing_rose" if compared else "nothing_to_compare"]]

    def rises_of(self, report: Report, table: str) -> list[str]:
        cells = [cell for cell in self.cells.of[table] if cell not in NO_NEWS.get(table, ())]
        found = report.rises(table, cells)[:MOST_RISES]
        return [self.rise(rise, first=number == 0) for number, rise in enumerate(found)]

    def rise(self, rise: Rise, *, first: bool = True) -> str:
        number = rise.number
        words = self.words[self._wording_of(number.table, first=first)]
        return words.format(
            when=self.when(number.period), what=self._what(number), where=self._where(number),
            value=self.value(number), off_by=number.off_by, usual=self._usual(rise),
        )  # fmt: skip

    def most(self, report: Report, table: str = "topic") -> str | None:
        """What is told most in the newest period; None where nothing is above the threshold, or where it was named as rising."""
        periods = report.periods(table)
        numbers = by_size(report.numbers(table, periods[-1])) if periods else []
        if not numbers or numbers[0].value is None:
            return None
        number = numbers[0]
        if number.cell in [rise.number.cell for rise in report.rises(table)[:MOST_RISES]]:
            return None
        return self.words["most"].format(
            when=self.when(number.period), what=self._what(number), value=self.value(number), off_by=number.off_by
        )

    def _usual(self, rise: Rise) -> str:
        """Where one of the earlier numbers is not told, their mean is not told either."""
        if rise.usual is None:
            return self.words["usual_less"]
        return self.words["usual"].format(usual=self.grouped(rise.usual))

    @staticmethod
    def _wording_of(table: str, *, first: bool) -> str:
        if table == "province":
            return "more_wrote"
        if table in ("flag", "risk"):
            return "seen_more"
        where = "" if table == "topic" else "_where"
        return f"rose_{'most' if first else 'too'}{where}"

    def _what(self, number: Number) -> str:
        topic = number.cell.rpartition(BETWEEN)[2]
        return self._phrases.get(topic) or self.title(number)

    def _where(self, number: Number) -> str:
        place = number.cell.partition(BETWEEN)[0]
        if number.table == "region_topic":
            return self.words["in_region"].format(name=self.title_of("region", place))
        if number.table not in ("province", "province_topic"):
            return ""
        if place in self._elsewhere:
            return self.words[f"in_{place}"]
        return self.words["in_province"].format(name=self.title_of("province", place))

    # -- what else there is to know --------------------------------------------------------------------------------------

    def newest(self, report: Report) -> str | None:
        """Of which periods the numbers are; None where there are none."""
        last = [period for table in TABLES for period in report.periods(table)[-1:]]
        own = [[period for period in last if period.grain == grain] for grain in GRAINS]
        names = [self.period(max(periods, key=lambda one: one.start)) for periods in own if periods]
        return self.words["newest"].format(periods=", ".join(names)) if names else None

    def notes(self, report: Report, *, newest: bool = False) -> list[str]:
        """Periods that are not like the others, among those that are shown; with `newest` only those on which the sentences rest."""
        most = {grain: 2 if newest else SHOWN[grain] for grain in GRAINS}
        shown = [closing for grain in GRAINS for closing in _last(report, grain, most[grain])]
        return [*self._partial(shown), *self._lost(shown), *self._gaps(shown)]

    def first_release(self, due: dt.datetime | None) -> str:
        """Where nothing is released yet; `due`: when the first period that is open now will be."""
        if due is None:
            return self.words["none_open"]
        local = due.astimezone(VIETNAM)
        return self.words["none_yet"].format(hour=f"{local:%H:%M}", day=self.day(local.date()))

    def statement(self, promised: Statement) -> str:
        return self.words["statement"].format(once=self.decimal(promised.once), always=self.decimal(promised.always))

    def how(self) -> list[str]:
        return [
            self.words[f"how_{name}"].format(threshold=self._threshold)
            for name in ("few", "off", "rise", "once", "told")
        ]

    def promise(self, promised: Statement | None) -> list[str]:
        said = [self.words[f"promise_{name}"] for name in ("words", "noise", "once")]
        return [*said, self.statement(promised)] if promised else said

    def _partial(self, shown: Sequence[Closing]) -> Iterator[str]:
        begun = sorted((one for one in shown if not one.whole and not one.lost), key=lambda one: one.begun_on)
        for day, closings in groupby(begun, key=lambda one: one.begun_on):
            periods = self._named(one.period for one in closings)
            yield self.words["partial"].format(periods=periods, day=self.day(day))

    def _lost(self, shown: Sequence[Closing]) -> Iterator[str]:
        if lost := [one.period for one in shown if one.lost]:
            yield self.words["lost"].format(periods=self._named(lost))

    def _gaps(self, shown: Sequence[Closing]) -> Iterator[str]:
        if missing := [period for grain in GRAINS for period in _missing([one.period for one in shown], grain)]:
            yield self.words["gap"].format(periods=self._named(missing))

    def _named(self, periods: Iterable[Period]) -> str:
        return _capital(", ".join(self.period(period) for period in periods))


def by_size(numbers: Iterable[Number]) -> list[Number]:
    """The greatest first; those that are not told keep their fixed order, which tells nothing."""
    return sorted(numbers, key=lambda number: -(number.value or 0))


def shown_periods(report: Report, table: str) -> list[Period]:
    """The newest ones of a table without a break: also those for which nothing was released."""
    periods = report.periods(table)
    if not periods:
        return []
    newest = periods[-1]
    wanted = [newest]
    while len(wanted) < SHOWN[newest.grain] and wanted[-1].start > periods[0].start:
        wanted.append(wanted[-1].before)
    return wanted[::-1]


def first_due(open_periods: Iterable[Period], closes_after: dt.timedelta) -> dt.datetime | None:
    return min((period.over_at + closes_after for period in open_periods), default=None)


def _last(report: Report, grain: str, most: int) -> list[Closing]:
    return [closing for closing in report.closings if closing.period.grain == grain][-most:]


def _missing(periods: Sequence[Period], grain: str) -> Iterator[Period]:
    """Those of a grain between the first and the last that were never opened."""
    own = [period for period in periods if period.grain == grain]
    for one, following in pairwise(own):
        missing = one.following
        while missing.start < following.start:
            yield missing
            missing = missing.following


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
