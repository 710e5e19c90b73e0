"""Work on a state file's people, part by part and a process a core, with the answers in the order of the people."""

import gc
import multiprocessing
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from typing import Any, TypeVar

from syncagent.state.store import Store

A = TypeVar("A")
Worker = Callable[[int, int], A]
"""Answers for the people behind the first number up to the second."""

_COLLECT = 50_000  # facts are never part of a circle: looking for one among them would be a fifth of the time


def parts(store: Store, size: int) -> Iterator[tuple[int, int]]:
    """Everybody in parts of so many, each as `Worker` wants it."""
    after = 0
    while some := store.people(after, size):
        yield after, some[-1]
        after = some[-1]


def on_cores(
    count: int, made: Callable[..., Worker[A]], given: tuple[Any, ...], store: Store, size: int
) -> Iterator[A]:
    """What `count` workers answer, each `made` of `given` in its own process: both must be picklable, and the answers.

    Memory does not grow with the population: only a few parts are under way at a time.
    """
    # Spawned, not forked: a fork would take over SQLite's open file and the threads' locks.
    fresh = multiprocessing.get_context("spawn")
    pending: deque[Future[A]] = deque()
    with ProcessPoolExecutor(count, fresh, _begin, (made, given)) as pool:
        try:
            for part in parts(store, size):
                pending.append(pool.submit(_answer, *part))
                if len(pending) > 3 * count:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for one in pending:
                one.cancel()


_here: list[Worker[Any]] = []
"""The worker of this process."""


def _begin(made: Callable[..., Worker[Any]], given: tuple[Any, ...]) -> None:
    gc.set_threshold(_COLLECT, *gc.get_threshold()[1:])
    _here[:] = [made(*given)]


def _answer(after: int, until: int) -> Any:  # noqa: ANN401  (whatever the worker answers)
    return _here[0](after, until)
