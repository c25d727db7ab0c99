"""What was released, to be taken along: every number as CSV, the same with all that explains it as JSON, and the dictionary as a CSV of its own."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from bot.content import Library
from bot.trends.budget import Statement
from bot.trends.reading import Reading
from bot.trends.report import Closing, Report

COLUMNS = ("period", "from", "to", "table", "cell", "value", "below", "off_by", "epsilon", "title")
LANGUAGES = ("vi", "en")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # by which a table program would begin to compute

Row = Mapping[str, Any]


class Export:
    """Files of one content. The same releases give the same bytes."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._readings = {language: Reading(library, language) for language in LANGUAGES}

    def as_csv(self, report: Report, language: str) -> bytes:
        """A line a number, with the cell's name for people at its end; what is not told is an empty `value`."""
        return _csv(COLUMNS, self._rows(report, language))

    def as_json(self, report: Report, promised: Statement | None) -> bytes:
        """The numbers with dictionary, privacy statement and periods, in both languages."""
        whole = {
            "about": self._in_both("about"),
            "privacy": {
                "unit": "account",
                "delta": 0,
                "per": "quarter",
                "epsilon_once": promised.once if promised else None,
                "epsilon_always": promised.always if promised else None,
                **{language: reading.promise(promised) for language, reading in self._readings.items()},
            },
            "how": {language: reading.how() for language, reading in self._readings.items()},
            "dictionary": list(self._dictionary()),
            "periods": [_told(closing) for closing in report.closings],
            "rows": list(report.rows()),
        }
        return json.dumps(whole, ensure_ascii=False, indent=1).encode()

    def dictionary_as_csv(self) -> bytes:
        return _csv(("kind", "table", "name", *LANGUAGES), self._dictionary())

    def _rows(self, report: Report, language: str) -> Iterator[Row]:
        reading = self._readings[language]
        for row in report.rows():
            yield {**row, "title": reading.title_of(str(row["table"]), str(row["cell"]))}

    def _dictionary(self) -> Iterator[Row]:
        """What the file, each column, each table and each cell of one part is; crossed tables are made of those."""
        yield {"kind": "file", "table": "", "name": "csv", **self._in_both("format")}
        for column in COLUMNS:
            yield {"kind": "column", "table": "", "name": column, **self._in_both(f"column_{column}")}
        cells = self._readings["vi"].cells
        for table in cells.of:
            yield {"kind": "table", "table": table, "name": table, **self._in_both(table)}
        for table, names in ({**cells.of, "region": tuple(one.id for one in self._library.trends.regions)}).items():
            for name in names if "_" not in table else ():
                titles = {language: cells.title(table, name, language) for language in LANGUAGES}
                yield {"kind": "cell", "table": table, "name": name, **titles}

    def _in_both(self, name: str) -> dict[str, str]:
        return {language: reading.words[name] for language, reading in self._readings.items()}


def _told(closing: Closing) -> Row:
    return {
        "period": closing.period.name,
        "from": closing.begun_on.isoformat(),
        "profile": closing.profile,
        "tables": dict(closing.tables),
        "whole": closing.whole,
        "lost": closing.lost,
    }


def _csv(columns: tuple[str, ...], rows: Iterable[Row]) -> bytes:
    """With the mark by which table programs see that it is UTF-8; no text in it begins like a formula."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows([_tame(row[column]) for column in columns] for row in rows)
    return file.getvalue().encode("utf-8-sig")


def _tame(value: object) -> object:
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return "" if value is None else value
