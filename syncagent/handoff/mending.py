"""What `syncagent audit --mend` repairs before it has somebody planned anew: a decision that no plan would have made.

The rest (a timer, a task, an answer that was not heard) the next plan mends by itself, for it looks at the state.
"""

from datetime import datetime, timedelta

from msgspec.structs import replace

from syncagent.handoff import stages
from syncagent.handoff.calendar import after
from syncagent.handoff.routing import Loads
from syncagent.handoff.view import is_contact, last_write, standing, view_of
from syncagent.model import Assignment, Dossier, Event, Handoff, HandoffState, Plan, Roster, Stage
from syncagent.policy import Policy

_SAID = (Stage.DISQUALIFIED, Stage.WON, Stage.LOST, Stage.CUSTOMER, Stage.RECYCLED)


def mend(dossier: Dossier, policy: Policy, roster: Roster, now: datetime) -> Plan | None:
    """The decision as it should have been, to settle; None: nothing is wrong with it. It wakes at once.

    Of several open handoffs the newest goes on. One that nobody has goes to whom the CRM names, else to a queue, else
    to the manager. One that returns without a date returns as the policy has it. One that was closed without an outcome
    has the one that the CRM shows, else "withdrawn".
    """
    decision = dossier.decision
    if decision is None or not decision.handoffs or dossier.erased or dossier.absorbed:
        return None
    view = view_of(dossier, policy) if dossier.records or dossier.outbox else None
    current = standing(view, last_write(dossier, view.record.identity)) if view is not None else {}
    loads, said = Loads(roster, policy, now), stages.meaning(current.get("status"), policy.crm)
    told: list[str] = []
    mended: list[Handoff] = []
    for one in decision.handoffs:
        fixed = one
        if one is not decision.handoffs[-1] and one.state is not HandoffState.CLOSED:
            told.append(f"The handoff {one.id} was open behind a newer one.")
            fixed = replace(one, state=HandoffState.CLOSED, outcome=one.outcome or "withdrawn", come_back_at=None)
            if one.state is HandoffState.WITH_SALES and one.assignments:
                loads.give_back(one.assignments[-1].owner)
        elif one.state is HandoffState.CLOSED and not one.outcome:
            told.append(f"The handoff {one.id} was closed without an outcome.")
            fixed = replace(one, outcome=str(said) if said in _SAID else "withdrawn")
        elif one.state is HandoffState.RETURNING and one.come_back_at is None:
            told.append(f"The handoff {one.id} was to return, and had no date.")
            fixed = replace(one, come_back_at=after(now, policy.recycle.default, policy.timezone))
        elif one.state is HandoffState.WITH_SALES and not (one.assignments and one.assignments[-1].owner):
            told.append(f"The handoff {one.id} was with sales, and nobody had it.")
            there = "" if view is None or is_contact(view.record) else str(current.get("owner") or "")
            owner = there or next(iter(policy.queues.values()), policy.manager)
            loads.take(owner, counted=False)
            why = "The audit found that nobody had it."
            taken = Assignment(owner, now, "crm", why, queue=owner in policy.queues.values())
            fixed = replace(one, assignments=(*one.assignments, taken), clock_started_at=None)
        mended.append(replace(fixed, closed_at=fixed.closed_at or now) if fixed is not one and _over(fixed) else fixed)
    if not told:
        return None
    event = Event("mended", now, " ".join(told), decision.handoffs[-1].id)
    return Plan(
        decision=replace(decision, handoffs=tuple(mended)),
        events=(event,),
        roster=loads.roster(),
        wake_at=now + timedelta(milliseconds=1),
    )


def _over(handoff: Handoff) -> bool:
    return handoff.state is HandoffState.CLOSED
