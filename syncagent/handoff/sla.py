"""The promises: which terms hold, which clocks run, and when each step is due.

Terms are copied into the handoff at its opening and never change for it (law 13). Minutes run on the clock of the
terms (the rep's own hours, the team's, the wall); days are calendar days of the policy's zone. The first touch is
promised anew by every owner; the other clocks go on when the lead changes hands, each stretch in its owner's hours.
While the CRM's status is one on which a clock pauses, it stands still: by the status' history, not by when we looked.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from msgspec.structs import replace

from syncagent.handoff.calendar import Spans, add_working, after, apart, working_between
from syncagent.handoff.compiled import once_per_policy
from syncagent.handoff.conditions import Fits, fits_of
from syncagent.handoff.likelihood import with_likelihood
from syncagent.handoff.profile import attributes_of
from syncagent.handoff.team import team_of
from syncagent.model import (
    Absence,
    Clock,
    Dossier,
    Event,
    Handoff,
    HandoffState,
    Hold,
    Plan,
    Sla,
    SlaStep,
    StepDone,
    Value,
)
from syncagent.policy import Duration, Hours, Policy, SlaTerms

UNDELIVERED = -1
"""The number under which `steps_done` keeps that an undelivered handoff has been told."""
STUCK = -2
"""Likewise for a stage that has lasted longer than the process map allows (-2, -3 ... by stage)."""
DROPPED = "no longer promised"
"""What ended a clock whose promise an admin has taken back: it is not started again."""
_AROUND = (((0, 1440),),) * 7


class Running(NamedTuple):
    """A clock that runs: 0 is the first touch, others count from 1; which of its steps have fired."""

    number: int
    sla: Sla
    start: datetime
    visit: int
    done: frozenset[int]


class Due(NamedTuple):
    """A step that has not fired, and when it is to."""

    at: datetime
    place: int
    step: SlaStep
    clock: Running


class _Promise(NamedTuple):
    terms: SlaTerms
    fits: Fits


@once_per_policy
def _promises(policy: Policy) -> tuple[_Promise, ...]:
    return tuple(_Promise(terms, fits_of(terms.when)) for terms in policy.slas)


def terms_for(grade: str, attributes: Mapping[str, Value], policy: Policy, segment: str = "") -> tuple[Sla, ...]:
    """The terms that hold for this grade, segment and these attributes, as copies to keep: the first of each kind."""
    found: dict[tuple[str, str], Sla] = {}
    for terms, fits in _promises(policy):
        kind = (terms.of, terms.stage)
        fitting = (not terms.grades or grade in terms.grades) and (not terms.segments or segment in terms.segments)
        if kind not in found and fitting and fits(attributes):
            found[kind] = _copy(terms)
    return tuple(found.values())


def _copy(terms: SlaTerms) -> Sla:
    return Sla(
        name=terms.name,
        minutes=terms.within.minutes,
        days=terms.within.days,
        clock=terms.clock,
        steps=terms.steps,
        touch_tasks=terms.touch_tasks,
        not_by=terms.not_by,
        of=terms.of,
        stage=terms.stage,
        pause_on=terms.pause_on,
        pause_holidays=terms.pause_holidays,
        by=terms.by,
        bulk=terms.bulk,
        talk_tasks=terms.talk_tasks,
        outcomes=terms.outcomes,
        statuses=terms.statuses,
    )


def promising(handoff: Handoff, terms: tuple[Sla, ...]) -> Handoff:
    """The handoff under these terms. A clock keeps its number, for keys are made of it, and goes on under new terms."""
    first = next((one for one in terms if one.of == "first touch"), None)
    others: dict[tuple[str, str], Sla] = {(one.of, one.stage): one for one in terms if one.of != "first touch"}
    clocks: list[Clock] = []
    for clock in handoff.clocks:
        sla = others.pop((clock.sla.of, clock.sla.stage), None)
        if sla is None:
            clocks.append(replace(clock, ended_at=clock.ended_at or clock.started_at, how=DROPPED))
        else:
            revived = replace(clock, ended_at=None, how="") if clock.how == DROPPED else clock
            clocks.append(replace(revived, sla=sla))
    return replace(handoff, sla=first, clocks=(*clocks, *(Clock(one) for one in others.values())))


def is_short(terms: Iterable[Sla | None], policy: Policy) -> bool:
    """Whether the first touch is promised so soon that only somebody who is at work now can keep it."""
    most = policy.routing.short_promise.minutes
    return any(one is not None and one.of == "first touch" and 0 < one.minutes <= most for one in terms)


def renewed(dossier: Dossier, policy: Policy, now: datetime) -> Plan | None:
    """The current handoff under today's terms, as a plan to settle when an admin asks (law 13); None: nothing moves.

    It wakes at once: the next ordinary plan goes on from the new terms.
    """
    decision = dossier.decision
    handoff = decision.handoff if decision is not None else None
    if decision is None or handoff is None or handoff.state is not HandoffState.WITH_SALES:
        return None
    attributes = with_likelihood(attributes_of(dossier, policy), dossier, policy, now)
    terms = promising(handoff, terms_for(handoff.grade, attributes, policy, handoff.segment))
    if terms == handoff:
        return None
    names = [_named(handoff), _named(terms)]
    why = f"The promise moved from {names[0]} to {names[1]}, as an admin asked."
    event = Event("reapplied", now, why, handoff.id, {"before": names[0], "after": names[1]})
    moved = replace(decision, handoffs=(*decision.handoffs[:-1], terms))
    return Plan(decision=moved, events=(event,), wake_at=now + timedelta(milliseconds=1))


def _named(handoff: Handoff) -> str:
    names = [one.name for one in (handoff.sla, *(clock.sla for clock in handoff.clocks)) if one is not None]
    return " and ".join(names) or "no promise"


class Working(NamedTuple):
    """The hours that a clock runs in (None: always), the dates and the spans of time on which it stands still."""

    hours: Hours | None
    away: Collection[str] = ()
    busy: Spans = ()


def hours_for(sla: Sla, owner: str, policy: Policy, told: Sequence[Absence] = ()) -> Working:
    """When the promise's clock runs while somebody has the lead. A queue keeps team hours.

    `told`: when owners were away by what they said in the CRM.
    """
    if sla.clock == "wall":
        pauses = sla.pause_holidays and policy.holidays
        return Working(Hours(_AROUND, policy.timezone), policy.holidays) if pauses else Working(None)
    team = team_of(policy)
    rep = team.reps.get(owner) if sla.clock == "rep" else None
    if rep is None:
        return Working(policy.team_hours, policy.holidays)
    off = team.days_off(rep)
    around = Hours(_AROUND, team.zone(rep)) if off else None
    busy = team.busy(rep)
    if said := [(one.since, one.until) for one in told if one.owner == owner]:
        busy = apart((*busy, *said))
    return Working(rep.hours if rep.hours is not None else around, off, busy)


def running(handoff: Handoff) -> Iterator[Running]:
    """The clocks that run now."""
    number = len(handoff.assignments)
    if handoff.sla is not None and handoff.clock_started_at is not None and handoff.touched_at is None:
        yield Running(0, handoff.sla, handoff.clock_started_at, number, _fired(handoff.steps_done, number))
    for place, clock in enumerate(handoff.clocks, 1):
        if clock.started_at is not None and clock.ended_at is None:
            yield Running(place, clock.sla, clock.started_at, clock.visit, _fired(clock.steps_done, clock.visit))


def _fired(steps: tuple[StepDone, ...], visit: int) -> frozenset[int]:
    return frozenset(one.step for one in steps if one.assignment == visit)


def due_at(handoff: Handoff, clock: Running, share: float, policy: Policy) -> datetime | None:
    """When a share of the promised time has passed; None while the clock stands still before it."""
    sla = clock.sla
    if sla.days:
        due = after(clock.start, Duration(days=sla.days), policy.timezone, share)
        for hold in _holds(handoff, sla):
            if hold.until is not None and hold.until <= clock.start:
                continue
            if hold.since >= due:
                break
            if hold.until is None:
                return None
            due += hold.until - max(hold.since, clock.start)
        return due
    left = sla.minutes * share
    for begin, end, owner in _stretches(handoff, clock):
        working = hours_for(sla, owner, policy, handoff.absences)
        if end is None:
            return add_working(begin, left, *working)
        passed = working_between(begin, end, *working)
        if passed >= left:
            return add_working(begin, left, *working)
        left -= passed
    return None


def elapsed(handoff: Handoff, clock: Running, end: datetime, policy: Policy) -> float:
    """How many minutes of the promise's clock lie between its start and a moment; real ones for promises of days."""
    total = 0.0
    for begin, until, owner in _stretches(handoff, clock):
        working = Working(None) if clock.sla.days else hours_for(clock.sla, owner, policy, handoff.absences)
        total += working_between(begin, end if until is None else min(until, end), *working)
    return round(total, 1)


def _holds(handoff: Handoff, sla: Sla) -> list[Hold]:
    return sorted((one for one in handoff.holds if one.status in sla.pause_on), key=lambda one: one.since)


def _stretches(handoff: Handoff, clock: Running) -> Iterator[tuple[datetime, datetime | None, str]]:
    """Since when, until when (None: still) and for whom the clock runs, in order: not through holds."""
    shifts: list[tuple[datetime, str]] = [(clock.start, handoff.assignments[-1].owner if handoff.assignments else "")]
    if clock.number and clock.sla.clock == "rep":
        shifts = [(max(one.at, clock.start), one.owner) for one in handoff.assignments] or shifts
        shifts[0] = (clock.start, shifts[0][1])
    begin: datetime | None = clock.start
    for hold in _holds(handoff, clock.sla):
        if begin is None or (hold.until is not None and hold.until <= begin):
            continue
        yield from _split(begin, hold.since, shifts)
        begin = hold.until
    if begin is not None:
        yield from _split(begin, None, shifts)


def _split(
    begin: datetime, end: datetime | None, shifts: list[tuple[datetime, str]]
) -> Iterator[tuple[datetime, datetime | None, str]]:
    for place, (since, owner) in enumerate(shifts):
        until = shifts[place + 1][0] if place + 1 < len(shifts) else None
        low = max(begin, since)
        high = until if end is None else end if until is None else min(until, end)
        if high is None or high > low:
            yield low, high, owner


def pending_steps(handoff: Handoff, policy: Policy) -> list[Due]:
    """Steps of the running clocks that have not fired, by when they are due; none of a clock that stands still."""
    waiting: list[Due] = []
    for clock in running(handoff):
        for index, step in enumerate(clock.sla.steps):
            due = due_at(handoff, clock, step.at, policy) if index not in clock.done else None
            if due is not None:
                waiting.append(Due(due, index, step, clock))
    return sorted(waiting, key=lambda one: (one.at, one.clock.number, one.place))


def promised_at(handoff: Handoff, policy: Policy, now: datetime) -> datetime | None:
    """When the first touch is promised for, else the next that is; before the clock runs, as if it started now."""
    if not handoff.assignments:
        return None
    if handoff.touched_at is None and handoff.sla is not None:
        first = Running(0, handoff.sla, handoff.clock_started_at or now, 0, frozenset())
        return due_at(handoff, first, 1.0, policy)
    dues = (due_at(handoff, clock, 1.0, policy) for clock in running(handoff))
    return min((due for due in dues if due is not None), default=None)


def step_of(handoff: Handoff, key: str) -> SlaStep | None:
    """The step that an alert's part of a key tells: s2.0 of the first touch, p2.1.1.0 of another clock."""
    parts = key[1:].split(".")
    if not all(part.isdigit() for part in parts):
        return None
    numbers = [int(part) for part in parts]
    sla: Sla | None = None
    if key.startswith("s") and len(numbers) == 2:
        sla = handoff.sla
    elif key.startswith("p") and len(numbers) == 4 and 0 < numbers[1] <= len(handoff.clocks):
        sla = handoff.clocks[numbers[1] - 1].sla
    return sla.steps[numbers[-1]] if sla is not None and numbers[-1] < len(sla.steps) else None


def key_of(handoff: Handoff, due: Due) -> str:
    """The part of an alert's key that `step_of` understands: by assignment, clock, visit and step."""
    number = len(handoff.assignments)
    return (
        f"p{number}.{due.clock.number}.{due.clock.visit}.{due.place}" if due.clock.number else f"s{number}.{due.place}"
    )
