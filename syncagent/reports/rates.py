"""How sure a rate is: intervals that hold for few cases too, and the difference of two rates.

Sources: Wilson, Probable inference (1927); Newcombe, Interval estimation for the difference between independent
proportions (1998), method 10.
"""

from math import sqrt
from typing import NamedTuple

_Z = 1.959964  # 95 %


class Rate(NamedTuple):
    """So many of so many."""

    won: int
    of: int

    @property
    def share(self) -> float | None:
        """None: unknown, as there are none."""
        return self.won / self.of if self.of else None

    def without(self, part: "Rate") -> "Rate":
        """All but these."""
        return Rate(self.won - part.won, self.of - part.of)


def likely(rate: Rate) -> tuple[float, float] | None:
    """Between what the true rate is, 19 times of 20; None: nothing is known of it."""
    if not rate.of:
        return None
    share, square = rate.won / rate.of, _Z * _Z
    middle = (share + square / (2 * rate.of)) / (1 + square / rate.of)
    half = _Z * sqrt(share * (1 - share) / rate.of + square / (4 * rate.of * rate.of)) / (1 + square / rate.of)
    return max(0.0, middle - half), min(1.0, middle + half)


def gap(rate: Rate, other: Rate) -> tuple[float, float] | None:
    """Between what the true difference `rate` - `other` is, 19 times of 20; None: nothing is known of one of them."""
    mine, theirs = likely(rate), likely(other)
    if mine is None or theirs is None:
        return None
    one, two = rate.won / rate.of, other.won / other.of
    low = one - two - sqrt((one - mine[0]) ** 2 + (theirs[1] - two) ** 2)
    high = one - two + sqrt((mine[1] - one) ** 2 + (two - theirs[0]) ** 2)
    return low, high


def lift(rate: Rate, whole: Rate) -> float | None:
    """How many times as often they win as all do; None: unknown."""
    if rate.share is None or not whole.share:
        return None
    return rate.share / whole.share
