"""Deciding: people are planned a batch at a time, and settled together.

One thread does it all. Threads beside it (to fetch the next, to store the last) were measured, and win nothing: each
turn at the interpreter's lock, and at SQLite's own for memory, costs more than it saves.
"""

import logging
from collections.abc import Callable, Collection, Iterator
from datetime import datetime

from msgspec import structs

from syncagent.agent.brake import WINDOW, Brake
from syncagent.agent.outcomes import warn_held
from syncagent.agent.pace import Pace
from syncagent.clock import Clock
from syncagent.handoff import plan
from syncagent.model import Dossier, Lane, Plan
from syncagent.policy import Policy
from syncagent.state.journal import basis_of
from syncagent.state.store import Held, Settlement, Store, Unsettled

log = logging.getLogger("syncagent")

AT_ONCE = 100
"""So many dossiers are read, then planned, while the processor's own memory still holds them."""


class Batches:
    """Plans whoever waits, hot before cold. One thread at a time: the roster is handed from plan to plan.

    `keeps`: in these lanes what every decision was made from is kept, also where it only says a score or a stage.
    `tell` is given every person and plan that was stored.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        policy: Callable[[], Policy],
        most: int,
        keeps: Collection[Lane],
        tell: Callable[[int, Plan], None],
        failpoint: Callable[[str], None],
    ) -> None:
        self._store, self._clock, self._policy, self._most = store, clock, policy, most
        self._keeps, self._tell, self._failpoint = keeps, tell, failpoint
        self._pace = Pace(most)

    def decide(self) -> int:
        """Plan one batch and settle it; how many were planned (0: there is nobody to plan).

        The hot lane has its batches to itself: nobody in it waits for a cold plan.
        """
        now = self._clock.now()
        lane, batch = Lane.HOT, self._store.unsettled(now, self._most, lane=Lane.HOT, at_once=AT_ONCE)
        if not batch.dossiers:
            size = self._pace.size(now)
            lane, batch = Lane.COLD, self._store.unsettled(now, size, lane=Lane.COLD, at_once=AT_ONCE)
        if not batch.dossiers:
            return 0
        self._settle(batch, now, lane)
        decided = len(batch.dossiers) + len(batch.rest)
        self._pace.saw(lane, decided, now, self._clock.now())
        return decided

    def _read(self, batch: Unsettled) -> Iterator[Dossier]:
        """All of a batch, by and by."""
        yield from batch.dossiers
        for start in range(0, len(batch.rest), AT_ONCE):
            yield from self._store.dossiers(batch.rest[start : start + AT_ONCE])

    def _settle(self, batch: Unsettled, now: datetime, lane: Lane) -> None:
        store, roster, digest = self._store, batch.roster, self._policy().digest
        causes, owners = store.brake_counts(now - WINDOW)
        brake = Brake(self._policy().brake, causes, owners, sum(roster.open.values()))
        settlements: list[Settlement] = []
        held: list[Held] = []
        policy, quiet = self._score_policy(brake), lane in self._keeps
        for dossier in self._read(batch):
            try:
                planned = plan(dossier, policy, roster, now)
            except Exception as error:  # one dossier that cannot be planned must not stop the others; it is shown
                log.exception("person %d cannot be planned and is held", dossier.person)
                held.append(Held(dossier.person, "error", f"{type(error).__name__}: {error}", now, dossier.revision))
                continue
            if why := brake.stops(planned, dossier):
                held.append(Held(dossier.person, planned.cause, why, now, dossier.revision))
                continue
            brake.let(planned)
            basis = basis_of(planned, dossier, policy, roster, now, quiet=quiet)
            if brake.scores_flood() and policy.write_scores and planned.cause == "score":
                policy = self._score_policy(brake)
            # Most of what people do moves nothing: a decision that stands is not written again.
            unchanged = planned.decision == dossier.decision and not dossier.absorbed
            settlements.append(Settlement(dossier.person, dossier.revision, planned, unchanged, basis))
            roster = planned.roster or roster
        self._failpoint("settle.before")
        taken = store.settle(settlements, roster, now=now, config=digest) if settlements else 0
        self._failpoint("settle.after")
        if held:
            store.hold(held)
            warn_held(held)
        for settlement in settlements[:taken]:
            self._tell(settlement.person, settlement.plan)

    def _score_policy(self, brake: Brake) -> Policy:
        """Without score-only writes while their first flood has not been released (law 11)."""
        policy = self._policy()
        if policy.write_scores and brake.scores_flood() and not self._store.meta("scores_released"):
            if not self._store.meta("scores_held"):
                self._store.set_meta("scores_held", self._clock.now().isoformat())
                log.warning(
                    "Writing scores has paused after this hour's first; `syncagent release --scores` lets them go."
                )
            return structs.replace(policy, write_scores=False)
        return policy
