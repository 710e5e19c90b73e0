"""`syncagent report` as somebody types it: bounds in the config's zone, cuts, forms, files, exit codes."""

import csv
import io
import json
import re
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from types import ModuleType

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from msgspec.structs import replace
from rich.console import Console

from syncagent.cli import main
from syncagent.cli.report import FORMATS
from syncagent.cli.tables import as_text, show
from syncagent.policy import Policy
from syncagent.reports.catalog import REPORTS
from syncagent.reports.report import Ask, Column, Report, Table
from syncagent.state import open_store
from syncagent.state.store import Store
from tests.reports.formats.samples import FUNNEL, HOSTILE, SMALL, hostile
from tests.story.theatre import CONFIG

AGENT = 'state = "state.db"\ntimezone = "Europe/Berlin"'
GOLDEN = Path(__file__).parents[1] / "reports" / "formats" / "golden"


class Asked:
    """A report in the place of the funnel's: it notes what it was asked."""

    def __init__(self) -> None:
        self.asks: list[Ask] = []
        self.answer = SMALL

    def funnel(self, store: Store, ask: Ask, policy: Policy) -> Report:
        assert store.roster() is not None and policy.timezone == "Europe/Berlin"
        self.asks.append(ask)
        return self.answer


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Asked]:
    (tmp_path / "config.toml").write_text(CONFIG.replace('timezone = "UTC"', AGENT, 1))
    open_store(tmp_path / "state.db").close()
    module, fake = ModuleType("syncagent.reports.funnel"), Asked()
    module.funnel, module.BY = fake.funnel, ("source", "campaign")  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "syncagent.reports.funnel", module)
    monkeypatch.chdir(tmp_path)
    return fake


def report(*args: str, exit_code: int = 0) -> Result:
    result = CliRunner().invoke(main, ["report", "funnel", *args])
    assert result.exit_code == exit_code, result.output
    return result


def test_without_a_word_it_asks_for_all_and_prints_tables(asked: Asked) -> None:
    shown = report().stdout
    assert shown == (GOLDEN / "small.txt").read_text()
    (ask,) = asked.asks
    assert (ask.since, ask.until, ask.by, ask.zone) == (None, None, "", "Europe/Berlin")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("2026-01-31", datetime(2026, 1, 30, 23, tzinfo=UTC)),
        ("2026-03-29", datetime(2026, 3, 28, 23, tzinfo=UTC)),  # the day that has 23 hours
        ("2026-03-30", datetime(2026, 3, 29, 22, tzinfo=UTC)),
        ("2026-10-25", datetime(2026, 10, 24, 22, tzinfo=UTC)),  # the one that has 25
        ("2026-10-26", datetime(2026, 10, 25, 23, tzinfo=UTC)),
        ("2026-10-25T09:00:00-03:00", datetime(2026, 10, 25, 12, tzinfo=UTC)),
    ],
)
def test_bounds_are_days_of_the_config_s_zone(asked: Asked, typed: str, meant: datetime) -> None:
    report("--since", typed)
    report("--until", typed)
    assert (asked.asks[0].since, asked.asks[1].until) == (meant, meant)


@pytest.mark.parametrize("typed", ["yesterday", "2026-02-30", "0001-01-01", ""])
def test_a_bound_that_is_none_names_the_zone(asked: Asked, typed: str) -> None:
    told = " ".join(report("--since", typed, exit_code=2).output.replace("│", " ").split())
    assert "2026-01-31" in told and "Europe/Berlin" in told
    assert not asked.asks


def test_bounds_that_hold_nothing_are_refused(asked: Asked) -> None:
    assert "is not before" in report("--since", "2026-02-01", "--until", "2026-02-01", exit_code=2).output
    assert not asked.asks


def test_it_is_cut_by_what_it_knows_only(asked: Asked) -> None:
    report("--by", "campaign")
    assert asked.asks[0].by == "campaign"
    told = report("--by", "sorce", exit_code=2).output
    assert "'sorce' is no cut of funnel. Did you mean" in told and "source" in told and "campaign" in told


def test_every_form_is_what_its_writer_writes(asked: Asked) -> None:
    assert report("--format", "json").stdout_bytes == report("--json").stdout_bytes
    assert report("--json").stdout == (GOLDEN / "small.json").read_text() + "\n"
    assert report("--format", "html").stdout == (GOLDEN / "small.html").read_text()
    told = report("--format", "csv", "--table", "all")
    assert told.stdout == (GOLDEN / "small.csv").read_text()
    assert "* A note, with a comma." in told.stderr and "* The clocks went forward that day." in told.stderr
    found = pq.read_table(io.BytesIO(report("--format", "parquet", "--table", "all").stdout_bytes))
    assert found.column("count").to_pylist() == [1234567, 0, None]
    report("--json", "--format", "csv", exit_code=2)


@pytest.mark.parametrize("form", FORMATS)
def test_the_ending_of_a_file_says_the_form(asked: Asked, tmp_path: Path, form: str) -> None:
    name = "out.txt" if form == "table" else f"out.{form}"
    told = report("--output", name, "--table", "all")
    assert told.stdout == "" and f"Wrote {name}." in told.stderr
    written = (tmp_path / name).read_bytes()
    assert written == report("--format", form, "--table", "all").stdout_bytes
    assert not list(tmp_path.glob(".out*"))


def test_several_tables_go_into_a_folder_a_file_each(asked: Asked, tmp_path: Path) -> None:
    told = report("--format", "csv", exit_code=2).output
    assert "all, none" in told and "--table" in told and "--output" in told
    assert "--table" in report("--output", "x.csv", exit_code=2).output and not (tmp_path / "x.csv").exists()
    for form in ("csv", "parquet"):
        report("--format", form, "--output", "all/of/it")
    names = ["small-all.csv", "small-all.parquet", "small-none.csv", "small-none.parquet"]
    assert sorted(path.name for path in (tmp_path / "all/of/it").iterdir()) == names
    assert (tmp_path / "all/of/it/small-all.csv").read_text() == (GOLDEN / "small.csv").read_text()


def test_no_name_of_a_table_leads_out_of_the_folder(asked: Asked, tmp_path: Path) -> None:
    columns, rows = (Column("x", "X"),), (("a",),)
    names = ("../../won_x", "/won_x", "..", ".._.._won_x")
    asked.answer = replace(SMALL, tables=tuple(Table(name, "T", columns, rows) for name in names))
    report("--format", "csv", "--output", "a/deep/folder")
    written = list(tmp_path.rglob("*.csv"))
    assert len(written) == len(names) and {path.parent for path in written} == {tmp_path / "a/deep/folder"}


def test_a_report_without_tables_says_so_in_every_form(asked: Asked, tmp_path: Path) -> None:
    asked.answer = replace(SMALL, tables=())
    assert "Nothing is known yet" in report().stdout and "Nothing is known yet" in report("--format", "html").stdout
    assert json.loads(report("--json").stdout)["tables"] == []
    for form in ("csv", "parquet"):
        told = report("--format", form, "--output", "none")
        assert "no table" in told.stderr and not (tmp_path / "none").exists()


def test_a_table_that_is_none_is_told_with_those_there_are(asked: Asked) -> None:
    assert "Did you mean" in report("--table", "al", exit_code=2).output


def test_where_nothing_can_be_written_a_sentence_says_so(asked: Asked, tmp_path: Path) -> None:
    assert "No such file" in report("--output", "no/such/place.html", exit_code=1).output
    assert "is a folder" in report("--output", ".", exit_code=1).output
    (tmp_path / "taken").write_text("")
    assert "cannot be a folder" in report("--format", "csv", "--output", "taken", exit_code=1).output
    assert "cannot be written" in report("--format", "json", "--output", "taken/x.json", exit_code=1).output


def test_without_a_state_or_a_config_it_says_what_helps(asked: Asked, tmp_path: Path) -> None:
    (tmp_path / "state.db").unlink()
    assert "syncagent run" in report(exit_code=1).output
    report("--config", "none.toml", exit_code=2)


def test_a_state_that_is_looked_at_stays_as_it_is(asked: Asked, tmp_path: Path) -> None:
    before = (tmp_path / "state.db").read_bytes()
    report()
    assert (tmp_path / "state.db").read_bytes() == before


@pytest.mark.parametrize("width", [30, 60, 90, 200])
def test_a_narrow_screen_loses_no_number(width: int) -> None:
    screen = io.StringIO()
    show(FUNNEL, Console(file=screen, width=width, force_terminal=True, no_color=True, markup=False, highlight=False))
    for number in ("8,420", "2 h 13 min", "10 d 10 h", "412,500.00", "-0.69", "2026-05-01", "31.0%"):
        assert f" {number} " in screen.getvalue()


@pytest.mark.parametrize("width", [80, 120])
def test_what_is_too_wide_becomes_several_tables(width: int) -> None:
    """Each begins with what names the row, and no line is broken by the screen."""
    columns = (Column("month", "Came in", "day"), Column("source", "Source", "text"))
    columns += tuple(Column(f"n{n}", f"Within {n} days", "count") for n in range(15))
    table = Table("wide", "Wide", columns, ((date(2026, 3, 1), "web", *range(1_000_000, 1_000_015)),))
    screen = io.StringIO()
    report = Report("wide", "Wide", datetime(2026, 3, 1, tzinfo=UTC), "UTC", tables=(table,))
    show(report, Console(file=screen, width=width, force_terminal=True, no_color=True, markup=False, highlight=False))
    drawn = [line for line in re.sub(r"\x1b\[\d+m", "", screen.getvalue()).splitlines() if line[:1] in tuple("┏┃┡│└")]
    assert max(map(len, drawn)) <= width
    rows = [line for line in drawn if line.startswith("│")]
    assert len(rows) > 1 and all("2026-03-01 │ web" in row for row in rows)
    assert [cell for row in rows for cell in row.split() if cell.startswith("1,")] == [
        f"{n:,}" for n in table.rows[0][2:]
    ]


def test_room_that_is_left_goes_to_long_heads() -> None:
    columns = (Column("a", "Who"), *(Column(name, "so many of those who came on a return", "count") for name in "bc"))
    report = Report("r", "R", datetime(2026, 3, 1, tzinfo=UTC), "UTC", (Table("t", "T", columns, (("x", 1, 2),)),))
    screen = io.StringIO()
    show(report, Console(file=screen, width=60, force_terminal=True, no_color=True, markup=False, highlight=False))
    heads = [line for line in re.sub(r"\x1b\[\d+m", "", screen.getvalue()).splitlines() if line[:1] == "┃"]
    assert len(heads) == 2, heads


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_steers_the_terminal(asked: Asked, text: str) -> None:
    asked.answer = hostile(text)
    shown = report().stdout
    assert not set(shown) & {"\x1b", "\x00", "\r", "\t", "\u202e", "\ud800"}
    tame = as_text(hostile("x" * len(text)))
    assert shown.count("\n") == tame.count("\n")
    rows = list(csv.reader(io.StringIO(report("--format", "csv", "--table", "t0").stdout)))
    assert len(rows) == 3 and not rows[1][0].lstrip().startswith(("=", "+", "-", "@"))
    assert json.loads(report("--json").stdout)["tables"][0]["rows"][0]["count"] == 3


def test_the_page_on_reports_names_every_report_and_form() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reports.md").read_text()
    for name, about in REPORTS.items():
        assert f"| `{name}` | {about[0].lower()}{about[1:-1]} |" in page
    assert not [form for form in FORMATS if f"| `{form}` |" not in page]
