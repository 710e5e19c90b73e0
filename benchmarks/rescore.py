"""`python -m benchmarks.rescore`: everybody scored anew from their evidence, as `syncagent score --all` does."""

import resource
import tempfile
import time
from pathlib import Path

import click

from benchmarks import world
from benchmarks.report import tell
from syncagent.agent.process import tuned
from syncagent.clock import monotonic
from syncagent.config import parse
from syncagent.policy import Policy
from syncagent.reports.population import ask_all
from syncagent.reports.scores import Rescore, Scores, scored, together
from syncagent.state import open_store

MILLION = 1_000_000
TARGET = 120.0
ONE_MS = 1.0


@click.command()
@click.option("--people", default=50_000, show_default=True, help="So many people with 20 activities each.")
@click.option("--workers", type=int, help="Processes; one for each core, if not given.")
@click.option("--folder", type=click.Path(path_type=Path), help="Keep the state here, and take it from here next time.")
def main(people: int, workers: int | None, folder: Path | None) -> None:
    """Print people a second, the projected time for a million, CPU time and memory."""
    with tempfile.TemporaryDirectory(prefix="bench-rescore-") as made:
        state = (folder or Path(made)) / "state.db"
        if not state.exists():
            start = monotonic()
            store = open_store(state)
            try:
                facts = world.fill(store, world.history(people))
            finally:
                store.close()
            tell(f"{facts:,} facts stored in {monotonic() - start:.0f} s, {state.stat().st_size / 1e6:,.0f} MB")
        policy = parse(world.CONFIG.format(sources="")).policy(world.NOW)
        with tuned():
            start, cpu = monotonic(), _cpu()
            count = sum(len(rows) for rows in ask_all(state, Scores(policy, world.NOW), workers))
            _tell("score --all", count, monotonic() - start, _cpu() - cpu)
            start, cpu = monotonic(), _cpu()
            moves = together(ask_all(state, Rescore(policy, world.NOW, policy), workers))
            _tell("rescore --before, both configs", moves.people, monotonic() - start, _cpu() - cpu)
        if moves.people != count or moves.newly or moves.no_longer:
            raise SystemExit("The same config moved somebody: this measures something else.")
        _tell_one(state, policy)
        own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        print(f"memory: {own:.0f} MB here (filling counts too), {child:.0f} MB in the largest process of the pool")


def _tell_one(state: Path, policy: Policy) -> None:
    store = open_store(state, read_only=True)
    try:
        took = []
        for person in store.people(0, 1000):
            start = monotonic()
            (dossier,) = store.evidence(person - 1, person)
            scored(dossier, policy, world.NOW)
            took.append(monotonic() - start)
    finally:
        store.close()
    took.sort()
    middle, worst = took[len(took) // 2] * 1000, took[int(len(took) * 0.99)] * 1000
    met = "met" if middle < ONE_MS else "not met"
    print(f"one person, read and scored: {middle:.2f} ms, 99 of 100 below {worst:.2f} ms (target {ONE_MS} ms: {met})")


def _cpu() -> float:
    mine, theirs = time.process_time(), resource.getrusage(resource.RUSAGE_CHILDREN)
    return mine + theirs.ru_utime + theirs.ru_stime


def _tell(what: str, people: int, seconds: float, cpu: float) -> None:
    million = seconds / people * MILLION
    met = "met" if million <= TARGET else "not met"
    print(
        f"{what}: {people:,} people in {seconds:.1f} s, {people / seconds:,.0f} people/s,"
        f" {cpu / people * 1e6:.0f} us of CPU each; 1,000,000 would take {million:.0f} s (target {TARGET:.0f} s: {met})"
    )


if __name__ == "__main__":
    main()
