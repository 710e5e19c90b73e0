"""Why a person stands where they stand, in lines for the admin: what counted, what is missing, what would change it."""

from datetime import datetime

from syncagent.handoff.draft import Draft
from syncagent.handoff.likelihood import told
from syncagent.handoff.planner import plan
from syncagent.handoff.sla import pending_steps
from syncagent.model import Decision, Dossier, Handoff, HandoffState, Roster
from syncagent.policy import Policy


def why(dossier: Dossier, policy: Policy, roster: Roster, now: datetime) -> tuple[str, ...]:
    """Explain the decision that `plan` would come to at `now`; nothing is decided by asking. Ids, no email address."""
    decision = plan(dossier, policy, roster, now).decision
    draft = Draft(dossier, policy, roster, now)
    lines = [f"Stage: {decision.stage}."]
    if decision.score is not None:
        score = decision.score
        lines.append(f"Score: {score.total:.0f} = fit {score.fit:.0f} + interest {score.interest:.0f}, {score.grade}.")
        lines += [f"  {one.points:+g} {one.rule}: {one.why}" for one in score.contributions]
        lines += _missing(decision, policy)
    lines += told(dossier, draft.attributes, policy, now)
    if draft.view is not None:
        record = draft.view.record
        status, owner = draft.current.get("status"), draft.current.get("owner")
        lines.append(f"CRM: {record.identity.object} {record.identity.id}, status {status}, owner {owner}.")
    else:
        lines.append("CRM: no record.")
    if decision.waiting:
        lines.append(f"Ready, but not handed off: {decision.waiting}.")
    if decision.contested:
        lines.append(f"Contested with automation, no longer written: {', '.join(decision.contested)}.")
    for handoff in decision.handoffs:
        lines += _handoff(handoff, policy)
    return tuple(lines)


def _missing(decision: Decision, policy: Policy) -> list[str]:
    score, line = decision.score, policy.mql
    if score is None:
        return []
    lines = []
    if line.score is not None and score.total < line.score:
        lines.append(f"  {line.score - score.total:g} points below the line of {line.score:g}.")
    if line.grades and score.grade not in line.grades:
        lines.append(f"  Grade {score.grade} is not among {', '.join(line.grades)}.")
    return lines


def _handoff(handoff: Handoff, policy: Policy) -> list[str]:
    lines = [f"Handoff {handoff.id} ({handoff.state}), opened {_moment(handoff.opened_at)}: {handoff.cause}."]
    for one in handoff.assignments:
        kind = " (a person's choice)" if one.pinned else " (a queue)" if one.queue else ""
        lines.append(f"  To {one.owner}{kind}, {_moment(one.at)}, {one.route}: {one.why}")
        lines += [f"    {state}" for state in one.pool]
    if handoff.touched_at is not None:
        lines.append(f"  Touched {_moment(handoff.touched_at)}: {handoff.touched_by} {handoff.touched_how}.")
    elif handoff.state is HandoffState.WITH_SALES and handoff.sla is not None:
        if handoff.clock_started_at is None:
            lines.append(f"  SLA {handoff.sla.name}: the clock starts when owner and task stand in the CRM.")
        for due, _, step in pending_steps(handoff, policy):
            lines.append(f"  SLA {handoff.sla.name}: {step.do} at {_moment(due)}.")
    if handoff.come_back_at is not None:
        lines.append(f"  Comes back {_moment(handoff.come_back_at)}.")
    if handoff.outcome:
        lines.append(f"  Outcome: {handoff.outcome}{f' ({handoff.recycle_reason})' if handoff.recycle_reason else ''}.")
    return lines


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
