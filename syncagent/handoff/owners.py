"""A person's lead as routing sees it: what is known of them, whose it is, and whether somebody must be there."""

from collections.abc import Iterable
from typing import Protocol

from syncagent.handoff.answers import holder_of_contact
from syncagent.handoff.compiled import once_per_policy
from syncagent.handoff.draft import Draft
from syncagent.handoff.routing import Case, Later, assign
from syncagent.handoff.sla import is_short
from syncagent.handoff.territory import domains_of
from syncagent.handoff.touches import is_person
from syncagent.model import Assignment, Held, Sla
from syncagent.model.company import clean_name
from syncagent.policy import Policy


class Cause(Protocol):
    """Why a handoff opens, what the brake counts it as, the rep who had it before, and who asks for it in the CRM."""

    @property
    def cause(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def last(self) -> str: ...
    @property
    def by(self) -> str: ...


def choose(draft: Draft, opening: Cause, terms: Iterable[Sla]) -> Assignment | Later:
    """Who gets the lead of a handoff that opens under these terms."""
    account = draft.dossier.account
    owner = str(draft.current.get("owner") or "")
    if draft.view is not None and not owner:
        owner = str(draft.view.record.fields.get("owner") or "")
    if draft.contact and (found := holder_of_contact(draft)) is not None:
        holder, why = found
        draft.loads.take(holder)
        return Assignment(holder, draft.now, "contact", f"{draft.called(holder)} {why}.")
    if opening.by and (kept := _kept_by_hand(draft, owner, opening)) is not None:
        return kept
    held = draft.before.held
    case = Case(
        draft.attributes,
        draft.now,
        last=opening.last,
        current=owner,
        account=account.owner if account is not None else "",
        deal=account.deal_owner if account is not None else "",
        account_id=account.id if account is not None else "",
        emails=draft.dossier.emails,
        company=company_name(draft),
        short=is_short(terms, draft.policy),
        since=held.since if held is not None else None,
    )
    return assign(case, draft.policy, draft.loads)


def _kept_by_hand(draft: Draft, owner: str, opening: Cause) -> Assignment | None:
    """Whoever makes a lead ready by hand leaves it with its owner; None where that is no person who can have it.

    An owner who is new since the last handoff was chosen by a person, too, and stays (law 5).
    """
    policy = draft.policy
    nobody = {"", policy.crm.me, policy.recycle.owner, *policy.queues.values(), *policy.crm.automation_users}
    if owner in nobody or not draft.active.get(owner, True):
        return None
    changes = draft.view.changes if draft.view is not None else ()
    by = next((one.by for one in reversed(changes) if one.field == "owner" and one.new == owner), policy.crm.me)
    chosen = bool(draft.handoffs) and owner != opening.last and is_person(draft, by)
    draft.loads.take(owner, counted=False)
    why = f"{opening.cause}, and {draft.called(owner)} has it."
    return Assignment(owner, draft.now, "crm", why, pinned=chosen)


def holding(draft: Draft, hold: Later, opening: Cause) -> Held:
    """The lead is held: shown, looked at again when its time has come, and remembered should the score fade."""
    before = draft.before.held
    draft.waiting = hold.why
    draft.waits.extend((*hold.waits_on, f"held:{hold.for_}"))
    draft.wake(hold.until)
    since = before.since if before is not None else draft.now
    about = (opening.cause, opening.kind, opening.last)
    return Held(hold.for_, since, hold.until, hold.why, *about, pool=hold.pool, by=opening.by)


def company_name(draft: Draft) -> str:
    """What names the person's company, for pools whose reps keep theirs; empty where nobody asks, or nothing tells."""
    if not _sticky(draft.policy):
        return ""
    if draft.dossier.account is not None:
        return draft.dossier.account.id
    known = domains_of(draft.attributes, draft.dossier.emails, draft.policy.free_mail)
    return next(iter(known), clean_name(str(draft.attributes.get("company") or "")))


@once_per_policy
def _sticky(policy: Policy) -> bool:
    return any(to.sticky for to in (*(one.to for one in policy.routes), *policy.routing.targets.values()))
