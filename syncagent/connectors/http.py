"""The one way to call a vendor: one session, bounded and counted calls, failures told by recovery.

    http = Http("https://example.my.salesforce.com", name="salesforce")
    reply = http.call("GET", "/services/data/v60.0/limits", headers={"Authorization": ...}, safe=True)
    rows = reply.decode(list[Row])

What a connector gets back is an answer that it can read: 2xx, or 3xx/4xx whose meaning only the connector knows (401,
403, 404 ...). All else is a `RetryableError`: no connection, no answer in time, a body that was cut, 429, 5xx, a web
page where data was due. For a write these mean "unknown": it may have been done. Only calls marked `safe` (reads, and
writes that may be repeated) are tried again here; a write comes again through the outbox, which looks first.

Messages name the system, the verb and the path, never a query string, a header or a body: these hold tokens and
people.
"""

import logging
import os
import re
import threading
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http.cookiejar import DefaultCookiePolicy
from importlib.metadata import version
from ipaddress import ip_address
from typing import Final, TypeVar
from urllib.parse import urlsplit

import msgspec
import requests
import tenacity
from msgspec import Struct
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from requests.utils import get_environ_proxies

from syncagent.clock import Clock, SystemClock, monotonic
from syncagent.correlation import spoken_of
from syncagent.errors import ConfigError, ConnectorDownError, Problem, RetryableError

log = logging.getLogger("syncagent.http")

T = TypeVar("T")

Sleep = Callable[[float], bool]
"""Waits so many seconds; True when a stop was heard meanwhile."""

_USER_AGENT: Final = f"syncagent/{version('syncagent')}"
_LONGEST_WAIT: Final = 20.0  # a vendor who asks for more is asked again by the agent, not by a sleeping thread


class BusyError(RetryableError):
    """The vendor asks for fewer calls: nothing was done, and its own waiting time counts."""


class Reply(Struct, frozen=True):
    """An answer as it came: status, headers (names in any case), raw bytes. `where` names the call in messages."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    where: str = ""

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def date(self) -> datetime | None:
        """The server's own time of the answer (header `Date`), UTC; None when it sent none."""
        try:
            return parsedate_to_datetime(self.headers.get("Date", "")).astimezone(UTC)
        except ValueError:
            return None

    def decode(self, type: type[T]) -> T:  # noqa: A002 - the word of msgspec
        """The JSON body as `type`. Raises `RetryableError` when it is something else: a cut or foreign body."""
        try:
            return msgspec.json.decode(self.body, type=type)
        except msgspec.DecodeError as error:
            shape = "a body of another shape" if isinstance(error, msgspec.ValidationError) else "something not JSON"
            raise RetryableError(f"{self.where} answered HTTP {self.status} with {shape}.", after=10) from None


class Budget:
    """Counts calls, and knows how much of the vendor's day is used. Thread safe.

    `calls_per_day` (0: no bound) is what this agent may spend in any 24 hours, counted by the quarter of an hour.
    """

    def __init__(self, name: str, *, calls_per_day: int = 0, clock: Clock | None = None) -> None:
        self.name = name
        self.calls_per_day = calls_per_day
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._made = 0
        self._slots: deque[tuple[int, int]] = deque()  # (quarter of an hour since 1970, calls in it)
        self._seen: deque[int] = deque(maxlen=8)
        self._limit = 0

    def spend(self) -> None:
        """Count one call. Raises `ConnectorDownError` when the agent's own daily allowance is spent."""
        quarter = int(self._clock.now().timestamp()) // 900
        with self._lock:
            spent = self._spent(quarter)
            if self.calls_per_day and spent >= self.calls_per_day:
                first = self._slots[0][0] if self._slots else quarter
                until = datetime.fromtimestamp((first + 97) * 900, UTC)
                raise ConnectorDownError(
                    f"{self.name}: the {self.calls_per_day} calls a day that the config allows are spent;"
                    f" going on at {until:%Y-%m-%d %H:%M} UTC. Raise api_budget.calls_per_day to go on sooner.",
                    until,
                )
            self._made += 1
            if self._slots and self._slots[-1][0] == quarter:
                self._slots[-1] = (quarter, self._slots[-1][1] + 1)
            else:
                self._slots.append((quarter, 1))

    def saw(self, used: int, limit: int) -> None:
        """The vendor said how much of its day is used, by everybody.

        Servers lag behind one another, so the count falls now and then; the largest of the last few is believed.
        """
        with self._lock:
            self._seen.append(used)
            self._limit = limit

    def share(self) -> float:
        """The used share of the day, 0.0 to 1.0 and above: the larger of the vendor's count and our own allowance."""
        quarter = int(self._clock.now().timestamp()) // 900
        with self._lock:
            ours = self._spent(quarter) / self.calls_per_day if self.calls_per_day else 0.0
            org = max(self._seen) / self._limit if self._seen and self._limit else 0.0
        return max(ours, org)

    def calls(self) -> dict[str, int]:
        """{"made": by us since the start, "used": of the vendor's day, "limit": the vendor's day}; 0 is unknown."""
        with self._lock:
            return {"made": self._made, "used": max(self._seen, default=0), "limit": self._limit}

    def _spent(self, quarter: int) -> int:
        while self._slots and self._slots[0][0] <= quarter - 96:
            self._slots.popleft()
        return sum(count for _, count in self._slots)


class Http:
    """Calls one vendor over one session. Thread safe; at most `concurrency` calls are in flight.

    `judge` sees every answer first, and may raise what only the connector can read out of it (a day's limit in a 429).
    `timeout` is (connect, read) in seconds. `tries` bounds safe calls. `sleep` waits between tries and returns True
    when a stop was heard; the default wakes up on `close()`. Close it, or use it as a context manager.
    `secret_path`: the address is a secret, and no message names it.
    Raises `ConfigError` for an address that is no address, or would send tokens over plain HTTP to another machine.
    """

    def __init__(
        self,
        base_url: str,
        *,
        name: str,
        timeout: tuple[float, float] = (3.05, 30.0),
        user_agent: str = _USER_AGENT,
        pool: int = 10,
        concurrency: int = 5,
        tries: int = 4,
        budget: Budget | None = None,
        sleep: Sleep | None = None,
        judge: Callable[["Reply"], None] | None = None,
        secret_path: bool = False,
    ) -> None:
        self.base_url = checked_url(base_url, name)
        self.name = name
        self.timeout = timeout
        self.tries = tries
        self.budget = budget or Budget(name)
        self._judge = judge
        self._secret_path = secret_path
        self._closed = threading.Event()
        self._sleep = sleep or (lambda seconds: SystemClock().wait(self._closed, seconds))
        self._slots = threading.BoundedSemaphore(concurrency)
        self._session = requests.Session()
        # Left to itself, requests reads the environment anew for every call, a tenth of what ingest costs.
        self._session.trust_env = False
        self._session.verify = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True
        self._proxies: dict[str, dict[str, str]] = {}
        self._session.headers["User-Agent"] = user_agent
        # The cookie jar is the one thing that calls would share and change: without it a session may serve threads.
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        adapter = HTTPAdapter(pool_connections=4, pool_maxsize=max(pool, concurrency), max_retries=0)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)

    def __enter__(self) -> "Http":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Wake up whoever waits between tries, and close the connections."""
        self._closed.set()
        self._session.close()

    def call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        json: object = None,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        safe: bool | None = None,
        timeout: tuple[float, float] | None = None,
        counted: bool = True,
    ) -> Reply:
        """One answered call: `path` below the base URL, or a whole URL.

        `json` is encoded by msgspec; `form` goes as a form. `safe` calls (None: GET and HEAD) are tried again when they
        fail. `counted` False spends no budget (a token is no API call). Raises `RetryableError`; `ConnectorDownError`
        when the budget is spent.
        """
        url = path if "://" in path else self.base_url + path
        where = f"{self.name} ({method})" if self._secret_path else f"{self.name} ({method} {urlsplit(url).path})"
        body: bytes | dict[str, str] | None = None
        if form is not None:
            body = dict(form)
        elif json is not None:
            body = msgspec.json.encode(json)
        sent = CaseInsensitiveDict({"Accept": "application/json", **(headers or {})})
        if json is not None:
            sent["Content-Type"] = "application/json"

        def once() -> Reply:
            return self._once(method, url, params, body, sent, where, timeout or self.timeout, counted=counted)

        if not (method in ("GET", "HEAD") if safe is None else safe):
            return once()
        retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(self.tries),
            wait=_wait,
            retry=tenacity.retry_if_exception(lambda e: isinstance(e, RetryableError) and e.after <= _LONGEST_WAIT),
            sleep=lambda seconds: self.pause(seconds, where),
            reraise=True,
        )
        return retrying(once)

    def _proxies_for(self, url: str) -> dict[str, str]:
        """What the environment says of this host (HTTPS_PROXY, NO_PROXY ...), read once."""
        host = urlsplit(url).netloc
        if host not in self._proxies:
            self._proxies[host] = get_environ_proxies(url)
        return self._proxies[host]

    def pause(self, seconds: float, where: str) -> None:
        """Wait; raises `RetryableError` when a stop was heard meanwhile. `where` names what was waited for."""
        if self._sleep(seconds):
            raise RetryableError(f"{where} was given up because the agent is stopping.", after=1)

    def _once(
        self,
        method: str,
        url: str,
        params: Mapping[str, str] | None,
        body: bytes | dict[str, str] | None,
        headers: Mapping[str, str],
        where: str,
        timeout: tuple[float, float],
        *,
        counted: bool,
    ) -> Reply:
        with self._slots:
            if counted:
                self.budget.spend()
            began = monotonic()
            try:
                response = self._session.request(
                    method,
                    url,
                    params=params,
                    data=body,
                    headers=headers,
                    timeout=timeout,
                    allow_redirects=False,
                    proxies=self._proxies_for(url),
                )
                content = response.content
            # Their texts hold the whole URL with its query, so only their kind is told, and no cause is chained.
            except requests.exceptions.ConnectTimeout:
                raise RetryableError(f"{where}: no connection within {timeout[0]:g} seconds.", after=10) from None
            except requests.exceptions.Timeout:
                raise RetryableError(f"{where} gave no answer within {timeout[1]:g} seconds.", after=10) from None
            except requests.exceptions.SSLError:
                raise RetryableError(f"{where}: its certificate was not accepted.", after=60) from None
            except (requests.exceptions.ChunkedEncodingError, requests.exceptions.ContentDecodingError):
                raise RetryableError(f"{where}: the answer was cut off.", after=5) from None
            except requests.exceptions.RequestException as error:
                raise RetryableError(f"{where}: no connection ({_root(error)}).", after=5) from None
        reply = Reply(response.status_code, response.headers, content, where)
        # A poll a minute is no news; what is written for somebody's handoff is.
        level = logging.INFO if any("." in one for one in spoken_of()) else logging.DEBUG
        log.log(level, "%s answered HTTP %d after %.0f ms.", where, reply.status, (monotonic() - began) * 1000)
        if self._judge is not None:
            self._judge(reply)
        _refuse(reply)
        return reply


def _refuse(reply: Reply) -> None:
    """Raise `RetryableError` for answers that no connector needs to read."""
    if reply.status == 429:
        raise BusyError(f"{reply.where} asks for fewer calls (HTTP 429).", after=_retry_after(reply, 10.0))
    kind = reply.headers.get("Content-Type", "").lower()
    page = "html" in kind or (
        "csv" not in kind and reply.body[:200].lstrip()[:9].lower().startswith((b"<html", b"<!doctype"))
    )
    if reply.status >= 500:
        said = "a web page" if page else "an empty body" if not reply.body.strip() else "an error"
        after = _retry_after(reply, 5.0)
        # 503 speaks of the server alone; any other failure may come from what it was sent.
        suspect = reply.status != 503
        told = f"{reply.where} is out of order: HTTP {reply.status} with {said}."
        raise RetryableError(told, after=after, suspect=suspect)
    if page:
        raise RetryableError(
            f"{reply.where} answered HTTP {reply.status} with a web page instead of data."
            " Check the address in the config if this goes on.",
            after=30,
        )
    if reply.status in (301, 302, 303, 307, 308):
        raise RetryableError(
            f"{reply.where} points to another address (HTTP {reply.status}), which is not followed with a token."
            " Check the address in the config.",
            after=60,
        )


def _retry_after(reply: Reply, default: float) -> float:
    """Seconds that the header `Retry-After` asks for (a number or a date), else `default`; at most a day."""
    text = reply.headers.get("Retry-After", "").strip()
    if not text:
        return default
    try:
        seconds = float(text)
    except ValueError:
        try:
            moment = parsedate_to_datetime(text)
        except ValueError:
            return default
        seconds = (moment.astimezone(UTC) - reply.date).total_seconds() if reply.date else default
    return min(max(seconds, 0.5), timedelta(days=1).total_seconds())


_backoff: Final = tenacity.wait_exponential(multiplier=0.3, max=8.0) + tenacity.wait_random(0, 0.2)


def _wait(state: tenacity.RetryCallState) -> float:
    """Growing waits with jitter; as long as the vendor asked for when it asked (429, 503)."""
    error = state.outcome.exception() if state.outcome else None
    asked = error.after if isinstance(error, BusyError) else 0.0
    return max(_backoff(state), asked)


def _root(error: BaseException) -> str:
    """The innermost reason in words without an address, e.g. "Connection refused"."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.strerror:
            return str(seen.strerror)
        seen = seen.__cause__ or seen.__context__
    return type(error).__name__


def checked_url(url: str, name: str) -> str:
    """The address without its trailing slash. Raises `ConfigError` when tokens would not be safe on it."""
    parts = urlsplit(url)
    if parts.username or parts.password or parts.query:
        raise ConfigError([Problem(name, "The address must not hold a password or a query.")])
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(
            [Problem(name, f"{url!r} is not an address.", "Write it like https://example.my.salesforce.com.")]
        )
    if parts.scheme == "http" and not _loopback(parts.hostname):
        raise ConfigError(
            [Problem(name, f"{url} would send tokens unencrypted.", "Write https:// instead of http://.")]
        )
    return url.rstrip("/")


def _loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


_EMAIL: Final = re.compile(r"([\w.+'-])[\w.+'-]*@([\w-]+(?:\.[\w-]+)+)")


def masked(text: str) -> str:
    """A vendor's text without full email addresses: "a***@example.com"."""
    return _EMAIL.sub(r"\1***@\2", text)
