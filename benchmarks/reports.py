"""Reports: what each takes on a year of many people, whole and by each cut, written as the page that a manager opens.

SYNCAGENT_BENCH_STATE names a state file that is there already, or that is to be made and kept; see `year.py`.
"""

import logging
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import world, year
from benchmarks.report import Figure, tell
from syncagent.clock import monotonic
from syncagent.policy import Policy
from syncagent.reports.catalog import REPORTS, cuts, make
from syncagent.reports.formats.page import as_html
from syncagent.reports.report import Ask
from syncagent.reports.score_health import MOST
from syncagent.state import open_store
from syncagent.state.store import Store

MILLION = 1_000_000
SECONDS = 10.0
ZONE = "Europe/Berlin"


def run(people: Sequence[int], *, quick: bool) -> list[Figure]:
    logging.getLogger("syncagent").setLevel(logging.ERROR)
    with year.state(max(people, default=1_000 if quick else 100_000), quick=quick) as path:
        return measure(path)


def measure(path: Path) -> list[Figure]:
    """Each report that there is, by itself and by the cut that takes longest."""
    figures: list[Figure] = []
    store = open_store(path, read_only=True)
    try:
        [(people,)] = store.ask("select count(*) from report_lead")
        [(handoffs,)] = store.ask("select count(*) from report_handoff")
        policy = world.policy_of(store)
        for name in REPORTS:
            words = cuts(name)  # loads what the report needs, which takes as long for few people as for many
            # The scores anew of some handoffs take nearly all of it, and there are never more of these.
            growth = min(MILLION / people, max(1.0, MOST / handoffs)) if name == "scores" else MILLION / people
            figures.append(_figure(name, people, growth, _seconds(name, store, policy, "")))
            if each := {by: _seconds(name, store, policy, by) for by in words}:
                slowest = max(each, key=lambda by: each[by])
                figures.append(_figure(f"{name} --by {slowest}, the slowest cut", people, growth, each[slowest]))
    finally:
        store.close()
    return figures


def _seconds(name: str, store: Store, policy: Policy, by: str) -> float:
    """Seconds until the page is written."""
    start, computing = monotonic(), time.process_time()
    made = make(name, store, Ask(world.NOW, ZONE, by=by), policy)
    page = as_html(made)
    spent, computed = monotonic() - start, time.process_time() - computing
    what, rows = f"{name} --by {by}" if by else name, sum(len(table.rows) for table in made.tables)
    tell(f"{what}: {spent:.2f} s ({computed:.2f} s of CPU), {rows:,} rows, {len(page) / 1000:,.0f} kB of HTML")
    if not rows:
        raise SystemExit(f"The report {what} has no row: this measures something else.")
    return spent


def _figure(what: str, people: int, growth: float, seconds: float) -> Figure:
    size = f"{MILLION:,} people" if people == MILLION else f"{MILLION:,} people, projected from {people:,}"
    return Figure(f"{what}: {size}", seconds * growth, "s", SECONDS, at_most=True)
