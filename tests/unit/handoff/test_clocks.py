"""Several promises a lead: what starts, pauses, keeps and breaks each; steps fire once and at the right level."""

from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from syncagent.handoff import renewed, why
from syncagent.handoff.sla import Running, due_at, elapsed, pending_steps, running
from syncagent.model import (
    CloseTask,
    CreateTask,
    CrmTask,
    Crowd,
    Handoff,
    Hold,
    Identity,
    Sla,
    SlaStep,
    Stage,
)
from syncagent.policy import Condition, CrmPolicy, Duration, Hours, Policy, Rep, Segment, SlaTerms, Threshold
from tests.unit.handoff.test_with_sales import Life, alerts
from tests.unit.handoff.worlds import ANA, BEN, BOSS, FLOW, LEAD, ME, NOW, QUEUE, complete, kinds, minutes, policy

CHIEF = "chief"
HOLD = "Waiting"
REMIND, ALERT, REASSIGN = SlaStep(0.5, "remind"), SlaStep(0.75, "alert"), SlaStep(1.0, "reassign")
ESCALATE, TO_QUEUE = SlaStep(2.0, "escalate"), SlaStep(3.0, "queue")
TOUCH = SlaTerms("touch", Duration(minutes=10), steps=(REMIND, REASSIGN, ESCALATE), pause_on=(HOLD,))
TALK = SlaTerms(
    "talk",
    Duration(minutes=100),
    steps=(REMIND, ALERT, REASSIGN, ESCALATE),
    of="first conversation",
    outcomes=("connected*",),
    statuses=("Talked",),
    pause_on=(HOLD, "On Hold"),
)
SAL = SlaTerms("work", Duration(minutes=60), steps=(REMIND, ESCALATE), of="stage", stage="sal", pause_on=(HOLD,))


def terms(*slas: SlaTerms, **more: Any) -> Policy:
    """Ana's manager is Boss, whose manager is Chief; what means what in the CRM."""
    made = policy(slas=slas or (TOUCH, TALK, SAL), **more)
    reps = (Rep("Ana", ANA, manager=BOSS), Rep("Ben", BEN, manager=BOSS), Rep("Boss", BOSS, manager=CHIEF))
    crm: CrmPolicy = replace(made.crm, answers={**made.crm.answers, "Talked": Stage.SQL})
    return replace(made, reps=more.get("reps", reps), crm=crm)


def call(life: Life, minute: float, outcome: str = "", by: str = ANA, kind: str = "Call", **more: Any) -> None:
    """Somebody logs a call."""
    at = NOW + minutes(minute)
    place = Identity("crm", "Task", f"call{minute:g}")
    given = {"type": kind, "closed": True, "closed_at": at, "outcome": outcome, **more}
    made = CrmTask(place, LEAD, by, at, by, by, at, **given)
    life.dossier = replace(life.dossier, tasks=(*life.dossier.tasks, made))


def at(minute: float) -> datetime:
    return NOW + minutes(minute)


def dues(life: Life) -> list[tuple[float, str, str]]:
    """Minutes after NOW, what is done, for which promise."""
    return [
        ((one.at - NOW) / timedelta(minutes=1), one.step.do, one.clock.sla.name)
        for one in pending_steps(life.handoff, life.policy)
    ]


# -- which terms


def test_the_first_terms_of_each_kind_hold_by_grade_segment_and_attributes() -> None:
    big = {"employees": Condition(minimum=1000)}
    slas = (
        SlaTerms("chiefs", Duration(minutes=1), grades=("A1",)),
        SlaTerms("enterprise", Duration(minutes=5), segments=("enterprise",)),
        SlaTerms("all", Duration(minutes=60)),
        SlaTerms("talk big", Duration(days=1), of="first conversation", when=big),
        SlaTerms("talk", Duration(days=3), of="first conversation"),
        SlaTerms("sal", Duration(days=5), of="stage", stage="sal"),
        SlaTerms("sql", Duration(days=9), of="stage", stage="sql"),
    )
    segment = Segment("enterprise", Threshold(score=50), when={"company": Condition(matches="lang")})
    handoff = Life(terms(*slas, segments=(segment,))).handoff
    assert handoff.segment == "enterprise" and handoff.sla is not None
    assert [handoff.sla.name, *(one.sla.name for one in handoff.clocks)] == ["enterprise", "talk", "sal", "sql"]
    assert Life(terms(*slas)).handoff.sla.name == "all"


def test_a_handoff_of_an_earlier_version_still_decodes_and_its_clock_goes_on() -> None:
    life = Life(terms(TOUCH))
    stored = msgspec.to_builtins(life.dossier.decision)
    for handoff in stored["handoffs"]:
        for name in ("clocks", "delivered_at", "holds", "touches"):
            del handoff[name]
        for name in ("of", "stage", "pause_on", "pause_holidays", "by", "bulk", "talk_tasks", "outcomes", "statuses"):
            del handoff["sla"][name]
        for assignment in handoff["assignments"]:
            del assignment["after"]
    old = msgspec.convert(stored, type(life.dossier.decision))
    life.dossier = replace(life.dossier, decision=old)
    assert "reminded" in kinds(life.go(at(6.5)))
    assert life.handoff.delivered_at == at(1)


# -- what runs when


def test_each_clock_has_its_own_start() -> None:
    life = Life(terms())
    assert [one.sla.name for one in running(life.handoff)] == ["touch", "talk"]
    assert dues(life)[:3] == [(6, "remind", "touch"), (11, "reassign", "touch"), (21, "escalate", "touch")]
    life.says(4, status="Working")
    assert [(one.sla.name, one.start) for one in running(life.handoff)] == [("talk", at(1)), ("work", at(4))]
    assert life.last.wake_at == at(34)


def test_a_stage_entered_again_is_promised_anew() -> None:
    life = Life(terms(SAL))
    life.says(4, status="Working")
    assert "reminded" in kinds(life.go(at(34)))
    life.says(40, status="Qualified")
    assert not list(running(life.handoff))
    life.says(50, status="Working")
    assert [(one.visit, one.start) for one in running(life.handoff)] == [(2, at(50))]
    again = life.go(at(80))
    assert "reminded" in kinds(again)
    assert [one.key for one in alerts(again)] == ["e1:17.1:p1.1.2.0:alert"]


def test_the_first_touch_is_promised_by_every_owner_and_the_conversation_to_the_lead() -> None:
    life = Life(terms())
    life.go(at(11))
    assert life.owner == BEN
    life.go(at(12))
    found = {one.sla.name: one.start for one in running(life.handoff)}
    assert found == {"touch": at(12), "talk": at(1)}


def test_a_stretch_runs_in_the_hours_of_whoever_had_the_lead() -> None:
    """Ana works 09-12, Ben 14-18 (UTC): of 300 minutes 60 pass with Ana, none until 14, the rest with Ben."""
    ana, ben = (Hours((((begin, end),),) * 7, "UTC") for begin, end in ((540, 720), (840, 1080)))
    reps = (Rep("Ana", ANA, hours=ana), Rep("Ben", BEN, hours=ben))
    sla = SlaTerms("talk", Duration(minutes=300), clock="rep", of="first conversation", steps=(SlaStep(1, "escalate"),))
    life = Life(terms(sla, reps=reps))
    assert life.owner == ANA
    life.says(61, BOSS, owner=BEN)
    ((due, _, _),) = dues(life)
    assert due == 5 * 60 + 240  # 14:00 is 300 minutes after NOW; 60 of the 300 are gone
    (clock,) = running(life.handoff)
    assert elapsed(life.handoff, clock, at(5 * 60 + 30), life.policy) == 90


# -- pauses


def test_the_clock_stands_still_while_the_status_is_one_on_which_it_pauses() -> None:
    life = Life(terms())
    life.says(4, status=HOLD)
    assert life.handoff.touched_at is None, "to put it on hold is no touch"
    assert dues(life) == [], "who stands still has no due time"
    assert not [one for one in kinds(life.go(at(300))) if one != "stage"]
    life.says(304, status="Sales Ready")
    assert dues(life)[:2] == [(306, "remind", "touch"), (311, "reassign", "touch")]
    assert (351, "remind", "talk") in dues(life)
    assert life.handoff.holds == (Hold(HOLD, at(4), at(304)),)


def test_a_pause_that_was_seen_late_counts_from_when_it_was() -> None:
    """The history tells of both changes hours later: nothing has fired (law 12), and the pause is as long as it was."""
    life = Life(terms())
    life.says(4, status=HOLD)
    life.says(304, status="Sales Ready")
    straight = dues(life)
    late = Life(terms())
    late.go(at(200), seen=False)
    late.dossier = replace(late.dossier, records=life.dossier.records, changes=life.dossier.changes)
    late.go(at(304))
    assert dues(late) == straight


def test_on_hold_as_a_stage_pauses_what_goes_on_after_it() -> None:
    life = Life(terms())
    life.says(4, status="Working")
    life.says(11, status="On Hold", recycle_until="2026-04-20")
    assert not [one for one in kinds(life.go(at(300))) if one != "stage"]
    life.says(511, status="Working")
    assert (551, "remind", "talk") in dues(life), "ten minutes ran before, forty after"


def test_days_are_longer_by_what_was_held() -> None:
    sla = SlaTerms("days", Duration(days=2), steps=(SlaStep(1, "escalate"),), pause_on=(HOLD,))
    life = Life(terms(sla))
    life.says(60, status=HOLD)
    assert dues(life) == []
    life.says(60 + 600, status="Sales Ready")
    assert dues(life) == [(1 + 2 * 1440 + 600, "escalate", "days")]


def test_a_wall_clock_may_stand_still_on_holidays() -> None:
    sla = SlaTerms("wall", Duration(minutes=16 * 60), steps=(SlaStep(1, "escalate"),), pause_holidays=True)
    life = Life(terms(sla, holidays=("2026-03-11",)))  # NOW is 10:00 in Berlin on the 10th: 14 hours are left of it
    assert dues(life) == [(14 * 60 + 24 * 60 + 121, "escalate", "wall")]


HOLDS = st.lists(st.tuples(st.integers(0, 2000), st.integers(1, 400)), max_size=5)


@given(st.integers(1, 600), HOLDS, st.booleans(), st.booleans())
@settings(max_examples=300, deadline=None)
def test_a_due_time_is_where_so_many_minutes_have_run(length: int, holds: Any, team: bool, open_end: bool) -> None:
    """Against an oracle that steps minute by minute."""
    spans: list[Hold] = []
    for since, lasts in sorted(holds):
        if not spans or (spans[-1].until or at(0)) <= at(since):
            spans.append(Hold(HOLD, at(since), at(since + lasts)))
    if open_end and spans:
        spans[-1] = replace(spans[-1], until=None)
    hours = Hours((((480, 700), (750, 1000)),) * 7, "UTC")
    made = terms(team_hours=hours)
    sla = Sla("x", minutes=length, clock="team" if team else "wall", pause_on=(HOLD,))
    handoff: Handoff = replace(Life(made).handoff, holds=tuple(spans))
    clock = Running(1, sla, at(0), 1, frozenset())

    def runs(minute: int) -> bool:
        moment = at(minute)
        clocked = moment.hour * 60 + moment.minute
        working = not team or any(begin <= clocked < end for begin, end in hours.week[0])
        return working and not any(h.since <= moment and (h.until is None or moment < h.until) for h in spans)

    minute, left = 0, length
    while left and minute < 6000:
        left -= runs(minute)
        minute += 1
    due = due_at(handoff, clock, 1.0, made)
    if spans and spans[-1].until is None and left:
        assert due is None
    else:
        assert due == at(minute)
        assert elapsed(handoff, clock, due, made) == length


# -- what keeps a promise


def test_any_call_is_a_touch_and_only_one_that_connected_is_a_conversation() -> None:
    life = Life(terms())
    call(life, 3, "No Answer")
    assert "touched" in kinds(life.go(at(4)))
    assert [one.sla.name for one in running(life.handoff)] == ["talk"]
    call(life, 20, "Connected - follow up")
    result = life.go(at(21))
    assert "talked" in kinds(result) and result.events[0].data["minutes"] == 19
    assert not list(running(life.handoff))
    assert [one.counts for one in life.handoff.touches] == [("first touch",), ("first conversation",)]
    assert not life.go(at(22)).events


def test_one_call_may_keep_both() -> None:
    life = Life(terms())
    call(life, 3, "connected")
    assert {"touched", "talked"} <= set(kinds(life.go(at(4))))
    assert life.handoff.touches[0].evidence == "Task call3"


@pytest.mark.parametrize(("kind", "outcome"), [("Email", "connected"), ("Call", ""), ("Call", "Left Voicemail")])
def test_a_mail_or_a_call_that_reached_nobody_is_no_conversation(kind: str, outcome: str) -> None:
    life = Life(terms())
    call(life, 3, outcome, kind=kind)
    assert "talked" not in kinds(life.go(at(4)))


def test_a_status_may_say_that_there_was_a_conversation_and_a_conversion_does() -> None:
    life = Life(terms())
    assert {"touched", "talked"} <= set(kinds(life.says(5, status="Talked")))


def test_a_meeting_counts_from_its_booking() -> None:
    life = Life(terms())
    call(life, 3, kind="Meeting", closed=False, closed_at=None)
    life.go(at(4))
    assert life.handoff.touched_at == at(3)
    held = replace(life.dossier.tasks[-1], outcome="Connected", modified_at=at(50))
    life.dossier = replace(life.dossier, tasks=(*life.dossier.tasks[:-1], held))
    assert "talked" in kinds(life.go(at(51))) and life.handoff.clocks[0].ended_at == at(50)


@pytest.mark.parametrize("by", [ME, FLOW, BEN, BOSS])
def test_who_does_not_own_the_lead_does_not_touch_it(by: str) -> None:
    life = Life(terms())
    life.dossier = complete(life.dossier, at(3), by)
    call(life, 3.5, "connected", by=by)
    life.go(at(4))
    life.says(5, by, status="Working")
    assert life.handoff.touched_at is None
    assert {one.sla.name for one in running(life.handoff)} >= {"touch", "talk"}


def test_what_does_not_count_is_kept_with_its_reason_and_anyones_may_count() -> None:
    life = Life(terms())
    result = life.says(5, BOSS, status="Working")
    assert "not.counted" in kinds(result)
    (kept,) = life.handoff.touches
    assert (kept.by, kept.counts, kept.why_not) == (BOSS, (), "Ana has the lead")
    assert kept.evidence.startswith("status change ")
    text = "\n".join(why(life.dossier, life.policy, life.roster, at(6)))
    assert "Not counted, 2026-03-10 09:05 UTC: Boss set the status to Working" in text
    assert life.handoff.outcome == "accepted", "the stage follows the CRM all the same"
    other = Life(terms(replace(TOUCH, by="anyone")))
    assert "touched" in kinds(other.says(5, BOSS, status="Working"))


def test_a_bulk_edit_is_no_touch() -> None:
    life = Life(terms())
    life.dossier = replace(life.dossier, crowds=(Crowd(ANA, at(5), 40),))
    assert "touched" not in kinds(life.says(5, status="Working"))
    assert "many records" in life.handoff.touches[0].why_not
    life.dossier = replace(life.dossier, crowds=())
    assert "touched" not in kinds(life.go(at(6))), "judged once, whatever is forgotten since"
    call(life, 7)
    assert "touched" in kinds(life.go(at(8)))


def test_a_bulk_edit_may_count_and_a_small_crowd_is_none() -> None:
    for bulk, people in ((0, 40), (10, 9)):
        life = Life(terms(replace(TOUCH, bulk=bulk)))
        life.dossier = replace(life.dossier, crowds=(Crowd(ANA, at(5), people),))
        assert "touched" in kinds(life.says(5, status="Working"))


def test_a_bulk_edit_that_shows_itself_later_takes_the_touch_back() -> None:
    life = Life(terms())
    life.says(5, status="Working")
    assert life.handoff.touched_at is not None
    life.dossier = replace(life.dossier, crowds=(Crowd(ANA, at(5), 40),))
    result = life.go(at(7))
    assert {"touch.withdrawn", "reminded"} <= set(kinds(result))
    assert life.handoff.touched_at is None
    assert not life.go(at(8)).events


# -- steps


def test_each_step_goes_one_level_up() -> None:
    life = Life(terms(TALK))
    told = {minute: life.go(at(minute)) for minute in (51, 76)}
    assert [[one.to for one in alerts(plan)] for plan in told.values()] == [[ANA], [BOSS]]
    passed = life.go(at(101))
    assert "reassigned" in kinds(passed) and life.owner == BEN
    life.go(at(102))
    last = life.go(at(201))
    assert [one.to for one in alerts(last)] == [CHIEF], "the manager was told before: now theirs"
    assert [one for one in kinds(life.go(at(5000))) if one != "stuck"] == []


def test_a_step_may_name_whom_it_reaches() -> None:
    steps = (SlaStep(0.5, "alert", "lead"), SlaStep(1.0, "escalate", "vp"))
    life = Life(terms(replace(TOUCH, steps=steps)))
    assert [one.to for one in alerts(life.go(at(6)))] == ["lead"]
    assert [one.to for one in alerts(life.go(at(11)))] == ["vp"]


def test_after_downtime_a_lead_moves_once_and_nobody_is_told_twice() -> None:
    slas = (
        replace(TOUCH, steps=(REMIND, ALERT, REASSIGN)),
        replace(TALK, steps=(REMIND, ALERT), within=Duration(minutes=20)),
    )
    life = Life(terms(*slas))
    result = life.go(at(3000))
    assert [one for one in kinds(result) if one not in ("stage", "stuck")] == ["reassigned", "escalated"]
    assert (
        result.events[0].data["overtook"]
        == "remind at 50% of the first touch, alert at 75% of the first touch, remind at 50% of the first conversation"
    )
    assert len([one for one in alerts(result) if one.to == BOSS and "Promise" in one.subject]) == 1
    assert not [one for one in life.go(at(3000.5)).events if one.kind != "clock.started"]


def test_two_promises_broken_at_once_are_one_alert_to_the_manager() -> None:
    slas = (replace(TOUCH, steps=(ESCALATE,)), replace(TALK, steps=(ESCALATE,), within=Duration(minutes=10)))
    life = Life(terms(*slas))
    result = life.go(at(21))
    assert [one.to for one in alerts(result)] == [BOSS]
    assert (
        kinds(result) == ["escalated"]
        and result.events[0].data["overtook"] == "escalate at 200% of the first conversation"
    )
    assert not life.go(at(22)).events


def test_two_reassignments_due_at_once_are_one() -> None:
    slas = (replace(TOUCH, steps=(REASSIGN,)), replace(TALK, steps=(TO_QUEUE,), within=Duration(minutes=2)))
    life = Life(terms(*slas))
    result = life.go(at(12))
    assert kinds(result) == ["reassigned"] and life.owner == QUEUE, "the weightier one"
    assert [one.owner for one in life.handoff.assignments] == [ANA, QUEUE]
    assert result.events[0].data["overtook"] == "reassign at 100% of the first touch"


def test_two_reminders_due_at_once_are_one() -> None:
    slas = (replace(TOUCH, steps=(REMIND,)), replace(TALK, steps=(REMIND,), within=Duration(minutes=10)))
    life = Life(terms(*slas))
    result = life.go(at(6))
    assert [one.to for one in alerts(result)] == [ANA] and kinds(result) == ["reminded"]
    assert not life.go(at(7)).events


def test_a_new_policy_changes_no_live_promise_and_fires_nothing_again() -> None:
    life = Life(terms())
    assert "reminded" in kinds(life.go(at(6)))
    life.policy = terms(
        replace(TOUCH, steps=(SlaStep(0.1, "remind"), SlaStep(0.2, "escalate")), within=Duration(minutes=1))
    )
    assert not life.go(at(7)).events
    assert "reassigned" in kinds(life.go(at(11)))


def test_terms_that_an_admin_moves_keep_the_clocks_numbers() -> None:
    """Keys are made of them: what was told under a number must not silence what comes under it later."""
    life = Life(terms())
    life.go(at(51))
    new = terms(TOUCH, replace(SAL, name="work new"), replace(TALK, name="talk new"))
    moved = renewed(life.dossier, new, at(52))
    assert moved is not None and moved.decision.handoff is not None
    assert [one.sla.name for one in moved.decision.handoff.clocks] == ["talk new", "work new"]
    gone = renewed(life.dossier, terms(TOUCH, SAL), at(52))
    assert gone is not None and gone.decision.handoff is not None
    assert [one.how for one in gone.decision.handoff.clocks] == ["no longer promised", ""]
    life.dossier = replace(life.dossier, decision=gone.decision)
    life.policy = terms(TOUCH, SAL)
    assert "alert" not in [one.step.do for one in pending_steps(life.handoff, life.policy)]
    back = renewed(life.dossier, terms(), at(53))
    assert back is not None and back.decision.handoff is not None
    assert [one.ended_at for one in back.decision.handoff.clocks] == [None, None]
    assert renewed(replace(life.dossier, decision=back.decision), terms(), at(54)) is None


def test_no_clock_fires_on_a_stale_view() -> None:
    """Law 12, for the clocks beside the first touch."""
    life = Life(terms(TALK))
    life.dossier = replace(life.dossier, crm_seen_until=at(50))
    result = life.go(at(60), seen=False)
    assert not result.events and result.waits_on == ("crm",)
    call(life, 40, "connected")
    assert "reminded" not in kinds(life.go(at(61)))


# -- passing on


def test_the_old_task_says_why_it_is_closed_and_the_new_one_what_was_tried() -> None:
    life = Life(terms(TALK))
    call(life, 30, "No Answer")
    life.go(at(31))
    life.go(at(101))
    (closed,) = [one for one in life.last.commands if isinstance(one, CloseTask)]
    (new,) = [one for one in life.last.commands if isinstance(one, CreateTask)]
    assert closed.reason == "Passed on to Ben: With Ana: no conversation in the promised time (100 minutes)."
    assert new.owner == BEN
    before = (
        "Before you: Ana, 2026-03-10 10:00 to 11:41. Tried: Call (No Answer). "
        "With Ana: no conversation in the promised time (100 minutes)."
    )
    assert before in new.body
    assert life.owner == BEN and life.handoff.assignments[-1].after.startswith("With Ana")


def test_a_reminder_of_another_clock_is_closed_with_the_task_when_the_lead_moves() -> None:
    life = Life(terms(TALK))
    life.go(at(51))
    moved = life.go(at(101))
    closed = {one.task for one in moved.commands if isinstance(one, CloseTask)}
    assert closed == {"e1:17.1:a1:task", "e1:17.1:p1.1.1.0:alert"}, "the manager's alert stays with the manager"


def test_back_to_the_queue_and_on() -> None:
    life = Life(terms(replace(TOUCH, steps=(REASSIGN, TO_QUEUE))))
    life.go(at(31))
    assert life.owner == QUEUE
    assert (
        kinds(life.last)[0] == "reassigned"
        and life.last.events[0].data["overtook"] == "reassign at 100% of the first touch"
    )
    life.go(at(32))
    assert [(one.sla.name, one.start) for one in running(life.handoff)] == [("touch", at(32))]
    assert "escalated" in kinds(life.go(at(65))), "nobody is left who has not had it"
