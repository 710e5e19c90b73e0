"""Law 5, a human wins: what sales, automation and our own echoes have done to a person's record since we last looked.

An answer is a watched value that is neither what we told nor, while our write is under way, what we expected to find.
Who gave it: the last `FieldChange` to that value, else the record's last writer. Our own user changing a value away
from what we told is a flow that runs as us: automation; unless it gives back what our write had just run over.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from msgspec.structs import replace

from syncagent.handoff import stages
from syncagent.handoff.clocks import promise_anew
from syncagent.handoff.draft import Draft
from syncagent.handoff.recycling import moved_date, put_on_hold, recycle
from syncagent.handoff.taking_up import take_up
from syncagent.handoff.touches import CONVERTED, DEAL, Act, act, hear_tasks, is_person, take_back
from syncagent.handoff.view import is_contact
from syncagent.model import Assignment, Desired, FieldChange, Handoff, HandoffState, Stage, Value

_NOTHING = object()
_SOMEBODY = "somebody"
_LOST_WITHIN = timedelta(minutes=2)
"""A write that a repeat has found done had read the record at most so long before its effect."""


class _Actor(NamedTuple):
    by: str
    at: datetime
    person: bool
    evidence: str = ""

    def did(self, how: str) -> Act:
        return Act(self.by, self.at, how, self.evidence)


def hear(draft: Draft) -> None:
    """Read every answer that the CRM shows into the draft."""
    if draft.view is None:
        _hear_nothing(draft)
        return
    _follow_record(draft)
    if not draft.handoffs:
        _first_sight(draft)
        return
    _mend_gap(draft)
    for field in ("owner", "status"):
        value = draft.current.get(field, _NOTHING)
        if value is _NOTHING or field not in draft.told or value == draft.told[field]:
            continue
        if draft.still_shows(field) or _by_whom_is_unread(draft, field):
            continue
        _answer(draft, field, draft.current[field], _actor(draft, field))
    if draft.with_sales:
        take_back(draft)
        hear_tasks(draft)
    _deals(draft)
    if draft.with_sales and draft.contact:
        _follow_holder(draft)
    setter = _actor(draft, "recycle_until")
    moved_date(draft, setter.by, person=setter.person)


def _by_whom_is_unread(draft: Draft, field: str) -> bool:
    """Whether only the receipt of our own write shows this value: who set it beside us, the next reading tells."""
    receipt, view, value = draft.receipt, draft.view, draft.current[field]
    if receipt is None or view is None or view.record.modified_at > receipt.at or receipt.values.get(field) != value:
        return False
    if any(one.field == field and one.new == value for one in view.changes):
        return False
    return not draft.crm_has_seen(receipt.at + timedelta(seconds=1))  # stamps are whole seconds


def _hear_nothing(draft: Draft) -> None:
    """The record that we wrote was deleted: people did that, so it is not made again for this handoff."""
    desired = draft.desired
    gone = {one.identity for one in draft.dossier.records if one.deleted}
    if desired is None or desired.record not in gone:
        return
    if draft.is_open:
        draft.close("deleted", "The record was deleted in the CRM.")
    entry = draft.write_entry
    if entry is not None and entry.state in ("queued", "parked", "conflict"):
        draft.withdraw_keys((entry.key,))
    draft.believe(Desired(None, {}, desired.revision))


def _follow_record(draft: Draft) -> None:
    """The row that we told belongs to a record that was created, converted or merged meanwhile."""
    desired, view = draft.desired, draft.view
    if desired is None or view is None or desired.record == view.record.identity:
        return
    if desired.record is None:
        take_up(draft)
        return
    old = next((one for one in draft.dossier.records if one.identity == desired.record and one.converted_to), None)
    draft.believe(Desired(view.record.identity, {}, desired.revision))
    handoff = draft.handoff
    if old is not None:
        if draft.with_sales and handoff is not None and handoff.outcome != "converted":
            done = Act(old.modified_by, old.modified_at, CONVERTED, f"{old.identity.object} {old.identity.id}")
            act(draft, done, outcome="converted", sure=True)
    elif draft.with_sales and handoff is not None and not is_contact(view.record):
        for field in ("owner", "status"):
            if field in draft.current:
                draft.told[field] = draft.want[field] = draft.current[field]
        draft.want["owner"] = handoff.assignments[-1].owner
        written = draft.policy.crm.write_status.get(Stage.MQL)
        if (
            written
            and handoff.touched_at is None
            and stages.is_untouched(draft.current.get("status"), draft.policy.crm)
        ):
            draft.want["status"] = written


def _first_sight(draft: Draft) -> None:
    """Nobody has been handed off yet: is sales at work on this record by itself?"""
    crm, status = draft.policy.crm, draft.current.get("status")
    said = stages.meaning(status, crm)
    if draft.contact or stages.is_untouched(status, crm) or said is Stage.MQL:
        if said is Stage.MQL and not draft.contact:
            _ready_by_hand(draft)
        if draft.adopted:
            draft.adopted = False
            draft.told.pop("status", None)
            draft.want.pop("status", None)
            draft.event(
                "reopened", f"The status is {status or 'empty'} again: marketing may hand it off.", status=status
            )
        return
    if said is Stage.RECYCLED:
        if draft.adopted and draft.told.get("status") != status:
            draft.adopted = False
            owner = str(draft.current.get("owner") or "")
            first = Assignment(owner, draft.now, "crm", "Sales worked it before the first handoff.", pinned=True)
            draft.handoffs.append(
                Handoff(
                    id=f"{draft.dossier.person}.1",
                    number=1,
                    opened_at=draft.now,
                    cause="adopted from sales",
                    score=draft.score.total,
                    grade=draft.score.grade,
                    assignments=(first,),
                    state=HandoffState.CLOSED,
                )
            )
            draft.adopt("status", status)
            recycle(draft, _actor(draft, "status").by)
        return
    if not draft.adopted:
        draft.event("adopted", f"Sales was at work on it (status {status}): not handed off.", status=status)
    draft.adopted = True
    if draft.desired is None and draft.view is not None:
        draft.believe(Desired(draft.view.record.identity, {}, 0))
    draft.adopt("status", status)
    if draft.desired is not None:
        draft.desired = replace(draft.desired, values=dict(draft.told))


def _ready_by_hand(draft: Draft) -> None:
    """Somebody has made a lead ready that was never handed off: since we are there, and by the CRM's own history."""
    view = draft.view
    changes = [one for one in view.changes if one.field == "status"] if view is not None else []
    last = changes[-1] if changes else None
    if last is None or last.new != draft.current.get("status") or last.at < draft.policy.live_from:
        return
    if is_person(draft, last.by):
        draft.set_ready_by = last.by or _SOMEBODY


def _mend_gap(draft: Draft) -> None:
    """A person's value that our write ran over between its read and its effect is put back."""
    receipt, view = draft.receipt, draft.view
    if receipt is None or view is None:
        return
    for field in ("owner", "status"):
        rows = [one for one in view.changes if one.field == field and one.at <= receipt.at]
        last = next((n for n in reversed(range(1, len(rows))) if rows[n].by == draft.policy.crm.me), 0)
        if not last or field not in receipt.before:
            continue
        theirs, ours = rows[last - 1], rows[last]
        if receipt.before[field] == receipt.values.get(field) and not (
            receipt.adopted and ours.at - theirs.at <= _LOST_WITHIN
        ):
            continue  # this write left the field alone: the row is an earlier write's, which had read their value
        ran_over = ours.new == receipt.values.get(field) and ours.old not in (receipt.before[field], ours.new)
        stands = draft.told.get(field) == ours.new == draft.current.get(field)
        if ran_over and stands and theirs.new == ours.old and is_person(draft, theirs.by):
            draft.event(
                "restored", f"{draft.called(theirs.by)} had set {field} in the moment we wrote: put back.", field=field
            )
            _answer(draft, field, ours.old, _Actor(theirs.by, theirs.at, person=True))
            draft.told[field] = ours.new


def _answer(draft: Draft, field: str, value: Value, actor: _Actor) -> None:
    handoff = draft.handoff
    if (
        not actor.person
        and handoff is not None
        and handoff.state is HandoffState.WITH_SALES
        and not (field == "status" and handoff.touched_at is not None)
    ):
        _overwritten(draft, field, value, actor)
        return
    draft.adopt(field, value)
    if handoff is None:
        return
    if field == "owner":
        if handoff.state is HandoffState.WITH_SALES and value and handoff.assignments[-1].owner != value:
            _new_owner(draft, str(value), actor, handoff)
    else:
        _new_status(draft, value, actor, handoff)


def _overwritten(draft: Draft, field: str, value: Value, actor: _Actor) -> None:
    """Automation has changed what we told: told again once, then left alone and shown."""
    if field in draft.contested:
        draft.adopt(field, value)
    elif field in draft.overwritten:
        draft.contested = tuple(sorted({*draft.contested, field}))
        draft.adopt(field, value)
        draft.event(
            "contested", f"Automation ({draft.called(actor.by)}) keeps setting {field}: no longer written.", field=field
        )
    else:
        draft.overwritten = tuple(sorted({*draft.overwritten, field}))
        draft.told[field] = value
        draft.event(
            "overwritten", f"Automation ({draft.called(actor.by)}) set {field} to {value}: written again.", field=field
        )


def _new_owner(draft: Draft, owner: str, actor: _Actor, handoff: Handoff) -> None:
    last = handoff.assignments[-1]
    queue = owner in draft.policy.queues.values()
    why = (
        "Taken from the queue." if last.queue and not queue else f"{draft.called(actor.by)} set this owner in the CRM."
    )
    taken = Assignment(owner, draft.now, "crm", why, queue=queue, pinned=not last.queue)
    draft.loads.give_back(last.owner)
    draft.loads.take(owner, counted=False)
    draft.put(replace(handoff, assignments=(*handoff.assignments, taken), clock_started_at=None))
    draft.event("assigned", why, owner=owner, by=actor.by, pinned=taken.pinned, before=last.owner)


def holder_of_contact(draft: Draft) -> tuple[str, str] | None:
    """Who has the task on a contact, and why: the owner of its open deal, else of its account, else its own."""
    view = draft.view
    if view is None:
        return None
    account = draft.dossier.account.owner if draft.dossier.account is not None else ""
    deals = sorted((deal.identity, deal.owner) for deal in view.opportunities if not deal.closed)
    owner = draft.current.get("owner") or view.record.fields.get("owner")
    found = [(deal[1], "owns the open deal") for deal in deals]
    found += [
        (str(view.record.fields.get("account_owner") or account), "owns the account"),
        (str(owner or ""), "owns the contact"),
    ]
    fit = (one for one in found if one[0] and draft.active.get(one[0], True) and one[0] != draft.policy.crm.me)
    return next(fit, None)


def _follow_holder(draft: Draft) -> None:
    """A contact's owner is never ours to set: the promise goes with whom the CRM names, until somebody has acted."""
    handoff, found = draft.handoffs[-1], holder_of_contact(draft)
    if found is None or handoff.touched_at is not None or found[0] == handoff.assignments[-1].owner:
        return
    holder, last = found[0], handoff.assignments[-1]
    why = f"{draft.called(holder)} {found[1]} now."
    taken = Assignment(holder, draft.now, "contact", why, pinned=True)
    draft.loads.give_back(last.owner)
    draft.loads.take(holder, counted=False)
    draft.put(replace(handoff, assignments=(*handoff.assignments, taken), clock_started_at=None))
    by = _actor(draft, "owner").by if found[1] == "owns the contact" else ""
    draft.event("assigned", why, owner=holder, by=by, pinned=True, before=last.owner)


def _new_status(draft: Draft, value: Value, actor: _Actor, handoff: Handoff) -> None:
    said = stages.meaning(value, draft.policy.crm)
    if said in stages.ACCEPTED:
        if handoff.state is not HandoffState.WITH_SALES:
            _taken_up(draft, handoff)
        if actor.person:
            act(draft, actor.did(f"set the status to {value}"), outcome="accepted", status=str(value))
    elif said is Stage.RECYCLED:
        if handoff.state is not HandoffState.RETURNING:
            recycle(draft, actor.by)
    elif said is Stage.ON_HOLD:
        if handoff.state is HandoffState.WITH_SALES:
            put_on_hold(draft, actor.by)
    elif said in (Stage.DISQUALIFIED, Stage.WON, Stage.LOST, Stage.CUSTOMER):
        if handoff.state is not HandoffState.CLOSED:
            draft.close(str(said), f"{draft.called(actor.by)} set the status to {value}.")
    elif said is Stage.MQL:
        _made_ready(draft, actor, handoff)
    elif handoff.state is HandoffState.WITH_SALES and actor.person and _is_working(draft, value, said):
        act(draft, actor.did(f"set the status to {value}"), status=str(value))


def _made_ready(draft: Draft, actor: _Actor, handoff: Handoff) -> None:
    """A person says that a lead which is closed or returning is ready for sales again."""
    if handoff.state is not HandoffState.WITH_SALES and actor.person:
        draft.set_ready_by = actor.by or _SOMEBODY


def _is_working(draft: Draft, value: Value, said: Stage | None) -> bool:
    """A status that nobody has mapped, and that is not marketing's own: sales is at work."""
    return said is None and not stages.is_untouched(value, draft.policy.crm)


def _taken_up(draft: Draft, handoff: Handoff) -> None:
    draft.put(replace(handoff, state=HandoffState.WITH_SALES, outcome="", closed_at=None, come_back_at=None))
    if handoff.assignments:
        draft.loads.take(handoff.assignments[-1].owner, counted=False)
    if handoff.outcome != "on hold":  # whose rep has kept it, under the same promise
        promise_anew(draft)
    draft.event("assigned", "Sales has taken it up again.", owner=draft.current.get("owner"))


def _deals(draft: Draft) -> None:
    """Deals that were made or closed since the handoff reached the CRM (both by the CRM's stamps)."""
    handoff, view = draft.handoffs[-1], draft.view
    if view is None or not view.opportunities or handoff.state is HandoffState.CLOSED:
        return
    since = handed_over_at(draft, handoff)
    if since is None:
        return
    day = since.date().isoformat()
    ours = tuple(
        deal
        for deal in view.opportunities
        if deal.created_at >= since or (deal.closed and deal.modified_at >= since and deal.closed_on >= day)
    )
    told = stages.stage_of_deals(ours)
    if told is Stage.LOST and handoff.outcome == "lost":
        return  # it returns, by rule
    if told in (Stage.WON, Stage.LOST):
        amount = sum(deal.amount or 0 for deal in ours if deal.won)
        draft.close(str(told), "The deal was won." if told is Stage.WON else "The deal was lost.")
        draft.events[-1].data["amount"] = amount
    elif told is Stage.OPPORTUNITY and draft.with_sales and handoff.touched_at is None:
        first = min(ours, key=lambda deal: (deal.created_at, deal.identity))
        done = Act(first.owner, first.created_at, DEAL, f"{first.identity.object} {first.identity.id}")
        act(draft, done, outcome="accepted", sure=True)


def handed_over_at(draft: Draft, handoff: Handoff) -> datetime | None:
    """When the handoff first reached the CRM, by the CRM's stamp; a receipt of an earlier row says nothing of it."""
    stamps = [
        one.receipt.at
        for one in draft.dossier.outbox
        if one.handoff == handoff.id
        and one.receipt is not None
        and (one.verb != "WriteLead" or one.receipt.revision >= one.revision)
    ]
    return min(stamps, default=None)


def _actor(draft: Draft, field: str) -> _Actor:
    view = draft.view
    assert view is not None  # noqa: S101 - answers are read from a view
    record = view.record
    rows = [one for one in view.changes if one.field == field]
    for place, change in reversed([*enumerate(rows)]):
        if change.new == draft.current.get(field):
            if _is_put_back(draft, rows[: place + 1]):
                change = rows[place - 2]
            return _Actor(change.by, change.at, is_person(draft, change.by), f"{field} change {change.key}")
    seen = f"{record.identity.object} {record.identity.id} as read"
    return _Actor(record.modified_by, record.modified_at, is_person(draft, record.modified_by), seen)


def _is_put_back(draft: Draft, rows: Sequence[FieldChange]) -> bool:
    """Whether the last of these changes is ours and gives back what our write had just taken from a person."""
    if len(rows) < 3:
        return False
    theirs, ours, back = rows[-3:]
    return (
        ours.by == back.by == draft.policy.crm.me
        and theirs.new == ours.old == back.new
        and is_person(draft, theirs.by)
        and back.at - theirs.at <= _LOST_WITHIN
    )
