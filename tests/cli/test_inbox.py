"""`syncagent inbox`: what could not be read is seen, the mapping mended, and it is read after all."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from syncagent.cli import main
from syncagent.state import open_store
from syncagent.state.store import Post
from tests.story.theatre import CONFIG

DOOR = """
[sources.site]
type = "webhook"
dialect = "json"
secret = { env = "TEST_HOOK_SECRET" }
[sources.site.mapping]
email = "mail"
kind = { constant = "form.submitted" }
"""
KEPT = '[agent]\nkeep_refused = "36500d"'


def run(folder: Path, *words: str, exit_code: int = 0) -> Result:
    result = CliRunner().invoke(main, [*words, "--config", str(folder / "config.toml")], catch_exceptions=False)
    assert result.exit_code == exit_code, result.output
    return result


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TEST_HOOK_SECRET", "a-token")
    (tmp_path / "config.toml").write_text(CONFIG.replace("[crm]\n", f"{DOOR}\n[crm]\n", 1).replace("[agent]", KEPT))
    store = open_store(tmp_path / "syncagent.db")
    bodies = (b'{"email":"ana@example.com"}', b'{"mail":"ben@example.com"}', b'{"x":"\xff"}')
    now = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
    store.receive([Post("site", now, "POST", "/hooks/site", {"ce-id": "1"}, body) for body in bodies]).result()
    store.close()
    run(tmp_path, "run", "--once")
    return tmp_path


def test_what_is_refused_is_seen_and_counted(folder: Path) -> None:
    assert "Inbox: 2 posted and could not be read." in run(folder, "status").output
    assert json.loads(run(folder, "status", "--json").output)["inbox"] == {"refused": 2}
    output = run(folder, "inbox", "list").output
    assert "1  site, 2026-03-02 09:00:00 UTC: There is neither an email nor an id." in output
    assert "not JSON" in output
    assert "They are kept for 36500d (keep_refused under [agent]), the newest 10,000 at most." in output
    assert [one["id"] for one in json.loads(run(folder, "inbox", "list", "--json").output)] == [1, 3]
    shown = run(folder, "inbox", "show", "1").output
    assert '{"email":"a***@example.com"}' in shown
    assert "ce-id: 1" in shown
    assert "inbox list" in run(folder, "inbox", "show", "2", exit_code=1).output


def test_what_is_old_is_given_up_and_what_was_never_read_is_not(folder: Path) -> None:
    config = folder / "config.toml"
    config.write_text(config.read_text().replace(KEPT, "[agent]").replace("sources.site", "sources.shop"))
    store = open_store(folder / "syncagent.db")
    store.receive([Post("site", datetime(2026, 3, 2, tzinfo=UTC), "POST", "/hooks/site", {}, b"{}")]).result()
    store.close()
    run(folder, "run", "--once")
    assert json.loads(run(folder, "status", "--json").output)["inbox"] == {"waiting": 1}
    config.write_text(config.read_text().replace("[agent]", '[agent]\nkeep_refused = "long"'))
    assert "agent.keep_refused" in run(folder, "status", exit_code=2).output


def test_after_the_mapping_was_mended_it_is_read(folder: Path) -> None:
    config = folder / "config.toml"
    config.write_text(config.read_text().replace('email = "mail"', 'email = { path = ["mail", "email"] }'))
    assert "2 deliveries are read again" in run(folder, "inbox", "retry").output
    assert [one["id"] for one in json.loads(run(folder, "inbox", "list", "--json").output)] == [3]
    store = open_store(folder / "syncagent.db", read_only=True)
    assert store.find("ana@example.com")
    store.close()


def test_one_can_be_given_up_and_a_wrong_id_fails(folder: Path) -> None:
    assert run(folder, "inbox", "drop", "1").output == "1 delivery is dropped.\n"
    run(folder, "inbox", "drop", "1", exit_code=1)
    run(folder, "inbox", "retry", "2", exit_code=1)
    assert json.loads(run(folder, "inbox", "retry", "3", "--json").output) == {"posts": 1}
    run(folder, "inbox", "drop", "3")
    assert "Everything that was posted" in run(folder, "inbox", "list").output
