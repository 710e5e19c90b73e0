"""What keeps a promise: a real touch by the owner, a conversation; and what only looks like one.

A touch is a task completed, a call or mail logged, a meeting booked, a status moved, a lead converted, a deal opened.
It is none when automation or somebody whom the terms name did it, when it was not the owner (unless anyone's counts),
when the status is one on which the clock only pauses, or when the same user changed many records within that second.
All of it is kept in the handoff with its evidence, counted or not, and judged once: what was forgotten since of who
changed what together changes no verdict. Only a crowd that shows itself later takes a touch back.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from msgspec.structs import replace

from syncagent.handoff.conditions import as_glob
from syncagent.handoff.draft import Draft
from syncagent.handoff.sla import DROPPED, elapsed, running
from syncagent.handoff.stages import meaning
from syncagent.model import CrmTask, Handoff, OutboxEntry, Sla, Stage, Touch, Value

_TOUCHING = ("Call", "Email", "Meeting")
_AUTOMATION = "automation"
"""How a CRM names who did it when it was no person, and it has no user for it (HubSpot's workflows and other apps)."""
_TOGETHER = timedelta(seconds=1)
_KEPT = 20  # acts that did not count; more tell nothing new
_DEFAULT = Sla("")
_FIRST, _TALK = "first touch", "first conversation"
CONVERTED, DEAL = "converted the lead", "opened a deal"


class Act(NamedTuple):
    """Something that somebody did: who, when by the CRM's stamp, in words that follow a name, and where it stands."""

    by: str
    at: datetime
    how: str
    evidence: str


def act(draft: Draft, done: Act, *, outcome: str = "", status: str = "", sure: bool = False) -> None:
    """Take an act for the promises that it keeps; `sure`: whoever did it, it is one (a conversion, a deal)."""
    handoff = draft.handoffs[-1]
    if not handoff.assignments:
        return
    if outcome:
        draft.put(replace(handoff, outcome=outcome))
    terms = handoff.sla or _DEFAULT
    if status and status in terms.pause_on:
        return
    talk = _talk_terms(handoff)
    talked = talk is not None and ((sure and done.how == CONVERTED) or status in talk.statuses)
    _judge(draft, done, "" if sure else why_not(draft, terms, done), talked=talked and talk is not None)


def hear_tasks(draft: Draft) -> None:
    """Tasks, calls, mails and meetings of the present owner since they have the lead."""
    handoff = draft.handoffs[-1]
    if draft.view is None or not handoff.assignments or not (handoff.touched_at is None or _talk_terms(handoff)):
        return
    known = {one.evidence for one in handoff.touches}
    before = {(one.evidence, one.at) for earlier in draft.handoffs[:-1] for one in earlier.touches}
    for task, how in list(_done_tasks(draft, handoff)):
        evidence = f"{task.identity.object} {task.identity.id}"
        handoff = draft.handoffs[-1]
        owner, talk = handoff.assignments[-1].owner, _talk_terms(handoff)
        talked = talk is not None and _is_talk(task, talk)
        if (evidence in known and not talked) or (handoff.touched_at is not None and not talked):
            continue
        at = task.closed_at or (task.created_at if task.type == "Meeting" else task.modified_at)
        if (evidence, at) in before:
            continue  # it was done for an earlier handoff
        wrong = why_not(draft, handoff.sla or _DEFAULT, done := Act(owner, at, how, evidence))
        if talked and task.type == "Meeting":  # booked then; that it took place is told later
            _judge(draft, done, wrong, talked=False)
            done = done._replace(at=task.modified_at)
        _judge(draft, done, wrong, talked=talked)


def take_back(draft: Draft) -> None:
    """A status that kept the promise turns out to have been set to many records at once: the clock runs again."""
    handoff = draft.handoffs[-1]
    terms = handoff.sla or _DEFAULT
    for place, touch in enumerate(handoff.touches):
        sure = _FIRST not in touch.counts or touch.how in (CONVERTED, DEAL)
        if sure or not _in_bulk(draft, terms, touch.by, touch.at):
            continue
        touches = list(handoff.touches)
        touches[place] = replace(touch, counts=(), why_not=_BULK)
        kept = replace(handoff, touches=tuple(touches), touched_at=None, touched_by="", touched_how="")
        draft.put(kept)
        draft.event("touch.withdrawn", f"{draft.called(touch.by)} {touch.how}: {_BULK}.", by=touch.by, how=touch.how)
        return


def why_not(draft: Draft, terms: Sla, done: Act) -> str:
    """Why an act keeps no promise; empty when it does."""
    last = draft.handoffs[-1].assignments[-1]
    if not is_person(draft, done.by) or done.by in terms.not_by:
        return "not a person's doing" if not is_person(draft, done.by) else "what they do is not counted"
    if terms.by == "owner" and done.by and done.by != last.owner and not last.queue:
        return f"{draft.called(last.owner)} has the lead"
    return _BULK if _in_bulk(draft, terms, done.by, done.at) else ""


_BULK = "many records were changed in the same second"


def _in_bulk(draft: Draft, terms: Sla, by: str, at: datetime) -> bool:
    return terms.bulk > 0 and any(
        one.by == by and one.people >= terms.bulk and abs(one.at - at) <= _TOGETHER for one in draft.dossier.crowds
    )


def is_person(draft: Draft, by: str) -> bool:
    """Whether it was neither we nor automation, as far as the CRM says."""
    crm = draft.policy.crm
    return not by or by not in (crm.me, _AUTOMATION, *crm.automation_users)


def _judge(draft: Draft, done: Act, wrong: str, *, talked: bool) -> None:
    """Keep the act, and what it ends."""
    handoff = draft.handoffs[-1]
    counts = () if wrong else tuple(_kept_by(handoff, talked=talked))
    known = any(one.evidence == done.evidence and one.counts == counts for one in handoff.touches)
    if known or (not counts and (not wrong or sum(not one.counts for one in handoff.touches) >= _KEPT)):
        return
    number = len(handoff.assignments)
    touch = Touch(done.at, done.by, done.how, done.evidence, number, counts, wrong)
    touches = tuple(one for one in handoff.touches if one.evidence != done.evidence or one.counts)
    minutes: dict[str, float] = {
        str(clock.sla.of): elapsed(handoff, clock, done.at, draft.policy) for clock in running(handoff)
    }
    if _FIRST in counts:
        handoff = replace(handoff, touched_at=done.at, touched_by=done.by, touched_how=done.how)
    if _TALK in counts:
        clocks = tuple(
            replace(one, ended_at=done.at, how=done.how) if one.sla.of == _TALK and one.how != DROPPED else one
            for one in handoff.clocks
        )
        handoff = replace(handoff, clocks=clocks)
    draft.put(replace(handoff, touches=(*touches, touch)))
    figures: dict[str, Value] = {"by": done.by, "how": done.how, "evidence": done.evidence}
    if wrong:
        draft.event("not.counted", f"{draft.called(done.by)} {done.how}: {wrong}.", **figures)
    if _FIRST in counts:
        draft.event("touched", f"{draft.called(done.by)} {done.how}.", **figures, minutes=minutes.get(_FIRST))
    if _TALK in counts:
        told = f"{draft.called(done.by)} {done.how}: the first conversation."
        draft.event("talked", told, **figures, minutes=minutes.get(_TALK))


def _kept_by(handoff: Handoff, *, talked: bool) -> Iterator[str]:
    if handoff.touched_at is None:
        yield _FIRST
    if talked and _talk_terms(handoff) is not None:
        yield _TALK


def _talk_terms(handoff: Handoff) -> Sla | None:
    """The terms of a first conversation that has not taken place."""
    waiting = (one for one in handoff.clocks if one.sla.of == _TALK and one.ended_at is None)
    return next((one.sla for one in waiting), None)


def _is_talk(task: CrmTask, talk: Sla) -> bool:
    kinds = talk.talk_tasks or ("Call", "Meeting")
    return bool(task.outcome and talk.outcomes) and task.type in kinds and as_glob(talk.outcomes)(task.outcome)


def _done_tasks(draft: Draft, handoff: Handoff) -> Iterator[tuple[CrmTask, str]]:
    """The owner's closed tasks and booked meetings, and how to tell of them."""
    owner, number = handoff.assignments[-1].owner, len(handoff.assignments)
    key = draft.key(handoff.id, f"a{number}", "task")
    since, view = _given(draft, handoff, draft.entry(key)), draft.view
    for task in sorted(view.tasks if view is not None else (), key=lambda one: (one.modified_at, one.identity)):
        if task.deleted or not (task.closed or task.type == "Meeting"):
            continue
        if task.key:
            if task.key.partition(":")[2] == key.partition(":")[2] and task.modified_by == owner:
                yield task, "completed the task"
        elif since is not None and _logged(task, handoff, owner, since):
            yield task, f"logged: {task.type}{f' ({task.outcome})' if task.outcome else ''}"


def _given(draft: Draft, handoff: Handoff, task: OutboxEntry | None) -> datetime | None:
    """Since when, by the CRM's word, the present owner has the lead; what they did before it is no touch of theirs.

    Who has taken it themselves needs no word of ours; who had it when it was made ready by hand has it since then.
    """
    if task is not None and task.receipt is not None:
        return task.receipt.at
    told = handoff.assignments[-1].route == "crm"
    under_way = draft.write_pending or (task is not None and task.state in ("queued", "sending"))
    if draft.receipt is None or (under_way and not told):
        return None
    changes = draft.view.changes if told and len(handoff.assignments) == 1 and draft.view is not None else ()
    ready = [one.at for one in changes if one.field == "status" and meaning(one.new, draft.policy.crm) is Stage.MQL]
    return max((draft.receipt.at, *ready[-1:]))


def _logged(task: CrmTask, handoff: Handoff, owner: str, since: datetime) -> bool:
    kinds = handoff.sla.touch_tasks if handoff.sla is not None and handoff.sla.touch_tasks else _TOUCHING
    talk = _talk_terms(handoff)
    if task.type not in kinds and not (talk is not None and _is_talk(task, talk)):
        return False
    if task.created_at < since:
        return False
    return task.created_by == owner or (task.owner == owner and task.modified_by == owner)
