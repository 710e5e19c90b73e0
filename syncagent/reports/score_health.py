"""Score health: whether those with more points win more often, which rules earn theirs, and where the line should be.

Everything is said of handoffs, by what was known when each was opened, and only of those that are old enough to have
been won.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta
from math import ceil
from typing import NamedTuple

from syncagent.errors import UserError
from syncagent.handoff.past import as_of
from syncagent.handoff.scoring import weigh
from syncagent.policy import Policy
from syncagent.reports.cuts import bounds, missing
from syncagent.reports.journeys import BIRTH
from syncagent.reports.periods import at_share, ms_of
from syncagent.reports.rates import Rate, gap, lift, likely
from syncagent.reports.report import Ask, Chart, Column, Report, Table
from syncagent.reports.workload import lines
from syncagent.state.store import Store

MOST = 5_000
"""So many handoffs, the newest, are scored anew to see which rules gave them points."""

_BATCH = 250
_SURE = 10  # so many wins say how long a win takes
_NINE_OF_TEN = 0.9
_ENOUGH = 100  # handoffs with a rule, and without, before its difference is called none
_HANDOFFS = """
select person, opened_ms, score, score_band, grade, outcome = 'won', closed_ms, raised_ms is not null
from report_handoff where opened_ms >= ? and opened_ms < ? and score is not null order by opened_ms, handoff
"""
_RATES = (
    Column("handoffs", "Handoffs", "count"),
    Column("won", "Won", "count"),
    Column("win_rate", "Win rate", "share"),
    Column("at_least", "At least", "share"),
    Column("at_most", "At most", "share"),
    Column("lift", "Lift", "ratio"),
)


class Opened(NamedTuple):
    """A handoff as it was opened (ms), and whether it was won. `raised`: they asked for sales, no line was needed."""

    person: int
    at: int
    score: float
    band: int
    grade: str
    won: bool
    closed: int | None
    raised: bool


def scores(store: Store, ask: Ask, policy: Policy) -> Report:
    """Of the handoffs opened in the time of the report. Raises `UserError` where `ask.by` is not empty."""
    if ask.by:
        raise UserError("The health of the scores cannot be cut. Ask without --by.")
    told = [Opened(*row) for row in store.ask(_HANDOFFS, bounds(ask))]
    days = ripens(told)
    ripe = [one for one in told if one.at <= ms_of(ask.at - timedelta(days=days or 0))]
    whole = Rate(sum(one.won for one in ripe), len(ripe))
    tables = [
        _table("bands", "By score at the opening", Column("band", "Score from", "points"), _by_band(ripe), whole),
        _table("grades", "By grade at the opening", Column("grade", "Grade"), _by_grade(ripe), whole),
    ]
    looked = ripe[-MOST:]
    tables.append(_rules(store, looked, policy))
    line, suggested = lines(store, ask, policy, [(one.at, one.score, one.raised) for one in told], _scored(ripe))
    tables.append(line)
    notes = tuple(_notes(told, ripe, looked, days))
    return Report(
        "scores",
        "Score health",
        ask.at,
        ask.zone,
        tuple(tables),
        ask.since,
        ask.until,
        (*notes, *missing(store), suggested),
    )


def ripens(told: Sequence[Opened]) -> int | None:
    """After how many days nine of ten wins were won; None: too few were to say."""
    took = sorted(one.closed - one.at for one in told if one.won and one.closed is not None)
    if len(took) < _SURE:
        return None
    return ceil((at_share(took, _NINE_OF_TEN) or 0) / 86_400_000)


def _by_band(ripe: Sequence[Opened]) -> dict[object, Rate]:
    return _rates((float(one.band), one.won) for one in ripe)


def _by_grade(ripe: Sequence[Opened]) -> dict[object, Rate]:
    return _rates((one.grade or None, one.won) for one in ripe)


def _scored(ripe: Sequence[Opened]) -> list[tuple[float, bool]]:
    return [(one.score, one.won) for one in ripe]


def _rates(told: Iterator[tuple[object, bool]]) -> dict[object, Rate]:
    of, won = Counter[object](), Counter[object]()
    for name, is_won in told:
        of[name] += 1
        won[name] += is_won
    return {name: Rate(won[name], count) for name, count in of.items()}


def _table(name: str, title: str, column: Column, found: dict[object, Rate], whole: Rate) -> Table:
    rows = [(key, *_said(rate, whole)) for key, rate in sorted(found.items(), key=lambda item: str(item[0]).zfill(9))]
    chart = Chart("bars", column.name, ("win_rate",))
    return Table(name, title, (column, *_RATES), tuple(rows), chart=chart)


def _said(rate: Rate, whole: Rate) -> tuple[object, ...]:
    low, high = likely(rate) or (None, None)
    return rate.of, rate.won, rate.share, low, high, lift(rate, whole)


# -- rules


TAKING = " (taking points)"


class Rule(NamedTuple):
    """How a rule did with the handoffs to which it gave points, and what it gave in the mean.

    Where it also takes points, that is another one, and called so.
    """

    name: str
    rate: Rate
    points: float


def _rules(store: Store, looked: Sequence[Opened], policy: Policy) -> Table:
    columns = (
        Column("rule", "Rule"),
        Column("points", "Points given, mean", "points"),
        *_RATES,
        Column("without", "Win rate without it", "share"),
        Column("verdict", "Verdict"),
    )
    whole = Rate(sum(one.won for one in looked), len(looked))
    rows = []
    for one in _fired(store, looked, policy):
        rest = whole.without(one.rate)
        rows.append(
            (
                one.name,
                one.points if one.rate.of else None,
                *_said(one.rate, whole),
                rest.share,
                verdict(one.points, one.rate, rest),
            )
        )
    note = (
        "A rule is held against the handoffs to which it gave nothing. Of twenty rules one looks better or worse than"
    )
    return Table(
        "rules",
        "Rules, and whether they earn their points",
        columns,
        tuple(sorted(rows, key=lambda row: (_VERDICTS.index(str(row[-1])), str(row[0])))),
        (f"{note} it is by mere chance.",),
    )


AGAINST = "works against you: those with it win as if its points had the other sign"
NO_DIFFERENCE = "does not earn its points: those with it win no more often or seldom"
TOO_FEW = "too few handoffs to tell"
NOBODY = "gave points to nobody"
EVERYBODY = "gave points to everybody: it tells nobody apart"
EARNS = "earns its points"
_VERDICTS = (AGAINST, NO_DIFFERENCE, NOBODY, EVERYBODY, TOO_FEW, EARNS)


def verdict(points: float, rate: Rate, rest: Rate) -> str:
    """What to think of a rule that gave `points` in the mean to handoffs won at `rate`, the others at `rest`."""
    if not rate.of:
        return NOBODY
    between = gap(rate, rest)
    if between is None:
        return EVERYBODY
    low, high = between if points >= 0 else (-between[1], -between[0])
    if low > 0:
        return EARNS
    if high < 0:
        return AGAINST
    return NO_DIFFERENCE if min(rate.of, rest.of) >= _ENOUGH and rate.won + rest.won >= _SURE else TOO_FEW


def _fired(store: Store, looked: Sequence[Opened], policy: Policy) -> list[Rule]:
    """What each rule of the live model gave, by what was known at each opening."""
    rules = [*(rule.name for rule in policy.scoring.fit), *(rule.name for rule in policy.scoring.interest)]
    of, won, given = Counter[str](), Counter[str](), dict.fromkeys(rules, 0.0)
    ordered = sorted(looked)
    for start in range(0, len(ordered), _BATCH):
        some = ordered[start : start + _BATCH]
        dossiers = {one.person: one for one in store.dossiers(sorted({one.person for one in some}))}
        for one in some:
            if (dossier := dossiers.get(one.person)) is None:
                continue
            at = BIRTH + timedelta(milliseconds=one.at)
            for told in weigh(as_of(dossier, at, guess=True), policy, at).score.contributions:
                if not told.points:
                    continue
                name = told.rule if told.points > 0 else f"{told.rule}{TAKING}"
                of[name] += 1
                won[name] += one.won
                given[name] = given.get(name, 0.0) + told.points
    silent = {rule for rule in rules if not of[rule] and of[f"{rule}{TAKING}"]}
    return [
        Rule(name, Rate(won[name], of[name]), points / of[name] if of[name] else 0.0)
        for name, points in given.items()
        if name not in silent
    ]


def _notes(told: Sequence[Opened], ripe: Sequence[Opened], looked: Sequence[Opened], days: int | None) -> Iterator[str]:
    yield "Win rate is the share of handoffs whose outcome is won; the true rate lies between at least and at most."
    if days is None:
        yield "Too few were won to say how long it takes, so all handoffs count, also those that may still be won."
    else:
        yield (
            f"Nine of ten wins came within {days} days: {len(told) - len(ripe):,} younger handoffs are left out, for"
            " nobody can say yet what becomes of them."
        )
    if len(looked) < len(ripe):
        yield f"Rules are judged by the newest {len(looked):,} of {len(ripe):,} handoffs."
