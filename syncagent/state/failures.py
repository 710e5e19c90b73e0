"""SQLite's errors at opening and backup as ours."""

import contextlib
from collections.abc import Iterator

from sqlite_utils.utils import sqlite3

from syncagent.errors import StoreBrokenError, StoreFullError, UserError


@contextlib.contextmanager
def plain_errors() -> Iterator[None]:
    """Raise `StoreFullError`, `StoreBrokenError` or `UserError`, with what helps."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        name = getattr(error, "sqlite_errorname", "") or ""
        if name == "SQLITE_FULL":
            raise StoreFullError("The disk is full. Make room, then try again.") from error
        if name == "SQLITE_READONLY_ROLLBACK":
            raise UserError(
                "The state file was left half written by an agent that was killed. "
                "Start the agent, which takes that back: `syncagent run`."
            ) from error
        if name.startswith("SQLITE_BUSY"):
            raise UserError("Another program keeps the state file locked. End it, then try again.") from error
        raise StoreBrokenError(
            f"The state file cannot be read ({error}). Restore the newest backup: `syncagent restore BACKUP`."
        ) from error
