"""No sudden flood (law 11): counts what was let go in the sliding hour, by cause and owner, and says when to stop."""

from collections import Counter
from collections.abc import Mapping
from datetime import timedelta

from syncagent.model import Dossier, Plan
from syncagent.policy import BrakePolicy

WINDOW = timedelta(hours=1)
BRAKED = ("handoff", "handraiser", "reassign", "recycle")


class Brake:
    """Made for one batch from what the store counted; `stops` answers, `let` counts what goes through."""

    def __init__(
        self, policy: BrakePolicy, causes: Mapping[str, int], owners: Mapping[str, int], with_sales: int
    ) -> None:
        self._policy = policy
        self._causes = Counter(causes)
        self._owners = Counter(owners)
        self._allowed = max(policy.per_hour, int(policy.share * with_sales))

    def stops(self, plan: Plan, dossier: Dossier) -> str:
        """Why this plan must be held; empty when it may go. What an admin has released always may."""
        if plan.cause not in BRAKED or dossier.released:
            return ""
        raised = plan.cause == "handraiser"
        allowed = max(self._policy.hand_raisers_per_hour, self._allowed) if raised else self._allowed
        if self._causes[plan.cause] >= allowed:
            return f"{self._causes[plan.cause]} times {plan.cause} within an hour; the brake allows {allowed}."
        if plan.owner and self._owners[plan.owner] >= self._policy.per_rep:
            return f"{plan.owner} was given {self._owners[plan.owner]} leads within an hour; the brake allows no more."
        return ""

    def scores_flood(self) -> bool:
        """Whether score-only writes have used up their hour."""
        return self._causes["score"] >= self._allowed

    def let(self, plan: Plan) -> None:
        """Count a plan that went through."""
        if plan.cause:
            self._causes[plan.cause] += 1
        if plan.owner and plan.cause in BRAKED:
            self._owners[plan.owner] += 1
