from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
import pytest
from syncagent.agent.orders import carry_out
from syncagent.config import parse
from syncagent.errors import StoreFullError
from syncagent.model import *
from tests.story.theatre import CONFIG, T0, Theatre
from tests.story.test_review import show, stage


def test_conflict_then_old_owner_gets_no_task(stage: Theatre) -> None:
    lead = stage.lead("mia")
    stage.agent.once()
    who = stage.person("mia", title="Director")
    stage.does(who, "form.submitted", "demo-request")
    stage.agent.gather("web")
    stage.agent.decide()
    stage.crm.edit(lead, "boss", stage.clock.now(), owner="carla")  # a person takes it before our write
    stage.agent.deliver("crm")  # conflict
    for _ in range(6):
        stage.after(minutes=1)
    show(stage, "mia")
    owners = {t.owner for t in stage.crm.tasks.values()}
    assert owners == {"carla"}


def test_outage_then_old_owner_gets_no_task(stage: Theatre) -> None:
    lead = stage.lead("mia")
    stage.agent.once()
    who = stage.person("mia", title="Director")
    stage.does(who, "form.submitted", "demo-request")
    stage.crm.fail_next("unsent", "apply", after=120)
    stage.agent.once()
    stage.crm.edit(lead, "boss", stage.clock.now(), owner="carla")  # a person takes it before our write
    for _ in range(6):
        stage.after(minutes=1)
    show(stage, "mia")
    owners = {t.owner for t in stage.crm.tasks.values()}
    assert owners == {"carla"}


def test_recycled_before_task(stage: Theatre) -> None:
    lead = stage.lead("mia")
    stage.agent.once()
    who = stage.person("mia", title="Director")
    stage.does(who, "form.submitted", "demo-request")
    stage.crm.fail_next("retry", "CreateTask", after=300)
    stage.agent.once()
    stage.after(minutes=1)
    stage.crm.edit(lead, "boss", stage.clock.now(), status="Unqualified")  # a person takes it before our write
    for _ in range(8):
        stage.after(minutes=1)
    show(stage, "mia")
    assert not stage.crm.tasks


def test_outage_then_refusal_still_alarms(stage: Theatre) -> None:
    lead = stage.lead("mia")
    stage.agent.once()
    who = stage.person("mia", title="Director")
    stage.does(who, "form.submitted", "demo-request")
    stage.crm.fail_next("down", "apply", until=stage.clock.now() + timedelta(minutes=20))
    stage.agent.once()
    stage.crm.fail_next("refused", "WriteLead")
    for _ in range(60):
        stage.after(minutes=1)
    show(stage, "mia")
    assert [t for t in stage.crm.tasks.values() if t.owner == "boss"]


def test_new_record_refused_alarms(stage: Theatre) -> None:
    who = stage.person("mia", title="Director")
    stage.does(who, "form.submitted", "demo-request")
    stage.crm.fail_next("refused", "WriteLead")
    for _ in range(60):
        stage.after(minutes=1)
    show(stage, "mia")
    assert [t for t in stage.crm.tasks.values() if t.owner == "boss"]


def test_drop_the_first_write_ends_the_handoff(stage: Theatre) -> None:
    stage.lead("mia")
    stage.agent.once()
    who = stage.person("mia", title="Director")
    stage.crm.fail_next("refused", "WriteLead")
    stage.does(who, "form.submitted", "demo-request")
    stage.agent.once()
    (parked,) = stage.agent.store.outbox(("parked",))
    carry_out(stage.agent, {"do": "outbox drop", "keys": [parked.command.key]})
    stage.after(minutes=1)
    show(stage, "mia")
    assert stage.dossier("mia").decision.handoffs[-1].outcome == "withdrawn"


def test_reassigned_to_rep_while_cold(stage: Theatre) -> None:
    """merge of two persons, both new, in flight"""
    a = stage.person("mia", title="Director")
    stage.does(a, "form.submitted", "demo-request")
    b = stage.person("mia2", title="Director")
    stage.does(b, "form.submitted", "demo-request")
    stage.crm.fail_next("unsent", "apply", after=120)
    stage.agent.once()
    stage.web.feed([Merged(a, (b,), stage.clock.now())])
    for _ in range(10):
        stage.after(minutes=1)
    show(stage, "mia")
    print(len(stage.crm.records))
    assert len([t for t in stage.crm.tasks.values() if not t.closed]) == 1


def test_away_rep(tmp_path: Path) -> None:
    config = CONFIG.replace(
        'to = { pool = ["Ana Silva", "Ben Ode"], fallback_queue = "Inbound" }',
        'to = { pool = ["Ana Silva"], fallback_queue = "Inbound" }',
    ).replace('crm_id = "ana"', 'crm_id = "ana"\naway = ["2026-03-02"]')
    with Theatre(tmp_path, config) as stage:
        stage.agent.once()
        stage.clock.advance(timedelta(minutes=1))
        stage.does(stage.person("mia", title="Director"), "form.submitted", "demo-request")
        stage.agent.once()
        assert stage.record("mia").fields["owner"] == "queue"
        for _ in range(24 * 3):
            stage.after(hours=1)
        show(stage, "mia")
        assert stage.record("mia").fields["owner"] == "ana"
