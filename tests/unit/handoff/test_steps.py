"""The steps of a broken promise in one chain: each once, at the right level, after any downtime, one alert a matter."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from syncagent.model import SlaStep
from syncagent.policy import Duration, Hours, Rep, SlaTerms
from tests.unit.handoff.test_clocks import CHIEF, TALK, TOUCH, at, dues, terms
from tests.unit.handoff.test_with_sales import Life, alerts
from tests.unit.handoff.worlds import ANA, BEN, BOSS, NOW, QUEUE, kinds, minutes

ALL = (
    SlaStep(0.5, "remind"),
    SlaStep(0.75, "alert"),
    SlaStep(1.0, "reassign"),
    SlaStep(2.0, "escalate"),
    SlaStep(3.0, "queue"),
)
CHAIN = SlaTerms("chain", Duration(minutes=100), of="first conversation", steps=ALL, outcomes=("connected",))
"""One promise to the lead, so that all five steps belong to it, whoever has it."""
STAGES = ("stage", "stuck", "clock.started", "undelivered")


def events(life: Life, minute: float) -> list[str]:
    return [one for one in kinds(life.go(at(minute))) if one not in STAGES]


def subjects(life: Life) -> list[tuple[str, str]]:
    """Whom the last plan told, of a promise."""
    return [(one.to, one.subject.partition(":")[0]) for one in alerts(life.last) if "Stuck" not in one.subject]


def test_the_whole_chain_step_by_step() -> None:
    life = Life(terms(CHAIN))
    told = []
    for minute in (51, 76, 101, 201, 301):
        told.append((*events(life, minute), *subjects(life), life.owner))
        life.go(at(minute + 1))
    assert told == [
        ("reminded", (ANA, "Still waiting for you"), ANA),
        ("escalated", (BOSS, "Promise broken"), ANA),
        ("reassigned", BEN),
        ("escalated", (CHIEF, "Promise broken"), BEN),
        ("reassigned", QUEUE),
    ]
    assert [events(life, minute) for minute in (400, 4000)] == [[], []], "each of them once"


def test_who_is_looked_at_a_hair_before_it_is_due_is_looked_at_again_when_it_is() -> None:
    life = Life(terms(CHAIN))
    life.go(at(51) - timedelta(microseconds=300), send=False)
    assert life.last.wake_at == at(51), "not a second later"


AFTER = {  # after so many minutes without us: what is done, whom it tells, who has the lead
    55: (["reminded"], [(ANA, "Still waiting for you")], ANA),
    80: (["escalated"], [(BOSS, "Promise broken")], ANA),
    150: (["reassigned"], [], BEN),
    250: (["escalated"], [(CHIEF, "Promise broken")], ANA),
    350: (["reassigned"], [], QUEUE),
    60 * 24 * 3: (["reassigned"], [], QUEUE),
}


@pytest.mark.parametrize("minute", AFTER)
def test_after_hours_without_us_only_the_level_that_is_reached_acts(minute: int) -> None:
    life = Life(terms(CHAIN))
    assert (events(life, minute), subjects(life), life.owner) == AFTER[minute]
    before = [one.step.do for one in CHAIN_DUE if one.minute <= minute][:-1]
    overtook = [one for event in life.last.events for one in str(event.data.get("overtook", "")).split(", ") if one]
    assert [one.partition(" ")[0] for one in overtook] == before, "what was overtaken stands in the journal"
    assert not events(life, minute + 0.5), "nothing follows"
    life.go(at(minute + 1))
    later = [one.step.do for one in CHAIN_DUE if one.minute > minute]
    assert [do for _, do, _ in dues(life)] == later, "and what is to come comes in its time"


class _Due:
    def __init__(self, step: SlaStep) -> None:
        self.step, self.minute = step, 1 + 100 * step.at


CHAIN_DUE = [_Due(step) for step in ALL]


@given(st.lists(st.integers(1, 400), max_size=12), st.booleans())
@settings(deadline=None, max_examples=100)
def test_however_often_we_look_nobody_is_told_twice_and_nothing_goes_back(looks: list[int], pinned: bool) -> None:
    life = Life(terms(CHAIN))
    if pinned:
        life.says(2, BOSS, owner=ANA, history=True)
    told, minute = [], 2.0
    for step in sorted(set(looks)):
        minute = max(minute + 0.5, float(step))
        before = life.owner
        life.go(at(minute))
        told += subjects(life)
        if "reassigned" in kinds(life.last):
            assert life.owner != before
    assert len(told) == len(set(told)), "nobody is told the same of the same owner again"
    fired = [(one.assignment, one.step) for one in life.handoff.clocks[0].steps_done]
    assert len(fired) == len(set(fired)) and sorted(fired) == fired
    owners = [one.owner for one in life.handoff.assignments]
    assert len(set(owners)) == len(owners), "no owner gets it back"


def test_a_pinned_lead_that_is_broken_is_one_alert_to_one_person() -> None:
    """At 100 % nobody else may have it, for a person chose its owner: the manager is told, and at 200 % knows."""
    first = replace(TOUCH, steps=(SlaStep(1.0, "reassign"), SlaStep(2.0, "escalate"), SlaStep(3.0, "queue")))
    life = Life(terms(first))
    life.says(3, BOSS, owner=BEN)
    life.go(at(4))
    assert life.handoff.assignments[-1].pinned
    assert events(life, 15) == ["escalated"] and subjects(life) == [(BOSS, "Promise broken")]
    assert events(life, 26) == ["known"] and not subjects(life)
    assert "was told already" in life.last.events[0].why
    assert events(life, 37) == ["known"] and not subjects(life)
    assert life.owner == BEN and not events(life, 500)


def test_a_warning_is_another_matter_than_a_broken_promise_and_the_next_level_hears_of_both() -> None:
    steps = (SlaStep(0.75, "alert"), SlaStep(1.0, "reassign"), SlaStep(2.0, "escalate"))
    life = Life(terms(replace(TOUCH, steps=steps)))
    life.says(3, BOSS, owner=BEN)
    life.go(at(4))
    assert events(life, 12) == ["escalated"] and subjects(life) == [(BOSS, "Promise broken")]
    assert events(life, 15) == ["escalated"] and subjects(life) == [(BOSS, "Promise broken")]
    assert events(life, 26) == ["escalated"] and subjects(life) == [(CHIEF, "Promise broken")]


def test_what_the_next_owner_breaks_is_a_matter_of_its_own() -> None:
    steps = (SlaStep(1.0, "escalate"), SlaStep(2.0, "reassign"), SlaStep(3.0, "escalate"))
    for sla in (replace(TOUCH, steps=steps), replace(TALK, steps=steps, within=Duration(minutes=10))):
        life = Life(terms(sla))
        assert events(life, 11.5) == ["escalated"] and subjects(life) == [(BOSS, "Promise broken")]
        assert events(life, 21.5) == ["reassigned"]
        life.go(at(22))
        assert life.owner == BEN
        assert "escalated" in events(life, 60) and subjects(life) == [(BOSS, "Promise broken")]


# -- absences for part of a day, and those that the CRM tells

HOURS = Hours((((540, 1080),),) * 5 + ((), ()), "Europe/Berlin")  # 09:00-18:00; NOW is Tuesday 10:00 there
DAY = SlaTerms("day", Duration(minutes=120), clock="rep", steps=(SlaStep(1.0, "escalate"),))


def due(life: Life) -> float:
    """Minutes after NOW."""
    assert life.last.wake_at is not None
    return (life.last.wake_at - NOW) / timedelta(minutes=1)


@pytest.mark.parametrize("hours", [HOURS, None])
def test_a_dentist_in_the_calendar_stops_the_reps_clock(hours: Hours | None) -> None:
    busy = ((NOW + minutes(30), NOW + minutes(90)), (NOW + minutes(100), NOW + minutes(110)))
    reps = (Rep("Ana", ANA, hours=hours, busy=busy), Rep("Ben", BEN, hours=hours))
    life = Life(terms(DAY, reps=reps))
    assert life.owner == ANA and due(life) == 1 + 120 + 70
    assert due(Life(terms(replace(DAY, clock="wall"), reps=reps))) == 1 + 120, "no other clock cares"


def test_who_is_always_at_work_is_not_on_a_day_off() -> None:
    reps = (Rep("Ana", ANA, away=("2026-03-11",)), Rep("Ben", BEN))
    life = Life(terms(replace(DAY, within=Duration(minutes=60 * 20)), reps=reps, timezone="UTC"))
    assert life.owner == ANA and due(life) == 1 + 60 * 20 + 1440


def says(life: Life, begin: float = 0, end: float = 0) -> None:
    """Ana says in the CRM from when until when she is away, or nothing any more."""
    life.roster = replace(life.roster, absent={ANA: (at(begin), at(end))} if end else {})


def test_an_absence_that_the_crm_tells_stops_the_clock_and_stays_when_it_is_taken_back() -> None:
    life = Life(terms(DAY, reps=(Rep("Ana", ANA, hours=HOURS), Rep("Ben", BEN, hours=HOURS))))
    says(life, 30, 90)
    life.go(at(20))
    assert due(life) == 1 + 120 + 60
    says(life)  # she writes over the fields when she is back
    life.go(at(95))
    assert due(life) == 1 + 120 + 60 and not events(life, 150)
    says(life, 160, 170)
    life.go(at(155))
    assert due(life) == 1 + 120 + 60 + 10
    assert events(life, 191.5) == ["escalated"]


def test_an_absence_that_is_called_off_or_cut_short_stops_no_more_than_it_lasted() -> None:
    life = Life(terms(DAY, reps=(Rep("Ana", ANA, hours=HOURS), Rep("Ben", BEN, hours=HOURS))))
    says(life, 30, 90)
    life.go(at(20))
    says(life)
    life.go(at(25))
    assert due(life) == 1 + 120, "it never began"
    says(life, 30, 90)
    life.go(at(35))
    says(life)
    life.go(at(50))
    assert due(life) == 1 + 120 + 20, "it ended when she said so"


def test_an_absence_is_not_that_of_the_next_owner() -> None:
    reps = (Rep("Ana", ANA), Rep("Ben", BEN))
    steps = (SlaStep(1.0, "reassign"),)
    life = Life(terms(replace(DAY, steps=steps), reps=reps))
    says(life, 30, 90)
    life.go(at(20))
    life.go(at(182))
    life.go(at(183))
    assert life.owner == BEN and [one.at for one in life.handoff.steps_done] == [at(182)]
    assert life.handoff.absences[0].owner == ANA
    assert not events(life, 183 + 119) and events(life, 183 + 121) == ["reassigned"]
