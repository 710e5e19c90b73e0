"""The one place that reads the clock. Inside, `now` is an argument; outside, a `Clock` is an object.

`SystemClock` is the real one. `ManualClock` stands still until moved: stories and the demo live a month in seconds.
"""

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Tells the time and waits, so that a stop is heard at once."""

    def now(self) -> datetime:
        """The present moment, aware, UTC."""
        ...

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Wait until `event` is set or `seconds` have passed; True when it was set."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def wait(self, event: threading.Event, seconds: float) -> bool:
        return event.wait(seconds)


class ManualClock:
    """Stands still until `move_to` or `advance`; a wait ends at once, for nobody has time to pass but the mover."""

    def __init__(self, start: datetime) -> None:
        self._now = start.astimezone(UTC)
        self._lock = threading.Lock()

    def now(self) -> datetime:
        with self._lock:
            return self._now

    def wait(self, event: threading.Event, seconds: float) -> bool:
        return event.wait(min(seconds, 0.01))

    def move_to(self, moment: datetime) -> None:
        """Move forward to `moment`; a moment in the past is ignored, for time does not run backwards."""
        with self._lock:
            self._now = max(self._now, moment.astimezone(UTC))

    def advance(self, step: timedelta) -> None:
        """Move forward by `step`."""
        self.move_to(self.now() + step)


def monotonic() -> float:
    """Seconds on a clock that never jumps; only differences mean something."""
    return time.monotonic()
