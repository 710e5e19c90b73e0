"""The daemon as a process on memory systems: a config that is read again, and a mistake of ours in a connector."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from syncagent.agent.control import ask, socket_path
from syncagent.cli import main
from syncagent.state import open_store
from tests.story.theatre import CONFIG

ROOT = Path(__file__).parents[2]
OURS = CONFIG.replace("[agent]", '[agent]\nstate = "state.db"').replace(
    'type = "memory"', 'type = "memory"\npoll = "1s"'
)


def in_use(state: Path) -> str:
    """The digest of the policy that decides."""
    store = open_store(state, read_only=True)
    try:
        kept = store.policy_at(datetime.now(UTC))
    finally:
        store.close()
    assert kept is not None
    return kept.digest


class Daemon:
    """A running agent in `folder`; `lines` are what it has logged."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        self.state = folder / "state.db"
        self.log = folder / "log.jsonl"
        command = ["run", "--log-format", "json", "--config", str(folder / "config.toml")]
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "syncagent", *command],
                stderr=log,
                env={**os.environ, "PYTHONPATH": f"{ROOT}:{folder}", **environment},
            )

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]

    def says(self, text: str) -> bool:
        return any(text in line["message"] for line in self.lines())

    def asks(self, name: str) -> None:
        """Somebody fills out a form; the order goes to the running agent."""
        table = self.folder / f"{name}.csv"
        now = datetime.now(UTC).isoformat()
        table.write_text(f"email,title,kind,at,asset\n{name}@example.com,Director,form.submitted,{now},demo-request\n")
        self.command("import", str(table), "--source", "fair")

    def command(self, *args: str) -> str:
        done = CliRunner(env={"COLUMNS": "400"}).invoke(main, [*args, "--config", str(self.folder / "config.toml")])
        assert done.exit_code == 0, done.output
        return done.stdout

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(15)


@contextmanager
def daemon(folder: Path, **environment: str) -> Iterator[Daemon]:
    it = Daemon(folder, **environment)
    try:
        assert until(lambda: socket_path(it.state).exists())
        yield it
    finally:
        if it.process.poll() is None:
            it.process.kill()
        it.process.wait()


def until(true: Callable[[], bool], seconds: float = 20.0) -> bool:
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def handed(it: Daemon, count: int) -> bool:
    told = json.loads(it.command("status", "--json"))
    return bool(told["with_sales"] == count and set(told["outbox"]) == {"done"})


def test_a_config_without_a_status_in_use_is_refused_and_the_old_one_goes_on(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text(OURS)
    with daemon(tmp_path) as it:
        it.asks("mia")
        assert until(lambda: handed(it, 1)), it.log.read_text()
        config.write_text(OURS.replace('mql = "Sales Ready"', 'mql = "Ready"'))
        it.process.send_signal(signal.SIGHUP)
        assert until(lambda: it.says("The config was not taken over, the old one goes on"))
        (line,) = [line for line in it.lines() if "not taken over" in line["message"]]
        assert "1 open handoffs have the status 'Sales Ready', which is not there any more." in line["message"]
        assert 'accepted = ["Sales Ready"]' in line["message"]
        assert not it.says("read again")
        config.write_text(OURS)
        it.asks("tom")
        assert until(lambda: handed(it, 2)), it.log.read_text()
        config.write_text(
            OURS.replace('mql = "Sales Ready"', 'mql = "Ready"').replace('"Working"]', '"Working", "Sales Ready"]')
        )
        before = in_use(it.state)
        it.process.send_signal(signal.SIGHUP)
        assert until(lambda: it.says("The config was read again; 2 people are planned by it."))
        assert in_use(it.state) != before, "what was decided until now is explained by the policy of then"
        it.asks("eva")
        assert until(lambda: handed(it, 3)), it.log.read_text()
        config.write_text("[agent")
        it.process.send_signal(signal.SIGHUP)
        assert until(lambda: it.says("This is not TOML"))
        config.unlink()
        it.process.send_signal(signal.SIGHUP)
        assert until(lambda: it.says("There is no config here"))
        assert ask(it.state, {"do": "release"}) == {"released": 0}
        assert it.stop() == 0


FACTORY = """
from pathlib import Path
from syncagent.clock import SystemClock
from syncagent.connectors.memory import Memory

def make():
    whole = Memory.pull
    def pull(self, cursor):
        if self.name == "web" and Path(__file__).with_name("fault").exists():
            raise KeyError("surprise")
        return whole(self, cursor)
    Memory.pull = pull
    return SystemClock(), lambda point: None
"""


def test_a_mistake_in_a_connector_ends_nothing_and_is_seen_everywhere(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(OURS)
    (tmp_path / "mistake.py").write_text(FACTORY)
    (tmp_path / "fault").touch()
    with daemon(tmp_path, SYNCAGENT_TEST_FACTORY="mistake:make") as it:
        it.asks("mia")
        assert until(lambda: handed(it, 1)), it.log.read_text()
        assert "web is broken, and is not read until" in it.command("status")
        assert until(lambda: sum("web is not read until" in line["message"] for line in it.lines()) > 1)
        assert sum("trace" in line for line in it.lines()) == 1
        assert it.process.poll() is None
        assert it.stop() == 3
    (tmp_path / "fault").unlink()
    with daemon(tmp_path, SYNCAGENT_TEST_FACTORY="mistake:make") as it:
        assert until(lambda: "broken" not in it.command("status"))
        assert it.stop() == 0
