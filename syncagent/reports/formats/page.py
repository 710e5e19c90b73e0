"""A report as one HTML page: nothing is loaded, no script runs, and it prints.

Every name in it may come from a CRM or from a stranger's form: all text is escaped, and a CSP in the page forbids
whatever should slip through. Contrast is WCAG AA in light and dark.
"""

from collections.abc import Iterable, Iterator

from syncagent.reports.formats.charts import drawn
from syncagent.reports.formats.dressing import STYLE as CHARTS
from syncagent.reports.formats.words import DASH, EMPTY, NOTHING, markup, period, prose, said
from syncagent.reports.report import Kind, Report, Table

_STYLE = """
:root{--back:#fff;--ink:#1c2430;--soft:#5b6675;--edge:#d4d9e1;--box:#f3f5f8;--way:#1f5fbf}
@media screen and (prefers-color-scheme:dark){:root{--back:#14181f;--ink:#e8ecf2;--soft:#a3adba;--edge:#3b4553;
--box:#1f2630;--way:#7fb0ff}}
*{box-sizing:border-box} html{-webkit-text-size-adjust:100%}
body{margin:0 auto;padding:28px 24px 40px;max-width:1160px;font:15px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif;
background:var(--back);color:var(--ink)}
h1{font-size:26px;line-height:1.25;margin:0 0 6px} h2{font-size:19px;line-height:1.3;margin:0 0 14px}
h1,h2,p,li{overflow-wrap:anywhere}
p{margin:0 0 6px} .soft{color:var(--soft)}
a{color:var(--way)} :focus-visible{outline:2px solid var(--way);outline-offset:2px}
nav ul{display:flex;flex-wrap:wrap;gap:4px 18px;margin:14px 0 0;padding:0;list-style:none}
section{margin-top:36px;padding-top:24px;border-top:1px solid var(--edge)}
.notes{margin:14px 0;padding:10px 14px 10px 32px;background:var(--box);border-radius:6px} .notes li{margin:2px 0}
.wide{overflow-x:auto} table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:7px 16px 7px 0;text-align:left;vertical-align:top;border-bottom:1px solid var(--edge)}
th:last-child,td:last-child{padding-right:4px}
thead th{font-size:13px;font-weight:600;color:var(--soft);vertical-align:bottom}
tbody th{font-weight:500;min-width:90px;max-width:360px;overflow-wrap:break-word}
td.text{max-width:360px;overflow-wrap:break-word}
.n{text-align:right;white-space:nowrap} thead .n{white-space:normal} .day{white-space:nowrap} .none{color:var(--soft)}
footer{margin-top:36px;font-size:13px;color:var(--soft)}
@media (max-width:600px){body{padding:18px 16px 32px} h1{font-size:22px} th,td{padding-right:12px}}
@media print{@page{margin:14mm} body{max-width:none;padding:0;font-size:11pt} nav{display:none} .wide{overflow:visible}
section{break-before:auto} h2{break-after:avoid} tr{break-inside:avoid} thead{display:table-header-group}
.notes{border:1px solid var(--edge)} th,td{padding-right:10px}
.many table{font-size:8.5pt} .many thead th{font-size:8pt}
.many th,.many td{padding-right:7px} .many tbody th{min-width:0}}
"""
_LOOKS: dict[Kind, str] = {"text": "text", "moment": "day", "day": "day", "month": "day"}
_MANY = 8
"""A report with a table of more columns than these is printed across the paper, and such a table in small letters."""
_ACROSS = "@media print{@page{size:landscape}}"
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def as_html(report: Report) -> str:
    """The whole report; each table with its chart, if it has one."""
    return "".join(_page(report))


def _page(report: Report) -> Iterator[str]:
    title = markup(report.title)
    across = _ACROSS if any(len(table.columns) > _MANY for table in report.tables) else ""
    yield (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><meta name="robots" content="noindex">'
        f"<title>{title}</title><style>{_STYLE}{CHARTS}{across}</style></head><body><header><h1>{title}</h1></header><main>"
    )
    yield from _body(report)
    made = f"Made by syncagent, {said(report.at, 'moment', report.zone)} ({markup(report.zone)})."
    yield f"</main><footer>{made} A dash ({DASH}) means: not known; it is never a zero.</footer></body></html>\n"


def body(report: Report) -> str:
    """What stands below the title: bounds, notes, tables, charts; for a page with a head and styles of its own."""
    return "".join(_body(report))


def _body(report: Report) -> Iterator[str]:
    yield f'<p class="soft">{markup(period(report))}</p>'
    yield from _notes(report.notes)
    if len(report.tables) > 1:
        links = (f'<li><a href="#t{n}">{markup(table.title)}</a></li>' for n, table in enumerate(report.tables))
        yield f'<nav aria-label="Tables"><ul>{"".join(links)}</ul></nav>'
    if not report.tables:
        yield f"<section><p>{NOTHING}</p></section>"
    for n, table in enumerate(report.tables):
        yield from _section(table, n, report.zone)


def _notes(notes: Iterable[str]) -> Iterator[str]:
    if told := "".join(f"<li>{prose(note)}</li>" for note in notes):
        yield f'<ul class="notes">{told}</ul>'


def _section(table: Table, n: int, zone: str) -> Iterator[str]:
    look = ' class="many"' if len(table.columns) > _MANY else ""
    yield f'<section{look}><h2 id="t{n}">{markup(table.title)}</h2>'
    yield drawn(table, zone)
    if table.rows:
        yield f'<div class="wide" role="region" aria-labelledby="t{n}" tabindex="0">'
        yield from _grid(table, zone)
        yield "</div>"
    else:
        yield f'<p class="soft">{EMPTY}</p>'
    yield from _notes(table.notes)
    yield "</section>"


def _grid(table: Table, zone: str) -> Iterator[str]:
    looks = [_LOOKS.get(column.kind, "n" if place else "day") for place, column in enumerate(table.columns)]
    yield "<table><thead><tr>"
    for column, look in zip(table.columns, looks, strict=True):
        yield f'<th scope="col" class="{look}">{markup(column.title)}</th>'
    yield "</tr></thead><tbody>"
    for row in table.rows:
        yield "<tr>"
        for place, (cell, column, look) in enumerate(zip(row, table.columns, looks, strict=True)):
            told = said(cell, column.kind, zone)
            tag = 'th scope="row"' if place == 0 else "td"
            yield f'<{tag} class="{look}{" none" if told == DASH else ""}">{markup(told)}</{tag[:2]}>'
        yield "</tr>"
    yield "</tbody></table>"
