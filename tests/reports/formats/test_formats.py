"""Every format: golden files, the same numbers back from it, and text of strangers that stays text."""

import csv
import io
import json
import math
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncagent.errors import UserError
from syncagent.reports.formats.axis import apart, wide, within
from syncagent.reports.formats.charts import drawn
from syncagent.reports.formats.data import as_csv, as_json
from syncagent.reports.formats.dressing import STYLE
from syncagent.reports.formats.page import as_html
from syncagent.reports.formats.parquet import as_parquet
from syncagent.reports.formats.words import DASH, decimal, lasting, period, prose, said
from syncagent.reports.report import Cell, Chart, Column, Kind, Report, Table
from tests.markup import Read
from tests.reports.formats.samples import FUNNEL, HOSTILE, SMALL, hostile

GOLDEN = Path(__file__).parent / "golden"
KINDS: tuple[Kind, ...] = ("text", "count", "share", "points", "ratio", "money", "duration", "moment", "day")

_numbers = st.floats(-1e12, 1e12)
_whole = st.integers(-(10**15), 10**15)
_cells: dict[Kind, st.SearchStrategy[Any]] = {
    "text": st.text() | st.sampled_from(HOSTILE),
    "count": _whole,
    "share": st.floats(0, 1),
    "points": _numbers,
    "ratio": _numbers,
    "money": _whole,
    "duration": _numbers,
    "moment": st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),
    "day": st.dates(),
}


@st.composite
def tables(draw: st.DrawFn, name: str) -> Table:
    kinds = draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=5))
    columns = tuple(Column(f"c{n}", draw(st.text(max_size=9)), kind) for n, kind in enumerate(kinds))
    row = st.tuples(*(st.none() | _cells[kind] for kind in kinds))
    numbers = [column.name for column in columns if column.kind not in ("text", "moment", "day")]
    chart = None
    if numbers and draw(st.booleans()):
        how = draw(st.sampled_from(("bars", "lines", "funnel")))
        chart = Chart(how, draw(st.sampled_from(columns)).name, tuple(numbers))  # type: ignore[arg-type]
    rows, notes = draw(st.lists(row, max_size=5)), draw(st.lists(st.text(), max_size=1))
    return Table(name, draw(st.text()), columns, tuple(rows), tuple(notes), chart)


@st.composite
def reports(draw: st.DrawFn) -> Report:
    zone = draw(st.sampled_from(("UTC", "Europe/Berlin", "America/St_Johns", "Pacific/Apia")))
    bound = st.none() | _cells["moment"]
    made = tuple(draw(tables(f"t{n}")) for n in range(draw(st.integers(0, 2))))
    return Report("any", draw(st.text()), draw(_cells["moment"]), zone, made, draw(bound), draw(bound))


@pytest.mark.parametrize("form", ["json", "csv", "html"])
def test_a_small_report_is_written_as_ever(form: str) -> None:
    written = {"json": as_json(SMALL), "csv": as_csv(SMALL.tables[0]), "html": as_html(SMALL)}[form]
    assert written == (GOLDEN / f"small.{form}").read_text(), (
        "Look at it, then: python -m tests.reports.formats.rewrite"
    )


def read_back(told: Any, kind: Kind) -> Cell:
    """A cell of JSON as it was."""
    if told is None or kind not in ("moment", "day"):
        return told
    return datetime.fromisoformat(told) if kind == "moment" else date.fromisoformat(told)


def from_csv(text: str, kind: Kind) -> Cell:
    if text == "":
        return None
    match kind:
        case "count":
            return int(text)
        case "money":
            return int(Decimal(text) * 100)
        case "moment":
            return datetime.fromisoformat(text)
        case "day":
            return date.fromisoformat(text)
        case _:
            return float(text)


@given(reports())
def test_json_gives_every_cell_back(report: Report) -> None:
    told = json.loads(as_json(report))
    assert [one["name"] for one in told["tables"]] == [table.name for table in report.tables]
    for table, one in zip(report.tables, told["tables"], strict=True):
        back = [tuple(read_back(row[c.name], c.kind) for c in table.columns) for row in one["rows"]]
        whole = [tuple(c.replace("\ud800", "\ufffd") if isinstance(c, str) else c for c in row) for row in table.rows]
        assert back == whole
    assert read_back(told["since"], "moment") == report.since


@given(tables("t"))
def test_csv_gives_every_number_back(table: Table) -> None:
    head, *rows = csv.reader(io.StringIO(as_csv(table), newline=""))
    assert head == [column.name for column in table.columns] and len(rows) == len(table.rows)
    for row, cells in zip(rows, table.rows, strict=True):
        for column, told, cell in zip(table.columns, row, cells, strict=True):
            if column.kind == "text":
                assert not re.match(r"\s*[=+\-@\uff1d\uff0b\uff0d\uff20]", told)
                text = str(cell or "").replace("\ud800", "\ufffd").replace("\r\n", "\n").replace("\r", "\n")
                assert told.removeprefix("'") == text.removeprefix("'")
            else:
                assert from_csv(told, column.kind) == cell


@given(tables("t"))
def test_parquet_gives_every_cell_back(table: Table) -> None:
    report = Report("any", "Any", datetime(2026, 1, 1, tzinfo=UTC), "UTC", (table,), notes=("a note",))
    found = pq.read_table(io.BytesIO(as_parquet(report, table)))
    assert found.column_names == [column.name for column in table.columns]
    for n, column in enumerate(table.columns):
        cells = [row[n] for row in table.rows]
        if column.kind == "text":
            cells = [None if cell is None else str(cell).replace("\ud800", "\ufffd") for cell in cells]
        if column.kind == "money":
            cells = [None if cell is None else Decimal(cell).scaleb(-2) for cell in cells]  # type: ignore[arg-type]
        assert found.column(n).to_pylist() == cells
        assert found.schema.field(n).metadata[b"kind"].decode() == column.kind
    assert json.loads(found.schema.metadata[b"syncagent"])["notes"][0] == "a note"


def test_without_pyarrow_a_sentence_says_what_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UserError, match=r"pip install 'syncagent\[parquet\]'"):
        as_parquet(SMALL, SMALL.tables[0])


def as_shown(text: str) -> str:
    return re.sub(r"[\x00\x1b\ud800\u202e]", "", text)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text_wherever_it_stands(text: str) -> None:
    page = as_html(hostile(text))
    shown = as_shown(text)
    plain = "x" * len(shown)
    found, tame = Read(page), Read(as_html(hostile(plain)))
    assert [tag for tag, _ in found.tags] == [tag for tag, _ in tame.tags] and not found.open
    for _, attrs in found.tags:
        assert not [name for name in attrs if name.startswith("on") or name in ("style", "src", "srcset")]
        assert attrs.get("href", "#").startswith("#")
    assert "script" not in {tag for tag, _ in found.tags}
    assert found.text.count(shown) == tame.text.count(plain) > 20
    assert page.encode()
    assert "\x1b" not in page and "\x00" not in page
    report = hostile(text)
    assert json.loads(as_json(report))["title"] == text.replace("\ud800", "\ufffd")
    assert as_csv(report.tables[0]).encode()
    assert as_parquet(report, report.tables[0])


@given(reports())
def test_any_report_is_a_page_and_its_charts_are_well_formed(report: Report) -> None:
    assert not Read(as_html(report)).open
    for table in report.tables:
        if chart := drawn(table, report.zone):
            ET.fromstring(chart)
            assert not re.search(
                r"\b(nan|inf)\b", re.sub(r"<title>.*?</title>|>[^<]*<|aria-label=\"[^\"]*\"", "", chart)
            )


@pytest.mark.parametrize(
    ("cell", "kind", "shown"),
    [
        (None, "count", DASH),
        (0, "count", "0"),
        (math.nan, "share", DASH),
        (0.0, "share", "0.0%"),
        (1234, "count", "1,234"),
        (-5, "money", "-0.05"),
        (123456789, "money", "1,234,567.89"),
        (65.0, "points", "65"),
        (0.4, "duration", "0.4 s"),
        (-90000.0, "duration", "-1 d 1 h"),
        (59.6, "duration", "1 min"),
        (3599.7, "duration", "1 h"),
        (86390.0, "duration", "1 d"),
        (datetime(2026, 3, 29, 1, tzinfo=UTC), "moment", "2026-03-29 03:00"),
        (datetime(2026, 10, 25, 1, tzinfo=UTC), "moment", "2026-10-25 02:00"),
        (date(2026, 3, 29), "day", "2026-03-29"),
    ],
)
def test_a_cell_in_words(cell: Cell, kind: Kind, shown: str) -> None:
    assert said(cell, kind, "Europe/Berlin") == shown


@given(_whole)
def test_an_amount_is_exact(hundredths: int) -> None:
    assert Decimal(decimal(hundredths)) * 100 == hundredths


@given(st.floats(0, 1e9))
def test_a_length_of_time_is_told_to_a_part_in_twenty(seconds: float) -> None:
    size = {"d": 86400, "h": 3600, "min": 60, "s": 1}
    told = sum(
        float(count.replace(",", "")) * size[unit] for count, unit in re.findall(r"([\d.,]+) (\w+)", lasting(seconds))
    )
    assert abs(told - seconds) <= max(seconds / 20, 0.051)


def test_the_bounds_are_told_as_days_of_the_zone() -> None:
    assert period(SMALL).startswith("From 2026-03-29 to 2026-03-29 (included). ")
    assert "Europe/Berlin" in period(SMALL)


SVG = "{http://www.w3.org/2000/svg}"


def drawings(table: Table, zone: str = "UTC") -> list[ET.Element]:
    """The drawings of a chart: the same for each width."""
    found = list(ET.fromstring(drawn(table, zone)).iter(f"{SVG}svg"))
    assert [one.attrib["class"].split()[-1] for one in found] == ["slim", "middle", "broad"] * (len(found) // 3)
    assert found
    return found


def words(drawing: ET.Element) -> list[str]:
    return [one.text or "" for one in drawing.iter(f"{SVG}text")]


def test_a_line_leaves_a_gap_where_nothing_is_known() -> None:
    for drawing in drawings(FUNNEL.tables[1]):
        series = [one for one in drawing.iter(f"{SVG}g") if one.get("class", "").startswith("series")]
        lines = [len(one.findall(f"{SVG}path")) for one in series]
        assert lines == [2, 2, 2, 0, 0, 0]
        assert [len(list(one.iter(f"{SVG}circle"))) for one in series] == [0, 0, 0, 9, 9, 8]


def test_a_bar_says_its_number_and_an_unknown_one_is_no_zero() -> None:
    columns = (Column("x", "X"), Column("y", "Y", "share"))
    table = Table("t", "T", columns, (("a", 0.5), ("b", 0.0), ("c", None)), chart=Chart("bars", "x", ("y",)))
    for drawing in drawings(table):
        tips = [one.text for one in drawing.iter(f"{SVG}title")]
        assert sorted(tips) == ["a, Y: 50.0%", "b, Y: 0.0%"]
        assert sorted(words(drawing)) == ["0.0%", "50.0%", "a", "b", "c"]
        rows = {one.text: float(one.attrib["y"]) for one in drawing.iter(f"{SVG}text")}
        assert rows["a"] < rows["b"] < rows["c"], "in the order of the table"
        assert abs(rows["50.0%"] - rows["a"]) < 2 and abs(rows["0.0%"] - rows["b"]) < 2


def test_a_long_name_stands_above_its_bar_on_a_phone_and_beside_it_on_a_page() -> None:
    columns = (Column("x", "X"), Column("y", "Y", "count"))
    name = "a name of thirty letters, each"
    slim, _, broad = drawings(Table("t", "T", columns, ((name, 3),), chart=Chart("bars", "x", ("y",))))
    for drawing, above in ((slim, True), (broad, False)):
        bar = next(one for one in drawing.iter(f"{SVG}rect") if one.attrib["width"] != "0")
        called = next(one for one in drawing.iter(f"{SVG}text") if one.text == name)
        assert (float(called.attrib["y"]) < float(bar.attrib["y"])) is above


def test_a_chart_brings_nothing_that_a_strict_policy_forbids_and_is_the_same_each_time() -> None:
    for table in FUNNEL.tables[:4]:
        chart = drawn(table, "UTC")
        assert chart == drawn(table, "UTC")
        for node in ET.fromstring(chart).iter():
            assert node.tag.removeprefix(SVG) not in ("style", "script", "defs", "foreignObject")
            assert not {"style", "id", "href"} & set(node.attrib)


def test_who_writes_no_chart_does_not_wait_for_the_library() -> None:
    code = "import sys, syncagent.cli, syncagent.compose, syncagent.web.pages; sys.exit('pygal' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_bars_beyond_the_thirtieth_are_named_as_left_out() -> None:
    columns = (Column("x", "X"), Column("y", "Y", "count"))
    table = Table("many", "Many", columns, tuple((f"row {n}", n) for n in range(412)), chart=Chart("bars", "x", ("y",)))
    chart = drawn(table, "UTC")
    assert "the first 30 of 412 rows" in chart and "row 29" in chart and "row 30" not in chart
    assert as_html(Report("r", "R", SMALL.at, "UTC", (table,))).count("<tr>") == 413


def test_a_report_with_a_wide_table_is_printed_across_the_paper() -> None:
    assert "size:landscape" in as_html(SMALL) and "size:landscape" not in as_html(FUNNEL)


def test_a_line_over_numbers_is_drawn_to_scale() -> None:
    columns = (Column("x", "X", "points"), Column("y", "Y", "count"))
    table = Table("t", "T", columns, ((0.0, 1), (10.0, 2), (100.0, 3)), chart=Chart("lines", "x", ("y",)))
    for drawing in drawings(table):
        first, second, last = (float(one.attrib["cx"]) for one in drawing.iter(f"{SVG}circle"))
        assert (second - first) / (last - first) == pytest.approx(0.1, abs=0.001)


def test_moments_of_one_day_are_told_apart_under_the_axis() -> None:
    columns = (Column("at", "At", "moment"), Column("y", "Y", "count"))
    begin = datetime(2026, 3, 13, 8, tzinfo=UTC)
    for later, labels in (
        (timedelta(hours=3), ["13 Mar 09:00", "13 Mar 12:00"]),
        (timedelta(days=9), ["13 Mar 26", "22 Mar 26"]),
    ):
        table = Table("t", "T", columns, ((begin, 1), (begin + later, 2)), chart=Chart("lines", "at", ("y",)))
        for drawing in drawings(table, "Europe/Berlin"):
            assert [one for one in words(drawing) if "Mar" in one] == labels


def test_a_command_in_a_note_is_code_and_all_else_in_it_is_text() -> None:
    assert prose("`syncagent report <b>` says why & how: 5` tall") == (
        "<code>syncagent report &lt;b&gt;</code> says why &amp; how: 5` tall"
    )


def test_a_month_is_told_as_one_to_people_and_as_its_first_day_to_programs() -> None:
    columns = (Column("month", "Month", "month"), Column("y", "Y", "count"))
    rows = ((date(2026, 2, 1), 1), (date(2026, 3, 1), 2), (None, 3))
    table = Table("t", "T", columns, rows, chart=Chart("bars", "month", ("y",)))
    for drawing in drawings(table):
        assert {"Feb 26", "Mar 26", "not known"} <= set(words(drawing))
    report = Report("r", "R", datetime(2026, 4, 2, tzinfo=UTC), "UTC", (table,))
    assert "<td" in as_html(report) and ">2026-03<" in as_html(report) and "2026-03-01" not in as_html(report)
    assert "2026-03-01" in as_csv(table) and '"2026-03-01"' in as_json(report)


def test_names_under_an_axis_are_spread_as_far_as_the_width_lets_them() -> None:
    at = [100 * n / 12 for n in range(13)]
    for width, numbers in ((100, [0, 12]), (200, [0, 6, 12]), (330, [0, 3, 6, 9, 12]), (900, list(range(13)))):
        assert list(apart(["1 May 26"] * 13, at, width)) == numbers


@given(st.text(), st.integers(20, 400))
def test_a_name_that_is_cut_fits_and_says_that_it_is_cut(name: str, pixels: int) -> None:
    cut = within(name, pixels)
    assert wide(cut) <= pixels and (cut == name or cut.endswith("…"))


def test_a_row_is_called_by_all_words_that_tell_it_apart() -> None:
    columns = (Column("currency", "Currency"), Column("source", "Source"), Column("campaign", "Campaign"),
               Column("y", "Y", "count"))  # fmt: skip
    rows = (("EUR", "Web", None, 1), ("EUR", "Fair", None, 2))
    for drawing in drawings(Table("t", "T", columns, rows, chart=Chart("bars", "campaign", ("y",)))):
        assert sorted(words(drawing)) == ["1", "2", "Fair, not known", "Web, not known"]


def test_a_table_without_a_known_number_has_no_chart() -> None:
    columns = (Column("x", "X"), Column("y", "Y", "count"))
    chart = Chart("bars", "x", ("y",))
    assert drawn(Table("t", "T", columns, (("a", None),), chart=chart), "UTC") == ""
    assert drawn(Table("t", "T", columns, (), chart=chart), "UTC") == ""


def luminance(color: str) -> float:
    parts = [int(color[n : n + 2], 16) / 255 for n in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_letters_and_lines_can_be_told_from_the_ground_in_light_and_dark() -> None:
    page = as_html(SMALL)
    for scheme in re.findall(r":root\{(--back[^}]+)\}", page):
        ground = dict(re.findall(r"--(\w+):#([0-9a-f]{3,6})\b", scheme))
        back, box = (one * 2 if len(one) == 3 else one for one in (ground["back"], ground["box"]))
        for word in ("ink", "soft", "way"):
            assert min(contrast(ground[word], back), contrast(ground[word], box)) >= 4.5
        charts = re.findall(r"\.chart\{(--ink[^;]+;[^}]+)", STYLE)
        colors = dict(re.findall(r"--(\w+):#([0-9a-f]{6})", charts[0 if back == "ffffff" else 1]))
        assert min(contrast(colors[word], back) for word in ("ink", "soft")) >= 4.5
        assert min(contrast(colors[f"c{n}"], back) for n in range(1, 7)) >= 3
    assert page.count(":root{--back") == 2
