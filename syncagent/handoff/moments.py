"""Interesting moments: which of the things somebody did a rep should know of, in plain words.

Rules and titles are matched once for each kind and asset that a policy meets; after that a person's moments cost a
look-up for each activity. What bots and scanners did is none (`[score.bots]`).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from operator import lt
from typing import NamedTuple

from syncagent.handoff.compiled import once_per_policy
from syncagent.handoff.conditions import as_glob
from syncagent.handoff.harmless import harmless, page_of
from syncagent.handoff.robots import Name, RobotTests
from syncagent.model import Activity, InterestingMoment, Value
from syncagent.policy import MOMENTS, MomentRule, Policy
from syncagent.policy.template import line_of

MOST = 3
_TABLE_LIMIT = 20_000
_ASSET = 12  # words


class Told(NamedTuple):
    """A moment with what it rests on: the rule's place (None: no rule has words for it), and the activity."""

    moment: InterestingMoment
    rule: int | None
    activity: Activity


class _Meaning(NamedTuple):
    """What a kind and asset mean: the rule, and the words for all of them; empty: the activity has more to tell."""

    rule: int
    text: str


class Moments:
    """The rules of a policy, ready to be asked."""

    def __init__(self, policy: Policy) -> None:
        given = policy.insight.moments
        self.own = bool(given)
        self.rules: Sequence[MomentRule] = given or MOMENTS
        self.deals = frozenset(n for n, rule in enumerate(self.rules) if rule.deal)
        self._lines = [line_of(rule.says) for rule in self.rules]
        self._tests = [(as_glob(rule.activity), as_glob(rule.asset) if rule.asset else None) for rule in self.rules]
        self._titles = [(as_glob(glob), title) for glob, title in policy.insight.titles.items()]
        self._meanings: dict[tuple[str, str], _Meaning | None] = {}
        self._robots = RobotTests(policy.scoring)

    def newest(
        self,
        activities: Sequence[Activity],
        now: datetime,
        most: int = MOST,
        *,
        among: Collection[int] | None = None,
        since: datetime | None = None,
    ) -> list[Told]:
        """The newest moments until `now`, each thing once; `among` these rules only, and not before `since`."""
        found: list[Told] = []
        robots: Collection[Name] | None = None
        known, seen = self._meanings, set[str]()
        for one in _newest_first(activities):
            key = (one.kind, one.asset)
            meaning = known[key] if key in known else self._mean(one)
            if meaning is None or one.at > now or (among is not None and meaning.rule not in among):
                continue
            if since is not None and one.at < since:
                break
            text = meaning.text or self._text(one, meaning.rule)
            if text in seen:
                continue
            if robots is None and self._robots.timed:
                robots = self._robots.by_time(activities)
            if self._is_robots(one, robots or ()):
                continue
            seen.add(text)
            found.append(Told(InterestingMoment(one.at, text), meaning.rule, one))
            if len(found) == most:
                break
        return found

    def chosen(self, keys: Collection[str], cause: str, activities: Sequence[Activity], most: int = MOST) -> list[Told]:
        """The newest of the activities with these keys, or that are the cause; each thing once."""
        found: dict[str, Told] = {}
        for one in _newest_first(activities):
            if len(found) < most and (one.key in keys or moment_of(one) == cause):
                meaning = self._mean(one)
                text = moment_of(one) if meaning is None else meaning.text or self._text(one, meaning.rule)
                rule = None if meaning is None else meaning.rule
                found.setdefault(text, Told(InterestingMoment(one.at, text), rule, one))
        return list(found.values())

    def title(self, asset: str) -> str:
        """What a form, a page or a file is called."""
        found = next((title for fits, title in self._titles if fits(asset)), "") if asset else ""
        return harmless(found or page_of(asset), _ASSET)

    def _mean(self, activity: Activity) -> _Meaning | None:
        """The first rule that fits; None when there is none, or it says that this is not interesting."""
        key = (activity.kind, activity.asset)
        if key not in self._meanings:
            if len(self._meanings) >= _TABLE_LIMIT:
                self._meanings.clear()
            fits = (
                n
                for n, (kind, asset) in enumerate(self._tests)
                if kind(activity.kind) and (asset is None or asset(activity.asset))
            )
            first = next(fits, None)
            found = None
            if first is not None and self.rules[first].says:
                same = not set(self._lines[first].names) - {"asset"}
                found = _Meaning(first, self._text(activity, first) if same else "")
            self._meanings[key] = found
        return self._meanings[key]

    def _text(self, activity: Activity, rule: int) -> str:
        values = {
            "asset": self.title(activity.asset),
            "campaign": harmless(_text(activity.attributes, "campaign"), _ASSET),
            "source": activity.identity.system,
        }
        return self._lines[rule].fill(values) or moment_of(activity)

    def _is_robots(self, activity: Activity, robots: Collection[Name]) -> bool:
        if robots and (activity.identity.system, activity.key) in robots:
            return True
        return self._robots.marked and bool(activity.attributes) and self._robots.says_so(activity)


def _newest_first(activities: Sequence[Activity]) -> Iterable[Activity]:
    """A state tells them in order; only where it does not, or two share a moment, must they be sorted."""
    moments = [one.at for one in activities]
    if all(map(lt, moments, moments[1:])):
        return reversed(activities)
    return sorted(activities, key=lambda one: (one.at, one.key), reverse=True)


@once_per_policy
def moments_of(policy: Policy) -> Moments:
    """The moments of a policy."""
    return Moments(policy)


def moment_of(activity: Activity) -> str:
    """What somebody did, where nobody has words for it: "form submitted: demo-request"."""
    what = harmless(activity.kind.replace(".", " ").replace("_", " "))
    return f"{what}: {harmless(page_of(activity.asset), _ASSET)}" if activity.asset else what


def _text(attributes: Mapping[str, Value], name: str) -> str:
    value = attributes.get(name) if attributes else None
    return "" if value is None else str(value)
