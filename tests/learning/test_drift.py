"""Drift: the same world is called the same, a moved input is named with where it went, a moved base rate too."""

import random
from datetime import timedelta

import pytest

from syncagent.learning.card import Model
from syncagent.learning.drift import Drift, drift, stability_index
from syncagent.learning.rows import Settings
from syncagent.learning.training import train
from tests.learning import orgs

SETTINGS = Settings(horizon_days=30, ages_days=(1, 7, 30))
SPLIT = orgs.BEGIN + timedelta(days=420)  # trained on what was known by then


@pytest.fixture(scope="module")
def model() -> Model:
    return train([orgs.dossier(one) for one in orgs.org(6000)], SETTINGS, SPLIT, "digest")


def later(model: Model, humans: list[orgs.Human], days: int = 150) -> Drift:
    return drift(model, [orgs.dossier(one) for one in humans], orgs.BEGIN + timedelta(days=600), days)


def test_the_same_world_raises_no_alarm(model: Model) -> None:
    for seed in (1, 2, 3):
        found = later(model, orgs.org(6000, seed))
        assert not found.alarm, found.says
        assert found.rows > 1000 and found.base_rate_now is not None
        assert found.says[0].startswith("Nothing has moved")


def test_a_moved_input_is_named_with_where_it_went(model: Model) -> None:
    dice, humans = random.Random(4), orgs.org(6000)
    for one in humans:
        if one.start > SPLIT and dice.random() < 0.6:
            one.attributes["title"] = "student"
    found = later(model, humans)
    assert [one.feature for one in found.moved] == ["title"]
    assert found.moved[0].bin == "student" and found.moved[0].now > 0.6 > 0.3 > found.moved[0].before
    assert any("title has moved" in line for line in found.says)
    assert "syncagent model train" in found.says[-1]


def test_a_column_that_is_no_longer_filled_is_named(model: Model) -> None:
    humans = orgs.org(6000)
    for one in humans:
        if one.start > SPLIT:
            del one.attributes["employees"]
    assert [(one.feature, one.bin) for one in later(model, humans).moved] == [("employees", "no value")]


def test_a_moved_base_rate_is_named(model: Model) -> None:
    humans = orgs.org(6000)
    for one in humans:
        if one.start > SPLIT and one.number % 2:
            one.won_at = None
    found = later(model, humans)
    assert found.base_rate_moved and not found.moved
    assert found.base_rate_now is not None and found.base_rate_now < 0.65 * found.base_rate_before
    assert any("base rate has moved" in line for line in found.says)


def test_too_few_recent_people_say_nothing(model: Model) -> None:
    found = later(model, orgs.org(6000)[-30:])
    assert not found.alarm and "Only " in found.says[0]


def test_the_index_by_hand() -> None:
    # (0.6 - 0.5) ln(0.6 / 0.5) + (0.4 - 0.5) ln(0.4 / 0.5) = 0.018232 + 0.022314
    assert stability_index((0.5, 0.5), (0.6, 0.4)) == pytest.approx(0.040547, abs=1e-6)
    assert stability_index((0.2, 0.8), (0.2, 0.8)) == 0
    assert stability_index((1.0, 0.0), (0.0, 1.0)) > 10
