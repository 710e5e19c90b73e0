"""What they do: which activities each rule counts, and what they give.

Globs are matched once for each kind and asset that a policy has met; counting a person's activities is then a few
dictionary look-ups each. Rules that fade, or are capped, take a slower road that the others never see.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from operator import attrgetter

from msgspec import Struct

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

_Fits = Callable[[str], bool]
_Guard = Callable[[Activity], bool]


class _Meaning(Struct, frozen=True):
    """What a (kind, asset) means: the rules it counts for, those it may count for, whether it asks for sales."""

    rules: tuple[int, ...]
    guarded: tuple[tuple[int, _Guard], ...]
    raises: bool

    def rules_of(self, activity: Activity) -> tuple[int, ...]:
        """The rules that such an activity counts for."""
        return self.rules + tuple([index for index, guard in self.guarded if guard(activity)])


class _Place(Struct, frozen=True):
    """Where a rule looks, or a hand-raiser: its kinds and assets; `rule` None: it asks for sales."""

    kind: _Fits
    asset: _Fits
    rule: int | None = None
    guard: _Guard | None = None


class _Assets(dict[str, _Meaning | None]):
    """What each asset of one kind means; None: nothing. Globs are matched when it is first met."""

    def __init__(self, places: Sequence[_Place]) -> None:
        super().__init__()
        self._places = places

    def __missing__(self, asset: str) -> _Meaning | None:
        places = [one for one in self._places if one.asset(asset)]
        meaning = _Meaning(
            tuple(one.rule for one in places if one.rule is not None and one.guard is None),
            tuple((one.rule, one.guard) for one in places if one.rule is not None and one.guard is not None),
            raises=any(one.rule is None for one in places),
        )
        if len(self) >= _TABLE_LIMIT:
            self.clear()
        self[asset] = meaning if places else None
        return self[asset]


class _Kinds(dict[str, _Assets | None]):
    """The assets of each kind; None: no rule asks for any of them, as most mails are nobody's business."""

    def __init__(self, places: Sequence[_Place]) -> None:
        super().__init__()
        self._places = places

    def __missing__(self, kind: str) -> _Assets | None:
        places = [one for one in self._places if one.kind(kind)]
        if len(self) >= _TABLE_LIMIT:
            self.clear()
        self[kind] = _Assets(places) if places else None
        return self[kind]


class _Choice(Struct, frozen=True):
    """A choice with its points; `window` is a place in the list of windows, and `why` what stands behind the count."""

    points: float
    window: int | None
    at_least: int
    exactly: int | None
    each: bool
    idle: bool
    why: str


class _Rule(Struct, frozen=True):
    name: str
    choices: tuple[_Choice, ...]
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
        windows = (one.idle or one.within for rule in model.interest for one in rule.choices)
        self._windows = [*dict.fromkeys(window for window in windows if window is not None)]
        self._lasts = [length_of(window) for window in self._windows]
        self.rules = tuple(_compile(rule, model, zone, self._windows) for rule in model.interest)
        self.possible = earnable_interest(model)
        places = [_place_of(index, rule) for index, rule in enumerate(model.interest)]
        self._kinds = _Kinds([*places, *(_Place(as_glob(one.activity), _any_or(one.asset)) for one in raisers)])
        self.robots = RobotTests(model)
        self._marked = self.robots.marked
        self._always_look = tuple(index for index, rule in enumerate(self.rules) if rule.counts_none)
        self._cutoffs: tuple[datetime | None, list[datetime]] = (None, [])

    def sort_out(self, activities: Iterable[Activity], until: datetime, robots: Iterable[Name] = ()) -> Sorted:
        """Which rule each activity counts for, oldest first; one told twice is one, and a robot's is none."""
        coming: datetime | None = None
        hits: dict[int, list[Activity]] = {}
        raiser: Activity | None = None
        seen: set[Name] = set(robots)
        last, in_order = _LONG_AGO, True
        kinds, marked = self._kinds, self._marked
        for one in activities:
            assets = kinds[one.kind]
            if assets is None:
                continue
            meaning = assets[one.asset]
            if meaning is None:
                continue
            at = one.at
            if at > until:
                coming = earliest(coming, at)
                continue
            name = (one.identity.system, one.key)
            if name in seen:
                continue
            seen.add(name)
            if marked and BOT in one.attributes and self.robots.says_so(one):
                continue
            for index in meaning.rules if not meaning.guarded else meaning.rules_of(one):
                if index in hits:
                    hits[index].append(one)
                else:
                    hits[index] = [one]
            if meaning.raises and (raiser is None or (at, one.key) > (raiser.at, raiser.key)):
                raiser = one
            in_order = in_order and at > last
            last = at
        if not in_order:  # a state tells them in order; those of one moment stand by their keys
            _put_in_order(hits)
        return hits, raiser, coming - AHEAD if coming is not None else None

    def weigh(self, hits: Mapping[int, list[Activity]], now: datetime, into: list[Contribution]) -> Weighed:
        """What the activities give, as `sort_out` tells them; rules that give nothing are left out."""
        points, latest, changes_at = 0.0, None, None
        if not hits and not self._always_look:
            return points, latest, changes_at
        leaving: dict[int, datetime] = {}
        cutoffs, room = self._cutoffs_at(now), None
        for index in sorted({*hits, *self._always_look} if self._always_look else hits):
            rule = self.rules[index]
            held = _first_that_holds(rule, hits.get(index, _NOTHING), cutoffs, leaving)
            if held is None:
                continue
            worth, why, counted, _ = held
            if rule.fader is None:
                told = Contribution(rule.name, worth, why, tuple([one.key for one in counted]))
            else:
                room = room or Room()
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
            end = min([at + self._lasts[window] for window, at in leaving.items()])
            end = next_hour(end if end > now else now)
            changes_at = earliest(changes_at, end)
        return points, latest, changes_at

    def _cutoffs_at(self, now: datetime) -> list[datetime]:
        at, cutoffs = self._cutoffs
        if at != now:
            cutoffs = [before(now, window, self._zone) for window in self._windows]
            self._cutoffs = (now, cutoffs)
        return cutoffs


def _compile(rule: InterestRule, model: ScoreModel, zone: str, windows: list[Duration]) -> _Rule:
    label = words_of(rule)
    choices = tuple(_ready(one, rule.weight * one.priority / 10, label, windows) for one in rule.choices)
    none = any(
        not one.each and one.idle is None and (one.exactly == 0 or (one.exactly is None and one.at_least <= 0))
        for one in rule.choices
    )
    slow = rule.decay is not None or rule.group or rule.cap is not None or any(one.each for one in rule.choices)
    return _Rule(rule.name, choices, none, Fader(rule, model, zone) if slow else None)


def _ready(choice: InterestChoice, points: float, label: str, windows: list[Duration]) -> _Choice:
    if choice.idle is not None:
        why = f"no {label} for {_length(choice.idle)}"
    else:
        why = f" x {label}" + (f" within {_length(choice.within)}" if choice.within is not None else "")
    window = choice.idle or choice.within
    place = windows.index(window) if window is not None else None
    return _Choice(points, place, choice.at_least, choice.exactly, choice.each, choice.idle is not None, why)


def _place_of(index: int, rule: InterestRule) -> _Place:
    kind, asset, guard = as_glob(rule.activity), _any_or(rule.asset), _guard_of(rule)
    if not rule.not_asset:
        return _Place(kind, asset, index, guard)
    unwanted = as_glob(rule.not_asset)
    return _Place(kind, lambda text: asset(text) and not unwanted(text), index, guard)


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


def _any_or(globs: Globs) -> _Fits:
    return as_glob(globs) if globs else lambda _text: True


def words_of(rule: InterestRule) -> str:
    """What a rule counts, in a sentence: "page.visited (*pricing*)"."""
    kind, asset = (one if isinstance(one, str) else ", ".join(one) for one in (rule.activity, rule.asset))
    return f"{kind} ({asset})" if asset else kind


_Holds = tuple[float, str, Sequence[Activity], bool]
"""The choice that holds: its points, why, the activities it rests on, and whether each of them gives the points."""


def _put_in_order(hits: dict[int, list[Activity]]) -> None:
    for found in hits.values():
        found.sort(key=_in_time)


def _first_that_holds(
    rule: _Rule, found: Sequence[Activity], cutoffs: list[datetime], leaving: dict[int, datetime]
) -> _Holds | None:
    """The first choice that holds, unless it gives nothing.

    `leaving` learns, for each window, of the earliest activity whose end there makes another choice hold.
    """
    counted, last = found, None
    for choice in rule.choices:
        window = choice.window
        if window != last:
            last, counted = window, found if window is None else _since(cutoffs[window], found)
        many = len(counted)
        if choice.idle:
            holds, kept = bool(found) and not many, 1
        elif choice.exactly is not None:
            holds = many == choice.exactly
            kept = many if choice.each else 0 if many < choice.exactly else choice.exactly + (not holds)
        else:
            holds = many >= choice.at_least
            # Points that rest on nothing do not fade, and no day's cap holds them down: so the last one matters there.
            least = choice.at_least or int(rule.fader is not None)
            kept = many if choice.each else least if holds else 0
        # So many must stay in a window that only empties for this choice to go on as it is; 0: it does whatever.
        if window is not None and 0 < kept <= many:
            end = counted[-kept].at
            if window not in leaving or end < leaving[window]:
                leaving[window] = end
        if not holds:
            continue
        if not choice.points:
            return None
        if choice.idle:
            return choice.points, choice.why, found[-1:], False
        return choice.points, f"{many}{choice.why}", counted, choice.each
    return None


def _since(cutoff: datetime, found: Sequence[Activity]) -> Sequence[Activity]:
    """What was done since then, of activities in the order of time."""
    return found if found and found[0].at >= cutoff else [one for one in found if one.at >= cutoff]


def _fade(rule: _Rule, holds: _Holds, now: datetime, room: Room) -> tuple[Contribution, datetime | None]:
    assert rule.fader is not None  # noqa: S101 - only such rules come here
    points, why, counted, each = holds
    moments = [one.at for one in counted] if each else [one.at for one in counted[-1:]]
    held = rule.fader.hold(points, moments, now, room)
    if each:
        why += f", {points:+g} each"
    if held.faded > _TRACE:
        why += f"; {held.faded:.1f} faded"
    if held.capped > _TRACE:
        why += f"; {held.capped:.1f} above the cap"
    evidence = tuple([one.key for one in counted])
    return Contribution(rule.name, held.points, why, evidence, round(held.faded + held.capped, 2)), held.changes_at


_TRACE = 0.05  # rounding takes no more
_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_NOTHING: list[Activity] = []
_in_time = attrgetter("at", "key")


def _length(window: Duration) -> str:
    return f"{window.days} days" if window.days else f"{window.minutes} minutes"
