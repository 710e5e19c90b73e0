"""Promises through the whole agent: what only looks like a touch, what was said in a call, how the lead passes on."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from syncagent.handoff.sla import running
from syncagent.model import Handoff
from tests.story.office import Office, office
from tests.story.theatre import CONFIG, Theatre

SPOKEN = """
[[sla]]
name = "spoken to"
first_conversation = "2h"
steps = [{ at = "50%", do = "remind" }, { at = "100%", do = "reassign" }]
"""


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Theatre]:
    with Theatre(tmp_path, CONFIG) as theatre:
        theatre.agent.once()
        theatre.clock.advance(timedelta(minutes=1))
        yield theatre


def given(stage: Theatre, *names: str) -> None:
    """They ask for a demo, and have a rep whose clock runs."""
    for name in names:
        stage.does(stage.person(name, title="Director"), "form.submitted", "demo-request")
    stage.agent.once()
    stage.after(seconds=30)


def handoff(stage: Theatre, name: str) -> Handoff:
    decision = stage.dossier(name).decision
    assert decision is not None and decision.handoff is not None
    return decision.handoff


def works(stage: Theatre, name: str) -> None:
    """The owner says that they are at it."""
    record = stage.record(name)
    stage.crm.edit(record.identity, str(record.fields["owner"]), stage.clock.now(), status="Working")


def test_a_rep_who_ticks_off_many_leads_at_once_stops_no_clock(stage: Theatre) -> None:
    names = [f"lead{n}" for n in range(26)]
    given(stage, *names, "mia")
    stage.clock.advance(timedelta(minutes=5))
    for name in names:
        works(stage, name)  # 13 leads each, in the same second
    stage.clock.advance(timedelta(seconds=10))
    works(stage, "mia")
    stage.after(seconds=5)
    assert handoff(stage, "mia").touched_by == stage.record("mia").fields["owner"]
    for name in names:
        assert handoff(stage, name).touched_at is None, name
        (touch,) = handoff(stage, name).touches
        assert touch.why_not == "many records were changed in the same second"
    stage.after(minutes=27)
    reminded = [name for name in names if any(":s1.0:alert" in task.key for task in stage.tasks(name))]
    assert reminded == names, "the clocks have run on"


def test_a_bulk_edit_that_comes_in_two_parts_is_one(stage: Theatre) -> None:
    """What was believed of the first part is taken back with the second."""
    names = [f"lead{n}" for n in range(24)]
    given(stage, *names)
    owners = {name: str(stage.record(name).fields["owner"]) for name in names}
    ana = [name for name in names if owners[name] == "ana"]
    moment = stage.clock.now()
    for name in ana[:5]:
        works(stage, name)
    stage.after(seconds=20)
    assert all(handoff(stage, name).touched_at for name in ana[:5])
    for name in ana[5:]:  # the CRM shows them later, with the same stamp
        stage.crm.edit(stage.record(name).identity, "ana", moment, status="Working")
    stage.after(seconds=20)
    assert len(ana) >= 10
    assert not [name for name in ana if handoff(stage, name).touched_at]
    kinds = [entry.kind for entry in stage.agent.store.journal(limit=400)]
    assert kinds.count("touch.withdrawn") == 5


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Office]:
    with office(tmp_path, more=SPOKEN) as made:
        yield made


def at_the_desk(desk: Office, email: str) -> Handoff:
    decision = desk.dossier(email).decision
    assert decision is not None and decision.handoff is not None
    return decision.handoff


def test_only_a_call_that_reached_them_is_a_conversation(desk: Office) -> None:
    """As Salesforce tells it: the call's result; and the next rep reads what was tried."""
    [anna, paul] = desk.ask(2)
    desk.until_quiet()
    for email, outcome in ((anna, "Connected"), (paul, "Left Voicemail")):
        lead = next(row for row in desk.rows("Lead") if row["Email"] == email)
        desk.salesforce.act("log_call", lead=lead["Id"], outcome=outcome, **{"as": lead["OwnerId"]})
    desk.until_quiet()
    assert [one.counts for one in at_the_desk(desk, anna).touches] == [("first touch", "first conversation")]
    assert [one.counts for one in at_the_desk(desk, paul).touches] == [("first touch",)]
    assert [one.sla.name for one in running(at_the_desk(desk, paul))] == ["spoken to"]
    desk.after(hours=2)
    desk.until_quiet()
    first, second = at_the_desk(desk, paul).assignments
    assert len(at_the_desk(desk, anna).assignments) == 1
    task = next(row for row in desk.tasks() if row["SyncAgent_Key__c"].endswith(".1:a2:task"))
    assert task["OwnerId"] == second.owner != first.owner
    assert "Tried: Call (Left Voicemail)." in task["Description"]
    assert "no conversation in the promised time (121.7 minutes)" in task["Description"]
    old = next(row for row in desk.tasks() if row["WhoId"] == task["WhoId"] and row["OwnerId"] == first.owner)
    assert old["IsClosed"] and "no conversation in the promised time" in old["Description"]
    assert "Kept the first touch" in desk.screen("explain", paul)


FAULTS = [{"drop": "after"}, {"drop": "before"}, {"cut": True}, {"empty": 500, "execute": True}, {"status": 503}]


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_lead_passes_on_once_whatever_becomes_of_the_answers(desk: Office, fault: dict[str, Any]) -> None:
    """Reassigned at two hours, and the next writes go wrong, or their answers are lost."""
    [email] = desk.ask()
    desk.until_quiet()
    desk.salesforce.plant(match={"path": "composite/sobjects"}, times=3, **fault)
    desk.after(hours=2)
    desk.until_quiet()
    (struck,) = (one["struck"] for one in desk.salesforce.faults())
    assert struck >= 2
    first, second = at_the_desk(desk, email).assignments
    lead = next(row for row in desk.rows("Lead") if row["Email"] == email)
    tasks = {row["SyncAgent_Key__c"].rpartition(".1:")[2]: row for row in desk.tasks()}
    assert lead["OwnerId"] == second.owner != first.owner
    assert {key: row["IsClosed"] for key, row in tasks.items()} == {"a1:task": True, "a2:task": False}
    assert tasks["a2:task"]["OwnerId"] == second.owner
    kinds = [entry.kind for entry in desk.journal(email)]
    assert kinds.count("reassigned") == 1 and kinds.count("clock.started") == 2
    desk.assert_nothing_left()
