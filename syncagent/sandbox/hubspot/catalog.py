"""What a portal tells of itself: properties, owners, pipelines, the account (crm.md B3, B9)."""

import re
from typing import Any, Final

from syncagent.sandbox.hubspot.portal import Portal
from syncagent.sandbox.hubspot.refusal import RefusedError, invalid, not_found
from syncagent.sandbox.hubspot.request import Reply, Request
from syncagent.sandbox.hubspot.schema import TYPES, Kind, Property, options
from syncagent.sandbox.hubspot.values import wire

_FIELD_TYPES: Final = (
    *("textarea", "text", "date", "file", "number", "select", "radio", "checkbox", "booleancheckbox"),
    *("calculation_equation", "html", "phonenumber"),
)
_MOST_UNIQUE: Final = 10
_FOUNDED: Final = "2020-01-01T00:00:00.000Z"


def properties(portal: Portal, request: Request) -> Reply | None:
    """Answer crm/properties/{type}..."""
    kind = portal.kind(request.parts[2])
    match request.method, request.parts[3:]:
        case "GET", []:
            archived = request.flag("archived")
            return Reply(
                200, {"results": [view(each) for each in kind.properties.values() if each.archived == archived]}
            )
        case "POST", []:
            return Reply(201, view(create(portal, kind, request.json())))
        case "POST", ["batch", "create"]:
            made = [view(create(portal, kind, each)) for each in request.inputs()]
            now = wire(portal.now())
            return Reply(201, {"status": "COMPLETE", "results": made, "startedAt": now, "completedAt": now})
        case "GET", ["groups"]:
            names = sorted({kind.group, *(each.group for each in kind.properties.values())})
            return Reply(200, {"results": [_group(name) for name in names]})
        case "POST", ["groups"]:
            return Reply(201, _group(str(request.json().get("name", ""))))
        case method, [name]:
            return _one(kind, request, method, name)
        case _:
            return None


def _one(kind: Kind, request: Request, method: str, name: str) -> Reply | None:
    known = kind.properties.get(name)
    if known is None or known.archived:
        raise RefusedError(404, "OBJECT_NOT_FOUND", f"Property {name} does not exist", context={"propertyName": [name]})
    if method == "GET":
        return Reply(200, view(known))
    if method == "PATCH":
        change(known, request.json())
        return Reply(200, view(known))
    if method == "DELETE":
        if not known.custom:
            raise invalid(f"The property {name} is HubSpot's own and cannot be archived.")
        known.archived = True
        return Reply(204)
    return None


def _group(name: str) -> dict[str, Any]:
    return {"name": name, "label": name.replace("_", " ").title(), "displayOrder": 0, "archived": False}


def view(known: Property) -> dict[str, Any]:
    """A property's definition as the API shows it."""
    return {
        "updatedAt": _FOUNDED,
        "createdAt": _FOUNDED,
        "name": known.name,
        "label": known.label,
        "type": known.type,
        "fieldType": known.field_type,
        "description": "",
        "groupName": known.group,
        "options": known.options,
        "displayOrder": -1,
        "calculated": False,
        "externalOptions": known.name == "hubspot_owner_id",
        "archived": known.archived,
        "hasUniqueValue": known.unique,
        "hidden": False,
        "hubspotDefined": not known.custom,
        "modificationMetadata": {
            "archivable": known.custom,
            "readOnlyDefinition": not known.custom,
            "readOnlyValue": known.read_only,
        },
        "formField": not known.read_only,
    }


def create(portal: Portal, kind: Kind, given: dict[str, Any]) -> Property:
    """A new property; 409 when there is one of that name, 400 for what does not fit."""
    name = str(given.get("name", ""))
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,99}", name):
        raise invalid(f"The name {name!r} is not allowed: lower-case letters, digits and _ only.")
    if name in kind.properties and not kind.properties[name].archived:
        raise RefusedError(409, "OBJECT_ALREADY_EXISTS", f"A property named '{name}' already exists.")
    for key in ("label", "type", "fieldType", "groupName"):
        if not given.get(key):
            raise invalid(f"Invalid input JSON: {key} is required.")
    if given["type"] not in TYPES or given["fieldType"] not in _FIELD_TYPES:
        raise invalid(f"There is no property of type {given['type']} and fieldType {given['fieldType']}.")
    known = Property(
        name,
        given["type"],
        str(given["label"]),
        given["fieldType"],
        str(given["groupName"]),
        options(given.get("options") or []),
        unique=_unique(portal, kind, wanted=bool(given.get("hasUniqueValue"))),
        custom=True,
    )
    kind.properties[name] = known
    return known


def _unique(portal: Portal, kind: Kind, *, wanted: bool) -> bool:
    if not wanted:
        return False
    # neither confirmed nor excluded by the documents: a switch (crm.md B5)
    if kind.plural == "tasks" and portal.settings.unique_task_properties != "yes":
        if portal.settings.unique_task_properties == "refused":
            raise invalid("hasUniqueValue is not supported for properties of this object type.")
        return False
    if sum(1 for each in kind.properties.values() if each.unique and each.custom) >= _MOST_UNIQUE:
        raise invalid(f"At most {_MOST_UNIQUE} unique properties are allowed for an object.")
    return True


def change(known: Property, given: dict[str, Any]) -> None:
    """Change what may be changed later; hasUniqueValue may not."""
    known.label = str(given.get("label", known.label))
    known.group = str(given.get("groupName", known.group))
    if "options" in given:
        known.options = options(given["options"])


def owners(portal: Portal, request: Request) -> Reply | None:
    """Answer crm/owners and crm/owners/{id}; deactivated ones only with archived=true."""
    if request.method != "GET":
        return None
    archived = request.flag("archived")
    rows = [each for each in portal.owners.values() if each.archived == archived]
    match request.parts[2:]:
        case []:
            return _owners_page(request, [each.view() for each in rows])
        case [ident]:
            key = request.call.param("idProperty", "id")
            for each in rows:
                if ident == (str(each.user) if key == "userId" else each.id):
                    return Reply(200, each.view())
            raise not_found(f"No owner with id {ident}.")
        case _:
            return None


def _owners_page(request: Request, rows: list[dict[str, Any]]) -> Reply:
    email, after, limit = request.call.param("email").lower(), request.call.param("after"), request.limit(100, 500)
    rows = [each for each in rows if not email or each["email"] == email]
    start = next((place for place, each in enumerate(rows) if each["id"] == after), 0)
    page, rest = rows[start : start + limit], rows[start + limit :]
    told: dict[str, Any] = {"results": page}
    if rest:
        told["paging"] = {"next": {"after": rest[0]["id"], "link": f"?after={rest[0]['id']}"}}
    return Reply(200, told)


def pipelines(portal: Portal, request: Request) -> Reply | None:
    """Answer crm/pipelines/{type}..., read only."""
    if request.method != "GET" or len(request.parts) < 3:
        return None
    known = portal.pipelines.get(portal.kind(request.parts[2]).plural, [])
    if len(request.parts) == 3:
        return Reply(200, {"results": known})
    found = next((each for each in known if each["id"] == request.parts[3]), None)
    if found is None:
        raise not_found(f"No pipeline {request.parts[3]}.")
    match request.parts[4:]:
        case []:
            return Reply(200, found)
        case ["stages"]:
            return Reply(200, {"results": found["stages"]})
        case _:
            return None


def pipeline(ident: str, label: str, stages: list[dict[str, Any]]) -> dict[str, Any]:
    """A pipeline's JSON; a stage is {"id", "label"?, "closed"?, "won"?, "probability"?}."""
    whole = []
    for place, stage in enumerate(stages):
        closed, won = bool(stage.get("closed") or stage.get("won")), bool(stage.get("won"))
        likely = stage.get("probability", 1.0 if won else 0.0 if closed else 0.2)
        whole.append(
            {
                "id": stage["id"],
                "label": stage.get("label", stage["id"]),
                "displayOrder": place,
                "metadata": {"isClosed": str(closed).lower(), "probability": str(float(likely))},
                "createdAt": _FOUNDED,
                "updatedAt": _FOUNDED,
                "archived": False,
                "writePermissions": "CRM_PERMISSIONS_ENFORCEMENT",
            }
        )
    told = {"id": ident, "label": label, "displayOrder": 0, "stages": whole, "archived": False}
    return told | {"createdAt": _FOUNDED, "updatedAt": _FOUNDED}


def details(portal: Portal) -> dict[str, Any]:
    """What account-info/v3/details tells."""
    return {
        "portalId": portal.settings.portal_id,
        "accountType": "DEVELOPER_TEST",
        "timeZone": portal.settings.time_zone,
        "companyCurrency": "USD",
        "additionalCurrencies": [],
        "utcOffset": "+00:00",
        "utcOffsetMilliseconds": 0,
        "uiDomain": "app.hubspot.com",
        "dataHostingLocation": "na1",
    }
