"""One Salesforce org: the login, its calls, its queries. Everything here is one or a few API calls; no meaning yet.

Tokens have no stated end: a 401 is the only sign (crm.md A2). Whoever sees one first fetches a new token while the
others wait for it; a call is repeated once with the new token, then the login counts as broken.
"""

import logging
import math
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import quote

import jwt
import msgspec
from msgspec import Struct

from syncagent.clock import Clock, SystemClock, monotonic
from syncagent.connectors.http import Budget, Http, Reply, Sleep, checked_url, masked
from syncagent.connectors.salesforce.options import Options
from syncagent.errors import ConnectorDownError, RetryableError

Row = dict[str, Any]
"""A record as Salesforce tells it."""

log = logging.getLogger(__name__)

_USAGE: Final = re.compile(r"(?:^|[ ,;])api-usage=(\d+)/(\d+)")
_QUOTA_PAUSE: Final = timedelta(minutes=15)  # the allowance is a sliding day: some of it comes back all the time
# Of an encoded IN-list. An address ends at 16,384 bytes (414; with its headers 431: Salesforce's limits page). Nobody
# says whether that holds for the addresses inside a composite call, so each of them keeps to it by itself.
_IN_CHARS: Final = 7_000
_COLUMN: Final = re.compile(r"No such column '[\w.]+' on (?:entity|sobject of type) '?(\w+)'?")
_RELATION: Final = re.compile(r"Didn't understand relationship '(\w+)'")
NEEDED: Final = ("Lead", "Contact", "Task")  # without these there is nothing to do
# In one composite call (crm.md A7). A describe may stand in it too, and counts as none of them: the vendor's page on
# composite lists all sObject resources but blobs.
QUERIES: Final = 5


class Token(Struct, frozen=True):
    """What the login returned. `user` is our own user id, "" when the reply did not tell."""

    value: str
    instance: str
    user: str


class Error(Struct, frozen=True):
    """One error of one call, row or subrequest, in either of Salesforce's two spellings (crm.md A3)."""

    code: str = ""
    text: str = ""
    fields: tuple[str, ...] = ()
    extra: dict[str, Any] = {}


class Sub(Struct, frozen=True):
    """One subrequest of a composite call; `path` is below the version."""

    path: str
    method: str = "GET"
    body: Any = None


class Answer(Struct, frozen=True):
    """The answer to one subrequest."""

    status: int
    body: Any

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def error(self) -> Error:
        return errors(self.body)[0]


class Field(Struct, frozen=True):
    """What `describe` says of a field."""

    name: str
    type: str = "string"
    label: str = ""
    length: int = 0
    createable: bool = False
    updateable: bool = False
    nillable: bool = True
    defaulted: bool = msgspec.field(default=False, name="defaultedOnCreate")
    external: bool = msgspec.field(default=False, name="externalId")
    unique: bool = False
    restricted: bool = msgspec.field(default=False, name="restrictedPicklist")
    values: tuple[dict[str, Any], ...] = msgspec.field(default=(), name="picklistValues")


class Described(Struct, frozen=True):
    """The part of a describe that is read here."""

    fields: tuple[Field, ...]


def errors(body: object) -> list[Error]:
    """The errors in a body; one of its own when the body holds none. Addresses in their texts are masked."""
    given = body if isinstance(body, list) else [body]
    found = [
        Error(
            str(one.get("errorCode") or one.get("statusCode") or one.get("error") or ""),
            masked(" ".join(str(one.get("message") or one.get("error_description") or "").split())),
            tuple(one.get("fields") or ()),
            one,
        )
        for one in given
        if isinstance(one, dict)
    ]
    return found or [Error("UNKNOWN", "Salesforce gave no reason.")]


def chunks(values: Sequence[str], most: int = 200) -> list[list[str]]:
    """The values in lists that fit an address: at most `most`, and short enough once they are encoded."""
    lists: list[list[str]] = []
    room = 0
    for value in values:
        cost = len(quote(value, safe="")) + 9
        if not lists or len(lists[-1]) >= most or cost > room:
            lists.append([])
            room = _IN_CHARS
        lists[-1].append(value)
        room -= cost
    return lists


class Org:
    """Calls one org. Thread safe; `clock` is used for the login and for the agent's own allowance only."""

    def __init__(
        self, name: str, options: Options, *, clock: Clock | None = None, sleep: Sleep | None = None, in_flight: int = 5
    ) -> None:
        self.name = name
        self.options = options
        self._clock = clock or SystemClock()
        self.budget = Budget(name, calls_per_day=options.api_budget.calls_per_day, clock=self._clock)
        self.http = Http(
            options.login_url, name=name, timeout=(3.05, 60.0), concurrency=in_flight, budget=self.budget, sleep=sleep
        )
        self.root = f"/services/data/v{options.api_version}"
        self._token: Token | None = None
        self._login = threading.Lock()
        self._described: dict[str, dict[str, Field]] = {}
        self._told_at: dict[str, float] = {}

    def close(self) -> None:
        """Close the connections."""
        self.http.close()

    def now(self) -> datetime:
        """This machine's time: good for guesses, never compared with the org's stamps."""
        return self._clock.now()

    # -- the login

    def token(self, stale: Token | None = None) -> Token:
        """A token that is not `stale`. Raises `ConnectorDownError` when the login is refused."""
        with self._login:
            if self._token is None or self._token is stale:
                self._token = self._fetch(self._clock.now())
            return self._token

    def _fetch(self, now: datetime, *, again: bool = True) -> Token:
        options = self.options
        client = options.client_id
        form = {"client_id": client if isinstance(client, str) else client.reveal()}
        if options.private_key is not None:
            claims = {
                "iss": form.pop("client_id"),
                "sub": options.username,
                "aud": options.jwt_audience(),
                "exp": int(now.timestamp()) + 180,
            }
            try:
                assertion = jwt.encode(claims, options.private_key.reveal(), algorithm="RS256")
            except (ValueError, TypeError, jwt.PyJWTError):
                raise ConnectorDownError(
                    f"{self.name}: the private key is not an RSA key in PEM form, so Salesforce cannot be logged in to."
                    " Put the key whose certificate the connected app holds where crm.private_key points."
                ) from None
            form |= {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": assertion}
        elif options.client_secret is not None:
            form |= {"grant_type": "client_credentials", "client_secret": options.client_secret.reveal()}
        # Asking for a token twice does no harm, and a token is no API call.
        reply = self.http.call("POST", "/services/oauth2/token", form=form, safe=True, counted=False)
        if not reply.ok:
            there = reply.date
            if again and there is not None and abs((there - now).total_seconds()) > 60:
                return self._fetch(there, again=False)  # this machine's clock is wrong; the assertion needs theirs
            error = errors(_json(reply))[0]
            raise ConnectorDownError(
                f"{self.name}: Salesforce refused the login of the integration user ({error.code}: {error.text})."
                " Check client_id, username and key under [crm], and that the connected app is pre-authorised for"
                " this user; then run: syncagent check"
            )
        body = reply.decode(dict[str, Any])
        instance = self.options.instance_url or str(body.get("instance_url", "")) or self.options.login_url
        return Token(
            str(body["access_token"]), checked_url(instance, self.name), str(body.get("id", "")).rpartition("/")[2]
        )

    # -- calls

    def call(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        headers: Mapping[str, str] | None = None,
        safe: bool | None = None,
    ) -> Reply:
        """One call below the version, logged in. Returns 2xx and 3xx/4xx; 401 and spent allowances are raised."""
        token = self.token()
        reply = self._send(token, method, path, json, headers, safe=safe)
        if reply.status == 401:
            token = self.token(stale=token)
            reply = self._send(token, method, path, json, headers, safe=safe)
        if reply.status == 401:
            raise ConnectorDownError(
                f"{self.name}: Salesforce rejects even a fresh session, so the login is broken. Check that the"
                " integration user is active and may use the API; then run: syncagent check"
            )
        if not reply.ok:
            error = errors(_json(reply))[0]
            self._check_limits(error, reply)
            if path.startswith("/composite") and reply.status in (403, 404, 410):
                raise ConnectorDownError(
                    f"{self.name}: Salesforce does not serve the integration user at all ({error.code}: {error.text})."
                    " Check that the org's API is on, that the user has API Enabled, and crm.api_version;"
                    " then run: syncagent check"
                )
        return reply

    def _send(
        self,
        token: Token,
        method: str,
        path: str,
        json: object,
        headers: Mapping[str, str] | None,
        *,
        safe: bool | None,
    ) -> Reply:
        url = token.instance + (path if path.startswith("/services/") else self.root + path)
        sent = {"Authorization": f"Bearer {token.value}", "Sforce-Call-Options": "client=syncagent", **(headers or {})}
        reply = self.http.call(method, url, json=json, headers=sent, safe=safe)
        if usage := _USAGE.search(reply.headers.get("Sforce-Limit-Info", "")):
            self.budget.saw(int(usage[1]), int(usage[2]))
        return reply

    def _check_limits(self, error: Error, reply: Reply) -> None:
        """Raise when the org allows no more calls: for seconds, or until its sliding day has room (crm.md A11)."""
        if error.code not in ("REQUEST_LIMIT_EXCEEDED", "TXN_SECURITY_METERING_ERROR"):
            return
        if "concurrent" in error.text.lower():
            raise RetryableError(f"{self.name}: too many long calls are running in this org ({error.text}).", after=7)
        until = (reply.date or self._clock.now()) + _QUOTA_PAUSE
        calls = self.budget.calls()
        used = f" ({calls['used']} of {calls['limit']})" if calls["limit"] else ""
        raise ConnectorDownError(
            f"{self.name}: the org has used up its daily API calls{used}; asking again at {until:%Y-%m-%d %H:%M} UTC."
            " Nothing is lost: what is due waits. See Setup > Company Information for who uses them.",
            until,
        )

    def decoded(self, reply: Reply) -> Any:  # noqa: ANN401 - whatever Salesforce said
        """The body of an answer that had to be 2xx. Raises `RetryableError` with Salesforce's reason otherwise."""
        if not reply.ok:
            error = errors(_json(reply))[0]
            raise RetryableError(f"{reply.where} was refused: {error.code} {error.text}", after=60, suspect=True)
        return reply.decode(object)

    def composite(self, subs: Sequence[Sub]) -> tuple[list[Answer], datetime]:
        """Reads in as few calls as may be; answers in order, and the org's time at which the first read began."""
        answers: list[Answer] = []
        began: datetime | None = None
        for start in range(0, len(subs), QUERIES):
            part = subs[start : start + QUERIES]
            requests = [
                {"method": sub.method, "url": sub.path if sub.path.startswith("/services/") else self.root + sub.path,
                 "referenceId": f"r{n}", **({"body": sub.body} if sub.body is not None else {})}
                for n, sub in enumerate(part)
            ]  # fmt: skip
            before = monotonic()
            reply = self.call("POST", "/composite", json={"allOrNone": False, "compositeRequest": requests}, safe=True)
            body = self.decoded(reply)
            # The stamp of an answer is that of its end; what was committed during the call may not be in it.
            there = (reply.date or self._clock.now()) - timedelta(seconds=_whole(monotonic() - before))
            began = there if began is None else min(began, there)
            found = {one["referenceId"]: one for one in body["compositeResponse"]}
            for n in range(len(part)):
                one = found[f"r{n}"]
                answer = Answer(one["httpStatusCode"], one.get("body"))
                if not answer.ok:
                    self._check_limits(answer.error, reply)
                answers.append(answer)
        return answers, began or self._clock.now().astimezone(UTC)

    def pages(
        self, texts: Sequence[Callable[[], str | None]], *, deleted: bool = True
    ) -> Iterator[tuple[list[list[Row]], datetime]]:
        """All rows of these queries, page by page for all of them at once, and when the first read began.

        A query is a function, for after a refused field it is asked for its text again; None: nothing to ask.
        """
        path = "/queryAll?q=" if deleted else "/query?q="
        seen: set[str] = set()
        learnt: set[int] = set()
        asked = [(n, text) for n, text in enumerate(one() for one in texts) if text]
        todo = [(n, Sub(path + quote(text, safe=""))) for n, text in asked]
        began: datetime | None = None
        while todo:
            answers, moment = self.composite([sub for _, sub in todo])
            began = began or moment
            rows: list[list[Row]] = [[] for _ in texts]
            following: list[tuple[int, Sub]] = []
            for (n, _), answer in zip(todo, answers, strict=True):
                if answer.ok:
                    rows[n] = answer.body["records"]
                    if more := answer.body.get("nextRecordsUrl"):
                        if more in seen:
                            raise RetryableError(f"{self.name}: Salesforce told one page of a query twice.", after=30)
                        seen.add(more)
                        following.append((n, Sub(more)))
                elif n not in learnt and self._learn(answer.error):
                    learnt.add(n)
                    if text := texts[n]():
                        following.append((n, Sub(path + quote(text, safe=""))))
                else:
                    error = answer.error
                    told = f"{self.name}: a query was refused: {error.code} {error.text}"
                    raise RetryableError(told, after=60, suspect=True)
            todo = following
            yield rows, began

    def queries(
        self, texts: Sequence[Callable[[], str | None]], *, deleted: bool = True
    ) -> tuple[list[list[Row]], datetime]:
        """All rows of each of these queries, and the org's time at which the first read began."""
        results: list[list[Row]] = [[] for _ in texts]
        began: datetime | None = None
        for rows, moment in self.pages(texts, deleted=deleted):
            began = moment
            for result, more in zip(results, rows, strict=True):
                result += more
        return results, began or self._clock.now().astimezone(UTC)

    # -- what the integration user may see

    def _learn(self, error: Error) -> bool:
        """Whether a refused query is worth asking again without what is not visible; the describe tells which."""
        if error.code == "INVALID_TYPE" and (kind := re.search(r"sObject type '(\w+)'", error.text)):
            if kind[1] in NEEDED:
                raise ConnectorDownError(
                    f"{self.name}: the integration user cannot see the object {kind[1]}. Give it read access to"
                    f" {kind[1]} in its profile or a permission set; then run: syncagent check"
                )
            self._described[kind[1]] = {}
        elif error.code == "INVALID_FIELD" and (kind := _COLUMN.search(error.text)):
            self.forget(kind[1])
            self.describe(kind[1])
        elif error.code == "INVALID_FIELD" and (kind := _RELATION.search(error.text)):
            self._described[kind[1]] = {}
        else:
            return False
        log.warning(
            "%s: the integration user cannot see something of %s, which is left out: %s Run: syncagent check",
            self.name,
            kind[1],
            error.text.rpartition("ERROR at ")[2],
        )
        return True

    def describe(self, kind: str) -> dict[str, Field]:
        """The visible fields of an object, kept for an hour, or until one of them is refused."""
        if kind not in self._described or monotonic() - self._told_at.get(kind, 0.0) > 3600:
            reply = self.call("GET", f"/sobjects/{kind}/describe")
            if not reply.ok:
                error = errors(_json(reply))[0]
                raise RetryableError(f"{self.name}: {kind} cannot be described: {error.code} {error.text}", after=60)
            self._told_at[kind] = monotonic()
            self._described[kind] = {one.name: one for one in reply.decode(Described).fields}
        return self._described[kind]

    def forget(self, kind: str) -> None:
        """Describe the object anew when it is needed next."""
        self._described.pop(kind, None)

    def visible(self, kind: str, name: str) -> bool:
        """False when a describe is at hand and does not show the field; asks nobody."""
        relation, _, field = name.rpartition(".")  # a relation is called like its object, of those that are read here
        known = self._described.get(relation or kind)
        return known is None or field in known


def _whole(elapsed: float) -> int:
    """Seconds to take off a stamp that was cut to the whole second already."""
    return math.ceil(elapsed) if elapsed > 0.5 else 0


def _json(reply: Reply) -> object:
    try:
        return msgspec.json.decode(reply.body)
    except msgspec.DecodeError:
        return None


__all__ = ["NEEDED", "Answer", "Error", "Field", "Org", "Row", "Sub", "chunks", "errors"]
