"""Golden cases of working time: what four published test suites expect, each checked by hand once more.

The cases (inputs and expected answers) are those of these suites, as of the commits named; the words are ours:

* SEATGEEK: github.com/seatgeek/businesstime, businesstime/test/businesstimetest.py, 6890bacf. 09:00-17:00 from Monday
  to Friday, the US federal holidays; one of its "days" is eight hours.
* INTREPIDD: github.com/Intrepidd/working_hours, spec/working_hours/computation_spec.rb, 0204a5cc. 09:00-17:00, UTC.
* ZENDESK: github.com/zendesk/biz, spec/calculation/for_duration_spec.rb, spec/periods/after_spec.rb,
  spec/support/time.rb, 0fb58f6c and 049cc133. Mon, Wed, Fri 09-17, Tue, Thu 10-16, Sat 11-14:30.
* MOMENT: github.com/lennym/moment-business-time, test/spec.business-hours.js, 0eaaabdc. 09:00-17:00, local time.

Left out: working days as a unit (ours are calendar days), going backwards and negative answers (ours are 0). One case
in which we mean to differ stands at the end.
"""

from datetime import datetime, timedelta

import pytest

from syncagent.handoff.calendar import add_working, working_between
from syncagent.policy import Hours

DAY = ((540, 1020),)
OFFICE = Hours((DAY,) * 5 + ((), ()), "UTC")
TOKYO = Hours((DAY,) * 5 + ((), ()), "Asia/Tokyo")
MONDAYS = Hours((((0, 1440),), *((),) * 6), "UTC")
SPLIT = Hours((((420, 720), (780, 1080)), *((),) * 6), "UTC")  # Mondays 07-12 and 13-18
LONG, SHORT = DAY, ((600, 960),)
BIZ = Hours((LONG, SHORT, LONG, SHORT, LONG, ((660, 870),), ()), "UTC")
OPENINGS = (720, 570, 600, 540, 570)
LATE = Hours((*(((opening, 1020),) for opening in OPENINGS), (), ()), "UTC")
FEDERAL = ("2014-01-01", "2014-01-20")  # New Year, Martin Luther King's day
BIZ_AWAY = ("2006-01-16", "2006-01-18")


def at(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else datetime.fromisoformat(f"{text}+00:00")


@pytest.mark.parametrize(
    ("start", "end", "hours", "away", "minutes"),
    [
        # SEATGEEK. Thu 16 after closing, Fri 17 (8 h), weekend, Mon 20 is a holiday, Tue 21 (8 h), Wed 22 until 10
        ("2014-01-16T18:30", "2014-01-22T10:00", OFFICE, FEDERAL, 17 * 60),
        # Mon at closing; Tue from 9 to 14:20
        ("2015-02-23T17:00", "2015-02-24T14:20", OFFICE, (), 5 * 60 + 20),
        ("2015-02-23T17:01", "2015-02-24T14:20", OFFICE, (), 5 * 60 + 20),
        # Sunday to Friday evening: five whole days, however early Monday began ("4 days and 8 hours" there)
        ("2014-01-12T12:00", "2014-01-17T19:30", OFFICE, FEDERAL, 40 * 60),
        ("2014-01-13T04:00", "2014-01-17T19:30", OFFICE, FEDERAL, 40 * 60),
        # Thu from 12:15 (4 h 45), Fri whole
        ("2014-01-30T12:15", "2014-01-31T19:30", OFFICE, FEDERAL, 12 * 60 + 45),
        # Mon from 11 (6 h), Tue whole, Wed not begun
        ("2014-08-04T11:00", "2014-08-06T05:00", OFFICE, (), 14 * 60),
        ("2014-08-04T01:00", "2014-08-04T05:00", OFFICE, (), 0),
        ("2014-08-04T22:00", "2014-08-04T23:00", OFFICE, (), 0),
        # Fri from 16:15; Thu from 16:15 and Fri whole; Fri after closing
        ("2014-01-10T16:15", "2014-01-12T12:30", OFFICE, FEDERAL, 45),
        ("2014-01-09T16:15", "2014-01-12T12:30", OFFICE, FEDERAL, 8 * 60 + 45),
        ("2014-01-10T17:15", "2014-01-12T12:30", OFFICE, FEDERAL, 0),
        # Thu from 9:12 (7 h 48), Fri until 9:10; and the other way round
        ("2014-01-02T09:12", "2014-01-03T09:10", OFFICE, FEDERAL, 7 * 60 + 58),
        ("2014-01-02T09:10", "2014-01-03T09:12", OFFICE, FEDERAL, 8 * 60 + 2),
        ("2014-01-02T09:10", "2014-01-02T09:12", OFFICE, FEDERAL, 2),
        ("2014-01-04T09:10", "2014-01-04T09:12", OFFICE, FEDERAL, 0),
        ("2014-01-07T10:00", "2014-01-08T10:00", OFFICE, FEDERAL, 8 * 60),
        ("2014-01-07T09:00", "2014-01-08T09:00", OFFICE, FEDERAL, 8 * 60),
        ("2014-01-16T09:00", "2014-01-17T15:00", OFFICE, FEDERAL, 14 * 60),
        # Sat to Mon at closing, Mon late; Fri 9 to Mon late
        ("2014-08-09T09:00", "2014-08-11T17:00", OFFICE, (), 8 * 60),
        ("2014-08-09T09:00", "2014-08-11T23:00", OFFICE, (), 8 * 60),
        ("2014-08-08T09:00", "2014-08-11T23:00", OFFICE, (), 16 * 60),
        # INTREPIDD. Fri evening to Mon morning; Sun to Mon 9:10:24 (its seconds, ours with the fraction cut off)
        ("2014-04-11T20:00", "2014-04-14T05:00", OFFICE, (), 0),
        ("2014-04-13T09:10:24", "2014-04-14T09:10:24", OFFICE, (), 624 / 60),
        ("2014-04-07T10:00", "2014-04-07T15:00", OFFICE, (), 5 * 60),
        ("2014-04-07T07:00", "2014-04-07T20:00", OFFICE, (), 8 * 60),
        # Sun 6 April 2014 to Wed 6 April 2016 are 731 days: the Mondays from 7 April 2014 to 4 April 2016 are 105
        ("2014-04-06T12:00", "2016-04-06T12:00", MONDAYS, (), 105 * 1440),
        # a minute before noon and one after 13; then Mon 11-12 and 13-18 (6 h), next Mon 7-12 (5 h)
        ("2014-04-07T11:59", "2014-04-07T13:01", SPLIT, (), 2),
        ("2014-04-07T11:00", "2014-04-14T13:00", SPLIT, (), 11 * 60),
        # 10:00 to 19:00 UTC, told in other zones
        ("2014-04-07T01:00-09:00", "2014-04-07T15:00-04:00", OFFICE, (), 7 * 60),
        # ZENDESK: its periods of a week, summed: 8 + 6 + 8 + 6 + 8 + 3.5 hours, and twice as much in two
        ("2006-01-01T00:00", "2006-01-08T00:00", BIZ, BIZ_AWAY, 39.5 * 60),
        ("2006-01-01T00:00", "2006-01-15T00:00", BIZ, BIZ_AWAY, 79 * 60),
        # Sat 14 (3.5 h), Mon 16 and Wed 18 are holidays, Tue 17 and Thu 19 (6 h each)
        ("2006-01-14T00:00", "2006-01-18T00:00", BIZ, BIZ_AWAY, 9.5 * 60),
        ("2006-01-14T00:00", "2006-01-20T00:00", BIZ, BIZ_AWAY, 15.5 * 60),
    ],
)
def test_how_much_lies_between(start: str, end: str, hours: Hours, away: tuple[str, ...], minutes: float) -> None:
    assert working_between(at(start), at(end), hours, away) == minutes


@pytest.mark.parametrize(
    ("start", "minutes", "hours", "end"),
    [
        # INTREPIDD. Fri 14:00:42 and two hours; 16:30:42 has 29:18 left, Mon takes 15:42; 18 s left, Mon takes 102
        ("1991-11-15T14:00:42", 120, OFFICE, "1991-11-15T16:00:42"),
        ("1991-11-15T16:30:42", 45, OFFICE, "1991-11-18T09:15:42"),
        ("1991-11-15T16:59:42", 2, OFFICE, "1991-11-18T09:01:42"),
        # Fri 07:00 UTC is 16:00 in Tokyo: one hour left, two on Monday there
        ("1991-11-15T07:00", 180, TOKYO, "1991-11-18T11:00+09:00"),
        # Mon 05:00: 07-12 are five hours, one more after the break; half a minute this Monday, half a minute the next
        ("1991-11-11T05:00", 360, SPLIT, "1991-11-11T14:00"),
        ("2014-04-07T23:59:30", 1, MONDAYS, "2014-04-14T00:00:30"),
        # ZENDESK. Mon from 11 (6 h), Tue (6 h), Wed 7 of 8 h
        ("2006-01-02T11:00", 19 * 60, BIZ, "2006-01-04T16:00"),
        # MOMENT. Thu 26 February 2015, 10:12:34, has 6:47:26 left
        ("2015-02-26T10:12:34", 120, OFFICE, "2015-02-26T12:12:34"),
        ("2015-02-26T10:12:34", 540, OFFICE, "2015-02-27T11:12:34"),
        # 6:47:26 + 8 h on Fri leave 4:12:34 for Mon; 108 h are 13.5 days: Tue 17 March is the 13th day after
        ("2015-02-26T10:12:34", 19 * 60, OFFICE, "2015-03-02T13:12:34"),
        ("2015-02-26T10:12:34", 108 * 60, OFFICE, "2015-03-17T14:12:34"),
        # Saturday: from Monday's opening
        ("2015-02-28T10:13:00", 120, OFFICE, "2015-03-02T11:00"),
        ("2015-02-28T10:13:00", 45, OFFICE, "2015-03-02T09:45"),
        # Mon 15:30: 1.5 h + 8 h, then 7.5 h on Wed; one hour more is half an hour into Thu
        ("2016-03-21T15:30", 17 * 60, OFFICE, "2016-03-23T16:30"),
        ("2016-03-21T15:30", 18 * 60, OFFICE, "2016-03-24T09:30"),
        # 300 ms are left of the day
        ("2015-02-26T16:59:59.700", 45, OFFICE, "2015-02-27T09:44:59.700"),
        ("2015-02-26T16:59:59.700", 0.75, OFFICE, "2015-02-27T09:00:44.700"),
        ("2015-02-26T10:12:34", 9 * 60 + 48 + 17 / 60, OFFICE, "2015-02-27T12:00:51"),
        # Mon from 12 (5 h), Tue from 9:30 (7.5 h), 2.5 h on Wed from 10
        ("2015-02-23T10:00", 120, LATE, "2015-02-23T14:00"),
        ("2015-02-23T10:00", 15 * 60, LATE, "2015-02-25T12:30"),
    ],
)
def test_when_it_is_over(start: str, minutes: float, hours: Hours, end: str) -> None:
    assert add_working(at(start), minutes, hours) == at(end)


def test_where_we_mean_to_differ() -> None:
    """ZENDESK leaves 02:30 to 03:15 out on the night of the gap (2 April 2006 in Los Angeles, 02:00 to 03:00).

    It moves 02:30 to 03:30, where the window ends before it begins. By our clock 03:00 to 03:15 took place that night
    (10:00 to 10:15 UTC), and was worked.
    """
    sunday = Hours((LONG, *((),) * 5, ((150, 195),)), "America/Los_Angeles")
    start = at("2006-04-02T00:00-08:00")
    assert working_between(start, at("2006-04-03T00:00-07:00"), sunday) == 15
    assert add_working(start, 15, sunday) == at("2006-04-02T10:15")
    # and after that it begins, as there, on Monday at nine, which is 16:00 UTC now
    assert add_working(start, 15 + 60, sunday) == at("2006-04-03T16:00") + timedelta(hours=1)
