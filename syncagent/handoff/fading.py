"""Points that fade with age and are held down by caps.

Ages are whole days of the policy's zone, so points fade at midnight there; what is left of a rule is rounded to a
tenth of a point. Both keep the moments at which a score changes by itself few, and known beforehand.
"""

import math
from datetime import date, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from msgspec import Struct

from syncagent.handoff.calendar import start_of_day, zone_of
from syncagent.policy import Decay, GroupCap, InterestRule, ScoreModel

_DIGITS = 1
_NOTHING = 0.05  # less is rounded to no points


class Fader:
    """One rule's decay and caps, ready to run."""

    def __init__(self, rule: InterestRule, model: ScoreModel, zone: str) -> None:
        self._decay, self._weight = rule.decay, rule.weight
        self._most = min(rule.weight, rule.cap) if rule.cap is not None else rule.weight
        self._per_day = rule.cap_per_day
        self._group = next((cap for cap in model.caps if cap.group == rule.group), None) if rule.group else None
        self._zone, self._tz = zone, zone_of(zone)

    def hold(self, points: float, moments: list[datetime], now: datetime, room: "Room") -> "Held":
        """What is left of `points` for each of the moments; for none of them, points that rest on nothing and stay.

        `room` is what the groups still take; it gets less.
        """
        if points <= 0:
            return Held(max(points * max(1, len(moments)), -self._weight), 0.0, 0.0, None)
        today = _day(now, self._tz)
        earned: dict[int, float] = {} if moments else {today: points}
        for moment in moments:
            day = min(today, _day(moment, self._tz))
            earned[day] = earned.get(day, 0.0) + points
        given = math.fsum(earned.values())
        if self._per_day is not None:
            earned = {day: min(each, self._per_day) for day, each in earned.items()}
        group = self._group
        if group is not None and group.per_day is not None:
            earned = {day: room.take_day(group, day, each) for day, each in sorted(earned.items())}
        left = math.fsum(each * _share(self._decay, today - day) for day, each in earned.items())
        faded = math.fsum(earned.values()) - left
        if moments:
            left, changes_at = self._rounded(left, earned, today)
        else:
            left, faded, changes_at = min(points, self._most), 0.0, None
        if group is not None and group.most is not None:
            left = room.take(group, left)
        return Held(left, faded, max(0.0, given - faded - left), changes_at)

    def _rounded(self, left: float, earned: dict[int, float], today: int) -> tuple[float, datetime | None]:
        """To a tenth of a point and below the cap; and the midnight at which it may be another one."""
        decay = self._decay
        if decay is None:
            return min(left, self._most), None
        worth = round(min(left, self._most), _DIGITS)
        if worth <= 0:
            return 0.0, None
        if decay.half_life > 0:
            days = self._days_until_less(left, worth, decay.half_life)
        else:
            ahead = [age - (today - day) for day in earned for age, _ in decay.steps if age > today - day]
            if not ahead:
                return worth, None
            days = min(ahead)
        return worth, _midnight(today + days, self._zone)

    def _days_until_less(self, left: float, worth: float, half_life: float) -> int:
        """All ages grow by a day at midnight: the sum falls by one factor, so the day can be worked out."""
        days = max(1, math.floor(half_life * math.log2(left / (worth - _NOTHING))))
        while round(min(left * 0.5 ** (days / half_life), self._most), _DIGITS) >= worth:
            days += 1
        return days


class Held(Struct, frozen=True):
    """Points of a rule after decay and caps; what both took; when that may change."""

    points: float
    faded: float
    capped: float
    changes_at: datetime | None


class Room:
    """What the groups still take while one person is scored, rule by rule in the order of the policy."""

    def __init__(self) -> None:
        self._taken: dict[str, float] = {}
        self._on_day: dict[tuple[str, int], float] = {}

    def take(self, group: GroupCap, points: float) -> float:
        """As many of the points as the group has room for."""
        taken = self._taken.get(group.group, 0.0)
        given = min(points, max(0.0, (group.most or 0.0) - taken))
        self._taken[group.group] = taken + given
        return given

    def take_day(self, group: GroupCap, day: int, points: float) -> float:
        """As many of the points as the group has room for on this day."""
        taken = self._on_day.get((group.group, day), 0.0)
        given = min(points, max(0.0, (group.per_day or 0.0) - taken))
        self._on_day[group.group, day] = taken + given
        return given


def _share(decay: Decay | None, age: int) -> float:
    """What is left of a point after so many days."""
    if decay is None:
        return 1.0
    if decay.half_life > 0:
        return float(0.5 ** (age / decay.half_life))
    return next((share for days, share in reversed(decay.steps) if age >= days), 1.0)


def _day(moment: datetime, zone: ZoneInfo) -> int:
    return moment.astimezone(zone).toordinal()


@lru_cache(maxsize=1024)
def _midnight(day: int, zone: str) -> datetime:
    return start_of_day(date.fromordinal(day), zone)
