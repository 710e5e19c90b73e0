"""Reps' calendar files: when somebody is away, each time a repeated event takes place, and what cannot be read."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncagent.config import ConfigError, load
from syncagent.config.calendars import YEARS, absences
from tests.unit.test_routing_config import T0, with_files

BERLIN = ZoneInfo("Europe/Berlin")
OUT = "X-MICROSOFT-CDO-BUSYSTATUS:OOF"
CUSTOM_ZONE = """BEGIN:VTIMEZONE
TZID:Head Office
BEGIN:STANDARD
DTSTART:16010101T030000
RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10
TZOFFSETFROM:+0200
TZOFFSETTO:+0100
END:STANDARD
BEGIN:DAYLIGHT
DTSTART:16010101T020000
RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3
TZOFFSETFROM:+0100
TZOFFSETTO:+0200
END:DAYLIGHT
END:VTIMEZONE"""


def calendar(*events: str, head: str = "") -> bytes:
    """Events by their lines, a `;` between two."""
    made = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//example//EN", *head.splitlines()]
    for number, event in enumerate(events):
        uid = [] if "UID:" in event else [f"UID:{number}"]
        made += ["BEGIN:VEVENT", *uid, *(line.strip() for line in event.split("\n")), "END:VEVENT"]
    return "\r\n".join([*made, "END:VCALENDAR", ""]).encode()


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}+00:00")


def spans(*pairs: str) -> tuple[tuple[datetime, datetime], ...]:
    """`2026-03-20T13:00/15:00`: from, until (UTC), the date of the end where it is another one."""
    made = []
    for pair in pairs:
        begin, _, end = pair.partition("/")
        made.append((at(begin), at(end if "T" in end else f"{begin[:10]}T{end}")))
    return tuple(made)


ONE_DAY = timedelta(days=1)

REPEATED = {
    "a free afternoon every week keeps its hour when summer begins": (
        f"DTSTART;TZID=Europe/Berlin:20260320T130000\nDTEND;TZID=Europe/Berlin:20260320T180000\n{OUT}\n"
        "RRULE:FREQ=WEEKLY;BYDAY=FR;COUNT=3",
        spans("2026-03-20T12:00/17:00", "2026-03-27T12:00/17:00", "2026-04-03T11:00/16:00"),
    ),
    "and when it ends, in another zone than the rep's": (
        f"DTSTART;TZID=America/New_York:20261030T090000\nDURATION:PT2H\n{OUT}\nRRULE:FREQ=DAILY;INTERVAL=2;COUNT=3",
        spans("2026-10-30T13:00/15:00", "2026-11-01T14:00/16:00", "2026-11-03T14:00/16:00"),
    ),
    "a time without a zone is the rep's": (
        f"DTSTART:20260701T080000\nDTEND:20260701T090000\n{OUT}\nRRULE:FREQ=DAILY;COUNT=2",
        spans("2026-07-01T06:00/07:00", "2026-07-02T06:00/07:00"),
    ),
    "whole days are those of the rep, an hour shorter when summer begins": (
        "DTSTART;VALUE=DATE:20260322\nRRULE:FREQ=WEEKLY;BYDAY=SU;UNTIL=20260329",
        spans("2026-03-21T23:00/2026-03-22T23:00", "2026-03-28T23:00/2026-03-29T22:00"),
    ),
    "several days at once, every month": (
        "DTSTART;VALUE=DATE:20260105\nDTEND;VALUE=DATE:20260107\nRRULE:FREQ=MONTHLY;COUNT=2",
        spans("2026-01-04T23:00/2026-01-06T23:00", "2026-02-04T23:00/2026-02-06T23:00"),
    ),
    "the last Friday of a month": (
        "DTSTART;VALUE=DATE:20260130\nRRULE:FREQ=MONTHLY;BYDAY=-1FR;COUNT=3",
        spans(
            "2026-01-29T23:00/2026-01-30T23:00",
            "2026-02-26T23:00/2026-02-27T23:00",
            "2026-03-26T23:00/2026-03-27T23:00",
        ),
    ),
    "an end in UTC counts at home: 23:00 UTC on the 2nd is the 3rd": (
        f"DTSTART;TZID=Europe/Berlin:20260601T003000\nDURATION:PT1H\n{OUT}\nRRULE:FREQ=DAILY;UNTIL=20260602T230000Z",
        spans(
            "2026-05-31T22:30/23:30",
            "2026-06-01T22:30/23:30",
            "2026-06-02T22:30/23:30",
        ),
    ),
    "a date as the end of what has times holds its whole day": (
        f"DTSTART:20260601T090000Z\nDURATION:PT1H\n{OUT}\nRRULE:FREQ=DAILY;UNTIL=20260602",
        spans("2026-06-01T09:00/10:00", "2026-06-02T09:00/10:00"),
    ),
    "times left out, in whatever zone they are told": (
        f"DTSTART;TZID=Europe/Berlin:20260601T090000\nDURATION:PT1H\n{OUT}\nRRULE:FREQ=DAILY;COUNT=4\n"
        "EXDATE;TZID=Europe/Berlin:20260602T090000\nEXDATE:20260603T070000Z",
        spans("2026-06-01T07:00/08:00", "2026-06-04T07:00/08:00"),
    ),
    "days left out": (
        "DTSTART;VALUE=DATE:20260601\nRRULE:FREQ=DAILY;COUNT=4\nEXDATE;VALUE=DATE:20260602,20260603",
        spans("2026-05-31T22:00/2026-06-01T22:00", "2026-06-03T22:00/2026-06-04T22:00"),
    ),
    "a day left out of what has times": (
        f"DTSTART;TZID=Europe/Berlin:20260601T003000\nDURATION:PT1H\n{OUT}\nRRULE:FREQ=DAILY;COUNT=2\n"
        "EXDATE;VALUE=DATE:20260602",
        spans("2026-05-31T22:30/23:30"),
    ),
    "dates besides": (
        "DTSTART;VALUE=DATE:20260601\nRDATE;VALUE=DATE:20260605",
        spans("2026-05-31T22:00/2026-06-01T22:00", "2026-06-04T22:00/2026-06-05T22:00"),
    ),
    "a zone that the file makes up for itself": (
        f"DTSTART;TZID=Head Office:20260327T130000\nDURATION:PT1H\n{OUT}\nRRULE:FREQ=WEEKLY;COUNT=2",
        spans("2026-03-27T12:00/13:00", "2026-04-03T11:00/12:00"),
    ),
    "a zone by the name that Windows gives it": (
        f"DTSTART;TZID=W. Europe Standard Time:20260327T130000\nDURATION:PT1H\n{OUT}\nRRULE:FREQ=WEEKLY;COUNT=2",
        spans("2026-03-27T12:00/13:00", "2026-04-03T11:00/12:00"),
    ),
    "a first one that does not fit its own rule takes place": (
        "DTSTART;VALUE=DATE:20260603\nRRULE:FREQ=WEEKLY;BYDAY=MO;UNTIL=20260608",
        spans("2026-06-02T22:00/2026-06-03T22:00", "2026-06-07T22:00/2026-06-08T22:00"),
    ),
    "a night shift, over the night when summer begins, lasts as long as always": (
        f"DTSTART;TZID=Europe/Berlin:20260327T220000\nDTEND;TZID=Europe/Berlin:20260328T060000\n{OUT}\n"
        "RRULE:FREQ=DAILY;COUNT=2",
        spans("2026-03-27T21:00/2026-03-28T05:00", "2026-03-28T21:00/2026-03-29T05:00"),
    ),
    "no meetings": ("DTSTART:20260601T090000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY;COUNT=9", ()),
    "nothing free": ("DTSTART;VALUE=DATE:20260601\nTRANSP:TRANSPARENT\nRRULE:FREQ=YEARLY", ()),
    "nothing called off": ("DTSTART;VALUE=DATE:20260601\nSTATUS:cancelled\nRRULE:FREQ=YEARLY", ()),
    "nothing that is long over": ("DTSTART;VALUE=DATE:19990104\nRRULE:FREQ=DAILY;COUNT=20", ()),
}


@pytest.mark.parametrize("name", REPEATED)
def test_a_repeated_absence(name: str) -> None:
    event, expected = REPEATED[name]
    assert absences(calendar(event, head=CUSTOM_ZONE), BERLIN) == (expected, ())


def test_what_is_moved_or_called_off_once() -> None:
    weekly = f"UID:w\nDTSTART;TZID=Europe/Berlin:20260605T130000\nDURATION:PT4H\n{OUT}\nRRULE:FREQ=WEEKLY;COUNT=4"
    moved = (
        "UID:w\nRECURRENCE-ID;TZID=Europe/Berlin:20260612T130000\n"
        f"DTSTART;TZID=Europe/Berlin:20260611T130000\nDURATION:PT2H\n{OUT}"
    )
    off = f"UID:w\nRECURRENCE-ID:20260619T110000Z\nDTSTART:20260619T110000Z\nDURATION:PT4H\nSTATUS:CANCELLED\n{OUT}"
    other = f"UID:x\nRECURRENCE-ID:20260605T110000Z\nDTSTART:20260701T110000Z\nDURATION:PT1H\n{OUT}"
    assert absences(calendar(weekly, moved, off, other), BERLIN).busy == spans(
        "2026-06-05T11:00/15:00", "2026-06-11T11:00/13:00", "2026-06-26T11:00/15:00", "2026-07-01T11:00/12:00"
    )


BAD = {
    "DTSTART:tomorrow\nDURATION:PT1H": "DTSTART",
    "SUMMARY:Nothing": "no DTSTART",
    f"DTSTART:20260601T090000Z\nDTEND:20260601T080000Z\n{OUT}": "ends before it begins",
    f"DTSTART:20260601T090000Z\n{OUT}": "ends before it begins",
    "DTSTART;VALUE=DATE:20260601\nDTEND:20260601T080000Z": "ends with a time",
    "DTSTART;VALUE=DATE:20260601\nRRULE:FREQ=NEVER": "RRULE",
    "DTSTART;VALUE=DATE:20260601\nRRULE:BYDAY=MO": "",
    f"DTSTART:20260601T090000Z\nDURATION:PT1M\nRRULE:FREQ=MINUTELY\n{OUT}": "repeats within a day",
    f"DTSTART:20260601T090000Z\nDURATION:PT1M\nRRULE:FREQ=DAILY;BYHOUR=9,10,11\n{OUT}": "repeats more than",
    "DTSTART;VALUE=DATE:00010101\nRRULE:FREQ=DAILY": "since before 1970",
    "DTSTART;VALUE=DATE:20260601\nRRULE:FREQ=DAILY\nEXDATE:soon": "EXDATE",
    f"RECURRENCE-ID;RANGE=THISANDFUTURE:20260601T090000Z\nDTSTART:20260601T090000Z\nDURATION:PT1H\n{OUT}": "all later",
}


@pytest.mark.parametrize("event", BAD)
def test_a_bad_event_is_told_and_the_others_are_read(event: str) -> None:
    good = "DTSTART;VALUE=DATE:20260603"
    found = absences(calendar(good, f"UID:the-bad-one\n{event}", good.replace("3", "5")), BERLIN)
    assert found.busy == absences(calendar(good, good.replace("3", "5")), BERLIN).busy
    [says] = found.skipped
    assert BAD[event] in says and "the-bad-one" in says and says.endswith(".")


@pytest.mark.parametrize("rule", ["FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30;COUNT=3"])
def test_what_never_comes_is_looked_for_in_vain_and_not_for_ever(rule: str) -> None:
    found = absences(calendar(f"DTSTART;VALUE=DATE:20260601\nRRULE:{rule}"), BERLIN)
    assert len(found.busy) == 1


def test_an_absence_without_an_end_is_bounded() -> None:
    found = absences(calendar("DTSTART;VALUE=DATE:20100104\nRRULE:FREQ=DAILY"), BERLIN).busy
    assert found[0][0].year in (YEARS[0], YEARS[0] - 1) and found[-1][1].year == YEARS[-1]
    assert len(found) < 366 * len(YEARS)


@given(
    st.dates(datetime(2025, 1, 5).date(), datetime(2030, 1, 1).date()),
    st.integers(0, 1439),
    st.sets(st.sampled_from(("MO", "TU", "WE", "TH", "FR", "SA", "SU")), min_size=1),
    st.integers(1, 3),
    st.integers(1, 30),
    st.sampled_from(("Europe/Berlin", "America/Sao_Paulo", "Australia/Lord_Howe", "Asia/Kathmandu")),
)
@settings(deadline=None, max_examples=60)
def test_weeks_are_those_of_a_slow_oracle(
    first: datetime, minute: int, days: Sequence[str], every: int, count: int, zone: str
) -> None:
    """Stepped day by day, in whole weeks from the Monday of the first."""
    names = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
    day = first
    while names[day.weekday()] not in days:
        day += ONE_DAY
    begin, monday = day, day - ONE_DAY * day.weekday()
    expected = []
    while len(expected) < count:
        weeks = (day - monday).days // 7
        if names[day.weekday()] in days and weeks % every == 0:
            local = datetime(day.year, day.month, day.day, minute // 60, minute % 60, tzinfo=ZoneInfo(zone))
            expected.append(local.astimezone(UTC))
        day += ONE_DAY
    rule = f"FREQ=WEEKLY;INTERVAL={every};BYDAY={','.join(sorted(days))};COUNT={count}"
    told = f"DTSTART;TZID={zone}:{begin:%Y%m%d}T{minute // 60:02}{minute % 60:02}00\nDURATION:PT5M\n{OUT}\nRRULE:{rule}"
    assert [start for start, _ in absences(calendar(told), BERLIN).busy] == expected


def test_a_bad_event_of_a_config_is_a_warning_of_it(tmp_path: Path) -> None:
    more = '\n[[reps]]\nname = "Dora"\ncrm_id = "d"\ntimezone = "Europe/Berlin"\ncalendar = "dora.ics"\n'
    text = calendar("DTSTART;VALUE=DATE:20260603", "DTSTART:tomorrow\nUID:what").decode()
    config = load(with_files(tmp_path, more, dora_ics=text))
    [problem] = config.files.passed_over
    assert not problem.fatal and problem.path.endswith(".calendar") and "what" in problem.message
    assert config.policy(T0).reps[-1].busy == spans("2026-06-02T22:00/2026-06-03T22:00")


def test_a_calendar_is_read_in_the_zone_of_the_reps_team(tmp_path: Path) -> None:
    more = '\n[[reps]]\nname = "Dora"\ncrm_id = "d"\ncalendar = "dora.ics"\n[teams.West]\nmembers = ["dora"]\n'
    text = calendar("DTSTART;VALUE=DATE:20260603").decode()
    path = with_files(tmp_path, more + 'timezone = "America/Los_Angeles"\n', dora_ics=text)
    assert load(path).policy(T0).reps[-1].busy == spans("2026-06-03T07:00/2026-06-04T07:00")


def test_what_is_no_calendar_stops_the_config(tmp_path: Path) -> None:
    more = '\n[[reps]]\nname = "Dora"\ncrm_id = "d"\ncalendar = "dora.ics"\n'
    with pytest.raises(ConfigError, match="no calendar"):
        load(with_files(tmp_path, more, dora_ics="Dear diary"))
