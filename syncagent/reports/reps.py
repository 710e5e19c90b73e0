"""Reps: what each got, did with it and gave back, for which reasons, and whether turns were fair.

Fair means what docs/routing.md says: of each lead of a rotation everybody who could take it has a share by weight, and
nobody is ever more than one lead ahead of their shares; two where who comes and goes leaves no other way. The balance
is kept by the rotation itself, lead by lead; here it is only held against the bound.
"""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from syncagent.model import Roster
from syncagent.policy import Policy
from syncagent.reports.cuts import HANDOFF_CUTS, bounds, called, cut_of, missing
from syncagent.reports.periods import at_share, ratio
from syncagent.reports.rejections import REJECTED
from syncagent.reports.report import Ask, Chart, Column, Report, Table
from syncagent.state.store import Store

BY = ("rep", "team", "source", "campaign", "content", "segment", "score_band", "grade", "route")
BOUND, WIDEST = 1.0, 2.0
"""Leads that a rep may be ahead of their shares; and that they may be where absences leave no other way."""
_HAIR = 1e-6


class Row(NamedTuple):
    """So many handoffs of one cut that stand alike. `working`: seconds to the touch, of one."""

    cut: str
    state: str
    outcome: str
    reason: str
    working: float | None
    attempts: int
    passed_on: bool
    touched: bool


class Work:
    """The handoffs of one cut."""

    def __init__(self) -> None:
        self.handoffs, self.touched, self.open, self.passed_on, self.attempts, self.returned = 0, 0, 0, 0, 0, 0
        self.kinds = Counter[str]()
        self.working: list[float] = []

    def add(self, row: Row) -> None:
        self.handoffs += 1
        self.touched += row.touched
        self.open += row.state == "with_sales"
        self.passed_on += row.passed_on
        if row.working is not None:
            self.working.append(row.working)
        if row.state != "with_sales":
            self.kinds[kind_of(row.outcome)] += 1
            if row.outcome in REJECTED:
                self.returned += 1
                self.attempts += row.attempts

    def cells(self) -> tuple[object, ...]:
        answered = self.kinds.total()
        return (
            self.handoffs,
            self.touched,
            ratio(self.touched, self.handoffs),
            at_share(sorted(self.working), 0.5),
            at_share(sorted(self.working), 0.9),
            self.open,
            *(self.kinds[kind] for kind in ("won", "lost", "rejected", "other")),
            ratio(self.kinds["won"], answered),
            ratio(self.kinds["rejected"], answered),
            self.attempts / self.returned if self.returned else None,
            self.passed_on,
        )


_COLUMNS = (
    Column("handoffs", "Handoffs", "count"),
    Column("touched", "Touched", "count"),
    Column("touched_share", "of all", "share"),
    Column("p50", "Median to the touch, working time", "duration"),
    Column("p90", "p90", "duration"),
    Column("open", "With sales now", "count"),
    Column("won", "Won", "count"),
    Column("lost", "Lost", "count"),
    Column("rejected", "Given back or turned down", "count"),
    Column("other", "Ended otherwise", "count"),
    Column("win_rate", "Won of those that ended", "share"),
    Column("reject_rate", "Rejected of those that ended", "share"),
    Column("attempts", "Tries before giving back", "ratio"),
    Column("passed_on", "Had more than one owner", "count"),
)


def kind_of(outcome: str) -> str:
    """How a handoff ended, in few words."""
    if outcome in REJECTED:
        return "rejected"
    return outcome if outcome in ("won", "lost") else "other"


def reps(store: Store, ask: Ask, policy: Policy) -> Report:
    """What became of the handoffs that were opened within the bounds, by rep or by another cut."""
    by = ask.by or "rep"
    names = called(store, policy)
    known = names if by == "rep" else {}
    works: dict[str, Work] = {}
    reasons = Counter[tuple[str, str]]()
    for row in _rows(store, ask, HANDOFF_CUTS[by]):
        works.setdefault(row.cut, Work()).add(row)
        if row.outcome in REJECTED and row.state != "with_sales":
            reasons[row.cut, row.reason or row.outcome] += 1
    title = by.replace("_", " ")
    order = sorted(works, key=lambda name: (-works[name].handoffs, name))
    head = Column("name", title.capitalize())
    rows = tuple((known.get(name, name) or None, *works[name].cells()) for name in order)
    tables = (
        Table("by", f"By {title}", (head, *_COLUMNS), rows, (), Chart("bars", "name", ("handoffs", "won", "rejected"))),
        *_reasons(head, reasons, known),
        _fairness(store, ask, policy, names),
    )
    return Report("reps", "Reps", ask.at, ask.zone, tables, ask.since, ask.until, missing(store))


def _rows(store: Store, ask: Ask, cut: str) -> Iterable[Row]:
    sql = (
        f"select {cut}, state, outcome, reason, working_seconds_to_touch, attempts, assignments > 1,"  # noqa: S608
        " touched_ms is not null from report_handoff as h where opened_ms >= ? and opened_ms < ?"
    )
    return (Row(cut_of(name), *rest) for name, *rest in store.ask(sql, bounds(ask)))


def _reasons(head: Column, reasons: Counter[tuple[str, str]], known: dict[str, str]) -> Iterable[Table]:
    """Why leads were rejected: all together, and by the cut."""
    every, sums = Counter[str](), Counter[str]()
    for (name, reason), count in reasons.items():
        every[reason] += count
        sums[name] += count
    columns = (Column("reason", "Reason"), Column("count", "Rejected", "count"), Column("share", "Share", "share"))
    rows: Iterable[tuple[object, ...]] = (
        (reason, count, ratio(count, every.total()))
        for reason, count in sorted(every.items(), key=lambda one: (-one[1], one[0]))
    )
    chart = Chart("bars", "reason", ("count",))
    yield Table("reasons", "Why leads were rejected", columns, tuple(rows), (), chart)
    rows = (
        (known.get(name, name) or None, reason, count, ratio(count, sums[name]))
        for (name, reason), count in sorted(
            reasons.items(), key=lambda one: (-sums[one[0][0]], one[0][0], -one[1], one[0][1])
        )
    )
    yield Table("reasons_by", f"The same by {head.title.lower()}", (head, *columns), tuple(rows))


def _fairness(store: Store, ask: Ask, policy: Policy, names: dict[str, str]) -> Table:
    """How the rotations stand: who has leads to come, who is ahead, and whether that is within the bound."""
    low, high = bounds(ask)
    given = {
        (team, owner): count
        for team, owner, count in store.ask(
            "select team, first_owner, count(*) from report_handoff where opened_ms >= ? and opened_ms < ?"
            " and not queue group by 1, 2",
            (low, high),
        )
    }
    return fairness(store.roster(), given, {rep.crm_id: rep.weight for rep in policy.reps}, names)


def fairness(
    roster: Roster, given: dict[tuple[str, str], int], weights: dict[str, float], names: dict[str, str]
) -> Table:
    """A line a rep of each pool. `given`: (pool, rep) -> leads that they got first."""
    rows = []
    for pool, turns in sorted(roster.turns.items()):
        for owner, credit in sorted(turns.items(), key=lambda one: (-one[1], one[0])):
            ahead = -credit
            within = "yes" if ahead <= BOUND + _HAIR else "with absences" if ahead <= WIDEST + _HAIR else "no"
            count = given.get((pool, owner), 0)
            rows.append((pool, names.get(owner, owner), weights.get(owner, 1.0), count, credit, within))
    columns = (
        Column("pool", "Pool"),
        Column("rep", "Rep"),
        Column("weight", "Weight", "ratio"),
        Column("given", "Leads given first", "count"),
        Column("credit", "Leads to come", "ratio"),
        Column("within", "Within the bound"),
    )
    notes = (
        "Of each lead everybody who could take it has a share by weight; below 0 somebody is ahead of their shares. "
        f"Nobody may be more than {BOUND:g} ahead, {WIDEST:g} where absences leave no other way (docs/routing.md).",
        "Leads to come are as of now; owners who were set by people, accounts or deals take no turn.",
    )
    return Table("fairness", "Turns", columns, tuple(rows), notes)
