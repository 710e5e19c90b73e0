"""State: one SQLite file behind the `Store` contract."""

import os

from syncagent.clock import Clock
from syncagent.model.address import AddressRules
from syncagent.state.backup import restore
from syncagent.state.schema import sqlite_version
from syncagent.state.sqlite import SqliteStore

__all__ = ["SqliteStore", "open_store", "restore", "sqlite_version"]


def open_store(
    path: str | os.PathLike[str],
    *,
    read_only: bool = False,
    clock: Clock | None = None,
    addresses: AddressRules | None = None,
) -> SqliteStore:
    """Open the state file, making or migrating it; read only: beside a running agent, without its lock.

    `addresses` says which email addresses mean one person.

    Raises `AgentRunningError` (names the process), `StoreBrokenError` (damaged, or from a newer version),
    `StoreFullError`, and `UserError` when there is nothing to read.
    """
    return SqliteStore(path, read_only=read_only, clock=clock, addresses=addresses)
