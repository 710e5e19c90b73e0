"""Routes that nobody can take a lead by, reps whom no lead reaches, and territories that two claim."""

from collections.abc import Iterator, Mapping

from syncagent.handoff.conditions import fold
from syncagent.handoff.lint.covering import all_imply
from syncagent.handoff.lint.words import Finding
from syncagent.handoff.territory import Overlap, map_of
from syncagent.policy import Condition, Policy, Rep, Route, RouteTarget

_SHOWN = 5


def when_of(route: Route) -> dict[str, Condition]:
    """The tests of a route, its regions as one of them."""
    return {**route.when, "region": Condition(values=route.regions)} if route.regions else route.when


def lint_routing(policy: Policy) -> Iterator[Finding]:
    """Everything about who takes leads that cannot be meant so."""
    reps = {rep.crm_id: rep for rep in policy.reps}
    for n, route in enumerate(policy.routes, 1):
        yield from _nobody(f"routes[{n}].to", f"The route “{route.name}”", route.to, reps)
    yield from _in_no_pool(policy)
    yield from _claimed_twice(policy)
    yield from _listed_twice(policy)


def _nobody(path: str, what: str, to: RouteTarget, reps: Mapping[str, Rep]) -> Iterator[Finding]:
    members = [reps[one] for pool in (to.pool, *(pool.members for pool in to.then)) for one in pool if one in reps]
    if not members:
        return
    full = [rep for rep in members if 0 in (rep.cap_open, rep.cap_per_day)]
    if len(full) == len(members):
        says = f"{what} reaches nobody: the caps of all its reps are 0."
        yield Finding("nobody", "error", path, says, "Raise a cap, or name somebody else.")
    for name in to.skills:
        skilled = [rep for rep in members if rep.skills.get(name)]
        if not skilled:
            says = f"{what} asks for reps with the {name} of the lead, and none of its reps has any."
            helps = f'Write what each can, for example: skills = {{ {name} = ["..."] }}.'
            yield Finding("nobody", "error", f"{path}.skills", says, helps)
    idle = [rep for rep in members if rep.hours is not None and not any(rep.hours.week)]
    if to.at_work and len(idle) == len(members):
        says = f"{what} asks for somebody at work, and none of its reps has hours."
        yield Finding("nobody", "error", f"{path}.at_work", says, "Give them hours.")


def _in_no_pool(policy: Policy) -> Iterator[Finding]:
    targets = (*(route.to for route in policy.routes), *policy.routing.targets.values())
    pooled = {one for to in targets for pool in (to.pool, *(pool.members for pool in to.then)) for one in pool}
    for n, rep in enumerate(policy.reps, 1):
        if rep.crm_id not in pooled:
            says = f"{rep.name} is in no pool: no route leads to them."
            helps = "Name them in a route, a team or the list of territories; owners keep their own leads all the same."
            yield Finding("nobody", "warning", f"reps[{n}]", says, helps)


def _claimed_twice(policy: Policy) -> Iterator[Finding]:
    """Routes with the same kinds of tests that both fit some leads, and neither all of the other's."""
    for n, route in enumerate(policy.routes, 1):
        for other in policy.routes[: n - 1]:
            mine, theirs = when_of(route), when_of(other)
            if not mine or mine.keys() != theirs.keys() or all_imply(mine, theirs) or all_imply(theirs, mine):
                continue
            both = [_both(mine[name], theirs[name]) for name in mine]
            if all(both):
                says = f"The routes “{other.name}” and “{route.name}” both claim {' and '.join(both)}."
                helps = f"“{other.name}” stands first and takes them; take them out of the other, or change the order."
                yield Finding("overlap", "advice", f"routes[{n}].when", says, helps)
                break


def _both(one: Condition, other: Condition) -> str:
    """What meets both, in words; empty when nothing can be seen to."""
    if one.values and other.values:
        common = {fold(value) for value in one.values} & {fold(value) for value in other.values}
        return ", ".join(sorted(str(value) for value in one.values if fold(value) in common)[:_SHOWN])
    if one.spans and other.spans:
        for low, high in one.spans:
            for first, last in other.spans:
                if low <= last and first <= high:
                    return f"the postal codes from {max(low, first)} on"
        return ""
    if not all(each.minimum is not None or each.maximum is not None for each in (one, other)):
        return ""
    least = max(each.minimum if each.minimum is not None else float("-inf") for each in (one, other))
    most = min(each.maximum if each.maximum is not None else float("inf") for each in (one, other))
    return f"{least:g} to {most:g}" if least <= most else ""


def _listed_twice(policy: Policy) -> Iterator[Finding]:
    overlaps = map_of(policy).overlaps
    for one in overlaps[:_SHOWN]:
        yield _listed(one)
    if len(overlaps) > _SHOWN:
        says = f"And {len(overlaps) - _SHOWN} rows more of the territories claim what another one has."
        yield Finding("overlap", "warning", "routing.territories", says, "Mend those above first.")


def _listed(one: Overlap) -> Finding:
    says = f"{one.wins.row} ({one.wins.to}) and {one.loses.row.lower()} ({one.loses.to}) both claim {one.what}."
    helps = f"{one.wins.to} gets them now. Give each to one; an exception may stand whole inside a wider range."
    return Finding("overlap", "warning", "routing.territories", says, helps)
