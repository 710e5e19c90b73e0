"""Handed-over leads that sales rejects: by source, campaign and rule, with the share and the trend."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from msgspec import Struct

from syncagent.handoff.calendar import before
from syncagent.policy import Policy, RejectionAlarm
from syncagent.state.store import HandedOver, Store

REJECTED = frozenset(("disqualified", "recycled", "recycled for good"))
_BY = ("source", "campaign", "rule")


class Rejections(Struct, frozen=True):
    """Of the leads of one source, campaign or rule: how many were answered, how many rejected, and before that.

    `example` is the person who was rejected last.
    """

    by: str
    name: str
    answered: int
    rejected: int
    earlier_answered: int
    earlier_rejected: int
    example: int

    @property
    def share(self) -> float:
        return self.rejected / self.answered if self.answered else 0.0

    @property
    def earlier(self) -> float | None:
        """The share in as long a time before; None: nothing was answered then."""
        return self.earlier_rejected / self.earlier_answered if self.earlier_answered else None

    def sentence(self, days: int) -> str:
        """What is the matter, in one sentence."""
        trend = "nothing to compare with before" if self.earlier is None else f"{self.earlier:.0%} in the time before"
        return (
            f"Sales rejected {self.rejected} of {self.answered} leads of the {self.by} {self.name!r} in {days} days: "
            f"{self.share:.0%}, {trend}."
        )


def rejections(store: Store, policy: Policy, alarm: RejectionAlarm, now: datetime) -> tuple[Rejections, ...]:
    """Everything that enough leads were handed over for, the highest share first."""
    since = before(now, alarm.within, policy.timezone)
    earlier = since - (now - since)
    found = _counted(store.handed_over(earlier), since)
    enough = (one for one in found if one.answered >= alarm.least)
    return tuple(sorted(enough, key=lambda one: (-one.share, _BY.index(one.by), one.name)))


def _counted(handed: Iterable[HandedOver], since: datetime) -> Iterator[Rejections]:
    counts: dict[tuple[str, str], list[int]] = {}
    last: dict[tuple[str, str], tuple[datetime, int]] = {}
    for one in handed:
        if not one.outcome:
            continue  # sales has not said anything of it yet
        rejected = one.outcome in REJECTED
        for by in _BY:
            name = getattr(one, by)
            if not name:
                continue
            count = counts.setdefault((by, name), [0, 0, 0, 0])
            place = 0 if one.opened_at >= since else 2
            count[place] += 1
            count[place + 1] += rejected
            if rejected:
                last[by, name] = max(last.get((by, name), (one.opened_at, one.person)), (one.opened_at, one.person))
    for (by, name), (answered, gone, earlier, earlier_gone) in counts.items():
        yield Rejections(by, name, answered, gone, earlier, earlier_gone, last.get((by, name), (since, 0))[1])


def days_of(alarm: RejectionAlarm) -> int:
    """The time that the alarm looks at, in days."""
    return round((timedelta(days=alarm.within.days, minutes=alarm.within.minutes)).total_seconds() / 86400)
