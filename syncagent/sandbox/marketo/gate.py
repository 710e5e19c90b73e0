"""Who may call, and how often: access tokens, the rate limit, the daily quota, and the tallies of usage and errors.

Source: marketing_automation.md 1.1 (limits), 1.2 (tokens), 1.3 (codes). What ends in an error of the response's own
is counted neither as usage nor against the rate.
"""

import time
import uuid
from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

CENTRAL = ZoneInfo("America/Chicago")
TOKEN_LIFE = 3600

MESSAGES = {
    "502": "Bad Gateway",
    "601": "Access token invalid",
    "602": "Access token expired",
    "603": "Access denied",
    "604": "Request time-out",
    "605": "HTTP Method not supported",
    "606": "Max rate limit '100' exceeded with in '20' secs",
    "607": "Daily quota reached",
    "608": "API Temporarily Unavailable",
    "609": "Invalid JSON",
    "610": "Requested resource not found",
    "611": "System error",
    "612": "Invalid Content Type",
    "613": "Invalid Multipart Request",
    "614": "Invalid Subscription",
    "615": "Concurrent access limit reached",
    "616": "Invalid subscription type",
    "702": "No data found for a given search scenario",
    "703": "The feature is not enabled for the subscription",
    "704": "Invalid date format",
    "709": "Business Rule Violation",
    "713": "Transient Error",
    "719": "Lock wait timeout exception",
    "1003": "Invalid data",
    "1029": "Too many jobs in queue",
}


class RefusedError(Exception):
    """A call ends in an error of the response: HTTP 200, success false."""

    def __init__(self, code: str, message: str = "") -> None:
        self.code = code
        self.message = message or MESSAGES.get(code, "System error")
        super().__init__(f"{self.code} {self.message}")


@dataclass(slots=True)
class Limits:
    """What the gate enforces. `clock` tells the time that measures the rate: "real", "sandbox", or "off" for none.

    The machine's time is the default because a test that moves the sandbox's clock in leaps still calls at a real
    pace.
    """

    window_calls: int = 100
    window_seconds: float = 20.0
    clock: str = "real"
    daily_calls: int = 50_000
    concurrent: int = 10

    def change(self, wanted: dict[str, Any]) -> None:
        """Set some of them; ValueError names what there is."""
        names = self.__slots__
        for name, value in wanted.items():
            if name not in names:
                raise ValueError(f"There is no limit {name!r}. Known are: {', '.join(names)}.")
            setattr(self, name, str(value) if name == "clock" else type(getattr(self, name))(value))
        if self.clock not in {"real", "sandbox", "off"}:
            raise ValueError('The rate limit\'s clock is "real", "sandbox" or "off".')


@dataclass(slots=True)
class Gate:
    """Tokens and tallies of one instance; all moments are passed in as sandbox time."""

    client_id: str = "3f9b7a52-6c1d-4e0a-9b1e-0d5f4f1c2a77"
    client_secret: str = "sandbox-marketo-secret"  # noqa: S105 - invented, and shown to everybody who asks the sandbox
    query_token: bool = False
    limits: Limits = field(default_factory=Limits)
    _token: str = ""
    _expires: float = 0.0
    _ended: dict[str, str] = field(default_factory=dict)
    _recent: deque[float] = field(default_factory=deque)
    _usage: dict[str, int] = field(default_factory=Counter)
    _errors: dict[str, Counter[str]] = field(default_factory=dict)

    def sign_in(self, client_id: str, secret: str, now: datetime) -> dict[str, Any] | None:
        """A token answer, or None for an unknown client: until it expires the same token, with what is left of it."""
        if (client_id, secret) != (self.client_id, self.client_secret):
            return None
        moment = now.timestamp()
        if not self._token or moment >= self._expires:
            if self._token:
                self._ended.setdefault(self._token, "602")
            self._token = f"{uuid.uuid4()}:int"
            self._expires = moment + TOKEN_LIFE
        left = max(0, min(TOKEN_LIFE - 1, int(self._expires - moment)))
        return {"access_token": self._token, "token_type": "bearer", "expires_in": left, "scope": "apis@example.com"}

    def end_token(self, code: str) -> None:
        """From now on the present access token answers with this code (602 expired, 601 invalid)."""
        if self._token:
            self._ended[self._token] = code
            self._token = ""

    def check_token(self, token: str, now: datetime) -> None:
        """Raises 601 or 602 for a token that does not hold."""
        if token in self._ended:
            raise RefusedError(self._ended[token])
        if not token or token != self._token:
            raise RefusedError("601")
        if now.timestamp() >= self._expires:
            raise RefusedError("602")

    def check_limits(self, now: datetime, in_flight: int) -> None:
        """Raises 615, 606 or 607 when there are too many calls at once, in the window, or today."""
        limits = self.limits
        if in_flight > limits.concurrent:
            raise RefusedError("615")
        if limits.clock != "off":
            moment = self._moment(now)
            while self._recent and self._recent[0] <= moment - limits.window_seconds:
                self._recent.popleft()
            if len(self._recent) >= limits.window_calls:
                raise RefusedError(
                    "606", f"Max rate limit '{limits.window_calls}' exceeded with in '{limits.window_seconds:g}' secs"
                )
        if self._usage.get(_day(now), 0) >= limits.daily_calls:
            raise RefusedError("607")

    def count(self, now: datetime) -> None:
        """One call was served."""
        self._usage[_day(now)] = self._usage.get(_day(now), 0) + 1
        if self.limits.clock != "off":
            self._recent.append(self._moment(now))

    def count_error(self, code: str, now: datetime) -> None:
        """One call ended in an error."""
        self._errors.setdefault(_day(now), Counter())[code] += 1

    def _moment(self, now: datetime) -> float:
        return time.monotonic() if self.limits.clock == "real" else now.timestamp()

    def usage(self, now: datetime, days: int) -> list[dict[str, Any]]:
        """The days of stats/usage.json, newest first; a day is one of US Central time."""
        listed = [_day(now)] if days == 1 else sorted({_day(now), *self._usage}, reverse=True)[:days]
        return [
            {
                "date": day,
                "total": self._usage.get(day, 0),
                "users": [{"userId": "apis@example.com", "count": self._usage.get(day, 0)}],
            }
            for day in listed
        ]

    def errors(self, now: datetime, days: int) -> list[dict[str, Any]]:
        """The days of stats/errors.json, newest first."""
        listed = [_day(now)] if days == 1 else sorted({_day(now), *self._errors}, reverse=True)[:days]
        shown = []
        for day in listed:
            tally = self._errors.get(day, Counter())
            shown.append(
                {
                    "date": day,
                    "total": tally.total(),
                    "errors": [{"errorCode": code, "count": count} for code, count in tally.items()],
                }
            )
        return shown


def _day(now: datetime) -> str:
    return now.astimezone(CENTRAL).date().isoformat()
