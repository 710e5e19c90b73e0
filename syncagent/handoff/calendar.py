"""Working time by intervals: right on the days when the clocks change, and as fast for ten years as for ten minutes.

A moment is working time when its wall-clock time in the zone lies inside one of the day's (start, end) pairs and its
date is not among the days away. What follows for days on which the clocks change:

* the gap: an hour that the clocks skip is not worked, for there is none. 01:30 to 03:30 is one hour that night;
* the overlap: an hour that they repeat is worked twice, both times. 01:30 to 03:30 is three hours that night;
* a day that a zone leaves out (Samoa, 30 December 2011) holds no work;
* calendar days keep the wall-clock time. One that is skipped is taken as late as the gap is long (02:30 -> 03:30), one
  that is repeated is taken the first time.

Pairs are minutes after midnight, end exclusive; a window over midnight is two pairs, one on each date, and each goes by
its own date's absences. `away` are ISO dates in the zone of the hours; `busy` are absences from a moment to a moment,
UTC, in order and apart from each other (`apart` makes them so).

Nothing is stepped: between two changes of the clocks local time is a straight line, along which the working time up to
any moment is whole weeks, the days of the last one, and the pairs of the last day, less what the days away would have
held. Inside, all is whole microseconds: nothing is lost by adding and taking away.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from syncagent.policy import Duration, Hours

_FURTHEST_YEARS = 100  # work that does not come within them is said to be done then
_SECOND = 1_000_000
_MINUTE = 60 * _SECOND
_DAY = 1440 * _MINUTE
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_WEEKDAY = 3  # 1 January 1970 was a Thursday
_LAST = datetime(9990, 1, 1, tzinfo=UTC)


@lru_cache(maxsize=1024)
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


Spans = tuple[tuple[datetime, datetime], ...]


def apart(spans: Iterable[tuple[datetime, datetime]]) -> Spans:
    """The same time as spans in order, none of which touches another one."""
    made: list[tuple[datetime, datetime]] = []
    for begin, end in sorted(spans):
        if made and begin <= made[-1][1]:
            made[-1] = (made[-1][0], max(made[-1][1], end))
        elif begin < end:
            made.append((begin, end))
    return tuple(made)


def back_at(moment: datetime, busy: Spans) -> datetime | None:
    """When the absence that holds this moment ends; None when none does."""
    place = bisect_right(busy, moment, key=_begin_of)
    return busy[place - 1][1] if place and moment < busy[place - 1][1] else None


def add_working(
    start: datetime, minutes: float, hours: Hours | None, away: Collection[str] = (), busy: Spans = ()
) -> datetime:
    """The earliest moment by which `minutes` of working time have passed since `start`; at most a hundred years on.

    `hours` None, or with no working minute in the week: every minute counts.
    """
    if minutes <= 0:
        return start
    left = round(minutes * _MINUTE)
    end = _add(start, left, hours, away)
    if not busy:
        return end
    for begin, back in busy[_first_after(start, busy) :]:
        if end <= begin:
            break
        if start < begin:
            left -= _between(start, begin, hours, away)
        start = back
        end = _add(start, left, hours, away)
    return end


def working_between(
    start: datetime, end: datetime, hours: Hours | None, away: Collection[str] = (), busy: Spans = ()
) -> float:
    """Minutes of working time between two moments; 0 when `end` is not later."""
    if end <= start:
        return 0.0
    total = _between(start, end, hours, away)
    if not busy:
        return total / _MINUTE
    for begin, back in busy[_first_after(start, busy) :]:
        if end <= begin:
            break
        total -= _between(max(start, begin), min(end, back), hours, away)
    return total / _MINUTE


def _begin_of(span: tuple[datetime, datetime]) -> datetime:
    return span[0]


def _end_of(span: tuple[datetime, datetime]) -> datetime:
    return span[1]


def _first_after(moment: datetime, busy: Spans) -> int:
    """The place of the first absence that ends after the moment."""
    return bisect_right(busy, moment, key=_end_of)


def _add(start: datetime, left: int, hours: Hours | None, away: Collection[str]) -> datetime:
    work = _work(hours, away)
    begin = _micros(start)
    if hours is None or work is None:
        return _moment(begin + left)
    for reached, end, offset in _straight(hours.zone, begin):
        done = work.until(reached + offset)
        found = work.until(end + offset) - done
        if found >= left:
            return _moment(work.reaches(done + left, reached + offset) - offset)
        left -= found
    return _moment(begin + _FURTHEST_YEARS * 365 * _DAY)


def _between(start: datetime, end: datetime, hours: Hours | None, away: Collection[str]) -> int:
    work = _work(hours, away)
    begin, last = _micros(start), _micros(end)
    if hours is None or work is None:
        return last - begin
    total = 0
    for reached, stop, offset in _straight(hours.zone, begin):
        total += work.until(min(stop, last) + offset) - work.until(reached + offset)
        if stop >= last:
            break
    return total


class _Work(NamedTuple):
    """A week of hours, ready to be summed. All lengths in microseconds; days are counted from 1 January 1970."""

    week: int
    before: tuple[int, ...]  # work of the week before each weekday begins
    pairs: tuple[tuple[tuple[int, int], ...], ...]
    away: tuple[int, ...]  # days that would have held work
    lost: tuple[int, ...]  # what the first n of them would have held

    def until(self, local: int) -> int:
        """Working time from the epoch's week up to a local moment."""
        day, part = divmod(local, _DAY)
        weeks, weekday = divmod(day + _FIRST_WEEKDAY, 7)
        gone = bisect_left(self.away, day)
        done = weeks * self.week + self.before[weekday] - self.lost[gone]
        if gone < len(self.away) and self.away[gone] == day:
            return done
        for begin, end in self.pairs[weekday]:
            if part <= begin:
                break
            done += min(part, end) - begin
        return done

    def reaches(self, target: int, local: int) -> int:
        """The first local moment after `local` up to which there is so much work; it must come."""
        low, step = local // _DAY, 1
        while self.until((low + step) * _DAY) < target:
            low, step = low + step, step * 2
        high = low + step  # the work is done on a day from low to before high
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.until(middle * _DAY) < target else (low, middle)
        done = self.until(low * _DAY)
        for begin, end in self.pairs[(low + _FIRST_WEEKDAY) % 7]:
            if done + end - begin >= target:
                return low * _DAY + begin + target - done
            done += end - begin
        return high * _DAY


def _work(hours: Hours | None, away: Collection[str]) -> _Work | None:
    if hours is None:
        return None
    return _summed(hours, away if isinstance(away, tuple) else tuple(sorted(away)))


@lru_cache(maxsize=4096)
def _summed(hours: Hours, away: tuple[str, ...]) -> _Work | None:
    """None: no minute of the week is worked."""
    given = [hours.week[day] if day < len(hours.week) else () for day in range(7)]
    pairs = [_joined(day) for day in given]
    each = [sum(end - begin for begin, end in day) for day in pairs]
    if not any(each):
        return None
    days = (date.fromisoformat(day).toordinal() - _EPOCH.toordinal() for day in away)
    missed = sorted({day for day in days if each[(day + _FIRST_WEEKDAY) % 7]})
    lost = [0]
    for day in missed:
        lost.append(lost[-1] + each[(day + _FIRST_WEEKDAY) % 7])
    return _Work(sum(each), tuple(sum(each[:day]) for day in range(7)), tuple(pairs), tuple(missed), tuple(lost))


def _joined(pairs: Collection[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """A day's pairs in order, in microseconds; those that overlap are one."""
    made: list[tuple[int, int]] = []
    for begin, end in sorted((begin * _MINUTE, end * _MINUTE) for begin, end in pairs if end > begin):
        if made and begin <= made[-1][1]:
            made[-1] = (made[-1][0], max(made[-1][1], end))
        else:
            made.append((begin, end))
    return tuple(made)


def _straight(zone: str, start: int) -> Iterator[tuple[int, int, int]]:
    """(begin, end, offset) from `start` on, between which the clocks of the zone are not changed; a hundred years."""
    first = _moment(start).year
    for year in range(first, first + _FURTHEST_YEARS):
        for begin, end, offset in _year(zone, year):
            if end > start:
                yield max(begin, start), end, offset


@lru_cache(maxsize=8192)
def _year(zone: str, year: int) -> tuple[tuple[int, int, int], ...]:
    """The stretches of a UTC year with one offset each. No zone has ever changed its clocks twice within a day."""
    tz = zone_of(zone)
    if year >= _LAST.year:
        return ()

    def offset(second: int) -> int:
        shift = datetime.fromtimestamp(second, tz).utcoffset()
        return round(shift.total_seconds()) if shift is not None else 0

    begin = _micros(datetime(year, 1, 1, tzinfo=UTC)) // _SECOND
    end = _micros(datetime(year + 1, 1, 1, tzinfo=UTC)) // _SECOND
    made: list[tuple[int, int, int]] = []
    since, present = begin, offset(begin)
    for day in range(begin + 86_400, end + 86_400, 86_400):
        last = min(day, end) - 1
        if (new := offset(last)) == present:
            continue
        low, high = last - 86_400, last  # it changes somewhere after low and at or before high
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if offset(middle) == present else (low, middle)
        made.append((since * _SECOND, high * _SECOND, present * _SECOND))
        since, present = high, new
    return (*made, (since * _SECOND, end * _SECOND, present * _SECOND))


def _micros(moment: datetime) -> int:
    gone = moment - _EPOCH
    return gone.days * _DAY + gone.seconds * _SECOND + gone.microseconds


def _moment(micros: int) -> datetime:
    """The moment; what lies beyond all calendars is their end."""
    return _EPOCH + timedelta(microseconds=min(micros, _micros(_LAST)))
