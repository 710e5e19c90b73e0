"""When a handoff opens, for whom, and what keeps it back."""

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from syncagent.handoff import plan, why
from syncagent.model import (
    AccountView,
    CreateTask,
    CrmRecord,
    HandoffState,
    Identity,
    Lane,
    Opportunity,
    Plan,
    Roster,
    Stage,
    WriteLead,
)
from syncagent.policy import MOST_WORDS as WORDS
from syncagent.policy import Gate, Rep, Route, RouteTarget
from tests.unit.handoff.worlds import (
    ANA,
    BEN,
    CONTACT,
    LIVE,
    ME,
    NOW,
    QUEUE,
    accept,
    activity,
    apply,
    dossier,
    kinds,
    lead,
    minutes,
    policy,
    record,
    verbs,
)


def now(facts: Any, terms: Any = None, roster: Roster | None = None) -> Plan:
    return plan(facts, terms or policy(), roster or Roster(), NOW)


def write_of(result: Plan) -> WriteLead:
    return next(one for one in result.commands if isinstance(one, WriteLead))


def task_of(result: Plan) -> CreateTask:
    return next(one for one in result.commands if isinstance(one, CreateTask))


def test_history_is_scored_and_never_handed_off() -> None:
    old = policy(live_from=NOW - minutes(1))
    result = now(dossier(), old)
    assert result.decision.score is not None
    assert result.decision.score.total == 80
    assert not result.decision.handoffs
    (told,) = result.events  # a move that comes with a new score stands in its line
    assert told.kind == "score"
    assert (told.data["before"], told.data["stage"], told.data["total"]) == ("suspect", "prospect", 80)
    assert told.why.startswith("From suspect to prospect: ")


def test_one_new_activity_that_counts_opens_what_history_has_filled() -> None:
    terms = policy(live_from=NOW - minutes(1))
    facts = dossier(activities=(activity("old", NOW - minutes(50)), activity("new", NOW, "page.visited", "/prices")))
    assert now(facts, terms).decision.handoff is not None
    idle = dossier(activities=(activity("old", NOW - minutes(50)), activity("new", NOW, "email.clicked")))
    assert now(idle, terms).decision.handoff is None, "what gives no points opens nothing"


def test_asking_for_sales_needs_no_score_and_no_gate() -> None:
    terms = policy(gate=Gate(required=("need",), unknown="wait"))
    facts = dossier(leads=(lead(title="student"),), activities=(activity("a", NOW, asset="demo-request"),))
    result = now(facts, terms)
    assert result.cause == "handraiser"
    assert result.decision.handoff is not None
    assert result.decision.handoff.cause == "form submitted: demo-request"


@pytest.mark.parametrize("status", ["Working", "Unqualified", "On Hold", "Odd"])
def test_a_lead_first_seen_at_work_is_adopted(status: str) -> None:
    result = now(dossier(records=(record(status),)))
    assert result.decision.adopted
    assert "adopted" in kinds(result)
    assert not result.decision.handoffs
    assert "sales is at work" in result.decision.waiting
    again = now(accept(result, dossier(records=(record(status),))))
    assert not again.events


def test_an_adopted_lead_that_sales_gives_back_returns() -> None:
    facts = dossier(records=(record("Working", ANA),))
    facts = accept(now(facts), facts)
    given = replace(facts, records=(record("Recycled", ANA, NOW, ANA, recycle_until="2026-06-01"),))
    result = now(given)
    assert result.decision.handoff is not None
    assert result.decision.handoff.state is HandoffState.RETURNING
    assert not result.decision.adopted
    assert "Nurture" in verbs(result)


def test_an_adopted_lead_set_back_to_open_may_be_handed_off() -> None:
    facts = dossier(records=(record("Working", ANA),))
    facts = accept(now(facts), facts)
    result = now(replace(facts, records=(record("Open", ANA, NOW, ANA),)))
    assert result.decision.handoff is not None


def test_a_lead_first_seen_recycled_comes_up_only_by_what_it_does_from_now_on() -> None:
    terms = policy(live_from=NOW - minutes(10))
    quiet = dossier(records=(record("Recycled"),), activities=(activity("a", NOW - minutes(60)),))
    assert not now(quiet, terms).decision.handoffs
    woken = dossier(records=(record("Recycled"),), activities=(activity("a", NOW - minutes(1)),))
    assert now(woken, terms).decision.handoff is not None


def test_who_is_not_in_the_crm_waits_in_sight_or_is_made() -> None:
    facts = dossier(records=())
    result = now(facts)
    assert not result.commands
    assert result.decision.waiting == "not in the CRM"
    assert result.decision.stage is Stage.MQL
    assert kinds(result).count("waiting") == 1
    assert "waiting" not in kinds(now(accept(result, facts)))
    made = now(facts, policy(crm=replace(policy().crm, create="when_missing")))
    write = write_of(made)
    assert write.record is None
    assert write.key == "e1:17:new"
    assert write.create is not None
    assert write.create["last_name"] == "Lang"
    assert write.create["email"] == "eva@example.com"
    assert task_of(made).depends_on == ("e1:17:new",)
    assert task_of(made).record is None


def test_a_created_record_is_followed_by_its_receipt() -> None:
    terms = policy(crm=replace(policy().crm, create="when_missing"))
    facts = dossier(records=())
    told = apply(result := now(facts, terms), facts)
    after = plan(told, terms, result.roster or Roster(), NOW + minutes(1))
    assert kinds(after) == ["clock.started"]
    assert not after.commands
    unread = plan(replace(told, records=()), terms, result.roster or Roster(), NOW + minutes(1))
    assert kinds(unread) == ["clock.started"], "the receipt alone says enough"


def test_the_gate_asks_or_waits() -> None:
    ask = now(dossier(), policy(gate=Gate(required=("need", "timing"))))
    assert "Ask first: Which problem should it solve" in task_of(ask).body
    assert "please ask: timing?, phone" in task_of(ask).body
    waiting = now(dossier(), policy(gate=Gate(required=("need", "timing"), unknown="wait")))
    assert waiting.decision.waiting == "gate: need, timing unknown"
    assert waiting.decision.stage is Stage.PROSPECT
    known = dossier(leads=(lead(bantfo_need="yes", bantfo_timing="no"),))
    terms = Gate(required=("need", "timing"), unknown="wait")
    assert now(known, policy(gate=terms)).decision.waiting == "gate: no timing"
    assert now(known, policy(gate=replace(terms, no="pass"))).decision.handoffs


def test_the_row_holds_what_is_mapped_and_expects_what_was_seen() -> None:
    write = write_of(now(dossier()))
    assert set(write.values) == {"status", "owner", "stage_date", "score", "grade"}
    assert write.expects == {"status": "Open", "owner": QUEUE}
    assert write.values["score"] == 80
    assert write.lane is Lane.HOT
    assert write.revision == 1


def test_a_contact_keeps_its_owner_and_gets_a_task_for_the_deal() -> None:
    contact = CrmRecord(CONTACT, NOW - minutes(99), NOW - minutes(99), ANA, {"owner": ANA}, ("eva@example.com",))
    deal = Opportunity(Identity("crm", "Opportunity", "O1"), (CONTACT,), NOW, NOW - timedelta(days=9), BEN)
    facts = dossier(records=(contact, record()), opportunities=(deal,))
    result = now(facts)
    assert write_of(result).values.keys() == {"stage_date", "score", "grade"}
    assert task_of(result).owner == BEN
    assert task_of(result).record == CONTACT
    bare = now(facts, policy(crm=replace(policy().crm, fields=())))
    assert verbs(bare) == ["CreateTask"]
    assert task_of(bare).depends_on == ()


def test_the_current_owner_and_the_account_owner_come_before_the_routes() -> None:
    mine = now(dossier(records=(record("Open", BEN),))).decision.handoff
    assert mine is not None and mine.assignments[0].owner == BEN
    account = now(dossier(account=AccountView("A", owner=BEN))).decision.handoff
    assert account is not None and account.assignments[0].route == "account owner"
    gone = now(dossier(account=AccountView("A", owner=BEN)), roster=Roster(active={BEN: False})).decision.handoff
    assert gone is not None and gone.assignments[0].owner == ANA


def test_a_rotation_keeps_its_weights_and_nobody_catches_up() -> None:
    terms = policy(reps=(Rep("Ana", ANA, weight=2), Rep("Ben", BEN)))
    away = policy(reps=(Rep("Ana", ANA, weight=2), Rep("Ben", BEN, away=("2026-03-10",))))
    roster, got = Roster(), []
    for number in range(15):
        result = plan(dossier(person=number), terms if not 3 <= number < 9 else away, roster, NOW)
        assert result.roster is not None and result.decision.handoff is not None
        roster = result.roster
        got.append(result.decision.handoff.assignments[0].owner)
    assert got[:3].count(ANA) == 2
    assert got[3:9] == [ANA] * 6
    assert got[9:].count(BEN) == 2


def test_caps_send_the_lead_to_the_queue_and_freed_capacity_takes_it_out() -> None:
    full = policy(reps=(Rep("Ana", ANA, cap_open=1), Rep("Ben", BEN, cap_per_day=1)))
    roster = Roster(open={ANA: 1}, today={BEN: 1}, day="2026-03-10")
    facts = dossier()
    result = plan(facts, full, roster, NOW)
    handoff = result.decision.handoff
    assert handoff is not None and handoff.assignments[0].owner == QUEUE
    assert handoff.assignments[0].pool == ("Ana: full, 1/1 open", "Ben: has had 1/1 today")
    assert "CreateTask" not in verbs(result)
    told = apply(result, facts)
    assert result.roster is not None
    still = plan(told, full, result.roster, NOW + minutes(1))
    assert "roster:everybody" in still.waits_on
    told = apply(still, told)
    tomorrow = NOW + timedelta(days=1)
    freed = plan(replace(told, crm_seen_until=tomorrow), full, still.roster or result.roster, tomorrow)
    assert freed.decision.handoff is not None
    assert freed.decision.handoff.assignments[-1].owner == BEN
    assert freed.cause == "reassign"


def test_nobody_is_left_without_an_owner() -> None:
    alone = policy(routes=(Route("all", RouteTarget(pool=(ANA,))),), queues={}, reps=(Rep("Ana", ANA, cap_open=0),))
    handoff = now(dossier(), alone).decision.handoff
    assert handoff is not None and handoff.assignments[0].owner == ANA


def test_the_brief_is_short_however_much_there_is_to_say() -> None:
    wordy = " ".join(["word"] * 90)
    facts = dossier(
        leads=(lead(phone=""),),
        activities=tuple(activity(f"k{n}", NOW - minutes(n), asset=f"{wordy} {n}") for n in range(6)),
    )
    body = task_of(now(facts)).body
    assert len(body.split()) <= WORDS
    assert body.startswith("Why now: score 80 (A2)")


def test_three_moments_at_most_newest_first() -> None:
    facts = dossier(activities=tuple(activity(f"k{n}", NOW - minutes(n), asset=f"guide-{n}") for n in range(5)))
    moments = [line for line in task_of(now(facts)).body.splitlines() if line.startswith("- ")]
    assert [line.rsplit(" ", 1)[1] for line in moments] == ["guide-0", "guide-1", "guide-2"]


def test_scores_alone_go_out_in_the_cold_lane_when_they_move_and_once_a_day() -> None:
    idle = lambda count: dossier(  # noqa: E731
        leads=(lead(title=""),), activities=tuple(activity(f"v{n}", NOW, "page.visited", "/") for n in range(count))
    )
    first = now(idle(1))
    assert write_of(first).values == {"score": 10, "grade": "D4"}
    assert write_of(first).lane is Lane.COLD
    assert write_of(first).expects == {}
    assert first.cause == "score"
    told = apply(first, idle(1))
    more = replace(idle(5), decision=told.decision, outbox=told.outbox, records=told.records)
    soon = plan(more, policy(), Roster(), NOW + minutes(5))
    assert not soon.commands
    assert soon.wake_at == NOW + timedelta(days=1)
    later = plan(more, policy(), Roster(), NOW + timedelta(days=1))
    assert write_of(later).values == {"score": 20, "grade": "D3"}
    assert not now(idle(1), policy(write_scores=False)).commands


def test_an_explanation_names_points_owner_and_terms() -> None:
    told = apply(result := now(dossier()), dossier())
    lines = why(told, policy(), result.roster or Roster(), NOW + minutes(1))
    text = "\n".join(lines)
    assert "Score: 80 = fit 40 + interest 40" in text
    assert "To Ana (ana)" in text
    assert "SLA hot (first touch, since 2026-03-10 09:01 UTC): remind at" in text
    assert "eva@" not in text
    assert ME not in text.split()
    assert "25 points below the line" in "\n".join(why(dossier(leads=(lead(title=""),)), policy(), Roster(), NOW))
    assert LIVE < NOW
