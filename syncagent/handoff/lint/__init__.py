"""What in a policy cannot be meant so: lines out of reach, choices that never count, rules that nobody meets.

Pure: of the policy alone, and of what a population shows of it (`Observed`), when there is one.
"""

import difflib
from collections.abc import Iterator, Mapping, Sequence

from syncagent.handoff.conditions import test_words
from syncagent.handoff.gate import attribute_of
from syncagent.handoff.lint.asked import misspelt, without_model
from syncagent.handoff.lint.brief import unfilled
from syncagent.handoff.lint.covering import all_imply, cannot_hold
from syncagent.handoff.lint.map import lint_map, lint_nurture
from syncagent.handoff.lint.model import lint_model
from syncagent.handoff.lint.observed import Look, Observed, models_of
from syncagent.handoff.lint.reach import Reach
from syncagent.handoff.lint.routing import lint_routing, when_of
from syncagent.handoff.lint.words import Finding, Level, globs_words, rule_words
from syncagent.model import Stage
from syncagent.policy import Condition, FitRule, Policy, Question, Threshold

__all__ = ["Finding", "Level", "Look", "Observed", "lint"]

_ORDER: dict[Level, int] = {"error": 0, "warning": 1, "advice": 2}
_SHOWN = 5


def lint(policy: Policy, observed: Observed | None = None) -> tuple[Finding, ...]:
    """Everything found, the worst first."""
    found: list[Finding] = []
    reaches: dict[str, Reach] = {}
    for path, model, of in models_of(policy):
        findings, reaches[path] = lint_model(path, model, graded=of != "accounts")
        found += findings
    found += _lines(policy, reaches)
    found += _first_that_fits(policy)
    found += lint_routing(policy)
    found += _promises(policy, reaches)
    found += _stages(policy, reaches)
    found += lint_map(policy)
    found += lint_nurture(policy)
    found += without_model(policy)
    found += unfilled(policy, observed)
    if observed is not None and observed.people:
        meant = tuple(misspelt(policy, observed))
        found += meant
        named = {one.path for one in meant}
        found += (one for one in _never_seen(policy, observed) if one.kind != "value" or one.path not in named)
    return tuple(sorted(found, key=lambda one: _ORDER[one.level]))


# -- lines


def _lines(policy: Policy, reaches: Mapping[str, Reach]) -> Iterator[Finding]:
    yield from _line("handoff.mql", policy.mql, reaches["score"])
    for n, segment in enumerate(policy.segments, 1):
        yield from _line(f"handoff.segments[{n}].mql", segment.mql, _reach_of(segment.model, reaches))
    live = reaches["score"]
    wake = policy.recycle.wake_points
    if wake is not None and wake > live.interest.most:
        says = f"Nobody comes up early by {wake:g} points: what people do gives at most {live.interest.most:g}."
        yield Finding("line", "warning", "recycle.wake_early.points", says, f"Ask for {live.interest.most:g} at most.")
    for one in policy.models:
        reach, alert = reaches[f"models.{one.name}"], one.alert
        if alert is None:
            continue
        if alert.above is not None and alert.above > reach.most:
            says = f"The model gives at most {reach.most:g} points: nobody is told of above {alert.above:g}."
            yield Finding("line", "error", f"models.{one.name}.alert.above", says, "Lower the line.")
        least = reach.fit.least + reach.interest.least
        if alert.below is not None and alert.below <= least:
            says = f"The model gives {least:g} points at least: nobody is told of below {alert.below:g}."
            yield Finding("line", "error", f"models.{one.name}.alert.below", says, "Raise the line.")


def _reach_of(model: str, reaches: Mapping[str, Reach]) -> Reach:
    return reaches[f"models.{model}" if model else "score"]


def _line(path: str, line: Threshold, reach: Reach) -> Iterator[Finding]:
    most = reach.most
    earned = f"{most:g} ({reach.fit.most:g} for who they are, {reach.interest.most:g} for what they do)"
    helps = f"Lower it to {most:g} at most, or raise priorities: points are weight x priority / 10."
    out = [grade for grade in line.grades if reach.best(grade) is None]
    too_high = line.score is not None and line.score > most
    alone = line.need == "all" or not (line.grades if line.score is not None else ())
    if too_high:
        says = f"Nobody can reach {line.score:g} points: at most {earned} can be earned."
        yield Finding("line", "error" if alone or len(out) == len(line.grades) else "warning", path, says, helps)
    if out:
        every = len(out) == len(line.grades) and (line.need == "all" or line.score is None or too_high)
        says = f"No points make the grade{'s' if len(out) > 1 else ''} {', '.join(out)}."
        known = ", ".join(reach.grades)
        yield Finding("line", "error" if every else "warning", path, says, f"Grades that can be had: {known}.")
    if line.need == "all" and line.score is not None and not too_high and len(out) < len(line.grades):
        below = [grade for grade in line.grades if grade not in out and (reach.best(grade) or 0.0) < line.score]
        if below:
            every = len(below) + len(out) == len(line.grades)
            says = f"With grade {', '.join(below)} nobody has {line.score:g} points, and both are asked for."
            helps = "Lower the score, or leave these grades out."
            yield Finding("line", "error" if every else "warning", path, says, helps)


# -- lists of which the first that fits counts


def _first_that_fits(policy: Policy) -> Iterator[Finding]:
    for path, word, whens in (
        ("handoff.segments", "segment", [(one.name, one.when) for one in policy.segments]),
        ("routes", "route", [(one.name, when_of(one)) for one in policy.routes]),
    ):
        for n, (name, when) in enumerate(whens, 1):
            here = f"{path}[{n}]"
            yield from _impossible(here, f"The {word} “{name}”", when)
            wider = next((one for one, (_, other) in enumerate(whens[: n - 1], 1) if all_imply(when, other)), None)
            if wider is not None:
                says = (
                    f"Nobody gets to the {word} “{name}”: the {word} “{whens[wider - 1][0]}” above takes all of them."
                )
                helps = "The first that fits counts: put the narrower one first."
                yield Finding("shadowed", "error", here, says, helps)


def _impossible(path: str, what: str, when: Mapping[str, Condition]) -> Iterator[Finding]:
    for name, condition in when.items():
        why = cannot_hold(condition)
        if why:
            says = f"{what} asks for a {name} that {test_words(condition)}, but {why}."
            yield Finding("impossible", "error", f"{path}.when.{name}", says, "Mend the test, or take it out.")


def _promises(policy: Policy, reaches: Mapping[str, Reach]) -> Iterator[Finding]:
    """SLAs: the first whose grades and conditions fit counts."""
    models = {"", *(one.model for one in policy.segments)}
    grades = {grade for model in models for grade in _reach_of(model, reaches).grades}
    for n, terms in enumerate(policy.slas, 1):
        path = f"sla[{n}]"
        yield from _impossible(path, f"The promise “{terms.name}”", terms.when)
        wrong = [one for one in terms.grades if one not in grades]
        if wrong:
            level: Level = "error" if len(wrong) == len(terms.grades) else "warning"
            says = f"The promise “{terms.name}” is for {', '.join(wrong)}, and no points make that."
            helps = f"Grades that can be had: {', '.join(sorted(grades))}."
            yield Finding("grade", level, f"{path}.when.grades", says, helps)
        for other in policy.slas[: n - 1]:
            if (other.of, other.stage) != (terms.of, terms.stage):
                continue
            takes = not other.grades or (terms.grades and set(terms.grades) <= set(other.grades))
            takes = takes and (not other.segments or (terms.segments and set(terms.segments) <= set(other.segments)))
            if takes and all_imply(terms.when, other.when):
                says = f"The promise “{terms.name}” is never given: “{other.name}” above takes all of them."
                yield Finding(
                    "shadowed", "error", path, says, "The first that fits counts: put the narrower one first."
                )
                break
    touches = [one for one in policy.slas if one.of == "first touch" and not one.segments]
    if policy.slas and not any(not one.grades and not one.when for one in touches):
        left = sorted(grades - {grade for one in touches if not one.when for grade in one.grades})
        if left:
            says = f"Whoever is handed off with {', '.join(left)} may have no promise: no SLA is for all."
            yield Finding("grade", "advice", "sla", says, "Put one without `when` last.")


# -- the process map


def _stages(policy: Policy, reaches: Mapping[str, Reach]) -> Iterator[Finding]:
    answers = set(policy.crm.answers.values())
    by_deals = {Stage.OPPORTUNITY, Stage.WON, Stage.LOST, Stage.CUSTOMER}
    entered = {Stage.SUSPECT, Stage.PROSPECT, Stage.SQL, *by_deals, *answers}
    lines = [(policy.mql, reaches["score"]), *((one.mql, _reach_of(one.model, reaches)) for one in policy.segments)]
    if policy.always or any(_can_be_crossed(line, reach) for line, reach in lines):
        entered.add(Stage.MQL)
    for rule in policy.stages:
        for stage, path in ((rule.stage, f"stages.{rule.stage}"), (rule.next, f"stages.{rule.stage}.next")):
            if stage is None or stage in entered:
                continue
            key = "accepted" if stage is Stage.SAL else stage.value
            helps = f'Name the status by which sales says so under [crm.status], for example: {key} = ["..."].'
            if stage is Stage.MQL:
                helps = "Lower the line of [handoff] until somebody can cross it."
            says = f"Nobody can enter the stage {stage.value}: nothing that is told means it."
            yield Finding("stage", "error" if path.endswith(stage.value) else "warning", path, says, helps)


def _can_be_crossed(line: Threshold, reach: Reach) -> bool:
    return not any(one.level == "error" for one in _line("", line, reach))


# -- what a population shows


def _never_seen(policy: Policy, seen: Observed) -> Iterator[Finding]:
    among = f"of {seen.people:,} people" if seen.people > 1 else "of the one person there is"
    for path, model, of in models_of(policy):
        for n, rule in enumerate(model.fit, 1):
            yield from _fit_never(f"{path}.fit[{n}]", rule, seen, among, of)
        for n, one in enumerate(model.interest, 1):
            here = f"{path}.interest[{n}]"
            if not seen.matched[here] and not seen.fired[here]:
                what = globs_words(one.activity) + (f" on {globs_words(one.asset)}" if one.asset else "")
                says = f"{rule_words(one)} never counted anything: none {among} did {what}."
                yield Finding("never", "warning", here, says, _activity_help(one.activity, one.asset, seen))
            elif not seen.fired[here]:
                says = (
                    f"{rule_words(one)} gives points to nobody now, although {seen.matched[here]:,} activities fit it."
                )
                helps = "Look at its windows and numbers: they may ask for more than anybody does."
                yield Finding("never", "advice", here, says, helps)
    for n, raiser in enumerate(policy.always, 1):
        if not seen.met[f"handoff.always[{n}]"]:
            says = f"Nobody {among} ever did {raiser.activity}{f' on {raiser.asset}' if raiser.asset else ''}."
            helps = _activity_help(raiser.activity, raiser.asset, seen)
            yield Finding("never", "warning", f"handoff.always[{n}]", says, helps)
    for path, word, names in (
        ("handoff.segments", "segment", [one.name for one in policy.segments]),
        ("routes", "route", [one.name for one in policy.routes]),
    ):
        for n, name in enumerate(names, 1):
            if not seen.met[f"{path}[{n}]"] and not (word == "route" and n == len(names)):
                says = f"Nobody {among} is one for the {word} “{name}”."
                yield Finding("never", "advice", f"{path}[{n}]", says, "Look at its `when`: which values are known?")
    yield from _gate(policy, seen, among)
    if not seen.over:
        says = f"Nobody {among} is past the line now."
        best = min(seen.grades, default="none")
        yield Finding("line", "advice", "handoff.mql", says, f"The best grade that anybody has is {best}.")


def _fit_never(path: str, rule: FitRule, seen: Observed, among: str, of: str) -> Iterator[Finding]:
    if of == "deals":  # people stand for their deals only roughly
        return
    if not seen.known[rule.attribute]:
        if any(choice.condition.present is False for choice in rule.choices):
            return
        says = f"{rule_words(rule)} never counted: {rule.attribute} is not known of anybody {among}."
        helps = "Map the field under [sources.NAME.fields] or [crm.fields], or take the rule out."
        yield Finding("never", "warning", path, says, helps)
        return
    values: Mapping[str, int] = seen.values.get(rule.attribute, {})
    most = sorted(values, key=lambda one: (-values[one], one))
    for k, choice in enumerate(rule.choices, 1):
        here = f"{path}.choices[{k}]"
        if seen.met[here] or cannot_hold(choice.condition):
            continue
        says = f"“{rule.attribute} {test_words(choice.condition)}” fits nobody {among}."
        wanted = next((str(one) for one in choice.condition.values), "")
        helps = _did_you_mean(wanted, most) if wanted else f"Values there are: {', '.join(most[:_SHOWN])}."
        yield Finding("value", "advice", here, says, helps)


def _gate(policy: Policy, seen: Observed, among: str) -> Iterator[Finding]:
    by_name = {one.name: one for one in policy.gate.questions}
    for name in policy.gate.required:
        question = by_name.get(name, Question(name))
        attribute = attribute_of(question)
        if seen.known[attribute]:
            continue
        waits = (question.unknown or policy.gate.unknown) == "wait"
        says = f"The answer to “{name}” ({attribute}) is not known of anybody {among}"
        says += ", and without it nobody is handed off." if waits else ": it is asked in every task."
        helps = f"Map a field to {attribute}, or name another one: [handoff.gate.questions.{name}] attribute."
        yield Finding("never", "error" if waits else "advice", "handoff.gate.bantfo.required", says, helps)


def _activity_help(activity: "str | tuple[str, ...]", asset: "str | tuple[str, ...]", seen: Observed) -> str:
    wanted = (activity,) if isinstance(activity, str) else activity
    kinds = sorted(seen.kinds, key=lambda one: (-seen.kinds[one], one))
    if not kinds:
        return "No activities are known yet: read history with `syncagent backfill`."
    if asset and any(one in seen.kinds for one in wanted):
        assets = sorted(seen.assets, key=lambda one: (-seen.assets[one], one))
        return f"Assets there are: {', '.join(assets[:_SHOWN])}." if assets else "No activity names an asset."
    return _did_you_mean(wanted[0] if wanted else "", kinds)


def _did_you_mean(wanted: str, known: Sequence[str]) -> str:
    folded = {one.casefold(): one for one in reversed(known)}
    near = difflib.get_close_matches(wanted.casefold(), folded, n=1, cutoff=0.6)
    if near and near[0] != wanted.casefold():
        return f"Did you mean {folded[near[0]]}?"
    return f"Values there are: {', '.join(known[:_SHOWN])}."
