"""The journal's commands, and the log as the config and systemd want it."""

import json
import logging
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlite_utils.utils import sqlite3

from syncagent.cli import logs, main
from syncagent.config import parse
from syncagent.errors import ConfigError
from tests.story.theatre import CONFIG, Theatre


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A config whose state has a journal of some lines."""
    with Theatre(tmp_path) as stage:
        stage.agent.once()
        for name in ("mia", "tom"):
            stage.after(minutes=1)
            stage.does(stage.person(name, title="Director"), "form.submitted", "demo-request")
            stage.after(minutes=1)
        stage.after(hours=2)
        state = stage.state
    path = tmp_path / "config.toml"
    path.write_text(CONFIG.replace("[agent]", f'[agent]\nlog_format = "json"\nstate = "{state}"'), encoding="utf-8")
    return path


def run(config: Path, *args: str, code: int = 0) -> str:
    done = CliRunner().invoke(main, [*args, "--config", str(config)])
    assert done.exit_code == code, done.output
    return done.output


def test_the_journal_is_exported_and_both_verify(config: Path, tmp_path: Path) -> None:
    told = run(config, "journal", "verify")
    assert "lines checked." in told and "All of them are as they were sealed." in told
    head = told.rpartition("--head ")[2].strip()
    assert "checked" in run(config, "journal", "verify", "--head", head)
    file = tmp_path / "journal.jsonl"
    assert "lines written." in run(config, "journal", "export", "--output", str(file))
    assert file.stat().st_mode & 0o077 == 0, "it says what was decided of people"
    assert "checked" in run(tmp_path / "no config", "journal", "verify", str(file), "--head", head)
    data = json.loads(run(config, "journal", "verify", str(file), "--json"))
    assert data["findings"] == [] and data["head"] == head and data["lines"] == len(file.read_text().splitlines())
    assert "exists" in run(config, "journal", "export", "--output", str(file), code=1)


def test_a_part_is_exported_without_a_gap(config: Path) -> None:
    whole = [json.loads(line) for line in run(config, "journal", "export").splitlines() if line.startswith("{")]
    part = run(config, "journal", "export", "--since", "2026-03-02T09:02:00Z", "--until", "2026-03-02T09:30:00Z")
    told = [json.loads(line)["id"] for line in part.splitlines() if line.startswith("{")]
    assert told == list(range(told[0], told[-1] + 1)) and 0 < len(told) < len(whole)


def test_tampering_is_told_and_fails(config: Path, tmp_path: Path) -> None:
    file = tmp_path / "journal.jsonl"
    run(config, "journal", "export", "--output", str(file))
    lines = file.read_text().splitlines()
    file.write_text("\n".join([*lines[:2], lines[2].replace('"person":1', '"person":7'), *lines[4:]]) + "\n")
    told = run(config, "journal", "verify", str(file), code=1)
    assert "✗ Line 3 (changed)" in told and "✗ Line 4 (removed)" in told
    with sqlite3.connect(tmp_path / "state.db") as db:
        db.execute("update journal set config = 'another' where id = 2")
    db.close()
    assert "✗ Line 2 (changed)" in run(config, "journal", "verify", code=1)
    file.write_text("nonsense\n")
    assert "Line 1 of the file is no line of an export" in run(config, "journal", "verify", str(file), code=1)
    assert "is no head" in run(config, "journal", "verify", "--head", "twelve", code=1)


def test_the_config_says_what_the_log_looks_like(config: Path) -> None:
    done = CliRunner().invoke(main, ["run", "--once", "--config", str(config), "--log-level", "debug"])
    assert done.exit_code == 3, "the CRM of another process knows nobody: " + done.output
    assert isinstance(logging.getLogger("syncagent").handlers[0].formatter, logs._Json)
    CliRunner().invoke(main, ["run", "--once", "--config", str(config), "--log-format", "text"])
    assert isinstance(logging.getLogger("syncagent").handlers[0].formatter, logs._Text), "the command line goes first"
    with pytest.raises(ConfigError, match="log_format"):
        parse(CONFIG.replace("[agent]", '[agent]\nlog_format = "xml"'))


def test_where_systemd_reads_each_line_begins_with_its_level(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (tmp_path / "journal").open("w+", encoding="utf-8") as paper:
        monkeypatch.setattr(sys, "stderr", paper)
        stands = (tmp_path / "journal").stat()
        for form, stream in (("text", ""), ("text", f"{stands.st_dev}:{stands.st_ino}"), ("json", "1:2")):
            monkeypatch.setenv("JOURNAL_STREAM", stream)
            logs.set_up(form, "debug")
            log = logging.getLogger("syncagent")
            log.warning("a warning")
            try:
                int("a mistake")
            except ValueError:
                log.exception("a failure")
        paper.flush()
        paper.seek(0)
        told = paper.read().splitlines()
    plain = next(n for n, line in enumerate(told) if line.startswith("<"))
    stamped = [line for line in told[plain:] if line.startswith("<")]
    assert "warning a warning" in told[0] and not told[0].startswith("<")
    assert stamped[0].startswith("<4>") and stamped[1].startswith("<3>") and len(stamped) > 4, "a trace's lines, too"
    assert json.loads(told[-2])["message"] == "a warning" and "ValueError" in json.loads(told[-1])["trace"]
