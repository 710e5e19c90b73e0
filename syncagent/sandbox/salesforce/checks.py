"""What the org refuses when a row is saved: references, owners, converted leads, unique keys, and the admin's own
rules.

Rules are set by the act `set_rule` and kept in `World.rules`; their JSON is described in acts.py.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from syncagent.sandbox.salesforce.world import Actor, Row, RowError, World, unique_key

_NEEDS_ACTIVE_OWNER: Final = frozenset({"Lead", "Contact", "Task"})


def check_references(world: World, actor: Actor, name: str, row: Row, old: Row | None) -> None:
    """Every id that is newly set leads to a live row of a right kind."""
    shape = world.shapes[name]
    for known in shape.fields.values():
        value = row.get(known.name)
        if not known.parents or value is None or (old is not None and old.get(known.name) == value):
            continue
        kind = world.kind_of(value)
        if kind not in known.parents:
            message = f"{known.title}: id value of incorrect type: {value}"
            raise RowError("FIELD_INTEGRITY_EXCEPTION", message, [known.name])
        target = world.find(kind, value, actor.transaction)
        if target is None:
            raise RowError("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id", [known.name])
        if target["IsDeleted"]:
            raise RowError("ENTITY_IS_DELETED", "entity is deleted", [known.name])
        if known.name == "OwnerId" and kind == "Group" and not _serves(world, value, name):
            raise RowError("INVALID_OPERATION", "Queue not associated with this SObject type", [known.name])
    if name in ("Task", "Event"):
        _check_task(world, actor, row, old)


def _serves(world: World, queue: str, name: str) -> bool:
    rows = world.tables["QueueSobject"].rows.values()
    return any(row["QueueId"] == queue and row["SobjectType"] == name for row in rows)


def _check_task(world: World, actor: Actor, row: Row, old: Row | None) -> None:
    who = row.get("WhoId")
    if who is None or world.kind_of(who) != "Lead":
        return
    if row.get("WhatId") is not None:
        message = "Related To ID: a task of a lead cannot be related to anything else"
        raise RowError("FIELD_INTEGRITY_EXCEPTION", message, ["WhatId"])
    lead = world.find("Lead", who, actor.transaction)
    if lead is not None and lead.get("IsConverted") and (old is None or old.get("WhoId") != who):
        raise RowError("CANNOT_UPDATE_CONVERTED_LEAD", "cannot reference converted lead")


def check_owner(world: World, actor: Actor, name: str, row: Row) -> None:
    """Leads, contacts and tasks are not saved with an inactive owner."""
    owner = world.find("User", row.get("OwnerId", ""), actor.transaction) if name in _NEEDS_ACTIVE_OWNER else None
    if owner is not None and not owner.get("IsActive"):
        raise RowError("INACTIVE_OWNER_OR_USER", "operation performed with inactive user", ["OwnerId"])


def check_required(world: World, name: str, row: Row) -> None:
    """The required fields have values."""
    missing = [
        known.name for known in world.shapes[name].fields.values() if known.required and row.get(known.name) is None
    ]
    if missing:
        raise RowError("REQUIRED_FIELD_MISSING", f"Required fields are missing: [{', '.join(missing)}]", missing)


def check_unique(world: World, name: str, row: Row) -> None:
    """No live row has the same value in a unique field; the message names the other one by its 15 characters."""
    table = world.tables[name]
    for known in table.shape.fields.values():
        if not known.unique or (value := row.get(known.name)) is None:
            continue
        key = unique_key(known, value)
        # a row that an open transaction has not shown yet holds its key as well: that is how a race is lost
        pending = [
            ident
            for each in world.transactions.values()
            for (kind, ident), one in each.pending.items()
            if kind == name and known.name in one and unique_key(known, one[known.name]) == key and not one["IsDeleted"]
        ]
        other = next((ident for ident in [*table.holders(known, value), *pending] if ident != row["Id"]), None)
        if other is not None:
            message = f"duplicate value found: {known.name} duplicates value on record with id: {other[:15]}"
            raise RowError("DUPLICATE_VALUE", message)
    if name == "CampaignMember":
        for field in ("LeadId", "ContactId"):
            if (person := row.get(field)) is not None:
                others = table.holders(table.shape.fields[field], person)
                if any(table.rows[other]["CampaignId"] == row["CampaignId"] for other in others if other != row["Id"]):
                    raise RowError("DUPLICATE_VALUE", "Already a campaign member.")


def check_permission(world: World, row: Row) -> None:
    """Field permissions are about a field that there is."""
    shape = world.shapes.get(row["SobjectType"])
    if shape is None or row["Field"].partition(".")[2] not in shape.fields:
        raise RowError("FIELD_INTEGRITY_EXCEPTION", "Field Name: bad value for field", ["Field"])


def check_rules(world: World, actor: Actor, name: str, row: Row, old: Row | None) -> None:
    """The admin's validation and duplicate rules, and locks that somebody else holds for the first k tries."""
    for title, rule in world.rules.items():
        if rule.get("object") != name:
            continue
        if rule["kind"] == "duplicate":
            _check_duplicate(world, actor, name, row, old, title, rule)
        elif rule["kind"] == "validation" and _fits(rule, row):
            fields = [rule["field"]] if rule.get("names_field", True) else []
            raise RowError("FIELD_CUSTOM_VALIDATION_EXCEPTION", rule.get("message", "The rule refuses this."), fields)
        elif rule["kind"] == "row_lock" and _fits(rule, row):
            key = (title, row["Id"] if old is not None else str(row.get(rule["field"])))
            world.tries[key] = world.tries.get(key, 0) + 1
            if world.tries[key] <= int(rule.get("times", 1)):
                raise locked(row["Id"] if old is not None else "")


def locked(ident: str) -> RowError:
    """Somebody else is writing this row."""
    message = f"unable to obtain exclusive access to this record or 1 records: {ident}"
    return RowError("UNABLE_TO_LOCK_ROW", message)


def _fits(rule: Mapping[str, Any], row: Row) -> bool:
    return re.search(rule.get("matches", ""), str(row.get(rule["field"], ""))) is not None


def _check_duplicate(
    world: World, actor: Actor, name: str, row: Row, old: Row | None, title: str, rule: Mapping[str, Any]
) -> None:
    fields = rule.get("fields", ["Email"])
    block = rule.get("action", "alert") == "block"
    if any(row.get(field) is None for field in fields) or (not block and actor.save_duplicates):
        return
    if old is not None and all(old.get(field) == row.get(field) for field in fields):
        return
    table = world.tables[name]
    first = table.shape.fields[fields[0]]
    among = table.holders(first, row[first.name]) if first.name in table.indexes else list(table.rows)
    same = [
        ident
        for ident in among
        if ident != row["Id"]
        and not table.rows[ident]["IsDeleted"]
        and all(table.rows[ident].get(field) == row[field] for field in fields)
    ]
    if not same:
        return
    records = [
        {"attributes": {"type": name, "url": f"/services/data/v60.0/sobjects/{name}/{i}"}, "Id": i} for i in same
    ]
    matches = [
        {"additionalInformation": [], "fieldDiffs": [], "matchConfidence": 100.0, "record": record}
        for record in records
    ]
    found = {
        "entityType": name,
        "errors": [],
        "matchEngine": "FuzzyMatchEngine",
        "matchRecords": matches if actor.explain_duplicates else [],
        "rule": title,
        "size": len(same),
        "success": True,
    }
    result = {
        "allowSave": not block,
        "duplicateRule": title,
        "duplicateRuleEntityType": name,
        "errorMessage": "Use one of these records?",
        "matchResults": [found],
    }
    raise RowError("DUPLICATES_DETECTED", "Use one of these records?", extra={"duplicateResult": result})
