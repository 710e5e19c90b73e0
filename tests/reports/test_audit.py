"""Looking at everybody: a glance misses nobody whom looking at all of them whole would find."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from syncagent.reports import audit as report
from syncagent.reports.audit import Audit, audit, audit_file
from tests.story.theatre import CONFIG, T0, Theatre

ON_HOLD = CONFIG.replace('recycled = ["Recycled"]', 'recycled = ["Recycled"]\non_hold = ["Größe \\"unklar\\""]')


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Theatre]:
    """People in every state, some from before the agent went live, most of them below the line."""
    made = Theatre(tmp_path, ON_HOLD)
    statuses = ("Working", "Recycled", "Unqualified", "Open", 'Größe "unklar"', "Sales Ready", "Of their own")
    for number, status in enumerate(statuses):
        made.lead(f"old{number}", status=status, owner="ana")
    made.agent.once()
    for number in range(30):
        who = made.person(f"p{number}", title="Director" if number % 3 else "Clerk")
        if number % 2:
            made.does(who, "form.submitted", "demo-request")
    made.after(minutes=1)
    made.agent.store.set_meta("live_from", (T0 + timedelta(seconds=30)).isoformat())
    for number, status in enumerate(statuses):
        made.lead(f"own{number}", status=status, owner="ben")
    made.after(minutes=1)
    made.after(minutes=1)
    yield made
    made.agent.store.close()


def look(stage: Theatre, *, anew: bool = False, workers: int = 1) -> Audit:
    return audit_file(stage.state, stage.agent.policy, stage.clock.now(), anew=anew, workers=workers)


def damage(stage: Theatre, sql: str) -> None:
    with closing(sqlite3.connect(stage.state)) as db:
        db.execute(sql)
        db.commit()


def test_a_glance_finds_what_looking_at_everybody_finds(stage: Theatre) -> None:
    whole = audit(stage.agent.store, stage.agent.policy, stage.clock.now())
    assert look(stage) == look(stage, anew=True) == whole
    assert whole.states["with sales"] >= 8
    assert whole.violating == len(whole.violations) >= 3
    assert {one.standing.why.partition(",")[0] for one in whole.violations} >= {
        "The CRM says sal",
        "The CRM says on_hold",
        "The CRM says recycled",
    }


DAMAGE = {
    "no timer runs": "update person set wake_at = null",
    "nobody has looked": "update person set wake_at = 1000",
    "The CRM says mql, the agent never handed it off": "delete from judged",
    "is closed without an outcome": """update judged set decision = replace(decision, '"state":"with_sales"',
        '"state":"closed"')""",
}


@pytest.mark.parametrize("says", DAMAGE)
def test_what_is_damaged_is_seen_at_a_glance(stage: Theatre, says: str) -> None:
    before = sum(says in one.standing.why for one in look(stage).violations)
    damage(stage, DAMAGE[says])
    found = look(stage)
    assert sum(says in one.standing.why for one in found.violations) >= before + 8
    assert found == look(stage, anew=True)


def test_only_rescoring_finds_whom_a_lost_fact_has_left_below_the_line(tmp_path: Path) -> None:
    stage = Theatre(tmp_path, CONFIG.replace('create = "when_missing"', 'create = "never"'))
    for number in range(3):
        stage.does(stage.person(f"p{number}", title="Director"), "form.submitted", "demo-request")
    stage.after(minutes=1)
    assert look(stage).held == {"not in the CRM": 3}
    low = '{"stage":"prospect","score":{"fit":40,"interest":20,"grade":"A2"}}'
    damage(stage, f"update judged set decision = '{low}'")
    assert look(stage).violating == 0
    assert ["nothing was decided" in one.standing.why for one in look(stage, anew=True).violations] == [True] * 3
    stage.agent.store.close()


def test_parts_in_other_processes_make_the_same_whole(stage: Theatre, monkeypatch: pytest.MonkeyPatch) -> None:
    damage(stage, "update person set wake_at = null")
    alone = look(stage)
    monkeypatch.setattr(report, "PART", 7)
    assert look(stage, workers=2) == alone


def test_of_very_many_violations_the_first_are_listed_and_all_counted(
    stage: Theatre, monkeypatch: pytest.MonkeyPatch
) -> None:
    damage(stage, "update person set wake_at = null")
    every = look(stage)
    monkeypatch.setattr(report, "MOST", 2)
    few = look(stage)
    assert (few.violating, few.violations) == (every.violating, every.violations[:2])
    monkeypatch.setattr(report, "PART", 7)
    assert look(stage, workers=2) == few
