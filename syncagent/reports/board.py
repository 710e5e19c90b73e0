"""The promises that run: whose lead is due when, what comes next, who is late. The admin's board."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Literal

from msgspec import Struct

from syncagent.handoff.sla import due_at, pending_steps, running
from syncagent.handoff.team import called_by
from syncagent.model import Handoff, HandoffState, Roster
from syncagent.policy import Policy
from syncagent.state.store import Store

SOON = timedelta(hours=1)
_PAGE = 500


class Promise(Struct, frozen=True):
    """One clock of one handoff. `due`: when the whole promised time has passed; None while the clock stands still.

    `state`: "late", "running", "still" (the CRM's status pauses it), "unstarted" (not in the CRM yet, with its task).
    `next_do` at `next_at`: the step that fires next, empty when none is left.
    """

    person: int
    handoff: str
    owner: str
    called: str
    sla: str
    promised: str
    state: Literal["late", "running", "still", "unstarted"]
    since: datetime
    due: datetime | None
    next_do: str
    next_at: datetime | None
    cause: str
    grade: str


class Load(Struct, frozen=True):
    """What one owner has to do."""

    called: str
    open: int
    late: int
    soon: int


class Board(Struct, frozen=True):
    """All that is with sales at `at`. `rows`: the first ones by when they are due, late ones first; `count`: of all."""

    at: datetime
    people: int
    count: int
    late: int
    soon: int
    still: int
    unstarted: int
    rows: tuple[Promise, ...]
    owners: tuple[Load, ...]


def board(store: Store, policy: Policy, now: datetime, most: int = 100) -> Board:
    """Read everybody who is with sales, some at a time. Without promises there is a row for nobody."""
    roster = store.roster()
    people, after = 0, 0
    rows: list[Promise] = []
    count: dict[str, int] = {"late": 0, "running": 0, "still": 0, "unstarted": 0}
    soon = 0
    loads: dict[str, list[int]] = {}
    while some := store.people(after, _PAGE, with_sales=True):
        after = some[-1]
        for person, decision in store.decided(some).items():
            for handoff in decision.handoffs:
                if handoff.state is not HandoffState.WITH_SALES:
                    continue
                people += 1
                for row in _promises(person, handoff, policy, roster, now):
                    rows.append(row)
                    count[row.state] += 1
                    near = row.state == "running" and row.due is not None and row.due - now <= SOON
                    soon += near
                    load = loads.setdefault(row.called, [0, 0, 0])
                    load[0] += 1
                    load[1] += row.state == "late"
                    load[2] += near
        if len(rows) > most + _PAGE:
            rows = sorted(rows, key=_urgency)[:most]
    owners = [Load(called, *load) for called, load in loads.items()]
    return Board(
        now,
        people,
        sum(count.values()),
        count["late"],
        soon,
        count["still"],
        count["unstarted"],
        tuple(sorted(rows, key=_urgency)[:most]),
        tuple(sorted(owners, key=lambda one: (-one.late, -one.soon, -one.open, one.called))),
    )


def _promises(person: int, handoff: Handoff, policy: Policy, roster: Roster, now: datetime) -> Iterator[Promise]:
    if not handoff.assignments:
        return
    owner = handoff.assignments[-1].owner
    called = called_by(policy, roster, owner)
    steps = pending_steps(handoff, policy)
    for clock in running(handoff):
        due = due_at(handoff, clock, 1.0, policy)
        step = next((one for one in steps if one.clock.number == clock.number), None)
        yield Promise(
            person,
            handoff.id,
            owner,
            called,
            clock.sla.name,
            clock.sla.promised,
            "still" if due is None else "late" if due <= now else "running",
            clock.start,
            due,
            step.step.do if step is not None else "",
            step.at if step is not None else None,
            handoff.cause,
            handoff.grade,
        )
    sla = handoff.sla
    if sla is not None and handoff.clock_started_at is None and handoff.touched_at is None:
        since, why = handoff.opened_at, handoff.cause
        state: Literal["unstarted"] = "unstarted"
        yield Promise(
            person, handoff.id, owner, called, sla.name, sla.promised, state, since, None, "", None, why, handoff.grade
        )


_FAR = timedelta(days=36_500)
_ORDER = {"late": 0, "running": 0, "unstarted": 1, "still": 2}


def _urgency(one: Promise) -> tuple[int, datetime, int]:
    return _ORDER[one.state], one.due or one.since, one.person
