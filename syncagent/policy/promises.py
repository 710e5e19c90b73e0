"""What sales promises: SLA terms."""

from typing import Literal

from msgspec import Struct

from syncagent.model import SlaStep
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
