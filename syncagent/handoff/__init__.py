"""The pure core: what follows from facts, policy and time. It reads no clock and touches nothing outside."""

from syncagent.handoff.audit import LATE, Seen, Standing, adopt, may_be_ready, stand, telling
from syncagent.handoff.explain import score_lines, why
from syncagent.handoff.mending import mend
from syncagent.handoff.past import as_of
from syncagent.handoff.planner import plan
from syncagent.handoff.process import allowed, longest_stay
from syncagent.handoff.profile import profile_of
from syncagent.handoff.scoring import is_over, score
from syncagent.handoff.sla import renewed

__all__ = [
    "LATE",
    "Seen",
    "Standing",
    "adopt",
    "allowed",
    "as_of",
    "is_over",
    "longest_stay",
    "may_be_ready",
    "mend",
    "plan",
    "profile_of",
    "renewed",
    "score",
    "score_lines",
    "stand",
    "telling",
    "why",
]
