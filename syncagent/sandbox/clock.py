"""The sandbox's own time: real by default, set and moved through the control API.

All vendors of one process share one clock.
"""

from datetime import UTC, datetime, timedelta


class SandboxClock:
    """Aware UTC time.

    `set` stops it at a moment, `advance` moves it on (running or stopped), `real` returns to the machine's clock.
    """

    def __init__(self) -> None:
        self._stopped_at: datetime | None = None
        self._ahead = timedelta()

    def now(self) -> datetime:
        """The present moment in the sandbox."""
        return self._stopped_at if self._stopped_at is not None else datetime.now(UTC) + self._ahead

    def set(self, moment: datetime) -> None:
        """Stop the clock at `moment`; ValueError when it names no time zone."""
        if moment.tzinfo is None:
            msg = f"The moment {moment.isoformat()} has no time zone. Write it as 2026-01-31T09:00:00Z."
            raise ValueError(msg)
        self._stopped_at = moment.astimezone(UTC)

    def advance(self, seconds: float) -> None:
        """Move on by `seconds`; a running clock goes on running from there."""
        step = timedelta(seconds=seconds)
        if self._stopped_at is not None:
            self._stopped_at += step
        else:
            self._ahead += step

    def real(self) -> None:
        """Tell the machine's time again."""
        self._stopped_at = None
        self._ahead = timedelta()

    @property
    def stopped(self) -> bool:
        """Whether time passes only by `set` and `advance`."""
        return self._stopped_at is not None
