"""What pygal draws, in our clothes: no script, style or id of its own, so that a strict CSP may forbid them.

A series is named by our classes: its colour is `STYLE`'s, in light and in dark, and lines differ by their dashes too.
"""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, tostring

if TYPE_CHECKING:
    from pygal.graph.graph import Graph

WIDTHS = {"slim": 340, "middle": 660, "broad": 1080}
"""Pixels of a drawing, which the page scales a little: on a phone, on paper, on a screen."""
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

EDGE = 0.02
"""What pygal leaves free on each side of what it plots, as a part of that."""
NAMES = "names"
"""The look of a series that is there for the names that it prints."""
_NUMBER = re.compile(r"-?\d+\.\d+(?:e-?\d+)?")


def look(place: int, line: int) -> str:
    """The classes of the series at a place among all, which is so many lines below the first of its drawing."""
    return f"c{_COLORS[place % len(_COLORS)]} d{line % len(_DASHES)}"


def blank(kind: str, **options: object) -> "Graph":
    """A chart of pygal's without anything in it. pygal is loaded here, with the first chart."""
    import pygal
    from pygal.etree import etree

    etree.to_etree()  # lxml, which it takes where there is one, writes the same in another way
    letters = pygal.style.Style(label_font_size=13, major_label_font_size=13, value_font_size=13)
    bare = {"js": (), "css": (), "classes": (), "no_prefix": True, "show_legend": False, "margin": 0}
    return getattr(pygal, kind)(style=letters, **bare, **options)


def dressed(chart: "Graph", size: str, series: Sequence[str]) -> str:
    """What pygal drew, without what a CSP forbids and what nobody sees; each series with the look given for it."""
    root = chart.render_tree()
    _strip(root)
    for group in root.iter("g"):
        if found := re.match(r"series serie-(\d+)", group.get("class", "")):
            group.set("class", f"series {series[int(found[1])]}")
            for text in group.iter("text"):
                text.set("text-anchor", "end" if (text.text or "").startswith("-") else "start")
                if series[int(found[1])] == NAMES:
                    text.attrib.update({"text-anchor": "start", "x": str(EDGE * chart.config.width)})
    for node in root.iter():
        unused = ("id", "style", "class") if node.tag in ("rect", "circle", "text") else ("id", "style")
        kept = {name: value for name, value in node.attrib.items() if name not in unused}
        node.attrib = {name: _NUMBER.sub(_rounded, value) for name, value in kept.items()}
    root.set("class", f"drawn {size}")
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
