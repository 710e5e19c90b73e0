"""Crash: whatever is killed, whenever, in the end the CRM holds the same records, each once, and nothing is missing."""

from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from tests.crash import play
from tests.crash.play import Point, Told

LEAST_EFFECTS = 30


@pytest.fixture(scope="module")
def players() -> Iterator[ProcessPoolExecutor]:
    """Two processes that play stories, each with its own vendors."""
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        yield pool


@pytest.fixture(scope="module")
def reference(players: ProcessPoolExecutor) -> Told:
    """The story as it goes when nobody is killed."""
    return players.submit(play.undisturbed).result()


def same(told: Told, reference: Told) -> None:
    """One part after the other, so that a difference can be read."""
    for part, expected in reference.outcome.items():
        assert told.outcome[part] == expected, part


def test_the_story_is_long_enough_and_always_the_same(players: ProcessPoolExecutor, reference: Told) -> None:
    again = players.submit(play.undisturbed).result()
    assert reference.effects >= LEAST_EFFECTS
    assert reference.killed == 0
    same(again, reference)
    assert again.more == reference.more


@pytest.mark.slow
def test_killed_at_every_failpoint(players: ProcessPoolExecutor, reference: Told) -> None:
    """Each story kills once in each beat, at another point in each story, until every point of every beat was hit."""
    points: dict[int, list[Point]] = reference.more
    names = {name for some in points.values() for name, _ in some}
    for verb in ("accept", "settle", "confirm"):
        assert {f"{verb}.before", f"{verb}.after", f"{verb}.before_commit", f"{verb}.after_commit"} <= names
    assert {"apply.before", "due.before_commit", "due.after_commit"} <= names
    stories: list[tuple[dict[int, Point], Future[Told]]] = []
    for turn in range(max(len(some) for some in points.values())):
        dying = {beat: some[turn] for beat, some in points.items() if turn < len(some)}
        stories.append((dying, players.submit(play.dying_at, dying)))
    missed = 0
    for dying, story in stories:
        told = story.result()
        missed += len(dying.keys() - set(told.more))
        same(told, reference)
    wanted = sum(len(some) for some in points.values())
    assert missed <= wanted / 50, f"{missed} of {wanted} points were not reached"


@pytest.mark.slow
def test_killed_at_two_hundred_random_moments(players: ProcessPoolExecutor, reference: Told) -> None:
    killed = 0
    for batch in range(10):
        for story in [players.submit(play.shot, 2 * batch + n, 2) for n in range(2)]:
            told = story.result()
            killed += told.killed
            same(told, reference)
        if killed >= 200:
            return
    raise AssertionError(f"only {killed} children were hit")
