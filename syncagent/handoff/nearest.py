"""The nearest changes that would bring somebody over the line: one that does, else a few that do together.

Rule by rule: what its best other choice would give instead of what it gives now, as far as caps leave room.
"""

import math
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import combinations
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from syncagent.handoff.calendar import before
from syncagent.handoff.interest import words_of
from syncagent.handoff.scoring import Live, is_ready, live_model
from syncagent.model import Activity, Dossier, Score
from syncagent.policy import Condition, Duration, InterestChoice, InterestRule, Policy, ScoreModel

_SHOWN = 4
TOGETHER = 3
_TRIED = 12


class Change(Struct, frozen=True):
    """What would change, and by how many points: "2 more page.visited (*pricing*)", +9."""

    what: str
    points: float
    part: Literal["fit", "interest"]
    rule: str


class Nearest(Struct, frozen=True):
    """`single`: each of these would do by itself, the smallest first. `together`: else these would, all of them."""

    single: tuple[Change, ...] = ()
    together: tuple[Change, ...] = ()


def nearest(dossier: Dossier, policy: Policy, now: datetime) -> Nearest:
    """What would bring the person over their line at `now`; empty when they are over it, or nothing would."""
    live, judged, hits = live_model(dossier, policy, now)
    if is_ready(judged.score, live.line):
        return Nearest()
    model = _model_of(policy, live)
    told = {one.rule: one.points for one in judged.score.contributions}
    best: dict[str, list[Change]] = {}
    for change in _changes(model, told, hits, now, policy.timezone):
        best.setdefault(change.rule, []).append(change)
    every = sorted((one for found in best.values() for one in found), key=lambda one: (one.points, one.rule, one.what))

    def would_do(changes: Sequence[Change]) -> bool:
        fit = judged.score.fit + sum(one.points for one in changes if one.part == "fit")
        interest = judged.score.interest + sum(one.points for one in changes if one.part == "interest")
        return is_ready(Score(fit, interest, live.scorer.grade(fit, interest)), live.line)

    single = [one for one in every if would_do((one,))]
    if single:
        by_rule: dict[str, Change] = {}
        for one in single:
            by_rule.setdefault(one.rule, one)
        return Nearest(single=tuple(by_rule.values())[:_SHOWN])
    largest = sorted((max(found, key=lambda one: one.points) for found in best.values()), key=lambda one: -one.points)
    for count in range(2, TOGETHER + 1):
        fitting = [some for some in combinations(largest[:_TRIED], count) if would_do(some)]
        if fitting:
            return Nearest(together=min(fitting, key=lambda some: sum(one.points for one in some)))
    return Nearest()


def _model_of(policy: Policy, live: Live) -> ScoreModel:
    return next((one.model for one in policy.models if one.name == live.model), policy.scoring)


def _changes(
    model: ScoreModel, told: dict[str, float], hits: dict[int, list[Activity]], now: datetime, zone: str
) -> Iterator[Change]:
    for rule in model.fit:
        for choice in rule.choices:
            gain = rule.weight * choice.priority / 10 - told.get(rule.name, 0.0)
            if gain > 0:
                yield Change(_asked(rule.attribute, choice.condition), gain, "fit", rule.name)
    for index, one in enumerate(model.interest):
        room = _room(model, one, told)
        for told_by in one.choices:
            for change in _activity_changes(one, told_by, told.get(one.name, 0.0), hits.get(index, []), now, zone):
                if min(change.points, room) > 0:
                    yield replace(change, points=min(change.points, room))


def _room(model: ScoreModel, rule: InterestRule, told: dict[str, float]) -> float:
    """What the rule's group still takes."""
    cap = next((one.most for one in model.caps if one.group == rule.group), None) if rule.group else None
    if cap is None:
        return math.inf
    return cap - sum(max(0.0, told.get(one.name, 0.0)) for one in model.interest if one.group == rule.group)


def _activity_changes(
    rule: InterestRule, choice: InterestChoice, has: float, found: list[Activity], now: datetime, zone: str
) -> Iterator[Change]:
    what = words_of(rule)
    most = rule.weight if rule.cap is None else min(rule.weight, rule.cap)
    points = rule.weight * choice.priority / 10
    if choice.idle is not None:
        if has < 0 and points == has:
            yield Change(f"{what} again", -has, "interest", rule.name)
    elif choice.each:
        for more in range(1, _TRIED + 1 if points > 0 else 1):
            yield Change(f"{more} more {what}", min(more * points, most - has), "interest", rule.name)
            if more * points >= most - has:
                break
    else:
        window = choice.within
        many = sum(window is None or one.at >= before(now, window, zone) for one in found)
        needed = choice.exactly if choice.exactly is not None else choice.at_least
        if needed <= 0 or (choice.exactly is not None and many >= needed):
            return
        span = f" within {span_of(window)}" if window is not None else ""
        more = max(needed - many, 1)  # one more renews what has faded
        yield Change(f"{more} more {what}{span}", min(points, most) - has, "interest", rule.name)


def _asked(attribute: str, condition: Condition) -> str:
    if condition.values:
        return f"{attribute} = {' or '.join(str(one) for one in condition.values[:3])}"
    if condition.matches:
        return f"{attribute} like {condition.matches}"
    if condition.globs:
        return f"{attribute} among {', '.join(condition.globs[:3])}"
    if condition.minimum is not None:
        return f"{attribute} at least {condition.minimum:g}"
    if condition.maximum is not None:
        return f"{attribute} at most {condition.maximum:g}"
    if condition.newer is not None:
        return f"{attribute} within {span_of(condition.newer)}"
    if condition.older is not None:
        return f"{attribute} older than {span_of(condition.older)}"
    return f"{attribute} {'unknown' if condition.present is False else 'known'}"


def span_of(window: Duration) -> str:
    """A length of time in a sentence."""
    return f"{window.days} days" if window.days else f"{window.minutes} minutes"
