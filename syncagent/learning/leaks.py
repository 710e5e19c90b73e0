"""Columns that tell the outcome because they were filled in after it: named with the reason, and left out.

A value that is dated before its row is proven honest, however strong: only columns whose values (those of winners, for
the most part) could have come later are suspected. Each sign below is one that honest columns do not show.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from syncagent.handoff.conditions import is_known
from syncagent.handoff.likelihood import ATTRIBUTE, LETTER, bin_of
from syncagent.handoff.view import WATCHED
from syncagent.learning.features import LEAST_ROWS, column
from syncagent.learning.rows import Row

PROCESS = frozenset((*WATCHED, "score", "grade", "stage_date", "insight", ATTRIBUTE, LETTER))
"""What the handoff itself writes and hears: it follows from the process, and would only learn the old agreement."""

LEAST = 10
"""So many cases make a sign; fewer can be chance."""
TOO_GOOD = 0.9
"""No single honest column that is known of people at the beginning tells winners that well (AUC)."""
FILLED_TOO_GOOD = 0.75
"""The same of whether a column is filled at all: a form that buyers fill in twice as often as others gives 0.65."""
NEARLY_ALL = 0.8
"""Of the people with one value so many have won ..."""
FAR_MORE = 20
"""... and it is that many times as frequent among them as among others: it says "won" in other words."""
SHARE_OF_WINNERS = 0.05
"""... and so many winners have it."""
MOSTLY = 0.5


class Leak(NamedTuple):
    """A column that is left out, and why, as a sentence."""

    column: str
    why: str


def leaks(rows: Sequence[Row]) -> tuple[Leak, ...]:
    """The columns to be left out, by name. `rows`: all of the population, old enough to be judged or not."""
    first: dict[int, Row] = {}
    for row in rows:
        first.setdefault(row.person, row)
    people = tuple(first.values())
    found = []
    for name in columns_of(people):
        why = _process(name) or _late(name, people) or _suspicion(name, people)
        if why:
            found.append(Leak(name, why))
    return tuple(found)


def columns_of(rows: Iterable[Row]) -> tuple[str, ...]:
    """Every attribute that anybody has or had."""
    return tuple(sorted({name for row in rows for name in (*row.attributes, *row.late)}))


def _process(name: str) -> str:
    return "The handoff itself writes or hears it." if name in PROCESS else ""


def _suspicion(name: str, people: Sequence[Row]) -> str:
    filled = [row for row in people if row.outcome.won_at and is_known(row.attributes.get(name))]
    if len(filled) < LEAST or sum(name in row.undated for row in filled) < MOSTLY * len(filled):
        return ""
    return _winners_only(name, people) or _too_good(name, people) or _after_decisions(name, people)


def _late(name: str, people: Sequence[Row]) -> str:
    """Where history tells when it was filled in, that was mostly after the first look; the rest cannot be believed."""
    late = [row.late[name] for row in people if name in row.late]
    dated = [row for row in people if is_known(row.attributes.get(name)) and name not in row.undated]
    rest = sum(is_known(row.attributes.get(name)) and name in row.undated for row in people)
    if len(late) < LEAST or not rest or len(late) < MOSTLY * (len(late) + len(dated)):
        return ""
    return (
        f"Where its history is known it was filled in later for {len(late)} of {len(late) + len(dated)} people,"
        f" for {sum(late)} of them after the outcome; {rest} more have it without a date."
    )


def _winners_only(name: str, people: Sequence[Row]) -> str:
    """Being filled, or one value, that hardly anybody but winners has."""
    judged = [row for row in people if row.won is not None]
    winners = sum(row.outcome.won_at is not None for row in judged)
    others = len(judged) - winners
    if winners < LEAST or others < LEAST:
        return ""
    feature = column(name, [row.attributes.get(name) for row in judged], LEAST)
    groups: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for row in judged:
        won = row.outcome.won_at is not None
        value = row.attributes.get(name)
        labels = {feature.labels[bin_of(feature, {name: value}, row.done)]}
        if is_known(value):
            labels.add("")
        for label in labels:
            groups[label][int(won)] += 1
    for label, (lost, wins) in sorted(groups.items()):
        if (
            wins >= max(LEAST, SHARE_OF_WINNERS * winners)
            and wins >= NEARLY_ALL * (wins + lost)
            and wins * others >= FAR_MORE * lost * winners
        ):
            what = f"have {label!r} here" if label else "have it filled"
            return (
                f"Of {wins + lost} people who {what} {wins} were won, of all {len(judged)} only {winners};"
                " nothing dates it before the outcome."
            )
    return ""


def _too_good(name: str, people: Sequence[Row]) -> str:
    """Its values, or whether there is one at all, rank winners better than honest columns do."""
    judged = [row for row in people if row.won is not None]
    feature = column(name, [row.attributes.get(name) for row in judged], LEAST_ROWS)
    values: dict[int, list[int]] = defaultdict(lambda: [0, 0])
    filled: dict[int, list[int]] = defaultdict(lambda: [0, 0])
    for row in judged:
        won = row.outcome.won_at is not None
        values[bin_of(feature, row.attributes, row.done)][won] += 1
        filled[is_known(row.attributes.get(name))][won] += 1
    area = area_of_groups([(lost, won) for lost, won in values.values()])
    if area >= TOO_GOOD:
        return f"By itself it tells winners with an AUC of {area:.2f}, and nothing dates it before the outcome."
    area = area_of_groups([(lost, won) for lost, won in filled.values()])
    rates = [filled[True][won] / max(1, filled[True][won] + filled[False][won]) for won in (1, 0)]
    if area >= FILLED_TOO_GOOD and rates[0] > rates[1]:
        return (
            f"It is filled for {rates[0]:.0%} of winners and {rates[1]:.0%} of others, and nothing dates it before the"
            " outcome."
        )
    return ""


def _after_decisions(name: str, people: Sequence[Row]) -> str:
    """Filled, or filled with other values, once something was decided; hardly ever while all is open."""
    decided, still = _side_by_side(people)
    if min(len(decided), len(still)) < LEAST_ROWS:
        return ""
    shares = [sum(is_known(row.attributes.get(name)) for row in some) / len(some) for some in (decided, still)]
    if shares[0] >= MOSTLY and shares[1] <= shares[0] / FAR_MORE:
        return (
            f"It is filled for {shares[0]:.0%} of the people whose outcome is known and for {shares[1]:.1%} of"
            " those who are still open."
        )
    if sum(is_known(row.attributes.get(name)) for row in still) < LEAST_ROWS:
        return ""
    feature = column(name, [row.attributes.get(name) for row in (*decided, *still)], LEAST)
    if feature.kind != "value" or not feature.values:
        return ""
    counts: dict[int, list[int]] = defaultdict(lambda: [0, 0])
    for row in (*decided, *still):
        if is_known(row.attributes.get(name)):
            counts[bin_of(feature, row.attributes, row.done)][row.outcome.decided_at is not None] += 1
    only = [place for place, (open_, _) in counts.items() if not open_ and place < len(feature.values)]
    ending = sum(counts[place][1] for place in only)
    if ending < max(LEAST, MOSTLY * sum(count for _, count in counts.values())):
        return ""
    named = ", ".join(repr(feature.values[place]) for place in sorted(only)[:3])
    return f"Values such as {named} stand only where the outcome is known, for {ending} of those people."


def _side_by_side(people: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """People whose outcome is known and people who are open, who were both first known within the same time.

    Otherwise whatever changes with the years (a campaign, a new form) would look as if the outcome had changed it.
    """
    decided = [row for row in people if row.outcome.decided_at is not None]
    still = [row for row in people if row.outcome.decided_at is None]
    if not decided or not still:
        return [], []
    begin, end = still[len(still) // 20].start, decided[len(decided) * 19 // 20].start
    within = [[row for row in some if begin <= row.start <= end] for some in (decided, still)]
    return within[0], within[1]


def area_of_groups(groups: Sequence[tuple[int, int]]) -> float:
    """The AUC of groups of (others, winners) when they are ranked by their rate of winners; 0.5 without both."""
    ranked = sorted(groups, key=lambda one: one[1] / (one[0] + one[1]))
    others, winners = (sum(one[n] for one in ranked) for n in (0, 1))
    if not others or not winners:
        return 0.5
    behind, area = 0, 0.0
    for lost, won in ranked:
        area += won * (behind + lost / 2)
        behind += lost
    return area / (others * winners)
