"""A table as a drawing: pygal draws it as SVG for each of three widths, and `STYLE` shows the one that fits the page.

What pygal brings of script, style and ids is taken off, so that a strict CSP may forbid them, and a series is named by
our classes: colours are `STYLE`'s, in light and in dark, and lines differ by their dashes too. Letters keep about their
size at every width, so a chart can be read on a phone and on paper. What is unknown leaves a gap.
"""

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, tostring

from msgspec import Struct

from syncagent.reports.formats.axis import LONGEST, apart, bounds, places, short, tick, ticks, wide
from syncagent.reports.formats.words import known, markup, readable, said
from syncagent.reports.report import Cell, Column, Kind, Table

if TYPE_CHECKING:
    from pygal.graph.graph import Graph

_LIGHT = (
    "--ink:#1c2430;--soft:#5b6675;--edge:#d4d9e1;"
    "--c1:#1f5fbf;--c2:#b45309;--c3:#0f766e;--c4:#9d174d;--c5:#6d28d9;--c6:#4d5663"
)
_DARK = (
    "--ink:#e8ecf2;--soft:#a3adba;--edge:#3b4553;"
    "--c1:#7fb0ff;--c2:#f5a524;--c3:#4fd1c5;--c4:#f48fb1;--c5:#b39dff;--c6:#a3adba"
)
_DASHES = ("none", "7 5", "1 6", "12 5 2 5")
_COLORS = range(1, 7)
STYLE = f"""
.chart{{{_LIGHT};margin:0 0 16px;color:var(--ink);print-color-adjust:exact;-webkit-print-color-adjust:exact}}
@media screen and (prefers-color-scheme:dark){{.chart{{{_DARK}}}}}
.chart .part{{break-inside:avoid;margin-bottom:14px}}
.chart .drawn{{display:none;width:100%;height:auto;overflow:visible}} .chart .slim{{max-width:440px}}
.chart .middle{{max-width:800px}} @media (max-width:619px){{.chart .slim{{display:block}}}}
@media (min-width:620px) and (max-width:999px){{.chart .middle{{display:block}}}}
@media (min-width:1000px){{.chart .broad{{display:block}}}}
.chart text{{font:13px system-ui,-apple-system,"Segoe UI",sans-serif;fill:var(--ink);font-variant-numeric:tabular-nums}}
.chart .axis text{{fill:var(--soft)}} .chart .lying .axis text{{fill:var(--ink)}} .chart .y text{{text-anchor:end}}
.chart .x text{{text-anchor:middle}} .chart svg:not(.lying) .x path{{display:none}}
.chart .lying{{clip-path:inset(0 -60px)}}
.chart .line{{stroke:var(--soft)}} .chart .guide{{stroke:var(--edge)}}
.chart .series .line{{fill:none;stroke-width:2.5;stroke-linejoin:round;stroke-linecap:round}}
.chart .legend{{display:flex;flex-wrap:wrap;gap:4px 20px;margin:0 0 6px;padding:0;list-style:none;font-size:13px}}
.chart .legend svg{{margin-right:6px;vertical-align:middle}} .chart figcaption{{font-size:13px;color:var(--soft)}}
{"".join(f".chart .c{n} :is(rect,circle){{fill:var(--c{n})}}.chart .c{n} .line{{stroke:var(--c{n})}}" for n in _COLORS)}
{"".join(f".chart .d{n} .line{{stroke-dasharray:{dash}}}" for n, dash in enumerate(_DASHES))}
"""
"""What a page with charts must style them with."""

_MOST = 30
"""Bars that are drawn; the table has all."""
_WIDTHS = {"slim": 340, "middle": 660, "broad": 1080}
"""Pixels of a drawing, which the page scales a little: on a phone, on paper, on a screen."""
_HIGH, _RIGHT = 200, 36
"""Pixels of a chart with an axis, and those right of it for half of the last name."""
_BAR, _BETWEEN = 19, 9
_ASIDE = 0.4
"""How much of the width names may take beside their bars; longer ones stand above them."""
_WORDS = 0.8
"""How much of it names and numbers may take together; the bars have the rest."""
_EDGE = 0.02
"""What pygal leaves free on each side of what it plots, as a part of that."""
_LETTER, _SPACING = 7.8, 10
"""What pygal leaves for a letter of 13 pixels, and between names and what they name."""
_NAMES = "names"
"""The class of a series that is there for the names that it prints."""
_NUMBER = re.compile(r"-?\d+\.\d+")


class _Series(Struct):
    """One column: its numbers, what each says, and its colour."""

    title: str
    kind: Kind
    color: int
    values: list[float | None]
    told: list[str]


class _Rows(Struct):
    """What the series are drawn over: the cells as they stand in the table, and what their rows are called."""

    cells: list[Cell]
    names: list[str]
    zone: str


def drawn(table: Table, zone: str) -> str:
    """The chart of a table as HTML, styled by `STYLE`; empty where the table has none, or nothing to draw."""
    if table.chart is None:
        return ""
    columns = {column.name: n for n, column in enumerate(table.columns)}
    x = columns[table.chart.x]
    lines = table.chart.kind == "lines"
    across = lines or (table.chart.kind == "bars" and table.columns[x].kind in ("day", "moment"))
    kept = table.rows if across else table.rows[:_MOST]
    panels: dict[Kind, list[_Series]] = {}
    for place, y in enumerate(table.chart.ys):
        one = _series(table.columns[columns[y]], [row[columns[y]] for row in kept], place, zone)
        panels.setdefault(one.kind, []).append(one)
    rows = _Rows([row[x] for row in kept], _named(table.columns, kept, x, zone), zone)
    parts = []
    for panel in panels.values():
        if any(value is not None for one in panel for value in one.values):
            parts += ['<div class="part">', *_legend(panel, lines=lines)]
            for look, width in _WIDTHS.items():
                chart = _across(rows, panel, look, width, lines=lines) if across else _bars(rows, panel, look, width)
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
    return [readable(", ".join(said(row[n], columns[n].kind, zone) for n in (*told, x))) for row in rows]


def _series(column: Column, cells: Sequence[Cell], place: int, zone: str) -> _Series:
    values = [float(cell) if isinstance(cell, int | float) and known(cell) else None for cell in cells]
    told = [said(cell, column.kind, zone) for cell in cells]
    return _Series(readable(column.title), column.kind, _COLORS[place % len(_COLORS)], values, told)


def _legend(panel: Sequence[_Series], *, lines: bool) -> Iterator[str]:
    """Who is who; a single series is named too, for its title is the chart's only axis title."""
    yield '<ul class="legend" aria-hidden="true">'
    mark = '<path class="line" d="M2 6h24"/>' if lines else '<rect width="28" height="12" rx="2"/>'
    for one, look in zip(panel, _looks(panel), strict=True):
        yield f'<li><svg class="series {look}" width="28" height="12">{mark}</svg>{markup(one.title)}</li>'
    yield "</ul>"


def _looks(panel: Sequence[_Series]) -> list[str]:
    return [f"c{one.color} d{n % len(_DASHES)}" for n, one in enumerate(panel)]


def _bars(rows: _Rows, panel: Sequence[_Series], look: str, width: int) -> str:
    """Lying bars, a group a row; names stand beside them where all are short, else above, as a series of their own."""
    low, high = bounds(value for one in panel for value in one.values)
    beside = max(map(wide, rows.names))
    number = max(wide(told) for one in panel for told in one.told) + _SPACING
    sides = 2 if low < 0 else 1
    aside = beside <= _ASIDE * width and beside + number * sides <= _WORDS * width
    share = min(number * sides / (width - (beside if aside else 0)), _WORDS)
    room = (high - low) * share / (1 - share) / sides
    height = len(rows.names) * (_BAR * (len(panel) + (not aside)) + _BETWEEN)
    chart = _pygal(
        "HorizontalBar",
        width=width,
        height=height,
        range=(low - room if low < 0 else low, high + room),
        x_labels=rows.names[::-1],  # from below
        show_y_labels=aside,
        show_x_labels=aside,  # a line at zero, which would stand in names above the bars
        y_labels=[0],
        value_formatter=lambda _: "",
        margin_left=beside - 5 - _LETTER * max(map(len, rows.names)) if aside else -_EDGE * width,
        margin_right=-_EDGE * width,
        margin_top=-_EDGE * height,
        margin_bottom=-_EDGE * height - (_SPACING + 13 if aside else 0),  # such an axis has no words
        rounded_bars=2,
        print_values=True,
        print_values_position="top",
    )
    if not aside:
        most = int(width / _LETTER)
        names = [name if len(name) <= most else f"{name[: most - 1]}…" for name in rows.names]
        chart.add("", [_point(0, name) for name in names[::-1]])
    for one in panel:
        chart.add(one.title, _points(rows, one, one.values)[::-1])
    return _dressed(chart, f"lying {look}", [*([] if aside else [_NAMES]), *_looks(panel)])


def _across(rows: _Rows, panel: Sequence[_Series], look: str, width: int, *, lines: bool) -> str:
    """Numbers over time or over steps: lines, or standing bars."""
    kind = panel[0].kind
    levels = ticks(*bounds(value for one in panel for value in one.values), kind)
    area = width - _RIGHT - _SPACING - _LETTER * max(len(tick(level, kind)) for level in levels)
    at = places(rows.cells, to_scale=lines)
    names = apart(short(rows.names, rows.cells, rows.zone), at, area)
    chart = _pygal(
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
    return _dressed(chart, look, _looks(panel))


def _pygal(kind: str, **options: object) -> "Graph":
    """An empty chart. pygal is loaded here; it writes with Python's own XML, for with lxml it writes otherwise."""
    import pygal
    from pygal.etree import etree

    etree.to_etree()
    letters = pygal.style.Style(label_font_size=13, major_label_font_size=13, value_font_size=13)
    return getattr(pygal, kind)(
        style=letters, js=(), css=(), classes=(), no_prefix=True, show_legend=False, margin=0, **options
    )


def _points(rows: _Rows, one: _Series, values: Sequence[object]) -> list[dict[str, object]]:
    named = zip(values, one.told, rows.names, strict=True)
    return [_point(value, told, tooltip=f"{name}, {one.title}: {readable(told)}") for value, told, name in named]


def _point(value: object, told: str, **more: str) -> dict[str, object]:
    """A value as pygal takes it, with what it prints beside it and what is told to whoever points at it."""
    return {"value": value, "formatter": lambda _: told, **more}


def _dressed(chart: "Graph", look: str, series: Sequence[str]) -> str:
    """What pygal drew, without what a CSP forbids and what nobody sees; each series with the classes given for it."""
    root = chart.render_tree()
    _strip(root)
    for group in root.iter("g"):
        if found := re.match(r"series serie-(\d+)", group.get("class", "")):
            group.set("class", f"series {series[int(found[1])]}")
            for text in group.iter("text"):
                text.set("text-anchor", "end" if (text.text or "").startswith("-") else "start")
                if series[int(found[1])] == _NAMES:
                    text.attrib.update({"text-anchor": "start", "x": str(_EDGE * chart.config.width)})
    for node in root.iter():
        unused = ("id", "style", "class") if node.tag in ("rect", "circle", "text") else ("id", "style")
        kept = {name: value for name, value in node.attrib.items() if name not in unused}
        node.attrib = {name: _NUMBER.sub(_rounded, value) for name, value in kept.items()}
    root.set("class", f"drawn {look}")
    return tostring(root, encoding="unicode")


def _strip(node: Element) -> None:
    for child in list(node):
        _strip(child)
        if (
            child.tag not in ("g", "path", "rect", "circle", "text", "title")
            or (child.tag == "g" and not len(child))
            or (child.tag == "text" and not child.text)
            or (child.tag == "title" and node.get("class") not in ("bar", "dots"))
            or child.get("class") in ("background", "tooltip-box")
        ):
            node.remove(child)


def _rounded(number: re.Match[str]) -> str:
    return f"{round(float(number[0]), 1) + 0:g}"
