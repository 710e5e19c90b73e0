"""What must hold of every score model, whatever is in it."""

import math
from datetime import datetime, timedelta

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from syncagent.handoff import score
from syncagent.handoff.nearest import nearest
from syncagent.handoff.scoring import is_over, judge
from syncagent.model import Activity, Dossier
from syncagent.policy import (
    Condition,
    Decay,
    Duration,
    FitChoice,
    FitRule,
    GroupCap,
    InterestChoice,
    InterestRule,
    Policy,
    Robots,
    ScoreModel,
)
from tests.unit.handoff.worlds import MARKETO, NOW, activity, dossier, lead, policy

KINDS = ("form.submitted", "page.visited", "email.clicked", "email.delivered")
SPANS = (Duration(days=1), Duration(days=7), Duration(days=30), Duration(minutes=90))
DECAYS = st.one_of(
    st.none(),
    st.sampled_from((1.0, 7.0, 30.0)).map(lambda days: Decay(half_life=days)),
    st.sampled_from((((5, 0.75), (20, 0.25), (45, 0.0)), ((0, 0.5),), ((3, 0.0),))).map(lambda some: Decay(steps=some)),
)


@st.composite
def choices(draw: st.DrawFn, *, growing: bool) -> tuple[InterestChoice, ...]:
    """A rule's choices; `growing`: more of them never give less (many first, and none counted exactly)."""
    if draw(st.booleans()):
        priority = draw(st.sampled_from((0.5, 2.0, 10.0)) if growing else st.sampled_from((0.5, 2.0, -3.0)))
        return (InterestChoice(priority, each=True, within=draw(st.sampled_from((None, *SPANS)))),)
    if growing:
        window = draw(st.sampled_from((None, *SPANS)))
        counts = sorted(draw(st.sets(st.integers(1, 4), min_size=1, max_size=3)), reverse=True)
        worth = sorted(draw(st.lists(st.integers(0, 10), min_size=len(counts), max_size=len(counts))), reverse=True)
        return tuple(InterestChoice(p, at_least=n, within=window) for n, p in zip(counts, worth, strict=True))
    return tuple(
        draw(
            st.lists(
                st.one_of(
                    st.builds(
                        InterestChoice,
                        st.sampled_from((10, 5, 0, -10)),
                        at_least=st.integers(0, 3),
                        exactly=st.sampled_from((None, None, 0, 1, 2)),
                        within=st.sampled_from((None, *SPANS)),
                    ),
                    st.builds(InterestChoice, st.sampled_from((-10, -5)), idle=st.sampled_from(SPANS)),
                ),
                min_size=1,
                max_size=3,
            )
        )
    )


@st.composite
def models(draw: st.DrawFn, *, growing: bool = False, capped: bool = True, robots: bool = True) -> Policy:
    """A policy with a model of up to three interest rules and a fit rule on a date."""
    rules = []
    for number in range(draw(st.integers(1, 3))):
        weight = draw(st.sampled_from((3.0, 10.0, 25.0)))
        rules.append(
            InterestRule(
                f"r{number}",
                draw(st.sampled_from(("form.*", "page.visited", ("email.clicked", "page.*"), "*"))),
                weight,
                draw(choices(growing=growing)),
                asset=draw(st.sampled_from(("", "*pricing*"))),
                not_asset=draw(st.sampled_from(("", "/blog"))),
                where=draw(st.sampled_from(({}, {"size": Condition(minimum=2)}))),
                decay=draw(DECAYS),
                cap=draw(st.sampled_from((None, weight / 2))) if capped else None,
                cap_per_day=draw(st.sampled_from((None, 2.0))) if capped else None,
                group=draw(st.sampled_from(("", "web"))) if capped else "",
            )
        )
    caps = (GroupCap("web", most=draw(st.sampled_from((None, 12.0))), per_day=draw(st.sampled_from((None, 4.0)))),)
    tests = draw(st.sampled_from((Robots(), Robots(after_delivery=2, links=3)))) if robots else Robots(marked=False)
    fresh = FitRule(
        "seen", "seen_on", 10, (FitChoice(10, Condition(newer=SPANS[2])), FitChoice(-5, Condition(older=SPANS[2])))
    )
    return policy(scoring=ScoreModel((fresh,), tuple(rules), robots=tests, caps=caps))


ACTIVITIES = st.lists(
    st.builds(
        lambda key, minutes, kind, asset, size, bot: activity(
            f"k{key}", NOW - timedelta(minutes=minutes), kind, asset, size=size, **{"Is Bot Activity": bot}
        ),
        st.integers(0, 500),
        st.integers(-60 * 24 * 3, 60 * 24 * 60),
        st.sampled_from(KINDS),
        st.sampled_from(("", "/pricing", "/blog")),
        st.sampled_from((None, 1, 3)),
        st.sampled_from((False, False, False, True)),
    ),
    max_size=12,
    unique_by=lambda one: one.key,
)
LATER = st.integers(0, 60 * 24 * 80).map(lambda minutes: NOW + timedelta(minutes=minutes))
SEEN = st.sampled_from((None, "2026-03-01", "2026-02-10T23:30:00+02:00", "2026-04-01"))


def person(activities: list[Activity], seen: str | None = None) -> Dossier:
    return dossier(leads=(lead(seen_on=seen),), activities=tuple(activities), records=())


@given(models(), ACTIVITIES, SEEN, LATER, st.randoms(use_true_random=False))
@settings(max_examples=200, deadline=None)
def test_order_and_repetition_change_nothing(
    terms: Policy, done: list[Activity], seen: str | None, now: datetime, dice: object
) -> None:
    told = [*done, *done]
    dice.shuffle(told)  # type: ignore[attr-defined]
    assert judge(person(told, seen), terms, now, {"seen_on": seen}) == judge(
        person(sorted(done, key=lambda one: one.at), seen), terms, now, {"seen_on": seen}
    )


@given(models(), ACTIVITIES, SEEN, LATER, st.data())
@settings(max_examples=150, deadline=None)
def test_a_merge_changes_nothing(
    terms: Policy, done: list[Activity], seen: str | None, now: datetime, data: st.DataObject
) -> None:
    """Of two records of one system that became one, each may tell of the same moment, under keys of its own."""
    moments = {(one.kind, one.asset, one.at) for one in done}
    assume(len(moments) == len(done))
    twin = replace(MARKETO, id="18")
    again = [replace(one, identity=twin, key=f"twin-{one.key}") for one in done if data.draw(st.booleans())]
    both = replace(person([*again, *done], seen), identities=(MARKETO, twin))
    found, alone = score(both, terms, now), score(person(done, seen), terms, now)
    assert [(one.rule, one.points) for one in found.contributions] == [
        (one.rule, one.points) for one in alone.contributions
    ]
    assert found.grade == alone.grade


@given(models(growing=True, capped=False, robots=False), ACTIVITIES, ACTIVITIES, LATER)
@settings(max_examples=300, deadline=None)
def test_one_more_good_activity_never_lowers_the_score(
    terms: Policy, done: list[Activity], more: list[Activity], now: datetime
) -> None:
    """Caps, robots and choices that count exactly are meant to lower it; none of them is here."""
    known = {one.key for one in done}
    fuller = [*done, *(one for one in more if one.key not in known)]
    assert score(person(fuller), terms, now).interest >= score(person(done), terms, now).interest - 1e-9


@given(models(growing=True), ACTIVITIES, LATER, st.integers(1, 60 * 24 * 90))
@settings(max_examples=300, deadline=None)
def test_what_nobody_adds_to_only_fades(terms: Policy, done: list[Activity], now: datetime, minutes: int) -> None:
    """A group's cap for each day aside: what leaves a window makes room for what fades more slowly."""
    terms = replace(terms, scoring=replace(terms.scoring, caps=(GroupCap("web", most=12.0),)))
    past = [one for one in done if one.at <= now]
    later = now + timedelta(minutes=minutes)
    assert score(person(past), terms, later).interest <= score(person(past), terms, now).interest + 1e-9


@given(models(), ACTIVITIES, SEEN, LATER)
@settings(max_examples=300, deadline=None)
def test_the_contributions_add_up_to_the_score(
    terms: Policy, done: list[Activity], seen: str | None, now: datetime
) -> None:
    found = score(person(done, seen), terms, now)
    fit = [one.points for one in found.contributions if one.rule == "seen"]
    interest = [one.points for one in found.contributions if one.rule != "seen"]
    assert (sum(fit), sum(interest)) == (found.fit, found.interest)
    assert found.total == found.fit + found.interest
    assert all(one.points or one.lost > 0 for one in found.contributions)
    weights = {rule.name: rule.weight for rule in (*terms.scoring.fit, *terms.scoring.interest)}
    assert all(abs(one.points) <= weights[one.rule] + 1e-9 for one in found.contributions)


@given(models(), ACTIVITIES, SEEN, LATER, LATER)
@settings(max_examples=300, deadline=None)
def test_history_as_of_a_moment_gives_what_was_stored_then(
    terms: Policy, done: list[Activity], seen: str | None, then: datetime, now: datetime
) -> None:
    """What was done by then and known by then; what came later changes nothing in it."""
    assume(then <= now)
    stored = score(person([one for one in done if one.at <= then], seen), terms, then)
    apart = timedelta(minutes=10)
    recomputed = score(person([one for one in done if not then < one.at <= then + apart], seen), terms, then)
    assert recomputed == stored


@given(models(), ACTIVITIES, SEEN, LATER, st.lists(st.integers(1, 60 * 24 * 100), min_size=1, max_size=25))
@example(
    policy(
        scoring=ScoreModel(
            interest=(InterestRule("r", "*", 25, (InterestChoice(0.5, each=True),), decay=Decay(half_life=30)),)
        )
    ),
    [activity(f"k{n}", NOW - timedelta(days=n), "form.submitted") for n in range(12)],
    None,
    NOW,
    [60 * 24 * n for n in range(1, 20)],
)
@example(  # when the window is empty the points rest on nothing, and no day's cap holds them down any more
    policy(
        scoring=ScoreModel(
            interest=(
                InterestRule(
                    "r", "*", 3, (InterestChoice(10, at_least=0, within=Duration(days=1)),), group="g", cap_per_day=2
                ),
            )
        )
    ),
    [activity("k0", NOW, "form.submitted")],
    None,
    NOW,
    [60 * 24 + 1],
)
@settings(max_examples=400, deadline=None)
def test_a_score_that_changes_by_itself_is_looked_at_by_then(
    terms: Policy, done: list[Activity], seen: str | None, now: datetime, later: list[int]
) -> None:
    """Windows are rounded up to the full hour, with an hour for clocks; fading points change at midnight sharp."""
    facts = person(done, seen)
    known = {"seen_on": seen}
    judged = judge(facts, terms, now, known)
    assert judged.changes_at is None or judged.changes_at >= now - timedelta(minutes=10)
    for moment in (now + timedelta(minutes=some) for some in sorted(later)):
        if judge(facts, terms, moment, known).score.total != judged.score.total:
            assert judged.changes_at is not None
            assert judged.changes_at <= moment + timedelta(hours=3)
            break


@given(models(), ACTIVITIES, SEEN)
@settings(max_examples=100, deadline=None)
def test_a_score_comes_to_rest(terms: Policy, done: list[Activity], seen: str | None) -> None:
    """Following `changes_at` ends: points fade to nothing, windows empty, and nothing is left to wait for."""
    facts, now, looked = person(done, seen), NOW, 0
    while (at := judge(facts, terms, now, {"seen_on": seen}).changes_at) is not None:
        now, looked = max(at, now + timedelta(seconds=1)), looked + 1
        assert looked < 1_000
    assert now < NOW + timedelta(days=800)


@given(models(), ACTIVITIES, SEEN, st.integers(0, 100))
@settings(max_examples=200, deadline=None)
def test_what_is_said_to_bring_somebody_over_the_line_is_enough(
    terms: Policy, done: list[Activity], seen: str | None, line: int
) -> None:
    terms = replace(terms, mql=replace(terms.mql, score=float(line)))
    facts = person(done, seen)
    near = nearest(facts, terms, NOW)
    found = score(facts, terms, NOW)
    assert not (near.single and near.together)
    if is_over(facts, terms, NOW):
        assert not near.single and not near.together
    for one in near.single:
        assert found.total + one.points >= line or math.isclose(found.total + one.points, line)
    if near.together:
        assert found.total + sum(one.points for one in near.together) >= line - 1e-9
        assert len({one.rule for one in near.together}) == len(near.together)
    reach = {rule.name: rule.weight for rule in (*terms.scoring.fit, *terms.scoring.interest)}
    has = {one.rule: one.points for one in found.contributions}
    for one in (*near.single, *near.together):
        assert has.get(one.rule, 0.0) + one.points <= reach[one.rule] + 1e-9
