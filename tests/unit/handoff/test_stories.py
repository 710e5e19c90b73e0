"""Whole lives of leads, told in a few lines each."""

from datetime import timedelta

from msgspec.structs import replace

from syncagent.handoff import plan
from syncagent.model import (
    CreateTask,
    CrmRecord,
    FieldChange,
    HandoffState,
    Identity,
    Receipt,
    Roster,
    Stage,
    WriteLead,
)
from tests.unit.handoff.worlds import (
    ANA,
    BEN,
    LEAD,
    ME,
    NOW,
    accept,
    activity,
    answer,
    apply,
    dossier,
    kinds,
    minutes,
    policy,
    record,
    verbs,
)


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


def test_a_task_that_waits_follows_the_lead_to_its_contact():
    contact = Identity("crm", "Contact", "C1")
    stored = accept(first := plan(dossier(), policy(), Roster(), NOW), dossier())
    entries = [replace(one, state="conflict") if one.verb == "WriteLead" else one for one in stored.outbox]
    lead = replace(record(at=NOW, by=ANA), converted_to=contact)
    after = CrmRecord(contact, NOW, NOW, ANA, {"owner": ANA}, ("eva@example.com",))
    stored = replace(stored, outbox=tuple(entries), records=(lead, after))
    again = plan(stored, policy(), first.roster, NOW + minutes(1))
    (task,) = [one for one in again.commands if isinstance(one, CreateTask)]
    assert (task.key, task.record, task.depends_on) == ("e1:17.1:a1:task", contact, ())
    assert again.withdraw == ("lead:crm:L1",)
    assert not plan(accept(again, stored), policy(), again.roster or first.roster, NOW + minutes(1)).commands


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


def test_a_later_score_is_no_reason_to_put_an_old_answer_back():
    """A receipt that left the status alone says nothing of the write that set it weeks ago."""
    told = apply(first := plan(dossier(), policy(), Roster(), NOW), dossier())
    told = answer(told, NOW + minutes(5), status="Recycled")
    back = plan(told, policy(), first.roster, NOW + minutes(5))
    told = apply(back, told, NOW + minutes(6))
    signals = (activity("a2", NOW + timedelta(days=4), "form.submitted", "demo-request"),)
    told = replace(told, activities=(*told.activities, *signals), crm_seen_until=NOW + timedelta(days=4))
    again = plan(told, policy(), first.roster, NOW + timedelta(days=4))
    assert again.decision.handoff.number == 2
    at = NOW + timedelta(days=4, minutes=1)
    ours = FieldChange(LEAD, "ours", "status", "Recycled", "Sales Ready", ME, at)
    told = apply(again, told, at)
    told = replace(told, changes=(*told.changes, ours))
    wrote = next(one for one in told.outbox if one.verb == "WriteLead")
    left_alone = {"status": "Sales Ready", "owner": told.records[0].fields["owner"]}
    later = NOW + timedelta(days=5)
    receipt = Receipt(wrote.key, LEAD, later, {**left_alone, "score": 41}, left_alone, wrote.revision + 1)
    entries = tuple(replace(one, receipt=receipt) if one.key == wrote.key else one for one in told.outbox)
    told = replace(told, outbox=entries, crm_seen_until=later)
    quiet = plan(told, policy(), first.roster, later)
    assert "restored" not in kinds(quiet)
    assert quiet.decision.handoff.state is HandoffState.WITH_SALES
