"""A handoff while it is with sales: is it delivered, is the promise kept, and what happens when it is not."""

from msgspec.structs import replace

from syncagent.handoff import routing, stages
from syncagent.handoff.calendar import after
from syncagent.handoff.commands import alert
from syncagent.handoff.draft import Draft
from syncagent.handoff.insight import name_of
from syncagent.handoff.owners import attributes_for, company_name
from syncagent.handoff.routing import Case, Hold, manager_of, queue_for, waits_for
from syncagent.handoff.sla import STUCK, UNDELIVERED, is_short, minutes_between, pending_steps
from syncagent.model import Assignment, Handoff, SlaStep, Stage, StepDone, Value
from syncagent.policy import Duration

_STAGES = list(Stage)
_NOTHING = Duration()
_LONGEST = Duration(days=90)


def keep(draft: Draft) -> None:
    """Start the clock, watch delivery, fire the step that is due, and set the next moment to look."""
    if not draft.with_sales or not draft.handoffs[-1].assignments:
        return
    if draft.handoffs[-1].clock_started_at is None and not _start_clock(draft):
        _leave_inactive(draft)
        _watch_delivery(draft)
    if draft.handoffs[-1].touched_at is None:
        _fire(draft)
        _leave_queue(draft)
        if draft.handoffs[-1].clock_started_at is None and _start_clock(draft):
            for due, _, _ in pending_steps(draft.handoffs[-1], draft.policy)[:1]:
                draft.wake(due)
    _watch_stage(draft)


def _case(draft: Draft, exclude: frozenset[str]) -> Case:
    """The handoff as routing sees it; owners who come before any rule are named at the opening only."""
    handoff = draft.handoffs[-1]
    return Case(
        attributes_for(draft),
        draft.now,
        route=handoff.assignments[0].route,
        exclude=exclude,
        company=company_name(draft),
        short=is_short(handoff.sla, draft.policy),
    )


def _keeps_owner(draft: Draft) -> str:
    """Why this lead cannot be given to somebody else; empty when it can."""
    if draft.contact:
        return "its owner is not ours to change"
    return "automation keeps setting its owner" if "owner" in draft.contested else ""


def _start_clock(draft: Draft) -> bool:
    """The promise runs from when owner and task are confirmed."""
    handoff = draft.handoffs[-1]
    last, number = handoff.assignments[-1], len(handoff.assignments)
    if any(draft.want[name] != draft.told.get(name) for name in draft.want if name not in draft.contested):
        return False  # a row is about to be told
    if not draft.contact:
        if draft.write_pending or (draft.current.get("owner") != last.owner and "owner" not in draft.contested):
            return False
    elif draft.write_pending:
        return False
    if not last.queue:
        entry = draft.entry(draft.key(handoff.id, f"a{number}", "task"))
        if (entry is None or entry.state not in ("done", "dropped")) and handoff.cause != "adopted from sales":
            return False
    draft.put(replace(handoff, clock_started_at=draft.now))
    draft.event(
        "clock.started",
        f"{draft.called(last.owner)} has the lead: the promise runs.",
        owner=last.owner,
        assignment=number,
    )
    return True


def give_up(draft: Draft) -> bool:
    """An admin has dropped the first write from the outbox: the handoff ends, for nobody has got it.

    A later one that is dropped leaves the lead with whom the CRM says; it is told as undelivered.
    """
    entry, desired, handoff = draft.write_entry, draft.desired, draft.handoffs[-1]
    if entry is None or desired is None or entry.state != "dropped" or len(handoff.assignments) > 1:
        return False
    if draft.contact or "owner" in draft.contested or draft.current.get("owner") == handoff.assignments[-1].owner:
        return False
    if (
        handoff.touched_at is not None
        or stages.meaning(draft.current.get("status"), draft.policy.crm) in stages.ACCEPTED
    ):
        return False  # sales has taken it up all the same
    draft.close("withdrawn", "Its write was dropped from the outbox: nobody has got it.", kind="withdrawn")
    # The next revision: sales may still take it up, and what was dropped must not end that again.
    draft.believe(replace(desired, values=dict(draft.current), revision=desired.revision + 1))
    return True


def _watch_delivery(draft: Draft) -> None:
    handoff = draft.handoffs[-1]
    number = len(handoff.assignments)
    last = handoff.assignments[-1]
    late = after(last.at, draft.policy.alarm_undelivered, draft.policy.timezone)
    if draft.now < late:
        draft.wake(late)
        return
    entry = draft.write_entry
    if entry is None or entry.state == "done":
        entry = draft.entry(draft.key(handoff.id, f"a{number}", "task"))
    stuck = entry is not None and entry.state in ("parked", "unknown", "conflict")
    why = entry.why if entry is not None and stuck else ""
    if not any(one.step == UNDELIVERED and one.assignment == number for one in handoff.steps_done):
        _mark(draft, UNDELIVERED)
        draft.event(
            "undelivered",
            "Not delivered in time" + (f": {why.rstrip('.')}" if why else "") + ".",
            state=entry.state if entry else "",
        )
    if entry is not None and stuck:  # it may have been refused long after it was late; the alert has a key
        name = name_of(draft.attributes, draft.dossier.emails)
        body = f"The CRM did not take it: {why or entry.state}. See `syncagent outbox list`."
        alert(draft, f"u{number}", manager_of(last.owner, draft.policy), f"Not handed over: {name}", body, alone=True)


def _fire(draft: Draft) -> None:
    """Of the steps that are due the last one fires; those that it overtook are done without a sound."""
    handoff = draft.handoffs[-1]
    waiting = pending_steps(handoff, draft.policy)
    due = [one for one in waiting if one[0] <= draft.now]
    if due and draft.crm_has_seen(due[-1][0]):
        for _, index, _ in due:
            _mark(draft, index)
        _do(draft, due[-1][1], due[-1][2])
        waiting = pending_steps(draft.handoffs[-1], draft.policy)
    if waiting and waiting[0][0] > draft.now:
        draft.wake(waiting[0][0])
    elif len(waiting) > len(due):
        draft.wake(waiting[len(due)][0])


def _do(draft: Draft, index: int, step: SlaStep) -> None:
    handoff = draft.handoffs[-1]
    last = handoff.assignments[-1]
    figures: dict[str, Value] = {"owner": last.owner, "step": step.at, "minutes": _minutes(draft, handoff)}
    if step.do == "remind":
        if last.queue:
            return
        name = name_of(draft.attributes, draft.dossier.emails)
        body = f"Promised: first touch within the SLA {handoff.sla.name if handoff.sla else ''}. {handoff.cause}."
        alert(draft, f"s{len(handoff.assignments)}.{index}", last.owner, f"Still waiting for you: {name}", body)
        draft.event(
            "reminded", f"{draft.called(last.owner)} was reminded at {step.at:.0%} of the promised time.", **figures
        )
    elif step.do == "escalate":
        _escalate(draft, index, step, "not touched in the promised time")
    elif last.pinned:
        _escalate(draft, index, step, "not touched in the promised time, and a person chose the owner")
    else:
        _pass_on(draft, index, step, to_queue=step.do == "queue")


def _minutes(draft: Draft, handoff: Handoff) -> float:
    if handoff.sla is None or handoff.clock_started_at is None:
        return 0.0
    owner = handoff.assignments[-1].owner
    return round(minutes_between(handoff.sla, owner, handoff.clock_started_at, draft.now, draft.policy), 1)


def _escalate(draft: Draft, index: int, step: SlaStep, why: str) -> None:
    handoff = draft.handoffs[-1]
    owner = handoff.assignments[-1].owner
    manager = manager_of(owner, draft.policy, other=step.to if step.to != "manager" else "")
    name = name_of(draft.attributes, draft.dossier.emails)
    body = f"{name} is with {draft.called(owner)}: {why} ({_minutes(draft, handoff):g} minutes). {handoff.cause}."
    told = alert(draft, f"s{len(handoff.assignments)}.{index}", manager, f"Promise broken: {name}", body)
    draft.event(
        "escalated",
        f"{draft.called(manager) if told else 'Nobody'} was told: {why}.",
        owner=owner,
        to=manager if told else "",
        minutes=_minutes(draft, handoff),
    )


def _pass_on(draft: Draft, index: int, step: SlaStep, *, to_queue: bool) -> None:
    handoff = draft.handoffs[-1]
    if kept := _keeps_owner(draft):
        _escalate(draft, index, step, f"not touched in the promised time, and {kept}")
        return
    last = handoff.assignments[-1]
    holders = frozenset(one.owner for one in handoff.assignments)
    case = _case(draft, holders)
    if to_queue:
        target = draft.policy.queues.get(step.to, step.to)
        why = "Nobody touched it in the promised time."
        if target in holders:
            chosen = None
        elif target:
            draft.loads.take(target)
            chosen = Assignment(target, draft.now, "sla", why, queue=True)
        else:
            chosen = queue_for(case, draft.policy, draft.loads, why)
    else:
        chosen = routing.reassign(case, draft.policy, draft.loads)
    if chosen is None:
        _escalate(draft, index, step, "not touched in the promised time, and nobody else can take it")
        return
    _move(draft, chosen, f"{draft.called(last.owner)} did not touch it in the promised time: {chosen.why}")


def _move(draft: Draft, chosen: Assignment, why: str) -> None:
    handoff = draft.handoffs[-1]
    last = handoff.assignments[-1]
    minutes = _minutes(draft, handoff)
    draft.loads.give_back(last.owner)
    draft.put(replace(handoff, assignments=(*handoff.assignments, chosen), clock_started_at=None))
    draft.want["owner"] = chosen.owner
    draft.cause, draft.owner = "reassign", "" if chosen.queue else chosen.owner
    draft.event("reassigned", why, before=last.owner, owner=chosen.owner, route=chosen.route, minutes=minutes)


def _leave_queue(draft: Draft) -> None:
    """A lead in a queue because its pool was full goes to the first of the pool who can take it."""
    handoff = draft.handoffs[-1]
    last = handoff.assignments[-1]
    if not last.queue or not last.pool or _keeps_owner(draft):
        return
    holders = frozenset(one.owner for one in handoff.assignments if not one.queue)
    chosen = routing.from_pool(last.route, _case(draft, holders), draft.policy, draft.loads)
    if not isinstance(chosen, Assignment):
        draft.waits.extend(waits_for(last.route, draft.policy))
        draft.wake(chosen.until if isinstance(chosen, Hold) else None)
        # A daily cap or an absence ends with the day, and nobody else would say so.
        draft.wake(after(draft.now, Duration(days=1), draft.policy.timezone))
        return
    _move(draft, chosen, f"Somebody can take it now: {chosen.why}")


def _leave_inactive(draft: Draft) -> None:
    """A lead on its way to a rep who was deactivated meanwhile goes to somebody else: the CRM would refuse it."""
    handoff = draft.handoffs[-1]
    last = handoff.assignments[-1]
    if last.queue or last.pinned or _keeps_owner(draft) or handoff.touched_at is not None:
        return
    if draft.active.get(last.owner, True):
        return
    holders = frozenset(one.owner for one in handoff.assignments)
    chosen = routing.reassign(_case(draft, holders), draft.policy, draft.loads)
    if chosen is not None:
        draft.loads.undo(last)
        _move(draft, chosen, f"{draft.called(last.owner)} is no longer active in the CRM: {chosen.why}")


def _watch_stage(draft: Draft) -> None:
    """Law 6: a lead that stays in its stage for too long is told to the manager, and again after every such period.

    Where the process map names no longest stay, the policy's come-back time stands in, else 90 days, so that no lead
    with sales is without a timer.
    """
    handoff = draft.handoffs[-1]
    stage = draft.stage_now()
    rule = next((one for one in draft.policy.stages if one.stage is stage), None)
    lengths = (rule.longest if rule is not None else None, draft.policy.recycle.default)
    longest = next((one for one in lengths if one is not None and one != _NOTHING), _LONGEST)
    code = STUCK - _STAGES.index(stage)
    told = [one.at for one in handoff.steps_done if one.step == code]
    since = max(handoff.touched_at or handoff.opened_at, handoff.opened_at)
    due = after(max(since, *told) if told else since, longest, draft.policy.timezone)
    if due > draft.now:
        draft.wake(due)
        return
    if not draft.crm_has_seen(due):
        return
    _mark(draft, code)
    draft.wake(after(draft.now, longest, draft.policy.timezone))
    owner = handoff.assignments[-1].owner
    name = name_of(draft.attributes, draft.dossier.emails)
    after_that = f" Next would be {rule.next}." if rule is not None and rule.next is not None else ""
    body = f"{name} has been {stage} with {draft.called(owner)} since {since:%Y-%m-%d}.{after_that}"
    step = f"t{_STAGES.index(stage)}.{len(told) + 1}"
    alert(draft, step, manager_of(owner, draft.policy), f"Stuck: {name}", body)
    answers_for = rule.owner if rule is not None else ""
    draft.event("stuck", f"It has been {stage} for too long.", stage=str(stage), owner=owner, answers_for=answers_for)


def _mark(draft: Draft, step: int) -> None:
    handoff = draft.handoffs[-1]
    done = StepDone(len(handoff.assignments), step, draft.now)
    draft.put(replace(handoff, steps_done=(*handoff.steps_done, done)))
