"""Races: two who act at once, clocks that disagree, and admins who mend things by hand."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest

from syncagent.agent.orders import carry_out, sweep
from syncagent.agent.outages import READING, WRITING
from syncagent.config import parse
from syncagent.errors import RetryableError, StoreFullError
from syncagent.model import CrmRecord, CrmUser, Identity, Lane, Merged
from tests.story.theatre import CONFIG, Theatre


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Theatre]:
    with Theatre(tmp_path) as theatre:
        theatre.agent.once()
        theatre.clock.advance(timedelta(minutes=1))
        yield theatre


def test_a_rep_who_takes_a_lead_before_our_write_gets_the_only_task(stage: Theatre) -> None:
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
    owners = {t.owner for t in stage.crm.tasks.values()}
    assert owners == {"carla"}


def drop_the_first_write(stage: Theatre) -> Identity:
    """Mia asks for sales, her first write is refused, and the admin gives it up."""
    stage.lead("mia")
    stage.agent.once()
    who = stage.person("mia", title="Director")
    stage.crm.fail_next("refused", "WriteLead")
    stage.does(who, "form.submitted", "demo-request")
    stage.agent.once()
    (parked,) = stage.agent.store.outbox(("parked",))
    carry_out(stage.agent, {"do": "outbox drop", "keys": [parked.command.key]})
    stage.after(minutes=1)
    return who


def test_a_new_handoff_after_a_dropped_write_is_delivered(stage: Theatre) -> None:
    who = drop_the_first_write(stage)
    stage.after(days=1)
    stage.does(who, "form.submitted", "contact-sales")
    for _ in range(5):
        stage.after(minutes=1)
    assert len(stage.tasks("mia")) == 1


def test_a_task_whose_record_had_moved_on_is_sent_again(stage: Theatre) -> None:
    stage.lead("mia")
    stage.agent.once()
    who = stage.person("mia", title="Director")
    stage.does(who, "form.submitted", "demo-request")
    stage.crm.fail_next("conflict", "CreateTask", why="WhoId is deleted (merged)")
    stage.agent.once()
    for _ in range(30):
        stage.after(minutes=10)
    assert [task for task in stage.tasks("mia") if task.owner != "boss"]


def test_a_queue_is_not_braked_like_a_rep(tmp_path: Path) -> None:
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


def test_a_daily_cap_ends_at_midnight(tmp_path: Path) -> None:
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
        assert "queue" not in {r.fields["owner"] for r in stage.crm.records.values()}


def test_an_answer_that_meets_a_full_disk_is_stored_later(stage: Theatre, monkeypatch: pytest.MonkeyPatch) -> None:
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
    with suppress(StoreFullError):
        stage.agent.once()
    for _ in range(10):
        stage.after(minutes=1)
    assert not stage.agent.store.outbox(("sending",))
    assert stage.tasks("mia")


def test_a_hot_write_overtakes_the_cold_one_in_flight(stage: Theatre, monkeypatch: pytest.MonkeyPatch) -> None:
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
    assert stage.tasks("mia")


def test_a_config_changed_between_two_runs_counts_for_everybody(stage: Theatre) -> None:
    who = stage.person("tim", title="Manager")
    stage.does(who, "form.submitted", "demo-request")  # 40 points
    stage.after(minutes=1)
    assert not stage.crm.records
    stage.config = parse(CONFIG.replace("score = 65", "score = 30"), Path())
    stage.restart()
    stage.after(minutes=1)
    stage.after(days=2)
    assert stage.tasks("tim")


def test_no_promise_fires_on_a_view_that_only_their_clock_makes_fresh(stage: Theatre) -> None:
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
    assert len(stage.crm.tasks) == 1


def test_one_raised_hand_opens_one_handoff_whatever_its_stamp(stage: Theatre) -> None:
    who = stage.person("mia", title="Director")
    stage.does(who, "form.submitted", "contact-sales", at=stage.clock.now() + timedelta(minutes=5))
    stage.agent.once()
    stage.after(seconds=30)
    stage.crm.edit(stage.record("mia").identity, "ana", stage.clock.now(), status="Unqualified")
    stage.after(seconds=30)
    for _ in range(8):
        stage.after(minutes=1)
    assert len(stage.dossier("mia").decision.handoffs) == 1


def test_reapply_waits_for_no_batch_and_no_batch_for_it(stage: Theatre, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.does(stage.person("mia", title="Director"), "form.submitted", "demo-request")
    stage.agent.once()
    stage.after(seconds=1)
    stage.agent.policy = parse(CONFIG.replace('first_touch = "60m"', 'first_touch = "10m"'), Path()).policy(
        stage.agent.policy.live_from
    )

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


def test_a_refused_lead_leaves_a_rep_who_was_deactivated(stage: Theatre) -> None:
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
    assert any(t.owner not in (first, "boss") for t in stage.crm.tasks.values())


def test_a_rep_who_takes_a_lead_during_an_outage_gets_the_only_task(stage: Theatre) -> None:
    lead = stage.lead("mia")
    stage.agent.once()
    who = stage.person("mia", title="Director")
    stage.does(who, "form.submitted", "demo-request")
    stage.crm.fail_next("unsent", "apply", after=120)
    stage.agent.once()
    stage.crm.edit(lead, "boss", stage.clock.now(), owner="carla")  # a person takes it before our write
    for _ in range(6):
        stage.after(minutes=1)
    owners = {t.owner for t in stage.crm.tasks.values()}
    assert owners == {"carla"}


def test_a_lead_given_back_before_its_task_gets_none(stage: Theatre) -> None:
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
    assert not stage.crm.tasks


def test_a_refusal_after_an_outage_is_told_to_the_manager(stage: Theatre) -> None:
    stage.lead("mia")
    stage.agent.once()
    who = stage.person("mia", title="Director")
    stage.does(who, "form.submitted", "demo-request")
    stage.crm.fail_next("down", "apply", until=stage.clock.now() + timedelta(minutes=20))
    stage.agent.once()
    stage.crm.fail_next("refused", "WriteLead")
    for _ in range(60):
        stage.after(minutes=1)
    assert [t for t in stage.crm.tasks.values() if t.owner == "boss"]


def test_a_refused_new_record_is_told_in_log_and_status(stage: Theatre, caplog: pytest.LogCaptureFixture) -> None:
    """There is no record that an alert could hang on."""
    stage.does(stage.person("mia", title="Director"), "form.submitted", "demo-request")
    stage.crm.fail_next("refused", "WriteLead")
    for _ in range(10):
        stage.after(minutes=1)
    assert not stage.crm.tasks
    assert any("Not delivered in time" in line.message and line.levelname == "WARNING" for line in caplog.records)
    assert stage.agent.store.health(stage.clock.now()).outbox["parked"] == 1


def test_dropping_the_first_write_ends_the_handoff(stage: Theatre) -> None:
    drop_the_first_write(stage)
    assert stage.dossier("mia").decision.handoffs[-1].outcome == "withdrawn"


def test_two_new_people_who_are_one_keep_one_open_task(stage: Theatre) -> None:
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
    assert len([t for t in stage.crm.tasks.values() if not t.closed]) == 1


def test_a_rep_who_is_back_gets_what_waited_in_the_queue(tmp_path: Path) -> None:
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
        assert stage.record("mia").fields["owner"] == "ana"


def test_a_conflict_with_a_rep_who_took_the_lead_gives_only_them_a_task(stage: Theatre) -> None:
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
    owners = {t.owner for t in stage.crm.tasks.values()}
    assert owners == {"carla"}


def test_a_change_that_went_back_before_we_saw_it_does_not_hold_the_handoff_up(stage: Theatre) -> None:
    lead = stage.lead("mia")
    stage.agent.once()
    stage.does(stage.person("mia", title="Director"), "form.submitted", "demo-request")
    stage.agent.gather("web")
    stage.agent.decide()
    stage.crm.edit(lead, "boss", stage.clock.now(), owner="carla")
    stage.agent.deliver("crm")  # conflict
    stage.crm.edit(lead, "boss", stage.clock.now(), owner="queue")
    for _ in range(4):
        stage.after(minutes=1)
    (task,) = stage.tasks("mia")
    assert stage.record("mia").fields["owner"] == task.owner
    assert task.owner in ("ana", "ben")
    assert not stage.agent.store.outbox(("conflict",))


def test_what_never_lets_us_write_is_shown_as_contested(stage: Theatre) -> None:
    stage.lead("mia")
    stage.agent.once()
    stage.crm.fail_next("conflict", "WriteLead", times=3, why="Somebody has changed owner meanwhile.")
    stage.does(stage.person("mia", title="Director"), "form.submitted", "demo-request")
    for _ in range(20):
        stage.after(minutes=1)
    assert stage.dossier("mia").decision.contested == ("owner", "status")
    assert [task.owner for task in stage.tasks("mia") if task.owner != "boss"]


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
    r = stage.record("mia")
    assert r.fields["status"] == "Sales Ready"
    assert r.fields["owner"] in ("ana", "ben")
    assert {t.owner for t in stage.crm.tasks.values()} <= {"ana", "ben"}


def test_down_until_a_moment_that_is_past(stage: Theatre, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.does(stage.person("mia", title="Director"), "form.submitted", "demo-request")
    stage.agent.gather("web")
    stage.agent.decide()
    stage.crm.fail_next("down", "apply", until=stage.clock.now())
    whole = stage.agent.store.set_meta

    def other_thread(name, value):
        monkeypatch.setattr(stage.agent.store, "set_meta", whole)
        stage.agent.outages.rest("crm", WRITING)
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
    stage.agent.outages.begin("crm", READING, RetryableError("x", 5))  # the poll that was under way in its own thread
    stage.clock.advance(timedelta(seconds=10))
    assert stage.agent.outages.rest("crm", WRITING) > 4 * 3600


def test_a_due_promise_does_not_wait_behind_a_sweep(stage: Theatre) -> None:
    stage.does(stage.person("mia", title="Director"), "form.submitted", "demo-request")
    stage.agent.once()
    stage.after(seconds=1)

    stage.clock.advance(timedelta(minutes=31))
    sweep(stage.agent)
    assert stage.agent.store.unsettled(stage.clock.now(), 10, lane=Lane.HOT).dossiers


def test_a_mass_of_leads_given_back_is_braked(tmp_path: Path) -> None:
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
        assert len(stage.web.nurtured) <= 20


def test_a_task_does_not_wait_for_a_withdrawn_write(tmp_path: Path) -> None:
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
        assert [t.owner for t in stage.tasks("mia")] == [owner]


@pytest.mark.parametrize("verb", ["outbox retry", "outbox drop"])
def test_the_admin_mends_the_record_then_retries_or_drops(stage: Theatre, verb: str) -> None:

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
    assert stage.dossier("mia").decision.handoffs[-1].clock_started_at is not None
    assert owner in [t.owner for t in stage.tasks("mia")]
