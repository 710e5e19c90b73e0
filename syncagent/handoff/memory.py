"""What is remembered of a score after a lead was given back: what share of the interest from before still counts."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from syncagent.handoff.compiled import once_per_policy
from syncagent.model import Handoff
from syncagent.policy import Policy


class GivenBack(NamedTuple):
    """When a lead was last given back, why, and the share of what came before."""

    at: datetime
    reason: str
    share: float


@once_per_policy
def _shares(policy: Policy) -> dict[str, float]:
    return {rule.reason.casefold(): rule.score for rule in policy.recycle.reasons if rule.score < 1.0}


def given_back(handoffs: Sequence[Handoff], policy: Policy) -> GivenBack | None:
    """The last time that a lead was given back, if its reason takes something away; None: all of it counts."""
    shares = _shares(policy)
    for handoff in reversed(handoffs) if shares else ():
        if handoff.closed_at is None or not handoff.recycle_reason:
            continue
        share = shares.get(handoff.recycle_reason.casefold())
        return None if share is None else GivenBack(handoff.closed_at, handoff.recycle_reason, share)
    return None
