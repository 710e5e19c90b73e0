"""Where a person stands in the process map, read from what is known now (never stepped from event to event)."""

from syncagent.model import CrmView, Handoff, HandoffState, Opportunity, Stage, Value
from syncagent.policy import CrmPolicy

ACCEPTED = frozenset((Stage.SAL, Stage.SQL, Stage.OPPORTUNITY))
"""Answers by which sales has taken the lead up."""

_NAMES = frozenset(stage.value for stage in Stage)
_BY_OUTCOME = {
    "won": Stage.WON,
    "lost": Stage.LOST,
    "disqualified": Stage.DISQUALIFIED,
    "customer": Stage.CUSTOMER,
    "recycled": Stage.RECYCLED,
    "recycled for good": Stage.RECYCLED,
    "on hold": Stage.ON_HOLD,
}


def meaning(status: Value, crm: CrmPolicy) -> Stage | None:
    """What a CRM status says in our words: an answer of sales, or a status that we write; None when it is unmapped."""
    if not isinstance(status, str):
        return None
    found = crm.answers.get(status)
    if found is not None:
        return found
    for stage, written in crm.write_status.items():
        if written == status and stage in _NAMES:
            return Stage(stage)
    return None


def is_untouched(status: Value, crm: CrmPolicy) -> bool:
    """Whether marketing may still hand off a lead that stands in this status."""
    return not status or status in crm.untouched


def stage_of_deals(deals: tuple[Opportunity, ...]) -> Stage | None:
    """What a person's deals say: an open one, else a won one, else a lost one."""
    if not deals:
        return None
    if any(not deal.closed for deal in deals):
        return Stage.OPPORTUNITY
    return Stage.WON if any(deal.won for deal in deals) else Stage.LOST


def stage_of_handoff(handoff: Handoff, status: Value, deals: Stage | None, crm: CrmPolicy) -> Stage | None:
    """The stage that a handoff gives; None when it is over and says nothing (withdrawn, deleted)."""
    if handoff.state is HandoffState.WITH_SALES:
        if deals is Stage.OPPORTUNITY:
            return deals
        said = meaning(status, crm)
        if said in ACCEPTED:
            return said
        return Stage.SQL if handoff.outcome == "converted" else Stage.MQL
    if handoff.state is HandoffState.RETURNING:
        return _BY_OUTCOME.get(handoff.outcome, Stage.RECYCLED)
    return _BY_OUTCOME.get(handoff.outcome)


def stage_in_crm(view: CrmView, status: Value, crm: CrmPolicy) -> Stage | None:
    """The stage of somebody we have not handed off, as the CRM alone tells it."""
    deals = stage_of_deals(view.opportunities)
    if deals is not None:
        return Stage.CUSTOMER if deals is Stage.WON else deals
    if view.record.converted_to is not None:
        return Stage.SQL
    return meaning(status, crm)
