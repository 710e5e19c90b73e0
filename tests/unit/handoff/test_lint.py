"""What cannot be meant so is found, and what is found is so: nothing that lint calls impossible ever happens."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from syncagent.config import load
from syncagent.handoff.earnable import earnable_fit, earnable_interest
from syncagent.handoff.lint import Finding, Look, Observed, lint
from syncagent.handoff.lint.covering import covers, implies
from syncagent.handoff.lint.reach import reach_of
from syncagent.handoff.scoring import Scorer, score
from syncagent.model import Scorecard, Stage, Value
from syncagent.policy import (
    BriefPolicy,
    Condition,
    Decay,
    Duration,
    FitChoice,
    FitRule,
    Gate,
    GroupCap,
    HandRaiser,
    InterestChoice,
    InterestRule,
    NamedModel,
    NurtureTarget,
    Policy,
    ReasonRule,
    RecyclePolicy,
    Route,
    RouteTarget,
    ScoreModel,
    Segment,
    SlaTerms,
    StageRule,
    Threshold,
)
from tests.unit.handoff.worlds import NOW, activity, dossier, lead, policy


def sound(**changes: Any) -> Policy:
    """A policy in which nothing is to be found."""
    title = FitRule(
        "title",
        "title",
        30,
        (FitChoice(10, Condition(matches="chief")), FitChoice(5, Condition(matches="head"))),
    )
    country = FitRule("country", "country", 20, (FitChoice(10, Condition(values=("DE", "FR"))),))
    form = InterestRule("form", "form.*", 25, (InterestChoice(10, within=Duration(days=30)),))
    pages = InterestRule("pages", "page.*", 25, (InterestChoice(10, at_least=3), InterestChoice(5)))
    made = policy(
        scoring=ScoreModel((title, country), (form, pages)),
        mql=Threshold("any", 65),
        routes=(Route("all", RouteTarget(queue="q")),),
        reps=(),
        slas=(),
        stages=(),
        always=(),
        recycle=RecyclePolicy(),
    )
    return replace(made, **changes)


def found(made: Policy, seen: Observed | None = None) -> dict[str, Finding]:
    return {one.path: one for one in lint(made, seen)}


def fit(*choices: FitChoice, weight: float = 50, attribute: str = "title") -> ScoreModel:
    return replace(sound().scoring, fit=(FitRule("it", attribute, weight, choices),))


def interest(*rules: InterestRule, **changes: Any) -> ScoreModel:
    return replace(sound().scoring, interest=rules, **changes)


def when(**conditions: Condition) -> dict[str, Condition]:
    return conditions


def test_a_sound_policy_has_no_findings() -> None:
    assert lint(sound()) == ()


@pytest.mark.parametrize(
    ("line", "level", "says"),
    [
        (Threshold("any", 101), "error", "Nobody can reach 101 points: at most 100 (50 for who they are, 50"),
        (Threshold("any", 101, ("A1",)), "warning", "Nobody can reach 101"),
        (Threshold("all", 101, ("A1",)), "error", "Nobody can reach 101"),
        (Threshold("all", 80, ("A1", "D4")), "warning", "With grade D4 nobody has 80 points"),
        (Threshold("all", 80, ("D3", "D4")), "error", "With grade D3, D4 nobody has 80 points"),
    ],
)
def test_a_line_that_nobody_can_cross(line: Threshold, level: str, says: str) -> None:
    (one,) = lint(sound(mql=line))
    assert (one.level, one.path) == (level, "handoff.mql") and says in one.says and one.helps


def test_the_line_is_held_against_what_can_be_earned_not_against_the_weights() -> None:
    model = fit(FitChoice(6, Condition(matches="x")), FitChoice(10, Condition(matches="x1")))  # the second is shadowed
    assert "at most 80 (30 for" in found(sound(scoring=model, mql=Threshold("any", 85)))["handoff.mql"].says
    assert "handoff.mql" not in found(sound(scoring=model, mql=Threshold("any", 80)))


def test_a_grade_that_no_points_make() -> None:
    here = found(sound(scoring=fit(FitChoice(10, Condition(values=("a",)))), mql=Threshold("any", None, ("B1", "C2"))))
    assert "No points make the letters B and C (B from 25, C from 12.5 of 50" in here["score.grade.letters"].says
    assert here["handoff.mql"].level == "error" and "B1, C2" in here["handoff.mql"].says
    assert "A1" in here["handoff.mql"].helps


def test_a_segment_has_its_own_line_and_model() -> None:
    weak = NamedModel("weak", fit(FitChoice(2, Condition(values=("a",)))))
    segment = Segment("north", Threshold("any", 65), when(region=Condition(values=("north",))), "weak")
    one = found(sound(models=(weak,), segments=(segment,)))["handoff.segments[1].mql"]
    assert one.level == "error" and "at most 60" in one.says


@pytest.mark.parametrize(
    ("first", "second", "shadowed"),
    [
        (Condition(values=("DE", "fr")), Condition(values=("de",)), True),
        (Condition(values=("DE",)), Condition(values=("de", "us")), False),
        (Condition(matches="vp"), Condition(values=("VP Sales",)), True),
        (Condition(matches="vp|head"), Condition(matches="vp sales|head of"), True),
        (Condition(matches="vp sales"), Condition(matches="vp"), False),
        (Condition(matches="^vp"), Condition(matches="^vp sales"), False),  # may be, but nobody has proven it
        (Condition(minimum=100), Condition(minimum=1000), True),
        (Condition(minimum=1000), Condition(minimum=100), False),
        (Condition(minimum=100, maximum=200), Condition(minimum=150), False),
        (Condition(minimum=10), Condition(values=(5, 20)), False),
        (Condition(minimum=10), Condition(values=(15, "20")), True),
        (Condition(present=True), Condition(matches="a"), True),
        (Condition(present=True), Condition(matches="a*"), False),
        (Condition(present=False), Condition(present=True), False),
        (Condition(globs=("*.edu",)), Condition(globs=("*.mit.edu",)), True),
        (Condition(globs=("*.mit.edu",)), Condition(globs=("*.edu",)), False),
        (Condition(globs=("a?.edu",)), Condition(globs=("a*.edu",)), False),
        (Condition(newer=Duration(days=90)), Condition(newer=Duration(days=30)), True),
        (Condition(newer=Duration(days=1)), Condition(newer=Duration(minutes=1440)), False),  # a day may have 23 hours
        (Condition(older=Duration(days=30)), Condition(older=Duration(days=90)), True),
        (Condition(older=Duration(days=90)), Condition(newer=Duration(days=30)), False),
    ],
)
def test_a_choice_shadowed_by_the_one_above(first: Condition, second: Condition, shadowed: bool) -> None:
    assert implies(second, first) is shadowed
    here = found(sound(scoring=fit(FitChoice(10, first), FitChoice(5, second))))
    assert ("score.fit[1].choices[2]" in here) is shadowed


def test_a_choice_shadowed_by_several_together() -> None:
    above = (FitChoice(10, Condition(values=("DE",))), FitChoice(8, Condition(matches="france")))
    here = found(sound(scoring=fit(*above, FitChoice(5, Condition(values=("de", "France"))))))
    assert "each of its values" in here["score.fit[1].choices[3]"].says


@pytest.mark.parametrize(
    ("first", "second", "shadowed"),
    [
        (InterestChoice(4), InterestChoice(10, at_least=3), True),
        (InterestChoice(10, at_least=3), InterestChoice(4), False),
        (InterestChoice(4, within=Duration(days=7)), InterestChoice(10, at_least=3, within=Duration(days=30)), False),
        (InterestChoice(4, within=Duration(days=30)), InterestChoice(10, at_least=3, within=Duration(days=7)), True),
        (InterestChoice(4, exactly=1), InterestChoice(10, exactly=2), False),
        (InterestChoice(4, exactly=1), InterestChoice(10, exactly=1), True),
        (InterestChoice(4, exactly=1, within=Duration(days=9)), InterestChoice(10, exactly=1), False),
        (InterestChoice(4), InterestChoice(10, exactly=2), True),
        (InterestChoice(4, at_least=0), InterestChoice(10, at_least=5), True),
        (InterestChoice(-2, idle=Duration(days=30)), InterestChoice(-5, idle=Duration(days=90)), True),
        (InterestChoice(-5, idle=Duration(days=90)), InterestChoice(-2, idle=Duration(days=30)), False),
        (InterestChoice(4), InterestChoice(-2, idle=Duration(days=30)), True),
        (InterestChoice(4, within=Duration(days=9)), InterestChoice(-2, idle=Duration(days=30)), False),
    ],
)
def test_choices_of_what_people_do(first: InterestChoice, second: InterestChoice, shadowed: bool) -> None:
    assert covers(first, second) is shadowed
    here = found(sound(scoring=interest(InterestRule("it", "x", 50, (first, second)))))
    assert ("score.interest[1].choices[2]" in here) is shadowed


@pytest.mark.parametrize(
    ("condition", "why"),
    [
        (Condition(minimum=9, maximum=3), "at least 9 and at most 3"),
        (Condition(newer=Duration(days=5), older=Duration(days=30)), "newer than that and older"),
        (Condition(present=False, values=("a",)), "not known has no value"),
        (Condition(values=("a", "b"), matches="x"), "none of its values"),
        (Condition(matches="("), "no regular expression"),
    ],
)
def test_a_choice_that_cannot_match(condition: Condition, why: str) -> None:
    one = found(sound(scoring=fit(FitChoice(10, condition), FitChoice(10, Condition(present=True)))))
    assert one["score.fit[1].choices[1]"].level == "error" and why in one["score.fit[1].choices[1]"].says
    route = Route("odd", RouteTarget(queue="q"), when(size=condition))
    here = found(sound(routes=(route, *sound().routes)))["routes[1].when.size"]
    assert why in here.says and here.level == "error"


def test_weights_that_nobody_earns() -> None:
    assert not found(sound(scoring=fit(FitChoice(-10, Condition(values=("a",)))))).keys() & {"score.fit[1]"}
    capped = InterestRule("it", "x", 50, (InterestChoice(2, each=True),), cap=20)
    assert "its cap lets at most 20" not in str(found(sound(scoring=interest(capped))))
    whole = InterestRule("it", "x", 50, (InterestChoice(10),), cap=20)
    assert "its cap lets at most 20" in found(sound(scoring=interest(whole)))["score.interest[1]"].says
    part = InterestRule("it", "x", 50, (InterestChoice(6),))
    assert "nobody earns more than 30" in found(sound(scoring=interest(part)))["score.interest[1]"].says


def test_what_is_left_out_whole_counts_nothing() -> None:
    rule = InterestRule("it", "x", 50, (InterestChoice(10),), asset=("careers-a", "careers-b*"), not_asset="careers-*")
    assert found(sound(scoring=interest(rule)))["score.interest[1].not_asset"].level == "error"
    some = replace(rule, asset=("careers-a", "demo"))
    assert "score.interest[1].not_asset" not in found(sound(scoring=interest(some)))


def test_routes_segments_and_promises_behind_a_wider_one() -> None:
    wide, narrow = Condition(values=("DE", "AT")), Condition(values=("AT",))
    made = sound(
        routes=(
            Route("wide", RouteTarget(queue="q"), when(country=wide)),
            Route("narrow", RouteTarget(queue="q"), when(country=narrow, title=Condition(matches="x"))),
            *sound().routes,
        ),
        segments=(
            Segment("wide", Threshold("any", 65), when(country=wide)),
            Segment("narrow", Threshold("any", 65), when(country=narrow)),
        ),
        slas=(
            SlaTerms("all hot", Duration(minutes=5), ("A1", "A2")),
            SlaTerms("hot", Duration(minutes=5), ("A1",), when(country=narrow)),
            SlaTerms("rest", Duration(days=1)),
        ),
    )
    here = found(made)
    assert set(here) == {"routes[2]", "handoff.segments[2]", "sla[2]"}
    assert all(one.level == "error" and ("wide" in one.says or "all hot" in one.says) for one in here.values())


def test_a_promise_for_grades_that_nobody_has() -> None:
    model = fit(FitChoice(10, Condition(values=("a",))))
    slas = (SlaTerms("b", Duration(minutes=5), ("B1",)), SlaTerms("ab", Duration(minutes=5), ("A1", "B1")))
    here = found(sound(scoring=model, slas=slas))
    assert here["sla[1].when.grades"].level == "error" and here["sla[2].when.grades"].level == "warning"
    assert "D4" in here["sla"].says and "B1" not in here["sla"].says


def test_stages_that_nobody_can_enter() -> None:
    crm = replace(sound().crm, answers={"Working": Stage.SAL})
    stages = (
        StageRule(Stage.MQL, "x", next=Stage.SAL),
        StageRule(Stage.SAL, "x", next=Stage.SQL),
        StageRule(Stage.ON_HOLD, "x", next=Stage.RECYCLED),
    )
    here = found(sound(crm=crm, stages=stages))
    assert set(here) == {"stages.on_hold", "stages.on_hold.next"}
    assert "on_hold =" in here["stages.on_hold"].helps
    shut = found(sound(crm=crm, stages=stages[:1], mql=Threshold("any", 500)))
    assert shut["stages.mql"].level == "error"
    assert "stages.mql" not in found(
        sound(crm=crm, stages=stages[:1], mql=Threshold("any", 500), always=(HandRaiser("form.x"),))
    )


def test_a_wake_up_that_no_activity_is_worth() -> None:
    here = found(sound(recycle=RecyclePolicy(wake_points=60)))
    assert "at most 50" in here["recycle.wake_early.points"].says


# -- with a population


def look(made: Policy, *people: Any) -> Observed:
    seen = Observed()
    for one in people:
        seen.add(Look(made, NOW)([one]))
    return seen


def somebody(kinds: tuple[str, ...] = (), **attributes: Value) -> Any:
    done = tuple(activity(str(n), NOW - timedelta(days=1), kind) for n, kind in enumerate(kinds))
    return dossier(leads=(lead(**{"title": None, **attributes}),), activities=done)


def test_a_rule_that_never_fired_and_a_value_that_nobody_has() -> None:
    made = sound(always=(HandRaiser("demo.asked"),), gate=Gate(("need",), unknown="wait"))
    people = [somebody(("form.sent",), title="Chief", country="Germany"), somebody(title="Head", country="FR")]
    here = found(made, look(made, *people))
    assert "page.*" in here["score.interest[2]"].says and here["score.interest[2]"].kind == "never"
    assert "score.interest[1]" not in here and "score.fit[1].choices[1]" not in here
    assert "demo.asked" in here["handoff.always[1]"].says
    assert here["handoff.gate.bantfo.required"].level == "error"
    assert "bantfo_need" in here["handoff.gate.bantfo.required"].helps
    unknown = found(made, look(made, somebody(country="FR")))
    assert "title is not known of anybody" in unknown["score.fit[1]"].says


def test_what_was_probably_meant_is_named() -> None:
    model = interest(InterestRule("it", "form.submited", 50, (InterestChoice(10),)))
    country = FitRule("country", "country", 50, (FitChoice(10, Condition(values=("Germny",))),))
    made = sound(scoring=replace(model, fit=(country,)))
    here = found(made, look(made, somebody(("form.submitted",), country="Germany")))
    assert "Did you mean form.submitted?" in here["score.interest[1]"].helps
    assert "Did you mean Germany?" in here["score.fit[1].choices[1]"].helps


def test_a_value_that_nobody_has_among_others_that_people_have_is_named() -> None:
    country = FitRule("country", "country", 50, (FitChoice(10, Condition(values=("Autsria", "Germany"))),))
    route = Route("south", RouteTarget(queue="q"), when(industry=Condition(values=("Sofware", "Steel"))))
    sla = SlaTerms("hot", Duration(minutes=5), ("A1",), when(country=Condition(values=("DK",))))
    made = sound(scoring=replace(sound().scoring, fit=(country,)), routes=(route, *sound().routes), slas=(sla,))
    people = [somebody(country=one, industry="Software") for one in ("Austria", "Germany", "Germany", "DE")]
    here = found(made, look(made, *people))
    assert here["score.fit[1].choices[1]"].says == "Nobody has the country “Autsria”: it matches nothing."
    assert here["score.fit[1].choices[1]"].helps == "Did you mean Austria? 1 of 4 people have that."
    assert "Did you mean Software? 4 of 4" in here["routes[1].when.industry"].helps
    assert not any("DK" in one.says for one in here.values()), "short words are alike by chance"


@pytest.mark.parametrize("name", ["likelihood", "likelihood.grade"])
def test_a_likelihood_that_nothing_works_out(name: str) -> None:
    rule = FitRule("likely", name, 50, (FitChoice(10, Condition(present=True)),))
    asks = sound(
        scoring=replace(sound().scoring, fit=(rule,)),
        slas=(SlaTerms("hot", Duration(minutes=5), (), when(**{name: Condition(present=True)})),),
    )
    here = found(asks)
    assert {path for path in here if "likelihood" in here[path].says} == {"score.fit[1]", f"sla[1].when.{name}"}
    assert here["score.fit[1]"].level == "warning" and "syncagent model train" in here["score.fit[1]"].helps
    card = Scorecard(0.0, (), NOW, 90)
    ungraded = found(replace(asks, likelihood=card))
    assert ("score.fit[1]" in ungraded) == (name == "likelihood.grade")
    assert "score.fit[1]" not in found(replace(asks, likelihood=replace(card, letters=(30, 10, 3))))


def test_nobody_is_counted_twice_or_left_out_batch_by_batch() -> None:
    made = sound()
    people = [somebody(("form.sent", "page.seen"), title="Chief", country="DE"), somebody(title="None")]
    whole = Look(made, NOW)(people)
    assert look(made, *people) == whole
    assert (whole.people, whole.activities, whole.over) == (2, 2, 1)
    assert whole.met["score.fit[1].choices[1]"] == 1 and whole.fired["score.interest[2]"] == 1
    assert whole.known["title"] == 2 and whole.values["country"]["DE"] == 1 and whole.met["routes[1]"] == 2


def test_true_is_not_one() -> None:
    rule = FitRule("it", "flag", 50, (FitChoice(10, Condition(minimum=1)),))
    made = sound(scoring=replace(sound().scoring, fit=(rule,)))
    seen = Look(made, NOW)([somebody(flag=1), somebody(flag=True)])
    assert seen.met["score.fit[1].choices[1]"] == 1


# -- what is found is so

texts = st.sampled_from(["vp", "VP Sales", "head", "student", "", "12", "7", "x.edu", "a.x.edu"])
values: st.SearchStrategy[Value] = st.one_of(texts, st.integers(-3, 20), st.booleans(), st.none())
lengths = st.one_of(
    st.builds(Duration, days=st.integers(1, 40)), st.builds(lambda n: Duration(minutes=n), st.integers(1, 9000))
)
conditions = st.one_of(
    st.builds(lambda some: Condition(values=tuple(some)), st.lists(values, min_size=1, max_size=3)),
    st.builds(lambda text: Condition(matches=text), st.sampled_from(["vp", "vp|head", "sales", "^h", "a*", "[0-9]+"])),
    st.builds(lambda low, high: Condition(minimum=low, maximum=high), st.integers(-3, 20), st.integers(-3, 20)),
    st.builds(lambda low: Condition(minimum=low), st.integers(-3, 20)),
    st.builds(lambda one: Condition(present=one), st.booleans()),
    st.builds(
        lambda some: Condition(globs=tuple(some)), st.lists(st.sampled_from(["*.edu", "*.x.*", "vp*", "*"]), min_size=1)
    ),
    st.builds(lambda one, two: Condition(values=(one, "vp"), matches=two), texts, st.sampled_from(["vp", "h"])),
)
priorities = st.integers(-10, 10)
interest_choices = st.one_of(
    st.builds(InterestChoice, priorities, st.integers(0, 4), st.none(), st.none() | lengths),
    st.builds(InterestChoice, priorities, st.just(1), st.integers(0, 3), st.none() | lengths),
    st.builds(lambda p, w: InterestChoice(p, within=w, each=True), priorities, st.none() | lengths),
    st.builds(lambda p, i: InterestChoice(p, idle=i), priorities, lengths),
)
decays = (
    st.none() | st.builds(Decay, half_life=st.integers(1, 30).map(float)) | st.just(Decay(steps=((3, 0.5), (9, 0.1))))
)
models = st.builds(
    lambda fit_rules, interest_rules, most: ScoreModel(
        tuple(
            FitRule(f"f{n}", "value", weight, tuple(FitChoice(p, c) for p, c in choices))
            for n, (weight, choices) in enumerate(fit_rules)
        ),
        tuple(
            InterestRule(f"i{n}", "*", weight, tuple(choices), decay=decay, cap=cap, group=group)
            for n, (weight, choices, decay, cap, group) in enumerate(interest_rules)
        ),
        caps=(GroupCap("g", most=most),),
    ),
    st.lists(
        st.tuples(st.sampled_from([5, 12.5, 20]), st.lists(st.tuples(priorities, conditions), min_size=1, max_size=4)),
        max_size=3,
    ),
    st.lists(
        st.tuples(
            st.sampled_from([5, 10, 25]),
            st.lists(interest_choices, min_size=1, max_size=4),
            decays,
            st.none() | st.sampled_from([3, 7.5]),
            st.sampled_from(["", "g"]),
        ),
        max_size=3,
    ),
    st.sampled_from([4, 20]),
)


@given(models, values, st.lists(st.integers(0, 60 * 24 * 45), max_size=6))
def test_nobody_ever_has_what_is_called_out_of_reach(model: ScoreModel, value: Value, ages: list[int]) -> None:
    done = tuple(activity(str(n), NOW - timedelta(minutes=age), "x") for n, age in enumerate(ages))
    made = sound(scoring=model)
    reach = reach_of(model, dead_of(made))
    judged = score(dossier(leads=(lead(value=value),), activities=done), made, NOW)
    assert judged.grade in reach.grades
    assert reach.fit.least - 0.03 <= judged.fit <= reach.fit.most + 0.03
    assert reach.interest.least - 0.03 <= judged.interest <= reach.interest.most + 0.03
    assert judged.total <= (reach.best(judged.grade) or 0.0) + 0.06
    assert judged.fit <= earnable_fit(model.fit) + 1e-9, "of which grades are shares"
    assert judged.interest <= earnable_interest(model) + 0.06, "what fades is rounded to a tenth"


def dead_of(made: Policy) -> set[tuple[str, int, int]]:
    """The choices that lint calls dead."""
    dead: set[tuple[str, int, int]] = set()
    for one in lint(made):
        if one.kind in ("shadowed", "impossible") and ".choices[" in one.path:
            part, n, k = one.path.replace("score.", "").replace("].choices[", " ").replace("[", " ").rstrip("]").split()
            dead.add((part, int(n) - 1, int(k) - 1))
    return dead


@given(models, values, st.lists(st.integers(0, 60 * 24 * 45), max_size=6))
def test_a_choice_that_is_called_dead_changes_no_score(model: ScoreModel, value: Value, ages: list[int]) -> None:
    done = tuple(activity(str(n), NOW - timedelta(minutes=age), "x") for n, age in enumerate(ages))
    dead = dead_of(sound(scoring=model))
    rules = tuple(
        replace(rule, choices=tuple(one for k, one in enumerate(rule.choices) if ("fit", n, k) not in dead))
        for n, rule in enumerate(model.fit)
    )
    doing = tuple(
        replace(rule, choices=tuple(one for k, one in enumerate(rule.choices) if ("interest", n, k) not in dead))
        for n, rule in enumerate(model.interest)
    )
    without = replace(model, fit=rules, interest=doing)
    both = [Scorer(one, (), "Europe/Berlin").judge(done, {"value": value}, NOW).score for one in (model, without)]
    # A grade is a share of the best choice, a dead one among them: taking it out may make that easier.
    assert replace(both[0], grade="") == replace(both[1], grade="")


def test_the_example_config_works_as_it_is_written() -> None:
    config = load(Path(__file__).parents[3] / "config.example.toml")
    assert [one for one in lint(config.policy(NOW)) if one.level != "advice"] == []


MAPS: dict[str, tuple[tuple[StageRule, ...], str, str]] = {
    "lets nobody go to mql": (
        (StageRule(Stage.SUSPECT, to=()), StageRule(Stage.PROSPECT, to=(Stage.LOST,))),
        "error",
        "stages.prospect.to",
    ),
    "No way leads from sal to an end": (
        (StageRule(Stage.SAL, owner="x", to=(Stage.SQL,)), StageRule(Stage.SQL, owner="x", to=(Stage.SAL,))),
        "error",
        "stages.sal.to",
    ),
    "go round in a circle: mql to sal to mql": (
        (StageRule(Stage.MQL, owner="x", next=Stage.SAL), StageRule(Stage.SAL, owner="x", next=Stage.MQL)),
        "error",
        "stages.mql.next",
    ),
    "The next step after sal is itself": (
        (StageRule(Stage.SAL, owner="x", next=Stage.SAL),),
        "error",
        "stages.sal.next",
    ),
    "A rep may not give back a lead in sal": (
        (StageRule(Stage.SAL, owner="x", to=(Stage.LOST,)),),
        "warning",
        "stages.sal.to",
    ),
    "Nobody answers for the stage sal": ((StageRule(Stage.SAL),), "advice", "stages.sal.owner"),
}


@pytest.mark.parametrize("says", MAPS)
def test_a_map_that_cannot_be_meant_so_is_found(says: str) -> None:
    stages, level, path = MAPS[says]
    found = [one for one in lint(policy(stages=stages)) if says in one.says]
    assert [(one.level, one.path) for one in found] == [(level, path)]


def test_a_campaign_that_nobody_leaves_is_advice() -> None:
    begins = NurtureTarget("marketo", campaign_id=5)
    ends = replace(begins, leave_id=6)
    recycle = RecyclePolicy(nurture=ends, reasons=(ReasonRule("later", nurture=begins), ReasonRule("no", nurture=ends)))
    found = [(one.level, one.path, one.says) for one in lint(policy(recycle=recycle)) if one.kind == "nurture"]
    says = "Whoever comes up again stays in what campaign 5 began."
    assert found == [("advice", "recycle.reasons.later.nurture", says)]
    assert not [one for one in lint(policy()) if one.kind == "nurture"], "people are taken out of lists"


def test_a_map_that_can_be_walked_is_found_sound() -> None:
    stages = (
        StageRule(Stage.MQL, owner="x", next=Stage.SAL, to=(Stage.RECYCLED,)),
        StageRule(Stage.SAL, owner="x", next=Stage.SQL, to=(Stage.MQL, Stage.RECYCLED)),
        StageRule(Stage.RECYCLED, to=(Stage.MQL,)),
    )
    assert [one for one in lint(policy(stages=stages)) if one.kind == "map"] == []


def test_a_placeholder_that_nothing_fills() -> None:
    made = sound(brief=BriefPolicy(lines=("{cause}[ in {lead.contry}]", "{account.industry}", "{lead.shoe_size}")))
    alone = found(made)
    assert alone["handoff.brief.lines[1]"].helps == "Did you mean {lead.country}?"
    assert set(alone) == {"handoff.brief.lines[1]"}, "a door may tell anything: only what is nearly a known name"
    here = found(made, look(made, somebody(country="DE", title="Head", shoe_size=44)))
    assert (
        here["handoff.brief.lines[1]"].level == "warning" and "{lead.country}" in here["handoff.brief.lines[1]"].helps
    )
    assert "{account.industry} is not known of anybody" in here["handoff.brief.lines[2]"].says
    assert "handoff.brief.lines[3]" not in here
