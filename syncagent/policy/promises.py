"""What sales promises: SLA terms."""

from typing import Literal

from msgspec import Struct

from syncagent.model import SlaStep
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
