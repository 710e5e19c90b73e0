"""What the org holds at the start, and how records are seeded.

Seed JSON, all keys optional; the reply has the ids under the same keys. The value "@leads.0" stands for the id of the
first lead of this seed.

    {"settings": {"daily_limit", "page_size", "session_seconds", "locator_seconds", "track_history", "jitter",
                  "public_key" (PEM or certificate),
                  "lead_statuses": ["New", {"label", "converted", "default"}],
                  "task_statuses": ["Open", {"label", "closed", "default"}],
                  "opportunity_stages": [{"label", "closed", "won", "probability", "forecast"}]},
     "users": [{"Name", "Email", "IsActive"}],
     "queues": [{"Name", "members": [user ids]}],
     "campaigns", "accounts", "contacts", "leads", "opportunities", "contact_roles", "campaign_members", "tasks",
     "lead_history": [{field: value}],
     "records": {"Any Object": [{field: value}]}}

Any field may be given, also Id, OwnerId, CreatedDate, LastModifiedDate, SystemModstamp, CreatedById. Lists of
statuses replace those that were there. No validation but types and unique keys, and no history rows: the data is
older than we.
"""

from dataclasses import fields
from typing import Any, Final

from syncagent.sandbox.salesforce import schema, writes
from syncagent.sandbox.salesforce.world import Actor, Settings, World

_LISTS: Final = {
    "campaigns": "Campaign",
    "accounts": "Account",
    "contacts": "Contact",
    "leads": "Lead",
    "opportunities": "Opportunity",
    "contact_roles": "OpportunityContactRole",
    "campaign_members": "CampaignMember",
    "tasks": "Task",
    "events": "Event",
    "lead_history": "LeadHistory",
}


def found(world: World) -> dict[str, str]:
    """Fill a fresh org; returns the ids that everybody needs to know."""
    nobody = Actor("", seeding=True)

    def make(kind: str, **values: Any) -> str:  # noqa: ANN401  field values
        return writes.create(world, nobody, kind, values)

    names = {"Name": "Sandbox Org", "OrganizationType": "Enterprise Edition", "InstanceName": "SBX1", "IsSandbox": True}
    known = {"organization_id": make("Organization", **names)}
    people = {
        "integration": ("Sync Agent", "integration@example.com"),
        "rep": ("Ana Silva", "ana.silva@example.com"),
        "second_rep": ("Ben Ode", "ben.ode@example.com"),
        "manager": ("Mia Chan", "mia.chan@example.com"),
        "automation": ("Flow Automation", "automation@example.com"),
    }
    for role, (name, email) in people.items():
        known[f"{role}_user_id"] = seed_user(world, nobody, {"Name": name, "Email": email})
    members = [known["rep_user_id"], known["second_rep_user_id"]]
    known["queue_id"] = seed_queue(world, nobody, {"Name": "Inbound", "members": members})
    known["notification_type_id"] = make(
        "CustomNotificationType", DeveloperName="SyncAgent", CustomNotifTypeName="SyncAgent", MasterLabel="Sync Agent"
    )
    known["permission_set_id"] = make("PermissionSet", Name="SyncAgent", Label="Sync Agent")
    make("PermissionSetAssignment", PermissionSetId=known["permission_set_id"], AssigneeId=known["integration_user_id"])
    set_lead_statuses(world, [*schema.LEAD_STATUSES, {"label": schema.CONVERTED_STATUS, "converted": True}])
    set_task_statuses(world, [{"label": each, "closed": each == "Completed"} for each in schema.TASK_STATUSES])
    stages = [
        {
            "label": label,
            "probability": likely,
            "forecast": forecast,
            "closed": label.startswith("Closed"),
            "won": likely == 100,
        }
        for label, likely, forecast in schema.STAGES
    ]
    set_stages(world, stages)
    return known


def seed(world: World, data: dict[str, Any]) -> dict[str, Any]:
    """Put the seed's records in; ValueError for what it cannot hold."""
    allowed = {"settings", "users", "queues", "records", *_LISTS}
    if unknown := set(data) - allowed:
        raise ValueError(f"A seed has no {', '.join(sorted(unknown))}; it has {', '.join(sorted(allowed))}.")
    apply_settings(world, {key: value for key, value in data.get("settings", {}).items() if key != "public_key"})
    nobody = Actor("", seeding=True)
    made: dict[str, list[str]] = {}
    for user in data.get("users", []):
        made.setdefault("users", []).append(seed_user(world, nobody, user))
    for queue in data.get("queues", []):
        made.setdefault("queues", []).append(seed_queue(world, nobody, _aliases(queue, made)))
    owner = next(iter(world.tables["User"].rows))
    lists = [(key, kind, data.get(key, [])) for key, kind in _LISTS.items()]
    for key, kind, rows in [*lists, *((kind, kind, rows) for kind, rows in data.get("records", {}).items())]:
        world.table(kind)
        ids = made.setdefault(key, [])
        ids.extend(writes.create(world, Actor(owner, seeding=True), kind, _aliases(row, made)) for row in rows)
    return {key: ids for key, ids in made.items() if ids}


def seed_user(world: World, actor: Actor, values: dict[str, Any]) -> str:
    """A user; the username is the e-mail address unless given."""
    name = str(values.get("Name", ""))
    whole = {"Username": values.get("Email"), "Alias": name[:8], **values}
    return writes.create(world, actor, "User", whole)


def seed_queue(world: World, actor: Actor, values: dict[str, Any]) -> str:
    """A queue that may own leads and tasks, with its members."""
    members = values.get("members", [])
    plain = {key: value for key, value in values.items() if key != "members"}
    plain = {"Type": "Queue", "DeveloperName": str(values.get("Name", "")).replace(" ", "_"), **plain}
    ident = writes.create(world, actor, "Group", plain)
    for kind in ("Lead", "Task"):
        writes.create(world, actor, "QueueSobject", {"QueueId": ident, "SobjectType": kind})
    for member in members:
        writes.create(world, actor, "GroupMember", {"GroupId": ident, "UserOrGroupId": member})
    return ident


def apply_settings(world: World, settings: dict[str, Any]) -> None:
    """Set what an admin may set; ValueError names what there is."""
    special = {"lead_statuses": set_lead_statuses, "task_statuses": set_task_statuses, "opportunity_stages": set_stages}
    plain = {known.name for known in fields(Settings)}
    for key, value in settings.items():
        if key in special:
            special[key](world, value)
        elif key in plain:
            setattr(world.settings, key, value)
        else:
            raise ValueError(
                f"There is no setting {key!r}; there are {', '.join(sorted([*plain, *special, 'public_key']))}."
            )


def set_lead_statuses(world: World, statuses: list[Any]) -> None:
    """Replace the lead statuses; the first is the default unless one says so."""
    rows = _picklist(world, "LeadStatus", "Lead", "Status", statuses)
    for row, status in zip(rows, statuses, strict=True):
        row["IsConverted"] = isinstance(status, dict) and bool(status.get("converted"))


def set_task_statuses(world: World, statuses: list[Any]) -> None:
    """Replace the task statuses."""
    rows = _picklist(world, "TaskStatus", "Task", "Status", statuses)
    for row, status in zip(rows, statuses, strict=True):
        row["IsClosed"] = isinstance(status, dict) and bool(status.get("closed"))


def set_stages(world: World, stages: list[Any]) -> None:
    """Replace the opportunity stages."""
    rows = _picklist(world, "OpportunityStage", "Opportunity", "StageName", stages)
    for row, stage in zip(rows, stages, strict=True):
        wish = stage if isinstance(stage, dict) else {}
        row["IsClosed"], row["IsWon"] = bool(wish.get("closed")), bool(wish.get("won"))
        row["DefaultProbability"], row["ForecastCategory"] = (
            wish.get("probability", 0),
            wish.get("forecast", "Pipeline"),
        )


def _picklist(world: World, kind: str, name: str, field: str, entries: list[Any]) -> list[dict[str, Any]]:
    labels = [entry["label"] if isinstance(entry, dict) else str(entry) for entry in entries]
    chosen = [entry["label"] for entry in entries if isinstance(entry, dict) and entry.get("default")]
    default = (chosen or labels)[0]
    table = world.tables[kind]
    for ident in list(table.rows):
        table.put(ident, None)
    for place, label in enumerate(labels, 1):
        values = {"MasterLabel": label, "ApiName": label, "SortOrder": place}
        if "IsDefault" in table.shape.fields:
            values["IsDefault"] = label == default
        writes.create(world, Actor("", seeding=True), kind, values)
    default = None if name == "Opportunity" else default
    world.shapes[name].change(field, values=tuple(labels), default=default)
    return list(table.rows.values())


def _aliases(row: dict[str, Any], made: dict[str, list[str]]) -> dict[str, Any]:
    def resolve(value: Any) -> Any:  # noqa: ANN401  any field value
        if isinstance(value, list):
            return [resolve(one) for one in value]
        if not isinstance(value, str) or not value.startswith("@"):
            return value
        key, _, place = value[1:].partition(".")
        try:
            return made[key][int(place)]
        except (LookupError, ValueError) as error:
            raise ValueError(f"{value} names no record seeded so far; write it like @leads.0") from error

    return {key: resolve(value) for key, value in row.items()}
