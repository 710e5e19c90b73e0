"""The association resources of v4, and of v3 where the unmodified client still uses them (crm.md B6)."""

from typing import Any

from syncagent.sandbox.hubspot.links import link, linked, unlink
from syncagent.sandbox.hubspot.portal import Portal, Record
from syncagent.sandbox.hubspot.refusal import invalid, not_found
from syncagent.sandbox.hubspot.request import Reply, Request
from syncagent.sandbox.hubspot.schema import INVERSE, UNLABELLED, Kind
from syncagent.sandbox.hubspot.values import wire

_LABELS = {1: "Primary", 2: "Primary", 5: "Primary", 6: "Primary", 578: "Primary", 579: "Primary"}


def of_object(portal: Portal, request: Request) -> Reply | None:
    """Answer crm/objects/{type}/{id}/associations/..."""
    kind, ident = portal.kind(request.parts[2]), request.parts[3]
    match request.method, request.parts[5:]:
        case "GET", [name]:
            return _list(portal, request, portal.live(kind, ident), portal.kind(name))
        case "PUT", ["default", name, other]:
            near, far = portal.live(kind, ident), portal.live(portal.kind(name), other)
            return Reply(200, _done(portal, [_default(near, far, portal, request)]))
        case "PUT", [name, other]:
            near, far = portal.live(kind, ident), portal.live(portal.kind(name), other)
            return Reply(201, _labelled(portal, request, near, far, request.array()))
        case "DELETE", [name, other]:
            record = portal.get(portal.kind(name), other)
            if record is not None:
                unlink(portal, portal.live(kind, ident), record, actor=request.actor)
            return Reply(204)
        case _:
            return None


def batch(portal: Portal, request: Request) -> Reply | None:
    """Answer crm/associations/{from}/{to}/batch/... and .../labels."""
    if len(request.parts) < 5:
        return None
    near, far = portal.kind(request.parts[2]), portal.kind(request.parts[3])
    match request.method, request.parts[4:]:
        case "GET", ["labels"]:
            rows = [_type(number) for one, other, number in INVERSE if (one, other) == (near.plural, far.plural)]
            return Reply(200, {"results": rows})
        case "POST", ["batch", "read"]:
            return _read(portal, request, near, far)
        case "POST", ["batch", "create"]:
            rows = [
                _labelled(portal, request, *_ends(portal, each, near, far), each.get("types") or [])
                for each in request.inputs(2_000)
            ]
            return Reply(201, _done(portal, rows))
        case "POST", ["batch", "associate", "default"]:
            rows = [_default(*_ends(portal, each, near, far), portal, request) for each in request.inputs(2_000)]
            return Reply(200, _done(portal, rows))
        case "POST", ["batch", *verb]:
            return _take_away(portal, request, near, far, verb)
        case _:
            return None


def _take_away(portal: Portal, request: Request, near: Kind, far: Kind, verb: list[str]) -> Reply | None:
    if verb == ["archive"]:
        for each in request.inputs():
            record = portal.get(near, _id(each.get("from")))
            for wish in each.get("to") or []:
                other = portal.get(far, _id(wish))
                if record is not None and other is not None:
                    unlink(portal, record, other, actor=request.actor)
    elif verb == ["labels", "archive"]:
        for each in request.inputs(2_000):
            for wish in each.get("types") or []:
                unlink(portal, *_ends(portal, each, near, far), int(wish["associationTypeId"]), request.actor)
    else:
        return None
    return Reply(204)


def _id(wish: Any) -> str:  # noqa: ANN401  any JSON value
    return str(wish.get("id", "")) if isinstance(wish, dict) else ""


def _ends(portal: Portal, wish: dict[str, Any], near: Kind, far: Kind) -> tuple[Record, Record]:
    return portal.live(near, _id(wish.get("from"))), portal.live(far, _id(wish.get("to")))


def _type(number: int) -> dict[str, Any]:
    return {"category": "HUBSPOT_DEFINED", "typeId": number, "label": _LABELS.get(number)}


def _rows(portal: Portal, record: Record, kind: Kind) -> list[dict[str, Any]]:
    return [
        {"toObjectId": int(other.id), "associationTypes": [_type(number) for number in sorted(numbers)]}
        for other, numbers in sorted(linked(portal, record, kind), key=lambda pair: int(pair[0].id))
    ]


def _list(portal: Portal, request: Request, record: Record, kind: Kind) -> Reply:
    limit, after = request.limit(min(500, portal.settings.association_page), 500), request.call.param("after", "0")
    if not after.isdigit():
        raise invalid(f"after is not a cursor of ours: {after}")
    rows = [row for row in _rows(portal, record, kind) if row["toObjectId"] >= int(after)]
    told: dict[str, Any] = {"results": rows[:limit]}
    if request.version == "v3":
        pair = f"{record.kind.singular}_to_{kind.singular}"
        told["results"] = [{"id": str(row["toObjectId"]), "type": pair} for row in rows[:limit]]
    if rows[limit:]:
        told["paging"] = {"next": {"after": str(rows[limit]["toObjectId"]), "link": ""}}
    return Reply(200, told)


def _read(portal: Portal, request: Request, near: Kind, far: Kind) -> Reply:
    rows, errors = [], []
    for each in request.inputs(1_000):
        ident = str(each.get("id", ""))
        record = portal.get(near, ident)
        found = [] if record is None or record.archived_at is not None else _rows(portal, record, far)
        if record is not None and found:
            rows.append(_page(portal, record, found, str(each.get("after") or "0")))
        else:
            error = not_found(f"No {far.singular} is associated with {near.singular} {ident}.")
            error.context = {"fromObjectId": [ident], "fromObjectType": [near.singular], "toObjectType": [far.singular]}
            error.more = {"subCategory": "crm.associations.NO_ASSOCIATIONS_FOUND"}
            errors.append({**error.row(None, sparse=portal.settings.sparse_errors), **error.more})
    if portal.settings.shuffle:
        portal.dice.shuffle(rows)
    told = _done(portal, rows)
    return Reply(207, told | {"numErrors": len(errors), "errors": errors}) if errors else Reply(200, told)


def _page(portal: Portal, record: Record, found: list[dict[str, Any]], after: str) -> dict[str, Any]:
    if not after.isdigit():
        raise invalid(f"after is not a cursor of ours: {after}")
    rest, size = [row for row in found if row["toObjectId"] >= int(after)], portal.settings.association_page
    told: dict[str, Any] = {"from": {"id": record.id}, "to": rest[:size]}
    if rest[size:]:
        told["paging"] = {"next": {"after": str(rest[size]["toObjectId"]), "link": ""}}
    return told


def _done(portal: Portal, rows: list[dict[str, Any]]) -> dict[str, Any]:
    now = wire(portal.now())
    return {"status": "COMPLETE", "results": rows, "startedAt": now, "completedAt": now}


def _default(near: Record, far: Record, portal: Portal, request: Request) -> dict[str, Any]:
    number = UNLABELLED.get((near.kind.plural, far.kind.plural))
    if number is None:
        raise invalid(f"{near.kind.plural} and {far.kind.plural} cannot be associated.")
    link(portal, near, far, number, request.actor)
    spec = {"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": number}
    return {"from": {"id": near.id}, "to": {"id": far.id}, "associationSpec": spec}


def _labelled(
    portal: Portal, request: Request, near: Record, far: Record, types: list[dict[str, Any]]
) -> dict[str, Any]:
    numbers = [int(each.get("associationTypeId", 0)) for each in types]
    for number in numbers:
        if (near.kind.plural, far.kind.plural, number) not in INVERSE:
            raise invalid(f"No association type {number} between {near.kind.plural} and {far.kind.plural}.")
    for number in numbers:
        link(portal, near, far, number, request.actor)
    return {
        "fromObjectTypeId": near.kind.type_id,
        "fromObjectId": int(near.id),
        "toObjectTypeId": far.kind.type_id,
        "toObjectId": int(far.id),
        "labels": [label for number in numbers if (label := _LABELS.get(number))],
    }
