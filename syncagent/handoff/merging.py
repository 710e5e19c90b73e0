"""Persons that turned out to be one: their decisions are folded into one, and at most one handoff stays open."""

from datetime import datetime

from msgspec.structs import replace

from syncagent.handoff.deals import keep_noticed
from syncagent.handoff.draft import Draft
from syncagent.model import Decision, Handoff, HandoffState


def fold_absorbed(draft: Draft) -> None:
    """Fold the decisions of merged persons in.

    Handoffs keep their ids; later numbers go on above the highest. Of several open ones stays the one that a person
    has touched, else the older; with sales goes before returning. The others are withdrawn.
    """
    absorbed = draft.dossier.absorbed
    everyone = [draft.before, *absorbed]
    known = {one.id: one for one in draft.handoffs}
    for decision in absorbed:
        for handoff in decision.handoffs:
            known.setdefault(handoff.id, handoff)
    kept = min((one for one in known.values() if one.state is not HandoffState.CLOSED), key=_claim, default=None)
    folded: list[Handoff] = []
    for handoff in sorted(known.values(), key=lambda one: (one.opened_at, one.id)):
        if kept is not None and handoff.state is not HandoffState.CLOSED and handoff.id != kept.id:
            folded.append(_withdrawn(draft, handoff, kept))
        elif handoff is not kept:
            folded.append(handoff)
    draft.handoffs = [*folded, kept] if kept is not None else folded
    owner = _owner_of(everyone, draft.handoff)
    if owner is not None and owner.desired is not None:
        draft.believe(owner.desired)
    if draft.desired is not None:
        highest = max(one.desired.revision for one in everyone if one.desired is not None)
        draft.desired = replace(draft.desired, revision=max(highest, draft.desired.revision))
    draft.adopted = not draft.handoffs and any(one.adopted for one in everyone)
    row = owner or draft.before
    draft.contested, draft.overwritten = row.contested, row.overwritten
    written = [one.score_written_at for one in everyone if one.score_written_at is not None]
    draft.score_written_at = max(written, default=None)
    keep_noticed(draft)
    draft.look()
    _tell_doubles(draft)


def _claim(handoff: Handoff) -> tuple[bool, bool, datetime, str]:
    """The smallest claim stays: with sales, touched, older."""
    return handoff.state is not HandoffState.WITH_SALES, handoff.touched_at is None, handoff.opened_at, handoff.id


def _withdrawn(draft: Draft, handoff: Handoff, kept: Handoff) -> Handoff:
    if handoff.state is HandoffState.WITH_SALES and handoff.assignments:
        draft.loads.give_back(handoff.assignments[-1].owner)
        draft.loads.undo(handoff.assignments[-1])
    closed = replace(handoff, state=HandoffState.CLOSED, outcome="withdrawn", closed_at=draft.now, come_back_at=None)
    draft.event(
        "withdrawn", f"Handoff {handoff.id} ends: the person is the one of handoff {kept.id}.", ended=handoff.id
    )
    return closed


def _tell_doubles(draft: Draft) -> None:
    """What was made before anybody could know is for a person to merge: nothing of ours deletes what sales may use."""
    if draft.view is not None and draft.view.others:
        record = draft.view.record.identity
        others = ", ".join(f"{one.object} {one.id}" for one in draft.view.others)
        why = (
            f"The CRM has more than one record of this person: {record.object} {record.id} is written. Merge {others}."
        )
        draft.event("doubled", why, record=record.id, others=others)


def _owner_of(everyone: list[Decision], current: Handoff | None) -> Decision | None:
    """The decision whose row counts: the current handoff's, else the first that has one."""
    if current is not None:
        for decision in everyone:
            if any(one.id == current.id for one in decision.handoffs):
                return decision
    return next((one for one in everyone if one.desired is not None), None)
