"""The score: recomputed from its evidence every time, and able to account for every point (law 7).

A contribution is weight x priority / 10 points; of a rule's choices the first that holds counts. Globs are matched
once for each (kind, asset) that a policy has met; planning a person is then a few dictionary look-ups an activity.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from operator import attrgetter
from typing import NamedTuple

from syncagent.handoff.calendar import before
from syncagent.handoff.compiled import once_per_policy
from syncagent.handoff.conditions import Test, as_test, is_known, is_yes
from syncagent.handoff.likelihood import with_likelihood
from syncagent.handoff.profile import attributes_of
from syncagent.model import Activity, Contribution, Dossier, Identity, Score, Value
from syncagent.policy import Duration, FitRule, HandRaiser, InterestChoice, InterestRule, Policy, Threshold

_TABLE_LIMIT = 20_000  # assets are page addresses too: the table starts anew instead of growing for ever
_Meaning = tuple[tuple[int, ...], bool]  # the rules that an activity counts for, and whether it asks for sales
_UNMET: _Meaning = ((), False)
_AHEAD = timedelta(minutes=10)  # so far a source's clock may run ahead of ours; what is later has not happened yet
_BOT = "Is Bot Activity"  # Source: marketing_automation.md, Marketo's bot activity attribute


class Judged(NamedTuple):
    """A score and what the opening of a handoff asks of it.

    `latest` is the newest activity that gave points; `raiser` the newest one that asks for sales by itself.
    `changes_at`: when to score again if nothing new is told, for something dated ahead begins to count, or a rule's
    window ends. Ends of windows are rounded up to a full hour, so that a busy hour of somebody's is one wake-up; those
    of days to the hour after, for clocks may be changed in between.
    """

    score: Score
    latest: datetime | None
    raiser: Activity | None
    changes_at: datetime | None = None


def score(dossier: Dossier, policy: Policy, now: datetime) -> Score:
    """The score of a person at `now`, with every contribution; rules that give 0 points are left out."""
    attributes = with_likelihood(attributes_of(dossier, policy), dossier, policy, now)
    return judge(dossier, policy, now, attributes).score


def judge(dossier: Dossier, policy: Policy, now: datetime, attributes: dict[str, Value]) -> Judged:
    """Score a person and find what speaks for handing them off."""
    return _scorer_of(policy).judge(done_by(dossier), attributes, now)


def points_since(dossier: Dossier, policy: Policy, now: datetime, since: datetime) -> tuple[float, datetime | None]:
    """Interest points from activities between `since` and `now` alone, and the newest that gave some."""
    judged = _scorer_of(policy).judge([one for one in done_by(dossier) if since < one.at <= now], {}, now)
    return judged.score.interest, judged.latest


def done_by(dossier: Dossier) -> Sequence[Activity]:
    """What the person did: of somebody whom one system knew several times, what it tells of each of them is one.

    A system that has made one record of several may tell what they did again under the one that stays, and one that
    has not yet tells the same form for each. Nobody does the same thing twice in one moment under two ids.
    """
    identities = dossier.identities
    if len(identities) < 2 or len(dossier.activities) < 2:
        return dossier.activities
    if len({one.system for one in identities}) == len(identities):
        return dossier.activities
    told_by: dict[tuple[str, str, str, datetime], Identity] = {}
    for one in dossier.activities:
        moment = (one.identity.system, one.kind, one.asset, one.at)
        told_by[moment] = min(told_by.get(moment, one.identity), one.identity)
    return [
        one for one in dossier.activities if told_by[one.identity.system, one.kind, one.asset, one.at] == one.identity
    ]


def is_ready(judged: Score, threshold: Threshold) -> bool:
    """Whether the score is past the line; a threshold that asks nothing is never passed."""
    tests: list[bool] = []
    if threshold.score is not None:
        tests.append(judged.total >= threshold.score)
    if threshold.grades:
        tests.append(judged.grade in threshold.grades)
    if not tests:
        return False
    return all(tests) if threshold.need == "all" else any(tests)


class _Interest(NamedTuple):
    name: str
    label: str
    weight: float
    choices: tuple[tuple[InterestChoice, float, Duration | None], ...]  # choice, points, window
    counts_none: bool


class _Fit(NamedTuple):
    name: str
    attribute: str
    choices: tuple[tuple[Test, float], ...]


class _Scorer:
    """A policy's score model, ready to run."""

    def __init__(self, policy: Policy) -> None:
        model = policy.scoring
        self._zone = policy.timezone
        self._fit = tuple(_fit(rule) for rule in model.fit)
        self._interest = tuple(_interest(rule) for rule in model.interest)
        self._globs = tuple((rule.activity, rule.asset) for rule in model.interest)
        self._raisers = policy.always
        self._exclude_bots = model.exclude_bots
        self._possible = (sum(rule.weight for rule in model.fit), sum(rule.weight for rule in model.interest))
        self._letters, self._numbers = model.letters, model.numbers
        self._table: dict[tuple[str, str], _Meaning | None] = {}
        self._always_look = tuple(index for index, rule in enumerate(self._interest) if rule.counts_none)
        windows = {window for rule in self._interest for _, _, window in rule.choices if window is not None}
        self._lasts = {one: timedelta(days=one.days, minutes=one.minutes, hours=one.days > 0) for one in windows}
        self._cutoffs: tuple[datetime | None, dict[Duration, datetime]] = (None, {})

    def judge(self, activities: Sequence[Activity], attributes: dict[str, Value], now: datetime) -> Judged:
        contributions: list[Contribution] = []
        fit = 0.0
        for rule in self._fit:
            value = attributes.get(rule.attribute)
            for test, points in rule.choices:
                if test(value):
                    if points:
                        fit += points
                        contributions.append(Contribution(rule.name, points, f"{rule.attribute} is {_shown(value)}"))
                    break
        hits, raiser, changes_at = self._sort_out(activities, now + _AHEAD)
        interest, latest = 0.0, None
        leaving: dict[Duration, datetime] = {}
        if hits or self._always_look:
            cutoffs = self._cutoffs_at(now)
            for index in sorted({*hits, *self._always_look}):
                found = _weigh(self._interest[index], hits.get(index, []), cutoffs, leaving)
                if found is not None:
                    contributions.append(found[0])
                    interest += found[0].points
                    if found[0].points > 0 and found[1] is not None and (latest is None or found[1] > latest):
                        latest = found[1]
        grade = _step(fit, self._possible[0], self._letters, "ABCD") + _step(
            interest, self._possible[1], self._numbers, "1234"
        )
        if leaving:
            end = _next_hour(max(now, min(at + self._lasts[window] for window, at in leaving.items())))
            changes_at = end if changes_at is None else min(changes_at, end)
        return Judged(Score(fit, interest, grade, tuple(contributions)), latest, raiser, changes_at)

    def _sort_out(
        self, activities: Iterable[Activity], until: datetime
    ) -> tuple[dict[int, list[Activity]], Activity | None, datetime | None]:
        """Which rule each activity counts for, and when the next one will; one told twice is one, a robot's is none."""
        coming: datetime | None = None
        hits: dict[int, list[Activity]] = {}
        raiser: Activity | None = None
        seen: set[tuple[str, str]] = set()
        table = self._table
        for activity in activities:
            place = (activity.kind, activity.asset)
            meaning = table.get(place, _UNMET)
            if meaning is _UNMET:
                meaning = self._learn(place)
            if meaning is None:
                continue
            if activity.at > until:
                coming = activity.at if coming is None else min(coming, activity.at)
                continue
            name = (activity.identity.system, activity.key)
            if name in seen:
                continue
            seen.add(name)
            if self._exclude_bots and activity.attributes and is_yes(activity.attributes.get(_BOT)):
                continue
            for index in meaning[0]:
                if index in hits:
                    hits[index].append(activity)
                else:
                    hits[index] = [activity]
            if meaning[1] and (raiser is None or (activity.at, activity.key) > (raiser.at, raiser.key)):
                raiser = activity
        return hits, raiser, coming - _AHEAD if coming is not None else None

    def _learn(self, place: tuple[str, str]) -> _Meaning | None:
        kind, asset = place
        rules = tuple(index for index, globs in enumerate(self._globs) if _matches(kind, asset, *globs))
        raises = any(_raises(one, kind, asset) for one in self._raisers)
        if len(self._table) >= _TABLE_LIMIT:
            self._table.clear()
        self._table[place] = meaning = (rules, raises) if rules or raises else None
        return meaning

    def _cutoffs_at(self, now: datetime) -> dict[Duration, datetime]:
        at, cutoffs = self._cutoffs
        if at != now:
            cutoffs = {window: before(now, window, self._zone) for window in self._lasts}
            self._cutoffs = (now, cutoffs)
        return cutoffs


_scorer_of = once_per_policy(_Scorer)


def _fit(rule: FitRule) -> _Fit:
    choices = tuple((as_test(one.condition), rule.weight * one.priority / 10) for one in rule.choices)
    return _Fit(rule.name, rule.attribute, choices)


def _interest(rule: InterestRule) -> _Interest:
    choices = tuple((one, rule.weight * one.priority / 10, one.within) for one in rule.choices)
    none = any(one.exactly == 0 or (one.exactly is None and one.at_least <= 0) for one in rule.choices)
    label = rule.activity + (f" ({rule.asset})" if rule.asset else "")
    return _Interest(rule.name, label, rule.weight, choices, none)


def _matches(kind: str, asset: str, kind_glob: str, asset_glob: str) -> bool:
    return fnmatchcase(kind.casefold(), kind_glob.casefold()) and (
        not asset_glob or fnmatchcase(asset.casefold(), asset_glob.casefold())
    )


def _raises(raiser: HandRaiser, kind: str, asset: str) -> bool:
    return _matches(kind, asset, raiser.activity, raiser.asset)


def _weigh(
    rule: _Interest, found: list[Activity], cutoffs: dict[Duration, datetime], leaving: dict[Duration, datetime]
) -> tuple[Contribution, datetime | None] | None:
    """The first choice that holds, unless it gives nothing; and the newest activity that it rests on.

    `leaving` learns, for each window, of the earliest activity whose end there makes another choice hold.
    """
    if len(found) > 1:
        found = sorted(found, key=_in_time)
    for choice, points, window in rule.choices:
        counted = found if window is None else [one for one in found if one.at >= cutoffs[window]]
        many = len(counted)
        holds = many == choice.exactly if choice.exactly is not None else many >= choice.at_least
        if window is not None:
            kept = _kept(choice, many, holds=holds)
            if 0 < kept <= many:
                end = counted[-kept].at
                leaving[window] = min(end, leaving.get(window, end))
        if not holds:
            continue
        if not points:
            return None
        span = f" within {_length(window)}" if window is not None else ""
        why = f"{many} x {rule.label}{span}"
        evidence = tuple(one.key for one in counted)
        return Contribution(rule.name, points, why, evidence), counted[-1].at if counted else None
    return None


def _kept(choice: InterestChoice, many: int, *, holds: bool) -> int:
    """How many must stay in a window that only empties for this choice to go on as it is; 0 when it does whatever."""
    if choice.exactly is not None:
        return 0 if many < choice.exactly else choice.exactly + (not holds)
    return choice.at_least if holds else 0


_in_time = attrgetter("at", "key")


def _next_hour(moment: datetime) -> datetime:
    return moment + timedelta(minutes=60 - moment.minute, seconds=-moment.second, microseconds=-moment.microsecond)


def _length(window: Duration) -> str:
    return f"{window.days} days" if window.days else f"{window.minutes} minutes"


def _shown(value: Value) -> str:
    return "unknown" if not is_known(value) else str(value)


def _step(points: float, possible: float, shares: tuple[float, float, float], names: str) -> str:
    share = points / possible if possible > 0 else 0.0
    for name, least in zip(names, shares, strict=False):
        if share >= least:
            return name
    return names[-1]
