"""The scorecard as it is used: plain sums that equal scikit-learn's, and that account for themselves."""

import random
from datetime import timedelta
from math import fsum

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from syncagent.handoff.likelihood import as_text, bin_of, chance, changes_at, doings, likelihood, told, with_likelihood
from syncagent.handoff.planner import plan
from syncagent.handoff.profile import attributes_by
from syncagent.handoff.scoring import score
from syncagent.learning.features import features_of
from syncagent.learning.fitting import Fitted, fit, matrix
from syncagent.learning.leaks import columns_of
from syncagent.learning.rows import NEWEST_WINS, Outcome, Row, Settings, population
from syncagent.model import Activity, CrmRecord, Dossier, Feature, Identity, Lead, Roster, Scorecard, Value
from syncagent.policy import Condition, FitChoice, FitRule, Route, RouteTarget, ScoreModel
from tests.learning import orgs
from tests.unit.handoff import worlds

values = st.one_of(
    st.none(), st.booleans(), st.integers(-10, 10_000), st.floats(), st.text(max_size=8),
    st.sampled_from(["chief", "Chief ", "student", "DE", "1,000", "3", "nan", ""]),
)  # fmt: skip
MINE = Identity("web", "lead", "1")
NOTHING = Outcome(None, None)


@st.composite
def people(draw: st.DrawFn) -> Dossier:
    """Somebody with any attributes and doings, some of them still to come, some told twice."""
    names = ["title", "country", "employees", "company", "origin", "phone"]
    kinds = st.sampled_from(["page.visited", "form.submitted", "email.opened", "webinar.attended"])
    found = draw(
        st.lists(st.tuples(st.integers(-2000, 90_000), kinds, st.sampled_from(["", "demo", "welcome"])), max_size=8)
    )
    done = [
        Activity(
            MINE, str(n), worlds.NOW - timedelta(minutes=late), kind, asset, {"Is Bot Activity": draw(st.booleans())}
        )
        for n, (late, kind, asset) in enumerate(found)
    ]
    attributes = draw(st.dictionaries(st.sampled_from(names), values))
    twice = draw(st.lists(st.sampled_from(done), max_size=3)) if done else []
    return Dossier(1, 1, leads=(Lead(MINE, worlds.NOW, attributes),), activities=(*done, *twice))


@pytest.fixture(scope="module")
def fitted() -> Fitted:
    rows = population([orgs.dossier(one) for one in orgs.org(2500)], Settings(), orgs.END).rows
    ripe = [row for row in rows if row.won is not None]
    middle = len(ripe) * 3 // 4
    names = [name for name in columns_of(ripe) if name != "status"]
    return fit(features_of(ripe[:middle], names), ripe[:middle], ripe[middle:])


@pytest.fixture(scope="module")
def card(fitted: Fitted) -> Scorecard:
    return Scorecard(fitted.intercept, fitted.features, orgs.END, 90)


def row_of(dossier: Dossier) -> Row:
    attributes, done = attributes_by(NEWEST_WINS, dossier), doings(dossier, worlds.NOW, 90)
    return Row(1, worlds.NOW, worlds.NOW, attributes, done, None, NOTHING, frozenset(), {})


@given(some=st.lists(people(), min_size=1, max_size=5))
@settings(deadline=None)
def test_it_says_what_scikit_learn_says(fitted: Fitted, card: Scorecard, some: list[Dossier]) -> None:
    table = matrix(fitted.features, [row_of(one) for one in some])
    theirs = fitted.estimator.predict_proba(table)[:, 1]
    for dossier, their in zip(some, theirs, strict=True):
        ours = likelihood(card, attributes_by(NEWEST_WINS, dossier), dossier, worlds.NOW)
        assert ours.percent / 100 == pytest.approx(float(their), abs=1e-9)


@given(dossier=people())
@settings(deadline=None)
def test_what_moves_it_adds_up_to_the_last_bit(card: Scorecard, dossier: Dossier) -> None:
    found = likelihood(card, attributes_by(NEWEST_WINS, dossier), dossier, worlds.NOW)
    total = found.base
    for one in found.influences:
        total += one.weight
    assert total == found.logit
    assert found.percent == 100 * chance(found.logit)
    assert 0 <= found.percent <= 100
    assert [one.feature for one in found.influences] == [feature.name for feature in card.features]
    assert found.logit == pytest.approx(fsum([found.base, *(one.weight for one in found.influences)]), abs=1e-12)


@given(dossier=people(), dice=st.randoms(use_true_random=False))
@settings(deadline=None)
def test_order_and_repetition_change_nothing(card: Scorecard, dossier: Dossier, dice: random.Random) -> None:
    shuffled = list({(one.key): one for one in dossier.activities}.values())
    dice.shuffle(shuffled)
    again = replace(dossier, activities=tuple(shuffled))
    known = attributes_by(NEWEST_WINS, dossier)
    assert likelihood(card, known, again, worlds.NOW) == likelihood(card, known, dossier, worlds.NOW)


@given(dossier=people())
@settings(deadline=None)
def test_what_is_to_come_and_what_robots_do_change_nothing(card: Scorecard, dossier: Dossier) -> None:
    kept = tuple(one for one in dossier.activities if one.at <= worlds.NOW and not one.attributes["Is Bot Activity"])
    known = attributes_by(NEWEST_WINS, dossier)
    only = likelihood(card, known, replace(dossier, activities=kept), worlds.NOW)
    assert only == likelihood(card, known, dossier, worlds.NOW)


@given(dossier=people(), share=st.floats(0, 1), days=st.integers(0, 120))
@settings(deadline=None)
def test_it_stays_until_it_may_change(card: Scorecard, dossier: Dossier, share: float, days: int) -> None:
    policy, now, known = (
        worlds.policy(likelihood=card),
        worlds.NOW + timedelta(days=days),
        attributes_by(NEWEST_WINS, dossier),
    )
    change = changes_at(dossier, policy, now)
    end = now + timedelta(days=500) if change is None else change - timedelta(hours=1)
    assert change is None or change > now
    if end > now:
        later = now + (end - now) * share
        assert likelihood(card, known, dossier, later).logit == likelihood(card, known, dossier, now).logit


def test_it_may_change_when_an_older_activity_leaves_the_window(card: Scorecard) -> None:
    ages = (80, 31)
    done = [Activity(MINE, str(n), worlds.NOW - timedelta(days=n), "page.visited", "/pricing") for n in ages]
    dossier, policy = Dossier(1, 1, activities=tuple(done)), worlds.policy(likelihood=card)
    change = changes_at(dossier, policy, worlds.NOW)
    assert change == worlds.NOW + timedelta(days=10)
    one_visit, two = (likelihood(card, {}, dossier, at).logit for at in (change, change - timedelta(minutes=1)))
    assert one_visit != two


def test_a_planned_person_is_looked_at_again_when_the_likelihood_may_change(card: Scorecard) -> None:
    done = Activity(MINE, "1", worlds.NOW - timedelta(days=6, hours=5, minutes=7), "page.visited", "/pricing")
    dossier = Dossier(1, 1, leads=(Lead(MINE, worlds.NOW, {}),), activities=(done,))
    plain = worlds.policy()
    for policy, wakes in (
        (replace(plain, likelihood=card), done.at.replace(minute=0) + timedelta(days=7, hours=1)),
        (plain, None),
    ):
        wake = plan(dossier, replace(policy, scoring=ScoreModel()), Roster(), worlds.NOW).wake_at
        assert wake == wakes


def small() -> Scorecard:
    """Title and one number, by hand."""
    title = Feature("title", "value", "title", ("chief", "other", "unknown"), (1.0, -0.5, 0.0), values=("chief",))
    labels = ("below 10", "10 to below 100", "100 or more", "unknown")
    size = Feature("employees", "number", "employees", labels, (-1.0, 0.0, 2.0, 0.25), cuts=(10.0, 100.0))
    return Scorecard(-1.0, (title, size), orgs.END, 90)


@pytest.mark.parametrize(
    ("attributes", "percent"),
    [
        ({"title": " Chief", "employees": "100"}, 88.1),  # -1 + 1 + 2 = 2
        ({"title": "clerk", "employees": 9.99}, 7.6),  # -1 - 0.5 - 1 = -2.5
        ({"title": "", "employees": "many"}, 32.1),  # -1 + 0 + 0.25 = -0.75
        ({"employees": 10}, 26.9),  # -1 + 0 + 0 = -1
    ],
)
def test_by_hand(attributes: dict[str, Value], percent: float) -> None:
    policy = worlds.policy(likelihood=small())
    found = with_likelihood(attributes, Dossier(1, 1), policy, worlds.NOW)
    assert found == attributes | {"likelihood": percent}
    for letters, said in (((percent + 0.1, 1e-3, 1e-4), "B"), ((percent, 1e-3, 1e-4), "A"), ((100, 99.9, 99.8), "D")):
        graded = replace(policy, likelihood=replace(small(), letters=letters))
        found = with_likelihood(attributes, Dossier(1, 1), graded, worlds.NOW)
        assert found == attributes | {"likelihood": percent, "likelihood.grade": said}
        (first, *_) = told(Dossier(1, 1), found, graded, worlds.NOW)
        assert f"{percent:.1f} % ({said});" in first


def test_rules_may_ask_for_it_and_without_a_model_nothing_is_added() -> None:
    plain = worlds.policy()
    fit = (FitRule("likely", "likelihood", 40, (FitChoice(10, Condition(minimum=50)),)),)
    asks = replace(plain, likelihood=small(), scoring=replace(plain.scoring, fit=fit))
    chief = Dossier(1, 1, leads=(Lead(MINE, worlds.NOW, {"title": "chief", "employees": 500}),))
    (part,) = score(chief, asks, worlds.NOW).contributions
    assert (part.rule, part.points, part.why) == ("likely", 40, "likelihood is 88.1")
    assert score(chief, replace(asks, likelihood=None), worlds.NOW).contributions == ()
    assert told(chief, {}, plain, worlds.NOW) == ()


def test_routes_may_ask_for_it() -> None:
    likely = Route("likely", RouteTarget(pool=(worlds.BEN,)), {"likelihood": Condition(minimum=50)})
    plain = worlds.policy(likelihood=small())
    policy = replace(plain, routes=(likely, *plain.routes))
    for title, route in (("chief", "likely"), ("clerk", "everybody")):
        asks = Activity(MINE, "1", worlds.NOW, "form.submitted", "demo-now")
        lead = Lead(MINE, worlds.NOW, {"title": title, "employees": 500 if route == "likely" else 5})
        record = CrmRecord(worlds.LEAD, worlds.NOW, worlds.NOW, "ana", {"status": "Open"})
        dossier = Dossier(1, 1, leads=(lead,), activities=(asks,), records=(record,))
        decision = plan(dossier, policy, Roster(), worlds.NOW).decision
        assert decision.handoffs[0].assignments[0].route == route


def test_it_accounts_for_itself_in_words() -> None:
    chief = Dossier(1, 1, leads=(Lead(MINE, worlds.NOW, {"title": "chief", "employees": 500}),))
    lines = told(chief, attributes_by(NEWEST_WINS, chief), worlds.policy(likelihood=small()), worlds.NOW)
    assert lines == (
        "Likelihood of a win within 90 days: 88.1 %; the average person's is 26.9 %.",
        "  odds x 7.39 employees: 100 or more",
        "  odds x 2.72 title: chief",
    )


def test_values_that_mean_the_same_are_one() -> None:
    assert as_text(3) == as_text(3.0) == as_text("3") == "3"
    assert as_text(" Yes ") == "yes" == as_text(value=True)
    size = small().features[1]
    assert bin_of(size, {"employees": float("nan")}, doings(Dossier(1, 1), worlds.NOW, 90)) == 3
