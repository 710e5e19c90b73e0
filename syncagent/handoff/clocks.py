"""What starts, ends and pauses a handoff's clocks: delivery, stages and the statuses on which they stand still."""

from datetime import datetime

from msgspec.structs import replace

from syncagent.handoff import stages
from syncagent.handoff.draft import Draft
from syncagent.handoff.sla import DROPPED
from syncagent.model import Absence, Clock, FieldChange, Handoff, Hold


def note_holds(draft: Draft) -> None:
    """Keep when the status was one on which a clock pauses: as the CRM's history tells it, else as we saw it change.

    Kept in the handoff, for the history of a record that was converted or merged is no longer this one's.
    """
    handoff, view = draft.handoffs[-1], draft.view
    terms = [one for one in (handoff.sla, *(clock.sla for clock in handoff.clocks)) if one is not None]
    pausing = {status for sla in terms for status in sla.pause_on}
    if not pausing or view is None:
        return
    told = [one for one in view.changes if one.field == "status"]
    status = draft.current.get("status")
    holds = _from_history(told, pausing)
    first = told[0].at if told else None
    kept = [one for one in handoff.holds if first is None or one.since < first]
    if kept and kept[-1].until is None and first is not None:
        kept[-1] = replace(kept[-1], until=first)
    holds = kept + holds
    open_ = holds[-1] if holds and holds[-1].until is None else None
    if open_ is not None and open_.status != status:
        holds[-1] = replace(open_, until=max(open_.since, _changed_at(draft)))
    if status in pausing and (open_ is None or open_.status != status):
        holds.append(Hold(str(status), _changed_at(draft)))
    holds = [one for one in holds if one.until is None or one.until > handoff.opened_at]
    if tuple(holds) != handoff.holds:
        draft.put(replace(handoff, holds=tuple(holds)))


def note_absences(draft: Draft) -> None:
    """Keep when the owner is away by what they say in the CRM, which they will take back or write over.

    What is taken back before it began has never been; what is taken back while it lasts is over now.
    """
    handoff = draft.handoffs[-1]
    owner, told = handoff.assignments[-1].owner, draft.loads.absent(handoff.assignments[-1].owner)
    known = handoff.absences
    if told is None and not known:
        return
    kept: list[Absence] = []
    for one in known:
        if one.owner != owner or one.until <= draft.now:
            kept.append(one)
        elif told is None or one.since != told[0]:
            kept += [replace(one, until=draft.now)] if one.since < draft.now else []
    if told is not None and told[1] > handoff.opened_at:
        now_told = Absence(owner, *told)
        kept = [one for one in kept if one.owner != owner or one.since != told[0]] + [now_told]
    if tuple(kept) != known:
        draft.put(replace(handoff, absences=tuple(kept)))


def _from_history(told: list[FieldChange], pausing: set[str]) -> list[Hold]:
    holds: list[Hold] = []
    for change in told:
        if holds and holds[-1].until is None and change.new != holds[-1].status:
            holds[-1] = replace(holds[-1], until=change.at)
        if change.new in pausing and not (holds and holds[-1].until is None):
            holds.append(Hold(str(change.new), change.at))
    return holds


def _changed_at(draft: Draft) -> datetime:
    """When the record's last change was made, by the CRM's stamp: its status is newer than its history."""
    return draft.view.record.modified_at if draft.view is not None else draft.now


def promise_anew(draft: Draft) -> None:
    """Whoever takes up again what was given back has the whole time for a conversation: none was owed meanwhile."""
    handoff = draft.handoffs[-1]
    clocks = tuple(
        replace(one, started_at=draft.now, visit=one.visit + 1)
        if one.sla.of == "first conversation" and one.started_at is not None and one.ended_at is None
        else one
        for one in handoff.clocks
    )
    draft.put(replace(handoff, clocks=clocks))


def turn_clocks(draft: Draft) -> None:
    """Start the clocks whose time has come, once the lead is delivered, and end those of a stage that is over."""
    handoff = draft.handoffs[-1]
    if handoff.delivered_at is None and handoff.clock_started_at is not None:  # decided by an earlier version
        handoff = replace(handoff, delivered_at=handoff.clock_started_at)
        draft.put(handoff)
    if handoff.delivered_at is None or not handoff.clocks:
        return
    clocks = tuple(_turned(draft, handoff, clock, handoff.delivered_at) for clock in handoff.clocks)
    if clocks != handoff.clocks:
        draft.put(replace(handoff, clocks=clocks))


def _turned(draft: Draft, handoff: Handoff, clock: Clock, delivered_at: datetime) -> Clock:
    if clock.how == DROPPED:
        return clock
    if clock.sla.of != "stage":
        return clock if clock.started_at is not None else replace(clock, started_at=delivered_at, visit=1)
    begun, ended = clock.started_at, clock.ended_at
    if draft.stage_now() != clock.sla.stage:
        return clock if begun is None or ended is not None else replace(clock, ended_at=draft.now, how="left the stage")
    entered = _entered(draft, clock.sla.stage, max(delivered_at, handoff.opened_at))
    if begun is not None and ended is None and (entered is None or entered <= begun):
        return clock
    return replace(clock, started_at=entered or draft.now, ended_at=None, how="", visit=clock.visit + 1)


def _entered(draft: Draft, stage: str, earliest: datetime) -> datetime | None:
    """When the status came to mean this stage, by the CRM's history; None: it does not say."""
    entered: datetime | None = None
    for change in draft.view.changes if draft.view is not None else ():
        if change.field == "status":
            here = stages.meaning(change.new, draft.policy.crm) == stage
            entered = (entered or change.at) if here else None
    return max(entered, earliest) if entered is not None else None
