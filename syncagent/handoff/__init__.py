"""The pure core: what follows from facts, policy and time. It reads no clock and touches nothing outside."""

from syncagent.handoff.audit import Seen, Standing, adopt, stand
from syncagent.handoff.explain import score_lines, why
from syncagent.handoff.past import as_of
from syncagent.handoff.planner import plan
from syncagent.handoff.process import allowed, longest_stay
from syncagent.handoff.profile import profile_of
from syncagent.handoff.scoring import is_over, score
from syncagent.handoff.sla import renewed

__all__ = [
    "Seen",
    "Standing",
    "adopt",
    "allowed",
    "as_of",
    "is_over",
    "longest_stay",
    "plan",
    "profile_of",
    "renewed",
    "score",
    "score_lines",
    "stand",
    "why",
]
