"""Who may see the pages: somebody at this machine, somebody with the token, or whom a trusted proxy names.

Nothing here knows of HTTP servers: a request's head comes in, a `Visitor` or a `Refusal` goes out.
"""

import hashlib
import hmac
import re
import secrets
import threading
from collections import deque
from collections.abc import Callable, Mapping
from ipaddress import ip_address, ip_network
from typing import Final

from msgspec import Struct

from syncagent.clock import monotonic
from syncagent.config import PagesTable
from syncagent.errors import ConfigError

COOKIE: Final = "syncagent"
_LASTS: Final = 12 * 3600.0
_MOST_SESSIONS: Final = 1000
_MOST_FAILURES, _WITHIN = 10, 60.0
_HERE: Final = frozenset(("localhost", "127.0.0.1", "[::1]"))
_RELAYED: Final = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via")
_SESSION: Final = re.compile(rf"(?:^|;\s*)({COOKIE}-\d+)=([A-Za-z0-9_-]{{32}})(?=;|$)")
_HOST: Final = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d{1,5})?", re.IGNORECASE)


class Visitor(Struct, frozen=True):
    """Somebody who may come in. `session`: of their browser, new or known; `name`: as the proxy tells it.

    `port`: where we listen; a browser keeps one cookie of a name for all ports of a host, so ours has its own name.
    """

    session: str
    name: str = ""
    fresh: bool = False
    secure: bool = False
    port: int = 0


class Refusal(Struct, frozen=True):
    """Why somebody may not. `login`: they may try to sign in."""

    status: int
    why: str
    login: bool = False


class Head(Struct, frozen=True):
    """What is known of a request before its body: headers by lower-case name, where it came from, our own port."""

    headers: Mapping[str, str]
    peer: str
    port: int = 0


class Entry:
    """Decides who comes in. Safe to share between threads. `local`: the listener is on a loopback address."""

    def __init__(self, table: PagesTable, *, local: bool, reveal: Callable[[], str] | None = None) -> None:
        self._table = table
        self._local = local
        self._reveal = reveal or (table.token.reveal if table.token is not None else None)
        self._key = secrets.token_bytes(32)
        self._sessions: dict[str, float] = {}
        self._failures: deque[float] = deque(maxlen=_MOST_FAILURES)
        self._lock = threading.Lock()

    @property
    def asks_for_token(self) -> bool:
        """Whether there is a token to sign in with."""
        return self._reveal is not None

    def host(self, head: Head) -> Refusal | None:
        """Whether the pages may be asked for by this name: else a foreign page could have its own name point here."""
        found = _HOST.fullmatch(head.headers.get("host", ""))
        name = found[1].lower() if found else ""
        if name in _HERE or name in {one.lower() for one in self._table.hosts}:
            return None
        if found and not self._local and not self._table.hosts and self._guarded:
            return None  # somewhere else needs a token or a proxy, which a foreign page has not
        return Refusal(421, "These pages are not served under this name. Name it in [pages] hosts, if it is yours.")

    def visitor(self, head: Head) -> Visitor | Refusal:
        """Who this is, or why they may not come in."""
        session = _cookie(head)
        proxy = self._table.proxy
        if proxy is not None and _is_within(head.peer, proxy.trusted):
            name = head.headers.get(proxy.header.lower(), "").strip()
            secure = head.headers.get("x-forwarded-proto", "") == "https"
            if name:
                return _with_session(head, session, name[:200], secure=secure)
            if not self.asks_for_token:
                return Refusal(403, "The proxy did not say who you are: sign in there first.")
        if self.asks_for_token:
            if session and self._is_signed_in(session):
                return Visitor(session, port=head.port)
            return Refusal(401, "Sign in first.", login=True)
        if proxy is not None:
            return Refusal(403, "These pages are reached through the proxy that [pages.proxy] names.")
        if not self._local or not _is_loopback(head.peer):
            return Refusal(403, "The pages are closed here: give [pages] a token, or a proxy that signs people in.")
        if any(name in head.headers for name in _RELAYED):
            why = "This request came through a proxy, so it may be anybody's: give [pages] a token, or name the proxy."
            return Refusal(403, why)
        return _with_session(head, session)

    def stranger(self, head: Head) -> Visitor:
        """Somebody who is about to sign in: their browser gets a session that opens nothing yet."""
        return _with_session(head, _cookie(head))

    def sign_in(self, given: str) -> str | Refusal:
        """A new session for whoever knows the token. Whoever tries too often waits a minute."""
        now = monotonic()
        with self._lock:
            if len(self._failures) == _MOST_FAILURES and now - self._failures[0] < _WITHIN:
                return Refusal(429, "Too many wrong tokens: wait a minute, then try again.", login=True)
            try:
                token = self._reveal() if self._reveal is not None else ""
            except ConfigError:
                return Refusal(503, "The token cannot be read where [pages] says: see the log of `syncagent check`.")
            if not token or not hmac.compare_digest(_hash(token), _hash(given)):
                self._failures.append(now)
                return Refusal(401, "That is not the token.", login=True)
            self._sessions = {one: until for one, until in self._sessions.items() if until > now}
            while len(self._sessions) >= _MOST_SESSIONS:
                del self._sessions[next(iter(self._sessions))]
            session = secrets.token_urlsafe(24)
            self._sessions[session] = now + _LASTS
        return session

    def sign_out(self, session: str) -> None:
        """This session opens nothing any more."""
        with self._lock:
            self._sessions.pop(session, None)

    def form_token(self, session: str) -> str:
        """What every form of this session carries: no other site can know it."""
        return hmac.new(self._key, session.encode(), hashlib.sha256).hexdigest()

    def form(self, head: Head, session: str, given: str) -> Refusal | None:
        """Whether a form that was sent is one of ours."""
        origin, site = head.headers.get("origin", ""), head.headers.get("sec-fetch-site", "same-origin")
        foreign = bool(origin) and origin.partition("://")[2].lower() != head.headers.get("host", "").lower()
        known = hmac.compare_digest(self.form_token(session).encode(), given.encode(errors="replace"))
        if foreign or site not in ("same-origin", "none") or not known:
            return Refusal(403, "This form was not ours, or it is too old: load the page again and send it once more.")
        return None

    @property
    def _guarded(self) -> bool:
        return self.asks_for_token or self._table.proxy is not None

    def _is_signed_in(self, session: str) -> bool:
        with self._lock:
            return self._sessions.get(session, 0.0) > monotonic()


def cookie_of(visitor: Visitor) -> str:
    """The header that gives a browser its session: kept from scripts and from other sites."""
    kept = f"{COOKIE}-{visitor.port}={visitor.session}; Path=/; HttpOnly; SameSite=Strict"
    return f"{kept}; Secure" if visitor.secure else kept


def _with_session(head: Head, session: str, name: str = "", *, secure: bool = False) -> Visitor:
    return Visitor(session or secrets.token_urlsafe(24), name, not session, secure, head.port)


def _cookie(head: Head) -> str:
    found: dict[str, str] = dict(_SESSION.findall(head.headers.get("cookie", "")))
    return found.get(f"{COOKIE}-{head.port}", "")


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode(errors="surrogatepass")).digest()


def _is_loopback(peer: str) -> bool:
    try:
        return ip_address(peer).is_loopback
    except ValueError:
        return False


def _is_within(peer: str, networks: tuple[str, ...]) -> bool:
    try:
        return any(ip_address(peer) in ip_network(one) for one in networks)
    except ValueError:
        return False
