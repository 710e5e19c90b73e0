"""The pages of a real daemon: beside a port that is taken, after a config that was read again, and in a wheel."""

import http.client
import json
import signal
import socket
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.cli.test_daemon_process import OURS, ROOT, daemon, until


def listens_on(it) -> int:
    """The port that the daemon says it listens on."""
    assert until(lambda: it.says("Listening on")), it.log.read_text()
    (line,) = [one["message"] for one in it.lines() if "Listening on" in one["message"]]
    assert "the admin's pages" in line
    return int(line.partition(" for ")[0].rpartition(":")[2])


def page(port: int, path: str) -> tuple[int, str]:
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        line.request("GET", path)
        answer = line.getresponse()
        return answer.status, answer.read().decode()
    finally:
        line.close()


def test_a_daemon_serves_its_pages_and_they_show_the_config_that_was_read_again(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    text = OURS.replace("[agent]", '[agent]\nlisten = "127.0.0.1:0"')
    config.write_text(text)
    with daemon(tmp_path) as it:
        port = listens_on(it)
        it.asks("mia")
        assert until(lambda: "Mia" in page(port, "/board")[1] or "person" in page(port, "/board")[1].lower())
        for path in ("/", "/board", "/people/1", "/outbox", "/reports", "/process", "/config"):
            assert page(port, path)[0] == 200, path
        assert "score = 65" in page(port, "/config")[1]
        config.write_text(text.replace("score = 65", "score = 66"))
        it.process.send_signal(signal.SIGHUP)
        assert until(lambda: "score = 66" in page(port, "/config")[1])
        assert until(lambda: "mql.score" in page(port, "/config")[1])
        assert it.stop() == 0
    assert not [line for line in it.lines() if line["level"] == "error"]
    assert "mia@example.com" not in it.log.read_text()


def test_a_port_that_is_taken_costs_the_pages_and_not_the_agent(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        (tmp_path / "config.toml").write_text(OURS.replace("[agent]", f'[agent]\nlisten = "127.0.0.1:{port}"'))
        with daemon(tmp_path) as it:
            assert until(lambda: it.says("The agent runs without its pages."))
            it.asks("mia")
            assert until(lambda: json.loads(it.command("status", "--json"))["with_sales"] == 1), it.log.read_text()
            assert it.stop() == 0


def test_without_pages_nothing_listens(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(OURS + "\n[pages]\nserve = false\n")
    with daemon(tmp_path) as it:
        assert until(lambda: it.says("The agent runs"))
        assert not it.says("Listening")
        assert it.stop() == 0


def test_a_wheel_has_the_templates_and_the_stylesheet(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode and "hatchling" in done.stderr:
        pytest.skip("hatchling, which builds the wheel, cannot be fetched here.")
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    kept = {
        str(one.relative_to(ROOT)) for one in (ROOT / "syncagent" / "web").rglob("*") if one.suffix in (".html", ".css")
    }
    assert len(kept) > 10
    assert kept <= names
