"""A report on a terminal: each table with its notes. What is piped elsewhere is as wide as it needs to be."""

from collections.abc import Iterator, Sequence
from io import StringIO
from textwrap import wrap

from rich.cells import cell_len
from rich.console import Console, JustifyMethod
from rich.measure import Measurement
from rich.table import Table as Grid

from syncagent.cli.logs import plain, screen
from syncagent.reports.formats.words import EMPTY, NOTHING, TEXTS, period, said
from syncagent.reports.report import Column, Report, Table

_WIDEST = 10_000
_WORDS = 16
"""A column of words is never narrower, if it has so many letters."""


def show(report: Report, console: Console | None = None) -> None:
    """Print a report, on standard output unless another console is given."""
    console = console or screen()
    console.print(plain(f"{report.title}. {period(report)}"), soft_wrap=True)
    _notes(report.notes, console)
    if not report.tables:
        console.print(NOTHING)
    for table in report.tables:
        console.print()
        if table.rows:
            draw(table, report.zone, console)
        else:
            console.print(plain(f"{table.title}: {EMPTY}"), soft_wrap=True)
        _notes(table.notes, console)


def as_text(report: Report) -> str:
    """A report as it is printed, for a file."""
    out = StringIO()
    show(report, Console(file=out, markup=False, highlight=False, emoji=False, no_color=True))
    return out.getvalue()


def draw(table: Table, zone: str, console: Console) -> None:
    """Print a table that has rows.

    Where there is little room, heads and words take several lines; numbers and moments always stand on one.
    What is still too wide is cut into several tables, each beginning with the columns that name the row.
    """
    if not console.is_terminal:
        console.width = _WIDEST
    rows = [
        [plain(said(cell, column.kind, zone)) for cell, column in zip(row, table.columns, strict=True)]
        for row in table.rows
    ]
    everything = range(len(table.columns))
    whole = _drawn(table, rows, everything)
    if Measurement.get(console, console.options.update_width(_WIDEST), whole).maximum <= console.width:
        console.print(whole)
        return
    least = [_least(column, [row[n] for row in rows]) for n, column in enumerate(table.columns)]
    room = console.width
    for n, part in enumerate(_parts(table.columns, least, room)):
        # A column that alone is wider than the screen is broken by it: nothing is cut off.
        console.width = max(room, sum(least[one] + 3 for one in part) + 1)
        console.print(_drawn(table, rows, part, _spread(table, rows, part, least, room), titled=n == 0))
        console.width = room


def _drawn(
    table: Table, rows: list[list[str]], part: Sequence[int], least: Sequence[int] = (), *, titled: bool = True
) -> Grid:
    """These columns of a table; with `least`, numbers are just as wide as they need to be, and words at least so."""
    grid = Grid(title=plain(table.title) if titled else None, title_justify="left")
    for n in part:
        column = table.columns[n]
        justify: JustifyMethod = "left" if column.kind in TEXTS else "right"
        grid.add_column(plain(column.title), justify=justify, overflow="fold")
        if least and column.kind == "text":
            grid.columns[-1].min_width = least[n]
        elif least:
            grid.columns[-1].width = least[n]
    for row in rows:
        grid.add_row(*(row[n] for n in part))
    return grid


def _least(column: Column, cells: list[str]) -> int:
    """How narrow a column may be: no number, no moment and no word of the head is broken."""
    longest = max(map(cell_len, cells))
    return max(
        min(longest, _WORDS) if column.kind == "text" else longest, *map(cell_len, plain(column.title).split()), 1
    )


def _spread(table: Table, rows: list[list[str]], part: Sequence[int], least: Sequence[int], room: int) -> list[int]:
    """The widths, with what room is left given to the columns whose heads stand on most lines."""
    widths, titles = list(least), [plain(column.title) for column in table.columns]
    words = {n: max(cell_len(row[n]) for row in rows) for n in part if table.columns[n].kind == "text"}
    left = room - 1 - sum(max(widths[n], words.get(n, 0)) + 3 for n in part)
    while left > 0:
        tall = max(part, key=lambda n: _lines(titles[n], widths[n]))
        title, width = titles[tall], widths[tall]
        more = next((more for more in range(1, left + 1) if _lines(title, width + more) < _lines(title, width)), 0)
        if not more:
            break
        widths[tall] += more
        left -= more
    return widths


def _lines(title: str, width: int) -> int:
    return len(wrap(title, width))


def _parts(columns: Sequence[Column], least: Sequence[int], room: int) -> Iterator[list[int]]:
    """The columns' numbers, in as few tables as have room; the first column, and texts beside it, stand in each."""
    named = [0]
    while len(named) < len(columns) - 1 and columns[len(named)].kind in TEXTS and columns[0].kind in TEXTS:
        named.append(len(named))
    while len(named) > 1 and sum(least[n] + 3 for n in named) > room // 2:
        named.pop()
    part = list(named)
    for n in range(len(named), len(columns)):
        if len(part) > len(named) and sum(least[one] + 3 for one in (*part, n)) + 1 > room:
            yield part
            part = list(named)
        part.append(n)
    yield part


def _notes(notes: tuple[str, ...], console: Console) -> None:
    for note in notes:
        console.print(plain(f"* {note}"), soft_wrap=True)
