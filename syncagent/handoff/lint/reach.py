"""Which points a model can give at all, and so which grades and lines anybody can reach.

Sums of the rules' possible points, in hundredths, as bits of one whole number: adding a rule is a few shifts. What is
counted is on the generous side (rules are taken as independent), so what is called out of reach is.
"""

import math
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from syncagent.handoff.earnable import earnable_fit, earnable_interest
from syncagent.policy import FitRule, InterestRule, ScoreModel

_CENT = 100
_TINY = 1e-6


class Sums:
    """A set of sums in hundredths of a point."""

    def __init__(self, bits: int = 1, low: int = 0) -> None:
        self._bits, self._low = bits, low

    def plus(self, outcomes: Collection[int]) -> "Sums":
        """All sums of one of these and one of the outcomes."""
        least = min(outcomes)
        bits = 0
        for one in outcomes:
            bits |= self._bits << (one - least)
        return Sums(bits, self._low + least)

    def all(self) -> list[int]:
        """The sums themselves, rising."""
        text = bin(self._bits)[:1:-1]
        return [self._low + n for n, bit in enumerate(text) if bit == "1"]

    @property
    def most(self) -> float:
        """The largest, in points."""
        return (self._low + self._bits.bit_length() - 1) / _CENT

    @property
    def least(self) -> float:
        """The smallest, in points."""
        return (self._low + (self._bits & -self._bits).bit_length() - 1) / _CENT

    def best_within(self, low: float, high: float) -> float | None:
        """The largest sum from `low` to below `high`, in points; None when there is none."""
        start, end = math.ceil(low * _CENT - _TINY) - self._low, math.ceil(high * _CENT - _TINY) - self._low
        kept = self._bits & ((1 << max(0, end)) - 1)
        found = kept.bit_length() - 1
        return (self._low + found) / _CENT if kept and found >= start else None


class Reach(NamedTuple):
    """What a model can give: `letters` and `numbers` with the most points in each, only those that can be reached."""

    fit: Sums
    interest: Sums
    letters: dict[str, float]
    numbers: dict[str, float]

    @property
    def most(self) -> float:
        return self.fit.most + self.interest.most

    def best(self, grade: str) -> float | None:
        """The most points that somebody with this grade can have; None when nobody can have it."""
        letter, number = self.letters.get(grade[:1]), self.numbers.get(grade[1:])
        return letter + number if letter is not None and number is not None else None

    @property
    def grades(self) -> tuple[str, ...]:
        """All grades that somebody can have."""
        return tuple(letter + number for letter in self.letters for number in self.numbers)


def reach_of(model: ScoreModel, dead: Collection[tuple[str, int, int]] = ()) -> Reach:
    """What the model can give. `dead` choices ("fit" or "interest", rule, choice: from 0) count for nothing."""
    fit = Sums()
    for n, rule in enumerate(model.fit):
        fit = fit.plus(_of_fit(rule, n, dead))
    interest = Sums()
    groups: dict[str, list[set[int]]] = {}
    for n, one in enumerate(model.interest):
        groups.setdefault(one.group, []).append(_of_interest(one, n, dead, model))
    for name, rules in groups.items():
        cap = next((cap.most for cap in model.caps if cap.group == name), None) if name else None
        if cap is None:
            for outcomes in rules:
                interest = interest.plus(outcomes)
        else:
            interest = interest.plus(_capped(rules, cap)).plus(_losses(rules))
    letters = _steps(fit, model.fit, earnable_fit(model.fit), model.letters, "ABCD")
    numbers = _steps(interest, model.interest, earnable_interest(model), model.numbers, "1234")
    return Reach(fit, interest, letters, numbers)


def _of_fit(rule: FitRule, n: int, dead: Collection[tuple[str, int, int]]) -> set[int]:
    points = [one.priority for index, one in enumerate(rule.choices) if ("fit", n, index) not in dead]
    return {0, *(round(rule.weight * priority * _CENT / 10) for priority in points)}


def _of_interest(rule: InterestRule, n: int, dead: Collection[tuple[str, int, int]], model: ScoreModel) -> set[int]:
    most = round(min(rule.weight, rule.cap if rule.cap is not None else rule.weight) * _CENT)
    by_day = rule.cap_per_day is not None or any(one.group == rule.group and one.per_day for one in model.caps)
    found = {0}
    for index, choice in enumerate(rule.choices):
        if ("interest", n, index) in dead:
            continue
        each = round(rule.weight * choice.priority * _CENT / 10)
        if each < 0:
            least = -round(rule.weight * _CENT)
            found.update(max(least, times * each) for times in _times(each, -least, one_by_one=choice.each))
        elif each > 0:
            found.update(min(most, times * each) for times in _times(each, most, one_by_one=choice.each))
            if rule.decay is not None or by_day:
                found.update(range(0, min(most, most if choice.each else each) + 1, _CENT // 10))
    return found


def _times(each: int, most: int, *, one_by_one: bool) -> range:
    return range(1, 2 + (most // abs(each) if one_by_one else 0))


def _capped(rules: Sequence[set[int]], cap: float) -> set[int]:
    """What the rules of a group give together."""
    most = round(cap * _CENT)
    sums = Sums()
    for outcomes in rules:
        sums = sums.plus({max(0, one) for one in outcomes})
    return {min(most, one) for one in sums.all()}


def _losses(rules: Sequence[set[int]]) -> list[int]:
    """What they take away: no cap holds that down."""
    sums = Sums()
    for outcomes in rules:
        sums = sums.plus({min(0, one) for one in outcomes})
    return sums.all()


def _steps(
    sums: Sums, rules: Sequence[FitRule | InterestRule], possible: float, shares: Iterable[float], names: str
) -> dict[str, float]:
    """For each step that can be reached the most points in it."""
    if possible <= 0:
        return {names[-1]: 0.0}
    given = [rule.weight * choice.priority * _CENT / 10 for rule in rules for choice in rule.choices]
    off = 0.0 if all(abs(one - round(one)) < _TINY for one in given) else len(rules) / (2 * _CENT)
    edges = [sums.most + 1, *(share * possible for share in shares), sums.least - 1]
    found: dict[str, float] = {}
    for name, above, low in zip(names, edges, edges[1:], strict=False):
        best = sums.best_within(low - off, above + off)
        if best is not None:
            found[name] = best
    return found
