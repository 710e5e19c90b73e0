"""Law 5, the promise, the return: what happens to a lead while sales has it, and after."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from syncagent.handoff import plan
from syncagent.model import (
    Alert,
    CrmRecord,
    CrmTask,
    Dossier,
    FieldChange,
    Handoff,
    HandoffState,
    Identity,
    Lane,
    Opportunity,
    OutboxEntry,
    Plan,
    Roster,
    SlaStep,
    Stage,
    WriteLead,
)
from syncagent.policy import Duration, Hours, Policy, RecyclePolicy, Rep, SlaTerms, StageRule
from tests.unit.handoff.worlds import (
    ANA,
    BEN,
    BOSS,
    CONTACT,
    FLOW,
    LEAD,
    ME,
    NOW,
    QUEUE,
    accept,
    activity,
    answer,
    apply,
    complete,
    dossier,
    kinds,
    lead,
    minutes,
    policy,
    record,
    roster_after,
    verbs,
)


class Life:
    """A lead that was handed off to Ana at NOW, its clock running since a minute later."""

    def __init__(self, terms: Policy | None = None, facts: Dossier | None = None) -> None:
        self.policy, self.roster, self.now = terms or policy(), Roster(), NOW
        self.dossier = facts or dossier()
        self.last = self.go(NOW)
        self.go(NOW + minutes(1))

    def go(self, at: datetime, *, seen: bool = True, send: bool = True) -> Plan:
        """Plan at a moment; deliver what it tells a second later."""
        self.now = at
        if seen:
            self.dossier = replace(self.dossier, crm_seen_until=at)
        self.last = plan(self.dossier, self.policy, self.roster, at)
        self.roster = roster_after(self.last, self.roster)
        self.dossier = accept(self.last, self.dossier)
        if send:
            self.dossier = apply(self.last, self.dossier, at + timedelta(seconds=1))
        return self.last

    def says(self, minute: float, by: str = ANA, *, history: bool = True, **fields: Any) -> Plan:
        """Somebody changes the lead, and we see it at once."""
        at = NOW + minutes(minute)
        self.dossier = answer(self.dossier, at, by, history=history, **fields)
        return self.go(at)

    @property
    def handoff(self) -> Handoff:
        found = self.dossier.decision.handoff if self.dossier.decision is not None else None
        assert found is not None
        return found

    @property
    def owner(self) -> str:
        return self.handoff.assignments[-1].owner


def rows(result: Plan) -> list[WriteLead]:
    return [one for one in result.commands if isinstance(one, WriteLead)]


def alerts(result: Plan) -> list[Alert]:
    return [one for one in result.commands if isinstance(one, Alert)]


# -- answers


def test_our_own_echo_is_no_answer() -> None:
    life = Life()
    echo = life.says(2, ME, status="Sales Ready", owner=ANA)
    assert not echo.events and not echo.commands


@pytest.mark.parametrize("history", [True, False])
def test_a_rep_who_accepts_has_touched(history: bool) -> None:
    life = Life()
    result = life.says(4, status="Working", history=history)
    assert kinds(result) == ["touched", "stage"]
    assert result.decision.stage is Stage.SAL
    assert life.handoff.touched_by == ANA
    assert result.events[0].data["minutes"] == 3.0
    assert not result.commands
    late = life.go(NOW + minutes(60))
    assert not {"reassigned", "reminded", "escalated"} & set(kinds(late))


def test_a_completed_task_or_a_logged_call_of_the_owner_is_a_touch_and_nobody_elses() -> None:
    for by, touched in ((ANA, True), (FLOW, False), (BEN, False), (ME, False)):
        life = Life()
        life.dossier = replace(
            life.dossier,
            tasks=tuple(
                replace(one, closed=True, closed_at=NOW + minutes(3), modified_by=by) for one in life.dossier.tasks
            ),
        )
        assert ("touched" in kinds(life.go(NOW + minutes(3)))) is touched
    for by, at, kind, touched in (
        (ANA, 3, "Call", True),
        (ANA, -9, "Call", False),
        (BEN, 3, "Call", False),
        (ANA, 3, "x", False),
    ):
        life = Life()
        when = NOW + minutes(at)
        call = CrmTask(Identity("crm", "Task", "T9"), LEAD, by, when, by, by, when, type=kind, closed=True)
        life.dossier = replace(life.dossier, tasks=(*life.dossier.tasks, call))
        assert ("touched" in kinds(life.go(NOW + minutes(4)))) is touched


def test_an_owner_set_by_a_person_is_pinned_and_escalates_instead_of_moving_on() -> None:
    life = Life()
    moved = life.says(3, BOSS, owner=BEN)
    assert life.handoff.assignments[-1].pinned
    assert verbs(moved) == ["CreateTask", "CloseTask"]
    assert moved.commands[0].key == "e1:17.1:a2:task"
    assert life.roster.open == {BEN: 1}
    life.go(NOW + minutes(4))
    broken = life.go(NOW + minutes(15))
    assert "escalated" in kinds(broken)
    assert life.owner == BEN
    assert [one.to for one in alerts(broken)] == [BOSS]


def test_taking_from_a_queue_is_an_owner_and_no_pin() -> None:
    full = policy(reps=(Rep("Ana", ANA, cap_open=0), Rep("Ben", BEN, cap_open=0)))
    life = Life(full)
    assert life.owner == QUEUE
    life.says(3, ANA, owner=ANA)
    assert life.owner == ANA
    assert not life.handoff.assignments[-1].pinned
    assert life.last.commands[0].key == "e1:17.1:a2:task"


def test_automation_is_corrected_once_and_then_left_alone() -> None:
    life = Life()
    once = life.says(2, FLOW, owner=QUEUE)
    assert kinds(once) == ["overwritten"]
    assert rows(once)[0].values == {"owner": ANA}
    twice = life.says(4, ME, owner="other")  # a flow that runs as our user
    assert kinds(twice) == ["contested"]
    assert twice.decision.contested == ("owner",)
    assert not rows(twice)
    assert not life.says(5, FLOW, owner=QUEUE).commands


def test_automation_never_counts_as_sales_but_is_not_fought_after_a_touch() -> None:
    life = Life()
    assert "touched" not in kinds(life.says(2, FLOW, status="Working"))
    assert rows(life.last)[0].values == {"status": "Sales Ready"}
    life = Life()
    life.says(2, ANA, status="Working")
    after = life.says(3, FLOW, status="Qualified")
    assert after.decision.stage is Stage.SQL
    assert not after.commands


def test_what_a_person_set_while_our_write_was_under_way_wins() -> None:
    life = Life()
    life.dossier = dossier()
    life.dossier = accept(plan(life.dossier, life.policy, Roster(), NOW), life.dossier)
    life.dossier = answer(life.dossier, NOW + minutes(1), BEN, owner=BEN)
    entries = tuple(replace(one, state="conflict") if one.verb == "WriteLead" else one for one in life.dossier.outbox)
    life.dossier = replace(life.dossier, outbox=entries)
    result = life.go(NOW + minutes(1))
    assert life.owner == BEN
    assert life.handoff.assignments[-1].pinned
    row = rows(result)[0]
    assert row.revision == 2
    assert row.expects["owner"] == BEN
    assert "owner" not in row.values
    assert row.values["status"] == "Sales Ready"
    assert "e1:17.1:a1:task" in result.withdraw


def test_a_value_run_over_in_the_gap_is_put_back() -> None:
    life = Life()
    at = NOW + timedelta(seconds=1)
    theirs = FieldChange(LEAD, "h1", "owner", QUEUE, BEN, BEN, at - timedelta(seconds=1))
    ours = FieldChange(LEAD, "h2", "owner", BEN, ANA, ME, at)
    life.dossier = replace(life.dossier, changes=(theirs, ours))
    result = life.go(NOW + minutes(2))
    assert kinds(result)[:2] == ["restored", "assigned"]
    assert rows(result)[0].values == {"owner": BEN}
    assert life.owner == BEN and life.handoff.assignments[-1].pinned
    assert not life.go(NOW + minutes(3)).commands


def test_what_our_own_user_put_back_is_the_answer_of_the_person_who_had_set_it() -> None:
    life = Life()
    at = NOW + timedelta(seconds=1)
    theirs = FieldChange(LEAD, "h1", "status", "Open", "Working", ANA, at)
    ours = FieldChange(LEAD, "h2", "status", "Working", "Sales Ready", ME, at)
    back = FieldChange(LEAD, "h3", "status", "Sales Ready", "Working", ME, at + timedelta(seconds=1))
    shown = answer(life.dossier, at + timedelta(seconds=1), ME, history=False, status="Working")
    life.dossier = replace(shown, changes=(theirs, ours, back))
    assert "overwritten" not in kinds(life.go(NOW + minutes(2)))
    assert life.handoff.touched_at is not None
    flow = Life()
    weeks = replace(theirs, at=at - timedelta(days=9))
    flow.dossier = replace(shown, changes=(weeks, ours, back))
    assert "overwritten" in kinds(flow.go(NOW + minutes(2))), "a flow that runs as us"


def test_an_answer_in_the_second_of_our_write_is_heard() -> None:
    life = Life()
    at = life.dossier.records[0].modified_at
    life.dossier = answer(life.dossier, at, ANA, history=False, status="Working")
    assert "touched" in kinds(life.go(NOW + minutes(2)))


def test_a_view_read_before_our_write_is_no_answer() -> None:
    life = Life()
    life.dossier = replace(life.dossier, records=(record(),))
    assert not life.go(NOW + minutes(2)).commands
    assert not life.last.events
    same_second = replace(record(), modified_at=NOW + timedelta(seconds=1))
    echo = FieldChange(LEAD, "h", "status", "Open", "Sales Ready", ME, same_second.modified_at)
    echo2 = FieldChange(LEAD, "h2", "owner", QUEUE, ANA, ME, same_second.modified_at)
    life.dossier = replace(life.dossier, records=(same_second,), changes=(echo, echo2))
    assert not life.go(NOW + minutes(3)).events


def test_a_task_that_a_rep_deleted_stays_deleted() -> None:
    life = Life()
    life.dossier = replace(life.dossier, tasks=tuple(replace(one, deleted=True) for one in life.dossier.tasks))
    assert not life.go(NOW + minutes(2)).commands


def test_a_new_epoch_does_not_repeat_what_was_done() -> None:
    life = Life()
    life.roster = replace(life.roster, epoch="e2")
    assert not life.go(NOW + minutes(2)).commands


def test_conversion_and_deals_are_followed() -> None:
    life = Life()
    contact = CrmRecord(CONTACT, NOW + minutes(4), NOW + minutes(4), ANA, {"owner": ANA}, ("eva@example.com",))
    gone = replace(life.dossier.records[0], converted_to=CONTACT, modified_at=NOW + minutes(4), modified_by=ANA)
    life.dossier = replace(life.dossier, records=(gone, contact))
    result = life.go(NOW + minutes(5))
    assert "touched" in kinds(result)
    assert life.last.decision.stage is Stage.SQL
    assert not rows(result), "a contact has no lead status, and its owner is not ours to set"
    at = NOW + minutes(6)
    deal = Opportunity(Identity("crm", "Opportunity", "O1"), (CONTACT,), at, at, ANA, amount=500.0)
    life.dossier = replace(life.dossier, opportunities=(deal,))
    assert life.go(NOW + minutes(7)).decision.stage is Stage.OPPORTUNITY
    won = replace(deal, closed=True, won=True, modified_at=NOW + minutes(9), closed_on="2026-03-10")
    life.dossier = replace(life.dossier, opportunities=(won,))
    end = life.go(NOW + minutes(10))
    assert end.decision.stage is Stage.WON
    assert life.handoff.outcome == "won"
    assert life.roster.open == {}


def test_a_deleted_record_ends_the_handoff_and_is_not_made_again() -> None:
    life = Life(policy(crm=replace(policy().crm, create="when_missing")))
    life.dossier = replace(life.dossier, records=(replace(life.dossier.records[0], deleted=True),))
    result = life.go(NOW + minutes(3))
    assert life.handoff.outcome == "deleted"
    assert verbs(result) == ["CloseTask"]
    assert not life.go(NOW + minutes(4)).commands


# -- the promise


def test_the_reminder_comes_at_its_share_and_only_once() -> None:
    life = Life()
    result = life.go(NOW + minutes(7))
    assert kinds(result) == ["reminded"]
    assert alerts(result)[0].to == ANA
    assert alerts(result)[0].key == "e1:17.1:s1.0:alert"
    assert not life.go(NOW + minutes(8)).events


def test_after_downtime_only_the_last_step_fires() -> None:
    life = Life()
    result = life.go(NOW + minutes(500))
    assert [one for one in kinds(result) if one != "stage"] == ["escalated"]
    assert len(life.handoff.steps_done) == 3
    assert result.wake_at is None or result.wake_at > life.now


def test_nothing_fires_on_a_stale_view() -> None:
    life = Life()
    life.dossier = replace(life.dossier, crm_seen_until=NOW + minutes(10))
    result = life.go(NOW + minutes(12), seen=False)
    assert not result.events
    assert result.waits_on == ("crm",)
    assert result.wake_at == NOW + minutes(12.5)
    assert "reassigned" in kinds(life.go(NOW + minutes(12.5)))


def test_a_touch_that_the_outage_hid_is_heard_before_the_step() -> None:
    life = Life()
    life.dossier = complete(life.dossier, NOW + minutes(5), ANA)
    assert "reassigned" not in kinds(life.go(NOW + minutes(12)))


def test_the_clock_runs_in_the_reps_hours() -> None:
    hours = Hours((((540, 1080),),) * 5 + ((), ()), "Europe/Berlin")  # 09:00-18:00; NOW is Tuesday 10:00 there
    terms = policy(
        reps=(Rep("Ana", ANA, hours=hours), Rep("Ben", BEN, hours=hours)),
        slas=(SlaTerms("day", Duration(minutes=9 * 60), clock="rep", steps=(SlaStep(1.0, "escalate"),)),),
    )
    life = Life(terms)
    assert life.last.wake_at == NOW + timedelta(days=1, minutes=1)


def test_a_promise_keeps_its_terms() -> None:
    """Law 13."""
    life = Life()
    life.policy = policy(slas=(SlaTerms("slow", Duration(days=9)),))
    assert "reminded" in kinds(life.go(NOW + minutes(7)))


def test_everybody_had_it_so_it_goes_to_the_queue() -> None:
    life = Life()
    life.go(NOW + minutes(12))
    assert life.owner == BEN
    life.go(NOW + minutes(13))
    life.go(NOW + minutes(24))
    assert [one.owner for one in life.handoff.assignments] == [ANA, BEN, QUEUE]
    assert "CreateTask" not in verbs(life.last)
    life.go(NOW + minutes(25))
    assert kinds(life.last) == ["clock.started"]
    assert sum(life.roster.open.values()) == 1


def test_a_parked_write_runs_no_clock_and_is_told_once() -> None:
    life = Life.__new__(Life)
    life.policy, life.roster, life.dossier = policy(), Roster(), dossier()
    life.go(NOW, send=False)

    def park(one: OutboxEntry) -> OutboxEntry:
        return replace(one, state="parked", why="INACTIVE_OWNER") if one.verb == "WriteLead" else one

    life.dossier = replace(life.dossier, outbox=tuple(park(one) for one in life.dossier.outbox))
    assert life.go(NOW + minutes(1), send=False).wake_at == NOW + minutes(5)
    task = "e1:17.1:a1:task"
    entries = tuple(replace(one, state="done") if one.key == task else one for one in life.dossier.outbox)
    shown = replace(life.dossier, outbox=entries, records=(record("Open", ANA),))
    early = plan(shown, life.policy, life.roster, NOW + minutes(1))
    assert "clock.started" not in kinds(early), "no promise runs while the status has not been taken"
    told = life.go(NOW + minutes(5), send=False)
    assert kinds(told) == ["undelivered"]
    assert "INACTIVE_OWNER" in told.events[0].why
    assert [one.to for one in alerts(told)] == [BOSS]
    assert alerts(told)[0].depends_on == ()
    assert not life.go(NOW + minutes(9), send=False).events
    dropped = tuple(replace(one, state="dropped") for one in life.dossier.outbox)
    life.dossier = replace(life.dossier, outbox=dropped)
    assert "withdrawn" in kinds(life.go(NOW + minutes(10), send=False))


def test_a_lead_that_stays_too_long_is_told_once() -> None:
    life = Life(policy(stages=(StageRule(Stage.SAL, owner="sales", longest=Duration(days=2)),)))
    life.says(3, status="Working")
    assert life.last.wake_at == NOW + minutes(3) + timedelta(days=2)
    stuck = life.go(NOW + timedelta(days=3))
    assert "stuck" in kinds(stuck)
    assert "stuck" not in kinds(life.go(NOW + timedelta(days=4)))
    assert kinds(life.go(NOW + timedelta(days=20))).count("stuck") == 1, "later periods are told as one"
    assert life.last.wake_at == NOW + timedelta(days=22)


# -- the return


def test_without_a_date_it_returns_after_the_policys_time_and_the_crm_is_told_when() -> None:
    life = Life()
    result = life.says(5, status="Recycled", recycle_reason="no budget")
    back = datetime.fromisoformat("2026-06-07T22:00+00:00")  # the first moment of 8 June in Berlin
    assert life.handoff.come_back_at == back
    assert life.handoff.recycle_reason == "no budget"
    assert rows(result)[0].values == {"recycle_until": "2026-06-08"}
    assert verbs(result) == ["WriteLead", "Nurture", "CloseTask"]
    assert life.roster.open == {}
    falls = datetime.fromisoformat("2026-04-09T10:00+00:00")  # the form counts for 30 days
    assert result.wake_at == falls
    told = rows(life.go(falls))
    assert [(one.values, one.lane) for one in told] == [({"score": 40, "grade": "A4"}, Lane.COLD)]
    assert life.go(falls + minutes(1)).wake_at == back


def test_a_rep_may_move_the_date() -> None:
    life = Life()
    life.says(5, status="Recycled")
    life.go(NOW + minutes(6))
    assert "recycled" in kinds(life.says(9, recycle_until="2026-04-02"))
    assert life.handoff.come_back_at == datetime.fromisoformat("2026-04-01T22:00+00:00")


def test_it_comes_back_to_the_same_rep_with_a_new_number() -> None:
    life = Life()
    life.says(5, status="Recycled", recycle_until="2026-04-02")
    life.go(NOW + minutes(6))
    blind = life.go(NOW + timedelta(days=30), seen=False, send=False)
    assert "came_back" not in kinds(blind)
    assert blind.waits_on == ("crm",)
    result = life.go(NOW + timedelta(days=30))
    assert kinds(result)[:3] == ["came_back", "handoff.opened", "assigned"]
    assert life.handoff.id == "17.2"
    assert life.owner == ANA
    assert rows(result)[0].values["status"] == "Sales Ready"
    assert life.handoff.state is HandoffState.WITH_SALES
    later = life.go(NOW + timedelta(days=30, minutes=1))
    assert kinds(later) == ["clock.started"], "the old Recycled does not recycle it again"


def test_a_strong_signal_brings_it_back_early_and_a_weak_one_does_not() -> None:
    life = Life()
    life.says(5, status="Recycled")
    visit = activity("v", NOW + timedelta(days=2), "page.visited", "/")
    life.dossier = replace(life.dossier, activities=(*life.dossier.activities, visit))
    assert not life.go(NOW + timedelta(days=2)).decision.handoffs[1:]
    form = activity("f", NOW + timedelta(days=3))
    life.dossier = replace(life.dossier, activities=(*life.dossier.activities, form))
    assert life.go(NOW + timedelta(days=3)).decision.handoffs[1:]


def test_after_too_many_returns_it_stays_with_marketing() -> None:
    life = Life(policy(recycle=RecyclePolicy(most_returns=1)))
    life.says(5, status="Recycled")
    assert life.handoff.state is HandoffState.CLOSED
    assert life.last.decision.stage is Stage.RECYCLED


def test_who_has_opted_out_of_mail_is_not_nurtured() -> None:
    life = Life(facts=dossier(leads=(lead(unsubscribed=True),)))
    assert "Nurture" not in verbs(life.says(5, status="Recycled"))


def test_disqualified_is_closed_until_they_ask_themselves() -> None:
    life = Life()
    life.says(5, status="Unqualified")
    assert life.handoff.outcome == "disqualified"
    form = activity("f", NOW + minutes(30))
    life.dossier = replace(life.dossier, activities=(*life.dossier.activities, form))
    assert not life.go(NOW + minutes(30)).decision.handoffs[1:]
    ask = activity("d", NOW + minutes(40), asset="demo-request")
    life.dossier = replace(life.dossier, activities=(*life.dossier.activities, ask))
    assert life.go(NOW + minutes(40)).cause == "handraiser"


def test_the_request_that_opened_it_does_not_open_it_again() -> None:
    life = Life(facts=dossier(activities=(activity("d", NOW, asset="demo-request"),)))
    life.says(5, status="Recycled")
    assert not life.go(NOW + minutes(6)).decision.handoffs[1:]
    assert life.handoff.state is HandoffState.RETURNING


def test_on_hold_keeps_rep_and_task_and_comes_up_on_its_date() -> None:
    life = Life()
    result = life.says(5, status="On Hold", recycle_until="2026-04-02")
    assert result.decision.stage is Stage.ON_HOLD
    assert not result.commands
    assert "came_back" in kinds(life.go(NOW + timedelta(days=30)))


# -- merges


def test_of_two_open_handoffs_the_touched_one_stays() -> None:
    life, other = Life(), Life()
    other.says(4, status="Working")
    absorbed = other.dossier.decision
    assert absorbed is not None
    older = replace(absorbed, handoffs=(replace(absorbed.handoffs[0], id="23.1", opened_at=NOW + minutes(1)),))
    life.dossier = replace(life.dossier, absorbed=(older,))
    life.roster = replace(life.roster, open={ANA: 2})
    result = life.go(NOW + minutes(5))
    assert "withdrawn" in kinds(result)
    assert life.handoff.id == "23.1"
    assert result.decision.handoffs[0].outcome == "withdrawn"
    assert [one.key for one in result.commands if type(one).__name__ == "CloseTask"] == ["e1:17.1:a1:close"]
    assert life.roster.open == {ANA: 1}
    assert not life.go(NOW + minutes(6)).events
