"""A report on a terminal: each table with its notes. What is piped elsewhere is as wide as it needs to be."""

from io import StringIO

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table as Grid

from syncagent.cli.logs import plain, screen
from syncagent.reports.formats.words import EMPTY, NOTHING, TEXTS, period, said
from syncagent.reports.report import Report, Table

_WIDEST = 10_000


def show(report: Report) -> None:
    """Print a report."""
    console = screen()
    if not console.is_terminal:
        console.width = _WIDEST
    _show(report, console)


def as_text(report: Report) -> str:
    """A report as it is printed, for a file."""
    out = StringIO()
    _show(report, Console(file=out, width=_WIDEST, markup=False, highlight=False, emoji=False, no_color=True))
    return out.getvalue()


def _show(report: Report, console: Console) -> None:
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


def _grid(table: Table, zone: str, console: Console) -> None:
    grid = Grid(title=plain(table.title), title_justify="left")
    for column in table.columns:
        texts = column.kind in TEXTS
        grid.add_column(
            plain(column.title),
            justify="left" if texts else "right",
            no_wrap=column.kind != "text",
            overflow="fold",
            vertical="top",
        )
    for row in table.rows:
        grid.add_row(*(plain(said(cell, column.kind, zone)) for cell, column in zip(row, table.columns, strict=True)))
    if console.width == _WIDEST:
        grid.width = Measurement.get(console, console.options, grid).maximum
    console.print(grid)


def _notes(notes: tuple[str, ...], console: Console) -> None:
    for note in notes:
        console.print(plain(f"* {note}"), soft_wrap=True)
