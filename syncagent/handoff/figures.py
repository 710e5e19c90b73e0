"""What reports count, worked out where everything that it takes is at hand: how somebody came in, how promises went."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from syncagent.handoff.calendar import working_between
from syncagent.handoff.compiled import once_per_policy
from syncagent.handoff.profile import first_told
from syncagent.handoff.sla import DROPPED, Running, due_at, elapsed
from syncagent.handoff.team import team_of
from syncagent.model import BOT, Activity, Dossier, Handoff
from syncagent.model.figures import Entry, HandoffFigures, PromiseFigures
from syncagent.policy import Policy

DONE_TO_THEM = frozenset(("email.bounced", "email.delivered", "email.sent"))
"""Kinds of activities that are nobody's doing."""
_LONGEST = 200


def entry_of(dossier: Dossier, segment: str) -> Entry | None:
    """How this person came in; None for who is not known, or must be forgotten."""
    if dossier.erased:
        return None
    first = _first_act(dossier.activities)
    if first is not None:
        at, by, system = first.at, "activity", first.identity.system
        campaign, content = first.attributes.get("campaign"), first.asset
    else:
        known = min(_tellings(dossier), default=None)
        if known is None:
            return None
        at, by, system = known
        campaign, content = None, ""
    return Entry(
        at,
        by,
        system,
        _text(first_told(dossier, "source")),
        _text(first_told(dossier, "campaign") or campaign),
        _text(first_told(dossier, "content") or content),
        _text(first_told(dossier, "medium")),
        segment,
    )


def _first_act(activities: Sequence[Activity]) -> Activity | None:
    """The first thing that they did themselves; of one moment's the first by system and key, in whatever order told."""
    first: Activity | None = None
    for one in activities:
        if first is not None and (one.at > first.at or (one.at == first.at and _named(one) >= _named(first))):
            continue
        if one.kind not in DONE_TO_THEM and one.attributes.get(BOT) is not True:
            first = one
    return first


def _named(activity: Activity) -> tuple[str, str]:
    return activity.identity.system, activity.key


def _tellings(dossier: Dossier) -> Iterator[tuple[datetime, str, str]]:
    born = {one.identity: one.born for one in dossier.histories}
    for record in dossier.records:
        yield record.created_at, "record", record.identity.system
    for lead in dossier.leads:
        yield born.get(lead.identity, lead.seen_at), "lead", lead.identity.system


def _text(value: object) -> str:
    return "" if value is None else str(value).strip()[:_LONGEST]


def figures_of(handoff: Handoff, policy: Policy) -> HandoffFigures:
    """What reports count of this handoff."""
    last = handoff.assignments[-1] if handoff.assignments else None
    team, working = "", None
    if last is not None:
        team = last.turn.pool if last.turn is not None else _pools(policy).get(last.owner, "")
    if handoff.touched_at is not None:
        rep = team_of(policy).reps.get(last.owner) if last is not None else None
        hours, away = (
            (policy.team_hours, policy.holidays) if rep is None else (rep.hours, team_of(policy).days_off(rep))
        )
        working = working_between(handoff.opened_at, handoff.touched_at, hours, away)
    since = last.at if last is not None else None
    promises = tuple(_promises(handoff, policy))
    return HandoffFigures(handoff.id, team, working, len(handoff.assignments), since, promises)


@once_per_policy
def _pools(policy: Policy) -> dict[str, str]:
    """The first pool that names each rep."""
    found: dict[str, str] = {}
    for route in policy.routes:
        for name, members in (
            (route.to.team or route.name, route.to.pool),
            *((p.name, p.members) for p in route.to.then),
        ):
            for member in members:
                found.setdefault(member, name)
    return found


def _promises(handoff: Handoff, policy: Policy) -> Iterator[PromiseFigures]:
    """The promises as they stand; those to earlier owners were told while they were theirs."""
    number = len(handoff.assignments)
    last = handoff.assignments[-1] if handoff.assignments else None
    owner = last.owner if last is not None else ""
    before = last is not None and handoff.touched_at is not None and handoff.touched_at < last.at  # by an earlier owner
    if handoff.sla is not None and handoff.clock_started_at is not None and not before:
        clock = Running(0, handoff.sla, handoff.clock_started_at, number, frozenset())
        yield _promise(handoff, clock, owner, handoff.touched_at, policy)
    for place, one in enumerate(handoff.clocks, 1):
        if one.started_at is not None and one.how != DROPPED:
            clock = Running(place, one.sla, one.started_at, one.visit, frozenset())
            yield _promise(handoff, clock, owner, one.ended_at, policy)


def _promise(handoff: Handoff, clock: Running, owner: str, ended: datetime | None, policy: Policy) -> PromiseFigures:
    due = due_at(handoff, clock, 1.0, policy)
    end, met = ended, None
    if ended is not None:
        met = due is None or ended <= due
    elif handoff.closed_at is not None:  # it ended with the handoff: broken, if its time was up by then
        end = handoff.closed_at
        met = False if due is not None and due < end else None
    minutes = elapsed(handoff, clock, end, policy) if end is not None else None
    return PromiseFigures(
        clock.number, clock.visit, clock.sla.promised, clock.sla.name, owner, clock.start, due, end, met, minutes
    )
