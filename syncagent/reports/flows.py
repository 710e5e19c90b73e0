"""Flows: who was in each stage when a time began, came, left, and is there at its end. They always add up."""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import NamedTuple

from msgspec import Struct

from syncagent.reports.periods import Months, bucket, ms_of
from syncagent.reports.report import Ask, Column
from syncagent.state.store import Store

FLOW_COLUMNS = (
    Column("there", "Were there", "count"),
    Column("came", "Came", "count"),
    Column("left", "Left", "count"),
    Column("here", "Are there", "count"),
)
_YEARS = timedelta(days=7306)
_STAYS = (
    "select v.stage, {cut} as cut, v.is_return as back, v.entered_ms as came, v.left_ms as gone"
    " from report_stage as v join report_lead as e on e.person = v.person"
    " union all select 'suspect', {cut}, 0, e.entered_ms, (select min(v.entered_ms) from report_stage as v"
    " where v.person = e.person) from report_lead as e where e.entered_ms <"
    " coalesce((select min(v.entered_ms) from report_stage as v where v.person = e.person), 9e15)"
)
"""Every stay. Before their first one people are suspects, from their first contact on."""


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
    stays = _STAYS.format(cut=cut)
    sql = (
        f"select stage, cut, back, {bucket('came', edges)} as began, {bucket('gone', edges)} as ended, count(*)"  # noqa: S608
        f" from ({stays}) where came < ? and (gone is null or gone >= ?) group by 1, 2, 3, 4, 5"
    )
    told = tuple(
        Stays(stage, str(name), bool(back), *rest) for stage, name, back, *rest in store.ask(sql, (until, edges[0]))
    )
    return Flows(tuple(months.days), told, _spread(store, stays, edges))


def _spread(store: Store, stays: str, edges: Sequence[int]) -> dict[tuple[str, str], tuple[float | None, float | None]]:
    """Median and p90 of the stays that ended, in seconds, by stage and cut."""
    sql = (
        f"with stay as materialized (select stage, cut, gone - came as took from ({stays})"  # noqa: S608
        " where gone >= ? and gone < ?), many as (select stage, cut, count(*) as n from stay group by 1, 2),"
        " placed as (select stage, cut, took, row_number() over (partition by stage, cut order by took) as place"
        " from stay) select p.stage, p.cut, min(case when place = (n + 1) / 2 then took end) / 1000.0,"
        " min(case when place = (9 * n + 9) / 10 then took end) / 1000.0 from placed as p join many as m"
        " on m.stage = p.stage and m.cut = p.cut where place in ((n + 1) / 2, (9 * n + 9) / 10) group by 1, 2"
    )
    return {(stage, str(cut)): (median, p90) for stage, cut, median, p90 in store.ask(sql, (edges[0], edges[-1]))}
