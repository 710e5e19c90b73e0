"""Why a person stands where they stand, in lines for the admin: what counted, what is missing, what would change it."""

from datetime import datetime

from msgspec import Struct

from syncagent.handoff.draft import Draft
from syncagent.handoff.fit import shown
from syncagent.handoff.gate import answers, attribute_of
from syncagent.handoff.likelihood import LETTER, likelihood, told
from syncagent.handoff.moments import moment_of
from syncagent.handoff.nearest import TOGETHER, Nearest, nearest
from syncagent.handoff.planner import plan
from syncagent.handoff.recycling import FOR_GOOD, rule_for
from syncagent.handoff.scoring import excluded, is_ready, judge, known_of, list_of
from syncagent.handoff.sla import Running, pending_steps, running
from syncagent.handoff.team import called_by
from syncagent.model import (
    AccountView,
    Decision,
    Dossier,
    Handoff,
    HandoffState,
    Identity,
    Likelihood,
    Roster,
    Score,
    Value,
)
from syncagent.policy import Policy, Threshold


def why(dossier: Dossier, policy: Policy, roster: Roster, now: datetime) -> tuple[str, ...]:
    """Explain the decision that `plan` would come to at `now`; nothing is decided by asking. Ids, no email address."""
    planned = outlook(dossier, policy, roster, now)
    decision = planned.decision
    lines = [f"Stage: {decision.stage}."]
    if decision.score is not None:
        lines += score_lines(dossier, policy, now)
    lines += told(dossier, known_of(dossier, policy, now), policy, now)
    if planned.record is not None:
        record = f"{planned.record.object} {planned.record.id}"
        status = f"status {planned.status}" if planned.status else "no status"
        owner = f"owner {_who(str(planned.owner), policy, roster)}" if planned.owner else "no owner"
        lines.append(f"CRM: {record}, {status}, {owner}.")
    else:
        lines.append("CRM: no record.")
    account, listed = planned.account, f"on the list {planned.account_list}" if planned.account_list else ""
    if account is not None:
        of = f"{account.name or 'nameless'} ({account.id}), {account.matched or 'as the CRM says'}"
        lines.append(f"Company: {of}{listed and '; '}{listed}.")
    elif listed:
        lines.append(f"Company: none in the CRM; {listed}.")
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
        lines += _handoff(handoff, policy, roster)
    if decision.handoffs and (stays := _stays(decision.handoffs[-1], policy)):
        lines.append(
            f"  {stays}: it stays with marketing until they raise a hand, or somebody sets it to ready in the CRM."
        )
    return tuple(lines)


def _stays(handoff: Handoff, policy: Policy) -> str:
    """Why neither a date nor points bring it up again."""
    most, rule = policy.recycle.most_returns, rule_for(handoff.recycle_reason, policy)
    if handoff.state is not HandoffState.CLOSED or handoff.outcome not in (FOR_GOOD, "lost"):
        return ""
    if handoff.number >= most:
        return f"Handed over {handoff.number} times, and most_returns is {most}"
    return f"The reason {handoff.recycle_reason} never returns" if rule is not None and not rule.again else ""


class Due(Struct, frozen=True):
    """A step of an open promise that is to come."""

    handoff: str
    sla: str
    do: str
    at: datetime


class Outlook(Struct, frozen=True):
    """What `plan` would decide at a moment, for a program; `why` says the same in words.

    `record`, `status` and `owner` are the CRM's, as it last told them; `record` is None where it has none. `account`:
    their company, told by the CRM or `matched`; `account_list`: of key accounts, the list that it is in.
    """

    decision: Decision
    record: Identity | None
    status: Value
    owner: Value
    due: tuple[Due, ...]
    account: AccountView | None = None
    account_list: str = ""


def outlook(dossier: Dossier, policy: Policy, roster: Roster, now: datetime) -> Outlook:
    """The decision that `plan` would come to at `now`, and what it rests on; nothing is decided by asking."""
    decision = plan(dossier, policy, roster, now).decision
    draft = Draft(dossier, policy, roster, now)
    return Outlook(
        decision,
        draft.view.record.identity if draft.view is not None else None,
        draft.current.get("status"),
        draft.current.get("owner"),
        tuple(
            Due(one.id, due.clock.sla.name, due.step.do, due.at)
            for one in decision.handoffs
            if one.state is HandoffState.WITH_SALES
            for due in pending_steps(one, policy)
        ),
        draft.dossier.account,
        list_of(draft.dossier, policy, now),
    )


class NotCounted(Struct, frozen=True):
    """An activity that no person did, and why that is thought."""

    at: datetime
    what: str
    system: str
    key: str
    why: str


class Asked(Struct, frozen=True):
    """A question of the gate, and what is known of it. `source` says so, since `at`."""

    question: str
    word: str
    required: bool
    attribute: str
    value: Value
    source: str
    at: datetime | None


class Standing(Struct, frozen=True):
    """A score and all that bears on it; `score_lines` says the same in words.

    `over`: past the line. `short`: points below its score (None: the line asks for none, or they are reached).
    `wrong_grade`: the line asks for other grades. `changes_at`: it may change by itself from then on. `segment` and
    `model` are empty where those for all count.
    """

    score: Score
    model: str
    segment: str
    line: Threshold
    over: bool
    short: float | None
    wrong_grade: bool
    changes_at: datetime | None
    not_counted: tuple[NotCounted, ...]
    nearest: Nearest
    answers: tuple[Asked, ...]
    likelihood: Likelihood | None
    likelihood_grade: str


def standing(dossier: Dossier, policy: Policy, now: datetime) -> Standing:
    """The score at `now` with every contribution, what does not count, what is missing, what would do."""
    known = known_of(dossier, policy, now)
    judged = judge(dossier, policy, now, known)
    score, line = judged.score, judged.line
    card = policy.likelihood
    return Standing(
        score=score,
        model=judged.model,
        segment=judged.segment,
        line=line,
        over=is_ready(score, line),
        short=line.score - score.total if line.score is not None and score.total < line.score else None,
        wrong_grade=bool(line.grades) and score.grade not in line.grades,
        changes_at=judged.changes_at,
        not_counted=tuple(
            NotCounted(each.at, moment_of(each), each.identity.system, each.key, why)
            for each, why in excluded(dossier, policy, now)
        ),
        nearest=nearest(dossier, policy, now),
        answers=tuple(
            Asked(one.question.name, one.word, one.required, attribute_of(one.question), one.value, one.source, one.at)
            for one in answers(dossier, policy, known, now)
        ),
        likelihood=likelihood(card, known, dossier, now) if card is not None else None,
        likelihood_grade=str(known.get(LETTER, "")) if card is not None else "",
    )


def score_lines(dossier: Dossier, policy: Policy, now: datetime) -> tuple[str, ...]:
    """The score at `now` with every contribution, what decay and caps took, what does not count, what is missing."""
    found = standing(dossier, policy, now)
    score = found.score
    by = f" by the model {found.model}" if found.model else ""
    lines = [f"Score{by}: {score.total:.0f} = fit {score.fit:.0f} + interest {score.interest:.0f}, {score.grade}."]
    lines += [f"  {one.points:+g} {one.rule}: {one.why}" for one in score.contributions]
    if found.changes_at is not None:
        lines.append(f"  It may change by itself from {_moment(found.changes_at)} on.")
    lines += [f"  Not counted: {one.what}, {_moment(one.at)}: {one.why}." for one in found.not_counted]
    lines += _line(found)
    lines += [f"  {one.question}: {one.word}{_source(one)}." for one in found.answers]
    return tuple(lines)


def _line(found: Standing) -> list[str]:
    """How far it is to the line, and what would do."""
    score, line = found.score, found.line
    of = f" of {found.segment}" if found.segment else ""
    if found.over:
        over = f" by {score.total - line.score:g}" if line.score is not None and score.total >= line.score else ""
        return [f"  Over the line{of}{over}."]
    lines = []
    if found.short is not None:
        lines.append(f"  {found.short:g} points below the line{of} of {line.score:g}.")
    if found.wrong_grade:
        lines.append(f"  Grade {score.grade} is not among those{of}: {', '.join(line.grades)}.")
    single = " or ".join(f"{one.what} (+{one.points:g})" for one in found.nearest.single)
    together = " and ".join(f"{one.what} (+{one.points:g})" for one in found.nearest.together)
    if single:
        lines.append(f"  {single} would do.")
    elif together:
        lines.append(f"  No single change would do, but together: {together}.")
    elif lines:
        lines.append(f"  No {TOGETHER} changes together would do.")
    return lines


def _source(answer: Asked) -> str:
    if answer.at is None:
        return ""
    return f" ({shown(answer.value)}; {answer.source}, {_moment(answer.at)})"


def _handoff(handoff: Handoff, policy: Policy, roster: Roster) -> list[str]:
    lines = [f"Handoff {handoff.id} ({handoff.state}), opened {_moment(handoff.opened_at)}: {handoff.cause}."]
    for one in handoff.assignments:
        kind = " (a person's choice)" if one.pinned else " (a queue)" if one.queue else ""
        lines.append(f"  To {_who(one.owner, policy, roster)}{kind}, {_moment(one.at)}, {one.route}: {one.why}")
        lines += [f"    Not before them: {why}." for why in one.passed]
        lines += [f"    {state}" for state in one.pool]
    if handoff.touched_at is not None:
        by = called_by(policy, roster, handoff.touched_by)
        lines.append(f"  Touched {_moment(handoff.touched_at)}: {by} {handoff.touched_how}.")
    elif handoff.state is HandoffState.WITH_SALES and handoff.sla is not None and handoff.clock_started_at is None:
        lines.append(f"  SLA {handoff.sla.name}: the clock starts when owner and task stand in the CRM.")
    if handoff.state is HandoffState.WITH_SALES:
        lines += _clocks(handoff, policy, roster)
    if handoff.come_back_at is not None:
        nth, most = handoff.number + 1, policy.recycle.most_returns
        of = f", as handoff {nth} of {most} at most" if nth <= most else ""  # whom a rep rests returns beyond the cap
        lines.append(f"  Comes back {_moment(handoff.come_back_at)}{of}.")
    if handoff.outcome:
        lines.append(f"  Outcome: {handoff.outcome}{f' ({handoff.recycle_reason})' if handoff.recycle_reason else ''}.")
    return lines


def _who(id_: str, policy: Policy, roster: Roster) -> str:
    """A CRM user or queue by name and id; the id alone where nobody has told a name."""
    called = called_by(policy, roster, id_)
    return id_ if called == id_ else f"{called} ({id_})"


def _clocks(handoff: Handoff, policy: Policy, roster: Roster) -> list[str]:
    """What was done and did not count, when the clocks stood still, and what they will do."""
    lines = []
    for one in handoff.touches:
        kept = f"Kept the {' and the '.join(one.counts)}" if one.counts else "Not counted"
        why = f": {one.why_not}" if one.why_not else ""
        by = called_by(policy, roster, one.by)
        lines.append(f"  {kept}, {_moment(one.at)}: {by} {one.how} ({one.evidence}){why}.")
    for hold in handoff.holds:
        until = f"until {_moment(hold.until)}" if hold.until is not None else "and still is"
        lines.append(f"  On hold: the status was {hold.status} from {_moment(hold.since)} {until}.")
    for away in handoff.absences:
        who = called_by(policy, roster, away.owner)
        lines.append(f"  Away, by the CRM: {who} from {_moment(away.since)} until {_moment(away.until)}.")
    waiting = pending_steps(handoff, policy)
    for clock in running(handoff):
        due = [f"{one.step.do} at {_moment(one.at)}" for one in waiting if one.clock.number == clock.number]
        says = ", ".join(due) or ("the clock stands still" if _stands_still(handoff, clock) else "no step is left")
        lines.append(f"  SLA {clock.sla.name} ({clock.sla.promised}, since {_moment(clock.start)}): {says}.")
    return lines


def _stands_still(handoff: Handoff, clock: Running) -> bool:
    return any(one.until is None and one.status in clock.sla.pause_on for one in handoff.holds)


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
