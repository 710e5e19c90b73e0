"""Deals are won and lost; `syncagent report gate` says how many of them a gate would have refused."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from syncagent.cli import main
from syncagent.model import Identity, Opportunity
from tests.story.theatre import CONFIG, Theatre

GATE = """
[handoff.gate]
bantfo = { required = ["need", "budget"], unknown = "ask" }
"""
STRICT = GATE.replace('"ask"', '"wait"')
ASKS = CONFIG.replace("[team]", GATE + "[team]")


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Theatre]:
    with Theatre(tmp_path, ASKS) as theatre:
        theatre.agent.once()
        theatre.clock.advance(timedelta(minutes=1))
        yield theatre


def deal(stage: Theatre, name: str, *, won: bool) -> None:
    """Sales works on the record, and a deal with it is made; a day later it is closed."""
    made = stage.clock.now()
    stage.crm.edit(stage.record(name).identity, "ana", made, status="Working")
    stage.after(minutes=1)
    stage.clock.advance(timedelta(days=1))
    day = stage.clock.now().date().isoformat()
    stage.crm.feed(
        [
            Opportunity(
                Identity("crm", "Opportunity", f"O-{name}"), (stage.record(name).identity,), stage.clock.now(), made,
                closed=True, won=won, closed_on=day,
            )
        ]
    )  # fmt: skip
    stage.after(minutes=1)


def report(folder: Path, config: str, *args: str) -> str:
    (folder / "config.toml").write_text(config.replace("[agent]\n", '[agent]\nstate = "state.db"\n', 1))
    result = CliRunner().invoke(main, ["report", "gate", "--config", str(folder / "config.toml"), *args])
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split())


def test_the_gate_is_judged_by_the_deals_that_were_won_and_lost(stage: Theatre, tmp_path: Path) -> None:
    answers = {
        "ana1": {"bantfo_need": "yes", "bantfo_budget": "yes"},
        "ben1": {"bantfo_need": "yes"},
        "eva1": {"bantfo_need": "no"},  # a no holds back: not handed off, and won by sales all the same
        "tom1": {"bantfo_need": "yes"},
    }
    for name, known in answers.items():
        stage.lead(name)
        stage.after(minutes=1)
        stage.does(stage.person(name, title="Director", **known), "form.submitted", "demo-request")
        stage.after(minutes=2)
    assert not stage.dossier("eva1").decision.handoffs
    for name in answers:
        deal(stage, name, won=name != "tom1")
        stage.person(name, title="Director", bantfo_need="yes", bantfo_budget="yes")  # told once it is over
        stage.after(minutes=1)
    won, lost, unled = deals(report(tmp_path, ASKS, "--json"))
    assert (won, lost, unled) == (("won", 2, 2, 0), ("lost or disqualified", 1, 1, 0), ("won", 1, 1, 1))
    strict = CONFIG.replace("[team]", STRICT + "[team]")
    assert deals(report(tmp_path, strict, "--json"))[:2] == [("won", 2, 2, 1), ("lost or disqualified", 1, 1, 1)]
    assert json.loads(report(tmp_path, strict, "--json", "--table", "answers"))["tables"][0]["rows"] == [
        {"question": "need", "yes": 2, "no": 0, "unknown": 0},
        {"question": "budget", "yes": 1, "no": 0, "unknown": 1},
    ]
    text = report(tmp_path, strict)
    assert "won │ handed off, by what was known at the opening │ 2 │ 2 │ 1 │ 50.0%" in text
    assert "won │ no handoff before, by what was known when the deal was made │ 1 │" in text
    assert "[handoff.gate.bantfo] required" in report(tmp_path, CONFIG)


def deals(told: str) -> list[tuple[str, int, int, int]]:
    rows = json.loads(told)["tables"][0]["rows"]
    return [(row["outcome"], row["deals"], row["known"], row["refused"]) for row in rows]
