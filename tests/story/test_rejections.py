"""Many handed-over leads are rejected: by source, campaign and rule; told once, until it is over and begins anew."""

import json
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from syncagent.model import Activity, CrmTask
from syncagent.reports.rejections import rejections
from syncagent.reports.standing import REJECTIONS
from tests.story.theatre import CONFIG, Theatre

ALARM = '[alerts.rejections]\nshare = 0.5\nleast = 4\ntell = "Ben Ode"\n'


def handed_off(stage: Theatre, campaign: str, first: int, count: int) -> list[str]:
    names = [f"{campaign}{n}" for n in range(first, first + count)]
    for name in names:
        who = stage.person(name, title="Director")
        number = len(stage.web._log)
        form = Activity(who, f"k{number}", stage.clock.now(), "form.submitted", "demo-x", {"campaign": campaign})
        stage.web.feed([form])
    stage.after(seconds=30)
    stage.after(minutes=1)
    return names


def says(stage: Theatre, names: list[str], status: str, deleted: Sequence[str] = ()) -> None:
    for name in names:
        record = stage.record(name)
        stage.crm.edit(record.identity, str(record.fields["owner"]), stage.clock.now(), status=status)
    stage.after(minutes=1)
    for name in deleted:
        stage.crm.delete(stage.record(name).identity, "boss", stage.clock.now())
    stage.after(hours=1, minutes=1)


def alarms(stage: Theatre) -> list[CrmTask]:
    return [one for one in stage.crm.tasks.values() if ":alarm:" in one.key]


@pytest.fixture
def config() -> str:
    return CONFIG + ALARM


def test_a_campaign_that_sales_rejects_is_told_once(tmp_path: Path, config: str) -> None:
    with Theatre(tmp_path, config) as stage:
        stage.agent.once()
        stage.clock.advance(timedelta(minutes=1))
        says(stage, handed_off(stage, "good", 0, 6), "Working")
        bad = handed_off(stage, "bad", 0, 4)
        says(stage, bad[:3], "Unqualified")
        assert alarms(stage) == [], "three are too few"
        says(stage, bad[3:], "Recycled")
        (alarm,) = alarms(stage)
        assert alarm.owner == "ben"
        assert alarm.subject == "Many leads are rejected: campaign bad"
        assert alarm.record == stage.record("bad3").identity, "on the latest of them"
        stage.restart()
        stage.after(hours=2)
        stage.after(hours=2)
        assert len(alarms(stage)) == 1, "once a matter"
        standing = json.loads(stage.agent.store.meta(REJECTIONS) or "")
        told = [one["says"] for one in standing.values() if one["says"]]
        assert told == [
            "Sales rejected 4 of 4 leads of the campaign 'bad' in 28 days: 100%, nothing to compare with before."
        ]
        alarm_policy = stage.agent.policy.alerts.rejections
        assert alarm_policy is not None
        found = rejections(stage.agent.store, stage.agent.policy, alarm_policy, stage.clock.now())
        assert {(one.by, one.name): (one.rejected, one.answered) for one in found} == {
            ("campaign", "bad"): (4, 4),
            ("campaign", "good"): (0, 6),
            ("source", "web"): (4, 10),
            ("rule", "title"): (4, 10),
        }


def test_it_is_told_anew_when_it_was_over_and_with_the_trend(tmp_path: Path, config: str) -> None:
    with Theatre(tmp_path, config) as stage:
        stage.agent.once()
        stage.clock.advance(timedelta(minutes=1))
        says(stage, handed_off(stage, "x", 0, 4), "Unqualified")
        assert len(alarms(stage)) == 1
        stage.after(days=20)
        says(stage, handed_off(stage, "x", 4, 7), "Working")
        assert not [one for one in json.loads(stage.agent.store.meta(REJECTIONS) or "").values() if one["says"]]
        stage.after(days=20)
        rejected = handed_off(stage, "x", 11, 12)
        says(stage, rejected, "Unqualified", deleted=rejected[1:])
        assert len(alarms(stage)) == 2, "source, campaign and rule are one alert"
        assert alarms(stage)[1].record == stage.record(rejected[0]).identity, "the latest is gone, another is not"
        (told,) = [
            one["says"]
            for name, one in json.loads(stage.agent.store.meta(REJECTIONS) or "").items()
            if name == "campaign x"
        ]
        assert "12 of 19 leads" in told
        assert "100% in the time before" in told
