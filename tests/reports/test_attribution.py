"""The arithmetic of money: whatever is shared and cut adds up to the cent."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncagent.reports.attribution import MODELS, Model, Touchpoint, credit, in_order, shares, weights_of
from syncagent.reports.journeys import Deal, Journey
from syncagent.reports.revenue import BY, add_up

START = datetime(2026, 1, 1, tzinfo=UTC)

cents = st.integers(-(10**12), 10**12)
models = st.sampled_from(MODELS)
touchpoints = st.lists(
    st.builds(
        Touchpoint,
        at=st.integers(0, 5).map(lambda day: START + timedelta(days=day)),
        person=st.integers(1, 3),
        system=st.sampled_from(("marketo", "web")),
        key=st.integers(0, 30).map(str),
        kind=st.sampled_from(("form.submitted", "page.visited")),
        source=st.sampled_from(("paid", "organic", "")),
        campaign=st.sampled_from(("spring", "fair", "")),
    ),
    max_size=40,
    unique_by=lambda one: (one.person, one.system, one.key),
)


def by_source(told: list[Touchpoint]) -> list[str]:
    return [one.source for one in in_order(told)]


def by_each(told: list[Touchpoint]) -> list[str]:
    return [f"{one.person}/{one.system}/{one.key}" for one in in_order(told)]


@given(cents, st.lists(st.integers(0, 1000), min_size=1, max_size=50).filter(any))
def test_shares_add_up_and_nobody_is_a_cent_away(amount: int, weights: list[int]) -> None:
    found = shares(amount, weights)
    assert sum(found) == amount
    whole = sum(weights)
    assert all(abs(part * whole - amount * weight) < whole for part, weight in zip(found, weights, strict=True))


@given(cents, touchpoints, models)
def test_every_attribution_is_the_deal_to_the_cent(amount: int, told: list[Touchpoint], model: Model) -> None:
    found = credit(amount, by_source(told), model)
    assert sum(found.values()) == (amount if told else 0)
    assert bool(found) == bool(told)


@given(cents, touchpoints, models, st.randoms())
def test_the_order_in_which_they_are_told_is_nothing(amount, told, model, dice) -> None:
    other = [*told, *told]  # and told twice is told once
    dice.shuffle(other)
    assert credit(amount, by_each(told), model) == credit(amount, by_each(other), model)


@given(cents, touchpoints, models)
def test_any_cut_adds_up_to_any_other(amount: int, told: list[Touchpoint], model: Model) -> None:
    """A cut by source and campaign, folded to sources, is the cut by source."""
    folded: Counter[str] = Counter()
    for (source, _), part in credit(amount, [(one.source, one.campaign) for one in in_order(told)], model).items():
        folded[source] += part
    assert dict(folded) == credit(amount, by_source(told), model)


sold = st.lists(
    st.builds(
        Journey,
        st.builds(
            Deal,
            st.just("deal"),
            st.none() | cents,
            st.sampled_from(("EUR", "USD", "")),
            st.booleans(),
            st.none(),
            st.sampled_from(("ana", "ben")),
            st.sampled_from(((), (1,), (1, 2, 3))),
        ),
        touchpoints.map(in_order),
        st.booleans(),
        st.integers(0, 3),
        st.just({}),
    ),
    max_size=12,
)


@given(sold, st.sampled_from(sorted(BY)))
def test_what_is_shared_and_what_is_not_is_the_crms_total(told: list[Journey], by: str) -> None:
    found, robots = add_up(told, BY[by][1])
    assert robots == sum(one.robots for one in told)
    for of, made in found.items():
        these = [one for one in told if (one.deal.currency, one.deal.won) == of]
        total = sum(one.deal.cents or 0 for one in these)
        assert (made.deals, made.amount) == (len(these), total)
        for place in range(len(MODELS)):
            assert sum(parts[place] for parts in made.shared.values()) + made.unattributed == total
        assert made.unknown == sum(one.deal.cents is None for one in these)
    assert sum(one.deals for one in found.values()) == len(told)


@given(st.integers(1, 200))
def test_position_is_forty_twenty_forty(count: int) -> None:
    weights = weights_of("position", count)
    assert len(weights) == count
    if count > 2:
        assert weights[0] / sum(weights) == weights[-1] / sum(weights) == pytest.approx(0.4)
    assert weights == weights[::-1]


def test_each_model_on_one_journey() -> None:
    journey = [
        Touchpoint(START + timedelta(days=day), 1, "web", str(day), source=source)
        for day, source in enumerate(("paid", "email", "email", "fair"))
    ]
    told = {model: credit(10_001, by_source(journey[::-1]), model) for model in MODELS}
    assert told == {
        "first": {"paid": 10_001},
        "last": {"fair": 10_001},
        "even": {"paid": 2_501, "email": 5_000, "fair": 2_500},
        "position": {"paid": 4_001, "email": 2_000, "fair": 4_000},
    }


@pytest.mark.parametrize("weights", [[], [0, 0], [2, -1]])
def test_nothing_is_shared_among_nobody(weights: list[int]) -> None:
    with pytest.raises(ValueError, match="can only be shared"):
        shares(100, weights)
