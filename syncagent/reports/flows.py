"""Flows: who was in each stage when a time began, came, left, and is there at its end. They always add up."""

from array import array
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import NamedTuple

from msgspec import Struct

from syncagent.reports.periods import Months, at_share, bucket, ms_of
from syncagent.reports.report import Ask, Column
from syncagent.state.store import Store

FLOW_COLUMNS = (
    Column("there", "Were there", "count"),
    Column("came", "Came", "count"),
    Column("left", "Left", "count"),
    Column("here", "Are there", "count"),
)
_YEARS = timedelta(days=7306)


class Total(NamedTuple):
    """A stage over the whole time; `median` and `p90` in seconds, of who left."""

    stage: str
    cut: str
    there: int
    came: int
    left: int
    here: int
    returns: int
    median: float | None
    p90: float | None


class Monthly(NamedTuple):
    """A stage in one period."""

    month: date
    stage: str
    there: int
    came: int
    left: int
    here: int


class Stays(Struct, frozen=True):
    """So many stays in a stage that began and ended in these periods: -1 before the first; `ended` None: they last."""

    stage: str
    cut: str
    back: bool
    began: int
    ended: int | None
    count: int


class Flows(Struct, frozen=True):
    """All stays that touch the time, which `months` cut into periods. `spread`: (stage, cut) -> median and p90."""

    months: tuple[date, ...]
    stays: tuple[Stays, ...]
    spread: dict[tuple[str, str], tuple[float | None, float | None]]

    def whole(self) -> Iterator[Total]:
        """Every stage and cut over the whole time."""
        last = len(self.months)
        sums: dict[tuple[str, str], list[int]] = {}
        for one in self.stays:
            row = sums.setdefault((one.stage, one.cut), [0] * 5)
            for place, count in enumerate(between(one, 0, last)):
                row[place] += count
            row[4] += one.count if one.back and 0 <= one.began < last else 0
        for (stage, cut), row in sums.items():
            there, came, left, here, returns = row
            yield Total(stage, cut, there, came, left, here, returns, *self.spread.get((stage, cut), (None, None)))

    def monthly(self) -> Iterator[Monthly]:
        """Every stage in each period in which anybody was there."""
        for place, month in enumerate(self.months):
            sums: dict[str, list[int]] = {}
            for one in self.stays:
                row = sums.setdefault(one.stage, [0] * 4)
                for at, count in enumerate(between(one, place, place + 1)):
                    row[at] += count
            for stage, (there, came, left, here) in sums.items():
                if there or came:
                    yield Monthly(month, stage, there, came, left, here)


def between(one: Stays, low: int, high: int) -> tuple[int, int, int, int]:
    """What these stays are to the periods from `low` up to before `high`: were there, came, left, are there."""
    lasts = one.ended is None or one.ended >= high
    left = one.ended is not None and low <= one.ended < high
    there = one.began < low and (lasts or left)
    came = low <= one.began < high
    return (
        one.count if there else 0,
        one.count if came else 0,
        one.count if left and (there or came) else 0,
        one.count if lasts and one.began < high else 0,
    )


def read_flows(store: Store, ask: Ask, cut: str) -> Flows:
    """The stays within the bounds of what was asked for, month by month in its zone."""
    until = ms_of(min(ask.until or ask.at, ask.at))
    floor = ms_of(ask.at - _YEARS)
    [(first,)] = store.ask("select min(entered_ms) from report_lead")
    since = max(floor, ms_of(ask.since) if ask.since else floor if first is None else min(first, until - 1))
    if since >= until:
        return Flows((), (), {})
    months = Months(since, until - 1, ask.zone)
    edges = [since if ask.since else months.starts[0], *months.starts[1:], until]
    lengths = _lengths(store, cut, edges)
    told = tuple(
        Stays(stage, name, back, began, ended, len(each)) for (stage, name, back, began, ended), each in lengths.items()
    )
    return Flows(tuple(months.days), told, _spread(lengths, len(edges) - 1))


_Alike = tuple[str, str, bool, int, int | None]
"""Stage, cut, whether it is a return, and the periods of beginning and end."""


def _lengths(store: Store, cut: str, edges: Sequence[int]) -> "dict[_Alike, array[int]]":
    """How long each stay took that touches the time, in ms (0: it lasts), by all that they have in common.

    Years of a million people are millions of stays: each is read once, in the order in which they lie in the file, with
    what it has in common as one number.
    """
    found: dict[tuple[str, str, int], array[int]] = {}
    width = len(edges) + 2
    for sql in (
        f"select stage, {cut}, {_packed('is_return', 'e.entered_ms', 'e.left_ms', edges)}, left_ms - entered_ms"  # noqa: S608
        " from report_stage as e where entered_ms < ? and (left_ms is null or left_ms >= ?) order by person",
        f"select 'suspect', cut, {_packed('0', 'came', 'gone', edges)}, gone - came from ({_suspects(cut)})"  # noqa: S608
        " where came < ? and (gone is null or gone >= ? and gone > came)",
    ):
        for stage, name, packed, length in store.ask(sql, (edges[-1], edges[0])):
            try:
                found[stage, name, packed].append(length or 0)
            except KeyError:
                found[stage, name, packed] = array("q", (length or 0,))
    lengths: dict[_Alike, array[int]] = {}
    for (stage, name, packed), each in found.items():
        rest, ended = divmod(packed, width)
        back, began = divmod(rest, width)
        key = (stage, str(name), bool(back), began - 1, ended - 1 if ended <= len(edges) else None)
        lengths.setdefault(key, array("q")).extend(each)
    return lengths


def _packed(back: str, began: str, ended: str, edges: Sequence[int]) -> str:
    """SQL for a return or not, and the periods of beginning and end, as one number."""
    width = len(edges) + 2
    return (
        f"({back} * {width} + {bucket(began, edges)} + 1) * {width} + coalesce({bucket(ended, edges)} + 1, {width - 1})"
    )


def _suspects(cut: str) -> str:
    """Before their first stay people are suspects, from their first contact on. The limit keeps SQLite from asking for
    the first stay anew wherever it is named.
    """
    return f"select {cut} as cut, e.entered_ms as came, e.moved_ms as gone from report_lead as e limit -1"  # noqa: S608


def _spread(
    lengths: "Mapping[_Alike, array[int]]", periods: int
) -> dict[tuple[str, str], tuple[float | None, float | None]]:
    """Median and p90 of the stays that ended within the time, in seconds, by stage and cut."""
    took: dict[tuple[str, str], array[int]] = {}
    for (stage, name, _, _, ended), each in lengths.items():
        if ended is not None and 0 <= ended < periods:
            took.setdefault((stage, name), array("q")).extend(each)
    found: dict[tuple[str, str], tuple[float | None, float | None]] = {}
    for key, every in took.items():
        ordered = sorted(every)
        middle, most = at_share(ordered, 0.5), at_share(ordered, 0.9)
        found[key] = (None if middle is None else middle / 1000, None if most is None else most / 1000)
    return found
