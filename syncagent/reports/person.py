"""One person whole, for the admin's page: what is known, what they did, what it gave, what was decided and written."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from msgspec import Struct

from syncagent.handoff import as_of, profile_of, score, why
from syncagent.handoff.explain import NotCounted, Outlook, Standing, outlook, standing
from syncagent.handoff.moments import moment_of
from syncagent.handoff.profile import Attribute
from syncagent.model import Activity, Contribution, Dossier, Written
from syncagent.policy import Policy
from syncagent.state.proof import JournalEntry
from syncagent.state.results import subject_of
from syncagent.state.store import Result, Store, Visit

POINTS = 60
_WORK = 40_000
"""A curve may look at so many activities in all: whoever did very much gets fewer points."""


class Credit(Struct, frozen=True):
    """What a rule gave for an activity; `together`: so many activities earned these points as one."""

    rule: str
    points: float
    together: int


class Did(Struct, frozen=True):
    """An activity in words and what it gives today; `why_not`: no person did it."""

    at: datetime
    what: str
    kind: str
    asset: str
    system: str
    credits: tuple[Credit, ...]
    why_not: str = ""


class Scored(Struct, frozen=True):
    """How a person would have stood at a moment, by what was known then and by the policy of today."""

    at: datetime
    fit: float
    interest: float

    @property
    def total(self) -> float:
        """All points."""
        return self.fit + self.interest


class Person(Struct, frozen=True):
    """All of it. `doings` are a page of `did` in all, the newest first; the lists behind them are bounded too."""

    at: datetime
    dossier: Dossier
    known: Standing
    planned: Outlook
    lines: tuple[str, ...]
    profile: tuple[Attribute, ...]
    doings: tuple[Did, ...]
    did: int
    curve: tuple[Scored, ...]
    journal: tuple[JournalEntry, ...]
    written: tuple[Written, ...]
    visits: tuple[Visit, ...]
    said: tuple[Result, ...]


def person(
    store: Store, policy: Policy, number: int, now: datetime, *, first: int = 0, most: int = 100
) -> Person | None:
    """Everything about this person; None when there is nobody, or they were merged. `first`: of the activities."""
    dossier = store.dossier(number)
    if dossier is None:
        return None
    roster = store.roster()
    known = standing(dossier, policy, now)
    models = dossier.decision.models if dossier.decision is not None else ()
    subjects = dict.fromkeys((f"person:{number}", *(subject_of(number, one.about) for one in models)))
    newest = dossier.activities[::-1][first : first + most]
    return Person(
        now,
        dossier,
        known,
        outlook(dossier, policy, roster, now),
        why(dossier, policy, roster, now),
        tuple(profile_of(dossier, policy)),
        _doings(newest, known.score.contributions, known.not_counted),
        len(dossier.activities),
        curve(dossier, policy, now),
        store.journal(number, limit=100),
        store.written(number, 100),
        store.visits(number)[-50:],
        tuple(one for subject in subjects for one in store.results(subject))[-50:],
    )


def _doings(
    activities: Iterable[Activity], contributions: Iterable[Contribution], not_counted: Iterable[NotCounted]
) -> tuple[Did, ...]:
    earned: dict[str, list[Credit]] = {}
    for one in contributions:
        for key in one.evidence:
            earned.setdefault(key, []).append(Credit(one.rule, one.points, len(one.evidence)))
    excluded: Mapping[tuple[str, str], str] = {(one.system, one.key): one.why for one in not_counted}
    return tuple(
        Did(
            one.at,
            moment_of(one),
            one.kind,
            one.asset,
            one.identity.system,
            tuple(earned.get(one.key, ())),
            excluded.get((one.identity.system, one.key), ""),
        )
        for one in activities
    )


def curve(dossier: Dossier, policy: Policy, now: datetime, points: int = POINTS) -> tuple[Scored, ...]:
    """How the score came to be: at equal steps from the first thing that is known until now; empty without any."""
    told = [one.at for one in dossier.activities] + [one.born for one in dossier.histories]
    told += [one.seen_at for one in dossier.leads] + [one.created_at for one in dossier.records]
    begin = min((one for one in told if one < now), default=None)
    if begin is None:
        return ()
    count = max(6, min(points, _WORK // max(1, len(dossier.activities))))
    step = max((now - begin) / count, timedelta(minutes=1))
    moments = [now - step * n for n in range(count, 0, -1) if now - step * n >= begin - step]
    scores = ((at, score(as_of(dossier, at), policy, at)) for at in (*moments, now))
    return tuple(Scored(at, then.fit, then.interest) for at, then in scores)
