"""The crash run over HubSpot in both parts, with unique keys, without, and with leads: fewer kills, one promise."""

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from tests.crash import play
from tests.crash.play import Told

SHOTS = 12
STRIDE = 15  # of the points at which a story may die, every fifteenth
LEAST_EFFECTS = 30


@pytest.fixture(scope="module")
def players() -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        yield pool


@pytest.fixture(scope="module", params=["hubspot", "hubspot plain", "hubspot leads"])
def world(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def reference(players: ProcessPoolExecutor, world: str) -> Told:
    """The story as it goes when nobody is killed."""
    return players.submit(play.undisturbed, world).result()


def same(told: Told, reference: Told) -> None:
    for part, expected in reference.outcome.items():
        assert told.outcome[part] == expected, part


def test_the_story_is_long_enough_and_always_the_same(
    players: ProcessPoolExecutor, reference: Told, world: str
) -> None:
    again = players.submit(play.undisturbed, world).result()
    assert reference.effects >= LEAST_EFFECTS
    same(again, reference)


@pytest.mark.slow
def test_killed_at_points_of_every_beat(players: ProcessPoolExecutor, reference: Told, world: str) -> None:
    points = reference.more
    turns = [
        {beat: some[turn] for beat, some in points.items() if turn < len(some)}
        for turn in range(0, max(len(some) for some in points.values()), STRIDE)
    ]
    stories = [players.submit(play.dying_at, turn, world) for turn in turns]
    for story in stories:
        same(story.result(), reference)
    assert sum(len(story.result().more) for story in stories) >= SHOTS


@pytest.mark.slow
def test_killed_at_random_moments(players: ProcessPoolExecutor, reference: Told, world: str) -> None:
    killed, seed = 0, 0
    while killed < SHOTS and seed < 12:
        for story in [players.submit(play.shot, seed + n, 2, world) for n in range(2)]:
            same(story.result(), reference)
            killed += story.result().killed
        seed += 2
    assert killed >= SHOTS


@pytest.mark.slow
def test_answers_that_are_lost_make_nothing_twice(players: ProcessPoolExecutor, reference: Told, world: str) -> None:
    stories = [players.submit(play.unanswered, seed, world) for seed in range(4)]
    for story in stories:
        same(story.result(), reference)
    assert sum(story.result().more for story in stories) >= 6, "hardly any fault struck"
