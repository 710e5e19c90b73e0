"""Not now is not never: how a lead goes back to marketing, for how long, and what is remembered of it.

A rep gives it back by a status, by a date alone, or by a status that says reason and time; the policy does so on their
behalf for what was lost, put on hold or disqualified, for silence after so many tries, and for a stay that was too
long. Whoever gives back, the lead then returns on a date, or is closed: nothing rests without either (law 6).
"""

from datetime import UTC, date, datetime
from typing import NamedTuple

from msgspec.structs import replace

from syncagent.handoff.calendar import after, start_of_day, zone_of
from syncagent.handoff.compiled import once_per_policy
from syncagent.handoff.draft import Draft
from syncagent.handoff.process import longest_stay, rule_of, stage_since
from syncagent.model import CrmTask, Handoff, HandoffState, Stage, Value
from syncagent.policy import Duration, NurtureTarget, OnBehalf, Policy, ReasonRule

_ATTEMPTS = ("Call", "Email")
_CONVERSED = frozenset((Stage.SQL, Stage.OPPORTUNITY))
FOR_GOOD = "recycled for good"
"""The outcome of what was given back, and neither a date nor points bring up again."""
_STAGES = {"lost": Stage.LOST, "disqualified": Stage.DISQUALIFIED}


class Rules(NamedTuple):
    """The policy's rules of giving back, ready to ask."""

    reasons: dict[str, ReasonRule]
    on_behalf: dict[str, OnBehalf]


@once_per_policy
def rules_of(policy: Policy) -> Rules:
    """By reason (without case), and by cause."""
    recycle = policy.recycle
    return Rules({one.reason.casefold(): one for one in recycle.reasons}, {one.cause: one for one in recycle.on_behalf})


def rule_for(reason: str, policy: Policy) -> ReasonRule | None:
    """What this reason changes."""
    return rules_of(policy).reasons.get(reason.casefold())


def nurture_of(handoff: Handoff, policy: Policy) -> NurtureTarget | None:
    """Where marketing takes up whom this handoff has given back; None: nowhere, or it has not."""
    if handoff.outcome in ("recycled", FOR_GOOD):
        given = True
    else:
        given = handoff.outcome.replace(" ", "_") in rules_of(policy).on_behalf and handoff.come_back_at is not None
    return listed_in(handoff, policy) if given else None


def listed_in(handoff: Handoff, policy: Policy) -> NurtureTarget | None:
    """Where marketing takes up, or has taken up, whom this handoff gives back for its reason."""
    rule = rule_for(handoff.recycle_reason, policy)
    return rule.nurture if rule is not None and rule.nurture is not None else policy.recycle.nurture


# -- by a rep


def recycle(draft: Draft, by: str) -> None:
    """A rep has given the lead back: it returns on their date, else after the time of the reason or of the policy."""
    reason, back = _said(draft)
    said = f"{draft.called(by)} gave it back" + (f": {reason}." if reason else ".")
    _give_back(draft, "recycled", reason, back, said, by)


def put_on_hold(draft: Draft, by: str) -> None:
    """A rep keeps the lead, and rests it until a date."""
    reason, back = _said(draft)
    rule = rules_of(draft.policy).on_behalf.get("on_hold")
    if rule is not None:
        reason = reason or rule.reason
        back = _named_date(draft) or _in(draft, rule.back) or back
    draft.give_back("on hold", back, reason)
    if "recycle_until" in draft.current:
        draft.adopt("recycle_until", draft.current["recycle_until"])
    draft.event("recycled", f"{draft.called(by)} put it on hold.", come_back_at=back.isoformat(), by=by)


def moved_date(draft: Draft, by: str, *, person: bool) -> None:
    """A rep has set a come-back date: another one, or, while the lead is with them, one that gives it back."""
    handoff = draft.handoffs[-1]
    if handoff.state is HandoffState.CLOSED or "recycle_until" not in draft.current:
        return
    value = draft.current["recycle_until"]
    if value == draft.told.get("recycle_until") or draft.still_shows("recycle_until"):
        return
    draft.adopt("recycle_until", value)
    moment = _named_date(draft)
    if moment is None:
        return
    if handoff.state is HandoffState.WITH_SALES:
        if person and _moves(draft, Stage.RECYCLED):
            recycle(draft, by)
            _move_status(draft)
    elif moment != handoff.come_back_at:
        draft.put(replace(handoff, come_back_at=moment))
        draft.event("recycled", "Sales has set another date.", come_back_at=moment.isoformat())


# -- on their behalf


def give_back_on_behalf(draft: Draft) -> None:
    """What was just lost or disqualified returns by rule; silence and a stay that was too long give a lead back."""
    handoff = draft.handoffs[-1]
    rules = rules_of(draft.policy).on_behalf
    if handoff.state is HandoffState.CLOSED:
        rule = rules.get(handoff.outcome)
        if rule is not None and rule.cause in _STAGES and handoff.closed_at == draft.now:
            _return_closed(draft, rule)
        return
    if handoff.state is not HandoffState.WITH_SALES:
        return
    silent = rules.get("no_answer")
    if silent is not None:
        _after_tries(draft, handoff, silent)
    if draft.with_sales:
        _after_too_long(draft)


def _return_closed(draft: Draft, rule: OnBehalf) -> None:
    """It keeps its outcome, and comes back on a date. What sales has set in the CRM stays as it is."""
    handoff = draft.handoffs[-1]
    reason = str(draft.current.get("recycle_reason") or rule.reason)
    about = rule_for(reason, draft.policy)
    if handoff.number >= draft.policy.recycle.most_returns or (about is not None and not about.again):
        return
    back = _named_date(draft) or _in(draft, rule.back) or _usual(draft, about)
    draft.put(
        replace(
            handoff,
            state=HandoffState.RETURNING,
            come_back_at=back,
            recycle_reason=reason,
            tries=len(attempts(draft, handoff)),
        )
    )
    draft.cause = draft.cause or "recycle"
    why = f"{reason.capitalize()}: it comes up again, by rule."
    draft.event("recycled", why, come_back_at=back.isoformat(), rule=rule.cause)


def _after_tries(draft: Draft, handoff: Handoff, rule: OnBehalf) -> None:
    tried = attempts(draft, handoff)
    if len(tried) < rule.tries or conversed(draft) or not _moves(draft, Stage.RECYCLED):
        return
    due = after(tried[-1], rule.wait, draft.policy.timezone)
    if due > draft.now:
        draft.wake(due)
        return
    if not draft.crm_has_seen(due):
        return
    back = _in(draft, rule.back) or _usual(draft, rule_for(rule.reason, draft.policy))
    said = f"{len(tried)} tries and no conversation: given back for {draft.called(handoff.assignments[-1].owner)}."
    _give_back(draft, "recycled", rule.reason, back, said, "")
    _move_status(draft)


def _after_too_long(draft: Draft) -> None:
    """A stage whose rule says so gives a lead back once it has stayed for too long."""
    stage = draft.stage_now()
    rule = rule_of(stage, draft.policy)
    if rule is None or rule.stuck != "recycle" or rule.longest is None or not rule.allows(Stage.RECYCLED):
        return
    due = after(stage_since(draft, stage), longest_stay(stage, draft.policy), draft.policy.timezone)
    if due > draft.now:
        draft.wake(due)
        return
    if not draft.crm_has_seen(due):
        return
    reason = f"stuck in {stage}"
    said = f"It was {stage} for too long: given back for {draft.called(draft.handoffs[-1].assignments[-1].owner)}."
    _give_back(draft, "recycled", reason, _usual(draft, rule_for(reason, draft.policy)), said, "")
    _move_status(draft)


def attempts(draft: Draft, handoff: Handoff) -> list[datetime]:
    """When a rep called or wrote since they got the lead in this handoff, by what they logged; oldest first."""
    if draft.view is None:
        return []
    had = [(one.owner, one.at) for one in handoff.assignments]
    return sorted(
        task.closed_at or task.modified_at
        for task in draft.view.tasks
        if task.closed
        and not task.deleted
        and not task.key
        and task.type in _ATTEMPTS
        and any(owner in (task.created_by, task.owner) and task.created_at >= at for owner, at in had)
    )


def conversed(draft: Draft) -> bool:
    """Whether somebody has talked with the lead in this handoff: a meeting, a deal, a stage that takes one."""
    handoff = draft.handoffs[-1]
    if draft.stage_now() in _CONVERSED or draft.view is None:
        return True
    if any("first conversation" in touch.counts for touch in handoff.touches):
        return True
    return any(_is_meeting(task, handoff) for task in draft.view.tasks)


def _is_meeting(task: CrmTask, handoff: Handoff) -> bool:
    return task.type == "Meeting" and not task.deleted and task.created_at >= handoff.opened_at


# -- how


def _give_back(draft: Draft, outcome: str, reason: str, back: datetime, said: str, by: str) -> None:
    draft.cause = draft.cause or "recycle"
    handoff, recycling = draft.handoffs[-1], draft.policy.recycle
    tries = len(attempts(draft, handoff))
    last = handoff.assignments[-1] if handoff.assignments else None
    rule = rule_for(reason, draft.policy)
    if handoff.number >= recycling.most_returns or (rule is not None and not rule.again):
        draft.give_back(FOR_GOOD, back, reason)
        draft.put(replace(draft.handoffs[-1], state=HandoffState.CLOSED, come_back_at=None, tries=tries))
        why = f"It has been with sales {handoff.number} times" if rule is None or rule.again else "That is for good"
        draft.event("recycled", f"{said} {why}: it stays with marketing.", tries=tries)
    else:
        draft.give_back(outcome, back, reason)
        draft.put(replace(draft.handoffs[-1], tries=tries))
        if "recycle_until" in draft.current:
            draft.adopt("recycle_until", draft.current["recycle_until"])
        draft.event("recycled", said, come_back_at=back.isoformat(), by=by, tries=tries)
        if "recycle_until" in draft.policy.crm.fields and not draft.contact and back != _named_date(draft):
            draft.want["recycle_until"] = _written_date(draft, back)
    pinned = not by and last is not None and last.pinned
    if recycling.owner and not draft.contact and not pinned and "owner" not in draft.contested:
        draft.want["owner"] = recycling.owner


def _move_status(draft: Draft) -> None:
    """The agent moves the status back, where the rep has not."""
    written = draft.policy.crm.write_status.get(Stage.RECYCLED)
    if written and not draft.contact and "status" not in draft.contested and "status" in draft.current:
        draft.want["status"] = written


def _moves(draft: Draft, to: Stage) -> bool:
    """Whether the map allows the agent this move."""
    rule = rule_of(draft.stage_now(), draft.policy)
    return rule is None or rule.allows(to)


def _said(draft: Draft) -> tuple[str, datetime]:
    """Reason and date that sales has given: by fields, by the status, else what the policy says of them."""
    status = draft.current.get("status")
    told = draft.policy.recycle.statuses.get(status) if isinstance(status, str) else None
    reason = str(draft.current.get("recycle_reason") or "") or (told.reason if told is not None else "")
    named = _named_date(draft)
    by_status = _in(draft, told.back) if told is not None else None
    return reason, named or by_status or _usual(draft, rule_for(reason, draft.policy))


def _usual(draft: Draft, rule: ReasonRule | None) -> datetime:
    back = rule.back if rule is not None and rule.back is not None else draft.policy.recycle.default
    return _in(draft, back) or draft.now


def _in(draft: Draft, duration: Duration | None) -> datetime | None:
    """So long from now; whole days end with the first moment of a day."""
    if duration is None:
        return None
    zone = draft.policy.timezone
    moment = after(draft.now, duration, zone)
    if duration.days and not duration.minutes:
        moment = start_of_day(moment.astimezone(zone_of(zone)).date(), zone)
    return moment


def _named_date(draft: Draft) -> datetime | None:
    """The date that stands in the CRM; one in the past is left over from an earlier time and says nothing."""
    moment = _parsed(draft, draft.current.get("recycle_until"))
    return moment if moment is not None and moment > draft.now else None


def _parsed(draft: Draft, value: Value) -> datetime | None:
    """A date (its first moment in the policy's zone) or a moment; None when it is neither."""
    if not isinstance(value, str) or not value:
        return None
    try:
        if len(value) <= len("2026-01-31"):
            return start_of_day(date.fromisoformat(value), draft.policy.timezone)
        moment = datetime.fromisoformat(value)
    except (ValueError, OverflowError):
        return None
    return (
        moment.astimezone(UTC) if moment.tzinfo is not None else moment.replace(tzinfo=zone_of(draft.policy.timezone))
    )


def _written_date(draft: Draft, moment: datetime) -> str:
    local = moment.astimezone(zone_of(draft.policy.timezone))
    return local.date().isoformat() if local.hour == local.minute == 0 else moment.isoformat()
