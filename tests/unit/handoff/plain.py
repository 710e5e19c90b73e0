"""Scoring written down as plainly as it can be, and as slowly: every rule looks at every activity, nothing is kept.

`docs/scoring.md` in Python. What the agent does with tables, windows and memories must come to the same, to the last
point; see `test_plain.py`.
"""

import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import NamedTuple
from zoneinfo import ZoneInfo

from syncagent.model import Activity, Value
from syncagent.policy import (
    Condition,
    Decay,
    Duration,
    FitRule,
    Globs,
    GroupCap,
    InterestRule,
    Policy,
    Robots,
    ScoreModel,
)


class Given(NamedTuple):
    """What a rule gives, and what decay and caps took."""

    rule: str
    points: float
    evidence: tuple[str, ...] = ()
    lost: float = 0.0


class Plain(NamedTuple):
    fit: float
    interest: float
    grade: str
    given: tuple[Given, ...]
    latest: datetime | None
    raiser: tuple[datetime, str] | None


def plain(activities: Sequence[Activity], attributes: Mapping[str, Value], policy: Policy, now: datetime) -> Plain:
    """The score by the policy's one model, with what it rests on."""
    model, zone = policy.scoring, ZoneInfo(policy.timezone)
    given = [Given(one.name, points) for one in model.fit if (points := _fit(one, attributes, now, zone))]
    fit = 0.0
    for each in given:
        fit += each.points
    done = _done(activities, model, now)
    interest, latest, taken = 0.0, None, _Taken()
    for rule in model.interest:
        found = _interest(rule, [one for one in done if _counts(rule, one)], model, now, zone, taken)
        if found is None:
            continue
        worth, newest = found
        given.append(worth)
        interest += worth.points
        if worth.points > 0 and newest is not None:
            latest = newest if latest is None else max(latest, newest)
    asking = [
        one
        for one in done
        if any(_fits(raiser.activity, one.kind) and _fits(raiser.asset, one.asset) for raiser in policy.always)
    ]
    raiser = max([(one.at, one.key) for one in asking], default=None)
    letter = _step(fit, sum(one.weight for one in model.fit), model.letters, "ABCD")
    number = _step(interest, sum(one.weight for one in model.interest), model.numbers, "1234")
    return Plain(fit, interest, letter + number, tuple(given), latest, raiser)


def _step(points: float, possible: float, shares: tuple[float, float, float], names: str) -> str:
    share = points / possible if possible > 0 else 0.0
    return next((name for name, least in zip(names, shares, strict=False) if share >= least), names[-1])


# -- who they are


def _fit(rule: FitRule, attributes: Mapping[str, Value], now: datetime, zone: ZoneInfo) -> float:
    value = attributes.get(rule.attribute)
    for choice in rule.choices:
        if _holds(choice.condition, value) and _is_of_age(choice.condition, value, now, zone):
            return rule.weight * choice.priority / 10
    return 0.0


def _holds(condition: Condition, value: Value) -> bool:
    known = value is not None and value != ""
    if condition.present is not None and known is not condition.present:
        return False
    if condition.values and _folded(value) not in [_folded(one) for one in condition.values]:
        return False
    if condition.globs and not (known and _fits(condition.globs, str(value).strip())):
        return False
    if condition.matches and (value is None or not re.search(condition.matches, str(value), re.IGNORECASE)):
        return False
    if condition.minimum is None and condition.maximum is None:
        return True
    amount = _number(value)
    low = -math.inf if condition.minimum is None else condition.minimum
    high = math.inf if condition.maximum is None else condition.maximum
    return amount is not None and low <= amount <= high


def _is_of_age(condition: Condition, value: Value, now: datetime, zone: ZoneInfo) -> bool:
    if condition.newer is None and condition.older is None:
        return True
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        return False
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)
    if condition.newer is not None and moment < _ago(condition.newer, now, zone):
        return False
    return condition.older is None or moment < _ago(condition.older, now, zone)


def _folded(value: Value) -> Value:
    if isinstance(value, str):
        return value.strip().casefold()
    return value if value is None or isinstance(value, bool) else float(value)


def _number(value: Value) -> float | None:
    if value is None or isinstance(value, bool):
        return None
    try:
        return float(value.replace(",", "").strip()) if isinstance(value, str) else float(value)
    except ValueError:
        return None


def _ago(window: Duration, now: datetime, zone: ZoneInfo) -> datetime:
    if not window.days:
        return now - timedelta(minutes=window.minutes)
    return (now.astimezone(zone) - timedelta(days=window.days)).astimezone(UTC)


def _fits(globs: Globs, text: str) -> bool:
    among = (globs,) if isinstance(globs, str) else globs
    return any(not one or fnmatchcase(text.casefold(), one.casefold()) for one in among)


# -- what they do


def _done(activities: Sequence[Activity], model: ScoreModel, now: datetime) -> list[Activity]:
    """What was done until ten minutes from now by people, each once, oldest first."""
    once = {(one.identity.system, one.key): one for one in activities}
    robots = _robots(list(once.values()), model.robots) if model.exclude_bots else set()
    people = [one for name, one in once.items() if name not in robots and one.at <= now + timedelta(minutes=10)]
    return sorted(people, key=lambda one: (one.at, one.key))


def _robots(done: list[Activity], tests: Robots) -> set[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    for one in done:
        name = (one.identity.system, one.key)
        if tests.admit and _fits(tests.admit, one.asset):
            continue
        if tests.marked and one.attributes.get("Is Bot Activity"):
            found.add(name)
        if not _fits(tests.clicked, one.kind):
            continue
        of_mail = [each for each in done if (each.identity.system, each.asset) == (one.identity.system, one.asset)]
        for each in of_mail:
            wait = (one.at - each.at).total_seconds()
            if _fits(tests.delivered, each.kind) and tests.after_delivery and 0 <= wait <= tests.after_delivery:
                found.add(name)
        clicks = [each for each in of_mail if _fits(tests.clicked, each.kind)]
        burst = [each for each in clicks if 0 <= (one.at - each.at).total_seconds() <= 1]
        links = {each.attributes.get("Link") or each.key for each in burst}
        if tests.links > 1 and len(links) >= tests.links:
            found |= {(each.identity.system, each.key) for each in burst}
    return found


def _counts(rule: InterestRule, one: Activity) -> bool:
    return (
        _fits(rule.activity, one.kind)
        and _fits(rule.asset, one.asset)
        and not (rule.not_asset and _fits(rule.not_asset, one.asset))
        and _fits(rule.source, one.identity.system)
        and _fits(rule.campaign, str(one.attributes.get("campaign") or ""))
        and all(_holds(condition, one.attributes.get(name)) for name, condition in rule.where.items())
    )


class _Taken:
    """What the rules of a group have been given, in all and by day."""

    def __init__(self) -> None:
        self.of_group: dict[str, float] = {}
        self.of_day: dict[tuple[str, int], float] = {}


def _interest(
    rule: InterestRule, found: list[Activity], model: ScoreModel, now: datetime, zone: ZoneInfo, taken: _Taken
) -> tuple[Given, datetime | None] | None:
    """What the rule gives, and the newest activity that it rests on."""
    for choice in rule.choices:
        window = choice.idle or choice.within
        counted = [one for one in found if window is None or one.at >= _ago(window, now, zone)]
        if choice.idle is not None:
            holds, counted = bool(found) and not counted, found[-1:]
        elif choice.exactly is not None:
            holds = len(counted) == choice.exactly
        else:
            holds = len(counted) >= choice.at_least
        if holds:
            points = rule.weight * choice.priority / 10
            keys = tuple(one.key for one in counted)
            resting = [one.at for one in (counted if choice.each else counted[-1:])]
            if not points:
                return None
            if points < 0:
                left, lost = max(points * max(1, len(resting)), -rule.weight), 0.0
            else:
                left, lost = _faded(rule, points, resting, model, now, zone, taken)
            return (Given(rule.name, left, keys, lost), max(resting, default=None)) if left or lost else None
    return None


def _faded(
    rule: InterestRule,
    points: float,
    resting: list[datetime],
    model: ScoreModel,
    now: datetime,
    zone: ZoneInfo,
    taken: _Taken,
) -> tuple[float, float]:
    """What is left of a rule's good points, and what is lost to its age and to caps."""
    most = rule.weight if rule.cap is None else min(rule.weight, rule.cap)
    group: GroupCap | None = next((one for one in model.caps if rule.group and one.group == rule.group), None)
    today = now.astimezone(zone).toordinal()
    days = [min(today, at.astimezone(zone).toordinal()) for at in resting] or [today]
    earned = {day: math.fsum([points] * days.count(day)) for day in days}
    given = math.fsum(earned.values())
    for day in sorted(earned):
        if rule.cap_per_day is not None:
            earned[day] = min(earned[day], rule.cap_per_day)
        if group is not None and group.per_day is not None:
            before = taken.of_day.get((group.group, day), 0.0)
            earned[day] = min(earned[day], max(0.0, group.per_day - before))
            taken.of_day[group.group, day] = before + earned[day]
    if resting:
        left = math.fsum(each * _share(rule.decay, today - day) for day, each in earned.items())
        faded = math.fsum(earned.values()) - left
        left = min(left, most)
        if rule.decay is not None:
            left = round(left, 1)
    else:
        left, faded = min(points, most), 0.0
    if group is not None and group.most is not None:
        before = taken.of_group.get(group.group, 0.0)
        left = min(left, max(0.0, group.most - before))
        taken.of_group[group.group] = before + left
    return left, round(faded + max(0.0, given - faded - left), 2)


def _share(decay: Decay | None, age: int) -> float:
    if decay is None:
        return 1.0
    if decay.half_life > 0:
        return float(0.5 ** (age / decay.half_life))
    return next((share for days, share in sorted(decay.steps, reverse=True) if age >= days), 1.0)
