"""One HubSpot portal: the login, its calls, its definitions. Everything here is one or a few API calls; no meaning yet.

Calls to the CRM are spelled by hubspot-api-client: it knows paths, parameters and verbs. They travel through our own
`Http`, because the client's own transport has no timeout, no end when the agent stops, no count, and shows bodies in
its errors; and because it knows only v3, so the path's version is changed here, and nowhere else. Its models are not
used: they would lose what HubSpot adds, and cost more than the call.

Source: crm.md B1, B2, B8, B13.
"""

import logging
import re
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from math import inf
from typing import Any, Final
from zoneinfo import ZoneInfo

from hubspot.crm import objects, owners, pipelines, properties
from hubspot.crm.associations import v4

from syncagent.clock import Clock, SystemClock, monotonic
from syncagent.connectors.http import Budget, BusyError, Http, Reply, Sleep
from syncagent.connectors.hubspot.options import Options
from syncagent.connectors.hubspot.shapes import Owner, Owners, Properties, Property, Row, error_of, json_of
from syncagent.errors import ConnectorDownError, RetryableError

log = logging.getLogger(__name__)

BATCH: Final = 100  # crm.md B4
WITH_HISTORY: Final = 50  # a list's limit with histories; whether a batch has it too, nobody could confirm
_LINKS: Final = 1000  # ids in one read of associations, crm.md B6
_VERSION: Final = re.compile(r"^/crm/v\d+/(\w+)")
_SAFE: Final = ("/batch/read", "/search")
_KEPT: Final = 3600.0  # seconds that owners and definitions are believed
_NO_OWNER_AGAIN: Final = 300.0
_PRIVATE_APP: Final = "/oauth/v2/private-apps/get/access-token-info"
_INTROSPECTION: Final = "/oauth/v3/token/introspect"


class DeniedError(RetryableError):
    """The app may not do this (403, or the portal does not have it): whoever can do without goes on."""


class _Wire:
    """What stands in the place of the client's own transport."""

    def __init__(self, portal: "Portal") -> None:
        self._portal = portal

    def __getattr__(self, verb: str) -> Any:  # noqa: ANN401 - a function, for GET, POST ...
        if not verb.isupper():
            raise AttributeError(verb)

        def call(url: str, *, query_params: Any = None, body: object = None, **_: object) -> Reply:  # noqa: ANN401
            params: dict[str, str] = {}
            for name, value in query_params or ():
                text = str(value).lower() if isinstance(value, bool) else str(value)
                params[name] = f"{params[name]},{text}" if name in params else text  # `properties` is a list
            return self._portal.call(verb, url, params=params, json=body)

        return call


class Portal:
    """Calls one portal. Thread safe."""

    def __init__(
        self, name: str, options: Options, *, clock: Clock | None = None, sleep: Sleep | None = None, in_flight: int = 5
    ) -> None:
        self.name = name
        self.options = options
        self._clock = clock or SystemClock()
        self.budget = Budget(name, calls_per_day=options.api_budget.calls_per_day, clock=self._clock)
        self.http = Http(
            options.base_url,
            name=name,
            concurrency=in_flight,
            budget=self.budget,
            sleep=sleep,
            judge=self._judge,
        )
        self._there: tuple[datetime, datetime] | None = None  # the portal's time, and ours then
        self._token = ""
        self._token_ends: float | None = None
        self._login = threading.Lock()
        self._learning = threading.Lock()
        self._pacing = threading.Lock()
        self._searches: deque[float] = deque()
        self._known: dict[str, tuple[float, Any]] = {}
        self.objects = objects.BasicApi(self._client(objects))
        self.batch = objects.BatchApi(self._client(objects))
        self.searching = objects.SearchApi(self._client(objects))
        self.links = v4.BatchApi(self._client(v4))
        self._owners = owners.OwnersApi(self._client(owners))
        self._pipelines = pipelines.PipelinesApi(self._client(pipelines))
        self._properties = properties.CoreApi(self._client(properties))

    def _client(self, module: Any) -> Any:  # noqa: ANN401 - generated code without types
        configuration = module.Configuration(host="")
        configuration.client_side_validation = False
        client = module.ApiClient(configuration)
        client.rest_client = _Wire(self)
        return client

    def close(self) -> None:
        """Wake up whoever waits, and close the connections."""
        self.http.close()

    def now(self) -> datetime:
        """This machine's time: good for how long something takes, never compared with the portal's stamps."""
        return self._clock.now()

    def there(self) -> datetime:
        """The portal's own time, as far as it was told; this machine's while it has told none."""
        now = self._clock.now()
        return now if self._there is None else self._there[0] + (now - self._there[1])

    # -- the login

    def token(self, stale: str = "") -> str:
        """The access token, another than `stale`. Raises `ConnectorDownError` when there is none."""
        with self._login:
            over = self._token_ends is not None and monotonic() >= self._token_ends
            if not self._token or self._token == stale or over:
                self._token = self._fetch()
            return self._token

    def _fetch(self) -> str:
        options = self.options
        if options.access_token is not None:
            return options.access_token.reveal()
        assert options.refresh_token is not None  # noqa: S101 - Options has seen to it
        form = {"grant_type": "refresh_token", **self._app_login(), "refresh_token": options.refresh_token.reveal()}
        reply = self.http.call("POST", "/oauth/v1/token", form=form, safe=True, counted=False)
        if not reply.ok:
            error = error_of(json_of(reply))
            raise ConnectorDownError(
                f"{self.name}: HubSpot refused to renew the access ({reply.status} {error.category})."
                " Install the app once more, and put the new refresh token where refresh_token points;"
                " then run: syncagent check"
            )
        body = reply.decode(dict[str, Any])
        # Half a minute early: a call may be long on its way. 401 is no reliable sign of the end (crm.md B1).
        self._token_ends = monotonic() + max(float(body.get("expires_in", 1800)) - 30.0, 1.0)
        return str(body["access_token"])

    def _app_login(self) -> dict[str, str]:
        client, secret = self.options.client_id, self.options.client_secret
        assert secret is not None  # noqa: S101 - Options has seen to it
        return {"client_id": client if isinstance(client, str) else client.reveal(), "client_secret": secret.reveal()}

    # -- calls

    def call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        json: object = None,
        safe: bool | None = None,
    ) -> Reply:
        """One call with the token. Returns 2xx and refusals with a reason; what concerns the whole portal is raised.

        Reads, and what only looks like a write, are tried again by `Http`; a 401 has done nothing, so it is repeated
        with a fresh token. Raises `DeniedError` (403), `RetryableError`, `ConnectorDownError`.
        """
        if self.options.api_version != "v3":
            path = _VERSION.sub(rf"/crm/\1/{self.options.api_version}", path)
        safe = path.endswith(_SAFE) if safe is None and method == "POST" else safe
        token = self.token()
        reply = self._send(token, method, path, params, json, safe=safe)
        if reply.status == 401:
            fresh = self.token(stale=token)
            if fresh != token:
                reply = self._send(fresh, method, path, params, json, safe=safe)
        if reply.status == 401:
            raise ConnectorDownError(
                f"{self.name}: HubSpot does not accept the access token ({error_of(json_of(reply)).category or 401})."
                " Copy the token of the private app (Settings > Integrations > Private Apps) to where access_token"
                " points; then run: syncagent check"
            )
        if reply.status == 403:
            error = error_of(json_of(reply))
            raise DeniedError(f"{reply.where} is not allowed ({error.category}): {error.text}", after=60)
        return reply

    def _send(
        self,
        token: str,
        method: str,
        path: str,
        params: Mapping[str, str] | None,
        json: object,
        *,
        safe: bool | None,
    ) -> Reply:
        reply = self.http.call(
            method, path, params=params or None, json=json, headers={"Authorization": f"Bearer {token}"}, safe=safe
        )
        if reply.date is not None:
            self._there = reply.date, self._clock.now()
        limit, left = (reply.headers.get(f"X-HubSpot-RateLimit-Daily{end}", "") for end in ("", "-Remaining"))
        if limit.isdigit() and left.isdigit():
            self.budget.saw(int(limit) - int(left), int(limit))
        return reply

    def _judge(self, reply: Reply) -> None:
        """Raise for answers that ask for a pause; in each of these cases nothing was done (crm.md B2, B8)."""
        if reply.status not in (423, 429, 477):
            return
        body = json_of(reply)
        told = body if isinstance(body, Mapping) else {}
        text, policy = str(told.get("message", "")), str(told.get("policyName", ""))
        wait = reply.headers.get("Retry-After", "")
        asked = float(wait) if re.fullmatch(r"\d{1,6}(\.\d+)?", wait) else 0.0
        if reply.status == 423:
            raise BusyError(f"{reply.where}: the record is locked for a moment.", after=max(asked, 2.0))
        if reply.status == 477:
            until = (reply.date or self._clock.now()) + timedelta(seconds=asked or 3600)
            raise ConnectorDownError(
                f"{self.name}: HubSpot is moving this portal to another data centre;"
                f" asking again at {until:%Y-%m-%d %H:%M} UTC.",
                until,
            )
        if policy == "DAILY" or "daily" in text.lower():
            until = self._midnight(reply.date or self._clock.now())
            raise ConnectorDownError(
                f"{self.name}: the portal's API calls of the day are used up;"
                f" asking again at {until:%Y-%m-%d %H:%M} UTC."
                " Nothing is lost: what is due waits. See Settings > Integrations > API usage for who uses them.",
                until,
            )
        secondly = "secondly" in text.lower() and "ten_secondly" not in text.lower()
        raise BusyError(f"{reply.where} asks for fewer calls (HTTP 429).", after=asked or (1.0 if secondly else 10.0))

    def _midnight(self, now: datetime) -> datetime:
        """When the day begins anew in the portal's zone."""
        zone = ZoneInfo(self.options.timezone)
        tomorrow = now.astimezone(zone).date() + timedelta(days=1)
        return datetime.combine(tomorrow, time(), zone).astimezone(UTC) + timedelta(minutes=1)

    def decoded(self, reply: Reply) -> Any:  # noqa: ANN401 - whatever HubSpot said
        """The body of an answer that had to be 2xx. Raises `RetryableError` with HubSpot's reason otherwise."""
        if not reply.ok:
            error = error_of(json_of(reply), reply.status)
            raise RetryableError(f"{reply.where} was refused: {error.category} {error.text}", after=60)
        return reply.decode(object)

    # -- reads

    def read(
        self,
        kind: str,
        ids: Sequence[str],
        names: Sequence[str],
        *,
        history: Sequence[str] = (),
        by: str = "",
        archived: bool = False,
    ) -> tuple[list[Row], datetime]:
        """The records that there are of these, in no order, and the portal's time before the first read.

        Consistent: what was written before is in (crm.md B7). `by`: the unique property that the ids are of.
        """
        rows: list[Row] = []
        began: datetime | None = None
        for part in chunks(ids, WITH_HISTORY if history else BATCH):
            inputs = [{"id": one} for one in part]
            body: dict[str, Any] = {
                "inputs": inputs,
                "properties": list(names),
                "propertiesWithHistory": list(history),
            }
            if by:
                body["idProperty"] = by
            before = monotonic()
            reply = self.batch.read(kind, body, archived=archived, _preload_content=False)
            began = began or self.at_of(reply, before)
            if reply.status == 404:  # none of them is there
                continue
            rows += self.decoded(reply)["results"]
        return rows, began or self._clock.now().astimezone(UTC)

    def at_of(self, reply: Reply, before: float) -> datetime:
        """The portal's time at which the call began: its stamp is of its end, cut to the second."""
        elapsed = timedelta(seconds=int(monotonic() - before + 0.5))
        return (reply.date or self._clock.now()).astimezone(UTC) - elapsed

    def search(
        self,
        kind: str,
        groups: Sequence[Sequence[Mapping[str, Any]]],
        sort: str,
        names: Sequence[str],
        limit: int = 200,
    ) -> tuple[list[Row], datetime, bool]:
        """What the index knows by `sort` ascending, the portal's time before it was asked, and whether more is behind.

        `groups` of filters: all of one must fit. Rows that the index cannot fill any more (just archived) are skipped:
        only the last page may be empty.
        """
        body: dict[str, Any] = {
            "filterGroups": [{"filters": list(filters)} for filters in groups],
            "sorts": [{"propertyName": sort, "direction": "ASCENDING"}],
            "properties": list(names),
            "limit": limit,
        }
        before, after = monotonic(), ""
        while True:
            self._pace_searches()
            reply = self.searching.do_search(kind, body | ({"after": after} if after else {}), _preload_content=False)
            told = self.decoded(reply)
            at = self.at_of(reply, before)
            following = str(((told.get("paging") or {}).get("next") or {}).get("after") or "")
            if told["results"] or not following:
                return told["results"], at, bool(following)
            if following == after:
                raise RetryableError(f"{self.name}: HubSpot told one page of a search twice.", after=30)
            after = following

    def newest(
        self, kind: str, filters: Sequence[Mapping[str, Any]], sort: str, names: Sequence[str], limit: int = 200
    ) -> tuple[list[Row], datetime, int]:
        """One page by `sort` descending, the portal's time before it was asked, and how many there are in all."""
        sorts = [{"propertyName": sort, "direction": "DESCENDING"}]
        body = {"filterGroups": [{"filters": list(filters)}], "sorts": sorts, "properties": list(names), "limit": limit}
        self._pace_searches()
        before = monotonic()
        reply = self.searching.do_search(kind, body, _preload_content=False)
        told = self.decoded(reply)
        return told["results"], self.at_of(reply, before), int(told["total"])

    def _pace_searches(self) -> None:
        """Wait before a search that HubSpot would refuse: refusals count against the app (crm.md B8)."""
        with self._pacing:
            now = monotonic()
            while self._searches and now - self._searches[0] >= 1.0:
                self._searches.popleft()
            wait = 1.0 - (now - self._searches[0]) if len(self._searches) >= self.options.searches > 0 else 0.0
            self._searches.append(now + wait)
        if wait:
            self.http.pause(wait, f"{self.name}: a search")

    def linked(self, kind: str, ids: Sequence[str], to: str) -> dict[str, list[str]]:
        """What these records are associated with, by their ids; consistent (crm.md B5, B6)."""
        found: dict[str, list[str]] = {}
        for part in chunks(ids, _LINKS):
            inputs: list[dict[str, Any]] = [{"id": one} for one in part]
            while inputs:
                reply = self.links.get_page(kind, to, {"inputs": inputs}, _preload_content=False)
                if reply.status == 404:
                    break
                following = []
                for one in self.decoded(reply)["results"]:
                    ident = str(one["from"]["id"])
                    found.setdefault(ident, []).extend(str(each["toObjectId"]) for each in one["to"])
                    after = ((one.get("paging") or {}).get("next") or {}).get("after")
                    if after and {"id": ident, "after": after} not in inputs:
                        following.append({"id": ident, "after": after})
                inputs = following
        return found

    def pages(self, kind: str, names: Sequence[str], most: int, *, archived: bool = False) -> Iterator[list[Row]]:
        """All records of a kind, or those in the recycle bin, page by page, at most so many pages."""
        after, seen = "", set[str]()
        for _ in range(most):
            more = {"after": after} if after else {}
            reply = self.objects.get_page(
                kind, limit=100, properties=list(names), archived=archived, _preload_content=False, **more
            )
            body = self.decoded(reply)
            yield body["results"]
            after = str(((body.get("paging") or {}).get("next") or {}).get("after") or "")
            if not after:
                return
            if after in seen:
                raise RetryableError(f"{self.name}: HubSpot told one page of {kind} twice.", after=30)
            seen.add(after)

    # -- definitions, believed for an hour

    def once(self, name: str, fetch: Callable[[], Any], *, kept: float = _KEPT) -> Any:  # noqa: ANN401 - whatever it is
        """What `fetch` told within the last hour."""
        with self._learning:
            known = self._known.get(name)
            if known is None or monotonic() - known[0] > kept:
                known = self._known[name] = (monotonic(), fetch())
            return known[1]

    def forget(self, name: str) -> None:
        """Ask anew when it is needed next."""
        with self._learning:
            self._known.pop(name, None)

    def properties(self, kind: str) -> dict[str, Property]:
        """The properties of an object that the app may see."""

        def fetch() -> dict[str, Property]:
            reply = self._properties.get_all(kind, _preload_content=False)
            self.decoded(reply)
            return {one.name: one for one in reply.decode(Properties).results}

        found: dict[str, Property] = self.once(f"properties/{kind}", fetch)
        return found

    def owners(self, *, kept: float = _KEPT) -> dict[str, Owner]:
        """Everybody who owns records or did, by owner id."""

        def fetch() -> dict[str, Owner]:
            found: dict[str, Owner] = {}
            for archived in (True, False):
                after, more = "", True
                while more:
                    rest = {"after": after} if after else {}
                    reply = self._owners.get_page(limit=100, archived=archived, _preload_content=False, **rest)
                    self.decoded(reply)
                    page = reply.decode(Owners)
                    found |= {one.id: one for one in page.results}
                    following = str(((page.paging or {}).get("next") or {}).get("after") or "")
                    more, after = bool(following) and following != after, following
            return found

        known: dict[str, Owner] = self.once("owners", fetch, kept=kept)
        return known

    def owner_of(self, user: int) -> str:
        """The owner id of a user; "" when nobody knows them, also after asking again."""
        for kept in (_KEPT, _NO_OWNER_AGAIN):
            for one in self.owners(kept=kept).values():
                if user in (one.user_id, one.user_id_including_inactive):
                    return one.id
        return ""

    def stages(self, kind: str) -> dict[str, Row]:
        """The stages of all pipelines of "deals" or "leads" by id, each with its label, metadata and pipeline."""

        def fetch() -> dict[str, Row]:
            reply = self._pipelines.get_all(kind, _preload_content=False)
            told = self.decoded(reply)["results"]
            return {stage["id"]: {**stage, "pipeline": one["id"]} for one in told for stage in one["stages"]}

        found: dict[str, Row] = self.once(f"stages/{kind}", fetch)
        return found

    def app(self) -> str:
        """The id of the app that our token belongs to, as histories tell it; "" when HubSpot does not say.

        Whatever it says first is believed for good: our own changes must have one name. Sources: for private apps
        HubSpot's guide to them, for OAuth its token introspection; neither shows the token in an address.
        """
        if self.options.app_id:
            return self.options.app_id

        def fetch() -> str:
            token, options = self.token(), self.options
            try:
                if options.access_token is not None:
                    reply = self.call("POST", _PRIVATE_APP, json={"tokenKey": token}, safe=True)
                else:
                    form = {**self._app_login(), "token": token, "token_type_hint": "access_token"}
                    reply = self.http.call("POST", _INTROSPECTION, form=form, safe=True, counted=False)
            except DeniedError:
                return ""
            body = json_of(reply)
            told = body if reply.ok and isinstance(body, Mapping) else {}
            return str(told.get("appId") or told.get("app_id") or "")

        found: str = self.once("app", fetch, kept=inf)
        return found

    def known_app(self) -> str:
        """The same, without asking: "" while nobody has asked."""
        known = self._known.get("app")
        return self.options.app_id or (known[1] if known is not None else "")


def chunks(values: Sequence[str], size: int = BATCH) -> list[list[str]]:
    """The values, each once, in lists of at most `size`."""
    once = list(dict.fromkeys(values))
    return [once[start : start + size] for start in range(0, len(once), size)]
