"""What lint says of routes, reps and territories."""

from syncagent.handoff.lint import Finding, lint
from syncagent.policy import Condition, Policy, Pool, Rep, Route, RouteTarget, RoutingPolicy, Territory
from tests.unit.handoff.test_lint import sound

ANA, BEN = Rep("Ana", "ana"), Rep("Ben", "ben")
LAST = Route("all", RouteTarget(queue="q"))


def found(policy: Policy) -> dict[str, Finding]:
    return {one.path: one for one in lint(policy)}


def routed(*routes: Route, reps: tuple[Rep, ...] = (ANA, BEN), **routing: object) -> dict[str, Finding]:
    return found(sound(reps=reps, routes=(*routes, LAST), routing=RoutingPolicy(**routing)))  # type: ignore[arg-type]


def both(name: str, **when: Condition) -> Route:
    return Route(name, RouteTarget(pool=("ana", "ben")), when)


def test_a_route_that_nobody_can_take() -> None:
    none = routed(both("x"), reps=(Rep("Ana", "ana", cap_open=0), Rep("Ben", "ben", cap_per_day=0)))
    assert none["routes[1].to"].level == "error" and "caps of all its reps are 0" in none["routes[1].to"].says
    assert not routed(both("x", a=Condition(present=True)), reps=(Rep("Ana", "ana", cap_open=0), BEN))
    asks = Route(
        "x", RouteTarget(pool=("ana",), then=(Pool("more", ("ben",)),), skills=("language",)), {"a": Condition()}
    )
    assert "none of its reps has any" in routed(asks)["routes[1].to.skills"].says
    assert not routed(asks, reps=(ANA, Rep("Ben", "ben", skills={"language": ("de",)})))


def test_a_rep_in_no_pool() -> None:
    only = Route("x", RouteTarget(pool=("ana",)), {"a": Condition(present=True)})
    assert "Ben is in no pool" in routed(only)["reps[2]"].says
    listed = {"Ben": RouteTarget(pool=("ben",))}
    assert not routed(only, targets=listed)


def test_routes_that_claim_the_same() -> None:
    values, spans = Condition(values=("DE", "AT")), Condition(spans=(("10", "19\U0010ffff"),))
    here = routed(both("one", country=values), both("two", country=Condition(values=("at", "CH"))))
    assert "both claim at." in here["routes[2].when"].says
    here = routed(both("one", zip=spans), both("two", zip=Condition(spans=(("15", "25\U0010ffff"),))))
    assert "the postal codes from 15 on" in here["routes[2].when"].says
    here = routed(both("one", size=Condition(maximum=50)), both("two", size=Condition(minimum=50)))
    assert "both claim 50 to 50" in here["routes[2].when"].says
    assert not routed(both("one", country=values), both("two", country=Condition(values=("CH",))))
    assert not routed(both("one", zip=Condition(spans=(("12", "13"),))), both("two", zip=spans)), "an exception first"


def test_a_route_behind_a_wider_region_or_range() -> None:
    regions = {"DACH": (("de", ""),)}
    wide = Route("wide", RouteTarget(pool=("ana", "ben")), regions=("DACH",))
    narrow = Route("narrow", RouteTarget(pool=("ana",)), {"a": Condition(present=True)}, regions=("DACH",))
    assert routed(wide, narrow, regions=regions)["routes[2]"].kind == "shadowed"
    assert not routed(narrow, wide, regions=regions)
    wide, narrow = (
        both("wide", zip=Condition(spans=(("1", "2"),))),
        both("narrow", zip=Condition(spans=(("12", "13"),))),
    )
    assert routed(wide, narrow)["routes[2]"].kind == "shadowed"
    other = both("other", zip=Condition(spans=(("12", "13"), ("3", "3"))))
    assert "routes[2]" not in routed(wide, other)


def test_rows_of_the_list_that_claim_the_same() -> None:
    rows = (
        Territory("Ana", "Line 2 of the territories", domain="x.example"),
        Territory("Ben", "Line 3 of the territories", domain="www.x.example"),
        Territory("Ana", "Line 4 of the territories", domain="x.example"),
    )
    targets = {"Ana": RouteTarget(pool=("ana",)), "Ben": RouteTarget(pool=("ben",))}
    here = routed(territories=rows, targets=targets)["routing.territories"]
    assert here.says == (
        "Line 2 of the territories (Ana) and line 3 of the territories (Ben) both claim the domain x.example."
    )
