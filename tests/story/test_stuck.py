"""Whoever stays too long in a stage is told, whatever the stage: together, once a day, and history once."""

import json
from pathlib import Path

import pytest

from syncagent.model import Alert
from syncagent.reports.standing import STUCK, standing
from tests.story.theatre import CONFIG, Theatre

MAP = """
[stages.prospect]
owner = "marketing"
longest = "10d"
next = "mql"
tell = "Ben Ode"
[stages.mql]
owner = "sales development"
longest = "5d"
[stages.recycled]
longest = "20d"
[stages.disqualified]
owner = "marketing"
longest = "7d"
"""
NEVER = CONFIG.replace('create = "when_missing"', 'create = "never"') + MAP


def told(stage: Theatre) -> list[Alert]:
    """What stands in the CRM of it, each once, as it was told."""
    there = [one.key for one in stage.crm.tasks.values() if ":alarm:stuck-" in one.key]
    sent = [one.command for one in stage.agent.store.outbox(("done",)) if isinstance(one.command, Alert)]
    return [one for one in sent if one.key in there]


def prospects(stage: Theatre, names: list[str], *, known: bool = True) -> None:
    for name in names:
        stage.does(stage.person(name), "page.visited", "/x")
        for _ in range(3):
            stage.does(stage.person(name), "page.visited", "/pricing")
        if known:
            stage.lead(name, status="Open", owner="queue")
    stage.after(minutes=1)


def test_those_who_are_newly_stuck_are_one_alert_a_day(tmp_path: Path) -> None:
    with Theatre(tmp_path, CONFIG + MAP) as stage:
        stage.agent.once()
        prospects(stage, ["a", "b", "c"])
        stage.after(days=9)
        assert told(stage) == []
        stage.after(days=2)
        (alert,) = told(stage)
        assert alert.to == "ben"
        assert alert.subject == "Stuck in prospect: 3 more"
        assert alert.record is not None
        assert "3 people have been prospect for longer than 10 days, 3 of them newly. Next would be mql." in alert.body
        assert "Marketing answers for them." in alert.body
        for _ in range(4):
            stage.after(hours=7)
        stage.restart()
        stage.after(days=1)
        assert len(told(stage)) == 1, "told once"
        prospects(stage, ["d"])
        stage.after(days=11)
        assert sorted(one.subject for one in told(stage))[0] == "Stuck in prospect: 1 more"
        assert [one["says"].partition(",")[0] for one in standing(stage.agent.store)] == [
            "4 people have been prospect for longer than 10 days"
        ]
        for name in "abcd":
            stage.does(stage.person(name, title="Director"), "form.submitted", "demo-request")
        for _ in range(3):
            stage.after(days=1)
        assert [one for one in standing(stage.agent.store) if "prospect" in one["says"]] == [], "it is over"


def test_waiting_given_back_and_disqualified_are_watched_and_those_with_sales_have_timers_of_their_own(
    tmp_path: Path,
) -> None:
    with Theatre(
        tmp_path, CONFIG + MAP + '[handoff.gate]\nbantfo = { required = ["need"], unknown = "wait" }\n'
    ) as stage:
        stage.agent.once()
        asker = stage.person("waits", title="Director")
        stage.lead("waits", status="Open", owner="queue")
        stage.does(asker, "form.submitted", "demo-request")
        for name in ("back", "out", "sold"):
            stage.lead(name, status="Open", owner="queue")
            stage.does(stage.person(name, title="Director"), "form.submitted", "contact-sales")
        stage.after(minutes=1)
        stage.after(minutes=1)
        for name, status in (("back", "Recycled"), ("out", "Unqualified")):
            record = stage.record(name)
            stage.crm.edit(record.identity, str(record.fields["owner"]), stage.clock.now(), status=status)
        stage.after(minutes=1)
        for _ in range(25):
            stage.after(days=1)
        says = "\n".join(one.body for one in told(stage))
        assert {one.to for one in told(stage)} == {"ben", "boss"}
        assert "1 person has been prospect for longer than 10 days, 1 of them newly." in says
        assert "been mql" not in says, "who is with sales is told of by name"
        alone = [one.subject for one in stage.crm.tasks.values() if one.subject.startswith("Stuck: ")]
        assert "Stuck: Sold Test" in alone
        assert "1 person has been disqualified for longer than 7 days" in says
        assert "1 person has been recycled for longer than 20 days" in says
        assert len(told(stage)) == 3


def test_history_is_one_alert_however_many_it_is(tmp_path: Path) -> None:
    with Theatre(tmp_path, CONFIG) as stage:
        stage.agent.once()
        prospects(stage, [f"p{n}" for n in range(40)])
        stage.after(days=12)
    with Theatre(tmp_path, CONFIG + MAP) as later:
        later.crm, later.web, later.clock = stage.crm, stage.web, stage.clock
        later.restart()
        later.after(minutes=1)
        later.after(days=2)
        (alert,) = told(later)
        assert alert.subject == "Stuck in prospect: 40 more"


def test_where_nobody_is_in_the_crm_mail_and_status_say_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with Theatre(tmp_path, NEVER) as stage:
        stage.agent.once()
        prospects(stage, ["a"], known=False)
        stage.after(days=12)
        assert told(stage) == []
        assert "None of those who are newly stuck is in the CRM: 1 person has been prospect" in caplog.text
        assert json.loads(stage.agent.store.meta(STUCK) or "")["standing"]["prospect"]["says"]
