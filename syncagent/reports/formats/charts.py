"""A table as a drawing: SVG made here, without script, font or style of its own, so that a strict CSP may forbid them.

Widths are shares of the page and letters keep their size: a chart can be read on a phone and on paper. Colours are
`STYLE`'s, in light and in dark, and lines differ by their dashes too. What is unknown leaves a gap.

Why no library draws them: pygal (LGPL-3, 1.3 MB) joins a line over unknown values, shrinks letters with the width and
knows one background only; vl-convert (84 MB) and matplotlib (30 MB and NumPy) paint fixed colours into the picture.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, timedelta
from itertools import pairwise

from msgspec import Struct

from syncagent.handoff.calendar import zone_of
from syncagent.reports.formats.words import known, lasting, markup, said
from syncagent.reports.report import Cell, Column, Kind, Table

_LIGHT = (
    "--ink:#1c2430;--soft:#5b6675;--edge:#d4d9e1;"
    "--c1:#1f5fbf;--c2:#b45309;--c3:#0f766e;--c4:#9d174d;--c5:#6d28d9;--c6:#4d5663"
)
_DARK = (
    "--ink:#e8ecf2;--soft:#a3adba;--edge:#3b4553;"
    "--c1:#7fb0ff;--c2:#f5a524;--c3:#4fd1c5;--c4:#f48fb1;--c5:#b39dff;--c6:#a3adba"
)
STYLE = f"""
.chart{{{_LIGHT};margin:0 0 16px;color:var(--ink);print-color-adjust:exact;-webkit-print-color-adjust:exact}}
@media screen and (prefers-color-scheme:dark){{.chart{{{_DARK}}}}}
.chart .part{{break-inside:avoid}} .chart .panel{{display:flex;margin-bottom:12px}}
.chart .panel svg{{display:block;flex:none;overflow:visible}} .chart .panel svg.area{{flex:1 1 0;min-width:0}}
.chart text{{font:13px system-ui,-apple-system,"Segoe UI",sans-serif;fill:var(--ink);font-variant-numeric:tabular-nums}}
.chart .soft{{fill:var(--soft)}} .chart .small{{font-size:12px}} .chart .grid{{stroke:var(--edge)}}
.chart .more{{display:none}} @media (min-width:760px){{.chart .more{{display:inline}}}}
.chart .zero{{stroke:var(--soft)}} .chart .way{{fill:none;stroke-width:2.5;stroke-linejoin:round;stroke-linecap:round;
vector-effect:non-scaling-stroke}} .chart .between{{opacity:.22}}
.chart .legend{{display:flex;flex-wrap:wrap;gap:4px 20px;margin:0 0 8px;padding:0;list-style:none;font-size:13px}}
.chart .legend svg{{margin-right:6px;vertical-align:middle}} .chart figcaption{{font-size:13px;color:var(--soft)}}
{"".join(f".chart .f{n}{{fill:var(--c{n})}}.chart .s{n}{{stroke:var(--c{n})}}" for n in range(1, 7))}
"""
"""What a page with charts must style them with."""

_MOST = 30
"""Bars that are drawn; the table has all."""
_ROOM = 76.0
"""Percent of the width for the longest bar; what is left is for its number."""
_SHORT = 18
"""Letters of a name that may stand beside its bar."""
_HIGH = 200
_TOP, _FOOT = 10, 26
_LONGEST = 11
"""Letters of a name under an axis."""
_LETTER = 6.8
"""Pixels of a letter under an axis, at most on average."""
_NARROW, _ROOMY = 250, 640
"""Pixels that the area has at least: on a phone, and where the page is 760 wide."""
_HOURS = timedelta(days=3)
"""Moments within so long are told apart by the hour."""
_DASHES = ("", "7 5", "2 5", "12 4 2 4")
_TINY = 1e-9
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class _Series(Struct):
    """One column: its numbers, what each says, and its colour."""

    title: str
    kind: Kind
    color: int
    values: list[float | None]
    told: list[str]


class _Drawn(Struct):
    """What one chart is made of: `xs` as they stand in the table and what they are called, a panel a kind of number."""

    x: Column
    xs: list[Cell]
    names: list[str]
    panels: list[list[_Series]]
    zone: str


def drawn(table: Table, zone: str) -> str:
    """The chart of a table as HTML, styled by `STYLE`; empty where the table has none, or nothing to draw."""
    if table.chart is None:
        return ""
    names = [column.name for column in table.columns]
    x = names.index(table.chart.x)
    timed = table.columns[x].kind in ("day", "moment")
    lines = table.chart.kind == "lines"
    across = lines or (table.chart.kind == "bars" and timed)
    rows = table.rows if across else table.rows[:_MOST]
    panels: dict[Kind, list[_Series]] = {}
    for place, y in enumerate(map(names.index, table.chart.ys)):
        one = _series(table.columns[y], [row[y] for row in rows], place % 6 + 1, zone)
        panels.setdefault(one.kind, []).append(one)
    xs = [row[x] for row in rows]
    made = _Drawn(table.columns[x], xs, _named(table.columns, rows, x, zone), list(panels.values()), zone)
    if not any(value is not None for panel in made.panels for one in panel for value in one.values):
        return ""
    parts = [f'<figure class="chart"><div role="img" aria-label="{markup(_in_words(table, made))}">']
    if table.chart.kind == "funnel":
        parts += ['<div class="part">', *_funnel(made), "</div>"]
    else:
        for panel in made.panels:
            plot = _plot(made, panel, lines=lines) if across else _bars(made, panel)
            parts += ['<div class="part">', *_legend(panel, lines=lines), *plot, "</div>"]
    told = f"<figcaption>Drawn are the first {len(rows):,} of {len(table.rows):,} rows; the table has all.</figcaption>"
    return "".join((*parts, "</div>", told if len(rows) < len(table.rows) else "", "</figure>"))


def _named(columns: Sequence[Column], rows: Sequence[Sequence[Cell]], x: int, zone: str) -> list[str]:
    """What each row is called: its `x`, behind the words before it by which rows differ too, such as the source's."""
    told = [n for n in range(x) if columns[n].kind == "text" and len({row[n] for row in rows}) > 1]
    return [", ".join(said(row[n], columns[n].kind, zone) for n in (*told, x)) for row in rows]


def _series(column: Column, cells: Sequence[Cell], color: int, zone: str) -> _Series:
    values = [float(cell) if isinstance(cell, int | float) and known(cell) else None for cell in cells]
    return _Series(column.title, column.kind, color, values, [said(cell, column.kind, zone) for cell in cells])


def _in_words(table: Table, made: _Drawn) -> str:
    titles = ", ".join(one.title for panel in made.panels for one in panel)
    return f"Chart of {table.title}: {titles} by {made.x.title}. The table below has the figures."


def _legend(panel: Sequence[_Series], *, lines: bool) -> Iterator[str]:
    """Who is who; a single series is named too, for its title is the chart's only axis title."""
    yield '<ul class="legend" aria-hidden="true">'
    for place, one in enumerate(panel):
        mark = (
            f'<line class="way s{one.color}" x1="2" y1="6" x2="26" y2="6" stroke-dasharray="{_DASHES[place % 4]}"/>'
            if lines
            else f'<rect class="f{one.color}" width="28" height="12" rx="2"/>'
        )
        yield f'<li><svg width="28" height="12">{mark}</svg>{markup(one.title)}</li>'
    yield "</ul>"


def _bars(made: _Drawn, panel: Sequence[_Series]) -> Iterator[str]:
    """Lying bars, a group a row; names stand beside them where all are short, else above."""
    aside = max(map(len, made.names), default=0) <= _SHORT
    high, gap, top = 18 if len(panel) == 1 else 15, 10, 0 if aside else 18
    row = top + high * len(panel) + gap
    values = [0.0, *(value for one in panel for value in one.values if value is not None)]
    low, span = min(values), (max(values) - min(values)) or 1.0
    zero = -low / span * _ROOM
    tall = row * len(made.names) - gap
    yield '<div class="panel">'
    if aside:
        yield from _names(made.names, row, high * len(panel))
    yield f'<svg class="area" width="100%" height="{tall}">'
    for n, name in enumerate(made.names):
        if not aside:
            yield f'<text x="0" y="{n * row + 13}">{_titled(name, 46)}</text>'
        if low < 0:
            foot = n * row + top + high * len(panel)
            yield f'<line class="zero" x1="{zero:.2f}%" x2="{zero:.2f}%" y1="{n * row + top - 2}" y2="{foot}"/>'
        for place, one in enumerate(panel):
            y, value = n * row + top + place * high, one.values[n]
            end = zero if value is None else (value - low) / span * _ROOM
            left, right = min(zero, end), max(zero, end)
            if value is not None:
                yield (
                    f'<rect class="f{one.color}" x="{left:.2f}%" y="{y}" width="{right - left:.2f}%" '
                    f'height="{high - 2}" rx="2"><title>{markup(f"{name}, {one.title}: {one.told[n]}")}</title></rect>'
                )
            look = "soft small" if value is None else "small"
            number = f'x="{right:.2f}%" dx="6" y="{y + high / 2 + 3.5:g}">{markup(one.told[n])}'
            yield f'<text class="{look}" {number}</text>'
    yield "</svg></div>"


def _names(names: Sequence[str], row: int, high: int) -> Iterator[str]:
    """A column of names to the left of what they name; as wide as the longest may be."""
    wide = 12 + 7.6 * max(map(len, names), default=0)
    yield f'<svg width="{wide:.0f}" height="{row * len(names)}">'
    for n, name in enumerate(names):
        yield f'<text x="{wide - 10:.0f}" y="{n * row + high / 2 + 3.5:g}" text-anchor="end">{markup(name)}</text>'
    yield "</svg>"


def _funnel(made: _Drawn) -> Iterator[str]:
    """Each step a bar as wide as its first number, and slopes between them; the other numbers are told beside it."""
    first, *others = [one for panel in made.panels for one in panel]
    high, gap = 30, 18
    row, most = high + gap, max((value for value in first.values if value is not None), default=0.0) or 1.0
    wide = [max(value or 0.0, 0.0) / most * 62 for value in first.values]
    tall = row * len(made.names) - gap
    yield from _legend([first], lines=False)
    yield '<div class="panel">'
    yield from _names([name if len(name) <= _SHORT else f"{name[: _SHORT - 1]}…" for name in made.names], row, high)
    yield f'<svg class="area" width="100%" height="{tall}">'
    yield f'<svg width="100%" height="{tall}" viewBox="0 0 100 {tall}" preserveAspectRatio="none">'
    for n, (width, after) in enumerate(pairwise(wide)):
        y = n * row + high
        corners = f"0,{y} {width:.2f},{y} {after:.2f},{y + gap} 0,{y + gap}"
        yield f'<polygon class="f{first.color} between" points="{corners}"/>'
    yield "</svg>"
    for n, name in enumerate(made.names):
        more = [f"{one.title}: {one.told[n]}" for one in others if one.values[n] is not None]
        tip, y = markup("; ".join((f"{name}, {first.title}: {first.told[n]}", *more))), n * row
        at = f'x="0" y="{y}" width="{wide[n]:.2f}%" height="{high}"'
        yield f'<rect class="f{first.color}" {at}><title>{tip}</title></rect>'
        beside = f'x="{wide[n]:.2f}%" dx="8"'
        yield f'<text {beside} y="{y + (13 if more else 20)}">{markup(first.told[n])}</text>'
        if more:
            yield f'<text class="soft small" {beside} y="{y + 28}">{markup(", ".join(more))}</text>'
    yield "</svg></div>"


def _plot(made: _Drawn, panel: Sequence[_Series], *, lines: bool) -> Iterator[str]:
    """Numbers over time or over steps: lines, or standing bars."""
    kind = panel[0].kind
    values = [value for one in panel for value in one.values if value is not None]
    if not values:
        return
    ticks = _ticks(min(0.0, *values), max(0.0, *values), kind)
    places = _places(made, lines=lines)
    scale = (_HIGH - _TOP - _FOOT) / (ticks[-1] - ticks[0])
    labels = [_tick(tick, kind) for tick in ticks]
    wide = 14 + 7.2 * max(map(len, labels))

    def level(value: float) -> float:
        return round(_TOP + (ticks[-1] - value) * scale, 1)

    yield f'<div class="panel"><svg width="{wide:.0f}" height="{_HIGH}">'
    for tick, label in zip(ticks, labels, strict=True):
        at = f'x="{wide - 8:.0f}" y="{level(tick) + 4:.1f}" text-anchor="end"'
        yield f'<text class="soft small" {at}>{markup(label)}</text>'
    yield f'</svg><svg class="area" width="100%" height="{_HIGH}">'
    for tick in ticks:
        look = "grid" if tick else "zero"
        yield f'<line class="{look}" x1="0" x2="100%" y1="{level(tick)}" y2="{level(tick)}"/>'
    yield from _lines(made, panel, places, level) if lines else _columns(made, panel, places, level)
    yield from _dates(made, places)
    yield "</svg></div>"


def _lines(
    made: _Drawn, panel: Sequence[_Series], places: Sequence[float], level: Callable[[float], float]
) -> Iterator[str]:
    yield f'<svg width="100%" height="{_HIGH}" viewBox="0 0 100 {_HIGH}" preserveAspectRatio="none">'
    for place, one in enumerate(panel):
        for run in _runs(one.values):
            points = " ".join(f"{places[n]:.3f},{level(value)}" for n, value in run)
            yield f'<polyline class="way s{one.color}" stroke-dasharray="{_DASHES[place % 4]}" points="{points}"/>'
    yield "</svg>"
    for one in panel:
        for run in _runs(one.values):
            size = 1.5 if len(places) > 60 and len(run) > 1 else 3.5
            for n, value in run:
                tip = markup(f"{made.names[n]}, {one.title}: {one.told[n]}")
                at = f'cx="{places[n]:.3f}%" cy="{level(value)}" r="{size}"'
                yield f'<circle class="f{one.color}" {at}><title>{tip}</title></circle>'


def _columns(
    made: _Drawn, panel: Sequence[_Series], places: Sequence[float], level: Callable[[float], float]
) -> Iterator[str]:
    each = _ROOM / len(places) / len(panel)
    for place, one in enumerate(panel):
        for n, value in enumerate(one.values):
            if value is not None:
                left, (top, foot) = places[n] + (place - len(panel) / 2) * each, sorted((level(value), level(0.0)))
                tip = markup(f"{made.names[n]}, {one.title}: {one.told[n]}")
                at = f'x="{left:.3f}%" y="{top}" width="{each * 0.94:.3f}%" height="{foot - top:.1f}"'
                yield f'<rect class="f{one.color}" {at}><title>{tip}</title></rect>'


def _places(made: _Drawn, *, lines: bool) -> list[float]:
    """Where each x stands, in percent of the width: to scale where they are in order, else side by side."""
    count = len(made.xs)
    if lines:
        found = [one for one in map(_ordinal, made.xs) if one is not None]
        if len(found) == count > 1 and all(one < other for one, other in pairwise(found)):
            return [1.5 + 97 * (one - found[0]) / (found[-1] - found[0]) for one in found]
    return [100 * (n + 0.5) / count for n in range(count)]


def _ordinal(cell: Cell) -> float | None:
    match cell:
        case datetime():
            return cell.timestamp()
        case date():
            return float(cell.toordinal())
        case int() | float() if known(cell):
            return float(cell)
        case _:
            return None


def _dates(made: _Drawn, places: Sequence[float]) -> Iterator[str]:
    """Names under the axis: few enough for a phone, the first and the last among them; more where there is room."""
    names = [_short(made, n) for n in range(len(made.xs))]
    few = _apart(names, places, _NARROW, ())
    for n in _apart(names, places, _ROOMY, few):
        look = "soft small" if n in few else "soft small more"
        at = f'x="{places[n]:.2f}%" y="{_HIGH - 6}" text-anchor="{_lines_up(places[n])}"'
        yield f'<text class="{look}" {at}>{_titled(names[n], _LONGEST)}</text>'


def _apart(names: Sequence[str], places: Sequence[float], wide: float, given: Sequence[int]) -> list[int]:
    """Which of these do not touch each other in an area so wide; those `given`, the first and the last before all."""
    last = len(names) - 1
    chosen: dict[int, tuple[float, float]] = {}
    for n in dict.fromkeys((*given, 0, last, *range(1, last))):
        letters = min(len(names[n]), _LONGEST) + 1  # and a gap
        share = letters * _LETTER / wide * 100
        begin = places[n] - {"start": 0.0, "middle": share / 2, "end": share}[_lines_up(places[n])]
        if all(begin >= end or begin + share <= other for other, end in chosen.values()):
            chosen[n] = (begin, begin + share)
    return list(chosen)


def _lines_up(place: float) -> str:
    return "start" if place < 12 else "end" if place > 88 else "middle"


def _short(made: _Drawn, n: int) -> str:
    cell = made.xs[n]
    if isinstance(cell, datetime):
        cell = cell.astimezone(zone_of(made.zone))
        first, last = made.xs[0], made.xs[-1]
        if isinstance(first, datetime) and isinstance(last, datetime) and abs(last - first) < _HOURS:
            return f"{cell.day} {_MONTHS[cell.month - 1]} {cell:%H:%M}"
    if isinstance(cell, date):
        return f"{cell.day} {_MONTHS[cell.month - 1]} {cell.year % 100:02}"
    return made.names[n]


def _titled(text: str, most: int) -> str:
    """Text of at most so many letters; the whole of it is shown to whoever points at it."""
    if len(text) <= most:
        return markup(text)
    return f"<title>{markup(text)}</title>{markup(text[: most - 1])}…"


def _runs(values: Sequence[float | None]) -> Iterator[list[tuple[int, float]]]:
    """Known values that stand side by side, with their places."""
    run: list[tuple[int, float]] = []
    for n, value in enumerate((*values, None)):
        if value is not None:
            run.append((n, value))
        elif run:
            yield run
            run = []


def _ticks(low: float, high: float, kind: Kind) -> list[float]:
    """Round numbers that hold all values between the first and the last; about four steps."""
    step = _step((high - low) / 4 if high - low > _TINY else 0.25, kind)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [n * step for n in range(first, max(last, first + 1) + 1)]


def _step(least: float, kind: Kind) -> float:
    if kind == "duration" and least <= _STEPS[-1]:
        return float(next(step for step in _STEPS if step >= least))
    unit = 86400.0 if kind == "duration" else 100.0 if kind == "money" else 1.0
    size = 10.0 ** math.floor(math.log10(least / unit))
    found = next((n * size for n in (1, 2, 2.5, 5) if n * size >= least / unit), 10 * size) * unit
    return max(1.0, math.ceil(found)) if kind == "count" else found


def _tick(value: float, kind: Kind) -> str:
    if kind == "share":
        return f"{round(value * 100, 6):g}%"
    if kind == "duration":
        return lasting(value) if value else "0"
    number = value / 100 if kind == "money" else value
    for size, sign in ((1e9, "bn"), (1e6, "m"), (1e3, "k")):
        if abs(number) >= size:
            return f"{round(number / size, 6):g}{sign}"
    return f"{round(number, 6):g}"
