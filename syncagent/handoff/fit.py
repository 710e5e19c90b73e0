"""Who they are: of each attribute's choices the first that holds counts; a date's age may be asked for.

A policy's rules are compiled once. What a rule that asks for no age says of a value is remembered: people share their
titles and countries, so each costs a dictionary look-up.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple

from msgspec import Struct

from syncagent.handoff.calendar import before, start_of_day, zone_of
from syncagent.handoff.conditions import Test, as_test, is_known
from syncagent.handoff.earnable import earnable_fit
from syncagent.model import Contribution, Value
from syncagent.policy import Condition, Duration, FitRule


class _Age(NamedTuple):
    newer: Duration | None
    older: Duration | None


class CompiledFit(Struct, frozen=True):
    """One rule, ready to run; `ages` has an entry for each choice, or is empty when none asks for an age."""

    name: str
    attribute: str
    choices: tuple[tuple[Test, float], ...]
    ages: tuple[_Age | None, ...]
    remembered: dict[str | int | None, Contribution | None]

    def says(self, value: Value) -> Contribution | None:
        """What the value gives, whatever its age; None: nothing."""
        points = next((points for test, points in self.choices if test(value)), 0.0)
        return self.told(value, points) if points else None

    def told(self, value: Value, points: float) -> Contribution:
        return Contribution(self.name, points, f"{self.attribute} is {shown(value)}")

    def learn(self, value: str | int | None) -> Contribution | None:
        """As `says`, and remember it."""
        found = self.says(value)
        if not isinstance(value, str) or len(value) <= _SHORT:
            if len(self.remembered) >= _REMEMBERED:
                self.remembered.clear()
            self.remembered[value] = found
        return found


_REMEMBERED = 2_000  # values of a rule: then it starts anew instead of growing for ever
_SHORT = 100  # characters: longer texts are nobody else's
_UNMET = Contribution("", 0.0, "")


class FitRules:
    """The fit rules of a model."""

    def __init__(self, rules: Sequence[FitRule], zone: str) -> None:
        self._zone = zone
        self.rules = tuple(_compile(rule) for rule in rules)
        self.possible = earnable_fit(rules)

    def weigh(
        self, attributes: Mapping[str, Value], now: datetime, into: list[Contribution]
    ) -> tuple[float, datetime | None]:
        """The points, and when they change by themselves; what gives points is added to `into`."""
        total, changes_at = 0.0, None
        for rule in self.rules:
            value = attributes.get(rule.attribute)
            told: Contribution | None
            if rule.ages:
                points, end = self._by_age(rule, value, now)
                changes_at = earliest(changes_at, end)
                told = rule.told(value, points) if points else None
            elif type(value) is str or type(value) is int or value is None:
                # As keys 1, 1.0 and True would be one, and so no other numbers are remembered.
                told = rule.remembered.get(value, _UNMET)
                if told is _UNMET:
                    told = rule.learn(value)
            else:
                told = rule.says(value)
            if told is not None:
                total += told.points
                into.append(told)
        return total, changes_at

    def _by_age(self, rule: CompiledFit, value: Value, now: datetime) -> tuple[float, datetime | None]:
        moment, changes_at = moment_in(value, self._zone), None
        for (test, points), age in zip(rule.choices, rule.ages, strict=True):
            held = test(value)
            if age is not None:
                for length in age:
                    if length is not None and moment is not None and moment >= before(now, length, self._zone):
                        changes_at = earliest(changes_at, next_hour(max(now, moment + length_of(length))))
                held = held and moment is not None and _is_of_age(moment, age, now, self._zone)
            if held:
                return points, changes_at
        return 0.0, changes_at


def _compile(rule: FitRule) -> CompiledFit:
    choices = tuple((as_test(one.condition), rule.weight * one.priority / 10) for one in rule.choices)
    ages = tuple(_age(one.condition) for one in rule.choices)
    return CompiledFit(rule.name, rule.attribute, choices, ages if any(ages) else (), {})


def _age(condition: Condition) -> _Age | None:
    if condition.newer is None and condition.older is None:
        return None
    return _Age(condition.newer, condition.older)


def _is_of_age(moment: datetime, age: _Age, now: datetime, zone: str) -> bool:
    if age.newer is not None and moment < before(now, age.newer, zone):
        return False
    return age.older is None or moment < before(now, age.older, zone)


def moment_in(value: Value, zone: str) -> datetime | None:
    """A date or moment as ISO 8601 text; without an offset it is meant in the zone. None when it is neither."""
    if not isinstance(value, str) or not value:
        return None
    text = value.strip()
    try:
        if len(text) == len("2026-01-31"):
            return start_of_day(date.fromisoformat(text), zone)
        moment = datetime.fromisoformat(text)
        return moment if moment.tzinfo is not None else moment.replace(tzinfo=zone_of(zone))
    except (ValueError, OverflowError):
        return None


def length_of(window: Duration) -> timedelta:
    """How long a window is at most: one of days may be an hour longer, for clocks may be changed in between."""
    return timedelta(days=window.days, minutes=window.minutes, hours=window.days > 0)


_HOUR = timedelta(hours=1)


def next_hour(moment: datetime) -> datetime:
    """The next full hour: a busy hour of somebody's is one wake-up."""
    return moment.replace(minute=0, second=0, microsecond=0) + _HOUR


def earliest(one: datetime | None, other: datetime | None) -> datetime | None:
    """The earlier of two moments that may not come."""
    if one is None or other is None:
        return one if other is None else other
    return min(one, other)


def shown(value: Value) -> str:
    """A value in a sentence."""
    return str(value) if is_known(value) else "unknown"
