"""What takes long is worked out beside the daemon: in a process of its own, one thing at a time, kept with its time.

A process, for the agent must not share its interpreter with a report that runs for ten seconds; it is nice to others,
and ends when the agent does, however that ends.
"""

import logging
import multiprocessing
import os
import signal
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYetError
from contextlib import suppress
from datetime import datetime
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, Final

from msgspec import Struct

from syncagent.clock import Clock, monotonic
from syncagent.errors import SyncagentError

log = logging.getLogger("syncagent")

KEPT: Final = 24
WAITING: Final = 6
LONGEST: Final = 300.0
_PATIENCE: Final = 0.1
_OLD: Final = 3
_NICE: Final = 5


class Ready(Struct, frozen=True):
    """A result, of when it is, and how many seconds it took. `failed`: why there is none, or no newer one."""

    value: Any
    at: datetime | None
    seconds: float
    failed: str = ""
    busy: bool = False


class Prepared:
    """Results by name. `close` ends what is under way. `apart` False: what must be asked here, in a thread."""

    def __init__(self, clock: Clock, longest: float = LONGEST, *, apart: bool = True) -> None:
        self._clock, self._longest, self._alone = clock, longest, apart
        self._known: OrderedDict[Hashable, Ready] = OrderedDict()
        self._under_way: dict[Hashable, Future[None]] = {}
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="pages-prepare")
        self._lock = threading.Lock()
        self._process: BaseProcess | None = None
        self._closed = False

    def get(self, name: Hashable, fresh: float, job: Callable[..., Any], *args: object) -> Ready:
        """The newest result of `job(*args)`; older than `fresh` seconds, a newer one is begun meanwhile.

        `value` is None, and `at` too, while there is none yet. One that is much older is waited for a little. Job and
        arguments must be picklable.
        """
        patience = _PATIENCE
        with self._lock:
            known = self._known.get(name)
            now = self._clock.now()
            if known is not None:
                self._known.move_to_end(name)
                age = (now - known.at).total_seconds() if known.at is not None else 0.0
                if known.at is not None and age < fresh:
                    return known
                patience = _PATIENCE if age > _OLD * fresh else 0.0
            future = self._under_way.get(name)
            if future is None and not self._closed:
                if len(self._under_way) >= WAITING:
                    return known or Ready(None, None, 0.0, "Other reports are being worked out; come again soon.")
                future = self._under_way[name] = self._pool.submit(self._work, name, job, args)
        if future is not None:
            with suppress(NotYetError):
                future.result(patience)
        with self._lock:
            known = self._known.get(name) or Ready(None, None, 0.0)
            return Ready(known.value, known.at, known.seconds, known.failed, name in self._under_way)

    def forget(self, name: Hashable) -> None:
        """What is known by this name does not hold any more."""
        with self._lock:
            self._known.pop(name, None)

    def close(self) -> None:
        """Nothing more is begun, and what is under way ends."""
        with self._lock:
            self._closed = True
            if self._process is not None:
                self._process.terminate()
        self._pool.shutdown(cancel_futures=True)

    def _work(self, name: Hashable, job: Callable[..., Any], args: tuple[object, ...]) -> None:
        begun, now = monotonic(), self._clock.now()
        try:
            value, failed = self._apart(job, args) if self._alone else (job(*args), "")
        except Exception as error:
            log.exception("What a page shows could not be worked out; the agent goes on.")
            value, failed = None, f"{type(error).__name__} while it was worked out."
        with self._lock:
            old = self._known.get(name)
            if failed and old is not None and old.value is not None:
                made = Ready(old.value, old.at, old.seconds, failed)
            else:
                made = Ready(value, now, monotonic() - begun, failed)
            self._known[name] = made
            self._known.move_to_end(name)
            while len(self._known) > KEPT:
                self._known.popitem(last=False)
            self._under_way.pop(name, None)

    def _apart(self, job: Callable[..., Any], args: tuple[object, ...]) -> tuple[Any, str]:
        fresh = multiprocessing.get_context("spawn")  # a fork would take over SQLite's open file and the threads' locks
        here, there = fresh.Pipe(duplex=False)
        process = fresh.Process(target=_run, args=(there, job, args), name="syncagent-report")
        with here:
            with self._lock:
                if self._closed:
                    there.close()
                    return None, "The agent is stopping."
                process.start()
                self._process = process
            there.close()
            try:
                if not here.poll(self._longest):
                    return None, f"It was given up after {self._longest:.0f} seconds."
                told: tuple[Any, str] = here.recv()
            except EOFError:
                return None, "The process that worked it out has ended early: it may have been short of memory."
            finally:
                if process.is_alive():
                    process.join(1.0)
                    process.kill()
                process.join()
                with self._lock:
                    self._process = None
                process.close()
        return told


def _run(pipe: Connection, job: Callable[..., Any], args: tuple[object, ...]) -> None:
    """The life of such a process."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the agent, which ends this one
    os.nice(_NICE)
    try:
        told: tuple[Any, str] = (job(*args), "")
    except SyncagentError as error:
        told = (None, str(error))
    except Exception as error:  # noqa: BLE001 - told to the page, by its kind: its text may name people
        told = (None, f"{type(error).__name__} while it was worked out.")
    pipe.send(told)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
