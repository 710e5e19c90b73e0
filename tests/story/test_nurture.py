"""Given back, nurtured, and back with sales: in the list, and out of it again, whatever the marketing system does."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from syncagent.handoff import why
from syncagent.model import Identity
from tests.story.theatre import CONFIG, Theatre


def members(stage: Theatre) -> list[str]:
    """Who is nurtured after all that was told, in the order of telling: list 7, or campaign 5, which 6 ends."""
    found: set[str] = set()
    for one in stage.web.nurtured:
        assert (one.list_id, one.campaign_id) in ((7, None), (None, 6 if one.remove else 5))
        (found.discard if one.remove else found.add)(one.lead.id)
    return sorted(found)


def handed_off(stage: Theatre) -> Identity:
    stage.agent.once()
    stage.clock.advance(timedelta(minutes=1))
    stage.does(stage.person("mia", title="Director"), "form.submitted", "demo-request")
    stage.after(minutes=1)
    stage.after(minutes=1)
    return stage.record("mia").identity


def sets(stage: Theatre, status: str, **fields: Any) -> None:
    record = stage.record("mia")
    stage.crm.edit(record.identity, str(record.fields["owner"]), stage.clock.now(), status=status, **fields)
    stage.after(minutes=1)
    stage.after(minutes=1)


def explained(stage: Theatre) -> str:
    return "\n".join(why(stage.dossier("mia"), stage.agent.policy, stage.agent.store.roster(), stage.clock.now()))


@pytest.mark.parametrize("place", ["list = 7", "campaign = 5, leave = 6"])
def test_in_on_giving_back_and_out_on_coming_back(tmp_path: Path, place: str) -> None:
    with Theatre(tmp_path, CONFIG.replace("list = 7", place)) as stage:
        handed_off(stage)
        assert members(stage) == []
        sets(stage, "Recycled")
        assert members(stage) == ["mia"]
        stage.after(days=31)
        stage.after(minutes=1)
        assert members(stage) == []
        sets(stage, "Recycled", recycle_until="2026-09-01")
        assert members(stage) == ["mia"]
        sets(stage, "Working")
        assert members(stage) == [], "taken up again"
        sets(stage, "Recycled")
        assert members(stage) == ["mia"], "and given back once more"
        sets(stage, "Sales Ready")
        assert members(stage) == [], "made ready by hand"
        for _ in range(5):
            stage.after(days=1)
        assert len(stage.web.nurtured) == 6, "each once"


def test_what_marketing_never_heard_of_is_not_told_once_it_has_lost_its_sense(tmp_path: Path) -> None:
    """The list is gone, and the lead comes back before an admin has mended it. It returns once."""
    with Theatre(tmp_path, CONFIG.replace("[recycle]", "[recycle]\nmost_returns = 2")) as stage:
        handed_off(stage)
        stage.web.fail_next("refused", "Nurture", times=2)
        sets(stage, "Recycled")
        assert [one.state for one in stage.agent.store.outbox()] == ["parked"]
        assert "  Comes back 2026-04-01 00:00 UTC, as handoff 2 of 2 at most." in explained(stage)
        sets(stage, "Working")
        assert stage.agent.store.outbox() == ()
        sets(stage, "Recycled")
        assert [one.state for one in stage.agent.store.outbox()] == ["parked"], "given back once more: asked once more"
        stage.after(days=31)
        stage.after(minutes=1)
        assert stage.web.nurtured == []
        assert stage.agent.store.outbox() == ()
        assert "  Comes back" not in explained(stage)
        assert len(stage.dossier("mia").decision.handoffs) == 2
        sets(stage, "Recycled")
        assert members(stage) == ["mia"], "for good"
        for _ in range(3):
            stage.after(days=31)
        assert len(stage.dossier("mia").decision.handoffs) == 2, "nor on a date"
        assert not stage.tasks("mia", closed=False)
        assert (
            "  Handed over 2 times, and most_returns is 2: it stays with marketing until they raise a hand, or somebody"
            " sets it to ready in the CRM." in explained(stage)
        )


def test_while_marketing_is_down_nothing_else_waits_and_then_it_ends_right(tmp_path: Path) -> None:
    with Theatre(tmp_path, CONFIG) as stage:
        handed_off(stage)
        stage.web.fail_next("down", "Nurture", times=3)
        sets(stage, "Recycled")
        assert stage.record("mia").fields["status"] == "Recycled"
        assert all(task.closed for task in stage.crm.tasks.values())
        for _ in range(6):
            stage.after(minutes=10)
        assert members(stage) == ["mia"]
        stage.web.fail_next("lost", "Nurture", times=1)
        stage.after(days=31)
        for _ in range(4):
            stage.after(minutes=10)
        assert members(stage) == []
