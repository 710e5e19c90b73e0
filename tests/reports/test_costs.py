"""What was spent: days cut it, and the parts add up."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from syncagent.policy import Cost
from syncagent.reports.costs import Bought, between, spent
from syncagent.reports.report import Ask

AT = datetime(2026, 6, 1, 12, tzinfo=UTC)
DAYS = st.dates(date(2026, 1, 1), date(2026, 12, 31))
COSTS = st.builds(
    lambda begin, days, cents: Cost("paid", cents, begin, begin + timedelta(days=days)),
    DAYS,
    st.integers(1, 400),
    st.integers(0, 10**9),
)


@given(COSTS, st.lists(DAYS, max_size=8))
def test_any_cut_by_days_adds_up_to_the_cent(cost: Cost, cuts: list[date]) -> None:
    edges = [cost.begin, *sorted(min(max(one, cost.begin), cost.end) for one in cuts), cost.end]
    parts = [between(cost, first, end) for first, end in pairwise(edges)]
    assert sum(parts) == cost.cents and min(parts) >= 0


@given(COSTS, DAYS, DAYS)
def test_a_span_the_other_way_round_has_cost_nothing(cost: Cost, first: date, end: date) -> None:
    assert between(cost, max(first, end), min(first, end)) == 0


def test_days_are_those_of_the_zone_and_the_future_is_not_spent() -> None:
    january = Cost("paid", 3100, date(2026, 1, 1), date(2026, 2, 1), currency="EUR")
    june = Cost("paid", 3000, date(2026, 6, 1), date(2026, 7, 1), "brand", "EUR")
    # midnight in Auckland is noon of the day before in UTC
    since = datetime(2026, 1, 29, 11, tzinfo=UTC)
    found = spent([january, june], Ask(AT, "Pacific/Auckland", since))
    # from January 30th on; and in Auckland it is June 2nd already
    assert found == {Bought("paid", "", "EUR"): 200, Bought("paid", "brand", "EUR"): 200}
    assert spent([january, june], Ask(AT, "UTC", since)) == {
        Bought("paid", "", "EUR"): 300,
        Bought("paid", "brand", "EUR"): 100,
    }


def test_of_days_that_the_config_does_not_name_nobody_knows_what_was_spent() -> None:
    january = Cost("paid", 0, date(2026, 1, 1), date(2026, 2, 1))
    (first, after) = (datetime(2026, month, 1, tzinfo=UTC) for month in (2, 3))
    assert spent([january], Ask(AT, "UTC", first, after)) == spent([january], Ask(first, "UTC", first)) == {}
    assert spent([january], Ask(AT, "UTC", until=first)) == {Bought("paid", "", ""): 0}  # known to be nothing


def test_the_lines_of_one_source_are_added() -> None:
    day, other = date(2026, 1, 1), date(2026, 1, 2)
    told = [Cost("a", 1, day, other), Cost("a", 2, day, other), Cost("a", 4, day, other, "x"), Cost("b", 8, day, other)]
    assert spent(told, Ask(AT, "UTC")) == {Bought("a", "", ""): 3, Bought("a", "x", ""): 4, Bought("b", "", ""): 8}
