"""Everybody, a hundred at a time and on every core: what is asked of them, and the answers in the order of people.

Each process has a read-only connection of its own, and each batch is a read transaction of its own, so that the
writer's log is folded into the file meanwhile. What comes in while all are being read may or may not be seen.
"""

import gc
import multiprocessing
import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path
from typing import Any, Protocol, TypeVar

from syncagent.model import Dossier
from syncagent.state import SqliteStore, open_store

A = TypeVar("A")
A_co = TypeVar("A_co", covariant=True)

BATCH = 100  # as much as a core's own cache holds: with 500 each costs a fifth more
_ALONE = 10_000  # starting processes takes longer than so many people do
_COLLECT = 50_000  # facts are never part of a circle: looking for one among them would be a fifth of the time


class Question(Protocol[A_co]):
    """What is asked of a batch of people. It goes to other processes, so it must be picklable, and so must the answer.

    `decided`: whether the dossiers need our last decision. Nothing is in them but what scoring reads.
    """

    decided: bool

    def __call__(self, dossiers: Sequence[Dossier]) -> A_co: ...


def ask_all(state: Path, question: Question[A], workers: int | None = None) -> Iterator[A]:
    """The answer for each batch of people, in the order of their ids. `workers`: one for each core, if None.

    Memory does not grow with the population: only a few batches are under way at a time. Raises `UserError` when
    there is no state yet.
    """
    store = open_store(state, read_only=True)
    try:
        count = workers if workers is not None else (os.cpu_count() or 1)
        if count < 2 or len(store.people(0, _ALONE)) < _ALONE:
            yield from (question(store.evidence(*part, decided=question.decided)) for part in _parts(store))
        else:
            yield from _in_processes(store, question, count)
    finally:
        store.close()


def _parts(store: SqliteStore) -> Iterator[tuple[int, int]]:
    after = 0
    while some := store.people(after, BATCH):
        yield after, some[-1]
        after = some[-1]


def _in_processes(store: SqliteStore, question: Question[A], count: int) -> Iterator[A]:
    # Spawned, not forked: a fork would take over SQLite's open file and the threads' locks.
    fresh = multiprocessing.get_context("spawn")
    pending: deque[Future[A]] = deque()
    with ProcessPoolExecutor(count, fresh, _begin, (store.path, question)) as pool:
        try:
            for part in _parts(store):
                pending.append(pool.submit(_answer, *part))
                if len(pending) > 3 * count:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for one in pending:
                one.cancel()


class _Worker:
    """What one process of the pool has open."""

    def __init__(self, state: Path, question: Question[Any]) -> None:
        self.store, self.question = open_store(state, read_only=True), question


_here: list[_Worker] = []


def _begin(state: Path, question: Question[Any]) -> None:
    gc.set_threshold(_COLLECT, *gc.get_threshold()[1:])
    _here[:] = [_Worker(state, question)]


def _answer(after: int, until: int) -> Any:  # noqa: ANN401  (whatever the question answers)
    worker = _here[0]
    return worker.question(worker.store.evidence(after, until, decided=worker.question.decided))
