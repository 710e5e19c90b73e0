"""Who breaks the law that nobody falls into a hole: everybody past the line stands in exactly one state."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime

from msgspec import Struct

from syncagent.handoff import Seen, Standing, stand
from syncagent.policy import Policy
from syncagent.state.store import Store

BATCH = 500


class Found(Struct, frozen=True):
    """One person in one state."""

    person: int
    standing: Standing


class Audit(Struct, frozen=True):
    """How many stand where, who is from before the agent went live, by what they are, and who breaks the law."""

    states: dict[str, int]
    before: dict[str, int]
    held: dict[str, int]
    violations: tuple[Found, ...]


def standings(store: Store, policy: Policy, now: datetime) -> Iterator[Found]:
    """Everybody past the line, in the order of their ids; a batch is a read transaction of its own."""
    after = 0
    while some := store.watched(after, BATCH):
        after = some[-1].dossier.person
        for one in some:
            standing = stand(one.dossier, Seen(one.wake_at, one.held, one.dirty), policy, now)
            if standing.state:
                yield Found(one.dossier.person, standing)


def audit(store: Store, policy: Policy, now: datetime) -> Audit:
    """Look at everybody, across the whole CRM."""
    states: Counter[str] = Counter()
    before: Counter[str] = Counter()
    held: Counter[str] = Counter()
    violations: list[Found] = []
    for one in standings(store, policy, now):
        state = one.standing.state
        if state == "violation":
            violations.append(one)
        elif state == "before":
            before[one.standing.why] += 1
        else:
            states[state] += 1
            if state == "held":
                held[one.standing.why] += 1
    return Audit(dict(states), dict(before), dict(held), tuple(violations))
