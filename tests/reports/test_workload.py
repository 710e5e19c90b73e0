"""The line that sales can work: the lowest one at which no more comes than was made in time."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from syncagent.config import parse
from syncagent.policy import Threshold
from syncagent.reports.report import Ask
from syncagent.reports.workload import Capacity, capacity, lines
from tests.story.theatre import CONFIG

AT = datetime(2026, 6, 1, tzinfo=UTC)
ASK = Ask(AT, "UTC")
POLICY = parse(CONFIG).policy(AT)
WEEK = timedelta(days=7)


class Told:
    """A store that knows only promises (when due, whether kept), and how many wait with how many points."""

    def __init__(self, due: Sequence[tuple[datetime, bool]], waiting: dict[int, int] | None = None) -> None:
        self.due, self.waiting = due, waiting or {}

    def ask(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        if "report_promise" in sql:
            since, until = values
            return [(ms(at), met) for at, met in self.due if since <= ms(at) < until]
        return list(self.waiting.items())


def ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def drawn(store: Told, opened, policy=POLICY, scored=None):
    told = [(ms(at), score, raised) for at, score, raised in opened]
    table, says = lines(store, ASK, policy, told, scored or [(score, False) for _, score, _ in told])  # type: ignore[arg-type]
    return {row[0]: dict(zip([one.name for one in table.columns], row, strict=True)) for row in table.rows}, says


def test_what_sales_can_work_shows_when_it_is_late() -> None:
    calm = [(0, True)] * 20 + [(1, True)] * 30 + [(1, False)]
    assert capacity(calm) == Capacity(30, None)
    flood = [(2, True)] * 24 + [(2, False)] * 60 + [(3, True)] * 26 + [(3, False)] * 3
    assert capacity(calm + flood) == Capacity(30, 25)
    assert capacity([]) == Capacity(0, None)


def flood(made: int, missed: int) -> Told:
    """Every week so many were made in time, and so many not."""
    moments = [AT - n * WEEK - timedelta(days=1) for n in range(4)]
    return Told([(at, met) for at in moments for met in [True] * made + [False] * missed])


@given(st.lists(st.integers(65, 100), min_size=4, max_size=60), st.integers(1, 20))
def test_the_line_is_the_lowest_that_sales_can_work(scores: list[int], made: int) -> None:
    opened = [(AT - 4 * WEEK + timedelta(hours=n), float(score), False) for n, score in enumerate(scores)]
    shown, says = drawn(flood(made, made + 5), opened)
    fits = [
        line for line, row in shown.items() if row["handoffs_a_week"] is not None and row["handoffs_a_week"] <= made
    ]
    a_week = [row["handoffs_a_week"] for _, row in sorted(shown.items()) if row["handoffs_a_week"] is not None]
    assert a_week == sorted(a_week, reverse=True) and a_week[0] == len(scores) / 4
    if not fits:
        assert "No line brings" in says
    elif min(fits) <= 65:
        assert "may stay" in says
    else:
        assert f"A line of {min(fits):g} instead of 65" in says


def test_who_asked_for_sales_comes_over_any_line() -> None:
    opened = [(AT - 4 * WEEK + timedelta(hours=n), 10.0, True) for n in range(40)]
    shown, says = drawn(flood(5, 5), opened)
    assert {row["handoffs_a_week"] for row in shown.values()} == {None, 10.0}
    assert "those who ask for sales are more already" in says


def test_nothing_is_claimed_that_nobody_knows() -> None:
    opened = [(AT - 4 * WEEK + timedelta(hours=n), 70.0, False) for n in range(40)]
    assert "no first touch was promised" in drawn(Told([]), opened)[1]
    assert "The line of 65 may stay" in drawn(flood(10, 0), opened)[1]
    assert "no whole week" in drawn(flood(1, 9), [])[1]
    by_grade = replace(POLICY, mql=Threshold(grades=("A1",)))
    assert "by grade" in drawn(flood(1, 9), opened, by_grade)[1]
    shown, _ = drawn(flood(1, 9), opened, scored=[(70.0, True), (90.0, False)])
    assert shown[75]["win_rate"] == 0.0 and shown[75]["wins_kept"] == 0.0
    assert shown[95]["win_rate"] is None  # nobody had so many


def test_those_below_the_line_are_counted_where_they_wait() -> None:
    opened = [(AT - 2 * WEEK, 70.0, False)]
    shown, _ = drawn(Told([], {40: 3, 60: 2, 70: 1}), opened)
    assert {line: shown[line]["waiting"] for line in (40, 45, 60, 65, 75)} == {40: 6, 45: 3, 60: 3, 65: 1, 75: 0}
    assert shown[60]["handoffs_a_week"] is None and shown[65]["handoffs_a_week"] == 0.5
    assert min(shown) == 40


@pytest.mark.parametrize("weeks", [1, 20])
def test_only_whole_weeks_count_and_thirteen_at_most(weeks: int) -> None:
    opened = [(AT - n * WEEK, 70.0, False) for n in range(1, weeks + 1)]
    assert drawn(Told([]), opened)[0][65]["handoffs_a_week"] == 1.0
