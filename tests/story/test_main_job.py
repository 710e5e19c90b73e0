"""Whole lives of leads through the agent, on memory systems."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from syncagent.model import HandoffState, Stage
from tests.story.theatre import CONFIG, T0, Theatre


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Theatre]:
    with Theatre(tmp_path) as theatre:
        theatre.agent.once()
        theatre.clock.advance(timedelta(minutes=1))
        yield theatre


def ready(stage: Theatre, name: str = "mia") -> str:
    """Somebody becomes ready; returns the owner."""
    who = stage.person(name, title="Director")
    stage.does(who, "form.submitted", "demo-request")
    stage.agent.once()
    return str(stage.record(name).fields["owner"])


def test_what_a_person_does_becomes_a_task_exactly_once(stage: Theatre) -> None:
    owner = ready(stage)
    record = stage.record("mia")
    assert record.fields["status"] == "Sales Ready"
    assert owner in ("ana", "ben")
    (task,) = stage.tasks("mia")
    assert task.owner == owner
    assert record.fields["score"] == 80
    for _ in range(3):
        stage.after(seconds=30)
    stage.restart()
    stage.after(seconds=30)
    assert len(stage.tasks("mia")) == 1


def test_somebody_who_is_not_ready_stays_with_marketing(stage: Theatre) -> None:
    who = stage.person("tim", title="Student")
    stage.does(who, "form.submitted", "demo-request")
    stage.after(seconds=1)
    assert not stage.crm.records


def test_a_hand_raiser_goes_at_once(stage: Theatre) -> None:
    stage.does(stage.person("tim", title="Student"), "form.submitted", "contact-sales")
    stage.after(seconds=1)
    assert len(stage.tasks("tim")) == 1


def test_history_is_scored_and_never_handed_off(stage: Theatre) -> None:
    who = stage.person("old", title="Director")
    stage.does(who, "form.submitted", "demo-request", at=T0 - timedelta(days=3))
    stage.agent.start_backfill("web", T0 - timedelta(days=30), None)
    stage.after(seconds=1)
    score = stage.dossier("old").decision
    assert score is not None
    assert score.score is not None
    assert score.score.total == 80
    assert not stage.crm.tasks


def test_a_promise_that_is_broken(stage: Theatre) -> None:
    first = ready(stage)
    stage.after(minutes=31)
    assert [task.owner for task in stage.tasks("mia", closed=False)] == [first, first]  # the task and a reminder
    stage.after(minutes=30)
    second = str(stage.record("mia").fields["owner"])
    assert {first, second} == {"ana", "ben"}
    open_tasks = stage.tasks("mia", closed=False)
    assert any(task.owner == second for task in open_tasks)
    main = [task for task in stage.tasks("mia") if task.key.endswith("a1:task")]
    assert [task.closed for task in main] == [True]


def test_a_touch_keeps_the_promise(stage: Theatre) -> None:
    owner = ready(stage)
    (task,) = stage.tasks("mia")
    stage.clock.advance(timedelta(minutes=10))
    stage.crm.complete(task.identity, owner, stage.clock.now())
    stage.agent.once()
    for _ in range(4):
        stage.after(minutes=30)
    assert len(stage.tasks("mia")) == 1
    assert stage.record("mia").fields["owner"] == owner


def test_given_back_with_a_date_and_brought_up_again(stage: Theatre) -> None:
    owner = ready(stage)
    stage.clock.advance(timedelta(minutes=10))
    back = (stage.clock.now() + timedelta(days=20)).date().isoformat()
    stage.crm.edit(
        stage.record("mia").identity,
        owner,
        stage.clock.now(),
        status="Recycled",
        recycle_reason="no budget",
        recycle_until=back,
    )
    stage.agent.once()
    decision = stage.dossier("mia").decision
    assert decision is not None
    assert decision.stage is Stage.RECYCLED
    assert decision.handoffs[-1].state is HandoffState.RETURNING
    assert decision.handoffs[-1].recycle_reason == "no budget"
    assert [nurture.list_id for nurture in stage.web.nurtured] == [7]
    assert not stage.tasks("mia", closed=False)
    stage.after(days=19)
    assert not stage.tasks("mia", closed=False)
    stage.after(days=2)
    assert stage.record("mia").fields["status"] == "Sales Ready"
    (task,) = stage.tasks("mia", closed=False)
    assert task.owner == owner
    decision = stage.dossier("mia").decision
    assert decision is not None
    assert [handoff.number for handoff in decision.handoffs] == [1, 2]


def test_a_human_wins(stage: Theatre) -> None:
    first = ready(stage)
    stage.clock.advance(timedelta(minutes=5))
    stage.crm.edit(stage.record("mia").identity, "boss", stage.clock.now(), owner="carla")
    stage.agent.once()
    for _ in range(10):
        stage.after(minutes=20)
    assert first != "carla"
    assert stage.record("mia").fields["owner"] == "carla"


def test_a_lead_in_work_is_adopted_not_handed_off(stage: Theatre) -> None:
    stage.lead("mia", status="Working", owner="carla")
    who = stage.person("mia", title="Director")
    stage.does(who, "form.submitted", "demo-request")
    stage.after(seconds=1)
    assert stage.record("mia").fields["owner"] == "carla"
    assert not stage.crm.tasks
    decision = stage.dossier("mia").decision
    assert decision is not None
    assert decision.adopted


def test_no_sudden_flood(tmp_path: Path) -> None:
    config = CONFIG + "[handoff.brake]\nper_hour = 5\nshare = 0.0\nper_rep = 4\n"
    with Theatre(tmp_path, config) as stage:
        stage.agent.once()
        stage.clock.advance(timedelta(minutes=1))
        for number in range(12):
            who = stage.person(f"p{number}", title="Director")
            stage.does(who, "form.submitted", "demo-request")
        stage.agent.once()
        assert len(stage.crm.tasks) == 5
        assert len(stage.agent.store.held()) == 7
        assert stage.agent.store.release(limit=3) == 3
        stage.after(seconds=1)
        assert len(stage.crm.tasks) == 8
        stage.agent.store.release()
        stage.after(seconds=1)
        assert len(stage.crm.tasks) == 12
        owners = sorted(task.owner for task in stage.crm.tasks.values())
        assert owners == ["ana"] * 6 + ["ben"] * 6


@pytest.mark.parametrize("verb", ["WriteLead", "CreateTask"])
@pytest.mark.parametrize("how", ["lost", "unsent", "retry"])
def test_lost_answers_leave_one_of_each(stage: Theatre, verb: str, how: str) -> None:
    stage.crm.fail_next(how, verb)
    ready_name = "mia"
    who = stage.person(ready_name, title="Director")
    stage.does(who, "form.submitted", "demo-request")
    stage.agent.once()
    stage.after(minutes=2)
    assert len(stage.tasks(ready_name)) == 1
    assert stage.record(ready_name).fields["status"] == "Sales Ready"


def test_what_is_refused_is_parked_and_blocks_nobody_else(stage: Theatre) -> None:
    stage.crm.fail_next("refused", "CreateTask", why="a validation rule")
    for name in ("mia", "tom"):
        stage.does(stage.person(name, title="Director"), "form.submitted", "demo-request")
    stage.after(seconds=1)
    (parked,) = stage.agent.store.outbox(("parked",))
    assert "a validation rule" in parked.why
    assert len(stage.crm.tasks) == 1
    assert stage.agent.store.retry([parked.command.key]) == 1
    stage.after(seconds=1)
    assert len(stage.crm.tasks) == 2


def test_after_an_outage_there_is_no_storm(stage: Theatre) -> None:
    ready(stage)
    stage.after(hours=9)
    open_tasks = stage.tasks("mia", closed=False)
    alerts = [task for task in stage.crm.tasks.values() if "alert" in task.key]
    assert len(alerts) <= 1, [task.key for task in alerts]
    assert len(open_tasks) <= 3
