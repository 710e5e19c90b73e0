"""[[sla]]: every kind of promise is read, and every mistake is told at its place."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from syncagent.config import parse
from syncagent.config.tables import ConversationTable, SlaTable, StepTable, TouchTable
from syncagent.errors import ConfigError
from syncagent.policy import Duration, Policy
from tests.story.theatre import CONFIG

PAGE = (Path(__file__).parents[2] / "docs" / "sla.md").read_text()
SLA = CONFIG[CONFIG.index("[[sla]]") : CONFIG.index("[recycle]")]
LIVE = datetime(2026, 1, 1, tzinfo=UTC)
SEGMENT = """
[[handoff.segments]]
name = "enterprise"
mql = { any = { score = 50 } }
"""


def policy(promises: str, more: str = "") -> Policy:
    return parse(CONFIG.replace(SLA, promises + "\n") + more, Path()).policy(LIVE)


def problems(promises: str) -> dict[str, str]:
    with pytest.raises(ConfigError) as told:
        policy(promises)
    found: dict[str, str] = {}
    for one in told.value.problems:
        found[one.path] = f"{found.get(one.path, '')} {one.message} {one.help}"
    return found


def test_the_examples_of_the_page_are_read() -> None:
    example = re.search(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert example is not None
    reps = '[[reps]]\nname = "Head of Sales"\ncrm_id = "head"\n'
    hot, talk, stage = policy(example[1], SEGMENT + reps).slas
    assert (hot.of, hot.within, hot.clock, hot.segments) == (
        "first touch",
        Duration(minutes=30),
        "rep",
        ("enterprise",),
    )
    assert [one.do for one in hot.steps] == ["remind", "alert", "reassign", "escalate", "queue"]
    assert hot.steps[3].to == "head" and hot.pause_on == ("Waiting for customer",)
    assert (talk.of, talk.within, talk.statuses) == ("first conversation", Duration(days=2), ("Connected",))
    assert (stage.of, stage.stage, stage.within) == ("stage", "sal", Duration(days=5))


def test_the_page_names_every_key() -> None:
    for table in (SlaTable, TouchTable, ConversationTable, StepTable):
        for name in table.__struct_fields__:
            assert f"`{name}`" in PAGE or re.search(rf"\b{name} = ", PAGE), name


def test_what_is_left_out() -> None:
    made = policy('[[sla]]\nname = "x"\nfirst_conversation = "2d"\n').slas[0]
    assert made.talk_tasks == ("Call", "Meeting") and "connected" in made.outcomes
    assert (made.by, made.bulk, made.clock) == ("owner", 10, "wall")
    only = policy('[[sla]]\nname = "x"\nfirst_conversation = "2d"\nconversation = { statuses = ["Met"] }\n').slas[0]
    assert only.outcomes == () and only.statuses == ("Met",)
    held = CONFIG.replace("[crm.status]", '[crm.status]\non_hold = ["Later", "Not now"]')
    assert parse(held, Path()).policy(LIVE).slas[0].pause_on == ("Later", "Not now")


@pytest.mark.parametrize(
    ("table", "path", "says"),
    [
        ("", "sla[1]", "exactly one"),
        ('first_touch = "5m"\nfirst_conversation = "1d"', "sla[1]", "exactly one"),
        ('stage = "sal"', "sla[1]", "together"),
        ('within = "2d"', "sla[1]", "together"),
        ('stage = "sall"\nwithin = "2d"', "sla[1].stage", "Did you mean sal?"),
        ('stage = "sal"\nwithin = "soon"', "sla[1].within", "length of time"),
        ('first_conversation = "fast"', "sla[1].first_conversation", "length of time"),
        ('first_touch = "5m"\nconversation = { tasks = ["Call"] }', "sla[1].conversation", "Take it out"),
        ('first_touch = "5m"\nwhen = { segments = ["entreprise"] }', "sla[1].when.segments", "none of"),
        ('first_touch = "5m"\ntouch = { bulk = -1 }', "sla[1].touch.bulk", "0 or more"),
        ('first_touch = "5m"\ntouch = { by = "nobody" }', "sla[1].touch.by", ""),
        ('first_touch = "5m"\nsteps = [{ at = "50%", do = "shout" }]', "sla[1].steps[1].do", ""),
        (
            'first_touch = "5m"\nsteps = [{ at = "9%", do = "queue", to = "No such" }]',
            "sla[1].steps[1].to",
            "crm.queues",
        ),
        ('first_touch = "5m"\nsteps = [{ at = "9%", do = "alert", to = "No Such" }]', "sla[1].steps[1].to", "reps"),
    ],
)
def test_mistakes_are_told_where_they_stand(table: str, path: str, says: str) -> None:
    found = problems(f'[[sla]]\nname = "x"\n{table}\n')
    assert path in found, found
    assert says in found[path], found
