"""A first start that is killed at each statement: who looks gets a sentence, and the next start goes on."""

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from syncagent.cli import main
from syncagent.state import open_store
from tests.story.theatre import CONFIG

ROOT = Path(__file__).parents[2]

KILLED = """
import os, signal, sys
from pathlib import Path
from syncagent.state import open_store, sqlite

def killed_at(number):
    left = [number]
    def pragma(connection, name, value):
        connection.set_trace_callback(traced)
        connection.execute(f"pragma {name} = {value}").close()
    def traced(statement):
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
    sqlite._pragma = pragma

folder, number = Path(sys.argv[1]), 0
while True:
    number += 1
    place = folder / f"{number:03}"
    place.mkdir()
    pid = os.fork()
    if not pid:
        killed_at(number)
        open_store(place / "state.db").close()
        os._exit(0)
    if not os.WIFSIGNALED(os.waitpid(pid, 0)[1]):
        break
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(CONFIG.replace("[agent]", '[agent]\nstate = "state.db"'))
    return path


def told(folder: Path, config: Path, *args: str) -> str:
    (folder / "config.toml").write_text(config.read_text())
    done = CliRunner().invoke(main, [*args, "--config", str(folder / "config.toml")])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    assert done.exit_code in (0, 1), done.output
    assert done.output.startswith("✗" if done.exit_code else ("Agent", "Nothing")), done.output
    return done.output if done.exit_code else ""


def test_whoever_looks_after_a_killed_first_start_gets_a_sentence(tmp_path: Path, config: Path) -> None:
    world = tmp_path / "world"
    world.mkdir()
    subprocess.run([sys.executable, "-c", KILLED, str(world)], check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    folders = sorted(world.iterdir())
    assert len(folders) > 20
    said = []
    for folder in folders[:-1]:
        for args in (["status"], ["release"]):
            if problem := told(folder, config, *args):
                said.append(problem)
                assert "syncagent run" in problem
                assert "backup" not in problem
        open_store(folder / "state.db").close()
        assert not told(folder, config, "status")
    assert said


def half_written(state: Path) -> None:
    """A copy of a file and its rollback journal in the middle of a write that is larger than the cache."""
    with closing(sqlite3.connect(state.with_name("whole.db"), isolation_level=None)) as db:
        for statement in ("pragma cache_size = 5", "create table notes (text)", "begin"):
            db.execute(statement)
        db.executemany("insert into notes values (?)", [("x" * 4000,)] * 50)
        for end in ("", "-journal"):
            shutil.copy(f"{state.with_name('whole.db')}{end}", f"{state}{end}")
        db.execute("rollback")


@pytest.mark.parametrize(
    "left", ["empty", "empty, with an empty log", "somebody else's", "half written", "no database"]
)
def test_a_file_that_is_no_state_is_told_in_a_sentence(tmp_path: Path, config: Path, left: str) -> None:
    state = tmp_path / "state.db"
    if left.startswith("empty"):
        state.touch()
        if "log" in left:
            state.with_name("state.db-wal").touch()
            state.with_name("state.db-journal").touch()
    elif left == "half written":
        half_written(state)
    elif left == "somebody else's":
        with closing(sqlite3.connect(state)) as db:
            db.execute("create table notes (text)")
    else:
        state.write_text("dear diary, " * 500)
    problem = told(tmp_path, config, "status")
    assert ("syncagent restore" if left == "no database" else "syncagent run") in problem
