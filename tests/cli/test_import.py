"""`syncagent import`: by the mapping of the config; told twice, copied, killed and resumed, it stores each row once."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from syncagent.cli import change, main
from syncagent.state import open_store
from tests.story.theatre import CONFIG

FAIR = """
[sources.fair]
type = "files"
[sources.fair.mapping]
id = "Badge"
email = "E-Mail"
kind = "Status"
kinds = { "checked in" = "event.attended" }
at = { path = "When", date = "%d.%m.%Y %H:%M" }
[sources.fair.mapping.attributes]
title = "Position"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.toml").write_text(CONFIG.replace("[crm]\n", f"{FAIR}\n[crm]\n", 1))
    return tmp_path


def run(folder: Path, *words: str, exit_code: int = 0) -> Result:
    result = CliRunner().invoke(main, [*words, "--config", str(folder / "config.toml")], catch_exceptions=False)
    assert result.exit_code == exit_code, result.output
    return result


def imported(folder: Path, file: Path, source: str = "fair", exit_code: int = 0) -> dict[str, Any]:
    return dict(json.loads(run(folder, "import", str(file), "--source", source, "--json", exit_code=exit_code).stdout))


def csv(folder: Path, name: str = "checkins.csv", count: int = 3) -> Path:
    rows = [f"B{n},p{n}@example.com,checked in,02.03.2026 09:{n % 60:02},CTO" for n in range(count)]
    file = folder / name
    file.write_text("\n".join(["Badge,E-Mail,Status,When,Position", *rows]) + "\n")
    return file


def everybody(folder: Path) -> dict[str, int]:
    store = open_store(folder / "syncagent.db", read_only=True)
    try:
        found = [store.dossier(person) for person in store.people(0, 10_000)]
    finally:
        store.close()
    return {one.leads[0].identity.id: len(one.activities) for one in found if one}


def test_rows_are_read_by_the_mapping(folder: Path) -> None:
    assert imported(folder, csv(folder)) == {"rows": 3, "new": 6, "refused": 0}
    assert everybody(folder) == {"B0": 1, "B1": 1, "B2": 1}


def test_jsonl_is_read_by_the_same_mapping(folder: Path) -> None:
    file = folder / "checkins.jsonl"
    row = {"Badge": "B1", "E-Mail": "a@example.com", "Status": "checked in", "When": "02.03.2026 09:00"}
    deep = '{"Badge":' + "[" * 100_000
    file.write_text(f"{json.dumps(row)}\n{deep}\n[1]\n" + json.dumps({**row, "Badge": "B2", "When": "?"}) + "\n")
    assert imported(folder, file, exit_code=3) == {"rows": 4, "new": 2, "refused": 3}
    refused = [json.loads(line) for line in (folder / "checkins.refused.jsonl").read_text().splitlines()]
    assert [one["why_refused"][:20] for one in refused] == ["This line is not a J"] * 2 + ["A moment is not like"]


def test_a_second_time_a_copy_and_a_touched_file_change_nothing(folder: Path) -> None:
    file = csv(folder)
    imported(folder, file)
    store = open_store(folder / "syncagent.db", read_only=True)
    before = [store.dossier(person) for person in store.people(0, 100)]
    store.close()
    copy = folder / "renamed.csv"
    shutil.copy(file, copy)
    os.utime(copy, (2_000_000_000, 2_000_000_000))
    os.utime(file, (2_000_000_000, 2_000_000_000))
    for again in (file, copy, file):
        assert imported(folder, again)["new"] == 0
    store = open_store(folder / "syncagent.db", read_only=True)
    assert [store.dossier(person) for person in store.people(0, 100)] == before
    store.close()


def test_rows_that_overlap_with_another_file_are_stored_once(folder: Path) -> None:
    imported(folder, csv(folder, count=3))
    longer = csv(folder, "longer.csv", count=5)
    os.utime(longer, (1_700_000_000, 1_700_000_000))
    imported(folder, longer)
    assert everybody(folder) == dict.fromkeys(("B0", "B1", "B2", "B3", "B4"), 1)


def test_killed_half_way_it_goes_on_where_it_was(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(change, "PAGE", 20)
    sent: list[int] = []
    real: Callable[..., dict[str, Any]] = change.order

    def killed(config: Any, told: dict[str, Any]) -> dict[str, Any]:
        if len(sent) == 3:
            raise KeyboardInterrupt
        sent.append(len(told["facts"]))
        return real(config, told)

    file = csv(folder, count=100)
    with file.open("a") as more:
        more.write(",nobody,checked in,02.03.2026 09:00,CTO\n")
    monkeypatch.setattr(change, "order", killed)
    result = CliRunner().invoke(
        main, ["import", str(file), "--source", "fair", "--config", str(folder / "config.toml")]
    )
    assert result.exit_code != 0
    assert 0 < len(everybody(folder)) < 100
    again: list[int] = []

    def counted(config: Any, told: dict[str, Any]) -> dict[str, Any]:
        again.append(len(told["facts"]))
        return real(config, told)

    monkeypatch.setattr(change, "order", counted)
    assert imported(folder, file, exit_code=3) == {"rows": 101, "new": 200 - sum(sent), "refused": 1}
    assert sum(sent) + sum(again) == 200
    assert everybody(folder) == {f"B{n}": 1 for n in range(100)}
    assert "The email is not an address" in (folder / "checkins.refused.csv").read_text()


def test_another_mapping_reads_the_file_anew(folder: Path) -> None:
    file = csv(folder)
    imported(folder, file)
    config = folder / "config.toml"
    config.write_text(config.read_text().replace('title = "Position"', 'role = "Position"'))
    assert imported(folder, file)["new"] == 3
    assert everybody(folder) == {"B0": 1, "B1": 1, "B2": 1}


def test_a_system_that_is_asked_takes_no_files(folder: Path) -> None:
    for name in ("web", "crm"):
        assert "would be mixed" in run(folder, "import", str(csv(folder)), "--source", name, exit_code=1).output


def test_a_source_that_posts_takes_files_by_its_mapping(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SITE_SECRET", "a-token")
    config = folder / "config.toml"
    door = FAIR.replace("fair", "site").replace(
        '"files"', '"webhook"\ndialect = "json"\nsecret = { env = "SITE_SECRET" }'
    )
    config.write_text(config.read_text().replace("[crm]\n", f"{door}\n[crm]\n", 1))
    assert imported(folder, csv(folder), "site")["new"] == 6


def test_imports_are_no_streams_of_a_system(folder: Path) -> None:
    imported(folder, csv(folder))
    assert "import/" not in run(folder, "status").output
