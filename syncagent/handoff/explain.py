"""Why a person stands where they stand, in lines for the admin: what counted, what is missing, what would change it."""

from datetime import datetime

from syncagent.handoff.draft import Draft
from syncagent.handoff.fit import shown
from syncagent.handoff.gate import Answer, answers
from syncagent.handoff.insight import moment_of
from syncagent.handoff.likelihood import told
from syncagent.handoff.nearest import TOGETHER, nearest
from syncagent.handoff.planner import plan
from syncagent.handoff.scoring import Judged, excluded, is_ready, judge, known_of
from syncagent.handoff.sla import pending_steps
from syncagent.model import Dossier, Handoff, HandoffState, Roster
from syncagent.policy import Policy


def why(dossier: Dossier, policy: Policy, roster: Roster, now: datetime) -> tuple[str, ...]:
    """Explain the decision that `plan` would come to at `now`; nothing is decided by asking. Ids, no email address."""
    decision = plan(dossier, policy, roster, now).decision
    draft = Draft(dossier, policy, roster, now)
    lines = [f"Stage: {decision.stage}."]
    if decision.score is not None:
        lines += score_lines(dossier, policy, now)
    lines += told(dossier, draft.attributes, policy, now)
    if draft.view is not None:
        record = draft.view.record
        status, owner = draft.current.get("status"), draft.current.get("owner")
        lines.append(f"CRM: {record.identity.object} {record.identity.id}, status {status}, owner {owner}.")
    else:
        lines.append("CRM: no record.")
    if decision.waiting:
        lines.append(f"Ready, but not handed off: {decision.waiting}.")
    if decision.held is not None:
        lines.append(
            f"  Held since {_moment(decision.held.since)}, until {_moment(decision.held.until)} at the latest."
        )
        lines += [f"    {state}" for state in decision.held.pool]
    if decision.contested:
        lines.append(f"Contested with automation, no longer written: {', '.join(decision.contested)}.")
    for handoff in decision.handoffs:
        lines += _handoff(handoff, policy, draft)
    return tuple(lines)


def score_lines(dossier: Dossier, policy: Policy, now: datetime) -> tuple[str, ...]:
    """The score at `now` with every contribution, what decay and caps took, what does not count, what is missing."""
    judged = judge(dossier, policy, now, known_of(dossier, policy, now))
    score = judged.score
    by = f" by the model {judged.model}" if judged.model else ""
    lines = [f"Score{by}: {score.total:.0f} = fit {score.fit:.0f} + interest {score.interest:.0f}, {score.grade}."]
    lines += [f"  {one.points:+g} {one.rule}: {one.why}" for one in score.contributions]
    if judged.changes_at is not None:
        lines.append(f"  It may change by itself from {_moment(judged.changes_at)} on.")
    skipped = excluded(dossier, policy, now)
    lines += [f"  Not counted: {moment_of(one.activity)}, {_moment(one.activity.at)}: {one.why}." for one in skipped]
    lines += _line(dossier, policy, judged, now)
    given = answers(dossier, policy, known_of(dossier, policy, now), now)
    lines += [f"  {one.question.name}: {one.word}{_source(one)}." for one in given]
    return tuple(lines)


def _line(dossier: Dossier, policy: Policy, judged: Judged, now: datetime) -> list[str]:
    """How far it is to the line, and what would do."""
    score, line = judged.score, judged.line
    of = f" of {judged.segment}" if judged.segment else ""
    if is_ready(score, line):
        over = f" by {score.total - line.score:g}" if line.score is not None and score.total >= line.score else ""
        return [f"  Over the line{of}{over}."]
    lines = []
    if line.score is not None and score.total < line.score:
        lines.append(f"  {line.score - score.total:g} points below the line{of} of {line.score:g}.")
    if line.grades and score.grade not in line.grades:
        lines.append(f"  Grade {score.grade} is not among those{of}: {', '.join(line.grades)}.")
    near = nearest(dossier, policy, now)
    single = " or ".join(f"{one.what} (+{one.points:g})" for one in near.single)
    together = " and ".join(f"{one.what} (+{one.points:g})" for one in near.together)
    if single:
        lines.append(f"  {single} would do.")
    elif together:
        lines.append(f"  No single change would do, but together: {together}.")
    elif lines:
        lines.append(f"  No {TOGETHER} changes together would do.")
    return lines


def _source(answer: Answer) -> str:
    if answer.at is None:
        return ""
    return f" ({shown(answer.value)}; {answer.source}, {_moment(answer.at)})"


def _handoff(handoff: Handoff, policy: Policy, draft: Draft) -> list[str]:
    lines = [f"Handoff {handoff.id} ({handoff.state}), opened {_moment(handoff.opened_at)}: {handoff.cause}."]
    for one in handoff.assignments:
        kind = " (a person's choice)" if one.pinned else " (a queue)" if one.queue else ""
        called = draft.called(one.owner)
        who = one.owner if called == one.owner else f"{called} ({one.owner})"
        lines.append(f"  To {who}{kind}, {_moment(one.at)}, {one.route}: {one.why}")
        lines += [f"    Not before them: {why}." for why in one.passed]
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
