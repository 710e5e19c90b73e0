"""Who breaks the law that nobody falls into a hole: everybody past the line stands in exactly one state.

A glance tells whom the law may be about: who was decided or found past the line, in work or given back, and whose
timer is late. Only they are looked at whole, so that a million people take seconds. A glance takes scores as they were
decided last; `anew` works all of them out once more, and so finds also whom a lost fact has left below the line.
"""

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

from msgspec import Struct

from syncagent.handoff import LATE, Seen, Standing, may_be_ready, stand, telling
from syncagent.model import Dossier, Score
from syncagent.policy import Policy
from syncagent.reports.cores import on_cores
from syncagent.state import open_store
from syncagent.state.store import Glance, Store

BATCH = 500
GLANCES = 5_000
PART = 20_000
"""So many people are one task of a process."""
MOST = 10_000
"""So many violations are listed; beyond that they are only counted, so that memory stays bounded."""


class Found(Struct, frozen=True):
    """One person in one state."""

    person: int
    standing: Standing


class Audit(Struct, frozen=True):
    """How many stand where, who is from before the agent went live, by what they are, and who breaks the law.

    Of the violations the first `MOST` are listed; `violating` counts all.
    """

    states: dict[str, int]
    before: dict[str, int]
    held: dict[str, int]
    violations: tuple[Found, ...]
    violating: int = 0


def standings(store: Store, policy: Policy, now: datetime, *, anew: bool = True) -> Iterator[Found]:
    """Everybody past the line, in the order of their ids; a batch is a read transaction of its own."""
    after = 0
    while True:
        found, last = _part(store, policy, now, after, anew=anew)
        if last == after:
            return
        yield from found
        after = last


def audit(store: Store, policy: Policy, now: datetime) -> Audit:
    """Look at everybody, across the whole CRM, and work every score out anew."""
    return _counted(standings(store, policy, now))


def audit_file(state: Path, policy: Policy, now: datetime, *, anew: bool = False, workers: int | None = None) -> Audit:
    """Look at everybody in a state file, a process a core (`workers`). Raises `UserError` when there is no state."""
    store = open_store(state, read_only=True)
    try:
        count = workers if workers is not None else (os.cpu_count() or 1)
        if count < 2 or len(store.people(0, PART)) < PART:
            return _counted(standings(store, policy, now, anew=anew))
        return _joined(on_cores(count, _Worker, (state, policy, now, anew), store, PART))
    finally:
        store.close()


def _part(store: Store, policy: Policy, now: datetime, after: int, *, anew: bool) -> tuple[list[Found], int]:
    """Whoever of the next people behind `after` is past the line, and the last one who was looked at."""
    found: list[Found] = []
    whole: list[int] = []
    last = after
    for one in store.glances(after, GLANCES, telling(policy), now - LATE):
        last = one.person
        if one.erased or one.held or one.dirty:
            bare = Dossier(one.person, 0, erased=one.erased)
            found.append(Found(one.person, stand(bare, Seen(None, one.held, one.dirty), policy, now)))
        elif anew or _may_be_past(one, policy):
            whole.append(one.person)
    for start in range(0, len(whole), BATCH):
        for each in store.watched(whole[start : start + BATCH]):
            standing = stand(each.dossier, Seen(each.wake_at, each.held, each.dirty), policy, now)
            if standing.state:
                found.append(Found(each.dossier.person, standing))
    return sorted(found, key=lambda one: one.person), last


def _may_be_past(one: Glance, policy: Policy) -> bool:
    return one.open_ or one.said or may_be_ready(Score(one.fit, one.interest, one.grade), policy)


def _counted(found: Iterable[Found]) -> Audit:
    states: Counter[str] = Counter()
    before: Counter[str] = Counter()
    held: Counter[str] = Counter()
    violations: list[Found] = []
    violating = 0
    for one in found:
        state = one.standing.state
        if state == "violation":
            violating += 1
            if len(violations) < MOST:
                violations.append(one)
        elif state == "before":
            before[one.standing.why] += 1
        else:
            states[state] += 1
            if state == "held":
                held[one.standing.why] += 1
    return Audit(dict(states), dict(before), dict(held), tuple(violations), violating)


def _joined(parts: Iterable[Audit]) -> Audit:
    states: Counter[str] = Counter()
    before: Counter[str] = Counter()
    held: Counter[str] = Counter()
    violations: list[Found] = []
    violating = 0
    for part in parts:
        states.update(part.states)
        before.update(part.before)
        held.update(part.held)
        violations += part.violations[: MOST - len(violations)]
        violating += part.violating
    return Audit(dict(states), dict(before), dict(held), tuple(violations), violating)


class _Worker:
    """What one process has open."""

    def __init__(self, state: Path, policy: Policy, now: datetime, anew: bool) -> None:  # noqa: FBT001
        self._store, self._policy, self._now, self._anew = open_store(state, read_only=True), policy, now, anew

    def __call__(self, after: int, until: int) -> Audit:
        return _counted(self._until(after, until))

    def _until(self, after: int, until: int) -> Iterator[Found]:
        while after < until:
            found, last = _part(self._store, self._policy, self._now, after, anew=self._anew)
            if last == after:
                return
            yield from (one for one in found if one.person <= until)
            after = last
