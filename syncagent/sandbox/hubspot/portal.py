"""The state of one portal: records with their histories, unique keys, associations, owners, pipelines, settings."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, Final

from syncagent.sandbox.clock import SandboxClock
from syncagent.sandbox.hubspot.index import Index
from syncagent.sandbox.hubspot.refusal import RefusedError, missing_scopes, not_found
from syncagent.sandbox.hubspot.schema import Kind, Property, kinds
from syncagent.sandbox.hubspot.tracks import Tracks
from syncagent.sandbox.hubspot.values import wire

FIRST_ID: Final = 20_101


@dataclass(slots=True)
class Settings:
    """What an admin, or the test, may set (the control API's `settings`).

    Where the documents are silent or at odds there is a switch, and its default is the harsher reading.
    """

    portal_id: int = 62515
    app_id: int = 54321
    time_zone: str = "UTC"  # the daily quota begins anew at its midnight
    limits_clock: str = "real"  # the windows go by "real" time, by "sandbox" time, or are "off"
    burst_limit: int = 100  # in ten seconds, for the private app
    oauth_burst_limit: int = 110
    search_limit: int = 5  # in one second
    daily_limit: int = 250_000
    retry_after: bool = False  # whether a 429 says how long
    index_lag_min: float = 2.0  # seconds until a write is found by search, between these two
    index_lag_max: float = 30.0
    shuffle: bool = True  # results of a batch come in any order
    traces_in_results: bool = True  # whether a result of a batch bears its objectWriteTraceId
    association_page: int = 500  # how many associations of a record come at once
    sparse_errors: bool = True  # errors of a 207 have only the keys of the official example
    unique_task_properties: str = "yes"  # or "refused" (400), or "ignored": made, but not unique
    unknown_task_properties: str = "refused"  # or "ignored"
    lifecycle_backwards: str = "kept"  # the old stage stays without a word; or "refused"
    archived_owner: str = "refused"  # or "accepted"
    archived_keys: str = "freed"  # a unique value of an archived record may be used again; or "held"
    merge_id: str = "new"  # a merged contact gets a "new" id, or keeps the "primary" one
    won_makes_customer: bool = False  # a deal won moves its contacts to the stage customer
    sales_hub: bool = True  # without it there are no leads: the scope for them cannot be had
    page_events: bool = True  # whether the portal has the page events of Enterprise
    conversion_ids: bool = True  # whether a form submission tells its conversionId


_CHOICES: Final = {
    "limits_clock": ("real", "sandbox", "off"),
    "unique_task_properties": ("yes", "refused", "ignored"),
    "unknown_task_properties": ("refused", "ignored"),
    "lifecycle_backwards": ("kept", "refused"),
    "archived_owner": ("refused", "accepted"),
    "archived_keys": ("freed", "held"),
    "merge_id": ("new", "primary"),
}


@dataclass(frozen=True, slots=True)
class Actor:
    """Who changes something, as the history will tell."""

    source: str
    source_id: str = ""
    label: str = ""
    user: int | None = None


@dataclass(slots=True)
class Change:
    """One entry of a property's history."""

    value: str
    at: datetime
    actor: Actor

    def view(self) -> dict[str, Any]:
        """As propertiesWithHistory shows it (crm.md B10)."""
        told: dict[str, Any] = {"value": self.value, "timestamp": wire(self.at), "sourceType": self.actor.source}
        if self.actor.source_id:
            told["sourceId"] = self.actor.source_id
        if self.actor.label:
            told["sourceLabel"] = self.actor.label
        if self.actor.user is not None:
            told["updatedByUserId"] = self.actor.user
        return told


@dataclass(slots=True)
class Record:
    """One record; `history` has the newest change first; `survivor` is the id that a merge left."""

    id: str
    kind: Kind
    created: datetime
    updated: datetime
    values: dict[str, str] = field(default_factory=dict)
    history: dict[str, list[Change]] = field(default_factory=dict)
    archived_at: datetime | None = None
    survivor: str | None = None
    trace: str | None = None

    def computed(self) -> dict[str, str]:
        """The values that HubSpot keeps itself."""
        return {
            "hs_object_id": self.id,
            self.kind.created: wire(self.created),
            self.kind.modified: wire(self.updated),
        }

    def all_values(self) -> dict[str, str]:
        """Every value that is set."""
        return {name: value for name, value in self.values.items() if value} | self.computed()


@dataclass(slots=True)
class Owner:
    """Somebody who may own records; `user` is the id of the user, another number."""

    id: str
    email: str
    first: str
    last: str
    user: int
    created: datetime
    archived: bool = False
    kind: str = "PERSON"

    def view(self) -> dict[str, Any]:
        """As /crm/v3/owners shows it (crm.md B9)."""
        return {
            "id": self.id,
            "email": self.email,
            "type": self.kind,
            "firstName": self.first,
            "lastName": self.last,
            "userId": None if self.archived else self.user,
            "userIdIncludingInactive": self.user,
            "createdAt": wire(self.created),
            "updatedAt": wire(self.created),
            "archived": self.archived,
            "teams": [],
        }


Listener = Callable[[str, Record, dict[str, Any]], None]


class Portal:
    """Everything that the portal holds; moments are the sandbox clock's, cut to milliseconds."""

    def __init__(self, clock: SandboxClock) -> None:
        self.clock = clock
        self.settings = Settings()
        self.dice = random.Random(11)
        self.kinds = kinds()
        self.records: dict[str, dict[str, Record]] = {name: {} for name in self.kinds}
        self.links: dict[tuple[str, str], dict[tuple[str, str], set[int]]] = {}
        self.owners: dict[str, Owner] = {}
        self.pipelines: dict[str, list[dict[str, Any]]] = {}
        self.index = Index()
        self.tracks = Tracks()
        self.rules: dict[str, dict[str, Any]] = {}
        self.listeners: list[Listener] = []
        self._keys: dict[tuple[str, str], dict[str, str]] = {}
        self._last_ids: dict[str, int] = {}

    def now(self) -> datetime:
        """The present moment, to the millisecond."""
        moment = self.clock.now()
        return moment.replace(microsecond=moment.microsecond // 1000 * 1000)

    def next_id(self, kind: Kind) -> str:
        """A fresh record id; greater ones are younger. A contact and a task may well have the same one."""
        last = self._last_ids.get(kind.plural, FIRST_ID - 1) + 1
        self._last_ids[kind.plural] = last
        return str(last)

    def integration(self) -> Actor:
        """The app that speaks over the API."""
        return Actor("INTEGRATION", str(self.settings.app_id), "syncagent sandbox app")

    def kind(self, name: str) -> Kind:
        """The object type of that name, singular or plural, or type id; RefusedError 400 otherwise."""
        for kind in self.kinds.values():
            if name in kind.names():
                if kind.plural == "leads" and not self.settings.sales_hub:
                    raise missing_scopes("crm.objects.leads.read")
                return kind
        raise RefusedError(400, "VALIDATION_ERROR", f"Unable to infer object type from: {name}")

    def get(self, kind: Kind, ident: str) -> Record | None:
        """The record of that id, archived or not; a merged one answers with the survivor."""
        record = self.records[kind.plural].get(ident)
        while record is not None and record.survivor is not None:
            record = self.records[kind.plural].get(record.survivor)
        return record

    def live(self, kind: Kind, ident: str) -> Record:
        """The record of that id; 404 when there is none or it is archived."""
        record = self.get(kind, ident)
        if record is None or record.archived_at is not None:
            raise not_found(f"Object not found.  objectId are usually numeric. No {kind.singular} {ident}", ident)
        return record

    def by_key(self, kind: Kind, name: str, value: str) -> Record | None:
        """The live record that has this value of a unique property."""
        known = kind.properties.get(name)
        if known is None or not known.unique:
            raise RefusedError(
                400,
                "VALIDATION_ERROR",
                f"Unable to perform update/upsert by non-unique {kind.type_id} property {name} in portal ID "
                f"{self.settings.portal_id}",
            )
        ident = self.holder(kind, known, value)
        record = None if ident is None else self.get(kind, ident)
        return None if record is None or record.archived_at is not None else record

    def holder(self, kind: Kind, known: Property, value: str) -> str | None:
        """The id of the record that holds a unique value."""
        return self._keys.get((kind.plural, known.name), {}).get(_folded(known, value))

    def hold(self, record: Record, known: Property, value: str) -> None:
        """Write down who holds a unique value."""
        if value:
            self._keys.setdefault((record.kind.plural, known.name), {})[_folded(known, value)] = record.id

    def release(self, record: Record, known: Property, value: str) -> None:
        """Let go of a unique value, if this record is the one that holds it."""
        held = self._keys.get((record.kind.plural, known.name), {})
        if held.get(_folded(known, value)) == record.id:
            del held[_folded(known, value)]

    def hold_all(self, record: Record) -> None:
        """Write down who holds all the unique values of a record, and its further addresses."""
        for known, value in _keys(record):
            self.hold(record, known, value)

    def release_all(self, record: Record) -> None:
        """Let go of all of them."""
        for known, value in _keys(record):
            self.release(record, known, value)

    def add(self, record: Record) -> None:
        """Put a new record in."""
        self.records[record.kind.plural][record.id] = record

    def each(self, kind: str) -> Iterator[Record]:
        """All records of a kind that no merge has swallowed."""
        return (record for record in self.records[kind].values() if record.survivor is None)

    def publish(self, record: Record, *, at_once: bool = False) -> None:
        """Send the record as it stands to the search index, where it arrives after the lag."""
        low, high = self.settings.index_lag_min, max(self.settings.index_lag_min, self.settings.index_lag_max)
        lag = 0.0 if at_once else self.dice.uniform(low, high)
        gone = record.archived_at is not None or record.survivor is not None
        self.index.put(
            record.kind.plural, record.id, None if gone else record.all_values(), self.clock.now().timestamp() + lag
        )

    def tell(self, event: str, record: Record, **more: Any) -> None:  # noqa: ANN401  the event's own JSON
        """Tell those who listen (webhooks) that something happened."""
        for listener in self.listeners:
            listener(event, record, more)

    def set(self, wanted: dict[str, Any]) -> None:
        """Change settings; ValueError names what there is."""
        names = {known.name for known in fields(Settings)}
        for name, value in wanted.items():
            if name not in names:
                raise ValueError(f"There is no setting {name!r}; there are {', '.join(sorted(names))}.")
            if name in _CHOICES and value not in _CHOICES[name]:
                raise ValueError(f"The setting {name} is one of {', '.join(_CHOICES[name])}, not {value!r}.")
            if name == "index_lag_max":
                self.settings.index_lag_min = min(self.settings.index_lag_min, float(value))
            setattr(self.settings, name, value)


def _keys(record: Record) -> Iterator[tuple[Property, str]]:
    for known in record.kind.properties.values():
        if known.unique:
            yield known, record.values.get(known.name, "")
    for address in record.values.get("hs_additional_emails", "").split(";"):
        if address:
            yield record.kind.properties["email"], address


def _folded(known: Property, value: str) -> str:
    return value.lower() if known.name == "email" else value
