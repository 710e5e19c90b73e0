"""Working time against a slow oracle that steps minute by minute, over days on which the clocks change."""

from datetime import UTC, date, datetime, timedelta
from time import perf_counter
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from syncagent.handoff.calendar import (
    add_working,
    after,
    apart,
    back_at,
    before,
    start_of_day,
    working_between,
)
from syncagent.policy import Duration, Hours

OFFICE = ((540, 1080),)
WEEK = Hours((OFFICE,) * 5 + ((), ()), "Europe/Berlin")
NIGHTS = Hours((((0, 300), (1320, 1440)),) * 7, "Europe/Berlin")
GAPS = Hours((((90, 150), (170, 200)),) * 7, "Europe/Berlin")  # 01:30-02:30 and 02:50-03:20
ZONES = (
    "Europe/Berlin",
    "Europe/Dublin",  # summer is its standard time, and winter goes back from it
    "Africa/Casablanca",  # goes back for Ramadan
    "America/Sao_Paulo",
    "America/Havana",
    "America/New_York",
    "America/St_Johns",
    "America/Caracas",
    "America/Scoresbysund",
    "Antarctica/Troll",  # two hours
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Asia/Pyongyang",
    "Asia/Gaza",
    "Asia/Tehran",
    "Australia/Lord_Howe",  # half an hour
    "Pacific/Chatham",
    "Pacific/Apia",  # left a day out
    "Pacific/Kiritimati",
    "UTC",
)
CHANGES = tuple(
    datetime.fromisoformat(f"{text}+00:00")
    for text in (
        "2026-03-29T01:00",
        "2026-10-25T01:00",
        "2018-11-04T03:00",  # Sao Paulo skips midnight
        "2018-02-18T02:00",  # Sao Paulo repeats the hour before midnight
        "2026-03-08T05:00",  # Havana skips midnight, New York 02:00 soon after
        "2026-11-01T05:00",  # Havana repeats 00:00
        "2026-04-04T15:00",  # Lord Howe
        "2026-10-03T15:30",
        "2026-04-04T14:00",  # Chatham
        "2026-09-26T14:00",
        "2026-02-15T02:00",  # Casablanca, before Ramadan and after
        "2026-03-22T02:00",
        "2011-12-30T10:00",  # Apia goes from 29 to 31 December
        "2016-05-01T07:00",  # Caracas forward by half an hour for ever
        "2015-08-14T15:00",  # Pyongyang
        "2018-05-04T15:00",
        "1994-12-31T10:00",  # Kiritimati left a day out too
        "2022-03-21T20:30",  # Tehran skips midnight
        "2026-03-27T22:00",  # Gaza
    )
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


AWAY = st.sets(st.integers(-2, 4), max_size=4)


def dates(start: datetime, hours: Hours, days: set[int]) -> frozenset[str]:
    """So many days before or after the start's date in the zone of the hours."""
    first = start.astimezone(ZoneInfo(hours.zone)).date()
    return frozenset((first + timedelta(days=day)).isoformat() for day in days)


@given(STARTS, st.integers(0, 4 * 1440), HOURS, AWAY)
@example(CHANGES[0] - timedelta(hours=3), 600, GAPS, set())
@example(CHANGES[1] - timedelta(hours=3), 600, GAPS, set())
@example(CHANGES[0] - timedelta(days=1), 2880, NIGHTS, {1})
@settings(max_examples=250, deadline=None)
def test_minutes_between_are_those_of_the_oracle(start: datetime, length: int, hours: Hours, off: set[int]) -> None:
    end = start + timedelta(minutes=length)
    away = dates(start, hours, off)
    if not any(hours.week):
        assert working_between(start, end, hours, away) == length
        return
    assert working_between(start, end, hours, away) == slow_between(start, end, hours, away)


@given(STARTS, st.integers(0, 600), HOURS, AWAY)
@settings(max_examples=250, deadline=None)
def test_the_end_is_the_oracles(start: datetime, minutes: int, hours: Hours, off: set[int]) -> None:
    """Stepped minute by minute until so many were worked; six days are far enough, or they are not reached."""
    away = dates(start, hours, off)
    end, left = start, minutes
    while left and end < start + timedelta(days=6):
        left -= works(end, hours, away) if any(hours.week) else 1
        end += timedelta(minutes=1)
    found = add_working(start, minutes, hours, away)
    assert found == end if not left else found > end


@given(STARTS, st.integers(1, 10 * 366 * 1440), HOURS, AWAY)
@settings(max_examples=150, deadline=None)
def test_adding_and_measuring_are_each_other_turned_round(
    start: datetime, minutes: int, hours: Hours, off: set[int]
) -> None:
    away = dates(start, hours, off)
    end = add_working(start, minutes, hours, away)
    if end - start < timedelta(days=99 * 365):
        assert working_between(start, end, hours, away) == minutes
        assert working_between(start, end - timedelta(microseconds=1), hours, away) < minutes


BUSY = st.lists(st.tuples(st.integers(-1440, 4 * 1440), st.integers(-10, 1440)), max_size=5)


def absences(start: datetime, given: list[tuple[int, int]]) -> list[tuple[datetime, datetime]]:
    """From so many minutes after the start, for so many."""
    return [(start + timedelta(minutes=begin), start + timedelta(minutes=begin + length)) for begin, length in given]


@given(STARTS, st.integers(0, 2 * 1440), HOURS, AWAY, BUSY)
@settings(max_examples=200, deadline=None)
def test_absences_for_part_of_a_day_are_left_out_as_by_the_oracle(
    start: datetime, length: int, hours: Hours, off: set[int], given: list[tuple[int, int]]
) -> None:
    away, gone = dates(start, hours, off), absences(start, given)
    end, worked = start, 0
    while end < start + timedelta(minutes=length):
        here = not any(begin <= end < back for begin, back in gone)
        worked += here and (works(end, hours, away) if any(hours.week) else True)
        end += timedelta(minutes=1)
    busy = apart(gone)
    assert working_between(start, end, hours, away, busy) == worked
    assert all(busy[n][1] < busy[n + 1][0] for n in range(len(busy) - 1))
    found = add_working(start, worked, hours, away, busy)
    assert found <= end and working_between(start, found, hours, away, busy) == worked
    assert add_working(start, worked + 1, hours, away, busy) > end
    for moment in (start, end):
        inside = [back for begin, back in busy if begin <= moment < back]
        assert back_at(moment, busy) == (inside[0] if inside else None)


def test_every_zone_agrees_with_the_oracle_on_the_days_of_its_last_changes() -> None:
    """The two latest changes before 2027: windows that lie across them, minute by minute."""
    compared = 0
    for zone in sorted(available_timezones()):
        hours = Hours((((30, 100), (115, 200), (1400, 1440)),) * 7, zone)
        for change in last_changes(zone):
            start, end = change - timedelta(hours=3), change + timedelta(hours=3)
            compared += 1
            assert working_between(start, end, hours) == slow_between(start, end, hours, frozenset()), zone
    assert compared > 150


def last_changes(zone: str) -> list[datetime]:
    """When the clocks of the zone were changed last, to the hour: looked for day by day, not by our code."""
    tz, day = ZoneInfo(zone), datetime(2026, 12, 31, tzinfo=UTC)
    found: list[datetime] = []
    while day.year > 2019 and len(found) < 2:
        if day.astimezone(tz).utcoffset() != (day - timedelta(days=1)).astimezone(tz).utcoffset():
            hours = (day - timedelta(hours=hour) for hour in range(25))
            found.append(next(h for h in hours if h.astimezone(tz).utcoffset() != (day.astimezone(tz).utcoffset())))
        day -= timedelta(days=1)
    return found


def test_long_promises_are_as_fast_as_short_ones() -> None:
    """Ten years of office hours, 300 weeks of a minute each, and hours that never come: not stepped day by day."""
    start = datetime(2026, 3, 10, 9, 0, tzinfo=UTC)
    minute = Hours((((540, 541),), *((),) * 6), "Pacific/Chatham")
    never = tuple((date(2026, 1, 1) + timedelta(days=day)).isoformat() for day in range(3650))
    for hours, minutes, away in ((WEEK, 10 * 260 * 540, ()), (minute, 300, ()), (WEEK, 60, never)):
        add_working(start, minutes, hours, away)  # the years of the zone are read once
        began = perf_counter()
        for _ in range(100):
            end = add_working(start, minutes, hours, away)
        assert perf_counter() - began < 0.5, "a hundred of them in half a second; stepping takes ten times as long"
        assert working_between(start, end, hours, away) == minutes


def test_work_that_does_not_come_within_a_hundred_years_is_over_then() -> None:
    minute = Hours((((540, 541),), *((),) * 6), "Europe/Dublin")
    start = datetime(2026, 3, 10, 9, 0, tzinfo=UTC)
    assert add_working(start, 1e9, minute) == start + timedelta(days=36_500)
    assert add_working(start, 1e15, None).year == 9990


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
