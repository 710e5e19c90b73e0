"""What every report is: tables with typed columns, which one writer a format (`reports/formats`) and the pages show."""

from datetime import datetime
from typing import Literal

from msgspec import Struct

Kind = Literal["text", "count", "share", "points", "ratio", "money", "duration", "moment", "day", "month"]
"""How a cell is meant, and what it holds when it is not None (unknown, shown as a dash and never as 0):

text str · count int · share float, 0 to 1 · points and ratio float · money int, hundredths of the currency that the
column's title names · duration float, seconds · moment datetime, UTC · day date, in the report's zone · month date, the
first day of it.
"""
Cell = object


class Column(Struct, frozen=True):
    """`name` for programs (snake_case, never changed once published), `title` for people."""

    name: str
    title: str
    kind: Kind = "text"


class Chart(Struct, frozen=True):
    """How a table is drawn: the columns `ys` over the column `x`, all by name."""

    kind: Literal["bars", "lines", "funnel"]
    x: str
    ys: tuple[str, ...]


class Table(Struct, frozen=True):
    """`rows` hold a cell for each column. `notes` are sentences: what is left out, cut off, not mature."""

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()
    chart: Chart | None = None


class Report(Struct, frozen=True):
    """`since` (included) and `until` (excluded) bound what counts, None where nobody asked; `zone` cuts the days."""

    name: str
    title: str
    at: datetime
    zone: str
    tables: tuple[Table, ...]
    since: datetime | None = None
    until: datetime | None = None
    notes: tuple[str, ...] = ()


class Ask(Struct, frozen=True):
    """What a report is asked for. `by`: the one cut, such as "source", or "" for the whole; `at`: now."""

    at: datetime
    zone: str
    since: datetime | None = None
    until: datetime | None = None
    by: str = ""
