"""Deals, and how their people came to them: what they did before the close that counts, robots left out."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from syncagent.handoff.figures import DONE_TO_THEM
from syncagent.handoff.robots import RobotTests
from syncagent.model import BOT, Activity
from syncagent.policy import Policy
from syncagent.reports.attribution import Touchpoint, in_order
from syncagent.reports.periods import ms_of
from syncagent.reports.report import Ask
from syncagent.state.store import Store

BATCH = 250  # deals whose people are looked at together
_DAY_MS = 86_400_000
BIRTH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
_DEALS = """
select d.deal, d.amount, d.currency, d.won, d.closed_ms, d.owner,
  (select group_concat(person) from report_deal_person as p where p.deal = d.deal)
from report_deal as d where d.won = 1 or d.open = 1
"""


class Deal(NamedTuple):
    """A deal that is won, or open. `cents` None: the CRM names no amount; `closed` (ms): when it was won."""

    id: str
    cents: int | None
    currency: str
    won: bool
    closed: int | None
    owner: str
    people: tuple[int, ...]


class Came(NamedTuple):
    """How somebody came in, empty where nobody said, and when (ms)."""

    source: str = ""
    campaign: str = ""
    segment: str = ""
    entered: int | None = None


_NOBODY_SAID = Came()


class Journey(NamedTuple):
    """A deal and its touchpoints, oldest first. `later`: its people did something, but only after the close.

    `robots`: so many activities before the close did not count, being no hand's work.
    """

    deal: Deal
    touchpoints: Sequence[Touchpoint]
    later: bool
    robots: int
    came: Mapping[int, Came]


def deals(store: Store, ask: Ask, policy: Policy) -> list[Deal]:
    """All that is open now, and all that was won in the time of the report, as the CRM tells it at one moment."""
    found = []
    for ident, cents, currency, won, closed, owner, people in store.ask(_DEALS):
        if won and not _within(closed, ask):
            continue
        contacts = tuple(sorted(map(int, people.split(",")))) if people else ()
        named = currency or policy.reports.currency
        found.append(Deal(ident, cents, named, bool(won), closed if won else None, owner, contacts))
    return sorted(found, key=lambda one: (one.people, one.id))


def journeys(store: Store, told: Sequence[Deal], ask: Ask, policy: Policy) -> Iterator[Journey]:
    """Each deal's, reading only what the people of these deals did."""
    counts = _Counted(policy)
    for start in range(0, len(told), BATCH):
        some = told[start : start + BATCH]
        people = sorted({person for deal in some for person in deal.people})
        came = _came(store, people)
        done = {person: counts(activities) for person, activities in store.activities(people).items()}
        for deal in some:
            yield _journey(deal, done, came, ask)


class _Counted:
    """What counts of somebody's activities, and how many a robot did."""

    def __init__(self, policy: Policy) -> None:
        self._robots = RobotTests(policy.scoring)

    def __call__(self, activities: Sequence[Activity]) -> tuple[list[Activity], list[datetime]]:
        own = [one for one in activities if one.kind not in DONE_TO_THEM]
        if not self._robots.timed and not any(BOT in one.attributes for one in own):
            return own, []
        # A click is a scanner's by the time of the delivery, which is nobody's doing: so all are shown.
        if not (robots := self._robots.receipts(activities)):
            return own, []
        not_theirs = {(one.activity.identity.system, one.activity.key) for one in robots}
        counted = [one for one in own if (one.identity.system, one.key) not in not_theirs]
        return counted, [one.activity.at for one in robots]


def _journey(
    deal: Deal, done: Mapping[int, tuple[list[Activity], list[datetime]]], came: Mapping[int, Came], ask: Ask
) -> Journey:
    end = _closes(deal, ask)
    found: list[Touchpoint] = []
    robots, later = 0, False
    for person in deal.people:
        activities, not_theirs = done.get(person, ((), ()))
        robots += sum(at < end for at in not_theirs)
        later = later or bool(activities and activities[-1].at >= end)
        found += _before(end, person, activities, came.get(person, _NOBODY_SAID))
    ordered = in_order(found) if len(deal.people) > 1 else found  # one person's are in order
    return Journey(deal, ordered, later and not found, robots, came)


def _before(end: datetime, person: int, activities: Sequence[Activity], how: Came) -> Iterator[Touchpoint]:
    """The touchpoints of one person; what names no source is of theirs, as is the campaign of the first."""
    campaign = how.campaign
    for one in activities:
        if one.at >= end:
            return
        told = one.attributes
        source, named = told.get("source"), told.get("campaign")
        yield Touchpoint(
            one.at,
            person,
            one.identity.system,
            one.key,
            one.kind,
            str(source) if source else how.source,
            str(named) if named else campaign,
            one.asset,
        )
        campaign = ""


def _closes(deal: Deal, ask: Ask) -> datetime:
    """Before what moment a touchpoint counts. Where the CRM only tells the day of the close, that whole day does."""
    if deal.closed is None:
        return ask.at
    ms = deal.closed + _DAY_MS if deal.closed % _DAY_MS == 0 else deal.closed
    return BIRTH + timedelta(milliseconds=ms)


def _came(store: Store, people: Sequence[int]) -> dict[int, Came]:
    marks = ",".join("?" * len(people))
    sql = f"select person, source, campaign, segment, entered_ms from report_lead where person in ({marks})"  # noqa: S608
    return {person: Came(*how) for person, *how in store.ask(sql, people)}


def _within(closed: int, ask: Ask) -> bool:
    """Whether a deal was won in the time of a report. By the CRM's clock it may be won a little after the report."""
    return (ask.since is None or closed >= ms_of(ask.since)) and (ask.until is None or closed < ms_of(ask.until))
