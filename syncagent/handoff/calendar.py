"""Working time by intervals: right on the days when the clocks change, and never stepped minute by minute.

A moment is working time when its wall-clock time in the zone lies inside one of the day's (start, end) pairs and its
date is not among the days away. So an hour that the clocks skip is not worked, and one that they repeat is worked
twice. Pairs are minutes after midnight, end exclusive; `away` are ISO dates in the zone of the hours.
"""

from collections.abc import Collection, Iterator
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from syncagent.policy import Duration, Hours

_FURTHEST_DAYS = 20_000  # hours that are never worked must not loop for ever


@lru_cache(maxsize=256)
def zone_of(name: str) -> ZoneInfo:
    """The zone by its IANA name; an unknown one is UTC (the config refuses it before it comes here)."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


def local_day(moment: datetime, zone: str) -> str:
    """The ISO date of the moment in the zone."""
    return moment.astimezone(zone_of(zone)).date().isoformat()


def is_away(moment: datetime, zone: str, away: Collection[str]) -> bool:
    """Whether the moment's date in the zone is among the days away."""
    return bool(away) and local_day(moment, zone) in away


def after(start: datetime, duration: Duration, zone: str, share: float = 1.0) -> datetime:
    """`start` plus a share of the duration: whole days keep the wall-clock time of the zone, minutes are real time."""
    days, part = divmod(duration.days * share, 1)
    moved = start
    if days:
        moved = (start.astimezone(zone_of(zone)) + timedelta(days=days)).astimezone(UTC)
    return moved + timedelta(days=part, minutes=duration.minutes * share)


def before(end: datetime, duration: Duration, zone: str) -> datetime:
    """`end` minus the duration, days as calendar days of the zone."""
    moved = end
    if duration.days:
        moved = (end.astimezone(zone_of(zone)) - timedelta(days=duration.days)).astimezone(UTC)
    return moved - timedelta(minutes=duration.minutes)


def start_of_day(day: date, zone: str) -> datetime:
    """The first moment of a date in the zone, UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=zone_of(zone)).astimezone(UTC)


def add_working(start: datetime, minutes: float, hours: Hours | None, away: Collection[str] = ()) -> datetime:
    """The earliest moment by which `minutes` of working time have passed since `start`.

    `hours` None, or with no working minute in the week: every minute counts.
    """
    if minutes <= 0:
        return start
    if hours is None or not any(end > begin for day in hours.week for begin, end in day):
        return start + timedelta(minutes=minutes)
    left = minutes * 60.0
    reached = start.timestamp()
    for begin, end in _stretches(start, hours, away):
        here = max(begin, reached)
        if end - here >= left:
            return datetime.fromtimestamp(here + left, UTC)
        if end > here:
            left -= end - here
            reached = end
    return start + timedelta(days=_FURTHEST_DAYS)


def working_between(start: datetime, end: datetime, hours: Hours | None, away: Collection[str] = ()) -> float:
    """Minutes of working time between two moments; 0 when `end` is not later."""
    if end <= start:
        return 0.0
    if hours is None or not any(stop > begin for day in hours.week for begin, stop in day):
        return (end - start).total_seconds() / 60
    first, last = start.timestamp(), end.timestamp()
    total = 0.0
    for begin, stop in _stretches(start, hours, away):
        if begin >= last:
            break
        total += max(0.0, min(stop, last) - max(begin, first))
        first = max(first, min(stop, last))
    return total / 60


def _stretches(start: datetime, hours: Hours, away: Collection[str]) -> Iterator[tuple[float, float]]:
    """Working stretches as (begin, end) POSIX seconds, in order, from the day of `start` on."""
    day = start.astimezone(zone_of(hours.zone)).date()
    for _ in range(_FURTHEST_DAYS):
        pairs = hours.week[day.weekday()] if day.weekday() < len(hours.week) else ()
        if pairs and not (away and day.isoformat() in away):
            for begin, end, offset in _segments(hours.zone, day.toordinal()):
                midnight = (day - date(1970, 1, 1)).days * 86_400 - offset
                for open_at, close_at in pairs:
                    low = max(begin, midnight + open_at * 60)
                    high = min(end, midnight + close_at * 60)
                    if high > low:
                        yield low, high
        day += timedelta(days=1)


@lru_cache(maxsize=8192)
def _segments(zone: str, ordinal: int) -> tuple[tuple[float, float, float], ...]:
    """The parts of a local day with one UTC offset each: (begin, end, offset), POSIX seconds. One part on most days."""
    tz = zone_of(zone)
    day = date.fromordinal(ordinal)
    begin = start_of_day(day, zone).timestamp()
    end = start_of_day(day + timedelta(days=1), zone).timestamp()
    if end <= begin:
        return ()  # a day that the zone left out (Samoa, 30 December 2011)

    def offset(at: float) -> float:
        shift = datetime.fromtimestamp(at, tz).utcoffset()
        return shift.total_seconds() if shift is not None else 0.0

    first, last = offset(begin), offset(end - 1)
    if first == last:
        return ((begin, end, first),)
    low, high = begin, end - 1  # the offset changes somewhere after low and at or before high
    while high - low > 1:
        middle = (low + high) // 2
        if offset(middle) == first:
            low = middle
        else:
            high = middle
    return ((begin, high, first), (high, end, last))
