"""Everybody, a hundred at a time and on every core: what is asked of them, and the answers in the order of people.

Each process has a read-only connection of its own, and each batch is a read transaction of its own, so that the
writer's log is folded into the file meanwhile. What comes in while all are being read may or may not be seen.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from syncagent.model import Dossier
from syncagent.reports.cores import on_cores, parts
from syncagent.state import open_store

A = TypeVar("A")
A_co = TypeVar("A_co", covariant=True)

BATCH = 100  # as much as a core's own cache holds: with 500 each costs a fifth more
_ALONE = 10_000  # starting processes takes longer than so many people do


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
            yield from (question(store.evidence(*part, decided=question.decided)) for part in parts(store, BATCH))
        else:
            yield from on_cores(count, _Worker, (state, question), store, BATCH)
    finally:
        store.close()


class _Worker:
    """What one process has open."""

    def __init__(self, state: Path, question: Question[Any]) -> None:
        self._store, self._question = open_store(state, read_only=True), question

    def __call__(self, after: int, until: int) -> Any:  # noqa: ANN401  (whatever the question answers)
        return self._question(self._store.evidence(after, until, decided=self._question.decided))
