"""Where the line should be: the lowest that sends sales no more than it can work inside its promise."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from statistics import median
from typing import NamedTuple

from syncagent.policy import Policy
from syncagent.reports.journeys import BIRTH
from syncagent.reports.periods import ms_of
from syncagent.reports.rates import Rate
from syncagent.reports.report import Ask, Chart, Column, Table
from syncagent.state.store import Store

WEEKS = 13
"""So many whole weeks, the last ones, say what sales can work."""

_STEP = 5
_WEEK = timedelta(days=7)
_LATE = 0.1  # of what was due in a week, from which on it was more than sales could work
_DUE = """
select due_ms, coalesce(met, 0) from report_promise
where promised = 'first touch' and due_ms >= ? and due_ms < ? and (met is not null or ended_ms is null)
"""
_WAITING = f"""
select cast(score / {_STEP} as integer) * {_STEP}, count(*) from report_lead
where handoffs = 0 and stage in ('suspect', 'prospect') group by 1
"""  # noqa: S608


class Capacity(NamedTuple):
    """First touches a week. `kept`: the most that were made in time; `can`: how many can be, None: it was never put to
    the test, as sales was hardly ever late."""

    kept: int
    can: float | None


def capacity(due: Sequence[tuple[int, bool]]) -> Capacity:
    """What sales can work inside its promise, from promises (week, kept): what it kept in the weeks it was late in."""
    kept, late = Counter[int](), Counter[int]()
    for week, met in due:
        kept[week] += met
        late[week] += not met
    full = [kept[week] for week in {*kept, *late} if late[week] >= _LATE * (kept[week] + late[week])]
    return Capacity(max(kept.values(), default=0), median(full) if full else None)


def lines(
    store: Store,
    ask: Ask,
    policy: Policy,
    opened: Sequence[tuple[int, float, bool]],
    scored: Sequence[tuple[float, bool]],
) -> tuple[Table, str]:
    """A row for each line that could be drawn, and one sentence that says which.

    `opened`: when (ms), with how many points, and whether they had asked for sales; `scored`: points and whether won.
    """
    until = min(ask.until or ask.at, ask.at)
    weeks = _weeks(ask, until, opened)
    since = ms_of(until) - weeks * ms_of(BIRTH + _WEEK)
    due = [((at - since) // ms_of(BIRTH + _WEEK), bool(met)) for at, met in store.ask(_DUE, (since, ms_of(until)))]
    can = capacity(due)
    lately = [(score, raised) for at, score, raised in opened if at >= since]
    waiting = dict(store.ask(_WAITING))
    rows = list(_rows(policy, weeks, can, lately, scored, waiting))
    columns = (
        Column("line", "Line", "points"),
        Column("handoffs_a_week", "Handoffs a week", "ratio"),
        Column("of_capacity", "Of what sales can work", "share"),
        Column("win_rate", "Win rate", "share"),
        Column("wins_kept", "Wins kept", "share"),
        Column("waiting", "Never handed over, with so many points", "count"),
    )
    title = "Lines that could be drawn"
    chart = Chart("lines", "line", ("wins_kept", "of_capacity"))
    return Table("lines", title, columns, tuple(rows), chart=chart), _suggestion(policy, weeks, can, rows)


def _weeks(ask: Ask, until: datetime, opened: Sequence[tuple[int, float, bool]]) -> int:
    """Whole weeks of which something is known, at most `WEEKS`."""
    first = min((at for at, _, _ in opened), default=None)
    if first is None:
        return 0
    known = until - max(ask.since or BIRTH, BIRTH + timedelta(milliseconds=first))
    return min(max(known // _WEEK, 0), WEEKS)


def _rows(
    policy: Policy,
    weeks: int,
    can: Capacity,
    lately: Sequence[tuple[float, bool]],
    scored: Sequence[tuple[float, bool]],
    waiting: dict[int, int],
) -> Iterator[tuple[float, float | None, float | None, float | None, float | None, int]]:
    now = policy.mql.score
    wins = sum(won for _, won in scored)
    drawn = {float(line) for line in range(0, 101, _STEP)} | ({float(now)} if now is not None else set())
    lowest = min((*waiting, *(score for score, _ in scored), *(score for score, _ in lately)), default=0.0)
    for line in sorted(drawn):
        if line + _STEP <= lowest and line != now:
            continue  # nobody has so few points: it is the same as the next
        a_week = None
        if weeks and (now is None or line >= now):  # below the line nobody was handed over for their points
            a_week = sum(raised or score >= line for score, raised in lately) / weeks
        over = Rate(sum(won for score, won in scored if score >= line), sum(score >= line for score, _ in scored))
        yield (
            line,
            a_week,
            a_week / can.can if a_week is not None and can.can else None,
            over.share,
            over.won / wins if wins else None,
            sum(count for low, count in waiting.items() if low >= line),
        )


def _suggestion(
    policy: Policy,
    weeks: int,
    can: Capacity,
    rows: Sequence[tuple[float, float | None, float | None, float | None, float | None, int]],
) -> str:
    now = policy.mql.score
    if not weeks:
        return "No line is suggested: there is no whole week of handoffs yet."
    if now is None:
        return "No line is suggested: leads are handed over by grade, not by points ([handoff] mql)."
    if can.can is None:
        if not can.kept:
            return f"No line is suggested: in the last {weeks} weeks no first touch was promised and made in time."
        return (
            f"The line of {now:g} may stay: in the last {weeks} weeks sales was late with less than one in ten, and"
            f" made up to {can.kept:,} first touches a week in time. Whether it can work more, nobody has tried."
        )
    fits = next((row for row in rows if row[1] is not None and row[1] <= can.can), None)
    told = f"In weeks when it was late, sales made {can.can:g} first touches in time."
    if fits is None:
        return f"{told} No line brings the handoffs down to that: those who ask for sales are more already."
    if fits[0] <= now:
        return f"{told} The line of {now:g} sends {fits[1]:.1f} a week, which it can work: it may stay."
    kept = f", and keep {fits[4]:.0%} of the wins" if fits[4] is not None else ""
    return f"{told} A line of {fits[0]:g} instead of {now:g} would send {fits[1]:.1f} a week{kept}."
