"""Not now is not never: by a rep, on their behalf, what is remembered, and how it comes back."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from syncagent.handoff import plan
from syncagent.handoff.scoring import score
from syncagent.model import (
    CloseTask,
    CreateTask,
    CrmTask,
    Dossier,
    Handoff,
    HandoffState,
    Identity,
    Nurture,
    Plan,
    Roster,
    Stage,
    WriteLead,
)
from syncagent.policy import (
    Duration,
    NurtureTarget,
    OnBehalf,
    Policy,
    ReasonRule,
    RecyclePolicy,
    StageRule,
    StatusReason,
)
from tests.unit.handoff.worlds import (
    ANA,
    BEN,
    LEAD,
    MARKETO,
    NOW,
    QUEUE,
    activity,
    answer,
    apply,
    dossier,
    kinds,
    policy,
)

DAY = timedelta(days=1)
LATER = NOW + timedelta(hours=1)
ROSTER = Roster()


def agreed(*, stages: tuple[StageRule, ...] = (), **recycle: Any) -> Policy:
    given = {"wake_points": 40, "nurture": NurtureTarget("marketo", list_id=7), **recycle}
    crm = replace(
        policy().crm,
        fields=("score", "grade", "recycle_until", "recycle_reason"),
        answers={**policy().crm.answers, "No Budget": Stage.RECYCLED, "Lost": Stage.LOST},
    )
    return policy(recycle=RecyclePolicy(**given), stages=stages, crm=crm)


def handed_off(given: Policy) -> Dossier:
    first = apply(plan(dossier(), given, ROSTER, NOW), dossier())
    return apply(plan(first, given, ROSTER, NOW + timedelta(minutes=1)), first, NOW + timedelta(minutes=1))


def current(known: Dossier | Plan) -> Handoff:
    assert known.decision is not None
    assert known.decision.handoff is not None
    return known.decision.handoff


def owner_of(known: Dossier) -> str:
    return current(known).assignments[-1].owner


def called(known: Dossier, count: int, at: datetime = LATER, kind: str = "Call") -> Dossier:
    """The rep logs so many calls, a day apart."""
    rep = owner_of(known)
    made = tuple(
        CrmTask(
            Identity("crm", "Task", f"{kind}{n}"),
            LEAD,
            rep,
            at + n * DAY,
            rep,
            rep,
            at + n * DAY,
            type=kind,
            closed=True,
            closed_at=at + n * DAY,
        )
        for n in range(count)
    )
    return replace(known, tasks=(*known.tasks, *made), crm_seen_until=at + count * DAY)


def written(result: Plan) -> dict[str, Any]:
    return {name: value for one in result.commands if isinstance(one, WriteLead) for name, value in one.values.items()}


def silent(result: Plan, known: Dossier, given: Policy, now: datetime) -> None:
    """Planning the result again at the same moment tells nothing."""
    again = plan(apply(result, known, now), given, ROSTER, now)
    assert again.commands == ()
    assert again.events == ()
    assert again.decision == result.decision


# -- by a rep


def test_a_status_says_reason_and_time_where_the_crm_has_no_fields() -> None:
    given = agreed(statuses={"No Budget": StatusReason("no budget", Duration(days=180))}, owner=QUEUE)
    known = answer(handed_off(given), LATER, by=ANA, status="No Budget")
    told = plan(known, given, ROSTER, LATER)
    handoff = current(told)
    assert (handoff.state, handoff.recycle_reason) == (HandoffState.RETURNING, "no budget")
    assert handoff.come_back_at == datetime(2026, 9, 5, 22, tzinfo=UTC), "half a year on, at midnight in Berlin"
    assert written(told)["owner"] == QUEUE
    assert "status" not in written(told), "the rep's own stays"
    assert [one.list_id for one in told.commands if isinstance(one, Nurture)] == [7]
    assert any(isinstance(one, CloseTask) for one in told.commands)
    silent(told, known, given, LATER)


def test_the_reasons_time_and_list_count_and_the_reps_date_goes_before() -> None:
    reason = ReasonRule("No Budget", Duration(days=30), nurture=NurtureTarget("marketo", list_id=99))
    given = agreed(reasons=(reason,))
    known = answer(handed_off(given), LATER, by=ANA, status="Recycled", recycle_reason="no budget")
    told = plan(known, given, ROSTER, LATER)
    assert current(told).come_back_at == datetime(2026, 4, 8, 22, tzinfo=UTC)
    assert [one.list_id for one in told.commands if isinstance(one, Nurture)] == [99]
    named = answer(known, LATER, by=ANA, recycle_until="2026-06-01")
    assert current(plan(named, given, ROSTER, LATER)).come_back_at == datetime(2026, 5, 31, 22, tzinfo=UTC)


def nurtured(result: Plan) -> list[tuple[int | None, int | None, bool]]:
    return [(one.list_id, one.campaign_id, one.remove) for one in result.commands if isinstance(one, Nurture)]


CAMPAIGN = NurtureTarget("marketo", campaign_id=5, leave_id=6)


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [
        (CAMPAIGN, CAMPAIGN, [(None, 6, True)]),
        (NurtureTarget("marketo", campaign_id=5), CAMPAIGN, [(None, 6, True)]),
        (CAMPAIGN, NurtureTarget("marketo", campaign_id=5), []),
        (CAMPAIGN, NurtureTarget("marketo", campaign_id=8, leave_id=9), []),
        (CAMPAIGN, NurtureTarget("marketo", list_id=7), []),
        (NurtureTarget("marketo", list_id=7), CAMPAIGN, [(7, None, True)]),
    ],
)
def test_what_a_campaign_began_the_one_that_ends_it_ends(before: NurtureTarget, now: NurtureTarget, told: Any) -> None:
    """By the config of now; what they were put into, the receipt says."""
    given = agreed(nurture=before)
    known = answer(handed_off(given), LATER, by=ANA, status="Recycled")
    back = plan(known, given, ROSTER, LATER)
    assert nurtured(back) == [(before.list_id, before.campaign_id, False)]
    known = apply(back, known, LATER)
    which = {"list": before.list_id, "campaign": before.campaign_id}
    values = {name: number for name, number in which.items() if number is not None}
    known = replace(
        known,
        outbox=tuple(
            replace(one, receipt=replace(one.receipt, values=values)) if one.verb == "Nurture" and one.receipt else one
            for one in known.outbox
        ),
    )
    known = answer(known, LATER + DAY, by=ANA, status="Working")
    result = plan(known, agreed(nurture=now), ROSTER, LATER + DAY)
    assert nurtured(result) == told
    silent(result, known, agreed(nurture=now), LATER + DAY)


def test_of_two_leads_that_were_merged_the_one_that_stayed_is_nurtured_and_taken_out() -> None:
    given = agreed()
    known = answer(handed_off(given), LATER, by=ANA, status="Recycled")
    merged, other = Identity("marketo", "lead", "1"), Identity("marketo", "lead", "9")
    known = replace(known, identities=(merged, MARKETO, other, *known.identities))
    (into,) = [one for one in plan(known, given, ROSTER, LATER).commands if isinstance(one, Nurture)]
    assert into.lead == MARKETO
    known = apply(plan(known, given, ROSTER, LATER), known, LATER)
    told = tuple(
        replace(one, receipt=replace(one.receipt, record=other)) if one.verb == "Nurture" and one.receipt else one
        for one in known.outbox
    )
    known = answer(replace(known, outbox=told), LATER + DAY, by=ANA, status="Working")
    (out,) = [one for one in plan(known, given, ROSTER, LATER + DAY).commands if isinstance(one, Nurture)]
    assert out.lead == MARKETO, "who was put in has been merged since"
    both = replace(known, leads=(replace(known.leads[0], identity=other), *known.leads))
    (out,) = [one for one in plan(both, given, ROSTER, LATER + DAY).commands if isinstance(one, Nurture)]
    assert out.lead == other, "who was put in is there still"


def test_where_nobody_knows_whether_the_campaign_was_requested_it_is_ended_all_the_same() -> None:
    given = agreed(nurture=CAMPAIGN)
    known = answer(handed_off(given), LATER, by=ANA, status="Recycled")
    known = apply(plan(known, given, ROSTER, LATER), known, LATER)
    unknown = tuple(
        replace(one, state="unknown", receipt=None) if one.verb == "Nurture" else one for one in known.outbox
    )
    known = answer(replace(known, outbox=unknown), LATER + DAY, by=ANA, status="Working")
    (ending,) = [one for one in plan(known, given, ROSTER, LATER + DAY).commands if isinstance(one, Nurture)]
    assert (ending.campaign_id, ending.depends_on) == (6, ()), "it would wait for ever"


def test_a_reason_that_is_for_good_closes_it() -> None:
    given = agreed(reasons=(ReasonRule("competitor", again=False),))
    known = answer(handed_off(given), LATER, by=ANA, status="Recycled", recycle_reason="Competitor")
    told = plan(known, given, ROSTER, LATER)
    assert (current(told).state, current(told).outcome) == (HandoffState.CLOSED, "recycled for good")
    silent(told, known, given, LATER)


def test_a_date_alone_gives_it_back_and_the_agent_moves_status_and_owner() -> None:
    given = agreed(owner=QUEUE)
    known = answer(handed_off(given), LATER, by=ANA, recycle_until="2026-06-01", recycle_reason="later")
    told = plan(known, given, ROSTER, LATER)
    assert current(told).state is HandoffState.RETURNING
    assert current(told).recycle_reason == "later"
    assert written(told) == {"status": "Recycled", "owner": QUEUE}
    silent(told, known, given, LATER)


def test_a_date_that_automation_sets_gives_nothing_back() -> None:
    given = agreed()
    known = answer(handed_off(given), LATER, by="flow", recycle_until="2026-06-01")
    assert current(plan(known, given, ROSTER, LATER)).state is HandoffState.WITH_SALES


# -- on behalf


def test_silence_after_so_many_tries_gives_it_back() -> None:
    given = agreed(on_behalf=(OnBehalf("no_answer", "no answer", Duration(days=60), tries=3),), owner=QUEUE)
    two = called(handed_off(given), 2)
    assert current(plan(two, given, ROSTER, LATER + 5 * DAY)).state is HandoffState.WITH_SALES
    known = called(handed_off(given), 3)
    last = LATER + 2 * DAY
    early = plan(known, given, ROSTER, last + timedelta(hours=1))
    assert current(early).state is HandoffState.WITH_SALES
    assert early.wake_at is not None
    assert early.wake_at <= last + DAY, "a day is left for the answer"
    told = plan(known, given, ROSTER, last + DAY)
    assert current(told).state is HandoffState.RETURNING
    assert (current(told).recycle_reason, current(told).tries) == ("no answer", 3)
    assert written(told)["status"] == "Recycled"
    assert written(told)["owner"] == QUEUE
    assert "3 tries and no conversation" in next(one.why for one in told.events if one.kind == "recycled")
    silent(told, known, given, last + DAY)


@pytest.mark.parametrize("how", ["meeting", "qualified", "stale view"])
def test_whoever_has_talked_or_was_not_seen_is_not_given_back(how: str) -> None:
    given = agreed(on_behalf=(OnBehalf("no_answer", "no answer", tries=3),))
    known = called(handed_off(given), 3)
    end = LATER + 4 * DAY
    if how == "meeting":
        known = called(known, 1, LATER + DAY, "Meeting")
    elif how == "qualified":
        known = answer(known, LATER + DAY, by=ANA, status="Qualified")
    known = replace(known, crm_seen_until=LATER + DAY if how == "stale view" else end)
    told = plan(known, given, ROSTER, end)
    assert current(told).state is HandoffState.WITH_SALES
    assert ("crm" in told.waits_on) == (how == "stale view")


def test_an_owner_whom_a_person_chose_stays_on_the_record() -> None:
    given = agreed(on_behalf=(OnBehalf("no_answer", "no answer", tries=1),), owner=QUEUE)
    known = handed_off(given)
    other = BEN if owner_of(known) == ANA else ANA
    known = answer(known, LATER, by="boss", owner=other)
    known = apply(plan(known, given, ROSTER, LATER), known, LATER)
    known = called(known, 1)
    told = plan(known, given, ROSTER, LATER + 2 * DAY)
    assert current(told).state is HandoffState.RETURNING
    assert "owner" not in written(told)


@pytest.mark.parametrize(
    ("status", "cause", "stage"), [("Lost", "lost", Stage.LOST), ("Unqualified", "disqualified", Stage.DISQUALIFIED)]
)
def test_what_was_lost_or_disqualified_comes_back_by_rule(status: str, cause: Any, stage: Stage) -> None:
    given = agreed(on_behalf=(OnBehalf(cause, cause, Duration(days=180)),))
    known = answer(handed_off(given), LATER, by=ANA, status=status)
    told = plan(known, given, ROSTER, LATER)
    handoff = current(told)
    assert (handoff.state, handoff.outcome, told.decision.stage) == (HandoffState.RETURNING, cause, stage)
    assert handoff.come_back_at == datetime(2026, 9, 5, 22, tzinfo=UTC)
    assert written(told) == {}, "what sales set stays as it is"
    assert sum(isinstance(one, Nurture) for one in told.commands) == 1
    assert sum(isinstance(one, CloseTask) for one in told.commands) == 1
    silent(told, known, given, LATER)
    without = plan(known, agreed(), ROSTER, LATER)
    assert current(without).state is HandoffState.CLOSED
    assert handoff.come_back_at is not None
    back = plan(
        replace(apply(told, known, LATER), crm_seen_until=handoff.come_back_at), given, ROSTER, handoff.come_back_at
    )
    assert current(back).number == 2
    assert current(back).cause == "came back on its date"


def test_on_hold_rests_as_long_as_its_rule_says() -> None:
    given = agreed(on_behalf=(OnBehalf("on_hold", "paused", Duration(days=14)),))
    known = answer(handed_off(given), LATER, by=ANA, status="On Hold")
    told = plan(known, given, ROSTER, LATER)
    assert (current(told).outcome, current(told).recycle_reason) == ("on hold", "paused")
    assert current(told).come_back_at == datetime(2026, 3, 23, 23, tzinfo=UTC)
    assert not any(isinstance(one, CloseTask) for one in told.commands), "the rep keeps lead and task"


def test_a_stay_that_was_too_long_gives_it_back() -> None:
    given = agreed(stages=(StageRule(Stage.SAL, longest=Duration(days=10), stuck="recycle"),), owner=QUEUE)
    known = answer(handed_off(given), LATER, by=ANA, status="Working")
    known = apply(plan(known, given, ROSTER, LATER), known, LATER)
    end = LATER + 10 * DAY
    early = plan(known, given, ROSTER, end - timedelta(hours=1))
    assert current(early).state is HandoffState.WITH_SALES
    assert early.wake_at is not None
    assert early.wake_at <= end
    known = replace(known, crm_seen_until=end)
    told = plan(known, given, ROSTER, end)
    assert current(told).recycle_reason == "stuck in sal"
    assert written(told)["status"] == "Recycled"
    silent(told, known, given, end)


# -- what is remembered


@pytest.mark.parametrize(("share", "points"), [(1.0, 80), (0.5, 60), (0.0, 40)])
def test_the_score_remembers_as_much_as_the_reason_says(share: float, points: float) -> None:
    given = agreed(reasons=(ReasonRule("later", score=share),))
    known = answer(handed_off(given), LATER, by=ANA, status="Recycled", recycle_reason="Later")
    known = apply(plan(known, given, ROSTER, LATER), known, LATER)
    at = LATER + DAY
    found = score(known, given, at)
    assert found.total == points
    assert sum(one.points for one in found.contributions) == points, "it accounts for itself"
    again = replace(known, activities=(*known.activities, activity("a2", at)))
    assert score(again, given, at + timedelta(minutes=1)).total == 80, "what came after counts whole"


# -- and back


def _returned(given: Policy, roster: Roster = ROSTER) -> tuple[Dossier, Plan]:
    """Given back by Ana after two calls; its date has come."""
    known = called(handed_off(given), 2)
    known = answer(
        known, LATER + 2 * DAY, by=ANA, status="Recycled", recycle_reason="no budget", recycle_until="2026-06-01"
    )
    known = apply(plan(known, given, ROSTER, LATER + 2 * DAY), known, LATER + 2 * DAY)
    due = datetime(2026, 6, 1, 7, tzinfo=UTC)
    known = replace(known, crm_seen_until=due)
    return known, plan(known, given, roster, due)


def test_it_returns_on_its_date_to_the_same_rep_and_the_task_says_so() -> None:
    known, told = _returned(agreed())
    assert current(told).number == 2
    assert owner_of(known) == current(told).assignments[-1].owner
    (task,) = [one for one in told.commands if isinstance(one, CreateTask)]
    assert "This is a return (handoff number 2)." in task.body
    assert "recycled, after 2 tries: no budget" in task.body
    assert "came_back" in kinds(told)


def test_it_goes_by_route_when_the_rep_cannot() -> None:
    known, told = _returned(agreed(), Roster(active={ANA: False, BEN: False}))
    assert current(told).assignments[-1].queue
    gone = owner_of(known)
    other = BEN if gone == ANA else ANA
    _, by_route = _returned(agreed(), Roster(active={gone: False}))
    assert current(by_route).assignments[-1].owner == other


def test_it_comes_back_early_on_a_strong_signal() -> None:
    given = agreed()
    known = answer(handed_off(given), LATER, by=ANA, status="Recycled", recycle_until="2026-09-01")
    known = apply(plan(known, given, ROSTER, LATER), known, LATER)
    soon = NOW + 3 * DAY
    known = replace(known, activities=(*known.activities, activity("a2", soon)), crm_seen_until=soon)
    told = plan(known, given, ROSTER, soon + timedelta(minutes=1))
    assert current(told).number == 2
    assert "since it was given back" in current(told).cause


def test_returns_have_a_cap() -> None:
    given = agreed(most_returns=1)
    known = answer(handed_off(given), LATER, by=ANA, status="Recycled")
    told = plan(known, given, ROSTER, LATER)
    assert (current(told).state, current(told).outcome) == (HandoffState.CLOSED, "recycled for good")
    assert told.wake_at is None or current(told).come_back_at is None
