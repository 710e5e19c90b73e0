"""The list of all calls that a simulated vendor got, with what each took from the quota."""

from collections import deque
from dataclasses import dataclass
from datetime import datetime
from typing import Any

KEPT = 200_000


@dataclass(slots=True)
class Entry:
    """One call.

    `status` is None when the client got no answer; `executed` says whether the call took effect all the same.
    """

    n: int
    at: datetime
    method: str
    path: str
    query: str
    status: int | None = None
    cost: int = 0
    fault: str | None = None
    executed: bool = False

    def view(self) -> dict[str, Any]:
        """The entry as the control API shows it; times are ISO 8601, UTC."""
        return {
            "n": self.n,
            "at": self.at.isoformat(),
            "method": self.method,
            "path": self.path,
            "query": self.query,
            "status": self.status,
            "cost": self.cost,
            "fault": self.fault,
            "executed": self.executed,
        }


class Ledger:
    """Numbers calls from 1 on, for the life of the server.

    Keeps the newest 200,000 of them and the totals since the last `clear`.
    """

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque(maxlen=KEPT)
        self._last = 0
        self._before = 0
        self._cost = 0

    def open(self, at: datetime, method: str, path: str, query: str) -> Entry:
        """Write down that a call has come in."""
        self._last += 1
        entry = Entry(self._last, at, method, path, query)
        self._entries.append(entry)
        return entry

    def charge(self, entry: Entry, cost: int) -> None:
        """Write down what the call took from the quota."""
        entry.cost += cost
        self._cost += cost

    def view(self, since: int = 0) -> list[dict[str, Any]]:
        """The calls with a number above `since`, oldest first."""
        return [entry.view() for entry in self._entries if entry.n > since]

    def totals(self) -> dict[str, int]:
        """Calls and quota cost since the last `clear`."""
        return {"calls": self._last - self._before, "cost": self._cost}

    def clear(self) -> None:
        """Forget the calls and begin the totals anew; the numbers go on."""
        self._entries.clear()
        self._before = self._last
        self._cost = 0
