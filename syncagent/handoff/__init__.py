"""The pure core: what follows from facts, policy and time. It reads no clock and touches nothing outside."""

from syncagent.handoff.explain import score_lines, why
from syncagent.handoff.past import as_of
from syncagent.handoff.planner import plan
from syncagent.handoff.profile import profile_of
from syncagent.handoff.scoring import is_over, score
from syncagent.handoff.sla import renewed

__all__ = ["as_of", "is_over", "plan", "profile_of", "renewed", "score", "score_lines", "why"]
