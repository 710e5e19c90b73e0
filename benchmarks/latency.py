"""Latency: from an activity's arrival to the call of a slow CRM, with the daemon's own threads beside a backfill."""

import itertools
import logging
import random
import statistics
import tempfile
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks import world
from benchmarks.report import Figure, tell
from syncagent.agent import Agent
from syncagent.agent.daemon import Daemon
from syncagent.clock import SystemClock, monotonic
from syncagent.connectors.memory import Memory
from syncagent.model import Activity, AnyCommand, Cursor, Fact, Identity, Key, Lane, Lead, Outcome, Page, WriteLead

TARGET_MS = 100.0
CALL_SECONDS = 0.1
EVERY = 0.05  # seconds between two arrivals, on average
HISTORY = 5  # activities of each lead of the backfill
LONGEST = 150.0  # seconds
FEWEST = 10  # arrivals
PAGE = 300


class SlowCrm(Memory):
    """A CRM whose calls take 100 ms, and that notes when a lead's write was first issued."""

    def __init__(self) -> None:
        super().__init__("crm")
        self.issued: dict[str, float] = {}
        self.batches: list[int] = []

    def apply(self, batch: Sequence[AnyCommand]) -> Iterator[tuple[Key, Outcome]]:
        at = monotonic()
        for command in batch:
            if isinstance(command, WriteLead):
                for email in command.emails:
                    self.issued.setdefault(email, at)
        self.batches.append(len(batch))
        SystemClock().wait(threading.Event(), CALL_SECONDS)
        yield from super().apply(batch)


class Past(Memory):
    """A marketing system whose history is told page by page and never held; its poll brings nothing."""

    def __init__(self, people: int) -> None:
        super().__init__("web")
        self._history = (_cold(fact) for fact in world.history(people, each=HISTORY))
        self.told = threading.Event()

    def begin(self, since: datetime, until: datetime | None = None) -> Cursor:
        return "poll" if until is None else "history"

    def pull(self, cursor: Cursor) -> Iterator[Page]:
        if cursor == "poll":
            yield Page((), cursor, datetime.now(UTC))
            return
        while facts := tuple(itertools.islice(self._history, PAGE)):
            yield Page(facts, cursor)
        self.told.set()
        yield Page((), cursor)


def _cold(fact: Fact) -> Fact:
    """History hands nobody off here: what is measured is the CRM's call for whoever arrives now."""
    if isinstance(fact, Activity) and fact.asset == "contact-sales":
        return Activity(fact.identity, fact.key, fact.at, "page.visited", "/product")
    return fact


def run(people: Sequence[int], *, quick: bool) -> list[Figure]:
    logging.getLogger("syncagent").setLevel(logging.WARNING)
    size = people[0] if people else 300 if quick else 100_000
    with tempfile.TemporaryDirectory(prefix="bench-late-") as folder:
        crm, past = SlowCrm(), Past(size)
        agent = world.agent(Path(folder), systems={"web": past, "crm": crm})
        idle = _measure(agent, crm, past, Path(folder), seconds=2.0 if quick else 8.0)
        crm, past = SlowCrm(), Past(size)
        (Path(folder) / "busy").mkdir()
        agent = world.agent(Path(folder) / "busy", systems={"web": past, "crm": crm})
        start = monotonic()
        busy = _measure(agent, crm, past, Path(folder) / "busy", backfill=True)
        spent = monotonic() - start
    rate = f"{len(busy)} arrivals in {spent:.0f} s, p50 {_at(busy, 50):.0f} ms, worst {max(busy):.0f} ms"
    tell(rate)
    return [
        Figure("idle: p95, arrival to the CRM's call", _at(idle, 95), "ms", note=f"p50 {_at(idle, 50):.0f} ms"),
        Figure(f"beside a backfill of {size:,} leads: p50", _at(busy, 50), "ms", note=f"{len(busy)} arrivals"),
        Figure(f"beside a backfill of {size:,} leads: p95", _at(busy, 95), "ms", TARGET_MS, at_most=True),
        Figure("    worst", max(busy), "ms", note="for comparison"),
        Figure("    backfill: read, stored, decided meanwhile", size / spent, "leads/s", note=f"{spent:.0f} s"),
    ]


def _at(values: Sequence[float], percent: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def _measure(
    agent: Agent, crm: SlowCrm, past: Past, folder: Path, *, seconds: float = LONGEST, backfill: bool = False
) -> list[float]:
    """Milliseconds of every arrival while the backfill (or nothing) runs."""
    if backfill:
        agent.start_backfill("web", world.NOW - timedelta(days=90), world.NOW)
    daemon = threading.Thread(target=Daemon(agent, folder / "state.db").run)
    daemon.start()
    arrived: dict[str, float] = {}
    try:
        dice = random.Random(7)
        until = monotonic() + seconds
        while monotonic() < until and not agent.stopping.is_set():
            SystemClock().wait(agent.stopping, dice.expovariate(1 / EVERY))
            _arrive(agent, len(arrived), arrived)
            if backfill and len(arrived) >= FEWEST and past.told.is_set() and _all_decided(agent):
                break
        until = monotonic() + 5.0
        while arrived.keys() - crm.issued.keys() and monotonic() < until:
            SystemClock().wait(agent.stopping, 0.05)
    finally:
        agent.stopping.set()
        daemon.join()
        agent.store.close()
    missing = arrived.keys() - crm.issued.keys()
    if missing or len(arrived) < FEWEST:
        raise SystemExit(f"{len(missing)} of {len(arrived)} arrivals never reached the CRM: this measures nothing.")
    return [(crm.issued[email] - at) * 1000 for email, at in arrived.items()]


def _all_decided(agent: Agent) -> bool:
    return not agent.store.unsettled(datetime.now(UTC), 1, lane=Lane.COLD).dossiers


def _arrive(agent: Agent, number: int, arrived: dict[str, float]) -> None:
    """As a webhook's listener does it: store, then ring. The clock starts before the store is asked."""
    who = Identity("web", "lead", f"hot{number}")
    email = f"hot{number}@example.net"
    now = datetime.now(UTC)
    facts = (
        Lead(who, now, {"last_name": "Test", "title": "Director", "country": "Spain"}, (email,)),
        Activity(who, f"hot{number}", now, "form.submitted", "contact-sales"),
    )
    arrived[email] = monotonic()
    agent.store.accept(Page(facts, ""), "", now=now, lane=Lane.HOT)
    agent.bell.set()
