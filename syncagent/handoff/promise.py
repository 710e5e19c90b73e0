"""A handoff while it is with sales: is it delivered, is the promise kept, and what happens when it is not."""

from msgspec.structs import replace

from syncagent.handoff import routing, stages
from syncagent.handoff.calendar import after
from syncagent.handoff.clocks import note_absences, note_holds, turn_clocks
from syncagent.handoff.commands import alert
from syncagent.handoff.draft import Draft
from syncagent.handoff.owners import company_name
from syncagent.handoff.process import longest_stay, rule_of, stage_since
from syncagent.handoff.routing import Case, Later, manager_of, queue_for, waits_for
from syncagent.handoff.sla import STUCK, UNDELIVERED, Due, elapsed, is_short, key_of, pending_steps, running
from syncagent.handoff.who import name_of
from syncagent.model import Assignment, SlaStep, Stage, StepDone, Value
from syncagent.policy import Duration

_STAGES = list(Stage)


def keep(draft: Draft) -> None:
    """Start the clocks, watch delivery, fire the step that is due, and set the next moment to look."""
    if not draft.is_open or not draft.handoffs[-1].assignments:
        return
    note_holds(draft)
    note_absences(draft)
    if not draft.with_sales:
        return
    if draft.handoffs[-1].clock_started_at is None and not _start_clock(draft):
        _leave_inactive(draft)
        _watch_delivery(draft)
    turn_clocks(draft)
    _fire(draft)
    if draft.handoffs[-1].touched_at is None:
        _leave_queue(draft)
    if draft.handoffs[-1].clock_started_at is None and _start_clock(draft):  # who has it now had it already
        turn_clocks(draft)
        for due in pending_steps(draft.handoffs[-1], draft.policy)[:1]:
            draft.wake(due.at)
    _watch_stage(draft)


def _case(draft: Draft, exclude: frozenset[str]) -> Case:
    """The handoff as routing sees it; owners who come before any rule are named at the opening only."""
    handoff = draft.handoffs[-1]
    return Case(
        draft.attributes,
        draft.now,
        route=handoff.assignments[0].route,
        exclude=exclude,
        company=company_name(draft),
        short=is_short((handoff.sla,), draft.policy),
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
    draft.put(replace(handoff, clock_started_at=draft.now, delivered_at=handoff.delivered_at or draft.now))
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
        body = f"The CRM did not take it: {why.rstrip('.') or entry.state}. See `syncagent outbox list`."
        alert(draft, f"u{number}", manager_of(last.owner, draft.policy), f"Not handed over: {name}", body, alone=True)


def _fire(draft: Draft) -> None:
    """Of each clock's steps that are due the last one fires; those that it overtook are noted without a sound.

    Of several clocks at once the weightiest goes first: a lead changes hands once, and nobody is told twice.
    """
    waiting = pending_steps(draft.handoffs[-1], draft.policy)
    due = [one for one in waiting if one.at <= draft.now]
    if due and draft.crm_has_seen(due[-1].at):
        tops = {one.clock.number: one for one in due}
        overtaken = [one for one in due if one is not tops[one.clock.number]]
        for one in due:
            _mark_step(draft, one)
        reached = _Reached(draft)
        for one in sorted(tops.values(), key=lambda one: (-_WEIGHT[one.step.do], one.clock.number)):
            if reached.leaves_out(one):
                overtaken.append(one)
            else:
                _do(draft, one, reached)
        if overtaken and reached.events < len(draft.events):
            draft.events[reached.events].data["overtook"] = ", ".join(_told(one) for one in overtaken)
        waiting = pending_steps(draft.handoffs[-1], draft.policy)
    if waiting and waiting[0].at > draft.now:
        draft.wake(waiting[0].at)
    elif len(waiting) > len(due):
        draft.wake(waiting[len(due)].at)


_WEIGHT = {"remind": 0, "alert": 1, "escalate": 2, "reassign": 3, "queue": 4}


class _Reached:
    """What one round of steps has done so far: whom it told, and whether the lead changed hands."""

    def __init__(self, draft: Draft) -> None:
        self.told: set[str] = set()
        self.moved = False
        self.events = len(draft.events)
        self._draft = draft

    def leaves_out(self, due: Due) -> bool:
        """Whether a step adds nothing to what was done: a second owner, somebody who knows, a rep who has lost it."""
        if due.step.do in ("reassign", "queue"):
            return self.moved
        if due.step.do == "remind":
            return self.moved or bool(self.told)
        return _manager(self._draft, due.step) in self.told


def _told(due: Due) -> str:
    return f"{due.step.do} at {due.step.at:.0%} of the {due.clock.sla.promised}"


def _steps_of(draft: Draft, due: Due) -> tuple[StepDone, ...]:
    """The steps of this promise that have fired."""
    handoff = draft.handoffs[-1]
    return handoff.clocks[due.clock.number - 1].steps_done if due.clock.number else handoff.steps_done


def _mark_step(draft: Draft, due: Due, told: str = "") -> None:
    """The step has fired, and told somebody that the promise is broken."""
    handoff, done = draft.handoffs[-1], StepDone(due.clock.visit, due.place, draft.now, told)
    others = (one for one in _steps_of(draft, due) if (one.assignment, one.step) != (done.assignment, done.step))
    steps = (*others, done)
    if not due.clock.number:
        draft.put(replace(handoff, steps_done=steps))
        return
    clocks = list(handoff.clocks)
    clocks[due.clock.number - 1] = replace(clocks[due.clock.number - 1], steps_done=steps)
    draft.put(replace(handoff, clocks=tuple(clocks)))


def _do(draft: Draft, due: Due, reached: _Reached) -> None:
    handoff, step, sla = draft.handoffs[-1], due.step, due.clock.sla
    last, missed = handoff.assignments[-1], _missed(due)
    if step.do == "remind":
        if last.queue:
            return
        figures: dict[str, Value] = {"owner": last.owner, "step": step.at, "minutes": _minutes(draft, due)}
        name = name_of(draft.attributes, draft.dossier.emails)
        body = f"Promised: {sla.promised} within the SLA {sla.name}. {handoff.cause}."
        reached.told.add(last.owner)
        alert(draft, key_of(handoff, due), last.owner, f"Still waiting for you: {name}", body)
        called = draft.called(last.owner)
        of = "promised time" if sla.of == "first touch" else f"time promised for the {sla.promised}"
        draft.event("reminded", f"{called} was reminded at {step.at:.0%} of the {of}.", **figures, promise=sla.name)
    elif step.do in ("escalate", "alert"):
        _escalate(draft, due, missed, reached)
    elif last.pinned:
        _escalate(draft, due, f"{missed}, and a person chose the owner", reached)
    else:
        _pass_on(draft, due, reached)


def _missed(due: Due) -> str:
    """What has not happened, in words that follow a name."""
    if due.clock.sla.of == "first touch":
        return "not touched in the promised time"
    if due.clock.sla.of == "first conversation":
        return "no conversation in the promised time"
    return f"still {due.clock.sla.stage} after the promised time"


def _minutes(draft: Draft, due: Due | None = None) -> float:
    """Minutes on the clock of the step, else on the one that started first."""
    handoff = draft.handoffs[-1]
    clock = due.clock if due is not None else next(running(handoff), None)
    return elapsed(handoff, clock, draft.now, draft.policy) if clock is not None else 0.0


def _manager(draft: Draft, step: SlaStep) -> str:
    """Whom an alert or an escalation reaches: who is named, else the owner's manager; escalations go one level up."""
    owner = draft.handoffs[-1].assignments[-1].owner
    manager = manager_of(owner, draft.policy)
    if step.do in ("alert", "escalate") and step.to not in ("", "manager"):
        return step.to if draft.active.get(step.to, True) else manager
    above = manager_of(manager, draft.policy) if step.do == "escalate" and _was_alerted(draft) else ""
    return above or manager


def _was_alerted(draft: Draft) -> bool:
    """Whether the terms tell the manager first, so that an escalation goes to theirs."""
    handoff = draft.handoffs[-1]
    terms = [one for one in (handoff.sla, *(clock.sla for clock in handoff.clocks)) if one is not None]
    return any(step.do == "alert" for sla in terms for step in sla.steps)


def _escalate(draft: Draft, due: Due, why: str, reached: _Reached) -> None:
    handoff = draft.handoffs[-1]
    owner = handoff.assignments[-1].owner
    manager = _manager(draft, due.step)
    if manager in reached.told:
        return
    if _knows(draft, due, manager):
        draft.event("known", f"{draft.called(manager)} was told already: {why}.", owner=owner, to=manager)
        return
    minutes = _minutes(draft, due)
    name = name_of(draft.attributes, draft.dossier.emails)
    body = f"{name} is with {draft.called(owner)}: {why} ({minutes:g} minutes). {handoff.cause}."
    told = alert(draft, key_of(handoff, due), manager, f"Promise broken: {name}", body)
    reached.told.add(manager)
    if told and due.step.at >= 1:
        _mark_step(draft, due, manager)
    draft.event(
        "escalated",
        f"{draft.called(manager) if told else 'Nobody'} was told: {why}.",
        owner=owner,
        to=manager if told else "",
        minutes=minutes,
        promise=due.clock.sla.name,
    )


def _knows(draft: Draft, due: Due, who: str) -> bool:
    """Whether a step of this promise has told them that this owner broke it: one alert a matter."""
    since = draft.handoffs[-1].assignments[-1].at
    return any(
        one.told == who and one.assignment == due.clock.visit and one.at >= since for one in _steps_of(draft, due)
    )


def _pass_on(draft: Draft, due: Due, reached: _Reached) -> None:
    handoff, step, missed = draft.handoffs[-1], due.step, _missed(due)
    if kept := _keeps_owner(draft):
        _escalate(draft, due, f"{missed}, and {kept}", reached)
        return
    last = handoff.assignments[-1]
    holders = frozenset(one.owner for one in handoff.assignments)
    case = _case(draft, holders)
    if step.do == "queue":
        target = draft.policy.queues.get(step.to, step.to)
        why = f"{missed[0].upper()}{missed[1:]}."
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
        _escalate(draft, due, f"{missed}, and nobody else can take it", reached)
        return
    minutes = _minutes(draft, due)
    reached.moved = True
    why = f"With {draft.called(last.owner)}: {missed} ({minutes:g} minutes)."
    _move(draft, chosen, why, minutes)


def _move(draft: Draft, chosen: Assignment, why: str, minutes: float) -> None:
    """Pass the lead on; `why` it leaves its owner stays with the new assignment."""
    handoff = draft.handoffs[-1]
    last = handoff.assignments[-1]
    draft.loads.give_back(last.owner)
    passed = replace(chosen, after=why)
    draft.put(replace(handoff, assignments=(*handoff.assignments, passed), clock_started_at=None))
    draft.want["owner"] = chosen.owner
    draft.cause, draft.owner = "reassign", "" if chosen.queue else chosen.owner
    told = f"{why} {chosen.why}"
    draft.event("reassigned", told, before=last.owner, owner=chosen.owner, route=chosen.route, minutes=minutes)


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
        draft.wake(chosen.until if isinstance(chosen, Later) else None)
        # A daily cap or an absence ends with the day, and nobody else would say so.
        draft.wake(after(draft.now, Duration(days=1), draft.policy.timezone))
        return
    _move(draft, chosen, "Somebody can take it now.", _minutes(draft))


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
        _move(draft, chosen, f"{draft.called(last.owner)} is no longer active in the CRM.", _minutes(draft))


def _watch_stage(draft: Draft) -> None:
    """Law 6: a lead that stays in its stage for too long is told, and again after every such period."""
    handoff = draft.handoffs[-1]
    stage = draft.stage_now()
    rule = rule_of(stage, draft.policy)
    longest = longest_stay(stage, draft.policy)
    code = STUCK - _STAGES.index(stage)
    told = [one.at for one in handoff.steps_done if one.step == code]
    since = stage_since(draft, stage)
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
    told_of = rule.tell if rule is not None and rule.tell else manager_of(owner, draft.policy)
    alert(draft, step, told_of, f"Stuck: {name}", body)
    answers_for = rule.owner if rule is not None else ""
    draft.event("stuck", f"It has been {stage} for too long.", stage=str(stage), owner=owner, answers_for=answers_for)


def _mark(draft: Draft, step: int) -> None:
    handoff = draft.handoffs[-1]
    done = StepDone(len(handoff.assignments), step, draft.now)
    draft.put(replace(handoff, steps_done=(*handoff.steps_done, done)))
