"""`syncagent audit` as an admin types it."""

import json
import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from syncagent.cli import main
from syncagent.clock import SystemClock
from tests.story.theatre import CONFIG, T0, Theatre


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One is with sales; one was with sales before the agent; one sales took up by itself later."""
    (tmp_path / "config.toml").write_text(CONFIG.replace("[agent]", '[agent]\nstate = "state.db"'))
    stage = Theatre(tmp_path)
    stage.lead("old", status="Working", owner="ana")
    stage.clock.advance(timedelta(minutes=1))
    stage.agent.once()
    stage.does(stage.person("mia", title="Director"), "form.submitted", "demo-request")
    stage.after(minutes=1)
    stage.agent.store.set_meta("live_from", (T0 + timedelta(seconds=30)).isoformat())
    stage.lead("own", status="Working", owner="ben")
    stage.after(minutes=1)
    stage.after(minutes=1)
    stage.agent.store.close()
    now = stage.clock.now()
    monkeypatch.setattr(SystemClock, "now", lambda _: now)
    return tmp_path


def audit(folder: Path, *args: str) -> Result:
    return CliRunner().invoke(main, ["audit", *args, "--config", str(folder / "config.toml")])


def test_it_tells_who_is_watched_by_nobody_and_adopts_them(state: Path) -> None:
    found = audit(state)
    assert found.exit_code == 3
    assert "1 person in no state, or in two" in found.output
    assert "never handed it off, and no timer runs" in found.output
    assert "From before the agent went live: 1" in found.output
    told = json.loads(audit(state, "--json").stdout)
    assert told["states"] == {"with sales": 1}
    assert told["violations"][0]["mend"] == "syncagent audit --adopt"
    program = audit(state, "--adopt", "--json")
    assert (program.exit_code, "add --yes" in program.output) == (2, True)
    done = audit(state, "--adopt", "--yes")
    assert done.exit_code in (0, 3), done.output
    assert "Adopted: 2 people" in done.output
    again = json.loads(audit(state, "--mend", "--json").stdout)
    assert again["violations"] == []
    assert again["before"] == {}


def test_a_timer_that_was_lost_is_mended(state: Path) -> None:
    audit(state, "--adopt", "--yes")
    audit(state, "--mend")
    with sqlite3.connect(state / "state.db") as db:
        db.execute("update person set wake_at = null, dirty_since = null")
    db.close()
    found = audit(state)
    assert found.exit_code == 3
    assert "no timer runs" in found.output
    mended = audit(state, "--mend")
    assert mended.exit_code == 0, mended.output
    assert "Everybody past the line is in exactly one state." in mended.output
