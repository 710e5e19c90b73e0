"""What becomes of a lead: the way back to marketing, and the process map."""

from typing import Literal

from msgspec import Struct

from syncagent.model import Stage
from syncagent.policy.conditions import Duration

Cause = Literal["no_answer", "lost", "on_hold", "disqualified"]
"""Why a lead is given back on a rep's behalf, beside a stay that was too long (`StageRule.stuck`)."""


class NurtureTarget(Struct, frozen=True):
    """Where a recycled person goes in the marketing system: a static list, or a requested campaign.

    `leave_id`: the campaign that ends what the other one began, requested when they come up again.
    """

    source: str
    list_id: int | None = None
    campaign_id: int | None = None
    leave_id: int | None = None


class ReasonRule(Struct, frozen=True):
    """What a reason of giving back changes; reasons are compared without case.

    `score`: how much of the interest from before still counts: 1 keeps it, 0.5 halves it, 0 resets it, so that only
    what comes after counts. Who they are always counts. `again` False: it stays with marketing for good.
    """

    reason: str
    back: Duration | None = None
    score: float = 1.0
    nurture: NurtureTarget | None = None
    again: bool = True


class StatusReason(Struct, frozen=True):
    """What a status of the CRM says where it has no fields for reason and date."""

    reason: str
    back: Duration | None = None


class OnBehalf(Struct, frozen=True):
    """A lead is given back for the rep, by rule.

    "no_answer": after `tries` logged calls and mails without a conversation, `wait` after the last of them. "lost",
    "on_hold", "disqualified": what would be closed or rest comes back after `back`.
    """

    cause: Cause
    reason: str
    back: Duration | None = None
    tries: int = 0
    wait: Duration = Duration(days=1)


class RecyclePolicy(Struct, frozen=True):
    """When a lead given back comes up again: on the rep's date, else after `default`; earlier on a strong signal.

    `wake_points` interest points from activities after the recycling, within `wake_within`, bring it up early.
    `most_returns`: after so many handoffs it stays with marketing (closed). `statuses` by the CRM's status.
    """

    default: Duration = Duration(days=90)
    wake_points: float | None = None
    wake_within: Duration = Duration(days=7)
    nurture: NurtureTarget | None = None
    most_returns: int = 5
    owner: str = ""  # a queue or user that holds recycled leads; empty: the owner stays
    reasons: tuple[ReasonRule, ...] = ()
    statuses: dict[str, StatusReason] = {}
    on_behalf: tuple[OnBehalf, ...] = ()


class StageRule(Struct, frozen=True):
    """One stage of the process map: who answers for it, the longest stay, the next step, who hears of a stuck lead.

    `to`: where a lead may move from here, forward, backward or sideways; None: anywhere. `next` is always among them.
    `tell`: a CRM user's id, empty: the manager of who has the lead. `stuck` "recycle": a lead that has stayed for too
    long is given back on the rep's behalf instead.
    """

    stage: Stage
    owner: str = ""
    longest: Duration | None = None
    next: Stage | None = None
    to: tuple[Stage, ...] | None = None
    tell: str = ""
    stuck: Literal["tell", "recycle"] = "tell"

    def allows(self, after: Stage) -> bool:
        """Whether a lead may move from here to `after`."""
        return self.to is None or after in (self.stage, self.next) or after in self.to
