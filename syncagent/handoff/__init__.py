"""The pure core: what follows from facts, policy and time. It reads no clock and touches nothing outside."""

from syncagent.handoff.explain import why
from syncagent.handoff.planner import plan
from syncagent.handoff.profile import profile_of
from syncagent.handoff.scoring import score
from syncagent.handoff.sla import renewed

__all__ = ["plan", "profile_of", "renewed", "score", "why"]
