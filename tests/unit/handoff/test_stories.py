"""Whole lives of leads, told in a few lines each."""

from datetime import timedelta

from syncagent.handoff import plan
from syncagent.model import HandoffState, Roster, Stage, WriteLead
from tests.unit.handoff.worlds import ANA, BEN, NOW, accept, answer, apply, dossier, kinds, minutes, policy, verbs


def test_a_ready_lead_is_handed_off_and_its_clock_starts_when_owner_and_task_stand():
    first = plan(dossier(), policy(), Roster(), NOW)
    assert verbs(first) == ["WriteLead", "CreateTask"]
    write, task = first.commands
    assert isinstance(write, WriteLead)
    assert write.values["status"] == "Sales Ready"
    assert write.values["owner"] == ANA
    assert task.key == "e1:17.1:a1:task"
    assert task.depends_on == ("lead:crm:L1",)
    assert first.cause == "handoff"
    assert first.decision.stage is Stage.MQL
    again = plan(accept(first, dossier()), policy(), first.roster, NOW)
    assert not again.commands
    assert not again.events
    second = plan(apply(first, dossier()), policy(), first.roster, NOW + minutes(1))
    assert kinds(second) == ["clock.started"]
    assert second.wake_at == NOW + minutes(7)


def test_a_broken_promise_passes_the_lead_on():
    told = apply(first := plan(dossier(), policy(), Roster(), NOW), dossier())
    started = plan(told, policy(), first.roster, NOW + minutes(1))
    told = apply(started, told, NOW + minutes(12))
    late = plan(told, policy(), first.roster, NOW + minutes(11.5))
    assert "reassigned" in kinds(late)
    assert late.decision.handoff.assignments[-1].owner == BEN
    assert verbs(late) == ["WriteLead", "CreateTask", "CloseTask"]


def test_a_rep_gives_the_lead_back_and_it_comes_up_again():
    told = apply(first := plan(dossier(), policy(), Roster(), NOW), dossier())
    told = apply(plan(told, policy(), first.roster, NOW + minutes(1)), told)
    told = answer(told, NOW + minutes(5), status="Recycled", recycle_until="2026-05-01")
    back = plan(told, policy(), first.roster, NOW + minutes(5))
    assert back.decision.handoff.state is HandoffState.RETURNING
    assert verbs(back) == ["Nurture", "CloseTask"]
    told = apply(back, told, NOW + timedelta(days=60))
    up = plan(told, policy(), first.roster, NOW + timedelta(days=53))
    assert up.decision.handoff.number == 2
    assert up.decision.handoff.assignments[-1].owner == ANA
