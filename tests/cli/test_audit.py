"""`syncagent audit` as an admin types it."""

import json
import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from syncagent.cli import main
from syncagent.clock import SystemClock
from syncagent.reports.replay import again
from syncagent.state import open_store
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


def orders(folder: Path) -> set[tuple[str, str]]:
    """What an admin's orders decided, by what made it, and how it comes out when it is made again."""
    store = open_store(folder / "state.db", read_only=True)
    ledger = store.ledger()
    made = [again(ledger, one, None) for person in store.people(0, 9) for one in ledger.decisions(person)]
    store.close()
    return {(one.basis.by, one.how) for one in made if one.basis is not None and one.basis.by != "plan"}


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
    after = json.loads(audit(state, "--mend", "--json").stdout)
    assert after["violations"] == []
    assert after["before"] == {}
    assert orders(state) == {("adopt", "same")}


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


def test_a_decision_that_no_plan_would_make_is_mended_and_that_is_made_again(state: Path) -> None:
    audit(state, "--adopt", "--yes")
    asked = ["explain", "old@example.com", "--at", "2026-03-02T09:04", "--config", str(state / "config.toml")]
    told = " ".join(CliRunner().invoke(main, asked).output.split())
    assert "it is the same to the last byte. Sales had it before the agent watched it." in told and "Score: 0" in told
    with sqlite3.connect(state / "state.db") as db:
        sql = "update judged set decision = json_set(decision, '$.handoffs[0].state', 'returning') where person = ?"
        db.execute(sql, db.execute("select max(person) from judged").fetchone())
    db.close()
    assert audit(state).exit_code == 3
    audit(state, "--mend")
    assert orders(state) == {("adopt", "same"), ("mend", "same")}
