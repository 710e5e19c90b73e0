"""A person who lives through steps, each of which is planned and delivered; and what must hold of every plan."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from hypothesis import strategies as st
from msgspec.structs import replace

from syncagent.handoff import Seen, plan, stand
from syncagent.handoff.audit import REPLAN, RUN
from syncagent.model import (
    Alert,
    AnyCommand,
    CreateTask,
    CrmTask,
    Crowd,
    Dossier,
    HandoffState,
    Identity,
    OutboxEntry,
    Plan,
    Roster,
    SlaStep,
    Stage,
    WriteLead,
)
from syncagent.policy import (
    Condition,
    Duration,
    Gate,
    Hours,
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
    NOW,
    OWNERS,
    QUEUE,
    READY,
    STATUSES,
    accept,
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

    def live(self, steps: Iterable[tuple[Any, ...]]) -> None:
        """Come to rest, and again after each step."""
        self.settle()
        for what in steps:
            self.step(what)
            self.settle()

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
