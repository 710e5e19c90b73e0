"""The most that a model's rules can give: grades are shares of it.

Reckoned rule by rule from its best choice and what caps leave of it, with rules taken as independent. Weights that
nobody can earn (of rules that only take points away, say) make no grade harder.
"""

from collections.abc import Sequence

from syncagent.policy import FitRule, InterestRule, ScoreModel


def earnable_fit(rules: Sequence[FitRule]) -> float:
    """The most points for who somebody is."""
    return sum(max(0.0, _best(rule)) for rule in rules)


def earnable_interest(model: ScoreModel) -> float:
    """The most points for what somebody does: what rules of a group give together is held down by its caps."""
    caps = {cap.group: cap for cap in model.caps}
    by_group: dict[str, float] = {}
    for rule in model.interest:
        cap = caps.get(rule.group) if rule.group else None
        by_group[rule.group] = by_group.get(rule.group, 0.0) + _most(rule, cap.per_day if cap is not None else None)
    total = 0.0
    for group, points in by_group.items():
        most = caps[group].most if group in caps else None
        total += points if most is None else min(points, most)
    return total


def _most(rule: InterestRule, per_day: float | None) -> float:
    """What a rule gives at most: what counts once counts on one day, what counts each time may count on several."""
    best = max(0.0, _best(rule))
    if any(choice.each and choice.priority > 0 for choice in rule.choices):
        best = rule.weight
    elif per_day is not None:
        best = min(best, per_day)
    return best if rule.cap is None else min(best, rule.cap)


def _best(rule: FitRule | InterestRule) -> float:
    return max((rule.weight * choice.priority / 10 for choice in rule.choices), default=0.0)
