"""What in a process map cannot be meant so: lines that nobody may cross, stages without a way out, circles.

And campaigns that nobody leaves who comes up again.
"""

from collections.abc import Iterator

from syncagent.handoff.lint.words import Finding
from syncagent.handoff.process import allowed
from syncagent.model import Stage
from syncagent.policy import Policy, StageRule

_WITH_SALES = (Stage.MQL, Stage.SAL, Stage.SQL, Stage.OPPORTUNITY)
_ENDS = frozenset((Stage.WON, Stage.LOST, Stage.DISQUALIFIED, Stage.CUSTOMER, Stage.RECYCLED))


def lint_map(policy: Policy) -> Iterator[Finding]:
    """Everything found in [stages]; nothing where there is no map."""
    rules = {rule.stage: rule for rule in policy.stages}
    if not rules:
        return
    if not any(allowed(below, Stage.MQL, policy) for below in (Stage.SUSPECT, Stage.PROSPECT)):
        says = "The map lets nobody go to mql: nothing can be handed off."
        yield Finding("map", "error", "stages.prospect.to", says, 'Add "mql".')
    given_back = Stage.RECYCLED in policy.crm.answers.values()
    for rule in policy.stages:
        path = f"stages.{rule.stage}"
        yield from _one(rule, path)
        if rule.stage in _WITH_SALES and not _ends(rule.stage, policy):
            says = f"No way leads from {rule.stage} to an end: whoever comes there stays with sales for ever."
            helps = "Let it go to recycled, won, lost or disqualified, or to a stage that may."
            yield Finding("map", "error", f"{path}.to", says, helps)
        elif rule.stage in _WITH_SALES and given_back and not rule.allows(Stage.RECYCLED):
            says = f"A rep may not give back a lead in {rule.stage}: each one is reported as off the map."
            yield Finding("map", "warning", f"{path}.to", says, 'Add "recycled", if that is meant to happen.')
    yield from _circles(rules)


def lint_nurture(policy: Policy) -> Iterator[Finding]:
    """What a requested campaign began goes on when the lead is back with sales, unless another one ends it."""
    places = [("recycle", policy.recycle.nurture)]
    places += [(f"recycle.reasons.{one.reason}", one.nurture) for one in policy.recycle.reasons]
    for path, place in places:
        if place is not None and place.campaign_id is not None and place.leave_id is None:
            says = f"Whoever comes up again stays in what campaign {place.campaign_id} began."
            helps = (
                "Name the campaign that takes them out of it as `leave`, or use a list: people are taken out of lists."
            )
            yield Finding("nurture", "advice", f"{path}.nurture", says, helps)


def _one(rule: StageRule, path: str) -> Iterator[Finding]:
    if rule.next is rule.stage:
        yield Finding("map", "error", f"{path}.next", f"The next step after {rule.stage} is itself.", "Name another.")
    if not rule.owner and rule.stage in (*_WITH_SALES, Stage.ON_HOLD):
        says = f"Nobody answers for the stage {rule.stage}."
        yield Finding("map", "advice", f"{path}.owner", says, "Name a team or a person.")


def _ends(start: Stage, policy: Policy) -> bool:
    """Whether some allowed moves lead from a stage to an end."""
    seen, ahead = {start}, [start]
    while ahead:
        here = ahead.pop()
        for other in Stage:
            if other in seen or not allowed(here, other, policy) or other in (Stage.SUSPECT, Stage.PROSPECT):
                continue
            if other in _ENDS:
                return True
            seen.add(other)
            ahead.append(other)
    return False


def _circles(rules: dict[Stage, StageRule]) -> Iterator[Finding]:
    told: set[Stage] = set()
    for start in rules:
        way: list[Stage] = []
        here: Stage | None = start
        while here is not None and here not in way and here not in told:
            way.append(here)
            rule = rules.get(here)
            here = rule.next if rule is not None else None
        if here is not None and here in way and len(way) - way.index(here) > 1:
            circle = " to ".join([*way[way.index(here) :], here])
            says = f"The next steps go round in a circle: {circle}."
            yield Finding("map", "error", f"stages.{here}.next", says, "Let one of them lead on.")
        told.update(way)
