"""`syncagent brief`: the task as the rep would read it, before it goes live."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from syncagent.config import parse
from syncagent.policy import MOMENT_PLACEHOLDERS, PLACEHOLDERS
from tests.cli.test_commands import syncagent
from tests.story.theatre import CONFIG

ROOT = Path(__file__).parents[2]
AT = datetime.now(UTC) - timedelta(days=2)
NASTY = '"Eva\x1b[31m\u202e https://evil.example/x"'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Mia is handed off, Tim has only looked at a page."""
    (tmp_path / "config.toml").write_text(CONFIG)
    (tmp_path / "fair.csv").write_text(
        "email,first_name,last_name,title,kind,at,asset\n"
        f"mia@example.com,Mia,Test,Director,form.submitted,{AT:%FT%TZ},demo-request\n"
        f"tim@example.com,Tim,{NASTY},Clerk,page.visited,{AT:%FT%TZ},/pricing\n"
    )
    syncagent(tmp_path, "import", str(tmp_path / "fair.csv"), "--source", "fair")
    return tmp_path


def test_it_shows_subject_and_brief_of_whoever_is_not_ready_as_if_they_were(folder: Path) -> None:
    shown = syncagent(folder, "brief", "tim@example.com").output
    assert shown.startswith("Follow up Tim Eva [31m evil[.]example/x: score 0 (D4)\n\nWhy now: score 0 (D4).\n- ")
    assert "Nobody was handed off: as if they were, now" in shown
    assert re.search(r"\d+ words of 120", shown)


def test_it_is_for_programs_too_and_writes_nothing(folder: Path) -> None:
    before = syncagent(folder, "explain", "mia@example.com", "--json").output
    told = json.loads(syncagent(folder, "brief", "mia@example.com", "--json").output)
    assert told["subject"] == "Follow up Mia Test: score 80 (A2)"
    assert told["words"] == len(told["body"].split())
    assert (told["real"], told["left_out"]) == (False, [])
    after = json.loads(syncagent(folder, "explain", "mia@example.com", "--json").output)
    assert after["decision"] == json.loads(before)["decision"]
    assert after["outbox"] == []


def test_new_lines_are_tried_with_another_config(folder: Path) -> None:
    lines = 'lines = ["{cause}", "Why, {lead.first_name}?", "- {moments}"]\nwords = 30\n'
    (folder / "config.toml").write_text(f"{CONFIG}\n[handoff.brief]\n{lines}")
    shown = syncagent(folder, "brief", "mia@example.com").output
    assert f"\nscore 80 (A2)\nWhy, Mia?\n- {AT:%F %H:%M} Filled out the form demo-request\n" in shown
    assert "words of 30." in shown


def test_a_slip_in_a_line_is_told_by_check_with_what_was_meant(folder: Path) -> None:
    (folder / "config.toml").write_text(CONFIG + '\n[handoff.brief]\nlines = ["{cuase}"]\n')
    for command in (("check",), ("brief", "mia@example.com")):
        refused = syncagent(folder, *command, exit_code=2)
        assert "handoff.brief.lines[1]: {cuase} is no placeholder. Did you mean cause?" in refused.output


def test_nobody_and_many_are_told_apart(folder: Path) -> None:
    assert "Nobody here" in syncagent(folder, "brief", "eva@example.com", exit_code=1).output


def test_the_page_names_every_placeholder_in_the_program_s_words() -> None:
    page = (ROOT / "docs" / "rep.md").read_text()
    for name, means in PLACEHOLDERS.items():
        assert f"| `{name}` | {means} |" in page
    assert all(f"`{name}`" in page for name in MOMENT_PLACEHOLDERS)


def test_the_examples_of_the_page_are_read() -> None:
    blocks = re.findall(r"```toml\n(.*?)```", (ROOT / "docs" / "rep.md").read_text(), flags=re.DOTALL)
    assert len(blocks) == 2
    parse(CONFIG + "".join(blocks))
