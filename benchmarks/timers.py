"""Timers: promises that run for a million leads, a hundred of them due in a second, with the daemon's own threads.

The file is made of one lead that the agent itself has handed off: the leads that come due are whole copies of it,
spread over the file; of all others there are the person, the handoff and the decision. What is measured lies between
the moment when a reminder is due and the call of the CRM with it. No reminder goes out before the CRM has been read
past that moment (law 12), so the CRM is polled four times a second here; a slower poll makes them later by as much.
"""

import json
import logging
import os
import statistics
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlite_utils.utils import sqlite3

from benchmarks import world
from benchmarks.report import Figure, tell
from syncagent.agent import Agent
from syncagent.agent.daemon import Daemon
from syncagent.clock import SystemClock, monotonic
from syncagent.compose import compose
from syncagent.config import parse
from syncagent.connectors.memory import Memory
from syncagent.model import Activity, Alert, AnyCommand, CrmRecord, Identity, Key, Lane, Lead, Outcome, Page
from syncagent.state import open_store
from syncagent.state.activities import SHIFT
from syncagent.state.codec import not_before
from syncagent.state.reading import unsettled_ids

TIMERS = 1_000_000
RATE = 100  # due in a second
SECONDS = 30
LATEST = 1.0
BEFORE = timedelta(seconds=5)  # the daemon starts first
PROMISE = timedelta(minutes=30)  # the reminder comes at half of an hour
LEAST = 200  # steps of SQLite at most that a look for the due ones may take, whatever the number of timers

ONE, ALIKE = 777_000_777, 888_000_888
"""The person and the lead that all others are copied from: numbers that stand for nothing else in the text of a row."""
CONFIG = (
    world.CONFIG.format(sources='[sources.web]\ntype = "memory"\n')
    .replace('poll = "1s"', 'poll = "0.25s"')
    .replace('clock = "rep"', 'clock = "wall"')
)


class Watched(Memory):
    """A CRM that notes when it was called with whose reminder."""

    def __init__(self) -> None:
        super().__init__("crm")
        self.reminded: dict[int, list[datetime]] = {}

    def apply(self, batch: Sequence[AnyCommand]) -> Iterator[tuple[Key, Outcome]]:
        now = SystemClock().now()
        for command in batch:
            if isinstance(command, Alert):
                self.reminded.setdefault(command.person, []).append(now)
        yield from super().apply(batch)


def run(timers: Sequence[int], *, quick: bool) -> list[Figure]:
    logging.getLogger("syncagent").setLevel(logging.WARNING)
    count = timers[0] if timers else 3_000 if quick else TIMERS
    seconds = 2 if quick else SECONDS
    with tempfile.TemporaryDirectory(prefix="bench-timers-") as name:
        folder = Path(name)
        began = monotonic()
        _one(folder)
        whose, rows = _copies(folder / "state.db", count, seconds * RATE)
        size = (folder / "state.db").stat().st_size / 1e9
        tell(f"{count:,} timers in {size:.1f} GB, made in {monotonic() - began:.0f} s")
        steps = _steps(folder / "state.db")
        late = _fire(folder, whose, rows)
    return [
        Figure(f"{RATE} due a second beside {count:,} timers: the latest", max(late), "s", LATEST, at_most=True),
        Figure("    p95", statistics.quantiles(late, n=100, method="inclusive")[94], "s", note="for comparison"),
        Figure("    p50", statistics.median(late), "s", note=f"{len(late):,} reminders, each told once"),
        Figure("    steps of SQLite to find nobody due", steps, "steps", LEAST, at_most=True),
    ]


def _agent(folder: Path, crm: Memory) -> Agent:
    store = open_store(folder / "state.db")
    if store.meta("live_from") is None:
        store.set_meta("live_from", (world.NOW - timedelta(days=365)).isoformat())
        store.set_meta("crm_read", world.NOW.isoformat())
    return compose(parse(CONFIG, folder), store, systems={"web": Memory("web"), "crm": crm})


def _one(folder: Path) -> None:
    """One lead, handed off and delivered by the agent itself."""
    open_store(folder / "state.db").close()
    with closing(sqlite3.connect(folder / "state.db", isolation_level=None)) as db:
        db.execute("insert into sqlite_sequence (name, seq) values ('person', ?)", (ONE - 1,))
    agent = _agent(folder, Memory("crm"))
    who, now = Identity("web", "lead", str(ALIKE)), datetime.now(UTC)
    told = {"last_name": "Test", "title": "Director", "company": "Firm", "country": "Spain", "employees": 300}
    facts = [Lead(who, now, told, (f"p{ALIKE}@example.com",))]
    doings = [Activity(who, f"{ALIKE}k{n}", now, "page.visited", f"/pricing/{n}") for n in range(10)]
    asks = Activity(who, f"{ALIKE}f", now, "form.submitted", "contact-sales")
    agent.store.accept(Page((*facts, *doings, asks), ""), "", now=now, lane=Lane.HOT)
    agent.once()
    agent.store.close()


TABLES = ("person", "judged", "handoff", "said", "identity", "email", "child", "outbox", "journal")
"""Whatever a file keeps of a lead, besides activities; of those that are not due the first three stand for all."""
Pairs = Iterable[tuple[int, datetime]]
Rows = dict[str, list[dict[str, Any]]]


def _copies(path: Path, count: int, due: int) -> tuple[list[int], Rows]:
    """Fill the file: who comes due in the run, and the one lead's rows. When they do is set once the daemon is open."""
    every = max(1, count // due)
    whose = list(range(every, count + 1, every))[:due]
    chosen, later = frozenset(whose), SystemClock().now() + timedelta(hours=3)

    def others() -> Pairs:
        return ((n, later + timedelta(seconds=n)) for n in range(1, count + 1) if n not in chosen)

    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        rows = {table: _rows(db, table) for table in TABLES}
        doings: list[tuple[int, str]] = db.execute("select id, body from activity").fetchall()
        db.execute("pragma journal_mode = off")
        db.execute("pragma synchronous = off")
        for table in (*TABLES, "activity"):
            db.execute(f"delete from {table}")
        db.execute("begin")
        for table in TABLES[:3]:
            _fill(db, table, rows, others)
        db.execute("commit")
        db.execute("begin")
        for table in TABLES:
            _fill(db, table, rows, lambda: ((number, later) for number in whose))
        moved = ((n - (ONE << SHIFT) + (whom << SHIFT), _named(body, whom)) for whom in whose for n, body in doings)
        db.executemany("insert into activity values (?, ?)", moved)
        db.execute("update sqlite_sequence set seq = ? where name = 'person'", (count,))
        with_sales = json.dumps({"turns": {}, "open": {"ben": count}, "today": {}, "day": ""})
        db.execute("insert or replace into meta values ('roster', ?)", (with_sales,))
        db.execute("commit")
        db.execute("pragma journal_mode = wal")
    with path.open("rb+") as file:
        os.fsync(file.fileno())
    return whose, rows


def _set_due(path: Path, whose: Sequence[int], rows: Rows) -> dict[int, datetime]:
    """When the reminder of each is due, from a few seconds on: written beside the open agent, which has not begun."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        began = monotonic()
        for once_more in (True, False):  # the first time only shows how long it takes
            begin = SystemClock().now().replace(microsecond=0) + BEFORE + timedelta(seconds=2 * (monotonic() - began))
            told = {number: begin + timedelta(seconds=place / RATE) for place, number in enumerate(whose)}
            db.execute("begin immediate")
            for table in TABLES[:3]:
                column = "id" if table == "person" else "person"
                db.executemany(f"delete from {table} where {column} = ?", [(number,) for number in whose])
                _fill(db, table, rows, told.items)
            db.execute("rollback" if once_more else "commit")
    return told


def _rows(db: sqlite3.Connection, table: str) -> list[dict[str, Any]]:
    cursor = db.execute(f"select * from {table}")
    names = [one[0] for one in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]


def _fill(db: sqlite3.Connection, table: str, rows: Rows, due: Callable[[], Pairs]) -> None:
    """Copies of one table's rows, for everybody and the moment when theirs is due."""
    started = json.loads(rows["judged"][0]["decision"])["handoffs"][0]["clock_started_at"]
    for row in rows[table]:
        numbered = table in ("identity", "outbox", "journal")  # these rows have numbers of their own
        given = {name: value for name, value in row.items() if not (numbered and name == "id")}
        sql = f"insert into {table} ({', '.join(given)}) values ({', '.join('?' * len(given))})"
        db.executemany(sql, (_copy(given, number, started, at) for number, at in due()))


def _copy(row: Mapping[str, Any], number: int, started: str, at: datetime) -> list[Any]:
    """A row of the one lead as that of another one, whose reminder is due then."""
    made: list[Any] = []
    for name, value in row.items():
        if name == "wake_at":
            made.append(not_before(at))
        elif value == ONE:
            made.append(number)
        elif isinstance(value, str):
            text = _named(value, number)
            made.append(text.replace(started, (at - PROMISE).isoformat()) if name == "decision" else text)
        else:
            made.append(value)
    return made


def _named(text: str, number: int) -> str:
    """What a text says of the one lead, said of another: person, lead, record and task."""
    if text in ("L1", "T2"):
        return f"{text}-{number}"
    text = text.replace(str(ONE), str(number)).replace(str(ALIKE), str(number))
    return text.replace('"L1"', f'"L1-{number}"').replace('"T2"', f'"T2-{number}"')


def _steps(path: Path) -> float:
    """How many steps SQLite's machine takes to find that nobody is due."""
    made = 0

    def step() -> int:
        nonlocal made
        made += 1
        return 0

    with closing(sqlite3.connect(path)) as db:
        unsettled_ids(db, datetime(2000, 1, 1, tzinfo=UTC), 500, None)  # reads the schema, once for each connection
        db.set_progress_handler(step, 1)
        found = unsettled_ids(db, datetime(2000, 1, 1, tzinfo=UTC), 500, None)
        db.set_progress_handler(None, 0)
    if found:
        raise SystemExit("Somebody was due a quarter of a century ago: this measures nothing.")
    return made


def _fire(folder: Path, whose: Sequence[int], rows: Rows) -> list[float]:
    """Run the daemon until every reminder has been told: how many seconds each of them was late."""
    crm = Watched()
    for number in whose:
        place = Identity("crm", "Lead", f"L1-{number}")
        crm.records[place] = CrmRecord(place, world.NOW, world.NOW, "agent", {"status": "Sales Ready", "owner": "ben"})
    agent = _agent(folder, crm)
    due = _set_due(folder / "state.db", whose, rows)
    if min(due.values()) < SystemClock().now():
        raise SystemExit("The first reminder was due before the daemon could start: this measures nothing.")
    daemon = threading.Thread(target=Daemon(agent, folder / "state.db").run)
    daemon.start()
    try:
        until = max(due.values()) + timedelta(seconds=60)
        while len(crm.reminded) < len(due) and SystemClock().now() < until and not agent.stopping.is_set():
            SystemClock().wait(agent.stopping, 0.1)
    finally:
        agent.stopping.set()
        daemon.join()
        agent.store.close()
    wrong = {number for number in due if len(crm.reminded.get(number, ())) != 1} | (crm.reminded.keys() - due.keys())
    if wrong:
        raise SystemExit(f"{len(wrong)} of {len(due)} reminders were not told once: this measures nothing.")
    return [(crm.reminded[number][0] - at).total_seconds() for number, at in due.items()]
