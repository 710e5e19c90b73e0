"""A report for programs: JSON of the whole, CSV of one table. The numbers are exact, and no text becomes a formula.

| kind              | JSON                              | CSV                  |
| ----------------- | --------------------------------- | -------------------- |
| count             | whole number                      | the same             |
| share             | 0 to 1                            | the same             |
| points, ratio     | number                            | the same             |
| money             | hundredths, a whole number        | decimal, two places  |
| duration          | seconds                           | seconds              |
| moment            | ISO 8601, UTC                     | the same             |
| day               | ISO 8601, in the report's zone    | the same             |
| month             | its first day                     | the same             |
| unknown           | null                              | empty                |
"""

import csv
import io
import json
from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Any

from syncagent.reports.formats.words import decimal, known, whole
from syncagent.reports.report import Cell, Column, Kind, Report, Table

UNITS: dict[Kind, str] = {"money": "hundredths", "duration": "seconds", "share": "0 to 1"}
_BEGINS = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def as_json(report: Report) -> str:
    """The whole report; each row is an object, by the names of its columns."""
    told = {
        "name": report.name,
        "title": report.title,
        "at": plain(report.at),
        "zone": report.zone,
        "since": plain(report.since),
        "until": plain(report.until),
        "notes": report.notes,
        "tables": [_table(one) for one in report.tables],
    }
    return whole(json.dumps(told, ensure_ascii=False, allow_nan=False))


def _table(table: Table) -> dict[str, Any]:
    names = [column.name for column in table.columns]
    return {
        "name": table.name,
        "title": table.title,
        "columns": [_column(column) for column in table.columns],
        "rows": [dict(zip(names, map(plain, row), strict=True)) for row in table.rows],
        "notes": table.notes,
    }


def _column(column: Column) -> dict[str, str]:
    told = {"name": column.name, "title": column.title, "kind": column.kind}
    return told | ({"unit": UNITS[column.kind]} if column.kind in UNITS else {})


def plain(cell: Cell) -> Cell:
    """A cell as JSON can hold it."""
    if not known(cell):
        return None
    if isinstance(cell, datetime):
        return cell.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return cell.isoformat() if isinstance(cell, date) else cell


def as_csv(table: Table) -> str:
    """One table, its first row the columns' names. A text that a spreadsheet would take for a formula gets a `'`."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([_harmless(column.name) for column in table.columns])
    writer.writerows(_cells(table.columns, row) for row in table.rows)
    return out.getvalue()


def _cells(columns: Iterable[Column], row: Iterable[Cell]) -> list[object]:
    return [_cell(cell, column.kind) for column, cell in zip(columns, row, strict=True)]


def _cell(cell: Cell, kind: Kind) -> object:
    if not known(cell):
        return ""
    if kind == "money" and isinstance(cell, int):
        return decimal(cell)
    told = plain(cell)
    return _harmless(told) if isinstance(told, str) else told


def _harmless(text: str) -> str:
    """A spreadsheet looks past blanks, and full-width signs begin formulas too. Line breaks are those that end rows."""
    text = whole(text).replace("\r\n", "\n").replace("\r", "\n")
    return f"'{text}" if text.lstrip().startswith(_BEGINS) or text[:1] in ("\t", "\n") else text
