"""What happens between reading and storing: two threads with one list, a fact beside a hold, a record that is gone."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from syncagent.model import Identity, Merged
from tests.story.theatre import CONFIG, T0, Theatre

BRAKED = CONFIG + "[handoff.brake]\nper_hour = 0\nshare = 0.0\nper_rep = 100\n"


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Theatre]:
    with Theatre(tmp_path) as theatre:
        theatre.agent.once()
        theatre.clock.advance(timedelta(minutes=1))
        yield theatre


def test_backfills_begun_and_ended_at_once_are_all_known(stage: Theatre, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each thread reads the list, and all of them have read it before one writes."""
    whole, count = stage.agent.store.meta, 8
    together = threading.Barrier(count)

    def meta(name: str) -> str | None:
        found = whole(name)
        if name == "backfills":
            try:
                together.wait(0.1)
            except threading.BrokenBarrierError:  # one at a time: nobody else comes
                return found
        return found

    stage.agent.start_backfill("web", T0 - timedelta(days=99), None)
    (finished,) = stage.agent.backfills("web")
    monkeypatch.setattr(stage.agent.store, "meta", meta)
    work = [
        *(
            threading.Thread(target=stage.agent.start_backfill, args=("web", T0 - timedelta(days=days), None))
            for days in range(1, count)
        ),
        threading.Thread(target=stage.agent._carry_on, args=("web", finished)),
    ]
    for thread in work:
        thread.start()
    for thread in work:
        thread.join()
    monkeypatch.undo()
    assert len(stage.agent.backfills("web")) == count - 1
    assert finished not in stage.agent.backfills("web")


def test_who_changes_while_being_held_is_planned_with_what_is_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The CRM says that a rep has her already: there is nothing left to hold."""
    with Theatre(tmp_path, BRAKED) as stage:
        stage.agent.once()
        stage.clock.advance(timedelta(minutes=1))
        stage.does(stage.person("mia", title="Director"), "form.submitted", "demo-request")
        stage.agent.gather("web")
        whole = stage.agent.store.hold

        def hold(held):
            monkeypatch.setattr(stage.agent.store, "hold", whole)
            stage.lead("mia", status="Working", owner="carla")
            stage.agent.gather("crm")
            whole(held)

        monkeypatch.setattr(stage.agent.store, "hold", hold)
        stage.agent.settle_down()
        assert stage.agent.store.held() == ()
        decision = stage.dossier("mia").decision
        assert decision is not None
        assert decision.adopted


def test_who_becomes_part_of_another_while_being_held_holds_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Theatre(tmp_path, BRAKED) as stage:
        stage.agent.once()
        stage.clock.advance(timedelta(minutes=1))
        first = stage.person("ann", title="Director")
        stage.agent.once()
        second = stage.person("mia", title="Director")
        stage.does(second, "form.submitted", "demo-request")
        stage.agent.gather("web")
        whole = stage.agent.store.hold

        def hold(held):
            monkeypatch.setattr(stage.agent.store, "hold", whole)
            stage.web.feed([Merged(first, (second,), stage.clock.now())])
            stage.agent.gather("web")
            whole(held)

        monkeypatch.setattr(stage.agent.store, "hold", hold)
        stage.agent.settle_down()
        (one,) = stage.agent.store.held()
        assert one.person == stage.dossier("mia").person
        assert stage.agent.store.release() == 1
        stage.after(seconds=1)
        assert len(stage.crm.tasks) == 1


def test_a_record_that_is_gone_when_its_receipt_comes_is_not_alive(stage: Theatre) -> None:
    stage.crm.fail_next("lost", "WriteLead", after=60)
    stage.does(stage.person("mia", title="Director"), "form.submitted", "demo-request")
    stage.agent.once()
    (made,) = stage.crm.records
    stage.crm.delete(made, "somebody", stage.clock.now())
    stage.clock.advance(timedelta(minutes=2))
    stage.agent.deliver("crm")  # the CRM is not read before
    (record,) = stage.dossier("mia").records
    assert record.identity == made
    assert record.deleted


def test_a_record_known_as_gone_does_not_come_back_with_a_receipt(stage: Theatre) -> None:
    stage.crm.fail_next("lost", "WriteLead", after=60)
    stage.does(stage.person("mia", title="Director"), "form.submitted", "demo-request")
    stage.agent.once()
    (made,) = stage.crm.records
    stage.crm.delete(made, "somebody", stage.clock.now())
    for _ in range(5):
        stage.after(minutes=2)
    assert [one.deleted for one in stage.dossier("mia").records if one.identity == made] == [True]
    assert Identity("crm", "Lead", made.id) in stage.crm.records
