"""What charts look like, as Vega-Lite: plain data made from released numbers and from words that others chose.

All are as wide as a phone and are never read by colour alone. "Fewer than 11" is never a nought: it has a look of its own.
Every mark that stands for a number carries it in words (`aria-label` in the SVG), from which tests read the charts back.
"""

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Spec = Mapping[str, Any]
Row = dict[str, Any]

WIDTH = 340  # px
MARGIN = 10  # px around a chart
FONT = "DejaVu Sans, Noto Sans, Roboto, Segoe UI, system-ui, sans-serif"
INK, SOFT, LINE, PAPER, EMPTY = "#1d2b28", "#46534f", "#d8d2c4", "#ffffff", "#f0eee8"
ROAD, BAR, BAND = "#1f6f5c", "#4f9d86", "#a9d3c3"  # what crosses a bar or a band must be seen on it
# From few to many: one direction of lightness, told apart by all kinds of colour sight (ColorBrewer YlGnBu); with the ink that reads on it.
SHADES = (("#ffffcc", INK), ("#a1dab4", INK), ("#41b6c4", INK), ("#2c6fa8", PAPER), ("#253494", PAPER))
_LADDERS = (
    (1, 2, 5),
    (1, 3),
    (1,),
)  # round numbers at which a shade begins, in each power of ten; the finest that the shades suffice for
_BAR = 46  # px for a bar and its name
_LINE = 12  # px from one line of small text to the next


@dataclass(frozen=True)
class Figure:
    """A number as it is drawn. `value` is None where it is below the threshold; `says`: all of it in words."""

    title: str
    value: int | None
    off_by: int
    label: str
    says: str

    @property
    def low(self) -> int:
        return max(0, (self.value or 0) - self.off_by)

    @property
    def high(self) -> int:
        return (self.value or 0) + self.off_by


@dataclass(frozen=True)
class Moment:
    """A point of a series; `figure` is None where nothing was released."""

    start: dt.date
    figure: Figure | None


@dataclass(frozen=True)
class Panel:
    title: str
    moments: Sequence[Moment]


@dataclass(frozen=True)
class Tile:
    """A square of the map, in columns and rows; `wide`: how many columns."""

    column: float
    row: float
    figure: Figure
    wide: int = 1


@dataclass(frozen=True)
class Legend:
    """Words: `title` for what is counted, `few` for what is below the threshold; `grouped` writes a number."""

    title: str
    few: str
    grouped: Callable[[int], str]


def bars(figures: Sequence[Figure], threshold: int) -> Spec:
    """The greatest first, each with its name above it and a line from the least to the most that it may truly be."""
    most = max((figure.high for figure in figures if figure.value is not None), default=threshold)
    rows = [
        {
            "title": figure.title, "label": figure.label, "says": figure.says, "value": figure.value,
            "to": threshold if figure.value is None else figure.value, "low": figure.low, "high": figure.high,
            "end": threshold if figure.value is None else figure.high, "name": number + 0.3, "top": number + 0.46,
            "bottom": number + 0.84, "middle": number + 0.65,
        }
        for number, figure in enumerate(figures)
    ]  # fmt: skip
    across = _x("to", [0, max(most, threshold) * 1.35])
    known, few = {"filter": "datum.value != null"}, {"filter": "datum.value == null"}
    bar: Row = {"y": _y("top", len(rows)), "y2": {"field": "bottom"}, "x": across, "x2": {"datum": 0}, **_SAYS}
    middle: Row = {"y": _y("middle", len(rows))}
    return _whole(
        {
            "width": WIDTH,
            "height": _BAR * len(figures),
            "data": {"values": rows},
            "layer": [
                {"transform": [known], "mark": {"type": "rect", "fill": BAR}, "encoding": bar},
                {"transform": [few], "mark": {"type": "rect", **_FEW}, "encoding": bar},
                _rule(known, {**middle, "x": _x("low"), "x2": {"field": "high"}}),
                *(_tick(known, {**middle, "x": _x(end)}) for end in ("low", "high")),
                _text("title", {"y": _y("name", len(rows)), "x": {"value": 0}}, align="left", fontSize=12.5),
                _text("label", {**middle, "x": _x("end")}, align="left", dx=6, fontSize=12, fontWeight="bold"),
            ],
            "config": {"view": {"stroke": None}, "axis": {"disable": True}},
        }
    )


def series(panels: Sequence[Panel], threshold: int) -> Spec:
    """One panel below the other, each with its own scale: the line, the band in which it may truly be, and a zone of "fewer than 11".

    Places are reckoned here, in pixels: as one picture it is drawn many times faster than as a dozen.
    """
    days = [moment.start for panel in panels for moment in panel.moments]
    axis = _Axis(min(days), max(days))
    drawn = [_Panel(number * _PITCH, panel, axis, threshold) for number, panel in enumerate(panels)]
    points = [row for panel in drawn for row in panel.points()]
    known, few = {"filter": "datum.value != null"}, {"filter": "datum.few"}
    deep = _PITCH * len(panels)
    across, down = _plane(WIDTH, deep)
    place = {"x": {"field": "x", **across}, "y": {"field": "y", **down}}
    span = {"x": {"field": "x", **across}, "x2": {"field": "x2"}, "y": {"field": "y", **down}, "y2": {"field": "y2"}}
    band = {"x": place["x"], "y": {"field": "low", **down}, "y2": {"field": "high"}, "detail": {"field": "panel"}}
    line = {"x": place["x"], "y": {"field": "line", **down}, "detail": {"field": "panel"}}
    quiet = {"aria": False}
    broken = {"invalid": "break-paths-show-domains", **quiet}
    texts = [row for panel in drawn for row in panel.texts()]
    return _whole(
        {
            "width": WIDTH,
            "height": deep,
            "layer": [
                {
                    "data": {"values": [panel.zone() for panel in drawn]},
                    "mark": {"type": "rect", "fill": EMPTY, **quiet},
                    "encoding": span,
                },
                {
                    "data": {"values": [row for panel in drawn for row in panel.lines()]},
                    "mark": {"type": "rule", "strokeWidth": 1, **quiet},
                    "encoding": {
                        **span,
                        "color": {"field": "ink", "type": "nominal", "scale": None},
                        "strokeDash": {"field": "dash", "type": "nominal", "scale": None},
                    },
                },
                {"data": {"values": points}, "mark": {"type": "area", "color": BAND, **broken}, "encoding": band},
                {
                    "data": {"values": points},
                    "transform": [known],
                    "mark": {"type": "rule", "color": BAND, "strokeWidth": 2, **quiet},
                    "encoding": band,
                },
                {
                    "data": {"values": points},
                    "mark": {"type": "line", "color": ROAD, "strokeWidth": 2, **broken},
                    "encoding": line,
                },
                {
                    "data": {"values": points},
                    "transform": [known],
                    "mark": {"type": "circle", "size": 16, "color": ROAD, "opacity": 1},
                    "encoding": {**place, **_SAYS},
                },
                {
                    "data": {"values": points},
                    "transform": [few],
                    "mark": {
                        "type": "circle",
                        "fill": PAPER,
                        "stroke": SOFT,
                        "strokeWidth": 1.2,
                        "size": 22,
                        "opacity": 1,
                    },
                    "encoding": {**place, **_SAYS},
                },
                *(
                    {
                        "data": {"values": [row for row in texts if row["kind"] == kind]},
                        **_text("name", place, **look),
                    }
                    for kind, look in _TEXTS.items()
                ),
            ],
            "config": {"view": {"stroke": None}},
        }
    )


def tiles(places: Sequence[Tile], legend: Legend, threshold: int, size: int = 64) -> Spec:
    """A labelled square for every province, roughly in its place; the legend stands where the sea and the neighbours are."""
    classes = _classes([tile.figure.value for tile in places if tile.figure.value is not None], threshold)
    edge = 4 / size
    rows = [
        {
            "left": tile.column + edge / 2, "right": tile.column + tile.wide - edge / 2, "top": tile.row + edge / 2,
            "bottom": tile.row + 1 - edge / 2, "middle": tile.column + tile.wide / 2,
            "label": tile.figure.label, "says": tile.figure.says, "name": _tile_name(tile),
            "name_at": tile.row + 0.36 - _above(_tile_name(tile)) / size, "label_at": tile.row + 0.75, **_shade(tile.figure.value, classes),
        }
        for tile in places
    ]  # fmt: skip
    columns, deep = max(tile.column + tile.wide for tile in places), max(tile.row for tile in places) + 1
    across, down = _plane(columns, deep)
    return _whole(
        {
            "width": round(size * columns),
            "height": round(size * deep),
            "layer": [
                *_squares(rows, across, down),
                {
                    "data": {"values": rows},
                    **_text(
                        "name",
                        {"x": {"field": "middle", **across}, "y": {"field": "name_at", **down}, **_INK},
                        fontSize=10.5,
                        lineHeight=_LINE,
                    ),
                },
                {
                    "data": {"values": rows},
                    **_text(
                        "label",
                        {"x": {"field": "middle", **across}, "y": {"field": "label_at", **down}, **_INK},
                        fontSize=13,
                        fontWeight="bold",
                    ),
                },
                *_legend(legend, classes, across, down),
            ],
            "config": {"view": {"stroke": None}},
        }
    )


def heat(rows_of: Sequence[tuple[str, Sequence[Figure]]], columns: Sequence[str], threshold: int) -> Spec:
    """A table whose numbers are shaded: columns have their names at the top, written upwards."""
    left, cell, head = 100, 40, 104
    values = [figure.value for _, figures in rows_of for figure in figures if figure.value is not None]
    classes = _classes(values, threshold)
    rows = [
        {
            "left": left + cell * column + 1, "right": left + cell * (column + 1) - 1, "top": head + cell * row + 1,
            "bottom": head + cell * (row + 1) - 1, "middle": left + cell * (column + 0.5),
            "label_at": head + cell * (row + 0.5), "label": figure.label, "says": figure.says,
            **_shade(figure.value, classes),
        }
        for row, (_, figures) in enumerate(rows_of)
        for column, figure in enumerate(figures)
    ]  # fmt: skip
    names = [
        {"name": lines, "at": head + cell * (row + 0.5) - _above(lines), "x": 0}
        for row, lines in enumerate(_lines(title, 16) for title, _ in rows_of)
    ]
    heads = [
        {"name": lines, "x": left + cell * (column + 0.5) - _above(lines), "at": head - 6}
        for column, lines in enumerate(_lines(title, 15) for title in columns)
    ]
    wide, deep = left + cell * len(columns), head + cell * len(rows_of)
    across, down = _plane(wide, deep)
    place = {"x": {"field": "x", **across}, "y": {"field": "at", **down}}
    return _whole(
        {
            "width": wide,
            "height": deep,
            "layer": [
                *_squares(rows, across, down),
                {
                    "data": {"values": rows},
                    **_text(
                        "label",
                        {"x": {"field": "middle", **across}, "y": {"field": "label_at", **down}, **_INK},
                        fontSize=11,
                    ),
                },
                {"data": {"values": names}, **_text("name", place, align="left", fontSize=10, lineHeight=_LINE)},
                {
                    "data": {"values": heads},
                    **_text("name", place, align="left", angle=270, fontSize=10, lineHeight=_LINE),
                },
            ],
            "config": {"view": {"stroke": None}},
        }
    )


def size(spec: Spec) -> tuple[int, int]:
    """Width and height in pixels, so that a page keeps the room for a chart that is still on its way."""
    return round(spec["width"] + 2 * MARGIN), round(spec["height"] + 2 * MARGIN)


# -- parts -------------------------------------------------------------------------------------------------------------

_SAYS = {"description": {"field": "says"}}
_INK = {"color": {"field": "ink", "type": "nominal", "scale": None}}
_FEW = {"fill": PAPER, "stroke": SOFT, "strokeDash": [3, 3], "strokeWidth": 1}


def _whole(spec: Row) -> Spec:
    config = {"font": FONT, "text": {"color": INK}, **spec.pop("config")}
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "background": PAPER,
        "padding": MARGIN,
        **spec,
        "config": config,
    }


def _plane(wide: float, deep: float) -> tuple[Row, Row]:
    """Across and down, with nought at the upper left."""
    kind = {"type": "quantitative", "axis": None}
    across = {"scale": {"domain": [0, wide], "nice": False, "zero": False}, **kind}
    return across, {"scale": {"domain": [0, deep], "reverse": True, "nice": False}, **kind}


def _x(field: str, domain: Sequence[float] | None = None) -> Row:
    scale = {"scale": {"domain": list(domain), "nice": False}} if domain else {}
    return {"field": field, "type": "quantitative", **scale}


def _y(field: str, rows: int) -> Row:
    return {"field": field, "type": "quantitative", "scale": {"domain": [0, rows], "reverse": True, "nice": False}}


def _rule(chosen: Row, encoding: Row) -> Row:
    return {
        "transform": [chosen],
        "mark": {"type": "rule", "color": INK, "strokeWidth": 1.5, "aria": False},
        "encoding": encoding,
    }


def _tick(chosen: Row, encoding: Row) -> Row:
    mark = {"type": "tick", "thickness": 1.5, "size": 9, "color": INK, "aria": False}
    return {"transform": [chosen], "mark": mark, "encoding": encoding}


def _text(field: str, encoding: Row, **look: Any) -> Row:
    mark = {"type": "text", "baseline": "middle", "aria": False, **look}
    return {"mark": mark, "encoding": {"text": {"field": field}, **encoding}}


_PITCH, _PLOT, _TOP, _LEFT, _RIGHT = 122, 70, 24, 38, 12  # px: of a panel, of its drawing, above it, and beside it
_TEXTS: Mapping[str, Row] = {
    "title": {"align": "left", "fontSize": 12.5},
    "number": {"align": "right", "fontSize": 10, "color": SOFT},
    "day": {"align": "center", "fontSize": 10, "color": SOFT},
}


@dataclass(frozen=True)
class _Axis:
    first: dt.date
    last: dt.date

    def place(self, day: dt.date) -> float:
        span = (self.last - self.first).days
        share = (day - self.first).days / span if span else 0.5
        return round(_LEFT + share * (WIDTH - _LEFT - _RIGHT), 2)

    def ticks(self) -> Iterator[tuple[float, str]]:
        """The first of each month, or of each quarter where there are many."""
        months = 1 if (self.last - self.first).days < 150 else 3
        day = self.first.replace(day=1)
        while day <= self.last:
            if day >= self.first and (day.month - 1) % months == 0 and _LEFT <= self.place(day) <= WIDTH - 24:
                yield self.place(day), f"{day:%m/%Y}"
            day = (day + dt.timedelta(days=31)).replace(day=1)
        if self.first == self.last:
            yield self.place(self.first), f"{self.first:%m/%Y}"


@dataclass(frozen=True)
class _Panel:
    top: float
    panel: Panel
    axis: _Axis
    threshold: int

    @property
    def most(self) -> int:
        """A round number above all that is drawn."""
        figures = [one.figure.high for one in self.panel.moments if one.figure and one.figure.value is not None]
        most = max([self.threshold * 2, *figures])
        steps = (digit * 10**power for power in range(len(str(most)) + 1) for digit in (2, 4, 6, 8, 10))
        return next(int(step) for step in steps if step >= most)

    def height(self, value: float) -> float:
        return round(self.top + _TOP + _PLOT * (1 - value / self.most), 2)

    def points(self) -> Iterator[Row]:
        for moment in self.panel.moments:
            figure = moment.figure
            known = figure if figure is not None and figure.value is not None else None
            yield {
                "panel": self.top, "x": self.axis.place(moment.start), "few": figure is not None and known is None,
                "value": known.value if known else None, "says": figure.says if figure else "",
                "y": self.height(known.value or 0) if known else self.height(self.threshold / 2),
                "line": self.height(known.value or 0) if known else None,
                "low": self.height(known.low) if known else None, "high": self.height(known.high) if known else None,
            }  # fmt: skip

    def zone(self) -> Row:
        return self._across(0) | {"y2": self.height(self.threshold)}

    def lines(self) -> Iterator[Row]:
        for value in (0, self.most / 2, self.most):
            yield self._across(value) | {"ink": LINE if value else SOFT, "dash": [1, 0]}
        yield self._across(self.threshold) | {"ink": SOFT, "dash": [3, 3]}

    def texts(self) -> Iterator[Row]:
        yield {"kind": "title", "name": self.panel.title, "x": 0, "y": self.top + 9}
        for value in (0, self.most // 2, self.most):
            yield {"kind": "number", "name": str(value), "x": _LEFT - 5, "y": self.height(value)}
        for place, day in self.axis.ticks():
            yield {"kind": "day", "name": day, "x": place, "y": self.height(0) + 10}

    def _across(self, value: float) -> Row:
        return {"x": _LEFT, "x2": WIDTH - _RIGHT, "y": self.height(value), "y2": self.height(value)}


def _squares(rows: Sequence[Row], across: Row, down: Row) -> Iterator[Row]:
    encoding = {
        "x": {"field": "left", **across},
        "x2": {"field": "right"},
        "y": {"field": "top", **down},
        "y2": {"field": "bottom"},
        "fill": {"field": "shade", "type": "nominal", "scale": None},
        **_SAYS,
    }
    few = {"stroke": SOFT, "strokeDash": [3, 3], "strokeWidth": 1}
    for chosen, look in (("!datum.few", {"stroke": SOFT, "strokeWidth": 0.5}), ("datum.few", few)):
        yield {
            "data": {"values": list(rows)},
            "transform": [{"filter": chosen}],
            "mark": {"type": "rect", **look},
            "encoding": encoding,
        }


def _shade(value: int | None, classes: Sequence[int]) -> Row:
    if value is None:
        return {"shade": PAPER, "ink": SOFT, "few": True}
    place = max(number for number, least in enumerate(classes) if value >= least)
    shade, ink = SHADES[place]
    return {"shade": shade, "ink": ink, "few": False}


def _classes(values: Sequence[int], threshold: int) -> list[int]:
    """The least number of each shade: the threshold, and then round numbers up to the greatest value."""
    most = max(values, default=threshold)
    for ladder in _LADDERS:
        steps = (digit * 10**power for power in range(len(str(most))) for digit in ladder)
        found = [threshold, *(least for least in steps if threshold < least <= most)]
        if len(found) <= len(SHADES):
            return found
    return found[: len(SHADES)]


def _legend(legend: Legend, classes: Sequence[int], across: Row, down: Row) -> Iterator[Row]:
    """In the map's empty left, from the row of Ninh Binh downwards."""
    top, step, side = 3.75, 0.42, 0.3
    ends = [*(least - 1 for least in classes[1:]), None]
    names = [
        f"{legend.grouped(least)}–{legend.grouped(most)}" if most else f"≥ {legend.grouped(least)}"
        for least, most in zip(classes, ends, strict=True)
    ]
    looks: list[Row] = [_shade(None, classes), *(_shade(least, classes) for least in classes)]
    rows = [
        {
            "left": 0.05, "right": 0.05 + side, "top": top + step * number, "bottom": top + step * number + side,
            "says": "", "name": name, "x": 0.15 + side, "at": top + step * number + side / 2, **look,
        }
        for number, (name, look) in enumerate(zip([legend.few, *names], looks, strict=True))
    ]  # fmt: skip
    yield from _squares(rows, across, down)
    title = [{"name": legend.title, "x": 0.05, "at": top - 0.3}]
    place = {"x": {"field": "x", **across}, "y": {"field": "at", **down}}
    yield {"data": {"values": rows}, **_text("name", place, align="left", fontSize=11)}
    yield {"data": {"values": title}, **_text("name", place, align="left", fontSize=11, fontWeight="bold")}


def _tile_name(tile: Tile) -> list[str]:
    return [tile.figure.title] if tile.wide > 1 else _lines(tile.figure.title, 7)


def _lines(text: str, most: int) -> list[str]:
    """Broken between words where a line would be longer than `most` letters."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if len(longer) > most and lines[-1]:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def _above(lines: Sequence[str]) -> float:
    """By how many pixels the first line stands above the middle of them all."""
    return (len(lines) - 1) * _LINE / 2
