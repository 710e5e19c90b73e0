"""One process owns the state: an flock on `<file>.lock`, never on the database itself.

Why not the database: closing any other descriptor on a file drops the locks that SQLite holds on it.
"""

import contextlib
import fcntl
import os
from pathlib import Path

from syncagent.errors import AgentRunningError, UserError


class StateLock:
    """Held from construction to `release`; the kernel lets go of it when the process dies.

    Raises `AgentRunningError` that names the owner's process id, `UserError` when its folder cannot take the file.
    """

    def __init__(self, state: Path) -> None:
        self._path = state.with_name(state.name + ".lock")
        try:
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except (FileNotFoundError, NotADirectoryError):
            raise UserError(
                f"There is no folder {state.parent} for the state file {state.name}. Make it with "
                f"`mkdir -p {state.parent}`, or name another place under `state` in [agent] of the config."
            ) from None
        except PermissionError:
            raise UserError(
                f"The state in {state.parent} may not be written by this user. Run as the user who owns it, or name "
                "another place under `state` in [agent] of the config."
            ) from None
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = os.pread(self._fd, 32, 0).decode("ascii", "replace").strip()
            os.close(self._fd)
            who = f"process {owner}" if owner else "another process"
            raise AgentRunningError(
                f"{who[0].upper()}{who[1:]} already works on {state}. Stop it first, or name another state file."
            ) from error
        # On a full disk the number may not fit; the lock itself holds all the same.
        with contextlib.suppress(OSError):
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, f"{os.getpid()}\n".encode("ascii"), 0)

    def release(self) -> None:
        """Let the next one in. The file stays: removing it would let two owners in."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
