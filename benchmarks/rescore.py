"""Rescoring: everybody scored anew from their evidence on every core, as `score --all` and `rescore` do it."""

import os
import resource
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import world
from benchmarks.report import Figure, tell
from syncagent.clock import monotonic
from syncagent.compose import read_to_look
from syncagent.config import parse
from syncagent.policy import Policy
from syncagent.reports.population import ask_all
from syncagent.reports.scores import Rescore, Scores, scored, together
from syncagent.state import open_store

MILLION = 1_000_000
SECONDS = 120.0
ONE_MS = 1.0
MEMORY_MB = 300.0
FEW = 1_000
EXAMPLE = Path(__file__).parents[1] / "config.example.toml"


def run(people: Sequence[int], *, quick: bool) -> list[Figure]:
    count = max(people, default=600 if quick else 50_000)
    with tempfile.TemporaryDirectory(prefix="bench-rescore-") as folder:
        state = Path(folder) / "state.db"
        start = monotonic()
        store = open_store(state)
        try:
            facts = world.fill(store, world.history(count))
        finally:
            store.close()
        tell(f"{facts:,} facts stored in {monotonic() - start:.0f} s, {state.stat().st_size / 1e6:,.0f} MB")
        return measure(state, count)


def measure(state: Path, people: int) -> list[Figure]:
    """Everybody by these rules, by those of `config.example.toml`, and from the one to the other."""
    plain = parse(world.CONFIG.format(sources="")).policy(world.NOW)
    rich = read_to_look(EXAMPLE).policy(world.NOW)
    figures: list[Figure] = []
    over: list[int] = []
    for name, policy in (("these rules", plain), (EXAMPLE.name, rich)):
        with _Watch() as spent:
            answered = past = 0
            for rows in ask_all(state, Scores(policy, world.NOW)):
                answered += len(rows)
                past += sum(row.over for row in rows)
        figures += _figures(f"score --all by {name}", people, answered, spent)
        over.append(past)
    with _Watch() as spent:
        moves = together(ask_all(state, Rescore(rich, world.NOW, plain)))
    figures += _figures("rescore from the one to the other", people, moves.people, spent)
    if [moves.were_over, moves.over] != over:
        raise SystemExit(f"{over} are past the lines, or {moves.were_over} and {moves.over}: one of them is wrong.")
    figures += [_one(state, policy, name) for name, policy in (("these rules", plain), (EXAMPLE.name, rich))]
    # What this process had when it started another one counts as that one's, too.
    if largest := resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024:
        figures.append(Figure("largest process of the pool", largest, "MB", MEMORY_MB, at_most=True))
    return figures


class _Watch:
    """Seconds that passed, and seconds of CPU of this process and of those that it has ended."""

    def __enter__(self) -> "_Watch":
        self._start, self._cpu = monotonic(), _cpu()
        return self

    def __exit__(self, *_: object) -> None:
        self.wall, self.cpu = monotonic() - self._start, _cpu() - self._cpu


def _cpu() -> float:
    theirs = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + theirs.ru_utime + theirs.ru_stime


def _figures(what: str, people: int, answered: int, spent: _Watch) -> list[Figure]:
    if answered != people:
        raise SystemExit(f"{answered} of {people} people were scored: this measures something else.")
    share = MILLION / people
    size = f"{MILLION:,} people" if people == MILLION else f"{MILLION:,} people, projected from {people:,}"
    cores = os.cpu_count() or 1
    idle = f"with {cores} cores to itself, a million would take about {spent.cpu * share / cores:.0f} s"
    tell(f"{what}: {people:,} people in {spent.wall:.1f} s, {spent.cpu:.1f} s of CPU; {idle}")
    return [
        Figure(f"{what}: {size}", spent.wall * share, "s", SECONDS, at_most=True),
        Figure(f"{what}: CPU of all processes, a person", spent.cpu / people * 1e6, "us", note=idle),
    ]


def _one(state: Path, policy: Policy, name: str) -> Figure:
    """One person after the other, each read and scored by itself: the middle one of a thousand."""
    store = open_store(state, read_only=True)
    try:
        took: list[float] = []
        for person in store.people(0, FEW):
            start = monotonic()
            (dossier,) = store.evidence(person - 1, person)
            scored(dossier, policy, world.NOW)
            took.append((monotonic() - start) * 1000)
    finally:
        store.close()
    took.sort()
    tell(f"one person by {name}: {took[len(took) // 2]:.3f} ms, 99 of 100 below {took[int(len(took) * 0.99)]:.3f} ms")
    return Figure(f"one person, read and scored by {name}", took[len(took) // 2], "ms", ONE_MS, at_most=True)
