from datetime import timedelta
import pytest
from syncagent.errors import ConnectorDownError
from syncagent.model import *
from tests.story.theatre import CONFIG, T0, Theatre
from tests.story.test_review import show, stage


def test_a_record_read_after_the_decision_is_no_answer(stage: Theatre) -> None:
    """Marketing's own sync makes the lead while our handoff is on its way: nobody has answered anything."""
    stage.does(stage.person("mia", title="Director"), "form.submitted", "demo-request")
    stage.agent.gather("web")
    stage.agent.decide()
    now = stage.clock.now()
    stage.crm.feed(
        [
            CrmRecord(
                Identity("crm", "Lead", "x"),
                now,
                now,
                "marketo-sync",
                {"status": "Open", "owner": "syncuser"},
                ("mia@example.com",),
            )
        ]
    )
    for _ in range(6):
        stage.after(minutes=1)
    show(stage, "mia")
    r = stage.record("mia")
    assert r.fields["status"] == "Sales Ready"
    assert r.fields["owner"] in ("ana", "ben")
    assert {t.owner for t in stage.crm.tasks.values()} <= {"ana", "ben"}


def test_down_until_a_moment_that_is_past(stage: Theatre, monkeypatch) -> None:
    stage.does(stage.person("mia", title="Director"), "form.submitted", "demo-request")
    stage.agent.gather("web")
    stage.agent.decide()
    stage.crm.fail_next("down", "apply", until=stage.clock.now())
    whole = stage.agent.store.set_meta

    def other_thread(name, value):
        monkeypatch.setattr(stage.agent.store, "set_meta", whole)
        stage.agent._is_down("crm")
        whole(name, value)

    monkeypatch.setattr(stage.agent.store, "set_meta", other_thread)
    stage.agent.deliver("crm")


def test_short_wait_does_not_shorten_a_long_one(stage: Theatre) -> None:
    stage.does(stage.person("mia", title="Director"), "form.submitted", "demo-request")
    stage.agent.gather("web")
    stage.agent.decide()
    stage.crm.fail_next("down", "apply", until=stage.clock.now() + timedelta(hours=5))
    stage.agent.deliver("crm")
    stage.crm.fail_next("unsent", "pull", after=5)
    with stage.agent._watch("crm"):
        from syncagent.errors import RetryableError

        raise RetryableError("x", 5)  # the poll that was under way in its own thread
    stage.clock.advance(timedelta(seconds=10))
    assert stage.agent._is_down("crm")


def test_a_due_promise_does_not_wait_behind_a_sweep(stage: Theatre) -> None:
    stage.does(stage.person("mia", title="Director"), "form.submitted", "demo-request")
    stage.agent.once()
    stage.after(seconds=1)
    from syncagent.agent.orders import sweep

    stage.clock.advance(timedelta(minutes=31))
    sweep(stage.agent)
    assert stage.agent.store.unsettled(stage.clock.now(), 10, lane=Lane.HOT).dossiers


def test_mass_recycle_is_braked(tmp_path) -> None:
    config = CONFIG + "[handoff.brake]\nper_hour = 20\nshare = 0.0\nper_rep = 1000\nhand_raisers_per_hour = 200\n"
    with Theatre(tmp_path, config) as stage:
        stage.agent.once()
        stage.clock.advance(timedelta(minutes=1))
        for n in range(60):
            stage.does(stage.person(f"p{n}"), "form.submitted", "contact-sales")
        stage.agent.once()
        stage.after(minutes=5)
        for r in list(stage.crm.records):
            stage.crm.edit(r, "dataloader", stage.clock.now(), status="Recycled")
        stage.after(minutes=1)
        stage.after(minutes=1)
        print(len(stage.web.nurtured))
        assert len(stage.web.nurtured) <= 20


def test_a_task_does_not_wait_for_a_withdrawn_write(tmp_path) -> None:
    """The admin sets by hand what was refused: the write is withdrawn, its task waits for it for ever."""
    head, _, rest = CONFIG.partition("[crm.fields]")
    config = head + rest[rest.index("[crm.status]") :]
    with Theatre(tmp_path, config) as stage:
        lead = stage.lead("mia")
        stage.agent.once()
        stage.clock.advance(timedelta(minutes=1))
        stage.crm.fail_next("refused", "WriteLead")
        stage.does(stage.person("mia", title="Director"), "form.submitted", "demo-request")
        stage.agent.once()
        owner = stage.dossier("mia").decision.handoffs[-1].assignments[-1].owner
        stage.crm.edit(lead, "admin", stage.clock.now(), status="Sales Ready", owner=owner)
        for _ in range(4):
            stage.after(minutes=1)
        show(stage, "mia")
        assert [t.owner for t in stage.tasks("mia")] == [owner]


@pytest.mark.parametrize("verb", ["outbox retry", "outbox drop"])
def test_the_admin_mends_the_record_then_retries_or_drops(stage: Theatre, verb: str) -> None:
    from syncagent.agent.orders import carry_out

    lead = stage.lead("mia")
    stage.agent.once()
    stage.crm.fail_next("refused", "WriteLead")
    stage.does(stage.person("mia", title="Director"), "form.submitted", "demo-request")
    stage.agent.once()
    owner = stage.dossier("mia").decision.handoffs[-1].assignments[-1].owner
    (parked,) = stage.agent.store.outbox(("parked",))
    stage.crm.edit(lead, "admin", stage.clock.now(), status="Sales Ready", owner=owner)
    stage.after(seconds=30)
    carry_out(stage.agent, {"do": verb, "keys": [parked.command.key]})
    for _ in range(10):
        stage.after(minutes=5)
    show(stage, "mia")
    assert stage.dossier("mia").decision.handoffs[-1].clock_started_at is not None
    assert owner in [t.owner for t in stage.tasks("mia")]
