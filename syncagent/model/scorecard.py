"""The scorecard: a trained model as plain figures, so that who uses it needs no library and can account for all of it.

Weights are log-odds against the average person: 0.7 doubles the odds, -0.7 halves them.
"""

from datetime import datetime
from typing import Literal

from msgspec import Struct


class Feature(Struct, frozen=True):
    """One thing that the model looks at, cut into bins; exactly one bin fits, and its weight counts.

    `kind` says what is read: "value" and "number" of the attribute `of`; "count" of activities of the kind `of` within
    the scorecard's window; "recency", days since the last one; "first", how they came: kind and asset of their first
    activity; "age", days since they were first known.
    Bins of "value" and "first": each of `values`, then other, then unknown. Of all others: below each of `cuts`, from
    the last one on, then unknown (recency: never).
    """

    name: str
    kind: Literal["value", "number", "count", "recency", "first", "age"]
    of: str
    labels: tuple[str, ...]
    weights: tuple[float, ...] = ()
    values: tuple[str, ...] = ()
    cuts: tuple[float, ...] = ()


class Scorecard(Struct, frozen=True):
    """A model that answers: how likely is a win within `horizon_days`? `intercept` is the average person's log-odds.

    `letters`: from how many percent on the likelihood is an A, a B, a C, else D; empty where the config asks for none.
    """

    intercept: float
    features: tuple[Feature, ...]
    trained_at: datetime
    horizon_days: int
    window_days: int = 90
    letters: tuple[float, ...] = ()


class Influence(Struct, frozen=True):
    """What one feature does to the log-odds of a win, and why."""

    feature: str
    weight: float
    why: str


class Likelihood(Struct, frozen=True):
    """How likely a win is, in percent; `logit` = `base` + the weights of all influences, to the last bit."""

    percent: float
    logit: float
    base: float
    influences: tuple[Influence, ...] = ()
