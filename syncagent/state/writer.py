"""The one writer: one thread, one read-write connection, grouped commits, and the checkpoints.

Why one: SQLite 3.7.0 to 3.51.2 can lose commits when two connections write or checkpoint a WAL file
(sqlite.org/wal.html#walresetbug). Why groups: a commit costs a sync of the disk, whatever stands in it.

A *job* is a function of the connection: what it does to the database is all that it does, for it runs again when its
group fails. Hot jobs go first; a group ends when nothing is waiting or GROUP_SECONDS are over. Callers are answered
after COMMIT, and before the log is checkpointed. When a group fails it is rolled back and its jobs run one by one, each
in a transaction of its own, so that one caller's error is nobody else's.
"""

import contextlib
import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

from sqlite_utils.utils import sqlite3

from syncagent.clock import monotonic
from syncagent.errors import StoreBrokenError, StoreFullError, SyncagentError
from syncagent.model import Lane

T = TypeVar("T")
Job = Callable[[sqlite3.Connection], T]

GROUP_SECONDS = 0.02
COLD_SECONDS = 0.005
"""After so long no cold job is begun in a group: somebody hot may come, and would wait for its commit too."""
CHECKPOINT_PAGES = 3000
"""With so many pages in the log it is checkpointed as soon as nobody waits."""
MOST_PAGES = 5000
"""With so many a COMMIT checkpoints it, and whoever waits for that COMMIT waits for the disk twice."""
BALLAST_BYTES = 1 << 20
_HEAD, _BEFORE_PAGE = 32, 24  # bytes of the log's head, and of what stands before each page


def _no_failpoint(name: str) -> None:
    """Production: nothing fails on purpose."""


FAILPOINT: Callable[[str], None] = _no_failpoint
"""Crash tests put a function here. It is called in the writer's thread with "OPERATION.before_commit",
"OPERATION.after_commit" and "OPERATION.before_reply", for every job of a group."""


class _Waiting:
    """A job in the queue, and the future that its caller waits for."""

    __slots__ = ("future", "job", "name")

    def __init__(self, name: str, job: Job[Any]) -> None:
        self.name = name
        self.job = job
        self.future: Future[Any] = Future()


class Writer:
    """Owns the read-write connection; `submit` from any thread.

    A full disk fails the job with `StoreFullError` and nothing else: the next job simply tries again, so writing goes
    on by itself. The ballast file beside the database is freed then, for the checkpoint and the readers' index need
    room too, and made again once there is room.
    """

    def __init__(self, connect: Callable[[], sqlite3.Connection], path: Path) -> None:
        self.full = False
        self._log = path.with_name(path.name + "-wal")
        self._ballast = path.with_name(path.name + ".ballast")
        self._queues: dict[Lane, deque[_Waiting]] = {Lane.HOT: deque(), Lane.COLD: deque()}
        self._ready = threading.Condition()
        self._closing = False
        self._group_now: list[_Waiting] = []
        self._connect = connect
        self._opened: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, name="syncagent-writer", daemon=True)
        self._thread.start()
        self._opened.result()

    @property
    def alive(self) -> bool:
        """Whether the thread works: it ends when it is closed, or by a mistake of ours."""
        return self._thread.is_alive() and not self._closing

    def submit(self, name: str, job: Job[T], lane: Lane = Lane.HOT) -> "Future[T]":
        """Queue a job; the future is done only after its COMMIT."""
        waiting = _Waiting(name, job)
        with self._ready:
            if self._closing:
                raise SyncagentError("The state is closed; nothing more can be stored.")
            self._queues[lane].append(waiting)
            self._ready.notify()
        return waiting.future

    def do(self, name: str, job: Job[T], lane: Lane = Lane.HOT) -> T:
        """Queue a job and wait for its COMMIT."""
        return self.submit(name, job, lane).result()

    def close(self) -> None:
        """Finish everything that was queued, checkpoint, and end the thread."""
        with self._ready:
            self._closing = True
            self._ready.notify()
        self._thread.join()

    # -- the thread

    def _run(self) -> None:
        try:
            connection = self._connect()
        except BaseException as error:  # noqa: BLE001 - it is raised again in the thread that opened us
            self._opened.set_exception(error)
            return
        self._restore_ballast()
        self._opened.set_result(None)
        try:
            while self._wait():
                self._group(connection)
        except BaseException as error:
            self._give_up(error)
            raise
        else:
            # On a full disk the log stays beside the file and is read at the next start.
            with contextlib.suppress(sqlite3.Error):
                connection.execute("pragma wal_checkpoint(truncate)")
        finally:
            connection.close()

    def _wait(self) -> bool:
        with self._ready:
            while not (self._queues[Lane.HOT] or self._queues[Lane.COLD]):
                if self._closing:
                    return False
                self._ready.wait()
        return True

    def _give_up(self, error: BaseException) -> None:
        """The thread dies of a mistake of ours: nobody may wait for it for ever."""
        with self._ready:
            self._closing = True
            waiting = [*self._group_now, *self._queues[Lane.HOT], *self._queues[Lane.COLD]]
            for queue in self._queues.values():
                queue.clear()
        for each in waiting:
            if not each.future.done():
                each.future.set_exception(error)

    def _next(self, *, cold: bool = True) -> _Waiting | None:
        for lane in (Lane.HOT, Lane.COLD) if cold else (Lane.HOT,):
            try:
                return self._queues[lane].popleft()
            except IndexError:
                continue
        return None

    def _group(self, connection: sqlite3.Connection) -> None:
        group = self._group_now = []
        results: list[Any] = []
        start = monotonic()
        spent = 0.0
        try:
            connection.execute("begin immediate")
            while spent < GROUP_SECONDS and (waiting := self._next(cold=spent < COLD_SECONDS)) is not None:
                group.append(waiting)
                results.append(waiting.job(connection))
                spent = monotonic() - start
            _tell(group, "before_commit")
            connection.execute("commit")
        except Exception as error:  # noqa: BLE001 - whatever it is belongs to the callers
            _roll_back(connection)
            if len(group) > 1:
                for waiting in group:
                    self._alone(connection, waiting)
            else:
                for waiting in group or filter(None, [self._next()]):
                    waiting.future.set_exception(self._told(connection, error))
            return
        _tell(group, "after_commit")
        self._wrote()
        for waiting, result in zip(group, results, strict=True):
            FAILPOINT(f"{waiting.name}.before_reply")
            waiting.future.set_result(result)
        if not (self._queues[Lane.HOT] or self._queues[Lane.COLD]) and _holds(self._log, CHECKPOINT_PAGES):
            # What the disk says against it, the next write says to its caller.
            with contextlib.suppress(sqlite3.Error):
                connection.execute("pragma wal_checkpoint(passive)").close()

    def _alone(self, connection: sqlite3.Connection, waiting: _Waiting) -> None:
        try:
            connection.execute("begin immediate")
            result = waiting.job(connection)
            _tell([waiting], "before_commit")
            connection.execute("commit")
        except Exception as error:  # noqa: BLE001 - whatever it is belongs to the caller
            _roll_back(connection)
            waiting.future.set_exception(self._told(connection, error))
            return
        _tell([waiting], "after_commit")
        self._wrote()
        FAILPOINT(f"{waiting.name}.before_reply")
        waiting.future.set_result(result)

    # -- a full disk

    def _told(self, connection: sqlite3.Connection, error: Exception) -> Exception:
        """The project's error for SQLite's, and what is to be done about it."""
        if not isinstance(error, sqlite3.DatabaseError):
            return error
        name = getattr(error, "sqlite_errorname", "") or ""
        if name == "SQLITE_FULL" or "disk is full" in str(error):
            self._make_room(connection)
            told: Exception = StoreFullError(
                "The disk that holds the state is full: nothing was stored. Make room; work goes on by itself then."
            )
        elif name.startswith(("SQLITE_IOERR", "SQLITE_CORRUPT", "SQLITE_NOTADB")):
            told = StoreBrokenError(
                f"The state file can no longer be written ({error}). Stop the agent, look at the disk, then start "
                "again; if the check at the start fails, restore the newest backup."
            )
        else:
            return error
        told.__cause__ = error
        return told

    def _make_room(self, connection: sqlite3.Connection) -> None:
        self.full = True
        self._ballast.unlink(missing_ok=True)
        # Moving the log into the file may need room that even the ballast did not hold: then it waits.
        with contextlib.suppress(sqlite3.Error):
            connection.execute("pragma wal_checkpoint(truncate)")

    def _wrote(self) -> None:
        if self.full:
            self.full = not self._restore_ballast()

    def _restore_ballast(self) -> bool:
        """Whether the ballast stands whole; it is written, not merely sized, for a hole in a file holds no room."""
        try:
            if self._ballast.exists() and self._ballast.stat().st_size == BALLAST_BYTES:
                return True
            room = os.statvfs(self._ballast.parent)
            if room.f_bavail * room.f_frsize < 3 * BALLAST_BYTES:
                return False  # the next writes need it more
            self._ballast.write_bytes(b"\0" * BALLAST_BYTES)
        except OSError:
            with contextlib.suppress(OSError):
                self._ballast.unlink(missing_ok=True)
            return False
        return True


def _holds(log: Path, pages: int) -> bool:
    """Whether so many pages stand in the log: each written since it last began anew bears the salt of the log's head.

    The bytes are those of sqlite.org/fileformat2.html#walformat; SQLite itself tells nobody how long its log is. Its
    locks are on other files: closing this one lets go of none.
    """
    try:
        with log.open("rb", buffering=0) as file:
            head = file.read(_HEAD)
            file.seek(_HEAD + (pages - 1) * (_BEFORE_PAGE + int.from_bytes(head[8:12])))
            return file.read(_BEFORE_PAGE)[8:16] == head[16:24] != b""
    except OSError:
        return False  # it is checkpointed all the same, by a COMMIT


def _tell(group: list[_Waiting], when: str) -> None:
    for waiting in group:
        FAILPOINT(f"{waiting.name}.{when}")


def _roll_back(connection: sqlite3.Connection) -> None:
    # SQLITE_FULL has rolled back by itself already.
    if connection.in_transaction:
        connection.execute("rollback")
