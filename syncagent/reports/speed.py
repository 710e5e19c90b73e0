"""Speed to lead: how long it takes sales to act on a lead, by the wall clock and in working time."""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

from msgspec import Struct

from syncagent.policy import Policy
from syncagent.reports.cuts import HANDOFF_CUTS, bounds, called, cut_of, missing
from syncagent.reports.periods import Months, at_share, ratio
from syncagent.reports.report import Ask, Chart, Column, Report, Table
from syncagent.state.store import Store

BY = tuple(HANDOFF_CUTS)
SHARES = (("p50", 0.5), ("p90", 0.9), ("p99", 0.99))


class Speed(Struct):
    """The handoffs of one cut: how many, and how long each of those that were touched took, in seconds.

    `asked`: from the raised hand, of those that somebody asked for. `open`: untouched, and still with sales.
    """

    handoffs: int = 0
    open: int = 0
    wall: list[float] = []
    working: list[float] = []
    asked: list[float] = []

    def add(self, row: Sequence[float | None]) -> None:
        """A handoff: seconds to the touch, in working time, from the raised hand; whether it is open."""
        wall, working, asked, is_open = row
        self.handoffs += 1
        if wall is None:
            self.open += bool(is_open)
            return
        self.wall.append(wall)
        if working is not None:
            self.working.append(working)
        if asked is not None:
            self.asked.append(asked)


def speed(store: Store, ask: Ask, policy: Policy) -> Report:
    """How soon the handoffs that were opened within the bounds were touched."""
    low, high = bounds(ask)
    cut = HANDOFF_CUTS.get(ask.by, "''")
    names = called(store, policy) if ask.by == "rep" else {}
    [(first, last)] = store.ask(
        "select min(opened_ms), max(opened_ms) from report_handoff where opened_ms >= ? and opened_ms < ?", (low, high)
    )
    whole, cuts, monthly = Speed(), dict[str, Speed](), dict[date, Speed]()
    if first is not None:
        months = Months(first, last, ask.zone)
        for name, opened, *row in _rows(store, cut, low, high):
            whole.add(row)
            monthly.setdefault(months.days[max(months.of(opened), 0)], Speed()).add(row)
            if ask.by:
                cuts.setdefault(cut_of(name), Speed()).add(row)
    tables = [_table("all", "All handoffs", (("", whole),) if whole.handoffs else (), None)]
    if ask.by:
        named = sorted(cuts.items(), key=lambda one: (-one[1].handoffs, one[0]))
        title = ask.by.replace("_", " ")
        column = Column("name", title.capitalize())
        chart = Chart("bars", "name", ("wall_p50", "working_p50"))
        tables.append(_table("by", f"By {title}", [(names.get(n, n) or None, one) for n, one in named], column, chart))
    chart = Chart("lines", "month", ("wall_p50", "wall_p90"))
    tables.append(_table("months", "By month", sorted(monthly.items()), Column("month", "Opened in", "month"), chart))
    return Report("speed", "Speed to lead", ask.at, ask.zone, tuple(tables), ask.since, ask.until, missing(store))


def _rows(store: Store, cut: str, low: int, high: int) -> Iterable[tuple[Any, ...]]:
    return store.ask(
        f"select {cut}, opened_ms, seconds_to_touch, working_seconds_to_touch,"  # noqa: S608
        " max(touched_ms - raised_ms, 0) / 1000.0, state = 'with_sales' from report_handoff as h"
        " where opened_ms >= ? and opened_ms < ?",
        (low, high),
    )


def _table(
    name: str, title: str, told: Iterable[tuple[object, Speed]], first: Column | None, chart: Chart | None = None
) -> Table:
    columns = [
        *([first] if first is not None else []),
        Column("handoffs", "Handoffs", "count"),
        Column("touched", "Touched", "count"),
        Column("share", "of all", "share"),
        Column("open", "Untouched and open", "count"),
    ]
    for what, words in (("wall", "by the clock"), ("working", "in working time"), ("asked", "from the raised hand")):
        columns += [Column(f"{what}_{share}", f"{share} {words}", "duration") for share, _ in SHARES]
    rows = []
    for head, one in told:
        spread = [at_share(sorted(each), share) for each in (one.wall, one.working, one.asked) for _, share in SHARES]
        counts = (one.handoffs, len(one.wall), ratio(len(one.wall), one.handoffs), one.open)
        rows.append((*((head,) if first is not None else ()), *counts, *spread))
    notes = ("p90: nine of ten were touched at least as soon. Untouched ones are in no such figure.",)
    return Table(name, title, tuple(columns), tuple(rows), notes, chart)
