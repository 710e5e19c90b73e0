"""How Marketo is spoken to: a token for all threads, an envelope round every answer, its codes told by recovery.

Marketo answers nearly everything with HTTP 200; what went wrong stands inside. Source: marketing_automation.md 1.1-1.3.
"""

import threading
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final, TypeVar
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from msgspec import Struct

from syncagent.clock import SystemClock, monotonic
from syncagent.config import Secret
from syncagent.connectors.http import Http, Reply, masked
from syncagent.errors import ConfigError, ConnectorDownError, RetryableError

_RENEW: Final = frozenset({"601", "602"})
_BUSY: Final = {"606": 20.0, "615": 3.0}
_TRANSIENT: Final = frozenset({"502", "604", "608", "611", "614", "713", "719"})
_UNSENT: Final = frozenset({"601", "602", "606", "607", "608", "615"})  # turned away at the door: nothing was done
_CENTRAL: Final = ZoneInfo("America/Chicago")  # where Marketo's day begins
_WINDOW: Final = 20.0  # seconds over which Marketo counts calls
_HELP: Final = {
    "603": "Give the API user's role the access that this needs (Marketo Admin > Users & Roles: Access API).",
    "605": "This is a bug of syncagent.",
    "610": "Check base_url: it is the host of Admin > Web Services > REST API, without /rest.",
    "703": "The feature is not part of this subscription; Marketo's support can turn it on.",
    "1003": "",
    "1006": "Run `syncagent check`: it names the field that Marketo does not have.",
}


class Fault(Struct, frozen=True):
    """One entry of `errors`, or of a record's `reasons`."""

    code: str = ""
    message: str = ""

    def told(self) -> str:
        """Code and message for people, without a full email address."""
        return f"{self.code} {masked(self.message)[:200]}".strip()


class Envelope(Struct, rename="camel"):
    """What stands round every answer."""

    success: bool = False
    errors: tuple[Fault, ...] = ()
    request_id: str = ""


class Status(Struct):
    """What became of one record of a write."""

    id: int = 0
    status: str = ""
    reasons: tuple[Fault, ...] = ()


class Statuses(Envelope):
    """The answer to a write of records."""

    result: tuple[Status, ...] = ()


class _Token(Struct):
    access_token: str
    expires_in: float = 3599


class RefusedCallError(ConnectorDownError):
    """Marketo understood the call and will not do it, now or later; who made it may know what that means.

    `at`: when it said so, by its own clock, where it told.
    """

    def __init__(self, message: str, fault: Fault, at: datetime | None = None) -> None:
        self.fault, self.at = fault, at
        super().__init__(message)


class UnsentError(RetryableError):
    """Marketo turned the call away at the door: certainly nothing was done."""


T = TypeVar("T", bound=Envelope)


class Wire:
    """Calls one Marketo instance. Thread safe. `pace`: at most so many calls in 20 seconds (0: no bound)."""

    def __init__(self, http: Http, client_id: Secret, client_secret: Secret, pace: int) -> None:
        self.http = http
        self._client_id, self._client_secret = client_id, client_secret
        local = urlsplit(http.base_url).scheme == "http"  # plain http is a sandbox on this machine, Http sees to that
        self._pace = 0 if local else pace
        # on one machine, packing and unpacking a page takes longer than sending it
        self._headers = {"Accept-Encoding": "identity"} if local else {}
        self._recent: deque[float] = deque()
        self._closed = threading.Event()
        self._waiting = threading.Lock()
        self._signing_in = threading.Lock()
        self._token = ""
        self._ends = 0.0
        self.logins = 0  # tokens that were fetched, ever

    def call(
        self,
        method: str,
        path: str,
        shape: type[T],
        *,
        params: Mapping[str, str] | None = None,
        json: object = None,
        form: Mapping[str, str] | None = None,
        safe: bool | None = None,
    ) -> tuple[T, datetime]:
        """The answer and the server's time. Raises `RetryableError`, `ConnectorDownError`, `RefusedCallError`."""
        token = self._token if monotonic() < self._ends else self._renew(self._token)
        renewed = False
        while True:
            self._keep_pace()
            headers = {**self._headers, "Authorization": f"Bearer {token}"}
            reply = self.http.call(method, path, params=params, json=json, form=form, headers=headers, safe=safe)
            if not reply.ok:
                raise RefusedCallError(
                    f"{reply.where} answered HTTP {reply.status}. Check base_url, and that nothing stands between.",
                    Fault(str(reply.status)),
                )
            answer = reply.decode(shape)
            if answer.success:
                return answer, _server_time(reply, answer)
            code = answer.errors[0].code if answer.errors else ""
            if code not in _RENEW or renewed:
                raise _failure(reply, answer)
            token, renewed = self._renew(token), True

    def close(self) -> None:
        """Wake up whoever waits, and close the connections."""
        self._closed.set()
        self.http.close()

    def sign_in(self) -> None:
        """Get a token, whether there is one or not: to see whether the credentials hold."""
        self._renew(self._token)

    def _renew(self, old: str) -> str:
        """A token other than `old`; only one thread asks for it, the others wait and take what it got."""
        with self._signing_in:
            if self._token and self._token != old:
                return self._token
            form = {
                "grant_type": "client_credentials",
                "client_id": self._client_id.reveal(),
                "client_secret": self._client_secret.reveal(),
            }
            reply = self.http.call("POST", "/identity/oauth/token", form=form, safe=True, counted=False)
            if reply.status in (404, 405, 410):
                raise RetryableError(f"{reply.where}: what answers there is not Marketo (HTTP {reply.status}).", 60.0)
            if not reply.ok:
                raise ConnectorDownError(
                    f"{self.http.name}: Marketo refused the credentials (HTTP {reply.status}). Compare client_id and"
                    " client_secret with Marketo Admin > LaunchPoint > View Details of the custom service."
                )
            found = reply.decode(_Token)
            self.logins += 1
            self._token, self._ends = found.access_token, monotonic() + max(found.expires_in, 5.0)
            return self._token

    def _keep_pace(self) -> None:
        if not self._pace:
            return
        with self._waiting:
            now = monotonic()
            while self._recent and self._recent[0] <= now - _WINDOW:
                self._recent.popleft()
            if len(self._recent) >= self._pace:
                wait = self._recent[0] + _WINDOW - now
                if SystemClock().wait(self._closed, wait):
                    raise RetryableError(f"{self.http.name}: given up because the agent is stopping.", 1.0)
            self._recent.append(monotonic())


def unsent(error: RetryableError) -> bool:
    """Whether a write that ended so was certainly not carried out."""
    return isinstance(error, UnsentError)


def _failure(reply: Reply, answer: Envelope) -> RetryableError | ConnectorDownError:
    fault = answer.errors[0] if answer.errors else Fault("", "an answer without success and without errors")
    code, told = fault.code, f"{reply.where}: {fault.told()}."
    if code == "607":
        now = _server_time(reply, answer)
        local = now.astimezone(_CENTRAL)
        midnight = datetime.combine(local.date() + timedelta(days=1), datetime.min.time(), _CENTRAL)
        until = midnight.astimezone(UTC)
        return ConnectorDownError(
            f"{reply.where}: the day's API calls of this Marketo instance are spent (607); going on at"
            f" {until:%Y-%m-%d %H:%M} UTC. See Admin > Web Services for who uses them.",
            until,
        )
    if code in _BUSY:
        return UnsentError(f"{told} Marketo asks for fewer calls.", _BUSY[code])
    if code in _RENEW:
        return UnsentError(f"{told} A new token was turned away as well.", 30.0)
    if code in _UNSENT:
        return UnsentError(told, 10.0)
    if code in _TRANSIENT or not code:
        return RetryableError(told, 10.0)
    return RefusedCallError(f"{told} {_HELP.get(code, '')}".rstrip(), fault, _server_time(reply, answer))


def _server_time(reply: Reply, answer: Envelope) -> datetime:
    """By the `Date` header, else by the request id, whose second half is the server's clock (ms, hexadecimal)."""
    if date := reply.date:
        return date
    _, _, stamp = answer.request_id.partition("#")
    try:
        return datetime.fromtimestamp(int(stamp, 16) / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        raise RetryableError(f"{reply.where} told no time of its own.", 30.0) from None


@lru_cache(maxsize=4096)
def moment(text: str) -> datetime:
    """A stamp as Marketo writes it, in any of its forms, aware and in UTC.

    `2023-01-16T23:32:19Z`, `2013-09-26T06:56:35+0000`, `2019-08-14T17:42:04Z+0000`, and without a zone, which is UTC.
    Source: marketing_automation.md 1.4 and 1.5.
    """
    try:
        found = datetime.fromisoformat(text.removesuffix("+0000") if "Z+" in text else text)
    except ValueError:
        raise RetryableError(f"Marketo told a moment that is none: {text[:40]!r}.", 60.0) from None
    if found.tzinfo is UTC:
        return found
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def credentials_problem(error: Exception) -> tuple[str, str]:
    """What a failed sign-in tells the admin: the message, and what helps."""
    if isinstance(error, ConfigError):
        return str(error.problems[0].message), "Put the secret there, then run `syncagent check` again."
    return str(error), "In Marketo: Admin > LaunchPoint > your custom service > View Details."
