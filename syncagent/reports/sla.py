"""Promises: how many were kept, by whom, which are late now, and what became of what was turned down."""

from collections.abc import Iterable

from msgspec import Struct

from syncagent.policy import Policy
from syncagent.reports.cuts import HANDOFF_CUTS, bounds, called, cut_of, missing
from syncagent.reports.periods import Months, ms_of, ratio
from syncagent.reports.report import Ask, Chart, Column, Report, Table
from syncagent.state.store import Store

BY = tuple(HANDOFF_CUTS)
KEPT, BROKEN, LATE, RUNNING, OPEN_ENDED = "kept", "broken", "late", "running", "open_ended"
HOW = (KEPT, BROKEN, LATE, RUNNING, OPEN_ENDED)
"""Late: its time is up, and it runs. Open-ended: the lead was taken back or closed before anything was due."""
LATEST = 50


class Promises(Struct):
    """So many promises, by how each went."""

    kept: int = 0
    broken: int = 0
    late: int = 0
    running: int = 0
    open_ended: int = 0

    def add(self, how: str, count: int) -> None:
        setattr(self, how, getattr(self, how) + count)

    @property
    def attainment(self) -> float | None:
        """Of those that can be judged, how many were kept; who is late has not kept it."""
        return ratio(self.kept, self.kept + self.broken + self.late)

    @property
    def total(self) -> int:
        return self.kept + self.broken + self.late + self.running + self.open_ended

    def cells(self) -> tuple[object, ...]:
        return self.total, self.kept, self.broken, self.late, self.running, self.open_ended, self.attainment


_COLUMNS = (
    Column("promises", "Promises", "count"),
    Column("kept", "Kept", "count"),
    Column("broken", "Broken", "count"),
    Column("late", "Late now", "count"),
    Column("running", "Running", "count"),
    Column("open_ended", "Ended before they were due", "count"),
    Column("attainment", "Kept of those due", "share"),
)


def sla(store: Store, ask: Ask, policy: Policy) -> Report:
    """How the promises went whose clocks started within the bounds."""
    low, high = bounds(ask)
    names = called(store, policy)
    told = list(_counted(store, ask, low, high))
    kinds: dict[tuple[str, str], Promises] = {}
    cuts: dict[str, Promises] = {}
    months: dict[object, Promises] = {}
    for promised, terms, cut, month, how, count in told:
        kinds.setdefault((promised, terms), Promises()).add(how, count)
        months.setdefault(month, Promises()).add(how, count)
        cuts.setdefault(cut, Promises()).add(how, count)
    rows = tuple((promised, terms, *one.cells()) for (promised, terms), one in sorted(kinds.items()))
    head = (Column("promised", "What is promised"), Column("sla", "Terms"))
    tables = [Table("promises", "Promises", (*head, *_COLUMNS), rows)]
    if ask.by:
        known = names if ask.by == "rep" else {}
        title = ask.by.replace("_", " ")
        order = sorted(cuts, key=lambda name: (-cuts[name].total, name))
        rows = tuple((known.get(name, name) or None, *cuts[name].cells()) for name in order)
        chart = Chart("bars", "name", ("attainment",))
        notes = ("Each owner's promise is their own: who lost a lead that was late has broken one.",)
        tables.append(Table("by", f"By {title}", (Column("name", title.capitalize()), *_COLUMNS), rows, notes, chart))
    rows = tuple((month, *one.cells()) for month, one in sorted(months.items(), key=lambda one: str(one[0])))
    chart = Chart("lines", "month", ("attainment",))
    tables.append(Table("months", "By month", (Column("month", "Started in", "month"), *_COLUMNS), rows, (), chart))
    tables.append(_late(store, ask, names))
    return Report("sla", "Promises", ask.at, ask.zone, tuple(tables), ask.since, ask.until, missing(store))


def _counted(store: Store, ask: Ask, low: int, high: int) -> Iterable[tuple[str, str, str, object, str, int]]:
    """(promised, terms, cut, month, how, count)"""
    [(first, last)] = store.ask(
        "select min(started_ms), max(started_ms) from report_promise where started_ms >= ? and started_ms < ?",
        (low, high),
    )
    if first is None:
        return
    months, now = Months(first, last, ask.zone), ms_of(ask.at)
    sql = (
        f"select promised, sla, {HANDOFF_CUTS.get(ask.by, chr(39) * 2)}, {months.sql('started_ms')},"  # noqa: S608
        f" case when met then '{KEPT}' when met = 0 then '{BROKEN}' when ended_ms is not null then '{OPEN_ENDED}'"
        f" when due_ms < ? then '{LATE}' else '{RUNNING}' end, count(*)"
        " from report_promise as h where started_ms >= ? and started_ms < ? group by 1, 2, 3, 4, 5"
    )
    for promised, terms, cut, month, how, count in store.ask(sql, (now, low, high)):
        yield promised, terms, cut_of(cut), months.days[max(month, 0)], how, count


def _late(store: Store, ask: Ask, names: dict[str, str]) -> Table:
    """Which are late now, the longest first."""
    now = ms_of(ask.at)
    sql = (
        "select promised, owner, person, handoff, (? - due_ms) / 1000.0 from report_promise"
        " where ended_ms is null and due_ms < ? order by due_ms, handoff limit ?"
    )
    rows = tuple(
        (promised, names.get(owner, owner) or None, str(person), handoff, late)
        for promised, owner, person, handoff, late in store.ask(sql, (now, now, LATEST))
    )
    columns = (
        Column("promised", "What is promised"),
        Column("owner", "Owner"),
        Column("person", "Person"),
        Column("handoff", "Handoff"),
        Column("late", "Late for", "duration"),
    )
    notes = (f"At most {LATEST} are listed.",) if len(rows) == LATEST else ()
    return Table("late", "Late now", columns, rows, notes)
