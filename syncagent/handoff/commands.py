"""What the CRM and marketing are told: made from how things stand, so that asking twice tells nothing twice.

*Once* commands are left out when their key is in the outbox, whatever became of it: a task that a rep deleted stays
deleted. The row of a record is sent only when what is wanted differs from what was told.
"""

from datetime import datetime, timedelta

from msgspec.structs import replace

from syncagent.handoff.alerting import beside, remind_at
from syncagent.handoff.brief import brief, subject
from syncagent.handoff.conditions import is_known
from syncagent.handoff.draft import Draft
from syncagent.handoff.fresh import FRESH, insight, over
from syncagent.handoff.sla import promised_at, step_of
from syncagent.handoff.view import WATCHED
from syncagent.model import (
    Alert,
    CloseTask,
    CreateTask,
    Desired,
    Handoff,
    HandoffState,
    Identity,
    Key,
    Lane,
    Notify,
    OutboxEntry,
    Value,
    WriteLead,
)
from syncagent.model.address import read_address

_NEW_RECORD = ("first_name", "last_name", "company", "title", "phone", "country", "website", "industry")
UNSENT = frozenset(("queued", "parked", "conflict"))
_SEEN_AFTER = timedelta(minutes=1)
"""So much later than a conflict must the CRM have been read to show whether it still stands: its clock is not ours."""
_ROUNDS = 2
"""So often a write that met a moved record, of which nothing is seen, is told again before it counts as contested."""


def leave_what_stands(draft: Draft) -> None:
    """Withdraw a write that has not gone through once the CRM shows the whole row: somebody has set it by hand."""
    entry = draft.write_entry
    if entry is None or entry.state not in UNSENT or not _stands(draft):
        return
    if entry.state != "queued" or _answered(draft):
        draft.withdraw_keys((entry.key,))


def write_row(draft: Draft) -> None:
    """Send the difference between the wanted row and the told one; adopt what people have set."""
    again = _after_conflict(draft)
    desired, view = draft.desired, draft.view
    diff = {
        name: value
        for name, value in draft.want.items()
        if name not in draft.contested and (name not in draft.told or draft.told[name] != value)
    }
    pending = draft.write_pending
    if not diff and not again and not (pending and _answered(draft)):
        if desired is not None and desired.values != draft.told:
            draft.desired = replace(desired, values=dict(draft.told))
        return
    values = {**draft.want} if pending else diff
    values = {
        name: value
        for name, value in values.items()
        if name not in draft.contested
        and not (name in WATCHED and name not in diff and draft.current.get(name) == value)
    }
    record = view.record.identity if view is not None else None
    if desired is not None and desired.record is None and pending:
        record = None
    revision, rounds = (desired.revision, desired.rounds if pending else 0) if desired is not None else (0, 0)
    if not values:
        draft.desired = Desired(record, dict(draft.want), revision)
        return
    expects: dict[str, Value] = {}
    if record is not None and ("status" in values or "owner" in values):
        expects = {name: draft.current[name] for name in ("status", "owner") if name in draft.current}
    shown = {name: draft.current[name] for name in ("recycle_until",) if name in values and name in draft.current}
    draft.desired = Desired(record, dict(draft.want), revision + 1, {**expects, **shown}, rounds)
    handoff = draft.handoff
    cold = handoff is None or not draft.is_open or FRESH.issuperset(values)
    draft.commands.insert(
        0,
        WriteLead(
            key=draft.write_key,
            target=draft.policy.crm.system,
            person=draft.dossier.person,
            handoff=handoff.id if handoff is not None else "",
            lane=Lane.COLD if cold else Lane.HOT,
            record=record,
            values=values,
            revision=revision + 1,
            expects=expects,
            over={"insight": over(draft)} if "insight" in values else {},
            emails=draft.dossier.emails,
            create=_new_record(draft) if record is None else None,
        ),
    )


def _answered(draft: Draft) -> bool:
    """Whether people have set owner or status otherwise than we last told."""
    desired = draft.desired
    return desired is not None and any(draft.told.get(name) != desired.values.get(name) for name in ("owner", "status"))


def _after_conflict(draft: Draft) -> bool:
    """Whether a write that met a moved record is told again: the CRM shows what has moved, or that nothing has.

    The latter, read after the conflict, means that somebody's change went back before we saw it. After two such rounds
    what we do not get written is contested (law 5): the rest of the row goes on without it.
    """
    entry, desired = draft.write_entry, draft.desired
    if entry is None or desired is None or entry.state != "conflict":
        return False
    if _moved(draft):
        return True
    if desired.refused_at is None:
        desired = draft.desired = replace(desired, refused_at=draft.now)
    seen = (desired.refused_at or draft.now) + _SEEN_AFTER
    if desired.rounds > _ROUNDS or draft.now < seen:
        draft.wake(seen if desired.rounds <= _ROUNDS else None)
        return False
    if not draft.crm_has_seen(seen):
        return False
    draft.desired = replace(desired, rounds=desired.rounds + 1)
    if desired.rounds == _ROUNDS:
        for name in ("owner", "status"):
            if name in draft.want and name not in draft.contested and draft.want[name] != draft.current.get(name):
                draft.contested = tuple(sorted({*draft.contested, name}))
                draft.adopt(name, draft.current.get(name))
                why = f"{name} keeps changing while we write, and going back: no longer written."
                draft.event("contested", why, field=name)
    return True


def _stands(draft: Draft) -> bool:
    """Whether the CRM shows the whole wanted row."""
    if draft.view is None:
        return False
    shown = {**draft.view.record.fields, **draft.current}
    return all(
        name in draft.contested or name == "insight" or (name in shown and shown[name] == value)
        for name, value in draft.want.items()
    )


def _moved(draft: Draft) -> bool:
    """Whether the CRM shows something else than what the refused write expected."""
    desired = draft.desired
    return desired is not None and any(
        draft.current.get(name) != value for name, value in desired.expects.items() if name in draft.current
    )


def _new_record(draft: Draft) -> dict[str, Value]:
    known = draft.attributes
    names = (*_NEW_RECORD, *draft.policy.crm.fields)
    made = {name: known[name] for name in names if is_known(known.get(name)) and name not in draft.want}
    email = _address_of(draft)
    made["email"] = email
    if not is_known(made.get("last_name")):
        made["last_name"] = known.get("name") if is_known(known.get("name")) else email.partition("@")[0]
    made.setdefault("company", draft.policy.crm.default_company)
    return made


def _address_of(draft: Draft) -> str:
    """The address of a new record: the one that marketing heard last, else any."""
    known = {*draft.dossier.emails, *draft.dossier.shared}
    newest = sorted(draft.dossier.leads, key=lambda one: (one.seen_at, one.identity), reverse=True)
    told = [address for lead in newest for address in map(read_address, lead.emails) if address in known]
    return next(iter((*told, *draft.dossier.emails, *draft.dossier.shared)), "")


def give_task(draft: Draft) -> None:
    """The present owner's task, once: not for a queue, and not for what sales took up by itself."""
    handoff = draft.handoff
    if handoff is None or handoff.state is not HandoffState.WITH_SALES or not handoff.assignments:
        return
    last, number = handoff.assignments[-1], len(handoff.assignments)
    key = draft.key(handoff.id, f"a{number}", "task")
    entry = draft.entry(key)
    if last.queue or not last.owner or handoff.cause == "adopted from sales":
        return
    if entry is not None and not _lost_its_place(draft, entry):
        return
    if entry is None and handoff.touched_at is not None and number == 1:
        return
    due = promised_at(handoff, draft.policy, draft.now) or draft.now + timedelta(days=1)
    draft.commands.append(
        CreateTask(
            key=entry.key if entry is not None else key,
            target=draft.policy.crm.system,
            person=draft.dossier.person,
            handoff=handoff.id,
            depends_on=write_keys(draft),
            record=record_of(draft),
            owner=last.owner,
            subject=subject(draft),
            body=brief(draft),
            due=due,
            remind_at=remind_at(draft, last.owner, alert=False),
            priority="high",
        )
    )


def _lost_its_place(draft: Draft, task: OutboxEntry) -> bool:
    """Whether a task that certainly was not made hangs on a record, or waits for a write, that there is no more."""
    record = record_of(draft)
    if record is None:
        return False
    if task.state == "conflict":  # what it hung on had moved on when it was sent
        return not draft.write_pending
    if task.state != "queued":
        return False
    if task.hangs_on not in ("", record.id):
        return True
    write = draft.entry(task.waits_for) if task.waits_for not in write_keys(draft) else None
    return write is not None and write.state in (*UNSENT, "dropped")


def alert(draft: Draft, step: str, to: str, subject: str, body: str, *, alone: bool = False) -> bool:
    """A keyed reminder; False when it was told already, or nobody could see it. `alone`: waits for no write."""
    handoff = draft.handoffs[-1]
    key = draft.key(handoff.id, step, "alert")
    record = record_of(draft)
    if record is None or not to or not draft.active.get(to, True) or was_told(draft, key):
        return False
    draft.commands.append(
        Alert(
            key=key,
            target=draft.policy.crm.system,
            person=draft.dossier.person,
            handoff=handoff.id,
            depends_on=() if alone else write_keys(draft),
            record=record,
            to=to,
            subject=subject,
            body=body,
            remind_at=remind_at(draft, to, alert=True),
        )
    )
    return True


def was_told(draft: Draft, alert: Key) -> bool:
    """Whether it is in the outbox, or stands open in the CRM from a life that this state knows nothing of."""
    plain = alert.partition(":")[2]
    standing = (one.key.partition(":")[2] for one in draft.dossier.tasks if not one.closed and not one.deleted)
    return draft.entry(alert) is not None or plain in standing


def record_of(draft: Draft) -> Identity | None:
    """The record that tasks hang on; None when a write is about to make it."""
    return draft.view.record.identity if draft.view is not None else None


def write_keys(draft: Draft) -> tuple[Key, ...]:
    """The write that the next task must wait for, if there is one of ours."""
    if any(isinstance(one, WriteLead) for one in draft.commands):
        return tuple(one.key for one in draft.commands if isinstance(one, WriteLead))
    entry = draft.write_entry
    gone = entry is None or entry.state == "dropped" or entry.key in draft.withdraw
    return () if entry is None or gone else (entry.key,)


def push(draft: Draft) -> None:
    """Beside each new task and alert a notification for its owner, where the CRM has them; at most once.

    Beside alerts also mail and chat, where the policy sends them there.
    """
    told = [one for one in draft.commands if isinstance(one, CreateTask | Alert)]
    if draft.policy.alerts.sinks:
        alerts = [one for one in told if isinstance(one, Alert)]
        draft.commands += [notice for one in alerts for notice in beside(one, draft.policy, draft.now)]
    for one in told if draft.policy.crm.notify else ():
        to = one.owner if isinstance(one, CreateTask) else one.to
        draft.commands.append(
            Notify(
                key=f"{one.key}:push",
                target=one.target,
                person=one.person,
                handoff=one.handoff,
                depends_on=(*one.depends_on, one.key),
                record=one.record,
                to=(to,),
                title=one.subject,
                body=one.body.partition("\n")[0],
                not_before=one.remind_at if one.remind_at is not None and one.remind_at > draft.now else None,
            )
        )


def tidy(draft: Draft) -> None:
    """Withdraw what is unsent and no longer makes sense; close tasks that are no longer anybody's."""
    handoffs = {one.id: one for one in draft.handoffs}
    current = draft.handoffs[-1].id if draft.handoffs else ""
    if draft.desired is not None and draft.desired.record is not None:  # its record was converted or merged
        writes = [one for one in draft.dossier.outbox if one.verb == "WriteLead" and one.state in UNSENT]
        draft.withdraw_keys(one.key for one in writes if one.key != draft.write_key)
    draft.withdraw_keys(one.key for one in draft.creations() if one.key != draft.write_key)
    given = [one for one in draft.dossier.outbox if one.verb in ("CreateTask", "Alert")]
    for entry in sorted(given, key=lambda one: one.key):
        _, hid, step, verb = [*entry.key.split(":"), "", "", ""][:4]
        if entry.state == "dropped":
            draft.withdraw_keys(queued_behind(draft, entry))
            continue
        handoff = handoffs.get(hid)
        if handoff is None or not verb:
            continue
        reason = _stale(draft, handoff, step, entry.verb, is_current=hid == current)
        if not reason:
            continue
        if entry.state in UNSENT:
            draft.withdraw_keys((entry.key, *queued_behind(draft, entry)))
        elif entry.state in ("done", "sending"):
            draft.withdraw_keys(_waiting_beside(draft, entry))
            close(draft, entry, hid, step, reason)


def queued_behind(draft: Draft, task: OutboxEntry) -> list[Key]:
    """The push beside a task and its closing, while they wait for it."""
    behind = (draft.entry(f"{task.key}:push"), draft.entry(f"{task.key.rpartition(':')[0]}:close"))
    return [one.key for one in behind if one is not None and one.state == "queued"] + _waiting_beside(draft, task)


def _waiting_beside(draft: Draft, alert: OutboxEntry) -> list[Key]:
    """What mail and chat would have been told later of an alert that has lost its sense."""
    beside = (draft.entry(f"{alert.key}:{sink}") for sink in draft.policy.alerts.sinks)
    return [one.key for one in beside if one is not None and one.state == "queued"]


def _stale(draft: Draft, handoff: Handoff, step: str, verb: str, *, is_current: bool) -> str:
    """Why a task has lost its sense; empty when it has not."""
    if handoff.state is HandoffState.RETURNING and handoff.outcome == "on hold" and is_current:
        return ""  # the rep keeps lead and task
    if handoff.state is not HandoffState.WITH_SALES:
        return f"Closed: {handoff.outcome or handoff.state}." + (
            f" {handoff.recycle_reason}" if handoff.recycle_reason else ""
        )
    number = step.lstrip("asup").partition(".")[0]
    if not number.isdigit() or int(number) >= len(handoff.assignments):
        return ""
    if verb == "Alert" and not _is_reminder(handoff, step):
        return ""
    newer = handoff.assignments[int(number)]
    return f"Passed on to {draft.called(newer.owner)}: {newer.after or newer.why}"


def _is_reminder(handoff: Handoff, key: str) -> bool:
    step = step_of(handoff, key)
    return step is not None and step.do == "remind"


def close(draft: Draft, entry: OutboxEntry, hid: str, step: str, reason: str) -> None:
    """Close a task or an alert of ours, once, unless it is closed or gone already."""
    key = draft.key(hid, step, "close")
    if draft.entry(key) is not None or (entry.receipt is not None and entry.receipt.gone):
        return
    plain = entry.key.partition(":")[2]
    for task in draft.dossier.tasks:
        if task.key.partition(":")[2] == plain and (task.closed or task.deleted):
            return
    draft.commands.append(
        CloseTask(
            key=key,
            target=draft.policy.crm.system,
            person=draft.dossier.person,
            handoff=entry.handoff,
            depends_on=() if entry.state == "done" else (entry.key,),
            task=entry.key,
            reason=reason,
        )
    )


def opening_row(draft: Draft, handoff: Handoff, at: datetime) -> dict[str, Value]:
    """The row that a new handoff writes: only mapped fields, status and owner; never the owner of a contact."""
    crm = draft.policy.crm
    every: dict[str, Value] = {
        "stage_date": at.isoformat(),
        "score": round(draft.score.total),
        "grade": draft.score.grade,
        "recycle_until": None,
    }
    row = {name: value for name, value in every.items() if name in crm.fields}
    if "insight" in crm.fields and (news := insight(draft)):
        row["insight"] = news
    if row.get("recycle_until", "") is None and not is_known(draft.current.get("recycle_until")):
        del row["recycle_until"]
    status = crm.write_status.get("mql")
    if draft.contact:
        row.pop("recycle_until", None)
        if status and draft.view is not None and "status" in draft.view.record.fields:
            row["status"] = status
        return row
    if status:
        row["status"] = status
    row["owner"] = handoff.assignments[-1].owner
    return row
