"""Columns cut into bins, by what was seen in the part of the data that the model is fitted on."""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Literal

from syncagent.handoff.conditions import is_known, number
from syncagent.handoff.likelihood import as_text, bin_of
from syncagent.learning.rows import Row
from syncagent.model import Feature, Value

MOST_VALUES = 20
LEAST_SHARE = 0.01  # of the rows: a rarer value is "other"
LEAST_ROWS = 30  # and so is one that was seen less often
MOST_KINDS = 20
COUNTS = (1.0, 2.0, 4.0, 8.0)
RECENCY = (1.0, 7.0, 30.0, 90.0)
AGES = (3.0, 14.0, 45.0, 120.0)


def features_of(rows: Sequence[Row], columns: Iterable[str]) -> tuple[Feature, ...]:
    """The features that these columns and the activities of these rows give, without weights.

    What looks the same for (nearly) everybody is no feature.
    """
    least = max(LEAST_ROWS, round(len(rows) * LEAST_SHARE))
    made = [column(name, [row.attributes.get(name) for row in rows], least) for name in columns]
    kinds = Counter(kind for row in rows for kind, count in row.done.counts.items() if count)
    often = sorted(kind for kind, count in kinds.most_common(MOST_KINDS) if count >= least)
    made += [_counted(kind) for kind in often]
    made += [_recent(kind) for kind in often]
    made.append(_valued("how they came", "first", "", [row.done.first for row in rows], least))
    made.append(_cut("known for", "age", "", AGES, "days", "no value"))
    return tuple(one for one in made if _differs(one, rows, least))


def column(name: str, values: Sequence[Value], least: int) -> Feature:
    """One attribute as a feature: in ranges when nearly all of it are numbers that differ, else by frequent values.

    Where no value is frequent (company names, phone numbers), what is left says whether there is one.
    """
    known = [value for value in values if is_known(value)]
    numbers = [amount for value in known if (amount := number(value)) is not None]
    if known and len(numbers) >= 0.95 * len(known) and len(set(numbers)) > MOST_VALUES // 2:
        numbers.sort()
        cuts = sorted({numbers[len(numbers) * n // 5] for n in range(1, 5)} - {numbers[0]})
        return _cut(name, "number", name, tuple(cuts), "", "no value")
    return _valued(name, "value", name, values, least)


def _valued(name: str, kind: Literal["value", "first"], of: str, values: Sequence[Value], least: int) -> Feature:
    seen = Counter(as_text(value) for value in values if is_known(value))
    often = tuple(value for value, count in seen.most_common(MOST_VALUES) if count >= least)
    return Feature(name, kind, of, (*often, "another value" if often else "given", "no value"), values=often)


def _counted(kind: str) -> Feature:
    labels = ("never", "once", "2 or 3 times", "4 to 7 times", "8 times or more", "no value")
    return Feature(f"{kind}: how often of late", "count", kind, labels, cuts=COUNTS)


def _recent(kind: str) -> Feature:
    return _cut(f"{kind}: last", "recency", kind, RECENCY, "days ago", "never")


def _cut(
    name: str, kind: Literal["number", "recency", "age"], of: str, cuts: tuple[float, ...], unit: str, none: str
) -> Feature:
    shown = [f"{cut:g}" for cut in cuts]
    between = [f"{low} to below {high}" for low, high in pairwise(shown)]
    ends = [f"below {shown[0]}", *between, f"{shown[-1]} or more"] if shown else ["given"]
    return Feature(name, kind, of, (*(f"{end} {unit}".strip() for end in ends), none), cuts=cuts)


def _differs(feature: Feature, rows: Sequence[Row], least: int) -> bool:
    bins = Counter(bin_of(feature, row.attributes, row.done) for row in rows)
    return len(rows) - max(bins.values(), default=0) >= least
