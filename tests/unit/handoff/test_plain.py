"""Scoring with tables, windows and memories equals scoring written down plainly, to the last point."""

import itertools
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from syncagent.handoff.scoring import judge
from syncagent.model import Activity, Dossier, Identity, Value
from syncagent.policy import (
    Condition,
    Duration,
    FitChoice,
    FitRule,
    GroupCap,
    HandRaiser,
    InterestRule,
    Policy,
    Robots,
    ScoreModel,
)
from tests.unit.handoff.plain import Given, Plain, plain
from tests.unit.handoff.test_scoring_properties import DECAYS, KINDS, LATER, SPANS, choices
from tests.unit.handoff.worlds import NOW, dossier, policy

VALUES: st.SearchStrategy[Value] = st.sampled_from(
    (None, "", 0, 1, 1.0, True, 1, True, 2.5, "1", "1,000", " Director ", "director of IT", "student", "2026-03-01",
     "2026-02-10T23:30:00+02:00", "2026-04-01", "x" * 200)
)  # fmt: skip
CONDITIONS = st.one_of(
    st.builds(lambda some: Condition(values=tuple(some)), st.lists(VALUES, min_size=1, max_size=3)),
    st.sampled_from(("chief|director", "^1", "x")).map(lambda text: Condition(matches=text)),
    st.sampled_from((("*director*",), ("1*", "student"))).map(lambda some: Condition(globs=some)),
    st.builds(Condition, minimum=st.sampled_from((None, 0.5, 2.0)), maximum=st.sampled_from((1.0, 5_000.0))),
    st.booleans().map(lambda there: Condition(present=there)),
    st.sampled_from(SPANS).map(lambda span: Condition(newer=span)),
    st.sampled_from((Duration(days=7), Duration(days=30))).map(lambda span: Condition(older=span, present=True)),
)
GLOBS = st.sampled_from(("", "*pricing*", ("/blog", "*PRICING"), ("/docs", "/blog")))


@st.composite
def _rules(draw: st.DrawFn, name: str) -> InterestRule:
    some = draw(choices(growing=draw(st.booleans())))
    return InterestRule(
        name,
        draw(st.sampled_from(("form.*", "page.visited", ("email.clicked", "PAGE.*"), "*"))),
        draw(st.sampled_from((3.0, 10.0, 25.0))),
        some,
        asset=draw(GLOBS),
        not_asset=draw(st.sampled_from(("", "", "/blog", ("/docs", "*pric*")))),
        source=draw(st.sampled_from(("", "", "mark*", "web"))),
        campaign=draw(st.sampled_from(("", "", "spring*"))),
        where=draw(st.sampled_from(({}, {}, {"size": Condition(minimum=2)}))),
        decay=draw(DECAYS),
        cap=draw(st.sampled_from((None, 2.0))),
        # The config refuses it for what is not counted each.
        cap_per_day=draw(st.sampled_from((None, 2.0))) if some[0].each else None,
        group=draw(st.sampled_from(("", "web"))),
    )


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    """A policy with a model of everything that a rule can ask for."""
    fit = tuple(
        FitRule(
            f"f{n}",
            draw(st.sampled_from(("title", "size"))),
            draw(st.sampled_from((3.0, 20.0))),
            tuple(
                draw(
                    st.lists(st.builds(FitChoice, st.sampled_from((10, 7, 0, -10)), CONDITIONS), min_size=1, max_size=3)
                )
            ),
        )
        for n in range(draw(st.integers(0, 2)))
    )
    interest = tuple(draw(_rules(f"r{n}")) for n in range(draw(st.integers(1, 4))))
    caps = (GroupCap("web", most=draw(st.sampled_from((None, 12.0))), per_day=draw(st.sampled_from((None, 4.0)))),)
    robots = draw(st.sampled_from((Robots(), Robots(after_delivery=2, links=2), Robots(links=2, admit="/blog"))))
    model = ScoreModel(fit, interest, exclude_bots=draw(st.booleans()), robots=robots, caps=caps)
    always = (HandRaiser("form.*", draw(st.sampled_from(("", "/pricing")))),)
    return policy(scoring=model, always=always, timezone=draw(st.sampled_from(("Europe/Berlin", "Asia/Kolkata"))))


def _activity(key: int, system: str, seconds: int, kind: str, asset: str, about: dict[str, Value]) -> Activity:
    return Activity(
        Identity(system, "lead", "17"), f"k{key}", NOW - timedelta(seconds=seconds), kind, asset, dict(about)
    )


_DAY = 24 * 3600
ACTIVITIES = st.lists(
    st.builds(
        _activity,
        st.integers(0, 30),
        st.sampled_from(("marketo", "marketo", "web")),
        st.one_of(st.integers(-_DAY, 40 * _DAY), st.integers(-3600, 9 * _DAY), st.integers(_DAY, _DAY + 2)),
        st.sampled_from((*KINDS, "email.clicked")),
        st.sampled_from(("", "/pricing", "/blog")),
        st.fixed_dictionaries(
            {},
            optional={
                "size": st.sampled_from((None, 1, 3, "3")),
                "campaign": st.sampled_from((None, "Spring sale", "Autumn")),
                "Is Bot Activity": st.sampled_from((None, False, True)),
                "Link": st.sampled_from(("a", "b")),
            },
        ),
    ),
    max_size=16,
    unique_by=lambda one: (one.identity.system, one.key),
)
PEOPLE = st.lists(
    st.tuples(ACTIVITIES, st.fixed_dictionaries({}, optional={"title": VALUES, "size": VALUES})), min_size=1, max_size=3
)


def _judged(person: Dossier, attributes: dict[str, Value], terms: Policy, now: datetime) -> Plain:
    found = judge(person, terms, now, attributes)
    one, raiser = found.score, found.raiser
    given = tuple(Given(each.rule, each.points, each.evidence, each.lost) for each in one.contributions)
    asked = None if raiser is None else (raiser.at, raiser.key)
    return Plain(one.fit, one.interest, one.grade, given, found.latest, asked)


WHEN = st.one_of(LATER, st.integers(0, 3 * 24 * 60).map(lambda minutes: NOW + timedelta(minutes=minutes)))


@given(policies(), PEOPLE, WHEN, st.randoms(use_true_random=False))
@settings(max_examples=200, deadline=None)
def test_it_is_the_plain_score_to_the_last_point(
    terms: Policy, people: list[tuple[list[Activity], dict[str, Value]]], now: datetime, dice: object
) -> None:
    """Of several people by one policy, twice each and in any order: what it has learnt of one must suit the next."""
    for done, attributes in (*people, *reversed(people)):
        told = [*done, *done[:3]]
        dice.shuffle(told)  # type: ignore[attr-defined]
        person = replace(dossier(records=()), activities=tuple(told))
        assert _judged(person, attributes, terms, now) == plain(done, attributes, terms, now)


@pytest.mark.parametrize("order", list(itertools.permutations((1, 1.0, True, "1"))))
def test_values_that_python_takes_for_one_are_told_apart(order: tuple[Value, ...]) -> None:
    """A rule remembers what it has said of a value; 1, 1.0 and True are equal, and not the same."""
    rule = FitRule("size", "size", 20, (FitChoice(10, Condition(maximum=5)), FitChoice(-10, Condition(present=True))))
    terms = policy(scoring=ScoreModel((rule,)))
    told = {str(value): judge(dossier(), terms, NOW, {"size": value}).score.contributions[0] for value in order}
    assert {value: (one.points, one.why) for value, one in told.items() if value != "1"} == {
        "1.0": (20, "size is 1.0"),
        "True": (-20, "size is True"),
    }
    assert told["1"].points == 20
