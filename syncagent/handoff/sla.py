"""The promise: which terms hold, when each step is due, and which one fires now.

Terms are copied into the handoff at its opening and never change for it (law 13). Minutes run on the clock of the
terms (the rep's own hours, the team's, the wall); days are calendar days of the policy's zone.
"""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from msgspec.structs import replace

from syncagent.handoff.calendar import add_working, after, working_between
from syncagent.handoff.compiled import once_per_policy
from syncagent.handoff.conditions import Fits, fits_of
from syncagent.handoff.likelihood import with_likelihood
from syncagent.handoff.profile import attributes_of
from syncagent.handoff.team import team_of
from syncagent.model import Dossier, Event, Handoff, HandoffState, Plan, Sla, SlaStep, Value
from syncagent.policy import Duration, Hours, Policy, SlaTerms

UNDELIVERED = -1
"""The number under which `steps_done` keeps that an undelivered handoff has been told."""
STUCK = -2
"""Likewise for a stage that has lasted longer than the process map allows (-2, -3 ... by stage)."""


class _Promise(NamedTuple):
    terms: SlaTerms
    fits: Fits


@once_per_policy
def _promises(policy: Policy) -> tuple[_Promise, ...]:
    return tuple(_Promise(terms, fits_of(terms.when)) for terms in policy.slas)


def terms_for(grade: str, attributes: Mapping[str, Value], policy: Policy) -> Sla | None:
    """The first terms that hold for this grade and these attributes, as a copy to keep; None: nothing is promised."""
    for terms, fits in _promises(policy):
        if (not terms.grades or grade in terms.grades) and fits(attributes):
            return Sla(
                name=terms.name,
                minutes=terms.first_touch.minutes,
                days=terms.first_touch.days,
                clock=terms.clock,
                steps=terms.steps,
                touch_tasks=terms.touch_tasks,
                not_by=terms.not_by,
            )
    return None


def is_short(sla: Sla | None, policy: Policy) -> bool:
    """Whether the promise is so short that only somebody who is at work now can keep it."""
    return sla is not None and not sla.days and 0 < sla.minutes <= policy.routing.short_promise.minutes


def renewed(dossier: Dossier, policy: Policy, now: datetime) -> Plan | None:
    """The current handoff under today's terms, as a plan to settle when an admin asks (law 13); None: nothing moves.

    It wakes at once: the next ordinary plan goes on from the new terms.
    """
    decision = dossier.decision
    handoff = decision.handoff if decision is not None else None
    if decision is None or handoff is None or handoff.state is not HandoffState.WITH_SALES:
        return None
    attributes = with_likelihood(attributes_of(dossier, policy), dossier, policy, now)
    terms = terms_for(handoff.grade, attributes, policy)
    if terms == handoff.sla:
        return None
    names = [sla.name if sla is not None else "no promise" for sla in (handoff.sla, terms)]
    why = f"The promise moved from {names[0]} to {names[1]}, as an admin asked."
    event = Event("reapplied", now, why, handoff.id, {"before": names[0], "after": names[1]})
    moved = replace(decision, handoffs=(*decision.handoffs[:-1], replace(handoff, sla=terms)))
    return Plan(decision=moved, events=(event,), wake_at=now + timedelta(milliseconds=1))


def due_at(sla: Sla, owner: str, start: datetime, share: float, policy: Policy) -> datetime:
    """When a share of the promised time has passed since `start` for this owner."""
    if sla.days:
        return after(start, Duration(days=sla.days), policy.timezone, share)
    hours, away = hours_for(sla, owner, policy)
    return add_working(start, sla.minutes * share, hours, away)


def minutes_between(sla: Sla, owner: str, start: datetime, end: datetime, policy: Policy) -> float:
    """How many minutes of the promise's clock lie between two moments."""
    hours, away = (None, ()) if sla.days else hours_for(sla, owner, policy)
    return working_between(start, end, hours, away)


def hours_for(sla: Sla, owner: str, policy: Policy) -> tuple[Hours | None, Collection[str]]:
    """The hours that the promise's clock runs in, and the days on which it stands still. A queue keeps team hours."""
    if sla.clock == "wall":
        return None, ()
    rep = team_of(policy).reps.get(owner) if sla.clock == "rep" else None
    if rep is not None and rep.hours is not None:
        return rep.hours, team_of(policy).days_off(rep)
    if rep is not None:
        return None, ()
    return policy.team_hours, policy.holidays


def pending_steps(handoff: Handoff, policy: Policy) -> list[tuple[datetime, int, SlaStep]]:
    """Steps of the running promise that have not fired for the present assignment: (due, index, step), in time."""
    sla, start = handoff.sla, handoff.clock_started_at
    if sla is None or start is None or handoff.touched_at is not None:
        return []
    number = len(handoff.assignments)
    done = {one.step for one in handoff.steps_done if one.assignment == number}
    owner = handoff.assignments[-1].owner if handoff.assignments else ""
    waiting = [
        (due_at(sla, owner, start, step.at, policy), index, step)
        for index, step in enumerate(sla.steps)
        if index not in done
    ]
    return sorted(waiting, key=lambda one: (one[0], one[1]))


def promised_at(handoff: Handoff, policy: Policy, now: datetime) -> datetime | None:
    """When the first touch is promised for; before the clock runs, as if it started now."""
    if handoff.sla is None or not handoff.assignments:
        return None
    return due_at(handoff.sla, handoff.assignments[-1].owner, handoff.clock_started_at or now, 1.0, policy)
