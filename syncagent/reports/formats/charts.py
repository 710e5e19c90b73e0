"""A table as a drawing: pygal draws it as SVG for each of three widths, and the page shows the one that fits.

Letters keep about their size at every width, so a chart can be read on a phone and on paper. What is unknown leaves a
gap. `dressing` takes off what a strict CSP forbids, and has the style.
"""

from collections.abc import Iterator, Sequence

from msgspec import Struct

from syncagent.reports.formats.axis import LONGEST, apart, bounds, places, short, tick, ticks, wide, within
from syncagent.reports.formats.dressing import EDGE, NAMES, WIDTHS, blank, dressed, look
from syncagent.reports.formats.words import DASH, UNKNOWN, known, markup, readable, said
from syncagent.reports.report import Cell, Column, Kind, Table

_MOST = 30
"""Bars that are drawn; the table has all."""
_HIGH, _RIGHT = 200, 36
"""Pixels of a chart with an axis, and those right of it for half of the last name."""
_BAR, _BETWEEN = 19, 9
_ASIDE = 0.4
"""How much of the width names may take beside their bars; longer ones stand above them."""
_WORDS = 0.8
"""How much of it names and numbers may take together; the bars have the rest."""
_LETTER, _SPACING = 7.8, 10
"""What pygal leaves for a letter of 13 pixels, and between names and what they name."""


class _Series(Struct):
    """One column: its numbers, what each says, and its place among all that are drawn."""

    title: str
    kind: Kind
    place: int
    values: list[float | None]
    told: list[str]


class _Rows(Struct):
    """What the series are drawn over: the cells as they stand in the table, and what their rows are called."""

    cells: list[Cell]
    names: list[str]
    zone: str
    kind: Kind


def drawn(table: Table, zone: str) -> str:
    """The chart of a table as HTML, styled by `dressing.STYLE`; empty where the table has none, or nothing to draw."""
    if table.chart is None:
        return ""
    columns = {column.name: n for n, column in enumerate(table.columns)}
    x = columns[table.chart.x]
    lines = table.chart.kind == "lines"
    across = lines or (table.chart.kind == "bars" and table.columns[x].kind in ("day", "month", "moment"))
    kept = table.rows if across else table.rows[:_MOST]
    panels: dict[Kind, list[_Series]] = {}
    for place, y in enumerate(table.chart.ys):
        one = _series(table.columns[columns[y]], [row[columns[y]] for row in kept], place, zone)
        panels.setdefault(one.kind, []).append(one)
    rows = _Rows([row[x] for row in kept], _named(table.columns, kept, x, zone), zone, table.columns[x].kind)
    parts = []
    for panel in panels.values():
        if any(value is not None for one in panel for value in one.values):
            parts += ['<div class="part">', *_legend(panel, lines=lines)]
            for size, width in WIDTHS.items():
                chart = _across(rows, panel, size, width, lines=lines) if across else _bars(rows, panel, size, width)
                parts.append(chart)
            parts.append("</div>")
    if not parts:
        return ""
    titles = ", ".join(one.title for panel in panels.values() for one in panel)
    words = f"Chart of {table.title}: {titles} by {table.columns[x].title}. The table below has the figures."
    parts = ['<figure class="chart">', f'<div role="img" aria-label="{markup(words)}">', *parts, "</div>"]
    if len(kept) < len(table.rows):
        told = f"Drawn are the first {len(kept):,} of {len(table.rows):,} rows; the table has all."
        parts.append(f"<figcaption>{told}</figcaption>")
    return "".join((*parts, "</figure>"))


def _named(columns: Sequence[Column], rows: Sequence[Sequence[Cell]], x: int, zone: str) -> list[str]:
    """What each row is called: its `x`, behind the words before it by which rows differ too, such as the source's."""
    told = [n for n in range(x) if columns[n].kind == "text" and len({row[n] for row in rows}) > 1]
    called = ([said(row[n], columns[n].kind, zone) for n in (*told, x)] for row in rows)
    return [readable(", ".join(UNKNOWN if one == DASH else one for one in named)) for named in called]


def _series(column: Column, cells: Sequence[Cell], place: int, zone: str) -> _Series:
    values = [float(cell) if isinstance(cell, int | float) and known(cell) else None for cell in cells]
    told = [said(cell, column.kind, zone) for cell in cells]
    return _Series(readable(column.title), column.kind, place, values, told)


def _legend(panel: Sequence[_Series], *, lines: bool) -> Iterator[str]:
    """Who is who; a single series is named too, for its title is the chart's only axis title."""
    yield '<ul class="legend" aria-hidden="true">'
    mark = '<path class="line" d="M2 6h24"/>' if lines else '<rect width="28" height="12" rx="2"/>'
    for one, worn in zip(panel, _looks(panel), strict=True):
        yield f'<li><svg class="series {worn}" width="28" height="12">{mark}</svg>{markup(one.title)}</li>'
    yield "</ul>"


def _looks(panel: Sequence[_Series]) -> list[str]:
    return [look(one.place, n) for n, one in enumerate(panel)]


def _bars(rows: _Rows, panel: Sequence[_Series], size: str, width: int) -> str:
    """Lying bars, a group a row; names stand beside them where all are short, else above, as a series of their own."""
    low, high = bounds(value for one in panel for value in one.values)
    beside = max(map(wide, rows.names))
    number = max(wide(told) for one in panel for told in one.told) + _SPACING
    sides = 2 if low < 0 else 1
    aside = beside <= _ASIDE * width and beside + number * sides <= _WORDS * width
    share = min(number * sides / (width - (beside if aside else 0)), _WORDS)
    room = (high - low) * share / (1 - share) / sides
    height = len(rows.names) * (_BAR * (len(panel) + (not aside)) + _BETWEEN)
    chart = blank(
        "HorizontalBar",
        width=width,
        height=height,
        range=(low - room if low < 0 else low, high + room),
        x_labels=rows.names[::-1],  # from below
        show_y_labels=aside,
        show_x_labels=aside,  # a line at zero, which would stand in names above the bars
        y_labels=[0],
        value_formatter=lambda _: "",
        margin_left=beside - 5 - _LETTER * max(map(len, rows.names)) if aside else -EDGE * width,
        margin_right=-EDGE * width,
        margin_top=-EDGE * height,
        margin_bottom=-EDGE * height - (_SPACING + 13 if aside else 0),  # such an axis has no words
        rounded_bars=2,
        print_values=True,
        print_values_position="top",
    )
    if not aside:
        chart.add("", [_point(0, within(name, width)) for name in rows.names[::-1]])
    for one in panel:
        chart.add(one.title, _points(rows, one, one.values)[::-1])
    return dressed(chart, f"lying {size}", [*([] if aside else [NAMES]), *_looks(panel)])


def _across(rows: _Rows, panel: Sequence[_Series], size: str, width: int, *, lines: bool) -> str:
    """Numbers over time or over steps: lines, or standing bars."""
    kind = panel[0].kind
    levels = ticks(*bounds(value for one in panel for value in one.values), kind)
    area = width - _RIGHT - _SPACING - _LETTER * max(len(tick(level, kind)) for level in levels)
    at = places(rows.cells, to_scale=lines)
    names = apart(short(rows.names, rows.cells, rows.zone, months=rows.kind == "month"), at, area)
    chart = blank(
        "XY" if lines else "Bar",
        width=width,
        height=_HIGH,
        range=(levels[0], levels[-1]),
        xrange=(0, 100),
        x_labels=[{"value": at[n], "label": names[n]} for n in names]
        if lines
        else [names.get(n, "") for n in range(len(at))],
        y_labels=levels,
        value_formatter=lambda level: tick(level, kind),
        truncate_label=LONGEST,
        allow_interruptions=True,
        dots_size=1.5 if len(at) > 60 else 3.5,
        margin_right=_RIGHT,
    )
    for one in panel:
        chart.add(one.title, _points(rows, one, list(zip(at, one.values, strict=True)) if lines else one.values))
    return dressed(chart, size, _looks(panel))


def _points(rows: _Rows, one: _Series, values: Sequence[object]) -> list[dict[str, object]]:
    named = zip(values, one.told, rows.names, strict=True)
    return [_point(value, told, tooltip=f"{name}, {one.title}: {readable(told)}") for value, told, name in named]


def _point(value: object, told: str, **more: str) -> dict[str, object]:
    """A value as pygal takes it, with what it prints beside it and what is told to whoever points at it."""
    return {"value": value, "formatter": lambda _: told, **more}
