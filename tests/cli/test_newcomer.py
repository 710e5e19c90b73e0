"""What newcomers ran into: hostile data on the screen, wrong remedies, silent failures, orders that cannot be meant."""

import json
import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from syncagent.cli import COMMANDS, counted, logs, main
from syncagent.cli.run import sum_up
from syncagent.connectors.memory import Memory
from syncagent.errors import ConnectorDownError
from syncagent.model import Page
from tests.story.theatre import CONFIG, Theatre

HOSTILE = "[/bold] [x] :smile: \x1b[2J ana.silva@example.com"
ON_SCREEN = "[/bold] [x] :smile: \\x1b[2J a***@example.com"
OURS = CONFIG.replace("[agent]\n", '[agent]\nstate = "state.db"\n')


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.toml").write_text(OURS)
    return tmp_path


@pytest.fixture
def parked(folder: Path) -> Path:
    """A state in which the CRM refused a task with a hostile sentence; somebody else is still to be planned."""
    with Theatre(folder, OURS) as theatre:
        theatre.clock.move_to(datetime.now(UTC))
        theatre.crm.fail_next("refused", "CreateTask", why=HOSTILE)
        theatre.does(theatre.person("ana", title="director"), "form.submitted", "contact-sales")
        theatre.agent.once()
        theatre.does(theatre.person("mia", title="director", first_name="[/red]"), "form.submitted", "contact-sales")
        theatre.agent.gather("web")
    return folder


def syncagent(folder: Path, *args: str, exit_code: int = 0) -> Result:
    runner = CliRunner(env={"COLUMNS": "80"})
    result = runner.invoke(main, [*args, "--config", str(folder / "config.toml")])
    assert result.exit_code == exit_code, (result.output, result.exception)
    return result


def told(folder: Path, *args: str, exit_code: int = 0) -> str:
    """All that a command says, its lines made one."""
    return " ".join(syncagent(folder, *args, exit_code=exit_code).output.split())


# -- data on the screen


def test_what_looks_like_markup_is_text(parked: Path) -> None:
    assert ON_SCREEN in told(parked, "outbox", "list")
    assert "[/bold] [x]" in told(parked, "explain", "ana@example.com")
    with closing(sqlite3.connect(parked / "state.db")) as db, db:
        until = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
        db.execute("insert into meta values ('down/web', ?)", (json.dumps({"until": until, "why": HOSTILE}),))
    assert ON_SCREEN in told(parked, "status")
    rehearsal = told(parked, "run", "--dry-run")
    assert "[/red]" in rehearsal
    assert "1 CreateTask" in rehearsal


def test_keys_are_whole_and_reasons_are_not_cut_at_80_columns(parked: Path) -> None:
    (item,) = json.loads(syncagent(parked, "outbox", "list", "--state", "parked", "--json").output)
    lines = syncagent(parked, "outbox", "list").output.splitlines()
    assert item["command"]["key"] in lines
    assert any("CreateTask" in line and "parked" in line for line in lines)
    assert "silva@" not in item["why"]
    assert "attempt" in item["command"]


def test_a_round_names_what_helps_for_what_is_parked(folder: Path) -> None:
    with Theatre(folder, OURS) as theatre:
        assert sum_up(theatre.agent, as_json=False).endswith("0 parked; 0 people held.")
        theatre.crm.fail_next("refused", "CreateTask", why=HOSTILE)
        theatre.does(theatre.person("ana", title="director"), "form.submitted", "contact-sales")
        theatre.agent.once()
        assert "1 parked; 0 people held. See what was refused and why with" in sum_up(theatre.agent, as_json=False)
        assert "See what" not in sum_up(theatre.agent, as_json=False, helps=False)


def test_data_cannot_forge_a_log_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("text", "info")
    log = logging.getLogger("syncagent")
    log.info("Told %s", "ana\n2026-01-01 00:00:00 error  forged \x1b[31m")
    try:
        int("one\n2026-01-01 00:00:00 error  forged")
    except ValueError:
        log.exception("It failed")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].endswith("Told ana\\n2026-01-01 00:00:00 error  forged \\x1b[31m")
    assert "It failed" in lines[1]
    assert len(lines) > 3
    assert all(line.startswith("    ") for line in lines[2:])


# -- wrong places


def test_a_state_in_a_folder_that_is_not_there(folder: Path) -> None:
    (folder / "config.toml").write_text(OURS.replace('"state.db"', '"nowhere/state.db"'))
    output = syncagent(folder, "run", "--once", exit_code=1).output
    assert f"There is no folder {folder / 'nowhere'}" in output
    assert "mkdir -p" in output
    (folder / "nowhere").write_text("a file")
    table = folder / "people.csv"
    table.write_text("email\nmia@example.com\n")
    assert "There is no folder" in syncagent(folder, "import", str(table), "--source", "fair", exit_code=1).output


def test_backup_into_a_folder_that_is_not_there(parked: Path) -> None:
    output = syncagent(parked, "backup", str(parked / "nowhere" / "copy.db"), exit_code=1).output
    assert f"There is no folder {parked / 'nowhere'}." in output


def test_a_backup_of_nothing_makes_no_state(folder: Path) -> None:
    assert "syncagent run" in syncagent(folder, "backup", str(folder / "copy.db"), exit_code=1).output
    assert not list(folder.glob("*.db"))


def test_only_a_backup_can_be_restored(parked: Path) -> None:
    before = (parked / "state.db").read_bytes()
    text, empty, other = parked / "notes.txt", parked / "empty.db", parked / "other.db"
    text.write_text("no database")
    empty.touch()
    with closing(sqlite3.connect(other)) as db:
        db.execute("create table t (x)")
    for wrong in (text, empty, other, parked):
        output = syncagent(parked, "restore", str(wrong), exit_code=1).output
        assert "syncagent backup" in output or "Is a directory" in output
        assert "damaged" not in output
    assert (parked / "state.db").read_bytes() == before


def test_sandbox_overwrites_a_config_only_when_told(folder: Path) -> None:
    before = (folder / "config.toml").read_text()
    command = ["sandbox", "marketo", "--write-config"]
    result = CliRunner().invoke(main, [*command, str(folder / "config.toml")])
    assert result.exit_code == 1
    assert "--force" in result.output
    assert (folder / "config.toml").read_text() == before
    result = CliRunner().invoke(main, [*command, str(folder / "nowhere" / "config.toml")])
    assert result.exit_code == 1
    assert "There is no folder" in result.output


# -- exit codes


def test_a_state_that_no_command_has_is_wrong_usage(parked: Path) -> None:
    assert "'praked' is not one of" in told(parked, "outbox", "list", "--state", "praked", exit_code=2)
    assert "No command is sending or dropped." in told(
        parked, "outbox", "list", "--state", "sending", "--state", "dropped"
    )


def test_a_round_in_which_something_is_refused_ends_with_3(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse: list[bool] = []
    monkeypatch.setattr("syncagent.cli.run.Agent.once", lambda _agent: refuse.append(True))
    monkeypatch.setattr("syncagent.cli.run._refused", lambda _agent: len(refuse))
    syncagent(folder, "run", "--once", exit_code=3)
    monkeypatch.setattr("syncagent.cli.run._refused", lambda _agent: 1)  # as many as before
    syncagent(folder, "run", "--once")


@pytest.mark.parametrize("verb", ["retry", "drop"])
def test_keys_that_are_not_parked_are_named(parked: Path, verb: str) -> None:
    items = json.loads(syncagent(parked, "outbox", "list", "--state", "parked", "--json").output)
    (done, *_) = json.loads(syncagent(parked, "outbox", "list", "--state", "done", "--json").output)
    key, finished = items[0]["command"]["key"], done["command"]["key"]
    none = syncagent(parked, "outbox", verb, "no-such-key", exit_code=1).output
    assert "No command has the key no-such-key." in none
    some = syncagent(parked, "outbox", verb, key, finished, exit_code=3).output
    assert f"{finished} is done, not parked." in some
    assert "1 of 2 is" in some


@pytest.mark.parametrize("order", [("outbox", "retry", "k"), ("outbox", "drop", "k"), ("release", "--scores")])
def test_orders_without_a_state_make_none(folder: Path, order: tuple[str, ...]) -> None:
    assert "There is no state" in syncagent(folder, *order, exit_code=1).output
    assert not (folder / "state.db").exists()


def test_deletions_are_believed_of_known_systems_only(parked: Path) -> None:
    output = syncagent(parked, "release", "--deletions", "wbe", exit_code=1).output
    assert "'wbe' is none of the systems: web, crm." in output
    output = syncagent(parked, "release", "--deletions", "web").output
    assert "What web says was deleted is believed for an hour" in output
    assert "syncagent run" in output
    assert "Planned anew" not in output


@pytest.fixture
def web_down(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    pull = Memory.pull

    def fails(self: Memory, cursor: str) -> Iterator[Page]:
        if self.name == "web":
            raise ConnectorDownError("The credentials of ana.silva@example.com were refused.")
        return pull(self, cursor)

    with monkeypatch.context() as patched:
        patched.setattr(Memory, "pull", fails)
        yield patched


def test_a_round_with_a_system_down_says_which_and_why(folder: Path, web_down: pytest.MonkeyPatch) -> None:
    for args in (("run", "--dry-run"), ("run", "--once")):
        output = syncagent(folder, *args, exit_code=3).output
        assert "✗ web failed: The credentials of a***@example.com were refused." in output
        result = syncagent(folder, *args, "--json", exit_code=3)
        assert list(json.loads(result.stdout)["troubles"]) == ["web"]
    assert "web is not used until" in syncagent(folder, "status").output
    web_down.undo()
    syncagent(folder, "run", "--once")
    assert "is not used" not in syncagent(folder, "status").output


def test_a_moment_that_is_none_is_wrong_usage(parked: Path) -> None:
    out = parked / "q1.jsonl"
    for command, option in (
        (("explain", "1"), "--at"),
        (("score", "1"), "--at"),
        (("journal", "export", "--output", str(out)), "--since"),
        (("backfill", "web"), "--since"),
    ):
        assert f"'{option}': 'soon' is not a moment" in told(parked, *command, option, "soon", exit_code=2)
    assert not out.exists()
    told(parked, "release", "--limit", "0", exit_code=2)


# -- backfills


def test_backfills_that_cannot_be_meant_are_refused(folder: Path) -> None:
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    assert "lies in the future" in syncagent(folder, "backfill", "web", "--since", tomorrow, exit_code=1).output
    backwards = ("backfill", "web", "--since", "2026-03-01", "--until", "2026-02-01")
    assert "is not after --since" in syncagent(folder, *backwards, exit_code=1).output
    syncagent(folder, "backfill", "web", "--since", "2026-02-01", "--until", "2026-03-01")


def test_status_tells_backfills_apart_and_whether_they_are_done(folder: Path) -> None:
    syncagent(folder, "backfill", "web", "--since", "2026-01-01", "--until", "2026-03-01")
    syncagent(folder, "backfill", "web", "--since", "2026-01-02", "--until", "2026-03-01")
    syncagent(folder, "run", "--once")
    unfinished = "web/backfill/2026-01-02T00:00:00Z"
    with closing(sqlite3.connect(folder / "state.db")) as db, db:
        db.execute("insert or replace into meta values ('backfills', ?)", (json.dumps([unfinished]),))
    output = syncagent(folder, "status").output
    assert "Backfill of web since 2026-01-01T00:00:00Z: done." in output
    assert "Backfill of web since 2026-01-02T00:00:00Z: unfinished; `syncagent run` carries it on." in output
    assert "/backfill/" not in output
    assert output.count("in use") == 2
    assert json.loads(syncagent(folder, "status", "--json").output)["backfills"] == [unfinished]


# -- files


@pytest.mark.parametrize("name", ["web", "crm"])
def test_a_file_does_not_pass_for_a_system(folder: Path, name: str) -> None:
    table = folder / "people.csv"
    table.write_text("email\nmia@example.com\n")
    assert "Choose a name of its own" in told(folder, "import", str(table), "--source", name, exit_code=1)
    assert "1 row read, 1 new fact." in told(folder, "import", str(table), "--source", "fair")


def test_nobody_acts_next_week(folder: Path) -> None:
    now = datetime.now(UTC)
    table = folder / "people.csv"
    table.write_text(
        "email,kind,at\n"
        f"mia@example.com,form.submitted,{(now + timedelta(days=7)).isoformat()}\n"
        f"tom@example.com,form.submitted,{(now + timedelta(hours=20)).isoformat()}\n"
    )
    output = told(folder, "import", str(table), "--source", "fair", exit_code=3)
    assert "2 rows read, 2 new facts. 1 row was refused; mend it in" in output
    assert "lies in the future" in (folder / "people.refused.csv").read_text()


@pytest.mark.parametrize(("sign", "name"), [(";", "semicolons"), ("\t", "tabs")])
def test_a_table_with_other_commas_is_one_mistake(folder: Path, sign: str, name: str) -> None:
    table = folder / "people.csv"
    table.write_text(sign.join(("email", "title")) + "\n" + sign.join(("mia@example.com", "Director")) + "\n")
    output = told(folder, "import", str(table), "--source", "fair", exit_code=1)
    assert f"by {name}; save it with commas" in output
    assert not (folder / "people.refused.csv").exists()


# -- texts


def test_help_answers_to_h_and_fits_80_columns() -> None:
    result = CliRunner().invoke(main, ["-h"], terminal_width=80)
    assert result.exit_code == 0
    assert "..." not in result.output.partition("Commands:")[2]
    assert all(f"  {name} " in result.output for name in COMMANDS)
    assert CliRunner().invoke(main, ["outbox", "list", "-h"]).exit_code == 0
    outbox = CliRunner().invoke(main, ["outbox", "-h"], terminal_width=80).output
    assert "..." not in outbox.partition("Commands:")[2]


def test_one_is_not_many() -> None:
    assert [counted(n, "row") for n in (0, 1, 2)] == ["0 rows", "1 row", "2 rows"]
    assert counted(2, "person", "people") == "2 people"


def test_log_lines_are_sentences_side_by_side(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    with Theatre(folder, OURS) as theatre, caplog.at_level(logging.INFO, logger="syncagent"):
        theatre.does(theatre.person("ana", title="director"), "form.submitted", "contact-sales")
        theatre.agent.once()
    lines = [record.getMessage() for record in caplog.records]
    assert any(line.count(": ") > 1 for line in lines), lines
    assert not any(".;" in line for line in lines)
