"""What was spent in a time, to the cent: whatever days are cut apart, the parts add up to what the config says."""

from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from syncagent.policy import Cost
from syncagent.reports.report import Ask


class Bought(NamedTuple):
    """What was paid for: a source, or a campaign of it (empty: not one in particular), in which currency."""

    source: str
    campaign: str
    currency: str


def spent(costs: Iterable[Cost], ask: Ask) -> Mapping[Bought, int]:
    """Cents on the days of the report, each whole and in its zone; what lies ahead of its moment is not spent yet.

    What the config names for other days only is not in it: of these days nobody knows.
    """
    zone = ZoneInfo(ask.zone)
    today = ask.at.astimezone(zone).date() + timedelta(days=1)
    first = _day(ask.since, zone) or date.min
    last = min(_day(ask.until, zone) or today, today)
    found: dict[Bought, int] = {}
    for one in costs:
        if max(first, one.begin) < min(last, one.end):
            name = Bought(one.source, one.campaign, one.currency)
            found[name] = found.get(name, 0) + between(one, first, last)
    return found


def between(cost: Cost, first: date, end: date) -> int:
    """What of it fell on the days from `first` until before `end`; each day as much as another, to the cent."""
    return _before(cost, end) - _before(cost, first) if first < end else 0


def _before(cost: Cost, end: date) -> int:
    whole = (cost.end - cost.begin).days
    gone = min(max((end - cost.begin).days, 0), whole)
    return cost.cents * gone // whole


def _day(moment: datetime | None, zone: ZoneInfo) -> date | None:
    return None if moment is None else moment.astimezone(zone).date()


def speller(names: Iterable[str]) -> Callable[[str], str]:
    """Finds the name that leads have for one in the config, whose capitals may differ; else it stays as it is."""
    exact = set(names)
    alike = {one.casefold(): one for one in sorted(exact, reverse=True)}
    return lambda told: told if told in exact else alike.get(told.casefold(), told)
