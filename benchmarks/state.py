"""How fast the state is: `python -m benchmarks.state [PEOPLE ...]`. Prints ratios against a ceiling of the same run.

For each size: leads with 20 activities each are accepted in pages of 300 facts (Marketo's page), beside a bare
executemany of the same rows in as many FULL transactions; then everybody is read and settled with a trivial plan in
batches of 500; then, on the full file, 10,000 are made dirty by one activity each, read and settled again.
"""

import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from sqlite_utils.utils import sqlite3

from syncagent.clock import monotonic
from syncagent.model import (
    Activity,
    Contribution,
    Decision,
    Event,
    Identity,
    Lane,
    Lead,
    Page,
    Plan,
    Score,
    Stage,
)
from syncagent.state import SqliteStore, open_store
from syncagent.state.store import Settlement

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
ACTIVITIES = 20
PAGE = 300
BATCH = 500


def leads(people: int) -> Iterator[Lead]:
    for number in range(people):
        yield Lead(
            Identity("marketo", "lead", str(number)),
            NOW - timedelta(days=2),
            {"title": "VP Sales", "company": f"Firm {number}", "country": "DE", "employees": 200, "industry": "Energy"},
            (f"person{number}@example.com",),
        )


def activities(people: int) -> Iterator[Activity]:
    """As a log tells them: by time, over everybody."""
    block = 2000
    for start in range(0, people, block):
        for turn in range(ACTIVITIES):
            for number in range(start, min(start + block, people)):
                yield Activity(
                    Identity("marketo", "lead", str(number)),
                    str(number * ACTIVITIES + turn),
                    NOW - timedelta(days=1, seconds=turn * 977 + number % 500),
                    "page.visited" if turn % 2 else "email.clicked",
                    "/pricing",
                    {"campaign": "spring"} if turn % 2 else {},
                )


def pages(facts: Iterator[Lead] | Iterator[Activity]) -> Iterator[Page]:
    held: list[Lead | Activity] = []
    number = 0
    for fact in facts:
        held.append(fact)
        if len(held) == PAGE:
            number += 1
            yield Page(tuple(held), str(number))
            held = []
    if held:
        yield Page(tuple(held), str(number + 1))


def accept_all(store: SqliteStore, facts: Iterator[Lead] | Iterator[Activity], stream: str) -> float:
    """Seconds inside `accept`; making the facts is not counted."""
    spent = 0.0
    for page in pages(facts):
        start = monotonic()
        store.accept(page, stream, now=NOW, lane=Lane.COLD)
        spent += monotonic() - start
    return spent


def ceiling(path: Path, people: int) -> float:
    """Seconds for a bare loop's executemany of the same activities, one FULL transaction a page."""
    db = sqlite3.connect(path, isolation_level=None)
    db.executescript(
        "pragma journal_mode = wal; pragma synchronous = full; create table raw (source text, key text, person text,"
        " at text, kind text, body text, primary key (source, key)) strict, without rowid"
    )
    encode = msgspec.json.encode
    spent = 0.0
    for page in pages(activities(people)):
        rows = [
            ("marketo", a.key, a.identity.id, a.at.isoformat(), a.kind, encode(a.attributes).decode())
            for a in page.facts
            if isinstance(a, Activity)
        ]
        start = monotonic()
        db.execute("begin")
        db.executemany("insert or ignore into raw values (?, ?, ?, ?, ?, ?)", rows)
        db.execute("commit")
        spent += monotonic() - start
    db.close()
    return spent


_SCORE = Score(
    30.0,
    25.0,
    "B2",
    tuple(Contribution(f"interest.{n}", 5.0, "Visited the pricing page 3 times.", ("1", "2", "3")) for n in range(6)),
)


def settle_all(store: SqliteStore) -> tuple[int, float, float]:
    """How many leads were read and settled, and the seconds for each."""
    read = written = 0.0
    count = 0
    decision = Decision(Stage.PROSPECT, _SCORE)
    while True:
        start = monotonic()
        found = store.unsettled(NOW, BATCH)
        read += monotonic() - start
        if not found.dossiers:
            return count, read, written
        plans = [
            Settlement(
                d.person, d.revision, Plan(decision, events=(Event("score", NOW, "55 (B2)", data={"total": 55.0}),))
            )
            for d in found.dossiers
        ]
        start = monotonic()
        count += store.settle(plans, found.roster, now=NOW, config="c")
        written += monotonic() - start


def measure(people: int) -> None:
    with tempfile.TemporaryDirectory(prefix="bench-state-") as folder:
        store = open_store(Path(folder) / "bench.db")
        try:
            lead_seconds = accept_all(store, leads(people), "leads")
            seconds = accept_all(store, activities(people), "activities")
            bare = ceiling(Path(folder) / "bare.db", min(people, 20_000)) / min(people, 20_000) * people
            total = people * ACTIVITIES
            print(f"{people:,} people x {ACTIVITIES} activities")
            print(f"  accept leads        {people / lead_seconds:12,.0f} /s")
            print(
                f"  accept activities   {total / seconds:12,.0f} /s   {bare / seconds:5.2f} of executemany"
                f" ({total / bare:,.0f} /s)"
            )
            for title, first in (("everybody", True), ("10,000 of them", False)):
                if not first:
                    step = max(1, people // 10_000)
                    touched = (
                        Activity(Identity("marketo", "lead", str(n)), f"again{n}", NOW, "page.visited")
                        for n in range(0, people, step)
                    )
                    accept_all(store, touched, "again")
                count, read, written = settle_all(store)
                print(
                    f"  read + settle       {count / (read + written):12,.0f} leads/s   {read / count * 1e6:5.1f} +"
                    f" {written / count * 1e6:4.1f} us a lead ({title})"
                )
        finally:
            store.close()


if __name__ == "__main__":
    for size in [int(arg.replace(",", "")) for arg in sys.argv[1:]] or [10_000]:
        measure(size)
