"""Working time against a slow oracle that steps minute by minute, over days on which the clocks change."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from syncagent.handoff.calendar import add_working, after, before, start_of_day, working_between
from syncagent.policy import Duration, Hours

OFFICE = ((540, 1080),)
WEEK = Hours((OFFICE,) * 5 + ((), ()), "Europe/Berlin")
NIGHTS = Hours((((0, 300), (1320, 1440)),) * 7, "Europe/Berlin")
GAPS = Hours((((90, 150), (170, 200)),) * 7, "Europe/Berlin")  # 01:30-02:30 and 02:50-03:20
ZONES = (
    "Europe/Berlin",
    "America/Sao_Paulo",
    "America/Havana",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
    "America/New_York",
)
CHANGES = (
    datetime(2026, 3, 29, 0, 0, tzinfo=UTC),
    datetime(2026, 10, 25, 0, 0, tzinfo=UTC),
    datetime(2018, 11, 4, 2, 0, tzinfo=UTC),  # Sao Paulo skips midnight
    datetime(2018, 2, 18, 1, 0, tzinfo=UTC),  # Sao Paulo repeats the hour before midnight
    datetime(2026, 3, 8, 4, 0, tzinfo=UTC),  # Havana skips midnight, New York 02:00
    datetime(2026, 11, 1, 4, 0, tzinfo=UTC),  # Havana repeats 00:00
    datetime(2026, 4, 4, 14, 0, tzinfo=UTC),  # Lord Howe: half an hour
)


def works(moment: datetime, hours: Hours, away: frozenset[str]) -> bool:
    local = moment.astimezone(ZoneInfo(hours.zone))
    if local.date().isoformat() in away:
        return False
    minute = local.hour * 60 + local.minute
    return any(begin <= minute < end for begin, end in hours.week[local.weekday()])


def slow_between(start: datetime, end: datetime, hours: Hours, away: frozenset[str]) -> int:
    count, moment = 0, start
    while moment < end:
        count += works(moment, hours, away)
        moment += timedelta(minutes=1)
    return count


PAIRS = st.lists(st.integers(0, 1440), min_size=0, max_size=4, unique=True).map(
    lambda ends: tuple(zip(*[iter(sorted(ends))] * 2, strict=False))
)
HOURS = st.builds(
    lambda week, zone: Hours(tuple(week), zone), st.lists(PAIRS, min_size=7, max_size=7), st.sampled_from(ZONES)
)
STARTS = st.builds(
    lambda change, offset: change + timedelta(minutes=offset), st.sampled_from(CHANGES), st.integers(-2 * 1440, 1440)
)


@given(STARTS, st.integers(0, 2 * 1440), HOURS, st.booleans())
@example(CHANGES[0] - timedelta(hours=3), 600, GAPS, False)
@example(CHANGES[1] - timedelta(hours=3), 600, GAPS, False)
@settings(max_examples=150, deadline=None)
def test_minutes_between_are_those_of_the_oracle(start: datetime, length: int, hours: Hours, off: bool) -> None:
    end = start + timedelta(minutes=length)
    away = frozenset({start.astimezone(ZoneInfo(hours.zone)).date().isoformat()} if off else ())
    if not any(hours.week):
        assert working_between(start, end, hours, away) == length
        return
    assert working_between(start, end, hours, away) == pytest.approx(slow_between(start, end, hours, away))


@given(STARTS, st.integers(1, 1440), HOURS)
@settings(max_examples=150, deadline=None)
def test_adding_and_measuring_are_each_other_turned_round(start: datetime, minutes: int, hours: Hours) -> None:
    end = add_working(start, minutes, hours)
    assert working_between(start, end, hours) == pytest.approx(minutes)
    assert working_between(start, end - timedelta(seconds=30), hours) < minutes


@pytest.mark.parametrize(
    ("start", "minutes", "hours", "away", "end"),
    [
        ("2026-03-10T16:50+00:00", 20, WEEK, (), "2026-03-11T08:10+00:00"),
        ("2026-03-13T16:50+00:00", 20, WEEK, (), "2026-03-16T08:10+00:00"),
        ("2026-03-13T16:50+00:00", 20, WEEK, ("2026-03-16",), "2026-03-17T08:10+00:00"),
        ("2026-03-27T16:50+00:00", 20, WEEK, (), "2026-03-30T07:10+00:00"),  # the weekend on which summer begins
        ("2026-10-23T15:50+00:00", 20, WEEK, (), "2026-10-26T08:10+00:00"),  # and on which it ends
        ("2026-03-28T23:00+00:00", 240, NIGHTS, (), "2026-03-29T03:00+00:00"),  # 00:00-05:00 is four hours that night
        ("2026-10-24T22:00+00:00", 360, NIGHTS, (), "2026-10-25T04:00+00:00"),  # and six that one
        ("2026-03-10T16:50+00:00", 20, None, (), "2026-03-10T17:10+00:00"),
        ("2026-03-10T16:50+00:00", 0, WEEK, (), "2026-03-10T16:50+00:00"),
    ],
)
def test_golden_ends(start: str, minutes: int, hours: Hours | None, away: tuple[str, ...], end: str) -> None:
    assert add_working(datetime.fromisoformat(start), minutes, hours, away) == datetime.fromisoformat(end)


def test_days_are_calendar_days_of_the_zone() -> None:
    start = datetime(2026, 3, 28, 9, 0, tzinfo=UTC)  # 10:00 in Berlin, the day before summer begins
    assert after(start, Duration(days=1), "Europe/Berlin") == datetime(2026, 3, 29, 8, 0, tzinfo=UTC)
    assert after(start, Duration(days=2), "Europe/Berlin", 0.5) == datetime(2026, 3, 29, 8, 0, tzinfo=UTC)
    assert before(datetime(2026, 3, 29, 8, 0, tzinfo=UTC), Duration(days=1), "Europe/Berlin") == start
    assert after(start, Duration(minutes=90), "Europe/Berlin") == start + timedelta(minutes=90)
    assert start_of_day(date(2018, 11, 4), "America/Sao_Paulo") == datetime(2018, 11, 4, 3, 0, tzinfo=UTC)


def test_hours_that_never_come_end_somewhere() -> None:
    none = Hours(((), (), (), (), (), (), ()), "UTC")
    start = datetime(2026, 3, 10, tzinfo=UTC)
    assert add_working(start, 5, none) == start + timedelta(minutes=5)


def test_a_day_that_a_zone_left_out_holds_no_work() -> None:
    apia = Hours((OFFICE,) * 7, "Pacific/Apia")
    start = datetime(2011, 12, 30, 9, 0, tzinfo=UTC)  # 23:00 on the 29th; the 30th did not take place
    assert add_working(start, 60, apia) == datetime(2011, 12, 30, 20, 0, tzinfo=UTC)
