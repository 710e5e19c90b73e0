"""Marketo Engage over its REST API: activities and leads come in, recycled leads go back to nurturing.

`feed` pulls what happens, `catalog` knows the instance's names, `nurture` gives leads back, `posts` reads webhooks,
`wire` speaks to it.
Our identities are (NAME of the source, "lead", id).

What we change in Marketo are list memberships and campaign requests, never a lead's fields: so no change of a field
that the feed tells is an echo of ours. Source: marketing_automation.md 1.
"""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any

from syncagent.clock import SystemClock
from syncagent.connectors.base import Delivered, Delivery, Reply
from syncagent.connectors.http import Budget, Http
from syncagent.connectors.marketo import posts
from syncagent.connectors.marketo.catalog import Catalog
from syncagent.connectors.marketo.feed import Feed, Place
from syncagent.connectors.marketo.nurture import nurture
from syncagent.connectors.marketo.options import MAX_BATCH, ApiBudget, Options
from syncagent.connectors.marketo.wire import Envelope, RefusedCallError, Wire, credentials_problem, moment
from syncagent.errors import ConfigError, ConnectorDownError, Problem, RetryableError
from syncagent.model import AnyCommand, Cursor, Fact, Identity, Key, Lead, Outcome, Page, Value

__all__ = ["ApiBudget", "Marketo", "Options", "open"]

_UNREACHED = (
    "Nothing can be read until Marketo answers. Compare base_url with Admin > Web Services > REST API (without /rest),"
    " see that this machine may reach it, then run `syncagent check` again."
)
_DENIED = "603"
_RIGHTS = {"lists": "Read-Write Person", "campaigns": "Read-Only Campaign and Execute Campaign"}
_LONG = 100  # ids; a longer list would not fit into an address


class _Leads(Envelope):
    result: tuple[dict[str, Any], ...] = ()


class _Named(Envelope):
    result: tuple[dict[str, Any], ...] = ()


def open(name: str, options: Options) -> "Marketo":  # noqa: A001 - the word of the contract
    """A connector for one instance; no call is made yet. Raises `ConfigError` for an address that is none."""
    return Marketo(name, options)


class Marketo:
    """A Marketo instance as a source, a webhook, and as a target for `Nurture`. Thread safe; `close` it."""

    batch_size = MAX_BATCH

    def __init__(self, name: str, options: Options) -> None:
        self.name = name
        self.options = options
        http = Http(options.base_url, name=name, budget=Budget(name, calls_per_day=options.api_budget.calls_per_day))
        self._wire = Wire(http, options.client_id, options.client_secret, options.pace)
        self._catalog = Catalog(self._wire, options)
        self._feed = Feed(name, self._wire, self._catalog, options)
        self.methods = frozenset(("GET", "POST") if options.hook_secret else ())

    def close(self) -> None:
        """Close the connections."""
        self._wire.close()

    # -- Source

    def begin(self, since: datetime, until: datetime | None = None) -> Cursor:
        """Where to start; what happened in the second of `since` is told. No I/O."""
        return Place(since, until).text()

    def pull(self, cursor: Cursor) -> Iterator[Page]:
        """One round, page by page. Raises `RetryableError`, `ConnectorDownError`."""
        return self._feed.pull(cursor)

    def look(self, identities: Sequence[Identity]) -> Page:
        """These leads as they are now. One that is gone comes as `Deleted` or `Merged` when the feed has told so."""
        facts: list[Fact] = []
        ids = list(dict.fromkeys(one.id for one in identities if one.id.isdigit()))
        for start in range(0, len(ids), MAX_BATCH):
            facts += self._look(ids[start : start + MAX_BATCH])
        found = {fact.identity.id for fact in facts if isinstance(fact, Lead)}
        facts += {self._feed.gone[one]: None for one in ids if one not in found and one in self._feed.gone}
        return Page(tuple(facts), "")

    def calls(self) -> Mapping[str, int]:
        """{"made": by us since the start, "used": of the instance's day by everybody, "limit": as configured}."""
        return self._wire.http.budget.calls()

    def _look(self, ids: Sequence[str]) -> list[Fact]:
        words = self._catalog.words()
        names = dict.fromkeys(["id", "updatedAt", *words.fields.values(), *words.crm_ids])
        asked = {
            "filterType": "id",
            "filterValues": ",".join(ids),
            "fields": ",".join(names),
            "batchSize": str(MAX_BATCH),
        }
        path = "/rest/v1/leads.json"
        try:
            if len(ids) > _LONG:
                get = {"_method": "GET"}
                answer, _ = self._wire.call("POST", path, _Leads, params=get, form=asked, safe=True)
            else:
                answer, _ = self._wire.call("GET", path, _Leads, params=asked)
        except RefusedCallError:
            self._catalog.forget()  # a field may have been removed since it was read
            raise
        return [self._lead(row, words.fields, words.crm_ids) for row in answer.result]

    def _lead(self, row: dict[str, Any], fields: Mapping[str, str], crm_ids: Mapping[str, str]) -> Lead:
        attributes: dict[str, Value] = {ours: row.get(theirs) for ours, theirs in fields.items()}
        also = []
        for theirs, place in crm_ids.items():
            if value := row.get(theirs):
                system, object_name = place.split("/")
                also.append(Identity(system, object_name, str(value)))
        email = attributes.get("email")
        return Lead(
            Identity(self.name, "lead", str(row["id"])),
            moment(str(row["updatedAt"])),
            attributes,
            (str(email).strip(),) if email else (),
            tuple(also),
        )

    # -- Webhook

    @cached_property
    def _hook_secrets(self) -> tuple[str, ...]:
        return (self.options.hook_secret.reveal(),) if self.options.hook_secret else ()

    def verify(self, delivery: Delivery, now: datetime) -> Reply:  # noqa: ARG002 - nothing in it has a moment
        """Whether a flow step's webhook brings the secret and names a lead."""
        return posts.verify(delivery, self._hook_secrets, self.options.hook_header)

    def read(self, delivery: Delivery, arrived: datetime) -> Delivered:  # noqa: ARG002 - it only hints
        """Who is to be looked up."""
        return posts.read(delivery, self.name)

    def renew(self) -> None:
        """What was read of the secret is forgotten."""
        self.__dict__.pop("_hook_secrets", None)

    # -- Target

    def me(self) -> str:
        """Empty: Marketo's answers name no user."""
        return ""

    def apply(self, batch: Sequence[AnyCommand]) -> Iterator[tuple[Key, Outcome]]:
        """Only `Nurture`; everything else is refused."""
        return nurture(self._wire, batch)

    # -- check

    def check(self) -> Sequence[Problem]:
        """Credentials, the mapped types and fields, lists and campaigns, and how much of the day is used."""
        path = f"sources.{self.name}"
        try:
            self._wire.sign_in()
        except (ConnectorDownError, ConfigError) as error:
            message, helps = credentials_problem(error)
            return (Problem(f"{path}.client_secret", message, helps),)
        except RetryableError as error:
            return (Problem(f"{path}.base_url", str(error), _UNREACHED),)
        problems: list[Problem] = []
        for step in (self._check_rights, self._check_names, self._check_nurture, self._check_usage):
            if problems and step == self._check_names:
                break  # a role that may not read them is told once
            try:
                problems += step(path)
            except ConnectorDownError as error:
                problems.append(Problem(path, str(error), "Until this is mended, Marketo cannot be read."))
            except RetryableError as error:  # what could not be asked is not known to be right
                problems.append(Problem(path, str(error), "Run `syncagent check` again in a minute."))
        return tuple(problems)

    def _check_names(self, path: str) -> list[Problem]:
        self._catalog.forget()
        words = self._catalog.words()
        problems = []
        for name in words.unknown_types:
            near = difflib.get_close_matches(name, words.types, n=1, cutoff=0.5)
            hint = f"Did you mean {near[0]}?" if near else f"It has: {', '.join(sorted(words.types)[:40])}."
            problems.append(Problem(f'{path}.activities."{name}"', "Marketo has no activity type of this name.", hint))
        mapped = {theirs: f"fields.{ours}" for ours, theirs in self.options.fields.items()}
        mapped |= {theirs: f"crm_ids.{theirs}" for theirs in self.options.crm_ids}
        for name in words.unknown_fields:
            hint = "Its REST API name stands in Admin > Field Management > Export Field Names."
            problems.append(Problem(f"{path}.{mapped[name]}", f"Marketo has no lead field {name}.", hint))
        if not self.options.activities:
            hint = 'Name at least one, for example activities = { "Fill Out Form" = "form.submitted" }.'
            problems.append(Problem(f"{path}.activities", "No activity type is read, so nobody will be scored.", hint))
        return problems

    def _check_rights(self, path: str) -> list[Problem]:
        """Whether the role may read people and activities; rights to write cannot be seen without writing."""
        problems = []
        now = f"{SystemClock().now():%Y-%m-%dT%H:%M:%SZ}"
        anybody = {"filterType": "id", "filterValues": "1", "fields": "id"}
        for place, params, right in (
            ("leads", anybody, "Read-Only Person"),
            ("activities/pagingtoken", {"sinceDatetime": now}, "Read-Only Activity"),
        ):
            try:
                self._wire.call("GET", f"/rest/v1/{place}.json", Envelope, params=params)
            except RefusedCallError as error:
                if error.fault.code != _DENIED:
                    raise
                problems.append(_denied(path, place.partition("/")[0], right))
        return problems

    def _check_nurture(self, path: str) -> list[Problem]:
        problems = []
        for kind, numbers in (("lists", self.options.lists), ("campaigns", self.options.campaigns)):
            for number in numbers:
                try:
                    answer, _ = self._wire.call("GET", f"/rest/v1/{kind}/{number}.json", _Named)
                except RefusedCallError as error:
                    if error.fault.code == _DENIED:
                        problems.append(_denied(f"{path}.{kind}", kind, _RIGHTS[kind]))
                        break
                    answer, told = _Named(), f" ({error.fault.told()})"
                else:
                    told = ""
                if not answer.result:
                    hint = f"Take its number from the address of the {kind[:-1]} in Marketo."
                    problems.append(Problem(f"{path}.{kind}", f"Marketo has no {kind[:-1]} {number}{told}.", hint))
                elif kind == "campaigns" and not answer.result[0].get("active", True):
                    hint = "Activate it, with the trigger Campaign is Requested by Web Service API."
                    problems.append(Problem(f"{path}.campaigns", f"Campaign {number} is not active.", hint))
        return problems

    def _check_usage(self, path: str) -> list[Problem]:
        used, limit = self._feed.usage()
        if limit and used >= 0.7 * limit:
            message = f"{used} of about {limit} API calls of the day are used."
            hint = "Cold work stops at 70 %. Set api_budget.limit to what Admin > Web Services tells."
            return [Problem(f"{path}.api_budget", message, hint, fatal=False)]
        return []


def _denied(path: str, what: str, right: str) -> Problem:
    hint = f"Give its role {right} (Admin > Users & Roles > Roles > Access API), then run `syncagent check` again."
    return Problem(path, f"Marketo does not let the API user read {what} (603).", hint)
