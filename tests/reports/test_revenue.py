"""Revenue by touchpoints: every cent of the CRM's total is somewhere, and what is odd is told."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from syncagent.errors import UserError
from syncagent.model import BOT, CrmUser, Identity
from syncagent.policy import Cost, ReportPolicy
from syncagent.reports.revenue import BY, UNATTRIBUTED, revenue
from tests.reports.market import Market, moment, rows
from tests.story.theatre import T0

MONEY = ("first", "last", "even", "position")


def told(market: Market, **ask: object):
    return revenue(market.theatre.agent.store, market.ask(**ask), market.policy)


def by_name(market: Market, name: str = "won", by: str = "source") -> dict[object, tuple[object, ...]]:
    return {row[by]: tuple(row[one] for one in MONEY) for row in rows(told(market, by=by), name)}


def test_each_way_of_sharing_on_one_journey(market: Market) -> None:
    ada = market.comes("ada", "Paid Search")
    for day, campaign in enumerate(("spring", "mail", "fair")):
        market.does(ada, day, campaign=campaign)
    market.deal("ada", amount=100.01, won=5)
    market.settle()
    assert by_name(market, by="campaign") == {
        "spring": (10_001, 0, 3_334, 4_001),
        "mail": (0, 0, 3_334, 2_000),
        "fair": (0, 10_001, 3_333, 4_000),
    }
    assert by_name(market) == {"Paid Search": (10_001,) * 4}
    (total,) = rows(told(market), "won_total")
    assert (total["deals"], total["amount"], total["attributed"], total["unattributed"]) == (1, 10_001, 10_001, 0)


def test_what_came_after_the_close_was_sent_to_them_or_done_by_robots_counts_for_nothing(market: Market) -> None:
    ada = market.comes("ada", "Paid")
    market.does(ada, 1, campaign="first")
    market.does(ada, 2, "email.delivered", campaign="sent")
    market.does(ada, 2, "email.clicked", campaign="robot", **{BOT: True})
    market.does(ada, 5.5, campaign="after")
    market.deal("ada", won=5)
    market.settle()
    assert by_name(market, by="campaign") == {"first": (10_000,) * 4}
    assert "1 activity of robots" in " ".join(told(market).notes)


def test_nobody_and_nothing_is_hidden(market: Market) -> None:
    ada, eva = market.comes("ada", "Paid"), market.comes("eva", "Organic")
    market.comes("ian", "Fair")
    market.does(ada, 1)
    market.does(eva, 9)
    market.deal("ada", amount=10.0, won=5)
    market.deal("eva", amount=20.0, won=5)  # before the first touchpoint
    market.deal(amount=40.0, won=5)  # nobody's
    market.deal("ian", amount=80.0, won=5)  # who did nothing
    market.deal("ada", amount=None, won=5)
    market.deal("ada", amount=500.0, lost=True)
    market.settle()
    report = told(market)
    (total,) = rows(report, "won_total")
    assert total["amount"] == 15_000 and total["attributed"] == 1_000 and total["unattributed"] == 14_000
    assert (total["deals"], total["unattributed_deals"], total["without_amount"]) == (5, 3, 1)
    assert {(row["why"], row["amount"]) for row in rows(report, "won_unattributed")} == {
        ("won before their first touchpoint", 2_000),
        ("no person", 4_000),
        ("they did nothing that counts", 8_000),
    }
    shown = by_name(market)
    assert shown == {"Paid": (1_000,) * 4, UNATTRIBUTED: (14_000,) * 4}
    assert "1 deal has no amount" in " ".join(report.notes)


def test_a_deal_of_several_people_counts_once(market: Market) -> None:
    ada, eva = market.comes("ada", "Paid"), market.comes("eva", "Organic")
    market.does(ada, 1)
    market.does(eva, 2)
    market.does(eva, 3)
    market.deal("ada", "eva", amount=0.1, won=5)
    market.settle()
    report = told(market)
    (total,) = rows(report, "won_total")
    assert (total["deals"], total["amount"]) == (1, 10)
    assert by_name(market) == {"Organic": (0, 10, 6, 6), "Paid": (10, 0, 4, 4)}
    assert "1 deal has several people" in " ".join(report.notes)


def test_currencies_are_never_added(market: Market) -> None:
    ada = market.comes("ada", "Paid")
    market.does(ada, 1)
    market.deal("ada", amount=10.0, won=5, currency="EUR")
    market.deal("ada", amount=20.0, won=5, currency="USD")
    market.deal("ada", amount=40.0, won=5)
    market.deal("ada", amount=80.0, currency="USD")
    market.settle()
    report = told(market)
    amounts = {one.name: rows(report, one.name)[0]["amount"] for one in report.tables if "total" in one.name}
    assert amounts == {"won_total": 4_000, "won_total_eur": 1_000, "won_total_usd": 2_000, "open_total_usd": 8_000}
    assert "3 currencies (none named, EUR, USD)" in " ".join(report.notes)
    assert all(sum("(EUR)" in one.title for one in made.columns) for made in report.tables if made.name == "won_eur")


def test_open_deals_are_the_pipeline_whenever_they_were_made(market: Market) -> None:
    ada = market.comes("ada", "Paid")
    market.does(ada, 1)
    market.does(ada, 20)  # after a close that has not been: it counts
    market.deal("ada", amount=10.0)
    market.deal("ada", amount=70.0, won=5)
    market.settle()
    assert by_name(market, "open") == {"Paid": (1_000,) * 4}
    later = told(market, since=moment(10))
    assert [one.name for one in later.tables] == ["open_total", "open"]


def test_the_days_of_winning_add_up(market: Market) -> None:
    ada = market.comes("ada", "Paid")
    market.does(ada, 0)
    for day in range(1, 8):
        market.deal("ada", amount=day / 100, won=day)
    market.settle()
    cuts = [(None, moment(3)), (moment(3), moment(6)), (moment(6), None)]
    parts = [rows(told(market, since=since, until=until), "won_total")[0]["amount"] for since, until in cuts]
    assert parts == [1 + 2, 3 + 4 + 5, 6 + 7]
    assert sum(parts) == rows(told(market), "won_total")[0]["amount"] == 28


def test_people_who_were_merged_are_one(market: Market) -> None:
    ada, eva = market.comes("ada", "Paid"), market.comes("eva", "Organic")
    market.does(eva, 1, campaign="early")
    market.does(ada, 2, campaign="late")
    market.deal("ada", "eva", amount=10.0, won=5)
    market.settle()
    market.merge(ada, eva)
    market.settle()
    report = told(market, by="campaign")
    (total,) = rows(report, "won_total")
    assert (total["deals"], total["amount"], total["attributed"]) == (1, 1_000, 1_000)
    assert by_name(market, by="campaign") == {"early": (1_000, 0, 500, 500), "late": (0, 1_000, 500, 500)}
    assert "several people" not in " ".join(report.notes)


@pytest.mark.parametrize("by", BY)
def test_every_cut_is_the_whole(market: Market, by: str) -> None:
    ada, eva = market.comes("ada", "Paid"), market.comes("eva", "Organic")
    for n, who in enumerate((ada, eva, ada, eva, eva)):
        market.does(who, n, ("page.visited", "form.submitted")[n % 2], f"asset-{n}", campaign=f"campaign-{n % 3}")
    market.deal("ada", "eva", amount=99.99, won=8)
    market.deal("eva", amount=0.02, won=8)
    market.deal(amount=7.77, won=8)
    market.settle()
    report = told(market, by=by)
    for model in MONEY:
        assert sum(row[model] for row in rows(report, "won")) == 10_778


def test_what_was_spent_stands_beside_what_came_back(market: Market) -> None:
    ada = market.comes("ada", "Paid")
    market.does(ada, 1, campaign="spring")
    market.deal("ada", amount=300.0, won=5, currency="EUR")
    market.settle()
    day, after = T0.date(), (T0 + timedelta(days=1)).date()
    costs = (
        Cost("paid", 5_000, day, after, "spring", "EUR"),
        Cost("Paid", 2_500, day, after, "", "EUR"),
        Cost("Nobody", 100, day, after, "", "EUR"),
        Cost("Paid", 900, day, after, "", "USD"),
    )
    policy = replace(market.policy, reports=ReportPolicy(costs=costs))
    report = revenue(market.theatre.agent.store, market.ask(), policy)
    assert [(row["source"], row["cost"], row["roi"]) for row in rows(report, "won_eur")] == [
        ("Paid", 7_500, 3.0),
        ("Nobody", 100, -1.0),
    ]
    assert "Costs in USD stand beside no deal" in report.notes[-1]
    by = revenue(market.theatre.agent.store, market.ask(by="campaign"), policy)
    assert [(row["campaign"], row["cost"]) for row in rows(by, "won_eur")] == [("spring", 5_000), (None, 2_600)]


def test_reps_are_shown_by_name(market: Market) -> None:
    ada = market.comes("ada", "Paid")
    market.does(ada, 1)
    market.deal("ada", won=5)
    market.theatre.crm.feed([CrmUser(Identity("crm", "user", "ana"), "Ana Silva")])
    market.settle()
    assert by_name(market, by="rep") == {"Ana Silva": (10_000,) * 4}


def test_nothing_at_all_is_told_and_not_divided_by(market: Market) -> None:
    market.settle()
    report = told(market)
    assert report.tables == () and "no deal that is won or open" in " ".join(report.notes)


def test_another_cut_is_refused_with_those_there_are(market: Market) -> None:
    with pytest.raises(UserError, match="source, campaign"):
        told(market, by="weather")
