"""Deciding: dossiers read, planned and settled by the agent itself, on files of several sizes."""

import logging
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from sqlite_utils.utils import sqlite3

from benchmarks import world
from benchmarks.report import Figure, tell
from syncagent.agent import Agent
from syncagent.clock import monotonic
from syncagent.model import Activity, Identity

TARGET = 8_000.0
CEILING = "sqlite3 and msgspec, 500 leads a FULL transaction"
AGAIN = 10_000
T = TypeVar("T")


class _Timed:
    """A store that counts the seconds spent in it, by verb."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.spent: dict[str, float] = {}

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if not callable(found):
            return found

        def timed(*args: Any, **named: Any) -> Any:
            start = monotonic()
            try:
                return found(*args, **named)
            finally:
                self.spent[name] = self.spent.get(name, 0.0) + monotonic() - start

        return timed


def run(people: Sequence[int], *, quick: bool) -> list[Figure]:
    logging.getLogger("syncagent").setLevel(logging.WARNING)
    sizes = people or ([300, 600] if quick else [10_000, 100_000])
    figures: list[Figure] = []
    first: dict[int, float] = {}
    again: dict[int, float] = {}
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="bench-decide-") as folder:
            agent = world.agent(Path(folder))
            timed = _Timed(agent.store)
            agent.store = timed
            try:
                first[size], again[size] = _measure(agent, size, figures, timed)
            finally:
                agent.store.close()
            bare = _bare(Path(folder) / "state.db")
            figures.append(
                Figure(f"{size:,} leads, ceiling: rows read, decoded, one written", bare, "leads/s", note=CEILING)
            )
            figures.append(
                Figure(f"{size:,} leads: agent / ceiling", first[size] / bare, "of the ceiling", note="for comparison")
            )
    if len(sizes) > 1:
        small, large = sizes[0], sizes[-1]
        figures.append(_compare(f"{large:,} leads against {small:,}: rate a lead, all", first[large] / first[small]))
        what = f"{large:,} leads against {small:,}: rate a lead, scattered"
        figures.append(_compare(what, again[large] / again[small]))
    return figures


def _bare(path: Path) -> float:
    """Leads a second of a loop that reads facts and writes a row a lead, and thinks of nothing."""
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("pragma synchronous = full")
    db.execute("create table bare (person integer primary key, decision text)")
    last = min(db.execute("select max(id) from person").fetchone()[0], 20_000)
    decode = msgspec.json.Decoder().decode
    start = monotonic()
    for first in range(1, last + 1, 500):
        these = (first, first + 499)
        said = db.execute("select body from said where person between ? and ?", these).fetchall()
        done = db.execute(
            "select '[' || group_concat(body) || ']' from activity where id between ? << 32 and (? + 1 << 32) - 1"
            " group by id >> 32",
            these,
        ).fetchall()
        judged = db.execute("select person, decision from judged where person between ? and ?", these).fetchall()
        for row in (*said, *done):
            decode(row[0])
        db.execute("begin")
        db.executemany("insert into bare values (?, ?)", judged)
        db.execute("commit")
    spent = monotonic() - start
    db.close()
    return last / spent


def _compare(what: str, ratio: float) -> Figure:
    """The machine's own swing from run to run is a tenth: that much slower counts as the same."""
    return Figure(what, ratio, "times", 0.9)


def _measure(agent: Agent, size: int, figures: list[Figure], timed: _Timed) -> tuple[float, float]:
    start = monotonic()
    facts = world.fill(agent.store, world.history(size))
    spent = monotonic() - start
    tell(f"{size:,} leads with {world.ACTIVITIES} activities each stored in {spent:.0f} s")
    figures.append(
        Figure(f"{size:,} leads: accept, 2,000 facts a page", facts / spent, "facts/s", note="for comparison")
    )
    rate = _rounds(agent, size, f"{size:,} leads, all of them", figures, timed)
    handed = agent.store.health(world.NOW).with_sales
    expected = len(range(0, size, world.READY_EVERY))
    if handed != expected:
        raise SystemExit(f"{handed} leads were handed off instead of {expected}: this measures something else.")
    step = max(1, size // AGAIN)
    touched = range(0, size, step)
    world.fill(
        agent.store,
        (Activity(Identity("web", "lead", str(n)), f"again{n}", world.NOW, "page.visited", "/docs") for n in touched),
    )
    return rate, _rounds(agent, len(touched), f"{size:,} leads, {len(touched):,} scattered", figures, timed)


def _rounds(agent: Agent, expected: int, what: str, figures: list[Figure], timed: _Timed) -> float:
    timed.spent.clear()
    start, computing = monotonic(), time.process_time()
    count = _until_zero(agent.decide)
    spent, computed = monotonic() - start, time.process_time() - computing
    if count != expected:
        raise SystemExit(f"{count} leads were decided instead of {expected}: this measures something else.")
    rate = count / spent
    inside = {name: timed.spent.get(name, 0.0) / count * 1e6 for name in ("unsettled", "settle")}
    rest = spent / count * 1e6 - sum(inside.values())
    tell(f"{what}: {rate:,.0f} leads/s ({inside['unsettled']:.0f} read + {rest:.0f} plan + {inside['settle']:.0f} us)")
    figures.append(Figure(f"{what}: read + plan + settle", rate, "leads/s", TARGET))
    figures.append(
        Figure(
            f"{what}: a lead",
            spent / count * 1e6,
            "us",
            note=f"{inside['unsettled']:.0f} read + {rest:.0f} plan + {inside['settle']:.0f} settle;"
            f" {computed / count * 1e6:.0f} of CPU",
        )
    )
    return rate


def _until_zero(step: Callable[[], int]) -> int:
    total = 0
    while done := step():
        total += done
    return total
