"""A report on a terminal: each table with its notes. What is piped elsewhere is as wide as it needs to be."""

from io import StringIO

from rich.cells import cell_len
from rich.console import Console, JustifyMethod
from rich.measure import Measurement
from rich.table import Table as Grid

from syncagent.cli.logs import plain, screen
from syncagent.reports.formats.words import EMPTY, NOTHING, TEXTS, period, said
from syncagent.reports.report import Report, Table

_WIDEST = 10_000
_WORDS = 16
"""A column of words is never narrower, if it has so many letters."""


def show(report: Report, console: Console | None = None) -> None:
    """Print a report, on standard output unless another console is given."""
    console = console or screen()
    if not console.is_terminal:
        console.width = _WIDEST
    console.print(plain(f"{report.title}. {period(report)}"), soft_wrap=True)
    _notes(report.notes, console)
    if not report.tables:
        console.print(NOTHING)
    for table in report.tables:
        console.print()
        if table.rows:
            _grid(table, report.zone, console)
        else:
            console.print(plain(f"{table.title}: {EMPTY}"), soft_wrap=True)
        _notes(table.notes, console)


def as_text(report: Report) -> str:
    """A report as it is printed, for a file."""
    out = StringIO()
    show(report, Console(file=out, markup=False, highlight=False, emoji=False, no_color=True))
    return out.getvalue()


def _grid(table: Table, zone: str, console: Console) -> None:
    """Where there is little room, heads and words take several lines; numbers and moments always stand on one."""
    rows = [
        [plain(said(cell, column.kind, zone)) for cell, column in zip(row, table.columns, strict=True)]
        for row in table.rows
    ]
    grid = Grid(title=plain(table.title), title_justify="left")
    for column in table.columns:
        justify: JustifyMethod = "left" if column.kind in TEXTS else "right"
        grid.add_column(plain(column.title), justify=justify, overflow="fold")
    for row in rows:
        grid.add_row(*row)
    whole = Measurement.get(console, console.options.update_width(_WIDEST), grid).maximum
    if whole > console.width:
        needed = 1
        for n, (shown, column) in enumerate(zip(grid.columns, table.columns, strict=True)):
            longest = max(cell_len(row[n]) for row in rows)
            if column.kind == "text":
                shown.min_width = min(longest, _WORDS)
            else:
                shown.width = max(longest, *(cell_len(word) for word in plain(column.title).split()), 1)
            needed += (shown.width or shown.min_width or 0) + 3
        room = console.width
        console.width = max(room, needed)  # what is still too wide the screen breaks: nothing is cut off
        console.print(grid)
        console.width = room
    else:
        console.print(grid)


def _notes(notes: tuple[str, ...], console: Console) -> None:
    for note in notes:
        console.print(plain(f"* {note}"), soft_wrap=True)
