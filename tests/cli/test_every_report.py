"""Every report in every form and by every cut, on a state in which a stranger has named all that can be named."""

import csv
import io
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from syncagent.cli import main
from syncagent.model import Identity, Opportunity
from syncagent.reports.catalog import REPORTS, cuts
from tests.markup import Read
from tests.story.theatre import CONFIG, Theatre

NAME = '<script>alert("x")</script>'
FORMULA = "=cmd|' /C calc'!A0"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """People from everywhere are handed off; some deals are won, one is lost, one is of nobody."""
    folder = tmp_path_factory.mktemp("reports")
    (folder / "config.toml").write_text(CONFIG.replace("[agent]", '[agent]\nstate = "state.db"', 1))
    with Theatre(folder) as stage:
        stage.agent.once()
        for n, name in enumerate(("mia", "tom", "eva", "ben")):
            stage.after(days=20)
            told = {"source": (NAME, FORMULA, "Web", "")[n], "campaign": FORMULA, "content": NAME, "medium": NAME}
            who = stage.person(name, title="Director", company=NAME, **told)
            stage.does(who, "form.submitted", "demo-request")
            stage.after(minutes=5)
            record = stage.record(name)
            if n < 3:
                stage.crm.edit(record.identity, str(record.fields["owner"]), stage.clock.now(), status="Working")
            stage.after(hours=3)
            now, people = stage.clock.now(), (record.identity,) if n < 3 else ()
            deal = Opportunity(
                Identity("crm", "Opportunity", f"O{n}"), people, now, now, owner="ana", stage=NAME, closed=n > 0,
                won=n > 1, amount=1000.01 * n, closed_on=now.date().isoformat() if n else "",
            )  # fmt: skip
            stage.crm.feed([deal])
            stage.after(hours=1)
    return folder


def report(folder: Path, name: str, *args: str) -> Result:
    result = CliRunner().invoke(main, ["report", name, "--config", str(folder / "config.toml"), *args])
    assert result.exit_code == 0, (result.output, result.exception)
    return result


def words(name: str) -> list[str]:
    return ["", *cuts(name)]


@pytest.mark.parametrize(("name", "by"), [(name, by) for name in REPORTS for by in words(name)])
def test_every_cut_is_a_report_in_every_form(folder: Path, tmp_path: Path, name: str, by: str) -> None:
    asked = ["--by", by] if by else []
    told = json.loads(report(folder, name, *asked, "--json").stdout)
    assert told["name"] == name and told["tables"] and told["title"]
    page = Read(report(folder, name, *asked, "--format", "html").stdout)
    assert not page.open and not {"script", "b", "img"} & {tag for tag, _ in page.tags}
    shown = report(folder, name, *asked).stdout
    for form in ("csv", "parquet"):
        out = tmp_path / form
        report(folder, name, *asked, "--format", form, "--output", f"{out}/" if len(told["tables"]) > 1 else f"{out}.x")
    for table in told["tables"]:
        assert table["title"] in shown and table["title"] in page.text
        one = report(folder, name, *asked, "--format", "csv", "--table", table["name"]).stdout
        head, *rows = csv.reader(io.StringIO(one))
        assert head == [column["name"] for column in table["columns"]] and len(rows) == len(table["rows"])
        assert len(set(head)) == len(head)
        assert not [cell for row in rows for cell in row if cell.startswith(("=", "@"))]


def test_bounds_that_hold_nobody_make_a_report_too(folder: Path) -> None:
    for name in REPORTS:
        for bounds in (("--until", "2001-01-01"), ("--since", "2090-01-01")):
            page = Read(report(folder, name, *bounds, "--format", "html").stdout)
            assert not page.open
            report(folder, name, *bounds)
            json.loads(report(folder, name, *bounds, "--json").stdout)


def test_the_stranger_s_words_are_shown_as_they_are(folder: Path) -> None:
    told = report(folder, "sources", "--json").stdout
    assert json.dumps(NAME)[1:-1] in told and FORMULA in told
    assert NAME in Read(report(folder, "sources", "--format", "html").stdout).text
    assert f"'{FORMULA}" in report(folder, "sources", "--format", "csv", "--table", "source").stdout
