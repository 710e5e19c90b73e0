"""What is wrong with one score model by itself: choices that never count, weights nobody earns, grades out of reach."""

from collections.abc import Iterator

from syncagent.handoff.conditions import test_words
from syncagent.handoff.earnable import earnable_fit, earnable_interest
from syncagent.handoff.lint.covering import cannot_hold, covers, implies
from syncagent.handoff.lint.reach import Reach, reach_of
from syncagent.handoff.lint.words import Finding, globs_words, rule_words, times_words
from syncagent.policy import Condition, FitRule, InterestRule, ScoreModel

Dead = set[tuple[str, int, int]]


def lint_model(path: str, model: ScoreModel, *, graded: bool) -> tuple[list[Finding], Reach]:
    """The findings of a model, and what it can give. `graded`: whether its grades matter to anybody."""
    dead: Dead = set()
    found: list[Finding] = []
    for n, rule in enumerate(model.fit):
        found += _fit(f"{path}.fit[{n + 1}]", rule, n, dead)
    for n, one in enumerate(model.interest):
        found += _interest(f"{path}.interest[{n + 1}]", one, n, dead)
    reach = reach_of(model, dead)
    if graded and (model.fit or model.interest):
        found += _grades(path, model, reach)
    return found, reach


def _fit(path: str, rule: FitRule, n: int, dead: Dead) -> Iterator[Finding]:
    before: list[Condition] = []
    for k, choice in enumerate(rule.choices):
        here, words = f"{path}.choices[{k + 1}]", test_words(choice.condition)
        why = cannot_hold(choice.condition)
        wider = next((one for one in range(len(before)) if implies(choice.condition, before[one])), None)
        if why:
            says = f"{rule_words(rule)}: no {rule.attribute} {words}, for {why}."
            yield Finding("impossible", "error", here, says, "Mend the test, or take the choice out.")
        elif wider is not None:
            yield _shadowed(here, f"{rule.attribute} {words}", wider, test_words(before[wider]))
        elif all_covered(choice.condition, before):
            says = f"“{rule.attribute} {words}” never counts: each of its values is taken by a choice above it."
            yield Finding("shadowed", "warning", here, says, "Put it above them, or take it out.")
        else:
            before.append(choice.condition)
            continue
        before.append(choice.condition)
        dead.add(("fit", n, k))
    best = max((one.priority for k, one in enumerate(rule.choices) if ("fit", n, k) not in dead), default=0.0)
    yield from _weight(path, rule, best)


def all_covered(condition: Condition, before: list[Condition]) -> bool:
    """Whether the values of a condition are all taken by others, each by one of them."""
    return bool(condition.values) and all(
        any(implies(Condition(values=(value,), newer=condition.newer, older=condition.older), one) for one in before)
        for value in condition.values
    )


def _interest(path: str, rule: InterestRule, n: int, dead: Dead) -> Iterator[Finding]:
    for k, choice in enumerate(rule.choices):
        wider = next((one for one in range(k) if covers(rule.choices[one], choice)), None)
        if wider is not None:
            dead.add(("interest", n, k))
            yield _shadowed(f"{path}.choices[{k + 1}]", times_words(choice), wider, times_words(rule.choices[wider]))
    for name, condition in rule.where.items():
        why = cannot_hold(condition)
        if why:
            says = f"{rule_words(rule)} asks for a {name} that {test_words(condition)}, but {why}."
            yield Finding("impossible", "error", f"{path}.where.{name}", says, "Mend the test, or take it out.")
    if rule.not_asset and rule.asset and _all_unwanted(rule):
        says = f"{rule_words(rule)} counts nothing: {globs_words(rule.asset)} is all left out by not_asset."
        yield Finding("impossible", "error", f"{path}.not_asset", says, "Narrow not_asset.")
    best = max((one.priority for k, one in enumerate(rule.choices) if ("interest", n, k) not in dead), default=0.0)
    each = any(one.each and one.priority > 0 for one in rule.choices)
    most = rule.cap if rule.cap is not None else rule.weight
    if each and most >= rule.weight:
        return
    if rule.cap is not None and rule.cap < rule.weight * best / 10:
        says = f"{rule_words(rule)} weighs {rule.weight:g}, and its cap lets at most {rule.cap:g} be earned."
        helps = "The rest of the 100 is out of reach: lower the weight to the cap, and give the rest to other rules."
        yield Finding("weight", "advice", path, says, helps)
        return
    yield from _weight(path, rule, best)


def _all_unwanted(rule: InterestRule) -> bool:
    wanted = (rule.asset,) if isinstance(rule.asset, str) else rule.asset
    unwanted = (rule.not_asset,) if isinstance(rule.not_asset, str) else rule.not_asset
    return implies(Condition(globs=wanted), Condition(globs=unwanted))


def _weight(path: str, rule: FitRule | InterestRule, best: float) -> Iterator[Finding]:
    if best >= 10 or best <= 0:  # what only takes points away has a weight to lose them by
        return
    says = f"{rule_words(rule)} weighs {rule.weight:g}, and nobody earns more than {rule.weight * best / 10:g} of it."
    helps = "The rest of the 100 is out of reach: give the best choice priority 10"
    yield Finding("weight", "advice", path, says, f"{helps}, or lower the weight and give the rest to other rules.")


def _shadowed(path: str, words: str, wider: int, by: str) -> Finding:
    says = f"“{words}” never counts: choice {wider + 1} above it (“{by}”) takes everybody first."
    return Finding("shadowed", "warning", path, says, "The first choice that holds counts: put the narrower one first.")


def _grades(path: str, model: ScoreModel, reach: Reach) -> Iterator[Finding]:
    most = earnable_fit(model.fit), earnable_interest(model)
    for key, names, shares, reached, rules, sums, possible in (
        ("letters", "ABCD", model.letters, reach.letters, model.fit, reach.fit, most[0]),
        ("numbers", "1234", model.numbers, reach.numbers, model.interest, reach.interest, most[1]),
    ):
        missing = [name for name in names if name not in reached]
        if not rules or not missing:
            continue
        from_points = {name: share * possible for name, share in zip(names, shares, strict=False)}
        wants = ", ".join(
            f"{name} from {from_points[name]:g}" if name in from_points else f"{name} below" for name in missing
        )
        said = "letter" if key == "letters" else "number"
        says = (
            f"No points make the {said}{'s' if len(missing) > 1 else ''} {' and '.join(missing)} ({wants} of"
            f" {possible:g} points); what can be earned lies between {sums.least:g} and {sums.most:g}."
        )
        helps = "Add choices with priorities in between, or move the shares."
        yield Finding("grade", "advice", f"{path}.grade.{key}", says, helps)
