"""What holds for every plan, whatever the facts: design 4 and the laws, with hypothesis."""

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from syncagent.handoff import Seen, plan, score, stand
from syncagent.handoff.audit import REPLAN, RUN
from syncagent.model import (
    WITHDRAWN,
    Alert,
    AnyCommand,
    CreateTask,
    CrmTask,
    Crowd,
    Dossier,
    HandoffState,
    Identity,
    Nurture,
    OutboxEntry,
    Plan,
    Roster,
    SlaStep,
    Stage,
    WriteLead,
)
from syncagent.policy import (
    Condition,
    CrmPolicy,
    Duration,
    Gate,
    Hours,
    InterestChoice,
    InterestRule,
    NurtureTarget,
    OnBehalf,
    Policy,
    ReasonRule,
    RecyclePolicy,
    Route,
    RouteTarget,
    SlaTerms,
    StageRule,
    StatusReason,
    WaitFor,
)
from tests.unit.handoff.worlds import (
    ACTIVITIES,
    ACTORS,
    LEAD,
    NOW,
    OWNERS,
    QUEUE,
    READY,
    STATUSES,
    accept,
    activity,
    answer,
    complete,
    deliver,
    dossier,
    dossiers,
    policy,
    record,
    roster_after,
)

RULES: dict[str, Any] = {
    "recycle": RecyclePolicy(
        wake_points=40,
        nurture=NurtureTarget("marketo", list_id=7),
        owner="queue-1",
        reasons=(ReasonRule("stuck in sal", Duration(days=3), score=0.0), ReasonRule("lost", score=0.5, again=False)),
        statuses={"Recycled": StatusReason("later", Duration(days=9))},
        on_behalf=(
            OnBehalf("no_answer", "no answer", Duration(days=5), tries=1, wait=Duration(minutes=10)),
            OnBehalf("lost", "lost"),
            OnBehalf("on_hold", "paused", Duration(days=2)),
            OnBehalf("disqualified", "disqualified", Duration(days=30)),
        ),
    ),
    "stages": (
        StageRule(Stage.MQL, longest=Duration(days=2), to=(Stage.SAL, Stage.RECYCLED), stuck="recycle"),
        StageRule(Stage.SAL, longest=Duration(days=1), stuck="recycle"),
        StageRule(Stage.SQL, longest=Duration(days=1), to=(Stage.OPPORTUNITY,), tell="ben"),
        StageRule(Stage.DISQUALIFIED, to=()),
    ),
}
LADDER = (SlaStep(0.5, "remind"), SlaStep(0.7, "alert"), SlaStep(1.0, "reassign"), SlaStep(2.0, "queue"))
SEVERAL = (
    *policy().slas,
    SlaTerms(
        "talk", Duration(minutes=15), steps=LADDER, of="first conversation", outcomes=("connected",), pause_on=("Odd",)
    ),
    SlaTerms("sal", Duration(minutes=12), steps=LADDER, of="stage", stage="sal", pause_on=("Odd", "On Hold")),
    SlaTerms("mql", Duration(days=1), steps=LADDER, of="stage", stage="mql"),
)
PATIENCE = WaitFor(("phone",), Duration(minutes=15))
HALF_DAYS = Hours((((9 * 60, 13 * 60),),) * 7, "Europe/Berlin")
ROUTES = st.sampled_from(
    (
        policy().routes,
        (
            Route("phone", RouteTarget(pool=("ana",), nobody="next"), {"phone": Condition(present=True)}, (), PATIENCE),
            Route("all", RouteTarget(pool=("ana", "ben"), fallback_queue=QUEUE, nobody="wait", sticky=True)),
        ),
        (Route("all", RouteTarget(pool=("ana", "ben"), fallback_queue=QUEUE, pick="least_busy")),),
    )
)
POLICIES = st.builds(
    lambda create, unknown, required, rules, slas, routes, hours: policy(
        crm=replace(policy().crm, create=create),
        gate=Gate(required=required, unknown=unknown),
        slas=slas,
        routes=routes,
        reps=tuple(replace(rep, hours=hours) for rep in policy().reps),
        **rules,
    ),
    st.sampled_from(("never", "when_missing")),
    st.sampled_from(("ask", "wait")),
    st.sampled_from(((), ("need",))),
    st.sampled_from(({}, RULES)),
    st.sampled_from((policy().slas, SEVERAL)),
    ROUTES,
    st.sampled_from((None, HALF_DAYS)),
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("answer"), st.just("status"), STATUSES, ACTORS),
        st.tuples(st.just("answer"), st.just("owner"), OWNERS, ACTORS),
        st.tuples(st.just("answer"), st.just("recycle_until"), st.sampled_from(("2026-04-01", "x", None)), ACTORS),
        st.tuples(st.just("complete"), OWNERS),
        st.tuples(st.just("call"), OWNERS, st.sampled_from(("connected", "No Answer", ""))),
        st.tuples(st.just("crowd"), OWNERS),
        st.tuples(st.just("park"), st.sampled_from(("parked", "unknown", "conflict", "dropped", "sending"))),
        st.tuples(st.just("act"), ACTIVITIES),
        st.tuples(st.just("pass"), st.sampled_from((1, 7, 11, 25, 60 * 24, 60 * 24 * 95))),
        st.tuples(st.just("blind"), st.booleans()),
        st.tuples(st.just("delete")),
        st.tuples(st.just("keep")),
    ),
    min_size=2,
    max_size=14,
)
WORLDS = st.one_of(READY, READY, dossiers())
READY_OPEN = dossier(records=(record("Open", "ana"),))


class World:
    """One person, their CRM and the roster, lived through step by step; every plan made is checked."""

    def __init__(self, dossier: Dossier, terms: Policy) -> None:
        self.dossier, self.policy, self.roster, self.now = dossier, terms, Roster(), NOW
        self.deliver = True
        self.seen = True
        self.plans: list[Plan] = []

    def plan(self) -> Plan:
        if self.seen:
            self.dossier = replace(self.dossier, crm_seen_until=self.now)
        result = plan(self.dossier, self.policy, self.roster, self.now)
        check(result, self.dossier, self.now)
        self.roster = roster_after(result, self.roster)
        self.dossier = accept(result, self.dossier)
        again = plan(self.dossier, self.policy, self.roster, self.now)
        assert not again.commands, again.commands
        assert not again.events, again.events
        assert not again.withdraw
        assert again.decision == result.decision
        held = Counter(
            one.assignments[-1].owner for one in result.decision.handoffs if one.state is HandoffState.WITH_SALES
        )
        assert dict(held) == self.roster.open, "the roster counts what is with sales"
        stands = stand(self.dossier, Seen(wake_at=result.wake_at), self.policy, self.now)
        assert stands.state != "violation" or stands.mend not in (REPLAN, RUN), stands.why
        self.plans.append(result)
        return result

    def settle(self) -> None:
        """Plan and deliver until nothing more is told."""
        for _ in range(6):
            result = self.plan()
            if self.deliver:
                self.now += timedelta(seconds=1)
                self.dossier = deliver(result, self.dossier, self.now)
            if not result.commands:
                return
        raise AssertionError(f"never comes to rest: {self.plans[-1].commands}")

    def step(self, what: tuple[Any, ...]) -> None:
        self.now += timedelta(seconds=30)
        kind = what[0]
        if kind == "answer" and self.dossier.records and not self.dossier.records[0].deleted:
            self.dossier = answer(self.dossier, self.now, what[3], **{what[1]: what[2]})
        elif kind == "complete":
            self.dossier = complete(self.dossier, self.now, what[1])
        elif kind == "call" and self.dossier.records:
            place = Identity("crm", "Task", f"call-{self.now.isoformat()}")
            about, by, at = self.dossier.records[0].identity, what[1], self.now
            made = CrmTask(place, about, by, at, by, by, at, type="Call", closed=True, closed_at=at, outcome=what[2])
            self.dossier = replace(self.dossier, tasks=(*self.dossier.tasks, made))
        elif kind == "crowd":  # what they did last, they did to many
            at = max((one.at for one in self.dossier.changes if one.by == what[1]), default=self.now)
            self.dossier = replace(self.dossier, crowds=(*self.dossier.crowds, Crowd(what[1], at, 40)))
        elif kind == "act":
            told = replace(what[1], key=f"{what[1].key}-{self.now.isoformat()}", at=self.now)
            self.dossier = replace(self.dossier, activities=(*self.dossier.activities, told))
        elif kind == "pass":
            self.now += timedelta(minutes=what[1])
        elif kind == "blind":
            self.seen = what[1]
        elif kind == "keep":
            self.deliver = not self.deliver
        elif kind == "delete" and self.dossier.records:
            gone = tuple(replace(one, deleted=True) for one in self.dossier.records)
            self.dossier = replace(self.dossier, records=gone)
        elif kind == "park":
            self.dossier = replace(self.dossier, outbox=tuple(parked(one, what[1]) for one in self.dossier.outbox))


def parked(entry: OutboxEntry, state: Any) -> OutboxEntry:
    return replace(entry, state=state, why="refused") if entry.state == "queued" else entry


def may_come_anew(entry: OutboxEntry, command: AnyCommand) -> bool:
    """A task that certainly was not made comes again when its record or its write has gone: and it says so.

    So does an alert whose record had moved on.
    """
    if isinstance(command, Alert):
        return entry.state == "conflict"
    if not isinstance(command, CreateTask) or command.record is None:
        return False
    if entry.state == "conflict":
        return True
    moved = entry.hangs_on not in ("", command.record.id)
    left = bool(entry.waits_for) and entry.waits_for not in command.depends_on
    return entry.state == "queued" and (moved or left)


def check(result: Plan, before: Dossier, now: datetime) -> None:
    """What must hold of any plan."""
    assert result.wake_at is None or result.wake_at > now
    keys = [one.key for one in result.commands]
    assert len(keys) == len(set(keys))
    known = {one.key for one in before.outbox}
    entries = {one.key: one for one in before.outbox}
    for command in result.commands:
        if isinstance(command, WriteLead):
            assert command.values, "an empty row says nothing"
        else:
            entry = entries.get(command.key)
            assert entry is None or may_come_anew(entry, command), "a once command is told once"
        for needed in command.depends_on:
            assert needed in keys or needed in known
    live = [one for one in result.decision.handoffs if one.state is not HandoffState.CLOSED]
    assert len(live) <= 1
    for one in live:
        if one.state is HandoffState.RETURNING:
            assert one.come_back_at is not None
            assert result.wake_at is not None or result.decision.handoffs[-1] is not one
        else:
            assert one.assignments[-1].owner
            assert result.wake_at is not None, "law 6: with sales, at least one timer runs"


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
    world.settle()
    for what in steps:
        world.step(what)
        world.settle()
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
    world.settle()
    for what in steps:
        world.step(what)
        world.settle()
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
    world.settle()
    for what in steps:
        world.step(what)
        world.settle()
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
    world.settle()
    for what in steps:
        world.step(what)
        world.settle()
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
    world.settle()
    for what in steps:
        world.step(what)
        world.settle()


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
