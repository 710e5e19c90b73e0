"""`score`, `rescore`, `lint` and `sheet` as a marketer types them."""

import csv
import io
import json
import tomllib
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from benchmarks import world
from syncagent.cli import main
from syncagent.clock import SystemClock
from syncagent.config import parse
from syncagent.model import Activity, Identity, Lead, Page
from syncagent.state import open_store
from tests.story.theatre import CONFIG

PEOPLE = 120


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.toml").write_text(CONFIG)
    return tmp_path


@pytest.fixture
def peopled(folder: Path) -> Path:
    """The benchmark's people, and their config."""
    (folder / "config.toml").write_text(world.CONFIG.format(sources=""))
    store = open_store(folder / "syncagent.db")
    try:
        world.fill(store, world.history(PEOPLE))
    finally:
        store.close()
    return folder


def syncagent(folder: Path, *args: str, exit_code: int = 0) -> Result:
    result = CliRunner().invoke(main, [*args, "--config", str(folder / "config.toml")])
    assert result.exit_code == exit_code, result.output
    return result


def test_one_person_s_score_adds_up(peopled: Path) -> None:
    told = json.loads(syncagent(peopled, "score", "person9@example.com", "--json").output)
    assert told["score"] == sum(part["points"] for part in told["contributions"]) == told["fit"] + told["interest"]
    shown = syncagent(peopled, "score", "person9@example.com").output
    assert f"{told['score']:g} points" in shown and told["grade"] in shown
    past = (SystemClock().now() - timedelta(days=300)).isoformat()
    before = json.loads(syncagent(peopled, "score", "person9@example.com", "--json", "--at", past).output)
    assert before["interest"] == 0 and before["fit"] == told["fit"]


def test_everybody_s_scores_are_rows(peopled: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(syncagent(peopled, "score", "--all").output)))
    lines = [json.loads(line) for line in syncagent(peopled, "score", "--all", "--json").output.splitlines()]
    assert len(rows) == len(lines) == PEOPLE
    assert [(row["person"], row["grade"]) for row in rows] == [(str(one["person"]), one["grade"]) for one in lines]
    assert [float(row["score"]) for row in rows] == [one["score"] for one in lines]


def test_somebody_or_everybody_is_named(peopled: Path) -> None:
    assert "--all" in syncagent(peopled, "score", exit_code=2).output
    syncagent(peopled, "score", "9", "--all", exit_code=2)
    assert "Nobody here" in syncagent(peopled, "score", "nobody@example.com", exit_code=1).output


def test_rescore_shows_who_would_cross_the_line_and_writes_nothing(peopled: Path) -> None:
    config = (peopled / "config.toml").read_text()
    (peopled / "old.toml").write_text(config)
    (peopled / "config.toml").write_text(config.replace("score = 80", "score = 40"))
    state = (peopled / "syncagent.db").read_bytes()
    told = json.loads(syncagent(peopled, "rescore", "--before", str(peopled / "old.toml"), "--json").output)
    rows = list(csv.DictReader(io.StringIO(syncagent(peopled, "score", "--all").output)))
    assert told["over"] == sum(row["over"] == "yes" for row in rows) > 0
    assert told["newly"] == told["over"] - told["were_over"] == sum(40 <= float(row["score"]) < 80 for row in rows)
    assert sum(one["people"] for one in told["grades"]) == PEOPLE
    shown = syncagent(peopled, "rescore").output
    assert "no score yet" in shown and "Nothing was written." in shown
    assert (peopled / "syncagent.db").read_bytes() == state


def test_lint_finds_nothing_in_a_sound_config(folder: Path) -> None:
    told = json.loads(syncagent(folder, "lint", "--json").output)
    assert [one for one in told["findings"] if one["level"] != "advice"] == []
    assert told["people"] == 0


def test_lint_speaks_of_what_cannot_be_meant_with_exit_3(folder: Path) -> None:
    path = folder / "config.toml"
    path.write_text(path.read_text().replace("score = 65", "score = 165", 1).replace('"director"', '"vp|director"', 1))
    refused = syncagent(folder, "lint", exit_code=2).output
    assert "165" in refused and "the config is refused" in refused
    text = (
        path.read_text()
        .replace("score = 165", "score = 65")
        .replace('"student", priority = -10', '"vp x", priority = 5')
    )
    path.write_text(text.replace('director", priority = 10', 'director", priority = 1'))
    found = syncagent(folder, "lint", exit_code=3).output
    assert "This can never work:" in found and "Nobody can reach 65 points: at most 64" in found
    assert "never counts: choice 1 above it" in found and "put the narrower one first" in found


def test_lint_asks_the_people_there_are(peopled: Path) -> None:
    told = json.loads(syncagent(peopled, "lint", "--json", exit_code=3).output)
    assert told["people"] == PEOPLE
    assert {one["path"] for one in told["findings"] if one["kind"] == "never"} == {"score.interest[1]"}
    assert "score.interest[1]" not in syncagent(peopled, "lint", "--no-state").output


def test_weights_that_do_not_add_up_are_a_finding(folder: Path) -> None:
    path = folder / "config.toml"
    path.write_text(path.read_text().replace("weight = 40", "weight = 55", 1))
    told = json.loads(syncagent(folder, "lint", "--json", exit_code=2).output)
    says = [one["says"] for one in told["findings"]]
    assert any("5 above the 50" in one for one in says) and any("15 too many" in one for one in says)


def test_a_sheet_goes_to_the_workshop_and_comes_back(folder: Path) -> None:
    sheet, tables = folder / "model.csv", folder / "score.toml"
    syncagent(folder, "sheet", "export", "--out", str(sheet))
    assert "exists already" in syncagent(folder, "sheet", "export", "--out", str(sheet), exit_code=1).output
    sheet.write_text(sheet.read_text().replace("director", "director|vp", 1))
    syncagent(folder, "sheet", "import", str(sheet), "--out", str(tables))
    raw = tomllib.loads(tables.read_text())
    assert raw["score"]["fit"][0]["choices"][0]["matches"] == "director|vp"
    config = (folder / "config.toml").read_text()
    before = parse(config).tables.score
    start, end = config.index("[[score.fit]]"), config.index("[handoff]")
    after = parse(config[:start] + tables.read_text() + config[end:]).tables.score
    assert after.interest == before.interest and after.fit[0].choices[1] == before.fit[0].choices[1]


def test_a_sheet_with_a_mistake_names_its_row(folder: Path) -> None:
    sheet = folder / "model.csv"
    syncagent(folder, "sheet", "export", "--out", str(sheet))
    lines = sheet.read_text().splitlines()
    row = next(n for n, line in enumerate(lines, 1) if "director" in line)
    lines[row - 1] = lines[row - 1].replace(",40,40,10,", ",40,40,12,")
    sheet.write_text("\n".join(lines))
    told = syncagent(folder, "sheet", "import", str(sheet), exit_code=2).output
    assert f"row {row}, score.fit[1].choices[1]" in told and "between -10 and 10" in told


def test_a_sheet_needs_no_config_to_begin_with(tmp_path: Path) -> None:
    assert "part,name,about" in syncagent(tmp_path, "sheet", "export").output
    assert (
        "none of the models" in syncagent(_with_config(tmp_path), "sheet", "export", "--model", "x", exit_code=1).output
    )


def _with_config(folder: Path) -> Path:
    (folder / "config.toml").write_text(CONFIG)
    return folder


def test_explain_for_a_program_says_all_that_it_says_to_people(folder: Path) -> None:
    """Each figure and name of the text stands in the JSON."""
    config = CONFIG.replace("[handoff]\n", '[handoff]\ngate = { bantfo = { required = ["need"] } }\n')
    (folder / "config.toml").write_text(config + "[score.bots]\nlinks = 2\n")
    store = open_store(folder / "syncagent.db")
    now = SystemClock().now().replace(microsecond=0)
    mia = Identity("web", "lead", "mia")
    done = [
        Activity(mia, f"k{n}", now - timedelta(days=1), kind, asset, {"Is Bot Activity": bot})
        for n, (kind, asset, bot) in enumerate(
            [("form.submitted", "demo-x", False), ("page.visited", "/a", False), ("page.visited", "/b", True)]
        )
    ]
    known = {"title": "Clerk", "bantfo_need": "a faster horse"}
    try:
        store.accept(Page((Lead(mia, now, known, ("mia@example.com",)), *done), ""), "web", now=now)
    finally:
        store.close()
    told = json.loads(syncagent(folder, "explain", "mia@example.com", "--json").output)
    text = " ".join(syncagent(folder, "explain", "mia@example.com").output.split())
    assert told["score"]["total"] == 40 and f"Score: 40 = fit 0 + interest 40, {told['score']['grade']}" in text
    assert told["planned"]["decision"]["stage"] in text
    assert (told["over"], told["short"]) == (False, 25) and "25 points below the line of 65" in text
    assert told["line"] == {"need": "any", "score": 65, "grades": []}
    assert [(one["what"], one["key"]) for one in told["not_counted"]] == [("page visited: /b", "k2")]
    assert "Not counted: page visited: /b" in text and told["not_counted"][0]["why"] in text
    (change,) = told["nearest"]["single"]
    assert f"{change['what']} (+{change['points']:g}) would do." in text
    (answer,) = told["answers"]
    assert (answer["question"], answer["word"], answer["source"]) == ("need", "yes", "web")
    assert "need: yes (a faster horse; web," in text
    for part in told["score"]["contributions"]:
        assert f"{part['points']:+g} {part['rule']}: {part['why']}" in text
    assert told["changes_at"][:16].replace("T", " ") in text
    assert told["planned"]["record"] is None and "CRM: no record." in text
    past = json.loads(syncagent(folder, "explain", "mia@example.com", "--json", "--at", "2020-01-01").output)
    assert past["planned"] is None and past["policy"] == {
        "digest": told["policy"]["digest"], "kept": None, "since": None,
    }  # fmt: skip
