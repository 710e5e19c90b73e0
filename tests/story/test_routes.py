"""Leads that a route holds for fields, over the vendors' servers; what a broken promise does after a downtime."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from syncagent.model import Handoff
from tests.story.office import Office, office
from tests.story.theatre import CONFIG, Theatre

PATIENT = """
[[routes]]
name = "large"
when = { employees = ">= 1000" }
to = { pool = ["Ben Ode"], fallback_queue = "Inbound" }
wait_for = { fields = ["employees"], at_most = "10m" }
"""


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Office]:
    with office(tmp_path, more=PATIENT) as made:
        yield made


def owner_of(desk: Office, email: str) -> str:
    """Whose lead it is in Salesforce; "" where there is none that was handed off."""
    found = [row for row in desk.rows("Lead") if row["Email"] == email and row["Status"] == "Sales Ready"]
    return str(found[0]["OwnerId"]) if found else ""


def test_a_lead_is_held_until_its_fields_arrive_and_goes_where_they_say(desk: Office) -> None:
    [email] = desk.ask()
    desk.after(seconds=5)
    assert owner_of(desk, email) == "" and not desk.tasks(), "nobody has it, and nobody is told"
    assert desk.command("status")["waiting_for_owner"] == {"fields": 1}
    told = desk.screen("explain", email)
    assert "Ready, but not handed off: large waits for employees until 2026-11-23 12:11 UTC." in told
    for _ in range(3):
        desk.after(minutes=2)
    assert owner_of(desk, email) == ""
    desk.marketo.act("edit_lead", email=email, fields={"numberOfEmployees": 5000})
    desk.until_quiet(minutes=2)
    assert owner_of(desk, email) == desk.ids["second_rep_user_id"], "Ben takes the large ones"
    assert desk.open_task()["OwnerId"] == desk.ids["second_rep_user_id"]
    assert "Route large: it was Ben Ode's turn." in desk.screen("explain", email)
    assert desk.command("status")["waiting_for_owner"] == {}
    desk.assert_right()


def test_a_lead_whose_fields_do_not_come_goes_on_when_the_limit_runs_out(desk: Office) -> None:
    [email] = desk.ask()
    desk.after(seconds=5)
    desk.after(minutes=9, seconds=50)
    assert owner_of(desk, email) == "" and not desk.tasks()
    desk.after(seconds=10)
    desk.until_quiet(minutes=2)
    assert owner_of(desk, email) == desk.ids["rep_user_id"], "the next route that fits"
    assert "Not before them: large: employees did not come in time." in desk.screen("explain", email)
    (handoff,) = desk.command("explain", email)["planned"]["decision"]["handoffs"]
    assert handoff["assignments"][0]["passed"] == ["large: employees did not come in time"]
    kinds = [one.kind for one in desk.journal(email)]
    assert kinds.count("waiting") == 1 and kinds.count("assigned") == 1
    desk.marketo.act("edit_lead", email=email, fields={"numberOfEmployees": 5000})
    desk.until_quiet(minutes=2)
    assert owner_of(desk, email) == desk.ids["rep_user_id"], "what comes too late takes no lead away"
    desk.assert_right()


def test_the_limit_counts_through_a_downtime_and_fields_that_came_meanwhile_count(desk: Office) -> None:
    early, late = desk.ask(2)
    desk.after(seconds=5)
    config = (desk.folder / "config.toml").read_text(encoding="utf-8").partition("\n\n")[2]
    desk.stop()
    desk.move_to(desk.clock.now() + timedelta(hours=3))
    desk.marketo.act("edit_lead", email=early, fields={"numberOfEmployees": 1000})
    desk.start(config)
    desk.once()
    desk.until_quiet(minutes=2)
    assert owner_of(desk, early) == desk.ids["second_rep_user_id"]
    assert owner_of(desk, late) == desk.ids["rep_user_id"]
    desk.assert_right()


# -- a broken promise, and nobody there to see it

STEPS = """
[[sla]]
name = "hour"
first_conversation = "60m"
steps = [
  { at = "50%", do = "remind" },
  { at = "75%", do = "alert" },
  { at = "100%", do = "reassign" },
  { at = "200%", do = "escalate", to = "head" },
  { at = "300%", do = "queue", to = "Inbound" },
]
"""
CHAIN = CONFIG[: CONFIG.index("[[sla]]")] + STEPS + CONFIG[CONFIG.index("[recycle]") :]
LEVELS = {  # after so many minutes without us: the kinds of events, whom they tell, who has the lead
    35: (["reminded"], ["ana"], "ana"),
    50: (["escalated"], ["boss"], "ana"),
    70: (["reassigned"], [], "ben"),
    130: (["escalated"], ["head"], "ana"),
    200: (["reassigned"], [], "queue"),
    60 * 24 * 2: (["reassigned"], [], "queue"),
}


def handoff(stage: Theatre, name: str) -> Handoff:
    decision = stage.dossier(name).decision
    assert decision is not None and decision.handoff is not None
    return decision.handoff


def steps_of(stage: Theatre, name: str) -> list[str]:
    person = stage.dossier(name).person
    known = ("reminded", "escalated", "reassigned", "known")
    return [one.kind for one in reversed(stage.agent.store.journal(person)) if one.kind in known]


def told(stage: Theatre, name: str) -> list[str]:
    return [one.owner for one in stage.tasks(name) if one.key.endswith(":alert") and "Stuck" not in one.subject]


@pytest.mark.parametrize("minutes", LEVELS)
def test_after_hours_of_downtime_the_level_that_was_reached_acts_and_no_other(tmp_path: Path, minutes: int) -> None:
    """Ten leads with the same promise: one act each, one alert each at most, and nothing follows by itself."""
    kinds, to, owner = LEVELS[minutes]
    with Theatre(tmp_path, CHAIN) as stage:
        stage.agent.once()
        stage.clock.advance(timedelta(minutes=1))
        names = [f"lead{n}" for n in range(10)]
        for name in names:
            stage.does(stage.person(name, title="Director"), "form.submitted", "demo-request")
        stage.agent.once()
        stage.after(seconds=30)
        first = {name: str(stage.record(name).fields["owner"]) for name in names}
        assert {handoff(stage, name).clocks[0].started_at for name in names} != {None}
        stage.agent.store.close()
        stage.clock.advance(timedelta(minutes=minutes))
        stage.start()
        for _ in range(4):
            stage.agent.once()
            stage.clock.advance(timedelta(seconds=20))
        other = {"ana": "ben", "ben": "ana"}
        for name in names:
            assert steps_of(stage, name) == kinds
            mine = {"ana": first[name], "ben": other[first[name]]}
            assert told(stage, name) == [mine.get(one, one) for one in to]
            assert stage.record(name).fields["owner"] == mine.get(owner, owner)


def test_the_whole_chain_through_restarts_fires_each_step_once(tmp_path: Path) -> None:
    with Theatre(tmp_path, CHAIN) as stage:
        stage.agent.once()
        stage.clock.advance(timedelta(minutes=1))
        stage.does(stage.person("mia", title="Director"), "form.submitted", "demo-request")
        stage.agent.once()
        for _ in range(30):
            stage.restart()
            stage.after(minutes=7)
        assert steps_of(stage, "mia") == ["reminded", "escalated", "reassigned", "escalated", "reassigned"]
        assert told(stage, "mia") == ["ana", "boss", "head"]
        assert [one.owner for one in handoff(stage, "mia").assignments] == ["ana", "ben", "queue"]
