"""What the portal holds at the start, how records are seeded, and how everything is shown.

Seed JSON, all keys optional; the reply has the ids under the same keys. The value "@contacts.0" stands for the id of
the first contact of this seed.

    {"settings": {...}: see portal.Settings,
     "owners": [{"email", "first", "last", "archived"?, "kind"?: "QUEUE", "id"?, "user"?}],
     "properties": {"contacts": [{"name", "type", "fieldType", "groupName"?, "label"?, "options"?, "hasUniqueValue"?}]},
     "pipelines": {"deals": [{"id", "label", "stages": [{"id", "label"?, "closed"?, "won"?, "probability"?}]}]},
     "options": {"contacts.hs_lead_status": ["NEW", {"value", "label"}]},
     "forms": [{"name", "id"?}], "campaigns": [{"name", "subject"?, "id"?}],
     "submissions", "email_events", "page_views": [{...}]: as the acts submit_form, email_event, page_view, with "at",
     "lists": [{"name", "id"?, "objectTypeId"?, "processingType"?, "members"?: ["@contacts.0"]}],
     "contacts", "companies", "deals", "leads", "tasks", "notes", "calls", "emails", "meetings":
         [{property: value, "associate"?: {"contacts": ["@contacts.0"]}}]}

Properties that are read only may be given, also createdate and lastmodifieddate (or hs_ those). Search finds seeded
records at once, and nobody is told of them: the data is older than we.
"""

from typing import Any, Final

from syncagent.sandbox.hubspot import catalog, links, lists, marketing, writes
from syncagent.sandbox.hubspot.portal import Actor, Owner, Portal, Record
from syncagent.sandbox.hubspot.schema import UNLABELLED, options
from syncagent.sandbox.hubspot.values import moment_of, wire

OBJECTS: Final = ("companies", "contacts", "deals", "leads", "tasks", "notes", "calls", "emails", "meetings", "users")
_TRACKS: Final = ("forms", "campaigns", "submissions", "email_events", "page_views", "lists")
_PEOPLE: Final = {
    "rep": ("Ana", "Silva"),
    "second_rep": ("Ben", "Ode"),
    "manager": ("Mia", "Chan"),
}
_DEAL_STAGES: Final[list[dict[str, Any]]] = [
    {"id": "appointmentscheduled", "probability": 0.2},
    {"id": "qualifiedtobuy", "probability": 0.4},
    {"id": "presentationscheduled", "probability": 0.6},
    {"id": "contractsent", "probability": 0.9},
    {"id": "closedwon", "closed": True, "won": True},
    {"id": "closedlost", "closed": True},
]
_LEAD_STAGES: Final[list[dict[str, Any]]] = [
    {"id": "new-stage-id", "label": "New"},
    {"id": "attempting-stage-id", "label": "Attempting"},
    {"id": "connected-stage-id", "label": "Connected"},
    {"id": "qualified-stage-id", "label": "Qualified", "closed": True, "won": True},
    {"id": "unqualified-stage-id", "label": "Disqualified", "closed": True},
]


def found(portal: Portal) -> dict[str, str]:
    """Fill a fresh portal; returns the ids that everybody needs to know."""
    known: dict[str, str] = {}
    for role, (first, last) in _PEOPLE.items():
        owner = seed_owner(portal, {"first": first, "last": last, "email": f"{first}.{last}@example.com".lower()})
        known[f"{role}_owner_id"], known[f"{role}_user_id"] = owner.id, str(owner.user)
    queue = seed_owner(portal, {"first": "Inbound", "last": "", "email": "inbound@example.com", "kind": "QUEUE"})
    known["queue_owner_id"] = queue.id
    portal.pipelines["deals"] = [catalog.pipeline("default", "Sales Pipeline", _DEAL_STAGES)]
    portal.pipelines["leads"] = [catalog.pipeline("lead-pipeline-id", "Lead pipeline", _LEAD_STAGES)]
    return known


def seed(portal: Portal, data: dict[str, Any]) -> dict[str, Any]:
    """Put the seed's records in; ValueError for what it cannot hold."""
    allowed = {"settings", "owners", "properties", "pipelines", "options", *OBJECTS, *_TRACKS}
    if unknown := set(data) - allowed:
        raise ValueError(f"A seed has no {', '.join(sorted(unknown))}; it has {', '.join(sorted(allowed))}.")
    portal.set(data.get("settings", {}))
    made: dict[str, list[str]] = {}
    for each in data.get("owners", []):
        made.setdefault("owners", []).append(seed_owner(portal, each).id)
    for plural, rows in data.get("properties", {}).items():
        kind = portal.kind(plural)
        for row in rows:
            plain = {"label": row["name"], "groupName": kind.group, "type": "string", "fieldType": "text"}
            catalog.create(portal, kind, plain | row)
    for plural, rows in data.get("pipelines", {}).items():
        portal.pipelines[portal.kind(plural).plural] = [
            catalog.pipeline(row["id"], row.get("label", row["id"]), row["stages"]) for row in rows
        ]
    for path, wanted in data.get("options", {}).items():
        plural, _, name = path.partition(".")
        portal.kind(plural).properties[name].options = options(wanted)
    for plural in OBJECTS:
        for row in data.get(plural, []):
            made.setdefault(plural, []).append(seed_record(portal, plural, aliases(row, made)).id)
    _seed_tracks(portal, data, made)
    return made


def _seed_tracks(portal: Portal, data: dict[str, Any], made: dict[str, list[str]]) -> None:
    for each in data.get("forms", []):
        made.setdefault("forms", []).append(marketing.add_form(portal, each))
    for each in data.get("campaigns", []):
        made.setdefault("campaigns", []).append(str(marketing.add_campaign(portal, each)))
    for each in data.get("submissions", []):
        sent = marketing.submit_form(portal, aliases(each, made), quiet=True)
        made.setdefault("submissions", []).append(sent["conversion"])
    for each in data.get("email_events", []):
        made.setdefault("email_events", []).append(marketing.email_event(portal, aliases(each, made))["id"])
    for each in data.get("page_views", []):
        made.setdefault("page_views", []).append(marketing.page_view(portal, aliases(each, made))["id"])
    for each in data.get("lists", []):
        known = lists.create(portal, each)
        known.members.update(dict.fromkeys(aliases(each, made).get("members", []), portal.now()))
        made.setdefault("lists", []).append(known.id)


def seed_owner(portal: Portal, given: dict[str, Any]) -> Owner:
    """A new owner; the id of the user is another number than that of the owner."""
    number = 41_000_001 + 17 * len(portal.owners)
    owner = Owner(
        str(given.get("id", number)),
        str(given["email"]),
        str(given.get("first", "")),
        str(given.get("last", "")),
        int(given.get("user", number - 32_000_000)),
        portal.now(),
        archived=bool(given.get("archived", False)),
        kind=str(given.get("kind", "PERSON")),
    )
    portal.owners[owner.id] = owner
    return owner


def seed_record(portal: Portal, plural: str, row: dict[str, Any]) -> Record:
    """A record that is older than we."""
    kind = portal.kind(plural)
    values = {name: value for name, value in row.items() if name not in ("associate", kind.created, kind.modified)}
    if "hs_timestamp" in kind.required:
        values.setdefault("hs_timestamp", wire(portal.now()))
    plan = writes.plan_create(portal, kind, {"properties": values}, set(), by_hand=True)
    created = moment_of(str(row[kind.created])) if row.get(kind.created) else None
    changed = moment_of(str(row[kind.modified])) if row.get(kind.modified) else None
    record = writes.apply(portal, plan, Actor("IMPORT", "seed"), at=created or changed, quiet=True)
    record.updated = changed or record.updated
    for name, ids in row.get("associate", {}).items():
        other = portal.kind(name)
        for ident in ids:
            links.link(portal, record, portal.live(other, str(ident)), UNLABELLED[kind.plural, other.plural])
    portal.hold_all(record)  # further addresses, too
    portal.publish(record, at_once=True)
    return record


def aliases(row: dict[str, Any], made: dict[str, list[str]]) -> dict[str, Any]:
    """A row with the ids in place of "@contacts.0"."""

    def resolve(value: Any) -> Any:  # noqa: ANN401  any value
        if isinstance(value, list):
            return [resolve(one) for one in value]
        if isinstance(value, dict):
            return {key: resolve(one) for key, one in value.items()}
        if not isinstance(value, str) or not value.startswith("@"):
            return value
        key, _, at = value[1:].partition(".")
        try:
            return made[key][int(at)]
        except (LookupError, ValueError) as error:
            raise ValueError(f"{value} names no record seeded so far; write it like @contacts.0") from error

    return {key: resolve(value) for key, value in row.items()}


def record_view(portal: Portal, record: Record) -> dict[str, Any]:
    """A record for people who look behind the scenes.

    {"id", "properties", "archived", "survivor", "createdAt", "updatedAt", "associations": {plural: [ids]}}
    """
    near: dict[str, list[str]] = {}
    for plural, ident in portal.links.get((record.kind.plural, record.id), {}):
        near.setdefault(plural, []).append(ident)
    return {
        "id": record.id,
        "properties": record.all_values(),
        "archived": record.archived_at is not None,
        "survivor": record.survivor,
        "createdAt": wire(record.created),
        "updatedAt": wire(record.updated),
        "associations": near,
    }


def dump(portal: Portal) -> dict[str, Any]:
    """Everything that the portal holds.

    {"objects": {plural: [record_view]}, "owners", "forms": {guid: name}, "lists": {id: {"name", "members"}},
     "submissions", "email_events", "page_views": how many, "index_waiting": writes that search does not know yet}
    """
    tracks = portal.tracks
    return {
        "objects": {
            plural: [record_view(portal, record) for record in rows.values()] for plural, rows in portal.records.items()
        },
        "owners": [owner.view() for owner in portal.owners.values()],
        "forms": tracks.forms,
        "lists": {each.id: {"name": each.name, "members": list(each.members)} for each in tracks.lists.values()},
        "submissions": len(tracks.submissions),
        "email_events": len(tracks.emails),
        "page_views": len(tracks.visits),
        "index_waiting": portal.index.waiting(),
    }
