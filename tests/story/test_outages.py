"""Failures: what stops, for how long, what goes on meanwhile, and where an admin sees it."""

import itertools
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from msgspec import structs

from syncagent.agent.outages import LONGEST, READING, WRITING
from syncagent.cli import main
from syncagent.clock import SystemClock
from syncagent.errors import RetryableError
from syncagent.model import Lane, Page
from tests.story.theatre import CONFIG, Theatre


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Theatre]:
    (tmp_path / "config.toml").write_text(CONFIG.replace("[agent]", '[agent]\nstate = "state.db"'))
    with Theatre(tmp_path) as theatre:
        theatre.agent.once()
        theatre.clock.advance(timedelta(minutes=1))
        yield theatre


def asks(stage: Theatre, *names: str) -> None:
    for name in names:
        stage.does(stage.person(name, title="Director"), "form.submitted", "demo-request")


def status(stage: Theatre, monkeypatch: pytest.MonkeyPatch) -> str:
    """What the admin is shown at this moment."""
    with monkeypatch.context() as patched:
        patched.setattr(SystemClock, "now", lambda _: stage.clock.now())
        done = CliRunner(env={"COLUMNS": "400"}).invoke(
            main, ["status", "--config", str(stage.state.parent / "config.toml")]
        )
    assert done.exit_code == 0, done.output
    return done.stdout


def calls(stage: Theatre, monkeypatch: pytest.MonkeyPatch, verb: str, error: Exception | None) -> list[float]:
    """From now on that verb of the CRM fails with that error; the moments (seconds) at which it was called."""
    whole, at, start = getattr(stage.crm, verb), [], stage.clock.now()

    def called(argument):
        at.append((stage.clock.now() - start).total_seconds())
        if error is not None:
            raise error
        return whole(argument)

    monkeypatch.setattr(stage.crm, verb, called)
    return at


# -- who stops


@pytest.mark.parametrize("how", ["unsent", "many deletions"])
def test_a_poll_that_fails_stops_no_delivery(stage: Theatre, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if how == "unsent":
        stage.crm.fail_next("unsent", "pull", after=90)
    else:
        for number in range(60):
            lead = stage.lead(f"old{number}")
            stage.crm.delete(lead, "somebody", stage.clock.now())
    asks(stage, "mia")
    stage.agent.once()
    assert len(stage.tasks("mia")) == 1
    assert stage.agent.outages.rest("crm", READING) > 60
    assert "crm is not read until" in status(stage, monkeypatch)
    assert "not used" not in status(stage, monkeypatch)


@pytest.mark.parametrize("verb", ["pull", "apply"])
def test_a_system_that_is_down_is_neither_read_nor_written(
    stage: Theatre, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asks(stage, "mia")
    stage.agent.gather("web")
    stage.agent.decide()
    stage.crm.fail_next("down", verb, until=stage.clock.now() + timedelta(hours=1))
    if verb == "pull":
        stage.agent.gather("crm")
    else:
        stage.agent.deliver("crm")
    reads, writes = (calls(stage, monkeypatch, each, None) for each in ("pull", "apply"))
    for _ in range(11):
        stage.after(minutes=5)
    assert reads == writes == []
    assert "crm is not used until 2026-03-02 10:01:00 UTC" in status(stage, monkeypatch)
    stage.after(minutes=6)
    assert reads and writes
    assert len(stage.tasks("mia")) == 1
    assert "is not" not in status(stage, monkeypatch)


# -- how long


def test_who_says_wait_is_left_alone_by_both_lanes(stage: Theatre, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many batches are due, hot and cold; the first is told to wait."""
    asks(stage, *(f"hot{number}" for number in range(9)))
    for number in range(9):
        stage.lead(f"cold{number}")
        stage.person(f"cold{number}", title="Director")
    stage.agent.gather("web")
    stage.agent.gather("crm")
    while stage.agent.decide():
        pass
    monkeypatch.setattr(stage.crm, "batch_size", 1)
    made = calls(stage, monkeypatch, "apply", RetryableError("Wait 40 s.", 40))
    for _ in range(39):
        for lane in Lane:
            while stage.agent.deliver("crm", lane):
                pass
        stage.clock.advance(timedelta(seconds=1))
    assert made == [0]


@pytest.mark.parametrize("verb", ["pull", "apply"])
def test_who_keeps_failing_is_asked_ever_more_seldom(
    stage: Theatre, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    asks(stage, "mia")
    with monkeypatch.context() as failing:
        made = calls(stage, failing, verb, RetryableError("No answer.", 1))
        for _ in range(600):
            stage.after(seconds=1)
    pauses = [after - before for before, after in itertools.pairwise(made)]
    assert pauses[0] <= 2
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST
    stage.after(seconds=LONGEST)
    stage.after(seconds=30)
    assert len(stage.tasks("mia")) == 1
    assert not stage.agent.outages.troubles()
    again = calls(stage, monkeypatch, verb, RetryableError("No answer.", 1))
    asks(stage, "tom")
    for _ in range(4):
        stage.after(seconds=1)
    assert again[1] - again[0] <= 2, "after a success it starts afresh"


def test_calls_that_fail_together_are_one_failure(stage: Theatre) -> None:
    for _ in range(6):
        stage.agent.outages.begin("crm", WRITING, RetryableError("No answer.", 2))
    assert stage.agent.outages.rest("crm", WRITING) == 2


# -- mistakes of ours


def broken(argument):
    raise KeyError("surprise")


def test_a_mistake_in_reading_is_shown_and_all_else_goes_on(
    stage: Theatre, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asks(stage, "mia")
    with monkeypatch.context() as patched:
        patched.setattr(stage.crm, "pull", broken)
        stage.agent.once()
        assert len(stage.tasks("mia")) == 1
        told = status(stage, monkeypatch)
        assert "crm is broken, and is not read until" in told
        assert "KeyError: 'surprise'" in told
        assert "`syncagent check`" in told
        for _ in range(60):
            stage.after(seconds=10)
        assert sum(line.exc_info is not None for line in caplog.records) == 1
        assert stage.agent.outages.broken()
    for _ in range(4):
        stage.after(seconds=LONGEST)
    assert not stage.agent.outages.troubles()
    assert "broken" not in status(stage, monkeypatch)


@pytest.mark.parametrize("how", ["at once", "after the effect", "in the middle", "forgets one", "tells one twice"])
def test_a_mistake_in_writing_leaves_each_effect_once(
    stage: Theatre, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    asks(stage, "mia", "tom", "eva")
    whole = stage.crm.apply

    def apply(batch):
        if how == "at once":
            raise KeyError("surprise")
        for number, answer in enumerate(whole(batch)):
            if how == "in the middle" and number == 4:
                raise KeyError("surprise")
            if how == "tells one twice":
                yield answer
            if how == "forgets one" and number == 1:
                continue
            if how != "after the effect":
                yield answer
        if how == "after the effect":
            raise KeyError("surprise")

    with monkeypatch.context() as patched:
        patched.setattr(stage.crm, "apply", apply)
        stage.agent.once()
    assert "crm is broken, and is not written to until" in status(stage, monkeypatch)
    assert not stage.agent.store.outbox(("sending",))
    asks(stage, "bob")
    stage.agent.gather("web")
    assert stage.agent.decide()
    for _ in range(6):
        stage.after(seconds=40)
    for name in ("mia", "tom", "eva", "bob"):
        assert len(stage.tasks(name, closed=False)) == 1, name
    assert len(stage.crm.notified) <= 4
    assert {one.state for one in stage.agent.store.outbox()} <= {"unknown"}
    assert not stage.agent.outages.troubles()


def test_a_page_that_cannot_be_stored_stops_only_its_source(stage: Theatre, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mistake of a connector that shows only in the state."""
    asks(stage, "mia")
    stage.agent.gather("web")
    (lead,) = stage.web.leads.values()
    monkeypatch.setattr(stage.web, "pull", lambda cursor: iter([Page((structs.replace(lead, identity=None),), cursor)]))
    stage.agent.once()
    assert len(stage.tasks("mia")) == 1
    assert "web is broken, and is not read until" in status(stage, monkeypatch)


def test_a_mistake_in_deciding_is_shown_and_tried_again(
    stage: Theatre, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asks(stage, "mia")
    with monkeypatch.context() as patched:
        patched.setattr(stage.agent.store, "brake_counts", broken)
        for _ in range(3):
            stage.after(seconds=1)
        assert "the agent is broken, and is not planning until" in status(stage, monkeypatch)
    assert sum(line.exc_info is not None for line in caplog.records) == 1
    stage.after(seconds=30)
    assert len(stage.tasks("mia")) == 1
    assert "broken" not in status(stage, monkeypatch)


def test_one_round_with_a_mistake_ends_with_3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.toml").write_text(CONFIG.replace("[agent]", '[agent]\nstate = "state.db"'))
    monkeypatch.setattr("syncagent.connectors.memory.Memory.pull", lambda _self, _cursor: broken(""))
    done = CliRunner().invoke(main, ["run", "--once", "--json", "--config", str(tmp_path / "config.toml")])
    assert done.exit_code == 3
    assert "KeyError" in json.loads(done.stdout)["troubles"]["web"]
    assert "Traceback" in done.stderr
