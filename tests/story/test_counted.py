"""What reports count, through the whole agent: a lead comes in, is handed off, passed on, touched and given back."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from syncagent.reports.funnel import funnel
from syncagent.reports.report import Ask, Report
from syncagent.reports.reps import reps
from syncagent.reports.sla import sla
from syncagent.reports.speed import speed
from tests.story.theatre import CONFIG, T0, Theatre


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Theatre]:
    with Theatre(tmp_path, CONFIG) as theatre:
        theatre.agent.once()
        theatre.clock.advance(timedelta(minutes=1))
        yield theatre


def told(stage: Theatre, report: Any, name: str, by: str = "") -> list[dict[str, Any]]:
    found = report(stage.agent.store, Ask(stage.clock.now(), "Europe/Berlin", by=by), stage.agent.policy)
    assert isinstance(found, Report)
    table = next(one for one in found.tables if one.name == name)
    return [dict(zip((column.name for column in table.columns), row, strict=True)) for row in table.rows]


def asked(stage: Theatre, sql: str) -> list[tuple[Any, ...]]:
    return list(stage.agent.store.ask(sql))


def test_a_lead_from_its_first_contact_to_its_return(stage: Theatre) -> None:
    mia = stage.person("mia", title="Director", source="Web")
    stage.does(stage.person("tom", title="Student", source="Fair"), "page.visited", "/pricing")
    stage.does(mia, "form.submitted", "demo-request", at=T0)
    stage.agent.once()
    stage.after(seconds=30)
    first = str(stage.record("mia").fields["owner"])
    stage.after(minutes=61)
    stage.after(seconds=30)
    second = str(stage.record("mia").fields["owner"])
    assert {first, second} == {"ana", "ben"}
    stage.clock.advance(timedelta(minutes=10))
    stage.crm.edit(stage.record("mia").identity, second, stage.clock.now(), status="Working")
    stage.after(seconds=5)
    columns = "turn, owner, met, minutes, source, score_band"
    broken, kept = asked(stage, f"select {columns} from report_promise order by turn")
    assert broken[:4] == (1, first, 0, None)
    assert kept[:3] == (2, second, 1) and 10 <= kept[3] <= 11
    assert broken[4:] == kept[4:] == ("Web", 80)
    (lead, other) = asked(
        stage, "select entered_at, told_by, source, content, stage, owner from report_lead order by person"
    )
    assert lead == ("2026-03-02T09:00:00Z", "activity", "Web", "demo-request", "sal", second)
    assert other[2:] == ("Fair", "/pricing", "suspect", "")
    by = {row["name"]: row for row in told(stage, sla, "by", "rep")}
    names = {"ana": "Ana Silva", "ben": "Ben Ode"}
    assert (by[names[first]]["attainment"], by[names[second]]["attainment"]) == (0.0, 1.0)
    (whole,) = told(stage, speed, "all")
    assert whole["touched"] == 1 and whole["wall_p50"] == whole["working_p50"] == pytest.approx(72 * 60, abs=60)
    stage.clock.advance(timedelta(days=1))
    stage.crm.edit(
        stage.record("mia").identity, second, stage.clock.now(), status="Recycled", recycle_reason="no budget"
    )
    stage.after(seconds=5)
    stage.after(days=31)
    stage.after(seconds=5)
    assert asked(stage, "select number, is_return, outcome, reason from report_handoff order by number") == [
        (1, 0, "recycled", "no budget"),
        (2, 1, "", ""),
    ]
    steps = {row["step"]: (row["people"], row["direct"], row["returned"]) for row in told(stage, funnel, "steps")}
    assert steps["lead"] == (2, 2, 0) and steps["mql"] == steps["sal"] == (1, 1, 0) and steps["sql"] == (0, 0, 0)
    stages = {row["stage"]: row for row in told(stage, funnel, "stages")}
    assert (stages["recycled"]["came"], stages["recycled"]["left"]) == (1, 1)
    assert (stages["mql"]["came"], stages["mql"]["returns"], stages["mql"]["here"]) == (2, 1, 1)
    assert told(stage, reps, "reasons") == [{"reason": "no budget", "count": 1, "share": 1.0}]
    assert all(row["within"] == "yes" for row in told(stage, reps, "fairness"))
