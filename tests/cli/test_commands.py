"""The commands as an admin types them, on memory systems and a real state file."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from syncagent.agent.control import ask, socket_path
from syncagent.cli import COMMANDS, logs, main
from tests.story.theatre import CONFIG

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.toml").write_text(CONFIG.replace('create = "when_missing"', 'create = "never"'))
    return tmp_path


def syncagent(folder: Path, *args: str, exit_code: int = 0, give: str = "") -> Result:
    result = CliRunner().invoke(main, [*args, "--config", str(folder / "config.toml")], input=give)
    assert result.exit_code == exit_code, result.output
    return result


def test_every_command_has_help_and_stands_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    for name in COMMANDS:
        result = CliRunner().invoke(main, [name, "--help"])
        assert result.exit_code == 0, result.output
        assert len(result.output.splitlines()) > 3
        assert name in readme


def test_a_bad_config_is_told_whole_with_exit_2(folder: Path) -> None:
    path = folder / "config.toml"
    path.write_text(path.read_text().replace("first_touch", "first_tuch").replace("weight = 40", "weight = 45", 1))
    result = syncagent(folder, "status", exit_code=2)
    assert "Did you mean first_touch?" in result.output
    assert "5 too many" in result.output
    assert "Nothing was started." in result.output


def test_no_config_says_what_to_do(tmp_path: Path) -> None:
    result = syncagent(tmp_path, "status", exit_code=2)
    assert "--config PATH" in result.output


def test_status_before_the_first_start_says_so(folder: Path) -> None:
    assert "syncagent run" in syncagent(folder, "status", exit_code=1).output


def test_check_asks_every_system(folder: Path) -> None:
    assert "Ready." in syncagent(folder, "check").output
    assert json.loads(syncagent(folder, "check", "--json").output)["ready"] is True
    with (folder / "config.toml").open("a") as config:
        config.write('[pages]\ntoken = { file = "none" }\n[heartbeat]\nurl = { env = "NO_SUCH_HEARTBEAT" }\n')
    unsaid = syncagent(folder, "check", exit_code=2).output
    assert "pages.token: " in unsaid and "heartbeat.url: There is no secret in the environment variable" in unsaid


def test_import_explain_and_import_again(folder: Path) -> None:
    table = folder / "people.csv"
    table.write_text(
        "email,title,kind,at,asset\n"
        "mia@example.com,Director,form.submitted,2026-03-01T10:00:00Z,demo-request\n"
        "mia@example.com,Director,page.visited,2026-03-01T10:05:00Z,/pricing\n"
        "nobody,,form.submitted,2026-03-01T10:00:00Z,demo-request\n"
        "tom@example.com,Clerk,form.submitted,yesterday,demo-request\n"
    )
    result = syncagent(folder, "import", str(table), "--source", "fair", exit_code=3)
    assert "4 rows read, 3 new facts" in result.output
    refused = (folder / "people.refused.csv").read_text()
    assert "not an ISO date" in refused
    assert "There is neither" not in refused
    again = json.loads(syncagent(folder, "import", str(table), "--source", "fair", "--json", exit_code=3).stdout)
    assert again["new"] == 0
    syncagent(folder, "run", "--once")
    output = syncagent(folder, "explain", "mia@example.com").output
    assert "mia@" not in output
    assert "m***@example.com" in output
    assert "title" in output
    told = json.loads(syncagent(folder, "explain", "mia@example.com", "--json").output)
    assert told["score"]["fit"] == 40
    earlier = json.loads(
        syncagent(folder, "explain", "mia@example.com", "--json", "--at", "2026-02-01T00:00:00Z").output
    )
    assert earlier["score"]["interest"] == 0
    assert earlier["decision"] is None
    past = syncagent(folder, "explain", "mia@example.com", "--at", "2026-02-01T00:00:00Z").output
    assert "As of 2026-02-01 00:00 UTC, before the first policy was kept: by today's (" in past
    assert earlier["policy"]["kept"] is None
    assert told["policy"]["kept"] == told["policy"]["digest"]
    assert "Nobody here" in syncagent(folder, "explain", "who@example.com", exit_code=1).output


def test_explain_says_that_history_is_only_scored(folder: Path) -> None:
    table = folder / "people.csv"
    yesterday = (datetime.now(UTC) - timedelta(days=1)).isoformat()
    table.write_text(f"email,title,kind,at,asset\neva@example.com,Director,form.submitted,{yesterday},demo-request\n")
    syncagent(folder, "import", str(table), "--source", "fair")
    syncagent(folder, "run", "--once")
    output = " ".join(syncagent(folder, "explain", "eva@example.com").output.split())
    assert "Not handed off: all of it happened before" in output
    assert "--handoff` hands it off" in output


def test_status_outbox_and_release_answer_for_programs(folder: Path) -> None:
    syncagent(folder, "run", "--once")
    told = json.loads(syncagent(folder, "status", "--json").output)
    assert told["people"] == 0
    assert told["running"] is False
    assert json.loads(syncagent(folder, "outbox", "list", "--json").output) == []
    assert json.loads(syncagent(folder, "release", "--json").output) == {"released": 0}
    assert "Agent: not running" in syncagent(folder, "status").output


def test_dry_run_leaves_no_trace(folder: Path) -> None:
    assert "nothing was written" in syncagent(folder, "run", "--dry-run").output
    assert not (folder / "syncagent.db").exists()


def test_backup_and_restore(folder: Path) -> None:
    table = folder / "people.csv"
    table.write_text("email,title\nmia@example.com,Director\n")
    syncagent(folder, "import", str(table), "--source", "fair")
    syncagent(folder, "backup", str(folder / "copy.db"))
    assert "is there already" in syncagent(folder, "backup", str(folder / "copy.db"), exit_code=1).output
    (folder / "syncagent.db").unlink()
    assert "-e2" in syncagent(folder, "restore", str(folder / "copy.db")).output
    assert json.loads(syncagent(folder, "explain", "mia@example.com", "--json").output)["person"] == 1


def test_the_demo_comes_out(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "syncagent", "demo"]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, env={**os.environ, "PYTHONPATH": str(ROOT)}, cwd=tmp_path
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "✗" not in done.stdout
    assert done.stdout.count("✓") == 16
    assert "    Otto Alt       adopted " in done.stdout  # whom only the CRM knows yet
    assert "│ Task: Follow up Lena Fischer (Nordwind): score 90 (A1)" in done.stdout
    assert "│ Alert: Open deal: Lena Fischer (Nordwind): Looked at the prices" in done.stdout


@pytest.fixture
def daemon(folder: Path) -> Iterator[subprocess.Popen[str]]:
    command = [
        sys.executable,
        "-m",
        "syncagent",
        "run",
        "--log-format",
        "json",
        "--config",
        str(folder / "config.toml"),
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        deadline = time.monotonic() + 20
        while not socket_path(folder / "syncagent.db").exists():
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.02)
        yield process
        if process.poll() is None:
            process.kill()


def test_the_daemon_takes_orders_refuses_a_second_and_ends_within_ten_seconds(
    folder: Path, daemon: subprocess.Popen[str]
) -> None:
    assert ask(folder / "syncagent.db", {"do": "release"}) == {"released": 0}
    assert (socket_path(folder / "syncagent.db").stat().st_mode & 0o777) == 0o600
    second = syncagent(folder, "run", "--once", exit_code=1)
    assert str(daemon.pid) in second.output
    table = folder / "people.csv"
    table.write_text("email,title\nmia@example.com,Director\n")
    assert "1 new fact." in syncagent(folder, "import", str(table), "--source", "fair").output
    daemon.send_signal(signal.SIGHUP)
    time.sleep(0.5)
    began = time.monotonic()
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait(15) == 0
    assert time.monotonic() - began < 10
    assert daemon.stderr is not None
    lines = [json.loads(line) for line in daemon.stderr.read().splitlines()]
    assert any("read again" in line["message"] for line in lines)
    assert any(line["message"].startswith("score") and line["person"] == 1 for line in lines)
    assert lines[-1]["message"] == "The agent has stopped."
    assert not socket_path(folder / "syncagent.db").exists()


def test_no_full_email_leaves_through_the_log() -> None:
    assert logs.masked("Told ana.silva@example.com of it") == "Told a***@example.com of it"


def test_a_line_for_programs_is_one_line_and_steers_no_terminal() -> None:
    said = "a\x9b31mb\x85c\x7fd\u2028e\u202ef\ng\U000e0001 \u00fc"
    line = logs._Json().format(logging.LogRecord("syncagent", logging.INFO, "", 0, said, None, None))
    assert line.isprintable()
    assert "\u00fc" in line
    assert json.loads(line)["message"] == said
