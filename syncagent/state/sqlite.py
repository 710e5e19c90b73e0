"""`SqliteStore`: the `Store` contract on one SQLite file. Reads run on read-only connections in the caller's thread;
everything that writes is a job for the one writer thread.
"""

import os
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from sqlite_utils import Database
from sqlite_utils.utils import sqlite3

from syncagent.clock import Clock, SystemClock
from syncagent.errors import UserError
from syncagent.model import (
    AccountView,
    Activity,
    AnyCommand,
    Cursor,
    Decision,
    Dossier,
    Fact,
    HealthSnapshot,
    Identity,
    Key,
    Lane,
    Outcome,
    Page,
    Parted,
    Roster,
    Written,
)
from syncagent.model.address import Addresses, AddressRules
from syncagent.policy import Policy
from syncagent.state import (
    auditing,
    backup,
    companies,
    decisions,
    dossiers,
    facts,
    hints,
    inbox,
    journal,
    outbox,
    policies,
    reading,
    results,
    splitting,
    visits,
)
from syncagent.state.codec import ms
from syncagent.state.failures import plain_errors
from syncagent.state.ledger import SqliteLedger
from syncagent.state.lock import StateLock
from syncagent.state.looks import Glance, HandedOver, StageNumbers, Stuck, Visit, Watched
from syncagent.state.proof import JournalEntry
from syncagent.state.readers import Readers
from syncagent.state.schema import migrate, refuse_newer, refuse_unfinished
from syncagent.state.store import (
    Accepted,
    Held,
    InUse,
    OutboxItem,
    Post,
    Result,
    Settlement,
    Unsettled,
)
from syncagent.state.writer import MOST_PAGES, Job, Writer

T = TypeVar("T")

_CACHE_KIB = 32 * 1024


class SqliteStore:
    """One file, one writer. Made by `syncagent.state.open_store`; safe to share between threads.

    Opened to read only, it needs no lock and may stand beside a running agent; what would write raises `UserError`.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        read_only: bool = False,
        clock: Clock | None = None,
        addresses: AddressRules | None = None,
    ) -> None:
        self.path = Path(path).absolute()
        self._clock = clock or SystemClock()
        self._addresses = Addresses(addresses or AddressRules())
        self._reading = Readers(self.path)
        self._guard = threading.Lock()
        self._offered: dict[Identity, int] = {}
        self._writer: Writer | None = None
        self._lock: StateLock | None = None
        if read_only:
            self._open_to_read()
        else:
            self._open_to_write()

    def _open_to_read(self) -> None:
        if not self.path.exists():
            raise UserError(f"There is no state file at {self.path}. Start the agent once: `syncagent run`.")
        with plain_errors(), self._reading() as db:
            state = Database(db, execute_plugins=False)
            refuse_newer(state)
            refuse_unfinished(state)

    def _open_to_write(self) -> None:
        self._lock = StateLock(self.path)
        try:
            with plain_errors():
                if self.path.exists() and self.path.stat().st_size:
                    backup.quick_check(self.path, ours=True)
                self._writer = Writer(self._connect_to_write, self.path)
            self._write("recover", lambda db: outbox.recover(db, ms(self._clock.now())))
        except BaseException:
            self.close()
            raise

    def _connect_to_write(self) -> sqlite3.Connection:
        # It holds people's data: only its owner may read it.
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        connection = sqlite3.connect(self.path, isolation_level=None, cached_statements=512, timeout=10.0)
        try:
            _pragma(connection, "journal_mode", "wal")
            _pragma(connection, "synchronous", "full")
            # What is forgotten leaves no bytes in free pages: not every build of SQLite does so by itself.
            _pragma(connection, "secure_delete", "on")
            _pragma(connection, "cache_size", f"-{_CACHE_KIB}")
            _pragma(connection, "journal_size_limit", str(64 << 20))
            _pragma(connection, "wal_autocheckpoint", str(MOST_PAGES))
            migrate(Database(connection, execute_plugins=False, recursive_triggers=False))
            # Not before: what undoes a step of the schema may be as large as the file.
            _pragma(connection, "temp_store", "memory")
        except BaseException:
            connection.close()
            raise
        return connection

    # -- the two ways in

    def _write(self, name: str, job: Job[T], lane: Lane = Lane.HOT) -> T:
        return self._submit(name, job, lane).result()

    def _submit(self, name: str, job: Job[T], lane: Lane = Lane.HOT) -> "Future[T]":
        if self._writer is None:
            raise UserError("The state was opened to be read only; ask the running agent, or stop it first.")
        return self._writer.submit(name, job, lane)

    # -- facts in

    def accept(self, page: Page, stream: str, *, now: datetime, lane: Lane = Lane.HOT) -> Accepted:
        return self.accept_soon(page, stream, now=now, lane=lane).result()

    def accept_soon(
        self,
        page: Page,
        stream: str,
        *,
        now: datetime,
        lane: Lane = Lane.HOT,
        after: "Future[Accepted] | None" = None,
    ) -> "Future[Accepted]":
        sorted_facts = facts.Sorted(page.facts, self._addresses)

        def job(db: sqlite3.Connection) -> Accepted:
            if after is not None and after.done():
                after.result()  # one that is not done yet stands before us in this very transaction
            return facts.accept(db, page, sorted_facts, stream, now, lane)

        return self._submit("accept", job, lane)

    def cursor(self, stream: str) -> Cursor | None:
        with self._reading() as db:
            row = db.execute("select cursor from stream where name = ?", (stream,)).fetchone()
        return None if row is None else row[0]

    def set_cursor(self, stream: str, cursor: Cursor) -> None:
        sql = (
            "insert into stream (name, cursor) values (?, ?) on conflict (name) do update set cursor = excluded.cursor"
        )
        self._write("set_cursor", lambda db: _run(db, sql, (stream, cursor)))

    def wanted(self, system: str, limit: int) -> tuple[Identity, ...]:
        with self._reading() as db:
            found = hints.wanted(db, system, limit, ms(self._clock.now()))
        with self._guard:
            self._offered.update(found)
        return tuple(identity for identity, _ in found)

    def looked(self, identities: Sequence[Identity], answer: Page | None = None) -> None:
        # A hint that came after `wanted` asks for another look: it has a newer stamp and stays.
        with self._guard:
            asked = [(one, self._offered.pop(one, _ANY_STAMP)) for one in identities]
        now = ms(self._clock.now())
        self._write("looked", lambda db: hints.looked(db, asked, answer, now))

    # -- posts in

    def receive(self, posts: Sequence[Post]) -> "Future[None]":
        made = inbox.rows(posts)
        return self._submit("receive", lambda db: inbox.put(db, made))

    def inbox(self, source: str, limit: int) -> tuple[Post, ...]:
        with self._reading() as db:
            return inbox.waiting(db, source, limit)

    def heard(self, source: str, names: Sequence[str]) -> Mapping[str, datetime]:
        with self._reading() as db:
            return inbox.heard(db, source, names)

    def unpack(
        self,
        told: Sequence[Fact],
        source: str,
        *,
        read: Sequence[int],
        refused: Mapping[int, str],
        heard: Mapping[str, datetime],
        now: datetime,
    ) -> Accepted:
        page = Page(tuple(told), "")
        sorted_facts = facts.Sorted(page.facts, self._addresses)

        def job(db: sqlite3.Connection) -> Accepted:
            accepted = facts.accept(db, page, sorted_facts, "", now, Lane.HOT)
            inbox.empty(db, source, read, refused, heard, now)
            return accepted

        return self._write("unpack", job)

    def refused_posts(self, limit: int = 1000) -> tuple[Post, ...]:
        with self._reading() as db:
            return inbox.refused(db, limit)

    def retry_posts(self, ids: Sequence[int] | None = None) -> int:
        return self._write("retry_posts", lambda db: inbox.retry(db, ids))

    def expire_posts(self, before: datetime) -> int:
        now = self._clock.now()
        with self._reading() as db:
            if not inbox.anything_expired(db, before, now):
                return 0
        return self._write("expire_posts", lambda db: inbox.expire(db, before, now), Lane.COLD)

    def drop_posts(self, ids: Sequence[int]) -> int:
        return self._write("drop_posts", lambda db: inbox.drop(db, ids))

    # -- decisions

    def unsettled(
        self, now: datetime, limit: int, *, lane: Lane | None = None, at_once: int | None = None
    ) -> Unsettled:
        with self._reading() as db:
            people = reading.unsettled_ids(db, now, limit, lane)
            first, rest = people[:at_once], people[at_once:] if at_once is not None else ()
            return Unsettled(tuple(dossiers.dossiers(db, first)), reading.roster(db), tuple(rest))

    def dossiers(self, people: Sequence[int]) -> tuple[Dossier, ...]:
        with self._reading() as db:
            return tuple(dossiers.dossiers(db, people))

    def settle(self, settlements: Sequence[Settlement], roster: Roster, *, now: datetime, config: str) -> int:
        prepared = decisions.prepare(settlements, now, config)
        return self._write("settle", lambda db: decisions.settle(db, prepared, roster, now))

    def sweep(self, after: int, limit: int, *, now: datetime) -> int | None:
        return self._write("sweep", lambda db: decisions.sweep(db, after, limit, ms(now)), Lane.COLD)

    def hold(self, held: Sequence[Held]) -> None:
        self._write("hold", lambda db: decisions.hold(db, held))

    def held(self, limit: int = 1000) -> tuple[Held, ...]:
        with self._reading() as db:
            return reading.held(db, limit)

    def release(self, people: Sequence[int] | None = None, *, limit: int | None = None) -> int:
        return self._write("release", lambda db: decisions.release(db, people, limit))

    def brake_counts(self, since: datetime) -> tuple[Mapping[str, int], Mapping[str, int]]:
        with self._reading() as db:
            return reading.brake_counts(db, since)

    def people(self, after: int, limit: int, *, with_sales: bool = False) -> tuple[int, ...]:
        with self._reading() as db:
            return reading.people(db, after, limit, with_sales=with_sales)

    def statuses_in_use(self) -> Mapping[str, int]:
        with self._reading() as db:
            return reading.statuses_in_use(db)

    # -- commands out

    def due(
        self,
        target: str,
        now: datetime,
        limit: int,
        *,
        lane: Lane | None = None,
        at_most: Mapping[Key, int] | None = None,
    ) -> tuple[OutboxItem, ...]:
        with self._reading() as db:
            if not outbox.anything_due(db, target, now, lane):
                return ()
        return self._write("due", lambda db: outbox.due(db, target, now, limit, lane, at_most or {}))

    def confirm(self, outcomes: Sequence[tuple[Key, int, Outcome]], *, now: datetime) -> None:
        self._write("confirm", lambda db: outbox.confirm(db, outcomes, now))

    def postpone(self, keys: Sequence[Key], until: datetime, why: str) -> None:
        now = ms(self._clock.now())
        self._write("postpone", lambda db: outbox.postpone(db, keys, until, why, now))

    def outbox(
        self, states: Sequence[str] = (), limit: int = 1000, *, keys: Sequence[Key] | None = None
    ) -> tuple[OutboxItem, ...]:
        with self._reading() as db:
            return outbox.listed(db, states, limit, keys)

    def enqueue(self, commands: Sequence[AnyCommand], *, now: datetime) -> None:
        rows = [outbox.row_of(one, ms(now)) for one in commands]
        self._write("enqueue", lambda db: outbox.put(db, rows))

    def retry(self, keys: Sequence[Key]) -> int:
        return self._write("retry", lambda db: outbox.retry(db, keys))

    def drop(self, keys: Sequence[Key], *, now: datetime) -> int:
        return self._write("drop", lambda db: outbox.drop(db, keys, now))

    def split(self, person: int, identities: Sequence[Identity], *, now: datetime) -> Parted:
        return self._write("split", lambda db: splitting.split(db, person, identities, self._addresses, now))

    # -- looking

    def find(self, who: str) -> tuple[int, ...]:
        with self._reading() as db:
            return reading.find(db, who)

    def merged_into(self, person: int) -> int | None:
        with self._reading() as db:
            return reading.merged_into(db, person)

    def dossier(self, person: int) -> Dossier | None:
        with self._reading() as db:
            found = dossiers.dossiers(db, [person])
        return found[0] if found else None

    def decided(self, people: Sequence[int]) -> Mapping[int, Decision]:
        with self._reading() as db:
            return reading.decided(db, people)

    def written(self, person: int, limit: int = 200) -> tuple[Written, ...]:
        with self._reading() as db:
            return outbox.written(db, person, limit)

    def evidence(self, after: int, until: int, *, decided: bool = False) -> tuple[Dossier, ...]:
        with self._reading() as db:
            return tuple(dossiers.evidence(db, after, until, decided=decided))

    def activities(self, people: Sequence[int]) -> Mapping[int, tuple[Activity, ...]]:
        with self._reading() as db:
            return dossiers.activities(db, people)

    def watched(self, people: Sequence[int]) -> tuple[Watched, ...]:
        with self._reading() as db:
            return auditing.watched(db, people)

    def glances(self, after: int, limit: int, words: Collection[str], late: datetime) -> tuple[Glance, ...]:
        with self._reading() as db:
            return tuple(auditing.glances(db, after, limit, words, late))

    def visits(self, person: int) -> tuple[Visit, ...]:
        with self._reading() as db:
            return visits.of(db, person)

    def stage_numbers(self, since: datetime, cuts: Mapping[str, datetime]) -> Mapping[str, StageNumbers]:
        with self._reading() as db:
            return visits.numbers(db, since, cuts)

    def moves(self, since: datetime) -> Mapping[tuple[str, str], int]:
        with self._reading() as db:
            return visits.moves(db, since)

    def stuck(self, stage: str, after: datetime, until: datetime) -> Stuck:
        with self._reading() as db:
            return visits.stuck(db, stage, after, until)

    def handed_over(self, since: datetime) -> tuple[HandedOver, ...]:
        with self._reading() as db:
            return visits.handed_over(db, since)

    def companies(self, after: str, limit: int) -> tuple[AccountView, ...]:
        with self._reading() as db:
            return companies.after(db, after, limit)

    def company(self, who: str) -> tuple[AccountView, ...]:
        with self._reading() as db:
            return companies.find(db, who)

    def results(self, subject: str) -> tuple[Result, ...]:
        with self._reading() as db:
            return results.of(db, subject)

    def ask(self, sql: str, values: Sequence[object] = ()) -> Iterator[tuple[Any, ...]]:
        with self._reading() as db:
            yield from db.execute(sql, values)

    def journal(self, person: int | None = None, *, limit: int = 1000) -> tuple[JournalEntry, ...]:
        with self._reading() as db:
            return reading.journal(db, person, limit)

    def ledger(self) -> SqliteLedger:
        return SqliteLedger(self._reading)

    def fold(self, before: datetime, most: int = 500) -> int:
        return self._write("fold", lambda db: journal.fold(db, ms(before), most), Lane.COLD)

    def alive(self) -> bool:
        return self._writer is not None and self._writer.alive

    def health(self, now: datetime) -> HealthSnapshot:
        full = self._writer is not None and self._writer.full
        with self._reading() as db:
            return reading.health(db, now, disk_full=full)

    def roster(self) -> Roster:
        with self._reading() as db:
            return reading.roster(db)

    def next_wake(self) -> datetime | None:
        with self._reading() as db:
            return reading.next_wake(db)

    def use_policy(self, policy: Policy, *, now: datetime) -> None:
        body = policies.body_of(policy)
        self._write("use_policy", lambda db: policies.use(db, policy.digest, body, now))

    def policy_at(self, at: datetime) -> InUse | None:
        with self._reading() as db:
            return policies.in_use(db, at)

    def meta(self, name: str) -> str | None:
        with self._reading() as db:
            row = db.execute("select value from meta where name = ?", (name,)).fetchone()
        return None if row is None else row[0]

    def set_meta(self, name: str, value: str) -> None:
        self._write("set_meta", lambda db: _run(db, "insert or replace into meta values (?, ?)", (name, value)))

    def backup(self, path: str) -> None:
        with plain_errors():
            backup.write(self.path, Path(path))

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._reading.close()
        if self._lock is not None:
            self._lock.release()


_ANY_STAMP = 1 << 62


def _run(db: sqlite3.Connection, sql: str, values: tuple[object, ...]) -> None:
    db.execute(sql, values)


def _pragma(connection: sqlite3.Connection, name: str, value: str) -> None:
    connection.execute(f"pragma {name} = {value}").close()
