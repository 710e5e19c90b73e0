"""The one decision: facts, policy and time in; decision, commands and the next moment to look out.

Pure and total: no clock, no I/O, no dice. It looks at how things stand, never at what has just happened, so that
lost, late, doubled and reordered events, and a kill at any instant, change nothing in the end.
"""

from datetime import datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

from msgspec.structs import replace

from syncagent.handoff import likelihood, stages
from syncagent.handoff.alerting import place_anew
from syncagent.handoff.answers import hear
from syncagent.handoff.calendar import before
from syncagent.handoff.commands import (
    give_task,
    leave_what_stands,
    opening_row,
    push,
    tidy,
    write_row,
)
from syncagent.handoff.deals import watch_deals
from syncagent.handoff.draft import Draft
from syncagent.handoff.erasing import erase
from syncagent.handoff.fresh import FRESH, freshen
from syncagent.handoff.gate import answers, changes_at, obstacle
from syncagent.handoff.merging import fold_absorbed
from syncagent.handoff.moments import moment_of
from syncagent.handoff.nurturing import nurture
from syncagent.handoff.owners import choose, holding
from syncagent.handoff.populations import weigh_models
from syncagent.handoff.process import forbidden, move_of, tell_off_map
from syncagent.handoff.promise import give_up, keep
from syncagent.handoff.recycling import give_back_on_behalf
from syncagent.handoff.routing import Later
from syncagent.handoff.scoring import is_ready, points_since
from syncagent.handoff.sla import promising, terms_for
from syncagent.handoff.who import origin
from syncagent.model import Desired, Dossier, Handoff, HandoffState, Plan, Roster, Stage, Value
from syncagent.policy import Policy


def plan(dossier: Dossier, policy: Policy, roster: Roster, now: datetime) -> Plan:
    """Decide what follows from all that is known of a person at `now` (law 1).

    Planning the result again at the same `now` yields no command and no event; `wake_at` is always later than `now`.
    """
    draft = Draft(dossier, policy, roster, now)
    if dossier.erased:
        erase(draft)
        return draft.finish()
    if not (dossier.leads or dossier.records or dossier.absorbed) and draft.before.score is None:
        return Plan(decision=draft.before)  # known only by what they did: nothing is said before they are looked up
    draft.wake(draft.judged.changes_at)
    draft.wake(likelihood.changes_at(dossier, policy, now))
    if dossier.absorbed:
        fold_absorbed(draft)
    if draft.with_sales and draft.handoffs[-1].clock_started_at is None and draft.handoffs[-1].assignments:
        give_up(draft)  # first: what nobody has been told is no answer
    if draft.view is not None or dossier.records:
        hear(draft)
    if draft.handoffs and (draft.policy.recycle.on_behalf or draft.policy.stages):
        give_back_on_behalf(draft)
    if draft.handoffs and draft.handoffs[-1].state is HandoffState.RETURNING:
        _bring_back(draft)
    if not draft.with_sales:
        _hand_off(draft)
    leave_what_stands(draft)
    if draft.handoffs:
        keep(draft)
    if draft.policy.recycle.reasons and draft.handoffs:
        draft.remember()
    draft.stage = draft.stage_now()
    _tell_journal(draft)
    _command(draft)
    return draft.finish()


def _command(draft: Draft) -> None:
    """What the systems are told of all that was decided."""
    if draft.view is not None:
        freshen(draft)
    if draft.want != draft.told or draft.desired is not None:
        write_row(draft)
    if draft.policy.models:
        weigh_models(draft)
    if draft.handoffs:
        give_task(draft)
        _after_the_write(draft)
        nurture(draft)
        tidy(draft)
    if draft.dossier.opportunities or draft.noticed:
        watch_deals(draft)
    if draft.dossier.outbox:
        place_anew(draft)
    if draft.commands:
        push(draft)


class _Opening(NamedTuple):
    """Why a handoff opens."""

    cause: str
    kind: str = "handoff"  # what the brake counts it as
    last: str = ""  # the rep who had it before
    by: str = ""  # who has set it to ready in the CRM


def _bring_back(draft: Draft) -> None:
    """On its date a lead comes up again with a new number, whatever its score; earlier on a strong signal."""
    handoff = draft.handoffs[-1]
    due = handoff.come_back_at
    if due is None:
        return
    if due > draft.now or draft.set_ready_by:
        draft.wake(due)
        return
    if not draft.crm_has_seen(due):
        return
    if draft.view is None:
        draft.wake(draft.now + timedelta(hours=1))  # merged into a record that has not been read yet
        return
    _open(draft, _Opening("came back on its date", last=_last_rep(handoff)), event="came_back")


def _hand_off(draft: Draft) -> None:
    """Open a handoff when somebody is ready and everything allows it; else say what it waits for."""
    held = draft.before.held
    reason = _reason(draft)
    opening = reason or (_Opening(held.cause, held.kind, held.last, held.by) if held is not None else None)
    if opening is None or draft.held is not None:
        return
    raised = opening.kind == "handraiser"
    draft.waiting = "" if opening.by and draft.view is not None else _obstacle(draft, raised=raised)
    if not draft.waiting:
        _open(draft, opening)
    elif reason is None:
        draft.waiting = ""  # it was held, and nothing that still holds speaks for it
    elif draft.waiting != draft.before.waiting:
        draft.event("waiting", f"Ready ({opening.cause}), but not handed off: {draft.waiting}.")


def _reason(draft: Draft) -> _Opening | None:
    """What speaks for a handoff now; None: nothing (new) does. History alone never does (law 11)."""
    handoff, live = draft.handoff, _live_from(draft)
    since = handoff.closed_at if handoff is not None else None
    last = _last_rep(handoff) if handoff is not None else ""
    if by := draft.set_ready_by:  # a person wins: neither gate nor map nor cap is asked
        return _Opening(f"{draft.called(by)} set it to {draft.current.get('status')}", last=last, by=by)
    raiser = draft.judged.raiser
    if raiser is not None and since is not None and raiser.at > draft.now:
        draft.wake(raiser.at)  # a source whose clock runs ahead must not open one handoff after another
    elif raiser is not None and raiser.at >= live and (since is None or raiser.at > _heard_until(handoff, since)):
        return _Opening(moment_of(raiser), "handraiser", last)
    if handoff is not None or _was_recycled(draft):
        return _woken(draft, since or live, last)
    latest = draft.judged.latest
    if latest is None or latest < live or not is_ready(draft.score, draft.judged.line):
        return None
    return _Opening(f"score {draft.score.total:.0f} ({draft.score.grade})")


def _live_from(draft: Draft) -> datetime:
    """What happened before is history; after a split all that the two did until then is."""
    live, fresh = draft.policy.live_from, draft.dossier.fresh_from
    return live if fresh is None else max(live, fresh)


def _heard_until(handoff: Handoff | None, since: datetime) -> datetime:
    """Only a hand that was raised later is a new one: not the one that opened the last handoff, whatever its stamp."""
    return max(since, handoff.raised_at) if handoff is not None and handoff.raised_at is not None else since


def _was_recycled(draft: Draft) -> bool:
    """Given back to marketing before we were there: only what happened since counts."""
    if draft.view is None or draft.contact:
        return False
    return stages.meaning(draft.current.get("status"), draft.policy.crm) is Stage.RECYCLED


def _woken(draft: Draft, since: datetime, last: str) -> _Opening | None:
    """After a recycling (or a lost or won deal) only what came later counts; a disqualified lead must ask itself."""
    rule, handoff = draft.policy.recycle, draft.handoff
    if rule.wake_points is None:
        return None
    if handoff is not None and handoff.outcome in (
        "disqualified",
        "deleted",
        "recycled for good",
        "withdrawn",
        "on hold",
    ):
        return None
    if handoff is not None and handoff.number >= rule.most_returns:
        return None
    start = max(since, before(draft.now, rule.wake_within, draft.policy.timezone))
    if not draft.dossier.activities or max(one.at for one in draft.dossier.activities) <= start:
        return None
    points, latest = points_since(draft.dossier, draft.policy, draft.now, start)
    if points < rule.wake_points or latest is None or latest < _live_from(draft):
        return None
    return _Opening(f"{points:g} points since it was given back", last=last)


def _obstacle(draft: Draft, *, raised: bool) -> str:
    """Why a ready person cannot be handed off now; empty when they can."""
    policy = draft.policy
    if draft.adopted:
        return f"sales is at work on it (status {draft.current.get('status')})"
    if policy.stages and (against := forbidden(draft, Stage.MQL)):
        return against
    if policy.gate.required and not raised:
        given = answers(draft.dossier, policy, draft.attributes, draft.now)
        draft.wake(changes_at(given, policy))
        found = obstacle(given, policy.gate)
        if found:
            return f"gate: {found}"
    if draft.view is not None:
        return ""
    if policy.crm.create != "when_missing":
        return "not in the CRM"
    if draft.dossier.records and not raised:
        return "deleted in the CRM"
    return (
        ""
        if draft.dossier.emails or draft.dossier.shared
        else "not in the CRM, and no email address to make a record with"
    )


def _open(draft: Draft, opening: _Opening, event: str = "handoff.opened") -> None:
    """Open the next numbered handoff: owner, promise, and the row that says so."""
    old = draft.handoff
    if old is not None:
        draft.look(anew=True)
    terms = terms_for(draft.score.grade, draft.attributes, draft.policy, draft.judged.segment)
    assignment = choose(draft, opening, terms)
    if isinstance(assignment, Later):
        draft.look()
        draft.held = holding(draft, assignment, opening)
        if draft.waiting != draft.before.waiting:
            draft.event("waiting", f"Ready ({opening.cause}), but not handed off yet: {draft.waiting}.")
        return
    if old is not None and old.state is HandoffState.RETURNING:
        draft.put(replace(old, state=HandoffState.CLOSED, come_back_at=None))
    number = max((one.number for one in draft.handoffs), default=0) + 1
    score = draft.score
    handoff = Handoff(
        id=f"{draft.dossier.person}.{number}",
        number=number,
        opened_at=draft.now,
        cause=opening.cause,
        score=round(score.total, 2),
        grade=score.grade,
        assignments=(assignment,),
        raised_at=draft.judged.raiser.at if draft.judged.raiser is not None else None,
        answers=_answers(draft),
        segment=draft.judged.segment,
    )
    handoff = promising(handoff, terms)
    draft.handoffs.append(handoff)
    draft.contested = draft.overwritten = ()
    draft.waiting = ""
    _start_row(draft, handoff)
    draft.cause, draft.owner = opening.kind, "" if assignment.queue else assignment.owner
    if event == "came_back":
        draft.event(event, "The date that sales named has come.", number=number)
    draft.event(
        "handoff.opened",
        f"Handed off: {opening.cause}.",
        score=round(score.total, 2),
        grade=score.grade,
        owner=assignment.owner,
        route=assignment.route,
        number=number,
        sla=handoff.sla.name if handoff.sla is not None else "",
        create=draft.view is None,
        **origin(draft.dossier, score, opening.cause, draft.judged.raiser if opening.kind == "handraiser" else None),
    )
    draft.event("assigned", assignment.why, owner=assignment.owner, route=assignment.route, queue=assignment.queue)


def _answers(draft: Draft) -> dict[str, str]:
    """What is known at the opening, for whoever asks later whether the gate was right."""
    given = answers(draft.dossier, draft.policy, draft.attributes, draft.now)
    return {one.question.name: one.word for one in given}


def _start_row(draft: Draft, handoff: Handoff) -> None:
    """A new handoff tells its whole row, and watches what stands beside it."""
    old = draft.desired
    record = draft.view.record.identity if draft.view is not None else None
    revision = old.revision if old is not None else 0
    if old is None or old.record != record:
        draft.desired = Desired(record, {}, revision)
    moments = draft.told.get("insight")  # what we told there is remembered: it tells our words from a person's
    draft.told, draft.want = {}, opening_row(draft, handoff, draft.now)
    if moments is not None and "insight" not in draft.want:
        draft.adopt("insight", moments)
    for name in ("status", "recycle_until") if draft.contact else ("status", "owner", "recycle_until"):
        if name in draft.current and name not in draft.want:
            draft.adopt(name, draft.current[name])
    draft.score_written_at = draft.now if FRESH & set(draft.want) else draft.score_written_at


def _last_rep(handoff: Handoff) -> str:
    last = handoff.assignments[-1] if handoff.assignments else None
    return last.owner if last is not None and not last.queue else ""


def _after_the_write(draft: Draft) -> None:
    """What was decided before the row was made must still wait for it."""
    keys = tuple(one.key for one in draft.commands if type(one).__name__ == "WriteLead")
    if not keys:
        return
    draft.commands = [
        replace(one, depends_on=keys)
        if type(one).__name__ in ("Alert", "CreateTask") and one.depends_on != keys and ":u" not in one.key
        else one
        for one in draft.commands
    ]


@lru_cache(maxsize=1024)
def _signed(points: float) -> str:
    return f"{points:+g}"  # weights and priorities are few, and so are their products


def _tell_journal(draft: Draft) -> None:
    """Score, company and stage, when they have changed; a move that comes with a new score stands in its line."""
    past, move = draft.before, move_of(draft)
    moved = f"From {move['before']} to {move['stage']}" if move else ""
    new, old, scored = draft.score, past.score, False
    if new.contributions or old is not None:
        total = round(new.total)
        scored = old is None or old.grade != new.grade or round(old.total) != total
        if scored:
            why = "; ".join([f"{one.why} ({_signed(one.points)})" for one in new.contributions[:5]])
            why = why or "nothing counts any more"
            figures: dict[str, Value] = {
                "total": total,
                "fit": round(new.fit),
                "interest": round(new.interest),
                "grade": new.grade,
                **move,
            }
            draft.tell("score", f"{moved}: {why}" if moved else why, figures)
    account = draft.dossier.account
    if draft.matched != past.account:
        told = f"the CRM counts them to {account.id}" if account is not None else "no account fits any more"
        why = account.matched if draft.matched and account is not None else told
        draft.event("account", f"{why[:1].upper()}{why[1:]}.", account=draft.matched)
    if move:
        if not scored:
            draft.event("stage", f"{moved}.", **move)
        tell_off_map(draft)
