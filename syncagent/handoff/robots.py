"""What mail scanners and bots did: it does not count, and everybody can see why (a receipt for each activity).

Source of the tests: marketing_automation.md (Marketo marks bot activities); scanners open links within the second of
the delivery, and several links of a mail at once, which no hand does.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from syncagent.handoff.conditions import as_glob, is_yes
from syncagent.model import BOT, Activity
from syncagent.policy import Robots, ScoreModel

_LINK = "Link"
_KINDS = 1_000  # kinds of activity that are remembered: systems have far fewer
_MANY_WITHIN = timedelta(seconds=1)
Name = tuple[str, str]
"""What makes an activity one: the system that told it, and its key."""


class Excluded(NamedTuple):
    """An activity that does not count, and why."""

    activity: Activity
    why: str


class _Roles(dict[str, bool | None]):
    """Whether a kind is an open or a click of a mail (True), its delivery (False), or neither; found out once."""

    def __init__(self, robots: Robots) -> None:
        super().__init__()
        self._clicked, self._delivered = as_glob(robots.clicked), as_glob(robots.delivered)

    def __missing__(self, kind: str) -> bool | None:
        if len(self) >= _KINDS:
            self.clear()
        self[kind] = found = True if self._clicked(kind) else False if self._delivered(kind) else None
        return found


class RobotTests:
    """A model's tests, ready to run. `marked`: whether the source's own mark counts; `timed`: whether times do."""

    def __init__(self, model: ScoreModel) -> None:
        robots = model.robots
        self.marked = model.exclude_bots and robots.marked
        self.timed = model.exclude_bots and (robots.after_delivery > 0 or robots.links > 1)
        self._robots: Robots = robots
        self._roles = _Roles(robots)
        self._admit: Callable[[str], bool] | None = as_glob(robots.admit) if robots.admit else None

    def says_so(self, activity: Activity) -> bool:
        """Whether the source has marked it, and the policy does not admit it all the same."""
        return is_yes(activity.attributes.get(BOT)) and not (self._admit is not None and self._admit(activity.asset))

    def by_time(self, activities: Sequence[Activity]) -> dict[Name, str]:
        """Opens and clicks that no hand did, by name, with the reason. Order and repetition do not matter."""
        clicks: dict[tuple[str, str], dict[Name, Activity]] = {}
        deliveries: dict[tuple[str, str], set[datetime]] = {}
        roles, admit = self._roles, self._admit
        for one in activities:
            clicked = roles[one.kind]
            if clicked is None:
                continue
            mail = (one.identity.system, one.asset)
            if not clicked:
                deliveries.setdefault(mail, set()).add(one.at)
            elif admit is None or not admit(one.asset):
                clicks.setdefault(mail, {})[one.identity.system, one.key] = one
        found: dict[Name, str] = {}
        for mail, told in clicks.items():
            if 1 < self._robots.links <= len(told):
                found.update(self._at_once(told))
            if self._robots.after_delivery > 0 and mail in deliveries:
                found.update(self._too_soon(told, deliveries[mail]))
        return found

    def _too_soon(self, told: dict[Name, Activity], delivered: set[datetime]) -> dict[Name, str]:
        limit = timedelta(seconds=self._robots.after_delivery)
        found = {}
        for name, one in told.items():
            waits = [one.at - at for at in delivered if timedelta(0) <= one.at - at <= limit]
            if waits:
                found[name] = f"{min(waits).total_seconds():g} s after the delivery"
        return found

    def _at_once(self, told: dict[Name, Activity]) -> dict[Name, str]:
        ordered = sorted(told.items(), key=lambda item: (item[1].at, item[0]))
        found: dict[Name, str] = {}
        first = 0
        for last, (_, one) in enumerate(ordered):
            while one.at - ordered[first][1].at > _MANY_WITHIN:
                first += 1
            if last + 1 - first < self._robots.links:
                continue
            burst = ordered[first : last + 1]
            links = {str(each.attributes.get(_LINK) or name[1]) for name, each in burst}
            if len(links) >= self._robots.links:
                found.update(
                    (name, f"{self._robots.links} or more links of one mail within a second") for name, _ in burst
                )
        return found

    def receipts(self, activities: Sequence[Activity]) -> tuple[Excluded, ...]:
        """All that does not count, oldest first, each once."""
        timed = self.by_time(activities) if self.timed else {}
        found: dict[Name, Excluded] = {}
        for one in activities:
            name = (one.identity.system, one.key)
            if self.marked and self.says_so(one):
                found[name] = Excluded(one, f"{one.identity.system} marks it as a bot's")
            elif name in timed:
                found[name] = Excluded(one, timed[name])
        return tuple(sorted(found.values(), key=lambda each: (each.activity.at, each.activity.key)))
