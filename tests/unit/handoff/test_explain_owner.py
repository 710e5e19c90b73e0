"""`explain` on owners: for each way of picking why them, why not the others, and how the pool stood then."""

from datetime import datetime, timedelta
from typing import Any, NamedTuple

import pytest
from msgspec.structs import replace

from syncagent.handoff import plan, why
from syncagent.model import AccountView, Roster
from syncagent.policy import (
    Condition,
    Duration,
    Pool,
    Rep,
    Route,
    RouteTarget,
    RoutingPolicy,
    SlaTerms,
    Territory,
    WaitFor,
)
from tests.unit.handoff.test_routing import CLEO, DORA, NIGHT, OFFICE, fresh, life
from tests.unit.handoff.test_with_sales import Life
from tests.unit.handoff.worlds import ANA, BEN, BOSS, NOW, QUEUE, minutes, policy

FOUR = (ANA, BEN, CLEO, DORA)
EARLIER = Roster(
    open={ANA: 3, BEN: 1, CLEO: 4}, today={ANA: 2, BEN: 1}, day="2026-03-10", turns={"all": {ANA: -0.5, BEN: 0.5}}
)
FAR = (NOW - timedelta(hours=1), NOW + timedelta(hours=1))


class Told(NamedTuple):
    """A lead of `attributes` that was routed `to`, among reps who differ as said, and what is told of its owner."""

    lines: tuple[str, ...]
    to: dict[str, Any] = {}
    reps: dict[str, dict[str, Any]] = {}
    roster: Roster = EARLIER
    attributes: dict[str, Any] = {}
    at: datetime = NOW
    more: dict[str, Any] = {}
    account: AccountView | None = None


TOLD = {
    "a weighted rotation: who has the most to come": Told(
        (
            "To Ben (ben), 2026-03-10 09:00 UTC, all: Route all: it was Ben's turn.",
            "Ana: 0.07 leads to come, 3 open",
            "Ben: 0.64 leads to come, 1 open",
            "Cleo: 0.14 leads to come, 4 open",
            "Dora: 0.14 leads to come, 0 open",
        ),
        reps={ANA: {"weight": 4}},
    ),
    "least busy: how much each has for their weight": Told(
        (
            "To Dora (dora), 2026-03-10 09:00 UTC, all: Route all: Dora has the least to do for their weight.",
            "Ana: 3/9 open, 0.75 by their weight of 4",
            "Ben: 1 open, 1/5 today, 1.00 by their weight of 1",
            "Cleo: 4 open, 4.00 by their weight of 1",
            "Dora: 0 open, 0.00 by their weight of 1",
        ),
        to={"pick": "least_busy"},
        reps={ANA: {"weight": 4, "cap_open": 9}, BEN: {"cap_per_day": 5}},
    ),
    "first available: who is at work": Told(
        (
            "To Ben (ben), 2026-03-10 23:00 UTC, all: Route all: Ben is the first of the list who is at work.",
            "Ana: not at work before 2026-03-11 08:00 UTC, 3 open",
            "Ben: at work, 1 open",
            "Cleo: at work, 4 open",
            "Dora: at work, 0 open",
        ),
        to={"pick": "first_available"},
        reps={ANA: {"hours": OFFICE}},
        at=NIGHT,
    ),
    "first available, and nobody is at work": Told(
        (
            "To Ana (ana), 2026-03-10 23:00 UTC, all:"
            " Route all: nobody is at work now, and Ana is the first of the list.",
            "Ana: not at work before 2026-03-11 08:00 UTC, 3 open",
            "Ben: not at work before 2026-03-11 08:00 UTC, 1 open",
        ),
        to={"pick": "first_available", "pool": (ANA, BEN)},
        reps={ANA: {"hours": OFFICE}, BEN: {"hours": OFFICE}},
        at=NIGHT,
    ),
    "sticky: who has the company's last lead, whoever's turn it is": Told(
        (
            "To Cleo (cleo), 2026-03-10 09:00 UTC, all: Route all: Cleo has the company's last lead.",
            "Ana: -0.50 leads to come, 3 open",
            "Ben: 0.50 leads to come, 1 open",
            "Cleo: 0.00 leads to come, 4 open",
            "Dora: 0.00 leads to come, 0 open",
        ),
        to={"sticky": True},
        roster=replace(EARLIER, companies={"all|example.com": CLEO}),
    ),
    "skills, and one who does not have them": Told(
        (
            "To Ben (ben), 2026-03-10 09:00 UTC, all: Route all: it was Ben's turn.",
            "Ben: 1.50 leads to come, 1 open",
            "Ana: does not have language de",
            "Cleo: does not have language de",
            "Dora: does not have language de",
        ),
        to={"skills": ("language",)},
        reps={ANA: {"skills": {"language": ("en",)}}, BEN: {"skills": {"language": ("DE", "en")}}},
        attributes={"language": "de"},
    ),
    "caps by open leads and by day": Told(
        (
            "To Cleo (cleo), 2026-03-10 09:00 UTC, all: Route all: it was Cleo's turn.",
            "Cleo: 0.50 leads to come, 4/5 open",
            "Dora: 0.50 leads to come, 0 open, 0/3 today",
            "Ana: full, 3/3 open",
            "Ben: has had 1/1 today",
        ),
        reps={ANA: {"cap_open": 3}, BEN: {"cap_per_day": 1}, CLEO: {"cap_open": 5}, DORA: {"cap_per_day": 3}},
    ),
    "holidays, days off, absences for part of a day, absences of the CRM, inactive users": Told(
        (
            "To Eve (eve), 2026-03-10 09:00 UTC, all: Route all: it was Eve's turn.",
            "Eve: 1.00 leads to come, 0 open",
            "Ana: away today",
            "Ben: away today",
            "Cleo: away now",
            "Dora: away now",
            "Flo: inactive in the CRM",
        ),
        to={"pool": (*FOUR, "eve", "flo")},
        reps={
            ANA: {"holidays": ("2026-03-10",)},
            BEN: {"away": ("2026-03-10",)},
            CLEO: {"busy": (FAR,)},
            "eve": {"name": "Eve"},
            "flo": {"name": "Flo"},
        },
        roster=Roster(absent={DORA: FAR}, active={"flo": False}),
    ),
    "a short promise: who is not at work now": Told(
        (
            "To Ben (ben), 2026-03-10 23:00 UTC, all: Route all: it was Ben's turn.",
            "Ben: 1.50 leads to come, 1 open",
            "Ana: not at work before 2026-03-11 08:00 UTC",
        ),
        to={"pool": (ANA, BEN)},
        reps={ANA: {"hours": OFFICE}},
        at=NIGHT,
        more={"short": True},
    ),
    "a short promise: who is in a meeting now": Told(
        (
            "To Ben (ben), 2026-03-10 09:00 UTC, all: Route all: it was Ben's turn.",
            "Ben: 1.50 leads to come, 1 open",
            "Ana: in a meeting, free at 2026-03-10 10:00 UTC",
        ),
        to={"pool": (ANA, BEN)},
        reps={ANA: {"meetings": (FAR,)}},
        more={"short": True},
    ),
    "a longer promise does not ask for meetings": Told(
        (
            "To Ana (ana), 2026-03-10 09:00 UTC, all: Route all: it was Ana's turn.",
            "Ana: 0.50 leads to come, 3 open",
        ),
        to={"pool": (ANA,)},
        reps={ANA: {"meetings": (FAR,)}},
        roster=replace(EARLIER, turns={"all": {ANA: -0.5}}),
    ),
    "nobody can: the queue": Told(
        (
            "To Inbound (queue-1) (a queue), 2026-03-10 09:00 UTC, all: Nobody of all can take it now.",
            "Ana: full, 3/3 open",
            "Ben: full, 1/1 open",
        ),
        to={"pool": (ANA, BEN)},
        reps={ANA: {"cap_open": 3}, BEN: {"cap_open": 1}},
    ),
    "the next team": Told(
        (
            "To Cleo (cleo), 2026-03-10 09:00 UTC, all: Route all: it was Cleo's turn.",
            "Ana: full, 3/3 open",
            "Cleo: 1.00 leads to come, 4 open",
        ),
        to={"pool": (ANA,), "then": (Pool("US", (CLEO,)),)},
        reps={ANA: {"cap_open": 3}},
    ),
    "the next route, after one whose reps cannot and one whose fields did not come": Told(
        (
            "To Dora (dora), 2026-03-10 09:00 UTC, all: Route all: it was Dora's turn.",
            "Not before them: small: Ana: full, 3/3 open.",
            "Dora: 1.00 leads to come, 0 open",
        ),
        to={"pool": (DORA,)},
        reps={ANA: {"cap_open": 3}},
        more={"before": (Route("small", RouteTarget(pool=(ANA,), nobody="next")),)},
    ),
    "the routes above that do not fit: each with what does not hold": Told(
        (
            "To Dora (dora), 2026-03-10 09:00 UTC, all: Route all: it was Dora's turn.",
            "Not before them: large: employees is 40, and not one that is at least 1000.",
            "Not before them: south: country is DE, and not one that is ES or PT, and language is not known.",
            "Not before them: small: Ana: full, 3/3 open.",
            "Not before them: nordics: DE is not in nordics.",
            "Not before them: zip: postal_code is 80331, and not one that is 10000 to 19999.",
            "Dora: 1.00 leads to come, 0 open",
        ),
        to={"pool": (DORA,)},
        reps={ANA: {"cap_open": 3}},
        attributes={"employees": 40, "country": "DE", "postal_code": "80331"},
        more={
            "before": (
                Route("large", RouteTarget(queue="q"), {"employees": Condition(minimum=1000)}),
                Route(
                    "south",
                    RouteTarget(queue="q"),
                    {"language": Condition(present=True), "country": Condition(values=("ES", "PT"))},
                ),
                Route("small", RouteTarget(pool=(ANA,), nobody="next")),
                Route("nordics", RouteTarget(queue="q"), regions=("nordics",)),
                Route("zip", RouteTarget(queue="q"), {"postal_code": Condition(spans=(("10000", "19999"),))}),
            )
        },
    ),
    "of very many routes that do not fit, the first": Told(
        (
            "To Dora (dora), 2026-03-10 09:00 UTC, all: Route all: it was Dora's turn.",
            *(f"Not before them: r{n}: language is {'x' * 39}…, and not one that is y." for n in range(20)),
            "Not before them: 5 more routes: they do not fit.",
            "Dora: 1.00 leads to come, 0 open",
        ),
        to={"pool": (DORA,)},
        attributes={"language": "x" * 99},
        more={
            "before": tuple(
                Route(f"r{n}", RouteTarget(queue="q"), {"language": Condition(values=("y",))}) for n in range(25)
            )
        },
    ),
    "the owner of an open deal, and an account's owner who cannot": Told(
        (
            "To Ben (ben), 2026-03-10 09:00 UTC, account owner: Ben owns the account.",
            "Not before them: deal owner Ana: full, 3/3 open.",
        ),
        reps={ANA: {"cap_open": 3}},
        account=AccountView("001A", owner=BEN, deal_owner=ANA),
    ),
    "a territory": Told(
        (
            "To Cleo (cleo), 2026-03-10 09:00 UTC, territories: line 7: it was Cleo's turn.",
            "Cleo: 1.00 leads to come, 4 open",
        ),
        attributes={"country": "Spain"},
        more={"territory": Territory("Cleo", "line 7", country="spain")},
    ),
}


def terms_of(told: Told) -> Any:
    base = {ANA: Rep("Ana", ANA), BEN: Rep("Ben", BEN), CLEO: Rep("Cleo", CLEO), DORA: Rep("Dora", DORA)}
    new = {name: Rep(name, name) for name in told.reps.keys() - base.keys()}
    reps = tuple(replace(rep, **told.reps.get(name, {})) for name, rep in (base | dict(sorted(new.items()))).items())
    target = RouteTarget(**{"pool": FOUR, "fallback_queue": QUEUE, **told.to})
    routes = (Route("all", target),)
    if "before" in told.more:
        routes = (*told.more["before"], *routes)
    short = (SlaTerms("fast", Duration(minutes=5), steps=()),)
    made = policy(reps=reps, routes=routes, slas=short if told.more.get("short") else ())
    if "territory" in told.more:
        targets = {"Cleo": RouteTarget(pool=(CLEO,), team="rep:cleo")}
        made = replace(made, routing=RoutingPolicy(targets=targets, territories=(told.more["territory"],)))
    return made


@pytest.mark.parametrize("name", TOLD)
def test_explain_tells_of_an_owner(name: str) -> None:
    told = TOLD[name]
    terms = terms_of(told)
    start = fresh(told.at, **{"title": "Director", **told.attributes})
    if told.account is not None:
        start = replace(start, account=told.account)
    opened, stored = life(terms, start, told.at, told.roster)
    assert opened.roster is not None
    later = told.at + timedelta(minutes=3)
    lines = why(replace(stored, decision=opened.decision), terms, opened.roster, later)
    first = next(n for n, line in enumerate(lines) if line.strip().startswith("To "))
    assert tuple(line.strip() for line in lines[first : first + len(told.lines)]) == told.lines
    assert not [line for line in lines[first + len(told.lines) :] if line.startswith("    ")], "and of nobody else"


def test_of_somebody_who_was_forgotten_nothing_stays_that_routes_asked_for() -> None:
    small = Route("small", RouteTarget(pool=(ANA,)), {"title": Condition(values=("Student",))})
    terms = policy(routes=(small, *policy().routes))
    opened, stored = life(terms, fresh(NOW, title="Director"), NOW)
    (given,) = opened.decision.handoffs[-1].assignments
    assert given.passed == ("small: title is Director, and not one that is Student",)
    erased = plan(replace(stored, decision=opened.decision, erased=True), terms, Roster(), NOW)
    assert erased.decision.handoffs[-1].assignments == (replace(given, passed=()),)


def test_explain_tells_of_the_second_owner_that_the_first_had_it_before() -> None:
    life_ = Life(policy(slas=(replace(policy().slas[0], within=Duration(minutes=10)),)))
    life_.go(NOW + minutes(12))
    lines = [line.strip() for line in why(life_.dossier, life_.policy, life_.roster, NOW + minutes(12))]
    assert life_.owner == BEN
    second = next(n for n, line in enumerate(lines) if line.startswith("To Ben (ben)"))
    assert "Ana: had it before" in lines[second:] and any("it was Ben's turn" in line for line in lines[second:])


def test_explain_tells_that_a_person_chose_an_owner() -> None:
    life_ = Life()
    life_.says(3, BOSS, owner=BEN)
    life_.go(NOW + minutes(4))
    lines = [line.strip() for line in why(life_.dossier, life_.policy, life_.roster, NOW + minutes(4))]
    [told] = [line for line in lines if line.startswith("To Ben (ben)")]
    assert "(a person's choice)" in told and "boss" in told


def test_explain_tells_of_a_lead_that_is_held_what_for_how_long_and_how_the_pool_stands() -> None:
    target = RouteTarget(pool=(ANA, BEN), nobody="wait", fallback_queue=QUEUE, at_work=True)
    reps = (Rep("Ana", ANA, hours=OFFICE), Rep("Ben", BEN, cap_open=1))
    terms = policy(reps=reps, routes=(Route("all", target),))
    roster = Roster(open={BEN: 1})
    held, stored = life(terms, fresh(NIGHT), NIGHT, roster)
    lines = why(replace(stored, decision=held.decision), terms, roster, NIGHT + minutes(1))
    assert "Ready, but not handed off: nobody of all is at work before 2026-03-11 08:00 UTC." in lines
    first = next(n for n, line in enumerate(lines) if "Held since" in line)
    assert [line.strip() for line in lines[first : first + 3]] == [
        "Held since 2026-03-10 23:00 UTC, until 2026-03-11 08:00 UTC at the latest.",
        "Ana: not at work before 2026-03-11 08:00 UTC",
        "Ben: full, 1/1 open",
    ]
    large = Route("large", RouteTarget(pool=(CLEO,)), wait=WaitFor(("employees",), Duration(minutes=10)))
    waits = policy(routes=(replace(large, when={"employees": Condition(minimum=9)}), *policy().routes))
    held, stored = life(waits, fresh(NOW), NOW)
    lines = why(replace(stored, decision=held.decision), waits, Roster(), NOW + minutes(1))
    assert "Ready, but not handed off: large waits for employees until 2026-03-10 09:10 UTC." in lines
    opened, stored = life(waits, replace(stored, decision=held.decision), NOW + minutes(10))
    lines = why(replace(stored, decision=opened.decision), waits, Roster(), NOW + minutes(11))
    assert "    Not before them: large: employees did not come in time." in lines
