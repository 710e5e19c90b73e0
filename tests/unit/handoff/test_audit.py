"""Law 6: each way in which somebody could fall into a hole is planted, and found."""

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from syncagent.handoff import Seen, adopt, longest_stay, plan, stand
from syncagent.handoff.calendar import after
from syncagent.model import CrmTask, Dossier, FieldChange, Handoff, HandoffState, Roster
from tests.unit.handoff.worlds import ANA, LEAD, LIVE, NOW, QUEUE, accept, answer, apply, dossier, policy, record, verbs

LATER = NOW + timedelta(minutes=1)
RUNS = Seen(wake_at=LATER + timedelta(minutes=5))


def handed_off() -> Dossier:
    """With Ana or Ben, task and clock and all."""
    first = apply(plan(dossier(), policy(), Roster(), NOW), dossier())
    return apply(plan(first, policy(), Roster(), LATER), first, LATER)


def changed(known: Dossier, **fields: Any) -> Dossier:
    """The same, with a current handoff that was damaged."""
    assert known.decision is not None
    handoffs = known.decision.handoffs
    damaged = replace(handoffs[-1], **fields)
    return replace(known, decision=replace(known.decision, handoffs=(*handoffs[:-1], damaged)))


def handoff(known: Dossier) -> Handoff:
    assert known.decision is not None
    assert known.decision.handoff is not None
    return known.decision.handoff


def test_the_states_of_a_life_are_told_and_nobody_is_lost() -> None:
    assert stand(dossier(), Seen(dirty=True), policy(), NOW).state == "being planned"
    assert stand(dossier(), Seen(held="handoff"), policy(), NOW).state == "held"
    known = handed_off()
    assert stand(known, RUNS, policy(), LATER).state == "with sales"
    known = answer(known, LATER, status="Recycled")
    told = plan(known, policy(), Roster(), LATER)
    back = apply(told, known, LATER)
    assert stand(back, Seen(wake_at=told.wake_at), policy(), LATER).state == "returning"
    known = answer(handed_off(), LATER, status="Unqualified")
    over = apply(plan(known, policy(), Roster(), LATER), known, LATER)
    assert stand(over, Seen(), policy(), LATER).state == "closed"
    assert stand(dossier(leads=(), records=(), activities=()), Seen(), policy(), NOW).state == ""


def test_a_timer_that_the_state_has_rounded_up_is_in_time() -> None:
    """Real clocks tell microseconds, and the state keeps whole milliseconds: no earlier than the timer's moment."""
    fine = LATER + timedelta(microseconds=39_231)
    known = handed_off()
    assert known.decision is not None
    known = replace(known, decision=replace(known.decision, stage_since=fine))
    over = after(fine, longest_stay(known.decision.stage, policy()), policy().timezone).replace(microsecond=40_000)
    assert stand(known, Seen(wake_at=over), policy(), LATER).state == "with sales"
    known = answer(known, LATER, status="Recycled")
    back = changed(known, state=HandoffState.RETURNING, outcome="recycled", come_back_at=fine + timedelta(days=3))
    comes = (fine + timedelta(days=3)).replace(microsecond=40_000)
    assert stand(back, Seen(wake_at=comes), policy(), LATER).state == "returning"


PLANTED = {
    "no timer runs": (lambda known: known, Seen()),
    "before its longest stay is over": (lambda known: known, Seen(wake_at=LATER + timedelta(days=91))),
    "nobody has looked": (lambda known: known, Seen(wake_at=LATER - timedelta(hours=2))),
    "nobody has it": (lambda known: changed(known, assignments=()), RUNS),
    "without an outcome": (lambda known: changed(known, state=HandoffState.CLOSED), Seen()),
    "has no date": (lambda known: changed(known, state=HandoffState.RETURNING, outcome="recycled"), RUNS),
    "no timer says so": (
        lambda known: changed(
            known, state=HandoffState.RETURNING, outcome="recycled", come_back_at=NOW + timedelta(days=3)
        ),
        Seen(wake_at=NOW + timedelta(days=4)),
    ),
    "and the handoff 17.1 is closed": (
        lambda known: changed(known, state=HandoffState.CLOSED, outcome="disqualified"),
        Seen(),
    ),
    "The CRM says disqualified": (lambda known: answer(known, LATER, status="Unqualified"), RUNS),
    "its record has no owner": (lambda known: answer(known, LATER, owner=""), RUNS),
    "nobody was given a task": (
        lambda known: replace(known, tasks=(), outbox=tuple(one for one in known.outbox if one.verb != "CreateTask")),
        RUNS,
    ),
    "2 states at once": (
        lambda known: replace(
            known,
            decision=replace(
                known.decision,
                handoffs=(replace(handoff(known), id="17.0", state=HandoffState.RETURNING), handoff(known)),
            ),
        ),
        RUNS,
    ),
}


@pytest.mark.parametrize("says", PLANTED)
def test_every_hole_that_is_dug_is_found(says: str) -> None:
    known = handed_off()
    assert stand(known, RUNS, policy(), LATER).state == "with sales"
    damage, seen = PLANTED[says]
    found = stand(damage(known), seen, policy(), LATER)
    assert found.state == "violation"
    assert says in found.why
    assert found.mend


def test_whoever_is_past_the_line_and_forgotten_is_found() -> None:
    forgotten = dossier()
    assert "nothing was decided" in stand(forgotten, Seen(), policy(), NOW).why
    waits = accept(plan(dossier(records=()), policy(), Roster(), NOW), dossier(records=()))
    assert stand(waits, Seen(), policy(), NOW).why == "not in the CRM"
    old = stand(forgotten, Seen(), policy(live_from=NOW), NOW)
    assert (old.state, old.why) == ("before", "ready by history")


def test_what_was_refused_is_parked_and_shown() -> None:
    known = accept(plan(dossier(), policy(), Roster(), NOW), dossier())
    refused = replace(known, outbox=tuple(replace(one, state="parked", why="No such owner.") for one in known.outbox))
    found = stand(refused, RUNS, policy(), NOW)
    assert (found.state, found.why) == ("parked", "No such owner.")


def test_leads_that_the_agent_never_wrote_are_watched_once_adopted() -> None:
    sales = dossier(activities=(), records=(record("Working", ANA),))
    decided = accept(plan(sales, policy(), Roster(), NOW), sales)
    assert stand(decided, Seen(), policy(live_from=NOW), NOW).state == "before"
    moved = FieldChange(LEAD, "h1", "status", "Open", "Working", ANA, LIVE + timedelta(days=2))
    own = replace(decided, changes=(moved,))
    found = stand(own, Seen(), policy(), NOW)
    assert (found.state, found.mend) == ("violation", "syncagent audit --adopt")
    taken = adopt(own, policy(), Roster(), NOW)
    assert taken is not None
    assert taken.commands == ()
    assert taken.roster is not None
    assert taken.roster.open == {ANA: 1}
    ours = accept(taken, own)
    told = plan(ours, policy(), Roster(), NOW)
    assert verbs(told) == []
    assert told.wake_at is not None
    assert stand(accept(told, ours), Seen(wake_at=told.wake_at), policy(), NOW).state == "with sales"
    assert adopt(ours, policy(), Roster(), NOW) is None


def test_what_was_given_back_without_us_gets_a_date_and_no_nurture() -> None:
    back = dossier(activities=(), records=(record("Recycled", QUEUE),))
    taken = adopt(back, policy(), Roster(), NOW)
    assert taken is not None
    ours = accept(taken, back)
    told = plan(ours, policy(), Roster(), NOW)
    assert "Nurture" not in verbs(told)
    assert stand(accept(told, ours), Seen(wake_at=told.wake_at), policy(), NOW).state == "returning"


def test_a_task_of_an_earlier_life_counts() -> None:
    known = handed_off()
    (task,) = [one for one in known.tasks if one.key.endswith(":task")]
    earlier: CrmTask = replace(task, key=f"e0:{task.key.partition(':')[2]}")
    bare = replace(known, tasks=(earlier,), outbox=tuple(one for one in known.outbox if one.verb != "CreateTask"))
    assert stand(bare, RUNS, policy(), LATER).state == "with sales"
