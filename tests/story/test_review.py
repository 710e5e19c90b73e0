"""Suspicions, each a short story."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
import pytest
from syncagent.agent.orders import carry_out
from syncagent.config import parse
from syncagent.errors import StoreFullError
from syncagent.model import CrmRecord, CrmUser, Identity, Lane, HandoffState
from tests.story.theatre import CONFIG, T0, Theatre


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Theatre]:
    with Theatre(tmp_path) as theatre:
        theatre.agent.once()
        theatre.clock.advance(timedelta(minutes=1))
        yield theatre


def show(stage, name):
    d = stage.dossier(name)
    for h in d.decision.handoffs:
        print(
            "HANDOFF",
            h.id,
            h.state,
            h.outcome,
            [(a.owner, a.pinned, a.queue) for a in h.assignments],
            "clock",
            h.clock_started_at,
            "touched",
            h.touched_at,
        )
    for o in stage.agent.store.outbox(("queued", "sending", "parked", "conflict", "unknown", "dropped", "done")):
        print("OUTBOX", o.command.key, o.state, o.revision, o.command.attempt, o.why)
    for e in sorted(stage.agent.store.journal(limit=50), key=lambda e: e.id):
        print("J", e.at, e.person, e.kind, e.why)
    for t in stage.crm.tasks.values():
        print("TASK", t.owner, t.key, t.subject, t.closed)


def test_conflict_then_old_owner_gets_no_task(stage: Theatre) -> None:
    lead = stage.lead("mia")
    stage.agent.once()
    who = stage.person("mia", title="Director")
    stage.does(who, "form.submitted", "demo-request")
    stage.agent.gather("web")
    stage.agent.decide()
    stage.crm.edit(lead, "boss", stage.clock.now(), owner="carla")  # a person takes it before our write
    stage.agent.once()
    for _ in range(6):
        stage.after(minutes=1)
    show(stage, "mia")
    owners = {t.owner for t in stage.crm.tasks.values()}
    assert owners == {"carla"}


def test_dropped_write_then_new_handoff(stage: Theatre) -> None:
    stage.lead("mia")
    stage.agent.once()
    who = stage.person("mia", title="Director")
    stage.crm.fail_next("refused", "WriteLead")
    stage.does(who, "form.submitted", "demo-request")
    stage.agent.once()
    (parked,) = stage.agent.store.outbox(("parked",))
    carry_out(stage.agent, {"do": "outbox drop", "keys": [parked.command.key]})
    stage.after(minutes=1)
    stage.after(days=1)
    stage.does(who, "form.submitted", "contact-sales")
    for _ in range(5):
        stage.after(minutes=1)
    show(stage, "mia")
    assert len(stage.tasks("mia")) == 1


def test_conflict_that_went_back(stage: Theatre) -> None:
    lead = stage.lead("mia")
    stage.agent.once()
    who = stage.person("mia", title="Director")
    stage.does(who, "form.submitted", "demo-request")
    stage.agent.gather("web")
    stage.agent.decide()
    stage.crm.edit(lead, "boss", stage.clock.now(), status="Looking")
    stage.agent.deliver("crm")
    stage.clock.advance(timedelta(seconds=10))
    stage.crm.edit(lead, "boss", stage.clock.now(), status="Open")
    for _ in range(30):
        stage.after(minutes=10)
    show(stage, "mia")
    assert stage.tasks("mia")


def test_conflict_on_the_task(stage: Theatre) -> None:
    lead = stage.lead("mia")
    stage.agent.once()
    who = stage.person("mia", title="Director")
    stage.does(who, "form.submitted", "demo-request")
    stage.crm.fail_next("conflict", "CreateTask", why="WhoId is deleted (merged)")
    stage.agent.once()
    for _ in range(30):
        stage.after(minutes=10)
    show(stage, "mia")
    assert stage.tasks("mia")


def test_queue_is_not_a_rep_for_the_brake(tmp_path: Path) -> None:
    config = CONFIG.replace(
        'to = { pool = ["Ana Silva", "Ben Ode"], fallback_queue = "Inbound" }', 'to = { queue = "Inbound" }'
    )
    with Theatre(tmp_path, config) as stage:
        stage.agent.once()
        stage.clock.advance(timedelta(minutes=1))
        for n in range(25):
            stage.does(stage.person(f"p{n}"), "form.submitted", "contact-sales")
        stage.agent.once()
        stage.after(hours=5)
        assert not stage.agent.store.held()


def test_daily_cap_is_over_at_midnight(tmp_path: Path) -> None:
    config = CONFIG.replace('crm_id = "ana"', 'crm_id = "ana"\ncap = { per_day = 1 }').replace(
        'crm_id = "ben"', 'crm_id = "ben"\ncap = { per_day = 1 }'
    )
    config = config.replace('{ at = "100%", do = "reassign" },', "")
    with Theatre(tmp_path, config) as stage:
        stage.agent.once()
        stage.clock.advance(timedelta(minutes=1))
        for n in range(3):
            stage.does(stage.person(f"p{n}", title="Director"), "form.submitted", "demo-request")
        stage.agent.once()
        assert sorted(r.fields["owner"] for r in stage.crm.records.values()) == ["ana", "ben", "queue"]
        for _ in range(24 * 3):
            stage.after(hours=1)
        for n in range(3):
            print(stage.record(f"p{n}").fields["owner"])
        show(stage, "p2")
        assert "queue" not in {r.fields["owner"] for r in stage.crm.records.values()}


def test_full_disk_at_confirm(stage: Theatre, monkeypatch) -> None:
    who = stage.person("mia", title="Director")
    stage.does(who, "form.submitted", "demo-request")
    whole = stage.agent.store.confirm
    calls = []

    def full(*a, **k):
        calls.append(1)
        if len(calls) == 1:
            raise StoreFullError("full")
        return whole(*a, **k)

    monkeypatch.setattr(stage.agent.store, "confirm", full)
    try:
        stage.agent.once()
    except StoreFullError:
        pass
    for _ in range(10):
        stage.after(minutes=1)
    show(stage, "mia")
    assert not stage.agent.store.outbox(("sending",))
    assert stage.tasks("mia")


def test_hot_beside_cold_in_flight(stage: Theatre, monkeypatch) -> None:
    stage.lead("mia")
    stage.agent.once()
    who = stage.person("mia", title="Director")  # a score-only write
    stage.agent.gather("web")
    stage.agent.decide()
    whole = stage.crm.apply

    def meanwhile(batch):
        monkeypatch.setattr(stage.crm, "apply", whole)
        stage.does(who, "form.submitted", "contact-sales")
        stage.agent.gather("web")
        stage.agent.decide()
        return whole(batch)

    monkeypatch.setattr(stage.crm, "apply", meanwhile)
    assert stage.agent.deliver("crm", Lane.COLD) == 1
    monkeypatch.setattr(stage.crm, "calls", lambda: {"made": 1, "used": 701, "limit": 1000})

    def work():
        while stage.agent.decide() or stage.agent.deliver("crm", Lane.HOT) or stage.agent.deliver("crm", Lane.COLD):
            pass

    work()
    for _ in range(20):
        stage.clock.advance(timedelta(minutes=1))
        stage.agent.gather("crm")
        work()
    show(stage, "mia")
    assert stage.tasks("mia")


def test_policy_changed_at_restart(stage: Theatre) -> None:
    who = stage.person("tim", title="Manager")
    stage.does(who, "form.submitted", "demo-request")  # 40 points
    stage.after(minutes=1)
    assert not stage.crm.records
    stage.config = parse(CONFIG.replace("score = 65", "score = 30"), Path())
    stage.restart()
    stage.after(minutes=1)
    stage.after(days=2)
    assert stage.tasks("tim")


def test_crm_clock_ahead(stage: Theatre) -> None:
    stage.crm.clock = lambda: stage.clock.now() + timedelta(minutes=5)
    who = stage.person("mia", title="Director")
    stage.does(who, "form.submitted", "demo-request")
    stage.agent.once()
    stage.after(seconds=1)
    stage.after(minutes=28)  # the last poll
    stage.clock.advance(timedelta(minutes=1))
    (task,) = stage.tasks("mia")
    stage.crm.complete(task.identity, task.owner, stage.crm.clock())
    stage.clock.advance(timedelta(minutes=1, seconds=30))
    stage.agent.settle_down()  # due, and the CRM was read 2.5 minutes ago
    show(stage, "mia")
    assert len(stage.crm.tasks) == 1


def test_source_clock_ahead(stage: Theatre) -> None:
    who = stage.person("mia", title="Director")
    stage.does(who, "form.submitted", "contact-sales", at=stage.clock.now() + timedelta(minutes=5))
    stage.agent.once()
    stage.after(seconds=30)
    stage.crm.edit(stage.record("mia").identity, "ana", stage.clock.now(), status="Unqualified")
    stage.after(seconds=30)
    for _ in range(8):
        stage.after(minutes=1)
    show(stage, "mia")
    assert len(stage.dossier("mia").decision.handoffs) == 1


def test_reapply_beside_decide(stage: Theatre, monkeypatch) -> None:
    stage.does(stage.person("mia", title="Director"), "form.submitted", "demo-request")
    stage.agent.once()
    stage.after(seconds=1)
    stage.agent.policy = parse(CONFIG.replace('first_touch = "60m"', 'first_touch = "10m"'), Path()).policy(
        stage.agent.policy.live_from
    )
    import msgspec
    from syncagent.agent import orders

    whole = stage.agent.store.settle

    def slow(settlements, roster, **k):
        monkeypatch.setattr(stage.agent.store, "settle", whole)
        stage.does(stage.person("bob", title="Director"), "form.submitted", "demo-request")
        assert stage.agent.deciding.locked()  # the deciding thread waits
        return whole(settlements, roster, **k)

    monkeypatch.setattr(stage.agent.store, "settle", slow)
    carry_out(stage.agent, {"do": "reapply", "go": True})
    stage.agent.once()
    assert sum(stage.agent.store.roster().open.values()) == 2


def test_rep_inactive_between(stage: Theatre) -> None:
    for rep in ("ana", "ben"):
        stage.crm.feed([CrmUser(Identity("crm", "User", rep), rep)])
    stage.lead("mia")
    stage.agent.once()
    who = stage.person("mia", title="Director")
    stage.does(who, "form.submitted", "demo-request")
    stage.agent.gather("web")
    stage.agent.decide()
    stage.crm.fail_next("refused", "WriteLead", why="INACTIVE_OWNER_OR_USER")
    stage.agent.deliver("crm")
    first = stage.dossier("mia").decision.handoffs[-1].assignments[-1].owner
    stage.crm.feed([CrmUser(Identity("crm", "User", first), first, active=False)])
    for _ in range(60):
        stage.after(hours=1)
    show(stage, "mia")
    assert any(t.owner not in (first, "boss") for t in stage.crm.tasks.values())


def test_sighup_orphans(stage: Theatre) -> None:
    pass
