"""One life of a state file after another: a restored backup, a new file on an old CRM, and what is not known yet."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from syncagent.model import Activity, Identity
from syncagent.state import restore
from tests.story.theatre import Theatre


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Theatre]:
    with Theatre(tmp_path) as theatre:
        theatre.agent.once()
        theatre.clock.advance(timedelta(minutes=1))
        yield theatre


def handed_off(stage: Theatre, name: str) -> None:
    stage.does(stage.person(name, title="Director"), "form.submitted", "demo-request")
    stage.agent.once()


def test_a_restored_backup_makes_nothing_again(stage: Theatre, tmp_path: Path) -> None:
    handed_off(stage, "mia")
    stage.agent.store.backup(str(tmp_path / "copy.db"))
    handed_off(stage, "tom")
    owner = stage.record("tom").fields["owner"]
    stage.agent.store.close()
    assert restore(tmp_path / "copy.db", stage.state).endswith("-e2")
    stage.start()
    stage.after(minutes=1)
    stage.after(minutes=1)
    assert [len(stage.tasks(name)) for name in ("mia", "tom")] == [1, 1]
    assert stage.record("tom").fields["owner"] == owner
    decision = stage.dossier("tom").decision
    assert decision is not None
    assert decision.handoff is not None
    assert decision.handoff.clock_started_at is not None, "the promise is watched in the new life too"
    handed_off(stage, "new")
    assert [task.key.split(":")[0][-2:] for task in stage.tasks("new")] == ["e2"]


def test_a_new_file_on_an_old_crm_never_uses_a_key_again(stage: Theatre) -> None:
    handed_off(stage, "mia")
    stage.agent.store.close()
    for old in stage.state.parent.glob("state.db*"):
        old.unlink()
    stage.clock.advance(timedelta(hours=1))
    stage.start()
    stage.agent.once()
    handed_off(stage, "tom")
    handed_off(stage, "eva")
    assert [len(stage.tasks(name)) for name in ("mia", "tom", "eva")] == [1, 1, 1]
    assert len({record.identity for record in stage.crm.records.values()}) == 3
    assert len({key.split(":")[0] for key in stage.crm.keys}) == 2


def test_nothing_is_decided_before_the_crm_was_read_whole(tmp_path: Path) -> None:
    with Theatre(tmp_path) as stage:
        stage.crm.fail_next("down", "pull", until=stage.clock.now() + timedelta(minutes=10))
        stage.does(stage.person("mia", title="Director"), "form.submitted", "contact-sales")
        stage.agent.once()
        assert not stage.crm.tasks
        assert stage.agent.store.journal() == ()
        stage.after(minutes=11)
        assert len(stage.tasks("mia")) == 1


def test_nothing_is_said_of_somebody_who_was_not_looked_up_yet(stage: Theatre) -> None:
    who = Identity("web", "lead", "mia")
    stage.web.feed([Activity(who, "k1", stage.clock.now(), "form.submitted", "demo-request")])
    stage.agent.once()
    assert stage.agent.store.journal() == ()
    stage.person("mia", title="Director")
    stage.after(seconds=1)
    assert len(stage.tasks("mia")) == 1


def test_what_is_dated_in_the_future_counts_when_its_time_has_come(stage: Theatre) -> None:
    who = stage.person("mia", title="Director")
    stage.does(who, "form.submitted", "demo-request", at=stage.clock.now() + timedelta(days=3))
    stage.after(minutes=1)
    assert not stage.crm.tasks
    stage.after(days=4)
    assert len(stage.tasks("mia")) == 1


def test_a_score_that_falls_by_itself_is_told_to_the_crm(stage: Theatre) -> None:
    stage.lead("mia")
    stage.does(stage.person("mia", title="Clerk"), "form.submitted", "demo-request")
    stage.after(minutes=1)
    assert stage.record("mia").fields["score"] == 40
    stage.after(days=29)
    assert stage.record("mia").fields["score"] == 40
    stage.after(days=1, hours=3)
    assert stage.record("mia").fields["score"] == 0
    written = stage.record("mia").modified_at
    for _ in range(5):
        stage.after(days=10)
    assert stage.record("mia").modified_at == written
