"""A person's lead as routing sees it: what is known of them, whose it is, and whether somebody must be there."""

from collections.abc import Iterable
from typing import Protocol

from syncagent.handoff.answers import holder_of_contact
from syncagent.handoff.compiled import once_per_policy
from syncagent.handoff.draft import Draft
from syncagent.handoff.routing import Case, Later, assign
from syncagent.handoff.sla import is_short
from syncagent.handoff.territory import domains_of
from syncagent.model import Assignment, Held, Sla
from syncagent.model.company import clean_name
from syncagent.policy import Policy


class Cause(Protocol):
    """Why a handoff opens, what the brake counts it as, and the rep who had it before."""

    @property
    def cause(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def last(self) -> str: ...


def choose(draft: Draft, last: str, terms: Iterable[Sla]) -> Assignment | Later:
    """Who gets the lead of a handoff that opens under these terms; `last` is the rep of the one before."""
    account = draft.dossier.account
    owner = str(draft.current.get("owner") or "")
    if draft.view is not None and not owner:
        owner = str(draft.view.record.fields.get("owner") or "")
    if draft.contact and (found := holder_of_contact(draft)) is not None:
        holder, why = found
        draft.loads.take(holder)
        return Assignment(holder, draft.now, "contact", f"{draft.called(holder)} {why}.")
    held = draft.before.held
    case = Case(
        draft.attributes,
        draft.now,
        last=last,
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


def holding(draft: Draft, hold: Later, opening: Cause) -> Held:
    """The lead is held: shown, looked at again when its time has come, and remembered should the score fade."""
    before = draft.before.held
    draft.waiting = hold.why
    draft.waits.extend((*hold.waits_on, f"held:{hold.for_}"))
    draft.wake(hold.until)
    since = before.since if before is not None else draft.now
    return Held(hold.for_, since, hold.until, hold.why, opening.cause, opening.kind, opening.last, hold.pool)


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
