"""What sales promises and what becomes of a lead: SLA terms, the way back to marketing, the process map."""

from typing import Literal

from msgspec import Struct

from syncagent.model import SlaStep, Stage
from syncagent.policy.conditions import Condition, Duration


class SlaTerms(Struct, frozen=True):
    """A promise and whom it holds for: grades (any if empty) and attributes."""

    name: str
    first_touch: Duration
    grades: tuple[str, ...] = ()
    when: dict[str, Condition] = {}
    clock: Literal["rep", "team", "wall"] = "wall"
    steps: tuple[SlaStep, ...] = ()
    touch_tasks: tuple[str, ...] = ()
    not_by: tuple[str, ...] = ("automation",)


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
