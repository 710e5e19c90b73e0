"""What people do, as tables: fading, caps, quantity, idleness, robots, guards, ages of dates, what is worked out."""

from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest
from msgspec.structs import replace

from syncagent.handoff import score, score_lines
from syncagent.handoff.scoring import excluded, judge
from syncagent.model import AccountView, Activity, Identity, Opportunity, Value
from syncagent.policy import (
    Condition,
    Decay,
    Duration,
    FitChoice,
    FitRule,
    GroupCap,
    InterestChoice,
    InterestRule,
    NamedModel,
    Policy,
    Robots,
    ScoreModel,
)
from tests.unit.handoff.worlds import MARKETO, NOW, activity, dossier, lead, minutes, policy

EACH = (InterestChoice(2, each=True),)  # 5 points each, of a weight of 25
STEPS = Decay(steps=((10, 0.5), (30, 0.2), (90, 0.0)))


def by(*rules: InterestRule, **changes: Any) -> Policy:
    return policy(scoring=ScoreModel(interest=rules, **changes))


def ago(*days: float, kind: str = "page.visited", asset: str = "", **known: Value) -> tuple[Activity, ...]:
    return tuple(activity(f"{kind}{asset}{day}", NOW - timedelta(days=day), kind, asset, **known) for day in days)


def points(terms: Policy, *activities: Activity) -> float:
    return score(dossier(leads=(), records=(), activities=activities), terms, NOW).total


RULE = InterestRule("visits", "page.visited", 25, EACH)


@pytest.mark.parametrize(
    ("rule", "days", "expected"),
    [
        (RULE, (1, 2, 3), 15),
        (RULE, tuple(range(9)), 25),  # its weight is the most
        (replace(RULE, cap=12.0), (1, 2, 3), 12),
        (replace(RULE, cap_per_day=8.0), (1, 1.1, 1.2, 5), 13),  # 8 of one day, 5 of another
        (replace(RULE, choices=(InterestChoice(-2, each=True),)), tuple(range(9)), -25),
        (replace(RULE, cap=4.0, choices=(InterestChoice(-2, each=True),)), (1, 2), -10),  # caps hold no loss down
        (replace(RULE, choices=(InterestChoice(2, each=True, within=Duration(days=7)),)), (1, 6, 8), 10),
        (replace(RULE, decay=STEPS), (1, 9, 10, 29, 30, 89, 90), 17),  # 5 + 5, 2.5 + 2.5, 1 + 1, 0
        (replace(RULE, decay=STEPS, choices=(InterestChoice(10),)), (12, 60), 12.5),  # by the newest
        (replace(RULE, decay=Decay(half_life=10)), (10, 20), 3.8),  # 2.5 + 1.25, to a tenth: 3.8 (half to even)
        (replace(RULE, decay=STEPS, cap=4.0), (10, 10.1), 4),  # caps come after fading
        (replace(RULE, choices=(InterestChoice(10, at_least=0),), decay=STEPS), (), 25),  # rests on nothing: stays
    ],
)
def test_fading_and_caps(rule: InterestRule, days: tuple[float, ...], expected: float) -> None:
    assert points(by(rule), *ago(*days)) == pytest.approx(expected)


def test_a_group_shares_its_caps_and_the_lower_rules_give_way() -> None:
    rules = (replace(RULE, name="a", group="web"), InterestRule("b", "email.clicked", 25, EACH, group="web"))
    done = (*ago(1, 2, 3), *ago(1, 2, kind="email.clicked"))
    terms = by(*rules, caps=(GroupCap("web", most=18),))
    found = score(dossier(leads=(), records=(), activities=done), terms, NOW)
    assert [(one.rule, one.points, one.lost) for one in found.contributions] == [("a", 15, 0), ("b", 3, 7)]
    assert "7.0 above the cap" in found.contributions[1].why
    daily = by(*rules, caps=(GroupCap("web", per_day=6),))
    assert points(daily, *done) == 6 + 6 + 5  # both on days 1 and 2, one alone on day 3


@pytest.mark.parametrize(
    ("days", "expected"),
    [((), 0), ((1,), 0), ((29.9,), 0), ((31,), -5), ((59,), -5), ((61,), -10), ((61, 400), -10), ((1, 400), 0)],
)
def test_idleness_goes_in_steps_and_needs_something_before(days: tuple[float, ...], expected: float) -> None:
    steps = (InterestChoice(-10, idle=Duration(days=60)), InterestChoice(-5, idle=Duration(days=30)))
    assert points(by(InterestRule("idle", ("page.*", "form.*"), 10, steps)), *ago(*days)) == expected


@pytest.mark.parametrize(
    ("rule", "days", "in_days"),
    [
        (replace(RULE, decay=STEPS), (4.0,), 6),  # 4 days old now, half of it at 10
        (replace(RULE, decay=STEPS), (4.0, 8.0), 2),
        (replace(RULE, decay=STEPS), (12.0, 95.0), 18),
        (replace(RULE, decay=STEPS), (95.0,), None),
        (replace(RULE, decay=Decay(half_life=30)), (0.1,), 1),  # 5 points: 4.9 tomorrow
        (replace(RULE, decay=Decay(half_life=500)), (0.1,), 8),  # 5 x 2^(-8/500) = 4.945, the first that is below 4.95
        (replace(RULE, choices=(InterestChoice(-10, idle=Duration(days=30)),)), (4.0,), 26),
        (replace(RULE, choices=(InterestChoice(-10, idle=Duration(days=30)),)), (40.0,), None),
    ],
)
def test_when_fading_and_idleness_change_a_score(
    rule: InterestRule, days: tuple[float, ...], in_days: int | None
) -> None:
    facts, terms = dossier(leads=(), records=(), activities=ago(*days)), by(rule)
    at = judge(facts, terms, NOW, {}).changes_at
    if in_days is None:
        assert at is None
        return
    assert at is not None
    midnight = (NOW + timedelta(days=in_days)).replace(hour=0) - minutes(60)  # of Berlin in winter
    expected = midnight if rule.decay is not None else NOW + timedelta(days=in_days, hours=2)
    assert at in (expected, expected - timedelta(hours=1))  # a day in summer begins an hour earlier
    assert score(facts, terms, at).total != score(facts, terms, NOW).total
    assert score(facts, terms, at - timedelta(hours=3)).total == score(facts, terms, NOW).total


@pytest.mark.parametrize(
    ("changes", "one", "counts"),
    [
        ({"source": "marketo"}, activity("a", NOW), True),
        ({"source": "hub*"}, activity("a", NOW), False),
        ({"campaign": ("spring*", "fair")}, activity("a", NOW, campaign="Spring 26"), True),
        ({"campaign": ("spring*", "fair")}, activity("a", NOW), False),
        ({"where": {"size": Condition(minimum=3)}}, activity("a", NOW, size="5"), True),
        ({"where": {"size": Condition(minimum=3)}}, activity("a", NOW, size=2), False),
        ({"where": {"size": Condition(minimum=3)}, "source": "crm"}, activity("a", NOW, size=5), False),
        ({"asset": ("*pricing*", "roi")}, activity("a", NOW, asset="ROI"), True),
        ({"asset": "*", "not_asset": ("*careers*", "jobs")}, activity("a", NOW, asset="/Careers/x"), False),
        ({"asset": "*", "not_asset": ("*careers*", "jobs")}, activity("a", NOW, asset="/team"), True),
    ],
)
def test_which_activities_count(changes: dict[str, Any], one: Activity, counts: bool) -> None:
    assert bool(points(by(replace(RULE, activity=("page.*", "form.*"), **changes)), one)) is counts


# -- robots
def mail(key: str, seconds: float, kind: str = "email.clicked", asset: str = "news", **known: Value) -> Activity:
    return activity(key, NOW - minutes(60) + timedelta(seconds=seconds), kind, asset, **known)


CLICKS = InterestRule("clicks", "email.clicked", 25, (InterestChoice(1, each=True),))
BURST = (mail("a", 100, Link="/1"), mail("b", 100.4, Link="/2"), mail("c", 101, Link="/3"))


@pytest.mark.parametrize(
    ("robots", "done", "out"),
    [
        (Robots(), (mail("a", 1, **{"Is Bot Activity": "true"}), mail("b", 2)), "a"),
        (Robots(marked=False), (mail("a", 1, **{"Is Bot Activity": True}),), ""),
        (Robots(admit="ne*"), (mail("a", 1, **{"Is Bot Activity": True}),), ""),
        (Robots(after_delivery=1), (mail("d", 0, "email.delivered"), mail("a", 0.8), mail("b", 1.2)), "a"),
        (Robots(after_delivery=1), (mail("d", 0, "email.delivered", "other"), mail("a", 0.8)), ""),
        (Robots(after_delivery=1, admit="news"), (mail("d", 0, "email.delivered"), mail("a", 0.8)), ""),
        (Robots(after_delivery=1), (mail("d", 9, "email.delivered"), mail("a", 8)), ""),  # a click before it
        (Robots(links=3), BURST, "abc"),
        (Robots(links=3), (*BURST[:2], mail("c", 101.1, Link="/3")), ""),
        (Robots(links=3), (*BURST[:2], mail("c", 101, Link="/2")), ""),  # a double click is no third link
        (Robots(links=3), (*BURST, mail("e", 300, Link="/1")), "abc"),
    ],
)
def test_robots_do_not_count_and_leave_a_receipt(robots: Robots, done: tuple[Activity, ...], out: str) -> None:
    terms = by(CLICKS, robots=robots)
    for told in (*list(permutations(done))[:24], done + done):
        facts = dossier(leads=(), records=(), activities=told)
        receipts = excluded(facts, terms, NOW)
        assert "".join(sorted(one.activity.key for one in receipts)) == out
        clicked = len({one.key for one in done if one.kind == "email.clicked"})
        assert score(facts, terms, NOW).interest == pytest.approx(2.5 * (clicked - len(out)))
    everything = by(CLICKS, robots=robots, exclude_bots=False)
    assert score(facts, everything, NOW).interest == pytest.approx(2.5 * clicked)
    assert not excluded(facts, everything, NOW)
    told_why = "\n".join(score_lines(facts, terms, NOW))
    assert told_why.count("Not counted: email clicked: news") == len(out)


# -- fit: dates, lists, what is worked out
@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        ("2026-03-01", 10),
        ("2026-02-08", 10),  # 30 days before NOW is 8 February, 10:00 in Berlin ...
        ("2026-02-08T08:59:59Z", -5),
        ("2026-02-07", -5),
        ("2027-01-01", 10),  # ahead is not old
        ("soon", 0),
        (None, 0),
        (7, 0),
    ],
)
def test_the_age_of_a_date(seen: Value, expected: float) -> None:
    month = Duration(days=30)
    choices = (FitChoice(10, Condition(newer=month)), FitChoice(-5, Condition(older=month)))
    terms = policy(scoring=ScoreModel(fit=(FitRule("seen", "seen_on", 10, choices),)))
    expected = -5 if seen == "2026-02-08" else expected  # ... and a date is its midnight
    assert score(dossier(leads=(lead(seen_on=seen),), activities=()), terms, NOW).fit == expected


DOMAINS = FitRule(
    "domain", "email.domain", 10, (FitChoice(-10, Condition(globs=("rival.example", "*.rival.example", "*.edu"))),)
)


@pytest.mark.parametrize(
    ("address", "expected"),
    [("a@rival.example", -10), ("a@Mail.Rival.example", -10), ("a@x.edu", -10), ("a@notrival.example", 0), ("", 0)],
)
def test_competitors_and_students_by_domain(address: str, expected: float) -> None:
    facts = dossier(leads=(lead(email=address),), emails=(address,) if address else (), activities=())
    assert score(facts, policy(scoring=ScoreModel(fit=(DOMAINS,))), NOW).fit == expected


def worth(attribute: str, condition: Condition, weight: float = 10) -> FitRule:
    return FitRule(attribute, attribute, weight, (FitChoice(10, condition),))


ACME = AccountView(
    "A1", "ben", "Acme Ltd", open_deals=1, engaged=3, titles=("CFO", "Clerk"), attributes={"industry": "Steel"}
)
DEAL = Opportunity(
    Identity("crm", "Opportunity", "O1"), (MARKETO,), NOW, NOW - timedelta(days=9), "ben", "Proposal", amount=5000.0
)


@pytest.mark.parametrize(
    ("attribute", "condition", "holds"),
    [
        ("account.engaged", Condition(minimum=3), True),
        ("account.engaged", Condition(minimum=4), False),
        ("account.titles", Condition(matches=r"\bcfo\b"), True),  # a wanted role has appeared
        ("account.name", Condition(globs=("acme*", "globex")), True),  # a list of key accounts
        ("account.industry", Condition(values=("steel",)), True),
        ("account.owner", Condition(present=True), True),
        ("account.open_deals", Condition(maximum=0), False),
        ("came.kind", Condition(values=("event.attended",)), True),
        ("came.asset", Condition(values=("Fair",)), True),
        ("came.source", Condition(values=("marketo",)), True),
        ("came.campaign", Condition(present=False), True),
        ("deal.amount", Condition(minimum=5000), True),
        ("deal.stage", Condition(values=("Proposal",)), True),
        ("deal.created", Condition(newer=Duration(days=10)), True),
        ("deal.created", Condition(newer=Duration(days=8)), False),
        ("deal.count", Condition(values=(1,)), True),
    ],
)
def test_what_is_worked_out(attribute: str, condition: Condition, holds: bool) -> None:
    done = (activity("z", NOW - timedelta(days=9), "event.attended", "Fair"), activity("a", NOW))
    facts = dossier(activities=done, account=ACME, opportunities=(DEAL, DEAL))
    terms = policy(scoring=ScoreModel(fit=(worth(attribute, condition),)))
    assert score(facts, terms, NOW).fit == (10 if holds else 0)
    assert judge(facts, terms, NOW, {}).waits_on == (("account:A1",) if attribute.startswith("account.") else ())


def test_a_person_takes_part_in_the_score_of_their_account() -> None:
    accounts = NamedModel(
        "accounts",
        ScoreModel(
            fit=(
                worth("account.engaged", Condition(minimum=3), 60),
                worth("account.industry", Condition(values=("Coal",)), 40),
            )
        ),
        of="accounts",
    )
    rules = (worth("account.score", Condition(minimum=60), 10), worth("account.grade", Condition(values=("B",)), 5))
    terms = policy(scoring=ScoreModel(fit=rules), models=(accounts,))
    assert score(dossier(activities=(), account=ACME), terms, NOW).fit == 15  # 60 of 100 is a B
    assert score(dossier(activities=(), account=replace(ACME, engaged=2)), terms, NOW).fit == 0
    assert score(dossier(activities=()), terms, NOW).fit == 0
