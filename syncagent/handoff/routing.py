"""Who gets the lead, and why: the owner it has, the account's owner, then the first route that fits.

A pool is a smooth weighted rotation: at each turn everybody who can take the lead now earns their weight, the
richest takes it and pays what all earned. Who is away earns nothing, so nobody is flooded on coming back.
Nobody is left without an owner or a queue: a full pool falls back on its queue, then on the next route that fits.
"""

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import NamedTuple

from msgspec.structs import replace

from syncagent.handoff.calendar import is_away, local_day
from syncagent.handoff.compiled import once_per_policy
from syncagent.handoff.conditions import Fits, fits_of
from syncagent.model import Assignment, Roster, Value
from syncagent.policy import Policy, Rep, Route


class Loads:
    """The roster while a plan is made: a copy that turns and counts are taken from."""

    def __init__(self, roster: Roster, policy: Policy, now: datetime) -> None:
        self._first = roster
        self._turns = {pool: dict(credit) for pool, credit in roster.turns.items()}
        self._open = dict(roster.open)
        self._day = local_day(now, policy.timezone)
        self._today = dict(roster.today) if roster.day == self._day else {}
        self._reminded = dict(roster.reminded) if roster.day == self._day else {}

    def take(self, owner: str, *, counted: bool = True) -> None:
        """One more open lead with this owner; `counted` when we gave it (not when a person did)."""
        self._open[owner] = self._open.get(owner, 0) + 1
        if counted:
            self._today[owner] = self._today.get(owner, 0) + 1

    def give_back(self, owner: str) -> None:
        """One open lead fewer with this owner."""
        left = self._open.get(owner, 0) - 1
        if left > 0:
            self._open[owner] = left
        else:
            self._open.pop(owner, None)

    def remind(self, who: str) -> int:
        """One more alert for this person today; how many they have had before it."""
        before = self._reminded.get(who, 0)
        self._reminded[who] = before + 1
        return before

    def refusal(self, rep: Rep, policy: Policy, now: datetime) -> str:
        """Why this rep cannot take a lead now; empty when they can."""
        if not self._first.active.get(rep.crm_id, True):
            return "inactive in the CRM"
        if is_away(now, _zone(rep, policy), _away(rep, policy)):
            return "away today"
        held = self._open.get(rep.crm_id, 0)
        if rep.cap_open is not None and held >= rep.cap_open:
            return f"full, {held}/{rep.cap_open} open"
        given = self._today.get(rep.crm_id, 0)
        if rep.cap_per_day is not None and given >= rep.cap_per_day:
            return f"has had {given}/{rep.cap_per_day} today"
        return ""

    def describe(self, rep: Rep, turn: float) -> str:
        """One line on a rep who can take it: the credit before this turn, and the load."""
        limit = f"/{rep.cap_open}" if rep.cap_open is not None else ""
        return f"{rep.name}: turn {turn:.2f}, open {self._open.get(rep.crm_id, 0)}{limit}"

    def turn(self, pool: str, reps: list[Rep]) -> tuple[Rep, dict[str, float]]:
        """Whose turn it is among those who can take it, and each one's credit when it was decided."""
        credit = self._turns.setdefault(pool, {})
        weights = {rep.crm_id: rep.weight if rep.weight > 0 else 1e-6 for rep in reps}
        before = {rep.crm_id: credit.get(rep.crm_id, 0.0) + weights[rep.crm_id] for rep in reps}
        chosen = max(reps, key=lambda rep: before[rep.crm_id])
        credit.update(before)
        credit[chosen.crm_id] -= sum(weights.values())
        return chosen, before

    def roster(self) -> Roster:
        """The roster after the plan."""
        return replace(
            self._first,
            turns=self._turns,
            open=self._open,
            today=self._today,
            day=self._day,
            reminded=self._reminded,
        )


class Case(NamedTuple):
    """Whom to route: attributes, the owners that come before any rule, and who must not get it (again)."""

    attributes: Mapping[str, Value]
    now: datetime
    last: str = ""  # the rep of the last handoff, for a come-back
    current: str = ""  # the CRM's owner
    account: str = ""  # the account's owner
    route: str = ""  # by which the handoff was opened: it stays with it (law 13)
    exclude: Collection[str] = ()


class _Plan(NamedTuple):
    route: Route
    fits: Fits


class Team(NamedTuple):
    """The policy's reps by CRM id, and its routes ready to test."""

    reps: dict[str, Rep]
    routes: tuple[_Plan, ...]


@once_per_policy
def team_of(policy: Policy) -> Team:
    """The reps and routes of a policy."""
    routes = tuple(_Plan(route, fits_of(route.when)) for route in policy.routes)
    return Team({rep.crm_id: rep for rep in policy.reps}, routes)


def manager_of(owner: str, policy: Policy, *, other: str = "") -> str:
    """Who is told when a promise is broken: the rep's manager, else the policy's, else the step's own."""
    rep = team_of(policy).reps.get(owner)
    return (rep.manager if rep is not None else "") or policy.manager or other


def assign(case: Case, policy: Policy, loads: Loads) -> Assignment:
    """Choose the owner and take their turn. Always somebody: at worst a queue, at very worst whoever is left."""
    team = team_of(policy)
    for owner, route, why in (
        (case.last, "same rep", "worked this lead before"),
        (case.current, "current owner", "owns the record in the CRM"),
        (case.account, "account owner", "owns the account"),
    ):
        rep = team.reps.get(owner) if owner and owner not in case.exclude else None
        if rep is not None and not _keeps(loads.refusal(rep, policy, case.now), may_be_full=route == "current owner"):
            return _given(loads, rep.crm_id, case, route, f"{rep.name} {why}.")
    chosen = _by_routes(case, policy, loads, team)
    return chosen if chosen is not None else _left_over(case, policy, loads, team)


def from_pool(name: str, case: Case, policy: Policy, loads: Loads) -> Assignment | None:
    """A rep of this route's pool, for a lead that waits in its queue; None while nobody can take it."""
    team = team_of(policy)
    for route, _ in team.routes:
        if route.name == name and route.to.pool:
            return _rotate(route, case, policy, loads, team)[0]
    return None


def reassign(case: Case, policy: Policy, loads: Loads) -> Assignment | None:
    """Somebody else by the routes, or their queue; None when there is neither."""
    chosen = _by_routes(case, policy, loads, team_of(policy))
    if chosen is not None and chosen.owner not in case.exclude:
        return chosen
    if chosen is not None:
        loads.give_back(chosen.owner)
    return queue_for(case, policy, loads, "Nobody else can take it now.")


def queue_for(case: Case, policy: Policy, loads: Loads, why: str) -> Assignment | None:
    """The queue that stands behind the route that fits, else any queue; None when the policy has none."""
    queues = [
        (route.name, _queue_id(route.to.fallback_queue or route.to.queue, policy))
        for route in _fitting(case, team_of(policy))
    ]
    queues += [("any queue", queue) for queue in sorted(policy.queues.values())]
    for route_name, queue in queues:
        if queue and queue not in case.exclude:
            return _given(loads, queue, case, route_name, why, queue=True)
    return None


def _fitting(case: Case, team: Team) -> Iterator[Route]:
    """The routes that fit, in their order; first the one that the handoff was opened by, whether it fits or not."""
    if case.route:
        yield from (route for route, _ in team.routes if route.name == case.route)
    yield from (route for route, fits in team.routes if route.name != case.route and fits(case.attributes))


def _by_routes(case: Case, policy: Policy, loads: Loads, team: Team) -> Assignment | None:
    for route in _fitting(case, team):
        if route.to.queue:
            queue = _queue_id(route.to.queue, policy)
            return _given(loads, queue, case, route.name, f"Route {route.name} leads to this queue.", queue=True)
        assignment, states = _rotate(route, case, policy, loads, team)
        if assignment is not None:
            return assignment
        if route.to.fallback_queue:
            queue = _queue_id(route.to.fallback_queue, policy)
            why = f"Nobody of {route.name} can take it now."
            return _given(loads, queue, case, route.name, why, queue=True, pool=states)
    return None


def _rotate(
    route: Route, case: Case, policy: Policy, loads: Loads, team: Team
) -> tuple[Assignment | None, tuple[str, ...]]:
    able: list[Rep] = []
    states: list[str] = []
    for crm_id in route.to.pool:
        rep = team.reps.get(crm_id) or Rep(name=crm_id, crm_id=crm_id)
        refusal = "had it before" if crm_id in case.exclude else loads.refusal(rep, policy, case.now)
        if refusal:
            states.append(f"{rep.name}: {refusal}")
        else:
            able.append(rep)
    if not able:
        return None, tuple(states)
    chosen, turns = loads.turn(route.name, able)
    states = [loads.describe(rep, turns[rep.crm_id]) for rep in able] + states
    why = f"Route {route.name}: it was {chosen.name}'s turn."
    return _given(loads, chosen.crm_id, case, route.name, why, pool=tuple(states)), tuple(states)


def _left_over(case: Case, policy: Policy, loads: Loads, team: Team) -> Assignment:
    """No route could give it to anybody: a queue, else the pool's rep with the least to do, else whoever answers."""
    queue = queue_for(case, policy, loads, "No route could give it to anybody now.")
    if queue is not None:
        return queue
    for route, _ in reversed(team.routes):
        pool = [one for one in route.to.pool if one not in case.exclude] or list(route.to.pool)
        if pool:
            owner = min(pool, key=lambda one: (bool(_gone(one, policy, loads, case.now)), pool.index(one)))
            return _given(loads, owner, case, route.name, "Nobody can take it now and there is no queue behind them.")
    owner = case.current or case.last or policy.manager or policy.crm.me
    return _given(loads, owner, case, "nobody", "The policy names neither a rep nor a queue for it.")


def _gone(owner: str, policy: Policy, loads: Loads, now: datetime) -> str:
    rep = team_of(policy).reps.get(owner) or Rep(name=owner, crm_id=owner)
    return _keeps(loads.refusal(rep, policy, now), may_be_full=True)


def _keeps(refusal: str, *, may_be_full: bool) -> str:
    return "" if may_be_full and refusal.startswith(("full", "has had")) else refusal


def _given(
    loads: Loads, owner: str, case: Case, route: str, why: str, *, queue: bool = False, pool: tuple[str, ...] = ()
) -> Assignment:
    loads.take(owner)
    return Assignment(owner=owner, at=case.now, route=route, why=why, queue=queue, pool=pool)


def _queue_id(queue: str, policy: Policy) -> str:
    return policy.queues.get(queue, queue)


def _zone(rep: Rep, policy: Policy) -> str:
    return rep.hours.zone if rep.hours is not None else policy.timezone


def _away(rep: Rep, policy: Policy) -> tuple[str, ...]:
    return rep.away + policy.holidays if rep.away else policy.holidays
