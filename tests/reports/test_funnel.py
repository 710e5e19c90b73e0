"""The funnel adds up: in = out + stuck, any cut sums to the whole, no day is lost, nothing unfit is averaged."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncagent.reports.flows import read_flows
from syncagent.reports.funnel import BY, STEPS, funnel
from syncagent.reports.periods import Months, at_share, bucket, ms_of
from syncagent.reports.report import Ask, Report, Table
from tests.reports.asked import DAY, HOUR, Asked, shared
from tests.unit.handoff.worlds import policy

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Pacific/Apia", "Asia/Kathmandu", "Australia/Lord_Howe")
T0 = ms_of(datetime(2025, 9, 20, tzinfo=UTC))
END = 240  # days
AT = datetime(2025, 9, 20, tzinfo=UTC) + timedelta(days=END)
NAMES = ("suspect", "prospect", "mql", "sal", "sql", "opportunity", "won", "recycled", "lost", "disqualified")


@pytest.fixture
def asked() -> Asked:
    shared().empty()
    return shared()


def table(report: Report, name: str) -> Table:
    return next(one for one in report.tables if one.name == name)


def column(found: Table, name: str) -> list[Any]:
    place = [one.name for one in found.columns].index(name)
    return [row[place] for row in found.rows]


PEOPLE = st.lists(
    st.tuples(
        st.integers(0, END * 24),  # hours after T0
        st.lists(
            st.tuples(st.integers(-48, 24 * 60), st.sampled_from(NAMES)), max_size=6, unique_by=lambda one: one[0]
        ),
        st.sampled_from(("", "Web", "Fair")),
        st.sampled_from(("A1", "B2", "")),
        st.one_of(st.none(), st.integers(-24 * 9, 24 * 120)),  # a win, in hours after they came
        st.booleans(),
    ),
    max_size=25,
)


def fill(asked: Asked, people: list[Any]) -> None:
    asked.empty()
    for number, (entered, stays, source, grade, won, back) in enumerate(people, 1):
        came = T0 + entered * HOUR
        asked.person(number, came, source=source, grade=grade, owner=source, handoffs=1 + back)
        ordered = sorted((came + hours * HOUR + number, stage) for hours, stage in stays)
        asked.stays(number, *ordered, handoff=f"{number}.{1 + back}")
        if won is not None:
            asked.won(f"D{number}", came + won * HOUR, number)


@given(PEOPLE, st.sampled_from(ZONES), st.integers(0, END - 1), st.integers(1, END))
@settings(deadline=None, max_examples=60)
def test_who_was_there_and_came_is_who_left_and_is_there(people: list[Any], zone: str, since: int, length: int) -> None:
    asked = shared()
    fill(asked, people)
    low = AT - timedelta(days=END - since)
    high = low + timedelta(days=length)
    flows = read_flows(asked, Ask(AT, zone, low, high), "''")  # type: ignore[arg-type]
    whole = {one.stage: one for one in flows.whole()}
    for one in whole.values():
        assert one.there + one.came == one.left + one.here
    monthly = list(flows.monthly())
    for stage, total in whole.items():
        rows = [one for one in monthly if one.stage == stage]
        assert all(one.there + one.came == one.left + one.here for one in rows)
        assert all(b.there == a.here for a, b in pairwise(rows) if b.month == _next(a.month))
        assert sum(one.came for one in rows) == total.came
        assert sum(one.left for one in rows) == total.left
    here = sum(one.here for one in whole.values())
    until = min(ms_of(high), ms_of(AT))
    assert here == sum(_somewhere(one, number, until) for number, one in enumerate(people, 1)), "each is in one stage"
    for by in ("source", "grade"):
        cuts = read_flows(asked, Ask(AT, zone, low, high, by), f"e.{by}")  # type: ignore[arg-type]
        sums: Counter[tuple[str, str]] = Counter()
        for one in cuts.whole():
            for name in ("there", "came", "left", "here", "returns"):
                sums[one.stage, name] += getattr(one, name)
        assert sums == Counter({(s, n): getattr(one, n) for s, one in whole.items() for n in ("there", "came", "left",
                                "here", "returns")})  # fmt: skip


def _next(month: date) -> date:
    return (month.replace(day=28) + timedelta(days=4)).replace(day=1)


def _somewhere(one: Any, number: int, until: int) -> bool:
    """Whether somebody had come in, or was seen in a stage, by then."""
    entered, stays, *_ = one
    came = T0 + entered * HOUR
    return min([came, *(came + hours * HOUR + number for hours, _ in stays)]) < until


@given(PEOPLE, st.sampled_from(ZONES))
@settings(deadline=None, max_examples=60)
def test_any_cut_sums_to_the_whole_and_no_day_is_lost(people: list[Any], zone: str) -> None:
    asked = shared()
    fill(asked, people)
    there = [one for one in people if T0 + one[0] * HOUR < ms_of(AT)]
    whole = funnel(asked, Ask(AT, zone), policy())  # type: ignore[arg-type]
    steps = column(table(whole, "steps"), "people")
    assert steps == sorted(steps, reverse=True)
    assert (steps[0] if steps else 0) == len(there)
    if not there:
        return
    assert steps[-1] == sum(one[4] is not None or any(stage == "won" for _, stage in one[1]) for one in there)
    rows = table(whole, "steps").rows
    assert all(reached == direct + returned for _, reached, direct, returned, *_ in rows)
    for step, count in zip(STEPS, steps, strict=True):
        assert sum(column(table(whole, "cohorts"), step)) == count, "every day is in one month"
    for by in BY:
        cut = table(funnel(asked, Ask(AT, zone, by=by), policy()), "by")  # type: ignore[arg-type]
        assert [sum(column(cut, step)) for step in STEPS] == steps


@given(st.sampled_from(ZONES), st.integers(T0, T0 + 900 * DAY), st.integers(0, 900 * DAY), st.integers(0, 900 * DAY))
def test_months_hold_every_moment_once(zone: str, first: int, length: int, place: int) -> None:
    months = Months(first, first + length, zone)
    stamp = first + min(place, length)
    index = months.of(stamp)
    assert months.starts[index] <= stamp
    following = months.starts[index + 1] if index + 1 < len(months.starts) else months.end
    assert stamp < following
    asked = shared()
    for edges in (months.starts, [first], [first, first + 1]):
        [(found, nothing)] = asked.ask(f"select {bucket(str(stamp), edges)}, {bucket('null', edges)}")
        assert found == sum(edge <= stamp for edge in edges) - 1
        assert nothing is None


def test_the_clocks_change_and_the_month_begins_at_its_own_midnight() -> None:
    months = Months(ms_of(datetime(2026, 3, 31, 21, 59, 59, 999_000, tzinfo=UTC)), ms_of(AT), "Europe/Berlin")
    assert months.days[0] == date(2026, 3, 1)
    assert months.starts[1] == ms_of(datetime(2026, 3, 31, 22, tzinfo=UTC)), "summer time"
    late = Months(ms_of(datetime(2026, 3, 31, 22, tzinfo=UTC)), ms_of(AT), "Europe/Berlin")
    assert late.days[0] == date(2026, 4, 1)


def test_cut_off_and_young_months_are_marked_and_not_summed_up(asked: Asked) -> None:
    number = 0
    for month in range(8):
        came = ms_of(
            datetime(2025, 9 + month, 5, tzinfo=UTC) if month < 4 else datetime(2026, month - 3, 5, tzinfo=UTC)
        )
        for lead in range(40):
            number += 1
            asked.person(number, came)
            asked.stays(number, (came + 1, "mql"))
            if lead < 10 and month >= 2:
                asked.won(f"D{number}", came + (lead + 1) * DAY, number)
    found = funnel(asked, Ask(datetime(2026, 4, 12, tzinfo=UTC), "UTC"), policy())  # type: ignore[arg-type]
    cohorts = table(found, "cohorts")
    marks = dict(zip(column(cohorts, "month"), column(cohorts, "not_comparable"), strict=True))
    assert marks == {
        date(2025, 9, 1): "cut off",
        date(2025, 10, 1): "cut off",
        date(2025, 11, 1): "cut off",  # the first win that is known is of this month
        date(2025, 12, 1): "",
        date(2026, 1, 1): "",
        date(2026, 2, 1): "",
        date(2026, 3, 1): "",
        date(2026, 4, 1): "too young",
    }
    clean = table(found, "clean")
    assert column(clean, "lead") == [160] and column(clean, "won") == [40]
    assert column(clean, "rate") == [0.25]
    assert [column(clean, name)[0] for name in ("p25", "median", "p75", "p90")] == [3, 5, 8, 9]
    assert len(clean.notes) == 2 and "2025-11" in clean.notes[0]


def test_a_win_before_the_first_contact_is_counted_and_told_but_old_business_is_not_mistaken_for_it(
    asked: Asked,
) -> None:
    asked.person(1, T0)
    asked.won("old", T0 - 400 * DAY, 1)
    asked.won("new", T0 + 5 * DAY, 1)
    asked.person(2, T0 + 9 * DAY)
    asked.won("early", T0 + 7 * DAY, 2)
    found = funnel(asked, Ask(AT, "UTC"), policy())  # type: ignore[arg-type]
    assert column(table(found, "steps"), "people")[-1] == 2
    assert any("1 person's deal was won before their first contact" in note for note in found.notes)
    assert column(table(found, "cohorts"), "median") == [-2]


def test_the_recycled_path_is_apart(asked: Asked) -> None:
    asked.person(1, T0, handoffs=2)
    asked.stays(1, (T0 + 1, "mql"), handoff="1.1")
    asked.put("visit", person=1, entered_at=T0 + DAY, stage="sql", left_at=None, handoff="1.2")
    asked.person(2, T0, handoffs=1)
    asked.stays(2, (T0 + 1, "sal"), handoff="2.1")
    rows = {row[0]: row[1:4] for row in table(funnel(asked, Ask(AT, "UTC"), policy()), "steps").rows}  # type: ignore[arg-type]
    assert rows["mql"] == (2, 2, 0)
    assert rows["sal"] == (2, 1, 1)
    assert rows["sql"] == (1, 0, 1)


def test_a_state_with_nobody_is_told_as_such_and_who_is_missing_is_named(asked: Asked) -> None:
    for by in ("", *BY):
        found = funnel(asked, Ask(AT, "UTC", by=by), policy())  # type: ignore[arg-type]
        assert [one.rows for one in found.tables] == [()]
        assert found.notes == ()
    asked.put("person", id=1, dirty_since=5)
    asked.put("judged", person=1, decision="{}")
    found = funnel(asked, Ask(AT, "UTC"), policy())  # type: ignore[arg-type]
    assert found.notes[0].startswith("1 person is not counted yet")


@given(st.lists(st.integers(-5, 99), min_size=1), st.floats(0.01, 1.0))
def test_a_share_of_the_figures_does_not_exceed_it(figures: list[int], share: float) -> None:
    ordered = sorted(figures)
    found = at_share(ordered, share)
    assert found is not None
    assert sum(one <= found for one in ordered) >= share * len(ordered) - 1e-9
    assert sum(one < found for one in ordered) < share * len(ordered) + 1e-9
    assert at_share([], share) is None
