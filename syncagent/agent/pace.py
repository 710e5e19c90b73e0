"""How many cold plans to make at once: as many as are cheapest, but few while somebody hot may come in between."""

from datetime import datetime, timedelta

from syncagent.model import Lane

HOT_WAITS = 0.02
"""Seconds for which somebody hot may have to wait for a cold batch."""
QUIET = timedelta(seconds=10)
FEWEST = 20


class Pace:
    """Sizes cold batches by what the last ones took. With a clock that stands still they are always whole."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._each = 0.0  # seconds a lead
        self._hot_at: datetime | None = None

    def size(self, now: datetime) -> int:
        """How many to plan next in the cold lane."""
        if self._hot_at is None or now - self._hot_at > QUIET or not self._each:
            return self._most
        return max(min(FEWEST, self._most), min(self._most, int(HOT_WAITS / self._each)))

    def saw(self, lane: Lane, count: int, start: datetime, end: datetime) -> None:
        """A batch of so many took from `start` to `end`."""
        if lane is Lane.HOT:
            self._hot_at = end
            return
        each = max(0.0, (end - start).total_seconds()) / count
        self._each = each if not self._each else 0.7 * self._each + 0.3 * each
