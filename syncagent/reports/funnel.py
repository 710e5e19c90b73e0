"""The funnel: how many come in and reach each step, how long they stay, who is stuck, and what wins take.

Counted are people, by the month of their first contact (cohorts), and their stays in stages, by calendar month (flows).
A step is reached by who has been there or further on: nobody is won who was not a lead. What is not fit to be compared
is marked and left out of the one line that sums cohorts up: those that began before anybody was watching, and those
that are too young for their wins to have come.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta

from msgspec import Struct

from syncagent.handoff.calendar import zone_of
from syncagent.model import Stage
from syncagent.policy import Policy
from syncagent.reports.cuts import LEAD_CUTS, called, missing
from syncagent.reports.flows import FLOW_COLUMNS, Flows, read_flows
from syncagent.reports.periods import Months, at_share, ms_of, ratio
from syncagent.reports.report import Ask, Chart, Column, Report, Table
from syncagent.state.store import Store

BY = tuple(LEAD_CUTS)
STEPS = ("lead", "prospect", "mql", "sal", "sql", "opportunity", "won")
"""The way through, each behind the one before."""
WON = len(STEPS) - 1
WITHIN = (7, 14, 30, 60, 90)
FEW = 20
"""Of fewer wins nobody can say how long a win takes: then it is taken to be `USUAL` days."""
USUAL = 90
_YEARS = timedelta(days=7306)
_RANK = " ".join(f"when '{step}' then {rank}" for rank, step in enumerate(STEPS) if rank)


class Win(Struct, frozen=True):
    """Somebody whose deal was won: the days from their first contact, by the calendar; before it they are negative."""

    cohort: int
    cut: str
    days: int


class Counted(Struct, frozen=True):
    """So many people of one cohort and cut got so far on their first way, and so far on any: places in `STEPS`."""

    cohort: int
    cut: str
    first: int
    reached: int
    people: int


class Cohort(Struct, frozen=True):
    """The people of one month. `people` by the step that they reached; why they are not to be compared, if so."""

    month: date
    people: tuple[int, ...]
    days: tuple[int, ...]
    cut_off: bool
    young: bool

    @property
    def clean(self) -> bool:
        return not self.cut_off and not self.young


def funnel(store: Store, ask: Ask, policy: Policy) -> Report:
    """How many of those who came in within the bounds reached which step until now, and what moved meanwhile."""
    until = min(ask.until or ask.at, ask.at)
    since = max(ask.since or ask.at - _YEARS, ask.at - _YEARS)
    zone, cut = ask.zone, LEAD_CUTS.get(ask.by, "''")
    names = called(store, policy) if ask.by == "rep" else {}
    low, high = ms_of(since), ms_of(until)
    [(first, last)] = store.ask(
        "select min(entered_ms), max(entered_ms) from report_lead where entered_ms >= ? and entered_ms < ?", (low, high)
    )
    notes = [*missing(store)]
    if first is None:
        table = Table("steps", "Nobody came in", (Column("step", "Step"), Column("people", "People", "count")), ())
        return Report("funnel", "Funnel", ask.at, zone, (table,), ask.since, ask.until, tuple(notes))
    months = Months(first, last, zone)
    counted = list(_counted(store, months, cut, low, high))
    wins = list(_wins(store, months, cut, low, high, zone))
    began = watched_since(store, zone)
    cohorts = by_month(months.days, counted, wins, began, until.astimezone(zone_of(zone)).date())
    if older := sum(one.people for one in counted if one.cohort < 0):
        notes.append(f"{older:,} people came in more than 20 years ago; they are in no month.")
    if early := sum(one.days < 0 for one in wins):
        were = "person's deal was" if early == 1 else "people's deals were"
        notes.append(f"{early:,} {were} won before their first contact. They count as won; their days are negative.")
    flows = read_flows(store, ask, cut if ask.by else "''")
    tables = [steps(counted)]
    if ask.by:
        tables.append(_by_cut(ask.by, counted, wins, names))
    tables += [_cohorts(cohorts), _clean(cohorts, began)]
    tables += [_stages(flows, ask.by, names), _periods(flows)]
    return Report("funnel", "Funnel", ask.at, zone, tuple(tables), ask.since, ask.until, tuple(notes))


# -- reading


_WINNERS = (
    "with winner as materialized (select p.person, max(d.closed_ms) as latest,"
    " min(case when d.closed_ms >= e.entered_ms then d.closed_ms end) as at from report_deal as d"
    " join report_deal_person as p on p.deal = d.deal join report_lead as e on e.person = p.person"
    " where d.won group by p.person) "
)
"""Whose deals were won, and when: the first one after they came in, else the last one before."""


def _counted(store: Store, months: Months, cut: str, low: int, high: int) -> Iterable[Counted]:
    furthest = "(select max({}) from report_stage as s where s.person = e.person)"
    rank = f"case stage {_RANK} else 0 end"
    # One number a person: of a million rows each column more takes as long as finding the stays.
    packed = f"((({months.sql('came')} + 1) * 10 + coalesce(first, 0)) * 10 + coalesce(back, 0)) * 10 + won * 2 + again"
    sql = (
        f"{_WINNERS}select {packed}, cut from (select e.entered_ms as came,"  # noqa: S608
        f" {cut} as cut, case when e.handoffs > 1 then"
        f" {furthest.format(f'case when is_return then 0 else {rank} end')} end as first,"
        f" {furthest.format(rank)} as back, w.person is not null as won, e.handoffs > 1 as again"
        " from report_lead as e left join winner as w on w.person = e.person limit -1) where came >= ? and came < ?"
    )
    for (number, name), people in Counter(store.ask(sql, (low, high))).items():
        cohort, first, back, how = number // 1000 - 1, number // 100 % 10, number // 10 % 10, number % 10
        furthest_of_all = WON if how & 2 else back
        yield Counted(cohort, str(name), first if how & 1 else furthest_of_all, furthest_of_all, people)


def _wins(store: Store, months: Months, cut: str, low: int, high: int, zone: str) -> Iterable[Win]:
    sql = (
        f"{_WINNERS}select {months.sql('e.entered_ms')}, {cut}, e.entered_ms, coalesce(w.at, w.latest) from winner as w"  # noqa: S608
        " join report_lead as e on e.person = w.person where e.entered_ms >= ? and e.entered_ms < ?"
    )
    for cohort, name, entered, won in store.ask(sql, (low, high)):
        yield Win(cohort, str(name), (_day(won, zone) - _day(entered, zone)).days)


def watched_since(store: Store, zone: str) -> tuple[date | None, date | None]:
    """The months of the first win and of the first stay in a stage that are known; None: nobody came in before it."""
    [(first, won, stayed)] = store.ask("select entered_ms, won_ms, stage_ms from report_since")
    days = [None if one is None else _day(one, zone).replace(day=1) for one in (first, won, stayed)]
    origin, *began = days
    won_in, stayed_in = (day if day is not None and origin is not None and day > origin else None for day in began)
    return won_in, stayed_in


def _day(stamp: int, zone: str) -> date:
    return datetime.fromtimestamp(stamp / 1000, UTC).astimezone(zone_of(zone)).date()


# -- arithmetic


def by_month(
    days: Sequence[date], counted: Iterable[Counted], wins: Iterable[Win], began: Iterable[date | None], today: date
) -> list[Cohort]:
    """The cohorts, the oldest first. `began`: the months in which wins and stages were seen first (`watched_since`).

    A month is cut off when it is one of these or lies before: what came of its people before somebody watched is not
    known. It is young until nine of ten wins should have come.
    """
    people = {day: [0] * len(STEPS) for day in days}
    took: dict[date, list[int]] = {day: [] for day in days}
    for one in counted:
        if one.cohort >= 0:
            people[days[one.cohort]][one.reached] += one.people
    for win in wins:
        if win.cohort >= 0:
            took[days[win.cohort]].append(win.days)
    edge = max((day for day in began if day is not None), default=None)
    whole = sorted(d for day in days if edge is None or day > edge for d in took[day])
    wait = timedelta(days=max(0.0, at_share(whole, 0.9) or 0.0) if len(whole) >= FEW else USUAL)
    return [
        Cohort(
            day,
            tuple(people[day]),
            tuple(sorted(took[day])),
            edge is not None and day <= edge,
            _end(day) + wait > today,
        )
        for day in days
    ]


def _end(day: date) -> date:
    return (day.replace(day=28) + timedelta(days=4)).replace(day=1)


def reached(people: Sequence[int]) -> list[int]:
    """How many got at least to each step, of how many got just there."""
    return [sum(people[rank:]) for rank in range(len(people))]


def _cells(people: Sequence[int]) -> tuple[object, ...]:
    sums = reached(people)
    return (*sums, ratio(sums[WON], sums[0]))


_STEP_COLUMNS = (
    *(Column(step, step.upper() if len(step) == 3 and step != "won" else step.capitalize(), "count") for step in STEPS),
    Column("rate", "Won of leads", "share"),
)


def steps(counted: Iterable[Counted]) -> Table:
    """Every step: who reached it at all, and who did so only after they had been given back."""
    anyhow, first = [0] * len(STEPS), [0] * len(STEPS)
    for one in counted:
        anyhow[one.reached] += one.people
        first[min(one.first, one.reached)] += one.people
    sums, direct = reached(anyhow), reached(first)
    rows = tuple(
        (
            step,
            sums[rank],
            direct[rank],
            sums[rank] - direct[rank],
            anyhow[rank],
            ratio(sums[rank], sums[0]),
            ratio(sums[rank], sums[rank - 1]) if rank else None,
        )
        for rank, step in enumerate(STEPS)
    )
    columns = (
        Column("step", "Step"),
        Column("people", "Reached it", "count"),
        Column("direct", "on the first way", "count"),
        Column("returned", "only on a return", "count"),
        Column("furthest", "and got no further", "count"),
        Column("of_all", "Of all", "share"),
        Column("of_previous", "Of the step before", "share"),
    )
    return Table("steps", "Steps", columns, rows, chart=Chart("funnel", "step", ("people",)))


def _by_cut(by: str, counted: Iterable[Counted], wins: Iterable[Win], names: dict[str, str]) -> Table:
    people: dict[str, list[int]] = {}
    took: dict[str, list[int]] = {}
    for one in counted:
        people.setdefault(one.cut, [0] * len(STEPS))[one.reached] += one.people
    for win in wins:
        took.setdefault(win.cut, []).append(win.days)
    order = sorted(people, key=lambda name: (-sum(people[name]), name))
    rows = tuple(
        (names.get(name, name) or None, *_cells(people[name]), at_share(sorted(took.get(name, ())), 0.5))
        for name in order
    )
    columns = (
        Column("name", by.replace("_", " ").capitalize()),
        *_STEP_COLUMNS,
        _days("median", "Median days to the win"),
    )
    chart = Chart("bars", "name", ("lead", "mql", "won"))
    notes = ("Grade, score, segment and rep are those of the last decision.",)
    return Table("by", f"By {by.replace('_', ' ')}", columns, rows, notes, chart)


def _days(name: str, title: str) -> Column:
    return Column(name, title, "count")


def _cohorts(cohorts: Sequence[Cohort]) -> Table:
    rows = tuple(
        (
            one.month,
            *_cells(one.people),
            at_share(one.days, 0.5),
            at_share(one.days, 0.9),
            ", ".join(word for word, holds in (("cut off", one.cut_off), ("too young", one.young)) if holds),
        )
        for one in cohorts
    )
    columns = (
        Column("month", "Came in", "month"),
        *_STEP_COLUMNS,
        _days("median", "Median days to the win"),
        _days("p90", "p90"),
        Column("not_comparable", "Not comparable"),
    )
    return Table("cohorts", "By the month of the first contact", columns, rows, (), Chart("lines", "month", ("rate",)))


def _clean(cohorts: Sequence[Cohort], began: Sequence[date | None]) -> Table:
    """One line over the cohorts that may be summed up."""
    clean = [one for one in cohorts if one.clean]
    people = [sum(one.people[rank] for one in clean) for rank in range(len(STEPS))]
    days = sorted(day for one in clean for day in one.days)
    leads = sum(people)
    spread = [at_share(days, share) for share in (0.25, 0.5, 0.75, 0.9)]
    within = [ratio(sum(day <= limit for day in days), leads) for limit in WITHIN]
    columns = (
        Column("since", "From", "month"),
        Column("through", "to", "month"),
        *_STEP_COLUMNS,
        *(_days(name, f"{name} days to the win") for name in ("p25", "median", "p75", "p90")),
        *(Column(f"within_{limit}", f"Won within {limit} days", "share") for limit in WITHIN),
    )
    notes = []
    seen = [
        f"{what} ({day:%Y-%m})" for what, day in zip(("win", "stay in a stage"), began, strict=True) if day is not None
    ]
    if off := [one for one in cohorts if one.cut_off]:
        notes.append(
            f"{_months(len(off))} cut off on the left and left out: they began before the first {' or '.join(seen)}"
            " that is known, so what came of their people before is not."
        )
    if young := sum(one.young and not one.cut_off for one in cohorts):
        notes.append(f"{_months(young)} left out as too young: nine of ten wins have not had the time to come.")
    rows = ((clean[0].month, clean[-1].month, *_cells(people), *spread, *within),) if clean else ()
    return Table("clean", "Cohorts that may be compared, together", columns, rows, tuple(notes))


def _months(count: int) -> str:
    return "1 month is" if count == 1 else f"{count} months are"


def _stages(flows: Flows, by: str, names: dict[str, str]) -> Table:
    """Each stage over the whole time: who was there, came, left, is there; how long they stayed."""
    head = (Column("name", by.replace("_", " ").capitalize()),) if by else ()
    rows = []
    for one in sorted(flows.whole(), key=lambda one: (_PLACE.get(one.stage, len(_PLACE)), one.cut)):
        stage, cut, *rest = one
        rows.append((stage, *((names.get(cut, cut) or None,) if by else ()), *rest))
    columns = (
        Column("stage", "Stage"),
        *head,
        *FLOW_COLUMNS,
        Column("returns", "of those who came, on a return", "count"),
        Column("median", "Median stay", "duration"),
        Column("p90", "p90", "duration"),
    )
    notes = ("Stays are of those who left. Who was there and came is who left and is there.",)
    return Table("stages", "Stages", columns, tuple(rows), notes)


_PLACE = {str(stage): place for place, stage in enumerate(Stage)}


def _periods(flows: Flows) -> Table:
    """The same month by month."""
    rows = tuple(sorted(flows.monthly(), key=lambda one: (one.month, _PLACE.get(one.stage, len(_PLACE)))))
    columns = (Column("month", "Month", "month"), Column("stage", "Stage"), *FLOW_COLUMNS)
    return Table("periods", "Stages, month by month", columns, rows)
