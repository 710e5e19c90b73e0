"""Interesting moments: which of the things somebody did a rep should know of, in plain words.

Rules and titles are matched once for each kind and asset that a policy meets; after that a person's moments cost a
look-up for each activity. What bots and scanners did is none (`[score.bots]`).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from syncagent.handoff.compiled import once_per_policy
from syncagent.handoff.conditions import as_glob
from syncagent.handoff.harmless import harmless, page_of
from syncagent.handoff.robots import RobotTests
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
        self._found: dict[tuple[str, str], int | None] = {}
        self._robots = RobotTests(policy.scoring)

    def rule_of(self, activity: Activity) -> int | None:
        """The place of the first rule that fits; None when there is none, or it says that this is not interesting."""
        key = (activity.kind, activity.asset)
        if key not in self._found:
            if len(self._found) >= _TABLE_LIMIT:
                self._found.clear()
            fits = (
                n
                for n, (kind, asset) in enumerate(self._tests)
                if kind(activity.kind) and (asset is None or asset(activity.asset))
            )
            first = next(fits, None)
            self._found[key] = first if first is not None and self.rules[first].says else None
        return self._found[key]

    def newest(
        self,
        activities: Iterable[Activity],
        now: datetime,
        most: int = MOST,
        *,
        among: Collection[int] | None = None,
        since: datetime | None = None,
    ) -> list[Told]:
        """The newest moments until `now`, each thing once; `among` these rules only, and not before `since`."""
        some = [
            one
            for one in activities
            if (rule := self.rule_of(one)) is not None
            and (among is None or rule in among)
            and (since is None or one.at >= since)
            and one.at <= now
        ]
        return self._told(some, activities, most)

    def chosen(self, keys: Collection[str], cause: str, activities: Iterable[Activity], most: int = MOST) -> list[Told]:
        """The newest of the activities with these keys, or that are the cause; each thing once."""
        return self._told([one for one in activities if one.key in keys or moment_of(one) == cause], activities, most)

    def text(self, activity: Activity, rule: int | None) -> str:
        """One activity in words."""
        if rule is None:
            return moment_of(activity)
        values = {
            "asset": self.title(activity.asset),
            "campaign": harmless(_text(activity.attributes, "campaign"), _ASSET),
            "source": activity.identity.system,
        }
        return self._lines[rule].fill(values) or moment_of(activity)

    def title(self, asset: str) -> str:
        """What a form, a page or a file is called."""
        found = next((title for fits, title in self._titles if fits(asset)), "") if asset else ""
        return harmless(found or page_of(asset), _ASSET)

    def _told(self, some: list[Activity], all_of: Iterable[Activity], most: int) -> list[Told]:
        some.sort(key=lambda one: (one.at, one.key), reverse=True)
        robots = self._robots.by_time([*all_of]) if some and self._robots.timed else {}
        found: list[Told] = []
        seen: set[str] = set()
        for one in some:
            if (one.identity.system, one.key) in robots or (self._robots.marked and self._robots.says_so(one)):
                continue
            rule = self.rule_of(one)
            text = self.text(one, rule)
            if text not in seen:
                seen.add(text)
                found.append(Told(InterestingMoment(one.at, text), rule, one))
                if len(found) == most:
                    break
        return found


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
