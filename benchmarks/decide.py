"""Deciding: dossiers read, planned and settled by the agent itself, on files of several sizes.

The machine is never equally busy for two minutes on end, so sizes are compared by turns: a part of the large file, then
the whole of a small one, and so on; what counts is the median of the turns' ratios.
"""

import logging
import random
import statistics
import tempfile
import time
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing, contextmanager
from datetime import datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct
from sqlite_utils.utils import sqlite3

from benchmarks import world
from benchmarks.report import Figure, tell
from syncagent.agent import Agent
from syncagent.agent.process import tuned
from syncagent.clock import ManualClock, monotonic
from syncagent.model import Activity, Identity
from syncagent.state.activities import bodies_of

TARGET = 8_000.0
CEILING = "sqlite3 and msgspec, 500 leads a FULL transaction"
PARTS = 10
TURNS = 5
AGAIN = 10_000
SAME = 0.95
"""Of the small file's rate: the machine's own swing between two turns is as much."""


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


class _Rate(Struct):
    """What one lead cost, in microseconds."""

    read: float
    settle: float
    all: float
    cpu: float

    def told(self) -> str:
        rest = self.all - self.read - self.settle
        return f"{self.read:.0f} read + {rest:.0f} plan + {self.settle:.0f} settle; {self.cpu:.0f} of CPU"


class _Leads:
    """So many leads with their history in a file of their own, and an agent that decides them."""

    def __init__(self, folder: Path, size: int) -> None:
        self.size = size
        self.path = folder / "state.db"
        clock = ManualClock(world.NOW)  # no timer comes due while others are measured
        # In a process of its own: what making twenty million facts leaves in a heap is no part of deciding.
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            self.accepted = pool.submit(_filled, folder, size, world.NOW).result()
        self.agent: Agent = world.agent(folder, seen_by=_Timed, clock=clock)
        self._timed: _Timed = self.agent.store  # type: ignore[assignment]
        self._turns, self.undecided = 0, size

    def decide(self, least: int | None = None) -> _Rate:
        """Decide at least so many, batch by batch; everybody, if no number is given."""
        wanted = min(least or self.undecided, self.undecided)
        self._timed.spent.clear()
        start, computing = monotonic(), time.process_time()
        count = 0
        while count < wanted and (done := self.agent.decide()):
            count += done
        spent, computed = monotonic() - start, time.process_time() - computing
        self.undecided -= count
        if count < wanted or self.undecided < 0:
            raise SystemExit(f"{count} leads were decided instead of {wanted}: this measures something else.")
        inside = self._timed.spent
        read = inside.get("unsettled", 0.0) + inside.get("dossiers", 0.0)
        settle = inside.get("settle", 0.0)
        return _Rate(*(each / count * 1e6 for each in (read, settle, spent, computed)))

    def again(self, leads: Collection[int]) -> _Rate:
        """These visit a page once more, and are decided once more."""
        self._turns += 1
        key = f"again{self._turns}"
        told = (Activity(Identity("web", "lead", str(n)), key, world.NOW, "page.visited", "/docs") for n in leads)
        world.fill(self.agent.store, told)
        self.undecided = len(leads)
        return self.decide()

    def close(self) -> None:
        """Those who asked for sales were handed off, nobody else, and nobody is left."""
        handed, ready = self.agent.store.health(world.NOW).with_sales, len(range(0, self.size, world.READY_EVERY))
        left = self.agent.decide()
        self.agent.store.close()
        if left or handed != ready:
            raise SystemExit(f"{handed} were handed off, not {ready}; {left} left: this measures something else.")


def _filled(folder: Path, size: int, now: datetime) -> float:
    """Store so many leads as of `now`; facts a second."""
    world.NOW = now  # not the moment at which this process began
    with tuned():
        agent = world.agent(folder)
        start = monotonic()
        facts = world.fill(agent.store, world.history(size))
        spent = monotonic() - start
        agent.store.close()
    return facts / spent


@contextmanager
def _leads(size: int) -> Iterator[_Leads]:
    with tempfile.TemporaryDirectory(prefix="bench-decide-") as folder, closing(_Leads(Path(folder), size)) as leads:
        yield leads


def run(people: Sequence[int], *, quick: bool) -> list[Figure]:
    logging.getLogger("syncagent").setLevel(logging.WARNING)
    small, *larger = sorted(people or ([300, 600] if quick else [10_000, 100_000]))
    figures: list[Figure] = []
    with _leads(small) as few:
        rate = few.decide()
        figures += _figures(few, "all of them", [rate])
        figures += _ceiling(few, rate)
        for size in larger:
            with _leads(size) as many:
                figures += _compared(few, many)
    return figures


def _compared(few: _Leads, many: _Leads) -> list[Figure]:
    """The large file beside the small one, turn by turn: the first decisions, then some that are made once more."""
    larger, small = f"{many.size:,} leads", f"{few.size:,}"
    tell(f"{larger} with {world.ACTIVITIES} activities each are stored")
    first: list[_Rate] = []
    alike: list[_Rate] = []
    while many.undecided:
        first.append(many.decide(max(many.size // PARTS, 1)))
        with _leads(few.size) as fresh:
            alike.append(fresh.decide())
        tell(f"{larger}, {many.undecided:,} left: {first[-1].told()}; {alike[-1].all:.0f} us of {small}")
    together: list[_Rate] = []
    scattered: list[_Rate] = []
    beside: list[_Rate] = []
    dice = random.Random(7)
    count = min(few.size, AGAIN)
    for turn in range(1, TURNS + 1):
        beside.append(few.again(range(count)))
        start = dice.randrange(0, many.size - count, world.READY_EVERY)
        together.append(many.again(range(start, start + count)))
        scattered.append(many.again(dice.sample(range(many.size), count)))
        tell(f"{count:,} leads once more, turn {turn}: {beside[-1].all:.0f} us of {small}; of {larger}"
             f" {together[-1].all:.0f} us together, {scattered[-1].all:.0f} us scattered")  # fmt: skip
    again = f"{count:,} of them once more"
    return [
        *_figures(many, "all of them", first),
        *_ceiling(many, first[-1]),
        *_figures(many, f"{again}, together", together),
        *_figures(many, f"{again}, scattered", scattered),
        *_apart(few, many, count),
        _ratio(f"{larger} against {small}: rate a lead, all of them", alike, first, SAME),
        _ratio(f"{larger} against {small}: rate a lead, {again}, together", beside, together, SAME),
        # Neighbours share the pages of the file that both stand on; scattered leads have pages of their own each.
        _ratio(f"{larger} against {small}: rate a lead, {again}, scattered", beside, scattered, None),
    ]


def _ratio(what: str, small: Sequence[_Rate], large: Sequence[_Rate], target: float | None) -> Figure:
    """The larger file's rate, as a share of the small one's in the same turn."""
    ratio, cpu = (
        statistics.median(getattr(one, kind) / getattr(other, kind) for one, other in zip(small, large, strict=True))
        for kind in ("all", "cpu")
    )
    tell(f"{what}: {ratio:.2f} ({cpu:.2f} by CPU time)")
    return Figure(what, ratio, "times", target, note=f"{cpu:.2f} by CPU time, which others on the machine touch less")


def _figures(leads: _Leads, what: str, rates: Sequence[_Rate]) -> list[Figure]:
    what = f"{leads.size:,} leads, {what}"
    middle = sorted(rates, key=lambda one: one.all)[len(rates) // 2]
    tell(f"{what}: {1e6 / middle.all:,.0f} leads/s ({middle.told()})")
    return [
        Figure(f"{what}: read + plan + settle", 1e6 / middle.all, "leads/s", TARGET),
        Figure(f"{what}: a lead", middle.all, "us", note=middle.told()),
    ]


def _ceiling(leads: _Leads, rate: _Rate) -> list[Figure]:
    what, bare = f"{leads.size:,} leads", _bare(leads.path)
    return [
        Figure(f"{what}: accept, 2,000 facts a page", leads.accepted, "facts/s", note="for comparison"),
        Figure(f"{what}, ceiling: rows read, decoded, one written", bare, "leads/s", note=CEILING),
        Figure(f"{what}: agent / ceiling", 1e6 / rate.all / bare, "of the ceiling", note="for comparison"),
    ]


def _apart(few: _Leads, many: _Leads, count: int) -> list[Figure]:
    """What it costs a bare loop that leads are scattered over a large file: their rows fetched, and nothing else."""
    rates = [_fetched(leads.path, random.Random(11).sample(range(1, leads.size + 1), count)) for leads in (few, many)]
    what = f"ceiling: rows of scattered leads fetched, {many.size:,} against {few.size:,}"
    return [Figure(what, rates[1] / rates[0], "times", note=f"{rates[1]:,.0f} against {rates[0]:,.0f} leads/s")]


def _fetched(path: Path, people: Sequence[int]) -> float:
    """Leads a second whose rows are fetched, 500 a query."""
    db = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
    start = monotonic()
    for first in range(0, len(people), 500):
        these = people[first : first + 500]
        within = f"in ({','.join('?' * len(these))})"
        for sql in (
            f"select s.body, j.decision, {bodies_of('s.person')} from said s"
            f" left join judged j on j.person = s.person where s.person {within}",
            f"select ext from identity where person {within}",
            f"select address from email where person {within}",
        ):
            db.execute(sql, these).fetchall()
    spent = monotonic() - start
    db.close()
    return len(people) / spent


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
