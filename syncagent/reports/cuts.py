"""By what reports may be cut, the names of owners, and what is not in the columns yet."""

from syncagent.handoff.team import team_of
from syncagent.policy import Policy
from syncagent.reports.periods import ms_of
from syncagent.reports.report import Ask
from syncagent.state.store import Store

LEAD_CUTS = {
    "source": "e.source",
    "campaign": "e.campaign",
    "content": "e.content",
    "medium": "e.medium",
    "segment": "e.segment",
    "rep": "e.owner",
    "score_band": "e.score_band",
    "grade": "e.grade",
}
"""What a report on people may be cut by, as columns of `report_lead as e`."""

HANDOFF_CUTS = {
    "rep": "h.owner",
    "team": "h.team",
    "source": "h.source",
    "campaign": "h.campaign",
    "content": "h.content",
    "segment": "h.segment",
    "score_band": "h.score_band",
    "grade": "h.grade",
    "route": "h.route",
    "return": "case when h.is_return then 'return' else 'first' end",
}
"""What a report on handoffs or promises may be cut by, as columns of `report_handoff` or `report_promise as h`."""


def called(store: Store, policy: Policy) -> dict[str, str]:
    """What reps and queues are called, by their ids in the CRM."""
    names = {str(owner): str(name) for owner, name in store.ask("select owner, name from report_rep") if name}
    names |= {owner: queue for queue, owner in policy.queues.items() if owner not in names}
    return names | {owner: rep.name for owner, rep in team_of(policy).reps.items()}


def cut_of(value: object) -> str:
    """What a part of a cut is called; empty where nobody knows, as of a handoff of somebody who was forgotten."""
    return "" if value is None else str(value)


def missing(store: Store) -> tuple[str, ...]:
    """A sentence on the people whose columns are not filled yet, if there are any."""
    [(count,)] = store.ask("select people from report_missing")
    if not count:
        return ()
    were = "person is" if count == 1 else "people are"
    return (
        f"{count:,} {were} not counted yet: they are planned anew since the update, which fills what reports count.",
    )


def bounds(ask: Ask) -> tuple[int, int]:
    """From when, until before when things count, in UTC ms: nothing that lies ahead does."""
    return ms_of(ask.since) if ask.since else 0, ms_of(min(ask.until or ask.at, ask.at))
