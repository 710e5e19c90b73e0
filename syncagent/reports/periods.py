"""Months in a report's zone, as moments and as SQL; and how a spread of figures is told."""

from bisect import bisect_right
from collections.abc import Sequence
from datetime import UTC, date, datetime
from math import ceil

from syncagent.handoff.calendar import start_of_day

_BIRTH = datetime(1970, 1, 1, tzinfo=UTC)


def ms_of(moment: datetime) -> int:
    """UTC milliseconds since 1970."""
    since = moment - _BIRTH
    return (since.days * 86_400 + since.seconds) * 1000 + since.microseconds // 1000


class Months:
    """The calendar months of a zone from the one that holds `first` to the one that holds `last`, both in UTC ms.

    Each begins at the first moment of its first day there, so that no moment is in none or in two of them, whatever
    the clocks do.
    """

    def __init__(self, first: int, last: int, zone: str) -> None:
        self.days: list[date] = []
        self.starts: list[int] = []
        day = (datetime.fromtimestamp(first / 1000, UTC)).date().replace(day=1)
        day = _before(day)  # the zone's month may begin before UTC's
        while not self.starts or self.starts[-1] <= last:
            self.days.append(day)
            self.starts.append(ms_of(start_of_day(day, zone)))
            day = _next(day)
        self.end = self.starts.pop()  # of the last month
        self.days.pop()
        if not self.starts:
            raise ValueError("a month has an end after its beginning")
        skip = max(bisect_right(self.starts, first) - 1, 0)
        self.days, self.starts = self.days[skip:], self.starts[skip:]

    def of(self, stamp: int) -> int:
        """Which month holds a moment; -1: it is before all of them."""
        return bisect_right(self.starts, stamp) - 1

    def sql(self, column: str) -> str:
        """SQL for `of`."""
        return bucket(column, self.starts)


def bucket(column: str, edges: Sequence[int]) -> str:
    """SQL for the place of the last edge that a moment is not before, -1 before all of them; NULL stays NULL.

    It goes by halves, so that a hundred edges cost seven comparisons.
    """
    return f"case when {column} is null then null else {_halves(column, edges, -1, len(edges) - 1)} end"


def _halves(column: str, edges: Sequence[int], low: int, high: int) -> str:
    if low == high:
        return str(low)
    middle = (low + high + 1) // 2
    before, after = _halves(column, edges, low, middle - 1), _halves(column, edges, middle, high)
    return f"(case when {column} < {edges[middle]} then {before} else {after} end)"


def _next(day: date) -> date:
    return date(day.year + day.month // 12, day.month % 12 + 1, 1)


def _before(day: date) -> date:
    return date(day.year - (day.month == 1), (day.month - 2) % 12 + 1, 1)


def at_share(ordered: Sequence[float], share: float) -> float | None:
    """The smallest of the figures, given in order, that at least this share of them does not exceed; None: of none."""
    return ordered[max(ceil(share * len(ordered)) - 1, 0)] if ordered else None


def ratio(part: int, whole: int) -> float | None:
    """A share; None where there is nothing to have a share of."""
    return part / whole if whole else None
