"""What holds for every plan, whatever the facts: design 4 and the laws, with hypothesis."""

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from syncagent.handoff import plan, score
from syncagent.model import (
    WITHDRAWN,
    Dossier,
    HandoffState,
    Identity,
    Nurture,
    Plan,
    Roster,
    WriteLead,
)
from syncagent.policy import (
    Condition,
    CrmPolicy,
    Duration,
    InterestChoice,
    InterestRule,
    Policy,
    Route,
    RouteTarget,
)
from tests.unit.handoff.living import (
    PATIENCE,
    POLICIES,
    READY_OPEN,
    ROUTES,
    RULES,
    SEVERAL,
    STEPS,
    WORLDS,
    World,
)
from tests.unit.handoff.worlds import (
    LEAD,
    NOW,
    OWNERS,
    QUEUE,
    READY,
    activity,
    dossier,
    policy,
    record,
)


@given(WORLDS, POLICIES, STEPS)
@example(
    READY_OPEN,
    policy(),
    [
        ("keep",),
        ("answer", "owner", "ben", "flow"),
        ("answer", "owner", "queue-1", "ana"),
        ("pass", 60 * 24 * 31),
        ("park", "parked"),
    ],
)
@example(
    READY_OPEN,
    policy(),
    [("keep",), ("answer", "owner", "ben", "flow"), ("answer", "owner", "queue-1", "ana"), ("park", "parked")],
)
@example(
    READY_OPEN, policy(), [("keep",), ("pass", 11), ("keep",), ("answer", "owner", "ana", "ana"), ("park", "dropped")]
)
@example(
    READY_OPEN,
    policy(**RULES),
    [("answer", "owner", "ben", "me"), ("answer", "owner", "ben", "me"), ("answer", "status", "Recycled", "ana")],
)
@settings(max_examples=300, deadline=None)
def test_whatever_happens_plans_are_whole_and_silent_when_repeated(dossier: Dossier, terms: Policy, steps: Any) -> None:
    world = World(dossier, terms)
    world.live(steps)
    given_up = [one.key for one in world.dossier.outbox if one.state == "dropped" and one.why != WITHDRAWN]
    stays = {key.replace(":close", ":task") for key in given_up if key.endswith(":close")}  # an admin has said so
    opened = Counter(
        (t.key.split(":")[1], t.owner)
        for t in world.dossier.tasks
        if t.key.endswith("task") and not t.closed and t.key not in stays
    )
    for (handoff, owner), count in opened.items():
        assert count == 1, f"{owner} has {count} open tasks for {handoff}"
    for one in world.dossier.decision.handoffs if world.dossier.decision is not None else ():
        steps = [(0, done.assignment, done.step) for done in one.steps_done if done.step >= 0]
        steps += [(n, done.assignment, done.step) for n, c in enumerate(one.clocks, 1) for done in c.steps_done]
        assert len(steps) == len(set(steps)), "a step fires once for each owner, and once for each visit"
        assert [act.counts for act in one.touches].count(("first touch",)) <= 1


@given(WORLDS, POLICIES, STEPS, st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_the_order_and_the_number_of_tellings_change_nothing(
    dossier: Dossier, terms: Policy, steps: Any, dice: Any
) -> None:
    world = World(dossier, terms)
    world.settle()
    first = world.dossier.records
    for what in steps:
        world.step(what)
        for known in (world.dossier, replace(world.dossier, records=first)):  # and where only the history is new
            straight = plan(known, terms, world.roster, world.now)
            mixed = {}
            for name in ("leads", "activities", "records", "changes", "tasks", "opportunities", "outbox", "identities"):
                facts = list(getattr(known, name))
                doubled = facts if name == "outbox" else facts + facts
                dice.shuffle(doubled)
                mixed[name] = tuple(doubled)
            assert plan(replace(known, **mixed), terms, world.roster, world.now) == straight
        world.settle()


@given(WORLDS, STEPS)
@settings(max_examples=150, deadline=None)
def test_for_an_erased_person_there_is_only_closing_and_withdrawing(dossier: Dossier, steps: Any) -> None:
    world = World(dossier, policy())
    world.live(steps)
    world.dossier = replace(world.dossier, erased=True)
    result = world.plan()
    assert {type(one).__name__ for one in result.commands} <= {"CloseTask"}
    assert result.decision.score is None
    assert all(one.state is HandoffState.CLOSED for one in result.decision.handoffs)


@given(WORLDS, STEPS)
@example(
    READY_OPEN,
    [
        ("keep",),
        ("answer", "status", "On Hold", "ana"),
        ("answer", "owner", "queue-1", "ana"),
        ("park", "dropped"),
        ("answer", "status", "Working", "ana"),
    ],
)
@example(
    dossier(records=(record("Open", "queue-1"),)),
    [("keep",), ("park", "dropped"), ("answer", "status", "Working", "ana")],
)
@settings(max_examples=200, deadline=None)
def test_no_step_fires_before_the_crm_has_been_read_up_to_it(dossier: Dossier, steps: Any) -> None:
    """Law 12."""
    world = World(dossier, policy(slas=SEVERAL))
    for what in [*steps, ("pass", 11), ("pass", 25)]:
        world.step(what)
        if world.dossier.crm_seen_until is not None and not world.seen:
            stale = replace(world.dossier, crm_seen_until=None)
            result = plan(stale, world.policy, world.roster, world.now)
            fired = {"reminded", "reassigned", "escalated", "came_back", "stuck"} & {one.kind for one in result.events}
            assert fired <= ({"reassigned"} if any("Somebody can" in one.why for one in result.events) else set())
        world.settle()


FIRED = {"reminded", "reassigned", "escalated", "recycled", "came_back", "stuck"}


def fired(result: Plan) -> set[str]:
    """What a promise or a date has done; a lead for whom somebody can be found at last waits for no view."""
    return {one.kind for one in result.events if not (one.kind == "reassigned" and "Somebody can" in one.why)} & FIRED


@given(WORLDS, st.sampled_from(({}, RULES)), STEPS, st.sampled_from((5, 12, 40, 60 * 24 * 4)), st.floats(0, 1))
@settings(max_examples=150, deadline=None)
def test_nothing_fires_that_was_not_due_when_the_view_ends(
    facts: Dossier, rules: Any, steps: Any, late: int, part: float
) -> None:
    """Law 12, to the moment: what an older view lets go would have gone at the moment up to which it was read."""
    world = World(facts, policy(slas=SEVERAL, **rules))
    world.live(steps)
    for _ in range(3):
        then = world.now
        world.now += timedelta(minutes=late)
        seen = then + timedelta(minutes=late * part)
        known = replace(world.dossier, crm_seen_until=seen)
        told = fired(plan(known, world.policy, world.roster, world.now))
        assert told <= fired(plan(known, world.policy, world.roster, seen))
        world.settle()


@given(WORLDS, POLICIES, ROUTES, st.sampled_from((policy().slas, SEVERAL, ())), STEPS)
@settings(max_examples=150, deadline=None)
def test_an_open_handoff_keeps_the_terms_of_its_opening(
    facts: Dossier, terms: Policy, routes: Any, slas: Any, steps: Any
) -> None:
    """Law 13: other promises, routes and written values are for handoffs to come; of live ones nothing is told anew."""
    world = World(facts, terms)
    world.live(steps)
    world.seen = True
    world.settle()  # what was due and waited for a view has gone
    crm = replace(terms.crm, write_status={**terms.crm.write_status, "mql": "Ready For Sales"})
    before = world.dossier.decision.handoff if world.dossier.decision is not None else None
    if before is None or before.state is not HandoffState.WITH_SALES:
        return
    result = plan(world.dossier, replace(terms, crm=crm, routes=routes, slas=slas), world.roster, world.now)
    now = result.decision.handoff
    assert now is not None
    assert (now.id, now.sla, now.assignments) == (before.id, before.sla, before.assignments)
    assert [one.sla for one in now.clocks] == [one.sla for one in before.clocks]
    assert not result.commands


@given(WORLDS, POLICIES, STEPS)
@settings(max_examples=150, deadline=None)
def test_an_opt_out_of_mail_stops_nurture_and_nothing_else(facts: Dossier, terms: Policy, steps: Any) -> None:
    world = World(facts, terms)
    world.settle()
    for what in steps:
        world.step(what)
        leads = tuple(replace(one, attributes={**one.attributes, "unsubscribed": True}) for one in world.dossier.leads)
        mailed = plan(world.dossier, terms, world.roster, world.now)
        silent = plan(replace(world.dossier, leads=leads), terms, world.roster, world.now)
        kept = [one for one in mailed.commands if not leads or not isinstance(one, Nurture) or one.remove]
        assert list(silent.commands) == kept
        assert (silent.events, silent.decision, silent.withdraw) == (mailed.events, mailed.decision, mailed.withdraw)
        world.settle()


@given(WORLDS, STEPS, OWNERS)
@settings(max_examples=200, deadline=None)
def test_an_owner_that_a_person_chose_is_kept_for_this_handoff(dossier: Dossier, steps: Any, owner: str) -> None:
    """Law 5."""
    world = World(dossier, policy(slas=SEVERAL))
    world.settle()
    handoff = world.dossier.decision.handoff
    if handoff is None or handoff.state is not HandoffState.WITH_SALES or handoff.assignments[-1].queue:
        return
    if world.dossier.records[0].deleted or world.dossier.decision.desired.record != LEAD:
        return
    if handoff.assignments[-1].owner == owner or handoff.assignments[-1].route == "contact":
        return
    world.step(("answer", "owner", owner, "boss"))
    world.settle()
    for what in steps:
        if what[0] != "answer" or what[1] != "owner":
            world.step(what)
            world.settle()
            now = world.dossier.decision.handoff
            if now.id == handoff.id and now.state is HandoffState.WITH_SALES:
                assert now.assignments[-1].owner == owner
                for told in world.plans[-1].commands:
                    if isinstance(told, WriteLead):
                        assert told.values.get("owner", owner) == owner


@given(READY, READY, STEPS, STEPS)
@example(
    one=READY_OPEN,
    two=READY_OPEN,
    first=[("answer", "status", "Unqualified", "ana"), ("answer", "status", "Open", "ana")],
    then=[("answer", "status", "Open", "ana"), ("answer", "status", "Working", "ana")],
)
@example(
    one=READY_OPEN,
    two=READY_OPEN,
    first=[
        ("keep",),
        ("answer", "status", "Working", "me"),
        ("answer", "status", "Open", "me"),
        ("delete",),
    ],
    then=[("answer", "status", "Open", "ana"), ("park", "parked")],
)
@example(
    one=dossier(records=(record("Working", "ana"),)),
    two=dossier(records=(record("Working", "ana"),)),
    first=[("complete", "ana"), ("delete",)],
    then=[("delete",), ("complete", "ana")],
)
@settings(max_examples=150, deadline=None)
def test_two_people_who_turn_out_to_be_one_have_one_handoff(one: Dossier, two: Dossier, first: Any, then: Any) -> None:
    other_lead = Identity("crm", "Lead", "L2")
    two = replace(two, person=23, records=(replace(two.records[0], identity=other_lead),))
    one_world, two_world = World(one, policy()), World(two, policy())
    for world in (one_world, two_world):
        world.settle()
        for what in first[: len(first) // (1 + (world is two_world))]:
            world.step(what)
            world.settle()
    a, b = one_world.dossier, two_world.dossier
    one_world.dossier = replace(
        a,
        absorbed=(b.decision,),
        records=(*a.records, *b.records),
        activities=tuple({one.key: one for one in (*a.activities, *b.activities)}.values()),
        changes=(*a.changes, *b.changes),
        tasks=(*a.tasks, *b.tasks),
        outbox=(*a.outbox, *b.outbox),
    )
    one_world.now = max(one_world.now, two_world.now)
    one_world.roster = replace(
        one_world.roster, open=dict(Counter(one_world.roster.open) + Counter(two_world.roster.open))
    )
    ids = {one.id for decision in (a.decision, b.decision) for one in decision.handoffs}
    one_world.settle()
    assert ids <= {one.id for one in one_world.dossier.decision.handoffs}, "a handoff keeps its id through every merge"
    for what in then:
        one_world.step(what)
        one_world.settle()
    numbers = [one.number for one in one_world.dossier.decision.handoffs if one.id not in ids]
    assert numbers == sorted(set(numbers))


WINDOWED = st.lists(
    st.builds(
        lambda kind, choices: InterestRule("r", kind, 30, tuple(choices)),
        st.sampled_from(("form.*", "page.visited", "*")),
        st.lists(
            st.builds(
                InterestChoice,
                st.sampled_from((10, 5, 0, -10)),
                at_least=st.integers(0, 3),
                exactly=st.sampled_from((None, None, 0, 1, 2)),
                within=st.sampled_from(
                    (None, Duration(days=1), Duration(days=7), Duration(days=30), Duration(minutes=90))
                ),
            ),
            min_size=1,
            max_size=3,
        ),
    ),
    min_size=1,
    max_size=3,
).map(lambda rules: policy(scoring=replace(policy().scoring, interest=tuple(rules))))


@given(WORLDS, WINDOWED, st.lists(st.integers(1, 60 * 24 * 70), min_size=1, max_size=20))
@settings(max_examples=300, deadline=None)
def test_whose_score_will_change_by_itself_is_looked_at_by_then(
    facts: Dossier, terms: Policy, later: list[int]
) -> None:
    """Rounded up to the full hour, and two more for days whose clocks are changed."""
    result = plan(facts, terms, Roster(), NOW)
    now, wake_at = result.decision.score, result.wake_at
    if now is None:
        return  # nothing is said of somebody who has not been looked up
    for moment in (NOW + timedelta(minutes=some) for some in sorted(later)):
        if score(facts, terms, moment).total != now.total:
            assert wake_at is not None
            assert wake_at <= moment + timedelta(hours=3)
            break


def test_a_policy_with_nothing_in_it_still_plans() -> None:
    bare = Policy(
        timezone="UTC",
        live_from=NOW - timedelta(days=9),
        scoring=policy().scoring,
        mql=policy().mql,
        crm=CrmPolicy(),
        routes=(),
    )
    result = plan(dossier(), bare, Roster(), NOW)
    assert result.decision.waiting or result.decision.handoffs


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param(
            (("keep",), ("answer", "status", "Open", "me"), ("answer", "recycle_until", "2026-04-01", "ana"),
             ("answer", "status", "Working", "ana")),
            id="a date while a write waits that the next answer makes needless",
        ),
        pytest.param(
            (("answer", "recycle_until", "2026-04-01", "ana"), ("call", "ana", "connected"),
             ("answer", "status", "Sales Ready", "ana")),
            id="a call before the lead is made ready by hand is no touch of the new handoff",
        ),
        pytest.param(
            (("pass", 136_800), ("answer", "owner", QUEUE, "ana"), ("answer", "status", "Sales Ready", "ana"),
             ("delete",)),
            id="made ready by hand, held for a field, and deleted",
        ),
        pytest.param(
            (("call", "ana", "connected"), ("keep",), ("answer", "recycle_until", "2026-04-01", "ana"),
             ("park", "dropped")),
            id="the call that touched one handoff is no touch of the next, whose first write was dropped",
        ),
    ],
)  # fmt: skip
@pytest.mark.parametrize("status", ["Open", "Working"])
@pytest.mark.parametrize("held", [False, True])
def test_what_search_has_found_once(steps: Any, status: str, held: bool) -> None:
    terms = policy()
    if held:
        waiting = Route(
            "phone", RouteTarget(pool=("ana",), nobody="next"), {"phone": Condition(present=True)}, (), PATIENCE
        )
        rest = Route("all", RouteTarget(pool=("ana", "ben"), fallback_queue=QUEUE, nobody="wait", sticky=True))
        terms = replace(terms, routes=(waiting, rest))
    raised = (activity("a1", NOW - timedelta(minutes=5), "form.submitted", "guide"),)
    world = World(dossier(activities=raised, records=(record(status, "ana"),)), terms)
    world.live(steps)


def test_what_was_given_back_and_is_taken_up_again_owes_no_conversation_of_before() -> None:
    """Found by search: it went at once to the queue that had it, and the next plan of the same moment told it anew."""
    raised = (activity("a1", NOW - timedelta(minutes=5), "form.submitted", "guide"),)
    world = World(dossier(activities=raised, records=(record("Open", "ana"),)), policy(slas=SEVERAL, **RULES))
    world.settle()
    told = []
    for what in (("pass", 136_800), ("answer", "status", "Working", "ana"), ("pass", 25)):
        world.step(what)
        before = len(world.plans)
        world.settle()
        told.append({event.kind for made in world.plans[before:] for event in made.events})
    assert "recycled" in told[0]
    assert {"assigned", "touched"} <= told[1] and "reassigned" not in told[1]
    assert {"reassigned", "clock.started"} <= told[2], "still no conversation, and the queue had it already"
