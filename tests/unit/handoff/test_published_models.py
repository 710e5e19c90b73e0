"""Models that others have published, set up as ours, with results worked out by hand in the comments.

Weights are scaled where the source's do not add up to our 100; what is expected is scaled by the same factor.
"""

import math
from collections.abc import Sequence
from datetime import timedelta

import pytest

from syncagent.handoff import score
from syncagent.model import Activity
from syncagent.policy import (
    Condition,
    Decay,
    Duration,
    FitChoice,
    FitRule,
    InterestChoice,
    InterestRule,
    ScoreModel,
    Threshold,
)
from tests.unit.handoff.worlds import NOW, activity, dossier, lead, policy

WEEK, FORTNIGHT, MONTH = Duration(days=7), Duration(days=14), Duration(days=30)


def did(kind: str, *days_ago: float, asset: str = "") -> list[Activity]:
    return [activity(f"{kind}-{asset}-{days}", NOW - timedelta(days=days), kind, asset) for days in days_ago]


def three(priority: float, within: Duration) -> InterestChoice:
    return InterestChoice(priority, 3, within=within)


def one(priority: float, within: Duration) -> InterestChoice:
    return InterestChoice(priority, exactly=1, within=within)


def some(priority: float, within: Duration) -> InterestChoice:
    return InterestChoice(priority, within=within)


def is_one_of(priority: float, *values: str) -> FitChoice:
    return FitChoice(priority, Condition(values=values))


# -- 1. Oracle Eloqua: the profile and engagement scorecards of its help, an A-D x 1-4 matrix.
# Source: docs.oracle.com/en/cloud/saas/marketing/eloqua-user/Help/LeadScoring/Tasks/ConfiguringProfileCriteria.htm and
# its neighbour ConfiguringEngagementCriteria.htm, the two example scorecards. Each side has 100 % there and 50 points
# here; their points are shares of the weight, so a priority is a tenth of them. Letters and numbers at 75, 50 and 25 %.
TITLES = (is_one_of(10, "VP Marketing"), is_one_of(5, "Director of Sales"), is_one_of(2.5, "Manager of Sales"))
ELOQUA = ScoreModel(
    fit=(
        FitRule(
            "title",
            "title",
            15,
            (is_one_of(10, "VP Marketing"), is_one_of(5, "Director of Sales"), is_one_of(2.5, "Manager of Sales")),
        ),
        FitRule("industry", "industry", 15, (is_one_of(10, "Software", "Pharmaceutical"),)),
        FitRule(
            "revenue", "revenue", 12.5, (FitChoice(10, Condition(minimum=1e9)), FitChoice(2, Condition(minimum=1e8)))
        ),
        FitRule("solution", "solution", 7.5, (is_one_of(10, "Competitor 1"), is_one_of(8, "Competitor 2"))),
    ),
    interest=(
        InterestRule("form", "form.*", 17.5, (some(10, WEEK), some(7.5, FORTNIGHT), some(5, MONTH))),
        InterestRule("click", "email.clicked", 10, (three(10, WEEK), three(7.5, MONTH), one(5, FORTNIGHT))),
        InterestRule("visit", "page.visited", 15, (three(10, WEEK), three(7.5, MONTH), some(5, FORTNIGHT))),
        InterestRule("open", "email.opened", 7.5, (three(10, WEEK), three(7.5, MONTH), one(10, FORTNIGHT))),
    ),
)


@pytest.mark.parametrize(
    ("known", "done", "fit", "interest", "grade"),
    [
        # profile 30 + 30 + 25 + 15 = 100 %; engagement 35 + 20 + 30 + 15 = 100 %
        (
            {"title": "VP Marketing", "industry": "Software", "revenue": 2e9, "solution": "Competitor 1"},
            [
                *did("form.submitted", 1),
                *did("email.clicked", 1, 2, 3),
                *did("page.visited", 1, 2, 3),
                *did("email.opened", 4),
            ],
            50,
            50,
            "A1",
        ),
        # 15 (half of 30) + 30 + 5 (20 % of 25) + 12 (80 % of 15) = 62 %: B; 75 % of 35 + half of 20 = 36.25 %: 3
        (
            {"title": "Director of Sales", "industry": "Pharmaceutical", "revenue": 1.5e8, "solution": "Competitor 2"},
            [*did("form.submitted", 10), *did("email.clicked", 10)],
            31,
            18.125,
            "B3",
        ),
        # 25 % of 30 = 7.5 %: D; 50 % of 35 + 75 % of 30 + 75 % of 15 = 17.5 + 22.5 + 11.25 = 51.25 %: 2
        (
            {"title": "Manager of Sales"},
            [*did("form.submitted", 20), *did("page.visited", 9, 10, 20), *did("email.opened", 9, 10, 20)],
            3.75,
            25.625,
            "D2",
        ),
        # two clicks in 14 days are neither three nor exactly one: nothing. 30 %: C
        ({"industry": "software"}, did("email.clicked", 1, 2), 15, 0, "C4"),
    ],
)
def test_eloquas_scorecards(
    known: dict[str, str | float], done: Sequence[Activity], fit: float, interest: float, grade: str
) -> None:
    facts = dossier(leads=(lead(**{"title": None, **known}),), activities=tuple(done), records=())
    found = score(facts, policy(scoring=ELOQUA), NOW)
    assert (found.fit, found.interest, found.grade) == (pytest.approx(fit), pytest.approx(interest), grade)


# -- 2. A weights-and-priorities table: fit 100 (persona 30, revenue 25, vertical 25, stack 20), engagement 100
# (opens 5, clicks 15, visit 10, demo page 25, reply 25, meeting 20); 150 of 200 is hot, 100 warm, 50 nurture.
# Source: shawnos.ai/knowledge/scoring ("200-point composite"). Halved here: 100 in all, lines at 75, 50, 25.
COMPOSITE = ScoreModel(
    fit=tuple(
        FitRule(name, name, weight, (is_one_of(10, "full"), is_one_of(6, "near"), is_one_of(-10, "wrong")))
        for name, weight in (("persona", 15), ("revenue", 12.5), ("vertical", 12.5), ("stack", 10))
    ),
    interest=tuple(
        InterestRule(kind, kind, weight, (InterestChoice(10),))
        for kind, weight in (
            ("email.opened", 2.5),
            ("email.clicked", 7.5),
            ("page.visited", 5),
            ("demo.visited", 12.5),
            ("email.replied", 12.5),
            ("meeting.booked", 10),
        )
    ),
)


@pytest.mark.parametrize(
    ("known", "kinds", "of_200"),
    [
        # 30 + 25 + 25 + 20 + 5 + 15 + 25 = 145: warm, 5 below hot
        (
            {"persona": "full", "revenue": "full", "vertical": "full", "stack": "full"},
            ("email.opened", "email.clicked", "demo.visited"),
            145,
        ),
        # and a visit: 155, hot
        (
            {"persona": "full", "revenue": "full", "vertical": "full", "stack": "full"},
            ("email.opened", "email.clicked", "demo.visited", "page.visited"),
            155,
        ),
        # priority 6 of 10: 18 + 15 + 25 - 20 = 38; 25 + 20 = 45 more: 83
        (
            {"persona": "near", "revenue": "near", "vertical": "full", "stack": "wrong"},
            ("email.replied", "meeting.booked"),
            83,
        ),
        # only the wrong ones: -100
        ({"persona": "wrong", "revenue": "wrong", "vertical": "wrong", "stack": "wrong"}, (), -100),
    ],
)
def test_a_composite_of_weights_and_priorities(known: dict[str, str], kinds: Sequence[str], of_200: float) -> None:
    facts = dossier(
        leads=(lead(**known),), activities=tuple(each for kind in kinds for each in did(kind, 1)), records=()
    )
    found = score(facts, policy(scoring=COMPOSITE), NOW)
    assert found.total == pytest.approx(of_200 / 2)


# -- 3. Points with inactivity decay: title +20, size +15, industry +15, location +10; open +1, click +5, visit +2, form
# +20, demo +50, pricing page +10; 5 points less after 30 days of inactivity, 10 after 60.
# Source: docs.ivertonai.com/features/crm/lead-scoring. 148 points there (fit 60, behaviour 88); a quarter of them here.
ACTIVE = ("email.*", "page.visited", "form.submitted", "demo.requested")
IVERTON = ScoreModel(
    fit=(
        FitRule("title", "title", 5, (FitChoice(10, Condition(matches="director")),)),
        FitRule("size", "employees", 3.75, (FitChoice(10, Condition(minimum=50)),)),
        FitRule("industry", "industry", 3.75, (is_one_of(10, "Software"),)),
        FitRule("location", "country", 2.5, (is_one_of(10, "DE"),)),
    ),
    interest=(
        InterestRule("open", "email.opened", 25, (InterestChoice(0.1, each=True),)),  # 0.25 each: 1 of theirs
        InterestRule("click", "email.clicked", 25, (InterestChoice(0.5, each=True),)),
        InterestRule("visit", "page.visited", 25, (InterestChoice(0.2, each=True),), not_asset="*pricing*"),
        InterestRule("pricing", "page.visited", 25, (InterestChoice(1, each=True),), asset="*pricing*"),
        InterestRule("form", "form.submitted", 25, (InterestChoice(2, each=True),)),
        InterestRule("demo", "demo.requested", 25, (InterestChoice(5, each=True),)),
        InterestRule(
            "inactive",
            ACTIVE,
            2.5,
            (InterestChoice(-10, idle=Duration(days=60)), InterestChoice(-5, idle=Duration(days=30))),
        ),
    ),
)


@pytest.mark.parametrize(
    ("days", "theirs"),
    [
        # 20 + 10 of who they are; 3 opens, 2 clicks, 2 visits, 1 pricing page, 1 form: 3 + 10 + 4 + 10 + 20 = 47
        (0, 77),
        (29, 77),
        (30.5, 72),  # 5 less
        (59, 72),
        (60.5, 67),  # 10 less
        (400, 67),
    ],
)
def test_points_with_steps_of_inactivity(days: float, theirs: float) -> None:
    done = [
        *did("email.opened", 1, 2, 3),
        *did("email.clicked", 1, 2),
        *did("page.visited", 3, 4, asset="/blog"),
        *did("page.visited", 2, asset="/pricing/eu"),
        *did("form.submitted", 5),
    ]
    facts = dossier(leads=(lead(title="Director", country="DE"),), activities=tuple(done), records=())
    newest = NOW - timedelta(days=1)
    found = score(facts, policy(scoring=IVERTON), newest + timedelta(days=days))
    assert found.total * 4 == pytest.approx(theirs)


# -- 4. Naive Bayes: the weather data (9 days of play, 5 without), a sunny, cool, humid and windy day.
# Source: Witten, Frank, Hall: Data Mining, chapter 4.2 (likelihoods 0.0053 and 0.0206, so 20.5 % for play).
# Evidence adds up in log odds; ours are 4 points a unit, so that no rule goes beyond its weight.
POINTS_A_UNIT = 4
PLAY, NO_PLAY = 9, 5
COUNTS = {  # (days of play, days without) with this value
    ("outlook", "sunny"): (2, 3),
    ("outlook", "rainy"): (3, 2),
    ("temperature", "cool"): (3, 1),
    ("temperature", "hot"): (2, 2),
    ("humidity", "high"): (3, 4),
    ("humidity", "normal"): (6, 1),
    ("windy", "true"): (3, 3),
    ("windy", "false"): (6, 2),
}


def naive_bayes() -> ScoreModel:
    weight = 10.0
    rules = []
    for name in ("outlook", "temperature", "humidity", "windy"):
        choices = []
        for (attribute, value), (with_play, without) in COUNTS.items():
            if attribute == name:
                odds = math.log((with_play / PLAY) / (without / NO_PLAY))
                choices.append(is_one_of(odds * POINTS_A_UNIT / weight * 10, value))
        rules.append(FitRule(name, name, weight, tuple(choices)))
    return ScoreModel(fit=tuple(rules))


@pytest.mark.parametrize(
    ("day", "yes", "no", "probability"),
    [
        # 2/9 x 3/9 x 3/9 x 3/9 x 9/14 = 0.0053; 3/5 x 1/5 x 4/5 x 3/5 x 5/14 = 0.0206
        (("sunny", "cool", "high", "true"), 0.0053, 0.0206, 0.205),
        # 3/9 x 2/9 x 6/9 x 6/9 x 9/14 = 0.0212; 2/5 x 2/5 x 1/5 x 2/5 x 5/14 = 0.0046
        (("rainy", "hot", "normal", "false"), 0.0212, 0.0046, 0.822),
    ],
)
def test_naive_bayes_as_a_scorecard(day: tuple[str, ...], yes: float, no: float, probability: float) -> None:
    known = dict(zip(("outlook", "temperature", "humidity", "windy"), day, strict=True))
    found = score(dossier(leads=(lead(**known),), activities=(), records=()), policy(scoring=naive_bayes()), NOW)
    log_odds = found.total / POINTS_A_UNIT + math.log(PLAY / NO_PLAY)
    assert log_odds == pytest.approx(math.log(yes / no), abs=0.02)
    assert 1 / (1 + math.exp(-log_odds)) == pytest.approx(probability, abs=0.002)


# -- 5. Pardot's baseline: form or landing page +50, tracker click +3, site search +3, session +3, page view +1, form
# error -5; each counts. Source: help.pardot.com/customer/portal/articles/2127224-prospect-scoring-overview.
# They have no upper end; here each rule has one, high enough for the case.
PARDOT = ScoreModel(
    interest=tuple(
        InterestRule(kind, kind, 100, (InterestChoice(points / 10, each=True),))
        for kind, points in (
            ("form.submitted", 50),
            ("link.clicked", 3),
            ("site.searched", 3),
            ("page.visited", 1),
            ("form.failed", -5),
        )
    )
)


def test_pardots_baseline() -> None:
    # a form after two failed tries, four clicks, a search, nine pages: 50 - 10 + 12 + 3 + 9 = 64
    done = [
        *did("form.submitted", 1),
        *did("form.failed", 1, 2),
        *did("link.clicked", 1, 2, 3, 4),
        *did("site.searched", 300),
        *did("page.visited", *range(9)),
    ]
    found = score(dossier(leads=(), activities=tuple(done), records=()), policy(scoring=PARDOT), NOW)
    assert found.total == pytest.approx(64)


# -- 6. A half-life for each kind: a demo request keeps half after 90 days, a pricing page after 14, a paper after 60.
# Source: leadvibe-ms-site.pages.dev/glossary/score-decay ("Per-event half-life decay").
HALF_LIVES = ScoreModel(
    interest=(
        InterestRule("demo", "demo.requested", 40, (InterestChoice(10),), decay=Decay(half_life=90)),
        InterestRule("pricing", "page.visited", 20, (InterestChoice(10),), decay=Decay(half_life=14)),
        InterestRule("paper", "file.downloaded", 40, (InterestChoice(10),), decay=Decay(half_life=60)),
    )
)


@pytest.mark.parametrize(
    ("kind", "points"),
    [
        # after 0, 14, 28, 60, 90, 180 days; to a tenth of a point
        ("demo.requested", (40, 35.9, 32.2, 25.2, 20, 10)),  # 40 x 2^(-14/90) = 35.91; 2^(-28/90): 32.24; 2/3: 25.20
        ("page.visited", (20, 10, 5, 1.0, 0.2, 0)),  # 20 x 2^(-60/14) = 1.03; 2^(-90/14): 0.23
        ("file.downloaded", (40, 34.0, 28.9, 20, 14.1, 5)),  # 40 x 2^(-14/60) = 34.03; 28.95 -> 28.9; 2^-1.5: 14.14
    ],
)
def test_half_lives(kind: str, points: tuple[float, ...]) -> None:
    terms = policy(scoring=HALF_LIVES, mql=Threshold(score=10))
    for days, expected in zip((0, 14, 28, 60, 90, 180), points, strict=True):
        facts = dossier(leads=(), activities=tuple(did(kind, days)), records=())
        assert score(facts, terms, NOW).total == pytest.approx(expected, abs=1e-9), days
