"""What they do: which activities each rule counts, and what they give.

Globs are matched once for each (kind, asset) that a policy has met; counting a person's activities is then a few
dictionary look-ups each. Rules that fade, or are capped, take a slower road that the others never see.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from operator import attrgetter
from typing import NamedTuple

from syncagent.handoff.calendar import before
from syncagent.handoff.conditions import as_glob, fits_of
from syncagent.handoff.earnable import earnable_interest
from syncagent.handoff.fading import Fader, Room
from syncagent.handoff.fit import earliest, length_of, next_hour
from syncagent.handoff.robots import Name, RobotTests
from syncagent.model import BOT, Activity, Contribution
from syncagent.policy import Duration, Globs, HandRaiser, InterestChoice, InterestRule, ScoreModel

AHEAD = timedelta(minutes=10)  # so far a source's clock may run ahead of ours; what is later has not happened yet
_TABLE_LIMIT = 20_000  # assets are page addresses too: the table starts anew instead of growing for ever
_CAMPAIGN = "campaign"

_Guard = Callable[[Activity], bool]


class _Meaning(NamedTuple):
    """What a (kind, asset) means: the rules it counts for, those it may count for, whether it asks for sales."""

    rules: tuple[int, ...]
    guarded: tuple[tuple[int, _Guard], ...]
    raises: bool


_UNMET = _Meaning((), (), raises=False)


class _Rule(NamedTuple):
    name: str
    label: str
    choices: tuple[tuple[InterestChoice, float, Duration | None], ...]  # choice, points, window
    counts_none: bool
    fader: Fader | None


Sorted = tuple[dict[int, list[Activity]], Activity | None, datetime | None]
"""Activities by rule; the newest that asks for sales by itself; when one that is dated ahead will count."""

Weighed = tuple[float, datetime | None, datetime | None]
"""Points, the newest activity that gave some, and when they change by themselves."""


class InterestRules:
    """The interest rules of a model, ready to run."""

    def __init__(self, model: ScoreModel, raisers: Sequence[HandRaiser], zone: str) -> None:
        self._zone = zone
        self.rules = tuple(_compile(rule, model, zone) for rule in model.interest)
        self.possible = earnable_interest(model)
        self._globs = tuple(_place_of(rule) for rule in model.interest)
        self._guards = tuple(_guard_of(rule) for rule in model.interest)
        self._raisers = tuple((as_glob(one.activity), _any_or(one.asset)) for one in raisers)
        self.robots = RobotTests(model)
        self._marked = self.robots.marked
        self._table: dict[tuple[str, str], _Meaning | None] = {}
        self._always_look = tuple(index for index, rule in enumerate(self.rules) if rule.counts_none)
        windows = {window for rule in self.rules for _, _, window in rule.choices if window is not None}
        self._lasts = {window: length_of(window) for window in windows}
        self._cutoffs: tuple[datetime | None, dict[Duration, datetime]] = (None, {})

    def sort_out(self, activities: Iterable[Activity], until: datetime, robots: Iterable[Name] = ()) -> Sorted:
        """Which rule each activity counts for; one told twice is one, and a robot's is none."""
        coming: datetime | None = None
        hits: dict[int, list[Activity]] = {}
        raiser: Activity | None = None
        seen: set[Name] = set(robots)
        table, marked = self._table, self._marked
        for activity in activities:
            place = (activity.kind, activity.asset)
            meaning = table.get(place, _UNMET)
            if meaning is _UNMET:
                meaning = self._learn(place)
            if meaning is None:
                continue
            if activity.at > until:
                coming = earliest(coming, activity.at)
                continue
            name = (activity.identity.system, activity.key)
            if name in seen:
                continue
            seen.add(name)
            if marked:
                mark = activity.attributes.get(BOT)
                if mark is not None and self.robots.says_so(activity):
                    continue
            rules, guarded, raises = meaning
            if guarded:
                rules += tuple(index for index, guard in guarded if guard(activity))
            for index in rules:
                if index in hits:
                    hits[index].append(activity)
                else:
                    hits[index] = [activity]
            if raises and (raiser is None or (activity.at, activity.key) > (raiser.at, raiser.key)):
                raiser = activity
        return hits, raiser, coming - AHEAD if coming is not None else None

    def weigh(self, hits: Mapping[int, list[Activity]], now: datetime, into: list[Contribution]) -> Weighed:
        """What the activities give; rules that give nothing are left out."""
        points, latest, changes_at = 0.0, None, None
        if not hits and not self._always_look:
            return points, latest, changes_at
        leaving: dict[Duration, datetime] = {}
        cutoffs, room = self._cutoffs_at(now), Room()
        for index in sorted({*hits, *self._always_look}):
            rule, found = self.rules[index], hits.get(index, [])
            if len(found) > 1:
                found = sorted(found, key=_in_time)
            held = _first_that_holds(rule, found, cutoffs, leaving)
            if held is None:
                continue
            worth, why, counted, _ = held
            if rule.fader is None:
                told = Contribution(rule.name, worth, why, tuple([one.key for one in counted]))
            else:
                told, end = _fade(rule, held, now, room)
                worth = told.points
                if not worth and not told.lost:
                    continue
                changes_at = earliest(changes_at, end)
            into.append(told)
            points += worth
            if worth > 0 and counted and (latest is None or counted[-1].at > latest):
                latest = counted[-1].at
        if leaving:
            end = next_hour(max(now, min(at + self._lasts[window] for window, at in leaving.items())))
            changes_at = earliest(changes_at, end)
        return points, latest, changes_at

    def _learn(self, place: tuple[str, str]) -> _Meaning | None:
        kind, asset = place
        fitting = [index for index, (one, other) in enumerate(self._globs) if one(kind) and other(asset)]
        guards = [(index, self._guards[index]) for index in fitting]
        meaning: _Meaning | None = _Meaning(
            tuple(index for index, guard in guards if guard is None),
            tuple((index, guard) for index, guard in guards if guard is not None),
            raises=any(one(kind) and other(asset) for one, other in self._raisers),
        )
        if not fitting and meaning is not None and not meaning.raises:
            meaning = None
        if len(self._table) >= _TABLE_LIMIT:
            self._table.clear()
        self._table[place] = meaning
        return meaning

    def _cutoffs_at(self, now: datetime) -> dict[Duration, datetime]:
        at, cutoffs = self._cutoffs
        if at != now:
            cutoffs = {window: before(now, window, self._zone) for window in self._lasts}
            self._cutoffs = (now, cutoffs)
        return cutoffs


def _compile(rule: InterestRule, model: ScoreModel, zone: str) -> _Rule:
    choices = tuple((one, rule.weight * one.priority / 10, one.idle or one.within) for one in rule.choices)
    none = any(
        not one.each and one.idle is None and (one.exactly == 0 or (one.exactly is None and one.at_least <= 0))
        for one in rule.choices
    )
    slow = rule.decay is not None or rule.group or rule.cap is not None or any(one.each for one in rule.choices)
    return _Rule(rule.name, words_of(rule), choices, none, Fader(rule, model, zone) if slow else None)


def _place_of(rule: InterestRule) -> tuple[Callable[[str], bool], Callable[[str], bool]]:
    asset = _any_or(rule.asset)
    if not rule.not_asset:
        return as_glob(rule.activity), asset
    unwanted = as_glob(rule.not_asset)
    return as_glob(rule.activity), lambda text: asset(text) and not unwanted(text)


def _guard_of(rule: InterestRule) -> _Guard | None:
    """What a rule asks of an activity besides its kind and asset; None when it asks nothing."""
    tests: list[_Guard] = []
    if rule.source:
        source = as_glob(rule.source)
        tests.append(lambda one: source(one.identity.system))
    if rule.campaign:
        campaign = as_glob(rule.campaign)
        tests.append(lambda one: campaign(str(one.attributes.get(_CAMPAIGN) or "")))
    if rule.where:
        fits = fits_of(rule.where)
        tests.append(lambda one: fits(one.attributes))
    if len(tests) == 1:
        return tests[0]
    return (lambda one: all(test(one) for test in tests)) if tests else None


def _any_or(globs: Globs) -> Callable[[str], bool]:
    return as_glob(globs) if globs else lambda _text: True


def words_of(rule: InterestRule) -> str:
    """What a rule counts, in a sentence: "page.visited (*pricing*)"."""
    kind, asset = (one if isinstance(one, str) else ", ".join(one) for one in (rule.activity, rule.asset))
    return f"{kind} ({asset})" if asset else kind


_Holds = tuple[float, str, list[Activity], bool]
"""The choice that holds: its points, why, the activities it rests on, and whether each of them gives the points."""


def _first_that_holds(
    rule: _Rule, found: list[Activity], cutoffs: dict[Duration, datetime], leaving: dict[Duration, datetime]
) -> _Holds | None:
    """The first choice that holds, unless it gives nothing.

    `leaving` learns, for each window, of the earliest activity whose end there makes another choice hold.
    """
    for choice, points, window in rule.choices:
        counted = found if window is None else [one for one in found if one.at >= cutoffs[window]]
        many = len(counted)
        if choice.idle is not None:
            holds, kept = bool(found) and not many, 1
        else:
            holds = many == choice.exactly if choice.exactly is not None else many >= choice.at_least
            kept = many if choice.each else _kept(choice, many, holds=holds)
        if window is not None and 0 < kept <= many:
            end = counted[-kept].at
            leaving[window] = min(end, leaving.get(window, end))
        if not holds:
            continue
        if not points:
            return None
        if choice.idle is not None:
            return points, f"no {rule.label} for {_length(choice.idle)}", found[-1:], False
        span = f" within {_length(window)}" if window is not None else ""
        return points, f"{many} x {rule.label}{span}", counted, choice.each
    return None


def _kept(choice: InterestChoice, many: int, *, holds: bool) -> int:
    """How many must stay in a window that only empties for this choice to go on as it is; 0 when it does whatever."""
    if choice.exactly is not None:
        return 0 if many < choice.exactly else choice.exactly + (not holds)
    return choice.at_least if holds else 0


def _fade(rule: _Rule, holds: _Holds, now: datetime, room: Room) -> tuple[Contribution, datetime | None]:
    assert rule.fader is not None  # noqa: S101 - only such rules come here
    points, why, counted, each = holds
    moments = [one.at for one in (counted if each else counted[-1:])]
    held = rule.fader.hold(points, moments, now, room)
    if each:
        why += f", {points:+g} each"
    why += "".join(
        f"; {lost:.1f} {how}" for lost, how in ((held.faded, "faded"), (held.capped, "above the cap")) if lost > _TRACE
    )
    evidence = tuple(one.key for one in counted)
    return Contribution(rule.name, held.points, why, evidence, round(held.faded + held.capped, 2)), held.changes_at


_TRACE = 0.05  # rounding takes no more
_in_time = attrgetter("at", "key")


def _length(window: Duration) -> str:
    return f"{window.days} days" if window.days else f"{window.minutes} minutes"
