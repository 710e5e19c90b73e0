"""The laws that an admin relies on from the first day: 9, 11, 13, and the budget of design 6."""

import logging
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from syncagent.agent.orders import carry_out
from syncagent.config import parse
from syncagent.errors import ConfigError
from syncagent.model import CrmRecord, Deleted, Identity, Lane
from tests.story.theatre import CONFIG, T0, Theatre


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Theatre]:
    with Theatre(tmp_path) as theatre:
        theatre.agent.once()
        theatre.clock.advance(timedelta(minutes=1))
        yield theatre


def handed_off(stage: Theatre, *names: str) -> None:
    for name in names:
        stage.does(stage.person(name, title="Director"), "form.submitted", "demo-request")
    stage.agent.once()


def test_live_promises_keep_their_terms_until_an_admin_asks(stage: Theatre) -> None:
    handed_off(stage, "mia")
    stage.config = parse(CONFIG.replace('first_touch = "60m"', 'first_touch = "10m"'), Path())
    stage.restart()
    stage.after(minutes=25)
    assert len(stage.tasks("mia")) == 1, "the old terms hold: nothing is due before half an hour"
    told = carry_out(stage.agent, {"do": "reapply"})
    assert [(move["before"], move["after"]) for move in told["moves"]] == [("hour", "hour")]
    stage.after(seconds=1)
    assert len(stage.tasks("mia")) == 1, "asking shows, and moves nothing"
    assert len(carry_out(stage.agent, {"do": "reapply", "go": True})["moves"]) == 1
    stage.after(seconds=1)
    assert len(stage.tasks("mia", closed=False)) > 1 or stage.tasks("mia")[0].closed, "now it is overdue"
    assert carry_out(stage.agent, {"do": "reapply"}) == {"moves": []}


def test_a_status_in_use_cannot_be_removed_without_a_mapping(stage: Theatre) -> None:
    handed_off(stage, "mia")
    stage.config = parse(CONFIG.replace('mql = "Sales Ready"', 'mql = "Hot"'), Path())
    stage.agent.store.close()
    with pytest.raises(ConfigError, match="1 open handoffs have the status 'Sales Ready'"):
        stage.start()
    stage.config = parse(
        CONFIG.replace('mql = "Sales Ready"', 'mql = "Hot"').replace('["Working"]', '["Working", "Sales Ready"]'),
        Path(),
    )
    stage.start()


def test_history_is_handed_off_only_when_an_admin_asks(stage: Theatre) -> None:
    for name in ("old", "older"):
        who = stage.person(name, title="Director")
        stage.does(who, "form.submitted", "demo-request", at=T0 - timedelta(days=3))
    stage.agent.start_backfill("web", T0 - timedelta(days=30), None)
    stage.after(seconds=1)
    since = (T0 - timedelta(days=30)).isoformat()
    assert not stage.crm.tasks
    assert carry_out(stage.agent, {"do": "history", "since": since}) == {"handoffs": 2}
    stage.after(seconds=1)
    assert not stage.crm.tasks
    assert carry_out(stage.agent, {"do": "history", "since": since, "go": True}) == {"handoffs": 2}
    stage.after(seconds=1)
    assert len(stage.crm.tasks) == 2


def test_an_org_with_many_old_leads_gets_scores_held_back_and_no_tasks(tmp_path: Path) -> None:
    config = CONFIG + "[handoff.brake]\nper_hour = 20\nshare = 0.0\n"
    with Theatre(tmp_path, config) as stage:
        for number in range(100):
            name = f"old{number}"
            stage.lead(name)
            who = stage.person(name, title="Director")
            stage.does(who, "form.submitted", "demo-request", at=T0 - timedelta(days=9))
        stage.agent.start_backfill("web", T0 - timedelta(days=30), None)
        stage.agent.once()
        stage.after(minutes=5)
        assert not stage.crm.tasks
        written = [record for record in stage.crm.records.values() if record.fields.get("score") == 80]
        assert len(written) == 20, "the first mass write stops at the brake"
        assert stage.agent.store.meta("scores_held")
        carry_out(stage.agent, {"do": "release", "scores": True})
        stage.after(minutes=5)
        written = [record for record in stage.crm.records.values() if record.fields.get("score") == 80]
        assert len(written) == 100
        assert not stage.crm.tasks


def test_a_crm_that_is_suddenly_empty_is_not_believed(stage: Theatre, caplog: pytest.LogCaptureFixture) -> None:
    names = [f"p{number}" for number in range(60)]
    for name in names:
        stage.lead(name)
    stage.agent.once()
    gone = [Deleted(Identity("crm", "Lead", name), stage.clock.now()) for name in names]
    stage.crm.feed(gone)
    with caplog.at_level(logging.ERROR, logger="syncagent"):
        stage.agent.once()
    assert "60 records were deleted at once" in caplog.text
    assert "syncagent release --deletions crm" in caplog.text
    assert not any(record.deleted for name in names for record in stage.dossier(name).records)
    carry_out(stage.agent, {"do": "release", "deletions": "crm"})
    stage.after(minutes=6)
    assert all(record.deleted for record in stage.dossier("p0").records)


def test_cold_work_waits_when_the_org_has_used_its_day(stage: Theatre, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage.crm, "calls", lambda: {"made": 1, "used": 701, "limit": 1000})
    handed_off(stage, "mia")
    assert len(stage.tasks("mia")) == 1
    stage.clock.advance(timedelta(minutes=1))
    assert stage.agent.deliver("crm", Lane.COLD) == 0


def test_one_dossier_that_cannot_be_planned_stops_nobody_else(stage: Theatre, monkeypatch: pytest.MonkeyPatch) -> None:
    from syncagent.agent import batches

    whole = batches.plan

    def broken(dossier, policy, roster, now):
        if "bad@example.com" in dossier.emails:
            raise ZeroDivisionError("planted")
        return whole(dossier, policy, roster, now)

    monkeypatch.setattr(batches, "plan", broken)
    handed_off(stage, "bad", "mia")
    assert len(stage.tasks("mia")) == 1
    (held,) = stage.agent.store.held()
    assert held.cause == "error"
    assert "planted" in held.why
    monkeypatch.setattr(batches, "plan", whole)
    stage.agent.store.release()
    stage.after(seconds=1)
    assert len(stage.tasks("bad")) == 1


def test_what_was_created_in_work_before_us_keeps_its_owner(stage: Theatre) -> None:
    now = stage.clock.now()
    record = Identity("crm", "Lead", "x")
    stage.crm.feed([CrmRecord(record, now, now, "somebody", {"status": "Odd", "owner": "carla"}, ("x@example.com",))])
    handed_off(stage, "x")
    assert stage.record("x").fields["owner"] == "carla"
    assert not stage.crm.tasks


def test_a_backfill_lets_the_poll_have_its_turn(stage: Theatre) -> None:
    """20 pages a round: a demo request that comes meanwhile is polled, and handed off, before the history is read."""
    for number in range(30):
        who = stage.person(f"old{number}", title="Clerk")
        for _ in range(300):
            stage.does(who, "page.visited", "/blog", at=T0 - timedelta(days=9))
    stage.agent.start_backfill("web", T0 - timedelta(days=30), None)
    stage.agent.gather("web")
    assert stage.agent.backfills("web"), "one round does not read it all"
    handed_off(stage, "mia")
    assert len(stage.tasks("mia")) == 1
    while stage.agent.backfills("web"):
        stage.agent.once()
    assert len(stage.dossier("old29").activities) == 300
