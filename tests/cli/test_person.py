"""What an admin sees of one person out of many records, and how they split one."""

import json
from pathlib import Path

import pytest

from tests.cli.test_commands import syncagent
from tests.story.theatre import CONFIG


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.toml").write_text(CONFIG.replace('create = "when_missing"', 'create = "never"'))
    return tmp_path


def glued(folder: Path) -> None:
    """Two people who share an address, and a third record that is the first's."""
    for source, name, title, at in (("fair", "Mia", "Director", "2026-03-01"), ("expo", "Tom", "Clerk", "2026-03-02")):
        table = folder / f"{source}.csv"
        table.write_text(
            "email,id,first_name,title,kind,at,asset\n"
            f"family@example.com,{name},{name},{title},form.submitted,{at}T10:00:00Z,demo-request\n"
        )
        syncagent(folder, "import", str(table), "--source", source)
    syncagent(folder, "run", "--once")


def test_explain_shows_who_says_what_since_when(folder: Path) -> None:
    glued(folder)
    output = " ".join(syncagent(folder, "explain", "family@example.com").output.split())
    assert "Profile" in output and "otherwise" in output
    assert "Director (fair)" in output
    told = json.loads(syncagent(folder, "explain", "family@example.com", "--json").output)
    (title,) = [one for one in told["profile"] if one["name"] == "title"]
    assert (title["value"], title["rule"]) == ("Clerk", "newest")
    assert [claim["identity"]["system"] for claim in title["claims"]] == ["fair", "expo"]
    assert [claim["value"] for claim in title["claims"]] == ["Director", "Clerk"]


def test_a_profile_is_as_wide_as_it_must_be(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    one = "00QSb0000000001MAA"
    table = folder / "crm.csv"
    table.write_text(f"email,id,title\nmia@example.com,{one},{'very ' * 8}long title\n")
    syncagent(folder, "import", str(table), "--source", "salesforce")
    syncagent(folder, "run", "--once")
    output = syncagent(folder, "explain", "mia@example.com").output
    assert "Profile" in output and "otherwise" not in output  # nobody says otherwise
    table.write_text(f"email,id,title\nmia@example.com,2,{'rather ' * 8}long title\n")
    syncagent(folder, "import", str(table), "--source", "fair")
    syncagent(folder, "run", "--once")
    table.write_text(f"email,id,title\nmia@example.com,{one},{'quite ' * 8}long title\n")
    syncagent(folder, "import", str(table), "--source", "salesforce")
    syncagent(folder, "run", "--once")
    output = syncagent(folder, "explain", "mia@example.com").output
    assert "otherwise" in output
    assert output.count(one) == 2  # in the head and, unbroken, in the table


def test_a_split_is_shown_and_asked_before_it_is_done(folder: Path) -> None:
    glued(folder)
    asked = syncagent(folder, "split", "family@example.com", "Tom", give="n\n", exit_code=1)
    assert "expo/lead/Tom with 1 record and 1 activity parts from fair/lead/Mia" in asked.output
    assert "Nothing was split" in asked.output
    program = ("split", "family@example.com", "expo/lead/Tom", "--json")
    assert "add --yes" in syncagent(folder, *program, exit_code=2).output
    done = json.loads(syncagent(folder, *program, "--yes").output)
    assert done["moved"] == ["expo/lead/Tom"]
    both = syncagent(folder, "explain", "family@example.com", exit_code=1)
    assert "2 people fit" in both.output
    assert f"person/{done['person']}" in both.output
    one = json.loads(syncagent(folder, "explain", f"person/{done['person']}", "--json").output)
    other = json.loads(syncagent(folder, "explain", str(done["other"]), "--json").output)
    assert [len(each["profile"]) > 0 for each in (one, other)] == [True, True]
    assert {entry["kind"] for entry in other["journal"]} >= {"split"}
    glued(folder)
    assert "2 people fit" in syncagent(folder, "explain", "family@example.com", exit_code=1).output


def test_a_split_of_nobody_says_what_there_is(folder: Path) -> None:
    glued(folder)
    refused = syncagent(folder, "split", "family@example.com", "Eva", exit_code=1)
    assert "'Eva' is none of the identities" in refused.output
    assert "syncagent explain 1" in refused.output
