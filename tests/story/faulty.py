"""Whole lives on the stage of the crash tests, while something goes wrong in every beat of them.

In these lives leads are reassigned, escalated, given back, returned, put on hold, converted, won and lost. Nobody is
killed here: calls fail, answers are lost, records are refused, views are stale, quotas are spent.
"""

import itertools
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

from msgspec import Struct

from syncagent.agent import Agent
from syncagent.agent.orders import carry_out
from syncagent.clock import ManualClock, SystemClock
from syncagent.compose import compose, connectors
from syncagent.config import load
from tests.audited import assert_nobody_lost
from tests.crash.play import WORLDS

STEP = timedelta(seconds=15)
PATIENCE = timedelta(hours=1)

Fault = Mapping[str, Any]
"""What is planted at a vendor; `match` says which calls it hits."""


class Trouble(Struct, frozen=True):
    """What goes wrong in each beat: `faults` by the vendor's name on the stage, or `bad`: somebody who is refused.

    `slow`: it lasts so long that promises run out meanwhile; which steps fire is then another story.
    """

    faults: tuple[tuple[str, Fault], ...] = ()
    bad: Callable[["Lives"], Callable[[], None]] | None = None
    slow: bool = False


class Ends(Struct):
    """What came of everybody; `tasks` are those for reps, `journal` counts what was decided, `members` tells who is and
    who was in marketing's list.

    `returns`: who came up again, why, whether with the rep who had them before, and what their task says.
    """

    people: list[tuple[Any, ...]]
    handoffs: list[tuple[Any, ...]]
    members: list[str]
    tasks: list[tuple[Any, ...]]
    journal: Counter[tuple[str, str]]
    returns: list[tuple[str, str, bool, str]]
    struck: int


class Lives:
    """One agent, in this process, on a world's stage."""

    def __init__(self, world: str, folder: Path) -> None:
        self.world = WORLDS[world]
        self.theatre = self.world.make(folder)
        self.struck = 0

    def play(self, trouble: Trouble, *, mend: bool = True) -> Ends:
        """The whole story. Asserts that nobody is lost, nothing is told twice, and nothing left undone."""
        with self.theatre as theatre:
            self.clock = ManualClock(theatre.now)
            with (
                patch.object(SystemClock, "now", lambda _: self.clock.now()),
                patch.object(SystemClock, "wait", lambda _self, event, _seconds: event.is_set()),
            ):
                config = load(theatre.config)
                systems = connectors(config)
                self.agent: Agent = compose(config, clock=self.clock, systems=systems)
                try:
                    for number, (moment, _, act) in enumerate(self.world.beats):
                        self._move_to(moment)
                        undo = self._trouble(trouble) if number else None
                        if act is not None:
                            act(theatre)
                        self._until_quiet()
                        if undo is not None and mend:
                            undo()
                            self._until_quiet()
                    assert_nobody_lost(self.agent.store, self.agent.policy, self.clock.now())
                    outcome = self.world.reckon(theatre)
                    return self._ends(outcome)
                finally:
                    self._clear()
                    self.agent.close()

    def retry(self) -> None:
        """An admin has mended what was refused, and says so."""
        keys = [one.command.key for one in self.agent.store.outbox(("parked", "unknown"))]
        self.struck += len(keys)
        carry_out(self.agent, {"do": "outbox retry", "keys": keys})

    # -- how

    def _move_to(self, moment: Any) -> None:
        self.theatre.move_to(moment)
        self.clock.move_to(self.theatre.now)

    def _trouble(self, trouble: Trouble) -> Callable[[], None] | None:
        self._clear()
        for vendor, fault in trouble.faults:
            getattr(self.theatre, vendor).plant(**fault)
        return trouble.bad(self) if trouble.bad is not None else None

    def _clear(self) -> None:
        for vendor in {vendor for vendor, _ in self.world.faults}:
            control = getattr(self.theatre, vendor)
            self.struck += sum(fault["struck"] for fault in control.faults())
            control.clear_faults()

    def _until_quiet(self) -> None:
        begun, quiet = self.clock.now(), 0
        while quiet < 2:
            assert self.clock.now() < begun + PATIENCE, self.agent.store.outbox()
            self.agent.once()
            store = self.agent.store
            health = store.health(self.clock.now())
            if health.dirty or health.waiting_for_crm or any(health.down.values()) or self._under_way():
                quiet = 0
                self._move_to(self.clock.now() + STEP)
            else:
                quiet += 1

    def _under_way(self) -> bool:
        """Whether something is unsent, for all that it does not wait for something that was refused."""
        refused = {one.command.key for one in self.agent.store.outbox(("parked", "unknown"))}
        unsent = self.agent.store.outbox(("queued", "sending"))
        while more := {one.command.key for one in unsent if refused.intersection(one.command.depends_on)} - refused:
            refused |= more
        return any(one.command.key not in refused for one in unsent)

    def _ends(self, outcome: Mapping[str, Any]) -> Ends:
        theatre, store = self.theatre, self.agent.store
        handoffs, returns, bodies = [], [], self._bodies()
        for person in store.people(0, 1000):
            dossier = store.dossier(person)
            assert dossier is not None
            decided = dossier.decision.handoffs if dossier.decision is not None else ()
            who = next(iter(dossier.emails), "nobody")
            for before, after in itertools.pairwise(decided):
                same = before.assignments[-1].owner == after.assignments[0].owner
                returns.append((who, after.cause, same, bodies.get(f"{after.id}:a1:task", "")))
            handoffs += [(who, one.number, str(one.state), one.outcome, one.recycle_reason) for one in decided]
        tasks = [row for row in outcome["tasks"] if any(":task" in str(part) for part in row)]
        kinds = ("reassigned", "escalated", "recycled", "came_back", "closed", "reminded", "touched")
        told = store.journal(limit=100_000)
        assert theatre is not None
        return Ends(
            people=[_whole(row) for row in outcome["leads"] + outcome.get("contacts", [])],
            handoffs=sorted(handoffs),
            members=[*outcome["list"], *self._ins_and_outs()],
            tasks=sorted(_whole(row) for row in tasks),
            journal=Counter((one.handoff, one.kind) for one in told if one.kind in kinds),
            returns=sorted(returns),
            struck=self.struck,
        )

    def _ins_and_outs(self) -> list[str]:
        """Who was put into Marketo's list and taken out, in their order: who is in it last says too little."""
        if not hasattr(self.theatre, "marketo"):
            return []
        verbs = {24: "in", 25: "out"}  # marketing_automation.md 1.4
        rows = [one for one in self.theatre.marketo.dump()["activities"]["newest"] if one["activityTypeId"] in verbs]
        rows.sort(key=lambda one: (one["leadId"], one["activityDate"], one["id"]))
        return [f"{one['leadId']} {verbs[one['activityTypeId']]}" for one in rows]

    def _bodies(self) -> dict[str, str]:
        """What the tasks say in the CRM, by their keys without the installation's part."""
        if hasattr(self.theatre, "salesforce"):
            told = [(row.get("SyncAgent_Key__c"), row.get("Description")) for row in self.theatre.rows("Task")]
        else:
            rows = [row["properties"] for row in self.theatre.rows("tasks")]
            told = [(row["syncagent_key"], row.get("hs_task_body", "")) for row in rows]
        return {str(key).partition(":")[2]: str(text) for key, text in told}


def _whole(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """Without moments, which trouble puts off, and without the score, which is told at most once a day."""
    moments = (
        "MQL_Date__c",
        "mql_date",
        "Lead_Score__c",
        "lead_score",
        "Lead_Grade__c",
        "lead_grade",
        "Recycle_Until",
        "recycle_until",
    )
    kept = [part for part in row if not str(part).startswith(moments)]
    if "deleted" in kept:  # with its record: nobody closes it, or has closed it before
        kept = [part for part in kept if part not in ("open", "closed", "COMPLETED", "NOT_STARTED")]
    return tuple(part for part in kept if not (isinstance(part, str) and part[:4] == "2026"))
