"""The process map as a picture: one SVG without anything from outside, readable in light and dark.

Every name comes from a config or a CRM, and is escaped; what no XML may hold is left out.
"""

from collections.abc import Iterable

from syncagent.reports.formats.words import markup
from syncagent.reports.process import Arrow, Box, Picture, lasted

_W, _H, _GAP, _ROW, _TOP, _LEFT = 146, 138, 48, 252, 150, 24
_LEAST = 900
"""As wide as what is said above the boxes."""
_PLACES = {
    "suspect": (0, 0),
    "prospect": (1, 0),
    "mql": (2, 0),
    "sal": (3, 0),
    "sql": (4, 0),
    "opportunity": (5, 0),
    "won": (6, 0),
    "customer": (7, 0),
    "recycled": (2, 1),
    "on_hold": (3, 1),
    "disqualified": (4, 1),
    "lost": (5, 1),
}
_CALLED = {"mql": "MQL", "sal": "SAL", "sql": "SQL", "on_hold": "On hold"}
_STYLE = """
.page{background:var(--back)} :root,svg{--back:#fff;--ink:#1c2430;--soft:#5b6675;--line:#8a94a3;--box:#f3f5f8;
--edge:#c3cad4;--next:#1f5fbf;--stuck:#b3261e;--off:#b3261e}
@media (prefers-color-scheme:dark){:root,svg{--back:#14181f;--ink:#e8ecf2;--soft:#a3adba;--line:#7d8896;--box:#1f2630;
--edge:#3b4553;--next:#7fb0ff;--stuck:#ff8a80;--off:#ff8a80}}
svg text{font-family:system-ui,-apple-system,"Segoe UI",sans-serif;fill:var(--ink);font-size:13px}
svg .name{font-size:16px;font-weight:600} svg .soft{fill:var(--soft);font-size:12px}
svg .here{font-size:22px;font-weight:600} svg .stuck{fill:var(--stuck);font-weight:600;font-size:12px}
svg .box{fill:var(--box);stroke:var(--edge);stroke-width:1.5} svg .none{stroke-dasharray:5 4;opacity:.75}
svg .way{fill:none;stroke:var(--line);stroke-width:1.5} svg .next{stroke:var(--next);stroke-width:2.5}
svg .off{stroke:var(--off);stroke-dasharray:6 4} svg .count{font-size:12px;paint-order:stroke;stroke:var(--back);
stroke-width:5px;stroke-linejoin:round}
"""


class _Plan:
    """Which stages are drawn, and where: those of the map, and who is or was somewhere else; no column is empty."""

    def __init__(self, shown: Picture) -> None:
        moved = {stage for arrow in shown.arrows for stage in (arrow.before, arrow.after)}
        self.boxes = [
            box
            for box in shown.boxes
            if box.stage in _PLACES and (box.on_the_map or box.here or box.left or box.stage in moved)
        ]
        used = sorted({_PLACES[box.stage][0] for box in self.boxes})
        self.places = {box.stage: (used.index(_PLACES[box.stage][0]), _PLACES[box.stage][1]) for box in self.boxes}
        self.arrows = [one for one in shown.arrows if one.before in self.places and one.after in self.places]
        self.width = max(_LEFT * 2 + len(used) * (_W + _GAP) - _GAP, _LEAST)
        self.slots = self._slots()

    def corner(self, stage: str) -> tuple[int, int]:
        column, row = self.places[stage]
        return _LEFT + column * (_W + _GAP), _TOP + row * _ROW

    def _slots(self) -> dict[tuple[str, str, str], float]:
        """Where ways between the rows leave and reach the boxes: side by side, in the order of where they lead."""
        ends: dict[str, list[tuple[int, str, str, str]]] = {}
        for arrow in self.arrows:
            if self.places[arrow.before][1] != self.places[arrow.after][1]:
                for box, other in ((arrow.before, arrow.after), (arrow.after, arrow.before)):
                    ends.setdefault(box, []).append((self.places[other][0], box, arrow.before, arrow.after))
        return {
            (box, before, after): self.corner(box)[0] + _W * (n + 1) / (len(found) + 1)
            for found in ends.values()
            for n, (_, box, before, after) in enumerate(sorted(found))
        }


def svg(shown: Picture) -> str:
    """The picture as SVG."""
    drawn = _Plan(shown)
    width = drawn.width
    height = _TOP + _ROW + _H + 120
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        'aria-labelledby="title what">',
        f'<title id="title">The process map, {shown.at:%Y-%m-%d %H:%M} UTC</title>',
        f'<desc id="what">{markup(_in_words(shown))}</desc>',
        f"<style>{_STYLE}</style>",
        "<defs>",
        *(
            f'<marker id="{name}" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" '
            f'orient="auto-start-reverse"><path d="M0 0L10 5L0 10z" style="fill:var(--{color})"/></marker>'
            for name, color in (("way", "line"), ("next", "next"), ("off", "off"))
        ),
        "</defs>",
        f'<rect width="{width}" height="{height}" style="fill:var(--back)"/>',
        f'<text class="name" x="{_LEFT}" y="34">The process map, {shown.at:%Y-%m-%d %H:%M} UTC</text>',
        f'<text class="soft" x="{_LEFT}" y="54">In each box: who is there now, who of them for too long, how long '
        "the middle one of those stayed who left in 90 days.</text>",
        f'<text class="soft" x="{_LEFT}" y="71">On each way: how many went in 90 days.</text>',
    ]
    parts += [_way(arrow, drawn) for arrow in sorted(drawn.arrows, key=lambda one: one.next)]
    parts += [_box(box, *drawn.corner(box.stage)) for box in drawn.boxes]
    parts += _legend(height)
    return "".join((*parts, "</svg>"))


def html(shown: Picture, table: Iterable[tuple[str, ...]]) -> str:
    """The picture and its table as one page."""
    head, *rows = table
    cells = "".join("<tr>" + "".join(f"<td>{markup(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    names = "".join(f'<th scope="col">{markup(cell)}</th>' for cell in head)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><title>The process map</title><style>'
        "body{margin:0;padding:24px;font:15px/1.5 system-ui,sans-serif;background:var(--back);color:var(--ink)}"
        ".wide{overflow-x:auto}.wide svg{min-width:1000px;width:100%;height:auto}"
        "table{border-collapse:collapse;margin-top:24px}th,td{text-align:left;padding:6px 14px 6px 0;"
        f"border-bottom:1px solid var(--edge)}}{_STYLE}</style></head><body>"
        f'<div class="wide">{svg(shown)}</div><div class="wide"><table><thead><tr>{names}</tr></thead>'
        f"<tbody>{cells}</tbody></table></div></body></html>"
    )


def _box(box: Box, x: int, y: int) -> str:
    owner = _short(box.owner, 20) if box.owner else ("nobody answers for it" if box.on_the_map else "not on the map")
    told = f' class="stuck" x="{x + 12}" y="{y + 93}">{box.stuck:,} for too long'  # a line of its own: both may be long
    return (
        f'<g><rect class="box{"" if box.on_the_map else " none"}" x="{x}" y="{y}" width="{_W}" height="{_H}" rx="8"/>'
        f'<text class="name" x="{x + 12}" y="{y + 24}">{markup(_called(box.stage))}</text>'
        f'<text class="soft" x="{x + 12}" y="{y + 43}">{markup(owner)}</text>'
        f'<text class="here" x="{x + 12}" y="{y + 74}">{box.here:,}</text>'
        + (f"<text{told}</text>" if box.stuck else "")
        + f'<text class="soft" x="{x + 12}" y="{y + 111}">median {markup(lasted(box.median))}</text>'
        + (
            f'<text class="soft" x="{x + 12}" y="{y + 127}">longest {markup(str(box.longest))}</text>'
            if box.longest
            else ""
        )
        + "</g>"
    )


def _way(arrow: Arrow, drawn: _Plan) -> str:
    kind = "off" if not arrow.allowed else "next" if arrow.next else "way"
    path, x, y = _path(arrow.before, arrow.after, drawn)
    count = f'<text class="count" x="{x:.0f}" y="{y:.0f}" text-anchor="middle">{arrow.moved:,}</text>'
    return f'<path class="way {kind}" d="{path}" marker-end="url(#{kind})"/>' + (count if arrow.moved else "")


def _path(before: str, after: str, drawn: _Plan) -> tuple[str, float, float]:
    """A curve from box to box, and where its count stands: straight to a neighbour, else over or under the row."""
    (x1, y1), (x2, y2) = drawn.corner(before), drawn.corner(after)
    (c1, r1), (c2, r2) = drawn.places[before], drawn.places[after]
    if r1 == r2 and abs(c1 - c2) == 1:
        on = c2 > c1
        level = y1 + _H / 2 + (-12 if on else 14)
        out, tip = (x1 + _W, x2 - 3) if on else (x1, x2 + _W + 3)
        return f"M{out} {level}L{tip} {level}", (out + tip) / 2, level + (-7 if on else 17)
    if r1 == r2:
        side = 16 * (1 if c2 > c1 else -1)
        start, end = x1 + _W / 2 + side, x2 + _W / 2 - side
        edge, up = (y1, -1) if r1 == 0 else (y1 + _H, 1)
        bow = up * (26 + 11 * abs(c1 - c2))
        return (
            f"M{start} {edge}C{start} {edge + bow} {end} {edge + bow} {end} {edge + 3 * up}",
            (start + end) / 2,
            edge + 0.75 * bow + 4,
        )
    start, end = drawn.slots[before, before, after], drawn.slots[after, before, after]
    top, foot = (y1 + _H, y2 - 3) if r2 > r1 else (y1, y2 + _H + 3)
    half = (top + foot) / 2
    near = 0.22  # the count stands near its beginning, where the ways lie side by side
    x = start + (end - start) * (3 * near**2 * (1 - near) + near**3)
    y = top * (1 - near) ** 3 + half * (3 * near * (1 - near)) + foot * near**3
    return f"M{start:.0f} {top}C{start:.0f} {half} {end:.0f} {half} {end:.0f} {foot}", x, y + 4


def _legend(height: int) -> list[str]:
    parts, x, y = [], _LEFT, height - 28
    for kind, says in (("next", "the next step"), ("way", "allowed"), ("off", "made by sales, not on the map")):
        parts.append(f'<path class="way {kind}" d="M{x} {y}L{x + 46} {y}" marker-end="url(#{kind})"/>')
        parts.append(f'<text class="soft" x="{x + 56}" y="{y + 4}">{says}</text>')
        x += 200
    return parts


def _called(stage: str) -> str:
    return _CALLED.get(stage, stage.capitalize())


def _in_words(shown: Picture) -> str:
    told = [f"{box.stage}: {box.here}, {box.stuck} of them stuck" for box in shown.boxes if box.here]
    return "; ".join(told) or "Nobody is in any stage yet."


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
