"""The lead endpoints: read, describe, sync, push, merge, delete.

Source: marketing_automation.md 1.3 (record errors have no id: match them by position) and 1.5.
"""

import base64
from typing import Any

from syncagent.sandbox.marketo import catalog as kinds
from syncagent.sandbox.marketo.gate import RefusedError
from syncagent.sandbox.marketo.instance import MAX_BATCH, Handler, Instance, Reply, Request
from syncagent.sandbox.marketo.people import DEFAULT_FIELDS, Hand, Lead, RecordError

ACTIONS = ("createOrUpdate", "createOnly", "updateOnly", "createDuplicate")


def chosen_fields(site: Instance, request: Request) -> list[str]:
    """The fields asked for, or the six default ones; an unknown one refuses the call with 1006."""
    names = request.many("fields") or list(DEFAULT_FIELDS)
    for name in names:
        if name not in site.catalog.fields:
            raise RefusedError("1006", f"Field '{name}' not found")
    return names


def paged(found: list[dict[str, Any]], request: Request) -> dict[str, Any]:
    """One page of a list whose whole is at hand; the token is a position, and comes only when there is more."""
    text = request.one("nextPageToken")
    try:
        start = int(base64.b32decode(text)[1:]) if text else 0
    except ValueError as error:
        raise RefusedError("1003", "Invalid nextPageToken") from error
    end = start + request.size()
    page: dict[str, Any] = {"result": found[start:end]}
    if end < len(found):
        page["nextPageToken"] = base64.b32encode(b"P%d" % end).decode("ascii")
    return page


def by_id(site: Instance, request: Request, parts: list[str]) -> Reply:
    """One lead; 1004 for none."""
    names = chosen_fields(site, request)
    found = site.people.lead(int(parts[0]), site.now)
    if found is None:
        raise RefusedError("1004", f"Lead with id {parts[0]} not found")
    return {"result": [site.people.shown(found, names)]}


def by_filter(site: Instance, request: Request, _: list[str]) -> Reply:
    """Leads by one field's values."""
    kind, values = request.one("filterType"), request.many("filterValues")
    for name, given in (("filterType", kind), ("filterValues", values)):
        if not given:
            raise RefusedError("1002", f"Missing value for the required parameter '{name}'")
    known = site.catalog.fields.get(kind)
    if known is None:
        raise RefusedError("1003", f"Invalid filterType '{kind}'")
    if not known.searchable:
        raise RefusedError("1011", f"Field '{kind}' not supported")
    if len(values) > MAX_BATCH:
        raise RefusedError("1003", f"Too many filterValues: at most {MAX_BATCH} are allowed")
    names = chosen_fields(site, request)
    found = site.people.find(kind, values, site.now)
    if len(found) > site.settings.too_many_leads:
        raise RefusedError("1003", "Too many results match the filter")
    return paged([site.people.shown(each, names) for each in found], request)


def describe(site: Instance, _: Request, __: list[str]) -> Reply:
    """All fields of the lead object."""
    return {"result": [each.described() for each in site.catalog.fields.values()]}


def describe2(site: Instance, _: Request, __: list[str]) -> Reply:
    """The fields again, and which of them leads can be searched by."""
    fields = site.catalog.fields.values()
    searchable = [[each.name] for each in fields if each.searchable]
    return {
        "result": [
            {"name": "API Lead", "searchableFields": searchable, "fields": [each.described2() for each in fields]}
        ]
    }


def schema(site: Instance, request: Request, _: list[str]) -> Reply:
    """The fields' metadata, in pages."""
    page = paged([each.schema() for each in site.catalog.fields.values()], request)
    return page | {"moreResult": "nextPageToken" in page}


def schema_field(site: Instance, _: Request, parts: list[str]) -> Reply:
    """One field's metadata."""
    known = site.catalog.fields.get(parts[0])
    if known is None:
        raise RefusedError("1006", f"Field '{parts[0]}' not found")
    return {"result": [known.schema()]}


def sync(site: Instance, request: Request, _: list[str]) -> Reply:
    """Create and update up to 300 leads; results stand in the order of the input."""
    body = request.json()
    action = body.get("action", "createOrUpdate")
    if action not in ACTIONS:
        raise RefusedError("1003", f"Invalid action '{action}'")
    lookup = body.get("lookupField") or "email"
    hand = site.api()
    return {"result": [_synced(site, record, action, lookup, hand) for record in _input(site, body, lookup)]}


def push(site: Instance, request: Request, _: list[str]) -> Reply:
    """Upsert into a program: always allowed to create, and leaves an activity that campaigns can listen to."""
    body = request.json()
    program = body.get("programName")
    if not program:
        raise RefusedError("1002", "Missing value for the required parameter 'programName'")
    lookup = body.get("lookupField") or "email"
    hand = Hand(site.now, body.get("reason") or "Web service API", body.get("source") or "Web service API")
    results = []
    for record in _input(site, body, lookup):
        done = _synced(site, record, "createOrUpdate", lookup, hand)
        if "id" in done:
            site.people.log(
                hand, done["id"], kinds.PUSH_LEAD, (None, program), Reason=body.get("reason"), Source=body.get("source")
            )
        results.append(done)
    return {"result": results}


def _input(site: Instance, body: dict[str, Any], lookup: str) -> list[dict[str, Any]]:
    records = body.get("input")
    if not isinstance(records, list) or not records or not all(isinstance(each, dict) for each in records):
        raise RefusedError("1002", "Missing value for the required parameter 'input'")
    if len(records) > MAX_BATCH:
        raise RefusedError("1003", f"Too many records: at most {MAX_BATCH} are allowed")
    if lookup not in site.catalog.fields:
        raise RefusedError("1006", f"Field '{lookup}' not found")
    return records


def _synced(site: Instance, record: dict[str, Any], action: str, lookup: str, hand: Hand) -> dict[str, Any]:
    people = site.people
    try:
        found = _match(site, record, action, lookup)
        values = people.checked({name: value for name, value in record.items() if name != "id"})
    except RecordError as error:
        return {"status": "skipped", "reasons": error.reasons()}
    if found is None:
        return {"id": people.create(values, hand).id, "status": "created"}
    people.update(found, values, hand)
    return {"id": found.id, "status": "updated"}


def _match(site: Instance, record: dict[str, Any], action: str, lookup: str) -> Lead | None:
    if "id" in record and action != "updateOnly":
        raise RecordError("1003", "Invalid data: 'id' is allowed with updateOnly only")
    if action == "createDuplicate":
        return None
    key = "id" if "id" in record else lookup
    value = record.get(key)
    if value in (None, ""):
        raise RecordError("1002", f"Missing value for the required parameter '{key}'")
    found = site.people.find(key, [str(value)], site.now)
    if len(found) > 1:
        raise RecordError("1007", "Multiple leads match the lookup criteria")
    if action == "createOnly" and found:
        raise RecordError("1005", "Lead already exists")
    if action == "updateOnly" and not found:
        raise RecordError("1004", "Lead not found")
    return found[0] if found else None


def merge(site: Instance, request: Request, parts: list[str]) -> Reply:
    """Merge losers into the lead of the path; the answer has no result."""
    losers = request.numbers("leadIds") + request.numbers("leadId")
    winner = site.people.lead(int(parts[0]), site.now)
    if not losers:
        raise RefusedError("1002", "Missing value for the required parameter 'leadId'")
    if winner is None or any(site.people.lead(number, site.now) is None for number in losers):
        raise RefusedError("1004", "Lead not found")
    site.people.merge(winner, losers, site.api(), "Web service API")
    return {}


def delete(site: Instance, request: Request, _: list[str]) -> Reply:
    """Delete leads by id."""
    hand = site.api()
    results = []
    for number in request.ids():
        found = site.people.lead(number, hand.now)
        if found is None:
            results.append(
                {"id": number, "status": "skipped", "reasons": [{"code": "1004", "message": "Lead not found"}]}
            )
        else:
            site.people.delete(found, hand)
            results.append({"id": number, "status": "deleted"})
    return {"result": results}


ROUTES: list[tuple[str, str, Handler]] = [
    ("GET", r"/rest/v1/leads/describe\.json", describe),
    ("GET", r"/rest/v1/leads/describe2\.json", describe2),
    ("GET", r"/rest/v1/leads/schema/fields\.json", schema),
    ("GET", r"/rest/v1/leads/schema/fields/(\w+)\.json", schema_field),
    ("GET", r"/rest/v1/lead/(\d+)\.json", by_id),
    ("GET", r"/rest/v1/leads\.json", by_filter),
    ("POST", r"/rest/v1/leads\.json", sync),
    ("DELETE", r"/rest/v1/leads\.json", delete),
    ("POST", r"/rest/v1/leads/push\.json", push),
    ("POST", r"/rest/v1/leads/delete\.json", delete),
    ("POST", r"/rest/v1/leads/(\d+)/merge\.json", merge),
]
