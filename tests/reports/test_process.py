"""The process map: visits are kept, numbers stand on it, moves off it are told, and the picture is safe."""

import json
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from syncagent.cli import main
from syncagent.clock import SystemClock
from syncagent.reports.drawing import html, svg
from syncagent.reports.process import Box, picture
from tests.story.theatre import CONFIG, Theatre

MAP = """
[stages.mql]
owner = "sales development"
longest = "2d"
next = "sal"
to = ["recycled", "disqualified"]
[stages.sal]
owner = "Ana <script>alert(1)</script> & Co"
longest = "10d"
to = ["recycled"]
tell = "Ben Ode"
[stages.recycled]
to = ["mql"]
"""


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Theatre]:
    (tmp_path / "config.toml").write_text(CONFIG.replace("[agent]", '[agent]\nstate = "state.db"') + MAP)
    with Theatre(tmp_path, CONFIG + MAP) as theatre:
        theatre.agent.once()
        theatre.clock.advance(timedelta(minutes=1))
        yield theatre


def handed_off(stage: Theatre, *names: str) -> None:
    for name in names:
        stage.does(stage.person(name, title="Director"), "form.submitted", "demo-request")
    stage.agent.once()
    stage.after(minutes=1)


def boxes(stage: Theatre) -> dict[str, Box]:
    agent = stage.agent
    return {one.stage: one for one in picture(agent.store, agent.policy, stage.clock.now(), {}).boxes}


def test_every_visit_is_kept_and_counted(stage: Theatre) -> None:
    handed_off(stage, "mia", "tom")
    rep = str(stage.record("mia").fields["owner"])
    stage.clock.advance(timedelta(hours=3))
    stage.crm.edit(stage.record("mia").identity, rep, stage.clock.now(), status="Working")
    stage.after(seconds=1)
    visits = stage.agent.store.visits(stage.dossier("mia").person)
    assert [(one.stage, one.left_at is None) for one in visits] == [("mql", False), ("sal", True)]
    assert visits[0].left_at == visits[1].entered_at
    found = boxes(stage)
    assert (found["mql"].here, found["sal"].here, found["mql"].left) == (1, 1, 1)
    assert found["mql"].median == pytest.approx(3 * 3600, abs=120)
    assert (found["mql"].owner, found["sal"].tell) == ("sales development", "Ben Ode")
    stage.after(days=3)
    assert boxes(stage)["mql"].stuck == 1
    assert boxes(stage)["sal"].stuck == 0


def test_who_is_stuck_is_told_to_whom_the_map_names(stage: Theatre) -> None:
    handed_off(stage, "mia")
    rep = str(stage.record("mia").fields["owner"])
    stage.crm.edit(stage.record("mia").identity, rep, stage.clock.now(), status="Working")
    stage.after(seconds=1)
    stage.after(days=10, hours=1)
    (alert,) = [task for task in stage.tasks("mia") if task.key.endswith(":alert")]
    assert alert.owner == "ben"
    assert alert.subject.startswith("Stuck: Mia Test")


def test_a_move_that_the_map_does_not_know_is_reported_and_stands(stage: Theatre) -> None:
    handed_off(stage, "mia")
    record = stage.record("mia")
    rep = str(record.fields["owner"])
    stage.crm.edit(record.identity, rep, stage.clock.now(), status="Working")
    stage.after(seconds=1)
    stage.crm.edit(record.identity, rep, stage.clock.now(), status="Unqualified")
    stage.after(seconds=1)
    told = [one for one in stage.agent.store.journal() if one.kind == "off_map"]
    assert [one.data for one in told] == [{"before": "sal", "stage": "disqualified"}]
    assert stage.record("mia").fields["status"] == "Unqualified", "a person wins"
    now = stage.clock.now()
    arrows = picture(stage.agent.store, stage.agent.policy, now, {}).arrows
    (off,) = [one for one in arrows if not one.allowed]
    assert (off.before, off.after, off.moved) == ("sal", "disqualified", 1)


def test_the_agent_makes_no_move_that_the_map_does_not_know(tmp_path: Path) -> None:
    closed = '[stages.disqualified]\nto = ["sal"]\n'
    with Theatre(tmp_path, CONFIG + closed) as stage:
        stage.agent.once()
        stage.clock.advance(timedelta(minutes=1))
        handed_off(stage, "mia")
        rep = str(stage.record("mia").fields["owner"])
        stage.crm.edit(stage.record("mia").identity, rep, stage.clock.now(), status="Unqualified")
        stage.after(seconds=1)
        who = next(iter(stage.web.leads))
        stage.clock.advance(timedelta(days=1))
        stage.does(who, "form.submitted", "contact-sales")
        stage.after(seconds=1)
        decision = stage.dossier("mia").decision
        assert decision is not None
        assert decision.waiting == "the process map allows no move from disqualified to mql"
        assert len(decision.handoffs) == 1


def test_the_command_shows_it_in_every_shape(stage: Theatre, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    handed_off(stage, "mia")
    monkeypatch.setattr(SystemClock, "now", lambda _: stage.clock.now())
    said = {}
    for shape in ("table", "json", "svg", "html"):
        done = CliRunner(env={"COLUMNS": "200"}).invoke(
            main, ["process", "--format", shape, "--config", str(tmp_path / "config.toml")]
        )
        assert done.exit_code == 0, done.output
        said[shape] = done.stdout
    assert "sales development" in said["table"]
    assert next(one for one in json.loads(said["json"])["boxes"] if one["stage"] == "mql")["here"] == 1
    for text in (said["svg"], said["html"]):
        assert "<script" not in text
        assert "&lt;script&gt;" in text
        assert "prefers-color-scheme:dark" in text
        assert "http" not in text.replace("http://www.w3.org/2000/svg", ""), "nothing from outside"


def test_a_stage_off_the_map_that_holds_nobody_takes_no_room(stage: Theatre) -> None:
    shown = picture(stage.agent.store, stage.agent.policy, stage.clock.now(), {})
    whole = [replace(one, on_the_map=True) for one in shown.boxes]
    few = [replace(one, on_the_map=one.stage in ("mql", "sal"), here=0, left=0) for one in shown.boxes]
    wide, narrow = (svg(replace(shown, boxes=tuple(boxes), arrows=())) for boxes in (whole, few))
    assert 'class="name"' in wide and wide.count("<g>") == len(whole) and narrow.count("<g>") == 2
    assert float(wide.split('viewBox="0 0 ')[1].split()[0]) > float(narrow.split('viewBox="0 0 ')[1].split()[0])
    here = svg(
        replace(shown, boxes=tuple(replace(one, here=1) if one.stage == "lost" else one for one in few), arrows=())
    )
    assert here.count("<g>") == 3, "somebody is there"


def test_a_picture_holds_whatever_names_it_is_given(stage: Theatre) -> None:
    hostile = "]]>\x00\x1b[31m\ud800<b onload='x'>&\"'\u202e" * 3
    shown = picture(stage.agent.store, stage.agent.policy, stage.clock.now(), {})
    boxes = tuple(
        Box(one.stage, hostile, hostile, "", hostile, True, 1_234_567, 1_234_567, 1, 5.0) for one in shown.boxes
    )
    drawn = svg(replace(shown, boxes=boxes))
    root = ET.fromstring(drawn)
    assert root.tag.endswith("svg")
    assert not [one for one in root.iter() if one.tag.endswith("b")]
    assert "\u202e" not in drawn, "nobody turns the direction of reading"
    assert "<b " not in html(replace(shown, boxes=boxes), [(hostile,), (hostile,)])
