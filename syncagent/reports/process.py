"""The process map as it runs, with the day's numbers on it: who answers, how long, how many, where they go."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from msgspec import Struct

from syncagent.handoff import allowed, longest_stay
from syncagent.handoff.calendar import before
from syncagent.model import Stage
from syncagent.policy import Policy
from syncagent.reports.formats.words import DASH
from syncagent.state.store import StageNumbers, Store

LATELY = timedelta(days=90)
"""Stays that ended, and moves that were made, count so long."""

_WITH_SALES = frozenset((Stage.MQL, Stage.SAL, Stage.SQL, Stage.OPPORTUNITY))


class Box(Struct, frozen=True):
    """One stage. `longest` in words, empty: none is kept. `median` is of the stays that ended lately, in seconds."""

    stage: str
    owner: str
    longest: str
    next: str
    tell: str
    on_the_map: bool
    here: int
    stuck: int
    left: int
    median: float | None


class Arrow(Struct, frozen=True):
    """A way from one stage to another: whether the map allows it, whether it is the next step, how many went."""

    before: str
    after: str
    allowed: bool
    next: bool
    moved: int


class Picture(Struct, frozen=True):
    """The whole map at `at`."""

    at: datetime
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]


def picture(store: Store, policy: Policy, now: datetime, names: Mapping[str, str]) -> Picture:
    """The map of the policy with what the state holds. `names`: what CRM users are called."""
    rules = {rule.stage: rule for rule in policy.stages}
    cuts = {str(stage): before(now, longest_stay(stage, policy), policy.timezone) for stage in _WITH_SALES}
    for one in policy.stages:
        if one.longest is not None:
            cuts[str(one.stage)] = before(now, one.longest, policy.timezone)
    counted = store.stage_numbers(now - LATELY, cuts)
    moved = store.moves(now - LATELY)
    called = {rep.crm_id: rep.name for rep in policy.reps} | dict(names)
    boxes = []
    for stage in Stage:
        rule, number = rules.get(stage), counted.get(stage, StageNumbers())
        longest = rule.longest if rule is not None else None
        if longest is None and stage in _WITH_SALES:
            longest = longest_stay(stage, policy)
        tell = called.get(rule.tell, rule.tell) if rule is not None else ""
        boxes.append(
            Box(
                stage=str(stage),
                owner=rule.owner if rule is not None else "",
                longest="" if longest is None else f"{longest.days}d" if longest.days else f"{longest.minutes}m",
                next=str(rule.next) if rule is not None and rule.next is not None else "",
                tell=tell
                or ("the rep's manager" if stage in _WITH_SALES else "the manager" if longest is not None else ""),
                on_the_map=rule is not None,
                here=number.here,
                stuck=number.stuck,
                left=number.left,
                median=number.median,
            )
        )
    return Picture(now, tuple(boxes), _arrows(policy, moved))


def _arrows(policy: Policy, moved: Mapping[tuple[str, str], int]) -> tuple[Arrow, ...]:
    ways: dict[tuple[str, str], None] = {}
    steps = set()
    for rule in policy.stages:
        if rule.next is not None:
            steps.add((str(rule.stage), str(rule.next)))
        for after in (*((rule.next,) if rule.next is not None else ()), *(rule.to or ())):
            ways[str(rule.stage), str(after)] = None
    ways.update(dict.fromkeys(moved))
    return tuple(
        Arrow(one, other, allowed(Stage(one), Stage(other), policy), (one, other) in steps, moved.get((one, other), 0))
        for one, other in ways
        if one != other
    )


def lasted(seconds: float | None) -> str:
    """A length of time in a few characters, for a box of the map; a dash for none."""
    if seconds is None:
        return DASH
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
