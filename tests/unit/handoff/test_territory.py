"""Postal codes by the thousand: found as by a walk through all of them, without the walk."""

import time

from hypothesis import given
from hypothesis import strategies as st

from syncagent.config.routing import span
from syncagent.handoff.territory import Map
from syncagent.policy import RoutingPolicy, Territory

CODES = st.text("0123", min_size=1, max_size=4)
SPANS = st.one_of(
    CODES.map(lambda code: span(code)),
    CODES.map(lambda code: span(f"{code}*")),
    st.tuples(st.text("0123", min_size=3, max_size=3), st.text("0123", min_size=3, max_size=3)).map(
        lambda two: span(f"{min(two)}-{max(two)}")
    ),
)


def by_hand(rows: list[Territory], code: str) -> Territory | None:
    """Begins last, then ends first, then stands first."""
    found = [
        (low, high, number, row) for number, row in enumerate(rows) for low, high in row.postal if low <= code <= high
    ]
    if not found:
        return None
    last = max(low for low, *_ in found)
    first = min(high for low, high, *_ in found if low == last)
    return next(row for low, high, _, row in sorted(found, key=lambda one: one[2]) if (low, high) == (last, first))


@given(st.lists(SPANS, max_size=12), st.lists(CODES, min_size=1, max_size=20))
def test_the_row_is_the_one_that_a_walk_finds(spans: list[tuple[str, str]], codes: list[str]) -> None:
    rows = [Territory(f"t{n}", f"line {n}", country="X", postal=(one,)) for n, one in enumerate(spans)]
    where = Map(RoutingPolicy(territories=tuple(rows)))
    for code in codes:
        assert where.territory({"country": "x", "postal_code": code}) == by_hand(rows, code)


@given(st.lists(SPANS, max_size=8))
def test_two_ranges_that_cross_or_are_the_same_are_told_and_an_exception_inside_is_not(
    spans: list[tuple[str, str]],
) -> None:
    rows = tuple(Territory(f"t{n}", f"line {n}", country="X", postal=(one,)) for n, one in enumerate(spans))
    crossing = {
        frozenset((a.row, b.row))
        for n, a in enumerate(rows)
        for b in rows[n + 1 :]
        for (low, high), (first, last) in [(a.postal[0], b.postal[0])]
        if (low, high) == (first, last) or (low < first <= high < last) or (first < low <= last < high)
    }
    told = {frozenset((one.wins.row, one.loses.row)) for one in Map(RoutingPolicy(territories=rows)).overlaps}
    assert told <= crossing
    assert bool(told) == bool(crossing)


def test_a_list_of_a_hundred_thousand_rows_is_looked_up_in_no_time() -> None:
    rows = tuple(
        Territory("to", f"line {n}", country="X", postal=((f"{n:06}", f"{n:06}\U0010ffff"),)) for n in range(100_000)
    )
    where = Map(RoutingPolicy(territories=rows))
    began = time.perf_counter()
    for n in range(0, 100_000, 100):
        found = where.territory({"country": "x", "postal_code": f"{n:06}"})
        assert found is not None and found.row == f"line {n}"
    assert time.perf_counter() - began < 1.0, "a walk would take minutes"


def test_united_states_zip_codes_count_without_their_last_four() -> None:
    row = Territory("to", "line 2", country="USA", postal=(span("94107"),))
    where = Map(RoutingPolicy(territories=(row,)))
    assert where.territory({"country": "USA", "zip": "94107-1234"}) == row
    assert where.territory({"country": "USA", "zip": 94107}) == row
