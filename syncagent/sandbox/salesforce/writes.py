"""How rows are made, changed, deleted and brought back: the one road for REST calls, people on the screen and seeds.

Stamps are whole seconds of the sandbox's clock; what follows from a change (names, closed flags, history rows, field
rights) follows here.
"""

from typing import Any

from syncagent.sandbox.salesforce import checks
from syncagent.sandbox.salesforce.values import coerce
from syncagent.sandbox.salesforce.world import Actor, Row, RowError, World

_HISTORY_FIELDS = {"Lead": ("Status", "OwnerId"), "Contact": ("Contact_Status__c", "OwnerId")}
ACTIVITIES = ("Task", "Event")


def create(world: World, actor: Actor, name: str, values: dict[str, Any]) -> str:
    """Make a row and return its id; raises RowError (this row) or RequestError (the whole request)."""
    shape = world.shapes[name]
    clean = _clean(world, actor, name, values, new=True)
    row: Row = {known.name: known.default for known in shape.fields.values() if known.default is not None}
    row |= {known.name: False for known in shape.fields.values() if known.type == "boolean" and known.default is None}
    if "OwnerId" in shape.fields:
        row["OwnerId"] = actor.user
    row |= {key: value for key, value in clean.items() if value is not None}
    row["Id"] = clean.get("Id") or world.new_id(name)
    _assign(world, actor, name, row)
    _derive(world, actor, name, row, None)
    stamp = world.stamp()
    created, by = row.get("CreatedDate") or stamp, row.get("CreatedById") or actor.user
    for field, value in (
        ("CreatedDate", created),
        ("LastModifiedDate", created),
        ("CreatedById", by),
        ("LastModifiedById", by),
    ):
        if field in shape.fields:
            row.setdefault(field, value)
    if "SystemModstamp" in shape.fields:
        row.setdefault("SystemModstamp", row["LastModifiedDate"])
    _check(world, actor, name, row, None)
    world.store(name, row, actor.transaction)
    _after(world, actor, name, row, None)
    return str(row["Id"])


def update(world: World, actor: Actor, name: str, ident: str, values: dict[str, Any]) -> None:
    """Change a row.

    Raises RowError, with ENTITY_IS_DELETED or INVALID_CROSS_REFERENCE_KEY when there is none to change.
    """
    old = live(world, actor, name, ident)
    clean = _clean(world, actor, name, values, new=False)
    if actor.api and name == "Lead" and old.get("IsConverted"):
        raise RowError("CANNOT_UPDATE_CONVERTED_LEAD", "cannot reference converted lead")
    row = {key: value for key, value in (old | clean).items() if value is not None}
    _assign(world, actor, name, row)
    _derive(world, actor, name, row, old)
    row["SystemModstamp"] = row["LastModifiedDate"] = world.stamp()
    row["LastModifiedById"] = actor.user
    _check(world, actor, name, row, old)
    world.store(name, row, actor.transaction)
    _after(world, actor, name, row, old)


def delete(world: World, actor: Actor, name: str, ident: str, master: str | None = None) -> None:
    """Put a row into the recycle bin; `master` is the survivor of a merge.

    A deleted lead's or contact's tasks and events go with it.
    """
    old = live(world, actor, name, ident)
    stamp = world.stamp()
    row = old | {"IsDeleted": True, "SystemModstamp": stamp, "LastModifiedDate": stamp, "LastModifiedById": actor.user}
    if master is not None:
        row["MasterRecordId"] = master
    world.store(name, row, actor.transaction)
    if name in ("Lead", "Contact") and master is None:
        for kind in ACTIVITIES:
            activities = world.tables[kind]
            for one in activities.holders(activities.shape.fields["WhoId"], ident):
                delete(world, actor, kind, one)


def undelete(world: World, actor: Actor, name: str, ident: str) -> None:
    """Bring a row back from the recycle bin; RowError when its unique key is taken meanwhile."""
    old = world.find(name, ident, actor.transaction)
    if old is None or not old["IsDeleted"]:
        raise RowError("UNDELETE_FAILED", "Entity is not in the recycle bin")
    row = old | {"IsDeleted": False, "SystemModstamp": world.stamp(), "LastModifiedDate": world.stamp()}
    row.pop("MasterRecordId", None)
    checks.check_unique(world, name, row)
    world.store(name, row, actor.transaction)


def live(world: World, actor: Actor, name: str, ident: str) -> Row:
    """The row to write on: there, not deleted, and not held by another open transaction."""
    old = world.find(name, ident, actor.transaction)
    if old is None:
        raise RowError("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id")
    if old["IsDeleted"]:
        raise RowError("ENTITY_IS_DELETED", "entity is deleted")
    if world.lock_holder(name, ident, actor.transaction) is not None:
        raise checks.locked(ident)
    return old


def _clean(world: World, actor: Actor, name: str, values: dict[str, Any], *, new: bool) -> dict[str, Any]:
    shape = world.shapes[name]
    if actor.api and not shape.writable:
        raise RowError("INSUFFICIENT_ACCESS_OR_READONLY", f"entity type cannot be written over the API: {name}")
    refused = []
    clean = {}
    lower: dict[str, str] = {}
    for key, value in values.items():
        if key == "attributes":
            continue
        if key not in shape.fields and not lower:
            lower = {field.lower(): field for field in shape.fields}
        field = key if key in shape.fields else lower.get(key.lower(), key)
        if field not in shape.fields or (actor.api and not world.visible(name, field)):
            raise RowError("INVALID_FIELD", f"No such column '{key}' on sobject of type {name}")
        known = shape.fields[field]
        if actor.api and (not (known.createable if new else known.updateable) or not world.editable(name, field)):
            refused.append(field)
        clean[field] = coerce(known, value)
    if refused:
        message = (
            f"Unable to create/update fields: {', '.join(refused)}. Please check the security settings of this field "
            "and verify that it is read/write for your profile or permission set."
        )
        raise RowError("INVALID_FIELD_FOR_INSERT_UPDATE", message, refused)
    return clean


def _assign(world: World, actor: Actor, name: str, row: Row) -> None:
    # crm.md A4: without `Sforce-Auto-Assign: FALSE` an active rule takes a lead over, at creation and update
    rule = world.rules.get("assignment")
    if actor.api and actor.auto_assign and name == "Lead" and rule is not None:
        row["OwnerId"] = rule["owner"]


def _check(world: World, actor: Actor, name: str, row: Row, old: Row | None) -> None:
    if not actor.seeding:
        checks.check_required(world, name, row)
        checks.check_references(world, actor, name, row, old)
    if actor.api:
        checks.check_owner(world, actor, name, row)
    checks.check_unique(world, name, row)
    if name == "FieldPermissions":
        checks.check_permission(world, row)
    if actor.api:
        checks.check_rules(world, actor, name, row, old)


def _derive(world: World, actor: Actor, name: str, row: Row, old: Row | None) -> None:
    if name in ("Lead", "Contact", "User"):
        _derive_name(row, old)
    if name == "Lead" and old is not None and old.get("OwnerId") != row.get("OwnerId"):
        row["IsUnreadByOwner"] = True
    elif name == "Task":
        _derive_task(world, actor, row, old)
    elif name == "Event":
        _derive_event(world, actor, row, old)
    elif name == "Opportunity":
        _derive_opportunity(world, row, old)
    elif name == "CampaignMember" and row.get("Status") != "Sent":
        row["HasResponded"] = True
        row.setdefault("FirstRespondedDate", world.stamp()[:10])


def _derive_name(row: Row, old: Row | None) -> None:
    if old is None and row.get("LastName") is None and row.get("Name"):
        row["FirstName"], _, row["LastName"] = row["Name"].rpartition(" ")
    row["Name"] = " ".join(filter(None, (row.get("FirstName"), row.get("LastName"))))


def _derive_task(world: World, actor: Actor, row: Row, old: Row | None) -> None:
    closed = any(
        status["IsClosed"]
        for status in world.tables["TaskStatus"].rows.values()
        if status["ApiName"] == row.get("Status")
    )
    if closed and not (old or {}).get("IsClosed"):
        row.setdefault("CompletedDateTime", world.stamp())
    elif not closed:
        row.pop("CompletedDateTime", None)
    row["IsClosed"] = closed
    _derive_account(world, actor, row)


def _derive_event(world: World, actor: Actor, row: Row, old: Row | None) -> None:
    for one, other in (("StartDateTime", "ActivityDateTime"), ("ActivityDateTime", "StartDateTime")):
        if row.get(one) and row[one] != (old or {}).get(one):
            row[other] = row[one]  # two names of one moment
            break
    _derive_account(world, actor, row)


def _derive_account(world: World, actor: Actor, row: Row) -> None:
    who = world.by_id(row.get("WhoId", ""), actor.transaction)
    what = row.get("WhatId", "")
    account = what if what.startswith("001") else (who or {}).get("AccountId")
    if account:
        row["AccountId"] = account


def _derive_opportunity(world: World, row: Row, old: Row | None) -> None:
    stage = next(
        (s for s in world.tables["OpportunityStage"].rows.values() if s["ApiName"] == row.get("StageName")), None
    )
    if stage is not None:
        row["IsClosed"], row["IsWon"] = stage["IsClosed"], stage["IsWon"]
        row["ForecastCategory"] = stage.get("ForecastCategory")
        if old is None or old.get("StageName") != row["StageName"]:
            row["Probability"] = stage.get("DefaultProbability")
            row["LastStageChangeDate"] = world.stamp()


def _after(world: World, actor: Actor, name: str, row: Row, old: Row | None) -> None:
    if actor.seeding:
        return
    if name in _HISTORY_FIELDS and world.settings.track_history:
        _write_history(world, actor, name, row, old)
    elif name == "Task" and row["IsClosed"] and row.get("WhoId"):
        kind = world.kind_of(row["WhoId"])
        person = None if kind is None else world.find(kind, row["WhoId"], actor.transaction)
        day = row.get("ActivityDate") or world.stamp()[:10]
        if kind is not None and person is not None and person.get("LastActivityDate", "") < day:
            world.store(kind, person | {"LastActivityDate": day}, actor.transaction)
    elif name == "FieldPermissions":
        field = row["Field"].partition(".")[2]
        grant(world, row["SobjectType"], field, read=row["PermissionsRead"], edit=row["PermissionsEdit"])


def grant(world: World, name: str, field: str, *, read: bool, edit: bool) -> None:
    """Set what the integration user may do with a field; an Activity's field is the Task's."""
    key = ("Task" if name == "Activity" else name, field)
    if field not in world.table(key[0]).shape.fields:
        raise LookupError(f"{key[0]} has no field {field!r}.")
    (world.hidden.discard if read else world.hidden.add)(key)
    (world.locked.discard if edit else world.locked.add)(key)


def _write_history(world: World, actor: Actor, name: str, row: Row, old: Row | None) -> None:
    if old is None:
        add_history(world, actor, row["Id"], "created", None, None)
        return
    for field in _HISTORY_FIELDS[name]:
        before, after = old.get(field), row.get(field)
        if before == after:
            continue
        if field == "OwnerId":
            # twice: names, then ids (crm.md A14)
            names = [(world.by_id(ident or "", actor.transaction) or {}).get("Name") for ident in (before, after)]
            add_history(world, actor, row["Id"], "Owner", names[0], names[1], "Text")
            add_history(world, actor, row["Id"], "Owner", before, after, "EntityId")
        else:
            add_history(world, actor, row["Id"], field, before, after, "DynamicEnum")


def add_history(
    world: World, actor: Actor, record: str, field: str, before: str | None, after: str | None, kind: str = "Text"
) -> None:
    """Write one row of the record's history, in the transaction of the change that it tells of."""
    parent = world.kind_of(record)
    row: Row = {
        "Id": world.new_id(f"{parent}History"),
        "IsDeleted": False,
        f"{parent}Id": record,
        "Field": field,
        "DataType": kind,
        "CreatedById": actor.user,
        "CreatedDate": world.stamp(),
    }
    row |= {key: value for key, value in (("OldValue", before), ("NewValue", after)) if value is not None}
    world.store(f"{parent}History", row, actor.transaction)
