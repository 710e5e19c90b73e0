"""Score health: lift, rules that earn their points, and the line that sales can work."""

from datetime import timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from sqlite_utils.utils import sqlite3

from syncagent.errors import UserError
from syncagent.reports.rates import Rate, gap, lift, likely
from syncagent.reports.score_health import (
    AGAINST,
    EARNS,
    EVERYBODY,
    NO_DIFFERENCE,
    NOBODY,
    TOO_FEW,
    Opened,
    ripens,
    scores,
    verdict,
)
from tests.reports.market import Market, rows

RATES = st.integers(1, 500).flatmap(lambda of: st.builds(Rate, st.integers(0, of), st.just(of)))


@given(RATES)
def test_the_true_rate_is_around_the_one_that_was_seen(rate: Rate) -> None:
    found = likely(rate)
    assert found is not None and rate.share is not None
    assert 0 <= found[0] <= rate.share + 1e-9 and rate.share - 1e-9 <= found[1] <= 1


@given(RATES, RATES)
def test_a_gap_is_the_other_way_round_for_the_other(rate: Rate, other: Rate) -> None:
    one, two = gap(rate, other), gap(other, rate)
    assert one is not None and two is not None
    assert one[0] <= one[1] and one == pytest.approx((-two[1], -two[0]))


def test_what_nobody_knows_is_unknown() -> None:
    none = Rate(0, 0)
    assert (
        none.share is likely(none) is gap(none, Rate(1, 2)) is lift(none, Rate(1, 2)) is lift(Rate(1, 2), none) is None
    )
    assert lift(Rate(0, 3), Rate(0, 9)) is None
    # Newcombe 1998, table II: 56/70 and 48/80
    assert gap(Rate(56, 70), Rate(48, 80)) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    assert likely(Rate(81, 263)) == pytest.approx((0.2553, 0.3662), abs=5e-5)  # Newcombe 1998


@pytest.mark.parametrize(
    ("points", "rate", "rest", "says"),
    [
        (10, Rate(60, 200), Rate(20, 400), EARNS),
        (-10, Rate(60, 200), Rate(20, 400), AGAINST),
        (10, Rate(5, 200), Rate(100, 400), AGAINST),
        (-10, Rate(5, 200), Rate(100, 400), EARNS),
        (10, Rate(20, 200), Rate(40, 400), NO_DIFFERENCE),
        (10, Rate(2, 20), Rate(40, 400), TOO_FEW),
        (10, Rate(0, 200), Rate(0, 400), TOO_FEW),
        (10, Rate(0, 0), Rate(40, 400), NOBODY),
        (10, Rate(40, 400), Rate(0, 0), EVERYBODY),
    ],
)
def test_a_rule_earns_its_points_or_not(points: float, rate: Rate, rest: Rate, says: str) -> None:
    assert verdict(points, rate, rest) == says


def test_how_long_a_win_takes() -> None:
    def opened(days: float, won: bool = True) -> Opened:
        return Opened(1, 0, 50.0, 40, "B2", won, round(days * 86_400_000), False)

    assert ripens([opened(day) for day in range(1, 10)]) is None
    assert ripens([opened(day) for day in range(1, 12)]) == 10
    assert ripens([*(opened(day) for day in range(1, 12)), opened(900, won=False)]) == 10


# -- on a market


def told(market: Market, **ask: object):
    return scores(market.theatre.agent.store, market.ask(**ask), market.policy)


def test_nothing_yet_is_told_so(market: Market) -> None:
    market.settle()
    report = told(market)
    assert rows(report, "bands") == rows(report, "grades") == []
    assert {row["verdict"] for row in rows(report, "rules")} == {NOBODY}
    assert "no whole week" in report.notes[-1]
    with pytest.raises(UserError, match="without --by"):
        told(market, by="source")


def test_rates_by_band_grade_and_rule(market: Market) -> None:
    """Directors who ask for a demo are handed over; of those with many visits each second one wins."""
    for n, visits in product(range(4), (0, 3)):
        who = market.comes(f"p{n}{visits}", title="director")
        market.does(who, 0, "form.submitted", "demo-x")
        for _ in range(visits):
            market.does(who, 0)
    market.settle(days=0)
    for n in (0, 1):
        market.deal(f"p{n}3", won=1)
    market.settle(days=3)
    report = told(market)
    found = {row["band"]: (row["handoffs"], row["won"], row["lift"]) for row in rows(report, "bands")}
    assert found == {80.0: (4, 0, 0.0), 100.0: (4, 2, 2.0)}
    assert sum(row["handoffs"] for row in rows(report, "grades")) == 8
    rules = {row["rule"]: row for row in rows(report, "rules")}
    (visits,) = [row for name, row in rules.items() if row["handoffs"] == 4]
    assert (visits["won"], visits["win_rate"], visits["without"], visits["points"]) == (2, 0.5, 0.0, 20.0)
    assert visits["verdict"] == TOO_FEW
    assert {row["verdict"] for row in rules.values() if row is not visits} == {EVERYBODY}


def test_what_came_later_gives_a_rule_no_credit(market: Market) -> None:
    who = market.comes("ada")
    market.does(who, 0, "form.submitted", "contact-sales")
    market.settle(days=0)
    market.theatre.after(days=1)
    for _ in range(3):
        market.does(who, 1)
    market.theatre.person("ada", title="director")
    market.settle(days=1)
    assert {row["handoffs"] for row in rows(told(market), "rules")} == {0}


def test_handoffs_of_an_earlier_version_are_told_when_their_score_is_known(market: Market) -> None:
    for name in ("ada", "eva"):
        who = market.comes(name, title="director")
        market.does(who, 0, "form.submitted", "demo-x")
    market.settle(days=0)
    market.theatre.agent.store.close()
    db = sqlite3.connect(market.theatre.state)
    db.execute("update handoff set score = null where person = 1")
    db.commit()
    db.close()
    market.theatre.start()
    later = replace(market.ask(), at=market.theatre.clock.now() + timedelta(days=1))
    report = scores(market.theatre.agent.store, later, market.policy)
    assert sum(row["handoffs"] for row in rows(report, "grades")) == 1
