"""The parts of /trends: each has a chart, what the chart shows in words, and a table with the same numbers."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from bot.content import Library
from bot.trends.cells import BETWEEN
from bot.trends.periods import Period
from bot.trends.reading import Reading, by_size, shown_periods
from bot.trends.report import Number, Report
from bot.trends.specs import Figure, Legend, Moment, Panel, Spec, Tile, bars, heat, series, size, tiles

NAMED = 3  # cells that the words for a chart name
BESIDE_MAP = {"abroad": (0.0, 9.0), "unknown": (0.0, 10.15)}  # column and row, where the map has room


@dataclass(frozen=True)
class Table:
    """Its first column names the rows."""

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Part:
    """`alt`: the chart in words, `size`: its width and height; None where there is no chart."""

    name: str
    heading: str
    intro: str
    alt: str | None
    table: Table
    size: tuple[int, int] | None = None


class Shown:
    """One report in one language."""

    def __init__(self, library: Library, report: Report, reading: Reading) -> None:
        self._trends, self._threshold = library.trends, library.trend_rules.threshold
        self._report, self._reading, self._words = report, reading, reading.words

    def parts(self) -> Iterator[Part]:
        """Those for which something was released, the question "what?" first."""
        for name, make in self._parts.items():
            if self._report.periods(_table_of(name)):
                part = make(name)
                yield replace(part, size=size(self.spec(name))) if self.has_chart(name) else part

    def has_chart(self, name: str) -> bool:
        return name in self._charts and bool(self._report.periods(_table_of(name)))

    def spec(self, name: str) -> Spec:
        """How a part's chart looks."""
        return self._charts[name](_table_of(name))

    @property
    def _parts(self) -> Mapping[str, Callable[[str], Part]]:
        return {
            "topic": self._list,
            "province": self._list,
            "region_topic": self._crossed,
            "province_topic": self._crossed,
            "flag": self._list,
            "topic_series": self._through_time,
            "risk": self._through_time,
        }

    @property
    def _charts(self) -> Mapping[str, Callable[[str], Spec]]:
        return {
            "topic": self._bars,
            "province": self._map,
            "region_topic": self._heat,
            "flag": self._bars,
            "topic_series": self._series,
            "risk": self._series,
        }

    # -- the newest numbers --------------------------------------------------------------------------------------------

    def _newest(self, table: str) -> Sequence[Number]:
        """In the order of content/trends.yml; what stands there no longer comes last."""
        places = {cell: number for number, cell in enumerate(self._reading.cells.of[table])}
        numbers = self._report.numbers(table, self._report.periods(table)[-1])
        return sorted(numbers, key=lambda one: places.get(one.cell, len(places)))

    def _list(self, name: str) -> Part:
        words, reading = self._words, self._reading
        numbers = by_size(self._newest(name))
        heads = (words[f"what_{name}"], words["people"], words["off_by"])
        rows = [(reading.title(one), reading.value(one), str(one.off_by)) for one in numbers]
        return self._part(name, numbers, Table(heads, rows))

    def _crossed(self, name: str) -> Part:
        """On paper and screen alike the shorter side is across."""
        numbers = self._newest(name)
        cells = {one.cell: self._reading.value(one) for one in numbers}
        places, topics = _sides(cells)
        place, topic = name.split("_")
        rows: list[Sequence[str]]
        if len(places) < len(topics):
            heads = (self._words["what_topic"], *(self._title(place, one) for one in places))
            rows = [(self._title(topic, one), *(cells[_cell(other, one)] for other in places)) for one in topics]
        else:
            heads = (self._words["what_province"], *(self._title(topic, one) for one in topics))
            rows = [(self._title(place, one), *(cells[_cell(one, other)] for other in topics)) for one in places]
        return self._part(name, numbers, Table(heads, rows))

    def _part(self, name: str, numbers: Sequence[Number], table: Table) -> Part:
        words, reading = self._words, self._reading
        period = numbers[0].period
        told = [one for one in by_size(numbers)[:NAMED] if one.value is not None]
        listed = [words["listed"].format(title=reading.title(one), value=reading.value(one)) for one in told]
        alt = words.get(f"{name}_alt")
        return Part(
            name,
            words[name],
            words[f"{name}_intro"].format(when=reading.when(period), off_by=numbers[0].off_by),
            alt and alt.format(period=reading.period(period), most=", ".join(listed) or reading.few),
            table,
        )

    # -- through time --------------------------------------------------------------------------------------------------

    def _through_time(self, name: str) -> Part:
        words, reading, table = self._words, self._reading, _table_of(name)
        periods, cells = shown_periods(self._report, table), reading.cells.of[table]
        heads = (words["what_period"], *(self._title(table, cell) for cell in cells), words["off_by"])
        rows = [self._row(table, period, cells) for period in reversed(periods)]
        first, last = reading.period(periods[0]), reading.period(periods[-1])
        return Part(
            name,
            words[name],
            words[f"{name}_intro"].format(threshold=self._threshold),
            words[f"{name}_alt"].format(count=len(cells), first=first, last=last),
            Table(heads, rows),
        )

    def _row(self, table: str, period: Period, cells: Sequence[str]) -> Sequence[str]:
        numbers = {one.cell: one for one in self._report.numbers(table, period)}
        values = [self._reading.value(numbers[cell]) if cell in numbers else "–" for cell in cells]
        off_by = next((str(one.off_by) for one in numbers.values()), "–")
        return (_capital(self._reading.period(period)), *values, off_by)

    # -- charts --------------------------------------------------------------------------------------------------------

    def _bars(self, table: str) -> Spec:
        return bars([self._figure(one) for one in by_size(self._newest(table))], self._threshold)

    def _series(self, table: str) -> Spec:
        periods = shown_periods(self._report, table)
        panels = []
        for cell in self._reading.cells.of[table]:
            known = {one.period: self._figure(one) for one in self._report.series(table, cell)}
            moments = [Moment(period.start, known.get(period)) for period in periods]
            panels.append(Panel(self._title(table, cell), moments))
        return series(panels, self._threshold)

    def _map(self, table: str) -> Spec:
        numbers = {one.cell: one for one in self._newest(table)}
        squares = {code: place for region in self._trends.regions for code, place in region.tiles.items()}
        places = [
            Tile(column, row, self._small(numbers[code])) for code, (column, row) in squares.items() if code in numbers
        ]
        beside = [
            Tile(*place, self._small(numbers[name]), wide=2) for name, place in BESIDE_MAP.items() if name in numbers
        ]
        few, title = self._reading.few, self._words["people"]
        return tiles([*places, *beside], Legend(title, few, self._reading.grouped), self._threshold)

    def _heat(self, table: str) -> Spec:
        numbers = {one.cell: one for one in self._newest(table)}
        regions, topics = _sides(numbers)
        rows = [
            (self._title("topic", topic), [self._small(numbers[_cell(region, topic)]) for region in regions])
            for topic in topics
        ]
        return heat(rows, [self._title("region", region) for region in regions], self._threshold)

    def _figure(self, number: Number) -> Figure:
        reading = self._reading
        return Figure(reading.title(number), number.value, number.off_by, reading.value(number), reading.mark(number))

    def _small(self, number: Number) -> Figure:
        reading = self._reading
        return Figure(reading.title(number), number.value, number.off_by, reading.short(number), reading.mark(number))

    def _title(self, table: str, cell: str) -> str:
        return self._reading.title_of(table, cell)


def _table_of(name: str) -> str:
    return name.removesuffix("_series")


def _cell(left: str, right: str) -> str:
    return f"{left}{BETWEEN}{right}"


def _sides(cells: Mapping[str, object]) -> tuple[list[str], list[str]]:
    pairs = [cell.split(BETWEEN) for cell in cells]
    left, right = (list(dict.fromkeys(pair[side] for pair in pairs)) for side in (0, 1))
    return left, right


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
