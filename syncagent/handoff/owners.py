"""A person's lead as routing sees it: what is known of them, whose it is, and whether somebody must be there."""

from typing import Protocol

from syncagent.handoff.answers import holder_of_contact
from syncagent.handoff.companies import company_of
from syncagent.handoff.compiled import once_per_policy
from syncagent.handoff.derived import derive, wanted_of
from syncagent.handoff.draft import Draft
from syncagent.handoff.routing import Case, Hold, assign
from syncagent.handoff.sla import is_short
from syncagent.model import Assignment, Held, Sla, Value
from syncagent.policy import Policy


class Cause(Protocol):
    """Why a handoff opens, what the brake counts it as, and the rep who had it before."""

    @property
    def cause(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def last(self) -> str: ...


def choose(draft: Draft, last: str, terms: Sla | None) -> Assignment | Hold:
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
        attributes_for(draft),
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


def holding(draft: Draft, hold: Hold, opening: Cause) -> Held:
    """The lead is held: shown, looked at again when its time has come, and remembered should the score fade."""
    before = draft.before.held
    draft.waiting = hold.why
    draft.waits.extend((*hold.waits_on, f"held:{hold.for_}"))
    draft.wake(hold.until)
    since = before.since if before is not None else draft.now
    return Held(hold.for_, since, hold.until, hold.why, opening.cause, opening.kind, opening.last, hold.pool)


def attributes_for(draft: Draft) -> dict[str, Value]:
    """What is known of the person, with what the routes ask to be worked out ("came.source", "account.industry")."""
    wanted = _wanted(draft.policy)
    if not wanted:
        return draft.attributes
    return {**draft.attributes, **derive(draft.dossier, wanted, draft.attributes)}


def company_name(draft: Draft) -> str:
    """What names the person's company, for pools whose reps keep theirs; empty where nobody asks, or nothing tells."""
    if not _sticky(draft.policy):
        return ""
    company = company_of(draft.attributes, draft.dossier.emails, draft.policy.free_mail)
    return company.key if company is not None else ""


@once_per_policy
def _wanted(policy: Policy) -> frozenset[str]:
    return wanted_of(name for route in policy.routes for name in (*route.when, *route.to.skills))


@once_per_policy
def _sticky(policy: Policy) -> bool:
    return any(to.sticky for to in (*(one.to for one in policy.routes), *policy.routing.targets.values()))
