"""Law 6, no black hole: in which one state somebody past the line is, judged from the facts and not from the planner.

It asks other questions than the planner does, so that one mistake cannot hide another: is there a timer, a date, an
outcome, an owner, a task; does the CRM say the same; is there anybody past the line of whom nothing was decided?
"""

from datetime import datetime, timedelta
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from syncagent.handoff import stages
from syncagent.handoff.calendar import after
from syncagent.handoff.process import longest_stay
from syncagent.handoff.routing import Loads
from syncagent.handoff.scoring import is_ready, weigh
from syncagent.handoff.view import is_contact, last_write, standing, view_of
from syncagent.model import (
    Assignment,
    CrmView,
    Decision,
    Desired,
    Dossier,
    Event,
    Handoff,
    HandoffState,
    Identity,
    OutboxEntry,
    Plan,
    Roster,
    Score,
    Stage,
    Value,
)
from syncagent.policy import Policy

State = Literal["with sales", "returning", "closed", "held", "parked", "being planned", "before", "violation", ""]
"""Law 6's states; "before": from before the agent went live; "": not past the line."""

LATE = timedelta(hours=1)
"""So long after its time a timer has certainly been missed: a round takes seconds."""

_PRECISION = timedelta(milliseconds=1)

_NOT_BY_STATUS = ("withdrawn", "deleted", "erased", "won", "lost")
"""Outcomes that a deal, an admin or a deletion gives: the lead's status may stay as it was."""
_STUCK = ("parked", "unknown", "conflict")
_PENDING = ("queued", "sending", *_STUCK)
_RUNNING = frozenset((Stage.MQL, Stage.SAL, Stage.SQL, Stage.OPPORTUNITY))
_PAUSED = frozenset((Stage.RECYCLED, Stage.ON_HOLD))
_OVER = frozenset((Stage.WON, Stage.LOST, Stage.DISQUALIFIED, Stage.CUSTOMER))

REPLAN = "syncagent audit --mend"
ADOPT = "syncagent audit --adopt"
RUN = "syncagent run"
BY_HAND = "set its status in the CRM to what has become of it, or to another and back, which hands it off"


class Standing(Struct, frozen=True):
    """Where somebody stands. `why` says more; of a violation it is the sentence, and `mend` the command that helps."""

    state: State
    why: str = ""
    mend: str = ""


class Seen(Struct, frozen=True):
    """What the state holds of a person beside the dossier: timer, the brake's hold, whether they are to be planned."""

    wake_at: datetime | None = None
    held: str = ""
    dirty: bool = False


def stand(dossier: Dossier, seen: Seen, policy: Policy, now: datetime) -> Standing:
    """The one state of law 6 that this person is in; "violation" when there is none, or more than one."""
    decision = dossier.decision or Decision()
    if dossier.erased:
        return Standing("closed", "forgotten")
    if seen.held:
        return Standing("held", f"the brake: {seen.held}")
    if seen.dirty or dossier.absorbed:
        return Standing("being planned")
    alive = [one for one in decision.handoffs if one.state is not HandoffState.CLOSED]
    if len(alive) > 1:
        ids = ", ".join(one.id for one in alive)
        return _violation(f"It is in {len(alive)} states at once: the handoffs {ids} are open.", REPLAN)
    if alive and alive[0] is not decision.handoffs[-1]:
        return _violation(f"The handoff {alive[0].id} is open behind a newer one.", REPLAN)
    if seen.wake_at is not None and seen.wake_at < now - LATE:
        return _violation(f"Its timer was due at {seen.wake_at:%Y-%m-%d %H:%M} UTC, and nobody has looked.", RUN)
    view = view_of(dossier, policy, _kept(decision)) if dossier.records or dossier.outbox else None
    if decision.handoffs:
        return _of_handoff(decision, dossier, seen, view, policy, now)
    return _without_handoff(decision, dossier, view, policy, now)


def _violation(why: str, mend: str) -> Standing:
    return Standing("violation", why, mend)


def _kept(decision: Decision) -> Identity | None:
    return decision.desired.record if decision.desired is not None and decision.handoffs else None


def _of_handoff(
    decision: Decision, dossier: Dossier, seen: Seen, view: CrmView | None, policy: Policy, now: datetime
) -> Standing:
    handoff = decision.handoffs[-1]
    pending = any(one.verb == "WriteLead" and one.state in _PENDING for one in dossier.outbox)
    said = None if pending else _said(dossier, view, policy, contested=decision.contested)
    if handoff.state is HandoffState.CLOSED:
        if not handoff.outcome:
            return _violation(f"The handoff {handoff.id} is closed without an outcome.", REPLAN)
        if said is Stage.MQL and handoff.outcome not in _NOT_BY_STATUS:
            says = f"The CRM shows it as ready for sales, and the handoff {handoff.id} is closed ({handoff.outcome})."
            return _violation(says, BY_HAND)
        return Standing("closed", handoff.outcome)
    if handoff.state is HandoffState.RETURNING:
        return _returning(handoff, seen, said, now)
    if seen.wake_at is not None and not _wakes_by(seen, _must_be_seen_by(handoff, decision, policy), now):
        says = f"The handoff {handoff.id} is with sales, and nobody looks at it before its longest stay is over."
        return _violation(says, REPLAN)
    return _with_sales(handoff, dossier, seen, view, said)


def _wakes_by(seen: Seen, moment: datetime, now: datetime) -> bool:
    """Whether a timer runs that comes no later than this; the state keeps whole milliseconds, and none too early."""
    return seen.wake_at is not None and seen.wake_at <= max(moment, now + LATE) + _PRECISION


def _must_be_seen_by(handoff: Handoff, decision: Decision, policy: Policy) -> datetime:
    """When the stage's longest stay is over; a timer of something else (a score that fades) is no watch."""
    since = max((handoff.opened_at, decision.stage_since or handoff.opened_at, *(one.at for one in handoff.steps_done)))
    return after(since, longest_stay(decision.stage, policy), policy.timezone)


def _returning(handoff: Handoff, seen: Seen, said: Stage | None, now: datetime) -> Standing:
    back = handoff.come_back_at
    if back is None:
        return _violation(f"The handoff {handoff.id} is to return, and has no date.", REPLAN)
    if not _wakes_by(seen, back, now):
        return _violation(f"The handoff {handoff.id} returns on {back:%Y-%m-%d}, and no timer says so.", REPLAN)
    if said is Stage.MQL and handoff.outcome not in _NOT_BY_STATUS:
        says = f"The CRM shows it as ready for sales, and the handoff {handoff.id} returns on {back:%Y-%m-%d}."
        return _violation(says, BY_HAND)
    return Standing("returning", handoff.outcome)


def _with_sales(handoff: Handoff, dossier: Dossier, seen: Seen, view: CrmView | None, said: Stage | None) -> Standing:
    last = handoff.assignments[-1] if handoff.assignments else None
    if last is None or not last.owner:
        return _violation(f"The handoff {handoff.id} is with sales, and nobody has it.", REPLAN)
    if seen.wake_at is None:
        return _violation(f"The handoff {handoff.id} is with sales, and no timer runs.", REPLAN)
    if said in _PAUSED or said in _OVER:
        return _violation(f"The CRM says {said}, and the handoff {handoff.id} is with sales.", REPLAN)
    mine = [one for one in dossier.outbox if one.handoff == handoff.id]
    stuck = [one for one in mine if one.verb in ("WriteLead", "CreateTask") and one.state in _STUCK]
    if stuck and handoff.clock_started_at is None:
        return Standing("parked", stuck[-1].why or stuck[-1].state, "syncagent outbox list")
    owner = _owner(dossier, view)
    if view is not None and owner == "" and not any(one.state in _PENDING for one in mine):
        return _violation(f"The handoff {handoff.id} is with sales, and its record has no owner.", "set one in the CRM")
    if (
        handoff.clock_started_at is not None
        and not last.queue
        and handoff.cause != ADOPTED
        and not _task(handoff, mine, dossier)
    ):
        return _violation(f"The handoff {handoff.id} is with sales, and nobody was given a task.", REPLAN)
    return Standing("with sales", "in a queue" if last.queue else "")


def _task(handoff: Handoff, mine: list[OutboxEntry], dossier: Dossier) -> bool:
    """Whether the present owner was told, in this life or in one before a restored backup.

    Who had acted before the first task could be made needs none.
    """
    number = len(handoff.assignments)
    told = any(f":{handoff.id}:a{number}:" in f":{one.key}" for one in mine if one.verb == "CreateTask")
    left = any(one.key.endswith(":task") and not one.deleted for one in dossier.tasks)
    return told or left or handoff.touched_at is not None


def _said(dossier: Dossier, view: CrmView | None, policy: Policy, *, contested: tuple[str, ...]) -> Stage | None:
    """What the lead's status says in our words; nothing of contacts, converted leads and contested fields."""
    if view is None or is_contact(view.record) or "status" in contested:
        return None
    current = standing(view, last_write(dossier, view.record.identity))
    return stages.meaning(current.get("status"), policy.crm)


def _owner(dossier: Dossier, view: CrmView | None) -> str | None:
    """The record's owner; None where none is ours to watch."""
    if view is None or is_contact(view.record):
        return None
    current = standing(view, last_write(dossier, view.record.identity))
    return None if "owner" not in current else str(current["owner"] or "")


def _without_handoff(
    decision: Decision, dossier: Dossier, view: CrmView | None, policy: Policy, now: datetime
) -> Standing:
    said = _said(dossier, view, policy, contested=())
    if said in _OVER:
        return Standing("closed", f"{said}, by the CRM")
    if decision.waiting:
        return Standing("held", decision.waiting, ADOPT if decision.adopted else "")
    if said in _RUNNING or said in _PAUSED:
        assert view is not None  # noqa: S101 - what it says is read from it
        if _status_since(view) < policy.live_from:
            return Standing("before", f"{said} in the CRM", ADOPT)
        what = "no timer runs" if said in _RUNNING else "it has no date to come back"
        return _violation(f"The CRM says {said}, the agent never handed it off, and {what}.", ADOPT)
    if not (dossier.leads or dossier.records):
        return Standing("")
    judged = weigh(dossier, policy, now)
    raised = judged.raiser is not None and judged.raiser.at <= now
    if not raised and not is_ready(judged.score, judged.line):
        return Standing("")
    moments = [at for at in (judged.latest, judged.raiser.at if judged.raiser is not None else None) if at is not None]
    if not moments or max(moments) < max(policy.live_from, dossier.fresh_from or policy.live_from):
        return Standing("before", "ready by history", "syncagent backfill SOURCE --since D --handoff")
    return _violation("It is past the line, and nothing was decided about it.", REPLAN)


def telling(policy: Policy) -> tuple[str, ...]:
    """The statuses of the CRM that may put somebody past the line; all others say nothing of it."""
    crm = policy.crm
    known = sorted({*crm.answers, *crm.write_status.values()})
    return tuple(one for one in known if stages.meaning(one, crm) in _RUNNING | _PAUSED | _OVER)


def may_be_ready(score: Score, policy: Policy) -> bool:
    """Whether this score is past any line that the policy draws."""
    return any(is_ready(score, line) for line in (policy.mql, *(one.mql for one in policy.segments)))


def _status_since(view: CrmView) -> datetime:
    """Since when the record has said so, as far as the CRM tells."""
    changed = [one.at for one in view.changes if one.field == "status"]
    return max(changed, default=view.record.created_at)


# -- taking over


ADOPTED = "adopted from sales"
"""The cause of a handoff that sales began by itself: watched like every other, without a task."""


def adopt(dossier: Dossier, policy: Policy, roster: Roster, now: datetime) -> Plan | None:
    """Watch somebody whom sales works on, or has given back, and whom the agent never handed off; None: nobody such.

    Nothing is told to any system: the handoff that opens has the owner and the status that stand in the CRM. It wakes
    at once; the next ordinary plan sets its timers.
    """
    decision = dossier.decision or Decision()
    view = view_of(dossier, policy) if dossier.records or dossier.outbox else None
    said = _said(dossier, view, policy, contested=())
    if decision.handoffs or view is None or said is None or (said not in _RUNNING and said not in _PAUSED):
        return None
    current = standing(view, last_write(dossier, view.record.identity))
    owner = str(current.get("owner") or "")
    why = "Sales had it before the agent watched it."
    taken = Assignment(owner, now, "crm", why, queue=owner in policy.queues.values(), pinned=bool(owner))
    handoff = Handoff(
        id=f"{dossier.person}.1",
        number=1,
        opened_at=now,
        cause=ADOPTED,
        score=round(decision.score.total, 2) if decision.score is not None else 0.0,
        grade=decision.score.grade if decision.score is not None else "",
        assignments=(taken,),
    )
    loads = Loads(roster, policy, now)
    if said in _PAUSED:
        back = after(now, policy.recycle.default, policy.timezone)
        outcome = "on hold" if said is Stage.ON_HOLD else "given back before"
        handoff = replace(handoff, state=HandoffState.RETURNING, outcome=outcome, closed_at=now, come_back_at=back)
    else:
        loads.take(owner, counted=False)
    values: dict[str, Value] = {name: current[name] for name in ("owner", "status") if name in current}
    revision = decision.desired.revision if decision.desired is not None else 0
    made = replace(
        decision,
        stage=said,
        stage_since=now,
        handoffs=(handoff,),
        desired=Desired(view.record.identity, values, revision),
        adopted=False,
        waiting="",
    )
    event = Event(
        "adopted", now, f"{why} From now on it is.", handoff.id, {"status": current.get("status"), "owner": owner}
    )
    return Plan(decision=made, events=(event,), roster=loads.roster(), wake_at=now + timedelta(milliseconds=1))
