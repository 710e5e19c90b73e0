"""Sources: leads, wins and money of each; what is spent on whom; what nobody knows is unknown, and never 0."""

from datetime import date, timedelta

import pytest
from msgspec.structs import replace

from syncagent.errors import UserError
from syncagent.policy import Cost, Policy, ReportPolicy
from syncagent.reports.sources import sources
from tests.reports.market import Market, moment, rows
from tests.story.theatre import T0

DAY = T0.date()


def spending(market: Market, *costs: Cost, **more: object) -> Policy:
    return replace(market.policy, reports=ReportPolicy(costs=costs, **more))  # type: ignore[arg-type]


def cost(source: str, cents: int, campaign: str = "", currency: str = "", begin: date = DAY) -> Cost:
    return Cost(source, cents, begin, date.fromordinal(begin.toordinal() + 1), campaign, currency)


def told(market: Market, policy: Policy | None = None, **ask: object):
    return sources(market.theatre.agent.store, market.ask(**ask), policy or market.policy)


def of(report: object, name: str = "source", key: str = "source") -> dict[object, dict[str, object]]:
    return {row[key]: row for row in rows(report, name)}  # type: ignore[arg-type]


def people(market: Market) -> None:
    """Three of Paid, of whom one wins; one of nowhere."""
    for n, name in enumerate(("ada", "eva", "ian")):
        who = market.comes(name, "Paid Search", campaign=("spring", "spring", "")[n])
        market.does(who, n)
    market.does(market.comes("zoe"), 1)
    market.deal("ada", amount=300.0, won=5)


def test_leads_wins_and_money_by_source_and_campaign(market: Market) -> None:
    people(market)
    market.settle()
    report = told(market)
    found = {name: (row["leads"], row["won"], row["win_rate"], row["revenue"]) for name, row in of(report).items()}
    assert found == {"Paid Search": (3, 1, 1 / 3, 30_000), None: (1, 0, 0.0, 0)}
    assert {(row["source"], row["campaign"], row["leads"], row["revenue"]) for row in rows(report, "campaign")} == {
        ("Paid Search", "spring", 2, 30_000),
        ("Paid Search", None, 1, 0),
        (None, None, 1, 0),
    }


def test_what_a_lead_costs_and_what_comes_back(market: Market) -> None:
    people(market)
    market.settle()
    policy = spending(market, cost("PAID search", 6_000, "Spring"), cost("Paid Search", 1_500))
    row = of(told(market, policy))["Paid Search"]
    assert (row["cost"], row["cost_per_lead"], row["cost_per_won"], row["roi"]) == (7_500, 2_500, 7_500, 3.0)
    shown = {
        (one["campaign"], one["cost"], one["roi"]) for one in rows(told(market, policy, by="campaign"), "campaign")
    }
    assert shown == {("spring", 6_000, 4.0), (None, 1_500, -1.0), (None, None, None)}


def test_what_nobody_knows_is_unknown(market: Market) -> None:
    people(market)
    market.settle()
    report = told(market, spending(market, cost("Billboards", 900), cost("Paid Search", 0)))
    found = of(report)
    assert found["Billboards"]["leads"] == 0 and found["Billboards"]["cost"] == 900
    assert found["Billboards"]["win_rate"] is found["Billboards"]["cost_per_lead"] is None
    assert found["Billboards"]["roi"] == -1.0
    assert found["Paid Search"]["cost_per_lead"] == 0 and found["Paid Search"]["roi"] is None
    assert found[None]["cost"] is found[None]["cost_per_lead"] is found[None]["roi"] is None
    assert "'Billboards', which no lead of this time names" in " ".join(report.notes)


def test_the_time_of_coming_cuts_leads_and_their_money_and_adds_up(market: Market) -> None:
    people(market)
    bob = market.comes("bob", "Paid Search")
    market.does(bob, 12)
    market.deal("ada", "bob", amount=1.01, won=20)
    market.deal(amount=5.0, won=20)
    market.settle()
    cuts = [{"until": moment(10)}, {"since": moment(10)}]
    parts = [rows(told(market, **cut), "reconciled")[0] for cut in cuts]
    whole = rows(told(market), "reconciled")[0]
    assert whole["amount"] == 30_000 + 101 + 500 and whole["unattributed"] == 500 and whole["other_leads"] == 0
    assert [part["amount"] for part in parts] == [whole["amount"]] * 2
    assert [part["these_leads"] for part in parts] == [30_000 + 51, 50]
    for part in (*parts, whole):
        assert part["these_leads"] + part["other_leads"] + part["unattributed"] == part["amount"]
    assert [sum(row["leads"] for row in rows(told(market, **cut), "source")) for cut in cuts] == [4, 1]


def test_currencies_stand_beside_each_other(market: Market) -> None:
    people(market)
    market.deal("ada", amount=7.0, won=5, currency="USD")
    market.settle()
    policy = spending(market, cost("Paid Search", 100, currency="USD"), cost("Paid Search", 300, currency="EUR"))
    report = told(market, policy)
    row = of(report)["Paid Search"]
    assert (row["revenue"], row["revenue_usd"], row["revenue_eur"]) == (30_000, 700, 0)
    assert (row["cost"], row["cost_usd"], row["cost_eur"]) == (None, 100, 300)
    assert "3 currencies" in " ".join(report.notes)


def test_the_config_names_the_currency_of_what_names_none(market: Market) -> None:
    people(market)
    market.settle()
    report = told(market, spending(market, cost("Paid Search", 10_000, currency="EUR"), currency="EUR"))
    row = of(report)["Paid Search"]
    assert (row["revenue_eur"], row["roi_eur"]) == (30_000, 2.0)


def test_leads_that_were_handed_over_and_accepted(market: Market) -> None:
    for name in ("ada", "eva", "ian"):
        who = market.theatre.person(name, source="Paid Search")
        market.theatre.lead(name)
        if name != "ian":
            market.does(who, 0, "form.submitted", "contact-sales")
    market.settle(days=0)
    lead = market.theatre.record("ada")
    at = market.theatre.clock.now() + timedelta(minutes=5)
    taken = replace(lead, modified_at=at, modified_by="ana", fields={**lead.fields, "status": "Working"})
    market.theatre.clock.advance(timedelta(minutes=10))
    market.theatre.crm.feed([taken])
    market.settle(days=0)
    found = of(told(market))["Paid Search"]
    assert (found["leads"], found["handed_over"], found["accepted"], found["won"]) == (3, 2, 1, 0)


def test_another_cut_is_refused(market: Market) -> None:
    with pytest.raises(UserError, match="source or campaign"):
        told(market, by="weather")
