"""Points, reasons and grades, as tables."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from syncagent.handoff import score
from syncagent.handoff.conditions import as_test, fits_of, is_yes, number
from syncagent.handoff.scoring import is_ready, judge
from syncagent.model import Score, Value
from syncagent.policy import (
    Condition,
    Duration,
    FitChoice,
    FitRule,
    GroupCap,
    InterestChoice,
    InterestRule,
    ScoreModel,
    Threshold,
)
from tests.unit.handoff.worlds import NOW, activity, dossier, lead, minutes, policy, record


@pytest.mark.parametrize(
    ("condition", "value", "expected"),
    [
        (Condition(values=("US", "CA")), "us ", True),
        (Condition(values=("US", "CA")), "de", False),
        (Condition(values=(5,)), 5.0, True),
        (Condition(values=(True,)), True, True),
        (Condition(values=(None,)), None, True),
        (Condition(matches="chief|vp"), "Vice VP", True),
        (Condition(matches="chief"), None, False),
        (Condition(matches="("), "(", False),
        (Condition(minimum=1000), "1,200", True),
        (Condition(minimum=1000), 999, False),
        (Condition(maximum=10), 10, True),
        (Condition(minimum=1), "many", False),
        (Condition(minimum=0), True, False),
        (Condition(minimum=0), None, False),
        (Condition(present=True), "", False),
        (Condition(present=False), None, True),
        (Condition(present=True, values=("a",)), "A", True),
        (Condition(present=True, values=("a",)), "b", False),
        (Condition(), None, True),
    ],
)
def test_conditions(condition: Condition, value: Value, expected: bool) -> None:
    assert as_test(condition)(value) is expected


def test_all_conditions_of_a_route_must_hold() -> None:
    fits = fits_of({"country": Condition(values=("US",)), "employees": Condition(minimum=1000)})
    assert fits({"country": "us", "employees": 1000})
    assert not fits({"country": "us"})
    assert fits_of({})({})


def test_yes_and_numbers_as_systems_say_them() -> None:
    assert [is_yes(one) for one in ("Yes", "true", 1, True, "no", "", None, 0)] == [True] * 4 + [False] * 4
    assert [number(one) for one in ("1,000.5", 3, "x", None, True)] == [1000.5, 3.0, None, None, None]


@dataclass
class Case:
    rule: InterestRule
    activities: tuple[Any, ...]
    points: float


WITHIN = InterestRule("r", "form.*", 30, (InterestChoice(10, at_least=2, within=Duration(days=7)), InterestChoice(4)))


@pytest.mark.parametrize(
    "case",
    [
        Case(WITHIN, (activity("a", NOW), activity("b", NOW - timedelta(days=6))), 30),
        Case(WITHIN, (activity("a", NOW), activity("b", NOW - timedelta(days=8))), 12),
        Case(WITHIN, (activity("a", NOW), activity("a", NOW)), 12),
        Case(WITHIN, (activity("a", NOW, "page.visited"),), 0),
        Case(
            InterestRule("r", "FORM.*", 30, (InterestChoice(10),), "demo-*"), (activity("a", NOW, asset="Demo-1"),), 30
        ),
        Case(InterestRule("r", "form.*", 30, (InterestChoice(10),), "demo-*"), (activity("a", NOW, asset="x"),), 0),
        Case(InterestRule("r", "form.*", 30, (InterestChoice(10, exactly=2),)), (activity("a", NOW),), 0),
        Case(InterestRule("r", "form.*", 30, (InterestChoice(-10, exactly=0),)), (), -30),
        Case(
            InterestRule("r", "form.*", 30, (InterestChoice(10),)),
            (activity("a", NOW, **{"Is Bot Activity": True}),),
            0,
        ),
        Case(
            InterestRule("r", "form.*", 30, (InterestChoice(10),)),
            (activity("a", NOW, **{"Is Bot Activity": "false"}),),
            30,
        ),
        Case(
            InterestRule("r", "form.*", 30, (InterestChoice(10, within=Duration(minutes=5)),)),
            (activity("a", NOW - minutes(6)),),
            0,
        ),
    ],
)
def test_interest(case: Case) -> None:
    terms = policy(scoring=ScoreModel(interest=(case.rule,)))
    found = score(dossier(activities=case.activities, leads=()), terms, NOW)
    assert found.total == case.points
    assert sum(one.points for one in found.contributions) == case.points
    assert all(one.points for one in found.contributions)


def test_a_robot_counts_when_the_policy_says_so() -> None:
    model = replace(policy().scoring, exclude_bots=False)
    facts = dossier(activities=(activity("a", NOW, **{"Is Bot Activity": True}),))
    assert score(facts, policy(scoring=model), NOW).interest == 40


def test_the_evidence_names_the_activities_oldest_first() -> None:
    facts = dossier(activities=(activity("b", NOW), activity("a", NOW - minutes(9))))
    found = next(one for one in score(facts, policy(), NOW).contributions if one.rule == "forms")
    assert found.evidence == ("a", "b")
    assert found.why == "2 x form.* within 30 days"


def test_a_calendar_day_window_keeps_the_wall_clock() -> None:
    rule = InterestRule("r", "form.*", 30, (InterestChoice(10, within=Duration(days=30)),))
    terms = policy(scoring=ScoreModel(interest=(rule,)))
    now = NOW + timedelta(days=25)  # after the clocks went forward in Berlin: 09:00 UTC is 11:00 there
    edge = now - timedelta(days=30) + timedelta(hours=1)
    assert score(dossier(activities=(activity("a", edge),), leads=()), terms, now).total == 30
    assert score(dossier(activities=(activity("a", edge - minutes(1)),), leads=()), terms, now).total == 0


def test_the_first_fit_choice_that_holds_counts_and_the_newest_source_wins() -> None:
    rule = FitRule(
        "t", "title", 20, (FitChoice(10, Condition(matches="chief")), FitChoice(-10, Condition(matches="student")))
    )
    terms = policy(scoring=ScoreModel(fit=(rule,)))

    def fit(*titles: str | None) -> float:
        leads = tuple(lead(NOW + minutes(at), title=title) for at, title in enumerate(titles))
        return score(dossier(leads=leads), terms, NOW).fit

    assert fit("Chief student") == 20
    assert fit("Student") == -20
    assert fit("Student", "Chief") == 20
    assert fit("Chief", None) == 20
    assert fit() == 0
    only_crm = dossier(leads=(), records=(record(title="Chief"),))
    assert score(only_crm, terms, NOW).fit == 20


@pytest.mark.parametrize(
    ("title", "forms", "grade"),
    [("Director", 1, "A1"), ("Director", 0, "A4"), ("Clerk", 1, "D1"), ("Student", 0, "D4")],
)
def test_grades(title: str, forms: int, grade: str) -> None:
    model = replace(policy().scoring, interest=policy().scoring.interest[:1])
    facts = dossier(leads=(lead(title=title),), activities=tuple(activity(f"a{n}", NOW) for n in range(forms)))
    assert score(facts, policy(scoring=model), NOW).grade == grade


# 75, 50 and 25 % of what can be earned: 30 points of fit (20 more are only there to be lost), so A from 22.5, B from
# 15, C from 7.5; and 30 of interest (a form is capped at 20, the web group at 10), so 1, 2, 3 from the same.
def titled(*priorities: float) -> FitRule:
    return FitRule(
        "title", "title", 30, tuple(FitChoice(one, Condition(values=(f"{one:g}",))) for one in priorities)
    )  # fmt: skip


MATRIX = ScoreModel(
    fit=(
        titled(10, 7.5, 7.4, 5, 4.9, 2.5, 2.4),
        FitRule("rivals", "email.domain", 20, (FitChoice(-10, Condition(globs=("rival.example",))),)),
    ),
    interest=(
        InterestRule("form", "form.submitted", 30, (InterestChoice(10),), cap=20),
        InterestRule("page", "page.visited", 12, (InterestChoice(2.5, each=True),), group="web"),  # 3 each
        InterestRule("click", "email.clicked", 8, (InterestChoice(5),), group="web"),  # 4
    ),
    caps=(GroupCap("web", most=10),),
)
FORM, PAGE, CLICK = "form.submitted", "page.visited", "email.clicked"


@pytest.mark.parametrize(
    ("number", "did"),
    [
        ("1", (FORM, PAGE, PAGE, CLICK)),  # 20 + 10 = 30
        ("1", (FORM, PAGE)),  # 20 + 3 = 23
        ("2", (FORM,)),  # 20
        ("3", (PAGE, PAGE, PAGE)),  # 9
        ("3", (PAGE, PAGE, PAGE, PAGE, CLICK)),  # 12 + 4, and the group holds it at 10
        ("4", (PAGE, PAGE)),  # 6
        ("4", ()),
    ],
)
@pytest.mark.parametrize(
    ("letter", "title", "mail"),
    [
        ("A", "10", ""),  # 30
        ("A", "7.5", ""),  # 22.5
        ("B", "7.4", ""),  # 22.2
        ("B", "5", ""),  # 15
        ("C", "4.9", ""),  # 14.7
        ("C", "2.5", ""),  # 7.5
        ("C", "10", "rival.example"),  # 30 - 20 = 10
        ("D", "2.4", ""),  # 7.2
        ("D", "5", "rival.example"),  # 15 - 20 = -5
        ("D", "none of them", ""),
    ],
)
def test_the_matrix_of_grades(letter: str, title: str, mail: str, number: str, did: tuple[str, ...]) -> None:
    person = dossier(
        leads=(lead(title=title, email=f"eva@{mail or 'example.com'}"),),
        activities=tuple(activity(f"a{n}", NOW - minutes(n), kind) for n, kind in enumerate(did)),
    )
    assert score(person, policy(scoring=MATRIX), NOW).grade == letter + number


@pytest.mark.parametrize(
    ("threshold", "ready"),
    [
        (Threshold(score=50), True),
        (Threshold(score=51), False),
        (Threshold(grades=("B2",)), True),
        (Threshold(score=99, grades=("B2",)), True),
        (Threshold("all", score=99, grades=("B2",)), False),
        (Threshold("all", score=50, grades=("B2",)), True),
        (Threshold(), False),
    ],
)
def test_the_line(threshold: Threshold, ready: bool) -> None:
    assert is_ready(Score(20, 30, "B2"), threshold) is ready


def rule(*choices: InterestChoice) -> InterestRule:
    return InterestRule("r", "form.*", 30, choices)


def at_least(count: int, days: int, priority: float = 10) -> InterestChoice:
    return InterestChoice(priority, at_least=count, within=Duration(days=days))


def exactly(count: int, days: int, priority: float = 10) -> InterestChoice:
    return InterestChoice(priority, exactly=count, within=Duration(days=days))


AGO = tuple(activity(f"d{days}", NOW - timedelta(days=days, minutes=5)) for days in (5, 3, 1))


@pytest.mark.parametrize(
    ("choices", "days"),
    [
        ((at_least(1, 7),), 6),  # the newest of the three leaves last
        ((at_least(2, 7),), 4),
        ((at_least(3, 7),), 2),
        ((at_least(4, 7), at_least(1, 2)), 1),
        ((at_least(4, 7),), None),  # what does not hold will not by itself
        ((at_least(0, 7),), None),
        ((exactly(3, 7),), 2),
        ((exactly(2, 7),), 2),  # begins to hold
        ((exactly(0, 7),), 6),
        ((exactly(0, 7, -10), at_least(2, 7, 10)), 4),
        ((exactly(4, 7),), None),
        ((InterestChoice(10),), None),
    ],
)
def test_when_the_score_changes_by_itself(choices: tuple[InterestChoice, ...], days: int | None) -> None:
    terms = policy(scoring=ScoreModel(interest=(rule(*choices),)))
    for activities in (AGO, AGO[::-1]):
        facts = dossier(activities=activities, leads=(), records=())
        expected = NOW + timedelta(days=days, hours=1) if days is not None else None
        assert judge(facts, terms, NOW, {}).changes_at == expected
    if expected is not None:
        assert score(facts, terms, expected - minutes(66)).total == score(facts, terms, NOW).total
        assert score(facts, terms, expected - minutes(60)).total != score(facts, terms, NOW).total


def test_what_is_dated_ahead_is_scored_when_its_time_has_come() -> None:
    facts = dossier(activities=(activity("a", NOW + minutes(45)),), leads=(), records=())
    at = judge(facts, policy(), NOW, {}).changes_at
    assert at == NOW + minutes(35)
    assert score(facts, policy(), at).total == 40
    assert score(facts, policy(), at - minutes(1)).total == 0
