"""Reps' calendar files (.ics): when they are away, once for each time an event takes place.

An absence is an event of whole days, or one that is marked as out of office; never what is free or cancelled, and no
meeting. Repeated events are read for `YEARS`: rules (RRULE), dates besides (RDATE) and left out (EXDATE), and single
ones that were moved or called off (RECURRENCE-ID). They keep the wall-clock time of their own zone; whole days, and
times without a zone, are those of the rep's. Source: RFC 5545; Outlook's mark, [MS-OXCICAL] X-MICROSOFT-CDO-BUSYSTATUS.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    import icalendar

YEARS = range(2025, 2036)
"""Repeated events are read for these years."""
_FIRST, _LAST = date(YEARS[0], 1, 1), date(YEARS[-1], 12, 31)
_OFTEN = 4200
"""More than once a day in all these years is no absence."""
_EARLIEST = 1970
_WITHIN_A_DAY = ("SECONDLY", "MINUTELY", "HOURLY")
_DAY = timedelta(days=1)

Busy = tuple[tuple[datetime, datetime], ...]


class Absences(NamedTuple):
    """When a rep is away (UTC, in order), and in a sentence each what could not be read."""

    busy: Busy
    skipped: tuple[str, ...]


def absences(content: bytes, zone: ZoneInfo) -> Absences:
    """When the owner of a calendar is away. An event that cannot be read is told, and the others are read.

    `zone`: the rep's. Raises ValueError for what is no iCalendar at all.
    """
    import icalendar  # for who names a calendar

    events = icalendar.Calendar.from_ical(content).walk("VEVENT")
    single = _singles(events)
    found: list[tuple[datetime, datetime]] = []
    skipped: list[str] = []
    for event in events:
        try:
            if _is_absence(event):
                found.extend(_spans(event, single.get(_uid(event), ()), zone))
        except (ValueError, TypeError, AttributeError, KeyError, OverflowError) as error:
            skipped.append(f"{_name(event)} is passed over: {_sentence(error)}")
    return Absences(tuple(sorted(found)), tuple(skipped))


def _name(event: "icalendar.Component") -> str:
    begin = event.get("DTSTART")
    when = f"that begins {begin.to_ical().decode()}" if begin is not None else "without a beginning that can be read"
    return f"The event {when} ({_uid(event) or 'no UID'})"


def _sentence(error: Exception) -> str:
    says = str(error.args[0] if error.args else error).strip().rstrip(".") or type(error).__name__
    return f"{says}."


def _uid(event: "icalendar.Component") -> str:
    return str(event.get("UID", ""))


def _is_absence(event: "icalendar.Component") -> bool:
    told = [f"{name}: {says}" for name, says in event.errors if name in _NEEDED]
    if told:
        raise ValueError(told[0])
    if "DTSTART" not in event:
        raise ValueError("it has no DTSTART")
    free = str(event.get("TRANSP", "")).upper() == "TRANSPARENT"
    called_off = str(event.get("STATUS", "")).upper() == "CANCELLED"
    out = str(event.get("X-MICROSOFT-CDO-BUSYSTATUS", "")).upper() == "OOF"
    return not called_off and (out or (not free and not isinstance(event.decoded("DTSTART"), datetime)))


_NEEDED = ("DTSTART", "DTEND", "DURATION", "RRULE", "RDATE", "EXDATE", "RECURRENCE-ID")


def _singles(events: Sequence["icalendar.Component"]) -> dict[str, list[date]]:
    """Of repeated events, by UID: which times of them have an event of their own."""
    found: dict[str, list[date]] = {}
    for event in events:
        if "RECURRENCE-ID" in event and not any(name == "RECURRENCE-ID" for name, _ in event.errors):
            found.setdefault(_uid(event), []).append(event.decoded("RECURRENCE-ID"))
    return found


def _spans(event: "icalendar.Component", single: Sequence[date], zone: tzinfo) -> Iterator[tuple[datetime, datetime]]:
    """From when until when an event takes place, each time."""
    begin = event.decoded("DTSTART")
    whole = not isinstance(begin, datetime)
    home = (begin.tzinfo if not whole else None) or zone
    length = _length(event, begin, home)
    if length <= timedelta(0):
        raise ValueError("it ends before it begins")
    if "RECURRENCE-ID" in event:
        if str(event["RECURRENCE-ID"].params.get("RANGE", "")):
            raise ValueError("it moves all later ones too, which is not understood; make them an event of their own")
        starts: Iterator[datetime] = iter([_local(begin)])
    else:
        starts = _starts(event, begin, home)
    out = {_moment(one, home) for one in single} | {
        _moment(one, home) for one in _dates(event, "EXDATE") if _timed(one)
    }
    days_out = {one for one in _dates(event, "EXDATE") if not _timed(one)}
    for start in starts:
        moment = _moment(start, home)
        if moment not in out and start.date() not in days_out:
            # Whole days end at midnight, however many hours that is from their beginning.
            yield moment, _moment(start + length, home) if whole else moment + length


def _length(event: "icalendar.Component", begin: date, home: tzinfo) -> timedelta:
    """How long it lasts: whole days as days, a time as the real time between beginning and end."""
    if "DTEND" in event:
        end = event.decoded("DTEND")
        if isinstance(begin, datetime) is not isinstance(end, datetime):
            raise ValueError("it begins with a date and ends with a time, or the other way round")
        if not isinstance(begin, datetime):
            return _whole(end) - _whole(begin)
        return _moment(end, home) - _moment(begin, home)
    given = event.decoded("DURATION", None)
    if isinstance(given, timedelta):
        return given
    return timedelta(0) if isinstance(begin, datetime) else _DAY


def _starts(event: "icalendar.Component", begin: date, home: tzinfo) -> Iterator[datetime]:
    """The wall-clock times at which it begins."""
    first = _local(begin)
    rules = event.get("RRULE")
    more = [_local(one if not _timed(one) else _moment(one, home).astimezone(home)) for one in _dates(event, "RDATE")]
    if rules is None:
        yield from sorted({first, *more})
        return
    if first.year < _EARLIEST:
        raise ValueError(f"it repeats since before {_EARLIEST}")
    for rule in rules if isinstance(rules, list) else [rules]:
        starts = list(islice(_repeated(rule, first, home), _OFTEN + 1))
        if len(starts) > _OFTEN:
            raise ValueError(f"it repeats more than {_OFTEN} times from {YEARS[0]} to {YEARS[-1]}")
        more += starts
    yield from sorted({*more, *([first] if first.date() >= _FIRST else [])})


def _repeated(rule: "icalendar.vRecur", first: datetime, home: tzinfo) -> Iterator[datetime]:
    from dateutil.rrule import rrulestr  # for who repeats something

    given: dict[str, Any] = {name: value for name, value in rule.items() if name != "UNTIL"}
    if any(str(one).upper() in _WITHIN_A_DAY for one in given.get("FREQ", ())):
        raise ValueError("it repeats within a day")
    last = datetime.combine(_LAST, time.max)
    for until in rule.get("UNTIL", ()):
        end = _moment(until, home).astimezone(home).replace(tzinfo=None) if _timed(until) else None
        last = min(last, end or datetime.combine(until, time.max))
    made: Any = type(rule)(given)  # its to_ical is not typed
    text = str(made.to_ical(), "ascii")
    # With a COUNT dateutil takes no end; without one an end keeps it from looking for what never comes.
    ends = "" if "COUNT" in given else f";UNTIL={last:%Y%m%dT%H%M%S}"
    for start in rrulestr(f"{text}{ends}", dtstart=first):
        if start > last:
            return
        if start.date() >= _FIRST - _DAY:
            yield start


def _dates(event: "icalendar.Component", name: str) -> Iterator[date]:
    """The moments or dates of EXDATE or RDATE; of a period its beginning."""
    given = event.get(name)
    for several in given if isinstance(given, list) else [given] if given is not None else []:
        for one in several.dts:
            yield one.dt[0] if isinstance(one.dt, tuple) else one.dt


def _timed(given: date) -> bool:
    return isinstance(given, datetime)


def _whole(given: date) -> datetime:
    return datetime(given.year, given.month, given.day)  # noqa: DTZ001 - a wall-clock time, in a zone named elsewhere


def _local(given: date) -> datetime:
    """The wall-clock time as it was written."""
    return given.replace(tzinfo=None) if isinstance(given, datetime) else _whole(given)


def _moment(given: date, home: tzinfo) -> datetime:
    """The moment (UTC) of what was written; what has no zone is meant at home."""
    if not isinstance(given, datetime):
        given = _whole(given)
    return (given if given.tzinfo is not None else given.replace(tzinfo=home)).astimezone(UTC)
