"""Read-only connections to the file, lent for one read transaction each."""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

from sqlite_utils.utils import sqlite3

from syncagent.errors import UserError

_CACHE_KIB = 16 * 1024  # there are several of them, and a batch is read once

PATIENCE = 10.0
"""So many seconds it waits for a lock of another program."""


class Readers:
    """As many connections as there are readers at a time. Safe to share between threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._idle: list[sqlite3.Connection] = []
        self._guard = threading.Lock()
        self._closed = False

    @contextlib.contextmanager
    def __call__(self) -> Iterator[sqlite3.Connection]:
        """A connection inside one read transaction. Raises `UserError` once they are closed."""
        with self._guard:
            if self._closed:
                raise UserError("The state is closed.")
            connection = self._idle.pop() if self._idle else None
        if connection is None:
            connection = sqlite3.connect(
                f"{self._path.as_uri()}?mode=ro",
                uri=True,
                isolation_level=None,
                check_same_thread=False,
                cached_statements=128,
                timeout=PATIENCE,
            )
            connection.execute(f"pragma cache_size = -{_CACHE_KIB}").close()
        healthy = False
        try:
            connection.execute("begin")
            yield connection
            connection.execute("commit")
            healthy = True
        finally:
            with self._guard:
                keep = healthy and not self._closed
                if keep:
                    self._idle.append(connection)
            if not keep:
                connection.close()

    def close(self) -> None:
        """Close those that are idle; one that is lent is closed when it comes back."""
        with self._guard:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()
