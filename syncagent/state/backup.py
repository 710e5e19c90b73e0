"""Backups: a whole copy while running, the check, and the way back.

A restored file takes a new epoch ("e1" -> "e2"), part of every key: what was decided after the backup was taken may
stand in the CRM already, and a key that is used again must never name something else.
"""

import contextlib
import os
import re
import shutil
from pathlib import Path

from sqlite_utils.utils import sqlite3

from syncagent.clock import SystemClock
from syncagent.errors import StoreBrokenError, UserError
from syncagent.model import Event
from syncagent.state import journal
from syncagent.state.lock import StateLock

_HEADER = b"SQLite format 3\0"
_SIDE_FILES = ("-wal", "-shm", "-journal")


def quick_check(path: Path, *, ours: bool = False) -> None:
    """Raise `StoreBrokenError` when the file is damaged.

    `ours`: we hold its lock, and may roll back what a killed process left half done.
    """
    try:
        with contextlib.closing(_open(path, "rw" if ours else "ro")) as db:
            told = db.execute("pragma quick_check(1)").fetchone()[0]
    except sqlite3.DatabaseError as error:
        told = str(error)
    if told != "ok":
        raise StoreBrokenError(
            f"The state file {path} is damaged ({told}). Keep it for inspection, and restore the newest backup: "
            "`syncagent restore BACKUP`."
        )


def write(state: Path, target: Path) -> None:
    """A consistent copy in one file, beside a running writer. It appears under its name only when it is whole."""
    if target.exists():
        raise UserError(f"{target} exists already. Name another file, or move it away.")
    if not target.parent.is_dir():
        raise UserError(f"There is no folder {target.parent}. Make it first, or name a file in another one.")
    if not os.access(target.parent, os.W_OK | os.X_OK):
        raise UserError(f"The folder {target.parent} may not be written by the agent. Name a file in another one.")
    half = target.with_name(target.name + ".part")
    half.unlink(missing_ok=True)
    try:
        with contextlib.closing(_open(state, "ro")) as db:
            db.execute("vacuum into ?", (str(half),))
        half.chmod(0o600)
        quick_check(half)
        _sync(half)
        half.replace(target)
        _sync(target.parent)
    finally:
        half.unlink(missing_ok=True)


def restore(backup: str | os.PathLike[str], state: str | os.PathLike[str]) -> str:
    """Put a backup in the state's place, with a new epoch; the epoch. The old file stays as `<state>.replaced`.

    Raises `UserError` when this is no backup, `StoreBrokenError` when the backup is damaged, `AgentRunningError` while
    an agent works on the state.
    """
    source, target = Path(backup).absolute(), Path(state).absolute()
    if not source.exists():
        raise UserError(f"There is no backup at {source}.")
    _check_backup(source)
    lock = StateLock(target)
    half = target.with_name(target.name + ".part")
    try:
        shutil.copyfile(source, half)
        half.chmod(0o600)
        name, number = _epoch(half)
        epoch = f"{name}e{max(number, _epoch(target)[1]) + 1}"
        with contextlib.closing(_open(half, "rw")) as db:
            db.execute("pragma journal_mode = delete").close()
            db.execute("insert or replace into meta values ('epoch', ?)", (epoch,))
            # What was made since the backup stands in the CRM: nothing is decided before that has been read.
            db.execute("delete from meta where name = 'crm_read'")
            _tell_journal(db, epoch)
        _sync(half)
        _put_aside(target)
        half.replace(target)
        _sync(target.parent)
    finally:
        half.unlink(missing_ok=True)
        lock.release()
    return epoch


def _tell_journal(db: sqlite3.Connection, epoch: str) -> None:
    """Lines that were written after the backup are missing from here on, and others will have their numbers."""
    if not db.execute("select 1 from pragma_table_info('journal') where name = 'hash'").fetchone():
        return  # it is older than the chain, and is sealed when it is opened
    why = f"The state goes on from a backup, as {epoch}: what was decided after the backup is not in it."
    journal.note(db, Event("backup.restored", SystemClock().now(), why), 0)


def _check_backup(path: Path) -> None:
    no_backup = f"{path} is not a backup of syncagent. Name a file that `syncagent backup` wrote."
    try:
        with path.open("rb") as file:
            if file.read(len(_HEADER)) != _HEADER:
                raise UserError(no_backup)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}). Name a file that you may read.") from error
    ours = 0
    try:
        with contextlib.closing(_open(path, "ro")) as db:
            told = db.execute("pragma quick_check(1)").fetchone()[0]
            ours = db.execute("select count(*) from sqlite_master where name in ('meta', 'outbox')").fetchone()[0]
    except sqlite3.DatabaseError as error:
        told = str(error)
    if told != "ok":
        raise StoreBrokenError(
            f"The backup {path} is damaged ({told}); the state is as it was. Restore another one: "
            "`syncagent restore BACKUP`."
        )
    if ours != 2:
        raise UserError(no_backup)


def _put_aside(state: Path) -> None:
    """Keep the old file as `<state>.replaced`, while the state's name never stands for nothing: a kill in between must
    not let an agent begin with an empty file.
    """
    if not state.exists():
        return
    # Closing the last connection folds the log into the file. A damaged one is kept as it is, its log beside it.
    with contextlib.suppress(sqlite3.DatabaseError), contextlib.closing(_open(state, "rw")) as db:
        db.execute("pragma wal_checkpoint(truncate)").close()
    replaced = state.with_name(state.name + ".replaced")
    replaced.unlink(missing_ok=True)
    os.link(state, replaced)
    for suffix in _SIDE_FILES:
        old = state.with_name(state.name + suffix)
        if old.exists():
            old.replace(replaced.with_name(replaced.name + suffix))


def _epoch(path: Path) -> tuple[str, int]:
    """The installation's name and number of a file's epoch ("mf3k2-e1"); 0 where none can be read: a damaged file is
    why one restores.
    """
    if not path.exists():
        return "", 0
    try:
        with contextlib.closing(_open(path, "ro")) as db:
            row = db.execute("select value from meta where name = 'epoch'").fetchone()
    except sqlite3.DatabaseError:
        return "", 0
    found = re.fullmatch(r"(.*)e(\d+)", row[0]) if row else None
    return (found[1], int(found[2])) if found else ("", 0)


def _open(path: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.as_uri()}?mode={mode}", uri=True, isolation_level=None, timeout=10.0)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
