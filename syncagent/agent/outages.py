"""What cannot be used at present, until when and why. The next try comes by itself; each failure in a row waits longer.

Errors are told apart by what happens next: `RetryableError` stops only what failed (reading or writing);
`ConnectorDownError` and `ConfigError` stop the whole system; anything else is a mistake of ours: it is logged with its
trace, shown as broken, and stops only what failed. Known to `status` as settings "down/SYSTEM" and "down/SYSTEM/PART".
"""

import json
import logging
from contextlib import suppress
from datetime import datetime, timedelta
from threading import RLock

from msgspec import Struct

from syncagent.clock import Clock
from syncagent.errors import ConfigError, ConnectorDownError, RetryableError, StoreBrokenError, StoreFullError
from syncagent.reports.standing import NOT
from syncagent.state.store import Store

log = logging.getLogger("syncagent")

ALL, READING, UNPACKING, WRITING, DECIDING = "", "reading", "unpacking", "writing", "deciding"
FIRST, LONGEST = 5.0, 120.0
"""Seconds that the second failure in a row waits at least, doubled with each one more up to the longest."""


class Outage(Struct, frozen=True):
    """One part of one system, after so many failures in a row. `broken`: by a mistake of ours."""

    until: datetime
    why: str
    failures: int
    broken: bool


class Outages:
    """Safe to share between threads. `again`: seconds after which a system is asked again that named no time."""

    def __init__(self, store: Store, clock: Clock, again: float) -> None:
        self._store = store
        self._clock = clock
        self._again = again
        self._known: dict[tuple[str, str], Outage] = {}
        self._silent: set[tuple[str, str]] = set()  # of whom the state is known to say nothing
        self._heard: dict[tuple[str, str], datetime] = {}  # when it was last used well
        self._unheard: dict[tuple[str, str], datetime] = {}  # since when it has not been, though it was tried
        self._lock = RLock()

    def rest(self, name: str, part: str) -> float:
        """Seconds for which this part of the system must be left alone; 0 when it may be used."""
        now, longest = self._clock.now(), 0.0
        with self._lock:
            for each in (ALL, part):
                known = self._known.get((name, each))
                if known is not None and known.until > now:
                    longest = max(longest, (known.until - now).total_seconds())
                elif known is not None:
                    self._say_nothing(name, each)
        return longest

    def over(self, name: str, part: str) -> None:
        """It was used, and all was well: also what an earlier process has said of it is over."""
        now = self._clock.now()
        with self._lock:
            self._heard[name, part] = now
            self._unheard.pop((name, part), None)
            for each in (ALL, part):
                known = self._known.get((name, each))
                if known is None or known.until <= now:  # else another thread has met a failure meanwhile
                    self._known.pop((name, each), None)
                    self._say_nothing(name, each)

    def begin(self, name: str, part: str, error: Exception) -> datetime:
        """It failed: until when it is left alone. Raises what is the state's failure, and nobody else's."""
        if isinstance(error, StoreFullError | StoreBrokenError):
            raise error
        now = self._clock.now()
        with self._lock:
            self._unheard.setdefault((name, part), now)
        if isinstance(error, ConnectorDownError | ConfigError):
            part = ALL
        broken = not isinstance(error, ConnectorDownError | ConfigError | RetryableError)
        why = _mistake(error) if broken else str(error)
        with self._lock:
            known = self._known.get((name, part))
            # Calls that were under way together fail together: that is one failure.
            failures = 1 if known is None else known.failures + (known.until <= now)
            until = self._until(error, failures, now)
            if known is not None:
                until = max(until, known.until)
            self._known[name, part] = Outage(until, why, failures, broken)
            new = known is None or known.why != why
            told = f"{name} is not {NOT[part]} until {until:%Y-%m-%d %H:%M:%S} UTC: {why}"
            log.error("%s", told, exc_info=error if broken and new else None)
            with suppress(StoreFullError):  # the log line has said it; the disk's own alarm says the rest
                text = json.dumps({"until": until.isoformat(), "why": why, "broken": broken})
                self._store.set_meta(_setting(name, part), text)
                self._silent.discard((name, part))
        return until

    def _say_nothing(self, name: str, part: str) -> None:
        if (name, part) not in self._silent:
            if self._store.meta(_setting(name, part)):
                self._store.set_meta(_setting(name, part), "")
            self._silent.add((name, part))

    def _until(self, error: Exception, failures: int, now: datetime) -> datetime:
        grown = min(FIRST * 2 ** (failures - 2), LONGEST) if failures > 1 else 0.0
        match error:
            case ConnectorDownError(until=datetime() as told):
                return max(told, now + timedelta(seconds=grown))
            case ConnectorDownError() | ConfigError():
                return now + timedelta(seconds=self._again)
            case RetryableError(after=after):
                return now + timedelta(seconds=max(after, grown, 0.1))
            case _:
                return now + timedelta(seconds=max(FIRST, grown))

    def heard(self, name: str, part: str) -> datetime | None:
        """When this part of a system was last used well since the start; None: not yet."""
        with self._lock:
            return self._heard.get((name, part))

    def unheard(self, name: str, part: str) -> datetime | None:
        """Since when it has only failed; None: it was not tried, or it worked the last time."""
        with self._lock:
            return self._unheard.get((name, part))

    def troubles(self) -> dict[str, str]:
        """What has failed since it was last used well, and why."""
        with self._lock:
            return {name: one.why for (name, _), one in sorted(self._known.items())}

    def broken(self) -> bool:
        """Whether anything is out by a mistake of ours."""
        with self._lock:
            return any(one.broken for one in self._known.values())


def _setting(name: str, part: str) -> str:
    return f"down/{name}/{part}" if part else f"down/{name}"


def _mistake(error: Exception) -> str:
    """What an admin can do about a mistake of ours."""
    return (
        f"a mistake in syncagent itself ({type(error).__name__}: {str(error)[:200]}). It tries again by itself, and all"
        " else goes on. The log shows where; `syncagent check` may say more; please report both."
    )
