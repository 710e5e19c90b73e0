"""Every error of syncagent, grouped by what happens next (not by where it came from).

    SyncagentError
    ├── UserError            the person at the keyboard can mend it: shown without a traceback, exit 1
    │   ├── ConfigError      all problems of a config at once, exit 2
    │   └── AgentRunningError another agent holds the state file
    ├── RetryableError       this page or call: try again after `after` seconds
    ├── ConnectorDownError   this whole system: stop using it until `until`, say so, look again later
    ├── ForgedDeliveryError  a webhook whose signature does not fit: 401
    ├── UnreadableDeliveryError  a webhook that is signed but says nothing that can be read: 400
    ├── StoreFullError       no room on the disk: acknowledge nothing, go on by itself once there is room
    └── StoreBrokenError     the state file failed its check: restore a backup

| situation                                         | raise this            |
| ------------------------------------------------- | --------------------- |
| time-out, 5xx, row lock on a whole call, 429      | RetryableError        |
| credentials refused, daily quota spent, 403       | ConnectorDownError    |
| one record of a batch is refused                  | nothing: an `Outcome` |
| the same paging token twice                       | RetryableError        |
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: where it stands, what it is, and what helps.

    `fatal` problems keep the agent from starting; the others are warnings that `check` shows.
    """

    path: str
    message: str
    help: str = ""
    fatal: bool = True

    def __str__(self) -> str:
        where = f"{self.path}: " if self.path else ""
        return f"{where}{self.message}" + (f" {self.help}" if self.help else "")


class SyncagentError(Exception):
    """Whatever syncagent raises on purpose."""


class UserError(SyncagentError):
    """Somebody can mend this now; the message says how."""


class ConfigError(UserError):
    """The config is wrong; `problems` holds all that is wrong, not only the first."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class AgentRunningError(UserError):
    """Another process holds the lock beside the state file."""


class RetryableError(SyncagentError):
    """Try this page or call again, not before `after` seconds.

    `suspect`: what was sent may be the reason, for the system answered, and did not ask for time.
    """

    def __init__(self, message: str, after: float = 5.0, *, suspect: bool = False) -> None:
        self.after = after
        self.suspect = suspect
        super().__init__(message)


class ConnectorDownError(SyncagentError):
    """Stop using this system until `until` (UTC; None: look again every few minutes) and tell the admin."""

    def __init__(self, message: str, until: datetime | None = None) -> None:
        self.until = until
        super().__init__(message)


class ForgedDeliveryError(SyncagentError):
    """A webhook delivery whose signature or secret does not fit."""


class UnreadableDeliveryError(SyncagentError):
    """A webhook delivery whose signature fits, and whose body is not what its dialect sends; the message says why."""


class StoreFullError(SyncagentError):
    """The disk is full: nothing was stored and nothing may be acknowledged."""


class StoreBrokenError(UserError):
    """The state file is damaged or from a newer version."""
