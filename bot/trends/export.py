"""What was released, to be taken along: as CSV and as JSON, each with what its columns mean and with what was promised."""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from typing import Any

from bot.content import Library
from bot.trends.budget import statement
from bot.trends.cells import Cells
from bot.trends.report import Report

COLUMNS = ("period", "from", "to", "table", "cell", "title", "value", "below", "off_by", "epsilon")
COMMENT = "# "  # the lines of a CSV file before its columns


class Export:
    """All that is published, in the words of one language. `quarterly`: whether there are tables of a whole quarter."""

    def __init__(self, report: Report, library: Library, language: str, *, quarterly: bool = True) -> None:
        self._report, self._library, self._language, self._quarterly = report, library, language, quarterly
        self._cells = Cells(library)

    def as_csv(self) -> str:
        """Comments first: the promise, and a line for each column. A number that is not told is an empty `value`."""
        file = io.StringIO()
        told = [*self._promises(), *(f"{name}: {meaning}" for name, meaning in self._dictionary().items())]
        file.writelines(f"{COMMENT}{line}\r\n" for line in told)
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(self.rows())
        return file.getvalue()

    def as_json(self) -> str:
        whole = {"promise": list(self._promises()), "columns": self._dictionary(), "rows": list(self.rows())}
        return f"{json.dumps(whole, ensure_ascii=False, indent=1)}\n"

    def rows(self) -> Iterator[dict[str, Any]]:
        for row in self._report.rows():
            titled = {**row, "title": self.title(str(row["table"]), str(row["cell"]))}
            yield {name: titled[name] for name in COLUMNS}

    def title(self, table: str, cell: str) -> str:
        """A cell that is in no vocabulary any more goes by its name."""
        try:
            return self._cells.title(table, cell, self._language)
        except KeyError:
            return cell

    def _dictionary(self) -> Mapping[str, str]:
        meanings = self._library.trends.export.columns
        return {name: meanings[name].in_language(self._language) for name in COLUMNS}

    def _promises(self) -> Iterator[str]:
        """One for each quarter of which something was released: the whole of it, also of what is still to come."""
        rules, words = self._library.trend_rules, self._library.trends.export
        yield words.about.in_language(self._language).format(threshold=rules.threshold)
        for quarter, profile in dict.fromkeys((one.period.quarter, one.profile) for one in self._report.closings):
            promised = statement(rules, profile, quarter, quarterly=self._quarterly)
            yield words.promise.in_language(self._language).format(
                quarter=quarter.name, once=f"{promised.once:g}", always=f"{promised.always:g}"
            )
