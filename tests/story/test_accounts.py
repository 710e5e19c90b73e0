"""Companies through the whole agent: whose a lead is, what colleagues do, and who is on a list."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

import tests.story.office
from syncagent.cli import main
from syncagent.handoff import why
from syncagent.model import Account, Assignment, Identity, Opportunity, Value
from syncagent.reports.scores import Scores
from tests.story.office import AGREEMENT, office
from tests.story.theatre import CONFIG, T0, Theatre

RULES = """
[accounts.lists]
strategic = ["Tamboril Holding"]
named = ["example.com"]
[models.companies]
of = "accounts"
[[models.companies.fit]]
attribute = "account.engaged"
weight = 100
choices = [{ min = 2, priority = 10 }, { min = 1, priority = 5 }]
[[score.fit]]
attribute = "account.titles"
weight = 10
choices = [{ matches = "cfo", priority = 10 }]
[[score.fit]]
attribute = "account.score"
weight = 20
choices = [{ min = 100, priority = 10 }]
"""
TITLE = '[[score.fit]]\nattribute = "title"\nweight = 40'
SCORED = CONFIG.replace(TITLE, RULES + TITLE.replace("40", "10"))
KEY = """[[routes]]
name = "key accounts"
when = { "account.list" = ["named"], "account.key" = true }
to = { pool = ["Ben Ode"], fallback_queue = "Inbound" }
[[routes]]"""


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Theatre]:
    with Theatre(tmp_path, SCORED.replace("[[routes]]", KEY, 1)) as theatre:
        theatre.after(minutes=1)
        yield theatre


def company(ident: str, **told: Value) -> Account:
    return Account(Identity("crm", "Account", ident), T0, {"name": "Example", "website": "example.com", **told}, T0)


def assigned(stage: Theatre, name: str) -> Assignment:
    decision = stage.dossier(name).decision
    assert decision is not None
    return decision.handoffs[-1].assignments[-1]


def score(stage: Theatre, name: str) -> float:
    decision = stage.dossier(name).decision
    assert decision is not None
    assert decision.score is not None
    return decision.score.fit


def test_a_lead_goes_to_the_owner_of_the_account_it_is_matched_to(stage: Theatre) -> None:
    stage.crm.feed([company("A1"), company("A2", owner="ana")])
    stage.does(stage.person("eva"), "form.submitted", "contact-sales")
    stage.after(minutes=1)
    assert (assigned(stage, "eva").owner, assigned(stage, "eva").route) == ("ana", "account owner")
    dossier = stage.dossier("eva")
    told = [one.why for one in stage.agent.store.journal(dossier.person) if one.kind == "account"]
    reason = "matched Example by mail domain example.com; 2 candidates, took the one with an owner"
    assert told == [f"M{reason[1:]}."]
    lines = why(dossier, stage.agent.policy, stage.agent.store.roster(), stage.clock.now())
    assert f"Company: Example (A2), {reason}; on the list named." in lines


def test_who_is_on_a_list_goes_by_a_route_of_its_own(stage: Theatre) -> None:
    for name in ("eva", "tom"):
        stage.does(stage.person(name), "form.submitted", "contact-sales")
    stage.after(minutes=1)
    assert {(assigned(stage, name).owner, assigned(stage, name).route) for name in ("eva", "tom")} == {
        ("ben", "key accounts")
    }


def test_what_a_colleague_does_counts_for_the_others_at_once(stage: Theatre) -> None:
    stage.crm.feed([company("A1")])
    stage.does(stage.person("eva"), "page.visited")
    stage.person("tom", title="CFO")
    stage.after(minutes=1)
    stage.after(minutes=1)
    assert score(stage, "eva") == 0
    stage.does(Identity("web", "lead", "tom"), "page.visited")
    stage.after(minutes=1)
    assert score(stage, "eva") == score(stage, "tom") == 30, "two engaged (20), one of them a CFO (10)"
    assert stage.agent.decide() == 0, "and that is all"
    rows = Scores(stage.agent.policy, stage.clock.now())(stage.agent.store.evidence(0, 9))
    assert [row.fit for row in rows] == [30, 30], "as score --all tells it"


def test_an_account_that_the_crm_tells_of_later_is_found_when_they_act_again(stage: Theatre) -> None:
    stage.does(stage.person("eva"), "page.visited")
    stage.after(minutes=1)
    stage.crm.feed([company("A1", owner="ben")])
    stage.after(minutes=1)
    stage.does(Identity("web", "lead", "eva"), "page.visited")
    stage.after(minutes=1)
    decision = stage.dossier("eva").decision
    assert decision is not None
    assert decision.account == "A1"


def test_without_rules_on_accounts_nobody_is_woken(tmp_path: Path) -> None:
    with Theatre(tmp_path) as theatre:
        theatre.crm.feed([company("A1")])
        for name in ("eva", "tom"):
            theatre.does(theatre.person(name), "page.visited")
        theatre.after(minutes=1)
        eva = theatre.dossier("eva").revision
        theatre.does(Identity("web", "lead", "tom"), "page.visited")
        deal = Opportunity(Identity("crm", "Opportunity", "D"), (), T0, T0, owner="ana", account="A1")
        theatre.crm.feed([deal])
        theatre.after(minutes=1)
        assert theatre.dossier("eva").revision == eva
        assert (theatre.dossier("eva").candidates[0].view.deal_owner) == "ana"


SALESFORCE = AGREEMENT.replace(
    TITLE,
    """[[score.fit]]
attribute = "account.engaged"
weight = 20
choices = [{ min = 2, priority = 10 }]
[[score.fit]]
attribute = "account.industry"
weight = 5
choices = [{ value = "Steel", priority = 10 }]
"""
    + TITLE.replace("40", "15"),
)


def test_accounts_of_salesforce(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tests.story.office, "AGREEMENT", SALESFORCE)
    with office(tmp_path) as desk:
        ana, ben = desk.reps
        seeded = {"Name": "Example AG", "Website": "https://www.example.com", "OwnerId": ben, "Industry": "Steel"}
        [account] = desk.salesforce.seed(accounts=[seeded])["accounts"]
        desk.until_quiet()
        [first] = desk.ask()
        desk.until_quiet()
        lead = next(row for row in desk.rows("Lead") if row["Email"] == first)
        assert lead["OwnerId"] == ben, "the account's owner, though it was Ana's turn"
        dossier = desk.dossier(first)
        assert dossier.decision is not None
        assert dossier.decision.account == account
        assert f"Company: Example AG ({account}), matched Example AG by mail domain example.com." in desk.screen(
            "explain", first
        )
        assert dossier.decision.score is not None
        assert dossier.decision.score.fit == 5
        desk.ask()
        desk.until_quiet()
        again = desk.dossier(first).decision
        assert again is not None
        assert again.score is not None
        assert again.score.fit == 25, "a colleague has come"
        edit = {"object": "Account", "id": account, "fields": {"OwnerId": ana, "Industry": "Coal"}, "as": ana}
        desk.salesforce.act("edit", **edit)
        desk.until_quiet()
        desk.after(minutes=15)
        desk.until_quiet()
        again = desk.dossier(first).decision
        assert again is not None
        assert again.score is not None
        assert again.score.fit == 20, "what the CRM says of the account itself is read by turns"
        [third] = desk.ask()
        desk.until_quiet()
        lead = next(row for row in desk.rows("Lead") if row["Email"] == third)
        assert lead["OwnerId"] == ana


def test_what_the_models_say_is_kept_with_its_history_and_shown(tmp_path: Path) -> None:
    shadow = """
[models.trial]
shadow = true
[[models.trial.fit]]
attribute = "title"
weight = 50
choices = [{ matches = "cfo", priority = 10 }]
[[models.trial.interest]]
activity = "page.visited"
weight = 50
choices = [{ at_least = 1, priority = 10 }]
"""
    whole = (SCORED + shadow).replace("[agent]", '[agent]\nstate = "state.db"')
    (tmp_path / "config.toml").write_text(whole)
    with Theatre(tmp_path, SCORED + shadow) as stage:
        stage.crm.feed([company("A1", owner="ana", industry="Steel"), company("A2", website="other.example")])
        stage.does(stage.person("eva"), "page.visited")
        stage.after(minutes=1)
        stage.after(minutes=1)
        stage.does(stage.person("tom", title="CFO"), "page.visited")
        stage.after(days=2)
        stage.after(minutes=1)
        said = stage.agent.store.results("account:A1")
        assert [(one.fit, one.grade, one.at) for one in said] == [
            (50, "B", T0 + timedelta(minutes=1)),
            (100, "A", stage.clock.now() - timedelta(minutes=1)),
        ], "once for the company, whoever of its people was looked at"
        person = stage.dossier("tom").person
        assert [(one.model, one.fit, one.interest) for one in stage.agent.store.results(f"person:{person}")] == [
            ("trial", 50, 50)
        ]
        before = CliRunner().invoke(main, ["accounts", "--config", str(tmp_path / "config.toml")])
        assert before.output.splitlines() == [
            "id,name,score,grade,list,engaged,open_deals,owner,deal_owner",
            "A1,Example,100.0,A,named,2,0,ana,",
            "A2,Example,0.0,D,,0,0,,",
        ]
        told = CliRunner().invoke(main, ["accounts", "www.Example.com", "--config", str(tmp_path / "config.toml")])
        words = " ".join(told.output.split())
        assert "Example (A1): 100 points, grade A. +100 account.engaged: account.engaged is 2" in words
        assert "2 of its people have done something; 0 open deals. Owner ana. On the list named." in words
        assert "Among them: CFO." in words
        assert "2026-03-02 09:01 │ companies │ 50 │ B" in words
        asked = CliRunner().invoke(main, ["accounts", "Example", "--json", "--config", str(tmp_path / "config.toml")])
        rows = [json.loads(line) for line in asked.output.splitlines()]
        assert [(row["id"], len(row["said"])) for row in rows] == [("A1", 2), ("A2", 0)]
        nobody = CliRunner().invoke(main, ["accounts", "Nobody", "--config", str(tmp_path / "config.toml")])
        assert nobody.exit_code == 1
        assert "`syncagent accounts` lists all" in nobody.output
        seen = CliRunner().invoke(main, ["explain", "tom@example.com", "--config", str(tmp_path / "config.toml")])
        assert "trial" in seen.output.partition("What models said")[2]
