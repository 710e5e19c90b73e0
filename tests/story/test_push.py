"""Push notifications have no key at the vendor: at most once each, and an unknown one is shown (law 4)."""

from datetime import timedelta
from io import StringIO

import pytest
from rich.console import Console

from syncagent.cli.demo import MONDAY, Story, stage

MARIA = "lena@nordwind.example"


@pytest.fixture
def story():
    with stage(Console(file=StringIO())) as told:
        told.at(MONDAY, "The agent starts.")
        yield told


def ask_for_a_demo(story: Story) -> None:
    story.visits(MARIA, "/pricing", "/pricing/team")
    story.fills(MARIA, "demo-request")


def test_beside_every_task_one_push_that_leads_to_the_record(story: Story) -> None:
    story.at(MONDAY + timedelta(minutes=1), "A form.", lambda: ask_for_a_demo(story))
    (task,) = story.tasks(MARIA)
    (push,) = story.salesforce.dump()["notifications"]
    assert push["recipientIds"] == [task["OwnerId"]]
    assert push["title"] == task["Subject"]
    assert push["targetId"] == story.lead(MARIA)["Id"]
    story.at(MONDAY + timedelta(minutes=2), "Nothing new.")
    assert len(story.salesforce.dump()["notifications"]) == 1
    assert not story.agent.store.outbox(("unknown", "parked", "queued"))


@pytest.mark.parametrize(("drop", "arrived"), [("after", 1), ("before", 0)])
def test_a_push_without_an_answer_is_shown_and_never_repeated(story: Story, drop: str, arrived: int) -> None:
    story.salesforce.plant(match={"path": "customNotificationAction"}, drop=drop)
    story.at(MONDAY + timedelta(minutes=1), "A form.", lambda: ask_for_a_demo(story))
    for minute in (2, 3, 4):
        story.at(MONDAY + timedelta(minutes=minute), "Time passes.")
    assert len(story.salesforce.dump()["notifications"]) == arrived
    (shown,) = story.agent.store.outbox(("unknown",))
    assert shown.command.key.endswith(":push")
    assert "Nobody knows whether" in shown.why
    assert len(story.tasks(MARIA)) == 1
