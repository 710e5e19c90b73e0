"""The resources under /crm/v3/objects: single records, lists, and batches of 100 (crm.md B3, B4)."""

from collections.abc import Callable
from typing import Any

from syncagent.sandbox.hubspot import merges, writes
from syncagent.sandbox.hubspot.links import linked
from syncagent.sandbox.hubspot.portal import Portal, Record
from syncagent.sandbox.hubspot.refusal import RefusedError, invalid, not_found
from syncagent.sandbox.hubspot.request import Reply, Request
from syncagent.sandbox.hubspot.schema import UNLABELLED, Kind
from syncagent.sandbox.hubspot.search import search
from syncagent.sandbox.hubspot.values import wire


def answer(portal: Portal, request: Request) -> Reply | None:
    """Answer crm/objects/...; None when there is no such resource."""
    kind = portal.kind(request.parts[2])
    match request.method, request.parts[3:]:
        case "GET", []:
            return _list(portal, request, kind)
        case "POST", []:
            return _create(portal, request, kind)
        case "POST", ["search"]:
            return Reply(200, search(portal, kind, request))
        case "POST", ["merge"]:
            return _merge(portal, request, kind)
        case "POST", ["gdpr-delete"] if kind.plural == "contacts":
            return _forget(portal, request, kind)
        case "POST", ["batch", verb] if verb in _BATCHES:
            return _BATCHES[verb](portal, request, kind)
        case "GET", [ident]:
            return _get(portal, request, kind, ident)
        case "PATCH", [ident]:
            return _update(portal, request, kind, ident)
        case "DELETE", [ident]:
            record = portal.get(kind, ident)
            if record is not None:  # a missing one is 204, too (memory)
                writes.archive(portal, record, request.actor)
            return Reply(204)
        case _:
            return None


def view(
    portal: Portal,
    record: Record,
    properties: list[str] | None = None,
    history: list[str] | None = None,
    associations: list[str] | None = None,
) -> dict[str, Any]:
    """A record as the API shows it; a property that is asked for and not set is null."""
    values = record.all_values()
    asked = [name.lower() for name in properties or record.kind.defaults]
    shown = dict.fromkeys(each for each in asked if each in record.kind.properties)
    told: dict[str, Any] = {
        "id": record.id,
        "properties": {name: values.get(name) for name in [*shown, "hs_object_id", *_stamps(record)]},
        "createdAt": wire(record.created),
        "updatedAt": wire(record.updated),
        "archived": record.archived_at is not None,
    }
    if record.archived_at is not None:
        told["archivedAt"] = wire(record.archived_at)
    if history:
        told["propertiesWithHistory"] = {
            name: [change.view() for change in record.history.get(name, [])]
            for name in history
            if name in record.kind.properties
        }
    if associations:
        told["associations"] = _associations(portal, record, associations)
    return told


def _stamps(record: Record) -> tuple[str, str]:
    return record.kind.created, record.kind.modified


def _associations(portal: Portal, record: Record, names: list[str]) -> dict[str, Any]:
    told = {}
    for name in names:
        kind = portal.kind(name)
        rows = [
            {"id": other.id, "type": f"{record.kind.singular}_to_{kind.singular}"}
            for other, _ in linked(portal, record, kind)
            if (record.kind.plural, kind.plural) in UNLABELLED
        ]
        if rows:
            told[kind.plural] = {"results": rows}
    return told


def _list(portal: Portal, request: Request, kind: Kind) -> Reply:
    history = request.listed("propertiesWithHistory")
    limit = request.limit(10, 50 if history else 100)
    after, archived = request.call.param("after", "0"), request.flag("archived")
    if not after.isdigit():
        raise invalid(f"after is not a cursor of ours: {after}")
    rows = [each for each in portal.each(kind.plural) if (each.archived_at is not None) == archived]
    rows = sorted((each for each in rows if int(each.id) >= int(after)), key=lambda each: int(each.id))
    page, rest = rows[:limit], rows[limit:]
    properties, associations = request.listed("properties"), request.listed("associations")
    told: dict[str, Any] = {"results": [view(portal, each, properties, history, associations) for each in page]}
    if rest:
        told["paging"] = {"next": {"after": rest[0].id, "link": f"?after={rest[0].id}"}}
    return Reply(200, told)


def _found(portal: Portal, kind: Kind, ident: str, key: str) -> Record | None:
    """The live record of an id, or of a value of the unique property `key`."""
    if key:
        return portal.by_key(kind, key, ident)
    record = portal.get(kind, ident)
    return None if record is None or record.archived_at is not None else record


def _get(portal: Portal, request: Request, kind: Kind, ident: str) -> Reply:
    if request.flag("archived"):
        record = portal.get(kind, ident)
        record = None if record is None or record.archived_at is None else record
    else:
        record = _found(portal, kind, ident, request.call.param("idProperty"))
    if record is None:
        raise not_found()
    names = [request.listed(name) for name in ("properties", "propertiesWithHistory", "associations")]
    return Reply(200, view(portal, record, *names))


def _create(portal: Portal, request: Request, kind: Kind) -> Reply:
    plan = writes.plan_create(portal, kind, request.json(), set())
    record = writes.apply(portal, plan, request.actor)
    return Reply(201, view(portal, record, [*plan.values]))


def _update(portal: Portal, request: Request, kind: Kind, ident: str) -> Reply:
    record = _found(portal, kind, ident, request.call.param("idProperty"))
    if record is None:
        raise not_found()
    plan = writes.plan_update(portal, record, request.json(), set())
    writes.apply(portal, plan, request.actor)
    return Reply(200, view(portal, record, [*plan.values]))


def _merge(portal: Portal, request: Request, kind: Kind) -> Reply:
    body = request.json()
    primary = portal.live(kind, str(body.get("primaryObjectId", "")))
    loser = portal.live(kind, str(body.get("objectIdToMerge", "")))
    if primary is loser:
        raise invalid("A record cannot be merged with itself.")
    return Reply(200, view(portal, merges.merge(portal, primary, loser, request.actor)))


def _forget(portal: Portal, request: Request, kind: Kind) -> Reply:
    body = request.json()
    record = _found(portal, kind, str(body.get("objectId", "")), str(body.get("idProperty") or ""))
    if record is not None:
        merges.forget(portal, record, request.actor)
    return Reply(204)


def _read(portal: Portal, request: Request, kind: Kind) -> Reply:
    body, archived = request.json(), request.flag("archived")
    found: dict[str, Record] = {}
    missing = []
    for each in request.inputs():
        ident = str(each.get("id", ""))
        if archived:
            record = portal.get(kind, ident)
            record = None if record is None or record.archived_at is None else record
        else:
            record = _found(portal, kind, ident, str(body.get("idProperty") or ""))
        if record is None:
            missing.append(ident)
        else:
            found[record.id] = record
    names = body.get("properties") or [], body.get("propertiesWithHistory") or []
    rows = [view(portal, record, *names) for record in found.values()]
    errors = []
    if missing:
        told = "Could not get some objects, they may be deleted or not exist. Check that ids are valid."
        errors.append(not_found(told, *missing).row(None, sparse=portal.settings.sparse_errors))
    return _batch(portal, rows, errors)


def _batch(portal: Portal, rows: list[dict[str, Any]], errors: list[dict[str, Any]], status: int = 200) -> Reply:
    if portal.settings.shuffle:
        portal.dice.shuffle(rows)
    now = wire(portal.now())
    told: dict[str, Any] = {"status": "COMPLETE", "results": rows, "startedAt": now, "completedAt": now}
    if errors:
        return Reply(207, told | {"numErrors": len(errors), "errors": errors})
    return Reply(status, told)


Planner = Callable[[dict[str, Any], writes.Claims], writes.Plan]


def _write(portal: Portal, request: Request, planner: Planner, status: int, *, whole: bool = False) -> Reply:
    """Plan every row, then do those that can be done.

    Without a trace id on every row, or with `whole`, the first refused row refuses the batch (crm.md B4); a missing
    record is told for its row all the same.
    """
    inputs = request.inputs()
    traced = all(isinstance(each.get("objectWriteTraceId"), str) for each in inputs) and not whole
    claimed: writes.Claims = set()
    plans: list[writes.Plan] = []
    errors: list[dict[str, Any]] = []
    for each in inputs:
        try:
            plans.append(planner(each, claimed))
        except RefusedError as error:
            if not traced and (status == 201 or error.category != "OBJECT_NOT_FOUND"):
                raise
            errors.append(error.row(each.get("objectWriteTraceId"), sparse=portal.settings.sparse_errors))
    rows = []
    for plan in plans:
        fresh = plan.record is None
        record = writes.apply(portal, plan, request.actor)
        row = view(portal, record, [*plan.values])
        if plan.trace is not None and portal.settings.traces_in_results:
            row["objectWriteTraceId"] = plan.trace
        if request.parts[-1] == "upsert":
            row["new"] = fresh
        rows.append(row)
    return _batch(portal, rows, errors, status)


def _batch_create(portal: Portal, request: Request, kind: Kind) -> Reply:
    return _write(portal, request, lambda each, claimed: writes.plan_create(portal, kind, each, claimed), 201)


def _batch_update(portal: Portal, request: Request, kind: Kind) -> Reply:
    _refuse_doubles(request.inputs())

    def plan(each: dict[str, Any], claimed: writes.Claims) -> writes.Plan:
        ident = str(each.get("id", ""))
        record = _found(portal, kind, ident, str(each.get("idProperty") or ""))
        if record is None:
            raise not_found(f"No {kind.singular} with id {ident}", ident)
        return writes.plan_update(portal, record, each, claimed)

    return _write(portal, request, plan, 200)


def _batch_upsert(portal: Portal, request: Request, kind: Kind) -> Reply:
    inputs = request.inputs()
    _refuse_doubles(inputs)

    def plan(each: dict[str, Any], claimed: writes.Claims) -> writes.Plan:
        key, value = str(each.get("idProperty") or ""), str(each.get("id", ""))
        if not key:
            raise invalid("idProperty is required for an upsert.")
        record = portal.by_key(kind, key, value)
        if record is not None:
            return writes.plan_update(portal, record, each, claimed)
        properties = each.get("properties")
        given = {**each, "properties": {key: value, **properties} if isinstance(properties, dict) else properties}
        return writes.plan_create(portal, kind, given, claimed)

    by_email = any(each.get("idProperty") == "email" for each in inputs)
    return _write(portal, request, plan, 200, whole=by_email)


def _refuse_doubles(inputs: list[dict[str, Any]]) -> None:
    ids = [(each.get("idProperty"), str(each.get("id", ""))) for each in inputs]
    doubles = sorted({ident for ident in ids if ids.count(ident) > 1}, key=str)
    if doubles:
        listed = ", ".join(ident for _, ident in doubles)
        raise invalid(f"Duplicate IDs found in batch input: [{listed}]. IDs must be unique")


def _batch_archive(portal: Portal, request: Request, kind: Kind) -> Reply:
    for each in request.inputs():
        record = portal.get(kind, str(each.get("id", "")))
        if record is not None:
            writes.archive(portal, record, request.actor)
    return Reply(204)


_BATCHES: dict[str, Callable[[Portal, Request, Kind], Reply]] = {
    "read": _read,
    "create": _batch_create,
    "update": _batch_update,
    "upsert": _batch_upsert,
    "archive": _batch_archive,
}
