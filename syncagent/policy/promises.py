"""What sales promises and what becomes of a lead: SLA terms, the way back to marketing, the process map."""

from typing import Literal

from msgspec import Struct

from syncagent.model import SlaStep, Stage
from syncagent.policy.conditions import Condition, Duration


class SlaTerms(Struct, frozen=True):
    """A promise and whom it holds for: grades and segments (any if empty) and attributes.

    Of several that promise the same (`of`, and the `stage` of a stage's), the first that fits holds. The rest is as
    in `model.Sla`, which keeps a copy for a handoff.
    """

    name: str
    within: Duration
    grades: tuple[str, ...] = ()
    when: dict[str, Condition] = {}
    clock: Literal["rep", "team", "wall"] = "wall"
    steps: tuple[SlaStep, ...] = ()
    touch_tasks: tuple[str, ...] = ()
    not_by: tuple[str, ...] = ("automation",)
    of: Literal["first touch", "first conversation", "stage"] = "first touch"
    stage: str = ""
    segments: tuple[str, ...] = ()
    pause_on: tuple[str, ...] = ()
    pause_holidays: bool = False
    by: Literal["owner", "anyone"] = "owner"
    bulk: int = 10
    talk_tasks: tuple[str, ...] = ()
    outcomes: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()


class NurtureTarget(Struct, frozen=True):
    """Where a recycled person goes in the marketing system: a static list, or a requested campaign."""

    source: str
    list_id: int | None = None
    campaign_id: int | None = None


class RecyclePolicy(Struct, frozen=True):
    """When a lead given back comes up again: on the rep's date, else after `default`; earlier on a strong signal.

    `wake_points` interest points from activities after the recycling, within `wake_within`, bring it up early.
    `most_returns`: after so many handoffs it stays with marketing (closed).
    """

    default: Duration = Duration(days=90)
    wake_points: float | None = None
    wake_within: Duration = Duration(days=7)
    nurture: NurtureTarget | None = None
    most_returns: int = 5
    owner: str = ""  # a queue or user that holds recycled leads; empty: the owner stays


class StageRule(Struct, frozen=True):
    """The process map: who answers for the stage, the longest stay, what comes next."""

    stage: Stage
    owner: str = ""
    longest: Duration | None = None
    next: Stage | None = None
