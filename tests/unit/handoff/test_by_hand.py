"""Whoever sets a closed, returning or new lead to ready by hand hands it off: a person wins, and no hole is dug."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from syncagent.handoff import Seen, plan, stand
from syncagent.model import CreateTask, Dossier, Handoff, HandoffState, Plan, Roster, Stage, WriteLead
from syncagent.policy import Gate, Policy, RecyclePolicy, StageRule
from tests.unit.handoff.worlds import (
    ANA,
    BEN,
    BOSS,
    FLOW,
    LEAD,
    LIVE,
    NOW,
    QUEUE,
    answer,
    apply,
    dossier,
    open_tasks,
    policy,
    record,
)

ROSTER = Roster()
LATER = NOW + timedelta(hours=1)
AGAIN = NOW + timedelta(days=2)


def current(known: Dossier | Plan) -> Handoff:
    assert known.decision is not None
    assert known.decision.handoff is not None
    return known.decision.handoff


def over(given: Policy, **fields: str) -> tuple[Dossier, str]:
    """Handed off, and let go by its rep with these fields; and the rep."""
    known = apply(plan(dossier(), given, ROSTER, NOW), dossier())
    at = NOW + timedelta(minutes=1)
    known = apply(plan(known, given, ROSTER, at), known, at)
    rep = current(known).assignments[-1].owner
    known = answer(known, LATER, by=rep, **fields)
    return apply(plan(known, given, ROSTER, LATER), known, LATER), rep


@pytest.mark.parametrize("status", ["Unqualified", "Recycled", "On Hold"])
def test_the_owner_keeps_it_and_the_promise_runs_anew(status: str) -> None:
    given = policy()
    known, rep = over(given, status=status)
    assert current(known).state is not HandoffState.WITH_SALES
    known = replace(answer(known, AGAIN, by=BOSS, status="Sales Ready"), crm_seen_until=AGAIN)
    told = plan(known, given, ROSTER, AGAIN)
    handoff = current(told)
    assert (handoff.number, handoff.state) == (2, HandoffState.WITH_SALES)
    assert (handoff.assignments[-1].owner, handoff.assignments[-1].pinned) == (rep, False)
    assert handoff.cause == f"{BOSS} set it to Sales Ready"
    assert told.cause == "handoff", "the brake counts it"
    (task,) = [one for one in told.commands if isinstance(one, CreateTask)]
    assert (task.owner, "This is a return (handoff number 2)." in task.body) == (rep, True)
    after = apply(told, known, AGAIN)
    started = apply(plan(after, given, ROSTER, AGAIN), after, AGAIN)
    assert current(started).clock_started_at is not None
    wakes = plan(started, given, ROSTER, AGAIN).wake_at
    assert stand(started, Seen(wake_at=wakes), given, AGAIN).state == "with sales"
    again = plan(started, given, ROSTER, AGAIN + timedelta(minutes=1))
    assert len(again.decision.handoffs) == 2, "it is handed off once"
    assert not any(isinstance(one, CreateTask | WriteLead) for one in again.commands)
    assert len([one for one in open_tasks(started) if one.key.endswith("17.2:a1:task")]) == 1


def test_an_owner_set_with_it_is_pinned() -> None:
    known, rep = over(policy(), status="Unqualified")
    other = BEN if rep == ANA else ANA
    known = answer(known, AGAIN, by=BOSS, status="Sales Ready", owner=other)
    last = current(plan(known, policy(), ROSTER, AGAIN)).assignments[-1]
    assert (last.owner, last.pinned) == (other, True)


@pytest.mark.parametrize("owner", [QUEUE, "", "gone"])
def test_by_route_where_nobody_has_it(owner: str) -> None:
    known, _ = over(policy(), status="Unqualified")
    known = answer(known, AGAIN, by=BOSS, status="Sales Ready", owner=owner)
    last = current(plan(known, policy(), Roster(active={"gone": False}), AGAIN)).assignments[-1]
    assert last.owner in (ANA, BEN)
    assert not last.pinned


def test_neither_gate_nor_map_nor_cap_stand_in_a_persons_way() -> None:
    given = policy(
        gate=Gate(("need",), "wait"),
        stages=(StageRule(Stage.DISQUALIFIED, to=()),),
        recycle=RecyclePolicy(most_returns=1),
    )
    before = policy(recycle=RecyclePolicy(most_returns=1))
    known, _ = over(before, status="Unqualified")
    known = answer(known, AGAIN, by=ANA, status="Sales Ready")
    told = plan(known, given, ROSTER, AGAIN)
    assert current(told).number == 2
    assert "off_map" in [one.kind for one in told.events], "the move stands, and is reported"


def test_what_automation_sets_to_ready_is_no_handoff_and_audit_says_what_to_do() -> None:
    known, _ = over(policy(), status="Unqualified")
    known = answer(known, AGAIN, by=FLOW, status="Sales Ready")
    told = plan(known, policy(), ROSTER, AGAIN)
    assert len(told.decision.handoffs) == 1
    found = stand(apply(told, known, AGAIN), Seen(), policy(), AGAIN)
    assert found.state == "violation"
    assert "to another and back" in found.mend
    mended = apply(told, known, AGAIN)
    for minute, status in ((1, "Open"), (2, "Sales Ready")):
        at = AGAIN + timedelta(minutes=minute)
        mended = answer(mended, at, by=BOSS, status=status)
        mended = apply(plan(mended, policy(), ROSTER, at), mended, at)
    assert current(mended).number == 2, "the way that audit prints mends it"


def test_a_lead_that_was_never_handed_off_is_when_a_person_says_so() -> None:
    cold = dossier(activities=(), records=(record("Sales Ready", ANA),))
    assert plan(cold, policy(), ROSTER, NOW).decision.handoffs == (), "nobody knows who, or when"
    known = answer(dossier(activities=(), records=(record("Open", ANA),)), NOW, by=BOSS, status="Sales Ready")
    told = plan(known, policy(), ROSTER, NOW)
    assert (current(told).number, current(told).assignments[-1].owner) == (1, ANA)
    assert plan(known, policy(live_from=NOW + timedelta(days=1)), ROSTER, NOW).decision.handoffs == (), "history"
    assert any(one.record == LEAD and one.at > LIVE for one in known.changes)
    by_flow = answer(dossier(activities=(), records=(record("Open", ANA),)), NOW, by=FLOW, status="Sales Ready")
    assert plan(by_flow, policy(), ROSTER, NOW).decision.handoffs == ()
