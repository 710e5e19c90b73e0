"""Who gets the lead, and why: the owners it has already, the list of accounts and territories, then the routes.

The policy's order decides; the last route takes all, and nobody is left without an owner or a queue: a pool that
nobody can take it from falls back on its next pools, its queue, the next route that fits. A route may hold a lead until
fields are known or the first rep is in: then it waits, shown, for a moment that is named.
"""

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import Literal, NamedTuple

from syncagent.handoff.calendar import after, is_away
from syncagent.handoff.compiled import once_per_policy
from syncagent.handoff.conditions import Fits, Test, as_test, fits_of, is_known, some_of, test_words
from syncagent.handoff.picking import Asked, Picked, full, gone_until, pick
from syncagent.handoff.team import Team, manager_of, team_of
from syncagent.handoff.territory import Map, map_of
from syncagent.handoff.turns import Loads
from syncagent.model import Assignment, Turn, Value
from syncagent.policy import Policy, Rep, Route, RouteTarget

_MISFITS, _VALUE = 20, 40
"""So many routes that do not fit are told of a lead, and so many characters of its attributes."""

__all__ = ["Case", "Later", "Loads", "assign", "from_pool", "manager_of", "queue_for", "reassign", "team_of"]


class Case(NamedTuple):
    """Whom to route: attributes, the owners that come before any rule, and who must not get it (again)."""

    attributes: Mapping[str, Value]
    now: datetime
    last: str = ""  # the rep of the last handoff, for a come-back
    current: str = ""  # the CRM's owner
    account: str = ""  # the account's owner
    route: str = ""  # by which the handoff was opened: it stays with it (law 13)
    exclude: Collection[str] = ()
    deal: str = ""  # the owner of the account's open deal
    account_id: str = ""
    emails: tuple[str, ...] = ()
    company: str = ""  # what names the company, for reps who keep theirs
    short: bool = False  # the promise is short: only who is at work will do
    since: datetime | None = None  # since when a route holds it already


class Later(NamedTuple):
    """Nobody yet: what is waited for, why, and until when at the latest."""

    for_: Literal["fields", "presence"]
    until: datetime
    why: str
    waits_on: tuple[str, ...] = ()
    pool: tuple[str, ...] = ()


class _Asks(NamedTuple):
    """What a route asks of one attribute; `words` follow its name."""

    name: str
    holds: Test
    words: str


class _Way(NamedTuple):
    """A route, ready to test: its conditions, and those on attributes that it does not wait for."""

    route: Route
    fits: Fits
    may_fit: Fits
    asks: tuple[_Asks, ...]


@once_per_policy
def ways_of(policy: Policy) -> tuple[_Way, ...]:
    """The routes of a policy in their order."""
    where = map_of(policy)

    def fits(route: Route, without: Collection[str] = ()) -> Fits:
        test = fits_of({name: one for name, one in route.when.items() if name not in without})
        if not route.regions or "country" in without or "state" in without:
            return test
        return lambda attributes: test(attributes) and where.is_in(route.regions, attributes)

    return tuple(
        _Way(
            route,
            fits(route),
            fits(route, route.wait.fields if route.wait is not None else ()),
            tuple(_Asks(name, as_test(one), test_words(one)) for name, one in sorted(route.when.items())),
        )
        for route in policy.routes
    )


class _Desk:
    """One lead being routed: what is asked, and what has been found out on the way."""

    def __init__(self, case: Case, policy: Policy, loads: Loads) -> None:
        self.case, self.policy, self.loads = case, policy, loads
        self.team: Team = team_of(policy)
        self.map: Map = map_of(policy)
        self.ways = ways_of(policy)
        self.passed: list[str] = []
        self.misfits = 0

    def given(
        self,
        owner: str,
        route: str,
        why: str,
        *,
        queue: bool = False,
        pool: tuple[str, ...] = (),
        turn: Turn | None = None,
    ) -> Assignment:
        """It is theirs, and counts."""
        self.loads.take(owner)
        more = self.misfits - _MISFITS
        passed = (*self.passed, f"{more} more routes: they do not fit") if more > 0 else tuple(self.passed)
        return Assignment(owner, self.case.now, route, why, queue=queue, pool=pool, passed=passed, turn=turn)

    def does_not_fit(self, way: _Way) -> None:
        """A route is passed over: which of its conditions do not hold."""
        self.misfits += 1
        if self.misfits > _MISFITS:
            return
        known, route = self.case.attributes, way.route
        why = [_misfit(one, known.get(one.name)) for one in way.asks if not one.holds(known.get(one.name))]
        if route.regions and not self.map.is_in(route.regions, known):
            place = ", ".join(str(known[name]) for name in ("country", "state") if is_known(known.get(name)))
            why.append(f"{place or 'an unknown place'} is not in {some_of(route.regions)}")
        self.passed.append(f"{route.name}: {', and '.join(why)}")


def _misfit(asked: _Asks, value: Value) -> str:
    if not is_known(value):
        return f"{asked.name} is not known"
    text = str(value)
    shown = text if len(text) <= _VALUE else f"{text[: _VALUE - 1]}…"
    return f"{asked.name} is {shown}, and not one that {asked.words}"


def assign(case: Case, policy: Policy, loads: Loads) -> Assignment | Later:
    """Choose the owner and take their turn. Always somebody, at worst a queue, unless a route holds it for a while."""
    desk = _Desk(case, policy, loads)
    order = policy.routing.order
    if case.last and "last_owner" in order:  # a lead that comes back goes to the rep who knows it
        order = ("last_owner", *(step for step in order if step != "last_owner"))
    for step in order:
        if step == "routes":
            continue
        found = _listed(desk, step) if step in ("named_accounts", "territories") else _owner(desk, step)
        if found is not None:
            return found
    return _by_routes(desk, may_wait=True) or _left_over(desk)


def from_pool(name: str, case: Case, policy: Policy, loads: Loads) -> Assignment | Later | None:
    """A rep of this route's pools, for a lead that waits in its queue; when the first is in; None: nobody knows."""
    desk = _Desk(case, policy, loads)
    for way in desk.ways:
        if way.route.name == name and way.route.to.pool:
            picked, _ = _ask(desk, way.route.to, name)
            if isinstance(picked, Assignment):
                return picked
            first = picked.first_in
            return Later("presence", first, "", _waits(way.route.to, name)) if first is not None else None
    return None


def reassign(case: Case, policy: Policy, loads: Loads) -> Assignment | None:
    """Somebody else by the routes, or their queue; None when there is neither."""
    desk = _Desk(case, policy, loads)
    chosen = _by_routes(desk, may_wait=False)
    if isinstance(chosen, Assignment) and chosen.owner not in case.exclude:
        return chosen
    if isinstance(chosen, Assignment):
        loads.give_back(chosen.owner)
        loads.undo(chosen)
    return _queue(desk, "Nobody else can take it now.")


def queue_for(case: Case, policy: Policy, loads: Loads, why: str) -> Assignment | None:
    """The queue that stands behind the route that fits, else any queue; None when the policy has none."""
    return _queue(_Desk(case, policy, loads), why)


def waits_for(route: str, policy: Policy) -> tuple[str, ...]:
    """What a lead in the queue of this route waits on: its pools."""
    found = next((one for one in policy.routes if one.name == route), None)
    return _waits(found.to, route) if found is not None else (f"roster:{route}",)


# -- owners it has already

_OWNERS = {
    "deal_owner": ("deal owner", "owns the open deal"),
    "account_owner": ("account owner", "owns the account"),
    "current_owner": ("current owner", "owns the record in the CRM"),
    "last_owner": ("same rep", "worked this lead before"),
}


def _owner(desk: _Desk, step: str) -> Assignment | None:
    case = desk.case
    owner = {
        "deal_owner": case.deal,
        "account_owner": case.account,
        "current_owner": case.current,
        "last_owner": case.last,
    }[step]
    route, why = _OWNERS[step]
    if not owner:
        return None
    rep = _rep_of(desk, owner, anybody=step in ("deal_owner", "account_owner"))
    if rep is None:
        if owner not in desk.policy.queues.values() and owner != desk.policy.crm.me:
            desk.passed.append(f"{route} {desk.loads.called(owner)}: none of the reps")
        return None
    refusal = "had it before" if owner in case.exclude else _refusal(desk, rep, may_be_full=step == "current_owner")
    if refusal:
        desk.passed.append(f"{route} {rep.name}: {refusal}")
        return None
    return desk.given(rep.crm_id, route, f"{rep.name} {why}.")


def _rep_of(desk: _Desk, owner: str, *, anybody: bool) -> Rep | None:
    rep = desk.team.reps.get(owner)
    if rep is not None or not anybody or desk.policy.routing.owners != "anybody":
        return rep
    crm = desk.policy.crm
    if owner in (crm.me, *crm.automation_users, *desk.policy.queues.values()) or not desk.loads.is_known(owner):
        return None
    return Rep(desk.loads.called(owner), owner)


def _refusal(desk: _Desk, rep: Rep, *, may_be_full: bool) -> str:
    """Why an owner cannot take it; they need not be at work this minute, for it is theirs."""
    if not desk.loads.is_active(rep.crm_id):
        return "inactive in the CRM"
    if is_away(desk.case.now, desk.team.zone(rep), desk.team.days_off(rep)):
        return "away today"
    if gone_until(rep, desk.case.now, desk.team, desk.loads) is not None:
        return "away now"
    return "" if may_be_full else full(rep, desk.loads)


# -- the list of accounts and territories


def _listed(desk: _Desk, step: str) -> Assignment | None:
    case, name = desk.case, step.replace("_", " ")
    if step == "named_accounts":
        row = desk.map.named_account(case.account_id, case.attributes, case.emails, desk.policy.free_mail)
    else:
        row = desk.map.territory(case.attributes)
    to = desk.policy.routing.targets.get(row.to) if row is not None else None
    if row is None or to is None:
        return None
    if to.queue:
        queue = desk.policy.queues.get(to.queue, to.queue)
        return desk.given(queue, name, f"{row.row} leads to this queue.", queue=True)
    picked, states = _ask(desk, to, name, row.row)
    if isinstance(picked, Assignment):
        return picked
    desk.passed.extend(f"{row.row}: {state}" for state in states)
    return None


# -- routes


def _in_order(desk: _Desk) -> Iterator[tuple[_Way, bool]]:
    """All routes, and whether each is the one that the handoff was opened by: that is first, whether it fits or not."""
    case = desk.case
    if case.route:
        yield from ((way, True) for way in desk.ways if way.route.name == case.route)
    yield from ((way, False) for way in desk.ways if way.route.name != case.route)


def _by_routes(desk: _Desk, *, may_wait: bool) -> Assignment | Later | None:
    for way, opened_by in _in_order(desk):
        route, to = way.route, way.route.to
        told = len(desk.passed)
        if not opened_by and not way.may_fit(desk.case.attributes):
            desk.does_not_fit(way)
            continue
        if may_wait and (hold := _wait(desk, route)) is not None:
            return hold
        if not opened_by and not way.fits(desk.case.attributes):
            if len(desk.passed) == told:  # what did not come in time is told
                desk.does_not_fit(way)
            continue
        if to.queue:
            queue = desk.policy.queues.get(to.queue, to.queue)
            return desk.given(queue, route.name, f"Route {route.name} leads to this queue.", queue=True)
        picked, states = _ask(desk, to, route.name)
        if isinstance(picked, Assignment):
            return picked
        if to.nobody == "wait" and picked.first_in is not None and may_wait:
            why = f"nobody of {route.name} is at work before {picked.first_in:%Y-%m-%d %H:%M} UTC"
            return Later("presence", picked.first_in, why, _waits(to, route.name), states)
        if to.fallback_queue and to.nobody != "next":
            queue = desk.policy.queues.get(to.fallback_queue, to.fallback_queue)
            why = f"Nobody of {route.name} can take it now."
            return desk.given(queue, route.name, why, queue=True, pool=states)
        desk.passed.extend(f"{route.name}: {state}" for state in states)
    return None


def _wait(desk: _Desk, route: Route) -> Later | None:
    """The route would like to know more, and its time for that is not over."""
    case, wait = desk.case, route.wait
    if wait is None:
        return None
    missing = [name for name in wait.fields if not is_known(case.attributes.get(name))]
    if not missing:
        return None
    until = after(case.since or case.now, wait.at_most, desk.policy.timezone)
    if until <= case.now:
        desk.passed.append(f"{route.name}: {', '.join(missing)} did not come in time")
        return None
    return Later("fields", until, f"{route.name} waits for {', '.join(missing)} until {until:%Y-%m-%d %H:%M} UTC")


def _ask(desk: _Desk, to: RouteTarget, route: str, by: str = "") -> tuple[Assignment | Picked, tuple[str, ...]]:
    """Somebody of the route's pools, one after the other; else when the first is in. And how all of them stood."""
    case = desk.case
    at_work = case.short if to.at_work is None else to.at_work
    asked = Asked(case.attributes, case.now, case.exclude, case.company, at_work)
    states: tuple[str, ...] = ()
    first: datetime | None = None
    for name, members in ((to.team or route, to.pool), *((one.name, one.members) for one in to.then)):
        picked = pick(name, members, to, asked, desk.team, desk.loads)
        states += picked.states
        if picked.rep is not None:
            why = f"{by or f'Route {route}'}: {picked.why}"
            return desk.given(picked.rep.crm_id, route, why, pool=states, turn=picked.turn), states
        first = min((one for one in (first, picked.first_in) if one is not None), default=None)
    return Picked(None, "", states, first_in=first), states


def _waits(to: RouteTarget, route: str) -> tuple[str, ...]:
    return tuple(f"roster:{name}" for name in (to.team or route, *(one.name for one in to.then)))


# -- when nobody can take it


def _queue(desk: _Desk, why: str) -> Assignment | None:
    case, policy = desk.case, desk.policy
    ways = [way for way, opened_by in _in_order(desk) if opened_by or way.fits(case.attributes)]
    queues = [(way.route.name, way.route.to.fallback_queue or way.route.to.queue) for way in ways]
    queues += [("any queue", queue) for queue in sorted(policy.queues.values())]
    for route, queue in queues:
        owner = policy.queues.get(queue, queue)
        if owner and owner not in case.exclude:
            return desk.given(owner, route, why, queue=True)
    return None


def _left_over(desk: _Desk) -> Assignment:
    """No route could give it to anybody: a queue, else the first of a pool who is there, else whoever answers."""
    queue = _queue(desk, "No route could give it to anybody now.")
    if queue is not None:
        return queue
    case = desk.case
    for way in reversed(desk.ways):
        members = way.route.to.pool
        pool = [one for one in members if one not in case.exclude] or list(members)
        if pool:
            owner = min(pool, key=lambda one: bool(_refusal(desk, desk.team.rep(one), may_be_full=True)))
            return desk.given(owner, way.route.name, "Nobody can take it now and there is no queue behind them.")
    owner = case.current or case.last or desk.policy.manager or desk.policy.crm.me
    return desk.given(owner, "nobody", "The policy names neither a rep nor a queue for it.")
