"""Live promises: an owner that is not ours to change, the route of the opening, what waits for nothing (laws 5, 13)."""

from typing import Any

from msgspec.structs import replace

from syncagent.handoff import plan
from syncagent.model import Dossier, Identity, Plan, Roster, SlaStep, Stage
from syncagent.policy import (
    Condition,
    Duration,
    Policy,
    RecyclePolicy,
    Route,
    RouteTarget,
    SlaTerms,
    StageRule,
)
from tests.unit.handoff.worlds import (
    ANA,
    BEN,
    BOSS,
    FLOW,
    NOW,
    QUEUE,
    accept,
    answer,
    apply,
    dossier,
    kinds,
    minutes,
    policy,
    record,
    roster_after,
)


class Life:
    """A lead handed off at NOW, with everything delivered."""

    def __init__(self, terms: Policy | None = None, facts: Dossier | None = None) -> None:
        self.terms, self.roster, self.dossier = terms or policy(), Roster(), facts or dossier()
        self.go(0)
        self.go(1)

    def go(self, minute: float, *, send: bool = True) -> Plan:
        at = NOW + minutes(minute)
        self.dossier = replace(self.dossier, crm_seen_until=at)
        result = plan(self.dossier, self.terms, self.roster, at)
        self.roster = roster_after(result, self.roster)
        self.dossier = accept(result, self.dossier)
        if send:
            self.dossier = apply(result, self.dossier, at + minutes(0.1))
        return result

    def sets(self, minute: float, by: str, **fields: Any) -> Plan:
        self.dossier = answer(self.dossier, NOW + minutes(minute), by, **fields)
        return self.go(minute)

    def comes_to(self, verb: str, state: Any) -> None:
        entries = (replace(one, state=state) if one.verb == verb else one for one in self.dossier.outbox)
        self.dossier = replace(self.dossier, outbox=tuple(entries))

    @property
    def owner(self) -> str:
        return self.dossier.decision.handoff.assignments[-1].owner


def test_an_owner_that_automation_keeps_setting_is_escalated_not_passed_on() -> None:
    life = Life()
    life.sets(2, FLOW, owner="flowers")
    assert "contested" in kinds(life.sets(3, FLOW, owner="flowers"))
    before = life.owner
    late = life.go(12)
    assert "escalated" in kinds(late)
    assert "reassigned" not in kinds(late)
    assert [getattr(one, "to", "") for one in late.commands] == [BOSS]
    assert life.owner == before


def test_a_contested_owner_stays_when_a_rep_becomes_inactive_or_a_pool_gets_room() -> None:
    life = Life()
    life.sets(2, FLOW, owner="flowers")
    life.sets(3, FLOW, owner="flowers")
    before = life.owner
    life.roster = replace(life.roster, active={before: False})
    handoff = replace(life.dossier.decision.handoff, clock_started_at=None)
    life.dossier = replace(life.dossier, decision=replace(life.dossier.decision, handoffs=(handoff,)))
    life.comes_to("CreateTask", "queued")
    assert "reassigned" not in kinds(life.go(4, send=False))
    assert life.owner == before


def test_an_open_handoff_keeps_the_route_of_its_opening() -> None:
    def to(*pools: tuple[str, tuple[str, ...]]) -> Policy:
        routes = tuple(Route(name, RouteTarget(pool=pool, fallback_queue=QUEUE)) for name, pool in pools)
        return policy(routes=routes)

    life = Life(to(("first", (ANA, BEN))))
    assert life.owner == ANA
    life.terms = to(("new", ("cleo",)), ("first", (ANA, BEN)))
    assert "reassigned" in kinds(life.go(12))
    assert life.owner == BEN
    gone = Life(to(("first", (ANA, BEN))))
    gone.terms = to(("new", ("cleo",)))
    gone.go(12)
    assert gone.owner == "cleo"


def test_a_route_that_no_longer_fits_its_lead_is_kept_all_the_same() -> None:
    only = Condition(values=("Director",))
    routes = (
        Route("directors", RouteTarget(pool=(ANA, BEN)), when={"title": only}),
        Route("rest", RouteTarget(pool=("cleo",), fallback_queue=QUEUE)),
    )
    life = Life(policy(routes=routes))
    life.dossier = replace(
        life.dossier,
        leads=(replace(life.dossier.leads[0], attributes={**life.dossier.leads[0].attributes, "title": "Clerk"}),),
    )
    life.go(12)
    assert life.owner == BEN


def test_a_queue_is_known_by_its_id_whatever_the_route_calls_it() -> None:
    terms = SlaTerms("hot", Duration(minutes=10), steps=(SlaStep(1.0, "reassign"),))
    life = Life(policy(routes=(Route("all", RouteTarget(queue="Inbound")),), slas=(terms,)))
    assert life.owner == QUEUE
    late = life.go(12)
    assert "reassigned" not in kinds(late)
    assert "escalated" in kinds(late)


def test_a_merged_record_does_not_take_an_accepted_lead_back() -> None:
    life = Life()
    life.sets(2, ANA, status="Working")
    other = Identity("crm", "Lead", "L2")
    old = replace(life.dossier.records[0], merged_into=other, modified_at=NOW + minutes(3))
    winner = replace(record("Open", ANA, NOW + minutes(3), ANA), identity=other)
    life.dossier = replace(life.dossier, records=(old, winner))
    told = [one for one in life.go(4).commands if type(one).__name__ == "WriteLead"]
    assert not any("status" in one.values for one in told)


def test_what_waits_for_a_task_that_will_not_come_is_withdrawn() -> None:
    noisy = policy(crm=replace(policy().crm, notify=True))
    life = Life(noisy)
    life.comes_to("CreateTask", "dropped")
    life.comes_to("Notify", "queued")
    assert "e1:17.1:a1:task:push" in life.go(2).withdraw
    assert not life.go(2).withdraw
    life = Life(noisy)
    life.comes_to("CreateTask", "sending")
    closes = [one.key for one in life.sets(2, ANA, status="Unqualified").commands]
    assert closes == ["e1:17.1:a1:close"]
    life.comes_to("CloseTask", "queued")
    life.comes_to("CreateTask", "parked")
    assert {"e1:17.1:a1:task", "e1:17.1:a1:close"} <= set(life.go(3, send=False).withdraw)
    assert not life.go(3).withdraw


def test_a_longest_stay_of_nothing_leaves_no_lead_without_a_timer() -> None:
    """Law 6."""
    never = policy(recycle=RecyclePolicy(default=Duration()), stages=(StageRule(Stage.SAL, longest=Duration()),))
    life = Life(never)
    life.sets(2, ANA, status="Working")
    assert life.dossier.decision.handoff.touched_at is not None
    life.dossier = replace(life.dossier, activities=())
    life.go(60 * 24 * 2)
    assert life.go(60 * 24 * 4).wake_at is not None
